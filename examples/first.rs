//! The first program of the README.
//!
//! `cargo run --release --example first`

use polyarray::prelude::*;

/// Runs the program, and returns what it prints.
pub fn run() -> Result<String> {
    let x = Array::<f32>::linspace(0.0, 1.0, 1_000_000)?;
    let y = ((&x * 2.0 + 1.0).sqrt() - &x).eval()?; // one pass over memory
    let a = Array::<f32>::from_fn([200, 300], |ix| (ix[0] + ix[1]) as f32)?;
    let c = a.matmul(&a.t())?; // `a.t()` is a view
    let error = (&a + &x).eval().unwrap_err(); // bad input is an `Err`
    Ok(format!("mean {:.4}, largest {:.4}\n{:?}, {}\n{error}\n", y.mean()?, y.max()?, c.shape(), c.get([0, 0])?))
}

#[allow(dead_code, reason = "the tests include this file for the function above")]
fn main() -> Result<()> {
    print!("{}", run()?);
    Ok(())
}
