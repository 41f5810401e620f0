"""A call to an issuer that is under way, and when it is called again after it failed.

Calls are made on threads of their own, so that a request waits for one as long as it wants to, whatever the name server
or the network does, and so that many requests wait for the same one.
"""

from __future__ import annotations

import math
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import NamedTuple, Protocol

BACK_OFF, LONGEST_BACK_OFF = 1.0, 60.0
"""Seconds without a call after the first failure, and after many."""
LOST = 60.0
"""Seconds after which a call is given up, and another may be made: the name server hangs, or its thread was killed."""


class Unavailable(NamedTuple):
    """What is needed could not be had; worth another try in so many seconds."""

    retry_after: int


class Flight:
    """One call under way."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.begun = time.monotonic()
        self.failed = True
        self.waiting = 0

    @property
    def is_lost(self) -> bool:
        """Whether it should have ended long ago."""
        return time.monotonic() - self.begun > LOST

    def wait(self, seconds: float) -> bool:
        """Waits until *seconds* after its begin at most; whether it ended."""
        return self.landed.wait(max(0.0, self.begun + seconds - time.monotonic()))


class BackOff:
    """Seconds without a call after failures: doubled each time, with jitter. Its caller holds a lock.

    :param jitter: a number from 0 to 1, so that workers do not all call at the same moment.
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self.failures = 0
        self._until = 0.0

    def fail(self, now: float, *, doubled: bool = True, least: float = 0.0) -> None:
        """Notes a failure, with which the wait begins.

        :param doubled: whether it is longer than the one before, or as after a first failure.
        :param least: seconds that somebody asked for; a minute at most.
        """
        self.failures = self.failures + 1 if doubled else 1
        wait = min(BACK_OFF * 2.0 ** min(self.failures - 1, 16), LONGEST_BACK_OFF) * (0.75 + 0.5 * self._jitter())
        self._until = now + max(wait, min(least, LONGEST_BACK_OFF))

    def succeed(self) -> bool:
        """Notes a success; whether there were failures before it."""
        recovered = self.failures > 0
        self.failures, self._until = 0, 0.0
        return recovered

    def holds(self, now: float) -> bool:
        """Whether it is too soon for another call."""
        # Bounded from both sides, so that a clock that is set back does not prolong it.
        return 0 < self._until - now <= 2 * LONGEST_BACK_OFF

    def unavailable(self, now: float) -> Unavailable:
        """What to tell who comes meanwhile."""
        return Unavailable(max(1, math.ceil(self._until - now)) if self.holds(now) else 1)


class Forked(Protocol):
    """What has locks and threads, which a fork does not bring along."""

    def _fork(self) -> None:
        """Forgets them, in the child."""


def at_fork(holder: Forked) -> None:
    """Has ``holder._fork()`` called in each child of this process."""
    _holders.add(holder)


_holders: weakref.WeakSet[Forked] = weakref.WeakSet()


def _after_fork() -> None:
    for holder in list(_holders):
        holder._fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
