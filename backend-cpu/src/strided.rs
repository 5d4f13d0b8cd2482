//! The one place where this crate reads and writes host buffers: runs of strided elements, copied to and from contiguous scratch.
//!
//! Elements are moved as bytes of their size, so nothing here depends on dtypes, alignment or what the bits mean. Every run is
//! checked against its buffer before it is touched.

#[cfg(feature = "blas")]
use polyarray_core::Element;
use polyarray_core::op::{Operand, Output};
use polyarray_core::{Buffer, DType, walk};
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;

/// Elements of one size in a host buffer.
///
/// Invariant: `start` is valid for reads (and, in a [`Target`], writes) of `len * size` bytes as long as `'a` lasts.
#[derive(Clone, Copy)]
struct Block<'a> {
    start: NonNull<u8>,
    len: usize,
    size: usize,
    buffer: PhantomData<&'a Buffer>,
}

impl<'a> Block<'a> {
    fn new(buffer: &'a Buffer, dtype: DType) -> Block<'a> {
        let start = buffer.host_ptr().expect("core gives backends of the host operands in host memory");
        Block { start, len: buffer.bytes() / dtype.size(), size: dtype.size(), buffer: PhantomData }
    }

    /// Panics unless all of a run lies inside.
    fn check(&self, at: isize, stride: isize, count: usize) {
        let last = at + (count as isize - 1) * stride;
        let inside = |i: isize| usize::try_from(i).is_ok_and(|i| i < self.len);
        assert!(
            inside(at) && inside(last),
            "elements {at} to {last} of a buffer of {}: core gives operands that fit",
            self.len
        );
    }

    /// Copies `count` elements from `at` on, `stride` apart, to the front of `to`.
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
            // SAFETY: `check` put the run inside the block, which is valid for reads (invariant) and initialised where core says an operand lies;
            // `to` has `count` elements and, being exclusively borrowed scratch, does not overlap it.
            unsafe { std::ptr::copy_nonoverlapping(from.offset(at), to.as_mut_ptr(), count) };
            return;
        }
        for (i, to) in to.iter_mut().enumerate() {
            // SAFETY: between the ends that `check` put inside the block; a byte array needs no alignment.
            *to = unsafe { from.offset(at + i as isize * stride).read() };
        }
    }

    /// Copies the first `count` elements of `from` to `at` and on, `stride` apart.
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
            // SAFETY: `check` put the run inside the block, which is the output of the operation that runs (only `Target` calls this), so nobody
            // else reads or writes it now; `from` is scratch and does not overlap it.
            unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to.offset(at), count) };
            return;
        }
        for (i, from) in from.iter().enumerate() {
            // SAFETY: between the ends that `check` put inside the block, which is the output as above; a byte array needs no alignment.
            unsafe { to.offset(at + i as isize * stride).write(*from) };
        }
    }
}

#[cfg(feature = "blas")]
impl Block<'_> {
    /// A pointer to element `at`, which `count - 1` more of the block follow; `T` has the elements' size and the pointer is aligned for it.
    fn window<T: Element>(&self, at: isize, count: usize) -> NonNull<T> {
        assert_eq!(size_of::<T>(), self.size, "elements of another dtype were expected");
        self.check(at, 1, count);
        // SAFETY: `check` put element `at` inside the block, which is one allocation (invariant).
        let start = unsafe { self.start.cast::<T>().offset(at) };
        assert!(start.is_aligned(), "buffers are aligned to their elements");
        start
    }
}

/// An operand to read, over axes of some lengths.
pub struct Source<'a> {
    block: Block<'a>,
    offset: isize,
    strides: &'a [isize],
}

impl<'a> Source<'a> {
    /// The elements of `operand`.
    pub fn new(operand: &'a Operand) -> Source<'a> {
        Source {
            block: Block::new(&operand.buffer, operand.dtype),
            offset: operand.offset as isize,
            strides: &operand.strides,
        }
    }

    /// Copies the elements whose number in C order over axes `lens` lies in `range` to the front of `to`.
    pub fn gather(&self, lens: &[usize], range: Range<usize>, to: &mut [u8]) {
        let (stride, size) = (innermost(self.strides, lens), self.block.size);
        for_each_run(lens, self.strides, self.offset, range, |done, at, count| {
            self.block.read(at, stride, count, &mut to[done * size..])
        });
    }
}

#[cfg(feature = "blas")]
impl Source<'_> {
    /// A pointer to the element at position `at`, from which `count` elements may be read, for a library to read.
    pub fn window<T: Element>(&self, at: isize, count: usize) -> *const T {
        self.block.window(at, count).as_ptr()
    }
}

/// The output of the operation that runs, over axes of some lengths.
pub struct Target<'a> {
    block: Block<'a>,
    offset: isize,
    strides: &'a [isize],
}

impl<'a> Target<'a> {
    /// The elements of `buffer` that `output` names.
    pub fn new(buffer: &'a Buffer, output: &'a Output) -> Target<'a> {
        Target { block: Block::new(buffer, output.dtype), offset: output.offset as isize, strides: &output.strides }
    }

    /// All of `buffer`, in order, along one axis.
    pub fn whole(buffer: &'a Buffer, dtype: DType) -> Target<'a> {
        Target { block: Block::new(buffer, dtype), offset: 0, strides: &[1] }
    }

    /// Copies the front of `from` to the elements whose number in C order over axes `lens` lies in `range`.
    pub fn scatter(&self, lens: &[usize], range: Range<usize>, from: &[u8]) {
        let (stride, size) = (innermost(self.strides, lens), self.block.size);
        for_each_run(lens, self.strides, self.offset, range, |done, at, count| {
            self.block.write(at, stride, count, &from[done * size..])
        });
    }
}

#[cfg(feature = "blas")]
impl Target<'_> {
    /// A pointer to element `at`, from which `count` elements may be written, for a library to write.
    pub fn window<T: Element>(&self, at: usize, count: usize) -> *mut T {
        self.block.window(at as isize, count).as_ptr()
    }

    /// `rows` slices of `len` elements, the first from element `at` on, each `stride` elements after the one before.
    ///
    /// # Safety
    /// - Those elements have been written, as `T`s;
    /// - while the slices live, nothing else reads or writes them.
    pub unsafe fn rows<T: Element>(&mut self, at: usize, stride: usize, rows: usize, len: usize) -> Vec<&mut [T]> {
        assert!(len <= stride, "rows must not overlap");
        let row = |i: usize| {
            let start = self.block.window::<T>((at + i * stride) as isize, len);
            // SAFETY: `window` checked that `len` elements from there on lie in the block and are aligned; rows do not overlap, as was asserted;
            // that they are written and nobody else's is the caller's promise.
            unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), len) }
        };
        (0..rows).map(row).collect()
    }
}

/// The stride of the last of the axes.
fn innermost(strides: &[isize], lens: &[usize]) -> isize {
    lens.len().checked_sub(1).map_or(1, |last| strides[last])
}

/// Cuts `range` of the indices of axes `lens`, in C order, at the ends of the innermost axis. Calls `f` for each piece with
/// how many elements came before it, the position of its first, and how many it has.
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
