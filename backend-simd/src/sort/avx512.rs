//! AVX-512 vectors of unsigned integers, and the two kernels of a quicksort over them.
//!
//! The partition packs the elements less than the pivot, and the others, in registers and stores full vectors: stores
//! that pack into memory (`vpcompressq m512`) are microcoded on Zen 4. Small segments are sorted in registers. J.
//! Wassenberg et al., "Vectorized and performance-portable quicksort" (2022), and B. Bramas, "A novel hybrid quicksort
//! algorithm vectorized using AVX-512 on Intel Skylake" (2017), describe the scheme.

use super::keys::Word;
use crate::lanes::avx512::Avx512;
use crate::lanes::{Isa, Work};
use std::arch::x86_64::*;

/// A token that proves VBMI2, which packs lanes of 16 bits, beside the features of the tier.
#[derive(Clone, Copy)]
pub(crate) struct Vbmi2(());

impl Vbmi2 {
    /// Returns the token if the CPU has VBMI2.
    pub(crate) fn new(_: Avx512) -> Option<Vbmi2> {
        is_x86_feature_detected!("avx512vbmi2").then_some(Vbmi2(()))
    }
}

/// A vector of unsigned integers. A value of such a type proves the features that its token proves, and the token is
/// one that proves AVX-512.
pub(crate) trait Vector: Copy {
    type Elem: Word;
    type Token: Copy + Send;
    const N: usize;
    fn splat(isa: Self::Token, x: Self::Elem) -> Self;
    /// # Safety
    /// - `from` is valid for reads of a vector.
    unsafe fn load(isa: Self::Token, from: *const Self::Elem) -> Self;
    /// Loads the first `n` (at most N) elements, and the largest integer in place of the others.
    ///
    /// # Safety
    /// - `from` is valid for reads of `n` elements.
    unsafe fn load_first(isa: Self::Token, from: *const Self::Elem, n: usize) -> Self;
    /// # Safety
    /// - `to` is valid for writes of a vector.
    unsafe fn store(self, to: *mut Self::Elem);
    /// Stores the first `n` elements, at most N.
    ///
    /// # Safety
    /// - `to` is valid for writes of `n` elements.
    unsafe fn store_first(self, to: *mut Self::Elem, n: usize);
    fn min(self, o: Self) -> Self;
    fn max(self, o: Self) -> Self;
    /// Returns the minimum in the lanes whose number lacks `bit`, and the maximum in the others.
    fn split(self, o: Self, bit: usize) -> Self;
    /// Returns lane `l ^ d` in lane `l`, for the `d` that merging needs: powers of two and powers of two minus one.
    fn swapped(self, d: usize) -> Self;
    /// Returns a bit mask of the lanes where this is less than `o`.
    fn less(self, o: Self) -> u32;
    /// Returns a bit mask of the lanes where this is less than or equal to `o`.
    fn less_equal(self, o: Self) -> u32;
    /// Moves the lanes whose bits are set to the front.
    fn packed(self, lanes: u32) -> Self;
    /// Interleaves the low (high) halves of each 16 bytes of both vectors, in units of `bytes`.
    fn interleave_low(self, o: Self, bytes: usize) -> Self;
    fn interleave_high(self, o: Self, bytes: usize) -> Self;
    /// Returns the 16-byte blocks `0, 2` (odd: `1, 3`) of self, then those of `o`.
    fn blocks_even(self, o: Self) -> Self;
    fn blocks_odd(self, o: Self) -> Self;
}

