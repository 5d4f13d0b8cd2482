//! The operands of which each block reads some rows, and the mapped files in which they lie.

use crate::Result;
use crate::expr::RawArray;
use crate::memory::map::Map;
use smallvec::SmallVec;
use std::ops::Range;

/// Arrays with equally many rows.
pub(super) struct Inputs<'a> {
    arrays: SmallVec<[&'a RawArray; 4]>,
}

impl<'a> Inputs<'a> {
    pub fn new(arrays: impl IntoIterator<Item = &'a RawArray>) -> Inputs<'a> {
        Inputs { arrays: arrays.into_iter().collect() }
    }

    /// Returns the bytes of one row of all arrays together. There must be rows.
    pub fn row_bytes(&self) -> usize {
        let row = |a: &&RawArray| a.layout.shape()[1..].iter().product::<usize>() * a.dtype.size();
        self.arrays.iter().map(row).fold(0, usize::saturating_add)
    }

    /// Returns the map of each array that lies in one, and the bytes of the map from the first to the last element of
    /// the rows.
    fn maps(&self, rows: &Range<usize>) -> impl Iterator<Item = (&'a Map, Range<usize>)> {
        self.arrays.iter().filter_map(move |a| {
            let (map, start) = a.buffer.map()?;
            let (lo, hi) = a.rows(rows).layout.span();
            Some((&**map, start + lo * a.dtype.size()..start + hi * a.dtype.size()))
        })
    }

    /// Fails if a mapped file has become shorter than its map.
    pub fn check(&self) -> Result<()> {
        self.maps(&(0..0)).try_for_each(|(map, _)| map.check())
    }

    /// Advises the operating system whether all rows are read, in order.
    pub fn set_sequential(&self, sequential: bool) {
        self.maps(&(0..0)).for_each(|(map, _)| map.set_sequential(sequential));
    }

    /// Advises the operating system that these rows are read soon.
    pub fn will_need(&self, rows: &Range<usize>) {
        self.maps(rows).for_each(|(map, bytes)| map.will_need(bytes));
    }

    /// Releases the pages of these rows.
    pub fn release(&self, rows: &Range<usize>) {
        self.maps(rows).for_each(|(map, bytes)| map.release(bytes));
    }
}
