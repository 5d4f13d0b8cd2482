//! The gamma and the beta distribution.

use super::philox::ElementStream;
use super::ziggurat::{NormalSteps, normal_steps};

/// The gamma distribution, by the method of G. Marsaglia and W. W. Tsang, "A simple method for generating gamma
/// variables", ACM Trans. Math. Softw. 26, 2000: a transformed normal number is accepted with a probability above 0.95.
#[derive(Clone, Copy)]
pub struct Gamma {
    scale: f64,
    normal: NormalSteps,
    /// The shape parameter, if it is below 1. Then the number of a distribution with a shape parameter larger by 1 is
    /// multiplied by u^(1 / alpha).
    small: Option<f64>,
    d: f64,
    c: f64,
}

impl Gamma {
    /// Makes a sampler with the shape parameter `alpha` and the factor `scale`, neither of which is negative.
    pub fn new(alpha: f64, scale: f64) -> Gamma {
        let small = (alpha < 1.0).then_some(alpha);
        let d = if small.is_some() { alpha + 1.0 } else { alpha } - 1.0 / 3.0;
        Gamma { scale, normal: normal_steps(), small, d, c: 1.0 / (9.0 * d).sqrt() }
    }

    /// Returns the value of an element.
    #[inline]
    pub fn draw(&self, stream: &mut ElementStream) -> f64 {
        match self.small {
            Some(0.0) => 0.0,
            Some(alpha) => self.standard(stream) * libm::exp(-stream.exponential() / alpha) * self.scale,
            None => self.standard(stream) * self.scale,
        }
    }

    /// Returns the value for the first block of the stream of an element, and whether the block is rejected, as 0 or 1,
    /// without branches. If it is, [`draw`](Self::draw) returns the value.
    #[inline(always)]
    pub fn fast(&self, [word, bits]: [u64; 2]) -> (f64, u64) {
        let (x, outside) = self.normal.at(word);
        let root = 1.0 + self.c * x;
        let (v, u, square) = (root * root * root, ElementStream::positive_of(bits), x * x);
        let kept = (root > 0.0) & (u < 1.0 - 0.0331 * square * square) & self.small.is_none();
        (self.d * v * self.scale, outside | u64::from(!kept))
    }

    #[inline]
    fn standard(&self, stream: &mut ElementStream) -> f64 {
        loop {
            let x = stream.normal();
            let root = 1.0 + self.c * x;
            if root <= 0.0 {
                continue;
            }
            let (v, u, square) = (root * root * root, stream.positive(), x * x);
            if u < 1.0 - 0.0331 * square * square || libm::log(u) < 0.5 * square + self.d * (1.0 - v + libm::log(v)) {
                return self.d * v;
            }
        }
    }
}

/// The beta distribution: x / (x + y) of two gamma numbers; for parameters up to 1 by the method of M. D. Jöhnk,
/// "Erzeugung von betaverteilten und gammaverteilten Zufallszahlen", Metrika 8, 1964.
#[derive(Clone, Copy)]
pub struct Beta {
    a: f64,
    b: f64,
    x: Gamma,
    y: Gamma,
}

impl Beta {
    /// Makes a sampler with two positive shape parameters.
    pub fn new(a: f64, b: f64) -> Beta {
        // For tiny parameters, nearly all values are 0 or 1, with probabilities that depend only on the ratio of the
        // parameters. Larger ones with the same ratio cause no overflow.
        let factor = if a < 1e-290 && b < 1e-290 { 1e20 } else { 1.0 };
        let (a, b) = (a * factor, b * factor);
        Beta { a, b, x: Gamma::new(a, 1.0), y: Gamma::new(b, 1.0) }
    }

    /// Returns the value of an element.
    pub fn draw(&self, stream: &mut ElementStream) -> f64 {
        if self.a > 1.0 || self.b > 1.0 {
            let (x, y) = (self.x.draw(stream), self.y.draw(stream));
            // One of them may be zero, and their sum may overflow.
            return if x > y { 1.0 / (1.0 + y / x) } else { (x / y) / (1.0 + x / y) };
        }
        loop {
            // Logarithms of u^(1/a) and v^(1/b), which may both be too small for a float.
            let (x, y) = (libm::log(stream.positive()) / self.a, libm::log(stream.positive()) / self.b);
            let (ex, ey) = (libm::exp(x), libm::exp(y));
            if ex + ey > 1.0 {
                continue;
            }
            let largest = if x > y { x } else { y };
            let (x, y) = (libm::exp(x - largest), libm::exp(y - largest));
            return x / (x + y);
        }
    }
}
