//! Small nouns for tests.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::DateTime;

use crate::batch::{Counts, Records};
use crate::dataset::Scope;
use crate::{Batch, Dataset, Job, Partition, ReadMode, Reading, Receipt, Tally, Tenant, Timestamp, Verdict};

/// Returns a tenant in `eu`.
///
/// # Panics
/// Where the text is no tenant id.
#[must_use]
pub fn tenant(id: &str) -> Tenant {
    Tenant {
        id: id.parse().expect("a tenant id"),
        name: format!("Tenant {id}"),
        region: Some("eu".parse().expect("a region")),
        external_id: None,
    }
}

/// Returns a snapshot dataset with one column, `id`.
#[must_use]
pub fn dataset(name: &'static str, family: &'static str) -> Arc<Dataset> {
    Arc::new(Dataset {
        name,
        summary: "numbers",
        scope: Scope::Tenant,
        pull: name,
        endpoint: "GET /numbers",
        family,
        schema: Arc::new(Schema::new(vec![Field::new("id", DataType::Utf8, false)])),
        key: &["id"],
        cursor: None,
        ordered_by: None,
        by_change: false,
        mode: ReadMode::Snapshot,
        page_size: 100,
    })
}

/// Returns the job of a tenant for one dataset.
///
/// # Panics
/// Where the text is no tenant id.
#[must_use]
pub fn job(id: &str, dataset: &Arc<Dataset>) -> Job {
    let tenant = tenant(id);
    let region = tenant.region.clone().expect("the fixture has a region");
    Job {
        tenant: Arc::new(tenant),
        region,
        datasets: vec![dataset.clone()],
        reading: Reading::from(DateTime::UNIX_EPOCH),
    }
}

/// Returns a page of records with the given ids.
///
/// # Panics
/// Where the dataset has other columns than `id`.
#[must_use]
pub fn batch(dataset: &Arc<Dataset>, ids: &[&str]) -> Batch {
    let column = Arc::new(StringArray::from(ids.to_vec()));
    let columns = RecordBatch::try_new(dataset.schema.clone(), vec![column]).expect("one column of text");
    let counts = Counts { read: ids.len() as u64, ..Counts::default() };
    let tally = Tally {
        pages: 1,
        requests: 1,
        datasets: [(dataset.name.to_owned(), counts)].into(),
        ..Tally::default()
    };
    Batch { records: vec![Records { dataset: dataset.clone(), columns }], tally, ..Batch::default() }
}

/// Returns the receipt of a reading that brought so many records, all of them new, and was committed.
#[must_use]
pub fn receipt(partition: &Partition, dataset: &str, rows: u64, at: Timestamp) -> Receipt {
    Receipt {
        verdict: Verdict::Complete,
        committed: true,
        window: partition.window,
        claimed_first: Some(rows),
        claimed_last: Some(rows),
        pages: 1,
        bytes: 1000,
        requests: 1,
        passes: 1,
        counts: Counts { read: rows, ..Counts::default() },
        rows_written: rows,
        key_fingerprint: "f52fbd32b2b3".to_owned(),
        version: "0.1.0".to_owned(),
        ..Receipt::of_nothing(&partition.tenant, partition.region.clone(), dataset, at)
    }
}
