//! Tensors that libraries of one process pass to each other by pointer: DLPack
//! (<https://dmlc.github.io/dlpack/latest/c_api.html>), which NumPy, PyTorch, JAX and others support.
//!
//! [`export`] makes a [`ManagedTensor`] of an array, and [`import`] an array of a `ManagedTensor`; no elements are
//! copied. Only host memory is exchanged: [`export`] copies an array that lies on a GPU to the host, and [`import`]
//! refuses tensors of other devices, whose libraries copy them first (`tensor.cpu()`). The buffers of a GPU belong to
//! the graphics interface that allocated them (Vulkan, Metal, Direct3D), and the kinds of device of DLPack that other
//! libraries accept (CUDA, ROCm) cannot address them. A binding to Python wraps the pointer in a capsule named
//! `"dltensor"`.
//!
//! ```
//! # use polyarray_core::*;
//! use polyarray_core::interchange::dlpack;
//!
//! let tensor = dlpack::export(Array::from([[1.0f32, 2.0], [3.0, 4.0]]).t())?;
//! // SAFETY: the tensor is that of `export`, and nothing else uses it.
//! let array = unsafe { dlpack::import(tensor) }?;
//! assert_eq!(array.typed::<f32>()?, Array::from([[1.0, 3.0], [2.0, 4.0]]));
//! # Ok::<(), Error>(())
//! ```

use crate::expr::RawArray;
use crate::layout::{Layout, Strides};
use crate::{Array, Buffer, DType, Device, Dims, DynArray, Error, Kind, MAX_NDIM, Result, with_dtype};
use std::ffi::c_void;
use std::ptr::{NonNull, null_mut};

/// The device of a tensor: `DLDevice`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorDevice {
    /// The kind: 1 is a CPU, 3 memory of the host that a CUDA device can reach.
    pub kind: i32,
    /// The number among the devices of this kind.
    pub id: i32,
}

/// The dtype of a tensor: `DLDataType`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorDType {
    /// The kind of number: 0 signed, 1 unsigned, 2 IEEE float, 4 bfloat, 5 complex, 6 bool.
    pub code: u8,
    /// The number of bits of an element.
    pub bits: u8,
    /// The number of lanes of an element that is a vector; 1 for plain numbers.
    pub lanes: u16,
}

/// The description of the elements: `DLTensor`.
#[repr(C)]
#[derive(Debug)]
pub struct Tensor {
    /// The address to which `byte_offset` is added for the first element.
    pub data: *mut c_void,
    /// Where the elements lie.
    pub device: TensorDevice,
    /// The number of axes.
    pub ndim: i32,
    /// The dtype of the elements.
    pub dtype: TensorDType,
    /// The lengths of the axes.
    pub shape: *mut i64,
    /// The strides in elements; null for C order without gaps.
    pub strides: *mut i64,
    /// The distance in bytes from `data` to the first element.
    pub byte_offset: u64,
}

/// A tensor with its owner: `DLManagedTensor`.
#[repr(C)]
#[derive(Debug)]
pub struct ManagedTensor {
    /// The elements.
    pub tensor: Tensor,
    /// The data that the deleter frees.
    pub context: *mut c_void,
    /// Frees the tensor and its elements. Called once, by the receiver.
    pub deleter: Option<unsafe extern "C" fn(*mut ManagedTensor)>,
}

/// An exported array: the tensor, and what it points to.
struct Exported {
    managed: ManagedTensor,
    shape: Vec<i64>,
    strides: Vec<i64>,
    #[expect(dead_code, reason = "held for its drop: it owns the elements")]
    array: DynArray,
}

