"""Places to call: a server that must not be reached, and one with a certificate of a test's own root."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Place:
    """A server on this host. ``answer`` writes what it says; the default is ``hello``."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.seen: list[tuple[str, str]] = []
        self.opened = 0
        self.answer: Callable[[BaseHTTPRequestHandler], None] = hello
        place = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                place.opened += 1
                super().setup()

            def do_GET(self) -> None:
                place.seen.append((self.path, self.headers["Host"]))
                place.answer(self)

            do_HEAD = do_GET  # noqa: N815 - its name is that of the method

            def log_message(self, *_: Any) -> None:
                pass

        class Listener(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A caller that hangs up is what some tests are about."""

        self._server = Listener(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_port
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def hello(to: BaseHTTPRequestHandler) -> None:
    say(to, b"hello")


def say(to: BaseHTTPRequestHandler, body: bytes, status: int = 200, **fields: str) -> None:
    to.send_response(status)
    to.send_header("Content-Length", str(len(body)))
    for name, value in fields.items():
        to.send_header(name.replace("_", "-"), value)
    to.end_headers()
    to.wfile.write(body)


@contextmanager
def place(context: ssl.SSLContext | None = None) -> Iterator[Place]:
    found = Place(context)
    try:
        yield found
    finally:
        found.close()


def certified(folder: Path, *names: str) -> tuple[Path, ssl.SSLContext]:
    """A root of trust in a file, and a server's context with a certificate of it for *names*."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def made(name: str, issuer: str, key: Any, by: Any, ca: bool) -> x509.Certificate:
        alternatives: list[x509.GeneralName] = []
        for each in names:
            try:
                alternatives.append(x509.IPAddress(ipaddress.ip_address(each)))
            except ValueError:
                alternatives.append(x509.DNSName(each))
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
        )
        if ca:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        else:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(by, hashes.SHA256())

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = made("Test root", "Test root", root_key, root_key, True)
    leaf = made(names[0], "Test root", key, root_key, False)
    pem, chain, secret = folder / "root.pem", folder / "chain.pem", folder / "key.pem"
    pem.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    chain.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, secret)
    return pem, context
