"""Redaction: megabytes a second of log lines, with every detector on, beside a loop of ``re`` patterns and Presidio.

Run ``python benches/redaction.py`` with the group ``accuracy``, for Presidio's rows. All read the same lines of an
application's log, of about 140 bytes: *mixed*, where one in eight has something secret, and *clean*. *Whole* is one
text of all lines, *by line* a call for each, as a logger makes it: the call from Python is in it.

- *ours* is all that is found by default: some 360 kinds of secrets. *Ours, identifiers too* has all 72 of these on as
  well.
- *re* is what people write: twenty patterns, one after another (``material.PATTERNS``).
- *Presidio* is its pattern recognizers alone, as ``finders.py`` makes them, by line; it finds, and replaces nothing.
"""

from __future__ import annotations

import importlib.util
import itertools
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import finders
import material
import peers
from common import Row, Subject, conclude, figure, goal, heading, lacking, loop, mark, measure, options, table, versions

from flask_rampart import _native

CLEAN, MIXED = 300.0, 150.0
"""MB/s and core that are promised."""


def lines() -> dict[str, list[str]]:
    """Mixed and clean lines of about 140 bytes."""
    left_out = re.compile(r" orders\.views| method=POST| route=\S+| lines=\d+")
    mixed = [left_out.sub("", line) for line in material.log_lines(800)]
    return {"mixed": mixed, "clean": [line for number, line in enumerate(mixed) if number % 8]}


def redactors() -> dict[str, Callable[[str], str]]:
    """What redacts a text."""
    known = {*_native.Redactor().entities, *finders.PERSONAL}
    return {
        "ours": _native.Redactor().redact,
        "ours, identifiers too": _native.Redactor(entities=sorted(known)).redact,
        "re, twenty patterns": peers.redact,
    }


def check(redactors: dict[str, Callable[[str], str]], given: dict[str, list[str]]) -> None:
    """That each hides what is planted, and leaves most of the rest."""
    for name, redact in redactors.items():
        for line, (_, secret) in zip(given["mixed"][::8], itertools.cycle(material.PLANTED), strict=False):
            if secret in redact(line):
                raise SystemExit(f"{name}: {secret!r} is left in {redact(line)!r}; it is not measured")
        if any(redact(line) != line for line in given["clean"]):
            raise SystemExit(f"{name}: a clean line is changed; it is not measured")


def presidio(rows: Sequence[str]) -> Subject:
    """A few lines of each, since it takes a second for a megabyte or two."""
    engine = finders.engine()

    def find(line: str) -> object:
        return engine.analyze(line, language="en", score_threshold=finders.SCORE)

    return loop("Presidio, pattern recognizers", find, rows[:160])


def main() -> int:
    parser = options(__doc__, rounds=31)
    arguments = parser.parse_args()
    about: dict[str, Any] = versions("presidio-analyzer")
    heading("Redaction of log lines", about)
    given, known = lines(), redactors()
    check(known, given)
    has_presidio = importlib.util.find_spec("presidio_analyzer") is not None
    if not has_presidio:
        lacking("Presidio", "accuracy")
    measured: list[tuple[str, Subject, float]] = []  # group, subject, bytes a call
    slow: list[tuple[str, Subject, float]] = []
    for kind, rows in given.items():
        text = "\n".join(rows)
        size = len(text.encode()) / len(rows)
        whole, by_line = [], []
        for name, redact in known.items():
            whole.append((f"{kind}, whole", loop(name, redact, [text]), float(len(text.encode()))))
            by_line.append((f"{kind}, by line", loop(name, redact, rows), size))
        for group in (whole, by_line):
            for _, subject, _ in group[:-1]:
                subject.against = group[-1][1]
            measured += group
        if has_presidio:
            slow.append((f"{kind}, by line", presidio(rows), size))
    measure([subject for _, subject, _ in measured], rounds=arguments.rounds)
    measure([subject for _, subject, _ in slow], rounds=min(arguments.rounds, 3), calls=160)
    figures: list[Row] = []
    printed: list[list[str]] = []
    for group in dict.fromkeys(group for group, _, _ in measured):
        printed.append([group])
        for _, subject, size in (one for one in [*measured, *slow] if one[0] == group):
            target = (CLEAN if group.startswith("clean") else MIXED) if subject.name.startswith("ours") else None
            row = Row(group, subject.name, size / subject.median, "MB/s", target, at_least=True, micros=subject.median)
            row.peer = 1 / subject.ratio if subject.name.startswith("ours") else None
            figures.append(row)
            faster = f"{figure(row.peer)} x re" if row.peer else ""
            printed.append([f"  {row.name}", figure(row.value), figure(row.micros), faster, goal(row), mark(row.met)])
    print(table(("", "MB/s", "us a call", "", "target", ""), printed))
    print(f"\n{arguments.rounds} rounds; medians. Processor time of one core.")
    return conclude(arguments, about, figures)


if __name__ == "__main__":
    sys.exit(main())
