"""Texts of Python files, and changes of some of their places that leave every other byte as it is.

A file is read as Python reads it: by its mark of order, its coding line, or as UTF-8. What cannot be written again as
the bytes that it was is not read. Lines end as they did, also where they end in several ways.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_BOM = b"\xef\xbb\xbf"
_AROUND = 3


class NotRead(ValueError):
    """A file cannot be read as Python; says why."""


@dataclass(frozen=True)
class Edit:
    """What stands between two places of a text, and what shall."""

    start: int
    end: int
    text: str


class Source:
    """A file's text.

    :raises NotRead: if it is not what a file of Python may be.

    >>> source = Source("# coding: latin-1\\r\\nname = 'é'\\r\\n".encode("latin-1"))
    >>> source.encoded(source.with_edits([Edit(19, 23, "city")]))
    b"# coding: latin-1\\r\\ncity = '\\xe9'\\r\\n"
    """

    def __init__(self, raw: bytes) -> None:
        self._bom = _BOM if raw.startswith(_BOM) else b""
        try:
            self._encoding = tokenize.detect_encoding(io.BytesIO(raw).readline)[0].removesuffix("-sig")
            self.text = raw[len(self._bom) :].decode(self._encoding)
        except (SyntaxError, LookupError, UnicodeError) as error:
            raise NotRead(_why(error)) from None
        if "\0" in self.text:
            raise NotRead("there is a NUL in it")
        if self.encoded(self.text) != raw:
            raise NotRead(f"its coding, {self._encoding}, does not give the same bytes again")
        self.lines = _LINE.findall(self.text)
        self._starts = [0, *accumulate(map(len, self.lines))]

    def encoded(self, text: str) -> bytes:
        """Another text, as this file is written."""
        try:
            return self._bom + text.encode(self._encoding)
        except UnicodeError as error:
            raise NotRead(_why(error)) from None

    def place(self, line: int, column: int) -> int:
        """Where a place of the syntax tree's is: a line from 1, and the bytes of UTF-8 before it."""
        before = self.lines[line - 1].encode("utf-8", "surrogatepass")[:column] if line <= len(self.lines) else b""
        return self._starts[line - 1] + len(before.decode("utf-8", "surrogatepass"))

    def with_edits(self, edits: Iterable[Edit]) -> str:
        """The text with changes that do not overlap."""
        parts, at = [], 0
        for edit in sorted(edits, key=lambda each: each.start):
            parts += [self.text[at : edit.start], edit.text]
            at = edit.end
        return "".join((*parts, self.text[at:]))

    def hunks(self, edits: Iterable[Edit]) -> Iterator[list[str]]:
        """The changes as parts of a unified diff, without names of files: lines without their ends."""
        spans: list[tuple[int, int, list[Edit]]] = []
        for edit in sorted(edits, key=lambda each: each.start):
            first, last = self.line_at(edit.start), self.line_at(max(edit.start, edit.end - 1))
            if spans and first <= spans[-1][1] + 1:
                spans[-1][2].append(edit)
                spans[-1] = (spans[-1][0], max(last, spans[-1][1]), spans[-1][2])
            else:
                spans.append((first, last, [edit]))
        groups: list[list[tuple[int, int, list[Edit]]]] = []
        for span in spans:
            if groups and span[0] - groups[-1][-1][1] <= 2 * _AROUND:
                groups[-1].append(span)
            else:
                groups.append([span])
        moved = 0
        for group in groups:
            first = max(0, group[0][0] - _AROUND)
            end = min(len(self.lines), group[-1][1] + 1 + _AROUND)
            body: list[str] = []
            at = first
            added = 0
            for start, last, inner in group:
                body += _marked(" ", self.lines[at:start])
                before = self.lines[start : last + 1]
                after = _LINE.findall(self._changed(start, last, inner))
                body += [*_marked("-", before), *_marked("+", after)]
                added += len(after) - len(before)
                at = last + 1
            body += _marked(" ", self.lines[at:end])
            old, new = end - first, end - first + added
            yield [f"@@ -{first + 1},{old} +{first + 1 + moved},{new} @@", *body]
            moved += added

    def line_at(self, place: int) -> int:
        """The line, from 0, that a place of the text is on."""
        low, high = 0, len(self.lines)
        while low < high:
            middle = (low + high) // 2
            if self._starts[middle + 1] <= place:
                low = middle + 1
            else:
                high = middle
        return low

    def _changed(self, first: int, last: int, edits: Iterable[Edit]) -> str:
        start = self._starts[first]
        parts, at = [], start
        for edit in edits:
            parts += [self.text[at : edit.start], edit.text]
            at = edit.end
        return "".join((*parts, self.text[at : self._starts[last + 1]]))


def _marked(mark: str, lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        shown = line.rstrip("\r\n")
        yield mark + shown
        if shown == line:
            yield "\\ No newline at end of file"


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "it is not written in the coding that it says, or in UTF-8 if it says none"
    return str(error.args[0]).partition(" for ")[0]
