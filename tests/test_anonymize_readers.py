"""What is written is read by others: CSV by ``csv``, pandas and pyarrow, JSON Lines by ``json``, pandas and pyarrow."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pytest

from flask_rampart.anonymize import Plan
from flask_rampart.anonymize.files import Job
from flask_rampart.anonymize.formats import Options

KEY = bytes(range(32))
PLAN = """
default = "keep"
[columns]
name = "drop"
said = "redact"
[columns.id]
do = "pseudonym"
scope = "id"
[columns.born]
do = "date"
to = "decade"
"""
TEXTS = (
    "plain",
    "",
    " with blanks ",
    "a,b",
    "a;b\tc",
    '"',
    '""',
    'say "hi"',
    '"open',
    'shut"',
    '","',
    "two\nlines",
    "two\r\nlines",
    "\r",
    "\n",
    '"open\nand "shut""',
    "it's",
    "\\",
    '\\"',
    "=1+1",
    "NA",
    "null",
    "007",
    "ü€\U0001f600",
    "\u2028",
)
"""Each is a value; those with quotation marks, separators and line breaks would shift the rest if they were not quoted."""

RECORDS = [
    {
        "id": str(number),
        "name": text,
        "note": text,
        "said": f"{text} to ada@example.org, {text}",
        "born": f"19{number + 30}-01-01",
        text or "none": "a head",
    }
    for number, text in enumerate(TEXTS)
]
HEADS = list(dict.fromkeys(name for record in RECORDS for name in record))
ROWS = [{head: record.get(head, "") for head in HEADS} for record in RECORDS]


def expected() -> list[dict[str, Any]]:
    plan = Plan.parse(PLAN, key=KEY)
    made = [plan.apply(row) for row in ROWS]
    assert all("name" not in row and "ada@" not in row["said"] for row in made)
    assert [row["note"] for row in made] == list(TEXTS) and made[0]["born"] == "1930s"
    return made


def treated(folder: Path, name: str, data: bytes, **options: Any) -> Path:
    (folder / f"in.{name}").write_bytes(data)
    # Records are longer than a piece, and shorter: cuts are at ends of records alone.
    out = folder / f"out.{name}"
    Job(str(folder / f"in.{name}"), str(out), PLAN, key=KEY, jobs=2, options=Options(piece=500, **options)).run()
    return out


def by_csv(path: Path, delimiter: str) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=delimiter, strict=True))


def by_pandas(path: Path, delimiter: str) -> list[dict[str, Any]]:
    frame = pd.read_csv(path, sep=delimiter, dtype=str, keep_default_na=False)
    return frame.to_dict("records")


def by_pyarrow(path: Path, delimiter: str) -> list[dict[str, Any]]:
    table = pyarrow.csv.read_csv(
        path,
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(HEADS, pa.string()), strings_can_be_null=False
        ),
    )
    return table.to_pylist()


@pytest.mark.parametrize("read", [by_csv, by_pandas, by_pyarrow])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL], ids=["minimal", "all"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_table_is_read_as_it_was_meant(
    tmp_path: Path, read: Callable[[Path, str], list[dict[str, Any]]], quoting: Any, delimiter: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, HEADS, delimiter=delimiter, quoting=quoting)
    writer.writeheader()
    writer.writerows(ROWS)
    out = treated(tmp_path, "csv", text.getvalue().encode(), csv_delimiter=delimiter)
    assert read(out, delimiter) == expected()


@pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "as it is"])
@pytest.mark.parametrize("reader", ["json", "pandas", "pyarrow"])
def test_json_lines_are_read_as_they_were_meant(tmp_path: Path, reader: str, ascii_only: bool) -> None:
    data = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in ROWS)
    out = treated(tmp_path, "jsonl", data.encode())
    if reader == "json":
        # By bytes: only these are ends of lines.
        read = [json.loads(line) for line in out.read_bytes().removesuffix(b"\n").split(b"\n")]
    elif reader == "pandas":
        read = pd.read_json(out, lines=True, dtype=False).to_dict("records")
    else:
        read = pyarrow.json.read_json(out).to_pylist()
    assert read == expected()
