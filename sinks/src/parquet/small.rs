//! The columns of a small file that are not worth a compressor.
//!
//! Most columns of a few hundred records are a handful of values and a few bits a row. There a compressor saves
//! nothing, and setting it up, once a column, takes longer than all the encoding.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};

/// What a column may take, encoded but not compressed.
const SMALL: usize = 1024;

/// More values than these are not looked for: each is compared with all.
const FEW: usize = 16;

/// How a column's values are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueLayout {
    /// Each different value once, and for each row a few bits.
    Dictionary,
    /// Value after value.
    Plain,
}

/// Returns whether a column of these records, encoded but not compressed, is certainly small.
pub(super) fn is_small(records: &[&RecordBatch], column: usize, layout: ValueLayout) -> bool {
    let rows: usize = records.iter().map(|records| records.num_rows()).sum();
    let mut size = match layout {
        ValueLayout::Dictionary => Size::of_dictionary(rows),
        ValueLayout::Plain => Size::default(),
    };
    records.iter().all(|records| size.add(records.column(column)))
}

/// Adds up what a column takes.
#[derive(Default)]
struct Size<'a> {
    bytes: usize,
    /// The different values, where only those count.
    different: Option<Vec<Value<'a>>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Value<'a> {
    Text(&'a str),
    Number(u64),
}

impl<'a> Size<'a> {
    fn of_dictionary(rows: usize) -> Self {
        // So many values are told apart by four bits.
        Self { bytes: rows / 2, different: Some(Vec::new()) }
    }

    /// Adds an array; returns whether all so far is small.
    fn add(&mut self, array: &'a ArrayRef) -> bool {
        if array.null_count() == array.len() {
            return true;
        }
        let number = Value::Number;
        match array.data_type() {
            DataType::Boolean => {
                self.bytes += array.len().div_ceil(8);
                self.bytes <= SMALL
            }
            DataType::Utf8 => self.values(array.as_string::<i32>().iter().flatten().map(Value::Text)),
            DataType::Int64 => {
                self.values(array.as_primitive::<Int64Type>().iter().flatten().map(|n| number(n as u64)))
            }
            DataType::Float64 => {
                self.values(array.as_primitive::<Float64Type>().iter().flatten().map(|n| number(n.to_bits())))
            }
            DataType::Timestamp(..) => {
                let times = array.as_primitive::<TimestampMicrosecondType>().iter().flatten();
                self.values(times.map(|time| number(time as u64)))
            }
            DataType::Dictionary(..) => {
                let texts = array.as_dictionary::<Int32Type>().downcast_dict::<StringArray>();
                texts.is_some_and(|texts| self.values(texts.into_iter().flatten().map(Value::Text)))
            }
            // A nested column is several in the file.
            _ => false,
        }
    }

    fn values(&mut self, values: impl Iterator<Item = Value<'a>>) -> bool {
        let mut last = None;
        for value in values {
            if self.different.is_some() && last == Some(value) {
                continue;
            }
            last = Some(value);
            if let Some(different) = &mut self.different {
                if different.contains(&value) {
                    continue;
                }
                different.push(value);
                if different.len() > FEW {
                    return false;
                }
            }
            self.bytes += value.size();
            if self.bytes > SMALL {
                return false;
            }
        }
        self.bytes <= SMALL
    }
}

impl Value<'_> {
    fn size(self) -> usize {
        match self {
            // With its length.
            Self::Text(text) => 4 + text.len(),
            Self::Number(_) => 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Int64Array};

    use super::*;

    fn check(array: &ArrayRef, layout: ValueLayout, expected: bool) {
        let what = format!("{} of {}, {layout:?}", array.len(), array.data_type());
        let half = array.len() / 2;
        let records = |array: ArrayRef| RecordBatch::try_from_iter([("a", array)]).expect("one column");
        let both = [records(array.slice(0, half)), records(array.slice(half, array.len() - half))];
        assert_eq!(is_small(&both.each_ref(), 0, layout), expected, "{what}");
    }

    fn texts(rows: usize, different: usize) -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("value {}", row % different))))
    }

    #[test]
    fn a_column_is_small_where_its_encoded_values_are() {
        let numbers = |count: i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(0..count)) };
        check(&texts(1000, 1), ValueLayout::Dictionary, true);
        check(&texts(1000, 16), ValueLayout::Dictionary, true);
        check(&texts(1000, 17), ValueLayout::Dictionary, false);
        check(&texts(2000, 16), ValueLayout::Dictionary, false);
        check(&texts(1000, 1), ValueLayout::Plain, false);
        check(&texts(60, 60), ValueLayout::Plain, true);
        check(&numbers(16), ValueLayout::Dictionary, true);
        check(&numbers(1000), ValueLayout::Dictionary, false);
        check(&(Arc::new(BooleanArray::from(vec![true; 5000])) as ArrayRef), ValueLayout::Plain, true);
        check(&(Arc::new(BooleanArray::from(vec![true; 9000])) as ArrayRef), ValueLayout::Plain, false);
        check(&(Arc::new(StringArray::new_null(100_000)) as ArrayRef), ValueLayout::Plain, true);
    }
}
