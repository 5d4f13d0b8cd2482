//! The table of universal functions: the one place that lists them.
//!
//! The enums, the methods on `Array` and `Expr`, the conformance cases and the benches come from these rows.
//! To add a ufunc, add a row and follow the compiler through the backends.

use crate::{DType, Kind};

/// A set of kinds of dtypes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// Truth values.
    pub const BOOL: Kinds = Kinds(1);
    /// Integers of either sign.
    pub const INT: Kinds = Kinds(2 | 4);
    /// Real floats.
    pub const FLOAT: Kinds = Kinds(8);
    /// Complex numbers.
    pub const COMPLEX: Kinds = Kinds(16);

    /// Both.
    pub const fn or(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    /// Whether a dtype is among them.
    pub fn contains(self, dtype: DType) -> bool {
        self.0 & (1 << dtype.kind() as u8) != 0
    }

    /// For messages: `integers, floats`.
    pub fn describe(self) -> String {
        let names = [(Kind::Bool, "bool"), (Kind::Int, "integers"), (Kind::Float, "floats"), (Kind::Complex, "complex")];
        names.iter().filter(|(k, _)| self.0 & (1 << *k as u8) != 0).map(|(_, n)| *n).collect::<Vec<_>>().join(", ")
    }
}

const BOOL: Kinds = Kinds::BOOL;
const INT: Kinds = Kinds::INT;
const FLOAT: Kinds = Kinds::FLOAT;
const COMPLEX: Kinds = Kinds::COMPLEX;
const REAL: Kinds = INT.or(FLOAT);
const NUMBER: Kinds = REAL.or(COMPLEX);
const ANY: Kinds = BOOL.or(NUMBER);
const FLOATING: Kinds = FLOAT.or(COMPLEX);

/// What a ufunc gives for operands of some dtype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// The operands' dtype.
    Same,
    /// Truth values.
    Truth,
    /// The float of a complex operand, else the operand's dtype.
    Magnitude,
}

impl Gives {
    /// The dtype of the result.
    pub fn dtype(self, operand: DType) -> DType {
        match self {
            Gives::Same => operand,
            Gives::Truth => DType::Bool,
            Gives::Magnitude => operand.real(),
        }
    }
}

/// A row of the table: what is known of a ufunc besides how to compute it.
#[derive(Clone, Copy, Debug)]
pub struct UfuncInfo {
    /// NumPy's name (Rust's where `std::ops` has the same thing).
    pub name: &'static str,
    /// One line of meaning.
    pub doc: &'static str,
    /// The dtypes it is defined for.
    pub kinds: Kinds,
    /// The dtype of the result.
    pub gives: Gives,
    /// Greatest error in ULP against the exact value, for real floats, on CPU devices: 0 is the bits of IEEE.
    pub ulp_cpu: f64,
    /// The same on GPUs, for f32.
    pub ulp_gpu: f64,
    /// Where random test operands of floats are taken from (special values are tested beside it).
    pub domain: (f64, f64),
    /// About how many simple instructions a vector of it takes: a first guess for the cost model.
    pub weight: f64,
}

macro_rules! ufuncs {
    (
        unary { $( $U:ident $u:ident($uk:expr) -> $ug:ident, ulp $uc:literal / $ugpu:literal, on ($ulo:expr, $uhi:expr), weight $uw:literal, $udoc:literal; )* }
        binary { $( $B:ident $b:ident($bk:expr) -> $bg:ident, ulp $bc:literal / $bgpu:literal, on ($blo:expr, $bhi:expr), weight $bw:literal, $bdoc:literal; )* }
    ) => {
        /// Ufuncs of one operand.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Unary { $( #[doc = $udoc] $U, )* }

        /// Ufuncs of two operands of one dtype.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Binary { $( #[doc = $bdoc] $B, )* }

        impl Unary {
            /// Every row.
            pub const ALL: &[Unary] = &[ $( Unary::$U ),* ];
            /// The row of this ufunc.
            pub const fn info(self) -> &'static UfuncInfo {
                match self { $( Unary::$U => &UfuncInfo { name: stringify!($u), doc: $udoc, kinds: $uk, gives: Gives::$ug,
                    ulp_cpu: $uc, ulp_gpu: $ugpu, domain: ($ulo, $uhi), weight: $uw }, )* }
            }
        }

        impl Binary {
            /// Every row.
            pub const ALL: &[Binary] = &[ $( Binary::$B ),* ];
            /// The row of this ufunc.
            pub const fn info(self) -> &'static UfuncInfo {
                match self { $( Binary::$B => &UfuncInfo { name: stringify!($b), doc: $bdoc, kinds: $bk, gives: Gives::$bg,
                    ulp_cpu: $bc, ulp_gpu: $bgpu, domain: ($blo, $bhi), weight: $bw }, )* }
            }
        }

        crate::expr::ufunc_methods! { unary { $( $U $u $ug $udoc )* } binary { $( $B $b $bg $bdoc )* } }
    };
}

