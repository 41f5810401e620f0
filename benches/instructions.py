"""Instructions of a whole request, counted by valgrind's callgrind: the figure to watch for regressions.

Run ``python benches/instructions.py``. Each variant answers N and 2N requests in a process of its own; the
difference is N requests, without the start. It repeats within 2 %, however busy the machine is.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apps
import material
import peers
from common import (
    Row,
    answer,
    conclude,
    environ,
    figure,
    heading,
    lacking,
    mark,
    options,
    run_requests,
    table,
    versions,
)
from serving import environment, tool

TOKEN = "BENCH_TOKEN"
VARIANTS: dict[str, tuple[str, Callable[[], Any], str]] = {
    "bare": ("bare Flask", apps.bare, "HS256"),
    "ours": ("ours, all five guards, HS256", apps.everything, "HS256"),
    "ours-rs256": ("ours, all five guards, RS256 seen before", lambda: apps.everything("RS256"), "RS256"),
    "peers": ("peers, whole stack, HS256", peers.everything, "HS256"),
}


def run(variant: str, count: int) -> None:
    """Answers *count* requests: what callgrind counts."""
    _, make, algorithm = VARIANTS[variant]
    app, token = make(), os.environ.get(TOKEN) or material.token(algorithm)
    for _ in range(20):
        status, _, content = answer(app.wsgi_app, environ(material.BODY, token))
        if status != 200:
            raise SystemExit(f"{variant}: answered {status}: {content[:300]!r}")
    statuses: list[str] = []
    gc.collect()
    gc.disable()
    # One environ at a time, so that twice the requests are twice the work and no more.
    for _ in range(count):
        run_requests(app.wsgi_app, [environ(material.BODY, token)], statuses)
    if any(not status.startswith("200") for status in statuses):
        raise SystemExit(f"{variant}: a request was refused")


def count_instructions(valgrind: str, variant: str, count: int) -> int:
    """Instructions of a process that answers *count* requests."""
    command = [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command += [sys.executable, __file__, "--run", variant, "--requests", str(count)]
    algorithm = VARIANTS[variant][2]
    given = {**environment(), TOKEN: material.token(algorithm)}
    if algorithm != "HS256":
        # Made here: the search for primes takes as many instructions as chance wants.
        given[f"BENCH_PUBLIC_{algorithm}"] = material.public_key(algorithm).decode()
    done = subprocess.run(command, capture_output=True, text=True, env=given, check=False)
    found = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
    if done.returncode or found is None:
        raise SystemExit(f"{variant}: callgrind failed:\n{done.stderr[-2000:]}")
    return int(found[1])


def arguments() -> argparse.Namespace:
    parser = options(__doc__, requests=100)
    parser.add_argument("--only", choices=VARIANTS, action="append", help="these beside bare; again for more")
    parser.add_argument("--run", choices=VARIANTS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    given = arguments()
    if given.run:
        run(given.run, given.requests)
        return 0
    about = versions(*peers.PACKAGES)
    heading("Instructions of a whole request (valgrind, callgrind)", about)
    valgrind = tool("valgrind", "valgrind")
    if valgrind is None:
        return 0
    wanted = ["bare", *(name for name in given.only or VARIANTS if name != "bare")]
    absent = peers.missing()
    if absent and "peers" in wanted:
        lacking(f"peers ({', '.join(absent)})", "bench")
        wanted.remove("peers")
    if peers.missing("cryptography") and "ours-rs256" in wanted:
        wanted.remove("ours-rs256")
    rows: list[Row] = []
    base = 0.0
    jobs = [(variant, times * given.requests) for variant in wanted for times in (1, 2)]
    # Side by side: what else the machine does changes the time, not the count.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        counted = dict(zip(jobs, pool.map(lambda job: count_instructions(valgrind, *job), jobs), strict=True))
    for variant in wanted:
        once, twice = (counted[variant, times * given.requests] for times in (1, 2))
        each = (twice - once) / given.requests
        base = base or each
        rows.append(Row("instructions", VARIANTS[variant][0], each / base, note=f"{each:,.0f}"))
    lines = [[row.name, row.note, figure(row.value), mark(row.met)] for row in rows]
    print(table(("", "instructions", "x bare", ""), lines))
    print(f"\nThe difference of {given.requests} and {2 * given.requests} requests, for each request.")
    return conclude(given, about, rows)


if __name__ == "__main__":
    sys.exit(main())
