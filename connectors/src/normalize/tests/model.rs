//! What a decoded row has to be, worked out on a tree of JSON: slow, and easy to see through.

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};

use super::{Field, Kind, Owner};

/// Returns the row that a record has to become.
pub(super) fn row(fields: &[Field], record: &Map<String, Value>) -> Map<String, Value> {
    let mut extra = Map::new();
    let mut row = members(fields, record, "", &mut extra);
    row.insert("extra".to_owned(), if extra.is_empty() { Value::Null } else { Value::Object(extra) });
    row
}

fn members(
    fields: &[Field],
    record: &Map<String, Value>,
    path: &str,
    extra: &mut Map<String, Value>,
) -> Map<String, Value> {
    let place = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for (key, value) in record {
        if fields.iter().all(|field| field.key != key) {
            extra.insert(place(key), value.clone());
        }
    }
    let columns = fields.iter().filter(|field| field.owner != Owner::IdAlone);
    columns
        .map(|field| {
            let given = record.get(field.key).unwrap_or(&Value::Null);
            (field.name.to_owned(), value(&field.kind, given, &place(field.key), extra))
        })
        .collect()
}

fn value(kind: &Kind, given: &Value, path: &str, extra: &mut Map<String, Value>) -> Value {
    match (kind, given) {
        (_, Value::Null) => Value::Null,
        (Kind::Utf8, Value::Number(_) | Value::Bool(_)) => json!(given.to_string()),
        (Kind::Timestamp, Value::String(text)) => match chrono::DateTime::parse_from_rfc3339(text) {
            Ok(time) => json!(time.timestamp_micros()),
            Err(_) => {
                extra.insert(path.to_owned(), given.clone());
                Value::Null
            }
        },
        (Kind::List(item), Value::Array(items)) => {
            let items = items.iter().enumerate();
            items.map(|(at, given)| value(item, given, &format!("{path}[{at}]"), extra)).collect()
        }
        (Kind::List(item), single) => json!([value(item, single, &format!("{path}[0]"), extra)]),
        (Kind::Struct(fields), Value::Object(record)) => Value::Object(members(fields, record, path, extra)),
        _ => given.clone(),
    }
}

/// Spells JSON in one of the many ways there are: members in any order, spaces, escapes.
pub(super) fn spell(value: &Value, seed: u64) -> String {
    let mut speller = Speller { dice: SmallRng::seed_from_u64(seed), text: String::new() };
    speller.value(value);
    speller.text
}

struct Speller {
    dice: SmallRng,
    text: String,
}

impl Speller {
    fn value(&mut self, value: &Value) {
        self.space();
        match value {
            Value::String(text) => self.string(text),
            Value::Array(items) => self.several('[', ']', items.iter().collect(), Self::value),
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.shuffle(&mut self.dice);
                self.several('{', '}', members, |speller, (name, value)| {
                    speller.string(name);
                    speller.space();
                    speller.text.push(':');
                    speller.value(value);
                });
            }
            other => self.text.push_str(&other.to_string()),
        }
        self.space();
    }

    fn several<T>(&mut self, open: char, close: char, items: Vec<T>, spell: impl Fn(&mut Self, T)) {
        self.text.push(open);
        for (at, item) in items.into_iter().enumerate() {
            if at > 0 {
                self.text.push(',');
                self.space();
            }
            spell(self, item);
        }
        self.text.push(close);
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for character in text.chars() {
            if character < ' ' || matches!(character, '"' | '\\') || self.dice.random_ratio(1, 12) {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    self.text.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                self.text.push(character);
            }
        }
        self.text.push('"');
    }

    fn space(&mut self) {
        if self.dice.random_ratio(1, 8) {
            self.text.push([' ', '\n', '\t', '\r'][self.dice.random_range(0..4)]);
        }
    }
}
