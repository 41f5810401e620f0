"""Families: the tokens of one login, and how they are renewed (RFC 9700 section 4.14, RFC 6749 section 10.4).

A refresh token is exchanged for the next one of its family when, in this order:

1. it verifies: its signature, its type ``refresh+jwt``, its times, and it is not on the list of the revoked;
2. the store has its family, which is neither revoked nor over, nor revoked with its subject;
3. it is the family's newest: then another takes its place by one compare-and-set, so of any number of simultaneous
   calls one makes the next member, and all get that one;
4. or it was replaced no longer ago than ``RAMPART_JWT_REFRESH_OVERLAP``: then the newest is given again. A client that
   lost an answer, or refreshes in two tabs, is no thief.

Any other member that comes back was copied: the family ends, with its access tokens, and ``refresh_reused`` is sent.
The peer is told ``token.invalid``, as for any token.

The next pair is made before it is written down that it was given: what cannot be made costs nobody a login. And what is
given out is checked against the store once more, so that no revocation that was confirmed meanwhile is outlived by it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from .._native import Clock, VerifiedToken
from ..config import Settings
from ..errors import RampartError
from ..stores import Record, Records
from .pair import TokenPair
from .revocations import MARGIN, Revocations, family_mark, subject_mark

KIND = "token_family"
REFRESH_TYPE = "refresh+jwt"
_ROUNDS = 256
_MOST_RECENT = 16


class Invalid(Exception):
    """A refresh token that is not taken: the code for the peer, and the reason for the log."""

    def __init__(self, reason: str, code: str = "token.invalid") -> None:
        super().__init__(code, reason)
        self.verdict = (code, reason)


@dataclass(frozen=True)
class Login:
    """A login as the store knows it: a family of tokens. Times are seconds since 1970-01-01 UTC."""

    family: str
    """Its name: ``sid`` in its tokens."""
    subject: str
    scopes: frozenset[str]
    roles: frozenset[str]
    claims: dict[str, Any] = field(repr=False, hash=False)
    began: float
    refreshed: float
    """When its newest member was made."""
    ends: float
    """When it can be refreshed no more."""
    revoked: float | None


Renew = Callable[[Login], Mapping[str, Any] | None]


class Members(dict[str, Any]):
    """A family's record, as it is in the store."""

    @classmethod
    def begin(
        cls,
        settings: Settings,
        now: int,
        generation: int,
        subject: str,
        scopes: list[str],
        roles: list[str],
        claims: dict[str, Any],
        lifetime: int | None,
        fresh: bool,
    ) -> Members:
        """The record of a login that begins now."""
        record = cls(
            sub=subject,
            gen=generation,
            scopes=scopes,
            roles=roles,
            claims=claims,
            lifetime=lifetime,
            fresh=fresh,
            began=now,
            latest=now + settings.jwt_family_lifetime,
            access_until=0,
            csrf=uuid4().hex,
            recent=[],
            revoked=None,
        )
        record.renew(settings, now)
        return record

    def renew(self, settings: Settings, now: int) -> None:
        """Gives the family a new newest member."""
        # Settings that became stricter reach logins that are there already.
        self["latest"] = min(self["latest"], self["began"] + settings.jwt_family_lifetime)
        self["current"] = uuid4().hex
        self["issued"] = now
        self["expires"] = min(now + settings.jwt_refresh_lifetime, self["latest"])
        self["access_until"] = max(self["access_until"], now + self.lifetime(settings) + settings.jwt_refresh_overlap)

    def follow(self, settings: Settings, now: float) -> Members:
        """The record with a next member after its newest."""
        following = Members(self)
        recent = [(member, until) for member, until in self["recent"] if now < until]
        following["recent"] = [*recent, (self["current"], now + settings.jwt_refresh_overlap)]
        following["fresh"] = False
        following.renew(settings, int(now))
        return following

    def lifetime(self, settings: Settings) -> int:
        """How long its access tokens live, in seconds."""
        own: int | None = self["lifetime"]
        return settings.jwt_lifetime if own is None else own

    def encode(self) -> bytes:
        return json.dumps(self, allow_nan=False, separators=(",", ":")).encode()

    @property
    def dropped(self) -> float:
        """When nothing of it is valid any more."""
        return float(max(self["expires"], self["access_until"])) + MARGIN

    def login(self, family: str) -> Login:
        """What an app may know of it."""
        return Login(
            family=family,
            subject=self["sub"],
            scopes=frozenset(self["scopes"]),
            roles=frozenset(self["roles"]),
            claims=dict(self["claims"]),
            began=self["began"],
            refreshed=self["issued"],
            ends=self["expires"],
            revoked=self["revoked"],
        )


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

    def begin(self, family: str, record: Members) -> None:
        """Writes a login down."""
        group = subject_mark(record["sub"]).hex()
        if not self._records.store.insert(KIND, family, record.encode(), group=group, expires=record.dropped):
            raise RampartError("the name that was drawn is taken: the system's random bytes are not random")
        self._revocations.tidy()

    def follow(
        self,
        token: VerifiedToken,
        make: Callable[[str, Members], TokenPair],
        change: Callable[[str, Members], Members],
    ) -> tuple[TokenPair, Members]:
        """The newest pair of a refresh token that verified; its refresh token may just have been made.

        :param make: makes the pair of a record.
        :param change: what the app wants to be different from now on.
        :raises Invalid: if the token is not taken.
        """
        family, member, store = token.family, token.token_id, self._records.store
        if not family or not member:
            raise Invalid("refresh form")
        arrived = self._clock.now()
        was_newest = False
        for _ in range(_ROUNDS):
            found = store.get(KIND, family)
            if found is None:
                raise Invalid("unknown family")
            record, now = _members(found), self._clock.now()
            self.check(family, record)
            if record["sub"] != token.subject:
                raise Invalid("subject")
            if now >= min(record["latest"], record["began"] + self._settings.jwt_family_lifetime):
                raise Invalid("login over", "token.expired")
            recent = [(earlier, until) for earlier, until in record["recent"] if now < until]
            is_newest = member == record["current"]
            if is_newest and len(recent) < _MOST_RECENT:
                following = change(family, record.follow(self._settings, now))
                pair = make(family, following)
                if store.replace(
                    KIND, family, following.encode(), found.version, group=found.group, expires=following.dropped
                ):
                    return pair, following
                # Another was faster; what it made is this token's successor too.
                was_newest = True
                continue
            # Judged by when the token came, not by how long it then waited for the store.
            within = any(member == earlier and arrived < until for earlier, until in record["recent"])
            if is_newest or was_newest or within:
                return make(family, record), record
            self.revoke(family)
            self._reused(record["sub"], family)
            raise Invalid("reused")
        raise RampartError("a family changes faster than it can be read; the request is refused")

    def check(self, family: str, record: Members) -> None:
        """Asks the store whether the family still holds.

        :raises Invalid: if not.
        """
        if record["revoked"] is not None or self._revocations.stored(family_mark(family)) is not None:
            raise Invalid("revoked")
        subject = self._revocations.stored(subject_mark(record["sub"]))
        if subject is not None and record["gen"] < subject.generation:
            raise Invalid("revoked")

    def revoke(self, family: str, subject: str | None = None) -> bool:
        """Ends a family, with its access tokens; False if there is none, or not of this *subject*.

        Whoever is killed between the steps leaves it ended: the first one holds alone, the others tidy up after it.
        """
        store, settings = self._records.store, self._settings
        found = store.get(KIND, family)
        if found is None:
            return False
        record = _members(found)
        if subject is not None and record["sub"] != subject:
            return False
        mark = family_mark(family)
        if record["revoked"] is None or self._revocations.stored(mark) is None:
            self._revocations.revoke(mark, until=max(record["latest"], record["access_until"]) + MARGIN)
        for _ in range(_ROUNDS):
            if record["revoked"] is not None:
                break
            record["revoked"] = self._clock.now()
            if store.replace(KIND, family, record.encode(), found.version, group=found.group, expires=record.dropped):
                break
            found = store.get(KIND, family)
            if found is None:
                return True
            record = _members(found)
        else:
            return True
        # From when its last access token has expired, the family's own record is enough. One may be made just now, and
        # is refused when its family is checked for the last time; the clock may be wrong, and the record is a witness.
        latest = max(record["access_until"], self._clock.now() + record.lifetime(settings))
        self._revocations.shorten(mark, latest + settings.jwt_refresh_overlap + MARGIN)
        return True

    def of(self, subject: str) -> Iterator[Login]:
        """The logins of *subject* that can still be refreshed."""
        now, after, mark = self._clock.now(), "", subject_mark(subject)
        revoked = self._revocations.stored(mark)
        while page := self._records.store.scan(KIND, group=mark.hex(), after=after, limit=100):
            after = page[-1].key
            for found in page:
                record = _members(found)
                login = record.login(found.key)
                holds = revoked is None or record["gen"] >= revoked.generation
                if holds and login.revoked is None and now < login.ends:
                    yield login


def _members(found: Record) -> Members:
    return Members(json.loads(found.value))
