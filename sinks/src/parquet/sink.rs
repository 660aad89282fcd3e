//! The lake as a sink: what the run calls.

use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use pipeline::batch::Records;
use pipeline::run::RunSummary;
use pipeline::{
    Commit, Error, ErrorKind, Partition, Receipt, Result, Sink, Standing, Standings, Tenant, TenantId, Writer,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};

use super::config::Config;
use super::layout::{self, Layout};
use super::memory::Memory;
use super::registry::Registry;
use super::rolling::Target;
use super::run::OpenRun;
use super::store::{Disk, Files, Store, failed};
use super::unsettled::Unsettled;
use super::writer::{ParquetWriter, Permits, closing, panicked};
use super::{commit, committed, history};

/// Commits that wait for the disk at once: they share its work, and each holds a thread.
const DISK_TASKS: usize = 16;

/// A lake of Parquet files on a local file system.
pub struct ParquetSink {
    lake: Lake,
    config: Config,
    pub(super) memory: Arc<Memory>,
    permits: Permits,
    run: Mutex<Option<Arc<OpenRun>>>,
}

#[derive(Clone)]
struct Lake {
    layout: Layout,
    store: Store,
}

impl ParquetSink {
    /// Opens a lake; touches nothing yet.
    ///
    /// # Errors
    /// Where the settings name no folder of this machine.
    pub fn open(config: &Config) -> Result<Self> {
        Self::with_files(config, Arc::new(Disk))
    }

    pub(super) fn with_files(config: &Config, files: Arc<dyn Files>) -> Result<Self> {
        let lake = Lake { layout: Layout::new(config.root()?), store: Store::new(files) };
        let cores = available_parallelism().map_or(1, usize::from);
        let permits =
            Permits { encode: Arc::new(Semaphore::new(cores)), disk: Arc::new(Semaphore::new(DISK_TASKS)) };
        let memory = Memory::new(config.memory.as_usize());
        Ok(Self { lake, config: config.clone(), memory, permits, run: Mutex::new(None) })
    }

    fn open_run(&self) -> Result<Arc<OpenRun>> {
        let run = self.run.lock().expect("no holder panics").clone();
        run.ok_or_else(|| Error::new(ErrorKind::Bug, "write to a lake that was not prepared"))
    }

    /// Does what waits for the disk off the async threads.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Lake) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = self.permits.disk.clone().acquire_owned().await.map_err(closing)?;
        let lake = self.lake.clone();
        let task = spawn_blocking(move || {
            let _permit = permit;
            work(&lake)
        });
        task.await.map_err(panicked)?
    }
}

/// Returns what a reading thread sends, and how it ended if it panicked.
fn records_of(
    mut receiver: mpsc::Receiver<Result<Records>>,
    read: JoinHandle<()>,
) -> impl Stream<Item = Result<Records>> {
    let sent = stream::poll_fn(move |context| receiver.poll_recv(context));
    let ended = stream::once(read).filter_map(async |ended| ended.err().map(|error| Err(panicked(error))));
    sent.chain(ended)
}

#[async_trait]
impl Sink for ParquetSink {
    async fn prepare(&self, run_id: &str) -> Result<()> {
        let run_id = layout::run_id(run_id)?.to_owned();
        if self.run.lock().expect("no holder panics").as_ref().is_some_and(|run| run.id == run_id) {
            return Ok(());
        }
        let run = self.on_disk(move |lake| OpenRun::begin(&lake.layout, &lake.store, &run_id)).await?;
        *self.run.lock().expect("no holder panics") = Some(Arc::new(run));
        Ok(())
    }

    async fn standing(&self, tenant: &TenantId, pull: &str) -> Result<Standing> {
        let (tenant, pull) = (tenant.clone(), pull.to_owned());
        self.on_disk(move |lake| history::standing(&lake.layout, &tenant, &pull)).await
    }

