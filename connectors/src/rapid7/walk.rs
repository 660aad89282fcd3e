//! Whether a listing that changes while it is read was read whole.
//!
//! A listing is walked from its first page to its last. Where the totals on its pages changed, or do not
//! agree with what the pages held, it is walked again, in pages of another size, and only records not seen before
//! are added. It is whole where as many different records are known as it claims, or where it is the same list from
//! end to end wherever the pages began; a listing without a claim, where a walk came to its end.

use crate::normalize::{Order, PageFacts};

/// How often a listing is walked before it is called drifted.
pub(super) const MOST_WALKS: usize = 4;

/// After so many pages in a row without a new record, the listing may be going in circles.
const STALE_PAGES: u64 = 8;

/// What one walk over a listing showed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Walk {
    /// The total that its first page claimed.
    pub(super) first: Option<u64>,
    /// The total that its last page claimed.
    pub(super) last: Option<u64>,
    /// Whether a page claimed another total than the one before it.
    changed: bool,
    /// Whether a page claimed a smaller total than the one before it.
    shrank: bool,
    /// Records in its pages.
    rows: u64,
    /// Records in its pages that no earlier page had.
    fresh: u64,
    /// Records of its first page that a listing before this one had: two windows of time may share their border.
    shared: u64,
    /// Pages and records in a row, up to the last one, that no record was new in.
    stale: (u64, u64),
    /// Pages in a row, up to the last one, that no record was in.
    empty: u64,
    /// Whether a page said how many there are.
    claims_pages: bool,
    /// Records of its last page, and of its largest.
    page_rows: (u64, u64),
    /// Whether a page before the last held fewer records than the largest.
    has_hole: bool,
    /// Records of its first page, which tell where its pages had their borders.
    first_page: Option<u64>,
    /// The order of its records.
    order: Order,
    /// Whether its second page is its first one once more, without any word of how many there are.
    same_again: bool,
    /// Whether it had to be given up before its last page.
    broke: bool,
}

/// What to do after a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Everything the listing holds is known.
    Whole,
    /// Something may have been missed.
    Again,
    /// Something may have been missed, and walking again did not help.
    Drifted,
}

impl Walk {
    /// Begins the first walk over a window of time that another one of the same reading ends at.
    pub(super) fn after_another(first: &PageFacts) -> Self {
        Self { shared: first.rows - first.fresh, ..Self::default() }
    }

    /// Counts a page.
    pub(super) fn page(&mut self, facts: &PageFacts) {
        let says_nothing = facts.total.is_none() && facts.pages.is_none() && facts.last.is_none();
        let is_second = self.first_page.is_some() && self.rows == self.first_page.unwrap_or(0);
        self.same_again = says_nothing && is_second && facts.order == self.order;
        self.first_page.get_or_insert(facts.rows);
        self.claims_pages |= facts.pages.is_some();
        self.order.append(facts.order);
        self.count(facts.total, facts.rows, facts.fresh);
    }

    fn count(&mut self, claimed: Option<u64>, rows: u64, fresh: u64) {
        if let (Some(before), Some(now)) = (self.last, claimed) {
            self.changed |= now != before;
            self.shrank |= now < before;
        }
        self.first = self.first.or(claimed);
        self.last = claimed.or(self.last);
        let (before, largest) = self.page_rows;
        self.has_hole |= before < largest;
        self.page_rows = (rows, largest.max(rows));
        self.rows += rows;
        self.fresh += fresh;
        self.stale = if fresh > 0 { (0, 0) } else { (self.stale.0 + 1, self.stale.1 + rows) };
        self.empty = if rows > 0 { 0 } else { self.empty + 1 };
    }

    /// Returns whether its first page held less than was asked for and its second one the same once more, without a
    /// word about pages: such a platform gives the whole list whatever page is asked for.
    pub(super) fn has_no_pages(&self, asked: u64) -> bool {
        self.same_again && self.first_page.is_some_and(|rows| rows < asked)
    }

    /// Returns whether it shows nothing at all, or nothing but what was shown before and more of that in a row than any
    /// earlier walk. A list may repeat records by itself, so what counts is how many those walks showed, and not how
    /// many they knew.
    pub(super) fn goes_in_circles(&self, earlier: &[Self]) -> bool {
        let shown = earlier.iter().map(|walk| walk.rows).max().unwrap_or(0);
        let (pages, rows) = self.stale;
        self.empty >= STALE_PAGES || (pages >= STALE_PAGES && rows > shown)
    }

