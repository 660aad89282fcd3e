//! Users, accounts, assets and local accounts as the SIEM's entity search spells them, in the order of their names.

use super::collection::RowId;
use super::dataset::Dataset;
use super::investigations::PEOPLE;
use super::json::{put, put_code, put_int, put_padded};
use super::life;
use super::rng::mix;
use super::world::Row;

const DOMAINS: [&str; 4] = ["corp.example", "eu.corp.example", "lab.example", "münchen.example"];
const SERVICES: [&str; 4] = ["ACTIVE_DIRECTORY", "O365", "OKTA", "AZURE"];

fn kind(dataset: Dataset) -> &'static str {
    match dataset {
        Dataset::Users => "user",
        Dataset::Accounts => "account",
        Dataset::LocalAccounts => "asset:account",
        _ => "asset",
    }
}

pub(crate) fn put_key(row: &Row, out: &mut Vec<u8>) {
    put(out, "rrn:uba:");
    put(out, &row.tenant.named_region);
    out.push(b':');
    put(out, &row.tenant.id);
    out.push(b':');
    put(out, kind(row.dataset));
    out.push(b':');
    put_code(out, mix(row.hash));
}

/// Appends a name that begins with the row's place: the search sorts by name, and rows are found by place.
fn put_name(row: &Row, out: &mut Vec<u8>) {
    let mut dice = row.dice(1);
    let (first, last) = PEOPLE[dice.below(8) as usize];
    put(
        out,
        match row.dataset {
            Dataset::Users => "E",
            Dataset::Accounts => "a",
            Dataset::LocalAccounts => "local-",
            _ => "host-",
        },
    );
    put_padded(out, u64::from(row.id.at), 8);
    if row.id.nth > 0 {
        // A space sorts before the dot of the row it was put before, and later ones before earlier ones.
        out.push(b' ');
        put_padded(out, u64::from(u32::MAX - row.id.nth), 10);
    }
    out.push(b'.');
    put(out, first);
    out.push(b'.');
    put(out, last);
}

fn domain(row: &Row) -> &'static str {
    DOMAINS[row.dice(2).below(4) as usize]
}

fn service(row: &Row) -> &'static str {
    SERVICES[row.dice(3).below(4) as usize]
}

fn disabled(row: &Row) -> bool {
    row.dice(4).percent(10) != life::has_turned(row)
}

/// Returns the text of a field that the search knows for this dataset, `None` for a field it doesn't know.
pub(crate) fn field(row: &Row, name: &str) -> Option<String> {
    let text = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).ok()
    };
    let owner = owner(row);
    match (row.dataset, name) {
        (_, "name") => text(&|out| put_name(row, out)),
        (Dataset::Accounts | Dataset::Users, "domain") => Some(domain(row).to_owned()),
        (Dataset::Accounts, "disabled") => Some(disabled(row).to_string()),
        (Dataset::Accounts, "authentication_service") => Some(service(row).to_owned()),
        (Dataset::Users, "first_name") => Some(person(row).0.to_owned()),
        (Dataset::Users, "last_name") => Some(person(row).1.to_owned()),
        (Dataset::Accounts | Dataset::LocalAccounts, "user.name") => text(&|out| put_name(&owner, out)),
        (Dataset::Accounts | Dataset::LocalAccounts, "user.rrn") => text(&|out| put_key(&owner, out)),
        (Dataset::LocalAccounts, "asset.name") => text(&|out| put_name(&machine(row), out)),
        (Dataset::LocalAccounts, "asset.rrn") => text(&|out| put_key(&machine(row), out)),
        _ => None,
    }
}

fn person(row: &Row) -> (&'static str, &'static str) {
    PEOPLE[row.dice(1).below(8) as usize]
}

fn linked<'a>(row: &Row<'a>, dataset: Dataset) -> Row<'a> {
    let count = row.tenant.counts[dataset as usize].max(1);
    row.world.row(row.tenant, dataset, RowId { at: row.id.at % count, nth: 0 })
}

fn owner<'a>(row: &Row<'a>) -> Row<'a> {
    linked(row, Dataset::Users)
}

fn machine<'a>(row: &Row<'a>) -> Row<'a> {
    linked(row, Dataset::Assets)
}

pub(crate) fn put_json(row: &Row, out: &mut Vec<u8>) {
    put(out, r#"{"rrn":""#);
    put_key(row, out);
    put(out, r#"","#);
    match row.dataset {
        Dataset::Users => put_user(row, out),
        Dataset::Accounts => put_account(row, out),
        Dataset::LocalAccounts => put_local_account(row, out),
        _ => put_row_name(row, out),
    }
    if row.world.irregular && row.dice(5).percent(4) {
        put(out, r#","sources":["LDAP",null],"revision":"#);
        put_int(out, i64::MAX - i64::from(row.id.at));
    }
    out.push(b'}');
}

fn put_row_name(row: &Row, out: &mut Vec<u8>) {
    put(out, r#""name":"#);
    if row.is_reject() {
        put(out, r#"{"full":"unknown"}"#);
    } else {
        out.push(b'"');
        put_name(row, out);
        out.push(b'"');
    }
}

fn put_user(row: &Row, out: &mut Vec<u8>) {
    let (first, last) = person(row);
    match row.dice(6).below(if row.world.irregular { 12 } else { 1 }) {
        11 => {}
        10 => put(out, r#""first_name":"","last_name":null,"#),
        _ => {
            put(out, r#""first_name":""#);
            put(out, first);
            put(out, r#"","last_name":""#);
            put(out, last);
            put(out, r#"","#);
        }
    }
    put_row_name(row, out);
    put(out, r#","domain":""#);
    put(out, domain(row));
    out.push(b'"');
}

fn put_account(row: &Row, out: &mut Vec<u8>) {
    put_row_name(row, out);
    if !row.world.irregular || row.dice(6).percent(90) {
        put(out, r#","domain":""#);
        put(out, domain(row));
        put(out, "\"");
    }
    put(out, if disabled(row) { r#","disabled":true"# } else { r#","disabled":false"# });
    put_linked(r#","user":"#, &owner(row), out);
    put(out, r#","authentication_service":""#);
    put(out, service(row));
    out.push(b'"');
}

fn put_local_account(row: &Row, out: &mut Vec<u8>) {
    put_row_name(row, out);
    if row.dice(6).percent(60) {
        put_linked(r#","user":"#, &owner(row), out);
    }
    put_linked(r#","asset":"#, &machine(row), out);
}

fn put_linked(name: &str, row: &Row, out: &mut Vec<u8>) {
    put(out, name);
    put(out, r#"{"rrn":""#);
    put_key(row, out);
    put(out, r#"","name":""#);
    put_name(row, out);
    put(out, r#""}"#);
}
