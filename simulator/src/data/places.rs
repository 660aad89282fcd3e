//! Ids that sort like the rows they name and can be turned back into their place, which is what cursors need.

use super::collection::RowId;
use super::json::{put_int, put_uuid};
use super::life::GROWN;
use super::rng::mix;
use super::world::Row;

/// The bits of a UUID before the version digit, where the place is kept.
const PLACE_BITS: u32 = 48;
/// Where the places of rows begin that come into being later: the last quarter is theirs.
const GROWN_PLACES: u64 = (1 << PLACE_BITS) / 4 * 3;
/// Room for 2^26 of them, and for insertions before each.
const GROWN_STRIDE: u64 = (1 << PLACE_BITS) / 4 / (1 << 26);

/// Appends a UUID that sorts by the row's place.
pub(crate) fn put_ordered_uuid(row: &Row, out: &mut Vec<u8>) {
    let place = spread(row.id, row.tenant.counts[row.dataset as usize]);
    put_uuid(out, (place << 16) | (row.hash & 0xfff), mix(row.hash));
}

/// Returns the place that a UUID made here names, whatever follows it.
pub(crate) fn from_ordered_uuid(id: &str, count: u32) -> Option<RowId> {
    let place =
        u64::from_str_radix(id.get(..8)?, 16).ok()? << 16 | u64::from_str_radix(id.get(9..13)?, 16).ok()?;
    let (first, stride, place) = match place.checked_sub(GROWN_PLACES) {
        None => (0, stride(count), place),
        Some(place) => (GROWN, GROWN_STRIDE, place),
    };
    let at = first.checked_add(u32::try_from(place / stride).ok()?)?;
    let nth = (stride / 2).checked_sub(place % stride)?;
    Some(RowId { at, nth: u32::try_from(nth).ok()? })
}

/// Returns the place of a row among all that fit.
fn spread(id: RowId, count: u32) -> u64 {
    let (from, stride, number) = match id.at.checked_sub(GROWN) {
        None => (0, stride(count), id.at),
        Some(number) => (GROWN_PLACES, GROWN_STRIDE, number),
    };
    from + u64::from(number) * stride + stride / 2 - u64::from(id.nth)
}

/// Leaves room for as many rows again, and for insertions before each.
fn stride(count: u32) -> u64 {
    (1 << PLACE_BITS) / (u64::from(count) * 4 + 1024)
}

/// Appends a number that grows with the row's place.
pub(crate) fn put_ordered_number(row: &Row, out: &mut Vec<u8>) {
    put_int(out, number(row.id));
}

/// Returns the number of a place.
pub(crate) fn number(id: RowId) -> u64 {
    (u64::from(id.at) + 1) * 1000 - u64::from(id.nth)
}

/// Returns the place of a number.
pub(crate) fn from_number(number: u64) -> Option<RowId> {
    let up = number.div_ceil(1000);
    let at = u32::try_from(up.checked_sub(1)?).ok()?;
    Some(RowId { at, nth: u32::try_from(up * 1000 - number).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_name_their_place() {
        for id in [RowId { at: 0, nth: 0 }, RowId { at: 0, nth: 3 }, RowId { at: 77_000, nth: 12 }] {
            assert_eq!(from_number(number(id)), Some(id));
        }
        assert_eq!(from_number(0), None);
    }

    #[test]
    fn places_are_spread_in_order_and_found_again() {
        for count in [0, 7, 150, 60_000] {
            let ats = [0, 1, count + 2, count * 2 + 3, GROWN, GROWN + 1, GROWN + 9_000_000];
            let mut last = None;
            for id in ats.into_iter().flat_map(|at| [3, 1, 0].map(|nth| RowId { at, nth })) {
                let place = spread(id, count);
                assert!(last < Some(place), "{id:?} of {count}");
                last = Some(place);
                let mut text = Vec::new();
                put_uuid(&mut text, place << 16, 0);
                let text = String::from_utf8(text).expect("a UUID is ASCII");
                assert_eq!(from_ordered_uuid(&text, count), Some(id), "{text} of {count}");
            }
        }
    }
}
