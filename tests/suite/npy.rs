//! `.npy` files: files that NumPy wrote (`tests/data`, made by `make.py` there), round trips, and malicious files.

use polyarray::prelude::*;
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(format!("{name}.npy"))
}

/// A file name that is unique to this process and call. The file is removed on drop.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Temporary {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        Temporary(std::env::temp_dir().join(format!(
            "polyarray-{}-{}.npy",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        )))
    }

    fn holding(bytes: &[u8]) -> Temporary {
        let file = Temporary::new();
        std::fs::write(&file.0, bytes).unwrap();
        file
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// Returns the reason why the file cannot be read as `T`. Panics unless reading gives an error about that file.
fn refusal<T: Element>(path: &Path) -> String {
    match io::read_npy::<T>(path) {
        Err(Error::File { path: named, why }) => {
            assert_eq!(named, path);
            why
        }
        other => panic!("{} gives {other:?}", path.display()),
    }
}

/// Returns the reason why these bytes cannot be read as f32.
fn refusal_of(bytes: &[u8]) -> String {
    refusal::<f32>(&Temporary::holding(bytes).0)
}

/// Returns a file of version 1.0 with this header, without padding, and these bytes after it.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut all = b"\x93NUMPY\x01\x00".to_vec();
    all.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    all.extend(header.as_bytes());
    all.extend(data);
    all
}

fn f32_header(shape: &str) -> String {
    format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n")
}

macro_rules! numpy_wrote {
    ($($test:ident $name:literal $ty:ty: [$($value:expr),*];)*) => { $(
        /// NumPy's file reads as these numbers. Writing them gives the same header dictionary and elements.
        #[test]
        fn $test() {
            let a = io::read_npy::<$ty>(fixture($name)).unwrap();
            assert_eq!(a.shape(), [2, 3]);
            assert!(a.is_c_contiguous());
            assert_eq!(a.to_vec().unwrap(), [$($value),*].map(|x| x as $ty));
            again(&a, $name);
        }
    )* };
}

/// Asserts that writing `a` gives the header dictionary and the elements of the fixture.
fn again<T: Element>(a: &Array<T>, name: &str) {
    let out = Temporary::new();
    io::write_npy(&out.0, a).unwrap();
    let (ours, numpy) = (std::fs::read(&out.0).unwrap(), std::fs::read(fixture(name)).unwrap());
    // NumPy leaves room in the header for a first axis that grows, so the lengths of the headers may differ.
    let elements = |bytes: &[u8]| bytes[10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]))..].to_vec();
    assert_eq!(elements(&ours), elements(&numpy));
    let dict = |bytes: &[u8]| String::from_utf8_lossy(&bytes[10..bytes.len()]).split('}').next().map(str::to_string);
    assert_eq!(dict(&ours), dict(&numpy));
}

numpy_wrote! {
    int8 "int8" i8: [-3, -2, -1, 0, 1, 2];
    int16 "int16" i16: [-3, -2, -1, 0, 1, 2];
    int32 "int32" i32: [-3, -2, -1, 0, 1, 2];
    int64 "int64" i64: [-3, -2, -1, 0, 1, 2];
    uint8 "uint8" u8: [-3i64, -2, -1, 0, 1, 2];
    uint16 "uint16" u16: [-3i64, -2, -1, 0, 1, 2];
    uint32 "uint32" u32: [-3i64, -2, -1, 0, 1, 2];
    uint64 "uint64" u64: [-3i64, -2, -1, 0, 1, 2];
    float32 "float32" f32: [-3, -2, -1, 0, 1, 2];
    float64 "float64" f64: [-3, -2, -1, 0, 1, 2];
}

#[test]
fn numpy_wrote_bool_half_and_complex() {
    let a = io::read_npy::<bool>(fixture("bool")).unwrap();
    assert_eq!(a.to_vec().unwrap(), [true, true, true, false, true, true]);
    again(&a, "bool");
    let a = io::read_npy::<f16>(fixture("float16")).unwrap();
    assert_eq!(a.to_vec().unwrap(), [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0].map(f16::from_f32));
    again(&a, "float16");
    let a = io::read_npy::<Complex<f32>>(fixture("complex64")).unwrap();
    assert_eq!(a.to_vec().unwrap(), [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0].map(|x| Complex::new(x, 0.5)));
    again(&a, "complex64");
    let a = io::read_npy::<Complex<f64>>(fixture("complex128")).unwrap();
    assert_eq!(a.to_vec().unwrap(), [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0].map(|x| Complex::new(x, 0.5)));
    again(&a, "complex128");
}

