//! Reading and writing NumPy's files: `.npy`, the format for one array
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>), and with the feature `npz` archives of
//! named arrays.
//!
//! ```text
//! "\x93NUMPY" | version: 2 bytes | length of the header: 2 bytes (version 1) or 4 | header | elements
//! header: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
//! ```
//!
//! [`map_npy`] and related functions map a file instead of reading it, and [`create_npy`] makes a file that is written
//! through a map: for arrays that are larger than the memory. [`stream`](crate::stream) computes with them.
//!
//! The reader validates every field of a file before it uses it. It compares lengths with the length of the file before
//! it allocates memory. It parses the header with a parser that accepts only this one dict and no other Python syntax.

use crate::array::Array;
use crate::memory::map::lock;
use crate::{Device, DynArray, Element, Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

mod header;
mod map;
mod npy;
#[cfg(feature = "npz")]
mod npz;

pub use map::{MappedNpy, create_npy, map_npy, map_npy_cow, map_npy_mut};

use header::Order;
use npy::Head;
#[cfg(feature = "safetensors")]
pub(crate) use npy::turn_round;
#[cfg(feature = "npz")]
pub use npz::{read_npz, read_npz_array, read_npz_csr, write_npz, write_npz_compressed};

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
#[doc(alias("load", "fromfile"))]
pub fn read_npy<T: Element>(path: impl AsRef<Path>) -> Result<Array<T>> {
    let path = path.as_ref();
    let (mut file, len) = open(path)?;
    let head = head::<T>(&mut file, len).map_err(|why| bad(path, why))?;
    head.load(&mut file, true).map_err(|e| e.at(path))?.typed()
}

/// As [`read_npy`], for a file whose dtype is known only at run time.
///
/// # Errors
/// As [`read_npy`], except that every dtype of this library is accepted.
///
/// ```
/// # use polyarray_core::*;
/// let path = std::env::temp_dir().join(format!("read_npy_dyn_{}.npy", std::process::id()));
/// io::write_npy(&path, &Array::from([1u8, 2]))?;
/// assert_eq!(io::read_npy_dyn(&path)?.dtype(), DType::U8);
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), Error>(())
/// ```
pub fn read_npy_dyn(path: impl AsRef<Path>) -> Result<DynArray> {
    let path = path.as_ref();
    let (mut file, len) = open(path)?;
    let head = Head::read(&mut file, len).and_then(|head| head.checked(len)).map_err(|why| bad(path, why))?;
    head.load(&mut file, true).map_err(|e| e.at(path))
}

/// Reads the indices `rows` of the first axis of the array in a `.npy` file, and nothing else of the elements: for
/// files that are larger than the memory. In a file in Fortran order, the rows of each column lie together: if the
/// columns are short, the function reads the file in larger pieces, from the first of these rows to the last.
///
/// # Errors
/// [`Error::Index`] if `rows` does not lie within the axis, [`Error::Axis`] if the array has no axes; otherwise as
/// [`read_npy`].
///
/// ```
/// # use polyarray_core::*;
/// let path = std::env::temp_dir().join(format!("read_npy_rows_{}.npy", std::process::id()));
/// io::write_npy(&path, &Array::from([[1.5f32, 2.5], [3.5, 4.5], [5.5, 6.5]]))?;
/// assert_eq!(io::read_npy_rows::<f32>(&path, 1..3)?, Array::from([[3.5, 4.5], [5.5, 6.5]]));
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), Error>(())
/// ```
pub fn read_npy_rows<T: Element>(path: impl AsRef<Path>, rows: Range<usize>) -> Result<Array<T>> {
    let path = path.as_ref();
    let (mut file, len) = open(path)?;
    let mut head = head::<T>(&mut file, len).map_err(|why| bad(path, why))?;
    let &count = head.shape.first().ok_or(Error::Axis { op: "read_npy_rows", axis: 0, ndim: 0 })?;
    if rows.start > rows.end || rows.end > count {
        return Err(Error::Index { what: format!("range {}..{}", rows.start, rows.end), axis: 0, len: count });
    }
    let per_row = head.bytes.checked_div(count).unwrap_or(0);
    head.shape.axes_mut()[0] = rows.len();
    head.bytes = rows.len() * per_row;
    // The bytes of one run, of all runs up to the next, and before the first.
    let (run, apart, before) = match head.order {
        Order::C => (head.bytes, head.bytes, rows.start * per_row),
        Order::Fortran => [rows.len(), count, rows.start].map(|n| n * head.dtype.size()).into(),
    };
    file.seek(SeekFrom::Start(head.start + before as u64)).map_err(|e| bad(path, format!("cannot be read: {e}")))?;
    let ahead = if run < apart && apart <= NEAR { READ_AHEAD } else { 0 };
    let file = BufReader::with_capacity(ahead, file);
    let mut runs = Runs { file, run, gap: (apart - run) as i64, left: run };
    head.load(&mut runs, true).map_err(|e| e.at(path))?.typed()
}

