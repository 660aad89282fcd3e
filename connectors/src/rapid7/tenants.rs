//! The managed organizations: listed afresh in every run, each once, and none left out in silence.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use pipeline::{Error, ErrorKind, Region, Result, Tenant, TenantId};
use reqwest::StatusCode;
use serde_json::Value;
use serde_json::value::RawValue;
use tracing::warn;

use super::config::in_host;
use super::paging::{Refused, Word, size_of_walk};
use super::walk::{Judgement, Walk, judge};
use crate::http::{BadBody, Call, SendError, TenantClient};
use crate::normalize::{ERRORS, Order, PageFacts, tells_of_error};

/// Asked for in one page; the platform's own maximum is unknown, and 100 is granted by its neighbours.
const PAGE_SIZE: u64 = 100;

/// The platform's own page size, where it refuses a larger one.
const USUAL_SIZE: u64 = 20;

/// Far beyond any account: a listing that never ends is a defect on the other side.
const MOST_PAGES: u64 = 1000;

/// How much of an entry is shown.
const SHOWN: usize = 120;

/// What the platform lists.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The tenants, each once.
    pub(super) tenants: Vec<Tenant>,
    /// Those that have entries in other regions as well, as they stand there.
    pub(super) elsewhere: Vec<Tenant>,
    /// What no tenant could be made of, and what may be missing.
    pub(super) remarks: Vec<String>,
}

/// Lists the tenants below a path.
///
/// # Errors
/// Where the platform refuses, or shows fewer organizations than it says there are: a tenant that is not listed
/// would not be read, and nobody would hear of it.
pub(super) async fn list(client: &TenantClient, path: &str) -> Result<Listed> {
    let mut listing = Listing {
        client,
        path,
        size: PAGE_SIZE,
        known: HashMap::new(),
        strange: HashSet::new(),
        shown: HashSet::new(),
        pairs: HashSet::new(),
        earlier: HashSet::new(),
        others: HashMap::new(),
        listed: Listed::default(),
    };
    let mut walks = Vec::new();
    loop {
        walks.push(listing.walk(&walks).await?);
        match judge(&walks, true) {
            Judgement::Whole => return Ok(listing.listed),
            Judgement::Again => warn!(walks = walks.len(), "the list of tenants is not whole; reading again"),
            Judgement::Drifted => return listing.unsettled(&walks),
        }
    }
}

/// A list of tenants on its way.
struct Listing<'a> {
    client: &'a TenantClient,
    path: &'a str,
    /// The largest page that is granted.
    size: u64,
    /// The place of each tenant by its id.
    known: HashMap<String, usize>,
    /// The entries that no tenant could be made of.
    strange: HashSet<String>,
    /// The ids that this walk showed, and what is no tenant.
    shown: HashSet<String>,
    /// The ids that this walk showed, with their regions; and the same of earlier walks.
    pairs: HashSet<String>,
    earlier: HashSet<String>,
    /// Further entries by id.
    others: HashMap<String, Others>,
    listed: Listed,
}

/// Entries of an organization beyond the first.
///
/// It may have one for each region, and the list counts them; but one that moves while the list is read, and hides
/// another by that, is shown in two regions as well. So a further entry counts where two walks show it.
#[derive(Debug, Default)]
struct Others {
    /// How many this walk showed.
    shown: u64,
    /// The most that one walk showed.
    most: u64,
}

