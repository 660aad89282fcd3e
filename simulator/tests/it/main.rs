//! The simulated platform seen from outside, through a real client.

mod determinism;
mod evolution;
mod faults;
mod keys;
mod limits;
mod paging;
mod strictness;
mod support;
