//! The strip executor: prepares a program for operands of known strides and runs it strip by strip, through
//! temporaries that stay in L1.

use crate::kernels::{self, Args, Kernel};
use crate::lower::{self, Lowered};
use crate::scratch::Scratch;
use crate::tier::Tier;
use polyarray_core::{DType, Instr, Program, Ref, Result, Scalar};
use std::marker::PhantomData;

/// The most bytes of all strips of one program together: half of a small L1 cache.
const STRIPS_BYTES: usize = 16 << 10;
/// The lengths of strips are multiples of this many elements.
pub(crate) const STRIP_UNIT: usize = 64;

/// The location of a value of a program while a strip is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// An operand in place: one element per index, or a single value for all.
    Input(usize),
    /// A temporary strip.
    Temp(usize),
    /// A single value.
    Single(usize),
    /// The output in place.
    Output,
}

/// How an operand is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Access {
    /// The elements are contiguous.
    Contiguous,
    /// One element for the whole strip.
    Single,
    /// The elements are first copied into a strip, by the `gather` passed to [`Exec::run`].
    Gathered,
}

struct Step {
    kernel: Kernel,
    args: [Place; 3],
    out: Place,
    /// Computed once per strip instead of once per element.
    single: bool,
}

/// A program ready to run.
///
/// Invariants:
/// 1. each place that a step reads is an operand, a parameter or the output of an earlier step, and has the dtype
///    that the step's kernel expects;
/// 2. all numbers of temporaries and single values are valid in every [`Strips`] made for this program;
/// 3. the kernels are those of a tier whose features the CPU has ([`Tier`]).
pub(crate) struct Exec {
    steps: Vec<Step>,
    access: Vec<Access>,
    /// The temporary strip of each gathered operand.
    gathered: Vec<Option<usize>>,
    singles: Vec<[u64; 2]>,
    temps: usize,
    temp_bytes: usize,
    result: Place,
    /// The number of elements of a strip.
    pub(crate) strip: usize,
}

/// The temporaries of one thread.
pub(crate) struct Strips<'a> {
    block: Scratch,
    singles: Vec<[u64; 2]>,
    exec: PhantomData<&'a ()>,
}

/// The location of a strip's result.
pub(crate) enum Produced {
    /// In the output passed to [`Exec::run`].
    Written,
    /// At this address, one element per index.
    Strip(*const u8),
    /// At this address, a single value for all.
    Single(*const u8),
}

impl Exec {
    /// Prepares `program`. With `direct`, the last step may write to the `out` of [`run`](Self::run), which then must
    /// not overlap an operand. Returns `None` if an instruction has no kernel.
    pub(crate) fn new(
        tier: &'static Tier,
        program: &Program,
        params: &[Scalar],
        access: &[Access],
        direct: bool,
    ) -> Option<Exec> {
        let program = Lowered::new(program);
        let mut b = Builder {
            places: Vec::new(),
            last_use: last_uses(&program),
            free: Vec::new(),
            temps: 0,
            spread: Vec::new(),
        };
        let mut singles: Vec<[u64; 2]> = params.iter().map(single_bytes).collect();
        let gathered: Vec<Option<usize>> = access.iter().map(|a| (*a == Access::Gathered).then(|| b.temp())).collect();
        let mut steps: Vec<Step> = Vec::with_capacity(program.steps.len());
        for (at, step) in program.steps.iter().enumerate() {
            let operands = step.operands();
            let mut places = [Place::Single(0); 3];
            for (p, r) in places.iter_mut().zip(operands.iter()) {
                *p = match *r {
                    Ref::Input(i) => gathered[i as usize].map_or(Place::Input(i as usize), Place::Temp),
                    Ref::Param(i) => Place::Single(i as usize),
                    Ref::Value(i) => b.places[i as usize],
                };
            }
            let single: [bool; 3] = std::array::from_fn(|i| i < operands.len() && is_single(places[i], access));
            let all_single = single.iter().filter(|s| **s).count() == operands.len();
            let found = find(tier, step, &program, &operands, single, all_single)?;
            for i in (0..operands.len()).filter(|&i| found.spread[i]) {
                let temp = b.temp();
                let fill = kernels::fill(program.dtype_of(operands[i]));
                steps.push(Step { kernel: fill, args: [places[i]; 3], out: Place::Temp(temp), single: false });
                places[i] = Place::Temp(temp);
                b.spread.push((temp, at));
            }
            let last = at + 1 == program.steps.len();
            let out = if all_single {
                singles.push([0; 2]);
                Place::Single(singles.len() - 1)
            } else if last && direct && program.result == Ref::Value(at as u32) {
                Place::Output
            } else {
                Place::Temp(b.temp())
            };
            steps.push(Step { kernel: found.kernel, args: places, out, single: all_single });
            b.places.push(out);
            b.release(at);
        }
        let result = match program.result {
            Ref::Input(i) => gathered[i as usize].map_or(Place::Input(i as usize), Place::Temp),
            Ref::Param(i) => Place::Single(i as usize),
            Ref::Value(i) => b.places[i as usize],
        };
        let widest = program.all_dtypes().map(DType::size).max().unwrap_or(8);
        let live = b.temps + access.iter().filter(|a| **a == Access::Contiguous).count() + 1;
        let strip = (STRIPS_BYTES / (widest * live)).clamp(2 * STRIP_UNIT, 2048) / STRIP_UNIT * STRIP_UNIT;
        Some(Exec {
            steps,
            access: access.into(),
            gathered,
            singles,
            temps: b.temps,
            temp_bytes: strip * widest,
            result,
            strip,
        })
    }

