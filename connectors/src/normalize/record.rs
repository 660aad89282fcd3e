//! One record: the members of a JSON object into the columns they belong to.

use std::borrow::Cow;
use std::io::Write as _;
use std::ops::Range;

use super::columns::{Column, Values};
use super::json::{Begins, Escape, Flaw, Json, MOST_NESTED, Syntax, Text};
use super::shape::{Field, Kind, Owner};
use super::timestamp::{self, Instant};

/// Why a record was not taken.
#[derive(Debug, PartialEq)]
pub(super) enum Refusal {
    /// The page is no JSON from here on.
    Syntax(Syntax),
    /// A value does not fit its column.
    Misfit { column: String, reason: String },
    /// It belongs to another organization.
    Foreign(String),
}

impl From<Syntax> for Box<Refusal> {
    fn from(syntax: Syntax) -> Self {
        Box::new(Refusal::Syntax(syntax))
    }
}

impl Refusal {
    #[cold]
    pub(super) fn misfit(reason: impl Into<String>) -> Box<Self> {
        Box::new(Self::Misfit { column: String::new(), reason: reason.into() })
    }

    /// Says in which member it happened.
    #[cold]
    fn within(mut self: Box<Self>, outer: &str) -> Box<Self> {
        if let Self::Misfit { column, .. } = self.as_mut() {
            let dot = if column.is_empty() || column.starts_with('[') { "" } else { "." };
            *column = format!("{outer}{dot}{column}");
        }
        self
    }
}

/// In a box, because nearly every value is taken, and what is returned for each fits a register then.
type Taken = Result<(), Box<Refusal>>;

/// Lets pass what names nobody because it does not fit.
fn unless_misfit(refusal: Box<Refusal>) -> Taken {
    if matches!(*refusal, Refusal::Misfit { .. }) { Ok(()) } else { Err(refusal) }
}

/// Members that name the owner wherever they stand at the top of a record, known to its shape or not.
const OWNERS: [&str; 2] = ["organization_id", "organizationId"];

/// What describes the owner where it stands at the top of a record as a record of its own.
static ORGANIZATION: [Field; 3] = [owner("id"), owner(OWNERS[0]), owner(OWNERS[1])];

