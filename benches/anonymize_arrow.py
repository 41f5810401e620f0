"""Plans over Arrow: how many bytes a second one core treats, beside the same plan by records and beside a plain loop.

Run ``python benches/anonymize_arrow.py``; it needs pyarrow of the group ``bench``.

Rates are bytes of the input's arrays by the processor time of this process. Each round runs every row once, by turns.
Batches and records must agree before anything is measured. The plain loop is what one would write without any of this:
``to_pylist``, an expression for each value, ``from_pylist``; its expressions are the simplest that do something of the
kind, without a check of what they are given.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import re
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from common import Row, conclude, figure, goal, heading, mark, options, table, versions

from flask_rampart.anonymize import Plan
from flask_rampart.anonymize.arrow import Treatment

KEY = bytes(range(32))
MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
RULES: dict[str, dict[str, Any]] = {
    "pseudonyms, all different": {"id": {"do": "pseudonym", "scope": "id"}},
    "pseudonyms, 1,000 different": {"doctor": {"do": "pseudonym", "scope": "doctor"}},
    "dates": {"born": {"do": "date", "to": "month"}},
    "numbers": {"cost": {"do": "number", "round": 10}},
    "redaction": {"note": "redact"},
    "kept": {"cost": "keep", "note": "keep"},
}


def rows_of(rows: int) -> pa.Table:
    dice = random.Random(1)
    return pa.table(
        {
            "id": [f"patient-{number:09}" for number in range(rows)],
            "doctor": [f"doctor-{dice.randrange(1000):03}" for _ in range(rows)],
            "born": [f"{dice.randrange(1940, 2010)}-{dice.randrange(1, 13):02}-11" for _ in range(rows)],
            "cost": pa.array([dice.randrange(10_000) for _ in range(rows)], pa.int64()),
            "note": [
                f"write to u{dice.randrange(rows)}@example.org" if dice.random() < 0.2 else "call again"
                for _ in range(rows)
            ],
        }
    )


def plainly(values: pa.Table) -> pa.Table:
    """The loop."""

    def made(row: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": hmac.new(KEY, row["id"].encode(), hashlib.sha256).hexdigest()[:32],
            "doctor": hmac.new(KEY, row["doctor"].encode(), hashlib.sha256).hexdigest()[:32],
            "born": row["born"][:7],
            "cost": round(row["cost"] / 10) * 10,
            "note": MAIL.sub("[REDACTED]", row["note"]),
        }

    return pa.Table.from_pylist([made(row) for row in values.to_pylist()])


def ways(values: pa.Table) -> dict[str, tuple[Callable[[], object], int]]:
    """What is measured, by name: and bytes of its input."""
    batch = values.combine_chunks().to_batches()[0]
    whole = {name: rule for rules in RULES.values() if "kept" not in rules for name, rule in rules.items()}
    whole.update(RULES["redaction"])
    plan = Plan({"columns": whole}, key=KEY)
    treats = Treatment(plan)

    def by_record() -> list[dict[str, Any]]:
        return [plan.apply(row) for row in batch.to_pylist()]

    if treats.apply(batch.slice(0, 100)).to_pylist() != [plan.apply(row) for row in batch.slice(0, 100).to_pylist()]:
        raise SystemExit("batches and records differ")
    found: dict[str, tuple[Callable[[], object], int]] = {
        "a plan over batches": (lambda: treats.apply(batch), batch.nbytes),
        "the plan by records": (lambda: pa.Table.from_pylist(by_record()), batch.nbytes),
        "a plain loop": (lambda: plainly(values), batch.nbytes),
    }
    for name, rules in RULES.items():
        part = batch.select(list(rules))
        one = Treatment(Plan({"columns": rules}, key=KEY))
        found[name] = (lambda one=one, part=part: one.apply(part), part.nbytes)  # type: ignore[misc]
    return found


def main() -> int:
    parser = options(__doc__, rows=200_000, rounds=5)
    arguments = parser.parse_args()
    about = versions("pyarrow")
    heading(f"Plans over Arrow, {arguments.rows:,} rows", about)
    measured = ways(rows_of(arguments.rows))
    rates: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(arguments.rounds):
        for name, (call, size) in measured.items():
            begun = time.process_time()
            call()
            rates[name].append(size / 1e6 / (time.process_time() - begun))
    median = {name: statistics.median(of) for name, of in rates.items()}
    rows = []
    for name, value in median.items():
        group = "all columns" if name in list(median)[:3] else "by rule"
        ours = name == "a plan over batches"
        rows.append(Row(group, name, value, "MB/s", target=2 * median["a plain loop"] if ours else None, at_least=True))
    lines = [[row.group, row.name, figure(row.value), row.unit, goal(row), mark(row.met)] for row in rows]
    print(table(("", "", "", "", "target", ""), lines, left=2))
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
