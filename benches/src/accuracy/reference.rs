//! Expected results of ufuncs: exact ufuncs by IEEE arithmetic, the others by f64 functions for narrower dtypes and by
//! [`Big`] functions for f64.

use super::big::Big;
use super::functions as f;
use super::judge::{Expected, Float};
use polyarray::{Binary, DType, UfuncInfo, Unary};

/// A ufunc of real floats whose results are real floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// A ufunc with one operand.
    Unary(Unary),
    /// A ufunc with two operands.
    Binary(Binary),
}

impl Op {
    /// Returns every such ufunc of the table: those with a reference. Comparisons and other tests return truth values,
    /// which have no ULP; the conformance suite covers them.
    pub fn all() -> Vec<Op> {
        let unary = Unary::ALL.iter().filter(|op| unary_reference(**op).is_some()).map(|&op| Op::Unary(op));
        let binary = Binary::ALL.iter().filter(|op| binary_reference(**op).is_some()).map(|&op| Op::Binary(op));
        unary.chain(binary).collect()
    }

    /// Returns the row of the ufunc in the table.
    pub fn info(self) -> &'static UfuncInfo {
        match self {
            Op::Unary(op) => op.info(),
            Op::Binary(op) => op.info(),
        }
    }

    /// Returns the error in ULP that CPU devices may have: for f32 and f64 the table's bound, for half floats one at
    /// most. Half floats are computed in f32 and rounded, so that their error is little more than the half ULP of that
    /// rounding.
    pub fn bound(self, dtype: DType) -> f64 {
        let bound = self.info().ulp_cpu;
        if matches!(dtype, DType::F16 | DType::BF16) { bound.min(1.0) } else { bound }
    }
}

/// The definition of the result of a ufunc of one operand.
#[derive(Clone, Copy)]
pub enum UnaryReference {
    /// IEEE 754 defines the result: in f32, which serves narrower dtypes, and in f64.
    Exact(fn(f32) -> f32, fn(f64) -> f64),
    /// The result is the rounded value of a function.
    Function(Function),
}

/// The definition of the result of a ufunc of two operands.
#[derive(Clone, Copy)]
enum BinaryReference {
    /// As [`UnaryReference::Exact`].
    Exact(fn(f32, f32) -> f32, fn(f64, f64) -> f64),
    /// The largest integer not above the quotient: see [`floor_div`].
    FloorDiv,
    /// The function of f64, accurate to a few ULP, for narrower dtypes, and the expectation for f64.
    Function(fn(f64, f64) -> f64, fn(f64, f64) -> Expected),
}

/// A function without an IEEE definition.
#[derive(Clone, Copy)]
pub struct Function {
    /// The function of f64: accurate to a few ULP, and exact in results for NaN, infinities and zeros.
    pub near: fn(f64) -> f64,
    /// The function of [`Big`], for finite operands whose result is finite or overflows.
    pub precise: fn(f64) -> Big,
    /// Whether results may overflow. If not, an infinite result is a pole.
    pub overflows: bool,
}

/// Returns the reference of a ufunc; `None` if it is not defined for real floats or returns truth values. The match
/// has no wildcard, so that the compiler reports a new row of the table.
pub fn unary_reference(op: Unary) -> Option<UnaryReference> {
    macro_rules! exact {
        (|$x:ident| $body:expr) => {
            UnaryReference::Exact(|$x| $body, |$x| $body)
        };
    }
    macro_rules! big {
        ($near:expr, $precise:path) => {
            big!($near, $precise, false)
        };
        ($near:expr, $precise:path, $overflows:literal) => {
            of!($near, |x| $precise(Big::from_f64(x)), $overflows)
        };
    }
    macro_rules! of {
        ($near:expr, $precise:expr, $overflows:literal) => {
            UnaryReference::Function(Function { near: $near, precise: $precise, overflows: $overflows })
        };
    }
    Some(match op {
        Unary::Neg => exact!(|x| -x),
        Unary::Abs => exact!(|x| x.abs()),
        Unary::Sign => exact!(|x| if x == 0.0 { 0.0 } else { x.signum() }),
        Unary::Square => exact!(|x| x * x),
        Unary::Sqrt => exact!(|x| x.sqrt()),
        Unary::Reciprocal => exact!(|x| 1.0 / x),
        Unary::Floor => exact!(|x| x.floor()),
        Unary::Ceil => exact!(|x| x.ceil()),
        Unary::Trunc => exact!(|x| x.trunc()),
        Unary::Round => exact!(|x| x.round_ties_even()),
        Unary::Cbrt => big!(f64::cbrt, Big::cbrt),
        Unary::Exp => big!(f64::exp, f::exp, true),
        Unary::Exp2 => big!(f64::exp2, f::exp2, true),
        Unary::Expm1 => big!(f64::exp_m1, f::expm1, true),
        Unary::Log => big!(f64::ln, f::log),
        Unary::Log2 => big!(f64::log2, f::log2),
        Unary::Log10 => big!(f64::log10, f::log10),
        Unary::Log1p => big!(f64::ln_1p, f::log1p),
        Unary::Sin => of!(f64::sin, |x| f::sin_cos(x).0, false),
        Unary::Cos => of!(f64::cos, |x| f::sin_cos(x).1, false),
        Unary::Tan => of!(f64::tan, f::tan, false),
        Unary::Arcsin => big!(f64::asin, f::asin),
        Unary::Arccos => big!(f64::acos, f::acos),
        Unary::Arctan => big!(f64::atan, f::atan),
        Unary::Sinh => big!(f64::sinh, f::sinh, true),
        Unary::Cosh => big!(f64::cosh, f::cosh, true),
        Unary::Tanh => big!(f64::tanh, f::tanh),
        // The formulas of the standard library for these functions lose digits.
        Unary::Arcsinh => big!(libm::asinh, f::asinh),
        // The formula of libm, taken from musl, returns numbers instead of NaN for large negative operands.
        Unary::Arccosh => big!(|x| if x < 1.0 { f64::NAN } else { libm::acosh(x) }, f::acosh),
        Unary::Arctanh => big!(libm::atanh, f::atanh),
        Unary::Erf => big!(libm::erf, f::erf),
        Unary::Sigmoid => big!(|x| 1.0 / (1.0 + (-x).exp()), f::sigmoid),
        Unary::Conj | Unary::Not => return None,
        Unary::IsNan | Unary::IsInf | Unary::IsFinite | Unary::LogicalNot => return None,
    })
}

