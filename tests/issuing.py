"""An issuer for tests: keys that rotate, a network that is counted and can be cut, and an app that trusts it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask

from flask_rampart import current_principal, require
from flask_rampart._native import Key
from flask_rampart.issuers import Issuers, introspection
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


def introspector(app: Flask) -> introspection.Introspector:
    (found,) = app.extensions["rampart"].services[Issuers]._asked.values()
    return found


def idle(app: Flask) -> None:
    """Waits until no question is under way."""
    until = time.monotonic() + 10
    while introspector(app)._questions and time.monotonic() < until:
        time.sleep(0.002)
    assert not introspector(app)._questions


def logged(caplog: pytest.LogCaptureFixture, text: str, times: int = 1) -> bool:
    """Whether the log has *text* so often: it is told after the request that learned it was answered."""
    until = time.monotonic() + 5
    while caplog.text.count(text) < times and time.monotonic() < until:
        time.sleep(0.002)
    return caplog.text.count(text) == times


class Server:
    """A server on this host that can be killed and return at the same port."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        self.tokens: dict[str, Any] = {}
        self.asked: list[dict[str, list[str]]] = []
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Introspection (RFC 7662): for the client that has the secret."""
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                server.asked.append(form)
                if self.headers.get("Authorization") != "Basic YXBpOmh1bnRlcjI=":
                    self.send_error(401)
                    return
                self.answer(server.tokens.get(form["token"][0], {"active": False}))

            def do_GET(self) -> None:
                server.seen.append((self.path, dict(self.headers)))
                found = server.documents.get(self.path)
                if found is None:
                    self.send_error(404)
                    return
                self.answer(found)

            def answer(self, found: Any) -> None:
                body = json.dumps(found).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "public, max-age=300")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        class Listener(ThreadingHTTPServer):
            request_queue_size = 64
            daemon_threads = True

        self._server = Listener(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def kill(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fetches(self, path: str) -> int:
        return sum(seen == path for seen, _ in self.seen)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.kill()
