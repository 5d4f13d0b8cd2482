//! Work in blocks of rows: the same results as those of the whole.

use crate::common::{count, layouts, on_every_device, refused};
use crate::maps::Temporary;
use polyarray::prelude::*;
use polyarray::{with_memory_limit, with_threads};
use proptest::prelude::*;

/// Numbers without a pattern, about 0.
fn noise(shape: impl Into<polyarray::Dims>) -> Array<f32> {
    // Not every device draws numbers.
    with_device(&Device::scalar(), || random::Generator::new(7).uniform(shape, -1.0, 2.0).unwrap())
}

#[test]
fn expressions_are_written_block_by_block() {
    on_every_device(|device| {
        let (x, b, c) = (noise([37, 5, 3]), count([5, 1]), count([37, 1, 1]));
        let whole = ((&x * 2.0 + &b).abs().sqrt() - &c).eval()?;
        for x in layouts(&x)? {
            let mut calls = Vec::new();
            let mut out = Array::<f32>::zeros([37, 5, 3])?;
            let stream = stream::of((x.to_device(device)? * 2.0 + &b).abs().sqrt() - &c);
            let show = |done: usize, of: usize| calls.push((done, of));
            // A row takes 60 + 4 + 60 bytes.
            with_memory_limit(5 * 124, || stream.progress(show).eval_into(&mut out.view_mut()?))?;
            assert_eq!(out, whole);
            assert_eq!(calls, (1..=8).map(|i| (37.min(5 * i), 37)).collect::<Vec<_>>());
        }
        let part = (&x * 3.0).eval()?.t();
        let long = (0..80).fold(x.t() * 1.0, |e, i| e + (x.t() - i as f32) * 0.5);
        let mut out = Array::<f32>::zeros([3, 5, 37])?;
        with_memory_limit(1 << 12, || stream::of(&long).eval_into(&mut out.view_mut()?))?;
        assert_eq!(out, long.eval()?);
        with_memory_limit(1 << 12, || stream::of(&part).eval_into(&mut out.view_mut()?))?;
        assert_eq!(out, part);
        Ok(())
    });
}

/// Asserts that all reductions of `x` in blocks are those of the whole, bit for bit.
fn same_reductions(x: &Array<f32>, limit: u64) {
    let e = || (x * 1.5 + 0.25).abs();
    let with = |f: &dyn Fn() -> Result<()>| with_memory_limit(limit, f).unwrap();
    with(&|| {
        assert_eq!(stream::of(e()).sum()?.to_bits(), e().sum()?.to_bits());
        assert_eq!(stream::of(e()).mean()?.to_bits(), e().mean()?.to_bits());
        assert_eq!(stream::of(x).min()?, x.min()?);
        assert_eq!(stream::of(x).max()?, x.max()?);
        assert_eq!(stream::of(x.greater(0.5)).count_nonzero()?, x.greater(0.5).count_nonzero()?);
        assert_eq!(stream::of(x).any()?, x.any()?);
        assert_eq!(stream::of(x.less(2.0)).all()?, x.less(2.0).all()?);
        assert_eq!(stream::of(x.cast::<i64>()).sum()?, x.cast::<i64>().sum()?);
        assert_eq!(stream::of(x.cast::<u8>()).prod()?, x.cast::<u8>().prod()?);
        for axis in 0..x.ndim() {
            assert_eq!(stream::of(e()).sum_axis(axis)?, e().sum_axis(axis)?, "axis {axis}");
            assert_eq!(stream::of(e()).mean_axis(axis)?, e().mean_axis(axis)?, "axis {axis}");
            assert_eq!(
                stream::of(x).max_axis(polyarray::axis(axis).keepdims())?,
                x.max_axis(polyarray::axis(axis).keepdims())?
            );
            assert_eq!(stream::of(x).all_axis(axis)?, x.all_axis(axis)?);
            assert_eq!(stream::of(x).count_nonzero_axis(axis)?, x.count_nonzero_axis(axis)?);
        }
        Ok(())
    });
}

