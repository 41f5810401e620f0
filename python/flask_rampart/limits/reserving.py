"""Costs that are known only afterwards: reserve what may be spent, settle what was.

``rampart.reserve`` charges an estimate at once, so that requests under way together cannot spend more than there is;
``settle``
gives the rest back, or charges more. A response that is streamed settles at its end, also when the client has gone.

1. An estimate above what a quota can hold counts as all that it holds: the first request of a small quota is served.
   One of 0 counts as 1: when all is spent, nothing begins.
2. What is never settled stays charged as it was estimated: also when the worker dies in between.
3. What turns out to cost more than was estimated is owed, up to as much again as the quota holds.
4. What comes back late is worth what time has not repaid meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ConfigError
from ..guards import raised
from . import keys
from .counters import Limits
from .told import refused

if TYPE_CHECKING:
    from types import TracebackType

    from ..exchange import Exchange
    from ..guards import AppState
    from .counters import Settling

T = TypeVar("T")


class Reservation:
    """What was charged for something that is under way. Made by ``rampart.reserve``."""

    def __init__(self, charged: Settling, reserved: int) -> None:
        self._charged = charged
        #: What was estimated.
        self.reserved = reserved
        #: What is known to be spent so far.
        self.spent = 0
        self._is_settled = False

    def settle(self, actual: int) -> None:
        """Makes the charge what it has really cost; the last word counts.

        :raises ValueError: if *actual* is negative.
        """
        if isinstance(actual, bool) or not isinstance(actual, int) or actual < 0:
            raise ValueError(f"what was spent is a whole number of at least 0, not {actual!r}")
        self._is_settled = True
        self.spent = actual
        self._charged.settle(actual)

    def refund(self) -> None:
        """Gives all of it back: nothing was spent."""
        self.settle(0)

    def add(self, cells: int) -> None:
        """Notes that so much more was spent. It is settled at the end of the ``with`` block, or by :meth:`settle`."""
        if isinstance(cells, bool) or not isinstance(cells, int) or cells < 0:
            raise ValueError(f"what was spent is a whole number of at least 0, not {cells!r}")
        self.spent += cells
        if self.spent > self.reserved:
            # Not only at the end: whoever streams for an hour shall not be ahead of the quota by an hour.
            self.settle(self.spent)
        self._is_settled = False

    def stream(self, chunks: Iterable[T], cost: Callable[[T], int]) -> Iterator[T]:
        """The same *chunks*, each charged *cost* cells as it passes; settled at the end, however it ends."""
        iterator = iter(chunks)
        try:
            for chunk in iterator:
                self.add(cost(chunk))
                yield chunk
        finally:
            try:
                close = getattr(iterator, "close", None)
                if close is not None:
                    close()
            finally:
                self.settle(self.spent)

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Of what nothing is known, the estimate stays.
        if self.spent and not self._is_settled:
            self.settle(self.spent)


def reserve(state: AppState, exchange: Exchange, quota: str, cost: int, by: Any, scope: str | None) -> Reservation:
    """Charges *cost*, or refuses.

    :raises Denied: ``limit.exceeded``.
    """
    if isinstance(cost, bool) or not isinstance(cost, int) or cost < 0:
        raise ValueError(f"rampart.reserve(cost={cost!r}): a cost is a whole number of at least 0")
    if not isinstance(quota, str):
        raise ConfigError('Write rampart.reserve("10000/minute", cost=estimate).')
    limits: Limits = state.services[Limits]
    keys.check(by)
    name = f"shared:{scope}" if scope else f"reserve:{exchange.route or ''}:{keys.shown(by)}"
    if "concurrent" in quota.lower():
        raise ConfigError("What is in progress is declared above a view: @limit('20 concurrent').")
    kind = "address" if by == "address" else "text"
    counting = limits.reserving(name, quota, kind)
    cost = max(cost, 1)
    key = keys.reader(by, state.settings.ipv6_prefix, limits)(exchange)
    verdict, charged = counting.reserve((key,), cost, capped=True)
    if keys.is_own(by):
        exchange.limits += ((verdict, counting.policy),)
    if charged is None:
        raise raised(exchange.refuse(refused(verdict)))
    return Reservation(charged, cost)
