//! Scans, sites and scan engines as the vulnerability API spells them.

use super::collection::RowId;
use super::dataset::Dataset;
use super::json::{Fraction, put, put_int, put_padded, put_time};
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
    let started = (row.world.now_ms - dice.below(90 * 86_400_000) as i64) * 1000;
    put(out, r#"{"id":""#);
    put_key(row, out);
    put(out, r#"","name":"Scan of "#);
    put(out, dice.pick(&CITIES));
    put(out, r#"","status":""#);
    let status = dice.pick(&STATUSES);
    put(out, status);
    put(out, r#"","started":"#);
    if row.is_reject() {
        put(out, r#""soon""#);
    } else {
        put_time(out, started, Fraction::Millis);
    }
    put(out, r#","finished":"#);
    if status == "Running" {
        put(out, "null");
    } else {
        put_time(out, started + (60_000 + dice.below(7_200_000) as i64) * 1000, Fraction::Millis);
    }
    put_links(row, details, out);
    out.push(b'}');
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
    put_int(out, row.id.at + 1);
    put(out, r#"","host_name":"scan"#);
    put_int(out, row.id.at + 1);
    put(out, r#".example","status":"#);
    put(out, if row.is_reject() { "17" } else { dice.pick(&[r#""HEALTHY""#, r#""UNREACHABLE""#]) });
    put(out, r#","last_seen":"#);
    put_time(out, row.world.now_ms * 1000, Fraction::Millis);
    put(out, r#","registered":"#);
    put_time(out, (row.world.now_ms - 400 * 86_400_000) * 1000, Fraction::Millis);
    put(out, r#","profile":{"configuration":{"last_retrieved":null,"properties":[]}}}"#);
}
