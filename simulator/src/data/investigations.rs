//! Investigations as the second version of their API spells them.

use super::json::{Fraction, put, put_code, put_int, put_time};
use super::life;
use super::rng::{Dice, mix};
use super::world::Row;
use crate::tenants::Tenant;

pub(crate) const PRIORITIES: [&str; 5] = ["UNSPECIFIED", "LOW", "MEDIUM", "HIGH", "CRITICAL"];
pub(crate) const STATUSES: [&str; 4] = ["OPEN", "INVESTIGATING", "WAITING", "CLOSED"];
pub(crate) const SOURCES: [&str; 3] = ["ALERT", "MANUAL", "HUNT"];
const DISPOSITIONS: [&str; 4] = ["UNDECIDED", "BENIGN", "MALICIOUS", "NOT_APPLICABLE"];
const TITLES: [&str; 10] = [
    "Suspicious PowerShell with an encoded command",
    "First login from a new country",
    "Account created outside working hours",
    "Credentials harvested from a browser",
    "Multiple failed logins, then a success",
    "Lateral movement between servers",
    "Beaconing to a rare domain",
    "Ransom note dropped on a share",
    "Mailbox rule forwards to an outside address",
    "Service account used interactively",
];
// Escaped as JSON already: quotes, backslashes, markup, other scripts, a control character, an emoji pair.
const ODD_TITLES: [&str; 6] = [
    r#"Process \"C:\\Windows\\Temp\\a.exe\" started"#,
    r"Anmeldung aus ungew\u00f6hnlichem Land \u2013 Z\u00fcrich",
    "不審なログイン (東京)",
    r"<b>Phishing</b> &amp; &lt;script&gt;alert('x')<\/script>",
    r"Line one\nline two\ttabbed\u0001",
    r"Crab \ud83e\udd80 in the attachment 🦀",
];
pub(crate) const PEOPLE: [(&str, &str); 8] = [
    ("Olga", "Kim"),
    ("Marc", "Dubois"),
    ("Ines", "Ferreira"),
    ("Tom", "Okafor"),
    ("Lena", "Weiss"),
    ("Ravi", "Menon"),
    ("Sara", "Lindqvist"),
    ("Jun", "Tanaka"),
];

/// Whether a tenant's times carry fractions of a second.
pub(crate) fn has_fractions(tenant: &Tenant) -> bool {
    tenant.hash.is_multiple_of(4)
}

/// Returns the draws of one purpose for what people change about a row.
fn state(row: &Row, purpose: u64) -> Dice {
    row.dice_after(life::changed(row).0, purpose)
}

/// Returns how urgent a row is, as a place in `PRIORITIES`.
pub(crate) fn priority(row: &Row) -> usize {
    state(row, 1).below(5) as usize
}

/// Returns a row's status.
pub(crate) fn status(row: &Row) -> &'static str {
    STATUSES[state(row, 2).below(4) as usize]
}

/// Returns what a row came from.
pub(crate) fn source(row: &Row) -> &'static str {
    SOURCES[row.dice(3).below(10).saturating_sub(7) as usize]
}

/// Returns who a row is assigned to.
pub(crate) fn assignee(row: &Row) -> Option<(&'static str, &'static str)> {
    let mut dice = state(row, 4);
    dice.percent(60).then(|| PEOPLE[dice.below(8) as usize])
}

/// Returns the tags of a row, `None` when the field is absent.
pub(crate) fn tags(row: &Row) -> Option<&'static [&'static str]> {
    const TAGS: [&[&str]; 4] = [&[], &["Incident"], &["Incident", "Security Test"], &["VIP", "Überprüft"]];
    let mut dice = row.dice(5);
    let absent = row.world.irregular && dice.percent(20);
    (!absent).then(|| TAGS[dice.below(4) as usize])
}

pub(crate) fn put_key(row: &Row, out: &mut Vec<u8>) {
    put(out, "rrn:investigation:");
    put(out, &row.tenant.named_region);
    out.push(b':');
    put(out, &row.tenant.id);
    put(out, ":investigation:");
    put_code(out, mix(row.hash));
}

