"""Keeps what is in progress in a store elsewhere from being forgotten while it is.

A lease there ends by itself after a minute, so that those of a host that died do. One thread of this process renews
those that are held, three times a minute.

A worker that is stopped for longer than a minute loses its leases, and others may begin: the limit is then exceeded
by as many.
"""

from __future__ import annotations

from collections.abc import Callable

from .chore import Chore

LEASE_MS = 60_000
_PAUSE = 20.0


class Renewing:
    """The leases that this process holds.

    :param renew: renews one; raises nothing.
    """

    def __init__(self, renew: Callable[[str, str], None], pause: float = _PAUSE) -> None:
        self._renew = renew
        self._held: dict[str, str] = {}
        self._chore = Chore(
            "rampart-leases", work=self._renew_all, holds=lambda: bool(self._held), forget=self._forget, pause=pause
        )

    def hold(self, lease: str, name: str) -> None:
        """From now on the lease of the counter *name* is renewed."""
        self._chore.add(lambda: self._held.update({lease: name}))

    def drop(self, lease: str) -> None:
        """It has ended."""
        self._held.pop(lease, None)

    def _forget(self) -> None:
        self._held = {}

    def _renew_all(self) -> None:
        for lease, name in list(self._held.items()):
            if lease in self._held:
                self._renew(lease, name)
