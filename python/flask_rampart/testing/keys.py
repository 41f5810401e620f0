"""New private keys, for tests alone: they are in memory, and in no file."""

from __future__ import annotations

import base64
from os import urandom

from .._native import Key
from ..errors import ConfigError

ALGORITHMS = ("EdDSA", "ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
"""What an issuer may sign with; the first that an app allows is taken."""


def new_key(algorithm: str, kid: str | None) -> Key:
    """A new key that signs with *algorithm*.

    :raises ConfigError: for one that needs the package ``cryptography``, if it is not there.
    """
    if algorithm.startswith("HS"):
        return Key.from_secret(urandom(64), algorithm, kid)
    if algorithm == "EdDSA":
        # Any 32 random bytes are a private key (RFC 8032 section 5.1.5); PKCS#8 as in RFC 8410 section 7.
        return Key.from_pem(_pem(_ED25519 + urandom(32)), algorithm, kid)
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec, rsa
    except ImportError:
        raise ConfigError(
            f"a new key for {algorithm} needs the package 'cryptography': pip install 'flask-rampart[testing]'. "
            "EdDSA needs nothing."
        ) from None
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if algorithm.startswith("ES"):
        private = ec.generate_private_key(ec.SECP384R1() if algorithm == "ES384" else ec.SECP256R1())
    else:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Key.from_pem(pem, algorithm, kid)


def _pem(der: bytes) -> bytes:
    return b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(der) + b"\n-----END PRIVATE KEY-----\n"


_ED25519 = bytes.fromhex("302e020100300506032b657004220420")
