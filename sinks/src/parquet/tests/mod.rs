//! What the lake promises, tried on real files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use chrono::{DateTime, NaiveDate};
use pipeline::batch::Provenance;
use pipeline::dataset::REJECTS;
use pipeline::run::RunSummary;
use pipeline::{Checkpoint, Commit, Dataset, Partition, Receipt, Result, Sink, Timestamp, Window, testing};
use tempfile::TempDir;

use super::compact::Sizes;
use super::store::{Disk, Files};
use super::{Config, ParquetSink, VerifyOptions, VerifyReport, verify};

mod bounds;
mod chain;
mod compaction;
mod contract;
mod crash;
mod format;
mod garbage;
mod replays;
mod tampering;

/// A lake in a folder that is gone when the test ends.
struct TestLake {
    folder: TempDir,
    config: Config,
}

impl TestLake {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = Config::at(folder.path().join("lake").display().to_string());
        Self { folder, config }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn sink(&self) -> ParquetSink {
        self.sink_with(Arc::new(Disk))
    }

    fn sink_with(&self, files: Arc<dyn Files>) -> ParquetSink {
        ParquetSink::with_files(&self.config, files).expect("the settings fit")
    }

    async fn prepared(&self, run_id: &str) -> ParquetSink {
        let sink = self.sink();
        sink.prepare(run_id).await.expect("the lake is writable");
        sink
    }

    fn verify(&self) -> VerifyReport {
        self.verify_with(&VerifyOptions { threads: 2, ..VerifyOptions::default() })
    }

    fn verify_with(&self, options: &VerifyOptions) -> VerifyReport {
        verify(&self.root(), options, &|_| {}).expect("the lake can be listed")
    }

    /// The data files that a reader's glob would find, by path below the root.
    fn visible(&self) -> BTreeSet<String> {
        self.below(|path| !path.starts_with("_tenantry"))
    }

    /// What is left of runs: intents, locks and files being written.
    fn of_runs(&self) -> BTreeSet<String> {
        self.below(|path| path.starts_with("_tenantry/tmp/") || path.starts_with("_tenantry/pending/"))
    }

    fn below(&self, keep: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let root = self.root();
        let path = |file: PathBuf| file.strip_prefix(&root).expect("is below").display().to_string();
        files_below(&root).into_iter().map(path).filter(|path| keep(path)).collect()
    }
}

/// Leaves what a run leaves that died while it committed: the intent, which is like a record that is there already.
fn leave_intent(lake: &TestLake, run_id: &str, commit: &str, sequence: u64, moved: &Path) {
    let path = moved.strip_prefix(lake.root()).expect("is below").display().to_string();
    let text =
        fs_err::read(lake.root().join("_tenantry/commits/acme/alerts/0000000001.json")).expect("reads");
    let mut record = super::record::Sealed::parse(&text).expect("is a record").record;
    record.commit = commit.to_owned();
    record.run_id = run_id.to_owned();
    (record.from.sequence, record.to.sequence) = (sequence - 1, sequence);
    record.files.truncate(1);
    record.files[0].path = path;
    let pending = lake.root().join("_tenantry/pending").join(run_id);
    fs_err::create_dir_all(&pending).expect("creates");
    fs_err::write(pending.join(format!("{commit}.json")), record.seal()).expect("writes");
}

/// Sizes that a few commits reach.
const SMALL: Sizes = Sizes { kept: 3, rolled: 5, segments: 64 };

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

fn at(minute: i64) -> Timestamp {
    DateTime::from_timestamp(1_800_000_000 + 60 * minute, 0).expect("an instant")
}

/// A dataset with a key, a number, a time and the column for what is unknown.
fn dataset(name: &'static str) -> Dataset {
    let schema = Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("risk", DataType::Int64, true),
        Field::new("created_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("extra", DataType::Utf8, true),
    ]);
    Dataset { pull: "alerts", schema: Arc::new(schema), ..(*testing::dataset(name, "idr")).clone() }
}

