//! The one place where host buffers are seen as slices.

use crate::{Buffer, Element, MemoryId};
use std::mem::MaybeUninit;

/// The bytes of a host buffer.
///
/// Only whole buffers that have been written may be seen so: those of arrays.
pub(crate) fn host_bytes(buffer: &Buffer) -> &[u8] {
    let ptr = buffer.host_ptr().expect("a host buffer");
    // SAFETY: invariant 1 of `Buffer` (valid for its length); an array's elements have been written, and nobody writes
    // while a shared reference to the array lives (invariant 2).
    unsafe { std::slice::from_raw_parts(ptr.as_ptr(), buffer.bytes()) }
}

/// The first `len` bytes of a host buffer that nobody else holds, zeroed so that they may be seen.
pub(crate) fn fresh_bytes(buffer: &mut Buffer, len: usize) -> &mut [u8] {
    assert!(len <= buffer.bytes() && buffer.is_exclusive());
    let ptr = buffer.host_ptr().expect("a host buffer");
    // SAFETY: length and exclusive ownership were checked, and the mutable borrow keeps it exclusive; zeroing makes it initialised.
    unsafe {
        std::ptr::write_bytes(ptr.as_ptr(), 0, len);
        std::slice::from_raw_parts_mut(ptr.as_ptr(), len)
    }
}

/// Fills a host buffer with zeros, which are valid elements of every dtype; leaves another memory's as it is.
///
/// # Safety
/// No array shows the buffer, and nothing else accesses it during the call.
pub(crate) unsafe fn zero(buffer: &Buffer) {
    if let Some(ptr) = buffer.host_ptr() {
        // SAFETY: invariant 1 of `Buffer`, and the caller's condition.
        unsafe { std::ptr::write_bytes(ptr.as_ptr(), 0, buffer.bytes()) };
    }
}

/// Makes every byte of a host buffer of bools 0 or 1; leaves another memory's as it is.
///
/// # Safety
/// The buffer has been written, and nothing else accesses it during the call.
pub(crate) unsafe fn normalise_bools(buffer: &Buffer) {
    if let Some(ptr) = buffer.host_ptr() {
        // SAFETY: invariant 1 of `Buffer`, and the caller's conditions.
        let bytes = unsafe { std::slice::from_raw_parts_mut(ptr.as_ptr(), buffer.bytes()) };
        bytes.iter_mut().for_each(|b| *b = u8::from(*b != 0));
    }
}

/// Elements `lo..hi` of a host buffer of written `T`s.
pub(crate) fn elements<T: Element>(buffer: &Buffer, lo: usize, hi: usize) -> &[T] {
    let ptr = buffer.host_ptr().expect("a host buffer").cast::<T>();
    assert!(lo <= hi && hi * size_of::<T>() <= buffer.bytes());
    assert!(ptr.is_aligned());
    // SAFETY: range and alignment were checked; `Array<T>`'s elements are valid `T`s, and nobody writes while this borrow lives.
    unsafe { std::slice::from_raw_parts(ptr.as_ptr().add(lo), hi - lo) }
}

/// Elements `lo..hi` of a host buffer of written `T`s, of which the caller is the only owner.
pub(crate) fn elements_mut<T: Element>(buffer: &mut Buffer, lo: usize, hi: usize) -> &mut [T] {
    assert!(buffer.is_exclusive());
    let ptr = buffer.host_ptr().expect("a host buffer").cast::<T>();
    assert!(lo <= hi && hi * size_of::<T>() <= buffer.bytes());
    assert!(ptr.is_aligned());
    // SAFETY: range, alignment and exclusive ownership were checked, and the mutable borrow keeps it exclusive.
    unsafe { std::slice::from_raw_parts_mut(ptr.as_ptr().add(lo), hi - lo) }
}

/// Bytes `at .. at + len` of a host buffer that nobody else holds, to be written; `None` if somebody does.
pub(crate) fn room(buffer: &mut Buffer, at: usize, len: usize) -> Option<&mut [MaybeUninit<u8>]> {
    if buffer.memory() != MemoryId::HOST || !buffer.is_exclusive() {
        return None;
    }
    assert!(at + len <= buffer.bytes());
    let ptr = buffer.host_ptr()?;
    // SAFETY: the range was checked, exclusive ownership too, and the mutable borrow keeps it exclusive.
    Some(unsafe { std::slice::from_raw_parts_mut(ptr.as_ptr().add(at).cast(), len) })
}
