"""Decides whether a request that came by plain HTTP is answered, sent on to HTTPS, or refused.

By ``RAMPART_HTTPS``. Rules, in order:

1. what came by HTTPS goes on, or by ``wss``, as some servers write for a WebSocket's handshake. Whether it did is the
   server's word, or that of a trusted proxy, by now;
2. a GET or HEAD of a path in ``RAMPART_HTTPS_EXEMPT`` goes on, for probes that know no TLS; not if it carries a
   credential. Paths are compared exactly, as they read without escapes;
3. ``"redirect"``: a GET or HEAD is sent to the same path and query by HTTPS, with 308. The host is
   ``RAMPART_CANONICAL_HOST``, else the request's own, which the step before found among the trusted ones; never a host
   that nobody configured, and never the port of plain HTTP;
4. everything else is refused with ``https.required``, 403, and under ``"refuse"`` everything is: what a body or a
   credential held has travelled in clear, and who is sent on would never notice that it does each time. Not 426: that
   needs ``Upgrade`` (RFC 9110 section 15.5.22), a field between two connections, which no WSGI app may send (PEP 3333);
5. a request that carried a credential in clear is told of in the log, and is in the access log with its code where it
   was refused. The credential should be replaced.

Under ``app.debug`` nothing is refused or sent on, since the development server has no TLS; under ``app.testing`` what
was configured holds.

In deployment: behind a proxy that ends TLS and is not declared (``RAMPART_TRUSTED_PROXIES``), every request seems to be
plain HTTP, and a redirect never ends. If none of a process's first twenty requests comes by HTTPS, the log says so.

Sources: RFC 9110 sections 15.4.9 and 15.5.22; Flask-Talisman 1.1 and flaskapi-guard 4.4, which send on to whatever
``Host`` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from ..errors import Denied
from ..exchange import Exchange, Reply
from ..hostnames import Authority, is_local, read_authority
from ..weburl import NotReadable
from .hosts import Trusted, server_of
from .noticing import Notices

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_SAFE = ("GET", "HEAD")
_IN_VAIN = 20
_CREDENTIALS = ("HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_X_API_KEY", "HTTP_PROXY_AUTHORIZATION")

# What may stand in a path and a query as it is (RFC 3986 section 3.3, 3.4), beside letters, digits and -._~.
_IN_PATH = "/!$&'()*+,;=:@"
_IN_QUERY = f"{_IN_PATH}?%"
_RAW_PATH = re.compile(r"/(?:[A-Za-z0-9\-._~/!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*", re.ASCII)


class Https:
    """The step of the edge that decides it.

    :param mode: ``"redirect"``, ``"refuse"``, ``"off"``, or None, which is off and said.
    :param canonical: where requests are sent on to.
    :param exempt: paths that are answered by plain HTTP.
    :param trusted: gives the hosts that the step before admits.
    :param is_enforced: asked at each request by plain HTTP.
    """

    def __init__(
        self,
        mode: str | None,
        canonical: Authority | None,
        exempt: tuple[str, ...],
        trusted: Callable[[], Trusted],
        is_enforced: Callable[[], bool],
        notices: Notices,
    ) -> None:
        self._mode = mode
        self._canonical = canonical
        self._exempt = frozenset(exempt)
        self._trusted = trusted
        self._is_enforced = is_enforced
        self._notices = notices
        #: Requests by plain HTTP before the first by HTTPS; None once that came, or it was said that none does.
        self._in_vain: int | None = 0

    def __call__(self, environ: WSGIEnvironment, exchange: Exchange) -> Denied | Reply | None:
        if environ.get("wsgi.url_scheme") in ("https", "wss"):
            self._in_vain = None
            return None
        mode = self._mode
        if mode not in ("redirect", "refuse"):
            if mode is None:
                self._look(environ)
            return None
        if not self._is_enforced():
            return None
        method = environ.get("REQUEST_METHOD")
        carries = _carries(environ)
        if method in _SAFE and not carries and _path(environ) in self._exempt:
            return None
        if self._in_vain is not None:
            self._count()
        if carries:
            self._notices.again(IN_CLEAR)
        if mode == "redirect" and method in _SAFE:
            host = self._target(environ)
            if host is not None:
                return Reply(308, (("Location", f"https://{host}{path_of(environ)}{query_of(environ)}"),))
        return Denied.of("https.required", reason="a credential in clear" if carries else "plain HTTP")

    def _target(self, environ: WSGIEnvironment) -> str | None:
        """Where the request is sent on to; None if nobody says that it is ours."""
        if self._canonical is not None:
            return self._canonical.written("https")
        if not self._trusted():
            return None
        authority = _host_of(environ)
        # The step before has admitted it; the port is that of plain HTTP, and nothing is known of the other.
        return None if authority is None else Authority(authority.host).written()

    def _look(self, environ: WSGIEnvironment) -> None:
        """Plain HTTP is answered, and nobody said that it should be."""
        authority = _host_of(environ)
        if authority is None or is_local(authority.host):
            return
        self._notices.once(PLAIN)

    def _count(self) -> None:
        self._in_vain = (self._in_vain or 0) + 1
        if self._in_vain >= _IN_VAIN:
            self._in_vain = None
            self._notices.once(NO_HTTPS)


def path_of(environ: WSGIEnvironment) -> str:
    """The path of a request as it stands in an address: as the client wrote it where the server shows that, and
    nothing but what a path may hold. It begins with ``/``.

    >>> path_of({"SCRIPT_NAME": "", "PATH_INFO": "//evil.example/%\\r\\n?#\\\\"})
    '//evil.example/%25%0D%0A%3F%23%5C'
    """
    path = _path(environ)
    raw = (environ.get("RAW_URI") or environ.get("REQUEST_URI") or "").partition("?")[0]
    # Only if it is the same path: a proxy or another middleware may have taken off a part of it.
    if _RAW_PATH.fullmatch(raw) and unquote_to_bytes(raw) == path.encode("latin-1", "replace"):
        return str(raw)
    written = quote(path.encode("latin-1", "replace"), safe=_IN_PATH)
    return written if written.startswith("/") else f"/{written}"


def query_of(environ: WSGIEnvironment) -> str:
    """The query of a request with its question mark; nothing if it has none.

    >>> query_of({"QUERY_STRING": "a=%2F&b=x y"})
    '?a=%2F&b=x%20y'
    """
    query = environ.get("QUERY_STRING") or ""
    return f"?{quote(query.encode('latin-1', 'replace'), safe=_IN_QUERY)}" if query else ""


def _carries(environ: WSGIEnvironment) -> bool:
    # RFC 6750 section 2.3: a token in the query. One more that only looks like it is refused or told of, no more.
    return any(environ.get(name) for name in _CREDENTIALS) or "access_token" in (environ.get("QUERY_STRING") or "")


def _path(environ: WSGIEnvironment) -> str:
    return f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"


def _host_of(environ: WSGIEnvironment) -> Authority | None:
    written = environ.get("HTTP_HOST")
    if written is None:
        return server_of(environ)
    try:
        return read_authority(written)
    except NotReadable:
        return None


PLAIN = (
    "A request was answered by plain HTTP. Everybody on its way could read it and the answer, and browsers send no "
    "Secure cookie back. Set RAMPART_HTTPS to 'redirect' (pages) or 'refuse' (an API); if a proxy in front of this app "
    "ends TLS, name it in RAMPART_TRUSTED_PROXIES. RAMPART_HTTPS = 'off' says that it is meant."
)
NO_HTTPS = (
    f"The first {_IN_VAIN} requests that RAMPART_HTTPS looked at all came by plain HTTP. If a proxy in front of this "
    "app ends TLS, name it in RAMPART_TRUSTED_PROXIES: until then its requests count as plain HTTP, are redirected "
    "without end or refused, and get no HSTS."
)
IN_CLEAR = (
    "A request carried a credential (Authorization, Cookie, X-API-Key, or a token in its query) by plain HTTP, where "
    "others can have read it. Replace it, and find the client that uses http://."
)
