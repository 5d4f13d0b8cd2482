//! The output side of a reduction or a scan: runs the program that follows on the results and writes them to the
//! output.

use crate::exec::{Access, Exec, Produced, Strips};
use crate::strided::base;
use crate::tier::Tier;
use polyarray_core::op::{Output, Params};
use polyarray_core::walk::{copy_strided, scatter, walk_many};
use polyarray_core::{Buffer, Program, Result};

/// The destination of results. Threads share it and write different results.
pub(crate) struct Emit<'a> {
    /// Runs the program that follows. `None` if that is the identity.
    exec: Option<Exec>,
    lens: &'a [usize],
    strides: &'a [isize],
    to: *mut u8,
    size: usize,
    /// The number of bytes of an input element of the program.
    taken: usize,
    /// Whether the outputs are contiguous in C order.
    packed: bool,
}

// SAFETY: threads write different results.
unsafe impl Sync for Emit<'_> {}

impl<'a> Emit<'a> {
    /// Creates an emitter for results over the axes `lens`.
    pub fn new(
        tier: &'static Tier,
        after: &Program,
        params: &Params,
        lens: &'a [usize],
        output: &'a Output,
        buffer: &Buffer,
    ) -> Emit<'a> {
        let new = || {
            Exec::new(tier, after, params, &[Access::Contiguous], false).unwrap_or_else(|| {
                unreachable!("internal error: the program has no kernel, so estimate should have rejected it")
            })
        };
        let mut step = 1;
        let packed = lens.iter().zip(&output.strides).rev().all(|(&n, &s)| {
            let here = n == 1 || s == step;
            step *= n as isize;
            here
        });
        Emit {
            exec: (!after.is_identity()).then(new),
            lens,
            strides: &output.strides,
            to: base(buffer, output.dtype, output.offset),
            size: output.dtype.size(),
            taken: after.inputs()[0].size(),
            packed,
        }
    }

    /// Returns temporaries for one thread.
    ///
    /// # Errors
    /// Out of memory.
    pub fn strips(&self) -> Result<Option<Strips<'_>>> {
        self.exec.as_ref().map(Exec::strips).transpose()
    }

    /// Returns the offset in elements from the output's first element for index `number` (in C order) of the first
    /// `axes` axes, with index zero on the other axes.
    pub fn offset_of(&self, axes: usize, number: usize) -> usize {
        let mut offset = 0;
        walk_many(&self.lens[..axes], &[self.strides], &[0], number..number + 1, |at| offset = at[0] as usize);
        offset
    }

    /// Returns the number of elements from one index of an axis to the next.
    pub fn stride(&self, axis: usize) -> usize {
        self.strides[axis] as usize
    }

    /// Returns the address for writing results directly from element `offset` on, if no program follows.
    pub fn place(&self, offset: usize) -> Option<*mut u8> {
        self.exec.is_none().then(|| self.to.wrapping_add(offset * self.size))
    }

    /// Runs the following program on `n` results and writes them from element `offset` on, `step` elements apart.
    ///
    /// # Safety
    /// - `results` is valid for reads of `n` elements of the program's input dtype.
    /// - The output is valid for writes of `n` elements from `offset` on, `step` apart, and no other thread writes
    ///   them.
    pub unsafe fn write_run(
        &self,
        strips: &mut Option<Strips>,
        (offset, step): (usize, usize),
        results: *const u8,
        n: usize,
    ) {
        // SAFETY: the caller guarantees `n` results and room for `n` elements from `offset` on.
        unsafe {
            self.each_strip(strips, results, n, &mut |done, from, along, count| {
                let to = self.to.add((offset + done * step) * self.size);
                copy_strided(from, along, to, step as isize, count, self.size)
            })
        };
    }

    /// Runs the following program on `n` results and writes them to the outputs from number `first` on.
    ///
    /// # Safety
    /// - `results` is valid for reads of `n` elements of the program's input dtype.
    /// - The outputs `first .. first + n` exist, and no other thread writes them.
    pub unsafe fn write(&self, strips: &mut Option<Strips>, first: usize, results: *const u8, n: usize) {
        // SAFETY: the caller guarantees `n` results and the outputs `first .. first + n`.
        unsafe {
            self.each_strip(strips, results, n, &mut |done, from, along, count| {
                self.put(first + done, from, along, count)
            })
        };
    }

    /// Runs the following program on `n` results and calls `put` for each strip. Its arguments are the number of
    /// preceding results, the address, the step between elements (1, or 0 for a single value), and the number of
    /// results.
    ///
    /// # Safety
    /// - `results` is valid for reads of `n` elements of the program's input dtype.
    unsafe fn each_strip(
        &self,
        strips: &mut Option<Strips>,
        results: *const u8,
        n: usize,
        put: &mut dyn FnMut(usize, *const u8, isize, usize),
    ) {
        let Some(exec) = &self.exec else { return put(0, results, 1, n) };
        let strips = strips.as_mut().expect("internal error: a program runs without temporaries");
        for done in (0..n).step_by(exec.strip) {
            let count = exec.strip.min(n - done);
            // SAFETY: `done + count <= n`, and the caller guarantees `n` results. `exec` was not created to write
            // directly, so it does not use the null pointer.
            match unsafe {
                exec.run(strips, &[results.add(done * self.taken)], count, std::ptr::null_mut(), &mut |_, _| {})
            } {
                Produced::Strip(from) => put(done, from, 1, count),
                Produced::Single(from) => put(done, from, 0, count),
                Produced::Written => unreachable!("internal error: the program wrote directly to its output"),
            }
        }
    }

    /// Copies `n` finished results, or a single one `n` times, to the outputs from number `first` on.
    ///
    /// # Safety
    /// - `from` is valid for reads of `n` elements of the output dtype, or of one element if `along` is 0.
    /// - The outputs `first .. first + n` exist, and no other thread writes them.
    unsafe fn put(&self, first: usize, from: *const u8, along: isize, n: usize) {
        if self.packed {
            // SAFETY: the caller guarantees the elements at `from` and the outputs, which are contiguous.
            return unsafe { copy_strided(from, along, self.to.add(first * self.size), 1, n, self.size) };
        }
        // SAFETY: the caller guarantees the elements at `from` and the outputs. The strides stay within the output
        // (invariants of the operation).
        unsafe { scatter(self.lens, self.strides, first..first + n, (from, along == 0), self.to, self.size) };
    }
}
