//! Programs on strips that run across axes: for index spaces whose innermost axis is short.
//!
//! A strip has the elements of consecutive numbers in C order. An operand that lies in this order without gaps is read
//! in place; one that depends only on the last axes is read from a block of repetitions; the elements of any other one
//! are copied together.

use crate::exec::{Access, Exec, Produced, Strips};
use crate::scratch::Scratch;
use crate::strided::Geometry;
use crate::tier::Tier;
use polyarray_core::op::Params;
use polyarray_core::walk::{copy_strided, dense, gather};
use polyarray_core::{Program, Result};
use smallvec::SmallVec;

/// The longest lines that are worth computing in strips of several lines.
const SHORT_LINE: usize = 512;
/// The most elements that an operand repeats if it is read from repetitions instead of being gathered.
const MOST_REPEATED: usize = 1024;

/// The way to an operand's elements if strips run across axes.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// In place: the elements lie in C order without gaps.
    Dense,
    /// One element for all.
    Single,
    /// The operand depends only on the last axes, which have this number of elements together. A strip reads them from
    /// a block of repetitions.
    Repeated(usize),
    /// The elements of a strip are copied together.
    Gathered,
}

impl Way {
    fn of(lens: &[usize], strides: &[isize]) -> Way {
        let constant = lens.iter().zip(strides).take_while(|&(&len, &s)| len == 1 || s == 0).count();
        let period: usize = lens[constant..].iter().product();
        match () {
            () if constant == lens.len() => Way::Single,
            () if dense(lens, strides) => Way::Dense,
            () if constant > 0 && period <= MOST_REPEATED => Way::Repeated(period),
            () => Way::Gathered,
        }
    }

    fn access(self) -> Access {
        match self {
            Way::Dense | Way::Repeated(_) => Access::Contiguous,
            Way::Single => Access::Single,
            Way::Gathered => Access::Gathered,
        }
    }
}

/// A program for strips across the axes of a geometry.
pub(crate) struct Flat {
    exec: Exec,
    ways: SmallVec<[Way; 8]>,
    /// The number of bytes of an element of the result.
    size: usize,
}

/// The memory of one thread: temporaries, and blocks of repetitions.
pub(crate) struct Room<'a> {
    strips: Strips<'a>,
    repeated: SmallVec<[Option<Scratch>; 8]>,
}

impl Flat {
    /// Prepares a program for the first `inputs` operands of a geometry. With `direct`, the last step may write to the
    /// `out` of [`run`](Self::run), which then must not overlap an operand. Returns `None` if an instruction has no
    /// kernel.
    pub fn new(
        tier: &'static Tier,
        program: &Program,
        params: &Params,
        g: &Geometry,
        inputs: usize,
        direct: bool,
    ) -> Option<Flat> {
        let ways: SmallVec<[Way; 8]> = g.strides[..inputs].iter().map(|strides| Way::of(&g.lens, strides)).collect();
        let access: SmallVec<[Access; 8]> = ways.iter().map(|way| way.access()).collect();
        let exec = Exec::new(tier, program, params, &access, direct)?;
        Some(Flat { exec, ways, size: program.output().size() })
    }

    /// Prepares a program that has kernels for lines along the last axis of a geometry, as [`new`](Self::new) with
    /// `direct`. Returns `None` if the lines are too long for several of them to be computed together.
    pub fn for_lines(
        tier: &'static Tier,
        program: &Program,
        params: &Params,
        g: &Geometry,
        inputs: usize,
    ) -> Option<Flat> {
        let len = *g.lens.last()?;
        let flat = (len <= SHORT_LINE).then(|| Flat::new(tier, program, params, g, inputs, true)).flatten()?;
        (2 * len <= flat.strip()).then_some(flat)
    }

    /// Returns the largest number of elements of a strip.
    pub fn strip(&self) -> usize {
        self.exec.strip
    }

    /// Returns memory for one thread. `g` is the geometry for which the program was prepared.
    ///
    /// # Errors
    /// Out of memory.
    pub fn room(&self, g: &Geometry) -> Result<Room<'_>> {
        let mut repeated = SmallVec::new();
        for (o, way) in self.ways.iter().enumerate() {
            repeated.push(match *way {
                Way::Repeated(period) => Some(self.repeat(g, o, period)?),
                Way::Dense | Way::Single | Way::Gathered => None,
            });
        }
        Ok(Room { strips: self.exec.strips()?, repeated })
    }

    /// Returns the elements of operand `o`, which repeat after `period`, for a strip from each of them on.
    fn repeat(&self, g: &Geometry, o: usize, period: usize) -> Result<Scratch> {
        let size = g.sizes[o];
        let all = (self.strip() + period) * size;
        let mut block = Scratch::new(all)?;
        let start = block.ptr();
        // SAFETY: the numbers are those of elements of the operand, and the block has room for `all` bytes, of which
        // the first `done` are written.
        unsafe {
            gather(&g.lens, &g.strides[o], 0..period, g.bases[o], start, size);
            let mut done = period * size;
            while done < all {
                let more = done.min(all - done);
                std::ptr::copy_nonoverlapping(start, start.add(done), more);
                done += more;
            }
        }
        Ok(block)
    }

    /// Computes the `n` elements from number `start` on.
    ///
    /// # Safety
    /// - `n` is at least 1 and at most [`strip`](Self::strip). The elements lie inside the operands of `g`, the
    ///   geometry for which the program was prepared; `room` was made by this program for it;
    /// - `out` is valid for writes of `n` elements of the result's dtype and overlaps no operand, if the program was
    ///   prepared with `direct`; otherwise it is not used.
    pub unsafe fn run(&self, g: &Geometry, room: &mut Room, start: usize, n: usize, out: *mut u8) -> Produced {
        let mut at: SmallVec<[*const u8; 8]> = SmallVec::new();
        for (o, way) in self.ways.iter().enumerate() {
            let base = g.bases[o].cast_const();
            at.push(match (way, &mut room.repeated[o]) {
                (Way::Dense, _) => base.wrapping_add(start * g.sizes[o]),
                (Way::Repeated(period), Some(block)) => block.ptr().wrapping_add(start % period * g.sizes[o]),
                _ => base,
            });
        }
        // SAFETY: the caller guarantees the elements and `out`. A block of repetitions has `strip` elements from each
        // position below its period on.
        unsafe {
            self.exec.run(&mut room.strips, &at, n, out, &mut |o, to| {
                gather(&g.lens, &g.strides[o], start..start + n, g.bases[o], to, g.sizes[o]);
            })
        }
    }

    /// Computes the `n` elements from number `start` on, in the order of their numbers without gaps: at the address
    /// that is returned, which may be `to`. The program was prepared with `direct`.
    ///
    /// # Safety
    /// - As [`run`](Self::run), with `to` as the output.
    pub unsafe fn elements(&self, g: &Geometry, room: &mut Room, start: usize, n: usize, to: *mut u8) -> *const u8 {
        // SAFETY: the caller guarantees the contract of `run`. `to` has room for `n` elements.
        unsafe {
            match self.run(g, room, start, n, to) {
                Produced::Written => to,
                Produced::Strip(from) => from,
                Produced::Single(from) => {
                    copy_strided(from, 0, to, 1, n, self.size);
                    to
                }
            }
        }
    }
}
