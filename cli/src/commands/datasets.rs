//! `tenantry datasets`: what can be pulled, and what one dataset is made of.

use std::sync::Arc;

use arrow::datatypes::DataType;
use pipeline::dataset::Scope;
use pipeline::{Dataset, Error, ErrorKind, ReadMode, Result};
use serde::Serialize;

use super::Context;
use crate::args::Datasets;
use crate::exit_code;
use crate::table::{several, table};

mod drift;

pub(super) async fn datasets(args: &Datasets, context: &Context) -> Result<u8> {
    if args.drift {
        return drift::drift(args.name.as_deref(), context).await;
    }
    let known = connectors::rapid7::datasets::all();
    let Some(name) = &args.name else {
        list(&known, context)?;
        return Ok(exit_code::OK);
    };
    let Some(dataset) = known.iter().find(|dataset| dataset.name == name) else {
        let names: Vec<&str> = known.iter().map(|dataset| dataset.name).collect();
        return Err(Error::new(
            ErrorKind::Usage,
            format!("find the dataset `{name}`: there is none of this name"),
        )
        .with_hint(config::suggest::hint(name, &names, "datasets")));
    };
    let told = Told::of(dataset, &known);
    if context.console.json {
        context.console.json(&told)?;
    } else {
        context.console.data(&told.in_words())?;
    }
    Ok(exit_code::OK)
}

fn list(known: &[Arc<Dataset>], context: &Context) -> Result<()> {
    if context.console.json {
        return context
            .console
            .json(&known.iter().map(|dataset| Told::of(dataset, known)).collect::<Vec<_>>());
    }
    let rows = known
        .iter()
        .map(|dataset| vec![dataset.name.to_owned(), read(dataset).to_owned(), dataset.summary.to_owned()]);
    context.console.data(&table(&["dataset", "read", "holds"], rows.collect()))
}

fn read(dataset: &Dataset) -> &'static str {
    match dataset.mode {
        ReadMode::Snapshot => "whole, daily",
        ReadMode::Window => "by time",
    }
}

/// A dataset as it is told.
#[derive(Serialize)]
struct Told {
    name: &'static str,
    summary: &'static str,
    scope: Scope,
    mode: ReadMode,
    endpoint: &'static str,
    family: &'static str,
    key: &'static [&'static str],
    cursor: Option<&'static str>,
    page_size: u32,
    pull: &'static str,
    /// Nothing where the pages are counted in another dataset's records.
    requests_per_1000_records: Option<u32>,
    read_together_with: Vec<&'static str>,
    columns: Vec<Column>,
}

#[derive(Serialize)]
struct Column {
    name: String,
    kind: String,
}

impl Told {
    fn of(dataset: &Dataset, known: &[Arc<Dataset>]) -> Self {
        let together = known.iter().filter(|other| other.pull == dataset.pull && other.name != dataset.name);
        let columns = dataset
            .schema
            .fields()
            .iter()
            .map(|field| Column { name: field.name().clone(), kind: kind(field.data_type()) });
        Self {
            name: dataset.name,
            summary: dataset.summary,
            scope: dataset.scope,
            mode: dataset.mode,
            endpoint: dataset.endpoint,
            family: dataset.family,
            key: dataset.key,
            cursor: dataset.cursor,
            page_size: dataset.page_size,
            requests_per_1000_records: (dataset.name == dataset.pull)
                .then(|| 1000_u32.div_ceil(dataset.page_size.max(1))),
            pull: dataset.pull,
            read_together_with: together.map(|other| other.name).collect(),
            columns: columns.collect(),
        }
    }

    fn in_words(&self) -> String {
        let cost = match self.requests_per_1000_records {
            Some(requests) => {
                format!("{} for 1,000 records, and at least one", several(requests.into(), "request"))
            }
            None => format!("none beside {}, whose records hold them", self.pull),
        };
        let whose = match self.scope {
            Scope::Tenant => "every tenant has its own",
            Scope::Account => "the account that manages the tenants has it, once",
        };
        let read = match self.mode {
            ReadMode::Snapshot => "as a whole, once a day (UTC) or every so many days as the run file says",
            ReadMode::Window => "by time; a run goes on where the last one ended",
        };
        let mut facts = vec![
            ("holds", self.summary.to_owned()),
            ("whose", whose.to_owned()),
            ("read", read.to_owned()),
            ("endpoint", format!("{} (budget: {})", self.endpoint, self.family)),
            ("key", self.key.join(", ")),
            ("cursor", self.cursor.unwrap_or("none").to_owned()),
            ("pages", format!("up to {} records of {}", self.page_size, self.pull)),
            ("cost", cost),
        ];
        if !self.read_together_with.is_empty() {
            facts.push((
                "together",
                format!("{}: one reading fills them all", self.read_together_with.join(", ")),
            ));
        }
        let facts: String = facts.iter().map(|(name, value)| format!("{name:<9} {value}\n")).collect();
        let rows = self.columns.iter().map(|column| vec![column.name.clone(), column.kind.clone()]);
        let provenance = pipeline::batch::Provenance::COLUMNS.join(", ");
        let columns = table(&["column", "type"], rows.collect());
        format!("{}\n\n{facts}\n{columns}\n\nbefore them stand {provenance}", self.name)
    }
}

/// Returns a column's type in the words that DuckDB and people use.
fn kind(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Dictionary(_, value) => kind(value),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int64 | DataType::Int32 => "integer".to_owned(),
        DataType::Float64 | DataType::Float32 => "number".to_owned(),
        DataType::Timestamp(_, _) => "timestamp (UTC)".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::List(item) | DataType::LargeList(item) => format!("list of {}", kind(item.data_type())),
        DataType::Struct(fields) => {
            let inner: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
            format!("record ({})", inner.join(", "))
        }
        other => other.to_string(),
    }
}
