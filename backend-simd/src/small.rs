//! Small work, without preparation. Elementwise programs on contiguous operands: each instruction runs its kernel on a
//! strip.
//!
//! The kernels are those of [`exec`](crate::exec), and a product that only one sum or difference reads is computed with
//! it as in [`lower`](crate::lower), so that both paths give the same bits.

use crate::kernels::{self, Args, Kernel, Tail, cast_by_way_of};
use crate::lower::{Expanded, is_half, rename};
use crate::tier::Tier;
use crate::{reduce, scan, sort};
use polyarray_core::{
    Binary, DType, Instr, Operands, Prepared, PreparedWork, Program, Ref, Scalar, Small, SmallMap, Unary, Wide,
};
use smallvec::SmallVec;
use std::mem::MaybeUninit;

/// The largest number of instructions.
const STEPS: usize = 8;
/// The number of temporary strips, and the size of each in bytes. Together they fit into a small L1 cache, and most
/// programs need one or two.
const TEMPS: usize = 4;
const TEMP_BYTES: usize = 8 << 10;

/// The largest number of elements for which a kernel writes over its operand. The compiler's loops then run without
/// vectors, because they check that operands and output do not overlap.
const IN_PLACE: usize = 8;

/// A temporary strip.
#[repr(align(64))]
struct Temp(#[expect(dead_code, reason = "accessed through pointers")] [MaybeUninit<u8>; TEMP_BYTES]);

/// The place of a value while a strip is computed.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Input(u32),
    /// A parameter: one value for all elements.
    Param(u32),
    Temp(u32),
    Output,
}

/// A kernel with its operands and its output.
struct Step {
    kernel: Kernel,
    args: [Place; 3],
    out: Place,
}

/// Runs small work. Returns `false`, with nothing written, if it needs preparation.
///
/// # Safety
/// - `work` keeps the invariants of its variant.
pub(crate) unsafe fn run(tier: &'static Tier, work: &Small) -> bool {
    // SAFETY: the caller guarantees the invariants, and the CPU has the features of the tier ([`Tier`]).
    unsafe {
        match work {
            Small::Map(work) => map(tier, work),
            Small::Product(work) => (tier.small_product)(work),
            Small::Reduce(work) => reduce::small(tier, work),
            Small::Scan(work) => scan::small(tier, work),
            Small::Sort(work) => sort::small(&tier.sort, work),
        }
    }
}

/// Runs a program. Returns `false`, with nothing written, if it is too long, an instruction has no kernel, or too many
/// values are live at once.
///
/// # Safety
/// - `map` keeps the invariants of [`SmallMap`].
unsafe fn map(tier: &'static Tier, map: &SmallMap) -> bool {
    let aliased = map.operands.iter().any(|&p| std::ptr::eq(p, map.out));
    match map.instrs {
        // SAFETY: the caller guarantees the invariants of `SmallMap`, which are all that the functions require.
        [i @ (Instr::Unary(..) | Instr::Binary(..) | Instr::Cast(..))] if !aliased || map.len <= IN_PLACE => unsafe {
            // `aliased` says whether an operand is the output.
            single(tier, map, *i) || strips(tier, map, aliased)
        },
        // SAFETY: the caller guarantees the invariants of `SmallMap`, and `aliased` is computed above.
        _ => unsafe { strips(tier, map, aliased) },
    }
}

/// Runs a program strip by strip.
///
/// # Safety
/// - `map` keeps the invariants of [`SmallMap`]; `aliased` is true if an operand is the output.
#[inline(never)]
unsafe fn strips(tier: &Tier, map: &SmallMap, aliased: bool) -> bool {
    let mut dtypes = map.inputs.iter().chain(map.dtypes).copied();
    let indirect = |i: &Instr| matches!(*i, Instr::Cast(to, x) if !is_direct_cast(map.dtype_of(x), to));
    if dtypes.any(is_half) || map.instrs.iter().any(indirect) {
        // SAFETY: the caller guarantees what `aliased` says and the invariants of `SmallMap`.
        return unsafe { expanded(tier, map, aliased) };
    }
    // SAFETY: the caller guarantees what `aliased` says and the invariants of `SmallMap`.
    unsafe { planned(tier, map, aliased) }
}

