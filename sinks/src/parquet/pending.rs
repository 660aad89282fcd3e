//! The records that wait for their row group.
//!
//! An encoder holds a page, a dictionary and a compressor for every column: for a wide dataset many times what its
//! records take. So records wait as they are until there are enough of them, and encoders live only while they work.
//! Where all open files together would hold too much, the records of one wait in a file of their own.

use std::io::{BufReader, BufWriter};
use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use pipeline::{Error, ErrorKind, Result};

use super::store::{NewFile, Store, failed};

/// Records in the order they came in: the first in a file, if there are many, and the others in memory.
#[derive(Default)]
pub(super) struct Pending {
    spill: Option<Spill>,
    batches: Vec<Held>,
    schema: Option<SchemaRef>,
    held: usize,
    bytes: usize,
}

/// Records and the bytes that they took in memory: those that were read back lie in one piece, and seem to take more.
struct Held {
    records: RecordBatch,
    bytes: usize,
}

impl Pending {
    pub(super) fn push(&mut self, records: RecordBatch) {
        let bytes = records.get_array_memory_size();
        self.held += bytes;
        self.bytes += bytes;
        self.schema.get_or_insert_with(|| records.schema());
        self.batches.push(Held { records, bytes });
    }

    /// Returns the bytes that are held in memory.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Returns the bytes of all that waits, as they lie in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the columns of what waits; nothing where nothing does.
    pub(super) fn schema(&self) -> Option<SchemaRef> {
        self.schema.clone()
    }

    /// Returns whether some of it waits in a file.
    pub(super) fn is_spilled(&self) -> bool {
        self.spill.is_some()
    }

    /// Moves what is in memory to a file, which is created where `path` says.
    pub(super) fn spill(&mut self, store: &Store, path: impl FnOnce() -> PathBuf) -> Result<()> {
        let Some(schema) = &self.schema else { return Ok(()) };
        let spill = match &mut self.spill {
            Some(spill) => spill,
            none => none.insert(Spill::create(store, path(), schema)?),
        };
        for it in self.batches.drain(..) {
            spill.write(&it)?;
        }
        self.held = 0;
        Ok(())
    }

    /// Hands over all that waits, in its order, with the bytes that it took in memory.
    pub(super) fn drain(&mut self, mut take: impl FnMut(&RecordBatch, usize) -> Result<()>) -> Result<()> {
        let all = std::mem::take(self);
        if let Some(spill) = all.spill {
            spill.read(&mut take)?;
        }
        all.batches.into_iter().try_for_each(|it| take(&it.records, it.bytes))
    }
}

/// A file of records, gone with this.
struct Spill {
    writer: StreamWriter<BufWriter<Box<dyn NewFile>>>,
    /// The bytes that each batch took in memory.
    sizes: Vec<usize>,
    guard: Guard,
}

struct Guard {
    path: PathBuf,
    store: Store,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.store.remove_file(&self.path).ok();
    }
}

impl Spill {
    fn create(store: &Store, path: PathBuf, schema: &Schema) -> Result<Self> {
        let file = store.files().create(&path).map_err(|error| failed("set records aside", &path, error))?;
        let guard = Guard { path, store: store.clone() };
        let writer = StreamWriter::try_new(BufWriter::new(file), schema);
        Ok(Self { writer: writer.map_err(|error| guard.failed(error))?, sizes: Vec::new(), guard })
    }

    fn write(&mut self, it: &Held) -> Result<()> {
        self.sizes.push(it.bytes);
        self.writer.write(&it.records).map_err(|error| self.guard.failed(error))
    }

    fn read(self, take: &mut impl FnMut(&RecordBatch, usize) -> Result<()>) -> Result<()> {
        let Self { writer, sizes, guard } = self;
        drop(writer.into_inner().map_err(|error| guard.failed(error))?);
        let file = fs_err::File::open(&guard.path);
        let file = file.map_err(|error| failed("read records that were set aside", &guard.path, error))?;
        let reader =
            StreamReader::try_new(BufReader::new(file), None).map_err(|error| guard.failed(error))?;
        for (records, bytes) in reader.zip(sizes) {
            take(&records.map_err(|error| guard.failed(error))?, bytes)?;
        }
        Ok(())
    }
}

impl Guard {
    fn failed(&self, error: ArrowError) -> Error {
        match error {
            ArrowError::IoError(_, error) => failed("set records aside", &self.path, error),
            error => Error::new(ErrorKind::Bug, "set records aside").with_source(error),
        }
    }
}
