//! Host memory: aligned blocks from a pool that keeps large freed blocks.

use super::map::Map;
use super::{Buffer, Memory, MemoryInfo};
use crate::{DType, Element, Error, Result, fork, trace};
use smallvec::SmallVec;
use std::alloc::Layout;
use std::any::Any;
use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, OnceLock};

/// The alignment of every block that this library allocates: one cache line, one AVX-512 register.
const ALIGN: usize = 64;
/// The size of a huge page. Blocks of at least this size are aligned to it and use huge pages where the system has
/// them.
const HUGE: usize = 2 << 20;

/// A block of host memory and the way to free it.
pub(super) struct HostBlock {
    ptr: NonNull<u8>,
    owner: Owner,
}

enum Owner {
    /// Allocated by [`allocate`]; kept for reuse, or freed.
    Pool(Layout),
    /// Allocated by the global allocator through a `Vec`.
    Vec(Layout),
    /// Part of a mapped file, from this byte on.
    Map(Arc<Map>, usize),
    /// Owned by the box.
    Kept(#[expect(dead_code, reason = "held for its drop")] Box<dyn Any + Send + Sync>),
}

// SAFETY: a block is plain bytes. Invariant 2 of `Buffer` allows writes only with exclusive ownership or by the one
// backend whose output the block is.
unsafe impl Send for HostBlock {}
// SAFETY: shared blocks are only read, by invariant 2 of `Buffer`.
unsafe impl Sync for HostBlock {}

/// The largest size of a small block. Larger ones are kept in a pool that all threads share. The sizes of small blocks
/// are rounded up to a power of two (at least [`ALIGN`]) or three quarters of one, and each thread keeps a few freed
/// blocks of each size: the system's aligned allocation costs more than an operation on a thousand elements.
const SMALL: usize = 128 << 10;
/// The number of size classes: the powers of two from [`ALIGN`] to [`SMALL`], and the steps between them.
const CLASSES: usize = 2 * (SMALL / ALIGN).ilog2() as usize + 1;

/// Returns the number of freed blocks of a size that a thread keeps: 16 KiB of them, between 2 and 16.
fn small_kept(bytes: usize) -> usize {
    ((16 << 10) / bytes).clamp(2, 16)
}

/// The freed small blocks of a thread, one list for each size class.
struct SmallBlocks([Vec<NonNull<u8>>; CLASSES]);

impl SmallBlocks {
    fn free(&mut self) {
        for (class, blocks) in self.0.iter_mut().enumerate() {
            for ptr in blocks.drain(..) {
                // SAFETY: a block in list `class` was allocated by `allocate` with the layout of that class.
                unsafe { std::alloc::dealloc(ptr.as_ptr(), small_layout(class)) };
            }
        }
    }
}

impl Drop for SmallBlocks {
    fn drop(&mut self) {
        self.free();
    }
}

thread_local! {
    static SMALL_BLOCKS: RefCell<SmallBlocks> = const { RefCell::new(SmallBlocks([const { Vec::new() }; CLASSES])) };
}

/// Returns the size class (the index of the list of freed blocks) for a size: even ones have a power of two.
fn small_class(bytes: usize) -> usize {
    let lines = bytes.div_ceil(ALIGN).max(1);
    let class = 2 * lines.next_power_of_two().ilog2() as usize;
    // Three quarters of a cache line or of two are no whole number of lines.
    if class >= 4 && lines <= 3 << (class / 2 - 2) { class - 1 } else { class }
}

fn small_layout(class: usize) -> Layout {
    let lines = if class.is_multiple_of(2) { 1 << (class / 2) } else { 3 << (class.div_ceil(2) - 2) };
    Layout::from_size_align(ALIGN * lines, ALIGN).expect("the alignment is a power of two and the size is small")
}

impl HostBlock {
    pub(super) fn alloc(bytes: usize) -> Result<HostBlock> {
        if bytes <= SMALL {
            let class = small_class(bytes);
            let kept = SMALL_BLOCKS.try_with(|b| b.borrow_mut().0[class].pop()).ok().flatten();
            trace::allocated(bytes, kept.is_some());
            let ptr = kept.map_or_else(|| allocate(small_layout(class)), Ok)?;
            return Ok(HostBlock { ptr, owner: Owner::Pool(small_layout(class)) });
        }
        let layout = layout_for(bytes).ok_or_else(|| exhausted(bytes, "the size overflows the address space"))?;
        // The lock guard is dropped at the end of this statement, because a failed allocation trims the pool, which
        // locks it again.
        let kept = fork::lock(pool()).and_then(|mut pool| pool.take(layout));
        trace::allocated(bytes, kept.is_some());
        let ptr = kept.map_or_else(|| allocate(layout), Ok)?;
        Ok(HostBlock { ptr, owner: Owner::Pool(layout) })
    }

