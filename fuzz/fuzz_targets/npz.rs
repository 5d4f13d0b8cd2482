//! Reads any bytes as a `.npz` file: all arrays and one of them. The memory is bounded by the ratio of deflate.

#![no_main]

mod file;

use libfuzzer_sys::fuzz_target;
use polyarray::prelude::*;

/// The largest ratio of decompressed to compressed bytes.
const DEFLATE: usize = 1032;

fuzz_target!(|bytes: &[u8]| {
    let file = file::Temporary::holding(bytes);
    if let Ok(arrays) = io::read_npz(&file.0) {
        let total: usize = arrays.values().map(|array| array.nbytes()).sum();
        assert!(total <= DEFLATE * bytes.len());
        for (name, _) in arrays {
            if let Ok(one) = io::read_npz_array::<f32>(&file.0, &name) {
                assert!(one.nbytes() <= DEFLATE * bytes.len());
            }
        }
    }
});
