"""Fetches one document over https, or asks one question, and trusts nothing on the way.

Rules, in order:

1. the URL is https (http only where that was allowed), read strictly (``weburl``), and without a fragment;
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
import json
import re
import socket
import ssl
import time
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, NamedTuple, Protocol

from ..addresses import is_permitted
from ..dialing import connect, look_up, tls_context
from ..weburl import NotReadable, read_url

MAX_BODY = 256 * 1024
_MAX_HEAD = 64 * 1024
_DIGITS = re.compile(r"[0-9]{1,9}")
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
        try:
            found = read_url(url)
        except NotReadable as error:
            raise FetchFailed(str(error)) from None
        if found.scheme == "http" and not allow_http:
            raise FetchFailed("it is not https")
        if "#" in url:
            raise FetchFailed("it has a fragment")
        return cls(found.scheme == "https", found.host, found.port, found.path)


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


def resolve(host: str, port: int, allow_private: bool) -> list[str]:
    """The addresses of *host*, all of them permitted.

    :raises FetchFailed: if there is none, or one that is not: a name with both is made to deceive.
    """
    try:
        addresses = look_up(host, port)
    except (OSError, UnicodeError):
        raise FetchFailed("its host has no address") from None
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
    sock = connect(resolve(target.host, target.port, allow_private), target.port, deadline)
    try:
        if target.tls:
            # The timeout is for the whole handshake.
            sock.settimeout(max(deadline - time.monotonic(), 0.001))
            sock = tls_context().wrap_socket(sock, server_hostname=target.host)
        return _Channel(sock, deadline)
    except BaseException:
        sock.close()
        raise


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
