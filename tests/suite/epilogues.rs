//! Closures that the caller passes to the library: they may evaluate, keep, ignore or reorder expressions, panic, and
//! call the library.

use crate::common::{count, on_every_device};
use polyarray::prelude::*;
use polyarray::trace;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

fn not_computed<T>(result: Result<T>) {
    let error = result.err().expect("evaluating a product inside its epilogue is an error");
    assert!(matches!(error, Error::NotComputed { op: "matmul" }), "{error}");
    assert!(error.to_string().contains("only in the expression that the closure returns"), "{error}");
}

#[test]
fn a_product_cannot_be_evaluated_inside_its_epilogue() {
    on_every_device(|_| {
        for (m, k, n) in [(1000, 3, 1), (4, 4, 4), (400, 1, 400), (1, 1, 1)] {
            let (a, b) = (count([m, k]), count([k, n]));
            let expected = a.matmul(&b)?.to_vec()?;
            let got = Matmul::new(&a, &b).map(|e| {
                not_computed(e.clone().eval());
                not_computed((e.clone() * 2.0).eval());
                not_computed(e.sum());
                not_computed(e.max_axis(0));
                not_computed(e.norm());
                not_computed(e.clone().sort(0));
                not_computed(e.cumsum(0));
                not_computed(e.explain());
                not_computed(e.eval_on(&Device::scalar()));
                let mut out = Array::from_vec(vec![0.0f32; 16], [4, 4]).unwrap();
                not_computed(e.eval_into(&mut out.view_mut().unwrap()));
                e
            });
            assert_eq!(got.run()?.to_vec()?, expected);
        }
        Ok(())
    });
}

#[test]
fn an_expression_of_a_product_that_is_kept_stays_without_elements() -> Result<()> {
    let kept: Rc<RefCell<Vec<Expr<f32>>>> = Rc::default();
    let keep = kept.clone();
    let a = count([400, 1]);
    let y = Matmul::new(&a, &a.t()).map(move |e| {
        keep.borrow_mut().extend([e.clone(), e.clone().sqrt() + 1.0]);
        e + 1.0
    });
    assert_eq!(y.run()?.get([399, 399])?, 399.0 * 399.0 + 1.0);
    for e in kept.borrow().iter() {
        assert_eq!(e.shape()?[..], [400, 400]);
        not_computed(e.clone().eval());
        // The product of one operation does not stand for the product of another.
        let e = e.clone();
        not_computed(Matmul::new(&a, &a.t()).map(move |f| f + e).run());
    }
    Ok(())
}

#[test]
fn operands_of_an_epilogue_are_themselves_whatever_their_order() {
    on_every_device(|_| {
        let (a, b) = (count([4, 4]), count([4, 4]));
        let product = a.matmul(&b)?;
        // The operand may also lie in the buffer of A or B: it is still not the product.
        for c in [Array::full([4, 4], 1000.0f32)?, a.clone(), b.t()] {
            let (first, last) = (c.clone(), c.clone());
            let got = Matmul::new(&a, &b).map(move |e| &first - e).run()?;
            assert_eq!(got.to_vec()?, (&c - &product).eval()?.to_vec()?);
            let got = Matmul::new(&a, &b).map(move |e| e - &last).run()?;
            assert_eq!(got.to_vec()?, (&product - &c).eval()?.to_vec()?);
            let only = c.clone();
            assert_eq!(
                Matmul::new(&a, &b).map(move |_| &only * 2.0).run()?.to_vec()?,
                (&c * 2.0).eval()?.to_vec()?,
                "the product is not used"
            );
        }
        let row = count([1, 400]);
        let column = Array::full([400, 1], 7.0f32)?;
        let got = Matmul::new(&column, &row).map({
            let column = column.clone();
            move |e| &column - e
        });
        assert_eq!(got.run()?.get([3, 5])?, 7.0 - 35.0);
        Ok(())
    });
}

#[test]
fn epilogues_of_any_length_and_number() -> Result<()> {
    let (a, b) = (count([3, 2]), count([2, 3]));
    let product = a.matmul(&b)?;
    // 100,000 closures in sequence.
    let mut many = Matmul::new(&a, &b);
    for _ in 0..100_000 {
        many = many.map(|e| e + 1.0);
    }
    assert_eq!(many.run()?.to_vec()?, (&product + 100_000.0).eval()?.to_vec()?);
    // More arrays than one program can hold.
    let arrays: Vec<Array<f32>> = (0..12).map(|i| Array::full([3, 3], i as f32).unwrap()).collect();
    let operands = arrays.clone();
    let got = Matmul::new(&a, &b).map(move |e| operands.iter().fold(e, |e, x| e + x)).run()?;
    assert_eq!(got.to_vec()?, (&product + 66.0).eval()?.to_vec()?);
    let mut out = Array::<f32>::ones([3, 3])?;
    let operands = arrays.clone();
    Matmul::new(&a, &b).map(move |e| operands.iter().fold(e, |e, x| e + x)).add_into(&mut out.view_mut()?)?;
    assert_eq!(out.to_vec()?, (&product + 67.0).eval()?.to_vec()?);
    assert!(
        Matmul::new(&a, &b).map(move |e| arrays.iter().fold(e, |e, x| e * x)).explain()?.to_string().contains("matmul")
    );
    Ok(())
}

#[test]
fn closures_that_panic_leave_everything_as_it_was() -> Result<()> {
    let a = count([4, 4]);
    let before = a.to_vec()?;
    let panicked = catch_unwind(AssertUnwindSafe(|| Matmul::new(&a, &a).map(|_| panic!("in the epilogue")).run()));
    assert!(panicked.is_err());
    let mut out = Array::<f32>::ones([4, 4])?;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        Matmul::new(&a, &a).map(|_| panic!("in the epilogue")).run_into(&mut out.view_mut().unwrap())
    }));
    assert!(panicked.is_err());
    assert_eq!((out.to_vec()?, a.to_vec()?), (vec![1.0; 16], before));
    let mut calls = 0;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        Array::from_fn([100], |ix| {
            calls += 1;
            assert!(ix[0] < 50, "in the middle");
            0.0f32
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(calls, 51);
    assert_eq!(a.matmul(&a)?.get([0, 0])?, 56.0);
    Ok(())
}

#[test]
fn closures_may_call_the_library() {
    on_every_device(|device| {
        let a = count([3, 3]);
        let inner = a.clone();
        let got = Matmul::new(&a, &a).map(move |e| {
            // Another product with its own epilogue, evaluated inside this epilogue.
            let other = with_device(&Device::auto(), || Matmul::new(&inner, &inner).map(|f| f * 2.0).run()).unwrap();
            let (sum, _) = trace::record(|| with_device(&Device::scalar(), || inner.sum().unwrap()));
            e + &other + sum
        });
        assert_eq!(got.run()?.to_vec()?, (a.matmul(&a)? * 3.0 + 36.0).eval()?.to_vec()?, "{device}");
        let nested = Array::from_fn([4], |ix| Array::from_fn([ix[0] + 1], |_| 1.0f32).unwrap().sum().unwrap())?;
        assert_eq!(nested.to_vec()?, [1.0, 2.0, 3.0, 4.0]);
        let a2 = a.clone();
        let foreign = Matmul::new(&a, &a).map(move |e| {
            let within = e.clone();
            not_computed(Matmul::new(&a2, &a2).map(move |f| f + within).run());
            e
        });
        foreign.run()?;
        Ok(())
    });
}
