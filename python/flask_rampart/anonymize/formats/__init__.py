"""What a format of files is to the run that treats one: how it is cut, treated and put together again.

1. An input is cut into *pieces*. Where one ends depends on where it began, the input and the size asked for alone, so a
   run that goes on from a piece's end cuts as the first one did.
2. :meth:`Reader.treat` makes of a piece the bytes that stand for it in the *part*, the file that is being made. Any
   thread may call it, for several pieces at once; it says what it met in a :class:`Treated`.
3. The part is :meth:`Reader.head` and what was made of each piece, in order. Where that is no file of the format yet,
   :meth:`Reader.finish` makes one of it; where it is, ``finish`` is None.
4. What was measured is not in what is kept for a resumed run, since that would hold what people may be told apart by:
   :meth:`Reader.recount` and :meth:`Reader.recount_part` read again what is done.

A format is a module with ``open_reader``, which is a :data:`Opener`. It is imported when a file of it is met, so that
what it needs is asked for then alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple, Protocol, TypeAlias

from ..measuring import Privacy
from ..plan import Plan

MOST_OTHERS = 1000
"""Columns that no rule names and that are counted apart: as many as of one piece (``src/anonymize/records``)."""

REST = "(further columns)"
"""What the columns beyond these are called."""


class Piece(NamedTuple):
    """Some whole records of an input."""

    data: Any
    """Whatever :meth:`Reader.treat` takes."""

    after: int
    """The position behind it, as :meth:`Reader.pieces` takes it: bytes, or a number of rows."""

    size: int
    """Bytes of the input that it stands for, for the progress bar alone."""


class Refusal(NamedTuple):
    """A record that was not passed on, and why."""

    record: int
    """Which one, from 0, in its piece; of a text format, the line of the piece."""

    code: str
    """A code of the plan's refusals, or of the format: ``json``, ``utf8``, ``duplicate``, ``depth``, ``long``..."""

    column: str
    """The column, if there is one; else empty. Nothing of the value."""

    at: tuple[int, int] | None = None
    """Where in a record of several lines it is: the line of the piece, from 0, and the character of that, from 1."""


@dataclass(slots=True)
class Counts:
    """What became of the values of one column, in the records that were passed on."""

    rule: str
    """The rule's word; ``"default: keep"`` and the like for a column that no rule names."""

    values: int = 0
    """Values, nothings included; the sum of those below."""

    nulls: int = 0
    """Nothings."""

    kept: int = 0
    """Passed on as they were."""

    changed: int = 0
    """Something else stands in their place."""

    dropped: int = 0
    """Left out."""

    suppressed: int = 0
    """The rule could not read them, and they became nothing."""

    refused: dict[str, int] = field(default_factory=dict)
    """Records that were refused for this column, by code. They are in none of the above."""

    found: dict[str, int] = field(default_factory=dict)
    """What the redactor found in them, by entity."""


@dataclass(slots=True)
class Tally:
    """What was met, in one piece or in many."""

    read: int = 0
    """Records that were read."""

    written: int = 0
    """Records that were passed on."""

    lines: int = 0
    """Lines of the input, for formats that have such: blank ones are no records."""

    refused: dict[str, int] = field(default_factory=dict)
    """Records that were refused, by code."""

    columns: dict[str, Counts] = field(default_factory=dict)
    """By path. Of columns that no rule names, at most :data:`MOST_OTHERS`; the others are :data:`REST` together."""

    others: int = 0
    """How many of these no rule names."""

    def add(self, other: Tally) -> None:
        """Adds what was met elsewhere."""
        self.read += other.read
        self.written += other.written
        self.lines += other.lines
        _sum(self.refused, other.refused)
        for path, more in other.columns.items():
            if path not in self.columns and more.rule.startswith("default: "):
                # A file may have other names in each record, and all of them would be in the state of a run.
                self.others += 1
                path = path if self.others <= MOST_OTHERS else REST
            own = self.columns.setdefault(path, Counts(more.rule))
            for name in ("values", "nulls", "kept", "changed", "dropped", "suppressed"):
                setattr(own, name, getattr(own, name) + getattr(more, name))
            _sum(own.refused, more.refused)
            _sum(own.found, more.found)


@dataclass(frozen=True, slots=True)
class Treated:
    """What became of a piece."""

    data: bytes
    """What is appended to the part."""

    digest: bytes
    """SHA-256 of the piece as it was read."""

    tally: Tally
    refusals: tuple[Refusal, ...] = ()
    """The first of them, in order: at least one, if any record was refused."""

    fatal: bool = False
    """The input cannot be read on, whether refused records are skipped or not: its records have no ends."""


@dataclass(frozen=True, slots=True)
class Measured:
    """How far people could be told apart, before and after; or why that cannot be said."""

    before: Privacy | str
    after: Privacy | str


@dataclass(frozen=True, slots=True)
class Options:
    """How an input is to be read and a part written. All of it is in what a resumed run must have the same."""

    skip: bool = False
    """Records that are refused are left out; else the first one ends the run."""

    piece: int = 1 << 20
    """Bytes of a piece, about."""

    longest: int = 16 << 20
    """Bytes of the longest record."""

    max_entries: int = 1_000_000
    """Most classes and values that are measured."""

    csv_delimiter: str = ","
    csv_quote: str = '"'
    csv_columns: tuple[str, ...] | None = None
    """Names of the columns, for a CSV whose first record is not their names."""

    csv_safe: bool = False
    """Cells that a spreadsheet would run as formulas get a quote before them."""


class Reader(Protocol):
    """An input that was opened."""

    columns: tuple[str, ...] | None
    """Paths of its columns, where they are known before the records are read."""

    source: BinaryIO
    """What it was opened from."""

    first_line: int | None
    """The number of the line that the first piece begins with; None where records are counted, not lines."""

    total: int | None
    """Sum of all :attr:`Piece.size`, if it is known."""

    def head(self) -> bytes:
        """What the part begins with."""

    def pieces(self, start: int) -> Iterator[Piece]:
        """The pieces from this position on: 0, or some piece's ``after``. One thread calls it."""

    def treat(self, piece: Piece) -> Treated:
        """Makes of a piece what stands for it, and measures both. Any thread may call it."""

    def recount(self, piece: Piece) -> bytes:
        """Measures a piece that is in the part already, as input; returns the digest that ``treat`` gave."""

    def recount_part(self, part: BinaryIO, length: int) -> None:
        """Measures the first *length* bytes of the part, which ends with a piece's, as result."""

    @property
    def finish(self) -> Callable[[BinaryIO, BinaryIO], None] | None:
        """Makes of the part, from its start, a file of the format; the same part gives the same bytes. None: it is one.

        Part and file are open for reading and for writing; neither is closed by it.
        """

    def measured(self) -> Measured | None:
        """What was measured; None if the plan names no quasi-identifiers."""


Opener: TypeAlias = Callable[[BinaryIO, Plan, Options], Reader]
"""Opens an input that is at its start. It may be a pipe, and is not closed by it.

:raises ConfigError: for what cannot be read by this plan and these options, and for what is not installed, with the
    cure.
"""


def _sum(own: dict[str, int], more: dict[str, int]) -> None:
    for name, count in more.items():
        own[name] = own.get(name, 0) + count
