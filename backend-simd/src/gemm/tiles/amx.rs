//! AMX: eight registers of 16 rows of 64 bytes (tiles), and instructions that multiply them.
//!
//! Intel, "64 and IA-32 Architectures Software Developer's Manual", volume 1, chapter 18; Linux, "Using XSTATE
//! features in user space applications".

use super::{Engine, Reach};
use crate::lanes::avx512::Avx512;
use polyarray_core::Result;
use std::arch::asm;

/// The token of the engine. It exists only if [`Amx::new`] found AMX and the system permits its use.
#[derive(Clone, Copy)]
pub(crate) struct Amx(Avx512);

impl Amx {
    /// Returns the token if the CPU has tiles of bf16 and i8 and the system permits their use.
    pub(crate) fn new(isa: Avx512) -> Option<Amx> {
        static PERMITTED: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
        let cpu = raw_cpuid::CpuId::new();
        let features = cpu.get_extended_feature_info()?;
        let has = features.has_amx_tile() && features.has_amx_bf16() && features.has_amx_int8();
        (has && *PERMITTED.get_or_init(permitted)).then_some(Amx(isa))
    }
}

/// Requests permission from the system, once per process: the system must save the tiles of threads that use them.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: the system call takes two numbers and changes only the permissions of this process.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// The operand of `ldtilecfg`: palette 1, and 16 rows of 64 bytes for each of 8 tiles.
#[repr(C, align(64))]
struct Config([u8; 64]);

static CONFIG: Config = {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        bytes[16 + 2 * tile] = 64;
        bytes[48 + tile] = 16;
        tile += 1;
    }
    Config(bytes)
};

// Tiles 0 to 3 hold a block of C, tiles 4 and 5 rows of A, tiles 6 and 7 columns of B.
macro_rules! zero {
    () => {
        "tilezero tmm0\n tilezero tmm1\n tilezero tmm2\n tilezero tmm3\n"
    };
}
macro_rules! load_c {
    () => {
        "tileloadd tmm0, [{c} + {c_row}]\n tileloadd tmm1, [{c} + {c_row} + 64]\n \
         tileloadd tmm2, [{c} + {c_row} + 2048]\n tileloadd tmm3, [{c} + {c_row} + 2112]\n"
    };
}
macro_rules! store_c {
    () => {
        "tilestored [{c} + {c_row}], tmm0\n tilestored [{c} + {c_row} + 64], tmm1\n \
         tilestored [{c} + {c_row} + 2048], tmm2\n tilestored [{c} + {c_row} + 2112], tmm3\n"
    };
}
/// Multiplies the rows of the part of A at `$a` bytes from the start of its step by the parts of B at `$b`.
macro_rules! part {
    ($multiply:literal, $a:literal: $($b:literal)*) => {
        concat!(
            "tileloadd tmm4, [{a} + {row} + ", $a, "]\n tileloadd tmm5, [{a} + {row} + ", $a, " + 1024]\n",
            $(
                "tileloadd tmm6, [{b} + {row} + ", $b, "]\n tileloadd tmm7, [{b} + {row} + ", $b, " + 1024]\n",
                $multiply, " tmm0, tmm4, tmm6\n ", $multiply, " tmm1, tmm4, tmm7\n ",
                $multiply, " tmm2, tmm5, tmm6\n ", $multiply, " tmm3, tmm5, tmm7\n",
            )*
        )
    };
}
/// The loop over the steps: starts with `$first`, and stores C at the end.
macro_rules! steps {
    ($first:expr, $steps:expr, $a:expr, $b:expr, $c:expr, $bytes:literal, $($part:expr),*) => {
        asm!(
            $first,
            "2:",
            $($part,)*
            concat!("add {a}, ", $bytes),
            concat!("add {b}, ", $bytes),
            "dec {steps}",
            "jnz 2b",
            store_c!(),
            steps = inout(reg) $steps => _,
            a = inout(reg) $a => _,
            b = inout(reg) $b => _,
            c = in(reg) $c,
            row = in(reg) 64usize,
            c_row = in(reg) 128usize,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

impl Engine for Amx {
    type Isa = Avx512;

    fn isa(self) -> Avx512 {
        self.0
    }

    fn within(self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        /// Releases the thread's tiles when it is dropped.
        struct Configured;
        impl Drop for Configured {
            fn drop(&mut self) {
                // SAFETY: the CPU has AMX, because only a method of the token creates this value.
                unsafe { asm!("tilerelease", options(nostack)) };
            }
        }
        // SAFETY: the token proves AMX and the permission; the configuration is valid and has 64 bytes.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const CONFIG, options(nostack, readonly)) };
        let _configured = Configured;
        work()
    }

    unsafe fn bf16(self, reach: Reach, steps: usize, a: *const u8, b: *const u8, c: *mut f32) {
        debug_assert!(steps > 0);
        // SAFETY: the caller guarantees that the tiles are configured (`within`), that the panels have `steps` steps,
        // at least one, and that C has 32 rows of 128 bytes.
        unsafe {
            match reach {
                [1] => steps!(zero!(), steps, a, b, c, 2048, part!("tdpbf16ps", 0: 0)),
                [2, 1] => {
                    steps!(zero!(), steps, a, b, c, 4096, part!("tdpbf16ps", 0: 0 2048), part!("tdpbf16ps", 2048: 0))
                }
                [2, 2] => steps!(
                    zero!(),
                    steps,
                    a,
                    b,
                    c,
                    4096,
                    part!("tdpbf16ps", 0: 0 2048),
                    part!("tdpbf16ps", 2048: 0 2048)
                ),
                [3, 2, 1] => {
                    steps!(
                        zero!(),
                        steps,
                        a,
                        b,
                        c,
                        6144,
                        part!("tdpbf16ps", 0: 0 2048 4096),
                        part!("tdpbf16ps", 2048: 0 2048),
                        part!("tdpbf16ps", 4096: 0)
                    )
                }
                other => unreachable!("there is no AMX loop for the reach {other:?}"),
            }
        }
    }

    unsafe fn bytes(self, signed: bool, steps: usize, a: *const u8, b: *const u8, c: *mut i32, add: bool) {
        debug_assert!(steps > 0);
        // SAFETY: as in `bf16`; C holds values if `add`.
        unsafe {
            match (signed, add) {
                (true, true) => steps!(load_c!(), steps, a, b, c, 2048, part!("tdpbssd", 0: 0)),
                (true, false) => steps!(zero!(), steps, a, b, c, 2048, part!("tdpbssd", 0: 0)),
                (false, true) => steps!(load_c!(), steps, a, b, c, 2048, part!("tdpbuud", 0: 0)),
                (false, false) => steps!(zero!(), steps, a, b, c, 2048, part!("tdpbuud", 0: 0)),
            }
        }
    }
}
