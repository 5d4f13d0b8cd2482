//! Memories and buffers: the host's, and each device's own.

use crate::{DType, Error, Result};
use std::any::Any;
use std::fmt;
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock, RwLock};

mod host;
pub use host::{HostMemory, trim};

/// Names a memory within this process. [`MemoryId::HOST`] is the host's; others come from [`register_memory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryId(u32);

impl MemoryId {
    /// The host's memory, which scalar code, SIMD and BLAS share.
    pub const HOST: MemoryId = MemoryId(0);
}

/// What a memory can hold.
#[derive(Clone, Debug)]
pub struct MemoryInfo {
    /// A name for messages.
    pub name: String,
    /// The largest block that one allocation can have, in bytes.
    pub max_allocation: usize,
    /// The largest number of elements an index can address (`u32::MAX` on most GPUs).
    pub max_elements: usize,
    /// Bytes that one element of each dtype takes, in the order of [`DType::ALL`]; 0 where it cannot be stored.
    /// Where it differs from [`DType::size`], the element is an unsigned integer of that width (a bool in a `u32` word).
    pub stored_sizes: [u8; DType::ALL.len()],
    /// Bytes a second that an upload moves, estimated.
    pub upload_bandwidth: f64,
    /// Bytes a second that a download moves, estimated.
    pub download_bandwidth: f64,
    /// Seconds that any transfer takes at least, estimated.
    pub transfer_latency: f64,
}

impl MemoryInfo {
    /// Bytes that an element of `dtype` takes there; `None` if it cannot be stored.
    #[inline]
    pub fn stored_size(&self, dtype: DType) -> Option<usize> {
        Some(usize::from(self.stored_sizes[dtype as usize])).filter(|&s| s > 0)
    }
}

/// Where arrays can live: the host; each GPU.
///
/// # Safety
/// Arrays hand out what a memory holds as initialised elements. An implementation guarantees that:
/// 1. [`info`](Memory::info) always returns the same values;
/// 2. [`alloc`](Memory::alloc) returns a buffer of this memory (made by [`Buffer::foreign`] with the [`MemoryId`] that
///    [`register_memory`] gave it) of at least `bytes` bytes that no other buffer shares;
/// 3. [`upload`](Memory::upload) and [`download`](Memory::download) return an error, or panic, where the range does not lie inside the
///    buffer or the buffer is not of this memory, and never access anything outside of it;
/// 4. a download that returns `Ok` has written all of `dst` with the bytes that were uploaded, or written by a backend, last.
pub unsafe trait Memory: Send + Sync {
    /// What it can hold.
    fn info(&self) -> &MemoryInfo;
    /// A block of `bytes` bytes (at least 1), uninitialised: the caller writes every element before it is read.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; never an abort.
    fn alloc(&self, bytes: usize) -> Result<Buffer>;
    /// Copies `src` into `dst` from byte `at` on. Both lengths and `at` are multiples of the stored element size.
    ///
    /// # Errors
    /// What the device reports.
    ///
    /// # Safety
    /// 1. No array shows the bytes of `dst` that are written, and no other thread accesses them during the call.
    /// 2. The bytes are valid elements of the dtype that an array over `dst` will have.
    unsafe fn upload(&self, src: &[u8], dst: &Buffer, at: usize) -> Result<()>;
    /// Copies from byte `at` of `src` on into `dst`. Ordered after all work given to the memory's devices before.
    ///
    /// # Errors
    /// What the device reports.
    ///
    /// # Safety
    /// 1. The bytes of `src` that are read have been written: by an upload, or by an operation that returned `Ok`.
    /// 2. No other thread writes them during the call.
    unsafe fn download(&self, src: &Buffer, at: usize, dst: &mut [u8]) -> Result<()>;
}

/// A reference-counted block of some memory. Cloning shares it.
///
/// Invariants:
/// 1. a host block is valid for reads and writes of `bytes` bytes as long as any clone lives;
/// 2. its bytes are written only through an [`Array`](crate::Array) that is its only owner, or by the backend that an operation
///    named it as output for, before any array shows it;
/// 3. blocks that this library allocates are aligned to 64 bytes, adopted ones to their element.
#[derive(Clone)]
pub struct Buffer(Arc<Block>);

struct Block {
    memory: MemoryId,
    bytes: usize,
    writable: bool,
    data: Data,
}

enum Data {
    Host(host::HostBlock),
    Foreign(Box<dyn Any + Send + Sync>),
}

