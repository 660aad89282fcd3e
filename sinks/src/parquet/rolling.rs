//! Encodes one dataset's records of a partition into files, each closed when it is large enough.
//!
//! All of this but the taking in of records blocks, and runs off the async threads.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriterOptions, compute_leaves,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::writer::SerializedFileWriter;
use pipeline::{DataFile, Dataset, Error, ErrorKind, Partition, Result};
use sha2::{Digest, Sha256};

use super::config::Config;
use super::layout;
use super::memory::{Memory, Share};
use super::pending::Pending;
use super::properties::{self, Known, properties};
use super::store::{NewFile, Store, failed};

/// What is encoded at one go, column by column: an encoder that goes through more than a page is used while its
/// dictionary and its buffers are in the processor's caches.
const PIECE: usize = 4 << 20;

/// What all files of one partition share.
pub(super) struct Target {
    pub(super) store: Store,
    pub(super) memory: Arc<Memory>,
    pub(super) config: Config,
    pub(super) partition: Partition,
    pub(super) run_id: String,
    pub(super) commit: String,
    /// The run's folder for files nobody committed.
    pub(super) temporary: PathBuf,
}

/// The files of one dataset: closed ones, the one being written, and the records that wait for it.
pub(super) struct Rolling {
    target: Arc<Target>,
    dataset: Dataset,
    pending: Pending,
    share: Share,
    open: Option<OpenFile>,
    closed: Vec<DataFile>,
    order: Order,
}

impl Rolling {
    pub(super) fn new(target: Arc<Target>, dataset: Dataset) -> Self {
        let order = dataset.ordered_by.map_or(Order::None, |column| Order::Holds { column, last: None });
        let share = target.memory.share();
        Self { target, dataset, pending: Pending::default(), share, open: None, closed: Vec::new(), order }
    }

    /// Takes records in, without touching a file.
    pub(super) fn push(&mut self, records: RecordBatch) {
        self.order.follow(&records);
        self.pending.push(records);
        self.share.hold(self.pending.held());
    }

    /// Returns whether so much waits that [`Self::work_off`] has to be called before more is taken in.
    pub(super) fn is_due(&self) -> bool {
        self.fills_a_row_group() || self.share.is_too_large()
    }

    fn fills_a_row_group(&self) -> bool {
        self.pending.bytes() >= self.target.config.row_group_size.as_usize()
    }

    /// Encodes what waits where it fills a row group, and sets it aside where it holds too much memory.
    ///
    /// `number` gives each new file of the partition a number of its own.
    pub(super) fn work_off(&mut self, number: &mut u32) -> Result<()> {
        if self.fills_a_row_group() {
            return self.encode(number);
        }
        if self.share.is_too_large() {
            let target = &self.target;
            let name = layout::spill_name(&target.commit, self.dataset.name);
            self.pending.spill(&target.store, || target.temporary.join(name))?;
            self.share.hold(0);
        }
        Ok(())
    }

    /// Encodes all that waits; closes the file where it is large enough.
    pub(super) fn encode(&mut self, number: &mut u32) -> Result<()> {
        let Some(schema) = self.pending.schema() else { return Ok(()) };
        let sorted_by = self.order.sorted_by(&schema);
        if self.open.as_ref().is_some_and(|file| file.sorted_by != sorted_by) {
            // What a file says of its order is true to its end: what breaks the order goes into the next one.
            self.finish()?;
        }
        // What fills no row group is the last: there will be nothing else in the file.
        let are_all = !self.fills_a_row_group() && !self.pending.is_spilled();
        let row_group = self.target.config.row_group_size.as_usize();
        let (target, dataset) = (&self.target, &self.dataset);
        let mut open = self.open.take();
        let mut encode = |piece: Piece, is_last: bool| {
            let file = match &mut open {
                Some(file) => file,
                none => {
                    *number += 1;
                    let known = Known { records: &piece.records, are_all: are_all && is_last };
                    none.insert(OpenFile::create(
                        target,
                        dataset,
                        schema.clone(),
                        *number,
                        sorted_by,
                        &known,
                    )?)
                }
            };
            let ends_row_group = is_last || file.in_row_group + piece.bytes >= row_group;
            file.write(&piece, ends_row_group)
        };
        let mut piece = Piece::default();
        self.pending.drain(|records, bytes| {
            for (records, bytes) in slices(records, bytes, PIECE.min(row_group)) {
                if !piece.records.is_empty() && piece.bytes + bytes > PIECE.min(row_group) {
                    encode(std::mem::take(&mut piece), false)?;
                }
                piece.push(records, bytes);
            }
            Ok(())
        })?;
        if !piece.records.is_empty() {
            encode(piece, true)?;
        }
        self.share.hold(0);
        let Some(file) = open else { return Ok(()) };
        if file.size() >= self.target.config.target_file_size.bytes() {
            self.closed.push(file.close(&self.target, &self.dataset)?);
        } else {
            self.open = Some(file);
        }
        Ok(())
    }