    pub(super) fn adopt<T: Element>(vec: Vec<T>) -> HostBlock {
        let mut vec = std::mem::ManuallyDrop::new(vec);
        let layout = Layout::array::<T>(vec.capacity()).expect("the layout of a Vec that exists");
        HostBlock {
            ptr: NonNull::new(vec.as_mut_ptr().cast()).expect("a Vec's pointer is not null"),
            owner: Owner::Vec(layout),
        }
    }

    pub(super) fn kept(ptr: NonNull<u8>, keep: Box<dyn Any + Send + Sync>) -> HostBlock {
        HostBlock { ptr, owner: Owner::Kept(keep) }
    }

    /// Returns the block of a mapped file that begins at byte `start`.
    pub(super) fn mapped(map: Arc<Map>, start: usize) -> HostBlock {
        assert!(start <= map.len());
        let ptr = NonNull::new(map.ptr().wrapping_add(start)).expect("a map does not begin at address zero");
        HostBlock { ptr, owner: Owner::Map(map, start) }
    }

    /// Returns the mapped file that the block is part of, if any, and the position of the block in it.
    pub(super) fn map(&self) -> Option<(&Arc<Map>, usize)> {
        match &self.owner {
            Owner::Map(map, start) => Some((map, *start)),
            _ => None,
        }
    }

    /// Whether no other block is part of the same mapped file.
    pub(super) fn is_alone(&mut self) -> bool {
        match &mut self.owner {
            Owner::Map(map, _) => Arc::get_mut(map).is_some(),
            _ => true,
        }
    }

    pub(super) fn ptr(&self) -> NonNull<u8> {
        self.ptr
    }
}

impl Drop for HostBlock {
    fn drop(&mut self) {
        match self.owner {
            Owner::Pool(layout) if layout.size() <= SMALL => release_small(self.ptr, layout),
            Owner::Pool(layout) => release(self.ptr, layout),
            // SAFETY: `adopt` stored the pointer and the layout of a Vec whose memory came from the global allocator.
            // (A Vec without capacity has no memory to free.)
            Owner::Vec(layout) if layout.size() > 0 => unsafe { std::alloc::dealloc(self.ptr.as_ptr(), layout) },
            Owner::Vec(_) | Owner::Map(..) | Owner::Kept(_) => {}
        }
    }
}

/// Returns the layout that is allocated for a request. Sizes of large blocks are rounded up to eighths of a power of
/// two, so that freed blocks can be reused.
fn layout_for(bytes: usize) -> Option<Layout> {
    let step = bytes.checked_next_power_of_two()? / 16;
    let size = bytes.div_ceil(step).checked_mul(step)?;
    Layout::from_size_align(size, if bytes >= HUGE { HUGE } else { 4096 }).ok()
}

fn exhausted(bytes: usize, why: impl Into<String>) -> Error {
    Error::OutOfMemory { memory: "the host".into(), bytes, why: why.into() }
}

fn allocate(layout: Layout) -> Result<NonNull<u8>> {
    if let Some(total) = physical_memory().filter(|&total| layout.size() > total) {
        return Err(exhausted(layout.size(), format!("the machine has only {total} bytes of memory")));
    }
    let try_once = || {
        // SAFETY: the size is at least 1 (`Buffer::host`), and the alignment is a power of two.
        NonNull::new(unsafe { std::alloc::alloc(layout) })
    };
    let ptr = try_once().or_else(|| {
        trim();
        try_once()
    });
    let ptr = ptr.ok_or_else(|| exhausted(layout.size(), "the allocator returned no memory"))?;
    #[cfg(target_os = "linux")]
    if layout.size() >= HUGE {
        // SAFETY: the range was just allocated. The advice does not change its contents, and a failure is harmless.
        unsafe { libc::madvise(ptr.as_ptr().cast(), layout.size(), libc::MADV_HUGEPAGE) };
    }
    Ok(ptr)
}

fn release_small(ptr: NonNull<u8>, layout: Layout) {
    let kept = SMALL_BLOCKS.try_with(|b| {
        let list = &mut b.borrow_mut().0[small_class(layout.size())];
        let room = list.len() < small_kept(layout.size());
        if room {
            list.push(ptr);
        }
        room
    });
    // If the list is full, or the thread ends, the block is freed.
    if !kept.unwrap_or(false) {
        // SAFETY: the block was allocated by `allocate` with this layout, and its owner is being dropped.
        unsafe { std::alloc::dealloc(ptr.as_ptr(), layout) };
    }
}

fn release(ptr: NonNull<u8>, layout: Layout) {
    let evicted =
        fork::lock(pool()).map_or_else(|| SmallVec::from_iter([(ptr, layout)]), |mut pool| pool.put(ptr, layout));
    free(evicted);
}

/// Frees blocks that have left the pool.
fn free(blocks: Blocks) {
    for (ptr, layout) in blocks {
        // SAFETY: every pointer in the pool was allocated by `allocate` with the layout stored beside it, and this
        // block has left the pool.
        unsafe { std::alloc::dealloc(ptr.as_ptr(), layout) };
    }
}

/// The largest number of blocks in the pool.
const KEPT: usize = 64;

/// Freed blocks, stored inline: freeing memory must not allocate.
type Blocks = SmallVec<[(NonNull<u8>, Layout); KEPT + 1]>;

/// Freed large blocks, most recently freed last, of at most `limit` bytes in total.
struct Pool {
    blocks: Blocks,
    bytes: usize,
    limit: usize,
}

// SAFETY: the blocks in the pool have no owner, so another thread may take them over.
unsafe impl Send for Pool {}

impl Pool {
    fn take(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let at = self.blocks.iter().rposition(|&(_, l)| l == layout)?;
        self.bytes -= layout.size();
        Some(self.blocks.remove(at).0)
    }

