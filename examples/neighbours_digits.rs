//! Classifies handwritten digits by a vote of the nearest ones whose labels are known: the first 1000 of 1797 pictures
//! are known, the others are classified. See examples/digits.rs for the nearest neighbour by a matrix of distances.
//!
//! `cargo run --release --example neighbours_digits [k]`

use polyarray::prelude::*;

const KNOWN: usize = 1000;

fn load(name: &str) -> Result<Array<u8>> {
    io::read_npy(format!("{}/examples/data/digits_{name}.npy", env!("CARGO_MANIFEST_DIR")))
}

/// Returns the number of pictures that are classified correctly by their `k` nearest known ones, which `device` finds,
/// and of all that are classified.
pub fn run(k: usize, device: &Device) -> Result<(usize, usize)> {
    let (pixels, labels) = (load("pixels")?.cast::<f32>().eval()?, load("labels")?.to_vec()?);
    let (known, unknown) = (pixels.slice(s![..KNOWN])?, pixels.slice(s![KNOWN..])?);

    // The indices of the k nearest known pictures of each unknown one, [797, k], nearest first. The 797,000 distances
    // are computed block by block, and only those of the neighbours are stored.
    let found = with_device(device, || distance::nearest(&unknown, &known, k, Metric::SquaredEuclidean))?;
    let indices = found.indices.to_vec()?;

    let mut right = 0;
    for (neighbours, &label) in indices.chunks_exact(k).zip(&labels[KNOWN..]) {
        let mut votes = [0; 10];
        neighbours.iter().for_each(|&i| votes[usize::from(labels[i as usize])] += 1);
        // Of the labels with the most votes, the one of the nearest picture.
        let most = votes.iter().max();
        let winner = neighbours.iter().map(|&i| labels[i as usize]).find(|&l| Some(&votes[usize::from(l)]) == most);
        right += usize::from(winner == Some(label));
    }
    Ok((right, labels.len() - KNOWN))
}

/// The number of correct answers for each k, from exact distances.
pub const RIGHT: [(usize, usize); 4] = [(1, 767), (3, 766), (5, 761), (7, 762)];

/// Whether a number of correct answers is that of exact distances, up to those that depend on a tie: some devices
/// compute distances from products, whose rounding may exchange neighbours at equal distances.
pub fn is_right(k: usize, right: usize) -> bool {
    RIGHT.iter().all(|&(of, exact)| of != k || right.abs_diff(exact) <= 2)
}

#[allow(dead_code, reason = "the tests include this file for the functions above")]
fn main() -> Result<()> {
    let k = std::env::args().nth(1).map_or(3, |k| k.parse().expect("k is a number"));
    let (right, of) = run(k, &Device::auto())?;
    println!("{right} of {of} digits are classified correctly by their {k} nearest neighbours");
    assert!(is_right(k, right));
    Ok(())
}
