"""Remembers what issuers answered about tokens, for a short time and in bounded room.

Rules: an answer is known by the full SHA-256 of the issuer and the whole token, never by a part of it
(CVE-2026-35030); good answers and bad ones have rooms of their own, so that a flood of made-up tokens pushes out other
made-up tokens and nothing else; where a room is full, the answer that was used least recently goes; none outlives its
time, also when the clock is set back.

It holds no token, only what was said of it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_GOOD = 10_000
"""Good answers remembered for an issuer."""
MOST_GOOD_BYTES = 16 * 1024 * 1024
"""Bytes of these answers."""
MOST_BAD = 10_000
"""Bad answers remembered for an issuer; each is some words."""


def name_of(issuer: str, token: str) -> bytes:
    """What the answers about *token* are found by."""
    # With its length, so that no issuer and token together read as another pair.
    return hashlib.sha256(f"{len(issuer)}:{issuer}:{token}".encode()).digest()


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    value: T
    since: float
    end: float
    size: int


class Memory(Generic[T]):
    """Answers by name, at most *most* of them with *most_bytes* in all. Its caller holds a lock."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._kept: OrderedDict[bytes, _Kept[T]] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, name: bytes, now: float) -> T | None:
        """The answer of this name, if it has not had its time."""
        kept = self._kept.get(name)
        if kept is None:
            return None
        if not kept.since <= now < kept.end:
            self.forget(name)
            return None
        self._kept.move_to_end(name)
        return kept.value

    def keep(self, name: bytes, value: T, now: float, end: float, size: int) -> None:
        """Remembers *value* from *now* until *end*; it counts as *size* bytes."""
        self.forget(name)
        if end <= now or size > self._most_bytes:
            return
        self._kept[name] = _Kept(value, now, end, size)
        self.bytes += size
        while len(self._kept) > self._most or self.bytes > self._most_bytes:
            _, gone = self._kept.popitem(last=False)
            self.bytes -= gone.size

    def forget(self, name: bytes) -> None:
        """Drops the answer of this name."""
        gone = self._kept.pop(name, None)
        if gone is not None:
            self.bytes -= gone.size
