//! Why an attempt failed, what can be done about it, and how it is told.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use pipeline::{Error, ErrorKind};
use reqwest::StatusCode;

use super::attempt::is_part;

/// A failed attempt.
#[derive(Debug)]
pub(super) enum Failure {
    /// No whole answer came.
    Transport { error: reqwest::Error, unsent: bool, slow: bool },
    /// Who answers has no certificate that is accepted, so nothing was sent.
    Untrusted(reqwest::Error),
    /// The platform answered with a status that is no success.
    Status { status: StatusCode, message: Option<String>, wait: Option<Duration> },
    /// The answer points elsewhere; the key does not follow it.
    Redirect { status: StatusCode, to: Option<String> },
    /// The body is larger than any page should be.
    TooLarge { limit: usize },
    /// The status was good, the body was not.
    Malformed(Box<dyn StdError + Send + Sync>),
    /// The decoder refused the body for good.
    Refused(Error),
}

/// What can be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Ask again after a pause: the server's, where it named one.
    Again(Option<Duration>),
    /// Ask again when the budget grants it; after the server's wait, where it named one.
    WhenGranted(Option<Duration>),
    /// Find out whether the key or the tenant is meant.
    AskOfKey,
    /// Nothing.
    None,
}

impl Failure {
    /// Tells a transport failure's sort from the client's error.
    pub(super) fn transport(error: reqwest::Error) -> Self {
        if is_untrusted(&error) {
            return Self::Untrusted(error.without_url());
        }
        let unsent = error.is_connect();
        let slow = error.is_timeout() && !unsent;
        // The URL's query is the caller's business and no error's.
        Self::Transport { error: error.without_url(), unsent, slow }
    }

    /// Returns what can be done; a call that is not safe is repeated only where it surely had no effect.
    pub(super) fn remedy(&self, safe: bool) -> Remedy {
        match self {
            Self::Status { status, wait, .. } => match remedy_of(*status, *wait) {
                Remedy::Again(_) if !safe => Remedy::None,
                remedy => remedy,
            },
            Self::Transport { unsent: true, .. } => Remedy::Again(None),
            Self::Transport { .. } | Self::Redirect { .. } | Self::Malformed(_) if safe => {
                Remedy::Again(None)
            }
            Self::Transport { .. }
            | Self::Redirect { .. }
            | Self::Malformed(_)
            | Self::Untrusted(_)
            | Self::TooLarge { .. }
            | Self::Refused(_) => Remedy::None,
        }
    }

    /// Returns whether the page was too much for the server's time, so that a smaller one may pass.
    pub(super) fn is_slow(&self) -> bool {
        match self {
            Self::Transport { slow, .. } => *slow,
            Self::Status { status, .. } => {
                matches!(*status, StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT)
            }
            _ => false,
        }
    }

    /// Returns whether it may be that the host answers nobody: it did not, or says that it cannot.
    pub(super) fn may_be_outage(&self) -> bool {
        match self {
            Self::Transport { .. } => true,
            Self::Status { status, .. } => *status == StatusCode::REQUEST_TIMEOUT || status.is_server_error(),
            _ => false,
        }
    }

    /// Returns how many bytes came before they were found too many.
    pub(super) fn bytes(&self) -> u64 {
        if let Self::TooLarge { limit } = self { *limit as u64 } else { 0 }
    }

    /// Returns whether the page is too large to be read at all.
    pub(super) fn is_too_large(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Status { status: StatusCode::PAYLOAD_TOO_LARGE, .. })
    }

    /// Returns the status that the platform answered with, where that is the failure.
    pub(super) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } | Self::Redirect { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Returns it as the error of a call.
    pub(super) fn into_error(self, what: &str) -> Error {
        match self {
            Self::Transport { error, unsent, slow } => {
                let how = match (unsent, slow) {
                    (true, _) => "the platform cannot be reached",
                    (_, true) => "the platform did not answer in time",
                    _ => "the connection broke before the whole answer was there",
                };
                Error::new(ErrorKind::Unavailable, format!("{what}: {how}"))
                    .with_source(error)
                    .with_hint("look at the network and the platform's status page, and run again later")
            }
            Self::Untrusted(error) => {
                Error::new(ErrorKind::Unavailable, format!("{what}: the other side's certificate was not accepted"))
                    .with_source(error)
                    .with_hint(
                        "the key was not sent; look at the endpoint, this machine's clock and its certificate \
                         authorities (`ca-certificates`); where a proxy of your own opens TLS, name the file of \
                         its authority in SSL_CERT_FILE",
                    )
            }
            Self::Status { status, message, .. } => answered(what, status, message),
            Self::Redirect { status, to } => {
                let to = to.map_or_else(String::new, |host| format!(" to {host}"));
                let code = status.as_u16();
                Error::new(
                    ErrorKind::Unavailable,
                    format!("{what}: the platform answered {code}, a redirect{to}"),
                )
                .with_hint("the key is never sent elsewhere; look at the endpoint and at proxies in between")
            }
            Self::TooLarge { limit } => Error::new(
                ErrorKind::Contract,
                format!("{what}: the answer is larger than {} MiB", limit >> 20),
            )
            .with_hint(NEWER),
            Self::Malformed(cause) => {
                Error::new(ErrorKind::Contract, format!("{what}: the platform's answer cannot be read"))
                    .with_source(cause)
                    .with_hint(NEWER)
            }
            Self::Refused(error) => error,
        }
    }
}

