//! Platform users and products as the Account API spells them.

use super::alerts::put_product_token;
use super::dataset::Dataset;
use super::investigations::{PEOPLE, put_email};
use super::json::{Fraction, put, put_str, put_time, put_uuid};
use super::life;
use super::rng::mix;
use super::world::Row;

const STATUSES: [&str; 3] = ["ACTIVE", "DISABLED", "PENDING"];
const PRODUCTS: [&str; 2] = ["IDR", "IVM"];

pub(crate) fn put_key(row: &Row, out: &mut Vec<u8>) {
    match row.dataset {
        Dataset::Products => put_product_token(out, row.hash),
        _ => put_uuid(out, row.hash, mix(row.hash)),
    }
}

fn status(row: &Row) -> &'static str {
    let changes = u64::from(life::has_turned(row));
    STATUSES[row.dice_after(changes, 1).below(6).saturating_sub(3) as usize]
}

fn is_admin(row: &Row) -> bool {
    row.dice(2).percent(25)
}

/// Returns the text of a field by which users are filtered.
pub(crate) fn field(row: &Row, name: &str) -> Option<String> {
    let (first, last) = PEOPLE[row.dice(3).below(8) as usize];
    match name {
        "status" => Some(status(row).to_owned()),
        "platform-admin" => Some(is_admin(row).to_string()),
        "email" => Some(format!("{first}.{last}@example.com")),
        "first_name" => Some(first.to_owned()),
        "last_name" => Some(last.to_owned()),
        _ => None,
    }
}

pub(crate) fn put_json(row: &Row, out: &mut Vec<u8>) {
    if row.dataset == Dataset::Products {
        put_product(row, out);
    } else {
        put_user(row, out);
    }
}

fn put_product(row: &Row, out: &mut Vec<u8>) {
    put(out, r#"{"product_token":""#);
    put_key(row, out);
    put(out, r#"","product_code":""#);
    put(out, PRODUCTS[row.id.at as usize % PRODUCTS.len()]);
    put(out, r#"","organization_id":""#);
    put(out, &row.tenant.id);
    put(out, r#"","organization_name":"#);
    put_str(out, &row.tenant.name);
    out.push(b'}');
}

fn put_user(row: &Row, out: &mut Vec<u8>) {
    let (first, last) = PEOPLE[row.dice(3).below(8) as usize];
    let mut dice = row.dice(0);
    let before = dice.below(90_000_000_000) as i64;
    let created = if row.grown().is_some() { life::born_ms(row) } else { row.world.origin_ms - before };
    let created = created * 1000;
    put(out, r#"{"id":""#);
    put_key(row, out);
    put(out, r#"","email":""#);
    put_email(out, first, last);
    put(out, r#"","first_name":""#);
    put(out, first);
    put(out, r#"","last_name":""#);
    put(out, last);
    put(out, r#"","status":""#);
    put(out, status(row));
    put(out, r#"","platform_admin":"#);
    put(
        out,
        if row.is_reject() {
            r#""no""#
        } else if is_admin(row) {
            "true"
        } else {
            "false"
        },
    );
    put(out, r#","federated":false,"last_login":"#);
    if dice.percent(20) {
        put(out, "null");
    } else {
        put_time(out, created + 3_600_000_000, Fraction::Millis);
    }
    put(out, r#","timezone":"Europe/Zurich","created_on":"#);
    put_time(out, created, Fraction::Millis);
    out.push(b'}');
}
