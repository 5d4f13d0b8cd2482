//! Arrays and expressions with a dtype that is known only at run time: the same results and errors as with types.

use polyarray::prelude::*;
use polyarray::{Binary, DynArray, DynExpr, Reducer, Scalar, Unary, Wide, with_dtype};

/// Returns elements from 0 to 11 of any dtype, as [3, 4].
fn counted(dtype: DType) -> DynArray {
    with_dtype!(dtype, T => {
        Array::from_fn([3, 4], |i| <T as Element>::from_wide(Wide::Int((i[0] * 4 + i[1]) as i128))).unwrap().erase()
    })
}

#[test]
fn every_dtype_goes_both_ways_without_a_copy() -> Result<()> {
    for dtype in DType::ALL {
        let x = counted(dtype);
        assert_eq!((x.dtype(), x.shape(), x.len(), x.nbytes()), (dtype, &[3, 4][..], 12, 12 * dtype.size()));
        with_dtype!(dtype, T => {
            let typed = x.typed::<T>()?;
            let again = DynArray::from(typed.clone());
            assert!(typed.shares_memory(&again.typed::<T>()?));
            assert_eq!(Array::<T>::try_from(again)?.to_vec()?, typed.to_vec()?);
            assert_eq!(x.get([1, 2])?, Scalar::new(typed.get([1, 2])?));
            assert_eq!(format!("{x} {x:?}"), format!("{typed} {typed:?}"));
        });
        let other = if dtype == DType::F32 { DType::F64 } else { DType::F32 };
        let refused = with_dtype!(other, T => x.typed::<T>().map(|_| ())).unwrap_err().to_string();
        assert!(refused.contains(dtype.name()) && refused.contains(other.name()), "{refused}");
    }
    Ok(())
}

#[test]
fn bytes_are_copied_and_checked() -> Result<()> {
    for dtype in DType::ALL {
        let x = counted(dtype).t();
        let bytes = x.to_bytes()?;
        let y = DynArray::from_bytes(dtype, [4, 3], &bytes)?;
        assert_eq!(y.to_bytes()?, bytes, "{dtype}");
        assert_eq!((y.get([3, 1])?, y.get([0, 2])?), (x.get([3, 1])?, x.get([0, 2])?), "{dtype}");
        // The source need not be aligned.
        let shifted: Vec<u8> = [0].into_iter().chain(bytes.iter().copied()).collect();
        assert_eq!(DynArray::from_bytes(dtype, [12], &shifted[1..])?.to_bytes()?, bytes, "{dtype}");
        assert!(DynArray::from_bytes(dtype, [4, 3], &bytes[1..]).is_err(), "{dtype}");
        let why = DynArray::from_bytes(dtype, [4, 3], &shifted).unwrap_err().to_string();
        assert!(why.contains(&format!("{} bytes", 12 * dtype.size() + 1)), "{why}");
        assert!(DynArray::from_bytes(dtype, [5, 3], &bytes).is_err(), "{dtype}");
        assert!(DynArray::from_bytes(dtype, [usize::MAX, 3], &bytes).is_err(), "{dtype}");
        assert_eq!(DynArray::from_bytes(dtype, [0, 3], &[])?.to_bytes()?, [0u8; 0], "{dtype}");
    }
    let why = DynArray::from_bytes(DType::Bool, [3], &[0, 1, 2]).unwrap_err().to_string();
    assert!(why.contains("byte 2 is 2"), "{why}");
    Ok(())
}

#[test]
fn views_and_ufuncs_are_those_of_typed_arrays() -> Result<()> {
    let x = counted(DType::F64);
    let typed = x.typed::<f64>()?;
    let same = |dynamic: DynArray, with_types: Array<f64>| -> Result<()> {
        assert_eq!(dynamic.shape(), with_types.shape());
        assert_eq!(dynamic.typed::<f64>()?.to_vec()?, with_types.to_vec()?);
        Ok(())
    };
    same(x.t(), typed.t())?;
    same(x.slice(s![1.., ..;-2])?, typed.slice(s![1.., ..;-2])?)?;
    same(x.permute(&[1, 0])?, typed.permute(&[1, 0])?)?;
    same(x.reshape([2, 6])?, typed.reshape([2, 6])?)?;
    same(x.t().reshape([2, 6])?, typed.t().reshape([2, 6])?)?;
    same(x.expand_dims(0)?.squeeze(), typed.clone())?;
    same(x.broadcast_to([2, 3, 4])?, typed.broadcast_to([2, 3, 4])?)?;
    same(x.matmul(&x.t())?, typed.matmul(&typed.t())?)?;
    same(x.cumsum(1)?, typed.cumsum(1)?)?;
    same(x.cumprod(0)?, typed.cumprod(0)?)?;
    same(x.sort(-1)?, typed.sort(-1)?)?;
    assert_eq!(x.argsort(0)?.typed::<i64>()?.to_vec()?, typed.argsort(0)?.to_vec()?);
    same(x.unary(Unary::Sqrt).eval()?, typed.sqrt().eval()?)?;
    same(((&x + &x) * Scalar::new(2.0) - x.expr()).eval()?, ((&typed + &typed) * 2.0 - &typed).eval()?)?;
    same((&x / Scalar::new(3.0) % Scalar::new(2.0)).eval()?, (&typed / 3.0 % 2.0).eval()?)?;
    let above = x.binary(Binary::Greater, Scalar::new(5.0));
    assert_eq!(above.dtype()?, DType::Bool);
    same(above.select(&x, Scalar::new(-1.0)).eval()?, select(typed.greater(5.0), &typed, -1.0).eval()?)?;
    let whole = x.cast(DType::I32);
    assert_eq!((whole.dtype()?, whole.clone().cast(DType::I32).dtype()?), (DType::I32, DType::I32));
    assert_eq!(whole.eval()?.typed::<i32>()?.to_vec()?, (0..12).collect::<Vec<_>>());
    same(DynExpr::from(&typed).typed::<f64>()?.eval()?.erase(), typed.clone())?;
    same(DynExpr::from(&typed + 1.0).eval_on(&Device::scalar())?, (&typed + 1.0).eval()?)?;
    assert!(x.unary(Unary::Exp).explain()?.to_string().contains("exp"));
    Ok(())
}

