//! The program seen from outside: its binary against the simulated platform, and the lake read back by others.
//!
//! [`Context`] is a platform, a folder and a run file that leads from one to the other; each test has its own, on a
//! port of its own. [`Lake`] reads what a run left behind without any code of the program's, and
//! [`Context::differences`] compares it with what the platform holds.

mod context;
pub mod lake;
mod run_file;
mod summary;

pub use context::{Context, END_AT, KINDS, NOW, Output};
pub use lake::{Lake, key_columns};
pub use run_file::{DATASETS, RunFile};
pub use summary::{Receipt, Summary};
