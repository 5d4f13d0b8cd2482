//! Known pitfalls of array libraries, each tested on every device found.

use crate::common::{count, on_every_device, required_devices};
use polyarray::prelude::*;
use polyarray::{MemoryId, trace};

#[test]
fn axes_of_zero() {
    on_every_device(|_| {
        for shape in [[0, 3], [3, 0], [0, 0]] {
            let x = Array::<f32>::zeros(shape)?;
            let y = (&x * 2.0 + 1.0).eval()?;
            assert_eq!((y.shape(), y.len(), y.to_vec()?), (&shape[..], 0, vec![]));
            assert_eq!((x.sum()?, x.prod()?), (0.0, 1.0));
            assert!(x.mean()?.is_nan());
            assert!(matches!(x.max(), Err(Error::Empty { .. })));
            assert_eq!(x.as_slice(), Some(&[][..]));
            assert_eq!(x.t().reshape([0, 7])?.shape(), [0, 7]);
        }
        let x = Array::<f32>::zeros([0, 3])?;
        assert_eq!(x.sum_axis(0)?.to_vec()?, [0.0; 3]);
        assert_eq!(x.prod_axis(axis(0).keepdims())?.to_vec()?, [1.0; 3]);
        assert_eq!(x.sum_axis(1)?.shape(), [0]);
        assert_eq!(x.max_axis(1)?.shape(), [0], "an empty result needs no maximum");
        assert!(matches!(x.max_axis(0), Err(Error::Empty { .. })));
        assert_eq!(
            (&x + &Array::<f32>::ones([1, 3])?).eval()?.shape(),
            [0, 3],
            "an axis of length 1 broadcasts to length 0"
        );
        let mut y = Array::<f32>::ones([2, 0])?;
        y += 1.0;
        y.view_mut()?.fill(3.0)?;
        Ok(())
    });
}

#[test]
fn products_and_distances_of_nothing() {
    on_every_device(|_| {
        let (a, b) = (Array::<f32>::ones([2, 0])?, Array::<f32>::ones([0, 3])?);
        assert_eq!(a.matmul(&b)?.to_vec()?, [0.0; 6], "the sum over an empty axis is 0");
        let bias = Array::from_vec(vec![1.0f32, -2.0, 3.0], [3])?;
        assert_eq!(
            Matmul::new(&a, &b).bias(&bias).map(|e| e.maximum(0.0)).run()?.to_vec()?,
            [1.0, 0.0, 3.0, 1.0, 0.0, 3.0],
            "the epilogue still runs"
        );
        assert_eq!(b.matmul(&Array::<f32>::ones([3, 4])?)?.shape(), [0, 4]);
        assert_eq!(
            distance::cdist(&Array::<f32>::ones([2, 0])?, &Array::<f32>::ones([3, 0])?, Metric::Euclidean)?.to_vec()?,
            [0.0; 6]
        );
        assert_eq!(distance::cdist(&b, &Array::<f32>::ones([2, 3])?, Metric::Cosine)?.shape(), [0, 2]);
        Ok(())
    });
}

#[test]
fn axes_of_one_and_arrays_without_axes() {
    on_every_device(|_| {
        let point = Array::from_vec(vec![3.0f32], ())?;
        assert_eq!((point.shape(), point.ndim(), point.item()?), (&[][..], 0, 3.0));
        assert_eq!((&point * &point).eval()?.item()?, 9.0);
        assert_eq!(point.sum()?, 3.0);
        assert_eq!((&point + &count([2, 2])).eval()?.to_vec()?, [3.0, 4.0, 5.0, 6.0]);
        assert_eq!(point.t().squeeze()?.expand_dims(-1)?.shape(), [1]);
        let ones = count([1, 1, 1]);
        assert_eq!((&ones + 5.0).eval()?.shape(), [1, 1, 1]);
        assert_eq!(ones.sum_axis(axis([0, 2]).keepdims())?.shape(), [1, 1, 1]);
        let (row, column) = (count([1, 4]), count([3, 1]));
        assert_eq!((&row + &column).eval()?.to_vec()?, [0., 1., 2., 3., 1., 2., 3., 4., 2., 3., 4., 5.]);
        let mut set = Array::<f32>::zeros(())?;
        set.set([0usize; 0], 7.0)?;
        assert_eq!(set.item()?, 7.0);
        Ok(())
    });
}

