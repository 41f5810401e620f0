"""A request body that is cut off where its bound is, whoever reads it: werkzeug, a view, or an app that is mounted.

1. what is declared longer than the bound is not read at all;
2. what is not declared is counted as it is read, and refused with the first byte beyond;
3. what ends before its declared length is refused, and not taken for the whole (RFC 9112 section 6.3);
4. what a server raises of its own where a chunk is cut off is the same refusal.

The bound may be set anew once the route is known. It decides nothing of what the bytes mean.
"""

from __future__ import annotations

import io
import weakref
from collections.abc import Callable
from typing import Any, NoReturn

from .errors import Denied
from .exchange import Exchange


class BoundedInput(io.RawIOBase):
    """A request body that refuses where it passes its bound, whoever reads it.

    :param declared: how long it says that it is. Beyond the bound, not a byte of it is read. None if it ends by itself.
    """

    def __init__(self, stream: Any, bound: int, exchange: Exchange, *, declared: int | None = None) -> None:
        self._stream = stream
        #: Bytes that may be read.
        self.rampart_bound = bound
        self._exchange = weakref.ref(exchange)
        #: Bytes read so far: tells whether somebody read the body before it was checked.
        self.rampart_taken = 0
        self.rampart_declared = declared

    def rampart_hold(self, bound: int) -> None:
        """Sets another bound."""
        self.rampart_bound = bound

    def _room(self) -> int:
        declared = self.rampart_declared
        left = self.rampart_bound - self.rampart_taken
        if left < 0 or (declared is not None and declared > self.rampart_bound):
            self._refuse("body.too_large", "undeclared length" if declared is None else "declared length")
        # One byte more than the bound is enough to know; of what was declared, the server may not have one more.
        return left + 1 if declared is None else declared - self.rampart_taken

    def _refuse(self, code: str, reason: str) -> NoReturn:
        denied, exchange = Denied.of(code, reason=reason), self._exchange()
        raise denied if exchange is None else exchange.refuse(denied)

    def _take(self, read: Callable[[int], bytes], asked: int) -> bytes:
        if not asked:
            return b""
        try:
            data = read(asked)
        except OSError:
            # Servers raise of their own where a chunk is cut off, or is none.
            self._refuse("body.incomplete", "the connection ended")
        self.rampart_taken += len(data)
        if self.rampart_taken > self.rampart_bound:
            self._room()
        if not data and self.rampart_declared is not None:
            self._refuse("body.incomplete", "shorter than Content-Length")
        return data

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        room = self._room()
        if size is not None and size >= 0:
            return self._take(self._stream.read, min(size, room))
        parts = []
        while part := self._take(self._stream.read, room):
            parts.append(part)
            room = self._room()
        return b"".join(parts)

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readline(self, size: int | None = -1) -> bytes:
        room = self._room()
        return self._take(self._stream.readline, room if size is None or size < 0 else min(size, room))
