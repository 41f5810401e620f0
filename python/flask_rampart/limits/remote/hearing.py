"""Hears of the bans that other hosts have made or ended, on a thread of its own: no request waits for it.

1. Each change of bans has a number, and each answer of the store tells the last one. A process that has not seen that
   one reads what has changed since the one that it has seen, a page at a time.
2. It has a time of its own for that, and the breaker hears nothing of it: what takes long here is no outage.
3. What it cannot read now it reads after a later answer, a second apart at the least.
4. A server that has forgotten its bans is read from the beginning; nobody is let go for that.

A process that begins reads all of them, for what was banned while no worker of its host ran.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from .chore import Chore
from .client import RemoteAway

PAGE = 200
PATIENCE = 2.0
_REST = 0.01
_PAUSE = 0.1
_PAUSE_AFTER_FAILURE = 1.0
_logger = logging.getLogger("flask_rampart")


class Change(NamedTuple):
    """What is banned, or is not any more.

    :param left: seconds; less than 0 for so long as it is told that it is not banned any more.
    """

    token: str
    number: int
    left: float


class Page(NamedTuple):
    """Some changes in their order; the number that is seen after them, and the one of the last change."""

    changes: Sequence[Change]
    seen: int
    last: int


class Told(Protocol):
    """What the bans of all hosts are read from."""

    bans_seen: int

    def bans(self, seen: int) -> Page:
        """The first changes after the one that was seen."""


class Hearing:
    """What this process hears.

    :param apply: takes changes in. It raises nothing.
    """

    def __init__(self, remote: Told, apply: Callable[[Sequence[Change]], None], done: Callable[[], None]) -> None:
        self._remote = remote
        self._apply = apply
        self._done = done
        self._is_behind = False
        self._has_failed = False
        self._chore = Chore("rampart-bans", self._hear)

    def wake(self) -> None:
        """There may be something that this process has not seen."""
        self._is_behind = True
        self._chore.want()

    def _hear(self) -> float | None:
        if not self._is_behind:
            return None
        self._is_behind = False
        pause = _PAUSE
        try:
            while not self._next():
                # Requests of this process have the time in between, and the interpreter.
                time.sleep(_REST)
            self._has_failed = False
        except Exception as error:
            pause = _PAUSE_AFTER_FAILURE
            if not self._has_failed:
                self._has_failed = True
                why = str(error) if isinstance(error, RemoteAway) else type(error).__name__
                _logger.warning("Bans of other hosts cannot be heard of now: %s.", why)
        finally:
            self._done()
        return pause

    def _next(self) -> bool:
        before = self._remote.bans_seen
        page = self._remote.bans(before)
        self._apply(page.changes)
        self._remote.bans_seen = page.seen
        return page.seen in (page.last, before)
