//! Reading and writing `.npy` files, NumPy's format for one array
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).
//!
//! ```text
//! "\x93NUMPY" | version: 2 bytes | length of the header: 2 bytes (version 1) or 4 | header | elements
//! header: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
//! ```
//!
//! The reader validates every field of a file before it uses it. It compares lengths with the length of the file before
//! it allocates memory. It parses the header with a parser that accepts only this one dict and no other Python syntax.

use crate::array::Array;
use crate::bytes::fresh_bytes;
use crate::expr::RawArray;
use crate::layout::Layout;
use crate::{Buffer, DType, Dims, Element, Error, Kind, MAX_NDIM, Result};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

mod header;
use header::{Header, Order};

const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest header in bytes that the reader accepts: NumPy's own limit. The header of an array has about 100 bytes.
const MAX_HEADER: usize = 10_000;

/// Reads an array from a `.npy` file.
///
/// Reads all elements with one call. A file in Fortran order gives an array in Fortran order. Big-endian elements are
/// byte-swapped. As in NumPy, bytes after the last element are ignored.
///
/// # Errors
/// [`Error::File`], with the figures, if the file is missing, is not a `.npy` file, is shorter than its header
/// declares, holds another dtype than `T`, holds elements that have no dtype in this library (Python objects, strings,
/// records, dates), or holds bool bytes other than 0 and 1; [`Error::OutOfMemory`] if the elements need more memory
/// than the machine has.
///
/// ```
/// # use polyarray_core::*;
/// let path = std::env::temp_dir().join(format!("read_npy_{}.npy", std::process::id()));
/// io::write_npy(&path, &Array::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], [2, 2])?)?;
/// let a = io::read_npy::<f32>(&path)?;
/// assert_eq!((a.shape(), a.to_vec()?), (&[2, 2][..], vec![1.0, 2.0, 3.0, 4.0]));
/// assert!(io::read_npy::<f64>(&path).unwrap_err().to_string().contains("holds f32"));
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), Error>(())
/// ```
pub fn read_npy<T: Element>(path: impl AsRef<Path>) -> Result<Array<T>> {
    let path = path.as_ref();
    read(path, T::DTYPE).and_then(Array::from_raw)
}

/// Writes an array to a `.npy` file (format 1.0) and replaces an existing file. Arrays on a device are copied to the
/// host first.
///
/// An array in Fortran order is written in Fortran order, any other array in C order.
///
/// # Errors
/// [`Error::File`] if the file cannot be written, or for bf16, for which the format has no name.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let path = std::env::temp_dir().join(format!("write_npy_{}.npy", std::process::id()));
/// io::write_npy(&path, &Array::from_vec(vec![0.5f64, 1.5], [2])?)?;
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), Error>(())
/// ```
pub fn write_npy<T: Element>(path: impl AsRef<Path>, array: &Array<T>) -> Result<()> {
    let path = path.as_ref();
    let descr = descr(T::DTYPE).ok_or_else(|| bad(path, NO_BF16))?;
    let host = array.on_host()?;
    let (order, stored) = if host.is_f_contiguous() && !host.is_c_contiguous() {
        (Order::Fortran, host.t())
    } else {
        (Order::C, host.clone())
    };
    let copied;
    let elements = match stored.as_slice() {
        Some(elements) => elements,
        None => {
            copied = stored.to_vec()?;
            &copied
        }
    };
    let head = header::encode(&descr, order, array.shape());
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(&head)?;
        file.write_all(bytemuck::cast_slice(elements))?;
        file.flush()
    };
    write().map_err(|e| bad(path, format!("cannot be written: {e}")))
}

const NO_BF16: &str = "the npy format has no bf16: write it as f32 (x.cast::<f32>()), read it as f32 and cast";

fn bad(path: &Path, why: impl Into<String>) -> Error {
    Error::File { path: path.into(), why: why.into() }
}

/// The `descr` of a dtype in the machine's byte order; `None` if the format has no name for the dtype.
fn descr(dtype: DType) -> Option<String> {
    let letter = match dtype.kind() {
        Kind::Bool => 'b',
        Kind::Int => 'i',
        Kind::Uint => 'u',
        Kind::Float => 'f',
        Kind::Complex => 'c',
    };
    let order = match dtype.size() {
        1 => '|',
        _ if cfg!(target_endian = "big") => '>',
        _ => '<',
    };
    (dtype != DType::BF16).then(|| format!("{order}{letter}{}", dtype.size()))
}

/// The dtype that a `descr` names, and whether its byte order is the opposite of the machine's.
fn dtype_of(descr: &str) -> Result<(DType, bool), String> {
    let (order, name) = match descr.as_bytes() {
        [b'<' | b'>' | b'|' | b'=', ..] => descr.split_at(1),
        _ => ("=", descr),
    };
    let foreign = order == if cfg!(target_endian = "big") { "<" } else { ">" };
    let known = DType::ALL.into_iter().find(|&d| self::descr(d).is_some_and(|s| &s[1..] == name));
    if let Some(dtype) = known {
        return Ok((dtype, foreign));
    }
    let what = match name.as_bytes().first() {
        Some(b'O') => "Python objects (a pickle), which are not supported; save numeric arrays",
        Some(b'S' | b'U' | b'a') => "strings, which are not supported; save numeric arrays",
        Some(b'V') => "raw bytes, which are not supported; in NumPy, view them as a numeric dtype before saving",
        Some(b'M' | b'm') => {
            "dates or times, which are not supported; convert them in NumPy with a.view(np.int64) before saving"
        }
        _ => "elements of an unsupported dtype; in NumPy, convert them with astype before saving",
    };
    Err(format!("holds {what} (descr {descr:?})"))
}

