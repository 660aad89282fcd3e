//! Reads a partition: every page of its listing, each record once.
//!
//! Pages by index are asked for several at a time and yielded in order; pages by cursor one after the other, and
//! where no cursor is given, by number as well. A page that takes too long is asked for again in smaller parts. When a
//! walk over the listing is over, [`judge`] says whether it showed everything; if not, the listing is walked again and
//! only new records are added.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_stream::try_stream;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{BoxStream, FuturesOrdered};
use pipeline::batch::Batch;
use pipeline::digests::no_room;
use pipeline::{Error, ErrorKind, Partition, Result, Tally, Window};
use reqwest::StatusCode;
use reqwest::header::{HeaderName, HeaderValue};
use tracing::warn;

use super::datasets::{Endpoint, Paging};
use super::paging::{Refused, Word, next_cursor, size_of_walk};
use super::samples::{Sample, Samples};
use super::walk::{Judgement, Walk, judge};
use crate::http::{Answer, BadBody, Call, PageSize, SendError, Spent, Taken, TenantClient};
use crate::normalize::{Decoded, Decoder, PageError, PageFacts, Room, Seen};

/// The parameter that numbers the pages of a listing by cursor, where it gives none.
const PAGE: &str = "page";

/// Pages of one listing that are asked for at once; what the tenant may have in flight bounds them further.
const AHEAD: usize = 4;

const UNPOISONED: &str = "a decoder that panicked ends its run";

const ACCEPT_VERSION: HeaderName = HeaderName::from_static("accept-version");

/// Reads one partition.
#[derive(Clone)]
pub(super) struct Reader {
    endpoint: Arc<Endpoint>,
    path: Arc<str>,
    client: TenantClient,
    size: Arc<PageSize>,
    partition: Arc<Partition>,
    decode: Arc<dyn Fn(Bytes) -> Result<Page, BadBody> + Send + Sync>,
    /// What it decodes with, from walk to walk.
    decoding: Arc<Mutex<(Decoder, Seen)>>,
    /// Pages have one decoder.
    turn: Arc<tokio::sync::Mutex<()>>,
    samples: Arc<Samples>,
}

/// A decoded page.
struct Page {
    facts: PageFacts,
    decoded: Decoded,
}

/// A page and what it took.
struct Got {
    page: Page,
    requests: u64,
    bytes: u64,
    word: Word,
    room: Option<Taken>,
}

/// What came of asking for a page by its number.
enum Came {
    Page(Box<Got>),
    /// It is beyond the end.
    End,
    /// Nobody knows whether there is more: the walk has to be given up there.
    Doubt,
    /// It has to be asked for again, in parts of this size.
    TooMuch {
        part: u64,
        spent: Spent,
        /// The size that it was asked for in, where that took too long.
        too_slow: Option<u64>,
    },
}

/// A page by its number: which parameter says it, in what size pages are counted, and what it means if it is refused.
#[derive(Clone, Copy)]
struct Place {
    parameter: &'static str,
    index: u64,
    size: u64,
    if_refused: Refused,
    /// Whether it is the one that is handed on next.
    is_next: bool,
    /// What was spent on it in vain.
    spent: Spent,
    /// The size that it was asked for in before, where that took too long.
    too_slow: Option<u64>,
}

impl Place {
    fn first(parameter: &'static str, size: u64) -> Self {
        Self {
            parameter,
            index: 0,
            size,
            if_refused: Refused::Failure,
            is_next: false,
            spent: Spent::default(),
            too_slow: None,
        }
    }

    /// Returns how many records are before it.
    fn offset(&self) -> u64 {
        self.index.saturating_mul(self.size)
    }

    /// Returns the place of the same records where pages are of another size, if one begins there.
    fn in_pages_of(self, size: u64) -> Self {
        let fits = (self.size.is_multiple_of(size) || size.is_multiple_of(self.size))
            && self.offset().is_multiple_of(size);
        if fits { Self { index: self.offset() / size, size, ..self } } else { self }
    }

    /// Returns the smaller pages that hold the same records, which are handed on one after the other.
    fn parts(self, size: u64) -> impl DoubleEndedIterator<Item = Self> {
        let parts = self.size / size;
        let first = self.index * parts;
        (first..first + parts).map(move |index| Self {
            index,
            size,
            is_next: true,
            spent: Spent::default(),
            too_slow: None,
            ..self
        })
    }
}

