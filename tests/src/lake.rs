//! A lake as any reader of Parquet sees it: files in folders, rows in files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayData, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// The folder of a lake.
#[derive(Debug, Clone)]
pub struct Lake {
    root: PathBuf,
}

/// Returns the columns whose values between bars are a row's key in the simulator's words.
#[must_use]
pub fn key_columns(dataset: &str) -> &'static [&'static str] {
    match dataset {
        "investigations" | "alerts" | "users" | "accounts" | "assets" => &["rrn"],
        "vm_findings" => &["asset_id", "vulnerability_id", "check_id", "key", "port", "protocol"],
        _ => &["id"],
    }
}

impl Lake {
    /// Names a lake; it need not be there.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns every file in it, the program's own too, by path below the root.
    #[must_use]
    pub fn files(&self) -> BTreeSet<String> {
        below(&self.root).iter().map(|path| self.relative(path)).collect()
    }

    /// Returns the data files of all datasets.
    #[must_use]
    pub fn data_files(&self) -> Vec<PathBuf> {
        let own = self.root.join("_tenantry");
        let mut files = below(&self.root);
        files.retain(|path| !path.starts_with(&own));
        files
    }

    /// Returns the files that no commit needs: uncommitted work of runs.
    #[must_use]
    pub fn leftovers(&self) -> BTreeSet<String> {
        let mut files = self.files();
        files.retain(|path| path.starts_with("_tenantry/tmp/") || path.starts_with("_tenantry/pending/"));
        files
    }

    /// Returns the keys of a dataset's rows by tenant, in order, each as often as it is there.
    ///
    /// # Panics
    /// Where a file cannot be read, or lies in another tenant's, region's or day's folder than its rows say.
    #[must_use]
    pub fn keys(&self, dataset: &str) -> BTreeMap<String, Vec<String>> {
        let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for path in below(&self.root.join(dataset)) {
            for batch in read(&path) {
                self.check_place(&path, &batch);
                let tenants = text(&batch, "organization_id");
                for row in 0..batch.num_rows() {
                    keys.entry(tenants.value(row).to_owned()).or_default().push(key(&batch, dataset, row));
                }
            }
        }
        keys.values_mut().for_each(|keys| keys.sort_unstable());
        keys
    }

    /// Returns how many rows a dataset has.
    #[must_use]
    pub fn rows(&self, dataset: &str) -> usize {
        below(&self.root.join(dataset)).iter().flat_map(|path| read(path)).map(|batch| batch.num_rows()).sum()
    }

    /// Returns the values of a column as text, nulls left out.
    ///
    /// # Panics
    /// Where the dataset has no such column.
    #[must_use]
    pub fn column(&self, dataset: &str, column: &str) -> Vec<String> {
        let batches = below(&self.root.join(dataset)).into_iter().flat_map(|path| read(&path));
        batches
            .flat_map(|batch| text(&batch, column).iter().flatten().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    /// Returns some columns of a dataset's rows as text, nulls as nothing; the rows pulled first come first.
    ///
    /// # Panics
    /// Where the dataset has no such column.
    #[must_use]
    pub fn rows_of(&self, dataset: &str, columns: &[&str]) -> Vec<Vec<String>> {
        let mut rows: Vec<(i64, Vec<String>)> = Vec::new();
        for batch in below(&self.root.join(dataset)).iter().flat_map(|path| read(path)) {
            let pulled = text(&batch, "pulled_at");
            let texts: Vec<StringArray> = columns.iter().map(|column| text(&batch, column)).collect();
            rows.extend((0..batch.num_rows()).map(|row| {
                let value =
                    |texts: &StringArray| if texts.is_null(row) { "" } else { texts.value(row) }.to_owned();
                let at = pulled.value(row).parse().expect("an instant as its number");
                (at, texts.iter().map(value).collect())
            }));
        }
        rows.sort_by_key(|(at, _)| *at);
        rows.into_iter().map(|(_, row)| row).collect()
    }

    fn check_place(&self, path: &Path, batch: &RecordBatch) {
        let relative = self.relative(path);
        for column in ["region", "organization_id"] {
            let folder = relative.split('/').find_map(|part| part.strip_prefix(column)?.strip_prefix('='));
            let folder = folder.unwrap_or_else(|| panic!("{relative} has no {column}"));
            let values = text(batch, column);
            assert!(values.iter().all(|value| value == Some(folder)), "{relative} holds others' rows");
        }
        let date = relative.split('/').find_map(|part| part.strip_prefix("date="));
        let date = date.unwrap_or_else(|| panic!("{relative} has no date"));
        assert!(date.parse::<chrono::NaiveDate>().is_ok(), "{relative}");
    }

    fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).expect("it was found below the root").to_string_lossy().into_owned()
    }
}

/// Returns the files below a folder; none where there is no folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs_err::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("a folder that can be listed").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Reads a whole file.
fn read(path: &Path) -> Vec<RecordBatch> {
    let file = fs_err::File::open(path).expect("a data file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.into_file())
        .unwrap_or_else(|error| panic!("{} is not whole: {error}", path.display()));
    let reader = reader.build().expect("a reader");
    reader.map(|batch| batch.unwrap_or_else(|error| panic!("{}: {error}", path.display()))).collect()
}

/// Returns whether a text stands in any value of a Parquet file, packed or not, or in the file's own words.
#[must_use]
pub fn holds(path: &Path, text: &str) -> bool {
    fn in_values(values: &ArrayData, text: &str) -> bool {
        values.buffers().iter().any(|bytes| contains(bytes, text))
            || values.child_data().iter().any(|child| in_values(child, text))
    }
    let mut columns = read(path).into_iter().flat_map(|batch| batch.columns().to_vec());
    contains(&fs_err::read(path).expect("a file"), text)
        || columns.any(|column| in_values(&column.to_data(), text))
}

/// Returns whether a text stands in bytes.
#[must_use]
pub fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

fn text(batch: &RecordBatch, column: &str) -> StringArray {
    let values = batch.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
    // A time as its number: spelling one out needs a table of time zones.
    let values = match values.data_type() {
        DataType::Timestamp(..) => cast(values, &DataType::Int64).expect("a time is a number"),
        _ => values.clone(),
    };
    let values = cast(&values, &DataType::Utf8).expect("anything can be text");
    values.as_any().downcast_ref::<StringArray>().expect("it was made text").clone()
}

fn key(batch: &RecordBatch, dataset: &str, row: usize) -> String {
    let part = |column: &&str| {
        let values = text(&batch.slice(row, 1), column);
        if values.is_null(0) { String::new() } else { values.value(0).to_owned() }
    };
    key_columns(dataset).iter().map(part).collect::<Vec<_>>().join("|")
}