#[test]
fn reductions_have_the_bits_of_the_whole() {
    for (shape, blocks) in
        [(&[50_003][..], 1), (&[1 << 15], 2), (&[9001, 3], 1), (&[9011, 17], 1), (&[9000, 2, 5], 2), (&[1, 20_000], 9)]
    {
        let x = noise(shape);
        let limit = 4096 * 4 * blocks * x.len() as u64 / shape[0] as u64;
        with_threads(shape.len(), || same_reductions(&x, limit + 1000));
    }
}

#[test]
fn narrow_numbers_are_summed_in_wider_ones() {
    let x = noise([60_000]);
    let (h, b) = (x.cast::<f16>().eval().unwrap(), x.cast::<bf16>().eval().unwrap());
    with_memory_limit(1 << 15, || {
        assert_eq!(stream::of(&h).sum().unwrap(), h.sum().unwrap());
        assert_eq!(stream::of(&h).min().unwrap(), h.min().unwrap());
        assert_eq!(stream::of(&b).mean().unwrap(), b.mean().unwrap());
        let z = x.cast::<Complex<f32>>();
        assert_eq!(stream::of(&z).sum().unwrap(), z.sum().unwrap());
        assert!(matches!(stream::of(&z).max(), Err(Error::DTypeUndefined { .. })));
        assert!(matches!(stream::of(&z).var(0), Err(Error::DTypeUndefined { .. })));
    });
}

#[test]
fn sums_of_other_layouts_are_close() {
    on_every_device(|device| {
        let x = noise([50, 41, 3]);
        let (b, want) = (count([41, 1]), (&x * count([41, 1])).cast::<f64>().sum()?);
        for x in layouts(&x)? {
            let e = x.to_device(device)? * b.to_device(device)?;
            let (sum, outer) = with_memory_limit(5000, || {
                Ok::<_, Error>((stream::of(&e).sum()?, stream::of(&e).sum_axis(axis([-1, 0]).keepdims())?))
            })?;
            assert!((f64::from(sum) - want).abs() < 0.05, "{sum}, not {want}");
            assert_eq!(outer.shape(), [1, 41, 1]);
            let close = |a: &Array<f32>, b: &Array<f32>| a.allclose(b, 1e-5, 1e-4);
            assert!(close(&outer, &e.sum_axis(axis([0, 2]).keepdims())?)?);
        }
        Ok(())
    });
}

#[test]
fn spreads_are_those_of_the_whole() {
    let x = noise([3001, 4]).cast::<f64>().eval().unwrap();
    let far = (&x + 1e6).eval().unwrap();
    with_memory_limit(4000, || {
        for x in [&x, &far] {
            let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-13 * b, "{a}, not {b}");
            close(stream::of(x).var(1)?, x.var(1)?);
            close(stream::of(x).std(0)?, x.std(0)?);
            let (each, whole) = (stream::of(x).var_axis(0, 0)?, x.var_axis(0, 0)?);
            each.to_vec()?.into_iter().zip(whole.to_vec()?).for_each(|(a, b)| close(a, b));
            assert_eq!(stream::of(x).std_axis(1, 1)?, x.std_axis(1, 1)?);
            let kept = stream::of(x).std_axis(axis([1, 0]).keepdims(), 0)?;
            assert_eq!(kept.shape(), [1, 1]);
        }
        assert_eq!(stream::of(count([10])).var(0)?, 8.25);
        assert_eq!(stream::of(Array::from([1u8, 3, 3, 5])).var(1)?, 8.0 / 3.0);
        assert!(stream::of(count([2])).var(2)?.is_nan());
        assert!(stream::of(&Array::full([4000], 0.1f64)?).var(0)? < 1e-30);
        Ok::<(), Error>(())
    })
    .unwrap();
}

