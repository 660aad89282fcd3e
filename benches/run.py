"""Whole runs against the simulated platform, beside peers written by hand; what was written is checked before it counts.

    python benches/run.py [--program PATH] [--tenants 10 100 1000] [--rows 1 10] [--peers polars duckdb] [--times 3]

The platform is a process of its own. Every client reads the same datasets of the same tenants; between two clients the
platform's journal is cleared. A client's rows must be the platform's, tenant by tenant, or there is no result. One line
of JSON for each run goes to standard output, a table for people to standard error.
"""

import argparse
import collections
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import urllib.request

import duckdb

import measured

HERE = pathlib.Path(__file__).resolve().parent
PEERS = {"polars": HERE / "peers/asyncio_polars.py", "duckdb": HERE / "peers/asyncio_duckdb.py"}
# What the peers can read too. Findings stand in the pages of vm_assets; the peers leave them nested.
DATASETS = ["investigations", "alerts", "users", "accounts", "assets", "vm_assets", "vm_vulnerabilities"]
TIMED = {"investigations", "alerts"}
# The platform's rows reach back 120 days; a search for alerts reaches back half a year at most.
DAYS = 150
QUIRKS = {"mixed_case_regions": False, "missing_region": 0, "cross_region_customer": False, "duplicate_entry": False,
          "external_ids": False, "empty_tenants": 0, "irregular_rows": False}


