//! Plans: the steps and the constants of the transforms of one length. They are made once and kept for later calls.

use crate::Part;
use polyarray_core::forks;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftDirection, FftNum, FftPlanner};
use std::collections::HashSet;
use std::sync::{Arc, MutexGuard};

/// The plans that were made. A plan has about as many constants as its lines have elements.
#[doc(hidden)]
pub struct Plans<P: FftNum> {
    complex: FftPlanner<P>,
    real: RealFftPlanner<P>,
    lens: HashSet<usize>,
    /// The sum of the lengths.
    elements: usize,
}

/// The largest sum of the lengths of plans that are kept.
const MOST: usize = 1 << 22;

impl<P: FftNum> Default for Plans<P> {
    fn default() -> Plans<P> {
        Plans { complex: FftPlanner::new(), real: RealFftPlanner::new(), lens: HashSet::new(), elements: 0 }
    }
}

impl<P: FftNum> Plans<P> {
    /// Drops all plans if one more of length `n` would be too much.
    fn make_room(&mut self, n: usize) {
        if self.lens.contains(&n) {
            return;
        }
        if self.elements.saturating_add(n) > MOST {
            *self = Plans::default();
        }
        self.lens.insert(n);
        self.elements = self.elements.saturating_add(n);
    }
}

/// Returns the plans of a precision. Returns `None` if this is a forked child process and another thread of its parent
/// may have locked them forever.
fn locked<P: Part>() -> Option<MutexGuard<'static, Plans<P>>> {
    let plans = P::plans();
    if forks() > 0 {
        return plans.try_lock().ok();
    }
    Some(plans.lock().unwrap_or_else(|poisoned| {
        // A thread panicked while it made a plan, which may be unfinished.
        plans.clear_poison();
        let mut unfinished = poisoned.into_inner();
        *unfinished = Plans::default();
        unfinished
    }))
}

/// Calls `f` with the plans of a precision, or with new ones if they are locked.
fn with_plans<P: Part, R>(n: usize, f: impl FnOnce(&mut Plans<P>) -> R) -> R {
    let Some(mut plans) = locked::<P>() else { return f(&mut Plans::default()) };
    plans.make_room(n);
    f(&mut plans)
}

/// Returns the plan of complex transforms of `n` elements, at least one.
pub(crate) fn complex<P: Part>(n: usize, direction: FftDirection) -> Arc<dyn Fft<P>> {
    with_plans(n, |plans: &mut Plans<P>| plans.complex.plan_fft(n, direction))
}

/// Returns the plan of transforms of `n` real elements, at least one.
pub(crate) fn forward<P: Part>(n: usize) -> Arc<dyn RealToComplex<P>> {
    with_plans(n, |plans: &mut Plans<P>| plans.real.plan_fft_forward(n))
}

/// Returns the plan of inverse transforms to `n` real elements, at least one.
pub(crate) fn inverse<P: Part>(n: usize) -> Arc<dyn ComplexToReal<P>> {
    with_plans(n, |plans: &mut Plans<P>| plans.real.plan_fft_inverse(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_kept_up_to_a_limit() {
        let mut plans = Plans::<f32>::default();
        plans.make_room(MOST / 2);
        plans.make_room(MOST / 2);
        plans.make_room(MOST / 2 - 1);
        assert_eq!((plans.lens.len(), plans.elements), (2, MOST - 1));
        plans.make_room(2);
        assert_eq!((plans.lens.len(), plans.elements), (1, 2));
        plans.make_room(usize::MAX);
        assert_eq!(plans.lens.len(), 1);
        let (first, second) = (complex::<f64>(12, FftDirection::Forward), complex::<f64>(12, FftDirection::Forward));
        assert!(Arc::ptr_eq(&first, &second), "the second call makes no plan");
    }

    #[test]
    fn plans_survive_a_panic_of_another_thread() {
        let panicked = std::thread::spawn(|| with_plans::<f32, ()>(5, |_| panic!("expected by the test"))).join();
        assert!(panicked.is_err());
        assert_eq!(complex::<f32>(5, FftDirection::Inverse).len(), 5);
    }
}
