"""Fetches one document over https, or asks one question, and trusts nothing on the way.

Rules, in order:

1. the URL is https (http only where that was allowed), ASCII, at most 2,048 characters, without user, password and
   fragment;
2. the host is resolved once, and every address of it is public, unless private ones were allowed; link-local ones,
   where clouds keep their credentials, are never called;
3. the connection goes to an address that was checked, so that a second answer of the name server changes nothing (DNS
   rebinding); the certificate is checked for the host's name, by the system's roots;
4. the answer is a 200: no redirect is followed (GHSA-9v7f-9g4p-ffgj), no content coding is taken;
5. it has at most :data:`MAX_BODY` bytes, and all of it arrives before the deadline, however slowly it drips.

No proxy of the environment is used, no cookie kept, no file read (CVE-2026-48522). Of the environment,
``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are honoured, which say whom the host trusts; ``SSLKEYLOGFILE`` is not: what goes
over these connections may be a secret.

The one thing that the deadline cannot end is the question to the name server: the system does. So whoever calls
:func:`fetch` does it on a thread of its own, and waits for that no longer than it wants to.
"""

from __future__ import annotations

import io
import ipaddress
import json
import re
import socket
import ssl
import sys
import time
from collections.abc import Iterable
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

MAX_BODY = 256 * 1024
LONGEST_URL = 2048
_MAX_HEAD = 64 * 1024
_MOST_ADDRESSES = 4
_DIGITS = re.compile(r"[0-9]{1,9}")
_PLAIN = re.compile(r"[\x21-\x7e]+")
_MAX_AGE = re.compile(r'(?:^|[,\s])max-age\s*=\s*"?(\d{1,10})"?\s*(?:,|$)', re.IGNORECASE)
_NOT_KEPT = re.compile(r"(?:^|[,\s])no-(?:store|cache)\s*(?:[,=]|$)", re.IGNORECASE)


class FetchFailed(Exception):
    """A document that could not be had; says why, for the log.

    ``status`` is the answer's, if there was one: 401 also where a question's answer says in another way that who asks
    is not known (RFC 6749 section 5.2). ``retry_after`` is what it said of that, in seconds.
    """

    def __init__(self, reason: str, status: int = 0, retry_after: int = 0) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after = retry_after


class Fetched(NamedTuple):
    """A document, and for how many seconds it may be kept, if the answer said so."""

    body: bytes
    max_age: int | None = None


class Form(NamedTuple):
    """A question: what is posted, and who asks. It holds secrets, so it never shows what is in it."""

    body: bytes
    #: The value of ``Authorization``, if the question has one.
    authorization: str | None = None

    def __repr__(self) -> str:
        return "Form(...)"


class Transport(Protocol):
    """How documents are fetched. Tests give another."""

    def __call__(
        self, url: str, *, allow_private: bool, allow_http: bool, deadline: float, form: Form | None = None
    ) -> Fetched:
        """The document at *url*, or the answer to *form* there, before *deadline* (``time.monotonic()``).

        :raises FetchFailed: whatever went wrong.
        """


class Target(NamedTuple):
    """Where a URL leads."""

    tls: bool
    host: str
    port: int
    path: str

    @classmethod
    def read(cls, url: str, *, allow_http: bool) -> Target:
        """Reads an absolute URL.

        :raises FetchFailed: if it is none that may be called.
        """
        if len(url) > LONGEST_URL:
            raise FetchFailed(f"it is longer than {LONGEST_URL} characters")
        if not _PLAIN.fullmatch(url) or "\\" in url:
            raise FetchFailed("it has characters that no URL has")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise FetchFailed("it is no URL") from None
        if parts.scheme not in ("https", "http") or (parts.scheme == "http" and not allow_http):
            raise FetchFailed("it is not https")
        if not host or port == 0 or "%" in host:
            raise FetchFailed("it names no host")
        if "@" in parts.netloc or "#" in url:
            raise FetchFailed("it has a user, a password or a fragment")
        tls = parts.scheme == "https"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(tls, host, port or (443 if tls else 80), path)


def fetch(url: str, *, allow_private: bool, allow_http: bool, deadline: float, form: Form | None = None) -> Fetched:
    """The :class:`Transport` of production: see the rules above."""
    target = Target.read(url, allow_http=allow_http)
    try:
        channel = _connect(target, allow_private, deadline)
        try:
            return _talk(target, channel, form)
        finally:
            channel.end()
    except FetchFailed:
        raise
    except ssl.SSLCertVerificationError as error:
        raise FetchFailed(f"its certificate is not valid: {error.verify_message}") from None
    except TimeoutError:
        raise FetchFailed("it did not answer in time") from None
    except (OSError, ValueError, HTTPException) as error:
        raise FetchFailed(f"{type(error).__name__} on the way") from None


