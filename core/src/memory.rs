//! Memories and buffers: host memory, and the memory of each device.

use crate::{DType, Error, Result};
use std::any::Any;
use std::fmt;
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock, RwLock};

mod host;
pub(crate) mod map;
pub(crate) mod transfer;
pub use host::{HostMemory, trim};

use map::{Access, Map};

/// The number of a memory within this process. [`MemoryId::HOST`] is host memory; [`register_memory`] assigns the
/// others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryId(u32);

impl MemoryId {
    /// Host memory, which scalar code, SIMD and BLAS share.
    pub const HOST: MemoryId = MemoryId(0);
}

/// The limits and the estimated speed of a memory.
#[derive(Clone, Debug)]
pub struct MemoryInfo {
    /// The name in messages.
    pub name: String,
    /// The largest size of one allocation, in bytes.
    pub max_allocation: usize,
    /// The largest number of elements that an index can address (`u32::MAX` on most GPUs).
    pub max_elements: usize,
    /// The size in bytes of one stored element of each dtype, in the order of [`DType::ALL`]; 0 if the dtype cannot be
    /// stored. If it differs from [`DType::size`], the stored element is an unsigned integer of that width (for example
    /// a bool in a `u32` word).
    pub stored_sizes: [u8; DType::ALL.len()],
    /// The estimated upload bandwidth in bytes per second.
    pub upload_bandwidth: f64,
    /// The estimated download bandwidth in bytes per second.
    pub download_bandwidth: f64,
    /// The estimated minimum duration of a transfer in seconds.
    pub transfer_latency: f64,
}

impl MemoryInfo {
    /// Returns the size in bytes of a stored element of `dtype`; `None` if the dtype cannot be stored.
    #[inline]
    pub fn stored_size(&self, dtype: DType) -> Option<usize> {
        Some(usize::from(self.stored_sizes[dtype as usize])).filter(|&s| s > 0)
    }
}

/// A memory that arrays can reside in: the host, each GPU.
///
/// # Safety
/// Arrays expose the contents of a memory as initialised elements. An implementation guarantees that:
/// 1. [`info`](Memory::info) always returns the same values;
/// 2. [`alloc`](Memory::alloc) returns a buffer of this memory (created by [`Buffer::foreign`] with the [`MemoryId`]
///    from [`register_memory`]) of at least `bytes` bytes that no other buffer shares;
/// 3. [`upload`](Memory::upload) and [`download`](Memory::download) return an error or panic if the range does not lie
///    inside the buffer or the buffer is not of this memory, and never access anything outside the buffer;
/// 4. a download that returns `Ok` has filled all of `dst` with the bytes that were last uploaded, or last written by a
///    backend.
pub unsafe trait Memory: Send + Sync {
    /// Returns the limits of this memory.
    fn info(&self) -> &MemoryInfo;
    /// Allocates an uninitialised block of `bytes` bytes (at least 1). The caller writes every element before it is
    /// read.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; an implementation never aborts.
    fn alloc(&self, bytes: usize) -> Result<Buffer>;
    /// Copies `src` into `dst` from byte `at` on. Both lengths and `at` are multiples of the stored element size.
    ///
    /// # Errors
    /// The errors that the device reports.
    ///
    /// # Safety
    /// 1. No array shows the bytes of `dst` that are written, and no other thread accesses them during the call.
    /// 2. The bytes are valid elements of the dtype that an array over `dst` will have.
    unsafe fn upload(&self, src: &[u8], dst: &Buffer, at: usize) -> Result<()>;
    /// Copies from byte `at` of `src` on into `dst`, after all work that was submitted to the memory's devices before.
    ///
    /// # Errors
    /// The errors that the device reports.
    ///
    /// # Safety
    /// 1. The bytes of `src` that are read have been written by an upload, or by an operation that returned `Ok`.
    /// 2. No other thread writes them during the call.
    unsafe fn download(&self, src: &Buffer, at: usize, dst: &mut [u8]) -> Result<()>;
}

