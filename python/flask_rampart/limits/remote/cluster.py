"""Which node of a cluster has the app's slot, also after a failover.

It is asked for when a first connection is made, and again after anything that failed: any node that answers knows it.
Here, and not by redis-py's cluster client, which asks all nodes when it is made and keeps a dead one.

All of it waits for the network: no request calls it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

Address = tuple[str, int]


class Cluster:
    """Finds the master of one slot.

    :param make: a connection that is not open yet, to ``host`` and ``port``.
    :param seeds: nodes to ask.
    :param remap: where a node is for us, of where it says it is.
    """

    def __init__(
        self,
        slot: int,
        make: Callable[..., Any],
        seeds: Callable[[], Sequence[Address]],
        remap: Callable[[str, int], Address] = lambda host, port: (host, port),
    ) -> None:
        self._slot = slot
        self._make = make
        self._seeds = seeds
        self._remap = remap
        self._master: Address | None = None
        self._known: Sequence[Address] = ()

    def make(self) -> Any:
        """A connection to the master that is not open yet.

        :raises Exception: if no node answers.
        """
        master = self._master
        if master is None:
            master = self._master = self._find()
        return self._connection(master)

    def lost(self) -> None:
        """It is perhaps another one now."""
        self._master = None

    def _find(self) -> Address:
        # In any order: one that hangs or knows nothing shall not be the first each time.
        places = list(dict.fromkeys([*self._known, *self._seeds()]))
        random.shuffle(places)
        failure: Exception = LookupError("no node")
        for place in places:
            try:
                return self._told_by(place)
            except Exception as error:
                failure = error
        raise failure

    def _told_by(self, place: Address) -> Address:
        connection = self._connection(place)
        try:
            connection.connect()
            connection.send_command("CLUSTER", "SLOTS")
            ranges = connection.read_response()
        finally:
            connection.disconnect()
        masters = [nodes[0] for first, last, *nodes in ranges if first <= self._slot <= last]
        if not masters:
            raise LookupError("a slot that is nobody's")
        self._known = [
            self._place(*node, place) for node in {(node[0], node[1]) for _, _, *nodes in ranges for node in nodes}
        ]
        return self._place(masters[0][0], masters[0][1], place)

    def _place(self, host: str | bytes | None, port: int, asked: Address) -> Address:
        if isinstance(host, bytes):
            host = host.decode()
        # A node that does not know its own address says none.
        return self._remap(host or asked[0], port)

    def _connection(self, place: Address) -> Any:
        return self._make(host=place[0], port=place[1])