fn partition(tenant: &str, datasets: &[&'static str]) -> Partition {
    let tenant = testing::tenant(tenant);
    Partition {
        region: tenant.region.clone().expect("the fixture has a region"),
        tenant: Arc::new(tenant),
        datasets: datasets.iter().map(|name| Arc::new(dataset(name))).collect(),
        window: Some(Window { since: at(0), until: at(1) }),
        date: NaiveDate::from_ymd_opt(2026, 11, 23).expect("a day"),
    }
}

/// Records whose keys and texts are hard to compress.
fn records(partition: &Partition, dataset: &Dataset, rows: usize, seed: u64) -> RecordBatch {
    let text = |row: usize, salt: u64| {
        let mut state = (seed << 32) ^ row as u64 ^ (salt << 20);
        (0..6).fold(String::new(), |text, _| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            format!("{text}{:08x}", state >> 32)
        })
    };
    let times = (0..rows).map(|row| at(row as i64).timestamp_micros()).collect::<Vec<_>>();
    let columns: Vec<ArrayRef> = vec![
        Arc::new((0..rows).map(|row| Some(text(row, 1))).collect::<StringArray>()),
        Arc::new((0..rows).map(|row| (row % 7 != 0).then_some(row as i64)).collect::<Int64Array>()),
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        Arc::new((0..rows).map(|row| (row % 3 == 0).then(|| text(row, 2))).collect::<StringArray>()),
    ];
    let own = RecordBatch::try_new(dataset.schema.clone(), columns).expect("fits the schema");
    Provenance::new(partition, "run", at(0)).add_to(&own).expect("fits the schema")
}

/// Writes and closes a partition's files, and returns the commit that would make them visible.
async fn written(
    sink: &dyn Sink,
    run_id: &str,
    partition: &Partition,
    from: Checkpoint,
    rows: usize,
) -> Result<Commit> {
    let mut writer = sink.writer(partition).await?;
    for dataset in &partition.datasets {
        for seed in 0..2 {
            writer.write(dataset, records(partition, dataset, rows, seed)).await?;
        }
    }
    let files = writer.close().await?;
    let through = from.through.unwrap_or(at(0)) + chrono::TimeDelta::minutes(1);
    let receipts =
        partition.datasets.iter().map(|dataset| receipt(partition, dataset.name, 2 * rows as u64)).collect();
    Ok(Commit {
        run_id: run_id.to_owned(),
        partition: partition.clone(),
        files,
        from,
        to: from.next(Some(through)),
        receipts,
        replays: None,
    })
}

fn receipt(partition: &Partition, dataset: &str, rows: u64) -> Receipt {
    assert_ne!(dataset, REJECTS);
    testing::receipt(partition, dataset, rows, at(0))
}

/// What a run came to, of whose receipts nothing is asked.
fn summary(run_id: &str) -> RunSummary {
    let summary = serde_json::json!({
        "schema_version": 1, "run_id": run_id, "started_at": at(0), "finished_at": at(1),
        "outcome": "complete", "tenants": 2, "receipts": [],
    });
    serde_json::from_value(summary).expect("a summary")
}

/// Commits a partition without files, which is quick.
async fn commit_empty(sink: &dyn Sink, run_id: &str, partition: &Partition) -> Result<Commit> {
    let from = sink.standing(&partition.tenant.id, partition.pull()).await?.checkpoint;
    let commit = Commit {
        run_id: run_id.to_owned(),
        partition: partition.clone(),
        files: Vec::new(),
        from,
        to: from.next(Some(from.through.unwrap_or(at(0)) + chrono::TimeDelta::minutes(1))),
        receipts: partition.datasets.iter().map(|dataset| receipt(partition, dataset.name, 0)).collect(),
        replays: None,
    };
    sink.commit(commit.clone()).await?;
    Ok(commit)
}

/// Commits a partition from where its pull stands.
async fn commit_next(sink: &dyn Sink, run_id: &str, partition: &Partition, rows: usize) -> Result<Commit> {
    let from = sink.standing(&partition.tenant.id, partition.pull()).await?.checkpoint;
    let commit = written(sink, run_id, partition, from, rows).await?;
    sink.commit(commit.clone()).await?;
    Ok(commit)
}

/// Returns the last receipts of everything committed.
async fn receipts(sink: &dyn Sink) -> Vec<Receipt> {
    let standings = sink.standings().await.expect("reads");
    standings.known.into_values().flat_map(|standing| standing.receipts).collect()
}
