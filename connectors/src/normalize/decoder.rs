//! Pages in, record batches out: every record is kept, dropped as a duplicate or set aside, and counted.

use std::io;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use pipeline::TenantId;
use pipeline::batch::{Counts, Reject, Within};

use super::columns::{Column, MOST_FIELDS};
use super::json::{Begins, Json, Syntax, Text};
use super::page::{ERRORS, Order, PageFacts, PageShape, digest, tells_of_error};
use super::record::{Childless, Children, Reader, Refusal};
use super::room::Room;
use super::seen::{Meeting, Met, Parts, Seen};
use super::shape::{Child, Field, Kind, RecordShape};

/// The longest key, in bytes: each record inside a record holds its parent's once more.
const LONGEST_KEY: usize = 4096;

/// Why a page was not taken; nothing of it is kept.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PageError {
    /// It is no JSON, or cut short.
    #[error("the answer is no whole JSON document: {what}")]
    Syntax {
        /// What is wrong with it.
        what: NotJson,
        /// Where.
        offset: usize,
    },
    /// It has the member that holds the records twice.
    #[error("the answer has the list `{0}` twice")]
    TwoLists(&'static str),
    /// It is JSON without the member that holds the records.
    #[error("the answer has no list `{0}`")]
    NoRows(&'static str),
    /// It says itself that it is not whole.
    #[error("the answer says that a part of it is missing (`{0}`)")]
    Partial(&'static str),
    /// It holds records of another organization.
    #[error("the answer holds records of organization {0}")]
    Foreign(String),
    /// The records that were seen could not be looked up; it has nothing to do with the page.
    #[error("the records that were read are kept in a temporary file: {0}")]
    Scratch(String),
}

/// Why bytes are no JSON document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotJson {
    /// There are none.
    #[error("it is empty")]
    Empty,
    /// It ends too early.
    #[error("it breaks off after {0} bytes")]
    CutShort(usize),
    /// It is a page for people.
    #[error("it is HTML")]
    Html,
    /// It is no text.
    #[error("byte {0} is no UTF-8")]
    NoText(usize),
    /// Something stands where it may not.
    #[error("what stands at byte {0} is no JSON")]
    Stray(usize),
}

impl NotJson {
    fn of(body: &[u8], offset: usize) -> Self {
        let rest = &body[offset.min(body.len())..];
        // A word that was begun, or a backslash with nothing behind it.
        let is_begun = || [&b"true"[..], b"false", b"null", b"\\"].iter().any(|word| word.starts_with(rest));
        match body.trim_ascii_start() {
            [] => Self::Empty,
            [b'<', ..] => Self::Html,
            _ if is_begun() => Self::CutShort(body.len()),
            _ => Self::Stray(offset),
        }
    }

    fn of_bytes(body: &[u8], error: std::str::Utf8Error) -> Self {
        match error.error_len() {
            None => Self::CutShort(body.len()),
            Some(_) => Self::NoText(error.valid_up_to()),
        }
    }
}

/// Decodes the pages of one tenant's listing.
#[derive(Debug)]
pub struct Decoder {
    page: PageShape,
    tenant: Option<String>,
    table: Table,
    child: Option<ChildTable>,
    rejects: Vec<Reject>,
    /// The bytes of the page that was decoded last.
    bytes: usize,
    room: Arc<Room>,
}

/// What a page yielded.
#[derive(Debug)]
pub struct Decoded {
    /// Kept records: of the listing's dataset, then of the one inside it.
    pub records: Vec<RecordBatch>,
    /// Records that were set aside.
    pub rejects: Vec<Reject>,
    /// Counts by dataset name.
    pub counts: Vec<(&'static str, Counts)>,
}

#[derive(Debug)]
struct Table {
    shape: RecordShape,
    schema: SchemaRef,
    columns: Vec<Column>,
    extra: Column,
    follow: Vec<u8>,
    key: Vec<usize>,
    /// Whether the last of them numbers a record's versions, and how long the key of the present record is without it.
    versioned: Option<usize>,
    rows: usize,
    counts: Counts,
}

#[derive(Debug)]
struct ChildTable {
    table: Table,
    tenant: Option<String>,
    parent: usize,
    change: usize,
    seen: Parts,
    rejects: Vec<Reject>,
}

impl Decoder {
    /// Creates a decoder for a tenant's listing.
    #[must_use]
    pub fn new(page: PageShape, shape: &RecordShape, child: Option<&Child>, tenant: &TenantId) -> Self {
        let tenant = (!page.tells_of_others).then(|| tenant.to_string());
        let child = child.map(|child| ChildTable::new(child, tenant.clone()));
        let table = Table::new(shape);
        Self { page, tenant, table, child, rejects: Vec::new(), bytes: 0, room: Arc::default() }
    }

    /// Makes room for pages like those that other decoders of the endpoint saw.
    #[must_use]
    pub fn with_room(self, room: Arc<Room>) -> Self {
        Self { room, ..self }
    }

    /// Decodes a page; its records wait for [`Decoder::take`].
    ///
    /// # Errors
    /// Where the page is not whole, not what it should be, or not this tenant's: then nothing of it is kept.
    pub fn decode(&mut self, body: &[u8], seen: &mut Seen) -> Result<PageFacts, PageError> {
        let begun = self.table.mark(&self.rejects);
        let begun_inside = self.child.as_ref().map(ChildTable::mark);
        let read = self.page(body, seen).and_then(|facts| {
            seen.keep().map_err(|error| PageError::Scratch(error.to_string()))?;
            Ok(facts)
        });
        match read {
            Ok(facts) => Ok(facts),
            Err(error) => {
                seen.undo();
                self.table.go_back(&begun);
                self.rejects.truncate(begun.rejects);
                if let (Some(child), Some(begun)) = (&mut self.child, &begun_inside) {
                    child.forget(begun);
                }
                Err(error)
            }
        }
    }

    /// Takes out what was decoded since the last time.
    ///
    /// # Errors
    /// Where a page's text does not fit 32-bit offsets; pages are far smaller.
    pub fn take(&mut self) -> Result<Decoded, ArrowError> {
        // Of records that were dropped, the page's bytes are left and the columns' are not.
        if self.table.rows > 0 && self.table.counts.read == self.table.rows as u64 {
            let inner = self.child.iter().flat_map(|child| child.table.columns());
            self.room.learn(self.bytes, self.table.columns().chain(inner));
        }
        let mut decoded =
            Decoded { records: Vec::new(), rejects: std::mem::take(&mut self.rejects), counts: Vec::new() };
        self.table.take(&mut decoded)?;
        if let Some(child) = &mut self.child {
            child.table.take(&mut decoded)?;
            decoded.rejects.append(&mut child.rejects);
        }
        Ok(decoded)
    }

    fn page(&mut self, body: &[u8], seen: &mut Seen) -> Result<PageFacts, PageError> {
        // Some writers mark their text as UTF-8 with a byte order mark.
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        if simdutf8::basic::from_utf8(body).is_err() {
            return Err(no_text(body));
        }
        self.bytes = body.len();
        let syntax = |syntax: Syntax| no_json(body, syntax);
        let mut json = Json::new(body);
        let mut facts = PageFacts::default();
        let mut found = false;
        let mut has_key = false;
        match json.begins().map_err(syntax)? {
            Begins::Array => {
                found = true;
                self.rows(&mut json, seen, &mut facts).map_err(|stop| stop.located(body))?;
                facts.last = self.page.may_be_bare.then_some(true);
            }
            Begins::Object => {
                json.expect(b'{').map_err(syntax)?;
                let mut first = true;
                while json.another(&mut first, b'}').map_err(syntax)? {
                    let name = json.name().map_err(syntax)?;
                    json.check_escapes(name).map_err(syntax)?;
                    if name.is(self.page.rows) && json.begins().map_err(syntax)? == Begins::Array {
                        // Which of two lists is meant, nobody knows.
                        if found {
                            return Err(PageError::TwoLists(self.page.rows));
                        }
                        found = true;
                        self.rows(&mut json, seen, &mut facts).map_err(|stop| stop.located(body))?;
                    } else if name.is("metadata") {
                        facts.read(&mut json, self.page.facts).map_err(syntax)?;
                    } else {
                        let value = json.skip().map_err(syntax)?;
                        self.check_failures(name, value)?;
                        has_key |= name.is(self.table.shape.fields[self.table.key[0]].key);
                    }
                }
            }
            _ => _ = json.skip().map_err(syntax)?,
        }
        json.end().map_err(syntax)?;
        if !found && has_key && self.page.may_be_bare {
            return self.page(&[b"[", body, b"]"].concat(), seen);
        }
        if found { Ok(facts) } else { Err(PageError::NoRows(self.page.rows)) }
    }

    /// Some answers with 200 say that they are none, or not whole.
    fn check_failures(&self, name: Text<'_>, value: &[u8]) -> Result<(), PageError> {
        match ERRORS.into_iter().chain(self.page.failures).find(|failures| name.is(failures)) {
            Some(failures) if tells_of_error(failures, value) => Err(PageError::Partial(failures)),
            _ => Ok(()),
        }
    }

    fn rows(&mut self, json: &mut Json<'_>, seen: &mut Seen, facts: &mut PageFacts) -> Result<(), Stop> {
        json.expect(b'[')?;
        let tenant = std::mem::take(&mut self.tenant);
        let mut reader = Reader::new(*json, tenant.as_deref());
        let mut first = true;
        let mut scratch = Vec::new();
        let result = loop {
            match reader.json.another(&mut first, b']') {
                Ok(false) => break Ok(()),
                Ok(true) => {}
                Err(syntax) => break Err(Stop::Syntax(syntax)),
            }
            facts.rows += 1;
            if facts.rows == 1 {
                let inner = self.child.iter_mut().flat_map(|child| child.table.columns_mut());
                self.room.make(self.bytes, self.table.columns_mut().chain(inner));
            }
            match self.row(&mut reader, seen, &mut facts.order, &mut scratch) {
                Ok(shown) => {
                    facts.fresh += u64::from(shown.fresh);
                    facts.distinct += u64::from(shown.distinct);
                }
                Err(stop) => break Err(stop),
            }
        };
        *json = reader.json;
        self.tenant = tenant;
        result
    }

    /// Reads one record.
    fn row(
        &mut self,
        reader: &mut Reader<'_, '_>,
        seen: &mut Seen,
        order: &mut Order,
        scratch: &mut Vec<u8>,
    ) -> Result<Shown, Stop> {
        reader.json.peek();
        let start = reader.json.offset();
        let begun = self.child.as_ref().map(ChildTable::mark);
        self.table.counts.read += 1;
        let taken = match &mut self.child {
            Some(child) => {
                child.seen.clear();
                self.table.read(reader, child, scratch)
            }
            None => self.table.read(reader, &mut Childless, scratch),
        }
        .map_err(|refusal| *refusal);
        let met = match &taken {
            Ok(()) => {
                let digest = digest(reader.json.since(start));
                order.add_digest(digest);
                let met = seen.meet(scratch, digest)?;
                let counted = match self.table.versioned {
                    Some(length) => seen.meet_any_version(&scratch[..length])?,
                    None => met,
                };
                Some((met, Shown::of(counted)))
            }
            Err(_) => None,
        };
        match (taken, met) {
            (Ok(()), Some((Meeting { met: Met::New, fresh, .. }, shown))) => {
                self.table.rows += 1;
                if let (Some(child), Some(begun)) = (&mut self.child, &begun) {
                    if fresh {
                        child.adopt(begun, self.table.key_text());
                    } else {
                        // It did not fit before, and what stood in it was taken then.
                        child.set_aside(true, begun, CHANGED, reader.json.since(start));
                    }
                }
                Ok(shown)
            }
            (Ok(()), Some((Meeting { met: Met::Same, .. }, shown))) => {
                self.table.truncate();
                self.table.counts.duplicates += 1;
                if let (Some(child), Some(begun)) = (&mut self.child, &begun) {
                    child.repeat(begun);
                }
                Ok(shown)
            }
            (Ok(()), met) => {
                let raw = reader.json.since(start);
                let by_text = self.set_aside(seen, String::new(), CHANGED.to_owned(), raw)?;
                if let (Some(child), Some(begun)) = (&mut self.child, &begun) {
                    child.set_aside(by_text.fresh, begun, CHANGED, raw);
                }
                // It is no record more: where one came twice, another may have been skipped.
                Ok(Shown { fresh: false, distinct: met.is_some_and(|(_, shown)| shown.distinct) })
            }
            (Err(Refusal::Misfit { column, reason }), _) => {
                reader.json.go_back(start);
                let inside = self.child.as_ref().map_or(&[][..], |child| &child.table.shape.fields);
                reader.check_owners(&self.table.shape.fields, inside).map_err(|refusal| *refusal)?;
                let raw = reader.json.since(start);
                order.add(raw);
                let by_text = self.set_aside(seen, column, reason, raw)?;
                let is_new = by_text.fresh;
                // The listing counts it by its key, as any other.
                let has_key = self.table.key_alone(raw, scratch);
                let key = if has_key { scratch.get(KEY_TEXT..) } else { None };
                let shown = match (has_key, self.table.versioned) {
                    (false, _) => by_text,
                    (true, None) => Shown::of(seen.meet_misfit(scratch)?),
                    (true, Some(_)) => Shown::of(seen.meet_any_version(scratch)?),
                };
                if let (Some(child), Some(begun)) = (&mut self.child, &begun) {
                    // What stands in it may fit all the same.
                    child.read_alone(begun, raw, &self.table.shape.fields, has_key)?;
                    match key {
                        Some(key) if shown.fresh => child.adopt(begun, key),
                        Some(_) if !is_new => child.repeat(begun),
                        Some(_) => child.set_aside(true, begun, CHANGED, raw),
                        None => child.set_aside(is_new, begun, NO_KEY, raw),
                    }
                }
                Ok(shown)
            }
            (Err(other), _) => Err(other.into()),
        }
    }

    /// Sets a record aside.
    fn set_aside(
        &mut self,
        seen: &mut Seen,
        column: String,
        reason: String,
        raw: &[u8],
    ) -> Result<Shown, Stop> {
        self.table.truncate();
        let meeting = seen.meet_text(raw)?;
        if meeting.fresh {
            self.table.counts.rejects += 1;
            self.rejects.push(reject(self.table.shape.dataset, column, reason, raw));
        } else {
            self.table.counts.duplicates += 1;
        }
        Ok(Shown::of(meeting))
    }
}

/// Whether a record was not seen before, in any version, and whether the walk had not shown it before.
struct Shown {
    fresh: bool,
    distinct: bool,
}

impl Shown {
    fn of(Meeting { fresh, distinct, .. }: Meeting) -> Self {
        Self { fresh, distinct }
    }
}

/// The reason of what came once more with other content: a row that was handed on cannot be taken back.
const CHANGED: &str = "a record with its key and other content was read before, and stands";

/// Where the text begins among the bytes of a key that is one text.
const KEY_TEXT: usize = 1 + size_of::<u64>();

/// The reason of records inside one that does not say which it is; its text is kept whole.
const NO_KEY: &str = "the record that they stand in has no key";

fn no_text(body: &[u8]) -> PageError {
    let error = std::str::from_utf8(body).expect_err("it was found to be no text");
    PageError::Syntax { what: NotJson::of_bytes(body, error), offset: error.valid_up_to() }
}

fn no_json(body: &[u8], syntax: Syntax) -> PageError {
    PageError::Syntax { what: NotJson::of(body, syntax.offset), offset: syntax.offset }
}

fn reject(dataset: &'static str, column: String, reason: String, raw: &[u8]) -> Reject {
    Reject { dataset, column, reason, raw: String::from_utf8_lossy(raw).into_owned(), within: None }
}

/// Why a page's records could not be read to the end.
enum Stop {
    Syntax(Syntax),
    Foreign(String),
    Scratch(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Scratch(error)
    }
}

impl From<Syntax> for Stop {
    fn from(syntax: Syntax) -> Self {
        Self::Syntax(syntax)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Syntax(syntax) => Self::Syntax(syntax),
            Refusal::Foreign(organization) => Self::Foreign(organization),
            Refusal::Misfit { .. } => unreachable!("a misfit costs its record alone"),
        }
    }
}

impl Stop {
    fn located(self, body: &[u8]) -> PageError {
        match self {
            Self::Syntax(syntax) => no_json(body, syntax),
            Self::Foreign(organization) => PageError::Foreign(organization),
            Self::Scratch(error) => PageError::Scratch(error.to_string()),
        }
    }
}

impl Table {
    fn new(shape: &RecordShape) -> Self {
        assert!(shape.fields.len() < MOST_FIELDS, "a record has fewer fields than bits");
        let place = |name: &&str| shape.fields.iter().position(|field| field.name == *name);
        Self {
            schema: shape.schema(),
            columns: shape.fields.iter().map(|field| Column::new(&field.kind)).collect(),
            extra: Column::new(&Kind::Utf8),
            follow: vec![0; shape.fields.len() + 1],
            key: shape
                .key
                .iter()
                .map(|name| place(name).expect("a key names columns of its shape"))
                .collect(),
            versioned: shape.has_versions.then_some(0),
            rows: 0,
            counts: Counts::default(),
            shape: shape.clone(),
        }
    }

    /// Reads a record behind those that are kept, and leaves its key in `scratch`.
    fn read(
        &mut self,
        reader: &mut Reader<'_, '_>,
        inner: &mut dyn Children,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Box<Refusal>> {
        reader.begin();
        if reader.json.begins()? != Begins::Object {
            return Err(Refusal::misfit("a record was expected"));
        }
        reader.object(&self.shape.fields, &mut self.columns, &mut self.follow, inner)?;
        self.push_extra(reader.extra()?);
        scratch.clear();
        for at in &self.key {
            if let Some(length) = &mut self.versioned {
                *length = scratch.len();
            }
            if !self.columns[*at].key_bytes(self.rows, scratch) {
                let column = self.shape.fields[*at].name.to_owned();
                return Err(Box::new(Refusal::Misfit { column, reason: "the key is missing".to_owned() }));
            }
        }
        if scratch.len() > LONGEST_KEY {
            return Err(Refusal::misfit("the key is too long"));
        }
        Ok(())
    }

    /// Leaves the key of a record that does not fit in `key`, without the version's number; returns whether it has one.
    fn key_alone(&self, raw: &[u8], key: &mut Vec<u8>) -> bool {
        key.clear();
        let named = self.key.len() - usize::from(self.versioned.is_some());
        let fields: Vec<&Field> = self.key[..named].iter().map(|at| &self.shape.fields[*at]).collect();
        Reader::new(Json::new(raw), None)
            .key(&fields, key)
            .is_ok_and(|found| found && key.len() <= LONGEST_KEY)
    }

    /// Returns the key of the record that was kept last, of a listing whose key is one text.
    fn key_text(&self) -> &[u8] {
        self.columns[self.key[0]].text(self.rows - 1)
    }

    fn push_extra(&mut self, members: Option<&[u8]>) {
        match members {
            None => self.extra.push_null(),
            Some(members) => self.extra.push_text(members),
        }
    }

    fn columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().chain([&self.extra])
    }

    fn columns_mut(&mut self) -> impl Iterator<Item = &mut Column> {
        self.columns.iter_mut().chain([&mut self.extra])
    }

    /// Cuts back to the records that are kept, and drops what was begun inside a nested value.
    fn truncate(&mut self) {
        let rows = self.rows;
        self.columns_mut().for_each(|column| column.truncate(rows));
    }

    fn mark(&self, rejects: &[Reject]) -> Mark {
        Mark { rows: self.rows, rejects: rejects.len(), counts: self.counts }
    }

    fn go_back(&mut self, mark: &Mark) {
        self.rows = mark.rows;
        self.counts = mark.counts;
        self.truncate();
    }

    fn take(&mut self, into: &mut Decoded) -> Result<(), ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len() + 1);
        for (field, column) in self.shape.fields.iter().zip(&mut self.columns) {
            if field.is_column() {
                arrays.push(column.take()?);
            } else {
                column.truncate(0);
            }
        }
        arrays.push(self.extra.take()?);
        debug_assert!(arrays.iter().all(|array| array.len() == rows));
        into.records.push(RecordBatch::try_new(Arc::clone(&self.schema), arrays)?);
        into.counts.push((self.shape.dataset, std::mem::take(&mut self.counts)));
        Ok(())
    }
}

