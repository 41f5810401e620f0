"""Decides whether a request is for this app: whether its ``Host`` is one of ours.

Whatever builds an address from a request (``url_for(_external=True)``, redirects, links in mails, keys of caches) goes
by ``Host``, which the peer writes. Rules, in order:

1. a ``Host`` that is no host and port, or is empty, is refused with ``request.malformed``, as is HTTP/1.1 without one
   (RFC 9112 section 3.2), whatever is configured. That two were sent, ``peers`` has seen before;
2. where ``RAMPART_TRUSTED_HOSTS`` is set, the host must be one of those; where Flask's ``TRUSTED_HOSTS`` is set, one of
   those as well. Another is refused with ``host.unknown``, 421 (RFC 9110 section 15.5.20);
3. what goes on carries ``Host`` in one spelling: lower case, no dot at the end, no port that is the scheme's own. So
   Flask's comparison, which knows one spelling only, agrees.

An empty list is nobody, never everybody: ours is an error, Flask's (which werkzeug takes for "any") is one in
production, and admits this machine's own names alone in development and tests.

It does not decide whose word about the host is believed: what a trusted proxy said stands in ``Host`` by now. Whether a
target that names a host itself (``GET http://host/ HTTP/1.1``) names the one in ``Host``, ``hygiene`` decides before.

In deployment: a load balancer's probe that names the instance's address is refused like anybody else; let it send the
right ``Host``, or list the address.

Sources: RFC 9110 sections 4.2.3, 7.2 and 15.5.20, RFC 9112 section 3.2; J. Kettle, "Practical HTTP Host header
attacks" (2013).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ConfigError, Denied
from ..exchange import Exchange
from ..hostnames import Authority, ascii_authority, is_address, is_local, read_authority
from ..weburl import PORTS, NotReadable
from .noticing import Notices

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_KEPT = 1024
"""Spellings of hosts that are remembered; of others the same is worked out anew."""


class Pattern(NamedTuple):
    """Whom one entry of a list admits."""

    authority: Authority
    """The port, if there is one, is the only one; without one, any port is."""
    below: bool = False
    """Whether it is what is below this name."""
    itself: bool = True
    """Whether it is the name itself."""

    @classmethod
    def read(cls, entry: str) -> Pattern:
        """An entry of ``RAMPART_TRUSTED_HOSTS``, where ``.example.com`` is what is below a name.

        :raises NotReadable: if it is none.

        >>> Pattern.read("*.example.com").admits(Authority("a.b.example.com"))
        True
        """
        name = entry.removeprefix("*").removeprefix(".")
        below = name is not entry and name != entry
        if below and not entry.startswith((".", "*.")):
            raise NotReadable("a star stands alone before the first dot")
        authority = ascii_authority(name)
        if below and is_address(authority.host):
            raise NotReadable("there is nothing below an address")
        return cls(authority, below, not below)

    @classmethod
    def of_flask(cls, entry: str) -> Pattern:
        """An entry of ``TRUSTED_HOSTS``, by werkzeug's rules: ``.example.com`` is the name too, no port counts.

        :raises NotReadable: if it admits nobody.
        """
        name = entry.removeprefix(".")
        authority = ascii_authority(name)
        return cls(Authority(authority.host), name != entry, True)

    def admits(self, authority: Authority) -> bool:
        """Whether this host, at this port, is meant."""
        mine, port = self.authority
        host = authority.host
        if port is not None and port != authority.port:
            return False
        return (self.itself and host == mine) or (self.below and host.endswith(f".{mine}"))


class Trusted:
    """Lists of hosts, each of which must admit. Without any, everybody is admitted.

    >>> Trusted([[Pattern.read("example.com")]]).admits(Authority("example.com", 8080), "http")
    True
    """

    def __init__(self, lists: Iterable[Iterable[Pattern]]) -> None:
        self._lists = tuple(tuple(patterns) for patterns in lists)

    def __bool__(self) -> bool:
        return bool(self._lists)

    def admits(self, authority: Authority, scheme: str) -> bool:
        """Whether all lists do."""
        if authority.port is None:
            authority = Authority(authority.host, PORTS.get(scheme))
        return all(any(pattern.admits(authority) for pattern in patterns) for patterns in self._lists)


def trusted_hosts(own: Iterable[str], flask_hosts: object, *, is_production: bool) -> Trusted:
    """Whom ``RAMPART_TRUSTED_HOSTS`` and Flask's ``TRUSTED_HOSTS`` admit together: the stricter wins.

    :param flask_hosts: None if there are none.
    :raises ConfigError: for Flask's, if they cannot be meant.
    """
    read = [Pattern.read(entry) for entry in own]
    lists = [read] if read else []
    if flask_hosts is not None:
        lists.append(flask_patterns(flask_hosts, is_production=is_production)[0])
    return Trusted(lists)


class Hosts:
    """The step of the edge that decides it.

    :param trusted: gives the lists; asked once, before the first request.
    :param tells_unpinned: whether it is said that a host is not pinned to HTTPS.
    """

    def __init__(self, trusted: Callable[[], Trusted], notices: Notices, *, tells_unpinned: bool = False) -> None:
        self._trusted_by = trusted
        self._tells_unpinned = tells_unpinned
        self._notices = notices
        # Nobody, until the lists were read.
        self.trusted = Trusted([()])
        # By scheme, since a port is the scheme's own or not: what is written for each spelling that was admitted.
        self._known: dict[str, dict[str, str]] = {"http": {}, "https": {}}

    def open(self) -> None:
        """Reads the lists.

        :raises ConfigError: for one that cannot be meant.
        """
        self.trusted = self._trusted_by()

    def __call__(self, environ: WSGIEnvironment, exchange: Exchange) -> Denied | None:
        scheme = environ.get("wsgi.url_scheme") or "http"
        known = self._known.get(scheme)
        raw = environ.get("HTTP_HOST")
        if known is None or raw is None or (written := known.get(raw)) is None:
            return self._judge(environ, scheme, raw)
        if written != raw:
            environ["HTTP_HOST"] = written
        return None

    def _judge(self, environ: WSGIEnvironment, scheme: str, raw: str | None) -> Denied | None:
        if not raw:
            return self._judge_unnamed(environ, scheme)
        try:
            authority = read_authority(raw)
        except NotReadable:
            return Denied.of("request.malformed", reason="Host")
        if not self.trusted.admits(authority, scheme):
            return Denied.of("host.unknown", reason="Host")
        if not self.trusted and not is_local(authority.host):
            self._notices.once(ANY_HOST)
        if self._tells_unpinned and scheme == "https" and (is_local(authority.host) or is_address(authority.host)):
            self._notices.once(UNPINNED)
        written = authority.written(scheme)
        known = self._known.get(scheme)
        if known is not None and len(known) < _KEPT:
            known[raw] = written
        environ["HTTP_HOST"] = written
        return None

    def _judge_unnamed(self, environ: WSGIEnvironment, scheme: str) -> Denied | None:
        if environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
            return Denied.of("request.malformed", reason="no Host")
        # granian shows an empty one where none was sent.
        environ.pop("HTTP_HOST", None)
        if not self.trusted:
            return None
        # HTTP/1.0: addresses are then built from the server's own name.
        authority = server_of(environ)
        if authority is None or not self.trusted.admits(authority, scheme):
            return Denied.of("host.unknown", reason="no Host")
        return None


def server_of(environ: WSGIEnvironment) -> Authority | None:
    """The server's own name, which stands for a ``Host`` that was not sent; None at a Unix socket."""
    name, port = environ.get("SERVER_NAME") or "", environ.get("SERVER_PORT") or ""
    try:
        return ascii_authority(f"[{name}]:{port}" if ":" in name and name[0] != "[" else f"{name}:{port}")
    except NotReadable:
        return None


