//! Writes the receipts: of a reading, of an error, of work that was not needed.

use super::RunContext;
use super::work::Worked;
use crate::batch::Counts;
use crate::{
    DataFile, Dataset, Error, ErrorKind, Job, Partition, Receipt, Region, Result, Tally, Tenant, Timestamp,
    Verdict,
};

/// Returns the receipts of a reading that may be committed, one for each dataset.
///
/// # Errors
/// Where the count of what was read is not that of what was kept, set aside and dropped: then a record was
/// lost or doubled on the way, and nothing may be committed.
pub(super) fn of_reading(
    partition: &Partition,
    tally: &Tally,
    files: &[DataFile],
    started_at: Timestamp,
    context: &RunContext,
) -> Result<Vec<Receipt>> {
    let rejects_written: u64 = rows(files, crate::dataset::REJECTS);
    let rejects_counted: u64 = tally.datasets.values().map(|counts| counts.rejects).sum();
    agree("_rejects", rejects_counted, rejects_written)?;
    partition
        .datasets
        .iter()
        .map(|dataset| of_dataset(dataset, partition, tally, files, started_at, context))
        .collect()
}

fn of_dataset(
    dataset: &Dataset,
    partition: &Partition,
    tally: &Tally,
    files: &[DataFile],
    started_at: Timestamp,
    context: &RunContext,
) -> Result<Receipt> {
    let counts = tally.datasets.get(dataset.name).copied().unwrap_or_default();
    let rows_written = rows(files, dataset.name);
    agree(dataset.name, counts.read, rows_written + counts.left_out())?;
    let verdict = match (tally.drifted, counts.read) {
        (_, _) if counts.fits_nothing() => Verdict::Failed,
        (true, _) => Verdict::Drifted,
        (false, 0) => Verdict::Empty,
        (false, _) => Verdict::Complete,
    };
    // What the platform claims is the size of the listing that is read; a dataset that is filled from inside
    // another's records has no claim of its own.
    let listed = dataset.name == dataset.pull;
    let wrong = match verdict {
        Verdict::Failed => Some((
            format!("none of the {} records fits the dataset's columns", counts.do_not_fit()),
            "the platform answers otherwise than this version knows; the records are kept in `_rejects`, with the reason",
        )),
        Verdict::Drifted => Some((
            "the listing shifted while it was read, again and again".to_owned(),
            "what was read is committed and true; the next run adds what is missing",
        )),
        _ => None,
    };
    let (error, hint) = wrong.map(|(error, hint)| (error, hint.to_owned())).unzip();
    Ok(Receipt {
        verdict,
        committed: true,
        window: partition.window,
        claimed_first: tally.claimed_first.filter(|_| listed),
        claimed_last: tally.claimed_last.filter(|_| listed),
        pages: tally.pages,
        bytes: tally.bytes,
        requests: tally.requests,
        passes: tally.passes,
        // Told by the verdict; the record keeps no more.
        counts: Counts { changed: 0, ..counts },
        rows_written,
        started_at,
        error,
        hint,
        ..blank(dataset, &partition.tenant, &partition.region, context)
    })
}

/// Returns the receipts of a job that failed or was never begun, over what it committed before.
///
/// What was counted of the partition that is lost is told as well: it was asked for, and it cost something.
pub(super) fn of_error(job: &Job, worked: Worked, error: &Error, context: &RunContext) -> Vec<Receipt> {
    let Worked { began, receipts: committed, lost, .. } = worked;
    let nothing = committed.is_empty();
    let mut receipts = if nothing { of_job(job, context, |_| {}) } else { committed };
    for receipt in &mut receipts {
        receipt.finished_at = context.clock.now();
        receipt.pages += lost.pages;
        receipt.bytes += lost.bytes;
        receipt.requests += lost.requests;
        if nothing {
            receipt.started_at = began.unwrap_or(receipt.finished_at);
            let listed = receipt.dataset == job.pull();
            receipt.claimed_first = lost.claimed_first.or(lost.claimed_last).filter(|_| listed);
            receipt.claimed_last = lost.claimed_last.filter(|_| listed);
            receipt.counts = lost.datasets.get(&receipt.dataset).copied().unwrap_or_default();
        }
        receipt.verdict = Verdict::of(error);
        receipt.error = Some(error.chain());
        receipt.hint = error.hint().map(str::to_owned);
    }
    receipts
}

/// Adds the receipts of a later partition to those of the earlier ones of its job.
pub(super) fn merge(kept: &mut Vec<Receipt>, later: Vec<Receipt>) {
    if kept.is_empty() {
        *kept = later;
        return;
    }
    for (sum, later) in kept.iter_mut().zip(later) {
        sum.add(&later);
    }
}

/// Returns the receipts of a job that had nothing left to do.
pub(super) fn up_to_date(job: &Job, context: &RunContext) -> Vec<Receipt> {
    of_job(job, context, |receipt| receipt.verdict = Verdict::UpToDate)
}

fn of_job(job: &Job, context: &RunContext, fill: impl Fn(&mut Receipt)) -> Vec<Receipt> {
    let receipt = |dataset: &std::sync::Arc<Dataset>| {
        let mut receipt = blank(dataset, &job.tenant, &job.region, context);
        fill(&mut receipt);
        receipt
    };
    job.datasets.iter().map(receipt).collect()
}

fn blank(dataset: &Dataset, tenant: &Tenant, region: &Region, context: &RunContext) -> Receipt {
    Receipt {
        key_fingerprint: context.connector.key_fingerprint(),
        version: context.version.clone(),
        ..Receipt::of_nothing(tenant, region.clone(), dataset.name, context.clock.now())
    }
}

fn rows(files: &[DataFile], dataset: &str) -> u64 {
    files.iter().filter(|file| file.dataset == dataset).map(|file| file.rows).sum()
}

fn agree(dataset: &str, read: u64, accounted: u64) -> Result<()> {
    if read == accounted {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Bug,
        format!(
            "account for every record of {dataset}: {read} were read, {accounted} were kept, set aside or dropped"
        ),
    ))
}
