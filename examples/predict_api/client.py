"""A client that can be rude: it sends what it is told, also what a well-behaved client never would.

Standard library only. Each request has its own connection, as if it came from somebody else.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    started: float  # when the request was sent, on the client's watch
    seconds: float  # as the client waited

    @property
    def request_id(self) -> str:
        """What the server calls this request in its logs."""
        return self.headers.get("X-Request-Id") or ""

    @property
    def document(self) -> dict[str, Any]:
        """The body as a JSON object; empty if it is none."""
        with suppress(ValueError):
            document = json.loads(self.body)
            if isinstance(document, dict):
                return document
        return {}

    @property
    def code(self) -> str:
        """The stable code of a problem document (RFC 9457); empty for other answers."""
        if self.headers.get_content_type() != "application/problem+json":
            return ""
        return str(self.document.get("code", ""))

    @property
    def by_flask(self) -> bool:
        """Whether Flask has seen the request: the API marks what it has."""
        return "Server-Timing" in self.headers

    def left(self, quota: str) -> int:
        """What there is left of a quota, as the answer tells; -1 if it does not tell of that one."""
        told = re.fullmatch(rf'"{re.escape(quota)}";r=(\d+);t=\d+', self.headers.get("RateLimit") or "")
        return int(told[1]) if told else -1


@dataclass(frozen=True, slots=True)
class Client:
    """Speaks to one server on this machine."""

    port: int
    address: str = "127.0.0.1"
    """Its own address; all of 127.0.0.0/8 are this machine's."""

    def send(
        self,
        method: str,
        path: str,
        headers: Sequence[Header] = (),
        body: bytes | None = None,
        *,
        chunks: Iterable[bytes] | None = None,
        declared: int | None = None,
        connected: Callable[[], object] = lambda: None,
        reading: Callable[[http.client.HTTPResponse], bytes] = http.client.HTTPResponse.read,
    ) -> Answer:
        """Sends one request and reads the answer.

        :param headers: as they are, in this order, also twice.
        :param chunks: the body in pieces, without saying beforehand how long it is (``chunked``).
        :param declared: a ``Content-Length`` that is not the body's.
        :param connected: is called when there is a connection, and nothing has been sent yet.
        :param reading: reads as much of the answer's body as is wanted; then the client hangs up.
        :raises OSError: if no answer came.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15, source_address=(self.address, 0))
        try:
            connection.connect()
            connected()
            started = perf_counter()
            connection.putrequest(method, path)
            for name, value in headers:
                connection.putheader(name, value)
            if chunks is not None:
                connection.putheader("Transfer-Encoding", "chunked")
            elif body is not None or declared is not None:
                connection.putheader("Content-Length", str(len(body or b"") if declared is None else declared))
            # A server may refuse and hang up before it has read everything. That is its right, and the
            # answer is there to be read.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.endheaders(body)
                for chunk in chunks or ():
                    connection.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                if chunks is not None:
                    connection.send(b"0\r\n\r\n")
            with connection.getresponse() as response:
                content = reading(response)
                return Answer(response.status, response.headers, content, started, perf_counter() - started)
        finally:
            connection.close()

    def get(self, path: str, token: str | None = None) -> Answer:
        """GET, with a bearer token if there is one."""
        return self.send("GET", path, bearer(token))

    def post(self, path: str, body: object, token: str | None = None) -> Answer:
        """POST of a JSON body; bytes go as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", path, [*bearer(token), ("Content-Type", "application/json")], content)


def bearer(token: str | None) -> list[Header]:
    """The header that carries a token (RFC 6750)."""
    return [] if token is None else [("Authorization", f"Bearer {token}")]


def at_once(count: int, send: Callable[[], Answer], most: int = 50) -> list[Answer]:
    """Does the same *count* times, all at the same time; of more than *most*, so many at a time."""
    with ThreadPoolExecutor(min(count, most)) as pool:
        return [future.result() for future in [pool.submit(send) for _ in range(count)]]