    /// Closes the file being written.
    pub(super) fn finish(&mut self) -> Result<()> {
        if let Some(file) = self.open.take() {
            self.closed.push(file.close(&self.target, &self.dataset)?);
        }
        Ok(())
    }

    /// Hands the closed files over: from now on they are kept until the run ends.
    pub(super) fn take(&mut self) -> Vec<DataFile> {
        std::mem::take(&mut self.closed)
    }
}

/// Whether the rows came in the order of one column, as the listing was asked for.
enum Order {
    /// No, or no longer.
    None,
    /// So far.
    Holds {
        column: &'static str,
        /// The value of the last row.
        last: Option<String>,
    },
}

impl Order {
    /// Looks at more rows.
    fn follow(&mut self, rows: &RecordBatch) {
        let Self::Holds { column, last } = self else { return };
        match rows.column_by_name(column).and_then(|values| last_in_order(values, last.as_deref())) {
            Some(value) => *last = Some(value),
            None => *self = Self::None,
        }
    }

    /// Returns which column orders the rows: its number among the columns of the file.
    fn sorted_by(&self, schema: &Schema) -> Option<usize> {
        let Self::Holds { column, .. } = self else { return None };
        let at = schema.index_of(column).ok()?;
        // A nested column is several in the file.
        schema.fields()[..at].iter().all(|field| !field.data_type().is_nested()).then_some(at)
    }
}

/// Returns the last of some texts where they rise byte by byte, from `before` on; nothing where they do not.
fn last_in_order(values: &dyn Array, before: Option<&str>) -> Option<String> {
    if values.null_count() > 0 || *values.data_type() != DataType::Utf8 {
        return None;
    }
    let values = values.as_string::<i32>();
    let mut last = before.unwrap_or_default();
    for value in values.iter().flatten() {
        if value < last {
            return None;
        }
        last = value;
    }
    Some(last.to_owned())
}

impl Drop for Rolling {
    /// Removes what was closed and will never be committed.
    fn drop(&mut self) {
        for file in &self.closed {
            let name = file.path.rsplit('/').next().unwrap_or_default();
            self.target.store.remove_file(&self.target.temporary.join(name)).ok();
        }
    }
}

/// Records that are encoded at one go.
#[derive(Default)]
struct Piece {
    records: Vec<RecordBatch>,
    /// What they take in memory.
    bytes: usize,
}

impl Piece {
    fn push(&mut self, records: RecordBatch, bytes: usize) {
        self.records.push(records);
        self.bytes += bytes;
    }
}

/// Cuts records of so many bytes into parts that take no more than `most`, or one row each.
fn slices(records: &RecordBatch, bytes: usize, most: usize) -> impl Iterator<Item = (RecordBatch, usize)> {
    let rows = records.num_rows();
    let step = (rows * most / bytes.max(1)).clamp(1, rows.max(1));
    (0..rows).step_by(step).map(move |start| {
        let slice = records.slice(start, step.min(rows - start));
        let bytes = bytes * slice.num_rows() / rows;
        (slice, bytes)
    })
}

/// A file being written; removed when it is dropped before it is closed.
struct OpenFile {
    writer: SerializedFileWriter<HashedFile>,
    encoders: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    /// The encoders of the row group that was begun, one for each column.
    row_group: Vec<ArrowColumnWriter>,
    /// The bytes that the row group's records took in memory.
    in_row_group: usize,
    number: u32,
    rows: u64,
    sorted_by: Option<usize>,
    guard: Guard,
}

struct Guard {
    path: PathBuf,
    store: Store,
    keep: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.keep {
            self.store.remove_file(&self.path).ok();
        }
    }
}

