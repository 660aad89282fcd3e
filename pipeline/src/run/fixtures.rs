//! Small nouns for the tests of the run.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};

use crate::{Dataset, ReadMode, Tenant};

pub(super) fn tenant(id: &str) -> Tenant {
    Tenant {
        id: id.parse().expect("a tenant id"),
        name: format!("Tenant {id}"),
        region: Some("eu".parse().expect("a region")),
        external_id: None,
    }
}

pub(super) fn dataset(name: &'static str, family: &'static str) -> Arc<Dataset> {
    Arc::new(Dataset {
        name,
        summary: "numbers",
        pull: name,
        endpoint: "GET /numbers",
        family,
        schema: Arc::new(Schema::new(vec![Field::new("id", DataType::Utf8, false)])),
        key: &["id"],
        cursor: None,
        mode: ReadMode::Snapshot,
        page_size: 100,
    })
}
