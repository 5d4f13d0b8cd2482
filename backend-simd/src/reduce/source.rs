//! Where the elements of a reduction or a scan come from: an operand as it lies, or a program over operands, run into a strip.

use crate::exec::{Access, Exec, Produced, Strips};
use crate::lanes::Isa;
use crate::scratch::Scratch;
use crate::strided::{Geometry, accesses, copy_strided};
use polyarray_core::op::{Operand, Params};
use polyarray_core::{Program, Result};
use smallvec::SmallVec;

/// Elements along one axis at a time.
pub(crate) struct Source<I> {
    /// Where operands lie.
    pub geometry: Geometry,
    /// The axis that elements are taken along.
    pub stepped: usize,
    /// Runs the program; `None` if elements are read where they lie.
    exec: Option<Exec<I>>,
    /// Bytes of an element that the program gives.
    size: usize,
}

// SAFETY: the geometry's pointers are only read.
unsafe impl<I: Isa> Sync for Source<I> {}

/// The temporaries of one thread, and room for the elements that a program gives.
pub(crate) struct Room<'a> {
    strips: Option<Strips<'a>>,
    values: Scratch,
}

impl<I: Isa> Source<I> {
    /// For operands over axes `lens`, read along axis `stepped`. The program has kernels for everything.
    pub fn new(
        isa: I,
        program: &Program,
        params: &Params,
        lens: &[usize],
        inputs: &[Operand],
        stepped: usize,
    ) -> Source<I> {
        let geometry = Geometry::new(lens, inputs);
        let access = accesses(inputs.iter().map(|i| if lens[stepped] == 1 { 1 } else { i.strides[stepped] }));
        let as_it_lies = program.is_identity() && access[..] == [Access::Contiguous];
        let exec = (!as_it_lies).then(|| {
            Exec::new(isa, program, params, &access, true)
                .unwrap_or_else(|| unreachable!("estimate refused this program"))
        });
        Source { geometry, stepped, exec, size: program.output().size() }
    }

    /// Whether elements are read where they lie: then asking for many at once costs nothing.
    pub fn is_direct(&self) -> bool {
        self.exec.is_none()
    }

    /// Temporaries for one thread, which asks for at most `most` elements at once.
    ///
    /// # Errors
    /// Out of memory.
    pub fn room(&self, most: usize) -> Result<Room<'_>> {
        let strips = self.exec.as_ref().map(Exec::strips).transpose()?;
        Ok(Room { strips, values: Scratch::new(if self.is_direct() { 0 } else { most * self.size })? })
    }

    /// Strides of the operands, for walking.
    pub fn strides(&self) -> SmallVec<[&[isize]; 8]> {
        self.geometry.strides.iter().map(|s| &s[..]).collect()
    }

    /// The address of operand `o`, `offset` elements from its index zero and `i` steps along the axis.
    #[inline]
    fn address(&self, o: usize, offset: isize, i: usize) -> *const u8 {
        let g = &self.geometry;
        g.bases[o].wrapping_offset((offset + i as isize * g.strides[o][self.stepped]) * g.sizes[o] as isize)
    }

    /// `n` elements from the `i`-th along the axis, where the operands are at `offsets`: in place, or in the thread's room from element `at` on.
    ///
    /// # Safety
    /// - the elements exist;
    /// - `room` was made here for `at + n` elements, each of them in the room less than once until they have been read.
    pub unsafe fn values(&self, room: &mut Room, offsets: &[isize], i: usize, n: usize, at: usize) -> *const u8 {
        let Some(exec) = &self.exec else { return self.address(0, offsets[0], i) };
        let strips = room.strips.as_mut().expect("made with the program");
        let to = room.values.ptr().wrapping_add(at * self.size);
        let most = if exec.is_unbounded() { n } else { exec.strip };
        let g = &self.geometry;
        let mut operands: SmallVec<[*const u8; 8]> = SmallVec::from_elem(std::ptr::null(), g.bases.len());
        for done in (0..n).step_by(most) {
            let count = most.min(n - done);
            for (o, p) in operands.iter_mut().enumerate() {
                *p = self.address(o, offsets[o], i + done);
            }
            let out = to.wrapping_add(done * self.size);
            // SAFETY: indices inside the operands and the room (the caller's); the room is no operand.
            unsafe {
                let gather = |o: usize, to: *mut u8| {
                    copy_strided(
                        self.address(o, offsets[o], i + done),
                        g.strides[o][self.stepped],
                        to,
                        1,
                        count,
                        g.sizes[o],
                    )
                };
                match exec.run(strips, &operands, count, out, gather) {
                    Produced::Written => {}
                    Produced::Strip(from) => copy_strided(from, 1, out, 1, count, self.size),
                    Produced::Single(from) => copy_strided(from, 0, out, 1, count, self.size),
                }
            }
        }
        to
    }
}