/// As [`unary_reference`], for two operands.
fn binary_reference(op: Binary) -> Option<BinaryReference> {
    macro_rules! exact {
        (|$x:ident, $y:ident| $body:expr) => {
            BinaryReference::Exact(|$x, $y| $body, |$x, $y| $body)
        };
    }
    // Selects one operand. If either is NaN, so is their sum.
    macro_rules! propagating {
        (|$x:ident, $y:ident| $first:expr) => {
            exact!(|$x, $y| if $x.is_nan() || $y.is_nan() {
                $x + $y
            } else if $first {
                $x
            } else {
                $y
            })
        };
    }
    // Selects one operand, but not NaN unless both are.
    macro_rules! ignoring {
        (|$x:ident, $y:ident| $first:expr) => {
            exact!(|$x, $y| if $y.is_nan() || !$x.is_nan() && $first { $x } else { $y })
        };
    }
    Some(match op {
        Binary::Add => exact!(|x, y| x + y),
        Binary::Sub => exact!(|x, y| x - y),
        Binary::Mul => exact!(|x, y| x * y),
        Binary::Div => exact!(|x, y| x / y),
        Binary::Rem => exact!(|x, y| x % y),
        Binary::Minimum => propagating!(|x, y| x < y),
        Binary::Maximum => propagating!(|x, y| x > y),
        Binary::Fmin => ignoring!(|x, y| x < y),
        Binary::Fmax => ignoring!(|x, y| x > y),
        Binary::Copysign => exact!(|x, y| x.copysign(y)),
        Binary::FloorDiv => BinaryReference::FloorDiv,
        Binary::Pow => BinaryReference::Function(f64::powf, precise_pow),
        Binary::Arctan2 => BinaryReference::Function(f64::atan2, precise_arctan2),
        Binary::Hypot => BinaryReference::Function(f64::hypot, precise_hypot),
        Binary::Equal | Binary::NotEqual | Binary::Less | Binary::LessEqual => return None,
        Binary::Greater | Binary::GreaterEqual => return None,
        Binary::LogicalAnd | Binary::LogicalOr | Binary::LogicalXor => return None,
        Binary::BitAnd | Binary::BitOr | Binary::BitXor | Binary::Shl | Binary::Shr => return None,
    })
}

/// Returns the expected f64 result of `function` at x.
fn precise_unary(function: Function, x: f64) -> Expected {
    let near = (function.near)(x);
    let settled = near.is_nan() || x == 0.0 && near == 0.0 || near.is_infinite() && !function.overflows;
    if settled || !x.is_finite() {
        // For infinite x, only the arc tangent's result is irrational and thus rounded in f64.
        return if near.is_finite() { rounded_angle(near) } else { Expected::known(f64::FORMAT, near) };
    }
    Expected::precise(f64::FORMAT, (function.precise)(x))
}

/// Returns the expectation for a result at zeros or infinities: multiples of pi/4 with all their bits, other results
/// (small integers) as they are.
fn rounded_angle(near: f64) -> Expected {
    let eighths = (near / std::f64::consts::FRAC_PI_4).round();
    if near == 0.0 || near.fract() == 0.0 || eighths * std::f64::consts::FRAC_PI_4 != near {
        return Expected::known(f64::FORMAT, near);
    }
    Expected::precise(f64::FORMAT, f::atan(Big::ONE) * Big::from_f64(eighths))
}

