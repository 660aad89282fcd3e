//! Whether a listing that changes while it is read was read whole.
//!
//! A listing is walked from its first page to its last. Where the totals on its pages changed, or do not
//! agree with what the pages held, it is walked again, in pages of another size, and only records not seen before
//! are added. It is whole where as many different records were shown as it claims, or where it is the same list from
//! end to end wherever the pages began; a listing without a claim, where a walk came to its end and no record stood on
//! two pages.

use super::paging::{Word, gcd, says_nothing};
use crate::normalize::{Order, PageFacts};

/// How often a listing is walked before it is called drifted.
pub(super) const MOST_WALKS: usize = 4;

/// After so many pages in a row without a new record, the listing may be going in circles.
const STALE_PAGES: u64 = 8;

/// After empty pages for so many records in a row, each of which says that there are more, nobody knows where it ends.
/// Records that lie side by side and may not be shown are fewer.
const MOST_HIDDEN: u64 = 10_000;

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
    /// Records in its pages that no earlier page of it had.
    distinct: u64,
    /// Pages and records in a row, up to the last one, that no record was new in.
    stale: (u64, u64),
    /// Pages in a row, up to the last one, that no record was in, and the records that were asked for with them.
    empty: (u64, u64),
    /// Whether a page said how many there are.
    claims_pages: bool,
    /// Whether the last page that said anything of it said that there are more.
    says_more: bool,
    /// Records of its largest page.
    largest: u64,
    /// Whether its last page held fewer records than make it full, or than the largest.
    is_short: bool,
    /// Whether one before it did.
    has_hole: bool,
    /// Records of its first page.
    first_page: Option<u64>,
    /// Whether that held fewer records than were asked for.
    is_first_short: bool,
    /// The greatest number that each of its page borders is a multiple of; 0 where it has none.
    borders: u64,
    /// The order of its records.
    order: Order,
    /// Pages behind its first one that are that one once more, without any word of how many there are. They count for
    /// nothing else: the platform has no pages, or numbers them from 1 and takes 0 for the first as well.
    repeats: u64,
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
    /// Counts a page.
    pub(super) fn page(&mut self, facts: &PageFacts, word: &Word) {
        let is_only_first = self.first_page == Some(self.rows);
        if says_nothing(facts) && facts.rows > 0 && is_only_first && facts.order == self.order {
            self.repeats += 1;
            // The first repetition is no record of its own: other walks have none of it.
            if self.repeats > 1 {
                self.stale = (self.stale.0 + 1, self.stale.1 + facts.rows);
            }
            return;
        }
        if self.first_page.is_some() && facts.rows > 0 {
            self.borders = gcd(self.borders, self.rows);
        }
        if self.first_page.is_none() {
            self.first_page = Some(facts.rows);
            self.is_first_short = word.asked.is_some_and(|asked| facts.rows < asked);
        }
        self.claims_pages |= facts.pages.is_some();
        self.says_more = word.says_more.unwrap_or(self.says_more);
        self.order.append(facts.order);
        let PageFacts { rows, fresh, distinct, total, .. } = *facts;
        if let (Some(before), Some(now)) = (self.last, total) {
            self.changed |= now != before;
            self.shrank |= now < before;
        }
        self.first = self.first.or(total);
        self.last = total.or(self.last);
        self.largest = self.largest.max(rows);
        // One that is short is the last if nothing follows.
        self.has_hole |= self.is_short && rows > 0;
        let full = self.largest.max(word.full);
        // Pages become smaller on the way.
        self.is_short = rows < word.asked.map_or(full, |asked| asked.min(full));
        self.rows += rows;
        self.fresh += fresh;
        self.distinct += distinct;
        self.stale = if fresh > 0 { (0, 0) } else { (self.stale.0 + 1, self.stale.1 + rows) };
        let asked = word.asked.unwrap_or_default();
        self.empty = if rows > 0 { (0, 0) } else { (self.empty.0 + 1, self.empty.1 + asked) };
    }

    /// Returns whether its first page held less than was asked for and the next two the same once more, without a
    /// word about pages: such a platform gives the whole list whatever page is asked for, and so in another walk.
    pub(super) fn has_no_pages(&self, earlier: &[Self]) -> bool {
        let repeats_all = self.repeats > 1 && self.first_page == Some(self.rows);
        repeats_all && (self.is_first_short || earlier.iter().any(|walk| walk.has_no_pages(&[])))
    }

    /// Returns whether it shows nothing at all, or nothing but what was shown before and more of that in a row than any
    /// earlier walk. A list may repeat records by itself, so what counts is how many those walks showed, and not how
    /// many they knew.
    pub(super) fn goes_in_circles(&self, earlier: &[Self]) -> bool {
        let shown = earlier.iter().map(|walk| walk.rows).max().unwrap_or(0);
        let (pages, rows) = self.stale;
        self.is_empty_for_long() || (pages >= STALE_PAGES && rows > shown)
    }

    fn is_empty_for_long(&self) -> bool {
        let claims_nothing = self.last.is_none() && !self.claims_pages;
        let (pages, records) = self.empty;
        pages >= STALE_PAGES && (records >= MOST_HIDDEN || !(self.says_more && claims_nothing))
    }

    /// Says that it goes no further: something may be missing, unless empty pages came and nothing more is claimed.
    pub(super) fn give_up(&mut self) {
        self.broke = !self.is_empty_for_long() || self.last.is_some() || self.claims_pages;
        self.says_more = false;
    }

    /// Says that it ended before its last page.
    pub(super) fn break_off(&mut self) {
        self.broke = true;
    }

    /// Returns whether it came to its end, and as many records were on its pages as they claim, different or not.
    pub(super) fn shows_its_claim(&self) -> bool {
        !self.broke && self.last.map_or(!self.lacks_some(), |total| self.rows >= total)
    }

    /// Returns whether something is missing by what its pages say, other than a total.
    fn lacks_some(&self) -> bool {
        // The number of pages is a claim too: all but the last are full.
        self.says_more || self.claims_pages && self.has_hole
    }

    /// Returns whether other walks showed the same records in the same order, wherever their pages began: surely no
    /// border is one of all of them, for a record could hide behind it. Where pages are so small or so uneven that this
    /// cannot be said, as many walks as there may be have to agree.
    fn shows_one_list<'a>(&self, others: impl Iterator<Item = &'a Self>) -> bool {
        let is_same = |other: &&Self| self.rows == other.rows && self.order == other.order;
        let same: Vec<&Self> = others.filter(is_same).collect();
        let common = same.iter().fold(self.borders, |common, other| lcm(common, other.borders));
        let have_none_in_common = common == 0 || common >= self.rows;
        let are_all = same.len() + 1 == MOST_WALKS;
        let are_apart = same.iter().any(|other| other.first_page != self.first_page);
        !same.is_empty() && (have_none_in_common || are_all && are_apart)
    }

    /// Returns whether it came to the end of a listing that claims no total: as far as was said, and without a record
    /// that moved from one page to another, for another one may have moved the other way.
    fn is_whole_without_a_total(&self, earlier: &[Self]) -> bool {
        let repeats_none = self.distinct == self.rows;
        !(self.broke || self.lacks_some()) && (repeats_none || self.shows_one_list(earlier.iter()))
    }

    fn is_steady(&self, total: u64) -> bool {
        !self.broke && !self.changed && self.last == Some(total)
    }
}

