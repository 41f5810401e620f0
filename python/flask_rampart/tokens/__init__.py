"""Tokens of our own: issued, verified, renewed and revoked.

A request is somebody's when, in this order:

1. it carries one token, in a place where tokens are looked for (``RAMPART_JWT_LOCATIONS``): by default only in
   ``Authorization`` with the scheme ``Bearer`` (RFC 6750 section 2.1). Two are refused as ambiguous (section 2);
2. the native verifier accepts it: length, form, key, algorithm, signature, claims, times (RFC 7515, RFC 7519,
   RFC 8725; the rules stand in ``src/tokens``);
3. it was not revoked: itself, its login, or what its subject had until a moment (``revocations.py``);
4. where it came in a cookie, and the method may change something, the request proves that it is no other site's
   (``places.py``).

A token is refused as ``token.expired`` only after its signature held; everything else is ``token.invalid``, and which
part was wrong is told to the log alone.

Refresh tokens have a type of their own, so none is ever taken for an access token, nor the other way round
(RFC 8725 section 3.11); how they are renewed stands in ``families.py``.

It fetches no keys: tokens of others are for ``issuers``.

Deployment: the clocks of the machines that issue and verify may differ by ``RAMPART_JWT_LEEWAY``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from flask import Flask, Response, has_request_context
from werkzeug.local import LocalProxy

from .._native import Clock, Revoked, VerifiedToken, Verifier
from ..config import Settings
from ..errors import ConfigError, Denied
from ..exchange import Exchange, Principal
from ..guards import current_exchange
from ..refusals import Challenge, carries_bearer
from ..stores import Records
from .families import REFRESH_TYPE, Families, Invalid, Login, Members
from .keys import read_keys
from .making import Duration, Maker, Words
from .pair import TokenPair
from .places import Places
from .revocations import FOR_GOOD, Revocations, subject_mark

__all__ = ["Login", "Revocations", "TokenPair", "Tokens"]

Notify = Callable[..., None]


class Tokens:
    """Issues, verifies, renews and revokes an app's tokens; ``rampart.tokens``."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        root: str,
        records: Records,
        *,
        challenge: Challenge | None = None,
        notify: Notify = lambda event, **about: None,
    ) -> None:
        self.challenge = challenge or Challenge("Bearer")
        self._settings = settings
        self._clock = clock
        self._notify = notify
        self._keys = read_keys(settings.jwt_keys, root)
        self._signer = next((key for key in self._keys if key.can_sign), None)
        wanted = settings.jwt_revocation if settings.jwt_revocation is not None else self._signer is not None
        self.revocations = Revocations(records, clock) if wanted else None
        """The list of the revoked; None if ``RAMPART_JWT_REVOCATION`` is off."""
        if any(name.lower().removeprefix("application/") == REFRESH_TYPE for name in settings.jwt_types):
            raise ConfigError(f"RAMPART_JWT_TYPES: {REFRESH_TYPE!r} is the type of refresh tokens; they open nothing.")
        listed = None if self.revocations is None else self.revocations.listed
        self._verifier = self._verifies(settings.jwt_types, listed)
        # What a family's record says of a refresh token, the list of the revoked need not.
        self._refresh_verifier = self._verifies((REFRESH_TYPE,), None)
        self._families = (
            None
            if self.revocations is None
            else Families(settings, clock, records, self.revocations, self._tell_of_reuse)
        )
        self._maker = Maker(settings, clock, self._signer, self._principal, listed)
        self._places = Places(settings, self.challenge)
        self._by_header = "header" in settings.jwt_locations
        self._only_by_header = settings.jwt_locations == ("header",)

    def verify(self, token: str) -> Principal:
        """Whom *token* speaks for.

        :raises Denied: ``token.expired`` or ``token.invalid``.
        """
        self._current()
        principal = self._principal(token)
        if isinstance(principal, Denied):
            raise principal
        return principal

    def issue(
        self,
        subject: str,
        *,
        scopes: Words = (),
        roles: Words = (),
        lifetime: Duration | None = None,
        fresh: bool = False,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """A signed access token for *subject*, as a compact JWS.

        :param subject: whom it speaks for; becomes ``sub`` and later ``current_principal.id``.
        :param scopes: what it may be used for (RFC 6749 section 3.3), as ``"a b"`` or a list.
        :param roles: what the subject is, as a list, or one.
        :param lifetime: seconds until it expires; ``RAMPART_JWT_LIFETIME`` if not given.
        :param fresh: the subject has proved just now who they are: for ``require(fresh=True)`` and ``max_age``.
        :param claims: further claims, whose names are not registered ones.
        :raises ConfigError: if no key can sign.
        :raises ValueError: for an empty subject, a malformed scope or a registered claim.
        """
        wanted = self._maker.wanted(subject, scopes, roles, lifetime, claims)
        self._current()
        issued = self._maker.begin(subject)
        more: dict[str, Any] = {"fresh": True, "auth_time": issued} if fresh else {}
        if "cookie" in self._settings.jwt_locations:
            more["csrf"] = uuid4().hex
        token = self._maker.access(wanted, issued, self._clock.now() + wanted["lifetime"], more)
        self._notify("token_issued", subject=subject)
        return token

    def issue_pair(
        self,
        subject: str,
        *,
        scopes: Words = (),
        roles: Words = (),
        lifetime: Duration | None = None,
        fresh: bool = True,
        claims: Mapping[str, Any] | None = None,
    ) -> TokenPair:
        """Begins a login of *subject*: an access token, and a refresh token to renew it with.

        The arguments are those of :meth:`issue`; the renewed access tokens have them too, but are not fresh.

        :raises ConfigError: if no key can sign, or ``RAMPART_JWT_REVOCATION`` is off.
        :raises ValueError: as for :meth:`issue`.
        :raises StoreError: if the login cannot be written down.
        """
        families = self._needs_families()
        wanted = self._maker.wanted(subject, scopes, roles, lifetime, claims)
        self._current()
        record = Members.begin(self._settings, self._maker.begin(subject), fresh=fresh, **wanted)
        # Signed first: what cannot be issued is not written down.
        pair = self._maker.pair(uuid4().hex, record)
        families.begin(pair.family, record)
        self._notify("token_issued", subject=subject, family=pair.family)
        return pair

    def refresh(self, token: str | None = None) -> TokenPair:
        """The next pair of a login, for its newest refresh token; see ``families.py`` for the rules.

        :param token: the refresh token; if not given, the one that the current request carries: in the body's
            ``refresh_token``, as bearer token, or in the cookie.
        :raises Denied: ``token.expired`` or ``token.invalid``; ``auth.missing`` if the request carries none.
        """
        try:
            return self._refresh(token)
        except Denied as denied:
            # A view raises it, not a guard: so it is noted here, for the log.
            if has_request_context():
                current_exchange().refuse(denied)
            raise

    def _refresh(self, token: str | None) -> TokenPair:
        families = self._needs_families()
        if token is None:
            token, by_cookie = self._places.refresh_token()
        else:
            by_cookie = False
        found = self._refresh_verifier.judge(token)
        if isinstance(found, tuple):
            raise self.challenge.refused(found)
        if by_cookie:
            denied = self._places.forged(None, found)
            if denied is not None:
                raise denied
        try:
            family, record = families.follow(found)
            pair = self._maker.pair(family, record)
            # A revocation that was confirmed meanwhile must not be outlived by what was just made.
            families.check(family, record)
        except Invalid as error:
            raise self.challenge.refused(("token.invalid", str(error))) from None
        self._notify("token_refreshed", subject=record["sub"], family=family)
        return pair

    def revoke(self, what: str | Principal) -> None:
        """Takes a token back, for all workers from their next request on (RFC 7009).

        :param what: an access token, which alone ends; a refresh token, whose whole login ends; or a principal, such as
            ``current_principal``: its token.
        :raises Denied: ``token.invalid``, for a text that is no token of ours. One that has expired is over anyway.
        :raises ConfigError: if ``RAMPART_JWT_REVOCATION`` is off.
        :raises StoreError: if it cannot be written; then the token is still valid.
        """
        revocations = self._needs_revocations()
        if isinstance(what, LocalProxy):
            what = what._get_current_object()
        if isinstance(what, str):
            self._current()
            found = self._verifier.judge(what)
            if isinstance(found, tuple):
                other = self._refresh_verifier.judge(what)
                if isinstance(other, VerifiedToken):
                    self.revoke_family(other.family or "")
                elif "token.expired" not in (found[0], other[0]) and found[1] != "revoked":
                    raise self.challenge.refused(found)
                return
            what = found
        if not isinstance(what, VerifiedToken):
            raise TypeError(f"revoke() takes a token or a principal that came by one, not {type(what).__name__}")
        expires = what.expires_at
        until = math.inf if expires is None else expires + self._settings.jwt_leeway + 600
        revocations.revoke(what.revocation_mark, until=until)
        self._notify("token_revoked", subject=what.id, token_id=what.token_id)

    def revoke_family(self, of: str | Principal) -> None:
        """Ends a login: its refresh tokens, and its access tokens for all workers from their next request on.

        :param of: a family's name, or a principal, such as ``current_principal``: the login that its token is from.
        :raises LookupError: if there is no such login.
        """
        families = self._needs_families()
        if isinstance(of, LocalProxy):
            of = of._get_current_object()
        family = of if isinstance(of, str) else self._own_family(of)
        if not isinstance(family, str) or not family or not families.revoke(family):
            raise LookupError("there is no such login: its name is the 'sid' of its tokens")
        self._notify("token_revoked", family=family)

    def revoke_subject(self, subject: str, *, issuer: str | None = None) -> None:
        """Takes back all that *subject* has by now: "log out everywhere". What is issued from now on is valid.

        :param issuer: whose subject it is; if not given, ours.
        """
        revocations = self._needs_revocations()
        if not isinstance(subject, str) or not subject:
            raise ValueError("a subject is a text that is not empty")
        now = self._clock.now()
        own = self._settings.jwt_issuer or ""
        mark = subject_mark(own if issuer is None else issuer, subject)
        revocations.revoke(mark, before=now, until=now + FOR_GOOD)
        self._notify("token_revoked", subject=subject)

    def logins(self, subject: str) -> list[Login]:
        """The logins of *subject* that can still be refreshed, such as for a page of devices."""
        return list(self._needs_families().of(subject))

    def public_keys(self) -> dict[str, Any]:
        """The public keys of tokens of ours, as a JWK set (RFC 7517 section 5); a shared secret is never in it."""
        texts = (key.public_jwk() for key in self._keys)
        return {"keys": [json.loads(text) for text in texts if text is not None]}

    def set_cookies(self, response: Response, pair: TokenPair) -> None:
        """Puts a pair into cookies that no script can read, and beside them what a page needs to prove itself."""
        self._places.set_cookies(response, pair)

    def clear_cookies(self, response: Response) -> None:
        """Takes the cookies back. It revokes nothing: see :meth:`revoke_family`."""
        self._places.clear_cookies(response)

    def check(self, app: Flask) -> None:
        """Refuses what must not run in production. Before the first request.

        :raises ConfigError: says which setting.
        """
        self._places.check(app)

    # What a request carries.

    def authenticate(self, exchange: Exchange) -> Principal | Denied | None:
        """Whose token the request carries; None if it carries none. See the rules above."""
        environ = exchange.environ
        if self._only_by_header:
            if "HTTP_AUTHORIZATION" not in environ:
                return None
            if self.revocations is not None:
                self.revocations.current()
            found = self._verifier.authenticate(environ)
            return self.challenge.refused(found) if isinstance(found, tuple) else found
        return self._authenticate_anywhere(exchange)

    def carries(self, exchange: Exchange) -> bool:
        """Whether the request has a token where tokens are looked for, right or wrong."""
        by_header = self._by_header and carries_bearer(exchange.environ)
        return by_header or (not self._only_by_header and bool(self._places.elsewhere(exchange)))

    def carries_elsewhere(self, exchange: Exchange) -> bool:
        """Whether it has one in another place than the header."""
        return not self._only_by_header and bool(self._places.elsewhere(exchange))

    def _authenticate_anywhere(self, exchange: Exchange) -> Principal | Denied | None:
        carried = self._places.elsewhere(exchange)
        by_header = self._by_header and carries_bearer(exchange.environ)
        if len(carried) + by_header > 1:
            return self.challenge.refused(("auth.ambiguous", "two credentials"))
        self._current()
        if by_header:
            found = self._verifier.authenticate(exchange.environ)
            return self.challenge.refused(found) if isinstance(found, tuple) else found
        if not carried:
            return None
        (place, token) = carried[0]
        principal = self._principal(token)
        if place == "cookie" and isinstance(principal, VerifiedToken):
            return self._places.forged(exchange, principal) or principal
        return principal

    # How it is judged.

    def _verifies(self, types: tuple[str, ...], revoked: Revoked | None) -> Verifier:
        settings = self._settings
        try:
            return Verifier(
                self._keys,
                self._clock,
                issuers=(settings.jwt_issuer,) if settings.jwt_issuer else (),
                audiences=settings.jwt_audience,
                types=types,
                require_type=types == (REFRESH_TYPE,),
                leeway=settings.jwt_leeway,
                require_exp=settings.jwt_require_exp,
                scopes_claims=settings.jwt_scopes_claim,
                roles_claims=settings.jwt_roles_claim,
                seen=0 if types == (REFRESH_TYPE,) else 16_384,
                revoked=revoked,
            )
        except ValueError as error:
            raise ConfigError(f"RAMPART_JWT_KEYS: {error}") from None

    def _principal(self, token: str) -> VerifiedToken | Denied:
        found = self._verifier.judge(token)
        if isinstance(found, tuple):
            return self.challenge.refused(found)
        # Without a subject, all such tokens would be one principal.
        return found if found.id else self.challenge.refused(("token.invalid", "subject"))

    def _current(self) -> None:
        if self.revocations is not None:
            self.revocations.current()

    def _own_family(self, of: Principal) -> str | None:
        """The login that a principal's token is from. Another issuer may write any ``sid``: it names none of ours."""
        foreign = any(spec.get("issuer") == of.issuer for spec in self._settings.issuers)
        return None if foreign else getattr(of, "family", None)

    def _needs_revocations(self) -> Revocations:
        if self.revocations is None:
            raise ConfigError(
                "Tokens cannot be revoked: RAMPART_JWT_REVOCATION is off, or no key of RAMPART_JWT_KEYS can sign. "
                "Set RAMPART_JWT_REVOCATION = True."
            )
        return self.revocations

    def _needs_families(self) -> Families:
        self._needs_revocations()
        assert self._families is not None  # noqa: S101 - made together
        return self._families

    def _tell_of_reuse(self, subject: str, family: str) -> None:
        self._notify("refresh_reused", subject=subject, family=family)
