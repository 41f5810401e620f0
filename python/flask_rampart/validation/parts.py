"""The parts of a request that are text: read as the types that their schemas name.

1. A query that cannot be taken apart is 400 ``request.malformed``: an escape that is none, or no UTF-8.
2. A name that the schema does not know is refused (query, form), let through (path) or not looked at (headers,
   cookies).
3. A name that comes twice is a list, or refused (CWE-235).
4. What breaks the schema is told with all else that does, as (part, JSON Pointer, keyword).

How texts become values is in the native core (``src/validation/parts.rs``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from flask import Request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from .._native import JsonBounds, Parts
from ..errors import Denied
from ..exchange import Exchange

Place = Literal["path", "query", "headers", "cookies", "form"]
Unknown = Literal["reject", "ignore", "strip"]
Read = Callable[[Exchange, Request], "dict[str, Any] | list[tuple[str, str]]"]

PLACES: tuple[Place, ...] = ("path", "query", "headers", "cookies", "form")
"""In the order in which they are read."""

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def reader(place: Place, schema: str, bounds: JsonBounds, unknown: Unknown | None) -> Read:
    """What reads a part: a dict, or what is wrong with it.

    :raises ValueError: for a schema that cannot be used there.
    """
    if place in ("headers", "cookies"):
        # Browsers and proxies send what no contract speaks of.
        unknown = "strip"
    elif place == "path":
        # What the route says comes from its developer.
        unknown = "ignore" if unknown is None else unknown
    parts = Parts(schema, bounds, place, unknown or "reject")
    if place == "query":
        return _query(parts)
    if place == "headers":
        return _headers(parts)
    return {"path": _path, "cookies": _cookies, "form": _form}[place](parts)


def _query(parts: Parts) -> Read:
    judge = parts.query

    def read(exchange: Exchange, request: Request) -> dict[str, Any] | list[tuple[str, str]]:
        said = judge(exchange.environ.get("QUERY_STRING", ""))
        if said is None:
            raise Denied.of("request.malformed", reason="the query")
        return said

    return read


def _path(parts: Parts) -> Read:
    def read(exchange: Exchange, request: Request) -> dict[str, Any] | list[tuple[str, str]]:
        # A converter may have made something else of the text; the schema is asked about the text.
        return parts.pairs([(name, str(value)) for name, value in (request.view_args or {}).items()])

    return read


def _headers(parts: Parts) -> Read:
    named = [(name, _key(name)) for name in parts.names]

    def read(exchange: Exchange, request: Request) -> dict[str, Any] | list[tuple[str, str]]:
        environ = exchange.environ
        return parts.pairs([(name, environ[key]) for name, key in named if key in environ])

    return read


def _key(name: str) -> str:
    """What WSGI calls a field of the head (PEP 3333)."""
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def _cookies(parts: Parts) -> Read:
    def read(exchange: Exchange, request: Request) -> dict[str, Any] | list[tuple[str, str]]:
        return parts.pairs(list(request.cookies.items(multi=True)))

    return read


def _form(parts: Parts) -> Read:
    def read(exchange: Exchange, request: Request) -> dict[str, Any] | list[tuple[str, str]]:
        if request.mimetype not in _FORMS:
            raise Denied.of("body.media_type", reason="not a form")
        try:
            pairs = list(request.form.items(multi=True))
        except RequestEntityTooLarge:
            raise Denied.of("body.too_large", reason="a form") from None
        except Denied:
            raise
        except (BadRequest, OSError):
            raise Denied.of("body.incomplete", reason="the form ended early") from None
        return parts.pairs(pairs)

    return read
