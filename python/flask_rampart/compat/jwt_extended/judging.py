"""Judges a token by the app's rules, and words what is wrong with it as PyJWT does.

The native verifier decides. Nothing here admits what it refused, with two exceptions that it vouches for: it says
``token.expired`` only of a token of which all else holds but who sent it, so that claims may be read then; and it says
``audience`` only of one whose signature holds.

What is read of a token before that (for a ``decode_key_loader``) is whatever its sender wrote.
"""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode
from functools import lru_cache
from hmac import compare_digest
from typing import Any, NamedTuple

from ...tokens import VerifiedToken, Verifier
from .config import Rules
from .exceptions import (
    CSRFError,
    DecodeError,
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAlgorithmError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidJTIError,
    InvalidSignatureError,
    InvalidSubjectError,
    InvalidTokenError,
    JWTDecodeError,
    MissingRequiredClaimError,
)
from .face import Face

MOST_BYTES = 16_384
"""What the verifier takes; nothing longer is decoded for a loader either."""


class Judged(NamedTuple):
    """A token that holds: what its header says, what it claims, and the proof, unless it has expired."""

    header: dict[str, Any]
    claims: dict[str, Any]
    token: VerifiedToken | None


def judge(
    face: Face, rules: Rules, encoded: Any, csrf_value: str | None = None, *, allow_expired: bool = False
) -> Judged:
    """What *encoded* says, if it holds.

    :param csrf_value: what its ``csrf`` claim has to be, if anything.
    :raises InvalidTokenError: or one of its kin.
    :raises JWTDecodeError: if a claim that the app needs is not there.
    :raises CSRFError: if ``csrf`` is another.
    """
    encoded = _text(encoded)
    loader = face.manager.own_decode_key
    if loader is None:
        verifiers = face.verifiers(rules)
    else:
        header, claims = unverified(encoded)
        verifiers = face.verifiers_by(loader(header, claims), rules)
    verdict = _verdict(verifiers, encoded)
    if isinstance(verdict, VerifiedToken):
        return Judged(_header_of(encoded), _complete(face, rules, verdict.claims, csrf_value), verdict)
    if verdict[0] != "token.expired":
        raise _fault(verdict[1], encoded, rules)
    claims = _decoded(encoded, 1, "payload")
    if "cnf" in claims:
        # Times are looked at before who may send it.
        raise _fault("bound", encoded, rules)
    header, claims = _header_of(encoded), _complete(face, rules, claims, csrf_value)
    if not allow_expired:
        expired = ExpiredSignatureError("Signature has expired")
        expired.jwt_header, expired.jwt_data = header, claims
        raise expired
    return Judged(header, claims, None)


