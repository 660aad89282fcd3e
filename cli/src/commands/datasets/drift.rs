//! `tenantry datasets --drift`: how all readings that the lake has receipts of differed from the schemas.

use std::collections::{BTreeMap, BTreeSet};

use pipeline::drift::{JsonType, OTHERS};
use pipeline::{Receipt, Result, TenantId, Timestamp};
use serde::Serialize;

use super::super::Context;
use crate::args::Narrow;
use crate::exit_code;
use crate::table::{count, instant, several, table};

/// Fields told of one dataset and kind; names beyond are data in the place of names, and told together.
const MOST_FIELDS: usize = 256;

/// How one member or column of a dataset differed.
#[derive(Debug, PartialEq, Serialize)]
struct Line {
    dataset: String,
    /// The member that is not known, or the column that a value did not fit.
    field: String,
    /// What became of it.
    #[serde(rename = "kept_in")]
    place: &'static str,
    types: BTreeSet<JsonType>,
    tenants: BTreeSet<TenantId>,
    /// Readings that met it.
    readings: u64,
    /// Records that had it, counted anew in each reading.
    records: u64,
    first_seen: Timestamp,
    last_seen: Timestamp,
}

/// What is seen in one receipt after the other.
#[derive(Debug, Default)]
struct Seen {
    readings: u64,
    span: Option<(Timestamp, Timestamp)>,
    lines: BTreeMap<(String, &'static str), BTreeMap<String, Line>>,
}

pub(super) async fn drift(dataset: Option<&str>, context: &Context) -> Result<u8> {
    let settings = context.settings(&Narrow::default())?;
    let mut seen = Seen::default();
    settings.sink.each_receipt(|receipt| {
        if dataset.is_none_or(|name| receipt.dataset == name) {
            seen.take(&receipt);
        }
    })?;
    let console = &context.console;
    if console.json {
        console.json(&seen.lines().collect::<Vec<_>>())?;
        return Ok(exit_code::OK);
    }
    let rows: Vec<_> = seen.lines().map(Line::row).collect();
    let readings = seen.span.map_or_else(
        || "nothing was read yet".to_owned(),
        |(first, last)| {
            format!("{}, from {} to {}", several(seen.readings, "reading"), instant(first), instant(last))
        },
    );
    if rows.is_empty() {
        console.say(&format!("nothing was seen that the schemas do not know: {readings}"));
        return Ok(exit_code::OK);
    }
    let columns = [
        "dataset",
        "field",
        "type",
        "kept in",
        "#tenants",
        "#readings",
        "#records",
        "first seen",
        "last seen",
    ];
    console.data(&table(&columns, rows))?;
    console.say(&readings);
    Ok(exit_code::OK)
}

impl Seen {
    fn take(&mut self, receipt: &Receipt) {
        let at = receipt.finished_at;
        self.readings += 1;
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
        for (field, unknown) in &receipt.drift.unknown {
            self.line(receipt, "extra", field).add(receipt, unknown.records, &unknown.types);
        }
        for (field, records) in &receipt.drift.misfits {
            self.line(receipt, "_rejects", field).add(receipt, *records, &BTreeSet::new());
        }
    }

    fn line(&mut self, receipt: &Receipt, place: &'static str, field: &str) -> &mut Line {
        let lines = self.lines.entry((receipt.dataset.clone(), place)).or_default();
        let is_told = lines.len() < MOST_FIELDS || lines.contains_key(field);
        let field = if is_told { field } else { OTHERS };
        lines.entry(field.to_owned()).or_insert_with(|| Line {
            dataset: receipt.dataset.clone(),
            field: field.to_owned(),
            place,
            types: BTreeSet::new(),
            tenants: BTreeSet::new(),
            readings: 0,
            records: 0,
            first_seen: receipt.finished_at,
            last_seen: receipt.finished_at,
        })
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.values().flat_map(BTreeMap::values)
    }
}

impl Line {
    fn add(&mut self, receipt: &Receipt, records: u64, types: &BTreeSet<JsonType>) {
        self.types.extend(types);
        if !self.tenants.contains(&receipt.organization_id) {
            self.tenants.insert(receipt.organization_id.clone());
        }
        self.readings += 1;
        self.records += records;
        self.first_seen = self.first_seen.min(receipt.finished_at);
        self.last_seen = self.last_seen.max(receipt.finished_at);
    }

    fn row(&self) -> Vec<String> {
        let types: Vec<&str> = self.types.iter().map(|kind| kind.as_str()).collect();
        vec![
            self.dataset.clone(),
            self.field.clone(),
            if types.is_empty() { "does not fit".to_owned() } else { types.join(", ") },
            self.place.to_owned(),
            count(self.tenants.len() as u64),
            count(self.readings),
            count(self.records),
            instant(self.first_seen),
            instant(self.last_seen),
        ]
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use pipeline::Verdict;
    use pipeline::drift::Unknown;

    use super::*;
    use crate::report::samples;

    fn receipt(tenant: &str, day: i64, field: &str, kind: JsonType) -> Receipt {
        let mut receipt = samples::receipt(tenant, "eu", "users", Verdict::Complete);
        receipt.finished_at += TimeDelta::days(day);
        receipt.drift.unknown.insert(field.to_owned(), Unknown { records: 3, types: [kind].into() });
        receipt.drift.misfits.insert("domain".to_owned(), 1);
        receipt
    }

    #[test]
    fn one_line_adds_up_all_tenants_and_readings() {
        let mut seen = Seen::default();
        // Tenant by tenant, as the records lie: the times go back and forth.
        for (tenant, day, kind) in
            [("t1", 2, JsonType::String), ("t1", 4, JsonType::String), ("t2", 1, JsonType::Null)]
        {
            seen.take(&receipt(tenant, day, "nickname", kind));
        }
        let day = |day: i64| receipt("t1", day, "", JsonType::Null).finished_at;
        let told: Vec<_> = seen
            .lines()
            .map(|it| {
                (it.field.as_str(), it.place, it.types.len(), it.tenants.len(), it.readings, it.records)
            })
            .collect();
        assert_eq!(told, [("domain", "_rejects", 0, 2, 3, 3), ("nickname", "extra", 2, 2, 3, 9)]);
        assert!(seen.lines().all(|it| (it.first_seen, it.last_seen) == (day(1), day(4))));
        assert_eq!((seen.readings, seen.span), (3, Some((day(1), day(4)))));
    }

    #[test]
    fn bounded_names_without_end_are_told_together() {
        let mut seen = Seen::default();
        for number in 0..2 * MOST_FIELDS {
            seen.take(&receipt("t1", 0, &format!("n{number}"), JsonType::Null));
        }
        assert_eq!(seen.lines().count(), 1 + MOST_FIELDS + 1);
        let others = seen.lines().find(|line| line.field == OTHERS).expect("the rest");
        assert_eq!(others.readings, MOST_FIELDS as u64);
    }
}
