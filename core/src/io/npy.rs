//! The contents of a `.npy` file: its header, checked, and the elements.

use super::bad;
use super::header::{self, Header, Order};
use crate::bytes::fresh_bytes;
use crate::expr::RawArray;
use crate::layout::Layout;
use crate::{Array, Buffer, DType, Dims, DynArray, Error, Kind, MAX_NDIM, Result, with_dtype};
use std::io::Read;
use std::path::Path;

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest header in bytes that the reader accepts: NumPy's own limit. The header of an array has about 100 bytes.
const MAX_HEADER: usize = 10_000;

pub(super) const NO_BF16: &str =
    "the npy format has no bf16: write it as f32 (x.cast::<f32>()), read it as f32 and cast";

pub(super) const NO_BOOL: &str = "a byte of a mapped file may become one that is not a truth value; read the file, or \
                                  store u8";

/// Returns an error for a dtype for which the format has no name.
pub(super) fn nameable(dtype: DType) -> Result<(), String> {
    if dtype == DType::BF16 { Err(NO_BF16.into()) } else { Ok(()) }
}

/// The declarations of a file's header.
pub(super) struct Head {
    pub dtype: DType,
    /// The dtype as the file names it.
    descr: String,
    /// Whether the byte order is the opposite of the machine's.
    foreign: bool,
    pub order: Order,
    pub shape: Dims,
    /// The number of bytes of the elements.
    pub bytes: usize,
    /// The position in the file of the first element.
    pub start: u64,
}

/// The reason why elements cannot be read.
pub(super) enum Failure {
    /// The file is invalid.
    File(String),
    /// Another reason, such as a lack of memory.
    Other(Error),
}

impl Failure {
    /// Returns the error for a file.
    pub fn at(self, path: &Path) -> Error {
        match self {
            Failure::File(why) => bad(path, why),
            Failure::Other(error) => error,
        }
    }
}

impl Head {
    /// Reads a file of `len` bytes up to the first element.
    pub fn read(reader: &mut impl Read, len: u64) -> Result<Head, String> {
        let (header, start) = read_header(reader, len)?;
        let (dtype, foreign) = dtype_of(&header.descr)?;
        let shape = Dims::from(&header.shape);
        Ok(Head { dtype, descr: header.descr, foreign, order: header.order, shape, bytes: 0, start })
    }

    /// Fails if the elements are not of this dtype.
    pub fn of(self, want: DType) -> Result<Head, String> {
        if self.dtype == want {
            return Ok(self);
        }
        let Head { dtype, descr, .. } = self;
        Err(format!("holds {dtype} (descr {descr:?}), but {want} was requested; read it as {dtype} and cast"))
    }

    /// Fails if the shape is not one of an array, or if a file of `len` bytes is too short for it.
    pub fn checked(self, len: u64) -> Result<Head, String> {
        let Head { dtype, ref shape, start, .. } = self;
        let bytes = shape.check(dtype).map_err(|e| e.to_string())?;
        let there = len - start;
        if there < bytes as u64 {
            return Err(format!(
                "is truncated: shape {shape:?} of {dtype} needs {bytes} bytes, but only {there} bytes follow the header"
            ));
        }
        Ok(Head { bytes, ..self })
    }

    /// Fails if the elements in the file are not those of an array in memory: in a map, nothing can be converted.
    pub fn mappable(self) -> Result<Head, String> {
        let Head { dtype, foreign, start, .. } = self;
        let align = with_dtype!(dtype, T => align_of::<T>()) as u64;
        if dtype == DType::Bool {
            return Err(format!("cannot be mapped: it holds bool; {NO_BOOL}"));
        }
        if foreign {
            return Err("cannot be mapped: its elements have the byte order of other machines; read it".into());
        }
        if !start.is_multiple_of(align) {
            return Err(format!(
                "cannot be mapped: its elements begin at byte {start}, which is not a multiple of {align}; read it"
            ));
        }
        Ok(self)
    }

    /// Returns the layout of the elements in the file, from the first element on.
    pub fn layout(&self) -> Layout {
        layout(self.order, self.shape.clone())
    }

    /// Reads the elements. With `at_once`, allocates memory for all of them first: their number is in proportion to the
    /// length of a file. Otherwise allocates as they arrive.
    pub fn load(self, reader: &mut impl Read, at_once: bool) -> Result<DynArray, Failure> {
        let cannot = |e: std::io::Error| Failure::File(format!("cannot be read: {e}"));
        let Head { dtype, bytes, foreign, order, shape, .. } = self;
        let mut arrived = Vec::new();
        if !at_once {
            reader.take(bytes as u64).read_to_end(&mut arrived).map_err(cannot)?;
            if arrived.len() < bytes {
                return Err(Failure::File(format!("ends after {} of {bytes} bytes", arrived.len())));
            }
        }
        let mut buffer = Buffer::host(bytes).map_err(Failure::Other)?;
        let data = fresh_bytes(&mut buffer, bytes);
        if at_once {
            reader.read_exact(data).map_err(cannot)?;
        } else {
            data.copy_from_slice(&arrived);
        }
        if foreign {
            turn_round(data, if dtype.kind() == Kind::Complex { dtype.size() / 2 } else { dtype.size() });
        }
        if dtype == DType::Bool {
            check_bools(data).map_err(Failure::File)?;
        }
        let raw = RawArray { buffer, dtype, layout: layout(order, shape) };
        with_dtype!(dtype, T => Array::<T>::from_raw(raw).map(Array::erase)).map_err(Failure::Other)
    }
}

/// Reads a file of `len` bytes that is one short text of ASCII characters: an array without axes of the dtype `S` or
/// `U`.
#[cfg(feature = "npz")]
pub(super) fn read_text(reader: &mut impl Read, len: u64) -> Result<String, String> {
    const LONGEST: u64 = 256;
    let (header, start) = read_header(reader, len)?;
    let is_text = matches!(header.descr.trim_start_matches(['<', '>', '|', '=']).as_bytes(), [b'S' | b'U', ..]);
    let bytes = len - start;
    if !is_text || !header.shape.is_empty() || bytes > LONGEST {
        let (descr, shape) = (header.descr, header.shape);
        return Err(format!("holds {bytes} bytes of descr {descr:?} and shape {shape:?}, where a word was expected"));
    }
    // Reads up to the end, at which the checksum is compared. The characters of `U` have four bytes, three of them 0.
    let mut text = Vec::new();
    reader.take(LONGEST + 1).read_to_end(&mut text).map_err(|e| format!("cannot be read: {e}"))?;
    text.retain(|byte| *byte != 0);
    String::from_utf8(text).map_err(|_| "is not ASCII text".into())
}

fn layout(order: Order, shape: Dims) -> Layout {
    match order {
        Order::C => Layout::contiguous(shape),
        Order::Fortran => Layout::contiguous(shape.iter().rev().copied().collect()).t(),
    }
}

/// The `descr` of a dtype in the machine's byte order; `None` if the format has no name for the dtype.
pub(super) fn descr(dtype: DType) -> Option<String> {
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

/// Reads the file up to the first element. Returns the header and the offset of the first element. `len` is the length
/// of the file.
fn read_header(file: &mut impl Read, len: u64) -> Result<(Header, u64), String> {
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
pub(crate) fn turn_round(data: &mut [u8], width: usize) {
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
