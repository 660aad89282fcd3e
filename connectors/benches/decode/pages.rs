//! Pages of the simulated platform, for benchmarks of what is done with them.

use std::error::Error;

use bytes::Bytes;
use connectors::rapid7::datasets::{Endpoint, Paging, endpoints};
use pipeline::Window;
use simulator::{Handle, Simulator, SimulatorConfig};

// As many full pages as the shortest of the listings has.
const PAGES: usize = 3;
const NOW: &str = "2026-06-01T00:00:00Z";
/// The pulls worth measuring: narrow rows, wide rows, nested rows, long texts.
const PULLS: [&str; 5] = ["investigations", "alerts", "accounts", "vm_assets", "vm_vulnerabilities"];

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// Starts a platform and asks it for the first pages of the listings worth measuring.
pub(crate) async fn listings() -> Outcome<(Handle, Vec<(Endpoint, Vec<Bytes>)>)> {
    let config = SimulatorConfig { rows: 20.0, now: Some(NOW.parse()?), ..SimulatorConfig::plain(1) };
    let handle = Simulator::start(config).await?;
    let mut listings = Vec::new();
    for endpoint in endpoints().into_iter().filter(|found| PULLS.contains(&found.datasets[0].pull)) {
        let pages = pages(&handle, &endpoint).await?;
        listings.push((endpoint, pages));
    }
    Ok((handle, listings))
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