impl Buffer {
    /// A block of a device's memory; `handle` is whatever the device's backends need to find it.
    ///
    /// # Errors
    /// [`Error::Argument`] for [`MemoryId::HOST`], whose blocks are allocated by [`Buffer::host`].
    pub fn foreign(memory: MemoryId, bytes: usize, handle: impl Any + Send + Sync) -> Result<Buffer> {
        if memory == MemoryId::HOST {
            let why = "a block of host memory comes from Buffer::host, Buffer::adopt or Buffer::read_only".into();
            return Err(Error::Argument { op: "Buffer::foreign", name: "memory", value: "MemoryId::HOST".into(), why });
        }
        Ok(Buffer(Arc::new(Block { memory, bytes, writable: true, data: Data::Foreign(Box::new(handle)) })))
    }

    /// A block of host memory of at least one byte, uninitialised.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] where the machine does not have that much.
    pub fn host(bytes: usize) -> Result<Buffer> {
        let block = host::HostBlock::alloc(bytes.max(1))?;
        Ok(Buffer(Arc::new(Block { memory: MemoryId::HOST, bytes, writable: true, data: Data::Host(block) })))
    }

    /// A block of host memory for `count` elements of `dtype`, uninitialised.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], also where the number of bytes overflows.
    pub(crate) fn elements(dtype: DType, count: usize) -> Result<Buffer> {
        Buffer::host(count.saturating_mul(dtype.size()))
    }

    /// The elements of `vec`, without copying them.
    pub fn adopt<T: crate::Element>(vec: Vec<T>) -> Buffer {
        let bytes = size_of_val(&vec[..]);
        Buffer(Arc::new(Block {
            memory: MemoryId::HOST,
            bytes,
            writable: true,
            data: Data::Host(host::HostBlock::adopt(vec)),
        }))
    }

    /// Read-only bytes that somebody else keeps, such as a memory map. Writing to an array of them copies them first.
    ///
    /// # Safety
    /// - `ptr` is valid for reads of `bytes` bytes, and nothing changes them, as long as `keep` lives;
    /// - `ptr` is aligned for, and the bytes are valid elements of, every dtype that arrays over this buffer are given.
    pub unsafe fn read_only(ptr: NonNull<u8>, bytes: usize, keep: impl Any + Send + Sync) -> Buffer {
        let block = host::HostBlock::kept(ptr, Box::new(keep));
        Buffer(Arc::new(Block { memory: MemoryId::HOST, bytes, writable: false, data: Data::Host(block) }))
    }

    /// The memory it is a block of.
    #[inline]
    pub fn memory(&self) -> MemoryId {
        self.0.memory
    }

    /// Its length in bytes.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// Where a host block lies; `None` for a device's. Reading and writing through it is bound by the invariants above.
    #[inline]
    pub fn host_ptr(&self) -> Option<NonNull<u8>> {
        match &self.0.data {
            Data::Host(block) => Some(block.ptr()),
            Data::Foreign(_) => None,
        }
    }

    /// The device's handle, if it is an `H`.
    #[inline]
    pub fn handle<H: Any>(&self) -> Option<&H> {
        match &self.0.data {
            Data::Foreign(handle) => handle.downcast_ref(),
            Data::Host(_) => None,
        }
    }

    /// Whether nobody else holds this block and it may be written.
    #[inline]
    pub fn is_exclusive(&mut self) -> bool {
        // `get_mut` rather than the count: it synchronises with the drop of the last other clone.
        Arc::get_mut(&mut self.0).is_some_and(|b| b.writable)
    }

    /// A number that only clones of this buffer have, as long as one of them lives.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// Whether both are the same block.
    #[inline]
    pub fn same(&self, other: &Buffer) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes of memory {})", self.bytes(), self.memory().0)
    }
}

/// Memories by their numbers; `None` while one is being made.
type Memories = RwLock<Vec<Option<Arc<dyn Memory>>>>;

/// Every memory.
fn memories() -> &'static Memories {
    static MEMORIES: OnceLock<Memories> = OnceLock::new();
    MEMORIES.get_or_init(|| RwLock::new(vec![Some(Arc::new(HostMemory::new()))]))
}

/// Adds a memory; `make` is told the name it will have, so that the buffers it hands out can bear it. Nothing is locked while `make` runs.
pub fn register_memory<M: Memory + 'static>(make: impl FnOnce(MemoryId) -> Arc<M>) -> Arc<M> {
    let all = || memories().write().unwrap_or_else(|e| e.into_inner());
    let at = {
        let mut all = all();
        all.push(None);
        all.len() - 1
    };
    let memory = make(MemoryId(u32::try_from(at).expect("fewer than 2^32 memories")));
    all()[at] = Some(memory.clone());
    memory
}

