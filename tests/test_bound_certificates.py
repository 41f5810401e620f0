"""Tokens that are bound to a certificate (RFC 8705), from the server or a trusted proxy; on real servers, too."""

from __future__ import annotations

import base64
import datetime
import hashlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_rampart import ConfigError, current_principal, require

from .conftest import NOW, SECRET, bearer
from .proving import Client, b64

App = Callable[..., Flask]
PROXY = "192.0.2.7"
PEER = {"REMOTE_ADDR": PROXY}


@dataclass
class Certificate:
    pem: str
    key: bytes

    @property
    def der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.pem)

    @property
    def cnf(self) -> dict[str, str]:
        return {"x5t#S256": b64(hashlib.sha256(self.der).digest())}

    @property
    def field(self) -> str:
        """As RFC 9440 writes it."""
        return f":{base64.b64encode(self.der).decode()}:"

    @property
    def escaped(self) -> str:
        """As nginx's ``$ssl_client_escaped_cert`` is."""
        return quote(self.pem, safe="")


def certificate(name: str = "client") -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime.datetime(2020, 1, 1)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Certificate(made.public_bytes(serialization.Encoding.PEM).decode(), private)


MINE, OTHER = certificate(), certificate("other")


@pytest.fixture(scope="module")
def client() -> Client:
    return Client()


def guarded(make_app: App, **config: Any) -> Flask:
    app = make_app(**config)
    app.testing = True
    app.get("/")(require()(lambda: {"id": current_principal.id}))
    return app


@pytest.fixture
def server(make_app: App) -> Flask:
    return guarded(make_app, RAMPART_CLIENT_CERT="server")


@pytest.fixture
def proxied(make_app: App) -> Flask:
    return guarded(make_app, RAMPART_CLIENT_CERT="header:Client-Cert", RAMPART_TRUSTED_PROXIES=["192.0.2.0/29", "unix"])


def code(app: Flask, headers: Any, environ: dict[str, Any] | None = None) -> str:
    response = app.test_client().get("/", headers=headers, environ_overrides=environ or {})
    return "ok" if response.status_code == 200 else response.json["code"]


def test_the_certificate_of_the_server_admits_and_another_refuses(server: Flask, client: Client) -> None:
    token = bearer(client.token(MINE.cnf))
    for _ in range(2):
        assert code(server, token, {"SSL_CLIENT_CERT": MINE.pem}) == "ok"
        assert code(server, token, {"SSL_CLIENT_CERT": OTHER.pem}) == "token.invalid"
        assert code(server, token) == "token.invalid"
    for wrong in ("", "(null)", MINE.pem + OTHER.pem, OTHER.pem + MINE.pem, MINE.field, MINE.pem[:-30], "x" * 20_000):
        assert code(server, token, {"SSL_CLIENT_CERT": wrong}) == "token.invalid"
    assert code(server, bearer(client.token(None))) == "ok"


def test_the_example_of_the_standard_is_accepted(server: Flask, client: Client) -> None:
    # RFC 8705 appendix A
    pem = (
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx\n"
        "ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG\n"
        "SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ\n"
        "/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID\n"
        "SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV\n"
        "bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=\n"
        "-----END CERTIFICATE-----\n"
    )
    token = client.token({"x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"})
    assert code(server, bearer(token), {"SSL_CLIENT_CERT": pem}) == "ok"


def test_a_refusal_says_nothing_of_the_certificate(server: Flask, client: Client) -> None:
    headers = bearer(client.token(MINE.cnf))
    response = server.test_client().get("/", headers=headers, environ_overrides={"SSL_CLIENT_CERT": OTHER.pem})
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="api", error="invalid_token"'
    assert set(response.json) == {"type", "title", "status", "detail", "code", "request_id"}


