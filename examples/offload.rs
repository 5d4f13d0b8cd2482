//! A product of matrices large enough that `auto` sends it to a GPU, if the machine has one: the arrays stay on the host, and the
//! result comes back there. `explain` shows what each device answered and which one was taken.
//!
//! `cargo run --release --example offload [n]`

use polyarray::prelude::*;

/// Multiplies two `[n, n]` matrices wherever `auto` likes; returns where that was.
pub fn run(n: usize) -> Result<String> {
    // Numbers of which any entry of the product is easily computed again.
    let a = Array::from_fn([n, n], |ix| ((ix[0] * 7 + ix[1] * 3) % 11) as f32 / 11.0 - 0.5)?;
    let b = Array::from_fn([n, n], |ix| ((ix[0] * 5 + ix[1] * 2) % 13) as f32 / 13.0 - 0.5)?;

    // What would be done. Nothing is computed yet; transfers to the device and back are part of the estimates.
    let plan = Matmul::new(&a, &b).explain()?;
    println!("{plan}");

    // `trace::record` tells what was done: which operation ran where, and how long it took.
    let (product, trace) = trace::record(|| a.matmul(&b));
    let product = product?;
    println!("{trace}");

    // A few entries against the sum of products in f64. No order of summation in f32 is off by more than n * eps * |A||B|.
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