/// A reference-counted block of a memory. Clones share the block.
///
/// Invariants:
/// 1. a host block is valid for reads and writes of `bytes` bytes as long as any clone lives;
/// 2. its bytes are written only through an [`Array`](crate::Array) that is the only owner of the block, or by the
///    backend of an operation that has the block as its output, before any array shows it;
/// 3. blocks that this library allocates are aligned to 64 bytes, adopted blocks to the alignment of their element
///    type.
#[derive(Clone)]
pub struct Buffer(triomphe::Arc<Block>);

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
    /// Creates a block of a device's memory. Through `handle`, the device's backends find the block.
    ///
    /// # Errors
    /// [`Error::Argument`] for [`MemoryId::HOST`], whose blocks [`Buffer::host`] allocates.
    pub fn foreign(memory: MemoryId, bytes: usize, handle: impl Any + Send + Sync) -> Result<Buffer> {
        if memory == MemoryId::HOST {
            let why = "a block of host memory cannot have a foreign handle; use Buffer::host, Buffer::adopt or \
                       Buffer::read_only"
                .into();
            return Err(Error::Argument { op: "Buffer::foreign", name: "memory", value: "MemoryId::HOST".into(), why });
        }
        Ok(Buffer(triomphe::Arc::new(Block { memory, bytes, writable: true, data: Data::Foreign(Box::new(handle)) })))
    }

    /// Stands for the result of an operation that has not run, which will lie in this memory. It has no bytes.
    pub(crate) fn promised(memory: MemoryId) -> Buffer {
        Buffer(triomphe::Arc::new(Block { memory, bytes: 0, writable: false, data: Data::Foreign(Box::new(())) }))
    }

    /// Allocates an uninitialised block of host memory of `bytes` bytes, at least one.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if the machine does not have that much memory.
    pub fn host(bytes: usize) -> Result<Buffer> {
        let block = host::HostBlock::alloc(bytes.max(1))?;
        Ok(Buffer(triomphe::Arc::new(Block { memory: MemoryId::HOST, bytes, writable: true, data: Data::Host(block) })))
    }

    /// Allocates an uninitialised block of host memory for `count` elements of `dtype`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], also if the number of bytes overflows.
    pub(crate) fn elements(dtype: DType, count: usize) -> Result<Buffer> {
        Buffer::host(count.saturating_mul(dtype.size()))
    }

    /// Creates a block from the elements of `vec` without copying them.
    pub fn adopt<T: crate::Element>(vec: Vec<T>) -> Buffer {
        let bytes = size_of_val(&vec[..]);
        Buffer(triomphe::Arc::new(Block {
            memory: MemoryId::HOST,
            bytes,
            writable: true,
            data: Data::Host(host::HostBlock::adopt(vec)),
        }))
    }

    /// Creates a block of read-only bytes that `keep` owns, such as a memory map. Writing to an array over this block
    /// copies the elements first (copy on write).
    ///
    /// # Safety
    /// - `ptr` is valid for reads of `bytes` bytes, and nothing changes them, as long as `keep` lives;
    /// - for every dtype that arrays over this buffer are given, `ptr` is aligned and the bytes are valid elements.
    pub unsafe fn read_only(ptr: NonNull<u8>, bytes: usize, keep: impl Any + Send + Sync) -> Buffer {
        let block = host::HostBlock::kept(ptr, Box::new(keep));
        Buffer(triomphe::Arc::new(Block { memory: MemoryId::HOST, bytes, writable: false, data: Data::Host(block) }))
    }

    /// Creates a block of `bytes` bytes of a mapped file, from byte `start` on.
    pub(crate) fn mapped(map: Arc<Map>, start: usize, bytes: usize, writable: bool) -> Buffer {
        assert!(start.checked_add(bytes).is_some_and(|end| end <= map.len()), "a block past the end of a map");
        assert!(!writable || map.access() != Access::Read, "a block of a read-only map cannot be written");
        let block = host::HostBlock::mapped(map, start);
        Buffer(triomphe::Arc::new(Block { memory: MemoryId::HOST, bytes, writable, data: Data::Host(block) }))
    }

    /// The mapped file that the block is part of, if any, and the position of the block in it.
    pub(crate) fn map(&self) -> Option<(&Arc<Map>, usize)> {
        match &self.0.data {
            Data::Host(block) => block.map(),
            Data::Foreign(_) => None,
        }
    }

    /// Whether this is the only reference to the block, and no other block is part of the same mapped file.
    pub(crate) fn is_alone(&mut self) -> bool {
        match triomphe::Arc::get_mut(&mut self.0).map(|block| &mut block.data) {
            Some(Data::Host(block)) => block.is_alone(),
            Some(Data::Foreign(_)) => true,
            None => false,
        }
    }

    /// The memory of this block.
    #[inline]
    pub fn memory(&self) -> MemoryId {
        self.0.memory
    }

    /// The length in bytes.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// The address of a host block; `None` for a block of a device. Reads and writes through the pointer must uphold
    /// the invariants above.
    #[inline]
    pub fn host_ptr(&self) -> Option<NonNull<u8>> {
        match &self.0.data {
            Data::Host(block) => Some(block.ptr()),
            Data::Foreign(_) => None,
        }
    }

    /// The device's handle, if its type is `H`.
    #[inline]
    pub fn handle<H: Any>(&self) -> Option<&H> {
        match &self.0.data {
            Data::Foreign(handle) => handle.downcast_ref(),
            Data::Host(_) => None,
        }
    }

    /// Whether this is the only reference to the block and the block may be written.
    #[inline]
    pub fn is_exclusive(&mut self) -> bool {
        // Uses `get_mut` instead of the reference count, because `get_mut` synchronises with the drop of the last other
        // clone.
        triomphe::Arc::get_mut(&mut self.0).is_some_and(|b| b.writable)
    }

    /// A number that identifies the block: equal for clones of this buffer, unique as long as one of them lives.
    pub(crate) fn id(&self) -> usize {
        triomphe::Arc::as_ptr(&self.0) as usize
    }

    /// Whether both buffers are the same block.
    #[inline]
    pub fn same(&self, other: &Buffer) -> bool {
        triomphe::Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes of memory {})", self.bytes(), self.memory().0)
    }
}

/// The memories, indexed by their numbers. An entry is `None` while its memory is being created.
type Memories = RwLock<Vec<Option<Arc<dyn Memory>>>>;

/// All registered memories.
fn memories() -> &'static Memories {
    static MEMORIES: OnceLock<Memories> = OnceLock::new();
    MEMORIES.get_or_init(|| RwLock::new(vec![Some(Arc::new(HostMemory::new()))]))
}

/// Registers a memory. `make` receives the id of the new memory, which the memory's buffers must carry. No lock is held
/// while `make` runs.
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

/// Returns the memory with this id.
///
/// # Panics
/// If the [`register_memory`] call that assigned the id has not returned yet.
#[track_caller]
pub fn memory(id: MemoryId) -> Arc<dyn Memory> {
    let known = memories().read().unwrap_or_else(|e| e.into_inner())[id.0 as usize].clone();
    known.expect("no memory has this id yet: register_memory has not returned")
}
