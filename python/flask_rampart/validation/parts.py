"""The parts of a request that are text: read as the types that their schemas name.

1. A query that cannot be taken apart is 400 ``request.malformed``: an escape that is none, or no UTF-8. So is a form,
   which is ``request.form``, read by ``uploads``; a file of it is never a field.
2. A name that the schema does not know is refused (query, form), let through (path) or not looked at (headers,
   cookies).
3. A name that comes twice is a list, or refused (CWE-235).
4. What breaks the schema is told with all else that does, as (part, JSON Pointer, keyword).

How texts become values is in the native core (``src/validation/parts.rs``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Literal
from uuid import UUID

from flask import Request

from .._native import Parts
from ..errors import Denied
from ..exchange import Exchange
from ..uploads import checked_form, names_of_chosen
from .bodies import Bounds

Place = Literal["path", "query", "headers", "cookies", "form"]
Unknown = Literal["reject", "ignore", "strip"]
Said = dict[str, Any] | list[tuple[str, str]]
Read = Callable[[Exchange, Request], Said]

PLACES: tuple[Place, ...] = ("path", "query", "headers", "cookies", "form")
"""In the order in which they are read."""


def reader(
    place: Place, schema: str, bounds: Bounds, unknown: Unknown | None, files: Collection[str] = ()
) -> tuple[Read, list[str]]:
    """What reads a part (it gives a dict, or what is wrong with it), and the names that its schema knows.

    :param files: names of a form that are judged elsewhere, as files.

    :raises ValueError: for a schema that cannot be used there.
    """
    if place in ("headers", "cookies"):
        # Browsers and proxies send what no contract speaks of.
        unknown = "strip"
    elif place == "path":
        # What the route says comes from its developer.
        unknown = "ignore" if unknown is None else unknown
    parts = Parts(schema, bounds.json, place, unknown or "reject")
    if place == "form":
        return _form(parts, unknown or "reject", files), parts.names
    return {"query": _query, "path": _path, "headers": _headers, "cookies": _cookies}[place](parts), parts.names


def _query(parts: Parts) -> Read:
    judge = parts.query

    def read(exchange: Exchange, request: Request) -> Said:
        said = judge(exchange.environ.get("QUERY_STRING", ""))
        if said is None:
            raise Denied.of("request.malformed", reason="the query")
        return said

    return read


def _path(parts: Parts) -> Read:
    named = [(name, name.replace("~", "~0").replace("/", "~1")) for name in parts.names]

    def read(exchange: Exchange, request: Request) -> Said:
        given = request.view_args or {}
        # A part of the path is always there, unless somebody took it away.
        missing = [(f"/{pointer}", "required") for name, pointer in named if name not in given]
        return missing or _judged(parts, [(name, _written(value)) for name, value in given.items()])

    return read


def _judged(parts: Parts, pairs: list[tuple[str, str]]) -> Said:
    try:
        return parts.pairs(pairs)
    except UnicodeEncodeError:
        # A server that gives octets as surrogates (PEP 383), or a converter of a route.
        raise Denied.of("request.malformed", reason="half of a surrogate pair") from None


def _written(value: object) -> str:
    """What a converter of a route has read, as it is written.

    :raises TypeError: for what is not told by a text.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float, UUID)):
        return str(value)
    raise TypeError(
        f"validate(path=...) cannot judge a {type(value).__name__}, which a converter of the route has made."
    )


def _headers(parts: Parts) -> Read:
    named = [(name, _key(name)) for name in parts.names]

    def read(exchange: Exchange, request: Request) -> Said:
        environ = exchange.environ
        # Servers give these two also where they were not sent.
        pairs = [(name, environ[key]) for name, key in named if key in environ and (environ[key] or key[:5] == "HTTP_")]
        return _judged(parts, pairs)

    return read


def _key(name: str) -> str:
    """What WSGI calls a field of the head (PEP 3333)."""
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def _cookies(parts: Parts) -> Read:
    names = frozenset(parts.names)

    def read(exchange: Exchange, request: Request) -> Said:
        pairs = list(request.cookies.items(multi=True))
        if not _are_utf8(pairs, exchange.environ.get("HTTP_COOKIE", ""), names):
            raise Denied.of("request.malformed", reason="a cookie is not UTF-8")
        return _judged(parts, pairs)

    return read


def _are_utf8(pairs: list[tuple[str, str]], field: str, names: frozenset[str]) -> bool:
    """Whether the cookies of these names are: others are not looked at."""
    # By this mark it is replaced what the escapes of a quoted cookie spell, and is none.
    if any("\ufffd" in text for name, text in pairs if name in names):
        return False
    if field.isascii():
        return True
    # Octets of the field itself arrive as a character each.
    for pair in field.split(";"):
        name, _, text = pair.partition("=")
        try:
            if name.strip() in names:
                text.encode("latin-1").decode()
        except UnicodeError:
            return False
    return True


def _form(parts: Parts, unknown: Unknown, files: Collection[str]) -> Read:
    known = {name: f"/{name.replace('~', '~0').replace('/', '~1')}" for name in parts.names}

    def read(exchange: Exchange, request: Request) -> Said:
        checked_form(request)
        said = _judged(parts, list(request.form.items(multi=True)))
        # A file where a field should be is there, and not absent; one that nobody knows is as unknown as a field.
        wrong = [(known[name], "type") for name in request.files if name in known]
        if unknown == "reject" and any(
            name not in known and name not in files for name in names_of_chosen(request.files)
        ):
            wrong.append(("", "additionalProperties"))
        if not wrong:
            return said
        pointers = {pointer for pointer, _ in wrong}
        return wrong + ([] if isinstance(said, dict) else [one for one in said if one[0] not in pointers])

    return read
