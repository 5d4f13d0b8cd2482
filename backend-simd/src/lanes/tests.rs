//! Compares the lanes of every tier with scalar arithmetic.

use super::{Bits, Exponents, Float, Isa, Lanes, Mask, Numbers, Real, Work};
use crate::tier::{NAMES, Token};
use polyarray_core::f16;

/// Runs the result of `make` on every tier that this CPU has.
pub(crate) fn on_every_tier<W: Work<Out = ()>>(make: impl Fn() -> W) {
    for name in NAMES {
        match Token::best(Some(name)).unwrap() {
            Token::Portable(isa) => isa.enter(make()),
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(isa) => isa.enter(make()),
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(isa) => isa.enter(make()),
        }
    }
}

fn values() -> Vec<f64> {
    let mut v = vec![
        0.0,
        -0.0,
        0.3,
        -0.3,
        0.5,
        -0.5,
        1.5,
        2.5,
        -2.5,
        -3.7,
        1e-40,
        -1e-40,
        4_194_303.5,
        4_194_304.5,
        6_291_455.5,
        -8_388_607.5,
        8_388_609.0,
        4_503_599_627_370_495.5,
        3_377_699_720_527_871.5,
        -4e9,
        9_007_199_254_740_993.0,
    ];
    v.extend([1e38, -1e38, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN, 1.0, -1.0]);
    v.extend((0..40).map(|i| f64::from(i * i) * 0.37 - 60.0));
    v
}

