//! What a run tells while it works.

use std::sync::Arc;

use crate::{Receipt, Region, TenantId};

/// Receives the events of a run; must return quickly.
pub type Events = Arc<dyn Fn(RunEvent) + Send + Sync>;

/// Something that happened in a run.
#[derive(Debug, Clone)]
pub enum RunEvent {
    /// The work is known.
    Planned {
        /// Jobs per region.
        jobs: Vec<(Region, u64)>,
    },
    /// A job has begun.
    Started {
        /// The tenant.
        tenant: TenantId,
        /// The tenant's name.
        name: String,
        /// Its region.
        region: Region,
        /// The pull.
        pull: &'static str,
    },
    /// Records arrived and were handed to the writer.
    Progress {
        /// The tenant.
        tenant: TenantId,
        /// Its region.
        region: Region,
        /// The pull.
        pull: &'static str,
        /// Pages in this step.
        pages: u64,
        /// Bytes of JSON in this step.
        bytes: u64,
        /// Records kept in this step.
        records: u64,
        /// What the platform says there is in all.
        claimed: Option<u64>,
    },
    /// One dataset of a tenant has ended, well or not.
    Finished(Box<Receipt>),
    /// A job has ended; the counterpart of `Planned`.
    JobEnded {
        /// Its region.
        region: Region,
        /// The tenant.
        tenant: TenantId,
        /// The pull.
        pull: &'static str,
    },
}
