//! The decoder seen from outside: pages in, rows out, compared with what the pages say.

mod findings;
mod model;
mod owners;
mod pages;
mod properties;
mod records;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use pipeline::TenantId;
use serde_json::{Map, Value, json};

use super::{
    Child, Decoded, Decoder, Fact, Field, Kind, NotJson, Order, Owner, PageError, PageFacts, PageShape,
    RecordShape, Seen,
};

const TENANT: &str = "0a1b2c3d-0000-4000-8000-00000000000a";
const FOREIGN: &str = "0a1b2c3d-0000-4000-8000-00000000000b";

const PAGE: PageShape = PageShape {
    rows: "data",
    facts: &[("total", Fact::Total), ("last", Fact::Last), ("cursor", Fact::Cursor)],
    failures: Some("failures"),
    tells_of_others: false,
    may_be_bare: false,
};

/// A record with a member of every kind.
fn shape() -> RecordShape {
    let list = |item| Kind::List(Box::new(item));
    let text = |name| Field::new(name, Kind::Utf8);
    let who = vec![
        text("name"),
        text("organization").from_key("id").owner(Owner::Id),
        Field::new("since", Kind::Timestamp),
    ];
    let link = vec![text("href"), Field::new("rank", Kind::Int64)];
    let fields = vec![
        text("id"),
        text("rrn").owner(Owner::Rrn),
        text("organization_id").owner(Owner::IdAlone),
        text("asset").owner(Owner::Prefix("-default-asset-")),
        Field::new("count", Kind::Int64),
        Field::new("score", Kind::Float64),
        Field::new("open", Kind::Bool).from_key("isOpen"),
        Field::new("at", Kind::Timestamp),
        Field::new("raw", Kind::Json),
        Field::new("tags", list(Kind::Utf8)),
        Field::new("who", Kind::Struct(who)),
        Field::new("links", list(Kind::Struct(link))),
    ];
    RecordShape { dataset: "records", fields, key: &["id"], has_versions: false }
}

/// An asset whose findings stand in two lists.
fn asset() -> (RecordShape, Child) {
    let text = |name| Field::new(name, Kind::Utf8);
    let found = vec![
        text("asset").from_key("$asset"),
        text("change").from_key("$change"),
        text("check"),
        Field::new("port", Kind::Int64),
        Field::new("at", Kind::Timestamp),
    ];
    let findings = RecordShape {
        dataset: "findings",
        fields: found,
        key: &["asset", "change", "check", "port"],
        has_versions: false,
    };
    let fields = vec![
        text("id"),
        Field::new("ids", Kind::List(Box::new(Kind::Struct(vec![text("id"), text("source")])))),
        Field::new("new", Kind::Children("new")),
        Field::new("same", Kind::Children("same")),
        Field::new("size", Kind::Int64),
    ];
    let shape = RecordShape { dataset: "assets", fields, key: &["id"], has_versions: false };
    (shape, Child { shape: findings, parent_key: "asset", change: "change" })
}

/// A decoder and the keys it has seen.
struct Reading {
    decoder: Decoder,
    seen: Seen,
}

impl Reading {
    fn new(shape: &RecordShape, child: Option<&Child>) -> Self {
        Self::new_of(PAGE, shape, child)
    }

    fn new_of(page: PageShape, shape: &RecordShape, child: Option<&Child>) -> Self {
        let tenant: TenantId = TENANT.parse().expect("an id");
        Self { decoder: Decoder::new(page, shape, child, &tenant), seen: Seen::default() }
    }

    fn of_records() -> Self {
        Self::new(&shape(), None)
    }

    fn of_assets() -> Self {
        let (shape, child) = asset();
        Self::new(&shape, Some(&child))
    }

    fn decode(&mut self, body: &[u8]) -> Result<PageFacts, PageError> {
        self.decoder.decode(body, &mut self.seen)
    }

    /// Takes out what was decoded; everything that was read has to be accounted for.
    fn take(&mut self) -> Decoded {
        let decoded = self.decoder.take().expect("columns of one length");
        for ((dataset, counts), records) in decoded.counts.iter().zip(&decoded.records) {
            let kept = records.num_rows() as u64;
            let rejects = decoded.rejects.iter().filter(|reject| reject.dataset == *dataset).count() as u64;
            assert_eq!(counts.rejects, rejects, "{dataset}");
            assert_eq!(counts.read, kept + counts.duplicates + counts.rejects, "{dataset}");
        }
        decoded
    }

    /// Decodes a page of rows that has to be good.
    fn page(&mut self, rows: &str) -> Decoded {
        self.decode(format!(r#"{{"data":[{rows}]}}"#).as_bytes()).expect("a good page");
        self.take()
    }
}

/// Returns a batch's rows as JSON; `extra` and JSON columns as what their text says.
fn rows(batch: &RecordBatch) -> Vec<Map<String, Value>> {
    let row = |at| {
        let schema = batch.schema();
        let cells = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
            let cell = cell(column.as_ref(), at);
            let is_json = matches!(field.name().as_str(), "extra" | "raw");
            let parsed =
                cell.as_str().filter(|_| is_json).map(|text| serde_json::from_str(text).expect("JSON"));
            (field.name().clone(), parsed.unwrap_or(cell))
        });
        cells.collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

fn cell(array: &dyn Array, at: usize) -> Value {
    if array.is_null(at) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8 => json!(array.as_string::<i32>().value(at)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(at)),
        DataType::Float64 => json!(array.as_primitive::<Float64Type>().value(at)),
        DataType::Boolean => json!(array.as_boolean().value(at)),
        DataType::Timestamp(..) => json!(array.as_primitive::<TimestampMicrosecondType>().value(at)),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(at);
            (0..items.len()).map(|at| cell(items.as_ref(), at)).collect()
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let members = fields.iter().zip(columns);
            members.map(|(field, column)| (field.name().clone(), cell(column.as_ref(), at))).collect()
        }
        other => panic!("no column has the type {other}"),
    }
}
