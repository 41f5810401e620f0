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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
    """The leases of what is in progress: what costs nothing begins nothing."""
    asked = zip(names, arguments[::6], arguments[1::6], strict=True)
    return [(lease, name) for name, kind, cost in asked if kind == "c" and cost != "0"]


@dataclass(slots=True, eq=False)
class _Piece:
    """What was charged to one counter at once: of that, no more comes back than was added, as in the native store."""

    cells: int
    #: What the counter was raised by: ticks of a rate, cells of a window.
    added: int
    #: How it counts, and its mark.
    told: list[str]

    def back(self, cells: int, unit: int) -> int:
        """How much comes back for so many cells less."""
        return self.added - min(self.added, (self.cells - cells) * unit)

    def absorb(self, other: _Piece) -> None:
        """Adds another piece of the same counter."""
        self.cells += other.cells
        self.added += other.added


@dataclass(slots=True, eq=False)
class _Change:
    """Something to settle."""

    nth: int
    #: What is given back of, or None for what is charged in addition.
    piece: _Piece | None
    cells: int
    amount: int
    told: list[str]


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
        #: Of each counter what was reserved, and what was charged since.
        self._pieces: list[list[_Piece]] = []
        for nth, mark in enumerate(marks):
            kind, cost, *rule = arguments[nth * 6 : nth * 6 + 6]
            cells = int(cost)
            self._pieces.append([_Piece(cells, cells * self._unit(nth), _marked(kind, rule, mark))])
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
        """Makes an entry's charge what it has really cost; if the store is away, it stays as it was. A forked child has
        a copy, which is the parent's to settle."""
        if self._process != os.getpid():
            return
        # One thread at a time. Not for ever: the collector may settle in the middle of it.
        if not self._lock.acquire(timeout=_LONGEST):
            return
        try:
            self._settle(actual, entry)
        finally:
            self._lock.release()

    def later(self, settle: Callable[[], None]) -> None:
        """Has this called when the store is next asked, by a thread that may wait. Takes no lock and does no network,
        for the collector."""
        if self._process == os.getpid():
            self._remote.settle_later(settle)

    def _settle(self, actual: int, entry: int) -> None:
        actual = min(actual, _MOST_CELLS)
        changes = [
            change
            for nth, of in enumerate(self._entry_of)
            if of == entry and self._arguments[nth * 6] != "c"
            for change in self._changes(nth, actual)
        ]
        asked = [change for change in changes if change.piece is None or change.amount > 0]
        reply: list[int] = []
        if asked:
            names = [self._names[change.nth] for change in asked]
            arguments = [word for change in asked for word in self._said(change)]
            try:
                reply = self._remote.ask(names, ["settle", *arguments])
            except RemoteAway as away:
                # What was perhaps given back is not given back again; what was perhaps charged is charged again.
                if not away.was_sent:
                    return
        raised = {
            id(change): reply[at + 3 : at + 5] for change, at in zip(asked, range(0, len(reply), _STRIDE), strict=False)
        }
        for change in changes:
            if change.piece is not None:
                self._give_back(change.nth, change.piece, change)
            elif id(change) in raised:
                added, mark = raised[id(change)]
                self._add(change, added, mark)

    def _changes(self, nth: int, actual: int) -> Iterator[_Change]:
        pieces = self._pieces[nth]
        more = actual - sum(piece.cells for piece in pieces)
        if more > 0:
            # In the window that it is now: in one that is over, it would cost nothing.
            rule = self._renew()[1] if self._arguments[nth * 6] == "w" else self._arguments
            yield _Change(nth, None, more, 0, rule[nth * 6 + 2 : nth * 6 + 6])
        # What was charged last comes back first.
        for piece in reversed(pieces):
            cells = min(-more, piece.cells)
            if cells > 0:
                more += cells
                yield _Change(nth, piece, cells, piece.back(cells, self._unit(nth)), piece.told)

    def _said(self, change: _Change) -> list[str]:
        """Six arguments of the script."""
        kind = self._arguments[change.nth * 6]
        if change.piece is None:
            return [kind, str(change.cells), *change.told]
        if kind == "g":
            return [kind, "-1", *change.told[:3], str(change.amount)]
        return [kind, str(-change.amount), *change.told]

    def _give_back(self, nth: int, piece: _Piece, change: _Change) -> None:
        piece.cells -= change.cells
        piece.added -= change.amount
        if self._arguments[nth * 6] == "g":
            # What was owed for it is owed no more.
            piece.told = [*piece.told[:2], str(int(piece.told[2]) - change.amount), "0"]
        if piece.cells == 0 and piece is not self._pieces[nth][0]:
            self._pieces[nth].remove(piece)

    def _add(self, change: _Change, added: int, mark: int) -> None:
        kind, pieces = self._arguments[change.nth * 6], self._pieces[change.nth]
        piece = _Piece(change.cells, added, _marked(kind, change.told, mark))
        last = pieces[-1]
        if len(pieces) > 1 and (last.told == piece.told or (kind == "g" and len(pieces) > _MOST_PIECES)):
            # By the mark of the earlier one: rather too little comes back than too much.
            last.absorb(piece)
        else:
            pieces.append(piece)

    def _unit(self, nth: int) -> int:
        """What a counter is raised by for a cell."""
        return int(self._arguments[nth * 6 + 2]) if self._arguments[nth * 6] == "g" else 1


def _marked(kind: str, rule: Sequence[str], mark: int) -> list[str]:
    """How a counter counts, with the mark of what was charged."""
    return [rule[0], str(mark), *rule[2:]] if kind == "w" else [*rule[:2], str(mark), "0"]


_MOST_CELLS = 2**32 - 1
"""As in the native store: above every quota."""
_MOST_PIECES = 32
"""Of a rate. Then the next ones are added to the last."""
_LONGEST = 5.0
"""Seconds: longer than any settlement takes."""
