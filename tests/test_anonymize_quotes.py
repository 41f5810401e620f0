"""CSV whose quotation marks are wrong: what is refused, where it is told, and that nothing is swallowed silently.

Judged by Python's ``csv`` in its strict mode. In its lenient mode, and in pandas' and Arrow's readers, text behind a closing
quotation mark goes on in its field: so a mark that somebody forgot takes whole records into one field.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flask_rampart import _native
from flask_rampart.anonymize import Plan
from flask_rampart.anonymize.files import FileRefused, Job
from flask_rampart.anonymize.formats import Options
from flask_rampart.cli import commands
from flask_rampart.errors import ConfigError

PLAN = 'default = "keep"\n[columns]\nname = "drop"\n'
DIALECT = {"delimiter": b",", "quote": b'"'}
SWALLOWED = 'id,name,note\n1,Ann,ok\n2,Bob,"open\n3,Cy,ok\n4,Dé,é"quoted\n5,Eve,"quoted"\n6,Fay,ok\n'
"""The mark that record 2 opens is closed by one within record 4, which was to be a letter."""


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plan.toml").write_text(PLAN)


def run(*words: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(commands, ["anonymize", "--plan", "plan.toml", *words], input=stdin)


KEEPING = Plan({"default": "keep"})


def treated(data: bytes, columns: int, *, skip: bool) -> Any:
    names = [f"c{number}" for number in range(columns)]
    return _native.AnonymizeTable(KEEPING._native, names, skip=skip, **DIALECT).treat(data, True)


def test_what_a_strict_reader_refuses_is_refused_and_what_it_reads_is_read() -> None:
    refused = read = 0
    for letters in itertools.product('a,"\n', repeat=6):
        text = "".join(letters)
        # It needs as many fields in each record as there are columns; so each text is a record of a table of its own.
        try:
            rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
            strict = True
        except csv.Error:
            strict = False
        found = {code for _, code, *_ in treated(text.encode(), 1, skip=True)[2]}
        assert ("quote" not in found) is strict, text
        refused += not strict
        if strict and rows and len({len(row) for row in rows}) == 1:
            out = treated(text.encode(), len(rows[0]), skip=False)[0].decode()
            assert [row for row in csv.reader(io.StringIO(out), strict=True) if row] == rows, text
            read += 1
    assert refused > 500 and read > 500


def test_a_mark_that_is_closed_by_chance_is_refused_with_file_line_and_column() -> None:
    Path("in.csv").write_text(SWALLOWED)
    told = run("in.csv", "-o", "out.csv")
    assert told.exit_code == 4
    assert told.stderr == (
        "Error: in.csv: line 3 (text behind a closing quotation mark: line 5, character 8) is refused: quote, "
        "column 'note'. Nothing was written. --on-refusal skip leaves such records out.\n"
    )
    assert not Path("out.csv").exists()


def test_whoever_skips_has_the_record_left_out_told_and_counted() -> None:
    Path("in.csv").write_text(SWALLOWED)
    told = run("in.csv", "-o", "out.csv", "--on-refusal", "skip")
    assert told.exit_code == 3
    # All lines that its open mark took: none of them is in a field of another record.
    assert Path("out.csv").read_text() == "id,note\n1,ok\n5,quoted\n6,ok\n"
    assert "3 of 4 records written, 1 refused.\nRefused: quote 1.\n" in told.stderr
    where = "line 3 (text behind a closing quotation mark: line 5, character 8)"
    assert f"  {where}: quote, column note\n" in told.stderr
    report = json.loads(Path("out.csv.report.json").read_text())
    assert report["records"]["first_refused"] == [{"where": where, "code": "quote", "column": "note"}]
    assert {column["path"]: column["refused"] for column in report["columns"]}["note"] == {"quote": 1}
    for name in ("out.csv", "out.csv.report.json", "out.csv.report.html"):
        assert "Bob" not in Path(name).read_text() and "Cy" not in Path(name).read_text()


def test_a_pipe_is_called_by_what_it_is() -> None:
    told = run("-", "-o", "-", "--format", "csv", stdin=SWALLOWED.encode())
    assert told.exit_code == 4
    assert "Error: standard input: line 3 (text behind" in told.stderr
    assert told.stdout == "" or told.stdout == "id,note\n"


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ('a,b\n1,"x" \n', "line 2 (text behind a closing quotation mark: line 2, character 6)"),
        ('a,b\n"x"y,2\n', "line 2 (text behind a closing quotation mark: line 2, character 4)"),
        ('a,b\n\n\r\n"é""é"é,2\n', "line 4 (text behind a closing quotation mark: line 4, character 7)"),
        ('a,b\n1,"x\r\n\r\ny"z\r\n', "line 2 (text behind a closing quotation mark: line 4, character 3)"),
        ('a,b\n1,""x""\n', "line 2 (text behind a closing quotation mark: line 2, character 5)"),
    ],
    ids=["blank", "first field", "letters", "lines", "doubled"],
)
@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_the_place_is_that_of_the_text_wherever_pieces_are_cut(data: str, where: str, piece: int) -> None:
    Path("in.csv").write_bytes(data.encode())
    with pytest.raises(FileRefused) as raised:
        Job("in.csv", None, 'default = "keep"', options=Options(piece=piece)).run()
    assert (raised.value.where, raised.value.code) == (where, "quote")


def test_letters_within_a_field_are_letters() -> None:
    data = 'a,b\n5" nail,x"y"z\n "x",""\n'
    Path("in.csv").write_text(data)
    Job("in.csv", "out.csv", 'default = "keep"').run()
    with open("in.csv", newline="") as read, open("out.csv", newline="") as made:
        assert list(csv.reader(made, strict=True)) == list(csv.reader(read, strict=True))


def test_names_of_columns_are_refused_by_the_same_rule() -> None:
    Path("in.csv").write_text('"a"b,c\n1,2\n')
    with pytest.raises(ConfigError, match="directly behind a quotation mark"):
        Job("in.csv", None, 'default = "keep"').run()


@pytest.mark.parametrize("mark", ["'", "|"])
def test_the_rule_holds_for_the_mark_that_was_named(mark: str) -> None:
    Path("in.csv").write_text(f'a;b\n1;{mark}x{mark}y\n2;"x"y\n')
    told = run("in.csv", "-o", "out.csv", "--quote", mark, "--delimiter", ";", "--on-refusal", "skip")
    assert told.exit_code == 3
    assert Path("out.csv").read_text() == 'a;b\n2;"x"y\n'


def hostile(seed: int) -> bytes:
    """Records in which marks are missing, doubled, or where none should be."""
    dice = random.Random(seed)
    rows = ["born,name,note"]
    for number in range(400):
        note = dice.choice(["ok", '"quoted"', '"two\nlines"', '"open', 'x"y', '"a"b', '""', '"q""q"', '"', '"é" '])
        rows.append(f"19{number % 60 + 30}-01-01,n{number},{note if dice.random() < 0.3 else 'ok'}")
    return ("\n".join(rows) + '\n1984-01-01,last,"end"\n').encode()


GOING_ON = """
import os, signal, sys
from flask_rampart.anonymize.files import Job
from flask_rampart.anonymize.formats import Options
left = int(sys.argv[1])
def told(progress):
    global left
    left -= progress.phase == "treat"
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
job = Job("in.csv", "out.csv", open("plan.toml").read(), options=Options(piece=300, skip=True), checkpoint=2000)
job.resume, job.report, job.progress = True, "out", told
job.run()
"""


@pytest.mark.parametrize("seed", range(2))
def test_a_run_that_leaves_such_records_out_goes_on_to_the_same_bytes(seed: int) -> None:
    Path("in.csv").write_bytes(hostile(seed))
    Path("plan.toml").write_text(PLAN + 'born = "keep"\n')
    text = Path("plan.toml").read_text().replace("[columns]", 'quasi_identifiers = ["born"]\n[columns]')
    Path("plan.toml").write_text(text)
    options = Options(piece=300, skip=True)
    whole = Job("in.csv", "whole.csv", text, options=options, report="whole")
    outcome = whole.run()
    assert outcome.tally.refused.keys() == {"quote"} or outcome.tally.refused.keys() == {"quote", "fields"}
    for pieces in (9, 10_000):
        done = subprocess.run([sys.executable, "-c", GOING_ON, str(pieces)], capture_output=True, timeout=300)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
    assert done.returncode == 0
    assert Path("out.csv").read_bytes() == Path("whole.csv").read_bytes()
    reports = [json.loads(Path(name).read_text()) for name in ("out.json", "whole.json")]
    for report in reports:
        del report["output"]
    assert reports[0] == reports[1]
    # Nothing that was read as one field is another record.
    with open("out.csv", newline="") as made:
        assert all(len(row) == 2 for row in csv.reader(made, strict=True))