// name(dtypes) -> dtype of the result, ulp on CPU devices / on GPUs, on (domain), weight, meaning;
ufuncs! {
    unary {
        Neg neg(NUMBER) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0, "The negative, `-x`; integers wrap.";
        Abs abs(NUMBER) -> Magnitude, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0, "The magnitude `|x|`, real for complex operands; integers wrap.";
        Square square(NUMBER) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0, "`x * x`; integers wrap.";
        Sqrt sqrt(FLOATING) -> Same, ulp 0.0 / 2.0, on (0.0, 1e6), weight 6.0, "The square root; NaN below zero.";
        Exp exp(FLOATING) -> Same, ulp 1.0 / 4.0, on (-80.0, 80.0), weight 20.0, "e to the power of x.";
        Log log(FLOATING) -> Same, ulp 1.0 / 4.0, on (1e-6, 1e6), weight 24.0, "The natural logarithm; -infinity at zero, NaN below.";
        Sin sin(FLOAT) -> Same, ulp 1.0 / 4.0, on (-100.0, 100.0), weight 28.0, "The sine of x in radians; NaN at infinity.";
        Cos cos(FLOAT) -> Same, ulp 1.0 / 4.0, on (-100.0, 100.0), weight 28.0, "The cosine of x in radians; NaN at infinity.";
        Tanh tanh(FLOAT) -> Same, ulp 1.5 / 4.0, on (-10.0, 10.0), weight 30.0, "The hyperbolic tangent.";
        LogicalNot logical_not(ANY) -> Truth, ulp 0.0 / 0.0, on (-1.0, 1.0), weight 1.0, "Whether x is zero (false).";
    }
    binary {
        Add add(NUMBER) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0, "The sum `x + y`; integers wrap.";
        Sub sub(NUMBER) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0, "The difference `x - y`; integers wrap.";
        Mul mul(NUMBER) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0, "The product `x * y`; integers wrap.";
        Div div(NUMBER) -> Same, ulp 0.0 / 2.5, on (-1e6, 1e6), weight 5.0, "The quotient `x / y`; integers truncate, wrap, and give 0 where y is 0.";
        Pow pow(REAL) -> Same, ulp 2.0 / 4.0, on (1e-3, 30.0), weight 80.0, "x to the power of y; integers wrap, and truncate where y is negative (0 to a negative power is 0).";
        Minimum minimum(REAL) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0, "The smaller of x and y; NaN if either is, y if they are equal.";
        Maximum maximum(REAL) -> Same, ulp 0.0 / 0.0, on (-1e6, 1e6), weight 1.0, "The larger of x and y; NaN if either is, y if they are equal.";
        Equal equal(ANY) -> Truth, ulp 0.0 / 0.0, on (-2.0, 2.0), weight 1.0, "Whether x equals y; false for NaN.";
        NotEqual not_equal(ANY) -> Truth, ulp 0.0 / 0.0, on (-2.0, 2.0), weight 1.0, "Whether x differs from y; true for NaN.";
        Less less(REAL) -> Truth, ulp 0.0 / 0.0, on (-2.0, 2.0), weight 1.0, "Whether x is below y; false for NaN.";
        LessEqual less_equal(REAL) -> Truth, ulp 0.0 / 0.0, on (-2.0, 2.0), weight 1.0, "Whether x is at most y; false for NaN.";
        Greater greater(REAL) -> Truth, ulp 0.0 / 0.0, on (-2.0, 2.0), weight 1.0, "Whether x is above y; false for NaN.";
        GreaterEqual greater_equal(REAL) -> Truth, ulp 0.0 / 0.0, on (-2.0, 2.0), weight 1.0, "Whether x is at least y; false for NaN.";
    }
}
