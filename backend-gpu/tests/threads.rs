//! Threads that read, write, compute and wait at the same time on one device.

mod common;

use common::{Random, gpu};
use polyarray_core::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Returns the duration of the test: five seconds, or `POLYARRAY_GPU_THREADS_SECONDS`.
fn duration() -> Duration {
    let seconds = std::env::var("POLYARRAY_GPU_THREADS_SECONDS").map_or(5, |s| s.parse().expect("a number of seconds"));
    Duration::from_secs(seconds)
}

/// Runs one round of a thread, on numbers that identify the thread and the round.
fn round(device: &Device, what: u64, tag: f32, n: usize, random: &mut Random) -> Result<()> {
    let data: Vec<f32> = (0..n).map(|i| tag + (i % 13) as f32).collect();
    let x = Array::from_slice(&data, [n])?.to_device(device)?;
    match what {
        0 => assert!(x.to_vec()? == data, "written and read"),
        1 => {
            let y = (&x * 2.0 + 1.0).eval()?;
            // Other threads may wait at the same time.
            device.synchronize()?;
            assert!(y.to_vec()?.iter().zip(&data).all(|(y, x)| *y == x * 2.0 + 1.0), "computed");
        }
        2 => assert_eq!(x.max()?, data.iter().copied().fold(f32::NEG_INFINITY, f32::max)),
        3 => {
            let at = random.bits() as usize % n;
            assert_eq!((&x + &x).eval()?.get([at])?, 2.0 * data[at]);
        }
        4 => {
            let mut y = x;
            for _ in 0..40 {
                y = (y + 1.0).eval()?;
            }
            assert!(y.to_vec()?.iter().zip(&data).all(|(y, x)| *y == x + 40.0), "more launches than a submission has");
        }
        _ => {
            let y = (&x + 0.5).eval()?;
            // Read by another thread than the one that requested it.
            let back = std::thread::scope(|s| s.spawn(|| y.to_vec()).join().expect("no panic"))?;
            assert!(back.iter().zip(&data).all(|(y, x)| *y == x + 0.5), "handed over");
        }
    }
    Ok(())
}

#[test]
fn eight_threads_read_write_and_synchronize() {
    let Some(device) = gpu() else { return };
    let (end, rounds) = (Instant::now() + duration(), AtomicUsize::new(0));
    let slowest = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|t| {
                let (device, rounds) = (&device, &rounds);
                scope.spawn(move || {
                    let (mut random, mut slowest) = (Random(t), Duration::ZERO);
                    while Instant::now() < end {
                        let start = Instant::now();
                        let (what, n) = (
                            random.bits() % 6,
                            1 + random.bits() as usize % if random.bits() % 16 == 0 { 3_000_000 } else { 5000 },
                        );
                        let tag = (t * 1000) as f32 + (rounds.fetch_add(1, Ordering::Relaxed) % 1000) as f32;
                        round(device, what, tag, n, &mut random)
                            .unwrap_or_else(|e| panic!("thread {t}, step {what}: {e}"));
                        device.synchronize().unwrap_or_else(|e| panic!("thread {t}: {e}"));
                        slowest = slowest.max(start.elapsed());
                    }
                    slowest
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().expect("no panic")).max().expect("eight threads")
    });
    assert!(rounds.into_inner() >= 8, "every thread did something");
    assert!(slowest < Duration::from_secs(50), "no thread waited until the time limit: {slowest:?}");
}
