"""Tokens of our own: issued, verified, renewed and revoked.

A request is somebody's when, in this order:

1. it carries one token, in a place where tokens are looked for (``RAMPART_JWT_LOCATIONS``): by default only in
   ``Authorization`` with the scheme ``Bearer`` (RFC 6750 section 2.1). Two are refused as ambiguous (section 2);
2. the native verifier accepts it: length, form, key, algorithm, signature, claims, times (RFC 7515, RFC 7519,
   RFC 8725; the rules stand in ``src/tokens``);
3. it was not revoked: itself, its login, or what its subject had until a moment (``revocations.py``);
4. where it came in a cookie, and the method may change something, the request proves that it is no other site's
   (``places.py``).

A token that is bound to its sender (``cnf``, RFC 7800) is no bearer token: ``bound.py`` says when it is taken.

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
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from flask import Flask, Response, after_this_request, current_app, has_request_context
from werkzeug.local import LocalProxy

from .. import signals
from .._native import Clock, Key, TokenRejected, VerifiedToken, Verifier, carries, revocation_mark
from ..bound import Binding
from ..clearing import LOGOUT, clear_site_data
from ..config import Settings
from ..errors import ConfigError, Denied
from ..exchange import Exchange, Principal
from ..guards import current_exchange
from ..refusals import Challenge
from ..stores import Records
from .families import REFRESH_TYPE, Families, Invalid, Login, Members, Renew
from .keys import read_keys, weak_key
from .making import REFRESH_AUDIENCE, Duration, Maker, Words, id_of
from .pair import TokenPair
from .places import Places
from .revocations import MARGIN, OWN, Revocations, subject_mark

__all__ = [
    "Key",
    "Login",
    "Revocations",
    "TokenPair",
    "TokenRejected",
    "Tokens",
    "VerifiedToken",
    "Verifier",
    "weak_key",
]


class _FromRequest:
    def __repr__(self) -> str:
        return "FROM_REQUEST"


FROM_REQUEST = _FromRequest()
"""Not given: a token is looked for in the request. A None that somebody passes on is no token."""


class Tokens:
    """Issues, verifies, renews and revokes an app's tokens; ``rampart.tokens``."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        app: Flask,
        records: Records,
        *,
        revocations: Revocations | None = None,
        challenge: Challenge | None = None,
        binding: Binding | None = None,
    ) -> None:
        self._app = app
        self._binding = binding
        self.challenge = challenge or Challenge("Bearer")
        self._settings = settings
        self._clock = clock
        self._keys = read_keys(settings.jwt_keys, app.root_path)
        self._signer = next((key for key in self._keys if key.can_sign), None)
        wanted = settings.jwt_revocation if settings.jwt_revocation is not None else self._signer is not None
        self.revocations = (revocations or Revocations(records, clock)) if wanted else None
        """The list of the revoked; None if ``RAMPART_JWT_REVOCATION`` is off."""
        if any(name.lower().removeprefix("application/") == REFRESH_TYPE for name in settings.jwt_types):
            raise ConfigError(f"RAMPART_JWT_TYPES: {REFRESH_TYPE!r} is the type of refresh tokens; they open nothing.")
        self._verifier = self._verifies(settings.jwt_types, settings.jwt_audience)
        self._refresh_verifier = self._verifies((REFRESH_TYPE,), (REFRESH_AUDIENCE,))
        self._families = (
            None
            if self.revocations is None
            else Families(settings, clock, records, self.revocations, self._tell_of_reuse)
        )
        self._maker = Maker(settings, clock, self._signer, self._principal, self.revocations)
        self._places = Places(settings, self.challenge)
        self._by_header = "header" in settings.jwt_locations
        self._only_by_header = settings.jwt_locations == ("header",)

    @property
    def access_cookie(self) -> str:
        """The name of the cookie that access tokens are looked for in, where they are."""
        return self._places.access_cookie

    @property
    def csrf_cookie(self) -> str:
        """The name of the cookie whose value a page sends as ``X-CSRF-Token``, beside a token in a cookie."""
        return self._places.csrf_cookie

    def verify(self, token: str) -> Principal:
        """Whom *token* speaks for.

        :raises Denied: ``token.expired`` or ``token.invalid``.
        """
        if not isinstance(token, str):
            raise self.challenge.refused(("token.invalid", "form"))
        self._current()
        principal = self._principal(token)
        if isinstance(principal, Denied):
            raise principal
        return principal

    def issue(
        self,
        subject: str | int,
        *,
        scopes: Words = (),
        roles: Words = (),
        lifetime: Duration | None = None,
        fresh: bool = False,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """A signed access token for *subject*, as a compact JWS.

        :param subject: whom it speaks for; becomes ``sub``, as a text, and later ``current_principal.id``.
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
        token = self._maker.single(wanted, fresh=fresh)
        self._notify("token_issued", token, subject=wanted["subject"])
        return token

    def issue_pair(
        self,
        subject: str | int,
        *,
        scopes: Words = (),
        roles: Words = (),
        lifetime: Duration | None = None,
        fresh: bool = True,
        claims: Mapping[str, Any] | None = None,
    ) -> TokenPair:
        """Begins a login of *subject*: an access token, and a refresh token to renew it with.

        The arguments are those of :meth:`issue`, but that a login is fresh unless you say otherwise; the renewed access
        tokens have them too, and are never fresh.

        :raises ConfigError: if no key can sign, or ``RAMPART_JWT_REVOCATION`` is off.
        :raises ValueError: as for :meth:`issue`.
        :raises StoreError: if the login cannot be written down.
        """
        families = self._needs_families()
        wanted = self._maker.wanted(subject, scopes, roles, lifetime, claims)
        if (wanted["lifetime"] or 0) > self._settings.jwt_family_lifetime:
            raise ValueError("an access token would outlive its login: see RAMPART_JWT_FAMILY_LIFETIME")
        self._current()
        # Asked of the store itself: another host may have revoked the subject just now.
        revoked = self._needs_revocations().stored(subject_mark(wanted["subject"]))
        generation = 0 if revoked is None else revoked.generation
        record = Members.begin(self._settings, int(self._clock.now()), generation, fresh=fresh, **wanted)
        # Signed first: what cannot be issued is not written down.
        pair = self._maker.pair(uuid4().hex, record)
        families.begin(pair.family, record)
        self._notify("token_issued", pair.access, subject=wanted["subject"], family=pair.family)
        return pair

    def refresh(self, token: str | _FromRequest | None = FROM_REQUEST, *, renew: Renew | None = None) -> TokenPair:
        """The next pair of a login, for its newest refresh token; see ``families.py`` for the rules.

        :param token: the refresh token; if not given, the one that the current request carries: in the body's
            ``refresh_token``, in the cookie, or as bearer token.
        :param renew: is asked what is different from now on: called with the :class:`Login`, it returns a dict with
            ``scopes``, ``roles`` or ``claims``, or None for no change. A ``LookupError`` from it ends the login: its
            subject is gone.
        :raises Denied: ``token.expired`` or ``token.invalid``; ``auth.missing`` if the request carries none;
            ``csrf.invalid`` for a cookie without proof.
        """
        try:
            return self._refresh(token, renew)
        except Denied as denied:
            # A view raises it, not a guard: so it is noted here, for the log.
            exchange = self._exchange()
            if exchange is not None:
                exchange.refuse(denied)
            raise

    def _refresh(self, token: str | _FromRequest | None, renew: Renew | None) -> TokenPair:
        families = self._needs_families()
        by_cookie = False
        if isinstance(token, _FromRequest):
            token, by_cookie = self._places.refresh_token()
        found = self._judge_refresh(token)
        if isinstance(found, tuple):
            raise self.challenge.refused(found)
        if by_cookie:
            denied = self._places.forged(None, found, always=True)
            if denied is not None:
                raise denied
        try:
            pair, record = families.follow(found, self._maker.pair, self._changed(renew))
            # A revocation that was confirmed meanwhile must not be outlived by what was just made.
            families.check(pair.family, record)
        except Invalid as error:
            raise self.challenge.refused(error.verdict) from None
        self._notify("token_refreshed", pair.access, subject=record["sub"], family=pair.family)
        return pair

    def revoke(self, what: str | Principal) -> None:
        """Takes a token back, for all workers from their next request on (RFC 7009).

        :param what: an access token, which alone ends; a refresh token, whose whole login ends; or a principal, such as
            ``current_principal``: its token. To log out, see :meth:`logout`.
        :raises Denied: ``token.invalid``, for what is no token of ours. One that has expired is over anyway.
        :raises TypeError: for a principal that did not come by a token.
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
                other = self._judge_refresh(what)
                if isinstance(other, VerifiedToken):
                    self._needs_families().revoke(other.family or "")
                    self._notify("token_revoked", subject=other.id, family=other.family)
                elif "token.expired" not in (found[0], other[0]) and "revoked" not in (found[1], other[1]):
                    raise self.challenge.refused(found)
                return
            what = found
        mark = _mark_of(what)
        if mark is None:
            raise TypeError(
                f"revoke() takes a token, or a principal that came by one and is named by its 'jti'; not one of kind "
                f"{getattr(what, 'kind', type(what).__name__)!r}"
            )
        expires: float | None = getattr(what, "expires_at", None)
        revocations.revoke(mark, until=math.inf if expires is None else expires + MARGIN)
        self._notify("token_revoked", subject=what.id, token_id=what.token_id)

    def revoke_family(self, family: str, *, subject: str | int | None = None) -> None:
        """Ends a login: its refresh tokens, and its access tokens for all workers from their next request on.

        :param family: its name: :attr:`TokenPair.family`, :attr:`Login.family`, ``sid`` in its tokens.
        :param subject: whose it must be. Give it wherever the name comes from a request.
        :raises LookupError: if there is no such login, or not of this subject.
        """
        families = self._needs_families()
        owner = None if subject is None else str(subject)
        if not isinstance(family, str) or not family or not families.revoke(family, owner):
            raise LookupError("there is no such login: its name is the 'sid' of its tokens")
        self._notify("token_revoked", family=family)

    def logout(self, *, clear: Sequence[str] | None = None) -> None:
        """Ends what the current request came with: the login of its refresh token, and that of its access token.

        :param clear: what the browser is told to forget, as :func:`~flask_rampart.clear_site_data` takes it; ``()`` for
            nothing. Not given: cache and storage where tokens come in cookies, else nothing.

        Where tokens come in cookies, the answer takes back those of ours, one by one, unless the view sets them anew.
        A token that belongs to no login ends alone. What has expired or was revoked is over anyway, so logging out
        works without a valid access token too: on a ``public`` view, by the refresh token in the body or the cookie.

        :raises Denied: ``csrf.invalid`` for a cookie without proof; ``auth.ambiguous`` for two tokens of a kind.
        :raises TypeError: if the caller is there by something that cannot be ended, such as an API key: guard the view
            with ``require("jwt")``.
        """
        kinds = (LOGOUT if "cookie" in self._settings.jwt_locations else ()) if clear is None else tuple(clear)
        self._end_login()
        if "cookie" in self._settings.jwt_locations:
            after_this_request(self._places.take_back_cookies)
        if kinds:
            clear_site_data(*kinds)

    def _end_login(self) -> None:
        families = self._needs_families()
        exchange = current_exchange()
        carried = self._places.refresh_token_or_none()
        if carried is not None:
            found = self._judge_refresh(carried[0])
            if isinstance(found, VerifiedToken):
                denied = self._places.forged(None, found, always=True) if carried[1] else None
                if denied is not None:
                    raise denied
                families.revoke(found.family or "")
                self._notify("token_revoked", subject=found.id, family=found.family)
        principal = exchange.principal
        if principal is not None:
            # Another issuer may write any `sid`: it names none of our logins.
            family = getattr(principal, "family", None) if principal.issuer == self._settings.jwt_issuer else None
            if not (family and families.revoke(family, principal.id)):
                self.revoke(principal)
                return
            self._notify("token_revoked", subject=principal.id, family=family)

    def revoke_subject(self, subject: str | int, *, issuer: str | None = None) -> None:
        """Takes back all that *subject* has by now: "log out everywhere". What is issued from now on is valid.

        :param issuer: whose subject it is, where it is one of ``RAMPART_ISSUERS``; if not given, ours. What such an
            issuer made is compared by its time of issue.
        """
        revocations = self._needs_revocations()
        name = str(subject) if isinstance(subject, int) and not isinstance(subject, bool) else subject
        if not isinstance(name, str) or not name:
            raise ValueError("a subject is a text that is not empty, or a whole number")
        # For good: there is no telling how long what it has would live.
        revocations.revoke(subject_mark(name, OWN if issuer is None else issuer), before=self._clock.now())
        self._notify("token_revoked", subject=name)

    def logins(self, subject: str | int) -> list[Login]:
        """The logins of *subject* that can still be refreshed, such as for a page of devices."""
        return list(self._needs_families().of(str(subject)))

    def public_keys(self) -> dict[str, Any]:
        """The public keys of tokens of ours, as a JWK set (RFC 7517 section 5); a shared secret is never in it."""
        texts = (key.public_jwk() for key in self._keys)
        return {"keys": [json.loads(text) for text in texts if text is not None]}

    def set_cookies(self, response: Response, tokens: TokenPair | str) -> None:
        """Puts a pair, or an access token alone, into cookies that no script can read; beside them what a page needs to
        prove itself."""
        if isinstance(tokens, str):
            self._current()
            found = self._principal(tokens)
            if isinstance(found, Denied):
                raise found
            self._places.set_access_cookie(response, tokens, found, self._clock.now())
        else:
            self._places.set_cookies(response, tokens)

    @property
    def cookie_rules(self) -> dict[str, dict[str, bool]]:
        """What is otherwise of the cookies that are set here, by name, as in ``RAMPART_COOKIES``."""
        return self._places.cookie_rules()

    def clear_cookies(self, response: Response) -> None:
        """Takes the cookies back. It revokes nothing: see :meth:`logout`."""
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
            if self._binding is not None:
                return self._authenticate_header(exchange)
            # The usual case, without a further call.
            found = self._verifier.authenticate(environ)
            return self.challenge.refused(found) if isinstance(found, tuple) else found
        return self._authenticate_anywhere(exchange)

    def carries(self, exchange: Exchange) -> bool:
        """Whether the request has a token where tokens are looked for, right or wrong."""
        return self._carries_header(exchange) or self.carries_elsewhere(exchange)

    def carries_elsewhere(self, exchange: Exchange) -> bool:
        """Whether it has one in another place than the header."""
        return not self._only_by_header and bool(self._places.elsewhere(exchange))

    def _carries_header(self, exchange: Exchange) -> bool:
        if not self._by_header:
            return False
        if self._binding is not None:
            return self._binding.carries(exchange.environ)
        return carries(exchange.environ, "bearer")

    def _authenticate_header(self, exchange: Exchange) -> Principal | Denied | None:
        environ, binding = exchange.environ, self._binding
        if binding is not None:
            return binding.settle(binding.judge(self._verifier, environ), exchange)
        found = self._verifier.authenticate(environ)
        return self.challenge.refused(found) if isinstance(found, tuple) else found

    def _authenticate_anywhere(self, exchange: Exchange) -> Principal | Denied | None:
        carried = self._places.elsewhere(exchange)
        by_header = self._carries_header(exchange)
        if len(carried) + by_header > 1:
            return self.challenge.refused(("auth.ambiguous", "two credentials"))
        self._current()
        if by_header:
            return self._authenticate_header(exchange)
        if not carried:
            return None
        (place, token) = carried[0]
        principal = self._principal(token)
        exchange.deliberate = place != "cookie"
        if place == "cookie" and isinstance(principal, VerifiedToken):
            return self._places.forged(exchange, principal) or principal
        return principal

    # How it is judged.

    def _verifies(self, types: tuple[str, ...], audiences: tuple[str, ...]) -> Verifier:
        settings = self._settings
        try:
            return Verifier(
                self._keys,
                self._clock,
                issuers=(settings.jwt_issuer,) if settings.jwt_issuer else (),
                audiences=audiences,
                types=types,
                require_type=types == (REFRESH_TYPE,),
                leeway=settings.jwt_leeway,
                require_exp=settings.jwt_require_exp,
                scopes_claims=settings.jwt_scopes_claim,
                roles_claims=settings.jwt_roles_claim,
                seen=0 if types == (REFRESH_TYPE,) else 16_384,
                revoked=None if self.revocations is None else self.revocations.listed,
                realm=OWN,
            )
        except ValueError as error:
            raise ConfigError(f"RAMPART_JWT_KEYS: {error}") from None

    def _principal(self, token: str) -> VerifiedToken | Denied:
        found = self._verifier.judge(token)
        if isinstance(found, tuple):
            return self.challenge.refused(found)
        # Without a subject, all such tokens would be one principal.
        return found if found.id else self.challenge.refused(("token.invalid", "subject"))

    def _judge_refresh(self, token: str | None) -> VerifiedToken | tuple[str, str]:
        if not isinstance(token, str):
            return ("token.invalid", "form")
        self._current()
        return self._refresh_verifier.judge(token)

    def _changed(self, renew: Renew | None) -> Callable[[str, Members], Members]:
        def change(family: str, record: Members) -> Members:
            if renew is None:
                return record
            try:
                asked = dict(renew(record.login(family)) or {})
            except LookupError:
                self._needs_families().revoke(family)
                raise Invalid("subject is gone") from None
            if unknown := asked.keys() - {"scopes", "roles", "claims"}:
                raise ValueError(f"renew() may change scopes, roles and claims, not {', '.join(sorted(unknown))}")
            wanted = {name: asked.get(name, record[name]) for name in ("scopes", "roles", "claims")}
            checked = self._maker.wanted(record["sub"], lifetime=None, **wanted)
            return Members({**record, **{name: checked[name] for name in wanted}})

        return change

    def _current(self) -> None:
        if self.revocations is not None:
            self.revocations.current()

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
        # Also where nobody listens: this is how a stolen token shows.
        self._app.logger.warning("A refresh token came a second time; the login %s was ended.", family)
        self._notify("refresh_reused", subject=subject, family=family)

    def _notify(self, event: str, made: str = "", **about: Any) -> None:
        """Sends a signal, after what it tells was done."""
        signal = getattr(signals, event)
        if not signal.receivers:
            return
        facts = {"subject": None, "token_id": id_of(made) if made else None, "family": None, **about}
        signals.emit(signal, self._app, exchange=self._exchange(), **facts)

    def _exchange(self) -> Exchange | None:
        """The request that is under way in this app, if one is."""
        ours = has_request_context() and current_app._get_current_object() is self._app  # type: ignore[attr-defined]
        return current_exchange() if ours else None


def _mark_of(principal: Any) -> bytes | None:
    """The mark under which a principal's token is revoked, whatever stands around it; None if it has no token."""
    mark = getattr(principal, "revocation_mark", None)
    if isinstance(mark, bytes):
        return mark
    # An opaque token, as its issuer told of it.
    named = getattr(principal, "kind", None) == "jwt" and principal.issuer and principal.token_id
    return revocation_mark("token", principal.issuer, principal.token_id) if named else None
