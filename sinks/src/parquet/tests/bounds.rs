//! What is held in memory, and how large files and row groups become.

use arrow::array::AsArray;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::*;

fn footer(lake: &TestLake, path: &str) -> ParquetMetaData {
    let file = fs_err::File::open(lake.root().join(path)).expect("opens").into_file();
    ParquetMetaDataReader::new().parse_and_finish(&file).expect("a whole file")
}

#[tokio::test]
async fn files_roll_and_row_groups_are_bounded() {
    let mut lake = TestLake::new();
    lake.config.target_file_size = "1 MiB".parse().expect("a size");
    lake.config.row_group_size = "256 KiB".parse().expect("a size");
    let sink = lake.prepared("one").await;
    let (partition, rows) = (partition("acme", &["alerts"]), 1000);
    let dataset = &partition.datasets[0];
    let mut writer = sink.writer(&partition).await.expect("opens");
    for seed in 0..120 {
        writer.write(dataset, records(&partition, dataset, rows, seed)).await.expect("writes");
    }
    let files = writer.close().await.expect("closes");
    assert!(files.len() >= 3, "{files:?}");
    assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), 120_000);
    for (number, file) in (1..).zip(&files) {
        assert!(file.path.ends_with(&format!("-{number}.parquet")), "{}", file.path);
        let is_last = number == files.len();
        assert!(is_last || (900 << 10..1300 << 10).contains(&file.bytes), "{file:?}");
    }
    let receipts = vec![receipt(&partition, "alerts", 120_000)];
    let from = Checkpoint::default();
    let commit = Commit {
        run_id: "one".to_owned(),
        partition,
        files: files.clone(),
        from,
        to: from.next(Some(at(1))),
        receipts,
        replays: None,
    };
    sink.commit(commit).await.expect("commits");
    for file in &files {
        for group in footer(&lake, &file.path).row_groups() {
            assert!(group.compressed_size() < 400 << 10, "{}", group.compressed_size());
        }
    }
    assert!(lake.verify().is_good());
}

