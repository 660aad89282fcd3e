//! What is asked of the platform, and what comes back.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pipeline::{Error, ErrorKind, Result};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::sync::Mutex;
use url::Url;

use super::bodies::Taken;

/// A body of this length is not far longer than any that was expected.
const LONGER: u64 = 1 << 20;

/// One request, without the host, the key and the tenant: those are the client's.
#[derive(Debug, Clone)]
pub struct Call {
    pub(super) what: Cow<'static, str>,
    pub(super) family: &'static str,
    pub(super) method: Method,
    pub(super) path: Cow<'static, str>,
    pub(super) query: Vec<(Cow<'static, str>, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    pub(super) safe: bool,
    pub(super) can_shrink: bool,
    pub(super) expected_bytes: Option<u64>,
    pub(super) most_bytes: Option<usize>,
    pub(super) spent: Spent,
    pub(super) turn: Arc<Mutex<()>>,
}

impl Call {
    /// Creates a reading call that spends a family's budget; `what` is what its errors say failed.
    pub fn get(
        family: &'static str,
        what: impl Into<Cow<'static, str>>,
        path: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            what: what.into(),
            family,
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: None,
            safe: true,
            can_shrink: false,
            expected_bytes: None,
            most_bytes: None,
            spent: Spent::default(),
            turn: Arc::default(),
        }
    }

    /// Creates a reading call that asks with a JSON body, such as a search.
    pub fn search(
        family: &'static str,
        what: impl Into<Cow<'static, str>>,
        path: impl Into<Cow<'static, str>>,
        body: impl Into<Bytes>,
    ) -> Self {
        Self { method: Method::POST, body: Some(body.into()), ..Self::get(family, what, path) }
    }

    /// Creates a call that changes something: it is sent again only where it surely had no effect.
    pub fn change(
        method: Method,
        family: &'static str,
        what: impl Into<Cow<'static, str>>,
        path: impl Into<Cow<'static, str>>,
        body: Option<Bytes>,
    ) -> Self {
        Self { method, body, safe: false, ..Self::get(family, what, path) }
    }

    /// Adds a query parameter; the client encodes it.
    #[must_use]
    pub fn query(mut self, name: impl Into<Cow<'static, str>>, value: impl fmt::Display) -> Self {
        self.query.push((name.into(), value.to_string()));
        self
    }

    /// Adds a header; those that carry the key, the tenant and the host stay the client's.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Says that the caller can ask for a smaller page: it then hears early that this one is too slow.
    #[must_use]
    pub fn can_shrink(mut self, can: bool) -> Self {
        self.can_shrink = can;
        self
    }

    /// Says that the answer's body waits until there is room for it in memory, which the [`Answer`] then holds: for so
    /// many bytes, where it does not say itself how long it is. What is held has to be given back without waiting for
    /// another such call.
    #[must_use]
    pub fn in_room_for(mut self, bytes: u64) -> Self {
        self.expected_bytes = Some(bytes);
        self
    }

    /// Says how long the answer's body should be: where a smaller page can be asked for, one that is far longer is given
    /// up.
    #[must_use]
    pub fn of_about(mut self, bytes: u64) -> Self {
        let most = bytes.saturating_mul(2).max(LONGER);
        self.most_bytes = Some(usize::try_from(most).unwrap_or(usize::MAX));
        self
    }

    /// Says what larger pages of the same records cost in vain: all of them share one bound, and are counted together.
    #[must_use]
    pub fn spent(mut self, spent: Spent) -> Self {
        self.spent = spent;
        self
    }

    /// Says whose answers are decoded one at a time: one that waits for another keeps no core meanwhile.
    #[must_use]
    pub fn in_turn(mut self, turn: &Arc<Mutex<()>>) -> Self {
        self.turn = turn.clone();
        self
    }

    /// Returns the URL below a base, which the path can neither leave nor climb out of.
    pub(super) fn url(&self, base: &Url) -> Result<Url> {
        if !stays_below(&self.path) {
            return Err(Error::new(ErrorKind::Bug, format!("{}: build a path below the host", self.what)));
        }
        let mut url = base.clone();
        url.set_path(&format!("{}{}", base.path().trim_end_matches('/'), self.path));
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}

/// Returns whether a path is absolute and has no segment that means "this" or "above", in any spelling.
fn stays_below(path: &str) -> bool {
    let dots = |segment: &str| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    };
    path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains(['\\', '?', '#'])
        && !path.chars().any(char::is_control)
        && !path.split('/').any(dots)
}

