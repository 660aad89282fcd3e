//! One folder for each vendor API, and what they share: HTTP told once, JSON to columns told once.

pub mod http;
pub mod normalize;
pub mod rapid7;

mod config;

pub use config::ConnectorConfig;
