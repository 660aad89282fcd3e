//! Finds the rows of one page without looking at the others, unless a filter or an unusual order asks for it.

use std::cmp::Ordering;

use crate::data::Dataset;
use crate::data::collection::{Collection, RowId};
use crate::data::json::{put, put_int};
use crate::data::world::{Row, World};
use crate::memo::Mark;
use crate::strike::Twist;
use crate::tenants::Tenant;

/// Which rows are listed.
pub(crate) type Keep<'a> = Box<dyn Fn(&Row) -> bool + 'a>;
/// Which of two rows comes first.
pub(crate) type Compare<'a> = Box<dyn Fn(&Row, &Row) -> Ordering + 'a>;

/// In which order rows are listed.
pub(crate) enum Order<'a> {
    /// That of time or key.
    Ascending,
    /// Its opposite.
    Descending,
    /// Another; ties stay in the order of time or key.
    By(Compare<'a>),
}

/// A tenant's rows as one request wants to see them.
pub(crate) struct Listing<'a> {
    pub(crate) world: &'a World,
    pub(crate) tenant: &'a Tenant,
    pub(crate) dataset: Dataset,
    /// The first and the last time, in milliseconds, of the rows listed.
    pub(crate) window: Option<(i64, i64)>,
    pub(crate) keep: Option<Keep<'a>>,
    pub(crate) order: Order<'a>,
    pub(crate) twist: Twist,
    /// What was asked but for the page, so that other pages need not filter and sort again.
    pub(crate) asked: Option<String>,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    /// After so many rows.
    At(u64),
    /// After a row, which may be gone.
    After(RowId),
}

/// The rows of a page.
pub(crate) struct Page<'a> {
    pub(crate) total: u64,
    pub(crate) rows: Vec<Row<'a>>,
    /// The last row by its rights, before faults added others.
    pub(crate) last: Option<Row<'a>>,
}

impl<'a> Listing<'a> {
    /// Returns everything a tenant has of a dataset.
    pub(crate) fn all(world: &'a World, tenant: &'a Tenant, dataset: Dataset) -> Self {
        let (window, keep, order, twist) = (None, None, Order::Ascending, Twist::default());
        Self { world, tenant, dataset, window, keep, order, twist, asked: None }
    }

