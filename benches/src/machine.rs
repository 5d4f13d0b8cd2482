//! The machine: its description, and its performance ceilings, measured in the same run.
//!
//! Timings vary between machines and between days. Ratios to ceilings that the same run measures vary less.

use crate::table::wrapped;
use polyarray::{Array, Device};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::hint::black_box;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The least speedup per thread, on multiply-adds in registers, at which the machine counts as idle.
const SCALES: f64 = 0.75;

/// The description of a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceLine {
    /// The name of the device, as users give it.
    pub name: String,
    /// The hardware or software that the device consists of.
    pub description: String,
    /// False for a device that the CPU emulates.
    pub hardware: bool,
}

/// A ceiling, on one thread and on all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ceiling {
    /// On one thread.
    pub one: f64,
    /// On as many threads as the comparison uses.
    pub all: f64,
}

/// The machine on which a comparison ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The model of the CPU.
    pub cpu: String,
    /// The number of cores that this process may use.
    pub cores: usize,
    /// The largest number of threads that the comparison uses.
    pub threads: usize,
    /// The caches of the first core, such as `L1 data 32K`; empty where the system does not report them.
    pub caches: Vec<String>,
    /// The bytes of memory; 0 where the system does not report them.
    pub memory: u64,
    /// The operating system.
    pub os: String,
    /// The devices.
    pub devices: Vec<DeviceLine>,
    /// GB/s of `a = b + s * c` over arrays larger than any cache, with plain stores.
    pub triad_gbps: Ceiling,
    /// GB/s of a sum over an array larger than any cache.
    pub read_gbps: Ceiling,
    /// GFLOP/s of f32 multiply-adds in registers.
    pub fma_gflops: Ceiling,
}

