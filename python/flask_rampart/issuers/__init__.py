"""Issuers: tokens of others, judged by the keys that their issuer publishes (RFC 7519, 8414, 8725, 9068), or by asking
the issuer (RFC 7662).

A token that is three base64url parts is a JWT. It is taken when, in this order:

1. the ``iss`` that it *claims* is a configured issuer, or ours; this only chooses who judges it. Any other is refused
   with nothing fetched;
2. that issuer's keys are held, or can be had (:mod:`.keys`); otherwise the answer is 503 ``auth.unavailable``, since
   nobody can say that the token is wrong;
3. the native verifier accepts it, by that issuer's keys, algorithms, types, audience and issuer: the rules of
   ``src/tokens``, as for tokens of our own;
4. where that issuer is asked about ``"all"`` tokens, it does not take it back (:mod:`.introspection`).

Any other token is opaque: the one issuer that is asked about such tokens, or about those of its prefix, vouches for it.

One issuer's key never verifies another's token. ``Principal.issuer`` tells apart who has the same ``sub``. A token that
an issuer calls bound to a key (``cnf``) is not taken as a bearer token.

It does not follow addresses in tokens, and makes none: see ``docs/issuers.md``.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from os import urandom
from typing import Any, Protocol

from flask import Flask

from .._native import Clock, Key, VerifiedToken, Verifier, bearer_issuer, token_issuer
from ..config import Settings
from ..errors import Denied
from ..exchange import Exchange, Principal, Scheme
from ..refusals import Challenge, carries_bearer
from .answers import IntrospectedToken
from .flights import Unavailable
from .introspection import Introspector
from .keys import KeySource
from .settings import read
from .transport import Transport, fetch

__all__ = ["IntrospectedToken", "Issuers"]

Verdict = VerifiedToken | tuple[str, str] | None
_MISS = ("token.invalid", "key")
#: Of a token that may be signed with a key that was rotated without a name.
_DOUBTS = (("token.invalid", "signature"), ("token.invalid", "algorithm"))
_UNKNOWN = ("token.invalid", "issuer")
#: What a JWT looks like, also one without a signature (RFC 7515 section 7.1); never opaque, whatever is in it.
_COMPACT = re.compile(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")
#: What a bearer token may consist of (RFC 6750 section 2.1).
_BEARABLE = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_LONGEST_TOKEN = 16_384
_ENVIRONMENTS = ("live", "test")


class _Source(Protocol):
    def verifier(self) -> Verifier | Unavailable: ...
    def may_lack(self, used: Verifier, token: str) -> bool: ...
    def after_miss(self, used: Verifier) -> Verifier | Unavailable | None: ...


class _Fixed:
    """Keys that stand in the settings: nothing is fetched."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def verifier(self) -> Verifier:
        return self._verifier

    def may_lack(self, used: Verifier, token: str) -> bool:
        return False

    def after_miss(self, used: Verifier) -> None:
        return None


class Own(Scheme, Protocol):
    """Tokens of our own, beside those of others."""

    def verify(self, token: str) -> Principal:
        """Whom *token* speaks for.

        :raises Denied: if it is not to be trusted.
        """


