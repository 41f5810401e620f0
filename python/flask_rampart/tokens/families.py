"""Families: the tokens of one login, and how they are renewed (RFC 9700 section 4.14, RFC 6749 section 10.4).

A refresh token is exchanged for the next one of its family when, in this order:

1. it verifies: its signature, its type ``refresh+jwt``, its times;
2. the store has its family, which is neither revoked nor over, nor revoked with its subject;
3. it is the family's newest: then another takes its place by one compare-and-set, so of any number of simultaneous
   calls one makes the next member, and all get that one;
4. or it was replaced no longer ago than ``RAMPART_JWT_REFRESH_OVERLAP``: then the newest is given again. A client that
   lost an answer, or refreshes in two tabs, is no thief.

Any other member that comes back was copied: the family ends, with its access tokens, and ``refresh_reused`` is sent.
The peer is told ``token.invalid``, as for any token.

What is given out is checked against the store once more after it was made, so that no revocation that was confirmed
meanwhile is outlived by it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from .._native import Clock, VerifiedToken
from ..config import Settings
from ..errors import RampartError
from ..stores import Record, Records, StoreError
from .revocations import Revocations, family_mark, subject_mark

KIND = "token_family"
REFRESH_TYPE = "refresh+jwt"
_ROUNDS = 256
_MOST_RECENT = 16
_TIDY_EVERY = 3600.0
_MARGIN = 120.0
"""Seconds for which things are kept beyond their end, for clocks that differ and writes that wait."""


class Invalid(Exception):
    """A refresh token that is not taken; its text is the reason, for the log."""


@dataclass(frozen=True)
class Login:
    """A login as the store knows it: a family of tokens. Times are seconds since 1970-01-01 UTC."""

    family: str
    """Its name: ``sid`` in its tokens."""
    subject: str
    scopes: frozenset[str]
    roles: frozenset[str]
    claims: dict[str, Any] = field(repr=False)
    began: float
    refreshed: float
    """When its newest member was made."""
    ends: float
    """When it can be refreshed no more."""
    revoked: float | None


class Members(dict[str, Any]):
    """A family's record, as it is in the store."""

    @classmethod
    def begin(
        cls,
        settings: Settings,
        began: float,
        subject: str,
        scopes: list[str],
        roles: list[str],
        claims: dict[str, Any],
        lifetime: int,
        fresh: bool,
    ) -> Members:
        """The record of a login that begins at *began*."""
        latest = began + settings.jwt_family_lifetime
        record = cls(
            sub=subject,
            scopes=scopes,
            roles=roles,
            claims=claims,
            lifetime=lifetime,
            fresh=fresh,
            began=began,
            latest=latest,
            csrf=uuid4().hex,
            recent=[],
            revoked=None,
        )
        record.renew(settings, began)
        return record

    def renew(self, settings: Settings, now: float) -> None:
        """Gives the family a new newest member."""
        self["current"] = uuid4().hex
        # Never before its login, whose moment may be finer than a second.
        self["issued"] = max(int(now), self["began"])
        self["expires"] = int(min(now + settings.jwt_refresh_lifetime, self["latest"]))

    def follow(self, settings: Settings, now: float) -> Members:
        """The record with a next member after its newest."""
        following = Members(self)
        recent = [(member, until) for member, until in self["recent"] if now < until]
        recent.append((self["current"], now + settings.jwt_refresh_overlap))
        following["recent"] = recent[-_MOST_RECENT:]
        following["fresh"] = False
        following.renew(settings, now)
        return following

    def encode(self) -> bytes:
        return json.dumps(self, allow_nan=False, separators=(",", ":")).encode()

    @property
    def dropped(self) -> float:
        """When nothing of it is valid any more."""
        return float(self["expires"]) + float(self["lifetime"]) + _MARGIN


