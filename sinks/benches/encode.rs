//! How fast records become durable: encoding on one core, commits of small partitions, verification.
//!
//! Run with `cargo bench -p sinks`, or `cargo bench -p sinks -- <compression level>`.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, NaiveDate};
use pipeline::batch::Provenance;
use pipeline::{Checkpoint, Commit, Partition, Sink, Timestamp, testing};
use sinks::parquet::{Config, ParquetSink, VerifyOptions, verify};

#[path = "encode/shapes.rs"]
mod shapes;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let level = std::env::args().skip(1).find_map(|argument| argument.parse::<i64>().ok());
    // One thread that encodes, so that the numbers are those of one core.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        for shape in shapes::all() {
            encode(&shape, level).await?;
        }
        commits(10_000).await
    })
}

fn open(folder: &tempfile::TempDir, level: Option<i64>) -> Outcome<ParquetSink> {
    let mut config = Config::at(folder.path().display().to_string());
    if let Some(level) = level {
        config.compression = level.try_into()?;
    }
    Ok(ParquetSink::open(&config)?)
}

/// Writes one tenant's records and tells the rate, in bytes as they lie in memory.
async fn encode(shape: &shapes::Shape, level: Option<i64>) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let sink = open(&folder, level)?;
    sink.prepare("bench").await?;
    let partition = partition("acme", shape);
    let provenance = Provenance::new(&partition, "bench", now());
    let mut batches = Vec::new();
    for page in 0..shape.pages {
        batches.push(provenance.add_to(&(shape.records)(page))?);
    }
    let rows: usize = batches.iter().map(arrow::array::RecordBatch::num_rows).sum();
    let bytes: usize = batches.iter().map(arrow::array::RecordBatch::get_array_memory_size).sum();
    let started = Instant::now();
    let mut writer = sink.writer(&partition).await?;
    for batch in batches {
        writer.write(&shape.dataset, batch).await?;
    }
    let files = writer.close().await?;
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), rows as u64);
    let written: u64 = files.iter().map(|file| file.bytes).sum();
    println!(
        "encode {:9} {rows:7} rows  {:6.1} MB in memory  {:5.2} s  {:6.1} MB/s  {:8.0} rows/s  {:5.1} MB written ({:.1} x)",
        shape.dataset.name,
        bytes as f64 / 1e6,
        seconds,
        bytes as f64 / 1e6 / seconds,
        rows as f64 / seconds,
        written as f64 / 1e6,
        bytes as f64 / written as f64,
    );
    commit(&sink, &partition, Checkpoint::default(), files).await?;
    check(&folder, rows as u64)
}

/// Commits many partitions of few rows, as many tenants at once as a run has open.
async fn commits(tenants: usize) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let sink = Arc::new(open(&folder, None)?);
    sink.prepare("bench").await?;
    let shape = Arc::new(shapes::alerts());
    for open in [1, 16, 64] {
        let count = if open == 1 { tenants / 50 } else { tenants };
        let started = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..count {
            if tasks.len() >= open {
                tasks.join_next().await.expect("one is open")??;
            }
            let (sink, shape) = (sink.clone(), shape.clone());
            tasks.spawn(async move {
                small(&sink, &shape, &format!("tenant-{open}-{number}"))
                    .await
                    .map_err(|error| error.to_string())
            });
        }
        for done in tasks.join_all().await {
            done?;
        }
        println!(
            "commit {count} small partitions, {open:2} at once: {:6.0} a second",
            count as f64 / started.elapsed().as_secs_f64()
        );
    }
    let started = Instant::now();
    let receipts: usize =
        sink.standings().await?.known.values().map(|standing| standing.receipts.len()).sum();
    println!("receipts of {receipts} tenants: {:?}", started.elapsed());
    let started = Instant::now();
    let next = open_again(&folder).await?;
    println!("prepare beside {receipts} tenants: {:?}", started.elapsed());
    drop(next);
    check(&folder, 5 * receipts as u64)
}

async fn open_again(folder: &tempfile::TempDir) -> Outcome<ParquetSink> {
    let sink = open(folder, None)?;
    sink.prepare("again").await?;
    Ok(sink)
}

async fn small(sink: &ParquetSink, shape: &shapes::Shape, tenant: &str) -> pipeline::Result<()> {
    let partition = partition(tenant, shape);
    let from = sink.standing(&partition.tenant.id, partition.pull()).await?.checkpoint;
    let mut writer = sink.writer(&partition).await?;
    let records = (shape.records)(0).slice(0, 5);
    writer.write(&shape.dataset, Provenance::new(&partition, "bench", now()).add_to(&records)?).await?;
    let files = writer.close().await?;
    commit(sink, &partition, from, files).await
}

async fn commit(
    sink: &ParquetSink,
    partition: &Partition,
    from: Checkpoint,
    files: Vec<pipeline::DataFile>,
) -> pipeline::Result<()> {
    let rows = files.iter().map(|file| file.rows).sum();
    let receipts = vec![testing::receipt(partition, partition.pull(), rows, now())];
    let commit = Commit {
        run_id: "bench".to_owned(),
        partition: partition.clone(),
        files,
        from,
        to: from.next(Some(now())),
        receipts,
        replays: None,
    };
    sink.commit(commit).await
}

fn check(folder: &tempfile::TempDir, rows: u64) -> Outcome<()> {
    let started = Instant::now();
    let report = verify(folder.path(), &VerifyOptions { threads: 2, ..VerifyOptions::default() }, &|_| {})?;
    let seconds = started.elapsed().as_secs_f64();
    assert!(report.is_good() && report.rows == rows, "{report:?}");
    println!(
        "verify {} files, {:.1} MB on 2 threads: {:.0} MB/s, {:.0} files a second",
        report.files,
        report.bytes as f64 / 1e6,
        report.bytes as f64 / 1e6 / seconds,
        report.files as f64 / seconds,
    );
    Ok(())
}

fn now() -> Timestamp {
    DateTime::from_timestamp(1_800_000_000, 0).expect("an instant")
}

fn partition(tenant: &str, shape: &shapes::Shape) -> Partition {
    let tenant = testing::tenant(tenant);
    Partition {
        region: tenant.region.clone().expect("the fixture has a region"),
        tenant: Arc::new(tenant),
        datasets: vec![shape.dataset.clone()],
        window: None,
        date: NaiveDate::from_ymd_opt(2026, 11, 23).expect("a day"),
    }
}
