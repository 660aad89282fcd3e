//! Decodes records that were set aside: each as the only one of a page, by the decoder that reads pages.

use pipeline::batch::{Counts, Records, Reject, Within};
use pipeline::{Batch, Error, ErrorKind, Partition, Result, Tally};

use super::datasets::Endpoint;
use crate::normalize::{Child, Decoded, Decoder, Kind, PageError, Seen};

/// Decodes set-aside records of a partition, in their order.
pub(super) fn decode(endpoint: &Endpoint, partition: &Partition, rejects: &[Reject]) -> Result<Vec<Batch>> {
    let (shape, child) = (&endpoint.shape, endpoint.child.as_ref());
    let mut decoder = Decoder::new(endpoint.page, shape, child, &partition.tenant.id);
    let mut one = |reject: &Reject| match child.filter(|child| child.shape.dataset == reject.dataset) {
        None => {
            let decoded = page(&mut decoder, endpoint, &reject.raw)?;
            Ok(batch(decoded, endpoint, |name| partition.datasets.iter().any(|dataset| dataset.name == name)))
        }
        Some(child) => inner(&mut decoder, endpoint, child, reject),
    };
    rejects.iter().map(&mut one).collect()
}

/// Decodes a record that stood inside another one, inside one that has nothing but its key.
fn inner(decoder: &mut Decoder, endpoint: &Endpoint, child: &Child, reject: &Reject) -> Result<Batch> {
    let stays = |column: String, reason: String| {
        let counts = Counts { read: 1, rejects: 1, ..Counts::default() };
        let datasets = [(reject.dataset.to_owned(), counts)].into();
        let rejects = vec![Reject { column, reason, ..reject.clone() }];
        Batch { rejects, tally: Tally { datasets, ..Tally::default() }, ..Batch::default() }
    };
    let Some(parent) = reject.within.as_ref().and_then(|within| parent(endpoint, within, &reject.raw)) else {
        return Ok(stays(reject.column.clone(), "which record it stood in was not kept with it".to_owned()));
    };
    let mut decoded = page(decoder, endpoint, &parent)?;
    let of_parent = |reject: &Reject| reject.dataset != child.shape.dataset;
    if let Some(at) = decoded.rejects.iter().position(of_parent) {
        let Reject { reason, .. } = decoded.rejects.swap_remove(at);
        return Ok(stays(child.parent_key.to_owned(), reason));
    }
    Ok(batch(decoded, endpoint, |name| name == child.shape.dataset))
}

/// Returns a record of the listing that has a key and one record inside; nothing where it has no such list.
fn parent(endpoint: &Endpoint, within: &Within, raw: &str) -> Option<String> {
    let fields = &endpoint.shape.fields;
    let key = fields.iter().find(|field| endpoint.shape.key == [field.name])?.key;
    let list =
        fields.iter().find(|field| matches!(field.kind, Kind::Children(list) if list == within.list))?.key;
    let value = serde_json::Value::from(within.key.as_str());
    Some(format!(r#"{{"{key}":{value},"{list}":[{raw}]}}"#))
}

fn page(decoder: &mut Decoder, endpoint: &Endpoint, record: &str) -> Result<Decoded> {
    let page = format!(r#"{{"{}":[{record}]}}"#, endpoint.page.rows);
    let facts = decoder.decode(page.as_bytes(), &mut Seen::default()).map_err(refused)?;
    let decoded = decoder
        .take()
        .map_err(|error| Error::new(ErrorKind::Bug, "lay out a record's columns").with_source(error))?;
    if facts.rows == 1 { Ok(decoded) } else { Err(no_record("it is not one record")) }
}

fn refused(error: PageError) -> Error {
    match error {
        PageError::Foreign(organization) => {
            let text = format!(
                "keep the tenants apart: a record that was set aside is one of organization {organization}"
            );
            Error::new(ErrorKind::Isolation, text)
                .with_hint("nothing that was set aside with it was replayed; tell the vendor's support")
        }
        error => no_record(error),
    }
}

fn no_record(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Sink, "decode a record that was set aside")
        .with_source(cause)
        .with_hint("its raw text is not what a page held: `tenantry verify` tells more")
}

/// Returns what was decoded, of the datasets that were read.
fn batch(decoded: Decoded, endpoint: &Endpoint, read: impl Fn(&str) -> bool) -> Batch {
    let datasets = decoded.counts.iter().filter(|(name, _)| read(name));
    let datasets = datasets.map(|(name, counts)| ((*name).to_owned(), *counts)).collect();
    let records = endpoint.datasets.iter().zip(decoded.records).filter(|(dataset, _)| read(dataset.name));
    Batch {
        records: records.map(|(dataset, columns)| Records { dataset: dataset.clone(), columns }).collect(),
        rejects: decoded.rejects.into_iter().filter(|reject| read(reject.dataset)).collect(),
        tally: Tally { datasets, ..Tally::default() },
    }
}
