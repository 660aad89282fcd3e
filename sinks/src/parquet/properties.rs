//! How a dataset's columns are encoded.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema};
use parquet::arrow::{ARROW_SCHEMA_META_KEY, encode_arrow_schema};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use pipeline::Dataset;
use pipeline::dataset::EXTRA;

use super::config::CompressionLevel;
use super::leaves::{Encoded, Values, leaves};

/// The version of the files' shape, in their own metadata.
pub(super) const SCHEMA_VERSION: &str = "1";

/// The names in the files' own metadata.
pub(super) const DATASET_KEY: &str = "tenantry.dataset";
pub(super) const TENANT_KEY: &str = "tenantry.organization_id";
pub(super) const RUN_KEY: &str = "tenantry.run_id";
pub(super) const COMMIT_KEY: &str = "tenantry.commit";
pub(super) const VERSION_KEY: &str = "tenantry.schema_version";

/// The columns that stand in the path as well.
const IN_THE_PATH: [&str; 2] = ["organization_id", "region"];

/// What is known of a file's records before the first is written.
pub(super) struct Known<'a> {
    /// The first of them, or all.
    pub(super) records: &'a [RecordBatch],
    pub(super) are_all: bool,
}

/// Returns how a file of a dataset is written; `sorted_by` is the column that orders its rows.
pub(super) fn properties(
    dataset: &Dataset,
    schema: &Schema,
    level: CompressionLevel,
    mut about: Vec<KeyValue>,
    sorted_by: Option<usize>,
    known: &Known<'_>,
) -> WriterProperties {
    about.push(KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), encode_arrow_schema(&shown(schema))));
    let sorting = sorted_by.map(|column| {
        let column_idx = i32::try_from(column).expect("a schema has fewer columns");
        vec![SortingColumn { column_idx, descending: false, nulls_first: false }]
    });
    let zstd = ZstdLevel::try_new(level.get()).expect("the setting's range is within zstd's");
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(zstd))
        // The form that the format asks for: some readers drop the statistics of a writer they cannot parse.
        .set_created_by(format!("tenantry version {}", env!("CARGO_PKG_VERSION")))
        .set_key_value_metadata(Some(about))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(Some(64))
        .set_column_index_truncate_length(Some(64))
        .set_sorting_columns(sorting)
        // A column that outgrows this has mostly values of its own: giving its dictionary up early is as small.
        .set_dictionary_page_size_limit(256 << 10)
        // Row groups are closed by the memory they hold, never by a number of rows.
        .set_max_row_group_row_count(None);
    for leaf in leaves(schema, known.records) {
        // Nearly every value is another, however the first ones look.
        let is_unique = match leaf.path.parts() {
            [name] => name == EXTRA || name == "raw" || dataset.key == [name.as_str()],
            _ => false,
        };
        let Encoded { values, is_small } = leaf.encoded(is_unique);
        if values != Values::Dictionary {
            builder = builder.set_column_dictionary_enabled(leaf.path.clone(), false);
        }
        if values == Values::Differences {
            builder = builder.set_column_encoding(leaf.path.clone(), Encoding::DELTA_BINARY_PACKED);
        }
        if known.are_all && is_small {
            builder = builder.set_column_compression(leaf.path, Compression::UNCOMPRESSED);
        }
    }
    builder.build()
}

/// Returns the schema that readers built on Arrow shall see: plain texts, whatever this program held in memory.
///
/// Only the columns of the path are dictionaries. Arrow's readers take those of a path for dictionaries of text, and
/// read no tree where a file says otherwise (`pyarrow.parquet.read_table`, `pandas.read_parquet`).
fn shown(schema: &Schema) -> Schema {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Dictionary(_, value) if !IN_THE_PATH.contains(&field.name().as_str()) => {
            Arc::new(Field::clone(field).with_data_type(DataType::clone(value)))
        }
        _ => field.clone(),
    };
    Schema::new(schema.fields().iter().map(field).collect::<Fields>())
}
