//! A platform, a key and a client, told once for all tests.

use reqwest::{Client, Method, Response};
use serde_json::Value;
use simulator::{Dataset, Handle, Simulator, SimulatorConfig};

/// A running platform and a client with its multi-tenant key.
pub(crate) struct Bench {
    pub(crate) handle: Handle,
    pub(crate) client: Client,
    pub(crate) key: String,
}

/// An answer, read.
pub(crate) struct Read {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Read {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What is asked; the rest has defaults.
#[derive(Clone, Default)]
pub(crate) struct Ask {
    pub(crate) key: Option<String>,
    pub(crate) organization: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) content_type: Option<&'static str>,
}

impl Bench {
    pub(crate) async fn new(config: SimulatorConfig) -> Self {
        let handle = Simulator::start(config).await.expect("the platform starts");
        let key =
            handle.key("main").or_else(|| handle.keys().into_iter().next()).expect("there is a key").secret;
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        Self { handle, client, key }
    }

    pub(crate) fn base(&self, region: &str) -> String {
        self.handle.endpoint().replace("{region}", region)
    }

    /// Sends a request for the tenant of a number, on its own region, unless `ask` says otherwise.
    pub(crate) async fn send(
        &self,
        tenant: usize,
        method: &str,
        path: &str,
        ask: Ask,
    ) -> reqwest::Result<Response> {
        let tenant = &self.handle.tenants()[tenant];
        let region = ask.region.unwrap_or_else(|| tenant.region.clone());
        let method: Method = method.parse().expect("a method");
        let mut request = self
            .client
            .request(method.clone(), self.base(&region) + path)
            .header("x-api-key", ask.key.unwrap_or_else(|| self.key.clone()));
        let organization = ask.organization.unwrap_or_else(|| tenant.id.clone());
        if !organization.is_empty() {
            request = request.header("r7-organization-id", organization);
        }
        if method == Method::POST {
            request = request.header("content-type", ask.content_type.unwrap_or("application/json"));
            request = request.body(ask.body.unwrap_or_else(|| "{}".to_owned()));
        }
        request.send().await
    }

    pub(crate) async fn read(&self, tenant: usize, method: &str, path: &str, ask: Ask) -> Read {
        let response = self.send(tenant, method, path, ask).await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Read { status, headers, text: response.text().await.expect("a body") }
    }

    /// Lists tenants as the primary account.
    pub(crate) async fn list(&self, query: &str) -> Read {
        let ask = Ask { organization: Some(self.handle.parent_organization().to_owned()), ..Ask::default() };
        self.read(0, "GET", &format!("/account/api/1/managed-organizations{query}"), ask).await
    }

    /// Reads every page of a dataset as a client would, and returns its rows.
    pub(crate) async fn pull(&self, tenant: usize, dataset: Dataset, size: u64) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut cursor = None;
        for index in 0.. {
            let (method, path, body) = request(dataset, index, size, cursor.as_deref());
            let ask = Ask { body: Some(body), ..Ask::default() };
            let page = self.read(tenant, method, &path, ask).await;
            assert_eq!(page.status, 200, "{path}: {}", page.text);
            let page = page.json();
            let (found, name) = found(&page);
            assert!(found.len() as u64 <= size || page.is_array(), "{name} holds more than {size}");
            rows.extend(found.iter().cloned());
            cursor = page["metadata"]["cursor"].as_str().map(str::to_owned);
            if is_last(&page, index, found.is_empty()) {
                return rows;
            }
        }
        unreachable!("pages are counted without end")
    }
}

fn found(page: &Value) -> (&Vec<Value>, &'static str) {
    for name in ["data", "alerts"] {
        if let Some(rows) = page[name].as_array() {
            return (rows, name);
        }
    }
    (page.as_array().expect("a bare array"), "array")
}

fn is_last(page: &Value, index: u64, empty: bool) -> bool {
    let metadata = &page["metadata"];
    if let Some(last) = metadata["is_last_index"].as_bool() {
        return last;
    }
    if metadata["number"].is_u64() && metadata["cursor"].is_string() {
        return empty;
    }
    let pages = metadata["total_pages"].as_u64().or(metadata["totalPages"].as_u64()).unwrap_or(0);
    empty || index + 1 >= pages
}

