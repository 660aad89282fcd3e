//! Records that did not fit their columns, kept as a dataset of their own.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use crate::batch::Reject;
use crate::dataset::REJECTS;
use crate::dataset::Scope;
use crate::{Dataset, Error, ErrorKind, ReadMode, Result};

/// Returns rejects as records of the dataset that keeps them.
///
/// # Errors
/// Never, unless the columns contradict the schema beside them.
pub fn records(rejects: &[Reject]) -> Result<(Dataset, RecordBatch)> {
    let dataset = dataset();
    let text = |get: fn(&Reject) -> &str| -> ArrayRef {
        Arc::new(rejects.iter().map(|reject| Some(get(reject))).collect::<StringArray>())
    };
    let columns = vec![
        text(|reject| reject.dataset),
        text(|reject| &reject.column),
        text(|reject| &reject.reason),
        text(|reject| &reject.raw),
    ];
    let records = RecordBatch::try_new(dataset.schema.clone(), columns)
        .map_err(|error| Error::new(ErrorKind::Bug, "lay out the rejects").with_source(error))?;
    Ok((dataset, records))
}

/// Returns the dataset that keeps rejects.
#[must_use]
pub fn dataset() -> Dataset {
    let field = |name| Field::new(name, DataType::Utf8, false);
    Dataset {
        name: REJECTS,
        summary: "records that did not fit their columns, with the reason and the raw text",
        scope: Scope::Tenant,
        pull: REJECTS,
        endpoint: "",
        family: "",
        schema: Arc::new(Schema::new(vec![field("dataset"), field("column"), field("reason"), field("raw")])),
        key: &[],
        cursor: None,
        ordered_by: None,
        by_change: false,
        mode: ReadMode::Snapshot,
        page_size: 0,
    }
}
