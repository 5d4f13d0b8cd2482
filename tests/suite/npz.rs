//! `.npz` archives: those that NumPy wrote (`tests/data`, made by `make.py` there), round trips, and malicious files.

use polyarray::prelude::*;
use polyarray::{DType, DynArray, Scalar};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file name that is unique to this process and call. The file is removed on drop.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Temporary {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("polyarray-{}-{}.npz", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Temporary(std::env::temp_dir().join(name))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Returns the reason why the archive cannot be read.
fn refusal(path: &Path) -> String {
    match io::read_npz(path) {
        Err(Error::File { path: named, why }) => {
            assert_eq!(named, path);
            why
        }
        other => panic!("{} gives {other:?}", path.display()),
    }
}

#[test]
fn numpy_wrote_archives() {
    let numbers = Array::from([[-3i64, -2, -1], [0, 1, 2]]);
    for name in ["stored.npz", "compressed.npz"] {
        let arrays = io::read_npz(fixture(name)).unwrap();
        assert_eq!(arrays.len(), if name == "stored.npz" { 3 } else { 4 });
        assert_eq!(arrays["numbers"].typed::<f32>().unwrap(), numbers.cast::<f32>().eval().unwrap());
        let columns = arrays["columns"].typed::<i64>().unwrap();
        assert!(columns == numbers && columns.is_f_contiguous());
        assert_eq!(arrays["0-d"].item().unwrap(), Scalar::new(2.5f64));
        assert_eq!(io::read_npz_array::<f64>(fixture(name), "0-d").unwrap().item().unwrap(), 2.5);
    }
    let zeros = io::read_npz_array::<u8>(fixture("compressed.npz"), "zeros").unwrap();
    assert_eq!((zeros.shape(), zeros.sum().unwrap()), (&[100, 100][..], 0));
}

#[test]
fn every_dtype_and_layout_goes_there_and_back() {
    let mut arrays: Vec<(String, DynArray)> = Vec::new();
    for dtype in DType::ALL.into_iter().filter(|&d| d != DType::BF16) {
        let x = Array::from([[0i32, 1, 2], [3, 4, 5]]);
        let x = DynArray::from(&x).cast(dtype).eval().unwrap();
        arrays.push((dtype.name().to_string(), x.clone()));
        arrays.push((format!("{dtype} reversed/transposed"), x.slice(s![.., ..;-1]).unwrap().t()));
        arrays.push((format!("{dtype} of no elements"), x.slice(s![..0]).unwrap()));
    }
    for compressed in [false, true] {
        let out = Temporary::new();
        let refs = arrays.iter().map(|(name, array)| (name, array));
        match compressed {
            false => io::write_npz(&out.0, refs),
            true => io::write_npz_compressed(&out.0, refs),
        }
        .unwrap();
        let back = io::read_npz(&out.0).unwrap();
        assert_eq!(back.len(), arrays.len());
        for (name, array) in &arrays {
            assert_eq!(&back[name], array, "{name}");
        }
    }
}

#[test]
fn large_arrays_are_compressed() {
    let x = Array::<f64>::zeros([300, 400]).unwrap();
    let out = Temporary::new();
    io::write_npz_compressed(&out.0, [("x", &x)]).unwrap();
    assert!(std::fs::metadata(&out.0).unwrap().len() < 10_000);
    assert_eq!(io::read_npz_array::<f64>(&out.0, "x").unwrap(), x);
}

#[test]
fn archives_of_devices() {
    for device in Device::all() {
        let x = Array::from([[1.0f32, 2.0], [3.0, 4.0]]).to_device(&device).unwrap();
        let out = Temporary::new();
        io::write_npz(&out.0, [("x", x.t())]).unwrap();
        assert_eq!(io::read_npz_array::<f32>(&out.0, "x").unwrap(), x.t(), "{device}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let path = fixture("stored.npz");
    let say = |e: Error| e.to_string();
    assert!(say(io::read_npz_array::<f32>(&path, "x").unwrap_err()).ends_with("has no array \"x\""));
    let why = say(io::read_npz_array::<f64>(&path, "numbers").unwrap_err());
    assert!(
        why.ends_with(
            "the array \"numbers\" holds f32 (descr \"<f4\"), but f64 was requested; read it as f32 and cast"
        )
    );
    assert!(refusal(&fixture("float32.npy")).starts_with("is not a valid archive of arrays: "));
    let missing = io::read_npz("/no/such/file.npz").unwrap_err().to_string();
    assert!(missing.contains("cannot be read: "), "{missing}");
    let out = Temporary::new();
    let x = Array::from([1u8]);
    let twice = io::write_npz(&out.0, [("x", &x), ("x", &x)]).unwrap_err().to_string();
    assert!(twice.contains("cannot be written: "), "{twice}");
    let half = io::write_npz(&out.0, [("x", Array::from([bf16::ONE]))]).unwrap_err().to_string();
    assert!(half.contains("has no bf16"), "{half}");
}

/// Changes the only occurrence of `from` in an archive to `to`, and returns the reason why it cannot be read.
fn changed(bytes: &[u8], from: &[u8], to: &[u8]) -> String {
    let mut bytes = bytes.to_vec();
    let at = bytes.windows(from.len()).position(|w| w == from).expect("the archive contains these bytes");
    bytes[at..at + to.len()].copy_from_slice(to);
    let out = Temporary::new();
    std::fs::write(&out.0, bytes).unwrap();
    refusal(&out.0)
}

#[test]
fn malicious_archives_are_refused() {
    let out = Temporary::new();
    io::write_npz(&out.0, [("x", Array::from([1.0f32, 2.0, 3.0]))]).unwrap();
    let bytes = std::fs::read(&out.0).unwrap();
    let why = changed(&bytes, b"(3,)", b"(9,)");
    assert!(why.contains("is truncated") || why.contains("needs 36 bytes"), "{why}");
    let why = changed(&bytes, &2.0f32.to_le_bytes(), &7.0f32.to_le_bytes());
    assert!(why.contains("cannot be read"), "a wrong checksum: {why}");

    let out = Temporary::new();
    let x = Array::from([0u8; 64]).broadcast_to([1000, 64]).unwrap();
    io::write_npz_compressed(&out.0, [("x", x)]).unwrap();
    let bytes = std::fs::read(&out.0).unwrap();
    for end in (0..bytes.len()).step_by(7) {
        let cut = Temporary::new();
        std::fs::write(&cut.0, &bytes[..end]).unwrap();
        refusal(&cut.0);
    }
    // No change of a byte makes it panic, or allocate what the archive does not hold.
    for at in 0..bytes.len() {
        for to in [0, 0xff, bytes[at] ^ 0x10] {
            let mut bytes = bytes.clone();
            bytes[at] = to;
            let out = Temporary::new();
            std::fs::write(&out.0, bytes).unwrap();
            let _ = io::read_npz(&out.0);
        }
    }
}

/// Arrays that cannot be written are found before the file is touched.
#[test]
fn a_failed_write_leaves_the_file() {
    let (file, old) = (Temporary::new(), Array::from([1.5f32, 2.5]));
    io::write_npz(&file.0, [("x", &old)]).unwrap();
    let half = DynArray::from(&Array::full([2], bf16::ONE).unwrap());
    assert!(io::write_npz(&file.0, [("y", DynArray::from(&old)), ("z", half)]).is_err());
    assert!(io::write_npz(&file.0, [("y", &old), ("y", &old)]).is_err());
    assert_eq!(io::read_npz_array::<f32>(&file.0, "x").unwrap(), old);
}

/// An empty view may begin at the end of its buffer.
#[test]
fn empty_views_are_written() {
    let file = Temporary::new();
    let empty = Array::<f32>::zeros([3, 0]).unwrap().slice(s![2..]).unwrap();
    io::write_npz(&file.0, [("x", &empty)]).unwrap();
    assert_eq!(io::read_npz_array::<f32>(&file.0, "x").unwrap().shape(), [1, 0]);
    io::write_npy(&file.0, &empty).unwrap();
    assert_eq!(io::read_npy::<f32>(&file.0).unwrap().shape(), [1, 0]);
}