def unverified(encoded: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims as they were sent, whoever sent them."""
    encoded = _text(encoded)
    return unverified_header(encoded), _decoded(encoded, 1, "payload")


def unverified_header(encoded: Any) -> dict[str, Any]:
    """The header as it was sent."""
    header = _decoded(_text(encoded), 0, "header")
    if not isinstance(header.get("kid", ""), str):
        raise InvalidTokenError("Key ID header parameter must be a string")
    return header


def _verdict(verifiers: tuple[Verifier, ...], encoded: str) -> VerifiedToken | tuple[str, str]:
    verdict = verifiers[0].judge(encoded)
    if len(verifiers) > 1 and isinstance(verdict, tuple) and verdict[1] == "audience":
        return verifiers[1].judge(encoded)
    return verdict


def _complete(face: Face, rules: Rules, claims: dict[str, Any], csrf_value: str | None) -> dict[str, Any]:
    """The claims with those that older tokens lack, if they have what the app needs."""
    if rules.identity_claim not in claims:
        raise JWTDecodeError(f"Missing claim: {rules.identity_claim}")
    claims.setdefault("type", "access")
    claims.setdefault("fresh", False)
    claims.setdefault("jti", None)
    if "exp" not in claims and face.settings.jwt_require_exp:
        kind = "refresh" if claims["type"] == "refresh" else "access"
        if kind not in rules.endless:
            raise MissingRequiredClaimError("exp")
    if csrf_value:
        own = claims.get("csrf")
        if not isinstance(own, str):
            raise JWTDecodeError("Missing claim: csrf")
        # As bytes: a text that is not ASCII cannot be compared in constant time.
        if not compare_digest(own.encode(errors="replace"), csrf_value.encode(errors="replace")):
            raise CSRFError("CSRF double submit tokens do not match")
    return claims


def _fault(reason: str, encoded: str, rules: Rules) -> InvalidTokenError:
    """What is wrong, as PyJWT says it, and without a word of the token's."""
    made = _SIMPLE.get(reason)
    if made is not None:
        return made[0](made[1])
    # The signature holds, so what the token says is its issuer's word.
    claims = _decoded(encoded, 1, "payload") if reason in ("audience", "issuer", "claims") else {}
    if reason == "audience":
        if rules.names_audience and not claims.get("aud"):
            return MissingRequiredClaimError("aud")
        return InvalidAudienceError("Audience doesn't match")
    if reason == "issuer":
        return MissingRequiredClaimError("iss") if "iss" not in claims else InvalidIssuerError("Invalid issuer")
    if reason == "claims":
        if not isinstance(claims.get("sub", ""), str):
            return InvalidSubjectError("Subject must be a string")
        if not isinstance(claims.get("jti", ""), str):
            return InvalidJTIError("JWT ID must be a string")
        return DecodeError("Invalid payload: a claim is not of its type, or is there twice")
    return DecodeError("Invalid token")


_SIMPLE: dict[str, tuple[type[InvalidTokenError], str]] = {
    "algorithm": (InvalidAlgorithmError, "The specified alg value is not allowed"),
    "bound": (InvalidTokenError, "The token is bound to its sender, who showed nothing"),
    "critical": (InvalidTokenError, "Unsupported critical extension"),
    "encoding": (DecodeError, "Invalid padding"),
    "header": (DecodeError, "Invalid header"),
    "issued-in-future": (ImmatureSignatureError, "The token is not yet valid (iat)"),
    # Keys of a face have no names, and each another algorithm: none fits means that none is for this one.
    "key": (InvalidAlgorithmError, "The specified alg value is not allowed"),
    "length": (DecodeError, "The token is too long"),
    "not-yet-valid": (ImmatureSignatureError, "The token is not yet valid (nbf)"),
    "parts": (DecodeError, "Not enough segments"),
    "signature": (InvalidSignatureError, "Signature verification failed"),
    "type": (InvalidTokenError, "The token is of another type"),
}


def _text(encoded: Any) -> str:
    if isinstance(encoded, bytes):
        encoded = encoded.decode("utf-8", "replace")
    if not isinstance(encoded, str):
        raise DecodeError("Invalid token type. Token must be a <class 'bytes'>")
    return encoded


def _decoded(encoded: str, place: int, name: str) -> dict[str, Any]:
    """One part of a token, an object in JSON."""
    parts = encoded.split(".", 3)
    if len(encoded) > MOST_BYTES:
        raise DecodeError("The token is too long")
    if len(parts) != 3:
        raise DecodeError("Not enough segments")
    try:
        found = json.loads(urlsafe_b64decode(parts[place] + "=" * (-len(parts[place]) % 4)))
    except binascii.Error:
        raise DecodeError(f"Invalid {name} padding") from None
    except (ValueError, RecursionError):
        raise DecodeError(f"Invalid {name} string") from None
    if not isinstance(found, dict):
        raise DecodeError(f"Invalid {name} string: must be a json object")
    return found


def _header_of(encoded: str) -> dict[str, Any]:
    """The header of a token that holds: a fresh copy."""
    header, is_flat = _known_header(encoded.partition(".")[0])
    return dict(header) if is_flat else _decoded(encoded, 0, "header")


@lru_cache(maxsize=256)
def _known_header(segment: str) -> tuple[dict[str, Any], bool]:
    # An issuer writes few headers, so most are found here.
    header = _decoded(f"{segment}.e30.e30", 0, "header")
    return header, not any(isinstance(value, (dict, list)) for value in header.values())
