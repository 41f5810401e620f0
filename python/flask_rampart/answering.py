"""Answers on their way out: whether one can be read whole, and what leaves instead of one that may not.

What judges or changes an answer after its view needs all of it. A body that is held as a list is whole; a stream is,
where its length is said and is not beyond what is read here (an error page of Flask's, a small file). Encodings are
read as RFC 9110 section 8.4.1 names them, within a bound.

It decides of no answer whether it may leave: that is for the rooms.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import chain
from typing import Any

from flask import Flask, Response, request

from ._native import BodyDecoder, CodingRejected
from .checks import answer
from .errors import Denied

CODINGS = ("gzip", "x-gzip", "deflate", "br")
"""Codings of answers that are read here, beside ``identity``."""
MOST_READ = 16 << 20
"""Bytes of a stream that are collected."""
MOST_DECODED = 64 << 20
"""Bytes that a body may decode to."""


def is_whole(response: Response) -> bool:
    """Whether an answer's body is there as a whole; a stream of a length that is said is collected first."""
    if not (response.direct_passthrough or response.is_streamed):
        return True
    length = response.content_length
    return length is not None and length <= MOST_READ and _collect(response, length)


def decoded(data: bytes, encoding: str) -> bytes:
    """A body without its encoding, which is one of :data:`CODINGS`.

    :raises ValueError: for one that is not read here, or that grows beyond all measure; or ``zlib.error``.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return data
    if encoding not in CODINGS:
        raise ValueError("not read")
    if encoding == "br":
        try:
            return _from_brotli(data)
        except CodingRejected:
            raise ValueError("corrupt") from None
    reader = zlib.decompressobj(zlib.MAX_WBITS | 32)
    plain = reader.decompress(data, MOST_DECODED)
    if not reader.eof or reader.unused_data:
        raise ValueError("not whole")
    return plain


def ask_readable(environ: dict[str, Any]) -> None:
    """Leaves of ``Accept-Encoding`` what is read here, so that what compresses the answer chooses one of these.

    Flask-Compress takes zstd where a browser offers it. A server may use any of what is offered, or none (RFC 9110
    section 12.5.3).

    >>> environ = {"HTTP_ACCEPT_ENCODING": "zstd, br;q=0.9, *;q=0.1"}
    >>> ask_readable(environ)
    >>> environ
    {'HTTP_ACCEPT_ENCODING': 'br;q=0.9, gzip;q=0.1'}
    """
    asked = environ.get("HTTP_ACCEPT_ENCODING")
    if asked is None:
        return
    kept = []
    for item in asked.split(","):
        name, semicolon, weight = item.strip().partition(";")
        name = name.strip().lower()
        if name in CODINGS or name == "identity":
            kept.append(item.strip())
        elif name == "*":
            kept.append(f"gzip{semicolon}{weight}")
    if kept:
        environ["HTTP_ACCEPT_ENCODING"] = ", ".join(kept)
    else:
        del environ["HTTP_ACCEPT_ENCODING"]


def instead(app: Flask, denied: Denied) -> Response:
    """The refusal as the app words it, or as we do."""
    made: Any
    try:
        made = answer(app, denied, request.blueprints)
    except Denied:
        try:
            made = app.make_response(app.ensure_sync(app.handle_user_exception)(denied))
        except Exception:
            app.logger.exception("The app's own words for %s failed.", denied)
            made = denied.to_response(app.response_class)
    response: Response = made
    return response


def _collect(response: Response, most: int) -> bool:
    """Reads a stream into a list of no more than *most* bytes; if that fails, it is as long and as broken as it was."""
    response.direct_passthrough = False
    source = response.response
    chunks: list[bytes] = []
    rest = response.iter_encoded()
    try:
        for chunk in rest:
            chunks.append(chunk)
            most -= len(chunk)
            if most < 0:
                break
    except Exception as error:
        most, rest = -1, _failing(error)
    if hasattr(source, "close"):
        # As werkzeug does: what is closed with the answer is its list, from here on.
        response.call_on_close(source.close)
    response.response = chunks if most >= 0 else chain(chunks, rest)
    return most >= 0


def _failing(error: Exception) -> Iterator[bytes]:
    raise error
    yield b""


def _from_brotli(data: bytes) -> bytes:
    reader = BodyDecoder("br", max_bytes=MOST_DECODED, ratio=1 << 20)
    reader.feed(data)
    plain = []
    ended = False
    while (piece := reader.pull(1 << 16)) != b"":
        if piece is not None:
            plain.append(piece)
        elif ended:
            raise ValueError("not whole")
        else:
            reader.feed(b"")  # that was all
            ended = True
    return b"".join(plain)
