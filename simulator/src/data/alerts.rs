//! Alerts as the triage API spells them: nested, with trimmed fractions and the region `us1`.

use super::collection::RowId;
use super::dataset::Dataset;
use super::investigations::{self, PEOPLE};
use super::json::{Fraction, put, put_code, put_hex, put_int, put_str, put_time, put_uuid};
use super::life;
use super::rng::{Dice, mix};
use super::world::Row;

const PRIORITIES: [&str; 6] = ["UNMAPPED", "INFO", "LOW", "MEDIUM", "HIGH", "CRITICAL"];
const STATUSES: [&str; 5] = ["UNMAPPED", "OPEN", "INVESTIGATING", "WAITING", "CLOSED"];
const DISPOSITIONS: [&str; 7] =
    ["UNDECIDED", "MALICIOUS", "BENIGN", "UNKNOWN", "NOT_APPLICABLE", "SECURITY_TEST", "FALSE_POSITIVE"];
const TITLES: [&str; 6] = [
    "Brute force against a domain account",
    "Honey credential used",
    "Remote file execution",
    r"Protocol \u201cpoisoning\u201d on the local network",
    r#"New \"admin\" group member"#,
    "Wächter: ungewöhnlicher Dienst 🛡",
];

/// Returns the region as alerts spell it.
pub(crate) fn spelled_region(region: &str) -> &str {
    if region == "us" { "us1" } else { region }
}

/// Returns a row's priority.
pub(crate) fn priority(row: &Row) -> &'static str {
    PRIORITIES[row.dice_after(life::changed(row).0, 1).below(6) as usize]
}

/// Returns a row's status.
pub(crate) fn status(row: &Row) -> &'static str {
    STATUSES[row.dice_after(life::changed(row).0, 2).below(5) as usize]
}

pub(crate) fn put_key(row: &Row, out: &mut Vec<u8>) {
    put(out, "rrn:alerts:");
    put(out, spelled_region(&row.tenant.named_region));
    out.push(b':');
    put(out, &row.tenant.id);
    put(out, ":alert:1:");
    put_hex(out, row.hash, 16);
    put_hex(out, mix(row.hash), 16);
}

