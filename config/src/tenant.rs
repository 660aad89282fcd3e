//! Which tenants a run is about: the rules of `[tenants]` and the tenants written down as `[[tenant]]`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use pipeline::{Error, ErrorKind, Region, Result, Tenant, TenantId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::suggest;

/// `[tenants]`: which of the listed tenants are pulled. Without it, all of them are.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantRules {
    /// The tenants to pull, by id, name or glob; all where it is empty.
    #[serde(default)]
    pub include: Vec<Pattern>,
    /// The tenants to leave out, by id, name or glob; stronger than `include`.
    #[serde(default)]
    pub exclude: Vec<Pattern>,
    /// The regions of tenants that the platform lists without one, or in several, by id.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub regions: BTreeMap<TenantId, Region>,
}

/// `[[tenant]]`: a tenant written down, for a key that may not list them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantEntry {
    /// The organization id.
    #[schemars(with = "String")]
    pub id: TenantId,
    /// The name that stands in reports and in every row.
    pub name: String,
    /// The region that holds the tenant's data, such as `eu`.
    #[schemars(with = "String")]
    pub region: Region,
}

impl From<&TenantEntry> for Tenant {
    fn from(entry: &TenantEntry) -> Self {
        let TenantEntry { id, name, region } = entry.clone();
        Self { id, name, region: Some(region), external_id: None }
    }
}

/// An id, a name or a glob over both; letters count the same in either case.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: String,
    glob: GlobMatcher,
}

impl Pattern {
    /// Returns the pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether it names one tenant rather than a family of them.
    fn is_literal(&self) -> bool {
        !self.text.contains(['*', '?', '[', '{'])
    }

    fn names(&self, tenant: &Tenant) -> bool {
        [tenant.id.as_str(), &tenant.name].iter().any(|word| word.to_lowercase() == self.text.to_lowercase())
    }

    /// Returns the tenants it means: those it names outright, and only where there are none, those it fits as
    /// a glob. So a name with brackets in it means itself.
    pub fn pick<'a>(&self, tenants: &'a [Tenant]) -> Vec<&'a TenantId> {
        let named: Vec<_> =
            tenants.iter().filter(|tenant| self.names(tenant)).map(|tenant| &tenant.id).collect();
        if !named.is_empty() {
            return named;
        }
        let is_match = |word: &str| self.glob.is_match(word.to_lowercase());
        let fits = |tenant: &&Tenant| is_match(tenant.id.as_str()) || is_match(&tenant.name);
        tenants.iter().filter(fits).map(|tenant| &tenant.id).collect()
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("an empty pattern means no tenant".to_owned());
        }
        // Its own way of ignoring case knows ASCII only.
        match GlobBuilder::new(&text.to_lowercase()).build() {
            Ok(glob) => Ok(Self { glob: glob.compile_matcher(), text }),
            Err(error) => Err(format!("`{text}` is no glob: {}", error.kind())),
        }
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "description": "A tenant's id or name, or a glob such as `Sandbox *`.",
        })
    }
}

/// Which tenants were chosen, and what the operator may want to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The tenants, in the order they were listed.
    pub tenants: Vec<Tenant>,
    /// Sentences about rules that met nobody.
    pub warnings: Vec<String>,
}

/// What narrows a run on the command line, beyond the run file's own rules.
#[derive(Debug, Clone, Default)]
pub struct Narrowing {
    /// Tenants of `--tenant`; all where it is empty.
    pub tenants: Vec<Pattern>,
    /// Regions of `--region`; all where it is empty.
    pub regions: Vec<Region>,
}

impl TenantRules {
    /// Returns the tenants that a run is about.
    ///
    /// A rule that asks for a tenant who isn't there is an error, because its data would silently be missing;
    /// a rule that leaves out or describes one who isn't there is a warning, because customers leave.
    ///
    /// # Errors
    /// Where `include` or `--tenant` name nobody, or where nobody is left.
    pub fn choose(&self, mut listed: Vec<Tenant>, narrowing: &Narrowing) -> Result<Selection> {
        let mut warnings = self.place(&mut listed);
        let mut chosen = listed.clone();
        if !self.include.is_empty() {
            let wanted = wanted(&self.include, &listed, ErrorKind::Config, &mut warnings)?;
            chosen.retain(|tenant| wanted.contains(&tenant.id));
        }
        for pattern in &self.exclude {
            let out = pattern.pick(&listed);
            if out.is_empty() {
                warnings.push(meets_nobody("tenants.exclude", pattern, &listed));
            }
            chosen.retain(|tenant| !out.contains(&&tenant.id));
        }
        if chosen.is_empty() {
            return Err(nobody(&listed));
        }
        narrow(&mut chosen, narrowing, &mut warnings)?;
        Ok(Selection { tenants: chosen, warnings })
    }

