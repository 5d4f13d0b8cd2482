//! Recommends songs: finds the 20 listeners who are most similar to each one by the cosine of what they played, and
//! recommends the songs that these played most. Listeners and songs are a sparse matrix, of which 1 % is filled.
//!
//! `cargo run --release --example recommender [listeners] [songs]`: by default 4000 and 2000;
//! `benches/peers/sparse_neighbours.py` is the same search in SciPy.

use polyarray::prelude::*;
use std::time::Instant;

/// Listeners prefer one of these genres, from which half of the songs that they play are.
const GENRES: usize = 20;
const K: usize = 20;

/// What the program found.
#[derive(Debug)]
pub struct Found {
    /// The share of neighbours who prefer the same genre.
    pub same_genre: f64,
    /// The share of listeners to whom a song of their genre is recommended first.
    pub recommended: f64,
    /// The time of the search.
    pub seconds: f64,
}

/// Returns the number of plays `[listeners, songs]`. Listener i prefers genre i mod 20, and song j belongs to genre j
/// mod 20.
fn plays(listeners: usize, songs: usize) -> Result<Csr<f32>> {
    let mut rng = random::Generator::new(7);
    let each = (songs / 100).max(2);
    let chosen = rng.integers::<i64>([listeners, each], 0..songs as i64)?.to_vec()?;
    let counts = rng.integers::<i64>([listeners, each], 1..6)?.to_vec()?;
    let triplets = chosen.iter().zip(&counts).enumerate().map(|(at, (&song, &count))| {
        let (listener, song) = (at / each, song as usize);
        let preferred = (song / GENRES * GENRES + listener % GENRES).min(songs - 1);
        (listener, if at % 2 == 0 { song } else { preferred }, count as f32)
    });
    // Plays of the same song by the same listener are added.
    Csr::from_triplets([listeners, songs], triplets)
}

/// Returns the song that the neighbours of a listener played most and the listener did not.
fn recommend(plays: &Csr<f32>, listener: usize, neighbours: &[i64]) -> Result<Option<usize>> {
    let mut sums = vec![0.0; plays.shape()[1]];
    for &neighbour in neighbours {
        let (songs, counts) = plays.row(neighbour as usize)?;
        songs.iter().zip(counts).for_each(|(&song, &count)| sums[song as usize] += count);
    }
    plays.row(listener)?.0.iter().for_each(|&song| sums[song as usize] = 0.0);
    Ok((0..sums.len()).filter(|&song| sums[song] > 0.0).max_by(|&a, &b| sums[a].total_cmp(&sums[b])))
}

/// Finds the nearest listeners of each listener, and checks the result against what is known of the data.
pub fn run(listeners: usize, songs: usize) -> Result<Found> {
    let plays = plays(listeners, songs)?;
    let start = Instant::now();
    // Each listener is the nearest to itself, so one more is searched for.
    let found = distance::nearest_sparse(&plays, &plays, K + 1, Metric::Cosine)?;
    let seconds = start.elapsed().as_secs_f64();

    let (indices, mut same, mut right) = (found.indices.to_vec()?, 0, 0);
    for (i, all) in indices.chunks_exact(K + 1).enumerate() {
        let neighbours: Vec<i64> = all.iter().copied().filter(|&j| j != i as i64).take(K).collect();
        same += neighbours.iter().filter(|&&j| j as usize % GENRES == i % GENRES).count();
        right += usize::from(recommend(&plays, i, &neighbours)?.is_some_and(|song| song % GENRES == i % GENRES));
    }
    let n = listeners as f64;
    println!("{} numbers of {listeners} listeners and {songs} songs", plays.nnz());
    Ok(Found { same_genre: same as f64 / (n * K as f64), recommended: right as f64 / n, seconds })
}

/// Returns the largest amount of memory that the process has had, in GiB, where the system states it.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / f64::from(1 << 20))
}

#[allow(dead_code, reason = "the tests include this file for the functions above")]
fn main() -> Result<()> {
    let mut sizes = std::env::args().skip(1).map(|n| n.parse().expect("a size is a number"));
    let (listeners, songs) = (sizes.next().unwrap_or(4000), sizes.next().unwrap_or(2000));
    let found = run(listeners, songs)?;
    println!("the {K} nearest of each listener in {:.2} s", found.seconds);
    println!("{:.1} % of them prefer the same genre", found.same_genre * 100.0);
    println!("a song of the preferred genre is recommended to {:.1} %", found.recommended * 100.0);
    if let Some(peak) = peak() {
        println!("at most {peak:.2} GiB of memory");
    }
    assert!(found.same_genre > 0.4 && found.recommended > 0.8);
    Ok(())
}