macro_rules! check {
    ($work:ident, $elem:ident, $uint:ident, $int:ident) => {
        struct $work;
        impl Work for $work {
            type Out = ();
            fn run<I: Isa>(self, isa: I) {
                type V<I> = <$elem as Real>::V<I>;
                let n = V::<I>::N;
                // SAFETY: all slices have at least n elements.
                let load = |x: &[$elem]| unsafe { V::<I>::load(isa, x.as_ptr()) };
                let get = |v: V<I>| {
                    let mut lanes = [0.0; 16];
                    // SAFETY: no vector has more than 16 lanes.
                    unsafe { v.store(lanes.as_mut_ptr()) };
                    lanes
                };
                let truth =
                    |m: <V<I> as Bits>::Mask| get(Bits::select(m, V::<I>::splat(isa, 1.0), V::<I>::splat(isa, 0.0)));
                let same = |name: &str, x: $elem, got: $elem, want: $elem| {
                    assert!(
                        got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(),
                        "{name}({x:e}): {got:e}, not {want:e}"
                    );
                };
                let int = |i: $uint| $elem::from_bits(i);
                let flag = |b: bool| <$elem>::from(b as u8);
                let table: [$elem; 64] = std::array::from_fn(|i| i as $elem * 0.25);
                let (t8, t16, t32) =
                    (table[..8].try_into().unwrap(), table[..16].try_into().unwrap(), table[..32].try_into().unwrap());
                let x: Vec<$elem> = values().into_iter().map(|x| x as $elem).collect();
                for at in 0..=x.len() - n {
                    let (xs, ys) = (&x[at..at + n], &x[x.len() - n - at..x.len() - at]);
                    let (a, b) = (load(xs), load(ys));
                    let results = [
                        get(a.abs()),
                        get(a.sqrt()),
                        get(a.round()),
                        get(a.floor()),
                        get(a.trunc()),
                        get(a.copysign(b)),
                    ];
                    let bits = [
                        get(a.int_add(b)),
                        get(a.int_sub(b)),
                        get(a.shl(5)),
                        get(a.shr(5)),
                        get(a.sar(5)),
                        get(a.shr_mantissa()),
                    ];
                    let masks = [
                        truth(a.sign_mask()),
                        truth(a.lt(b).not()),
                        truth(a.lt(b).and(a.sign_mask())),
                        truth(a.lt(b).or(a.unordered(b))),
                    ];
                    let index = a.shr(<$uint>::BITS - 9);
                    let tables = [
                        get(a.lookup::<8>(t8)),
                        get(a.lookup::<16>(t16)),
                        get(a.lookup::<32>(t32)),
                        get(a.lookup(&table)),
                        get(index.gather(&table)),
                    ];
                    for (l, (&x, &y)) in xs.iter().zip(ys).enumerate() {
                        let (p, q) = (x.to_bits(), y.to_bits());
                        let want = [x.abs(), x.sqrt(), x.round_ties_even(), x.floor(), x.trunc(), x.copysign(y)];
                        let want_bits = [
                            p.wrapping_add(q),
                            p.wrapping_sub(q),
                            p << 5,
                            p >> 5,
                            (p as $int >> 5) as $uint,
                            p >> (<$elem>::MANTISSA_DIGITS - 1),
                        ];
                        let negative = x.is_sign_negative();
                        let want_masks = [
                            negative,
                            x.partial_cmp(&y).is_none_or(|o| o.is_ge()),
                            x < y && negative,
                            x < y || x.is_nan() || y.is_nan(),
                        ];
                        let entry = |i: $uint| table[i as usize];
                        let want_tables = [
                            entry(p % 8),
                            entry(p % 16),
                            entry(p % 32),
                            entry(p % 64),
                            entry((p >> (<$uint>::BITS - 9)).min(63)),
                        ];
                        for (i, want) in want.into_iter().enumerate() {
                            same(&format!("result {i}"), x, results[i][l], want);
                        }
                        for (i, want) in want_bits.into_iter().enumerate() {
                            assert_eq!(bits[i][l].to_bits(), want, "bits {i} of {x:e}");
                        }
                        for (i, want) in want_masks.into_iter().enumerate() {
                            same(&format!("mask {i}"), x, masks[i][l], flag(want));
                        }
                        for (i, want) in want_tables.into_iter().enumerate() {
                            same(&format!("table {i}"), x, tables[i][l], want);
                        }
                    }
                    assert_eq!(a.lt(b).any(), xs.iter().zip(ys).any(|(x, y)| x < y));
                    assert_eq!(a.lt(b).all(), xs.iter().zip(ys).all(|(x, y)| x < y));
                }
                for i in [0, 1, 7, 1000, 4_000_000] {
                    assert_eq!(get(V::<I>::splat(isa, int(i)).int_to_float())[0], i as $elem);
                    assert_eq!(get(V::<I>::splat(isa, int(i.wrapping_neg())).int_to_float())[0], -(i as $elem));
                }
            }
        }
    };
}
check!(Lanes32, f32, u32, i32);
check!(Lanes64, f64, u64, i64);

#[test]
fn lanes_compute_what_scalars_do() {
    on_every_tier(|| Lanes32);
    on_every_tier(|| Lanes64);
}

struct Widths;
impl Work for Widths {
    type Out = ();
    fn run<I: Isa>(self, isa: I) {
        let x: [f32; 16] = std::array::from_fn(|i| {
            [1.1, -0.0, f32::MIN_POSITIVE / 3.0, f32::MAX, f32::INFINITY, 3.0e-20][i % 6] * (i + 1) as f32
        });
        let mut wide = [0.0f64; 16];
        let mut back = [0.0f32; 16];
        // SAFETY: no vector of f32 has more than 16 lanes, and none of f64 more than 8.
        unsafe {
            let (low, high) = isa.widen(I::F32::load(isa, x.as_ptr()));
            low.store(wide.as_mut_ptr());
            high.store(wide.as_mut_ptr().add(I::F64::N));
            let third = I::F64::splat(isa, 1.0 / 3.0);
            isa.narrow(low.mul(third), high.mul(third)).store(back.as_mut_ptr());
        }
        for i in 0..I::F32::N {
            assert_eq!(wide[i], f64::from(x[i]));
            assert_eq!(back[i], (f64::from(x[i]) * (1.0 / 3.0)) as f32);
        }
    }
}

#[test]
fn widening_is_exact_and_narrowing_rounds_to_nearest() {
    on_every_tier(|| Widths);
}