    /// Gives tenants that are listed without a region the one that the run file knows; returns what is doubtful.
    pub fn place(&self, listed: &mut [Tenant]) -> Vec<String> {
        let mut warnings = Vec::new();
        for (id, region) in &self.regions {
            let is_it = |tenant: &&mut Tenant| tenant.id.as_str().eq_ignore_ascii_case(id.as_str());
            match listed.iter_mut().find(is_it) {
                None => warnings.push(format!("tenants.regions names {id}, who is not in the tenant list")),
                Some(tenant) => match &tenant.region {
                    None => tenant.region = Some(region.clone()),
                    Some(listed) if listed == region => {}
                    Some(listed) => warnings.push(format!(
                        "tenants.regions says {region} for {} ({id}), but the platform says {listed}; the platform's word counts",
                        tenant.name
                    )),
                },
            }
        }
        warnings
    }
}

fn narrow(chosen: &mut Vec<Tenant>, narrowing: &Narrowing, warnings: &mut Vec<String>) -> Result<()> {
    if !narrowing.tenants.is_empty() {
        let wanted = wanted(&narrowing.tenants, chosen, ErrorKind::Usage, warnings)?;
        chosen.retain(|tenant| wanted.contains(&tenant.id));
    }
    if !narrowing.regions.is_empty() {
        let before: Vec<Region> = chosen.iter().filter_map(|tenant| tenant.region.clone()).collect();
        chosen
            .retain(|tenant| tenant.region.as_ref().is_some_and(|region| narrowing.regions.contains(region)));
        if chosen.is_empty() {
            return Err(no_such_region(narrowing, &before));
        }
    }
    if chosen.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "choose the tenants: `--tenant` leaves nobody"));
    }
    Ok(())
}

/// Returns the ids that the patterns mean; a literal that means nobody is an error of the given kind.
fn wanted(
    patterns: &[Pattern],
    tenants: &[Tenant],
    kind: ErrorKind,
    warnings: &mut Vec<String>,
) -> Result<Vec<TenantId>> {
    let place = if kind == ErrorKind::Usage { "--tenant" } else { "tenants.include" };
    let mut ids = Vec::new();
    for pattern in patterns {
        let picked = pattern.pick(tenants);
        match picked.is_empty() {
            true if pattern.is_literal() => return Err(unknown_tenant(place, pattern, tenants, kind)),
            true => warnings.push(meets_nobody(place, pattern, tenants)),
            false => ids.extend(picked.into_iter().cloned()),
        }
    }
    Ok(ids)
}

fn unknown_tenant(place: &str, pattern: &Pattern, tenants: &[Tenant], kind: ErrorKind) -> Error {
    let names: Vec<&str> = tenants.iter().map(|tenant| tenant.name.as_str()).collect();
    let mut hint = suggest::hint(pattern.as_str(), &names, "tenants");
    if kind == ErrorKind::Config {
        hint.push_str("; if the tenant has left, delete the line");
    }
    Error::new(kind, format!("choose the tenants: `{place}` names `{pattern}`, and there is no such tenant"))
        .with_hint(hint)
}

fn meets_nobody(place: &str, pattern: &Pattern, tenants: &[Tenant]) -> String {
    let names = tenants.iter().map(|tenant| tenant.name.as_str());
    let nearest = suggest::nearest(pattern.as_str(), names).filter(|_| pattern.is_literal());
    let suggestion = nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
    format!("{place}: no tenant is called `{pattern}`{suggestion}")
}

fn nobody(listed: &[Tenant]) -> Error {
    let message = match listed.len() {
        0 => "choose the tenants: the platform lists none for this key".to_owned(),
        count => format!("choose the tenants: `[tenants]` leaves none of the {count} that are listed"),
    };
    Error::new(ErrorKind::Config, message).with_hint(
        "`tenantry tenants` shows who is listed; look at `include` and `exclude` in the run file, and at the key",
    )
}

fn no_such_region(narrowing: &Narrowing, known: &[Region]) -> Error {
    let asked = narrowing.regions.iter().map(|region| format!("`{region}`")).collect::<Vec<_>>().join(", ");
    let mut known: Vec<&str> = known.iter().map(Region::as_str).collect();
    known.sort_unstable();
    known.dedup();
    Error::new(ErrorKind::Usage, format!("choose the tenants: none of them is in {asked}"))
        .with_hint(format!("their regions: {}", known.join(", ")))
}

#[cfg(test)]
mod tests;
