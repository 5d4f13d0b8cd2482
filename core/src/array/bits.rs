//! The bytes of an array as elements of another dtype.

use super::Array;
use crate::expr::RawArray;
use crate::layout::{Layout, Strides};
use crate::memory::{memory, transfer::storable};
use crate::{DType, Element, Error, Result};

impl<T: Element> Array<T> {
    /// Returns a view of the same bytes as elements of another dtype, as NumPy's `x.view(dtype)`. Elements of another
    /// size need a last axis whose elements are adjacent; its length changes in proportion.
    ///
    /// Bytes of all dtypes can be read as numbers, in the byte order of the machine, but only truth values as truth
    /// values.
    ///
    /// # Errors
    /// [`Error::DTypeUndefined`] for numbers as bool; [`Error::Argument`] if the last axis has gaps or no multiple of
    /// the size, or if the elements are not aligned for the dtype (a copy is); [`Error::Storage`] if the memory of the
    /// array stores one of the dtypes in another size.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1.0f32, -1.0], [2])?;
    /// assert_eq!(x.view_as::<u32>()?.to_vec()?, [0x3f80_0000, 0xbf80_0000]);
    /// assert_eq!(x.view_as::<u8>()?.shape(), [8]);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "view")]
    pub fn view_as<U: Element>(&self) -> Result<Array<U>> {
        let op = "view_as";
        if U::DTYPE == DType::Bool && T::DTYPE != DType::Bool {
            return Err(Error::DTypeUndefined { op, dtype: T::DTYPE, defined: "bool".into() });
        }
        let buffer = &self.raw.buffer;
        let here = memory(buffer.memory());
        for dtype in [T::DTYPE, U::DTYPE] {
            if storable(&*here, dtype)? != dtype.size() {
                let why = "it is stored in another size there".into();
                return Err(Error::Storage { dtype, memory: here.info().name.clone(), why });
            }
        }
        let refuse = |why: String| Error::Argument { op, name: "dtype", value: U::DTYPE.to_string(), why };
        let layout = self.resized::<U>().map_err(refuse)?;
        if layout.is_empty() {
            // The buffer may not be aligned for the dtype, and holds nothing to share.
            return Array::from_vec(Vec::new(), layout.shape().clone())?.beside(self);
        }
        if buffer.host_ptr().is_some_and(|start| !start.cast::<U>().is_aligned()) {
            return Err(refuse("the elements are not aligned for it; make a copy with flatten".into()));
        }
        Array::from_raw(RawArray { buffer: buffer.clone(), dtype: U::DTYPE, layout })
    }

    /// Returns the layout of the same bytes in elements of `U`, or why there is none.
    fn resized<U: Element>(&self) -> Result<Layout, String> {
        let (from, to) = (size_of::<T>(), size_of::<U>());
        let layout = self.layout();
        if from == to {
            return Ok(layout.clone());
        }
        let shape = layout.shape();
        let Some((&n, outer)) = shape.split_last() else {
            return Err("an array without axes keeps its size in bytes".into());
        };
        let axes = outer.len();
        if n > 1 && layout.strides()[axes] != 1 {
            return Err("the elements along the last axis are not adjacent; make a copy with to_contiguous".into());
        }
        let scaled = |elements: usize| {
            let bytes = elements * from;
            if bytes.is_multiple_of(to) {
                Ok(bytes / to)
            } else {
                Err(format!("{bytes} bytes are no multiple of {to}"))
            }
        };
        let mut lens = shape.clone();
        lens.axes_mut()[axes] = scaled(n)?;
        lens.check(U::DTYPE).map_err(|e| e.to_string())?;
        if layout.is_empty() {
            return Ok(Layout::contiguous(lens));
        }
        let step = |(&n, &s): (&usize, &isize)| {
            // The stride of an axis with less than two elements does not matter.
            if n < 2 { Ok(1) } else { scaled(s.unsigned_abs()).map(|by| by as isize * s.signum()) }
        };
        let strides: Result<Strides, String> = outer.iter().zip(layout.strides()).map(step).chain([Ok(1)]).collect();
        Ok(Layout::from_parts(lens, strides?, scaled(layout.offset())?))
    }
}
