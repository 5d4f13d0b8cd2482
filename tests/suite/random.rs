//! Random numbers: golden values, the same bits everywhere, distributions, permutations and samples, bad parameters.

mod distributions;
mod samples;

use crate::common::{on_every_device, refused};
use polyarray::prelude::*;
use polyarray::random::Generator;
use polyarray::{Wide, with_dtype, with_threads};
use proptest::prelude::*;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn rng() -> Generator {
    Generator::new(0x5eed)
}

/// A distribution, the words of an element, and a function that draws n elements and returns their bits.
struct Draw(&'static str, u64, fn(&mut Generator, usize) -> Result<Vec<u64>>);

/// Returns the bits of the elements; of integers, sign-extended.
fn bits<T: Element>(x: Array<T>) -> Result<Vec<u64>> {
    let of = |x: T| match x.to_wide() {
        Wide::Int(i) => i as u64,
        Wide::Float(x) if T::DTYPE == DType::F64 => x.to_bits(),
        Wide::Float(x) if T::DTYPE == DType::F32 => u64::from((x as f32).to_bits()),
        Wide::Float(x) if T::DTYPE == DType::F16 => u64::from(f16::from_f64(x).to_bits()),
        Wide::Float(x) => u64::from(bf16::from_f64(x).to_bits()),
        Wide::Complex(..) => unreachable!("no random number is complex"),
    };
    Ok(x.to_vec()?.into_iter().map(of).collect())
}

fn draws() -> Vec<Draw> {
    vec![
        Draw("random f64", 2, |r, n| bits(r.random::<f64>(n)?)),
        Draw("random f32", 1, |r, n| bits(r.random::<f32>(n)?)),
        Draw("random f16", 1, |r, n| bits(r.random::<f16>(n)?)),
        Draw("random bf16", 1, |r, n| bits(r.random::<bf16>(n)?)),
        Draw("uniform f64 -1..3", 2, |r, n| bits(r.uniform::<f64>(n, -1.0, 3.0)?)),
        Draw("uniform f32 -1..3", 1, |r, n| bits(r.uniform::<f32>(n, -1.0, 3.0)?)),
        Draw("normal f64", 2, |r, n| bits(r.normal::<f64>(n, 0.0, 1.0)?)),
        Draw("normal f32", 1, |r, n| bits(r.normal::<f32>(n, 5.0, 2.0)?)),
        Draw("normal f16", 1, |r, n| bits(r.normal::<f16>(n, 0.0, 1.0)?)),
        Draw("exponential f64", 2, |r, n| bits(r.exponential::<f64>(n, 1.0)?)),
        Draw("exponential f32", 1, |r, n| bits(r.exponential::<f32>(n, 0.5)?)),
        Draw("gamma f64 2.5", 1, |r, n| bits(r.gamma::<f64>(n, 2.5, 1.0)?)),
        Draw("gamma f32 0.3", 1, |r, n| bits(r.gamma::<f32>(n, 0.3, 2.0)?)),
        Draw("beta f64 0.5 0.5", 1, |r, n| bits(r.beta::<f64>(n, 0.5, 0.5)?)),
        Draw("beta f64 2 3", 1, |r, n| bits(r.beta::<f64>(n, 2.0, 3.0)?)),
        Draw("integers u32", 1, |r, n| bits(r.integers::<u32>(n, ..)?)),
        Draw("integers u64", 2, |r, n| bits(r.integers::<u64>(n, ..)?)),
        Draw("integers i8 -5..=5", 1, |r, n| bits(r.integers(n, -5..=5i8)?)),
        Draw("integers i16", 1, |r, n| bits(r.integers::<i16>(n, ..)?)),
        Draw("integers i64 0..1000", 1, |r, n| bits(r.integers(n, 0..1000i64)?)),
        Draw("integers i32 0..10^6", 2, |r, n| bits(r.integers(n, 0..1_000_000i32)?)),
        Draw("integers i64 -10^18..10^18", 2, |r, n| bits(r.integers(n, -(10i64.pow(18))..10i64.pow(18))?)),
        Draw("integers u64 3 2^62", 2, |r, n| bits(r.integers(n, 0..3u64 << 62)?)),
        Draw("bernoulli 0.3", 2, |r, n| bits(r.bernoulli(n, 0.3)?)),
        Draw("poisson 4.5", 1, |r, n| bits(r.poisson(n, 4.5)?)),
        Draw("poisson 1e6", 1, |r, n| bits(r.poisson(n, 1e6)?)),
        Draw("binomial 20 0.7", 1, |r, n| bits(r.binomial(n, 20, 0.7)?)),
        Draw("binomial 1000 0.4", 1, |r, n| bits(r.binomial(n, 1000, 0.4)?)),
        Draw("permutation", 2, |r, n| bits(r.permutation(n)?)),
    ]
}

/// The first numbers of every distribution, which are part of the interface. The words are those of Philox 4x32-10 for
/// the key [0x5eed, 0], in the order of the counter.
#[test]
fn golden_values() {
    let golden: &[(&str, [u64; 4])] = &[
        ("random f64", [0x3fdb_d5bb_4e7b_870a, 0x3fb4_c3f3_d7e2_9a60, 0x3fe5_18de_fd7c_f3d1, 0x3fd9_2f2d_b8ff_b376]),
        ("random f32", [0x3f6e_1c2f, 0x3ede_adda, 0x3f62_9a60, 0x3da6_1f98]),
        ("random f16", [0x3b70, 0x36f4, 0x3b14, 0x2d30]),
        ("random bf16", [0x3f6e, 0x3ede, 0x3f62, 0x3da0]),
        (
            "uniform f64 -1..3",
            [0x3fe7_ab76_9cf7_0e14, 0xbfe5_9e06_140e_b2d0, 0x3ffa_31bd_faf9_e7a2, 0x3fe2_5e5b_71ff_66ec],
        ),
        ("uniform f32 -1..3", [0x402e_1c2f, 0x3f3d_5bb4, 0x4022_9a60, 0xbf2c_f034]),
        ("normal f64", [0xbfed_daa5_2b1b_288d, 0x3fb4_d543_ce4d_edab, 0x3ff9_f0ef_049c_3a6a, 0x3fe5_141b_169d_48ba]),
        ("normal f32", [0x3f81_3be6, 0x4082_f8f9, 0x40d8_d5d3, 0x4094_3466]),
        ("normal f16", [0xbffb, 0xb742, 0x3b1b, 0xb1e6]),
        (
            "exponential f64",
            [0x3ff4_ad38_9888_3843, 0x3fb1_0b81_d512_96f2, 0x4003_eed6_bd74_e01a, 0x3fe8_5e8c_e994_fbdb],
        ),
        ("exponential f32", [0x3fb0_e033, 0x3e42_d0fb, 0x3eba_00cf, 0x3e08_7fc0]),
        ("gamma f64 2.5", [0x3fec_edf0_9a55_0e79, 0x3ff1_94f0_a2f4_1a35, 0x400a_5185_11f1_16c0, 0x3ffd_e8d1_33cb_c564]),
        ("gamma f32 0.3", [0x3db3_cb13, 0x3cf4_dac5, 0x3e79_0286, 0x3f3d_912f]),
        (
            "beta f64 0.5 0.5",
            [0x3fa6_d53c_ee97_0453, 0x3fbb_b948_34d7_9a32, 0x3f94_64b4_8054_5464, 0x3fef_f100_0766_a386],
        ),
        ("beta f64 2 3", [0x3fd1_1067_23a0_be07, 0x3fd6_8ea2_52d1_21b7, 0x3fe5_151a_24f7_9a01, 0x3fd3_fdf8_1ef3_6659]),
        ("integers u32", [0xee1c_2fcc, 0x6f56_ed39, 0xe29a_6034, 0x14c3_f3d7]),
        ("integers u64", [0x6f56_ed39_ee1c_2fcc, 0x14c3_f3d7_e29a_6034, 0xa8c6_f7eb_e79e_8ee4, 0x64bc_b6e3_fecd_d894]),
        ("integers i8 -5..=5", [0x5, 0xffff_ffff_ffff_ffff, 0x4, 0xffff_ffff_ffff_fffb]),
        ("integers i16", [0x6e1c, 0xffff_ffff_ffff_ef56, 0x629a, 0xffff_ffff_ffff_94c3]),
        ("integers i64 0..1000", [0x3a2, 0x1b2, 0x375, 0x51]),
        ("integers i32 0..10^6", [0x6_a2e8, 0x1_3cda, 0xa_0f56, 0x6_0120]),
        (
            "integers i64 -10^18..10^18",
            [0xfe31_946f_3ea4_112c, 0xf45f_a49e_c352_1342, 0x46b_cb93_f671_0420, 0xfd0b_4de9_472b_ab69],
        ),
        (
            "integers u64 3 2^62",
            [0x9d75_7e6c_d08b_790c, 0x77aa_7a99_20df_c7ac, 0xa6b8_7b1b_6ace_db4b, 0x6c49_a3df_0ab9_ce0c],
        ),
        ("bernoulli 0.3", [0x0, 0x1, 0x0, 0x0]),
        ("poisson 4.5", [0x6, 0x6, 0x5, 0x2]),
        ("poisson 1e6", [0xf_464a, 0xf_451d, 0xf_43a1, 0xf_3cba]),
        ("binomial 20 0.7", [0xc, 0xd, 0xd, 0x10]),
        ("binomial 1000 0.4", [0x1a0, 0x19c, 0x1ad, 0x17a]),
        ("permutation", [0x1, 0x0, 0x3, 0x2]),
    ];
    let mut wrong = String::new();
    for (i, Draw(name, _, draw)) in draws().into_iter().enumerate() {
        let found = draw(&mut rng(), 4).unwrap();
        if golden.get(i).is_none_or(|(n, expected)| *n != name || expected[..] != found) {
            wrong += &format!(
                "        (\"{name}\", [{:#x}, {:#x}, {:#x}, {:#x}]),\n",
                found[0], found[1], found[2], found[3]
            );
        }
    }
    assert!(wrong.is_empty() && golden.len() == draws().len(), "other numbers than before:\n{wrong}");
}

/// A hash of many elements, so that no path of a method changes unnoticed: FNV-1a of 64 bits.
#[test]
fn golden_hashes() {
    let golden: &[u64] = &[
        0x8554_85d0_616a_e48d,
        0xcb85_31b6_c7ce_3c37,
        0x75c5_c281_c3d3_b395,
        0x5240_c46c_1201_ab22,
        0xe10b_3677_2d2a_8280,
        0x880d_041d_9b3d_7c26,
        0xd31d_4456_efc3_3792,
        0x7632_9b4d_b803_d141,
        0xb18f_f66e_d39d_0192,
        0x00ef_54fb_e958_468e,
        0x481f_4343_3a29_67a2,
        0x26c0_3bba_b9f6_5a6e,
        0xb2ed_c264_fa70_71c8,
        0x6727_1f24_4cee_2895,
        0x765e_e3d8_1edd_e414,
        0x265b_4c31_7390_46d9,
        0x5b5e_9f2c_73de_8725,
        0xf0b2_125b_b226_b09b,
        0x18f0_57cb_200b_c79b,
        0x6615_76c7_763d_eda2,
        0xd671_5f7b_ead1_3fc4,
        0xff86_c0ef_1a3c_91ea,
        0x9e10_3f9c_dcc0_9d19,
        0x7fe8_65fb_da72_2705,
        0x2451_2d40_9fb9_0a41,
        0xb814_9d54_11ed_d8dc,
        0xdb2d_f761_5c84_d9ce,
        0x08f9_e8bd_0a8b_984b,
        0x8ec2_8e75_a39c_4879,
    ];
    let hash = |Draw(_, _, draw): Draw| {
        let bytes = draw(&mut rng().at(1), 5000).unwrap().into_iter().flat_map(u64::to_le_bytes);
        bytes.fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
    };
    let found: Vec<u64> = draws().into_iter().map(hash).collect();
    assert!(found == golden, "other numbers than before: {found:#x?}");
}

#[test]
fn every_device_and_number_of_threads_gives_the_same_bits() {
    // Enough for several threads.
    let n = 20_001;
    for Draw(name, _, draw) in draws() {
        let expected = with_device(&Device::scalar(), || draw(&mut rng().at(3), n)).unwrap();
        on_every_device(|device| {
            for threads in [1, 2, 3, 7] {
                let found = with_threads(threads, || draw(&mut rng().at(3), n))?;
                assert!(found == expected, "{name} on {device} with {threads} threads");
            }
            Ok(())
        });
        assert!(draw(&mut rng().at(3), n).unwrap() == expected, "{name} on auto");
    }
}

#[test]
fn a_position_advances_by_the_documented_words() {
    for Draw(name, words, draw) in draws() {
        for n in [0, 1, 2, 7, 300] {
            let mut r = rng().at(u64::MAX - 100);
            draw(&mut r, n).unwrap();
            assert_eq!(r.position(), (u64::MAX - 100).wrapping_add(words * n as u64), "{name}");
            assert_eq!(r.key(), 0x5eed);
        }
    }
}

proptest! {
    #[test]
    fn a_split_of_calls_changes_nothing(
        which in 0usize..28,
        position: u64,
        parts in prop::collection::vec(0usize..400, 1..5),
    ) {
        // All distributions, but not the permutation, whose elements depend on each other.
        let Draw(name, _, draw) = draws().swap_remove(which);
        let mut whole = rng().at(position);
        let mut split = whole.clone();
        let expected = draw(&mut whole, parts.iter().sum()).unwrap();
        let found: Vec<u64> = parts.iter().flat_map(|&n| draw(&mut split, n).unwrap()).collect();
        prop_assert!(found == expected, "{name}");
        prop_assert_eq!(whole, split);
    }

    #[test]
    fn integers_lie_in_their_range(seed: u64, low: i64, width in 0u64..=u64::MAX, bits in 0u32..64) {
        let last = low.saturating_add_unsigned(width >> bits);
        for x in Generator::new(seed).integers(50, low..=last).unwrap().to_vec().unwrap() {
            prop_assert!((low..=last).contains(&x));
        }
    }

    #[test]
    fn uniform_numbers_lie_in_their_range(seed: u64, low in -1e6f64..1e6, width in 0f64..1e3) {
        with_dtype!([DType::F64, DType::F32, DType::F16, DType::BF16][seed as usize % 4], T => {
            let [a, b] = [low, low + width].map(|x| T::from_wide(Wide::Float(x)).to_wide().real());
            if a < b && a.is_finite() && b.is_finite() {
                for x in Generator::new(seed).uniform::<T>(50, low, low + width).unwrap().to_vec().unwrap() {
                    let x = x.to_wide().real();
                    prop_assert!(a <= x && x < b, "{} {} {}", a, x, b);
                }
            }
        });
    }
}

#[test]
fn narrow_floats_are_rounded_numbers_of_f32() {
    let wide = rng().normal::<f32>(1000, 1.0, 3.0).unwrap();
    let narrow = rng().normal::<bf16>(1000, 1.0, 3.0).unwrap();
    assert_eq!(wide.cast::<bf16>().eval().unwrap().to_vec().unwrap(), narrow.to_vec().unwrap());
    let wide = rng().gamma::<f64>(1000, 2.0, 3.0).unwrap();
    let narrow = rng().gamma::<f16>(1000, 2.0, 3.0).unwrap();
    assert_eq!(wide.cast::<f16>().eval().unwrap().to_vec().unwrap(), narrow.to_vec().unwrap());
}

#[test]
fn streams_and_splits_are_different_generators() {
    let (r, mut s) = (rng(), rng());
    let mut all: Vec<u64> = (0..100).map(|i| r.stream(i).key()).collect();
    all.extend((0..10).flat_map(|_| s.split(10).unwrap()).map(|g| g.key()));
    all.push(r.key());
    assert_eq!(s.position(), 100);
    assert_eq!(
        (r.stream(0).key(), rng().split(1).unwrap()[0].key()),
        (8_098_769_268_720_035_514, 9_331_066_269_424_784_810)
    );
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
    assert!(rng().split(0).unwrap().is_empty());
}

#[test]
fn shapes_have_any_number_of_axes_and_may_be_empty() {
    on_every_device(|_| {
        assert_eq!(rng().random::<f64>(())?.shape(), [0; 0]);
        assert_eq!(rng().random::<f64>([0, 5])?.shape(), [0, 5]);
        assert_eq!(rng().poisson([2, 0], 3.0)?.shape(), [2, 0]);
        let x = rng().normal::<f32>([2, 3, 4], 0.0, 1.0)?;
        assert_eq!((x.shape(), x.is_c_contiguous()), (&[2, 3, 4][..], true));
        assert_eq!(x.to_vec()?, rng().normal::<f32>(24, 0.0, 1.0)?.to_vec()?);
        Ok(())
    });
}

#[test]
fn degenerate_distributions_have_one_value() {
    let all = |x: Array<f64>, value: f64| assert!(x.to_vec().unwrap().iter().all(|&x| x == value), "{value}");
    all(rng().normal(50, 4.0, 0.0).unwrap(), 4.0);
    all(rng().exponential(50, 0.0).unwrap(), 0.0);
    all(rng().gamma(50, 0.0, 2.0).unwrap(), 0.0);
    all(rng().gamma(50, 3.0, 0.0).unwrap(), 0.0);
    all(rng().uniform(50, 1.0, 1f64.next_up()).unwrap(), 1.0);
    let all = |x: Array<i64>, value: i64| assert!(x.to_vec().unwrap().iter().all(|&x| x == value), "{value}");
    all(rng().integers(50, i64::MAX..=i64::MAX).unwrap(), i64::MAX);
    all(rng().poisson(50, 0.0).unwrap(), 0);
    all(rng().poisson(50, 5e-324).unwrap(), 0);
    all(rng().binomial(50, 0, 0.5).unwrap(), 0);
    all(rng().binomial(50, 9, 0.0).unwrap(), 0);
    all(rng().binomial(50, i64::MAX as u64, 1.0).unwrap(), i64::MAX);
    assert!(!rng().bernoulli(50, 0.0).unwrap().any().unwrap() && rng().bernoulli(50, 1.0).unwrap().all().unwrap());
}

#[test]
fn extreme_parameters_give_numbers() {
    for (a, b) in [(5e-324, 5e-324), (1e-300, 1.0), (1e300, 1e300), (f64::MAX, 1e-300), (1e-8, 1e8), (0.5, f64::MAX)] {
        let x = rng().beta::<f64>(200, a, b).unwrap().to_vec().unwrap();
        assert!(x.iter().all(|x| (0.0..=1.0).contains(x)), "{a} {b}: {x:?}");
    }
    let ones = rng().beta::<f64>(4000, 3e-320, 1e-320).unwrap().sum().unwrap();
    assert!((2900.0..3100.0).contains(&ones), "of 4000 numbers, three quarters are 1: {ones}");
    for alpha in [5e-324, 1e-10, 1e10, f64::MAX] {
        let x = rng().gamma::<f64>(200, alpha, 1.0).unwrap().to_vec().unwrap();
        assert!(x.iter().all(|x| *x >= 0.0 && x.is_finite()), "{alpha}: {x:?}");
    }
    let x = rng().uniform::<f64>(200, -8e307, 8e307).unwrap().to_vec().unwrap();
    assert!(x.iter().all(|x| x.abs() < 8e307) && x.iter().any(|x| *x < 0.0) && x.iter().any(|x| *x > 0.0));
}

/// Asserts that a call fails with these words in the message, and leaves the generator as it was.
#[track_caller]
fn bad<T>(call: impl FnOnce(&mut Generator) -> Result<T>, words: &[&str]) {
    let mut r = rng().at(9);
    refused(call(&mut r), |e| matches!(e, Error::Argument { .. }), words);
    assert_eq!(r, rng().at(9));
}

#[test]
fn bad_parameters_are_errors() {
    for x in [NAN, INF, -INF] {
        bad(|r| r.uniform::<f64>(3, x, 1.0), &["uniform: low = ", "finite"]);
        bad(|r| r.uniform::<f32>(3, 0.0, x), &["uniform: high = ", "finite"]);
        bad(|r| r.normal::<f64>(3, x, 1.0), &["normal: mean = ", "finite"]);
    }
    for x in [NAN, INF, -INF, -1.0, -5e-324] {
        bad(|r| r.normal::<f32>(3, 0.0, x), &["normal: std = ", "not negative"]);
        bad(|r| r.exponential::<f64>(3, x), &["exponential: scale = ", "not negative"]);
        bad(|r| r.gamma::<f64>(3, x, 1.0), &["gamma: alpha = ", "not negative"]);
        bad(|r| r.gamma::<f64>(3, 1.0, x), &["gamma: scale = ", "not negative"]);
        bad(|r| r.beta::<f64>(3, x, 1.0), &["beta: a = ", "positive"]);
        bad(|r| r.beta::<f64>(3, 1.0, x), &["beta: b = ", "positive"]);
        bad(|r| r.poisson(3, x), &["poisson: mean = ", "from 0 to 9.223"]);
        bad(|r| r.binomial(3, 4, x), &["binomial: p = ", "from 0 to 1"]);
        bad(|r| r.bernoulli(3, x), &["bernoulli: p = ", "from 0 to 1"]);
    }
    bad(|r| r.beta::<f64>(3, 0.0, 1.0), &["beta: a = 0", "positive"]);
    bad(|r| r.bernoulli(3, 1f64.next_up()), &["bernoulli: p = 1.0000000000000002"]);
    bad(|r| r.poisson(3, 9.2234e18), &["poisson: mean = 92234"]);
    bad(|r| r.binomial(3, 1 << 63, 0.5), &["binomial: n = 9223372036854775808", "at most 9223372036854775807"]);
    // Ranges without elements, also after rounding to the dtype.
    bad(|r| r.uniform::<f64>(3, 1.0, 1.0), &["uniform: low = 1: it must be less than high, which is 1"]);
    bad(|r| r.uniform::<f32>(3, 2.0, -1.0), &["less than high, which is -1"]);
    bad(|r| r.uniform::<f32>(3, 1.0, 1.0 + 1e-12), &["less than high"]);
    bad(|r| r.uniform::<f64>(3, -1e308, 1e308), &["overflows"]);
    bad(|r| r.uniform::<f32>(3, -3e38, 3e38), &["overflows"]);
    bad(|r| r.uniform::<f16>(3, 0.0, 1e6), &["uniform: high = inf", "finite as f16; it is 1000000"]);
    bad(|r| r.normal::<f32>(3, 1e39, 1.0), &["finite as f32"]);
    bad(|r| r.integers(3, 5..5u8), &["integers: range = 5..=4", "no elements"]);
    let (low, high) = (5, -5);
    bad(|r| r.integers(3, low..high), &["range = 5..=-6"]);
    bad(|r| r.integers::<i64>(3, ..i64::MIN), &["no elements"]);
    bad(|r| r.integers(3, (std::ops::Bound::Excluded(u64::MAX), std::ops::Bound::Unbounded)), &["no elements"]);
}

#[test]
fn dtypes_without_the_distribution_are_errors() {
    for dtype in DType::ALL {
        with_dtype!(dtype, T => {
            let undefined = |e: &Error| matches!(e, Error::DTypeUndefined { .. });
            if dtype.kind() == polyarray::Kind::Float {
                refused(rng().integers::<T>(3, ..), undefined, &["integers is not defined for", "i8, i16"]);
                continue;
            }
            refused(rng().random::<T>(3), undefined, &["random is not defined for", "f16, bf16, f32, f64"]);
            refused(rng().uniform::<T>(3, 0.0, 1.0), undefined, &["uniform is not defined for", dtype.name()]);
            refused(rng().normal::<T>(3, 0.0, 1.0), undefined, &["normal is not"]);
            refused(rng().exponential::<T>(3, 1.0), undefined, &["exponential is not"]);
            refused(rng().gamma::<T>(3, 1.0, 1.0), undefined, &["gamma is not"]);
            refused(rng().beta::<T>(3, 1.0, 1.0), undefined, &["beta is not"]);
        });
    }
    refused(rng().integers::<bool>(3, ..), |e| matches!(e, Error::DTypeUndefined { .. }), &["bool"]);
}

#[test]
fn hostile_shapes_are_errors() {
    let large = |e: &Error| matches!(e, Error::TooLarge { .. });
    let memory = |e: &Error| matches!(e, Error::OutOfMemory { .. });
    let mut r = rng();
    refused(r.random::<f64>([usize::MAX, 3]), large, &["too large"]);
    refused(r.random::<f64>([usize::MAX, 0]), large, &["too large"]);
    refused(r.random::<f64>(1usize << 50), memory, &["out of memory"]);
    refused(r.integers::<u8>([1 << 30, 1 << 25], ..), memory, &["out of memory"]);
    refused(r.poisson([1; 17], 1.0), |e| matches!(e, Error::Shapes { .. }), &["17 axes"]);
    refused(r.permutation(usize::MAX), large, &["too large"]);
    refused(r.permutation(1 << 50), memory, &["out of memory"]);
    refused(r.split(usize::MAX), memory, &["out of memory"]);
    refused(r.split(1 << 50), memory, &["out of memory"]);
    assert_eq!(r, rng());
}

#[cfg(feature = "gpu")]
#[test]
fn a_gpu_refuses_with_a_reason() {
    if let Ok(gpu) = Device::gpu() {
        let result = with_device(&gpu, || rng().random::<f32>(3));
        refused(result, |e| matches!(e, Error::Refused { .. }), &["random numbers are not supported on GPUs yet"]);
    }
}
