//! Every kind of bad input gives an error that names the problem and the figures.

use crate::common::{count, refused, required_devices};
use polyarray::Dims;
use polyarray::prelude::*;

/// More elements than any machine has bytes of memory. Their size in bytes still fits into an address.
const HUGE: usize = 1 << 45;

#[test]
fn shapes_that_do_not_broadcast() {
    let (a, b) = (count([3, 4]), count([5]));
    let is = |e: &Error| matches!(e, Error::Broadcast { axis: 1, l: 4, r: 5, .. });
    refused((&a + &b).eval(), is, &["[3, 4]", "[5]", "axis 1", "4 against 5"]);
    refused((&a + &b).sqrt().sum(), is, &["[3, 4]"]);
    refused(select(a.less(&b), &a, 0.0).eval(), is, &["4 against 5"]);
    refused((&a + &b).shape(), is, &["4 against 5"]);
    refused((&a + &b).explain(), is, &["4 against 5"]);
    refused(a.mul_add(&b, 1.0).eval(), is, &["4 against 5"]);
    refused(
        b.broadcast_to([3, 4]),
        |e| matches!(e, Error::BroadcastTo { .. }),
        &["[5]", "[3, 4]", "length 5, which cannot broadcast to 4"],
    );
    refused(a.broadcast_to([4]), |e| matches!(e, Error::BroadcastTo { .. }), &["[3, 4]", "[4]"]);
}

#[test]
fn results_that_do_not_fit_where_they_go() {
    let mut out = count([2, 3]);
    let is = |e: &Error| matches!(e, Error::BroadcastTo { .. });
    refused(out.view_mut().unwrap().assign(count([4])), is, &["[4]", "[2, 3]"]);
    refused((count([2, 2, 3]) + 1.0).eval_into(&mut out.view_mut().unwrap()), is, &["[2, 2, 3]", "[2, 3]"]);
    assert_eq!(out.to_vec().unwrap(), count([2, 3]).to_vec().unwrap(), "nothing was written");
    let panic = std::panic::catch_unwind(|| {
        let mut x = count([3]);
        x += &count([2, 3]);
    });
    let message = panic.unwrap_err().downcast::<String>().expect("a message");
    assert!(message.contains("[2, 3]") && message.contains("[3]"), "{message}");
}

/// Runs `f`, which must panic. Returns the file and line of the panic, and its message.
fn panicked(f: impl FnOnce()) -> (String, u32, String) {
    use std::cell::RefCell;
    use std::sync::Once;
    thread_local! {
        static PLACE: RefCell<Option<(String, u32)>> = const { RefCell::new(None) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PLACE.set(info.location().map(|l| (l.file().to_string(), l.line())));
            before(info);
        }));
    });
    let message = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f))
        .expect_err("the closure panics")
        .downcast::<String>()
        .expect("a message");
    let (file, line) = PLACE.take().expect("the place of the panic");
    (file, line, *message)
}

#[test]
fn operators_in_place_panic_where_they_are_written() {
    let (mut x, mut again, y) = (count([3]), count([3]), count([2, 3]));
    let mut n = Array::<i32>::ones([3]).unwrap();
    let m = Array::<i32>::ones([4]).unwrap();
    type Case<'a> = (&'static str, u32, Box<dyn FnOnce() + 'a>);
    let cases: [Case; 3] = [
        ("add_assign", line!(), Box::new(|| x += &y)),
        ("mul_assign", line!(), Box::new(|| again *= &y + 1.0)),
        ("shl_assign", line!(), Box::new(|| n <<= &m)),
    ];
    for (name, written, f) in cases {
        let (file, line, message) = panicked(f);
        assert!(
            file.ends_with("bad_input.rs") && line == written,
            "{name} panicked at {file}:{line}, not at line {written}"
        );
        assert!(message.contains(name) && message.contains("[3]") && message.contains("assign("), "{message}");
    }
    let scalar = polyarray::Scalar::new(1.0f32);
    let read = || assert_eq!(scalar.get::<f64>(), 1.0);
    let (written, (file, line, _)) = (line!() - 1, panicked(read));
    assert!(file.ends_with("bad_input.rs") && line == written, "{file}:{line}");
}

