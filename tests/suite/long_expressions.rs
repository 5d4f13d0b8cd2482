//! Expressions of many steps (chained, shared, doubled) take time and memory in proportion to the number of distinct
//! steps.

use crate::common::count;
use polyarray::prelude::*;
use std::time::{Duration, Instant};

const STEPS: usize = 100_000;

/// Ten times the time that an optimised build takes on one core. A loaded machine and an unoptimised build pass; a
/// quadratic algorithm, which takes minutes, fails.
const LIMIT: Duration = Duration::from_secs(10);

fn within_limit<R>(what: &str, f: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = f();
    assert!(start.elapsed() < LIMIT, "{what} took {:?}", start.elapsed());
    result
}

#[test]
fn an_expression_that_is_reused_is_computed_once() -> Result<()> {
    within_limit("a logistic map", || {
        let mut x = count([4]).into_expr() / 7.0;
        let mut plain = [0.0f32, 1.0, 2.0, 3.0].map(|x| x / 7.0);
        for _ in 0..200 {
            x = &x * 3.9 * (1.0 - &x);
            plain = plain.map(|x| x * 3.9 * (1.0 - x));
        }
        assert_eq!(x.eval()?.to_vec()?, plain);
        Ok::<_, Error>(())
    })?;
    within_limit("doublings", || {
        let a = count([4]).cast::<f64>();
        let mut x = a + 1.0;
        for _ in 0..1000 {
            x = (&x + &x) * 0.5;
        }
        assert_eq!(x.eval()?.to_vec()?, [1.0, 2.0, 3.0, 4.0]);
        Ok::<_, Error>(())
    })?;
    // Equal constants and equal steps are computed once, even if the expression contains them twice.
    let a = count([4]);
    let plan = ((&a + 1.0) * (&a + 1.0)).explain()?.to_string();
    assert!(plan.contains("add+mul") && !plan.contains("add+add"), "{plan}");
    Ok(())
}

#[test]
fn chains_of_steps() -> Result<()> {
    let a = count([8]);
    within_limit("a chain", || {
        let mut e = (&a).into_expr();
        for _ in 0..STEPS {
            e = e + 1.0;
        }
        assert_eq!(e.eval()?.to_vec()?, (&a + STEPS as f32).eval()?.to_vec()?);
        Ok::<_, Error>(())
    })?;
    within_limit("a chain that is appended to on the right", || {
        let mut e = (&a).into_expr();
        let (mut plain, k) = (a.to_vec()?, 0.5f32);
        for _ in 0..STEPS / 2 {
            e = &a * k - e;
            plain.iter_mut().zip(a.to_vec()?).for_each(|(e, a)| *e = a * k - *e);
        }
        assert_eq!(e.eval()?.to_vec()?, plain);
        Ok::<_, Error>(())
    })?;
    within_limit("a chain of different constants and arrays", || {
        let arrays: Vec<Array<f32>> = (0..1000).map(|i| Array::full([8], (i % 7) as f32)).collect::<Result<_>>()?;
        let (mut e, mut plain) = ((&a).into_expr(), a.to_vec()?);
        for i in 0..STEPS {
            let k = (i % 1013) as f32 * 1e-3;
            e = if i % 3 == 0 { e.maximum(&arrays[i % 1000]) } else { e * 0.5 + k };
            let other = (i % 1000 % 7) as f32;
            plain.iter_mut().for_each(|x| *x = if i % 3 == 0 { x.max(other) } else { *x * 0.5 + k });
        }
        assert_eq!(e.eval()?.to_vec()?, plain);
        Ok::<_, Error>(())
    })
}

#[test]
fn steps_that_are_read_from_far_away() -> Result<()> {
    within_limit("Fibonacci's numbers, modulo", || {
        let a = Array::from_vec(vec![0i64, 1, 5], [3])?;
        let (mut x, mut y) = ((&a).into_expr(), &a + 1i64);
        let mut plain = [(0i64, 1i64), (1, 2), (5, 6)];
        let mut history = vec![y.clone()];
        for i in 0..STEPS / 10 {
            // Every 50th step also reads a step from long before.
            let old = &history[i / 7 % history.len()];
            let next = if i % 50 == 49 { (&x ^ &y) + old } else { &x + &y };
            (x, y) = (y, next);
            history.push(y.clone());
        }
        let mut seen = plain.map(|p| vec![p.1]);
        for i in 0..STEPS / 10 {
            for (p, seen) in plain.iter_mut().zip(&mut seen) {
                let old = seen[i / 7 % seen.len()];
                let next = if i % 50 == 49 { (p.0 ^ p.1).wrapping_add(old) } else { p.0.wrapping_add(p.1) };
                *p = (p.1, next);
                seen.push(p.1);
            }
        }
        drop(history);
        assert_eq!(y.eval()?.to_vec()?, plain.map(|p| p.1));
        Ok::<_, Error>(())
    })
}

#[test]
fn temporaries_of_a_long_expression_do_not_pile_up() -> Result<()> {
    let a = Array::<f32>::ones([1 << 12])?;
    let mut e = (&a).into_expr();
    for i in 0..6400 {
        e = e * 0.5 + (i % 3) as f32;
    }
    let (result, record) = polyarray::trace::record(|| e.sum());
    result?;
    // If only the next part reads a temporary, that part writes its result into it.
    assert!((1..=4).contains(&record.allocations), "{} allocations of {} bytes", record.allocations, record.allocated);
    assert_eq!(record.copies_for("a long expression was split"), 2 * 6400 / 64 - 1);
    Ok(())
}

#[test]
fn long_expressions_are_dropped_and_cloned_and_fail_without_recursion() -> Result<()> {
    let a = count([2]);
    let mut e = (&a).into_expr();
    let mut kept = Vec::new();
    for i in 0..STEPS {
        e = (&e + &a).abs();
        if i % 1000 == 0 {
            kept.push(e.clone());
        }
    }
    drop(e);
    drop(kept);
    let mut wrong = &a + &count([3]);
    for _ in 0..STEPS {
        wrong = wrong + 1.0;
    }
    assert!(matches!(wrong.eval(), Err(Error::Broadcast { .. })));
    Ok(())
}
