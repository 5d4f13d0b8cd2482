//! Compares sorting of keys with the standard library, on every tier that this CPU has.

use super::*;
use crate::tier::Token;
use polyarray_core::Dims;
use polyarray_core::op::Operand;
use select::below;

/// Calls `f` for each tier.
fn on_every_tier(mut f: impl FnMut(&dyn Tested, &str)) {
    for name in crate::tier::NAMES {
        f(&table(Token::best(Some(name)).expect("a tier's name")), name);
    }
}

/// Returns the table of sorts of a tier, without its other kernels, which would take minutes to compile.
fn table(token: Token) -> &'static Table {
    fn of<I: Sorter>(_: I) -> &'static Table {
        // SAFETY: the argument is a token: it exists only on a CPU with the features of the tier.
        const { &unsafe { Table::of::<I>() } }
    }
    match token {
        Token::Portable(isa) => of(isa),
        #[cfg(target_arch = "x86_64")]
        Token::Avx2(isa) => of(isa),
        #[cfg(target_arch = "x86_64")]
        Token::Avx512(isa) => of(isa),
    }
}

/// The tested functions of a tier.
trait Tested {
    fn sort16(&self, keys: &mut [u16], threads: usize);
    fn sort32(&self, keys: &mut [u32], threads: usize);
    fn sort64(&self, keys: &mut [u64], threads: usize);
    fn ranks(&self, keys: &[u64], take: std::ops::Range<usize>, threads: usize) -> Vec<u64>;
    fn ranks16(&self, keys: &[u16], take: std::ops::Range<usize>, threads: usize) -> Vec<u16>;
    fn argsort(&self, x: &[i64], threads: usize) -> Vec<i64>;
}

impl Tested for &'static Table {
    fn sort16(&self, keys: &mut [u16], threads: usize) {
        sort_keys(self, keys, threads).unwrap();
    }
    fn sort32(&self, keys: &mut [u32], threads: usize) {
        sort_keys(self, keys, threads).unwrap();
    }
    fn sort64(&self, keys: &mut [u64], threads: usize) {
        sort_keys(self, keys, threads).unwrap();
    }
    fn ranks(&self, keys: &[u64], take: std::ops::Range<usize>, threads: usize) -> Vec<u64> {
        let mut out = vec![0; take.len()];
        select::ranks(self, keys, take, &mut out, threads).unwrap();
        out
    }
    fn ranks16(&self, keys: &[u16], take: std::ops::Range<usize>, threads: usize) -> Vec<u16> {
        let mut out = vec![0; take.len()];
        select::ranks(self, keys, take, &mut out, threads).unwrap();
        out
    }
    fn argsort(&self, x: &[i64], threads: usize) -> Vec<i64> {
        let (buffer, out) = (Buffer::adopt(x.to_vec()), Buffer::adopt(vec![0i64; x.len()]));
        let input = Operand { buffer, dtype: DType::I64, offset: 0, strides: [1].as_slice().into() };
        let op = Sort {
            dtype: DType::I64,
            lines: Dims::new(),
            n: x.len(),
            input,
            give: Give::Indices,
            descending: false,
            take: 0..x.len(),
        };
        run(self, &op, threads, &out).unwrap();
        let out = out.host_ptr().expect("host memory").cast::<i64>().as_ptr();
        // SAFETY: the buffer has this number of elements.
        unsafe { std::slice::from_raw_parts(out, x.len()) }.to_vec()
    }
}

/// Returns numbers with several distributions.
fn spreads(n: usize) -> Vec<Vec<u64>> {
    let mut random = 0x9e37_79b9_7f4a_7c15;
    let mut one =
        |below_what: u64| (0..n).map(|_| below(&mut random, usize::MAX) as u64 % below_what).collect::<Vec<u64>>();
    let mut out = vec![one(u64::MAX), one(1), one(2), one(5), one(1 << 20)];
    let mut ascending = out[0].clone();
    ascending.sort_unstable();
    let descending: Vec<u64> = ascending.iter().rev().copied().collect();
    let pipe: Vec<u64> = ascending.iter().step_by(2).chain(descending.iter().step_by(2)).copied().take(n).collect();
    let largest: Vec<u64> = out[2].iter().map(|x| x.wrapping_sub(1)).collect();
    out.extend([ascending, descending, pipe, largest]);
    out
}

#[test]
fn keys_sort_as_the_standard_library_has_them() {
    on_every_tier(|tier, name| {
        for n in (0..=270).chain([300, 479, 511, 512, 513, 1000, 3001, 17_000, 40_000]) {
            for (i, keys) in spreads(n).into_iter().enumerate() {
                let mut want = keys.clone();
                want.sort_unstable();
                let mut narrow: Vec<u32> = keys.iter().map(|&k| (k ^ k >> 32) as u32).collect();
                let mut narrow_want = narrow.clone();
                narrow_want.sort_unstable();
                let threads = 1 + n % 3;
                let mut got = keys;
                tier.sort64(&mut got, threads);
                assert!(got == want, "{name}: spread {i} of {n}");
                tier.sort32(&mut narrow, threads);
                assert!(narrow == narrow_want, "{name}: spread {i} of {n}, u32");
                let mut words: Vec<u16> = narrow_want.iter().rev().map(|&k| (k ^ k >> 16) as u16).collect();
                let mut words_want = words.clone();
                words_want.sort_unstable();
                tier.sort16(&mut words, threads);
                assert!(words == words_want, "{name}: spread {i} of {n}, u16");
            }
        }
    });
}

