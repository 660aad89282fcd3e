//! The run: jobs in, commits and a summary out.
//!
//! [`run`] is the product in one line. It owns every task, keeps each stage bounded, sets a failed tenant
//! aside and goes on with the others, and tells what happens as [`RunEvent`]s in one order.

mod event;
mod execute;
mod lanes;
mod plan;
mod receipts;
mod replay;
mod stopped;
mod summary;
mod work;

#[cfg(test)]
mod tests;

pub use event::{Events, RunEvent};
pub use execute::{RunContext, run};
pub use plan::due;
pub use replay::{Became, Replay, Replayed, replay};
pub use summary::{Outcome, RunSummary};
