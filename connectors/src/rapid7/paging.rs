//! Where a listing ends, where its next page is found, and in what sizes it is asked for.

use serde::Deserialize;
use url::Url;

use crate::normalize::PageFacts;

/// Returns the page size in which the platform counts, where its first page shows that it is less than asked for.
///
/// A first page that is short without a word of how many records there are may be cut or may be all: who goes on
/// in its own size finds out, for one request more. So does who is told that there are more. Where the page names the
/// size that was asked for, and both how many records and how many pages there are, it is cut if it counts its pages in
/// its own size; else something may only hide a part of it.
fn granted(first: &PageFacts, asked: u64) -> Option<u64> {
    let rows = first.rows;
    // A claim that the page itself disproves is none.
    let pages = first.pages.filter(|pages| *pages > 0);
    let total = first.total.filter(|total| *total >= rows);
    let may_be_cut = (1..asked).contains(&rows)
        && first.last != Some(true)
        && pages.is_none_or(|pages| pages > 1)
        && total.is_none_or(|total| total > rows);
    let counts_so =
        |(pages, total): (u64, u64)| pages == total.div_ceil(rows) && pages != total.div_ceil(asked);
    let is_cut = || first.size.is_none_or(|size| size == rows) || pages.zip(total).is_none_or(counts_so);
    (may_be_cut && is_cut()).then_some(rows)
}

/// Returns whether a page says nothing of where its listing ends; a claim that it disproves itself is none.
pub(super) fn says_nothing(page: &PageFacts) -> bool {
    let is_disproved = |claim: u64, least: u64| page.rows > 0 && claim < least;
    page.total.is_none_or(|total| is_disproved(total, page.rows))
        && page.pages.is_none_or(|pages| is_disproved(pages, 1))
        && page.last.is_none()
}

/// Returns what a page says of others behind it, if anything.
fn says_more(page: &PageFacts, index: u64) -> Option<bool> {
    page.last.map(|last| !last).or_else(|| Some(page.pages? > index + 1))
}

/// What a page says of its listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    /// Whether the listing ends with it.
    pub(super) last: bool,
    /// Whether it says that there are others behind it, if anything.
    pub(super) says_more: Option<bool>,
    /// What it would mean if the page behind it were refused.
    pub(super) if_refused: Refused,
    /// The size that its listing is counted in, where that is less than was asked for.
    pub(super) granted: Option<u64>,
    /// How many records make it full.
    pub(super) full: u64,
    /// How many were asked for, where the page was asked for by its number.
    pub(super) asked: Option<u64>,
}

impl Word {
    /// Takes a page by its number, where pages of a size were asked for.
    pub(super) fn of(page: &PageFacts, index: u64, size: u64) -> Self {
        let granted = if index == 0 { granted(page, size) } else { None };
        Self {
            last: is_last(page, index, size),
            says_more: says_more(page, index),
            if_refused: if_refused(page, index, size),
            granted,
            full: granted.or(page.size).unwrap_or_default(),
            asked: Some(size),
        }
    }

    /// Takes a page of a listing by cursor, which says no more than whether there is a next one.
    pub(super) fn of_cursor(page: &PageFacts, last: bool) -> Self {
        let full = page.size.unwrap_or_default();
        Self { last, says_more: None, if_refused: Refused::Failure, granted: None, full, asked: None }
    }
}

/// What it means that the platform refuses the page behind another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The listing ended with the one before.
    End,
    /// Whether it did, nobody knows.
    Doubt,
    /// The page was promised: it fails.
    Failure,
}

/// Returns what it would mean if the page behind this one were refused: some platforms refuse what is beyond the end,
/// and some what is beyond the records that they are willing to count.
fn if_refused(page: &PageFacts, index: u64, size: u64) -> Refused {
    let through = index.saturating_mul(size).saturating_add(page.rows);
    let is_promised = says_more(page, index) == Some(true) || page.total.is_some_and(|total| total > through);
    match is_promised {
        true => Refused::Failure,
        false if says_nothing(page) && index == 0 && page.rows < size => Refused::End,
        false => Refused::Doubt,
    }
}

/// Returns whether a listing ends with this page.
fn is_last(page: &PageFacts, index: u64, size: u64) -> bool {
    /// Search engines count so far, and say that this is all.
    const COUNTED: u64 = 10_000;
    let before = index.saturating_mul(size);
    let has_more_pages = page.pages.is_some_and(|pages| pages > index + 1);
    if page.rows == 0 {
        // A page may be empty because nothing of it may be shown, while others follow.
        return says_more(page, index) != Some(true) || page.total.is_some_and(|total| total <= before);
    }
    if index == 0 && granted(page, size).is_some() || before.saturating_add(page.rows).is_multiple_of(COUNTED)
    {
        return false;
    }
    let is_more_than_claimed = page.pages.is_some_and(|pages| pages <= index)
        || page.total.is_some_and(|total| total < before.saturating_add(page.rows));
    match (page.last, page.pages) {
        // A claim that the page itself disproves is none.
        (Some(true), _) if is_more_than_claimed => page.rows < size,
        (None, _) if is_more_than_claimed && !has_more_pages => page.rows < size,
        (Some(last), _) => last,
        // Where the two claims disagree, the next page tells.
        (None, Some(_)) => {
            !has_more_pages && page.total.is_none_or(|total| total <= before.saturating_add(size))
        }
        (None, None) => page.rows < size,
    }
}

