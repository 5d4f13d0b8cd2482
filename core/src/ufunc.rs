//! The table of universal functions (ufuncs) that have kernels. No other place lists them.
//!
//! The enums, the methods on `Array` and `Expr`, the conformance cases and the benches are generated from these rows.
//! To add a ufunc, add a row; the compiler then reports every `match` in the backends that lacks it. A ufunc without
//! kernels of its own is a row of [`composed`](crate::Composed).

use crate::{DType, Kind};

/// A set of dtype kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// Bools.
    pub const BOOL: Kinds = Kinds(1);
    /// Signed and unsigned integers.
    pub const INT: Kinds = Kinds(2 | 4);
    /// Real floats.
    pub const FLOAT: Kinds = Kinds(8);
    /// Complex numbers.
    pub const COMPLEX: Kinds = Kinds(16);
    /// Every dtype.
    pub const ANY: Kinds = Kinds(1 | 2 | 4 | 8 | 16);

    /// Returns the union of both sets.
    pub const fn or(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    /// Returns whether the set contains the kind of `dtype`.
    pub fn contains(self, dtype: DType) -> bool {
        self.0 & (1 << dtype.kind() as u8) != 0
    }

    /// Describes the set for messages: `integers, floats`.
    pub fn describe(self) -> String {
        let names =
            [(Kind::Bool, "bool"), (Kind::Int, "integers"), (Kind::Float, "floats"), (Kind::Complex, "complex")];
        names.iter().filter(|(k, _)| self.0 & (1 << *k as u8) != 0).map(|(_, n)| *n).collect::<Vec<_>>().join(", ")
    }
}

const BOOL: Kinds = Kinds::BOOL;
const INT: Kinds = Kinds::INT;
pub(crate) const FLOAT: Kinds = Kinds::FLOAT;
const COMPLEX: Kinds = Kinds::COMPLEX;
pub(crate) const REAL: Kinds = INT.or(FLOAT);
const NUMBER: Kinds = REAL.or(COMPLEX);
const ANY: Kinds = Kinds::ANY;
const FLOATING: Kinds = FLOAT.or(COMPLEX);
const BITS: Kinds = BOOL.or(INT);

/// The relation between the dtype of the operands and the dtype of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// The operands' dtype.
    Same,
    /// Bool.
    Truth,
    /// The dtype of the parts of a complex operand, else the operand's dtype.
    Magnitude,
}

impl Gives {
    /// Returns the dtype of the result.
    pub fn dtype(self, operand: DType) -> DType {
        match self {
            Gives::Same => operand,
            Gives::Truth => DType::Bool,
            Gives::Magnitude => operand.real(),
        }
    }
}

/// A row of the table: all properties of a ufunc except its implementation.
#[derive(Clone, Copy, Debug)]
pub struct UfuncInfo {
    /// NumPy's name (Rust's name if `std::ops` has the operation).
    pub name: &'static str,
    /// A one-line description.
    pub doc: &'static str,
    /// The dtypes that the ufunc is defined for.
    pub kinds: Kinds,
    /// The dtype of the result.
    pub gives: Gives,
    /// The largest error on CPU devices in ULP of the exact value, for real floats; 0 means the bits that IEEE 754
    /// specifies. Complex numbers have the bounds of [`complex`](crate::complex).
    pub ulp_cpu: f64,
    /// The largest error on GPUs in ULP, for f32.
    pub ulp_gpu: f64,
    /// The interval of the random float operands in tests (special values are tested in addition).
    pub domain: (f64, f64),
    /// The approximate number of simple instructions per vector: an initial value for the cost model.
    pub weight: f64,
}

