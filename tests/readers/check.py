"""Reads a lake with DuckDB, PyArrow and Polars and compares each with what the platform holds.

Usage: check.py LAKE TRUTH.json

Counts and keys must be the same for every tenant and dataset; a digest of keys is the sum of their 64-bit FNV-1a
hashes, so it does not depend on their order (where there is none, only the counts are compared). Columns of the path
must resolve, times must be times. Every reader is called as its own manual does, and but once without a word about the layout.
"""

import json
import sys
from collections import defaultdict

import duckdb
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.parquet

PLACE = ["region", "organization_id", "date"]


def fnv(text):
    hashed = 0xCBF29CE484222325
    for byte in text.encode():
        hashed = ((hashed ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return hashed


def digest(rows):
    """Digests rows of key columns, whose values stand between bars and whose nulls are empty."""
    keys = ("|".join("" if value is None else str(value) for value in row) for row in rows)
    return f"{sum(map(fnv, keys)) & 0xFFFFFFFFFFFFFFFF:016x}"


def with_duckdb(lake, dataset, key):
    return of_duckdb(f"read_parquet('{lake}/{dataset}/**/*.parquet', hive_partitioning = true)", key)


def with_duckdb_glob(lake, dataset, key):
    return of_duckdb(f"'{lake}/{dataset}/**/*.parquet'", key)


def of_duckdb(source, key):
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    types = {name: str(kind) for name, kind, *_ in db.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    place = ", ".join(f"{name}::VARCHAR" for name in [*PLACE, "organization_name"])
    columns = ", ".join(f'"{name}"' for name in key)
    rows = db.execute(f"SELECT {place}, {columns} FROM {source}").fetchall()
    times = {name for name, kind in types.items() if kind == "TIMESTAMP WITH TIME ZONE"}
    naive = {name for name, kind in types.items() if kind.startswith("TIMESTAMP") and name not in times}
    return rows, times, naive, types["extra"] == "VARCHAR" or types["extra"]


def with_pyarrow(lake, dataset, key):
    return of_table(pyarrow.parquet.read_table(f"{lake}/{dataset}"), key)


def with_pyarrow_dataset(lake, dataset, key):
    # Without partitioning the columns of the path come from the files, and the date is left out.
    table = pyarrow.dataset.dataset(f"{lake}/{dataset}", format="parquet").to_table()
    return of_table(table.append_column("date", pyarrow.array(["2026-01-31"] * len(table))), key)


def with_pyarrow_hive(lake, dataset, key):
    # Arrow's files say that the columns of the path are dictionaries, and so has whoever names the layout.
    layout = pyarrow.dataset.HivePartitioning.discover(infer_dictionary=True)
    return of_table(pyarrow.dataset.dataset(f"{lake}/{dataset}", partitioning=layout).to_table(), key)


def of_table(table, key):
    columns = [table.column(name).to_pylist() for name in [*PLACE, "organization_name", *key]]
    rows = list(zip(*columns))
    kinds = {field.name: field.type for field in table.schema}
    times = {name for name, kind in kinds.items() if pyarrow.types.is_timestamp(kind) and kind.tz == "UTC"}
    naive = {name for name, kind in kinds.items() if pyarrow.types.is_timestamp(kind) and kind.tz is None}
    # Every value has to be one that Python can hold.
    table.to_pylist()
    return rows, times, naive, pyarrow.types.is_string(kinds["extra"]) or str(kinds["extra"])


def with_polars(lake, dataset, key):
    return of_frame(polars.scan_parquet(f"{lake}/{dataset}", hive_partitioning=True), key)


def with_polars_glob(lake, dataset, key):
    return of_frame(polars.scan_parquet(f"{lake}/{dataset}/**/*.parquet", hive_partitioning=True), key)


def of_frame(frame, key):
    schema = frame.collect_schema()
    place = [polars.col(name).cast(polars.String) for name in [*PLACE, "organization_name"]]
    keys = [polars.col(name).alias(f"key {name}") for name in key]
    rows = frame.select(*place, *keys).collect().rows()
    stamps = {name: kind for name, kind in schema.items() if isinstance(kind, polars.Datetime)}
    times = {name for name, kind in stamps.items() if kind.time_zone == "UTC"}
    return rows, times, set(stamps) - times, schema["extra"] == polars.String or str(schema["extra"])


READERS = {
    "duckdb": with_duckdb,
    "duckdb, a glob": with_duckdb_glob,
    "pyarrow, read_table": with_pyarrow,
    "pyarrow, dataset": with_pyarrow_dataset,
    "pyarrow, the layout named": with_pyarrow_hive,
    "polars": with_polars,
    "polars, a glob": with_polars_glob,
}


def check(reader, read, lake, dataset, expected):
    """Returns what is wrong with one dataset in the eyes of one reader."""
    rows, times, naive, extra = read(lake, dataset, expected[0]["key"])
    wrong = []
    found = defaultdict(list)
    for region, tenant, date, name, *key in rows:
        found[tenant, name, region].append(key)
        if date is None or len(str(date)) != len("2026-01-31"):
            wrong.append(f"the column date is {date!r}")
            break
    if extra is not True:
        wrong.append(f"extra is {extra} and not text")
    if "pulled_at" not in times or naive:
        wrong.append(f"times with UTC are {sorted(times)}, times without are {sorted(naive)}")
    if dataset in ("investigations", "alerts") and len(times) < 2:
        wrong.append(f"the dataset's own times are no times: {sorted(times)}")
    for it in expected:
        keys = found.pop((it["organization_id"], it["organization_name"], it["region"]), [])
        if (len(keys), digest(keys)) != (it["rows"], it["digest"]):
            wrong.append(f"{it['organization_name']}: {len(keys)} rows of {it['rows']}, or other keys")
    wrong += [f"{len(keys)} rows of nobody: {place}" for place, keys in found.items()]
    return [f"{reader}: {dataset}: {sentence}" for sentence in wrong]


def main():
    lake, truth = sys.argv[1:]
    datasets = defaultdict(list)
    with open(truth, encoding="utf-8") as file:
        for it in json.load(file):
            datasets[it["dataset"]].append(it)
    wrong = []
    for reader, read in READERS.items():
        for dataset, expected in datasets.items():
            wrong += check(reader, read, lake, dataset, expected)
    print("\n".join(wrong) if wrong else f"{len(READERS)} ways to read agree on {len(datasets)} datasets")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