    /// Returns whether a run can have any length, because the program uses no temporary strips.
    pub(crate) fn is_unbounded(&self) -> bool {
        self.temps == 0
    }

    /// Allocates the temporaries for one thread.
    pub(crate) fn strips(&self) -> Result<Strips<'_>> {
        Ok(Strips {
            block: Scratch::new(self.temps * self.temp_bytes)?,
            singles: self.singles.clone(),
            exec: PhantomData,
        })
    }

    /// Computes `n` elements. `at[i]` is the first element of operand i, unless it is gathered; `gather(i, to)`
    /// copies the `n` elements of gathered operand i to `to`.
    ///
    /// # Safety
    /// - `n` is at least 1 and at most [`strip`](Self::strip), unless [`is_unbounded`](Self::is_unbounded);
    /// - `at[i]` is valid for reads of `n` elements of its dtype, or of one if its access is single; `gather` writes
    ///   `n` elements of the operand's dtype;
    /// - `out` is valid for writes of `n` elements of the result's dtype and overlaps no operand, if the program was
    ///   prepared with `direct`; otherwise it is not used;
    /// - `strips` was made by this program's [`strips`](Self::strips).
    pub(crate) unsafe fn run(
        &self,
        strips: &mut Strips,
        at: &[*const u8],
        n: usize,
        out: *mut u8,
        gather: &mut dyn FnMut(usize, *mut u8),
    ) -> Produced {
        let block = strips.block.ptr();
        // SAFETY: the numbers of temporaries are below `temps`, and the block has `temp_bytes` for each (invariant
        // 2).
        let temp = |t: usize| unsafe { block.add(t * self.temp_bytes) };
        for (i, t) in self.gathered.iter().enumerate() {
            if let Some(t) = t {
                gather(i, temp(*t));
            }
        }
        let singles = strips.singles.as_mut_ptr();
        let locate = |place: Place| -> *mut u8 {
            match place {
                Place::Input(i) => at[i].cast_mut(),
                Place::Temp(t) => temp(t),
                // SAFETY: the numbers of single values are below the length of both vectors (invariant 2).
                Place::Single(s) => unsafe { singles.add(s).cast() },
                Place::Output => out,
            }
        };
        for step in &self.steps {
            let [a, b, c] = step.args.map(locate);
            let args = Args { a, b, c, out: locate(step.out), n: if step.single { 1 } else { n } };
            // SAFETY: invariants 1 and 3 and the caller's guarantees for `at`, `n` and `out` fulfil the kernel's
            // contract. A temporary is not reused while a later step of this strip reads it.
            unsafe { (step.kernel)(&args) };
        }
        match self.result {
            Place::Output => Produced::Written,
            p if is_single(p, &self.access) => Produced::Single(locate(p)),
            p => Produced::Strip(locate(p)),
        }
    }
}

fn is_single(place: Place, access: &[Access]) -> bool {
    match place {
        Place::Single(_) => true,
        Place::Input(i) => access[i] == Access::Single,
        Place::Temp(_) | Place::Output => false,
    }
}