fn precise_pow(x: f64, y: f64) -> Expected {
    let near = x.powf(y);
    if near.is_nan() || !(x.is_finite() && y.is_finite()) || x == 0.0 || y == 0.0 {
        return Expected::known(f64::FORMAT, near);
    }
    let power = f::pow(Big::from_f64(x.abs()), Big::from_f64(y));
    Expected::precise(f64::FORMAT, if near.is_sign_negative() { -power } else { power })
}

fn precise_arctan2(y: f64, x: f64) -> Expected {
    if y.is_finite() && x.is_finite() && y != 0.0 && x != 0.0 {
        return Expected::precise(f64::FORMAT, f::atan2(Big::from_f64(y), Big::from_f64(x)));
    }
    rounded_angle(y.atan2(x))
}

fn precise_hypot(x: f64, y: f64) -> Expected {
    if x.is_finite() && y.is_finite() {
        return Expected::precise(f64::FORMAT, f::hypot(Big::from_f64(x), Big::from_f64(y)));
    }
    Expected::known(f64::FORMAT, x.hypot(y))
}

/// Returns the expectation for the largest integer not above `x / y`. If the type cannot represent it, either neighbour
/// is right.
fn floor_div<T: Float>(x: T, y: T) -> Expected {
    let format = T::FORMAT;
    let (x, y) = (x.wide(), y.wide());
    if x.is_nan() || y.is_nan() || x.is_infinite() && y != 0.0 {
        return Expected::Nan;
    }
    if y == 0.0 || x == 0.0 {
        return Expected::known(format, x / y);
    }
    let below = (x < 0.0) != (y < 0.0);
    if y.is_infinite() {
        return if below { Expected::known(format, -1.0) } else { Expected::Zero(false) };
    }
    // If the remainder is zero, the quotient is an integer, and rounding removes its error of 2^-125. Otherwise the
    // quotient differs from every integer by more than that error.
    let whole = x % y == 0.0;
    let quotient = Big::from_f64(x) / Big::from_f64(y);
    let half = Big::from_f64(if below { -0.5 } else { 0.5 });
    let truncated = if whole { (quotient + half).trunc() } else { quotient.trunc() };
    let floor = if whole || !below { truncated } else { truncated - Big::ONE };
    // Half floats are computed in f32, where an integer is rounded first.
    let computed = if T::NARROW { f32::FORMAT } else { f64::FORMAT };
    if floor.exponent() < computed.precision {
        return Expected::known(format, T::nearest(floor.to_f64()).wide());
    }
    match Expected::precise(computed, floor) {
        Expected::Value { value, rest: 0.0, scale, .. } => Expected::known(format, T::nearest(value / scale).wide()),
        Expected::Value { value, ulp, scale, .. } => {
            let (near, far) = (value / scale, value / scale + if below { -ulp } else { ulp } / scale);
            let [near, far] = [near, far].map(|x| T::nearest(x).wide());
            Expected::Either(near, far, format.ulp(near))
        }
        infinite => infinite,
    }
}

fn missing(info: &UfuncInfo) -> ! {
    panic!("{} has no reference for real floats; `Op::all` lists the ufuncs that have one", info.name)
}

/// Returns the expected result of `op` for `x` and, for two operands, `y`.
///
/// # Panics
/// If the ufunc has no reference: it is not one of [`Op::all`].
pub fn expected<T: Float>(op: Op, x: T, y: T) -> Expected {
    // f32 represents the operands exactly if `T` is narrow.
    let known = |value: f64| Expected::known(T::FORMAT, value);
    let rounded = |value: f32| known(T::nearest(f64::from(value)).wide());
    let (x64, y64) = (x.wide(), y.wide());
    match op {
        Op::Unary(op) => match unary_reference(op).unwrap_or_else(|| missing(op.info())) {
            UnaryReference::Function(function) if T::NARROW => known((function.near)(x64)),
            UnaryReference::Function(function) => precise_unary(function, x64),
            UnaryReference::Exact(narrow, _) if T::NARROW => rounded(narrow(x64 as f32)),
            UnaryReference::Exact(_, wide) => known(wide(x64)),
        },
        Op::Binary(op) => match binary_reference(op).unwrap_or_else(|| missing(op.info())) {
            BinaryReference::FloorDiv => floor_div(x, y),
            BinaryReference::Function(near, _) if T::NARROW => known(near(x64, y64)),
            BinaryReference::Function(_, precise) => precise(x64, y64),
            BinaryReference::Exact(narrow, _) if T::NARROW => rounded(narrow(x64 as f32, y64 as f32)),
            BinaryReference::Exact(_, wide) => known(wide(x64, y64)),
        },
    }
}

#[cfg(test)]
#[allow(clippy::approx_constant, clippy::excessive_precision, reason = "values as they were computed elsewhere")]
mod tests {
    use super::super::judge::power_of_two;
    use super::*;
    use polyarray::{Gives, f16};

    /// Returns the function of a ufunc that is not exact.
    fn function(op: Unary) -> Option<Function> {
        match unary_reference(op) {
            Some(UnaryReference::Function(function)) => Some(function),
            Some(UnaryReference::Exact(..)) | None => None,
        }
    }