fn request(dataset: Dataset, index: u64, size: u64, cursor: Option<&str>) -> (&'static str, String, String) {
    let whole = r#"{"search":[],"sort":[{"field":"name","order":"ASC"}]}"#;
    let by_index = |path: &str| format!("{path}?index={index}&size={size}");
    let by_cursor = |path: &str| match cursor {
        Some(cursor) => format!("{path}?size={size}&cursor={}", cursor.replace(' ', "%20")),
        None => format!("{path}?size={size}"),
    };
    match dataset {
        Dataset::Investigations => (
            "GET",
            by_index("/idr/v2/investigations") + "&sort=created_time,ASC&start_time=2000-01-01T00:00:00Z",
            String::new(),
        ),
        Dataset::Alerts => {
            let sorts = r#""sorts":[{"field_id":"alerted_at","order":"ASCENDING_NULLS_LAST"}]"#;
            let body = alert_window(180).replacen('{', &format!("{{{sorts},"), 1);
            ("POST", by_index("/idr/at/alerts/ops/search"), body)
        }
        Dataset::Users => ("POST", by_index("/idr/v1/users/_search"), whole.to_owned()),
        Dataset::Accounts => ("POST", by_index("/idr/v1/accounts/_search"), whole.to_owned()),
        Dataset::Assets => ("POST", by_index("/idr/v1/assets/_search"), whole.to_owned()),
        Dataset::LocalAccounts => {
            ("POST", by_index("/idr/v1/assets/local-accounts/_search"), whole.to_owned())
        }
        Dataset::VmAssets | Dataset::VmFindings => {
            ("POST", by_cursor("/vm/v4/integration/assets") + "&includeSame=true", "{}".to_owned())
        }
        Dataset::VmVulnerabilities => {
            ("POST", by_cursor("/vm/v4/integration/vulnerabilities"), "{}".to_owned())
        }
        Dataset::VmSites => ("POST", by_cursor("/vm/v4/integration/sites"), "{}".to_owned()),
        Dataset::VmScans => {
            ("GET", format!("/vm/v4/integration/scan?page={index}&size={size}"), String::new())
        }
        Dataset::VmEngines => {
            ("GET", format!("/vm/v4/integration/scan/engine?page={index}&size={size}"), String::new())
        }
        Dataset::AccountUsers => ("GET", "/account/api/1/users".to_owned(), String::new()),
        Dataset::Products => ("GET", "/account/api/1/products".to_owned(), String::new()),
    }
}

/// Returns the present of the tests in milliseconds.
pub(crate) fn start_ms() -> i64 {
    NOW_SECONDS * 1000
}

/// Returns the time so many days before the fixed present of the tests.
pub(crate) fn chrono_ago(days: i64) -> String {
    let then = chrono::DateTime::from_timestamp(NOW_SECONDS - days * 86_400, 0).expect("in range");
    then.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Returns the body of an alert search over so many days up to the fixed present.
pub(crate) fn alert_window(days: i64) -> String {
    format!(r#"{{"search":{{"start_time":"{}","end_time":"{}"}}}}"#, chrono_ago(days), chrono_ago(0))
}

/// The present of the tests: 2026-11-20, a little in the past so that open windows stay within six months.
const NOW_SECONDS: i64 = 1_795_132_800;

/// A small plain platform whose data ends at the fixed present.
pub(crate) fn plain(tenants: usize) -> SimulatorConfig {
    let now = chrono::DateTime::from_timestamp(NOW_SECONDS, 0);
    SimulatorConfig { now, ..SimulatorConfig::plain(tenants) }
}

/// The text that names a row, as the platform's truth spells it.
pub(crate) fn keys(dataset: Dataset, row: &Value) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match dataset {
        Dataset::VmFindings => {
            let all = ["new", "same"].iter().filter_map(|list| row[*list].as_array()).flatten();
            all.map(|finding| {
                let part = |name: &str| text(&finding[name]);
                let parts = ["vulnerability_id", "check_id", "key", "port", "protocol"].map(part);
                format!("{}|{}", text(&row["id"]), parts.join("|"))
            })
            .collect()
        }
        Dataset::VmSites => vec![text(&row["name"])],
        Dataset::Products => vec![text(&row["product_token"])],
        Dataset::VmAssets
        | Dataset::VmVulnerabilities
        | Dataset::VmScans
        | Dataset::VmEngines
        | Dataset::AccountUsers => vec![text(&row["id"])],
        _ => vec![text(&row["rrn"])],
    }
}
