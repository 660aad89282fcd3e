"""The same job by hand: an asyncio client that keeps the pages as files, and DuckDB that makes Parquet of them.

The pages are asked for as `asyncio_polars.py` does; DuckDB reads a tenant's pages with `read_json` and writes one zstd
Parquet file for each tenant and dataset. No budget, no retries, no receipts: only the speed is compared.

    python asyncio_duckdb.py ENDPOINT KEY PARENT OUT [DATASET ...]
"""

import asyncio
import json
import sys
import tempfile
import threading

import duckdb
from asyncio_polars import run

# One object is a page.
LARGEST_PAGE = 256 << 20

local = threading.local()


def database():
    """Returns the thread's own connection: the threads are the parallelism."""
    if not hasattr(local, "database"):
        local.database = duckdb.connect(config={"threads": 1})
    return local.database


def decode(text, rows):
    query = "SELECT json_extract(page, '$.metadata'), json_array_length(page, ?) FROM (SELECT ?::JSON AS page)"
    metadata, count = database().execute(query, [f"$.{rows}", text.decode()]).fetchone()
    return (text, rows) if count else None, json.loads(metadata)


def write(pages, path):
    path.mkdir(parents=True, exist_ok=True)
    rows = pages[0][1]
    with tempfile.TemporaryDirectory() as folder:
        for number, (text, _) in enumerate(pages):
            with open(f"{folder}/{number}.json", "wb") as file:
                file.write(text)
        read = f"read_json('{folder}/*.json', maximum_object_size = {LARGEST_PAGE}, sample_size = -1)"
        records = f"SELECT unnest(record) FROM (SELECT unnest({rows}) AS record FROM {read})"
        target = f"'{path}/0.parquet' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        return database().execute(f"COPY ({records}) TO {target}").fetchone()[0]


if __name__ == "__main__":
    asyncio.run(run(decode, write, *sys.argv[1:]))
