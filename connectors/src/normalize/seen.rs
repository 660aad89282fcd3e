//! The records that were read, so that none is kept twice.
//!
//! A record is known by the digest of its key. Beside it stands a digest of its text, which tells a repetition from a
//! change, and the walk over the listing that it was last met in.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;

use pipeline::digests::Digests;
use twox_hash::XxHash3_128;

/// The records of one listing.
#[derive(Debug, Default)]
pub struct Seen {
    listing: Digests,
    /// The records of the page that is being read.
    page: Page,
    /// The number of the walk.
    walk: u16,
}

/// The bits that number the walk which met a record last; the others are of the digest of its text.
const OF_WALK: u64 = u16::MAX as u64;

/// In place of a text: it does not fit, and stands nowhere.
const MISFIT: u64 = 0;

/// In place of a text: the key is all there is.
const ALONE: u64 = OF_WALK + 1;

type Page = HashMap<u128, u64, BuildHasherDefault<Digest>>;

/// What is known of a record that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meeting {
    pub(super) met: Met,
    /// Whether no walk showed one with its key before, whether that fitted its columns or not.
    pub(super) fresh: bool,
    /// Whether this walk meets it for the first time.
    pub(super) distinct: bool,
}

/// Whether a record was read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// It was not, or did not fit its columns and stands nowhere.
    New,
    /// It was, just so.
    Same,
    /// One with its key and another text was.
    Changed,
}

impl Seen {
    /// Begins another walk: what it meets is told from what it does not.
    pub fn next_walk(&mut self) {
        self.walk = self.walk.wrapping_add(1);
    }

    /// Adds a record, unless one with its key was read before; `text` is the digest of its text.
    ///
    /// # Errors
    /// Where the temporary file cannot be used.
    pub(super) fn meet(&mut self, key: &[u8], text: u128) -> io::Result<Meeting> {
        self.add(XxHash3_128::oneshot(key), text as u64 & !OF_WALK)
    }

    /// Adds the key of a record that does not fit its columns.
    ///
    /// # Errors
    /// Where the temporary file cannot be used.
    pub(super) fn meet_misfit(&mut self, key: &[u8]) -> io::Result<Meeting> {
        self.add(XxHash3_128::oneshot(key), MISFIT)
    }

    /// Adds what has no key but its whole text.
    ///
    /// # Errors
    /// Where the temporary file cannot be used.
    pub(super) fn meet_text(&mut self, text: &[u8]) -> io::Result<Meeting> {
        const NOT_A_KEY: u64 = 1;
        self.add(XxHash3_128::oneshot_with_seed(NOT_A_KEY, text), ALONE)
    }

    /// Adds a record of which there are versions, by its key without the version's number.
    ///
    /// # Errors
    /// Where the temporary file cannot be used.
    pub(super) fn meet_any_version(&mut self, key: &[u8]) -> io::Result<Meeting> {
        const OF_ALL_VERSIONS: u64 = 2;
        self.add(XxHash3_128::oneshot_with_seed(OF_ALL_VERSIONS, key), ALONE)
    }

    fn add(&mut self, key: u128, text: u64) -> io::Result<Meeting> {
        let known = match self.page.get(&key) {
            Some(known) => Some(*known),
            None => self.listing.get(key)?,
        };
        let walk = u64::from(self.walk);
        let (met, stays) = match known.map(|known| known & !OF_WALK) {
            // What is to stand takes the place of what did not fit.
            None | Some(MISFIT) => (Met::New, text),
            Some(known) if known == text => (Met::Same, known),
            Some(known) => (Met::Changed, known),
        };
        if known != Some(stays | walk) {
            self.page.insert(key, stays | walk);
        }
        let distinct = known.is_none_or(|known| known & OF_WALK != walk);
        Ok(Meeting { met, fresh: known.is_none(), distinct })
    }

    /// Makes what was added part of the set for good.
    ///
    /// # Errors
    /// Where the temporary file cannot be used.
    pub(super) fn keep(&mut self) -> io::Result<()> {
        self.listing.put_all(self.page.drain().collect())
    }

    /// Takes out what was added since it was last kept.
    pub(super) fn undo(&mut self) {
        self.page.clear();
    }
}

/// The parts of a page's record, such as the findings of an asset; each only once.
#[derive(Debug, Default)]
pub(super) struct Parts(Page);

