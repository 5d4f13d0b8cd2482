//! Files with random changes: the readers return an array or an error, and allocate no more than the file justifies.

use polyarray::prelude::*;
use proptest::prelude::*;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file name that is unique to this process and call. The file is removed on drop.
struct Temporary(PathBuf);

impl Temporary {
    fn holding(bytes: &[u8]) -> Temporary {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("polyarray-hostile-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let file = Temporary(std::env::temp_dir().join(name));
        std::fs::write(&file.0, bytes).unwrap();
        file
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// A change of a file. Positions count modulo the length.
#[derive(Clone, Debug)]
enum Change {
    Byte(usize, u8),
    /// Writes this text over the bytes.
    Text(usize, Vec<u8>),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    /// Copies bytes from one position to another one.
    Copy(usize, usize, usize),
    Cut(usize),
}

/// The parts of headers, and numbers at the limits of integers.
const TEXTS: [&[u8]; 12] = [
    b"9999999999",
    b"18446744073709551615",
    b"4294967296, 4294967296",
    b"(0, 9223372036854775807)",
    b"'<c16'",
    b"'|b1'",
    b"True",
    b"(((((",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00\x00\x00\x00\x00",
    b"PK\x01\x02",
    b"PK\x05\x06",
];

fn change() -> impl Strategy<Value = Change> {
    let at = || any::<u16>().prop_map(usize::from);
    let text = || {
        prop_oneof![
            proptest::sample::select(&TEXTS[..]).prop_map(<[u8]>::to_vec),
            proptest::collection::vec(any::<u8>(), 1..6),
        ]
    };
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, to)| Change::Byte(at, to)),
        (at(), text()).prop_map(|(at, to)| Change::Text(at, to)),
        (at(), text()).prop_map(|(at, to)| Change::Insert(at, to)),
        (at(), 0usize..20).prop_map(|(at, n)| Change::Remove(at, n)),
        (at(), at(), 0usize..60).prop_map(|(from, to, n)| Change::Copy(from, to, n)),
        at().prop_map(Change::Cut),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change], near: usize) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        // Half of the changes hit the first bytes, where the header is.
        let place =
            |at: usize| if at.is_multiple_of(2) { at / 2 % near.min(bytes.len()) } else { at / 2 % bytes.len() };
        match change {
            Change::Byte(at, to) => {
                let at = place(*at);
                bytes[at] = *to;
            }
            Change::Text(at, to) => {
                let at = place(*at);
                let end = (at + to.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&to[..end - at]);
            }
            Change::Insert(at, text) => {
                let at = place(*at);
                bytes.splice(at..at, text.iter().copied());
            }
            Change::Remove(at, n) => {
                let at = place(*at);
                bytes.drain(at..(at + n).min(bytes.len()));
            }
            Change::Copy(from, to, n) => {
                let (from, to) = (place(*from), place(*to));
                let n = (*n).min(bytes.len() - from).min(bytes.len() - to);
                bytes.copy_within(from..from + n, to);
            }
            Change::Cut(at) => {
                let at = place(*at);
                bytes.truncate(at);
            }
        }
    }
    bytes
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap()
}

/// Asserts that a result is an array of at most `most` bytes or the error of a file.
fn sound(bytes: Result<usize>, most: usize) {
    match bytes {
        Ok(bytes) => assert!(bytes <= most, "{bytes} bytes of a file of {most}"),
        Err(e) => assert!(matches!(e, Error::File { .. } | Error::Index { .. } | Error::Axis { .. }), "{e:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn npy_files(
        name in proptest::sample::select(&["float32", "fortran", "big_endian_c8", "bool", "no_axes", "version_3"][..]),
        changes in proptest::collection::vec(change(), 1..6),
        rows in (0usize..4, 0usize..4),
    ) {
        let bytes = changed(fixture(&format!("{name}.npy")), &changes, 128);
        let file = Temporary::holding(&bytes);
        sound(io::read_npy_dyn(&file.0).map(|a| a.nbytes()), bytes.len());
        sound(io::read_npy::<f32>(&file.0).map(|a| a.nbytes()), bytes.len());
        sound(io::read_npy_rows::<f32>(&file.0, rows.0..rows.1).map(|a| a.nbytes()), bytes.len());
        let mapped = io::map_npy::<f32>(&file.0);
        if let Ok(x) = &mapped {
            assert_eq!(x.to_vec().unwrap().len(), x.len());
        }
        sound(mapped.map(|a| a.nbytes()), bytes.len());
    }
}

#[cfg(feature = "npz")]
mod npz {
    use super::*;

    /// The largest ratio of the sizes of decompressed and compressed bytes that deflate can have.
    const DEFLATE: usize = 1032;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn npz_files(
            name in proptest::sample::select(&["stored.npz", "compressed.npz"][..]),
            changes in proptest::collection::vec(change(), 1..6),
        ) {
            let bytes = changed(fixture(name), &changes, 400);
            let file = Temporary::holding(&bytes);
            let all = io::read_npz(&file.0).map(|arrays| arrays.values().map(|a| a.nbytes()).sum());
            sound(all, DEFLATE * bytes.len());
            sound(io::read_npz_array::<f32>(&file.0, "numbers").map(|a| a.nbytes()), DEFLATE * bytes.len());
        }
    }

    /// The header of an array is changed so that its member has more bytes: these are not decompressed.
    #[test]
    fn members_end_with_their_array() {
        let file = Temporary::holding(b"");
        io::write_npz(&file.0, [("x", Array::from([1.0f32, 2.0, 3.0]))]).unwrap();
        let mut bytes = std::fs::read(&file.0).unwrap();
        let at = bytes.windows(4).position(|w| w == b"(3,)").expect("the archive contains the header");
        bytes[at + 1] = b'2';
        std::fs::write(&file.0, bytes).unwrap();
        let error = io::read_npz_array::<f32>(&file.0, "x").unwrap_err().to_string();
        assert!(error.contains("\"x\" has bytes after its last element"), "{error}");
    }
}
