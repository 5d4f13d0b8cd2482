//! Copies of elements between memories, and allocations in them.

use super::{Memory, memory};
use crate::{Buffer, DType, Error, MemoryId, Result, trace};

/// Returns whether memory `there` can store elements of `dtype`.
pub(crate) fn can_store(there: MemoryId, dtype: DType) -> bool {
    there == MemoryId::HOST || memory(there).info().stored_size(dtype).is_some()
}

/// Allocates a buffer for `elements` elements of `dtype` in memory `there`.
///
/// # Errors
/// Out of memory; [`Error::Storage`] if that memory cannot store the dtype.
pub(crate) fn alloc_elements(dtype: DType, elements: usize, there: MemoryId) -> Result<Buffer> {
    if there == MemoryId::HOST {
        return Buffer::elements(dtype, elements);
    }
    let there = memory(there);
    let bytes = elements.saturating_mul(storable(&*there, dtype)?);
    let info = there.info();
    if bytes > info.max_allocation || elements > info.max_elements {
        return Err(Error::OutOfMemory {
            memory: info.name.clone(),
            bytes,
            why: format!(
                "one array has at most {} bytes and {} elements there",
                info.max_allocation, info.max_elements
            ),
        });
    }
    there.alloc(bytes.max(1))
}

/// Copies elements `lo..hi` of `from` to a new buffer in memory `to`.
pub(crate) fn move_elements(from: &Buffer, dtype: DType, lo: usize, hi: usize, to: MemoryId) -> Result<Buffer> {
    let host = if from.memory() == MemoryId::HOST && to != MemoryId::HOST {
        None
    } else {
        let mut host = Buffer::elements(dtype, hi - lo)?;
        let room = crate::bytes::fresh_bytes(&mut host, (hi - lo) * dtype.size());
        // SAFETY: `from` belongs to an array or an operation's result. Its elements `lo..hi` have been written, and
        // nothing writes them while it is shared.
        unsafe { download_elements(dtype, from, lo, room) }?;
        Some(host)
    };
    if from.memory() != to {
        trace::copied((hi - lo) * dtype.size(), "transfer");
    }
    if to == MemoryId::HOST {
        return Ok(host.expect("downloaded above"));
    }
    let out = alloc_elements(dtype, hi - lo, to)?;
    let (source, lo, hi) = host.as_ref().map_or((from, lo, hi), |h| (h, 0, hi - lo));
    let elements = &crate::bytes::host_bytes(source)[lo * dtype.size()..hi * dtype.size()];
    // SAFETY: `out` was just allocated, so no array shows it; `elements` are valid elements of `dtype` from an array.
    unsafe { upload_elements(dtype, elements, &out, 0) }?;
    Ok(out)
}

/// The number of elements that are widened or narrowed at a time.
const BLOCK: usize = 1 << 20;

/// Allocates scratch for at most [`BLOCK`] of `count` elements of `stored` bytes each.
fn block(count: usize, stored: usize) -> Result<Vec<u8>> {
    let bytes = count.min(BLOCK) * stored;
    let mut wide = Vec::new();
    wide.try_reserve_exact(bytes).map_err(|e| Error::OutOfMemory {
        memory: "the host".into(),
        bytes,
        why: e.to_string(),
    })?;
    wide.resize(bytes, 0);
    Ok(wide)
}

/// Copies elements of `dtype` from host bytes into `dst`, in the stored form that the memory of `dst` specifies.
///
/// # Safety
/// - The conditions of [`Memory::upload`] hold.
/// - `src` holds valid elements of `dtype`.
pub(crate) unsafe fn upload_elements(dtype: DType, src: &[u8], dst: &Buffer, at_element: usize) -> Result<()> {
    let to = memory(dst.memory());
    let stored = storable(&*to, dtype)?;
    if stored == dtype.size() {
        // SAFETY: the caller guarantees that no array shows the written bytes, that no other thread accesses them, and
        // that `src` holds valid elements of `dtype`, whose stored form is the same.
        return unsafe { to.upload(src, dst, at_element * stored) };
    }
    let mut wide = block(src.len() / dtype.size(), stored)?;
    for (i, narrow) in src.chunks(BLOCK * dtype.size()).enumerate() {
        let wide = &mut wide[..narrow.len() / dtype.size() * stored];
        for (w, n) in wide.chunks_exact_mut(stored).zip(narrow.chunks_exact(dtype.size())) {
            w[..n.len()].copy_from_slice(n);
        }
        // SAFETY: the caller guarantees that no array shows the written bytes and that no other thread accesses them.
        // `wide` holds valid elements, because an element widened with zeros is the stored form of its value.
        unsafe { to.upload(wide, dst, (at_element + i * BLOCK) * stored) }?;
    }
    Ok(())
}

