"""Content codings: a body that came compressed is read as what it says.

For a request that has a body and says ``Content-Encoding`` (RFC 9110 section 8.4), in order:

1. ``identity`` and empty elements are no coding;
2. more than one coding, or one that ``RAMPART_REQUEST_CODINGS`` does not name, is 415 ``body.coding``; the answer's
   ``Accept-Encoding`` names those that are taken (RFC 9110 section 15.5.16);
3. otherwise the app sees the body decoded, and no ``Content-Encoding`` or ``Content-Length``. It is decoded as
   somebody reads it, and refused where it passes ``RAMPART_MAX_BODY`` or ``RAMPART_CODING_RATIO``, is damaged, or
   ends early. Whoever does not read it does not decode it.

What came is bounded too, by the same ``RAMPART_MAX_BODY``. How a body is decoded is in ``src/codings``.

It does not answer in a coding, and does not know what a proxy in front has decoded already: one that does so and keeps
``Content-Encoding`` has its requests refused. What signs the bytes that came, such as ``Content-Digest`` (RFC 9530), is
not about those that the app reads.
"""

from __future__ import annotations

import io
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from ._native import BodyDecoder, CodingRejected
from .errors import Denied

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from .exchange import Exchange

AS_IS = "as-is"
"""In the place of codings: bodies are left as they came."""


class Codings:
    """The codings that an app takes.

    :param accepted: of ``"gzip"``, ``"deflate"``, ``"br"``; or ``"as-is"`` alone.
    :param ratio: most times its size that a body may decode to, beyond 64 KiB.
    """

    def __init__(self, accepted: Sequence[str], ratio: int) -> None:
        self._as_is = AS_IS in accepted
        self._accepted = frozenset(accepted)
        self._ratio = ratio
        # "identity" says that nothing but a plain body is taken (RFC 9110 section 12.5.3).
        self._told = (("Accept-Encoding", ", ".join(accepted) or "identity"),)

    def open(self, environ: WSGIEnvironment, exchange: Exchange, bound: int) -> Denied | None:
        """Puts the decoded body in the place of a coded one, or refuses it.

        :param bound: bytes that it may decode to.
        """
        declared = environ.get("CONTENT_LENGTH") or ""
        length = int(declared) if declared else None
        if self._as_is or length == 0 or (length is None and not environ.get("wsgi.input_terminated")):
            return None
        named = [word.strip(" \t").lower() for word in environ["HTTP_CONTENT_ENCODING"].split(",")]
        codings = ["gzip" if name == "x-gzip" else name for name in named if name not in ("", "identity")]
        if not codings:
            return None
        if len(codings) > 1 or codings[0] not in self._accepted:
            reason = "a coding in a coding" if len(codings) > 1 else "a coding that is not taken"
            return Denied.of("body.coding", reason=reason, headers=self._told)
        source = environ["wsgi.input"]
        environ["wsgi.input"] = DecodedInput(source, codings[0], bound, self._ratio, exchange, declared=length)
        environ["wsgi.input_terminated"] = True
        # How long the decoded body is, nobody has said.
        environ.pop("CONTENT_LENGTH", None)
        del environ["HTTP_CONTENT_ENCODING"]
        return None


class DecodedInput(io.RawIOBase):
    """A coded request body as it reads without its coding. Refuses where it is too much or damaged, whoever reads it.

    :param source: where it comes from.
    :param bound: bytes that it may decode to.
    :param declared: bytes that it has in its coding; None if the source ends by itself.
    """

    def __init__(
        self, source: Any, coding: str, bound: int, ratio: int, exchange: Exchange, *, declared: int | None = None
    ) -> None:
        self._source = source
        self._coding = coding
        #: Bytes that it may decode to.
        self.rampart_bound = bound
        self._ratio = ratio
        self._exchange = weakref.ref(exchange)
        self._left = declared
        self._decoder: BodyDecoder | None = None
        self._denied: tuple[str, str] | None = None
        # What was decoded to find the end of a line.
        self._ready = b""
        self._at = 0
        #: Bytes decoded so far: tells whether somebody read the body before it was checked.
        self.rampart_taken = 0
        self.rampart_declared = declared

    def rampart_hold(self, bound: int) -> None:
        """Sets another bound, coded and decoded."""
        self.rampart_bound = bound
        if self._decoder is not None:
            self._decoder.hold(bound)
        hold = getattr(self._source, "rampart_hold", None)
        if hold is not None:
            hold(bound)

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        left = -1 if size is None else size
        parts = []
        while left and (part := self._part(left if left > 0 else _STEP)):
            parts.append(part)
            left -= len(part) if left > 0 else 0
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readline(self, size: int | None = -1) -> bytes:
        left = -1 if size is None else size
        parts = []
        while left:
            if self._at >= len(self._ready):
                self._ready, self._at = self._pull(_STEP), 0
                if not self._ready:
                    break
            most = (self._ready.find(b"\n", self._at) + 1 or len(self._ready)) - self._at
            part = self._part(most if left < 0 else min(left, most))
            parts.append(part)
            left -= len(part) if left > 0 else 0
            if part.endswith(b"\n"):
                break
        return b"".join(parts)

    def _part(self, most: int) -> bytes:
        if self._at < len(self._ready):
            part = self._ready[self._at : self._at + most]
            self._at += len(part)
            return part
        return self._pull(most)

    def _pull(self, most: int) -> bytes:
        """Some of what comes next, at most 64 KiB; nothing at the end."""
        if self._denied is not None:
            self._refuse(*self._denied)
        decoder = self._decoder
        if decoder is None:
            decoder = self._decoder = BodyDecoder(self._coding, max_bytes=1, ratio=self._ratio)
            decoder.hold(self.rampart_bound)  # which may be nothing
        try:
            while (data := decoder.pull(most)) is None:
                decoder.feed(self._more())
        except CodingRejected as rejected:
            self._refuse(*rejected.args)
        self.rampart_taken += len(data)
        return data

    def _more(self) -> bytes:
        left = self._left
        if left == 0:
            return b""
        try:
            # Not a byte more than was declared: the server may wait for one for ever (PEP 3333).
            data: bytes = self._source.read(_CHUNK if left is None else min(_CHUNK, left))
        except OSError:
            self._refuse("body.incomplete", "the connection ended")
        if left is not None:
            if not data:
                self._refuse("body.incomplete", "shorter than Content-Length")
            self._left = left - len(data)
        return data

    def _refuse(self, code: str, reason: str) -> NoReturn:
        # Whoever swallows the refusal and reads on gets it again.
        self._denied = (code, reason)
        denied, exchange = Denied.of(code, reason=reason), self._exchange()
        raise denied if exchange is None else exchange.refuse(denied)


_STEP = 64 * 1024
_CHUNK = 16 * 1024
