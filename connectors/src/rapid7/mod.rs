//! The Rapid7 Command Platform.

pub mod config;
pub mod datasets;

pub use config::{Config, KeyConfig, Limit};
