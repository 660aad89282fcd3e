"""Runs a program and tells what it took, and nothing of what its parent holds.

Until a child executes its program it is its parent, memory included, and that counts into its peak (`ru_maxrss`). So a
parent as small as an interpreter can be starts it and waits for it.
"""

import collections
import json
import subprocess
import sys
import tempfile

Took = collections.namedtuple("Took", "status printed said seconds cpu_seconds peak_mib")

# Without `site` and any other module an interpreter holds less than the programs that are measured.
PARENT = """
import os, sys, time
began = time.monotonic()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
with open(sys.argv[1], "w") as told:
    took = os.waitstatus_to_exitcode(status), time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    told.write("[%d, %f, %f, %f]" % took)
"""


def run(arguments, folder, environment):
    with tempfile.NamedTemporaryFile("r") as told:
        command = [sys.executable, "-I", "-S", "-c", PARENT, told.name, *map(str, arguments)]
        parent = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if parent.returncode != 0:
            raise SystemExit(f"{arguments[0]} did not start: {parent.stderr[-2000:]}")
        status, *took = json.load(told)
    return Took(status, parent.stdout, parent.stderr, *took)
