//! Normal and exponential numbers by the ziggurat method (G. Marsaglia and W. W. Tsang, "The ziggurat method for
//! generating random variables", J. Stat. Softw. 5, 2000) with 256 layers of equal area.
//!
//! The bits of an element select a layer, a sign (normal numbers) and one of many equal steps across the layer. In
//! about 99 of 100 cases, the step lies inside the part of the layer that is below the density everywhere, and the
//! number is a product of the step and a number from a table. All other cases are decided by further bits, from the
//! stream of the element. The methods use `+ - *`, comparisons, and functions of the crate `libm`, which is plain Rust,
//! so every CPU gives the same bits.

use super::elements::Sampler;
use super::philox::ElementStream;
use std::sync::LazyLock;

const LAYERS: usize = 256;

/// The layers of a density that decreases from 1 at 0. Layer 0 is at the bottom and contains the tail.
struct Ziggurat {
    f64: Layers<f64, u64>,
    f32: Layers<f32, u32>,
    /// The density at the right end of each layer; 1 for layer 0.
    heights: [f64; LAYERS],
    density: fn(f64) -> f64,
    /// Returns a number beyond the right end of the bottom layer.
    tail: fn(&mut ElementStream) -> f64,
}

/// The layers in steps of a float type.
struct Layers<F, W> {
    /// The length of a step of each layer.
    steps: [F; LAYERS],
    /// The number of steps of each layer that are below the density everywhere.
    inside: [W; LAYERS],
}

impl Ziggurat {
    /// Makes layers of the area `area` each, of which the bottom one ends at `end`. `inverse` is the inverse of
    /// `density`.
    fn new(
        end: f64,
        area: f64,
        density: fn(f64) -> f64,
        inverse: fn(f64) -> f64,
        tail: fn(&mut ElementStream) -> f64,
    ) -> Ziggurat {
        // The bottom layer is as wide as a rectangle of its height and area.
        let mut ends = [area / density(end); LAYERS];
        ends[LAYERS - 1] = end;
        for i in (1..LAYERS - 1).rev() {
            ends[i] = inverse(area / ends[i + 1] + density(ends[i + 1]));
        }
        let mut heights = ends.map(density);
        heights[0] = 1.0;
        // The part of a layer below the density ends where the layer above does. There is none above layer 1.
        let inside = |i: usize| match i {
            0 => end / ends[0],
            1 => 0.0,
            i => ends[i - 1] / ends[i],
        };
        let (many, few) = ((1u64 << f64::STEP_BITS) as f64, (1u64 << f32::STEP_BITS) as f64);
        let layers: [usize; LAYERS] = std::array::from_fn(|i| i);
        Ziggurat {
            f64: Layers { steps: ends.map(|x| x / many), inside: layers.map(|i| (inside(i) * many) as u64) },
            f32: Layers { steps: ends.map(|x| (x / few) as f32), inside: layers.map(|i| (inside(i) * few) as u32) },
            heights,
            density,
            tail,
        }
    }

    /// Decides about the number `x` of a layer, which is not inside it everywhere. Returns the number, or `None` if
    /// another one must be drawn.
    fn at_edge(&self, layer: usize, x: f64, stream: &mut ElementStream) -> Option<f64> {
        if layer == 0 {
            return Some((self.tail)(stream));
        }
        let y = self.heights[layer] + stream.uniform() * (self.heights[layer - 1] - self.heights[layer]);
        (y < (self.density)(x)).then_some(x)
    }
}

/// The end of the bottom layer for 256 layers, from the paper with more digits.
const NORMAL_END: f64 = 3.654_152_885_361_009;
const EXPONENTIAL_END: f64 = 7.697_117_470_131_05;

static NORMAL: LazyLock<Ziggurat> = LazyLock::new(|| {
    let density = |x: f64| libm::exp(-0.5 * x * x);
    let beyond = (0.5 * std::f64::consts::PI).sqrt() * libm::erfc(NORMAL_END * std::f64::consts::FRAC_1_SQRT_2);
    let area = NORMAL_END * density(NORMAL_END) + beyond;
    Ziggurat::new(
        NORMAL_END,
        area,
        density,
        |y| (-2.0 * libm::log(y)).sqrt(),
        |stream| {
            // Marsaglia's method for the tail of the normal distribution.
            loop {
                let x = -libm::log(stream.positive()) / NORMAL_END;
                let y = -libm::log(stream.positive());
                if y + y > x * x {
                    return NORMAL_END + x;
                }
            }
        },
    )
});

static EXPONENTIAL: LazyLock<Ziggurat> = LazyLock::new(|| {
    let density = |x: f64| libm::exp(-x);
    let area = (EXPONENTIAL_END + 1.0) * density(EXPONENTIAL_END);
    // The tail of the exponential distribution is the distribution itself, moved.
    Ziggurat::new(
        EXPONENTIAL_END,
        area,
        density,
        |y| -libm::log(y),
        |stream| EXPONENTIAL_END - libm::log(stream.positive()),
    )
});

