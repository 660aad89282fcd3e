//! How each column of a file is encoded, by what its records look like.
//!
//! A dictionary is worth building where values come again, and is built in vain where nearly every value is another.
//! A compressor is worth setting up, once a column, where there is much to compress: most columns of a few hundred
//! records are a handful of values and a few bits a row.

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{
    DataType, Field, Float64Type, Int32Type, Int64Type, Schema, TimestampMicrosecondType,
};
use parquet::schema::types::ColumnPath;
use twox_hash::XxHash3_64;

/// What a column may take, encoded but not compressed.
const SMALL: usize = 1024;

/// Differences between so many instants are packed so well that a compressor finds little more.
const FEW_INSTANTS: usize = 512;

/// The values that are looked at, spread over all.
const SAMPLE: usize = 32;

/// Fewer values than these do not tell whether a dictionary is worth it.
const TELLING: usize = 8;

/// Different values among the sample that make a column more than a handful of them.
const HANDFUL: usize = 16;

/// How a column is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoded {
    pub(super) values: Values,
    /// Whether it takes so little, if these are all its values, that a compressor is not worth it.
    pub(super) is_small: bool,
}

/// How a column's values are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// Each different value once, and for each row a few bits.
    Dictionary,
    /// Value after value.
    Plain,
    /// The differences between one and the next.
    Differences,
}

/// One column of a file: a field, or what is nested in one.
pub(super) struct Leaf<'a> {
    pub(super) path: ColumnPath,
    data_type: &'a DataType,
    /// Its part of each batch of records.
    arrays: Vec<&'a dyn Array>,
}

/// Returns the columns that a file of these records has.
pub(super) fn leaves<'a>(schema: &'a Schema, records: &'a [RecordBatch]) -> Vec<Leaf<'a>> {
    let mut leaves = Vec::new();
    for (at, field) in schema.fields().iter().enumerate() {
        let arrays = records.iter().map(|records| records.column(at).as_ref()).collect();
        add(field, &mut Vec::new(), arrays, &mut leaves);
    }
    leaves
}

fn add<'a>(
    field: &'a Field,
    path: &mut Vec<&'a str>,
    arrays: Vec<&'a dyn Array>,
    leaves: &mut Vec<Leaf<'a>>,
) {
    path.push(field.name());
    match field.data_type() {
        DataType::Struct(fields) => {
            for (at, field) in fields.iter().enumerate() {
                let children = arrays.iter().map(|array| array.as_struct().column(at).as_ref()).collect();
                add(field, path, children, leaves);
            }
        }
        DataType::List(item) => {
            path.push("list");
            let items = arrays.iter().map(|array| array.as_list::<i32>().values().as_ref()).collect();
            add(item, path, items, leaves);
            path.pop();
        }
        data_type => {
            let path = ColumnPath::new(path.iter().map(|&name| name.to_owned()).collect());
            leaves.push(Leaf { path, data_type, arrays });
        }
    }
    path.pop();
}

impl Leaf<'_> {
    /// Returns how it is best encoded; `is_unique` says that no two of its values are the same.
    pub(super) fn encoded(&self, is_unique: bool) -> Encoded {
        let len: usize = self.arrays.iter().map(|array| array.len()).sum();
        let nulls: usize = self.arrays.iter().map(|array| array.null_count()).sum();
        let (values, is_small) = match self.data_type {
            DataType::Boolean => (Values::Plain, len / 8 <= SMALL),
            DataType::Timestamp(..) => {
                let is_small = len - nulls <= FEW_INSTANTS || self.sample(len).different.len() == 1;
                (Values::Differences, is_small)
            }
            _ if is_unique => (Values::Plain, self.bytes() <= SMALL),
            _ => {
                let sample = self.sample(len);
                if sample.is_all_different() {
                    (Values::Plain, self.bytes() <= SMALL)
                } else {
                    // So many values are told apart by four bits.
                    let is_small = sample.different.len() < HANDFUL && sample.bytes + len / 2 <= SMALL;
                    (Values::Dictionary, is_small)
                }
            }
        };
        Encoded { values, is_small: is_small || len == nulls }
    }

    /// Returns what its values take one after the other.
    fn bytes(&self) -> usize {
        let bytes = |array: &&dyn Array| match self.data_type {
            DataType::Utf8 => {
                let offsets = array.as_string::<i32>().value_offsets();
                // With the length of each.
                (offsets[array.len()] - offsets[0]) as usize + 4 * array.len()
            }
            _ => 8 * array.len(),
        };
        self.arrays.iter().map(bytes).sum()
    }

    /// Looks at values here and there.
    fn sample(&self, len: usize) -> Sample {
        let step = len.div_ceil(SAMPLE).max(1);
        let mut sample = Sample::default();
        let mut at = 0;
        for array in &self.arrays {
            while at < array.len() {
                if array.is_valid(at) {
                    self.add(*array, at, &mut sample);
                }
                at += step;
            }
            at -= array.len();
        }
        sample
    }

    fn add(&self, array: &dyn Array, at: usize, sample: &mut Sample) {
        match self.data_type {
            DataType::Utf8 => sample.add_text(array.as_string::<i32>().value(at)),
            DataType::Dictionary(..) => {
                let texts = array.as_dictionary::<Int32Type>();
                if let Some(texts) = texts.downcast_dict::<StringArray>() {
                    sample.add_text(texts.values().value(texts.keys().value(at) as usize));
                }
            }
            DataType::Int64 => sample.add(array.as_primitive::<Int64Type>().value(at) as u64, 8),
            DataType::Float64 => sample.add(array.as_primitive::<Float64Type>().value(at).to_bits(), 8),
            DataType::Timestamp(..) => {
                sample.add(array.as_primitive::<TimestampMicrosecondType>().value(at) as u64, 8);
            }
            _ => {}
        }
    }
}

