//! The Account API: the tenant list, users, products and API keys.

use http::{Method, StatusCode};
use serde::Deserialize;

use crate::answer::{Answer, Refusal};
use crate::data::json::{Fraction, put, put_str, put_time};
use crate::data::{Dataset, account};
use crate::keys::{Key, KeyConfig, KeyKind};
use crate::listing::{Keep, Listing, Start, put_index_metadata, put_row, put_rows};
use crate::request::Request;
use crate::tenants::{self, Tenant};

/// The most organizations on one page.
const LARGEST_PAGE: u64 = 100;

/// Lists the managed organizations; only the primary account may, and only under its own id.
pub(crate) fn managed_organizations(request: &Request) -> Result<Answer, Refusal> {
    let forbidden = || Refusal::new(403, "Forbidden");
    let may_list = match request.key.kind {
        KeyKind::MultiTenantAdmin => true,
        KeyKind::MultiTenantUser => request.config.user_keys_may_list,
        KeyKind::User | KeyKind::Organization => false,
    };
    if !may_list {
        return Err(forbidden());
    }
    if !request.in_parent() {
        return Err(forbidden().misplaced("foreign_organization"));
    }
    page_of_tenants(request, &tenants::entries(request.config, &request.world.tenants))
}

/// Lists the managed organizations a user may access: the owner's own key or an administrator's asks.
pub(crate) fn organizations_of_user(request: &Request, user: &str) -> Result<Answer, Refusal> {
    let key = &request.key;
    if !key.kind.is_multi_tenant() || !request.in_parent() {
        return Err(Refusal::new(403, "Forbidden"));
    }
    if key.kind == KeyKind::MultiTenantUser && key.user_id != user {
        return Err(Refusal::new(403, "Forbidden"));
    }
    let owned: Vec<_> = request.keys.at_home(None).into_iter().filter(|key| key.user_id == user).collect();
    if owned.is_empty() {
        return Err(Refusal::new(404, "Not Found"));
    }
    let reached = |number: &usize| owned.iter().any(|key| key.reaches(*number));
    let entries: Vec<usize> =
        tenants::entries(request.config, &request.world.tenants).into_iter().filter(reached).collect();
    page_of_tenants(request, &entries)
}

