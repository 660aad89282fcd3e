//! The SIEM's search of users, accounts, assets and local accounts.

use serde::Deserialize;

use crate::answer::{Answer, Refusal};
use crate::data::{Dataset, entities};
use crate::idr_api::{PAGES, index_page};
use crate::listing::{Keep, Listing, Order};
use crate::request::Request;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntitySearch {
    #[serde(default)]
    search: Vec<EntityTerm>,
    #[serde(default)]
    sort: Vec<EntitySort>,
}

#[derive(Debug, Deserialize)]
struct EntityTerm {
    field: String,
    operator: String,
    value: serde_json::Value,
}

#[derive(Debug, Deserialize)]
struct EntitySort {
    field: String,
    #[serde(default)]
    order: String,
}

/// Searches users, accounts, assets or local accounts.
pub(crate) fn search(request: &Request, dataset: Dataset) -> Result<Answer, Refusal> {
    let query = &request.query;
    let (index, size) = (query.number("index", 0, PAGES)?, query.number("size", 20, 1..=1000)?);
    if request.body.is_empty() {
        return Err(Refusal::bad("a request body is required"));
    }
    let body: EntitySearch = request.json()?;
    let listing = Listing {
        keep: entity_filter(body.search, dataset)?,
        order: entity_order(body.sort, dataset)?,
        twist: request.twist,
        asked: Some(request.asked()),
        ..Listing::all(request.world, request.tenant, dataset)
    };
    Ok(index_page(&listing, index, size, 320))
}

/// The fields that may be searched and those that may be sorted by.
fn entity_fields(dataset: Dataset) -> (&'static [&'static str], &'static [&'static str]) {
    match dataset {
        Dataset::Users => {
            (&["first_name", "last_name", "name", "domain"], &["first_name", "last_name", "name"])
        }
        Dataset::Accounts => (
            &["authentication_service", "disabled", "domain", "name", "user.rrn", "user.name"],
            &["authentication_service", "domain", "name", "user.rrn", "user.name"],
        ),
        Dataset::LocalAccounts => {
            let both = &["name", "asset.rrn", "asset.name", "user.rrn", "user.name"];
            (both, both)
        }
        _ => (&["name"], &["name"]),
    }
}

fn entity_filter<'a>(terms: Vec<EntityTerm>, dataset: Dataset) -> Result<Option<Keep<'a>>, Refusal> {
    if terms.is_empty() {
        return Ok(None);
    }
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut tests: Vec<(String, String, Vec<String>)> = Vec::new();
    for term in terms {
        if !entity_fields(dataset).0.contains(&term.field.as_str()) {
            return Err(Refusal::bad(format!("{:?} is not a searchable field", term.field)));
        }
        if !matches!(term.operator.as_str(), "EQUALS" | "CONTAINS" | "IN") {
            return Err(Refusal::bad(format!("{:?} is not an operator", term.operator)));
        }
        let values = term
            .value
            .as_array()
            .map_or_else(|| vec![text(&term.value)], |all| all.iter().map(text).collect());
        tests.push((term.field, term.operator, values));
    }
    Ok(Some(Box::new(move |row| {
        tests.iter().all(|(field, operator, values)| {
            let found = entities::field(row, field).unwrap_or_default();
            values
                .iter()
                .any(|value| if operator == "CONTAINS" { found.contains(value) } else { found == *value })
        })
    })))
}

fn entity_order<'a>(sorts: Vec<EntitySort>, dataset: Dataset) -> Result<Order<'a>, Refusal> {
    let Some(sort) = sorts.into_iter().next() else { return Ok(Order::Ascending) };
    if !entity_fields(dataset).1.contains(&sort.field.as_str()) {
        return Err(Refusal::bad(format!("{:?} is not a sortable field", sort.field)));
    }
    let descending = match sort.order.as_str() {
        "" | "ASC" => false,
        "DESC" => true,
        other => return Err(Refusal::bad(format!("{other:?} is not a sort order"))),
    };
    Ok(match (sort.field.as_str(), descending) {
        ("name", false) => Order::Ascending,
        ("name", true) => Order::Descending,
        _ => Order::By(Box::new(move |a, b| {
            let order = entities::field(a, &sort.field).cmp(&entities::field(b, &sort.field));
            if descending { order.reverse() } else { order }
        })),
    })
}
