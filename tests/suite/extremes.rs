//! Views of up to 2^63 bytes and indices of up to 2^64: what cannot exist is an error, in builds with and without
//! overflow checks.

use crate::common::count;
use polyarray::prelude::*;
use polyarray::{Buffer, MemoryId};

fn fails<T>(what: &str, result: Result<T>) {
    let error = result.err().unwrap_or_else(|| panic!("{what} succeeded"));
    let says_so = matches!(&error, Error::Einsum { why, .. } if why.contains("its size in bytes overflows"));
    assert!(says_so || matches!(error, Error::TooLarge { .. } | Error::OutOfMemory { .. }), "{what}: {error}");
}

/// Asserts that every operation fails that would allocate an array of this view's size.
fn cannot_be_copied<T: Element>(what: &str, x: &Array<T>) {
    assert_eq!(x.nbytes(), x.len().checked_mul(size_of::<T>()).expect("sizes of arrays do not overflow"), "{what}");
    fails(what, x.flatten());
    fails(what, x.to_vec());
    fails(what, x.not_equal(x).eval());
    fails(what, x.cast::<Complex<f64>>().eval());
    fails(what, x.eval_on_scalar());
    fails(what, x.cumsum(-1));
    if T::DTYPE.kind() != polyarray::Kind::Complex {
        fails(what, x.sort(-1));
        fails(what, x.argsort(0));
    }
    if x.ndim() > 1 {
        fails(what, x.to_f_order());
        fails(what, x.t().to_contiguous());
        fails(what, x.reshape([x.len()]).and_then(|x| x.flatten()));
    }
    assert!(x.reshape([1]).is_err(), "{what}: {} elements are not one", x.len());
    assert!(x.item().is_err());
    let mut copy = x.clone();
    assert!(copy.view_mut().is_err(), "{what}: a broadcast view cannot be written");
    assert!(copy.set(vec![0; x.ndim()], T::default()).is_err());
}

trait EvalOnScalar {
    fn eval_on_scalar(&self) -> Result<()>;
}

impl<T: Element> EvalOnScalar for Array<T> {
    fn eval_on_scalar(&self) -> Result<()> {
        self.not_equal(self).cast::<f64>().eval_on(&Device::scalar()).map(drop)
    }
}

fn at_the_ends_of_memory<T: Element>() {
    let one = Array::<T>::ones([1, 1]).unwrap();
    let size = size_of::<T>();
    for shift in 40..64 {
        for less in [0usize, 1] {
            let n = (1usize << shift) + 1 - 2 * less;
            for shape in [
                vec![n],
                vec![n, 1],
                vec![1, n],
                vec![n, 2],
                vec![2, n],
                vec![1 << (shift / 2), 1 << (shift - shift / 2)],
            ] {
                let what = format!("{} {shape:?}", T::DTYPE);
                let elements = shape.iter().try_fold(1usize, |all, &n| all.checked_mul(n));
                let fits = elements.and_then(|n| n.checked_mul(size)).is_some_and(|b| isize::try_from(b).is_ok());
                let source = if shape.len() == 1 { one.reshape([1]).unwrap() } else { one.clone() };
                match source.broadcast_to(&shape) {
                    Ok(view) => {
                        assert!(fits, "{what}");
                        cannot_be_copied(&what, &view);
                    }
                    Err(e) => assert!(!fits && matches!(e, Error::TooLarge { .. }), "{what}: {e}"),
                }
            }
        }
    }
}

#[test]
fn views_larger_than_memory_cannot_be_copied() {
    at_the_ends_of_memory::<f64>();
    at_the_ends_of_memory::<bool>();
    at_the_ends_of_memory::<i8>();
    at_the_ends_of_memory::<Complex<f64>>();
    at_the_ends_of_memory::<bf16>();
}

