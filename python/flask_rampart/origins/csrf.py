"""Decides whether a page of another site made a browser send a request in its user's name (CSRF, CWE-352).

It looks at every request that may change something: any method but GET, HEAD, OPTIONS and TRACE; and at every handshake
of a WebSocket, which is a GET with cookies from whichever page, to which CORS does not apply (Cross-Site WebSocket
Hijacking, CWE-1385). In this order:

1. ``Sec-Fetch-Site`` is ``same-origin`` or ``none`` (the user's own doing): it may pass. Only a browser can write this
   field, and every browser does since 2023, over HTTPS and to localhost;
2. neither that field nor ``Origin``: no browser since 2020 sends such a request, so this is a program: it may pass;
3. a token in ``Authorization`` (``Bearer``, ``DPoP``, ``ApiKey``) or in ``X-API-Key``: it may pass. No page can add one
   for another site without that site's leave (CORS);
4. without ``Sec-Fetch-Site``, an ``Origin`` that is the request's own: it may pass;
5. an ``Origin`` that is trusted: it may pass, unless ``Sec-Fetch-Site`` is a word that nobody knows, or two;
6. a JWT in a cookie, whose ``csrf`` claim ``X-CSRF-Token`` repeats: it may pass, as in 3;
7. nothing that a browser adds by itself (cookie, HTTP password, certificate, what the server or a scheme of the app's
   own knows of the user): it may pass, since another site's page could ask for as much without a browser;
8. anything else is refused with ``csrf.origin``.

``"strict"`` leaves out 2 and 7: a proof must be there. ``"token"`` leaves out 7, and wants a token in addition
(:mod:`.csrf_token`), but in 3 and 6, and of no handshake, to which a page can add nothing. ``"off"`` refuses nothing.

# What it does not do
A GET that changes something is not protected, nor a page of the same origin, nor a WebSocket that something answers
before Flask routes it (Socket.IO's middleware). What an app decides by the network address alone (an intranet) needs
``"strict"``.

# What can break it in deployment
A proxy that removes both fields, or writes ``Host`` anew with another port. Over plain HTTP browsers leave out
``Sec-Fetch-Site``, and with ``Referrer-Policy: no-referrer`` they send ``Origin: null``, which is refused.

Sources: Fetch Metadata (W3C); Fetch, "append a request Origin header"; RFC 6454 section 7.3; Go's
``net/http.CrossOriginProtection``; OWASP's cheat sheet on CSRF.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from flask import has_request_context, request

from .._native import Clock
from ..checks import Check
from ..config import Settings
from ..declarations import declared_around, is_known
from ..errors import ConfigError, Denied
from ..exchange import Exchange
from ..guards import AppState, Guard, Stage
from ..layers import ATTRIBUTE
from ..readers import nearest
from .csrf_token import FIELD, CsrfTokens, InTemplates
from .hint import tell_readers
from .origin import TOLD, page_of, read_origin

if TYPE_CHECKING:
    from flask import Flask

    from .policy import Policy

T = TypeVar("T")

MODES = ("fetch-metadata", "strict", "token", "off")
SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
"""Methods that change nothing (RFC 9110 section 9.2.1)."""
_SETTING = "RAMPART_CSRF_TRUSTED_ORIGINS"


class csrf(Guard):  # noqa: N801 - read as a noun above a view
    """Says how a view, or a blueprint, is kept from requests that another site's page made a browser send.

    :param mode: ``"fetch-metadata"``; ``"strict"``: also without a cookie, as for a login form, and never without a
        proof; ``"token"``: a token of :func:`csrf_token` besides; ``"off"``. Not given: the app's ``RAMPART_CSRF``, or
        ``"fetch-metadata"`` if that is off.
    :param trusted_origins: origins whose pages may send it too, beside ``RAMPART_CSRF_TRUSTED_ORIGINS``.
    :raises ConfigError: at import, if something here cannot be meant.

    What is nearest to the view counts: it, its class, its blueprint, the app. A page of another site is refused with
    ``csrf.origin``, 403; a token that is missing or wrong with ``csrf.invalid``, 403.

    >>> csrf("strict", trusted_origins=["https://login.example.com"])
    csrf('strict', trusted_origins=['https://login.example.com'])
    """

    name = "csrf"
    stage = Stage.IDENTITY
    comes_last = True  # who is identified by a token has proved already what is asked here
    optional = True  # as of require: who is nobody may come in, so a view that has no more is open to anybody

    def __init__(self, mode: str | None = None, *, trusted_origins: Iterable[str] = ()) -> None:
        if mode is not None and not isinstance(mode, str):
            raise ConfigError(f"Write @csrf({MODES[1]!r}), with a mode in parentheses.")
        if mode is not None and mode not in MODES:
            raise ConfigError(f"csrf({mode!r}): one of {', '.join(map(repr, MODES))}.{nearest(mode, MODES)}")
        given = (trusted_origins,) if isinstance(trusted_origins, str) else tuple(trusted_origins)
        if mode is None and not given:
            raise ConfigError(f"csrf() says nothing. Give it trusted_origins, or one of {', '.join(map(repr, MODES))}.")
        if mode == "off" and given:
            raise ConfigError("csrf('off', trusted_origins=...): what is off trusts everybody. Leave one of them out.")
        self.mode = mode
        self.trusted_origins = tuple(dict.fromkeys(read_origin("csrf(trusted_origins=...)", text) for text in given))
        #: What lets more through than the app says is about its own view class: none derived from it inherits that.
        self.only_opens = mode in (None, "off")

    def __call__(self, target: T) -> T:
        if is_known(self, target):
            return Guard.__call__(self, target)
        if any(isinstance(guard, csrf) for guard in getattr(target, "__dict__", {}).get(ATTRIBUTE, ())):
            name = getattr(target, "__qualname__", repr(target))
            raise ConfigError(f"{name} has two @csrf(...): which of them is meant? Leave one.")
        # Its own object for each view: what is on a blueprint as well is then still told from what is on the view.
        return Guard.__call__(copy.copy(self), target)

    def __repr__(self) -> str:
        said = [repr(self.mode)] if self.mode is not None else []
        if self.trusted_origins:
            said.append(f"trusted_origins={list(self.trusted_origins)!r}")
        return f"csrf({', '.join(said)})"

    @classmethod
    def bind(cls, guards: Sequence[tuple[csrf, str]], state: AppState, endpoint: str) -> Check:
        policy: CsrfPolicy = state.services[CsrfPolicy]
        met = [guard for guard, _ in guards]
        chosen = nearest_to(endpoint, met, state)
        check = policy.check(chosen, reads_form=_reads_form(state, endpoint))
        greet = policy.check(chosen, is_handshake=True) if _is_of_websocket(state.app, endpoint) else _admit
        if policy.default in met and greet is _admit:
            # Which stands on no other methods than those that change something.
            return check

        def check_unsafe(exchange: Exchange) -> Denied | None:
            # The method that was routed by: middleware may have put another in an environ of its own.
            if exchange.request().method not in SAFE:
                return check(exchange)
            # By the rule, as werkzeug tells a handshake by its field or by a scheme of ws or wss.
            rule = exchange.request().url_rule
            return greet(exchange) if rule is not None and rule.websocket else None

        return check_unsafe


class CsrfPolicy:
    """What ``RAMPART_CSRF`` says of an app. Made at start-up, before its views are known."""

    def __init__(self, settings: Settings, clock: Clock, app: Flask) -> None:
        self._mode = settings.csrf
        self._trusted = trusted_origins(settings)
        self._tokens = CsrfTokens(settings.csrf_token_lifetime, clock, app)
        self._certificate = ""
        if settings.client_cert.startswith("header:"):
            self._certificate = "HTTP_" + settings.client_cert[len("header:") :].upper().replace("-", "_")
        self._app = app
        self._checks: dict[tuple[str, frozenset[str], bool, bool], Check] = {}
        #: Stands on every view that declares nothing nearer.
        self.default = csrf(self._mode)
        self.default.is_everywhere = True

    def install(self, state: AppState) -> None:
        """Puts the guard on every view, and gives templates ``csrf_token()``."""
        state.services[CsrfPolicy] = self
        state.services[CsrfTokens] = self._tokens
        if self._mode != "off":
            everywhere = (self.default,)

            def source(endpoint: str, method: str) -> Iterable[Guard]:
                ours = endpoint in state.open_endpoints or endpoint in state.own_endpoints
                if ours or (method in SAFE and not (method == "GET" and _is_of_websocket(state.app, endpoint))):
                    return ()
                return everywhere

            state.sources.append(source)
        state.at_seal.append(self._seal)
        state.at_seal.append(lambda app: tell_readers(app, state, self))
        # Another extension's stays, as long as no view wants a token of ours.
        self._app.jinja_env.globals.setdefault(FIELD, InTemplates(lambda: self._is_wanted(state)))

    def _is_wanted(self, state: AppState) -> bool:
        """Whether a form in the page of this request may need a token: some view takes them, and the page's own is not
        said to take none."""
        endpoint = request.endpoint if has_request_context() else None
        if endpoint is None or not self._tokens.is_wanted:
            return self._tokens.is_wanted
        met = [guard for guard, _ in state.guards_of(endpoint, "POST") if isinstance(guard, csrf)]
        chosen = nearest_to(endpoint, met, state) if met else self.default
        return chosen is self.default or self.meant(chosen)[0] == "token"

    def _seal(self, app: Flask) -> None:
        if not (app.debug or app.testing):
            refuse_plain(self._trusted)

    def meant(self, guard: csrf) -> tuple[str, frozenset[str]]:
        """The mode of a view that *guard* stands nearest to, and the origins that are trusted there."""
        mode = guard.mode or (self._mode if self._mode != "off" else MODES[0])
        return mode, self._trusted.union(guard.trusted_origins)

    def of_view(self, state: AppState, endpoint: str, method: str) -> tuple[str, frozenset[str]]:
        """The mode of a view for a method, and the origins that are trusted there. ``"off"`` where nothing is asked."""
        met = [guard for guard, _ in state.guards_of(endpoint, method) if isinstance(guard, csrf)]
        if method in SAFE or not met:
            return "off", self._trusted
        return self.meant(nearest_to(endpoint, met, state))

    def check(self, guard: csrf, *, reads_form: bool = False, is_handshake: bool = False) -> Check:
        """The check of a view that *guard* stands nearest to.

        :param reads_form: whether a form is read before the view in any case, by ``validate``.
        :param is_handshake: whether it is that of WebSockets' handshakes, which are asked for no token.
        :raises ConfigError: if a token is wanted that cannot be signed, or an origin cannot be trusted in production.
        """
        mode, trusted = self.meant(guard)
        if mode == "off":
            return _admit
        if not (self._app.debug or self._app.testing):
            refuse_plain(guard.trusted_origins, repr(guard))
        kind = (mode, trusted, reads_form and mode == "token", is_handshake and mode == "token")
        found = self._checks.get(kind)
        if found is None:
            found = self._checks[kind] = self._made(*kind)
        return found

    def _made(self, mode: str, trusted: frozenset[str], reads_form: bool, is_handshake: bool) -> Check:
        from_browser = self._by_browser(trusted, needs_proof=mode == "strict", everybody=mode in ("strict", "token"))
        if mode != "token" or is_handshake:
            return from_browser
        self._tokens.ready()
        verify = self._tokens.verify

        def check(exchange: Exchange) -> Denied | None:
            denied = from_browser(exchange)
            if denied is not None or is_by_token(exchange.environ) or _is_proven(exchange):
                return denied
            return verify(exchange, reads_form=reads_form)

        return check

    def _by_browser(self, trusted: frozenset[str], *, needs_proof: bool, everybody: bool) -> Check:
        """What the browser says of the page.

        :param needs_proof: whether one that says nothing is refused.
        :param everybody: whether it is asked of requests without any credential too.
        """
        is_ambient = self._is_ambient

        def check(exchange: Exchange) -> Denied | None:
            environ = exchange.environ
            site = environ.get("HTTP_SEC_FETCH_SITE")
            if site == "same-origin" or site == "none":
                return None
            origin = environ.get("HTTP_ORIGIN")
            if site is None and origin is None and not needs_proof:
                return None
            if (
                page_of(environ, trusted) in _OURS
                or is_by_token(environ)
                or _is_proven(exchange)
                or (not everybody and not is_ambient(exchange))
            ):
                return None
            return Denied.of("csrf.origin", reason=_reason(site, origin, exchange))

        return check

    def _is_ambient(self, exchange: Exchange) -> bool:
        """Whether the request carries something that a browser adds by itself, whichever page asks."""
        environ = exchange.environ
        if environ.get("HTTP_COOKIE") or environ.get("REMOTE_USER") or environ.get("SSL_CLIENT_CERT"):
            return True
        if environ.get("SSL_CLIENT_VERIFY") == "SUCCESS" or (self._certificate and environ.get(self._certificate)):
            return True
        given = environ.get("HTTP_AUTHORIZATION")
        if given:
            return _scheme(given) in _BY_BROWSERS
        # A scheme of the app's own may go by what a proxy says of the user, or by the address: nobody knows.
        principal = exchange.principal
        return principal is not None and principal.kind not in _OF_TOKENS


def trusted_origins(settings: Settings) -> frozenset[str]:
    """The origins of ``RAMPART_CSRF_TRUSTED_ORIGINS``, as browsers write them.

    :raises ConfigError: if one of them is none.
    """
    return frozenset(read_origin(_SETTING, text) for text in settings.csrf_trusted_origins)


def refuse_plain(origins: Iterable[str], where: str = _SETTING) -> None:
    """:raises ConfigError: if a page that comes by plain HTTP is among those that are trusted in production."""
    for origin in sorted(origins):
        if origin.startswith("http:"):
            raise ConfigError(
                f"{where}: {origin!r} is for app.debug and app.testing: who is on the network can write pages of it. "
                f"Write 'https{origin[4:]}'."
            )


def nearest_to(endpoint: str, met: Sequence[csrf], state: AppState) -> csrf:
    """Of the guards that a request meets, the one that is said nearest to the view."""
    if sum(isinstance(guard, csrf) for guard in state.app_guards) > 1:
        raise ConfigError("The app is protected by two csrf(...): which of them is meant? Leave one, or RAMPART_CSRF.")
    around = [guard for guard in (*state.app_guards, *declared_around(state.app, endpoint)) if guard in met]
    default = state.services[CsrfPolicy].default
    own = [guard for guard in met if guard is not default and guard not in around]
    nearer: Sequence[Any] = own or around or met
    chosen: csrf = nearer[-1]
    return chosen


def _reads_form(state: AppState, endpoint: str) -> bool:
    """Whether ``validate`` reads a form before this view."""
    if endpoint not in state.app.view_functions:
        return False
    guards = (guard for method in _SENDING for guard, _ in state.guards_of(endpoint, method))
    return any(guard.name == "validate" and not _FORMS.isdisjoint(getattr(guard, "given", ())) for guard in guards)


def _is_of_websocket(app: Flask, endpoint: str) -> bool:
    """Whether a rule leads to this view by a WebSocket's handshake."""
    try:
        return any(rule.websocket for rule in app.url_map.iter_rules(endpoint))
    except KeyError:
        return False  # of no rule yet