    /// Returns a page, after letting its faults happen to the data.
    pub(crate) fn page(&self, start: Start, size: u64) -> Page<'a> {
        self.disturb();
        let (total, ids, before) =
            self.world.read(self.tenant, self.dataset, |rows| self.pick(rows, start, size));
        let row = |id: &RowId| self.world.row(self.tenant, self.dataset, *id);
        let mut rows: Vec<Row> = ids.iter().map(row).collect();
        let last = rows.last().copied();
        if self.twist.reorder {
            rows.reverse();
        }
        let copies = self.twist.duplicate as usize;
        let copied: Vec<Row> = before.iter().rev().take(copies).rev().map(row).collect();
        rows.splice(0..0, copied);
        rows.extend(self.foreign());
        Page { total, rows, last }
    }

    /// Returns every row listed, for those who count.
    pub(crate) fn rows(&self) -> Vec<Row<'a>> {
        let (_, ids, _) =
            self.world.read(self.tenant, self.dataset, |rows| self.pick(rows, Start::At(0), u64::MAX));
        ids.into_iter().map(|id| self.world.row(self.tenant, self.dataset, id)).collect()
    }

    /// Returns the total, the page, and the page before it.
    fn pick(&self, rows: &Collection, start: Start, size: u64) -> (u64, Vec<RowId>, Vec<RowId>) {
        let (low, high) = self.bounds(rows);
        if self.keep.is_some() || matches!(self.order, Order::By(_)) {
            return self.pick_slowly(rows, low..high, start, size);
        }
        let total = (high - low) as u64;
        let descending = matches!(self.order, Order::Descending);
        let first = match start {
            Start::At(offset) => offset,
            Start::After(row) if descending => (high - rows.before(row).clamp(low, high)) as u64,
            Start::After(row) => (rows.after(row).clamp(low, high) - low) as u64,
        };
        let at = |offset: u64| {
            rows.get(if descending { high - 1 - offset as usize } else { low + offset as usize })
        };
        let span = |from: u64, to: u64| (from.min(total)..to.min(total)).map(at).collect();
        (total, span(first, first.saturating_add(size)), span(first.saturating_sub(size), first))
    }

    fn pick_slowly(
        &self,
        rows: &Collection,
        range: std::ops::Range<usize>,
        start: Start,
        size: u64,
    ) -> (u64, Vec<RowId>, Vec<RowId>) {
        let edges = |start| match start {
            Start::After(row) => (rows.before(row), rows.after(row)),
            Start::At(_) => (0, 0),
        };
        let (before, after) = edges(start);
        let places = match &self.asked {
            Some(asked) => {
                let mark = Mark {
                    tenant: self.tenant.number,
                    dataset: self.dataset,
                    moment: self.world.now_ms,
                    edits: rows.edits(),
                    window: self.window,
                    asked: asked.clone(),
                };
                self.world.memo().recall(mark, || self.places(rows, range))
            }
            None => self.places(rows, range).into(),
        };
        let first = match &self.order {
            Order::By(_) => 0,
            Order::Descending => places.partition_point(|place| *place >= before),
            Order::Ascending => places.partition_point(|place| *place < after),
        };
        let first = if let Start::At(offset) = start { offset as usize } else { first }.min(places.len());
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let page = places[first..].iter().take(size).map(|place| rows.get(*place)).collect();
        let previous =
            places[first.saturating_sub(size)..first].iter().map(|place| rows.get(*place)).collect();
        (places.len() as u64, page, previous)
    }

    /// Returns the positions of the rows that are listed, in their order.
    fn places(&self, rows: &Collection, range: std::ops::Range<usize>) -> Vec<usize> {
        let row = |place: &usize| self.world.row(self.tenant, self.dataset, rows.get(*place));
        let kept = |place: &usize| self.keep.as_ref().is_none_or(|keep| keep(&row(place)));
        let mut places: Vec<usize> = range.filter(kept).collect();
        match &self.order {
            Order::By(compare) => places.sort_by(|a, b| compare(&row(a), &row(b))),
            Order::Descending => places.reverse(),
            Order::Ascending => {}
        }
        places
    }

    /// Returns the first position of the window and the one after its last.
    fn bounds(&self, rows: &Collection) -> (usize, usize) {
        let Some((since, until)) = self.window else { return (0, rows.len()) };
        let time = |id| self.world.row(self.tenant, self.dataset, id).time_ms();
        let low = rows.partition_point(|id| time(id) < since);
        (low, rows.partition_point(|id| time(id) <= until).max(low))
    }

    /// Changes the data itself: what is inserted or deleted stays so for every later reader.
    fn disturb(&self) {
        if self.twist.insert == 0 && self.twist.delete == 0 {
            return;
        }
        self.world.change(self.tenant, self.dataset, |rows| {
            for _ in 0..self.twist.insert {
                let (low, high) = self.bounds(rows);
                let place = if matches!(self.order, Order::Descending) { high } else { low };
                if place > low || place < high {
                    rows.insert(place.min(high.saturating_sub(1)));
                }
            }
            for _ in 0..self.twist.delete {
                let (low, high) = self.bounds(rows);
                if low < high {
                    rows.remove(if matches!(self.order, Order::Descending) { high - 1 } else { low });
                }
            }
        });
    }

    fn foreign(&self) -> Vec<Row<'a>> {
        let others = self.world.tenants.iter().filter(|other| other.number != self.tenant.number);
        let with_rows = |other: &&Tenant| self.world.read(other, self.dataset, Collection::len) > 0;
        let Some(other) = others.clone().find(with_rows) else { return Vec::new() };
        let rows = self.world.read(other, self.dataset, |rows| {
            (0..rows.len().min(self.twist.foreign as usize)).map(|place| rows.get(place)).collect::<Vec<_>>()
        });
        rows.into_iter().map(|id| self.world.row(other, self.dataset, id)).collect()
    }
}

/// Appends one row the usual way.
pub(crate) fn put_row(row: &Row, out: &mut Vec<u8>) {
    row.put_json(out);
}

/// Appends rows as a JSON array.
pub(crate) fn put_rows(rows: &[Row], out: &mut Vec<u8>, write: impl Fn(&Row, &mut Vec<u8>)) {
    out.push(b'[');
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        write(row, out);
    }
    out.push(b']');
}

/// Appends the metadata of the listings that page by index.
pub(crate) fn put_index_metadata(index: u64, size: u64, total: u64, out: &mut Vec<u8>) {
    for (name, value) in [
        (r#","metadata":{"index":"#, index),
        (r#","size":"#, size),
        (r#","total_data":"#, total),
        (r#","total_pages":"#, total.div_ceil(size)),
    ] {
        put(out, name);
        put_int(out, value);
    }
    out.push(b'}');
}