impl Machine {
    /// Describes the machine and measures its ceilings. A measurement takes a second or two and is done once per
    /// process for each number of threads.
    pub fn measure(threads: usize, devices: &[Device]) -> Machine {
        static MEASURED: Mutex<BTreeMap<usize, [Ceiling; 3]>> = Mutex::new(BTreeMap::new());
        let memory = memory();
        let [triad_gbps, read_gbps, fma_gflops] = {
            let mut measured = MEASURED.lock().unwrap_or_else(|e| e.into_inner());
            *measured.entry(threads).or_insert_with(|| ceilings(threads, stream_elements(memory)))
        };
        let line = |d: &Device| DeviceLine {
            name: d.name().into(),
            description: d.info().description.clone(),
            hardware: d.info().hardware,
        };
        Machine {
            cpu: cpu(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            threads,
            caches: caches(),
            memory,
            os: os(),
            devices: devices.iter().map(line).collect(),
            triad_gbps,
            read_gbps,
            fma_gflops,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = vec![self.cpu.clone(), format!("{} cores, {} threads used", self.cores, self.threads)];
        parts.extend((!self.caches.is_empty()).then(|| self.caches.join(", ")));
        parts.extend((self.memory > 0).then(|| format!("{:.1} GiB", self.memory as f64 / (1u64 << 30) as f64)));
        writeln!(f, "{}", wrapped(&parts.join("; "), "  "))?;
        writeln!(f, "{}", wrapped(&self.os, "  "))?;
        for d in &self.devices {
            let emulated = if d.hardware { "" } else { " (emulated in software)" };
            writeln!(f, "{}", wrapped(&format!("  {:8} {}{emulated}", d.name, d.description), "           "))?;
        }
        // No line breaks inside a pair of figures.
        let pair = |c: &Ceiling, unit: &str| format!("{:.1} / {:.1} {unit}", c.one, c.all).replace(' ', "\u{a0}");
        let (triad, read, fma) =
            (pair(&self.triad_gbps, "GB/s"), pair(&self.read_gbps, "GB/s"), pair(&self.fma_gflops, "GFLOP/s"));
        let ceilings =
            format!("ceilings on 1 / {} threads: triad {triad}, reading {read}, f32 multiply-adds {fma}", self.threads);
        writeln!(f, "{}", wrapped(&ceilings, "  ").replace('\u{a0}', " "))?;
        let gain = self.fma_gflops.all / self.fma_gflops.one;
        if gain < SCALES * self.threads as f64 {
            let note = format!(
                "note: {} threads were {gain:.1} times as fast as one thread on multiply-adds in registers, which \
                 depend on nothing but cores: the threads share cores with other work, or are hyperthreads of one \
                 core. Other work makes the timings and ceilings of this run vary, so columns with similar times \
                 cannot be ranked; repeat the run on an idle machine",
                self.threads
            );
            writeln!(f, "{}", wrapped(&note, "      "))?;
        }
        Ok(())
    }
}

/// Returns the bytes of memory of the machine, or 0 if unknown.
pub fn memory() -> u64 {
    let kib = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| text.lines().next()?.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.map(|k| k * 1024).or_else(|| command("sysctl", &["-n", "hw.memsize"])?.parse().ok()).unwrap_or(0)
}

/// Returns the model of the CPU.
pub(crate) fn cpu() -> String {
    let from_proc = || {
        let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
        let model = text.lines().find(|l| l.starts_with("model name"))?;
        Some(model.split_once(':')?.1.trim().to_string())
    };
    let from_windows = || std::env::var("PROCESSOR_IDENTIFIER").ok();
    from_proc()
        .or_else(|| command("sysctl", &["-n", "machdep.cpu.brand_string"]))
        .or_else(from_windows)
        .unwrap_or_else(|| std::env::consts::ARCH.into())
}

/// Returns the name of the operating system.
pub(crate) fn os() -> String {
    let name = std::fs::read_to_string("/etc/os-release").ok().and_then(|text| {
        let line = text.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="))?;
        Some(line.trim_matches('"').to_string())
    });
    // Keeps the first two numbers of the kernel's version, without build information.
    let release = |k: String| k.split('.').take(2).collect::<Vec<_>>().join(".");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map(|k| format!(", kernel {}", release(k)))
        .unwrap_or_default();
    format!("{}{kernel}, {}", name.unwrap_or_else(|| std::env::consts::OS.into()), std::env::consts::ARCH)
}

fn caches() -> Vec<String> {
    let read = |index: usize, what: &str| {
        std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{what}")).ok()
    };
    let one = |index| {
        let kind = read(index, "type")?.trim().replace("Unified", "").to_lowercase();
        Some(format!("L{} {kind} {}", read(index, "level")?.trim(), read(index, "size")?.trim()).replace("  ", " "))
    };
    (0..8).map_while(one).collect()
}

/// Returns the output of a system command; `None` if it is missing, fails, or prints nothing.
fn command(program: &str, arguments: &[&str]) -> Option<String> {
    let output = std::process::Command::new(program).args(arguments).output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_string()).filter(|s| !s.is_empty())
}

/// Returns the number of elements of each stream: 128 MiB or a thirtieth of the memory, whichever is less; 64 MiB if
/// the memory is unknown.
fn stream_elements(memory: u64) -> usize {
    let bytes = if memory == 0 { 64 << 20 } else { (memory / 30).min(128 << 20) };
    bytes as usize / size_of::<f32>()
}

/// Measures triad, reading and multiply-adds.
fn ceilings(threads: usize, elements: usize) -> [Ceiling; 3] {
    let both = |f: &dyn Fn(usize) -> f64| Ceiling { one: f(1), all: f(threads) };
    [both(&|threads| triad(elements, threads)), both(&|threads| read(elements, threads)), both(&fma)]
}

/// Returns the least seconds of several runs of `work`.
fn best_of(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut best = f64::INFINITY;
    for run in 0.. {
        let before = Instant::now();
        work();
        best = best.min(before.elapsed().as_secs_f64());
        if run >= 2 && start.elapsed() > Duration::from_millis(120) {
            break;
        }
    }
    best
}

/// Returns a stream: an array of this library, so that the ceilings have the pages that its operations have.
fn stream(elements: usize, value: f32) -> Array<f32> {
    Array::full([elements], value).expect("a ceiling needs a thirtieth of the memory for a stream")
}

/// Returns the elements of a stream.
fn elements_of(stream: &Array<f32>) -> &[f32] {
    stream.as_slice().expect("a new array is contiguous and lies on the host")
}

/// Measures GB/s of `a = b + s * c`, which moves three streams.
fn triad(elements: usize, threads: usize) -> f64 {
    let (mut a, b, c) = (stream(elements, 0.0), stream(elements, 1.0), stream(elements, 2.0));
    let mut a = a.view_mut().expect("nothing else holds the array");
    let a = a.as_mut_slice().expect("a new array is contiguous and lies on the host");
    let chunk = elements.div_ceil(threads);
    let s = black_box(3.0f32);
    let seconds = best_of(|| {
        std::thread::scope(|scope| {
            for ((a, b), c) in a.chunks_mut(chunk).zip(elements_of(&b).chunks(chunk)).zip(elements_of(&c).chunks(chunk))
            {
                scope.spawn(move || triad_of(a, b, c, s));
            }
        });
        // Keeps the compiler from removing the computation of `a`.
        black_box(&mut *a);
    });
    (3 * elements * size_of::<f32>()) as f64 / seconds / 1e9
}

/// Measures GB/s of a sum.
fn read(elements: usize, threads: usize) -> f64 {
    let data = stream(elements, 1.0);
    let chunk = elements.div_ceil(threads);
    let seconds = best_of(|| {
        let data = black_box(elements_of(&data));
        std::thread::scope(|scope| data.chunks(chunk).for_each(|part| drop(scope.spawn(move || sum_of(part)))));
    });
    (elements * size_of::<f32>()) as f64 / seconds / 1e9
}

macro_rules! kernels {
    ($triad:ident, $sum:ident $(, $feature:literal)?) => {
        $(#[target_feature(enable = $feature)])?
        fn $triad(a: &mut [f32], b: &[f32], c: &[f32], s: f32) {
            a.iter_mut().zip(b).zip(c).for_each(|((a, b), c)| *a = b + s * c);
        }

        $(#[target_feature(enable = $feature)])?
        fn $sum(part: &[f32]) {
            let mut lanes = [0.0f32; 128];
            part.chunks_exact(128).for_each(|block| lanes.iter_mut().zip(block).for_each(|(lane, x)| *lane += x));
            black_box(lanes);
        }
    };
}
kernels!(triad_portable, sum_portable);
#[cfg(target_arch = "x86_64")]
kernels!(triad_avx512, sum_avx512, "avx512f");
#[cfg(target_arch = "x86_64")]
kernels!(triad_avx2, sum_avx2, "avx2,fma");

/// Computes a triad with the widest vectors of the CPU.
fn triad_of(a: &mut [f32], b: &[f32], c: &[f32], s: f32) {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the CPU has `avx512f`, as the condition above checked.
            return unsafe { triad_avx512(a, b, c, s) };
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the CPU has `avx2` and `fma`, as the condition above checked.
            return unsafe { triad_avx2(a, b, c, s) };
        }
    }
    triad_portable(a, b, c, s);
}

/// Adds up elements with the widest vectors of the CPU.
fn sum_of(part: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the CPU has `avx512f`, as the condition above checked.
            return unsafe { sum_avx512(part) };
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the CPU has `avx2` and `fma`, as the condition above checked.
            return unsafe { sum_avx2(part) };
        }
    }
    sum_portable(part);
}