def test_a_header_is_never_the_servers_certificate(server: Flask, client: Client) -> None:
    headers = bearer(client.token(MINE.cnf))
    for name in ("SSL-Client-Cert", "Client-Cert", "X-SSL-Client-Cert"):
        assert code(server, {**headers, name: MINE.escaped}) == "token.invalid"
        assert code(server, {**headers, name: MINE.field}) == "token.invalid"


def test_the_field_of_a_trusted_proxy_admits_in_both_spellings(proxied: Flask, client: Client) -> None:
    token = bearer(client.token(MINE.cnf))
    for certificate, expected in ((MINE, "ok"), (OTHER, "token.invalid")):
        for field in (certificate.field, certificate.escaped):
            assert code(proxied, {**token, "Client-Cert": field}, PEER) == expected
    for wrong in (
        "",
        ":",
        "::",
        MINE.escaped[:-40],
        MINE.field[1:],
        MINE.field + ";a",
        ":" + "A" * 20_000 + ":",
    ):
        assert code(proxied, {**token, "Client-Cert": wrong}, PEER) == "token.invalid"
    assert code(proxied, token, {**PEER, "SSL_CLIENT_CERT": MINE.pem}) == "token.invalid"


@pytest.mark.parametrize(
    "peer, expected",
    [
        ("192.0.2.0", "ok"),
        ("192.0.2.7", "ok"),
        ("::ffff:192.0.2.7", "ok"),
        ("", "ok"),  # a Unix socket, which is listed
        ("192.0.2.8", "token.invalid"),
        ("203.0.113.1", "token.invalid"),
        ("::1", "token.invalid"),
        ("unix", "token.invalid"),
        ("192.0.2.7, 203.0.113.1", "token.invalid"),
        ("x", "token.invalid"),
    ],
)
def test_the_field_of_anybody_else_proves_nothing(proxied: Flask, client: Client, peer: str, expected: str) -> None:
    headers = {**bearer(client.token(MINE.cnf)), "Client-Cert": MINE.field}
    assert code(proxied, headers, {"REMOTE_ADDR": peer}) == expected


def test_two_fields_are_no_certificate(proxied: Flask, client: Client) -> None:
    token = ("Authorization", f"Bearer {client.token(MINE.cnf)}")
    # CVE-2025-64484: a client's Client_Cert has the same name in the environ as the proxy's Client-Cert.
    for second in ("Client-Cert", "client-cert", "Client_Cert"):
        for one, two in ((MINE, OTHER), (OTHER, MINE), (MINE, MINE)):
            fields = [token, ("Client-Cert", one.field), (second, two.field)]
            assert code(proxied, fields, PEER) == "token.invalid", second


def test_a_name_without_a_hyphen_has_one_spelling(make_app: App, client: Client) -> None:
    app = guarded(make_app, RAMPART_CLIENT_CERT="header:ClientCert", RAMPART_TRUSTED_PROXIES=PROXY)
    token = bearer(client.token(MINE.cnf))
    assert code(app, {**token, "clientcert": MINE.escaped}, PEER) == "ok"
    for name in ("Client-Cert", "Client_Cert", "Client", "ClientCert_"):
        assert code(app, {**token, name: MINE.escaped}, PEER) == "token.invalid"


def test_the_peer_is_the_sockets_and_not_what_proxyfix_made_of_it(proxied: Flask, client: Client) -> None:
    proxied.wsgi_app = ProxyFix(proxied.wsgi_app, x_for=1)  # type: ignore[method-assign]
    headers = {**bearer(client.token(MINE.cnf)), "Client-Cert": MINE.field}
    assert code(proxied, {**headers, "X-Forwarded-For": "203.0.113.9"}, PEER) == "ok"
    attacker = {"REMOTE_ADDR": "203.0.113.9"}
    assert code(proxied, {**headers, "X-Forwarded-For": PROXY}, attacker) == "token.invalid"
    assert code(proxied, headers, attacker) == "token.invalid"


