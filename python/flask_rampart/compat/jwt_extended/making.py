"""Makes tokens that say what Flask-JWT-Extended's say, claim by claim.

What the app's own verifier would refuse is the developer's error, here and not at the first request that uses it: an
identity that is no text, a registered claim of another type, a token without an end where such are refused.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from calendar import timegm
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

from flask import current_app
from flask.json.provider import DefaultJSONProvider

from ...errors import ConfigError
from .config import Rules, expires_of
from .face import Face
from .keys import bytes_of

_TIMES = ("exp", "iat", "nbf")
_BY_KEY = frozenset(("alg", "kid", "typ"))


def make(
    face: Face,
    identity: Any,
    kind: str,
    *,
    fresh: Any = False,
    expires_delta: Any = None,
    claims: Mapping[str, Any] | None = None,
    headers: Mapping[str, Any] | None = None,
) -> str:
    """A signed token of *kind*, ``"access"`` or ``"refresh"``.

    :raises ConfigError: for one that this app would refuse.
    """
    manager, rules, config = face.manager, face.rules(), current_app.config
    header = {**(manager.additional_headers(identity) or {}), **(headers or {})}
    more = {**(manager.additional_claims(identity) or {}), **(claims or {})}
    now = datetime.fromtimestamp(face.clock.now(), timezone.utc)
    payload: dict[str, Any] = {
        "fresh": (now + fresh).timestamp() if isinstance(fresh, timedelta) else fresh,
        "iat": now,
        "jti": str(uuid4()),
        "type": kind,
        rules.identity_claim: manager.identity(identity),
    }
    if config["JWT_ENCODE_NBF"]:
        payload["nbf"] = now
    if rules.csrf_protect:
        payload["csrf"] = str(uuid4())
    if config["JWT_ENCODE_AUDIENCE"]:
        payload["aud"] = config["JWT_ENCODE_AUDIENCE"]
    if config["JWT_ENCODE_ISSUER"]:
        payload["iss"] = config["JWT_ENCODE_ISSUER"]
    delta = expires_of(config, kind.upper()) if expires_delta is None else expires_delta
    if delta is not False:
        payload["exp"] = now + delta
    payload.update(more)
    _check(face, rules, payload, kind)
    for name in _TIMES:
        if isinstance(payload.get(name), datetime):
            payload[name] = timegm(payload[name].utctimetuple())
    return _signed(face, rules, payload, header, manager.encode_key(identity))


def _check(face: Face, rules: Rules, payload: Mapping[str, Any], kind: str) -> None:
    subject = payload.get("sub", "")
    if not isinstance(subject, str) and not (rules.numeric_subject and type(subject) is int):
        raise ConfigError(
            f"The identity of a token is a text (RFC 7519 section 4.1.2), not {type(subject).__name__}: pass "
            "str(user.id), or let a user_identity_loader return that. JWT_VERIFY_SUB = False takes whole numbers, too."
        )
    if "exp" not in payload and kind not in rules.endless and face.settings.jwt_require_exp:
        raise ConfigError(
            f"This {kind} token would have no end, and this app refuses such: set JWT_{kind.upper()}_TOKEN_EXPIRES "
            "= False, or RAMPART_JWT_REQUIRE_EXP = False."
        )


def _signed(face: Face, rules: Rules, payload: Mapping[str, Any], header: Mapping[str, Any], material: Any) -> str:
    default = getattr(current_app.json_provider_class, "default", DefaultJSONProvider.default)
    text = json.dumps(payload, separators=(",", ":"), default=default)
    algorithm = str(header.get("alg") or rules.algorithm)
    kid, typ = header.get("kid"), header.get("typ", "JWT")
    if kid is not None and not isinstance(kid, str):
        raise ConfigError("`kid` in a token's header is a text.")
    key = face.signer(material, rules, algorithm, kid)
    try:
        token = key.sign(text, str(typ or "JWT"), numeric_subject=rules.numeric_subject)
    except ValueError as error:
        raise ConfigError(f"This token cannot be signed: {error}.") from None
    if typ and header.keys() <= _BY_KEY:
        return token
    return _with_header(face, token, algorithm, {"alg": algorithm, "typ": typ, **header}, bytes_of(material))


def _with_header(face: Face, token: str, algorithm: str, header: dict[str, Any], secret: bytes) -> str:
    """The same claims under another header. Shared secrets alone: a private key is nowhere but in the core."""
    if not algorithm.startswith("HS"):
        raise ConfigError(f"A header has alg, kid and typ for {algorithm}; others are for HS256, HS384 and HS512.")
    if header.keys() & {"b64", "crit", "enc", "zip"}:
        raise ConfigError("A header has no b64, crit, enc or zip: this app would refuse the token.")
    if not header["typ"]:
        del header["typ"]
    try:
        head = json.dumps(header, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"A token's header is JSON: {error}.") from None
    signed = f"{_base64(head)}.{token.split('.')[1]}"
    digest = hmac.new(secret, signed.encode(), getattr(hashlib, f"sha{algorithm[2:]}")).digest()
    return f"{signed}.{_base64(digest)}"


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
