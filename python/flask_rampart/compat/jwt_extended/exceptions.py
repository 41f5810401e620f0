"""What a token, or a request without one, is refused by.

Each is an ``HTTPException`` with the status of its answer, so that it is answered rightly also where no error handler
sees it, as inside an API framework that has its own. Those that come from PyJWT in Flask-JWT-Extended have PyJWT's
names; where PyJWT is installed they are PyJWT's, too, so that ``except jwt.ExpiredSignatureError`` still catches them.
"""

from __future__ import annotations

import json
from typing import Any

from flask import current_app, has_app_context
from werkzeug.exceptions import HTTPException

try:
    from jwt import exceptions as _pyjwt
except ImportError:
    _pyjwt = None  # type: ignore[assignment]


class _Answered(HTTPException):
    """Has an answer of its own, as ``{"msg": "..."}``."""

    # On the object alone: Flask sorts error handlers by the one of a class, and a handler for a base, in a blueprint,
    # would not be found for a kin with another.
    status = 422

    def __init__(self, message: str = "") -> None:
        super().__init__(description=message)
        self.args = (message,)
        self.code = self.status

    def __str__(self) -> str:
        return self.description or ""

    def get_body(self, environ: Any = None, scope: Any = None) -> str:
        key = current_app.config.get("JWT_ERROR_MESSAGE_KEY", "msg") if has_app_context() else "msg"
        return json.dumps({key: str(self)})

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        return [("Content-Type", "application/json")]


class _OfToken(_Answered):
    """About a token that was read."""

    def __init__(self, message: str, jwt_header: dict[str, Any], jwt_data: dict[str, Any]) -> None:
        super().__init__(message)
        self.args = (message, jwt_header, jwt_data)
        self.jwt_header = jwt_header
        self.jwt_data = jwt_data


class JWTExtendedException(_Answered):
    """The base of those that are not PyJWT's."""


class JWTDecodeError(JWTExtendedException):
    """A token lacks a claim that this app needs."""


class InvalidHeaderError(JWTExtendedException):
    """The header that carries tokens is not of its form."""


class InvalidQueryParamError(JWTExtendedException):
    """The parameter that carries tokens is not of its form."""


class NoAuthorizationError(JWTExtendedException):
    """There is no token where tokens are looked for."""

    status = 401


class CSRFError(JWTExtendedException):
    """A token came in a cookie, without the proof that a page of this site sent it."""

    status = 401


class WrongTokenError(JWTExtendedException):
    """A refresh token where an access token is asked for, or the other way round."""


class RevokedTokenError(_OfToken, JWTExtendedException):
    """The app's blocklist has the token."""

    status = 401

    def __init__(self, jwt_header: dict[str, Any], jwt_data: dict[str, Any]) -> None:
        super().__init__("Token has been revoked", jwt_header, jwt_data)
        self.args = (jwt_header, jwt_data)


class FreshTokenRequired(_OfToken, JWTExtendedException):
    """The token is valid, and not fresh."""

    status = 401


class UserLookupError(_OfToken, JWTExtendedException):
    """The app found no user for the token."""

    status = 401


class UserClaimsVerificationError(_OfToken, JWTExtendedException):
    """The app's own check refused the claims."""

    status = 400


def _kin(name: str) -> Any:
    """PyJWT's class of this name; without PyJWT, one that adds nothing."""
    return getattr(_pyjwt, name, None) or type(name, (Exception,), {})


# PyJWT's class comes first: an error handler that is registered for it is then nearer than one for `HTTPException`.


class InvalidTokenError(_kin("InvalidTokenError"), _Answered):  # type: ignore[misc]
    """A token that is not trusted."""


class DecodeError(_kin("DecodeError"), InvalidTokenError):  # type: ignore[misc]
    """It cannot be read."""


class InvalidSignatureError(_kin("InvalidSignatureError"), DecodeError):  # type: ignore[misc]
    """Nobody who has our key signed it."""


class ExpiredSignatureError(_kin("ExpiredSignatureError"), InvalidTokenError):  # type: ignore[misc]
    """It was good, and is over."""

    status = 401
    jwt_header: dict[str, Any]
    jwt_data: dict[str, Any]


class InvalidAudienceError(_kin("InvalidAudienceError"), InvalidTokenError):  # type: ignore[misc]
    """It is for others."""


class InvalidIssuerError(_kin("InvalidIssuerError"), InvalidTokenError):  # type: ignore[misc]
    """It is from others."""


class InvalidIssuedAtError(_kin("InvalidIssuedAtError"), InvalidTokenError):  # type: ignore[misc]
    """``iat`` is no time."""


class ImmatureSignatureError(_kin("ImmatureSignatureError"), InvalidTokenError):  # type: ignore[misc]
    """It is not valid yet."""


class InvalidAlgorithmError(_kin("InvalidAlgorithmError"), InvalidTokenError):  # type: ignore[misc]
    """It says an algorithm that no key here is for."""


class InvalidSubjectError(_kin("InvalidSubjectError"), InvalidTokenError):  # type: ignore[misc]
    """``sub`` is no text."""


class InvalidJTIError(_kin("InvalidJTIError"), InvalidTokenError):  # type: ignore[misc]
    """``jti`` is no text."""


class MissingRequiredClaimError(_kin("MissingRequiredClaimError"), InvalidTokenError):  # type: ignore[misc]
    """It lacks a registered claim."""

    def __init__(self, claim: str) -> None:
        _Answered.__init__(self, f'Token is missing the "{claim}" claim')
        self.claim = claim


OF_PYJWT = (
    DecodeError,
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAlgorithmError,
    InvalidAudienceError,
    InvalidIssuedAtError,
    InvalidIssuerError,
    InvalidJTIError,
    InvalidSignatureError,
    InvalidSubjectError,
    InvalidTokenError,
    MissingRequiredClaimError,
)
"""Those that Flask-JWT-Extended lets through from PyJWT."""


def registered(kind: type[Exception]) -> type[Exception]:
    """The class under which an app's error handler for *kind* is looked for: PyJWT's where there is one, so that an
    app that registers one for that replaces the face's, as it replaces the incumbent's."""
    own = getattr(_pyjwt, kind.__name__, None) if kind in OF_PYJWT else None
    return own or kind
