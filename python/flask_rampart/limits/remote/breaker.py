"""A circuit breaker: after three failures in a row nobody waits any more, but one who tries now and then.

Without a thread of its own: a request is the one who tries, at most one at a time in a process, 0.25 s after the
failure, then 0.5 s, then
each second. So what is back is used again within little more than a second.
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
        self._lock = Lock()
        self._failures = 0
        self._until = 0.0
        self._is_trying = False

    @property
    def is_open(self) -> bool:
        """Whether nobody asks but who tries."""
        return self._failures >= _FAILURES

    def admits(self) -> bool:
        """Whether the caller may ask; who may must say :meth:`worked` or :meth:`failed`."""
        if self._failures < _FAILURES:
            return True
        with self._lock:
            if self._is_trying or self._clock() < self._until:
                return False
            self._is_trying = True
            return True

    def worked(self) -> bool:
        """Notes an answer; says whether it was the first after an outage."""
        if not self._failures:
            return False
        with self._lock:
            was_open = self._failures >= _FAILURES
            self._failures, self._is_trying = 0, False
        return was_open

    def failed(self) -> bool:
        """Notes that there was no answer; says whether this was the one that opens it."""
        with self._lock:
            self._failures += 1
            self._is_trying = False
            pause = _PAUSES[min(max(self._failures - _FAILURES, 0), len(_PAUSES) - 1)]
            self._until = self._clock() + pause
            return self._failures == _FAILURES

    def renew(self) -> None:
        """In a child of a fork: whoever tried is the parent's."""
        self._is_trying = False
