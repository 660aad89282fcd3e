//! Each fault does what it says, seen through a real client.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;
use simulator::{Dataset, Fault, FaultRule, RetryAfter, SimulatorConfig, Step};
use tokio::io::AsyncReadExt;

use crate::support::{Ask, Bench, plain};

const INVESTIGATIONS: &str =
    "/idr/v2/investigations?size=50&sort=created_time,ASC&start_time=2000-01-01T00:00:00Z";

async fn bench(fault: Fault) -> Bench {
    let bench = Bench::new(plain(3)).await;
    bench.handle.set_faults(vec![FaultRule::always(fault)]).expect("the fault can happen");
    bench
}

#[tokio::test]
async fn statuses_and_bodies_are_as_told() {
    let too_many = |retry_after| Fault::TooManyRequests { retry_after, seconds: 3 };
    for (fault, status, content_type) in [
        (too_many(RetryAfter::None), 429, "application/json; charset=utf-8"),
        (too_many(RetryAfter::Date), 429, "application/json; charset=utf-8"),
        (Fault::Status { status: 500 }, 500, "application/json"),
        (Fault::Status { status: 503 }, 503, "application/json"),
        (Fault::Status { status: 504 }, 504, "application/json"),
        (Fault::Status { status: 401 }, 401, "application/json; charset=utf-8"),
        (Fault::Status { status: 403 }, 403, "application/json"),
        (Fault::Html { status: 502 }, 502, "text/html"),
        (Fault::WrongContentType, 200, "text/plain"),
        (Fault::RevokeKey, 401, "application/json; charset=utf-8"),
    ] {
        let bench = bench(fault.clone()).await;
        let answer = bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, Some(content_type)), "{fault:?}");
        assert_eq!(bench.handle.journal().total.faulted, 1, "{fault:?}");
        bench.handle.set_faults(Vec::new()).expect("none is fine");
        let after = bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await.status;
        assert_eq!(after, if fault == Fault::RevokeKey { 401 } else { 200 }, "{fault:?}");
        bench.handle.stop().await;
    }
}

#[tokio::test]
async fn broken_connections_break() {
    for fault in [Fault::Reset, Fault::CutBody { chunked: false }, Fault::CutBody { chunked: true }] {
        let bench = bench(fault.clone()).await;
        let outcome = match bench.send(0, "GET", INVESTIGATIONS, Ask::default()).await {
            Ok(response) => {
                assert_ne!(fault, Fault::Reset, "nothing is answered before a reset");
                assert_eq!(response.content_length().is_some(), fault == Fault::CutBody { chunked: false });
                response.bytes().await
            }
            Err(error) => Err(error),
        };
        assert!(outcome.is_err(), "{fault:?}");
        bench.handle.set_faults(Vec::new()).expect("none is fine");
        assert_eq!(bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await.status, 200, "{fault:?}");
        assert_eq!(bench.handle.journal().in_flight, 0, "{fault:?}");
        bench.handle.stop().await;
    }
}

#[tokio::test]
async fn truncated_json_has_the_right_length() {
    let bench = bench(Fault::TruncatedJson).await;
    let answer = bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await;
    assert_eq!(answer.header("content-length"), Some(answer.text.len().to_string().as_str()));
    assert!(serde_json::from_str::<Value>(&answer.text).is_err());
    bench.handle.stop().await;
}

#[tokio::test]
async fn stalls_and_delays_take_their_time() {
    let bench = bench(Fault::Latency { ms: 30, jitter_ms: 0, per_row_us: 1000 }).await;
    let started = Instant::now();
    bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await;
    assert!(started.elapsed() >= Duration::from_millis(80), "30 ms and a millisecond for each of 50 rows");
    let large = FaultRule { above_size: Some(49), ..FaultRule::always(Fault::Stall { seconds: 60 }) };
    bench.handle.set_faults(vec![large]).expect("the fault can happen");
    let stalled = tokio::time::timeout(
        Duration::from_millis(200),
        bench.send(0, "GET", INVESTIGATIONS, Ask::default()),
    );
    assert!(stalled.await.is_err(), "the large page stalls");
    let small = bench.read(0, "GET", "/idr/v2/investigations?size=49", Ask::default()).await;
    assert_eq!(small.status, 200, "the small one doesn't");
    bench.handle.stop().await;
}

