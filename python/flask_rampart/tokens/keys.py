"""Keys of our own, from ``RAMPART_JWT_KEYS``. Errors name the place, and never quote a value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._native import Key
from ..errors import ConfigError
from ..readers import nearest

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


def read_keys(specs: Sequence[Mapping[str, Any]], root: str) -> list[Key]:
    """The keys of ``RAMPART_JWT_KEYS``; relative paths are in *root*.

    :raises ConfigError: for the first that cannot be used.
    """
    return [_key(index, spec, root) for index, spec in enumerate(specs)]


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


def weak_key(secret: bytes, alg: str, kid: str | None = None) -> Key:
    """A key from a secret that is shorter than its algorithm asks for (RFC 7518 section 3.2), for tokens that are out.

    HMAC fills a short key with zeros to a block (RFC 2104 section 2), so the signatures are those of the secret itself.

    :raises ValueError: for an empty secret, or one that is refused for something else than its length.
    """
    if not secret:
        raise ValueError("an empty secret is everybody's")
    return Key.from_secret(secret.ljust(_BLOCKS.get(alg, 0), b"\0"), alg, kid)


_BLOCKS = {"HS256": 64, "HS384": 128, "HS512": 128}
