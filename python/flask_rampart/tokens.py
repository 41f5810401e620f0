"""Tokens: keys from settings, bearer credentials, and tokens of our own.

A request is somebody's when, in this order:

1. it has one ``Authorization`` field with the scheme ``Bearer``, in any case (RFC 9110, RFC 6750 section 2.1);
   two fields, or a second token in the query, are refused as ambiguous (RFC 6750 section 2);
2. the native verifier accepts the token: length, form, key, algorithm, signature, claims, times
   (RFC 7515, RFC 7519, RFC 8725; the rules stand in ``src/tokens``).

A token is refused as ``token.expired`` only after its signature held; everything else is
``token.invalid``, and which part was wrong is told to the log alone.

It does not fetch keys, and does not know revocation.

Deployment: the clocks of the machines that issue and verify may differ by ``RAMPART_JWT_LEEWAY``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from ._native import Clock, Key, TokenRejected, VerifiedToken, Verifier
from .config import Settings, nearest
from .errors import ConfigError, Denied
from .exchange import Exchange, Principal

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
_INVALID = 'Bearer realm="api", error="invalid_token"'
_AMBIGUOUS = 'Bearer realm="api", error="invalid_request"'
_RESERVED = frozenset(("iss", "sub", "aud", "exp", "nbf", "iat", "jti"))
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")  # RFC 6749 section 3.3


class TokenPrincipal:
    """Whoever a verified token speaks for."""

    __slots__ = ("_token", "id")
    kind = "jwt"

    def __init__(self, token: VerifiedToken) -> None:
        self._token = token
        #: ``sub``; a token without it is known by its issuer.
        self.id: str = token.subject or f"issuer:{token.issuer}"

    @property
    def scopes(self) -> frozenset[str]:
        """Scopes that the token was given."""
        return self._token.scopes

    @property
    def roles(self) -> frozenset[str]:
        """Roles of its subject."""
        return self._token.roles

    @property
    def claims(self) -> dict[str, Any]:
        """All claims, a fresh dict each time."""
        return self._token.claims()

    @property
    def issuer(self) -> str | None:
        """``iss``."""
        return self._token.issuer

    @property
    def token_id(self) -> str | None:
        """``jti``."""
        return self._token.token_id

    def __repr__(self) -> str:
        return f"<TokenPrincipal {self.id!r}>"


class Tokens:
    """Issues and verifies an app's tokens; ``rampart.tokens``."""

    challenge = "Bearer"

    def __init__(self, settings: Settings, clock: Clock, root: str) -> None:
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

        :raises Denied: ``token.expired`` or ``token.invalid``.
        """
        try:
            return TokenPrincipal(self._verifier.verify(token))
        except TokenRejected as rejected:
            raise _denied(rejected) from None

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
        if not subject:
            raise ValueError("a token needs a subject that is not empty")
        settings = self._settings
        seconds = lifetime.total_seconds() if isinstance(lifetime, timedelta) else lifetime
        now = int(self._clock.now())
        expires = now + (settings.jwt_lifetime if seconds is None else int(seconds))
        if expires <= now:
            raise ValueError("a lifetime is at least one second")
        payload: dict[str, Any] = {
            "sub": subject,
            "iat": now,
            "nbf": now,
            "exp": expires,
            "jti": uuid4().hex,
        }
        if settings.jwt_issuer:
            payload["iss"] = settings.jwt_issuer
        if settings.jwt_audience:
            payload["aud"] = settings.jwt_audience[0]
        words = list(dict.fromkeys((scopes,) if isinstance(scopes, str) else scopes))
        words = [word for text in words for word in text.split(" ")] if isinstance(scopes, str) else words
        for word in words:
            if not _SCOPE.fullmatch(word):
                raise ValueError(f"{word!r} is not a scope: printable characters but space, quote and backslash")
        _put(payload, settings.jwt_scopes_claim[0], " ".join(words) if words else None)
        _put(payload, settings.jwt_roles_claim[0], [roles] if isinstance(roles, str) else list(roles))
        for name, value in (claims or {}).items():
            if name in _RESERVED or name in payload:
                raise ValueError(f"{name!r} is set by issue() itself; it cannot be among claims")
            payload[name] = value
        return self._signer.sign(json.dumps(payload, allow_nan=False, separators=(",", ":")))

    def authenticate(self, exchange: Exchange) -> Principal | Denied | None:
        """The bearer of the request's token; None if it carries none. See the rules above."""
        environ = exchange.environ
        header: str | None = environ.get("HTTP_AUTHORIZATION")
        if header is None or header[:7].lower() != "bearer ":
            return None
        token = header[7:].strip(" ")
        if not token:
            return None
        # Servers join repeated fields by a comma, which no token contains.
        if "," in token or "access_token=" in environ.get("QUERY_STRING", ""):
            return Denied.of("auth.ambiguous", reason="two credentials", headers=(("WWW-Authenticate", _AMBIGUOUS),))
        try:
            return TokenPrincipal(self._verifier.verify(token))
        except TokenRejected as rejected:
            return _denied(rejected)


def _denied(rejected: TokenRejected) -> Denied:
    return Denied.of(rejected.code, reason=rejected.reason, headers=(("WWW-Authenticate", _INVALID),))


def _put(payload: dict[str, Any], path: str, value: Any) -> None:
    """Sets a claim that may be nested: ``realm_access.roles``."""
    if not value:
        return
    *parents, name = path.split(".")
    for parent in parents:
        payload = payload.setdefault(parent, {})
    payload[name] = value


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
        return make(material, alg, kid, verify_only=_flag(where, spec))
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
