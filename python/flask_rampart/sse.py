"""Server-sent events: how a stream of them is taken apart and written (WHATWG HTML, section 9.2).

1. A byte order mark at the beginning is none of the stream; a line ends with LF, CR LF or CR, also where a chunk ends
   in the middle;
2. a line that begins with a colon is a comment. Any other is a field: its name, and behind the first colon its value,
   less one blank. A line without a colon is a field of that name with an empty value;
3. an event ends with an empty line; its data is its ``data`` lines joined by LF, its name the last ``event``. Without
   ``data`` it is none. What has no empty line behind it when the stream ends is no event;
4. one event, or line, has at most a stated number of characters. Comments before an event do not count.

It does not say what an event means. Unlike browsers, it repairs no bytes that are no UTF-8: these end the stream.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any


class Broken(ValueError):
    """A stream cannot be taken apart. Nothing of it is quoted."""


class Lines:
    """Takes text apart into lines, cut anywhere: each with the characters that ended it.

    :param most: characters of all lines until :meth:`over` is called.
    :param eager: a line that ends with CR is given at once, and the LF of a CR LF that comes later is dropped. Else it
        is given when the next character is there, so that all characters are.

    >>> lines = Lines(100)
    >>> list(lines.feed("\\ufeffa\\r")), list(lines.feed("\\nb\\nc")), lines.finish(), lines.has_mark
    ([], [('a', '\\r\\n'), ('b', '\\n')], ('c', ''), True)
    """

    __slots__ = ("_begun", "_eager", "_first", "_length", "_most", "_returned", "has_mark", "held")

    def __init__(self, most: float, *, eager: bool = False) -> None:
        self._most = most
        self._eager = eager
        self._first = True
        #: Whether the text began with a byte order mark.
        self.has_mark = False
        #: The line that has begun, in pieces: one that comes bit by bit is put together once.
        self._begun: list[str] = []
        #: Characters of that line.
        self.held = 0
        #: Whether a carriage return came last: half of a line break, perhaps.
        self._returned = False
        self._length = 0

    def over(self) -> None:
        """What the lines were of is over: the next may be as long again."""
        self._length = 0

    def feed(self, text: str) -> Iterator[tuple[str, str]]:
        """The lines that have ended.

        :raises Broken: for more characters than there may be.
        """
        if self._first and text:
            self._first = False
            self.has_mark = text.startswith("\ufeff")
            text = text.removeprefix("\ufeff")
        if self._returned and text:
            self._returned = False
            text = text.removeprefix("\n") if self._eager else f"\r{text}"
        at = 0
        for found in _BREAK.finditer(text):
            ends = found.end() == len(text) and found.group() == "\r"
            self._returned = ends
            if ends and not self._eager:
                text = text[:-1]
                break
            self._grown(text[at : found.start()])
            at = found.end()
            yield self._taken(), found.group()
        self._grown(text[at:])

    def finish(self) -> tuple[str, str] | None:
        """The line that no break ended, if there is one."""
        ending = "\r" if self._returned and not self._eager else ""
        self._returned = False
        return (self._taken(), ending) if ending or any(self._begun) else None

    def clear(self) -> None:
        """Forgets what is held."""
        self._begun.clear()
        self.held = 0

    def _taken(self) -> str:
        line = "".join(self._begun)
        self.clear()
        return line

    def _grown(self, piece: str) -> None:
        if piece:
            self._begun.append(piece)
            self.held += len(piece)
            self._length += len(piece)
            if self._length > self._most:
                raise Broken(f"an event or line is longer than {self._most} characters")


def field_of(line: str) -> tuple[str, str]:
    """The name and the value of a line's field; of a comment, the name is empty.

    >>> field_of("data:  a: b"), field_of("data"), field_of(": x"), field_of("database: x")
    (('data', ' a: b'), ('data', ''), ('', 'x'), ('database', 'x'))
    """
    name, _, value = line.partition(":")
    return name, value.removeprefix(" ")


class Decoder:
    """Takes the bytes of one stream apart.

    >>> decoder = Decoder()
    >>> list(decoder.feed(b"data: a\\r")), list(decoder.feed(b"\\ndata: b\\n\\ndata: c"))
    ([], [(None, 'a\\nb')])
    """

    def __init__(self, most: int = 4 << 20) -> None:
        self._text = codecs.getincrementaldecoder("utf-8")("strict")
        self._lines = Lines(most, eager=True)
        self._name: str | None = None
        self._data: list[str] = []
        self._has_begun = False

    def feed(self, data: bytes) -> Iterator[tuple[str | None, str]]:
        """The events that are complete: name and data. Those before what is broken are among them.

        :raises Broken: for an event that is too long, and for what is no UTF-8.
        """
        broken = False
        try:
            text = self._text.decode(data)
        except UnicodeDecodeError as error:
            text, broken = error.object[: error.start].decode(), True
        for line, _ in self._lines.feed(text):
            event = self._line(line)
            if event is not None:
                yield event
        if broken:
            raise Broken("an event that is no UTF-8")

    def _line(self, line: str) -> tuple[str | None, str] | None:
        if not line:
            name, data = self._name, self._data
            self._name, self._data, self._has_begun = None, [], False
            self._lines.over()
            return (name, "\n".join(data)) if data else None
        field, value = field_of(line)
        if field:
            self._has_begun = True
        elif not self._has_begun:
            self._lines.over()
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        return None


def written(name: str | None, data: Any) -> bytes:
    """An event as bytes.

    >>> written(None, "[DONE]")
    b'data: [DONE]\\n\\n'
    """
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"), allow_nan=False)
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {text}\n\n".encode()


def broken_up(text: str) -> list[str]:
    """The lines of a text, without their ends: each goes into a ``data`` of its own."""
    return _BREAK.split(text)


_BREAK = re.compile("\r\n|\r|\n")
