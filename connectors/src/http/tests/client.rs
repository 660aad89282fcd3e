//! The client against servers that cut, reset, redirect and refuse.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pipeline::{BudgetUse, Error, ErrorKind, Result, Secret};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};

use super::server::{Reply, Server, good, reply};
use crate::http::retry::Jitter;
use crate::http::{Answer, BadBody, Call, FixedKey, Http, HttpConfig, KeySource, SendError, TenantClient};

const KEY: &str = "hunter2-secret-key";
pub(super) const BODY: &str = r#"{"ok":true}"#;

/// 2000 zeros, compressed.
const ZEROS: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x33\x30\x18\x05\xa3\x60\x14\x8c\x82\x51\x30\x0a\x46\xc1\x50\x07\x00\x1d\x55\xf9\x7e\xd0\x07\x00\x00";

fn config(server: &Server) -> HttpConfig {
    config_at(&server.address)
}

pub(super) fn config_at(address: &str) -> HttpConfig {
    let name = HeaderName::from_static;
    let endpoint = format!("http://{address}/{{region}}");
    let mut config = HttpConfig::new(&endpoint, [name("x-key"), name("x-org"), name("x-id")], "/validate");
    config.attempt_timeout = Duration::from_millis(1500);
    config.max_attempts = const { NonZeroU32::new(3).expect("not zero") };
    config
}

pub(super) fn fixed_key() -> Arc<dyn KeySource> {
    Arc::new(FixedKey::new(&Secret::new(KEY)).expect("it is a key"))
}

pub(super) fn client_of(http: &Arc<Http>, tenant: &str) -> TenantClient {
    http.tenant(tenant.parse().expect("an id"), "eu".parse().expect("a region")).expect("a URL")
}

fn client(server: &Server) -> TenantClient {
    client_of(&Http::new(config(server), fixed_key()).expect("it is usable"), "tenant-1")
}

pub(super) fn call() -> Call {
    Call::get("vm", "read vm_assets", "/vm/assets").query("cursor", "private")
}

pub(super) async fn send(client: &TenantClient, call: &Call) -> Result<Answer<usize>, SendError> {
    let decode = |body: Bytes| -> Result<usize, BadBody> {
        serde_json::from_slice::<serde_json::Value>(&body).map_err(BadBody::malformed)?;
        Ok(body.len())
    };
    client.send(call, &Arc::new(decode)).await
}

/// Expects a first answer like this, and a good one after it, to be taken in so many requests.
async fn check(first: fn() -> Reply, call: &Call, expected: Result<u64, ErrorKind>) {
    let server = Server::start(move |_, number| if number == 1 { first() } else { good(BODY) }).await;
    let answer = send(&client(&server), call).await;
    let seen = server.seen().len() as u64;
    let got = answer.map(|answer| answer.requests).map_err(|error| error.error().kind());
    assert_eq!(got, expected);
    assert_eq!(seen, expected.unwrap_or(1), "every request is counted");
}

