//! Files of named arrays in the format `safetensors` (<https://github.com/huggingface/safetensors>).
//!
//! ```text
//! length of the header: 8 bytes | header: JSON, name -> dtype, shape, range of bytes | elements, little endian
//! ```
//!
//! The dtypes of such files and of this library are the same, except that the files have no complex f64, and that this
//! library has no floats of eight bits or less.

use crate::array::reserve;
use crate::bytes::{fresh_bytes, host_bytes};
use crate::expr::RawArray;
use crate::io::{open, turn_round};
use crate::layout::Layout;
use crate::{Array, Buffer, DType, Device, Dims, DynArray, Element, Error, Kind, Result, with_dtype};
use ::safetensors::Dtype;
use ::safetensors::tensor::{SafeTensors as Parsed, TensorInfo, View};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The arrays of a file, by name.
///
/// The file is read once. Arrays share its memory: those whose elements are aligned, as all are that this crate or the
/// reference implementation wrote, are not copied. Like every shared buffer, it is copied before a write, and it is
/// freed when the last array of the file is dropped; [`Array::compact`] releases one of them.
///
/// ```
/// # use polyarray_core::*;
/// # use polyarray_core::interchange::safetensors::{self, SafeTensors};
/// let path = std::env::temp_dir().join(format!("doc-{}.safetensors", std::process::id()));
/// let weight = Array::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// let steps = Array::from([10i64]);
/// safetensors::write(&path, [("weight", DynArray::from(&weight)), ("steps", (&steps).into())])?;
///
/// let file = SafeTensors::open(&path)?;
/// assert_eq!(file.names().collect::<Vec<_>>(), ["steps", "weight"]);
/// assert_eq!(file.read::<f32>("weight")?, weight);
/// assert_eq!(file.get("steps")?.dtype(), DType::I64);
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SafeTensors {
    path: PathBuf,
    file: Buffer,
    tensors: BTreeMap<String, TensorInfo>,
    /// The position in the file of the first byte of the elements.
    start: usize,
}

impl SafeTensors {
    /// Reads a file and checks its header.
    ///
    /// # Errors
    /// [`Error::File`] if the file is missing or not a valid file of this format: among others, if the arrays overlap,
    /// leave gaps, or do not end where the file ends. [`Error::OutOfMemory`].
    pub fn open(path: impl AsRef<Path>) -> Result<SafeTensors> {
        let path = path.as_ref();
        let fail = |why: String| Error::File { path: path.into(), why };
        let (mut reader, len) = open(path)?;
        let len = usize::try_from(len).map_err(|_| fail(format!("has {len} bytes, more than a usize can count")))?;
        let mut file = Buffer::host(len)?;
        reader.read_exact(fresh_bytes(&mut file, len)).map_err(|e| fail(format!("cannot be read: {e}")))?;
        let (header, metadata) = Parsed::read_metadata(host_bytes(&file))
            .map_err(|e| fail(format!("is not a valid safetensors file: {e}")))?;
        let tensors = metadata.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
        Ok(SafeTensors { path: path.into(), file, tensors, start: size_of::<u64>() + header })
    }

    /// Returns the names of the arrays, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Returns the number of arrays.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Returns whether the file has no arrays.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Returns an array by name, with its dtype as a value.
    ///
    /// # Errors
    /// [`Error::File`] if there is no array of this name, if its dtype is none of this library, or if a byte of a bool
    /// is neither 0 nor 1; [`Error::TooLarge`], [`Error::Shapes`] for a shape that an array cannot have;
    /// [`Error::OutOfMemory`].
    pub fn get(&self, name: &str) -> Result<DynArray> {
        let fail = |why: String| Error::File { path: self.path.clone(), why };
        let info = self.tensors.get(name).ok_or_else(|| fail(format!("has no array {name:?}")))?;
        let dtype = dtype(info.dtype)
            .ok_or_else(|| fail(format!("{name:?} holds {:?}, which is no dtype here", info.dtype)))?;
        let shape = Dims::from(&info.shape);
        shape.check(dtype)?;
        let (first, end) = (self.start + info.data_offsets.0, self.start + info.data_offsets.1);
        let elements = &host_bytes(&self.file)[first..end];
        if dtype == DType::Bool
            && let Some(at) = elements.iter().position(|b| *b > 1)
        {
            return Err(fail(format!("{name:?} holds bool, but element {at} is the byte {}", elements[at])));
        }
        if cfg!(target_endian = "big") {
            let mut turned = reserve(&elements.len().into())?;
            turned.extend_from_slice(elements);
            turn_round(&mut turned, width(dtype));
            return DynArray::from_bytes(dtype, shape, &turned);
        }
        if shape.contains(&0) || !first.is_multiple_of(dtype.size()) {
            return DynArray::from_bytes(dtype, shape, elements);
        }
        let axes = Layout::contiguous(shape);
        let layout = Layout::from_parts(axes.shape().clone(), axes.strides().into(), first / dtype.size());
        let raw = RawArray { buffer: self.file.clone(), dtype, layout };
        with_dtype!(dtype, T => Array::<T>::from_raw(raw).map(Array::erase))
    }