/// Where a table stood before a page or a record.
#[derive(Debug, Clone, Copy)]
struct Mark {
    rows: usize,
    rejects: usize,
    counts: Counts,
}

impl ChildTable {
    fn new(child: &Child, tenant: Option<String>) -> Self {
        let place = |name: &str| {
            let place = child.shape.fields.iter().position(|field| field.name == name);
            place.expect("the child's own columns are among its fields")
        };
        Self {
            parent: place(child.parent_key),
            change: place(child.change),
            table: Table::new(&child.shape),
            tenant,
            seen: Parts::default(),
            rejects: Vec::new(),
        }
    }

    fn mark(&self) -> Mark {
        self.table.mark(&self.rejects)
    }

    /// Reads what stands in a record that does not fit, itself or in another of its members; what was read of it before
    /// broke off. One with neither key nor list counts for one: it may hold some where they are not looked for.
    fn read_alone(&mut self, begun: &Mark, raw: &[u8], fields: &[Field], has_key: bool) -> Result<(), Stop> {
        self.forget(begun);
        self.seen.clear();
        let has_list = Reader::new(Json::new(raw), None).inside(fields, self).map_err(|refusal| *refusal)?;
        self.table.counts.read += u64::from(!has_list && !has_key);
        Ok(())
    }

    /// Sets a record aside as a whole in place of those read in it since `begun`, if there are any: whose they are is
    /// not known, or they may be others than those that were taken of it before. A text that is not new was before.
    fn set_aside(&mut self, is_new: bool, begun: &Mark, reason: &str, raw: &[u8]) {
        let any = self.table.counts.read > begun.counts.read;
        self.forget(begun);
        if !any {
            return;
        }
        self.table.counts.read += 1;
        self.table.counts.duplicates += u64::from(!is_new);
        if is_new {
            self.table.counts.rejects += 1;
            self.table.counts.changed += u64::from(reason == CHANGED);
            let column = self.table.shape.fields[self.parent].name.to_owned();
            self.rejects.push(reject(self.table.shape.dataset, column, reason.to_owned(), raw));
        }
    }

