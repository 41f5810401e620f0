"""What the benches send: order documents and their schema, keys, tokens, log lines.

Nothing here is secret: the shared secret is derived from a constant, so that servers and clients of a bench
agree on it without being told; asymmetric keys are made anew in each run.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import os
import random
import time
from collections.abc import Callable
from typing import Any, NamedTuple

ISSUER = "https://login.example.com/"
AUDIENCE = "orders-api"
SCOPE = "orders:write"
SECRET = hashlib.sha256(b"a shared secret of the benches").digest()

_MONEY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "amount": {"type": "number", "minimum": 0, "exclusiveMaximum": 1_000_000},
        "currency": {"enum": ["EUR", "USD", "GBP", "CHF", "JPY"]},
    },
    "required": ["amount", "currency"],
    "additionalProperties": False,
}

ORDER_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Order",
    "type": "object",
    "properties": {
        "version": {"const": 2},
        "id": {"type": "string", "format": "uuid"},
        "placed": {"type": "string", "format": "date-time"},
        "channel": {"oneOf": [{"const": "web"}, {"const": "shop"}, {"const": "phone"}]},
        "customer": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 200},
                "email": {"type": "string", "format": "email"},
                "phone": {"type": "string", "pattern": "^\\+[0-9]{6,15}$"},
                "site": {"type": ["string", "null"], "format": "uri"},
                "vip": {"type": "boolean"},
            },
            "required": ["name", "email"],
            "additionalProperties": False,
        },
        "lines": {
            "type": "array",
            "minItems": 1,
            "maxItems": 500,
            "uniqueItems": True,
            "items": {"$ref": "#/$defs/line"},
        },
        "discount": {"anyOf": [{"$ref": "#/$defs/money"}, {"type": "null"}]},
        "notes": {"type": "object", "maxProperties": 10, "additionalProperties": {"type": "string"}},
        "rating": {"type": "integer", "minimum": 1, "maximum": 5, "not": {"const": 4}},
    },
    "required": ["version", "id", "placed", "customer", "lines"],
    "dependentRequired": {"discount": ["rating"]},
    "additionalProperties": False,
    "$defs": {
        "money": _MONEY,
        "line": {
            "type": "object",
            "properties": {
                "sku": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4,8}$"},
                "title": {"type": "string", "minLength": 1, "maxLength": 120},
                "quantity": {"type": "integer", "minimum": 1, "maximum": 999},
                "price": {"$ref": "#/$defs/money"},
                "weight": {"type": "number", "exclusiveMinimum": 0},
                "tags": {"type": "array", "maxItems": 5, "items": {"type": "string", "pattern": "^[a-z]+$"}},
            },
            "required": ["sku", "quantity", "price"],
            "additionalProperties": False,
        },
    },
}
"""24 keywords that assert something, three patterns, four formats."""

_TITLES = ("Lamp, brass", "Desk of oak", "Chair", "Shelf, 80 cm", "Rug, hand-woven", "Clock", "Mirror, round")
_TAGS = ("home", "light", "wood", "sale", "gift", "new")


def order(size: int) -> dict[str, Any]:
    """A valid order whose compact JSON has about *size* bytes, the same each time."""
    chance = random.Random(size)
    made: dict[str, Any] = {
        "version": 2,
        "id": "0b7c1f7e-3f0e-4a53-9d6c-5a1f0f2b8c11",
        "placed": "2026-03-14T09:26:53Z",
        "channel": "web",
        "customer": {
            "name": "Grete Müller",
            "email": "grete@example.com",
            "phone": "+4930123456",
            "site": "https://example.com/grete",
            "vip": False,
        },
        "lines": [],
        "discount": {"amount": 2.5, "currency": "EUR"},
        "notes": {"gift": "wrap it, please", "door": "ring twice"},
        "rating": 5,
    }
    while len(encoded(made)) < size - 60:
        number = len(made["lines"])
        made["lines"].append(
            {
                "sku": f"{chance.choice(('LMP', 'DSK', 'CHR'))}-{10_000 + number}",
                "title": chance.choice(_TITLES),
                "quantity": chance.randint(1, 9),
                "price": {"amount": chance.randint(100, 99_999) / 100, "currency": "EUR"},
                "weight": chance.randint(1, 400) / 10,
                "tags": chance.sample(_TAGS, chance.randint(1, 3)),
            }
        )
    return made


def encoded(value: Any) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


BODY = encoded(order(1_000))
BODY_LARGE = encoded(order(20_000))
MALFORMED = BODY[:-2]


def mistyped() -> bytes:
    """The 1 KB order with a text for a number in its last line."""
    wrong = order(1_000)
    wrong["lines"][-1]["quantity"] = "three"
    return encoded(wrong)


# Keys and tokens, RFC 7515 and RFC 7519.


class KeyPair(NamedTuple):
    """A key to sign with and its public half, as PEM, and what signs bytes."""

    private: bytes
    public: bytes
    sign: Callable[[bytes], bytes]
    verify: Callable[[bytes, bytes], object]


def public_key(algorithm: str) -> bytes:
    """The public half as PEM: that of this process, or the one that a bench gave to its child."""
    given = os.environ.get(f"BENCH_PUBLIC_{algorithm}")
    return given.encode() if given else key_pair(algorithm).public


@functools.cache
def key_pair(algorithm: str) -> KeyPair:
    """A new pair for RS256 (2048 bits), ES256, ES384 or EdDSA.

    :raises ImportError: without ``cryptography``, which is in the benches' group.
    """
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

    sha256 = hashes.SHA256()
    key: Any
    if algorithm == "RS256":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key()
        pkcs = padding.PKCS1v15()

        def sign(data: bytes) -> bytes:
            return bytes(key.sign(data, pkcs, sha256))

        def verify(signature: bytes, data: bytes) -> object:
            return public.verify(signature, data, pkcs, sha256)

    elif algorithm in ("ES256", "ES384"):
        key = ec.generate_private_key(ec.SECP256R1() if algorithm == "ES256" else ec.SECP384R1())
        public = key.public_key()
        digest = ec.ECDSA(sha256 if algorithm == "ES256" else hashes.SHA384())
        size = 32 if algorithm == "ES256" else 48

        def sign(data: bytes) -> bytes:
            r, s = utils.decode_dss_signature(key.sign(data, digest))
            return bytes(r.to_bytes(size, "big") + s.to_bytes(size, "big"))

        def verify(signature: bytes, data: bytes) -> object:
            r, s = (int.from_bytes(part, "big") for part in (signature[:size], signature[size:]))
            return public.verify(utils.encode_dss_signature(r, s), data, digest)

    else:
        key = ed25519.Ed25519PrivateKey.generate()
        public = key.public_key()
        sign, verify = key.sign, public.verify

    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    shown = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(private, shown, sign, verify)


def token(algorithm: str = "HS256", *, number: int = 0, lifetime: int = 86_400, scope: str = SCOPE) -> str:
    """A signed token with the claims of a usual identity provider; *number* tells tokens apart."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "248289761001",
        "jti": f"b9d4e2a0-6f1c-4f0e-8c1f-{number:012d}",
        "iat": now - 90_000 if lifetime < 0 else now,
        "nbf": now - 90_000 if lifetime < 0 else now,
        "exp": now + lifetime,
        "scope": f"{scope} profile email",
        "roles": ["customer", "editor"],
        "name": "Grete Müller",
        "email": "grete@example.com",
        "tenant": "acme",
        # Flask-JWT-Extended takes no token without these two.
        "type": "access",
        "fresh": False,
    }
    signed = f"{base64url(encoded({'alg': algorithm, 'typ': 'JWT'}))}.{base64url(encoded(claims))}".encode()
    if algorithm == "HS256":
        signature = hmac.digest(SECRET, signed, "sha256")
    else:
        signature = key_pair(algorithm).sign(signed)
    return f"{signed.decode()}.{base64url(signature)}"


