//! The catalogue of vulnerability definitions: the same for every tenant, in the order of its ids.

use super::collection::RowId;
use super::json::{Fraction, put, put_int, put_padded, put_time};
use super::life;
use super::places::{from_number, number};
use super::rng::mix;
use super::world::{DAY_MS, Row};

// In the order of the alphabet, so that ids sort like their rows.
const VENDORS: [&str; 12] = [
    "7-packer",
    "alder-linux",
    "bluecap-httpd",
    "centaur-ssl",
    "drift-java",
    "ember-office",
    "flint-db",
    "gale-kernel",
    "hollow-ssh",
    "iris-browser",
    "jasper-vpn",
    "msft",
];
/// The severities as the definitions spell them, from the worst.
pub(crate) const SEVERITIES: [&str; 6] = ["critical", "severe", "moderate", "low", "informational", "none"];

/// Returns how bad a definition is, as a place in `SEVERITIES`.
pub(crate) fn severity(row: &Row) -> usize {
    [0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 4, 5][row.dice(1).below(12) as usize]
}

fn published_ms(row: &Row) -> i64 {
    if row.grown().is_some() {
        return added_ms(row) - (1 + row.dice(2).below(20) as i64) * DAY_MS;
    }
    let today = row.world.origin_ms - row.world.origin_ms.rem_euclid(DAY_MS);
    today - (30 + row.dice(2).below(3000) as i64) * DAY_MS
}

fn added_ms(row: &Row) -> i64 {
    if row.grown().is_some() { life::born_ms(row) } else { published_ms(row) + DAY_MS }
}

/// Returns when a definition was last changed.
pub(crate) fn modified_ms(row: &Row) -> i64 {
    match modified(row) {
        (0, _) if row.grown().is_some() => added_ms(row),
        (0, _) => published_ms(row) + row.dice(3).below(30) as i64 * DAY_MS,
        (_, last) => last,
    }
}

/// Returns how often a definition was modified since the clock began to move or it was added, and when for the last time.
fn modified(row: &Row) -> (u64, i64) {
    let world = row.world;
    if !world.has_moved() || world.evolution.modified_days == 0 {
        return (0, 0);
    }
    let usual = i64::from(world.evolution.modified_days) * DAY_MS / 1000;
    let mut dice = row.dice(12);
    // Times are written in whole seconds, so that is when things happen.
    let every = (usual / 2 + dice.below(usual as u64) as i64) * 1000;
    let start = life::born_ms(row).div_euclid(1000) * 1000;
    let first = start + 1000 + dice.below(every as u64 / 1000) as i64 * 1000;
    if world.now_ms < first {
        return (0, 0);
    }
    let times = (world.now_ms - first) / every;
    (times as u64 + 1, first + times * every)
}

pub(crate) fn put_key(row: &Row, out: &mut Vec<u8>) {
    let vendor = (u64::from(row.id.at) * VENDORS.len() as u64 / u64::from(row.world.catalogue)).min(11);
    put(out, VENDORS[vendor as usize]);
    put(out, "-cve-");
    put_int(out, 2010 + mix(vendor) % 14);
    out.push(b'-');
    put_padded(out, number(row.id), 10);
}

/// Returns the place of the definition of an id.
pub(crate) fn place(id: &str) -> Option<RowId> {
    from_number(id.rsplit('-').next()?.parse().ok()?)
}

fn put_cve(row: &Row, out: &mut Vec<u8>) {
    put(out, "CVE-");
    put_int(out, 2010 + row.dice(4).below(16));
    out.push(b'-');
    put_int(out, 10_000 + u64::from(row.ordinal()));
}

