//! The wall clock, read in this one place: for open ends of windows and dates in headers where the platform was told no
//! time of its own, and for the default end of the data.

use chrono::{DateTime, Utc};

/// Returns the present.
#[expect(
    clippy::disallowed_methods,
    reason = "the simulator knows no other crate, and its data has a `now` of its own"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Spells a time the way headers do.
pub(crate) fn http_date(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
