//! How fast pages become columns on one core; what comes out is counted against what went in.
//!
//! `cargo bench -p connectors` prints megabytes of JSON and rows per second for the pages of each listing.

#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]

use std::error::Error;
use std::time::{Duration, Instant};

use arrow::array::Array as _;
use bytes::Bytes;
use connectors::normalize::{Decoder, Seen};
use connectors::rapid7::datasets::{Endpoint, Paging, endpoints};
use pipeline::Window;
use simulator::{Handle, Simulator, SimulatorConfig};

const TIME: Duration = Duration::from_secs(2);
// As many full pages as the shortest of the listings has.
const PAGES: usize = 3;
const NOW: &str = "2026-06-01T00:00:00Z";
/// The pulls worth measuring: narrow rows, wide rows, nested rows, long texts.
const PULLS: [&str; 5] = ["investigations", "alerts", "accounts", "vm_assets", "vm_vulnerabilities"];

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let config = SimulatorConfig { rows: 20.0, now: Some(NOW.parse()?), ..SimulatorConfig::plain(1) };
    let (handle, listings) = runtime.block_on(async {
        let handle = Simulator::start(config).await?;
        let mut listings = Vec::new();
        for endpoint in endpoints().into_iter().filter(|found| PULLS.contains(&found.datasets[0].pull)) {
            let pages = pages(&handle, &endpoint).await?;
            listings.push((endpoint, pages));
        }
        Outcome::Ok((handle, listings))
    })?;
    for (endpoint, pages) in &listings {
        measure(&handle, endpoint, pages)?;
    }
    runtime.block_on(handle.stop());
    Ok(())
}

/// Asks for the first pages of a listing.
async fn pages(handle: &Handle, endpoint: &Endpoint) -> Outcome<Vec<Bytes>> {
    let tenant = &handle.tenants()[0];
    let key = handle.key("main").ok_or("there is a key of this name")?.secret;
    let client = reqwest::Client::new();
    let request = &endpoint.request;
    let parameter = match request.paging {
        Paging::Index(name) => name,
        Paging::Cursor => "page",
    };
    let mut pages = Vec::new();
    for page in 0..PAGES {
        let mut query = (request.query)(Some(window()?));
        query.push(("size", endpoint.datasets[0].page_size.to_string()));
        query.push((parameter, page.to_string()));
        let url = format!("http://{}/{}{}", handle.address(), tenant.region, request.path);
        let call = match request.body {
            Some(body) => {
                client.post(url).header("content-type", "application/json").body(body(Some(window()?)))
            }
            None => client.get(url),
        };
        let call = call.query(&query).header("x-api-key", &key).header("r7-organization-id", &tenant.id);
        pages.push(call.send().await?.error_for_status()?.bytes().await?);
    }
    Ok(pages)
}

/// The months before the simulated present.
fn window() -> Outcome<Window> {
    Ok(Window { since: "2026-03-01T00:00:00Z".parse()?, until: NOW.parse()? })
}

fn measure(handle: &Handle, endpoint: &Endpoint, pages: &[Bytes]) -> Outcome<()> {
    let name = endpoint.datasets[0].name;
    let tenant = handle.tenants()[0].id.parse::<pipeline::TenantId>()?;
    let (mut bytes, mut rows, mut inner) = (0_u64, 0_u64, 0_u64);
    let (started, spent_before) = (Instant::now(), spent()?);
    while started.elapsed() < TIME {
        let mut decoder = Decoder::new(endpoint.page, &endpoint.shape, endpoint.child.as_ref(), &tenant);
        let mut seen = Seen::default();
        for page in pages {
            let facts = decoder.decode(page, &mut seen)?;
            if facts.rows == 0 {
                // Behind the end of a listing, such as the catalogue, which does not grow with the rows asked for.
                break;
            }
            let decoded = decoder.take()?;
            let kept: usize = decoded.records[0].num_rows();
            let keys = decoded.records[0].column(0);
            assert!(decoded.rejects.is_empty(), "{name}: every row fits");
            assert_eq!(kept as u64, facts.fresh, "{name}: every new row is kept");
            assert_eq!((keys.len(), keys.null_count()), (kept, 0), "{name}: each has its key");
            rows += facts.rows;
            inner += decoded.records.get(1).map_or(0, |records| records.num_rows() as u64);
            bytes += page.len() as u64;
        }
    }
    let seconds = spent()? - spent_before;
    assert!(rows > 0, "{name}: there are rows");
    println!(
        "decode {name:18} {:7.0} MB/s {:9.0} rows/s {:9.0} inner rows/s  ({} bytes a page)",
        bytes as f64 / seconds / 1e6,
        rows as f64 / seconds,
        inner as f64 / seconds,
        pages[0].len(),
    );
    Ok(())
}

/// Returns the seconds this thread had a core to itself: on a busy machine the clock on the wall tells of the others.
fn spent() -> Outcome<f64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = told.split(' ').next().ok_or("the first number is the time spent")?.parse()?;
    Ok(nanoseconds / 1e9)
}
