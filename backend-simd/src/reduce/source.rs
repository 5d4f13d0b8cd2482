//! The source of the elements of a reduction or a scan: an operand in place, or a program over operands that writes
//! into a strip.

use crate::exec::{Access, Exec, Produced, Strips};
use crate::scratch::Scratch;
use crate::strided::{Geometry, accesses};
use crate::tier::Tier;
use polyarray_core::op::{Operand, Params};
use polyarray_core::walk::copy_strided;
use polyarray_core::{Program, Result};
use smallvec::SmallVec;

/// Elements along one axis.
pub(crate) struct Source {
    /// The memory layout of the operands.
    pub geometry: Geometry,
    /// The axis along which elements are read.
    pub stepped: usize,
    /// Runs the program. `None` if elements are read in place.
    exec: Option<Exec>,
    /// The number of bytes of an element that the program produces.
    size: usize,
}

// SAFETY: the geometry's pointers are only used for reads.
unsafe impl Sync for Source {}

/// The temporaries of one thread, and room for the elements that a program produces.
pub(crate) struct Room<'a> {
    strips: Option<Strips<'a>>,
    values: Scratch,
}

impl Source {
    /// Creates a source of operands over the axes `lens`, read along axis `stepped`. The program consists of operations
    /// that have kernels.
    pub fn new(
        tier: &'static Tier,
        program: &Program,
        params: &Params,
        lens: &[usize],
        inputs: &[Operand],
        stepped: usize,
    ) -> Source {
        let geometry = Geometry::new(lens, inputs);
        let access = accesses(inputs.iter().map(|i| if lens[stepped] == 1 { 1 } else { i.strides[stepped] }));
        let as_it_lies = program.is_identity() && access[..] == [Access::Contiguous];
        let exec = (!as_it_lies).then(|| {
            Exec::new(tier, program, params, &access, true).unwrap_or_else(|| {
                unreachable!("internal error: the program has no kernel, so estimate should have rejected it")
            })
        });
        Source { geometry, stepped, exec, size: program.output().size() }
    }

    /// Returns whether elements are read in place. Large requests then cost nothing.
    pub fn is_direct(&self) -> bool {
        self.exec.is_none()
    }

    /// Returns temporaries for one thread, which requests at most `most` elements at once.
    ///
    /// # Errors
    /// Out of memory.
    pub fn room(&self, most: usize) -> Result<Room<'_>> {
        let strips = self.exec.as_ref().map(Exec::strips).transpose()?;
        Ok(Room { strips, values: Scratch::new(if self.is_direct() { 0 } else { most * self.size })? })
    }

    /// Returns the strides of the operands, for [`walk_many`](polyarray_core::walk::walk_many).
    pub fn strides(&self) -> SmallVec<[&[isize]; 8]> {
        self.geometry.strides.iter().map(|s| &s[..]).collect()
    }

    /// Returns the address in operand `o` that is `offset` elements from index zero and `i` steps along the axis.
    #[inline]
    fn address(&self, o: usize, offset: isize, i: usize) -> *const u8 {
        let g = &self.geometry;
        g.bases[o].wrapping_offset((offset + i as isize * g.strides[o][self.stepped]) * g.sizes[o] as isize)
    }

    /// Provides `n` elements from the `i`-th along the axis, for operands at `offsets`. They are in place, or in the
    /// room from element `at` on. Returns their address.
    ///
    /// # Safety
    /// - The elements lie within the operands.
    /// - `room` was created by this source for at least `at + n` elements, and the room's elements from `at` to
    ///   `at + n` do not hold values that are still to be read.
    pub unsafe fn values(&self, room: &mut Room, offsets: &[isize], i: usize, n: usize, at: usize) -> *const u8 {
        let Some(exec) = &self.exec else { return self.address(0, offsets[0], i) };
        let strips = room.strips.as_mut().expect("internal error: a program runs without temporaries");
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
            // SAFETY: all indices are within the operands and the room, which the caller guarantees. The room does not
            // overlap operands.
            unsafe {
                let gather = &mut |o: usize, to: *mut u8| {
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