    /// `f(x)` as `(high + low) * 2^exponent`, computed by mpmath with 2600 bits; 106 bits are right.
    const UNARY: &[(Unary, f64, f64, f64, i32)] = &[
        (Unary::Exp, 1.0, 1.3591409142295225, 7.228234458646251e-17, 1),
        (Unary::Exp, -0.1, 1.809674836071919, 1.0111969337466416e-16, -1),
        (Unary::Exp, 700.25, 1.1869032857887347, 6.520785775599955e-17, 1010),
        (Unary::Exp, -700.5, 1.3123239145030543, -6.297503162446053e-17, -1011),
        (Unary::Exp, 1e-20, 1.0, 1e-20, 0),
        (Unary::Exp, 0.34657359, 1.4142135619771539, 3.92982042784201e-17, 0),
        (Unary::Exp, 88.7, 1.9548394530965174, -1.5034936647323606e-17, 127),
        (Unary::Exp2, 0.3, 1.2311444133449163, -3.572339831433251e-17, 0),
        (Unary::Exp2, -1000.7, 1.2311444133448775, 2.504218990325687e-17, -1001),
        (Unary::Exp2, 1e-18, 1.0, 6.931471805599453e-19, 0),
        (Unary::Exp2, 900.123, 1.0889970153361421, -3.795608355733995e-17, 900),
        (Unary::Exp2, 0.5, 1.4142135623730951, -9.667293313452913e-17, 0),
        (Unary::Expm1, 1e-10, 1.7179869184858994, 5.823998540606932e-17, -34),
        (Unary::Expm1, -0.5, -1.5738773611494663, -2.6372713661965655e-18, -2),
        (Unary::Expm1, 0.35, 1.676270194373029, -6.519011741411847e-17, -2),
        (Unary::Expm1, -1.0, -1.2642411176571153, -2.4857507345576725e-17, -1),
        (Unary::Expm1, 40.5, 1.3464392664822729, -1.005335669311106e-16, 58),
        (Unary::Expm1, -30.0, -1.9999999999998128, -3.114257499790062e-17, -1),
        (Unary::Expm1, 1e-300, 1.3393857589828342, 6.696928794914171e-301, -997),
        (Unary::Log, 2.0, 1.3862943611198906, 4.638093627692599e-17, -1),
        (Unary::Log, 0.1, -1.1512925464970227, -8.575121814028993e-17, 1),
        (Unary::Log, 1.0000000000000002, 1.9999999999999998, 3.286920438420882e-32, -53),
        (Unary::Log, 0.9999999999999999, -1.0, -5.551115123125783e-17, -53),
        (Unary::Log, 1e+300, 1.3491709529261986, 4.6382148493750475e-17, 9),
        (Unary::Log, 5e-324, -1.4539845154714477, -8.637586603356832e-17, 9),
        (Unary::Log, 1.41421356, 1.3862943544077644, 8.260890545657263e-17, -2),
        (Unary::Log, 10.0, 1.151292546497023, -1.0853781116911247e-16, 1),
        (Unary::Log2, 3.0, 1.584962500721156, 1.0579781240112554e-16, 0),
        (Unary::Log2, 1.0000000000000002, 1.4426950408889632, 8.222855347521648e-17, -52),
        (Unary::Log2, 0.7, -1.0291463456595167, 1.752704154879638e-17, -1),
        (Unary::Log2, 1e-310, -1.0056618256006664, 7.462979603359185e-17, 10),
        (Unary::Log10, 3.0, 1.9084850188786497, 7.599622805207663e-18, -2),
        (Unary::Log10, 0.9999999999999999, -1.7371779276130075, 8.167907226103199e-17, -55),
        (Unary::Log10, 1e+22, 1.375, 0.0, 4),
        (Unary::Log1p, 1e-17, 1.4411518807585588, -7.205759403792795e-18, -57),
        (Unary::Log1p, -0.9999999999999999, -1.1480250178024094, -2.1061978094561268e-17, 5),
        (Unary::Log1p, 0.5, 1.6218604324326575, -1.152455210385057e-17, -2),
        (Unary::Log1p, -0.25, -1.1507282898071236, -1.0428642465770256e-16, -2),
        (Unary::Log1p, 10000000000.0, 1.4391156831275285, 8.585490114489642e-17, 4),
        (Unary::Log1p, -1e-08, -1.3421772867108865, 6.842229699578681e-17, -27),
        (Unary::Log1p, 3e-300, 1.0045393192371257, -1.5068089788556886e-300, -995),
        (Unary::Sin, 1.0, 1.682941969615793, 3.553690185871072e-18, -1),
        (Unary::Sin, 100.0, -1.0127312822195176, -6.10189410758423e-18, -1),
        (Unary::Sin, 1e+22, -1.7044016995343776, -1.3561365179354657e-17, -1),
        (Unary::Sin, 5.319372648326541e+255, 2.0, -2.196952440149374e-37, -1),
        (Unary::Sin, 1.7976931348623157e+308, 1.2702604260311199, -6.41264068518249e-17, -8),
        (Unary::Sin, 3.141592653589793, 1.1030637736600981, -2.6974488398215855e-17, -53),
        (Unary::Sin, -1e-05, -1.3107199999781547, -8.103311524315559e-17, -17),
        (Unary::Sin, 0.7853981633974483, 1.414213562373095, 8.207386897872751e-17, -1),
        (Unary::Sin, 4503599627370497.0, 1.020449937916115, 6.065540663165895e-17, -4),
        (Unary::Sin, -22.0, 1.1329675891716962, -3.6461187954201674e-17, -7),
        (Unary::Cos, 1.0, 1.0806046117362795, -9.521909225208834e-17, -1),
        (Unary::Cos, 100.0, 1.7246377445753678, 8.669619716273002e-17, -1),
        (Unary::Cos, 1e+22, 1.046429570790278, -9.428640215315033e-17, -1),
        (Unary::Cos, 1.5707963267948966, 1.1030637736600981, -2.697448839821585e-17, -54),
        (Unary::Cos, 5.319372648326541e+255, -1.0807868779467176, 1.00812741707468e-17, -61),
        (Unary::Cos, -3.0, -1.9799849932008908, -8.412052313219947e-17, -1),
        (Unary::Tan, 1.0, 1.5574077246549023, -6.186464176037592e-17, 0),
        (Unary::Tan, 1.5707963267948966, 1.8131317950581949, -2.709302370878753e-17, 53),
        (Unary::Tan, 1e+300, 1.4214488238747245, -7.511471696020065e-17, 0),
        (Unary::Tan, -0.001, -1.02400034133347, 6.64252196073717e-17, -10),
        (Unary::Tan, 2.356194490192345, -1.0000000000000002, 3.8347585052928315e-17, 0),
        (Unary::Arcsin, 0.5, 1.0471975511965979, -1.072081766451091e-16, -1),
        (Unary::Arcsin, 0.9999999999999999, 1.5707963118937354, 6.123233981950422e-17, 0),
        (Unary::Arcsin, -1e-08, -1.34217728, -2.2369621333333335e-17, -27),
        (Unary::Arcsin, 0.7, 1.550794993221506, 6.79005488926685e-17, -1),
        (Unary::Arcsin, -0.99, -1.4292568534704693, -6.909416818000846e-17, 0),
        (Unary::Arccos, 0.5, 1.0471975511965979, -1.072081766451091e-16, 0),
        (Unary::Arccos, 0.9999999999999999, 1.0, 9.25185853854297e-18, -26),
        (Unary::Arccos, -1e-08, 1.5707963367948967, -1.0003755488254988e-16, 0),
        (Unary::Arccos, -0.9999999999999999, 1.570796319344316, 6.123233988843595e-17, 1),
        (Unary::Arccos, 0.01, 1.5607961601207294, 9.145308178006844e-17, 0),
        (Unary::Arctan, 1.0, 1.5707963267948966, 6.123233995736766e-17, -1),
        (Unary::Arctan, 1e-10, 1.7179869184, -5.726623061333334e-21, -34),
        (Unary::Arctan, -10000000000.0, -1.5707963266948965, -6.950637705727703e-17, 0),
        (Unary::Arctan, 0.4375, 1.6496417663895493, -6.350608911082756e-17, -2),
        (Unary::Arctan, 1e-150, 1.636695303948071, -5.455651013160237e-301, -499),
        (Unary::Sinh, 1e-05, 1.3107200000218455, -8.103289678982225e-17, -17),
        (Unary::Sinh, 1.0, 1.1752011936438014, 7.849672142285669e-17, 0),
        (Unary::Sinh, -300.0, -1.7514044310434707, -1.0047306927510776e-16, 431),
        (Unary::Sinh, 0.2, 1.610688020328752, 7.894707944067644e-17, -3),
        (Unary::Cosh, 1e-05, 1.00000000005, -4.136601875107545e-18, 0),
        (Unary::Cosh, 1.0, 1.5430806348152437, 6.606796775006833e-17, 0),
        (Unary::Cosh, -300.0, 1.7514044310434707, 1.0047306927510776e-16, 431),
        (Unary::Tanh, 1e-05, 1.3107199999563095, -5.997684526538686e-17, -17),
        (Unary::Tanh, 0.5, 1.848468629040039, 8.766641295304371e-17, -2),
        (Unary::Tanh, -19.0, -1.9999999999999998, -9.647929324311012e-17, -1),
        (Unary::Tanh, 3.0, 1.990109507373461, -2.5983785727125247e-17, -1),
        (Unary::Arcsinh, 1e-09, 1.073741824, -1.789569706666667e-19, -30),
        (Unary::Arcsinh, 1.0, 1.762747174039086, -4.501091785651732e-17, -1),
        (Unary::Arcsinh, -10000000000.0, -1.482437381906275, -8.088300756838743e-17, 4),
        (Unary::Arcsinh, 0.3, 1.1826921902536898, -5.406773619457444e-17, -2),
        (Unary::Arcsinh, 1e+300, 1.3505247560132299, -6.828114747213296e-17, 9),
        (Unary::Arccosh, 1.0000000000000002, 1.414213562373095, 9.92034641457726e-17, -26),
        (Unary::Arccosh, 1.5, 1.9248473002384139, -9.303126805385094e-17, -1),
        (Unary::Arccosh, 10000000000.0, 1.482437381906275, 8.088269506838743e-17, 4),
        (Unary::Arccosh, 1e+300, 1.3505247560132299, -6.828114747213296e-17, 9),
        (Unary::Arctanh, 1e-09, 1.073741824, 3.579139413333334e-19, -30),
        (Unary::Arctanh, 0.5, 1.0986122886681098, -9.07129723500153e-17, -1),
        (Unary::Arctanh, -0.9999999999999999, -1.1696858671949077, 3.8928641435300015e-17, 4),
        (Unary::Arctanh, 0.1, 1.6053655636972093, 9.416597050055506e-17, -4),
        (Unary::Erf, 1e-12, 1.2406660147617141, -1.6649339665985965e-17, -40),
        (Unary::Erf, 0.5, 1.040999755626093, 3.800154935832574e-17, -1),
        (Unary::Erf, -1.0, -1.6854015858994298, 4.9602023578237205e-17, -1),
        (Unary::Erf, 2.5, 1.99918609596511, 9.385030219408447e-17, -1),
        (Unary::Erf, 5.5, 1.9999999999999853, -6.07519108967298e-17, -1),
        (Unary::Erf, 9.5, 2.0, -7.538428971309759e-41, -1),
        (Unary::Sigmoid, -700.0, 1.081828175944821, 9.312926389907246e-18, -1010),
        (Unary::Sigmoid, -0.5, 1.5101626751925818, -1.0781505669253912e-16, -2),
        (Unary::Sigmoid, 1e-09, 1.0000000005, -4.137018546844606e-17, -1),
        (Unary::Sigmoid, 36.0, 1.9999999999999996, -1.9815356198651153e-17, -1),
        (Unary::Sigmoid, 2.0, 1.7615941559557649, 3.7090214482164924e-17, -1),
        (Unary::Cbrt, 2.0, 1.2599210498948732, -2.589933375300507e-17, 0),
        (Unary::Cbrt, -1e-320, -1.5811758858543425, -5.3036917387090044e-17, -355),
        (Unary::Cbrt, 1e+300, 1.142987391282275, 1.8272889612752194e-18, 332),
    ];

