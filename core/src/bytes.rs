//! Conversion of host buffers to slices, in this module only.

use crate::{Buffer, Element, MemoryId};
use std::mem::MaybeUninit;

/// Returns the bytes of a host buffer. All of it must have been written, as in buffers of arrays.
pub(crate) fn host_bytes(buffer: &Buffer) -> &[u8] {
    let ptr = buffer.host_ptr().expect("the buffer lies in host memory");
    // SAFETY: the pointer is valid for the length (invariant 1 of `Buffer`). An array's buffer has been written, and
    // nothing writes it while a shared reference to the array lives (invariant 2).
    unsafe { std::slice::from_raw_parts(ptr.as_ptr(), buffer.bytes()) }
}

/// Zeroes the first `len` bytes of a host buffer and returns them. The caller must be the buffer's only owner.
pub(crate) fn fresh_bytes(buffer: &mut Buffer, len: usize) -> &mut [u8] {
    assert!(len <= buffer.bytes() && buffer.is_exclusive());
    let ptr = buffer.host_ptr().expect("the buffer lies in host memory");
    // SAFETY: length and exclusive ownership were checked; the mutable borrow keeps it exclusive. Zeroing initialises
    // the bytes.
    unsafe {
        std::ptr::write_bytes(ptr.as_ptr(), 0, len);
        std::slice::from_raw_parts_mut(ptr.as_ptr(), len)
    }
}

/// Fills a host buffer with zeros, which are valid elements of every dtype. Ignores buffers of other memories.
///
/// # Safety
/// No array shows the buffer, and nothing else accesses it during the call.
pub(crate) unsafe fn zero(buffer: &Buffer) {
    if let Some(ptr) = buffer.host_ptr() {
        // SAFETY: the pointer is valid for the length (invariant 1 of `Buffer`); nothing else accesses the buffer,
        // which the caller guarantees.
        unsafe { std::ptr::write_bytes(ptr.as_ptr(), 0, buffer.bytes()) };
    }
}

/// Sets every nonzero byte of a host buffer of bools to 1. Ignores buffers of other memories.
///
/// # Safety
/// The buffer has been written, and nothing else accesses it during the call.
pub(crate) unsafe fn normalise_bools(buffer: &Buffer) {
    if let Some(ptr) = buffer.host_ptr() {
        // SAFETY: the pointer is valid for the length (invariant 1 of `Buffer`); the buffer has been written and
        // nothing else accesses it, which the caller guarantees.
        let bytes = unsafe { std::slice::from_raw_parts_mut(ptr.as_ptr(), buffer.bytes()) };
        bytes.iter_mut().for_each(|b| *b = u8::from(*b != 0));
    }
}

/// Returns elements `lo..hi` of a host buffer of initialised `T`s.
pub(crate) fn elements<T: Element>(buffer: &Buffer, lo: usize, hi: usize) -> &[T] {
    let ptr = buffer.host_ptr().expect("the buffer lies in host memory").cast::<T>();
    assert!(lo <= hi && hi * size_of::<T>() <= buffer.bytes());
    assert!(ptr.is_aligned());
    // SAFETY: range and alignment were checked; an array's elements are valid `T`s, and nothing writes them while this
    // borrow lives.
    unsafe { std::slice::from_raw_parts(ptr.as_ptr().add(lo), hi - lo) }
}

/// Returns elements `lo..hi` of a host buffer of initialised `T`s, for writing. The caller must be its only owner.
pub(crate) fn elements_mut<T: Element>(buffer: &mut Buffer, lo: usize, hi: usize) -> &mut [T] {
    exclusive_elements(buffer, lo, hi).expect("the buffer lies in host memory and has one owner")
}

/// Returns elements `lo..hi` of a host buffer of initialised `T`s, for writing; `None` if the buffer lies in another
/// memory, is read-only or has another owner.
#[inline]
pub(crate) fn exclusive_elements<T: Element>(buffer: &mut Buffer, lo: usize, hi: usize) -> Option<&mut [T]> {
    if !buffer.is_exclusive() {
        return None;
    }
    let ptr = buffer.host_ptr()?.cast::<T>();
    assert!(lo <= hi && hi * size_of::<T>() <= buffer.bytes());
    assert!(ptr.is_aligned());
    // SAFETY: range, alignment and exclusive ownership were checked; the mutable borrow keeps it exclusive.
    Some(unsafe { std::slice::from_raw_parts_mut(ptr.as_ptr().add(lo), hi - lo) })
}

/// Returns the first `len` elements of a new host buffer, not written yet; `None` as [`room`].
pub(crate) fn room_of<T: Element>(buffer: &mut Buffer, len: usize) -> Option<&mut [MaybeUninit<T>]> {
    let room = room(buffer, 0, len * size_of::<T>())?.as_mut_ptr().cast::<MaybeUninit<T>>();
    assert!(room.is_aligned());
    // SAFETY: `room` has the bytes of `len` elements, which may hold anything; the alignment was checked, and the
    // mutable borrow of the buffer continues.
    Some(unsafe { std::slice::from_raw_parts_mut(room, len) })
}

/// Returns bytes `at .. at + len` of a host buffer for writing; `None` if the buffer lies in another memory or has
/// another owner.
pub(crate) fn room(buffer: &mut Buffer, at: usize, len: usize) -> Option<&mut [MaybeUninit<u8>]> {
    if buffer.memory() != MemoryId::HOST || !buffer.is_exclusive() {
        return None;
    }
    assert!(at + len <= buffer.bytes());
    let ptr = buffer.host_ptr()?;
    // SAFETY: range and exclusive ownership were checked; the mutable borrow keeps it exclusive.
    Some(unsafe { std::slice::from_raw_parts_mut(ptr.as_ptr().add(at).cast(), len) })
}
