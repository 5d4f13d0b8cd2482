//! The WGSL of the device `gpu`: functions on single values, and kernels with places (`{{name}}`) that the generator fills.
//!
//! Each constant is the file of that name beside this one. `golden/` holds outputs of the generator for a few programs.

/// Floats by their bits: comparisons, minimum and maximum, and the hiding of values from an optimiser that takes liberties.
pub const BITS: &str = include_str!("bits.wgsl");
/// Casts between f32, i32 and u32. Needs [`BITS`].
pub const CAST: &str = include_str!("cast.wgsl");
/// Rounding to integers, signs, minima and maxima that NaN loses. Needs [`BITS`].
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
/// Kernel: elementwise.
pub const MAP: &str = include_str!("map.wgsl");
/// Kernel: reductions.
pub const REDUCE: &str = include_str!("reduce.wgsl");
/// Kernel: matrix products and distances.
pub const TILE: &str = include_str!("tile.wgsl");