fn read(path: &Path, want: DType) -> Result<RawArray> {
    let fail = |why: String| bad(path, why);
    let cannot = |e: std::io::Error| bad(path, format!("cannot be read: {e}"));
    if want == DType::BF16 {
        return Err(fail(NO_BF16.into()));
    }
    // Checks the file type before opening the file: opening a pipe would block until a writer opens it.
    if !fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(fail("is not a regular file".into()));
    }
    let mut file = File::open(path).map_err(cannot)?;
    let len = file.metadata().map_err(cannot)?.len();
    let (header, start) = read_header(&mut file, len).map_err(fail)?;
    let (dtype, foreign) = dtype_of(&header.descr).map_err(fail)?;
    if dtype != want {
        return Err(fail(format!(
            "holds {dtype} (descr {:?}), but {want} was requested; read it as {dtype} and cast",
            header.descr
        )));
    }
    let shape = Dims::from(&header.shape);
    let bytes = shape.check(dtype).map_err(|e| fail(e.to_string()))?;
    let there = len - start;
    if there < bytes as u64 {
        return Err(fail(format!(
            "is truncated: shape {shape:?} of {dtype} needs {bytes} bytes, but only {there} bytes follow the header"
        )));
    }
    let mut buffer = Buffer::host(bytes)?;
    let data = fresh_bytes(&mut buffer, bytes);
    file.read_exact(data).map_err(cannot)?;
    if foreign {
        turn_round(data, if dtype.kind() == Kind::Complex { dtype.size() / 2 } else { dtype.size() });
    }
    if dtype == DType::Bool {
        check_bools(data).map_err(fail)?;
    }
    let layout = match header.order {
        Order::C => Layout::contiguous(shape),
        Order::Fortran => Layout::contiguous(shape.iter().rev().copied().collect()).t(),
    };
    Ok(RawArray { buffer, dtype, layout })
}

/// Reads the file up to the first element. Returns the header and the offset of the first element. `len` is the length
/// of the file.
fn read_header(file: &mut File, len: u64) -> Result<(Header, u64), String> {
    let cannot = |e: std::io::Error| format!("cannot be read: {e}");
    let mut fixed = [0u8; 8];
    let have = fixed.len().min(usize::try_from(len).unwrap_or(usize::MAX));
    file.read_exact(&mut fixed[..have]).map_err(cannot)?;
    if have < fixed.len() || &fixed[..6] != MAGIC {
        return Err(format!(
            "is not a .npy file: it has {len} bytes and begins with {:02x?}, not {MAGIC:02x?} and a version",
            &fixed[..have.min(6)]
        ));
    }
    let width: u64 = match (fixed[6], fixed[7]) {
        (1, 0) => 2,
        (2 | 3, 0) => 4,
        (major, minor) => {
            return Err(format!(
                "has version {major}.{minor} of the npy format; supported versions are 1.0, 2.0 and 3.0"
            ));
        }
    };
    if len < 8 + width {
        return Err(format!("is truncated: the file has {len} bytes and ends inside the header-length field"));
    }
    let mut size = [0u8; 4];
    file.read_exact(&mut size[..width as usize]).map_err(cannot)?;
    let size = u32::from_le_bytes(size) as usize;
    let start = 8 + width + size as u64;
    if size > MAX_HEADER {
        return Err(format!("declares a header of {size} bytes; the limit is {MAX_HEADER} bytes"));
    }
    if len < start {
        return Err(format!(
            "is truncated: the header should have {size} bytes, but only {} bytes follow the header-length field",
            len - 8 - width
        ));
    }
    let mut text = vec![0u8; size];
    file.read_exact(&mut text).map_err(cannot)?;
    let header = header::parse(&text).map_err(|why| format!("has a malformed header: {why}"))?;
    if header.shape.len() > MAX_NDIM {
        return Err(format!("has {} axes; the maximum is {MAX_NDIM}", header.shape.len()));
    }
    Ok((header, start))
}

/// Reverses the bytes of each group of `width` bytes.
fn turn_round(data: &mut [u8], width: usize) {
    fn each<const N: usize>(data: &mut [u8]) {
        data.as_chunks_mut::<N>().0.iter_mut().for_each(|group| group.reverse());
    }
    match width {
        1 => {}
        2 => each::<2>(data),
        4 => each::<4>(data),
        8 => each::<8>(data),
        _ => unreachable!("unsupported element width: {width} bytes"),
    }
}

/// Returns an error if a byte is neither 0 nor 1. Such a byte is not a valid `bool`.
fn check_bools(data: &[u8]) -> Result<(), String> {
    match data.iter().position(|&b| b > 1) {
        None => Ok(()),
        Some(at) => Err(format!(
            "holds bool, but element {at} is the byte {} instead of 0 or 1; save it from NumPy as uint8 and read it as \
             u8",
            data[at]
        )),
    }
}
