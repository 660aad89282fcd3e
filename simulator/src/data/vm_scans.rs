//! Scans, sites and scan engines as the vulnerability API spells them.

use super::collection::RowId;
use super::dataset::Dataset;
use super::json::{Fraction, put, put_int, put_padded, put_time};
use super::life;
use super::places::{from_number, number, put_ordered_uuid};
use super::world::Row;

const CITIES: [&str; 8] = ["Berlin", "Lyon", "Malmö", "Dublin", "Osaka", "Austin", "Perth", "Pune"];
const STATUSES: [&str; 5] = ["Success", "Success", "Stopped", "Failed", "Running"];

pub(crate) fn put_key(row: &Row, out: &mut Vec<u8>) {
    if row.dataset == Dataset::VmSites {
        put_padded(out, number(row.id), 12);
        put(out, " ");
        put(out, CITIES[row.dice(1).below(8) as usize]);
    } else {
        put_ordered_uuid(row, out);
    }
}

/// Returns the place of the site of a name.
pub(crate) fn site_place(name: &str) -> Option<RowId> {
    from_number(name.get(..12)?.parse().ok()?)
}

pub(crate) fn put_json(row: &Row, out: &mut Vec<u8>) {
    match row.dataset {
        Dataset::VmSites => {
            put(out, r#"{"name":""#);
            put_key(row, out);
            put(out, if row.is_reject() { r#"","type":["SITE"]}"# } else { r#"","type":"SITE"}"# });
        }
        Dataset::VmEngines => put_engine(row, out),
        _ => put_scan(row, true, out),
    }
}

/// Appends a scan, with its asset ids if details are wanted.
pub(crate) fn put_scan(row: &Row, details: bool, out: &mut Vec<u8>) {
    let mut dice = row.dice(0);
    let before = dice.below(life::SCANS_MS as u64) as i64;
    let started = if row.grown().is_some() { life::born_ms(row) } else { row.world.origin_ms - before };
    put(out, r#"{"id":""#);
    put_key(row, out);
    put(out, r#"","name":"Scan of "#);
    put(out, dice.pick(&CITIES));
    put(out, r#"","status":""#);
    let wanted = dice.pick(&STATUSES);
    let lasts = 60_000 + dice.below(7_200_000) as i64;
    let finished = finished_ms(row, wanted, started, lasts);
    let status = match finished {
        None => "Running",
        Some(_) if wanted == "Running" => "Success",
        Some(_) => wanted,
    };
    put(out, status);
    put(out, r#"","started":"#);
    if row.is_reject() {
        put(out, r#""soon""#);
    } else {
        put_time(out, started * 1000, Fraction::Millis);
    }
    put(out, r#","finished":"#);
    match finished {
        Some(finished) => put_time(out, finished * 1000, Fraction::Millis),
        None => put(out, "null"),
    }
    put_links(row, details, out);
    out.push(b'}');
}

/// Returns when a scan ended, if it has; those running at the start end some time after it.
fn finished_ms(row: &Row, status: &str, started: i64, lasts: i64) -> Option<i64> {
    let world = row.world;
    let finished = match (row.grown(), status) {
        (None, "Running") => world.origin_ms.max(started) + lasts,
        // What is history has ended, even if its last hour reaches beyond the start.
        (None, _) => return Some(started + lasts),
        (Some(_), _) => started + lasts,
    };
    (finished <= world.now_ms).then_some(finished)
}

fn put_links(row: &Row, details: bool, out: &mut Vec<u8>) {
    let engines = row.tenant.counts[Dataset::VmEngines as usize];
    if engines > 0 {
        put(out, r#","engine_id":""#);
        row.world.row(row.tenant, Dataset::VmEngines, RowId { at: row.id.at % engines, nth: 0 }).put_key(out);
        put(out, "\"");
    }
    let assets = row.tenant.counts[Dataset::VmAssets as usize];
    if details && assets > 0 {
        put(out, r#","asset_ids":["#);
        for number in 0..row.dice(2).below(4) as u32 {
            put(out, if number == 0 { "\"" } else { ",\"" });
            let at = (row.id.at.wrapping_mul(7).wrapping_add(number)) % assets;
            row.world.row(row.tenant, Dataset::VmAssets, RowId { at, nth: 0 }).put_key(out);
            put(out, "\"");
        }
        out.push(b']');
    }
}

fn put_engine(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice(0);
    put(out, r#"{"id":""#);
    put_key(row, out);
    put(out, r#"","name":"Engine "#);
    put_int(out, row.ordinal() + 1);
    put(out, r#"","host_name":"scan"#);
    put_int(out, row.ordinal() + 1);
    put(out, r#".example","status":"#);
    put(out, if row.is_reject() { "17" } else { dice.pick(&[r#""HEALTHY""#, r#""UNREACHABLE""#]) });
    put(out, r#","last_seen":"#);
    put_time(out, row.world.now_ms * 1000, Fraction::Millis);
    put(out, r#","registered":"#);
    put_time(out, (row.world.origin_ms - 400 * 86_400_000) * 1000, Fraction::Millis);
    put(out, r#","profile":{"configuration":{"last_retrieved":null,"properties":[]}}}"#);
}
