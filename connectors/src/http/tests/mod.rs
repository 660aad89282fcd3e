//! The parts together: budgets and turns in paused time, the client against servers that misbehave.

mod client;
mod fairness;
mod http2;
mod learning;
pub(crate) mod server;