/// Returns what borders are multiples of that are multiples of both; 0 where one of them has none.
fn lcm(one: u64, other: u64) -> u64 {
    if one == 0 || other == 0 { 0 } else { (one / gcd(one, other)).saturating_mul(other) }
}

/// Judges a listing by the walks over it.
///
/// Where it may grow, a listing that only grew is whole as of its beginning: the next snapshot has the rest. A
/// window of time may not: what came into it meanwhile would never be asked for again.
pub(super) fn judge(walks: &[Walk], may_grow: bool) -> Judgement {
    let Some((walk, earlier)) = walks.split_last() else { return Judgement::Again };
    let before = |total| earlier.last().is_some_and(|before| before.is_steady(total));
    let whole = match walk.last {
        None => walk.is_whole_without_a_total(earlier),
        Some(total) if !walk.is_steady(total) => false,
        // Fewer different records than claimed, but the same list from end to end, wherever its pages began: it
        // repeats some by itself.
        Some(total) if shown(walks, total) < total => {
            let whole = earlier.iter().filter(|earlier| earlier.is_steady(total));
            walk.rows == total && walk.shows_one_list(whole)
        }
        // Every record the listing claims was on a page, and that many different ones were shown; unless another walk
        // showed more of them than it claims, and this one does not: what those were, nobody knows.
        Some(total) if walk.rows == total => {
            !earlier.iter().any(|earlier| earlier.is_steady(total) && earlier.distinct > total)
        }
        // It holds more than it claims, and a second walk shows the same.
        Some(total) => before(total) && walk.fresh == 0 && walk.rows > total,
    };
    if whole {
        return Judgement::Whole;
    }
    if walks.len() < MOST_WALKS {
        return Judgement::Again;
    }
    // Records are only skipped where others before them went away, or where their order is another each time: then
    // a walk does not show all that was shown before.
    let only_grew = walks.iter().all(|walk| !walk.broke && !walk.shrank)
        && walks.windows(2).all(|pair| pair[1].first >= pair[0].last)
        && walk.first.is_some_and(|total| walk.distinct >= total)
        && walk.distinct - walk.fresh >= shown_by(earlier);
    if may_grow && only_grew && walk.changed { Judgement::Whole } else { Judgement::Drifted }
}

