//! All reads and writes of host buffers in this crate: runs of strided elements, copied to and from contiguous scratch.
//!
//! Elements are copied as bytes of their size, so copies do not depend on the dtype, the alignment or the meaning of
//! the bits. Every run is checked against its buffer before the access.

#[cfg(feature = "blas")]
use polyarray_core::Element;
use polyarray_core::op::{Operand, Output};
use polyarray_core::{Buffer, DType, walk};
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;

/// Elements of one size in a host buffer.
///
/// Invariant: `start` is valid for reads (and, in a [`Target`], for writes) of `len * size` bytes during the lifetime
/// `'a`.
#[derive(Clone, Copy)]
struct Block<'a> {
    start: NonNull<u8>,
    len: usize,
    size: usize,
    buffer: PhantomData<&'a Buffer>,
}

impl<'a> Block<'a> {
    fn new(buffer: &'a Buffer, dtype: DType) -> Block<'a> {
        let start = buffer.host_ptr().expect("core passes operands in host memory to host backends");
        Block { start, len: buffer.bytes() / dtype.size(), size: dtype.size(), buffer: PhantomData }
    }

    /// Panics unless the whole run lies inside the block.
    fn check(&self, at: isize, stride: isize, count: usize) {
        let last = at + (count as isize - 1) * stride;
        let inside = |i: isize| usize::try_from(i).is_ok_and(|i| i < self.len);
        assert!(
            inside(at) && inside(last),
            "elements {at} to {last} exceed a buffer of {} elements: core must pass operands that fit their buffers",
            self.len
        );
    }

    /// Copies `count` elements to the front of `to`: the first at `at`, each further one `stride` after the previous.
    fn read(&self, at: isize, stride: isize, count: usize, to: &mut [u8]) {
        match self.size {
            1 => self.read_as::<1>(at, stride, count, to),
            2 => self.read_as::<2>(at, stride, count, to),
            4 => self.read_as::<4>(at, stride, count, to),
            8 => self.read_as::<8>(at, stride, count, to),
            16 => self.read_as::<16>(at, stride, count, to),
            size => unreachable!("no dtype has {size} bytes"),
        }
    }

    fn read_as<const N: usize>(&self, at: isize, stride: isize, count: usize, to: &mut [u8]) {
        if count == 0 {
            return;
        }
        self.check(at, stride, count);
        let to = &mut to.as_chunks_mut::<N>().0[..count];
        let from = self.start.cast::<[u8; N]>().as_ptr().cast_const();
        if stride == 1 {
            // SAFETY: `check` verified that the run lies inside the block. The block is valid for reads (invariant),
            // and core guarantees that an operand's elements are initialised. `to` has `count` elements; it is
            // exclusively borrowed scratch, so it does not overlap the block.
            unsafe { std::ptr::copy_nonoverlapping(from.offset(at), to.as_mut_ptr(), count) };
            return;
        }
        for (i, to) in to.iter_mut().enumerate() {
            // SAFETY: the element lies between the ends of the run, which `check` verified to be inside the block
            // (readable and initialised, as above). A byte array needs no alignment.
            *to = unsafe { from.offset(at + i as isize * stride).read() };
        }
    }

    /// Copies the first `count` elements of `from` to the block: the first to `at`, each further one `stride` after the
    /// previous.
    fn write(&self, at: isize, stride: isize, count: usize, from: &[u8]) {
        match self.size {
            1 => self.write_as::<1>(at, stride, count, from),
            2 => self.write_as::<2>(at, stride, count, from),
            4 => self.write_as::<4>(at, stride, count, from),
            8 => self.write_as::<8>(at, stride, count, from),
            16 => self.write_as::<16>(at, stride, count, from),
            size => unreachable!("no dtype has {size} bytes"),
        }
    }

    fn write_as<const N: usize>(&self, at: isize, stride: isize, count: usize, from: &[u8]) {
        if count == 0 {
            return;
        }
        self.check(at, stride, count);
        let from = &from.as_chunks::<N>().0[..count];
        let to = self.start.cast::<[u8; N]>().as_ptr();
        if stride == 1 {
            // SAFETY: `check` verified that the run lies inside the block. Only `Target` calls this function, so the
            // block is the output of the running operation, and nothing else reads or writes it now. `from` has `count`
            // elements; it is scratch and does not overlap the block.
            unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to.offset(at), count) };
            return;
        }
        for (i, from) in from.iter().enumerate() {
            // SAFETY: the element lies between the ends of the run, which `check` verified to be inside the block. The
            // block is the output, as above. A byte array needs no alignment.
            unsafe { to.offset(at + i as isize * stride).write(*from) };
        }
    }
}

#[cfg(feature = "blas")]
impl Block<'_> {
    /// Returns a pointer to element `at`, after which the block has at least `count - 1` further elements. Panics if it
    /// has fewer, if `T` has another size than the elements, or if the pointer is not aligned for `T`.
    fn window<T: Element>(&self, at: isize, count: usize) -> NonNull<T> {
        assert_eq!(size_of::<T>(), self.size, "the element type differs in size from the elements of the buffer");
        self.check(at, 1, count);
        // SAFETY: `check` verified that element `at` lies inside the block, which is one allocation (invariant).
        let start = unsafe { self.start.cast::<T>().offset(at) };
        assert!(start.is_aligned(), "buffers are aligned to their elements");
        start
    }
}

