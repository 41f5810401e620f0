"""An issuer for tests: keys that rotate, and a network that is counted and can be cut."""

from __future__ import annotations

import json
import threading
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flask_rampart._native import Key
from flask_rampart.issuers.transport import Fetched, FetchFailed

from .conftest import NOW

ISSUER = "https://id.example"
AUDIENCE = "https://api.example"


def new_key(kid: str | None, alg: str = "ES256") -> Key:
    private = ec.generate_private_key(ec.SECP256R1() if alg == "ES256" else ec.SECP384R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Key.from_pem(pem, alg, kid)


def jwk(key: Key, **members: Any) -> dict[str, Any]:
    found = {**json.loads(key.public_jwk() or ""), **members}
    return {name: value for name, value in found.items() if value is not ...}


def jwks(*keys: Key) -> dict[str, Any]:
    return {"keys": [jwk(key) for key in keys]}


def token_of(key: Key, typ: str = "JWT", **claims: Any) -> str:
    payload = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": NOW + 10 * 86400, **claims}
    return key.sign(json.dumps({name: value for name, value in payload.items() if value is not ...}), typ)


class Net:
    """A transport without a network: documents by URL, each fetch counted."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        self.fetched: list[str] = []
        self.max_age: int | None = None
        self.down = False
        self.gate = threading.Event()
        self.gate.set()

    def publish(self, *keys: Key, issuer: str = ISSUER) -> None:
        uri = f"{issuer}/keys"
        self.documents[f"{issuer}/.well-known/openid-configuration"] = {"issuer": issuer, "jwks_uri": uri}
        self.documents[uri] = jwks(*keys)

    @property
    def sets(self) -> int:
        """Fetches of a key set, or attempts at metadata that failed."""
        return len(self.fetched)

    def __call__(self, url: str, *, allow_private: bool, allow_http: bool, deadline: float) -> Fetched:
        self.fetched.append(url)
        self.gate.wait(10)
        if self.down:
            raise FetchFailed("it did not answer in time")
        document = self.documents.get(url)
        if document is None:
            raise FetchFailed("its answer is 404, not 200", 404)
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return Fetched(body, self.max_age)
