//! Programs as WGSL: the only place that defines the WGSL expression of each ufunc.

use polyarray_core::{Binary, DType, Instr, Kind, Program, Ref, Unary};
use std::fmt::Write;

/// A set of WGSL files with functions on single values.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Snippets(u16);

impl Snippets {
    /// Every file: its text, and the files whose functions it calls. No file calls a later one.
    const ALL: [(Snippets, &str, Snippets); 9] = [
        (Self::BITS, polyarray_shaders::BITS, Self::NONE),
        (Self::CAST, polyarray_shaders::CAST, Self::BITS),
        (Self::INTEGER, polyarray_shaders::INTEGER, Self::NONE),
        (Self::EXP, polyarray_shaders::EXP, Self::BITS),
        (Self::LOG, polyarray_shaders::LOG, Self::BITS),
        (Self::TANH, polyarray_shaders::TANH, Self(Self::EXP.0 | Self::BITS.0)),
        (Self::TRIG, polyarray_shaders::TRIG, Self::BITS),
        (Self::POW, polyarray_shaders::POW, Self(Self::EXP.0 | Self::BITS.0)),
        (Self::ROUNDING, polyarray_shaders::ROUNDING, Self::BITS),
    ];
    pub const NONE: Snippets = Snippets(0);
    pub const BITS: Snippets = Snippets(1);
    const CAST: Snippets = Snippets(2);
    const INTEGER: Snippets = Snippets(4);
    const EXP: Snippets = Snippets(8);
    const LOG: Snippets = Snippets(16);
    const TANH: Snippets = Snippets(32);
    const TRIG: Snippets = Snippets(64);
    const POW: Snippets = Snippets(128);
    const ROUNDING: Snippets = Snippets(256);

    pub fn add(&mut self, other: Snippets) {
        self.0 |= other.0;
        Self::ALL.iter().filter(|(s, ..)| other.0 & s.0 != 0).for_each(|(.., needs)| self.0 |= needs.0);
    }

    /// Returns the text of the files.
    pub fn text(self) -> String {
        Self::ALL.iter().filter(|(s, ..)| self.0 & s.0 != 0).map(|(_, text, _)| *text).collect()
    }
}

/// Returns the WGSL type of values of `dtype`, and the type in which buffers store them.
///
/// # Panics
/// If [`is_supported`] is false for `dtype`.
pub(crate) fn types(dtype: DType) -> (&'static str, &'static str) {
    match dtype {
        DType::F32 => ("f32", "f32"),
        DType::I32 => ("i32", "i32"),
        DType::U32 => ("u32", "u32"),
        DType::Bool => ("bool", "u32"),
        _ => unreachable!("{dtype} was refused by the estimate"),
    }
}

/// Returns whether the generator has a type for `dtype`.
pub(crate) fn is_supported(dtype: DType) -> bool {
    lacking(dtype).is_none()
}

/// Returns the reason why `dtype` is not supported, if it is not. It is a constant, because every large f64 operation
/// of the host requests it.
pub(crate) fn lacking(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::F32 | DType::I32 | DType::U32 | DType::Bool => return None,
        DType::F64 => "f64 is not supported on GPUs yet (f32, i32, u32 and bool are)",
        DType::F16 => "f16 is not supported on GPUs yet (f32, i32, u32 and bool are)",
        DType::BF16 => "bf16 is not supported on GPUs yet (f32, i32, u32 and bool are)",
        DType::I8 => "i8 is not supported on GPUs yet (f32, i32, u32 and bool are)",
        DType::I16 => "i16 is not supported on GPUs yet (f32, i32, u32 and bool are)",
        DType::I64 => "i64 is not supported on GPUs yet (f32, i32, u32 and bool are)",
        DType::U8 => "u8 is not supported on GPUs yet (f32, i32, u32 and bool are)",
        DType::U16 => "u16 is not supported on GPUs yet (f32, i32, u32 and bool are)",
        DType::U64 => "u64 is not supported on GPUs yet (f32, i32, u32 and bool are)",
        DType::C32 | DType::C64 => "complex numbers are not supported on GPUs yet (f32, i32, u32 and bool are)",
    })
}

/// Returns a value of `dtype` from its stored form.
pub(crate) fn loaded(dtype: DType, stored: &str) -> String {
    if dtype == DType::Bool { format!("({stored} != 0u)") } else { stored.into() }
}

/// Returns the stored form of a value of `dtype`.
pub(crate) fn stored(dtype: DType, value: &str) -> String {
    if dtype == DType::Bool { format!("select(0u, 1u, {value})") } else { value.into() }
}

