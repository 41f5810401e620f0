"""Issuers: tokens of others, judged by the keys that their issuer publishes (RFC 7519, 8414, 8725, 9068).

A token is taken when, in this order:

1. the ``iss`` that it *claims* is a configured issuer, or ours; this only chooses who judges it. Any other is refused
   with nothing fetched;
2. that issuer's keys are held, or can be had (:mod:`.keys`); otherwise the answer is 503 ``auth.unavailable``, since
   nobody can say that the token is wrong;
3. the native verifier accepts it, by that issuer's keys, algorithms, types, audience and issuer: the rules of
   ``src/tokens``, as for tokens of our own.

One issuer's key never verifies another's token. ``Principal.issuer`` tells apart who has the same ``sub``.

It does not follow addresses in tokens, does not know opaque tokens, and makes none: see ``docs/issuers.md``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from os import urandom
from typing import Protocol

from flask import Flask

from .._native import Clock, Key, KeySet, VerifiedToken, Verifier, bearer_issuer, token_issuer
from ..config import Settings
from ..errors import Denied
from ..exchange import Exchange, Principal, Scheme
from ..refusals import Challenge, carries_bearer
from .keys import KeySource, Unavailable
from .settings import read
from .transport import Transport, fetch

Verdict = VerifiedToken | tuple[str, str] | None
_MISS = ("token.invalid", "key")
_UNKNOWN = ("token.invalid", "issuer")


class _Source(Protocol):
    def verifier(self) -> Verifier | Unavailable: ...
    def after_miss(self, used: Verifier) -> Verifier | Unavailable | None: ...


class _Fixed:
    """Keys that stand in the settings: nothing is fetched."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def verifier(self) -> Verifier:
        return self._verifier

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
        self._clock = clock
        self.entries = tuple(read(settings))
        """What is configured of each, in order."""
        self._sources: dict[str, _Source] = {}
        for entry in self.entries:
            if entry.keys is not None:
                self._sources[entry.issuer] = _Fixed(entry.verifier(entry.keys, clock))
                continue
            self._sources[entry.issuer] = KeySource(
                entry,
                clock,
                transport or fetch,
                lambda line: _warn(app, line),
                lambda: _in_production(app),
                jitter,
            )
            # What a verifier would refuse, it refuses now and not when the first keys come.
            entry.verifier([Key.from_secret(urandom(32), "HS256")], clock)

    def check(self, app: Flask) -> None:
        """Refuses what must not run in production. Before the first request.

        :raises ConfigError: for http to another host, and for an issuer of tests.
        """
        for entry in self.entries:
            entry.check_place(_in_production(app))
            entry.check_http(_in_production(app))

    def fix_keys(self, issuer: str, keys: KeySet) -> None:
        """From now on judges the tokens of *issuer* by *keys*, and fetches none: for :mod:`flask_rampart.testing`."""
        entry = next(entry for entry in self.entries if entry.issuer == issuer)
        self._sources[issuer] = _Fixed(entry.verifier(keys, self._clock))

    def verify(self, token: str) -> Principal:
        """Whom *token* speaks for, whoever of the known issuers made it.

        :raises Denied: ``token.expired``, ``token.invalid`` or ``auth.unavailable``.
        """
        issuer = token_issuer(token)
        if isinstance(issuer, tuple):
            raise self.challenge.refused(issuer)
        source = self._sources.get(issuer)
        if source is None:
            if self._own is None or issuer != self._own_issuer:
                raise self.challenge.refused(_UNKNOWN)
            return self._own.verify(token)

        def judge(verifier: Verifier) -> Verdict:
            found = verifier.judge(token)
            return found if isinstance(found, tuple) or found.id else ("token.invalid", "subject")

        found = self._ask(source, judge)
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
            return self.challenge.refused(issuer)
        source = self._sources.get(issuer)
        if source is not None:
            return self._ask(source, lambda verifier: verifier.authenticate(environ))
        if self._own is None or issuer != self._own_issuer:
            return self.challenge.refused(_UNKNOWN)
        return self._own.authenticate(exchange)

    def carries(self, exchange: Exchange) -> bool:
        """Whether the request has a bearer token, right or wrong, whoever made it."""
        return carries_bearer(exchange.environ)

    def _ask(self, source: _Source, judge: Callable[[Verifier], Verdict]) -> VerifiedToken | Denied | None:
        verifier = source.verifier()
        if isinstance(verifier, Unavailable):
            return _unavailable(verifier)
        found = judge(verifier)
        if found == _MISS:
            newer = source.after_miss(verifier)
            if isinstance(newer, Unavailable):
                return _unavailable(newer)
            if newer is not None:
                found = judge(newer)
        return self.challenge.refused(found) if isinstance(found, tuple) else found


def _unavailable(verdict: Unavailable) -> Denied:
    return Denied.of("auth.unavailable", "issuer keys", headers=(("Retry-After", str(verdict.retry_after)),))


def _warn(app: Flask, line: str) -> None:
    app.logger.warning("%s", line)


def _in_production(app: Flask) -> bool:
    return not (app.debug or app.testing)
