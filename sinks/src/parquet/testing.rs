//! Ends the program at one step of its work on a lake, for tests that kill it just there and start it again.

use std::sync::{Arc, OnceLock};

use super::faulty::{Fault, FaultyFiles};
use super::store::Files;

static FILES: OnceLock<Arc<FaultyFiles>> = OnceLock::new();

/// Lets the process end at a change that its runs make to lakes, counted from 0.
///
/// `end` has to end it at once. A write that is struck leaves half of its bytes behind.
///
/// # Panics
/// Where it was called before: a process ends once.
pub fn end_at(step: usize, end: fn()) {
    let files = Arc::new(FaultyFiles::new(step, Fault::End(end)));
    assert!(FILES.set(files).is_ok(), "a process ends once");
}

/// Returns the file system of a process that is to end, if it is.
pub(super) fn files() -> Option<Arc<dyn Files>> {
    FILES.get().map(|files| files.clone() as Arc<dyn Files>)
}