fn single_bytes(value: &Scalar) -> [u64; 2] {
    let mut bytes = [0u8; 16];
    bytes[..value.bytes().len()].copy_from_slice(value.bytes());
    [
        u64::from_ne_bytes(bytes[..8].try_into().expect("8 bytes")),
        u64::from_ne_bytes(bytes[8..].try_into().expect("8 bytes")),
    ]
}

/// The kernel of a step, and which of its single-value operands must be expanded to strips.
struct Found {
    kernel: Kernel,
    spread: [bool; 3],
}

/// Finds the kernel of a step; `single` says which operands are single values.
fn find(
    tier: &Tier,
    step: &lower::Step,
    program: &Lowered,
    operands: &[Ref],
    single: [bool; 3],
    all_single: bool,
) -> Option<Found> {
    let dtype = |i: usize| program.dtype_of(operands[i]);
    let mask = single.iter().enumerate().map(|(i, &s)| usize::from(s) << i).sum();
    let none = [false; 3];
    let spread = if all_single { none } else { single };
    let (kernel, spread) = match *step {
        lower::Step::Product(tail, _) => (tier.kernels.product(tail, mask, dtype(0))?, none),
        lower::Step::Plain(instr) => match instr {
            Instr::Unary(op, _) => (tier.kernels.unary(op, dtype(0))?, none),
            Instr::Binary(op, ..) => {
                let forms = tier.kernels.binary(op, dtype(0))?;
                match single {
                    [false, true, _] if forms[1].is_some() => (forms[1]?, none),
                    [true, false, _] if forms[2].is_some() => (forms[2]?, none),
                    _ => (forms[0]?, spread),
                }
            }
            Instr::Select(..) => (tier.kernels.select(dtype(1)), spread),
            Instr::MulAdd(..) => (tier.kernels.product(kernels::Tail::Fused, mask, dtype(0))?, none),
            Instr::Cast(to, _) => (tier.kernels.cast(dtype(0), to)?, none),
        },
    };
    Some(Found { kernel, spread })
}

/// Returns a description of the first instruction that has no kernel on this device, if any. It runs for every
/// operation, so it allocates only if there is one.
pub(crate) fn missing(tier: &Tier, program: &Program) -> Option<String> {
    let lacks = |instr: &&Instr| {
        let dtype = lower::computed_in(program.dtype_of(instr.operands()[0]));
        match **instr {
            Instr::Unary(op, _) => tier.kernels.unary(op, dtype).is_none(),
            Instr::Binary(op, ..) => tier.kernels.binary(op, dtype).is_none(),
            // These instructions are defined only for dtypes that have kernels.
            Instr::Select(..) | Instr::MulAdd(..) | Instr::Cast(..) => false,
        }
    };
    program
        .instrs()
        .iter()
        .find(lacks)
        .map(|i| format!("simd has no {} for {}; use another device", i.name(), program.dtype_of(i.operands()[0])))
}

/// Returns for each step the last step that reads its value: the step itself if none does, `usize::MAX` for the
/// program's result.
fn last_uses(program: &Lowered) -> Vec<usize> {
    let mut last: Vec<usize> = (0..program.steps.len()).collect();
    for (at, step) in program.steps.iter().enumerate() {
        for r in step.operands() {
            if let Ref::Value(i) = r {
                last[i as usize] = at;
            }
        }
    }
    if let Ref::Value(i) = program.result {
        last[i as usize] = usize::MAX;
    }
    last
}

/// Assigns temporaries to values while the steps are laid out.
struct Builder {
    places: Vec<Place>,
    last_use: Vec<usize>,
    free: Vec<usize>,
    temps: usize,
    /// The temporaries that hold expanded single values, each with the step that reads it.
    spread: Vec<(usize, usize)>,
}

impl Builder {
    fn temp(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.temps += 1;
            self.temps - 1
        })
    }

    /// Frees the temporaries that no step after `at` reads.
    fn release(&mut self, at: usize) {
        for (value, place) in self.places.iter().enumerate() {
            if let Place::Temp(t) = place
                && self.last_use[value] == at
                && !self.free.contains(t)
            {
                self.free.push(*t);
            }
        }
        let free = &mut self.free;
        self.spread.retain(|&(t, step)| {
            if step == at {
                free.push(t);
            }
            step != at
        });
    }
}
