//! Results of a reduction or a scan: through the program that follows, to where they belong.

use crate::exec::{Access, Exec, Produced, Strips};
use crate::lanes::Isa;
use crate::strided::{base, copy_strided};
use polyarray_core::op::{Output, Params};
use polyarray_core::walk::walk_many;
use polyarray_core::{Buffer, Program, Result};

/// Where results go, shared by threads that write different ones.
pub(crate) struct Emit<'a, I> {
    /// Runs the program that follows; `None` if there is nothing to do.
    exec: Option<Exec<I>>,
    lens: &'a [usize],
    strides: &'a [isize],
    to: *mut u8,
    size: usize,
    /// Bytes of what the program takes.
    taken: usize,
    /// Whether the results follow each other in C order.
    packed: bool,
}

// SAFETY: threads write different results.
unsafe impl<I: Isa> Sync for Emit<'_, I> {}

impl<'a, I: Isa> Emit<'a, I> {
    /// For results over axes `lens`.
    pub fn new(
        isa: I,
        after: &Program,
        params: &Params,
        lens: &'a [usize],
        output: &'a Output,
        buffer: &Buffer,
    ) -> Emit<'a, I> {
        let new = || {
            Exec::new(isa, after, params, &[Access::Contiguous], false)
                .unwrap_or_else(|| unreachable!("estimate refused this program"))
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

    /// Temporaries for one thread.
    ///
    /// # Errors
    /// Out of memory.
    pub fn strips(&self) -> Result<Option<Strips<'_>>> {
        self.exec.as_ref().map(Exec::strips).transpose()
    }

    /// The element, from the output's first on, that index zero of the axes after the first `axes` is at index `number` (in C order) of those.
    pub fn offset_of(&self, axes: usize, number: usize) -> usize {
        let mut offset = 0;
        walk_many(&self.lens[..axes], &[self.strides], &[0], number..number + 1, |at| offset = at[0] as usize);
        offset
    }

    /// Elements from one index of an axis to the next.
    pub fn stride(&self, axis: usize) -> usize {
        self.strides[axis] as usize
    }

    /// Where results from element `offset` on may be written themselves, if nothing follows.
    pub fn place(&self, offset: usize) -> Option<*mut u8> {
        self.exec.is_none().then(|| self.to.wrapping_add(offset * self.size))
    }

    /// Does what follows to `n` results and writes them side by side from element `offset` on.
    ///
    /// # Safety
    /// - `results` is valid for reads of `n` elements of the dtype that the program takes, the output for writes of `n` from there on, and no other thread writes them.
    pub unsafe fn write_run(&self, strips: &mut Option<Strips>, offset: usize, results: *const u8, n: usize) {
        // SAFETY: the caller's.
        unsafe {
            self.each_strip(strips, results, n, |done, from, along, count| {
                copy_strided(from, along, self.to.add((offset + done) * self.size), 1, count, self.size)
            })
        };
    }

    /// Writes the results of the outputs numbered from `first` on.
    ///
    /// # Safety
    /// - `results` is valid for reads of `n` elements of the dtype that the program takes; there are outputs `first .. first + n`, and no other thread writes them.
    pub unsafe fn write(&self, strips: &mut Option<Strips>, first: usize, results: *const u8, n: usize) {
        // SAFETY: the caller's.
        unsafe {
            self.each_strip(strips, results, n, |done, from, along, count| self.put(first + done, from, along, count))
        };
    }

    /// Does what follows to `n` results, and calls `put` for each strip: how many came before it, where it is, whether its elements follow each other (1) or are one (0), how many there are.
    ///
    /// # Safety
    /// - `results` is valid for reads of `n` elements of the dtype that the program takes.
    unsafe fn each_strip(
        &self,
        strips: &mut Option<Strips>,
        results: *const u8,
        n: usize,
        mut put: impl FnMut(usize, *const u8, isize, usize),
    ) {
        let Some(exec) = &self.exec else { return put(0, results, 1, n) };
        let strips = strips.as_mut().expect("made with the program");
        for done in (0..n).step_by(exec.strip) {
            let count = exec.strip.min(n - done);
            // SAFETY: the caller's; not made to write directly.
            match unsafe { exec.run(strips, &[results.add(done * self.taken)], count, std::ptr::null_mut(), |_, _| {}) }
            {
                Produced::Strip(from) => put(done, from, 1, count),
                Produced::Single(from) => put(done, from, 0, count),
                Produced::Written => unreachable!("not made to write directly"),
            }
        }
    }

    /// Copies `n` finished results, or one as often, to the outputs from `first` on.
    ///
    /// # Safety
    /// - As [`write`](Self::write).
    unsafe fn put(&self, first: usize, from: *const u8, along: isize, n: usize) {
        if self.packed {
            // SAFETY: the caller's.
            return unsafe { copy_strided(from, along, self.to.add(first * self.size), 1, n, self.size) };
        }
        let mut i = 0;
        walk_many(self.lens, &[self.strides], &[0], first..first + n, |at| {
            // SAFETY: the caller's; strides stay inside the output (invariants of the operation).
            unsafe {
                copy_strided(
                    from.offset(i * along * self.size as isize),
                    0,
                    self.to.offset(at[0] * self.size as isize),
                    1,
                    1,
                    self.size,
                )
            };
            i += 1;
        });
    }
}
