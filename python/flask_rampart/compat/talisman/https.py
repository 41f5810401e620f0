"""Whether a request came by HTTPS, and where one by plain HTTP is sent on to.

1. What the server says of the connection counts, or what a peer in ``RAMPART_TRUSTED_PROXIES`` says in
   ``X-Forwarded-Proto``. Of anybody else that field is not read: who writes it would turn the redirect off.
2. A GET or HEAD is sent on to ``RAMPART_CANONICAL_HOST``, else to its own host, if ``RAMPART_TRUSTED_HOSTS`` or Flask's
   ``TRUSTED_HOSTS`` name it, or if it is this machine.
3. Everything else is refused with ``https.required``: what a body held has travelled in clear, and a redirect would
   make a GET of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, Request

from ...config import Settings
from ...errors import Denied
from ...hostnames import Authority, is_local, read_authority
from ...limits import Networks
from ...network import trusted_hosts
from ...weburl import NotReadable

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Arrival:
    """What is asked of each request, by the settings of one app."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._hosts = trusted_hosts(
            settings.trusted_hosts,
            app.config.get("TRUSTED_HOSTS"),
            is_production=not (app.debug or app.testing),
        )
        self._canonical = read_authority(settings.canonical_host) if settings.canonical_host else None
        self._proxies = Networks(network for network in settings.trusted_proxies if network != "unix")
        self._by_socket = "unix" in settings.trusted_proxies
        #: Whether anybody is sent on but to this machine.
        self.knows_hosts = bool(self._hosts) or self._canonical is not None
        #: Whether anybody is believed.
        self.knows_proxies = bool(settings.trusted_proxies)

    def is_secure(self, environ: WSGIEnvironment) -> bool:
        if environ["wsgi.url_scheme"] in ("https", "wss"):
            return True
        if environ.get("HTTP_X_FORWARDED_PROTO") != "https" or not self.knows_proxies:
            return False
        peer = environ.get("REMOTE_ADDR") or ""
        return peer in self._proxies if peer else self._by_socket

    def target(self, request: Request) -> str | Denied | None:
        """Where a request by plain HTTP is sent on to, or why it is refused; None if it is of another scheme."""
        url = request.url
        if not url.startswith("http://"):
            return None
        if request.method not in ("GET", "HEAD"):
            return Denied.of("https.required", reason="a method that is not sent on")
        _, _, rest = url.partition("://")
        if self._canonical is not None:
            path = rest[len(rest.partition("/")[0]) :]
            return f"https://{self._canonical.written('https')}{path}"
        try:
            authority = read_authority(request.host)
        except NotReadable:
            return Denied.of("https.required", reason="a host that cannot be read")
        return f"https://{rest}" if self._is_known(authority) else Denied.of("https.required", reason="unknown host")

    def _is_known(self, authority: Authority) -> bool:
        if is_local(authority.host):
            return True
        return bool(self._hosts) and self._hosts.admits(authority, "http")