/// An operand to read: a buffer, the position of the first element and a stride for each axis.
pub struct Source<'a> {
    block: Block<'a>,
    offset: isize,
    strides: &'a [isize],
}

impl<'a> Source<'a> {
    /// Returns the elements of `operand`.
    pub fn new(operand: &'a Operand) -> Source<'a> {
        Source {
            block: Block::new(&operand.buffer, operand.dtype),
            offset: operand.offset as isize,
            strides: &operand.strides,
        }
    }

    /// Copies the elements with the indices `range` (in C order over axes of lengths `lens`) to the front of `to`.
    pub fn gather(&self, lens: &[usize], range: Range<usize>, to: &mut [u8]) {
        let (stride, size) = (innermost(self.strides, lens), self.block.size);
        for_each_run(lens, self.strides, self.offset, range, |done, at, count| {
            self.block.read(at, stride, count, &mut to[done * size..])
        });
    }

    /// Copies the element `at` elements after the one at index zero to the front of `to`.
    pub fn element(&self, at: isize, to: &mut [u8]) {
        self.block.read(self.offset + at, 1, 1, to);
    }
}

#[cfg(feature = "blas")]
impl Source<'_> {
    /// Returns a pointer to the element at position `at`, from which a library may read `count` elements.
    pub fn window<T: Element>(&self, at: isize, count: usize) -> *const T {
        self.block.window(at, count).as_ptr()
    }
}

/// The output of the running operation: a buffer, the position of the first element and a stride for each axis.
pub struct Target<'a> {
    block: Block<'a>,
    offset: isize,
    strides: &'a [isize],
}

impl<'a> Target<'a> {
    /// Returns the elements of `buffer` that `output` describes.
    pub fn new(buffer: &'a Buffer, output: &'a Output) -> Target<'a> {
        Target { block: Block::new(buffer, output.dtype), offset: output.offset as isize, strides: &output.strides }
    }

    /// Returns all elements of `buffer`, contiguous along one axis.
    pub fn whole(buffer: &'a Buffer, dtype: DType) -> Target<'a> {
        Target { block: Block::new(buffer, dtype), offset: 0, strides: &[1] }
    }

    /// Copies the front of `from` to the elements with the indices `range` (in C order over axes of lengths `lens`).
    pub fn scatter(&self, lens: &[usize], range: Range<usize>, from: &[u8]) {
        let (stride, size) = (innermost(self.strides, lens), self.block.size);
        for_each_run(lens, self.strides, self.offset, range, |done, at, count| {
            self.block.write(at, stride, count, &from[done * size..])
        });
    }

    /// Copies the element `at` elements after the one at index zero to the front of `to`.
    ///
    /// # Safety
    /// - The element has been written.
    pub unsafe fn element(&self, at: isize, to: &mut [u8]) {
        // `read` requires initialised elements, which the caller guarantees.
        self.block.read(self.offset + at, 1, 1, to);
    }

    /// Copies the front of `from` to the element `at` elements after the one at index zero.
    pub fn set_element(&self, at: isize, from: &[u8]) {
        self.block.write(self.offset + at, 1, 1, from);
    }
}

#[cfg(feature = "blas")]
impl Target<'_> {
    /// Returns a pointer to element `at`, from which a library may write `count` elements.
    pub fn window<T: Element>(&self, at: usize, count: usize) -> *mut T {
        self.block.window(at as isize, count).as_ptr()
    }

    /// Returns `rows` slices of `len` elements. The first slice starts at element `at`, each further one `stride`
    /// elements after the previous.
    ///
    /// # Safety
    /// - All elements of the slices have been written as `T`s;
    /// - nothing else reads or writes them while the slices live.
    pub unsafe fn rows<T: Element>(&mut self, at: usize, stride: usize, rows: usize, len: usize) -> Vec<&mut [T]> {
        assert!(len <= stride, "rows must not overlap");
        let row = |i: usize| {
            let start = self.block.window::<T>((at + i * stride) as isize, len);
            // SAFETY: `window` verified that `len` elements from `start` on lie in the block and that `start` is
            // aligned. The slices do not overlap, since `len <= stride` (asserted above). The caller guarantees that
            // the elements are written and that nothing else accesses them.
            unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), len) }
        };
        (0..rows).map(row).collect()
    }
}

/// Returns the stride of the last axis, or 1 if there are no axes.
fn innermost(strides: &[isize], lens: &[usize]) -> isize {
    lens.len().checked_sub(1).map_or(1, |last| strides[last])
}

/// Splits the indices `range` (in C order over axes of lengths `lens`) at the ends of the innermost axis. Calls `f` for
/// each run with the number of elements before it, the position of its first element, and its length.
fn for_each_run(
    lens: &[usize],
    strides: &[isize],
    offset: isize,
    range: Range<usize>,
    mut f: impl FnMut(usize, isize, usize),
) {
    let (&inner, outer) = lens.split_last().unwrap_or((&1, &[]));
    let stride = innermost(strides, lens);
    if outer.is_empty() {
        return f(0, offset + range.start as isize * stride, range.len());
    }
    let (mut first, mut done) = (range.start % inner, 0);
    walk::walk(outer, [strides], [offset], range.start / inner..range.end.div_ceil(inner), |[at]| {
        let count = (inner - first).min(range.len() - done);
        f(done, at + first as isize * stride, count);
        (first, done) = (0, done + count);
    });
}
