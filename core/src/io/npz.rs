//! `.npz` files: zip archives of `.npy` files, one for each named array.
//!
//! The lengths that an archive declares are not trusted: memory for compressed elements is allocated as they arrive,
//! and memory for stored ones only if the file is as long as they are. A member is decompressed up to the size that the
//! header of its array implies, and no further.

use super::npy::{Failure, Head, nameable, read_text};
use super::{Encoded, bad, create, open};
use crate::array::room;
use crate::{Array, Csr, DType, DynArray, Element, Error, Number, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// The ending of the names of arrays in an archive.
const ENDING: &str = ".npy";

/// Reads all arrays of a `.npz` file, by name: of NumPy's `savez` and `savez_compressed`, or of [`write_npz`].
///
/// Members of the archive whose names do not end in `.npy` are not arrays, and are left out.
///
/// # Errors
/// [`Error::File`], with the name of the array, if the file is missing or not a valid archive, if two arrays have one
/// name, if a checksum is wrong, or for the reasons of [`read_npy`](super::read_npy); [`Error::OutOfMemory`].
///
/// ```
/// # use polyarray_core::*;
/// let path = std::env::temp_dir().join(format!("read_npz_{}.npz", std::process::id()));
/// let (x, n) = (Array::from([[1.5f32, 2.5]]), Array::from([7u8]));
/// io::write_npz(&path, [("x", DynArray::from(&x)), ("n", (&n).into())])?;
/// let arrays = io::read_npz(&path)?;
/// assert_eq!((arrays["x"].typed::<f32>()?, arrays["n"].dtype()), (x, DType::U8));
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), Error>(())
/// ```
#[doc(alias("load"))]
pub fn read_npz(path: impl AsRef<Path>) -> Result<BTreeMap<String, DynArray>> {
    let path = path.as_ref();
    let (mut archive, len) = archive(path)?;
    let mut arrays = BTreeMap::new();
    for i in 0..archive.len() {
        let member = archive.by_index(i).map_err(|e| refused(path, &e))?;
        let name = member.name().map_err(|e| refused(path, &e))?.into_owned();
        let Some(name) = name.strip_suffix(ENDING) else { continue };
        let array = member_array(member, len, None).map_err(|e| named(e, name).at(path))?;
        if arrays.insert(name.to_string(), array).is_some() {
            return Err(bad(path, format!("two arrays have the name {name:?}")));
        }
    }
    Ok(arrays)
}

/// Reads one array of a `.npz` file by name, and no other one.
///
/// # Errors
/// [`Error::File`] if the file has no array of this name; otherwise as [`read_npz`] and
/// [`read_npy`](super::read_npy).
///
/// ```
/// # use polyarray_core::*;
/// let path = std::env::temp_dir().join(format!("read_npz_array_{}.npz", std::process::id()));
/// io::write_npz_compressed(&path, [("x", &Array::from([1.5f32, 2.5]))])?;
/// assert_eq!(io::read_npz_array::<f32>(&path, "x")?, Array::from([1.5, 2.5]));
/// assert!(io::read_npz_array::<f32>(&path, "y").is_err());
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), Error>(())
/// ```
pub fn read_npz_array<T: Element>(path: impl AsRef<Path>, name: &str) -> Result<Array<T>> {
    let path = path.as_ref();
    nameable(T::DTYPE).map_err(|why| bad(path, why))?;
    let (mut archive, len) = archive(path)?;
    named_array(&mut archive, len, path, name, Some(T::DTYPE))?.typed()
}

/// Reads a sparse matrix that SciPy's `save_npz` wrote in the format `csr`, compressed or not.
///
/// # Errors
/// [`Error::File`] if an array is missing, for other formats (`save_npz(path, x.tocsr())` converts), for values of
/// another dtype than `T`, and for parts of which [`Csr::from_parts`] makes no matrix; otherwise as [`read_npz`].
#[doc(alias("load_npz"))]
pub fn read_npz_csr<T: Number>(path: impl AsRef<Path>) -> Result<Csr<T>> {
    let path = path.as_ref();
    nameable(T::DTYPE).map_err(|why| bad(path, why))?;
    let (mut archive, len) = archive(path)?;
    let format = {
        let mut member = member(&mut archive, path, "format")?;
        let size = member.size();
        read_text(&mut member, size).map_err(|why| named(Failure::File(why), "format").at(path))?
    };
    if format != "csr" {
        let why = format!("holds a sparse matrix in the format {format:?}; in SciPy, convert it: x.tocsr()");
        return Err(bad(path, why));
    }
    let mut array = |name: &str, want| named_array(&mut archive, len, path, name, want);
    let shape = integers::<usize>(&array("shape", None)?, "shape", path)?;
    let [n, d] = shape[..] else {
        return Err(bad(path, format!("holds a sparse matrix of the shape {shape:?}; two axes are supported")));
    };
    let indptr = integers(&array("indptr", None)?, "indptr", path)?;
    let indices = integers(&array("indices", None)?, "indices", path)?;
    let data = array("data", Some(T::DTYPE))?.typed::<T>()?.to_vec()?;
    Csr::from_parts([n, d], indptr, indices, data).map_err(|error| match error {
        Error::Argument { .. } => bad(path, format!("is not a valid sparse matrix: {error}")),
        other => other,
    })
}