pub(crate) fn put_json(row: &Row, out: &mut Vec<u8>) {
    put(out, r#"{"added":"#);
    let published = published_ms(row) * 1000;
    put_time(out, added_ms(row) * 1000, Fraction::None);
    put(out, r#","categories":""#);
    put(
        out,
        row.dice(5).pick(&[
            "",
            "Remote Execution",
            "Web,CGI",
            "Obsolete OS,Linux",
            r"Zertifikate \u0026 TLS",
        ]),
    );
    put(out, r#"","cves":""#);
    put_cve(row, out);
    put(out, "\"");
    put_cvss_v2(row, out);
    put_cvss_v3(row, out);
    put_text(row, out);
    put_weapons(row, out);
    put(out, r#","id":""#);
    put_key(row, out);
    put(out, r#"","links":[{"href":"https://nvd.example/vuln/"#);
    put_cve(row, out);
    put(out, r#"","id":""#);
    put_cve(row, out);
    put(out, r#"","rel":"advisory","source":"cve"}],"modified":"#);
    put_time(out, modified_ms(row) * 1000, Fraction::None);
    put_pci(row, out);
    put(out, r#","published":"#);
    put_time(out, published, Fraction::None);
    put_scores(row, out);
}

fn put_cvss_v2(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice(6);
    for (name, values) in [
        (r#","cvss_v2_access_complexity":""#, ["low", "medium", "high"]),
        (r#"","cvss_v2_access_vector":""#, ["network", "adjacent", "local"]),
        (r#"","cvss_v2_authentication":""#, ["none", "single", "multiple"]),
        (r#"","cvss_v2_availability_impact":""#, ["none", "partial", "complete"]),
        (r#"","cvss_v2_confidentiality_impact":""#, ["none", "partial", "complete"]),
        (r#"","cvss_v2_integrity_impact":""#, ["none", "partial", "complete"]),
    ] {
        put(out, name);
        put(out, dice.pick(&values));
    }
    put(out, r#"","cvss_v2_exploit_score":9.996799945831299,"cvss_v2_impact_score":"#);
    put_tenths(out, dice.below(101));
    put(out, r#","cvss_v2_score":"#);
    put_tenths(out, dice.below(101));
    put(out, r#","cvss_v2_vector":"(AV:N/AC:L/Au:N/C:P/I:P/A:N)""#);
}

fn put_cvss_v3(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice(7);
    if dice.percent(25) {
        // Unknown: the words are null, and of the scores some are null and some zero.
        put(
            out,
            concat!(
                r#","cvss_v3_attack_complexity":null,"cvss_v3_attack_vector":null,"cvss_v3_availability_impact":null"#,
                r#","cvss_v3_confidentiality_impact":null,"cvss_v3_exploit_score":0.0,"cvss_v3_impact_score":null"#,
                r#","cvss_v3_integrity_impact":null,"cvss_v3_privileges_required":null,"cvss_v3_scope":null"#,
                r#","cvss_v3_score":0.0,"cvss_v3_user_interaction":null,"cvss_v3_vector":null"#
            ),
        );
        return;
    }
    for (name, values) in [
        (r#","cvss_v3_attack_complexity":""#, ["low", "high", "low", "high"]),
        (r#"","cvss_v3_attack_vector":""#, ["network", "adjacent", "local", "physical"]),
        (r#"","cvss_v3_availability_impact":""#, ["none", "low", "high", "high"]),
        (r#"","cvss_v3_confidentiality_impact":""#, ["none", "low", "high", "high"]),
        (r#"","cvss_v3_integrity_impact":""#, ["none", "low", "high", "high"]),
        (r#"","cvss_v3_privileges_required":""#, ["none", "low", "high", "none"]),
        (r#"","cvss_v3_scope":""#, ["unchanged", "changed", "unchanged", "changed"]),
        (r#"","cvss_v3_user_interaction":""#, ["none", "required", "none", "required"]),
    ] {
        put(out, name);
        put(out, dice.pick(&values));
    }
    put(out, r#"","cvss_v3_exploit_score":2.8352547300000004,"cvss_v3_impact_score":"#);
    put_tenths(out, dice.below(61));
    put(out, r#","cvss_v3_score":"#);
    put_tenths(out, dice.below(101));
    put(out, r#","cvss_v3_vector":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H""#);
}

fn put_text(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice_after(modified(row).0, 8);
    put(out, if dice.percent(20) { r#","denial_of_service":true"# } else { r#","denial_of_service":false"# });
    put(out, r#","description":""#);
    put(out, dice.pick(&[
        "A flaw in the parser lets a remote attacker run code of their choice by sending a crafted request.",
        r#"<p>An <em>integer overflow</em> in <code>read_chunk()</code> &mdash; see \"Notes\".<\/p>\n<ul><li>a<\/li><\/ul>"#,
        "Eine Schwachstelle erlaubt das Auslesen von Speicher – Geräte müssen aktualisiert werden.",
        "",
    ]));
    put(out, "\"");
}

fn put_weapons(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice_after(modified(row).0, 9);
    put(out, r#","exploits":["#);
    if dice.percent(15) {
        put(out, r#"{"description":"Proof of concept","id":""#);
        put_int(out, dice.below(90_000));
        put(out, r#"","name":"poc","rank":""#);
        put(out, dice.pick(&["average", "normal", "excellent", "low", "manual", "great", "good"]));
        put(out, r#"","skill_level":""#);
        put(out, dice.pick(&["novice", "intermediate", "expert"]));
        put(out, r#"","source":""#);
        put(out, dice.pick(&["metasploit", "exploitdb"]));
        put(out, r#""}"#);
    }
    put(out, r#"],"malware_kits":["#);
    if dice.percent(5) {
        put(out, r#"{"description":"","name":"Crimekit","popularity":"rare"}"#);
    }
    put(out, "]");
    if row.world.irregular && dice.percent(4) {
        put(out, r#","epss":{"score":0.00042,"percentile":5E-2},"kev":null"#);
    }
}

fn put_pci(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice_after(modified(row).0, 10);
    let fails = dice.percent(60);
    put(out, r#","pci_cvss_score":"#);
    put_tenths(out, dice.below(101));
    put(out, if fails { r#","pci_fail":true"# } else { r#","pci_fail":false"# });
    put(out, r#","pci_severity_score":"#);
    put_int(out, 1 + dice.below(5));
    put(
        out,
        if fails {
            r#","pci_special_notes":"","pci_status":"fail""#
        } else {
            r#","pci_special_notes":"","pci_status":"pass""#
        },
    );
}

fn put_scores(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice_after(modified(row).0, 11);
    let severity = severity(row);
    put(out, r#","references":"bid:"#);
    put_int(out, 90_000 + u64::from(row.ordinal()));
    put(out, ",cve:");
    put_cve(row, out);
    put(out, r#"","risk_score":"#);
    put_tenths(out, dice.below(10_001));
    put(out, r#","severity":""#);
    put(out, SEVERITIES[severity]);
    put(out, r#"","severity_score":"#);
    if row.is_reject() {
        put(out, r#""nine""#);
    } else {
        put_int(out, [9, 6, 4, 2, 1, 0][severity]);
    }
    put(out, r#","title":""#);
    put_cve(row, out);
    put(out, r#": memory corruption in the parser"}"#);
}

/// Appends a number of tenths as a decimal.
pub(crate) fn put_tenths(out: &mut Vec<u8>, tenths: u64) {
    put_int(out, tenths / 10);
    out.push(b'.');
    put_int(out, tenths % 10);
}