#[test]
fn products_distances_and_sorts() {
    on_every_device(|_| {
        let (a, b) = (noise([53, 20]), noise([20, 7]));
        let file = Temporary::new();
        let mut out = io::create_npy::<f32>(&file.0, [53, 7])?;
        with_memory_limit(600, || stream::matmul(&a, &b).eval_into(&mut out.view_mut()?))?;
        assert!(out.array().allclose(&a.matmul(&b)?, 1e-5, 1e-5)?);
        let total = with_memory_limit(600, || stream::matmul(&a.t().to_contiguous()?.t(), &b).sum())?;
        assert!((total - a.matmul(&b)?.sum()?).abs() < 1e-2);
        let y = noise([11, 20]);
        let want = distance::cdist(&a, &y, Metric::Cityblock)?;
        let mut out = Array::<f32>::zeros([53, 11])?;
        with_memory_limit(600, || stream::cdist(&a, &y, Metric::Cityblock).eval_into(&mut out.view_mut()?))?;
        assert!(out.allclose(&want, 1e-5, 1e-5)?);
        let nearest = with_memory_limit(600, || stream::cdist(&a, &y, Metric::Cityblock).min_axis(1))?;
        assert!(nearest.allclose(&want.min_axis(1)?, 1e-5, 1e-5)?);
        let x = noise([31, 4, 9]);
        for axis in [1, 2, -1] {
            let mut out = Array::<f32>::zeros([31, 4, 9])?;
            with_memory_limit(1000, || stream::sort(&x, axis).eval_into(&mut out.view_mut()?))?;
            assert_eq!(out, x.sort(axis)?);
        }
        Ok(())
    });
}

#[test]
fn nothing_and_single_values() {
    let mut none = Array::<f32>::zeros([0, 3]).unwrap();
    let empty = none.clone();
    with_memory_limit(1, || {
        stream::of(&empty + 1.0).eval_into(&mut none.view_mut()?)?;
        assert_eq!((stream::of(&empty).sum()?, stream::of(&empty).prod()?), (0.0, 1.0));
        assert!(stream::of(&empty).mean()?.is_nan());
        assert!(matches!(stream::of(&empty).max(), Err(Error::Empty { .. })));
        assert_eq!(stream::of(&empty).sum_axis(0)?, Array::from([0.0; 3]));
        assert_eq!(stream::of(&empty).sum_axis(1)?.shape(), [0]);
        assert_eq!(stream::of(empty.t()).max_axis(0)?.shape(), [0]);
        let mut one = Array::full((), 0.0f32)?;
        stream::of(Array::full((), 2.0f32)? * 3.0).eval_into(&mut one.view_mut()?)?;
        assert_eq!((one.item()?, stream::of(&one).sum()?, stream::of(1.5f32).max()?), (6.0, 6.0, 1.5));
        let product = stream::matmul(&empty, &Array::<f32>::ones([3, 2])?).sum()?;
        assert_eq!((product, stream::sort(&empty, 1).sum()?), (0.0, 0.0));
        Ok::<(), Error>(())
    })
    .unwrap();
    let thin = stream::matmul(&Array::<f32>::zeros([5, 0]).unwrap(), &Array::<f32>::zeros([0, 4]).unwrap());
    assert_eq!(thin.sum_axis(0).unwrap(), Array::from([0.0; 4]));
}

