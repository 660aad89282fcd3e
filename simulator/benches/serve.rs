//! How fast pages are served over keep-alive connections; the first answer of each connection has its rows counted.
//!
//! `cargo bench -p simulator` prints pages, rows and megabytes per second for a page of each kind. Client and server
//! share the machine, so the figures are below what the server alone could do.

#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]

use std::io;
use std::time::{Duration, Instant};

use simulator::{Handle, Simulator, SimulatorConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CONNECTIONS: usize = 8;
const TIME: Duration = Duration::from_secs(4);

/// A page to ask for again and again.
struct Kind {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    body: &'static str,
    rows: u64,
    /// What stands once in every row.
    mark: &'static str,
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "investigations",
        method: "GET",
        path: "/idr/v2/investigations?size=100&sort=created_time,ASC&start_time=2000-01-01T00:00:00Z&index=",
        body: "",
        rows: 100,
        mark: "{\"rrn\":\"rrn:investigation:",
    },
    Kind {
        name: "accounts",
        method: "POST",
        path: "/idr/v1/accounts/_search?size=1000&index=",
        body: "{}",
        rows: 1000,
        mark: ",\"authentication_service\":",
    },
    Kind {
        name: "vm_assets",
        method: "POST",
        path: "/vm/v4/integration/assets?size=100&includeSame=true&page=",
        body: "{}",
        rows: 100,
        mark: "{\"assessed_for_policies\":",
    },
    Kind {
        name: "vm_vulnerabilities",
        method: "POST",
        path: "/vm/v4/integration/vulnerabilities?size=100&page=",
        body: "{}",
        rows: 100,
        mark: "{\"added\":",
    },
];

#[derive(Default)]
struct Served {
    pages: u64,
    bytes: u64,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let config = SimulatorConfig { rows: 10.0, gzip: false, ..SimulatorConfig::default() };
    let handle = Simulator::start(config).await.map_err(io::Error::other)?;
    for kind in &KINDS {
        let started = Instant::now();
        let clients =
            (0..CONNECTIONS).map(|number| tokio::spawn(client(&handle, kind, number))).collect::<Vec<_>>();
        let mut total = Served::default();
        for client in clients {
            let served = client.await.map_err(io::Error::other)??;
            total.pages += served.pages;
            total.bytes += served.bytes;
        }
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{:20} {:8.0} pages/s {:10.0} rows/s {:8.0} MB/s",
            kind.name,
            total.pages as f64 / seconds,
            (total.pages * kind.rows) as f64 / seconds,
            total.bytes as f64 / seconds / 1e6,
        );
    }
    handle.stop().await;
    Ok(())
}

fn client(
    handle: &Handle,
    kind: &Kind,
    number: usize,
) -> impl Future<Output = io::Result<Served>> + Send + use<> {
    let tenant = &handle.tenants()[0];
    let key = handle.key("main").expect("there is a key of this name").secret;
    let start = format!("{} /{}{}", kind.method, tenant.region, kind.path);
    let rest = format!(
        "HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\nr7-organization-id: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{}",
        tenant.id,
        kind.body.len(),
        kind.body,
    );
    let (address, rows, mark) = (handle.address(), kind.rows, kind.mark);
    async move {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut buffer = vec![0; 4 << 20];
        let (mut served, until) = (Served::default(), Instant::now() + TIME);
        while Instant::now() < until {
            let page = (served.pages + number as u64) % 12;
            stream.write_all(format!("{start}{page} {rest}").as_bytes()).await?;
            let body = answer(&mut stream, &mut buffer).await?;
            // Counting rows costs more than serving them, so only the first answer is counted.
            if served.pages == 0 {
                let text = String::from_utf8_lossy(body);
                assert_eq!(text.matches(mark).count() as u64, rows, "{}", &text[..text.len().min(300)]);
            }
            served.bytes += body.len() as u64;
            served.pages += 1;
        }
        Ok(served)
    }
}

/// Reads one answer of a known length.
async fn answer<'b>(stream: &mut TcpStream, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
    let mut read = 0;
    loop {
        let more = stream.read(&mut buffer[read..]).await?;
        if more == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read += more;
        let Some(end) = buffer[..read.min(4096)].windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let length =
            head.split("content-length: ").nth(1).and_then(|text| text.lines().next()?.trim().parse().ok());
        let length: usize = length.ok_or(io::ErrorKind::InvalidData)?;
        let whole = end + 4 + length;
        if read < whole {
            stream.read_exact(&mut buffer[read..whole]).await?;
        }
        return Ok(&buffer[end + 4..whole]);
    }
}
