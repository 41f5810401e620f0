"""What was revoked before its time, for all workers: tokens, logins, and all that a subject had until a moment.

The store has one record for each; a copy of them is in this process (``src/tokens/revoked.rs``), so that a check
costs a look-up and no input or output. Before each check the store is asked for one number, whether anything changed:

1. a revocation that was confirmed is seen by every worker of the host at its next request, by others within the
   seconds at which the store is polled;
2. whoever finds that something changed reads it before any token is judged; others wait for them;
3. a store that cannot be asked refuses the request.

A record names nobody: its key is half of a SHA-256 over kind, realm and name. The realm of our own tokens is ``""``,
whatever the settings call us; that of others' is their issuer.

A subject of ours is revoked by count: its tokens say in ``gen`` how often all that it had was taken back before, so no
clock has a say. Others do not count with us; of what they issued, what began before the moment is revoked.

Nothing is dropped before it has been over for a day: a clock that runs ahead for a while brings nothing back.
"""

from __future__ import annotations

import json
import math
from time import monotonic
from typing import Any, NamedTuple

from .._native import Clock, Revoked, revocation_mark
from ..errors import RampartError
from ..locks import Lock
from ..stores import KEEP, Record, Records, Store

KIND = "revocation"
OWN = ""
"""The realm of our own tokens."""
MARGIN = 600.0 + 120.0
"""Seconds for which a revocation outlives what it names: the largest leeway, and writes that wait."""
_PAGE = 1000
_ROUNDS = 64
_SWEEP_EVERY = 600.0


class Moment(NamedTuple):
    """What is known of a mark."""

    before: float
    """Up to when what it names was revoked; in seconds since 1970-01-01 UTC."""
    generation: int
    """How often."""
    until: float
    """When the record is needed no more."""


class Revocations:
    """The list of the revoked of one app. Verifiers get :attr:`listed`; before one judges, call :meth:`current`."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self.listed = Revoked()
        self._records = records
        self._clock = clock
        self._store: Store | None = None
        self._at = -1
        self._known: tuple[Any, bytes, float] = (b"", b"never", 0.0)
        self._swept = 0.0
        self._lock = Lock()

    def current(self) -> None:
        """Makes the list as new as the store.

        :raises StoreError: if the store cannot be asked.
        """
        # Each request comes here, so the usual case is spelled out: the mark in shared memory is that of the last look.
        shared, mark, until = self._known
        if shared[:8] == mark and monotonic() < until:
            return
        self._look()

    def _look(self) -> None:
        store = self._store
        if store is None:
            store = self._store = self._records.store
        if store.sequence(KIND) != self._at:
            self._catch_up(store)
        ask = getattr(store, "hint", None)
        hint = None if ask is None else ask(KIND)
        # Another thread may have looked since: only what the list is true of is worth remembering.
        if hint is not None and hint.sequence == self._at:
            self._known = (hint.shared, hint.mark, hint.until)

    def covers(
        self, realm: str, *, subject: str, token_id: str | None, issued_at: float | None, authenticated_at: float | None
    ) -> bool:
        """Whether a token of others, that is no JWT, is revoked: by its name, or because it began too early.

        It has to be :meth:`current`.
        """
        if token_id and self.listed.entry(revocation_mark("token", realm, token_id)) is not None:
            return True
        entry = self.listed.entry(subject_mark(subject, realm))
        began = min((moment for moment in (issued_at, authenticated_at) if moment is not None), default=-math.inf)
        return entry is not None and began < entry[0]

    def revoke(self, mark: bytes, *, before: float = math.inf, until: float = math.inf) -> None:
        """Revokes what *mark* names, once more. When this returns, it holds.

        :param before: of a subject that does not count, what began earlier; in seconds since 1970-01-01 UTC.
        :param until: from when on nothing that it names could be valid any more.
        """
        store, key = self._records.store, mark.hex()
        for _ in range(_ROUNDS):
            found = store.get(KIND, key)
            # Never weakened: of two moments the later, of two ends the later.
            was = Moment(-math.inf, 0, -math.inf) if found is None else _moment(found)
            now = Moment(max(before, was.before), was.generation + 1, max(until, was.until))
            if found is None:
                written = store.insert(KIND, key, _value(now), expires=_expires(now.until))
            else:
                written = store.replace(KIND, key, _value(now), found.version, expires=_expires(now.until))
            if written:
                self.tidy()
                return
        raise RampartError("a revocation is being written over and over; it was not written this time")

    def shorten(self, mark: bytes, until: float) -> None:
        """Lets a revocation end at *until*, because something else holds from then on. Not needed for it to hold."""
        found = self._records.store.get(KIND, mark.hex())
        if found is not None and _moment(found).until > until:
            self._records.store.replace(KIND, found.key, found.value, found.version, expires=until)

    def stored(self, mark: bytes) -> Moment | None:
        """What the store itself knows of *mark*; None if it was never revoked."""
        found = self._records.store.get(KIND, mark.hex())
        return None if found is None else _moment(found)

    def generation(self, mark: bytes) -> int:
        """How often what *mark* names was revoked, as far as this process knows."""
        entry = self.listed.entry(mark)
        return 0 if entry is None else entry[1]

    def tidy(self) -> None:
        """Drops what is over, now and then."""
        self._records.tidy(self._clock.now())

    def _catch_up(self, store: Store) -> None:
        with self._lock:
            # Another thread may have done it meanwhile; then nothing has changed since.
            sequence, changed = store.changes(KIND, self._at)
            if changed is None:
                self._read_all(store)
            else:
                for key in changed:
                    found = store.get(KIND, key)
                    # What is gone had ended: it drops out of the list by itself.
                    if found is not None:
                        self.listed.put(bytes.fromhex(key), *_moment(found))
            now = self._clock.now()
            if not 0 <= now - self._swept < _SWEEP_EVERY:
                self._swept = now
                self.listed.sweep(now - KEEP)
            self._at = sequence

    def _read_all(self, store: Store) -> None:
        entries: list[tuple[bytes, float, int, float]] = []
        after = ""
        while page := store.scan(KIND, after=after, limit=_PAGE):
            entries += [(bytes.fromhex(found.key), *_moment(found)) for found in page]
            after = page[-1].key
        self.listed.replace(entries)


def subject_mark(subject: str, realm: str = OWN) -> bytes:
    """Names all that *subject* has in a realm."""
    return revocation_mark("subject", realm, subject)


def family_mark(family: str) -> bytes:
    """Names all tokens of one login."""
    return revocation_mark("family", OWN, family)


def _value(moment: Moment) -> bytes:
    before = None if math.isinf(moment.before) else moment.before
    return json.dumps({"before": before, "generation": moment.generation}).encode()


def _moment(found: Record) -> Moment:
    value = json.loads(found.value)
    before = math.inf if value["before"] is None else float(value["before"])
    return Moment(before, value["generation"], math.inf if found.expires is None else found.expires)


def _expires(until: float) -> float | None:
    return None if math.isinf(until) else until