#[test]
fn negative_and_zero_strides() {
    on_every_device(|_| {
        let x = count([3, 4]);
        let flipped = x.slice(s![..;-1, ..;-1])?;
        assert_eq!(flipped.strides(), [-4, -1]);
        assert_eq!((&flipped + 0.0).eval()?.to_vec()?, (0..12).rev().map(|i| i as f32).collect::<Vec<_>>());
        assert_eq!((&x - &flipped).eval()?.get([0, 0])?, -11.0);
        let row = x.slice(s![1])?.broadcast_to([5, 4])?;
        assert_eq!(row.strides(), [0, 1]);
        assert_eq!(row.sum_axis(0)?.to_vec()?, [20.0, 25.0, 30.0, 35.0]);
        assert_eq!((&row * &row).sum()?, 5.0 * (16.0 + 25.0 + 36.0 + 49.0));
        let mut row = row;
        assert!(matches!(row.view_mut(), Err(Error::NotWritable { .. })), "a broadcast view is not writable");
        assert_eq!(flipped.matmul(&x.t())?.get([0, 0])?, 11. * 0. + 10. * 1. + 9. * 2. + 8. * 3.);
        Ok(())
    });
}

#[test]
fn rank_8_after_broadcasting() {
    on_every_device(|_| {
        let a = count([2, 1, 3, 1, 2, 1, 2, 1]);
        let b = count([2, 1, 2, 1, 3, 1, 2]);
        let sum = (&a + &b).eval()?;
        assert_eq!(sum.shape(), [2, 2, 3, 2, 2, 3, 2, 2]);
        for ix in [[0, 0, 0, 0, 0, 0, 0, 0], [1, 1, 2, 1, 1, 2, 1, 1], [1, 0, 1, 1, 0, 2, 0, 1]] {
            let left = a.get([ix[0], 0, ix[2], 0, ix[4], 0, ix[6], 0])?;
            let right = b.get([ix[1], 0, ix[3], 0, ix[5], 0, ix[7]])?;
            assert_eq!(sum.get(ix)?, left + right, "{ix:?}");
        }
        // Every other element along each axis, so that no two axes merge.
        let wide = count([4, 4, 4, 4, 4, 4]).slice(s![..;2, ..;-2, ..;2, ..;2, ..;-2, ..;2])?;
        assert_eq!((&wide + 0.0).eval()?.to_vec()?, wide.to_vec()?);
        assert_eq!(sum.sum_axis(axis([1, 3, 5, 7]))?.shape(), [2, 3, 2, 2]);
        Ok(())
    });
}

#[test]
fn contiguous_ignores_axes_of_one() {
    on_every_device(|_| {
        let x = count([4, 6]);
        let column = x.slice(s![.., 2..3])?.slice(s![1..2])?;
        assert!(column.is_c_contiguous() && column.is_f_contiguous());
        assert_eq!(column.as_slice(), Some(&[8.0][..]));
        let lifted = x.expand_dims(1)?.slice(s![.., ..;-1])?;
        assert!(lifted.is_c_contiguous(), "strides {:?}", lifted.strides());
        assert_eq!(lifted.as_slice().map(<[f32]>::len), Some(24));
        assert_eq!((&lifted * 1.0).eval()?.to_vec()?, x.to_vec()?);
        Ok(())
    });
}

