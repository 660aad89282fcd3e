//! What a core makes of a tenant's pages: JSON in, Parquet out, without a network.
//!
//! `cargo bench -p tests` prints megabytes of JSON for each second of a core, for the pages of each listing.

#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::DateTime;
// For its allocator.
use cli as _;
use connectors::normalize::Seen;
use connectors::rapid7::datasets::Endpoint;
use pipeline::batch::Provenance;
use pipeline::{Partition, Sink, Tenant};
use sinks::parquet::{Config, ParquetSink};

use self::pages::Outcome;

#[path = "../../connectors/benches/decode/pages.rs"]
mod pages;

const TIME: Duration = Duration::from_secs(3);
/// As much as a large tenant has: the cost of a file is measured beside the encoder, in `cargo bench -p sinks`.
const JSON: u64 = 64 << 20;

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let (handle, listings) = pages::listings().await?;
        let told = &handle.tenants()[0];
        let tenant = Tenant {
            id: told.id.parse()?,
            name: told.name.clone(),
            region: Some(told.region.parse()?),
            external_id: None,
        };
        for (endpoint, pages) in &listings {
            measure(&Arc::new(tenant.clone()), endpoint, pages).await?;
        }
        handle.stop().await;
        Ok(())
    })
}

async fn measure(tenant: &Arc<Tenant>, endpoint: &Endpoint, pages: &[Bytes]) -> Outcome<()> {
    let name = endpoint.datasets[0].name;
    let (mut bytes, mut rows) = (0_u64, 0_u64);
    let (started, spent_before) = (Instant::now(), spent()?);
    while started.elapsed() < TIME {
        let folder = tempfile::tempdir()?;
        let sink = ParquetSink::open(&Config::at(folder.path().display().to_string()))?;
        sink.prepare("bench").await?;
        let at = DateTime::from_timestamp(1_800_000_000, 0).ok_or("an instant")?;
        let partition = Partition {
            tenant: tenant.clone(),
            region: tenant.region.clone().ok_or("it has a region")?,
            datasets: endpoint.datasets.clone(),
            window: None,
            date: at.date_naive(),
        };
        let provenance = Provenance::new(&partition, "bench", at);
        let mut writer = sink.writer(&partition).await?;
        let (mut read, mut kept) = (0, 0);
        while read < JSON {
            // The same pages again are other records to it.
            let (mut decoder, mut seen) = (endpoint.decoder(&tenant.id), Seen::default());
            for page in pages {
                decoder.decode(page, &mut seen)?;
                let decoded = decoder.take()?;
                assert!(decoded.rejects.is_empty(), "{name}: every row fits");
                for (dataset, records) in endpoint.datasets.iter().zip(decoded.records) {
                    kept += records.num_rows() as u64;
                    writer.write(dataset, provenance.add_to(&records)?).await?;
                }
                read += page.len() as u64;
            }
        }
        bytes += read;
        let files = writer.close().await?;
        assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), kept, "{name}: every row is in a file");
        rows += kept;
    }
    let seconds = spent()? - spent_before;
    assert!(rows > 0, "{name}: there are rows");
    println!(
        "decode and encode {name:18} {:5.0} MB/s of a core {:9.0} rows/s",
        bytes as f64 / seconds / 1e6,
        rows as f64 / seconds,
    );
    Ok(())
}

/// Returns the seconds of cores that this process took so far, on however many threads.
fn spent() -> Outcome<f64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}
