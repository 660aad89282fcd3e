"""The same job by hand: an asyncio client and Polars, as a good data engineer would write it in an afternoon.

One task for each tenant and dataset, 32 requests in flight, pages decoded by Polars' own JSON reader in a thread,
one zstd Parquet file for each tenant and dataset. No budget, no retries, no receipts: only the speed is compared.

    python asyncio_polars.py ENDPOINT KEY PARENT OUT [DATASET ...]
"""

import asyncio
import io
import json
import pathlib
import resource
import sys
import time

import aiohttp
import polars as pl

INDEX = {
    "investigations": ("GET", "/idr/v2/investigations", 100, "data"),
    "alerts": ("POST", "/idr/at/alerts/ops/search", 100, "alerts"),
    "users": ("POST", "/idr/v1/users/_search", 1000, "data"),
    "accounts": ("POST", "/idr/v1/accounts/_search", 1000, "data"),
    "assets": ("POST", "/idr/v1/assets/_search", 1000, "data"),
}
CURSOR = {
    "vm_assets": ("/vm/v4/integration/assets", 100),
    "vm_vulnerabilities": ("/vm/v4/integration/vulnerabilities", 500),
}


class Client:
    """Asks for pages; `decode` makes a frame and the metadata of one, `write` makes a file of frames."""

    def __init__(self, session, endpoint, key, out, decode, write):
        self.session, self.endpoint, self.key, self.out = session, endpoint, key, out
        self.decode, self.write = decode, write
        self.turn = asyncio.Semaphore(32)
        self.open = asyncio.Semaphore(64)
        self.bytes = self.rows = self.pages = 0

    async def call(self, method, tenant, path, params, body=None):
        url = self.endpoint.replace("{region}", tenant["region"].lower()) + path
        headers = {"X-Api-Key": self.key, "R7-Organization-Id": tenant["id"]}
        async with self.turn, self.session.request(method, url, params=params, json=body, headers=headers) as answer:
            answer.raise_for_status()
            text = await answer.read()
        self.bytes += len(text)
        self.pages += 1
        return text

    async def tenants(self, parent, home):
        found, index = {}, 0
        while True:
            at = {"region": home, "id": parent}
            text = await self.call("GET", at, "/account/api/1/managed-organizations", {"size": 100, "index": index})
            page = json.loads(text)
            found |= {entry["id"]: entry for entry in page["data"] if entry.get("region")}
            index += 1
            if index >= page["metadata"]["total_pages"]:
                return list(found.values())

    async def index_pages(self, tenant, dataset):
        method, path, size, rows = INDEX[dataset]
        params, body, index = {"size": size}, None, 0
        if dataset == "investigations":
            params |= {"start_time": "2000-01-01T00:00:00Z", "end_time": "2100-01-01T00:00:00Z", "sort": "created_time,ASC"}
        elif dataset == "alerts":
            params |= {"rrns_only": "false"}
            now = int(time.time())
            body = {"search": {"start_time": stamp(now - 150 * 86400), "end_time": stamp(now)}}
        else:
            body = {}
        while True:
            text = await self.call(method, tenant, path, params | {"index": index}, body)
            frame, metadata = await asyncio.to_thread(self.decode, text, rows)
            yield frame
            index += 1
            last = metadata.get("is_last_index", index >= metadata.get("total_pages", 0))
            if last or frame is None:
                return

    async def cursor_pages(self, tenant, dataset):
        path, size = CURSOR[dataset]
        params = {"size": size} | ({"includeSame": "true"} if dataset == "vm_assets" else {})
        while True:
            text = await self.call("POST", tenant, path, params, {})
            frame, metadata = await asyncio.to_thread(self.decode, text, "data")
            yield frame
            if frame is None or not metadata.get("cursor"):
                return
            params["cursor"] = metadata["cursor"]

    async def pull(self, tenant, dataset):
        async with self.open:
            pages = self.index_pages(tenant, dataset) if dataset in INDEX else self.cursor_pages(tenant, dataset)
            frames = [frame async for frame in pages if frame is not None]
            if frames:
                path = self.out / dataset / f"region={tenant['region'].lower()}" / f"organization_id={tenant['id']}"
                # Added after the wait: others count meanwhile.
                height = await asyncio.to_thread(self.write, frames, path)
                self.rows += height


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def decode(text, rows):
    page = pl.read_json(io.BytesIO(text), infer_schema_length=None)
    metadata = page["metadata"][0]
    records = page[rows].explode()
    frame = None if records.dtype == pl.Null or records[0] is None else records.struct.unnest()
    return frame, metadata


def write(frames, path):
    path.mkdir(parents=True, exist_ok=True)
    frame = pl.concat(frames, how="diagonal_relaxed")
    frame.write_parquet(path / "0.parquet", compression="zstd", compression_level=1)
    return frame.height


async def run(decode, write, endpoint, key, parent, out, *datasets):
    started = time.monotonic()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
        client = Client(session, endpoint, key, pathlib.Path(out), decode, write)
        tenants = await client.tenants(parent, "us")
        pulls = [client.pull(tenant, dataset) for dataset in datasets or INDEX | CURSOR for tenant in tenants]
        await asyncio.gather(*pulls)
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {"tenants": len(tenants), "rows": client.rows, "pages": client.pages, "bytes": client.bytes,
              "seconds": round(seconds, 3), "mb_per_s": round(client.bytes / 1e6 / seconds, 1), "peak_mib": round(peak)}
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(run(decode, write, *sys.argv[1:]))
