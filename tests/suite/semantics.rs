//! The semantics of arrays and expressions: views, sharing, copy on write, donation, evaluation into a view, and the
//! choice of the device.

use crate::common::{count, required_devices};
use polyarray::prelude::*;
use polyarray::{MemoryId, trace};

#[test]
fn slices_take_what_they_say() -> Result<()> {
    let x = count([4, 6]);
    let rows = |a: Array<f32>| a.to_vec();
    assert_eq!(rows(x.slice(s![1])?)?, [6., 7., 8., 9., 10., 11.]);
    assert_eq!(rows(x.slice(s![-1, -2])?)?, [22.]);
    assert_eq!(rows(x.slice(s![1..3, 4..])?)?, [10., 11., 16., 17.]);
    assert_eq!(rows(x.slice(s![.., 0])?)?, [0., 6., 12., 18.]);
    assert_eq!(rows(x.slice(s![0, ..;-1])?)?, [5., 4., 3., 2., 1., 0.]);
    assert_eq!(rows(x.slice(s![0, ..;-2])?)?, [5., 3., 1.]);
    assert_eq!(rows(x.slice(s![0, ..;4])?)?, [0., 4.]);
    assert_eq!(rows(x.slice(s![0, 1..-1;2])?)?, [1., 3.]);
    assert_eq!(rows(x.slice(s![0, 1..=3])?)?, [1., 2., 3.]);
    assert_eq!(rows(x.slice(s![0, -3..=-1])?)?, [3., 4., 5.]);
    assert_eq!(rows(x.slice(s![0, 3..3])?)?, [0f32; 0]);
    assert_eq!(x.slice(s![4..])?.shape(), [0, 6]);
    assert_eq!(x.slice(s![1..3, .., NewAxis])?.shape(), [2, 6, 1]);
    assert_eq!(x.slice(s![NewAxis, 2, NewAxis])?.shape(), [1, 1, 6]);
    assert_eq!(x.slice(s![..;-1, ..;2])?.strides(), [-6, 2]);
    assert_eq!(x.slice(s![])?.shape(), [4, 6]);
    let (lo, hi) = (1usize, 3usize);
    assert_eq!(x.slice(s![lo..hi, hi])?.to_vec()?, [9., 15.], "bounds may be variables");
    Ok(())
}

#[test]
fn views_share_memory_and_copies_do_not() -> Result<()> {
    let x = count([4, 6]);
    for view in [
        x.t(),
        x.slice(s![1..3, ..;-2])?,
        x.permute(&[1, 0])?,
        x.broadcast_to([2, 4, 6])?,
        x.expand_dims(0)?,
        x.squeeze()?,
        x.reshape([3, 8])?,
        x.ravel()?,
    ] {
        assert!(view.shares_memory(&x), "{:?}", view.shape());
    }
    assert!(x.to_contiguous()?.shares_memory(&x) && x.t().to_f_order()?.shares_memory(&x));
    for copy in [x.flatten()?, x.to_f_order()?, x.t().to_contiguous()?, (&x + 0.0).eval()?] {
        assert!(!copy.shares_memory(&x));
    }
    Ok(())
}

