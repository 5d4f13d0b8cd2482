//! Mapped `.npy` files: arrays whose elements stay in the file until they are used.

use super::header::{self, Order};
use super::{bad, create, npy, open_with};
use crate::array::{Array, ViewMut};
use crate::expr::RawArray;
use crate::layout::Layout;
use crate::memory::map::{Access, Map, lock};
use crate::{Buffer, DType, Dims, Element, Error, Result};
use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::Write;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

/// Maps a `.npy` file as an array, without reading it: each page of the file is read when it is first used, and the
/// system may drop it again. An operation that writes to the array copies all of it first.
///
/// The file must not change while the array or a view of it lives. As long as it does, the functions of this library
/// that write such files refuse to: the file is locked. The lock keeps out other programs only if these lock files,
/// too, and only on file systems that have locks. If another program writes to the file, its elements change at any
/// time; if it truncates the file, an access beyond the new end ends the process (SIGBUS), which the library cannot
/// prevent. [`stream`](crate::stream) compares the length with the file's before each block. Replacing the file by
/// another one of its name is safe: the map keeps the old file.
///
/// # Errors
/// [`Error::File`] as [`read_npy`](super::read_npy), if the file is being written or is mapped for writing, for bool
/// (whose bytes another program could change to ones that are not truth values), for elements in the other byte order,
/// and for elements that are not aligned in the file. NumPy aligns them.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let path = std::env::temp_dir().join(format!("map_npy_{}.npy", std::process::id()));
/// io::write_npy(&path, &Array::from([[1.0f32, 2.0], [3.0, 4.0]]))?;
/// let x = io::map_npy::<f32>(&path)?;
/// assert_eq!(x.slice(s![1])?.sum()?, 7.0);
/// assert!(io::write_npy(&path, &x).is_err());
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), Error>(())
/// ```
#[doc(alias("memmap", "open_memmap", "mmap_mode"))]
pub fn map_npy<T: Element>(path: impl AsRef<Path>) -> Result<Array<T>> {
    mapped(path.as_ref(), Access::Read)?.into_array()
}

/// As [`map_npy`], but the only owner of the array can write to it without a copy of the whole: pages that are written
/// become memory of this process, and the file stays as it is. Reading the file again does not show the changes.
///
/// # Errors
/// As [`map_npy`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let path = std::env::temp_dir().join(format!("map_npy_cow_{}.npy", std::process::id()));
/// io::write_npy(&path, &Array::from([1.0f32, 2.0]))?;
/// let mut x = io::map_npy_cow::<f32>(&path)?;
/// x.set([0], 9.0)?;
/// assert_eq!((x, io::read_npy(&path)?), (Array::from([9.0f32, 2.0]), Array::from([1.0f32, 2.0])));
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), Error>(())
/// ```
#[doc(alias("memmap", "mmap_mode"))]
pub fn map_npy_cow<T: Element>(path: impl AsRef<Path>) -> Result<Array<T>> {
    mapped(path.as_ref(), Access::Private)?.into_array()
}

/// Maps a `.npy` file for writing: changes of the elements are changes of the file.
///
/// # Errors
/// As [`map_npy`], and [`Error::File`] if the file cannot be written or is mapped already.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let path = std::env::temp_dir().join(format!("map_npy_mut_{}.npy", std::process::id()));
/// io::write_npy(&path, &Array::from([1.0f32, 2.0]))?;
/// let mut file = io::map_npy_mut::<f32>(&path)?;
/// file.view_mut()?.slice_mut(s![..1])?.fill(9.0)?;
/// drop(file);
/// assert_eq!(io::read_npy::<f32>(&path)?, Array::from([9.0, 2.0]));
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), Error>(())
/// ```
#[doc(alias("memmap", "open_memmap", "mmap_mode"))]
pub fn map_npy_mut<T: Element>(path: impl AsRef<Path>) -> Result<MappedNpy<T>> {
    mapped(path.as_ref(), Access::Write)
}

