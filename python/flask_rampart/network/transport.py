"""What is on each request's way whatever its route: hosts, then HTTPS, then HSTS where it climbs; and what the settings
of the three show to be wrong before the first request.

Stops the start-up, in order: a redirect that nobody said a host for; a canonical host that is not among the trusted
ones, so that whoever is sent there is refused; exempt paths without anything that they are exempt from; steps towards
an HSTS that is off.

Warns, in production: a pin for a host that browsers do not pin; an embedder policy under which a page would not get
what its Content-Security-Policy lets it load; entries of Flask's ``TRUSTED_HOSTS`` that admit nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from .._native import Clock, HeaderPolicy
from ..config import Settings
from ..errors import ConfigError
from ..hostnames import Authority, is_address, is_local, read_authority
from ..readers import shown
from .hosts import Hosts, Trusted, flask_patterns, trusted_hosts
from .hsts import DEFAULT, Climb, Ramp
from .https import Https
from .noticing import Notices

_EMBEDS = frozenset(
    f"{kind}-src"
    for kind in ("default", "child", "font", "frame", "img", "media", "object", "script", "style", "worker")
)
_OWN = ("data:", "blob:", "filesystem:")
"""Schemes whose content an embedder policy does not stop."""


class Transport:
    """The steps of one app.

    :param headers: what its answers carry.
    :param flask_hosts: gives Flask's ``TRUSTED_HOSTS``; None if there is none.
    :param is_production: neither debug nor testing.
    :param is_enforced: whether ``RAMPART_HTTPS`` holds.
    :raises ConfigError: for settings that contradict each other.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        headers: HeaderPolicy,
        logger: logging.Logger,
        *,
        flask_hosts: Callable[[], Any] = lambda: None,
        is_production: Callable[[], bool] = lambda: True,
        is_enforced: Callable[[], bool] = lambda: True,
    ) -> None:
        self._settings = settings
        self._headers = headers
        self._flask_hosts = flask_hosts
        self._is_production = is_production
        self._notices = notices = Notices(logger, is_production, clock.now)
        self._canonical = read_authority(settings.canonical_host) if settings.canonical_host else None
        self._check()
        self._pins = bool(settings.hsts or settings.hsts_since)
        hosts = self._hosts = Hosts(self._trusted, notices, tells_unpinned=self._pins)
        https = Https(
            settings.https, self._canonical, settings.https_exempt, lambda: hosts.trusted, is_enforced, notices
        )
        self.steps: tuple[Any, ...] = (hosts, https)
        self._climb: Climb | None = None
        if settings.hsts_since is not None:
            self._climb = Climb(Ramp(settings.hsts or DEFAULT, settings.hsts_since), clock.now)
            self.steps += (self._climb,)

    def open(self, *, unpinned: bool = False) -> list[str] | None:
        """Reads what may be set until the first request, and says what is wrong.

        :param unpinned: whether the app says that nothing of it is pinned to HTTPS, whatever the settings say.
        :returns: Flask's ``TRUSTED_HOSTS`` in the spelling that werkzeug compares; None to leave it.
        :raises ConfigError: for a list of hosts that cannot be meant.
        """
        hosts = self._hosts
        hosts.open()
        if unpinned and self._climb is not None:
            self._climb.stop()
        canonical = self._canonical
        if self._pins and canonical is not None and (is_local(canonical.host) or is_address(canonical.host)):
            self._notices.once(
                f"RAMPART_HSTS has no effect for RAMPART_CANONICAL_HOST = {canonical.written()!r}: browsers pin no "
                "address, and localhost is never pinned, since it is every project's."
            )
        for directive, source in embeds_lost(self._headers):
            self._notices.once(
                "Pages carry Cross-Origin-Embedder-Policy: require-corp, and their Content-Security-Policy lets them "
                f"load {source} ({directive}). Browsers do not, unless that origin sends Cross-Origin-Resource-Policy "
                "or CORS fields. RAMPART_PROFILE = 'html' and 'mixed' send no such policy with pages."
            )
        return self._tell_flask()

    def _check(self) -> None:
        settings, canonical = self._settings, self._canonical
        theirs = self._flask_hosts()
        if theirs is not None:
            flask_patterns(theirs, is_production=self._is_production())
        if settings.https == "redirect" and canonical is None and not settings.trusted_hosts and not theirs:
            raise ConfigError(
                "RAMPART_HTTPS = 'redirect' needs to know where to: set RAMPART_CANONICAL_HOST, or "
                "RAMPART_TRUSTED_HOSTS. Otherwise it would send clients to whatever host a request names."
            )
        if canonical is not None and not self._trusted().admits(canonical, "https"):
            raise ConfigError(
                f"RAMPART_CANONICAL_HOST = {canonical.written()!r} is not among the trusted hosts "
                "(RAMPART_TRUSTED_HOSTS, TRUSTED_HOSTS), so whoever is sent there would be refused. Add it."
            )
        if settings.https_exempt and settings.https not in ("redirect", "refuse"):
            raise ConfigError(
                "RAMPART_HTTPS_EXEMPT names paths that RAMPART_HTTPS does not hold for, and that is not set. Set it to "
                "'redirect' or 'refuse', or leave RAMPART_HTTPS_EXEMPT out."
            )
        if settings.hsts_since is not None and settings.hsts == "":
            raise ConfigError("RAMPART_HSTS_SINCE climbs to what RAMPART_HSTS says, and that is False. Leave one out.")

    def _trusted(self) -> Trusted:
        return trusted_hosts(self._settings.trusted_hosts, self._flask_hosts(), is_production=self._is_production())

    def _tell_flask(self) -> list[str] | None:
        theirs = self._flask_hosts()
        if not theirs:
            return None
        patterns, unread = flask_patterns(theirs, is_production=self._is_production())
        if unread:
            self._notices.once(
                f"TRUSTED_HOSTS has entries that are no hosts, and admit nobody: {', '.join(map(shown, unread))}."
            )
        if any(":" in pattern.authority.host for pattern in patterns):
            self._notices.once(
                "TRUSTED_HOSTS has an IPv6 address, which Flask never finds there: it cuts its entries at the first "
                "colon, and answers 400. Use RAMPART_TRUSTED_HOSTS instead."
            )
        return [
            f"{'.' if pattern.below else ''}{Authority(pattern.authority.host).written()}" for pattern in patterns
        ] + unread


def embeds_lost(headers: HeaderPolicy) -> list[tuple[str, str]]:
    """What pages may load by their Content-Security-Policy and do not get for their embedder policy: the directive,
    and the source in it.

    >>> embeds_lost(HeaderPolicy("api", csp={"img-src": ["'self'", "https://cdn.example"]}))
    [('img-src', 'https://cdn.example')]
    """
    sent = {name.lower(): value for name, value in headers.apply([("Content-Type", "text/html")], True)}
    if sent.get("cross-origin-embedder-policy", "").partition(";")[0].strip() != "require-corp":
        return []
    lost = []
    for directive in sent.get("content-security-policy", "").split(";"):
        name, *sources = directive.split() or [""]
        if name in _EMBEDS:
            lost += [(name, source) for source in sources if not source.startswith("'") and source not in _OWN]
    return lost
