//! Computes a matrix product that is large enough for `auto` to run it on a GPU, if the machine has one. The arrays
//! stay on the host, and the result is transferred back to the host. `explain` shows the estimate of each device and
//! the chosen device.
//!
//! `cargo run --release --example offload [n]`

use polyarray::prelude::*;

/// Multiplies two `[n, n]` matrices on the device that `auto` chooses, and returns the name of that device.
pub fn run(n: usize) -> Result<String> {
    // The values are chosen so that any entry of the product is easy to recompute.
    let a = Array::from_fn([n, n], |ix| ((ix[0] * 7 + ix[1] * 3) % 11) as f32 / 11.0 - 0.5)?;
    let b = Array::from_fn([n, n], |ix| ((ix[0] * 5 + ix[1] * 2) % 13) as f32 / 13.0 - 0.5)?;

    // The plan. Nothing is computed yet. The estimates include transfers to the device and back.
    let plan = Matmul::new(&a, &b).explain()?;
    println!("{plan}");

    // `trace::record` records the operations: the device that ran each one, and its duration.
    let (product, trace) = trace::record(|| a.matmul(&b));
    let product = product?;
    println!("{trace}");

    // Compares a few entries with the sum of products in f64. For every order of summation in f32 the error is at most
    // n * eps * |A||B|.
    for [i, j] in [[0, 0], [n / 3, n / 2], [n - 1, n - 1]] {
        let (mut exact, mut size) = (0.0, 0.0);
        for k in 0..n {
            let term = f64::from(a.get([i, k])?) * f64::from(b.get([k, j])?);
            exact += term;
            size += term.abs();
        }
        let found = f64::from(product.get([i, j])?);
        println!("[{i}, {j}] is {found:.4}, in f64 {exact:.4}");
        assert!(
            (found - exact).abs() <= n as f64 * f64::from(f32::EPSILON) * size,
            "an entry is off by {}",
            found - exact
        );
    }
    Ok(plan.chosen)
}

#[allow(dead_code, reason = "the tests include this file for the function above")]
fn main() -> Result<()> {
    let n = match std::env::args().nth(1) {
        None => 4096,
        Some(n) => n.parse().unwrap_or_else(|_| panic!("the size must be a number, not {n:?}")),
    };
    let chosen = run(n)?;
    match Device::gpu() {
        Ok(gpu) if gpu.info().hardware => println!("the GPU here is {}; auto took {chosen}", gpu.info().description),
        Ok(gpu) => println!("the only GPU here is emulated ({}): auto took {chosen}", gpu.info().description),
        Err(why) => println!("{why}: auto took {chosen}"),
    }
    Ok(())
}
