//! Columns under construction, which can be cut back to where a record began.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, Float64Array, Int64Array, ListArray, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field as ArrowField, Fields};
use arrow::error::ArrowError;

use super::room::Size;
use super::shape::{Field, Kind, data_type};

/// Which values of a column are there; most columns of most pages lack none, and then there are no bits.
#[derive(Debug)]
pub(super) struct Validity {
    len: usize,
    bits: Option<BooleanBufferBuilder>,
}

impl Validity {
    fn new() -> Self {
        Self { len: 0, bits: None }
    }

    #[inline]
    fn push_valid(&mut self) {
        self.len += 1;
        if let Some(bits) = &mut self.bits {
            bits.append(true);
        }
    }

    #[inline]
    fn push_null(&mut self) {
        let len = self.len;
        let bits = self.bits.get_or_insert_with(|| {
            let mut bits = BooleanBufferBuilder::new(len + 1);
            bits.append_n(len, true);
            bits
        });
        bits.append(false);
        self.len += 1;
    }

    fn is_valid(&self, at: usize) -> bool {
        self.bits.as_ref().is_none_or(|bits| bits.get_bit(at))
    }

    fn truncate(&mut self, len: usize) {
        self.len = len;
        if let Some(bits) = &mut self.bits {
            bits.truncate(len);
        }
    }

    fn take(&mut self) -> Option<NullBuffer> {
        self.len = 0;
        let nulls = NullBuffer::new(self.bits.take()?.finish());
        (nulls.null_count() > 0).then_some(nulls)
    }
}

/// The members of one record are counted in the bits of one number.
pub(super) const MOST_FIELDS: usize = 127;

/// The values of one column.
#[derive(Debug)]
pub(super) enum Values {
    Text { offsets: Vec<i32>, bytes: Vec<u8> },
    Int(Vec<i64>),
    Time(Vec<i64>),
    Float(Vec<f64>),
    Bool(BooleanBufferBuilder),
    List { offsets: Vec<i32>, item: Box<Column> },
    Struct { len: usize, fields: Fields, children: Vec<Column>, follow: Vec<u8> },
}

/// One column under construction.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) values: Values,
    validity: Validity,
}

impl Column {
    pub(super) fn new(kind: &Kind) -> Self {
        let values = match kind {
            Kind::Utf8 | Kind::Json | Kind::Children(_) => {
                Values::Text { offsets: vec![0], bytes: Vec::new() }
            }
            Kind::Int64 => Values::Int(Vec::new()),
            Kind::Timestamp => Values::Time(Vec::new()),
            Kind::Float64 => Values::Float(Vec::new()),
            Kind::Bool => Values::Bool(BooleanBufferBuilder::new(0)),
            Kind::List(item) => Values::List { offsets: vec![0], item: Box::new(Self::new(item)) },
            Kind::Struct(fields) => Self::of_struct(kind, fields),
        };
        Self { values, validity: Validity::new() }
    }

    fn of_struct(kind: &Kind, fields: &[Field]) -> Values {
        let DataType::Struct(arrow) = data_type(kind) else { unreachable!("a struct has a struct's type") };
        assert!(
            fields.len() < MOST_FIELDS && fields.iter().all(Field::is_column),
            "a nested record's fields are columns"
        );
        let children = fields.iter().map(|field| Self::new(&field.kind)).collect();
        Values::Struct { len: 0, fields: arrow, children, follow: vec![0; fields.len() + 1] }
    }

    pub(super) fn len(&self) -> usize {
        match &self.values {
            Values::Text { offsets, .. } | Values::List { offsets, .. } => offsets.len() - 1,
            Values::Int(values) | Values::Time(values) => values.len(),
            Values::Float(values) => values.len(),
            Values::Bool(bits) => bits.len(),
            Values::Struct { len, .. } => *len,
        }
    }

    /// Tells how much it holds, and then what those inside it do.
    pub(super) fn measure(&self, sizes: &mut Vec<Size>) {
        let text = if let Values::Text { bytes, .. } = &self.values { bytes.len() } else { 0 };
        sizes.push(Size { values: self.len(), text });
        match &self.values {
            Values::List { item, .. } => item.measure(sizes),
            Values::Struct { children, .. } => children.iter().for_each(|child| child.measure(sizes)),
            _ => {}
        }
    }