#[test]
fn one_array_as_both_operands() {
    on_every_device(|_| {
        let x = count([5, 5]);
        assert_eq!((&x * &x).eval()?.get([4, 4])?, 576.0);
        assert_eq!((&x - &x.t()).eval()?.get([0, 4])?, 4.0 - 20.0, "one buffer, two layouts");
        let product = x.matmul(&x)?;
        let naive: f32 = (0..5).map(|k| (5 * 2 + k) as f32 * (5 * k + 3) as f32).sum();
        assert_eq!(product.get([2, 3])?, naive);
        assert_eq!(distance::cdist(&x, &x, Metric::SquaredEuclidean)?.get([3, 3])?, 0.0);
        let mut y = count([5]);
        let twin = y.clone();
        y += &twin;
        assert_eq!(y.to_vec()?, [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(twin.to_vec()?, [0.0, 1.0, 2.0, 3.0, 4.0]);
        let moved = count([3]);
        let square = moved.clone() * moved;
        assert_eq!(square.eval()?.to_vec()?, [0.0, 1.0, 4.0]);
        Ok(())
    });
}

#[test]
fn a_donated_operand_is_left_alone_while_a_view_of_it_lives() {
    on_every_device(|_| {
        let x = count([100]);
        let view = x.slice(s![10..20])?;
        let y = (x + 1.0).eval()?;
        assert_eq!(view.to_vec()?, (10..20).map(|i| i as f32).collect::<Vec<_>>());
        assert_eq!(y.get([10])?, 11.0);
        assert!(!y.shares_memory(&view));
        // An expression that is evaluated twice must keep its operands in the first evaluation.
        let e = count([4]) * 2.0;
        assert_eq!(e.clone().eval()?.to_vec()?, e.eval()?.to_vec()?);
        Ok(())
    });
}

#[test]
fn an_output_that_aliases_an_input() {
    on_every_device(|_| {
        // Shifted by one: a naive loop reads elements that it has already written.
        let mut x = count([10]);
        let source = x.slice(s![..9])?;
        x.slice_mut(s![1..])?.assign(&source + 100.0)?;
        assert_eq!(x.to_vec()?, [0., 100., 101., 102., 103., 104., 105., 106., 107., 108.]);
        let mut x = count([7]);
        let backwards = x.slice(s![..;-1])?;
        x.view_mut()?.assign(&backwards)?;
        assert_eq!(x.to_vec()?, [6., 5., 4., 3., 2., 1., 0.]);
        let mut square = count([3, 3]);
        let transposed = square.t();
        square += transposed;
        assert_eq!(square.to_vec()?, [0., 4., 8., 4., 8., 12., 8., 12., 16.]);
        Ok(())
    });
}

#[test]
fn seven_and_eight_inputs() {
    on_every_device(|_| {
        let arrays: Vec<Array<f32>> = (0..17).map(|i| (count([40]) * (i as f32)).eval()).collect::<Result<_>>()?;
        for n in [6, 7, 8, 9, 17] {
            let sum = arrays[1..n].iter().fold(&arrays[0] + 0.0, |e, a| e + a);
            let factor: usize = (0..n).sum();
            assert_eq!(sum.eval()?.to_vec()?, (0..40).map(|i| (i * factor) as f32).collect::<Vec<_>>(), "{n} inputs");
        }
        let reduced = arrays[1..9].iter().fold(&arrays[0] + 0.0, |e, a| e + a);
        assert_eq!(reduced.sum()?, 36.0 * 780.0, "a reduction of an expression that must be split");
        Ok(())
    });
}

#[test]
fn more_workgroups_and_bytes_than_one_launch_or_binding_takes() {
    // 128 MiB and 4 bytes, in more than 65,535 workgroups of 256. Devices of host memory have no such limits, so
    // `scalar` stands for all of them.
    let n = (128 << 20) / 4 + 1;
    for device in required_devices() {
        if device.memory() == MemoryId::HOST && device.name() != "scalar" {
            continue;
        }
        let done = with_device(&device, || {
            let x = Array::from_vec((0..n as i32).collect(), [n])?;
            (x + 1).eval()
        });
        let y = match done {
            Ok(y) => y,
            Err(Error::OutOfMemory { bytes, .. }) => {
                println!("{device} cannot allocate {bytes} bytes");
                continue;
            }
            Err(e) => panic!("{device}: {e}"),
        };
        let values = y.to_vec().unwrap();
        let wrong = values.iter().enumerate().find(|(i, v)| **v != *i as i32 + 1);
        assert_eq!(wrong, None, "{device}");
    }
}

/// A NaN with a payload and a sign.
const MARKED_NAN: u32 = 0xffc1_2345;

#[test]
fn nan_goes_through_minimum_maximum_select_and_comparisons() {
    on_every_device(|_| {
        let nan = f32::from_bits(MARKED_NAN);
        let x = Array::from_vec(vec![nan, 1.0, nan, f32::INFINITY, -0.0], [5])?;
        let y = Array::from_vec(vec![1.0, nan, nan, nan, 0.0], [5])?;
        let nans =
            |e: Expr<f32>| -> Result<Vec<bool>> { Ok(e.eval()?.to_vec()?.into_iter().map(f32::is_nan).collect()) };
        assert_eq!(nans(x.minimum(&y))?, [true, true, true, true, false], "NaN wins on either side");
        assert_eq!(nans(x.maximum(&y))?, [true, true, true, true, false]);
        assert_eq!(x.less(&y).eval()?.to_vec()?, [false; 5]);
        assert_eq!(x.greater_equal(&y).eval()?.to_vec()?, [false, false, false, false, true], "-0 equals 0");
        assert_eq!(x.equal(&x).eval()?.to_vec()?, [false, true, false, true, true], "NaN does not equal itself");
        assert_eq!(x.not_equal(&x).eval()?.to_vec()?, [true, false, true, false, false]);
        assert!(x.min()?.is_nan() && x.max()?.is_nan());
        assert_eq!(x.logical_not().eval()?.to_vec()?, [false, false, false, false, true], "NaN is true");
        assert_eq!(x.cast::<bool>().eval()?.to_vec()?, [true, true, true, true, false]);
        assert_eq!(x.cast::<i32>().eval()?.to_vec()?, [0, 1, 0, i32::MAX, 0]);
        let condition = Array::from_vec(vec![true, false, true, false, true], [5])?;
        let picked = select(&condition, &x, &y).eval()?.to_vec()?;
        assert_eq!([picked[0].to_bits(), picked[2].to_bits()], [MARKED_NAN; 2], "select moves bits");
        assert_eq!(picked[4].to_bits(), (-0.0f32).to_bits());
        let copy = x.flatten()?.to_vec()?;
        assert_eq!(copy[0].to_bits(), MARKED_NAN, "a copy keeps the payload");
        Ok(())
    });
}

#[test]
fn a_sum_of_nothing_but_minus_zero_is_minus_zero() {
    on_every_device(|_| {
        for n in [1, 2, 63, 64, 65, 1000, 5000] {
            let x = Array::<f32>::full([n], -0.0)?;
            assert_eq!(x.sum()?.to_bits(), (-0.0f32).to_bits(), "{n}");
            let columns = x.broadcast_to([3, n])?.sum_axis(1)?;
            assert!(columns.to_vec()?.iter().all(|s| s.to_bits() == (-0.0f32).to_bits()), "{n}");
            let rows = x.broadcast_to([3, n])?.sum_axis(0)?;
            assert!(rows.to_vec()?.iter().all(|s| s.to_bits() == (-0.0f32).to_bits()), "{n}");
        }
        let mixed = Array::from_vec(vec![-0.0f32, 0.0, -0.0], [3])?;
        assert_eq!(mixed.sum()?.to_bits(), 0, "with one +0 the sum is +0");
        Ok(())
    });
}

#[test]
fn infinities_and_nan_as_parameters() {
    on_every_device(|_| {
        let x = Array::from_vec(vec![-1.0f32, 0.0, 2.0], [3])?;
        assert_eq!((&x + f32::INFINITY).eval()?.to_vec()?, [f32::INFINITY; 3]);
        assert_eq!(x.minimum(f32::NEG_INFINITY).eval()?.to_vec()?, [f32::NEG_INFINITY; 3]);
        let masked = select(x.less(0.0), f32::INFINITY, &x).eval()?;
        assert_eq!(masked.to_vec()?, [f32::INFINITY, 0.0, 2.0]);
        assert!((&x * f32::NAN).eval()?.to_vec()?.iter().all(|v| v.is_nan()));
        assert!(Array::<f32>::full([9], f32::NAN)?.to_vec()?.iter().all(|v| v.is_nan()));
        Ok(())
    });
}

#[test]
fn subnormals_are_kept_on_cpus_and_at_most_flushed_on_gpus() {
    on_every_device(|device| {
        let tiny: Vec<f32> = [1, 2, 3, 0x7f_ffff, 0x80_0001].map(f32::from_bits).to_vec();
        let x = Array::from_vec(tiny.clone(), [5])?;
        let gpu = device.memory() != MemoryId::HOST;
        let same = |got: Vec<f32>, wanted: Vec<f32>| {
            got.iter().zip(&wanted).all(|(g, w)| g == w || gpu && *g == 0.0 && !w.is_normal())
        };
        assert!(same((&x * 1.0).eval()?.to_vec()?, tiny.clone()));
        assert!(same((&x + &x).eval()?.to_vec()?, tiny.iter().map(|t| t + t).collect()) || gpu);
        assert_eq!(x.flatten()?.to_vec()?, tiny, "a copy is one of bits, on every device");
        if !gpu {
            assert_eq!(x.sum()?, tiny.iter().sum::<f32>());
            let small = (Array::from_vec(vec![-90.0f32, -100.0], [2])?).exp().eval()?.to_vec()?;
            for (got, x) in small.iter().zip([-90.0f64, -100.0]) {
                assert!((f64::from(*got) - x.exp()).abs() <= f64::from(f32::from_bits(1)), "exp({x}) is {got:e}");
            }
            assert!(small.iter().all(|s| *s > 0.0 && !s.is_normal()));
        }
        Ok(())
    });
}

#[test]
fn results_do_not_depend_on_offset_or_length() {
    use polyarray_conformance::{Filter, check};
    for device in required_devices().iter().filter(|d| d.memory() == MemoryId::HOST && d.name() != "blas") {
        // The full suite tests every offset 0..=64 with every length 1..=130.
        check(device, &Filter::full().op("tanh").dtype(DType::F32)).assert_ok();
    }
}

#[test]
fn near_duplicates_far_from_the_origin() {
    on_every_device(|device| {
        // Adjacent f32 numbers at 4096 differ by 2^-11. The squares are near 2^24, where adjacent numbers differ by 2.
        let step = 4096f32 * f32::EPSILON;
        let x = Array::from_fn([40, 8], |ix| 4096.0 + step * (ix[0] % 5) as f32)?;
        let d = distance::cdist(&x, &x, Metric::Euclidean)?;
        // The documented bound, 8 eps sqrt(d), which GPUs keep here too: they subtract coordinates.
        let within = 8.0 * f32::EPSILON * 8f32.sqrt();
        for (i, j) in [(0, 1), (0, 4), (3, 2), (7, 0), (5, 0), (39, 39)] {
            let wanted = step * (i as f32 % 5.0 - j as f32 % 5.0).abs() * 8f32.sqrt();
            let got = d.get([i, j])?;
            assert!((got - wanted).abs() <= within * wanted, "{device}: {got} for {wanted}");
        }
        Ok(())
    });
}

#[test]
fn a_refusal_lists_the_reason_of_every_device_asked() {
    let x = count([3]);
    for device in required_devices() {
        let Err(e) = with_device(&device, || (&x + 1.0).eval()) else { continue };
        let Error::Refused { op, reasons } = &e else { panic!("{device}: {e}") };
        assert!(op.contains("add") && op.contains("f32"), "{op}");
        assert_eq!(reasons.len(), 1, "only {device} was asked");
        assert_eq!(reasons[0].0, device.name());
        assert!(!reasons[0].1.is_empty() && e.to_string().contains(&reasons[0].1));
    }
    let plan = (&x + 1.0).explain().unwrap();
    let asked: Vec<&str> = plan.candidates.iter().map(|c| c.device.as_str()).collect();
    assert!(asked.contains(&"scalar"), "{asked:?}");
    for candidate in &plan.candidates {
        if let Err(why) = &candidate.estimate {
            assert!(!why.to_string().is_empty(), "{} gives no reason", candidate.device);
        }
    }
}

#[test]
fn a_hot_loop_makes_no_copies() {
    on_every_device(|device| {
        let mut x = Array::<f32>::ones([1000])?;
        let y = Array::<f32>::ones([1000])?;
        let (done, trace) = trace::record(|| -> Result<()> {
            for _ in 0..20 {
                let sum = &x + &y;
                let mut total = sum.eval()?;
                total *= 0.5;
                x.view_mut()?.assign(&total)?;
                x.slice_mut(s![..;2])?.fill(1.0)?;
            }
            Ok(())
        });
        done?;
        assert_eq!(trace.copies_for("copy on write"), 0, "{trace}");
        assert_eq!(trace.copies_for("an operand overlaps the output"), 0, "{trace}");
        if device.memory() == MemoryId::HOST {
            assert!(trace.copies.is_empty(), "{trace}");
            assert_eq!(trace.allocations, 20, "the sums, and nothing else: {trace}");
        }
        let (done, trace) = trace::record(|| -> Result<()> {
            let twin = x.clone();
            x += 1.0;
            drop(twin);
            x += 1.0;
            Ok(())
        });
        done?;
        assert_eq!(trace.copies_for("copy on write"), 1, "a shared buffer is copied once: {trace}");
        Ok(())
    });
}