/// The layers of standard normal numbers in steps of f64.
#[derive(Clone, Copy)]
pub(super) struct NormalSteps(&'static Ziggurat);

/// Returns the layers of standard normal numbers.
pub(super) fn normal_steps() -> NormalSteps {
    NormalSteps(&NORMAL)
}

impl NormalSteps {
    /// Returns the number for a word, and whether it may lie outside of the density, as 0 or 1. If it does not, the
    /// number is that of [`ElementStream::normal`].
    #[inline(always)]
    pub fn at(self, word: u64) -> (f64, u64) {
        let (layer, step, x) = f64::of(self.0, word);
        (f64::from_bits(x.to_bits() ^ (word & 0x100) << 55), u64::from(step >= self.0.f64.inside[layer]))
    }
}

/// A float type of steps.
trait Steps: Sized {
    type Word;
    /// The binary logarithm of the number of steps of a layer.
    const STEP_BITS: u32;

    /// Returns the layer and the step of a word, and the product of the step and its length.
    fn of(ziggurat: &Ziggurat, word: Self::Word) -> (usize, Self::Word, Self);
}

/// `mean + std * z` for standard normal numbers z, in the arithmetic of `F`.
#[derive(Clone, Copy)]
pub struct Normal<F: 'static> {
    mean: F,
    std: F,
    ziggurat: &'static Ziggurat,
}

/// `scale * x` for standard exponential numbers x, in the arithmetic of `F`.
#[derive(Clone, Copy)]
pub struct Exponential<F: 'static> {
    scale: F,
    ziggurat: &'static Ziggurat,
}

/// Implements both samplers for a float type, its word, and the power of two whose unit in the last place is 1.
macro_rules! samplers {
    ($F:ident $W:ident $bits:literal $whole:literal) => {
        impl Steps for $F {
            type Word = $W;
            const STEP_BITS: u32 = $bits;

            #[inline(always)]
            fn of(ziggurat: &Ziggurat, word: $W) -> (usize, $W, $F) {
                let layer = (word & 0xff) as usize;
                let step = word >> ($W::BITS - $bits);
                // Exact: the step becomes the mantissa.
                let count = $F::from_bits($F::to_bits($whole) | step) - $whole;
                (layer, step, count * ziggurat.$F.steps[layer])
            }
        }

        impl Normal<$F> {
            /// Makes a sampler with this mean and standard deviation, which are rounded to the float type.
            pub fn new(mean: f64, std: f64) -> Self {
                Normal { mean: mean as $F, std: std as $F, ziggurat: &NORMAL }
            }
        }

        impl Sampler for Normal<$F> {
            type Word = $W;
            type Out = $F;
            const REJECTS: bool = true;

            #[inline(always)]
            fn fast(&self, word: $W) -> ($F, $W) {
                let (layer, step, x) = $F::of(self.ziggurat, word);
                let x = $F::from_bits(x.to_bits() ^ ((word & 0x100) << ($W::BITS - 9)));
                (self.mean + self.std * x, $W::from(step >= self.ziggurat.$F.inside[layer]))
            }

            #[cold]
            fn slow(&self, word: $W, stream: &mut ElementStream) -> $F {
                let (layer, _, x) = $F::of(self.ziggurat, word);
                let z = match self.ziggurat.at_edge(layer, f64::from(x), stream) {
                    Some(x) if word & 0x100 != 0 => -x,
                    Some(x) => x,
                    None => stream.normal(),
                };
                self.mean + self.std * z as $F
            }
        }

        impl Exponential<$F> {
            /// Makes a sampler with this mean, which is rounded to the float type.
            pub fn new(scale: f64) -> Self {
                Exponential { scale: scale as $F, ziggurat: &EXPONENTIAL }
            }
        }

        impl Sampler for Exponential<$F> {
            type Word = $W;
            type Out = $F;
            const REJECTS: bool = true;

            #[inline(always)]
            fn fast(&self, word: $W) -> ($F, $W) {
                let (layer, step, x) = $F::of(self.ziggurat, word);
                (self.scale * x, $W::from(step >= self.ziggurat.$F.inside[layer]))
            }

            #[cold]
            fn slow(&self, word: $W, stream: &mut ElementStream) -> $F {
                let (layer, _, x) = $F::of(self.ziggurat, word);
                let x = self.ziggurat.at_edge(layer, f64::from(x), stream).unwrap_or_else(|| stream.exponential());
                self.scale * x as $F
            }
        }
    };
}
samplers!(f32 u32 23 8_388_608.0);
samplers!(f64 u64 52 4_503_599_627_370_496.0);

impl ElementStream {
    /// Returns a standard normal number.
    #[inline]
    pub fn normal(&mut self) -> f64 {
        loop {
            let word = self.bits();
            let (layer, step, x) = f64::of(&NORMAL, word);
            let inside = step < NORMAL.f64.inside[layer];
            if let Some(x) = if inside { Some(x) } else { NORMAL.at_edge(layer, x, self) } {
                return if word & 0x100 != 0 { -x } else { x };
            }
        }
    }

    /// Returns a standard exponential number.
    pub fn exponential(&mut self) -> f64 {
        loop {
            let (layer, step, x) = f64::of(&EXPONENTIAL, self.bits());
            let inside = step < EXPONENTIAL.f64.inside[layer];
            if let Some(x) = if inside { Some(x) } else { EXPONENTIAL.at_edge(layer, x, self) } {
                return x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layers fill the area below the density: the top one ends at the density of 0.
    #[test]
    fn layers_have_equal_areas() {
        for ziggurat in [&*NORMAL, &*EXPONENTIAL] {
            let ends = ziggurat.f64.steps.map(|step| step * (1u64 << f64::STEP_BITS) as f64);
            let heights = &ziggurat.heights;
            let top = ends[1] * (1.0 - heights[1]);
            for i in 2..LAYERS {
                assert!(ends[i] > ends[i - 1] && heights[i] < heights[i - 1]);
                assert!((ends[i] * (heights[i - 1] - heights[i]) / top - 1.0).abs() < 1e-9, "layer {i}");
            }
        }
    }
}
