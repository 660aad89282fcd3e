//! Checks the folder of our own for files that no version of the program writes there.

use std::path::Path;

use pipeline::Result;

use super::super::layout::{self, Layout};
use super::super::store::{failed, names_in};
use super::{Finding, FindingKind};

/// Finds what is strange beside the records; the folders of records and of runs look after themselves.
pub(super) fn check(layout: &Layout, findings: &mut Vec<Finding>) -> Result<()> {
    let own = layout.own();
    let known = [
        layout.prepare_lock(),
        layout.registry(),
        layout.last_run(),
        layout.head(),
        layout.all_commits(),
        layout.runs(),
        layout.all_pending(),
        layout.all_temporary(),
    ];
    let mut strange = |path: &Path| {
        let sentence = "this is no file of the program's";
        findings.push(Finding::new(FindingKind::UnknownFile, layout.below(path), sentence));
    };
    for path in names(&own)?.into_iter().map(|name| own.join(name)) {
        if !known.contains(&path) {
            strange(&path);
        }
    }
    for folder in [layout.all_pending(), layout.all_temporary()] {
        for name in names(&folder)? {
            let path = folder.join(&name);
            if layout::run_id(&name).is_err() || path.is_file() {
                strange(&path);
            }
        }
    }
    let lock = layout.prepare_lock();
    if fs_err::metadata(&lock).is_ok_and(|lock| lock.len() > 0) {
        strange(&lock);
    }
    Ok(())
}

fn names(folder: &Path) -> Result<Vec<String>> {
    names_in(folder).map_err(|error| failed("list the lake's own folder", folder, error))
}