/// Returns a value of `dtype` from the word that holds its bits (0 or 1 for a truth value).
pub(crate) fn from_word(dtype: DType, word: &str) -> String {
    match types(dtype).0 {
        "bool" => format!("({word} != 0u)"),
        "u32" => word.into(),
        other => format!("bitcast<{other}>({word})"),
    }
}

/// Statements that compute a program.
pub(crate) struct Rendered {
    /// One `let` for each instruction.
    pub text: String,
    /// The expression of the result.
    pub result: String,
    /// The files of the called functions.
    pub snippets: Snippets,
}

/// Renders `program` with these expressions for its inputs and parameters. Statements start with `indent`, names with
/// `prefix`.
pub(crate) fn program(program: &Program, inputs: &[String], params: &[String], indent: &str, prefix: &str) -> Rendered {
    let mut out = Rendered { text: String::new(), result: String::new(), snippets: Snippets::NONE };
    let hidden = hidden_values(program);
    let name = |r: Ref| match r {
        Ref::Input(i) => inputs[i as usize].clone(),
        Ref::Param(i) => params[i as usize].clone(),
        Ref::Value(i) => format!("{prefix}{i}"),
    };
    for (at, instr) in program.instrs().iter().enumerate() {
        let (mut value, needs) = instruction(program, instr, &name);
        out.snippets.add(needs);
        if hidden[at] {
            out.snippets.add(Snippets::BITS);
            value = format!("hide({value})");
        }
        writeln!(out.text, "{indent}let {prefix}{at} = {value};").expect("writing to a String");
    }
    out.result = name(program.result());
    out
}

/// Returns whether an instruction is f32 arithmetic that a driver might merge with its neighbours
/// (`x - (x - y)`, `x * y + z`).
fn is_arithmetic(program: &Program, instr: &Instr) -> bool {
    let float = |r: Ref| program.dtype_of(r) == DType::F32;
    match *instr {
        Instr::Unary(Unary::Square | Unary::Sqrt, a)
        | Instr::Binary(Binary::Add | Binary::Sub | Binary::Mul | Binary::Div, a, _)
        | Instr::MulAdd(a, ..) => float(a),
        _ => false,
    }
}

/// Returns which results must be hidden from the optimiser: results of arithmetic that other arithmetic reads, because
/// each step must round separately.
fn hidden_values(program: &Program) -> Vec<bool> {
    let mut hidden = vec![false; program.instrs().len()];
    for instr in program.instrs().iter().filter(|i| is_arithmetic(program, i)) {
        for r in instr.operands() {
            if let Ref::Value(v) = r {
                hidden[v as usize] = is_arithmetic(program, &program.instrs()[v as usize]);
            }
        }
    }
    hidden
}

fn instruction(program: &Program, instr: &Instr, name: &impl Fn(Ref) -> String) -> (String, Snippets) {
    match *instr {
        Instr::Unary(op, a) => unary(op, program.dtype_of(a), &name(a)).unwrap_or_else(|| refused(instr)),
        Instr::Binary(op, a, b) => {
            binary(op, program.dtype_of(a), &name(a), &name(b)).unwrap_or_else(|| refused(instr))
        }
        Instr::Select(c, a, b) => (format!("select({}, {}, {})", name(b), name(a), name(c)), Snippets::NONE),
        Instr::MulAdd(a, b, c) => (format!("fma({}, {}, {})", name(a), name(b), name(c)), Snippets::NONE),
        Instr::Cast(to, a) => cast(program.dtype_of(a), to, &name(a)),
    }
}

fn refused(instr: &Instr) -> ! {
    unreachable!("the estimate refused {}", instr.name())
}

/// Returns the name of an instruction that has no WGSL expression here, if the program has one.
pub(crate) fn missing(program: &Program) -> Option<&'static str> {
    let lacks = |i: &&Instr| match **i {
        Instr::Unary(op, _) => !has_unary(op),
        Instr::Binary(op, a, _) => !has_binary(op, program.dtype_of(a)),
        Instr::Select(..) | Instr::MulAdd(..) | Instr::Cast(..) => false,
    };
    program.instrs().iter().find(lacks).map(Instr::name)
}

/// Returns whether [`unary`] supports `op`, without building the expression, because every estimate calls this.
fn has_unary(op: Unary) -> bool {
    use Unary::*;
    !matches!(
        op,
        Cbrt | Exp2
            | Expm1
            | Log2
            | Log10
            | Log1p
            | Tan
            | Arcsin
            | Arccos
            | Arctan
            | Sinh
            | Cosh
            | Arcsinh
            | Arccosh
            | Arctanh
            | Erf
            | Sigmoid
            | Conj
    )
}