const fn owner(name: &'static str) -> Field {
    Field { name, key: name, kind: Kind::Utf8, owner: Owner::Id }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Member(&'static str),
    Item(usize),
}

/// What is kept of a record beside its columns, and what it is read with.
#[derive(Debug)]
pub(super) struct Reader<'a, 't> {
    pub(super) json: Json<'a>,
    /// The organization that its records must not contradict; none where they tell of others.
    tenant: Option<&'t str>,
    path: Vec<Step>,
    /// The members that the shape does not know, as a JSON object that is not closed yet.
    extra: Vec<u8>,
    /// Where in `extra` the members' names stand, and where their values end.
    names: Vec<(Range<usize>, usize)>,
}

/// Receives the records inside a record: a list of them, or one that stands for a list of one.
pub(super) trait Children {
    fn children(&mut self, json: &mut Json<'_>, change: &'static str) -> Taken;
}

/// For records that have none.
pub(super) struct Childless;

impl Children for Childless {
    fn children(&mut self, json: &mut Json<'_>, _change: &'static str) -> Taken {
        json.skip()?;
        Ok(())
    }
}

impl<'a, 't> Reader<'a, 't> {
    pub(super) fn new(json: Json<'a>, tenant: Option<&'t str>) -> Self {
        Self { json, tenant, path: Vec::new(), extra: Vec::new(), names: Vec::new() }
    }

    /// Forgets what an earlier record left.
    pub(super) fn begin(&mut self) {
        self.path.clear();
        self.extra.clear();
        self.names.clear();
    }

    /// Reads an object's members; each column gets exactly one value more.
    pub(super) fn object(
        &mut self,
        fields: &[Field],
        columns: &mut [Column],
        follow: &mut [u8],
        inner: &mut dyn Children,
    ) -> Taken {
        self.json.expect(b'{')?;
        let mut filled = 0_u128;
        let mut first = true;
        let mut before = fields.len();
        let mut expected = usize::from(follow[before]);
        while self.json.another(&mut first, b'}')? {
            let at = if fields.get(expected).is_some_and(|field| self.json.is_named(field.key)) {
                expected
            } else {
                let name = self.json.name()?;
                let Some(at) = find(fields, name) else {
                    self.unknown(name)?;
                    continue;
                };
                at
            };
            // Records of one listing spell their members in one order: what followed the last time comes first.
            follow[before] = at as u8;
            before = at;
            expected = usize::from(follow[at]);
            let field = &fields[at];
            if filled & (1 << at) != 0 {
                return Err(Refusal::misfit("the member stands twice").within(field.name));
            }
            filled |= 1 << at;
            self.member(field, &mut columns[at], inner).map_err(|refusal| refusal.within(field.name))?;
        }
        for (at, column) in columns.iter_mut().enumerate() {
            if filled & (1 << at) == 0 {
                column.push_null();
            }
        }
        Ok(())
    }

    fn member(&mut self, field: &Field, column: &mut Column, inner: &mut dyn Children) -> Taken {
        if let Kind::Children(change) = field.kind {
            column.push_null();
            return match self.json.begins()? {
                Begins::Array | Begins::Object => inner.children(&mut self.json, change),
                Begins::Null => Ok(self.json.word(b"null")?),
                // No list is sometimes spelled so.
                Begins::String if self.is_empty_text()? => {
                    let text = self.json.string()?;
                    self.path.push(Step::Member(field.key));
                    self.keep_here(text);
                    self.path.pop();
                    Ok(())
                }
                other => Err(unfit("a list", other)),
            };
        }
        self.check_owner(field.owner)?;
        self.path.push(Step::Member(field.key));
        let taken = self.value(&field.kind, column);
        self.path.pop();
        taken
    }

    fn value(&mut self, kind: &Kind, column: &mut Column) -> Taken {
        let begins = self.json.begins()?;
        if begins == Begins::Null {
            self.json.word(b"null")?;
            column.push_null();
            return Ok(());
        }
        match kind {
            Kind::Utf8 => self.text(begins, column),
            Kind::Timestamp => self.instant(begins, column),
            Kind::Int64 => self.whole_number(begins, column),
            Kind::Float64 => self.float(begins, column),
            Kind::Bool => self.truth(begins, column),
            Kind::Json => {
                column.push_text(self.raw()?);
                Ok(())
            }
            Kind::List(item) => self.list(begins, item, column),
            Kind::Struct(fields) => self.nested(begins, fields, column),
            Kind::Children(_) => unreachable!("records inside a record stand at its top"),
        }
    }

    #[inline]
    fn text(&mut self, begins: Begins, column: &mut Column) -> Taken {
        match begins {
            Begins::String => {
                self.json.string()?.decode_into(column.text_values()).map_err(no_text)?;
                column.end_text();
            }
            Begins::Number => column.push_text(self.json.number()?),
            Begins::True | Begins::False => column.push_text(self.json.skip()?),
            _ => return Err(unfit("text", begins)),
        }
        Ok(())
    }

    fn instant(&mut self, begins: Begins, column: &mut Column) -> Taken {
        match begins {
            Begins::String => {
                let text = self.json.string()?;
                match timestamp::parse(&text.decoded().map_err(no_text)?) {
                    Instant::Micros(micros) => column.push_int(micros),
                    Instant::NotTime if !text.raw.is_empty() => {
                        return Err(Refusal::misfit("an instant was expected, and the text names none"));
                    }
                    Instant::NoSuch | Instant::NotTime => {
                        self.keep_here(text);
                        column.push_null();
                    }
                }
            }
            Begins::Number => match timestamp::since_1970(self.json.number()?) {
                Some(micros) => column.push_int(micros),
                None => return Err(Refusal::misfit("an instant was expected, and the number is none")),
            },
            _ => return Err(unfit("an instant", begins)),
        }
        Ok(())
    }

    #[inline]
    fn whole_number(&mut self, begins: Begins, column: &mut Column) -> Taken {
        if begins != Begins::Number {
            return self.empty("a whole number", begins, column);
        }
        let number = whole(self.json.number()?);
        column.push_int(number.ok_or_else(|| Refusal::misfit("a whole number of 64 bits was expected"))?);
        Ok(())
    }

    fn float(&mut self, begins: Begins, column: &mut Column) -> Taken {
        if begins != Begins::Number {
            return self.empty("a number", begins, column);
        }
        let text = self.json.number()?;
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
        match number {
            Some(number) if number.is_finite() => column.push_float(number),
            _ => return Err(Refusal::misfit("the number is too large")),
        }
        Ok(())
    }

    fn truth(&mut self, begins: Begins, column: &mut Column) -> Taken {
        match begins {
            Begins::True => self.json.word(b"true")?,
            Begins::False => self.json.word(b"false")?,
            _ => return self.empty("true or false", begins, column),
        }
        column.push_bool(begins == Begins::True);
        Ok(())
    }

    /// Takes an empty text where something else was expected for none, and keeps it.
    #[cold]
    fn empty(&mut self, what: &str, begins: Begins, column: &mut Column) -> Taken {
        if begins == Begins::String {
            let text = self.json.string()?;
            if text.raw.is_empty() {
                self.keep_here(text);
                column.push_null();
                return Ok(());
            }
        }
        Err(unfit(what, begins))
    }

    fn list(&mut self, begins: Begins, kind: &Kind, column: &mut Column) -> Taken {
        if begins == Begins::Array {
            self.json.expect(b'[')?;
            let mut first = true;
            let mut at = 0;
            while self.json.another(&mut first, b']')? {
                self.item(at, kind, column)?;
                at += 1;
            }
        } else {
            self.item(0, kind, column)?;
        }
        column.end_list();
        Ok(())
    }

    fn item(&mut self, at: usize, kind: &Kind, column: &mut Column) -> Taken {
        let Values::List { item, .. } = &mut column.values else { unreachable!("a list's column is a list") };
        self.path.push(Step::Item(at));
        let taken = self.value(kind, item).map_err(|refusal| refusal.within(&format!("[{at}]")));
        self.path.pop();
        taken
    }

    fn nested(&mut self, begins: Begins, fields: &[Field], column: &mut Column) -> Taken {
        if begins != Begins::Object {
            return self.empty("an object", begins, column);
        }
        let Values::Struct { children, follow, .. } = &mut column.values else {
            unreachable!("a nested record's column is a struct")
        };
        self.object(fields, children, follow, &mut Childless)?;
        column.end_struct();
        Ok(())
    }

    /// Returns whether a member that the shape does not know names the owner: at the top of a record it does.
    fn unknown_owner(&self, name: Text<'_>) -> Owner {
        let is_owner = self.path.is_empty() && OWNERS.iter().any(|owner| name.is(owner));
        if is_owner { Owner::Id } else { Owner::Unsaid }
    }

    /// Compares the value that begins here with the tenant, and consumes nothing.
    fn check_owner(&mut self, owner: Owner) -> Taken {
        self.check_owner_nested(owner, 0)
    }

    fn check_owner_nested(&mut self, owner: Owner, depth: usize) -> Taken {
        let Some(tenant) = self.tenant.filter(|_| owner != Owner::Unsaid) else { return Ok(()) };
        let begins = self.json.begins()?;
        let start = self.json.offset();
        let text = match begins {
            Begins::Null => return Ok(()),
            Begins::Array if depth == MOST_NESTED => {
                return Err(Refusal::misfit("it is nested too deeply"));
            }
            Begins::Array => {
                self.json.expect(b'[')?;
                let mut first = true;
                let mut taken = Ok(());
                while self.json.another(&mut first, b']')? {
                    match self.check_owner_nested(owner, depth + 1) {
                        // What is no text names nobody; one after it may.
                        Err(refusal) if matches!(*refusal, Refusal::Misfit { .. }) => taken = Err(refusal),
                        checked => checked?,
                    }
                    self.json.skip()?;
                }
                self.json.go_back(start);
                return taken;
            }
            Begins::String => self.json.string()?.decoded(),
            _ => Ok(Cow::Borrowed(self.json.skip()?)),
        };
        self.json.go_back(start);
        let text = text.map_err(no_text)?;
        let named = match owner {
            Owner::Id | Owner::IdAlone => Some(text.as_ref()),
            Owner::Rrn => text.split(|byte| *byte == b':').nth(3).filter(|_| is_rrn(&text)),
            Owner::Prefix(mark) => memchr::memmem::find(&text, mark.as_bytes()).map(|at| &text[..at]),
            Owner::Unsaid => None,
        };
        match named {
            Some(named) if !named.is_empty() && !named.eq_ignore_ascii_case(tenant.as_bytes()) => {
                Err(Box::new(Refusal::Foreign(String::from_utf8_lossy(named).into_owned())))
            }
            _ => Ok(()),
        }
    }

    /// Reads the members of a record's key alone and appends what stands for them; returns whether each is there, once.
    pub(super) fn key(&mut self, fields: &[&Field], key: &mut Vec<u8>) -> Result<bool, Box<Refusal>> {
        let mut columns: Vec<(usize, Column)> = fields.iter().map(|it| (0, Column::new(&it.kind))).collect();
        self.json.expect(b'{')?;
        let mut first = true;
        while self.json.another(&mut first, b'}')? {
            let name = self.json.name()?;
            match fields.iter().position(|field| name.is(field.key)) {
                Some(at) => {
                    columns[at].0 += 1;
                    self.value(&fields[at].kind, &mut columns[at].1)?;
                }
                None => drop(self.json.skip()?),
            }
        }
        Ok(columns.iter().all(|(times, column)| *times == 1 && column.key_bytes(0, key)))
    }

    /// Reads the records inside a record, and none of its other members; returns whether it has a list of them, or holds
    /// nothing.
    pub(super) fn inside(
        &mut self,
        fields: &[Field],
        inner: &mut dyn Children,
    ) -> Result<bool, Box<Refusal>> {
        match self.json.begins()? {
            Begins::Object => {}
            begins => return Ok(begins != Begins::Array),
        }
        self.json.expect(b'{')?;
        let mut first = true;
        let mut has_list = false;
        while self.json.another(&mut first, b'}')? {
            let name = self.json.name()?;
            match find(fields, name).map(|at| &fields[at].kind) {
                Some(Kind::Children(change)) => {
                    has_list = true;
                    if self.json.begins()? == Begins::Null || self.is_empty_text()? {
                        self.json.skip()?;
                    } else {
                        inner.children(&mut self.json, change)?;
                    }
                }
                _ => _ = self.json.skip()?,
            }
        }
        Ok(has_list)
    }

    /// Returns whether an empty text begins here, and consumes nothing.
    fn is_empty_text(&mut self) -> Result<bool, Syntax> {
        if self.json.begins()? != Begins::String {
            return Ok(false);
        }
        let start = self.json.offset();
        let is_empty = self.json.string()?.raw.is_empty();
        self.json.go_back(start);
        Ok(is_empty)
    }

    /// Consumes a record whose values did not fit, and compares wherever it names its organization: the misfit may
    /// stand before that. `inside` are the fields of the records that it may hold.
    pub(super) fn check_owners(&mut self, fields: &[Field], inside: &[Field]) -> Taken {
        self.path.clear();
        self.check_owners_within(fields, inside, 0)
    }

    fn check_owners_within(&mut self, fields: &[Field], inside: &[Field], depth: usize) -> Taken {
        match self.json.begins()? {
            Begins::Object if depth < MOST_NESTED => {}
            // Several stand where one was expected, or in a list.
            Begins::Array if depth < MOST_NESTED => {
                self.json.expect(b'[')?;
                let mut first = true;
                while self.json.another(&mut first, b']')? {
                    self.check_owners_within(fields, inside, depth + 1)?;
                }
                return Ok(());
            }
            begins => {
                self.check_owner_alone(fields, begins)?;
                self.json.skip()?;
                return Ok(());
            }
        }
        self.json.expect(b'{')?;
        let mut first = true;
        while self.json.another(&mut first, b'}')? {
            let name = self.json.name()?;
            self.json.check_escapes(name)?;
            let field = find(fields, name).map(|at| &fields[at]);
            if let Some(Field { kind: Kind::Children(_), .. }) = field {
                self.check_owners_within(inside, &[], depth + 1)?;
                continue;
            }
            if let Some((key, inner)) = field.and_then(|field| Some((field.key, record_in(&field.kind)?))) {
                self.path.push(Step::Member(key));
                let checked = self.check_owners_within(inner, &[], depth + 1);
                self.path.pop();
                checked?;
                continue;
            }
            self.check_organization(name)?;
            let owner = field.map_or_else(|| self.unknown_owner(name), |field| field.owner);
            self.check_owner(owner).or_else(unless_misfit)?;
            self.json.skip()?;
        }
        Ok(())
    }

    /// Compares a text that stands where a record was expected that names its organization, and consumes nothing.
    fn check_owner_alone(&mut self, fields: &[Field], begins: Begins) -> Taken {
        if begins != Begins::String || self.path.is_empty() {
            return Ok(());
        }
        let start = self.json.offset();
        let text = self.json.string()?.decoded();
        self.json.go_back(start);
        // Any other text may be a name.
        let is_id = text.is_ok_and(|text| uuid::Uuid::try_parse_ascii(&text).is_ok());
        for owner in fields.iter().map(|field| field.owner) {
            if owner == Owner::Rrn || is_id {
                self.check_owner(owner).or_else(unless_misfit)?;
            }
        }
        Ok(())
    }

    /// Compares the organization that a member unknown to the shape describes, and consumes nothing.
    fn check_organization(&mut self, name: Text<'_>) -> Taken {
        if !self.path.is_empty() || !name.is("organization") {
            return Ok(());
        }
        let start = self.json.offset();
        self.path.push(Step::Member("organization"));
        let checked = self.check_owners_within(&ORGANIZATION, &[], 0);
        self.path.pop();
        checked?;
        self.json.go_back(start);
        Ok(())
    }

    /// Consumes any value and returns its text, which stands in a column as JSON.
    fn raw(&mut self) -> Result<&'a [u8], Box<Refusal>> {
        // What was skipped before belongs to others.
        self.json.skipped_flaw();
        let value = self.json.skip()?;
        match self.json.skipped_flaw() {
            None => Ok(value),
            Some(Flaw::Half) => Err(no_text(Escape::Half)),
            Some(Flaw::Deep) => Err(Refusal::misfit("the value is nested too deeply")),
        }
    }

    /// Keeps a member that the shape does not know.
    #[cold]
    fn unknown(&mut self, name: Text<'a>) -> Taken {
        self.json.check_escapes(name)?;
        self.check_organization(name)?;
        self.check_owner(self.unknown_owner(name))?;
        let value = self.raw().map_err(|refusal| refusal.within(&String::from_utf8_lossy(name.raw)))?;
        let spelled =
            name.spelled().map_err(|escape| no_text(escape).within(&String::from_utf8_lossy(name.raw)))?;
        self.keep(Some(&spelled), &[value]);
        Ok(())
    }

    /// Keeps the text of a known member whose column can't hold it.
    fn keep_here(&mut self, text: Text<'a>) {
        self.keep(None, &[b"\"", text.raw, b"\""]);
    }

    /// Keeps a value under the path to here, and the name of a member below it.
    fn keep(&mut self, name: Option<&[u8]>, value: &[&[u8]]) {
        self.extra.extend_from_slice(if self.extra.is_empty() { b"{\"" } else { b",\"" });
        let start = self.extra.len();
        for (at, step) in self.path.iter().enumerate() {
            let written = match step {
                Step::Member(name) if at == 0 => write!(self.extra, "{name}"),
                Step::Member(name) => write!(self.extra, ".{name}"),
                Step::Item(at) => write!(self.extra, "[{at}]"),
            };
            written.expect("a vector takes every text");
        }
        if let Some(name) = name {
            self.extra.extend_from_slice(if self.path.is_empty() { b"" } else { b"." });
            self.extra.extend_from_slice(name);
        }
        let name = start..self.extra.len();
        self.extra.extend_from_slice(b"\":");
        value.iter().for_each(|part| compact(part, &mut self.extra));
        self.names.push((name, self.extra.len()));
    }

    /// Ends a record and returns its unknown members as an object, by name; nothing where there are none.
    ///
    /// The same members in another order, or with other white space between them, are no change.
    pub(super) fn extra(&mut self) -> Result<Option<&[u8]>, Box<Refusal>> {
        if self.extra.is_empty() {
            return Ok(None);
        }
        let extra = &self.extra;
        let name = |(name, _): &(Range<usize>, usize)| &extra[name.clone()];
        if !self.names.is_sorted_by(|one, other| name(one) < name(other)) {
            self.names.sort_unstable_by(|one, other| name(one).cmp(name(other)));
            if let Some(pair) = self.names.windows(2).find(|pair| name(&pair[0]) == name(&pair[1])) {
                let name = String::from_utf8_lossy(name(&pair[0]));
                return Err(Refusal::misfit("the member stands twice").within(&name));
            }
            let mut sorted = Vec::with_capacity(extra.capacity());
            for (name, end) in &self.names {
                sorted.push(if sorted.is_empty() { b'{' } else { b',' });
                sorted.extend_from_slice(&extra[name.start - 1..*end]);
            }
            self.extra = sorted;
        }
        self.extra.push(b'}');
        Ok(Some(&self.extra))
    }
}