/// Makes a tensor of an array, which the receiver may read and write, and frees through `deleter`.
///
/// The elements are copied only if something else holds their buffer or if they lie on another device: a tensor is the
/// only owner of its elements, so that a write to it changes no array. A tensor that is never freed leaks.
///
/// # Errors
/// [`Error::OutOfMemory`]; errors that the device reports.
pub fn export(array: impl Into<DynArray>) -> Result<NonNull<ManagedTensor>> {
    let array = array.into();
    let (dtype, array) = (array.dtype(), with_dtype!(array.dtype(), T => owned::<T>(array))?);
    let raw = array.raw();
    let signed = |n: usize| i64::try_from(n).expect("lengths fit into isize");
    let data = raw.buffer.host_ptr().expect("the array was moved to the host");
    let mut exported = Box::new(Exported {
        shape: raw.layout.shape().iter().copied().map(signed).collect(),
        strides: raw.layout.strides().iter().map(|&s| s as i64).collect(),
        managed: ManagedTensor {
            tensor: Tensor {
                data: data.as_ptr().cast(),
                device: TensorDevice { kind: CPU, id: 0 },
                ndim: raw.layout.shape().len() as i32,
                dtype: TensorDType { code: code(dtype), bits: 8 * dtype.size() as u8, lanes: 1 },
                shape: null_mut(),
                strides: null_mut(),
                byte_offset: (raw.layout.offset() * dtype.size()) as u64,
            },
            context: null_mut(),
            deleter: Some(free),
        },
        array,
    });
    exported.managed.tensor.shape = exported.shape.as_mut_ptr();
    exported.managed.tensor.strides = exported.strides.as_mut_ptr();
    let all = Box::into_raw(exported);
    // SAFETY: the box was just converted to this pointer. Both pointers are derived from it, so they may be used until
    // `free` converts it back.
    unsafe {
        (*all).managed.context = all.cast();
        Ok(NonNull::new_unchecked(&raw mut (*all).managed))
    }
}

/// Returns the array in host memory, as the only owner of its buffer.
fn owned<T: crate::Element>(array: DynArray) -> Result<DynArray> {
    let mut array = Array::<T>::try_from(array)?;
    array = array.to_device(&Device::auto())?;
    if array.layout().may_overlap() {
        array = array.flatten()?.reshape(array.shape())?;
    }
    array.view_mut()?;
    Ok(array.erase())
}

/// The deleter of [`export`].
///
/// # Safety
/// `tensor` is a result of [`export`] that has not been freed.
unsafe extern "C" fn free(tensor: *mut ManagedTensor) {
    // SAFETY: the caller guarantees that the tensor is one of `export`, whose context is the pointer of a box that
    // nothing has freed.
    drop(unsafe { Box::from_raw((*tensor).context.cast::<Exported>()) });
}

/// A tensor that is freed on drop.
struct Owner(NonNull<ManagedTensor>);

impl Drop for Owner {
    fn drop(&mut self) {
        // SAFETY: the caller of `import` passed the only right to free a valid tensor, and this is the only place that
        // frees it.
        unsafe {
            if let Some(deleter) = self.0.as_ref().deleter {
                deleter(self.0.as_ptr());
            }
        }
    }
}

// SAFETY: the caller of `import` guarantees that any thread may free the tensor. Its elements are only read.
unsafe impl Send for Owner {}
// SAFETY: a shared `Owner` gives no access to the tensor.
unsafe impl Sync for Owner {}

