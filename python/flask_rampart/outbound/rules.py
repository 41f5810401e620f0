"""Decides whether a URL may be called for somebody else, and to which addresses such a call goes.

Rules, in order; the first that does not hold refuses:

1. the URL is one that all readers agree about (``weburl``);
2. its scheme is among ``schemes``, its port among ``ports``;
3. its host is among ``hosts``, and among ``RAMPART_OUTBOUND_HOSTS``, where those are given; it is no name under which a
   cloud answers a machine about itself;
4. the host is resolved once, before the deadline, and *every* address that it has is public or in a network that was
   allowed (``addresses``): a name with both kinds is made to deceive;
5. what is returned are those addresses. Who connects to them, and to nothing else, cannot be sent elsewhere by a second
   answer of the name server (DNS rebinding).

It does not judge what is under the URL, nor who asks.

Sources: CWE-918; OWASP "Server Side Request Forgery Prevention"; ASVS 5.0 V1.3.6.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from http.cookiejar import Cookie, DefaultCookiePolicy
from ipaddress import ip_network
from typing import Any, TypeVar
from urllib.request import Request

from flask import current_app, has_app_context

from .. import dialing, readers
from ..addresses import Network, is_allowed, kind_of
from ..dialing import Resolver
from ..errors import ConfigError, Denied, RampartError
from ..exchange import EXTENSION
from ..weburl import PORTS, NotReadable, WebUrl, read_host, read_url

_MOST_FOUND = 64
_METADATA = frozenset(
    {
        "instance-data",
        "instance-data.ec2.internal",
        "metadata",
        "metadata.goog",
        "metadata.google.internal",
        "metadata.packet.net",
        "metadata.platformequinix.com",
        "metadata.tencentyun.com",
    }
)


class OutboundRefused(RampartError):
    """A URL that is not called, or an answer that is not read on. Its text is for the log, never for the peer.

    ``rule`` says which rule refused, in a word or two: ``"url"``, ``"scheme"``, ``"port"``, ``"host"``,
    ``"resolve"``, ``"address: loopback"``, ``"size"``, ``"coding"``.

    What a peer may learn is :meth:`denied`, which is the same for all rules: whether a name exists in your network, and
    what is open there, is not told.
    """

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(f"{rule}: {reason}")
        self.rule = rule
        self._reason = reason

    def __reduce__(self) -> tuple[type[OutboundRefused], tuple[str, str]]:
        """As a worker's answer: an exception that cannot be unpickled breaks the pool that it came from."""
        return type(self), (self.rule, self._reason)

    def denied(self) -> Denied:
        """The problem ``url.refused`` (422), to raise in a view where the peer gave the URL.

        >>> OutboundRefused("port", "port 22 is not among those that may be called").denied().problem.status
        422
        """
        return Denied.of("url.refused", self.rule)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads, judged. ``addresses`` are all of the host's; connect to them and to nothing else.

    ``url`` is the URL as it was read, without a fragment; ``host`` is in lower case, without brackets.
    """

    url: str
    scheme: str
    host: str
    port: int
    addresses: tuple[str, ...]

    def connect(self, timeout: float = 10.0) -> socket.socket:
        """A connection to one of the addresses; for ``https`` with TLS, its certificate checked for the host's name.

        :param timeout: seconds for all of it, and for each use of the socket after.
        :raises OSError: if there is none, ``TimeoutError`` and ``ssl.SSLError`` included.
        """
        deadline = time.monotonic() + timeout
        sock = dialing.connect(self.addresses, self.port, deadline)
        try:
            if self.scheme == "https":
                sock.settimeout(max(deadline - time.monotonic(), 0.001))
                sock = dialing.tls_context().wrap_socket(sock, server_hostname=self.host)
            sock.settimeout(timeout)
        except BaseException:
            sock.close()
            raise
        return sock


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """What may be called. Made once, by :meth:`of`; safe to share."""

    schemes: frozenset[str]
    ports: frozenset[int]
    hosts: tuple[str, ...] | None
    networks: tuple[Network, ...] | None
    resolver: Resolver | None
    timeout: float
    max_bytes: int
    settings: Any

    @classmethod
    def of(
        cls,
        *,
        schemes: Sequence[str],
        ports: Collection[int] | None,
        hosts: Iterable[str] | None,
        allow_networks: Iterable[str] | None,
        resolver: Resolver | None,
        timeout: float,
        max_bytes: int = 1,
    ) -> Rules:
        """The rules, checked.

        :raises ConfigError: for what cannot be a rule.
        """
        wanted = _listed("schemes", schemes)
        if not wanted or not set(wanted) <= set(PORTS):
            raise ConfigError(f"schemes must be some of {', '.join(PORTS)}, not {schemes!r}.")
        numbers = [PORTS[scheme] for scheme in wanted] if ports is None else _listed("ports", ports)
        if not numbers or not all(type(port) is int and 0 < port < 65536 for port in numbers):
            raise ConfigError(f"ports must be numbers from 1 to 65535, not {ports!r}.")
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= 3600:
            raise ConfigError(f"timeout must be seconds above 0, at most 3600, not {timeout!r}.")
        if type(max_bytes) is not int or max_bytes < 1:
            raise ConfigError(f"max_bytes must be a whole number above 0, not {max_bytes!r}.")
        patterns = None if hosts is None else readers.host_patterns("hosts", _listed("hosts", hosts))
        networks = None
        if allow_networks is not None:
            texts = _listed("allow_networks", allow_networks)
            networks = _networks(readers.outbound_networks("allow_networks", texts) if texts else ())
        return cls(
            schemes=frozenset(wanted),
            ports=frozenset(numbers),
            hosts=patterns,
            networks=networks,
            resolver=resolver,
            timeout=float(timeout),
            max_bytes=max_bytes,
            settings=_settings(),
        )

    def admit(self, url: str) -> WebUrl:
        """*url*, if rules 1 to 3 hold.

        :raises OutboundRefused: if one does not.
        """
        if not isinstance(url, str):
            raise TypeError(f"url is a text, not {type(url).__name__}")
        try:
            found = read_url(url)
        except NotReadable as error:
            raise OutboundRefused("url", str(error)) from None
        if found.scheme not in self.schemes:
            raise OutboundRefused("scheme", f"{found.scheme} is not among those that may be called")
        self._admit_place(found.host, found.port)
        return found

    def pin(self, host: str, port: int, deadline: float) -> tuple[str, ...]:
        """The addresses of *host*, all of them judged.

        :raises OutboundRefused: if there is none, or one that may not be called.
        """
        # Once more: a client asks for what *it* read.
        try:
            host = read_host(f"[{host}]" if ":" in host else host)
        except NotReadable as error:
            raise OutboundRefused("url", str(error)) from None
        self._admit_place(host, port)
        found = [host] if kind_of(host) != "unreadable" else self._resolved(host, port, deadline)
        for address in found:
            kind = kind_of(address)
            if kind != "public" and not is_allowed(address, self._allowed()):
                raise OutboundRefused(f"address: {kind}", f"{host} has the address {address}")
        return tuple(found)

    def _admit_place(self, host: str, port: int) -> None:
        if port not in self.ports:
            raise OutboundRefused("port", f"port {port} is not among those that may be called")
        settings = _settings() or self.settings
        for patterns in (self.hosts, getattr(settings, "outbound_hosts", ()) or None):
            if patterns is not None and not any(_matches(host, pattern) for pattern in patterns):
                raise OutboundRefused("host", f"{host} is not among those that may be called")
        if host in _METADATA:
            raise OutboundRefused("host", f"{host} answers a machine about itself")

    def _resolved(self, host: str, port: int, deadline: float) -> list[str]:
        try:
            found = dialing.look_up_until(self.resolver or dialing.look_up, host, port, deadline)
        except TimeoutError:
            raise OutboundRefused("resolve", f"the name server did not answer about {host} in time") from None
        except dialing.Busy as busy:
            raise OutboundRefused("resolve", str(busy)) from None
        except (OSError, UnicodeError):
            raise OutboundRefused("resolve", f"{host} has no address") from None
        if not found:
            raise OutboundRefused("resolve", f"{host} has no address")
        if len(found) > _MOST_FOUND:
            raise OutboundRefused("resolve", f"{host} has more than {_MOST_FOUND} addresses")
        return found

    def _allowed(self) -> tuple[Network, ...]:
        if self.networks is not None:
            return self.networks
        return _networks(getattr(_settings() or self.settings, "outbound_allow", ()))


def _matches(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*") else host == pattern


def _networks(texts: Iterable[str]) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


def _settings() -> Any:
    """Those of the app whose context this is; None outside of one."""
    state = current_app.extensions.get(EXTENSION) if has_app_context() else None
    return getattr(state, "settings", None)


_T = TypeVar("_T")


def _listed(name: str, values: Iterable[_T]) -> list[_T]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise ConfigError(f"{name} must be a list, not {type(values).__name__}.")
    return list(values)


class Meter:
    """What one call may take: time until the deadline, and bytes of its answer, head and all."""

    def __init__(self, rules: Rules) -> None:
        self.deadline = time.monotonic() + rules.timeout
        self._left = rules.max_bytes
        self._most = rules.max_bytes

    def within(self, timeout: float | None) -> float:
        """*timeout*, or what is left of the time if that is less.

        :raises TimeoutError: if nothing is.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the call did not end in time")
        return min(left, math.inf if timeout is None else timeout)

    def took(self, count: int) -> None:
        """Counts what came.

        :raises OutboundRefused: if it is too much.
        """
        self._left -= count
        if self._left < 0:
            raise OutboundRefused("size", f"the answer is larger than {self._most} bytes")


class Forgetful(DefaultCookiePolicy):
    """Keeps no cookie of an answer: each stranger could leave megabytes of them, and they would tell the next call who
    made the one before. Cookies that the app sets are sent."""

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        return False


def check_head(
    rules: Rules, method: str | None, coding: str | None, length: str | None, close: Callable[[], None]
) -> None:
    """Refuses an answer that is compressed: nobody asked for it, and a few bytes would become very many; and one that
    says itself that it is too large: some ways to read it take memory for all that was announced.
    """
    if coding is not None and coding.strip().lower() not in ("", "identity"):
        close()
        raise OutboundRefused("coding", "the answer has a content coding that was not asked for")
    size = (length or "").strip().lstrip("0")
    # Compared as texts first: a length of thousands of digits is no number to Python.
    if method != "HEAD" and size.isdecimal() and (len(size) > 18 or int(size) > rules.max_bytes):
        close()
        raise OutboundRefused("size", f"the answer is larger than {rules.max_bytes} bytes")
