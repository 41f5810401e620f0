"""JSON Lines: one JSON object to a line.

Each line is refused that is no JSON object (``json``), that has a name twice (``duplicate``), more than 64 levels
(``depth``), bytes that are not UTF-8 (``utf8``), or is longer than allowed (``long``). Lines of blanks are left out. A
byte order mark before the first is none of its letters. What is written has no blanks between names and values, and LF
at the end of each line.
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
_STEP = 1 << 20


class _Overlong(NamedTuple):
    """A line that was passed by."""

    digest: bytes


def open_reader(source: BinaryIO, plan: Plan, options: Options) -> Lines:
    return Lines(source, plan, options)


class Lines:
    """An input of JSON Lines."""

    columns: tuple[str, ...] | None = None
    finish = None
    first_line = 1

    def __init__(self, source: BinaryIO, plan: Plan, options: Options) -> None:
        self.source = source
        self._window = Window(source)
        self._options = options
        self._sensitive = plan.sensitive
        self.total: int | None = None
        try:
            self._native = _native.AnonymizeLines(
                plan._native, skip=options.skip, longest=options.longest, max_entries=options.max_entries
            )
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def head(self) -> bytes:
        return b""

    def pieces(self, start: int) -> Iterator[Piece]:
        window, size = self._window, self._options.piece
        window.seek(start)
        if start == 0 and window.ahead(len(_MARK)) == _MARK:
            window.drop(len(_MARK))
        while data := window.ahead(size):
            cut = len(data) if window.ended and len(data) < size else data.rfind(b"\n") + 1
            if not cut:
                data, cut = self._longer(size)
            if cut:
                window.drop(cut)
                yield Piece(data[:cut] if cut < len(data) else data, window.at, cut)
            else:
                yield self._passed()

    def treat(self, piece: Piece) -> Treated:
        if isinstance(piece.data, _Overlong):
            return told.refused("long", 1, piece.data.digest)
        return told.treated(self._native.treat(piece.data), hashlib.sha256(piece.data).digest())

    def recount(self, piece: Piece) -> bytes:
        if isinstance(piece.data, _Overlong):
            return piece.data.digest
        self._native.measure(piece.data, 0)
        return hashlib.sha256(piece.data).digest()

    def recount_part(self, part: BinaryIO, length: int) -> None:
        window = Window(part)
        while length:
            data = window.ahead(min(length, self._options.piece))
            cut = data.rfind(b"\n") + 1
            more = len(data)
            while not cut and more < length:
                # A line may have become longer than any of the input.
                more = min(length, 2 * more)
                data = window.ahead(more)
                cut = data.rfind(b"\n") + 1
            if not cut:
                return
            self._native.measure(data[:cut], 1)
            window.drop(cut)
            length -= cut

    def measured(self) -> Measured | None:
        return told.measured(self._native.measured(), self._sensitive)

    def _longer(self, size: int) -> tuple[bytes, int]:
        """The first line, which does not end in *size* bytes, if it is not too long: and what follows it in the last of
        them."""
        window, most = self._window, self._options.longest + self._options.piece
        while size < most:
            # Twice as much each time: what was seen is looked through again.
            size = min(2 * size, most)
            data = window.ahead(size)
            if window.ended and len(data) < size:
                return (data, len(data)) if len(data) <= self._options.longest else (data, data.rfind(b"\n") + 1)
            if cut := data.rfind(b"\n") + 1:
                return data, cut
        return b"", 0

    def _passed(self) -> Piece:
        """Passes by a line that is too long, without holding it."""
        window, digest, size = self._window, hashlib.sha256(), 0
        while data := window.ahead(_STEP):
            cut = data.find(b"\n") + 1
            digest.update(data[: cut or len(data)])
            window.drop(cut or len(data))
            size += cut or len(data)
            if cut:
                break
        return Piece(_Overlong(digest.digest()), window.at, size)
