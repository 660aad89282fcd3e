//! How fast a lake is read again, and how fast a pull with many commits is found.
//!
//! Run with `cargo bench -p sinks --bench verify`, or `-- <megabytes>` for another size.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::{DateTime, NaiveDate, TimeDelta};
use pipeline::batch::Provenance;
use pipeline::run::RunSummary;
use pipeline::{Commit, DataFile, Dataset, Partition, Sink, Timestamp, Window, testing};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sinks::parquet::{Config, ParquetSink, VerifyOptions, verify};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The rows of a batch, and the random bytes of each as digits.
const ROWS: usize = 2000;
const ROW_BYTES: usize = 1000;

fn main() -> Outcome<()> {
    let megabytes = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(512);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        reading(megabytes).await?;
        beginning(10_000).await
    })
}

/// Reads a lake again whose largest file is as large as all others together.
async fn reading(megabytes: usize) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let mut config = Config::at(folder.path().display().to_string());
    config.target_file_size = "4 GiB".parse()?;
    let sink = ParquetSink::open(&config)?;
    sink.prepare("bench").await?;
    let mut rows = 0;
    for (tenant, share) in
        std::iter::once(("giant".to_owned(), 2)).chain((0..16).map(|n| (format!("small{n}"), 32)))
    {
        let partition = partition(&tenant);
        let mut writer = sink.writer(&partition).await?;
        // A digit of a row is half a byte of chance, and zstd finds that out.
        for seed in 0..(megabytes * 2_000_000 / share / (ROWS * ROW_BYTES)).max(1) {
            writer.write(&partition.datasets[0], records(&partition, seed as u64)?).await?;
        }
        let files = writer.close().await?;
        rows += files.iter().map(|file| file.rows).sum::<u64>();
        commit(&sink, &partition, files).await?;
    }
    sink.record_run(&summary()?).await?;
    for threads in [1, 2] {
        let started = Instant::now();
        let options = VerifyOptions { threads, ..VerifyOptions::default() };
        let report = verify(folder.path(), &options, &|_| {})?;
        let seconds = started.elapsed().as_secs_f64();
        assert!(report.is_good() && report.rows == rows && report.files == 17, "{report:?}");
        let megabytes = report.bytes as f64 / 1e6;
        println!(
            "verify {threads} threads  {megabytes:7.1} MB  {seconds:6.2} s  {:7.1} MB/s",
            megabytes / seconds
        );
    }
    Ok(())
}

/// Finds the checkpoint of a pull with many commits.
async fn beginning(commits: usize) -> Outcome<()> {
    const TIMES: u32 = 1000;
    let folder = tempfile::tempdir()?;
    let sink = ParquetSink::open(&Config::at(folder.path().display().to_string()))?;
    sink.prepare("bench").await?;
    let partition = partition("acme");
    for done in 1..=commits {
        commit(&sink, &partition, Vec::new()).await?;
        if done % 256 == 0 {
            sink.record_run(&summary()?).await?;
        }
    }
    let started = Instant::now();
    for _ in 0..TIMES {
        let standing = sink.standing(&partition.tenant.id, partition.pull()).await?;
        assert_eq!(standing.checkpoint.sequence, commits as u64);
    }
    println!("checkpoint after {commits} commits  {:?}", started.elapsed() / TIMES);
    Ok(())
}

fn at(minute: i64) -> Timestamp {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default() + TimeDelta::minutes(minute)
}

fn partition(tenant: &str) -> Partition {
    let schema = Schema::new(vec![Field::new("id", DataType::Utf8, false)]);
    let dataset = Dataset { schema: Arc::new(schema), ..(*testing::dataset("alerts", "idr")).clone() };
    let tenant = testing::tenant(tenant);
    Partition {
        region: tenant.region.clone().expect("the fixture has a region"),
        tenant: Arc::new(tenant),
        datasets: vec![Arc::new(dataset)],
        window: Some(Window { since: at(0), until: at(1) }),
        date: NaiveDate::from_ymd_opt(2026, 11, 23).expect("a day"),
    }
}

fn records(partition: &Partition, seed: u64) -> Outcome<RecordBatch> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut digits =
        |_| (0..ROW_BYTES / 16).map(|_| format!("{:016x}", random.random::<u64>())).collect::<String>();
    let ids: ArrayRef = Arc::new((0..ROWS).map(|row| Some(digits(row))).collect::<StringArray>());
    let own = RecordBatch::try_new(partition.datasets[0].schema.clone(), vec![ids])?;
    Ok(Provenance::new(partition, "bench", at(0)).add_to(&own)?)
}

async fn commit(sink: &ParquetSink, partition: &Partition, files: Vec<DataFile>) -> Outcome<()> {
    let from = sink.standing(&partition.tenant.id, partition.pull()).await?.checkpoint;
    let rows = files.iter().map(|file| file.rows).sum();
    let receipt = testing::receipt(partition, partition.pull(), rows, at(0));
    let (run_id, partition, receipts) = ("bench".to_owned(), partition.clone(), vec![receipt]);
    Ok(sink
        .commit(Commit {
            run_id,
            partition,
            files,
            from,
            to: from.next(Some(at(1))),
            receipts,
            replays: None,
        })
        .await?)
}

fn summary() -> Outcome<RunSummary> {
    Ok(serde_json::from_value(serde_json::json!({
        "schema_version": 1, "run_id": "bench", "started_at": at(0), "finished_at": at(1),
        "outcome": "complete", "tenants": 1, "receipts": [],
    }))?)
}
