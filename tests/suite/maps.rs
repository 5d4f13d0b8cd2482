//! Mapped `.npy` files: read-only, private and written.

use crate::common::{count, on_every_device, refused};
use polyarray::prelude::*;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file name that is unique to this process and call. The file is removed on drop.
pub(crate) struct Temporary(pub PathBuf);

impl Temporary {
    pub fn new() -> Temporary {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("polyarray-map-{}-{}.npy", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Temporary(std::env::temp_dir().join(name))
    }

    pub fn holding<T: Element>(array: &Array<T>) -> Temporary {
        let file = Temporary::new();
        io::write_npy(&file.0, array).unwrap();
        file
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

fn is_file(e: &Error) -> bool {
    matches!(e, Error::File { .. })
}

#[test]
fn a_mapped_file_is_an_array() {
    let a = count([5, 3, 4]);
    for a in [a.clone(), a.t(), a.slice(s![1]).unwrap(), a.slice(s![1, 1, 1]).unwrap(), a.slice(s![..0]).unwrap()] {
        let file = Temporary::holding(&a);
        let (x, y) = (io::map_npy::<f32>(&file.0).unwrap(), io::map_npy_cow::<f32>(&file.0).unwrap());
        assert_eq!((&x, &y), (&a, &a));
        assert_eq!((x.is_c_contiguous(), x.is_f_contiguous()), (a.is_c_contiguous(), a.is_f_contiguous()));
        let other = Temporary::new();
        let written = io::create_npy::<f32>(&other.0, a.shape()).unwrap();
        assert_eq!(written.array(), a.zeros_like().unwrap());
    }
}

#[test]
fn every_device_reads_maps() {
    let a = count([40, 30]);
    let file = Temporary::holding(&a);
    on_every_device(|_| {
        let x = io::map_npy::<f32>(&file.0)?;
        assert_eq!((&x * 2.0 + x.t().slice(s![..1, ..1])?).eval()?, (&a * 2.0).eval()?);
        assert_eq!(x.matmul(&x.t())?, a.matmul(&a.t())?);
        // The buffer of an operand that nothing else holds becomes that of the result, unless it is read-only.
        assert_eq!((io::map_npy::<f32>(&file.0)? + 1.0).eval()?, (&a + 1.0).eval()?);
        assert_eq!((io::map_npy_cow::<f32>(&file.0)? + 1.0).eval()?, (&a + 1.0).eval()?);
        Ok(())
    });
    assert_eq!(io::read_npy::<f32>(&file.0).unwrap(), a);
}

#[test]
fn writes_go_where_they_should() {
    let a = count([4, 3]);
    let file = Temporary::holding(&a);
    for mut x in [io::map_npy::<f32>(&file.0).unwrap(), io::map_npy_cow::<f32>(&file.0).unwrap()] {
        let view = x.slice(s![1..]).unwrap();
        x.set([3, 2], -1.0).unwrap();
        assert_eq!((x.get([3, 2]).unwrap(), view.get([2, 2]).unwrap()), (-1.0, 11.0));
        drop(view);
        x.slice_mut(s![.., 0]).unwrap().fill(7.0).unwrap();
        x += 1.0;
        assert_eq!((x.get([2, 0]).unwrap(), x.get([3, 2]).unwrap()), (8.0, 0.0));
        drop(x);
        assert_eq!(io::read_npy::<f32>(&file.0).unwrap(), a);
    }
    let mut written = io::map_npy_mut::<f32>(&file.0).unwrap();
    written.view_mut().unwrap().slice_mut(s![.., ..;-2]).unwrap().assign(count([4, 2]) * 10.0).unwrap();
    let shown = written.array();
    assert_eq!(shown.to_vec().unwrap()[..3], [10.0, 1.0, 0.0]);
    written.flush().unwrap();
    assert_eq!(io::read_npy::<f32>(&file.0).unwrap(), shown);
    // An array of the file would change.
    let part = shown.slice(s![2]).unwrap();
    drop(shown);
    refused(written.view_mut(), |e| matches!(e, Error::NotWritable { .. }), &["drop it first"]);
    drop(part);
    written.view_mut().unwrap().fill(3.0).unwrap();
    let mut copy = written.array();
    copy.set([0, 0], 5.0).unwrap();
    written.view_mut().unwrap().slice_mut(s![1]).unwrap().fill(4.0).unwrap();
    drop(written);
    assert_eq!(copy.to_vec().unwrap()[..4], [5.0, 3.0, 3.0, 3.0]);
    assert_eq!(io::read_npy::<f32>(&file.0).unwrap().to_vec().unwrap()[..4], [3.0, 3.0, 3.0, 4.0]);
}

#[test]
fn files_under_maps_are_not_overwritten() {
    let a = count([3]);
    let file = Temporary::holding(&a);
    let locked = |e: &Error| is_file(e) && e.to_string().contains("the file is locked");
    let x = io::map_npy::<f32>(&file.0).unwrap();
    let again = io::map_npy_cow::<f32>(&file.0).unwrap();
    refused(io::write_npy(&file.0, &count([1])), locked, &["cannot be written"]);
    refused(io::create_npy::<f32>(&file.0, [1]), locked, &["cannot be written"]);
    refused(io::map_npy_mut::<f32>(&file.0), locked, &["cannot be mapped"]);
    assert_eq!((&x, &again, &io::read_npy(&file.0).unwrap()), (&a, &a, &a));
    drop((x, again));
    let mut written = io::map_npy_mut::<f32>(&file.0).unwrap();
    refused(io::map_npy::<f32>(&file.0), locked, &["cannot be mapped"]);
    refused(io::map_npy_cow::<f32>(&file.0), locked, &["cannot be mapped"]);
    refused(io::write_npy(&file.0, &count([1])), locked, &["cannot be written"]);
    let view = written.array();
    drop(written);
    // The array alone keeps the file mapped.
    refused(io::write_npy(&file.0, &count([1])), locked, &["cannot be written"]);
    assert_eq!(view, a);
    drop(view);
    io::write_npy(&file.0, &count([1])).unwrap();
    written = io::create_npy::<f32>(&file.0, [2, 2]).unwrap();
    written.view_mut().unwrap().assign(count([2, 2])).unwrap();
    drop(written);
    assert_eq!(io::read_npy::<f32>(&file.0).unwrap(), count([2, 2]));
}

#[test]
fn what_cannot_be_mapped_is_named() {
    let fixture =
        |name: &str| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(format!("{name}.npy"));
    refused(io::map_npy::<f32>(fixture("big_endian_f4")), is_file, &["byte order", "read it"]);
    refused(io::map_npy::<bool>(fixture("bool")), is_file, &["holds bool", "read the file"]);
    refused(io::map_npy::<f64>(fixture("float32")), is_file, &["holds f32", "f64 was requested"]);
    refused(io::map_npy::<f32>(fixture("objects")), is_file, &["Python objects"]);
    refused(io::map_npy::<f32>(std::env::temp_dir()), is_file, &["not a regular file"]);
    refused(io::map_npy::<f32>("/no/such/file.npy"), is_file, &["cannot be read"]);
    // The first element lies after 10 bytes and a header with an odd number of bytes.
    let mut text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }".to_string();
    text.extend(text.len().is_multiple_of(2).then_some(' '));
    let odd = Temporary::new();
    let head = [b"\x93NUMPY\x01\x00".as_slice(), &[text.len() as u8, 0], text.as_bytes()].concat();
    std::fs::write(&odd.0, [&head[..], &2.5f32.to_le_bytes()].concat()).unwrap();
    assert_eq!(io::read_npy::<f32>(&odd.0).unwrap(), Array::from([2.5]));
    refused(io::map_npy::<f32>(&odd.0), is_file, &["not a multiple of 4"]);
    // The file is shorter than its header says.
    let short = Temporary::holding(&count([100]));
    let file = std::fs::OpenOptions::new().write(true).open(&short.0).unwrap();
    file.set_len(300).unwrap();
    for result in [io::map_npy::<f32>(&short.0).map(drop), io::map_npy_mut::<f32>(&short.0).map(drop)] {
        refused(result, is_file, &["is truncated"]);
    }
}

#[test]
fn outputs_that_cannot_be_created_are_named() {
    let file = Temporary::new();
    let too_large = |e: &Error| matches!(e, Error::TooLarge { .. });
    refused(io::create_npy::<f32>(&file.0, [usize::MAX, 2]), too_large, &["overflows"]);
    refused(io::create_npy::<u8>(&file.0, [isize::MAX as usize]), too_large, &["overflows"]);
    refused(io::create_npy::<bool>(&file.0, [2]), is_file, &["bool"]);
    refused(io::create_npy::<bf16>(&file.0, [2]), is_file, &["no bf16"]);
    assert!(!file.0.exists());
    refused(io::create_npy::<f32>("/no/such/folder/x.npy", [2]), is_file, &["cannot be written"]);
    for shape in [&[][..], &[0], &[3, 0, 2]] {
        let mut out = io::create_npy::<f64>(&file.0, shape).unwrap();
        out.view_mut().unwrap().fill(2.0).unwrap();
        drop(out);
        assert_eq!(io::read_npy::<f64>(&file.0).unwrap(), Array::full(shape, 2.0).unwrap());
    }
}

/// Files that are much larger than the memory, of which a part is written. Most file systems store nothing for the
/// rest.
#[cfg(target_os = "linux")]
#[test]
fn files_larger_than_the_memory() {
    let file = Temporary::new();
    let rows = 1 << 22;
    let mut out = io::create_npy::<f64>(&file.0, [rows, 1 << 16]).unwrap();
    out.view_mut().unwrap().slice_mut(s![-1, 5..8]).unwrap().fill(1.5).unwrap();
    drop(out);
    let x = io::map_npy::<f64>(&file.0).unwrap();
    assert_eq!((x.shape(), x.nbytes()), (&[rows, 1 << 16][..], 1 << 41));
    assert_eq!(x.slice(s![rows - 1]).unwrap().sum().unwrap(), 4.5);
    assert_eq!(io::read_npy_rows::<f64>(&file.0, rows - 1..rows).unwrap().sum().unwrap(), 4.5);
    let mut y = io::map_npy_cow::<f64>(&file.0).unwrap();
    y.set([17, 17], 2.0).unwrap();
    assert_eq!((x.get([17, 17]).unwrap(), y.get([17, 17]).unwrap()), (0.0, 2.0));
}
