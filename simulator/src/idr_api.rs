//! The SIEM's API: investigations and alert search.

use serde::Deserialize;

use crate::answer::{Answer, Refusal};
use crate::data::investigations::{PRIORITIES, SOURCES, STATUSES};
use crate::data::json::{put, put_int, put_str};
use crate::data::world::Row;
use crate::data::{Dataset, alerts, investigations};
use crate::listing::{Keep, Listing, Order, Start, put_index_metadata, put_row, put_rows};
use crate::query::time_ms;
use crate::request::Request;

const DAY_MS: i64 = 86_400_000;
/// How far back investigations go when no start is given.
const INVESTIGATIONS_DAYS: i64 = 28;
/// The longest window of an alert search: six months at their longest.
const ALERTS_DAYS: i64 = 184;
/// The page numbers that fit.
pub(crate) const PAGES: std::ops::RangeInclusive<u64> = 0..=i32::MAX as u64;

/// Lists investigations by created time.
pub(crate) fn investigations(request: &Request) -> Result<Answer, Refusal> {
    let query = &request.query;
    let (index, size) = (query.number("index", 0, PAGES)?, query.number("size", 20, 1..=100)?);
    query.switch("multi-customer", false)?;
    let until = query.time("end_time")?;
    let since = query.time("start_time")?;
    let present = request.world.present_ms();
    let end = until.unwrap_or(present);
    let start = since.unwrap_or_else(|| until.unwrap_or(request.world.now_ms) - INVESTIGATIONS_DAYS * DAY_MS);
    if start > end {
        return Err(Refusal::bad("start_time must not be after end_time"));
    }
    let listing = Listing {
        window: Some((start, last_of(end, until.is_some(), request))),
        keep: investigation_filter(request)?,
        order: investigation_order(query.all("sort"))?,
        twist: request.twist,
        asked: Some(request.asked()),
        ..Listing::all(request.world, request.tenant, Dataset::Investigations)
    };
    Ok(index_page(&listing, index, size, 640))
}

/// Returns the last millisecond of a window, whose given end may belong to it or not.
fn last_of(end: i64, given: bool, request: &Request) -> i64 {
    if given && !request.config.inclusive_end { end - 1 } else { end }
}

/// Returns a page in the envelope of the listings that page by index.
pub(crate) fn index_page(listing: &Listing, index: u64, size: u64, row_bytes: usize) -> Answer {
    let page = listing.page(Start::At(index * size), size);
    let mut body = Vec::with_capacity(128 + page.rows.len() * row_bytes);
    put(&mut body, r#"{"data":"#);
    put_rows(&page.rows, &mut body, put_row);
    put_index_metadata(index, size, page.total, &mut body);
    body.push(b'}');
    Answer::page(body, page.rows.len())
}

fn investigation_filter<'a>(request: &'a Request) -> Result<Option<Keep<'a>>, Refusal> {
    let list = |name: &str, known: &[&str]| match request.query.list(name) {
        Some(values) => match values.iter().find(|value| !known.contains(value)) {
            Some(value) => Err(Refusal::bad(format!("{value:?} is not a valid value of {name}"))),
            None => Ok(Some(values)),
        },
        None => Ok(None),
    };
    let statuses = list("statuses", &STATUSES)?;
    let sources = list("sources", &SOURCES)?;
    let priorities = list("priorities", &PRIORITIES)?;
    let tags = request.query.list("tags");
    let assignee = request.query.get("assignee.email");
    if statuses.is_none() && sources.is_none() && priorities.is_none() && tags.is_none() && assignee.is_none()
    {
        return Ok(None);
    }
    let within = |wanted: &Option<Vec<&str>>, found: &str| {
        wanted.as_ref().is_none_or(|wanted| wanted.contains(&found))
    };
    Ok(Some(Box::new(move |row| {
        within(&statuses, investigations::status(row))
            && within(&sources, investigations::source(row))
            && within(&priorities, PRIORITIES[investigations::priority(row)])
            && tags.as_ref().is_none_or(|wanted| {
                let found = investigations::tags(row).unwrap_or_default();
                wanted.iter().all(|tag| found.contains(tag))
            })
            && assignee.is_none_or(|wanted| {
                investigations::assignee(row).is_some_and(|(first, last)| {
                    let mut email = Vec::new();
                    investigations::put_email(&mut email, first, last);
                    email == wanted.as_bytes()
                })
            })
    })))
}