/// A decoded answer and what it took.
#[derive(Debug)]
pub struct Answer<T> {
    /// What was decoded.
    pub value: T,
    /// Requests sent for it, the failed ones too.
    pub requests: u64,
    /// Bytes of the body, decompressed.
    pub bytes: u64,
    /// How long the last attempt took, from sending to the body's last byte.
    pub elapsed: Duration,
    /// The room in memory that was taken for it; to be held until what was decoded is written.
    pub room: Option<Taken>,
}

/// Why a body of a good status was not taken.
#[derive(Debug)]
pub enum BadBody {
    /// It is cut short or is not what it should be: asking again may bring a better one.
    Malformed(Box<dyn StdError + Send + Sync>),
    /// It is whole, and must not be asked for again.
    Final(Error),
}

impl BadBody {
    /// Says that a body is not what it should be.
    pub fn malformed(why: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Malformed(why.into())
    }
}

impl From<Error> for BadBody {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// What was spent on records that did not come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// The time that attempts and pauses took.
    pub time: Duration,
    /// Requests sent.
    pub requests: u64,
    /// How many bytes of the last answer came before it was found too large; none where that is not why.
    pub bytes: u64,
    /// Whether nobody in the region was answered, so that it tells nothing of the size.
    pub in_outage: bool,
}

impl Spent {
    /// Returns whether it was on a larger page that took too long, and not on one that is too large.
    pub(crate) fn is_on_slow(&self) -> bool {
        self.requests > 0 && self.bytes == 0
    }

    /// Returns the size of that page, where it is why it took too long.
    pub(crate) fn too_slow(&self, size: u64) -> Option<u64> {
        (self.is_on_slow() && !self.in_outage).then_some(size)
    }
}

/// Why a call brought no answer.
#[derive(Debug)]
pub enum SendError {
    /// The page took too long or is too large, more than once: a smaller one may pass.
    /// Only for calls that [can shrink](Call::can_shrink); with what was spent on it.
    TooSlow(Error, Spent),
    /// The page takes too long, and there is no time left to find out whether a smaller one passes.
    /// Only for calls that [can shrink](Call::can_shrink).
    OutOfTime(Error),
    /// The platform answered with a status that no retry mends.
    Answered(StatusCode, Error),
    /// Anything else.
    Failed(Error),
}

impl SendError {
    /// Returns the error itself.
    #[must_use]
    pub fn error(&self) -> &Error {
        match self {
            Self::TooSlow(error, _)
            | Self::OutOfTime(error)
            | Self::Answered(_, error)
            | Self::Failed(error) => error,
        }
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::TooSlow(error, _)
            | SendError::OutOfTime(error)
            | SendError::Answered(_, error)
            | SendError::Failed(error) => error,
        }
    }
}

impl From<Error> for SendError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &'static str, expected: Option<&str>) {
        let base = Url::parse("http://127.0.0.1:9400/eu").expect("a URL");
        let url = Call::get("vm", "read", path).query("a b", "1&2").url(&base);
        assert_eq!(url.ok().as_ref().map(Url::as_str), expected, "{path}");
    }

    #[test]
    fn a_path_cannot_leave_the_host_or_the_region() {
        check("/vm/v4/assets", Some("http://127.0.0.1:9400/eu/vm/v4/assets?a+b=1%262"));
        check("/idr/rrn:x:eu:1", Some("http://127.0.0.1:9400/eu/idr/rrn:x:eu:1?a+b=1%262"));
        check("/x y", Some("http://127.0.0.1:9400/eu/x%20y?a+b=1%262"));
        for path in [
            "",
            "vm",
            "https://evil.example/",
            "//evil.example/",
            "/../us/vm",
            "/vm/%2E%2e/%2e./us",
            "/vm/./x",
            "/\\evil.example",
            "/vm?x=1",
            "/vm#x",
            "/vm\n",
        ] {
            check(path, None);
        }
    }
}