#[test]
fn inner_dimensions_that_differ() {
    let is = |e: &Error| matches!(e, Error::Shapes { op: "matmul", .. });
    refused(count([2, 3]).matmul(&count([4, 5])), is, &["[2, 3]", "[4, 5]", "3 and 4"]);
    refused(count([3]).matmul(&count([4, 5])), is, &["[3]", "[4, 5]", "3 and 4"]);
    refused(count([2, 3]).dot(&count([2])), is, &["[2, 3]", "[2]", "3 and 2"]);
    refused(count(()).matmul(&count([2, 2])), is, &["[]", "[2, 2]"]);
    refused(Matmul::new(&count([3]), &count([3])).run(), is, &["at least two axes"]);
    refused(
        count([2, 3, 4]).matmul(&count([5, 4, 3])),
        |e| matches!(e, Error::Broadcast { l: 2, r: 5, .. }),
        &["[2]", "[5]"],
    );
    refused(
        Matmul::new(&count([2, 2]), &count([2, 2])).bias(&count([3])).run(),
        |e| matches!(e, Error::Broadcast { .. }),
        &["2 against 3"],
    );
    refused(Matmul::new(&count([2, 2]), &count([2, 2])).bias(&count([3, 2, 2])).run(), is, &["[2, 2]", "[3, 2, 2]"]);
    let is = |e: &Error| matches!(e, Error::Shapes { op: "cdist", .. });
    refused(distance::cdist(&count([2, 3]), &count([2, 4]), Metric::Euclidean), is, &["[2, 3]", "[2, 4]", "3 and 4"]);
    refused(distance::cdist(&count([3]), &count([2, 3]), Metric::Cosine), is, &["[3]"]);
}

#[test]
fn axes_out_of_range_or_repeated() {
    let x = count([2, 3]);
    refused(x.sum_axis(2), |e| matches!(e, Error::Axis { op: "sum", axis: 2, ndim: 2 }), &["sum", "axis 2", "-2 to 1"]);
    refused(x.max_axis(-3), |e| matches!(e, Error::Axis { axis: -3, .. }), &["max", "axis -3"]);
    refused(x.mean_axis(axis([0, 1, 2]).keepdims()), |e| matches!(e, Error::Axis { axis: 2, .. }), &["mean"]);
    refused(count(()).sum_axis(0), |e| matches!(e, Error::Axis { axis: 0, ndim: 0, .. }), &["0 axes"]);
    refused(
        x.sum_axis([0, 0]),
        |e| matches!(e, Error::RepeatedAxis { op: "sum", axis: 0 }),
        &["axis 0", "more than once"],
    );
    refused((&x + 1.0).prod_axis([1, -1]), |e| matches!(e, Error::RepeatedAxis { axis: 1, .. }), &["prod", "axis 1"]);
    refused(x.permute(&[0, 0]), |e| matches!(e, Error::RepeatedAxis { op: "permute", axis: 0 }), &["axis 0"]);
    refused(x.permute(&[0, 2]), |e| matches!(e, Error::Axis { .. }), &["axis 2"]);
    refused(x.permute(&[0]), |e| matches!(e, Error::IndexCount { .. }), &["1 ", "2 axes", "[2, 3]"]);
    refused(x.expand_dims(3), |e| matches!(e, Error::Axis { .. }), &["expand_dims", "axis 3"]);
    refused(x.expand_dims(-4), |e| matches!(e, Error::Axis { .. }), &["axis -4"]);
}

