//! The managed organizations: listed afresh in every run, each once.

use std::sync::Arc;

use bytes::Bytes;
use pipeline::{Region, Result, Tenant};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use tracing::warn;

use crate::http::{BadBody, Call, TenantClient};

/// Asked for in one page; the platform's own maximum is unknown, and 100 is granted by its neighbours.
pub(super) const PAGE_SIZE: u32 = 100;

/// Far beyond any account: a listing that never ends is a defect on the other side.
const MOST_PAGES: u32 = 1000;

/// Lists the tenants below a path, de-duplicated by id.
pub(super) async fn list(client: &TenantClient, path: &str) -> Result<Vec<Tenant>> {
    let mut tenants: Vec<Tenant> = Vec::new();
    let mut known = std::collections::HashSet::new();
    let decode = Arc::new(parse);
    for index in 0..MOST_PAGES {
        let call = Call::get("account", "list the managed organizations", path.to_owned())
            .query("size", PAGE_SIZE)
            .query("index", index);
        let page = client.send(&call, &decode).await?.value;
        let last = page.is_last(index);
        for tenant in page.entries.into_iter().map(Entry::into_tenant) {
            if known.insert(tenant.id.clone()) {
                tenants.push(tenant);
            } else if !tenants.contains(&tenant) {
                warn!(tenant = %tenant.id, "listed twice, and differently; the first entry counts");
            }
        }
        if last {
            break;
        }
    }
    Ok(tenants)
}

/// Maps the spellings that payloads use to the region that stands in the host's name.
fn region(text: &str) -> Option<Region> {
    let region: Region = text.parse().ok()?;
    if region.as_str() == "us1" { "us".parse().ok() } else { Some(region) }
}

#[derive(Debug, Deserialize)]
struct Entry {
    id: pipeline::TenantId,
    name: Option<String>,
    region: Option<String>,
    external_id: Option<String>,
}

impl Entry {
    fn into_tenant(self) -> Tenant {
        let name = self.name.unwrap_or_else(|| self.id.to_string());
        let region = self.region.as_deref().and_then(region);
        Tenant { id: self.id, name, region, external_id: self.external_id }
    }
}

/// One page of the list: an envelope, or a bare array that is complete in itself.
#[derive(Debug, Default)]
struct Page {
    entries: Vec<Entry>,
    total_pages: Option<u32>,
    bare: bool,
}

impl Page {
    fn is_last(&self, index: u32) -> bool {
        let short = self.entries.len() < PAGE_SIZE as usize;
        self.bare || self.entries.is_empty() || self.total_pages.map_or(short, |pages| index + 1 >= pages)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the client hands a body over")]
fn parse(body: Bytes) -> Result<Page, BadBody> {
    serde_json::from_slice(&body).map_err(BadBody::malformed)
}

impl<'de> Deserialize<'de> for Page {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PageVisitor)
    }
}

struct PageVisitor;

impl<'de> Visitor<'de> for PageVisitor {
    type Value = Page;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a page of organizations, or an array of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Page, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = array.next_element()? {
            entries.push(entry);
        }
        Ok(Page { entries, total_pages: None, bare: true })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Page, A::Error> {
        #[derive(Deserialize, Default)]
        struct Metadata {
            total_pages: Option<u32>,
        }
        let mut entries = None;
        let mut metadata = Metadata::default();
        while let Some(name) = object.next_key::<String>()? {
            match name.as_str() {
                "data" => entries = Some(object.next_value()?),
                "metadata" => metadata = object.next_value::<Option<Metadata>>()?.unwrap_or_default(),
                _ => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        let entries = entries.ok_or_else(|| A::Error::missing_field("data"))?;
        Ok(Page { entries, total_pages: metadata.total_pages, bare: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &'static str, entries: usize, last: bool) {
        let page = parse(Bytes::from_static(body.as_bytes())).expect("a page");
        assert_eq!((page.entries.len(), page.is_last(0)), (entries, last), "{body}");
    }

    #[test]
    fn both_shapes_of_the_list_are_read() {
        check(r#"{"data":[],"metadata":{"total_pages":0}}"#, 0, true);
        check(
            r#"{"metadata":{"index":0,"total_pages":2},"data":[{"id":"a","name":"A"}],"links":[]}"#,
            1,
            false,
        );
        check(r#"{"data":[{"id":"a","name":null,"region":null}]}"#, 1, true);
        check(r#"[{"id":"a","name":"A","region":"US"},{"id":"b","name":"B"}]"#, 2, true);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for body in
            ["{}", r#"{"data":{}}"#, r#"{"data":[{"name":"no id"}]}"#, r#"[{"id":"../up"}]"#, "<html>"]
        {
            assert!(parse(Bytes::from_static(body.as_bytes())).is_err(), "{body}");
        }
    }

    #[test]
    fn regions_are_read_in_any_case_and_us1_is_us() {
        for (text, expected) in
            [("EU", Some("eu")), ("us1", Some("us")), ("Us2", Some("us2")), ("", None), ("a b", None)]
        {
            assert_eq!(region(text).as_ref().map(Region::as_str), expected, "{text}");
        }
    }
}