/// Holds an answer back.
fn wait_until(is_so: impl Fn() -> bool) {
    tokio::task::block_in_place(|| {
        while !is_so() {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}

fn cut() -> Reply {
    Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"ok\":".to_vec())
}

fn cut_unseen() -> Reply {
    Reply::Raw(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"ok\":".to_vec())
}

#[tokio::test]
async fn what_may_pass_is_asked_for_again() {
    check(|| good(BODY), &call(), Ok(1)).await;
    check(cut, &call(), Ok(2)).await;
    check(cut_unseen, &call(), Ok(2)).await;
    check(|| Reply::Nothing, &call(), Ok(2)).await;
    check(|| Reply::Silence, &call(), Ok(2)).await;
    check(|| reply(200, "content-type: text/html\r\n", "123"), &call(), Ok(2)).await;
    check(|| reply(503, "", "busy"), &call(), Ok(2)).await;
    check(|| reply(429, "", ""), &call(), Ok(2)).await;
    check(|| reply(302, "location: /elsewhere\r\n", ""), &call(), Ok(2)).await;
    for not_whole in [|| reply(202, "", BODY), || reply(203, "", BODY), || reply(207, "", BODY)] {
        check(not_whole, &call(), Ok(2)).await;
    }
}

#[tokio::test]
async fn completeness_a_success_that_is_no_whole_answer_is_none() {
    for status in [202, 203, 206, 207] {
        let server = Server::start(move |_, _| reply(status, "", BODY)).await;
        let error = send(&client(&server), &call()).await.expect_err("it is never whole");
        assert_eq!((error.error().kind(), server.seen().len()), (ErrorKind::Unavailable, 3), "{status}");
    }
}

/// Returns what sends for three tenants, without pauses between its tries.
fn impatient(config: HttpConfig) -> [TenantClient; 3] {
    let mut http = Http::new(config, fixed_key()).expect("it is usable");
    Arc::get_mut(&mut http).expect("nobody else has it").jitter = Jitter(Arc::new(|| 0.0));
    ["one", "other", "slow"].map(|tenant| client_of(&http, tenant))
}

#[tokio::test]
async fn an_outage_of_a_region_that_answered_before_is_waited_out() {
    let server = Server::start(|_, number| match number {
        2..=14 => reply(503, "", "down"),
        _ => good(BODY),
    })
    .await;
    let [one, other, _] = impatient(config(&server));
    send(&one, &call()).await.expect("it is there");
    let call = call();
    let (one, other) = tokio::join!(send(&one, &call), send(&other, &call));
    let requests = [one, other].map(|answer| answer.expect("it is waited for").requests);
    assert_eq!(requests.iter().sum::<u64>(), 15);
    let server = Server::start(|_, _| reply(503, "", "down")).await;
    let [one, other, _] = impatient(config(&server));
    let (one, other) = tokio::join!(send(&one, &call), send(&other, &call));
    one.expect_err("nobody knows whether it was ever there");
    other.expect_err("nobody knows whether it was ever there");
    assert_eq!(server.seen().len(), 6);
}

/// When all others have got what they asked for, their silence says nothing.
#[tokio::test]
async fn what_fails_alone_is_no_outage() {
    let server = Server::start(|_, number| if number == 1 { good(BODY) } else { reply(500, "", "") }).await;
    let [one, other, _] = impatient(config(&server));
    send(&one, &call()).await.expect("it is there");
    send(&other, &call()).await.expect_err("it is its own");
    assert_eq!(server.seen().len(), 4);
}

/// Who is refused was answered, whatever came before.
#[tokio::test]
async fn what_waits_for_budget_tells_of_no_outage() {
    let server = Server::start(|request, number| match number {
        1 => good(BODY),
        2 => reply(503, "", "down"),
        _ if request.starts_with("GET /eu/refused") => reply(429, "retry-after: 60\r\n", ""),
        _ => reply(500, "", ""),
    })
    .await;
    let [one, other, refused] = impatient(config(&server));
    send(&one, &call()).await.expect("it is there");
    let of_another_budget = Call::get("idr", "read alerts", "/refused");
    let alone = async {
        let waits =
            |budget: BudgetUse| budget.family == "idr" && budget.waiting == 1 && budget.in_flight == 0;
        while server.count("GET /eu/refused") < 2 || !other.http.budgets().into_iter().any(waits) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        send(&other, &call()).await
    };
    tokio::select! {
        _ = send(&refused, &of_another_budget) => panic!("it was told to wait"),
        answer = alone => answer.expect_err("it is its own"),
    };
    assert_eq!(server.count("GET /eu/vm"), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_to_what_was_sent_before_an_outage_does_not_end_it() {
    let others = Arc::new(AtomicUsize::new(0));
    let server = {
        let others = others.clone();
        Server::start(move |request, _| {
            if request.starts_with("GET /eu/slow") {
                wait_until(|| others.load(Relaxed) > 3);
                return good(BODY);
            }
            match others.fetch_add(1, Relaxed) {
                1..=12 => reply(503, "", "down"),
                _ => good(BODY),
            }
        })
        .await
    };
    let mut config = config(&server);
    config.attempt_timeout = Duration::from_secs(30);
    let [one, other, slow] = impatient(config);
    send(&one, &call()).await.expect("it is there");
    let slow_call = Call::get("vm", "read vm_assets", "/slow");
    let in_outage = async {
        while server.count("GET /eu/slow") == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let call = call();
        let (one, other) = tokio::join!(send(&one, &call), send(&other, &call));
        [one, other].map(|answer| answer.expect("it is waited for").requests).iter().sum::<u64>()
    };
    let (slow, requests) = tokio::join!(send(&slow, &slow_call), in_outage);
    slow.expect("it was sent before");
    assert_eq!(requests, 14);
}

#[tokio::test]
async fn what_will_not_pass_is_not() {
    check(|| reply(404, "", BODY), &call(), Err(ErrorKind::Contract)).await;
    check(|| reply(403, "", BODY), &call(), Err(ErrorKind::Forbidden)).await;
    check(|| reply(503, "retry-after: 4000\r\n", ""), &call(), Err(ErrorKind::Unavailable)).await;
}

#[tokio::test]
async fn a_refusal_for_want_of_budget_that_never_ends_is_given_up() {
    for says in
        ["", "retry-after: 0\r\n", "retry-after: Mon, 01 Jan 2001 00:00:00 GMT\r\n", "retry-after: 1e400\r\n"]
    {
        let server = Server::start(move |_, _| reply(429, says, "")).await;
        let config = HttpConfig { retry_time: Duration::from_millis(200), ..config(&server) };
        let client = client_of(&Http::new(config, fixed_key()).expect("it is usable"), "tenant-1");
        let error = send(&client, &call()).await.expect_err("it is refused for ever");
        assert_eq!(error.error().kind(), ErrorKind::RateLimited, "{says}");
    }
}

/// Others that were accepted after it show that the key has not asked too much; that does not concern who was refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_was_told_to_wait_waits_though_others_need_not() {
    const OTHERS: usize = 8;
    let (entered, is_refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let server = {
        let (entered, is_refused) = (entered.clone(), is_refused.clone());
        Server::start(move |request, _| {
            if request.starts_with("GET /eu/refused") {
                wait_until(|| entered.load(Relaxed) == OTHERS);
                return reply(429, "retry-after: 60\r\n", "");
            }
            entered.fetch_add(1, Relaxed);
            wait_until(|| is_refused.load(Relaxed));
            good(BODY)
        })
        .await
    };
    let mut config = config(&server);
    config.attempt_timeout = Duration::from_secs(30);
    let http = Http::new(config, fixed_key()).expect("it is usable");
    let first = (Call::get("vm", "read vm_assets", "/refused"), client_of(&http, "first"));
    let refused = send(&first.1, &first.0);
    let others = async {
        while server.count("GET /eu/refused") == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let ask = |number| {
            let client = client_of(&http, &format!("other-{number}"));
            async move {
                for _ in 0..3 {
                    send(&client, &call()).await.expect("it is good");
                }
            }
        };
        let heard = async {
            while http.budgets().iter().all(|budget| budget.refused == 0) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            is_refused.store(true, Relaxed);
        };
        tokio::join!(heard, futures::future::join_all((0..OTHERS).map(ask)));
    };
    tokio::select! {
        answer = refused => panic!("it did not wait: {answer:?}"),
        () = others => {}
    }
    assert_eq!(server.count("GET /eu/refused"), 1);
    assert_eq!(server.count("GET /eu/vm"), 3 * OTHERS, "they were answered while one waited");
}

#[tokio::test]
async fn a_change_is_repeated_only_where_it_had_no_effect() {
    let change = Call::change(Method::POST, "account", "create a key", "/keys", Some(Bytes::from("{}")));
    check(|| reply(429, "", ""), &change, Ok(2)).await;
    check(|| reply(503, "", ""), &change, Err(ErrorKind::Unavailable)).await;
    check(|| Reply::Nothing, &change, Err(ErrorKind::Unavailable)).await;
    check(cut_unseen, &change, Err(ErrorKind::Contract)).await;
}

#[tokio::test]
async fn a_request_carries_its_own_tenant_whatever_the_call_says() {
    let server = Server::start(|_, _| good(BODY)).await;
    let forged = HeaderValue::from_static("forged");
    let call = Call::search("vm", "search", "/vm/search", r#"{"q":1}"#)
        .header(HeaderName::from_static("x-org"), forged.clone())
        .header(HeaderName::from_static("x-key"), forged.clone())
        .header(HeaderName::from_static("host"), forged);
    send(&client(&server), &call).await.expect("it is answered");
    let request = &server.seen()[0];
    assert!(request.starts_with("POST /eu/vm/search HTTP/1.1"), "{request}");
    for line in [&format!("x-key: {KEY}"), "x-org: tenant-1", &format!("host: {}", server.address)] {
        assert!(request.lines().any(|found| found == line), "{line}: {request}");
    }
    assert!(!request.contains("forged") && request.ends_with(r#"{"q":1}"#), "{request}");
}

#[tokio::test]
async fn a_redirect_gets_no_request_and_its_error_no_query() {
    let recorder = Server::start(|_, _| good(BODY)).await;
    let to = format!("location: http://{}/x?signature=private\r\n", recorder.address);
    let server = Server::start(move |_, _| reply(307, &to, "")).await;
    let error = send(&client(&server), &call()).await.expect_err("it is a redirect");
    assert_eq!((server.seen().len(), recorder.seen().len()), (3, 0));
    assert_eq!(error.error().kind(), ErrorKind::Unavailable);
    let told = format!("{error:?}");
    assert!(told.contains("127.0.0.1") && !told.contains("private"), "{told}");
}

#[tokio::test]
async fn an_error_says_where_it_happened_and_never_the_key() {
    let server = Server::start(|_, _| reply(403, "", &format!(r#"{{"message":"no: {KEY}"}}"#))).await;
    let http = Http::new(config(&server), fixed_key()).expect("it is usable");
    let client = client_of(&http, "tenant-1");
    let Err(SendError::Answered(StatusCode::FORBIDDEN, error)) = send(&client, &call()).await else {
        panic!("it is refused");
    };
    assert_eq!(error.to_string(), "read vm_assets: the platform answered 403 (no: ****)");
    let context: Vec<_> = error.context().iter().map(|(name, _)| *name).collect();
    assert_eq!(context, ["organization", "region", "request", "attempts", "elapsed", "correlation id"]);
    assert_eq!(error.context()[2].1, format!("GET http://{}/eu/vm/assets", server.address));
    let told = format!("{error:?} {http:?} {client:?}");
    assert!(!told.contains(KEY) && !told.contains("private"), "{told}");
}

#[tokio::test]
async fn secrecy_a_key_that_is_sent_back_is_shown_nowhere() {
    let redirect = format!("location: http://{KEY}.evil.example/{KEY}\r\n");
    let halves = KEY.split_at(9);
    let echoes: [Box<dyn Fn() -> Reply + Send + Sync>; 4] = [
        Box::new(move || reply(302, &redirect, "")),
        Box::new(|| reply(403, "", &format!(r#"{{"message":"no: {KEY}"}}"#))),
        Box::new(move || reply(500, "", &format!("denied for {}\n{}", halves.0, halves.1))),
        Box::new(|| good(KEY)),
    ];
    for echo in echoes {
        let server = Server::start(move |_, _| echo()).await;
        let decode = |body: Bytes| -> Result<(), BadBody> {
            Err(Error::new(ErrorKind::Isolation, String::from_utf8_lossy(&body)).into())
        };
        let error = client(&server).send(&call(), &Arc::new(decode)).await.expect_err("it is no answer");
        let told = format!("{error:?}").to_lowercase();
        assert!(told.contains("****") && !told.contains(KEY), "{told}");
        assert!(!told.contains(halves.0) && !told.contains(halves.1), "{told}");
    }
}

#[tokio::test]
async fn a_page_that_is_too_much_is_told_apart() {
    for first in [|| reply(504, "", ""), || Reply::Silence, || reply(413, "", "")] {
        let server = Server::start(move |_, _| first()).await;
        let error = send(&client(&server), &call().can_shrink(true)).await.expect_err("it is too much");
        assert!(matches!(error, SendError::TooSlow(..)), "{error:?}");
        assert!(server.seen().len() <= 2);
    }
}

#[tokio::test]
async fn a_body_is_bounded_by_what_it_unfolds_to() {
    let server = Server::start(|_, _| {
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", ZEROS.len());
        Reply::Raw([head.as_bytes(), ZEROS].concat())
    })
    .await;
    let length = Arc::new(|body: Bytes| -> Result<usize, BadBody> { Ok(body.len()) });
    for (max_body_bytes, expected) in [(2000, Ok(2000)), (1999, Err(ErrorKind::Contract))] {
        let config = HttpConfig { max_body_bytes, ..config(&server) };
        let client = client_of(&Http::new(config, fixed_key()).expect("it is usable"), "tenant-1");
        let got = client.send(&call(), &length).await;
        assert_eq!(got.map(|answer| answer.value).map_err(|error| error.error().kind()), expected);
    }
}

#[tokio::test]
async fn what_the_decoder_refuses_for_good_is_not_asked_again() {
    let server = Server::start(|_, _| good(BODY)).await;
    let decode = |_: Bytes| -> Result<(), BadBody> { Err(Error::new(ErrorKind::Isolation, "mixed").into()) };
    let error = client(&server).send(&call(), &Arc::new(decode)).await.expect_err("it is refused");
    assert_eq!((error.error().kind(), server.seen().len()), (ErrorKind::Isolation, 1));
}

#[tokio::test]
async fn a_platform_that_cannot_be_reached_is_tried_and_told() {
    let server = Server::start(|_, _| good(BODY)).await;
    let config = HttpConfig { endpoint: "http://127.0.0.1:1/{region}".to_owned(), ..config(&server) };
    let client = client_of(&Http::new(config, fixed_key()).expect("it is usable"), "tenant-1");
    let error = send(&client, &call()).await.expect_err("nobody listens");
    assert_eq!(error.error().kind(), ErrorKind::Unavailable);
    assert_eq!(error.error().context()[3], ("attempts", "3".to_owned()));
}

/// Answers calls with 401, and the question whether the key is alive with a status.
async fn refusing(validate: u16) -> Server {
    Server::start(move |request, _| match request.starts_with("GET /eu/validate") {
        true => reply(validate, "", ""),
        false => reply(401, "", r#"{"message":"Unauthorized"}"#),
    })
    .await
}

#[tokio::test]
async fn a_tenant_s_refusal_is_told_from_a_dead_key() {
    for (validate, kind, asked) in
        [(200, ErrorKind::Unauthorized, 1), (401, ErrorKind::Auth, 1), (500, ErrorKind::Unavailable, 3)]
    {
        let server = refusing(validate).await;
        let error = send(&client(&server), &call()).await.expect_err("it is refused");
        assert_eq!(error.error().kind(), kind);
        assert_eq!(server.count("GET /eu/validate"), asked, "{validate}");
    }
}

#[tokio::test]
async fn many_refusals_of_a_dead_key_are_one_question() {
    let server = refusing(401).await;
    let http = Http::new(config(&server), fixed_key()).expect("it is usable");
    let asked = (0..24).map(|number| {
        let client = client_of(&http, &format!("tenant-{number}"));
        async move { send(&client, &call()).await.expect_err("it is refused").error().kind() }
    });
    let kinds = futures::future::join_all(asked).await;
    assert!(kinds.iter().all(|kind| *kind == ErrorKind::Auth), "{kinds:?}");
    assert_eq!(server.count("GET /eu/validate"), 1);
}

/// A key that can be exchanged, as a file can be.
#[derive(Debug)]
struct Exchanged(Arc<Mutex<String>>);

#[async_trait]
impl KeySource for Exchanged {
    async fn current(&self) -> Result<Secret> {
        Ok(Secret::new(self.0.lock().expect("no holder panics").clone()))
    }

    fn place(&self) -> String {
        "a test".to_owned()
    }
}

#[tokio::test]
async fn a_key_exchanged_in_the_middle_costs_no_call() {
    let place = Arc::new(Mutex::new("old".to_owned()));
    let good_key = place.clone();
    let server = Server::start(move |request, _| {
        let expected = format!("x-key: {}\r\n", good_key.lock().expect("no holder panics"));
        if request.contains(&expected) { good(BODY) } else { reply(401, "", "") }
    })
    .await;
    let http = Http::new(config(&server), Arc::new(Exchanged(place.clone()))).expect("it is usable");
    send(&client_of(&http, "tenant-0"), &call()).await.expect("the old key is good");
    let before = http.key_fingerprint();
    "new".clone_into(&mut place.lock().expect("no holder panics"));
    let asked = (0..16).map(|number| {
        let client = client_of(&http, &format!("tenant-{number}"));
        async move { send(&client, &call()).await.map(|answer| answer.value) }
    });
    for answer in futures::future::join_all(asked).await {
        assert_eq!(answer.expect("the new key is taken up"), BODY.len());
    }
    assert_eq!(server.count("GET /eu/validate"), 2, "one question about each key");
    assert_ne!(http.key_fingerprint(), before);
    http.check_key(&"eu".parse().expect("a region")).await.expect("the new key is alive");
}
