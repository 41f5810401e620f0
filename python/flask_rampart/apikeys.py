"""API keys: made, listed, rotated and revoked; and who a request with one is from.

A request is somebody's by API key when, in this order:

1. it carries one key, in ``X-API-Key`` or in ``Authorization: ApiKey <key>``; both, or a bearer token beside it, are
   refused as ambiguous, and what is empty counts as nothing;
2. its prefix, environment, form and checksum are right, which costs no look-up (``src/apikeys``);
3. a record has its id and the SHA-256 of the whole key, compared in constant time;
4. it is neither revoked nor expired.

Whatever was wrong, the peer is told ``key.invalid``; which part it was, is told to the log alone.

The principal's ``id`` is the key's owner; for a key without one, ``key:`` and the id of the first key of its line,
which rotation keeps, so that quotas by principal go on. No owner's name may begin so: nobody is named like another's
key. ``token_id`` is the key's own id, ``claims`` its metadata.

A key may have a quota of its own, which its line shares: whoever rotates a key does not get another. Limits count it.

What was checked is remembered. Each request asks the store for one number, whether anything changed; so a revocation
holds for all workers of the host from their next request on.

It does not know who may make keys: guard your own view for that with ``require``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from blinker import NamedSignal
from flask import Flask, current_app, has_request_context

from ._native import Clock, KeyBook, KeyCandidate, Quota, VerifiedKey
from .config import Settings
from .errors import ConfigError, Denied, RampartError
from .exchange import SCOPE, Exchange, Principal
from .guards import current_exchange
from .refusals import Challenge
from .signals import api_key_created, api_key_revoked, api_key_rotated, emit
from .stores import Record, Records, StoreError

KIND = "api_key"
USES = "api_key.use"
_LONGEST = 10 * 366 * 86400
_KEEP = 90 * 86400
_KEEP_USES = 400 * 86400
_NOTE_EVERY = 60
_ROUNDS = 8
_MOST_TEXT = 256
_MOST_METADATA = 8192
_MOST_TERMS = 16_384
#: What the principal of a key without an owner is named by.
UNOWNED = "key:"

Duration = float | timedelta


@dataclass(frozen=True)
class KeyInfo:
    """What is known of a key; nothing in it is secret. Times are seconds since 1970-01-01 UTC."""

    id: str
    name: str
    owner: str | None
    scopes: frozenset[str]
    roles: frozenset[str]
    claims: dict[str, Any] = field(repr=False)
    created: float
    expires: float | None
    """From then on it is refused; None for never."""
    revoked: float | None
    """When it was taken back."""
    line: str
    """The id of the key that this one descends from by rotation; its own, if it was created."""
    successor: str | None
    """The id of the key that takes its place."""
    last_used: float | None = None
    """At most a minute, or a crash, behind."""
    quota: str | None = None
    """How often its line may be used, whichever view it calls; None for what the views say alone."""

    def state(self, now: float) -> str:
        """``"active"``, ``"rotated"`` (works until it expires), ``"expired"`` or ``"revoked"``."""
        if self.revoked is not None:
            return "revoked"
        if self.expires is not None and now >= self.expires:
            return "expired"
        return "rotated" if self.successor else "active"


class NewKey:
    """A key that was just made: the only time that it can be read."""

    __slots__ = ("_key", "info")

    def __init__(self, key: str, info: KeyInfo) -> None:
        self._key = key
        self.info = info

    @property
    def id(self) -> str:
        """Its public name."""
        return self.info.id

    @property
    def key(self) -> str:
        """The key itself. Give it to its owner; it is kept nowhere."""
        return self._key

    def __repr__(self) -> str:
        return f"<NewKey {self.info.id!r}: read it once, at .key>"

    def __reduce__(self) -> Any:
        raise TypeError("a new key cannot be pickled or copied")


class ApiKeys:
    """Makes and verifies an app's API keys; ``rampart.api_keys``."""

    challenge = Challenge("ApiKey")

    def __init__(self, settings: Settings, clock: Clock, records: Records, app: Flask | None = None) -> None:
        self._app = app
        self._clock = clock
        self._records = records
        try:
            self._book = KeyBook(settings.api_key_prefix, settings.api_key_environment, clock)
        except ValueError as error:
            raise ConfigError(f"RAMPART_API_KEY_PREFIX: {error}") from None
        self._at = 0
        # What never changes of a key: so it is remembered without asking whether it still holds.
        self._terms: dict[str, tuple[str, str | None]] = {}

    def create(
        self,
        name: str,
        *,
        owner: str | None = None,
        scopes: str | Iterable[str] = (),
        roles: str | Iterable[str] = (),
        lifetime: Duration | None = None,
        claims: Mapping[str, Any] | None = None,
        quota: str | None = None,
    ) -> NewKey:
        """Makes a key.

        :param name: what it is for, for people; 1 to 256 characters.
        :param owner: whom it speaks for; becomes ``current_principal.id``. It does not begin with ``key:``.
        :param scopes: what it may be used for (RFC 6749 section 3.3), as ``"a b"`` or a list.
        :param roles: what its holder is, as a list, or one.
        :param lifetime: seconds until it expires, or a ``timedelta``; None for never.
        :param claims: metadata, as JSON of at most 8 KiB; becomes ``current_principal.claims``.
        :param quota: how often it may be used, all views together, such as ``"1000/hour"``; beside what they say.
        :raises ValueError: for what cannot be used.
        :raises StoreError: if it cannot be written.
        """
        now = self._clock.now()
        record = {
            "name": _text("name", name),
            "owner": None if owner is None else _owner(owner),
            "scopes": _scopes(scopes),
            "roles": _roles(roles),
            "claims": _metadata(claims),
            "quota": None if quota is None else _quota(quota),
            "expires": None if lifetime is None else now + _seconds("lifetime", lifetime, least=1),
        }
        new = self._insert(record, now)
        self._records.tidy(now)
        self._tell(api_key_created, key=new.info)
        return new

    def rotate(self, key_id: str, *, overlap: Duration, lifetime: Duration | None = None) -> NewKey:
        """Makes a key with the same name, owner, rights, metadata and quota; the old one works for *overlap* longer.

        :param overlap: seconds, or a ``timedelta``; 0 ends the old one at once. It never prolongs it.
        :param lifetime: of the new key; the old one's own length if not given.
        :raises LookupError: if there is no such key.
        :raises ValueError: if it is revoked, expired, or was rotated before (rotate its successor).
        """
        seconds = _seconds("overlap", overlap, least=0)
        store = self._records.store
        now = self._clock.now()
        found, old = self._read(key_id)
        if old["successor"] is not None:
            raise ValueError(f"{key_id} was rotated before; rotate its successor {old['successor']}")
        if (state := _info(found).state(now)) != "active":
            raise ValueError(f"{key_id} is {state}; create a new key")
        span = None if lifetime is None else _seconds("lifetime", lifetime, least=1)
        if span is None and old["expires"] is not None:
            span = old["expires"] - old["created"]
        copied = {name: old.get(name) for name in ("name", "owner", "scopes", "roles", "claims", "quota")}
        # The new one first: killed between the two, this leaves a key that nobody has ever seen.
        new = self._insert({**copied, "expires": None if span is None else now + span, "line": old["line"]}, now)
        ends = now + seconds if old["expires"] is None else min(old["expires"], now + seconds)
        ended = {**old, "expires": ends, "successor": new.id}
        if not self._replace(found, ended):
            store.delete(KIND, new.id)
            raise ValueError(f"{key_id} was changed by somebody else just now; look at it again")
        self._tell(api_key_rotated, key=_info(_changed(found, ended)), successor=new.info)
        return new

    def revoke(self, key_id: str) -> bool:
        """Takes a key back: refused by all workers of the host from their next request on.

        It stays in the list, and cannot be given again. False if it was revoked before.

        :raises LookupError: if there is no such key.
        :raises StoreError: if it cannot be written: the key then still works.
        """
        for _ in range(_ROUNDS):
            found, record = self._read(key_id)
            if record["revoked"] is not None:
                return False
            ended = {**record, "revoked": self._clock.now()}
            if self._replace(found, ended):
                self._tell(api_key_revoked, key=_info(_changed(found, ended)))
                return True
        raise RampartError(f"{key_id} is being changed by others without end; it is not revoked")

    def info(self, key_id: str) -> KeyInfo:
        """What is known of one key, but for when it was last used.

        :raises LookupError: if there is no such key.
        """
        return _info(self._read(key_id)[0])

    def list(self, owner: str | None = None) -> list[KeyInfo]:
        """All keys, or those of *owner*, oldest first. Keys over 90 days past their end are dropped in time."""
        store = self._records.store
        used = {record.key: record.value for record in self._all(USES)} if owner is None else None
        found = []
        for record in self._all(KIND, owner):
            if used is not None:
                value = used.get(record.key)
            else:
                use = store.get(USES, record.key)
                value = use.value if use else None
            found.append(_info(record, value))
        return sorted(found, key=lambda info: (info.created, info.id))

    def now(self) -> float:
        """What time it is for these keys, in seconds since 1970-01-01 UTC."""
        return self._clock.now()

    def verify(self, key: str) -> Principal:
        """Whom *key* speaks for.

        :raises Denied: ``key.invalid``.
        """
        found = self._settle(lambda sequence: self._book.judge(key, sequence))
        if isinstance(found, Denied):
            raise found
        if found is None:
            raise self.challenge.refused(("key.invalid", "form"))
        return found

    def authenticate(self, exchange: Exchange) -> Principal | Denied | None:
        """The holder of the request's key; None if it carries none. See the rules above."""
        environ = exchange.environ
        if "HTTP_X_API_KEY" not in environ and "HTTP_AUTHORIZATION" not in environ:
            return None
        book = self._book
        return self._settle(lambda sequence: book.authenticate(environ, sequence))

    def carries(self, exchange: Exchange) -> bool:
        """Whether the request carries an API key, right or wrong."""
        environ = exchange.environ
        if "HTTP_X_API_KEY" not in environ and "HTTP_AUTHORIZATION" not in environ:
            return False
        return self._book.carries(environ)

    def terms(self, key_id: str) -> tuple[str, str | None]:
        """Of a key that was checked: the id of the first key of its line, and its quota.

        :raises Denied: ``key.invalid``, if it was dropped meanwhile.
        """
        found = self._terms.get(key_id)
        if found is None:
            record = self._records.store.get(KIND, key_id)
            if record is None:
                raise self.challenge.refused(("key.invalid", "unknown"))
            found = self._learn(key_id, json.loads(record.value))
        return found

    def _learn(self, key_id: str, record: dict[str, Any]) -> tuple[str, str | None]:
        if len(self._terms) >= _MOST_TERMS:
            self._terms.clear()
        found = self._terms[key_id] = (record["line"], record.get("quota"))
        return found

    def _settle(self, look: Callable[[int], Any]) -> Principal | Denied | None:
        book = self._book
        for _ in range(_ROUNDS):
            at = self._at
            found = look(at)
            if found is None:
                return None
            # What no state of the store could make right is refused without asking it.
            if type(found) is tuple:
                return self.challenge.refused(found)
            if type(found) is int:
                self._at = found
                continue
            store = self._records.store
            if store.sequence(KIND) != at:
                sequence, changed = store.changes(KIND, at)
                book.advance(at, sequence, None if changed is None else list(changed))
                self._at = sequence
                continue
            # Nothing had changed after the book was read, so what it said holds.
            if type(found) is KeyCandidate:
                found = self._ask(found, at)
                if isinstance(found, Denied):
                    return found
            if found.due:
                self._note(found.token_id)
            verified: VerifiedKey = found
            return verified
        raise RampartError("API keys change faster than they can be read; the request is refused")

    def _ask(self, candidate: KeyCandidate, at: int) -> VerifiedKey | Denied:
        found = self._records.store.get(KIND, candidate.id)
        if found is None:
            return self.challenge.refused(("key.invalid", "unknown"))
        record = json.loads(found.value)
        verdict = self._book.admit(
            candidate,
            at,
            digest=bytes.fromhex(record["sha256"]),
            principal=record["owner"] or UNOWNED + record["line"],
            scopes=record["scopes"],
            roles=record["roles"],
            claims=json.dumps(record["claims"]),
            expires=record["expires"],
            revoked=record["revoked"] is not None,
        )
        if isinstance(verdict, tuple):
            return self.challenge.refused(verdict)
        self._learn(candidate.id, record)
        return verdict

    def _note(self, key_id: str) -> None:
        """Once a minute for each key and worker; what another worker noted in that minute stands."""
        store, now = self._records.store, int(self._clock.now())
        try:
            use = store.get(USES, key_id)
            if use is None or now - int(use.value) >= _NOTE_EVERY:
                store.note(USES, key_id, str(now).encode(), expires=now + _KEEP_USES)
        except StoreError:
            return  # a remark is not worth a refusal

    def _insert(self, record: dict[str, Any], now: float) -> NewKey:
        for _ in range(_ROUNDS):
            key, key_id, digest = self._book.new_key()
            full = {
                "line": key_id,
                **record,
                "sha256": digest.hex(),
                "created": now,
                "revoked": None,
                "successor": None,
            }
            value = json.dumps(full, allow_nan=False, separators=(",", ":")).encode()
            if self._records.store.insert(KIND, key_id, value, group=full["owner"] or "", expires=_dropped(full)):
                return NewKey(key, _info(Record(key_id, value, 0)))
        raise RampartError("the ids that were drawn are all taken: the system's random bytes are not random")

    def _replace(self, found: Record, record: dict[str, Any]) -> bool:
        value = json.dumps(record, allow_nan=False, separators=(",", ":")).encode()
        return self._records.store.replace(
            KIND, found.key, value, found.version, group=found.group, expires=_dropped(record)
        )

    def _tell(self, signal: NamedSignal, **facts: Any) -> None:
        """Sends a signal, after what it tells was written."""
        app = self._app
        if not signal.receivers or app is None:
            return
        ours = has_request_context() and current_app._get_current_object() is app  # type: ignore[attr-defined]
        emit(signal, app, exchange=current_exchange() if ours else None, **facts)

    def _read(self, key_id: str) -> tuple[Record, dict[str, Any]]:
        found = self._records.store.get(KIND, key_id) if isinstance(key_id, str) else None
        if found is None:
            # Not quoted: somebody may have given the key itself.
            raise LookupError("there is no key with this id: an id is the 12 characters that the list shows")
        return found, json.loads(found.value)

    def _all(self, kind: str, group: str | None = None) -> Iterator[Record]:
        after = ""
        while page := self._records.store.scan(kind, group=group, after=after, limit=500):
            yield from page
            after = page[-1].key


