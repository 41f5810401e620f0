"""A token that a page of ours carries and a page of another site cannot know: the signed double-submit cookie.

1. The page's cookie holds 128 random bits, drawn once for a browser; nothing but that browser knows them. It is
   ``HttpOnly``, and over HTTPS named ``__Host-``, so that no neighbour under the same domain can plant one.
2. The token is random as well, with the time and an HMAC-SHA256 over both by ``SECRET_KEY`` (its ``FALLBACKS`` verify),
   with a key derived for this use, this cookie and who is logged in. So a neighbour's own cookie and token, planted
   together, are still somebody else's.
3. A request sends it in ``X-CSRF-Token``, or in the field ``csrf_token`` of a form, which the view then does not see.
   It is the token of this cookie and login, and at most ``RAMPART_CSRF_TOKEN_LIFETIME`` old; compared in constant time.
4. Each token is another, so that the sizes of compressed answers tell nothing of it (BREACH).

Who is logged in is what ``require`` found, and Flask-Login's user of the session: a page with a form comes from a view
that knows its visitor in one of these ways, if the view that takes the form does. Where neither knows, the token is
bound to the cookie alone.

It is no secret of the server's that is worth stealing twice: whoever reads the page has it, so never send it to
another site, nor in a URL.

Sources: OWASP's cheat sheet on CSRF ("signed double-submit cookie"); RFC 6265bis section 4.1.3.2 (prefixes); BREACH
(CVE-2013-3587); Flask's CVE-2025-47278 (the order of fallback keys). The signature is itsdangerous', as of sessions.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from flask import after_this_request, session
from itsdangerous import BadSignature, TimestampSigner
from werkzeug.http import parse_cookie

from .._native import Clock
from ..errors import ConfigError, Denied
from ..exchange import Exchange, origin_of
from ..guards import current_exchange
from ..uploads.forms import FORMS

if TYPE_CHECKING:
    from flask import Flask, Response

    from ..guards import AppState

FIELD = "csrf_token"
HEADER = "X-CSRF-Token"


def csrf_token() -> str:
    """A token for a form or a script of this page, which ``@csrf("token")`` wants back. Templates have it too.

    Write ``<input type="hidden" name="csrf_token" value="{{ csrf_token() }}">``, or send it in ``X-CSRF-Token``. Call
    it before an answer begins to be streamed: it may set a cookie. The answer is not stored by caches.

    :raises ConfigError: if the app has no ``SECRET_KEY``.
    :raises RuntimeError: outside a request, in an app without ``Rampart(app)``, or for the first time in a stream that
        has begun.
    """
    exchange = current_exchange()
    state = cast("AppState", exchange.owner)
    tokens: CsrfTokens = state.services[CsrfTokens]
    return tokens.issue(exchange)


class InTemplates:
    """What templates have as ``csrf_token``. It is true where a form wants a token of ours.

    Flask-Admin and others put one into their forms where the name is there (``{% if csrf_token %}``), also beside a
    field of theirs that has the same name, whose token would then not be found.
    """

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self._wanted = wanted

    def __call__(self) -> str:
        return csrf_token()

    def __bool__(self) -> bool:
        return self._wanted()


class CsrfTokens:
    """Issues and verifies the tokens of one app."""

    is_wanted = False
    """Whether any view takes them. Known once all guards are bound."""

    def __init__(self, lifetime: int, clock: Clock, app: Flask) -> None:
        self._lifetime = lifetime
        self._app = app

        class Signer(TimestampSigner):
            def get_timestamp(self) -> int:
                return int(clock.now())

        self._signer: Callable[..., TimestampSigner] = Signer
        self._now = clock.now

    def ready(self) -> None:
        """:raises ConfigError: if tokens cannot be signed, or templates would get another's."""
        self._keys()
        self.is_wanted = True
        if not isinstance(self._app.jinja_env.globals.get(FIELD), InTemplates):
            raise ConfigError(
                "Views take the tokens of csrf_token(), and templates have another function of that name "
                "(Flask-WTF's?), whose tokens would be refused. Use one of the two."
            )

    def issue(self, exchange: Exchange) -> str:
        """A new token for the browser and the login of this request. Sets the cookie, if there is none."""
        kept = exchange.request().__dict__
        seed = kept.get(_SEED)
        if seed is None:
            if exchange.has_begun:
                raise RuntimeError(
                    "csrf_token() was called for the first time in a stream that has begun: it can set no cookie any "
                    "more, so its token would be refused. Call it in the view before the stream begins."
                )
            seed = _seed(exchange) or secrets.token_urlsafe(16)
            kept[_SEED] = seed
            after_this_request(lambda response: _keep(response, exchange, seed))
        # What the session says where require says nothing, as it is the same on all views.
        bound_to = (*_logins(exchange), "")[0]
        return self._signed_by(seed, bound_to).sign(secrets.token_urlsafe(12)).decode()

    def verify(self, exchange: Exchange, *, reads_form: bool = False) -> Denied | None:
        """A refusal, unless the request carries a token of this browser and login.

        :param reads_form: whether a form is read before the view in any case. A script often sends the whole form,
            with the field in it, and the header; without this, a view that reads the body itself would find none.
        """
        given, by_form = _given(exchange)
        if given is None:
            return Denied.of("csrf.invalid", reason="no token, or two")
        seed = _seed(exchange)
        if seed is None:
            return Denied.of("csrf.invalid", reason="no cookie beside the token, or two")
        if len(given) > _LONGEST or not given.isascii():
            return Denied.of("csrf.invalid", reason="no token of ours")
        age = None
        for bound_to in _logins(exchange) or ("",):
            try:
                _, made = self._signed_by(seed, bound_to).unsign(given, return_timestamp=True)
            except BadSignature:
                continue
            age = self._now() - made.timestamp()
            break
        if age is None:
            return Denied.of("csrf.invalid", reason="a token of another browser, login or key")
        if not -_SKEW <= age <= self._lifetime:
            return Denied.of("csrf.invalid", reason="the token is too old")
        if by_form or (reads_form and exchange.request().mimetype in FORMS):
            _take_out(exchange)
        return None

    def _signed_by(self, seed: str, bound_to: str) -> TimestampSigner:
        return self._signer(
            self._keys(),
            # The seed is of one length: no other pair reads the same.
            salt=f"flask_rampart.csrf\0{seed}\0{bound_to}".encode("utf-8", "surrogatepass"),
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )

    def _keys(self) -> list[str | bytes]:
        key = self._app.secret_key
        if not key:
            raise ConfigError(
                "csrf_token() and csrf('token') sign with SECRET_KEY, and there is none. Set it: python -c 'import "
                "secrets; print(secrets.token_hex())'."
            )
        # The last one signs, all verify.
        return [*(self._app.config.get("SECRET_KEY_FALLBACKS") or ()), key]


