//! The lake as a sink: what the run calls.

use std::sync::{Arc, Mutex, OnceLock};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use pipeline::batch::Records;
use pipeline::rejects::{Backlog, Waiting};
use pipeline::run::RunSummary;
use pipeline::{
    Commit, Cores, Error, ErrorKind, Partition, Receipt, Result, Sink, Standing, Standings, Tenant, TenantId,
    Writer,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};

use super::chain::{Coverage, Ended};
use super::compact::Sizes;
use super::config::{Config, SigningKeyConfig};
use super::layout::{self, Layout};
use super::memory::Memory;
use super::registry::Registry;
use super::rolling::Target;
use super::run::OpenRun;
use super::signing::SigningKey;
use super::store::{Disk, Files, Store, failed};
use super::writer::{ParquetWriter, Permits, closing, panicked};
use super::{chain, commit, committed, history};

/// Commits that wait for the disk at once: they share its work, and each holds a thread.
const DISK_TASKS: usize = 16;

/// A lake of Parquet files on a local file system.
pub struct ParquetSink {
    lake: Lake,
    config: Config,
    pub(super) memory: Arc<Memory>,
    permits: Permits,
    run: Mutex<Option<Arc<OpenRun>>>,
    /// How much of the old records a run rolls up.
    pub(super) sizes: Sizes,
}

#[derive(Clone)]
struct Lake {
    layout: Layout,
    store: Store,
    /// What run records covered when this was looked at first: all of that has to be there for good.
    covered: Arc<OnceLock<Coverage>>,
}

impl Lake {
    fn covered(&self) -> Result<&Coverage> {
        match self.covered.get() {
            Some(covered) => Ok(covered),
            None => chain::coverage(&self.layout).map(|covered| self.covered.get_or_init(|| covered)),
        }
    }
}

impl ParquetSink {
    /// Opens a lake; touches nothing yet.
    ///
    /// # Errors
    /// Where the settings name no folder of this machine.
    pub fn open(config: &Config) -> Result<Self> {
        Self::with_files(config, files())
    }

    pub(super) fn with_files(config: &Config, files: Arc<dyn Files>) -> Result<Self> {
        let lake =
            Lake { layout: Layout::new(config.root()?), store: Store::new(files), covered: Arc::default() };
        let permits = Permits { cores: Cores::of_this_machine(), disk: Arc::new(Semaphore::new(DISK_TASKS)) };
        let memory = Memory::new(config.memory.as_usize());
        let (config, run) = (config.clone(), Mutex::new(None));
        Ok(Self { lake, config, memory, permits, run, sizes: Sizes::USUAL })
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

    /// Reads step by step off the async threads, no further ahead than one step.
    fn read_on_disk<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Layout, &mut dyn FnMut(T) -> bool) -> Result<()> + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let (sender, receiver) = mpsc::channel(1);
        let (lake, permits) = (self.lake.clone(), self.permits.disk.clone());
        stream::once(async move {
            let permit = permits.acquire_owned().await.map_err(closing)?;
            let read = spawn_blocking(move || {
                let _permit = permit;
                let mut take = |step| sender.blocking_send(Ok(step)).is_ok();
                if let Err(error) = read(&lake.layout, &mut take) {
                    sender.blocking_send(Err(error)).ok();
                }
            });
            Ok(sent_by(receiver, read))
        })
        .try_flatten()
        .boxed()
    }
}

/// Returns the file system that runs write to.
fn files() -> Arc<dyn Files> {
    #[cfg(feature = "testing")]
    if let Some(files) = super::testing::files() {
        return files;
    }
    Arc::new(Disk)
}

/// Returns what a reading thread sends, and how it ended if it panicked.
fn sent_by<T>(
    mut receiver: mpsc::Receiver<Result<T>>,
    read: JoinHandle<()>,
) -> impl Stream<Item = Result<T>> {
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
        let key_file = self.config.signing_key.as_ref().map(|SigningKeyConfig::File(path)| path.clone());
        let begin = move |lake: &Lake| {
            // First of all: a run whose record cannot be signed is not begun.
            let key = key_file.map(|path| SigningKey::read(&path)).transpose()?;
            OpenRun::begin(&lake.layout, &lake.store, &run_id, key)
        };
        let run = self.on_disk(begin).await?;
        *self.run.lock().expect("no holder panics") = Some(Arc::new(run));
        Ok(())
    }

    async fn standing(&self, tenant: &TenantId, pull: &str) -> Result<Standing> {
        let (tenant, pull) = (tenant.clone(), pull.to_owned());
        self.on_disk(move |lake| history::standing(&lake.layout, lake.covered()?, &tenant, &pull)).await
    }

    fn committed(&self, partition: &Partition) -> BoxStream<'static, Result<Records>> {
        let partition = partition.clone();
        self.read_on_disk(move |layout, take| committed::read(layout, &partition, take))
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.on_disk(|lake| history::backlog(&lake.layout)).await
    }

    fn rejects(&self, waiting: &Waiting) -> BoxStream<'static, Result<RecordBatch>> {
        let waiting = waiting.clone();
        self.read_on_disk(move |layout, take| committed::read_rejects(layout, &waiting, take))
    }

    fn beside(&self, waiting: &Waiting, partition: &Partition) -> BoxStream<'static, Result<Records>> {
        let (waiting, partition) = (waiting.clone(), partition.clone());
        self.read_on_disk(move |layout, take| committed::read_beside(layout, &waiting, &partition, take))
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
            let text = registry.seal();
            let (temporary, path) =
                (lake.layout.temporary(&run.id).join("tenants.json"), lake.layout.registry());
            let replaced = lake.store.replace(&temporary, &path, &text);
            replaced.map_err(|error| failed("keep the registry of tenants", path, error))
        })
        .await
    }

    async fn record_run(&self, summary: &RunSummary) -> Result<()> {
        let run = self.open_run()?;
        let (ended, sizes) = (Ended::new(summary)?, self.sizes);
        self.on_disk(move |lake| chain::seal_run(&lake.layout, &lake.store, &run, &ended, sizes)).await
    }

    async fn last_run(&self) -> Result<Option<RunSummary>> {
        self.on_disk(|lake| history::last_run(&lake.layout)).await
    }

    async fn unsettled(&self) -> Result<Vec<Receipt>> {
        self.on_disk(|lake| chain::unsettled(&lake.layout)).await
    }

    async fn standings(&self) -> Result<Standings> {
        self.on_disk(|lake| history::standings(&lake.layout, lake.covered()?)).await
    }
}
