"""The table of groups: what is counted, and which group makes room when there is none left.

Rules, in order:

1. a group that nobody reported for ``RAMPART_REPORTS_KEEP`` days is dropped;
2. a report of a group that is there is counted, and who sent it is remembered: the first :data:`MOST_NAMED` by name,
   and each as one bit of 64 of the group's own, from which more are estimated;
3. a new group is taken in. If that makes more than :data:`MOST_GROUPS`, others make room: those that a single client
   has reported, one of the client that has the most of them at a time, the one that was silent longest;
4. where no more than :data:`MOST_ALONE` of these are left, the groups with the fewest clients.

What a flood of made-up reports can push out, therefore: a sender has one address (of IPv6, one
``RAMPART_IPV6_PREFIX``), and what it makes up has one client. By rule 3 it takes places from itself as soon as it has
more than others have; by rule 4 it takes no more than :data:`MOST_ALONE` places from groups that several clients have
reported, and those of the fewest clients. Senders with *k* addresses can confirm each other: they push out groups with
at most *k* clients, and those few. What they can do in any case is to add to the count of a group: ``clients`` is what
to go by.

Who sent a report is a keyed hash, never an address. A few are counted exactly: of three senders, two share a bit in one
group of twenty, and "one client" or "two" decides what makes room.

It reads no clock and no store. The whole table is one record: a few hundred bytes for each of at most 500 groups.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from typing import Any

from .reading import TYPES, Seen

FORMAT = 1
"""Of the record. Whoever changes what a group is made of adds one."""
MOST_GROUPS = 500
MOST_ALONE = 50
"""Places that groups of a single client keep among groups that several have reported."""
MOST_NAMED = 8
"""Senders of a group that are remembered by name, the first ones."""


class NewerTable(Exception):
    """The table was written by a newer version, in a way that this one cannot read."""


@dataclass
class Group:
    """Reports that say the same."""

    type: str
    disposition: str
    directive: str
    blocked: str
    page: str
    source: str
    sample: dict[str, str | int]
    count: int
    first: float
    last: float
    bits: int
    """Of the keyed hash of each sender, one bit."""
    senders: list[str]
    """The keyed hashes of the first senders, in their order."""

    @property
    def clients(self) -> int:
        """How many clients have reported it: fewer than 8 exactly, more about (linear counting), at most 200."""
        if len(self.senders) < MOST_NAMED:
            return len(self.senders)
        ones = self.bits.bit_count()
        return 200 if ones >= 62 else max(MOST_NAMED, round(-64 * math.log(1 - ones / 64)))

    @property
    def is_confirmed(self) -> bool:
        """Whether more than one client has reported it."""
        return len(self.senders) > 1

    def add(self, other: Group) -> None:
        """Adds the reports of the same group from elsewhere."""
        self.count += other.count
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)
        self.bits |= other.bits
        # A new list: copies of a group share theirs.
        self.senders = [*dict.fromkeys(self.senders + other.senders)][:MOST_NAMED]


@dataclass
class Table:
    """The groups by key, and how many reports were counted apart, by reason."""

    groups: dict[str, Group] = field(default_factory=dict)
    apart: Counter[str] = field(default_factory=Counter)
    most: int = MOST_GROUPS
    slack: int = 0
    """Groups beyond that until others make room: to look at all of them for each new one would cost a flood nothing."""

    @classmethod
    def of(cls, value: bytes) -> Table:
        """The table that was written. What cannot be read is an empty one: reports come again.

        :raises NewerTable: if it is of a later format.
        """
        try:
            held: Any = json.loads(value)
            if held.get("format", FORMAT) > FORMAT:
                raise NewerTable
            read = {key: Group(*fields) for key, fields in held["groups"].items()}
            groups = {key: group for key, group in read.items() if _is_sound(group)}
            return cls(groups, Counter({str(name): int(count) for name, count in held["apart"].items()}))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
            return cls()

    def written(self) -> bytes:
        """The table as bytes."""
        groups = {key: list(vars(group).values()) for key, group in self.groups.items()}
        held = {"format": FORMAT, "groups": groups, "apart": dict(self.apart)}
        return json.dumps(held, separators=(",", ":")).encode()

    def expire(self, now: float, keep: float) -> None:
        """Drops what nobody has reported for *keep* seconds.

        What a clock said that went ahead and was set back is taken for *now*, or it would be kept for as long.
        """
        for key, group in [*self.groups.items()]:
            group.first, group.last = min(group.first, now), min(group.last, now)
            if group.last < now - keep:
                del self.groups[key]

    def add(self, fresh: Iterable[tuple[str, Group]]) -> list[str]:
        """Counts reports, and gives the keys of the groups that were not there and now are."""
        new = []
        for key, group in fresh:
            held = self.groups.get(key)
            if held is not None:
                held.add(group)
            else:
                self.groups[key] = group
                new.append(key)
        if len(self.groups) > self.most + self.slack:
            self._make_room()
        return [key for key in new if key in self.groups]

    def _make_room(self) -> None:
        over = len(self.groups) - self.most
        alone: dict[str, list[tuple[float, str]]] = {}
        for key, group in self.groups.items():
            if not group.is_confirmed:
                alone.setdefault(group.senders[0], []).append((group.last, key))
        for held in alone.values():
            held.sort(reverse=True)
        spare = sum(map(len, alone.values())) - MOST_ALONE
        # Whoever has the most is first; of those, whoever was silent longest.
        queue = [(-len(held), held[-1], owner) for owner, held in alone.items()]
        heapify(queue)
        while over > 0 and spare > 0:
            _, (_, key), owner = heappop(queue)
            self._drop(key)
            over, spare = over - 1, spare - 1
            held = alone[owner]
            held.pop()
            if held:
                heappush(queue, (-len(held), held[-1], owner))
        if over > 0:
            confirmed = [(group.clients, group.last, key) for key, group in self.groups.items()]
            for _, _, key in sorted(one for one in confirmed if one[0] > 1)[:over]:
                self._drop(key)

    def _drop(self, key: str) -> None:
        self.apart["replaced"] += self.groups.pop(key).count


def noted(seen: Seen, who: Sender, now: float) -> tuple[str, Group]:
    """A report as a group of one, and its key."""
    named = seen[:6]
    key = blake2b("\0".join(named).encode(), digest_size=16).hexdigest()
    return key, Group(*named, dict(seen.sample), 1, now, now, 1 << who.bit, [who.name])


@dataclass(frozen=True)
class Sender:
    """Who sent a report, as far as the table needs to tell senders apart."""

    bit: int
    name: str

    @classmethod
    def of(cls, address: str, salt: bytes) -> Sender:
        """The sender with this address, which cannot be found again from it without the salt."""
        digest = blake2b(address.encode(), key=salt, digest_size=8).digest()
        return cls(digest[0] & 63, digest[1:6].hex())


def _is_shown(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value.isascii() and value.isprintable())


def _is_sound(group: Group) -> bool:
    texts = (group.type, group.disposition, group.directive, group.blocked, group.page, group.source)
    counts: Callable[[Any], bool] = lambda value: (  # noqa: E731
        isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e11
    )
    return (
        # As it was written; whoever else can write there gets no further than a terminal that shows it.
        all(isinstance(text, str) and (text == "" or (text.isascii() and text.isprintable())) for text in texts)
        and group.type in TYPES
        and isinstance(group.sample, dict)
        and all(map(_is_shown, group.sample.values()))
        and isinstance(group.bits, int)
        and 0 < group.bits < 1 << 64
        and isinstance(group.senders, list)
        and 0 < len(group.senders) <= MOST_NAMED
        and all(isinstance(name, str) for name in group.senders)
        and all(map(counts, (group.count, group.first, group.last)))
    )