/// Runs a program with half floats or casts that have no kernel, with the casts that it needs.
///
/// # Safety
/// - as [`strips`].
#[inline(never)]
unsafe fn expanded(tier: &Tier, map: &SmallMap, aliased: bool) -> bool {
    let outside = |r| map.dtype_of(r);
    let wide = Expanded::new(map.instrs, map.dtypes.iter().copied(), map.result, &outside);
    let mut params: SmallVec<[Scalar; 4]> = SmallVec::from_slice(map.params);
    let (mut instrs, mut dtypes) = (SmallVec::<[Instr; STEPS]>::new(), SmallVec::<[DType; STEPS]>::new());
    let mut renamed = SmallVec::<[Ref; STEPS]>::new();
    for (instr, &gives) in wide.instrs.iter().zip(&wide.dtypes) {
        match instr.map_refs(|r| rename(r, &renamed)) {
            // A parameter is converted once.
            Instr::Cast(DType::F32, Ref::Param(i)) if is_half(params[i as usize].dtype()) => {
                renamed.push(Ref::Param(params.len() as u32));
                params.push(Scalar::from_wide(DType::F32, params[i as usize].to_wide()));
            }
            instr => {
                renamed.push(Ref::Value(instrs.len() as u32));
                instrs.push(instr);
                dtypes.push(gives);
            }
        }
    }
    let result = rename(wide.result, &renamed);
    let wide = SmallMap { params: &params, instrs: &instrs, dtypes: &dtypes, result, ..*map };
    // SAFETY: the program has the same operands and result, which the caller guarantees.
    unsafe { planned(tier, &wide, aliased) }
}

/// Runs a program all of whose instructions have kernels strip by strip. Returns `false` if one has none, or it is too
/// long.
///
/// # Safety
/// - as [`strips`].
#[inline(always)]
unsafe fn planned(tier: &Tier, map: &SmallMap, aliased: bool) -> bool {
    let Some(strips) = Strips::of(tier, map, aliased) else { return false };
    let param = |i: usize| map.params[i].bytes().as_ptr();
    // SAFETY: the caller guarantees the invariants of `map` and `aliased`, for which the steps were chosen.
    unsafe { strips.run(map.operands, param, map.len, map.out) };
    true
}

/// The steps of a program, and the sizes of its elements.
struct Strips {
    steps: SmallVec<[Step; STEPS]>,
    temps: usize,
    /// The size in bytes of an element of each operand, of the widest value, and of the result.
    sizes: SmallVec<[usize; 8]>,
    widest: usize,
    out_size: usize,
}

impl Strips {
    /// Returns the steps of a program, of whose operands one is the output if it is `aliased`.
    #[inline(always)]
    fn of(tier: &Tier, map: &SmallMap, aliased: bool) -> Option<Strips> {
        let mut steps = SmallVec::new();
        let temps = plan(tier, map, &mut steps, aliased)?;
        let sizes = map.inputs.iter().map(|d| d.size()).collect();
        let widest = map.dtypes.iter().chain(map.inputs).map(|d| d.size()).max().unwrap_or(1);
        Some(Strips { steps, temps, sizes, widest, out_size: map.dtype_of(map.result).size() })
    }