#[test]
fn results_whose_size_overflows() {
    let large = 1usize << 60;
    let row = Array::<bool>::ones([1]).unwrap().broadcast_to([large]).unwrap();
    let column = row.expand_dims(1).unwrap();
    fails("a table of 2^120", (&row & &column).eval());
    fails("f64 of 2^60", row.cast::<f64>().eval());
    fails("sums of 2^60 lines", column.sum_axis(1));
    fails("means", column.mean_axis(1));
    fails("deviations", column.cast::<f64>().std_axis(1, 0));
    fails("indices", column.cast::<i8>().argmax_axis(1));
    // The size of the result in bytes overflows; it does not only exceed the memory.
    let longest = Array::<i8>::ones([1, 1]).unwrap().broadcast_to([1 << 62, 1]).unwrap();
    fails("indices of 2^62 lines", longest.argmax_axis(1));
    fails("ranks of 2^62 lines", longest.argsort(1));
    fails("running sums", row.cumsum(0));
    let bytes = Array::<i8>::ones([1]).unwrap().broadcast_to([large, 2]).unwrap();
    fails("sums of 2^60 pairs", bytes.sum_axis(1));
    fails("medians of pairs", bytes.median_axis(1));
    fails("an outer product", bytes.matmul(&bytes.t()));
    fails("einsum", einsum("i,j->ij", &[&row.cast::<u8>().eval_view(), &row.cast::<u8>().eval_view()]));
    fails("full", Array::<f64>::zeros([large, 1]));
    fails("eye", Array::<f64>::eye(1 << 40));
    fails("selection", select(&row, 1.0f64, 2.0f64).eval());
    fails("multiply-add", column.cast::<f32>().mul_add(2.0, 1.0).eval());
}

trait EvalView {
    fn eval_view(&self) -> Array<u8>;
}

impl EvalView for Expr<u8> {
    /// Returns a broadcast array of the expression's shape, because a copy of so many elements cannot be allocated.
    fn eval_view(&self) -> Array<u8> {
        Array::<u8>::ones([1]).unwrap().broadcast_to(self.shape().unwrap()).unwrap()
    }
}

#[test]
fn indices_beyond_every_axis() {
    let x = count([4, 3]);
    let out = |r: Result<Array<f32>>| assert!(matches!(r, Err(Error::Index { .. })), "{r:?}");
    for far in [usize::MAX, usize::MAX - 1, isize::MAX as usize, isize::MAX as usize + 1, 5] {
        out(x.slice(s![far]));
        assert_eq!(x.slice(s![0..far]).unwrap().shape(), [4, 3]);
        assert_eq!(x.slice(s![..far]).unwrap().shape(), [4, 3]);
        assert_eq!(x.slice(s![far..]).unwrap().shape(), [0, 3]);
        assert_eq!(x.slice(s![0..=far]).unwrap().shape(), [4, 3]);
        assert_eq!(x.slice(s![far..far]).unwrap().shape(), [0, 3]);
        assert!(x.get([far, 0]).is_err());
        assert!(x.clone().set([far, 0], 1.0).is_err());
        assert!(matches!(x.sum_axis(far), Err(Error::Axis { .. })));
        assert!(matches!(x.sum_axis([0, far]), Err(Error::Axis { .. })));
        assert!(matches!(x.sum_axis(&[far][..]), Err(Error::Axis { .. })));
        assert!(x.topk(far, 0).is_err());
    }
    for far in [isize::MIN, isize::MIN + 1, -5, isize::MAX] {
        out(x.slice(s![far]));
        assert_eq!(x.slice(s![far..]).unwrap().shape(), [if far < 0 { 4 } else { 0 }, 3]);
        assert!(matches!(x.sum_axis(far), Err(Error::Axis { .. })));
        assert!(x.expand_dims(far).is_err());
        assert!(x.permute(&[far, 0]).is_err());
        assert!(x.cumsum(far).is_err());
        assert_eq!(x.diagonal_at(far, 0, 1).unwrap().len(), 0);
    }
    assert_eq!(x.slice(s![..=isize::MAX]).unwrap().shape(), [4, 3]);
    for (step, rows) in [
        (isize::MAX, vec![0.0]),
        (isize::MIN, vec![9.0]),
        (isize::MIN + 1, vec![9.0]),
        (1 << 62, vec![0.0]),
        (-(1 << 62), vec![9.0]),
    ] {
        assert_eq!(x.slice(s![..;step, 0]).unwrap().to_vec().unwrap(), rows, "step {step}");
        assert_eq!(x.slice(s![..;step, ..;step]).unwrap().slice(s![..;step, ..;step]).unwrap().len(), 1);
    }
    assert_eq!(x.slice(s![1..=3usize, 2]).unwrap().to_vec().unwrap(), [5.0, 8.0, 11.0]);
    assert_eq!(x.slice(s![..=-1, 2]).unwrap().len(), 4);
}

#[test]
fn buffers_of_the_host_cannot_be_forged() {
    assert!(matches!(Buffer::foreign(MemoryId::HOST, 8, ()), Err(Error::Argument { .. })));
}
