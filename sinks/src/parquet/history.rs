//! Reads what was committed: the newest record of a pull is its checkpoint.

use std::io;
use std::path::Path;

use pipeline::run::RunSummary;
use pipeline::{Checkpoint, Error, ErrorKind, Receipt, Result, TenantId};

use super::layout::{Layout, parse_record_name};
use super::record::{Flaw, Sealed};
use super::store::{failed, names_in};

/// Returns a commit record, if there is one.
pub(super) fn read(layout: &Layout, tenant: &TenantId, pull: &str, sequence: u64) -> Result<Option<Sealed>> {
    read_file(&layout.record(tenant, pull, sequence)?)
}

/// Returns how far a tenant's pull is durable.
pub(super) fn checkpoint(layout: &Layout, tenant: &TenantId, pull: &str) -> Result<Checkpoint> {
    let Some(sequence) = newest(&layout.commits(tenant, pull)?)? else { return Ok(Checkpoint::default()) };
    let sealed = read(layout, tenant, pull, sequence)?;
    Ok(sealed.map(|sealed| sealed.record.to).unwrap_or_default())
}

/// Returns the last committed receipt of every tenant and dataset; reads no more than the records that hold them.
pub(super) fn receipts(layout: &Layout) -> Result<Vec<Receipt>> {
    let mut receipts = Vec::new();
    for tenant in names(&layout.all_commits())? {
        let Ok(tenant) = tenant.parse::<TenantId>() else { continue };
        let pulls = names(&layout.all_commits().join(tenant.as_str()))?;
        for pull in pulls.into_iter().filter(|pull| layout.commits(&tenant, pull).is_ok()) {
            last_receipts(layout, &tenant, &pull, &mut receipts)?;
        }
    }
    Ok(receipts)
}

fn last_receipts(layout: &Layout, tenant: &TenantId, pull: &str, receipts: &mut Vec<Receipt>) -> Result<()> {
    let Some(sequence) = newest(&layout.commits(tenant, pull)?)? else { return Ok(()) };
    let Some(sealed) = read(layout, tenant, pull, sequence)? else { return Ok(()) };
    for (dataset, sequence) in &sealed.record.earlier {
        let earlier = read(layout, tenant, pull, *sequence)?;
        let of_dataset = |receipt: &Receipt| receipt.dataset == *dataset;
        receipts.extend(earlier.into_iter().flat_map(|sealed| sealed.record.receipts).filter(of_dataset));
    }
    receipts.extend(sealed.record.receipts);
    Ok(())
}

/// Returns what the run that was recorded last came to.
pub(super) fn last_run(layout: &Layout) -> Result<Option<RunSummary>> {
    let path = layout.last_run();
    let text = match fs_err::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| failed("read what the last run came to", &path, error))?,
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        Error::new(ErrorKind::Sink, "read what the last run came to")
            .with_source(error)
            .with_context("path", path.display().to_string())
            .with_hint("move the file away: the next run writes it anew")
    })
}

/// Returns the highest sequence among a folder's records.
fn newest(folder: &Path) -> Result<Option<u64>> {
    Ok(names(folder)?.iter().filter_map(|name| parse_record_name(name)).max())
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = names_in(folder).map_err(|error| failed("list the commits", folder, error))?;
    names.sort_unstable();
    Ok(names)
}

fn read_file(path: &Path) -> Result<Option<Sealed>> {
    let text = match fs_err::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| failed("read a commit record", path, error))?,
    };
    Sealed::parse(&text).map(Some).map_err(|flaw| {
        let why = match flaw {
            Flaw::Unreadable(why) => why,
            Flaw::Edited => "it was changed after it was written".to_owned(),
            Flaw::Version(version) => {
                format!("a newer version of the program wrote it (schema version {version})")
            }
        };
        Error::new(ErrorKind::Sink, format!("read a commit record: {why}"))
            .with_context("path", path.display().to_string())
            .with_hint("`tenantry verify` lists everything that is wrong; put the file back from a copy")
    })
}
