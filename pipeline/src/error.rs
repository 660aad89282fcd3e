//! The one error that crosses crate borders: a kind to branch on, a message, context and a source.

use std::error::Error as StdError;
use std::fmt;

use serde::Serialize;

/// A result of this workspace.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who has to act now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The operator has to change the command.
    Usage,
    /// The operator has to change the run file.
    Config,
    /// The key itself is refused everywhere: the operator renews it, and the run ends at once.
    Auth,
    /// One tenant refuses a key that is otherwise good: wrong region or no licence.
    Unauthorized,
    /// The key lacks a right for this tenant and dataset.
    Forbidden,
    /// The platform refused for want of budget after every retry; running again later helps.
    RateLimited,
    /// The platform could not be reached or did not answer; running again later helps.
    Unavailable,
    /// The answer no longer fits what the connector knows: a developer has to look.
    Contract,
    /// An answer held another tenant's records: they were kept out, and the tenant was stopped.
    Isolation,
    /// The listing shifted while it was read, and reading again did not settle it; running again may.
    Drifted,
    /// A listing holds far less than the last one: somebody has to confirm that it is so.
    Shrunk,
    /// The place the data goes to refused: disk, bucket or permission.
    Sink,
    /// Another run committed to a tenant's pull first; running again goes on from there.
    Overtaken,
    /// What was committed of a tenant is gone, was changed since or cannot be true: somebody has to put it right.
    Damaged,
    /// The operator interrupted the run.
    Cancelled,
    /// A defect of this program.
    Bug,
}

impl ErrorKind {
    /// Returns whether every other tenant would fail the same way, so that the run must end.
    #[must_use]
    pub fn ends_run(self) -> bool {
        matches!(self, Self::Auth | Self::Sink | Self::Bug | Self::Usage | Self::Config)
    }
}

/// An error with what was being done, to whom, and what helps.
///
/// `Display` is the message alone, a lower-case fragment that could follow "failed to"; causes stay in
/// [`StdError::source`], the rest in [`Error::context`] and [`Error::hint`].
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    context: Vec<(&'static str, String)>,
    hint: Option<String>,
    requests: u64,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error of a kind with a message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            context: Vec::new(),
            hint: None,
            requests: 0,
            source: None,
        }))
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds one fact about where it happened; the first value given for a name stays.
    #[must_use]
    pub fn with_context(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if !self.0.context.iter().any(|(known, _)| *known == name) {
            self.0.context.push((name, value.into()));
        }
        self
    }

    /// Adds what the operator can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Says what the work that failed had cost.
    #[must_use]
    pub fn with_requests(mut self, requests: u64) -> Self {
        self.0.requests = requests;
        self
    }

    /// Returns how many requests were sent in vain.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.0.requests
    }

    /// Returns the error as one of another kind, where somebody else has to act.
    #[must_use]
    pub fn of_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Returns who has to act.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the facts about where it happened, in the order they were added.
    #[must_use]
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }

    /// Returns what the operator can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Returns the message followed by every cause, on one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !line.ends_with(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_every_cause_once() {
        let cause = std::io::Error::other("disk on fire");
        let error = Error::new(ErrorKind::Sink, "write the file").with_source(cause);
        assert_eq!(error.chain(), "write the file: disk on fire");
    }

    #[test]
    fn the_innermost_context_stays() {
        let error = Error::new(ErrorKind::Bug, "x").with_context("tenant", "a").with_context("tenant", "b");
        assert_eq!(error.context(), [("tenant", "a".to_owned())]);
    }
}
