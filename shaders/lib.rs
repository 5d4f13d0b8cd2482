//! The WGSL of the device `gpu`: functions on single values, and kernels with placeholders (`{{name}}`) that the
//! generator fills.
//!
//! Each constant is the contents of the file of the same name in this folder. `golden/` holds the generator's outputs
//! for a few programs.

/// Floats by their bits: comparisons, minimum and maximum, and functions that hide values from optimisers that do not
/// preserve IEEE semantics.
pub const BITS: &str = include_str!("bits.wgsl");
/// Casts between f32, i32 and u32. Needs [`BITS`].
pub const CAST: &str = include_str!("cast.wgsl");
/// Rounding to integers, signs, and minima and maxima that ignore NaN. Needs [`BITS`].
pub const ROUNDING: &str = include_str!("rounding.wgsl");
/// Division, powers and shifts of integers.
pub const INTEGER: &str = include_str!("integer.wgsl");
/// The exponential function. Needs [`BITS`].
pub const EXP: &str = include_str!("exp.wgsl");
/// The natural logarithm. Needs [`BITS`].
pub const LOG: &str = include_str!("log.wgsl");
/// The hyperbolic tangent. Needs [`EXP`].
pub const TANH: &str = include_str!("tanh.wgsl");
/// Sine and cosine. Needs [`BITS`].
pub const TRIG: &str = include_str!("trig.wgsl");
/// Powers of floats. Needs [`EXP`].
pub const POW: &str = include_str!("pow.wgsl");
/// Kernel: elementwise computations.
pub const MAP: &str = include_str!("map.wgsl");
/// Kernel: reductions.
pub const REDUCE: &str = include_str!("reduce.wgsl");
/// Kernel: matrix products and distances.
pub const TILE: &str = include_str!("tile.wgsl");
