"""Answers that are redacted as they run.

What a view streams is taken piece by piece, when the server asks for one, and leaves as soon as it is decided. If the
view's generator fails, its error goes on as it would have; if redaction does, that is told, and the server is given an
error that says nothing of what was being redacted: it cuts the connection, and nobody takes what has left for the
whole. Either way nothing that was held back leaves. The generator is closed when the answer is.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

from flask import Response

from .redactor import Redactor
from .streams import Feeds


def media_type_of(response: Response) -> str:
    """Without parameters, in lower case: it is the same in any (RFC 9110 section 8.3.1)."""
    return (response.mimetype or "").lower()


def is_json(response: Response) -> bool:
    kind = media_type_of(response)
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def kind_of(response: Response) -> Literal["text", "sse", "lines"] | None:
    """How a stream is read; None if it is neither text nor of texts."""
    kind = media_type_of(response)
    if kind == "text/event-stream":
        return "sse"
    if kind in _LINES:
        return "lines"
    if kind.startswith("text/") or kind in _TEXTS or kind.endswith(("+xml", "+yaml")):
        return None if is_json(response) else "text"
    return None


class Running:
    """A body that is redacted by each of *streams*, one after the other.

    :param pieces: the body, encoded.
    :param source: what is closed with it.
    :param failed: told the kind of error that redaction failed with.
    """

    def __init__(
        self, pieces: Iterable[bytes], source: Any, streams: Sequence[Feeds], failed: Callable[[str], None]
    ) -> None:
        self._pieces = iter(pieces)
        self._source = source
        self._streams = streams
        self._failed = failed
        self._over = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        made = b""
        while not made:
            if self._over:
                raise StopIteration
            try:
                piece = next(self._pieces, None)
            except BaseException:
                self._end()
                raise
            try:
                made = self._made(piece)
            except Exception as error:
                kind = type(error).__name__
                self._end()
            else:
                continue
            # Here, and not where it was caught: what it failed at must not be in what the server reports.
            self._failed(kind)
            raise RuntimeError("the answer is cut off: it could not be redacted")
        return made

    def close(self) -> None:
        """Ends it, also in the middle."""
        self._end()
        close = getattr(self._source, "close", None)
        if close is not None:
            close()

    def _made(self, piece: bytes | None) -> bytes:
        self._over = piece is None
        made = piece or b""
        for stream in self._streams:
            made = stream.feed(made) if made else b""
            if piece is None:
                made += stream.finish()
        return made

    def _end(self) -> None:
        self._over = True
        for stream in self._streams:
            stream.end()


class TextStream:
    """Bytes of a text in a charset, redacted as the text.

    :raises LookupError: for a charset that Python does not know.
    """

    def __init__(self, redactor: Redactor, charset: str) -> None:
        self._stream = redactor.stream()
        self._decoder = codecs.getincrementaldecoder(charset)("strict")
        self._encoder = codecs.getincrementalencoder(charset)("replace")

    def feed(self, chunk: bytes) -> bytes:
        text = self._decoder.decode(chunk)
        if "\0" in text:
            raise ValueError("a text with zeros, as UTF-16 has them that does not say so")
        return self._encoder.encode(self._stream.feed(text)) if text else b""

    def finish(self) -> bytes:
        text = self._stream.feed(self._decoder.decode(b"", True)) + self._stream.finish()
        return self._encoder.encode(text, True)

    def end(self) -> None:
        self._stream.end()


_LINES = frozenset(
    f"application/{kind}" for kind in ("json-seq", "jsonl", "jsonlines", "ndjson", "x-jsonlines", "x-ndjson")
)
_TEXTS = _LINES | frozenset(
    f"application/{kind}"
    for kind in (
        "graphql", "javascript", "ld+json", "sql", "toml", "x-www-form-urlencoded", "x-yaml", "xml", "yaml",
    )
)  # fmt: skip
