"""Holds the keys of one issuer, and fetches them so that hardly anybody ever waits.

Rules, in order:

1. while keys are held that are not too old, no request waits: a refresh runs beside it, begun before their time ends
   (``max-age`` of the answer, between a minute and a day; ten minutes if it says nothing);
2. one fetch at a time, on a thread of its own; the requests that need its outcome wait for it, a few seconds at most;
3. after a failure, none for a while: 1 s, doubled up to 60 s, with jitter. Meanwhile keys that are held are used beyond
   their time (a day, unless ``max_stale`` says otherwise), and requests that need others are refused at once;
4. a ``kid`` that is not in the set is worth one fetch in 30 seconds, for which few requests wait; keys that are
   held stay (CVE-2026-48524), and requests with known keys notice nothing;
5. a set that cannot be read, or of which nothing can be used, is a failure: it replaces nothing.

Nothing is fetched before a request needs it, and a process that was forked keeps the keys, but no lock or fetch of its
parent. What time it is, the app's clock says; how long a request waits is real time.
"""

from __future__ import annotations

import math
import os
import random
import threading
import time
import weakref
from collections.abc import Callable
from typing import NamedTuple

from .._native import Clock, KeySet, Verifier
from . import discovery
from .settings import Entry
from .transport import Fetched, FetchFailed, Transport

DEADLINE = 5.0
"""Seconds that a fetch may take, discovery included."""
WAIT = 5.0
"""Seconds that a request waits for the first keys."""
MOST_WAITING = 8
"""Requests that wait for them at the same time after a fetch has failed; others are told to come again."""
WAIT_FOR_KID = 2.0
"""Seconds that a request waits for a key that is not in the set."""
MOST_WAITING_FOR_KID = 8
"""Requests that wait for such a key at the same time."""
COOL_DOWN = 30.0
"""Seconds between two fetches for keys that are not in the set."""
LIFETIME = 600.0
"""Seconds for which keys are fresh, if the answer says nothing."""
SHORTEST, LONGEST = 60.0, 86400.0
"""Seconds between which an answer may say it."""
BACK_OFF, LONGEST_BACK_OFF = 1.0, 60.0
"""Seconds without a fetch after the first failure, and after many."""
_LOST = 60.0


class Unavailable(NamedTuple):
    """The keys are needed and could not be had; worth another try in so many seconds."""

    retry_after: int


class _Held(NamedTuple):
    verifier: Verifier
    body: bytes
    since: float
    #: When to fetch anew: before the keys' time ends.
    refresh: float
    #: When they are not to be used any more.
    end: float

    def is_fresh(self, now: float) -> bool:
        # A clock that was set back does not make keys fresh again.
        return self.since <= now < self.refresh

    def is_usable(self, now: float) -> bool:
        return now < self.end