/// The value of a half float, as its format defines it. NaN keeps its payload and becomes quiet.
fn half_as_f32(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(bits >> 15) << 31, bits >> 10 & 31, u32::from(bits & 1023));
    let magnitude = match exponent {
        0 => fraction as f32 * 2f32.powi(-24),
        31 if fraction == 0 => f32::INFINITY,
        31 => f32::from_bits(0x7fc0_0000 | fraction << 13),
        _ => (1024 + fraction) as f32 * 2f32.powi(i32::from(exponent) - 25),
    };
    f32::from_bits(magnitude.to_bits() | sign)
}

/// Numbers and the half floats nearest to them: those of all bit patterns, the ties between neighbours and the numbers
/// beside them, and numbers beyond the range.
fn halves() -> Vec<(f32, u16)> {
    let mut v = Vec::new();
    for bits in 0..=0x7c00u16 {
        let x = half_as_f32(bits);
        v.push((x, bits));
        if bits == 0x7c00 {
            continue;
        }
        // The largest number is rounded as if another one followed it.
        let next = if bits == 0x7bff { 65536.0 } else { half_as_f32(bits + 1) };
        let tie = (x + next) / 2.0;
        v.extend([(tie.next_down(), bits), (tie, bits + bits % 2), (tie.next_up(), bits + 1)]);
    }
    v.extend([(f32::MAX, 0x7c00), (1e6, 0x7c00), (f32::MIN_POSITIVE, 0), (f32::from_bits(1), 0)]);
    v.extend((1..1024).map(|fraction| (half_as_f32(0x7c00 | fraction), 0x7e00 | fraction)));
    // The upper bits of a payload are kept. NaN stays NaN if they are zero.
    v.extend([(f32::from_bits(0x7f80_0001), 0x7e00), (f32::from_bits(0x7fbf_ffff), 0x7fff)]);
    let negative: Vec<(f32, u16)> = v.iter().map(|&(x, bits)| (-x, bits | 0x8000)).collect();
    v.extend(negative);
    v
}

/// Converts some of the numbers, in pieces of `.2` numbers, and checks that nothing else is written.
struct Halves<'a>(&'a [u16], &'a [(f32, u16)], usize);
impl Work for Halves<'_> {
    type Out = ();
    fn run<I: Isa>(self, isa: I) {
        let Halves(patterns, numbers, n) = self;
        for piece in patterns.chunks(n) {
            let from: Vec<f16> = piece.iter().map(|&bits| f16::from_bits(bits)).collect();
            let mut to = vec![-7.5f32; piece.len() + 1];
            // SAFETY: both have the elements of the piece.
            unsafe { isa.widen_halves(from.as_ptr(), to.as_mut_ptr(), from.len()) };
            assert_eq!(to[piece.len()], -7.5);
            for (&bits, got) in piece.iter().zip(&to) {
                assert_eq!(got.to_bits(), half_as_f32(bits).to_bits(), "{bits:#x} in a piece of {n}");
            }
        }
        for piece in numbers.chunks(n) {
            let from: Vec<f32> = piece.iter().map(|pair| pair.0).collect();
            let mut to = vec![f16::from_bits(0x1234); piece.len() + 1];
            // SAFETY: as above.
            unsafe { isa.narrow_to_halves(from.as_ptr(), to.as_mut_ptr(), from.len()) };
            assert_eq!(to[piece.len()].to_bits(), 0x1234);
            for (&(x, want), got) in piece.iter().zip(&to) {
                assert_eq!(got.to_bits(), want, "{x:e} ({:#x}) in a piece of {n}", x.to_bits());
            }
        }
    }
}

#[test]
fn half_floats_are_converted_as_their_format_defines() {
    let (patterns, numbers): (Vec<u16>, _) = ((0..=u16::MAX).collect(), halves());
    // Pieces with every tail of every vector, and some of several vectors.
    for n in (1..=34).chain([1000]) {
        on_every_tier(|| Halves(&patterns, &numbers, n));
    }
}