impl OpenFile {
    fn create(
        target: &Target,
        dataset: &Dataset,
        schema: SchemaRef,
        number: u32,
        sorted_by: Option<usize>,
        known: &Known<'_>,
    ) -> Result<Self> {
        let path = target.temporary.join(layout::data_name(&target.commit, number));
        let file =
            target.store.files().create(&path).map_err(|error| failed("create a data file", &path, error))?;
        let guard = Guard { path, store: target.store.clone(), keep: false };
        let about = about(target, dataset);
        let properties = properties(dataset, &schema, target.config.compression, about, sorted_by, known);
        // What other readers shall see of the schema is among the properties already.
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(HashedFile::new(file), schema.clone(), options)
            .and_then(ArrowWriter::into_serialized_writer);
        let (writer, encoders) = writer.map_err(|error| guard.failed(error))?;
        let row_group = Vec::new();
        Ok(Self { writer, encoders, schema, row_group, in_row_group: 0, number, rows: 0, sorted_by, guard })
    }

    /// Encodes records, at least one, behind those of the row group that was begun.
    fn write(&mut self, piece: &Piece, ends_row_group: bool) -> Result<()> {
        debug_assert!(!piece.records.is_empty(), "encoders without records would be given up");
        self.encode(&piece.records, ends_row_group).map_err(|error| self.guard.failed(error))?;
        self.rows += piece.records.iter().map(|records| records.num_rows() as u64).sum::<u64>();
        self.in_row_group = if ends_row_group { 0 } else { self.in_row_group + piece.bytes };
        Ok(())
    }

    fn encode(&mut self, records: &[RecordBatch], ends_row_group: bool) -> Result<(), ParquetError> {
        let mut encoders = std::mem::take(&mut self.row_group);
        if encoders.is_empty() {
            encoders = self.encoders.create_column_writers(self.writer.flushed_row_groups().len())?;
        }
        let mut row_group = ends_row_group.then(|| self.writer.next_row_group()).transpose()?;
        let mut encoders = encoders.into_iter();
        for (at, field) in self.schema.fields().iter().enumerate() {
            let mut own = Vec::new();
            for records in records {
                let leaves = compute_leaves(field, records.column(at))?;
                own.extend(encoders.by_ref().take(leaves.len() - own.len()));
                for (encoder, leaf) in own.iter_mut().zip(&leaves) {
                    encoder.write(leaf)?;
                }
            }
            match &mut row_group {
                Some(row_group) => {
                    for encoder in own {
                        encoder.close()?.append_to_row_group(row_group)?;
                    }
                }
                None => self.row_group.append(&mut own),
            }
        }
        if let Some(row_group) = row_group {
            row_group.close()?;
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        self.writer.bytes_written() as u64
    }

    fn close(mut self, target: &Target, dataset: &Dataset) -> Result<DataFile> {
        self.writer.finish().map_err(|error| self.guard.failed(error))?;
        let file = self.writer.inner_mut();
        file.file.sync().map_err(|error| failed("make a data file durable", &self.guard.path, error))?;
        let data = DataFile {
            dataset: dataset.name.to_owned(),
            path: layout::data_path(&target.partition, dataset.name, &target.commit, self.number)?,
            rows: self.rows,
            bytes: file.bytes,
            sha256: hex(&file.hash.clone().finalize()),
        };
        self.guard.keep = true;
        Ok(data)
    }
}

impl Guard {
    fn failed(&self, error: ParquetError) -> Error {
        match error {
            ParquetError::External(cause) => match cause.downcast::<io::Error>() {
                Ok(error) => failed("write a data file", &self.path, *error),
                Err(cause) => Error::new(ErrorKind::Bug, "encode a data file").with_source(cause),
            },
            error => Error::new(ErrorKind::Bug, "encode a data file").with_source(error),
        }
    }
}

fn about(target: &Target, dataset: &Dataset) -> Vec<KeyValue> {
    [
        (properties::DATASET_KEY, dataset.name),
        (properties::TENANT_KEY, target.partition.tenant.id.as_str()),
        (properties::RUN_KEY, &target.run_id),
        (properties::COMMIT_KEY, &target.commit),
        (properties::VERSION_KEY, properties::SCHEMA_VERSION),
    ]
    .map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()))
    .into()
}

/// Hashes and counts what goes into a file.
struct HashedFile {
    file: Box<dyn NewFile>,
    hash: Sha256,
    bytes: u64,
}

impl HashedFile {
    fn new(file: Box<dyn NewFile>) -> Self {
        Self { file, hash: Sha256::new(), bytes: 0 }
    }
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Returns a hash in hexadecimal digits.
pub(super) fn hex(hash: &[u8]) -> String {
    use std::fmt::Write;
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes every text");
        text
    })
}
