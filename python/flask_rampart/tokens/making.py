"""What a token of ours says, and its signature.

What is asked for is checked before anything is signed, and what was signed is verified by the app's own rules before it
is handed out: a token that its own app would refuse, or read otherwise, is the developer's error.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from .._native import Clock, Key, VerifiedToken
from ..config import Settings
from ..errors import ConfigError, Denied
from ..exchange import SCOPE
from .families import REFRESH_TYPE, Invalid, Members
from .pair import TokenPair
from .revocations import Revocations, subject_mark

_RESERVED = frozenset(
    ("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "cnf", "act", "sid", "gen", "fresh", "csrf", "type")
)
_LONGEST = 10 * 366 * 86400
REFRESH_AUDIENCE = "urn:ietf:params:oauth:token-type:refresh_token"
"""For whom refresh tokens are; the name is that of RFC 8693 section 3."""

Words = str | Iterable[str]
Duration = float | timedelta


class Maker:
    """Makes one app's tokens.

    :param judge: the app's own verdict on an access token.
    :param revocations: what was revoked; None if nothing can be.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        signer: Key | None,
        judge: Callable[[str], VerifiedToken | Denied],
        revocations: Revocations | None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._signer = signer
        self._judge = judge
        self._revocations = revocations

    def wanted(
        self,
        subject: str | int,
        scopes: Words,
        roles: Words,
        lifetime: Duration | None,
        claims: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        """What a token is asked to say, checked; the lifetime stays None if it was not given."""
        if self._signer is None:
            raise ConfigError("RAMPART_JWT_KEYS has no key that can sign: each is public or verify_only.")
        if isinstance(subject, int) and not isinstance(subject, bool):
            subject = str(subject)  # numbers of rows are the usual names of users; `sub` is a text (RFC 7519)
        if not isinstance(subject, str) or not subject:
            raise ValueError("a token needs a subject: a text that is not empty, or a whole number")
        settings = self._settings
        seconds = lifetime.total_seconds() if isinstance(lifetime, timedelta) else lifetime
        if seconds is not None and not 1 <= seconds <= _LONGEST:
            raise ValueError("a lifetime is one second at least and ten years at most")
        words = scopes.split() if isinstance(scopes, str) else list(dict.fromkeys(scopes))
        for word in words:
            if not isinstance(word, str) or not SCOPE.fullmatch(word):
                raise ValueError(f"{word!r} is not a scope: printable characters but space, quote and backslash")
        names = [roles] if isinstance(roles, str) else list(roles)
        if not all(isinstance(name, str) and name for name in names):
            raise ValueError("a role is a text that is not empty")
        paths = (*settings.jwt_scopes_claim, *settings.jwt_roles_claim)
        read = set(paths) | {_steps(path)[0] for path in paths}
        for name in claims or {}:
            # Whatever the verifier would read as a scope, a role or a registered claim is given by its own argument.
            if name in _RESERVED or name in read:
                raise ValueError(f"{name!r} is not for claims=: it has an argument of its own, or is set by issue()")
        return {
            "subject": subject,
            "scopes": words,
            "roles": names,
            "claims": dict(claims or {}),
            "lifetime": None if seconds is None else int(seconds),
        }

    def single(self, wanted: Mapping[str, Any], *, fresh: bool) -> str:
        """An access token that belongs to no login."""
        settings = self._settings
        now = int(self._clock.now())
        lifetime = settings.jwt_lifetime if wanted["lifetime"] is None else wanted["lifetime"]
        more: dict[str, Any] = {"fresh": True, "auth_time": now} if fresh else {}
        if "cookie" in settings.jwt_locations:
            more["csrf"] = uuid4().hex
        if self._revocations is not None:
            more["gen"] = self._revocations.generation(subject_mark(wanted["subject"]))
        return self._access(wanted, now, now + lifetime, more)

    def pair(self, family: str, record: Members) -> TokenPair:
        """The newest refresh token of a family, with an access token beside it.

        :raises Invalid: if the family was revoked meanwhile.
        """
        now = int(self._clock.now())
        wanted = {**record, "subject": record["sub"]}
        more = {"sid": family, "gen": record["gen"], "auth_time": record["began"], "csrf": record["csrf"]}
        expires = min(now + record.lifetime(self._settings), record["latest"])
        access = self._access(wanted, now, expires, {**more, "fresh": record["fresh"]})
        payload = {**self._base(record["sub"], record["issued"], record["expires"]), **more}
        # For nobody but us: others that verify by our keys may not look at the type.
        refresh = self._sign({**payload, "jti": record["current"], "aud": REFRESH_AUDIENCE}, REFRESH_TYPE)
        return TokenPair(
            access=access,
            refresh=refresh,
            expires_in=expires - now,
            refresh_expires_in=record["expires"] - now,
            scopes=frozenset(record["scopes"]),
            family=family,
            csrf=record["csrf"],
        )

    def _base(self, subject: str, issued: int, expires: int) -> dict[str, Any]:
        payload: dict[str, Any] = {"sub": subject, "iat": issued, "nbf": issued, "exp": expires, "jti": uuid4().hex}
        if self._settings.jwt_issuer:
            payload["iss"] = self._settings.jwt_issuer
        if self._settings.jwt_audience:
            payload["aud"] = self._settings.jwt_audience[0]
        return payload

    def _access(self, wanted: Mapping[str, Any], issued: int, expires: int, more: Mapping[str, Any]) -> str:
        settings = self._settings
        payload = {**self._base(wanted["subject"], issued, expires), **wanted["claims"], **more}
        put_claim(payload, settings.jwt_scopes_claim[0], " ".join(wanted["scopes"]))
        put_claim(payload, settings.jwt_roles_claim[0], list(wanted["roles"]))
        token = self._sign(payload, settings.jwt_types[0])
        # A token that its own app would refuse, or read otherwise, is never handed out.
        principal = self._judge(token)
        if isinstance(principal, Denied):
            if principal.reason == "revoked":
                raise Invalid("revoked")
            raise ValueError(f"this app's settings would refuse the token ({principal.reason})")
        if (principal.scopes, principal.roles) != (frozenset(wanted["scopes"]), frozenset(wanted["roles"])):
            raise ConfigError("RAMPART_JWT_SCOPES_CLAIM and RAMPART_JWT_ROLES_CLAIM overlap: each needs its own place.")
        return token

    def _sign(self, payload: Mapping[str, Any], typ: str) -> str:
        if self._signer is None:  # _wanted has asked; a record may come from another time
            raise ConfigError("RAMPART_JWT_KEYS has no key that can sign: each is public or verify_only.")
        return self._signer.sign(json.dumps(payload, allow_nan=False, separators=(",", ":")), typ)


def _steps(path: str) -> list[str]:
    """A claim's place as names: a dot descends, or a JSON Pointer (RFC 6901) says it."""
    if path.startswith("/"):
        return [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")]
    return path.split(".")


def id_of(token: str) -> str:
    """The ``jti`` of a token that we have just made."""
    payload = token.split(".")[1]
    found: str = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"]
    return found


def put_claim(payload: dict[str, Any], path: str, value: Any) -> None:
    """Sets a claim that may be nested."""
    if not value:
        return
    *parents, name = _steps(path)
    for parent in parents:
        payload = payload.setdefault(parent, {})
        if not isinstance(payload, dict):
            raise ConfigError(f"{path!r} descends into a claim that is no object.")
    payload[name] = value
