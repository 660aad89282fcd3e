//! The records that are durable already, so that what is read again and did not change is not written again.
//!
//! A record is known by the digest of its key and that of its content. Both are taken of Arrow columns, so that
//! what was read back from a sink and what was just decoded compare equal, whatever the platform's spelling.

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::row::{RowConverter, Rows, SortField};
use twox_hash::XxHash3_128;

use crate::digests::{Digests, no_room};
use crate::{Dataset, Error, ErrorKind, Result};

/// The newest content of each record that one partition may bring again.
#[derive(Debug, Default)]
pub struct Known(Digests);

impl Known {
    /// Takes records in; of two with one key the later is the newer.
    ///
    /// # Errors
    /// Where the columns are not those of the dataset, or there is no room for what was taken in.
    pub fn learn(&mut self, dataset: &Dataset, columns: &RecordBatch) -> Result<()> {
        self.0.put_all(digests(dataset, columns)?).map_err(no_room)
    }

    /// Returns whether nothing was taken in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the content of a record by its key.
    pub(crate) fn content(&self, key: u128) -> Result<Option<u64>> {
        self.0.get(key).map_err(no_room)
    }

    /// Takes one record in.
    pub(crate) fn take(&mut self, key: u128, content: u64) -> Result<()> {
        self.0.put(key, content).map_err(no_room)
    }

    /// Returns the records that are new or changed.
    ///
    /// # Errors
    /// Where the columns are not those of the dataset, or what was taken in cannot be read.
    pub fn fresh(&self, dataset: &Dataset, columns: RecordBatch) -> Result<RecordBatch> {
        let mut fresh = Vec::with_capacity(columns.num_rows());
        for (key, content) in digests(dataset, &columns)? {
            fresh.push(self.content(key)? != Some(content));
        }
        if fresh.iter().all(|fresh| *fresh) {
            return Ok(columns);
        }
        filter_record_batch(&columns, &BooleanArray::from(fresh)).map_err(|error| bug(dataset, error))
    }
}

/// Adds up the digests of records, so that two readings of the same ones come to the same whatever their order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Content(u128);

impl Content {
    /// Adds records.
    ///
    /// # Errors
    /// Where the columns are not those of the dataset.
    pub fn add(&mut self, dataset: &Dataset, columns: &RecordBatch) -> Result<()> {
        for row in &rows(dataset, columns, None)? {
            self.0 = self.0.wrapping_add(XxHash3_128::oneshot(row.data()));
        }
        Ok(())
    }

    /// Returns the sum in hexadecimal digits.
    #[must_use]
    pub fn hex(self) -> String {
        format!("{:032x}", self.0)
    }
}

/// Returns the digests of each record's key and content.
pub(crate) fn digests(dataset: &Dataset, columns: &RecordBatch) -> Result<Vec<(u128, u64)>> {
    let whole = rows(dataset, columns, None)?;
    // What has no key of its own is known by all of it.
    let keys = match dataset.key {
        [] => None,
        key => Some(rows(dataset, columns, Some(key))?),
    };
    let seed = XxHash3_128::oneshot(dataset.name.as_bytes()) as u64;
    let digest = |row: usize| {
        let key = keys.as_ref().unwrap_or(&whole).row(row);
        let key = XxHash3_128::oneshot_with_seed(seed, key.data());
        (key, XxHash3_128::oneshot(whole.row(row).data()) as u64)
    };
    Ok((0..columns.num_rows()).map(digest).collect())
}

/// Returns the bytes of some columns' values, row by row; of all columns where none are named.
fn rows(dataset: &Dataset, columns: &RecordBatch, named: Option<&[&str]>) -> Result<Rows> {
    let arrays = match named {
        None => columns.columns().to_vec(),
        Some(names) => {
            let column = |name: &&str| columns.column_by_name(name).cloned();
            let found: Option<Vec<_>> = names.iter().map(column).collect();
            found.ok_or_else(|| bug(dataset, format!("a column of its key {names:?} is missing")))?
        }
    };
    let fields = arrays.iter().map(|array| SortField::new(array.data_type().clone())).collect();
    let converted = RowConverter::new(fields).and_then(|converter| converter.convert_columns(&arrays));
    converted.map_err(|error| bug(dataset, error))
}

fn bug(dataset: &Dataset, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Bug, format!("compare the records of {}", dataset.name)).with_source(cause)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::testing::dataset;

    /// Returns a dataset whose key is `id`.
    fn numbered() -> Dataset {
        let fields = [("id", DataType::Utf8), ("n", DataType::Int64)];
        let schema = Schema::new(fields.map(|(name, kind)| Field::new(name, kind, true)).to_vec());
        Dataset { schema: Arc::new(schema), ..Dataset::clone(&dataset("numbered", "x")) }
    }

    fn records(rows: &[(&str, i64)]) -> RecordBatch {
        let ids: StringArray = rows.iter().map(|row| Some(row.0)).collect();
        let numbers: Int64Array = rows.iter().map(|row| Some(row.1)).collect();
        let columns: Vec<Arc<dyn Array>> = vec![Arc::new(ids), Arc::new(numbers)];
        RecordBatch::try_new(numbered().schema, columns).expect("two columns")
    }

    fn check(known: &Known, rows: &[(&str, i64)], expected: &[&str]) {
        let fresh = known.fresh(&numbered(), records(rows)).expect("its own columns");
        let ids = fresh.column(0).as_any().downcast_ref::<StringArray>().expect("texts");
        assert_eq!(ids.iter().flatten().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_did_not_change_is_not_fresh() {
        let mut known = Known::default();
        known.learn(&numbered(), &records(&[("a", 1), ("b", 1)])).expect("its own columns");
        check(&known, &[("a", 1), ("b", 2), ("c", 1)], &["b", "c"]);
        known.learn(&numbered(), &records(&[("b", 2), ("c", 1)])).expect("its own columns");
        check(&known, &[("a", 1), ("b", 2), ("c", 1)], &[]);
        // Back to what it was is a change as well: the newest in the sink is the other.
        check(&known, &[("b", 1)], &["b"]);
    }

    #[test]
    fn records_of_another_dataset_are_not_known() {
        let mut known = Known::default();
        let other = Dataset { name: "other", ..numbered() };
        known.learn(&other, &records(&[("a", 1)])).expect("its own columns");
        check(&known, &[("a", 1)], &["a"]);
    }

    #[test]
    fn the_content_of_a_snapshot_does_not_depend_on_its_order() {
        let content = |rows: &[(&str, i64)]| {
            let mut content = Content::default();
            content.add(&numbered(), &records(rows)).expect("its own columns");
            content.hex()
        };
        assert_eq!(content(&[("a", 1), ("b", 1)]), content(&[("b", 1), ("a", 1)]));
        assert_ne!(content(&[("a", 1)]), content(&[("a", 2)]));
        assert_ne!(content(&[("a", 1)]), content(&[("a", 1), ("a", 1)]));
    }
}
