//! What can be pulled of the platform: one file for each dataset, and what they declare.

mod accounts;
mod alerts;
mod assets;
mod investigations;
mod organizations;
#[cfg(feature = "testing")]
pub mod testing;
mod users;
mod vm_assets;
mod vm_findings;
mod vm_scans;
mod vm_vulnerabilities;

use std::sync::Arc;
use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta};
use pipeline::batch::Records;
use pipeline::{Batch, Dataset, ReadMode, Scope, Tally, TenantId, Timestamp, Window};

use crate::normalize::{Child, Decoded, Decoder, Fact, Field, Kind, Owner, PageShape, RecordShape};

/// One endpoint: the datasets it fills, how it is asked and how it answers.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The dataset of the listing, and the one inside its records where there is one.
    pub datasets: Vec<Arc<Dataset>>,
    /// What a record of the listing looks like.
    pub shape: RecordShape,
    /// Records inside a record.
    pub child: Option<Child>,
    /// What a page looks like.
    pub page: PageShape,
    /// How it is asked.
    pub request: Request,
}

impl Endpoint {
    /// Returns what decodes a tenant's pages of it.
    #[must_use]
    pub fn decoder(&self, tenant: &TenantId) -> Decoder {
        Decoder::new(self.page, &self.shape, self.child.as_ref(), tenant)
    }

    /// Returns whether a record may leave unsaid whose it is, though it is nobody else's.
    #[must_use]
    pub fn may_hide_owners(&self) -> bool {
        self.shape.fields.iter().any(|field| matches!(field.owner, Owner::Prefix(_)))
    }

    /// Makes a batch of what was decoded, of the datasets that are wanted.
    pub(super) fn batch(&self, decoded: Decoded, wanted: impl Fn(&str) -> bool) -> Batch {
        let counts = decoded.counts.into_iter().filter(|(name, _)| wanted(name));
        let records = self.datasets.iter().zip(decoded.records).filter(|(dataset, _)| wanted(dataset.name));
        Batch {
            records: records
                .map(|(dataset, columns)| Records { dataset: dataset.clone(), columns })
                .collect(),
            rejects: decoded.rejects.into_iter().filter(|reject| wanted(reject.dataset)).collect(),
            tally: Tally {
                datasets: counts.map(|(name, counts)| (name.to_owned(), counts)).collect(),
                ..Tally::default()
            },
            room: None,
        }
    }
}

/// How an endpoint is asked.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// The path below the region's host.
    pub path: &'static str,
    /// Query parameters beside those of the page, for a window where the dataset has one.
    pub query: fn(Option<Window>) -> Vec<(&'static str, String)>,
    /// The JSON body of a search; without one it is a GET.
    pub body: Option<fn(Option<Window>) -> String>,
    /// The value of `Accept-version`, which opts into the version this code knows.
    pub accept_version: Option<&'static str>,
    /// How the next page is asked for.
    pub paging: Paging,
    /// The longest window that is answered.
    pub longest_window: Option<Duration>,
}

/// How the next page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// By its number, counted from zero, in a parameter of this name.
    Index(&'static str),
    /// By the cursor that the page before it gave.
    Cursor,
}

/// Returns every dataset.
#[must_use]
pub fn all() -> Vec<Arc<Dataset>> {
    endpoints().into_iter().flat_map(|endpoint| endpoint.datasets).collect()
}

/// Returns every endpoint, in the order that people read them.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    let endpoints = vec![
        organizations::endpoint(),
        investigations::endpoint(),
        alerts::endpoint(),
        users::endpoint(),
        accounts::endpoint(),
        assets::endpoint(),
        vm_assets::endpoint(),
        vm_vulnerabilities::endpoint(),
        vm_scans::endpoint(),
    ];
    #[cfg(feature = "testing")]
    let endpoints = testing::altered(endpoints);
    endpoints
}

/// Returns the borders of a window as the platform spells them.
///
/// Nobody says whether a search holds what stands right on them. Where one window ends the next one begins, so each is
/// asked for from a moment before.
fn borders(window: Window) -> [String; 2] {
    [window.since - TimeDelta::milliseconds(1), window.until].map(instant)
}