impl Listing<'_> {
    /// Walks the list once more.
    async fn walk(&mut self, earlier: &[Walk]) -> Result<Walk> {
        let nth = earlier.len();
        let mut walk = Walk::default();
        let mut size = size_of_walk(self.size, nth);
        let mut index = 0;
        let mut refused = Refused::Failure;
        self.shown.clear();
        self.earlier.extend(self.pairs.drain());
        self.others.values_mut().for_each(|others| others.shown = 0);
        while index < MOST_PAGES {
            let page = match self.page(index, size).await {
                Err(SendError::Answered(StatusCode::BAD_REQUEST, _)) if index == 0 && size > USUAL_SIZE => {
                    self.size = USUAL_SIZE;
                    size = size_of_walk(self.size, nth);
                    continue;
                }
                Err(SendError::Answered(StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND, _)) if index > 0 => {
                    if refused != Refused::End {
                        walk.break_off();
                    }
                    return Ok(walk);
                }
                answered => answered.map_err(with_advice)?,
            };
            let word = Word::of(&page.facts, index, size);
            let last = page.bare || word.last;
            refused = word.if_refused;
            if let Some(cut_to) = word.granted {
                size = cut_to;
                self.size = self.size.min(cut_to);
            }
            walk.page(&self.take(page), &word);
            if last || walk.has_no_pages(earlier) {
                return Ok(walk);
            }
            if walk.goes_in_circles(earlier) {
                walk.give_up();
                return Ok(walk);
            }
            index += 1;
        }
        Err(unlisted(&format!("the platform lists more than {MOST_PAGES} pages of organizations")))
    }

    async fn page(&self, index: u64, size: u64) -> Result<Page, SendError> {
        let call = Call::get("account", "list the managed organizations", self.path.to_owned())
            .query("size", size)
            .query("index", index);
        Ok(self.client.send(&call, &Arc::new(parse)).await?.value)
    }

    /// Takes a page's entries and returns what it said, with how many of them are new, and how many of its own.
    fn take(&mut self, page: Page) -> PageFacts {
        let mut facts = page.facts;
        for entry in page.entries {
            let entry = self.without_the_key(entry);
            let (is_new, is_other) = match tenant_of(&entry) {
                Ok(tenant) => {
                    let region = entry.get("region").and_then(Value::as_str).unwrap_or_default();
                    self.count(tenant, region)
                }
                Err(why) => {
                    let entry = entry.to_string();
                    (self.set_aside(&entry, &why), self.shown.insert(entry))
                }
            };
            facts.fresh += u64::from(is_new);
            facts.distinct += u64::from(is_other);
        }
        facts
    }

    /// Returns whether an entry is new, and whether it is another than all that this walk showed.
    fn count(&mut self, tenant: Tenant, region: &str) -> (bool, bool) {
        // Whatever else an entry says may change while the list is read.
        let id = tenant.id.as_str().to_ascii_lowercase();
        let pair = format!("{id} {}", region.to_ascii_lowercase());
        let is_known = self.earlier.contains(&pair);
        let is_other = self.pairs.insert(pair);
        let is_new = self.add(tenant);
        if self.shown.insert(id.clone()) {
            return (is_new, true);
        }
        if !(is_other && is_known) {
            return (false, false);
        }
        let others = self.others.entry(id).or_default();
        others.shown += 1;
        let is_more = others.shown > others.most;
        others.most = others.most.max(others.shown);
        (is_more, true)
    }

    /// Names are shown and kept wherever their tenant is: an entry that tells the key is told without it.
    fn without_the_key(&self, entry: Value) -> Value {
        let text = entry.to_string();
        let clean = self.client.scrub(&text);
        if clean == text { entry } else { serde_json::from_str(&clean).unwrap_or(Value::String(clean)) }
    }

    fn add(&mut self, tenant: Tenant) -> bool {
        // Ids differ in more than the case of their letters.
        let id = tenant.id.as_str().to_ascii_lowercase();
        let Some(place) = self.known.get(&id) else {
            self.known.insert(id, self.listed.tenants.len());
            self.listed.tenants.push(tenant);
            return true;
        };
        self.compare(*place, tenant);
        false
    }

    /// Takes what an entry says beyond the one that stands for its organization already.
    fn compare(&mut self, place: usize, mut again: Tenant) {
        let Listed { tenants, elsewhere, .. } = &mut self.listed;
        let first = &mut tenants[place];
        again.id = first.id.clone();
        if first.name != again.name || first.external_id != again.external_id {
            warn!(tenant = %first.id, "listed twice, and differently; one entry counts");
        }
        match (&first.region, &again.region) {
            (None, _) => first.region = again.region,
            (Some(one), Some(other)) if one != other => {
                // Which comes first may change from list to list; which one counts must not.
                if other < one {
                    std::mem::swap(first, &mut again);
                }
                if !elsewhere.iter().any(|known| (&known.id, &known.region) == (&again.id, &again.region)) {
                    elsewhere.push(again);
                }
            }
            _ => {}
        }
    }

    fn set_aside(&mut self, entry: &str, why: &str) -> bool {
        let shown: String = entry.chars().take(SHOWN).collect();
        let is_new = self.strange.insert(entry.to_owned());
        if is_new {
            self.say_missing(format!("an entry of the tenant list was set aside: {why}: {shown}"));
        }
        is_new
    }

    fn say_missing(&mut self, text: String) {
        self.listed.remarks.push(text);
    }

    /// Returns what is listed although some entries came twice, or why that would hide a tenant.
    fn unsettled(mut self, walks: &[Walk]) -> Result<Listed> {
        let known = self.known.len() + self.strange.len();
        let claimed = walks.last().and_then(|walk| walk.last);
        let claim = claimed.map_or_else(String::new, |claimed| format!(" of {claimed}"));
        if !walks.iter().all(Walk::shows_its_claim) {
            return Err(unlisted(&format!("the platform shows {known}{claim} organizations")));
        }
        self.say_missing(format!(
            "the tenant list shows some organizations twice and {known}{claim} different ones: one may be missing"
        ));
        Ok(self.listed)
    }
}

