//! How fast pages become columns on one core; what comes out is counted against what went in.
//!
//! `cargo bench -p connectors` prints megabytes of JSON and rows per second for the pages of each listing.

#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]

use std::time::{Duration, Instant};

use arrow::array::Array as _;
use bytes::Bytes;
use connectors::normalize::Seen;
use connectors::rapid7::datasets::Endpoint;
use simulator::Handle;

use self::pages::Outcome;

#[path = "decode/pages.rs"]
mod pages;

const TIME: Duration = Duration::from_secs(2);

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (handle, listings) = runtime.block_on(pages::listings())?;
    for (endpoint, pages) in &listings {
        measure(&handle, endpoint, pages)?;
    }
    runtime.block_on(handle.stop());
    Ok(())
}

fn measure(handle: &Handle, endpoint: &Endpoint, pages: &[Bytes]) -> Outcome<()> {
    let name = endpoint.datasets[0].name;
    let tenant = handle.tenants()[0].id.parse::<pipeline::TenantId>()?;
    let (mut bytes, mut rows, mut inner) = (0_u64, 0_u64, 0_u64);
    let (started, spent_before) = (Instant::now(), spent()?);
    while started.elapsed() < TIME {
        let mut decoder = endpoint.decoder(&tenant);
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
