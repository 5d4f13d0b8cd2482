//! The choice of engine: which products engines multiply, and which engine.

use super::Byte;
#[cfg(target_arch = "x86_64")]
use super::{
    amx::Amx,
    bytes::Bytes,
    dots::Dots,
    parts::{EXACT, FAST, FULL, Parts, SINGLE},
    residues::Residues,
};
use crate::gemm::{Finish, Integer, Integers, Kernel, Product};
use crate::lanes::Isa;
#[cfg(target_arch = "x86_64")]
use crate::lanes::avx512::Avx512;
use polyarray_core::{DType, Precision, Result};

/// The engines that this CPU has and that may be used.
#[derive(Clone, Copy, Default)]
pub(crate) struct Engines {
    #[cfg(target_arch = "x86_64")]
    pub amx: Option<Amx>,
    #[cfg(target_arch = "x86_64")]
    pub dots: Option<Dots>,
}

#[cfg(target_arch = "x86_64")]
impl Engines {
    /// Returns the engines of this CPU, with AMX only if `amx` allows it.
    pub(crate) fn found(isa: Avx512, amx: bool) -> Engines {
        Engines { amx: if amx { Amx::new(isa) } else { None }, dots: Dots::new(isa) }
    }
}

impl Engines {
    /// Returns what to append to the tier's name: ` and AMX`, or nothing.
    pub(crate) fn describe(self) -> &'static str {
        #[cfg(target_arch = "x86_64")]
        if self.amx.is_some() {
            return " and AMX";
        }
        ""
    }

    /// Returns approximately how many times faster than vectors the engines multiply this dtype.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn gain(self, dtype: DType) -> f64 {
        match (dtype, self.amx.is_some(), self.dots.is_some()) {
            (DType::F32, true, _) => 1.2,
            (DType::F16, true, _) => 3.0,
            (DType::BF16, true, _) => 8.0,
            (DType::I8 | DType::U8, true, _) => 30.0,
            (DType::BF16, false, true) => 1.5,
            (DType::I8 | DType::U8, false, true) => 8.0,
            _ => 1.0,
        }
    }

    /// Returns the kernel that multiplies f32 numbers which are bf16 numbers, if an engine is faster than vectors.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn short(self) -> Option<Box<dyn Kernel<Element = f32, Sum = f32>>> {
        match (self.amx, self.dots) {
            (Some(engine), _) => Some(Box::new(Parts::<_, f32, 1>::new(engine, SINGLE))),
            (None, Some(engine)) => Some(Box::new(Parts::<_, f32, 1>::new(engine, SINGLE))),
            (None, None) => None,
        }
    }

    /// Returns `None`: there are no engines on this architecture.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn short(self) -> Option<Box<dyn Kernel<Element = f32, Sum = f32>>> {
        None
    }

    /// Returns 1: there are no engines on this architecture.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn gain(self, _: DType) -> f64 {
        1.0
    }
}

/// An element whose products, as `C`, engines may multiply.
pub(crate) trait Tiled<C>: Copy {
    /// Computes a product as [`product`](crate::gemm::product) does, if an engine is faster. Otherwise returns `None`
    /// and leaves C unchanged.
    ///
    /// # Safety
    /// - as [`product`](crate::gemm::product).
    unsafe fn by_tiles(
        engines: Engines,
        p: Product<Self, C>,
        precision: Precision,
        threads: usize,
        finish: Option<Finish<C>>,
    ) -> Option<Result<()>>;
}

#[cfg(not(target_arch = "x86_64"))]
impl<T: Copy, C> Tiled<C> for T {
    unsafe fn by_tiles(
        _: Engines,
        _: Product<T, C>,
        _: Precision,
        _: usize,
        _: Option<Finish<C>>,
    ) -> Option<Result<()>> {
        None
    }
}

/// The least rows, columns and depth of distances of bytes for which engines are used: half a tile of C.
#[cfg(target_arch = "x86_64")]
const LEAST_BYTES: usize = 16;

/// Calls `work` with the kernel that is fastest for products of bytes of this shape.
pub(crate) fn with_bytes<I: Isa, T: Byte + Integer, R>(
    isa: I,
    engines: Engines,
    shape: [usize; 3],
    work: impl FnOnce(&dyn Kernel<Element = T, Sum = T::Sum>) -> R,
) -> R
where
    T::Sum: Integer<Wide = T::Wide>,
{
    #[cfg(target_arch = "x86_64")]
    if shape.into_iter().all(|length| length >= LEAST_BYTES) {
        if let Some(engine) = engines.amx {
            return work(&Bytes::<_, T>::new(engine));
        }
        if let Some(engine) = engines.dots {
            return work(&Bytes::<_, T>::new(engine));
        }
    }
    let _ = (engines, shape);
    work(&Integers::<I, T, T::Sum>::new(isa))
}

