"""Fetching keys over real sockets: what a hostile or broken server may do, and what an outage does to requests."""

from __future__ import annotations

import contextlib
import datetime
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from flask import Flask

from flask_rampart import Clock, require
from flask_rampart.issuers import Issuers, keys, transport
from flask_rampart.issuers.transport import Fetched, FetchFailed, Form, fetch, is_permitted

from .conftest import bearer
from .issuing import AUDIENCE, jwks, new_key, token_of

App = Callable[..., Flask]


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


@contextlib.contextmanager
def raw(answer: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that says what *answer* writes, to one request; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                if context:
                    connection = context.wrap_socket(connection, server_side=True)
                connection.recv(65536)
                answer(connection)
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        thread.join(10)


def get(port: int, seconds: float = 5.0, path: str = "/") -> Fetched:
    return fetch(
        f"http://127.0.0.1:{port}{path}", allow_private=True, allow_http=True, deadline=time.monotonic() + seconds
    )


def saying(*parts: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: [connection.sendall(part) for part in parts] and None


OK = b"HTTP/1.1 200 OK\r\n"


def test_a_document_is_fetched_with_its_time() -> None:
    with raw(saying(OK + b"Cache-Control: public, Max-Age=120\r\nContent-Length: 2\r\n\r\n{}")) as port:
        assert get(port) == Fetched(b"{}", 120)
    with raw(saying(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")) as port:
        assert get(port) == Fetched(b"{}", None)
    with raw(saying(OK + b"Cache-Control: s-max-age=9, no-store\r\n\r\n{}")) as port:
        assert get(port) == Fetched(b"{}", 0)


def test_a_request_carries_nothing_of_ours(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy of the environment would see, and could change, what is fetched.
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.documents["/k?p=1"] = {}
    get(server.port, path="/k?p=1")
    _, headers = server.seen[0]
    assert headers == {
        "Host": f"127.0.0.1:{server.port}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "redirect"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "204"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "500"),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", "content coding"),
        (OK + b"Content-Length: 10\r\n\r\n{}", "declared length"),
        (OK + b"Content-Length: 99999999999\r\n\r\n{}", "larger"),
        (OK + b"\r\n" + b" " * (256 * 1024 + 1), "larger"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n{}", "on the way"),  # CVE-2025-13836
        (OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 200_000, "larger"),
        (OK + b"X: y\r\n" * 200 + b"\r\n{}", "on the way"),
        (OK + b"X: " + b"y" * 70_000 + b"\r\n\r\n{}", "on the way"),
        (b"SSH-2.0-x\r\n", "on the way"),
        (b"", "on the way"),
    ],
)
def test_an_answer_that_is_no_plain_small_document_is_refused(answer: bytes, reason: str) -> None:
    with raw(saying(answer)) as port, pytest.raises(FetchFailed, match=reason):
        get(port)


def test_the_deadline_holds_for_the_whole_answer_however_it_drips() -> None:
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for byte in OK + b"X-Long: " + b"y" * 1000:
                connection.sendall(bytes([byte]))
                if stop.wait(0.02):
                    return

    for answer in (drip, lambda connection: stop.wait(10) and None):
        with raw(answer) as port:
            begun = time.monotonic()
            with pytest.raises(FetchFailed, match="in time"):
                get(port, seconds=0.3)
            assert time.monotonic() - begun < 2
            stop.set()
        stop.clear()


def test_a_server_that_is_not_there_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(FetchFailed, match="on the way"):
        get(port)


def test_a_question_is_posted_and_its_secret_follows_no_redirect(server: Server) -> None:
    received: list[bytes] = []

    def post(port: int, form: Form) -> Fetched:
        url = f"http://127.0.0.1:{port}/i?p=1"
        return fetch(url, allow_private=True, allow_http=True, deadline=time.monotonic() + 5, form=form)

    form = Form(b"token=a%2Bb", "Basic aHVudGVyMg==")
    assert repr(form) == str(form) == "Form(...)"
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                while b"token=" not in b"".join(received):
                    received.append(connection.recv(65536))
                connection.sendall(OK + b"Content-Length: 2\r\n\r\n{}")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert post(listener.getsockname()[1], form).body == b"{}"
        thread.join(10)
    head, _, body = b"".join(received).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /i?p=1 HTTP/1.1\r\n") and body == b"token=a%2Bb"
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert fields.pop(b"Host").startswith(b"127.0.0.1:")
    assert fields == {
        b"Accept": b"application/json",
        b"Accept-Encoding": b"identity",
        b"Connection": b"close",
        b"Content-Type": b"application/x-www-form-urlencoded",
        b"Content-Length": b"11",
        b"Authorization": b"Basic aHVudGVyMg==",
    }
    moved = f"HTTP/1.1 307 Moved\r\nLocation: {server.url}/\r\nContent-Length: 0\r\n\r\n".encode()
    with raw(saying(moved)) as port, pytest.raises(FetchFailed, match="redirect"):
        post(port, form)
    assert server.asked == []


# Addresses.


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "192.0.0.8", "192.0.2.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1",
        "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:db8::1", "localhost", "", "1.2.3",
    ],
)  # fmt: skip
def test_no_private_address_is_called(address: str) -> None:
    assert not is_permitted(address, allow_private=False)


def test_public_addresses_are_called_and_private_ones_where_allowed() -> None:
    for address in ("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"):
        assert is_permitted(address, allow_private=False), address
    for address in ("127.0.0.1", "10.1.2.3", "::1", "fd00::1", "::ffff:10.0.0.1", "8.8.8.8"):
        assert is_permitted(address, allow_private=True), address
    # Where clouds keep their credentials, nobody publishes keys.
    for address in ("169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "0.0.0.0"):
        assert not is_permitted(address, allow_private=True), address
    # The same in other disguises, and where clouds keep a machine's credentials at other addresses.
    for address in (
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b:1::a9fe:a9fe",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
    ):
        assert not is_permitted(address, allow_private=True), address
    for address in ("fec0::1", "3fff::1", "5f00::1"):
        assert not is_permitted(address, allow_private=False), address


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Replaces the name server: each question gets the next answer."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(transport.socket, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_with_one_private_address_is_not_called_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in (["8.8.8.8", "127.0.0.1"], ["10.0.0.1"], []):
        resolving(monkeypatch, answer)
        with pytest.raises(FetchFailed, match="address"):
            fetch("https://id.example/", allow_private=False, allow_http=False, deadline=time.monotonic() + 2)


def test_the_address_that_was_checked_is_the_one_that_is_called(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # DNS rebinding: the second answer of the name server would lead elsewhere.
    called: list[Any] = []

    class Recorded(socket.socket):
        def connect(self, address: Any) -> None:
            called.append(address)
            super().connect(("127.0.0.1", server.port))

    asked = resolving(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
    server.documents["/"] = {}
    monkeypatch.setattr(transport.socket, "socket", Recorded)
    fetch("http://id.example/", allow_private=False, allow_http=True, deadline=time.monotonic() + 2)
    assert asked == ["id.example"] and called == [("8.8.8.8", 80)]
    assert server.seen[0][1]["Host"] == "id.example"


@pytest.mark.parametrize(
    "url",
    ["http://a/", "ftp://a/", "file:///etc/passwd", "data:,{}", "//a/", "a", "", "https://", "https://a:0/", "https://a:x/",
     "https://a:99999/", "https://u@a/", "https://u:p@a/", "https://a/#f", "https://a/ b", "https://a/\r\nX: y", "https://\u0430/",
     "https://[::1/", "https://a\\@b/", "https://[fe80::1%25eth0]/"],
)  # fmt: skip
def test_only_plain_https_urls_are_called(url: str) -> None:
    # CVE-2026-48522: file: and data:.
    with pytest.raises(FetchFailed):
        fetch(url, allow_private=True, allow_http=False, deadline=time.monotonic() + 1)


# Certificates.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A root of trust that is for ``id.example`` and nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "id.example")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("id.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    return pem, context


@pytest.mark.parametrize(
    ("host", "trusted", "reason"),
    [("id.example", True, None), ("other.example", True, "certificate"), ("id.example", False, "certificate")],
)
def test_the_certificate_is_checked_for_the_hosts_name(
    certificate: tuple[Path, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    trusted: bool,
    reason: str | None,
) -> None:
    pem, context = certificate
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    asked: list[str | None] = []
    context.sni_callback = lambda _, name, __: asked.append(name)
    resolving(monkeypatch, ["127.0.0.1"])
    with raw(saying(OK + b"Content-Length: 2\r\n\r\n{}"), context) as port:
        url = f"https://{host}:{port}/"
        if reason is None:
            found = fetch(url, allow_private=True, allow_http=False, deadline=time.monotonic() + 5)
            assert found.body == b"{}"
        else:
            with pytest.raises(FetchFailed, match=reason):
                fetch(url, allow_private=True, allow_http=False, deadline=time.monotonic() + 5)
    assert asked == [host]


def test_what_goes_over_a_connection_is_not_given_away_by_the_environment(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # SSL_CERT_FILE says whom the host trusts, and is honoured; SSLKEYLOGFILE would let others read secrets.
    pem, context = certificate
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    resolving(monkeypatch, ["127.0.0.1"])
    with raw(saying(OK + b"Content-Length: 2\r\n\r\n{}"), context) as port:
        url = f"https://id.example:{port}/"
        assert fetch(url, allow_private=True, allow_http=False, deadline=time.monotonic() + 5).body == b"{}"
    assert not log.exists()


def test_no_older_tls_than_1_2_is_spoken(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = transport._context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED
    assert context.keylog_filename is None


# The whole way.


@pytest.fixture
def app(make_app: App, server: Server) -> Flask:
    app = make_app(
        TESTING=True,
        RAMPART_ISSUERS=[{"issuer": server.url, "audience": AUDIENCE, "allow_private": True, "allow_http": True}],
    )
    app.get("/")(require()(lambda: "ok"))
    server.documents["/.well-known/openid-configuration"] = {"issuer": server.url, "jwks_uri": f"{server.url}/keys"}
    return app


def code(app: Flask, token: str) -> str:
    response = app.test_client().get("/", headers=bearer(token))
    return "ok" if response.status_code == 200 else response.json["code"]


def settle(app: Flask) -> None:
    for source in app.extensions["rampart"].services[Issuers]._sources.values():
        flight = source._flight
        assert flight is None or flight.landed.wait(10)


def test_200_threads_at_first_use_make_one_fetch_over_the_network(app: Flask, server: Server) -> None:
    key = new_key("one")
    server.documents["/keys"] = jwks(key)
    token = token_of(key, iss=server.url)
    app.extensions["rampart"].seal()
    with ThreadPoolExecutor(200) as pool:
        assert set(pool.map(lambda _: code(app, token), range(200))) == {"ok"}
    assert server.fetches("/keys") == 1


def test_an_issuer_that_is_killed_and_returns(app: Flask, server: Server, clock: Clock) -> None:
    key = new_key("one")
    server.documents["/keys"] = jwks(key)
    token = token_of(key, iss=server.url)
    server.kill()
    assert code(app, token) == "auth.unavailable"
    server.start()
    assert code(app, token) == "auth.unavailable"  # in the back-off, nothing is tried
    clock.advance(2)
    assert code(app, token) == "ok"
    server.kill()
    for _ in range(60):
        clock.advance(60)
        assert code(app, token) == "ok"
        settle(app)
    server.start()
    new = new_key("two")
    server.documents["/keys"] = jwks(key, new)
    clock.advance(120)
    assert code(app, token_of(new, iss=server.url)) == "ok"


def test_keys_rotate_while_requests_run_and_no_good_token_is_refused(app: Flask, server: Server, clock: Clock) -> None:
    old = new_key("0")
    server.documents["/keys"] = jwks(old)
    stop = threading.Event()
    current = [token_of(old, iss=server.url)]
    refused: list[str] = []
    assert code(app, current[0]) == "ok"

    def call() -> None:
        while not stop.is_set():
            for token in list(current):
                found = code(app, token)
                if found != "ok":
                    refused.append(found)

    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(call) for _ in range(6)]
        for n in range(1, 6):
            new = new_key(str(n))
            server.documents["/keys"] = jwks(old, new)
            clock.advance(31)
            current.append(token_of(new, iss=server.url))
            time.sleep(0.1)
            # Both keys are published while both are in use; then the older one goes.
            current.pop(0)
            time.sleep(0.05)
            old = new
        stop.set()
        for each in running:
            each.result()
    assert refused == []
    assert server.fetches("/keys") <= 12


def test_1000_unknown_kids_make_one_fetch_over_the_network(app: Flask, server: Server) -> None:
    key = new_key("one")
    server.documents["/keys"] = jwks(key)
    assert code(app, token_of(key, iss=server.url)) == "ok"
    forged = [token_of(new_key(f"x{n}"), iss=server.url) for n in range(10)]
    with ThreadPoolExecutor(6) as pool:
        answers = set(pool.map(lambda n: code(app, forged[n % 10]), range(1000)))
    assert answers == {"token.invalid"}
    assert server.fetches("/keys") == 2
    assert code(app, token_of(key, iss=server.url, jti="x")) == "ok"


def test_a_name_server_that_hangs_holds_no_request_beyond_its_wait(
    app: Flask, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `getaddrinfo` knows no timeout: it runs on the thread of the fetch, for which requests wait a bounded time.
    monkeypatch.setattr(keys, "WAIT", 0.2)
    key = new_key("one")
    server.documents["/keys"] = jwks(key)
    answers = threading.Event()
    ask = socket.getaddrinfo

    def slow(*args: Any, **options: Any) -> Any:
        answers.wait(10)
        return ask(*args, **options)

    monkeypatch.setattr(transport.socket, "getaddrinfo", slow)
    app.extensions["rampart"].seal()
    begun = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        found = set(pool.map(lambda _: code(app, token_of(key, iss=server.url)), range(20)))
    assert found == {"auth.unavailable"} and time.monotonic() - begun < 4
    answers.set()
    settle(app)
    assert code(app, token_of(key, iss=server.url)) == "ok"


def test_opaque_tokens_are_asked_about_over_the_network(make_app: App, server: Server, clock: Clock) -> None:
    asked = {"client_id": "api", "client_secret": "hunter2", "cache": 30}
    spec = {"issuer": server.url, "audience": AUDIENCE, "allow_private": True, "allow_http": True}
    app = make_app(TESTING=True, RAMPART_ISSUERS=[{**spec, "introspection": asked}])
    app.get("/")(require()(lambda: "ok"))
    server.documents["/.well-known/openid-configuration"] = {
        "issuer": server.url,
        "introspection_endpoint": f"{server.url}/introspect",
    }
    server.tokens["opaque"] = {"active": True, "sub": "ada", "aud": AUDIENCE}
    assert code(app, "opaque") == code(app, "opaque") == "ok"
    assert code(app, "other") == "token.invalid"
    assert server.asked == [{"token": [token], "token_type_hint": ["access_token"]} for token in ("opaque", "other")]
    server.kill()
    assert code(app, "opaque") == "ok"
    clock.advance(30)
    for _ in range(5):
        assert code(app, "opaque") == "auth.unavailable"
    server.start()
    assert code(app, "opaque") == "auth.unavailable"  # in the back-off, nobody is asked
    clock.advance(2)
    assert code(app, "opaque") == "ok"
    # Revoked at the issuer: over, some seconds later.
    server.tokens.clear()
    clock.advance(30)
    assert code(app, "opaque") == "token.invalid"


def test_a_secret_that_the_issuer_does_not_know_makes_nobody_guess(make_app: App, server: Server) -> None:
    asked = {"endpoint": f"{server.url}/i", "client_id": "api", "client_secret": "wrong"}
    spec = {"issuer": server.url, "audience": AUDIENCE, "allow_private": True, "allow_http": True}
    app = make_app(TESTING=True, RAMPART_ISSUERS=[{**spec, "introspection": asked}])
    app.get("/")(require()(lambda: "ok"))
    server.tokens["opaque"] = {"active": True, "sub": "ada", "aud": AUDIENCE}
    for n in range(10):
        assert code(app, f"opaque{n}") == "auth.unavailable"
    assert len(server.asked) == 1
