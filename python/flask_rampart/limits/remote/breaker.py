"""A circuit breaker: after three failures in a row nobody waits any more.

It knows when to try again, 0.25 s after it opened, then 0.5 s, then each second. Who tries is no request.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ...locks import Lock

_FAILURES = 3
_PAUSES = (0.25, 0.5, 1.0)


class Breaker:
    """Whether to ask at all.

    :param clock: seconds, from wherever.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # Reentrant: the collector may run in here, and what it collects may ask too.
        self._lock = Lock(reentrant=True)
        self._failures = 0
        self._tries = 0
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether no request asks."""
        return self._failures >= _FAILURES

    @property
    def left(self) -> float:
        """Seconds until it is to be tried again."""
        return max(self._until - self._clock(), 0.0)

    def failed(self) -> bool:
        """Notes that a request had no answer; says whether this was the one that opens it.

        What was asked before it opened, and fails after, says nothing new.
        """
        with self._lock:
            if self.is_open:
                return False
            self._failures += 1
            if not self.is_open:
                return False
            self._tries = 0
            self._wait()
            return True

    def is_still_away(self) -> None:
        """Notes that it was tried again in vain."""
        with self._lock:
            self._tries += 1
            self._wait()

    def worked(self) -> bool:
        """Notes an answer; says whether it was the first after an outage."""
        if not self._failures:
            return False
        with self._lock:
            was_open = self.is_open
            self._failures = 0
        return was_open

    def _wait(self) -> None:
        self._until = self._clock() + _PAUSES[min(self._tries, len(_PAUSES) - 1)]