#[test]
fn fortran_order_is_a_layout() {
    let a = io::read_npy::<f32>(fixture("fortran")).unwrap();
    assert_eq!((a.shape(), a.strides()), (&[2, 3][..], &[1, 2][..]));
    assert_eq!(a.to_vec().unwrap(), [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0]);
    again(&a, "fortran");
}

#[test]
fn big_endian_files_are_turned_round() {
    let numbers = [-3.0f32, -2.0, -1.0, 0.0, 1.0, 2.0];
    assert_eq!(io::read_npy::<i16>(fixture("big_endian_i2")).unwrap().to_vec().unwrap(), numbers.map(|x| x as i16));
    assert_eq!(io::read_npy::<f32>(fixture("big_endian_f4")).unwrap().to_vec().unwrap(), numbers);
    assert_eq!(io::read_npy::<f64>(fixture("big_endian_f8")).unwrap().to_vec().unwrap(), numbers.map(f64::from));
    assert_eq!(
        io::read_npy::<Complex<f32>>(fixture("big_endian_c8")).unwrap().to_vec().unwrap(),
        numbers.map(|x| Complex::new(x, 0.5))
    );
}

#[test]
fn no_axes_no_elements_and_the_other_versions() {
    let a = io::read_npy::<f64>(fixture("no_axes")).unwrap();
    assert_eq!((a.shape(), a.item().unwrap()), (&[][..], 2.5));
    again(&a, "no_axes");
    let a = io::read_npy::<f32>(fixture("no_elements")).unwrap();
    assert_eq!((a.shape(), a.to_vec().unwrap()), (&[3, 0, 2][..], vec![]));
    again(&a, "no_elements");
    for name in ["version_2", "version_3"] {
        assert_eq!(io::read_npy::<f32>(fixture(name)).unwrap().to_vec().unwrap(), [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0]);
    }
}

#[test]
fn any_layout_can_be_written() {
    let a = Array::from_vec((0..24).collect::<Vec<i32>>(), [2, 3, 4]).unwrap();
    let views = [
        a.clone(),
        a.t(),
        a.permute(&[1, 0, 2]).unwrap(),
        a.slice(s![.., ..;-1, 1..;2]).unwrap(),
        a.slice(s![1, 2]).unwrap(),
        a.slice(s![0, 0, ..]).unwrap().broadcast_to([5, 4]).unwrap(),
        a.slice(s![.., 1..1]).unwrap(),
    ];
    for view in views {
        let out = Temporary::new();
        io::write_npy(&out.0, &view).unwrap();
        let back = io::read_npy::<i32>(&out.0).unwrap();
        assert_eq!((back.shape(), back.to_vec().unwrap()), (view.shape(), view.to_vec().unwrap()));
        assert_eq!(back.is_f_contiguous(), view.is_f_contiguous());
    }
}

#[test]
fn arrays_on_devices_can_be_written() {
    let a = Array::from_vec(vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]).unwrap();
    for device in Device::all() {
        let there = a.to_device(&device).unwrap().t();
        let out = Temporary::new();
        io::write_npy(&out.0, &there).unwrap();
        let back = io::read_npy::<f32>(&out.0).unwrap();
        assert_eq!(
            (back.shape(), back.to_vec().unwrap()),
            (&[3, 2][..], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]),
            "{device}"
        );
    }
}

#[test]
fn another_dtype_is_named_with_the_one_asked_for() {
    assert_eq!(
        refusal::<f32>(&fixture("float64")),
        "holds f64 (descr \"<f8\"), but f32 was requested; read it as f64 and cast"
    );
    assert_eq!(
        refusal::<i8>(&fixture("uint8")),
        "holds u8 (descr \"|u1\"), but i8 was requested; read it as u8 and cast"
    );
    assert_eq!(
        refusal::<bool>(&fixture("uint8")),
        "holds u8 (descr \"|u1\"), but bool was requested; read it as u8 and cast"
    );
}