impl Parts {
    /// Adds a part; returns whether it is new.
    pub(super) fn insert(&mut self, list: &str, text: &[u8]) -> bool {
        let seed = XxHash3_128::oneshot(list.as_bytes()) as u64;
        self.0.insert(XxHash3_128::oneshot_with_seed(seed, text), 0).is_none()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        // The room for one giant's parts is not held for the small ones after it.
        const ROOM: usize = 4096;
        self.0.clear();
        self.0.shrink_to(ROOM);
    }
}

/// Takes a digest's own bits: they are as even as any hash of them.
#[derive(Debug, Default)]
struct Digest(u64);

impl Hasher for Digest {
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("a digest is one number")
    }

    fn write_u128(&mut self, digest: u128) {
        self.0 = digest as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meeting(seen: &mut Seen, number: u64, text: u64) -> Meeting {
        seen.meet(&number.to_le_bytes(), u128::from(text) << 16).expect("a temporary file")
    }

    fn meet(seen: &mut Seen, number: u64, text: u64) -> Met {
        meeting(seen, number, text).met
    }

    #[test]
    fn what_was_met_long_ago_is_known_and_a_change_of_it_is_told_apart() {
        const PAGE: u64 = 500;
        let mut seen = Seen::default();
        for number in 0..30 * PAGE {
            assert_eq!(meet(&mut seen, number, 7), Met::New, "{number}");
            if number % PAGE == PAGE - 1 {
                seen.keep().expect("a temporary file");
            }
            let earlier = number / 3;
            assert_eq!(meet(&mut seen, earlier, 7), Met::Same, "{earlier} after {number}");
            assert_eq!(meet(&mut seen, earlier, 8), Met::Changed, "{earlier} after {number}");
        }
    }

    #[test]
    fn what_was_not_kept_is_new_again() {
        let mut seen = Seen::default();
        assert_eq!(meet(&mut seen, 1, 7), Met::New);
        seen.keep().expect("memory");
        assert_eq!((meet(&mut seen, 2, 7), meet(&mut seen, 2, 7)), (Met::New, Met::Same));
        seen.undo();
        assert_eq!((meet(&mut seen, 1, 7), meet(&mut seen, 2, 8)), (Met::Same, Met::New));
    }

    #[test]
    fn each_walk_meets_a_record_for_the_first_time_once() {
        let mut seen = Seen::default();
        let check = |seen: &mut Seen, text, met, distinct| {
            let was = meeting(seen, 1, text);
            assert_eq!((was.met, was.distinct), (met, distinct));
        };
        check(&mut seen, 7, Met::New, true);
        check(&mut seen, 7, Met::Same, false);
        seen.keep().expect("memory");
        check(&mut seen, 8, Met::Changed, false);
        seen.next_walk();
        check(&mut seen, 7, Met::Same, true);
        // A page that is read again.
        seen.undo();
        check(&mut seen, 8, Met::Changed, true);
        check(&mut seen, 7, Met::Same, false);
        seen.keep().expect("memory");
        check(&mut seen, 7, Met::Same, false);
    }

    #[test]
    fn completeness_a_record_that_does_not_fit_is_one_with_the_others_of_its_key() {
        let mut seen = Seen::default();
        let key = 1_u64.to_le_bytes();
        let check = |meeting: Meeting, met, fresh, distinct| {
            assert_eq!(meeting, Meeting { met, fresh, distinct });
        };
        check(seen.meet_misfit(&key).expect("memory"), Met::New, true, true);
        check(seen.meet_misfit(&key).expect("memory"), Met::New, false, false);
        seen.keep().expect("memory");
        // It fits by now, and is to stand.
        check(meeting(&mut seen, 1, 7), Met::New, false, false);
        check(meeting(&mut seen, 1, 7), Met::Same, false, false);
        seen.next_walk();
        // It does not fit any more; what stands does.
        check(seen.meet_misfit(&key).expect("memory"), Met::Changed, false, true);
        check(meeting(&mut seen, 1, 7), Met::Same, false, false);
    }

    #[test]
    fn a_text_is_no_key() {
        let mut seen = Seen::default();
        assert_eq!(seen.meet_text(b"a").expect("memory").met, Met::New);
        assert_eq!(seen.meet(b"a", 0).expect("memory").met, Met::New);
        assert_eq!(seen.meet_text(b"a").expect("memory").met, Met::Same);
    }
}
