//! What a run file must say beyond its shape: known datasets, nothing twice, a key that is named.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use connectors::ConnectorConfig;
use connectors::rapid7::KeyConfig;
use pipeline::{Dataset, Error, ReadMode, Result, Timestamp};
use sinks::SinkConfig;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::catalogue::catalogue;
use crate::error::Source;
use crate::run_file::{DatasetEntry, RunFile};
use crate::since::Since;
use crate::suggest;

/// Where the user's id belongs in the path that lists a user's organizations.
const USER: &str = "{user_id}";

/// Checks a parsed run file against the rules that no type can state.
pub(crate) fn check(file: &RunFile, source: &Source, now: Timestamp) -> Result<()> {
    let rules = Rules { file, spans: Spans::of(source.text()), source, now };
    rules.connector()?;
    rules.sink()?;
    rules.datasets()?;
    rules.pulls()?;
    rules.tenants()
}

struct Rules<'a> {
    file: &'a RunFile,
    source: &'a Source,
    spans: Spans<'a>,
    now: Timestamp,
}

impl Rules<'_> {
    fn at(&self, path: &[&str], message: &str) -> Error {
        self.source.error_at(self.spans.find(path), message)
    }

    fn connector(&self) -> Result<()> {
        self.key()?;
        self.endpoint()?;
        self.list_by_user()?;
        self.budget()
    }

    fn endpoint(&self) -> Result<()> {
        let ConnectorConfig::Rapid7(config) = &self.file.connector;
        let Some(flaw) = config.endpoint_flaw() else { return Ok(()) };
        let place = ["connector", "rapid7", "endpoint"];
        Err(self.at(&place, &format!("`endpoint` cannot be used: {flaw}")).with_hint(
            "write `{region}` where the region's code belongs, such as \"https://{region}.api.example.com\" or \"http://127.0.0.1:9400/{region}\"",
        ))
    }

    /// The two become the path of a request, which must not lead elsewhere.
    fn list_by_user(&self) -> Result<()> {
        let ConnectorConfig::Rapid7(config) = &self.file.connector;
        let place = |name| ["connector", "rapid7", name];
        if let Some(user) = &config.list_by_user
            && !is_segment(user)
        {
            return Err(self
                .at(&place("list_by_user"), "`list_by_user` is no user's id")
                .with_hint("letters, digits and `-_.@+:` are expected, as the platform shows the id"));
        }
        let path = &config.user_list_path;
        if path.contains(USER) && path.strip_prefix('/').is_some_and(is_path) {
            return Ok(());
        }
        Err(self
            .at(&place("user_list_path"), "`user_list_path` is no path with `{user_id}` in it")
            .with_hint(format!(
                "write a path below the host, such as \"/account/api/1/users/{USER}/managed-organizations\""
            )))
    }

    fn budget(&self) -> Result<()> {
        let ConnectorConfig::Rapid7(config) = &self.file.connector;
        let mut known: Vec<&str> =
            catalogue(&self.file.connector).iter().map(|dataset| dataset.family).collect();
        known.sort_unstable();
        known.dedup();
        let Some(unknown) = config.budget.keys().find(|family| !known.contains(&family.as_str())) else {
            return Ok(());
        };
        Err(self
            .at(
                &["connector", "rapid7", "budget", unknown],
                &format!("unknown part of the platform `{unknown}`"),
            )
            .with_hint(suggest::hint(unknown, &known, "parts of the platform")))
    }

    fn key(&self) -> Result<()> {
        let ConnectorConfig::Rapid7(config) = &self.file.connector;
        let place = ["connector", "rapid7", "key"];
        let nothing = match &config.key {
            KeyConfig::Env(name) => {
                (!is_variable(name)).then_some("`env` does not have the name of a variable")
            }
            KeyConfig::File(path) => path.as_os_str().is_empty().then_some("`file` names no file"),
            KeyConfig::Command(words) => words
                .first()
                .is_none_or(|word| word.trim().is_empty())
                .then_some("`command` names no program"),
        };
        match nothing {
            Some(message) => Err(self
                .at(&place, message)
                .with_hint("say where the key is found: `key = { env = \"TENANTRY_KEY\" }`")),
            None => Ok(()),
        }
    }

    fn sink(&self) -> Result<()> {
        let SinkConfig::Parquet(_) = &self.file.sink;
        let Err(error) = self.file.sink.check() else { return Ok(()) };
        let told = self.at(&["sink", "parquet", "url"], &error.chain());
        Err(match error.hint() {
            Some(hint) => told.with_hint(hint),
            None => told,
        })
    }

    fn datasets(&self) -> Result<()> {
        if self.file.dataset.is_empty() {
            return Err(self
                .source
                .error("it names no dataset")
                .with_hint("add `[[dataset]]` with a `name`; `tenantry datasets` lists them"));
        }
        let known = catalogue(&self.file.connector);
        let mut seen = BTreeMap::new();
        for (index, entry) in self.file.dataset.iter().enumerate() {
            let index = index.to_string();
            let place = |key| ["dataset", &index, key];
            let Some(dataset) = known.iter().find(|dataset| dataset.name == entry.name) else {
                let names: Vec<&str> = known.iter().map(|dataset| dataset.name).collect();
                return Err(self
                    .at(&place("name"), &format!("unknown dataset `{}`", entry.name))
                    .with_hint(suggest::hint(&entry.name, &names, "datasets")));
            };
            if seen.insert(&entry.name, ()).is_some() {
                return Err(self.at(&place("name"), &format!("dataset `{}` is named twice", entry.name)));
            }
            if let Some(since) = entry.since {
                self.since(since, dataset.mode, &place("since"))?;
            }
            for (key, is_set, fits, why) in has_effect(entry, dataset) {
                if is_set && !fits {
                    let message = format!("`{key}` has no effect here: {why}");
                    return Err(self.at(&place(key), &message).with_hint("delete the line"));
                }
            }
        }
        Ok(())
    }

    fn since(&self, since: Since, mode: ReadMode, place: &[&str]) -> Result<()> {
        if mode == ReadMode::Snapshot {
            let message = "`since` has no effect here: this dataset is read as a whole";
            return Err(self.at(place, message).with_hint("delete the line"));
        }
        since.before(self.now).map(drop).map_err(|message| self.at(place, &message))
    }

    /// Datasets that one reading fills are read alike.
    fn pulls(&self) -> Result<()> {
        let known = catalogue(&self.file.connector);
        let mut begins = BTreeMap::new();
        for (index, entry) in self.file.dataset.iter().enumerate() {
            let Some(dataset) = known.iter().find(|dataset| dataset.name == entry.name) else { continue };
            let first = begins.entry(dataset.pull).or_insert(entry);
            let unnamed = |entry: &DatasetEntry| DatasetEntry { name: String::new(), ..entry.clone() };
            if unnamed(first) != unnamed(entry) {
                let message = format!(
                    "`{}` is read together with `{}`, so both must have the same settings",
                    entry.name, first.name
                );
                return Err(self.at(&["dataset", &index.to_string()], &message));
            }
        }
        Ok(())
    }

    fn tenants(&self) -> Result<()> {
        let mut ids = BTreeSet::new();
        for (index, tenant) in self.file.tenant.iter().enumerate() {
            // The platform's ids differ in more than the case of their letters.
            if !ids.insert(tenant.id.as_str().to_ascii_lowercase()) {
                let message = format!("tenant `{}` is written down twice", tenant.id);
                return Err(self.at(&["tenant", &index.to_string(), "id"], &message));
            }
        }
        let rules = &self.file.tenants;
        for (key, patterns) in [("include", &rules.include), ("exclude", &rules.exclude)] {
            for (index, pattern) in patterns.iter().enumerate() {
                if patterns[..index].iter().any(|earlier| earlier.as_str() == pattern.as_str()) {
                    let message = format!("`{pattern}` stands here twice");
                    return Err(self.at(&["tenants", key, &index.to_string()], &message));
                }
            }
        }
        Ok(())
    }
}