/// Asks for the first page over a connection of its own, without waiting for anything.
fn ask(bench: &Bench) -> TcpStream {
    let tenant = &bench.handle.tenants()[0];
    let request = format!(
        "GET /{}{INVESTIGATIONS} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: {}\r\n\
         r7-organization-id: {}\r\n\r\n",
        tenant.region, bench.key, tenant.id
    );
    let mut stream = TcpStream::connect(bench.handle.address()).expect("it listens");
    stream.write_all(request.as_bytes()).expect("a request fits into a buffer");
    stream.set_nonblocking(true).expect("a socket can");
    stream
}

/// Returns what has come so far.
fn come(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let error = stream.read_to_end(&mut bytes).expect_err("the connection is open");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

async fn held(bench: &Bench, number: u64) {
    while bench.handle.journal().held != number {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn an_exchange_is_held_at_each_step_until_it_is_let_go() {
    let whole =
        bench(Fault::WrongContentType).await.read(0, "GET", INVESTIGATIONS, Ask::default()).await.text;
    for at in Step::ALL {
        let second = FaultRule { nth: vec![2], ..FaultRule::always(Fault::Hold { at }) };
        let bench = Bench::new(SimulatorConfig { keep_alive: false, ..plain(3) }).await;
        bench.handle.set_faults(vec![second]).expect("the fault can happen");
        assert_eq!(bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await.text, whole, "{at:?}");
        let mut stream = ask(&bench);
        held(&bench, 1).await;
        let seen = come(&mut stream);
        let (head, body) = seen.split_once("\r\n\r\n").unwrap_or_default();
        let journal = bench.handle.journal();
        assert_eq!(journal.connections, 2, "none serves two requests");
        assert_eq!(journal.total.requests, if at == Step::Accepted { 1 } else { 2 });
        let length = format!("content-length: {}", whole.len());
        match at {
            Step::Accepted | Step::Received => assert_eq!(seen, ""),
            Step::Head => assert!(head.contains(&length) && body.is_empty(), "{seen}"),
            Step::Half => assert!(head.contains(&length) && body == &whole[..whole.len() / 2], "{seen}"),
            Step::Whole => assert_eq!(body, format!("{:X}\r\n{whole}\r\n", whole.len())),
        }
        bench.handle.set_faults(Vec::new()).expect("none is fine");
        let mut stream = tokio::net::TcpStream::from_std(stream).expect("it does not block");
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.expect("the rest comes");
        let answer = seen + &rest;
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let end = if at == Step::Whole {
            format!("{:X}\r\n{whole}\r\n0\r\n\r\n", whole.len())
        } else {
            whole.clone()
        };
        assert_eq!(body, end, "{at:?}");
        held(&bench, 0).await;
        bench.handle.stop().await;
    }
}

#[tokio::test]
async fn a_connection_is_held_before_anything_is_known_of_its_request() {
    let bench = Bench::new(plain(3)).await;
    let hold = FaultRule::always(Fault::Hold { at: Step::Accepted });
    let narrowed = FaultRule { tenant: Some("#0".into()), ..hold };
    let refused = bench.handle.set_faults(vec![narrowed]).expect_err("no tenant is known yet");
    assert!(refused.contains("before anything of a request is known"), "{refused}");
    bench.handle.stop().await;
}

#[tokio::test]
async fn redirects_lead_to_the_trap() {
    let bench = bench(Fault::Redirect { location: None }).await;
    let answer = bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await;
    let location = answer.header("location").expect("a location").replace("localhost", "127.0.0.1");
    assert_eq!(answer.status, 302);
    bench.client.get(&location).send().await.expect("the trap answers");
    bench.client.get(&location).header("x-api-key", "k").send().await.expect("the trap answers");
    let journal = bench.handle.journal();
    assert_eq!((journal.trapped, journal.trapped_with_key), (2, 1));
    bench.handle.stop().await;
}

async fn rrns(bench: &Bench, index: u64) -> Vec<String> {
    let page = bench.read(0, "GET", &format!("{INVESTIGATIONS}&index={index}"), Ask::default()).await.json();
    page["data"].as_array().expect("rows").iter().map(|row| row["rrn"].to_string()).collect()
}

#[tokio::test]
async fn rows_shift_between_pages_and_the_truth_shifts_with_them() {
    let bench = Bench::new(plain(3)).await;
    let first = rrns(&bench, 0).await;
    let rule = |fault| FaultRule { times: Some(1), min_page: 1, ..FaultRule::always(fault) };
    let truth =
        |bench: &Bench| bench.handle.truth_keys(Dataset::Investigations, "#0").expect("a tenant").keys;
    let before = truth(&bench);

    bench.handle.set_faults(vec![rule(Fault::InsertRows { rows: 2 })]).expect("the fault can happen");
    assert_eq!(rrns(&bench, 0).await, first, "nothing happens on the first page");
    let second = rrns(&bench, 1).await;
    assert_eq!(second[..2], first[48..], "two rows came in before, so two are repeated");
    assert_eq!(truth(&bench).len(), before.len() + 2);
    let page = bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await.json();
    assert_eq!(page["metadata"]["total_data"].as_u64(), Some(before.len() as u64 + 2));

    let first = rrns(&bench, 0).await;
    let second = rrns(&bench, 1).await;
    bench.handle.set_faults(vec![rule(Fault::DeleteRows { rows: 3 })]).expect("the fault can happen");
    assert_eq!(rrns(&bench, 1).await[..47], second[3..], "three rows went, so three are skipped");
    let after = truth(&bench);
    assert!(first[..3].iter().all(|gone| !after.contains(&gone.trim_matches('"').to_owned())));
    bench.handle.stop().await;
}

#[tokio::test]
async fn pages_repeat_reorder_and_mix() {
    let bench = Bench::new(plain(3)).await;
    let (first, second) = (rrns(&bench, 0).await, rrns(&bench, 1).await);
    bench
        .handle
        .set_faults(vec![FaultRule::always(Fault::DuplicateRows { rows: 2 })])
        .expect("it can happen");
    assert_eq!(rrns(&bench, 0).await, first, "no page comes before the first");
    assert_eq!(rrns(&bench, 1).await, [&first[48..], &second[..]].concat());
    bench.handle.set_faults(vec![FaultRule::always(Fault::ReorderRows)]).expect("it can happen");
    let mut reversed = second.clone();
    reversed.reverse();
    assert_eq!(rrns(&bench, 1).await, reversed);

    let only = FaultRule { tenant: Some("#0".into()), ..FaultRule::always(Fault::ForeignRows { rows: 1 }) };
    bench.handle.set_faults(vec![only]).expect("it can happen");
    let page = bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await.json();
    let owners: Vec<&Value> =
        page["data"].as_array().expect("rows").iter().map(|row| &row["organization_id"]).collect();
    assert_eq!(owners.iter().filter(|owner| **owner == bench.handle.tenants()[1].id.as_str()).count(), 1);
    let other = bench.read(2, "GET", INVESTIGATIONS, Ask::default()).await;
    assert!(!other.text.contains(&bench.handle.tenants()[1].id), "the other tenant is spared");
    bench.handle.stop().await;
}

#[tokio::test]
async fn every_row_of_a_page_has_a_member_more() {
    let bench = bench(Fault::Member { name: "nickname".to_owned(), value: 7.into() }).await;
    let page = bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await.json();
    let rows = page["data"].as_array().expect("rows");
    assert!(
        rows.len() == 50 && rows.iter().all(|row| row["nickname"] == 7 && row["rrn"].is_string()),
        "{page}"
    );
    let ask = Ask { body: Some(crate::support::alert_window(30)), ..Ask::default() };
    let page = bench.read(0, "POST", "/idr/at/alerts/ops/search", ask).await.json();
    assert!(page["alerts"].as_array().expect("rows").iter().all(|row| row["nickname"] == 7), "{page}");
    bench.handle.stop().await;
}

#[tokio::test]
async fn alert_searches_fail_in_part() {
    let bench = bench(Fault::RegionFailure).await;
    let body = crate::support::alert_window(30);
    let ask = Ask { body: Some(body), ..Ask::default() };
    let page = bench.read(0, "POST", "/idr/at/alerts/ops/search", ask).await;
    assert_eq!((page.status, &page.json()["region_failures"][0]["region"]), (200, &Value::from("us1")));
    bench.handle.stop().await;
}

#[tokio::test]
async fn the_tenant_list_may_fail_alone() {
    let bench = Bench::new(plain(2)).await;
    let parent = bench.handle.parent_organization().to_owned();
    let rule = FaultRule { tenant: Some(parent), ..FaultRule::always(Fault::Status { status: 503 }) };
    bench.handle.set_faults(vec![rule]).expect("the fault can happen");
    assert_eq!(bench.list("").await.status, 503);
    assert_eq!(bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await.status, 200);
    let stranger = FaultRule { tenant: Some("nobody".into()), ..FaultRule::always(Fault::Reset) };
    assert!(bench.handle.set_faults(vec![stranger]).is_err(), "nobody is called that");
    bench.handle.stop().await;
}
