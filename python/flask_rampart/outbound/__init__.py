"""Outbound: calls that this app makes to a URL that a peer chose (a webhook, a picture to fetch, a feed).

Such a URL may lead into your own network, to the metadata of your cloud or to this host itself (server-side request
forgery). Rules, in order:

1. :func:`check_url` reads it strictly, resolves its host once, and refuses it unless every address is public
   (``rules.py``);
2. what is connected to are those addresses, while TLS is checked for the *name* and ``Host`` stays the name;
3. :func:`session` (requests) and :func:`client` (httpx) do both for each call, and for each redirect anew; they use no
   proxy and no password file of the environment, and end at a deadline and a size.

It does not stop calls that go another way: your own ``requests.get``. A firewall around the app stops those too, and is
the better half of the two. See ``docs/outbound.md``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from ..dialing import Resolver as Resolver
from ..errors import ConfigError
from .rules import OutboundRefused as OutboundRefused
from .rules import Rules
from .rules import Target as Target

if TYPE_CHECKING:
    import httpx
    import requests

__all__ = ["OutboundRefused", "Resolver", "Target", "check_url", "client", "session"]


def check_url(
    url: str,
    *,
    schemes: Sequence[str] = ("https",),
    ports: Collection[int] | None = None,
    hosts: Iterable[str] | None = None,
    allow_networks: Iterable[str] | None = None,
    resolver: Resolver | None = None,
    timeout: float = 5.0,
) -> Target:
    """Where *url* leads, if it may be called: its host is resolved, and every address of it judged.

    :param schemes: ``"https"`` and ``"http"``, those that may be called.
    :param ports: those that may be called; not given, the schemes' own (443, 80).
    :param hosts: the only hosts that may be called: ``"api.example.com"``, ``"*.example.com"`` for all below. Not
        given, any. ``RAMPART_OUTBOUND_HOSTS`` must admit the host as well.
    :param allow_networks: networks that may be called although they are not public, such as ``"10.1.0.0/16"``. Not
        given, those of ``RAMPART_OUTBOUND_ALLOW``. Link-local addresses and those of cloud metadata never may.
    :param resolver: the addresses of a name, given it and a port; not given, the system's.
    :param timeout: seconds that the name server has.
    :raises OutboundRefused: if it may not be called; :meth:`~OutboundRefused.denied` is the problem for a peer.
    :raises ConfigError: for what cannot be a rule.

    Connect to ``target.addresses`` and to nothing else, or use :func:`session` or :func:`client`: to give *url* to
    another client resolves it anew, and the answer may be another one.

    CWE-918; OWASP "Server Side Request Forgery Prevention"; ASVS 5.0 V1.3.6.

    >>> check_url("https://hooks.example.com/x", resolver=lambda host, port: ["93.184.215.14"]).addresses
    ('93.184.215.14',)
    >>> check_url("https://169.254.169.254/")
    Traceback (most recent call last):
    flask_rampart.outbound.rules.OutboundRefused: address: metadata: 169.254.169.254 has the address 169.254.169.254
    """
    rules = Rules.of(
        schemes=schemes,
        ports=ports,
        hosts=hosts,
        allow_networks=allow_networks,
        resolver=resolver,
        timeout=timeout,
    )
    found = rules.admit(url)
    addresses = rules.pin(found.host, found.port, monotonic() + rules.timeout)
    return Target(str(found), found.scheme, found.host, found.port, addresses)


def session(
    *,
    schemes: Sequence[str] = ("https",),
    ports: Collection[int] | None = None,
    hosts: Iterable[str] | None = None,
    allow_networks: Iterable[str] | None = None,
    resolver: Resolver | None = None,
    timeout: float = 10.0,
    max_bytes: int = 10 * 1024 * 1024,
    max_redirects: int = 5,
) -> requests.Session:
    """A ``requests.Session`` that calls no URL that :func:`check_url` refuses, redirects included.

    Each connection goes to the addresses that were judged. No proxy, ``.netrc`` or ``REQUESTS_CA_BUNDLE`` of the
    environment is used; ``proxies=``, ``verify=False`` and ``mount`` of another adapter are a ``ConfigError``,
    ``verify="ca.pem"`` is not. No cookie of an answer is kept, and a redirect to another site takes along no field that
    may be a secret.

    :param timeout: seconds for one call, from the question to the name server to the last byte, however slowly it
        drips; ``timeout=`` of a call can only shorten its steps. A redirect is a call of its own.
    :param max_bytes: of one answer, head and all. Compressed answers are not taken.
    :param max_redirects: how many are followed; 0 for none.
    :raises ConfigError: for what cannot be a rule, and without requests.

    The other parameters are those of :func:`check_url`. Calls raise :class:`OutboundRefused`, or what requests raises.

    >>> session(timeout=3).get("https://127.0.0.1/")
    Traceback (most recent call last):
    flask_rampart.outbound.rules.OutboundRefused: address: loopback: 127.0.0.1 has the address 127.0.0.1
    """
    try:
        from .for_requests import make
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"outbound.session() needs requests: pip install requests ({error.name} is missing)."
        ) from None
    rules = Rules.of(
        schemes=schemes,
        ports=ports,
        hosts=hosts,
        allow_networks=allow_networks,
        resolver=resolver,
        timeout=timeout,
        max_bytes=max_bytes,
    )
    return make(rules, _redirects(max_redirects))


def client(
    *,
    schemes: Sequence[str] = ("https",),
    ports: Collection[int] | None = None,
    hosts: Iterable[str] | None = None,
    allow_networks: Iterable[str] | None = None,
    resolver: Resolver | None = None,
    timeout: float = 10.0,
    max_bytes: int = 10 * 1024 * 1024,
    max_redirects: int = 0,
    cafile: str | None = None,
) -> httpx.Client:
    """An ``httpx.Client`` that calls no URL that :func:`check_url` refuses, redirects included.

    As :func:`session`, but redirects are followed only with *max_redirects* above 0, and each call has a connection of
    its own.

    :param cafile: a file of certificates to trust instead of the system's.
    :raises ConfigError: for what cannot be a rule, and without httpx.

    >>> client(timeout=3).get("https://[::1]/")
    Traceback (most recent call last):
    flask_rampart.outbound.rules.OutboundRefused: address: loopback: ::1 has the address ::1
    """
    try:
        from .for_httpx import make
    except ModuleNotFoundError as error:
        raise ConfigError(f"outbound.client() needs {error.name}: pip install httpx.") from None
    rules = Rules.of(
        schemes=schemes,
        ports=ports,
        hosts=hosts,
        allow_networks=allow_networks,
        resolver=resolver,
        timeout=timeout,
        max_bytes=max_bytes,
    )
    return make(rules, _redirects(max_redirects), cafile)


def _redirects(count: int) -> int:
    if type(count) is not int or not 0 <= count <= 30:
        raise ConfigError(f"max_redirects must be a number from 0 to 30, not {count!r}.")
    return count
