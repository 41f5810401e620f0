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

import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..checks import raised
from ..errors import ConfigError
from . import keys
from .asking import whole
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

    def __init__(self, charged: Settling, reserved: int, exchange: Exchange | None = None) -> None:
        self._charged = charged
        # The exchange will hold the stream, and that holds this.
        self._exchange = None if exchange is None or not exchange.sees_answer else weakref.ref(exchange)
        #: What was estimated.
        self.reserved = reserved
        #: What is known to be spent so far.
        self.spent = 0
        self._most = reserved
        self._is_settled = False

    def settle(self, actual: int) -> None:
        """Makes the charge what it has really cost; the last word counts.

        :raises ValueError: if *actual* is no whole number of at least 0.
        """
        self.spent = self._most = whole(actual, "what was spent")
        self._is_settled = True
        self._charged.settle(self.spent)

    def refund(self) -> None:
        """Gives all of it back: nothing was spent."""
        self.settle(0)

    def add(self, cells: int) -> None:
        """Notes that so much more was spent. It is settled at the end of the ``with`` block, or by :meth:`settle`.

        :raises ValueError: if *cells* is no whole number of at least 0.
        """
        self.spent += whole(cells, "what was spent")
        self._is_settled = False
        if self.spent > self._most:
            # Not only at the end: whoever streams for an hour shall not be ahead of the quota by an hour. An eighth of
            # the estimate at a time, since with counters elsewhere each is a round trip.
            self._most = self.spent + self.reserved // 8
            self._charged.settle(self._most)

    def stream(self, chunks: Iterable[T], cost: Callable[[T], int]) -> Stream[T]:
        """The same *chunks*, each charged *cost* cells as it passes; settled at the end, however it ends.

        Give it to the response as it is: the server closes it when the client goes. What is never begun (a ``HEAD``
        request) has cost nothing.
        """
        stream = Stream(self, chunks, cost)
        exchange = None if self._exchange is None else self._exchange()
        if exchange is not None:
            # Nobody closes what werkzeug leaves out of an answer to HEAD, or what was replaced by another response.
            exchange.at_end += (self.settle_spent,)
        return stream

    def settle_spent(self) -> None:
        """Settles what was spent so far, if that is not so already."""
        if not self._is_settled:
            self.settle(self.spent)

    def settle_spent_later(self) -> None:
        """The same for the collector: with counters elsewhere, when they are next asked."""
        later = getattr(self._charged, "later", None)
        if later is None:
            self.settle_spent()
        else:
            later(self.settle_spent)

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Of what nothing is known, the estimate stays.
        if self.spent and not self._is_settled:
            self.settle(self.spent)


class Stream(Generic[T]):
    """Chunks that are charged as they pass. Made by :meth:`Reservation.stream`.

    No generator: one that was never begun does nothing when it is closed.
    """

    def __init__(self, reservation: Reservation, chunks: Iterable[T], cost: Callable[[T], int]) -> None:
        self._is_over = True
        self._chunks = iter(chunks)
        self._reservation = reservation
        self._cost = cost
        self._is_over = False

    def __iter__(self) -> Stream[T]:
        return self

    def __next__(self) -> T:
        try:
            chunk = next(self._chunks)
            self._reservation.add(self._cost(chunk))
        except BaseException:
            self.close()
            raise
        return chunk

    def close(self) -> None:
        """Ends the chunks, and settles what has passed. Again harmless."""
        self._end(lambda: self._reservation.settle(self._reservation.spent))

    def _end(self, settle: Callable[[], None]) -> None:
        if self._is_over:
            return
        self._is_over = True
        try:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                close()
        finally:
            settle()

    def __del__(self) -> None:
        # From the collector, in the middle of anything: without network.
        if not self._is_over:
            self._end(self._reservation.settle_spent_later)


def reserve(state: AppState, exchange: Exchange, quota: str, cost: int, by: Any, scope: str | None) -> Reservation:
    """Charges *cost*, or refuses.

    :raises Denied: ``limit.exceeded``.
    """
    cost = whole(cost, "rampart.reserve(cost=...)")
    if not isinstance(quota, str):
        raise ConfigError('Write rampart.reserve("10000/minute", cost=estimate).')
    limits: Limits = state.services[Limits]
    keys.check(by)
    by = keys.plain(by)
    name = f"shared:{scope}" if scope else f"reserve:{exchange.route or ''}:{keys.shown(by)}"
    if "concurrent" in quota.lower():
        raise ConfigError("What is in progress is declared above a view: @limit('20 concurrent').")
    kind = "address" if by == "address" else "text"
    counting = limits.reserving(name, quota, kind)
    cost = max(cost, 1)
    key = keys.reader(by, state.settings.ipv6_prefix, limits)(exchange)
    verdict, charged = counting.reserve((key,), cost, capped=True)
    exchange.limits += ((verdict, counting.policy if keys.is_own(by) else None),)
    if charged is None:
        raise raised(exchange.refuse(refused(verdict)))
    return Reservation(charged, cost, exchange)
