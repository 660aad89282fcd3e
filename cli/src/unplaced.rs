//! Tenants that nothing may be asked of, without a region or a usable id: the summary says so.

use pipeline::{Clock, Connector, Receipt, Region, Tenant};

use crate::jobs::Work;

/// What stands in a receipt where the region is not known; no platform has a region of this name.
const UNKNOWN: &str = "unknown";

/// What stands in a receipt in place of a dataset where the list of tenants itself is meant.
const LIST: &str = "tenants";

/// Returns whether a receipt is that of a tenant without a region.
pub(crate) fn is(receipt: &Receipt) -> bool {
    receipt.region.as_str() == UNKNOWN
}

/// Returns the receipts of the tenants that nothing was asked of, one for each dataset.
pub(crate) fn receipts(work: &Work, key_fingerprint: &str, clock: &dyn Clock) -> Vec<Receipt> {
    let names = || work.pulls.iter().flat_map(|pull| &pull.datasets).map(|dataset| dataset.name);
    work.unplaced
        .iter()
        .flat_map(|tenant| names().map(|dataset| receipt(tenant, dataset, key_fingerprint, clock)))
        .collect()
}

/// Returns a receipt for each thing that the list of tenants held and that is no tenant: under the account, whose
/// list it is.
pub(crate) fn of_list(connector: &dyn Connector, clock: &dyn Clock) -> Vec<Receipt> {
    let account = connector.account();
    let about = |what: String| Receipt {
        region: account.region.clone().unwrap_or_else(region),
        error: Some(what),
        hint: Some(
            "ask the vendor's support about it, or write the organizations down as [[tenant]]".to_owned(),
        ),
        ..receipt(&account, LIST, &connector.key_fingerprint(), clock)
    };
    connector.remarks().into_iter().map(about).collect()
}

fn receipt(tenant: &Tenant, dataset: &str, key_fingerprint: &str, clock: &dyn Clock) -> Receipt {
    Receipt {
        key_fingerprint: key_fingerprint.to_owned(),
        version: crate::VERSION.to_owned(),
        error: Some("the platform lists no region, so nothing was asked".to_owned()),
        hint: Some(format!("add `{} = \"REGION\"` below [tenants.regions] in the run file", tenant.id)),
        ..Receipt::of_nothing(tenant, region(), dataset, clock.now())
    }
}

fn region() -> Region {
    UNKNOWN.parse().expect("seven letters are a region's code")
}
