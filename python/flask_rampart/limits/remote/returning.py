"""Gives back what this host has taken in advance and not spent.

1. What is left of a batch when five eighths of its lease are over is given back, by the process that took it, many in
   one call; a batch that was added to an older one goes with it.
2. So is all that is left when the process ends in good order.
3. What a killed process took is spent by the other workers of the host until its lease is over. What is left then is
   lost until time repays it: to a window of the calendar, until its end.
"""

from __future__ import annotations

import atexit
import weakref
from collections import deque
from collections.abc import Callable, Sequence

from ..._native import LimitBatch
from .chore import Chore

_AT_ONCE = 64

GiveBack = Callable[[Sequence[str], Sequence[str]], None]
"""Tells the store the names of counters, and six arguments of ``settle`` for each. Raises nothing."""


class Returning:
    """The batches that this process took.

    :param lease: seconds that they live.
    """

    def __init__(self, give_back: GiveBack, lease: float) -> None:
        self._give_back = give_back
        self._taken: deque[LimitBatch] = deque()
        self._pause = lease / 8
        self._chore = Chore("rampart-batches", self._work, self._taken.clear)
        _all.add(self)

    def note(self, batches: Sequence[LimitBatch]) -> None:
        """Looks after *batches* that were taken just now."""
        loose = [(batch.name, arguments) for batch in batches if (arguments := batch.loose()) is not None]
        if loose:
            self._return(loose)
        self._taken.extend(batches)
        self._chore.want()

    def return_idle(self, *, all_of_them: bool = False) -> None:
        """Gives back what is due."""
        found = []
        # All of them once: what came to an older batch is due with it, before others that were taken earlier.
        for _ in range(len(self._taken)):
            try:
                batch = self._taken.popleft()
            except IndexError:  # another thread was faster
                break
            if not (all_of_them or batch.is_due):
                self._taken.append(batch)
                continue
            arguments = batch.idle()
            if arguments is not None:
                found.append((batch.name, arguments))
            if len(found) >= _AT_ONCE:
                self._return(found)
                found = []
        if found:
            self._return(found)

    def end(self) -> None:
        """Gives back all that is left; a child of a fork has nothing of its parent's."""
        self.return_idle(all_of_them=True)

    def _work(self) -> float | None:
        self.return_idle()
        return self._pause if self._taken else None

    def _return(self, found: Sequence[tuple[str, Sequence[str]]]) -> None:
        names = [name for name, _ in found]
        self._give_back(names, [word for _, arguments in found for word in arguments])


_all: weakref.WeakSet[Returning] = weakref.WeakSet()


@atexit.register
def _end() -> None:
    for returning in list(_all):
        returning.end()
