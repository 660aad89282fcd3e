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
