"""Inputs that come through a pipe: lines without end, open quotation marks, marks of byte order, full devices."""

from __future__ import annotations

import io
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest

from flask_rampart.anonymize.files import FileRefused, Job, Outcome
from flask_rampart.anonymize.formats import Options
from flask_rampart.errors import ConfigError

PLAN = """
default = "keep"
[columns.born]
do = "date"
to = "decade"
"""


@pytest.fixture
def job() -> Job:
    return Job("-", "-", PLAN, jobs=2, options=Options(piece=1000))


class Endless(io.RawIOBase):
    """A line of so many bytes between two good ones, which is never held as a whole."""

    def __init__(self, length: int, letter: bytes = b"x") -> None:
        self._parts = [(b'{"id":1}\n', 1), (letter * 65536, length // 65536), (b'\n{"id":2}\n', 1)]
        self._held = b""
        self.most = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._held and self._parts:
            data, times = self._parts[0]
            self._held = data
            self._parts[0] = (data, times - 1)
            if times <= 1:
                self._parts.pop(0)
        out, self._held = self._held[:size], self._held[size:]
        self.most = max(self.most, size)
        return out


def test_a_line_that_hardly_ends_is_passed_by_in_little_memory(job: Job) -> None:
    source, out = Endless(1 << 28), io.BytesIO()
    options = Options(piece=1 << 16, longest=1 << 20, skip=True)
    tracemalloc.start()
    try:
        outcome = replace(job, source="-", target="-", format="jsonl", streams=(source, out), options=options).run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert outcome.refusals == [("line 2", "long", "")]
    assert out.getvalue().count(b"\n") == 2
    assert peak < 12 << 20
    with pytest.raises(FileRefused, match="line 2 is refused: long"):
        again = replace(options, skip=False)
        replace(
            job, source="-", target="-", format="jsonl", streams=(Endless(4 << 20), io.BytesIO()), options=again
        ).run()


def test_a_quotation_mark_that_is_not_closed_ends_even_a_run_that_skips(job: Job) -> None:
    data = b'id,born\n1,1984-01-01\n2,"' + b"x\n" * (1 << 16) + b"3,1984-01-01\n"
    options = Options(piece=1 << 12, longest=1 << 15, skip=True)
    job = replace(job, source="-", target="-", format="csv", options=options)
    with pytest.raises(FileRefused, match="line 3 is refused: long"):
        replace(job, streams=(io.BytesIO(data), io.BytesIO())).run()
    with pytest.raises(FileRefused, match="line 3 is refused: quote"):
        replace(job, streams=(io.BytesIO(data[:200]), io.BytesIO())).run()


def run_streams(job: Job, data: bytes, **given: Any) -> tuple[Outcome, bytes]:
    out = io.BytesIO()
    job = replace(job, source="-", target="-", streams=(io.BytesIO(data), out), **given)
    return job.run(), out.getvalue()


def test_a_byte_order_mark_blank_lines_and_no_last_line_end_are_no_records(job: Job) -> None:
    _, out = run_streams(job, b'\xef\xbb\xbf{"id":null}\r\n\r\n  \n{"id":null}', format="jsonl")
    assert out == b'{"id":null}\n{"id":null}\n'
    _, out = run_streams(
        job, b"\xef\xbb\xbfborn;x\r\n1984-05-09;1\r\n", format="csv", options=Options(csv_delimiter=";")
    )
    assert out == b"born;x\r\n1980s;1\r\n"
    # In the middle it is a letter, wherever the pieces are cut.
    data = b"x,y\n" + b"\xef\xbb\xbfa,1\n" * 20
    for piece in (8, 50, 1000):
        assert run_streams(job, data, format="csv", options=Options(piece=piece))[1] == data


def test_an_empty_input_gives_an_empty_output(job: Job) -> None:
    outcome, out = run_streams(job, b"", format="jsonl")
    assert (out, outcome.tally.read) == (b"", 0)
    with pytest.raises(ConfigError, match="empty"):
        run_streams(job, b"", format="csv")
    outcome, out = run_streams(job, b"id,x", format="csv")
    assert (out, outcome.tally.read) == (b"id,x\n", 0)


def test_columns_are_named_beside_a_table_that_does_not_name_them(job: Job) -> None:
    options = Options(csv_columns=("born", "x"))
    _, out = run_streams(job, b"1984-05-09,1\n1999-05-09,2\n", format="csv", options=options)
    assert out == b"1980s,1\n1990s,2\n"


def test_a_full_device_behind_the_standard_output_is_told(job: Job) -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space"):
        replace(job, format="jsonl", streams=(io.BytesIO(b"{}\n"), full)).run()
