//! What a record looks like: its columns, where they stand in the JSON, and what names its owner.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, Fields, Schema, SchemaRef, TimeUnit};
use pipeline::dataset::EXTRA;

/// The type of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Text; numbers and booleans are taken as they are spelled.
    Utf8,
    /// A whole number.
    Int64,
    /// A number.
    Float64,
    /// True or false.
    Bool,
    /// An instant: text in any ISO 8601 spelling, or a number of seconds or milliseconds since 1970.
    Timestamp,
    /// Any value, kept as its JSON text.
    Json,
    /// A list; a single value stands for a list of one.
    List(Box<Kind>),
    /// A nested record.
    Struct(Vec<Field>),
    /// Records of the page's second dataset; the text is their value of the column [`Child::change`].
    Children(&'static str),
}

/// Where a record names the organization it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owner {
    /// Not here.
    #[default]
    Unsaid,
    /// The value is the organization's id.
    Id,
    /// The value is the organization's id and needs no column: it is that of the provenance.
    IdAlone,
    /// The value is a resource name whose fourth part is the organization's id.
    Rrn,
    /// The value may begin with the organization's id and this text.
    Prefix(&'static str),
}

/// One column and the JSON member that fills it.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The column's name.
    pub name: &'static str,
    /// The member's name.
    pub key: &'static str,
    /// The type.
    pub kind: Kind,
    /// Whether it names the owner.
    pub owner: Owner,
}

impl Field {
    /// Creates a column that is named as its member is.
    #[must_use]
    pub fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, key: name, kind, owner: Owner::Unsaid }
    }

    /// Says that the member has another name.
    #[must_use]
    pub fn from_key(mut self, key: &'static str) -> Self {
        self.key = key;
        self
    }

    /// Says how it names the owner.
    #[must_use]
    pub fn owner(mut self, owner: Owner) -> Self {
        self.owner = owner;
        self
    }

    /// Returns whether it is a column of its own record.
    pub(super) fn is_column(&self) -> bool {
        self.owner != Owner::IdAlone && !matches!(self.kind, Kind::Children(_))
    }
}

/// The columns of a dataset and its key.
#[derive(Debug, Clone)]
pub struct RecordShape {
    /// The dataset's name.
    pub dataset: &'static str,
    /// The members that are known.
    pub fields: Vec<Field>,
    /// The columns whose values together name a record.
    pub key: &'static [&'static str],
    /// Whether the last of them numbers a record's versions: a listing counts the record once.
    pub has_versions: bool,
}

impl RecordShape {
    /// Returns the Arrow schema: the columns, then [`EXTRA`].
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        let mut fields: Vec<ArrowField> = columns(&self.fields);
        fields.push(ArrowField::new(EXTRA, DataType::Utf8, true));
        Arc::new(Schema::new(fields))
    }
}

/// Records inside a record: the second dataset that a page fills.
#[derive(Debug, Clone)]
pub struct Child {
    /// Its columns; those named by `parent_key` and `change` first, in this order.
    pub shape: RecordShape,
    /// The column that takes the parent's key.
    pub parent_key: &'static str,
    /// The column that takes which list the record stood in.
    pub change: &'static str,
}

fn columns(fields: &[Field]) -> Vec<ArrowField> {
    let columns = fields.iter().filter(|field| field.is_column());
    columns.map(|field| ArrowField::new(field.name, data_type(&field.kind), true)).collect()
}

pub(super) fn data_type(kind: &Kind) -> DataType {
    match kind {
        Kind::Utf8 | Kind::Json | Kind::Children(_) => DataType::Utf8,
        Kind::Int64 => DataType::Int64,
        Kind::Float64 => DataType::Float64,
        Kind::Bool => DataType::Boolean,
        Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::List(item) => DataType::List(Arc::new(ArrowField::new("item", data_type(item), true))),
        Kind::Struct(fields) => DataType::Struct(Fields::from(columns(fields))),
    }
}
