//! Where everything lies below the root, and the only place that builds a path.
//!
//! A path is made of identifiers that were checked to be one segment each, so that two partitions never
//! share a folder and nothing is written outside the root.

use std::io;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use pipeline::dataset::REJECTS;
use pipeline::{Error, ErrorKind, Partition, Region, Result, TenantId};

use super::pulls::Span;
use super::store::names_in;

/// The folder that holds everything but data.
const OWN: &str = "_tenantry";
/// The folder in it that holds the commit records.
const COMMITS: &str = "commits";

/// Returns whether a folder holds something, and no lake of ours.
#[must_use]
pub fn is_foreign(folder: &Path) -> bool {
    let Ok(mut entries) = fs_err::read_dir(folder) else { return folder.exists() };
    entries.next().is_some() && !folder.join(OWN).is_dir()
}

/// Returns whether a folder is missing or empty, as one is that a disk was mounted on.
pub(super) fn is_vacant(folder: &Path) -> bool {
    match fs_err::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// The paths of a lake.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn own(&self) -> PathBuf {
        self.root.join(OWN)
    }

    /// Held while a run registers itself or clears after others: one at a time.
    pub(super) fn prepare_lock(&self) -> PathBuf {
        self.own().join("prepare.lock")
    }

    pub(super) fn all_pending(&self) -> PathBuf {
        self.own().join("pending")
    }

    pub(super) fn pending(&self, run_id: &str) -> PathBuf {
        self.all_pending().join(run_id)
    }

    pub(super) fn run_lock(&self, run_id: &str) -> PathBuf {
        self.pending(run_id).join("lock")
    }

    pub(super) fn intent(&self, run_id: &str, commit: &str) -> PathBuf {
        self.pending(run_id).join(format!("{commit}.json"))
    }

    pub(super) fn all_temporary(&self) -> PathBuf {
        self.own().join("tmp")
    }

    pub(super) fn temporary(&self, run_id: &str) -> PathBuf {
        self.all_temporary().join(run_id)
    }

    pub(super) fn all_commits(&self) -> PathBuf {
        self.own().join(COMMITS)
    }

    /// The folder of a pull's commit records.
    pub(super) fn commits(&self, tenant: &TenantId, pull: &str) -> Result<PathBuf> {
        Ok(self.all_commits().join(tenant.as_str()).join(name("pull", pull)?))
    }

    pub(super) fn record(&self, tenant: &TenantId, pull: &str, sequence: u64) -> Result<PathBuf> {
        Ok(self.commits(tenant, pull)?.join(record_name(sequence)))
    }

    /// The file that a run of a pull's oldest records was rolled into.
    pub(super) fn segment(&self, tenant: &TenantId, pull: &str, span: Span) -> Result<PathBuf> {
        Ok(self.commits(tenant, pull)?.join(segment_name(span)))
    }

    pub(super) fn registry(&self) -> PathBuf {
        self.own().join("tenants.json")
    }

    /// A copy of what the run recorded last came to.
    pub(super) fn last_run(&self) -> PathBuf {
        self.own().join("last-run.json")
    }

    pub(super) fn runs(&self) -> PathBuf {
        self.own().join("runs")
    }

    pub(super) fn run_record(&self, sequence: u64) -> PathBuf {
        self.runs().join(record_name(sequence))
    }

    /// Says how far the run records go.
    pub(super) fn head(&self) -> PathBuf {
        self.own().join("head.json")
    }

    /// Returns a path as it is below the root.
    pub(super) fn below(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// Returns the full path of a data file from its path below the root.
    pub(super) fn file(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }
}

/// Returns the path of a data file below the root, with `/` between segments.
pub(super) fn data_path(partition: &Partition, dataset: &str, commit: &str, number: u32) -> Result<String> {
    let folder = data_folder(dataset, &partition.region, &partition.tenant.id, partition.date)?;
    Ok(format!("{folder}/{}", data_name(commit, number)))
}

/// Returns the path of a commit record below the root, whether there is one or not.
pub(super) fn record_path(tenant: &TenantId, pull: &str, sequence: u64) -> String {
    format!("{OWN}/{COMMITS}/{tenant}/{pull}/{}", record_name(sequence))
}

/// Returns the folder that a tenant's records of a day and dataset lie in.
pub(super) fn data_folder(
    dataset: &str,
    region: &Region,
    tenant: &TenantId,
    date: NaiveDate,
) -> Result<String> {
    Ok(format!("{}/date={date}", tenant_folder(dataset, region, tenant)?))
}

/// Returns whether a folder is that of a dataset.
pub(super) fn holds_regions(folder: &Path) -> bool {
    names_in(folder).is_ok_and(|names| names.iter().any(|name| name.starts_with("region=")))
}

/// Returns the folder that all of a tenant's records of a dataset lie in.
pub(super) fn tenant_folder(dataset: &str, region: &Region, tenant: &TenantId) -> Result<String> {
    let dataset = if dataset == REJECTS { dataset } else { name("dataset", dataset)? };
    Ok(format!("{dataset}/region={region}/organization_id={tenant}"))
}

pub(super) fn data_name(commit: &str, number: u32) -> String {
    format!("{commit}-{number}.parquet")
}

/// Returns the name of the file in which records of a dataset wait for their row group.
pub(super) fn spill_name(commit: &str, dataset: &str) -> String {
    format!("{commit}-{dataset}.arrow")
}

