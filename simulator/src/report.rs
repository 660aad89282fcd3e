//! The shape in which the journal is shown.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// A copy of everything counted since the start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JournalReport {
    /// Milliseconds since the platform started.
    pub elapsed_ms: u64,
    /// All requests.
    pub total: Tally,
    /// By region, the text before the first slash of the path.
    pub by_region: BTreeMap<String, Tally>,
    /// By API family.
    pub by_family: BTreeMap<String, Tally>,
    /// By organization id named in the request or implied by its key.
    pub by_tenant: BTreeMap<String, Tally>,
    /// By the key's name; unknown and absent ones under `?`.
    pub by_key: BTreeMap<String, Tally>,
    /// By status.
    pub by_status: BTreeMap<u16, u64>,
    /// Injected faults by name.
    pub faults: BTreeMap<String, u64>,
    /// Requests being answered now.
    pub in_flight: u64,
    /// The most requests answered at one time.
    pub peak_in_flight: u64,
    /// The most requests answered at one time for one organization.
    pub peak_in_flight_of_a_tenant: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Exchanges that stand still at a step now: what they were to send until then is sent.
    pub held: u64,
    /// Requests in each second since the start, the latest ones.
    pub per_second: BTreeMap<u64, u64>,
    /// What each key did in each region and family, and how that fits its limit.
    pub spans: Vec<Span>,
    /// Requests that carried a known key to a place where it has no business.
    pub misplaced: Vec<Misplaced>,
    /// Requests that followed a redirect to the trap.
    pub trapped: u64,
    /// Those of them that brought a key along.
    pub trapped_with_key: u64,
}

/// Counts of one kind of requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Requests that arrived.
    pub requests: u64,
    /// Those answered with a 2xx and no fault.
    pub succeeded: u64,
    /// Those refused by a limit.
    pub limited: u64,
    /// Those answered with a 429 by a fault.
    pub injected_429: u64,
    /// Those befallen by any fault.
    pub faulted: u64,
    /// Rows sent.
    pub rows: u64,
    /// Body bytes, before compression.
    pub bytes: u64,
    /// When the first arrived, in milliseconds since the start.
    pub first_ms: u64,
    /// When the last arrived.
    pub last_ms: u64,
}

/// The requests of one key in one region and family.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// The region.
    pub region: String,
    /// The API family.
    pub family: String,
    /// The key's name.
    pub key: String,
    /// The limit in force at last, if any.
    pub limit: Option<u64>,
    /// The length of the windows counted: the limit's, or a second.
    pub window_ms: u64,
    /// All requests.
    pub requests: u64,
    /// Those refused by the limit.
    pub refused: u64,
    /// The most requests in one fixed window.
    pub max_fixed: u64,
    /// The most requests in any stretch of the window's length.
    pub max_sliding: u64,
    /// Requests in each fixed window, the latest ones: number, arrived, refused.
    pub windows: VecDeque<(u64, u64, u64)>,
    /// What was counted under a limit since changed.
    pub before: Vec<SpanBefore>,
}

/// The peaks of a span while another limit was in force.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SpanBefore {
    /// The limit.
    pub limit: Option<u64>,
    /// Its window.
    pub window_ms: u64,
    /// The most requests in one fixed window.
    pub max_fixed: u64,
    /// The most requests in any stretch of the window's length.
    pub max_sliding: u64,
}

/// A kind of request that carried a key where it has no business.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Misplaced {
    /// The key's name.
    pub key: String,
    /// The region asked.
    pub region: String,
    /// The organization named.
    pub organization: String,
    /// What was wrong: `wrong_region`, `foreign_organization`, `unknown_place`.
    pub reason: String,
    /// How often.
    pub count: u64,
}
