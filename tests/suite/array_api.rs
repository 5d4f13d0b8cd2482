//! One line for every name of the Python array API standard 2024.12, and docs/from-numpy.md, which lists them.

use polyarray::Kind;
use polyarray::prelude::*;
use std::collections::BTreeSet;

const DOCS: &str = include_str!("../../docs/from-numpy.md");

/// The names of the standard that have a line in [`lines`], by its chapters.
const STANDARD: [(&str, &str); 14] = [
    (
        "creation",
        "arange asarray empty empty_like eye from_dlpack full full_like linspace meshgrid ones ones_like tril triu \
         zeros zeros_like",
    ),
    (
        "dtypes",
        "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128 astype can_cast \
         finfo iinfo isdtype result_type",
    ),
    (
        "elementwise",
        "abs acos acosh add asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_invert bitwise_or \
         bitwise_right_shift bitwise_xor ceil clip conj copysign cos cosh divide equal exp expm1 floor floor_divide \
         greater greater_equal hypot imag isfinite isinf isnan less less_equal log log1p log2 log10 logaddexp \
         logical_and logical_not logical_or logical_xor maximum minimum multiply negative nextafter not_equal positive \
         pow real reciprocal remainder round sign signbit sin sinh square sqrt subtract tan tanh trunc",
    ),
    ("indexing", "take take_along_axis"),
    ("inspection", "__array_namespace_info__ capabilities default_device devices dtypes default_dtypes"),
    ("attributes", "dtype device mT ndim shape size T to_device"),
    ("linear algebra", "matmul matrix_transpose tensordot vecdot"),
    (
        "manipulation",
        "broadcast_arrays broadcast_to concat expand_dims flip moveaxis permute_dims repeat reshape roll squeeze stack \
         tile unstack",
    ),
    ("searching", "argmax argmin count_nonzero nonzero searchsorted where"),
    ("sets", "unique_all unique_counts unique_inverse unique_values"),
    ("sorting", "argsort sort"),
    ("statistics", "cumulative_prod cumulative_sum max mean min prod std sum var"),
    ("utilities", "all any diff"),
    ("constants", "e inf nan newaxis pi"),
];

/// The names of the extensions, which have features of their own.
const EXTENSIONS: [(&str, &str); 2] = [
    (
        "linalg",
        "cholesky cross det diagonal eigh eigvalsh inv matmul matrix_norm matrix_power matrix_rank matrix_transpose \
         outer pinv qr slogdet solve svd svdvals tensordot trace vecdot vector_norm",
    ),
    ("fft", "fft ifft fftn ifftn rfft irfft rfftn irfftn hfft ihfft fftfreq rfftfreq fftshift ifftshift"),
];

/// Names that polyarray lacks deliberately: the page says what to write instead, which is the line here.
const LACKING: &str = "empty empty_like can_cast result_type default_dtypes";