def _scheme(given: str) -> str:
    return given[:_LONGEST].lstrip(" ").partition(" ")[0].lower()


def is_by_token(environ: Mapping[str, Any]) -> bool:
    """Whether a page of another site would have needed our leave (CORS) to send this: it has a field with a token.

    >>> is_by_token({"HTTP_AUTHORIZATION": "Bearer eyJ"}), is_by_token({"HTTP_AUTHORIZATION": "Basic YTpi"})
    (True, False)
    """
    given = environ.get("HTTP_AUTHORIZATION")
    if given is not None and (given[:7] == "Bearer " or _scheme(given) in _TOKENS):
        return True
    return bool(environ.get("HTTP_X_API_KEY"))


def _is_proven(exchange: Exchange) -> bool:
    """Whether the page is known to be ours from the token that says who it is (``tokens.places``)."""
    principal = exchange.principal
    # Only where the field is there, which another site's page cannot add: a JWT may also have come in the query.
    return principal is not None and principal.kind == "jwt" and "HTTP_X_CSRF_TOKEN" in exchange.environ


def _reason(site: str | None, origin: str | None, exchange: Exchange) -> str:
    """For the log: nothing of what the peer wrote."""
    reader: Policy | None = exchange.crossing
    if site in TOLD and origin is not None and reader is not None and reader.credentials and reader.fields(origin):
        return "Origin may read by CORS, and is not among the trusted ones"
    if site is not None:
        return f"Sec-Fetch-Site: {site}" if site in TOLD else "Sec-Fetch-Site is no word that is known"
    if origin is None:
        return "neither Sec-Fetch-Site nor Origin"
    return "Origin: null" if origin == "null" else "Origin is another"


def _admit(exchange: Exchange) -> Denied | None:
    return None


_OURS = ("own", "trusted")
_FORMS = frozenset(("form", "files"))
_SENDING = ("POST", "PUT", "PATCH", "DELETE")
_LONGEST = 32
_OF_TOKENS = ("jwt", "api_key")
_TOKENS = frozenset(("bearer", "dpop", "apikey"))
_BY_BROWSERS = frozenset(("basic", "digest", "negotiate", "ntlm", "kerberos", "hoba", "mutual"))
"""Schemes of ``Authorization`` that browsers answer, and go on answering, by themselves."""
