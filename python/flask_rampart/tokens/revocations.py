"""What was revoked before its time, for all workers: tokens, logins, and all that a subject had until a moment.

The store has one record for each; a copy of them is in this process (``src/tokens/revoked.rs``), so that a check
costs a look-up and no input or output. Before each check the store is asked for one number, whether anything changed:

1. a revocation that was confirmed is seen by every worker of the host at its next request, by others within the
   seconds at which the store is polled;
2. whoever finds that something changed reads it before any token is judged; others wait for them;
3. a store that cannot be asked refuses the request.

A record names nobody: its key is half of a SHA-256 over kind, issuer and name.
"""

from __future__ import annotations

import json
import math

from .._native import Clock, Revoked, revocation_mark
from ..errors import RampartError
from ..locks import Lock
from ..stores import Record, Records, Store

KIND = "revocation"
FOR_GOOD = 10 * 366 * 86400
"""Seconds for which a subject's moment is kept: as long as the longest token that can be issued."""
_PAGE = 1000
_ROUNDS = 64
_SWEEP_EVERY = 60.0


class Revocations:
    """The list of the revoked of one app. Verifiers get :attr:`listed`; before one judges, call :meth:`current`."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self.listed = Revoked()
        self._records = records
        self._clock = clock
        self._store: Store | None = None
        self._at = -1
        self._swept = 0.0
        self._lock = Lock()

    def current(self) -> None:
        """Makes the list as new as the store.

        :raises StoreError: if the store cannot be asked.
        """
        store = self._store
        if store is None:
            store = self._store = self._records.store
        if store.sequence(KIND) != self._at:
            self._catch_up(store)

    def revoke(self, mark: bytes, *, before: float = math.inf, until: float = math.inf) -> None:
        """Revokes what *mark* names. When this returns, it holds.

        :param before: only what began earlier, in seconds since 1970-01-01 UTC.
        :param until: from when on nothing that it names could be valid any more.
        """
        store, key = self._records.store, mark.hex()
        for _ in range(_ROUNDS):
            found = store.get(KIND, key)
            if found is None:
                if store.insert(KIND, key, _value(before), expires=_expires(until)):
                    return
                continue
            # Never weakened: of two moments the later, of two ends the later.
            value, end = _value(max(before, _before(found))), _expires(max(until, _until(found)))
            if store.replace(KIND, key, value, found.version, expires=end):
                return
        raise RampartError("a revocation is being written over and over; it was not written this time")

    def shorten(self, mark: bytes, until: float) -> None:
        """Lets a revocation end at *until*, because something else holds from then on. Not needed for it to hold."""
        found = self._records.store.get(KIND, mark.hex())
        if found is not None and _until(found) > until:
            self._records.store.replace(KIND, found.key, found.value, found.version, expires=until)

    def stored(self, mark: bytes) -> float | None:
        """Up to when what *mark* names is revoked, by the store itself; None if it is not."""
        found = self._records.store.get(KIND, mark.hex())
        return None if found is None else _before(found)

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
                        self.listed.put(bytes.fromhex(key), _before(found), _until(found))
            now = self._clock.now()
            if not 0 <= now - self._swept < _SWEEP_EVERY:
                self._swept = now
                # A little later than needed, as clocks differ.
                self.listed.sweep(now - _SWEEP_EVERY)
            self._at = sequence

    def _read_all(self, store: Store) -> None:
        entries: list[tuple[bytes, float, float]] = []
        after = ""
        while page := store.scan(KIND, after=after, limit=_PAGE):
            entries += [(bytes.fromhex(found.key), _before(found), _until(found)) for found in page]
            after = page[-1].key
        self.listed.replace(entries)


def subject_mark(issuer: str, subject: str) -> bytes:
    """Names all that *subject* has from *issuer*."""
    return revocation_mark("subject", issuer, subject)


def family_mark(issuer: str, family: str) -> bytes:
    """Names all tokens of one login."""
    return revocation_mark("family", issuer, family)


def _value(before: float) -> bytes:
    return json.dumps({"before": None if math.isinf(before) else before}).encode()


def _before(found: Record) -> float:
    before = json.loads(found.value)["before"]
    return math.inf if before is None else float(before)


def _expires(until: float) -> float | None:
    return None if math.isinf(until) else until


def _until(found: Record) -> float:
    return math.inf if found.expires is None else found.expires
