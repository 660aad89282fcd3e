//! The wall clock, read in this one place: for open ends of windows, dates in headers and the default end of the data.

use chrono::{DateTime, Utc};

/// Returns the present.
#[expect(
    clippy::disallowed_methods,
    reason = "the simulator knows no other crate, and its data has a `now` of its own"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