/// Returns whether [`binary`] supports `op`, likewise.
fn has_binary(op: Binary, dtype: DType) -> bool {
    match op {
        Binary::FloorDiv | Binary::Rem => dtype != DType::F32,
        Binary::Arctan2 | Binary::Hypot => false,
        _ => true,
    }
}

fn unary(op: Unary, dtype: DType, x: &str) -> Option<(String, Snippets)> {
    let float = dtype == DType::F32;
    let bool = dtype == DType::Bool;
    let zero = if dtype == DType::U32 { "0u" } else { "0" };
    let plain = |text: String| (text, Snippets::NONE);
    let bits = |text: String| (text, Snippets::BITS);
    let call = |function: &str, needs: Snippets| (format!("f32_{function}({x})"), needs);
    Some(match op {
        Unary::Neg if float => call("neg", Snippets::BITS),
        Unary::Neg => plain(format!("({zero} - {x})")),
        Unary::Abs if float => call("abs", Snippets::BITS),
        Unary::Abs if dtype == DType::U32 => plain(x.into()),
        Unary::Abs => plain(format!("select({x}, 0 - {x}, {x} < 0)")),
        Unary::Sign if float => call("sign", Snippets::ROUNDING),
        Unary::Sign if dtype == DType::U32 => plain(format!("min({x}, 1u)")),
        Unary::Sign => plain(format!("sign({x})")),
        Unary::Square => plain(format!("({x} * {x})")),
        Unary::Sqrt => plain(format!("sqrt({x})")),
        Unary::Reciprocal => plain(format!("(1.0f / {x})")),
        Unary::Exp => call("exp", Snippets::EXP),
        Unary::Log => call("log", Snippets::LOG),
        Unary::Sin => call("sin", Snippets::TRIG),
        Unary::Cos => call("cos", Snippets::TRIG),
        Unary::Tanh => call("tanh", Snippets::TANH),
        Unary::Floor => call("floor", Snippets::ROUNDING),
        Unary::Ceil => call("ceil", Snippets::ROUNDING),
        Unary::Trunc => call("trunc", Snippets::ROUNDING),
        Unary::Round => call("round", Snippets::ROUNDING),
        Unary::IsNan => bits(format!("is_nan_bits(bitcast<u32>({x}))")),
        Unary::IsInf => bits(format!("((bitcast<u32>({x}) & 0x7fffffffu) == 0x7f800000u)")),
        Unary::IsFinite => bits(format!("((bitcast<u32>({x}) & 0x7fffffffu) < 0x7f800000u)")),
        Unary::LogicalNot if float => bits(format!("!f32_nonzero({x})")),
        Unary::LogicalNot | Unary::Not if bool => plain(format!("!{x}")),
        Unary::LogicalNot => plain(format!("({x} == {zero})")),
        Unary::Not => plain(format!("~{x}")),
        Unary::Cbrt
        | Unary::Exp2
        | Unary::Expm1
        | Unary::Log2
        | Unary::Log10
        | Unary::Log1p
        | Unary::Tan
        | Unary::Arcsin
        | Unary::Arccos => return None,
        Unary::Arctan
        | Unary::Sinh
        | Unary::Cosh
        | Unary::Arcsinh
        | Unary::Arccosh
        | Unary::Arctanh
        | Unary::Erf
        | Unary::Sigmoid => return None,
        Unary::Conj => return None,
    })
}

