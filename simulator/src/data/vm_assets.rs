//! Assets as the vulnerability API spells them, with the findings a caller asks for.

use super::collection::RowId;
use super::json::{Fraction, put, put_hex, put_int, put_padded, put_time, put_uuid};
use super::places::{from_number, from_ordered_uuid, put_ordered_number, put_ordered_uuid};
use super::rng::{Dice, mix};
use super::vm_findings::{self, View};
use super::vm_schedule::Schedule;
use super::vm_vulnerabilities::put_tenths;
use super::world::Row;
use crate::tenants::Tenant;

const SYSTEMS: [(&str, &str, &str, &str); 5] = [
    ("Linux", "Alder", "Alder Linux 9.4", "9.4"),
    ("Windows", "Microsoft", "Windows Server 2022 Datacenter Edition", "21H2"),
    ("Windows", "Microsoft", "Windows 11 Enterprise", "23H2"),
    ("Mac OS X", "Apple", "macOS \\\"Sonoma\\\" 14.5", "14.5"),
    ("Linux", "Gale", "Gale kernel 5.15 (späte Ausgabe)", "5.15"),
];
const TYPES: [&str; 5] = ["hypervisor", "mobile", "guest", "physical", "unknown"];

/// Whether a tenant's assets carry ids made of its own id and a number.
fn has_numbered_ids(tenant: &Tenant) -> bool {
    tenant.hash % 8 < 3
}

pub(crate) fn put_key(row: &Row, out: &mut Vec<u8>) {
    if has_numbered_ids(row.tenant) {
        put(out, &row.tenant.id);
        put(out, "-default-asset-");
        put_ordered_number(row, out);
    } else {
        put_ordered_uuid(row, out);
    }
}

/// Returns the place of the asset of an id.
pub(crate) fn place(tenant: &Tenant, id: &str, count: u32) -> Option<RowId> {
    if has_numbered_ids(tenant) {
        let number = id.strip_prefix(tenant.id.as_str())?.strip_prefix("-default-asset-")?;
        from_number(number.parse().ok()?)
    } else {
        from_ordered_uuid(id, count)
    }
}

/// Returns when an asset was scanned last.
pub(crate) fn last_scan_end_ms(row: &Row) -> i64 {
    if let Some((_, end)) = scans(row) {
        return end;
    }
    let mut dice = row.dice(1);
    let days = if dice.percent(10) { 200 } else { 14 };
    row.world.origin_ms - 60_000 - dice.below(days * 86_400_000) as i64
}

/// Returns when a finding that is still there was seen last.
pub(crate) fn last_seen_ms(row: &Row) -> i64 {
    scans(row).map_or(row.world.origin_ms - 3_600_000, |(_, end)| end)
}

/// Returns how often an asset was scanned since the start and when last, if it was.
fn scans(row: &Row) -> Option<(u64, i64)> {
    row.world.has_moved().then(|| Schedule::of(row).last(row.world.now_ms)).flatten()
}

/// Returns the draws of one purpose for what a scan may change about an asset.
fn seen(row: &Row, purpose: u64) -> Dice {
    row.dice_after(scans(row).map_or(0, |(count, _)| count), purpose)
}

/// Returns an asset's name on the network, if it has one.
pub(crate) fn host_name(row: &Row) -> Option<String> {
    let mut dice = row.dice(2);
    let named = !row.world.irregular || dice.percent(85);
    named.then(|| format!("srv-{:06}.corp.example", row.ordinal()))
}

/// Returns an asset's address.
pub(crate) fn address(row: &Row) -> String {
    let at = row.ordinal();
    format!("10.{}.{}.{}", at >> 16 & 255, at >> 8 & 255, at & 255)
}

/// Returns an asset's risk in tenths.
pub(crate) fn risk_tenths(row: &Row) -> u64 {
    let mut dice = seen(row, 3);
    if dice.percent(10) { 0 } else { dice.below(400_000) }
}

