//! Joins two tables of places in a city: all pairs of a station and a café that are at most 300 m apart.
//!
//! `cargo run --release --example radius_join [stations] [cafés]`

use polyarray::prelude::*;
use std::time::Instant;

/// The width of the city and the radius in metres.
const CITY: i64 = 10_000;
const RADIUS: i64 = 300;

/// Returns the number of pairs within the radius, after it has compared those of the first stations with a count in
/// integers.
pub fn run(stations: usize, cafes: usize) -> Result<usize> {
    let mut rng = random::Generator::new(1);
    let places = |rng: &mut random::Generator, n: usize| rng.integers::<i64>([n, 2], 0..CITY);
    let (stations, cafes) = (places(&mut rng, stations)?, places(&mut rng, cafes)?);

    // Squared distances between places at whole metres are integers. A radius between two integers is not affected by
    // rounding on any device.
    let radius = (RADIUS * RADIUS) as f64 + 0.5;
    let (x, y) = (stations.cast::<f64>().eval()?, cafes.cast::<f64>().eval()?);
    let start = Instant::now();
    let pairs = distance::within(&x, &y, radius, Metric::SquaredEuclidean)?;
    let seconds = start.elapsed().as_secs_f64();

    // The cafés of station i are indices[offsets[i]..offsets[i + 1]].
    let (offsets, indices) = (pairs.offsets.to_vec()?, pairs.indices.to_vec()?);
    let (stations, cafes) = (stations.to_vec()?, cafes.to_vec()?);
    for (i, station) in stations.chunks_exact(2).take(100).enumerate() {
        let near = |cafe: &[i64]| (station[0] - cafe[0]).pow(2) + (station[1] - cafe[1]).pow(2) <= RADIUS * RADIUS;
        let want = (0..).zip(cafes.chunks_exact(2)).filter(|(_, cafe)| near(cafe)).map(|(j, _)| j);
        assert!(want.eq(indices[offsets[i] as usize..offsets[i + 1] as usize].iter().copied()), "station {i}");
    }
    println!("{} pairs of {} stations and {} cafés in {seconds:.3} s", indices.len(), x.shape()[0], y.shape()[0]);
    Ok(indices.len())
}

#[allow(dead_code, reason = "the tests include this file for the function above")]
fn main() -> Result<()> {
    let mut sizes = std::env::args().skip(1).map(|n| n.parse().expect("a size is a number"));
    let (stations, cafes) = (sizes.next().unwrap_or(1000), sizes.next().unwrap_or(20_000));
    let found = run(stations, cafes)?;
    // The share of a circle in the city; less at its edges.
    let expected =
        std::f64::consts::PI * (RADIUS * RADIUS * stations as i64 * cafes as i64) as f64 / CITY.pow(2) as f64;
    assert!((0.9 * expected..1.05 * expected).contains(&(found as f64)), "{found} pairs, about {expected:.0} expected");
    Ok(())
}
