"""Limits whose counters are in a store elsewhere, and what happens while it is away.

While it does not answer, each limit goes by its ``on_store_error``:

1. ``"closed"``: the request is refused with 503 ``store.unavailable``;
2. ``"local"``: it is counted on this host, by the same quotas;
3. ``"open"``: it is not counted.

What was charged there and cannot be settled stays charged. Nothing here answers 500 because a store is away.
"""

from __future__ import annotations

import contextlib
import functools
import os
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
        return self._without(cost, lambda costs: self._local().check(keys, costs))

    def peek(self, keys: tuple[str, ...], cost: int | tuple[int, ...] = 1) -> Verdict:
        """What :meth:`check` would say."""
        names, arguments = self._naming.questions(keys, cost)
        try:
            return self._told(self._remote.ask(names, ["peek", *arguments]))
        except RemoteAway:
            return self._without(cost, lambda costs: self._local().peek(keys, costs))

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
        except RemoteAway:
            reserved: list[Settling | None] = []

            def reserve(costs: tuple[int, ...]) -> Verdict:
                verdict, charged = self._local().reserve(keys, costs, capped=capped)
                reserved.append(charged)
                return verdict

            return self._without(cost, reserve), reserved[0]
        verdict = self._told(reply)
        if not verdict.admitted:
            return verdict, None
        charged = _Charged(self._remote, names, arguments, reply[4::_STRIDE], self._entry_of, lease)
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

    def _without(self, cost: int | tuple[int, ...], ask: Callable[[tuple[int, ...]], Verdict]) -> Verdict:
        if "closed" in self._on_error:
            raise Denied.of("store.unavailable", reason="RemoteAway", headers=(("Retry-After", "1"),))
        costs = cost if isinstance(cost, tuple) else (cost,) * len(self._on_error)
        # What costs nothing is always admitted, and charged nowhere.
        counted = [0 if on_error == "open" else one for one, on_error in zip(costs, self._on_error, strict=True)]
        return ask(tuple(counted))


class _Charged:
    """What was charged in a store elsewhere."""

    def __init__(
        self,
        remote: Remote,
        names: list[str],
        arguments: list[str],
        marks: list[int],
        entry_of: tuple[int, ...],
        lease: str,
    ) -> None:
        self._remote = remote
        self._names = names
        self._arguments = arguments
        self._marks = marks
        self._entry_of = entry_of
        self._lease = lease
        self._process = os.getpid()
        #: The counters of what is in progress.
        self._begun = [name for name, kind in zip(names, arguments[::6], strict=True) if kind == "c"]
        for name in self._begun:
            remote.leases.hold(f"{lease}{name}", name)

    def end(self) -> None:
        """Ends what is in progress; if the store is away, it ends there by itself within a minute."""
        begun, self._begun = self._begun, []
        for name in begun:
            self._remote.leases.drop(f"{self._lease}{name}")
        if begun:
            with contextlib.suppress(RemoteAway):
                self._remote.ask(begun, ["settle", *("c", "-1", "1", self._lease, "0", "0") * len(begun)])

    def __del__(self) -> None:
        # A forked child has a copy, whose end is not its.
        if self._begun and self._process == os.getpid():
            self.end()

    def settle(self, actual: int, entry: int = 0) -> None:
        """Makes an entry's charge what it has really cost; if the store is away, it stays as it was."""
        names, arguments, changed = [], [], []
        for nth, (name, mark) in enumerate(zip(self._names, self._marks, strict=True)):
            kind, cost, *rule = self._arguments[nth * 6 : nth * 6 + 6]
            if self._entry_of[nth] != entry or int(cost) == actual or kind == "c":
                continue
            if kind == "w":
                # To give back, the window it was charged in; to charge more, the one that it is now.
                told = [rule[0], str(mark), rule[2], rule[3]] if actual < int(cost) else rule
            else:
                told = [*rule[:2], str(mark), "0"]
            names.append(name)
            arguments += [kind, str(actual - int(cost)), *told]
            changed.append(nth)
        if not names:
            return
        try:
            self._remote.ask(names, ["settle", *arguments])
        except RemoteAway:
            return
        for nth in changed:
            self._arguments[nth * 6 + 1] = str(actual)