    /// Makes room for so much, told in the order of [`Self::measure`].
    pub(super) fn reserve(&mut self, sizes: &mut impl Iterator<Item = Size>) {
        let Some(size) = sizes.next() else { return };
        match &mut self.values {
            Values::Text { offsets, bytes } => {
                offsets.reserve(size.values);
                bytes.reserve(size.text);
            }
            Values::Int(values) | Values::Time(values) => values.reserve(size.values),
            Values::Float(values) => values.reserve(size.values),
            Values::Bool(bits) => bits.reserve(size.values),
            Values::List { offsets, item } => {
                offsets.reserve(size.values);
                item.reserve(sizes);
            }
            Values::Struct { children, .. } => children.iter_mut().for_each(|child| child.reserve(sizes)),
        }
    }

    #[inline]
    pub(super) fn push_text(&mut self, text: &[u8]) {
        self.text_values().extend_from_slice(text);
        self.end_text();
    }

    /// Returns where a text's bytes go; [`Column::end_text`] makes them a value.
    #[inline]
    pub(super) fn text_values(&mut self) -> &mut Vec<u8> {
        let Values::Text { bytes, .. } = &mut self.values else { unreachable!("a text column") };
        bytes
    }

    #[inline]
    pub(super) fn end_text(&mut self) {
        let Values::Text { offsets, bytes } = &mut self.values else { unreachable!("a text column") };
        offsets.push(offset(bytes.len()));
        self.validity.push_valid();
    }

    #[inline]
    pub(super) fn push_int(&mut self, value: i64) {
        let (Values::Int(values) | Values::Time(values)) = &mut self.values else {
            unreachable!("a whole number")
        };
        values.push(value);
        self.validity.push_valid();
    }

    #[inline]
    pub(super) fn push_float(&mut self, value: f64) {
        let Values::Float(values) = &mut self.values else { unreachable!("a number") };
        values.push(value);
        self.validity.push_valid();
    }

    #[inline]
    pub(super) fn push_bool(&mut self, value: bool) {
        let Values::Bool(bits) = &mut self.values else { unreachable!("a truth value") };
        bits.append(value);
        self.validity.push_valid();
    }

    /// Closes a list whose items were pushed to its item column.
    pub(super) fn end_list(&mut self) {
        let Values::List { offsets, item } = &mut self.values else { unreachable!("a list") };
        offsets.push(offset(item.len()));
        self.validity.push_valid();
    }

    /// Closes a nested record whose fields were pushed to its children.
    pub(super) fn end_struct(&mut self) {
        let Values::Struct { len, .. } = &mut self.values else { unreachable!("a nested record") };
        *len += 1;
        self.validity.push_valid();
    }

    #[inline]
    pub(super) fn push_null(&mut self) {
        match &mut self.values {
            Values::Text { offsets, bytes } => offsets.push(offset(bytes.len())),
            Values::Int(values) | Values::Time(values) => values.push(0),
            Values::Float(values) => values.push(0.0),
            Values::Bool(bits) => bits.append(false),
            Values::List { offsets, item } => offsets.push(offset(item.len())),
            Values::Struct { len, children, .. } => {
                *len += 1;
                children.iter_mut().for_each(Self::push_null);
            }
        }
        self.validity.push_null();
    }

    /// Cuts back to a length.
    pub(super) fn truncate(&mut self, len: usize) {
        match &mut self.values {
            Values::Text { offsets, bytes } => {
                bytes.truncate(offsets[len] as usize);
                offsets.truncate(len + 1);
            }
            Values::Int(values) | Values::Time(values) => values.truncate(len),
            Values::Float(values) => values.truncate(len),
            Values::Bool(bits) => bits.truncate(len),
            Values::List { offsets, item } => {
                item.truncate(offsets[len] as usize);
                offsets.truncate(len + 1);
            }
            Values::Struct { len: rows, children, .. } => {
                *rows = len;
                children.iter_mut().for_each(|child| child.truncate(len));
            }
        }
        self.validity.truncate(len);
    }

    /// Returns the bytes that stand for a value in a key; `None` where there is none.
    pub(super) fn key_bytes(&self, row: usize, into: &mut Vec<u8>) -> bool {
        if !self.validity.is_valid(row) {
            into.push(0);
            return false;
        }
        into.push(1);
        match &self.values {
            Values::Text { offsets, bytes } => {
                let text = &bytes[offsets[row] as usize..offsets[row + 1] as usize];
                into.extend_from_slice(&(text.len() as u64).to_le_bytes());
                into.extend_from_slice(text);
            }
            Values::Int(values) | Values::Time(values) => into.extend_from_slice(&values[row].to_le_bytes()),
            Values::Float(values) => into.extend_from_slice(&values[row].to_bits().to_le_bytes()),
            Values::Bool(bits) => into.push(u8::from(bits.get_bit(row))),
            Values::List { .. } | Values::Struct { .. } => {}
        }
        true
    }

