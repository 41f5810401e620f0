"""What a view asks of its token, and what makes and reads tokens; the cookies stand in ``cookies``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from werkzeug.local import LocalProxy

from .config import config
from .cookies import csrf_of
from .cookies import set_access_cookies as set_access_cookies
from .cookies import set_refresh_cookies as set_refresh_cookies
from .cookies import unset_access_cookies as unset_access_cookies
from .cookies import unset_jwt_cookies as unset_jwt_cookies
from .cookies import unset_refresh_cookies as unset_refresh_cookies
from .face import current_face
from .judging import judge, unverified_header
from .making import make
from .view_decorators import Caller, known_caller

ExpiresDelta = timedelta | bool | None
Fresh = bool | float | timedelta

current_user: Any = LocalProxy(lambda: get_current_user())


def get_jwt() -> dict[str, Any]:
    """The claims of the request's token; an empty dict if it has none, and need not have one.

    :raises RuntimeError: if nobody asked for a token.
    """
    return _caller().claims


def get_jwt_header() -> dict[str, Any]:
    """The header of the request's token; an empty dict if it has none.

    :raises RuntimeError: if nobody asked for a token.
    """
    return _caller().header


def get_jwt_identity() -> Any:
    """Whom the request's token is for: its ``JWT_IDENTITY_CLAIM``; None if it has none."""
    return get_jwt().get(config.identity_claim_key)


def get_jwt_request_location() -> str | None:
    """Where the request's token was: ``"headers"``, ``"cookies"``, ``"query_string"`` or ``"json"``; None for none."""
    caller = known_caller()
    return None if caller is None else caller.location


def get_current_user() -> Any:
    """What ``user_lookup_loader`` found for the request's token; None if it has none.

    :raises RuntimeError: if nobody asked for a token, or there is no loader.
    """
    caller = _caller()
    if not caller.has_user:
        raise RuntimeError("There is no user: the JWTManager has no user_lookup_loader.")
    return caller.user


def decode_token(encoded_token: str, csrf_value: str | None = None, allow_expired: bool = False) -> dict[str, Any]:
    """The claims of a token that holds. Neither the blocklist nor a loader of users is asked.

    :param csrf_value: what its ``csrf`` claim has to be, if anything.
    :param allow_expired: whether it may be over.
    :raises JWTExtendedException: or one of PyJWT's, in ``exceptions``.
    """
    face = current_face()
    return judge(face, face.rules(), encoded_token, csrf_value, allow_expired=allow_expired).claims


def create_access_token(
    identity: Any,
    fresh: Fresh = False,
    expires_delta: ExpiresDelta = None,
    additional_claims: Mapping[str, Any] | None = None,
    additional_headers: Mapping[str, Any] | None = None,
) -> str:
    """A signed access token.

    :param identity: whom it is for: a text, or what ``user_identity_loader`` makes one of.
    :param fresh: whether they proved just now who they are; or for how long that counts.
    :param expires_delta: for how long it holds, instead of ``JWT_ACCESS_TOKEN_EXPIRES``; False for ever.
    :param additional_claims: claims that win over all others.
    :param additional_headers: members of its header, which win over the loader's.
    :raises ConfigError: for one that this app would refuse.
    """
    return make(
        current_face(),
        identity,
        "access",
        fresh=fresh,
        expires_delta=expires_delta,
        claims=additional_claims,
        headers=additional_headers,
    )


def create_refresh_token(
    identity: Any,
    expires_delta: ExpiresDelta = None,
    additional_claims: Mapping[str, Any] | None = None,
    additional_headers: Mapping[str, Any] | None = None,
) -> str:
    """A signed refresh token, which opens nothing but ``jwt_required(refresh=True)``. It is never fresh."""
    return make(
        current_face(),
        identity,
        "refresh",
        expires_delta=expires_delta,
        claims=additional_claims,
        headers=additional_headers,
    )


def get_unverified_jwt_headers(encoded_token: str) -> dict[str, Any]:
    """The header of a token, whoever wrote it."""
    return unverified_header(encoded_token)


def get_jti(encoded_token: str) -> str | None:
    """The name of a token that holds."""
    found: str | None = decode_token(encoded_token).get("jti")
    return found


def get_csrf_token(encoded_token: str) -> str:
    """What a page has to send back beside the cookie of this token."""
    return csrf_of(encoded_token)


def current_user_context_processor() -> dict[str, Any]:
    """``current_user`` for templates."""
    return {"current_user": get_current_user()}


def _caller() -> Caller:
    caller = known_caller()
    if caller is None:
        raise RuntimeError("Nobody asked for a token: call jwt_required() or verify_jwt_in_request() before.")
    return caller
