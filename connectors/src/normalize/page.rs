//! A page: its envelope, in whatever order its members stand, and the records in it.

use super::json::{Begins, Json, Syntax};

/// Where a page keeps its records and what it says about the listing.
#[derive(Debug, Clone, Copy)]
pub struct PageShape {
    /// The member that holds the records.
    pub rows: &'static str,
    /// Members of `metadata`, and what they say.
    pub facts: &'static [(&'static str, Fact)],
    /// A member whose list must be empty for the page to be whole.
    pub failures: Option<&'static str>,
    /// Whether its records tell of other organizations, and then name those.
    pub tells_of_others: bool,
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
    /// other content is not among them.
    pub fresh: u64,
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
        let number = || std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        match fact {
            Fact::Total => self.total = number(),
            Fact::Pages => self.pages = number(),
            Fact::Size => self.size = number(),
            Fact::Last => {
                self.last = (begins == Begins::True || begins == Begins::False).then_some(text == b"true");
            }
            Fact::Cursor if begins == Begins::String => self.cursor = serde_json::from_slice(text).ok(),
            Fact::Cursor => {}
        }
        Ok(())
    }
}
