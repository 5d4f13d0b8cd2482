//! The generator Philox 4x32-10 (J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as
//! easy as 1, 2, 3", SC 2011): a bijection of 128-bit counters for each 64-bit key.

/// The multipliers of a round.
const MULTIPLIERS: [u64; 2] = [0xd251_1f53, 0xcd9e_8d57];
/// The numbers by which the words of the key grow from one round to the next.
const STEPS: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: u32 = 10;
const LOW: u64 = u32::MAX as u64;

/// The use of a counter, in its last word, so that the uses have no counter in common.
#[derive(Clone, Copy)]
pub(super) enum Use {
    /// The words of the stream: the first two words of the counter are the number of the block.
    Words = 0,
    /// The stream of one element: the first two words are the position of the element, the third one counts blocks.
    Element = 1,
    /// The keys that `split` makes: the first two words are the position.
    Split = 2,
    /// The keys that `stream` makes: the first two words are the number of the stream.
    Streams = 3,
}

/// Returns the 64-bit halves of the block of a counter. Each number holds a word of the counter in its low 32 bits and
/// anything above, because vectors multiply the low halves of 64-bit lanes.
#[inline(always)]
fn encrypt(key: [u32; 2], counter: [u64; 4]) -> [u64; 2] {
    let [mut a, mut b, mut c, mut d] = counter;
    for round in 0..ROUNDS {
        let keys = [0, 1].map(|i| u64::from(key[i].wrapping_add(STEPS[i].wrapping_mul(round))));
        let (first, second) = (MULTIPLIERS[0] * (a & LOW), MULTIPLIERS[1] * (c & LOW));
        (a, b, c, d) = ((second >> 32) ^ b ^ keys[0], second, (first >> 32) ^ d ^ keys[1], first);
    }
    [(a & LOW) | (b << 32), (c & LOW) | (d << 32)]
}

/// Returns the block of a key and a counter. (The key's and the counter's words are in the order of the paper, the
/// least significant first.)
///
/// ```
/// use polyarray_core::random::elements::philox;
/// assert_eq!(philox([0; 2], [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
/// ```
pub fn philox(key: [u32; 2], counter: [u32; 4]) -> [u32; 4] {
    let [low, high] = encrypt(key, counter.map(u64::from));
    [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32]
}

/// Returns block `number` of the words of a stream: words `4 * number` to `4 * number + 3`, two in each number, the
/// first in the low bits. Only the low 62 bits of `number` count, so that a stream has 2^64 words.
#[inline(always)]
pub fn block(key: [u32; 2], number: u64) -> [u64; 2] {
    let number = number & (u64::MAX >> 2);
    encrypt(key, [number, number >> 32, 0, Use::Words as u64])
}

/// Returns the key that is derived from another key for a use and a number.
pub(super) fn derived(key: [u32; 2], of: Use, number: u64) -> [u32; 2] {
    let [low, _] = encrypt(key, [number, number >> 32, 0, of as u64]);
    [low as u32, (low >> 32) as u32]
}

/// The words of a stream that an element takes.
pub trait Word: Copy + Default + PartialEq + std::ops::BitOr<Output = Self> {
    /// The number of 32-bit words.
    const WORDS: u64;

    /// Returns the words at a position of the stream.
    fn at(key: [u32; 2], position: u64) -> Self;

    /// Returns the words whose bytes, in little-endian order, these are. Ignores bytes that do not fill a word.
    fn all(bytes: &[u8]) -> impl Iterator<Item = Self>;
}

impl Word for u32 {
    const WORDS: u64 = 1;

    fn at(key: [u32; 2], position: u64) -> u32 {
        let half = block(key, position / 4)[(position / 2 % 2) as usize];
        (half >> (32 * (position % 2))) as u32
    }

    #[inline(always)]
    fn all(bytes: &[u8]) -> impl Iterator<Item = u32> {
        bytes.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b))
    }
}

impl Word for u64 {
    const WORDS: u64 = 2;

    fn at(key: [u32; 2], position: u64) -> u64 {
        u64::from(u32::at(key, position)) | u64::from(u32::at(key, position.wrapping_add(1))) << 32
    }

    #[inline(always)]
    fn all(bytes: &[u8]) -> impl Iterator<Item = u64> {
        bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b))
    }
}

/// Returns the first block of the stream of the element at a position.
#[inline(always)]
pub fn element_block(key: [u32; 2], position: u64) -> [u64; 2] {
    encrypt(key, [position, position >> 32, 0, Use::Element as u64])
}

/// The stream of one element: numbers for an element whose distribution needs more of them than a fixed number. It
/// depends only on the key and on the position of the element.
pub struct ElementStream {
    key: [u32; 2],
    position: u64,
    /// The number of the next block.
    next: u32,
    /// The last block, of which the last `left` numbers have not been returned.
    block: [u64; 2],
    left: u8,
}

impl ElementStream {
    /// Returns the stream of the element at a position of a stream.
    #[inline]
    pub fn new(key: [u32; 2], position: u64) -> ElementStream {
        ElementStream { key, position, next: 0, block: [0; 2], left: 0 }
    }

