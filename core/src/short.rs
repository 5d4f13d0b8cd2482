//! Who does small things on the host: work for which an operation's preparations would be felt goes straight to a backend.
//!
//! Under `auto` that is decided the long way once and remembered for each kind of work, dtype, size and limit of threads.

use crate::backend::{Backend, Step};
use crate::device::{self, Device, Slot};
use crate::op::Op;
use crate::{DType, MemoryId, Result, choose, config, trace};
use std::cell::Cell;
use std::sync::Arc;

/// Decisions remembered on each thread.
const CHOICES: usize = 64;

/// A kind of small work.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Work {
    /// A ufunc.
    Step(Step),
    /// A product of matrices.
    Product,
}

/// What a decision depends on.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Key {
    work: Work,
    dtype: DType,
    lens: [usize; 3],
    threads: usize,
    /// Devices may have been added since.
    generation: usize,
}

impl Key {
    pub(crate) fn new(work: Work, dtype: DType, lens: [usize; 3]) -> Key {
        Key { work, dtype, lens, threads: config::threads(), generation: device::generation() }
    }

    fn place(&self) -> usize {
        let work = match self.work {
            Work::Step(Step::Unary(op)) => op as usize,
            Work::Step(Step::Binary(op)) => op as usize + 29,
            Work::Product => 61,
        };
        let len = self.lens.iter().fold(0, |sum: usize, n| sum.wrapping_mul(37).wrapping_add(*n));
        (len.wrapping_mul(31) + work * 7 + self.dtype as usize) % CHOICES
    }
}

/// A decision: who does this, if anybody does it this way.
struct Choice {
    key: Key,
    slot: Option<Arc<Slot>>,
}

thread_local! {
    static MEMORY: [Cell<Option<Choice>>; CHOICES] = const { [const { Cell::new(None) }; CHOICES] };
}

/// Whether the short way is open: somebody who records, or an error to be told, wants the long one.
pub(crate) fn is_open() -> bool {
    !trace::is_recording() && config::config().check().is_ok()
}

/// Whether a backend did the work, which `give` asks of one; `op` is what it is the long way.
pub(crate) fn run(
    key: impl FnOnce() -> Key,
    mut give: impl FnMut(&dyn Backend) -> bool,
    op: impl FnOnce() -> Result<Op>,
) -> Result<bool> {
    // A registered backend's output has to be filled and checked: its work comes as an operation.
    let mut give = |slot: &Arc<Slot>| {
        !slot.registered && slot.opened().filter(|b| b.memory() == MemoryId::HOST).is_some_and(|b| give(&**b))
    };
    if let Some(done) = device::with_current(|slot| slot.map(&mut give)) {
        return Ok(done);
    }
    if config::config().device.is_some() {
        return Ok(false);
    }
    let key = key();
    let place = key.place();
    // The decision is taken out while a backend works, which may come here again. While the thread ends, nothing is remembered.
    if let Some(choice) = MEMORY.try_with(|all| all[place].take()).ok().flatten() {
        let done = (choice.key == key).then(|| choice.slot.as_ref().is_some_and(&mut give));
        remember(place, choice);
        if let Some(done) = done {
            return Ok(done);
        }
    }
    // Who would do it as an operation comes first; others that may take it at all, and take it this way, are faster than that would be.
    let op = op()?;
    let Some(first) = choose::who(&op, &Device::auto())? else { return Ok(false) };
    let able = |slot: &Arc<Slot>| {
        slot.opened().is_some_and(|b| b.info().hardware && b.memory() == MemoryId::HOST && b.estimate(&op, 1).is_ok())
    };
    let slot =
        std::iter::once(first).chain(device::slots().iter().filter(|s| able(s)).cloned()).find(|slot| give(slot));
    let done = slot.is_some();
    remember(place, Choice { key, slot });
    Ok(done)
}

fn remember(place: usize, choice: Choice) {
    // The one that was there is dropped, and perhaps a backend with it, when nothing is borrowed. `Err` is a thread that ends.
    let _ = MEMORY.try_with(|all| all[place].replace(Some(choice)));
}
