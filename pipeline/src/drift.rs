//! What the platform sends that a dataset's schema does not know, or knows otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use arrow::array::{Array, StringArray};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::batch::{Records, Reject};
use crate::dataset::EXTRA;

/// Names beyond this many are counted under [`OTHERS`]: they are data in the place of names.
const MOST_NAMES: usize = 64;

/// Stands for every name beyond the most that are told.
pub const OTHERS: &str = "...";

/// How a dataset's records differed from its schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// Members that the schema does not know, by name; their values are kept in [`EXTRA`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown: BTreeMap<String, Unknown>,
    /// Columns that a value did not fit, and how many records were set aside for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub misfits: BTreeMap<String, u64>,
}

/// A member that the schema does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// Records that had it.
    pub records: u64,
    /// The types of its values.
    pub types: BTreeSet<JsonType>,
}

/// The type of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JsonType {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// A text.
    String,
    /// A list.
    Array,
    /// A record.
    Object,
}

impl JsonType {
    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}

impl Drift {
    /// Returns whether nothing differed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the same with the names as they may be shown: they are the platform's, and are told wherever receipts are.
    pub(crate) fn shown_as(self, scrub: impl Fn(&str) -> String) -> Self {
        let mut shown = Self::default();
        let one = |name: &str, seen| [(scrub(name), seen)].into();
        for (name, seen) in self.unknown {
            shown.add(&Self { unknown: one(&name, seen), ..Self::default() });
        }
        for (name, records) in self.misfits {
            *bounded(&mut shown.misfits, &scrub(&name)) += records;
        }
        shown
    }

    /// Takes in what records have beside their columns.
    pub(crate) fn see(&mut self, records: &Records) {
        let extra = records.columns.column_by_name(EXTRA);
        let Some(texts) = extra.and_then(|column| column.as_any().downcast_ref::<StringArray>()) else {
            return;
        };
        if texts.null_count() == texts.len() {
            return;
        }
        for text in texts.iter().flatten() {
            // What wrote the column wrote JSON; anything else is nobody's member.
            for (name, kind) in
                serde_json::from_str::<Members>(text).map(|members| members.0).unwrap_or_default()
            {
                let unknown = bounded(&mut self.unknown, &name);
                unknown.records += 1;
                unknown.types.insert(kind);
            }
        }
    }

    /// Takes in a record that was set aside.
    pub(crate) fn set_aside(&mut self, reject: &Reject) {
        *bounded(&mut self.misfits, &reject.column) += 1;
    }

    /// Adds what a later partition saw.
    pub(crate) fn add(&mut self, later: &Self) {
        for (name, seen) in &later.unknown {
            let unknown = bounded(&mut self.unknown, name);
            unknown.records += seen.records;
            unknown.types.extend(&seen.types);
        }
        for (column, records) in &later.misfits {
            *bounded(&mut self.misfits, column) += records;
        }
    }
}

fn bounded<'a, T: Default>(names: &'a mut BTreeMap<String, T>, name: &str) -> &'a mut T {
    let is_told = names.len() < MOST_NAMES || names.contains_key(name);
    names.entry(if is_told { name } else { OTHERS }.to_owned()).or_default()
}

/// The members of a record, each with the type of its value.
struct Members(Vec<(String, JsonType)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Record;
        impl<'de> Visitor<'de> for Record {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, JsonTypeOf>()? {
                    members.push((member.0, member.1.0));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Record)
    }
}

/// Only the type of a value.
struct JsonTypeOf(JsonType);

impl<'de> Deserialize<'de> for JsonTypeOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl<'de> Visitor<'de> for Value {
            type Value = JsonType;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<JsonType, E> {
                Ok(JsonType::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<JsonType, E> {
                Ok(JsonType::Boolean)
            }

            fn visit_i64<E>(self, _: i64) -> Result<JsonType, E> {
                Ok(JsonType::Number)
            }

            fn visit_u64<E>(self, _: u64) -> Result<JsonType, E> {
                Ok(JsonType::Number)
            }

            fn visit_f64<E>(self, _: f64) -> Result<JsonType, E> {
                Ok(JsonType::Number)
            }

            fn visit_str<E>(self, _: &str) -> Result<JsonType, E> {
                Ok(JsonType::String)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<JsonType, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(JsonType::Array)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<JsonType, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(JsonType::Object)
            }
        }
        deserializer.deserialize_any(Value).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::RecordBatch;
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::Dataset;
    use crate::testing::dataset;

    fn records(extras: &[Option<&str>]) -> Records {
        let schema = Arc::new(Schema::new(vec![Field::new(EXTRA, DataType::Utf8, true)]));
        let column = Arc::new(extras.iter().copied().collect::<StringArray>());
        let columns = RecordBatch::try_new(schema.clone(), vec![column]).expect("one column");
        Records { dataset: Arc::new(Dataset { schema, ..Dataset::clone(&dataset("x", "f")) }), columns }
    }

    #[test]
    fn members_that_the_schema_does_not_know_are_counted_with_their_types() {
        let mut drift = Drift::default();
        drift.see(&records(&[
            Some(r#"{"a":1,"b":[1,{"c":2}]}"#),
            None,
            Some(r#"{"a":"x","d":{"e":null},"f":null}"#),
        ]));
        drift.see(&records(&[Some(r#"{"a":true,"g":1.5e300}"#)]));
        let told: Vec<(&str, u64, String)> = drift
            .unknown
            .iter()
            .map(|(name, it)| {
                let types: Vec<&str> = it.types.iter().map(|kind| kind.as_str()).collect();
                (name.as_str(), it.records, types.join(" "))
            })
            .collect();
        let expected = [
            ("a", 3, "boolean number string"),
            ("b", 1, "array"),
            ("d", 1, "object"),
            ("f", 1, "null"),
            ("g", 1, "number"),
        ];
        assert_eq!(told, expected.map(|(name, records, types)| (name, records, types.to_owned())));
    }

    #[test]
    fn bounded_names_without_end_are_told_as_others() {
        let mut drift = Drift::default();
        let texts: Vec<String> = (0..200).map(|number| format!(r#"{{"n{number}":1}}"#)).collect();
        drift.see(&records(&texts.iter().map(|text| Some(text.as_str())).collect::<Vec<_>>()));
        assert_eq!(drift.unknown.len(), MOST_NAMES + 1);
        assert_eq!(drift.unknown.values().map(|it| it.records).sum::<u64>(), 200);
    }
}