    /// Runs the steps strip by strip.
    ///
    /// # Safety
    /// - `operands`, the parameters that `param` returns, `len` and `out` keep the invariants of [`SmallMap`] for the
    ///   program of the steps;
    /// - unless the steps were chosen for it, no operand is the output.
    #[inline(always)]
    unsafe fn run(&self, operands: &[*const u8], param: impl Fn(usize) -> *const u8, len: usize, out: *mut u8) {
        let strip = if self.temps == 0 { len } else { TEMP_BYTES / self.widest };
        let mut block = [const { MaybeUninit::<Temp>::uninit() }; TEMPS];
        let block = block.as_mut_ptr().cast::<Temp>();
        let mut at = 0;
        while at < len {
            let n = strip.min(len - at);
            // Every address lies inside its operand, the output or a temporary, because `at < len` and the plan counts
            // temporaries below TEMPS.
            let output = out.wrapping_add(at * self.out_size);
            let locate = |place: Place| -> *mut u8 {
                match place {
                    Place::Input(i) => operands[i as usize].wrapping_add(at * self.sizes[i as usize]).cast_mut(),
                    Place::Param(i) => param(i as usize).cast_mut(),
                    Place::Temp(i) => block.wrapping_add(i as usize).cast(),
                    Place::Output => output,
                }
            };
            for step in &self.steps {
                let [a, b, c] = step.args.map(locate);
                let args = Args { a, b, c, out: locate(step.out), n };
                // SAFETY: operands and output hold n elements from `at` on, and a temporary holds a strip of the widest
                // dtype. All are aligned (the caller; temporaries begin at multiples of 64 bytes). No step writes over
                // an operand of its own or over a value that a later step reads: `plan` places its result in a
                // temporary that holds none, or in the output if no operand lies there.
                unsafe { (step.kernel)(&args) };
            }
            let result = self.steps.last().map_or(Place::Output, |step| step.out);
            if result != Place::Output {
                // SAFETY: the temporary holds n results, the output has room for them, and they do not overlap.
                unsafe { std::ptr::copy_nonoverlapping(locate(result), output, n * self.out_size) };
            }
            at += n;
        }
    }
}

/// A program that was prepared for calls with different operands.
struct PreparedStrips {
    /// The steps on parameters alone, which run once in a call. Their results follow the parameters of the program.
    uniform: SmallVec<[Step; 1]>,
    /// The steps if no operand is the output.
    apart: Strips,
    /// The steps if one is, unless these need too many temporaries.
    aliased: Option<Strips>,
}

