//! The parts together: budgets and turns in paused time, the client against servers that misbehave.

mod client;
mod fairness;
mod learning;
pub(crate) mod server;
