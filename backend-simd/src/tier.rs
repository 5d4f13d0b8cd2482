//! The instruction sets that this CPU supports, the choice among them, and the table of kernels of each.

use crate::gemm::Engines;
use crate::lanes::portable::Portable;
#[cfg(target_arch = "x86_64")]
use crate::lanes::{avx2::Avx2, avx512::Avx512};
use crate::sort::Sorter;
use crate::{bits, bytes, distance, kernels, matmul, nearest, random, reduce, scan, search, sort};
use polyarray_core::op::{Distance, Matmul, Nearest};
use polyarray_core::{Buffer, DType, Result, SmallProduct};

/// A copy of bytes that may bypass the caches: [`stream`](crate::lanes::Isa::stream), which has its contract; and the
/// CPU must have the features of the tier.
pub(crate) type Stream = unsafe fn(*const u8, *mut u8, usize);

/// The kernels of a tier. Code that calls them is compiled once, not once per tier.
///
/// Invariants:
/// 1. the functions of a table need no other features of the CPU than those of its tier;
/// 2. a table can be reached only through [`Token::tier`], so where there is a reference to it, the CPU has the
///    features.
pub(crate) struct Tier {
    pub name: &'static str,
    /// The bytes of a vector. Speed is proportional to it.
    pub vector_bytes: usize,
    pub kernels: kernels::Table,
    pub reductions: reduce::Table,
    pub scans: scan::Table,
    pub sort: sort::Table,
    pub search: search::Table,
    pub random: random::Table,
    pub stream: Stream,
    /// [`fence`](crate::lanes::Isa::fence).
    pub fence: fn(),
    /// As [`matmul::small`]; the CPU has the features (invariant 2), as for the functions below.
    pub small_product: unsafe fn(&SmallProduct) -> bool,
    pub matmul: unsafe fn(&'static Tier, Engines, &Matmul, usize, &Buffer) -> Result<()>,
    pub distance: unsafe fn(&'static Tier, Engines, &Distance, usize, &Buffer) -> Result<()>,
    pub nearest: unsafe fn(Engines, &Nearest, usize, &Buffer) -> Result<()>,
}

impl Tier {
    const fn of<I: Sorter>(name: &'static str, vector_bytes: usize) -> Tier {
        // SAFETY: the CPU has the features of the tier where a table can be reached (invariant 2).
        unsafe {
            Tier {
                name,
                vector_bytes,
                kernels: kernels::Table::of::<I>(),
                reductions: reduce::Table::of::<I>(),
                scans: scan::Table::of::<I>(),
                sort: sort::Table::of::<I>(),
                search: search::Table::of::<I>(),
                random: random::Table::of::<I>(),
                stream: |src, dst, bytes| I::assume().stream(src, dst, bytes),
                fence: || I::assume().fence(),
                small_product: |work| matmul::small(I::assume(), work),
                matmul: |tier, engines, op, threads, output| {
                    matmul::run(I::assume(), tier, engines, op, threads, output)
                },
                distance: |tier, engines, op, threads, output| match op.dtype {
                    DType::F32 => distance::run::<I, f32>(I::assume(), tier, op, threads, output),
                    DType::F64 => distance::run::<I, f64>(I::assume(), tier, op, threads, output),
                    _ if bits::has(op.metric) => bits::run(I::assume(), tier, op, threads, output),
                    DType::I8 => bytes::run::<I, i8>(I::assume(), tier, engines, op, threads, output),
                    _ => bytes::run::<I, u8>(I::assume(), tier, engines, op, threads, output),
                },
                nearest: |engines, op, threads, output| match op.dtype {
                    DType::F32 => nearest::run::<I, f32>(I::assume(), engines, op, threads, output),
                    _ => nearest::run::<I, f64>(I::assume(), engines, op, threads, output),
                },
            }
        }
    }
}

static PORTABLE: Tier = Tier::of::<Portable>("portable vectors", 16);
#[cfg(target_arch = "x86_64")]
static AVX2: Tier = Tier::of::<Avx2>("AVX2", 32);
#[cfg(target_arch = "x86_64")]
static AVX512: Tier = Tier::of::<Avx512>("AVX-512", 64);

/// The token of a tier: it exists only on a CPU with the features.
#[derive(Clone, Copy)]
pub(crate) enum Token {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

/// The valid values of `POLYARRAY_SIMD`, from the lowest. `amx` allows everything.
pub(crate) const NAMES: [&str; 4] = ["portable", "avx2", "avx512", AMX];

const AMX: &str = "amx";

impl Token {
    /// Returns the best tier that this CPU supports and `cap` (the value of `POLYARRAY_SIMD`) allows.
    ///
    /// # Errors
    /// The reason, if `cap` is not the name of a tier.
    pub(crate) fn best(cap: Option<&str>) -> Result<Token, String> {
        let cap = match cap {
            None => NAMES.len(),
            Some(name) => {
                NAMES.iter().position(|n| *n == name).ok_or_else(|| format!("the tiers are {}", NAMES.join(", ")))?
            }
        };
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(isa) = Avx512::new().filter(|_| cap >= 2) {
                return Ok(Token::Avx512(isa));
            }
            if let Some(isa) = Avx2::new().filter(|_| cap >= 1) {
                return Ok(Token::Avx2(isa));
            }
        }
        let _ = cap;
        Ok(Token::Portable(Portable))
    }

    /// Returns the table of the tier.
    pub(crate) fn tier(self) -> &'static Tier {
        match self {
            Token::Portable(_) => &PORTABLE,
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) => &AVX2,
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(_) => &AVX512,
        }
    }

    /// Returns the engines for products of tiles. AMX is among them only if `cap` allows it.
    pub(crate) fn engines(self, cap: Option<&str>) -> Engines {
        let _ = cap;
        match self {
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(isa) => Engines::found(isa, cap.is_none_or(|name| name == AMX)),
            _ => Engines::default(),
        }
    }
}