/// The result of a step on parameters, of any dtype.
#[derive(Clone, Copy)]
#[repr(align(16))]
struct Slot(#[expect(dead_code, reason = "accessed through pointers")] [MaybeUninit<u8>; 16]);

impl Prepared for PreparedStrips {
    unsafe fn run(&self, work: &PreparedWork) -> bool {
        let is_output = |&p: &*const u8| std::ptr::eq(p, work.out);
        let strips = if work.operands.iter().any(is_output) { self.aliased.as_ref() } else { Some(&self.apart) };
        let Some(strips) = strips else { return false };
        let mut slots = [const { MaybeUninit::<Slot>::uninit() }; STEPS];
        let slots = slots.as_mut_ptr().cast::<Slot>();
        let param = |i: usize| match work.params.get(i) {
            Some(given) => *given,
            None => slots.wrapping_add(i - work.params.len()).cast_const().cast(),
        };
        for (i, step) in self.uniform.iter().enumerate() {
            let [a, b, c] = step.args.map(|place| match place {
                Place::Param(i) => param(i as usize),
                Place::Input(_) | Place::Temp(_) | Place::Output => unreachable!("the step reads parameters"),
            });
            let args = Args { a, b, c, out: slots.wrapping_add(i).cast(), n: 1 };
            // SAFETY: the operands are parameters, which the caller guarantees, or results of earlier such steps. A
            // slot is aligned and large enough for every dtype, and there are at most STEPS.
            unsafe { (step.kernel)(&args) };
        }
        // SAFETY: the caller guarantees the invariants of `PreparedWork`, which are those of `SmallMap`. The steps were
        // chosen for whether an operand is the output, and the slots that they read were written above.
        unsafe { strips.run(work.operands, param, work.len, work.out) };
        true
    }
}

/// Prepares a program. Returns `None` for the programs that [`map`] refuses, except that steps on parameters alone are
/// accepted.
pub(crate) fn prepare(tier: &Tier, program: &Program) -> Option<Box<dyn Prepared>> {
    // Only the dtypes of parameters matter.
    let zero = |dtype: DType| Scalar::from_wide(dtype, Wide::Int(0));
    let mut params: SmallVec<[Scalar; 8]> = program.params().iter().map(|&dtype| zero(dtype)).collect();
    let (mut uniform, mut instrs) = (SmallVec::new(), SmallVec::<[Instr; STEPS]>::new());
    let (mut dtypes, mut values) = (SmallVec::<[DType; STEPS]>::new(), SmallVec::<[Ref; STEPS]>::new());
    let renamed = |r: Ref, values: &[Ref]| match r {
        Ref::Value(i) => values[i as usize],
        Ref::Input(_) | Ref::Param(_) => r,
    };
    for (i, instr) in program.instrs().iter().enumerate() {
        let instr = instr.map_refs(|r| renamed(r, &values));
        let dtype = program.dtype_of(Ref::Value(i as u32));
        if instr.operands().iter().copied().all(is_param) {
            uniform.push(uniform_step(tier, &instr, &params)?);
            values.push(Ref::Param(params.len() as u32));
            params.push(zero(dtype));
        } else {
            values.push(Ref::Value(instrs.len() as u32));
            instrs.push(instr);
            dtypes.push(dtype);
        }
    }
    if uniform.len() > STEPS {
        return None;
    }
    let map = SmallMap {
        inputs: program.inputs(),
        operands: &[],
        params: &params,
        instrs: &instrs,
        dtypes: &dtypes,
        result: renamed(program.result(), &values),
        len: 1,
        out: std::ptr::null_mut(),
    };
    let (apart, aliased) = (Strips::of(tier, &map, false)?, Strips::of(tier, &map, true));
    Some(Box::new(PreparedStrips { uniform, apart, aliased }))
}

/// Returns the step that computes an instruction of parameters, with the kernel for strips of operands.
fn uniform_step(tier: &Tier, instr: &Instr, params: &[Scalar]) -> Option<Step> {
    let operands = instr.operands();
    let place = |r: Ref| match r {
        Ref::Param(i) => Place::Param(i),
        Ref::Input(_) | Ref::Value(_) => unreachable!("the instruction reads parameters"),
    };
    let dtype_of = |r: Ref| match r {
        Ref::Param(i) => params[i as usize].dtype(),
        Ref::Input(_) | Ref::Value(_) => unreachable!("the instruction reads parameters"),
    };
    let dtype = dtype_of(operands[0]);
    let kernel = match *instr {
        Instr::Unary(op, _) => tier.kernels.unary(op, dtype)?,
        Instr::Binary(op, ..) => tier.kernels.binary(op, dtype)?[0]?,
        Instr::Select(_, x, _) => tier.kernels.select(dtype_of(x)),
        Instr::MulAdd(..) => tier.kernels.product(Tail::Fused, 0, dtype)?,
        Instr::Cast(to, _) if is_direct_cast(dtype, to) => tier.kernels.cast(dtype, to)?,
        Instr::Cast(..) => return None,
    };
    let mut args = [place(operands[0]); 3];
    args.iter_mut().zip(operands).for_each(|(arg, r)| *arg = place(r));
    Some(Step { kernel, args, out: Place::Output })
}

/// Runs a program of one instruction.
///
/// # Safety
/// - `map` keeps the invariants of [`SmallMap`], and `instr` is its only instruction.
unsafe fn single(tier: &'static Tier, map: &SmallMap, instr: Instr) -> bool {
    let pointer = |r: Ref| match r {
        Ref::Input(i) => map.operands[i as usize],
        Ref::Param(i) => map.params[i as usize].bytes().as_ptr(),
        Ref::Value(_) => unreachable!("there is no earlier instruction"),
    };
    let (kernel, a, b) = match instr {
        Instr::Unary(op, x @ Ref::Input(_)) => (tier.kernels.unary(op, map.dtype_of(x)), x, x),
        Instr::Binary(op, x, y) if !(is_param(x) && is_param(y)) => {
            let form = if is_param(y) { 1 } else { usize::from(is_param(x)) * 2 };
            (tier.kernels.binary(op, map.dtype_of(x)).and_then(|forms| forms[form]), x, y)
        }
        Instr::Cast(to, x @ Ref::Input(_)) if is_direct_cast(map.dtype_of(x), to) => {
            (tier.kernels.cast(map.dtype_of(x), to), x, x)
        }
        _ => return false,
    };
    let Some(kernel) = kernel.filter(|_| map.result == Ref::Value(0)) else { return false };
    let args = Args { a: pointer(a), b: pointer(b), c: pointer(a), out: map.out, n: map.len };
    // SAFETY: operands have n elements, or one where the form of the kernel expects a single value; the output has n,
    // and an operand that overlaps it is the output (invariants of `SmallMap`).
    unsafe { kernel(&args) };
    true
}

/// Returns whether one kernel of strips converts `from` to `to`.
fn is_direct_cast(from: DType, to: DType) -> bool {
    cast_by_way_of(from, to).is_none()
}

#[inline(always)]
fn is_param(r: Ref) -> bool {
    matches!(r, Ref::Param(_))
}

/// Returns a bit for each operand that is a parameter.
fn mask(operands: &[Ref]) -> usize {
    operands.iter().enumerate().map(|(i, &r)| usize::from(is_param(r)) << i).sum()
}

/// Chooses a kernel for each instruction and a place for each value. Appends the steps to `steps` and returns the
/// number of temporaries. If the output is `aliased`, the last step writes a temporary.
fn plan(tier: &Tier, map: &SmallMap, steps: &mut SmallVec<[Step; STEPS]>, aliased: bool) -> Option<usize> {
    let count = map.instrs.len();
    let ends_with_result = count > 0 && map.result == Ref::Value(count as u32 - 1);
    if count > STEPS || !ends_with_result {
        return None;
    }
    let fused = fused(map);
    // The last step that reads each value.
    let mut last = [0; STEPS];
    for (at, instr) in map.instrs.iter().enumerate() {
        // The operands of a product are read where its sum is computed.
        let at = fused[at].unwrap_or(at);
        for r in instr.operands() {
            if let Ref::Value(i) = r {
                // A product before this step may be read where its sum is, after it.
                last[i as usize] = at.max(last[i as usize]);
            }
        }
    }
    let mut places = [Place::Output; STEPS];
    let (mut live, mut used) = ([false; TEMPS], 0);
    for (at, instr) in map.instrs.iter().enumerate() {
        if fused[at].is_some() {
            continue;
        }
        let Found { kernel, operands, spread } = kernel(tier, map, &fused, instr)?;
        let mut args = [Place::Output; 3];
        let mut expanded = SmallVec::<[usize; 2]>::new();
        for (arg, r) in args.iter_mut().zip(operands) {
            *arg = match r {
                Ref::Input(i) => Place::Input(i),
                Ref::Param(i) if spread => {
                    let t = live.iter().position(|live| !live)?;
                    live[t] = true;
                    used = used.max(t + 1);
                    expanded.push(t);
                    let (fill, out) = (kernels::fill(map.dtype_of(r)), Place::Temp(t as u32));
                    steps.push(Step { kernel: fill, args: [Place::Param(i); 3], out });
                    out
                }
                Ref::Param(i) => Place::Param(i),
                Ref::Value(i) => places[i as usize],
            };
        }
        let out = if at + 1 == count && !aliased {
            Place::Output
        } else {
            let t = live.iter().position(|live| !live)?;
            live[t] = true;
            used = used.max(t + 1);
            Place::Temp(t as u32)
        };
        places[at] = out;
        // Released after the result is placed: the compiler's loops are slow where a result overwrites an operand.
        for r in operands {
            if let Ref::Value(i) = r
                && last[i as usize] == at
                && let Place::Temp(t) = places[i as usize]
            {
                live[t as usize] = false;
            }
        }
        expanded.into_iter().for_each(|t| live[t] = false);
        steps.push(Step { kernel, args, out });
    }
    Some(used)
}

/// For each instruction, the sum or difference with which it is computed, if it is a product that only this one reads.
fn fused(map: &SmallMap) -> [Option<usize>; STEPS] {
    let mut fused = [None; STEPS];
    let multiplies = |i: &Instr| matches!(i, Instr::Binary(Binary::Mul, ..) | Instr::Unary(Unary::Square, _));
    if !map.instrs.iter().any(multiplies) {
        return fused;
    }
    let mut readers = [(0u8, 0u8); STEPS];
    for (at, instr) in map.instrs.iter().enumerate() {
        for r in instr.operands() {
            if let Ref::Value(i) = r {
                readers[i as usize] = (readers[i as usize].0 + 1, at as u8);
            }
        }
    }
    let product = |r: Ref, at: usize| match r {
        Ref::Value(i) => {
            let instr = &map.instrs[i as usize];
            let float = matches!(map.dtypes[i as usize], DType::F32 | DType::F64);
            let varies = instr.operands().iter().any(|r| !is_param(*r));
            (float && varies && multiplies(instr) && readers[i as usize] == (1, at as u8)).then_some(i as usize)
        }
        Ref::Input(_) | Ref::Param(_) => None,
    };
    for (at, instr) in map.instrs.iter().enumerate() {
        if let Instr::Binary(Binary::Add | Binary::Sub, x, y) = *instr
            && let Some(i) = product(x, at).or_else(|| product(y, at))
        {
            fused[i] = Some(at);
        }
    }
    fused
}

/// The kernel of an instruction.
struct Found {
    kernel: Kernel,
    /// The operands of the product that is fused into the instruction, if any, and its own.
    operands: Operands,
    /// Whether the kernel reads a strip also where an operand is a parameter.
    spread: bool,
}

/// Returns the kernel of an instruction. Returns `None` if there is none, or if all operands are parameters.
fn kernel(tier: &Tier, map: &SmallMap, fused: &[Option<usize>; STEPS], instr: &Instr) -> Option<Found> {
    let operands = instr.operands();
    let (dtype, params) = (map.dtype_of(operands[0]), mask(&operands));
    if params + 1 == 1 << operands.len() {
        return None;
    }
    if let Instr::Binary(op @ (Binary::Add | Binary::Sub), x, y) = *instr {
        let of = |r: Ref| match r {
            Ref::Value(i) if fused[i as usize].is_some() => {
                let factors = map.instrs[i as usize].operands();
                Some([factors[0], factors[factors.len() - 1]])
            }
            _ => None,
        };
        let product = match (op, of(x), of(y)) {
            (Binary::Add, Some(f), _) => Some((Tail::Plus, f, y)),
            (_, Some(f), _) => Some((Tail::Minus, f, y)),
            (Binary::Add, None, Some(f)) => Some((Tail::Plus, f, x)),
            (_, None, Some(f)) => Some((Tail::From, f, x)),
            (_, None, None) => None,
        };
        if let Some((tail, factors, other)) = product {
            let operands = Operands::from([factors[0], factors[1], other]);
            let kernel = tier.kernels.product(tail, mask(&operands), dtype)?;
            return Some(Found { kernel, operands, spread: false });
        }
    }
    let (kernel, spread) = match *instr {
        Instr::Unary(op, _) => (tier.kernels.unary(op, dtype)?, false),
        Instr::Binary(op, ..) => {
            let forms = tier.kernels.binary(op, dtype)?;
            match forms[[0, 2, 1][params]] {
                Some(kernel) => (kernel, false),
                None => (forms[0]?, true),
            }
        }
        Instr::Select(_, x, _) => (tier.kernels.select(map.dtype_of(x)), true),
        Instr::MulAdd(..) => (tier.kernels.product(Tail::Fused, params, dtype)?, false),
        Instr::Cast(to, _) if is_direct_cast(dtype, to) => (tier.kernels.cast(dtype, to)?, false),
        Instr::Cast(..) => return None,
    };
    Some(Found { kernel, operands, spread })
}