    /// `f(x, y)` in the same form.
    const BINARY: &[(Binary, f64, f64, f64, f64, i32)] = &[
        (Binary::Pow, 1.0000000000000002, 1e+17, 1.024035009077225, 8.55141170121437e-17, 32),
        (Binary::Pow, 0.5, -1000.3, 1.2311444133448775, 2.504218990325687e-17, 1000),
        (Binary::Pow, 3.0, 40.5, 1.1415398941064832, 8.471272818225814e-17, 64),
        (Binary::Pow, 1e-300, 0.01, 1.0239999999999998, 5.3737267935943596e-17, -10),
        (Binary::Pow, 7.0, -300.25, 1.0656137861528754, 5.407763021245746e-17, -843),
        (Binary::Pow, 2.5, 1e-10, 1.0000000000916291, -7.552135489124223e-17, 0),
        (Binary::Arctan2, 1.0, 2.0, 1.8545904360032244, 9.079510981184675e-17, -2),
        (Binary::Arctan2, 1e-300, 1.0, 1.3393857589828342, -0.0, -997),
        (Binary::Arctan2, 1.0, -10000000000.0, 1.5707963267448966, 6.536935850732234e-17, 1),
        (Binary::Arctan2, -3.0, -4.0, -1.2490457723982544, 2.196203799612311e-18, 1),
        (Binary::Arctan2, 1e-05, -1.0, 1.5707913267948967, 3.861001279227411e-17, 1),
        (Binary::Arctan2, 1e+300, 1e-10, 1.5707963267948966, 6.123233995736766e-17, 0),
        (Binary::Arctan2, 5e-324, 1.7e+308, 1.0574665499190095, -6.198800994286046e-17, -2098),
        (Binary::Arctan2, -2.0, 0.001, -1.5702963268365633, 3.542644744518102e-18, 0),
        (Binary::Hypot, 3.0, 4.5, 1.352081728298996, -1.034357578968536e-16, 2),
        (Binary::Hypot, 1e-200, 1e-200, 1.0825105028773159, 3.298272587954758e-17, -664),
        (Binary::Hypot, 1e+308, 1e+308, 1.5733648139913587, -7.353370037161759e-17, 1023),
        (Binary::Hypot, 1.0, 1e-09, 1.0, 5e-19, 0),
    ];

