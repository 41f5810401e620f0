"""Files treated by a plan: bytes a second of the whole command, with one thread and with all, and the memory it takes.

Run ``python benches/anonymize.py`` with a release build. The default needs 3 GB of disk; ``--mib`` makes it less.

The records are made with a seed: eight columns, some 300 bytes, one in ten with a mail address in its note. Each row
runs in a process of its own, from ``Job.run`` to the output's name on the disk. The rate is by the clock on the wall,
since it is the user who waits; the processor's time stands beside it. Memory is the most that the process ever had
(``VmHWM``), for a tenth of the file and for the whole: flat means that the two agree.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import Row, conclude, figure, goal, heading, mark, options, table, versions

RATE = 100
"""MB a second of JSON Lines on two cores, with every rule of the plan and both measures."""
GROWTH = 16
"""MiB that ten times the file may take more."""
ENTRIES = 100_000
"""Classes and values that are measured."""

PLAN = """
default = "{default}"
quasi_identifiers = ["born", "home.zip"]
sensitive = ["diagnosis"]
[columns]
name = "drop"
diagnosis = "keep"
{note}
[columns.id]
do = "pseudonym"
scope = "id"
[columns.mail]
do = "pseudonym"
scope = "mail"
form = "email"
[columns.born]
do = "date"
to = "decade"
[columns."home.zip"]
do = "postcode"
keep = 1
[columns.ip]
do = "ip"
[columns.amount]
do = "number"
round = 10
"""
PLANS = {
    "seven rules, the rest kept": PLAN.format(default="keep", note=""),
    "seven rules, the note redacted": PLAN.format(default="keep", note='note = "redact"'),
    "seven rules, the rest redacted": PLAN.format(default="redact", note=""),
}
WORDS = (
    "tea",
    "visit",
    "follow up",
    "blood pressure",
    "normal",
    "left knee",
    "pain",
    "since last week",
    "advised rest",
)


def generate(path: Path, mib: int) -> None:
    """Writes records until the file is so long; the same each time."""
    dice = random.Random(3)
    pool = [" ".join(dice.choices(WORDS, k=12)) for _ in range(2000)]
    with path.open("w", encoding="utf-8") as file:
        written = number = 0
        while written < mib << 20:
            rows = []
            for _ in range(5000):
                number += 1
                note = dice.choice(pool) + (f" write to p{number}@example.org" if number % 10 == 0 else "")
                rows.append(
                    f'{{"id": {number}, "name": "Person {number}", "mail": "p{number}@example.org", '
                    f'"born": "{dice.randrange(1930, 2010)}-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}", '
                    f'"home": {{"zip": "{dice.randrange(10000, 99999)}", "city": "Springfield"}}, '
                    f'"ip": "192.0.2.{number % 256}", "amount": {dice.randrange(1, 99999) / 100}, '
                    f'"diagnosis": "{dice.choice(("flu", "cold", "asthma", "none"))}", "note": "{note}"}}\n'
                )
            text = "".join(rows)
            written += file.write(text)


def run(folder: Path, source: str, plan: str, jobs: int) -> dict[str, float]:
    """Treats a file in a process of its own."""
    command = [
        sys.executable,
        __file__,
        "--child",
        str(folder),
        "--source",
        source,
        "--plan",
        plan,
        "--jobs",
        str(jobs),
    ]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def child(folder: Path, source: str, plan: str, jobs: int) -> None:
    """What :func:`run` starts."""
    from flask_rampart.anonymize.files import Job
    from flask_rampart.anonymize.formats import Options

    target = folder / "out.jsonl"
    # The measure before has nearly as many classes as there are people, and is given up: in the tenth of the file
    # too, so that both hold as much of it.
    options = Options(max_entries=ENTRIES)
    job = Job(str(folder / source), str(target), PLANS[plan], key=bytes(range(32)), options=options, jobs=jobs)
    begun, spent = time.perf_counter(), time.process_time()
    job.run()
    seconds, processor = time.perf_counter() - begun, time.process_time() - spent
    print(json.dumps({"seconds": seconds, "processor": processor, "peak": peak() / 1024}))
    os.unlink(target)


def peak() -> int:
    """KiB that this process has ever had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def main() -> int:
    parser = options(__doc__, mib=1024)
    parser.add_argument("--folder", type=Path, help="where the files are written; a temporary one by default")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--source", help=argparse.SUPPRESS)
    parser.add_argument("--plan", help=argparse.SUPPRESS)
    parser.add_argument("--jobs", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        child(arguments.child, arguments.source, arguments.plan, arguments.jobs)
        return 0
    about = versions()
    heading(f"A file of {arguments.mib} MiB, treated by a plan", about)
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        generate(folder / "whole.jsonl", arguments.mib)
        generate(folder / "tenth.jsonl", max(arguments.mib // 10, 1))
        size = (folder / "whole.jsonl").stat().st_size / 1e6
        for plan in PLANS:
            for jobs in (1, 2):
                told = run(folder, "whole.jsonl", plan, jobs)
                target = RATE if jobs == 2 and plan == next(iter(PLANS)) else None
                group = f"JSON Lines, {jobs} thread{'s' if jobs > 1 else ''}"
                rows.append(Row(group, plan, size / told["seconds"], "MB/s", target, at_least=True))
                rows.append(Row(group, "by processor time", size / told["processor"], "MB/s"))
                if plan == next(iter(PLANS)) and jobs == 2:
                    small = run(folder, "tenth.jsonl", plan, jobs)
                    rows.append(Row("memory", "most, of a tenth of the file", small["peak"], "MiB"))
                    rows.append(Row("memory", "most, of the whole", told["peak"], "MiB"))
                    rows.append(Row("memory", "what the whole takes more", told["peak"] - small["peak"], "MiB", GROWTH))
    lines = [[row.group, row.name, figure(row.value), row.unit, goal(row), mark(row.met)] for row in rows]
    print(table(("", "", "", "", "target", ""), lines, left=2))
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