/// Measures GFLOP/s of independent chains of multiply-adds that stay in registers.
fn fma(threads: usize) -> f64 {
    const ROUNDS: usize = 1 << 21;
    let flops = std::sync::atomic::AtomicUsize::new(0);
    let seconds = best_of(|| {
        std::thread::scope(|scope| {
            (0..threads)
                .for_each(|_| drop(scope.spawn(|| flops.store(chains(ROUNDS), std::sync::atomic::Ordering::Relaxed))))
        });
    });
    (flops.into_inner() * threads) as f64 / seconds / 1e9
}

/// Runs `rounds` rounds of multiply-adds with the widest vector instructions of the CPU. Returns the number of
/// operations.
fn chains(rounds: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the CPU has `avx512f`, as the condition above checked.
            return unsafe { x86::chains_avx512(rounds) };
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the CPU has `avx2` and `fma`, as the condition above checked.
            return unsafe { x86::chains_avx2(rounds) };
        }
    }
    chains_portable(rounds)
}

/// Uses the vectors of the target's baseline; on targets other than AArch64, a multiplication and an addition instead
/// of a fused multiply-add.
fn chains_portable(rounds: usize) -> usize {
    const LANES: usize = 48;
    let (by, plus) = (black_box(0.999f32), black_box(0.001f32));
    let mut chains = [1.0f32; LANES];
    for _ in 0..rounds {
        for x in &mut chains {
            *x = if cfg!(target_arch = "aarch64") { x.mul_add(by, plus) } else { *x * by + plus };
        }
    }
    black_box(chains);
    rounds * LANES * 2
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    macro_rules! chains {
        ($name:ident, $feature:literal, $set:ident, $fmadd:ident, $lanes:literal) => {
            /// Runs ten chains: more than latency times number of units on any CPU so far, and fewer than the vector
            /// registers.
            #[target_feature(enable = $feature)]
            pub(super) fn $name(rounds: usize) -> usize {
                let (by, plus) = ($set(black_box(0.999)), $set(black_box(0.001)));
                let mut chains = [$set(1.0); 10];
                for _ in 0..rounds {
                    for x in &mut chains {
                        *x = $fmadd(*x, by, plus);
                    }
                }
                black_box(chains);
                rounds * 10 * $lanes * 2
            }
        };
    }
    chains!(chains_avx512, "avx512f", _mm512_set1_ps, _mm512_fmadd_ps, 16);
    chains!(chains_avx2, "avx2,fma", _mm256_set1_ps, _mm256_fmadd_ps, 8);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a machine with fixed figures.
    pub(crate) fn sample() -> Machine {
        let c = Ceiling { one: 1.0, all: 2.5 };
        Machine {
            cpu: "A CPU".into(),
            cores: 2,
            threads: 2,
            caches: vec!["L2 2048K".into()],
            memory: 1 << 33,
            os: "Linux".into(),
            devices: vec![DeviceLine { name: "gpu".into(), description: "x".into(), hardware: false }],
            triad_gbps: c,
            read_gbps: c,
            fma_gflops: c,
        }
    }

    #[test]
    fn ceilings_are_of_this_world() {
        // Small streams that stay in the cache. The test fails if the compiler removed the work (more than 100 TB/s).
        for rate in [triad(1 << 16, 2), read(1 << 16, 1), fma(1)] {
            assert!(rate > 0.01 && rate < 1e5, "{rate}");
        }
        assert!(!cpu().is_empty() && !os().is_empty());
    }

    #[test]
    fn the_header_names_the_figures() {
        let shown = sample().to_string();
        for part in [
            "A CPU; 2 cores, 2 threads used; L2 2048K; 8.0 GiB",
            "gpu      x (emulated in software)",
            "triad 1.0 / 2.5 GB/s",
            "1.0 / 2.5 GFLOP/s",
        ] {
            assert!(shown.contains(part), "{shown}");
        }
        assert!(!shown.contains("note:"), "a speedup of 2.5 on two threads means that the cores are not shared");
    }

    #[test]
    fn the_header_fits_the_width() {
        let long = DeviceLine { name: "blas".into(), description: "a long name ".repeat(20), hardware: false };
        let shown = Machine { cpu: "CPU ".repeat(30), devices: vec![long], ..sample() }.to_string();
        assert!(shown.lines().all(|l| l.chars().count() <= crate::table::WIDTH), "{shown}");
    }

    #[test]
    fn the_header_tells_when_cores_were_shared() {
        let shared = |one, all, threads| Machine { threads, fma_gflops: Ceiling { one, all }, ..sample() }.to_string();
        assert!(shared(116.0, 115.0, 2).contains("2 threads were 1.0 times as fast as one thread"));
        assert!(!shared(116.0, 225.0, 2).contains("note:"));
        assert!(
            !shared(116.0, 116.0, 1).contains("note:"),
            "a single thread cannot share its core with another one of this run"
        );
    }
}
