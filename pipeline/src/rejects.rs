//! Records that did not fit their columns, kept as a dataset of their own.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use chrono::{DateTime, NaiveDate};

use crate::batch::{Reject, Within};
use crate::dataset::REJECTS;
use crate::dataset::Scope;
use crate::{
    Checkpoint, DataFile, Dataset, Error, ErrorKind, Partition, ReadMode, Region, Result, Tenant, TenantId,
    Timestamp, Window,
};

/// The set-aside records of one commit that wait for a replay.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Whose they are.
    pub tenant: TenantId,
    /// The tenant's name when they were read.
    pub name: String,
    /// Where they were read.
    pub region: Region,
    /// The pull.
    pub pull: String,
    /// The datasets that were read with them.
    pub datasets: Vec<String>,
    /// The day they are filed under.
    pub date: NaiveDate,
    /// The span of time that was read.
    pub window: Option<Window>,
    /// The sequence of the commit that holds them.
    pub sequence: u64,
    /// The sequence of the commit whose reading brought them: the same, unless a replay left them over.
    pub reading: u64,
    /// Where the pull stands: who commits from elsewhere cannot know that they still wait.
    pub from: Checkpoint,
    /// The files that hold them.
    pub files: Vec<DataFile>,
    /// How many they are, by dataset.
    pub records: BTreeMap<String, u64>,
}

impl Waiting {
    /// Returns the partition that they belong to; nothing where a dataset is not known any more.
    pub(crate) fn partition(&self, known: &[Arc<Dataset>]) -> Option<Partition> {
        let of_pull = |dataset: &&Arc<Dataset>| {
            dataset.pull == self.pull && self.datasets.iter().any(|name| name == dataset.name)
        };
        let datasets: Vec<_> = known.iter().filter(of_pull).cloned().collect();
        let is_known = |name: &String| datasets.iter().any(|dataset| dataset.name == name);
        if datasets.is_empty() || !self.records.keys().all(is_known) {
            return None;
        }
        let (id, name, region) = (self.tenant.clone(), self.name.clone(), self.region.clone());
        let tenant = Arc::new(Tenant { id, name, region: Some(region.clone()), external_id: None });
        Some(Partition { tenant, region, datasets, window: self.window, date: self.date })
    }
}

/// All that waits for a replay, as far as it can be told.
#[derive(Debug, Default)]
pub struct Backlog {
    /// Commits whose set-aside records no replay took up, the oldest of a tenant's pull first.
    pub waiting: Vec<Waiting>,
    /// Pulls whose commits cannot be read.
    pub unreadable: Vec<Unreadable>,
}

/// A tenant's pull of which nobody can tell how far it is, or what waits.
#[derive(Debug)]
pub struct Unreadable {
    /// The tenant.
    pub tenant: TenantId,
    /// The pull.
    pub pull: String,
    /// Why.
    pub error: Error,
}

/// Which set-aside records are meant.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Those of these tenants; of all where there are none.
    pub tenants: HashSet<TenantId>,
    /// Those of these datasets; of all where there are none.
    pub datasets: Vec<String>,
}

impl Choice {
    /// Returns whether some of a commit's records are meant.
    #[must_use]
    pub fn takes_of(&self, waiting: &Waiting) -> bool {
        self.takes_tenant(&waiting.tenant) && waiting.records.keys().any(|dataset| self.takes(dataset))
    }

    /// Returns whether records of a pull may be meant that fills some of these datasets.
    #[must_use]
    pub fn takes_pull(&self, tenant: &TenantId, pull: &str, known: &[Arc<Dataset>]) -> bool {
        let of_pull = |dataset: &&Arc<Dataset>| dataset.pull == pull;
        let takes = self.takes(pull) || known.iter().filter(of_pull).any(|dataset| self.takes(dataset.name));
        self.takes_tenant(tenant) && takes
    }

    fn takes_tenant(&self, tenant: &TenantId) -> bool {
        self.tenants.is_empty() || self.tenants.contains(tenant)
    }

    /// Returns whether the records of a dataset are meant.
    #[must_use]
    pub fn takes(&self, dataset: &str) -> bool {
        self.datasets.is_empty() || self.datasets.iter().any(|name| name == dataset)
    }
}

