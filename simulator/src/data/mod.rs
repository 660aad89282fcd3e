//! The rows of every dataset: each a pure function of seed, tenant, dataset, place and time, written straight
//! into bytes.

pub(crate) mod account;
pub(crate) mod alerts;
pub(crate) mod collection;
pub(crate) mod dataset;
pub(crate) mod entities;
pub(crate) mod investigations;
pub(crate) mod json;
pub(crate) mod life;
pub(crate) mod places;
pub(crate) mod rng;
pub(crate) mod vm_assets;
pub(crate) mod vm_findings;
pub(crate) mod vm_scans;
pub(crate) mod vm_schedule;
pub(crate) mod vm_vulnerabilities;
pub(crate) mod world;

pub use dataset::Dataset;
