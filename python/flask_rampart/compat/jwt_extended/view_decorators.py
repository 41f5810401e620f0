"""``jwt_required``: a view, or a part of one, is for callers with a token.

Asked where it is written, when the view is called, as Flask-JWT-Extended does: what the app's ``before_request``
functions put into ``g`` is there for its loaders. In order: there is a token, it holds, it is of the right type, fresh
if it must be, on no blocklist, and admitted by the app's own check; then its user is loaded.

It is not asked for ``OPTIONS``: Flask's automatic answer is open, and a view's own is not opened by it. On a blueprint
(``rampart.protect``) it is asked with the other guards, before the app's ``before_request`` functions, and for each
method.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import current_app, request

from ...errors import ConfigError
from ...guards import AppState, Guard, Stage
from .config import EXEMPT
from .exceptions import (
    FreshTokenRequired,
    NoAuthorizationError,
    RevokedTokenError,
    UserClaimsVerificationError,
    UserLookupError,
    WrongTokenError,
)
from .face import current_face
from .judging import judge
from .places import find

if TYPE_CHECKING:
    from flask import Flask, Request

    from ...checks import Check
    from ...exchange import Exchange

LocationType = str | Sequence[str] | None


class Caller(NamedTuple):
    """Who is calling, as far as it was asked."""

    header: dict[str, Any]
    claims: dict[str, Any]
    location: str | None
    has_user: bool
    """Whether there is a user to be had: a loader, or nobody calling."""
    user: Any


_CALLERS = "_rampart_jwt_callers"


class jwt_required(Guard):  # noqa: N801 - Flask-JWT-Extended's name
    """Lets only requests with a good token call the function.

    :param optional: whether a request without any token may, too. A token that is wrong refuses all the same.
    :param fresh: whether the token has to be fresh.
    :param refresh: whether it has to be a refresh token, instead of any other.
    :param locations: where it is looked for, instead of in ``JWT_TOKEN_LOCATION``.
    :param verify_type: whether its type matters.
    :param skip_revocation_check: whether the blocklist is left out.
    :raises ConfigError: without parentheses, on a class, or for an *optional* that is neither True nor False.

    A guard that asks by itself, with or without ``Rampart(app)``: it opens the view under ``RAMPART_DEFAULT = "deny"``.

    >>> jwt_required(fresh=True, locations="headers")
    jwt_required(fresh=True, locations='headers')
    """

    stage = Stage.IDENTITY
    name = "jwt_required"
    opens = True
    asks_itself = True
    unasked = EXEMPT

    def __init__(
        self,
        optional: bool = False,
        fresh: bool = False,
        refresh: bool = False,
        locations: LocationType = None,
        verify_type: bool = True,
        skip_revocation_check: bool = False,
    ) -> None:
        if callable(optional):
            raise ConfigError(
                f"{getattr(optional, '__qualname__', optional)}: write @jwt_required(), with parentheses."
            )
        if not isinstance(optional, bool):
            # A text, meant for a role or a place, would let everybody in.
            raise ConfigError(
                f"jwt_required({optional!r}): its first argument is optional, True or False. What it is to be by name: "
                'jwt_required(locations="headers").'
            )
        self.optional = optional
        self._given = (optional, fresh, refresh, locations, verify_type, skip_revocation_check)

    def ask(self) -> None:
        """Refuses the current request unless it has a good token."""
        verify_jwt_in_request(*self._given)

    @classmethod
    def bind(cls, guards: Sequence[tuple[jwt_required, str]], state: AppState, endpoint: str) -> Check:
        def check(exchange: Exchange) -> None:
            this = request._get_current_object()  # type: ignore[attr-defined]
            for guard, _ in guards:
                _verify(this, *guard._given)

        return check

    def __repr__(self) -> str:
        told = (
            f"{name}={value!r}" for name, value in zip(_NAMES, self._given, strict=True) if value != _DEFAULTS[name]
        )
        return f"jwt_required({', '.join(told)})"


_DEFAULTS = {
    "optional": False,
    "fresh": False,
    "refresh": False,
    "locations": None,
    "verify_type": True,
    "skip_revocation_check": False,
}
_NAMES = tuple(_DEFAULTS)


def verify_jwt_in_request(
    optional: bool = False,
    fresh: bool = False,
    refresh: bool = False,
    locations: LocationType = None,
    verify_type: bool = True,
    skip_revocation_check: bool = False,
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Refuses the current request unless it has a good token; the arguments are those of :func:`jwt_required`.

    :return: header and claims; None if there is no token and need not be, and for ``OPTIONS``.
    :raises JWTExtendedException: or one of PyJWT's, in ``exceptions``.
    """
    # Each request comes here: a proxy that is looked through once is looked through no more.
    this = request._get_current_object()  # type: ignore[attr-defined]
    if this.method in EXEMPT:
        return None
    return _verify(this, optional, fresh, refresh, locations, verify_type, skip_revocation_check)


def _verify(
    this: Request,
    optional: bool,
    fresh: bool,
    refresh: bool,
    locations: LocationType,
    verify_type: bool,
    skip_revocation_check: bool,
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    face = current_face(app)
    rules = face.rules()
    if not locations:
        places: Sequence[str] = rules.locations
    else:
        places = (locations,) if isinstance(locations, str) else tuple(locations)
    try:
        encoded, location, csrf_value = find(this, rules, places, refresh)
    except NoAuthorizationError:
        if not optional:
            raise
        _remember(this, app, Caller({}, {}, None, True, None))
        return None
    header, claims, token = judge(face, rules, encoded, csrf_value)
    manager = face.manager
    if verify_type and (claims["type"] == "refresh") is not bool(refresh):
        raise WrongTokenError("Only refresh tokens are allowed" if refresh else "Only non-refresh tokens are allowed")
    if fresh and not _is_fresh(claims["fresh"], face.clock.now()):
        raise FreshTokenRequired("Fresh token required", header, claims)
    if not skip_revocation_check and manager.is_revoked is not None and manager.is_revoked(header, claims):
        raise RevokedTokenError(header, claims)
    if manager.is_admitted is not None and not manager.is_admitted(header, claims):
        raise UserClaimsVerificationError("User claims verification failed", header, claims)
    user = None
    if manager.lookup is not None:
        user = manager.lookup(header, claims)
        if user is None:
            raise UserLookupError(f"user_lookup returned None for {claims[rules.identity_claim]}", header, claims)
    face.admit(token, location)
    _remember(this, app, Caller(header, claims, location, manager.lookup is not None, user))
    return header, claims


def _remember(this: Request, app: Flask, caller: Caller) -> None:
    # By the request, and not in `g`, which a request within another of the same app shares with it.
    state = this.__dict__
    known: dict[Flask, Caller] | None = state.get(_CALLERS)
    if known is None:
        state[_CALLERS] = {app: caller}
    else:
        known[app] = caller


def known_caller() -> Caller | None:
    """Who is calling, if the current app asked in the current request.

    :raises RuntimeError: without an app.
    """
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    try:
        this = request._get_current_object()  # type: ignore[attr-defined]
    except RuntimeError:
        return None
    known: dict[Flask, Caller] | None = this.__dict__.get(_CALLERS)
    return None if known is None else known.get(app)


def _is_fresh(fresh: Any, now: float) -> bool:
    if isinstance(fresh, bool):
        return fresh
    # Until when it is. What is no number says nothing.
    return isinstance(fresh, (int, float)) and fresh >= now