def flask_patterns(value: object, *, is_production: bool) -> tuple[list[Pattern], list[str]]:
    """What Flask's ``TRUSTED_HOSTS`` admits, and the entries that admit nobody.

    :raises ConfigError: if it is no list of texts, or an empty one in production.
    """
    entries = (value,) if isinstance(value, str) else value
    if not isinstance(entries, (list, tuple, set, frozenset)) or not all(isinstance(e, str) for e in entries):
        raise ConfigError(f"TRUSTED_HOSTS must be a list of host names, not {type(value).__name__}.")
    if not any(entries):
        if is_production:
            raise ConfigError(
                "TRUSTED_HOSTS is empty, and werkzeug takes that for: any host. List the names that this app is "
                'called by, such as ["api.example.com"], or leave it None.'
            )
        return [Pattern.read(name) for name in ("localhost", ".localhost", "127.0.0.1", "[::1]")], []
    patterns, unread = [], []
    for entry in entries:
        try:
            patterns.append(Pattern.of_flask(entry))
        except NotReadable:
            unread.append(entry)
    return patterns, unread


ANY_HOST = (
    "RAMPART_TRUSTED_HOSTS is not set, so requests for any host are answered, and addresses that this app builds "
    '(url_for(_external=True), redirects) name whatever host the client wrote. Set it, e.g. ["api.example.com"].'
)
UNPINNED = (
    "RAMPART_HSTS is set, and a request by HTTPS named localhost or an address. Its answer carries no "
    "Strict-Transport-Security: browsers pin no address, and localhost is every project's."
)