#[test]
fn slices_and_indices_out_of_range() {
    let mut x = count([4, 6]);
    let index = |e: &Error| matches!(e, Error::Index { .. });
    refused(x.slice(s![4]), index, &["index 4", "axis 0", "length 4"]);
    refused(x.slice(s![.., -7]), index, &["index -7", "axis 1", "length 6"]);
    refused(x.slice(s![..;0]), index, &[";0", "axis 0", "length 4"]);
    refused(x.slice(s![.., 1..9;0]), index, &["range 1..9;0", "axis 1"]);
    refused(x.slice(s![NewAxis, 0, 6]), index, &["index 6", "axis 1"]);
    refused(
        x.slice(s![0, 0, 0]),
        |e| matches!(e, Error::IndexCount { given: 3, ndim: 2, .. }),
        &["3", "2 axes", "[4, 6]"],
    );
    refused(x.get([4, 0]), index, &["index 4", "length 4"]);
    refused(x.get([0]), |e| matches!(e, Error::IndexCount { .. }), &["1", "2 axes"]);
    refused(x.set([0, 6], 1.0), index, &["index 6"]);
    refused(x.get([-5, 0]), index, &["index -5", "length 4"]);
    refused(x.slice_mut(s![9]).map(|_| ()), index, &["index 9", "length 4"]);
    refused(x.item(), |e| matches!(e, Error::Count { op: "item", .. }), &["item", "holds 24 elements, not 1"]);
}

#[test]
fn counts_that_do_not_fit() {
    let count_of = |e: &Error| matches!(e, Error::Count { .. });
    refused(Array::from_vec(vec![1.0f32; 5], [2, 3]), count_of, &["from_vec", "[2, 3]", "6", "5"]);
    refused(Array::from_slice(&[1u8; 7], [2, 3]), count_of, &["from_slice", "6", "7"]);
    refused(count([2, 3]).reshape([4, 2]), count_of, &["reshape", "[4, 2]", "8", "6"]);
    refused(count([1; 16]).expand_dims(0), |e| matches!(e, Error::Shapes { .. }), &["17", "16"]);
    refused(Array::<f32>::zeros([1; 17]), |e| matches!(e, Error::Shapes { .. }), &["17", "16"]);
    refused(Array::<f32>::zeros([0]).unwrap().min(), |e| matches!(e, Error::Empty { op: "min", .. }), &["min", "[0]"]);
    refused(Array::arange(0.0f32, 1.0, 0.0), |e| matches!(e, Error::Setting { .. }), &["step", "0"]);
    refused(Array::arange(0.0f64, f64::INFINITY, 1.0), |e| matches!(e, Error::Setting { .. }), &["inf"]);
}

#[test]
fn dtypes_an_operation_is_not_defined_for() {
    let ints = Array::from_vec(vec![1i32, 2], [2]).unwrap();
    let bools = Array::from_vec(vec![true, false], [2]).unwrap();
    let complex = Array::from_vec(vec![Complex::new(1.0f32, 0.0); 2], [2]).unwrap();
    let undefined = |e: &Error| matches!(e, Error::DTypeUndefined { .. });
    refused(ints.sqrt().eval(), undefined, &["sqrt", "i32", "floats", "cast"]);
    refused((&bools + &bools).eval(), undefined, &["add", "bool"]);
    refused(complex.floor().eval(), undefined, &["floor", "c32"]);
    refused(complex.max(), undefined, &["max", "c32"]);
    refused(ints.mul_add(1, 2).eval(), undefined, &["mul_add", "i32"]);
    refused(bools.expand_dims(0).unwrap().matmul(&bools.expand_dims(1).unwrap()), undefined, &["matmul", "bool"]);
    let points = ints.expand_dims(0).unwrap();
    refused(distance::cdist(&points, &points, Metric::Cityblock), undefined, &["cdist", "i32"]);
}

#[test]
fn dtypes_that_the_devices_found_cannot_take() {
    let bytes = Array::<i8>::ones([4, 4]).unwrap();
    for device in required_devices() {
        match Matmul::new(&bytes, &bytes).on(&device).run() {
            Ok(product) => assert_eq!(product.to_vec().unwrap(), [4; 16], "{device}"),
            Err(e @ (Error::Refused { .. } | Error::Storage { .. })) => {
                assert_ne!(device.name(), "scalar");
                assert!(e.to_string().contains("i8"), "{device}: {e}");
            }
            Err(e) => panic!("{device}: {e}"),
        }
    }
}

