//! The block sizes of a product, from the cache sizes of this machine.

use std::sync::OnceLock;

/// The bytes of a core's first-level data cache, of its second-level cache, and of the last-level cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Caches {
    pub first: usize,
    pub second: usize,
    pub last: usize,
}

/// The sizes assumed if the CPU does not report its own. Nearly every machine has these.
const USUAL: Caches = Caches { first: 32 << 10, second: 512 << 10, last: 8 << 20 };

/// Returns the cache sizes of this machine.
pub(crate) fn caches() -> Caches {
    static FOUND: OnceLock<Caches> = OnceLock::new();
    *FOUND.get_or_init(|| found().unwrap_or(USUAL))
}

#[cfg(target_arch = "x86_64")]
fn found() -> Option<Caches> {
    use raw_cpuid::CacheType;
    let cpu = raw_cpuid::CpuId::new();
    let of = |level: u8| {
        cpu.get_cache_parameters()?
            .filter(|c| c.level() == level && c.cache_type() != CacheType::Instruction)
            .map(|c| c.sets() * c.associativity() * c.coherency_line_size() * c.physical_line_partitions())
            .max()
    };
    let amd = || {
        let (first, second) = (cpu.get_l1_cache_and_tlb_info()?, cpu.get_l2_l3_cache_and_tlb_info()?);
        Some([
            usize::from(first.dcache_size()) << 10,
            usize::from(second.l2cache_size()) << 10,
            usize::from(second.l3cache_size()) << 19,
        ])
    };
    let [first, second, last] = match (of(1), of(2)) {
        (Some(first), Some(second)) => [first, second, of(3).unwrap_or(second)],
        _ => amd()?,
    };
    let plausible = first >= 8 << 10 && second >= 64 << 10 && last >= second;
    plausible.then_some(Caches { first, second, last })
}

#[cfg(not(target_arch = "x86_64"))]
fn found() -> Option<Caches> {
    None
}

/// The depth, rows and columns of the blocks of one thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Blocks {
    pub kc: usize,
    pub mc: usize,
    pub nc: usize,
}

/// The most columns of a block of B.
const NC: usize = 4096;

impl Blocks {
    /// Returns the blocks of a product `[m, k] @ [k, n]` on one of `threads` threads, for panels of `rows` and
    /// `columns` whose elements of A and of B have so many `bytes`.
    ///
    /// A panel of B is read again for all panels of a block of A, which takes up to half of the second-level cache. A
    /// block of B takes up to half of this thread's share of the last-level cache: see [`packing_bound`].
    pub(crate) fn new(
        caches: Caches,
        [rows, columns]: [usize; 2],
        bytes: [usize; 2],
        [m, n, k]: [usize; 3],
        threads: usize,
    ) -> Blocks {
        let longest = (caches.first * KC_SHARE / 4 / (columns * bytes[1])).clamp(64, 1024);
        Blocks::of_depth(caches, [rows, columns], bytes, [m, n, k], threads, (longest, 8))
    }

    /// Returns the same for panels of at most `longest` steps, in multiples of `unit`.
    pub(crate) fn of_depth(
        caches: Caches,
        [rows, columns]: [usize; 2],
        bytes: [usize; 2],
        [m, n, k]: [usize; 3],
        threads: usize,
        (longest, unit): (usize, usize),
    ) -> Blocks {
        let kc = even(k, longest, unit);
        let mc = even(m, caches.second / 2 / (kc * bytes[0]), rows);
        let nc = even(n, (caches.last / 2 / threads.max(1) / (kc * bytes[1])).min(NC), columns);
        Blocks { kc, mc, nc }
    }
}

/// Implements [`packing_bound`](crate::packing_bound) for the caches of this machine.
pub(crate) fn packing_bound(threads: usize) -> usize {
    bound(caches(), threads)
}

fn bound(Caches { first, second, last }: Caches, threads: usize) -> usize {
    threads * (second / 2 + 8 * first) + last / 2
}

/// Returns the length of the blocks of at most `most` that `total` is split into, a multiple of `unit`. The blocks
/// have about the same length, so that the last one is not much smaller.
pub(crate) fn even(total: usize, most: usize, unit: usize) -> usize {
    let most = (most / unit).max(1) * unit;
    total.div_ceil(total.div_ceil(most).max(1)).div_ceil(unit).max(1) * unit
}

/// The quarters of the first-level cache that a panel of B may take. This is more than the whole cache: panels are
/// read in order and prefetched, and with fewer, longer steps C is accessed less often. Measured on Zen 4.
const KC_SHARE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_are_found_or_usual() {
        let c = caches();
        assert!(c.first >= 8 << 10 && c.second >= c.first && c.last >= c.second, "{c:?}");
    }

    #[test]
    fn blocks_hold_whole_panels_within_their_bounds() {
        let caches = Caches { first: 32 << 10, second: 1 << 20, last: 16 << 20 };
        for [m, n, k] in [[1, 1, 1], [100, 100, 100], [5000, 3, 70], [4096, 4096, 4096], [13, 100_000, 9]] {
            for threads in [1, 2, 16] {
                let b = Blocks::new(caches, [14, 32], [4, 4], [m, n, k], threads);
                assert!(b.kc >= 1 && b.kc < k + 8, "{b:?}");
                assert!(b.mc.is_multiple_of(14) && b.mc < m + 14 && b.nc.is_multiple_of(32) && b.nc < n + 32, "{b:?}");
                assert!(b.mc * b.kc * 4 <= (caches.second / 2).max(14 * b.kc * 4) + 14 * b.kc * 4, "{b:?}");
                assert!(b.nc * b.kc * 4 <= (caches.last / 2 / threads).max(32 * b.kc * 4) + 32 * b.kc * 4, "{b:?}");
                assert!(threads * b.kc * (b.mc + b.nc) * 4 <= bound(caches, threads), "{b:?}");
            }
        }
    }
}
