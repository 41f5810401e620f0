"""One command to a server and its answer (RESP2), over a connected socket, within a deadline.

The deadline is for all of it: what is left is set before each wait. A server that answers a byte at a time has no more
time than one that does not answer.

It does not connect, try again, or judge what a server refuses.
"""

from __future__ import annotations

import re
import select
from collections.abc import Callable
from typing import Any

_NUMBERS = re.compile(rb"\*\d{1,4}\r\n((?::-?\d{1,18}\r\n)+)")
_NUMBER = re.compile(rb"-?\d{1,18}")
_AT_ONCE = 65_536
_LONGEST = 16_777_216
_DEEPEST = 4


class Silence(Exception):
    """The connection ended before a byte of the answer: it was closed, or broke."""


class Garbled(Exception):
    """What came is no answer, or more than one."""


class Refused(Exception):
    """The server's own word for why not. It may quote what was sent."""

    def __init__(self, said: bytes) -> None:
        super().__init__()
        self.said = said

    @property
    def code(self) -> str:
        """Its first word, such as ``READONLY``."""
        word = self.said.partition(b" ")[0].decode("ascii", "replace")
        return word if word.isalpha() and word.isupper() else "an error"


def exchange(sock: Any, command: bytes, deadline: float, clock: Callable[[], float]) -> Any:
    """The answer to *command*.

    :raises TimeoutError: at the deadline.
    :raises Silence: if it was not answered at all.
    :raises Garbled: if it was answered by what is no answer.
    :raises Refused: if the server refuses.
    :raises OSError: if the connection broke in the middle of an answer.
    """
    answer = _Answer(sock, deadline, clock)
    try:
        sock.settimeout(answer.left())
        sock.sendall(command)
        answer.more()
    except TimeoutError:
        raise
    except OSError as error:
        raise Silence from error
    # Nearly all of them: so many numbers.
    found = _NUMBERS.fullmatch(answer.data)
    if found is not None:
        numbers = [int(line) for line in found[1].replace(b":", b"").split()]
        if answer.data.startswith(b"*%d\r\n" % len(numbers)):
            return numbers
    value = answer.value()
    if not answer.is_over:
        raise Garbled
    if isinstance(value, Refused):
        raise value
    return value


def is_closed(sock: Any) -> bool:
    """Whether a connection that waits for nothing has something to say: that it was closed."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


class _Answer:
    """What has come so far, and how far it was read."""

    def __init__(self, sock: Any, deadline: float, clock: Callable[[], float]) -> None:
        self._sock = sock
        self._deadline = deadline
        self._clock = clock
        self._at = 0
        self.data = bytearray()

    @property
    def is_over(self) -> bool:
        return self._at == len(self.data)

    def left(self) -> float:
        """Seconds."""
        left = self._deadline - self._clock()
        if left <= 0:
            raise TimeoutError
        return left

    def more(self) -> None:
        if len(self.data) > _LONGEST:
            raise Garbled
        self._sock.settimeout(self.left())
        found = self._sock.recv(_AT_ONCE)
        if not found:
            raise ConnectionResetError if self.data else Silence
        self.data += found

    def value(self, depth: int = 0) -> Any:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            return Refused(rest)
        if kind not in (b":", b"$", b"*") or not _NUMBER.fullmatch(rest):
            raise Garbled
        number = int(rest)
        if kind == b":":
            return number
        if number < 0:
            return None
        if kind == b"$":
            return self._bytes(number)
        if number > _LONGEST or depth > _DEEPEST:
            raise Garbled
        return [self.value(depth + 1) for _ in range(number)]

    def _line(self) -> bytes:
        while True:
            end = self.data.find(b"\r\n", self._at)
            if end >= 0:
                break
            if len(self.data) - self._at > _AT_ONCE:
                raise Garbled
            self.more()
        line = bytes(self.data[self._at : end])
        self._at = end + 2
        return line

    def _bytes(self, count: int) -> bytes:
        end = self._at + count
        if count > _LONGEST:
            raise Garbled
        while len(self.data) < end + 2:
            self.more()
        if self.data[end : end + 2] != b"\r\n":
            raise Garbled
        found = bytes(self.data[self._at : end])
        self._at = end + 2
        return found