#[test]
fn diagonals_are_views() -> Result<()> {
    let a = count([2, 3, 4]);
    let diagonal = a.diagonal(0, 2)?;
    assert!(diagonal.shares_memory(&a));
    assert_eq!((diagonal.shape(), diagonal.strides()), (&[3, 2][..], &[4, 13][..]));
    assert_eq!(diagonal.to_vec()?, [0., 13., 4., 17., 8., 21.]);
    assert_eq!(a.diagonal(2, 0)?.to_vec()?, diagonal.to_vec()?);
    assert_eq!(a.diagonal_at(2, 0, -1)?.to_vec()?, [2., 15., 6., 19., 10., 23.]);
    assert_eq!(a.diagonal_at(-1, 0, -1)?.to_vec()?, [12., 16., 20.]);
    assert_eq!(a.diagonal_at(1, 2, 0)?.to_vec()?, [12., 16., 20.]);
    for offset in [4, -2, isize::MAX, isize::MIN] {
        assert_eq!(a.diagonal_at(offset, 0, 2)?.shape(), [3, 0]);
    }
    assert_eq!(a.slice(s![.., ..;-1])?.diagonal(0, 1)?.to_vec()?, [8., 16., 9., 17., 10., 18., 11., 19.]);
    assert_eq!(Array::<f32>::ones([0, 3])?.diagonal(0, 1)?.shape(), [0]);
    assert_eq!(a.slice(s![0, 0, 0])?.broadcast_to([3, 3])?.diagonal(0, 1)?.strides(), [0]);
    assert!(matches!(a.diagonal(1, 1), Err(Error::RepeatedAxis { op: "diagonal", axis: 1 })));
    assert!(matches!(a.diagonal(0, 3), Err(Error::Axis { op: "diagonal", axis: 3, ndim: 3 })));
    let square = count([3, 3]);
    let mut own = square.diagonal(0, 1)?;
    own.view_mut()?.fill(9.0)?;
    assert_eq!((own.to_vec()?, square.get([1, 1])?), (vec![9.0; 3], 4.0), "a view that is written is copied first");
    let mut alone = count([3, 3]).diagonal(0, 1)?;
    let (written, trace) = trace::record(|| alone.view_mut().and_then(|mut v| v.fill(2.0)));
    written?;
    assert!(trace.copies.is_empty(), "{trace}");
    assert_eq!(alone.to_vec()?, [2.0; 3]);
    Ok(())
}

#[test]
fn reshape_is_a_view_where_strides_allow() -> Result<()> {
    let x = count([4, 6]);
    let columns = x.slice(s![.., 1..4])?;
    let (view, trace) = trace::record(|| columns.reshape([2, 2, 3]));
    assert!(view?.shares_memory(&x) && trace.copies.is_empty(), "rows are split without copying an element");
    assert!(x.slice(s![..;-1])?.reshape([2, 2, 6])?.shares_memory(&x));
    let (copy, trace) = trace::record(|| columns.reshape([12]));
    let copy = copy?;
    assert!(!copy.shares_memory(&x), "runs of three elements with gaps cannot form one axis");
    assert_eq!(trace.copies_for("reshape"), 1, "{trace}");
    assert_eq!(copy.to_vec()?, columns.to_vec()?);
    assert_eq!(x.t().reshape([24])?.to_vec()?, x.t().to_vec()?);
    assert_eq!(x.t().reshape([24])?.get([1])?, 6.0, "in C order of the transposed array");
    Ok(())
}

#[test]
fn writing_never_shows_through_another_array() -> Result<()> {
    let mut x = count([2, 3]);
    let (twin, view) = (x.clone(), x.slice(s![0])?);
    assert!(!x.is_unique());
    x.set([0, 0], 50.0)?;
    assert!(x.is_unique() && !x.shares_memory(&twin));
    assert_eq!((twin.get([0, 0])?, view.get([0])?, x.get([0, 0])?), (0.0, 0.0, 50.0));
    let pointer = x.as_slice().map(<[f32]>::as_ptr);
    x += 1.0;
    x.slice_mut(s![.., 1])?.fill(9.0)?;
    x.view_mut()?.slice_mut(s![1, ..;2])?.assign(count([2]))?;
    assert_eq!(x.to_vec()?, [51., 9., 3., 0., 9., 1.]);
    assert_eq!(x.as_slice().map(<[f32]>::as_ptr), pointer, "a buffer with a single owner is written in place");
    let mut view = x.slice(s![.., 0])?;
    view.view_mut()?.fill(-1.0)?;
    assert_eq!((view.to_vec()?, x.get([0, 0])?), (vec![-1.0, -1.0], 51.0), "writing to a view copies it first");
    Ok(())
}

#[test]
fn a_small_view_can_drop_the_buffer_it_pins() -> Result<()> {
    let x = Array::<f32>::ones([100_000])?;
    let mut part = x.slice(s![..;1000])?;
    assert!(part.shares_memory(&x));
    part.compact()?;
    assert!(!part.shares_memory(&x) && part.is_c_contiguous());
    assert_eq!(part.to_vec()?, [1.0; 100]);
    Ok(())
}

