"""What refusals answer where the app's loaders say nothing else.

By default with Flask-JWT-Extended's bodies and statuses, which clients of an app that moves go by: ``{"msg": "..."}``,
422 for a token that is wrong, and no ``WWW-Authenticate``. With ``RAMPART_ERROR_FORMAT = "problem"`` with ours (RFC
9457, RFC 6750 section 3).
"""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, jsonify
from werkzeug.wrappers import Response as BaseResponse

from ...errors import Denied
from ...refusals import Challenge
from .face import current_face

Answer = BaseResponse | tuple[Response, int]
_CHALLENGE = Challenge("Bearer")


def unauthorized(message: str) -> Answer:
    """There is no token."""
    return _answer(message, 401, "auth.missing", "no token")


def forged(message: str) -> Answer:
    """A cookie has a token, and nothing proves that a page of this site sent it."""
    return _answer(message, 401, "csrf.invalid", "csrf")


def invalid(message: str) -> Answer:
    """The token is not trusted."""
    return _answer(message, 422, "token.invalid", "invalid")


def expired(header: dict[str, Any], claims: dict[str, Any]) -> Answer:
    """The token is over."""
    return _answer("Token has expired", 401, "token.expired", "expired")


def stale(header: dict[str, Any], claims: dict[str, Any]) -> Answer:
    """The token is not fresh."""
    return _answer("Fresh token required", 401, "auth.stale", "not fresh")


def revoked(header: dict[str, Any], claims: dict[str, Any]) -> Answer:
    """The token is on the blocklist."""
    return _answer("Token has been revoked", 401, "token.invalid", "revoked")


def unknown_user(header: dict[str, Any], claims: dict[str, Any]) -> Answer:
    """There is no user for the token."""
    identity = claims.get(current_app.config["JWT_IDENTITY_CLAIM"])
    return _answer(f"Error loading the user {identity}", 401, "auth.invalid", "no user")


def not_admitted(header: dict[str, Any], claims: dict[str, Any]) -> Answer:
    """The app's own check refused the claims."""
    return _answer("User claims verification failed", 400, "auth.invalid", "claims")


def _answer(message: str, status: int, code: str, reason: str) -> Answer:
    face = current_face()
    if code == "auth.missing":
        denied = Denied.of(code, reason, headers=_CHALLENGE.fields())
    elif code == "auth.stale":
        denied = Denied.of(code, reason, headers=_CHALLENGE.fields("insufficient_user_authentication"))
    elif code == "csrf.invalid":
        denied = Denied.of(code, reason)
    else:
        denied = _CHALLENGE.refused((code, reason))
    # The settings choose the words alone: logs, audit and signals know of each refusal.
    face.note(denied)
    if face.words_problems:
        return denied.to_response(current_app.response_class)
    return jsonify({current_app.config["JWT_ERROR_MESSAGE_KEY"]: message}), status
