//! A page: its envelope, in whatever order its members stand, and the records in it.

use twox_hash::XxHash3_128;

use super::json::{Begins, Json, Syntax};
use super::record::whole;

/// Where a page keeps its records and what it says about the listing.
#[derive(Debug, Clone, Copy)]
pub struct PageShape {
    /// The member that holds the records.
    pub rows: &'static str,
    /// Members of `metadata`, and what they say.
    pub facts: &'static [(&'static str, Fact)],
    /// A member that must be empty for the page to be whole, beside those that tell of errors.
    pub failures: Option<&'static str>,
    /// Whether its records tell of other organizations, and then name those.
    pub tells_of_others: bool,
    /// Whether a list without an envelope is all there is, and a record without a list the only one.
    pub may_be_bare: bool,
}

/// Members of an envelope that tell of what went wrong, in the spellings of the platform's families.
pub const ERRORS: [&str; 5] = ["error", "errors", "error_code", "errorCode", "status"];

/// Returns whether such a member's value says that something did.
pub fn tells_of_error(name: &str, value: &[u8]) -> bool {
    const NOTHING: [&str; 6] = ["null", "[]", "{}", "\"\"", "false", "0"];
    if name == "status" {
        // A status may be a word as well.
        return number(value).is_some_and(|status| status >= 400);
    }
    let value = value.iter().filter(|byte| !byte.is_ascii_whitespace());
    !NOTHING.iter().any(|nothing| value.clone().eq(nothing.as_bytes()))
}

/// Reads a whole number, in quotes or not.
fn number(text: &[u8]) -> Option<u64> {
    let digits =
        text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text).trim_ascii();
    whole(digits).filter(|_| !digits.is_empty()).and_then(|number| u64::try_from(number).ok())
}

/// What a member of `metadata` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// How many records the listing has.
    Total,
    /// How many pages it has at this size.
    Pages,
    /// The page size that was granted.
    Size,
    /// Whether this is the last page.
    Last,
    /// The position of the next page.
    Cursor,
}

/// What a page said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageFacts {
    /// Records in the page.
    pub rows: u64,
    /// Records in it that were not seen before: kept, or set aside for the first time. One that came before with
    /// other content, or in another version, is not among them.
    pub fresh: u64,
    /// Records in it that no page before it in the same walk had.
    pub distinct: u64,
    /// Records in the listing.
    pub total: Option<u64>,
    /// Pages in the listing.
    pub pages: Option<u64>,
    /// The page size that was granted.
    pub size: Option<u64>,
    /// Whether it said that it is the last page.
    pub last: Option<bool>,
    /// The position of the next page.
    pub cursor: Option<String>,
    /// The order of its records.
    pub order: Order,
}

/// The digest of records in an order: the same for the same records in the same order, however they were cut into
/// pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    digest: u128,
    factor: u128,
}

impl Default for Order {
    fn default() -> Self {
        Self { digest: 0, factor: 1 }
    }
}

impl Order {
    /// Adds a record by its text.
    pub fn add(&mut self, text: &[u8]) {
        self.add_digest(digest(text));
    }

    pub(super) fn add_digest(&mut self, digest: u128) {
        /// Odd, so that no record's part is ever shifted out.
        const FACTOR: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;
        self.append(Self { digest, factor: FACTOR });
    }

    /// Adds the records that follow.
    pub fn append(&mut self, later: Self) {
        self.digest = self.digest.wrapping_mul(later.factor).wrapping_add(later.digest);
        self.factor = self.factor.wrapping_mul(later.factor);
    }
}

/// Returns the digest of a record's text.
pub(super) fn digest(text: &[u8]) -> u128 {
    XxHash3_128::oneshot(text)
}

impl PageFacts {
    /// Reads `metadata`; what is missing or has another type is left out.
    pub(super) fn read(&mut self, json: &mut Json<'_>, facts: &[(&str, Fact)]) -> Result<(), Syntax> {
        if json.begins()? != Begins::Object {
            return json.skip().map(drop);
        }
        json.expect(b'{')?;
        let mut first = true;
        while json.another(&mut first, b'}')? {
            let name = json.name()?;
            json.check_escapes(name)?;
            let known = facts.iter().find(|(key, _)| name.is(key));
            match known {
                Some((_, fact)) => self.set(*fact, json)?,
                None => json.skip().map(drop)?,
            }
        }
        Ok(())
    }

    fn set(&mut self, fact: Fact, json: &mut Json<'_>) -> Result<(), Syntax> {
        let begins = json.begins()?;
        let text = json.skip()?;
        match fact {
            Fact::Total => self.total = number(text),
            Fact::Pages => self.pages = number(text),
            Fact::Size => self.size = number(text),
            Fact::Last => {
                self.last = (begins == Begins::True || begins == Begins::False).then_some(text == b"true");
            }
            Fact::Cursor if begins == Begins::String => {
                self.cursor = serde_json::from_slice(text).ok().filter(|it: &String| !it.is_empty());
            }
            Fact::Cursor => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(records: &[&str]) -> Order {
        let mut order = Order::default();
        records.iter().for_each(|record| order.add(record.as_bytes()));
        order
    }

    #[test]
    fn an_order_is_the_same_however_it_is_cut() {
        let whole = order(&["a", "b", "c", "a"]);
        for at in 0..=4 {
            let (first, rest) = ["a", "b", "c", "a"].split_at(at);
            let mut pages = order(first);
            pages.append(order(rest));
            assert_eq!(pages, whole, "{at}");
        }
        for other in [&["a", "b", "a", "c"][..], &["a", "b", "c"], &["a", "b", "c", "b"], &["b", "c", "a"]] {
            assert_ne!(order(other), whole, "{other:?}");
        }
    }
}