#[test]
fn reductions_have_the_dtypes_and_values_of_typed_ones() -> Result<()> {
    for dtype in DType::ALL {
        let x = counted(dtype);
        for by in [Reducer::Sum, Reducer::Prod, Reducer::Mean, Reducer::Var(1), Reducer::Std(0), Reducer::Norm] {
            let all = x.reduce(by, None)?;
            let along = x.reduce(by, Some(axis(1).keepdims()))?;
            assert_eq!((all.shape(), along.shape()), (&[][..], &[3, 1][..]), "{by:?} {dtype}");
            assert_eq!(all.dtype(), along.dtype(), "{by:?} {dtype}");
        }
        with_dtype!(dtype, T => {
            let typed = x.typed::<T>()?;
            assert_eq!(x.reduce(Reducer::Sum, None)?.item()?, Scalar::new(typed.sum()?));
            assert_eq!(x.reduce(Reducer::Mean, None)?.item()?, Scalar::new(typed.mean()?));
            let norms = x.reduce(Reducer::Norm, Some(0.into()))?.to_bytes()?;
            assert_eq!(norms, typed.norm_axis(0)?.erase().to_bytes()?);
        });
        for (by, expected) in [(Reducer::Any, 1), (Reducer::All, 0), (Reducer::CountNonzero, 11)] {
            let wide = x.reduce(by, None)?.item()?.to_wide();
            assert_eq!(wide, Wide::Int(expected), "{by:?} {dtype}");
        }
        for by in [Reducer::Min, Reducer::Max, Reducer::ArgMin, Reducer::ArgMax] {
            let reduced = x.reduce(by, None);
            if matches!(dtype, DType::C32 | DType::C64) {
                assert!(reduced.unwrap_err().to_string().contains("not defined"), "{by:?} {dtype}");
            } else if by == Reducer::ArgMax {
                let first = if dtype == DType::Bool { 1 } else { 11 };
                assert_eq!(reduced?.item()?, Scalar::new(first as i64), "{dtype}");
            } else {
                reduced?.item()?;
            }
        }
    }
    Ok(())
}

#[test]
fn errors_are_kept_and_name_the_dtypes() -> Result<()> {
    let (x, y) = (counted(DType::F32), counted(DType::I32));
    let error = |e: DynExpr| {
        assert!(e.dtype().is_err() && e.shape().is_err());
        let why = e.clone().eval().unwrap_err().to_string();
        assert_eq!(e.unary(Unary::Neg).reduce(Reducer::Sum, None).unwrap_err().to_string(), why, "an error is kept");
        why
    };
    for (left, right) in [(&x, &y), (&y, &x)] {
        let why = error(left + right);
        assert!(why.contains("f32") && why.contains("i32"), "{why}");
    }
    let why = error(x.expr().select(&x, &x));
    assert!(why.contains("select") && why.contains("bool"), "{why}");
    let why = error(x.binary(Binary::Greater, &x).select(&x, &y));
    assert!(why.contains("f32") && why.contains("i32"), "{why}");
    let why = error(counted(DType::Bool).unary(Unary::Exp));
    assert!(why.contains("exp") && why.contains("bool"), "{why}");
    let why = error(&x + DynArray::zeros(DType::F32, [5])?);
    assert!(why.contains("4 against 5"), "{why}");
    assert!(x.matmul(&y).unwrap_err().to_string().contains("i32"));
    assert!(x.expr().typed::<f64>().is_err());
    assert!(x.get([3, 0]).is_err() && x.item().is_err());
    // A placeholder of a compiled function has a dtype, but no shape.
    let root = polyarray::fuse(|x: Expr<f32>| DynExpr::from(x).unary(Unary::Sqrt).typed::<f32>())?;
    assert_eq!(root.eval(4.0)?.item()?, 2.0);
    assert!(polyarray::fuse(|x: Expr<f32>| DynExpr::from(x).unary(Unary::Sqrt).typed::<f64>()).is_err());
    assert_eq!(DynArray::full([2], Scalar::new(7u8))?.get([1])?, Scalar::new(7u8));
    Ok(())
}