#[test]
fn an_operand_given_away_becomes_the_result() -> Result<()> {
    fn pointer(a: &Array<f32>) -> *const f32 {
        a.as_slice().expect("contiguous").as_ptr()
    }
    let (x, y) = (count([50]), count([50]));
    let of_x = pointer(&x);
    let z = (x * 2.0 + &y).eval()?;
    assert_eq!(pointer(&z), of_x, "given by value and not shared");
    let kept = (&z + 1.0).eval()?;
    assert_ne!(pointer(&kept), of_x, "by reference");
    let shared = z.clone();
    assert_ne!(pointer(&(z + 1.0).eval()?), of_x, "another array shares the buffer");
    assert_eq!(shared.get([49])?, 147.0);
    let (_, trace) = trace::record(|| (y.sqrt() + kept).eval());
    assert_eq!(trace.allocations, 0, "{trace}");
    let truth = count([8]).into_expr().less(3.0).eval()?;
    assert_eq!(
        truth.to_vec()?,
        [true, true, true, false, false, false, false, false],
        "a result of another dtype needs a new buffer"
    );
    let transposed = count([2, 3]).t();
    assert_eq!((transposed + 1.0).eval()?.to_vec()?, [1., 4., 2., 5., 3., 6.]);
    let part = count([100]).slice(s![..10])?;
    assert!((part + 1.0).eval()?.is_unique());
    Ok(())
}

#[test]
fn evaluation_into_a_place() -> Result<()> {
    let x = count([2, 3]);
    let mut out = Array::<f32>::full([4, 8], -1.0)?;
    let (done, trace) = trace::record(|| (&x * 10.0).eval_into(&mut out.slice_mut(s![1..3, 2..8;-2])?));
    done?;
    assert_eq!(trace.allocations, 0, "{trace}");
    #[rustfmt::skip]
    assert_eq!(out.to_vec()?, [
        -1., -1., -1., -1., -1., -1., -1., -1.,
        -1., -1., -1., 20., -1., 10., -1., 0.,
        -1., -1., -1., 50., -1., 40., -1., 30.,
        -1., -1., -1., -1., -1., -1., -1., -1.,
    ]);
    (&x.slice(s![0])? + 0.5).eval_into(&mut out.slice_mut(s![.., ..3])?)?;
    assert_eq!(
        out.slice(s![3])?.to_vec()?,
        [0.5, 1.5, 2.5, -1., -1., -1., -1., -1.],
        "a result broadcasts to the shape of its output"
    );
    let mut same = count([5]);
    let e = &same * 2.0;
    same.view_mut()?.assign(e)?;
    assert_eq!(same.to_vec()?, [0., 2., 4., 6., 8.]);
    Ok(())
}

#[test]
fn results_keep_the_order_of_their_operands() -> Result<()> {
    let x = count([3, 4]).t();
    let y = (&x + &x).eval()?;
    assert!(y.is_f_contiguous() && !y.is_c_contiguous());
    assert_eq!(y.to_vec()?, (&x * 2.0).eval()?.to_vec()?);
    assert!((&x + &count([4, 3])).eval()?.is_c_contiguous());
    Ok(())
}

#[test]
fn an_expression_is_one_pass() -> Result<()> {
    let (x, z) = (count([1000]), count([1000]));
    let (y, trace) = trace::record(|| ((&x * 2.0 + 1.0).sqrt() - &z).eval());
    assert_eq!(trace.events.len(), 1, "{trace}");
    assert_eq!(trace.allocations, 1);
    assert_eq!(y?.get([4])?, 3.0 - 4.0);
    let (_, trace) = trace::record(|| ((&x - 3.0).square()).sum());
    assert_eq!(trace.events.len(), 1, "the squares are never stored: {trace}");
    assert_eq!(trace.allocations, 1);
    assert!(trace.to_string().contains("sum") && trace.to_chrome_json().starts_with("{\"traceEvents\":[{"));
    Ok(())
}

