"""The rules for ``httpx``: a client whose every connection goes to addresses that were judged.

Rules, in order:

1. before a call, and before each redirect of it, its URL is read and its host and port are looked up in the lists;
2. each call has a connection of its own; the host is resolved, judged and connected to in one step;
3. the URL is not changed: ``Host``, SNI and the name in the certificate are the URL's;
4. each read and write ends at the call's deadline, and the answer at its size;
5. no cookie is kept from call to call.

There is no proxy and no HTTP/2. Of a redirect to another site, httpx drops ``Authorization`` and cookies, and nothing
else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from http.cookiejar import CookieJar
from typing import Any, TypeVar

import httpcore
import httpx

from .. import dialing
from .rules import Forgetful, Meter, OutboundRefused, Rules, check_head


def make(rules: Rules, max_redirects: int, cafile: str | None) -> httpx.Client:
    """A client under *rules*."""
    return httpx.Client(
        transport=_Transport(rules, cafile),
        trust_env=False,
        timeout=rules.timeout,
        headers={"Accept-Encoding": "identity"},
        cookies=CookieJar(Forgetful()),
        follow_redirects=max_redirects > 0,
        max_redirects=max_redirects,
    )


class _Transport(httpx.BaseTransport):
    def __init__(self, rules: Rules, cafile: str | None) -> None:
        self._rules = rules
        context = dialing.tls_context(system_roots=cafile is None)
        if cafile is not None:
            context.load_verify_locations(cafile)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=100,
            # Each call a connection of its own, so that each has its own deadline.
            max_keepalive_connections=0,
            network_backend=_Backend(rules),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        if url.userinfo:
            raise OutboundRefused("url", "it has a user or a password")
        # As it will be asked for, not as it is shown.
        port = b"" if url.port is None else b":%d" % url.port
        host = b"[%b]" % url.raw_host if b":" in url.raw_host else url.raw_host
        self._rules.admit(b"".join((url.raw_scheme, b"://", host, port, url.raw_path)).decode("latin-1"))
        extensions = {name: value for name, value in request.extensions.items() if name == "timeout"}
        asked = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=extensions,
        )
        answer = _translated(lambda: self._pool.handle_request(asked))
        fields = httpx.Headers(answer.headers)
        check_head(
            self._rules, request.method, fields.get("Content-Encoding"), fields.get("Content-Length"), answer.close
        )
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer), extensions=dict(answer.extensions)
        )

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        parts = iter(self._answer.stream)  # type: ignore[arg-type]
        while (part := _translated(lambda: next(parts, None))) is not None:
            yield part

    def close(self) -> None:
        self._answer.close()


_T = TypeVar("_T")


def _translated(call: Callable[[], _T]) -> _T:
    """What *call* returns; its errors under the names that callers of httpx know."""
    try:
        return call()
    except tuple(_ERRORS) as error:
        raise _ERRORS.get(type(error), httpx.TransportError)(str(error)) from error


_ERRORS: dict[type[Exception], Any] = {
    kind: getattr(httpx, name)
    for name in (
        *("ConnectError", "ConnectTimeout", "PoolTimeout", "ReadError", "ReadTimeout", "WriteError", "WriteTimeout"),
        *("LocalProtocolError", "RemoteProtocolError", "UnsupportedProtocol", "NetworkError", "ProtocolError"),
    )
    for kind in (getattr(httpcore, name),)
}


class _Backend(httpcore.NetworkBackend):
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        meter = Meter(self._rules)
        addresses = self._rules.pin(host.strip("[]"), port, meter.deadline)
        until = time.monotonic() + _left(meter, timeout, httpcore.ConnectTimeout)
        failed: Exception = httpcore.ConnectError("no address")
        for address in addresses[: dialing.MOST_ADDRESSES]:
            left = until - time.monotonic()
            if left <= 0:
                raise httpcore.ConnectTimeout("it takes no connection in time")
            try:
                stream = self._plain.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
            else:
                return _Stream(stream, meter)
        raise failed

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        raise OutboundRefused("host", "it is no network address")


class _Stream(httpcore.NetworkStream):
    """A connection that is used until the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, meter: Meter) -> None:
        self._stream = stream
        self._meter = meter

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, _left(self._meter, timeout, httpcore.ReadTimeout))
        self._meter.took(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # httpcore would give each part that the other side takes the whole time anew.
        sock = self._stream.get_extra_info("socket")
        rest = memoryview(buffer)
        try:
            while rest:
                sock.settimeout(_left(self._meter, timeout, httpcore.WriteTimeout))
                rest = rest[sock.send(rest) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._meter, timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._meter)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(meter: Meter, timeout: float | None, late: type[Exception]) -> float:
    try:
        return meter.within(timeout)
    except TimeoutError as error:
        raise late(str(error)) from None
