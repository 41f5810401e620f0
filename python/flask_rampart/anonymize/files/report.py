"""What a run tells of itself, as JSON and as a page: counts and codes, and nothing of any value.

Neither has a time in it: the same input, plan and key give the same reports. Names of columns are in them, except
those that look like values (``src/anonymize/path.rs``); so is the name of the input, without its folder.

The members of the JSON:

- ``report``: ``"flask-rampart anonymize"``, ``version``: 1;
- ``input``, ``output``, ``format``, ``plan_sha256``, ``output_sha256`` (null where the output is made of what
  was hashed);
- ``records``: ``read``, ``written``, ``refused`` (by code), ``first_refused`` (``where``, ``code``, ``column``);
- ``columns``: of each ``path``, ``rule``, ``values``, ``nulls``, ``kept``, ``changed``, ``dropped``, ``suppressed``,
  ``refused`` (records, by code) and ``found`` (by the redactor, by entity);
- ``found``: the sums of the latter; ``unmet``: rules that met nothing;
- ``privacy``: null, or ``quasi_identifiers``, ``before`` and ``after``: either ``not_measured``, the reason, or
  ``rows``, ``k``, ``classes``, ``rows_below`` (2, 3, 5, 10, 20), ``sizes`` (rows in classes of so many),
  ``sensitive`` (by path: ``values``, ``distinct``, ``entropy``, ``closeness``) and ``dropped``: paths that no row has
  any more, so that it was measured by the rest.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from ..measuring import Privacy
from .page import page

if TYPE_CHECKING:
    from .run import Outcome

BINS = ((1, 1), (2, 2), (3, 4), (5, 9), (10, 19), (20, 49), (50, 99), (100, None))
"""Sizes of classes that the plot puts together: from, to."""

SUFFIXES = (".json", ".html")
"""What the names of the reports end with."""

_BELOW = (2, 3, 5, 10, 20)


class Facts(NamedTuple):
    """What the reports are made of."""

    source: str
    target: str
    format: str
    plan: str
    written: str | None
    outcome: Outcome
    quasi_identifiers: tuple[str, ...]


def made(facts: Facts) -> dict[str, bytes]:
    """The reports, by the suffix of their names."""
    told = members(facts)
    texts = (json.dumps(told, indent=2, ensure_ascii=False) + "\n", page(told))
    return {suffix: text.encode() for suffix, text in zip(SUFFIXES, texts, strict=True)}


def members(facts: Facts) -> dict[str, Any]:
    """The report as it is written in JSON."""
    outcome = facts.outcome
    columns: list[dict[str, Any]] = [
        {"path": path, **asdict(counts)} for path, counts in sorted(outcome.tally.columns.items())
    ]
    found: dict[str, int] = {}
    for column in columns:
        for entity, count in column["found"].items():
            found[entity] = found.get(entity, 0) + count
    measured = outcome.measured
    privacy = None
    if measured is not None:
        privacy = {
            "quasi_identifiers": list(facts.quasi_identifiers),
            "before": _side(measured.before),
            "after": _side(measured.after),
        }
    return {
        "report": "flask-rampart anonymize",
        "version": 1,
        "input": facts.source,
        "output": facts.target,
        "format": facts.format,
        "plan_sha256": facts.plan,
        "output_sha256": facts.written,
        "records": {
            "read": outcome.tally.read,
            "written": outcome.tally.written,
            "refused": dict(sorted(outcome.tally.refused.items())),
            "first_refused": [
                {"where": where, "code": code, "column": column} for where, code, column in outcome.refusals
            ],
        },
        "columns": columns,
        "found": dict(sorted(found.items())),
        "unmet": list(outcome.unmet),
        "privacy": privacy,
    }


def _side(side: Privacy | str) -> dict[str, Any]:
    if isinstance(side, str):
        return {"not_measured": side}
    return {
        "rows": side.rows,
        "k": side.k,
        "classes": side.classes,
        "rows_below": {str(k): side.rows_below(k) for k in _BELOW},
        "sizes": [
            {
                "from": low,
                "to": high,
                "rows": sum(size * count for size, count in side.sizes if _within(size, low, high)),
            }
            for low, high in BINS
        ],
        "sensitive": {path: asdict(of) for path, of in side.sensitive.items()},
        "dropped": list(side.dropped),
    }


def _within(size: int, low: int, high: int | None) -> bool:
    return low <= size and (high is None or size <= high)
