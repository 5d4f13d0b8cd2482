//! Indices and lengths that may be negative: positions counted from the end, and lengths to be inferred.

use crate::{Dims, Error, Result};
use smallvec::SmallVec;
use std::fmt;

mod sealed {
    pub trait Sealed {}
}

/// An integer that is a position along an axis. Negative ones count from the end.
pub trait AxisIndex: sealed::Sealed + Copy + fmt::Display {
    /// Returns the position from the front of an axis of length `len`, or `None` if there is no such element.
    fn position(self, len: usize) -> Option<usize>;
}

macro_rules! axis_index {
    ($($T:ty),*) => { $(
        impl sealed::Sealed for $T {}
        impl AxisIndex for $T {
            #[inline]
            fn position(self, len: usize) -> Option<usize> {
                let back = |_| usize::try_from(len as i128 + self as i128);
                usize::try_from(self).or_else(back).ok().filter(|&at| at < len)
            }
        }
    )* };
}
axis_index!(usize, isize, i64, i32, u32, u64);

/// The shape of a reshaped array: lengths of the axes, of which one may be -1 if the type is signed. It stands for the
/// length that the other ones leave.
pub trait NewShape {
    /// Returns the shape of an array of `len` elements.
    ///
    /// # Errors
    /// [`Error::Argument`] for a negative length other than -1, for a second -1, and for a -1 that has no solution.
    fn resolve(self, len: usize) -> Result<Dims>;
}

macro_rules! new_shape {
    ($($T:ty),*) => { $(
        impl NewShape for $T {
            fn resolve(self, _: usize) -> Result<Dims> {
                Ok(self.into())
            }
        }
    )* };
}
new_shape!(Dims, &Dims, usize, (), &[usize], Vec<usize>, &Vec<usize>);

impl<const N: usize> NewShape for [usize; N] {
    fn resolve(self, _: usize) -> Result<Dims> {
        Ok(self.into())
    }
}

macro_rules! signed_shape {
    ($($T:ty),*) => { $(
        impl NewShape for $T {
            fn resolve(self, len: usize) -> Result<Dims> {
                inferred(len, [self].into_iter().map(|n| n as i64))
            }
        }
        impl<const N: usize> NewShape for [$T; N] {
            fn resolve(self, len: usize) -> Result<Dims> {
                self[..].resolve(len)
            }
        }
        impl NewShape for &[$T] {
            fn resolve(self, len: usize) -> Result<Dims> {
                inferred(len, self.iter().map(|&n| n as i64))
            }
        }
        impl NewShape for Vec<$T> {
            fn resolve(self, len: usize) -> Result<Dims> {
                self[..].resolve(len)
            }
        }
        impl NewShape for &Vec<$T> {
            fn resolve(self, len: usize) -> Result<Dims> {
                self[..].resolve(len)
            }
        }
    )* };
}
signed_shape!(isize, i64, i32);

/// Returns the lengths, with -1 replaced by the length that makes `len` elements.
fn inferred(len: usize, lengths: impl Iterator<Item = i64> + Clone) -> Result<Dims> {
    let refuse =
        |value: i64, why: String| Error::Argument { op: "reshape", name: "length", value: value.to_string(), why };
    let (mut shape, mut open) = (Dims::new(), None);
    for (axis, n) in lengths.clone().enumerate() {
        match usize::try_from(n) {
            Ok(n) => shape.push(n),
            Err(_) if n == -1 && open.is_none() => {
                open = Some(axis);
                shape.push(1);
            }
            Err(_) if n == -1 => return Err(refuse(n, "only one length can be inferred".into())),
            Err(_) => {
                return Err(refuse(n, "a length is not negative; -1 stands for the length to be inferred".into()));
            }
        }
    }
    if let Some(axis) = open {
        let others = shape.checked_len().unwrap_or(usize::MAX);
        if others == 0 || !len.is_multiple_of(others) {
            let given: SmallVec<[i64; 4]> = lengths.collect();
            return Err(refuse(-1, format!("no length makes {len} elements of shape {given:?}")));
        }
        shape.axes_mut()[axis] = len / others;
    }
    Ok(shape)
}