def is_permitted(address: str, *, allow_private: bool) -> bool:
    """Whether *address* may be called."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner: list[ipaddress.IPv4Address | None] = []
    if isinstance(ip, ipaddress.IPv6Address):
        # An IPv4 address in disguise is judged as what it is: mapped, 6to4, Teredo, NAT64 (RFC 6052).
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if any(ip in network for network in (_NAT64, *_DISGUISES)):
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    hidden = [each for each in inner if each is not None]
    if any(not is_permitted(str(each), allow_private=allow_private) for each in hidden):
        return False
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip in _METADATA:
        return False
    if allow_private or (isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped or ip in _NAT64)):
        return True
    # Python's own list lacked some of these before its 3.12.4 (CVE-2024-4032).
    special = any(ip.version == network.version and ip in network for network in _SPECIAL)
    return ip.is_global and not (ip.is_private or ip.is_reserved or ip.is_loopback or special)


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: Compatible (RFC 4291), translated (RFC 2765) and local NAT64 (RFC 8215): an IPv4 address in the last 32 bits.
_DISGUISES = tuple(ipaddress.IPv6Network(text) for text in ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48"))
_SPECIAL: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "64:ff9b:1::/48",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
)
#: Where clouds keep what a machine may do, at addresses that are not link-local; never called.
_METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")
)


def resolve(host: str, port: int, allow_private: bool) -> list[str]:
    """The addresses of *host*, all of them permitted.

    :raises FetchFailed: if there is none, or one that is not: a name with both is made to deceive.
    """
    try:
        found: Iterable[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise FetchFailed("its host has no address") from None
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    if not addresses:
        raise FetchFailed("its host has no address")
    if not all(is_permitted(address, allow_private=allow_private) for address in addresses):
        raise FetchFailed("its host has an address that is private or reserved ('allow_private')")
    return addresses


class _Channel:
    """A connection that ends at the deadline, and after as much as a document may have. ``http.client``'s socket."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline
        self._left = MAX_BODY + _MAX_HEAD

    def sendall(self, data: bytes) -> None:
        self._hurry()
        self._sock.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def receive(self, buffer: Any) -> int:
        if self._left <= 0:
            raise FetchFailed(f"it is larger than {MAX_BODY} bytes")
        self._hurry()
        count = self._sock.recv_into(buffer, min(len(buffer), self._left))
        self._left -= count
        return count

    def close(self) -> None:
        """Nothing: ``http.client`` closes a socket that its response still reads from."""

    def end(self) -> None:
        self._sock.close()

    def _hurry(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)


class _Reader(io.RawIOBase):
    def __init__(self, channel: _Channel) -> None:
        self._channel = channel

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._channel.receive(buffer)


def _connect(target: Target, allow_private: bool, deadline: float) -> _Channel:
    failed: OSError = OSError("no address")
    for address in resolve(target.host, target.port, allow_private)[:_MOST_ADDRESSES]:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.settimeout(left)
            try:
                sock.connect((address, target.port))
            except OSError as error:
                failed = error
                sock.close()
                continue
            if target.tls:
                # The timeout is for the whole handshake.
                sock.settimeout(max(deadline - time.monotonic(), 0.001))
                sock = _context().wrap_socket(sock, server_hostname=target.host)
            return _Channel(sock, deadline)
        except BaseException:
            sock.close()
            raise
    raise failed


def _context() -> ssl.SSLContext:
    """As ``ssl.create_default_context()``, which would also write the keys of the connection to ``SSLKEYLOGFILE``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    context.load_default_certs()
    return context


def _talk(target: Target, channel: _Channel, form: Form | None) -> Fetched:
    connection = HTTPConnection(target.host, target.port)
    connection.default_port = 443 if target.tls else 80
    connection.auto_open = 0
    connection.sock = channel
    connection.putrequest("POST" if form else "GET", target.path, skip_accept_encoding=True)
    fields = [("Accept", "application/json"), ("Accept-Encoding", "identity"), ("Connection", "close")]
    if form:
        fields.append(("Content-Type", "application/x-www-form-urlencoded"))
        fields.append(("Content-Length", str(len(form.body))))
        if form.authorization:
            fields.append(("Authorization", form.authorization))
    for name, value in fields:
        connection.putheader(name, value)
    connection.endheaders(form.body if form else None)
    response = connection.getresponse()
    try:
        if response.status != 200:
            if form and response.status == 400 and _is_unknown_client(response):
                raise FetchFailed("its answer is 400 invalid_client: it does not know 'client_id' and its secret", 401)
            kind = "a redirect, which is not followed" if 300 <= response.status < 400 else "not 200"
            wait = response.headers.get("Retry-After", "")
            retry_after = int(wait) if _DIGITS.fullmatch(wait) else 0
            raise FetchFailed(f"its answer is {response.status}, {kind}", response.status, retry_after)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise FetchFailed("its answer has a content coding")
        return Fetched(_body(response), _max_age(response.headers.get_all("Cache-Control", [])))
    finally:
        response.close()


def _is_unknown_client(response: HTTPResponse) -> bool:
    try:
        said = json.loads(_body(response))
    except (OSError, HTTPException, FetchFailed, ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("error") == "invalid_client"


def _body(response: HTTPResponse) -> bytes:
    declared = response.length
    if declared is not None and declared > MAX_BODY:
        raise FetchFailed(f"it is larger than {MAX_BODY} bytes")
    # A bound in the call itself: without one, memory for the declared size of a chunk is taken first.
    body = response.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        raise FetchFailed(f"it is larger than {MAX_BODY} bytes")
    if declared is not None and len(body) < declared:
        raise FetchFailed("it ended before its declared length")
    return body


def _max_age(fields: list[str]) -> int | None:
    text = ",".join(fields)
    if _NOT_KEPT.search(text):
        return 0
    found = _MAX_AGE.search(text)
    return int(found[1]) if found else None
