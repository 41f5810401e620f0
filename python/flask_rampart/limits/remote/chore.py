"""What a process does now and then for what it has in a store elsewhere, on one thread of its own.

The thread starts when it is first wanted and ends when nothing is left to do. Where it cannot start, or is ended, it is
started by who wants it next. A child of a fork has none.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import weakref
from collections.abc import Callable

from ...locks import Lock

_logger = logging.getLogger("flask_rampart")


class Chore:
    """A thread that works as long as there is something to do.

    :param work: does what is due, and returns after how many seconds it is wanted again; None if it is not.
    :param forget: called in a child of a fork: what was held is the parent's.
    """

    def __init__(self, name: str, work: Callable[[], float | None], forget: Callable[[], None] = lambda: None) -> None:
        self._name = name
        self._work = work
        self._forget = forget
        # Reentrant: the collector may run in here, and what it collects may want it too.
        self._lock = Lock(reentrant=True)
        self._is_running = False
        self._is_wanted = False
        self._calls: queue.SimpleQueue[None] | None = None
        _chores.add(self)

    def want(self) -> None:
        """Has it run, if it does not."""
        with self._lock:
            self._is_wanted = True
            if self._is_running:
                return
            self._is_running = True
            # Made now: gevent puts its own there.
            self._calls = queue.SimpleQueue()
        try:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        except BaseException as error:
            self._is_running = False
            if not isinstance(error, RuntimeError):  # no more threads, or the interpreter ends
                raise

    def hurry(self) -> None:
        """Has it work at once, if it runs. Takes no lock: the collector may call it, in the middle of anything."""
        calls = self._calls
        if calls is not None and self._is_running:
            calls.put(None)

    def _run(self) -> None:
        try:
            while True:
                self._is_wanted = False
                pause = self._once()
                if pause is not None:
                    self._wait(pause)
                    continue
                with self._lock:
                    if not self._is_wanted:
                        self._is_running = False
                        return
        except BaseException:
            # The process or the greenlet ends.
            self._is_running = False
            raise

    def _once(self) -> float | None:
        try:
            return self._work()
        except Exception:
            _logger.exception("%s: what failed is tried again.", self._name)
            return 1.0

    def _wait(self, pause: float) -> None:
        calls = self._calls
        try:
            if calls is not None:
                calls.get(timeout=pause)
        except queue.Empty:
            pass

    def _renew(self) -> None:
        self._is_running = self._is_wanted = False
        self._calls = None
        self._forget()


_chores: weakref.WeakSet[Chore] = weakref.WeakSet()


def _renew() -> None:
    for chore in list(_chores):
        chore._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