    /// Says that it goes no further: something may be missing, unless empty pages came and nothing more is claimed.
    pub(super) fn give_up(&mut self) {
        self.broke = self.empty < STALE_PAGES || self.last.is_some() || self.claims_pages;
    }

    /// Says that it ended before its last page.
    pub(super) fn break_off(&mut self) {
        self.broke = true;
    }

    /// Returns whether as many records were on its pages as they claim, different or not.
    pub(super) fn shows_its_claim(&self) -> bool {
        !self.broke && self.last.is_some_and(|total| self.rows >= total)
    }

    /// Returns whether it showed all that is claimed in the same order as another walk, with other page borders.
    fn is_the_list_of(&self, other: &Self, total: u64) -> bool {
        let whole = |walk: &Self| walk.is_steady(total) && walk.rows == total;
        let has_no_borders = self.first_page == Some(total);
        whole(self)
            && whole(other)
            && self.order == other.order
            && (has_no_borders || self.first_page != other.first_page)
    }

    fn is_steady(&self, total: u64) -> bool {
        !self.broke && !self.changed && self.last == Some(total)
    }
}

/// Judges a listing by the walks over it.
///
/// Where it may grow, a listing that only grew is whole as of its beginning: the next snapshot has the rest. A
/// window of time may not: what came into it meanwhile would never be asked for again.
pub(super) fn judge(walks: &[Walk], may_grow: bool) -> Judgement {
    let Some((walk, earlier)) = walks.split_last() else { return Judgement::Again };
    let known = known(walks);
    let before = |total| earlier.last().is_some_and(|before| before.is_steady(total));
    let whole = match walk.last {
        // The number of pages is a claim too: all but the last are full.
        None => !(walk.broke || walk.claims_pages && walk.has_hole),
        Some(total) if !walk.is_steady(total) => false,
        // Fewer different records than claimed, but the same list from end to end, wherever its pages began: it
        // repeats some by itself.
        Some(total) if known < total => earlier.iter().any(|earlier| walk.is_the_list_of(earlier, total)),
        // Every record the listing claims was on a page, and that many different ones are known. Where it holds
        // more than it claims, a second walk shows the same.
        Some(total) => walk.rows == total || (before(total) && walk.fresh == 0 && walk.rows > total),
    };
    if whole {
        return Judgement::Whole;
    }
    if walks.len() < MOST_WALKS {
        return Judgement::Again;
    }
    // Records are only skipped where others before them went away.
    let only_grew = walks.iter().all(|walk| !walk.broke && !walk.shrank)
        && walks.windows(2).all(|pair| pair[1].first >= pair[0].last)
        && walks[0].first.is_some_and(|total| known >= total);
    if may_grow && only_grew && walk.changed { Judgement::Whole } else { Judgement::Drifted }
}