    /// Returns an array by name.
    ///
    /// # Errors
    /// As [`get`](Self::get), and [`Error::File`] if the array holds another dtype.
    pub fn read<T: Element>(&self, name: &str) -> Result<Array<T>> {
        let array = self.get(name)?;
        let found = array.dtype();
        array.typed().map_err(|_| Error::File {
            path: self.path.clone(),
            why: format!("{name:?} holds {found}, but {} was requested; read it as {found} and cast", T::DTYPE),
        })
    }
}

/// Writes arrays with their names to a file, and replaces an existing one when all of them have been written. Arrays on
/// a device are copied to the host first. See [`SafeTensors`].
///
/// # Errors
/// [`Error::File`] if the file cannot be written, for complex f64, which the format does not have, and for a name that
/// occurs twice; [`Error::OutOfMemory`].
pub fn write<N: Into<String>, A: Into<DynArray>>(
    path: impl AsRef<Path>,
    arrays: impl IntoIterator<Item = (N, A)>,
) -> Result<()> {
    let path = path.as_ref();
    let fail = |why: String| Error::File { path: path.into(), why };
    let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
    for (name, array) in arrays {
        let (name, array) = (name.into(), array.into());
        let dtype = format_of(array.dtype())
            .ok_or_else(|| fail(format!("{name:?} holds {}, which the format does not have", array.dtype())))?;
        let tensor = Tensor { dtype, array: array.to_device(&Device::auto())?.packed()? };
        if tensors.insert(name.clone(), tensor).is_some() {
            return Err(fail(format!("the name {name:?} occurs twice")));
        }
    }
    ::safetensors::serialize_to_file(tensors.iter(), None, path).map_err(|e| fail(format!("cannot be written: {e}")))
}

/// An array in the form of a file.
struct Tensor {
    dtype: Dtype,
    /// The elements, in host memory in C order without gaps.
    array: DynArray,
}

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        self.array.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = self.array.packed_bytes();
        if cfg!(target_endian = "little") {
            return Cow::Borrowed(bytes);
        }
        let mut turned = bytes.to_vec();
        turn_round(&mut turned, width(self.array.dtype()));
        Cow::Owned(turned)
    }

    fn data_len(&self) -> usize {
        self.array.nbytes()
    }
}

/// Returns the number of bytes whose order depends on the machine: a part of a complex number is one number.
fn width(dtype: DType) -> usize {
    if dtype.kind() == Kind::Complex { dtype.size() / 2 } else { dtype.size() }
}

/// The dtypes and their names in the format.
const DTYPES: [(DType, Dtype); 14] = [
    (DType::Bool, Dtype::BOOL),
    (DType::I8, Dtype::I8),
    (DType::I16, Dtype::I16),
    (DType::I32, Dtype::I32),
    (DType::I64, Dtype::I64),
    (DType::U8, Dtype::U8),
    (DType::U16, Dtype::U16),
    (DType::U32, Dtype::U32),
    (DType::U64, Dtype::U64),
    (DType::F16, Dtype::F16),
    (DType::BF16, Dtype::BF16),
    (DType::F32, Dtype::F32),
    (DType::F64, Dtype::F64),
    (DType::C32, Dtype::C64),
];

fn dtype(format: Dtype) -> Option<DType> {
    DTYPES.iter().find(|(_, f)| *f == format).map(|(dtype, _)| *dtype)
}

fn format_of(dtype: DType) -> Option<Dtype> {
    DTYPES.iter().find(|(d, _)| *d == dtype).map(|(_, format)| *format)
}
