"""What a token of ours says, and its signature.

What is asked for is checked before anything is signed, and what was signed is verified by the app's own rules before it
is handed out: a token that its own app would refuse, or read otherwise, is the developer's error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from .._native import Clock, Key, Revoked, VerifiedToken
from ..config import Settings
from ..errors import ConfigError, Denied
from ..exchange import SCOPE
from .families import REFRESH_TYPE, Members
from .pair import TokenPair
from .revocations import subject_mark

_RESERVED = frozenset(
    ("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "cnf", "act", "sid", "fresh", "csrf", "type")
)
_LONGEST = 10 * 366 * 86400

Words = str | Iterable[str]
Duration = float | timedelta


class Maker:
    """Makes one app's tokens.

    :param judge: the app's own verdict on an access token.
    :param listed: what was revoked, as far as this process knows; None if nothing can be.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        signer: Key | None,
        judge: Callable[[str], VerifiedToken | Denied],
        listed: Revoked | None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._signer = signer
        self._judge = judge
        self._listed = listed

    def wanted(
        self,
        subject: str,
        scopes: Words,
        roles: Words,
        lifetime: Duration | None,
        claims: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        """What a token is asked to say, checked."""
        if self._signer is None:
            raise ConfigError("RAMPART_JWT_KEYS has no key that can sign: each is public or verify_only.")
        if not isinstance(subject, str) or not subject:
            raise ValueError("a token needs a subject: a text that is not empty")
        settings = self._settings
        seconds = lifetime.total_seconds() if isinstance(lifetime, timedelta) else lifetime
        if seconds is None:
            seconds = settings.jwt_lifetime
        if not 1 <= seconds <= _LONGEST:
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
            "lifetime": int(seconds),
        }

    def begin(self, subject: str) -> float:
        """Now in whole seconds; finer where the subject was revoked within this one, or by a clock ahead of ours."""
        now = self._clock.now()
        if self._listed is not None:
            moment = self._listed.moment(subject_mark(self._settings.jwt_issuer or "", subject))
            if moment is not None and int(now) < moment <= now + self._settings.jwt_leeway:
                return max(now, moment)
        return int(now)

    def _base(self, subject: str, issued: float, expires: float) -> dict[str, Any]:
        payload: dict[str, Any] = {
            "sub": subject,
            "iat": issued,
            "nbf": int(issued),
            "exp": int(expires),
            "jti": uuid4().hex,
        }
        if self._settings.jwt_issuer:
            payload["iss"] = self._settings.jwt_issuer
        if self._settings.jwt_audience:
            payload["aud"] = self._settings.jwt_audience[0]
        return payload

    def access(self, wanted: Mapping[str, Any], issued: float, expires: float, more: Mapping[str, Any]) -> str:
        settings = self._settings
        payload = {**self._base(wanted["subject"], issued, expires), **wanted["claims"], **more}
        put_claim(payload, settings.jwt_scopes_claim[0], " ".join(wanted["scopes"]))
        put_claim(payload, settings.jwt_roles_claim[0], list(wanted["roles"]))
        token = self._sign(payload, settings.jwt_types[0])
        # A token that its own app would refuse, or read otherwise, is never handed out.
        principal = self._judge(token)
        if isinstance(principal, Denied):
            raise ValueError(f"this app's settings would refuse the token ({principal.reason})")
        if (principal.scopes, principal.roles) != (frozenset(wanted["scopes"]), frozenset(wanted["roles"])):
            raise ConfigError("RAMPART_JWT_SCOPES_CLAIM and RAMPART_JWT_ROLES_CLAIM overlap: each needs its own place.")
        return token

    def pair(self, family: str, record: Members) -> TokenPair:
        """The newest member of a family, with an access token beside it."""
        now = self._clock.now()
        wanted = {**record, "subject": record["sub"]}
        expires = min(now + record["lifetime"], record["latest"])
        more = {"sid": family, "auth_time": record["began"], "csrf": record["csrf"]}
        issued = max(int(now), record["began"])
        access = self.access(wanted, issued, expires, {**more, "fresh": record["fresh"]})
        payload = self._base(record["sub"], record["issued"], record["expires"])
        refresh = self._sign({**payload, **more, "jti": record["current"]}, REFRESH_TYPE)
        return TokenPair(
            access=access,
            refresh=refresh,
            expires_in=int(expires - now),
            refresh_expires_in=int(record["expires"] - now),
            scopes=frozenset(record["scopes"]),
            family=family,
            csrf=record["csrf"],
        )

    def _sign(self, payload: Mapping[str, Any], typ: str) -> str:
        if self._signer is None:  # _wanted has asked; a record may come from another time
            raise ConfigError("RAMPART_JWT_KEYS has no key that can sign: each is public or verify_only.")
        return self._signer.sign(json.dumps(payload, allow_nan=False, separators=(",", ":")), typ)


def _steps(path: str) -> list[str]:
    """A claim's place as names: a dot descends, or a JSON Pointer (RFC 6901) says it."""
    if path.startswith("/"):
        return [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")]
    return path.split(".")


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
