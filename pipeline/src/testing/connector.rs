//! A connector of literal values.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use crate::batch::Reject;
use crate::{Batch, Connector, Dataset, Error, ErrorKind, Partition, Result, Tenant};

/// One step of a scripted reading.
#[derive(Debug, Clone)]
pub enum Step {
    /// Yields a page.
    Page(Batch),
    /// Waits.
    Wait(Duration),
    /// Fails.
    Fail(ErrorKind, &'static str),
    /// Panics, as a defect would.
    Panic,
}

type Script = HashMap<(String, &'static str), Vec<Step>>;

/// Yields what it was told to, tenant by tenant.
#[derive(Default)]
pub struct VecConnector {
    datasets: Vec<Arc<Dataset>>,
    script: Script,
    tenants: Vec<Tenant>,
    read: Arc<Mutex<Vec<String>>>,
    open: Arc<AtomicUsize>,
    most_open: Arc<AtomicUsize>,
}

impl VecConnector {
    /// Creates a connector with nothing to read.
    #[must_use]
    pub fn new(datasets: Vec<Arc<Dataset>>) -> Self {
        Self { datasets, ..Self::default() }
    }

    /// Says what reading a tenant's dataset yields; nothing where nothing was said.
    #[must_use]
    pub fn with(mut self, tenant: &Tenant, pull: &'static str, steps: Vec<Step>) -> Self {
        if !self.tenants.contains(tenant) {
            self.tenants.push(tenant.clone());
        }
        self.script.insert((tenant.id.to_string(), pull), steps);
        self
    }

    /// Returns which steps were reached, as `tenant/pull` in their order.
    ///
    /// # Panics
    /// Where a reading panicked while it held the list.
    #[must_use]
    pub fn reached(&self) -> Vec<String> {
        self.read.lock().expect("no holder panics").clone()
    }

    /// Returns the largest number of partitions that were open at once.
    #[must_use]
    pub fn most_open(&self) -> usize {
        self.most_open.load(Ordering::SeqCst)
    }
}

/// Counts a reading as open for as long as it lives.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Connector for VecConnector {
    fn datasets(&self) -> &[Arc<Dataset>] {
        &self.datasets
    }

    fn scrub(&self, text: &str) -> String {
        text.replace("hunter2", "****")
    }

    fn account(&self) -> Tenant {
        super::tenant("account")
    }

    async fn tenants(&self) -> Result<Vec<Tenant>> {
        Ok(self.tenants.clone())
    }

    fn read(&self, partition: &Partition) -> BoxStream<'static, Result<Batch>> {
        let name = format!("{}/{}", partition.tenant.id, partition.pull());
        let key = (partition.tenant.id.to_string(), partition.pull());
        let steps = self.script.get(&key).cloned().unwrap_or_default();
        let open = Open(self.open.clone());
        self.most_open.fetch_max(self.open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let reached = self.read.clone();
        stream::iter(steps)
            .filter_map(move |step| {
                let _still_open = &open;
                reached.lock().expect("no holder panics").push(name.clone());
                take(step)
            })
            .boxed()
    }

    /// Takes the raw text of each for its id.
    fn decode(&self, partition: &Partition, rejects: &[Reject]) -> Result<Vec<Batch>> {
        let dataset = |reject: &Reject| {
            let found = partition.datasets.iter().find(|dataset| dataset.name == reject.dataset);
            found.ok_or_else(|| {
                Error::new(ErrorKind::Bug, format!("decode {}: it is not read", reject.dataset))
            })
        };
        rejects.iter().map(|reject| Ok(super::batch(dataset(reject)?, &[&reject.raw]))).collect()
    }

    fn key_fingerprint(&self) -> String {
        "000000000000".to_owned()
    }
}

async fn take(step: Step) -> Option<Result<Batch>> {
    match step {
        Step::Page(batch) => Some(Ok(batch)),
        Step::Wait(duration) => {
            tokio::time::sleep(duration).await;
            None
        }
        Step::Fail(kind, message) => Some(Err(Error::new(kind, message))),
        Step::Panic => panic!("scripted"),
    }
}