    /// Takes the values out as an array and leaves the column empty.
    ///
    /// # Errors
    /// Where there is more text than 32-bit offsets can tell apart.
    pub(super) fn take(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.validity.take();
        Ok(match &mut self.values {
            Values::Text { offsets, bytes } => {
                let offsets = take_offsets(offsets, bytes.len());
                let bytes = take_values(bytes);
                Arc::new(StringArray::try_new(offsets?, Buffer::from_vec(bytes), nulls)?)
            }
            Values::Int(values) => {
                Arc::new(Int64Array::try_new(ScalarBuffer::from(take_values(values)), nulls)?)
            }
            Values::Time(values) => {
                let values = ScalarBuffer::from(take_values(values));
                Arc::new(TimestampMicrosecondArray::try_new(values, nulls)?.with_timezone("UTC"))
            }
            Values::Float(values) => {
                Arc::new(Float64Array::try_new(ScalarBuffer::from(take_values(values)), nulls)?)
            }
            Values::Bool(bits) => Arc::new(BooleanArray::new(bits.finish(), nulls)),
            Values::List { offsets, item } => {
                let offsets = take_offsets(offsets, item.len());
                let items = item.take()?;
                let field = Arc::new(ArrowField::new("item", items.data_type().clone(), true));
                Arc::new(ListArray::try_new(field, offsets?, items, nulls)?)
            }
            Values::Struct { len, fields, children, .. } => {
                let rows = std::mem::take(len);
                let arrays = children.iter_mut().map(Self::take).collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new_with_length(fields.clone(), arrays, nulls, rows)?)
            }
        })
    }

    /// Returns the text of a row.
    pub(super) fn text(&self, row: usize) -> &[u8] {
        let Values::Text { offsets, bytes } = &self.values else { unreachable!("a text column") };
        &bytes[offsets[row] as usize..offsets[row + 1] as usize]
    }
}

/// Returns a length as an offset; the largest one stands for all that are too large, and is refused at the end.
#[inline]
fn offset(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}

/// Takes values out: nothing is held for the next page, which may be long in coming, and none of it is spare.
fn take_values<T>(values: &mut Vec<T>) -> Vec<T> {
    let mut taken = std::mem::take(values);
    taken.shrink_to_fit();
    taken
}

fn take_offsets(offsets: &mut Vec<i32>, len: usize) -> Result<OffsetBuffer<i32>, ArrowError> {
    let taken = take_values(offsets);
    offsets.push(0);
    if i32::try_from(len).is_err() {
        return Err(ArrowError::OffsetOverflowError(len));
    }
    Ok(OffsetBuffer::new(ScalarBuffer::from(taken)))
}

#[cfg(test)]
mod tests {
    use arrow::array::Array as _;

    use super::*;

    #[test]
    fn more_than_offsets_can_tell_apart_is_an_error() {
        assert_eq!((offset(7), offset(i32::MAX as usize + 1)), (7, i32::MAX));
        let mut offsets = vec![0, i32::MAX, i32::MAX];
        let error = take_offsets(&mut offsets, i32::MAX as usize + 1).expect_err("too much");
        assert!(matches!(error, ArrowError::OffsetOverflowError(_)), "{error}");
        assert_eq!(offsets, [0]);
    }

    #[test]
    fn cutting_back_reaches_into_what_was_begun() {
        let kind = Kind::List(Box::new(Kind::Struct(vec![
            Field::new("a", Kind::Utf8),
            Field::new("b", Kind::Int64),
        ])));
        let mut column = Column::new(&kind);
        column.push_null();
        let Values::List { item, .. } = &mut column.values else { panic!("a list") };
        let Values::Struct { children, .. } = &mut item.values else { panic!("a nested record") };
        children[0].push_text(b"begun");
        column.truncate(1);
        column.end_list();
        let array = column.take().expect("an array");
        assert_eq!((array.len(), array.null_count()), (2, 1));
        assert_eq!(array.as_any().downcast_ref::<ListArray>().expect("a list").values().len(), 0);
    }
}