#[test]
fn bad_requests_are_named() {
    let (x, mut out) = (count([10, 6]), Array::<f32>::zeros([10, 6]).unwrap());
    let setting = |e: &Error| matches!(e, Error::Setting { .. });
    let small = |f: &mut dyn FnMut() -> Result<()>, bytes: &str| {
        let needed: u64 = bytes.parse().unwrap();
        refused(with_memory_limit(needed - 1, &mut *f), setting, &["POLYARRAY_MEMORY_LIMIT", bytes]);
        with_memory_limit(needed, f).unwrap();
    };
    small(&mut || stream::of(&x * 2.0).eval_into(&mut out.view_mut()?), "48");
    small(&mut || stream::of(&x * 2.0).sum_axis(0).map(drop), "24");
    small(&mut || stream::of(&x * 2.0).sum_axis(1).map(drop), "28");
    small(&mut || stream::of(&x * 2.0).sum().map(drop), "4");
    small(&mut || stream::matmul(&x, &x.t()).sum().map(drop), "64");
    let shapes = |e: &Error| matches!(e, Error::Shapes { .. });
    refused(
        stream::of(&x).eval_into(&mut count([6, 10]).view_mut().unwrap()),
        |e| matches!(e, Error::BroadcastTo { .. }),
        &["[10, 6]", "[6, 10]"],
    );
    refused(stream::of(&x + count([7])).sum(), |e| matches!(e, Error::Broadcast { .. }), &["[10, 6]"]);
    refused(stream::matmul(&x, &x).sum(), shapes, &["[10, 6]", "inner length"]);
    refused(stream::matmul(&x, &count([6])).sum(), shapes, &["two matrices"]);
    refused(stream::cdist(&x, &count([3, 5]), Metric::Euclidean).sum(), shapes, &["[3, 5]"]);
    refused(stream::sort(&x, 0).sum(), |e| matches!(e, Error::Argument { .. }), &["axis = 0", "first axis"]);
    refused(stream::sort(&x, 2).sum(), |e| matches!(e, Error::Axis { .. }), &["axis 2"]);
    refused(stream::of(&x).sum_axis(2), |e| matches!(e, Error::Axis { .. }), &["axis 2"]);
    refused(stream::of(&x).sum_axis([1, 1]), |e| matches!(e, Error::RepeatedAxis { .. }), &["axis 1"]);
}

/// A file that another program cuts is found before the next block is read.
#[cfg(unix)]
#[test]
fn files_that_are_cut_are_found() {
    let file = Temporary::holding(&count([64, 4096]));
    let x = io::map_npy::<f32>(&file.0).unwrap();
    let (mut blocks, size) = (0, 64 * 4096 * 4);
    let cut = |_: usize, _: usize| {
        blocks += 1;
        if blocks == 3 {
            std::fs::OpenOptions::new().write(true).open(&file.0).unwrap().set_len(size / 2).unwrap();
        }
    };
    let sum = with_memory_limit(size / 16, || stream::of(&x).progress(cut).sum());
    refused(sum, |e| matches!(e, Error::File { .. }), &["was cut to 524288 bytes"]);
    assert_eq!(blocks, 3);
}

#[cfg(target_os = "linux")]
#[test]
fn mapped_files_do_not_stay_in_memory() {
    let (from, to) = (Temporary::new(), Temporary::new());
    // A sparse file: its pages are read as zeros.
    drop(io::create_npy::<f32>(&from.0, [64, 1 << 16]).unwrap());
    let x = io::map_npy::<f32>(&from.0).unwrap();
    // The resident pages of the map, in KiB.
    let resident = |path: &std::path::Path| {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        let mut lines = maps.lines().skip_while(|line| !line.ends_with(&name));
        let line = lines.find_map(|line| line.strip_prefix("Rss:")).expect("the file is mapped");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let mut most = 0;
    let seen = |_: usize, _: usize| most = most.max(resident(&from.0));
    assert_eq!(with_memory_limit(1 << 20, || stream::of(&x + 1.0).progress(seen).sum()).unwrap(), 4_194_304.0);
    assert!(most < 1 << 10, "{most} KiB of the input stay in memory");
    let mut out = io::create_npy::<f32>(&to.0, x.shape()).unwrap();
    let mut most = 0;
    let seen = |_: usize, _: usize| most = most.max(resident(&to.0));
    with_memory_limit(1 << 20, || stream::of(&x + 2.0).progress(seen).eval_into(&mut out.view_mut()?)).unwrap();
    assert!(most < 1 << 10, "{most} KiB of the output stay in memory");
    assert_eq!(stream::of(out.array()).mean().unwrap(), 2.0);
}

/// Private pages that were written are never released.
#[test]
fn changes_of_private_maps_survive() {
    let file = Temporary::holding(&Array::<f32>::zeros([100, 1000]).unwrap());
    let mut x = io::map_npy_cow::<f32>(&file.0).unwrap();
    x += 1.0;
    let sum = || with_memory_limit(40_000, || stream::of(&x).sum()).unwrap();
    assert_eq!((sum(), sum()), (100_000.0, 100_000.0));
}

/// Runs an ignored test of this file in a process of its own, with this value of `POLYARRAY_MEMORY_LIMIT`.
fn child(test: &str, limit: &str) {
    let out = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("streams::{test}"), "--ignored", "--nocapture"])
        .env("POLYARRAY_MEMORY_LIMIT", limit)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && text.contains("1 passed"), "with {limit:?}: {text}\n{error}");
}