macro_rules! vector {
    ($V:ident $elem:ident $token:ident $n:literal $mask:ident: $set1:ident $mask_loadu:ident $mask_storeu:ident
     $min:ident $max:ident $mask_max:ident $less:ident $less_equal:ident $compress:ident) => {
        #[derive(Clone, Copy)]
        pub(crate) struct $V(__m512i);

        impl Vector for $V {
            type Elem = $elem;
            type Token = $token;
            const N: usize = $n;

            #[inline(always)]
            fn splat(_: $token, x: $elem) -> Self {
                // SAFETY: the token exists only on a CPU with AVX-512.
                $V(unsafe { $set1(x as _) })
            }
            #[inline(always)]
            unsafe fn load(_: $token, from: *const $elem) -> Self {
                // SAFETY: the token exists only on a CPU with AVX-512. The caller guarantees a readable vector at
                // `from`.
                $V(unsafe { _mm512_loadu_si512(from.cast()) })
            }
            #[inline(always)]
            unsafe fn load_first(isa: $token, from: *const $elem, n: usize) -> Self {
                let lanes = ((1u64 << n) - 1) as $mask;
                // SAFETY: the token exists only on a CPU with AVX-512. The load accesses only the `n` elements in the
                // mask, which the caller guarantees to be readable.
                $V(unsafe { $mask_loadu(Self::splat(isa, $elem::MAX).0, lanes, from.cast()) })
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $elem) {
                // SAFETY: a vector exists only on a CPU with AVX-512. The caller guarantees room for a vector at `to`.
                unsafe { _mm512_storeu_si512(to.cast(), self.0) }
            }
            #[inline(always)]
            unsafe fn store_first(self, to: *mut $elem, n: usize) {
                // SAFETY: a vector exists only on a CPU with AVX-512. The store accesses only the `n` elements in the
                // mask, which the caller guarantees to be writable.
                unsafe { $mask_storeu(to.cast(), ((1u64 << n) - 1) as $mask, self.0) }
            }
            #[inline(always)]
            fn min(self, o: Self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe { $min(self.0, o.0) })
            }
            #[inline(always)]
            fn max(self, o: Self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe { $max(self.0, o.0) })
            }
            #[inline(always)]
            fn split(self, o: Self, bit: usize) -> Self {
                let lanes: $mask = match bit {
                    1 => 0xaaaa_aaaa_u32 as $mask,
                    2 => 0xcccc_cccc_u32 as $mask,
                    4 => 0xf0f0_f0f0_u32 as $mask,
                    8 => 0xff00_ff00_u32 as $mask,
                    16 => 0xffff_0000_u32 as $mask,
                    _ => unreachable!("a vector has 32 lanes at most"),
                };
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe { $mask_max($min(self.0, o.0), lanes, self.0, o.0) })
            }
            #[inline(always)]
            fn swapped(self, d: usize) -> Self {
                // The match is on the distance in bytes, because moving lanes of 8 bytes is the same as moving pairs of
                // lanes of 4 bytes. An odd distance of lanes of 2 bytes is a swap within each 4 bytes, and the rest.
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe {
                    let bytes = d * (64 / $n);
                    let v = if bytes & 2 != 0 { _mm512_rol_epi32::<16>(self.0) } else { self.0 };
                    match bytes & !2 {
                        0 => v,
                        4 => _mm512_shuffle_epi32::<0b10_11_00_01>(v),
                        8 => _mm512_shuffle_epi32::<0b01_00_11_10>(v),
                        12 => _mm512_shuffle_epi32::<0b00_01_10_11>(v),
                        16 => _mm512_permutex_epi64::<0b01_00_11_10>(v),
                        24 => _mm512_permutex_epi64::<0b00_01_10_11>(v),
                        28 => _mm512_permutex_epi64::<0b01_00_11_10>(_mm512_shuffle_epi32::<0b00_01_10_11>(v)),
                        32 => _mm512_shuffle_i64x2::<0b01_00_11_10>(v, v),
                        56 => _mm512_permutexvar_epi64(_mm512_set_epi64(0, 1, 2, 3, 4, 5, 6, 7), v),
                        60 => _mm512_permutexvar_epi32(
                            _mm512_set_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                            v,
                        ),
                        _ => unreachable!(
                            "internal error: lanes can only be swapped at a distance of a power of two, or one less"
                        ),
                    }
                })
            }
            #[inline(always)]
            fn less(self, o: Self) -> u32 {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                unsafe { $less(self.0, o.0) }.into()
            }
            #[inline(always)]
            fn less_equal(self, o: Self) -> u32 {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                unsafe { $less_equal(self.0, o.0) }.into()
            }
            #[inline(always)]
            fn packed(self, lanes: u32) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe { $compress(lanes as $mask, self.0) })
            }
            #[inline(always)]
            fn interleave_low(self, o: Self, bytes: usize) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe {
                    match bytes {
                        2 => _mm512_unpacklo_epi16(self.0, o.0),
                        4 => _mm512_unpacklo_epi32(self.0, o.0),
                        _ => _mm512_unpacklo_epi64(self.0, o.0),
                    }
                })
            }
            #[inline(always)]
            fn interleave_high(self, o: Self, bytes: usize) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe {
                    match bytes {
                        2 => _mm512_unpackhi_epi16(self.0, o.0),
                        4 => _mm512_unpackhi_epi32(self.0, o.0),
                        _ => _mm512_unpackhi_epi64(self.0, o.0),
                    }
                })
            }
            #[inline(always)]
            fn blocks_even(self, o: Self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe { _mm512_shuffle_i64x2::<0b10_00_10_00>(self.0, o.0) })
            }
            #[inline(always)]
            fn blocks_odd(self, o: Self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe { _mm512_shuffle_i64x2::<0b11_01_11_01>(self.0, o.0) })
            }
        }
    };
}
vector!(U16s u16 Vbmi2 32 __mmask32: _mm512_set1_epi16 _mm512_mask_loadu_epi16 _mm512_mask_storeu_epi16
    _mm512_min_epu16 _mm512_max_epu16 _mm512_mask_max_epu16 _mm512_cmplt_epu16_mask _mm512_cmple_epu16_mask
    _mm512_maskz_compress_epi16);