pub(crate) fn put_json(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice(0);
    put(out, r#"{"rrn":""#);
    put_key(row, out);
    put(out, r#"","organization_id":""#);
    put(out, &row.tenant.id);
    put(out, r#"","title":""#);
    let odd = row.world.irregular && dice.percent(6);
    put(out, if odd { dice.pick(&ODD_TITLES) } else { dice.pick(&TITLES) });
    put(out, r#"","source":""#);
    put(out, source(row));
    put(out, r#"","status":""#);
    put(out, status(row));
    put(out, r#"","priority":""#);
    put(out, PRIORITIES[priority(row)]);
    put(out, r#"","disposition":""#);
    let changes = life::changed(row).0;
    let mut dice = if changes == 0 { dice } else { row.dice_after(changes, 9) };
    put(out, dice.pick(&DISPOSITIONS));
    put(out, "\"");
    put_times(row, out);
    put_people(row, out);
    if row.world.irregular {
        put_unknown(row, out);
    }
    out.push(b'}');
}

fn put_times(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice(6);
    let fraction = if has_fractions(row.tenant) { Fraction::Trimmed } else { Fraction::None };
    let created = row.time_ms() * 1000;
    let second = 1_000_000;
    put(out, r#","created_time":"#);
    put_time(out, created, fraction);
    put(out, r#","last_accessed":"#);
    if row.is_reject() {
        put(out, r#""yesterday""#);
    } else {
        let wait = dice.below(200_000) as i64 * second;
        let accessed = match life::changed(row) {
            (0, _) if row.grown().is_some() => created,
            (0, _) => created + wait,
            (_, last) => last * 1000,
        };
        put_time(out, accessed, fraction);
    }
    let first = created - dice.below(600) as i64 * second;
    // Absent on some, null on others: both mean that no alert is attached.
    match dice.below(if row.world.irregular { 10 } else { 1 }) {
        9 => {}
        8 => put(out, r#","first_alert_time":null,"latest_alert_time":null"#),
        _ => {
            put(out, r#","first_alert_time":"#);
            put_time(out, first, fraction);
            put(out, r#","latest_alert_time":"#);
            put_time(out, first + dice.below(300) as i64 * second, fraction);
        }
    }
}

fn put_people(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice(7);
    match assignee(row) {
        Some((first, last)) => {
            put(out, r#","assignee":{"email":""#);
            put_email(out, first, last);
            put(out, r#"","name":""#);
            put(out, first);
            out.push(b' ');
            put(out, last);
            put(out, r#""}"#);
        }
        None if dice.percent(50) => put(out, r#","assignee":null"#),
        None => {}
    }
    if let Some(tags) = tags(row) {
        put(out, r#","tags":["#);
        for (number, tag) in tags.iter().enumerate() {
            put(out, if number == 0 { "\"" } else { ",\"" });
            put(out, tag);
            put(out, "\"");
        }
        out.push(b']');
    }
    if dice.percent(70) {
        put(out, r#","responsibility":""#);
        put(out, dice.pick(&["CUSTOMER", "MDR"]));
        put(out, "\"");
    }
}

/// Appends a person's address.
pub(crate) fn put_email(out: &mut Vec<u8>, first: &str, last: &str) {
    put(out, first);
    out.push(b'.');
    put(out, last);
    put(out, "@example.com");
}

fn put_unknown(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice(8);
    if dice.percent(5) {
        put(out, r#","triage_score":"#);
        put_int(out, dice.below(100));
    }
    if dice.percent(3) {
        put(out, r#","handover":{"shift":"","notes":["seen",null,{"by":"night \u2014 crew"}],"ticket":"#);
        // Beyond what a double holds exactly.
        put_int(out, 9_007_199_254_740_993 + dice.below(1 << 40));
        out.push(b'}');
    }
}
