"""A test client that acts as somebody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.http import parse_cookie

from ..apikeys import ApiKeys
from ..errors import ConfigError
from ..issuers import Issuers
from ..tokens import TokenPair, Tokens
from .issuer import FakeIssuer
from .minting import mint_token, payload_of
from .state import Duration, Words, under_test

C = TypeVar("C", bound="RampartClient")

_CREDENTIALS = ("HTTP_AUTHORIZATION", "HTTP_X_API_KEY", "HTTP_X_CSRF_TOKEN")
_HOUR = 3600


def client(app: Flask, **options: Any) -> RampartClient:
    """A client for *app* that can act as somebody: see :class:`RampartClient`.

    :param options: those of the client's class, such as ``use_cookies``. An ``app.test_client_class`` of your own keeps
        what it does.
    :raises ConfigError: if the app has no Rampart, or is in production.
    """
    under_test(app)
    own = app.test_client_class or FlaskClient
    made: type[RampartClient]
    if issubclass(own, RampartClient):
        made = own
    elif own is FlaskClient:
        made = RampartClient
    else:
        made = type(f"Rampart{own.__name__}", (RampartClient, own), {})
    return made(app, app.response_class, **options)


class RampartClient(FlaskClient):
    """Flask's test client, and others from it that carry a credential; works as ``app.test_client_class`` too.

    Each of the methods here gives *another* client, with cookies of its own, and leaves this one as it was: so a test
    may have several people at once. A header that a request is given wins over the client's.
    """

    _made_with: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **options: Any) -> RampartClient:
        made = super().__new__(cls)
        # Kept here, as a subclass may take options of its own out before it calls our __init__.
        made._made_with = (args, options)
        return made

    def as_user(
        self: C,
        subject: str = "user",
        *,
        scopes: Words = (),
        roles: Words = (),
        claims: Mapping[str, Any] | None = None,
        fresh: bool = False,
        lifetime: Duration | None = None,
        issuer: FakeIssuer | str | None = None,
    ) -> C:
        """A client with a token for *subject*, minted now; the arguments are those of :func:`mint_token`.

        The token expires as the clock advances, as any other would.
        """
        app = self.application
        return self.with_token(
            mint_token(
                app,
                subject,
                scopes=scopes,
                roles=roles,
                claims=claims,
                fresh=fresh,
                lifetime=lifetime,
                issuer=issuer,
            )
        )

    def with_token(self: C, token: str) -> C:
        """A client that carries *token* where the app looks for tokens: in the header or, where
        ``RAMPART_JWT_LOCATIONS`` has no ``"header"``, in its cookie, with the value for ``X-CSRF-Token`` beside it.

        :param token: any text, so also what :func:`mint_token` makes wrong on purpose.
        :raises ConfigError: for ``RAMPART_JWT_LOCATIONS`` with neither.
        """
        state = under_test(self.application)
        other = self.anonymous()
        locations = state.settings.jwt_locations
        if "header" in locations or Issuers in state.services:
            other.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        elif "cookie" in locations:
            other._put_into_cookies(state.services[Tokens], token)
        else:
            raise ConfigError(
                "RAMPART_JWT_LOCATIONS has neither 'header' nor 'cookie': give the token to each request yourself; "
                "mint_token() makes it."
            )
        return other

    def as_api_key(
        self: C,
        name: str = "test",
        *,
        owner: str | None = None,
        scopes: Words = (),
        roles: Words = (),
        claims: Mapping[str, Any] | None = None,
        lifetime: Duration | None = _HOUR,
    ) -> C:
        """A client with a new API key, in ``X-API-Key``; the arguments are those of ``rampart.api_keys.create``.

        The key is written into the app's store, which under ``app.testing`` is in memory unless ``RAMPART_STORE`` says
        otherwise; one that is left behind there ends after an hour.

        :raises ConfigError: without ``RAMPART_API_KEYS``.
        """
        api_keys: ApiKeys | None = under_test(self.application).services.get(ApiKeys)
        if api_keys is None:
            raise ConfigError("this app takes no API keys: set RAMPART_API_KEYS = True.")
        with self.application.app_context():
            new = api_keys.create(name, owner=owner, scopes=scopes, roles=roles, claims=claims, lifetime=lifetime)
        other = self.anonymous()
        other.environ_base["HTTP_X_API_KEY"] = new.key
        return other

    def anonymous(self: C) -> C:
        """A client without any credential, and without cookies."""
        args, options = self._made_with
        other = type(self)(*args, **options)
        other.environ_base = {name: value for name, value in self.environ_base.items() if name not in _CREDENTIALS}
        return other

    def _put_into_cookies(self, tokens: Tokens, token: str) -> None:
        """As a browser would have them after a login, by the same code that sets them there."""
        app = self.application
        csrf = payload_of(token).get("csrf")
        csrf = csrf if isinstance(csrf, str) else ""
        pair = TokenPair(
            access=token,
            refresh="",
            expires_in=_HOUR,
            refresh_expires_in=_HOUR,
            scopes=frozenset(),
            family="",
            csrf=csrf,
        )
        with app.app_context():
            response = app.response_class()
            tokens.set_cookies(response, pair)
        domain = (app.config["SERVER_NAME"] or "localhost").partition(":")[0]
        for line in response.headers.getlist("Set-Cookie"):
            ((name, value),) = parse_cookie(line.partition(";")[0]).items()
            if value:
                self.set_cookie(name, value, domain=domain)
        if csrf:
            self.environ_base["HTTP_X_CSRF_TOKEN"] = csrf