#[test]
fn short_lines_sort_as_the_standard_library_has_them() {
    fn check<W: Word + std::fmt::Debug>(table: &Table, name: &str, n: usize, numbers: &[u64], word: fn(u64) -> W) {
        let mut words: Vec<W> = numbers.iter().map(|&x| word(x)).collect();
        let mut want = words.clone();
        want.chunks_exact_mut(n).for_each(<[W]>::sort_unstable);
        W::sort_lines(table, &mut words, n);
        assert_eq!(words, want, "{name}: lines of {n} words of {} bytes", size_of::<W>());
    }
    for name in crate::tier::NAMES {
        let table = table(Token::best(Some(name)).expect("a tier's name"));
        for n in 1..=short::SHORT {
            let numbers = spreads(n * 5).concat();
            check::<u8>(table, name, n, &numbers, |x| x as u8);
            check::<u16>(table, name, n, &numbers, |x| x as u16);
            check::<u32>(table, name, n, &numbers, |x| x as u32);
            check::<u64>(table, name, n, &numbers, |x| x);
        }
    }
}

#[test]
fn ranks_are_those_of_the_sorted_keys() {
    on_every_tier(|tier, name| {
        for n in [1, 10, 2049, 5000, 100_000] {
            for (i, keys) in spreads(n).into_iter().enumerate() {
                let mut sorted = keys.clone();
                sorted.sort_unstable();
                let words: Vec<u16> = keys.iter().map(|&k| (k ^ k >> 16) as u16).collect();
                let mut sorted_words = words.clone();
                sorted_words.sort_unstable();
                for take in
                    [0..1, n - 1..n, n / 2..n / 2 + 1, n / 3..(n / 3 + 2).min(n), 0..n, n / 10..n / 5 + 1, 0..n.min(10)]
                {
                    for threads in [1, 3] {
                        assert_eq!(
                            tier.ranks(&keys, take.clone(), threads),
                            sorted[take.clone()],
                            "{name}: ranks {take:?} of spread {i} of {n}"
                        );
                        assert_eq!(
                            tier.ranks16(&words, take.clone(), threads),
                            sorted_words[take.clone()],
                            "{name}: ranks {take:?} of spread {i} of {n}, u16"
                        );
                    }
                }
            }
        }
    });
}

/// A second sort distinguishes keys that agree in all bits that fit beside an index, in short runs and in long ones.
#[test]
fn indices_of_keys_that_differ_in_their_lowest_bits_are_right() {
    on_every_tier(|tier, name| {
        for n in [30, 3000, 70_000] {
            let mut random = 7;
            for groups in [1, 3, n / 10, n / 2] {
                let mut x: Vec<i64> = (0..n)
                    .map(|_| ((below(&mut random, groups) as i64) << 40) + below(&mut random, 200) as i64)
                    .collect();
                x[n / 2] = i64::MIN;
                x[n / 3] = i64::MAX;
                let mut want: Vec<i64> = (0..n as i64).collect();
                want.sort_by_key(|&i| x[i as usize]);
                for threads in [1, 2] {
                    assert!(tier.argsort(&x, threads) == want, "{name}: {groups} groups of {n}");
                }
            }
        }
    });
}

#[test]
fn truth_values_are_sorted_by_counting() {
    let mut random = 3;
    for n in [1, 2, 7, 63, 254, 255, 256, 511, 1000] {
        for even in [0u8, 254] {
            for (lines, ones) in [(1, 2), (3, 2), (2, 1), (3, n)] {
                let mut words: Vec<u8> =
                    (0..lines * n).map(|_| even | u8::from(below(&mut random, ones) == 0)).collect();
                let mut want = words.clone();
                want.chunks_mut(n).for_each(<[u8]>::sort_unstable);
                assert!(keys::sort_truths(&mut words, n));
                assert!(words == want, "{lines} lines of {n}, from {even}");
            }
            // Any other value among them, at any place, is left to the other sorts.
            for other in [2, 128, 253, even ^ 255, even ^ 254] {
                for at in [0, n / 2, n - 1] {
                    let mut words = vec![even | 1; n];
                    words[at] = other;
                    let before = words.clone();
                    assert!(n == 1 && other & !1 == even ^ 254 || !keys::sort_truths(&mut words, n), "{other} at {at}");
                    assert!(words == before, "{other} at {at} of {n}");
                }
            }
        }
    }
    assert!(keys::sort_truths(&mut [], 0));
}