fn unlisted(what: &str) -> Error {
    Error::new(ErrorKind::Contract, format!("list the managed organizations: {what}")).with_hint(
        "no tenant is left out in silence: run again later, or write the organizations down as [[tenant]] in the run file",
    )
}

/// Adds what helps where the list itself is refused.
fn with_advice(error: SendError) -> Error {
    let is_nowhere = matches!(error, SendError::Answered(StatusCode::NOT_FOUND, _));
    let error = Error::from(error);
    match error.kind() {
        _ if is_nowhere => error.of_kind(ErrorKind::Config).with_hint(
            "there is no such list: look at `home_region`, `endpoint` and, where it is set, `user_list_path` in the run file",
        ),
        ErrorKind::Forbidden => error.with_hint(
            "the key may not list the organizations of this account: look at `parent_organization`, set `list_by_user` to the user the key belongs to, or write the organizations down as [[tenant]] in the run file",
        ),
        ErrorKind::Unauthorized => error.with_hint(
            "the key is good, but not for the primary account: look at `parent_organization` and `home_region` in the run file",
        ),
        _ => error,
    }
}

fn region(text: &str) -> Option<Region> {
    text.parse().ok().map(in_host)
}

/// Returns the tenant of an entry, or why there is none.
///
/// Only the id has to be good: it decides who is asked for. A tenant without a region is asked nothing, and named.
fn tenant_of(entry: &Value) -> Result<Tenant, String> {
    let id = match entry.get("id") {
        None | Some(Value::Null) => return Err("it has no id".to_owned()),
        Some(id) => text(id).and_then(|id| id.parse::<TenantId>().ok()).ok_or("its id is none")?,
    };
    let name = entry.get("name").and_then(text).filter(|name| !name.is_empty());
    Ok(Tenant {
        name: name.unwrap_or_else(|| id.to_string()),
        id,
        region: entry.get("region").and_then(Value::as_str).and_then(region),
        external_id: entry.get("external_id").and_then(text),
    })
}

/// Returns a text, or a number as one.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// One page of the list: an envelope, an array that is complete in itself, or a single organization.
#[derive(Debug)]
struct Page {
    entries: Vec<Value>,
    facts: PageFacts,
    bare: bool,
}

/// The members of an object, each as it stands.
type Members<'a> = BTreeMap<String, &'a RawValue>;

#[expect(clippy::needless_pass_by_value, reason = "the client hands a body over")]
fn parse(body: Bytes) -> Result<Page, BadBody> {
    let bare = |entries: Vec<Value>| Ok(Page { facts: facts(&entries, &Value::Null), entries, bare: true });
    let page: &RawValue = serde_json::from_slice(&body).map_err(BadBody::malformed)?;
    if let Some(entries) = entries(page) {
        return bare(entries);
    }
    let members: Members<'_> = serde_json::from_str(page.get()).map_err(|_| no_list())?;
    let tells = |name: &&str| members.get(*name).is_some_and(|it| tells_of_error(name, it.get().as_bytes()));
    if ERRORS.iter().any(tells) {
        return Err(BadBody::malformed("it says itself that it is not whole"));
    }
    match members.get("data").map(|data| entries(data)) {
        Some(Some(entries)) => {
            let metadata = members.get("metadata").copied().map(readable).unwrap_or_default();
            Ok(Page { facts: facts(&entries, &metadata), entries, bare: false })
        }
        None if members.contains_key("id") => bare(vec![readable(page)]),
        _ => Err(no_list()),
    }
}

