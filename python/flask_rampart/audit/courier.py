"""Brings the records of this process elsewhere, by a thread for each sink.

1. A request waits for none of it: a record is put into a bounded queue (8,192 records, 4 MiB) that no lock of a sink's
   stands before. What finds no place is dropped and counted; the log itself has it all the same.
2. Every quarter of a second, or at once while there is more, the thread takes what is there. A sink that fails is tried
   again after 1 s, then 2, 4, up to 30, with the same records; what comes meanwhile waits in the queue. Of checkpoints
   the newest alone is brought, since it holds all before it fast. Whatever a sink raises, ``SystemExit`` too, the
   thread goes on.
3. What was dropped is a record of the log, ``audit_records_lost`` with ``sink``, at most once a second, and an error in
   the app's log at most once a minute.
4. At the end of the process the thread has 2 s for what is left; the rest counts as dropped.

It belongs to one process: a child that is forked off makes its own, with an empty queue, since its parent sends what
waits in the other. A process that is killed takes what was not sent with it; its file has it.

Under gevent the thread is a greenlet, and what it waits for is gevent's to wait for: no line of this knows.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from .._native import AuditTap

_logger = logging.getLogger("flask_rampart")
_LINES, _BYTES = 8192, 4 << 20
_BATCH = 256
_IDLE = 0.25
_LEAST_WAIT, _LONGEST_WAIT = 1.0, 30.0
LAST_WAIT = 2.0
_QUIET = 60.0


class Sink(Protocol):
    """Takes records elsewhere. Called by one thread."""

    #: As the settings name it.
    name: str
    #: Records that it could not carry at all, such as one that is longer than a datagram.
    unfit: int
    #: Whether it wants checkpoints alone, of which the newest is enough.
    only_checkpoints: bool

    def deliver(self, writer: str, lines: Sequence[bytes]) -> int:
        """Sends lines, in order, and says how many are done with; the others come again. Raises what went wrong."""

    def close(self) -> None:
        """Lets go of what is open."""


class Courier:
    """One sink's queue and thread.

    :param lost: writes into the log that so many records did not reach the sink.
    """

    def __init__(self, sink: Sink, lost: Callable[[str, int], None]) -> None:
        self.sink = sink
        self.tap = AuditTap(16, 0, checkpoints=True) if sink.only_checkpoints else AuditTap(_LINES, _BYTES)
        self._lost = lost
        self._writer = ""
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._waiting: list[bytes] = []
        self._left = 0
        self._telling = threading.Lock()
        self._told = 0
        self._told_at = 0.0
        self._said_at = -_QUIET
        self._deadline = float("inf")

    @property
    def dropped(self) -> int:
        """Records that did not reach the sink, so far."""
        return self.tap.dropped + self.sink.unfit + self._left

    def start(self, writer: str) -> None:
        """Begins. Where no thread can be had, the queue fills, and its records are counted."""
        self._writer = writer
        thread = threading.Thread(target=self._run, name=f"audit {self.sink.name}", daemon=True)
        # It must not take the signals that are the process's.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            thread.start()
        except RuntimeError as error:
            self._say(error)
        else:
            self._thread = thread
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def tell(self) -> None:
        """Has what was dropped recorded, if anything was. What cannot be is, the next time."""
        with self._telling:
            untold = self.dropped - self._told
            if untold > 0:
                with suppress(Exception):  # the log says itself that it cannot be written
                    self._lost(self.sink.name, untold)
                    self._told += untold

    def hurry(self) -> None:
        """Has what is left sent, within 2 s."""
        self._deadline = time.monotonic() + LAST_WAIT
        self._over.set()

    def finish(self) -> None:
        """Waits for that."""
        if self._thread is not None:
            self._thread.join(max(0.0, self._deadline - time.monotonic()) + 0.1)
        # Of a thread that hangs in its sink, too.
        rest, _ = self.tap.take(1 << 30)
        self._left += len(rest) + len(self._waiting)
        if self.dropped > self._told:
            _logger.error("%d audit records did not reach %s.", self.dropped - self._told, self.sink.name)

    def _run(self) -> None:
        wait: float | None = 0.0
        while wait is not None:
            try:
                wait = self._turn(wait)
            except BaseException as error:
                # Not of the sink: of what tells, or an exception that was thrown into this thread.
                self._say(error)
                wait = _LEAST_WAIT
                self._pause(wait)
        self._close()

    def _turn(self, wait: float) -> float | None:
        """Once through: for how long to wait before the next trial, None at the end."""
        over = self._over.is_set()
        if not self._waiting:
            self._waiting, _ = self.tap.take(_BATCH)
        elif self.sink.only_checkpoints:
            self._waiting = self.tap.take(_BATCH)[0] or self._waiting
        if self._waiting:
            wait = self._send(wait)
        if time.monotonic() - self._told_at >= 1.0:
            self._told_at = time.monotonic()
            self.tell()
        if over and (not self._waiting or time.monotonic() >= self._deadline):
            if self._waiting or not len(self._take_more()):
                return None
        elif wait:
            self._pause(wait)
        elif not self._waiting:
            self._over.wait(_IDLE)
        return wait

    def _take_more(self) -> list[bytes]:
        self._waiting, _ = self.tap.take(_BATCH)
        return self._waiting

    def _send(self, wait: float) -> float:
        """For how long to wait before the next trial: 0 if all went well."""
        try:
            done = self.sink.deliver(self._writer, self._waiting)
        except BaseException as error:
            self._say(error)
            return min(max(_LEAST_WAIT, wait * 2), _LONGEST_WAIT)
        self._waiting = self._waiting[done:]
        return 0.0

    def _pause(self, wait: float) -> None:
        if self._over.is_set():
            time.sleep(min(wait, 0.1))
        else:
            self._over.wait(wait)

    def _close(self) -> None:
        try:
            self.sink.close()
        except BaseException as error:
            self._say(error)

    def _say(self, error: BaseException) -> None:
        now = time.monotonic()
        if now - self._said_at >= _QUIET:
            self._said_at = now
            _logger.error("The audit log's sink %s takes no records: %s", self.sink.name, str(error) or repr(error))
