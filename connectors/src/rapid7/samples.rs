//! Tells a platform that answers whoever is asked for with the same records.
//!
//! Records of vulnerability management need not name their owner, and a key of one organization may be answered with that
//! one's, whatever the header says. So a few keys are kept of each such listing, the same ones in whatever order they came,
//! and no two tenants may have all of them in common.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use arrow::array::{Array, AsArray};
use pipeline::TenantId;
use twox_hash::XxHash3_64;
use uuid::Uuid;

/// So many keys are kept of a listing: those with the smallest digests.
const MOST: usize = 16;
/// One record may have moved from a tenant to another.
const FEWEST: usize = 2;

/// A few keys of one listing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Sample(BTreeSet<u64>);

impl Sample {
    /// Takes keys in. Only those count that are nobody else's: another tenant may number its records just so.
    pub(super) fn add(&mut self, keys: &dyn Array) {
        for key in keys.as_string::<i32>().iter().flatten().filter(|key| Uuid::try_parse(key).is_ok()) {
            self.0.insert(XxHash3_64::oneshot(key.as_bytes()));
            if self.0.len() > MOST {
                self.0.pop_last();
            }
        }
    }
}

/// The samples of all listings that were read.
#[derive(Debug, Default)]
pub(super) struct Samples(Mutex<HashMap<(&'static str, Sample), TenantId>>);

impl Samples {
    /// Keeps the sample of a tenant's listing; returns another tenant who has the very same.
    pub(super) fn keep(&self, listing: &'static str, sample: Sample, tenant: &TenantId) -> Option<TenantId> {
        if sample.0.len() < FEWEST {
            return None;
        }
        let mut samples = self.0.lock().expect("no holder panics");
        let first = samples.entry((listing, sample)).or_insert_with(|| tenant.clone());
        (first != tenant).then(|| first.clone())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::*;

    fn sample(keys: impl IntoIterator<Item = String>) -> Sample {
        let mut sample = Sample::default();
        sample.add(&StringArray::from_iter_values(keys));
        sample
    }

    fn ids(numbers: impl Iterator<Item = u128>) -> impl Iterator<Item = String> {
        numbers.map(|number| Uuid::from_u128(number).to_string())
    }

    fn check(one: &Sample, other: Sample, is_told: bool) {
        let (samples, [acme, globex]) =
            (Samples::default(), ["acme", "globex"].map(|id| id.parse::<TenantId>().expect("an id")));
        assert_eq!(samples.keep("vm_scans", one.clone(), &acme), None);
        assert_eq!(samples.keep("vm_scans", one.clone(), &acme), None, "it is its own");
        assert_eq!(samples.keep("vm_assets", other.clone(), &globex), None, "of another listing");
        assert_eq!(samples.keep("vm_scans", other, &globex), is_told.then_some(acme));
    }

    #[test]
    fn isolation_two_tenants_with_the_same_records_are_told() {
        check(&sample(ids(0..800)), sample(ids((0..800).rev())), true);
        check(&sample(ids(0..2)), sample(ids(0..2)), true);
        check(&sample(ids(0..800)), sample(ids(800..1600)), false);
        check(&sample(ids(0..3)), sample(ids(0..2)), false);
    }

    #[test]
    fn a_single_record_and_numbers_tell_nothing() {
        check(&sample(ids(0..1)), sample(ids(0..1)), false);
        let numbers = || (0..100).map(|number| number.to_string());
        check(&sample(numbers()), sample(numbers()), false);
        check(&sample([]), sample([]), false);
    }
}
