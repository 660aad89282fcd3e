//! Limits are kept, told in every spelling, and changed while the platform runs.

use simulator::{Fault, FaultRule, LimitHeaders, LimitRule, LimitScope, RetryAfter, SimulatorConfig};

use crate::support::{Ask, Bench, plain};

const INVESTIGATIONS: &str = "/idr/v2/investigations";
/// Long enough that a test never crosses into the next window by chance.
const HOUR_MS: u64 = 3_600_000;

#[tokio::test]
async fn a_window_holds_so_many_requests_of_a_key() {
    let bench = Bench::new(SimulatorConfig { limits: vec![LimitRule::new(3, HOUR_MS)], ..plain(9) }).await;
    let mut statuses = Vec::new();
    // Tenants 0 and 7 share a region, and so the limit.
    for tenant in [0, 7, 0, 7, 1] {
        statuses.push(bench.read(tenant, "GET", INVESTIGATIONS, Ask::default()).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 200], "the other region has its own");
    let vm = bench.read(0, "POST", "/vm/v4/integration/assets", Ask::default()).await;
    assert_eq!(vm.status, 200, "the other family has its own");
    assert_eq!(bench.read(0, "GET", "/validate", Ask::default()).await.status, 200, "validation has none");
    let refused = bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await;
    assert_eq!(refused.text, r#"{"message":"API rate limit exceeded"}"#);
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit-limit")), (None, None));

    let journal = bench.handle.journal();
    let span = journal.spans.iter().find(|span| span.family == "idr" && span.region == "us").expect("a span");
    assert_eq!((span.requests, span.refused, span.max_fixed, span.max_sliding), (5, 2, 5, 5));
    assert_eq!((journal.total.limited, journal.total.injected_429), (2, 0));
    bench.handle.set_limit(LimitRule::new(100, HOUR_MS)).expect("a limit");
    assert_eq!(bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await.status, 200);
    bench.handle.stop().await;
}

#[tokio::test]
async fn a_limit_may_count_each_organization_apart() {
    let rule = LimitRule { scope: LimitScope::KeyAndOrganization, ..LimitRule::new(1, HOUR_MS) };
    let bench = Bench::new(SimulatorConfig { limits: vec![rule], ..plain(9) }).await;
    let mut statuses = Vec::new();
    for tenant in [0, 7, 0] {
        statuses.push(bench.read(tenant, "GET", INVESTIGATIONS, Ask::default()).await.status);
    }
    assert_eq!(statuses, [200, 200, 429]);
    bench.handle.stop().await;
}

#[tokio::test]
async fn headers_are_spelled_as_told() {
    for (headers, plain_name, prefixed) in [
        (LimitHeaders::None, None, None),
        (LimitHeaders::RateLimit, Some("1"), None),
        (LimitHeaders::XRateLimit, None, Some("1")),
        (LimitHeaders::Both, Some("1"), Some("1")),
    ] {
        let rule = LimitRule { headers, retry_after: RetryAfter::Seconds, ..LimitRule::new(2, HOUR_MS) };
        let bench = Bench::new(SimulatorConfig { limits: vec![rule], ..plain(1) }).await;
        let answer = bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await;
        assert_eq!(answer.header("ratelimit-remaining"), plain_name, "{headers:?}");
        assert_eq!(answer.header("x-ratelimit-remaining"), prefixed, "{headers:?}");
        bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await;
        let refused = bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await;
        let wait: u64 = refused.header("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
        assert!((1..=3600).contains(&wait), "{wait}");
        bench.handle.stop().await;
    }
}

#[tokio::test]
async fn short_windows_open_again() {
    let rule = LimitRule { retry_after: RetryAfter::Date, ..LimitRule::new(1, 200) };
    let bench = Bench::new(SimulatorConfig { limits: vec![rule], ..plain(1) }).await;
    let mut statuses = Vec::new();
    for _ in 0..40 {
        let answer = bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await;
        if answer.status == 429 {
            assert!(answer.header("retry-after").is_some_and(|date| date.ends_with(" GMT")));
        }
        statuses.push(answer.status);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let passed = statuses.iter().filter(|status| **status == 200).count();
    assert!((3..30).contains(&passed), "{statuses:?}");
    bench.handle.stop().await;
}

#[tokio::test]
async fn injected_refusals_are_counted_apart() {
    let faults =
        vec![FaultRule::always(Fault::TooManyRequests { retry_after: RetryAfter::Seconds, seconds: 7 })];
    let bench = Bench::new(SimulatorConfig { faults, ..plain(1) }).await;
    let refused = bench.read(0, "GET", INVESTIGATIONS, Ask::default()).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("7")));
    let total = bench.handle.journal().total;
    assert_eq!((total.limited, total.injected_429, total.succeeded), (0, 1, 0));
    bench.handle.stop().await;
}
