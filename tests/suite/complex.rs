//! Functions and the order of complex numbers, on every device.

use crate::common::{layouts, on_every_device};
use polyarray::prelude::*;
use polyarray::{Binary, Unary, Wide, complex};
use proptest::prelude::*;

type Z = Complex<f64>;

/// The parts of special values.
const PARTS: [f64; 9] = [0.0, -0.0, 0.5, -1.0, 1.0, 3.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];

fn real(x: f64) -> Z {
    Z::new(x, 0.0)
}

fn wide<T: Element>(x: T) -> Z {
    match x.to_wide() {
        Wide::Complex(re, im) => Z::new(re, im),
        other => Z::new(other.real(), 0.0),
    }
}

/// Asserts that two results are equal to within `eps` of the magnitude. Infinities and NaN may differ in their parts.
#[track_caller]
fn close(got: Z, want: Z, eps: f64, what: &str) {
    let same = if want.is_nan() {
        got.is_nan()
    } else if want.is_finite() {
        (got - want).norm() <= eps * want.norm().max(f64::from(f32::MIN_POSITIVE))
    } else {
        !got.is_finite()
    };
    assert!(same, "{what}: {got} for {want}");
}

fn special<T: Element>() -> Array<T> {
    let of = |re: f64| PARTS.map(|im| T::from_wide(Wide::Complex(re, im)));
    Array::from_vec(PARTS.iter().flat_map(|&re| of(re)).collect(), [PARTS.len(), PARTS.len()]).unwrap()
}

/// Every function, of special values in every layout, and of one value.
fn functions<T: Element>(eps: f64) -> Result<()> {
    let x = special::<T>();
    for (op, f) in Unary::ALL.iter().filter_map(|&op| Some((op, complex::function(op)?))) {
        let want: Vec<Z> = x.iter()?.map(|x| f(wide(x))).collect();
        for x in layouts(&x)? {
            for (i, got) in x.into_expr().unary::<T>(op).eval()?.iter()?.enumerate() {
                // The function of f32 is that of f64, rounded: numbers may leave the range.
                close(wide(got), wide(T::from_wide(Wide::Complex(want[i].re, want[i].im))), eps, op.info().name);
            }
        }
        let one = Array::full((), T::from_wide(Wide::Complex(0.5, -0.25)))?.into_expr().unary::<T>(op).eval()?;
        close(wide(one.item()?), f(Z::new(0.5, -0.25)), eps, op.info().name);
        assert_eq!(Array::<T>::zeros([0, 3])?.into_expr().unary::<T>(op).eval()?.shape(), [0, 3]);
    }
    Ok(())
}

#[test]
fn functions_of_special_values() {
    on_every_device(|_| functions::<Complex<f64>>(16.0 * f64::EPSILON));
    on_every_device(|_| functions::<Complex<f32>>(16.0 * f64::from(f32::EPSILON)));
}

#[test]
fn reciprocals_rounding_and_powers() {
    on_every_device(|_| {
        let z = Array::from([Z::new(3.0, -4.0), Z::new(0.0, 2.0), Z::new(1e300, 1e300), Z::new(1e-310, 0.0)]);
        let got = z.reciprocal().eval()?.to_vec()?;
        close(got[0], Z::new(0.12, 0.16), 1e-15, "reciprocal");
        close(got[1], Z::new(0.0, -0.5), 1e-15, "reciprocal");
        close(got[2] * 1e300, Z::new(0.5, -0.5), 1e-15, "reciprocal");
        assert!(!got[3].is_finite());
        let zero = Array::from([Z::new(0.0, 0.0)]).reciprocal().eval()?.item()?;
        assert!(zero.re == f64::INFINITY && zero.im.is_nan());

        let z = Array::from([Z::new(0.5, 1.5), Z::new(-2.5, -0.4)]);
        assert_eq!(z.round().eval()?, Array::from([Z::new(0.0, 2.0), Z::new(-2.0, -0.0)]));
        assert_eq!(z.pow(Z::new(0.0, 0.0)).eval()?, Array::from([Z::new(1.0, 0.0); 2]));
        assert_eq!(Array::from([Z::new(3.0, 4.0)]).pow(Z::new(3.0, 0.0)).eval()?.item()?, Z::new(-117.0, 44.0));
        let i = Z::new(0.0, 1.0);
        close(Array::from([i]).pow(i).eval()?.item()?, Z::new((-std::f64::consts::FRAC_PI_2).exp(), 0.0), 1e-15, "pow");
        let narrow = Array::from([Complex::new(0.0f32, 2.0)]).pow(Complex::new(2.0, 0.0)).eval()?.item()?;
        close(wide(narrow), Z::new(-4.0, 0.0), f64::from(f32::EPSILON), "pow");
        Ok(())
    });
}