def tampered(sound: str) -> str:
    """The token with another signature of the right length."""
    head, claims, signature = sound.split(".")
    return f"{head}.{claims}.{signature[:8]}{'A' if signature[8] != 'A' else 'B'}{signature[9:]}"


def parts(sound: str) -> tuple[bytes, bytes]:
    """A token's signature, and the bytes that it signs."""
    signed, _, signature = sound.rpartition(".")
    return base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)), signed.encode()


def base64url(data: bytes) -> str:
    """Base64 as tokens have it: for URLs, without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# Log lines, and the filter that teams write for them.

#: Twenty patterns, as they are found in logging filters.
PATTERNS: tuple[tuple[str, str], ...] = (
    ("EMAIL", r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"),
    ("CARD", r"\b(?:\d[ -]?){13,16}\b"),
    ("TOKEN", r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"),
    ("BEARER", r"(?i)\bbearer\s+[A-Za-z0-9._~+/-]+=*"),
    ("BASIC", r"(?i)\bbasic\s+[A-Za-z0-9+/]+=*"),
    ("CLOUD", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    ("CLOUD", r"\bAIza[A-Za-z0-9_-]{35}\b"),
    ("AI", r"\bsk-[A-Za-z0-9_-]{20,}"),
    ("FORGE", r"\bgh[pousr]_[A-Za-z0-9]{36,}\b"),
    ("FORGE", r"\bglpat-[A-Za-z0-9_-]{20}\b"),
    ("CHAT", r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    ("PAYMENT", r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    ("PRIVATE", r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----"),
    ("MEMBER", r'(?i)"(?:password|passwd|secret|token|api_key)"\s*:\s*"[^"]*"'),
    ("FIELD", r"(?i)\b(?:password|passwd|secret|token|api_key)=[^\s&]+"),
    ("USERINFO", r"(?i)\b[a-z][a-z0-9+.-]*://[^\s:/@]+:[^\s/@]+@"),
    ("IBAN", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}\b"),
    ("NATIONAL", r"\b\d{3}-\d{2}-\d{4}\b"),
    ("PHONE", r"(?<!\w)\+\d{1,3}[ -]?(?:\d[ -]?){6,12}\b"),
    ("SESSION", r"(?i)\b(?:sessionid|csrftoken|sid)=[A-Za-z0-9._-]+"),
)

#: Texts that must not be left in a redacted line, each with the words around it.
PLANTED: tuple[tuple[str, str], ...] = (
    ("mail to {} was sent", "ada.lovelace@example.com"),
    ("Authorization: Bearer {}", "q3kf9w2m1x8v7c6b5n4h"),
    ("login failed, password={} from form", "hunter2-and-more"),
    ('body {{"user": "ada", "password": "{}"}}', "correct-horse"),
    ("connecting to postgres://app:{}@db.example.com/app", "s3cretword"),
    ("paid with card {} today", "4111 1111 1111 1111"),
)


def log_lines(count: int = 400) -> list[str]:
    """Log lines of about 200 bytes, one in eight with something secret, the same each time."""
    chance = random.Random(7)
    lines = []
    for number in range(count):
        request = "".join(chance.choices("0123456789abcdef", k=16))
        text = (
            f"2026-03-14T09:{number // 60 % 60:02d}:{number % 60:02d}.{chance.randint(0, 999):03d}Z INFO "
            f"orders.views request={request} method=POST route=/orders/<int:number> status=201 "
            f"micros={chance.randint(90, 9000)} user={chance.randint(1, 99_999)} lines={chance.randint(1, 60)} "
        )
        if number % 8 == 0:
            words, secret = PLANTED[number // 8 % len(PLANTED)]
            text += words.format(secret)
        else:
            text += "stored the order, told the warehouse, queued the mail"
        lines.append(text)
    return lines