/// Returns an instant as the platform spells it in queries.
fn instant(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The page of the SIEM's lists.
const SIEM_PAGE: PageShape = PageShape {
    rows: "data",
    facts: &[("total_data", Fact::Total), ("total_pages", Fact::Pages), ("size", Fact::Size)],
    failures: None,
    tells_of_others: false,
    may_be_bare: false,
};

/// The page of vulnerability management's lists.
const VM_PAGE: PageShape = PageShape {
    rows: "data",
    facts: &[
        ("totalResources", Fact::Total),
        ("totalPages", Fact::Pages),
        ("size", Fact::Size),
        ("cursor", Fact::Cursor),
    ],
    failures: None,
    tells_of_others: false,
    may_be_bare: false,
};

/// The search of the SIEM's entities: all of them, by name, so that pages repeat.
const ENTITY_SEARCH: Request = Request {
    path: "",
    query: |_| Vec::new(),
    body: Some(|_| r#"{"search":[],"sort":[{"field":"name","order":"ASC"}]}"#.to_owned()),
    accept_version: None,
    paging: Paging::Index("index"),
    longest_window: None,
};

/// What follows the organization's id in the id of one of vulnerability management's assets.
const ASSET: &str = "-default-asset-";

fn text(name: &'static str) -> Field {
    Field::new(name, Kind::Utf8)
}

fn time(name: &'static str) -> Field {
    Field::new(name, Kind::Timestamp)
}

fn int(name: &'static str) -> Field {
    Field::new(name, Kind::Int64)
}

fn float(name: &'static str) -> Field {
    Field::new(name, Kind::Float64)
}

fn truth(name: &'static str) -> Field {
    Field::new(name, Kind::Bool)
}

fn nested(name: &'static str, fields: Vec<Field>) -> Field {
    Field::new(name, Kind::Struct(fields))
}

fn list(name: &'static str, item: Kind) -> Field {
    Field::new(name, Kind::List(Box::new(item)))
}

/// What a dataset declares beside its shape; the defaults are those of most.
struct About {
    summary: &'static str,
    pull: &'static str,
    endpoint: &'static str,
    family: &'static str,
    scope: Scope,
    cursor: Option<&'static str>,
    ordered_by: Option<&'static str>,
    by_change: bool,
    mode: ReadMode,
    page_size: u32,
}

impl About {
    fn snapshot(
        pull: &'static str,
        family: &'static str,
        endpoint: &'static str,
        summary: &'static str,
    ) -> Self {
        let (scope, mode) = (Scope::Tenant, ReadMode::Snapshot);
        Self {
            summary,
            pull,
            endpoint,
            family,
            scope,
            cursor: None,
            ordered_by: None,
            by_change: false,
            mode,
            page_size: 100,
        }
    }

    fn dataset(self, shape: &RecordShape) -> Arc<Dataset> {
        Arc::new(Dataset {
            name: shape.dataset,
            summary: self.summary,
            scope: self.scope,
            pull: self.pull,
            endpoint: self.endpoint,
            family: self.family,
            schema: shape.schema(),
            key: shape.key,
            cursor: self.cursor,
            ordered_by: self.ordered_by,
            by_change: self.by_change,
            mode: self.mode,
            page_size: self.page_size,
        })
    }
}

#[cfg(test)]
mod tests {
    use pipeline::TenantId;

    use super::*;
    use crate::normalize::{PageError, Seen};

    const OWN: &str = "0a1b2c3d-0000-4000-8000-00000000000a";
    const FOREIGN: &str = "0a1b2c3d-0000-4000-8000-00000000000b";

    /// Decodes a record of a dataset; `@` in it stands for the organization.
    fn decode(dataset: &str, record: &str, organization: &str) -> Result<u64, PageError> {
        let endpoint = endpoints().into_iter().find(|endpoint| endpoint.shape.dataset == dataset);
        let endpoint = endpoint.expect("a dataset");
        let tenant: TenantId = OWN.parse().expect("an id");
        let mut decoder = endpoint.decoder(&tenant);
        let page = format!(r#"{{"{}":[{}]}}"#, endpoint.page.rows, record.replace('@', organization));
        let facts = decoder.decode(page.as_bytes(), &mut Seen::default())?;
        let decoded = decoder.take().expect("columns");
        assert!(decoded.rejects.is_empty(), "{dataset}: {:?}", decoded.rejects);
        Ok(facts.rows)
    }

    #[test]
    fn isolation_every_place_that_names_the_owner_is_compared() {
        for (dataset, record) in [
            ("investigations", r#"{"rrn":"rrn:investigation:us:@:investigation:1"}"#),
            ("investigations", r#"{"rrn":"1","organization_id":"@"}"#),
            ("alerts", r#"{"rrn":"rrn:alerts:us1:@:alert:1:1","version":1}"#),
            ("alerts", r#"{"rrn":"1","version":1,"organization":{"id":"@"}}"#),
            (
                "alerts",
                r#"{"rrn":"1","version":1,"investigation_rrn":"rrn:investigation:us:@:investigation:1"}"#,
            ),
            ("alerts", r#"{"rrn":"1","version":1,"organizationId":"@"}"#),
            ("users", r#"{"rrn":"rrn:uba:us:@:user:1"}"#),
            ("users", r#"{"rrn":"1","organization_id":"@"}"#),
            ("accounts", r#"{"rrn":"rrn:uba:us:@:account:1"}"#),
            ("accounts", r#"{"rrn":"1","user":{"rrn":"rrn:uba:us:@:user:1","name":"Ann"}}"#),
            ("accounts", r#"{"rrn":"1","organization_id":"@"}"#),
            ("assets", r#"{"rrn":"rrn:uba:us:@:asset:1"}"#),
            ("assets", r#"{"rrn":"1","organization_id":"@"}"#),
            ("vm_assets", r#"{"id":"@-default-asset-1"}"#),
            ("vm_assets", r#"{"id":"1","organization_id":"@"}"#),
            ("vm_assets", r#"{"id":"1","same":[{"vulnerability_id":"v","organizationId":"@"}]}"#),
            ("vm_scans", r#"{"id":"1","asset_ids":["@-default-asset-1"]}"#),
            ("vm_scans", r#"{"id":"1","organization_id":"@"}"#),
            ("vm_vulnerabilities", r#"{"id":"1","organizationId":"@"}"#),
        ] {
            assert_eq!(decode(dataset, record, OWN), Ok(1), "{dataset}: {record}");
            let foreign = Err(PageError::Foreign(FOREIGN.to_owned()));
            assert_eq!(decode(dataset, record, FOREIGN), foreign, "{dataset}: {record}");
        }
    }

    #[test]
    fn what_names_nobody_because_it_does_not_fit_costs_its_record_alone() {
        let accounts = endpoints().into_iter().find(|it| it.shape.dataset == "accounts").expect("a dataset");
        let mut decoder = accounts.decoder(&OWN.parse().expect("an id"));
        for user in [r#""\ud83d""#, r#"["x","\ud83d"]"#, r#"{"rrn":"\ud83d"}"#, r#"{"rrn":["\udc00"]}"#] {
            let page = format!(r#"{{"data":[{{"rrn":"1","user":{user}}},{{"rrn":"2"}}]}}"#);
            decoder.decode(page.as_bytes(), &mut Seen::default()).expect("a page");
            assert_eq!(decoder.take().expect("columns").rejects.len(), 1, "{user}");
        }
    }

    #[test]
    fn what_names_others_rightly_stops_nobody() {
        for (dataset, record) in [
            ("organizations", r#"{"id":"@","organization_id":"@"}"#),
            ("alerts", r#"{"rrn":"1","version":1,"rule":{"rrn":"rrn:cba::@:detection-rule:1"}}"#),
        ] {
            assert_eq!(decode(dataset, record, FOREIGN), Ok(1), "{dataset}: {record}");
        }
    }
}
