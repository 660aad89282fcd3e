//! A sink in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{Array, RecordBatch, StringArray};
use async_trait::async_trait;

use crate::run::RunSummary;
use crate::{
    Checkpoint, Commit, DataFile, Dataset, Error, ErrorKind, Partition, Receipt, Result, Sink, Standing,
    Standings, Tenant, TenantId, Writer,
};

/// One commit, with the ids of its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The tenant.
    pub tenant: String,
    /// The pull.
    pub pull: &'static str,
    /// The values of each record's `id`, or of the first text column where there is none.
    pub ids: Vec<String>,
}

#[derive(Default)]
struct State {
    commits: Vec<Committed>,
    checkpoints: HashMap<(TenantId, &'static str), Checkpoint>,
    written: HashMap<String, Vec<String>>,
    /// The receipts, with the names of their pulls.
    receipts: Vec<(String, Receipt)>,
}

/// Keeps what is committed in memory, and shows nothing else.
#[derive(Clone, Default)]
pub struct MemorySink {
    state: Arc<Mutex<State>>,
    write_takes: Duration,
    commit_takes: Duration,
    full_after: Option<usize>,
}

impl MemorySink {
    /// Makes each write take a time.
    #[must_use]
    pub fn slow(mut self, write_takes: Duration) -> Self {
        self.write_takes = write_takes;
        self
    }

    /// Makes each commit take a time in which it is carried out already, and not yet told.
    #[must_use]
    pub fn slow_to_tell(mut self, commit_takes: Duration) -> Self {
        self.commit_takes = commit_takes;
        self
    }

    /// Refuses every commit after the first few, as a full disk would.
    #[must_use]
    pub fn full_after(mut self, commits: usize) -> Self {
        self.full_after = Some(commits);
        self
    }

    /// Returns the commits in their order.
    ///
    /// # Panics
    /// Where a holder of the state panicked.
    #[must_use]
    pub fn commits(&self) -> Vec<Committed> {
        self.state.lock().expect("no holder panics").commits.clone()
    }

    /// Sets a checkpoint, as another run would.
    ///
    /// # Panics
    /// Where a holder of the state panicked.
    pub fn set_checkpoint(&self, tenant: &TenantId, pull: &'static str, checkpoint: Checkpoint) {
        self.state.lock().expect("no holder panics").checkpoints.insert((tenant.clone(), pull), checkpoint);
    }

    fn carry_out(&self, commit: Commit) -> Result<()> {
        let mut state = self.state.lock().expect("no holder panics");
        if self.full_after.is_some_and(|most| state.commits.len() >= most) {
            return Err(Error::new(ErrorKind::Sink, "write the commit: no space left"));
        }
        let key = (commit.partition.tenant.id.clone(), commit.partition.pull());
        let present = state.checkpoints.get(&key).copied().unwrap_or_default();
        if present != commit.from {
            return Err(Error::new(ErrorKind::Overtaken, "commit: another run committed first"));
        }
        state.checkpoints.insert(key, commit.to);
        let name = format!("{}/{}", commit.partition.tenant.id, commit.partition.pull());
        let ids = state.written.remove(&name).unwrap_or_default();
        let tenant = commit.partition.tenant.id.to_string();
        state.commits.push(Committed { tenant, pull: commit.partition.pull(), ids });
        let pull = commit.partition.pull();
        state.receipts.extend(commit.receipts.into_iter().map(|receipt| (pull.to_owned(), receipt)));
        Ok(())
    }
}

struct MemoryWriter {
    sink: MemorySink,
    name: String,
    rows: HashMap<&'static str, Vec<String>>,
}

#[async_trait]
impl Sink for MemorySink {
    async fn prepare(&self, _run_id: &str) -> Result<()> {
        Ok(())
    }

    async fn standing(&self, tenant: &TenantId, pull: &str) -> Result<Standing> {
        let state = self.state.lock().expect("no holder panics");
        let found = state.checkpoints.iter().find(|((id, name), _)| id == tenant && *name == pull);
        let checkpoint = found.map(|(_, checkpoint)| *checkpoint).unwrap_or_default();
        let is_of = |(name, receipt): &&(String, Receipt)| name == pull && receipt.organization_id == *tenant;
        let receipts =
            state.receipts.iter().rev().filter(is_of).map(|(_, receipt)| receipt.clone()).collect();
        Ok(Standing { checkpoint, receipts, behind: Vec::new() })
    }

    async fn writer(&self, partition: &Partition) -> Result<Box<dyn Writer>> {
        let name = format!("{}/{}", partition.tenant.id, partition.pull());
        Ok(Box::new(MemoryWriter { sink: self.clone(), name, rows: HashMap::new() }))
    }

    async fn commit(&self, commit: Commit) -> Result<()> {
        self.carry_out(commit)?;
        tokio::time::sleep(self.commit_takes).await;
        Ok(())
    }

    async fn record_tenants(&self, _tenants: &[Tenant]) -> Result<()> {
        Ok(())
    }

    async fn record_run(&self, _summary: &RunSummary) -> Result<()> {
        Ok(())
    }

    async fn standings(&self) -> Result<Standings> {
        let known: Vec<_> =
            self.state.lock().expect("no holder panics").checkpoints.keys().cloned().collect();
        let mut standings = Standings::default();
        for (tenant, pull) in known {
            let standing = self.standing(&tenant, pull).await?;
            standings.known.insert((tenant, pull.to_owned()), standing);
        }
        Ok(standings)
    }
}

#[async_trait]
impl Writer for MemoryWriter {
    async fn write(&mut self, dataset: &Dataset, records: RecordBatch) -> Result<()> {
        tokio::time::sleep(self.sink.write_takes).await;
        let column =
            records.column_by_name("id").unwrap_or_else(|| records.column(records.num_columns() - 1));
        let texts = column.as_any().downcast_ref::<StringArray>().expect("a text column");
        let ids = (0..texts.len()).map(|row| texts.value(row).to_owned());
        self.rows.entry(dataset.name).or_default().extend(ids);
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<Vec<DataFile>> {
        let mut files = Vec::new();
        let mut ids = Vec::new();
        for (dataset, rows) in self.rows {
            let path = format!("{}/{dataset}", self.name);
            let rows_written = rows.len() as u64;
            files.push(DataFile {
                dataset: dataset.to_owned(),
                path,
                rows: rows_written,
                bytes: 0,
                sha256: String::new(),
            });
            ids.extend(rows);
        }
        ids.sort();
        self.sink.state.lock().expect("no holder panics").written.insert(self.name, ids);
        Ok(files)
    }
}
