"""Holds the keys of one issuer, and fetches them so that hardly anybody ever waits.

Rules, in order:

1. while keys are held that are not too old, no request waits: a refresh runs beside it, begun before their time ends
   (``max-age`` of the answer, between a minute and a day; ten minutes if it says nothing);
2. one fetch at a time, on a thread of its own; the requests that need its outcome wait for it, a few seconds at most;
3. after a failure, none for a while: 1 s, doubled up to 60 s, with jitter. Meanwhile keys that are held are used beyond
   their time (a day, unless ``max_stale`` says otherwise), and requests that need others are refused at once;
4. a key that is not in the set is worth one fetch in 30 seconds, for which few requests wait: a ``kid`` that no key
   has, or, since a key may be rotated without a name, a token without ``kid`` that no key verifies. Keys that are held
   stay (CVE-2026-48524), and requests with known keys notice nothing. Such a token is wrong only if the issuer was
   asked and did not know its key either; while nobody could ask, nobody knows (503);
5. a set that cannot be read, or of which nothing can be used, is a failure: it replaces nothing.

Nothing is fetched before a request needs it, and a process that was forked keeps the keys, but no lock or fetch of its
parent. What time it is, the app's clock says; how long a request waits is real time.
"""

from __future__ import annotations

import base64
import json
import math
import random
import threading
from collections.abc import Callable
from typing import NamedTuple

from .._native import Clock, KeySet, Revoked, Verifier
from ..locks import Lock
from . import discovery
from .flights import BACK_OFF, LONGEST_BACK_OFF, BackOff, Flight, Unavailable, at_fork
from .settings import Entry
from .transport import Fetched, FetchFailed, Transport

DEADLINE = 5.0
"""Seconds that a fetch may take, discovery included."""
WAIT = 5.0
"""Seconds that a request waits for the first keys."""
MOST_WAITING_FIRST, MOST_WAITING = 512, 8
"""Requests that wait for them at the same time, before and after a fetch has failed; others are told to come again.
Before, an issuer is up as a rule, and a worker of greenlets has hundreds who may wait the moment that it takes."""
MOST_LOST = 8
"""Fetches that were given up and whose threads have not ended, beyond which there is none."""
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
__all__ = ["BACK_OFF", "LONGEST_BACK_OFF", "KeySource", "Unavailable"]


class _Held(NamedTuple):
    verifier: Verifier
    body: bytes
    #: The names of the set's keys.
    kids: frozenset[str]
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


