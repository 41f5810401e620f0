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

from .._native import (
    BoundToken,
    Clock,
    Key,
    KeySet,
    Revoked,
    VerifiedToken,
    Verifier,
    bearer_issuer,
    carries,
    token_issuer,
)
from ..bound import Binding
from ..config import Settings
from ..errors import Denied
from ..exchange import Exchange, Principal, Scheme
from ..refusals import Challenge
from .answers import IntrospectedToken
from .flights import Unavailable
from .introspection import Introspector
from .keys import KeySource
from .settings import Entry, read
from .transport import Transport, fetch

__all__ = ["IntrospectedToken", "Issuers"]

Verdict = VerifiedToken | BoundToken | tuple[str, str] | None
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


class Revocations(Protocol):
    """What was revoked, for all workers."""

    listed: Revoked

    def current(self) -> None:
        """Makes the list as new as its store."""

    def covers(
        self, realm: str, *, subject: str, token_id: str | None, issued_at: float | None, authenticated_at: float | None
    ) -> bool:
        """Whether what these name is revoked."""


class Own(Scheme, Protocol):
    """Tokens of our own, beside those of others."""

    def carries_elsewhere(self, exchange: Exchange) -> bool:
        """Whether the request has one in another place than the header."""

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
        binding: Binding | None = None,
        revocations: Revocations | None = None,
    ) -> None:
        self._binding = binding
        self._revocations = revocations
        self.challenge = challenge or Challenge("Bearer")
        self._own = own
        # Without RAMPART_JWT_ISSUER, a token of ours names no issuer.
        self._own_issuer = settings.jwt_issuer or ""
        # An API key that a client puts where a token belongs is nobody's business but ours.
        self._never = tuple(f"{settings.api_key_prefix}_{each}_" for each in _ENVIRONMENTS) if settings.api_keys else ()
        self._clock = clock
        self._entries = read(settings)
        self._sources: dict[str, _Source] = {}
        #: Who is asked, by issuer.
        self._asked: dict[str, Introspector] = {}

        def warn(line: str) -> None:
            app.logger.warning("%s", line)

        def production() -> bool:
            return _in_production(app)

        listed = None if revocations is None else revocations.listed
        for entry in self._entries:
            if entry.introspection is not None:
                self._asked[entry.issuer] = Introspector(entry, clock, transport or fetch, warn, production, jitter)
            if entry.keys is not None:
                self._sources[entry.issuer] = _Fixed(entry.verifier(entry.keys, clock, listed))
                continue
            self._sources[entry.issuer] = KeySource(entry, clock, transport or fetch, warn, production, jitter, listed)
            # What a verifier would refuse, it refuses now and not when the first keys come.
            entry.verifier([Key.from_secret(urandom(32), "HS256")], clock)

    def check(self, app: Flask) -> None:
        """Refuses what must not run in production. Before the first request.

        :raises ConfigError: for http to another host, and for an issuer of tests.
        """
        for entry in self._entries:
            entry.check_place(_in_production(app))
            entry.check_http(_in_production(app))

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What is configured of each, in order."""
        return tuple(self._entries)

    def fix_keys(self, issuer: str, keys: KeySet) -> None:
        """From now on judges the tokens of *issuer* by *keys* alone, and calls nobody: for
        :mod:`flask_rampart.testing`."""
        self._asked.pop(issuer, None)
        entry = next(entry for entry in self._entries if entry.issuer == issuer)
        listed = None if self._revocations is None else self._revocations.listed
        self._sources[issuer] = _Fixed(entry.verifier(keys, self._clock, listed))

    def verify(self, token: str) -> Principal:
        """Whom *token* speaks for, whoever of the known issuers made it.

        :raises Denied: ``token.expired``, ``token.invalid`` or ``auth.unavailable``.
        """
        found: Principal | BoundToken | Denied | None
        self._current()
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
        # None is for requests without a token, and what is bound is refused where there is no request.
        assert found is not None and not isinstance(found, BoundToken)  # noqa: S101
        return found

    def authenticate(self, exchange: Exchange) -> Principal | Denied | None:
        """Whose token the request carries; None if it carries none. See the rules above."""
        environ, binding = exchange.environ, self._binding
        own = self._own
        elsewhere = own is not None and own.carries_elsewhere(exchange)
        issuer = bearer_issuer(environ) if binding is None else binding.issuer(environ)
        if own is not None and elsewhere and issuer is None:
            return own.authenticate(exchange)
        if issuer is None:
            return None
        if elsewhere:
            return self.challenge.refused(("auth.ambiguous", "two credentials"))
        self._current()
        if isinstance(issuer, tuple):
            # Of a request with one token that is no JWT; whatever else is wrong has been found.
            plain = binding is None or (binding.takes_plain and carries(environ, "bearer"))
            if plain and self._asked and issuer[0] == "token.invalid" and self._is_opaque(token := _token(environ)):
                return self._opaque(token)
            return self._refused(issuer, environ)
        source = self._sources.get(issuer)
        if source is None:
            if own is None or issuer != self._own_issuer:
                return self._refused(_UNKNOWN, environ)
            return own.authenticate(exchange)
        if binding is None:
            return self._ask(issuer, source, lambda verifier: verifier.authenticate(environ), lambda: _token(environ))
        return self._ask(
            issuer,
            source,
            lambda verifier: binding.judge(verifier, environ),
            lambda: _token(environ),
            lambda found: binding.settle(found, exchange),
            lambda verdict: binding.refused(verdict, environ),
        )

    def carries(self, exchange: Exchange) -> bool:
        """Whether the request has a token, right or wrong, whoever made it."""
        environ = exchange.environ
        by_header = carries(environ, "bearer") if self._binding is None else self._binding.carries(environ)
        return by_header or (self._own is not None and self._own.carries_elsewhere(exchange))

    def _current(self) -> None:
        if self._revocations is not None:
            self._revocations.current()

    def _refused(self, verdict: tuple[str, str], environ: dict[str, Any]) -> Denied:
        if self._binding is not None:
            return self._binding.refused(verdict, environ)
        return self.challenge.refused(verdict)

    def _ask(
        self,
        issuer: str,
        source: _Source,
        judge: Callable[[Verifier], Verdict],
        token: Callable[[], str],
        settle: Callable[[Verdict], VerifiedToken | Denied | None] | None = None,
        refuse: Callable[[tuple[str, str]], Denied] | None = None,
    ) -> Principal | Denied | None:
        refuse = refuse or self.challenge.refused
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
        if settle is not None:
            settled = settle(found)
            if isinstance(settled, Denied):
                return settled
            found = settled
        if isinstance(found, tuple):
            return refuse(found)
        if isinstance(found, BoundToken):  # nobody asked what it is bound to
            return refuse(("token.invalid", "bound"))
        asked = self._asked.get(issuer)
        if found is None or asked is None or not asked.settings.all_tokens:
            return found
        return self._vouched(asked, token(), found, refuse)

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
                return self._vouched(asked, token, None, self.challenge.refused)
        return self.challenge.refused(_UNKNOWN)

    def _vouched(
        self,
        asked: Introspector,
        token: str,
        jwt: VerifiedToken | None,
        refuse: Callable[[tuple[str, str]], Denied],
    ) -> Principal | Denied:
        found = asked.judge(token, jwt)
        if isinstance(found, Unavailable):
            return _unavailable(found, "introspection")
        if isinstance(found, tuple):
            return refuse(found)
        if self._revocations is not None and self._revocations.covers(
            found.issuer or "",
            subject=found.id,
            token_id=found.token_id,
            issued_at=found.issued_at,
            authenticated_at=found.authenticated_at,
        ):
            return refuse(("token.invalid", "revoked"))
        if found.is_bound and not (jwt is not None and jwt.bound_to):
            # RFC 7800, 8705, 9449: who merely has it must not use it.
            return refuse(("token.invalid", "confirmation"))
        return found


def _token(environ: Mapping[str, Any]) -> str:
    """The token of a request that has one, as ``src/credential.rs`` cuts it out."""
    field: str = environ.get("HTTP_AUTHORIZATION", "")
    return field.strip(" ").partition(" ")[2].strip(" ")


def _unavailable(verdict: Unavailable, what: str) -> Denied:
    return Denied.of("auth.unavailable", what, headers=(("Retry-After", str(verdict.retry_after)),))


def _in_production(app: Flask) -> bool:
    return not (app.debug or app.testing)