/// Adds a value without the white space between its parts.
fn compact(value: &[u8], to: &mut Vec<u8>) {
    if !matches!(value.first(), Some(b'{' | b'[')) {
        return to.extend_from_slice(value);
    }
    let (mut in_text, mut is_escaped) = (false, false);
    for byte in value {
        if in_text || !byte.is_ascii_whitespace() {
            to.push(*byte);
        }
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = in_text && *byte == b'\\' && !is_escaped;
        in_text ^= ends;
    }
}

/// Returns the fields of the records that a column holds, one or a list of them.
fn record_in(kind: &Kind) -> Option<&[Field]> {
    match kind {
        Kind::Struct(fields) => Some(fields),
        Kind::List(item) => record_in(item),
        _ => None,
    }
}

fn is_rrn(text: &[u8]) -> bool {
    text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"rrn:"))
}

/// Returns the place of a member's field.
fn find(fields: &[Field], name: Text<'_>) -> Option<usize> {
    fields.iter().position(|field| name.is(field.key))
}

#[cold]
fn no_text(escape: Escape) -> Box<Refusal> {
    Refusal::misfit(match escape {
        Escape::Half => "the text holds half a character",
        Escape::Unknown => "the text has an escape that is no character",
    })
}

#[cold]
fn unfit(expected: &str, begins: Begins) -> Box<Refusal> {
    let found = match begins {
        Begins::Object => "an object",
        Begins::Array => "a list",
        Begins::String => "text",
        Begins::Number => "a number",
        Begins::True | Begins::False => "true or false",
        Begins::Null => "null",
    };
    Refusal::misfit(format!("{expected} was expected, and {found} came"))
}

