"""The sinks of an app: standard output, and the callables that checkpoints are anchored with; which is which.

1. Standard output gets a line in one write, up to what a pipe takes whole. Longer ones take several, so who writes
   holds a lock of the output (a record lock, since workers have its descriptor in common), and lines of several workers
   do not mix. It waits for a reader, or for the lock, at most 5 s at a time; a line whose reader stops in its midst for
   longer is ended later, and others may come between. What the app prints goes another way, through no lock of this.
   In a command of ``flask`` that is not ``run``, standard output is the command's, and records go to standard error.
2. An anchor is called with the newest checkpoint of this process, a C2SP note. One that raises is called again, with
   the same or a newer one: each holds all records before it fast.

It decides nothing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import select
import time
from collections.abc import Callable, Iterator, Sequence

from ..sinks import SinkAddress
from ..tables import is_command
from . import otel
from .courier import Sink
from .syslog import Syslog, with_writer

Anchor = Callable[[str], object]
_PATIENCE_MS = 5000
# A pipe that can be written to has room for so much, and takes it in one piece (POSIX.1-2017, PIPE_BUF).
_WHOLE = select.PIPE_BUF


class Stdout:
    """Writes records to the process's standard output."""

    name = "stdout"
    only_checkpoints = False

    def __init__(self, descriptor: int = 1) -> None:
        self.unfit = 0
        self._descriptor = descriptor
        #: What is missing of a line that was begun.
        self._rest = b""

    def deliver(self, writer: str, lines: Sequence[bytes]) -> int:
        """Writes lines; see :class:`~.courier.Sink`."""
        with _alone(self._descriptor):
            return self._put_all(writer, lines)

    def _put_all(self, writer: str, lines: Sequence[bytes]) -> int:
        self._put(b"")
        for done, line in enumerate(lines):
            try:
                self._put(with_writer(writer, line))
            except OSError:
                # A line of which a part is written is ended first; nobody has seen anything of another.
                count = done + bool(self._rest)
                if not count:
                    raise
                return count
        return len(lines)

    def _put(self, line: bytes) -> None:
        rest = self._rest + line
        begun = bool(self._rest)
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        while rest:
            if not poll.poll(_PATIENCE_MS):
                self._rest = rest if begun else b""
                raise TimeoutError("nobody reads standard output")
            try:
                rest = rest[os.write(self._descriptor, rest[:_WHOLE]) :]
            except OSError:
                self._rest = rest if begun else b""
                raise
            begun = True
        self._rest = b""

    def close(self) -> None:
        """Leaves it open: it is the process's."""


@contextlib.contextmanager
def _alone(descriptor: int) -> Iterator[None]:
    """Holds the lock of an output, where it can have one. A process that is killed lets go of it."""
    end = time.monotonic() + _PATIENCE_MS / 1000
    is_held = False
    while not is_held:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                break  # it is none of which there are locks
            if time.monotonic() >= end:
                raise TimeoutError("another process holds standard output") from None
            time.sleep(0.005)
        else:
            is_held = True
    try:
        yield
    finally:
        if is_held:
            with contextlib.suppress(OSError):
                fcntl.lockf(descriptor, fcntl.LOCK_UN)


def _output() -> int:
    return 2 if is_command() else 1


class Anchoring:
    """Calls a function with checkpoints."""

    only_checkpoints = True

    def __init__(self, anchor: Anchor) -> None:
        self.name = f"anchor {getattr(anchor, '__qualname__', type(anchor).__name__)}"
        self.unfit = 0
        self._anchor = anchor

    def deliver(self, writer: str, lines: Sequence[bytes]) -> int:
        """Gives the newest; see :class:`~.courier.Sink`."""
        self._anchor(json.loads(lines[-1])["note"])
        return len(lines)

    def close(self) -> None:
        """Nothing is open."""


def check(addresses: Sequence[SinkAddress]) -> None:
    """Whether these can be used.

    :raises ConfigError: if what one needs is not installed.
    """
    if any(one.kind == "otlp" for one in addresses):
        otel.check()


def opened(addresses: Sequence[SinkAddress], anchors: Sequence[Anchor], app_name: str, host: str) -> list[Sink]:
    """The sinks of this process. Nothing is connected yet."""
    made: list[Sink] = []
    for one in addresses:
        if one.kind == "stdout":
            made.append(Stdout(_output()))
        elif one.kind == "otlp":
            made.append(otel.OpenTelemetry(app_name))
        else:
            made.append(Syslog(one, app_name, host))
    return [*made, *map(Anchoring, anchors)]
