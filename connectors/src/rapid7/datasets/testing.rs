//! Columns of other types, as an earlier or a later version of the program has them: for tests alone.

use std::sync::{Arc, OnceLock};

use super::Endpoint;
use crate::normalize::{Kind, RecordShape};

/// A column, as its dataset's name and its own, and its type.
pub type Altered = (String, String, Kind);

static ALTERED: OnceLock<Vec<Altered>> = OnceLock::new();

/// Gives columns other types for as long as the process lives.
///
/// # Panics
/// Where it was done before.
pub fn alter(columns: Vec<Altered>) {
    ALTERED.set(columns).expect("it is done once, before anything is read");
}

pub(super) fn altered(mut endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    let Some(columns) = ALTERED.get() else { return endpoints };
    for endpoint in &mut endpoints {
        let shapes = [Some(&mut endpoint.shape), endpoint.child.as_mut().map(|child| &mut child.shape)];
        for (shape, dataset) in shapes.into_iter().flatten().zip(&mut endpoint.datasets) {
            give(shape, columns);
            Arc::make_mut(dataset).schema = shape.schema();
        }
    }
    endpoints
}

fn give(shape: &mut RecordShape, columns: &[Altered]) {
    for (dataset, column, kind) in columns {
        for field in shape.fields.iter_mut().filter(|field| dataset == shape.dataset && column == field.name)
        {
            field.kind = kind.clone();
        }
    }
}