/// Returns each setting about reading over time: whether it is there, whether it has an effect, else why not.
fn has_effect(entry: &DatasetEntry, dataset: &Dataset) -> [(&'static str, bool, bool, &'static str); 4] {
    let by_time = dataset.mode == ReadMode::Window;
    let deltas = dataset.by_change && entry.full_every.is_some();
    [
        ("overlap", entry.overlap.is_some(), by_time || deltas, "every snapshot of this dataset is full"),
        ("every", entry.every.is_some(), !by_time, "this dataset is read by time, in every run"),
        ("full_every", entry.full_every.is_some(), dataset.by_change, "its changes cannot be read alone"),
        ("only_changes", entry.only_changes, !by_time, "what did not change is never written again"),
    ]
}

/// Returns whether a text is one segment of a path, spelled as it stands.
fn is_segment(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@+:".contains(&byte);
    !text.is_empty() && text != "." && text != ".." && text.bytes().all(fits)
}

/// Returns whether a text is a path without its first slash; the user's id stands in for its placeholder.
fn is_path(text: &str) -> bool {
    text.replace(USER, "id").split('/').all(is_segment)
}

/// Returns whether a text can be a variable's name; a key, which has dashes, is none and so is never printed as one.
fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Where each value of a run file stands in its text.
struct Spans<'a>(Option<Spanned<DeTable<'a>>>);

impl<'a> Spans<'a> {
    fn of(text: &'a str) -> Self {
        Self(DeTable::parse(text).ok())
    }

    /// Returns the place of the value at a path of keys and indices, or of the nearest value around it.
    fn find(&self, path: &[&str]) -> Option<Range<usize>> {
        let (first, rest) = path.split_first()?;
        let mut value = self.0.as_ref()?.get_ref().get(*first)?;
        for step in rest {
            let Some(inner) = inner(value.get_ref(), step) else { break };
            value = inner;
        }
        Some(value.span())
    }
}

fn inner<'v, 'a>(value: &'v DeValue<'a>, step: &str) -> Option<&'v Spanned<DeValue<'a>>> {
    match value {
        DeValue::Table(table) => table.get(step),
        DeValue::Array(array) => array.get(step.parse::<usize>().ok()?),
        _ => None,
    }
}
