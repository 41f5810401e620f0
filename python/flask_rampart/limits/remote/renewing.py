"""Keeps what is in progress in a store elsewhere from being forgotten while it is, and ends what is nobody's.

1. A lease there ends by itself after a minute, so that those of a host that died do. One thread of this process renews
   those that are held, three times a minute; and at once when a store that was away is back, which may have forgotten
   them.
2. What could not be ended, or may have begun without anybody knowing (the answer came too late), is ended by that
   thread as soon as the store answers: twice, since what began it may still be on its way.

A worker that is stopped for longer than a minute loses its leases, and others may begin: the limit is then exceeded
by as many.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from .chore import Chore

LEASE_MS = 60_000
_PAUSE = 20.0
_TICK = 0.5
_AT_ONCE = 64
_MOST = 10_000

Lease = tuple[str, str]
"""What names it, and the counter that it is of."""


class Renewing:
    """The leases that this process holds.

    :param renew: renews some. Says whether the store has answered; raises nothing.
    :param end: ends some, in the same way.
    """

    def __init__(
        self,
        renew: Callable[[Sequence[Lease]], bool],
        end: Callable[[Sequence[Lease]], bool],
        pause: float = _PAUSE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._renew = renew
        self._end = end
        self._pause = pause
        self._clock = clock
        self._due = 0.0
        self._held: dict[Lease, None] = {}
        #: What is to be ended, and how often still.
        self._ending: dict[Lease, int] = {}
        self._abandoned: deque[Lease] = deque()
        self._chore = Chore("rampart-leases", self._work, self._forget)

    def hold(self, leases: Sequence[Lease]) -> None:
        """From now on they are renewed."""
        if not self._held:
            self._due = self._clock() + self._pause
        self._held.update(dict.fromkeys(leases))
        self._chore.want()

    def drop(self, leases: Sequence[Lease]) -> None:
        """They have ended."""
        for lease in leases:
            self._held.pop(lease, None)

    def end_later(self, leases: Sequence[Lease]) -> None:
        """They end as soon as the store answers."""
        self.drop(leases)
        if len(self._ending) < _MOST:
            self._ending.update(dict.fromkeys(leases, 2))
        self._chore.want()

    def abandon(self, leases: Sequence[Lease]) -> None:
        """Nobody holds them any more: they end soon. Takes no lock and does no network, for the collector."""
        self._abandoned.extend(leases)
        self._chore.hurry()

    def renew_soon(self) -> None:
        """Renews all that are held, and ends what is to end, now."""
        self._due = 0.0
        self._chore.hurry()

    def _forget(self) -> None:
        self._held, self._ending, self._abandoned = {}, {}, deque()

    def _work(self) -> float | None:
        while self._abandoned:
            lease = self._abandoned.popleft()
            if lease in self._held:
                self.drop([lease])
                self._ending[lease] = 1
        for some in _parts(list(self._ending)):
            if not self._end(some):
                break
            for lease in some:
                self._ending[lease] -= 1
                if self._ending[lease] <= 0:
                    del self._ending[lease]
        if self._held and self._clock() >= self._due:
            self._due = self._clock() + self._pause
            for some in _parts(list(self._held)):
                self._renew(some)
                # What has ended meanwhile has perhaps begun anew by this.
                self._ending.update((lease, 1) for lease in some if lease not in self._held)
        if self._ending:
            return _TICK
        if self._held:
            return max(self._due - self._clock(), 0.0)
        return None


def _parts(leases: Sequence[Lease]) -> list[Sequence[Lease]]:
    return [leases[at : at + _AT_ONCE] for at in range(0, len(leases), _AT_ONCE)]
