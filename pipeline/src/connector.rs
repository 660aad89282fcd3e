//! The seam to a vendor's API: one key, many tenants.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::batch::Reject;
use crate::{Batch, Dataset, Partition, Region, Result, Tally, Tenant, Timestamp};

/// Speaks one vendor's API with one key for many tenants.
///
/// The budget, the turns of the tenants and every retry are the connector's: whoever reads from it only
/// has to read slowly to slow it down.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Returns what can be pulled.
    fn datasets(&self) -> &[Arc<Dataset>];

    /// Returns the account that manages the tenants: the owner of what [`crate::dataset::Scope::Account`] marks.
    fn account(&self) -> Tenant;

    /// Lists the tenants afresh, each once.
    async fn tenants(&self) -> Result<Vec<Tenant>>;

    /// Returns what may be missing from the last list of tenants: entries that no tenant could be made of, for instance.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns those tenants of the last list once more that it holds in another region as well, as they stand there.
    fn elsewhere(&self) -> Vec<Tenant> {
        Vec::new()
    }

    /// Reads a partition from its beginning to its end.
    ///
    /// Each record of the partition is yielded once, whatever shifted while it was read. The stream ends
    /// after its first error, and nothing of a partition with an error may be committed.
    fn read(&self, partition: &Partition) -> BoxStream<'static, Result<Batch>>;

    /// Asks how many records a partition has, without reading them: the claim of the tally, and what it cost.
    ///
    /// No claim where the platform does not tell.
    async fn count(&self, _partition: &Partition) -> Result<Tally> {
        Ok(Tally::default())
    }

    /// Decodes records that were set aside as if they stood in the partition's pages now: one batch for each, in
    /// their order. Nothing is asked.
    ///
    /// # Errors
    /// Where one of them is another tenant's.
    fn decode(&self, partition: &Partition, rejects: &[Reject]) -> Result<Vec<Batch>>;

    /// Returns the fingerprint of the key in use.
    fn key_fingerprint(&self) -> String;

    /// Returns a text of the platform's as it may be shown: without the key.
    fn scrub(&self, text: &str) -> String;

    /// Returns what time the platform says it is; `None` before it was asked, or where it does not tell.
    fn platform_time(&self) -> Option<Timestamp> {
        None
    }

    /// Returns how much of each budget is in use at this moment.
    fn budgets(&self) -> Vec<BudgetUse> {
        Vec::new()
    }
}

/// What one budget grants and what of it is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetUse {
    /// The region it is counted in; `None` where it is one for all regions.
    pub region: Option<Region>,
    /// The part of the platform it belongs to.
    pub family: String,
    /// Requests a second it grants in the long run; `None` where it knows no bound yet.
    pub granted_per_second: Option<f64>,
    /// How long it grants nothing from now on, where it is spent or closed by a refusal.
    pub closed_for: Option<Duration>,
    /// Requests a second sent over the last seconds.
    pub used_per_second: f64,
    /// Requests in flight.
    pub in_flight: u32,
    /// Requests waiting for their turn.
    pub waiting: u32,
    /// Requests sent so far.
    pub sent: u64,
    /// Requests refused with 429 so far.
    pub refused: u64,
}
