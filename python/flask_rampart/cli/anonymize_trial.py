"""``flask rampart anonymize --dry-run``: what each rule would do, told as a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import BinaryIO

import click

from .. import _native
from ..anonymize import Plan
from ..anonymize.files import Job, Outcome
from ..anonymize.files.known import format_of
from ..errors import ConfigError
from .layout import print_table
from .vault.choosing import shown

_SHOWN = 3
_WIDEST = 40
_MOST = 64 << 20


def sampled(job: Job, count: int) -> None:
    """Makes *job* one of the first *count* records alone.

    :raises ConfigError: for a format whose records are not lines.
    """
    kind = job.format or format_of(job.source, None)
    data = _read(job, kind, count)
    job.source, job.format, job.streams = "-", kind, (io.BytesIO(data), io.BytesIO())


def show_trial(job: Job, outcome: Outcome, *, values: bool) -> None:
    """Prints what became of the values of each column; some of them as well, if that is wanted."""
    titles = ("COLUMN", "RULE", "VALUES", "NULLS", "KEPT", "CHANGED", "DROPPED", "SUPPRESSED", "REFUSED", "FOUND")
    rows: list[tuple[str, ...]] = [titles]
    for path, of in sorted(outcome.tally.columns.items()):
        counts = (of.values, of.nulls, of.kept, of.changed, of.dropped, of.suppressed, sum(of.refused.values()))
        found = ", ".join(f"{entity} {count}" for entity, count in sorted(of.found.items()))
        rows.append((shown(path), of.rule, *map(str, counts), found or "-"))
    print_table(rows)
    if values:
        click.echo()
        print_table([("COLUMN", "BEFORE", "", "AFTER"), *_pairs(job)])


def _read(job: Job, kind: str, count: int) -> bytes:
    if job.source != "-":
        with open(job.source, "rb") as file:
            return _first(file, job, kind, count)
    if job.streams is None:
        raise ConfigError("a pipe needs streams")
    return _first(job.streams[0], job, kind, count)


def _first(source: BinaryIO, job: Job, kind: str, count: int) -> bytes:
    if kind == "jsonl":
        lines = (source.readline(job.options.longest + 2) for _ in range(count))
        found: list[bytes] = []
        held = 0
        for line in lines:
            held += len(line)
            if not line or held > _MOST:
                break
            found.append(line)
        return b"".join(found)
    if kind != "csv":
        raise ConfigError("--sample reads the first lines: try the whole with --dry-run")
    dialect = {"delimiter": job.options.csv_delimiter.encode(), "quote": job.options.csv_quote.encode()}
    data = source.read(_MOST)
    try:
        return data[: _native.csv_cut(data, most=count + (job.options.csv_columns is None), **dialect) or len(data)]
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _pairs(job: Job) -> Iterator[tuple[str, str, str, str]]:
    """Values of the first records that pass, before and after."""
    kind = job.format or format_of(job.source, None)
    if kind == "parquet":
        raise ConfigError("--show-values is for JSON Lines and CSV")
    if job.source == "-" and job.streams is not None:
        # What was sampled is there still.
        job.streams[0].seek(0)
    data = _read(job, kind, 100)
    records = _lines(job.plan_by(), data) if kind == "jsonl" else _table(job, data)
    for before, after in islice(records, _SHOWN):
        for name, value in before.items():
            yield _shown(name), value, "->", after.get(name, "(left out)")


def _lines(plan: Plan, data: bytes) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    lines = _native.AnonymizeLines(plan._native)
    for line in data.splitlines():
        out = lines.treat(line)[0]
        if out:
            before, after = (
                {name: _short(json.dumps(value, ensure_ascii=False)) for name, value in json.loads(of).items()}
                for of in (line, out)
            )
            yield before, after


def _table(job: Job, data: bytes) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Record by record, so that one that is left out does not pair its neighbours."""
    options = job.options
    dialect = {"delimiter": options.csv_delimiter.encode(), "quote": options.csv_quote.encode()}
    head = b"" if options.csv_columns is not None else data[: _native.csv_cut(data, most=1, **dialect)]
    rest = data[len(head) :]
    while rest:
        cut = _native.csv_cut(rest, most=1, **dialect) or len(rest)
        out = io.BytesIO()
        trial = replace(job, source="-", target="-", format="csv", jobs=1, report=None, resume=False)
        trial.streams, trial.progress = (io.BytesIO(head + rest[:cut]), out), lambda progress: None
        trial.run()
        before, after = (
            csv.DictReader(
                io.StringIO(of.decode(errors="replace").removeprefix("\ufeff")),
                options.csv_columns,
                delimiter=options.csv_delimiter,
                quotechar=options.csv_quote,
            )
            for of in (head + rest[:cut], out.getvalue())
        )
        for pair in zip(before, after, strict=False):
            read, made = ({name: _short(value or "") for name, value in of.items()} for of in pair)
            yield read, made
        rest = rest[cut:]


def _shown(name: str) -> str:
    return _short("".join(letter if letter.isprintable() else "?" for letter in name))


def _short(text: str) -> str:
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return plain if len(plain) <= _WIDEST else plain[: _WIDEST - 3] + "..."