/// The largest distance in bytes of runs that are read together with the bytes between them.
const NEAR: usize = 64 << 10;
/// The number of bytes that are then read with one call.
const READ_AHEAD: usize = 1 << 20;

/// Reads runs of `run` bytes with gaps between them as one sequence.
struct Runs {
    file: BufReader<File>,
    run: usize,
    /// The number of bytes between runs.
    gap: i64,
    /// The number of bytes that are left of this run.
    left: usize,
}

impl Read for Runs {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            self.file.seek_relative(self.gap)?;
            self.left = self.run;
        }
        let len = to.len().min(self.left);
        let read = self.file.read(&mut to[..len])?;
        self.left -= read;
        Ok(read)
    }
}

/// Writes an array to a `.npy` file (format 1.0) and replaces an existing file. Arrays on a device are copied to the
/// host first.
///
/// An array in Fortran order is written in Fortran order, any other array in C order.
///
/// # Errors
/// [`Error::File`] if the file cannot be written or is mapped, or for bf16, for which the format has no name.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let path = std::env::temp_dir().join(format!("write_npy_{}.npy", std::process::id()));
/// io::write_npy(&path, &Array::from_vec(vec![0.5f64, 1.5], [2])?)?;
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), Error>(())
/// ```
#[doc(alias("save", "tofile"))]
pub fn write_npy<T: Element>(path: impl AsRef<Path>, array: &Array<T>) -> Result<()> {
    let path = path.as_ref();
    let encoded = Encoded::new(&array.into(), path)?;
    let write = || {
        let mut file = create(path, false)?;
        encoded.write(&mut file)?;
        file.flush()
    };
    write().map_err(|e| bad(path, format!("cannot be written: {e}")))
}

/// An array in the form of a file.
struct Encoded {
    head: Vec<u8>,
    /// The elements, in host memory without gaps, in the order of the file.
    elements: DynArray,
}

impl Encoded {
    fn new(array: &DynArray, path: &Path) -> Result<Encoded> {
        let descr = npy::descr(array.dtype()).ok_or_else(|| bad(path, npy::NO_BF16))?;
        let host = array.to_device(&Device::auto())?;
        let reversed = host.layout().is_f_contiguous() && !host.layout().is_c_contiguous();
        let (order, stored) = if reversed { (Order::Fortran, host.t()) } else { (Order::C, host) };
        Ok(Encoded { head: header::encode(&descr, order, array.shape()), elements: stored.packed()? })
    }

    /// Returns the number of bytes of the file.
    #[cfg(feature = "npz")]
    fn len(&self) -> usize {
        self.head.len() + self.elements.nbytes()
    }

    fn write(&self, to: &mut impl Write) -> std::io::Result<()> {
        to.write_all(&self.head)?;
        to.write_all(self.elements.packed_bytes())
    }
}

fn bad(path: &Path, why: impl Into<String>) -> Error {
    Error::File { path: path.into(), why: why.into() }
}

/// Opens a file for reading. Returns its length, too.
pub(crate) fn open(path: &Path) -> Result<(File, u64)> {
    open_with(path, OpenOptions::new().read(true), |_| Ok(()))
}

/// Opens a file, and calls `lock` before its length is read.
fn open_with(
    path: &Path,
    options: &OpenOptions,
    lock: impl FnOnce(&File) -> Result<(), String>,
) -> Result<(File, u64)> {
    let cannot = |e: std::io::Error| bad(path, format!("cannot be read: {e}"));
    // Checks the file type before opening the file: opening a pipe would block until a writer opens it.
    if !fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(bad(path, "is not a regular file"));
    }
    let file = options.open(path).map_err(cannot)?;
    lock(&file).map_err(|why| bad(path, format!("cannot be mapped: {why}")))?;
    let len = file.metadata().map_err(cannot)?.len();
    Ok((file, len))
}

/// Creates a file for writing (and reading, for a map), or empties an existing one that is not mapped: if it were cut
/// under its map, an access through the map would end the process.
fn create(path: &Path, read: bool) -> std::io::Result<File> {
    let file = OpenOptions::new().read(read).write(true).create(true).truncate(false).open(path)?;
    // Devices and pipes have neither locks nor a length.
    if file.metadata()?.is_file() {
        lock(&file, true).map_err(std::io::Error::other)?;
        file.set_len(0)?;
    }
    Ok(file)
}

/// Reads the header of a file of `len` bytes whose elements must be `T`s.
fn head<T: Element>(file: &mut File, len: u64) -> Result<Head, String> {
    npy::nameable(T::DTYPE)?;
    Head::read(file, len)?.of(T::DTYPE)?.checked(len)
}
