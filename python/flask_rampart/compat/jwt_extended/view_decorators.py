"""``jwt_required``: a view, or a part of one, is for callers with a token.

Asked where it is written, when the view is called, as Flask-JWT-Extended does: what the app's ``before_request``
functions put into ``g`` is there for its loaders. In order: there is a token, it holds, it is of the right type, fresh
if it must be, on no blocklist, and admitted by the app's own check; then its user is loaded.

Flask's automatic answer to ``OPTIONS``, and a view's own, are open.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple, TypeVar, cast

from flask import current_app, request
from flask.globals import app_ctx

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

F = TypeVar("F", bound=Callable[..., Any])
LocationType = str | Sequence[str] | None


class Caller(NamedTuple):
    """Who is calling, as far as it was asked."""

    header: dict[str, Any]
    claims: dict[str, Any]
    location: str | None
    has_user: bool
    """Whether there is a user to be had: a loader, or nobody calling."""
    user: Any


CALLER = "_rampart_jwt_caller"


def jwt_required(
    optional: bool = False,
    fresh: bool = False,
    refresh: bool = False,
    locations: LocationType = None,
    verify_type: bool = True,
    skip_revocation_check: bool = False,
) -> Callable[[F], F]:
    """Lets only requests with a good token call the function.

    :param optional: whether a request without any token may, too. A token that is wrong refuses all the same.
    :param fresh: whether the token has to be fresh.
    :param refresh: whether it has to be a refresh token, instead of any other.
    :param locations: where it is looked for, instead of in ``JWT_TOKEN_LOCATION``.
    :param verify_type: whether its type matters.
    :param skip_revocation_check: whether the blocklist is left out.
    """

    def declare(function: F) -> F:
        is_async = inspect.iscoroutinefunction(function)

        @wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            verify_jwt_in_request(optional, fresh, refresh, locations, verify_type, skip_revocation_check)
            if is_async:
                return current_app.ensure_sync(function)(*args, **kwargs)
            return function(*args, **kwargs)

        return cast(F, guarded)

    return declare


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
    context = app_ctx._get_current_object()  # type: ignore[attr-defined]
    face = current_face(context.app)
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
        setattr(context.g, CALLER, Caller({}, {}, None, True, None))
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
    setattr(context.g, CALLER, Caller(header, claims, location, manager.lookup is not None, user))
    return header, claims


def _is_fresh(fresh: Any, now: float) -> bool:
    if isinstance(fresh, bool):
        return fresh
    # Until when it is. What is no number says nothing.
    return isinstance(fresh, (int, float)) and fresh >= now