/// Returns the commit and the number in a data file's name, if it has the form of one.
pub(super) fn parse_data_name(path: &str) -> Option<(&str, u32)> {
    let (commit, number) = path.rsplit('/').next()?.strip_suffix(".parquet")?.rsplit_once('-')?;
    Some((commit, number.parse().ok()?))
}

/// Returns whose file it is, by its path below the root.
pub(super) fn tenant_of(path: &str) -> Option<TenantId> {
    let own = format!("{OWN}/{COMMITS}/");
    let id = match path.strip_prefix(&own) {
        Some(rest) => rest.split('/').next(),
        None => path.split('/').find_map(|segment| segment.strip_prefix("organization_id=")),
    };
    id?.parse().ok()
}

/// Returns whether a path is one that this program gives a data file.
pub(super) fn is_data_path(path: &str) -> bool {
    let segments: Vec<&str> = path.split('/').collect();
    let [dataset, region, tenant, date, file] = segments.as_slice() else { return false };
    let parse = || {
        let region: Region = region.strip_prefix("region=")?.parse().ok()?;
        let tenant: TenantId = tenant.strip_prefix("organization_id=")?.parse().ok()?;
        let date: NaiveDate = date.strip_prefix("date=")?.parse().ok()?;
        let (commit, number) = parse_data_name(file)?;
        let is_ours =
            commit.len() == 32 && commit.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let folder = data_folder(dataset, &region, &tenant, date).ok()?;
        Some(is_ours && path == format!("{folder}/{}", data_name(commit, number)))
    };
    parse().unwrap_or_default()
}

pub(super) fn record_name(sequence: u64) -> String {
    format!("{sequence:010}.json")
}

/// Returns the sequence in a commit record's name, if it has the form of one.
pub(super) fn parse_record_name(file: &str) -> Option<u64> {
    let sequence = file.strip_suffix(".json")?.parse().ok()?;
    (record_name(sequence) == file).then_some(sequence)
}

pub(super) fn segment_name(span: Span) -> String {
    format!("{:010}-{:010}.jsonl", span.first, span.last)
}

/// Returns the sequences in a segment's name, if it has the form of one.
pub(super) fn parse_segment_name(file: &str) -> Option<Span> {
    let (first, last) = file.strip_suffix(".jsonl")?.split_once('-')?;
    let span = Span { first: first.parse().ok()?, last: last.parse().ok()? };
    (segment_name(span) == file && span.first <= span.last).then_some(span)
}

/// Returns a name of ours, which begins with a letter so that it never meets a folder with a meaning of its own.
fn name<'a>(what: &str, text: &'a str) -> Result<&'a str> {
    let fits = text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if fits {
        return Ok(text);
    }
    Err(Error::new(
        ErrorKind::Bug,
        format!("name a folder after the {what} {text:?}: it is not in snake_case"),
    ))
}

/// Returns a run's identifier, if it can be one segment of a path.
pub(super) fn run_id(text: &str) -> Result<&str> {
    let fits = (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if fits {
        return Ok(text);
    }
    Err(Error::new(
        ErrorKind::Bug,
        format!("name a folder after the run {text:?}: letters, digits, - and _ only"),
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Component;

    use proptest::prelude::*;

    use super::*;

    type Parts = (String, Region, TenantId, NaiveDate);

    fn parts() -> impl Strategy<Value = Parts> {
        let dataset = prop_oneof!["[a-z_./=]{1,4}", Just(REJECTS.to_owned()), Just("_tenantry".to_owned())];
        let region = "[a-z0-9-]{2,3}".prop_map(|text| text.parse().expect("a region"));
        let tenant = "[A-Za-z0-9_-]{1,3}".prop_map(|text| text.parse().expect("a tenant id"));
        let date = (-1000i32..20000).prop_map(|days| NaiveDate::from_epoch_days(days).expect("a day"));
        (dataset, region, tenant, date)
    }

    proptest! {
        #[test]
        fn no_two_partitions_share_a_folder_and_none_leaves_the_root(all in proptest::collection::vec(parts(), 1..40)) {
            let mut seen: HashMap<String, Parts> = HashMap::new();
            for parts in all {
                let (dataset, region, tenant, date) = &parts;
                let Ok(folder) = data_folder(dataset, region, tenant, *date) else { continue };
                let segments: Vec<Component<'_>> = Path::new(&folder).components().collect();
                prop_assert_eq!(segments.len(), 4);
                prop_assert!(segments.iter().all(|segment| matches!(segment, Component::Normal(_))));
                prop_assert_ne!(segments[0].as_os_str(), OWN);
                if let Some(other) = seen.insert(folder, parts.clone()) {
                    prop_assert_eq!(other, parts);
                }
            }
        }

        #[test]
        fn names_of_files_and_records_are_read_back(commit in "[0-9a-f]{32}", number: u32, sequence: u64) {
            let path = format!("a/b/{}", data_name(&commit, number));
            prop_assert_eq!(parse_data_name(&path), Some((commit.as_str(), number)));
            prop_assert_eq!(parse_record_name(&record_name(sequence)), Some(sequence));
        }
    }

    #[test]
    fn names_with_a_meaning_are_refused() {
        for text in ["_tenantry", "..", "", "a/b", "A", "region=eu", "1a"] {
            assert!(name("dataset", text).is_err(), "{text}");
        }
        for text in ["", "..", "a/b", "a b"] {
            assert!(run_id(text).is_err(), "{text}");
        }
        assert_eq!(parse_record_name("1.json"), None);
    }
}
