"""The rules for ``requests``: a session whose every connection goes to addresses that were judged.

Rules, in order:

1. before a call, and before each redirect of it, its URL is read and its host and port are looked up in the lists;
2. where a connection is opened, the host is resolved, judged and connected to, in one step: there is no second question
   to a name server. A connection that is kept alive is one that was judged;
3. the URL is not changed: ``Host``, SNI and the name in the certificate are the URL's;
4. each read and write ends at the call's deadline, and the answer at its size;
5. a redirect to another site takes along no field that may be a secret, and no cookie is kept from call to call.

A proxy would resolve names itself, so there is none, and neither is an adapter that the app mounts beside ours.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util import Retry

from .. import dialing
from ..errors import ConfigError
from .rules import Forgetful, Meter, Rules, check_head


def make(rules: Rules, max_redirects: int) -> requests.Session:
    """A session under *rules*."""
    return _Session(rules, max_redirects)


class _Session(requests.Session):
    """A session that calls through our adapter alone, and keeps nothing of who answered."""

    _follows: bool | None = None

    def __init__(self, rules: Rules, max_redirects: int) -> None:
        super().__init__()
        # Of the environment come proxies, passwords (.netrc) and certificates.
        self.trust_env = False
        self.headers["Accept-Encoding"] = "identity"
        self.cookies.set_policy(Forgetful())
        # To requests, a redirect too many is an error, also where none is followed.
        self.max_redirects = max(max_redirects, 1)
        self._follows = max_redirects > 0
        # Every scheme: what is none of ours is refused, not looked for elsewhere.
        self.mount("", _Adapter(rules))

    def mount(self, prefix: str, adapter: Any) -> None:
        if isinstance(adapter, _Adapter):
            super().mount(prefix, adapter)
        elif self._follows is not None:
            raise ConfigError(
                "outbound: an adapter of your own would call what nobody judged. For retries, set "
                "session.get_adapter(url).max_retries."
            )

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        # Where none is followed, a redirect is an answer like any other.
        return super().send(request, **(kwargs if self._follows else {**kwargs, "allow_redirects": False}))

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        super().rebuild_auth(prepared_request, response)
        if self.should_strip_auth(response.request.url or "", prepared_request.url or ""):
            # requests drops Authorization alone; a key or a signature is as much a secret in a field of another name.
            prepared_request.prepare_cookies({})
            for name in [name for name in prepared_request.headers if name.lower() not in _NO_SECRET]:
                del prepared_request.headers[name]


#: The fields of a request that go along with a redirect to another site: they say what is asked for, not who asks.
_NO_SECRET = frozenset(
    (
        *("accept", "accept-encoding", "accept-language", "cache-control", "connection", "range", "user-agent"),
        *("content-encoding", "content-language", "content-length", "content-type", "transfer-encoding"),
        *("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since"),
    )
)


class _Adapter(HTTPAdapter):
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self._rules)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        if any((proxies or {}).values()):
            raise ConfigError("outbound: a proxy resolves names itself, so that nothing could be judged here.")
        if not verify:
            raise ConfigError('outbound: certificates are always checked. Give your own with verify="ca.pem".')
        self._rules.admit(request.url or "")
        # Who answers would say how long this sleeps between two tries: six hours, if he likes.
        self.max_retries = Retry.from_int(self.max_retries).new(respect_retry_after_header=False)
        response = super().send(request, stream, self._shorter(timeout), verify, cert, None)
        fields = response.headers
        check_head(
            self._rules, request.method, fields.get("Content-Encoding"), fields.get("Content-Length"), response.close
        )
        return response

    def _shorter(self, timeout: Any) -> Any:
        most = self._rules.timeout
        steps = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        return tuple(most if step is None else min(step, most) for step in steps)

    def proxy_manager_for(self, *_: Any, **__: Any) -> Any:
        raise ConfigError("outbound: a proxy resolves names itself, so that nothing could be judged here.")


def _pools(rules: Rules) -> dict[str, Any]:
    plain = type("_Plain", (_Pinned, HTTPConnection), {"rules": rules})
    secure = type("_Secure", (_PinnedTls, HTTPSConnection), {"rules": rules})
    return {
        "http": type("_PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("_SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
    }


class _Timed(socket.socket):
    """A socket that is used until the deadline."""

    meter: Meter

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.meter.within(self.gettimeout()))
        count = super().recv_into(*args, **kwargs)
        self.meter.took(count)
        return count

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(self.meter.within(self.gettimeout()))
        super().sendall(*args, **kwargs)


class _TimedTls(ssl.SSLSocket):
    meter: Meter | None = None

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        # None while TLS is begun: its deadline is the socket's timeout then.
        if self.meter is None:
            return super().recv_into(*args, **kwargs)
        self.settimeout(self.meter.within(self.gettimeout()))
        count = super().recv_into(*args, **kwargs)
        self.meter.took(count)
        return count

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        if self.meter is not None:
            self.settimeout(self.meter.within(self.gettimeout()))
        super().sendall(*args, **kwargs)


class _Pinned:
    """Of a connection: to where it goes, and until when. Before a connection of urllib3 in the order of bases."""

    rules: Rules
    #: Of the connection that they are mixed into.
    _dns_host: str
    host: str
    port: int
    sock: Any
    timeout: Any

    _meter: Meter | None = None
    #: Whether a call has begun: urllib3 opens a connection within one, or for one that is about to begin.
    _calling = False
    #: Whether the connection was opened for a call that is about to begin, which is then what the meter is for.
    _ahead = False

    def connect(self) -> None:
        self._meter, self._ahead = Meter(self.rules), not self._calling
        super().connect()  # type: ignore[misc]
        self.sock.meter = self._meter

    def putrequest(self, *args: Any, **kwargs: Any) -> Any:
        if self.sock is not None and not self._ahead:
            self._meter = self.sock.meter = Meter(self.rules)
        self._calling, self._ahead = True, False
        return super().putrequest(*args, **kwargs)  # type: ignore[misc]

    def close(self) -> None:
        self._calling = False
        super().close()  # type: ignore[misc]

    def _new_conn(self) -> socket.socket:
        meter = self._meter or Meter(self.rules)
        addresses = self.rules.pin(self._dns_host.strip("[]"), self.port, meter.deadline)
        wait = self.timeout if isinstance(self.timeout, (int, float)) else None
        try:
            until = time.monotonic() + meter.within(wait)
            sock = dialing.connect(addresses, self.port, until, _Timed)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"{self.host} takes no connection in time") from error
        except OSError as error:
            raise NewConnectionError(self, f"{self.host} takes no connection") from error  # type: ignore[arg-type]
        assert isinstance(sock, _Timed)  # noqa: S101 - for the type
        sock.meter = meter
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(max(until - time.monotonic(), 0.001))
        return sock


class _PinnedTls(_Pinned):
    ssl_context: Any

    def connect(self) -> None:
        # One for each connection: urllib3 writes into it. Certificates are those that requests names.
        self.ssl_context = dialing.tls_context(system_roots=False)
        self.ssl_context.sslsocket_class = _TimedTls
        super().connect()
