//! Reads any bytes as a `.npy` file: whole, by rows and through a map. An array has at most the bytes of the file.

#![no_main]

mod file;

use libfuzzer_sys::fuzz_target;
use polyarray::prelude::*;

fuzz_target!(|bytes: &[u8]| {
    let file = file::Temporary::holding(bytes);
    if let Ok(array) = io::read_npy_dyn(&file.0) {
        assert!(array.nbytes() <= bytes.len());
        assert_eq!(array.to_bytes().expect("the elements were read").len(), array.nbytes());
    }
    let rows = usize::from(bytes.first().copied().unwrap_or(0)) % 4;
    if let Ok(part) = io::read_npy_rows::<f32>(&file.0, rows..rows + 2) {
        assert!(part.nbytes() <= bytes.len());
    }
    if let Ok(mapped) = io::map_npy::<f32>(&file.0) {
        assert_eq!(mapped.to_vec().expect("the map is as long as the file").len(), mapped.len());
    }
});