fn investigation_order<'a, 'b>(sorts: impl Iterator<Item = &'b str>) -> Result<Order<'a>, Refusal> {
    let mut sorts: Vec<(&str, bool)> = sorts
        .map(|sort| {
            let (field, direction) = sort.split_once(',').unwrap_or((sort, "ASC"));
            match direction.trim().to_ascii_uppercase().as_str() {
                "ASC" => Ok((field.trim(), false)),
                "DESC" => Ok((field.trim(), true)),
                _ => Err(Refusal::bad(format!("{sort:?} is not a valid sort"))),
            }
        })
        .collect::<Result<_, _>>()?;
    if sorts.is_empty() {
        sorts.push(("priority", true));
    }
    let (field, descending) = sorts[0];
    let rank = match field {
        // Rows are in the order of their time, and the most recent alert follows it closely enough.
        "created_time" | "alerts_most_recent_created_time" | "alerts_most_recent_detection_created_time" => {
            return Ok(if descending { Order::Descending } else { Order::Ascending });
        }
        "priority" => |row: &Row| (investigations::priority(row), String::new()),
        "rrn" => |row: &Row| (0, row.key()),
        _ => return Err(Refusal::bad(format!("{field:?} is not a sortable field"))),
    };
    Ok(Order::By(Box::new(move |a, b| {
        let order = rank(a).cmp(&rank(b));
        if descending { order.reverse() } else { order }
    })))
}

#[derive(Debug, Default, Deserialize)]
struct AlertSearch {
    #[serde(default)]
    search: AlertWindow,
    #[serde(default)]
    sorts: Vec<AlertSort>,
}

#[derive(Debug, Default, Deserialize)]
struct AlertWindow {
    start_time: Option<String>,
    end_time: Option<String>,
    #[serde(default)]
    leql: String,
    #[serde(default)]
    terms: Vec<AlertTerm>,
}

#[derive(Debug, Deserialize)]
struct AlertTerm {
    #[serde(default)]
    field_ids: Vec<String>,
    #[serde(default)]
    operator: String,
    #[serde(default)]
    terms: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct AlertSort {
    field_id: String,
    #[serde(default)]
    order: String,
}

/// Searches alerts by the time they were raised.
pub(crate) fn alert_search(request: &Request) -> Result<Answer, Refusal> {
    let query = &request.query;
    let (index, size) = (query.number("index", 0, PAGES)?, query.number("size", 20, 1..=100)?);
    let rrns_only = query.switch("rrns_only", false)?;
    let body: AlertSearch = request.json()?;
    let window = alert_window(&body.search, request)?;
    if !body.search.leql.is_empty() {
        return Err(Refusal::bad("leql is not served here; use terms"));
    }
    let listing = Listing {
        window: Some(window),
        keep: alert_filter(body.search.terms)?,
        order: alert_order(&body.sorts)?,
        twist: request.twist,
        asked: Some(request.asked()),
        ..Listing::all(request.world, request.tenant, Dataset::Alerts)
    };
    Ok(alert_page(&listing, index, size, rrns_only, request))
}

fn alert_window(search: &AlertWindow, request: &Request) -> Result<(i64, i64), Refusal> {
    let time = |name: &str, text: &str| {
        time_ms(text).ok_or_else(|| Refusal::bad(format!("search.{name} must be an ISO-8601 time")))
    };
    let start = search.start_time.as_deref().ok_or_else(|| Refusal::bad("search.start_time is required"))?;
    let start = time("start_time", start)?;
    let end = search.end_time.as_deref().map(|text| time("end_time", text)).transpose()?;
    let present = request.world.present_ms();
    let last = last_of(end.unwrap_or(present), end.is_some(), request);
    if start > end.unwrap_or(present) {
        return Err(Refusal::bad("search.start_time must not be after search.end_time"));
    }
    if end.unwrap_or(present) - start > ALERTS_DAYS * DAY_MS {
        return Err(Refusal::bad("the search window may not exceed 6 months"));
    }
    Ok((start, last))
}

fn alert_filter<'a>(terms: Vec<AlertTerm>) -> Result<Option<Keep<'a>>, Refusal> {
    if terms.is_empty() {
        return Ok(None);
    }
    for term in &terms {
        let known =
            |field: &String| matches!(field.to_ascii_lowercase().as_str(), "status" | "priority" | "rrn");
        if !term.field_ids.iter().all(known) {
            return Err(Refusal::bad(format!("unknown field in {:?}", term.field_ids)));
        }
        if !matches!(term.operator.as_str(), "EQUALS" | "NOT_EQUALS") {
            return Err(Refusal::bad(format!(
                "operator {:?} is not supported for these fields",
                term.operator
            )));
        }
    }
    let value = |row: &Row, field: &str| match field.to_ascii_lowercase().as_str() {
        "status" => alerts::status(row).to_owned(),
        "priority" => alerts::priority(row).to_owned(),
        _ => row.key(),
    };
    Ok(Some(Box::new(move |row| {
        terms.iter().all(|term| {
            let found = term.field_ids.iter().any(|field| term.terms.contains(&value(row, field)));
            found == (term.operator == "EQUALS")
        })
    })))
}

fn alert_order<'a>(sorts: &[AlertSort]) -> Result<Order<'a>, Refusal> {
    let Some(sort) = sorts.first() else { return Ok(Order::Descending) };
    let descending = match sort.order.as_str() {
        "" | "ASCENDING_NULLS_LAST" | "ASCENDING_NULLS_FIRST" => false,
        "DESCENDING_NULLS_LAST" | "DESCENDING_NULLS_FIRST" => true,
        other => return Err(Refusal::bad(format!("{other:?} is not a sort order"))),
    };
    match sort.field_id.to_ascii_lowercase().as_str() {
        "alerted_at" | "created_at" if descending => Ok(Order::Descending),
        "alerted_at" | "created_at" => Ok(Order::Ascending),
        "rrn" => Ok(Order::By(Box::new(move |a, b| {
            let order = a.key().cmp(&b.key());
            if descending { order.reverse() } else { order }
        }))),
        other => Err(Refusal::bad(format!("{other:?} is not a sortable field"))),
    }
}

fn alert_page(listing: &Listing, index: u64, size: u64, rrns_only: bool, request: &Request) -> Answer {
    let page = listing.page(Start::At(index * size), size);
    let mut body = Vec::with_capacity(256 + page.rows.len() * 1500);
    let (named, shown) = if rrns_only { (&page.rows[..], &[][..]) } else { (&[][..], &page.rows[..]) };
    put(&mut body, r#"{"rrns":"#);
    put_rows(named, &mut body, |row, out| put_str(out, &row.key()));
    put(&mut body, r#","alerts":"#);
    put_rows(shown, &mut body, put_row);
    for (name, value) in [
        (r#","metadata":{"index":"#, index),
        (r#","size":"#, size),
        (r#","items_in_index":"#, page.rows.len() as u64),
        (r#","total_items":"#, page.total),
    ] {
        put(&mut body, name);
        put_int(&mut body, value);
    }
    let is_last = (index + 1) * size >= page.total;
    put(&mut body, if is_last { r#","is_last_index":true}"# } else { r#","is_last_index":false}"# });
    put(&mut body, r#","aggregates":[],"region_failures":["#);
    if request.twist.region_failure {
        put(&mut body, r#"{"region":"#);
        put_str(&mut body, alerts::spelled_region(request.region));
        put(&mut body, r#","message":"search timed out"}"#);
    }
    put(&mut body, "]}");
    Answer::page(body, page.rows.len())
}