vector!(U32s u32 Avx512 16 __mmask16: _mm512_set1_epi32 _mm512_mask_loadu_epi32 _mm512_mask_storeu_epi32
    _mm512_min_epu32 _mm512_max_epu32 _mm512_mask_max_epu32 _mm512_cmplt_epu32_mask _mm512_cmple_epu32_mask
    _mm512_maskz_compress_epi32);
vector!(U64s u64 Avx512 8 __mmask8: _mm512_set1_epi64 _mm512_mask_loadu_epi64 _mm512_mask_storeu_epi64
    _mm512_min_epu64 _mm512_max_epu64 _mm512_mask_max_epu64 _mm512_cmplt_epu64_mask _mm512_cmple_epu64_mask
    _mm512_maskz_compress_epi64);

/// The vector type of a key.
pub(crate) trait Vectored: Word {
    type V: Vector<Elem = Self>;
    /// Runs `work` compiled for the features that the token proves.
    fn enter<W: Work>(isa: Token<Self>, work: W) -> W::Out;
}

/// The token of the vectors of a key.
pub(crate) type Token<K> = <<K as Vectored>::V as Vector>::Token;

impl Vectored for u16 {
    type V = U16s;
    #[inline]
    fn enter<W: Work>(_: Vbmi2, work: W) -> W::Out {
        #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vbmi2,avx2,fma")]
        fn inner<W: Work>(work: W) -> W::Out {
            // SAFETY: the features of this function include those of the tier.
            work.run(unsafe { Avx512::assume() })
        }
        // SAFETY: the token exists only on a CPU with the features.
        unsafe { inner(work) }
    }
}
impl Vectored for u32 {
    type V = U32s;
    #[inline]
    fn enter<W: Work>(isa: Avx512, work: W) -> W::Out {
        isa.enter(work)
    }
}
impl Vectored for u64 {
    type V = U64s;
    #[inline]
    fn enter<W: Work>(isa: Avx512, work: W) -> W::Out {
        isa.enter(work)
    }
}

/// Repeats a block for each number. Such a loop is certain to be unrolled; otherwise the rows would go through memory.
macro_rules! each {
    ($i:ident in $($number:literal)*, $block:block) => { $( { let $i: usize = $number; $block } )* };
}

/// Puts the minimum of each lane into `v[i]` and the maximum into `v[j]`.
#[inline(always)]
fn order<V: Vector, const R: usize>(v: &mut [V; R], i: usize, j: usize) {
    (v[i], v[j]) = (v[i].min(v[j]), v[i].max(v[j]));
}

/// Sorts blocks of `rows` rows that are bitonic, in each lane.
#[inline(always)]
fn merge_rows<V: Vector, const R: usize>(v: &mut [V; R], rows: usize) {
    each!(half in 8 4 2 1, {
        if half < rows {
            each!(i in 0 1 2 3 4 5 6 7, {
                if i < R / 2 {
                    let at = i / half * 2 * half + i % half;
                    order(v, at, at + half);
                }
            });
        }
    });
}

/// Sorts each lane by merging blocks of one row, two rows, and so on. The second block of each merge is mirrored.
#[inline(always)]
fn sort_columns<V: Vector, const R: usize>(v: &mut [V; R]) {
    each!(half in 1 2 4 8, {
        if half < R {
            each!(i in 0 1 2 3 4 5 6 7, {
                if i < R / 2 {
                    let (block, within) = (i / half * 2 * half, i % half);
                    order(v, block + within, block + 2 * half - 1 - within);
                }
            });
            merge_rows(v, half);
        }
    });
}