/// Returns how many different records the listing showed since it has this total; those of before may be gone.
fn shown(walks: &[Walk], total: u64) -> u64 {
    let is_another = |walk: &Walk| !walk.is_steady(total);
    walks.rsplit(is_another).next().map_or(0, shown_by)
}

fn shown_by(walks: &[Walk]) -> u64 {
    let first = walks.first().map_or(0, |walk| walk.distinct);
    first + walks.iter().skip(1).map(|walk| walk.fresh).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// What a page claims of the whole listing, and its records: a letter each.
    type Page = (u64, &'static str);

    /// Takes walks over one listing.
    fn walks(walks: &[&[Page]]) -> Vec<Walk> {
        let mut known = HashSet::new();
        let mut walk = |pages: &&[Page]| {
            let (mut walk, mut met) = (Walk::default(), HashSet::new());
            for (total, records) in *pages {
                let mut facts = PageFacts { total: Some(*total), ..PageFacts::default() };
                for record in records.chars() {
                    facts.rows += 1;
                    facts.fresh += u64::from(known.insert(record));
                    facts.distinct += u64::from(met.insert(record));
                    facts.order.add(record.to_string().as_bytes());
                }
                walk.page(&facts, &word(&facts, None));
            }
            walk
        };
        walks.iter().map(&mut walk).collect()
    }

    fn word(facts: &PageFacts, says_more: Option<bool>) -> Word {
        Word { says_more, ..Word::of(facts, 1, 0) }
    }

    fn check(pages: &[&[Page]], expected: Judgement) {
        assert_eq!(judge(&walks(pages), true), expected, "{pages:?}");
    }

    #[test]
    fn a_steady_listing_is_whole_after_one_walk() {
        check(&[&[(5, "abc"), (5, "de")]], Judgement::Whole);
        check(&[&[(0, "")]], Judgement::Whole);
    }

    #[test]
    fn completeness_a_listing_that_shifted_is_walked_again() {
        // A record was inserted before the second page: one came twice.
        let grew: &[Page] = &[(5, "abc"), (6, "cde")];
        check(&[grew], Judgement::Again);
        check(&[grew, &[(6, "xab"), (6, "cde")]], Judgement::Whole);
        // One was removed: one was skipped.
        let shrank: &[Page] = &[(6, "abc"), (5, "ef")];
        check(&[shrank], Judgement::Again);
        check(&[shrank, &[(5, "bcd"), (5, "ef")]], Judgement::Whole);
        // One was removed and another inserted: the totals agree, the records do not.
        check(&[&[(6, "abc"), (6, "cef")]], Judgement::Again);
        // The claim is larger than what the pages hold.
        check(&[&[(9, "abc")]], Judgement::Again);
    }

    #[test]
    fn completeness_what_is_gone_stands_for_nothing_that_was_not_shown() {
        let gone: &[Page] = &[(6, "xab"), (5, "de")];
        // The second walk repeats one and skips another: with the one that is gone, five are known.
        let skips: &[Page] = &[(5, "abd"), (5, "de")];
        check(&[gone, skips], Judgement::Again);
        check(&[gone, skips, &[(5, "ab"), (5, "cd"), (5, "d")]], Judgement::Whole);
        check(&[gone, skips, skips, skips], Judgement::Drifted);
    }

    #[test]
    fn completeness_a_listing_that_repeats_records_is_whole_only_where_it_is_the_same_list_between_other_borders()
     {
        let (list, other): ([&[Page]; 3], &[Page]) =
            ([&[(4, "ab"), (4, "ca")], &[(4, "abc"), (4, "a")], &[(4, "abca")]], &[(4, "acb"), (4, "a")]);
        check(&[list[0]], Judgement::Again);
        check(&[list[0], list[1]], Judgement::Whole);
        // The same borders may have the same record between them again.
        check(&[list[0], list[0]], Judgement::Again);
        check(&[list[0], other], Judgement::Again);
        check(&[list[0], other, list[1]], Judgement::Whole);
        check(&[list[0], other, list[0], other], Judgement::Drifted);
        // A walk that brings the missing one.
        check(&[list[0], &[(4, "adb"), (4, "c")]], Judgement::Whole);
        check(&[list[0], &[(4, "adb"), (4, "a")]], Judgement::Whole);
        // One page has no borders.
        check(&[list[2], list[2]], Judgement::Whole);
    }

    #[test]
    fn a_listing_that_holds_more_than_it_claims_is_whole_when_a_second_walk_shows_the_same() {
        check(&[&[(4, "abcdefghi")]], Judgement::Again);
        check(&[&[(4, "abcdefghi")], &[(4, "abcdefghi")]], Judgement::Whole);
        check(&[&[(4, "abcdefghi")], &[(4, "abcdefghj")]], Judgement::Again);
    }

    #[test]
    fn completeness_records_beyond_the_claim_that_are_not_shown_again_are_not_called_the_listing_s() {
        let (more, listing): (&[Page], &[Page]) = (&[(4, "abcdxy")], &[(4, "abcd")]);
        check(&[more, listing], Judgement::Again);
        check(&[more, listing, listing, listing], Judgement::Drifted);
        // One took the place of another between the walks.
        check(&[&[(4, "abc")], &[(4, "abdx")]], Judgement::Whole);
    }

    #[test]
    fn what_a_window_before_showed_is_shown() {
        let mut walk = Walk::default();
        let facts = PageFacts { rows: 3, fresh: 1, distinct: 3, total: Some(3), ..PageFacts::default() };
        walk.page(&facts, &word(&facts, None));
        assert_eq!(judge(&[walk], false), Judgement::Whole);
    }

    #[test]
    fn a_walk_that_shows_the_same_again_and_again_goes_in_circles() {
        let mut number = 0_u64;
        let mut page = |walk: &mut Walk, rows, fresh| {
            let mut facts = PageFacts { rows, fresh, ..PageFacts::default() };
            number += 1;
            facts.order.add(&number.to_le_bytes());
            walk.page(&facts, &word(&facts, None));
        };
        let mut walk = Walk::default();
        page(&mut walk, 100, 100);
        let pages = (1..).find(|_| {
            page(&mut walk, 100, 0);
            walk.goes_in_circles(&[])
        });
        assert_eq!(pages, Some(STALE_PAGES));
        // A second walk shows what the first one did, the records that the list repeats among it.
        let mut first = Walk::default();
        page(&mut first, 800, 300);
        assert!(!walk.goes_in_circles(&[first]));
        page(&mut first, 99, 0);
        page(&mut walk, 100, 0);
        assert!(walk.goes_in_circles(&[first]));
        page(&mut walk, 100, 1);
        assert!(!walk.goes_in_circles(&[]));
        let mut says_more = walk;
        let facts = PageFacts::default();
        let word_of_more = Word { asked: Some(5), ..word(&facts, Some(true)) };
        (1..MOST_HIDDEN / 5).for_each(|_| says_more.page(&facts, &word_of_more));
        assert!(!says_more.goes_in_circles(&[first]), "so many may be hidden");
        says_more.page(&facts, &word_of_more);
        assert!(says_more.goes_in_circles(&[first]));
        (1..STALE_PAGES).for_each(|_| page(&mut walk, 0, 0));
        assert!(!walk.goes_in_circles(&[first]));
        page(&mut walk, 0, 0);
        assert!(walk.goes_in_circles(&[first]), "empty pages lead nowhere");
    }

    #[test]
    fn what_does_not_settle_is_drifted_unless_it_only_grew() {
        let short: &[Page] = &[(9, "abc")];
        check(&[short, short, short, short], Judgement::Drifted);
        let grew: [&[Page]; 4] = [
            &[(5, "abc"), (6, "cde")],
            &[(6, "xab"), (7, "bcde")],
            &[(7, "yxa"), (8, "abcde")],
            &[(8, "zyx"), (9, "xabcde")],
        ];
        check(&grew, Judgement::Whole);
        assert_eq!(judge(&walks(&grew), false), Judgement::Drifted, "a window of time");
        // In another order each time: the last walk shows two new ones, and not `d`.
        check(&[grew[0], grew[1], grew[2], &[(8, "zyx"), (9, "abcew")]], Judgement::Drifted);
        // What is new stands for nothing that was never shown, which is `c`.
        check(
            &[
                &[(5, "abd"), (6, "dex")],
                &[(6, "xab"), (7, "bdey")],
                &[(7, "yxa"), (8, "abdey")],
                &[(8, "zyx"), (9, "abdey")],
            ],
            Judgement::Drifted,
        );
        let shrank: &[Page] = &[(9, "abcde"), (8, "fgh")];
        check(&[shrank, shrank, shrank, shrank], Judgement::Drifted);
    }

    #[test]
    fn a_listing_without_totals_is_whole_where_its_last_page_was_reached() {
        let page = PageFacts { rows: 3, fresh: 3, distinct: 3, ..PageFacts::default() };
        let (nothing, mut walk) = (PageFacts::default(), Walk::default());
        walk.page(&page, &word(&page, None));
        assert_eq!(judge(&[walk], false), Judgement::Whole);
        let mut broke = walk;
        broke.break_off();
        assert_eq!(judge(&[broke], false), Judgement::Again);
        // What said that there are more has to say that there are no more.
        let mut other = page.clone();
        other.order.add(b"another");
        walk.page(&other, &word(&other, Some(true)));
        walk.page(&nothing, &word(&nothing, None));
        assert_eq!(judge(&[walk], false), Judgement::Again);
        walk.page(&nothing, &word(&nothing, Some(false)));
        assert_eq!(judge(&[walk], false), Judgement::Whole);
    }
}
