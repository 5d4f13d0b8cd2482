//! The strip executor: a program, prepared for operands of known strides, run strip by strip through temporaries that stay in L1.

use crate::kernels::{self, Args, Kernel};
use crate::lanes::Isa;
use crate::lower::{self, Lowered};
use crate::scratch::Scratch;
use polyarray_core::{DType, Instr, Program, Ref, Result, Scalar};
use std::marker::PhantomData;

/// Bytes that the strips of one program may take together: half of a small L1 cache.
const STRIPS_BYTES: usize = 16 << 10;
/// Strips are multiples of this many elements.
pub(crate) const STRIP_UNIT: usize = 64;

/// Where a value of a program is while a strip is worked on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// In an operand itself: an element for each index, or one for all.
    Input(usize),
    /// In a temporary strip.
    Temp(usize),
    /// A single value.
    Single(usize),
    /// In the output itself.
    Output,
}

/// How an operand is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Access {
    /// Its elements follow each other.
    Contiguous,
    /// One element for the whole strip.
    Single,
    /// Copied into a strip first, by whoever knows where they are.
    Gathered,
}

struct Step<I> {
    kernel: Kernel<I>,
    args: [Place; 3],
    out: Place,
    /// Computed once for the strip rather than for each element.
    single: bool,
}

/// A program ready to run.
///
/// Invariants: 1. a step's places are those that earlier steps, operands or parameters fill, of the dtypes its kernel expects;
/// 2. temporaries and single values numbered here exist in every [`Strips`] made for it.
pub(crate) struct Exec<I> {
    isa: I,
    steps: Vec<Step<I>>,
    access: Vec<Access>,
    /// The temporary strip of each gathered operand.
    gathered: Vec<Option<usize>>,
    singles: Vec<[u64; 2]>,
    temps: usize,
    temp_bytes: usize,
    result: Place,
    /// Elements of a strip.
    pub(crate) strip: usize,
}

/// The temporaries of one thread.
pub(crate) struct Strips<'a> {
    block: Scratch,
    singles: Vec<[u64; 2]>,
    exec: PhantomData<&'a ()>,
}

/// Where a strip's result is.
pub(crate) enum Produced {
    /// In the output that was given.
    Written,
    /// There, an element for each index.
    Strip(*const u8),
    /// There, one for all.
    Single(*const u8),
}

