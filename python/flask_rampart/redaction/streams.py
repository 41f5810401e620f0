"""Streams: what arrives in chunks leaves as the whole text would, as soon as it is decided.

1. What leaves is what :meth:`Redactor.redact` makes of the whole text, for every way to cut it. The pass through the
   text is the same one (``src/redaction/stream.rs``); here is only said what takes the place of a find.
2. A character leaves when nothing that may still come can hide it: of prose, all but the last word. No more than
   :attr:`RedactingStream.hold` are ever held back. A mark leaves as soon as a find is sure, and the rest of the find is
   dropped as it comes.
3. An operator that is given the value (a hash, a mask) has to wait for its end. So long a find is held then, up to
   :data:`MOST_VALUE` bytes; a longer one is hidden by a mark, here as in a whole text.
4. After whatever was raised, here or by an operator, the stream is over. It has held back what it had not decided, and
   that never leaves.

One stream is one text, for one thread at a time. Events and lines with texts in them are in ``events``.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .. import _native
from .operators import MARK, Keep, Operator, Redact, Replace

if TYPE_CHECKING:
    from .redactor import Finding, Redactor

Chunk = TypeVar("Chunk", str, bytes)

MOST_VALUE = 16 * 1024
"""A find of more bytes is hidden by a mark, whatever its operator, unless that asks for no value."""


class Feeds(Protocol):
    """What takes chunks, and gives what may leave."""

    def feed(self, chunk: Any) -> Any: ...
    def finish(self) -> Any: ...
    def end(self) -> None: ...


class RedactingStream:
    """One text that arrives in chunks, all of them ``str`` or all ``bytes``. Made by :meth:`Redactor.stream`.

    >>> from flask_rampart import Redactor
    >>> stream = Redactor().stream()
    >>> stream.feed("to ada@exam"), stream.held
    ('to ', 8)
    >>> stream.feed("ple.com, ok"), stream.finish()
    ('[REDACTED:EMAIL_ADDRESS], ', 'ok')
    >>> [(found.entity, found.start, found.end) for found in stream.findings]
    [('EMAIL_ADDRESS', 3, 18)]
    """

    __slots__ = ("_native", "_plain", "_redactor")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._plain = redactor.is_plain
        values = 0 if redactor.asks_no_value else MOST_VALUE
        self._native = _native.RedactionStream(redactor.native, values=values)

    def feed(self, chunk: Chunk) -> Chunk:
        """What may leave now that *chunk* is there; it may be nothing.

        :raises ValueError: if the stream is over.
        :raises TypeError: if *chunk* is neither text nor bytes, or not what the others were.
        """
        made: Chunk = self._native.feed(chunk) if self._plain else self._put(self._native.pieces(chunk))
        return made

    def finish(self) -> Any:
        """The rest, of the kind that was fed; a text, if nothing was. The stream is over then.

        :raises ValueError: if it is over already.
        """
        return self._native.finish() if self._plain else self._put(self._native.pieces())

    def end(self) -> None:
        """Ends the stream without the rest, which never leaves: where what is fed to it has failed."""
        self._native.end()

    @property
    def is_over(self) -> bool:
        """Whether it was finished or ended, or has failed."""
        return self._native.is_over

    @property
    def held(self) -> int:
        """Characters that are held back now; of bytes, bytes."""
        return self._native.held

    @property
    def hold(self) -> int:
        """The most that is ever held back, in bytes: no fewer than characters."""
        return self._native.hold

    @property
    def count(self) -> int:
        """How much was found."""
        return self._native.findings[1]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The first 1000 of what was found and is over, with offsets in the whole text."""
        kept, _ = self._native.findings
        return tuple(self._redactor.noted_at(entity, rule, start, end) for entity, start, end, rule in kept)

    def _put(self, pieces: list[Any]) -> Any:
        made = []
        try:
            for piece in pieces:
                made.append(self._in_place_of(*piece) if isinstance(piece, tuple) else piece)
        except BaseException:
            self.end()
            raise
        if made:
            return type(made[0])().join(made)
        return b"" if self._native.is_text is False else ""

    def _in_place_of(self, entity: str, quote: Any, value: Any) -> Any:
        if isinstance(quote, bytes):
            text = None if value is None else value.decode("utf-8", "surrogateescape")
            operator = self._redactor.operator_for(entity)
            if isinstance(operator, Keep) and value is not None and not self._redactor.has_denied:
                return value
            made = self._redactor.in_place_of(entity, quote.decode(), text)
            return made.encode("utf-8", "surrogateescape" if isinstance(operator, Keep) else "replace")
        return self._redactor.in_place_of(entity, quote, value)


def iterate(stream: Feeds, chunks: Iterable[Any]) -> Iterator[Any]:
    """What may leave of *chunks*, as they come. If they fail, or nobody takes any more, nothing more leaves."""
    try:
        for chunk in chunks:
            made = stream.feed(chunk)
            if made:
                yield made
        made = stream.finish()
        if made:
            yield made
    finally:
        stream.end()
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


async def iterate_async(stream: Feeds, chunks: AsyncIterable[Any]) -> AsyncIterator[Any]:
    """:func:`iterate` for what is awaited."""
    try:
        async for chunk in chunks:
            made = stream.feed(chunk)
            if made:
                yield made
        made = stream.finish()
        if made:
            yield made
    finally:
        stream.end()
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


def asks_value(operator: Operator) -> bool:
    """Whether an operator has to see what it replaces."""
    return not isinstance(operator, (Replace, Redact))


def too_long(value: str) -> bool:
    """Whether a find is hidden by a mark because it is too long for any operator."""
    if len(value) * 4 <= MOST_VALUE:
        return False
    return len(value) > MOST_VALUE or len(value.encode("utf-8", "surrogatepass")) > MOST_VALUE


def mark(entity: str, quote: str = "") -> str:
    """What hides a find that has no value, or too long a one."""
    return f"{quote}{MARK.replace('{entity}', entity)}{quote}"
