//! The vulnerability API: assets with findings, definitions, sites, scans and engines.

use http::StatusCode;
use serde::Deserialize;

use crate::answer::{Answer, Refusal};
use crate::criteria::Criteria;
use crate::data::collection::RowId;
use crate::data::json::{Fraction, put, put_int, put_str, put_time};
use crate::data::places::from_ordered_uuid;
use crate::data::rng::hash_text;
use crate::data::vm_findings::View;
use crate::data::world::Row;
use crate::data::{Dataset, vm_assets, vm_scans, vm_vulnerabilities};
use crate::listing::{Keep, Listing, Order, Page, Start, put_row, put_rows};
use crate::request::Request;

const LARGEST_PAGE: u64 = 500;
const USUAL_PAGE: u64 = 10;
const PAGES: std::ops::RangeInclusive<u64> = 0..=i32::MAX as u64;

#[derive(Debug, Default, Deserialize)]
struct Search {
    asset: Option<String>,
    vulnerability: Option<String>,
}

/// Says that the service is well.
pub(crate) fn health() -> Result<Answer, Refusal> {
    Ok(Answer::json(StatusCode::OK, br#"{"status":"UP"}"#.to_vec()))
}

/// Searches assets, page by page or by cursor.
pub(crate) fn assets(request: &Request) -> Result<Answer, Refusal> {
    let search: Search = request.json()?;
    let asset = criteria(search.asset.as_deref(), Dataset::VmAssets)?;
    let mut view = view(request)?;
    view.criteria = criteria(search.vulnerability.as_deref(), Dataset::VmVulnerabilities)?;
    let keep: Option<Keep> = (!asset.is_empty()).then(|| -> Keep { Box::new(move |row| asset.holds(row)) });
    let listing = listing(request, Dataset::VmAssets, keep)?;
    let write = |row: &Row, out: &mut Vec<u8>| vm_assets::put_json(row, &view, out);
    cursor_page(request, &listing, &write, 4000)
}

/// Searches definitions, page by page or by cursor.
pub(crate) fn vulnerabilities(request: &Request) -> Result<Answer, Refusal> {
    let search: Search = request.json()?;
    let wanted = criteria(search.vulnerability.as_deref(), Dataset::VmVulnerabilities)?;
    view(request)?;
    let keep: Option<Keep> = (!wanted.is_empty()).then(|| -> Keep { Box::new(move |row| wanted.holds(row)) });
    let listing = listing(request, Dataset::VmVulnerabilities, keep)?;
    cursor_page(request, &listing, &put_row, 2200)
}

/// Lists sites, page by page or by cursor.
pub(crate) fn sites(request: &Request) -> Result<Answer, Refusal> {
    let listing = listing(request, Dataset::VmSites, None)?;
    cursor_page(request, &listing, &put_row, 64)
}

/// Lists scans page by page.
pub(crate) fn scans(request: &Request) -> Result<Answer, Refusal> {
    let details = request.query.switch("includeDetails", false)?;
    let listing = listing(request, Dataset::VmScans, None)?;
    plain_page(request, &listing, &|row, out| vm_scans::put_scan(row, details, out))
}

/// Lists engines page by page.
pub(crate) fn engines(request: &Request) -> Result<Answer, Refusal> {
    let listing = listing(request, Dataset::VmEngines, None)?;
    plain_page(request, &listing, &put_row)
}

/// Returns one asset.
pub(crate) fn asset(request: &Request, id: &str) -> Result<Answer, Refusal> {
    let view = view(request)?;
    let row = find(request, Dataset::VmAssets, id)
        .ok_or_else(|| Refusal::new(404, "The requested resource does not exist."))?;
    let mut body = Vec::with_capacity(4000);
    vm_assets::put_json(&row, &view, &mut body);
    Ok(Answer::page(body, 1))
}

/// Returns one scan; an unknown one has merely not finished.
pub(crate) fn scan(request: &Request, id: &str) -> Result<Answer, Refusal> {
    let mut body = Vec::with_capacity(400);
    match find(request, Dataset::VmScans, id) {
        Some(row) => vm_scans::put_scan(&row, true, &mut body),
        None => put(&mut body, r#"{"finished":null}"#),
    }
    Ok(Answer::page(body, 1))
}

fn find<'a>(request: &'a Request, dataset: Dataset, id: &str) -> Option<Row<'a>> {
    let place = place(request, dataset, id)?;
    let there = request.world.read(request.tenant, dataset, |rows| rows.after(place) > rows.before(place));
    there.then(|| request.world.row(request.tenant, dataset, place)).filter(|row| row.key() == id)
}

fn place(request: &Request, dataset: Dataset, key: &str) -> Option<RowId> {
    let count = request.tenant.counts[dataset as usize];
    match dataset {
        Dataset::VmAssets => vm_assets::place(request.tenant, key, count),
        Dataset::VmVulnerabilities => vm_vulnerabilities::place(key),
        Dataset::VmSites => vm_scans::site_place(key),
        _ => from_ordered_uuid(key, count),
    }
}

fn criteria(text: Option<&str>, of: Dataset) -> Result<Criteria, Refusal> {
    let refuse = |why: String| {
        let text = text.unwrap_or_default();
        Refusal::bad(format!(
            "Your query string format is not valid. It has 1 error: Unable to parse query: {text} due to {why}"
        ))
    };
    Criteria::parse(text.unwrap_or_default(), of).map_err(refuse)
}

fn view(request: &Request) -> Result<View, Refusal> {
    let query = &request.query;
    let compared_ms = query.time("comparisonTime")?;
    let current_ms = query.time("currentTime")?.unwrap_or(request.world.now_ms);
    if compared_ms.is_some_and(|compared| compared > current_ms.max(request.world.present_ms())) {
        return Err(Refusal::bad("comparisonTime must not be after currentTime"));
    }
    Ok(View {
        current_ms,
        compared_ms,
        include_same: query.switch("includeSame", false)?,
        include_between: query.switch("includeInterSnapshotRemediations", false)?,
        unique_identifiers: query.switch("includeUniqueIdentifiers", true)?,
        criteria: Criteria::default(),
    })
}

fn listing<'a>(
    request: &'a Request,
    dataset: Dataset,
    keep: Option<Keep<'a>>,
) -> Result<Listing<'a>, Refusal> {
    let order = match request.query.get("sort").map(str::to_ascii_lowercase).as_deref() {
        None | Some("id" | "id,asc" | "name" | "name,asc") => Order::Ascending,
        Some("id,desc" | "name,desc") => Order::Descending,
        Some(other) => return Err(Refusal::bad(format!("The sort {other:?} is not supported."))),
    };
    Ok(Listing {
        keep,
        order,
        twist: request.twist,
        asked: Some(request.asked()),
        ..Listing::all(request.world, request.tenant, dataset)
    })
}