/// The documentation of the methods of a row: description, dtypes, accuracy and an example.
macro_rules! method_doc {
    ($name:ident, $kinds:ident, $cpu:tt, $gpu:tt, $doc:literal, $x:expr $(, $y:expr)? => $z:expr) => {
        concat!(
            $doc, "\n\nDefined for ", method_doc!(@dtypes $kinds), "; of another dtype, the expression stores ",
            "[`Error::DTypeUndefined`](crate::Error::DTypeUndefined).",
            $( method_doc!(@broadcast $y), )?
            method_doc!(@accuracy $cpu $gpu),
            "\n\n```\n# extern crate polyarray_cpu as _;\n# use polyarray_core::*;\nassert_eq!(Array::from(",
            stringify!($x), ").", stringify!($name), "(", $( stringify!($y), )? ").eval()?, Array::from(",
            stringify!($z), "));\n# Ok::<(), Error>(())\n```"
        )
    };
    (@broadcast $y:expr) => {
        " The operands broadcast; if they do not, the expression stores [`Error::Broadcast`](crate::Error::Broadcast)."
    };
    (@accuracy 0.0 0.0) => { "" };
    (@accuracy $cpu:tt $gpu:tt) => {
        concat!(
            "\n\nThe error is at most ", stringify!($cpu), " ULP on CPU devices (0: correctly rounded) and ",
            stringify!($gpu), " ULP on GPUs, for real floats; [`complex`](crate::complex) has the bounds of complex ",
            "numbers."
        )
    };
    (@dtypes INT) => { "integers" };
    (@dtypes FLOAT) => { "floats" };
    (@dtypes COMPLEX) => { "complex numbers" };
    (@dtypes REAL) => { "integers and floats" };
    (@dtypes NUMBER) => { "integers, floats and complex numbers" };
    (@dtypes FLOATING) => { "floats and complex numbers" };
    (@dtypes BITS) => { "bool and integers" };
    (@dtypes ANY) => { "every dtype" };
}
pub(crate) use method_doc;

macro_rules! ufuncs {
    (
        unary { $(
            $U:ident $u:ident($uk:ident) -> $ug:ident, ulp $uc:tt / $ugpu:tt, on ($ulo:expr, $uhi:expr),
            weight $uw:literal, eg $ux:expr => $uz:expr, $udoc:literal $(as $($ualias:literal)+)?;
        )* }
        binary { $(
            $B:ident $b:ident($bk:ident) -> $bg:ident, ulp $bc:tt / $bgpu:tt, on ($blo:expr, $bhi:expr),
            weight $bw:literal, eg $bx:expr, $by:expr => $bz:expr, $bdoc:literal
            $(as $($balias:literal)+)?;
        )* }
    ) => {
        /// Ufuncs of one operand.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Unary { $( #[doc = $udoc] $U, )* }

        /// Ufuncs of two operands of one dtype.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Binary { $( #[doc = $bdoc] $B, )* }

        impl Unary {
            /// All rows.
            pub const ALL: &[Unary] = &[ $( Unary::$U ),* ];
            /// Returns the row of this ufunc.
            pub const fn info(self) -> &'static UfuncInfo {
                match self { $( Unary::$U => &UfuncInfo {
                    name: stringify!($u), doc: $udoc, kinds: $uk, gives: Gives::$ug,
                    ulp_cpu: $uc, ulp_gpu: $ugpu, domain: ($ulo, $uhi), weight: $uw,
                }, )* }
            }
        }

        impl Binary {
            /// All rows.
            pub const ALL: &[Binary] = &[ $( Binary::$B ),* ];
            /// Returns the row of this ufunc.
            pub const fn info(self) -> &'static UfuncInfo {
                match self { $( Binary::$B => &UfuncInfo {
                    name: stringify!($b), doc: $bdoc, kinds: $bk, gives: Gives::$bg,
                    ulp_cpu: $bc, ulp_gpu: $bgpu, domain: ($blo, $bhi), weight: $bw,
                }, )* }
            }
        }

        crate::expr::ufunc_methods! {
            unary { $(
                $U $u $ug method_doc!($u, $uk, $uc, $ugpu, $udoc, $ux => $uz), [$($($ualias)+)?]
            )* }
            binary { $(
                $B $b $bg method_doc!($b, $bk, $bc, $bgpu, $bdoc, $bx, $by => $bz), [$($($balias)+)?]
            )* }
        }
    };
}

