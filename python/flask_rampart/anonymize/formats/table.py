"""CSV: a table whose first record names its columns, or whose columns are named beside it.

Fields are texts; an empty one is nothing. A record is refused that has more or fewer fields than there are columns
(``fields``), bytes that are not UTF-8 (``utf8``), text directly behind the quotation mark that closes a field
(``quote``), or is longer than allowed (``long``). Where a quotation mark is not closed, what follows is one record
until the file ends (``quote``) or that is too long: then it is not known where records end, and the run ends even if
refused records are skipped.

Line ends are those of the first record. Fields are quoted where they need it. A byte order mark is not written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ... import _native
from ...errors import ConfigError
from ..plan import Plan
from . import Measured, Options, Piece, Treated, told
from .window import Window

_MARK = b"\xef\xbb\xbf"
_HEADS = {
    "utf8": "is not UTF-8",
    "quote": "has text directly behind a quotation mark that closes a field: is the mark another one?",
}


class _Records(NamedTuple):
    data: bytes
    last: bool
    too_long: bool = False


def open_reader(source: BinaryIO, plan: Plan, options: Options) -> Table:
    return Table(source, plan, options)


class Table:
    """An input of CSV.

    :raises ConfigError: for what is no table, and for columns that the plan refuses.
    """

    finish = None

    def __init__(self, source: BinaryIO, plan: Plan, options: Options) -> None:
        self.source = source
        self._window = Window(source)
        self._options = options
        self._sensitive = plan.sensitive
        self.total: int | None = None
        try:
            delimiter, quote = options.csv_delimiter.encode("ascii"), options.csv_quote.encode("ascii")
        except UnicodeEncodeError:
            raise ConfigError("delimiter and quote are one ASCII character each") from None
        self._dialect = {"delimiter": delimiter, "quote": quote}
        try:
            first = self._first()
            self._native = _native.AnonymizeTable(
                plan._native,
                list(self.columns),
                crlf=first.endswith(b"\r\n"),
                safe=options.csv_safe,
                skip=options.skip,
                longest=options.longest,
                max_entries=options.max_entries,
                **self._dialect,
            )
            self._head = self._native.head() if options.csv_columns is None else b""
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def head(self) -> bytes:
        return self._head

    def pieces(self, start: int) -> Iterator[Piece]:
        window, size, longest = self._window, self._options.piece, self._options.longest
        window.seek(max(start, self._start))
        while data := window.ahead(size):
            ended = window.ended and len(data) < size
            cut = len(data) if ended else self._cut(data)
            more = size
            while not cut and more <= longest:
                more = min(2 * more, more + longest)
                data = window.ahead(more)
                ended = window.ended and len(data) < more
                cut = len(data) if ended else self._cut(data)
            if not cut:
                # It is not known where this record ends: nothing is read behind it.
                yield Piece(_Records(data, True, True), window.at + len(data), len(data))
                return
            window.drop(cut)
            yield Piece(_Records(data[:cut] if cut < len(data) else data, ended), window.at, cut)

    def treat(self, piece: Piece) -> Treated:
        data, last, too_long = piece.data
        digest = hashlib.sha256(data).digest()
        if too_long:
            return told.refused("long", 1, digest, fatal=True)
        return told.treated(self._native.treat(data, last), digest)

    def recount(self, piece: Piece) -> bytes:
        if not piece.data.too_long:
            self._native.measure(piece.data.data, 0)
        return hashlib.sha256(piece.data.data).digest()

    def recount_part(self, part: BinaryIO, length: int) -> None:
        window = Window(part)
        window.ahead(len(self._head))
        window.drop(len(self._head))
        length -= len(self._head)
        while length > 0:
            more = min(length, self._options.piece)
            data = window.ahead(more)
            cut = more if more == length else self._cut(data)
            while not cut:
                more = min(length, 2 * more)
                data = window.ahead(more)
                cut = more if more == length else self._cut(data)
            self._native.measure(data[:cut], 1)
            window.drop(cut)
            length -= cut

    def measured(self) -> Measured | None:
        return told.measured(self._native.measured(), self._sensitive)

    def _cut(self, data: bytes, most: int | None = None) -> int:
        delimiter, quote = self._dialect["delimiter"], self._dialect["quote"]
        if most is None:
            return _native.csv_cut(data, delimiter=delimiter, quote=quote)
        return _native.csv_cut(data, delimiter=delimiter, quote=quote, most=most)

    def _first(self) -> bytes:
        """The first record, from which names and line ends are taken."""
        window, options = self._window, self._options
        if window.ahead(len(_MARK)) == _MARK:
            window.drop(len(_MARK))
        self._start, self.first_line = window.at, 1
        more = 1 << 16
        data = window.ahead(more)
        while not (cut := self._cut(data, 1)) and not window.ended:
            if more > options.longest:
                raise ConfigError("the first record of this CSV is too long: is its quotation mark another one?")
            more *= 2
            data = window.ahead(more)
        first = data[: cut or len(data)]
        if options.csv_columns is not None:
            self.columns: tuple[str, ...] = options.csv_columns
            return first
        # A quotation mark that is not closed would make names of all records.
        if not cut and first.strip() and not self._cut(first + b"\n\n", 1):
            raise ConfigError("the first record of this CSV does not end: is its quotation mark another one?")
        if not first.strip():
            raise ConfigError("this CSV is empty: its first record names the columns")
        try:
            self.columns = tuple(_native.csv_head(first, **self._dialect))
        except ValueError as error:
            raise ConfigError(f"the first record of this CSV {_HEADS.get(str(error), 'cannot be read')}") from None
        window.drop(len(first))
        self._start = window.at
        self.first_line = 1 + first.count(b"\n")
        return first