    /// Returns the number of leading bits in which `got` agrees with `(high + low) * 2^exponent`.
    fn right(got: Big, high: f64, low: f64, exponent: i32) -> i32 {
        let wanted = (Big::from_f64(high) + Big::from_f64(low)).scale(exponent);
        wanted.exponent() - (got - wanted).exponent()
    }

    #[test]
    fn functions_have_more_than_100_right_bits() {
        for &(op, x, high, low, exponent) in UNARY {
            let function = function(op).expect("a function");
            let bits = right((function.precise)(x), high, low, exponent);
            assert!(bits >= 104, "{op:?} {x:e}: {bits} bits");
        }
        for &(op, x, y, high, low, exponent) in BINARY {
            let (bx, by) = (Big::from_f64(x), Big::from_f64(y));
            let got = match op {
                Binary::Pow => f::pow(bx, by),
                Binary::Arctan2 => f::atan2(bx, by),
                _ => f::hypot(bx, by),
            };
            let bits = right(got, high, low, exponent);
            assert!(bits >= 104, "{op:?} {x:e} {y:e}: {bits} bits");
        }
        let tested = |op: &Unary| UNARY.iter().any(|row| row.0 == *op);
        assert_eq!(
            Unary::ALL.iter().find(|op| function(**op).is_some() && !tested(op)),
            None,
            "every function has a known value"
        );
    }

