//! Helpers of the tests: reproducible numbers.

/// Numbers from a fixed sequence (xorshift64*, S. Vigna, "An experimental exploration of Marsaglia's xorshift
/// generators", 2016).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Returns a number between -1 and 1.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// Returns a number of either sign and of a magnitude of about 2^-10 to 2^10, so that the order of a summation
    /// affects its result.
    #[allow(dead_code, reason = "not every test needs it")]
    pub fn wild(&mut self) -> f64 {
        self.uniform() * ((self.bits() % 21) as f64 - 10.0).exp2()
    }
}
