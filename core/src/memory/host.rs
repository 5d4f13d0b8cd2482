//! The host's memory: aligned blocks from a pool that keeps large freed ones.

use super::{Buffer, Memory, MemoryInfo};
use crate::{DType, Element, Error, Result, fork, trace};
use smallvec::SmallVec;
use std::alloc::Layout;
use std::any::Any;
use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::{Mutex, OnceLock};

/// Alignment of every block this library allocates: one cache line, one AVX-512 register.
const ALIGN: usize = 64;
/// Blocks from this size on lie on huge pages where the system has them, and are kept when freed: below it, the
/// system's allocator hands out warm memory by itself.
const LARGE: usize = 128 << 10;
/// Size of a huge page; blocks of at least this size are aligned to it.
const HUGE: usize = 2 << 20;

/// One block of host memory and how to give it back.
pub(super) struct HostBlock {
    ptr: NonNull<u8>,
    owner: Owner,
}

enum Owner {
    /// From [`allocate`]; given to the pool.
    Pool(Layout),
    /// From the global allocator, by way of a `Vec`.
    Vec(Layout),
    /// Somebody else's, alive as long as the box.
    Kept(#[expect(dead_code, reason = "held for its drop")] Box<dyn Any + Send + Sync>),
}

// SAFETY: a block is plain bytes; who may write them is decided by `Buffer`'s invariant 2, which needs exclusive ownership.
unsafe impl Send for HostBlock {}
// SAFETY: as above; shared blocks are only read.
unsafe impl Sync for HostBlock {}

/// Sizes up to this are rounded up to a power of two (of at least [`ALIGN`]), and each thread keeps a few freed blocks of each:
/// the system's aligned allocation costs more than an operation on a few elements.
const SMALL: usize = 1 << 10;
/// Blocks of a small size that a thread keeps.
const SMALL_KEPT: usize = 16;

/// A thread's freed small blocks, by size.
struct SmallBlocks([Vec<NonNull<u8>>; (SMALL / ALIGN).ilog2() as usize + 1]);

impl Drop for SmallBlocks {
    fn drop(&mut self) {
        for (class, blocks) in self.0.iter_mut().enumerate() {
            for ptr in blocks.drain(..) {
                // SAFETY: a block in list `class` came from `allocate` with that class's layout.
                unsafe { std::alloc::dealloc(ptr.as_ptr(), small_layout(class)) };
            }
        }
    }
}

thread_local! {
    static SMALL_BLOCKS: RefCell<SmallBlocks> = const { RefCell::new(SmallBlocks([const { Vec::new() }; 5])) };
}

/// Which list of small blocks serves a size.
fn small_class(bytes: usize) -> usize {
    bytes.div_ceil(ALIGN).next_power_of_two().ilog2() as usize
}

fn small_layout(class: usize) -> Layout {
    Layout::from_size_align(ALIGN << class, ALIGN).expect("a power of two below a page")
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
        let layout = layout_for(bytes).ok_or_else(|| exhausted(bytes, "more than an address can count"))?;
        // The lock is released at the end of this statement: a failed allocation trims the pool, which takes it again.
        let kept = if layout.size() < LARGE { None } else { fork::lock(pool()).and_then(|mut pool| pool.take(layout)) };
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

    pub(super) fn ptr(&self) -> NonNull<u8> {
        self.ptr
    }
}

impl Drop for HostBlock {
    fn drop(&mut self) {
        match self.owner {
            Owner::Pool(layout) if layout.size() <= SMALL => release_small(self.ptr, layout),
            Owner::Pool(layout) => release(self.ptr, layout),
            // SAFETY: `adopt` took pointer and layout from a Vec whose memory came from the global allocator (a Vec without capacity has none to free).
            Owner::Vec(layout) if layout.size() > 0 => unsafe { std::alloc::dealloc(self.ptr.as_ptr(), layout) },
            Owner::Vec(_) | Owner::Kept(_) => {}
        }
    }
}

/// The layout a request is served with: sizes of large blocks are rounded up to eighths of a power of two, so that freed ones fit again.
fn layout_for(bytes: usize) -> Option<Layout> {
    if bytes < LARGE {
        return Layout::from_size_align(bytes, ALIGN).ok();
    }
    let step = bytes.checked_next_power_of_two()? / 16;
    let size = bytes.div_ceil(step).checked_mul(step)?;
    Layout::from_size_align(size, if bytes >= HUGE { HUGE } else { 4096 }).ok()
}

fn exhausted(bytes: usize, why: impl Into<String>) -> Error {
    Error::OutOfMemory { memory: "the host".into(), bytes, why: why.into() }
}

fn allocate(layout: Layout) -> Result<NonNull<u8>> {
    if let Some(total) = physical_memory().filter(|&total| layout.size() > total) {
        return Err(exhausted(layout.size(), format!("the machine has {total}")));
    }
    let try_once = || {
        // SAFETY: the size is at least 1 (`Buffer::host`), the alignment a power of two.
        NonNull::new(unsafe { std::alloc::alloc(layout) })
    };
    let ptr = try_once().or_else(|| {
        trim();
        try_once()
    });
    let ptr = ptr.ok_or_else(|| exhausted(layout.size(), "the system refused"))?;
    #[cfg(target_os = "linux")]
    if layout.size() >= HUGE {
        // SAFETY: the range was just allocated; the advice does not change its contents, and failure is harmless.
        unsafe { libc::madvise(ptr.as_ptr().cast(), layout.size(), libc::MADV_HUGEPAGE) };
    }
    Ok(ptr)
}

fn release_small(ptr: NonNull<u8>, layout: Layout) {
    let kept = SMALL_BLOCKS.try_with(|b| {
        let list = &mut b.borrow_mut().0[small_class(layout.size())];
        let room = list.len() < SMALL_KEPT;
        if room {
            list.push(ptr);
        }
        room
    });
    // Without room, and while the thread ends, the block goes back.
    if !kept.unwrap_or(false) {
        // SAFETY: it came from `allocate` with this layout, and its owner is being dropped.
        unsafe { std::alloc::dealloc(ptr.as_ptr(), layout) };
    }
}

fn release(ptr: NonNull<u8>, layout: Layout) {
    let pool = if layout.size() < LARGE { None } else { fork::lock(pool()) };
    let evicted = pool.map_or_else(|| SmallVec::from_iter([(ptr, layout)]), |mut pool| pool.put(ptr, layout));
    free(evicted);
}

/// Gives blocks that have left the pool back to the system.
fn free(blocks: Blocks) {
    for (ptr, layout) in blocks {
        // SAFETY: every pointer in the pool came from `allocate` with the layout kept beside it, and has left the pool.
        unsafe { std::alloc::dealloc(ptr.as_ptr(), layout) };
    }
}

/// Blocks that the pool keeps at most.
const KEPT: usize = 64;

/// Freed blocks, in place: freeing memory must not need any.
type Blocks = SmallVec<[(NonNull<u8>, Layout); KEPT + 1]>;

/// Freed large blocks, most recently freed last, at most `limit` bytes of them.
struct Pool {
    blocks: Blocks,
    bytes: usize,
    limit: usize,
}

// SAFETY: the blocks in the pool have no owner; handing them to another thread moves them.
unsafe impl Send for Pool {}

impl Pool {
    fn take(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let at = self.blocks.iter().rposition(|&(_, l)| l == layout)?;
        self.bytes -= layout.size();
        Some(self.blocks.remove(at).0)
    }