class Platform:
    """The simulated platform in a process of its own."""

    def __init__(self, program, folder, tenants, rows):
        described = folder / "platform.json"
        described.write_text(json.dumps({"tenants": tenants, "rows": rows, "skewed": False, "gzip": False, "quirks": QUIRKS}))
        command = [program, "simulate", "--json", "--platform", described]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        said = ""
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit("the platform did not start")
            said += line
            try:
                self.place = json.loads(said)
                break
            except json.JSONDecodeError:
                continue

    def ask(self, path, method="GET"):
        request = urllib.request.Request(f"{self.place['control'].rstrip('/')}/{path}", method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def cpu_seconds(self):
        """Returns the seconds of cores that it took so far: it works on the same machine as its clients."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def truth(self):
        """Returns the rows of each tenant and dataset."""
        told = self.ask("truth")
        return {(dataset, tenant["id"]): counts["rows"] - counts["rejects"]
                for tenant in told["tenants"] for dataset, counts in tenant["datasets"].items()
                if dataset in DATASETS and counts["rows"] > counts["rejects"]}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def run_file(place, out):
    since = f'since = "{DAYS}d"\n'
    datasets = "".join(f'[[dataset]]\nname = "{name}"\n{since if name in TIMED else ""}' for name in DATASETS)
    return (f'[connector.rapid7]\nparent_organization = "{place["parent_organization"]}"\nhome_region = "us"\n'
            f'key = {{ env = "TENANTRY_KEY" }}\nendpoint = "{place["endpoint"]}"\n{datasets}'
            f'[sink.parquet]\nurl = "{out}"\n')


def command(client, program, place, out, folder):
    if client != "tenantry":
        peer = [sys.executable, PEERS[client], place["endpoint"], place["key"], place["parent_organization"], out]
        return [*map(str, peer), *DATASETS]
    file = folder / "tenantry.toml"
    file.write_text(run_file(place, out))
    return [str(program), "run", "--quiet", "--config", str(file)]


def measure(client, program, platform, folder):
    """Runs a client once and returns what it took."""
    out = folder / "out"
    arguments = command(client, program, platform.place, out, folder)
    platform.ask("journal", "DELETE")
    environment = {**os.environ, "TENANTRY_KEY": platform.place["key"]}
    before = platform.cpu_seconds()
    took = measured.run(arguments, folder, environment)
    if took.status != 0:
        raise SystemExit(f"{client} ended with {took.status}: {took.said[-2000:]}")
    total = platform.ask("journal")["total"]
    return {"client": client, "seconds": round(took.seconds, 3), "peak_mib": round(took.peak_mib),
            "cpu_seconds": round(took.cpu_seconds, 2),
            "platform_cpu_seconds": round(platform.cpu_seconds() - before, 2), "requests": total["requests"], "bytes": total["bytes"],
            "out": out}


def check(result, truth):
    """Compares the rows of each tenant and dataset with the platform's; returns how many there are."""
    written = {}
    for dataset in DATASETS:
        files = f"{result['out']}/{dataset}/**/*.parquet"
        counted = duckdb.sql(
            f"SELECT regexp_extract(filename, 'organization_id=([^/]*)', 1), count(*) "
            f"FROM read_parquet('{files}', filename = true, hive_partitioning = false, union_by_name = true) GROUP BY ALL")
        written |= {(dataset, tenant): rows for tenant, rows in counted.fetchall()}
    wrong = {place: (written.get(place), rows) for place, rows in truth.items() if written.get(place) != rows}
    wrong |= {place: (rows, None) for place, rows in written.items() if place not in truth}
    if wrong:
        place, (got, expected) = next(iter(wrong.items()))
        raise SystemExit(f"{result['client']} is wrong in {len(wrong)} places, such as {place}: {got} rows of {expected}")
    return sum(written.values())


def compare(program, folder, tenants, rows, clients, times):
    results = collections.defaultdict(list)
    folder.mkdir()
    with Platform(program, folder, tenants, rows) as platform:
        truth = platform.truth()
        # Alternating, so that what else the machine does meets all of them.
        for turn in range(times):
            for client in clients:
                own = folder / f"{turn}-{client}"
                own.mkdir()
                result = measure(client, program, platform, own)
                result["rows"] = check(result, truth)
                del result["out"]
                per_second = {f"{what}_per_s": round(result[what] / result["seconds"]) for what in ("rows", "requests")}
                result |= per_second | {"mb_per_s": round(result["bytes"] / 1e6 / result["seconds"], 1)}
                result = {"tenants": tenants, "rows_factor": rows, "turn": turn} | result
                print(json.dumps(result), flush=True)
                results[client].append(result)
    return results


def table(tenants, rows, results):
    own = statistics.median(result["seconds"] for result in results["tenantry"])
    print(f"\n{tenants} tenants, rows x {rows}: {results['tenantry'][0]['rows']} rows", file=sys.stderr)
    for client, runs in results.items():
        median = {what: statistics.median(run[what] for run in runs)
                  for what in ("seconds", "rows_per_s", "mb_per_s", "requests_per_s", "peak_mib", "cpu_seconds",
                               "platform_cpu_seconds")}
        print(f"  {client:9} {median['seconds']:8.2f} s  {median['rows_per_s']:9.0f} rows/s  {median['mb_per_s']:7.1f} MB/s  "
              f"{median['requests_per_s']:7.0f} requests/s  {median['cpu_seconds']:7.2f} s of cores  "
              f"{median['platform_cpu_seconds']:6.2f} s of the platform's  "
              f"{median['peak_mib']:5.0f} MiB  x {median['seconds'] / own:.2f}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parent / "target/release/tenantry")
    parser.add_argument("--tenants", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--rows", type=float, nargs="+", default=[1, 10])
    parser.add_argument("--peers", choices=[*PEERS], nargs="*", default=[*PEERS])
    parser.add_argument("--times", type=int, default=3)
    args = parser.parse_args()
    program = args.program.resolve()
    print(f"{datetime.datetime.now():%Y-%m-%d %H:%M}, {os.cpu_count()} cores, {program}", file=sys.stderr)
    clients = ["tenantry", *args.peers]
    # Removed at the very end: some file systems look long for a place where much was just removed.
    with tempfile.TemporaryDirectory() as lakes:
        for rows in args.rows:
            for tenants in args.tenants:
                folder = pathlib.Path(lakes, f"{tenants}x{rows}")
                table(tenants, rows, compare(program, folder, tenants, rows, clients, args.times))


if __name__ == "__main__":
    main()