type Write<'w> = &'w dyn Fn(&Row, &mut Vec<u8>);

fn plain_page(request: &Request, listing: &Listing, write: Write) -> Result<Answer, Refusal> {
    let number = request.query.number("page", 0, PAGES)?;
    let size = request.query.number("size", USUAL_PAGE, 1..=LARGEST_PAGE)?;
    let page = listing.page(Start::At(number * size), size);
    Ok(render(request, &page, number, size, None, write, 400))
}

fn cursor_page(
    request: &Request,
    listing: &Listing,
    write: Write,
    row_bytes: usize,
) -> Result<Answer, Refusal> {
    let number = request.query.number("page", 0, PAGES)?;
    let size = request.query.number("size", USUAL_PAGE, 1..=LARGEST_PAGE)?;
    let mark = mark(request);
    let start = match request.query.get("cursor") {
        None => Start::At(number * size),
        Some(cursor) => {
            let wrong = || Refusal::bad("The cursor is not valid for this query.");
            let (prefix, key) = cursor.split_once(":::_S:::").ok_or_else(wrong)?;
            if prefix.parse() != Ok(mark) {
                return Err(wrong());
            }
            Start::After(place(request, listing.dataset, key).ok_or_else(wrong)?)
        }
    };
    let page = listing.page(start, size);
    let cursor = page.last.map(|row| format!("{mark}:::_S:::{}", row.key()));
    Ok(render(request, &page, number, size, cursor.as_deref(), write, row_bytes))
}

/// Ties a cursor to the query it came from: body, order and organization; the page size may change.
fn mark(request: &Request) -> i32 {
    let sort = request.query.get("sort").unwrap_or_default();
    let body = String::from_utf8_lossy(&request.body);
    hash_text(hash_text(request.tenant.hash, sort), &body) as i32
}

fn render(
    request: &Request,
    page: &Page,
    number: u64,
    size: u64,
    cursor: Option<&str>,
    write: Write,
    row_bytes: usize,
) -> Answer {
    let mut body = Vec::with_capacity(1024 + page.rows.len() * row_bytes);
    put(&mut body, r#"{"data":"#);
    put_rows(&page.rows, &mut body, write);
    for (name, value) in [
        (r#","metadata":{"number":"#, number),
        (r#","size":"#, size),
        (r#","totalResources":"#, page.total),
        (r#","totalPages":"#, page.total.div_ceil(size)),
    ] {
        put(&mut body, name);
        put_int(&mut body, value);
    }
    if let Some(cursor) = cursor {
        put(&mut body, r#","cursor":"#);
        put_str(&mut body, cursor);
    }
    put(&mut body, r#"},"links":["#);
    put_link(request, "self", number, size, &mut body);
    if (number + 1) * size < page.total {
        body.push(b',');
        put_link(request, "next", number + 1, size, &mut body);
    }
    put(&mut body, r#"],"effectiveTime":"#);
    put_time(&mut body, request.world.now_ms * 1000, Fraction::Millis);
    body.push(b'}');
    Answer::page(body, page.rows.len())
}

/// Appends a link to the real platform's host, with a port: nobody should follow it.
fn put_link(request: &Request, rel: &str, number: u64, size: u64, out: &mut Vec<u8>) {
    put(out, r#"{"rel":""#);
    put(out, rel);
    put(out, r#"","href":""#);
    let mut href = Vec::new();
    put(&mut href, "https://");
    put(&mut href, request.region);
    put(&mut href, ".api.insight.rapid7.com:443");
    put(&mut href, request.path);
    put(&mut href, "?page=");
    put_int(&mut href, number);
    put(&mut href, "&size=");
    put_int(&mut href, size);
    out.extend_from_slice(&href);
    put(out, r#""}"#);
}
