//! Timing: distributes the available time over measurements, and takes measurements.

use std::time::{Duration, Instant};

/// Shorter runs are timed in batches of about this length, so that reading the clock does not distort them.
const BATCH: Duration = Duration::from_micros(20);

/// The time for a whole comparison, distributed over its measurements.
///
/// Each measurement gets an equal share of the time that is left. Later measurements get the time that fast ones leave.
/// When the time is used up, a measurement times a single run after the warm-up; results are still verified.
pub struct Clock {
    deadline: Instant,
    most: Duration,
    left: usize,
}

impl Clock {
    /// Starts the clock for `measurements` measurements: `total` for all of them, at most `most` for each.
    pub fn new(total: Duration, most: Duration, measurements: usize) -> Clock {
        Clock { deadline: Instant::now() + total, most, left: measurements }
    }

    /// Returns the time that the next measurement may spend on repeated runs.
    pub fn budget(&mut self) -> Duration {
        let share = share(self.deadline.saturating_duration_since(Instant::now()), self.left, self.most);
        self.left = self.left.saturating_sub(1);
        share
    }
}

/// Returns half of an equal share, at most `most`. The other half is for inputs, warm-up and verification.
fn share(left: Duration, measurements: usize, most: Duration) -> Duration {
    (left / (2 * measurements.max(1)) as u32).min(most)
}

/// Returns the least seconds of `run`, over as many runs as fit into `budget` and at least one. The caller has warmed
/// it up.
///
/// # Errors
/// Those of `run`.
pub fn fastest<E>(budget: Duration, mut run: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let start = Instant::now();
    let mut batch = 1u32;
    let mut best = f64::INFINITY;
    loop {
        let before = Instant::now();
        for _ in 0..batch {
            run()?;
        }
        let took = before.elapsed();
        if batch == 1 && took < BATCH {
            batch = (BATCH.as_nanos() / took.as_nanos().max(20)).clamp(1, 1000) as u32;
            if batch > 1 && start.elapsed() < budget {
                // A single run of this length mostly measures the clock. It does not count unless the budget is used
                // up.
                continue;
            }
        }
        best = best.min(took.as_secs_f64() / f64::from(batch));
        if start.elapsed() >= budget {
            // A coarse clock may report 0 for a short run.
            return Ok(best.max(1e-10));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_equal_and_bounded_and_shrink_to_nothing() {
        let ms = Duration::from_millis;
        assert_eq!(share(ms(1000), 10, ms(80)), ms(50));
        assert_eq!(share(ms(1000), 1, ms(80)), ms(80));
        assert_eq!(share(ms(0), 10, ms(80)), ms(0));
        assert_eq!(share(ms(100), 0, ms(80)), ms(50));
    }

    #[test]
    fn at_least_one_run_counts_and_errors_come_out() {
        let mut runs = 0;
        let seconds = fastest(Duration::ZERO, || {
            runs += 1;
            Ok::<(), ()>(())
        });
        assert!(runs >= 1 && seconds.unwrap() > 0.0);
        assert_eq!(fastest(Duration::from_secs(1), || Err("no")), Err("no"));
    }
}
