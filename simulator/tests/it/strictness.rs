//! What the platform refuses, and in whose words.

use serde_json::Value;

use crate::support::{Ask, Bench, alert_window, plain};

#[tokio::test]
async fn requests_out_of_bounds_are_refused() {
    let bench = Bench::new(plain(2)).await;
    let alerts = "/idr/at/alerts/ops/search";
    let assets = "/vm/v4/integration/assets";
    let week = alert_window(7);
    let year = alert_window(365);
    let cases: Vec<(&str, String, &str, u16)> = vec![
        ("GET", "/idr/v2/investigations?size=101".into(), "", 400),
        ("GET", "/idr/v2/investigations?size=0".into(), "", 400),
        ("GET", "/idr/v2/investigations?index=-1".into(), "", 400),
        ("GET", "/idr/v2/investigations?start_time=yesterday".into(), "", 400),
        ("GET", "/idr/v2/investigations?statuses=ODD".into(), "", 400),
        ("GET", "/idr/v2/investigations?sort=title,ASC".into(), "", 400),
        ("POST", "/idr/v2/investigations".into(), "{}", 405),
        ("GET", alerts.into(), "", 405),
        ("POST", alerts.into(), "{}", 400),
        ("POST", alerts.into(), &year, 400),
        ("POST", format!("{alerts}?size=101"), &week, 400),
        ("POST", alerts.into(), &week, 200),
        ("POST", "/idr/v1/accounts/_search?size=1001".into(), "{}", 400),
        ("POST", "/idr/v1/accounts/_search".into(), "", 400),
        ("POST", "/idr/v1/accounts/_search".into(), r#"{"sort":[{"field":"disabled","order":"ASC"}]}"#, 400),
        ("POST", "/idr/v1/accounts/_search?size=1000".into(), "{}", 200),
        ("POST", "/idr/v1/accounts/_search".into(), "not json", 400),
        ("POST", format!("{assets}?size=501"), "{}", 400),
        ("POST", format!("{assets}?cursor=nonsense"), "{}", 400),
        ("POST", format!("{assets}?sort=shoe_size,asc"), "{}", 400),
        ("POST", format!("{assets}?includeSame=perhaps"), "{}", 400),
        ("POST", assets.into(), r#"{"asset":"nonsense"}"#, 400),
        ("POST", assets.into(), "", 200),
        ("POST", format!("{assets}?size=500"), "{}", 200),
        ("GET", assets.into(), "", 405),
        ("GET", format!("{assets}/unknown"), "", 404),
        ("GET", "/vm/v4/integration/sites".into(), "", 200),
        ("GET", "/vm/v4/integration/scan/unknown".into(), "", 200),
        ("GET", "/vm/v4/nowhere".into(), "", 404),
        ("PUT", "/account/api/1/products".into(), "", 405),
    ];
    for (method, path, body, expected) in cases {
        let ask = Ask { body: Some(body.to_owned()), ..Ask::default() };
        let answer = bench.read(0, method, &path, ask).await;
        assert_eq!(answer.status, expected, "{method} {path} {body}: {}", answer.text);
    }
    bench.handle.stop().await;
}

#[tokio::test]
async fn refusals_are_in_the_words_of_the_api_asked() {
    let bench = Bench::new(plain(2)).await;
    let idr = bench.read(0, "GET", "/idr/v2/investigations?size=101", Ask::default()).await;
    assert!(idr.json()["message"].is_string());
    assert_eq!(idr.json()["correlation_id"].as_str(), idr.header("r7-correlation-id"));
    let vm = bench.read(0, "POST", "/vm/v4/integration/assets?size=501", Ask::default()).await.json();
    assert_eq!((&vm["status"], &vm["throwable"]), (&Value::from(400), &Value::Null));
    assert!(vm["_type"].as_str().is_some_and(|kind| kind.ends_with("ErrorResource")));
    let text = Ask { content_type: Some("text/plain"), ..Ask::default() };
    assert_eq!(bench.read(0, "POST", "/vm/v4/integration/assets", text).await.status, 415);
    let nowhere =
        bench.read(0, "GET", "/nowhere", Ask { region: Some("mars".into()), ..Ask::default() }).await;
    assert_eq!(nowhere.status, 404);
    assert_eq!(bench.handle.journal().misplaced[0].reason, "unknown_place");
    bench.handle.stop().await;
}

#[tokio::test]
async fn answers_carry_the_gateways_headers() {
    let bench = Bench::new(plain(1)).await;
    let account = bench.read(0, "GET", "/account/api/1/products", Ask::default()).await;
    assert_eq!(account.header("www-authenticate"), Some("Key realm=\"kong\""));
    assert!(account.header("via").is_some_and(|via| via.starts_with("kong/")));
    assert!(account.header("r7-correlation-id").is_some_and(|id| id.len() == 36));
    let request = bench.client.get(bench.base("us") + "/validate").header("x-api-key", &bench.key);
    let echoed = request.header("R7-Correlation-Id", "mine").send().await.expect("an answer");
    assert_eq!(echoed.headers()["r7-correlation-id"], "mine");
    assert_eq!(echoed.headers()["content-type"], "application/json; charset=utf-8");
    bench.handle.stop().await;
}