    /// Gives the records read since `begun` their parent's key.
    fn adopt(&mut self, begun: &Mark, key: &[u8]) {
        let column = &mut self.table.columns[self.parent];
        column.truncate(begun.rows);
        for _ in begun.rows..self.table.rows {
            column.push_text(key);
        }
        for within in self.rejects[begun.rejects..].iter_mut().filter_map(|reject| reject.within.as_mut()) {
            within.key = String::from_utf8_lossy(key).into_owned();
        }
    }

    /// Drops the records read since `begun`, because their parent was read before.
    fn repeat(&mut self, begun: &Mark) {
        let read = self.table.counts.read - begun.counts.read;
        self.forget(begun);
        self.table.counts.read += read;
        self.table.counts.duplicates += read;
    }

    /// Takes back everything since `begun`.
    fn forget(&mut self, begun: &Mark) {
        self.table.go_back(begun);
        self.rejects.truncate(begun.rejects);
    }

    fn child(&mut self, reader: &mut Reader<'_, '_>, change: &'static str) -> Result<(), Box<Refusal>> {
        reader.json.peek();
        let start = reader.json.offset();
        self.table.counts.read += 1;
        match self.read(reader, change).map_err(|refusal| *refusal) {
            // Only what is the same to the letter: findings of one key may differ in their solution or status.
            Ok(()) if self.seen.insert(change, reader.json.since(start)) => self.table.rows += 1,
            Ok(()) => {
                self.table.truncate();
                self.table.counts.duplicates += 1;
            }
            Err(Refusal::Misfit { column, reason }) => {
                reader.json.go_back(start);
                reader.check_owners(&self.table.shape.fields, &[])?;
                let raw = reader.json.since(start);
                self.table.truncate();
                self.table.counts.rejects += 1;
                // Its parent's key may still be to come.
                let within = Some(Within { key: String::new(), list: change.to_owned() });
                let reject = reject(self.table.shape.dataset, column, reason, raw);
                self.rejects.push(Reject { within, ..reject });
            }
            Err(other) => return Err(Box::new(other)),
        }
        Ok(())
    }

    fn read(&mut self, reader: &mut Reader<'_, '_>, change: &'static str) -> Result<(), Box<Refusal>> {
        reader.begin();
        if reader.json.begins()? != Begins::Object {
            return Err(Refusal::misfit("a record was expected"));
        }
        let table = &mut self.table;
        reader.object(&table.shape.fields, &mut table.columns, &mut table.follow, &mut Childless)?;
        table.push_extra(reader.extra()?);
        let column = &mut table.columns[self.change];
        column.truncate(table.rows);
        column.push_text(change.as_bytes());
        Ok(())
    }
}

impl Children for ChildTable {
    fn children(&mut self, json: &mut Json<'_>, change: &'static str) -> Result<(), Box<Refusal>> {
        let tenant = std::mem::take(&mut self.tenant);
        let mut reader = Reader::new(*json, tenant.as_deref());
        let mut first = true;
        let result = (|| {
            if reader.json.begins()? != Begins::Array {
                return self.child(&mut reader, change);
            }
            reader.json.expect(b'[')?;
            while reader.json.another(&mut first, b']')? {
                self.child(&mut reader, change)?;
            }
            Ok(())
        })();
        *json = reader.json;
        self.tenant = tenant;
        result
    }
}
