"""An issuer of tokens for tests: its keys and signatures are real, and it needs no network."""

from __future__ import annotations

import json
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from flask import Flask

from .._native import Clock, Key, KeySet
from ..errors import ConfigError
from ..exchange import SCOPE
from ..issuers import Issuers
from ..tokens.making import put_claim
from .keys import ALGORITHMS, new_key
from .serving import served
from .state import Duration, Words, under_test

_EXTENSION = "rampart.testing"
_LIFETIME = 900


class FakeIssuer:
    """Somebody whose tokens an app takes, as it takes those of Auth0, Entra or Keycloak.

    :param issuer: its name, the tokens' ``iss``: an https URL.
    :param audience: for whom its tokens are, the ``aud``.
    :param algorithm: ``"EdDSA"``; or, with the package ``cryptography``, ``"RS256"``, ``"ES256"`` and the others that
        ``RAMPART_ISSUERS`` takes.
    :param typ: the tokens' type; ``at+jwt`` by RFC 9068, where many issuers say ``JWT``.
    :param scopes_claim: where it puts scopes, such as ``"scp"``.
    :param roles_claim: where it puts roles, such as ``"realm_access.roles"``.
    :param clock: what time it is; the system's clock, if not given. :func:`mint_token` goes by the app's.

    >>> issuer = FakeIssuer(audience="https://api.example")
    >>> issuer.settings()["issuer"]
    'https://issuer.test'
    >>> issuer.token("ada", scopes="orders:read").count(".")
    2
    """

    def __init__(
        self,
        issuer: str = "https://issuer.test",
        *,
        audience: str = "https://api.test",
        algorithm: str = "EdDSA",
        typ: str = "at+jwt",
        scopes_claim: str = "scope",
        roles_claim: str = "roles",
        clock: Clock | None = None,
    ) -> None:
        if algorithm not in ALGORITHMS:
            raise ConfigError(f"an issuer signs with one of {', '.join(ALGORITHMS)}, not {algorithm!r}.")
        self.issuer = issuer
        self.audience = audience
        self.algorithm = algorithm
        self.typ = typ
        self.available = True
        """Whether it answers while it is served; set it to False for an outage: then each answer is 503."""
        self.fetches: Counter[str] = Counter()
        """How often its ``"metadata"`` and its ``"keys"`` were asked for while it was served."""
        self._scopes_claim = scopes_claim
        self._roles_claim = roles_claim
        self._clock = clock or Clock.system()
        self._keys = [self._new_key()]
        self._served = False
        self._apps: weakref.WeakSet[Flask] = weakref.WeakSet()
        _all.add(self)

    @classmethod
    def in_place_of(cls, app: Flask, issuer: str | None = None) -> FakeIssuer:
        """Takes the place of an issuer that *app* trusts: from now on its tokens are judged by the keys of this one,
        and nothing is fetched. Its name, audience, algorithms, types and claims are as configured.

        :param issuer: which of ``RAMPART_ISSUERS``; the first, if not given.
        :raises ConfigError: if there is none of that name, or the app is in production.
        """
        state = under_test(app)
        issuers: Issuers | None = state.services.get(Issuers)
        entries = [entry for entry in (issuers.entries if issuers else ()) if issuer in (None, entry.issuer)]
        if not entries:
            which = "none" if issuer is None else f"none that is {issuer!r}"
            raise ConfigError(f"RAMPART_ISSUERS has {which}.")
        entry = entries[0]
        fake = cls(
            entry.issuer,
            audience=entry.audience[0],
            algorithm=next(name for name in ALGORITHMS if name in entry.algorithms),
            typ=entry.types[0],
            scopes_claim=entry.scopes_claim[0],
            roles_claim=entry.roles_claim[0],
            clock=state.services[Clock],
        )
        fake._stand_in(app)
        return fake

    @property
    def key(self) -> Key:
        """What it signs with now."""
        return self._keys[0]

    def settings(self, **fields: Any) -> dict[str, Any]:
        """An entry for ``RAMPART_ISSUERS``: with its keys in it or, while it is served, with where they are.

        It is marked ``testing_only``, so an app in production does not start with it.

        :param fields: further fields of the entry.
        """
        found: dict[str, Any] = {
            "issuer": self.issuer,
            "audience": self.audience,
            "algorithms": [self.algorithm],
            "typ": self.typ,
            "scopes_claim": self._scopes_claim,
            "roles_claim": self._roles_claim,
            "testing_only": True,
        }
        if self._served:
            found.update(allow_http=True, allow_private=True)
        else:
            found["jwks"] = self.jwks()
        return {**found, **fields}

    def jwks(self) -> dict[str, Any]:
        """The public keys that it publishes, as a JWK set (RFC 7517 section 5)."""
        return {"keys": [json.loads(key.public_jwk() or "") for key in self._keys]}

    def token(
        self,
        subject: str = "user",
        *,
        scopes: Words = (),
        roles: Words = (),
        audience: str | Iterable[str] | None = None,
        claims: Mapping[str, Any] | None = None,
        lifetime: Duration | None = None,
        typ: str | None = None,
    ) -> str:
        """A signed access token for *subject*.

        :param audience: for whom; as configured, if not given.
        :param claims: further claims, also registered ones, as they are.
        :param lifetime: seconds until it expires; a quarter of an hour, if not given.
        :param typ: the header's ``typ``.

        For wrong ones, see :func:`mint_token`.
        """
        payload = self.claims(subject, scopes=scopes, roles=roles, lifetime=lifetime)
        if audience is not None:
            payload["aud"] = audience if isinstance(audience, str) else list(audience)
        payload.update(claims or {})
        return self.key.sign(json.dumps(payload), typ or self.typ)

    def claims(
        self,
        subject: str,
        *,
        scopes: Words = (),
        roles: Words = (),
        lifetime: Duration | None = None,
        now: float | None = None,
    ) -> dict[str, Any]:
        """What a token for *subject* says (RFC 9068 section 2.2)."""
        issued = int(self._clock.now() if now is None else now)
        seconds = lifetime.total_seconds() if isinstance(lifetime, timedelta) else lifetime
        words = scopes.split() if isinstance(scopes, str) else list(scopes)
        for word in words:
            if not SCOPE.fullmatch(word):
                raise ValueError(f"{word!r} is not a scope: printable characters but space, quote and backslash")
        payload: dict[str, Any] = {
            "iss": self.issuer,
            "sub": subject,
            "aud": self.audience,
            "client_id": "test",
            "iat": issued,
            "exp": issued + int(_LIFETIME if seconds is None else seconds),
            "jti": uuid4().hex,
        }
        put_claim(payload, self._scopes_claim, " ".join(words))
        put_claim(payload, self._roles_claim, [roles] if isinstance(roles, str) else list(roles))
        return payload

    def rotate(self, *, keep: bool = True) -> None:
        """Signs with a new key from now on.

        :param keep: whether the old ones are still published, as while their tokens live.

        Who fetches its keys, or has it in place of an issuer, learns of it; an app with its keys in the settings does
        not.
        """
        self._keys = [self._new_key(), *(self._keys if keep else ())]
        for app in list(self._apps):
            self._publish_to(app)

    @contextmanager
    def serve(self) -> Iterator[FakeIssuer]:
        """Serves its metadata and keys by HTTP on this host, within the block; its name is an address there, such as
        ``http://127.0.0.1:40123``. For tests of discovery, rotation and outage with all that is real; for others,
        :meth:`settings` alone is faster.
        """
        if self._served:
            raise RuntimeError("it is being served")
        name = self.issuer
        with served(self) as address:
            self.issuer, self._served = address, True
            try:
                yield self
            finally:
                self.issuer, self._served = name, False

    def _new_key(self) -> Key:
        return new_key(self.algorithm, f"fake-{uuid4().hex[:12]}")

    def _stand_in(self, app: Flask) -> None:
        self._publish_to(app)
        self._apps.add(app)
        app.extensions.setdefault(_EXTENSION, {})[self.issuer] = self

    def _publish_to(self, app: Flask) -> None:
        issuers: Issuers = under_test(app).services[Issuers]
        issuers.fix_keys(self.issuer, KeySet.read(json.dumps(self.jwks()).encode(), [self.algorithm]))


def behind(app: Flask, spec: Mapping[str, Any]) -> FakeIssuer | None:
    """The fake issuer of an entry of ``RAMPART_ISSUERS``, or the one that took its place; None if it is a real one."""
    stand_ins: dict[str, FakeIssuer] = app.extensions.get(_EXTENSION, {})
    if spec["issuer"] in stand_ins:
        return stand_ins[spec["issuer"]]
    names = {key.get("kid") for key in spec["jwks"]["keys"]} if "jwks" in spec else None
    for fake in list(_all):
        if fake.issuer == spec["issuer"] and (fake._served if names is None else fake.key.kid in names):
            return fake
    return None


_all: weakref.WeakSet[FakeIssuer] = weakref.WeakSet()
