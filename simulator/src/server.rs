//! Serves the platform on a loopback port, and stops it again.

use std::fmt;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::body::{Line, Outgoing};
use crate::call::{Call, Outcome};
use crate::clock;
use crate::config::SimulatorConfig;
use crate::control;
use crate::faults::{Fault, Step};
use crate::handle::Handle;
use crate::platform::Platform;

/// The longest request body read.
const LARGEST_REQUEST: usize = 1 << 20;
/// Answers shorter than this gain nothing from compression.
const WORTH_COMPRESSING: usize = 1024;
/// How long connections may finish what they are doing when the platform stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// Starts simulated platforms.
#[derive(Debug)]
pub struct Simulator;

/// Tells why a platform could not start.
#[derive(Debug)]
pub enum StartError {
    /// The description cannot be served.
    Config(String),
    /// The port cannot be had.
    Bind {
        /// The port asked for.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(what) => f.write_str(what),
            Self::Bind { port, .. } => write!(f, "listen on 127.0.0.1:{port}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(_) => None,
            Self::Bind { source, .. } => Some(source),
        }
    }
}

impl Simulator {
    /// Starts a platform on the current runtime; it serves until the handle is stopped or dropped.
    ///
    /// # Errors
    /// The configuration cannot be served, or the port is taken.
    pub async fn start(config: SimulatorConfig) -> Result<Handle, StartError> {
        config.check().map_err(StartError::Config)?;
        let port = config.port;
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = bound.map_err(|source| StartError::Bind { port, source })?;
        let address = listener.local_addr().map_err(|source| StartError::Bind { port, source })?;
        let now_ms = end_of_data(config.now);
        let platform = Platform::new(config, address.port(), now_ms).map_err(StartError::Config)?;
        let platform = Arc::new(platform);
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(serve(listener, platform.clone(), stopped));
        Ok(Handle::new(platform, address, Serving { stop, serving }))
    }
}

/// The default is the start of the day, so that two starts on one day serve the same bytes.
fn end_of_data(now: Option<DateTime<Utc>>) -> i64 {
    const DAY_MS: i64 = 86_400_000;
    let now = now.map(|now| now.timestamp_millis());
    now.unwrap_or_else(|| clock::now().timestamp_millis().div_euclid(DAY_MS) * DAY_MS)
}

/// The tasks of a running platform.
#[derive(Debug)]
pub(crate) struct Serving {
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Serving {
    /// Lets the connections finish and waits for it.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.serving.await {
            tracing::warn!(%error, "the simulated platform ended badly");
        }
    }
}

async fn serve(listener: TcpListener, platform: Arc<Platform>, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, peer, platform.clone(), stopped.clone()));
                }
                // Out of file descriptors, mostly: waiting is what helps.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            _ = stopped.changed() => break,
        }
    }
    drop(listener);
    let all_gone = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(FAREWELL, all_gone).await.is_err() {
        connections.shutdown().await;
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    platform: Arc<Platform>,
    mut stopped: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small answers may be late");
    }
    platform.journal().connect();
    let hold = platform.faults().strike_connection();
    if let Some(hold) = hold {
        hold.wait(platform.clone()).await;
    }
    let keep_alive = platform.config.keep_alive;
    let reset = Arc::new(AtomicBool::new(false));
    let line = TokioIo::new(Line::new(stream, reset.clone()));
    let service = service_fn(move |request| answer(platform.clone(), reset.clone(), request));
    let serving =
        http1::Builder::new().timer(TokioTimer::new()).keep_alive(keep_alive).serve_connection(line, service);
    tokio::pin!(serving);
    loop {
        tokio::select! {
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "a connection ended early");
                }
                return;
            }
            _ = stopped.changed() => serving.as_mut().graceful_shutdown(),
        }
        // The channel stays changed once its sender is gone, so from here on only the connection is awaited.
        if stopped.has_changed().is_err() || *stopped.borrow() {
            let _ = serving.as_mut().await;
            return;
        }
    }
}

/// Counts a request out of the journal when it is over, however that comes about.
#[derive(Debug)]
struct Leaving {
    platform: Arc<Platform>,
    tenant: String,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.platform.journal().leave(&self.tenant);
    }
}

type Reply = Response<Outgoing<Option<Leaving>>>;

async fn answer(
    platform: Arc<Platform>,
    reset: Arc<AtomicBool>,
    request: http::Request<Incoming>,
) -> io::Result<Reply> {
    let (parts, incoming) = request.into_parts();
    if parts.uri.path() == "/_sim" || parts.uri.path().starts_with("/_sim/") {
        let body = read(incoming).await?;
        let answer = control::answer(&platform, &parts, body).await;
        let reply = reply(answer.status, answer.content_type, Outgoing::whole(answer.body, None));
        return Ok(dated(reply, &platform));
    }
    let call = Call::new(&platform, &parts);
    let arrival = call.arrival();
    platform.journal().arrive(&arrival);
    let leaving = Leaving { platform: platform.clone(), tenant: arrival.tenant.to_owned() };
    let body = read(incoming).await?;
    match call.answer(body).await {
        Ok(mut outcome) => {
            if let Some(hold) = outcome.hold.take_if(|hold| hold.at == Step::Received) {
                hold.wait(platform.clone()).await;
            }
            Ok(dated(dress(outcome, &platform, &parts, leaving), &platform))
        }
        Err(error) => {
            reset.store(true, Ordering::Relaxed);
            Err(error)
        }
    }
}