impl Reader {
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        path: &str,
        client: TenantClient,
        partition: &Partition,
        room: Arc<Room>,
        samples: Arc<Samples>,
    ) -> Self {
        let listing = &endpoint.datasets[0];
        let size = client.page_size(listing.pull, listing.page_size);
        let decoder = endpoint.decoder(client.tenant()).with_room(room);
        let decoding = Arc::new(Mutex::new((decoder, Seen::default())));
        let by_cursor = endpoint.request.paging == Paging::Cursor;
        let state = decoding.clone();
        let decode = Arc::new(move |body: Bytes| {
            let mut state = state.lock().expect(UNPOISONED);
            let (decoder, seen) = &mut *state;
            let mut page = decode(decoder, seen, &body)?;
            if by_cursor && page.facts.cursor.is_none() {
                page.facts.cursor = next_cursor(&body);
            }
            Ok(page)
        });
        let (path, partition, turn) = (path.into(), Arc::new(partition.clone()), Arc::default());
        Self { endpoint, path, client, size, partition, decode, decoding, turn, samples }
    }

    /// Asks for one record of the partition, to learn how many there are.
    pub(super) async fn count(self) -> Result<Tally> {
        let mut sum = Tally { claimed_last: Some(0), ..Tally::default() };
        for window in self.windows() {
            let mut call = self.call(window, 1);
            if let Paging::Index(parameter) = self.endpoint.request.paging {
                call = call.query(parameter, 0);
            }
            let answer = self.client.send(&call, &self.decode).await?;
            sum.requests += answer.requests;
            sum.claimed_last = sum.claimed_last.and_then(|sum| Some(sum + answer.value.facts.total?));
        }
        Ok(sum)
    }

    /// Returns the partition's batches, and at the end what was claimed of all of it.
    pub(super) fn batches(self) -> BoxStream<'static, Result<Batch>> {
        try_stream! {
            let mut sum = Tally { claimed_first: Some(0), claimed_last: Some(0), ..Tally::default() };
            let mut sample = Sample::default();
            for window in self.windows() {
                let mut walks: Vec<Walk> = Vec::new();
                let mut most = u64::from(self.endpoint.datasets[0].page_size);
                loop {
                    let mut walk: Option<Walk> = None;
                    let enough = Arc::new(AtomicBool::new(false));
                    self.decoding.lock().expect(UNPOISONED).1.next_walk();
                    let mut pages = self.clone().walk(window, walks.len(), most, enough.clone());
                    while let Some(got) = pages.next().await {
                        let Some(got) = got? else {
                            walk.get_or_insert_default().break_off();
                            break;
                        };
                        let facts = &got.page.facts;
                        most = got.word.granted.unwrap_or(most);
                        let walk = walk.get_or_insert_default();
                        walk.page(facts, &got.word);
                        let is_enough = enough.load(Ordering::Relaxed);
                        let circles = !is_enough && !got.word.last && walk.goes_in_circles(&walks);
                        let has_no_pages = walk.has_no_pages(&walks);
                        self.sample(&got, &mut sample);
                        yield self.batch(got);
                        if has_no_pages {
                            break;
                        }
                        if circles {
                            warn!(tenant = %self.client.tenant(), path = &*self.path, "page after page holds nothing new; going no further");
                            walk.give_up();
                            // What was asked for already is still to come: its records would pass for known ones.
                            enough.store(true, Ordering::Relaxed);
                        }
                    }
                    drop(pages);
                    let walk = walk.unwrap_or_default();
                    walks.push(walk);
                    match judge(&walks, self.may_grow(window)) {
                        Judgement::Whole => break,
                        Judgement::Drifted => {
                            sum.drifted = true;
                            break;
                        }
                        Judgement::Again => {
                            warn!(tenant = %self.client.tenant(), path = &*self.path, walks = walks.len(), "the listing shifted; reading again");
                        }
                    }
                }
                let add = |sum: Option<u64>, claim: Option<u64>| sum.and_then(|sum| Some(sum + claim?));
                sum.claimed_first = add(sum.claimed_first, walks.first().and_then(|walk| walk.first));
                sum.claimed_last = add(sum.claimed_last, walks.last().and_then(|walk| walk.last));
                sum.passes = sum.passes.max(walks.len() as u64);
            }
            self.check_apart(sample)?;
            yield Batch { tally: sum, ..Batch::default() };
        }
        .boxed()
    }

    /// Takes keys of a page that may not say whose its records are.
    fn sample(&self, got: &Got, sample: &mut Sample) {
        let key = self.endpoint.datasets[0].key[0];
        let keys = got.page.decoded.records.first().and_then(|records| records.column_by_name(key));
        if let Some(keys) = keys.filter(|_| self.endpoint.may_hide_owners()) {
            sample.add(keys);
        }
    }

    /// Checks that no other tenant was answered with the same records.
    fn check_apart(&self, sample: Sample) -> Result<()> {
        let listing = &self.endpoint.datasets[0];
        let Some(other) = self.samples.keep(listing.pull, sample, self.client.tenant()) else {
            return Ok(());
        };
        let text = format!("keep the tenants apart: {} are those of organization {other}", listing.name);
        Err(Error::new(ErrorKind::Isolation, text).with_hint(
            "nothing of this reading was committed, and whose records they are is not known: the key may read one \
             organization alone, whichever is asked for; use a multi-tenant key, or name the organization that it is for",
        ))
    }

    /// Returns whether what a listing gains while it is read is read by the next run in any case.
    fn may_grow(&self, window: Option<Window>) -> bool {
        window.is_none() || self.endpoint.datasets[0].by_change
    }

    /// Cuts the partition's window into windows that are answered.
    fn windows(&self) -> Vec<Option<Window>> {
        let (Some(whole), Some(longest)) = (self.partition.window, self.endpoint.request.longest_window)
        else {
            return vec![self.partition.window];
        };
        let mut windows = Vec::new();
        let mut since = whole.since;
        while since < whole.until {
            let until = whole.until.min(since + longest);
            windows.push(Some(Window { since, until }));
            since = until;
        }
        windows
    }

    /// Walks the listing for the nth time, in pages of no more than `most`, and asks for no more once that is `enough`;
    /// `None`, behind all that was read, says that it had to be given up.
    fn walk(
        self,
        window: Option<Window>,
        nth: usize,
        most: u64,
        enough: Arc<AtomicBool>,
    ) -> BoxStream<'static, Result<Option<Got>>> {
        match self.endpoint.request.paging {
            // The first walk keeps its borders where pages become smaller on its way.
            Paging::Index(parameter) => {
                let size = if nth == 0 { most } else { self.size_of(most, nth) };
                self.by_index(window, Place::first(parameter, size), enough)
            }
            Paging::Cursor => self.by_cursor(window, nth, most, enough),
        }
    }

    /// Returns the size of the nth walk's pages, as things stand.
    fn size_of(&self, most: u64, nth: usize) -> u64 {
        size_of_walk(most.min(u64::from(self.size.current())), nth)
    }

    /// Reads pages by their number, from one on.
    fn by_index(
        self,
        window: Option<Window>,
        mut place: Place,
        enough: Arc<AtomicBool>,
    ) -> BoxStream<'static, Result<Option<Got>>> {
        try_stream! {
            let mut largest = place.size;
            let mut open = FuturesOrdered::new();
            // What is left of a page that was too much: its turn is before that of all that is open.
            let mut parts: VecDeque<Place> = VecDeque::new();
            // So many records there are as far as is known, or one more than came where only the next page tells.
            let mut known = place.offset() + 1;
            let (mut ended, mut broke, mut bytes) = (false, false, 0);
            loop {
                if enough.load(Ordering::Relaxed) {
                    ended = true;
                    parts.clear();
                }
                while !ended && parts.is_empty() && place.offset() < known && open.len() < AHEAD {
                    place = place.in_pages_of(u64::from(self.size.current()).min(largest));
                    let next = if open.is_empty() {
                        // The page whose turn it is needs no leave: every listing gets on.
                        self.clone().ask(window, Place { is_next: true, ..place }, None)
                    } else {
                        let Some(leave) = self.client.leave_for(self.expected_bytes(place.size).max(bytes)) else { break };
                        self.clone().ask(window, place, Some(leave))
                    };
                    open.push_back(next);
                    // Asked for ahead: the listing may end before it by now.
                    place = Place { index: place.index + 1, if_refused: Refused::Doubt, ..place };
                }
                let Some((asked, came, _leave)) = open.next().await else { break };
                match came? {
                    Came::Page(got) => {
                        bytes = got.bytes;
                        let Word { last, granted, if_refused, .. } = got.word;
                        if let Some(granted) = granted {
                            // Such a platform counts its pages in its own size.
                            parts.clear();
                            place = Place { index: 1, size: granted, ..place };
                            largest = granted;
                        }
                        ended |= last;
                        known = known.max(got.page.facts.total.unwrap_or_default());
                        yield Some(*got);
                        if last {
                            parts.clear();
                        } else if let Some(part) = parts.pop_front() {
                            open.push_front(self.clone().ask(window, Place { if_refused, ..part }, None));
                        } else if open.is_empty() {
                            place.if_refused = if_refused;
                            known = known.max(place.offset() + 1);
                        }
                    }
                    Came::TooMuch { part, spent, too_slow } => {
                        let mut of_it = asked.parts(part);
                        let first = Place { if_refused: asked.if_refused, spent, too_slow, ..of_it.next().expect("a page has a part") };
                        of_it.rev().for_each(|part| parts.push_front(part));
                        open.push_front(self.clone().ask(window, first, None));
                    }
                    Came::End => {
                        ended = true;
                        parts.clear();
                    }
                    Came::Doubt => {
                        (ended, broke) = (true, true);
                        parts.clear();
                    }
                }
            }
            // Pages that were asked for ahead came meanwhile: their records would pass for known ones.
            if broke {
                yield None;
            }
        }
        .boxed()
    }

    async fn ask(
        self,
        window: Option<Window>,
        place: Place,
        leave: Option<Taken>,
    ) -> (Place, Result<Came>, Option<Taken>) {
        (place, self.page(window, place).await, leave)
    }

    /// Asks for one page, unless it is known by now to be too much.
    async fn page(self, window: Option<Window>, place: Place) -> Result<Came> {
        let Place { parameter, index, size, if_refused, is_next, spent, too_slow } = place;
        let wanted = u64::from(self.size.current());
        if wanted < size && size.is_multiple_of(wanted) {
            return Ok(Came::TooMuch { part: wanted, spent, too_slow });
        }
        let call = self.call(window, size).query(parameter, index).spent(spent);
        let expected = self.expected_bytes(size);
        let call = if is_next { call.in_room_for(expected) } else { call.of_about(expected) };
        match self.client.send(&call, &self.decode).await {
            Ok(answer) => {
                self.fine(size, &answer, too_slow);
                let word = Word::of(&answer.value.facts, index, size);
                Ok(Came::Page(Box::new(got(answer, word))))
            }
            // Some platforms refuse what is beyond the end.
            Err(SendError::Answered(StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND, error)) => {
                match if_refused {
                    Refused::End => Ok(Came::End),
                    Refused::Doubt => {
                        warn!(tenant = %self.client.tenant(), error = %error, "who knows whether there is more behind the last page: it is refused");
                        Ok(Came::Doubt)
                    }
                    Refused::Failure => Err(error),
                }
            }
            // It has to wait for its turn, and takes room then.
            Err(SendError::TooSlow(_, spent)) if !is_next && spent.bytes > 0 => {
                Ok(Came::TooMuch { part: size, spent, too_slow: None })
            }
            Err(SendError::TooSlow(error, spent)) => {
                let too_slow = spent.too_slow(size);
                match self.smaller(size, spent) {
                    Some(part) if size.is_multiple_of(part) => Ok(Came::TooMuch { part, spent, too_slow }),
                    // Pages of this size have no parts that are asked for; the next walk has smaller ones.
                    Some(_) => {
                        self.too_slow(too_slow);
                        Ok(Came::Doubt)
                    }
                    None => Err(error),
                }
            }
            Err(SendError::OutOfTime(error)) => {
                self.too_slow(Some(size));
                Err(error)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn by_cursor(
        self,
        window: Option<Window>,
        nth: usize,
        most: u64,
        enough: Arc<AtomicBool>,
    ) -> BoxStream<'static, Result<Option<Got>>> {
        try_stream! {
            let mut size = self.size_of(most, nth);
            let mut cursor: Option<String> = None;
            let mut given = HashSet::new();
            let mut spent = Spent::default();
            let mut too_slow = None;
            while !enough.load(Ordering::Relaxed) {
                let mut call = self.call(window, size).spent(spent).in_room_for(self.expected_bytes(size));
                if let Some(cursor) = &cursor {
                    call = call.query("cursor", cursor);
                }
                match self.client.send(&call, &self.decode).await {
                    Ok(answer) => {
                        self.fine(size, &answer, too_slow.take());
                        spent = Spent::default();
                        let facts = answer.value.facts.clone();
                        let following = facts.cursor.clone().filter(|_| facts.rows > 0);
                        let by_number = Word::of(&facts, 0, size);
                        let goes_on_by_number = cursor.is_none() && following.is_none() && !by_number.last;
                        let by_cursor = Word::of_cursor(&facts, following.is_none());
                        yield Some(got(answer, if goes_on_by_number { by_number } else { by_cursor }));
                        let Some(following) = following else {
                            if goes_on_by_number {
                                let Word { if_refused, granted, .. } = by_number;
                                let size = granted.unwrap_or(size);
                                let second = Place { index: 1, if_refused, ..Place::first(PAGE, size) };
                                let mut pages = self.clone().by_index(window, second, enough);
                                while let Some(got) = pages.next().await {
                                    yield got?;
                                }
                            }
                            break;
                        };
                        if !given.insert(following.clone()) {
                            warn!(tenant = %self.client.tenant(), path = &*self.path, "the platform gave a cursor twice; going no further");
                            yield None;
                            break;
                        }
                        cursor = Some(following);
                        size = self.size_of(most, nth);
                    }
                    Err(SendError::TooSlow(error, took)) => match self.smaller(size, took) {
                        Some(smaller) => {
                            too_slow = took.too_slow(size);
                            (size, spent) = (smaller, took);
                        }
                        None => Err(error)?,
                    },
                    Err(SendError::Answered(StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::GONE, error)) if cursor.is_some() => {
                        warn!(tenant = %self.client.tenant(), error = %error, "the cursor is no longer good; reading from the beginning");
                        yield None;
                        break;
                    }
                    Err(SendError::OutOfTime(error)) => {
                        self.too_slow(Some(size));
                        Err(error)?;
                    }
                    Err(error) => Err(Error::from(error))?,
                }
            }
        }
        .boxed()
    }

    fn call(&self, window: Option<Window>, size: u64) -> Call {
        let request = &self.endpoint.request;
        let listing = &self.endpoint.datasets[0];
        let what = format!("read {}", listing.name);
        let mut call = match request.body {
            Some(body) => Call::search(listing.family, what, self.path.to_string(), body(window)),
            None => Call::get(listing.family, what, self.path.to_string()),
        };
        if let Some(version) = request.accept_version {
            call = call.header(ACCEPT_VERSION, HeaderValue::from_static(version));
        }
        for (name, value) in (request.query)(window) {
            call = call.query(name, value);
        }
        let records = u32::try_from(size).unwrap_or(u32::MAX);
        call.query("size", size).can_shrink(self.size.smaller(records).is_some()).in_turn(&self.turn)
    }

    /// Hears what a page took; `too_slow` is the size that it was asked for in before, and took too long.
    fn fine(&self, size: u64, answer: &Answer<Page>, too_slow: Option<u64>) {
        self.too_slow(too_slow);
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        self.size.fine(size, answer.value.facts.rows, answer.elapsed, answer.bytes);
    }

    fn expected_bytes(&self, size: u64) -> u64 {
        self.size.expected_bytes(u32::try_from(size).unwrap_or(u32::MAX))
    }

    fn smaller(&self, size: u64, spent: Spent) -> Option<u64> {
        let size = u32::try_from(size).ok()?;
        if spent.bytes > 0 {
            self.size.too_large(size, spent.bytes);
        }
        // Others may know by now that far smaller ones are needed.
        self.size.smaller(size).map(|smaller| u64::from(smaller.min(self.size.current())))
    }

    /// Hears that pages of a size take too long: the others had better begin with smaller ones.
    fn too_slow(&self, size: Option<u64>) {
        if let Some(size) = size.and_then(|size| u32::try_from(size).ok()) {
            self.size.too_slow(size);
        }
    }

    /// Makes a batch of a page, of the datasets that were chosen.
    fn batch(&self, got: Got) -> Batch {
        let Got { page: Page { facts, decoded }, requests, bytes, room, .. } = got;
        let batch = self.endpoint.batch(decoded, |name| self.partition.has(name));
        let tally = Tally { pages: 1, bytes, requests, claimed_last: facts.total, ..batch.tally };
        Batch { tally, room: room.map(|room| Arc::new(room) as _), ..batch }
    }
}

fn got(answer: Answer<Page>, word: Word) -> Got {
    let Answer { value: page, requests, bytes, room, .. } = answer;
    Got { page, requests, bytes, word, room }
}

fn decode(decoder: &mut Decoder, seen: &mut Seen, body: &[u8]) -> Result<Page, BadBody> {
    let facts = match decoder.decode(body, seen) {
        Ok(facts) => facts,
        Err(PageError::Foreign(organization)) => {
            let text =
                format!("keep the tenants apart: an answer held records of organization {organization}");
            let error = Error::new(ErrorKind::Isolation, text).with_hint(
                "nothing of this reading was committed; tell the vendor's support which request it was",
            );
            return Err(BadBody::Final(error));
        }
        Err(error @ PageError::Scratch(_)) => return Err(BadBody::Final(no_room(error))),
        Err(error) => return Err(BadBody::malformed(error)),
    };
    let decoded = decoder
        .take()
        .map_err(|error| Error::new(ErrorKind::Bug, "lay out a page's columns").with_source(error))?;
    Ok(Page { facts, decoded })
}