/// Copies elements of `dtype` from `src` into host bytes: the reverse of [`upload_elements`]. Any nonzero stored bool
/// becomes `true`, so that a device which stores another number than 1 does not produce an invalid `bool`.
///
/// # Safety
/// The conditions of [`Memory::download`] hold. (Dtypes other than bool need no validation, because every bit pattern
/// is a valid element.)
pub(crate) unsafe fn download_elements(dtype: DType, src: &Buffer, at_element: usize, dst: &mut [u8]) -> Result<()> {
    let from = memory(src.memory());
    let stored = storable(&*from, dtype)?;
    if stored == dtype.size() {
        // SAFETY: the caller guarantees that the elements of `src` have been written and that no other thread writes
        // them.
        unsafe { from.download(src, at_element * stored, dst) }?;
        if dtype == DType::Bool {
            dst.iter_mut().for_each(|b| *b = u8::from(*b != 0));
        }
        return Ok(());
    }
    let mut wide = block(dst.len() / dtype.size(), stored)?;
    for (i, narrow) in dst.chunks_mut(BLOCK * dtype.size()).enumerate() {
        let wide = &mut wide[..narrow.len() / dtype.size() * stored];
        // SAFETY: the caller guarantees that the elements of `src` have been written and that no other thread writes
        // them.
        unsafe { from.download(src, (at_element + i * BLOCK) * stored, wide) }?;
        for (w, n) in wide.chunks_exact(stored).zip(narrow.chunks_exact_mut(dtype.size())) {
            if dtype == DType::Bool {
                n[0] = u8::from(w.iter().any(|b| *b != 0));
            } else {
                n.copy_from_slice(&w[..n.len()]);
            }
        }
    }
    Ok(())
}

/// Returns the stored size of `dtype`, or [`Error::Storage`] if the memory cannot store it.
pub(crate) fn storable(memory: &dyn Memory, dtype: DType) -> Result<usize> {
    let info = memory.info();
    info.stored_size(dtype).ok_or_else(|| Error::Storage {
        dtype,
        memory: info.name.clone(),
        why: "the device does not support this dtype".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostMemory, MemoryInfo, register_memory};
    use std::sync::{Arc, Mutex};

    /// A memory that stores bools in words and records the size of each transfer.
    struct Words {
        info: MemoryInfo,
        id: MemoryId,
        moved: Mutex<Vec<usize>>,
    }

    // SAFETY: each block is a vector of its own, and both copies check their ranges by slice indexing.
    unsafe impl Memory for Words {
        fn info(&self) -> &MemoryInfo {
            &self.info
        }
        fn alloc(&self, bytes: usize) -> Result<Buffer> {
            Buffer::foreign(self.id, bytes, Mutex::new(vec![0u8; bytes]))
        }
        unsafe fn upload(&self, src: &[u8], dst: &Buffer, at: usize) -> Result<()> {
            self.moved.lock().unwrap().push(src.len());
            dst.handle::<Mutex<Vec<u8>>>().unwrap().lock().unwrap()[at..at + src.len()].copy_from_slice(src);
            Ok(())
        }
        unsafe fn download(&self, src: &Buffer, at: usize, dst: &mut [u8]) -> Result<()> {
            self.moved.lock().unwrap().push(dst.len());
            dst.copy_from_slice(&src.handle::<Mutex<Vec<u8>>>().unwrap().lock().unwrap()[at..at + dst.len()]);
            Ok(())
        }
    }

    #[test]
    fn elements_are_widened_in_blocks() {
        let memory = register_memory(|id| {
            let mut info = HostMemory::new().info().clone();
            info.stored_sizes[DType::Bool as usize] = 4;
            Arc::new(Words { info, id, moved: Mutex::default() })
        });
        let count = 2 * BLOCK + 5;
        let bools: Vec<u8> = (0..count).map(|i| u8::from(i % 3 == 0)).collect();
        let buffer = memory.alloc((count + 2) * 4).unwrap();
        // SAFETY: no array or other thread accesses the buffer, and the bytes are valid bools.
        unsafe { upload_elements(DType::Bool, &bools, &buffer, 2) }.unwrap();
        let mut back = vec![7; count];
        // SAFETY: no other thread accesses the buffer, and `vec!` and the upload have written all of it.
        unsafe { download_elements(DType::Bool, &buffer, 2, &mut back) }.unwrap();
        assert!(back == bools);
        let mut part = [7; 4];
        // SAFETY: no other thread accesses the buffer, and `vec!` and the upload have written all of it.
        unsafe { download_elements(DType::Bool, &buffer, 1, &mut part) }.unwrap();
        assert_eq!(part, [0, 1, 0, 0]);
        // SAFETY: no other thread accesses the buffer, and no byte of it is read.
        unsafe { download_elements(DType::Bool, &buffer, 0, &mut []) }.unwrap();
        // SAFETY: no array or other thread accesses the buffer, and no byte of it is written.
        unsafe { upload_elements(DType::Bool, &[], &buffer, 0) }.unwrap();
        let moved = memory.moved.lock().unwrap();
        assert_eq!(moved[..6], [4 * BLOCK, 4 * BLOCK, 20, 4 * BLOCK, 4 * BLOCK, 20]);
    }
}