/// Creates a `.npy` file of `shape` in C order whose elements are zero, replaces an existing file, and maps it for
/// writing: for results that are larger than the memory.
///
/// Most file systems store only the parts that are written. The space is therefore not reserved: if the disk is full
/// when a part is written, the system ends the process (SIGBUS).
///
/// # Errors
/// [`Error::TooLarge`]; [`Error::File`] if the file cannot be written, is longer than the file system allows, or is
/// mapped already, and for bool and bf16 (see [`map_npy`] and [`write_npy`](super::write_npy)).
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let path = std::env::temp_dir().join(format!("create_npy_{}.npy", std::process::id()));
/// let x = Array::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// let mut file = io::create_npy::<f32>(&path, [2, 2])?;
/// (&x * 2.0).eval_into(&mut file.view_mut()?)?;
/// file.flush()?;
/// assert_eq!(file.array(), Array::from([[2.0, 4.0], [6.0, 8.0]]));
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), Error>(())
/// ```
#[doc(alias("memmap", "open_memmap"))]
pub fn create_npy<T: Element>(path: impl AsRef<Path>, shape: impl Into<Dims>) -> Result<MappedNpy<T>> {
    let (path, shape) = (path.as_ref(), shape.into());
    let bytes = shape.check(T::DTYPE)?;
    if T::DTYPE == DType::Bool {
        return Err(bad(path, format!("cannot be mapped as bool; {}", npy::NO_BOOL)));
    }
    let descr = npy::descr(T::DTYPE).ok_or_else(|| bad(path, npy::NO_BF16))?;
    let head = header::encode(&descr, Order::C, &shape);
    let too_large = || Error::TooLarge { shape: shape.clone(), dtype: T::DTYPE };
    let len = head.len().checked_add(bytes).filter(|&n| n <= isize::MAX as usize).ok_or_else(too_large)?;
    let make = || {
        let mut file = create(path, true)?;
        file.write_all(&head)?;
        file.set_len(len as u64)?;
        Ok(file)
    };
    let file = make().map_err(|e: std::io::Error| bad(path, format!("cannot be written: {e}")))?;
    let map = Map::new(file, path, len, Access::Write)?;
    let buffer = Buffer::mapped(Arc::new(map), head.len(), bytes, true);
    Ok(MappedNpy { buffer, layout: Layout::contiguous(shape), element: PhantomData })
}

/// A `.npy` file that is mapped for writing, by [`create_npy`] or [`map_npy_mut`]. The file is locked: it has no other
/// map, of which an array would change.
///
/// Dropping it leaves it to the system to write the changes to the disk. Programs that read the file see them at once.
///
/// Invariants:
/// 1. the buffer has no clone, and all of it belongs to the layout;
/// 2. blocks of the same map are read-only, and are those of arrays that [`array`](MappedNpy::array) returned.
pub struct MappedNpy<T: Element> {
    buffer: Buffer,
    layout: Layout,
    element: PhantomData<T>,
}

impl<T: Element> MappedNpy<T> {
    /// Returns the lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        self.layout.shape()
    }

    /// Returns the elements of the file, without reading them. A write to the array copies it, and does not change the
    /// file.
    pub fn array(&self) -> Array<T> {
        let (map, start) = self.buffer.map().expect("the buffer is part of a map");
        let buffer = Buffer::mapped(map.clone(), start, self.buffer.bytes(), false);
        let raw = RawArray { buffer, dtype: T::DTYPE, layout: self.layout.clone() };
        Array::from_raw(raw).expect("the dtype is that of the file")
    }

    /// Returns a view through which the file is written.
    ///
    /// # Errors
    /// [`Error::NotWritable`] as long as an array that [`array`](Self::array) returned lives, because it would change.
    pub fn view_mut(&mut self) -> Result<ViewMut<'_, T>> {
        if !self.buffer.is_alone() {
            let why = "an array still shows the elements of the mapped file; drop it first".into();
            return Err(Error::NotWritable { why });
        }
        Ok(ViewMut::new(&mut self.buffer, Cow::Borrowed(&self.layout)))
    }

    /// Writes all changes to the disk and waits until it has them.
    ///
    /// # Errors
    /// [`Error::File`] if the disk reports an error.
    pub fn flush(&self) -> Result<()> {
        self.buffer.map().expect("the buffer is part of a map").0.flush()
    }

    fn into_array(self) -> Result<Array<T>> {
        Array::from_raw(RawArray { buffer: self.buffer, dtype: T::DTYPE, layout: self.layout })
    }
}

/// Maps a file.
fn mapped<T: Element>(path: &Path, access: Access) -> Result<MappedNpy<T>> {
    let writes = access == Access::Write;
    let (mut file, len) = open_with(path, OpenOptions::new().read(true).write(writes), |file| lock(file, writes))?;
    let head = super::head::<T>(&mut file, len).and_then(|head| head.mappable()).map_err(|why| bad(path, why))?;
    let len = usize::try_from(head.start).ok().and_then(|start| start.checked_add(head.bytes));
    let len = len.ok_or_else(|| bad(path, "is too long for the address space"))?;
    let map = Map::new(file, path, len, access)?;
    let buffer = Buffer::mapped(Arc::new(map), len - head.bytes, head.bytes, access != Access::Read);
    Ok(MappedNpy { buffer, layout: head.layout(), element: PhantomData })
}
