//! The folders of commit records: which sequences a tenant's pull has, each in a file of its own or in a segment.

use std::path::Path;

use pipeline::{Error, Result, TenantId};

use super::layout::{Layout, parse_record_name, parse_segment_name, record_path};
use super::store::{damaged, failed, names_in};

/// A run of sequences whose records lie in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Span {
    pub(super) fn holds(&self, sequence: u64) -> bool {
        (self.first..=self.last).contains(&sequence)
    }
}

/// What a pull's folder holds, by the names in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// Sequences that have a file of their own, in order.
    pub(super) single: Vec<u64>,
    /// Segments, in order.
    pub(super) segments: Vec<Span>,
    /// Names of anything else.
    pub(super) strange: Vec<String>,
}

impl Names {
    /// Lists a folder; empty where there is none.
    pub(super) fn list(folder: &Path) -> Result<Self> {
        let mut names = Self::default();
        for name in names_in(folder).map_err(|error| failed("list the commits", folder, error))? {
            if let Some(sequence) = parse_record_name(&name) {
                names.single.push(sequence);
            } else if let Some(span) = parse_segment_name(&name) {
                names.segments.push(span);
            } else {
                names.strange.push(name);
            }
        }
        names.single.sort_unstable();
        names.segments.sort_unstable();
        names.strange.sort_unstable();
        Ok(names)
    }

    /// Returns the highest sequence.
    pub(super) fn newest(&self) -> Option<u64> {
        let in_segments = self.segments.iter().map(|span| span.last).max();
        self.single.last().copied().max(in_segments)
    }

    /// Returns the first sequence below the highest one that is nowhere.
    fn gap(&self) -> Option<u64> {
        let mut spans: Vec<Span> = self.segments.clone();
        spans.extend(self.single.iter().map(|sequence| Span { first: *sequence, last: *sequence }));
        spans.sort_unstable();
        let mut next = 1;
        for span in spans {
            if span.first > next {
                return Some(next);
            }
            next = next.max(span.last.saturating_add(1));
        }
        None
    }
}

/// Returns the highest sequence of a tenant's pull.
///
/// # Errors
/// Where one below it is missing: what it named would pass for never read.
pub(super) fn newest(layout: &Layout, tenant: &TenantId, pull: &str) -> Result<Option<u64>> {
    let folder = layout.commits(tenant, pull)?;
    let mut names = Names::list(&folder)?;
    if names.gap().is_some() {
        // Another run rolls records into a segment, which is there before they are gone.
        names = Names::list(&folder)?;
    }
    match names.gap() {
        Some(sequence) => Err(missing(layout, tenant, pull, sequence)),
        None => Ok(names.newest()),
    }
}

/// Returns the error for a record that is not there, and has to be.
pub(super) fn missing(layout: &Layout, tenant: &TenantId, pull: &str, sequence: u64) -> Error {
    let path = layout.file(&record_path(tenant, pull, sequence));
    damaged("look at what was committed", path, "a commit record is missing").with_hint(
        "`tenantry verify` lists everything that is wrong; put the file back from a copy, or where there is none, begin another lake and keep this one: what is lost cannot be told from what was never there",
    )
}

/// The folder of one tenant's pull.
pub(super) struct Pull {
    pub(super) tenant: TenantId,
    pub(super) pull: String,
    pub(super) names: Names,
}

/// Lists every tenant's pull, in the order of their names; what is none of ours is left out.
pub(super) fn all(layout: &Layout) -> Result<Vec<Pull>> {
    let list = |folder: &Path| {
        let mut names = names_in(folder).map_err(|error| failed("list the commits", folder, error))?;
        names.sort_unstable();
        Ok(names)
    };
    let commits = layout.all_commits();
    let mut pulls = Vec::new();
    for tenant in list(&commits)? {
        let Ok(id) = tenant.parse::<TenantId>() else { continue };
        for pull in list(&commits.join(&tenant))? {
            let Ok(folder) = layout.commits(&id, &pull) else { continue };
            pulls.push(Pull { tenant: id.clone(), pull, names: Names::list(&folder)? });
        }
    }
    Ok(pulls)
}