def test_both_bindings_are_to_be_shown(make_app: App, client: Client) -> None:
    app = guarded(make_app, RAMPART_CLIENT_CERT="server", RAMPART_DPOP="allowed")
    token = client.token({"jkt": client.jkt, **MINE.cnf})
    certificate = {"SSL_CLIENT_CERT": MINE.pem}
    proof = client.headers(token)
    # A proof that comes without the certificate is not used up by it.
    assert code(app, proof) == "token.invalid"
    assert code(app, proof, {"SSL_CLIENT_CERT": OTHER.pem}) == "token.invalid"
    assert code(app, proof, certificate) == "ok"
    assert code(app, proof, certificate) == "proof.invalid"
    assert code(app, bearer(token), certificate) == "token.invalid"
    assert code(app, bearer(client.token(MINE.cnf)), certificate) == "ok"
    without = guarded(make_app, RAMPART_DPOP="allowed")
    assert code(without, client.headers(token), certificate) == "token.invalid"
    strict = guarded(make_app, RAMPART_CLIENT_CERT="server", RAMPART_DPOP="required")
    assert code(strict, bearer(client.token(MINE.cnf)), certificate) == "token.invalid"
    assert code(strict, client.headers(token), certificate) == "ok"


@pytest.mark.parametrize(
    "config, text",
    [
        ({"RAMPART_CLIENT_CERT": "Server"}, "Did you mean server"),
        ({"RAMPART_CLIENT_CERT": "header"}, "must be 'off', 'server'"),
        ({"RAMPART_CLIENT_CERT": "header:"}, "must be 'off', 'server'"),
        ({"RAMPART_CLIENT_CERT": "header:Client_Cert"}, "must be 'off', 'server'"),
        ({"RAMPART_CLIENT_CERT": "header:A B"}, "must be 'off', 'server'"),
        ({"RAMPART_CLIENT_CERT": "header:Client-Cert"}, "needs RAMPART_TRUSTED_PROXIES"),
        ({"RAMPART_TRUSTED_PROXIES": []}, "not empty"),
        ({"RAMPART_TRUSTED_PROXIES": "proxy.example"}, "is no network"),
        ({"RAMPART_TRUSTED_PROXIES": "10.0.0.1/8"}, "is no network"),
        ({"RAMPART_TRUSTED_PROXIES": "0.0.0.0/0"}, "is everybody"),
        ({"RAMPART_TRUSTED_PROXIES": ["10.0.0.0/8", "::/0"]}, "is everybody"),
        ({"RAMPART_TRUSTED_PROXIES": "::ffff:10.0.0.0/104"}, "would match nobody"),
        ({"RAMPART_TRUSTED_PROXIES": ["fd00::/8", "::ffff:10.0.0.1"]}, "Write it as IPv4"),
    ],
)
def test_settings_that_cannot_be_meant_stop_the_start(make_app: App, config: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make_app(**config)


# On real servers.

MODULE = """
import os
from flask import Flask, request
from flask_rampart import Clock, Rampart, require

app = Flask(__name__)
app.config.update(
    RAMPART_ACCESS_LOG="off",
    RAMPART_LIMIT_STORE="shm://" + os.environ["TABLES"],
    RAMPART_LIMIT_TABLE=65536,
    RAMPART_JWT_KEYS=[{{"kid": "test", "alg": "HS256", "secret": {secret!r}}}],
    RAMPART_RESOURCE="https://api.example",
    **{settings!r},
)
Rampart(app, clock=Clock.manual({now}))
app.get("/")(require()(lambda: str(os.getpid())))
"""


# Seconds: it listens before its workers have imported the app, which takes long on a machine that does much else.
_PATIENCE = 60


@pytest.fixture
def gunicorn(tmp_path: Path) -> Iterator[Callable[..., int]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(settings: dict[str, Any], *options: str) -> int:
        tables = tmp_path / "tables"
        tables.mkdir(mode=0o700, exist_ok=True)
        (tmp_path / "served.py").write_text(MODULE.format(secret=SECRET, settings=settings, now=NOW))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--no-control-socket", *options]
        beside = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
        environ = {**os.environ, "TABLES": str(tables), "PYTHONPATH": beside}
        started.append(subprocess.Popen([*command, "served:app"], env=environ, cwd=tmp_path))
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return port
            time.sleep(0.05)
        raise AssertionError("gunicorn did not start")

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:  # a worker that was just being started
            process.kill()
            process.wait()


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_gunicorn_gives_the_certificate_of_its_own_tls(
    gunicorn: Callable[..., int], tmp_path: Path, client: Client, worker: str
) -> None:
    files = {}
    for name, content in {
        "server.pem": (host := certificate("localhost")).pem.encode(),
        "server.key": host.key,
        "clients.pem": (MINE.pem + OTHER.pem).encode(),
        "mine.pem": MINE.pem.encode() + MINE.key,
        "other.pem": OTHER.pem.encode() + OTHER.key,
    }.items():
        (tmp_path / name).write_bytes(content)
        files[name] = str(tmp_path / name)
    options = ["--certfile", files["server.pem"], "--keyfile", files["server.key"]]
    options += ["--ca-certs", files["clients.pem"], "--cert-reqs", "1", "--worker-class", worker]
    port = gunicorn({"RAMPART_CLIENT_CERT": "server"}, *options)

    def status(shown: str | None) -> int:
        context = ssl.create_default_context(cafile=files["server.pem"])
        if shown:
            context.load_cert_chain(files[shown])
        connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=_PATIENCE)
        connection.request("GET", "/", headers={**bearer(client.token(MINE.cnf)), "Client-Cert": MINE.field})
        found = connection.getresponse().status
        connection.close()
        return found

    assert (status("mine.pem"), status("other.pem"), status(None)) == (200, 401, 401)


def test_gunicorn_drops_the_variant_with_an_underscore(gunicorn: Callable[..., int], client: Client) -> None:
    # CVE-2025-64484: behind a proxy that sets nothing where there is no certificate, it would be the client's own word.
    port = gunicorn({"RAMPART_CLIENT_CERT": "header:Client-Cert", "RAMPART_TRUSTED_PROXIES": ["127.0.0.1"]})

    def status(name: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
        connection.request("GET", "/", headers={**bearer(client.token(MINE.cnf)), name: MINE.field})
        found = connection.getresponse().status
        connection.close()
        return found

    assert (status("Client-Cert"), status("Client_Cert")) == (200, 401)


def test_gunicorns_workers_share_what_was_proven(gunicorn: Callable[..., int], client: Client) -> None:
    # Of a class whose workers take nothing while they are at work: so the others get their share.
    port = gunicorn({"RAMPART_DPOP": "required"}, "--workers", "4", "--worker-class", "sync")
    token = client.token()
    url = "https://api.example/"

    def call(headers: dict[str, str], path: str = "/") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        found = response.status, response.read()
        connection.close()
        return found

    def once_and_again(headers: dict[str, str]) -> bytes:
        answers = [call(headers) for _ in range(3)]
        assert [status for status, _ in answers] == [200, 401, 401]
        return answers[0][1]

    # Many at a time, until the kernel has given some to a second worker.
    workers: set[bytes] = set()
    until = time.monotonic() + 30
    with ThreadPoolExecutor(16) as pool:
        while len(workers) < 2 and time.monotonic() < until:
            workers.update(pool.map(once_and_again, [client.headers(token, htu=url) for _ in range(32)]))
    assert len(workers) > 1
    assert call(client.headers(token, htu=url), "/?query")[0] == 200
    # Another path than its proof's, and none at all.
    assert call(client.headers(token, htu=url), "/a%2eb")[0] in (401, 404)
    assert call(client.headers(token, htu=url), "/%2e")[0] == 400