pub(crate) fn put_json(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice(0);
    put(out, r#"{"rrn":""#);
    put_key(row, out);
    put(out, r#"","version":"#);
    if row.is_reject() {
        put(out, r#""eight""#);
    } else {
        put_int(out, 1 + dice.below(9) + life::changed(row).0);
    }
    put_times(row, out);
    put(out, r#","external_source":"IDR ABA","external_id":""#);
    put_uuid(out, dice.draw(), dice.draw());
    put(out, "\",");
    put_organization(row, out);
    let title = dice.pick(&TITLES);
    for name in [r#","title":""#, r#"","type":""#] {
        put(out, name);
        put(out, title);
    }
    put(out, "\"");
    put_rule(row, out);
    put_state(row, out);
    put_rest(row, out);
}

/// Returns when a row was kept and when it was last seen to first, in microseconds.
fn kept(row: &Row) -> (i64, i64) {
    let mut dice = row.dice(3);
    let created = row.time_ms() * 1000 + 408_000 + dice.below(1000) as i64;
    // A round second now and then, so that the fraction vanishes altogether.
    let updated = created + dice.below(90_000_000) as i64;
    (created, if dice.percent(10) { updated - updated.rem_euclid(1_000_000) + 1_000_000 } else { updated })
}

/// Returns the first moment at which a row is kept with all its times in the past.
pub(crate) fn kept_ms(row: &Row) -> i64 {
    kept(row).1.div_euclid(1000) + 1
}

fn put_times(row: &Row, out: &mut Vec<u8>) {
    let alerted = row.time_ms() * 1000;
    let (created, first_updated) = kept(row);
    let (changes, last) = life::changed(row);
    let updated = if changes == 0 { first_updated } else { last * 1000 };
    for (name, time) in [
        (r#","created_at":"#, created),
        (r#","updated_at":"#, updated),
        (r#","alerted_at":"#, alerted),
        (r#","ingested_at":"#, created - 4_915),
    ] {
        put(out, name);
        put_time(out, time, Fraction::Trimmed);
    }
}

fn put_organization(row: &Row, out: &mut Vec<u8>) {
    let tenant = row.tenant;
    put(out, r#""organization":{"id":""#);
    put(out, &tenant.id);
    put(out, r#"","name":"#);
    put_str(out, &tenant.name);
    put(out, r#","region":""#);
    put(out, spelled_region(&tenant.region));
    put(out, r#"","product_token":""#);
    put_product_token(out, tenant.hash);
    put(out, r#"","customer_id":""#);
    put_uuid(out, mix(tenant.hash ^ 5), tenant.hash);
    put(out, r#"","customer_name":"#);
    put_str(out, &tenant.name);
    if row.world.irregular && tenant.number.is_multiple_of(2) {
        put(out, r#","customer_code":"","customer_group":null"#);
    }
    put(out, r#","flags":[]}"#);
}

/// Appends a product's token: twenty capital hexadecimal digits.
pub(crate) fn put_product_token(out: &mut Vec<u8>, hash: u64) {
    let start = out.len();
    put_hex(out, hash, 16);
    put_hex(out, mix(hash), 4);
    out[start..].make_ascii_uppercase();
}

fn put_rule(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice(4);
    let rule = mix(dice.below(40));
    put(out, r#","rule":{"rrn":"rrn:cba:::detection-rule:"#);
    put_code(out, rule);
    put(out, r#"","#);
    if dice.percent(40) {
        put(out, r#""name":"Rule of thumb","#);
    }
    put(out, r#""mitre_tcodes":["#);
    put(out, dice.pick(&["", r#""Credential Access","T1110""#, r#""Execution","T1059","T1059.001""#]));
    put(out, r#"],"version_rrn":"rrn:cba:::detection-rule:version:"#);
    put_code(out, mix(rule));
    put(
        out,
        r#""},"rule_matching_keys":[{"key":"entryType","values":["ingress_auth"]}],"rule_keys_of_interest":["#,
    );
    put(out, r#"{"key":"source_ip","values":["10."#);
    put_int(out, dice.below(255));
    put(out, ".4.");
    put_int(out, dice.below(255));
    put(out, r#""]},{"key":"command","values":["#);
    put(out, dice.pick(&["", r#""net user \/add""#, r#""echo \"hi\"","dir C:\\""#]));
    put(out, "]}]");
}

fn put_state(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice(5);
    put(out, r#","responsibility":""#);
    put(out, dice.pick(&["UNMAPPED", "CUSTOMER", "MDR"]));
    put(out, "\"");
    if dice.percent(50) {
        put(out, if dice.percent(50) { r#","monitored":true"# } else { r#","monitored":false"# });
    }
    let changes = life::changed(row).0;
    let mut dice = if changes == 0 { dice } else { row.dice_after(changes, 5) };
    if dice.percent(40) {
        put_assignee(row, &mut dice, out);
    }
    put(out, r#","priority":""#);
    put(out, priority(row));
    put(out, r#"","status":""#);
    put(out, status(row));
    put(out, "\"");
    if dice.percent(30) {
        put(out, r#","status_transitions":{"seconds_to_first_investigating":"#);
        put_int(out, dice.below(9000));
        put(out, r#","seconds_to_first_closed":"#);
        put_int(out, dice.below(90_000));
        out.push(b'}');
    }
    put(out, r#","disposition":""#);
    put(out, dice.pick(&DISPOSITIONS));
    put(out, "\"");
}

fn put_assignee(row: &Row, dice: &mut Dice, out: &mut Vec<u8>) {
    let (first, last) = PEOPLE[dice.below(8) as usize];
    put(out, r#","assignee":{"at":"#);
    put_time(out, row.time_ms() * 1000 + 7_250_000, Fraction::Trimmed);
    put(out, r#","id":""#);
    put_uuid(out, mix(row.tenant.hash ^ first.len() as u64), 3);
    put(out, r#"","email":""#);
    investigations::put_email(out, first, last);
    put(out, r#"","first_name":""#);
    put(out, first);
    put(out, r#"","last_name":""#);
    put(out, last);
    put(out, r#""}"#);
}

fn put_rest(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice(6);
    let investigations = row.tenant.counts[Dataset::Investigations as usize];
    if investigations > 0 && dice.percent(70) {
        let at = dice.below(u64::from(investigations)) as u32;
        put(out, r#","investigation_rrn":""#);
        let investigation = row.world.row(row.tenant, Dataset::Investigations, RowId { at, nth: 0 });
        investigation.put_key(out);
        put(out, "\"");
    }
    put(out, r#","tags":["#);
    put(out, dice.pick(&["", r#""night""#, r#""night","vip""#]));
    put(out, r#"],"permissions":{"canEdit":"#);
    put(out, if dice.percent(50) { "true" } else { "false" });
    if row.world.irregular && dice.percent(4) {
        put(out, r#","canEscalate":null,"scopes":["read",{"deep":[1,2.50,-0]}]"#);
    }
    put(out, r#"},"fields":[]"#);
    if row.world.irregular && dice.percent(5) {
        put(out, r#","verdict_model":{"name":"m-3","score":1.0E-3}"#);
    }
    out.push(b'}');
}