// name(dtypes) -> dtype of the result, ulp on CPU devices / on GPUs, on (domain), weight, eg operands => result of the
// example, description as other names;
ufuncs! {
    unary {
        Neg neg(NUMBER) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0,
            eg [1.0, -2.0] => [-1.0, 2.0], "The negative, `-x`; integers wrap."
            as "negative";
        Abs abs(NUMBER) -> Magnitude, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0,
            eg [-3.0, 2.0] => [3.0, 2.0], "The magnitude `|x|`, real for complex operands; integers wrap."
            as "absolute" "fabs";
        Sign sign(NUMBER) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 2.0,
            eg [-3.0, 0.0, 2.0] => [-1.0, 0.0, 1.0],
            "1 where x is positive, -1 where it is negative, 0 where it is zero of either sign; NaN for NaN. Complex: \
             `x / |x|`.";
        Conj conj(COMPLEX) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0,
            eg [Complex::new(1.0, 2.0)] => [Complex::new(1.0, -2.0)], "The complex conjugate."
            as "conjugate";
        Square square(NUMBER) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0,
            eg [3, -2] => [9, 4], "`x * x`; integers wrap.";
        Sqrt sqrt(FLOATING) -> Same, ulp 0.0 / 2.0, on (0.0, 1e6), weight 6.0,
            eg [4.0, 9.0] => [2.0, 3.0], "The square root; NaN for negative reals.";
        Cbrt cbrt(FLOAT) -> Same, ulp 1.0 / 4.0, on (-1e6, 1e6), weight 24.0,
            eg [8.0, -1.0] => [2.0, -1.0], "The cube root.";
        Reciprocal reciprocal(FLOATING) -> Same, ulp 0.0 / 2.5, on (-1e6, 1e6), weight 5.0,
            eg [4.0, -0.5] => [0.25, -2.0], "`1 / x`; infinite at zero, with its sign (complex: `inf + NaN i`).";
        Exp exp(FLOATING) -> Same, ulp 1.0 / 4.0, on (-80.0, 80.0), weight 16.0,
            eg [0.0, 1.0] => [1.0, std::f64::consts::E], "e to the power of x.";
        Exp2 exp2(FLOATING) -> Same, ulp 1.0 / 4.0, on (-120.0, 120.0), weight 16.0,
            eg [3.0, -1.0] => [8.0, 0.5], "2 to the power of x.";
        Expm1 expm1(FLOATING) -> Same, ulp 1.0 / 4.0, on (-40.0, 80.0), weight 24.0,
            eg [0.0, 1e-20] => [0.0, 1e-20], "`exp(x) - 1`, accurate where x is small."
            as "exp_m1";
        Log log(FLOATING) -> Same, ulp 1.0 / 4.0, on (1e-6, 1e6), weight 20.0,
            eg [1.0, std::f64::consts::E] => [0.0, 1.0],
            "The natural logarithm; -infinity at zero, NaN for negative reals."
            as "ln";
        Log2 log2(FLOATING) -> Same, ulp 1.0 / 4.0, on (1e-6, 1e6), weight 20.0,
            eg [8.0, 0.5] => [3.0, -1.0], "The logarithm to base 2; -infinity at zero, NaN for negative reals.";
        Log10 log10(FLOATING) -> Same, ulp 1.0 / 4.0, on (1e-6, 1e6), weight 20.0,
            eg [1000.0, 0.1] => [3.0, -1.0], "The logarithm to base 10; -infinity at zero, NaN for negative reals.";
        Log1p log1p(FLOATING) -> Same, ulp 1.0 / 4.0, on (-0.999, 1e6), weight 24.0,
            eg [0.0, 1e-20] => [0.0, 1e-20],
            "`log(1 + x)`, accurate where x is small; -infinity at -1, NaN for reals below."
            as "ln_1p";
        Sin sin(FLOATING) -> Same, ulp 1.0 / 4.0, on (-100.0, 100.0), weight 20.0,
            eg [0.0, std::f64::consts::FRAC_PI_2] => [0.0, 1.0], "The sine of x in radians; NaN at infinity.";
        Cos cos(FLOATING) -> Same, ulp 1.0 / 4.0, on (-100.0, 100.0), weight 20.0,
            eg [0.0, std::f64::consts::PI] => [1.0, -1.0], "The cosine of x in radians; NaN at infinity.";
        Tan tan(FLOATING) -> Same, ulp 1.0 / 4.0, on (-100.0, 100.0), weight 32.0,
            eg [0.0, 1e-20] => [0.0, 1e-20], "The tangent of x in radians; NaN at infinity.";
        Arcsin arcsin(FLOATING) -> Same, ulp 1.0 / 4.0, on (-1.0, 1.0), weight 24.0,
            eg [0.0, 1.0] => [0.0, std::f64::consts::FRAC_PI_2],
            "The angle in -pi/2 .. pi/2 whose sine is x; NaN for reals outside -1 .. 1."
            as "asin";
        Arccos arccos(FLOATING) -> Same, ulp 1.0 / 4.0, on (-1.0, 1.0), weight 24.0,
            eg [1.0, -1.0] => [0.0, std::f64::consts::PI],
            "The angle in 0 .. pi whose cosine is x; NaN for reals outside -1 .. 1."
            as "acos";
        Arctan arctan(FLOATING) -> Same, ulp 1.0 / 4.0, on (-1e3, 1e3), weight 24.0,
            eg [0.0, f64::INFINITY] => [0.0, std::f64::consts::FRAC_PI_2],
            "The angle in -pi/2 .. pi/2 whose tangent is x."
            as "atan";
        Sinh sinh(FLOATING) -> Same, ulp 1.0 / 4.0, on (-80.0, 80.0), weight 28.0,
            eg [0.0, f64::INFINITY] => [0.0, f64::INFINITY], "The hyperbolic sine.";
        Cosh cosh(FLOATING) -> Same, ulp 1.0 / 4.0, on (-80.0, 80.0), weight 24.0,
            eg [0.0, f64::INFINITY] => [1.0, f64::INFINITY], "The hyperbolic cosine.";
        Tanh tanh(FLOATING) -> Same, ulp 1.0 / 4.0, on (-10.0, 10.0), weight 24.0,
            eg [0.0, f64::INFINITY] => [0.0, 1.0], "The hyperbolic tangent.";
        Arcsinh arcsinh(FLOATING) -> Same, ulp 1.0 / 4.0, on (-1e6, 1e6), weight 40.0,
            eg [0.0, f64::INFINITY] => [0.0, f64::INFINITY], "The inverse hyperbolic sine."
            as "asinh";
        Arccosh arccosh(FLOATING) -> Same, ulp 1.0 / 4.0, on (1.0, 1e6), weight 40.0,
            eg [1.0, f64::INFINITY] => [0.0, f64::INFINITY], "The inverse hyperbolic cosine; NaN for reals below 1."
            as "acosh";
        Arctanh arctanh(FLOATING) -> Same, ulp 1.0 / 4.0, on (-1.0, 1.0), weight 40.0,
            eg [0.0, 1.0] => [0.0, f64::INFINITY],
            "The inverse hyperbolic tangent; infinite at -1 and 1, NaN for reals beyond."
            as "atanh";
        Erf erf(FLOAT) -> Same, ulp 2.0 / 4.0, on (-6.0, 6.0), weight 32.0,
            eg [0.0, f64::INFINITY] => [0.0, 1.0],
            "The error function, `2 / sqrt(pi)` times the integral of `exp(-t^2)` from 0 to x.";
        Sigmoid sigmoid(FLOAT) -> Same, ulp 1.0 / 4.0, on (-80.0, 80.0), weight 24.0,
            eg [0.0, f64::INFINITY] => [0.5, 1.0], "The logistic function, `1 / (1 + exp(-x))`."
            as "expit" "logistic";
        Floor floor(FLOAT) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0,
            eg [1.5, -1.5] => [1.0, -2.0], "The largest integer that is not above x.";
        Ceil ceil(FLOAT) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0,
            eg [1.5, -1.5] => [2.0, -1.0], "The smallest integer that is not below x.";
        Trunc trunc(FLOAT) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0,
            eg [1.5, -1.5] => [1.0, -1.0], "x rounded toward zero."
            as "fix";
        Round round(FLOATING) -> Same, ulp 0.0 / 0.0, on (-1e3, 1e3), weight 1.0,
            eg [0.5, 1.5, -2.7] => [0.0, 2.0, -3.0],
            "The integer nearest to x; ties round to even. Complex: each part."
            as "rint";
        IsNan is_nan(FLOATING) -> Truth, ulp 0.0 / 0.0, on (-1.0, 1.0), weight 1.0,
            eg [1.0, f64::NAN] => [false, true], "Whether x is NaN (for complex operands: whether either part is NaN)."
            as "isnan";
        IsInf is_inf(FLOATING) -> Truth, ulp 0.0 / 0.0, on (-1.0, 1.0), weight 1.0,
            eg [1.0, f64::INFINITY] => [false, true],
            "Whether x is infinite (for complex operands: whether either part is infinite)."
            as "isinf";
        IsFinite is_finite(FLOATING) -> Truth, ulp 0.0 / 0.0, on (-1.0, 1.0), weight 1.0,
            eg [1.0, f64::NAN] => [true, false],
            "Whether x is neither infinite nor NaN (for complex operands: whether both parts are finite)."
            as "isfinite";
        LogicalNot logical_not(ANY) -> Truth, ulp 0.0 / 0.0, on (-1.0, 1.0), weight 1.0,
            eg [0, 5] => [true, false], "Whether x is zero (for bool: whether x is false).";
        Not not(BITS) -> Same, ulp 0.0 / 0.0, on (-1.0, 1.0), weight 1.0,
            eg [0u8, 250] => [255, 5], "Bitwise complement, `!x`; logical negation for bool."
            as "invert" "bitwise_not";
    }
    binary {
        Add add(NUMBER) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0,
            eg [1.0, 2.0], 0.5 => [1.5, 2.5], "The sum `x + y`; integers wrap.";
        Sub sub(NUMBER) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0,
            eg [1.0, 2.0], 0.5 => [0.5, 1.5], "The difference `x - y`; integers wrap."
            as "subtract";
        Mul mul(NUMBER) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0,
            eg [1.0, 2.0], 3.0 => [3.0, 6.0], "The product `x * y`; integers wrap."
            as "multiply";
        Div div(NUMBER) -> Same, ulp 0.0 / 2.5, on (-1e6, 1e6), weight 5.0,
            eg [1.0, 2.0], 4.0 => [0.25, 0.5],
            "The quotient `x / y`; integers truncate, wrap, and give 0 where y is 0."
            as "divide" "true_divide";
        FloorDiv floor_div(REAL) -> Same, ulp 0.0 / 0.0, on (-1e3, 1e3), weight 8.0,
            eg [7, -7], 2 => [3, -4],
            "The largest integer not greater than `x / y`. Floats: `x / y` if y is 0 (infinite also for infinite x), \
             otherwise NaN if x is infinite. Integers wrap, and the result is 0 if y is 0."
            as "floor_divide";
        Rem rem(REAL) -> Same, ulp 0.0 / 0.0, on (-1e3, 1e3), weight 10.0,
            eg [7, -7], 2 => [1, -1],
            "The exact remainder `x - y * trunc(x / y)` with the sign of x, `x % y`. Floats: NaN if x is infinite or y \
             is 0. Integers: 0 if y is 0."
            as "fmod";
        Pow pow(NUMBER) -> Same, ulp 2.0 / 4.0, on (1e-3, 30.0), weight 60.0,
            eg [2.0, 3.0], 2.0 => [4.0, 9.0],
            "x to the power of y; integers wrap, and truncate where y is negative (0 to a negative power is 0). The \
             single values 2 and 3, and for floats 0.5 and -1, are computed as products, root and reciprocal. \
             Complex: [`complex::pow`](crate::complex::pow)."
            as "power" "float_power" "powf";
        Arctan2 arctan2(FLOAT) -> Same, ulp 2.0 / 4.0, on (-1e3, 1e3), weight 40.0,
            eg [0.0, 1.0], 0.0 => [0.0, std::f64::consts::FRAC_PI_2],
            "The angle in -pi .. pi of the point with ordinate x (this operand) and abscissa y (the other operand); \
             signs of zeros are significant."
            as "atan2";
        Hypot hypot(FLOAT) -> Same, ulp 2.0 / 4.0, on (-1e6, 1e6), weight 16.0,
            eg [3.0, f64::INFINITY], 4.0 => [5.0, f64::INFINITY],
            "`sqrt(x^2 + y^2)` without intermediate overflow; infinite if either operand is infinite, even if the \
             other is NaN.";
        Minimum minimum(ANY) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0,
            eg [1, 5], 3 => [1, 3],
            "The smaller of x and y; NaN if either is NaN, y if they are equal. Complex: in the order of `less`.";
        Maximum maximum(ANY) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0,
            eg [1, 5], 3 => [3, 5],
            "The larger of x and y; NaN if either is NaN, y if they are equal. Complex: in the order of `less`.";
        Fmin fmin(ANY) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 2.0,
            eg [1.0, f64::NAN], 3.0 => [1.0, 3.0],
            "The smaller of x and y; if one is NaN, the other; y if they are equal. Complex: in the order of `less`.";
        Fmax fmax(ANY) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 2.0,
            eg [1.0, f64::NAN], 3.0 => [3.0, 3.0],
            "The larger of x and y; if one is NaN, the other; y if they are equal. Complex: in the order of `less`.";
        Copysign copysign(FLOAT) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0,
            eg [1.0, -2.0], -0.0 => [-1.0, -2.0], "The magnitude of x with the sign of y, zeros and NaN included.";
        Equal equal(ANY) -> Truth, ulp 0.0 / 0.0, on (-2.0, 2.0), weight 1.0,
            eg [1, 2], 2 => [false, true], "Whether x equals y; false for NaN.";
        NotEqual not_equal(ANY) -> Truth, ulp 0.0 / 0.0, on (-2.0, 2.0), weight 1.0,
            eg [1, 2], 2 => [true, false], "Whether x differs from y; true for NaN.";
        Less less(ANY) -> Truth, ulp 0.0 / 0.0, on (-2.0, 2.0), weight 1.0,
            eg [1, 2, 3], 2 => [true, false, false],
            "Whether x is below y; false for NaN. Complex: by the real parts, then by the imaginary ones.";
        LessEqual less_equal(ANY) -> Truth, ulp 0.0 / 0.0, on (-2.0, 2.0), weight 1.0,
            eg [1, 2, 3], 2 => [true, true, false],
            "Whether x is at most y; false for NaN. Complex: in the order of `less`.";
        Greater greater(ANY) -> Truth, ulp 0.0 / 0.0, on (-2.0, 2.0), weight 1.0,
            eg [1, 2, 3], 2 => [false, false, true],
            "Whether x is above y; false for NaN. Complex: in the order of `less`.";
        GreaterEqual greater_equal(ANY) -> Truth, ulp 0.0 / 0.0, on (-2.0, 2.0), weight 1.0,
            eg [1, 2, 3], 2 => [false, true, true],
            "Whether x is at least y; false for NaN. Complex: in the order of `less`.";
        LogicalAnd logical_and(ANY) -> Truth, ulp 0.0 / 0.0, on (-1.0, 1.0), weight 1.0,
            eg [0, 5], 1 => [false, true], "Whether both operands are nonzero (true); NaN counts as nonzero.";
        LogicalOr logical_or(ANY) -> Truth, ulp 0.0 / 0.0, on (-1.0, 1.0), weight 1.0,
            eg [0, 5], 0 => [false, true], "Whether at least one operand is nonzero (true); NaN counts as nonzero.";
        LogicalXor logical_xor(ANY) -> Truth, ulp 0.0 / 0.0, on (-1.0, 1.0), weight 1.0,
            eg [0, 5], 1 => [true, false], "Whether exactly one operand is nonzero (true); NaN counts as nonzero.";
        BitAnd bitand(BITS) -> Same, ulp 0.0 / 0.0, on (-1.0, 1.0), weight 1.0,
            eg [12, 10], 6 => [4, 2], "The bits that are set in both, `x & y`."
            as "bitwise_and";
        BitOr bitor(BITS) -> Same, ulp 0.0 / 0.0, on (-1.0, 1.0), weight 1.0,
            eg [12, 10], 6 => [14, 14], "The bits that are set in at least one operand, `x | y`."
            as "bitwise_or";
        BitXor bitxor(BITS) -> Same, ulp 0.0 / 0.0, on (-1.0, 1.0), weight 1.0,
            eg [12, 10], 6 => [10, 12], "The bits that are set in exactly one operand, `x ^ y`."
            as "bitwise_xor";
        Shl shl(INT) -> Same, ulp 0.0 / 0.0, on (-1.0, 1.0), weight 1.0,
            eg [1, 3], 2 => [4, 12],
            "x shifted left by y bits, `x << y`; 0 if y is negative or at least the width of x."
            as "left_shift" "bitwise_left_shift";
        Shr shr(INT) -> Same, ulp 0.0 / 0.0, on (-1.0, 1.0), weight 1.0,
            eg [8, -8], 2 => [2, -2],
            "x shifted right by y bits with sign extension, `x >> y`; 0 (-1 for negative x) if y is negative or at \
             least the width of x."
            as "right_shift" "bitwise_right_shift";
    }
}
