"""Makes tokens and keys: good ones by the service's own key, and forged ones as attackers make them.

A token (JWS, RFC 7515) is three parts with dots between them: a header that names the algorithm, the
claims, and a signature over both; each in base64url. An API key is a prefix, an id, a secret and a checksum.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import string
import time
import zlib
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER = "https://predict.example"
AUDIENCE = "predict-api"
KEY_ID = "predict-1"
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def new_key() -> rsa.RSAPrivateKey:
    """A fresh RSA key; 2048 bits are the least that RFC 7518 section 3.3 allows."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(key: rsa.RSAPrivateKey) -> bytes:
    """The key as the service reads it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> bytes:
    """The half of a key that everybody may know."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def claims(subject: str, scope: str = "predict", *, age: int = 0, **others: Any) -> dict[str, Any]:
    """Claims as the service writes them, for a token that was issued *age* seconds ago for 15 minutes."""
    issued = int(time.time()) - age
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "scope": scope,
        "iat": issued,
        "exp": issued + 900,
        "jti": uuid4().hex,
        **others,
    }


def rs256(key: rsa.RSAPrivateKey, payload: Mapping[str, Any], kid: str = KEY_ID, typ: str = "JWT") -> str:
    """A token as it should be: signed by a private key."""
    signed = _signing_input("RS256", payload, kid, typ)
    return f"{signed}.{base64url(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def es256(key: ec.EllipticCurvePrivateKey, kid: str, payload: Mapping[str, Any]) -> str:
    """An access token of another issuer (RFC 9068)."""
    signed = _signing_input("ES256", payload, kid, "at+jwt")
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    # Two numbers of 32 bytes (RFC 7518 section 3.4), where the library writes ASN.1.
    return f"{signed}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def unsigned(algorithm: str, payload: Mapping[str, Any]) -> str:
    """``alg: none``: a token that asks to be believed without a signature (CVE-2015-9235)."""
    return f"{_signing_input(algorithm, payload)}."


def hs256_by_public_key(pem: bytes, payload: Mapping[str, Any], kid: str = KEY_ID, typ: str = "JWT") -> str:
    """Key confusion (CVE-2016-10555): says HS256, and takes the public key, which all may know, for the secret.

    A verifier that lets the token choose the algorithm computes the same HMAC, and believes it.
    """
    signed = _signing_input("HS256", payload, kid, typ)
    return f"{signed}.{base64url(hmac.new(pem, signed.encode(), hashlib.sha256).digest())}"


def tampered(token: str, **changes: Any) -> str:
    """A good token with other claims, under the signature of the old ones."""
    header, payload, signature = token.split(".")
    known = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return f"{header}.{_encode_json({**known, **changes})}.{signature}"


def mistyped(key: str) -> str:
    """An API key with one letter wrong."""
    return f"{key[:30]}{'x' if key[30] != 'x' else 'y'}{key[31:]}"


def other_secret(key: str) -> str:
    """An API key with a known id, a secret that was made up, and the checksum that belongs to it."""
    body = key[:20] + "".join(secrets.choice(BASE62) for _ in key[20:-6])
    rest, checksum = zlib.crc32(body.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        checksum = BASE62[digit] + checksum
    return body + checksum


def _signing_input(algorithm: str, payload: Mapping[str, Any], kid: str = KEY_ID, typ: str = "JWT") -> str:
    return f"{_encode_json({'alg': algorithm, 'typ': typ, 'kid': kid})}.{_encode_json(payload)}"


def _encode_json(value: Mapping[str, Any]) -> str:
    return base64url(json.dumps(value, separators=(",", ":")).encode())


def base64url(data: bytes) -> str:
    """Base64 for URLs, without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
