//! What other readers find in a file.

use arrow::array::AsArray;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, LogicalType, TimeUnit};

use super::*;

#[tokio::test]
async fn a_file_is_plain_parquet_that_says_what_it_holds() {
    let lake = TestLake::new();
    let sink = lake.prepared("one").await;
    let partition = partition("acme", &["alerts"]);
    let commit = commit_next(&sink, "one", &partition, 50).await.expect("commits");
    let path = lake.root().join(&commit.files[0].path);
    assert_eq!(fs_err::metadata(&path).expect("is there").len(), commit.files[0].bytes);
    let file = fs_err::File::open(&path).expect("opens").into_file();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a whole file");

    // Without a schema of our own in the metadata, this is what every reader sees.
    let plain = |name: &str| reader.schema().field_with_name(name).expect("is there").data_type().clone();
    for name in ["organization_id", "organization_name", "region", "run_id", "id", "extra"] {
        assert_eq!(plain(name), DataType::Utf8, "{name}");
    }
    let footer = reader.metadata().file_metadata();
    assert!(footer.created_by().is_some_and(|by| by.starts_with("tenantry version ")), "{footer:?}");
    let entry = |key: &str| {
        let entries = footer.key_value_metadata().expect("is there");
        entries.iter().find(|entry| entry.key == key).and_then(|entry| entry.value.clone())
    };
    assert_eq!(entry("ARROW:schema"), None);
    for (key, value) in [
        ("tenantry.dataset", "alerts"),
        ("tenantry.organization_id", "acme"),
        ("tenantry.run_id", "one"),
        ("tenantry.schema_version", "1"),
    ] {
        assert_eq!(entry(key).as_deref(), Some(value));
    }
    let time = reader
        .parquet_schema()
        .columns()
        .iter()
        .find(|column| column.name() == "created_at")
        .expect("is there");
    let expected = LogicalType::Timestamp { is_adjusted_to_u_t_c: true, unit: TimeUnit::MICROS };
    assert_eq!(time.logical_type_ref(), Some(&expected));
    for column in reader.metadata().row_group(0).columns() {
        assert!(matches!(column.compression(), Compression::ZSTD(_)));
        assert!(column.statistics().is_some() && column.column_index_offset().is_some(), "{column:?}");
    }

    let expected = records(&partition, &partition.datasets[0], 50, 0);
    let read = reader.build().expect("reads").next().expect("has rows").expect("reads");
    assert_eq!(read.num_rows(), 100);
    for name in ["id", "created_at", "extra", "risk"] {
        let (read, expected) = (read.column_by_name(name), expected.column_by_name(name));
        assert_eq!(&read.expect("is there").slice(0, 50), expected.expect("is there"), "{name}");
    }
    assert_eq!(read.column_by_name("organization_id").expect("is there").as_string::<i32>().value(0), "acme");
}
