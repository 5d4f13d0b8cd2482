//! Conversion of elements to unsigned integers in the same order.

use super::{Table, integers, select, sort_keys};
use crate::scratch::Scratch;
use polyarray_core::{Element, Result, bf16, f16};

/// An unsigned integer of the size of an element.
pub(crate) trait Word: Copy + Ord + Default + Send + Sync + 'static {
    /// The integer type in which vectors sort.
    type Wide: Key;
    const MAX: Self;
    fn widen(self) -> Self::Wide;
    fn narrow(wide: Self::Wide) -> Self;
    fn not(self) -> Self;
    /// Sorts on at most `threads` threads.
    ///
    /// # Errors
    /// Out of memory.
    fn sort_words(table: &Table, words: &mut [Self], threads: usize) -> Result<()>;
    /// Sorts each line of `n` words, at most [`short::SHORT`](super::short::SHORT).
    fn sort_lines(table: &Table, words: &mut [Self], n: usize);
}

/// An integer that vectors sort.
pub(crate) trait Key: Word<Wide = Self> {
    fn to_u64(self) -> u64;
    /// Sorts on at most `threads` threads. `spare` has the same length if the tier needs scratch memory.
    fn sort(table: &Table, keys: &mut [Self], spare: &mut [Self], threads: usize);
    /// Returns the passes of a selection.
    fn selection(table: &Table) -> &select::Passes<Self>;
}

macro_rules! word {
    ($($word:ident $wide:ident $sort:expr, $lines:expr;)*) => { $(
        impl Word for $word {
            type Wide = $wide;
            const MAX: Self = $word::MAX;
            #[inline(always)]
            fn widen(self) -> $wide {
                self.into()
            }
            #[inline(always)]
            fn narrow(wide: $wide) -> Self {
                wide as $word
            }
            #[inline(always)]
            fn not(self) -> Self {
                !self
            }
            fn sort_words(table: &Table, words: &mut [Self], threads: usize) -> Result<()> {
                let sort: fn(&Table, &mut [Self], usize) -> Result<()> = $sort;
                sort(table, words, threads)
            }
            fn sort_lines(table: &Table, words: &mut [Self], n: usize) {
                let sort: fn(&Table, &mut [Self], usize) = $lines;
                sort(table, words, n);
            }
        }
    )* };
}
word! {
    u8 u32 |_, words, _| if sort_truths(words, words.len()) {
        Ok(())
    } else if words.len() < FEW {
        words.sort_unstable();
        Ok(())
    } else {
        counting(words, 1 << 8, usize::from, |value| value as u8)
    }, lines8;
    u16 u16 |table, words, threads| if words.len() < FEW {
        words.sort_unstable();
        Ok(())
    } else if words.len() < SOME && (table.has16)() {
        sort_keys(table, words, threads)
    } else if words.len() < SOME_WIDENED {
        widened(table, words, threads)
    } else {
        counting(words, 1 << 16, usize::from, |value| value as u16)
    }, |table, words, n| (table.lines16)(words, n);
    u32 u32 sort_keys::<u32>, |table, words, n| (table.lines32)(words, n);
    u64 u64 sort_keys::<u64>, |table, words, n| (table.lines64)(words, n);
}

/// Below this number, 8-bit and 16-bit integers are sorted by the standard library: counters and conversions would
/// outnumber them by far.
const FEW: usize = 48;
/// From this number on, 16-bit integers are counted: fewer are outnumbered by the counters of all values.
const SOME: usize = 1 << 17;
/// As [`SOME`], on CPUs whose vectors sort 16-bit integers as 32-bit ones.
const SOME_WIDENED: usize = 1 << 13;

/// Sorts lines of `n` words by counting, if all words are the keys of truth values: 0 and 1, or 254 and 255 in
/// descending order. Returns whether they are. Otherwise nothing changes.
pub(super) fn sort_truths(words: &mut [u8], n: usize) -> bool {
    // The sum of as many truth values fits in 8 bits.
    const AT_ONCE: usize = 255;
    let Some(&first) = words.first() else { return true };
    let even = first & !1;
    let are_truths = |some: &[u8]| some.iter().fold(0, |bits, word| bits | (word ^ even)) <= 1;
    if !matches!(even, 0 | 254) || !words.chunks(AT_ONCE).all(are_truths) {
        return false;
    }
    let ones = |some: &[u8]| usize::from(some.iter().fold(0u8, |sum, word| sum + (word & 1)));
    for line in words.chunks_exact_mut(n) {
        let odd: usize = line.chunks(AT_ONCE).map(ones).sum();
        let (low, high) = line.split_at_mut(n - odd);
        low.fill(even);
        high.fill(even | 1);
    }
    true
}