class Issuers:
    """Verifies tokens of all configured issuers, and ours; ``rampart.issuers``."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        app: Flask,
        own: Own | None = None,
        *,
        transport: Transport | None = None,
        jitter: Callable[[], float] = random.random,
        challenge: Challenge | None = None,
    ) -> None:
        self.challenge = challenge or Challenge("Bearer")
        self._own = own
        # Without RAMPART_JWT_ISSUER, a token of ours names no issuer.
        self._own_issuer = settings.jwt_issuer or ""
        # An API key that a client puts where a token belongs is nobody's business but ours.
        self._never = tuple(f"{settings.api_key_prefix}_{each}_" for each in _ENVIRONMENTS) if settings.api_keys else ()
        self._entries = read(settings)
        self._sources: dict[str, _Source] = {}
        #: Who is asked, by issuer.
        self._asked: dict[str, Introspector] = {}

        def warn(line: str) -> None:
            app.logger.warning("%s", line)

        def production() -> bool:
            return _in_production(app)

        for entry in self._entries:
            if entry.introspection is not None:
                self._asked[entry.issuer] = Introspector(entry, clock, transport or fetch, warn, production, jitter)
            if entry.keys is not None:
                self._sources[entry.issuer] = _Fixed(entry.verifier(entry.keys, clock))
                continue
            self._sources[entry.issuer] = KeySource(entry, clock, transport or fetch, warn, production, jitter)
            # What a verifier would refuse, it refuses now and not when the first keys come.
            entry.verifier([Key.from_secret(urandom(32), "HS256")], clock)

    def check(self, app: Flask) -> None:
        """Refuses what must not run in production. Before the first request.

        :raises ConfigError: for http to another host.
        """
        for entry in self._entries:
            entry.check_http(_in_production(app))

    def verify(self, token: str) -> Principal:
        """Whom *token* speaks for, whoever of the known issuers made it.

        :raises Denied: ``token.expired``, ``token.invalid`` or ``auth.unavailable``.
        """
        found: Principal | Denied | None
        issuer = token_issuer(token)
        if isinstance(issuer, tuple):
            found = self._opaque(token) if self._is_opaque(token) else self.challenge.refused(issuer)
        elif (source := self._sources.get(issuer)) is not None:

            def judge(verifier: Verifier) -> Verdict:
                found = verifier.judge(token)
                return found if isinstance(found, tuple) or found.id else ("token.invalid", "subject")

            found = self._ask(issuer, source, judge, lambda: token)
        elif self._own is None or issuer != self._own_issuer:
            found = self.challenge.refused(_UNKNOWN)
        else:
            return self._own.verify(token)
        if isinstance(found, Denied):
            raise found
        assert found is not None  # noqa: S101 - None is for requests without a token
        return found

    def authenticate(self, exchange: Exchange) -> Principal | Denied | None:
        """The bearer of the request's token; None if it carries none. See the rules above."""
        environ = exchange.environ
        issuer = bearer_issuer(environ)
        if issuer is None:
            return None
        if isinstance(issuer, tuple):
            # Of a request with one token that is no JWT; whatever else is wrong has been found.
            if self._asked and issuer[0] == "token.invalid" and self._is_opaque(token := _token(environ)):
                return self._opaque(token)
            return self.challenge.refused(issuer)
        source = self._sources.get(issuer)
        if source is not None:
            return self._ask(issuer, source, lambda verifier: verifier.authenticate(environ), lambda: _token(environ))
        if self._own is None or issuer != self._own_issuer:
            return self.challenge.refused(_UNKNOWN)
        return self._own.authenticate(exchange)

    def carries(self, exchange: Exchange) -> bool:
        """Whether the request has a bearer token, right or wrong, whoever made it."""
        return carries_bearer(exchange.environ)

    def _ask(
        self, issuer: str, source: _Source, judge: Callable[[Verifier], Verdict], token: Callable[[], str]
    ) -> Principal | Denied | None:
        verifier = source.verifier()
        if isinstance(verifier, Unavailable):
            return _unavailable(verifier, "issuer keys")
        found = judge(verifier)
        if isinstance(found, tuple) and (found == _MISS or (found in _DOUBTS and source.may_lack(verifier, token()))):
            newer = source.after_miss(verifier)
            if isinstance(newer, Unavailable):
                return _unavailable(newer, "issuer keys")
            if newer is not None:
                found = judge(newer)
        if isinstance(found, tuple):
            return self.challenge.refused(found)
        asked = self._asked.get(issuer)
        if found is None or asked is None or not asked.settings.all_tokens:
            return found
        return self._vouched(asked, token(), found)

    # What only the issuer knows.

    def _is_opaque(self, token: str) -> bool:
        """Whether somebody may be asked about *token*, by its form."""
        return (
            bool(self._asked)
            and len(token) <= _LONGEST_TOKEN
            and _BEARABLE.fullmatch(token) is not None
            and _COMPACT.fullmatch(token) is None
            and not token.startswith(self._never)
        )

    def _opaque(self, token: str) -> Principal | Denied:
        for asked in self._asked.values():
            if token.startswith(asked.settings.prefix):
                return self._vouched(asked, token, None)
        return self.challenge.refused(_UNKNOWN)

    def _vouched(self, asked: Introspector, token: str, jwt: VerifiedToken | None) -> Principal | Denied:
        found = asked.judge(token, jwt)
        if isinstance(found, Unavailable):
            return _unavailable(found, "introspection")
        if isinstance(found, tuple):
            return self.challenge.refused(found)
        if found.is_bound:
            # RFC 7800, 8705, 9449: who merely has it must not use it.
            return self.challenge.refused(("token.invalid", "confirmation"))
        return found


def _token(environ: Mapping[str, Any]) -> str:
    """The token of a request that has one, as ``src/tokens/bearer.rs`` cuts it out."""
    field: str = environ.get("HTTP_AUTHORIZATION", "")
    return field[len("Bearer") :].strip(" ") if field[6:7] == " " else ""


def _unavailable(verdict: Unavailable, what: str) -> Denied:
    return Denied.of("auth.unavailable", what, headers=(("Retry-After", str(verdict.retry_after)),))


def _in_production(app: Flask) -> bool:
    return not (app.debug or app.testing)
