//! The seam to a place that data can go to; tenants are kept apart in it.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use crate::batch::Records;
use crate::rejects::{Backlog, Unreadable, Waiting};
use crate::run::RunSummary;
use crate::{Commit, DataFile, Dataset, Partition, Receipt, Result, Standing, Tenant, TenantId};

/// How far pulls are durable.
#[derive(Debug, Default)]
pub struct Standings {
    /// By tenant and name of the pull.
    pub known: BTreeMap<(TenantId, String), Standing>,
    /// Pulls of which nobody can tell.
    pub unreadable: Vec<Unreadable>,
}

/// One place that data can go to.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Makes the place ready for a run: proves that it can be written, and clears away what an earlier run
    /// left uncommitted.
    async fn prepare(&self, run_id: &str) -> Result<()>;

    /// Returns how far a tenant's pull is durable, and the receipts that say so.
    async fn standing(&self, tenant: &TenantId, pull: &str) -> Result<Standing>;

    /// Returns the records, set-aside ones included, of every commit that read a part of a partition's window
    /// or more; the oldest commit first, and without the provenance columns.
    ///
    /// A place that cannot be read back has none: then what is read again is written again.
    fn committed(&self, _partition: &Partition) -> BoxStream<'static, Result<Records>> {
        stream::empty().boxed()
    }

    /// Returns the set-aside records that no replay took up. A place that cannot be read back has none.
    async fn backlog(&self) -> Result<Backlog> {
        Ok(Backlog::default())
    }

    /// Returns records that wait, with the provenance columns.
    fn rejects(&self, _waiting: &Waiting) -> BoxStream<'static, Result<RecordBatch>> {
        stream::empty().boxed()
    }

    /// Returns what of a partition stands there by the reading that set records aside: what its commit has, and
    /// what replays added to it.
    fn beside(&self, _waiting: &Waiting, _partition: &Partition) -> BoxStream<'static, Result<Records>> {
        stream::empty().boxed()
    }

    /// Opens a writer for a partition's records; what it writes is invisible until it is committed, and is
    /// gone when it is dropped before that.
    async fn writer(&self, partition: &Partition) -> Result<Box<dyn Writer>>;

    /// Makes a partition's files and its checkpoint visible: both or neither.
    ///
    /// Refuses a commit whose `from` is no longer the checkpoint, with [`ErrorKind::Overtaken`](crate::ErrorKind): it
    /// concerns this pull alone, and all others go on.
    async fn commit(&self, commit: Commit) -> Result<()>;

    /// Keeps the list of tenants, so that the next run can tell what changed.
    async fn record_tenants(&self, tenants: &[Tenant]) -> Result<()>;

    /// Keeps what a run came to.
    async fn record_run(&self, summary: &RunSummary) -> Result<()>;

    /// Returns what the last run came to; nothing where no run was kept, or the place keeps none.
    async fn last_run(&self) -> Result<Option<RunSummary>> {
        Ok(None)
    }

    /// Returns the last receipt of everything that did not end well when it was last asked for, in whatever run.
    async fn unsettled(&self) -> Result<Vec<Receipt>> {
        Ok(Vec::new())
    }

    /// Returns how far every tenant's every pull is durable.
    async fn standings(&self) -> Result<Standings>;
}

/// Writes the records of one partition.
#[async_trait]
pub trait Writer: Send {
    /// Writes records of one of the partition's datasets, or of the set-aside ones.
    async fn write(&mut self, dataset: &Dataset, records: RecordBatch) -> Result<()>;

    /// Finishes the files and returns what a commit has to name.
    async fn close(self: Box<Self>) -> Result<Vec<DataFile>>;
}