/// Returns the page size of a walk over a listing: a record that fell between two pages of one walk stands inside a page
/// of another. Sizes without a common factor have their first common border at their product; small ones are therefore
/// close together, and large ones far apart, so that many records that a sort does not tell apart lie between borders.
pub(super) fn size_of_walk(size: u64, walk: usize) -> u64 {
    const SMALL: u64 = 20;
    let mut sizes = vec![size];
    for walk in 1..=walk as u64 {
        let less = if size < SMALL { walk } else { walk * size / 5 + 1 };
        let most = size.saturating_sub(less).max(1);
        let has_none_in_common = |size: &u64| sizes.iter().all(|other| gcd(*size, *other) == 1);
        let coprime = (2..=most).rev().find(has_none_in_common);
        let another = || (1..=most).rev().find(|size| !sizes.contains(size));
        sizes.push(coprime.or_else(another).unwrap_or(1));
    }
    sizes[walk]
}

/// Returns the greatest common divisor.
pub(super) fn gcd(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { gcd(other, one % other) }
}

/// Returns the cursor in a page's link to the next one; the link itself is never followed.
pub(super) fn next_cursor(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Page {
        links: Vec<Link>,
    }
    #[derive(Deserialize)]
    struct Link {
        rel: Option<String>,
        href: Option<String>,
    }
    let page: Page = serde_json::from_slice(body).ok()?;
    let next = page.links.into_iter().find(|link| link.rel.as_deref() == Some("next"))?;
    let base = Url::parse("https://nowhere.invalid").expect("it is one");
    let link = base.join(&next.href?).ok()?;
    let cursor = link.query_pairs().find(|(name, _)| name == "cursor")?.1.into_owned();
    (!cursor.is_empty()).then_some(cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(rows: u64) -> PageFacts {
        PageFacts { rows, ..PageFacts::default() }
    }

    fn check(page: &PageFacts, index: u64, size: u64, cut_to: Option<u64>, last: bool) {
        assert_eq!((granted(page, size), is_last(page, index, size)), (cut_to, last), "{page:?}");
    }

    #[test]
    fn a_listing_ends_where_its_page_says_so_or_with_an_empty_or_short_one() {
        check(&page(0), 0, 100, None, true);
        check(&page(100), 0, 100, None, false);
        assert!(is_last(&page(99), 1, 100));
        check(&PageFacts { last: Some(true), ..page(100) }, 0, 100, None, true);
        assert!(!is_last(&PageFacts { last: Some(false), ..page(20) }, 1, 100));
        let pages = |rows, pages, total| PageFacts { pages: Some(pages), total: Some(total), ..page(rows) };
        check(&pages(100, 1, 100), 0, 100, None, true);
        check(&pages(100, 3, 250), 0, 100, None, false);
        assert!(is_last(&pages(50, 3, 250), 2, 100));
        check(&pages(100, 1, 250), 0, 100, None, false);
        // A full page shows that there is more than was claimed.
        check(&pages(100, 0, 0), 0, 100, None, false);
        assert!(!is_last(&pages(100, 2, 250), 2, 100) && !is_last(&pages(100, 3, 250), 2, 100));
        check(&pages(99, 0, 0), 0, 100, Some(99), false);
        assert!(is_last(&pages(99, 0, 0), 1, 100));
        // A page that is cut, and more of them to come.
        assert!(!is_last(&pages(50, 3, 120), 1, 100));
    }

    #[test]
    fn completeness_an_empty_page_is_the_last_only_where_it_says_nothing_of_more() {
        let empty = |last, pages, total| PageFacts { last, pages, total, ..page(0) };
        for (page, last) in [
            (empty(Some(false), None, None), false),
            (empty(Some(false), None, Some(250)), false),
            (empty(Some(false), None, Some(100)), true),
            (empty(Some(true), Some(3), Some(250)), true),
            (empty(None, Some(3), None), false),
            (empty(None, Some(2), None), true),
            (empty(None, Some(3), Some(100)), true),
            (empty(None, None, Some(250)), true),
        ] {
            assert_eq!(is_last(&page, 1, 100), last, "{page:?}");
        }
    }

    #[test]
    fn a_short_first_page_is_the_end_only_where_the_claim_is_met() {
        check(&page(20), 0, 100, Some(20), false);
        check(&PageFacts { size: Some(100), ..page(20) }, 0, 100, Some(20), false);
        let cut = PageFacts { size: Some(20), ..page(20) };
        check(&cut, 0, 100, Some(20), false);
        check(&PageFacts { total: Some(60), ..cut.clone() }, 0, 100, Some(20), false);
        let named = PageFacts { size: Some(100), total: Some(60), ..cut.clone() };
        check(&named, 0, 100, Some(20), false);
        check(&PageFacts { total: None, pages: Some(3), ..named.clone() }, 0, 100, Some(20), false);
        check(&PageFacts { pages: Some(3), ..named.clone() }, 0, 100, Some(20), false);
        // Something hides the others.
        check(&PageFacts { pages: Some(2), total: Some(120), ..named.clone() }, 0, 100, None, false);
        check(&PageFacts { pages: Some(3), total: Some(201), rows: 67, ..named }, 0, 100, None, false);
        check(&PageFacts { total: Some(20), ..cut.clone() }, 0, 100, None, true);
        check(&PageFacts { pages: Some(3), ..cut.clone() }, 0, 100, Some(20), false);
        check(&PageFacts { pages: Some(1), ..cut.clone() }, 0, 100, None, true);
        check(&PageFacts { last: Some(true), ..cut }, 0, 100, None, true);
    }

    #[test]
    fn completeness_where_search_engines_stop_counting_the_next_page_tells() {
        let facts = |rows, total| PageFacts { total: Some(total), ..page(rows) };
        check(&facts(10_000, 10_000), 0, 10_000, None, false);
        for (rows, total, index, size, last) in [
            (100, 10_000, 99, 100, false),
            (412, 10_000, 12, 799, false),
            (0, 10_000, 100, 100, true),
            (100, 10_000, 100, 100, false),
            (99, 10_000, 100, 100, true),
            (99, 9_999, 99, 100, true),
        ] {
            assert_eq!(is_last(&facts(rows, total), index, size), last, "{rows} of {total}");
        }
        let last = |rows| PageFacts { last: Some(true), total: Some(10_000), ..page(rows) };
        assert!(
            !is_last(&last(100), 99, 100) && !is_last(&last(100), 100, 100) && is_last(&last(99), 100, 100)
        );
        assert!(!is_last(&PageFacts { pages: Some(100), ..page(100) }, 99, 100));
    }

    #[test]
    fn a_page_that_is_refused_was_promised_or_is_beyond_the_end_or_nobody_knows() {
        let pages = |pages| PageFacts { pages: Some(pages), ..page(100) };
        let total = |total| PageFacts { total: Some(total), ..page(100) };
        for (page, index, expected) in [
            (page(20), 0, Refused::End),
            (page(100), 0, Refused::Doubt),
            (page(20), 1, Refused::Doubt),
            (pages(2), 0, Refused::Failure),
            (pages(2), 1, Refused::Doubt),
            (total(201), 1, Refused::Failure),
            (total(200), 1, Refused::Doubt),
            (PageFacts { last: Some(false), ..page(100) }, 1, Refused::Failure),
        ] {
            assert_eq!(if_refused(&page, index, 100), expected, "{page:?}");
        }
    }

    #[test]
    fn each_walk_has_its_borders_elsewhere() {
        for (size, expected) in [
            (1000, [1000, 799, 599, 399]),
            (100, [100, 79, 59, 39]),
            (20, [20, 13, 11, 7]),
            (10, [10, 9, 7, 6]),
            (5, [5, 4, 3, 2]),
            (2, [2, 1, 1, 1]),
            (1, [1, 1, 1, 1]),
        ] {
            assert_eq!([0, 1, 2, 3].map(|walk| size_of_walk(size, walk)), expected);
        }
    }

    #[test]
    fn a_cursor_may_stand_in_the_link_to_the_next_page_alone() {
        let next = |href: &str| {
            format!(
                r#"{{"data":[],"links":[{{"rel":"self","href":"https://x/?cursor=no"}},{{"rel":"next","href":"{href}"}}]}}"#
            )
        };
        for (body, expected) in [
            (next("https://us.example:443/assets?size=1&cursor=-7%3A%3Aa-1"), Some("-7::a-1")),
            (next("/assets?cursor=x"), Some("x")),
            (next("/assets?cursor="), None),
            (next("/assets?page=1&size=100"), None),
            (r#"{"data":[]}"#.to_owned(), None),
            (r#"{"data":[],"links":null}"#.to_owned(), None),
            ("[]".to_owned(), None),
        ] {
            assert_eq!(next_cursor(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }
}