fn entries(list: &RawValue) -> Option<Vec<Value>> {
    let entries: Vec<&RawValue> = serde_json::from_str(list.get()).ok()?;
    Some(entries.into_iter().map(readable).collect())
}

/// Returns what can be read of an entry: of all its members only the id has to be good.
fn readable(entry: &RawValue) -> Value {
    let members = || -> Option<Value> {
        let members: Members<'_> = serde_json::from_str(entry.get()).ok()?;
        let readable =
            |(name, value): (String, &RawValue)| Some((name, serde_json::from_str(value.get()).ok()?));
        Some(Value::Object(members.into_iter().filter_map(readable).collect()))
    };
    let whole = serde_json::from_str(entry.get()).ok();
    whole.or_else(members).unwrap_or_else(|| Value::String(entry.get().to_owned()))
}

fn no_list() -> BadBody {
    BadBody::malformed("the answer has no list of organizations")
}

fn facts(entries: &[Value], metadata: &Value) -> PageFacts {
    let number = |name| match metadata.get(name)? {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64(),
    };
    let mut order = Order::default();
    entries.iter().for_each(|entry| order.add(entry.to_string().as_bytes()));
    PageFacts {
        order,
        rows: entries.len() as u64,
        total: number("total_data"),
        pages: number("total_pages"),
        size: number("size"),
        ..PageFacts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &'static str, entries: usize, last: bool) {
        let page = parse(Bytes::from_static(body.as_bytes())).expect("a page");
        let is_last = page.bare || Word::of(&page.facts, 0, PAGE_SIZE).last;
        assert_eq!((page.entries.len(), is_last), (entries, last), "{body}");
    }

    #[test]
    fn every_shape_of_the_list_is_read() {
        check(r#"{"data":[],"metadata":{"total_pages":0}}"#, 0, true);
        check(
            r#"{"metadata":{"index":0,"total_pages":2},"data":[{"id":"a","name":"A"}],"links":[]}"#,
            1,
            false,
        );
        check(r#"{"data":[{"id":"a"}],"metadata":{"total_pages":"1","total_data":"1"}}"#, 1, true);
        check(r#"{"data":[{"id":"a"}],"metadata":{"total_pages":-1,"total_data":1}}"#, 1, true);
        check(r#"{"data":[{"id":"a","name":null,"region":null}]}"#, 1, false);
        check(r#"[{"id":"a","name":"A","region":"US"},{"id":"b","name":"B"}]"#, 2, true);
        check(r#"{"id":"a","name":"A"}"#, 1, true);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for body in ["{}", r#"{"data":{}}"#, r#"{"data":null}"#, "7", "<html>"] {
            assert!(parse(Bytes::from_static(body.as_bytes())).is_err(), "{body}");
        }
    }

    /// Id, name, region and external id.
    type Known<'a> = (&'a str, &'a str, Option<&'a str>, Option<&'a str>);

    fn check_entry(entry: &str, expected: Result<Known<'_>, &str>) {
        let tenant = tenant_of(&serde_json::from_str(entry).expect("JSON"));
        let tenant = tenant.as_ref().map(|tenant| {
            let region = tenant.region.as_ref().map(Region::as_str);
            (tenant.id.as_str(), tenant.name.as_str(), region, tenant.external_id.as_deref())
        });
        assert_eq!(tenant.map_err(String::as_str), expected, "{entry}");
    }

    #[test]
    fn an_entry_needs_an_id_and_nothing_else() {
        check_entry(r#"{"id":"a","name":"A","region":"EU"}"#, Ok(("a", "A", Some("eu"), None)));
        check_entry(r#"{"id":7,"name":8,"external_id":9}"#, Ok(("7", "8", None, Some("9"))));
        check_entry(r#"{"id":"a","name":null,"region":5}"#, Ok(("a", "a", None, None)));
        check_entry(r#"{"name":"A"}"#, Err("it has no id"));
        check_entry(r#"{"id":null}"#, Err("it has no id"));
        check_entry("7", Err("it has no id"));
        for id in [r#""a b""#, r#""ä""#, r#""../up""#, r#""""#, "{}", "1.5"] {
            check_entry(&format!(r#"{{"id":{id}}}"#), Err("its id is none"));
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
