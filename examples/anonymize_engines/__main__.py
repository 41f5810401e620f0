"""``python -m examples.anonymize_engines --engine dask|ray|spark [--rows N]``: see the package."""

from __future__ import annotations

import argparse
import os
import secrets
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from flask_rampart.anonymize.arrow import ArrowPlan

from .engines import ENGINES
from .people import people

PLAN = Path(__file__).parent / "plan.toml"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.anonymize_engines", description=__doc__)
    parser.add_argument("--engine", choices=sorted(ENGINES), default="dask")
    parser.add_argument("--rows", type=int, default=20_000)
    asked = parser.parse_args()
    # Yours comes from where you keep keys. Workers inherit the environment; on other hosts it has to be there.
    os.environ.setdefault("PLAN_KEY", secrets.token_hex(32))
    plan = ArrowPlan(PLAN, key_env="PLAN_KEY")
    table = people(asked.rows)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "people.parquet"
        pq.write_table(table, source, row_group_size=max(1, asked.rows // 8))
        began = time.perf_counter()
        made, privacy = ENGINES[asked.engine](plan, source)
        took = time.perf_counter() - began
    before = plan.measured([plan.measure_batch(table)])
    print(f"{asked.engine}: {made.num_rows:,} rows in {took:.1f} s, start of the engine included")
    for field in made.schema:
        print(f"  {field.name}: {field.type}")
    row = made.slice(0, 1).to_pylist()[0]
    print(f"  such as {row}")
    print(f"k before {before.k}, after {privacy.k}")
    print(f"rows that are alone before {before.rows_below(2):,}, after {privacy.rows_below(2):,}")


if __name__ == "__main__":
    main()
