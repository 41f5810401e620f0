"""Limits whose counters are in a store elsewhere, and what happens while it is away.

While it does not answer, each limit goes by its ``on_store_error``:

1. ``"closed"``: the request is refused with 503 ``store.unavailable``;
2. ``"local"``: it is counted on this host, by the same quotas;
3. ``"open"``: it is not counted.

What was charged there and cannot be settled stays charged. Where an answer is lost, what admits less is believed.
Nothing here answers 500 because a store is away.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .._native import LimitSet, Verdict
from ..errors import Denied
from .remote import LEASE_MS, Remote, RemoteAway

if TYPE_CHECKING:
    from .counters import Counting, Settling

_STRIDE = 4


class RemoteSet:
    """Limits that are checked in one call to a store elsewhere.

    :param naming: the same limits, on the seed that all hosts share: it names counters and reads answers.
    :param local: makes the same limits on this host's counters, when they are needed.
    :param on_error: for each entry, ``"local"``, ``"open"`` or ``"closed"``.
    """

    def __init__(
        self, remote: Remote, naming: LimitSet, local: Callable[[], Counting], on_error: Sequence[str]
    ) -> None:
        self._remote = remote
        self._naming = naming
        self._local = functools.lru_cache(maxsize=1)(local)
        self._on_error = tuple(on_error)
        self._entry_of = tuple(entry for entry, size in enumerate(naming.sizes) for _ in range(size))
        self.policy = naming.policy
        self.has_places = naming.has_places

    def check(self, keys: tuple[str, ...], cost: int | tuple[int, ...] = 1) -> Verdict:
        """Charges *cost* under every limit, if all have it."""
        names, arguments = self._naming.questions(keys, cost)
        try:
            return self._told(self._remote.ask(names, ["check", *arguments]))
        except RemoteAway:
            return self.check_here(keys, cost)

    def check_here(self, keys: tuple[str, ...], cost: int | tuple[int, ...] = 1) -> Verdict:
        """What is said while the store is away.

        :raises Denied: ``store.unavailable``, if a limit is ``"closed"`` then.
        """
        return self._without(keys, cost, lambda keys, costs: self._local().check(keys, costs))

    def peek(self, keys: tuple[str, ...], cost: int | tuple[int, ...] = 1) -> Verdict:
        """What :meth:`check` would say."""
        names, arguments = self._naming.questions(keys, cost)
        try:
            return self._told(self._remote.ask(names, ["peek", *arguments]))
        except RemoteAway:
            return self._without(keys, cost, lambda keys, costs: self._local().peek(keys, costs))

    def reserve(
        self, keys: tuple[str, ...], cost: int | tuple[int, ...] = 1, *, capped: bool = False
    ) -> tuple[Verdict, Settling | None]:
        """As :meth:`check`, to be settled."""
        lease = os.urandom(16).hex() if self.has_places else "0"
        names, arguments = self._naming.questions(keys, cost, lease=lease, lease_ms=LEASE_MS)
        if capped:
            # The most that each can hold: of a rate its burst, of the others how many they are.
            for at in range(0, len(arguments), 6):
                most = arguments[at + 3] if arguments[at] == "g" else arguments[at + 2]
                arguments[at + 1] = str(min(int(arguments[at + 1]), int(most)))
        try:
            reply = self._remote.ask(names, ["check", *arguments])
        except RemoteAway as away:
            begun = _begun(names, arguments, lease)
            if begun and away.was_sent:
                # It may have begun there, or begin when the server wakes, and nobody would end it.
                self._remote.leases.end_later(begun)
            reserved: list[Settling | None] = []

            def reserve(keys: tuple[str, ...], costs: tuple[int, ...]) -> Verdict:
                verdict, charged = self._local().reserve(keys, costs, capped=capped)
                reserved.append(charged)
                return verdict

            return self._without(keys, cost, reserve), reserved[0]
        verdict = self._told(reply)
        if not verdict.admitted:
            return verdict, None
        renew = functools.partial(self._naming.questions, keys, 0)
        charged = _Charged(self._remote, names, arguments, reply[4::_STRIDE], self._entry_of, lease, renew)
        return verdict, charged

    def clear(self, keys: tuple[str, ...]) -> None:
        """Forgets what these keys have spent.

        :raises RemoteAway: if the store is.
        """
        names, arguments = self._naming.questions(keys)
        self._remote.ask(names, ["clear", *arguments])

    def _told(self, reply: list[int]) -> Verdict:
        answers = [(reply[at], reply[at + 1], reply[at + 2]) for at in range(1, len(reply) - _STRIDE + 1, _STRIDE)]
        return self._naming.answered(answers)

    def _without(
        self,
        keys: tuple[str, ...],
        cost: int | tuple[int, ...],
        ask: Callable[[tuple[str, ...], tuple[int, ...]], Verdict],
    ) -> Verdict:
        if "closed" in self._on_error:
            raise Denied.of("store.unavailable", reason="RemoteAway", headers=(("Retry-After", "1"),))
        costs = cost if isinstance(cost, tuple) else (cost,) * len(self._on_error)
        if "open" in self._on_error:
            # What costs nothing is always admitted, and charged nowhere; who is somebody else each time is never in
            # progress already.
            costs = tuple([0 if how == "open" else one for one, how in zip(costs, self._on_error, strict=True)])
            keys = tuple([_nobody() if how == "open" else key for key, how in zip(keys, self._on_error, strict=True)])
        return ask(keys, costs)


def _nobody() -> str:
    """A key that nobody has, of either kind: an address of IPv6."""
    digits = os.urandom(16).hex()
    return ":".join(digits[at : at + 4] for at in range(0, 32, 4))


def _begun(names: Sequence[str], arguments: Sequence[str], lease: str) -> list[tuple[str, str]]:
    """The leases of what is in progress."""
    return [(lease, name) for name, kind in zip(names, arguments[::6], strict=True) if kind == "c"]


class _Charged:
    """What was charged in a store elsewhere.

    :param renew: asks the same anew, as it is now: names and arguments.
    """

    def __init__(
        self,
        remote: Remote,
        names: list[str],
        arguments: list[str],
        marks: list[int],
        entry_of: tuple[int, ...],
        lease: str,
        renew: Callable[[], tuple[list[str], list[str]]],
    ) -> None:
        self._remote = remote
        self._names = names
        self._arguments = arguments
        self._costs = [int(cost) for cost in arguments[1::6]]
        self._marks = marks
        self._entry_of = entry_of
        self._renew = renew
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._begun = _begun(names, arguments, lease)
        if self._begun:
            remote.leases.hold(self._begun)

    def end(self) -> None:
        """Ends what is in progress; if the store is away, as soon as it is back. A forked child has a copy, whose end
        is not its."""
        begun, self._begun = self._begun, []
        if begun and self._process == os.getpid():
            self._remote.end(begun)

    def __del__(self) -> None:
        # From the collector, in the middle of anything: without network.
        if self._begun and self._process == os.getpid():
            self._remote.leases.abandon(self._begun)

    def settle(self, actual: int, entry: int = 0) -> None:
        """Makes an entry's charge what it has really cost; if the store is away, it stays as it was."""
        # One thread at a time. Not for ever: the collector may settle in the middle of it.
        if not self._lock.acquire(timeout=_LONGEST):
            return
        try:
            self._settle(actual, entry)
        finally:
            self._lock.release()

    def _settle(self, actual: int, entry: int) -> None:
        names, arguments, changed = [], [], []
        fresh: list[str] = []
        for nth, (name, mark) in enumerate(zip(self._names, self._marks, strict=True)):
            kind, _, *rule = self._arguments[nth * 6 : nth * 6 + 6]
            more = actual - self._costs[nth]
            if self._entry_of[nth] != entry or more == 0 or kind == "c":
                continue
            if kind != "w":
                told = [*rule[:2], str(mark), "0"]
            elif more < 0:
                told = [rule[0], str(mark), *rule[2:]]
            else:
                # In the window that it is now: in one that is over, it would cost nothing.
                fresh = fresh or self._renew()[1]
                told = fresh[nth * 6 + 2 : nth * 6 + 6]
            names.append(name)
            arguments += [kind, str(more), *told]
            changed.append(nth)
        if not names:
            return
        try:
            self._remote.ask(names, ["settle", *arguments])
        except RemoteAway as away:
            # What was perhaps given back is not given back again; what was perhaps charged is charged again.
            if not away.was_sent:
                return
            changed = [nth for nth in changed if actual < self._costs[nth]]
        for nth in changed:
            if self._arguments[nth * 6] == "g":
                # What was owed for it is owed no more, or what is charged now can be given back too.
                self._marks[nth] += (actual - self._costs[nth]) * int(self._arguments[nth * 6 + 2])
            self._costs[nth] = actual


_LONGEST = 5.0
"""Seconds: longer than any settlement takes."""
