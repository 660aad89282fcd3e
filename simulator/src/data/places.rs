//! Ids that sort like the rows they name and can be turned back into their place, which is what cursors need.

use super::collection::RowId;
use super::json::{put_int, put_uuid};
use super::rng::mix;
use super::world::Row;

/// The bits of a UUID before the version digit, where the place is kept.
const PLACE_BITS: u32 = 48;

/// Appends a UUID that sorts by the row's place.
pub(crate) fn put_ordered_uuid(row: &Row, out: &mut Vec<u8>) {
    let stride = stride(row.tenant.counts[row.dataset as usize]);
    let place = u64::from(row.id.at) * stride + stride / 2 - u64::from(row.id.nth);
    put_uuid(out, (place << 16) | (row.hash & 0xfff), mix(row.hash));
}

/// Returns the place that a UUID made here names, whatever follows it.
pub(crate) fn from_ordered_uuid(id: &str, count: u32) -> Option<RowId> {
    let place =
        u64::from_str_radix(id.get(..8)?, 16).ok()? << 16 | u64::from_str_radix(id.get(9..13)?, 16).ok()?;
    let stride = stride(count);
    let at = u32::try_from(place / stride).ok()?;
    let nth = (stride / 2).checked_sub(place % stride)?;
    Some(RowId { at, nth: u32::try_from(nth).ok()? })
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
}
