//! One attempt: the request, the answer's head, its body and the decoding.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use pipeline::{Clock, Cores, Secret, SystemClock};
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Client, Request, Response, StatusCode};
use tokio::time::timeout_at;

use super::BadBody;
use super::bodies::Room;
use super::budget::Outcome;
use super::failure::Failure;
use super::told::Told;
use super::turns::Permit;

/// Bodies below this are decoded on the spot: handing them to another thread costs more.
const SMALL: usize = 16 << 10;
/// Chunks below this are put together: each that is kept by itself takes as much again, or holds far more than its own.
const CRUMB: usize = 4 << 10;
/// What they are put together to.
const PIECE: usize = 64 << 10;
/// What is read of an error's body; its message stands at the beginning.
const EXCERPT: usize = 16 << 10;
/// What is shown of it.
const SHOWN: usize = 200;

/// Sends a request and returns its answer, once the budget has heard of it.
pub(super) async fn send(
    client: &Client,
    request: Request,
    permit: &mut Permit,
) -> Result<Response, Failure> {
    let response = client.execute(request).await.map_err(Failure::transport)?;
    let told = Told::read(response.headers(), || SystemClock.now());
    let refused = response.status() == StatusCode::TOO_MANY_REQUESTS;
    permit.answered(if refused { Outcome::Refused } else { Outcome::Accepted }, &told);
    Ok(response)
}

/// Returns why a success is no answer to a reading call: it is not there yet, was changed on its way, or is a part.
pub(super) fn not_whole(response: &Response) -> Option<Failure> {
    let status = response.status();
    let wait = Told::read(response.headers(), || SystemClock.now()).retry_after;
    is_part(status).then_some(Failure::Status { status, message: None, wait })
}

/// Returns whether a success says that its answer is late, in parts or changed on its way.
pub(super) fn is_part(status: StatusCode) -> bool {
    matches!(status.as_u16(), 202 | 203 | 206 | 207)
}

/// Returns the body of a good answer, or why the answer is none.
pub(super) async fn body(
    response: Response,
    limit: usize,
    room: &mut Option<Room>,
    key: &Secret,
) -> Result<Bytes, Failure> {
    let status = response.status();
    if status.is_redirection() {
        return Err(Failure::Redirect { status, to: redirect_host(response.headers()) });
    }
    if !status.is_success() {
        let wait = Told::read(response.headers(), || SystemClock.now()).retry_after;
        let message = excerpt(response).await.and_then(|body| message(&body, key));
        return Err(Failure::Status { status, message, wait });
    }
    if is_html(response.headers()) {
        return Err(Failure::Malformed("it is a web page".into()));
    }
    read(response, limit, room).await
}

/// Decodes a body, away from the threads that wait for the network if it is large.
pub(super) async fn decode<T: Send + 'static, D>(
    body: Bytes,
    decode: &Arc<D>,
    cores: &Arc<Cores>,
) -> Result<T, Failure>
where
    D: Fn(Bytes) -> Result<T, BadBody> + Send + Sync + ?Sized + 'static,
{
    let decoded = if body.len() < SMALL {
        decode(body)
    } else {
        let decode = decode.clone();
        cores.run(move || decode(body)).await.map_err(Failure::Refused)?
    };
    decoded.map_err(|bad| match bad {
        BadBody::Malformed(why) => Failure::Malformed(why),
        BadBody::Final(error) => Failure::Refused(error),
    })
}

