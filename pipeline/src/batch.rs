//! A batch: the records of a page as columns, and the count of everything the page held.

use std::any::Any;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::{Dataset, Error, ErrorKind, Partition, Result, Timestamp};

/// Records of one dataset.
#[derive(Debug, Clone)]
pub struct Records {
    /// The dataset they belong to.
    pub dataset: Arc<Dataset>,
    /// The records; of the dataset's own schema until provenance is added.
    pub columns: RecordBatch,
}

/// What one step of reading yielded.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The records, per dataset; possibly none.
    pub records: Vec<Records>,
    /// Records that did not fit their columns.
    pub rejects: Vec<Reject>,
    /// What was counted on the way, to be added up over the partition.
    pub tally: Tally,
    /// The room in memory that it takes by the connector's count, given back once it is written.
    pub room: Option<Arc<dyn Any + Send + Sync>>,
}

/// A record that was set aside, with the reason and its raw bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The dataset it would have belonged to.
    pub dataset: &'static str,
    /// The column whose value did not fit, as a path such as `assignee.email`.
    pub column: String,
    /// Why, in a few words.
    pub reason: String,
    /// The record as the platform sent it.
    pub raw: String,
    /// Where it stood, if that was inside another record.
    pub within: Option<Within>,
}

/// A place inside another record: what the text of a record that stands there does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Within {
    /// The key of the other record.
    pub key: String,
    /// Which of its lists.
    pub list: String,
}

/// Counts of a reading; what several steps counted is added up with [`Tally::add`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Pages answered and decoded.
    pub pages: u64,
    /// Bytes of JSON in them.
    pub bytes: u64,
    /// Requests sent for them, retries included.
    pub requests: u64,
    /// Times the whole listing was walked; more than one where it shifted while it was read.
    pub passes: u64,
    /// What the platform said there is, on the first page.
    pub claimed_first: Option<u64>,
    /// What the platform said there is, on the last page.
    pub claimed_last: Option<u64>,
    /// Whether the listing shifted and could not be read steadily.
    pub drifted: bool,
    /// Counts per dataset name.
    pub datasets: std::collections::BTreeMap<String, Counts>,
}

/// Counts of one dataset's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Records in the pages: written, duplicate, rejected, unchanged and later.
    pub read: u64,
    /// Records seen before under the same key, and dropped.
    pub duplicates: u64,
    /// Records set aside.
    pub rejects: u64,
    /// Records that an earlier commit holds just so, and that were not written again.
    #[serde(default)]
    pub unchanged: u64,
    /// Those of the unchanged that it set aside.
    #[serde(default)]
    pub unchanged_rejects: u64,
    /// Records that changed after the end of the window, and are left for the next one.
    #[serde(default)]
    pub later: u64,
    /// Those of the rejects that may fit, and were set aside because they came again changed.
    #[serde(skip)]
    pub changed: u64,
}

impl Counts {
    /// Returns how many different records fitted their columns.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.read.saturating_sub(self.duplicates + self.do_not_fit())
    }

    /// Returns how many different records did not fit.
    pub(crate) fn do_not_fit(&self) -> u64 {
        self.rejects + self.unchanged_rejects
    }

    /// Returns how many records were read and are in no file of records that fit.
    pub(crate) fn left_out(&self) -> u64 {
        self.duplicates + self.rejects + self.unchanged + self.later
    }

    pub(crate) fn add(&mut self, more: &Self) {
        self.read += more.read;
        self.duplicates += more.duplicates;
        self.rejects += more.rejects;
        self.unchanged += more.unchanged;
        self.unchanged_rejects += more.unchanged_rejects;
        self.later += more.later;
        self.changed += more.changed;
    }

    /// Returns whether there were records and no column takes any of them.
    pub(crate) fn fits_nothing(&self) -> bool {
        self.kept() == 0 && self.do_not_fit() > self.changed
    }
}

impl Tally {
    /// Says that an earlier commit holds every record just so.
    pub(crate) fn all_unchanged(&mut self) {
        for counts in self.datasets.values_mut() {
            counts.unchanged_rejects += std::mem::take(&mut counts.rejects);
            counts.unchanged = counts.read - counts.duplicates;
        }
    }

    /// Adds what a later step counted.
    pub fn add(&mut self, later: &Self) {
        self.pages += later.pages;
        self.bytes += later.bytes;
        self.requests += later.requests;
        self.passes += later.passes;
        self.claimed_first = self.claimed_first.or(later.claimed_first);
        self.claimed_last = later.claimed_last.or(self.claimed_last);
        self.drifted |= later.drifted;
        for (name, counts) in &later.datasets {
            self.datasets.entry(name.clone()).or_default().add(counts);
        }
    }
}

/// Says of every record where it comes from: the five columns that come before the dataset's own.
#[derive(Debug, Clone)]
pub struct Provenance {
    values: [String; 4],
    pulled_at: Timestamp,
}

impl Provenance {
    /// Creates the provenance of a partition's records.
    #[must_use]
    pub fn new(partition: &Partition, run_id: &str, pulled_at: Timestamp) -> Self {
        let tenant = &partition.tenant;
        let values =
            [tenant.id.to_string(), tenant.name.clone(), partition.region.to_string(), run_id.to_owned()];
        Self { values, pulled_at }
    }

    /// Returns the names of the five columns, in their order.
    pub const COLUMNS: [&str; 5] = ["organization_id", "organization_name", "region", "pulled_at", "run_id"];

    /// Returns a schema with the five columns before its own.
    #[must_use]
    pub fn schema(own: &Schema) -> SchemaRef {
        let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let mut fields: Vec<Arc<Field>> = Self::COLUMNS
            .iter()
            .map(|name| {
                let kind = if *name == "pulled_at" { time.clone() } else { text.clone() };
                Arc::new(Field::new(*name, kind, false))
            })
            .collect();
        fields.extend(own.fields().iter().cloned());
        Arc::new(Schema::new(fields))
    }

    /// Puts the five columns before a batch's own.
    ///
    /// # Errors
    /// Never, unless the batch contradicts its own schema.
    pub fn add_to(&self, own: &RecordBatch) -> Result<RecordBatch> {
        let rows = own.num_rows();
        let [id, name, region, run_id] = &self.values;
        let time = TimestampMicrosecondArray::from(vec![self.pulled_at.timestamp_micros(); rows])
            .with_timezone("UTC");
        let mut columns: Vec<ArrayRef> = vec![
            constant(id, rows),
            constant(name, rows),
            constant(region, rows),
            Arc::new(time),
            constant(run_id, rows),
        ];
        columns.extend(own.columns().iter().cloned());
        RecordBatch::try_new(Self::schema(&own.schema()), columns)
            .map_err(|error| Error::new(ErrorKind::Bug, "add the provenance columns").with_source(error))
    }
}

/// Returns one text for every row, held once.
fn constant(text: &str, rows: usize) -> ArrayRef {
    let keys = Int32Array::from(vec![0; rows]);
    Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(StringArray::from(vec![text]))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_add_up_and_keep_the_first_and_the_last_claim() {
        let step = |claimed, read| Tally {
            pages: 1,
            claimed_first: Some(claimed),
            claimed_last: Some(claimed),
            datasets: [("users".to_owned(), Counts { read, ..Counts::default() })].into(),
            ..Tally::default()
        };
        let mut sum = step(10, 5);
        sum.add(&step(11, 6));
        sum.add(&Tally::default());
        assert_eq!((sum.pages, sum.claimed_first, sum.claimed_last), (2, Some(10), Some(11)));
        assert_eq!(sum.datasets["users"].read, 11);
    }
}
