"""Keeps what is in progress in a store elsewhere from being forgotten while it is.

A lease there ends by itself after a minute, so that those of a host that died do. One thread of this process renews
those that are
held, three times a minute. It starts with the first lease of the process and ends when none is held.

A worker that is stopped for longer than a minute loses its leases, and others may begin: the limit is then exceeded
by as many.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

LEASE_MS = 60_000
_PAUSE = 20.0


class Renewing:
    """The leases that this process holds.

    :param renew: renews one; raises nothing.
    """

    def __init__(self, renew: Callable[[str, str], None], pause: float = _PAUSE) -> None:
        self._renew = renew
        self._pause = pause
        self._held: dict[str, str] = {}
        self._pid = 0
        self._is_running = False
        self._lock = threading.Lock()

    def hold(self, lease: str, name: str) -> None:
        """From now on the lease of the counter *name* is renewed."""
        if self._pid != os.getpid():
            # The thread, and whatever was held, are the parent's.
            self._pid, self._held, self._is_running, self._lock = os.getpid(), {}, False, threading.Lock()
        with self._lock:
            self._held[lease] = name
            starts, self._is_running = not self._is_running, True
        if starts:
            threading.Thread(target=self._run, name="rampart-leases", daemon=True).start()

    def drop(self, lease: str) -> None:
        """It has ended."""
        self._held.pop(lease, None)

    def _run(self) -> None:
        waiting = threading.Event()
        while True:
            waiting.wait(self._pause)
            with self._lock:
                held = dict(self._held)
                if not held:
                    self._is_running = False
                    return
            for lease, name in held.items():
                if lease in self._held:
                    self._renew(lease, name)