/// Returns the elements of an array of one axis that has signed integers of 32 or 64 bits, as SciPy writes indices.
fn integers<I: TryFrom<i64>>(array: &DynArray, name: &str, path: &Path) -> Result<Vec<I>> {
    let refused = |why: String| bad(path, format!("the array {name:?} {why}"));
    if array.shape().len() != 1 {
        return Err(refused(format!("has the shape {:?}, where one axis was expected", array.shape())));
    }
    let given = match array.dtype() {
        DType::I32 => array.typed::<i32>()?.to_vec()?.into_iter().map(i64::from).collect(),
        DType::I64 => array.typed::<i64>()?.to_vec()?,
        other => return Err(refused(format!("holds {other}, where i32 or i64 was expected"))),
    };
    let mut integers = room(given.len())?;
    for x in given {
        integers.push(I::try_from(x).map_err(|_| refused(format!("has the element {x}, which is out of range")))?);
    }
    Ok(integers)
}

/// Returns a member of an archive.
fn member<'a>(archive: &'a mut Archive, path: &Path, name: &str) -> Result<Member<'a>> {
    archive.by_name(&format!("{name}{ENDING}")).map_err(|e| match e {
        ZipError::FileNotFound => bad(path, format!("has no array {name:?}")),
        e => refused(path, &e),
    })
}

/// Reads an array of an archive of `len` bytes by name, of dtype `want` if that is given.
fn named_array(archive: &mut Archive, len: u64, path: &Path, name: &str, want: Option<DType>) -> Result<DynArray> {
    member_array(member(archive, path, name)?, len, want).map_err(|e| named(e, name).at(path))
}

/// Writes arrays with their names to a `.npz` file, uncompressed, as NumPy's `savez`, and replaces an existing file.
/// Arrays on a device are copied to the host first. See [`read_npz`].
///
/// # Errors
/// [`Error::File`] if the file cannot be written, for bf16, for which the format has no name, and for a name that
/// occurs twice; [`Error::OutOfMemory`].
#[doc(alias("savez"))]
pub fn write_npz<N: AsRef<str>, A: Into<DynArray>>(
    path: impl AsRef<Path>,
    arrays: impl IntoIterator<Item = (N, A)>,
) -> Result<()> {
    write(path.as_ref(), arrays, CompressionMethod::Stored)
}

/// As [`write_npz`], compressed with deflate, as NumPy's `savez_compressed`.
///
/// # Errors
/// As [`write_npz`].
#[doc(alias("savez_compressed"))]
pub fn write_npz_compressed<N: AsRef<str>, A: Into<DynArray>>(
    path: impl AsRef<Path>,
    arrays: impl IntoIterator<Item = (N, A)>,
) -> Result<()> {
    write(path.as_ref(), arrays, CompressionMethod::Deflated)
}

fn refused(path: &Path, why: &ZipError) -> Error {
    bad(path, format!("is not a valid archive of arrays: {why}"))
}

/// Names the array in an error.
fn named(failure: Failure, name: &str) -> Failure {
    match failure {
        Failure::File(why) => Failure::File(format!("the array {name:?} {why}")),
        other => other,
    }
}

type Archive = ZipArchive<BufReader<File>>;
type Member<'a> = zip::read::ZipFile<'a, BufReader<File>>;

fn archive(path: &Path) -> Result<(Archive, u64)> {
    let (file, len) = open(path)?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|e| refused(path, &e))?;
    // Members that share bytes would make arrays many times as long as the file.
    if archive.has_overlapping_files().map_err(|e| refused(path, &e))? {
        return Err(bad(path, "has members that overlap".to_string()));
    }
    Ok((archive, len))
}

/// Reads an array, of dtype `want` if that is given, from a member of a file of `len` bytes.
fn member_array(mut member: Member, len: u64, want: Option<DType>) -> Result<DynArray, Failure> {
    let size = member.size();
    let stored = member.compression() == CompressionMethod::Stored && size <= len;
    let head = Head::read(&mut member, size).and_then(|head| match want {
        Some(want) => head.of(want)?.checked(size),
        None => head.checked(size),
    });
    let head = head.map_err(Failure::File)?;
    let array = head.load(&mut member, stored)?;
    // The checksum is compared at the end of the member. Further bytes are refused, because a few compressed bytes may
    // stand for any number of them.
    match member.read(&mut [0]) {
        Ok(0) => Ok(array),
        Ok(_) => Err(Failure::File("has bytes after its last element".into())),
        Err(e) => Err(Failure::File(format!("cannot be read: {e}"))),
    }
}

fn write<N: AsRef<str>, A: Into<DynArray>>(
    path: &Path,
    arrays: impl IntoIterator<Item = (N, A)>,
    method: CompressionMethod,
) -> Result<()> {
    let cannot = |e: &dyn std::fmt::Display| bad(path, format!("cannot be written: {e}"));
    let mut named: Vec<(String, Encoded)> = Vec::new();
    for (name, array) in arrays {
        let name = format!("{}{ENDING}", name.as_ref());
        if named.iter().any(|(other, _)| *other == name) {
            return Err(cannot(&format!("the name {name:?} occurs twice")));
        }
        named.push((name, Encoded::new(&array.into(), path)?));
    }
    // An existing file is replaced only if all arrays can be written.
    let file = create(path, false).map_err(|e| cannot(&e))?;
    let mut archive = ZipWriter::new(BufWriter::new(file));
    for (name, encoded) in named {
        // The lengths of members of more than 4 GiB have another form, which is declared before the member.
        let large = encoded.len() as u64 > u64::from(u32::MAX) / 2;
        let options = SimpleFileOptions::default().compression_method(method).large_file(large);
        archive.start_file(name, options).map_err(|e| cannot(&e))?;
        encoded.write(&mut archive).map_err(|e| cannot(&e))?;
    }
    let mut file = archive.finish().map_err(|e| cannot(&e))?;
    file.flush().map_err(|e| cannot(&e))
}