/// Sorts lines of 8-bit integers, as 16-bit ones if vectors sort those.
fn lines8(table: &Table, words: &mut [u8], n: usize) {
    if sort_truths(words, n) {
        return;
    }
    if !(table.has16)() {
        return words.chunks_exact_mut(n).for_each(<[u8]>::sort_unstable);
    }
    let mut wide = [0u16; 512];
    for some in words.chunks_mut(wide.len() / n * n) {
        let wide = &mut wide[..some.len()];
        wide.iter_mut().zip(&*some).for_each(|(wide, word)| *wide = u16::from(*word));
        (table.lines16)(wide, n);
        some.iter_mut().zip(&*wide).for_each(|(word, wide)| *word = *wide as u8);
    }
}

/// Sorts integers as 32-bit ones.
fn widened(table: &Table, words: &mut [u16], threads: usize) -> Result<()> {
    let mut scratch = Scratch::new(words.len() * size_of::<u32>())?;
    let keys = integers::<u32>(&mut scratch, words.len());
    keys.iter_mut().zip(&*words).for_each(|(key, word)| *key = u32::from(*word));
    sort_keys(table, keys, threads)?;
    words.iter_mut().zip(&*keys).for_each(|(word, key)| *word = *key as u16);
    Ok(())
}

/// Counting sort over `values` possible values.
fn counting<W: Word>(words: &mut [W], values: usize, index: fn(W) -> usize, value: fn(usize) -> W) -> Result<()> {
    let mut scratch = Scratch::new(values * size_of::<u64>())?;
    let counts = integers::<u64>(&mut scratch, values);
    counts.fill(0);
    words.iter().for_each(|&word| counts[index(word)] += 1);
    let mut rest = words;
    for (i, &count) in counts.iter().enumerate() {
        let (some, others) = rest.split_at_mut(count as usize);
        some.fill(value(i));
        rest = others;
    }
    Ok(())
}

impl Key for u16 {
    #[inline(always)]
    fn to_u64(self) -> u64 {
        self.into()
    }
    fn sort(table: &Table, keys: &mut [u16], spare: &mut [u16], threads: usize) {
        (table.sort16)(keys, spare, threads);
    }
    fn selection(table: &Table) -> &select::Passes<u16> {
        &table.selection16
    }
}

impl Key for u32 {
    #[inline(always)]
    fn to_u64(self) -> u64 {
        self.into()
    }
    fn sort(table: &Table, keys: &mut [u32], spare: &mut [u32], threads: usize) {
        (table.sort32)(keys, spare, threads);
    }
    fn selection(table: &Table) -> &select::Passes<u32> {
        &table.selection32
    }
}

impl Key for u64 {
    #[inline(always)]
    fn to_u64(self) -> u64 {
        self
    }
    fn sort(table: &Table, keys: &mut [u64], spare: &mut [u64], threads: usize) {
        (table.sort64)(keys, spare, threads);
    }
    fn selection(table: &Table) -> &select::Passes<u64> {
        &table.selection64
    }
}

/// An element that sorts as an integer.
pub(crate) trait Sortable: Element {
    type Word: Word;
    /// Converts the bits of an element to an integer. Larger elements give larger integers, and different bits give
    /// different integers.
    fn encode(bits: Self::Word) -> Self::Word;
    /// The inverse of [`encode`](Self::encode).
    fn decode(key: Self::Word) -> Self::Word;
    /// As [`encode`](Self::encode), but equal elements give equal integers: both zeros, and all NaNs.
    fn rank(bits: Self::Word) -> Self::Word;
}

