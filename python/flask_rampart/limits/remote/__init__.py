"""Counters in Redis or Valkey, for all hosts: one round trip for all limits of a request, all or nothing, by the
server's clock.

1. One script (``check.lua``) counts by the rules of the native store.
2. A call has a hard deadline (``RAMPART_LIMIT_STORE_TIMEOUT``); after three failures a breaker opens, and no request
   waits any more: a thread tries now and then. It comes back by itself.
3. Counters are named by keyed hashes, all in one hash slot: a cluster serves an app from one of its shards.

It raises :class:`RemoteAway`, and decides nothing about what happens then.

Deployment: replication is asynchronous, so a failover may forget the last charges. A server that evicts keys forgets
counters: set
``maxmemory-policy noeviction``.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

from ...errors import ConfigError
from .address import SCHEMES as SCHEMES
from .address import source
from .breaker import Breaker
from .chore import Chore
from .client import Client, Script
from .client import RemoteAway as RemoteAway
from .hearing import PAGE, PATIENCE, Page
from .hearing import Change as Change
from .hearing import Hearing as Hearing
from .renewing import LEASE_MS as LEASE_MS
from .renewing import Lease, Renewing
from .returning import Returning

_TOLD_MS = 7 * 86_400_000
_logger = logging.getLogger("flask_rampart")


class Remote:
    """The counters of one app in a server.

    :param server: an address, or a client of redis-py's.
    :param prefix: what the names of all its keys begin with.
    :param timeout: seconds that a call may take.
    :param lease: seconds for which quota is taken in advance; None if it is not.
    :raises ConfigError: if it is no address or client that can be used. Nothing is opened.
    """

    def __init__(
        self,
        server: Any,
        *,
        prefix: str,
        timeout: float = 0.05,
        lease: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not prefix or not prefix.isprintable() or set(prefix) & set("{} "):
            raise ConfigError(f"{prefix!r} cannot begin the names of keys: no braces, no spaces.")
        self._front = f"{{{prefix}}}:".encode()
        self._client = Client(source(server, f"{{{prefix}}}", timeout), timeout, clock)
        # Whoever is collected closes what it leaves.
        weakref.finalize(self, self._client.forget).atexit = False
        self._breaker = Breaker(clock)
        self._script = _script("check.lua")
        self._bans = _script("bans.lua")
        self._trying = _trying(self)
        #: What this process holds there.
        self.leases = Renewing(self._renew, self._end)
        self.lease = lease
        #: What this process has taken in advance.
        self.batches = Returning(self._give_back, lease or 1.0)
        self._late: deque[Callable[[], None]] = deque()
        self._settling = _settling(self._late)
        #: Which change of bans this process has seen.
        self.bans_seen = 0
        #: Called when an answer tells of another.
        self.bans_changed: Callable[[], None] = lambda: None
        self._reading: Client | None = None
        self._read_from: Callable[[], Client] = lambda: Client(
            source(server, f"{{{prefix}}}", PATIENCE), PATIENCE, clock
        )

    @property
    def name(self) -> str:
        """As it may be shown."""
        return self._client.name

    @property
    def away(self) -> bool:
        """Whether it is not asked just now."""
        return self._breaker.is_open

    def ask(self, names: Sequence[str], arguments: Sequence[str]) -> list[int]:
        """What the script says of these counters; see ``check.lua``.

        :raises RemoteAway: if there is no answer in time; at once while nobody asks.
        """
        keys = [self._front + name.encode() for name in names]
        keys.append(self._front + b"bans:changes")
        op, count = arguments[0], len(names)
        numbers = 2 if op == "clear" else 2 + count * (5 if op == "take" else 4)
        # What is given back twice would admit more; a request that is counted twice admits less, once.
        twice = op != "settle" or set(arguments[1::6]) == {"c"}
        words = [argument.encode() for argument in arguments]
        if self._late:
            self._settling.want()
        reply = self._run(self._script, keys, words, numbers=numbers, twice=twice)
        seen = reply.pop()
        if seen != self.bans_seen:
            self.bans_changed()
        return reply

    def ban(self, token: str, seconds: float) -> None:
        """Tells all hosts of a ban.

        :raises RemoteAway: if there is no answer in time.
        """
        self._change("ban", token, str(max(1, int(seconds * 1000))))

    def lift(self, token: str) -> tuple[Change, bool]:
        """Tells all hosts that a ban has ended, also where the store has not heard of it. Says whether it had.

        :raises RemoteAway: if there is no answer in time.
        """
        number, was, told = self._change("lift", token, str(_TOLD_MS))
        return Change(token, number, -told / 1000), bool(was)

    def bans(self, seen: int = 0) -> Page:
        """The first changes of bans after the one that was *seen*; asked beside the breaker, with more patience.

        :raises RemoteAway: if there is no answer in time.
        """
        if self._reading is None:
            self._reading = self._read_from()
        last, now, *rows = self._reading.ask(self._bans, self._ban_keys(), [b"list", b"%d" % seen, b"%d" % PAGE])
        names = (row.decode("ascii", "replace") if isinstance(row, bytes) else str(row) for row in rows[::3])
        changes = [
            Change(name, number, left / 1000) for name, number, left in zip(names, rows[1::3], rows[2::3], strict=True)
        ]
        return Page(changes, now, last)

    def forget_reading(self) -> None:
        """Closes what :meth:`bans` has opened."""
        if self._reading is not None:
            self._reading.forget()

    def _change(self, *arguments: str) -> list[Any]:
        return self._run(self._bans, self._ban_keys(), [argument.encode() for argument in arguments])

    def _ban_keys(self) -> list[bytes]:
        return [self._front + name for name in (b"bans", b"bans:changes", b"bans:lifted", b"bans:log")]

    def _renew(self, leases: Sequence[Lease]) -> bool:
        return self._settle([name for _, name in leases], [_of_lease(lease, 0) for lease in leases])

    def _end(self, leases: Sequence[Lease]) -> bool:
        return self._settle([name for _, name in leases], [_of_lease(lease, -1) for lease in leases])

    def _give_back(self, names: Sequence[str], arguments: Sequence[str]) -> None:
        self._settle(names, [arguments])

    def _settle(self, names: Sequence[str], arguments: Sequence[Sequence[str]]) -> bool:
        try:
            self.ask(names, ["settle", *(word for words in arguments for word in words)])
        except RemoteAway:
            return False
        return True

    def end(self, leases: Sequence[Lease]) -> None:
        """Ends what is in progress: now, or as soon as the store answers."""
        self.leases.drop(leases)
        if not self._end(leases):
            self.leases.end_later(leases)

    def settle_later(self, settle: Callable[[], None]) -> None:
        """Has it called when somebody asks next, on a thread of its own. Takes no lock and starts no thread, for the
        collector, which may call it in the middle of anything."""
        self._late.append(settle)

    def close(self) -> None:
        """Closes the connections that are not in use."""
        self._client.forget()
        self.forget_reading()

    def _run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[bytes], **how: Any) -> list[Any]:
        if self._breaker.is_open:
            # Again, in case that it is a child of a fork, or the thread could not start.
            self._trying.want()
            raise RemoteAway(f"{self.name} is away")
        try:
            answer = self._client.ask(script, keys, arguments, **how)
        except RemoteAway as away:
            if not away.is_outage:
                self._works()
            elif self._breaker.failed():
                self._client.forget()
                _logger.warning("%s; limits go by on_store_error until it does.", str(away))
                self._trying.want()
            raise
        self._works()
        return answer

    def _works(self) -> None:
        if self._breaker.worked():
            _logger.warning("%s answers again; limits are counted there.", self.name)
            self.leases.renew_soon()

    def _try(self) -> float | None:
        """Asks again when it is time; how long to wait until then, None when it is back."""
        breaker = self._breaker
        if not breaker.is_open:
            return None
        if breaker.left:
            return breaker.left
        keys = [self._front + name for name in (b"tried", b"bans:changes")]
        try:
            # What writes, as checks do: a replica, or a server that is full, can be read.
            self._client.ask(self._script, keys, _TRY, numbers=6, patience=_PATIENCE)
        except RemoteAway as away:
            if away.is_outage:
                breaker.is_still_away()
                return breaker.left
        self._works()
        return None


def _of_lease(lease: Lease, cost: int) -> Sequence[str]:
    return ("c", str(cost), "1", lease[0], str(LEASE_MS), "0")


def _trying(remote: Remote) -> Chore:
    """The thread that tries again, for as long as there is somebody to try for."""
    known = weakref.ref(remote)

    def work() -> float | None:
        found = known()
        return None if found is None else found._try()

    return Chore("rampart-store", work)


def _settling(late: deque[Callable[[], None]]) -> Chore:
    """The thread that settles what the collector has found."""

    def work() -> None:
        while late:
            late.popleft()()

    return Chore("rampart-settling", work, late.clear)


def _script(name: str) -> Script:
    return Script(resources.files(__package__).joinpath(name).read_text("utf-8"))


_TRY = (b"check", b"g", b"1", b"16000", b"1", b"0", b"0")
"""One of a thousand in a second."""
_PATIENCE = 2.0
"""Seconds that a connection may take when nobody waits for it."""
