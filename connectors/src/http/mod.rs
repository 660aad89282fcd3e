//! HTTP, told once for every vendor: who may ask what of whom, how often, and what is tried again.
//!
//! [`Http`] holds one key. [`Http::tenant`] makes a [`TenantClient`] from the key, a tenant's id and its
//! region's base URL: the headers and the host are set there and nowhere else, so that no call can reach
//! across tenants or regions, and a redirect is never followed. A [`Call`] has only a relative path.
//! Before each attempt a tenant waits for its turn (`turns`) and its turn for the budget of the key, the
//! region and the part of the platform (`budget`). Nothing here knows a vendor's headers, paths or records.

mod attempt;
mod bodies;
mod budget;
mod call;
mod client;
mod config;
mod failure;
mod key;
mod key_ring;
mod learner;
mod meter;
mod pacer;
mod page_size;
mod quota;
mod retry;
mod send;
mod told;
mod turns;

#[cfg(test)]
pub(crate) mod tests;

pub use bodies::Taken;
pub use call::{Answer, BadBody, Call, SendError, Spent};
pub use client::{Http, TenantClient};
pub(crate) use config::base;
pub(crate) use config::duration;
pub use config::{BudgetScope, HttpConfig, Limit};
pub use key::{CommandKey, FileKey, FixedKey, KeySource, NoKey};
pub use page_size::PageSize;