class Families:
    """The logins of one app."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        records: Records,
        revocations: Revocations,
        reused: Callable[[str, str], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._records = records
        self._revocations = revocations
        self._reused = reused
        self._tidied = clock.now()
        self._issuer = settings.jwt_issuer or ""

    def begin(self, family: str, record: Members) -> None:
        """Writes a login down."""
        group = subject_mark(self._issuer, record["sub"]).hex()
        if not self._records.store.insert(KIND, family, record.encode(), group=group, expires=record.dropped):
            raise RampartError("the name that was drawn is taken: the system's random bytes are not random")
        self._tidy()

    def follow(self, token: VerifiedToken) -> tuple[str, Members]:
        """The family of a refresh token that verified, with its newest member, which may just have been made.

        :raises Invalid: if the token is not taken.
        """
        family, member, store = token.family, token.token_id, self._records.store
        if not family or not member:
            raise Invalid("refresh form")
        for _ in range(_ROUNDS):
            found = store.get(KIND, family)
            if found is None:
                raise Invalid("unknown family")
            record, now = Members(json.loads(found.value)), self._clock.now()
            self.check(family, record)
            if record["sub"] != token.subject:
                raise Invalid("subject")
            if member == record["current"]:
                record = record.follow(self._settings, now)
                if store.replace(
                    KIND, family, record.encode(), found.version, group=found.group, expires=record.dropped
                ):
                    return family, record
                # Another was faster; what it made is this token's successor too.
                continue
            if any(member == earlier and now < until for earlier, until in record["recent"]):
                return family, record
            self.revoke(family)
            self._reused(record["sub"], family)
            raise Invalid("reused")
        raise RampartError("a family changes faster than it can be read; the request is refused")

    def check(self, family: str, record: Members) -> None:
        """Asks the store whether the family still holds.

        :raises Invalid: if not.
        """
        if record["revoked"] is not None or self._revocations.stored(family_mark(self._issuer, family)) is not None:
            raise Invalid("revoked")
        before = self._revocations.stored(subject_mark(self._issuer, record["sub"]))
        if before is not None and record["began"] < before:
            raise Invalid("revoked")

    def revoke(self, family: str) -> bool:
        """Ends a family, with its access tokens; False if there is none.

        Whoever is killed between the steps leaves it ended: the first one holds alone, the others tidy up after it.
        """
        store = self._records.store
        found = store.get(KIND, family)
        if found is None:
            return False
        mark = family_mark(self._issuer, family)
        record = Members(json.loads(found.value))
        if record["revoked"] is None or self._revocations.stored(mark) is None:
            self._revocations.revoke(mark, until=record["latest"] + record["lifetime"] + _MARGIN)
        for _ in range(_ROUNDS):
            if record["revoked"] is not None:
                break
            record["revoked"] = self._clock.now()
            if store.replace(KIND, family, record.encode(), found.version, group=found.group, expires=record.dropped):
                break
            found = store.get(KIND, family)
            if found is None:
                return True
            record = Members(json.loads(found.value))
        else:
            return True
        # From when its last access token has expired, the family's own record is enough.
        self._revocations.shorten(mark, self._clock.now() + record["lifetime"] + self._settings.jwt_leeway + _MARGIN)
        return True

    def _tidy(self) -> None:
        """Drops what is over, now and then: whoever adds to the store also takes away."""
        now = self._clock.now()
        if 0 <= now - self._tidied < _TIDY_EVERY:
            return
        self._tidied = now
        # A login does not fail because something else could not be tidied up.
        with suppress(StoreError):
            self._records.store.sweep(now)

    def of(self, subject: str) -> Iterator[Login]:
        """The logins of *subject* that can still be refreshed."""
        now, after = self._clock.now(), ""
        before = self._revocations.stored(subject_mark(self._issuer, subject))
        group = subject_mark(self._issuer, subject).hex()
        while page := self._records.store.scan(KIND, group=group, after=after, limit=100):
            after = page[-1].key
            for found in page:
                login = _login(found)
                if login.revoked is None and now < login.ends and (before is None or login.began >= before):
                    yield login


def _login(found: Record) -> Login:
    record = json.loads(found.value)
    return Login(
        family=found.key,
        subject=record["sub"],
        scopes=frozenset(record["scopes"]),
        roles=frozenset(record["roles"]),
        claims=record["claims"],
        began=record["began"],
        refreshed=record["issued"],
        ends=record["expires"],
        revoked=record["revoked"],
    )
