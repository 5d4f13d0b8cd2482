//! Operations on short axes run in strips across them: every device gives the results of `scalar`, for shapes of
//! several strips and layouts of every kind.

use crate::common::on_every_device;
use polyarray::prelude::*;
use polyarray::{
    Axes, Binary, Complex, Dims, DynArray, Kind, MemoryId, Reducer, Scalar, SliceItem, Unary, Wide, with_dtype,
    with_threads,
};

const SHAPES: [&[usize]; 9] = [
    &[700, 3],
    &[3, 1700],
    &[40, 7, 16],
    &[33, 2, 65],
    &[9, 5, 4, 31],
    &[2, 3, 2, 2, 150],
    &[130, 1, 33],
    &[4, 1100, 1],
    &[129, 17],
];

fn filled(dtype: DType, shape: &[usize], seed: usize) -> DynArray {
    let n: usize = shape.iter().product();
    let value =
        |i: usize| ((i * 7919 + seed * 104_729) % 113) as i128 - if dtype.kind() == Kind::Uint { 0 } else { 56 };
    with_dtype!(dtype, T => {
        let data = (0..n).map(|i| T::from_wide(Wide::Int(value(i)))).collect();
        Array::<T>::from_vec(data, Dims::from(shape)).unwrap().erase()
    })
}

/// Returns views of `x` with different layouts.
fn views(x: &DynArray) -> Vec<DynArray> {
    let all = |item: SliceItem| vec![item; x.ndim()];
    let last = |item: SliceItem| {
        let mut items = all((..).into());
        items[x.ndim() - 1] = item;
        items
    };
    let mut rotated: Vec<isize> = (1..x.ndim() as isize).collect();
    rotated.push(0);
    let mut views = vec![
        x.clone(),
        x.t(),
        x.permute(&rotated).unwrap(),
        x.slice(all(SliceItem::from(..).step(-1))).unwrap(),
        x.slice(all(SliceItem::from(..).step(2))).unwrap(),
        x.slice(last((1..).into())).unwrap(),
        x.slice(last(SliceItem::from(..).step(3))).unwrap(),
    ];
    views.retain(|view| !view.is_empty());
    views
}

/// Returns operands that broadcast to the shape of `x`: of the last axis, of the first, of the second, of all but one,
/// a single element, and all of it.
fn others(x: &DynArray) -> Vec<DynArray> {
    let (shape, ndim) = (x.shape(), x.ndim());
    let kept = |keep: &dyn Fn(usize) -> bool| -> Vec<usize> {
        (0..ndim).map(|axis| if keep(axis) { shape[axis] } else { 1 }).collect()
    };
    let shapes = [
        vec![shape[ndim - 1]],
        kept(&|axis| axis == 0),
        kept(&|axis| axis == 1),
        kept(&|axis| axis != 1),
        kept(&|_| false),
        shape.to_vec(),
    ];
    shapes.iter().enumerate().map(|(i, shape)| filled(x.dtype(), shape, i + 2)).collect()
}

/// Compares `f` on every device, on one thread and on several, with `scalar`. `simd` must not refuse it.
fn same(what: &str, f: impl Fn() -> Result<DynArray>) {
    same_where(what, |_| true, f);
}

/// As [`same`], on the devices of the host: a GPU may round products in another order.
fn same_on_the_host(what: &str, f: impl Fn() -> Result<DynArray>) {
    same_where(what, |device| device.memory() == MemoryId::HOST, f);
}

fn same_where(what: &str, of: impl Fn(&Device) -> bool, f: impl Fn() -> Result<DynArray>) {
    let wanted = with_device(&Device::scalar(), &f).unwrap();
    let bytes = wanted.to_bytes().unwrap();
    if let Ok(simd) = Device::named("simd") {
        assert!(with_device(&simd, &f).is_ok(), "{what}: simd refuses it");
    }
    on_every_device(|device| {
        for threads in [1, 3].into_iter().filter(|_| of(device)) {
            let got = with_threads(threads, &f)?;
            assert_eq!(got.shape(), wanted.shape(), "{what} on {device}");
            assert!(got.to_bytes()? == bytes, "{what} on {device}, {threads} threads");
        }
        Ok(())
    });
}

