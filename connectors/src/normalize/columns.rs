//! Columns under construction, which can be cut back to where a record began.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, Float64Array, Int64Array, ListArray, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field as ArrowField, Fields};
use arrow::error::ArrowError;

use super::shape::{Field, Kind, data_type};

/// Which values of a column are there.
#[derive(Debug)]
pub(super) struct Validity {
    bits: BooleanBufferBuilder,
    nulls: usize,
}

impl Validity {
    fn new() -> Self {
        Self { bits: BooleanBufferBuilder::new(0), nulls: 0 }
    }

    #[inline]
    fn push(&mut self, valid: bool) {
        self.bits.append(valid);
        self.nulls += usize::from(!valid);
    }

    fn truncate(&mut self, len: usize) {
        for at in len..self.bits.len() {
            self.nulls -= usize::from(!self.bits.get_bit(at));
        }
        self.bits.truncate(len);
    }

    fn take(&mut self) -> Option<NullBuffer> {
        let bits = self.bits.finish();
        let nulls = std::mem::take(&mut self.nulls);
        (nulls > 0).then(|| NullBuffer::new(bits))
    }
}

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

    #[inline]
    pub(super) fn push_text(&mut self, text: &[u8]) {
        let Values::Text { offsets, bytes } = &mut self.values else { unreachable!("a text column") };
        bytes.extend_from_slice(text);
        offsets.push(bytes.len() as i32);
        self.validity.push(true);
    }

    #[inline]
    pub(super) fn push_int(&mut self, value: i64) {
        let (Values::Int(values) | Values::Time(values)) = &mut self.values else {
            unreachable!("a whole number")
        };
        values.push(value);
        self.validity.push(true);
    }

    #[inline]
    pub(super) fn push_float(&mut self, value: f64) {
        let Values::Float(values) = &mut self.values else { unreachable!("a number") };
        values.push(value);
        self.validity.push(true);
    }

    #[inline]
    pub(super) fn push_bool(&mut self, value: bool) {
        let Values::Bool(bits) = &mut self.values else { unreachable!("a truth value") };
        bits.append(value);
        self.validity.push(true);
    }

    /// Closes a list whose items were pushed to its item column.
    pub(super) fn end_list(&mut self) {
        let Values::List { offsets, item } = &mut self.values else { unreachable!("a list") };
        offsets.push(item.len() as i32);
        self.validity.push(true);
    }

    /// Closes a nested record whose fields were pushed to its children.
    pub(super) fn end_struct(&mut self) {
        let Values::Struct { len, .. } = &mut self.values else { unreachable!("a nested record") };
        *len += 1;
        self.validity.push(true);
    }

    #[inline]
    pub(super) fn push_null(&mut self) {
        match &mut self.values {
            Values::Text { offsets, bytes } => offsets.push(bytes.len() as i32),
            Values::Int(values) | Values::Time(values) => values.push(0),
            Values::Float(values) => values.push(0.0),
            Values::Bool(bits) => bits.append(false),
            Values::List { offsets, item } => offsets.push(item.len() as i32),
            Values::Struct { len, children, .. } => {
                *len += 1;
                children.iter_mut().for_each(Self::push_null);
            }
        }
        self.validity.push(false);
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
        if !self.validity.bits.get_bit(row) {
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
    pub(super) fn take(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.validity.take();
        Ok(match &mut self.values {
            Values::Text { offsets, bytes } => Arc::new(StringArray::try_new(
                take_offsets(offsets),
                Buffer::from_vec(std::mem::take(bytes)),
                nulls,
            )?),
            Values::Int(values) => {
                Arc::new(Int64Array::try_new(ScalarBuffer::from(std::mem::take(values)), nulls)?)
            }
            Values::Time(values) => {
                let values = ScalarBuffer::from(std::mem::take(values));
                Arc::new(TimestampMicrosecondArray::try_new(values, nulls)?.with_timezone("UTC"))
            }
            Values::Float(values) => {
                Arc::new(Float64Array::try_new(ScalarBuffer::from(std::mem::take(values)), nulls)?)
            }
            Values::Bool(bits) => Arc::new(BooleanArray::new(bits.finish(), nulls)),
            Values::List { offsets, item } => {
                let items = item.take()?;
                let field = Arc::new(ArrowField::new("item", items.data_type().clone(), true));
                Arc::new(ListArray::try_new(field, take_offsets(offsets), items, nulls)?)
            }
            Values::Struct { len, fields, children, .. } => {
                let rows = std::mem::take(len);
                let arrays = children.iter_mut().map(Self::take).collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new_with_length(fields.clone(), arrays, nulls, rows)?)
            }
        })
    }
}

fn take_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(offsets, vec![0])))
}

impl Column {
    /// Returns the text of a row.
    pub(super) fn text(&self, row: usize) -> &[u8] {
        let Values::Text { offsets, bytes } = &self.values else { unreachable!("a text column") };
        &bytes[offsets[row] as usize..offsets[row + 1] as usize]
    }
}