/// The memory of that name.
///
/// # Panics
/// Before the [`register_memory`] that made the name has returned.
#[track_caller]
pub fn memory(id: MemoryId) -> Arc<dyn Memory> {
    let known = memories().read().unwrap_or_else(|e| e.into_inner())[id.0 as usize].clone();
    known.expect("register_memory has not returned yet: there is no memory of this name")
}

/// Elements that are widened, or narrowed, at a time.
const BLOCK: usize = 1 << 20;

/// Room for a block of `count` elements, or fewer, of `stored` bytes.
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

/// Copies elements of `dtype` from host bytes into `dst`, an element's stored form being what that memory says.
///
/// # Safety
/// As [`Memory::upload`]; `src` holds valid elements of `dtype`.
pub(crate) unsafe fn upload_elements(dtype: DType, src: &[u8], dst: &Buffer, at_element: usize) -> Result<()> {
    let to = memory(dst.memory());
    let stored = storable(&*to, dtype)?;
    if stored == dtype.size() {
        // SAFETY: the caller's conditions are those of `upload`.
        return unsafe { to.upload(src, dst, at_element * stored) };
    }
    let mut wide = block(src.len() / dtype.size(), stored)?;
    for (i, narrow) in src.chunks(BLOCK * dtype.size()).enumerate() {
        let wide = &mut wide[..narrow.len() / dtype.size() * stored];
        for (w, n) in wide.chunks_exact_mut(stored).zip(narrow.chunks_exact(dtype.size())) {
            w[..n.len()].copy_from_slice(n);
        }
        // SAFETY: as above; an element widened with zeros is the stored form of its value.
        unsafe { to.upload(wide, dst, (at_element + i * BLOCK) * stored) }?;
    }
    Ok(())
}

/// The reverse of [`upload_elements`]. A bool comes as `true` whatever it is stored as, unless that is 0, so that a device that writes
/// another number than 1 gives no invalid `bool`.
///
/// # Safety
/// As [`Memory::download`]; elements of other dtypes than bool are valid in any bits.
pub(crate) unsafe fn download_elements(dtype: DType, src: &Buffer, at_element: usize, dst: &mut [u8]) -> Result<()> {
    let from = memory(src.memory());
    let stored = storable(&*from, dtype)?;
    if stored == dtype.size() {
        // SAFETY: the caller's conditions are those of `download`.
        unsafe { from.download(src, at_element * stored, dst) }?;
        if dtype == DType::Bool {
            dst.iter_mut().for_each(|b| *b = u8::from(*b != 0));
        }
        return Ok(());
    }
    let mut wide = block(dst.len() / dtype.size(), stored)?;
    for (i, narrow) in dst.chunks_mut(BLOCK * dtype.size()).enumerate() {
        let wide = &mut wide[..narrow.len() / dtype.size() * stored];
        // SAFETY: as above.
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

/// The stored size of `dtype`, or the error that says it has none.
pub(crate) fn storable(memory: &dyn Memory, dtype: DType) -> Result<usize> {
    let info = memory.info();
    info.stored_size(dtype).ok_or_else(|| Error::Storage {
        dtype,
        memory: info.name.clone(),
        why: "the device has no such type".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// A memory that keeps bools in words, and the sizes of what is moved.
    struct Words {
        info: MemoryInfo,
        id: MemoryId,
        moved: Mutex<Vec<usize>>,
    }

    // SAFETY: blocks are vectors of their own, and both copies index them.
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
        // SAFETY: no array shows the buffer, which its memory filled.
        unsafe { upload_elements(DType::Bool, &bools, &buffer, 2) }.unwrap();
        let mut back = vec![7; count];
        // SAFETY: no array shows the buffer, which its memory filled.
        unsafe { download_elements(DType::Bool, &buffer, 2, &mut back) }.unwrap();
        assert!(back == bools);
        let mut part = [7; 4];
        // SAFETY: no array shows the buffer, which its memory filled.
        unsafe { download_elements(DType::Bool, &buffer, 1, &mut part) }.unwrap();
        assert_eq!(part, [0, 1, 0, 0]);
        // SAFETY: no array shows the buffer, which its memory filled.
        unsafe { download_elements(DType::Bool, &buffer, 0, &mut []) }.unwrap();
        // SAFETY: no array shows the buffer, which its memory filled.
        unsafe { upload_elements(DType::Bool, &[], &buffer, 0) }.unwrap();
        let moved = memory.moved.lock().unwrap();
        assert_eq!(moved[..6], [4 * BLOCK, 4 * BLOCK, 20, 4 * BLOCK, 4 * BLOCK, 20]);
    }
}
