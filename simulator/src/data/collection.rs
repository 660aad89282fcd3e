//! The order of one tenant's rows in one dataset, and what is done to it while pages are read.
//!
//! Undisturbed, an order is just a number: row *i* is a function of *i*, and any page is found without
//! looking at the others. The first insertion or deletion writes the order down, and so does a clock that moves: the
//! rows there at a moment are found once, and what hands did to them is done again.

use std::cmp::Reverse;
use std::collections::HashSet;

/// Names one row; its content is a function of this name.
///
/// Base rows are `nth` 0 at their own place; the `nth` row put before the base row `at` sorts before it,
/// and before the rows put there earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RowId {
    pub(crate) at: u32,
    pub(crate) nth: u32,
}

impl RowId {
    fn order(self) -> (u32, bool, Reverse<u32>) {
        (self.at, self.nth == 0, Reverse(self.nth))
    }
}

/// The rows of one tenant and dataset, in the order of their time or key.
#[derive(Debug, Default)]
pub(crate) struct Collection {
    base: u32,
    inserted: u32,
    /// The rows put before others or at the end, and those taken away, in whatever moment.
    added: Vec<RowId>,
    removed: HashSet<RowId>,
    /// The order, once it isn't just a number.
    written: Option<Vec<RowId>>,
    /// The moment of which the order is; none at the start.
    moment: Option<i64>,
}

impl Collection {
    /// Returns an undisturbed order of so many rows.
    pub(crate) fn new(base: u32) -> Self {
        Self { base, ..Self::default() }
    }

    /// Whether the order is that of a moment, or of the start when the clock has not moved.
    pub(crate) fn is_of(&self, moment: i64, moved: bool) -> bool {
        self.moment == moved.then_some(moment)
    }

    /// Lets the order be found again before it is next looked at.
    pub(crate) fn unsettle(&mut self) {
        self.moment = Some(i64::MIN);
    }

    /// Makes the order that of a moment from the rows there by themselves, or that of the start when there are none given.
    pub(crate) fn settle(&mut self, moment: i64, there: Option<Vec<RowId>>, time: impl Fn(RowId) -> i64) {
        self.moment = there.is_some().then_some(moment);
        if there.is_none() && self.added.is_empty() && self.removed.is_empty() {
            self.written = None;
            return;
        }
        let appended = self.added.iter().filter(|row| row.nth == 0).count() as u32;
        let start = || (0..self.base - appended).map(|at| RowId { at, nth: 0 }).collect();
        let mut rows = there.unwrap_or_else(start);
        rows.retain(|row| !self.removed.contains(row));
        if !self.added.is_empty() {
            rows.extend(self.added.iter().filter(|row| !self.removed.contains(row)));
            rows.sort_by_cached_key(|row| (time(*row), row.order()));
        }
        self.written = Some(rows);
    }

    /// Returns how many rows there are now.
    pub(crate) fn len(&self) -> usize {
        self.written.as_ref().map_or(self.base as usize, Vec::len)
    }

    /// Returns how often rows were put in or taken away.
    pub(crate) fn edits(&self) -> usize {
        self.added.len() + self.removed.len()
    }

    /// Returns the row at a position below `len`.
    pub(crate) fn get(&self, position: usize) -> RowId {
        match &self.written {
            Some(rows) => rows[position],
            None => RowId { at: position as u32, nth: 0 },
        }
    }

    /// Returns the first position whose row does not satisfy an ordered predicate.
    pub(crate) fn partition_point(&self, before: impl Fn(RowId) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self.get(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Returns the position that follows a row, whether or not the row is still there.
    pub(crate) fn after(&self, row: RowId) -> usize {
        self.partition_point(|other| other.order() <= row.order())
    }

    /// Returns the position of a row, or where it would stand.
    pub(crate) fn before(&self, row: RowId) -> usize {
        self.partition_point(|other| other.order() < row.order())
    }

    /// Puts a new row before the row at `position`, or at the end of the time when there is none.
    pub(crate) fn insert(&mut self, position: usize) -> RowId {
        if position >= self.len() {
            return self.append();
        }
        let next = self.get(position);
        self.inserted += 1;
        let row = RowId { at: next.at, nth: self.inserted };
        // It goes before all that were put before the same row.
        let group = (0..position).rev().take_while(|place| self.get(*place).at == next.at).count();
        self.written().insert(position - group, row);
        self.added.push(row);
        row
    }

    /// Puts a new row at the end.
    pub(crate) fn append(&mut self) -> RowId {
        let row = RowId { at: self.base, nth: 0 };
        if let Some(rows) = &mut self.written {
            rows.push(row);
        }
        self.added.push(row);
        self.base += 1;
        row
    }

    /// Takes the row at `position` away.
    pub(crate) fn remove(&mut self, position: usize) -> Option<RowId> {
        let row = (position < self.len()).then(|| self.written().remove(position))?;
        self.removed.insert(row);
        Some(row)
    }

    fn written(&mut self) -> &mut Vec<RowId> {
        let base = self.base;
        self.written.get_or_insert_with(|| (0..base).map(|at| RowId { at, nth: 0 }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(collection: &Collection) -> Vec<(u32, u32)> {
        (0..collection.len()).map(|position| collection.get(position)).map(|row| (row.at, row.nth)).collect()
    }

    #[test]
    fn insertions_go_before_and_keep_the_order() {
        let mut collection = Collection::new(3);
        collection.insert(0);
        collection.insert(0);
        collection.insert(3);
        collection.append();
        assert_eq!(rows(&collection), [(0, 2), (0, 1), (0, 0), (1, 3), (1, 0), (2, 0), (3, 0)]);
    }

    #[test]
    fn the_position_after_a_row_survives_its_removal() {
        let mut collection = Collection::new(5);
        let gone = collection.remove(2).expect("there are five");
        assert_eq!((collection.before(gone), collection.after(gone)), (2, 2));
        assert_eq!(collection.get(2), RowId { at: 3, nth: 0 });
        assert_eq!(collection.remove(9), None);
    }

    #[test]
    fn an_empty_order_grows_at_its_end() {
        let mut collection = Collection::new(0);
        collection.insert(0);
        assert_eq!(rows(&collection), [(0, 0)]);
    }
}
