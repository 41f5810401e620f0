"""Where tokens are, in a request and in an answer: header, cookies, JSON, query.

1. Only the places of ``RAMPART_JWT_LOCATIONS`` are looked at, and a request with two tokens is refused: which of
   them speaks would depend on an order that nobody knows (RFC 6750 section 2).
2. A browser sends cookies with every request, also one that another site's page made. So a token in a cookie counts
   for a method that may change something only if the request repeats its ``csrf`` claim in ``X-CSRF-Token``, which no
   other site can read (OWASP, "signed double-submit cookie"). This holds for every way that a cookie is read
   (Flask-JWT-Extended PR #538).
3. Cookies are ``Secure``, ``HttpOnly`` and ``SameSite``; named ``__Host-`` where they are for this host alone, so that
   no neighbour's page can plant one (RFC 6265bis section 4.1.3.2), otherwise ``__Secure-``. Two of one name are two
   tokens.

The value for ``X-CSRF-Token`` is in a cookie of its own that scripts can read.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.http import parse_cookie

from .._native import VerifiedToken, carries
from ..config import Settings
from ..errors import ConfigError, Denied
from ..exchange import Exchange
from ..guards import current_exchange
from ..refusals import Challenge

if TYPE_CHECKING:
    from flask import Response

    from . import TokenPair

_HEADER = "HTTP_X_CSRF_TOKEN"
_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
_ACCESS, _REFRESH = "access_token", "refresh_token"


class Places:
    """Where one app looks for tokens, and how it sets cookies."""

    def __init__(self, settings: Settings, challenge: Challenge) -> None:
        self._challenge = challenge
        self._places = settings.jwt_locations
        self._secure = settings.jwt_cookie_secure
        self._domain = settings.jwt_cookie_domain
        self._samesite = settings.jwt_cookie_samesite
        self._refresh_path = settings.jwt_refresh_path
        if self._samesite == "None" and not self._secure:
            raise ConfigError(
                'RAMPART_JWT_COOKIE_SAMESITE = "None" needs RAMPART_JWT_COOKIE_SECURE: browsers demand it.'
            )
        self.access_cookie = self._name(_ACCESS, "/")
        self.refresh_cookie = self._name(_REFRESH, self._refresh_path)
        self.csrf_cookie = self._name("csrf_token", "/")

    def check(self, app: Flask) -> None:
        """Refuses what must not run in production. Before the first request.

        :raises ConfigError: for cookies that would go over plain HTTP.
        """
        if "cookie" in self._places and not self._secure and not (app.debug or app.testing):
            raise ConfigError(
                "RAMPART_JWT_COOKIE_SECURE = False is for app.debug and app.testing: who listens could take the token."
            )

    def elsewhere(self, exchange: Exchange) -> list[tuple[str, str]]:
        """Each access token that the request carries outside the header, with its place."""
        return self._found(exchange, _ACCESS, self.access_cookie)

    def refresh_token(self) -> tuple[str, bool]:
        """The refresh token of the current request, and whether a cookie brought it.

        A body may always have one, as in RFC 6749 section 6; the cookie, where tokens are looked for there; the header,
        if it is nowhere else: clients send their access token with every request.

        :raises Denied: if it has none, or two.
        """
        found = self.refresh_token_or_none()
        if found is None:
            raise Denied.of("auth.missing", "no refresh token", headers=self._challenge.fields())
        return found

    def refresh_token_or_none(self) -> tuple[str, bool] | None:
        """The same; None if it has none."""
        exchange = current_exchange()
        environ = exchange.environ
        found = self._found(exchange, _REFRESH, self.refresh_cookie)
        if "json" not in self._places:
            found += _in_body(exchange, _REFRESH)
        # A form can be sent by any other site's page, to log its own user in here. JSON cannot, without our leave.
        if _has_form(environ) and "cookie" not in self._places:
            found += [("form", token) for token in exchange.request().form.getlist(_REFRESH) if token]
        if not found and "header" in self._places and carries(environ, "bearer"):
            found.append(("header", environ["HTTP_AUTHORIZATION"][len("bearer") :].strip(" ")))
        if len(found) > 1:
            raise self._challenge.refused(("auth.ambiguous", "two credentials"))
        return (found[0][1], found[0][0] == "cookie") if found else None

    def forged(self, exchange: Exchange | None, token: VerifiedToken, *, always: bool = False) -> Denied | None:
        """A refusal, unless the request proves that it is from a page that may read the cookie beside the token's.

        :param always: also where the method says that it changes nothing.
        """
        environ = (exchange or current_exchange()).environ
        if not always and environ.get("REQUEST_METHOD") in _SAFE:
            return None
        wanted = token.claims.get("csrf")
        given: str = environ.get(_HEADER, "")
        # A token without the claim was not made for a cookie.
        if (
            not isinstance(wanted, str)
            or not wanted
            or not hmac.compare_digest(wanted.encode(), given.encode(errors="replace"))
        ):
            return Denied.of("csrf.invalid", "different" if given else "missing")
        return None

    def set_cookies(self, response: Response, pair: TokenPair) -> None:
        """Puts a pair, and what proves a page, into cookies."""
        self._set(response, self.access_cookie, pair.access, pair.expires_in, "/")
        self._set(response, self.refresh_cookie, pair.refresh, pair.refresh_expires_in, self._refresh_path)
        self._set(response, self.csrf_cookie, pair.csrf, pair.refresh_expires_in, "/", readable=True)
        response.headers["Cache-Control"] = "no-store"

    def set_access_cookie(self, response: Response, token: str, principal: VerifiedToken, now: float) -> None:
        """Puts an access token that belongs to no login, and what proves a page, into cookies."""
        expires, csrf = principal.expires_at, principal.claims.get("csrf")
        if expires is None or not isinstance(csrf, str):
            raise ValueError("a token for a cookie has an end, and was issued while RAMPART_JWT_LOCATIONS has it")
        self._set(response, self.access_cookie, token, int(expires - now), "/")
        self._set(response, self.csrf_cookie, csrf, int(expires - now), "/", readable=True)
        response.headers["Cache-Control"] = "no-store"

    def clear_cookies(self, response: Response) -> None:
        """Takes them back."""
        response.headers["Cache-Control"] = "no-store"
        self._set(response, self.access_cookie, "", 0, "/")
        self._set(response, self.refresh_cookie, "", 0, self._refresh_path)
        self._set(response, self.csrf_cookie, "", 0, "/", readable=True)

    def take_back_cookies(self, response: Response) -> Response:
        """Takes those back that the answer does not set by itself, as that of a login which follows the logout does."""
        given = {line.partition("=")[0] for line in response.headers.getlist("Set-Cookie")}
        for name, path, readable in (
            (self.access_cookie, "/", False),
            (self.refresh_cookie, self._refresh_path, False),
            (self.csrf_cookie, "/", True),
        ):
            if name not in given:
                self._set(response, name, "", 0, path, readable=readable)
        response.headers["Cache-Control"] = "no-store"
        return response

    def cookie_rules(self) -> dict[str, dict[str, bool]]:
        """What is otherwise of these cookies, so that they leave as they are set here."""
        if "cookie" not in self._places:
            return {}
        plain = {} if self._secure else {"secure": False}
        return {
            self.access_cookie: {"http_only": True, **plain},
            self.refresh_cookie: {"http_only": True, **plain},
            self.csrf_cookie: {"http_only": False, **plain},
        }

    def _set(
        self, response: Response, name: str, value: str, seconds: int, path: str, *, readable: bool = False
    ) -> None:
        if "cookie" not in self._places:
            raise ConfigError('RAMPART_JWT_LOCATIONS does not have "cookie", so cookies would not be looked at.')
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path=path,
            domain=self._domain,
            secure=self._secure,
            httponly=not readable,
            samesite=self._samesite,
        )

    def _name(self, name: str, path: str) -> str:
        if not self._secure:
            return name
        return f"__Host-{name}" if self._domain is None and path == "/" else f"__Secure-{name}"

    def _found(self, exchange: Exchange, name: str, cookie: str) -> list[tuple[str, str]]:
        """Each token of this kind in the places beside the header. What is empty is none."""
        environ, found = exchange.environ, []
        for place in self._places:
            if place == "cookie" and name in environ.get("HTTP_COOKIE", ""):
                found += [(place, token) for token in parse_cookie(environ).getlist(cookie)]
            elif place == "query" and environ.get("QUERY_STRING"):
                found += [(place, token) for token in exchange.request().args.getlist(name)]
            elif place == "json":
                found += _in_body(exchange, name)
        return [(place, token) for place, token in found if token]


def _in_body(exchange: Exchange, name: str) -> list[tuple[str, str]]:
    """The token in a member of a JSON body.

    :raises Denied: for a body that cannot be read, as from ``request.get_json()``.
    """
    this = exchange.request()
    if not this.is_json or exchange.environ.get("REQUEST_METHOD") in _SAFE:
        return []
    body = this.get_json(silent=True)
    token = body.get(name) if isinstance(body, dict) else None
    return [("json", token)] if isinstance(token, str) and token else []


def _has_form(environ: dict[str, Any]) -> bool:
    return str(environ.get("CONTENT_TYPE", "")).lower().startswith("application/x-www-form-urlencoded")
