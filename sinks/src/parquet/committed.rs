//! Reads committed records back, for a partition that may bring them again.

use std::io;
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use pipeline::batch::Records;
use pipeline::dataset::REJECTS;
use pipeline::rejects::Waiting;
use pipeline::{DataFile, Dataset, Error, Partition, Result, rejects};
use sha2::{Digest, Sha256};

use super::history;
use super::layout::Layout;
use super::record::Record;
use super::rolling::hex;
use super::store::{damaged, failed};

/// Rejects that are read at once: an asset's text holds all its findings and may be large.
const AT_ONCE: usize = 64;

/// Hands the records of every overlapping commit to `take`, the oldest commit first, until it wants no more.
pub(super) fn read(
    layout: &Layout,
    partition: &Partition,
    take: &mut dyn FnMut(Records) -> bool,
) -> Result<()> {
    read_of(history::overlapping(layout, partition)?, layout, partition, take)
}

/// Hands the records of the reading that set records aside to `take`, until it wants no more.
pub(super) fn read_beside(
    layout: &Layout,
    waiting: &Waiting,
    partition: &Partition,
    take: &mut dyn FnMut(Records) -> bool,
) -> Result<()> {
    read_of(history::beside(layout, waiting)?, layout, partition, take)
}

/// Hands records that wait to `take`, with their provenance, until it wants no more; they are what was committed.
pub(super) fn read_rejects(
    layout: &Layout,
    waiting: &Waiting,
    take: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<()> {
    for file in &waiting.files {
        let path = layout.file(&file.path);
        let unread = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => unreadable(layout, file, "it is not there"),
            io::ErrorKind::PermissionDenied => unreadable(layout, file, error),
            _ => failed("read a committed file back", &path, error),
        };
        let mut hash = Sha256::new();
        let mut opened = fs_err::File::open(&path).map_err(unread)?;
        io::copy(&mut opened, &mut hash).map_err(unread)?;
        if hex(&hash.finalize()) != file.sha256 {
            return Err(unreadable(layout, file, "its bytes are not those that were committed"));
        }
        let opened = fs_err::File::open(&path).map_err(unread)?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(opened.into_file())
            .and_then(|builder| builder.with_batch_size(AT_ONCE).build());
        for columns in reader.map_err(|error| unreadable(layout, file, error))? {
            if !take(columns.map_err(|error| unreadable(layout, file, error))?) {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn read_of(
    records: Vec<Record>,
    layout: &Layout,
    partition: &Partition,
    take: &mut dyn FnMut(Records) -> bool,
) -> Result<()> {
    let mut datasets = partition.datasets.clone();
    datasets.push(Arc::new(rejects::dataset()));
    for record in records {
        for file in &record.files {
            let dataset = datasets.iter().find(|dataset| dataset.name == file.dataset);
            let Some(dataset) = dataset.filter(|dataset| is_compared(dataset, &record, partition)) else {
                continue;
            };
            for columns in open(layout, file, dataset)? {
                let columns = columns.and_then(|columns| own(&columns, dataset));
                let columns = columns.map_err(|error| unreadable(layout, file, error))?;
                if !take(Records { dataset: dataset.clone(), columns }) {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// Returns whether a partition may bring records of this dataset just as a commit has them.
///
/// What stands inside a listing's records says how it changed since the window began: in a full snapshot, where
/// nothing changed, no record of a window stands just so.
fn is_compared(dataset: &Dataset, record: &Record, partition: &Partition) -> bool {
    let full_for_window = record.window.is_none() && partition.window.is_some();
    !full_for_window || dataset.name == dataset.pull || dataset.name == REJECTS
}

fn open(layout: &Layout, file: &DataFile, dataset: &Dataset) -> Result<ParquetRecordBatchReader> {
    let path = layout.file(&file.path);
    let opened = fs_err::File::open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => unreadable(layout, file, error),
        _ => failed("read a committed file back", &path, error),
    })?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(opened.into_file())
        .map_err(|error| unreadable(layout, file, error))?;
    let names = dataset.schema.fields().iter().map(|field| field.name().as_str());
    let columns = ProjectionMask::columns(builder.parquet_schema(), names);
    builder.with_projection(columns).build().map_err(|error| unreadable(layout, file, error))
}

/// Returns the dataset's own columns in their order; one that the file does not have yet is empty.
fn own(columns: &RecordBatch, dataset: &Dataset) -> Result<RecordBatch, ArrowError> {
    let rows = columns.num_rows();
    let named = dataset.schema.fields().iter().map(|field| {
        let found = columns.column_by_name(field.name()).cloned();
        let array = found.unwrap_or_else(|| new_null_array(field.data_type(), rows));
        (field.name().clone(), array, true)
    });
    RecordBatch::try_from_iter_with_nullable(named.collect::<Vec<_>>())
}

fn unreadable(
    layout: &Layout,
    file: &DataFile,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    damaged("read a committed file back", layout.file(&file.path), cause)
}