/// Merges neighbouring groups of `lanes` lanes. Each group is sorted in the order of its lanes, and of the rows within
/// a lane. This is a bitonic merge whose steps across lanes are swaps.
#[inline(always)]
fn merge_lanes<V: Vector, const R: usize>(v: &mut [V; R], lanes: usize) {
    if R == 1 {
        v[0] = v[0].split(v[0].swapped(2 * lanes - 1), lanes);
    }
    each!(i in 0 1 2 3 4 5 6 7, {
        if i < R / 2 {
            let (a, b) = (v[i], v[R - 1 - i]);
            v[i] = a.split(b.swapped(2 * lanes - 1), lanes);
            v[R - 1 - i] = b.split(a.swapped(2 * lanes - 1), lanes);
        }
    });
    each!(distance in 8 4 2 1, {
        if distance < lanes {
            each!(i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15, {
                if i < R {
                    v[i] = v[i].split(v[i].swapped(distance), distance);
                }
            });
        }
    });
    merge_rows(v, R);
}

/// Sorts all elements. The result is in the order of lanes, and of rows within a lane.
#[inline(always)]
fn sort_matrix<V: Vector, const R: usize>(v: &mut [V; R]) {
    sort_columns(v);
    merge_lanes(v, 1);
    merge_lanes(v, 2);
    merge_lanes(v, 4);
    if V::N >= 16 {
        merge_lanes(v, 8);
    }
    if V::N >= 32 {
        merge_lanes(v, 16);
    }
}

/// Transposes the 4 x 4 blocks of 16 bytes in four vectors.
#[inline(always)]
fn transpose_blocks<V: Vector>(v: [V; 4]) -> [V; 4] {
    let (a, b) = (v[0].blocks_even(v[1]), v[2].blocks_even(v[3]));
    let (c, d) = (v[0].blocks_odd(v[1]), v[2].blocks_odd(v[3]));
    [a.blocks_even(b), c.blocks_even(d), a.blocks_odd(b), c.blocks_odd(d)]
}

/// Stores the part before `n` of a vector at offset `at`.
///
/// # Safety
/// - `to` is valid for writes of `n` elements.
#[inline(always)]
unsafe fn store_before<V: Vector>(v: V, to: *mut V::Elem, at: usize, n: usize) {
    // SAFETY: only elements before `n` are written, for which the caller guarantees `to`.
    unsafe {
        if at + V::N <= n {
            v.store(to.add(at));
        } else if at < n {
            v.store_first(to.add(at), n - at);
        }
    }
}

/// Stores the first `n` elements, lane after lane: the transpose of the rows.
///
/// # Safety
/// - `to` is valid for writes of `n` elements.
#[inline(always)]
unsafe fn store_lanes<V: Vector, const R: usize>(v: &[V; R], to: *mut V::Elem, n: usize) {
    // Written out, because a loop is not unrolled, and the rows then go through memory.
    // SAFETY: `to` is valid for writes of `n` elements, which the caller guarantees.
    unsafe {
        store_group::<V, R, 0>(v, to, n);
        if R > 4 {
            store_group::<V, R, 1>(v, to, n);
        }
        if R > 8 {
            store_group::<V, R, 2>(v, to, n);
            store_group::<V, R, 3>(v, to, n);
        }
    }
}

/// Returns the `t`-th pieces of four lanes, in the order of lanes, and of rows within a lane.
#[inline(always)]
fn piece<V: Vector, const R: usize>(v: &[V; R], t: usize) -> V {
    let rows = V::N / 4;
    let (lane, row) = (t / (R / rows), t % (R / rows) * rows);
    if rows == 2 {
        interleave(v[row], v[row + 1], 8, lane == 1)
    } else if rows == 4 {
        four_rows(v, row, 4, lane)
    } else {
        let (a, b) = (four_rows(v, row, 2, lane / 2), four_rows(v, row + 4, 2, lane / 2));
        interleave(a, b, 8, lane % 2 == 1)
    }
}

/// Returns the piece of four rows of lanes of `bytes` bytes that has lane `lane` (of 4 bytes), or the lanes `2 * lane`
/// and `2 * lane + 1` (of 2 bytes), of each 16 bytes.
#[inline(always)]
fn four_rows<V: Vector, const R: usize>(v: &[V; R], row: usize, bytes: usize, lane: usize) -> V {
    let (a, b) =
        (interleave(v[row], v[row + 1], bytes, lane >= 2), interleave(v[row + 2], v[row + 3], bytes, lane >= 2));
    interleave(a, b, 2 * bytes, lane % 2 == 1)
}