#[test]
fn identities() {
    on_every_device(|_| {
        let axis = Array::<f64>::linspace(-2.0, 2.0, 41)?;
        let i = Z::new(0.0, 1.0);
        let z = (axis.expand_dims(1)?.cast::<Z>() + axis.cast::<Z>() * i).eval()?;
        let near = |x: Expr<Z>, y: Expr<Z>| x.allclose(y, 1e-13, 1e-13);
        assert!(near(z.sin().square() + z.cos().square(), Array::full((), real(1.0))?.into_expr())?);
        assert!(near(z.exp(), z.cosh() + z.sinh())?);
        assert!(near(z.arcsin().sin(), (&z).into_expr())? && near(z.arccos().cos(), (&z).into_expr())?);
        assert!(near(z.arcsinh().sinh(), (&z).into_expr())? && near(z.arccosh().cosh(), (&z).into_expr())?);
        // Away from the poles at -1, 1, -i and i.
        let away = (&z * real(0.45)).eval()?;
        assert!(near(away.arctanh().tanh(), (&away).into_expr())? && near(away.arctan().tan(), (&away).into_expr())?);
        assert!(near(z.expm1(), z.exp() - real(1.0))? && near(z.exp2(), (&z * real(2f64.ln())).exp())?);
        assert!(near(z.log1p().exp(), &z + real(1.0))?);
        let nonzero = select(z.equal(real(0.0)), i, &z).eval()?;
        assert!(near(nonzero.log2().exp2(), (&nonzero).into_expr())?);
        assert!(near(nonzero.log10() * real(10f64.ln()), nonzero.log())?);
        assert!(near(nonzero.sign() * nonzero.abs().cast::<Z>(), (&nonzero).into_expr())?);
        Ok(())
    });
}

/// Signed zeros select the sides of branch cuts, in arrays as in single numbers.
#[test]
fn branch_cuts() {
    on_every_device(|_| {
        let cut = Array::from([Z::new(-4.0, 0.0), Z::new(-4.0, -0.0)]);
        let signs = |x: Expr<Z>| -> Result<Vec<bool>> { x.eval()?.imag()?.signbit().eval()?.to_vec() };
        for result in [cut.sqrt(), cut.log(), cut.log2(), cut.log10(), cut.log1p(), cut.arccosh()] {
            assert_eq!(signs(result)?, [false, true]);
        }
        assert_eq!(signs(cut.arccos())?, [true, false]);
        let beyond = Array::from([Z::new(2.0, 0.0), Z::new(2.0, -0.0)]);
        assert_eq!((signs(beyond.arcsin())?, signs(beyond.arctanh())?), (vec![false, true], vec![false, true]));
        Ok(())
    });
}

fn part() -> impl Strategy<Value = f64> {
    prop_oneof![4 => (-3i8..=3).prop_map(f64::from), 1 => Just(f64::NAN), 1 => Just(-0.0), 1 => Just(f64::INFINITY)]
}

fn number() -> impl Strategy<Value = Z> {
    (part(), part()).prop_map(|(re, im)| Z::new(re, im))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// The order is that of pairs of the parts, and no number with NaN is in it.
    #[test]
    fn order(pairs in proptest::collection::vec((number(), number()), 1..40)) {
        let (x, y): (Vec<Z>, Vec<Z>) = pairs.iter().copied().unzip();
        let below = |x: Z, y: Z| !x.is_nan() && !y.is_nan() && (x.re, x.im) < (y.re, y.im);
        let not_above = |x: Z, y: Z| !x.is_nan() && !y.is_nan() && (x.re, x.im) <= (y.re, y.im);
        on_every_device(|_| {
            let (a, b) = (Array::from(x.clone()), Array::from(y.clone()));
            let wanted = |f: &dyn Fn(Z, Z) -> bool| pairs.iter().map(|&(x, y)| f(x, y)).collect::<Vec<bool>>();
            assert_eq!(a.less(&b).eval()?.to_vec()?, wanted(&below));
            assert_eq!(a.less_equal(&b).eval()?.to_vec()?, wanted(&not_above));
            assert_eq!(a.greater(&b).eval()?.to_vec()?, wanted(&|x, y| below(y, x)));
            assert_eq!(a.greater_equal(&b).eval()?.to_vec()?, wanted(&|x, y| not_above(y, x)));
            let bits = |z: Z| [z.re, z.im].map(|x| if x.is_nan() { 1 } else { x.to_bits() });
            let same = |x: &Array<Z>, f: &dyn Fn(Z, Z) -> Z| -> Result<bool> {
                Ok(x.iter()?.zip(&pairs).all(|(got, &(x, y))| bits(got) == bits(f(x, y))))
            };
            let pick = |op: Binary| a.clone().into_expr().binary::<Z>(op, &b).eval();
            assert!(same(&pick(Binary::Minimum)?, &|x, y| if x.is_nan() || below(x, y) { x } else { y })?);
            assert!(same(&pick(Binary::Maximum)?, &|x, y| if x.is_nan() || below(y, x) { x } else { y })?);
            assert!(same(&pick(Binary::Fmin)?, &|x, y| if y.is_nan() || below(x, y) { x } else { y })?);
            assert!(same(&pick(Binary::Fmax)?, &|x, y| if y.is_nan() || below(y, x) { x } else { y })?);
            Ok(())
        });
    }
}