#[test]
fn devices_that_are_absent() {
    let absent = |e: &Error| matches!(e, Error::Absent { .. });
    refused(Device::named("tpu"), absent, &["\"tpu\"", "auto", "scalar"]);
    for (feature, name) in
        [(cfg!(feature = "simd"), "simd"), (cfg!(feature = "blas"), "blas"), (cfg!(feature = "gpu"), "gpu")]
    {
        if !feature {
            refused(Device::named(name), absent, &[name, "feature", "Cargo.toml"]);
            assert!(Device::absent().iter().any(|(n, _)| n == name));
        }
    }
    for (name, why) in Device::absent() {
        // A device that emulates absent hardware is listed as absent, but opens when it is named.
        match Device::named(&name) {
            Ok(_) => assert!(why.to_string().contains("selected by name"), "{why}"),
            Err(e) => assert!(!e.to_string().is_empty() && !why.to_string().is_empty()),
        }
    }
}

/// The environment is read once per process. Therefore this test runs itself again in a child process, which a variable
/// marks.
#[test]
fn an_absent_device_in_the_environment() {
    const CHILD: &str = "BAD_INPUT_IS_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return refused((count([3]) + 1.0).eval(), |e| matches!(e, Error::Absent { .. }), &["\"tpu\"", "scalar"]);
    }
    let test = std::env::current_exe().expect("a running test");
    let args = ["--exact", "bad_input::an_absent_device_in_the_environment", "--nocapture"];
    let child = std::process::Command::new(test)
        .args(args)
        .env(CHILD, "1")
        .env("POLYARRAY_DEVICE", "tpu")
        .output()
        .expect("the test runs again");
    let said = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn arrays_larger_than_memory() {
    let memory = |e: &Error| matches!(e, Error::OutOfMemory { .. });
    let bytes = (HUGE * 4).to_string();
    refused(Array::<f32>::zeros([HUGE]), memory, &[&bytes, "out of memory"]);
    refused(Array::<f32>::full([1 << 20, 1 << 25], 2.5), memory, &[&bytes]);
    refused(Array::from_fn([HUGE], |_| 1.0f32), memory, &[&bytes]);
    refused(Array::<f64>::eye(1 << 23), memory, &[]);
    refused(Array::<f32>::linspace(0.0, 1.0, HUGE), memory, &[&bytes]);
    let wide = count([1]).broadcast_to([HUGE]).unwrap();
    refused((&wide + 1.0).eval(), memory, &[&bytes]);
    refused(wide.flatten(), memory, &[&bytes]);
    refused(wide.to_vec(), memory, &[&bytes]);
    refused(wide.to_contiguous(), memory, &[&bytes]);
    let tall = count([1, 1]).broadcast_to([1 << 23, 1]).unwrap();
    refused(tall.matmul(&tall.t()), memory, &[&(1usize << 48).to_string()]);
    refused(distance::cdist(&tall, &tall, Metric::Euclidean), memory, &[]);
    refused((&tall + &tall.t()).eval(), memory, &[]);
}

#[test]
fn shapes_whose_size_overflows() {
    let large = |e: &Error| matches!(e, Error::TooLarge { .. });
    refused(Array::<f32>::zeros([usize::MAX, 2]), large, &["[18446744073709551615, 2]", "f32"]);
    refused(Array::<f64>::ones([1 << 31, 1 << 31]), large, &["f64"]);
    refused(Array::<u8>::zeros([isize::MAX as usize + 1]), large, &["u8"]);
    refused(Array::from_vec(Vec::<f32>::new(), [1 << 40, 1 << 40]), large, &[]);
    refused(Array::from_fn([1 << 40, 1 << 40], |_| 0u8), large, &[]);
    refused(Array::<u8>::zeros([0, usize::MAX, 16]), large, &["[0, "]);
    refused(count([4]).reshape([1usize << 33, 1 << 33]), large, &[]);
    refused(count([1]).broadcast_to([1 << 40, 1 << 40]), large, &[]);
    let (row, column) =
        (count([1]).broadcast_to([1 << 40]).unwrap(), count([1, 1]).broadcast_to([1 << 40, 1]).unwrap());
    refused((&row + &column).eval(), large, &[]);
    refused(column.matmul(&column.t()), large, &[]);
    assert_eq!(Dims::from([usize::MAX, usize::MAX]).checked_len(), None);
}
