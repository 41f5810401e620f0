"""Who the peer is: settled once for each request, before anything else is decided.

Rules, in order:

1. where ``RAMPART_TRUSTED_PROXIES`` lists nobody, nobody is believed: the peer is the other end of the socket. Fields
   in which proxies say where a request came from are removed, so that no app takes a client's word for a proxy's;
2. a listed proxy is believed about who was in front of it, and so on along the list, from the right, over at most
   ``RAMPART_PROXY_HOPS`` proxies (``src/network/walk.rs``). Then ``REMOTE_ADDR`` is the client's, ``wsgi.url_scheme``
   that of its connection, and what ``RAMPART_FORWARDED`` names beside follows; the fields are removed all the same;
3. an entry that is no address ends this: the peer is the last listed proxy, and nothing else is read;
4. what says one thing twice is refused with 400 ``request.malformed``: two hosts, also where a proxy says another, a
   ``Script_Name`` that gunicorn took for the path of the app, a forwarded host, port or prefix of which nobody knows
   whose it is;
5. werkzeug's ``ProxyFix`` around the app goes on working alone. Beside rule 2 it is not needed: what is settled here
   stands, and where the two do not agree, that is said once.

Each notice is said once for each process, and names no address.

It decides nothing by hosts and schemes, nor of lengths and of ``Proxy``, which are ``hygiene``'s. Where a server merges
two names, such as ``X-Forwarded-For`` and ``X_Forwarded_For``, nobody behind it can tell them apart: see
``docs/proxies.md``.
Sources: RFC 7239, PEP 3333; express-rate-limit's validations.
"""

from __future__ import annotations

import logging
from ipaddress import ip_network

from .._native import PeerRule
from ..config import Settings
from ..errors import ConfigError


class Peers:
    """Who is believed about where requests come from.

    :raises ConfigError: for settings that need ``RAMPART_TRUSTED_PROXIES``.
    """

    def __init__(self, settings: Settings, logger: logging.Logger) -> None:
        proxies = settings.trusted_proxies
        if not proxies:
            for name, given in (
                ("RAMPART_PROXY_HOPS", settings.proxy_hops is not None),
                ("RAMPART_FORWARDED", settings.forwarded != Settings().forwarded),
            ):
                if given:
                    raise ConfigError(
                        f"{name} needs RAMPART_TRUSTED_PROXIES: the addresses of your proxies, such as '10.0.0.0/8', "
                        "or 'unix'. Of anybody else, nothing is read."
                    )
        #: What the edge settles each request by.
        self.rule = PeerRule(list(proxies) or None, settings.proxy_hops, list(settings.forwarded))
        self._logger = logger
        self._said: set[tuple[str, str]] = set()
        for text in proxies:
            if text != "unix" and (network := ip_network(text)).prefixlen < (8 if network.version == 4 else 20):
                logger.warning(
                    "RAMPART_TRUSTED_PROXIES has %s, more than any one network of yours: whoever is in it may say that "
                    "it is anybody. List the addresses of your proxies alone.",
                    text,
                )

    def tell(self, word: str, field: str) -> str | None:
        """What the rule told of a request. The code of the refusal, if it cannot be told what of it is true."""
        code = "request.malformed" if word == "malformed" else None
        if (word, field) in self._said:
            return code
        self._said.add((word, field))
        self._logger.warning(_NOTICES[word], field)
        return code


_NOTICES = {
    "unread": (
        "A request came with %s, which nothing here reads, so it was removed, and the app does not see it. If this app "
        "is behind a proxy, all its clients share one address and one quota: set RAMPART_TRUSTED_PROXIES, or put "
        "werkzeug's ProxyFix around the app. If it is not, somebody tries to be taken for another."
    ),
    "stranger": (
        "A request came with %s from an address that is not in RAMPART_TRUSTED_PROXIES, so it was removed. If that is "
        "a proxy of yours, list it: until then, all its clients share one address, one quota and one ban. If it is "
        "not, somebody came past your proxies."
    ),
    "unreadable": (
        "A request came through a proxy of RAMPART_TRUSTED_PROXIES, and %s has an entry that is no address, where that "
        "of its client should be: the proxy itself counts as the peer. Let your proxies write the address that they "
        "see."
    ),
    "short": (
        "A request came through fewer proxies than RAMPART_PROXY_HOPS, says %s. Either that number is too high, or "
        "somebody came past the first of them."
    ),
    "disagrees": (
        "werkzeug's ProxyFix and RAMPART_TRUSTED_PROXIES do not agree on what %s says; the latter counts. Remove "
        "ProxyFix."
    ),
    "malformed": (
        "A request was refused, since it says two things in %s, or one that cannot be meant. If a proxy of yours "
        "writes it, see docs/proxies.md."
    ),
}