/// Some of a column's values.
#[derive(Default)]
struct Sample {
    seen: usize,
    /// What tells the different ones apart.
    different: Vec<u64>,
    /// What these take.
    bytes: usize,
}

impl Sample {
    fn add_text(&mut self, text: &str) {
        // With its length.
        self.add(XxHash3_64::oneshot(text.as_bytes()), text.len() + 4);
    }

    fn add(&mut self, value: u64, bytes: usize) {
        self.seen += 1;
        if !self.different.contains(&value) {
            self.different.push(value);
            self.bytes += bytes;
        }
    }

    fn is_all_different(&self) -> bool {
        self.seen >= TELLING && self.different.len() == self.seen
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, ListArray, StructArray,
        TimestampMicrosecondArray,
    };
    use arrow::buffer::OffsetBuffer;

    use super::*;

    fn check(what: &str, array: &ArrayRef, values: Values, is_small: bool) {
        let half = array.len() / 2;
        let records = |array: ArrayRef| RecordBatch::try_from_iter([("a", array)]).expect("one column");
        let both = [records(array.slice(0, half)), records(array.slice(half, array.len() - half))];
        let schema = both[0].schema();
        let leaves = leaves(&schema, &both);
        assert_eq!(leaves.len(), 1, "{what}");
        assert_eq!(leaves[0].encoded(false), Encoded { values, is_small }, "{what}");
        let expected = if values == Values::Dictionary { Values::Plain } else { values };
        assert_eq!(leaves[0].encoded(true).values, expected, "{what}, unique");
    }

    fn texts(rows: usize, different: usize) -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("value {}", row * 7 % different))))
    }

    #[test]
    fn a_column_is_encoded_by_what_its_values_look_like() {
        use Values::*;
        let numbers = |count: i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(0..count)) };
        let floats = |count: i64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values((0..count).map(|n| (n % 3) as f64)))
        };
        let times = |step: i64, count: i64| -> ArrayRef {
            let times = (0..count).map(|n| n * step);
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
        };
        let truths = |rows: usize| -> ArrayRef { Arc::new(BooleanArray::from(vec![true; rows])) };
        check("one text", &texts(1000, 1), Dictionary, true);
        check("a few texts", &texts(1000, 10), Dictionary, true);
        check("a few texts of many rows", &texts(3000, 10), Dictionary, false);
        check("more than a handful", &texts(1000, 25), Dictionary, false);
        check("hardly any text twice", &texts(1000, 1000), Plain, false);
        check("few texts, none twice", &texts(60, 60), Plain, true);
        check("too few to tell", &texts(4, 4), Dictionary, true);
        check("numbers", &numbers(1000), Plain, false);
        check("few numbers", &numbers(100), Plain, true);
        check("three numbers", &floats(1000), Dictionary, true);
        check("instants", &times(1, 1000), Differences, false);
        check("few instants", &times(1, 500), Differences, true);
        check("one instant", &times(0, 100_000), Differences, true);
        check("truths", &truths(8000), Plain, true);
        check("many truths", &truths(9000), Plain, false);
        let dictionary: DictionaryArray<Int32Type> = std::iter::repeat_n("acme", 1000).collect();
        check("a dictionary of one", &(Arc::new(dictionary) as ArrayRef), Dictionary, true);
        check("nothing", &(Arc::new(StringArray::new_null(100_000)) as ArrayRef), Dictionary, true);
        check("no rows", &texts(0, 1), Dictionary, true);
    }

    #[test]
    fn what_is_nested_is_columns_of_its_own() {
        let id: ArrayRef = texts(40, 40);
        let kind: ArrayRef = texts(40, 2);
        let field = |name: &str, array: &ArrayRef| Field::new(name, array.data_type().clone(), true);
        let records: ArrayRef = Arc::new(StructArray::from(vec![
            (Arc::new(field("id", &id)), id.clone()),
            (Arc::new(field("kind", &kind)), kind.clone()),
        ]));
        let item = Arc::new(field("item", &records));
        let list = ListArray::new(item, OffsetBuffer::from_lengths([10, 0, 30]), records, None);
        let batch = RecordBatch::try_from_iter([("tags", Arc::new(list) as ArrayRef), ("name", texts(3, 3))]);
        let batch = batch.expect("two columns");
        let schema = batch.schema();
        let found = leaves(&schema, std::slice::from_ref(&batch));
        let found: Vec<_> =
            found.iter().map(|leaf| (leaf.path.string(), leaf.encoded(false).values)).collect();
        let expected = [
            ("tags.list.item.id", Values::Plain),
            ("tags.list.item.kind", Values::Dictionary),
            ("name", Values::Dictionary),
        ];
        assert_eq!(found, expected.map(|(path, values)| (path.to_owned(), values)));
        // The file's columns go by the same names: a property of another name would be none.
        let file = parquet::arrow::ArrowSchemaConverter::new().convert(&schema).expect("a schema");
        let names: Vec<_> = file.columns().iter().map(|column| column.path().string()).collect();
        assert_eq!(names, expected.map(|(path, _)| path.to_owned()));
    }
}
