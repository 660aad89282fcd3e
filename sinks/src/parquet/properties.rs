//! How a dataset's columns are encoded.

use arrow::datatypes::{DataType, Schema};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use pipeline::Dataset;
use pipeline::dataset::EXTRA;

use super::config::CompressionLevel;

/// The version of the files' shape, in their own metadata.
pub(super) const SCHEMA_VERSION: &str = "1";

/// The names in the files' own metadata.
pub(super) const DATASET_KEY: &str = "tenantry.dataset";
pub(super) const TENANT_KEY: &str = "tenantry.organization_id";
pub(super) const RUN_KEY: &str = "tenantry.run_id";
pub(super) const COMMIT_KEY: &str = "tenantry.commit";
pub(super) const VERSION_KEY: &str = "tenantry.schema_version";

/// Returns how the files of a dataset are written.
pub(super) fn properties(
    dataset: &Dataset,
    schema: &Schema,
    level: CompressionLevel,
    about: Vec<KeyValue>,
) -> WriterProperties {
    let zstd = ZstdLevel::try_new(level.get()).expect("the setting's range is within zstd's");
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(zstd))
        // The form that the format asks for: some readers drop the statistics of a writer they cannot parse.
        .set_created_by(format!("tenantry version {}", env!("CARGO_PKG_VERSION")))
        .set_key_value_metadata(Some(about))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(Some(64))
        .set_column_index_truncate_length(Some(64))
        // A column that outgrows this has mostly values of its own: giving its dictionary up early is as small.
        .set_dictionary_page_size_limit(256 << 10)
        // Row groups are closed by the memory they hold, never by a number of rows.
        .set_max_row_group_row_count(None);
    for field in schema.fields() {
        let column = ColumnPath::from(field.name().as_str());
        // Nearly every value is another: a dictionary would only be built and thrown away.
        if field.name() == EXTRA || field.name() == "raw" || dataset.key == [field.name().as_str()] {
            builder = builder.set_column_dictionary_enabled(column, false);
        } else if matches!(field.data_type(), DataType::Timestamp(..)) {
            builder = builder
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
        }
    }
    builder.build()
}
