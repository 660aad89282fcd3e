//! The writer of one partition: hands records to the encoders, off the async threads.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use pipeline::{Cores, DataFile, Dataset, Error, ErrorKind, Result, Writer};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_blocking};

use super::rolling::{Rolling, Target};
use super::run::OpenRun;

/// Writes a partition's records; at most one row group is being encoded while the next batch is read.
pub(super) struct ParquetWriter {
    state: State,
    target: Arc<Target>,
    permits: Permits,
    // The run stays open, and its folder stays, while something is being written.
    _run: Arc<OpenRun>,
}

/// How much may go on at once in the whole lake.
#[derive(Clone)]
pub(super) struct Permits {
    /// Encoding keeps a core busy.
    pub(super) cores: Arc<Cores>,
    /// Making things durable waits for the disk, which serves many at once in nearly the time of one.
    pub(super) disk: Arc<Semaphore>,
}

enum State {
    Idle(Files),
    Busy(JoinHandle<Result<Files>>),
    Failed,
}

/// The files of each dataset, and the number of the last one begun.
#[derive(Default)]
struct Files {
    rolling: Vec<(&'static str, Rolling)>,
    number: u32,
}

impl ParquetWriter {
    pub(super) fn new(target: Target, permits: Permits, run: Arc<OpenRun>) -> Self {
        Self { state: State::Idle(Files::default()), target: Arc::new(target), permits, _run: run }
    }

    /// Waits for what is being encoded and takes the files.
    async fn files(&mut self) -> Result<Files> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Idle(files) => Ok(files),
            State::Busy(task) => task.await.map_err(panicked)?,
            State::Failed => Err(Error::new(ErrorKind::Bug, "write on after an error or an interruption")),
        }
    }
}

#[async_trait]
impl Writer for ParquetWriter {
    async fn write(&mut self, dataset: &Dataset, records: RecordBatch) -> Result<()> {
        let mut files = self.files().await?;
        files.push(&self.target, dataset, records);
        if !files.are_due() {
            self.state = State::Idle(files);
            return Ok(());
        }
        let encode = self.permits.cores.begin(move || {
            files.work_off()?;
            Ok(files)
        });
        self.state = State::Busy(encode.await);
        Ok(())
    }

    async fn close(mut self: Box<Self>) -> Result<Vec<DataFile>> {
        let mut files = self.files().await?;
        // The last rows are still to be encoded, and that is work for a core; only then the disk is waited for.
        let encode = self.permits.cores.begin(move || {
            files.encode()?;
            Ok(files)
        });
        let files: Files = encode.await.await.map_err(panicked)??;
        let permit = self.permits.disk.clone().acquire_owned().await.map_err(closing)?;
        let sync = spawn_blocking(move || {
            let _permit = permit;
            files.close()
        });
        sync.await.map_err(panicked)?
    }
}

impl Files {
    fn push(&mut self, target: &Arc<Target>, dataset: &Dataset, records: RecordBatch) {
        let at = match self.rolling.iter().position(|(known, _)| *known == dataset.name) {
            Some(at) => at,
            None => {
                self.rolling.push((dataset.name, Rolling::new(target.clone(), dataset.clone())));
                self.rolling.len() - 1
            }
        };
        self.rolling[at].1.push(records);
    }

    fn are_due(&self) -> bool {
        self.rolling.iter().any(|(_, rolling)| rolling.is_due())
    }

    fn work_off(&mut self) -> Result<()> {
        self.rolling.iter_mut().try_for_each(|(_, rolling)| rolling.work_off(&mut self.number))
    }

    fn encode(&mut self) -> Result<()> {
        self.rolling.iter_mut().try_for_each(|(_, rolling)| rolling.encode(&mut self.number))
    }

    /// Closes all files or none: what one of them leaves on an error is removed with the others.
    fn close(mut self) -> Result<Vec<DataFile>> {
        for (_, rolling) in &mut self.rolling {
            rolling.finish()?;
        }
        Ok(self.rolling.iter_mut().flat_map(|(_, rolling)| rolling.take()).collect())
    }
}

pub(super) fn panicked(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Bug, "work on the lake's files").with_source(error)
}

pub(super) fn closing(error: tokio::sync::AcquireError) -> Error {
    Error::new(ErrorKind::Bug, "wait for a turn at the lake").with_source(error)
}