#[test]
fn operators_take_every_mix_of_operands() -> Result<()> {
    let x = count([2]);
    let all = [
        &x + &x,
        x.clone() + x.clone(),
        &x + 1.0,
        1.0 + &x,
        (&x * 1.0) + &x,
        &x + (&x * 1.0),
        2.0 - x.clone(),
        -&x,
        &x / 2.0,
        &(&x * 3.0) - &(&x * 2.0),
    ];
    let wanted =
        [[0., 2.], [0., 2.], [1., 2.], [1., 2.], [0., 2.], [0., 2.], [2., 1.], [-0., -1.], [0., 0.5], [0., 1.]];
    for (e, wanted) in all.into_iter().zip(wanted) {
        assert_eq!(e.eval()?.to_vec()?, wanted);
    }
    let mut y = count([3]);
    y += 1.0;
    y *= &count([3]);
    y -= &count([1]);
    y /= 2.0;
    assert_eq!(y.to_vec()?, [0.0, 1.0, 3.0]);
    assert_eq!(Array::from_vec(vec![7u8, 250], [2])?.cast::<i8>().eval()?.to_vec()?, [7, -6]);
    assert_eq!(
        (Array::from_vec(vec![7i32, -7, 5], [3])? / &Array::from_vec(vec![2, 2, 0], [3])?).eval()?.to_vec()?,
        [3, -3, 0]
    );
    Ok(())
}

#[test]
fn reductions_over_axes() -> Result<()> {
    let x = count([2, 3, 4]);
    assert_eq!(x.sum()?, 276.0);
    assert_eq!(x.sum_axis(0)?.to_vec()?, (0..12).map(|i| (2 * i + 12) as f32).collect::<Vec<_>>());
    assert_eq!(x.sum_axis([0, 2])?.to_vec()?, [60.0, 92.0, 124.0]);
    assert_eq!(x.mean_axis(axis([-1]).keepdims())?.shape(), [2, 3, 1]);
    assert_eq!(x.max_axis(axis([0, 1, 2]).keepdims())?.shape(), [1, 1, 1]);
    assert_eq!(x.min_axis(1)?.to_vec()?, [0., 1., 2., 3., 12., 13., 14., 15.]);
    assert_eq!(x.sum_axis(&[] as &[isize])?.to_vec()?, x.to_vec()?, "without axes, nothing is summed");
    let bytes = Array::from_vec(vec![200u8; 100], [100])?;
    assert_eq!((bytes.sum()?, bytes.mean()?), (20_000u64, 200.0f64), "integers are summed in 64 bits");
    assert_eq!(Array::from_vec(vec![true, false, true], [3])?.sum()?, 2i64);
    assert_eq!((&x + &x.slice(s![0, 0])?).sum()?, 276.0 + 6.0 * 6.0);
    Ok(())
}

#[test]
fn what_was_done_can_be_explained_and_traced() -> Result<()> {
    let x = count([16]);
    let plan = with_device(&Device::scalar(), || (&x * 2.0).explain())?;
    assert_eq!((plan.chosen.as_str(), plan.candidates.len()), ("scalar", 1));
    assert!(plan.to_string().contains("mul f32 [16] -> scalar"), "{plan}");
    let (_, trace) = trace::record(|| with_device(&Device::scalar(), || (&x * 2.0).eval()));
    let event = &trace.events[0];
    assert_eq!((event.device.as_str(), event.bytes), ("scalar", 128.0));
    assert!(event.plan.as_ref().is_some_and(|p| p.chosen == "scalar"));
    let product = Matmul::new(&count([4, 4]), &count([4, 4])).map(|e| e.maximum(0.0)).explain()?;
    assert!(product.to_string().contains("matmul f32"), "{product}");
    Ok(())
}

#[test]
fn arrays_go_to_a_device_and_come_back() -> Result<()> {
    for device in required_devices() {
        let x = count([3, 5]);
        let there = x.slice(s![1.., ..;-2])?.to_device(&device)?;
        assert_eq!(there.to_vec()?, [9., 7., 5., 14., 12., 10.], "{device}");
        assert_eq!(there.get([1, 0])?, 14.0);
        if device.memory() == MemoryId::HOST {
            assert!(there.shares_memory(&x), "{device} works in host memory");
            assert_eq!(there.device(), Device::auto());
            continue;
        }
        assert_eq!(there.device(), device);
        let y = (&there + 1.0).eval()?;
        assert_eq!(y.device(), device, "a result is stored in the memory of its operands");
        assert!(y.as_slice().is_none());
        let home = y.to_device(&Device::scalar())?;
        assert_eq!((home.device(), home.to_vec()?), (Device::auto(), vec![10., 8., 6., 15., 13., 11.]));
        let mut z = there.clone();
        z += 1.0;
        z.set([0, 0], -1.0)?;
        assert_eq!((z.to_vec()?[0], there.get([0, 0])?), (-1.0, 9.0));
    }
    Ok(())
}
