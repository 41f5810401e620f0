"""Cookies of an app's own, with safe defaults, under names that browsers hold it to (RFC 6265bis section 4.1.3).

A name that begins with ``__Host-`` says to browsers and to who reads the request what no attribute can: attributes do
not come back. So a neighbour's page, or whoever writes answers of plain HTTP, cannot plant such a cookie.

Under ``app.debug`` over plain HTTP, where browsers drop it, the name has no prefix and the cookie no ``Secure``; in
production it always has both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from flask import current_app, has_request_context, request

if TYPE_CHECKING:
    from werkzeug.sansio.response import Response

Prefix = Literal["host", "host-http", "http", "secure"]

PREFIXES: Mapping[str, str] = {
    "host": "__Host-",
    "host-http": "__Host-Http-",
    "http": "__Http-",
    "secure": "__Secure-",
}
OF_ONE_HOST = ("host", "host-http")
OF_NO_SCRIPT = ("host-http", "http")
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def cookie_name(name: str, *, prefix: Prefix | None = "host") -> str:
    """The name that :func:`set_cookie` gives a cookie, in this request.

    That is *name* with the prefix; under ``app.debug`` over plain HTTP *name* alone, since browsers drop prefixed
    cookies there.

    :raises ValueError: for a *name* that is no token (RFC 9110 section 5.6.2), or a *prefix* that is not known.

    >>> cookie_name("theme"), cookie_name("theme", prefix="secure"), cookie_name("theme", prefix=None)
    ('__Host-theme', '__Secure-theme', 'theme')
    """
    if not TOKEN.fullmatch(name):
        raise ValueError("a cookie's name is made of letters, digits and !#$%&'*+-.^_`|~")
    if prefix is None:
        return name
    if prefix not in PREFIXES:
        raise ValueError(f"prefix must be one of {', '.join(map(repr, PREFIXES))}, or None, not {prefix!r}")
    return name if _is_plain() else PREFIXES[prefix] + name


def set_cookie(
    response: Response,
    name: str,
    value: str = "",
    *,
    prefix: Prefix | None = "host",
    max_age: timedelta | int | None = None,
    expires: str | datetime | float | None = None,
    path: str = "/",
    domain: str | None = None,
    samesite: Literal["Lax", "Strict", "None"] | None = None,
    partitioned: bool = False,
) -> None:
    """Sets a cookie that is ``Secure``, ``HttpOnly`` and ``SameSite``, under a name that browsers hold it to.

    As ``response.set_cookie``, with safe defaults. Read it with :func:`get_cookie`, take it back with
    :func:`delete_cookie`, each with the same *prefix*. For a cookie that scripts read, use ``response.set_cookie`` and
    name it in ``RAMPART_COOKIES``.

    :param prefix: ``"host"`` (``__Host-``): this host alone, ``"secure"`` (``__Secure-``): with *domain* or *path*;
        ``"host-http"`` and ``"http"``: the same two, and browsers that know them refuse one that a script set. None:
        the name as it is.
    :param max_age: seconds; None ends with the browser's session.
    :param samesite: None is ``"Lax"``, and ``"None"`` for a *partitioned* one.
    :param partitioned: one for each site in whose pages this app is embedded (CHIPS).
    :raises ValueError: for a *domain* or *path* that the prefix forbids, and as :func:`cookie_name`.

    >>> from flask import Response
    >>> response = Response()
    >>> set_cookie(response, "theme", "dark")
    >>> response.headers["Set-Cookie"]
    '__Host-theme=dark; Secure; HttpOnly; Path=/; SameSite=Lax'
    """
    if prefix in OF_ONE_HOST and (domain is not None or path != "/"):
        raise ValueError(f'prefix="{prefix}" is for this host and the path /: choose "secure" for a domain or a path')
    plain = _is_plain()
    crosses = samesite == "None" or (samesite is None and partitioned)
    response.set_cookie(
        cookie_name(name, prefix=prefix),
        value,
        max_age=max_age,
        expires=expires,
        path=path,
        domain=domain,
        secure=not plain,
        httponly=True,
        samesite=("Lax" if plain else "None") if crosses else samesite or "Lax",
        partitioned=partitioned and not plain,
    )


def delete_cookie(
    response: Response,
    name: str,
    *,
    prefix: Prefix | None = "host",
    path: str = "/",
    domain: str | None = None,
    samesite: Literal["Lax", "Strict", "None"] | None = None,
    partitioned: bool = False,
) -> None:
    """Takes back what :func:`set_cookie` set with the same arguments.

    :raises ValueError: as there.

    >>> from flask import Response
    >>> response = Response()
    >>> delete_cookie(response, "theme")
    >>> response.headers["Set-Cookie"]
    '__Host-theme=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Secure; HttpOnly; Path=/; SameSite=Lax'
    """
    set_cookie(
        response,
        name,
        prefix=prefix,
        max_age=0,
        expires=0,
        path=path,
        domain=domain,
        samesite=samesite,
        partitioned=partitioned,
    )


def get_cookie(name: str, *, prefix: Prefix | None = "host") -> str | None:
    """The value of a cookie of the current request that :func:`set_cookie` set with the same *prefix*; None without.

    :raises ValueError: as :func:`cookie_name`.

    >>> from flask import Flask
    >>> with Flask("docs").test_request_context(headers={"Cookie": "__Host-theme=dark; theme=planted"}):
    ...     get_cookie("theme")
    'dark'
    """
    return request.cookies.get(cookie_name(name, prefix=prefix))


def _is_plain() -> bool:
    """Whether a browser would drop a ``Secure`` cookie, and that is no mistake."""
    return has_request_context() and current_app.debug and not request.is_secure
