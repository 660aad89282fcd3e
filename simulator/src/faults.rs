//! What goes wrong on purpose: by chance, on the nth request, for one tenant, one path or one page.

use serde::{Deserialize, Serialize};

use crate::data::Dataset;
use crate::limits::RetryAfter;
use crate::strike::Circumstances;

/// A fault, the requests it may befall, and how often it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// What happens.
    pub fault: Fault,
    /// How likely it is for each matching request, 0 to 1.
    #[serde(default = "certain")]
    pub probability: f64,
    /// Which matching requests it befalls, counted from 1; any when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nth: Vec<u64>,
    /// How many matching requests pass unharmed first.
    #[serde(default)]
    pub after: u64,
    /// How often it happens at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// A part of the path, without the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The organization's id, its name, or `#` and its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The API family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The dataset read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<Dataset>,
    /// The lowest page number; a page asked for by cursor counts as the second.
    #[serde(default)]
    pub min_page: u64,
    /// Only pages larger than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above_size: Option<u64>,
}

fn certain() -> f64 {
    1.0
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// A 429 that no limit asked for.
    TooManyRequests {
        /// How it says when to come back.
        #[serde(default)]
        retry_after: RetryAfter,
        /// When to come back.
        #[serde(default)]
        seconds: u64,
    },
    /// A status with the family's own error body.
    Status {
        /// The status.
        status: u16,
    },
    /// A status with a proxy's page of HTML.
    Html {
        /// The status.
        status: u16,
    },
    /// The connection is reset before the answer.
    Reset,
    /// The connection ends in the middle of the body.
    CutBody {
        /// Whether the body comes in chunks, without a length.
        #[serde(default)]
        chunked: bool,
    },
    /// The body is half of the JSON, with the length of the half.
    TruncatedJson,
    /// The body is right and its content type isn't.
    WrongContentType,
    /// Nothing comes for a while, then the connection ends.
    Stall {
        /// How long the silence lasts.
        seconds: u64,
    },
    /// The answer takes longer.
    Latency {
        /// By how much, always.
        #[serde(default)]
        ms: u64,
        /// By how much more, at most.
        #[serde(default)]
        jitter_ms: u64,
        /// By how much for each row of the page asked for.
        #[serde(default)]
        per_row_us: u64,
    },
    /// The page ends with rows of another tenant.
    ForeignRows {
        /// How many.
        rows: u32,
    },
    /// Rows come into being at the head of the listing, so that the rest moves down.
    InsertRows {
        /// How many.
        rows: u32,
    },
    /// Rows vanish from the head of the listing, so that the rest moves up.
    DeleteRows {
        /// How many.
        rows: u32,
    },
    /// The page begins with rows of the page before it.
    DuplicateRows {
        /// How many.
        rows: u32,
    },
    /// The page's rows come in the opposite order.
    ReorderRows,
    /// Each row of the page has one member more, or another value in it.
    Member {
        /// Its name.
        name: String,
        /// Its value.
        value: serde_json::Value,
    },
    /// Part of an alert search fails inside a 200.
    RegionFailure,
    /// The caller is sent elsewhere.
    Redirect {
        /// Where to; to the simulator's own trap under another host name when absent.
        #[serde(default)]
        location: Option<String>,
    },
    /// The key of the request is revoked.
    RevokeKey,
    /// The exchange stands still until the faults are replaced, and then goes on as if nothing had been.
    Hold {
        /// Where it stands.
        at: Step,
    },
}

/// The steps of one exchange, as they can be told apart from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The connection is accepted, and nothing is read from it: the rule meets connections, and not requests.
    Accepted,
    /// The request is read, and nothing is answered.
    Received,
    /// The answer's head is sent.
    Head,
    /// The head and half of the body are sent.
    Half,
    /// The body is sent, in chunks: all but what says that it ends there.
    Whole,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [Self::Accepted, Self::Received, Self::Head, Self::Half, Self::Whole];
}

impl Fault {
    /// Returns the name under which the journal counts it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::Status { .. } => "status",
            Self::Html { .. } => "html",
            Self::Reset => "reset",
            Self::CutBody { .. } => "cut_body",
            Self::TruncatedJson => "truncated_json",
            Self::WrongContentType => "wrong_content_type",
            Self::Stall { .. } => "stall",
            Self::Latency { .. } => "latency",
            Self::ForeignRows { .. } => "foreign_rows",
            Self::InsertRows { .. } => "insert_rows",
            Self::DeleteRows { .. } => "delete_rows",
            Self::DuplicateRows { .. } => "duplicate_rows",
            Self::ReorderRows => "reorder_rows",
            Self::Member { .. } => "member",
            Self::RegionFailure => "region_failure",
            Self::Redirect { .. } => "redirect",
            Self::RevokeKey => "revoke_key",
            Self::Hold { .. } => "hold",
        }
    }
}

impl FaultRule {
    /// Returns a fault that befalls every request.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self {
            fault,
            probability: 1.0,
            nth: Vec::new(),
            after: 0,
            times: None,
            path: None,
            tenant: None,
            region: None,
            family: None,
            dataset: None,
            min_page: 0,
            above_size: None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.probability) {
            return Err("a fault's probability must lie between 0 and 1".to_owned());
        }
        match self.fault {
            Fault::Status { status } | Fault::Html { status } if !(200..600).contains(&status) => {
                Err(format!("a fault cannot answer with the status {status}"))
            }
            Fault::Hold { at: Step::Accepted } if self.looks_at_requests() => {
                Err("a connection is held before anything of a request is known".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether it befalls connections, before there is a request.
    pub(crate) fn is_of_connections(&self) -> bool {
        self.fault == Fault::Hold { at: Step::Accepted }
    }

    fn looks_at_requests(&self) -> bool {
        let named = [&self.path, &self.tenant, &self.region, &self.family];
        let named = named.into_iter().any(Option::is_some) || self.dataset.is_some();
        named || self.min_page > 0 || self.above_size.is_some()
    }

    /// Whether a request is one that it may befall.
    pub(crate) fn matches(&self, request: &Circumstances) -> bool {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        is(&self.tenant, request.tenant)
            && is(&self.region, request.region)
            && is(&self.family, request.family)
            && self.path.as_ref().is_none_or(|part| request.path.contains(part.as_str()))
            && self.dataset.is_none_or(|dataset| request.dataset == Some(dataset))
            && request.page >= self.min_page
            && self.above_size.is_none_or(|size| request.size > size)
    }
}