/// Makes an array of a tensor without copying its elements, and frees the tensor when the last array over it is
/// dropped, or at once after an error.
///
/// Writing to the array copies the elements first.
///
/// # Errors
/// [`Error::Argument`] if the elements do not lie in memory of the host, have a dtype that this library does not have,
/// are not aligned, are bools other than 0 and 1, or if shape and strides are negative, overflow, or have more than 16
/// axes.
///
/// # Safety
/// 1. `tensor` points to a valid `DLManagedTensor` (of the format before the version field), and the caller passes on
///    the right to free it, on any thread;
/// 2. the bytes from the lowest to the highest element that shape and strides reach are one block of initialised
///    memory, valid for reads until the tensor is freed;
/// 3. nothing writes these bytes in that time.
pub unsafe fn import(tensor: NonNull<ManagedTensor>) -> Result<DynArray> {
    let owner = Owner(tensor);
    // SAFETY: the caller guarantees that the tensor is valid (condition 1).
    let tensor = unsafe { &tensor.as_ref().tensor };
    let fail = |name: &'static str, value: String, why: &str| Error::Argument {
        op: "dlpack::import",
        name,
        value,
        why: why.into(),
    };
    if ![CPU, CUDA_HOST].contains(&tensor.device.kind) {
        let device = format!("kind {}, number {}", tensor.device.kind, tensor.device.id);
        return Err(fail(
            "device",
            device,
            "only tensors in memory of the host are supported; copy the tensor to the host first",
        ));
    }
    let dtype = DType::ALL.into_iter().find(|&d| {
        let TensorDType { code, bits, lanes } = tensor.dtype;
        code == self::code(d) && usize::from(bits) == 8 * d.size() && lanes == 1
    });
    let dtype = dtype.ok_or_else(|| fail("dtype", format!("{:?}", tensor.dtype), "this library has no such dtype"))?;
    let ndim = usize::try_from(tensor.ndim).ok().filter(|&n| n <= MAX_NDIM);
    let ndim = ndim.ok_or_else(|| fail("ndim", tensor.ndim.to_string(), "an array has between 0 and 16 axes"))?;
    // SAFETY: the arrays of a valid tensor have `ndim` numbers (condition 1).
    let numbers = |at: *const i64| (0..ndim).map(move |i| unsafe { at.add(i).read() });
    if ndim > 0 && tensor.shape.is_null() {
        return Err(fail("shape", "null".into(), "a tensor with axes has a shape"));
    }
    let lengths: Result<Dims, _> = numbers(tensor.shape).map(usize::try_from).collect();
    let shape = lengths.map_err(|_| {
        fail("shape", format!("{:?}", numbers(tensor.shape).collect::<Vec<_>>()), "a length is negative")
    })?;
    shape.check(dtype)?;
    if shape.contains(&0) {
        return DynArray::zeros(dtype, shape);
    }
    let strides: Strides = if tensor.strides.is_null() {
        shape.c_strides()
    } else {
        numbers(tensor.strides).map(|s| s as isize).collect()
    };
    // The positions of the lowest and the highest element, counted from the first.
    let reach = || shape.iter().zip(&strides).map(|(&n, &s)| (n as i128 - 1).saturating_mul(s as i128));
    let lo: i128 = reach().map(|r| r.min(0)).fold(0, i128::saturating_add);
    let hi: i128 = reach().map(|r| r.max(0)).fold(0, i128::saturating_add);
    let before = lo.checked_neg().and_then(|n| usize::try_from(n).ok());
    let count = hi.checked_sub(lo).and_then(|n| usize::try_from(n).ok()).and_then(|n| n.checked_add(1));
    let bytes = count.and_then(|n| n.checked_mul(dtype.size())).filter(|&n| isize::try_from(n).is_ok());
    let (Some(before), Some(bytes)) = (before, bytes) else {
        return Err(fail("strides", format!("{strides:?}"), "the distance between elements overflows"));
    };
    let Ok(byte_offset) = usize::try_from(tensor.byte_offset) else {
        return Err(fail("byte_offset", tensor.byte_offset.to_string(), "it exceeds a usize"));
    };
    let first = tensor.data.cast::<u8>().wrapping_add(byte_offset);
    let Some(start) = NonNull::new(first.wrapping_sub(before * dtype.size())).filter(|_| !tensor.data.is_null()) else {
        return Err(fail("data", "null".into(), "a tensor with elements has an address"));
    };
    let alignment = with_dtype!(dtype, T => align_of::<T>());
    if !(start.as_ptr() as usize).is_multiple_of(alignment) {
        let why = format!("elements of {dtype} are aligned to {alignment} bytes");
        return Err(fail("data", format!("{first:?}"), &why));
    }
    if dtype == DType::Bool {
        // SAFETY: the range is one block of initialised memory that nothing writes (conditions 2 and 3).
        let elements = unsafe { std::slice::from_raw_parts(start.as_ptr(), bytes) };
        if let Some(other) = elements.iter().find(|b| **b > 1) {
            return Err(fail("data", format!("a byte {other}"), "the bytes of bools are 0 and 1"));
        }
    }
    // SAFETY: the range is valid for reads and not written until `owner` frees the tensor (conditions 2 and 3). It is
    // aligned, and its bytes are valid elements: bools were checked, and for all other dtypes every value is valid.
    let buffer = unsafe { Buffer::read_only(start, bytes, owner) };
    let raw = RawArray { buffer, dtype, layout: Layout::from_parts(shape, strides, before) };
    with_dtype!(dtype, T => Array::<T>::from_raw(raw).map(Array::erase))
}

/// The kind of device for memory of the host.
const CPU: i32 = 1;
/// The kind of device for memory of the host that is pinned for CUDA.
const CUDA_HOST: i32 = 3;

/// Returns the code of the kind of number.
fn code(dtype: DType) -> u8 {
    match dtype.kind() {
        Kind::Int => 0,
        Kind::Uint => 1,
        Kind::Float if dtype == DType::BF16 => 4,
        Kind::Float => 2,
        Kind::Complex => 5,
        Kind::Bool => 6,
    }
}