#[test]
fn what_is_no_dtype_is_said_to_be_what_it_is() {
    let cases = [
        ("objects", "holds Python objects (a pickle), which are not supported; save numeric arrays (descr \"|O\")"),
        ("strings", "holds strings, which are not supported; save numeric arrays (descr \"<U2\")"),
        ("records", "structured arrays (records) are not supported; save each field (a['name']) separately"),
        (
            "dates",
            "holds dates or times, which are not supported; convert them in NumPy with a.view(np.int64) before saving \
             (descr \"<M8[D]\")",
        ),
        (
            "long_double",
            "holds elements of an unsupported dtype; in NumPy, convert them with astype before saving (descr \"<f16\")",
        ),
    ];
    for (name, why) in cases {
        let said = refusal::<f32>(&fixture(name));
        assert!(said.ends_with(why), "{name}: {said}");
    }
}

#[test]
fn bf16_has_no_name_in_the_format() {
    let out = Temporary::new();
    let a = Array::from_vec(vec![bf16::from_f32(1.0)], [1]).unwrap();
    let why = "the npy format has no bf16: write it as f32 (x.cast::<f32>()), read it as f32 and cast";
    assert_eq!(io::write_npy(&out.0, &a).unwrap_err().to_string(), format!("{}: {why}", out.0.display()));
    assert!(!out.0.exists(), "nothing was written");
    assert_eq!(refusal::<bf16>(&fixture("float32")), why);
}

#[test]
fn files_that_are_not_there_or_not_files() {
    let said = refusal::<f32>(Path::new("/no/such/file.npy"));
    assert!(said.starts_with("cannot be read: ") && said.len() > 20, "{said}");
    assert_eq!(refusal::<f32>(&std::env::temp_dir()), "is not a regular file");
    let a = Array::from_vec(vec![1.0f32], [1]).unwrap();
    let said = io::write_npy("/no/such/folder/a.npy", &a).unwrap_err().to_string();
    assert!(said.starts_with("/no/such/folder/a.npy: cannot be written: "), "{said}");
}

#[test]
fn files_of_another_kind() {
    assert_eq!(
        refusal_of(b""),
        "is not a .npy file: it has 0 bytes and begins with [], not [93, 4e, 55, 4d, 50, 59] and a version"
    );
    assert!(refusal_of(b"\x93NUM").starts_with("is not a .npy file: it has 4 bytes and begins with [93, 4e, 55, 4d]"));
    assert!(
        refusal_of(b"PK\x03\x04 a zip file")
            .starts_with("is not a .npy file: it has 15 bytes and begins with [50, 4b, 03, 04, 20, 61]")
    );
    assert_eq!(
        refusal_of(b"\x93NUMPY\x09\x01\x00\x00"),
        "has version 9.1 of the npy format; supported versions are 1.0, 2.0 and 3.0"
    );
    assert_eq!(
        refusal_of(b"\x93NUMPY\x02\x00\x10\x00"),
        "is truncated: the file has 10 bytes and ends inside the header-length field"
    );
}

#[test]
fn headers_longer_than_the_file_or_than_any() {
    assert_eq!(
        refusal_of(b"\x93NUMPY\x01\x00\x76\x00{'descr'"),
        "is truncated: the header should have 118 bytes, but only 8 bytes follow the header-length field"
    );
    // The header claims to have 4 GiB: nothing may be allocated.
    assert_eq!(
        refusal_of(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}"),
        "declares a header of 4294967295 bytes; the limit is 10000 bytes"
    );
    assert_eq!(
        refusal_of(&file(&"(".repeat(20_000), b"")),
        "declares a header of 20000 bytes; the limit is 10000 bytes"
    );
    // The deepest nesting that a header can have: a recursive parser would overflow the stack.
    assert!(refusal_of(&file(&"{".repeat(9_999), b"")).ends_with("byte 1 is '{', where a string was expected"));
}

#[test]
fn headers_that_are_not_understood() {
    let said = |header: &str| refusal_of(&file(header, &[0; 64]));
    assert!(said("not a dict").starts_with("has a malformed header: byte 0 is 'n', where '{' was expected"));
    assert!(said("{'descr': '<f4', 'shape': (1,), }").ends_with("the key \"fortran_order\" is missing"));
    assert!(said(&f32_header("(-1,)")).ends_with("is '-', where a length was expected"));
    assert!(said(&f32_header("(1e3,)")).ends_with("is '1', where a length was expected"));
    assert!(said(&f32_header("5")).ends_with("is '5', where '(' was expected"));
    assert!(said(&f32_header("(1.5,)")).ends_with("is '.', where ',' (a tuple of one has a comma) was expected"));
    assert!(said(&format!("{} and more", f32_header("(1,)"))).ends_with("is 'a', where its end was expected"));
}

