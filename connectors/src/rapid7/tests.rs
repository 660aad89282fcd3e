//! The connector against platforms that count, page and end in ways of their own.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::TryStreamExt;
use pipeline::{Batch, Connector, Partition, Secret, Tally, Window};
use serde_json::json;
use url::Url;

use super::Rapid7;
use crate::http::FixedKey;
use crate::http::tests::server::{Reply, Server, good, reply};

/// What a request asks for.
struct Asked {
    path: String,
    query: Vec<(String, String)>,
}

impl Asked {
    fn of(request: &str) -> Self {
        let target = request.split(' ').nth(1).expect("a request line");
        let url = Url::parse("http://x").and_then(|base| base.join(target)).expect("a path");
        let query = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned()));
        Self { path: url.path().to_owned(), query: query.collect() }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str) -> usize {
        self.text(name).map_or(0, |text| text.parse().expect("a number"))
    }

    /// Returns the records of the page that is asked for by its number.
    fn page(&self, rows: &[String], parameter: &str, most: usize) -> Vec<String> {
        let size = self.number("size").min(most);
        rows.iter().skip(self.number(parameter) * size).take(size).cloned().collect()
    }
}

async fn serve(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |request, _| answer(&Asked::of(request))).await
}

fn connector(server: &Server) -> Rapid7 {
    patient(server, "1s")
}

/// Returns what asks again for so long.
fn patient(server: &Server, retry_for: &str) -> Rapid7 {
    let config = json!({
        "parent_organization": "parent",
        "home_region": "us",
        "key": {"env": "KEY"},
        "endpoint": format!("http://{}/{{region}}", server.address),
        "timeout": "2s",
        "retry_for": retry_for,
    });
    let key = FixedKey::new(&Secret::new("hunter2-secret-key")).expect("it is a key");
    Rapid7::new(serde_json::from_value(config).expect("a configuration"), Arc::new(key)).expect("usable")
}

fn partition_of(tenant: &str, connector: &Rapid7, dataset: &str) -> Partition {
    let partition = partition(connector, dataset);
    let tenant = pipeline::Tenant { id: tenant.parse().expect("an id"), ..(*partition.tenant).clone() };
    Partition { tenant: Arc::new(tenant), ..partition }
}

fn partition(connector: &Rapid7, dataset: &str) -> Partition {
    let datasets: Vec<_> =
        connector.datasets().iter().filter(|found| found.name == dataset).cloned().collect();
    let instant = |text: &str| text.parse().expect("an instant");
    let window = Window { since: instant("2025-01-01T00:00:00Z"), until: instant("2025-02-01T00:00:00Z") };
    Partition {
        tenant: Arc::new(pipeline::Tenant {
            id: "tenant-1".parse().expect("an id"),
            name: "Acme".to_owned(),
            region: "us".parse().ok(),
            external_id: None,
        }),
        region: "us".parse().expect("a region"),
        window: datasets[0].cursor.map(|_| window),
        datasets,
        date: window.until.date_naive(),
    }
}

/// Reads a dataset and returns how many records were kept and what was counted.
async fn read(server: &Server, dataset: &str) -> (usize, Tally) {
    let connector = connector(server);
    let partition = partition(&connector, dataset);
    let batches: Vec<Batch> = connector.read(&partition).try_collect().await.expect("it is answered");
    let mut tally = Tally::default();
    let mut rows = 0;
    for batch in &batches {
        tally.add(&batch.tally);
        rows += batch.records.iter().map(|records| records.columns.num_rows()).sum::<usize>();
    }
    (rows, tally)
}

async fn check(server: &Server, dataset: &str, rows: usize, drifted: bool, passes: u64) {
    let (kept, tally) = read(server, dataset).await;
    assert_eq!((kept, tally.drifted, tally.passes), (rows, drifted, passes), "{tally:?}");
}