#[test]
fn maps_with_operands_that_broadcast() {
    for dtype in [DType::U8, DType::I16, DType::F32, DType::F64, DType::C64, DType::F16] {
        for shape in SHAPES {
            let x = filled(dtype, shape, 1);
            for (v, view) in views(&x).iter().enumerate() {
                for (o, other) in others(view).iter().enumerate() {
                    let what = format!("{dtype} {shape:?}, view {v}, operand {o}");
                    same(&format!("sums of {what}"), || view.binary(Binary::Add, other).eval());
                    same(&format!("equality of {what}"), || view.binary(Binary::Equal, other).eval());
                    same(&format!("three operands of {what}"), || {
                        view.binary(Binary::NotEqual, other).select(other, view).binary(Binary::Sub, view).eval()
                    });
                }
                let into = with_dtype!(dtype, T => {
                    let view = view.typed::<T>().unwrap();
                    let mut out = Array::<T>::zeros(Dims::from([view.shape(), &[2]].concat())).unwrap();
                    let mut items: Vec<SliceItem> = vec![(..).into(); view.ndim()];
                    items.push(1.into());
                    (&view + T::from_wide(Wide::Int(3))).eval_into(&mut out.slice_mut(items).unwrap()).unwrap();
                    out.erase()
                });
                let sum = view.binary(Binary::Add, Scalar::from_wide(dtype, Wide::Int(3))).eval().unwrap();
                let mut at: Vec<SliceItem> = vec![(..).into(); view.ndim()];
                at.push(1.into());
                assert!(
                    into.slice(at).unwrap().to_bytes().unwrap() == sum.to_bytes().unwrap(),
                    "{dtype} {shape:?} {v}"
                );
            }
        }
    }
}

#[test]
fn integers_divide_by_every_number() {
    for dtype in [DType::I8, DType::U8, DType::I16, DType::U16, DType::I32, DType::U32, DType::I64, DType::U64] {
        let edges: Vec<Wide> = with_dtype!(dtype, T => {
            let near =
                [0i128, 1, 2, 3, 5, 7, 10, 127, 128, 255, 32_767, 65_535, 1 << 31, (1 << 31) - 1, i128::from(u32::MAX)];
            let signed = near.iter().flat_map(|&i| [i, -i, !i]);
            let wrapped = signed.map(|i| T::from_wide(Wide::Int(i)).to_wide()).collect::<Vec<_>>();
            let most = 1i128 << (8 * dtype.size() - usize::from(dtype.kind() == Kind::Int));
            let least = if dtype.kind() == Kind::Int { -most } else { 0 };
            wrapped.into_iter().chain([Wide::Int(least), Wide::Int(most - 1)]).collect()
        });
        let column = |values: &[Wide], shape: [usize; 2]| {
            with_dtype!(dtype, T => {
                let data = values.iter().map(|&w| T::from_wide(w)).collect();
                Array::<T>::from_vec(data, shape).unwrap().erase()
            })
        };
        let (x, y) = (column(&edges, [edges.len(), 1]), column(&edges, [1, edges.len()]));
        for op in [Binary::Div, Binary::FloorDiv, Binary::Rem] {
            same(&format!("{op:?} of {dtype}"), || x.binary(op, &y).eval());
        }
    }
}

#[test]
fn reductions_of_short_lines() {
    let reducers =
        [Reducer::Sum, Reducer::Prod, Reducer::Min, Reducer::Max, Reducer::Any, Reducer::CountNonzero, Reducer::ArgMin];
    for dtype in [DType::U8, DType::Bool, DType::I32, DType::F32, DType::F64, DType::F16] {
        for shape in SHAPES {
            let x = filled(dtype, shape, 1);
            for (v, view) in views(&x).iter().enumerate() {
                for axis in 0..view.ndim() {
                    for by in reducers.into_iter().filter(|by| dtype != DType::Bool || !matches!(by, Reducer::Prod)) {
                        let what = format!("{by:?} of {dtype} {shape:?}, view {v}, over axis {axis}");
                        same_on_the_host(&what, || view.reduce(by, Some(Axes::from(axis))));
                    }
                }
                same_on_the_host(&format!("sum of {dtype} {shape:?}, view {v}"), || view.reduce(Reducer::Sum, None));
                same(&format!("argmax of {dtype} {shape:?}, view {v}"), || view.reduce(Reducer::ArgMax, None));
            }
        }
    }
}

