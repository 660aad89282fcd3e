//! Decodes records that were set aside: each as the only one of a page, by the decoder that reads pages.

use pipeline::batch::{Counts, Reject, Within};
use pipeline::{Batch, Error, ErrorKind, Partition, Result, Tally};

use super::datasets::Endpoint;
use crate::normalize::{Child, Decoded, Decoder, Kind, PageError, Seen};

/// Decodes set-aside records of a partition, in their order.
pub(super) fn decode(endpoint: &Endpoint, partition: &Partition, rejects: &[Reject]) -> Result<Vec<Batch>> {
    let mut decoder = endpoint.decoder(&partition.tenant.id);
    let child = |reject: &Reject| endpoint.child.as_ref().filter(|it| it.shape.dataset == reject.dataset);
    let mut one = |reject: &Reject| match child(reject) {
        // What stands in it was kept, or set aside beside it.
        None => Ok(endpoint.batch(page(&mut decoder, endpoint, &reject.raw)?, |name| name == reject.dataset)),
        Some(child) => inner(&mut decoder, endpoint, child, reject),
    };
    rejects.iter().map(&mut one).collect()
}

/// Decodes a record that stood inside another one, inside one that has nothing but its key; or all that stand in one that
/// was set aside as a whole.
fn inner(decoder: &mut Decoder, endpoint: &Endpoint, child: &Child, reject: &Reject) -> Result<Batch> {
    let stays = |column: String, reason: String| {
        let counts = Counts { read: 1, rejects: 1, ..Counts::default() };
        let datasets = [(reject.dataset.to_owned(), counts)].into();
        let rejects = vec![Reject { column, reason, ..reject.clone() }];
        Batch { rejects, tally: Tally { datasets, ..Tally::default() }, ..Batch::default() }
    };
    let Some(within) = &reject.within else {
        let decoded = page(decoder, endpoint, &reject.raw)?;
        let batch = endpoint.batch(decoded, |name| name == child.shape.dataset);
        return if batch.tally.datasets.values().all(|counts| counts.read == 0) {
            Ok(stays(reject.column.clone(), "it has no list that is known".to_owned()))
        } else {
            Ok(batch)
        };
    };
    let Some(parent) = parent(endpoint, within, &reject.raw) else {
        return Ok(stays(reject.column.clone(), "the list it stood in is not known".to_owned()));
    };
    let mut decoded = page(decoder, endpoint, &parent)?;
    let of_parent = |reject: &Reject| reject.dataset != child.shape.dataset;
    if let Some(at) = decoded.rejects.iter().position(of_parent) {
        let Reject { reason, .. } = decoded.rejects.swap_remove(at);
        return Ok(stays(child.parent_key.to_owned(), reason));
    }
    let batch = endpoint.batch(decoded, |name| name == child.shape.dataset);
    if batch.tally.datasets.values().all(|counts| counts.read == 1) {
        Ok(batch)
    } else {
        Err(no_record(MORE))
    }
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
    if facts.rows == 1 { Ok(decoded) } else { Err(no_record(MORE)) }
}