fn users(count: usize) -> Vec<String> {
    (0..count).map(|number| format!(r#"{{"rrn":"u{number}","name":"same"}}"#)).collect()
}

fn assets(count: usize) -> Vec<String> {
    (0..count).map(|number| format!(r#"{{"id":"a{number}","same":[]}}"#)).collect()
}

/// Answers a page of the SIEM's lists with what it claims.
fn claimed(rows: &[String], total: usize, asked: &Asked) -> Reply {
    claimed_in(rows, total, asked, usize::MAX)
}

/// The same, of a platform that cuts its pages and says so.
fn claimed_in(rows: &[String], total: usize, asked: &Asked, most: usize) -> Reply {
    let (size, index) = (asked.number("size").min(most), asked.number("index"));
    let pages = total.div_ceil(size);
    good(&format!(
        r#"{{"data":[{}],"metadata":{{"index":{index},"size":{size},"total_pages":{pages},"total_data":{total}}}}}"#,
        rows.join(",")
    ))
}

#[tokio::test]
async fn completeness_a_record_that_falls_between_two_pages_is_found_between_other_borders() {
    let all = users(2000);
    let server = serve(move |asked| {
        let mut page = asked.page(&all, "index", usize::MAX);
        // Records of one name have no order: the first of a page is the last of the one before it.
        if let (at @ 1.., Some(first)) = (asked.number("index") * asked.number("size"), page.first_mut()) {
            first.clone_from(&all[at - 1]);
        }
        claimed(&page, all.len(), asked)
    })
    .await;
    check(&server, "users", 2000, false, 2).await;
}

#[tokio::test]
async fn fairness_an_outage_makes_no_page_smaller_but_that_of_one_who_finds_out() {
    // First it answers, and then nobody; or then whoever asks for less.
    for (least, most_requests) in [(0, 400), (250, 300)] {
        let asked_before = std::sync::atomic::AtomicUsize::new(0);
        let server = serve(move |asked| {
            let (nth, size) = (asked_before.fetch_add(1, Ordering::Relaxed), asked.number("size"));
            let is_down = if least == 0 { (2..30).contains(&nth) } else { nth >= 2 && size > least };
            if is_down {
                return reply(504, "", "");
            }
            claimed(&asked.page(&users(5000), "index", usize::MAX), 5000, asked)
        })
        .await;
        let connector = patient(&server, "5m");
        let partitions = ["one", "two", "three", "four"].map(|id| partition_of(id, &connector, "users"));
        let readings = partitions.iter().map(|it| connector.read(it).try_collect::<Vec<Batch>>());
        for reading in futures::future::join_all(readings).await {
            let read: u64 = reading.expect("it is read").iter().map(|batch| batch.tally.pages).sum();
            assert!(read >= 5);
        }
        let requests = server.seen().len();
        assert!(requests < most_requests, "{requests} requests, {least}");
    }
}

/// The key reads one organization, whichever is asked for.
#[tokio::test]
async fn isolation_the_same_records_under_two_tenants_are_told() {
    for dataset in ["vm_assets", "vm_scans", "vm_vulnerabilities"] {
        let server = serve(|_| {
            let record = |number: u128| format!(r#"{{"id":"{}"}}"#, uuid::Uuid::from_u128(number));
            let records: Vec<_> = (0..40).map(record).collect();
            good(&format!(r#"{{"data":[{}],"metadata":{{"totalResources":40}}}}"#, records.join(",")))
        })
        .await;
        let connector = connector(&server);
        let of = |id: &str| partition_of(id, &connector, dataset);
        let read = |id: &str| connector.read(&of(id)).try_collect::<Vec<Batch>>();
        read("one").await.expect("nobody else has them");
        read("one").await.expect("they are its own");
        let outcome = read("other").await;
        if dataset == "vm_vulnerabilities" {
            outcome.expect("they are the same for everybody");
        } else {
            let error = outcome.expect_err("they are another's");
            assert_eq!(error.kind(), pipeline::ErrorKind::Isolation, "{error:?}");
            assert!(error.to_string().contains(dataset) && error.to_string().contains("one"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn fairness_a_tenant_that_gets_no_page_in_any_size_does_not_make_the_others_pages_small() {
    // In any size it takes too long; or the smaller ones are refused.
    for (dataset, parameter, of_smaller) in [
        ("users", "index", 504),
        ("vm_vulnerabilities", "cursor", 504),
        ("users", "index", 403),
        ("vm_vulnerabilities", "cursor", 403),
    ] {
        let is_well = Arc::new(AtomicBool::new(false));
        let sizes = Arc::new(Mutex::new(HashSet::new()));
        let server = {
            let (is_well, sizes) = (is_well.clone(), sizes.clone());
            serve(move |asked| {
                if !is_well.load(Ordering::Relaxed) {
                    return reply(if asked.number("size") > 250 { 504 } else { of_smaller }, "", "");
                }
                sizes.lock().expect("nobody panics").insert(asked.number("size"));
                match parameter {
                    "index" => claimed(&asked.page(&users(500), "index", usize::MAX), 500, asked),
                    _ => good(r#"{"data":[],"metadata":{"totalResources":0}}"#),
                }
            })
            .await
        };
        let connector = connector(&server);
        let partition = partition(&connector, dataset);
        let read = || connector.read(&partition).try_collect::<Vec<Batch>>();
        read().await.expect_err("it is never answered");
        is_well.store(true, Ordering::Relaxed);
        read().await.expect("it is answered");
        let sizes: Vec<_> = sizes.lock().expect("nobody panics").iter().copied().collect();
        assert_eq!(sizes, [partition.datasets[0].page_size as usize], "{dataset}");
    }
}

#[tokio::test]
async fn completeness_a_claim_that_is_never_met_is_called_whole_only_where_the_list_is_the_same_wherever_pages_begin()
 {
    // It holds a record twice.
    let mut all = users(1999);
    all.push(all[5].clone());
    let server = serve(move |asked| claimed(&asked.page(&all, "index", usize::MAX), all.len(), asked)).await;
    check(&server, "users", 1999, false, 2).await;
    // It hides a record behind another one each time.
    let all = users(1999);
    let server = serve(move |asked| {
        let mut all = all.clone();
        all.push(all[asked.number("size") % 101].clone());
        claimed(&asked.page(&all, "index", usize::MAX), all.len(), asked)
    })
    .await;
    check(&server, "users", 1999, true, 4).await;
}

#[tokio::test]
async fn pages_smaller_than_asked_for_are_read_to_the_end_without_any_total() {
    for (count, most) in [(250, 20), (240, 20), (3, 1000), (0, 1000), (2000, 1000)] {
        let all = users(count);
        let server = serve(move |asked| {
            good(&format!(r#"{{"data":[{}]}}"#, asked.page(&all, "index", most).join(",")))
        })
        .await;
        check(&server, "users", count, false, 1).await;
    }
}

/// Answers pages of no more than so many records, which name the size that was asked for and claim in their own.
fn cut(rows: Vec<String>, most: usize, claims: &'static [&str]) -> impl Fn(&Asked) -> Reply {
    move |asked| {
        let (size, page) = (asked.number("size"), asked.page(&rows, "index", most).join(","));
        let mut metadata = json!({"size": size});
        for claim in claims {
            metadata[claim] = match *claim {
                "total_pages" => rows.len().div_ceil(size.min(most)).into(),
                _ => rows.len().into(),
            };
        }
        good(&format!(r#"{{"data":[{page}],"metadata":{metadata}}}"#))
    }
}

#[tokio::test]
async fn completeness_pages_that_are_cut_are_read_to_the_end_whatever_size_they_name() {
    for claims in [&["total_pages", "total_data"][..], &["total_pages"], &["total_data"], &[]] {
        let server = serve(cut(users(250), 100, claims)).await;
        check(&server, "users", 250, false, 1).await;
        check_list(cut(organizations(120), 20, claims), 120, 0).await;
    }
}

#[tokio::test]
async fn completeness_a_count_that_ends_where_search_engines_stop_counting_is_doubted() {
    const COUNTED: usize = 10_000;
    let total = |asked: &Asked, all: &[String], shown: usize| {
        claimed(&asked.page(&all[..shown], "index", usize::MAX), COUNTED.min(all.len()), asked)
    };
    for count in [COUNTED, COUNTED + 1, COUNTED + 2500] {
        let all = users(count);
        let passes = if count == COUNTED { 1 } else { 2 };
        let server = serve(move |asked| total(asked, &all, count)).await;
        check(&server, "users", count, false, passes).await;
    }
    // What is beyond is refused: nobody knows whether there is any.
    let all = users(COUNTED);
    let server = serve(move |asked| match asked.number("index") * asked.number("size") {
        ..COUNTED => total(asked, &all, COUNTED),
        _ => reply(404, "", ""),
    })
    .await;
    check(&server, "users", COUNTED, true, 4).await;
    let all = users(COUNTED + 2500);
    let server = serve(move |asked| match (asked.number("index") + 1) * asked.number("size") {
        ..=COUNTED => total(asked, &all, COUNTED),
        _ => reply(400, "", r#"{"message":"the result window is too large"}"#),
    })
    .await;
    check(&server, "users", COUNTED, true, 4).await;
}

#[tokio::test]
async fn a_page_that_nobody_promised_may_be_refused() {
    for (count, most, drifted, passes) in
        [(20, 20, false, 1), (60, 20, false, 2), (780, 20, false, 3), (2000, 1000, false, 2)]
    {
        let all = users(count);
        let server = serve(move |asked| match asked.page(&all, "index", most) {
            page if page.is_empty() => reply(404, "", ""),
            page => good(&format!(r#"{{"data":[{}]}}"#, page.join(","))),
        })
        .await;
        check(&server, "users", count, drifted, passes).await;
    }
    let all = organizations(20);
    let answer = move |asked: &Asked| match asked.page(&all, "index", 20) {
        page if page.is_empty() => reply(400, "", ""),
        page => good(&format!(r#"{{"data":[{}]}}"#, page.join(","))),
    };
    check_list(answer, 20, 0).await;
}

#[tokio::test]
async fn completeness_a_record_that_moves_from_one_page_to_another_may_have_hidden_one() {
    // An alert that changes goes to the end in its next version; the total counts it once.
    let alert = |number: usize, version: u64| {
        format!(r#"{{"rrn":"rrn:alerts:us1:tenant-1:alert:1:{number}","version":{version}}}"#)
    };
    let server = serve(move |asked| {
        let (size, index) = (asked.number("size"), asked.number("index"));
        let moved = if size == 100 && index == 0 { 350 } else { 5 };
        let mut all: Vec<_> = (0..350).filter(|number| *number != moved).map(|it| alert(it, 1)).collect();
        if moved < 350 {
            all.push(alert(moved, 2));
        }
        let page = asked.page(&all, "index", usize::MAX).join(",");
        good(&format!(r#"{{"alerts":[{page}],"metadata":{{"total_items":350}}}}"#))
    })
    .await;
    check(&server, "alerts", 351, false, 2).await;
    // Nobody says how many there are; one goes from the first page to the end.
    let all = users(2500);
    let server = serve(move |asked| {
        let mut all = all.clone();
        if asked.number("size") < 1000 || asked.number("index") > 0 {
            let moved = all.remove(7);
            all.push(moved);
        }
        let pages = all.len().div_ceil(asked.number("size"));
        let page = asked.page(&all, "index", usize::MAX).join(",");
        good(&format!(r#"{{"data":[{page}],"metadata":{{"total_pages":{pages}}}}}"#))
    })
    .await;
    check(&server, "users", 2500, false, 2).await;
    // It holds one twice.
    let mut all = users(250);
    all.push(all[3].clone());
    let server =
        serve(move |asked| good(&format!(r#"{{"data":[{}]}}"#, asked.page(&all, "index", 100).join(","))))
            .await;
    check(&server, "users", 250, false, 2).await;
}

#[tokio::test]
async fn completeness_pages_that_are_smaller_than_they_say_leave_holes() {
    let all = users(2500);
    let server = serve(move |asked| {
        let (size, index) = (asked.number("size"), asked.number("index"));
        let page = all.iter().skip(index * size.min(70)).take(70).cloned().collect::<Vec<_>>().join(",");
        let pages = all.len().div_ceil(size);
        good(&format!(r#"{{"data":[{page}],"metadata":{{"size":{size},"total_pages":{pages}}}}}"#))
    })
    .await;
    check(&server, "users", 2500, false, 1).await;
    // The same, with nothing but the size that was asked for.
    let all = users(2500);
    let server = serve(move |asked| {
        let index = asked.number("index");
        let page = all.iter().skip(index * 1000).take(if index == 0 { 1000 } else { 70 }).cloned();
        let page = page.collect::<Vec<_>>().join(",");
        good(&format!(r#"{{"data":[{page}],"metadata":{{"size":1000,"total_pages":3}}}}"#))
    })
    .await;
    check(&server, "users", 1140, true, 4).await;
}

#[tokio::test]
async fn completeness_a_page_in_the_middle_that_is_not_full_leaves_a_hole_whatever_it_says_of_its_size() {
    let page = |rows: &[String], size: Option<usize>, cursor: Option<usize>| {
        let mut metadata = json!({"totalPages": 2, "total_pages": 3});
        if let Some(size) = size {
            metadata["size"] = size.into();
        }
        if let Some(cursor) = cursor {
            metadata["cursor"] = cursor.to_string().into();
        }
        good(&format!(r#"{{"data":[{}],"metadata":{metadata}}}"#, rows.join(",")))
    };
    // By cursor, and one hides records.
    let all = assets(1000);
    let server = serve(move |asked| {
        let (at, size) = (asked.number("cursor"), asked.number("size"));
        let shown = (at..(at + size).min(1000)).filter(|at| !(350..500).contains(at));
        let rows: Vec<_> = shown.map(|at| all[at].clone()).collect();
        page(&rows, Some(size), Some(at + size).filter(|next| *next < 1000))
    })
    .await;
    let (_, tally) = read(&server, "vm_assets").await;
    assert!(tally.drifted, "{tally:?}");
    // By number, and each names as its size what it holds.
    let all = users(3000);
    let server = serve(move |asked| {
        let mut rows = asked.page(&all, "index", usize::MAX);
        if asked.number("index") == 1 {
            rows.truncate(rows.len() * 8 / 10);
        }
        let pages = all.len().div_ceil(asked.number("size"));
        let size = rows.len();
        good(&format!(
            r#"{{"data":[{}],"metadata":{{"total_pages":{pages},"size":{size}}}}}"#,
            rows.join(",")
        ))
    })
    .await;
    let (_, tally) = read(&server, "users").await;
    assert!(tally.drifted, "{tally:?}");
    // One that follows nothing is no hole.
    let all = users(10_000);
    let server = serve(move |asked| {
        let size = asked.number("size").min(70);
        let rows = asked.page(&all, "index", 70).join(",");
        let pages = all.len().div_ceil(size);
        good(&format!(r#"{{"data":[{rows}],"metadata":{{"total_pages":{pages},"size":{size}}}}}"#))
    })
    .await;
    check(&server, "users", 10_000, false, 1).await;
}

#[tokio::test]
async fn each_walk_asks_for_pages_of_another_size_and_no_smaller_ones_than_it_has_to() {
    let all = users(900);
    let server = serve(move |asked| claimed(&asked.page(&all, "index", usize::MAX)[1..], 900, asked)).await;
    check(&server, "users", 899, true, 4).await;
    let mut sizes: Vec<_> = server.seen().iter().map(|request| Asked::of(request).number("size")).collect();
    sizes.dedup();
    assert_eq!(sizes, [1000, 799, 599, 399]);
}

#[tokio::test]
async fn completeness_an_empty_answer_that_says_nothing_ends_no_listing_that_said_there_is_more() {
    let alert = |number| format!(r#"{{"rrn":"rrn:alerts:us1:tenant-1:alert:1:{number}","version":1}}"#);
    let all: Vec<_> = (0..100).map(alert).collect();
    let server = serve(move |asked| match asked.number("index") {
        0 => good(&format!(
            r#"{{"alerts":[{}],"metadata":{{"is_last_index":false}}}}"#,
            asked.page(&all, "index", usize::MAX).join(",")
        )),
        _ => good(r#"{"alerts":[]}"#),
    })
    .await;
    check(&server, "alerts", 100, true, 4).await;
    let all = users(3000);
    let server = serve(move |asked| match asked.page(&all, "index", usize::MAX) {
        page if page.len() == asked.number("size") && asked.number("index") < 2 => {
            let pages = all.len().div_ceil(asked.number("size"));
            good(&format!(r#"{{"data":[{}],"metadata":{{"total_pages":{pages}}}}}"#, page.join(",")))
        }
        _ => good(r#"{"data":[]}"#),
    })
    .await;
    check(&server, "users", 2000, true, 4).await;
}

#[tokio::test]
async fn completeness_records_that_are_hidden_make_no_page_smaller() {
    let all = users(2500);
    let server = serve(move |asked| {
        let (size, index) = (asked.number("size"), asked.number("index"));
        let page = all.iter().enumerate().skip(index * size).take(size);
        let shown: Vec<_> = page.filter(|(at, _)| at % 80 == 0).map(|(_, user)| user.clone()).collect();
        claimed(&shown, all.len(), asked)
    })
    .await;
    check(&server, "users", 32, true, 4).await;
    assert!(server.seen().len() <= 30, "{}", server.seen().len());
}

#[tokio::test]
async fn completeness_pages_that_were_asked_for_ahead_of_a_bad_one_are_kept() {
    let all = users(250);
    let server = serve(move |asked| {
        let (size, index) = (asked.number("size").min(30), asked.number("index"));
        if size == 30 && index == 2 {
            std::thread::sleep(std::time::Duration::from_millis(200));
            return reply(504, "", "");
        }
        let page = all.iter().skip(index * size).take(size).cloned().collect::<Vec<_>>().join(",");
        let facts = format!(r#""size":{size},"total_pages":{},"total_data":250"#, 250_usize.div_ceil(size));
        good(&format!(r#"{{"data":[{page}],"metadata":{{{facts}}}}}"#))
    })
    .await;
    check(&server, "users", 250, false, 2).await;
}

#[tokio::test]
async fn completeness_a_part_that_comes_in_parts_is_not_cut() {
    for most in [50, 100, 250] {
        let all = users(2500);
        let server = serve(move |asked| match asked.number("size") {
            size if size > most => reply(504, "", ""),
            _ => good(&format!(r#"{{"data":[{}]}}"#, asked.page(&all, "index", most).join(","))),
        })
        .await;
        check(&server, "users", 2500, false, 1).await;
    }
}

#[tokio::test]
async fn completeness_pages_without_parts_that_are_too_slow_are_read_in_other_ones() {
    let all = users(3000);
    let server = serve(move |asked| {
        if asked.number("size") > 200 && asked.number("index") > 0 {
            return reply(504, "", "");
        }
        let (page, pages) =
            (asked.page(&all, "index", 333), 3000_usize.div_ceil(asked.number("size").min(333)));
        let facts = format!(r#""size":{},"total_pages":{pages},"total_data":3000"#, asked.number("size"));
        good(&format!(r#"{{"data":[{}],"metadata":{{{facts}}}}}"#, page.join(",")))
    })
    .await;
    check(&server, "users", 3000, false, 2).await;
}

#[tokio::test]
async fn pages_that_become_smaller_on_the_way_are_no_holes() {
    let all = users(2520);
    let server = serve(move |asked| {
        let (size, index) = (asked.number("size"), asked.number("index"));
        if size > 50 && size * index >= 600 {
            return reply(504, "", "");
        }
        let (page, pages) = (asked.page(&all, "index", usize::MAX), all.len().div_ceil(size));
        good(&format!(r#"{{"data":[{}],"metadata":{{"total_pages":{pages}}}}}"#, page.join(",")))
    })
    .await;
    check(&server, "users", 2520, false, 1).await;
}

#[tokio::test]
async fn completeness_an_empty_page_that_says_there_are_more_is_not_the_end() {
    let alert = |number| format!(r#"{{"rrn":"rrn:alerts:us1:tenant-1:alert:1:{number}","version":1}}"#);
    let answer = |full: &'static [usize]| {
        move |asked: &Asked| {
            let index = asked.number("index");
            let rows: Vec<_> =
                (0..100).filter(|_| full.contains(&index)).map(|n| alert(index * 100 + n)).collect();
            let is_last = Some(&index) == full.last();
            good(&format!(
                r#"{{"alerts":[{}],"metadata":{{"is_last_index":{is_last}}},"region_failures":[]}}"#,
                rows.join(",")
            ))
        }
    };
    for full in [&[0, 2][..], &[0, 40]] {
        check(&serve(answer(full)).await, "alerts", 200, false, 1).await;
    }
    // Nobody says where it ends.
    let server = serve(move |asked| {
        let rows = if asked.number("index") == 0 { alert(0) } else { String::new() };
        good(&format!(r#"{{"alerts":[{rows}],"metadata":{{"is_last_index":false}},"region_failures":[]}}"#))
    })
    .await;
    check(&server, "alerts", 1, false, 1).await;
    let all = users(10);
    let server = serve(move |asked| {
        let page = if asked.number("index") == 0 { all.join(",") } else { String::new() };
        good(&format!(
            r#"{{"data":[{page}],"metadata":{{"size":{},"total_pages":99}}}}"#,
            asked.number("size")
        ))
    })
    .await;
    check(&server, "users", 10, true, 4).await;
    // It has pages enough, and one of them is not full.
    let all = users(2500);
    let server = serve(move |asked| {
        let page =
            if asked.number("index") == 1 { Vec::new() } else { asked.page(&all, "index", usize::MAX) };
        let pages = all.len().div_ceil(asked.number("size"));
        good(&format!(r#"{{"data":[{}],"metadata":{{"total_pages":{pages}}}}}"#, page.join(",")))
    })
    .await;
    // Other borders bring what was there, and nothing proves that it was all.
    check(&server, "users", 2500, true, 4).await;
}

#[tokio::test]
async fn a_platform_without_pages_gives_the_whole_list_each_time() {
    let all = users(3).join(",");
    let server = serve(move |_| good(&format!(r#"{{"data":[{all}]}}"#))).await;
    check(&server, "users", 3, false, 1).await;
    assert_eq!(server.seen().len(), 3);
    let all = organizations(3).join(",");
    check_list(move |_| good(&format!(r#"{{"data":[{all}],"metadata":{{"total_pages":-1}}}}"#)), 3, 0).await;
    // One stands there twice, which a second walk has to show.
    let mut all = users(45);
    all.push(all[7].clone());
    let all = all.join(",");
    let server = serve(move |_| good(&format!(r#"{{"data":[{all}]}}"#))).await;
    check(&server, "users", 45, false, 2).await;
    let mut all = organizations(45);
    all.push(all[7].clone());
    let all = all.join(",");
    check_list(move |_| good(&format!(r#"{{"data":[{all}]}}"#)), 45, 0).await;
}

#[tokio::test]
async fn budget_one_huge_record_does_not_make_all_others_come_in_small_pages() {
    let mut all = users(8000);
    all[7] = format!(r#"{{"rrn":"huge","name":"{}"}}"#, "x".repeat(9 << 20));
    let server = serve(move |asked| {
        let page = asked.page(&all, "index", usize::MAX).join(",");
        good(&format!(r#"{{"data":[{page}],"metadata":{{"total_data":8000}}}}"#))
    })
    .await;
    check(&server, "users", 8000, false, 1).await;
    assert!(server.seen().len() <= 2 * 8, "{}", server.seen().len());
}

#[tokio::test]
async fn bounded_pages_that_were_asked_for_ahead_are_not_read_whole_where_records_grow_large() {
    let mut all = users(4000);
    let large = "x".repeat(20 << 10);
    (1000..4000).for_each(|number| all[number] = format!(r#"{{"rrn":"u{number}","name":"{large}"}}"#));
    let server = serve(move |asked| {
        let page = asked.page(&all, "index", usize::MAX).join(",");
        good(&format!(r#"{{"data":[{page}],"metadata":{{"total_data":4000}}}}"#))
    })
    .await;
    let connector = connector(&server);
    let partition = partition(&connector, "users");
    // Each is let go of as it comes: what is held keeps its room.
    let seen = |batch: Batch| {
        let rows: usize = batch.records.iter().map(|records| records.columns.num_rows()).sum();
        (rows, batch.tally.bytes >> 20)
    };
    let seen: Vec<(usize, u64)> =
        connector.read(&partition).map_ok(seen).try_collect().await.expect("it is answered");
    let (rows, pages): (Vec<usize>, Vec<u64>) = seen.into_iter().unzip();
    assert_eq!(rows.iter().sum::<usize>(), 4000);
    // The first of them was not asked for ahead: it may be as large as there is room for.
    let whole = pages.iter().filter(|mib| **mib >= 12).count();
    assert!(whole <= 1 && pages.len() > 8, "{pages:?}");
}

#[tokio::test]
async fn completeness_small_pages_that_repeat_while_records_come_are_no_list_without_pages() {
    let all = users(300);
    let asked_before = std::sync::Mutex::new(0);
    let server = serve(move |asked| {
        if asked.number("size") > 5 {
            return reply(504, "", "");
        }
        // Five records came to the front before each of the first two pages.
        let mut nth = asked_before.lock().expect("no holder panics");
        *nth += 1;
        let from = (asked.number("index") * 5).saturating_sub(5 * (*nth - 1).min(2));
        let page: Vec<_> = all.iter().skip(from).take(5).cloned().collect();
        good(&format!(r#"{{"data":[{}]}}"#, page.join(",")))
    })
    .await;
    check(&server, "users", 300, false, 1).await;
}

#[tokio::test]
async fn completeness_pages_that_are_numbered_from_one_are_read_where_no_total_is_told() {
    for count in [70, 40, 20, 3] {
        let all = users(count);
        let server = serve(move |asked| {
            let from = asked.number("index").max(1) - 1;
            let page: Vec<_> = all.iter().skip(from * 20).take(20).cloned().collect();
            good(&format!(r#"{{"data":[{}]}}"#, page.join(",")))
        })
        .await;
        check(&server, "users", count, false, 1).await;
    }
}

#[tokio::test]
async fn completeness_a_total_that_the_first_page_disproves_hides_nothing() {
    for metadata in
        [r#""total_data":0,"total_pages":0"#, r#""total_data":19"#, r#""size":100,"total_data":0"#]
    {
        let all = users(70);
        let server = serve(move |asked| {
            let page = asked.page(&all, "index", 20).join(",");
            good(&format!(r#"{{"data":[{page}],"metadata":{{{metadata}}}}}"#))
        })
        .await;
        check(&server, "users", 70, false, 2).await;
    }
}

#[tokio::test]
async fn a_listing_that_ends_before_a_page_that_was_promised_is_read_again() {
    let answer = |all: Vec<String>, shorter: usize| {
        let asked_before = AtomicUsize::new(0);
        move |asked: &Asked| {
            let held = all.len() - usize::from(asked_before.fetch_add(1, Ordering::Relaxed) >= shorter);
            match asked.page(&all[..held], "index", usize::MAX) {
                page if page.is_empty() => reply(404, "", ""),
                page => claimed(&page, held, asked),
            }
        }
    };
    let server = serve(answer(users(2001), 1)).await;
    check(&server, "users", 2000, false, 2).await;
    check_list(answer(organizations(101), 1), 100, 0).await;
}

#[tokio::test]
async fn a_list_of_cursors_without_one_is_read_by_the_number_of_its_pages() {
    for count in [1000, 800, 400, 3, 0] {
        let all = assets(count);
        let server = serve(move |asked| {
            good(&format!(r#"{{"data":[{}]}}"#, asked.page(&all, "page", usize::MAX).join(",")))
        })
        .await;
        check(&server, "vm_assets", count, false, 1).await;
    }
}

#[tokio::test]
async fn a_cursor_in_the_link_to_the_next_page_is_taken_and_the_link_not_followed() {
    let all = assets(1000);
    let server = serve(move |asked| {
        assert_eq!(asked.path, "/us/vm/v4/integration/assets");
        let (at, size) = (asked.number("cursor"), asked.number("size"));
        let page: Vec<_> = all.iter().skip(at).take(size).cloned().collect();
        let next = at + size;
        let rel = if next < all.len() { "next" } else { "self" };
        good(&format!(
            r#"{{"data":[{}],"metadata":{{"number":0,"size":{size}}},"links":[{{"rel":"{rel}","href":"https://us.example.com:443/elsewhere?cursor={next}&size=1"}}]}}"#,
            page.join(",")
        ))
    })
    .await;
    check(&server, "vm_assets", 1000, false, 1).await;
}

#[tokio::test]
async fn completeness_cursors_in_a_circle_come_to_an_end() {
    let all = assets(100).join(",");
    let server = serve(move |asked| {
        let next = if asked.text("cursor") == Some("x") { "y" } else { "x" };
        good(&format!(r#"{{"data":[{all}],"metadata":{{"totalResources":1000,"cursor":"{next}"}}}}"#))
    })
    .await;
    check(&server, "vm_assets", 100, true, 4).await;
    assert!(server.seen().len() <= 4 * 3, "{}", server.seen().len());
}

#[tokio::test]
async fn completeness_a_listing_that_ignores_the_page_asked_for_comes_to_an_end() {
    let alert = |number| format!(r#"{{"rrn":"rrn:alerts:us1:tenant-1:alert:1:{number}","version":1}}"#);
    let all = (0..100).map(alert).collect::<Vec<_>>().join(",");
    let server = serve(move |_| {
        good(&format!(r#"{{"alerts":[{all}],"metadata":{{"is_last_index":false}},"region_failures":[]}}"#))
    })
    .await;
    check(&server, "alerts", 100, true, 4).await;
    assert!(server.seen().len() <= 4 * 20, "{}", server.seen().len());
    let all = assets(400).join(",");
    let server = serve(move |_| good(&format!(r#"{{"data":[{all}]}}"#))).await;
    check(&server, "vm_assets", 400, true, 4).await;
}

#[tokio::test]
async fn completeness_what_is_gone_stands_for_no_record_that_was_not_shown() {
    let all = users(2000);
    let server = serve(move |asked| {
        let (size, index) = (asked.number("size"), asked.number("index"));
        let mut page = asked.page(&all, "index", usize::MAX);
        match (size, index) {
            // One goes away behind the first page: the second begins with the 1,000th of those that are left.
            (1000, 0) => {
                page.pop();
                page.insert(0, r#"{"rrn":"gone","name":"same"}"#.to_owned());
                return claimed(&page, 2001, asked);
            }
            // Where that one fell between two pages, another list has another one twice in its place.
            (799, 1) => page[200].clone_from(&all[0]),
            _ => {}
        }
        claimed(&page, 2000, asked)
    })
    .await;
    check(&server, "users", 2001, false, 3).await;
}

#[tokio::test]
async fn completeness_a_record_that_does_not_fit_and_comes_again_hides_no_other() {
    for again in [r#"{"rrn":"u1","name":"same"}"#, r#"{"rrn":"u1","name":{"odd":2}}"#] {
        let fits = !again.contains("odd");
        let (all, again) = (users(4), again.to_owned());
        let asked_before = std::sync::atomic::AtomicUsize::new(0);
        let server = serve(move |asked| {
            let page = |numbers: &[usize]| -> Vec<String> {
                numbers.iter().map(|at| if *at == 1 { again.clone() } else { all[*at].clone() }).collect()
            };
            let rows = match asked_before.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => vec![all[0].clone(), r#"{"rrn":"u1","name":{"odd":1}}"#.to_owned()],
                // It changed meanwhile, and stands behind the third one by now.
                1 => page(&[1, 3]),
                _ => asked.page(&page(&[0, 2, 1, 3]), "index", 2),
            };
            claimed_in(&rows, 4, asked, 2)
        })
        .await;
        check(&server, "users", 3 + usize::from(fits), false, 2).await;
    }
}

#[tokio::test]
async fn completeness_a_record_hides_behind_no_border_that_two_walks_have_in_common() {
    for border in [20, 40, 60, 100, 160] {
        let all = users(190);
        let server = serve(move |asked| {
            let size = asked.number("size").min(20);
            let first = asked.number("index") * size;
            let mut all = all.clone();
            // Two of one name: a page that begins between them has them the other way round.
            if first >= border {
                all.swap(border - 1, border);
            }
            claimed_in(&asked.page(&all, "index", 20), all.len(), asked, 20)
        })
        .await;
        check(&server, "users", 190, false, 2).await;
    }
}

#[tokio::test]
async fn completeness_what_stands_on_the_border_of_two_windows_is_read_whether_they_hold_it_or_not() {
    let border = |body: &str, name: &str| -> pipeline::Timestamp {
        let search: serde_json::Value = serde_json::from_str(body).expect("JSON");
        search["search"][name].as_str().and_then(|time| time.parse().ok()).expect("an instant")
    };
    for holds_borders in [false, true] {
        let since: pipeline::Timestamp = "2024-01-01T00:00:00Z".parse().expect("an instant");
        let at: Vec<_> = (0..700).map(|day| since + chrono::TimeDelta::days(day)).collect();
        let server = Server::start(move |request, _| {
            let body = request.split_once("\r\n\r\n").expect("a head").1;
            let (start, end) = (border(body, "start_time"), border(body, "end_time"));
            assert!(end - start <= chrono::TimeDelta::days(181), "{start} to {end}");
            let is_in = |at: pipeline::Timestamp| match holds_borders {
                true => start <= at && at <= end,
                false => start < at && at < end,
            };
            let alert = |at: &&pipeline::Timestamp| {
                let at = at.to_rfc3339();
                format!(r#"{{"rrn":"rrn:alerts:us1:tenant-1:alert:1:{at}","version":1,"alerted_at":"{at}"}}"#)
            };
            let found: Vec<_> = at.iter().filter(|at| is_in(**at)).map(|at| alert(&at)).collect();
            let page = Asked::of(request).page(&found, "index", usize::MAX).join(",");
            good(&format!(r#"{{"alerts":[{page}],"metadata":{{"total_items":{}}}}}"#, found.len()))
        })
        .await;
        let connector = connector(&server);
        let mut partition = partition(&connector, "alerts");
        partition.window = Some(Window { since, until: since + chrono::TimeDelta::days(700) });
        let batches: Vec<Batch> = connector.read(&partition).try_collect().await.expect("it is answered");
        let rows = batches.iter().flat_map(|batch| &batch.records).map(|records| records.columns.num_rows());
        assert_eq!(rows.sum::<usize>(), 700);
        let is_drifted = batches.iter().any(|batch| batch.tally.drifted);
        assert!(!is_drifted);
    }
}

fn organizations(count: usize) -> Vec<String> {
    (0..count).map(|number| format!(r#"{{"id":"t{number}","name":"T{number}","region":"us"}}"#)).collect()
}

/// Lists the tenants and returns how many there are and what has to be said of them, or what helps.
async fn list(server: &Server) -> Result<(usize, Vec<String>), String> {
    let connector = connector(server);
    match connector.tenants().await {
        Ok(tenants) => Ok((tenants.len(), connector.remarks())),
        Err(error) => Err(format!("{} {}", error.chain(), error.hint().unwrap_or_default())),
    }
}

async fn check_list(
    answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    tenants: usize,
    remarks: usize,
) {
    let listed = list(&serve(answer).await).await.expect("it is a list");
    assert_eq!((listed.0, listed.1.len()), (tenants, remarks), "{listed:?}");
}

async fn check_refused(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static, said: &[&str]) {
    let told = list(&serve(answer).await).await.expect_err("it is no whole list");
    for said in said {
        assert!(told.contains(said), "{said}: {told}");
    }
}

#[tokio::test]
async fn completeness_a_tenant_that_moves_while_the_list_is_read_hides_no_other() {
    for region in ["us", "eu"] {
        let (before, mut after) = (organizations(24), organizations(24));
        after.rotate_left(1);
        after[23] = format!(r#"{{"id":"t0","name":"T0","region":"{region}"}}"#);
        let before: Vec<_> = before
            .into_iter()
            .map(|entry| {
                entry.replace(r#""t0","name":"T0","region":"us""#, r#""t0","name":"T0","region":null"#)
            })
            .collect();
        let asked_before = AtomicUsize::new(0);
        let answer = move |asked: &Asked| {
            let is_first = asked_before.fetch_add(1, Ordering::Relaxed) == 0;
            let all = if is_first { &before } else { &after };
            claimed_in(&asked.page(all, "index", 20), 24, asked, 20)
        };
        check_list(answer, 24, 0).await;
    }
}

#[tokio::test]
async fn completeness_a_list_of_tenants_in_small_pages_is_read_to_its_end() {
    for metadata in [r#""total_data":60"#, r#""total_pages":3"#, r#""total_data":60,"total_pages":3"#, ""] {
        for size in ["", r#","size":20"#] {
            let all = organizations(60);
            let metadata =
                format!(r#"{{"index":0{size}{}{metadata}}}"#, if metadata.is_empty() { "" } else { "," });
            let answer = move |asked: &Asked| {
                let page = asked.page(&all, "index", 20);
                good(&format!(r#"{{"data":[{}],"metadata":{metadata}}}"#, page.join(",")))
            };
            check_list(answer, 60, 0).await;
        }
    }
}

#[tokio::test]
async fn verdict_an_organization_that_is_listed_twice_is_one_and_told_where_its_regions_differ() {
    let lists = [
        (r#"{"id":"a","name":"A","region":"us"},{"id":"A","name":"A - us","region":"US1"}"#, "us", 0),
        (r#"{"id":"a","name":"A"},{"id":"a","name":"A","region":"eu"}"#, "eu", 0),
        (r#"{"id":"a","name":"A - us","region":"us"},{"id":"a","name":"A","region":"eu"}"#, "eu", 1),
        // In whatever order they come: which is read does not change from list to list.
        (r#"{"id":"a","name":"A","region":"eu"},{"id":"a","name":"A - us","region":"us"}"#, "eu", 1),
    ];
    for (entries, region, told) in lists {
        let connector = connector(&serve(move |_| good(&format!("[{entries}]"))).await);
        let tenants = connector.tenants().await.expect("a list");
        assert_eq!(tenants.len(), 1, "{entries}");
        assert_eq!(tenants[0].region.as_ref().map(pipeline::Region::as_str), Some(region), "{entries}");
        let elsewhere = connector.elsewhere();
        let regions: Vec<_> = elsewhere
            .iter()
            .map(|it| (it.id.as_str(), it.region.as_ref().map(pipeline::Region::as_str)))
            .collect();
        assert_eq!(regions, vec![("a", Some("us")); told], "{entries}");
        assert!(connector.remarks().is_empty(), "{entries}");
    }
}

#[tokio::test]
async fn a_list_that_refuses_large_pages_is_read_in_the_usual_ones() {
    let all = organizations(60);
    let answer = move |asked: &Asked| match asked.number("size") {
        ..=50 => claimed(&asked.page(&all, "index", 20), 60, asked),
        _ => reply(400, "", r#"{"message":"size must be 50 or less"}"#),
    };
    check_list(answer, 60, 0).await;
}

#[tokio::test]
async fn completeness_a_tenant_that_is_claimed_and_not_listed_is_not_passed_over() {
    let all = organizations(60);
    check_refused(
        move |asked| claimed(&asked.page(&all[..20], "index", 20), 60, asked),
        &["20 of 60", "[[tenant]]"],
    )
    .await;
    // Page after page the same, and no end.
    let all = organizations(100).join(",");
    check_refused(
        move |_| good(&format!(r#"{{"data":[{all}],"metadata":{{"total_pages":999999}}}}"#)),
        &["100"],
    )
    .await;
    // Page after page something else, and no end.
    let endless = move |asked: &Asked| {
        let index = asked.number("index");
        good(&format!(r#"{{"data":[{{"id":"t{index}"}}],"metadata":{{"size":1,"total_pages":999999}}}}"#))
    };
    check_refused(endless, &["more than 1000 pages"]).await;
}

#[tokio::test]
async fn completeness_a_list_that_shifts_is_read_again_and_one_that_repeats_itself_is_named() {
    let all = organizations(131);
    let shifted = move |asked: &Asked| {
        let mut page = asked.page(&all, "index", 100);
        if let (at @ 1.., Some(first)) = (asked.number("index") * asked.number("size"), page.first_mut()) {
            first.clone_from(&all[at - 1]);
        }
        claimed(&page, all.len(), asked)
    };
    check_list(shifted, 131, 0).await;
    // The same list wherever the pages begin: it holds an entry twice.
    let mut all = organizations(130);
    all.push(all[3].clone());
    check_list(move |asked| claimed(&asked.page(&all, "index", 100), all.len(), asked), 130, 0).await;
    // Another list with each page size: one tenant is never shown.
    let all = organizations(130);
    let hides = move |asked: &Asked| {
        let mut all = all.clone();
        all.push(all[asked.number("size") % 50].clone());
        claimed(&asked.page(&all, "index", 100), all.len(), asked)
    };
    check_list(hides, 130, 1).await;
    let mut all = organizations(30);
    all.push(all[3].clone());
    check_list(move |asked| claimed(&asked.page(&all, "index", 100), all.len(), asked), 30, 0).await;
}

#[tokio::test]
async fn completeness_a_list_without_totals_that_repeats_an_entry_is_named_and_not_refused() {
    let mut all = organizations(44);
    all.push(all[3].clone());
    let answer = move |asked: &Asked| {
        let rows: Vec<_> = all.iter().skip(asked.number("index") * 20).take(20).cloned().collect();
        good(&format!(r#"{{"data":[{}]}}"#, rows.join(",")))
    };
    check_list(answer, 44, 1).await;
}

#[tokio::test]
async fn completeness_an_organization_that_is_listed_once_for_each_region_is_no_repetition() {
    // Pages of twenty, whatever is asked for: no other borders would tell it from one that is shown twice.
    for claims_all in [true, false] {
        let mut all = organizations(44);
        all.push(r#"{"id":"t3","name":"T3 - us1","region":"us1"}"#.to_owned());
        let answer = move |asked: &Asked| {
            let rows: Vec<_> = all.iter().skip(asked.number("index") * 20).take(20).cloned().collect();
            let claim = if claims_all { r#","metadata":{"total_data":45,"total_pages":3}"# } else { "" };
            good(&format!(r#"{{"data":[{}]{claim}}}"#, rows.join(",")))
        };
        check_list(answer, 44, 0).await;
    }
}

#[tokio::test]
async fn completeness_an_organization_that_is_renamed_while_it_is_listed_hides_no_other() {
    let answer = move |asked: &Asked| {
        let mut all = organizations(40);
        if asked.number("size") < 100 || asked.number("index") > 0 {
            // It moves behind the others, and one slides over the border.
            all.remove(7);
            all.push(r#"{"id":"t7","name":"Zulu","region":"us"}"#.to_owned());
        }
        claimed_in(&asked.page(&all, "index", 20), all.len(), asked, 20)
    };
    check_list(answer, 40, 0).await;
}

#[tokio::test]
async fn completeness_a_static_list_that_repeats_a_record_is_whole_however_small_its_pages() {
    for (most, count) in [(2, 10), (5, 40), (10, 300), (20, 500)] {
        let mut all = users(count);
        all.push(all[3].clone());
        let server =
            serve(move |asked| claimed_in(&asked.page(&all, "index", most), all.len(), asked, most)).await;
        let (rows, tally) = read(&server, "users").await;
        assert_eq!((rows, tally.drifted), (count, false), "pages of {most}: {tally:?}");
    }
}

#[tokio::test]
async fn completeness_a_list_of_tenants_that_says_it_is_not_whole_is_not_taken() {
    for trouble in [r#""status":503"#, r#""status":"504""#, r#""error":"backend""#, r#""errorCode":1"#] {
        let all = organizations(150);
        let answer = move |asked: &Asked| match asked.number("index") {
            0 => good(&format!(r#"{{"data":[{}]}}"#, asked.page(&all, "index", 100).join(","))),
            _ => good(&format!(r#"{{"data":[],{trouble}}}"#)),
        };
        check_refused(answer, &["it says itself that it is not whole"]).await;
    }
}

#[tokio::test]
async fn an_entry_that_is_no_tenant_is_set_aside_and_the_others_go_on() {
    for (entry, tenants, remarks) in [
        (r#"{"id":12345,"name":"num","region":"us"}"#, 3, 0),
        (r#"{"id":"x","name":7,"region":5,"external_id":9}"#, 3, 0),
        (r#"{"id":"a b","name":"bad","region":"us"}"#, 2, 1),
        (r#"{"name":"no id"}"#, 2, 1),
        ("null", 2, 1),
        (r#"12345,{"id":12345,"name":"num","region":"us"}"#, 3, 1),
        // What no reader of JSON takes stands in a member that does not matter.
        (r#"{"id":"x","name":"half \ud83d","region":"us"}"#, 3, 0),
        (r#"{"id":"x","name":"X","region":"us","size":1e400}"#, 3, 0),
        (r#"{"id":"half \ud83d","name":"X","region":"us"}"#, 2, 1),
    ] {
        let (body, pages) = (organizations(2).join(","), r#"{"total_pages":"1"}"#);
        let answer = move |_: &Asked| good(&format!(r#"{{"data":[{body},{entry}],"metadata":{pages}}}"#));
        check_list(answer, tenants, remarks).await;
    }
    let secret = || {
        good(
            r#"[{"id":"hunter2-secret-key !"},{"id":"hunter2-secret-key"},{"id":"a","name":"hunter2\u002dsecret-key"}]"#,
        )
    };
    let connector = connector(&serve(move |_| secret()).await);
    assert_eq!(connector.scrub("hunter2-secret-key"), "hunter2-secret-key", "it is not read yet");
    let told = format!("{:?} {:?}", connector.tenants().await.expect("it is a list"), connector.remarks());
    assert!(told.matches("****").count() == 3 && !told.contains("hunter2"), "{told}");
    assert_eq!(connector.scrub("a hunter2-secret-key"), "a ****");
}

#[tokio::test]
async fn a_list_that_is_refused_says_what_helps() {
    check_refused(|_| reply(403, "", ""), &["403", "list_by_user", "[[tenant]]"]).await;
    let unauthorized = |asked: &Asked| match asked.path.as_str() {
        "/us/validate" => good("{}"),
        _ => reply(401, "", ""),
    };
    check_refused(unauthorized, &["401", "parent_organization", "home_region"]).await;
}

#[tokio::test]
async fn secrecy_an_organization_that_is_the_key_is_not_named() {
    let server =
        serve(|_| good(r#"{"data":[{"rrn":"rrn:uba:us:hunter2-secret-key:user:1","name":"n"}]}"#)).await;
    let connector = connector(&server);
    let partition = partition(&connector, "users");
    let error = connector.read(&partition).try_collect::<Vec<Batch>>().await.expect_err("it is another's");
    assert_eq!(error.kind(), pipeline::ErrorKind::Isolation);
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}