#[test]
fn shapes_that_are_too_much() {
    let said = |shape: &str| refusal_of(&file(&f32_header(shape), &[0; 64]));
    assert!(
        said("(99999999999999999999999,)")
            .ends_with("an axis of 99999999999999999999999 elements does not fit into usize")
    );
    // 2^32 * 2^32 elements: the product wraps to 0.
    assert_eq!(
        said("(4294967296, 4294967296)"),
        "shape [4294967296, 4294967296] of f32 is too large: its size in bytes overflows"
    );
    // 2^62 elements of 4 bytes: the number of bytes wraps to 0.
    assert_eq!(
        said("(4611686018427387904,)"),
        "shape [4611686018427387904] of f32 is too large: its size in bytes overflows"
    );
    // No elements, but the strides overflow.
    assert_eq!(
        said("(0, 4294967296, 4294967296)"),
        "shape [0, 4294967296, 4294967296] of f32 is too large: its size in bytes overflows"
    );
    // The size is possible, but the data is missing: the file is refused before memory is allocated.
    assert_eq!(
        said("(1000000, 1000000)"),
        "is truncated: shape [1000000, 1000000] of f32 needs 4000000000000 bytes, but only 64 bytes follow the header"
    );
    assert_eq!(said(&format!("({})", "1,".repeat(17))), "has 17 axes; the maximum is 16");
}