/// What a text is called that is more or less than one record.
const MORE: &str = "it is not one record";

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
    Error::new(ErrorKind::Damaged, "decode a record that was set aside")
        .with_source(cause)
        .with_hint("its raw text is not what a page held: `tenantry verify` tells more")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::NaiveDate;
    use pipeline::Tenant;

    use super::super::datasets::endpoints;
    use super::*;

    const OWN: &str = "0a1b2c3d-0000-4000-8000-00000000000a";
    const FOREIGN: &str = "0a1b2c3d-0000-4000-8000-00000000000b";

    /// Decodes one reject of vulnerability management's assets or findings.
    fn decode(dataset: &'static str, raw: &str, within: Option<(&str, &str)>) -> Result<Batch> {
        let endpoint = endpoints().into_iter().find(|endpoint| endpoint.shape.dataset == "vm_assets");
        let endpoint = endpoint.expect("a dataset");
        let region: pipeline::Region = "eu".parse().expect("a region");
        let id = OWN.parse().expect("an id");
        let tenant = Tenant { id, name: "Acme".to_owned(), region: Some(region.clone()), external_id: None };
        let partition = Partition {
            tenant: Arc::new(tenant),
            region,
            datasets: endpoint.datasets.clone(),
            window: None,
            date: NaiveDate::from_ymd_opt(2026, 11, 24).expect("a day"),
        };
        let within = within.map(|(key, list)| Within { key: key.to_owned(), list: list.to_owned() });
        let (column, reason) = ("proof".to_owned(), "it did not fit".to_owned());
        let reject = Reject { dataset, column, reason, raw: raw.to_owned(), within };
        super::decode(&endpoint, &partition, &[reject]).map(|mut batches| batches.remove(0))
    }

    /// Returns how many records of each dataset a batch has, and the reasons of its rejects.
    fn came_to(batch: &Batch) -> (Vec<(&str, usize)>, Vec<&str>) {
        let records = batch.records.iter().map(|it| (it.dataset.name, it.columns.num_rows()));
        (records.collect(), batch.rejects.iter().map(|reject| reject.reason.as_str()).collect())
    }

    #[test]
    fn a_finding_is_decoded_in_the_asset_that_it_stood_in() {
        let (asset, raw) = (format!("{OWN}-default-asset-1"), r#"{"vulnerability_id":"v"}"#);
        let batch = decode("vm_findings", raw, Some((&asset, "new"))).expect("it fits");
        assert_eq!(came_to(&batch), (vec![("vm_findings", 1)], Vec::new()));
        let column = |name| {
            let array = batch.records[0].columns.column_by_name(name).expect("a column");
            array.as_any().downcast_ref::<arrow::array::StringArray>().expect("text").value(0).to_owned()
        };
        assert_eq!((column("asset_id"), column("change")), (asset.clone(), "new".to_owned()));

        let raw = r#"{"vulnerability_id":{}}"#;
        let batch = decode("vm_findings", raw, Some((&asset, "new"))).expect("its own tenant's");
        assert_eq!(
            came_to(&batch),
            (vec![("vm_findings", 0)], vec!["text was expected, and an object came"])
        );
        let within = Within { key: asset.clone(), list: "new".to_owned() };
        assert_eq!((&batch.rejects[0].within, batch.rejects[0].raw.as_str()), (&Some(within), raw));
        let batch = decode("vm_findings", raw, Some((&asset, "gone"))).expect("it waits on");
        assert_eq!(came_to(&batch), (Vec::new(), vec!["the list it stood in is not known"]));
        assert_eq!(batch.tally.datasets["vm_findings"].rejects, 1);
    }

    #[test]
    fn an_asset_that_was_set_aside_for_its_findings_brings_them_alone() {
        for (raw, came) in [
            (r#"{"id":"a","same":[{"check_id":"a"},{"check_id":"b"}]}"#, (2, vec![])),
            (r#"{"id":"a","risk_score":[],"same":[{"check_id":"a"}]}"#, (1, vec![])),
            (r#"{"same":[{"check_id":"a"}]}"#, (0, vec!["the record that they stand in has no key"])),
            (r#"{"id":"a","risk_score":1}"#, (0, vec!["it has no list that is known"])),
            (
                r#"[{"id":"a","same":[{"check_id":"a"}]}]"#,
                (0, vec!["the record that they stand in has no key"]),
            ),
        ] {
            let batch = decode("vm_findings", raw, None).expect("one record");
            let written = batch.records.iter().map(|it| it.columns.num_rows()).sum::<usize>();
            assert_eq!((written, came_to(&batch).1), came, "{raw}");
            assert!(batch.rejects.iter().all(|it| it.raw == raw && it.within.is_none()), "{raw}");
        }
    }

    #[test]
    fn an_asset_leaves_its_findings_where_they_are() {
        let raw =
            format!(r#"{{"id":"{OWN}-default-asset-1","same":[{{"check_id":"a"}},{{"check_id":[]}}]}}"#);
        let batch = decode("vm_assets", &raw, None).expect("it fits");
        assert_eq!(came_to(&batch), (vec![("vm_assets", 1)], vec![]));
        assert_eq!(batch.tally.datasets.keys().collect::<Vec<_>>(), ["vm_assets"]);
    }

    #[test]
    fn isolation_a_record_that_was_set_aside_is_compared_once_more() {
        let (own, foreign) = (format!("{OWN}-default-asset-1"), format!("{FOREIGN}-default-asset-1"));
        let asset = format!(r#"{{"id":"{foreign}"}}"#);
        let finding = format!(r#"{{"organizationId":"{FOREIGN}"}}"#);
        for (dataset, raw, within) in [
            ("vm_assets", asset.as_str(), None),
            ("vm_findings", "{}", Some((foreign.as_str(), "same"))),
            ("vm_findings", finding.as_str(), Some((own.as_str(), "same"))),
        ] {
            let error = decode(dataset, raw, within).expect_err("another tenant's");
            assert_eq!(error.kind(), ErrorKind::Isolation, "{error:?}");
        }
    }

    #[test]
    fn a_text_that_is_not_one_record_is_refused() {
        let asset = format!("{OWN}-default-asset-1");
        for (dataset, raw) in [
            ("vm_assets", "{},{}"),
            ("vm_assets", "{"),
            ("vm_assets", ""),
            ("vm_findings", "{},{}"),
            ("vm_findings", ""),
        ] {
            let within = (dataset == "vm_findings").then_some((asset.as_str(), "same"));
            let error = decode(dataset, raw, within).expect_err("no record");
            assert_eq!(error.kind(), ErrorKind::Damaged, "{dataset} {raw:?}: {error:?}");
        }
    }
}