    fn committed(&self, partition: &Partition) -> BoxStream<'static, Result<Records>> {
        let (sender, receiver) = mpsc::channel(1);
        let (lake, partition, permits) = (self.lake.clone(), partition.clone(), self.permits.disk.clone());
        stream::once(async move {
            let permit = permits.acquire_owned().await.map_err(closing)?;
            let read = spawn_blocking(move || {
                let _permit = permit;
                let take = |records| sender.blocking_send(Ok(records)).is_ok();
                if let Err(error) = committed::read(&lake.layout, &partition, take) {
                    sender.blocking_send(Err(error)).ok();
                }
            });
            Ok(records_of(receiver, read))
        })
        .try_flatten()
        .boxed()
    }

    async fn writer(&self, partition: &Partition) -> Result<Box<dyn Writer>> {
        let run = self.open_run()?;
        let target = Target {
            store: self.lake.store.clone(),
            memory: self.memory.clone(),
            config: self.config.clone(),
            partition: partition.clone(),
            run_id: run.id.clone(),
            commit: commit::new_id(),
            temporary: self.lake.layout.temporary(&run.id),
        };
        Ok(Box::new(ParquetWriter::new(target, self.permits.clone(), run)))
    }

    async fn commit(&self, commit: Commit) -> Result<()> {
        let run = self.open_run()?;
        self.on_disk(move |lake| commit::commit(&lake.layout, &lake.store, &run, &commit)).await
    }

    async fn record_tenants(&self, tenants: &[Tenant]) -> Result<()> {
        let (run, tenants) = (self.open_run()?, tenants.to_vec());
        self.on_disk(move |lake| {
            let mut registry = Registry::read(lake.layout.root())?;
            registry.take_over(&tenants, &run.id);
            let text = serde_json::to_vec_pretty(&registry).expect("a registry is plain data");
            let (temporary, path) =
                (lake.layout.temporary(&run.id).join("tenants.json"), lake.layout.registry());
            let replaced = lake.store.replace(&temporary, &path, &text);
            replaced.map_err(|error| failed("keep the registry of tenants", path, error))
        })
        .await
    }

    async fn record_run(&self, summary: &RunSummary) -> Result<()> {
        let run = self.open_run()?;
        let name = format!("{}.json", layout::run_id(&summary.run_id)?);
        let text = serde_json::to_vec_pretty(summary)
            .map_err(|error| Error::new(ErrorKind::Bug, "lay out the run's summary").with_source(error))?;
        let mut unsettled = self.on_disk(|lake| Unsettled::read(&lake.layout)).await?;
        let registry = self.on_disk(|lake| Registry::read(lake.layout.root())).await?;
        unsettled.take_over(summary, &registry);
        let unsettled = serde_json::to_vec_pretty(&unsettled).expect("receipts are plain data");
        self.on_disk(move |lake| {
            let runs = lake.layout.runs();
            lake.store
                .create_dirs(&runs)
                .map_err(|error| failed("keep what the run came to", &runs, error))?;
            // The prefix keeps it apart from what commits put there.
            let temporary = lake.layout.temporary(&run.id).join(format!("run-{name}"));
            let unsettled = (lake.layout.unsettled(), &unsettled);
            for (path, text) in [(runs.join(&name), &text), (lake.layout.last_run(), &text), unsettled] {
                let kept = lake.store.replace(&temporary, &path, text);
                kept.map_err(|error| failed("keep what the run came to", path, error))?;
            }
            Ok(())
        })
        .await
    }

    async fn last_run(&self) -> Result<Option<RunSummary>> {
        self.on_disk(|lake| history::last_run(&lake.layout)).await
    }

    async fn unsettled(&self) -> Result<Vec<Receipt>> {
        self.on_disk(|lake| Ok(Unsettled::read(&lake.layout)?.receipts)).await
    }

    async fn standings(&self) -> Result<Standings> {
        self.on_disk(|lake| history::standings(&lake.layout)).await
    }
}