macro_rules! integers {
    ($($T:ident $word:ident $flip:expr;)*) => { $(
        impl Sortable for $T {
            type Word = $word;
            #[inline(always)]
            fn encode(bits: $word) -> $word {
                bits ^ $flip
            }
            #[inline(always)]
            fn decode(key: $word) -> $word {
                key ^ $flip
            }
            #[inline(always)]
            fn rank(bits: $word) -> $word {
                bits ^ $flip
            }
        }
    )* };
}
integers! {
    bool u8 0;
    u8 u8 0;
    u16 u16 0;
    u32 u32 0;
    u64 u64 0;
    i8 u8 1 << 7;
    i16 u16 1 << 15;
    i32 u32 1 << 31;
    i64 u64 1 << 63;
}

// The bits of a float are sign and magnitude. With the magnitudes of negative floats complemented and the sign flipped,
// the integers have the order NaNs (negative), -infinity .. infinity, NaNs (positive). Subtracting the number of
// negative NaNs moves those to the end by wraparound.
macro_rules! floats {
    ($($T:ident $word:ident $signed:ident $infinity:literal;)*) => { $(
        impl Sortable for $T {
            type Word = $word;
            #[inline(always)]
            fn encode(bits: $word) -> $word {
                const NANS: $word = ($word::MAX >> 1) - $infinity;
                const SIGN: $word = 1 << ($word::BITS - 1);
                let negative = (bits as $signed >> ($word::BITS - 1)) as $word;
                (bits ^ (negative >> 1) ^ SIGN).wrapping_sub(NANS)
            }
            #[inline(always)]
            fn decode(key: $word) -> $word {
                const NANS: $word = ($word::MAX >> 1) - $infinity;
                const SIGN: $word = 1 << ($word::BITS - 1);
                let bits = key.wrapping_add(NANS) ^ SIGN;
                let negative = (bits as $signed >> ($word::BITS - 1)) as $word;
                bits ^ (negative >> 1)
            }
            #[inline(always)]
            fn rank(bits: $word) -> $word {
                const SIGN: $word = 1 << ($word::BITS - 1);
                let key = Self::encode(if bits == SIGN { 0 } else { bits });
                if bits & !SIGN > $infinity { $word::MAX } else { key }
            }
        }
    )* };
}
floats! {
    f16 u16 i16 0x7c00;
    bf16 u16 i16 0x7f80;
    f32 u32 i32 0x7f80_0000;
    f64 u64 i64 0x7ff0_0000_0000_0000;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_in_the_order_of_the_floats_they_stand_for() {
        let ascending = [
            f32::NEG_INFINITY,
            f32::MIN,
            -1.0,
            -1e-45,
            -0.0,
            0.0,
            1e-45,
            1.0,
            f32::MAX,
            f32::INFINITY,
            f32::NAN,
            -f32::NAN,
        ];
        let keys = ascending.map(|x| f32::encode(x.to_bits()));
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        assert_eq!(keys[0], 0);
        for x in ascending {
            assert_eq!(f32::decode(f32::encode(x.to_bits())), x.to_bits());
        }
        assert_eq!(f32::rank((-0.0f32).to_bits()), f32::rank(0));
        assert_eq!(f32::rank(f32::NAN.to_bits()), f32::rank(0xffff_ffff));
        assert!(f32::rank(f32::INFINITY.to_bits()) < f32::rank(f32::NAN.to_bits()));
    }

    #[test]
    fn every_half_comes_back_and_is_in_order() {
        let mut keys: Vec<(u16, u16)> = (0..=u16::MAX).map(|bits| (f16::encode(bits), bits)).collect();
        assert!(keys.iter().all(|&(key, bits)| f16::decode(key) == bits));
        keys.sort_unstable();
        let values: Vec<f16> = keys.iter().map(|&(_, bits)| f16::from_bits(bits)).collect();
        assert!(values.windows(2).all(|w| w[0] <= w[1] || w[1].is_nan()), "NaNs last, the rest ascending");
        let ranks: Vec<u16> = keys.iter().map(|&(_, bits)| f16::rank(bits)).collect();
        assert!(ranks.is_sorted());
        assert!([i8::MIN, -1, 0, 1, i8::MAX].map(|x| i8::encode(x as u8)).is_sorted());
    }
}