/// Reads a whole number, exactly; `1.0` and `1e3` are whole as well.
#[inline]
pub(super) fn whole(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return decimal(digits, digits.len() < text.len());
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    Some(if digits.len() < text.len() { -number } else { number })
}

/// Reads a whole number that is long, or spelled with a point or an exponent.
#[cold]
fn decimal(text: &[u8], is_negative: bool) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{before}{after}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // Between 10^-19 and 10^19 there is room for every number of 64 bits; an exponent that fits no integer is beyond.
    let zeros = (digits.len() - significant.len()) as i64;
    let exponent = exponent.parse::<i64>().ok()?.checked_add(zeros)?.checked_sub(after.len() as i64)?;
    if significant.len() > 19 || !(0..=18).contains(&exponent) {
        return None;
    }
    let number = significant.parse::<i128>().ok()? * 10_i128.pow(exponent as u32);
    i64::try_from(if is_negative { -number } else { number }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_exact_however_they_are_spelled() {
        for (text, number) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("-0.0", Some(0)),
            ("0e999999999999999999999", Some(0)),
            ("1.0", Some(1)),
            ("-12.50e1", Some(-125)),
            ("1e3", Some(1000)),
            ("1E+18", Some(1_000_000_000_000_000_000)),
            ("100e-2", Some(1)),
            ("9007199254740993", Some(9_007_199_254_740_993)),
            ("9007199254740993.0", Some(9_007_199_254_740_993)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("-9.223372036854775808e18", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("9007199254740992.5", None),
            ("0.99999999999999999999", None),
            ("1e-1", None),
            ("1e19", None),
            ("1e400", None),
            ("1e-99999999999999999999", None),
        ] {
            assert_eq!(whole(text.as_bytes()), number, "{text}");
        }
    }
}