/// Returns how many different records of the listing are known.
fn known(walks: &[Walk]) -> u64 {
    walks.iter().map(|walk| walk.fresh + walk.shared).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Page = (u64, u64, u64);

    fn walk(pages: &[Page]) -> Walk {
        let mut walk = Walk::default();
        for (claimed, rows, fresh) in pages {
            walk.count(Some(*claimed), *rows, *fresh);
        }
        walk
    }

    fn check(walks: &[&[Page]], expected: Judgement) {
        let walks: Vec<Walk> = walks.iter().map(|pages| walk(pages)).collect();
        assert_eq!(judge(&walks, true), expected, "{walks:?}");
    }

    #[test]
    fn a_steady_listing_is_whole_after_one_walk() {
        check(&[&[(5, 3, 3), (5, 2, 2)]], Judgement::Whole);
        check(&[&[(0, 0, 0)]], Judgement::Whole);
    }

    #[test]
    fn completeness_a_listing_that_shifted_is_walked_again() {
        // A record was inserted before the second page: one came twice.
        check(&[&[(5, 3, 3), (6, 3, 2)]], Judgement::Again);
        check(&[&[(5, 3, 3), (6, 3, 2)], &[(6, 3, 1), (6, 3, 0)]], Judgement::Whole);
        // One was removed: one was skipped.
        check(&[&[(6, 3, 3), (5, 2, 2)]], Judgement::Again);
        check(&[&[(6, 3, 3), (5, 2, 2)], &[(5, 3, 1), (5, 2, 0)]], Judgement::Whole);
        // One was removed and another inserted: the totals agree, the records do not.
        check(&[&[(6, 3, 3), (6, 3, 2)]], Judgement::Again);
        // The claim is larger than what the pages hold.
        check(&[&[(9, 3, 3)]], Judgement::Again);
    }

    /// Walks over a listing that claims four records, in pages of a size.
    fn walk_of(records: [&str; 4], size: usize, fresh: u64) -> Walk {
        let mut walk = Walk::default();
        for (number, records) in records.chunks(size).enumerate() {
            let mut facts = PageFacts { rows: records.len() as u64, total: Some(4), ..PageFacts::default() };
            facts.fresh = if number == 0 { fresh } else { 0 };
            records.iter().for_each(|record| facts.order.add(record.as_bytes()));
            walk.page(&facts);
        }
        walk
    }

    #[test]
    fn completeness_a_listing_that_repeats_records_is_whole_only_where_it_is_the_same_list_between_other_borders()
     {
        let check = |walks: &[Walk], expected| assert_eq!(judge(walks, false), expected, "{walks:?}");
        let (list, other) = (["a", "b", "c", "a"], ["a", "c", "b", "a"]);
        let first = walk_of(list, 2, 3);
        check(&[first], Judgement::Again);
        check(&[first, walk_of(list, 3, 0)], Judgement::Whole);
        // The same borders may have the same record between them again.
        check(&[first, walk_of(list, 2, 0)], Judgement::Again);
        check(&[first, walk_of(other, 3, 0)], Judgement::Again);
        check(&[first, walk_of(other, 3, 0), walk_of(list, 1, 0)], Judgement::Whole);
        check(&[first, walk_of(other, 3, 0), walk_of(list, 2, 0), walk_of(other, 3, 0)], Judgement::Drifted);
        // A walk that brings the missing one.
        check(&[first, walk_of(["a", "d", "b", "c"], 3, 1)], Judgement::Whole);
        // One page has no borders.
        check(&[walk_of(list, 4, 3), walk_of(list, 4, 0)], Judgement::Whole);
    }

    #[test]
    fn a_listing_that_holds_more_than_it_claims_is_whole_when_a_second_walk_shows_the_same() {
        check(&[&[(4, 9, 9)]], Judgement::Again);
        check(&[&[(4, 9, 9)], &[(4, 9, 0)]], Judgement::Whole);
        check(&[&[(4, 9, 9)], &[(4, 9, 1)]], Judgement::Again);
    }

    #[test]
    fn what_two_windows_share_is_known() {
        let mut walk = Walk::after_another(&PageFacts { rows: 3, fresh: 1, ..PageFacts::default() });
        walk.count(Some(3), 3, 1);
        assert_eq!(judge(&[walk], false), Judgement::Whole);
    }

    #[test]
    fn a_walk_that_shows_the_same_again_and_again_goes_in_circles() {
        let mut walk = Walk::default();
        walk.count(None, 100, 100);
        let pages = (1..).find(|_| {
            walk.count(None, 100, 0);
            walk.goes_in_circles(&[])
        });
        assert_eq!(pages, Some(STALE_PAGES));
        // A second walk shows what the first one did, the records that the list repeats among it.
        let mut first = Walk::default();
        first.count(None, 800, 300);
        assert!(!walk.goes_in_circles(&[first]));
        first.count(None, 99, 0);
        walk.count(None, 100, 0);
        assert!(walk.goes_in_circles(&[first]));
        walk.count(None, 100, 1);
        assert!(!walk.goes_in_circles(&[]));
        (1..STALE_PAGES).for_each(|_| walk.count(None, 0, 0));
        assert!(!walk.goes_in_circles(&[first]));
        walk.count(None, 0, 0);
        assert!(walk.goes_in_circles(&[first]), "empty pages lead nowhere");
    }

    #[test]
    fn what_does_not_settle_is_drifted_unless_it_only_grew() {
        let short: &[Page] = &[(9, 3, 3)];
        check(&[short, &[(9, 3, 0)], &[(9, 3, 0)], &[(9, 3, 0)]], Judgement::Drifted);
        let grew = |from: u64| [(from, 3, 3), (from + 1, 3, from - 3)];
        check(&[&grew(5), &grew(6), &grew(7), &grew(8)], Judgement::Whole);
        let walks = [grew(5), grew(6), grew(7), grew(8)].map(|pages| walk(&pages));
        assert_eq!(judge(&walks, false), Judgement::Drifted, "a window of time");
        let shrank: &[Page] = &[(9, 5, 5), (8, 3, 3)];
        check(&[shrank, shrank, shrank, shrank], Judgement::Drifted);
    }

    #[test]
    fn a_listing_without_totals_is_whole_where_its_last_page_was_reached() {
        let mut walk = Walk::default();
        walk.count(None, 3, 3);
        assert_eq!(judge(&[walk], false), Judgement::Whole);
        walk.break_off();
        assert_eq!(judge(&[walk], false), Judgement::Again);
    }
}
