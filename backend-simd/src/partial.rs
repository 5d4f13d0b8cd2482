//! Partial results whose type is not known to the code that holds them. Such code is compiled once for all types.

use std::mem::MaybeUninit;

/// The bytes of a value of at most 32 bytes.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Partial([MaybeUninit<u64>; 4]);

impl Partial {
    /// Returns room for a value.
    pub fn room() -> Partial {
        Partial([MaybeUninit::uninit(); 4])
    }

    /// Returns a value as bytes.
    #[inline(always)]
    pub fn of<S: Copy>(value: S) -> Partial {
        const { assert!(size_of::<S>() <= size_of::<Partial>() && align_of::<S>() <= align_of::<Partial>()) };
        let mut partial = Partial::room();
        // SAFETY: the room is large enough and aligned, as asserted.
        unsafe { partial.to().cast::<S>().write(value) };
        partial
    }

    /// Returns the value.
    ///
    /// # Safety
    /// - The bytes are those of a value of type `S`.
    #[inline(always)]
    pub unsafe fn get<S: Copy>(&self) -> S {
        const { assert!(size_of::<S>() <= size_of::<Partial>() && align_of::<S>() <= align_of::<Partial>()) };
        // SAFETY: the caller guarantees a value of type `S`; the room is large enough and aligned, as asserted.
        unsafe { self.at().cast::<S>().read() }
    }

    /// Returns the address for reads.
    pub fn at(&self) -> *const u8 {
        self.0.as_ptr().cast()
    }

    /// Returns the address for writes.
    pub fn to(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().cast()
    }
}