    /// As [`new`](Self::new), given the result of [`element_block`] for the same key and position: vectors compute many
    /// of them at once.
    #[inline]
    pub fn begun(key: [u32; 2], position: u64, first: [u64; 2]) -> ElementStream {
        ElementStream { key, position, next: 1, block: first, left: 2 }
    }

    /// Returns the next 64 bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        if self.left == 0 {
            self.advance();
        }
        self.left -= 1;
        self.block[1 - usize::from(self.left)]
    }

    /// Computes the next block.
    #[inline(never)]
    fn advance(&mut self) {
        let counter = [self.position, self.position >> 32, u64::from(self.next), Use::Element as u64];
        (self.block, self.left) = (encrypt(self.key, counter), 2);
        self.next = self.next.wrapping_add(1);
    }

    /// Returns a number from 0 to less than 1: the upper 53 of the next 64 bits.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (0.5 / (1u64 << 52) as f64)
    }

    /// Returns a number greater than 0, at most 1.
    #[inline]
    pub fn positive(&mut self) -> f64 {
        ElementStream::positive_of(self.bits())
    }

    /// Returns the number of [`positive`](Self::positive) for 64 bits.
    #[inline(always)]
    pub(super) fn positive_of(bits: u64) -> f64 {
        1.0 - (bits >> 11) as f64 * (0.5 / (1u64 << 52) as f64)
    }

    /// Returns a number below `count` (0 stands for 2^64), all of which are equally probable.
    pub fn below(&mut self, count: u64) -> u64 {
        loop {
            if let Some(number) = scaled(self.bits(), count) {
                return number;
            }
        }
    }
}

/// Maps 64 random bits to a number below `count` (0 stands for 2^64): the upper half of their product. Returns `None`
/// for the few bits that would make some numbers more probable than others (D. Lemire, "Fast random integer generation
/// in an interval", ACM Trans. Model. Comput. Simul. 29, 2019).
#[inline]
pub(super) fn scaled(bits: u64, count: u64) -> Option<u64> {
    if count == 0 {
        return Some(bits);
    }
    let product = u128::from(bits) * u128::from(count);
    // The division is needed only where the lower half may be below its remainder, which is less than `count`.
    let kept = product as u64 >= count || product as u64 >= count.wrapping_neg() % count;
    kept.then_some((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors for Philox 4x32-10 in the file `kat_vectors` of Random123, the authors' implementation.
    #[test]
    fn blocks_are_those_of_the_authors() {
        let cases = [
            ([0; 2], [0; 4], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 2], [u32::MAX; 4], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0xa409_3822, 0x299f_31d0],
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (key, counter, expected) in cases {
            assert_eq!(philox(key, counter), expected);
        }
    }

    #[test]
    fn words_follow_each_other_in_blocks() {
        let key = [7, 8];
        let words: Vec<u32> = (0..4).flat_map(|i| philox(key, [i, 0, 0, 0])).collect();
        let bytes: Vec<u8> = (0..4).flat_map(|i| block(key, i)).flat_map(u64::to_le_bytes).collect();
        assert_eq!(u32::all(&bytes).collect::<Vec<_>>(), words);
        assert_eq!((0..16).map(|i| u32::at(key, i)).collect::<Vec<_>>(), words);
        for (i, pair) in words.windows(2).enumerate() {
            assert_eq!(u64::at(key, i as u64), u64::from(pair[0]) | u64::from(pair[1]) << 32);
        }
        // The stream repeats after 2^64 words.
        let [last, first] = [u64::MAX, 0].map(|at| u64::from(u32::at(key, at)));
        assert_eq!(u64::at(key, u64::MAX), last | first << 32);
        assert_eq!(philox(key, [u32::MAX, u32::MAX >> 2, 0, 0])[3], last as u32);
    }

    #[test]
    fn the_stream_of_an_element_has_counters_of_its_own() {
        let mut stream = ElementStream::new([3, 4], 5 << 32 | 6);
        for next in 0..3 {
            let block = philox([3, 4], [6, 5, next, 1]);
            for half in block.chunks(2) {
                assert_eq!(stream.bits(), u64::from(half[0]) | u64::from(half[1]) << 32);
            }
        }
        let (key, position) = ([3, 4], 5 << 32 | 6);
        let mut begun = ElementStream::begun(key, position, element_block(key, position));
        let mut stream = ElementStream::new(key, position);
        assert!((0..5).all(|_| begun.bits() == stream.bits()));
        assert_eq!(derived([3, 4], Use::Split, 9), philox([3, 4], [9, 0, 0, 2])[..2]);
        assert_eq!(derived([3, 4], Use::Streams, 9 << 32), philox([3, 4], [0, 9, 0, 3])[..2]);
    }

    #[test]
    fn scaled_bits_are_equally_probable() {
        let count = 3u64 << 62;
        assert_eq!(scaled(0, count), None);
        assert_eq!(scaled(u64::MAX, count), Some(count - 1));
        assert_eq!(scaled(u64::MAX, 0), Some(u64::MAX));
        assert_eq!(scaled(0, 1 << 40), Some(0), "no bits are dropped for a power of two");
        assert_eq!((0..100).filter(|&i| scaled(u64::MAX / 100 * i, 10) == Some(3)).count(), 10);
    }
}
