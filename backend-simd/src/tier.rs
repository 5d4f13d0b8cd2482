//! The instruction sets that this CPU supports, and the choice among them.

use crate::gemm::Engines;
use crate::lanes::portable::Portable;
#[cfg(target_arch = "x86_64")]
use crate::lanes::{avx2::Avx2, avx512::Avx512};

/// The tier in use, with its token.
#[derive(Clone, Copy)]
pub(crate) enum Tier {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

/// The valid values of `POLYARRAY_SIMD`, from the lowest. `amx` allows everything.
pub(crate) const NAMES: [&str; 4] = ["portable", "avx2", "avx512", AMX];

const AMX: &str = "amx";

impl Tier {
    /// Returns the best tier that this CPU supports and `cap` (the value of `POLYARRAY_SIMD`) allows.
    ///
    /// # Errors
    /// The reason, if `cap` is not the name of a tier.
    pub(crate) fn best(cap: Option<&str>) -> Result<Tier, String> {
        let cap = match cap {
            None => NAMES.len(),
            Some(name) => {
                NAMES.iter().position(|n| *n == name).ok_or_else(|| format!("the tiers are {}", NAMES.join(", ")))?
            }
        };
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(isa) = Avx512::new().filter(|_| cap >= 2) {
                return Ok(Tier::Avx512(isa));
            }
            if let Some(isa) = Avx2::new().filter(|_| cap >= 1) {
                return Ok(Tier::Avx2(isa));
            }
        }
        let _ = cap;
        Ok(Tier::Portable(Portable))
    }

    /// Returns the engines for products of tiles. AMX is among them only if `cap` allows it.
    pub(crate) fn engines(self, cap: Option<&str>) -> Engines {
        let _ = cap;
        match self {
            #[cfg(target_arch = "x86_64")]
            Tier::Avx512(isa) => Engines::found(isa, cap.is_none_or(|name| name == AMX)),
            _ => Engines::default(),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Tier::Portable(_) => "portable vectors",
            #[cfg(target_arch = "x86_64")]
            Tier::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Tier::Avx512(_) => "AVX-512",
        }
    }

    /// Returns the bytes of a vector. Speed is proportional to it.
    pub(crate) fn vector_bytes(self) -> usize {
        match self {
            Tier::Portable(_) => 16,
            #[cfg(target_arch = "x86_64")]
            Tier::Avx2(_) => 32,
            #[cfg(target_arch = "x86_64")]
            Tier::Avx512(_) => 64,
        }
    }
}
