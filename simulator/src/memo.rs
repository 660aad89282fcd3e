//! Remembers which rows a filter or an unusual order picks, so that a listing is not picked anew for each of its pages.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::data::Dataset;

/// How many listings are remembered; the oldest are forgotten first.
const REMEMBERED: usize = 32;

/// What a listing depends on: two with the same mark pick the same rows in the same order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) tenant: usize,
    pub(crate) dataset: Dataset,
    pub(crate) moment: i64,
    /// How often hands and faults have changed the rows.
    pub(crate) edits: usize,
    pub(crate) window: Option<(i64, i64)>,
    /// Everything else that was asked, but for the page.
    pub(crate) asked: String,
}

/// The latest listings: the positions of their rows.
#[derive(Debug, Default)]
pub(crate) struct Memo(Mutex<VecDeque<(Mark, Arc<[usize]>)>>);

impl Memo {
    /// Returns what a listing picks, and picks it if that isn't remembered.
    pub(crate) fn recall(&self, mark: Mark, pick: impl FnOnce() -> Vec<usize>) -> Arc<[usize]> {
        const POISON: &str = "no holder of the memory panics";
        let known = self.0.lock().expect(POISON).iter().find(|(known, _)| *known == mark).cloned();
        if let Some((_, picked)) = known {
            return picked;
        }
        let picked: Arc<[usize]> = pick().into();
        let mut all = self.0.lock().expect(POISON);
        if all.len() == REMEMBERED {
            all.pop_front();
        }
        all.push_back((mark, picked.clone()));
        picked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_picked_is_not_picked_again_until_something_changes() {
        let memo = Memo::default();
        let mark = |edits| Mark {
            tenant: 0,
            dataset: Dataset::VmAssets,
            moment: 0,
            edits,
            window: None,
            asked: String::new(),
        };
        let picked = |edits, pick: usize| memo.recall(mark(edits), || vec![pick]).to_vec();
        assert_eq!([picked(0, 1), picked(0, 2), picked(1, 3), picked(1, 4)], [[1], [1], [3], [3]]);
        for edits in 2..100 {
            assert_eq!(picked(edits, edits), [edits]);
        }
        assert_eq!(picked(0, 5), [5], "the oldest are forgotten");
        assert_eq!(memo.0.lock().expect("a memory").len(), REMEMBERED);
    }
}
