//! The axes, lengths and normalisation of transforms.

use polyarray_core::{Axes, Error, Result};

/// The factor of a transform of n elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Norm {
    /// 1 for transforms, `1 / n` for inverse ones.
    #[default]
    Backward,
    /// `1 / sqrt(n)` for both, which preserves the 2-norm.
    Ortho,
    /// `1 / n` for transforms, 1 for inverse ones.
    Forward,
}

impl Norm {
    /// Returns the factor of a transform, or of an inverse one.
    pub(crate) fn factor(self, inverse: bool, n: usize) -> f64 {
        match (self, inverse) {
            (Norm::Ortho, _) => (n as f64).sqrt().recip(),
            (Norm::Backward, true) | (Norm::Forward, false) => (n as f64).recip(),
            (Norm::Backward, false) | (Norm::Forward, true) => 1.0,
        }
    }
}

/// The axes of a transform, the lengths of the lines along them, and the normalisation: `-1`, `[0, 2]`, `Over::all()`,
/// `over(-1).n(8).norm(Norm::Ortho)`. Negative axes count from the end.
#[derive(Clone, Debug)]
pub struct Over {
    axes: Option<Axes>,
    lens: Option<Vec<usize>>,
    pub(crate) norm: Norm,
}

/// Makes an [`Over`] of axes: `over(-1).n(8)`, `over([0, 1]).norm(Norm::Ortho)`.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_fft::{Norm, over, rfft};
/// let x = Array::from([1.0, 2.0, 3.0]);
/// // Padded with a zero to four elements.
/// assert_eq!(rfft(&x, over(0).n(4).norm(Norm::Forward))?.real()?, Array::from([1.5, -0.5, 0.5]));
/// # Ok::<(), Error>(())
/// ```
pub fn over(axes: impl Into<Over>) -> Over {
    axes.into()
}

impl Over {
    /// All axes; the last k axes if k [`lens`](Self::lens) are given.
    pub fn all() -> Over {
        Over { axes: None, lens: None, norm: Norm::Backward }
    }

    /// Sets the length of the lines of a transform along one axis: lines are cut to it, or padded with zeros at the
    /// end. It is the length of the result of [`irfft`](crate::irfft), [`irfftn`](crate::irfftn) and
    /// [`hfft`](crate::hfft), and that of the operand of other transforms.
    pub fn n(self, len: usize) -> Over {
        self.lens(&[len])
    }

    /// As [`n`](Self::n), for each of several axes. NumPy's name is `s`.
    #[doc(alias = "s")]
    pub fn lens(mut self, lens: &[usize]) -> Over {
        self.lens = Some(lens.into());
        self
    }

    /// Sets the normalisation.
    pub fn norm(mut self, norm: Norm) -> Over {
        self.norm = norm;
        self
    }

    /// Returns the axes of an array, and the length of the lines along each of them. `default` is the length of the
    /// lines along the last axis, for its length in the array.
    pub(crate) fn resolve(
        &self,
        op: &'static str,
        shape: &[usize],
        default: impl Fn(usize) -> usize,
    ) -> Result<Vec<(usize, usize)>> {
        let ndim = shape.len();
        let axes: Vec<usize> = match (&self.axes, &self.lens) {
            (Some(axes), _) => axes.resolve(op, ndim)?.to_vec(),
            (None, Some(lens)) if lens.len() <= ndim => (ndim - lens.len()..ndim).collect(),
            (None, _) => (0..ndim).collect(),
        };
        if let Some(lens) = self.lens.as_ref().filter(|lens| lens.len() != axes.len()) {
            let why = format!("there are {} axes; give a length for each", axes.len());
            return Err(Error::Argument { op, name: "lens", value: format!("{lens:?}"), why });
        }
        let last = axes.len().wrapping_sub(1);
        let own = |i: usize, axis: usize| if i == last { default(shape[axis]) } else { shape[axis] };
        let len = |i: usize, axis: usize| self.lens.as_ref().map_or_else(|| own(i, axis), |lens| lens[i]);
        let lines: Vec<(usize, usize)> = axes.iter().enumerate().map(|(i, &axis)| (axis, len(i, axis))).collect();
        match lines.iter().find(|(_, n)| *n == 0) {
            Some((axis, _)) => {
                let why = format!("the lines along axis {axis} must have at least one element");
                Err(Error::Argument { op, name: "n", value: "0".into(), why })
            }
            None => Ok(lines),
        }
    }

    /// As [`resolve`](Self::resolve), for a transform along one axis.
    pub(crate) fn resolve_one(
        &self,
        op: &'static str,
        shape: &[usize],
        default: impl Fn(usize) -> usize,
    ) -> Result<(usize, usize)> {
        match self.resolve(op, shape, default)?[..] {
            [line] => Ok(line),
            ref lines => Err(Error::OneAxis { op, given: lines.len() }),
        }
    }
}

impl From<Axes> for Over {
    fn from(axes: Axes) -> Over {
        Over { axes: Some(axes), lens: None, norm: Norm::Backward }
    }
}

macro_rules! over_from {
    ($($int:ty),*) => { $(
        impl From<$int> for Over { fn from(a: $int) -> Over { Axes::from(a).into() } }
        impl<const N: usize> From<[$int; N]> for Over { fn from(a: [$int; N]) -> Over { Axes::from(a).into() } }
        impl From<&[$int]> for Over { fn from(a: &[$int]) -> Over { Axes::from(a).into() } }
    )* };
}
over_from!(isize, i32, usize);