def _given(exchange: Exchange) -> tuple[str | None, bool]:
    """The token that the request sends, and whether a form holds it."""
    header: str | None = exchange.environ.get("HTTP_X_CSRF_TOKEN")
    if header is not None:
        return header, False
    request = exchange.request()
    # Anything else is no form, and is not read here.
    if request.mimetype not in FORMS:
        return None, False
    found = request.form.getlist(FIELD)
    return (found[0], True) if len(found) == 1 else (None, False)


def _take_out(exchange: Exchange) -> None:
    """Leaves the view, and ``validate``, the fields that are theirs."""
    request = exchange.request()
    form = request.form
    request.__dict__["form"] = type(form)([pair for pair in form.items(multi=True) if pair[0] != FIELD])


def _logins(exchange: Exchange) -> tuple[str, ...]:
    """Who is logged in, as each that knows says it."""
    found = []
    # Flask-Login's name for it. The session is signed, or the server's.
    user = session.get("_user_id") if session else None
    if user is not None:
        found.append(f"session\0{user}")
    principal = exchange.principal
    if principal is not None:
        found.append(f"{origin_of(principal)}\0{principal.id}")
    return tuple(found)


def _cookie(exchange: Exchange) -> str:
    return f"__Host-{_NAME}" if _is_secure(exchange) else _NAME


def _is_secure(exchange: Exchange) -> bool:
    return exchange.environ.get("wsgi.url_scheme") in ("https", "wss")


def _seed(exchange: Exchange) -> str | None:
    """What the browser's cookie holds; None if there is none that could be ours, or there are two."""
    # A neighbour's cookie may be no text at all: werkzeug would refuse all of them. Ours is ASCII.
    text = exchange.environ.get("HTTP_COOKIE", "").encode("ascii", "replace").decode()
    found = parse_cookie(text).getlist(_cookie(exchange))
    return found[0] if len(found) == 1 and _SEEDS.fullmatch(found[0]) else None


def _keep(response: Response, exchange: Exchange, seed: str) -> Response:
    if _seed(exchange) != seed:
        response.set_cookie(
            _cookie(exchange),
            seed,
            path="/",
            secure=_is_secure(exchange),
            httponly=True,
            # Not Strict: who comes by a link from elsewhere would be given another, and other tabs' forms would end.
            samesite="Lax",
        )
    response.vary.add("Cookie")
    # The page is this visitor's alone.
    response.headers.setdefault("Cache-Control", "no-store")
    return response


_NAME = "rampart_csrf"
_SEED = "_rampart_csrf_seed"
_SEEDS = re.compile(r"[A-Za-z0-9_-]{22}")
_LONGEST = 256
_SKEW = 60
"""Seconds by which the clock of the host that made a token may be ahead."""