/// A set-aside record as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The dataset it would have belonged to; one that this program may not know.
    pub dataset: String,
    /// The column whose value did not fit.
    pub column: String,
    /// Why.
    pub reason: String,
    /// The record as the platform sent it.
    pub raw: String,
    /// Where it stood, if that was inside another record.
    pub within: Option<Within>,
    /// When its reading began.
    pub pulled_at: Timestamp,
    /// The run that read it.
    pub run_id: String,
}

/// Returns set-aside records from the columns of the dataset that keeps them.
///
/// # Errors
/// Where the columns are not those.
pub fn kept(columns: &RecordBatch) -> Result<Vec<Kept>> {
    let text = |name| column(columns, name, &DataType::Utf8);
    let [datasets, names, reasons, raws] = [text("dataset")?, text("column")?, text("reason")?, text("raw")?];
    let (within, run_ids) = (text("within").ok(), text("run_id")?);
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let pulled_at = column(columns, "pulled_at", &time)?;
    let value = |array: &ArrayRef, row| texts(array).value(row).to_owned();
    let place = |row| {
        let array = within.as_ref().filter(|array| array.is_valid(row))?;
        serde_json::from_str(texts(array).value(row)).ok()
    };
    let instant = |row| {
        let times = pulled_at.as_any().downcast_ref::<TimestampMicrosecondArray>().expect("it was cast");
        DateTime::from_timestamp_micros(times.value(row)).unwrap_or_default()
    };
    let kept = |row| Kept {
        dataset: value(&datasets, row),
        column: value(&names, row),
        reason: value(&reasons, row),
        raw: value(&raws, row),
        within: place(row),
        pulled_at: instant(row),
        run_id: value(&run_ids, row),
    };
    Ok((0..columns.num_rows()).map(kept).collect())
}

fn texts(array: &ArrayRef) -> &StringArray {
    array.as_any().downcast_ref().expect("it was cast")
}

fn column(columns: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef> {
    let unfit =
        |why: String| Error::new(ErrorKind::Sink, format!("read the column {name} of rejects: {why}"));
    let array = columns.column_by_name(name).ok_or_else(|| unfit("there is none".to_owned()))?;
    cast(array, kind).map_err(|error| unfit(error.to_string()))
}

/// Returns rejects as records of the dataset that keeps them.
///
/// # Errors
/// Never, unless the columns contradict the schema beside them.
pub fn records(rejects: &[Reject]) -> Result<(Dataset, RecordBatch)> {
    let dataset = dataset();
    let text = |get: fn(&Reject) -> &str| -> ArrayRef {
        Arc::new(rejects.iter().map(|reject| Some(get(reject))).collect::<StringArray>())
    };
    let columns = vec![
        text(|reject| reject.dataset),
        text(|reject| &reject.column),
        text(|reject| &reject.reason),
        text(|reject| &reject.raw),
        Arc::new(rejects.iter().map(|reject| reject.within.as_ref().map(in_words)).collect::<StringArray>()),
    ];
    let records = RecordBatch::try_new(dataset.schema.clone(), columns)
        .map_err(|error| Error::new(ErrorKind::Bug, "lay out the rejects").with_source(error))?;
    Ok((dataset, records))
}

fn in_words(within: &Within) -> String {
    serde_json::to_string(within).expect("two texts are plain data")
}

/// Returns the dataset that keeps rejects.
#[must_use]
pub fn dataset() -> Dataset {
    let mut fields = ["dataset", "column", "reason", "raw"].map(|name| (name, false)).to_vec();
    fields.push(("within", true));
    let field = |(name, nullable)| Field::new(name, DataType::Utf8, nullable);
    Dataset {
        name: REJECTS,
        summary: "records that did not fit their columns, with the reason and the raw text",
        scope: Scope::Tenant,
        pull: REJECTS,
        endpoint: "",
        family: "",
        schema: Arc::new(Schema::new(fields.into_iter().map(field).collect::<Vec<_>>())),
        key: &[],
        cursor: None,
        ordered_by: None,
        by_change: false,
        mode: ReadMode::Snapshot,
        page_size: 0,
    }
}