    /// Adds a block to the pool. Removes and returns the oldest blocks if the pool exceeds its limits.
    fn put(&mut self, ptr: NonNull<u8>, layout: Layout) -> Blocks {
        self.blocks.push((ptr, layout));
        self.bytes += layout.size();
        let (mut count, mut bytes) = (0, self.bytes);
        while bytes > self.limit || self.blocks.len() - count > KEPT {
            bytes -= self.blocks[count].1.size();
            count += 1;
        }
        self.bytes = bytes;
        self.blocks.drain(..count).collect()
    }
}

fn pool() -> &'static Mutex<Pool> {
    static POOL: OnceLock<Mutex<Pool>> = OnceLock::new();
    POOL.get_or_init(|| {
        Mutex::new(Pool { blocks: Blocks::new(), bytes: 0, limit: physical_memory().map_or(256 << 20, |m| m / 16) })
    })
}

/// Frees all large blocks (more than 128 KiB) that are kept for reuse, and the small ones of this thread. The pool
/// never holds more than a sixteenth of the machine's memory (256 MiB if its size is unknown), and a thread less than
/// a mebibyte of small blocks.
pub fn trim() {
    // A thread that ends has freed its blocks.
    let _ = SMALL_BLOCKS.try_with(|blocks| blocks.borrow_mut().free());
    let blocks = {
        let Some(mut pool) = fork::lock(pool()) else { return };
        pool.bytes = 0;
        std::mem::take(&mut pool.blocks)
    };
    free(blocks);
}

/// Returns the size of the machine's memory in bytes, if the system reports it.
fn physical_memory() -> Option<usize> {
    static TOTAL: OnceLock<Option<usize>> = OnceLock::new();
    *TOTAL.get_or_init(|| {
        #[cfg(unix)]
        {
            // SAFETY: `sysconf` has no preconditions: its argument and its result are plain numbers.
            let (pages, size) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
            usize::try_from(pages).ok().zip(usize::try_from(size).ok()).and_then(|(p, s)| p.checked_mul(s))
        }
        #[cfg(not(unix))]
        None
    })
}

/// Host memory as a [`Memory`].
pub struct HostMemory {
    info: MemoryInfo,
}

impl HostMemory {
    pub(super) fn new() -> HostMemory {
        let stored_sizes = DType::ALL.map(|d| d.size() as u8);
        HostMemory {
            info: MemoryInfo {
                name: "the host".into(),
                max_allocation: isize::MAX as usize,
                max_elements: isize::MAX as usize,
                stored_sizes,
                upload_bandwidth: 1e10,
                download_bandwidth: 1e10,
                transfer_latency: 0.0,
            },
        }
    }
}

// SAFETY: the info is fixed at construction. `Buffer::host` returns a block that no other buffer shares. Both copies
// check that the buffer is a host buffer and that the range lies inside it.
unsafe impl Memory for HostMemory {
    fn info(&self) -> &MemoryInfo {
        &self.info
    }

    fn alloc(&self, bytes: usize) -> Result<Buffer> {
        Buffer::host(bytes)
    }

    unsafe fn upload(&self, src: &[u8], dst: &Buffer, at: usize) -> Result<()> {
        assert!(at.checked_add(src.len()).is_some_and(|end| end <= dst.bytes()), "upload past the end of a buffer");
        let to = dst.host_ptr().expect("a host buffer");
        // SAFETY: the range was checked. No other thread accesses these bytes of `dst` and no array shows them (the
        // caller's condition 1), so they do not overlap `src`.
        unsafe { std::ptr::copy_nonoverlapping(src.as_ptr(), to.as_ptr().add(at), src.len()) };
        Ok(())
    }

    unsafe fn download(&self, src: &Buffer, at: usize, dst: &mut [u8]) -> Result<()> {
        assert!(at.checked_add(dst.len()).is_some_and(|end| end <= src.bytes()), "download past the end of a buffer");
        let from = src.host_ptr().expect("a host buffer");
        // SAFETY: the range was checked, and its bytes have been written (the caller's condition 1). `dst` is
        // exclusively borrowed, so it does not overlap `src`.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr().add(at), dst.as_mut_ptr(), dst.len()) };
        Ok(())
    }
}
