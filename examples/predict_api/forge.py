"""Makes tokens: good ones by the service's own key, and forged ones as attackers make them.

A token (JWS, RFC 7515) is three parts with dots between them: a header that names the algorithm, the
claims, and a signature over both; each in base64url.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ISSUER = "https://predict.example"
AUDIENCE = "predict-api"
KEY_ID = "predict-1"


def new_key() -> rsa.RSAPrivateKey:
    """A fresh RSA key; 2048 bits are the least that RFC 7518 section 3.3 allows."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(key: rsa.RSAPrivateKey) -> bytes:
    """The key as the service reads it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    """The half that everybody may know."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


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


def rs256(key: rsa.RSAPrivateKey, payload: Mapping[str, Any]) -> str:
    """A token as it should be: signed by a private key."""
    signed = _signing_input("RS256", payload)
    return f"{signed}.{_encode(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def unsigned(algorithm: str, payload: Mapping[str, Any]) -> str:
    """``alg: none``: a token that asks to be believed without a signature (CVE-2015-9235)."""
    return f"{_signing_input(algorithm, payload)}."


def hs256_by_public_key(pem: bytes, payload: Mapping[str, Any]) -> str:
    """Key confusion (CVE-2016-10555): says HS256, and takes the public key, which all may know, for the secret.

    A verifier that lets the token choose the algorithm computes the same HMAC, and believes it.
    """
    signed = _signing_input("HS256", payload)
    return f"{signed}.{_encode(hmac.new(pem, signed.encode(), hashlib.sha256).digest())}"


def tampered(token: str, **changes: Any) -> str:
    """A good token with other claims, under the signature of the old ones."""
    header, payload, signature = token.split(".")
    known = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return f"{header}.{_encode_json({**known, **changes})}.{signature}"


def _signing_input(algorithm: str, payload: Mapping[str, Any]) -> str:
    return f"{_encode_json({'alg': algorithm, 'typ': 'JWT', 'kid': KEY_ID})}.{_encode_json(payload)}"


def _encode_json(value: Mapping[str, Any]) -> str:
    return _encode(json.dumps(value, separators=(",", ":")).encode())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
