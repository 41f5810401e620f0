"""What a store of records can do: a few operations, each atomic, and the same in every store.

A record has a *kind* (a room's own name space), a *key*, a *value* of bytes that the store does not read, a *version*
and perhaps a *group* to find it by and an *expiry* after which a sweep may drop it. A store reads no clock: until it is
swept, an expired record is there. Who needs an exact end writes it into the value.

Kind, key and group are texts without NUL and lone surrogates, of at most 64, 256 and 256 characters; every store
refuses others with ``ValueError``, so that no two names are one in a store. What a peer chooses is hashed first.

``sequence`` is what makes a check cheap: a number for each kind that grows with every change of it. Who
remembers records asks for it, and reads again what ``changes`` names.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

from ..errors import RampartError


class StoreError(RampartError):
    """The store cannot be read or written: locked for too long, damaged, full, or no longer ours.

    The request that needed it is refused. Its text names the file, and nothing of a record.
    """


class Record(NamedTuple):
    """A record as it was when it was read."""

    key: str
    value: bytes
    version: int
    """Another number after each change, also after a deletion: never the same twice."""
    group: str = ""
    expires: float | None = None
    """Seconds since 1970-01-01 UTC after which a sweep may drop it; None for never."""


class Changes(NamedTuple):
    """What changed of a kind since a moment."""

    sequence: int
    """The moment up to which this is true."""
    keys: tuple[str, ...] | None
    """The records that were written or deleted; None if too many, or unknown: any may have changed."""


class Store(Protocol):
    """Durable records. Any method may raise :class:`StoreError`; a change that returned is durable and seen by all."""

    def get(self, kind: str, key: str) -> Record | None:
        """The record, or None."""

    def insert(self, kind: str, key: str, value: bytes, *, group: str = "", expires: float | None = None) -> bool:
        """Writes a record that is not there; False, and nothing written, if it is."""

    def replace(
        self, kind: str, key: str, value: bytes, version: int, *, group: str = "", expires: float | None = None
    ) -> bool:
        """Writes over the record if it still has this *version*; False, and nothing written, if not."""

    def delete(self, kind: str, key: str, version: int | None = None) -> bool:
        """Deletes the record, if it still has this *version* where one is given; False if it did not."""

    def scan(
        self, kind: str, *, group: str | None = None, prefix: str = "", after: str = "", limit: int = 100
    ) -> list[Record]:
        """At most *limit* records in the order of their keys: of the *group*, with the *prefix*, beyond *after*."""

    def note(self, kind: str, key: str, value: bytes, *, expires: float | None = None) -> bool:
        """Writes a remark without a sequence number: not waited for, perhaps lost. False if the store is busy."""

    def sequence(self, kind: str) -> int:
        """A number that grows with each ``insert``, ``replace`` and ``delete`` of this kind.

        Cheap: it is asked in each request.
        """

    def changes(self, kind: str, since: int) -> Changes:
        """What changed after the moment when ``sequence`` was *since*."""

    def sweep(self, now: float) -> int:
        """Drops what expired before *now*, in seconds since 1970-01-01 UTC: how many, ten thousand at most."""

    def close(self) -> None:
        """Lets go of files. The next call opens them again."""


MOST_CHANGES = 1024
"""Changes of a kind that are remembered by name; who is further behind reads everything again."""


MOST_SWEPT = 10_000
"""Records that one sweep drops at most: others wait for it."""

_MOST_KIND = 64
_MOST_KEY = 256


def checked(kind: str, key: str, group: str = "", expires: float | None = None) -> None:
    """Refuses what not every store could hold.

    :raises ValueError: for a text with NUL or a lone surrogate, or too long, and for an end that is no number.

    >>> checked("kind", "key")
    """
    for text, most in ((kind, _MOST_KIND), (key, _MOST_KEY), (group, _MOST_KEY)):
        # Never quoted: it may be a peer's.
        if len(text) > most or "\0" in text or not (text.isascii() or _is_text(text)):
            raise ValueError(
                "kind, key and group of a record are texts of at most 64, 256 and 256 characters, "
                "without NUL and lone surrogates; hash what may be another"
            )
    if expires is not None and not math.isfinite(expires):
        raise ValueError("expires is seconds since 1970-01-01 UTC, or None for never")


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def successor(prefix: str) -> str | None:
    """The first text after all that begin with *prefix*, in the order of code points; None if there is none.

    >>> successor("ab")
    'ac'
    """
    for place in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[place]) + 1
        if code == 0xD800:  # surrogates are no text
            code = 0xE000
        if code <= 0x10FFFF:
            return prefix[:place] + chr(code)
    return None
