//! How much a page brings, learned from the one before: the pages of an endpoint are much alike, whoever's they are.

use std::sync::Mutex;

use super::columns::Column;

/// What the columns of the latest page held.
#[derive(Debug, Default)]
pub struct Room(Mutex<Page>);

#[derive(Debug, Default)]
struct Page {
    bytes: usize,
    sizes: Vec<Size>,
}

/// The values of a column, and the bytes of their text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) values: usize,
    pub(super) text: usize,
}

impl Room {
    /// Makes room in columns for a page of so many bytes.
    pub(super) fn make<'a>(&self, bytes: usize, columns: impl Iterator<Item = &'a mut Column>) {
        // Taken out first: nobody waits for the lock while memory is asked for.
        let mut sizes = self.expected(bytes).into_iter();
        columns.for_each(|column| column.reserve(&mut sizes));
    }

    fn expected(&self, bytes: usize) -> Vec<Size> {
        let page = self.0.lock().expect("no holder panics");
        page.sizes.iter().map(|size| size.of_a_page(bytes, page.bytes)).collect()
    }

    /// Remembers what a page of so many bytes brought, unless it is but the rest of a listing: larger ones would make
    /// room for what such a page had.
    pub(super) fn learn<'a>(&self, bytes: usize, columns: impl Iterator<Item = &'a Column>) {
        let mut page = self.0.lock().expect("no holder panics");
        if bytes < page.bytes / 2 {
            return;
        }
        page.bytes = bytes;
        page.sizes.clear();
        columns.for_each(|column| column.measure(&mut page.sizes));
    }
}

impl Size {
    /// Returns what a page of some bytes holds if one of `known` bytes held this.
    fn of_a_page(self, bytes: usize, known: usize) -> Self {
        // A larger page has longer values rather than more of them.
        let part = |size: usize| if bytes < known { size * bytes / known + 1 } else { size };
        // Texts differ in length: a little more, or every other column would move once more near its end.
        Self { values: part(self.values), text: part(self.text + self.text / 8) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::Kind;
    use super::*;

    #[test]
    fn the_rest_of_a_listing_teaches_nothing() {
        let page = |values: usize| {
            let mut column = Column::new(&Kind::Int64);
            (0..values).for_each(|value| column.push_int(value as i64));
            column
        };
        let room = Room::default();
        for (values, bytes, expected) in [(100, 1000, 100), (7, 70, 100), (80, 900, 80)] {
            room.learn(bytes, [page(values)].iter());
            assert_eq!(room.expected(1000)[0].values, expected, "after {bytes} bytes");
        }
    }

    #[test]
    fn a_page_is_expected_to_be_like_the_last_one_or_a_part_of_it() {
        let size = Size { values: 100, text: 4000 };
        assert_eq!(size.of_a_page(1000, 1000), Size { values: 100, text: 4500 });
        assert_eq!(size.of_a_page(5000, 1000), Size { values: 100, text: 4500 });
        assert_eq!(size.of_a_page(10, 1000), Size { values: 2, text: 46 });
        assert_eq!(Size::default().of_a_page(0, 0), Size::default());
    }
}
