"""Patients that do not exist, the same ones for the same seed."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta, timezone

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("born", pa.date32()),
        ("home", pa.struct([("zip", pa.string()), ("town", pa.string())])),
        ("illness", pa.string()),
        ("note", pa.string()),
        (
            "visits",
            pa.list_(
                pa.struct([("doctor", pa.string()), ("at", pa.timestamp("us", "UTC")), ("cost", pa.int32())]),
            ),
        ),
    ]
)


def people(rows: int, seed: int = 1) -> pa.Table:
    """A table of so many patients."""
    dice = random.Random(seed)
    return pa.Table.from_pylist([_person(dice, number) for number in range(rows)], SCHEMA)


def _person(dice: random.Random, number: int) -> dict[str, object]:
    first, last = dice.choice(["Ann", "Bob", "Eve", "Kim", "Lou"]), dice.choice(["Abel", "Berg", "Carr", "Dorn"])
    return {
        "id": 100_000 + number,
        "name": f"{first} {last} {number}",
        "born": date(1940, 1, 1) + timedelta(days=dice.randrange(25_000)),
        "home": {"zip": f"{dice.randrange(10, 14)}{dice.randrange(1000):03}", "town": dice.choice(["Ulm", "Bonn"])},
        "illness": dice.choice(["flu", "flu", "cold", "asthma", None]),
        "note": dice.choice(["", f"write to {first.lower()}{number}@example.org", "call again in spring"]),
        "visits": [
            {
                "doctor": dice.choice(["Dr. Moss", "Dr. Nye"]),
                "at": datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(minutes=dice.randrange(500_000)),
                "cost": dice.randrange(20, 400),
            }
            for _ in range(dice.randrange(3))
        ],
    }