impl<I: Isa> Exec<I> {
    /// Prepares `program`. `direct`: the last step may write where [`run`](Self::run) is told to, which must not be an operand.
    /// `None` if it has an instruction without a kernel.
    pub(crate) fn new(
        isa: I,
        program: &Program,
        params: &[Scalar],
        access: &[Access],
        direct: bool,
    ) -> Option<Exec<I>> {
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
        let mut steps: Vec<Step<I>> = Vec::with_capacity(program.steps.len());
        for (at, step) in program.steps.iter().enumerate() {
            let operands = step.operands();
            let mut places = [Place::Single(0); 3];
            for (p, r) in places.iter_mut().zip(&operands) {
                *p = match *r {
                    Ref::Input(i) => gathered[i as usize].map_or(Place::Input(i as usize), Place::Temp),
                    Ref::Param(i) => Place::Single(i as usize),
                    Ref::Value(i) => b.places[i as usize],
                };
            }
            let single: [bool; 3] = std::array::from_fn(|i| i < operands.len() && is_single(places[i], access));
            let all_single = single.iter().filter(|s| **s).count() == operands.len();
            let found = find::<I>(step, &program, &operands, single, all_single)?;
            for i in (0..operands.len()).filter(|&i| found.spread[i]) {
                let temp = b.temp();
                let fill = kernels::fill::<I>(program.dtype_of(operands[i]));
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
            isa,
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

    /// Whether a run can be of any length: nothing is kept in strips.
    pub(crate) fn is_unbounded(&self) -> bool {
        self.temps == 0
    }

    /// Temporaries for one thread.
    pub(crate) fn strips(&self) -> Result<Strips<'_>> {
        Ok(Strips {
            block: Scratch::new(self.temps * self.temp_bytes)?,
            singles: self.singles.clone(),
            exec: PhantomData,
        })
    }

    /// Computes `n` elements. `at[i]` is operand i's first element (unless it is gathered); `gather(i, to)` copies a gathered one's `n` elements to `to`.
    ///
    /// # Safety
    /// - `n` is at least 1 and at most [`strip`](Self::strip), unless [`is_unbounded`](Self::is_unbounded);
    /// - `at[i]` is valid for reads of `n` elements of its dtype, or of one where its access is single; `gather` writes `n` elements of its dtype;
    /// - `out` is valid for writes of `n` elements of the result's dtype and overlaps no operand, if the program was made `direct`; else it is not used;
    /// - `strips` came from this program.
    pub(crate) unsafe fn run(
        &self,
        strips: &mut Strips,
        at: &[*const u8],
        n: usize,
        out: *mut u8,
        mut gather: impl FnMut(usize, *mut u8),
    ) -> Produced {
        let block = strips.block.ptr();
        // SAFETY: temporaries are numbered below `temps`, each of `temp_bytes` (invariant 2).
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
                // SAFETY: single values are numbered below the length of both vectors (invariant 2).
                Place::Single(s) => unsafe { singles.add(s).cast() },
                Place::Output => out,
            }
        };
        for step in &self.steps {
            let [a, b, c] = step.args.map(locate);
            let args = Args { a, b, c, out: locate(step.out), n: if step.single { 1 } else { n } };
            // SAFETY: invariant 1 and the caller's promises are the kernel's contract; a temporary is never reused while a later step of this strip reads it.
            unsafe { (step.kernel)(self.isa, &args) };
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

/// The kernel of a step, and which of its single values it wants spread out.
struct Found<I> {
    kernel: Kernel<I>,
    spread: [bool; 3],
}

/// The kernel of a step whose operands are single values where `single` says so.
fn find<I: Isa>(
    step: &lower::Step,
    program: &Lowered,
    operands: &[Ref],
    single: [bool; 3],
    all_single: bool,
) -> Option<Found<I>> {
    let dtype = |i: usize| program.dtype_of(operands[i]);
    let mask = single.iter().enumerate().map(|(i, &s)| usize::from(s) << i).sum();
    let none = [false; 3];
    let spread = if all_single { none } else { single };
    let (kernel, spread) = match *step {
        lower::Step::Product(tail, _) => (kernels::product(tail, mask, dtype(0))?, none),
        lower::Step::Plain(instr) => match instr {
            Instr::Unary(op, _) => (kernels::unary(op, dtype(0))?, none),
            Instr::Binary(op, ..) => {
                let forms = kernels::binary(op, dtype(0))?;
                match single {
                    [false, true, _] if forms[1].is_some() => (forms[1]?, none),
                    [true, false, _] if forms[2].is_some() => (forms[2]?, none),
                    _ => (forms[0]?, spread),
                }
            }
            Instr::Select(..) => (kernels::select(dtype(1)), spread),
            Instr::MulAdd(..) => (kernels::product(kernels::Tail::Fused, mask, dtype(0))?, none),
            Instr::Cast(to, _) => (kernels::cast(dtype(0), to)?, none),
        },
    };
    Some(Found { kernel, spread })
}

/// What this device has no kernel for, if there is such an instruction. Asked for every operation: allocates nothing.
pub(crate) fn missing<I: Isa>(program: &Program) -> Option<String> {
    let lacks = |instr: &&Instr| {
        let dtype = lower::computed_in(program.dtype_of(instr.operands()[0]));
        match **instr {
            Instr::Unary(op, _) => kernels::unary::<I>(op, dtype).is_none(),
            Instr::Binary(op, ..) => kernels::binary::<I>(op, dtype).is_none(),
            // These are defined for what they have kernels for.
            Instr::Select(..) | Instr::MulAdd(..) | Instr::Cast(..) => false,
        }
    };
    program
        .instrs()
        .iter()
        .find(lacks)
        .map(|i| format!("it has no {} for {}", i.name(), program.dtype_of(i.operands()[0])))
}

/// For each instruction, the last one that reads it (or one past the end for the result).
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

/// Which temporary holds what while steps are laid out.
struct Builder {
    places: Vec<Place>,
    last_use: Vec<usize>,
    free: Vec<usize>,
    temps: usize,
    /// Temporaries that hold spread-out single values, and the step that reads them.
    spread: Vec<(usize, usize)>,
}

impl Builder {
    fn temp(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.temps += 1;
            self.temps - 1
        })
    }

    /// Frees the temporaries that are not read after step `at`.
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