fn names(of: &'static [(&'static str, &'static str)]) -> impl Iterator<Item = &'static str> {
    of.iter().flat_map(|(_, names)| names.split_whitespace())
}

/// Returns whether the elements in C order are these.
fn is<T: Element>(x: impl IntoExpr<T>, want: &[T]) -> Result<bool> {
    Ok(x.into_expr().eval()?.to_vec()? == want)
}

/// Returns whether the elements in C order are close to these.
fn near(x: impl IntoExpr<f64>, want: &[f64]) -> Result<bool> {
    x.into_expr().allclose(Array::from(want.to_vec()), 1e-14, 1e-14)
}

type Line = (&'static str, fn() -> Result<bool>);

fn table<const N: usize>(lines: [Line; N]) -> Vec<Line> {
    lines.into()
}

/// Each name with a line that uses it.
fn lines() -> Vec<Line> {
    let mut lines = creation();
    lines.extend(dtypes());
    lines.extend(functions());
    lines.extend(operators());
    lines.extend(parts());
    lines.extend(shapes());
    lines.extend(totals());
    lines
}

fn creation() -> Vec<Line> {
    table([
        ("arange", || is(Array::<f64>::arange(0.0, 3.0, 1.0)?, &[0.0, 1.0, 2.0])),
        ("asarray", || Ok(Array::from([[1, 2], [3, 4]]) == Array::from_vec(vec![1, 2, 3, 4], [2, 2])?)),
        ("empty", || Ok(Array::<f32>::zeros([2, 3])?.len() == 6)),
        ("empty_like", || Ok(Array::from([1, 2]).zeros_like()?.len() == 2)),
        ("eye", || is(Array::<i32>::eye(2)?, &[1, 0, 0, 1])),
        ("from_dlpack", from_dlpack),
        ("full", || is(Array::full([2], 7)?, &[7, 7])),
        ("full_like", || is(Array::from([1, 2]).full_like(7)?, &[7, 7])),
        ("linspace", || is(Array::<f64>::linspace(0.0, 1.0, 3)?, &[0.0, 0.5, 1.0])),
        ("meshgrid", || {
            let grid = Array::meshgrid(&[&Array::from([1, 2]), &Array::from([3, 4])], Indexing::Xy)?;
            Ok(is(&grid[0], &[1, 2, 1, 2])? && is(&grid[1], &[3, 3, 4, 4])?)
        }),
        ("ones", || is(Array::<u8>::ones([2])?, &[1, 1])),
        ("ones_like", || is(Array::from([5, 6]).ones_like()?, &[1, 1])),
        ("tril", || is(Array::from([[1, 2], [3, 4]]).tril(0)?, &[1, 0, 3, 4])),
        ("triu", || is(Array::from([[1, 2], [3, 4]]).triu(0)?, &[1, 2, 0, 4])),
        ("zeros", || is(Array::<bool>::zeros([1])?, &[false])),
        ("zeros_like", || is(Array::from([5.0, 6.0]).zeros_like()?, &[0.0, 0.0])),
        ("e", || near(Array::from([1.0]).exp(), &[std::f64::consts::E])),
        ("inf", || is(Array::from([1.0]) / 0.0, &[f64::INFINITY])),
        ("nan", || is(Array::from([f64::NAN]).is_nan(), &[true])),
        ("newaxis", || Ok(Array::from([1, 2]).slice(s![.., NewAxis])?.shape() == [2, 1])),
        ("pi", || near(Array::from([-1.0]).arccos(), &[std::f64::consts::PI])),
    ])
}

/// Exports an array and imports it again, without a copy.
#[cfg(feature = "dlpack")]
fn from_dlpack() -> Result<bool> {
    use polyarray::interchange::dlpack;
    let tensor = dlpack::export(Array::from([1.0f32, 2.0]))?;
    // SAFETY: the tensor was just exported, and is imported once.
    let array = unsafe { dlpack::import(tensor) }?;
    is(array.typed::<f32>()?, &[1.0, 2.0])
}

/// Without the feature, arrays come from slices.
#[cfg(not(feature = "dlpack"))]
fn from_dlpack() -> Result<bool> {
    is(Array::from_slice(&[1.0f32, 2.0], [2])?, &[1.0, 2.0])
}

fn dtypes() -> Vec<Line> {
    fn is_dtype<T: Element>(dtype: DType) -> Result<bool> {
        Ok(Array::<T>::zeros([1])?.dtype() == dtype)
    }
    table([
        ("bool", || is_dtype::<bool>(DType::Bool)),
        ("int8", || is_dtype::<i8>(DType::I8)),
        ("int16", || is_dtype::<i16>(DType::I16)),
        ("int32", || is_dtype::<i32>(DType::I32)),
        ("int64", || is_dtype::<i64>(DType::I64)),
        ("uint8", || is_dtype::<u8>(DType::U8)),
        ("uint16", || is_dtype::<u16>(DType::U16)),
        ("uint32", || is_dtype::<u32>(DType::U32)),
        ("uint64", || is_dtype::<u64>(DType::U64)),
        ("float32", || is_dtype::<f32>(DType::F32)),
        ("float64", || is_dtype::<f64>(DType::F64)),
        ("complex64", || is_dtype::<Complex<f32>>(DType::C32)),
        ("complex128", || is_dtype::<Complex<f64>>(DType::C64)),
        ("astype", || is(Array::from([1.7, -1.7]).cast::<i32>(), &[1, -1])),
        ("can_cast", || is(Array::from([300]).cast::<u8>(), &[44])),
        ("finfo", || Ok((1.0 + f64::EPSILON).next_down() == 1.0 && f64::MAX.is_finite())),
        ("iinfo", || is(Array::from([i32::MAX]) + 1, &[i32::MIN])),
        ("isdtype", || Ok(Array::from([1.0]).dtype().kind() == Kind::Float)),
        ("result_type", || is(Array::from([1]).cast::<f64>() + &Array::from([0.5]), &[1.5])),
    ])
}

/// Functions of one operand.
fn functions() -> Vec<Line> {
    fn x() -> Array<f64> {
        Array::from([0.25, 0.5])
    }
    fn big() -> Array<f64> {
        Array::from([-1.5, 2.5])
    }
    fn z() -> Array<Complex<f64>> {
        Array::from([Complex::new(3.0, -4.0)])
    }
    fn like(got: Expr<f64>, f: fn(f64) -> f64) -> Result<bool> {
        near(got, &[f(0.25), f(0.5)])
    }
    table([
        ("abs", || Ok(is(big().abs(), &[1.5, 2.5])? && is(z().abs(), &[5.0])?)),
        ("acos", || like(x().arccos(), f64::acos)),
        ("acosh", || near((x() + 1.0).arccosh(), &[1.25f64.acosh(), 1.5f64.acosh()])),
        ("asin", || like(x().arcsin(), f64::asin)),
        ("asinh", || like(x().arcsinh(), f64::asinh)),
        ("atan", || like(x().arctan(), f64::atan)),
        ("atanh", || like(x().arctanh(), f64::atanh)),
        ("bitwise_invert", || is(!Array::from([5u8]), &[250])),
        ("ceil", || is(big().ceil(), &[-1.0, 3.0])),
        ("conj", || is(z().conj(), &[Complex::new(3.0, 4.0)])),
        ("cos", || like(x().cos(), f64::cos)),
        ("cosh", || like(x().cosh(), f64::cosh)),
        ("exp", || like(x().exp(), f64::exp)),
        ("expm1", || like(x().expm1(), f64::exp_m1)),
        ("floor", || is(big().floor(), &[-2.0, 2.0])),
        ("imag", || is(&z().imag()?, &[-4.0])),
        ("isfinite", || is(Array::from([1.0, f64::NAN]).is_finite(), &[true, false])),
        ("isinf", || is(Array::from([1.0, -f64::INFINITY]).is_inf(), &[false, true])),
        ("isnan", || is(Array::from([1.0, f64::NAN]).is_nan(), &[false, true])),
        ("log", || like(x().log(), f64::ln)),
        ("log1p", || like(x().log1p(), f64::ln_1p)),
        ("log2", || is(x().log2(), &[-2.0, -1.0])),
        ("log10", || like(x().log10(), f64::log10)),
        ("logical_not", || is(Array::from([0, 3]).logical_not(), &[true, false])),
        ("negative", || is(-big(), &[1.5, -2.5])),
        ("positive", || Ok(big().clone() == big())),
        ("real", || is(&z().real()?, &[3.0])),
        ("reciprocal", || is(x().reciprocal(), &[4.0, 2.0])),
        ("round", || is(big().round(), &[-2.0, 2.0])),
        ("sign", || Ok(is(big().sign(), &[-1.0, 1.0])? && is(z().sign(), &[Complex::new(0.6, -0.8)])?)),
        ("signbit", || is(Array::from([-0.0, 1.0]).signbit(), &[true, false])),
        ("sin", || like(x().sin(), f64::sin)),
        ("sinh", || like(x().sinh(), f64::sinh)),
        ("square", || is(x().square(), &[0.0625, 0.25])),
        ("sqrt", || like(x().sqrt(), f64::sqrt)),
        ("tan", || like(x().tan(), f64::tan)),
        ("tanh", || like(x().tanh(), f64::tanh)),
        ("trunc", || is(big().trunc(), &[-1.0, 2.0])),
    ])
}

/// Functions of several operands.
fn operators() -> Vec<Line> {
    fn x() -> Array<i32> {
        Array::from([7, -7])
    }
    fn y() -> Array<i32> {
        Array::from([2, 2])
    }
    fn f() -> Array<f64> {
        Array::from([3.0, -5.0])
    }
    fn g() -> Array<f64> {
        Array::from([4.0, 12.0])
    }
    fn bits() -> (Array<u8>, Array<u8>) {
        (Array::from([12, 10]), Array::from([10, 1]))
    }
    fn truths() -> (Array<bool>, Array<bool>) {
        (Array::from([true, false]), Array::from([true, true]))
    }
    table([
        ("add", || is(x() + y(), &[9, -5])),
        ("atan2", || near(f().arctan2(g()), &[3f64.atan2(4.0), (-5f64).atan2(12.0)])),
        ("bitwise_and", || is(bits().0 & bits().1, &[8, 0])),
        ("bitwise_left_shift", || is(bits().0 << Array::from([1, 9]), &[24, 0])),
        ("bitwise_or", || is(bits().0 | bits().1, &[14, 11])),
        ("bitwise_right_shift", || is(bits().0 >> Array::from([1, 2]), &[6, 2])),
        ("bitwise_xor", || is(bits().0 ^ bits().1, &[6, 11])),
        ("clip", || is(x().clip(-1, 5), &[5, -1])),
        ("copysign", || is(g().copysign(f()), &[4.0, -12.0])),
        ("divide", || Ok(is(f() / 2.0, &[1.5, -2.5])? && is(x().cast::<f64>() / 2.0, &[3.5, -3.5])?)),
        ("equal", || is(x().equal(7), &[true, false])),
        ("floor_divide", || is(x().floor_div(y()), &[3, -4])),
        ("greater", || is(x().greater(y()), &[true, false])),
        ("greater_equal", || is(x().greater_equal(7), &[true, false])),
        ("hypot", || near(f().hypot(g()), &[5.0, 13.0])),
        ("less", || is(x().less(y()), &[false, true])),
        ("less_equal", || is(x().less_equal(-7), &[false, true])),
        ("logaddexp", || near(f().logaddexp(f()), &[3.0 + 2f64.ln(), -5.0 + 2f64.ln()])),
        ("logical_and", || is(truths().0.logical_and(&truths().1), &[true, false])),
        ("logical_or", || is(truths().0.logical_or(&truths().1), &[true, true])),
        ("logical_xor", || is(truths().0.logical_xor(&truths().1), &[false, true])),
        ("maximum", || is(x().maximum(y()), &[7, 2])),
        ("minimum", || is(x().minimum(y()), &[2, -7])),
        ("multiply", || is(x() * y(), &[14, -14])),
        ("nextafter", || is(f().nextafter(&g())?, &[3f64.next_up(), (-5f64).next_up()])),
        ("not_equal", || is(x().not_equal(7), &[false, true])),
        ("pow", || is(x().pow(y()), &[49, 49])),
        ("remainder", || is(x().remainder(y()), &[1, 1])),
        ("subtract", || is(x() - y(), &[5, -9])),
        ("where", || is(select(x().greater(0), x(), y()), &[7, 2])),
    ])
}

/// Indexing, inspection and attributes.
fn parts() -> Vec<Line> {
    fn a() -> Array<i32> {
        Array::from([[1, 2, 3], [4, 5, 6]])
    }
    table([
        ("take", || is(&a().take(&Array::from([-1, 0]), 1)?, &[3, 1, 6, 4])),
        ("take_along_axis", || is(&a().take_along_axis(&Array::from([[2], [0]]), 1)?, &[3, 4])),
        ("__array_namespace_info__", || Ok(Device::all().iter().any(|d| d.name() == "scalar"))),
        ("capabilities", || Ok(!Device::scalar().info().description.is_empty())),
        ("default_device", || Ok(!Device::current()?.name().is_empty())),
        ("devices", || Ok(Device::named("scalar").is_ok())),
        ("dtypes", || Ok(DType::ALL.len() == 15)),
        ("default_dtypes", || Ok(Array::<f32>::zeros([1])?.dtype() == DType::F32)),
        ("dtype", || Ok(a().dtype() == DType::I32)),
        ("device", || Ok(!a().device().name().is_empty())),
        ("mT", || is(&a().swapaxes(-2, -1)?, &[1, 4, 2, 5, 3, 6])),
        ("ndim", || Ok(a().ndim() == 2)),
        ("shape", || Ok(a().shape() == [2, 3])),
        ("size", || Ok(a().len() == 6)),
        ("T", || Ok(a().t().shape() == [3, 2])),
        ("to_device", || is(&a().to_device(&Device::scalar())?, &[1, 2, 3, 4, 5, 6])),
        ("matmul", || is(&a().matmul(&a().t())?, &[14, 32, 32, 77])),
        ("matrix_transpose", || is(&a().swapaxes(-2, -1)?, &[1, 4, 2, 5, 3, 6])),
        ("tensordot", || is(&a().tensordot(&a(), 2)?, &[91])),
        ("vecdot", || is(&einsum("...i,...i->...", &[&a(), &a()])?, &[14, 77])),
    ])
}

fn shapes() -> Vec<Line> {
    fn x() -> Array<i32> {
        Array::from([1, 2])
    }
    fn y() -> Array<i32> {
        Array::from([3, 4])
    }
    table([
        ("broadcast_arrays", || Ok(Array::broadcast_arrays(&[&x(), &Array::from([[1], [2]])])?[0].shape() == [2, 2])),
        ("broadcast_to", || is(&x().broadcast_to([2, 2])?, &[1, 2, 1, 2])),
        ("concat", || is(&Array::concatenate(&[&x(), &y()], 0)?, &[1, 2, 3, 4])),
        ("expand_dims", || Ok(x().expand_dims(0)?.shape() == [1, 2])),
        ("flip", || is(&x().flip(0)?, &[2, 1])),
        ("moveaxis", || Ok(Array::<u8>::zeros([2, 3, 4])?.moveaxis(0, -1)?.shape() == [3, 4, 2])),
        ("permute_dims", || Ok(Array::<u8>::zeros([2, 3, 4])?.permute(&[2, 0, 1])?.shape() == [4, 2, 3])),
        ("repeat", || is(&x().repeat(2, 0)?, &[1, 1, 2, 2])),
        ("reshape", || Ok(Array::<u8>::zeros([2, 6])?.reshape([3, -1])?.shape() == [3, 4])),
        ("roll", || is(&Array::from([1, 2, 3]).roll(1, 0)?, &[3, 1, 2])),
        ("squeeze", || Ok(Array::<u8>::zeros([1, 6, 1])?.squeeze()?.shape() == [6])),
        ("stack", || is(&Array::stack(&[&x(), &y()], 1)?, &[1, 3, 2, 4])),
        ("tile", || is(&x().tile(&[2])?, &[1, 2, 1, 2])),
        ("unstack", || Ok(Array::from([[1, 2], [3, 4]]).unstack(0)? == [x(), y()])),
    ])
}

/// Reductions, running sums, searches, sets and sorts.
fn totals() -> Vec<Line> {
    fn x() -> Array<i32> {
        Array::from([3, 1, 3, 0])
    }
    table([
        ("argmax", || Ok(x().argmax()? == 0)),
        ("argmin", || is(&x().argmin_axis(0)?, &[3])),
        ("count_nonzero", || Ok(x().count_nonzero()? == 3)),
        ("nonzero", || is(&x().nonzero()?[0], &[0, 1, 2])),
        ("searchsorted", || is(&Array::from([1, 3]).searchsorted(&x(), Side::Left)?, &[1, 0, 1, 0])),
        ("unique_all", || {
            let all = x().unique_all()?;
            Ok(is(&all.values, &[0, 1, 3])? && is(&all.indices, &[3, 1, 0])?)
        }),
        ("unique_counts", || is(&x().unique_counts()?.1, &[1, 1, 2])),
        ("unique_inverse", || is(&x().unique_all()?.inverse, &[2, 1, 2, 0])),
        ("unique_values", || is(&x().unique()?, &[0, 1, 3])),
        ("argsort", || is(&x().argsort(0)?, &[3, 1, 0, 2])),
        ("sort", || is(&x().sort(0)?, &[0, 1, 3, 3])),
        ("cumulative_prod", || is(&x().cumprod(0)?, &[3, 3, 9, 0])),
        ("cumulative_sum", || is(&x().cumsum(0)?, &[3, 4, 7, 7])),
        ("max", || Ok(x().max()? == 3)),
        ("mean", || Ok(x().mean()? == 1.75)),
        ("min", || is(&x().min_axis(0)?, &[0])),
        ("prod", || Ok(x().prod()? == 0)),
        ("std", || Ok((x().std(1)? - 1.5).abs() < 1e-14)),
        ("sum", || Ok(x().sum()? == 7)),
        ("var", || Ok((x().var(1)? - 2.25).abs() < 1e-14)),
        ("all", || Ok(!x().greater(0).all()?)),
        ("any", || x().greater(2).any()),
        ("diff", || is(&x().diff(1, 0)?, &[-2, 2, -3])),
    ])
}

#[test]
fn every_name_of_the_standard_has_a_line() {
    let lines = lines();
    let have: BTreeSet<&str> = lines.iter().map(|(name, _)| *name).collect();
    let standard: BTreeSet<&str> = names(&STANDARD).collect();
    assert_eq!(have, standard);
    assert_eq!(have.len(), lines.len(), "one line for each name");
    for device in [Device::scalar(), Device::auto()] {
        for (name, line) in &lines {
            let right = with_device(&device, line).unwrap_or_else(|e| panic!("{name} on {device}: {e}"));
            assert!(right, "{name} on {device}");
        }
    }
}

#[test]
fn the_page_lists_every_name() {
    let code: BTreeSet<&str> = DOCS.split('`').skip(1).step_by(2).collect();
    let missing: Vec<_> = names(&STANDARD).chain(names(&EXTENSIONS)).filter(|name| !code.contains(name)).collect();
    assert!(missing.is_empty(), "docs/from-numpy.md does not contain {missing:?}");
    // A name without an equivalent has a row with a remark.
    for name in LACKING.split_whitespace() {
        let row = DOCS.lines().find(|l| l.starts_with('|') && l.contains(&format!("`{name}`"))).expect("a row");
        let remark = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default().trim();
        assert!(remark.len() > 20, "{name} has the remark {remark:?}");
    }
}