async fn read(mut response: Response, limit: usize, room: &mut Option<Room>) -> Result<Bytes, Failure> {
    let too_large = || Failure::TooLarge { limit };
    let expected = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    if expected > limit {
        return Err(too_large());
    }
    // A buffer that grows would leave its smaller selves behind, as many bytes again, for each of many bodies.
    let mut pieces = Vec::new();
    let mut crumbs = BytesMut::new();
    let mut bytes = 0;
    let mut is_slow = false;
    loop {
        let chunk = match room {
            Some(room) if !is_slow => match timeout_at(room.until, response.chunk()).await {
                Ok(chunk) => chunk,
                Err(_) => {
                    is_slow = true;
                    room.shrink(bytes);
                    continue;
                }
            },
            _ => response.chunk().await,
        };
        let Some(chunk) = chunk.map_err(Failure::transport)? else { break };
        bytes += chunk.len();
        if bytes > limit {
            return Err(too_large());
        }
        if !room.as_mut().is_none_or(|room| room.grow(bytes)) {
            return Err(Failure::TooLarge { limit: bytes });
        }
        let is_crumb = chunk.len() < CRUMB;
        if is_crumb {
            crumbs.extend_from_slice(&chunk);
        }
        if !crumbs.is_empty() && (!is_crumb || crumbs.len() >= PIECE) {
            pieces.push(crumbs.split().freeze());
        }
        if !is_crumb {
            pieces.push(chunk);
        }
    }
    if let Some(room) = room {
        room.shrink(bytes);
    }
    if pieces.is_empty() {
        return Ok(crumbs.freeze());
    }
    let mut body = BytesMut::with_capacity(bytes);
    for piece in pieces {
        body.extend_from_slice(&piece);
    }
    body.extend_from_slice(&crumbs);
    Ok(body.freeze())
}

fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.trim_start().get(..9).is_some_and(|start| start.eq_ignore_ascii_case("text/html"))
}

/// Returns the host that a redirect points to; the rest of the link may be a secret.
fn redirect_host(headers: &HeaderMap) -> Option<String> {
    let link = headers.get(LOCATION)?.to_str().ok()?;
    match url::Url::parse(link) {
        Ok(url) => url.host_str().map(str::to_owned),
        Err(_) => Some("another path of the same host".to_owned()),
    }
}

async fn excerpt(mut response: Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk[..chunk.len().min(EXCERPT - body.len())]);
        if body.len() == EXCERPT {
            break;
        }
    }
    (!body.is_empty()).then_some(body)
}

/// Returns what an error's body says to people: on one line, cut, and without the key.
fn message(body: &[u8], key: &Secret) -> Option<String> {
    let text = match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(value) => said(&value)?.to_owned(),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let text = key.scrub(&text);
    let line = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line: String = line.collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect();
    (!line.is_empty()).then_some(line)
}

fn said(value: &serde_json::Value) -> Option<&str> {
    ["message", "localized_message", "error", "error_description"].iter().find_map(|name| {
        let member = value.get(name)?;
        member.as_str().or_else(|| member.get("message")?.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Option<&str>) {
        assert_eq!(message(body.as_bytes(), &Secret::new("hunter2")).as_deref(), expected, "{body}");
    }

    #[test]
    fn an_error_s_body_becomes_one_short_line_without_the_key() {
        check(r#"{"message":"Unauthorized"}"#, Some("Unauthorized"));
        check(r#"{"error":{"errorCode":"500","message":"no such job"}}"#, Some("no such job"));
        check(r#"{"error":"Forbidden"}"#, Some("Forbidden"));
        check(r#"{"message":"key hunter2 is unknown"}"#, Some("key **** is unknown"));
        check("<h1>Bad\r\n  Gateway</h1>\u{1b}[2J", Some("<h1>Bad Gateway</h1> [2J"));
        check(r#"{"status":500}"#, None);
        check("", None);
        check(&"é".repeat(500), Some(&"é".repeat(200)));
    }

    #[test]
    fn a_redirect_shows_its_host_and_nothing_else() {
        for (link, expected) in [
            ("https://evil.example/x?signature=secret", Some("evil.example")),
            ("/login?next=secret", Some("another path of the same host")),
        ] {
            let headers = HeaderMap::from_iter([(LOCATION, link.parse().expect("a value"))]);
            assert_eq!(redirect_host(&headers).as_deref(), expected);
        }
        assert_eq!(redirect_host(&HeaderMap::new()), None);
    }

    #[test]
    fn a_web_page_is_known_by_its_type() {
        for (kind, expected) in [
            ("text/html; charset=utf-8", true),
            ("Text/HTML", true),
            ("application/json", false),
            ("text/csv", false),
            ("é", false),
        ] {
            let value = reqwest::header::HeaderValue::from_bytes(kind.as_bytes()).expect("a value");
            assert_eq!(is_html(&HeaderMap::from_iter([(CONTENT_TYPE, value)])), expected, "{kind}");
        }
    }
}
