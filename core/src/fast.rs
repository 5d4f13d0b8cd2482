//! Fast path for small operations on the host: passes their operands straight to a backend, because preparing an [`Op`]
//! would take a noticeable share of the time.
//!
//! Under `auto`, the regular cost estimates choose the backend once for each kind of work, dtype, size and limit of
//! threads. Each thread caches these choices.

use crate::backend::Backend;
use crate::device::{self, Device, Slot};
use crate::op::Op;
use crate::small::{Prepared, Small};
use crate::{Error, MemoryId, Program, Result, config, plan, trace};
use smallvec::SmallVec;
use std::cell::Cell;
use std::sync::Arc;

/// The largest size of an operand in bytes. Preparing an operation takes about a microsecond, in which a core moves 100
/// KB; for smaller operands this is a noticeable share.
pub(crate) const SMALL: usize = 256 << 10;
/// The largest size in bytes of an array that core itself copies, fills or converts.
pub(crate) const COPIED: usize = 64 << 10;

/// The result of a step of the fast path. Errors are boxed, because a result with the size of an error is moved through
/// memory at each return, which takes longer than small work.
pub(crate) type Quick<T> = std::result::Result<T, Box<Error>>;

/// The number of choices that each thread caches.
const CHOICES: usize = 64;

/// The key of a cached choice.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Key {
    /// A hash of the kind of work, its dtypes and sizes, and the limit of threads. Two kinds of work that share a hash
    /// share a choice, which costs time at most: a backend refuses what it cannot run.
    work: u64,
    /// Changes when a backend is registered, which invalidates earlier choices.
    generation: usize,
}

impl Key {
    /// Makes the key of work that the numbers `parts` describe.
    #[inline]
    pub(crate) fn new(parts: impl IntoIterator<Item = u64>) -> Key {
        let work = parts.into_iter().fold(mixed(config::threads() as u64, 0), mixed);
        Key { work, generation: device::generation() }
    }

    /// Returns the places where the choice may be cached. Two kinds of work of one loop seldom share both.
    fn places(&self) -> [usize; 2] {
        [(self.work >> 32) as usize % CHOICES, (self.work >> 48) as usize % CHOICES]
    }
}