#[inline(always)]
fn interleave<V: Vector>(a: V, b: V, bytes: usize, high: bool) -> V {
    if high { a.interleave_high(b, bytes) } else { a.interleave_low(b, bytes) }
}

/// Stores four vectors of the transpose. A piece is the 16 bytes of Q consecutive rows of a lane, with Q = `V::N / 4`.
/// Block b of a vector of pieces belongs to one of the lanes from `b Q` on.
///
/// # Safety
/// - `to` is valid for writes of `n` elements.
#[inline(always)]
unsafe fn store_group<V: Vector, const R: usize, const G: usize>(v: &[V; R], to: *mut V::Elem, n: usize) {
    let rows = V::N / 4;
    let out = transpose_blocks([piece(v, 4 * G), piece(v, 4 * G + 1), piece(v, 4 * G + 2), piece(v, 4 * G + 3)]);
    // SAFETY: `to` is valid for writes of `n` elements, which the caller guarantees.
    unsafe {
        store_before(out[0], to, G * V::N, n);
        store_before(out[1], to, rows * R + G * V::N, n);
        store_before(out[2], to, 2 * rows * R + G * V::N, n);
        store_before(out[3], to, 3 * rows * R + G * V::N, n);
    }
}

/// Sorts `n` elements, at most `R` vectors, from `from` to `to`, which may be the same.
///
/// # Safety
/// - `from` is valid for reads and `to` for writes of `n` elements.
#[inline(always)]
unsafe fn sort_small<V: Vector, const R: usize>(isa: V::Token, from: *const V::Elem, to: *mut V::Elem, n: usize) {
    let mut v = [V::splat(isa, V::Elem::MAX); R];
    each!(i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15, {
        let at = i * V::N;
        if i < R && at < n {
            // SAFETY: only elements before `n` are read, for which the caller guarantees `from`.
            v[i] = unsafe {
                if at + V::N <= n { V::load(isa, from.add(at)) } else { V::load_first(isa, from.add(at), n - at) }
            };
        }
    });
    sort_matrix(&mut v);
    // SAFETY: `to` is valid for writes of `n` elements, which the caller guarantees. A single row is in order without a
    // transpose.
    unsafe { if R == 1 { store_before(v[0], to, 0, n) } else { store_lanes(&v, to, n) } }
}

/// The largest number of elements that [`sort_leaf`] sorts.
pub(crate) const fn leaf<K: Vectored>() -> usize {
    16 * (64 / size_of::<K>())
}

/// Sorts each line of `n` elements.
///
/// # Panics
/// If `n` is 0 or more than [`leaf`].
pub(crate) fn sort_lines<K: Vectored>(isa: Token<K>, keys: &mut [K], n: usize) {
    assert!((1..=leaf::<K>()).contains(&n));
    let (at, count) = (keys.as_mut_ptr(), keys.len() / n);
    K::enter(isa, Leaves { isa, from: at, to: at, n, count });
}

/// Sorts `n` elements, at most [`leaf`], from `from` to `to`.
///
/// # Safety
/// - `from` is valid for reads and `to` for writes of `n` elements. They are the same or do not overlap.
pub(crate) unsafe fn sort_leaf<K: Vectored>(isa: Token<K>, from: *const K, to: *mut K, n: usize) {
    K::enter(isa, Leaves { isa, from, to, n, count: 1 });
}

/// Sorts `count` lines of `n` elements, at most [`leaf`], from `from` on to `to`.
///
/// Invariant: `from` is valid for reads and `to` for writes of all elements. They are the same or do not overlap.
struct Leaves<K: Vectored> {
    isa: Token<K>,
    from: *const K,
    to: *mut K,
    n: usize,
    count: usize,
}

impl<K: Vectored> Work for Leaves<K> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Leaves { isa, from, to, n, count } = self;
        for i in 0..count {
            // SAFETY: `from` and `to` are valid for `n` elements of `count` lines (the invariant).
            unsafe {
                let (from, to) = (from.add(i * n), to.add(i * n));
                if n <= K::V::N {
                    sort_small::<K::V, 1>(isa, from, to, n);
                } else if n <= 4 * K::V::N && K::V::N <= 16 {
                    // Four rows of 16-bit lanes are not transposed in units of 16 bytes.
                    sort_small::<K::V, 4>(isa, from, to, n);
                } else if n <= 8 * K::V::N {
                    sort_small::<K::V, 8>(isa, from, to, n);
                } else {
                    sort_small::<K::V, 16>(isa, from, to, n);
                }
            }
        }
    }
}

