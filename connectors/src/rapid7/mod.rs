//! The Rapid7 Command Platform: one multi-tenant key, its managed organizations, and what each of them has.

mod api_keys;
pub mod config;
mod connector;
pub mod datasets;
mod paging;
mod reader;
mod rejects;
mod samples;
mod tenants;
#[cfg(test)]
mod tests;
mod walk;

pub use api_keys::{ApiKey, ApiKeys, KeyId, KeyType, MadeKey, NotMade};
pub use config::{Config, KeyConfig, in_host};
pub use connector::Rapid7;