/// A file that has all the bytes that its header announces, more than any machine has memory for. Most file systems
/// store nothing for a hole.
#[cfg(unix)]
#[test]
fn more_than_there_is_memory_for() {
    let bytes = 1u64 << 43;
    let path = Temporary::holding(&file(&f32_header(&format!("({},)", bytes / 4)), b""));
    let len = std::fs::metadata(&path.0).unwrap().len() + bytes;
    std::fs::OpenOptions::new().write(true).open(&path.0).unwrap().set_len(len).unwrap();
    match io::read_npy::<f32>(&path.0) {
        Err(Error::OutOfMemory { bytes: asked, why, .. }) => {
            assert!(asked as u64 >= bytes && why.starts_with("the machine has "), "{asked}: {why}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn data_that_is_short_or_long() {
    let short = |n: usize| refusal_of(&file(&f32_header("(2, 3)"), &vec![0; n]));
    assert_eq!(short(23), "is truncated: shape [2, 3] of f32 needs 24 bytes, but only 23 bytes follow the header");
    assert_eq!(short(0), "is truncated: shape [2, 3] of f32 needs 24 bytes, but only 0 bytes follow the header");
    // NumPy ignores bytes after the data, and so does `read_npy`.
    let long =
        Temporary::holding(&file(&f32_header("(2,)"), &[1.0f32.to_le_bytes(), 2.0f32.to_le_bytes(), [9; 4]].concat()));
    assert_eq!(io::read_npy::<f32>(&long.0).unwrap().to_vec().unwrap(), [1.0, 2.0]);
}

#[test]
fn bytes_that_are_no_bool() {
    let header = f32_header("(4,)").replace("<f4", "|b1");
    let said = refusal::<bool>(&Temporary::holding(&file(&header, &[0, 1, 2, 1])).0);
    assert_eq!(
        said,
        "holds bool, but element 2 is the byte 2 instead of 0 or 1; save it from NumPy as uint8 and read it as u8"
    );
}

proptest! {
    #[test]
    fn a_file_changed_anywhere_is_read_or_refused(at in 0usize..152, to in any::<u8>(), cut in 0usize..153) {
        let mut bytes = std::fs::read(fixture("float32")).unwrap();
        prop_assert_eq!(bytes.len(), 152);
        bytes[at] = to;
        bytes.truncate(cut);
        match io::read_npy::<f32>(&Temporary::holding(&bytes).0) {
            Ok(a) => prop_assert!(a.nbytes() <= bytes.len()),
            Err(e) => prop_assert!(matches!(e, Error::File { .. }), "{e}"),
        }
    }

    #[test]
    fn what_is_written_is_read(
        bits in proptest::collection::vec(any::<u64>(), 0..40),
        columns in 1usize..5,
        transposed in any::<bool>(),
    ) {
        fn same<T: Element>(bits: &[u64], columns: usize, transposed: bool, make: impl Fn(u64) -> T) {
            let rows = bits.len() / columns;
            let a =
                Array::from_vec(bits[..rows * columns].iter().map(|&b| make(b)).collect(), [rows, columns]).unwrap();
            let a = if transposed { a.t() } else { a };
            let out = Temporary::new();
            io::write_npy(&out.0, &a).unwrap();
            let back = io::read_npy::<T>(&out.0).unwrap();
            assert_eq!(back.shape(), a.shape());
            // Compared as text, in which a NaN equals itself.
            assert_eq!(format!("{:?}", back.to_vec().unwrap()), format!("{:?}", a.to_vec().unwrap()));
        }
        let (b, c, t) = (&bits[..], columns, transposed);
        same(b, c, t, |b| b & 1 == 1);
        same(b, c, t, |b| b as i8);
        same(b, c, t, |b| b as i16);
        same(b, c, t, |b| b as i32);
        same(b, c, t, |b| b as i64);
        same(b, c, t, |b| b as u8);
        same(b, c, t, |b| b as u16);
        same(b, c, t, |b| b as u32);
        same(b, c, t, |b| b);
        same(b, c, t, |b| f16::from_bits(b as u16));
        same(b, c, t, |b| f32::from_bits(b as u32));
        same(b, c, t, f64::from_bits);
        same(b, c, t, |b| Complex::new(f32::from_bits(b as u32), f32::from_bits((b >> 32) as u32)));
        same(b, c, t, |b| Complex::new(f64::from_bits(b), f64::from_bits(!b)));
    }
}

#[test]
fn rows_are_read_alone() {
    let a = Array::from_vec((0..60).collect::<Vec<i32>>(), [5, 3, 4]).unwrap();
    let row = a.slice(s![.., 1, 2]).unwrap();
    for a in [a.clone(), a.to_f_order().unwrap(), a.slice(s![.., .., ..0]).unwrap(), row, a.slice(s![..0]).unwrap()] {
        let out = Temporary::new();
        io::write_npy(&out.0, &a).unwrap();
        let count = a.shape()[0];
        for (start, end) in (0..=count).flat_map(|start| (start..=count).map(move |end| (start, end))) {
            let part = io::read_npy_rows::<i32>(&out.0, start..end).unwrap();
            assert_eq!(part, a.slice(s![start..end]).unwrap(), "{start}..{end} of {:?}", a.shape());
        }
        for (start, end) in [(0, count + 1), (count + 1, count + 1), (1, 0), (0, usize::MAX)] {
            let error = io::read_npy_rows::<i32>(&out.0, start..end).unwrap_err();
            assert!(matches!(&error, Error::Index { axis: 0, len, .. } if *len == count), "{error}");
        }
    }
    let turned = io::read_npy_rows::<f32>(fixture("big_endian_f4"), 1..2).unwrap();
    assert_eq!(turned, Array::from([[0.0, 1.0, 2.0]]));
    let columns = io::read_npy_rows::<f32>(fixture("fortran"), 0..1).unwrap();
    assert_eq!(columns, Array::from([[-3.0, -2.0, -1.0]]));
    assert!(matches!(io::read_npy_rows::<f64>(fixture("no_axes"), 0..1), Err(Error::Axis { .. })));
    assert!(matches!(io::read_npy_rows::<f64>(fixture("float32"), 0..1), Err(Error::File { .. })));
}

/// Rows of short columns are read together with what lies between them, rows of long columns alone.
#[test]
fn rows_of_files_in_fortran_order() {
    for count in [1000, 20_000] {
        let a = Array::from_fn([count, 5], |ix| (ix[0] * 5 + ix[1]) as f32).unwrap().to_f_order().unwrap();
        let out = Temporary::new();
        io::write_npy(&out.0, &a).unwrap();
        for rows in [0..1, count / 2..count / 2 + 7, 1..count, count - 1..count] {
            let part = io::read_npy_rows::<f32>(&out.0, rows.clone()).unwrap();
            assert_eq!(part, a.slice(s![rows.clone()]).unwrap(), "{rows:?} of {count}");
        }
    }
}

#[test]
fn the_dtype_may_be_that_of_the_file() {
    for (name, dtype) in [("int16", DType::I16), ("big_endian_c8", DType::C32), ("bool", DType::Bool)] {
        let a = io::read_npy_dyn(fixture(name)).unwrap();
        assert_eq!((a.dtype(), a.shape()), (dtype, &[2, 3][..]));
    }
    let a = io::read_npy_dyn(fixture("fortran")).unwrap();
    assert_eq!(a.typed::<f32>().unwrap(), io::read_npy(fixture("fortran")).unwrap());
    assert!(matches!(io::read_npy_dyn(fixture("strings")), Err(Error::File { .. })));
}
