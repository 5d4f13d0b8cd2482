//! Classifies 1797 handwritten digits. Each digit gets the label of its nearest neighbour among the others, on every
//! device of this machine and on `auto`. All devices must classify the same 1776 correctly.
//!
//! `cargo run --release --example digits`

use polyarray::prelude::*;
use std::time::Instant;

/// The number of correct labels, computed in exact integer arithmetic (examples/data/README.md).
const RIGHT: usize = 1776;

/// Loads the pictures, `[n, 64]`, and the digit that each shows, `[n]`.
pub fn load() -> Result<(Array<f32>, Array<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data");
    let pixels = io::read_npy::<u8>(format!("{folder}/digits_pixels.npy"))?;
    let labels = io::read_npy::<u8>(format!("{folder}/digits_labels.npy"))?;
    Ok((pixels.cast::<f32>().eval()?, labels))
}

/// Counts the pictures that have the label of their nearest neighbour. The distances are computed on `device`.
pub fn right_answers(pixels: &Array<f32>, labels: &Array<u8>, device: &Device) -> Result<usize> {
    // The distances between all pairs of pictures, [n, n]. `with_device` runs them on this device and no other.
    let distances = with_device(device, || distance::cdist(pixels, pixels, Metric::SquaredEuclidean))?.to_vec()?;
    let labels = labels.to_vec()?;
    let n = labels.len();

    let mut right = 0;
    for (i, row) in distances.chunks_exact(n).enumerate() {
        // Pixels are integers, so squared distances are integers, too. Some devices compute them from a matrix product,
        // which is accurate to a few digits after the decimal point. Rounding makes the distances exact, so in a tie
        // every device selects the first neighbour.
        let nearest = (0..n).filter(|&j| j != i).min_by_key(|&j| row[j].round() as u32);
        right += usize::from(nearest.is_some_and(|j| labels[j] == labels[i]));
    }
    Ok(right)
}

#[allow(dead_code, reason = "the tests include this file for the functions above")]
fn main() -> Result<()> {
    let (pixels, labels) = load()?;
    let mut wrong = 0;
    for device in Device::all().into_iter().chain([Device::auto()]) {
        let start = Instant::now();
        let right = right_answers(&pixels, &labels, &device)?;
        println!(
            "{:8} {right} of {} in {:6.1} ms   {}",
            device.name(),
            labels.len(),
            start.elapsed().as_secs_f64() * 1e3,
            device.info().description
        );
        wrong += usize::from(right != RIGHT);
    }
    for (name, why) in Device::absent() {
        println!("{name:8} {why}");
    }
    if wrong > 0 {
        eprintln!("{wrong} devices differ from {RIGHT}");
        std::process::exit(1);
    }
    Ok(())
}
