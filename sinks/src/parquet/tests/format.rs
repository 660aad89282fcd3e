//! What other readers find in a file.

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, LogicalType, TimeUnit};
use parquet::file::metadata::ParquetMetaDataReader;

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

    // What Arrow's readers see; the columns of the path are what they take a path's columns for.
    let shown = |name: &str| reader.schema().field_with_name(name).expect("is there").data_type().clone();
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    for name in ["organization_name", "run_id", "id", "extra"] {
        assert_eq!(shown(name), DataType::Utf8, "{name}");
    }
    for name in ["organization_id", "region"] {
        assert_eq!(shown(name), dictionary, "{name}");
        let column = reader.parquet_schema().columns().iter().find(|column| column.name() == name);
        assert_eq!(column.expect("is there").logical_type_ref(), Some(&LogicalType::String), "{name}");
    }
    let footer = reader.metadata().file_metadata();
    assert!(footer.created_by().is_some_and(|by| by.starts_with("tenantry version ")), "{footer:?}");
    let entry = |key: &str| {
        let entries = footer.key_value_metadata().expect("is there");
        entries.iter().find(|entry| entry.key == key).and_then(|entry| entry.value.clone())
    };
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
        let is_compressed = match column.column_path().string().as_str() {
            "id" => true,
            "organization_id" => false,
            _ => column.uncompressed_size() > 1200 || column.compression() != Compression::UNCOMPRESSED,
        };
        assert_eq!(matches!(column.compression(), Compression::ZSTD(_)), is_compressed, "{column:?}");
        assert!(column.statistics().is_some() && column.column_index_offset().is_some(), "{column:?}");
    }

    let expected = records(&partition, &partition.datasets[0], 50, 0);
    let read = reader.build().expect("reads").next().expect("has rows").expect("reads");
    assert_eq!(read.num_rows(), 100);
    for name in ["id", "created_at", "extra", "risk"] {
        let (read, expected) = (read.column_by_name(name), expected.column_by_name(name));
        assert_eq!(&read.expect("is there").slice(0, 50), expected.expect("is there"), "{name}");
    }
    let id = read.column_by_name("organization_id").expect("is there");
    let id = id.as_dictionary::<Int32Type>().downcast_dict::<StringArray>().expect("texts");
    assert_eq!(id.into_iter().next(), Some(Some("acme")));
}

/// Writes pieces of rows with these ids; each file has to hold these rows, and say this of their order.
async fn check_order(ordered_by: Option<&'static str>, pieces: &[&[&str]], files: &[(i64, bool)]) {
    let mut lake = TestLake::new();
    lake.config.row_group_size = "64 KiB".parse().expect("a size");
    let sink = lake.prepared("one").await;
    let mut partition = partition("acme", &["alerts"]);
    let dataset = Arc::new(Dataset { ordered_by, ..Dataset::clone(&partition.datasets[0]) });
    partition.datasets = vec![dataset.clone()];
    let mut writer = sink.writer(&partition).await.expect("opens");
    for ids in pieces {
        let rows = records(&partition, &dataset, ids.len(), 1);
        let at = rows.schema().index_of("id").expect("is there");
        let mut columns = rows.columns().to_vec();
        columns[at] = Arc::new(StringArray::from(ids.to_vec()));
        let rows = RecordBatch::try_new(rows.schema(), columns).expect("as many ids");
        writer.write(&dataset, rows).await.expect("writes");
    }
    let told: Vec<_> = writer
        .close()
        .await
        .expect("closes")
        .iter()
        .map(|file| {
            let path =
                lake.root().join("_tenantry/tmp/one").join(file.path.rsplit('/').next().expect("a name"));
            let file = fs_err::File::open(path).expect("opens").into_file();
            let footer = ParquetMetaDataReader::new().parse_and_finish(&file).expect("a whole file");
            let groups = footer.row_groups();
            let sorted = groups.iter().all(|group| {
                group.sorting_columns().is_some_and(|columns| {
                    assert!(!columns[0].descending && columns.len() == 1);
                    group.schema_descr().column(columns[0].column_idx as usize).name() == "id"
                })
            });
            assert!(sorted || groups.iter().all(|group| group.sorting_columns().is_none()));
            (footer.file_metadata().num_rows(), sorted)
        })
        .collect();
    assert_eq!(told, files, "{ordered_by:?} {pieces:?}");
}

#[tokio::test]
async fn the_order_of_rows_is_told_where_it_was_asked_for_and_holds() {
    let by_id = Some("id");
    check_order(by_id, &[&["a", "b"], &["b", "c"], &["d"]], &[(5, true)]).await;
    check_order(by_id, &[&["b", "a"], &["c"]], &[(3, false)]).await;
    check_order(by_id, &[&["a", "b"], &["a"], &["c"]], &[(4, false)]).await;
    check_order(by_id, &[&["a10"], &["a9"]], &[(2, true)]).await;
    check_order(by_id, &[&["a9"], &["a10"]], &[(2, false)]).await;
    // From the row group on in which it breaks, nothing more is said of it.
    check_order(by_id, &[&["b"; 1000], &["a"; 1000], &["c"]], &[(1000, true), (1001, false)]).await;
    check_order(None, &[&["a", "b"]], &[(2, false)]).await;
    check_order(Some("risk"), &[&["a", "b"]], &[(2, false)]).await;
}
