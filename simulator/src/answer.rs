//! Answers and refusals, in the words of the API that gives them.

use http::StatusCode;

use crate::data::json::{put, put_int, put_str};
use crate::route::Manners;

pub(crate) const JSON: &str = "application/json";
const GATEWAY_JSON: &str = "application/json; charset=utf-8";

/// What goes back to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
    pub(crate) rows: u64,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// Returns an answer of JSON.
    pub(crate) fn json(status: StatusCode, body: Vec<u8>) -> Self {
        Self { status, content_type: JSON, body, rows: 0, headers: Vec::new() }
    }

    /// Returns a page of so many rows.
    pub(crate) fn page(body: Vec<u8>, rows: usize) -> Self {
        Self { rows: rows as u64, ..Self::json(StatusCode::OK, body) }
    }

    /// Returns what the gateway itself says.
    pub(crate) fn gateway(status: StatusCode, message: &str) -> Self {
        let mut body = Vec::with_capacity(48);
        put(&mut body, r#"{"message":"#);
        put_str(&mut body, message);
        body.push(b'}');
        Self { content_type: GATEWAY_JSON, ..Self::json(status, body) }
    }

    /// Returns a proxy's page of HTML.
    pub(crate) fn html(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or("Error");
        let code = status.as_u16();
        let body = format!(
            "<html>\r\n<head><title>{code} {reason}</title></head>\r\n<body>\r\n<center><h1>{code} {reason}</h1></center>\r\n</body>\r\n</html>\r\n"
        );
        Self { content_type: "text/html", ..Self::json(status, body.into_bytes()) }
    }
}

/// Why a request is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) message: String,
    /// Whether the gateway speaks, whatever API was asked.
    pub(crate) by_gateway: bool,
    /// What the journal calls a key at a wrong place.
    pub(crate) misplaced: Option<&'static str>,
}

impl Refusal {
    /// Refuses with a status in the words of the API asked.
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), by_gateway: false, misplaced: None }
    }

    /// Refuses a request that isn't well formed.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// Refuses in the gateway's words.
    pub(crate) fn gateway(status: u16, message: &str) -> Self {
        Self { by_gateway: true, ..Self::new(status, message) }
    }

    /// Remarks that a key came to a wrong place.
    pub(crate) fn misplaced(self, reason: &'static str) -> Self {
        Self { misplaced: Some(reason), ..self }
    }

    /// Returns the answer that says so.
    pub(crate) fn answer(&self, manners: Manners, correlation: &str) -> Answer {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match manners {
            _ if self.by_gateway => Answer::gateway(status, &self.message),
            Manners::Gateway => Answer::gateway(status, &self.message),
            Manners::Idr => {
                let mut body = Vec::with_capacity(128);
                put(&mut body, r#"{"message":"#);
                put_str(&mut body, &self.message);
                put(&mut body, r#","correlation_id":"#);
                put_str(&mut body, correlation);
                body.push(b'}');
                Answer::json(status, body)
            }
            Manners::Vm => Answer::json(status, spring_error(self.status, &self.message)),
        }
    }
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self::bad(message)
    }
}

fn spring_error(status: u16, message: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(256);
    if status >= 500 {
        // The server's own failures come without the type, and with the message twice.
        put(&mut body, r#"{"status":"#);
        put_int(&mut body, status);
        put(&mut body, r#","localized_message":"#);
        put_str(&mut body, message);
    } else {
        put(&mut body, r#"{"_type":"com.rapid7.spring.rest.error.resource.ErrorResource","status":"#);
        put_int(&mut body, status);
        put(&mut body, r#","localized_message":null"#);
    }
    put(&mut body, r#","message":"#);
    put_str(&mut body, message);
    put(&mut body, if status >= 500 { "}" } else { r#","throwable":null}"# });
    body
}