/// Adds a number to a hash by one multiplication (Knuth, The Art of Computer Programming 3, section 6.4: the factor is
/// an odd number near 2^64 divided by the golden ratio).
#[inline]
fn mixed(hash: u64, n: u64) -> u64 {
    (hash.rotate_left(5) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A cached choice: the device that runs the work of `key` on the fast path, or `None` if no device does.
struct Choice {
    key: Key,
    slot: Option<Arc<Slot>>,
}

thread_local! {
    static MEMORY: [Cell<Option<Choice>>; CHOICES] = const { [const { Cell::new(None) }; CHOICES] };
}

/// The fast path is off while a trace is recorded or the configuration is invalid: only the regular path records
/// operations and reports the error.
pub(crate) fn is_open() -> bool {
    !trace::is_recording() && config::config().check().is_ok()
}

/// Whether core may itself fill and copy small arrays of the host: the fast path is open, and the current device is
/// `auto`. A named device does its own work, or refuses it.
///
/// # Errors
/// As [`Device::current`].
pub(crate) fn is_open_to_core() -> Result<bool> {
    Ok(Device::current()?.0.is_none() && is_open())
}

/// Whether the current device may take the fast path: it is `auto`, or one of a linked crate that works in host memory.
pub(crate) fn may_run() -> bool {
    let here = |slot: &Arc<Slot>| !slot.registered && slot.opened().is_some_and(|b| b.memory() == MemoryId::HOST);
    device::with_current(|slot| slot.is_none_or(here))
}

/// Runs `work` on the fast path and returns whether a backend did it. `op` builds the equivalent [`Op`], with which a
/// backend is chosen if no choice is cached for `key`.
///
/// # Safety
/// `work` keeps the invariants that its variant states.
pub(crate) unsafe fn run(work: &Small, key: impl FnOnce() -> Key, op: impl FnOnce() -> Result<Op>) -> Quick<bool> {
    // SAFETY: the caller guarantees the invariants of `work`.
    let give = |backend: &dyn Backend| unsafe { backend.run_small(work) };
    // The output of a registered backend must be filled with zeros and validated. Its work therefore takes the regular
    // path.
    let give = |slot: &Arc<Slot>| {
        !slot.registered && slot.opened().filter(|b| b.memory() == MemoryId::HOST).is_some_and(|b| give(&**b))
    };
    if let Some(done) = device::with_current(|slot| slot.map(give)) {
        return Ok(done);
    }
    let key = key();
    if let Some(done) = cached(&key, give) {
        return Ok(done);
    }
    let slot = find(op, |slot| give(slot).then(|| slot.clone()))?;
    let done = slot.is_some();
    remember(Choice { key, slot });
    Ok(done)
}

/// Returns the first result of `give` for the devices that may run the work of `op` on the fast path.
fn find<R>(op: impl FnOnce() -> Result<Op>, give: impl FnMut(&Arc<Slot>) -> Option<R>) -> Result<Option<R>> {
    // The environment may name a device. Otherwise the first candidate is the device that would run the operation on
    // the regular path. The others are hardware devices of the host that accept the operation: their fast path is
    // faster than that device's regular path.
    let device = Device::current()?;
    Ok(match &device.0 {
        Some(named) => std::iter::once(named).find_map(give),
        None => candidates(&op()?)?.iter().find_map(give),
    })
}

/// Returns `program`, prepared by the current device, or under `auto` by the device that would run `op` or another one
/// of the host. Returns `None` if these devices do not prepare it.
pub(crate) fn prepare(program: &Program, op: impl FnOnce() -> Result<Op>) -> Result<Option<Box<dyn Prepared>>> {
    // The output of a registered backend must be filled with zeros and validated, as in `run`.
    let on_host = |b: &&Arc<dyn Backend>| b.memory() == MemoryId::HOST;
    find(op, |slot| slot.opened().filter(|_| !slot.registered).filter(on_host)?.prepare(program))
}

/// Returns the devices that may run small work under `auto`, best first: none if the operation belongs elsewhere, on
/// several threads, or on a registered backend.
fn candidates(op: &Op) -> Result<SmallVec<[Arc<Slot>; 4]>> {
    let Some(first) = plan::single_threaded(op, &Device::auto())?.filter(|slot| !slot.registered) else {
        return Ok(SmallVec::new());
    };
    let able = |slot: &&Arc<Slot>| {
        slot.opened().is_some_and(|b| b.info().hardware && b.memory() == MemoryId::HOST && b.estimate(op, 1).is_ok())
    };
    Ok(std::iter::once(&first).chain(device::slots().iter().filter(able)).cloned().collect())
}

/// Calls `give` with the cached choice for `key` and returns its result, or `None` if no choice is cached.
fn cached(key: &Key, give: impl Fn(&Arc<Slot>) -> bool) -> Option<bool> {
    // The choice is taken out of its cell during the call, because the backend may reenter this function. `try_with`
    // fails while the thread ends; then nothing is cached.
    key.places().into_iter().find_map(|place| {
        let choice = MEMORY.try_with(|all| all[place].take()).ok().flatten()?;
        let done = (choice.key == *key).then(|| choice.slot.as_ref().is_some_and(&give));
        put(place, choice);
        done
    })
}

/// Caches a choice in its first place. The choice that was there moves to its own other place.
fn remember(choice: Choice) {
    let [first, _] = choice.key.places();
    if let Some(old) = put(first, choice) {
        let [one, other] = old.key.places();
        put(if one == first { other } else { one }, old);
    }
}

fn put(place: usize, choice: Choice) -> Option<Choice> {
    // The previous choice is returned, so it is dropped, possibly together with a backend, while nothing is borrowed.
    // `try_with` fails while the thread ends.
    MEMORY.try_with(|all| all[place].replace(Some(choice))).ok().flatten()
}
