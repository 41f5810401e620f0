"""An issuer for tests: keys that rotate, a network that is counted and can be cut, and an app that trusts it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask

from flask_rampart import current_principal, require
from flask_rampart._native import Key
from flask_rampart.issuers import Issuers
from flask_rampart.issuers.transport import Fetched, FetchFailed, Form

from .conftest import NOW, bearer

ISSUER = "https://id.example"
AUDIENCE = "https://api.example"
OTHER = "https://other.example/tenant/"
App = Callable[..., Flask]


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
        #: What is answered about each token; about others, that they are not active.
        self.tokens: dict[str, Any] = {}
        #: The tokens that were asked about, and how.
        self.asked: list[tuple[str, Form]] = []
        #: The status of answers about tokens; 0 for none in time.
        self.status = 200
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

    def __call__(
        self, url: str, *, allow_private: bool, allow_http: bool, deadline: float, form: Form | None = None
    ) -> Fetched:
        if form is not None:
            return self.introspect(form)
        self.fetched.append(url)
        self.gate.wait(10)
        if self.down:
            raise FetchFailed("it did not answer in time")
        document = self.documents.get(url)
        if document is None:
            raise FetchFailed("its answer is 404, not 200", 404)
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return Fetched(body, self.max_age)

    def introspect(self, form: Form) -> Fetched:
        token = parse_qs(form.body.decode())["token"][0]
        self.asked.append((token, form))
        self.gate.wait(10)
        if self.down or self.status == 0:
            raise FetchFailed("it did not answer in time")
        if self.status != 200:
            raise FetchFailed(f"its answer is {self.status}, not 200", self.status)
        answer = self.tokens.get(token, {"active": False})
        return Fetched(answer if isinstance(answer, bytes) else json.dumps(answer).encode(), None)


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    net = Net()
    monkeypatch.setattr("flask_rampart.issuers.fetch", net)
    return net


@pytest.fixture
def key() -> Key:
    return new_key("one")


def entry(**fields: Any) -> dict[str, Any]:
    return {"issuer": ISSUER, "audience": AUDIENCE, **fields}


@pytest.fixture
def serve(make_app: App) -> App:
    def make(*entries: dict[str, Any], **config: Any) -> Flask:
        app = make_app(RAMPART_ISSUERS=list(entries) or [entry()], **config)
        app.get("/")(require()(lambda: {"id": current_principal.id, "issuer": current_principal.issuer}))
        app.get("/scoped")(require(scopes="read", roles="admin")(lambda: "ok"))
        return app

    return make


def asking(**fields: Any) -> dict[str, Any]:
    """An entry that is asked about tokens."""
    asked = {"endpoint": f"{ISSUER}/introspect", "client_id": "api", "client_secret": "hunter2:%", **fields}
    return entry(introspection={name: value for name, value in asked.items() if value is not ...})


def active(**members: Any) -> dict[str, Any]:
    """What an issuer answers about a good token."""
    found = {"active": True, "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": NOW + 3600, **members}
    return {name: value for name, value in found.items() if value is not ...}


def code(app: Flask, token: str, path: str = "/") -> str:
    response = app.test_client().get(path, headers=bearer(token))
    return "ok" if response.status_code == 200 else response.json["code"]


def settle(app: Flask) -> None:
    """Waits until no fetch is under way."""
    for source in app.extensions["rampart"].services[Issuers]._sources.values():
        flight = getattr(source, "_flight", None)
        if flight is not None:
            assert flight.landed.wait(10)