class KeySource:
    """The verifier of one issuer, with the keys that it has published.

    :param warn: is told what an operator should know, one line each.
    :param production: whether the app runs in earnest, which decides about http.
    :param listed: what was revoked.
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
        listed: Revoked | None = None,
    ) -> None:
        self._listed = listed
        self._entry = entry
        self._clock = clock
        self._transport = transport
        self._warn = warn
        self._production = production
        self._jitter = jitter
        self._held: _Held | None = None
        self._back_off = BackOff(jitter)
        self._kid_at = 0.0
        self._fork()
        at_fork(self)

    def _fork(self) -> None:
        """Forgets what belongs to threads that a fork did not bring along."""
        self._lock = Lock()
        self._flight: Flight | None = None
        self._lost: list[Flight] = []

    def verifier(self) -> Verifier | Unavailable:
        """Who judges the issuer's tokens now. Waits only where there are no keys at all."""
        held = self._held
        now = self._clock.now()
        if held is not None:
            if held.is_fresh(now):
                return held.verifier
            if held.is_usable(now):
                self._begin()
                return held.verifier
        flight = self._begin()
        if flight is not None:
            # Anybody can name the issuer: where it is out of reach, forged tokens must not keep all threads waiting.
            with self._lock:
                has_place = flight.waiting < (MOST_WAITING if self._back_off.failures else MOST_WAITING_FIRST)
                flight.waiting += has_place
            if has_place:
                flight.wait(WAIT)
                with self._lock:
                    flight.waiting -= 1
        held = self._held
        if held is not None and held.is_usable(self._clock.now()):
            return held.verifier
        return self._unavailable()

    def may_lack(self, used: Verifier, token: str) -> bool:
        """Whether *token*, which *used* did not verify, may be signed with a key that is not held.

        It may if it names none, or one that is not in the set and was tried with a key that has no name either.
        """
        held = self._held
        if held is None or held.verifier is not used:
            return held is not None
        header = _header(token)
        # `none` and secrets are never worth a fetch.
        return header.get("alg") in self._entry.algorithms and header.get("kid") not in held.kids

    def after_miss(self, used: Verifier) -> Verifier | Unavailable | None:
        """A verifier with newer keys than *used*, which lacks a token's key; None if the issuer has no newer ones."""
        # A fetch that was under way may have begun before the key was published: then one more is worth it.
        for _ in range(2):
            lines: list[str] = []
            with self._lock:
                now = self._clock.now()
                held = self._held
                if held is not None and held.verifier is not used:
                    return held.verifier
                flight = self._flying()
                joined = flight is not None
                verdict: Unavailable | None = None
                if flight is None:
                    flight, verdict = self._ask_again(now, lines)
                elif flight.waiting >= MOST_WAITING_FOR_KID:
                    # The answer is on its way, and nobody knows it yet.
                    flight, verdict = None, Unavailable(1)
                if flight is not None:
                    flight.waiting += 1
            for line in lines:
                self._warn(line)
            if flight is None:
                return verdict
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

    def _ask_again(self, now: float, lines: list[str]) -> tuple[Flight | None, Unavailable | None]:
        """A fetch for a key that is not held, or what to say without one."""
        if self._back_off.holds(now):
            # The last fetch failed, so nobody knows whether the issuer has that key by now.
            return None, self._back_off.unavailable(now)
        if self._kid_at <= now < self._kid_at + COOL_DOWN:
            if self._back_off.failures == 0:
                return None, None
            return None, Unavailable(math.ceil(self._kid_at + COOL_DOWN - now))
        self._kid_at = now
        flight = self._start(lines)
        return flight, None if flight else self._back_off.unavailable(now)

    # One fetch at a time.

    def _begin(self) -> Flight | None:
        """The fetch that is under way, or a new one; None while it would be too soon."""
        lines: list[str] = []
        with self._lock:
            # Read while nothing can land: keys that came after the time was read would seem to be of the future, and
            # worth another fetch.
            now = self._clock.now()
            held = self._held
            if held is not None and held.is_fresh(now):
                return None
            flight = self._flying()
            if flight is None and not self._back_off.holds(now):
                flight = self._start(lines)
        for line in lines:
            self._warn(line)
        return flight

    def _flying(self) -> Flight | None:
        flight = self._flight
        if flight is not None and flight.is_lost:
            self._lost.append(flight)
            flight = self._flight = None
            self._back_off.fail(self._clock.now())
        return flight

    def _start(self, lines: list[str]) -> Flight | None:
        # What a name server holds for ever keeps its thread.
        self._lost = [each for each in self._lost if not each.landed.is_set()]
        if len(self._lost) >= MOST_LOST:
            return None
        flight = Flight()
        self._flight = flight
        thread = threading.Thread(target=self._fly, args=(flight,), daemon=True, name="rampart-issuer-keys")
        try:
            thread.start()
        except RuntimeError:
            # No more threads, or the interpreter is ending.
            self._flight = None
            lines.append(self._failed("no thread could be started"))
            return None
        return flight

    def _fly(self, flight: Flight) -> None:
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
        return self._entry.verifier(keys, self._clock, self._listed) if held is None else held.verifier.with_keys(keys)

    def _accept(self, verifier: Verifier, fetched: Fetched) -> list[str]:
        now = self._clock.now()
        lifetime = LIFETIME if fetched.max_age is None else min(max(fetched.max_age, SHORTEST), LONGEST)
        # Between 70 and 90 % of their time.
        refresh = now + lifetime * (0.7 + 0.2 * self._jitter())
        self._held = _Held(
            verifier, fetched.body, _kids(fetched.body), now, refresh, now + lifetime + self._entry.max_stale
        )
        recovered = self._back_off.succeed()
        return [f"{self._entry.place}: the keys of {self._entry.issuer} are to be had again"] if recovered else []

    def _failed(self, reason: str) -> str:
        now = self._clock.now()
        self._back_off.fail(now)
        left = "there are none" if self._held is None else f"those held are {int(now - self._held.since)} s old"
        return f"{self._entry.place}: the keys of {self._entry.issuer} could not be fetched ({left}): {reason}"

    def _unavailable(self) -> Unavailable:
        return self._back_off.unavailable(self._clock.now())


def _kids(body: bytes) -> frozenset[str]:
    """The names in a JWK set that was read before."""
    keys = json.loads(body)["keys"]
    return frozenset(key["kid"] for key in keys if isinstance(key, dict) and isinstance(key.get("kid"), str))


def _header(token: str) -> dict[str, str]:
    """What a token's header says. Nothing is proven by it: it tells whether a fetch may help."""
    head = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, RecursionError):
        return {}
    return {name: value for name, value in header.items() if isinstance(value, str)} if type(header) is dict else {}
