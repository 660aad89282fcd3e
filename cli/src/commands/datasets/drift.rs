//! `tenantry datasets --drift`: how the last readings differed from the schemas.

use std::collections::{BTreeMap, BTreeSet};

use pipeline::drift::JsonType;
use pipeline::{Receipt, Result, TenantId};
use serde::Serialize;

use super::super::Context;
use crate::args::Narrow;
use crate::exit_code;
use crate::table::{count, table};

/// How one member or column of a dataset differed.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Line {
    dataset: String,
    /// The member that is not known, or the column that a value did not fit.
    field: String,
    /// What became of it.
    #[serde(rename = "kept_in")]
    place: &'static str,
    types: BTreeSet<JsonType>,
    tenants: BTreeSet<TenantId>,
    records: u64,
}

pub(super) async fn drift(dataset: Option<&str>, context: &Context) -> Result<u8> {
    let settings = context.settings(&Narrow::default())?;
    let standings = settings.sink.open()?.standings().await?;
    let receipts = standings.into_values().flat_map(|standing| standing.receipts);
    let lines = lines(receipts.filter(|receipt| dataset.is_none_or(|name| receipt.dataset == name)));
    if context.console.json {
        context.console.json(&lines)?;
        return Ok(exit_code::OK);
    }
    if lines.is_empty() {
        context.console.say("nothing was seen that the schemas do not know");
        return Ok(exit_code::OK);
    }
    let rows = lines.iter().map(|line| {
        let types: Vec<&str> = line.types.iter().map(|kind| kind.as_str()).collect();
        let types = if types.is_empty() { "does not fit".to_owned() } else { types.join(", ") };
        let tenants = count(line.tenants.len() as u64);
        vec![
            line.dataset.clone(),
            line.field.clone(),
            types,
            line.place.to_owned(),
            tenants,
            count(line.records),
        ]
    });
    let columns = ["dataset", "field", "type", "kept in", "#tenants", "#records"];
    context.console.data(&table(&columns, rows.collect()))?;
    Ok(exit_code::OK)
}

fn lines(receipts: impl Iterator<Item = Receipt>) -> Vec<Line> {
    let mut lines: BTreeMap<(String, &'static str, String), Line> = BTreeMap::new();
    for receipt in receipts {
        let mut add = |place, field: &String, types: &BTreeSet<JsonType>, records| {
            let line = lines.entry((receipt.dataset.clone(), place, field.clone())).or_default();
            (line.dataset, line.field, line.place) = (receipt.dataset.clone(), field.clone(), place);
            line.types.extend(types);
            line.tenants.insert(receipt.organization_id.clone());
            line.records += records;
        };
        for (field, unknown) in &receipt.drift.unknown {
            add("extra", field, &unknown.types, unknown.records);
        }
        for (field, records) in &receipt.drift.misfits {
            add("_rejects", field, &BTreeSet::new(), *records);
        }
    }
    lines.into_values().collect()
}

#[cfg(test)]
mod tests {
    use pipeline::Verdict;
    use pipeline::drift::Unknown;

    use super::*;
    use crate::report::samples;

    #[test]
    fn one_line_adds_up_all_tenants() {
        let receipt = |tenant, kind| {
            let mut receipt = samples::receipt(tenant, "eu", "users", Verdict::Complete);
            let unknown = Unknown { records: 3, types: [kind].into() };
            receipt.drift.unknown.insert("nickname".to_owned(), unknown);
            receipt.drift.misfits.insert("domain".to_owned(), 1);
            receipt
        };
        let lines = lines([receipt("t1", JsonType::String), receipt("t2", JsonType::Null)].into_iter());
        let told: Vec<_> = lines
            .iter()
            .map(|it| (it.field.as_str(), it.place, it.types.len(), it.tenants.len(), it.records))
            .collect();
        assert_eq!(told, [("domain", "_rejects", 0, 2, 2), ("nickname", "extra", 2, 2, 6)]);
    }
}