/// Returns whether a connection was given up because of the other side's certificate.
fn is_untrusted(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return true;
        }
        cause = match error.downcast_ref::<io::Error>() {
            // Its `source` is that of the error it was made of, and leaves that one out.
            Some(error) => error.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    false
}

/// What helps where the platform does something that this version of the program does not know.
const NEWER: &str =
    "run again later; where it stays so, the platform changed: look for a newer version of tenantry";

fn remedy_of(status: StatusCode, wait: Option<Duration>) -> Remedy {
    match status.as_u16() {
        429 => Remedy::WhenGranted(wait),
        401 => Remedy::AskOfKey,
        501 | 505 => Remedy::None,
        _ if is_part(status) => Remedy::Again(wait),
        408 | 425 | 500.. => Remedy::Again(wait),
        _ => Remedy::None,
    }
}

fn answered(what: &str, status: StatusCode, message: Option<String>) -> Error {
    let (kind, hint) = match status.as_u16() {
        429 => (ErrorKind::RateLimited, "run again later, or leave the key to one program at a time"),
        402 | 403 => (
            ErrorKind::Forbidden,
            "the key lacks a right or the tenant a licence: grant it, or leave the dataset out",
        ),
        401 => (
            ErrorKind::Unauthorized,
            "the key is good, but not for this tenant: its region may be wrong, or it lacks the product's licence",
        ),
        _ if is_part(status) => (
            ErrorKind::Unavailable,
            "that is no whole answer: it is late, in parts or changed on its way; run again later",
        ),
        408 | 425 | 500.. => {
            (ErrorKind::Unavailable, "look at the platform's status page, and run again later")
        }
        404 | 410 => (
            ErrorKind::Contract,
            "nothing is there: look at the tenant's region and at `endpoint`; else the platform moved it",
        ),
        _ => (ErrorKind::Contract, NEWER),
    };
    let message = message.map_or_else(String::new, |message| format!(" ({message})"));
    Error::new(kind, format!("{what}: the platform answered {}{message}", status.as_u16())).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, safe: bool, remedy: Remedy, kind: ErrorKind) {
        let status = StatusCode::from_u16(status).expect("a status");
        let failure = Failure::Status { status, message: None, wait: None };
        assert_eq!(failure.remedy(safe), remedy, "{status} {safe}");
        assert_eq!(failure.into_error("read").kind(), kind, "{status}");
    }

    #[test]
    fn each_status_has_its_remedy_and_its_kind() {
        for status in [202, 203, 206, 207, 408, 425, 500, 502, 503, 504, 520] {
            check(status, true, Remedy::Again(None), ErrorKind::Unavailable);
            check(status, false, Remedy::None, ErrorKind::Unavailable);
        }
        for status in [400, 404, 405, 409, 410, 413, 415, 422, 418] {
            check(status, true, Remedy::None, ErrorKind::Contract);
        }
        for safe in [true, false] {
            check(429, safe, Remedy::WhenGranted(None), ErrorKind::RateLimited);
            check(401, safe, Remedy::AskOfKey, ErrorKind::Unauthorized);
            check(403, safe, Remedy::None, ErrorKind::Forbidden);
            check(402, safe, Remedy::None, ErrorKind::Forbidden);
            check(501, safe, Remedy::None, ErrorKind::Unavailable);
        }
    }

    #[test]
    fn what_is_no_status_is_repeated_only_where_that_is_harmless() {
        let bad = || Failure::Malformed("cut".into());
        let away = || Failure::Redirect { status: StatusCode::FOUND, to: Some("evil.example".to_owned()) };
        for failure in [bad(), away()] {
            assert_eq!(failure.remedy(true), Remedy::Again(None), "{failure:?}");
            assert_eq!(failure.remedy(false), Remedy::None, "{failure:?}");
        }
        assert_eq!(Failure::TooLarge { limit: 1 }.remedy(true), Remedy::None);
        assert_eq!(bad().into_error("read").kind(), ErrorKind::Contract);
        assert!(away().into_error("read").to_string().contains("evil.example"));
    }
}
