//! The cost of operations: the profile of a device, and the model that turns it into seconds.

use crate::DType;
use crate::op::Op;

/// The estimated cost of an operation on a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// The time in seconds, without transfers between memories.
    pub seconds: f64,
    /// The number of threads for which the estimate holds.
    pub threads: usize,
}

impl Cost {
    /// Computes the cost by the common model `start_up + max(bytes / bandwidth, work / rate)`: the cheaper of one
    /// thread, and of `threads` threads, which divide the maximum and need `wake` seconds to wake.
    pub fn model(start_up: f64, bytes_over_bandwidth: f64, work_over_rate: f64, threads: usize, wake: f64) -> Cost {
        let once = bytes_over_bandwidth.max(work_over_rate);
        let alone = Cost { seconds: start_up + once, threads: 1 };
        let all = Cost { seconds: start_up + wake + once / threads as f64, threads };
        if threads > 1 && all.seconds < alone.seconds { all } else { alone }
    }
}

/// A kind of work. A device has a rate for each kind and dtype.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Elementwise programs, copies and casts.
    Map,
    /// Reductions to values.
    Reduce,
    /// Reductions to indices.
    ArgReduce,
    /// Running sums and products.
    Scan,
    /// Matrix products.
    Product,
    /// Matrix products where the result has a single row or column.
    MatVec,
    /// Distances computed from differences of coordinates.
    Distance,
    /// Distances computed from products: cosine.
    Cosine,
    /// Sorts and selections of values.
    Sort,
    /// Sorts and selections of indices.
    ArgSort,
    /// Searches in sorted lines.
    Search,
    /// Histograms.
    Count,
    /// Random numbers.
    Random,
    /// Reads and writes at indices.
    Index,
}

impl Class {
    /// Every class.
    pub const ALL: [Class; 14] = [
        Class::Map,
        Class::Reduce,
        Class::ArgReduce,
        Class::Scan,
        Class::Product,
        Class::MatVec,
        Class::Distance,
        Class::Cosine,
        Class::Sort,
        Class::ArgSort,
        Class::Search,
        Class::Count,
        Class::Random,
        Class::Index,
    ];
}

/// The speed of a device: its overheads, its bandwidth, and the units of [`Op::work`] per second for each kind of work
/// and dtype, all for one thread.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Seconds to prepare an operation.
    pub start_up: f64,
    /// Seconds to wake other threads; infinity for a device with one thread.
    pub wake: f64,
    /// Bytes of memory traffic per second.
    pub bandwidth: f64,
    /// Operations on fewer bytes than this stay in the caches. Their traffic costs nothing besides the work.
    pub cache: f64,
    /// The smallest dimension at which a matrix product reaches half of its rate.
    pub half_size: f64,
    rates: [[f64; DType::ALL.len()]; Class::ALL.len()],
}

impl Profile {
    /// Creates a profile of a device with one thread, where every kind of work has the same rate.
    pub fn new(start_up: f64, bandwidth: f64, rate: f64) -> Profile {
        Profile {
            start_up,
            wake: f64::INFINITY,
            bandwidth,
            cache: 0.0,
            half_size: 0.0,
            rates: [[rate; DType::ALL.len()]; Class::ALL.len()],
        }
    }

    /// Sets the rate of some kinds of work for some dtypes.
    #[must_use]
    pub fn with_rate(mut self, classes: &[Class], dtypes: &[DType], rate: f64) -> Profile {
        for &class in classes {
            for &dtype in dtypes {
                self.rates[class as usize][dtype as usize] = rate;
            }
        }
        self
    }

    /// Returns the units of work per second and thread.
    pub fn rate(&self, class: Class, dtype: DType) -> f64 {
        self.rates[class as usize][dtype as usize]
    }

    /// Returns the seconds that one thread computes for `op`, without memory traffic and overheads.
    pub fn computing(&self, op: &Op) -> f64 {
        let (class, dtype) = op.class();
        let full = op.work() / self.rate(class, dtype);
        match op {
            Op::Matmul(o) if class == Class::Product => full * (1.0 + self.half_size / o.m.min(o.n).min(o.k) as f64),
            _ => full,
        }
    }

    /// Returns the seconds that one thread moves `bytes` bytes beyond the caches.
    pub fn moving(&self, bytes: f64) -> f64 {
        if bytes > self.cache { bytes / self.bandwidth } else { 0.0 }
    }

    /// Estimates the cost of `op` on at most `threads` threads by [`Cost::model`].
    pub fn cost(&self, op: &Op, threads: usize) -> Cost {
        Cost::model(self.start_up, self.moving(op.bytes()), self.computing(op), threads, self.wake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_threads_are_used_where_they_pay() {
        let cost = |seconds: f64| Cost::model(0.0, 0.0, seconds, 4, 1e-6);
        assert_eq!(cost(1e-6).threads, 1);
        assert_eq!(cost(1e-3), Cost { seconds: 1e-6 + 0.25e-3, threads: 4 });
        let alone = Cost::model(0.0, 0.0, 1.0, 4, f64::INFINITY);
        assert_eq!(alone, Cost { seconds: 1.0, threads: 1 }, "a device with one thread");
    }

    #[test]
    fn rates_are_set_for_the_named_kinds_of_work_alone() {
        let profile = Profile::new(0.0, 1.0, 1.0).with_rate(&[Class::Sort], &[DType::F32], 2.0);
        for class in Class::ALL {
            for dtype in DType::ALL {
                let set = class == Class::Sort && dtype == DType::F32;
                assert_eq!(profile.rate(class, dtype), if set { 2.0 } else { 1.0 }, "{class:?} {dtype}");
            }
        }
    }
}
