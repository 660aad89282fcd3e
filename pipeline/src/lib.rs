//! The heart of the program: its nouns, the two seams (connector and sink) and the run between them.
//!
//! Nothing here knows a vendor or a file format, prints, or does input or output of its own: but for the digests of many
//! records, which are put into a temporary file.

pub mod batch;
pub mod checkpoint;
pub mod clock;
pub mod commit;
pub mod connector;
pub mod cores;
pub mod dataset;
pub mod digests;
pub mod drift;
pub mod error;
pub mod known;
pub mod partition;
pub mod receipt;
pub mod rejects;
pub mod run;
mod scrub;
pub mod secret;
pub mod sink;
pub mod tenant;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use batch::{Batch, Tally};
pub use checkpoint::{Checkpoint, FullSnapshot, Standing};
pub use clock::{Clock, CorrectedClock, SystemClock, Timestamp};
pub use commit::{Commit, DataFile, Replays};
pub use connector::{BudgetUse, Connector};
pub use cores::Cores;
pub use dataset::{Dataset, ReadMode, Scope};
pub use drift::Drift;
pub use error::{Error, ErrorKind, Result};
pub use partition::{Ask, Job, Partition, Reading, Window};
pub use receipt::{Receipt, Verdict};
pub use secret::Secret;
pub use sink::{Sink, Standings, Writer};
pub use tenant::{Region, Tenant, TenantId};
