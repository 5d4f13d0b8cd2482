//! Finds groups of similar pictures of digits without their labels, by k-means (Lloyd's algorithm), and compares the
//! groups with the labels.
//!
//! `cargo run --release --example clusters [k]`

use polyarray::prelude::*;

/// Returns `k` pictures that are far apart: each is the one that is farthest from all earlier ones.
fn far_apart(pictures: &Array<f64>, k: usize) -> Result<Array<f64>> {
    let mut centres = pictures.slice(s![..1])?;
    for _ in 1..k {
        let (_, distances) = distance::argmin(pictures, &centres, Metric::SquaredEuclidean)?;
        let farthest = distances.argmax()? as isize;
        centres = Array::concatenate(&[&centres, &pictures.slice(s![farthest..farthest + 1])?], 0)?;
    }
    Ok(centres)
}

/// Returns the group of each picture, and the sum of the squared distances from the centres of the groups.
pub fn k_means(pictures: &Array<f64>, k: usize) -> Result<(Array<i64>, f64)> {
    let mut centres = far_apart(pictures, k)?;
    let mut last = f64::INFINITY;
    loop {
        // The centre that is nearest to each picture. No matrix of all distances is stored.
        let (groups, distances) = distance::argmin(pictures, &centres, Metric::SquaredEuclidean)?;
        let total = distances.sum()?;
        // A round that moves no picture leaves the sum as it is, up to rounding. All others reduce it.
        if total >= last * (1.0 - 1e-9) {
            return Ok((groups, total));
        }
        last = total;
        // The means of the groups. An empty group would have the centre 0.
        let mut sums = centres.zeros_like()?;
        sums.scatter_add(&groups, pictures, 0)?;
        let counts = groups.bincount(k)?.cast::<f64>().maximum(1.0).eval()?;
        centres = (sums / counts.expand_dims(1)?).eval()?;
    }
}

/// Groups the digits, and returns the share of pictures with the label that is most frequent in their group, and the
/// mean squared distance from the centres.
pub fn run(k: usize) -> Result<(f64, f64)> {
    let file = |name: &str| format!("{}/examples/data/digits_{name}.npy", env!("CARGO_MANIFEST_DIR"));
    let pictures = io::read_npy::<u8>(file("pixels"))?.cast::<f64>().eval()?;
    let labels = io::read_npy::<u8>(file("labels"))?.to_vec()?;
    let (groups, total) = k_means(&pictures, k)?;
    let mut counts = vec![[0; 10]; k];
    for (&group, &label) in groups.to_vec()?.iter().zip(&labels) {
        counts[group as usize][usize::from(label)] += 1;
    }
    for (group, counts) in counts.iter().enumerate() {
        println!("group {group}: labels 0 to 9 occur {counts:?} times");
    }
    let most: i32 = counts.iter().filter_map(|counts| counts.iter().max()).sum();
    let n = labels.len() as f64;
    Ok((f64::from(most) / n, total / n))
}

#[allow(dead_code, reason = "the tests include this file for the functions above")]
fn main() -> Result<()> {
    let k = std::env::args().nth(1).map_or(10, |k| k.parse().expect("k is a number"));
    let (share, distance) = run(k)?;
    println!("{:.1} % have the label of their group; the mean squared distance is {distance:.1}", share * 100.0);
    // Ten groups are not the ten digits, but most of each group is one digit.
    assert!(k != 10 || share > 0.75 && distance < 660.0);
    Ok(())
}
