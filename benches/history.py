"""What a long history costs: the same rows in few commits and in many, and each command's seconds and memory beside both.

    python benches/history.py [--program PATH] [--shapes 50x1 50x10 50x100 5x10 5x1000] [--times 3]

A shape is tenants x nights: every night is a run of its own that commits a window of two datasets of each tenant, one
after the other up to the present day. A lake must verify, hold a commit for each of them and the platform's rows, or there
is no result. One line of JSON for each measurement goes to standard output, a table for people to standard error.
"""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile

import measured
from run import HERE, Platform

DATASETS = ["investigations", "alerts"]
# The platform's rows reach back further.
DAYS = 100
COMMANDS = {"status": ["status"], "drift": ["datasets", "--drift"], "run": ["run", "--quiet"], "verify": ["verify"]}


class Lake:
    """A folder with a run file, and the lake that it names."""

    def __init__(self, program, platform, folder, since):
        self.program, self.folder = program, folder
        self.environment = {**os.environ, "TENANTRY_KEY": platform.place["key"]}
        datasets = "".join(f'[[dataset]]\nname = "{name}"\nsince = "{since}"\n' for name in DATASETS)
        place = platform.place
        (folder / "tenantry.toml").write_text(
            f'[connector.rapid7]\nparent_organization = "{place["parent_organization"]}"\nhome_region = "us"\n'
            f'key = {{ env = "TENANTRY_KEY" }}\nendpoint = "{place["endpoint"]}"\n{datasets}[sink.parquet]\nurl = "./lake"\n')

    def tenantry(self, *arguments):
        """Runs the program in the folder, and returns what it took."""
        took = measured.run([self.program, *arguments], self.folder, self.environment)
        if took.status != 0:
            raise SystemExit(f"tenantry {' '.join(arguments)} ended with {took.status}: {took.said[-2000:]}")
        return took


def instant(at):
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def build(lake, since, until, nights):
    """Commits the span in as many windows as there are nights."""
    borders = [since + (until - since) * night / nights for night in range(nights + 1)]
    borders = [border.replace(microsecond=0) for border in borders]
    for begin, end in zip(borders, borders[1:]):
        lake.tenantry("run", "--quiet", "--since", instant(begin), "--until", instant(end))


def check(lake, platform, since, tenants, nights):
    """Compares the lake with its receipts and with the platform; returns the report."""
    report = json.loads(lake.tenantry("verify", "--json").printed)
    truth = platform.ask(f"truth?since={instant(since)}")
    rows = sum(tenant["datasets"][name]["rows"] for tenant in truth["tenants"] for name in DATASETS)
    expected = {"runs": nights, "commits": tenants * nights * len(DATASETS), "rows": rows, "findings": []}
    found = {what: report[what] for what in expected}
    if found != expected:
        raise SystemExit(f"the lake of {tenants} tenants and {nights} nights is wrong: {found}, not {expected}")
    return report


def measure(lake, times):
    """Returns each command's median seconds and peak of memory, each on a copy of the lake as it was built."""
    kept = lake.folder / "kept"
    (lake.folder / "lake").rename(kept)
    results = {}
    for name, arguments in COMMANDS.items():
        taken = []
        for _ in range(times):
            shutil.copytree(kept, lake.folder / "lake")
            taken.append(lake.tenantry(*arguments))
            shutil.rmtree(lake.folder / "lake")
        results[name] = [statistics.median(getattr(took, what) for took in taken) for what in ("seconds", "peak_mib")]
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parent / "target/release/tenantry")
    parser.add_argument("--shapes", nargs="+", default=["50x1", "50x10", "50x100", "5x10", "5x1000"])
    parser.add_argument("--times", type=int, default=3)
    args = parser.parse_args()
    program = args.program.resolve()
    print(f"{datetime.datetime.now():%Y-%m-%d %H:%M}, {os.cpu_count()} cores, {program}", file=sys.stderr)
    today = datetime.datetime.now(datetime.timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    since = today - datetime.timedelta(days=DAYS)
    print(f"{'tenants':>7} {'nights':>6} {'commits':>8} {'files':>6} {'rows':>7}"
          + "".join(f"  {name + ' s':>9} {'MiB':>6}" for name in COMMANDS), file=sys.stderr)
    for shape in args.shapes:
        tenants, nights = map(int, shape.split("x"))
        with tempfile.TemporaryDirectory() as folder, Platform(program, pathlib.Path(folder), tenants, 1) as platform:
            lake = Lake(program, platform, pathlib.Path(folder), f"{since:%Y-%m-%d}")
            build(lake, since, today, nights)
            report = check(lake, platform, since, tenants, nights)
            results = measure(lake, args.times)
        about = {"tenants": tenants, "nights": nights, **{what: report[what] for what in ("commits", "files", "rows")}}
        for name, (seconds, peak) in results.items():
            print(json.dumps(about | {"command": name, "seconds": round(seconds, 3), "peak_mib": round(peak, 1)}), flush=True)
        print(f"{tenants:7} {nights:6} {report['commits']:8} {report['files']:6} {report['rows']:7}"
              + "".join(f"  {seconds:9.3f} {peak:6.1f}" for seconds, peak in results.values()), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
