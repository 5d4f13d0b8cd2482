//! `arange` and `linspace`, up to the limits of their dtypes.

use polyarray::prelude::*;

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

#[test]
fn ranges_of_integers_are_exact() -> Result<()> {
    let p = 1u64 << 53;
    assert_eq!(Array::arange(p + 1, p + 3, 1)?.to_vec()?, [p + 1, p + 2]);
    assert_eq!(Array::arange(1u64 << 63, (1 << 63) + 3, 1)?.len(), 3);
    assert_eq!(Array::arange(0i64, 10i64.pow(16) + 1, 10i64.pow(14))?.len(), 101);
    assert_eq!(Array::arange(u64::MAX - 2, u64::MAX, 1)?.to_vec()?, [u64::MAX - 2, u64::MAX - 1]);
    assert_eq!(Array::arange(i64::MIN, i64::MAX, i64::MAX)?.to_vec()?, [i64::MIN, -1, i64::MAX - 1]);
    assert_eq!(Array::arange(i64::MAX, i64::MIN, i64::MIN)?.to_vec()?, [i64::MAX, -1]);
    assert_eq!(Array::arange(0u64, u64::MAX, u64::MAX)?.to_vec()?, [0]);
    assert_eq!(Array::arange(5i8, -6, -4)?.to_vec()?, [5, 1, -3]);
    assert_eq!(Array::arange(0u8, 250, 100)?.to_vec()?, [0, 100, 200], "the last step would overshoot");
    for (start, stop, step) in [(0i32, 0, 1), (5, 0, 1), (0, 5, -1)] {
        assert!(Array::arange(start, stop, step)?.is_empty());
    }
    assert_eq!(Array::arange(false, true, true)?.to_vec()?, [false]);
    assert!(
        matches!(Array::arange(0i32, 5, 0), Err(Error::Setting { .. }))
            && matches!(Array::arange(0i64, i64::MAX, 1), Err(Error::TooLarge { .. }))
    );
    Ok(())
}

#[test]
fn ranges_of_floats_reach_the_ends() -> Result<()> {
    assert_eq!(Array::arange(0.0f64, 1.0, 0.25)?.to_vec()?, [0.0, 0.25, 0.5, 0.75]);
    assert_eq!(Array::arange(1.0f32, 0.0, -0.5)?.to_vec()?, [1.0, 0.5]);
    assert_eq!(Array::arange(-1.5e308f64, 1.6e308, 1.5e308)?.to_vec()?, [-1.5e308, 0.0, 1.5e308]);
    assert_eq!(Array::arange(0.0f64, 5e-324, 1e300)?.to_vec()?, [0.0]);
    assert!(Array::arange(0.0f64, -5e-324, 1e300)?.is_empty() && Array::arange(0.0f64, 0.0, 1.0)?.is_empty());
    let z = Complex::new(1.0f64, 0.0);
    assert_eq!(Array::arange(z, z * 3.0, z)?.to_vec()?, [z, z * 2.0]);
    for bad in [Array::arange(0.0, NAN, 1.0), Array::arange(0.0, INF, 1.0), Array::arange(0.0, 1.0, -0.0)] {
        assert!(matches!(bad, Err(Error::Setting { .. })));
    }
    let i = Complex::new(0.0f64, 1.0);
    assert!(matches!(Array::arange(z, z * 3.0, i), Err(Error::Setting { .. })));
    Ok(())
}

#[test]
fn evenly_spaced_numbers_are_exact_at_both_ends() -> Result<()> {
    let p = (1i64 << 53) + 1;
    assert_eq!(Array::linspace(p, p + 2, 2)?.to_vec()?, [p, p + 2]);
    assert_eq!(Array::linspace(f64::MIN, f64::MAX, 3)?.to_vec()?, [f64::MIN, 0.0, f64::MAX]);
    assert!(
        Array::linspace(f64::MIN, f64::MAX, 1000)?
            .to_vec()?
            .windows(2)
            .all(|two| two[0] < two[1] && two[1].is_finite())
    );
    assert_eq!(Array::linspace(7.5f64, INF, 1)?.to_vec()?, [7.5]);
    assert_eq!(Array::linspace(3i32, 9, 1)?.to_vec()?, [3]);
    assert!(Array::linspace(0.0f32, 1.0, 0)?.is_empty() && Array::linspace(0u8, 1, 0)?.is_empty());
    assert_eq!(Array::linspace(0.0f64, 5e-324, 11)?.get([6])?, 5e-324);
    let little = Array::linspace(0.0f64, 1e-320, 1000)?.to_vec()?;
    assert!(
        little.iter().enumerate().all(|(i, x)| (x / 5e-324 - i as f64 * 2024.0 / 999.0).abs() <= 1.0),
        "each element is within one subnormal unit"
    );
    assert_eq!(Array::linspace(0i32, -5, 3)?.to_vec()?, [0, -3, -5], "floors, as NumPy does");
    assert_eq!(Array::linspace(0u8, 255, 4)?.to_vec()?, [0, 85, 170, 255]);
    assert_eq!(Array::linspace(u64::MAX, 0, 3)?.to_vec()?, [u64::MAX, u64::MAX / 2, 0]);
    assert_eq!(Array::linspace(i64::MIN, i64::MAX, 3)?.to_vec()?, [i64::MIN, -1, i64::MAX]);
    assert_eq!(Array::linspace(-f32::MAX, f32::MAX, 3)?.to_vec()?, [-f32::MAX, 0.0, f32::MAX]);
    assert_eq!(Array::linspace(f16::MIN, f16::MAX, 3)?.to_vec()?, [f16::MIN, f16::ZERO, f16::MAX]);
    let z = |re, im| Complex::new(re, im);
    assert_eq!(Array::linspace(z(0.0f64, 1.0), z(4.0, -1.0), 3)?.to_vec()?, [z(0.0, 1.0), z(2.0, 0.0), z(4.0, -1.0)]);
    assert_eq!(Array::linspace(1.0f64, INF, 3)?.to_vec()?, [1.0, INF, INF]);
    assert_eq!(Array::linspace(0.3f64, 0.3, 4)?.to_vec()?, [0.3; 4]);
    Ok(())
}
