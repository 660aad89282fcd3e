//! The run file and the environment: read, checked, and resolved with the flags into plain settings.
//!
//! Reading asks nobody over the network, and nothing else in the program looks at the environment.

pub mod env;
pub mod resolve;
pub mod suggest;

mod catalogue;
mod error;
mod rules;
mod run_file;
mod since;
mod tenant;

pub use catalogue::catalogue;
pub use env::Environment;
pub use resolve::{Again, Flags, Pull, Settings, resolve};
pub use run_file::{DatasetEntry, RunFile, RunSection};
pub use since::{Days, Since, Span};
pub use tenant::{Narrowing, Pattern, Selection, TenantEntry, TenantRules};

/// A commented run file to start from: the text that `tenantry init` writes.
pub const STARTER: &str = include_str!("../examples/full.toml");

#[cfg(test)]
mod tests;