async fn read(incoming: Incoming) -> io::Result<Bytes> {
    if incoming.is_end_stream() {
        return Ok(Bytes::new());
    }
    let collected = Limited::new(incoming, LARGEST_REQUEST).collect().await;
    Ok(collected.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?.to_bytes())
}

fn reply(status: StatusCode, content_type: &'static str, body: Outgoing<Option<Leaving>>) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// Dates an answer by the platform's own time, where it has one; otherwise the server dates it by the machine's.
fn dated(mut reply: Reply, platform: &Platform) -> Reply {
    let date = platform.own_time().map(clock::http_date);
    if let Some(Ok(date)) = date.map(|date| HeaderValue::from_str(&date)) {
        reply.headers_mut().insert(http::header::DATE, date);
    }
    reply
}

/// Puts the gateway's headers on an answer, and spoils what a fault wants spoiled.
fn dress(
    outcome: Outcome,
    platform: &Arc<Platform>,
    parts: &http::request::Parts,
    leaving: Leaving,
) -> Reply {
    let Outcome { answer, correlation, blow, hold, .. } = outcome;
    let mut bytes = answer.body;
    let zipped = platform.config.gzip && bytes.len() >= WORTH_COMPRESSING && accepts_gzip(parts);
    if let Some(Fault::Member { name, value }) = &blow {
        bytes = with_member(&bytes, name, value);
    }
    if blow == Some(Fault::TruncatedJson) {
        bytes.truncate(bytes.len() / 2);
    }
    if zipped {
        bytes = zip(&bytes);
    }
    let length = bytes.len();
    let leaving = Some(leaving);
    let cut = matches!(blow, Some(Fault::CutBody { .. }));
    if cut {
        bytes.truncate(length / 2);
    }
    let body = match hold {
        Some(hold) => Outgoing::held(bytes, hold, platform, leaving),
        None if cut => Outgoing::cut(bytes, leaving),
        None => Outgoing::whole(bytes, leaving),
    };
    let content_type = if blow == Some(Fault::WrongContentType) { "text/plain" } else { answer.content_type };
    let mut reply = reply(answer.status, content_type, body);
    let headers = reply.headers_mut();
    if blow == Some(Fault::CutBody { chunked: false }) {
        headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if zipped {
        headers.insert(http::header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    for (name, value) in gateway_headers(parts.uri.path()) {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(&correlation) {
        headers.insert("r7-correlation-id", value);
    }
    for (name, value) in answer.headers {
        if let (name, Ok(value)) = (HeaderName::from_static(name), HeaderValue::from_str(&value)) {
            headers.insert(name, value);
        }
    }
    reply
}

/// Returns a page whose rows have a member; any other body as it is.
fn with_member(body: &[u8], name: &str, value: &Value) -> Vec<u8> {
    let Ok(mut page) = serde_json::from_slice::<Value>(body) else { return body.to_owned() };
    let rows = match &mut page {
        Value::Array(rows) => Some(rows),
        Value::Object(page) => {
            let named =
                ["data", "alerts"].into_iter().find(|name| page.get(*name).is_some_and(Value::is_array));
            named.and_then(|name| page.get_mut(name)?.as_array_mut())
        }
        _ => None,
    };
    for row in rows.into_iter().flatten().filter_map(Value::as_object_mut) {
        row.insert(name.to_owned(), value.clone());
    }
    page.to_string().into_bytes()
}

/// Returns the headers that betray the gateway, and those that only some of its services add.
fn gateway_headers(path: &str) -> &'static [(&'static str, &'static str)] {
    const COMMON: (&str, &str) = ("via", "kong/3.4.0");
    const UPSTREAM: (&str, &str) = ("x-kong-upstream-latency", "12");
    const PROXY: (&str, &str) = ("x-kong-proxy-latency", "1");
    if path.contains("/account/api/") {
        &[COMMON, UPSTREAM, PROXY, ("www-authenticate", "Key realm=\"kong\"")]
    } else if path.ends_with("/validate") {
        &[COMMON, PROXY, ("vary", "Origin"), ("access-control-allow-credentials", "true")]
    } else if path.contains("/idr/at/") {
        &[COMMON, UPSTREAM, PROXY, ("server", "istio-envoy")]
    } else {
        &[COMMON, UPSTREAM, PROXY]
    }
}

fn accepts_gzip(parts: &http::request::Parts) -> bool {
    let accepted = parts.headers.get(http::header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|value| value.to_ascii_lowercase().contains("gzip"))
}

fn zip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory cannot fail")
}