def _info(found: Record, used: bytes | None = None) -> KeyInfo:
    record = json.loads(found.value)
    return KeyInfo(
        id=found.key,
        name=record["name"],
        owner=record["owner"],
        scopes=frozenset(record["scopes"]),
        roles=frozenset(record["roles"]),
        claims=record["claims"],
        created=record["created"],
        expires=record["expires"],
        revoked=record["revoked"],
        line=record["line"],
        successor=record["successor"],
        last_used=None if used is None else float(used),
        quota=record.get("quota"),
    )


def _changed(found: Record, record: dict[str, Any]) -> Record:
    return Record(found.key, json.dumps(record).encode(), found.version)


def _dropped(record: dict[str, Any]) -> float | None:
    """When a sweep may drop it: what was revoked or has expired stays readable for a while."""
    end: float | None = record["revoked"] if record["revoked"] is not None else record["expires"]
    return None if end is None else end + _KEEP


def _text(what: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _MOST_TEXT or not value.isprintable():
        raise ValueError(f"a key's {what} is a printable text of 1 to {_MOST_TEXT} characters")
    return value


def _owner(value: Any) -> str:
    owner = _text("owner", value)
    if owner.startswith(UNOWNED):
        raise ValueError(f"a key's owner does not begin with {UNOWNED!r}: so keys without an owner are named")
    return owner


def _quota(value: Any) -> str:
    try:
        quotas = Quota.parse(_text("quota", value))
    except ValueError as error:
        raise ValueError(f"a key's quota cannot be read: {error}") from None
    for quota in quotas:
        if quota.rule == "concurrent":
            raise ValueError(
                f"a key's quota cannot be {quota.text!r}: it counts what a key has begun, not what is in progress. Put "
                f"@limit({quota.text!r}, by='api_key') above the views"
            )
        if quota.zone is not None and not _is_zone(quota.zone):
            raise ValueError(f"a key's quota cannot be {quota.text!r}: this system knows no time zone {quota.zone!r}")
    return "; ".join(quota.text for quota in quotas)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _scopes(given: str | Iterable[str]) -> list[str]:
    words = given.split() if isinstance(given, str) else list(dict.fromkeys(given))
    if not all(isinstance(word, str) and SCOPE.fullmatch(word) for word in words):
        raise ValueError("a scope is printable characters but space, quote and backslash (RFC 6749 section 3.3)")
    return words


def _roles(given: str | Iterable[str]) -> list[str]:
    return [_text("role", name) for name in ((given,) if isinstance(given, str) else given)]


def _metadata(claims: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        text = json.dumps(dict(claims or {}), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("a key's claims are a dict that JSON can hold") from None
    if len(text) > _MOST_METADATA:
        raise ValueError(f"a key's claims are at most {_MOST_METADATA} characters of JSON")
    found: dict[str, Any] = json.loads(text)
    return found


def _seconds(what: str, value: Duration, *, least: int) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not least <= seconds <= _LONGEST:
        raise ValueError(f"{what} is {least} second or more, and ten years at most; or a timedelta")
    return float(seconds)