#[test]
fn the_environment_sets_the_limit() {
    child("blocks_have_a_kibibyte", "1KiB");
    child("blocks_have_a_kibibyte", " 1024 ");
    for wrong in ["0", "much", "1 GB", "-1 MiB", "1.5"] {
        child("every_operation_fails", wrong);
    }
}

#[test]
#[ignore = "run in a process of its own"]
fn blocks_have_a_kibibyte() {
    assert_eq!(polyarray::config().memory_limit, Some(1024));
    let mut calls = Vec::new();
    stream::of(count([1000, 4])).progress(|done, _| calls.push(done)).sum_axis(0).unwrap();
    assert_eq!(calls[..2], [64, 128]);
    with_memory_limit(2048, || stream::of(count([1000, 4])).progress(|done, _| calls.push(done)).sum_axis(0)).unwrap();
    assert!(calls.ends_with(&[896, 1000]));
}

#[test]
#[ignore = "run in a process of its own"]
fn every_operation_fails() {
    let x = count([3]);
    for error in [(&x + &x).eval().map(drop), x.sum().map(drop), stream::of(&x).sum().map(drop)] {
        let message = error.unwrap_err().to_string();
        assert!(message.contains("POLYARRAY_MEMORY_LIMIT") && message.contains("GiB"), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The blocks change nothing, whatever their size, in a computation with exact results.
    #[test]
    fn blocks_change_nothing(
        lens in proptest::collection::vec(1usize..6, 1..4),
        rows in 1usize..40,
        limit in 2500u64..6000,
        turned in any::<bool>(),
        reversed in any::<bool>(),
        over in proptest::collection::vec(any::<bool>(), 4),
        keep in any::<bool>(),
    ) {
        let shape: Vec<usize> = [rows].into_iter().chain(lens).collect();
        let x = count(&shape[..]).cast::<f64>().eval().unwrap();
        let x = if turned { x.t().to_contiguous().unwrap().t() } else { x };
        let x = if reversed { x.slice(s![..;-1]).unwrap() } else { x };
        let e = (&x - 7.0) * count([*shape.last().unwrap()]).cast::<f64>();
        let axes: Vec<usize> = (0..shape.len()).filter(|&a| over[a]).collect();
        let axes = if keep { axis(&axes[..]).keepdims() } else { axis(&axes[..]) };
        with_memory_limit(limit, || {
            let mut out = Array::<f64>::zeros(&shape[..])?;
            stream::of(&e).eval_into(&mut out.view_mut()?)?;
            assert_eq!(out, e.clone().eval()?);
            assert_eq!(stream::of(&e).sum()?, e.sum()?);
            assert_eq!(stream::of(&e).sum_axis(axes.clone())?, e.sum_axis(axes.clone())?);
            assert_eq!(stream::of(&e).max_axis(axes.clone())?, e.max_axis(axes)?);
            Ok::<(), Error>(())
        }).unwrap();
    }
}

#[test]
fn what_is_stored_before_it_is_reduced_counts() {
    on_every_device(|_| {
        let (x, y) = (count([64, 2]), count([512, 2]));
        let mut blocks = 0;
        // Four rows of distances, and little else.
        let least = with_memory_limit(4 * (512 * 4 + 64), || {
            stream::cdist(&x, &y, Metric::Euclidean).progress(|_, _| blocks += 1).min_axis(1)
        })?;
        assert_eq!(least, distance::cdist(&x, &y, Metric::Euclidean)?.min_axis(1)?);
        assert_eq!(blocks, 16);
        let narrow = with_memory_limit(1024, || stream::cdist(&x, &y, Metric::Euclidean).max_axis(1));
        refused(narrow, |e| matches!(e, polyarray::Error::Setting { .. }), &["2"]);
        Ok(())
    });
}