/// Appends an asset with the findings of a view.
pub(crate) fn put_json(row: &Row, view: &View, out: &mut Vec<u8>) {
    let findings = vm_findings::of(row);
    let tally = vm_findings::tally(row, &findings, view.current_ms);
    put_assessment(row, out);
    put(out, r#","critical_vulnerabilities":"#);
    put_int(out, tally[0]);
    put(out, r#","exploits":"#);
    put_int(out, seen(row, 4).below(5));
    if let Some(name) = host_name(row) {
        put(out, r#","host_name":""#);
        put(out, &name);
        put(out, "\"");
    } else if row.dice(5).percent(50) {
        put(out, r#","host_name":null"#);
    }
    put(out, r#","id":""#);
    put_key(row, out);
    put(out, "\"");
    put_network(row, out);
    put_scan_times(row, out);
    put(out, r#","malware_kits":0,"moderate_vulnerabilities":"#);
    put_int(out, tally[2] + tally[3] + tally[4] + tally[5]);
    put_system(row, out);
    put_risk(row, out);
    put(out, r#","severe_vulnerabilities":"#);
    put_int(out, tally[1]);
    put_tags(row, out);
    put(out, r#","total_vulnerabilities":"#);
    put_int(out, tally.iter().sum::<u32>());
    put_kind(row, view, out);
    vm_findings::put_lists(row, &findings, view, out);
    if row.world.irregular && row.dice(6).percent(4) {
        put(
            out,
            r#","cloud":{"provider":"aws","tags":{"Besitzer":"Gerätepark"},"spot":null},"agent_beta":true"#,
        );
    }
    out.push(b'}');
}

fn put_assessment(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice(7);
    put(out, r#"{"assessed_for_policies":"#);
    put(out, if dice.percent(30) { "true" } else { "false" });
    put(out, r#","assessed_for_vulnerabilities":true,"credential_assessments":["#);
    if dice.percent(30) {
        put(out, r#"{"port":135,"protocol":"TCP","status":"NO_CREDS_SUPPLIED"}"#);
        if dice.percent(50) {
            put(out, r#",{"port":22,"protocol":"TCP","status":"LOGIN_SUCCESSFUL"}"#);
        }
    }
    out.push(b']');
}

fn put_network(row: &Row, out: &mut Vec<u8>) {
    put(out, r#","ip":""#);
    put(out, &address(row));
    put(out, "\"");
    if !row.world.irregular || row.dice(8).percent(70) {
        put(out, r#","mac":"02:00"#);
        for shift in [24, 16, 8, 0] {
            out.push(b':');
            put_hex(out, row.hash >> shift, 2);
        }
        put(out, "\"");
    }
}

fn put_scan_times(row: &Row, out: &mut Vec<u8>) {
    let end = last_scan_end_ms(row) * 1000;
    put(out, r#","last_assessed_for_vulnerabilities":"#);
    put_time(out, end, Fraction::Millis);
    put(out, r#","last_scan_end":"#);
    put_time(out, end, Fraction::Millis);
    put(out, r#","last_scan_start":"#);
    put_time(out, end - seen(row, 9).below(5_400_000) as i64 * 1000, Fraction::Millis);
}

fn put_system(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice(10);
    if row.world.irregular && dice.percent(8) {
        return put(out, r#","os_description":"","os_family":null"#);
    }
    let (family, vendor, name, version) = SYSTEMS[dice.below(5) as usize];
    for (field, value) in [
        (r#","os_architecture":""#, "x86_64"),
        (r#"","os_description":""#, name),
        (r#"","os_family":""#, family),
        (r#"","os_name":""#, name),
        (r#"","os_system_name":""#, family),
        (r#"","os_type":""#, "General"),
        (r#"","os_vendor":""#, vendor),
        (r#"","os_version":""#, version),
    ] {
        put(out, field);
        put(out, value);
    }
    out.push(b'"');
}

fn put_risk(row: &Row, out: &mut Vec<u8>) {
    let risk = risk_tenths(row);
    if row.is_reject() {
        return put(out, r#","risk_score":"high""#);
    }
    // Nothing known is spelled in three ways.
    match row.dice(11).below(if row.world.irregular { 3 } else { 1 }) {
        1 if risk == 0 => put(out, r#","risk_score":null"#),
        2 if risk == 0 => {}
        _ => {
            put(out, r#","risk_score":"#);
            put_tenths(out, risk);
            put(out, if risk % 7 == 3 { "2345" } else { "" });
        }
    }
}

fn put_tags(row: &Row, out: &mut Vec<u8>) {
    put(out, r#","tags":["#);
    put(
        out,
        row.dice(12).pick(&[
            "",
            r#"{"name":"Berlin","type":"SITE"}"#,
            r#"{"name":"Malmö","type":"SITE"},{"name":"Crown \"jewels\"","type":"CUSTOM"}"#,
            r#"{"name":"Rack 4","type":"LOCATION"},{"name":"","type":"OWNER"}"#,
        ]),
    );
    out.push(b']');
}

fn put_kind(row: &Row, view: &View, out: &mut Vec<u8>) {
    let mut dice = row.dice(13);
    if !row.world.irregular || dice.percent(70) {
        put(out, r#","type":""#);
        put(out, dice.pick(&TYPES));
        put(out, "\"");
    }
    if !view.unique_identifiers {
        return;
    }
    put(out, r#","unique_identifiers":"#);
    let single = row.world.irregular && dice.percent(5);
    put(out, if single { "{\"id\":\"" } else { "[{\"id\":\"" });
    put_padded(out, mix(row.hash) % 1_000_000_000_000, 12);
    put(out, r#"","source":"R7 Agent"}"#);
    if !single && dice.percent(30) {
        put(out, r#",{"id":""#);
        put_uuid(out, mix(row.hash ^ 9), row.hash);
        put(out, r#"","source":"WQL"}"#);
    }
    put(out, if single { "" } else { "]" });
}