/// The condition for low elements.
#[derive(Clone, Copy)]
pub(crate) enum Low<K> {
    Less(K),
    LessEqual(K),
}

/// Partitions the `n` elements at `at` and keeps their order. Either the low elements or the others stay at the front
/// of `at`, and the rest goes to the front of `other`. Returns the number of low elements.
///
/// # Safety
/// - Both are valid for reads and writes of `n` elements, and they do not overlap.
pub(crate) unsafe fn partition<K: Vectored>(
    isa: Token<K>,
    at: *mut K,
    n: usize,
    other: *mut K,
    low: Low<K>,
    low_stay: bool,
) -> usize {
    struct Parting<K: Vectored>(Token<K>, *mut K, usize, *mut K, Low<K>, bool);
    impl<K: Vectored> Work for Parting<K> {
        type Out = usize;
        #[inline(always)]
        fn run<I: Isa>(self, _: I) -> usize {
            let Parting(isa, at, n, other, low, low_stay) = self;
            // SAFETY: `at` and `other` are valid for `n` elements and do not overlap, which the caller of `partition`
            // guarantees.
            let stayed = unsafe {
                match low {
                    Low::Less(pivot) => part(isa, at, n, other, Less(K::V::splat(isa, pivot)), low_stay),
                    Low::LessEqual(pivot) => part(isa, at, n, other, LessEqual(K::V::splat(isa, pivot)), low_stay),
                }
            };
            if low_stay { stayed } else { n - stayed }
        }
    }
    K::enter(isa, Parting(isa, at, n, other, low, low_stay))
}

/// Returns a mask of the low lanes. A trait rather than a closure, because inlining of a closure cannot be enforced.
trait IsLow<V> {
    fn lanes(&self, v: V) -> u32;
}
struct Less<V>(V);
struct LessEqual<V>(V);
impl<V: Vector> IsLow<V> for Less<V> {
    #[inline(always)]
    fn lanes(&self, v: V) -> u32 {
        v.less(self.0)
    }
}
impl<V: Vector> IsLow<V> for LessEqual<V> {
    #[inline(always)]
    fn lanes(&self, v: V) -> u32 {
        v.less_equal(self.0)
    }
}

/// Partitions and returns the number of elements that stay.
///
/// # Safety
/// - `at` and `other` are valid for reads and writes of `n` elements, and they do not overlap.
#[inline(always)]
unsafe fn part<V: Vector>(
    isa: V::Token,
    at: *mut V::Elem,
    n: usize,
    other: *mut V::Elem,
    low: impl IsLow<V>,
    low_stay: bool,
) -> usize {
    let all = ((1u64 << V::N) - 1) as u32;
    let flip = if low_stay { 0 } else { all };
    let (mut stayed, mut read) = (0, 0);
    while read + 4 * V::N <= n {
        // All four vectors are read before any is written, because the elements that stay overwrite elements already
        // read.
        // SAFETY: all four vectors lie before n, for which the caller guarantees `at`.
        let v = unsafe {
            let from = at.add(read);
            [
                V::load(isa, from),
                V::load(isa, from.add(V::N)),
                V::load(isa, from.add(2 * V::N)),
                V::load(isa, from.add(3 * V::N)),
            ]
        };
        each!(i in 0 1 2 3, {
            let staying = low.lanes(v[i]) ^ flip;
            let moved = read + i * V::N - stayed;
            // SAFETY: no more elements are written to either side than were read, so full vectors end before n. In `at`
            // they overwrite only elements already read.
            unsafe {
                v[i].packed(staying).store(at.add(stayed));
                v[i].packed(staying ^ all).store(other.add(moved));
            }
            stayed += staying.count_ones() as usize;
        });
        read += 4 * V::N;
    }
    while read < n {
        let count = V::N.min(n - read);
        // SAFETY: the elements lie before n, and no more are stored than were read. The caller guarantees both sides
        // for n elements.
        unsafe {
            let v = V::load_first(isa, at.add(read), count);
            let there = ((1u64 << count) - 1) as u32;
            let staying = (low.lanes(v) ^ flip) & there;
            let moving = staying ^ there;
            v.packed(moving).store_first(other.add(read - stayed), moving.count_ones() as usize);
            v.packed(staying).store_first(at.add(stayed), staying.count_ones() as usize);
            stayed += staying.count_ones() as usize;
        }
        read += count;
    }
    stayed
}