class _Flight:
    """One fetch under way."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.begun = time.monotonic()
        self.failed = True
        self.waiting = 0

    def wait(self, seconds: float) -> bool:
        """Waits until *seconds* after its begin at most; whether it ended."""
        return self.landed.wait(max(0.0, self.begun + seconds - time.monotonic()))


class KeySource:
    """The verifier of one issuer, with the keys that it has published.

    :param warn: is told what an operator should know, one line each.
    :param production: whether the app runs in earnest, which decides about http.
    :param jitter: a number from 0 to 1, so that workers do not all fetch at the same moment.
    """

    def __init__(
        self,
        entry: Entry,
        clock: Clock,
        transport: Transport,
        warn: Callable[[str], None],
        production: Callable[[], bool],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._entry = entry
        self._clock = clock
        self._transport = transport
        self._warn = warn
        self._production = production
        self._jitter = jitter
        self._held: _Held | None = None
        self._failures = 0
        self._retry_at = 0.0
        self._kid_at = 0.0
        self._fork()
        _sources.add(self)

    def _fork(self) -> None:
        """Forgets what belongs to threads that a fork did not bring along."""
        self._lock = threading.Lock()
        self._flight: _Flight | None = None

    def verifier(self) -> Verifier | Unavailable:
        """Who judges the issuer's tokens now. Waits only where there are no keys at all."""
        held = self._held
        now = self._clock.now()
        if held is not None:
            if held.is_fresh(now):
                return held.verifier
            if held.is_usable(now):
                self._begin(now)
                return held.verifier
        flight = self._begin(now)
        if flight is not None:
            # Anybody can name the issuer: once it was out of reach, forged tokens must not keep all threads waiting.
            with self._lock:
                has_place = self._failures == 0 or flight.waiting < MOST_WAITING
                flight.waiting += has_place
            if has_place:
                flight.wait(WAIT)
                with self._lock:
                    flight.waiting -= 1
        held = self._held
        if held is not None and held.is_usable(self._clock.now()):
            return held.verifier
        return self._unavailable()

    def after_miss(self, used: Verifier) -> Verifier | Unavailable | None:
        """A verifier with newer keys than *used*, which does not know a token's ``kid``; None if there are none."""
        # A fetch that was under way may have begun before the key was published: then one more is worth it.
        for _ in range(2):
            now = self._clock.now()
            with self._lock:
                held = self._held
                if held is not None and held.verifier is not used:
                    return held.verifier
                flight = self._flying()
                joined = flight is not None
                if flight is None and not self._in_back_off(now):
                    if self._kid_at <= now < self._kid_at + COOL_DOWN:
                        return None
                    self._kid_at = now
                    flight = self._start()
                if flight is None:
                    # The last fetch failed, so nobody knows whether the issuer has that key by now.
                    return Unavailable(self._seconds_left(now))
                if flight.waiting >= MOST_WAITING_FOR_KID:
                    return None
                flight.waiting += 1
            landed = flight.wait(WAIT_FOR_KID)
            with self._lock:
                flight.waiting -= 1
            held = self._held
            if held is not None and held.verifier is not used:
                return held.verifier
            if not landed or flight.failed:
                return self._unavailable()
            if not joined:
                break
        return None

    # One fetch at a time.

    def _begin(self, now: float) -> _Flight | None:
        """The fetch that is under way, or a new one; None while it would be too soon."""
        with self._lock:
            held = self._held
            if held is not None and held.is_fresh(now):
                return None
            flight = self._flying()
            if flight is None and not self._in_back_off(now):
                flight = self._start()
            return flight

    def _flying(self) -> _Flight | None:
        flight = self._flight
        # A thread that was killed never lands; after a minute nobody believes in it any more.
        if flight is not None and time.monotonic() - flight.begun > _LOST:
            flight = self._flight = None
        return flight

    def _in_back_off(self, now: float) -> bool:
        # Bounded from both sides, so that a clock that is set back does not prolong it.
        return 0 < self._retry_at - now <= 2 * LONGEST_BACK_OFF

    def _start(self) -> _Flight | None:
        flight = _Flight()
        self._flight = flight
        thread = threading.Thread(target=self._fly, args=(flight,), daemon=True, name="rampart-issuer-keys")
        try:
            thread.start()
        except RuntimeError:
            # No more threads, or the interpreter is ending.
            self._flight = None
            self._warn(self._failed("no thread could be started"))
            return None
        return flight

    def _fly(self, flight: _Flight) -> None:
        lines: list[str] = []
        reason = "the thread was ended"
        found: tuple[Verifier, Fetched] | None = None
        try:
            deadline, production = flight.begun + DEADLINE, self._production()
            fetched = discovery.load(self._entry, self._transport, deadline, production=production)
            found = self._verifier_for(fetched, lines), fetched
        except (FetchFailed, ValueError) as error:
            reason = str(error)
        except Exception as error:
            reason = type(error).__name__
        finally:
            with self._lock:
                # One that was given up, or was the parent's, changes nothing.
                if self._flight is flight:
                    self._flight = None
                    if found is None:
                        lines.append(self._failed(reason))
                    else:
                        lines.extend(self._accept(*found))
                        flight.failed = False
            flight.landed.set()
            for line in lines:
                self._warn(line)

    def _verifier_for(self, fetched: Fetched, lines: list[str]) -> Verifier:
        held = self._held
        if held is not None and held.body == fetched.body:
            # The same keys keep the same verifier, and with it the tokens that it remembers.
            return held.verifier
        keys = KeySet.read(fetched.body, self._entry.algorithms)
        if keys.skipped:
            lines.append(f"{self._entry.place}: skipped of the issuer's keys: {'; '.join(keys.skipped)}")
        return self._entry.verifier(keys, self._clock) if held is None else held.verifier.with_keys(keys)

    def _accept(self, verifier: Verifier, fetched: Fetched) -> list[str]:
        now = self._clock.now()
        lifetime = LIFETIME if fetched.max_age is None else min(max(fetched.max_age, SHORTEST), LONGEST)
        # Between 70 and 90 % of their time.
        refresh = now + lifetime * (0.7 + 0.2 * self._jitter())
        self._held = _Held(verifier, fetched.body, now, refresh, now + lifetime + self._entry.max_stale)
        recovered = self._failures > 0
        self._failures, self._retry_at = 0, 0.0
        return [f"{self._entry.place}: the keys of {self._entry.issuer} are to be had again"] if recovered else []

    def _failed(self, reason: str) -> str:
        now = self._clock.now()
        wait = min(BACK_OFF * 2.0 ** min(self._failures, 16), LONGEST_BACK_OFF)
        self._failures += 1
        self._retry_at = now + wait * (0.75 + 0.5 * self._jitter())
        left = "there are none" if self._held is None else f"those held are {int(now - self._held.since)} s old"
        return f"{self._entry.place}: the keys of {self._entry.issuer} could not be fetched ({left}): {reason}"

    def _unavailable(self) -> Unavailable:
        return Unavailable(self._seconds_left(self._clock.now()))

    def _seconds_left(self, now: float) -> int:
        return max(1, math.ceil(self._retry_at - now)) if self._in_back_off(now) else 1


_sources: weakref.WeakSet[KeySource] = weakref.WeakSet()


def _after_fork() -> None:
    for source in list(_sources):
        source._fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
