//! What did not end well when it was last asked for: a later run that asks for less does not settle it.

use std::collections::BTreeMap;

use pipeline::{Receipt, TenantId, Verdict};

use super::super::registry::Registry;

/// Takes what a run came to over into the last receipts whose verdict is not good.
pub(super) fn take_over(unsettled: &mut Vec<Receipt>, run: Vec<Receipt>) {
    let key = |receipt: &Receipt| (receipt.organization_id.clone(), receipt.dataset.clone());
    let mut open: BTreeMap<(TenantId, String), Receipt> =
        unsettled.drain(..).map(|receipt| (key(&receipt), receipt)).collect();
    for receipt in run {
        if receipt.verdict.is_good() {
            // Who was not asked did not send what fits.
            let fits_nothing = |it: &Receipt| it.verdict == Verdict::Failed && it.committed;
            if receipt.verdict != Verdict::UpToDate || !open.get(&key(&receipt)).is_some_and(fits_nothing) {
                open.remove(&key(&receipt));
            }
        } else {
            open.insert(key(&receipt), receipt);
        }
    }
    unsettled.extend(open.into_values());
}

/// Leaves out tenants that left: they are nobody's concern any more.
pub(super) fn forget_who_left(unsettled: &mut Vec<Receipt>, registry: &Registry) {
    let has_left = |receipt: &Receipt| {
        registry.tenants.iter().any(|known| known.id == receipt.organization_id && !known.listed)
    };
    unsettled.retain(|receipt| !has_left(receipt));
}

#[cfg(test)]
mod tests {
    use pipeline::testing::{dataset, job, receipt};
    use pipeline::{Job, Partition, Timestamp};

    use super::*;

    #[test]
    fn verdict_what_fits_nothing_is_settled_by_a_reading_and_not_by_a_run_that_asked_for_none() {
        let at = Timestamp::UNIX_EPOCH;
        let Job { tenant, region, datasets, .. } = job("a", &dataset("users", "idr"));
        let partition = Partition { tenant, region, datasets, window: None, date: at.date_naive() };
        let ended = |verdict| Receipt { verdict, ..receipt(&partition, "users", 5, at) };
        for (before, then, is_settled) in [
            (Verdict::Failed, Verdict::UpToDate, false),
            (Verdict::Failed, Verdict::Complete, true),
            (Verdict::Unavailable, Verdict::UpToDate, true),
        ] {
            let mut unsettled = vec![ended(before)];
            take_over(&mut unsettled, vec![ended(then)]);
            assert_eq!(unsettled.is_empty(), is_settled, "{before}, then {then}");
        }
    }
}