fn page_of_tenants(request: &Request, entries: &[usize]) -> Result<Answer, Refusal> {
    let index = request.query.number("index", 0, 0..=u64::from(u32::MAX))?;
    let size = request.query.number("size", 20, 1..=LARGEST_PAGE)?;
    let quirks = &request.config.quirks;
    let skipped = if quirks.bare_list { 0 } else { (index * size) as usize };
    let taken = if quirks.bare_list { usize::MAX } else { size as usize };
    let shown: Vec<&Tenant> =
        entries.iter().skip(skipped).take(taken).map(|number| &request.world.tenants[*number]).collect();
    let mut body = Vec::with_capacity(64 + shown.len() * 160);
    put(&mut body, if quirks.bare_list { "[" } else { r#"{"data":["# });
    for (number, tenant) in shown.iter().enumerate() {
        put(&mut body, if number > 0 { "," } else { "" });
        put_tenant(tenant, &mut body);
    }
    body.push(b']');
    if !quirks.bare_list {
        if quirks.list_metadata {
            put_index_metadata(index, size, entries.len() as u64, &mut body);
        }
        body.push(b'}');
    }
    Ok(Answer::page(body, shown.len()))
}

fn put_tenant(tenant: &Tenant, out: &mut Vec<u8>) {
    put(out, r#"{"id":"#);
    put_str(out, &tenant.id);
    put(out, r#","name":"#);
    put_str(out, &tenant.name);
    for (name, value) in
        [(r#","region":"#, &tenant.listed_region), (r#","external_id":"#, &tenant.external_id)]
    {
        if let Some(value) = value {
            put(out, name);
            put_str(out, value);
        }
    }
    out.push(b'}');
}

/// Tells about the one organization acted in.
pub(crate) fn organizations(request: &Request) -> Result<Answer, Refusal> {
    let tenant = request.tenant;
    let mut body = Vec::new();
    put(&mut body, r#"[{"id":"#);
    put_str(&mut body, &tenant.id);
    put(&mut body, r#","name":"#);
    put_str(&mut body, &tenant.name);
    put(&mut body, r#","type":"#);
    put_str(&mut body, if request.in_parent() { "PARTNER" } else { "CUSTOMER" });
    put(&mut body, r#","region":"#);
    put_str(&mut body, &tenant.region);
    put(&mut body, "}]");
    Ok(Answer::page(body, 1))
}

/// Lists the products of the organization as a bare array.
pub(crate) fn products(request: &Request) -> Result<Answer, Refusal> {
    bare_list(request, Dataset::Products, None)
}

/// Lists the platform's users of the organization as a bare array.
pub(crate) fn users(request: &Request) -> Result<Answer, Refusal> {
    let wanted: Vec<(&str, &str)> = ["status", "platform-admin", "email", "first_name", "last_name"]
        .into_iter()
        .filter_map(|name| request.query.get(name).map(|value| (name, value)))
        .collect();
    let keep: Option<Keep> = (!wanted.is_empty()).then(|| -> Keep {
        Box::new(move |row| {
            wanted.iter().all(|(name, value)| {
                account::field(row, name).is_some_and(|found| found.eq_ignore_ascii_case(value))
            })
        })
    });
    bare_list(request, Dataset::AccountUsers, keep)
}

fn bare_list(request: &Request, dataset: Dataset, keep: Option<Keep>) -> Result<Answer, Refusal> {
    let listing =
        Listing { keep, twist: request.twist, ..Listing::all(request.world, request.tenant, dataset) };
    let page = listing.page(Start::At(0), u64::MAX);
    let mut body = Vec::with_capacity(16 + page.rows.len() * 300);
    put_rows(&page.rows, &mut body, put_row);
    Ok(Answer::page(body, page.rows.len()))
}

#[derive(Default, Deserialize)]
struct NewKey {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "type")]
    kind: String,
    organization_id: Option<String>,
}

/// Lists the keys of the organization, or makes a new one.
pub(crate) fn api_keys(request: &Request) -> Result<Answer, Refusal> {
    if request.method == Method::POST {
        return make_key(request);
    }
    let keys = request.keys.at_home(home(request));
    let mut body = Vec::new();
    put(&mut body, r#"{"data":["#);
    for (number, key) in keys.iter().enumerate() {
        put(&mut body, if number > 0 { "," } else { "" });
        put_api_key(key, request, None, &mut body);
    }
    put(&mut body, "]}");
    Ok(Answer::page(body, keys.len()))
}

fn home(request: &Request) -> Option<usize> {
    (!request.in_parent()).then_some(request.tenant.number)
}

fn make_key(request: &Request) -> Result<Answer, Refusal> {
    let new: NewKey = request.json()?;
    if new.name.trim().is_empty() {
        return Err(Refusal::bad("name is required"));
    }
    let kind = match new.kind.as_str() {
        "USER" => KeyKind::User,
        "ORGANIZATION" => KeyKind::Organization,
        "MULTI_TENANT" if request.config.mint_multi_tenant_keys && request.in_parent() => {
            KeyKind::MultiTenantAdmin
        }
        other => return Err(Refusal::bad(format!("type {other:?} cannot be created here"))),
    };
    if kind == KeyKind::Organization && new.organization_id.is_none() {
        return Err(Refusal::bad("organization_id is required"));
    }
    if new.organization_id.as_ref().is_some_and(|id| !id.eq_ignore_ascii_case(&request.tenant.id)) {
        return Err(Refusal::new(403, "Forbidden"));
    }
    let tenant = Some(request.tenant.id.clone());
    let config = KeyConfig { tenant, ..KeyConfig::new(&new.name, kind) };
    let info = request.keys.put(&config, request.world)?;
    let key = request.keys.find(&info.secret).ok_or_else(|| Refusal::new(500, "the key was lost"))?;
    let mut body = Vec::new();
    put(&mut body, r#"{"data":"#);
    put_api_key(&key, request, Some(&info.secret), &mut body);
    body.push(b'}');
    Ok(Answer::json(StatusCode::CREATED, body))
}

fn put_api_key(key: &Key, request: &Request, secret: Option<&str>, out: &mut Vec<u8>) {
    put(out, r#"{"id":"#);
    put_str(out, &key.id);
    put(out, r#","name":"#);
    put_str(out, &key.name);
    put(out, r#","type":"#);
    put_str(
        out,
        match key.kind {
            KeyKind::User => "USER",
            KeyKind::Organization => "ORGANIZATION",
            KeyKind::MultiTenantAdmin => "MULTI_TENANT",
            KeyKind::MultiTenantUser => "MULTI_TENANT_USER",
        },
    );
    if let Some(secret) = secret {
        put(out, r#","key":"#);
        put_str(out, secret);
    }
    put(out, r#","generated_on":"#);
    put_time(out, request.world.now_ms * 1000, Fraction::None);
    out.push(b'}');
}

/// Deletes a key of the organization; it is refused from then on.
pub(crate) fn delete_key(request: &Request, id: &str) -> Result<Answer, Refusal> {
    if !request.keys.at_home(home(request)).iter().any(|key| key.id == id) {
        return Err(Refusal::new(404, "Not Found"));
    }
    request.keys.revoke(id);
    Ok(Answer::json(StatusCode::NO_CONTENT, Vec::new()))
}
