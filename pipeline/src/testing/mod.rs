//! What tests of the run need: a connector of literal values, a sink in memory, a clock to set.

mod clock;
mod connector;
mod fixtures;
mod sink;

pub use clock::FakeClock;
pub use connector::{Step, VecConnector};
pub use fixtures::{batch, dataset, job, receipt, tenant};
pub use sink::{Committed, MemorySink};