/// Windows overlap in memory: the elements of one are as near to each other as those of neighbouring windows.
#[test]
fn reductions_of_windows() {
    for dtype in [DType::U8, DType::I32, DType::F32, DType::F64, DType::F16] {
        for (shape, lens) in [([23, 40], [3, 3]), ([5, 900], [5, 100]), ([40, 300], [1, 290]), ([2100, 7], [64, 2])] {
            let x = filled(dtype, &shape, 1);
            for (v, view) in views(&x).iter().enumerate() {
                let lens = [0, 1].map(|axis| lens[axis].min(view.shape()[axis]));
                let windows = with_dtype!(dtype, T => view.typed::<T>().unwrap().windows(lens).unwrap().erase());
                for by in [Reducer::Sum, Reducer::Mean, Reducer::Max, Reducer::Any, Reducer::ArgMin] {
                    let what = format!("{by:?} of windows {lens:?} of {dtype} {shape:?}, view {v}");
                    let both = by != Reducer::ArgMin;
                    let axes = if both { Axes::from([2, 3]) } else { Axes::from(3) };
                    same_on_the_host(&what, || windows.reduce(by, Some(axes.clone())));
                }
            }
        }
    }
}

/// The lines of neighbouring outputs lie between those of one output.
#[test]
fn reductions_of_lines_that_alternate() {
    for dtype in [DType::U8, DType::Bool, DType::I32, DType::F32, DType::F64, DType::C64] {
        for shape in [[6, 5, 9, 7], [40, 20, 26, 7], [3, 2, 600, 65], [300, 1, 4, 16]] {
            let x = filled(dtype, &shape, 1);
            for (v, view) in views(&x).iter().enumerate() {
                for by in [Reducer::Sum, Reducer::Mean, Reducer::Max, Reducer::Var(0), Reducer::Any] {
                    if dtype == DType::C64 && matches!(by, Reducer::Max | Reducer::Var(_)) {
                        continue;
                    }
                    for axes in [vec![0, 1, 3], vec![1, 3], vec![0, 3], vec![0, 2]] {
                        let what = format!("{by:?} of {dtype} {shape:?}, view {v}, over {axes:?}");
                        same_on_the_host(&what, || view.reduce(by, Some(Axes::from(&axes[..]))));
                    }
                }
            }
        }
    }
}

#[test]
fn lines_of_one_element() -> Result<()> {
    let x = Array::from_vec((0..600).map(|i| (i % 7) as f32 - 3.0).collect(), [3, 1, 200])?;
    assert_eq!(x.sort(1)?.to_vec()?, x.to_vec()?);
    assert_eq!((x.argsort(1)?.shape(), x.argsort(1)?.to_vec()?), (&[3, 1, 200][..], vec![0; 600]));
    assert_eq!(x.cumsum(1)?.to_vec()?, x.to_vec()?);
    assert_eq!(x.cast::<u8>().cumprod(1)?.to_vec()?, x.cast::<u64>().eval()?.to_vec()?);
    let mut sorted = x.sort(1)?;
    sorted.set([0, 0, 0], 9.0)?;
    assert_eq!(x.get([0, 0, 0])?, -3.0, "the result is an array of its own");
    let one = Array::from_vec(vec![10, 20, 30], [3])?.slice(s![2..3])?;
    assert_eq!((one.unique()?.to_vec()?, one.sort(0)?.to_vec()?), (vec![30], vec![30]), "a view with an offset");
    let mut repeated = Array::from_vec(vec![5.0], [1, 1])?.broadcast_to([3, 1])?.sort(1)?;
    assert_eq!((repeated.strides().to_vec(), repeated.view_mut().is_ok()), (vec![1, 1], true));
    assert!(x.cast::<Complex<f32>>().sort(1).is_err());
    Ok(())
}

#[test]
fn sorts_of_short_lines() {
    for dtype in [DType::Bool, DType::I8, DType::U8, DType::I16, DType::U16, DType::F16, DType::F32] {
        for n in [2, 5, 31, 47, 48, 60, 300] {
            let x = filled(dtype, &[5, n], 3);
            same(&format!("sort of {dtype}, lines of {n}"), || x.sort(1));
            same(&format!("argsort of {dtype}, lines of {n}"), || x.argsort(1));
        }
    }
}

#[test]
fn unary_maps_of_transposed_arrays_keep_their_axis_order() -> Result<()> {
    let x = Array::from_vec((0..12).map(f64::from).collect(), [3, 4])?.t();
    let small = x.erase().unary(Unary::Neg).eval()?;
    assert_eq!((small.shape(), small.strides()), (&[4, 3][..], &[1, 4][..]));
    assert_eq!(small.get([1, 2])?, Scalar::new(-9.0));
    Ok(())
}

