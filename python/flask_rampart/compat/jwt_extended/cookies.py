"""Puts tokens into cookies, and takes them back.

Beside a token's cookie is one with its ``csrf`` claim, which scripts of this site can read and send back.
"""

from __future__ import annotations

from typing import Any

from flask import current_app
from werkzeug.wrappers import Response

from .config import config
from .face import current_face
from .judging import judge


def set_access_cookies(
    response: Response, encoded_access_token: str, max_age: int | None = None, domain: str | None = None
) -> None:
    """Puts an access token, and what proves a page, into cookies of *response*.

    :param max_age: seconds for which browsers keep them; not given, ``JWT_SESSION_COOKIE`` says.
    :param domain: instead of ``JWT_COOKIE_DOMAIN``.
    """
    _set_both(response, "ACCESS", encoded_access_token, max_age, domain)


def set_refresh_cookies(
    response: Response, encoded_refresh_token: str, max_age: int | None = None, domain: str | None = None
) -> None:
    """The same for a refresh token."""
    _set_both(response, "REFRESH", encoded_refresh_token, max_age, domain)


def unset_jwt_cookies(response: Response, domain: str | None = None) -> None:
    """Takes back all of them."""
    unset_access_cookies(response, domain)
    unset_refresh_cookies(response, domain)


def unset_access_cookies(response: Response, domain: str | None = None) -> None:
    """Takes back those of the access token."""
    _unset_both(response, "ACCESS", domain)


def unset_refresh_cookies(response: Response, domain: str | None = None) -> None:
    """Takes back those of the refresh token."""
    _unset_both(response, "REFRESH", domain)


def csrf_of(encoded_token: str) -> str:
    """The ``csrf`` claim of a token that holds.

    :raises KeyError: if it has none: it was made while ``JWT_COOKIE_CSRF_PROTECT`` was off.
    """
    face = current_face()
    found: str = judge(face, face.rules(), encoded_token).claims["csrf"]
    return found


def _set_both(response: Response, kind: str, token: str, max_age: int | None, domain: str | None) -> None:
    lasting = {"max_age": max_age or config.cookie_max_age}
    _set(response, kind, "", token, domain, http_only=True, **lasting)
    if _with_csrf():
        _set(response, kind, "CSRF_", csrf_of(token), domain, http_only=False, **lasting)


def _unset_both(response: Response, kind: str, domain: str | None) -> None:
    _set(response, kind, "", "", domain, http_only=True, expires=0)
    if _with_csrf():
        _set(response, kind, "CSRF_", "", domain, http_only=False, expires=0)


def _with_csrf() -> bool:
    return bool(current_app.config["JWT_COOKIE_CSRF_PROTECT"] and current_app.config["JWT_CSRF_IN_COOKIES"])


def _set(
    response: Response, kind: str, what: str, value: str, domain: str | None, *, http_only: bool, **lasting: Any
) -> None:
    settings, rules = current_app.config, current_face().rules()
    response.set_cookie(
        settings[f"JWT_{kind}_{what}COOKIE_NAME"],
        value=value,
        secure=rules.cookie_secure,
        httponly=http_only,
        domain=domain or settings["JWT_COOKIE_DOMAIN"],
        path=settings[f"JWT_{kind}_{what}COOKIE_PATH"],
        samesite=rules.cookie_samesite,
        **lasting,
    )