fn binary(op: Binary, dtype: DType, x: &str, y: &str) -> Option<(String, Snippets)> {
    let float = dtype == DType::F32;
    let bool = dtype == DType::Bool;
    let infix = |symbol: &str| (format!("({x} {symbol} {y})"), Snippets::NONE);
    let call = |function: &str, needs: Snippets| (format!("{function}({x}, {y})"), needs);
    let swapped = |function: &str| (format!("{function}({y}, {x})"), Snippets::BITS);
    let typed = |function: &str| (format!("{}_{function}({x}, {y})", types(dtype).0), Snippets::INTEGER);
    // Converts both operands to truth values and combines them with an operator.
    let truths = |symbol: &str| {
        let truth = |v: &str| cast(dtype, DType::Bool, v);
        let ((a, needs), (b, _)) = (truth(x), truth(y));
        (format!("({a} {symbol} {b})"), needs)
    };
    Some(match op {
        Binary::Add => infix("+"),
        Binary::Sub => infix("-"),
        Binary::Mul => infix("*"),
        Binary::Div if float => infix("/"),
        Binary::Div => typed("div"),
        Binary::FloorDiv if !float => typed("floor_div"),
        Binary::Rem if !float => typed("rem"),
        Binary::Pow if float => call("f32_pow", Snippets::POW),
        Binary::Pow => typed("pow"),
        Binary::Minimum if float => call("f32_minimum", Snippets::BITS),
        Binary::Fmin if float => call("f32_fmin", Snippets::ROUNDING),
        Binary::Minimum | Binary::Fmin if bool => infix("&"),
        Binary::Minimum | Binary::Fmin => call("min", Snippets::NONE),
        Binary::Maximum if float => call("f32_maximum", Snippets::BITS),
        Binary::Fmax if float => call("f32_fmax", Snippets::ROUNDING),
        Binary::Maximum | Binary::Fmax if bool => infix("|"),
        Binary::Maximum | Binary::Fmax => call("max", Snippets::NONE),
        Binary::Copysign => call("f32_copysign", Snippets::ROUNDING),
        Binary::Equal if float => call("f32_equal", Snippets::BITS),
        Binary::Equal => infix("=="),
        Binary::NotEqual if float => (format!("!f32_equal({x}, {y})"), Snippets::BITS),
        Binary::NotEqual => infix("!="),
        Binary::Less if float => call("f32_less", Snippets::BITS),
        Binary::Less if bool => (format!("(!{x} & {y})"), Snippets::NONE),
        Binary::Less => infix("<"),
        Binary::LessEqual if float => call("f32_less_equal", Snippets::BITS),
        Binary::LessEqual if bool => (format!("(!{x} | {y})"), Snippets::NONE),
        Binary::LessEqual => infix("<="),
        Binary::Greater if float => swapped("f32_less"),
        Binary::Greater if bool => (format!("({x} & !{y})"), Snippets::NONE),
        Binary::Greater => infix(">"),
        Binary::GreaterEqual if float => swapped("f32_less_equal"),
        Binary::GreaterEqual if bool => (format!("({x} | !{y})"), Snippets::NONE),
        Binary::GreaterEqual => infix(">="),
        Binary::LogicalAnd => truths("&&"),
        Binary::LogicalOr => truths("||"),
        Binary::LogicalXor => truths("!="),
        Binary::BitAnd => infix("&"),
        Binary::BitOr => infix("|"),
        Binary::BitXor if bool => infix("!="),
        Binary::BitXor => infix("^"),
        Binary::Shl => typed("shl"),
        Binary::Shr => typed("shr"),
        Binary::FloorDiv | Binary::Rem | Binary::Arctan2 | Binary::Hypot => return None,
    })
}

/// Returns the expression of a binary ufunc, for the combination step of a kernel.
pub(crate) fn combined(op: Binary, dtype: DType, x: &str, y: &str) -> (String, Snippets) {
    binary(op, dtype, x, y)
        .unwrap_or_else(|| unreachable!("`binary` supports every ufunc that reductions combine with"))
}

fn cast(from: DType, to: DType, x: &str) -> (String, Snippets) {
    if from == to {
        return (x.into(), Snippets::NONE);
    }
    let zero = if from == DType::U32 { "0u" } else { "0" };
    match (from, to) {
        (DType::F32, DType::Bool) => (format!("f32_nonzero({x})"), Snippets::BITS),
        (_, DType::Bool) => (format!("({x} != {zero})"), Snippets::NONE),
        (DType::Bool, DType::F32) => (format!("select(0.0f, 1.0f, {x})"), Snippets::NONE),
        (DType::Bool, DType::I32) => (format!("select(0, 1, {x})"), Snippets::NONE),
        (DType::Bool, DType::U32) => (format!("select(0u, 1u, {x})"), Snippets::NONE),
        (a, b) if a.kind() != Kind::Float && b.kind() != Kind::Float => {
            (format!("bitcast<{}>({x})", types(b).0), Snippets::NONE)
        }
        (a, b) => (format!("{}_to_{}({x})", types(a).0, types(b).0), Snippets::CAST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_be_spelled_is() {
        for dtype in DType::ALL.into_iter().filter(|&d| is_supported(d)) {
            for &op in Unary::ALL.iter().filter(|op| op.info().kinds.contains(dtype)) {
                assert_eq!(unary(op, dtype, "x").is_some(), has_unary(op), "{op:?} of {dtype}");
            }
            for &op in Binary::ALL.iter().filter(|op| op.info().kinds.contains(dtype)) {
                assert_eq!(binary(op, dtype, "x", "y").is_some(), has_binary(op, dtype), "{op:?} of {dtype}");
            }
        }
    }

    #[test]
    fn refusals_name_the_dtype() {
        for dtype in DType::ALL {
            let named = |why: &str| {
                why.contains(&dtype.to_string()) || dtype.kind() == Kind::Complex && why.contains("complex")
            };
            assert!(lacking(dtype).is_none_or(named), "{dtype}");
        }
    }
}