    /// Keeps a block; returns those that have to go for it.
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

/// Gives all freed blocks that are kept for reuse back to the system. At most a sixteenth of the machine's memory is ever kept.
pub fn trim() {
    let blocks = {
        let Some(mut pool) = fork::lock(pool()) else { return };
        pool.bytes = 0;
        std::mem::take(&mut pool.blocks)
    };
    free(blocks);
}

/// Bytes of memory the machine has, where the system tells.
fn physical_memory() -> Option<usize> {
    static TOTAL: OnceLock<Option<usize>> = OnceLock::new();
    *TOTAL.get_or_init(|| {
        #[cfg(unix)]
        {
            // SAFETY: sysconf takes a number and returns one.
            let (pages, size) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
            usize::try_from(pages).ok().zip(usize::try_from(size).ok()).and_then(|(p, s)| p.checked_mul(s))
        }
        #[cfg(not(unix))]
        None
    })
}

/// The host's memory as a [`Memory`].
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

// SAFETY: the info is fixed at construction; `Buffer::host` allocates every block anew; both copies check kind and range of the buffer first.
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
        // SAFETY: the range was checked; nobody else accesses those bytes of `dst` (the caller's first condition), so they do not overlap `src`.
        unsafe { std::ptr::copy_nonoverlapping(src.as_ptr(), to.as_ptr().add(at), src.len()) };
        Ok(())
    }

    unsafe fn download(&self, src: &Buffer, at: usize, dst: &mut [u8]) -> Result<()> {
        assert!(at.checked_add(dst.len()).is_some_and(|end| end <= src.bytes()), "download past the end of a buffer");
        let from = src.host_ptr().expect("a host buffer");
        // SAFETY: the range was checked, its bytes have been written (the caller's first condition); `dst` is exclusively borrowed, so it does not overlap.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr().add(at), dst.as_mut_ptr(), dst.len()) };
        Ok(())
    }
}