/// The least rows, columns and depth of a product for which engines are used.
#[cfg(target_arch = "x86_64")]
const LEAST: usize = 64;
/// The same for products as residues: none. On an Intel Xeon with AMX in a virtual machine, whose last-level cache
/// gives a core 28 GB/s, products of 512 to 4096 rows took 1.5 to 2.3 times as long as with vectors (f64) and with
/// parts (f32), because the planes of residues are read from that cache. A choice by measured rates may set them again.
#[cfg(target_arch = "x86_64")]
const LEAST_RESIDUES: Option<usize> = None;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;
    use crate::gemm::product;
    use crate::gemm::tiles::Engine;
    use crate::lanes::Real;
    use polyarray_core::{bf16, f16};

    fn smallest<T, C>(p: &Product<T, C>) -> usize {
        p.m.min(p.n).min(p.k)
    }

    fn wants_residues<T, C>(p: &Product<T, C>) -> bool {
        LEAST_RESIDUES.is_some_and(|least| smallest(p) >= least)
    }

    /// Computes a product by [`Residues`], if at most `most` moduli are enough for its numbers.
    ///
    /// # Safety
    /// - as [`product`].
    unsafe fn by_residues<E: Engine, T: Real>(
        engine: E,
        most: usize,
        p: Product<T, T>,
        threads: usize,
        finish: Option<Finish<T>>,
    ) -> Option<Result<()>> {
        // SAFETY: the caller guarantees that A and B are valid for reads of these shapes.
        let kernel =
            unsafe { Residues::new(engine, p.a, p.b, [p.m, p.n, p.k]) }.filter(|kernel| kernel.moduli() <= most)?;
        // SAFETY: the contract of `product`, which the caller guarantees.
        Some(unsafe { product(&kernel, p, threads, finish) })
    }

    impl Tiled<f32> for f32 {
        unsafe fn by_tiles(
            engines: Engines,
            p: Product<f32, f32>,
            precision: Precision,
            threads: usize,
            finish: Option<Finish<f32>>,
        ) -> Option<Result<()>> {
            let amx = engines.amx.filter(|_| smallest(&p) >= LEAST)?;
            // SAFETY: the contract of `product`, which the caller guarantees.
            unsafe {
                if precision == Precision::Fast {
                    return Some(product(&Parts::<_, f32, 2>::new(amx, FAST), p, threads, finish));
                }
                let residues = if wants_residues(&p) { by_residues(amx, MOST_F32, p, threads, finish) } else { None };
                residues.or_else(|| Some(product(&Parts::<_, f32, 3>::new(amx, FULL), p, threads, finish)))
            }
        }
    }

    /// The most moduli for products of f32. With more, residues take longer than six products of bf16 parts, which
    /// run at half the engine's speed.
    const MOST_F32: usize = 9;
    /// The most moduli for products of f64: all of them.
    const MOST_F64: usize = 18;

    impl Tiled<f64> for f64 {
        unsafe fn by_tiles(
            engines: Engines,
            p: Product<f64, f64>,
            _: Precision,
            threads: usize,
            finish: Option<Finish<f64>>,
        ) -> Option<Result<()>> {
            let amx = engines.amx.filter(|_| wants_residues(&p))?;
            // SAFETY: the contract of `product`, which the caller guarantees.
            unsafe { by_residues(amx, MOST_F64, p, threads, finish) }
        }
    }

    /// Computes a product by AMX, or else by dot products.
    ///
    /// # Safety
    /// - as [`product`].
    unsafe fn either<A: Kernel, D: Kernel<Element = A::Element, Sum = A::Sum>>(
        engines: Engines,
        amx: impl Fn(Amx) -> A,
        dots: impl Fn(Dots) -> D,
        p: Product<A::Element, A::Sum>,
        threads: usize,
        finish: Option<Finish<A::Sum>>,
    ) -> Option<Result<()>> {
        // SAFETY: the contract of `product`, which the caller guarantees.
        unsafe {
            match (engines.amx, engines.dots) {
                _ if smallest(&p) < LEAST => None,
                (Some(engine), _) => Some(product(&amx(engine), p, threads, finish)),
                (None, Some(engine)) => Some(product(&dots(engine), p, threads, finish)),
                (None, None) => None,
            }
        }
    }

    impl Tiled<f32> for bf16 {
        unsafe fn by_tiles(
            engines: Engines,
            p: Product<bf16, f32>,
            _: Precision,
            threads: usize,
            finish: Option<Finish<f32>>,
        ) -> Option<Result<()>> {
            let (amx, dots) = (|e| Parts::<_, bf16, 1>::new(e, SINGLE), |e| Parts::<_, bf16, 1>::new(e, SINGLE));
            // SAFETY: the contract of `product`, which the caller guarantees.
            unsafe { either(engines, amx, dots, p, threads, finish) }
        }
    }

    impl Tiled<f32> for f16 {
        unsafe fn by_tiles(
            engines: Engines,
            p: Product<f16, f32>,
            _: Precision,
            threads: usize,
            finish: Option<Finish<f32>>,
        ) -> Option<Result<()>> {
            let amx = engines.amx.filter(|_| smallest(&p) >= LEAST)?;
            // SAFETY: the contract of `product`, which the caller guarantees.
            Some(unsafe { product(&Parts::<_, f16, 2>::new(amx, EXACT), p, threads, finish) })
        }
    }

    impl<T: Byte> Tiled<T::Sum> for T {
        unsafe fn by_tiles(
            engines: Engines,
            p: Product<T, T::Sum>,
            _: Precision,
            threads: usize,
            finish: Option<Finish<T::Sum>>,
        ) -> Option<Result<()>> {
            // SAFETY: the contract of `product`, which the caller guarantees.
            unsafe { either(engines, Bytes::<_, T>::new, Bytes::<_, T>::new, p, threads, finish) }
        }
    }
}