#[tokio::test]
async fn one_huge_batch_is_cut_to_the_bounds() {
    let mut lake = TestLake::new();
    lake.config.row_group_size = "1 MiB".parse().expect("a size");
    let sink = lake.prepared("one").await;
    let partition = partition("acme", &["alerts"]);
    let dataset = &partition.datasets[0];
    let mut writer = sink.writer(&partition).await.expect("opens");
    writer.write(dataset, records(&partition, dataset, 200_000, 1)).await.expect("writes");
    let files = writer.close().await.expect("closes");
    let path = lake.root().join("_tenantry/tmp/one").join(files[0].path.rsplit('/').next().expect("a name"));
    let file = fs_err::File::open(path).expect("opens").into_file();
    let footer = ParquetMetaDataReader::new().parse_and_finish(&file).expect("a whole file");
    assert!(footer.num_row_groups() > 5);
    assert_eq!(footer.file_metadata().num_rows(), 200_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_writers_share_one_bound() {
    let mut lake = TestLake::new();
    lake.config.memory = "8 MiB".parse().expect("a size");
    let sink = lake.prepared("one").await;
    let mut writers = Vec::new();
    for number in 0..200 {
        let partition = partition(&format!("tenant-{number}"), &["alerts"]);
        writers.push((sink.writer(&partition).await.expect("opens"), partition));
    }
    let (_, any) = &writers[0];
    let batches: Vec<RecordBatch> = (0..4).map(|seed| records(any, &any.datasets[0], 800, seed)).collect();
    let mut most = 0;
    for batch in &batches {
        for (writer, partition) in &mut writers {
            writer.write(&partition.datasets[0], batch.clone()).await.expect("writes");
            most = most.max(sink.memory.held());
        }
    }
    assert!(most > 3 << 20, "{most}: the bound is made use of");
    // What each core is just encoding comes on top.
    assert!(most < 9 << 20, "{most}: the bound holds");
    let mut rows = 0;
    for (writer, _) in writers {
        rows += writer.close().await.expect("closes").iter().map(|file| file.rows).sum::<u64>();
    }
    assert_eq!(rows, 200 * 4 * 800);
    assert_eq!(sink.memory.held(), 0);
}

#[tokio::test]
async fn bounded_what_has_no_room_waits_in_a_file_and_keeps_its_order() {
    let mut lake = TestLake::new();
    lake.config.memory = "64 KiB".parse().expect("a size");
    let sink = lake.prepared("one").await;
    let partition = partition("acme", &["alerts"]);
    let dataset = &partition.datasets[0];
    let spilled = || lake.below(|path| path.ends_with(".arrow")).len();
    let mut writer = sink.writer(&partition).await.expect("opens");
    let batches: Vec<RecordBatch> = (0..40).map(|seed| records(&partition, dataset, 500, seed)).collect();
    for batch in &batches {
        writer.write(dataset, batch.clone()).await.expect("writes");
    }
    assert_eq!(spilled(), 1);
    let files = writer.close().await.expect("closes");
    assert_eq!(spilled(), 0);
    let path = lake.root().join("_tenantry/tmp/one").join(files[0].path.rsplit('/').next().expect("a name"));
    let file = fs_err::File::open(path).expect("opens").into_file();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a whole file");
    assert_eq!((files.len(), reader.metadata().num_row_groups()), (1, 1));
    let written: Vec<_> = reader.build().expect("reads").map(|read| read.expect("reads")).collect();
    let ids = |batches: &[RecordBatch]| -> Vec<String> {
        let columns = batches.iter().map(|batch| batch.column_by_name("id").expect("is there"));
        columns.flat_map(|ids| ids.as_string::<i32>().iter().flatten().map(str::to_owned)).collect()
    };
    assert_eq!(ids(&written), ids(&batches));

    // What is dropped half-way leaves no file either.
    let mut writer = sink.writer(&partition).await.expect("opens");
    for batch in &batches[..10] {
        writer.write(dataset, batch.clone()).await.expect("writes");
    }
    assert_eq!(spilled(), 1);
    drop(writer);
    // What is just being set aside is finished first.
    while spilled() > 0 {
        tokio::task::yield_now().await;
    }
}

/// A tenant that has much and many that have little: the much is not cut into little pieces.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_groups_are_large_where_there_are_many_rows() {
    let mut lake = TestLake::new();
    lake.config.memory = "16 MiB".parse().expect("a size");
    lake.config.row_group_size = "4 MiB".parse().expect("a size");
    let sink = lake.prepared("one").await;
    let mut small = Vec::new();
    for number in 0..32 {
        let partition = partition(&format!("tenant-{number}"), &["alerts"]);
        let mut writer = sink.writer(&partition).await.expect("opens");
        let rows = records(&partition, &partition.datasets[0], 100, number);
        writer.write(&partition.datasets[0], rows).await.expect("writes");
        small.push(writer);
    }
    let giant = partition("giant", &["alerts"]);
    let mut writer = sink.writer(&giant).await.expect("opens");
    for seed in 0..100 {
        let rows = records(&giant, &giant.datasets[0], 500, seed);
        writer.write(&giant.datasets[0], rows).await.expect("writes");
    }
    small.push(writer);
    for writer in small {
        for file in writer.close().await.expect("closes") {
            let name = file.path.rsplit('/').next().expect("a name").to_owned();
            let footer = footer(&lake, &format!("_tenantry/tmp/one/{name}"));
            let rows: Vec<_> =
                footer.row_groups().iter().map(parquet::file::metadata::RowGroupMetaData::num_rows).collect();
            let (_last, full) = rows.split_last().expect("a file has rows");
            assert!(full.iter().all(|rows| *rows > 10_000), "{rows:?}");
        }
    }
}