    #[test]
    fn functions_of_f64_are_good_to_a_millionth_of_an_ulp_of_f32() {
        let mut state = 1u64;
        for &op in Unary::ALL {
            let Some(function) = function(op) else { continue };
            let (low, high) = op.info().domain;
            for i in 0..600 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let unit = (state >> 11) as f64 * power_of_two(-53);
                let x = match i % 3 {
                    0 => (low + (high - low) * unit) as f32,
                    1 => (unit * 40.0 - 40.0).exp2() as f32,
                    _ => f32::from_bits((state >> 32) as u32),
                };
                let x = f64::from(x);
                let (near, precise) = ((function.near)(x), precise_unary(function, x));
                let ulps = precise.error(near);
                assert!(
                    ulps < 8.0 || near.is_nan() && precise == Expected::Nan,
                    "{} {x:e}: {near:e}, {ulps} ULP of f64",
                    op.info().name
                );
            }
        }
    }

    fn unary(op: Unary, x: f64) -> Expected {
        expected(Op::Unary(op), x, x)
    }

    fn binary(op: Binary, x: f64, y: f64) -> Expected {
        expected(Op::Binary(op), x, y)
    }

    #[test]
    fn special_values_are_those_of_ieee_and_c() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        for (op, x, y) in [
            (Unary::Log, 0.0, -inf),
            (Unary::Log, -1.0, nan),
            (Unary::Log, 1.0, 0.0),
            (Unary::Log1p, -1.0, -inf),
            (Unary::Log1p, -0.0, -0.0),
            (Unary::Exp, -inf, 0.0),
            (Unary::Exp, 0.0, 1.0),
            (Unary::Exp, 710.0, inf),
            (Unary::Exp, -1e300, 0.0),
            (Unary::Sinh, -1e300, -inf),
            (Unary::Expm1, -inf, -1.0),
            (Unary::Sin, inf, nan),
            (Unary::Sin, -0.0, -0.0),
            (Unary::Cos, 0.0, 1.0),
            (Unary::Arcsin, 1.5, nan),
            (Unary::Arccos, 1.0, 0.0),
            (Unary::Arccosh, 1.0, 0.0),
            (Unary::Arccosh, 0.5, nan),
            (Unary::Arccosh, -8192.0, nan),
            (Unary::Arccosh, -inf, nan),
            (Unary::Arctanh, -1.0, -inf),
            (Unary::Arctanh, 2.0, nan),
            (Unary::Tanh, inf, 1.0),
            (Unary::Tanh, 400.0, 1.0),
            (Unary::Erf, -inf, -1.0),
            (Unary::Sigmoid, -inf, 0.0),
            (Unary::Sigmoid, 0.0, 0.5),
            (Unary::Cbrt, -0.0, -0.0),
            (Unary::Sign, -0.0, 0.0),
            (Unary::Reciprocal, -0.0, -inf),
            (Unary::Round, 2.5, 2.0),
            (Unary::Ceil, -0.5, -0.0),
        ] {
            let error = unary(op, x).error(y);
            assert!(error < 1e-20, "{op:?} {x} = {y}: {error}");
            let narrow = expected(Op::Unary(op), x as f32, 0.0f32).error(y);
            assert!(narrow == 0.0, "{op:?} {x} = {y} as f32: {narrow}");
        }
        for (op, x, y, z) in [
            (Binary::Pow, 0.0, -1.0, inf),
            (Binary::Pow, -0.0, -3.0, -inf),
            (Binary::Pow, nan, 0.0, 1.0),
            (Binary::Pow, -1.0, inf, 1.0),
            (Binary::Pow, 1.0, nan, 1.0),
            (Binary::Pow, -8.0, 1.0 / 3.0, nan),
            (Binary::Pow, -2.0, 3.0, -8.0),
            (Binary::Pow, -2.0, -5000.0, 0.0),
            (Binary::Pow, -2.0, -5001.0, -0.0),
            (Binary::Hypot, nan, -inf, inf),
            (Binary::Hypot, 0.0, -0.0, 0.0),
            (Binary::Hypot, f64::MAX, f64::MAX, inf),
            (Binary::Arctan2, -0.0, 1.0, -0.0),
            (Binary::Arctan2, 5e-324, 1e300, 0.0),
            (Binary::Rem, -4.0, 2.0, -0.0),
            (Binary::Rem, 5.0, inf, 5.0),
            (Binary::FloorDiv, -0.0, 1.0, -0.0),
            (Binary::FloorDiv, 1.0, -inf, -1.0),
            (Binary::FloorDiv, 1.0, 0.0, inf),
            (Binary::FloorDiv, inf, 1.0, nan),
            (Binary::FloorDiv, inf, -0.0, -inf),
            (Binary::FloorDiv, 1.0, 0.1, 9.0),
            (Binary::FloorDiv, -7.0, 2.0, -4.0),
            (Binary::FloorDiv, 6.0, -2.0, -3.0),
            (Binary::Minimum, 0.0, -0.0, -0.0),
            (Binary::Minimum, 1.0, nan, nan),
            (Binary::Fmax, 1.0, nan, 1.0),
            (Binary::Maximum, -0.0, 0.0, 0.0),
        ] {
            let error = binary(op, x, y).error(z);
            assert!(error < 1e-20, "{op:?} {x} {y} = {z}: {error}");
        }
        // Multiples of pi/4, with more bits than f64 has: the nearest f64 numbers differ by a rounding error.
        for (y, x, angle) in [
            (inf, inf, 0.785_398_163_397_448_3),
            (inf, -inf, 2.356_194_490_192_345),
            (0.0, -1.0, std::f64::consts::PI),
            (-1.0, 0.0, -std::f64::consts::FRAC_PI_2),
        ] {
            let error = binary(Binary::Arctan2, y, x).error(angle);
            assert!(error > 0.0 && error <= 0.5, "{y} {x}: {error}");
        }
        assert!(matches!(unary(Unary::Arctan, inf), Expected::Value { rest, .. } if rest != 0.0));
    }

    #[test]
    fn floors_of_quotients_are_exact_as_far_as_integers_are() {
        // (2^53 - 1) / (1 - 2^-53) is 2^53. 1 / 0.1 is slightly less than 10, because the f64 is more than a tenth, and
        // rounds to 10.
        let (x, y) = (9_007_199_254_740_991.0, 1.0 - f64::EPSILON / 2.0);
        assert_eq!(
            (binary(Binary::FloorDiv, x, y).error(9_007_199_254_740_992.0), binary(Binary::FloorDiv, x, y).error(x)),
            (0.0, 0.5)
        );
        assert_eq!(
            (binary(Binary::FloorDiv, 1.0, 0.1).error(9.0), binary(Binary::FloorDiv, -1.0, 0.1).error(-10.0)),
            (0.0, 0.0)
        );
        assert_eq!(binary(Binary::FloorDiv, 1e20, 3.0).error(1e20 / 3.0), 0.0);
        assert!(matches!(binary(Binary::FloorDiv, 1e20, 3.0), Expected::Either(..)));
        assert_eq!(binary(Binary::FloorDiv, 1e300, 1e-300), Expected::Infinite(false));
        assert_eq!(
            expected(Op::Binary(Binary::FloorDiv), f16::from_f32(60_000.0), f16::from_f32(0.01)),
            Expected::Infinite(false)
        );
        assert_eq!(
            expected(Op::Binary(Binary::FloorDiv), f16::from_f32(5000.0), f16::from_f32(0.7)).error(7140.0),
            0.0
        );
    }

    #[test]
    fn every_ufunc_of_floats_has_a_reference() {
        let all = Op::all();
        // The references cover exactly the rows of the table that map real floats to real floats.
        let real = |info: &&UfuncInfo| info.kinds.contains(DType::F64) && info.gives != Gives::Truth;
        let rows = Unary::ALL.iter().map(|op| op.info()).chain(Binary::ALL.iter().map(|op| op.info()));
        let wanted: Vec<&str> = rows.filter(real).map(|info| info.name).collect();
        assert_eq!(all.iter().map(|op| op.info().name).collect::<Vec<_>>(), wanted);
        for op in &all {
            for x in [0.5f32, 3.0, f32::NAN] {
                expected(*op, x, 2.0);
                expected(*op, f64::from(x), 2.0);
            }
            let exact = match op {
                Op::Unary(op) => function(*op).is_none(),
                Op::Binary(op) => !matches!(op, Binary::Pow | Binary::Arctan2 | Binary::Hypot),
            };
            assert_eq!(exact, op.bound(DType::F64) == 0.0, "{}", op.info().name);
        }
        assert!(
            all.contains(&Op::Unary(Unary::Exp))
                && all.contains(&Op::Binary(Binary::FloorDiv))
                && !all.contains(&Op::Unary(Unary::IsNan))
        );
    }
}
