"""Tokens: keys from settings, bearer credentials, and tokens of our own.

A request is somebody's when, in this order:

1. it has one ``Authorization`` field with the scheme ``Bearer``, in any case (RFC 9110, RFC 6750 section 2.1);
   two fields, or a second token in the query, are refused as ambiguous (RFC 6750 section 2);
2. the native verifier accepts the token: length, form, key, algorithm, signature, claims, times
   (RFC 7515, RFC 7519, RFC 8725; the rules stand in ``src/tokens``).

A token that is bound to its sender (``cnf``, RFC 7800) is no bearer token: :mod:`.bound` says when it is taken.

A token is refused as ``token.expired`` only after its signature held; everything else is
``token.invalid``, and which part was wrong is told to the log alone.

It fetches no keys (tokens of others are for ``issuers``), and does not know revocation.

Deployment: the clocks of the machines that issue and verify may differ by ``RAMPART_JWT_LEEWAY``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from ._native import Clock, Key, VerifiedToken, Verifier, carries
from .bound import Binding
from .config import Settings, nearest
from .errors import ConfigError, Denied
from .exchange import SCOPE, Exchange, Principal
from .refusals import Challenge

ALGORITHMS = (
    "HS256",
    "HS384",
    "HS512",
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "EdDSA",
)
_RESERVED = frozenset(("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "cnf"))
_LONGEST = 10 * 366 * 86400


class Tokens:
    """Issues and verifies an app's tokens; ``rampart.tokens``."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        root: str,
        challenge: Challenge | None = None,
        binding: Binding | None = None,
    ) -> None:
        self._binding = binding
        self.challenge = challenge or Challenge("Bearer")
        self._settings = settings
        self._clock = clock
        keys = [_key(index, spec, root) for index, spec in enumerate(settings.jwt_keys)]
        self._signer = next((key for key in keys if key.can_sign), None)
        try:
            self._verifier = Verifier(
                keys,
                clock,
                issuers=(settings.jwt_issuer,) if settings.jwt_issuer else (),
                audiences=settings.jwt_audience,
                types=settings.jwt_types,
                leeway=settings.jwt_leeway,
                require_exp=settings.jwt_require_exp,
                scopes_claims=settings.jwt_scopes_claim,
                roles_claims=settings.jwt_roles_claim,
            )
        except ValueError as error:
            raise ConfigError(f"RAMPART_JWT_KEYS: {error}") from None

    def verify(self, token: str) -> Principal:
        """Whom *token* speaks for.

        :raises Denied: ``token.expired`` or ``token.invalid``; the latter also for a token that is bound to its sender
            (``cnf``), who is not here to show anything.
        """
        principal = self._principal(token)
        if isinstance(principal, Denied):
            raise principal
        return principal

    def issue(
        self,
        subject: str,
        *,
        scopes: Iterable[str] = (),
        roles: Iterable[str] = (),
        lifetime: float | timedelta | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """A signed access token for *subject*, as a compact JWS.

        :param subject: whom it speaks for; becomes ``sub`` and later ``current_principal.id``.
        :param scopes: what it may be used for, RFC 6749 section 3.3.
        :param roles: what the subject is.
        :param lifetime: seconds until it expires; ``RAMPART_JWT_LIFETIME`` if not given.
        :param claims: further claims, whose names are not registered ones.
        :raises ConfigError: if no key can sign.
        :raises ValueError: for an empty subject, a malformed scope or a registered claim.
        """
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
        now = int(self._clock.now())
        payload: dict[str, Any] = {
            "sub": subject,
            "iat": now,
            "nbf": now,
            "exp": now + int(seconds),
            "jti": uuid4().hex,
        }
        if settings.jwt_issuer:
            payload["iss"] = settings.jwt_issuer
        if settings.jwt_audience:
            payload["aud"] = settings.jwt_audience[0]
        words = tuple(scopes.split()) if isinstance(scopes, str) else tuple(dict.fromkeys(scopes))
        for word in words:
            if not isinstance(word, str) or not SCOPE.fullmatch(word):
                raise ValueError(f"{word!r} is not a scope: printable characters but space, quote and backslash")
        names = (roles,) if isinstance(roles, str) else tuple(roles)
        if not all(isinstance(name, str) and name for name in names):
            raise ValueError("a role is a text that is not empty")
        paths = (*settings.jwt_scopes_claim, *settings.jwt_roles_claim)
        read = set(paths) | {_steps(path)[0] for path in paths}
        for name, value in (claims or {}).items():
            # Whatever the verifier would read as a scope, a role or a registered claim is given by its own argument.
            if name in _RESERVED or name in read:
                raise ValueError(f"{name!r} is not for claims=: it has an argument of its own, or is set by issue()")
            payload[name] = value
        _put(payload, settings.jwt_scopes_claim[0], " ".join(words))
        _put(payload, settings.jwt_roles_claim[0], list(names))
        text = json.dumps(payload, allow_nan=False, separators=(",", ":"))
        token = self._signer.sign(text, settings.jwt_types[0])
        # A token that its own app would refuse, or read otherwise, is never handed out.
        principal = self._principal(token)
        if isinstance(principal, Denied):
            raise ValueError(f"this app's settings would refuse the token ({principal.reason})")
        if (principal.scopes, principal.roles) != (frozenset(words), frozenset(names)):
            raise ConfigError("RAMPART_JWT_SCOPES_CLAIM and RAMPART_JWT_ROLES_CLAIM overlap: each needs its own place.")
        return token

    def authenticate(self, exchange: Exchange) -> Principal | Denied | None:
        """The bearer of the request's token; None if it carries none. See the rules above."""
        if self._binding is not None:
            return self._binding.settle(self._binding.judge(self._verifier, exchange.environ), exchange)
        found = self._verifier.authenticate(exchange.environ)
        return self.challenge.refused(found) if isinstance(found, tuple) else found

    def carries(self, exchange: Exchange) -> bool:
        """Whether the request has a token, right or wrong."""
        if self._binding is not None:
            return self._binding.carries(exchange.environ)
        return carries(exchange.environ, "bearer")

    def _principal(self, token: str) -> VerifiedToken | Denied:
        found = self._verifier.judge(token)
        if isinstance(found, tuple):
            return self.challenge.refused(found)
        # Without a subject, all such tokens would be one principal.
        return found if found.id else self.challenge.refused(("token.invalid", "subject"))


def _steps(path: str) -> list[str]:
    """A claim's place as names: a dot descends, or a JSON Pointer (RFC 6901) says it."""
    if path.startswith("/"):
        return [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")]
    return path.split(".")


def _put(payload: dict[str, Any], path: str, value: Any) -> None:
    """Sets a claim that may be nested."""
    if not value:
        return
    *parents, name = _steps(path)
    for parent in parents:
        payload = payload.setdefault(parent, {})
        if not isinstance(payload, dict):
            raise ConfigError(f"{path!r} descends into a claim that is no object.")
    payload[name] = value


_LEAST_VARIETY = 10  # of 32 random bytes, fewer than 20 different ones are already beyond chance
_FIELDS = ("kid", "alg", "secret", "pem", "path", "verify_only")


def _key(index: int, spec: Mapping[str, Any], root: str) -> Key:
    """A native key from one entry of ``RAMPART_JWT_KEYS``. Errors never quote a value."""
    where = f"RAMPART_JWT_KEYS[{index}]"
    try:
        if "kty" in spec:
            jwk = {name: value for name, value in spec.items() if name != "verify_only"}
            return Key.from_jwk(json.dumps(jwk), verify_only=_flag(where, spec))
        for name in spec:
            if name not in _FIELDS:
                raise ConfigError(f"{where}: {name!r} is not a field of a key.{nearest(name, _FIELDS)}")
        alg, kid = spec.get("alg"), spec.get("kid")
        if alg not in ALGORITHMS:
            raise ConfigError(f"{where}: 'alg' must be one of {', '.join(ALGORITHMS)}.")
        if kid is not None and (not isinstance(kid, str) or not kid):
            raise ConfigError(f"{where}: 'kid' must be a text that is not empty.")
        sources = [name for name in ("secret", "pem", "path") if name in spec]
        if len(sources) != 1:
            raise ConfigError(f"{where} must have exactly one of 'secret', 'pem' and 'path'.")
        material = spec[sources[0]]
        if sources[0] == "path":
            material = _read(where, material, root)
        if isinstance(material, str):
            material = material.encode()
        if not isinstance(material, bytes):
            raise ConfigError(f"{where}: {sources[0]!r} must be a text or bytes, not {type(material).__name__}.")
        make = Key.from_secret if alg.startswith("HS") else Key.from_pem
        right = "secret" if alg.startswith("HS") else "pem"
        if sources[0] not in (right, "path"):
            raise ConfigError(f"{where}: {alg} takes a {right}.")
        key = make(material, alg, kid, verify_only=_flag(where, spec))
        if key.symmetric and len(set(material)) < _LEAST_VARIETY:
            raise ConfigError(f"{where}: the secret has too few different bytes to be random.")
        return key
    except ConfigError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from None


def _flag(where: str, spec: Mapping[str, Any]) -> bool:
    flag = spec.get("verify_only", False)
    if not isinstance(flag, bool):
        raise ConfigError(f"{where}: 'verify_only' must be True or False.")
    return flag


def _read(where: str, path: Any, root: str) -> bytes:
    if not isinstance(path, (str, Path)):
        raise ConfigError(f"{where}: 'path' must be a path, not {type(path).__name__}.")
    try:
        return (Path(root) / path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{where}: {path} cannot be read: {error.strerror}.") from None