/// The order of a sum follows from the layout of the operands, whatever their size and whether a trace is recorded.
#[test]
fn sums_of_expressions_have_the_same_bits_on_every_path() -> Result<()> {
    let number = |i: usize| ((i * 2_654_435_761) % 1_000_003) as f32 / 997.0 - 400.0;
    let make = |shape: [usize; 2]| Array::from_vec((0..shape[0] * shape[1]).map(number).collect(), shape);
    let (a, b) = (make([2, 100])?, make([1, 100])?.reshape([100])?);
    let (square, row) = (make([40, 60])?, make([60, 40])?);
    for device in [Device::scalar(), Device::auto()].into_iter().chain(Device::named("simd")) {
        let sums = || -> Result<[f32; 4]> {
            let part = square.slice(s![.., ..50])?;
            Ok([(&a + &b).sum()?, (&square.t() + &row).sum()?, part.norm()?, (&part * 3.0).sum()?])
        };
        let bits = |sums: [f32; 4]| sums.map(f32::to_bits);
        let wanted = bits(with_device(&Device::scalar(), sums)?);
        assert_eq!(bits(with_device(&device, sums)?), wanted, "{device}");
        let (recorded, _) = polyarray::trace::record(|| with_device(&device, sums));
        assert_eq!(bits(recorded?), wanted, "{device}, recorded");
    }
    Ok(())
}

/// A device that is named runs every operation or refuses it, however small it is.
#[test]
fn a_named_device_is_not_bypassed() -> Result<()> {
    let Ok(blas) = Device::blas() else { return Ok(()) };
    let x = Array::from_vec(vec![1.0, 2.0, 3.0, 4.0], [2, 2])?.t();
    with_device(&blas, || {
        assert!(matches!(Array::full([10], 1.0), Err(Error::Refused { .. })));
        assert!(matches!(x.flatten(), Err(Error::Refused { .. })));
        assert!(matches!((&x + &x).eval(), Err(Error::Refused { .. })));
    });
    Ok(())
}

/// Threads divide strips and lines anywhere: at sizes for which several threads are chosen.
#[test]
fn large_arrays_on_several_threads() {
    for shape in [[150_000, 3], [3, 150_000], [13_000, 33]] {
        for dtype in [DType::F32, DType::Bool] {
            let x = filled(dtype, &shape, 1);
            let (row, column) = (filled(dtype, &[1, shape[1]], 2), filled(dtype, &[shape[0], 1], 3));
            let what = format!("{dtype} {shape:?}");
            same(&format!("comparison of {what} with a row"), || x.binary(Binary::NotEqual, &row).eval());
            same(&format!("comparison of {what} with a column"), || x.binary(Binary::Equal, &column).eval());
            for axis in [0, 1] {
                for by in [Reducer::Max, Reducer::Any, Reducer::All, Reducer::CountNonzero, Reducer::ArgMax] {
                    same(&format!("{by:?} of {what} over axis {axis}"), || x.reduce(by, Some(Axes::from(axis))));
                    same(&format!("{by:?} of {what}"), || x.reduce(by, None));
                }
                same(&format!("sums of {what} over axis {axis}"), || x.reduce(Reducer::Sum, Some(Axes::from(axis))));
                same(&format!("running sums of {what} along axis {axis}"), || x.cumsum(axis));
            }
        }
    }
}

/// A single true element among false ones, and the reverse, at every place of a block: reductions of truth values end
/// early.
#[test]
fn one_truth_value_decides() {
    for n in [1, 2, 63, 64, 65, 4095, 4096, 4097, 20_000, 300_000] {
        for at in [0, n / 2, n - 1] {
            for odd in [true, false] {
                let mut data = vec![!odd; n];
                data[at] = odd;
                let x = Array::from_vec(data, [n]).unwrap().erase();
                for by in [Reducer::Any, Reducer::All, Reducer::Min, Reducer::Max, Reducer::CountNonzero, Reducer::Sum]
                {
                    same(&format!("{by:?} of {n} truth values, {odd} at {at}"), || x.reduce(by, None));
                }
            }
        }
    }
}

#[test]
fn casts_of_floats_saturate() {
    let edges = [7.0, 8.0, 15.0, 16.0, 31.0, 32.0, 63.0, 64.0].map(f64::exp2);
    let near = edges.iter().flat_map(|&x| [x, x - 1.0, x - 0.5, x + 0.5, x + 1.0, x.next_down(), x.next_up()]);
    let mut all: Vec<f64> = near.flat_map(|x| [x, -x]).collect();
    all.extend([0.0, -0.0, 0.5, -0.5, 0.999, -0.999, 1.5, f64::NAN, -f64::NAN, f64::INFINITY, -f64::INFINITY, 1e300]);
    for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
        let x = Array::from_vec(all.clone(), [all.len()]).unwrap().erase().cast(dtype).eval().unwrap();
        for to in DType::ALL {
            same(&format!("{dtype} to {to}"), || x.cast(to).eval());
        }
    }
}
