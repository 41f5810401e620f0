"""Limits whose counters are in a store elsewhere, and of which this host takes quota in batches.

1. A check is decided here while this host holds cells, and while it knows that it would be refused.
2. Otherwise it takes one round trip, for all limits of it that are not here: all or nothing, and some in advance.
3. What is settled afterwards, and what is in progress, asks the store each time, as without leases.
4. While the store is away, what is held is spent; then each limit goes by its ``on_store_error``.

More is admitted than the quota says by what replenishes in one lease at most, on all hosts together: see
``docs/limits-leases.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._native import LimitBatches, Verdict
from .remote import Remote, RemoteAway

if TYPE_CHECKING:
    from .counters import Settling
    from .elsewhere import RemoteSet


class LeasedSet:
    """Limits that are checked here as long as this host holds quota.

    :param shared: the same limits, asked elsewhere each time.
    :param batches: what this host holds of them.
    """

    def __init__(self, remote: Remote, shared: RemoteSet, batches: LimitBatches) -> None:
        self._remote = remote
        self._shared = shared
        self._batches = batches
        self._spend = batches.spend
        self.policy = shared.policy
        self.has_places = False

    def check(self, keys: tuple[str, ...], cost: int | tuple[int, ...] = 1) -> Verdict:
        """Charges *cost* under every limit, if all have it."""
        said = self._spend(keys, cost)
        if isinstance(said, Verdict):
            return said
        try:
            reply = self._remote.ask(said.names, said.arguments)
        except RemoteAway:
            said.put_back()
            return self._shared.check_here(keys, cost)
        verdict, batches = said.answered(reply)
        if batches:
            self._remote.batches.note(batches)
        return verdict

    def peek(self, keys: tuple[str, ...], cost: int | tuple[int, ...] = 1) -> Verdict:
        """What the store would say. It does not count what hosts hold and have not spent."""
        return self._shared.peek(keys, cost)

    def reserve(
        self, keys: tuple[str, ...], cost: int | tuple[int, ...] = 1, *, capped: bool = False
    ) -> tuple[Verdict, Settling | None]:
        """As :meth:`check`, to be settled: by the store, each time."""
        return self._shared.reserve(keys, cost, capped=capped)

    def clear(self, keys: tuple[str, ...]) -> None:
        """Forgets what these keys have spent. Other hosts hear of it when a lease is over.

        :raises RemoteAway: if the store is.
        """
        self._shared.clear(keys)
        self._batches.clear(keys)
