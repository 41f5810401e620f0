"""What a process does now and then for what it holds in a store elsewhere, on one thread of its own.

The thread starts with the first thing that is held and ends when nothing is. A child of a fork has neither.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


class Chore:
    """A thread that works as long as there is something to do.

    :param work: called after each pause. It raises nothing.
    :param holds: whether anything is held.
    :param forget: called in a child of a fork, before anything is added: what was held is the parent's.
    :param pause: seconds.
    """

    def __init__(
        self,
        name: str,
        *,
        work: Callable[[], None],
        holds: Callable[[], bool],
        forget: Callable[[], None],
        pause: float,
    ) -> None:
        self._name = name
        self._work = work
        self._holds = holds
        self._forget = forget
        self._pause = pause
        self._pid = os.getpid()
        self._is_running = False
        self._lock = threading.Lock()

    def add(self, change: Callable[[], None]) -> None:
        """Makes a *change* to what is held, and has it looked after."""
        if self._pid != os.getpid():
            self._pid, self._is_running, self._lock = os.getpid(), False, threading.Lock()
            self._forget()
        with self._lock:
            change()
            starts, self._is_running = not self._is_running, True
        if starts:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def is_ours(self) -> bool:
        """Whether this process is the one that holds it."""
        return self._pid == os.getpid()

    def _run(self) -> None:
        waiting = threading.Event()
        while True:
            waiting.wait(self._pause)
            self._work()
            with self._lock:
                if not self._holds():
                    self._is_running = False
                    return
