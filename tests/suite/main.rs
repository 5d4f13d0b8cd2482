//! The tests that use the devices as they are found, in one program: every further one would link the library again.
//! A test that registers a device, replaces the allocator or needs a process of its own is a file beside this folder.

#[path = "../common/mod.rs"]
mod common;

mod array_api;
mod bad_input;
mod bytes;
mod complex;
mod composed;
mod conformance;
mod distances;
mod dynamic;
mod einsum;
mod elementwise;
mod epilogues;
mod examples;
mod exponentials;
mod expressions;
mod extremes;
#[cfg(feature = "fft")]
mod fft;
mod fuse;
mod histograms;
mod hostile_files;
mod indexing;
mod interchange;
mod joining;
mod kind;
#[cfg(feature = "simd")]
mod large;
#[cfg(feature = "linalg")]
mod linalg;
mod lines;
mod long_expressions;
mod maps;
mod models;
mod moments;
mod nan;
mod neighbours;
mod npy;
#[cfg(feature = "npz")]
mod npz;
mod numpy_names;
mod ownership;
mod points;
mod pointwise;
mod printing;
mod products;
mod quantiles;
mod random;
mod ranges;
mod recordings;
mod safety;
mod semantics;
mod sets;
mod short_axes;
mod sorting;
mod sparse;
mod streams;
mod traps;
mod ufuncs;
