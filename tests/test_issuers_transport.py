"""Fetching keys and asking over real sockets: what a hostile or broken server may do."""

# ruff: noqa: F401, F811 - a fixture comes from a module

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from flask_rampart.addresses import is_permitted
from flask_rampart.dialing import tls_context
from flask_rampart.issuers import transport
from flask_rampart.issuers.transport import Fetched, FetchFailed, Form, fetch

from .issuing import Server, server


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
            assert time.monotonic() - begun < 8  # it ends by itself after ten
            stop.set()
        stop.clear()


def test_a_server_that_is_not_there_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(FetchFailed, match="on the way"):
        get(port)


@pytest.mark.parametrize(
    ("head", "body", "expected"),
    [
        (b"400 No", b'{"error":"invalid_client"}', (401, 0)),
        (b"400 No", b'{"error":"invalid_request"}', (400, 0)),
        (b"400 No", b"[1]", (400, 0)),
        (b"400 No", b"[" * 5000, (400, 0)),
        (b"403 No", b'{"error":"invalid_client"}', (403, 0)),
        (b"429 No\r\nRetry-After: 17", b"", (429, 17)),
        (b"429 No\r\nRetry-After: -1", b"", (429, 0)),
        (b"429 No\r\nRetry-After: Wed, 21 Oct 2099 07:28:00 GMT", b"", (429, 0)),
        (b"429 No\r\nRetry-After: 99999999999999999999", b"", (429, 0)),
    ],
)
def test_an_answer_to_a_question_says_who_is_wrong_and_for_how_long(
    head: bytes, body: bytes, expected: tuple[int, int]
) -> None:
    # RFC 6749 section 5.2: a wrong secret may be answered with 400.
    with raw(saying(b"HTTP/1.1 " + head + b"\r\nContent-Length: %d\r\n\r\n" % len(body), body)) as port:
        with pytest.raises(FetchFailed) as caught:
            url, deadline = f"http://127.0.0.1:{port}/", time.monotonic() + 5
            fetch(url, allow_private=True, allow_http=True, deadline=deadline, form=Form(b"token=a"))
        assert (caught.value.status, caught.value.retry_after) == expected


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
    context = tls_context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED
    assert context.keylog_filename is None
