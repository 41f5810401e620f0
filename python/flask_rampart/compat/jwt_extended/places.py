"""Finds the token of a request: in a header, a cookie, the query or a JSON body.

The places are asked in the order that the app gives; the first with a token decides, and what is wrong there refuses.
A cookie's token counts for a method that may change something only with the value of its ``csrf`` claim beside it,
whichever way cookies came to be looked at.

The words of the refusals are Flask-JWT-Extended's: clients and tests may read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Request
from werkzeug.exceptions import BadRequest

from .config import LOCATIONS, Rules
from .exceptions import CSRFError, InvalidHeaderError, InvalidQueryParamError, NoAuthorizationError

Found = tuple[str, str, str | None]
"""A token, where it was, and what its ``csrf`` claim has to be."""


def find(request: Request, rules: Rules, locations: Sequence[str], refresh: bool) -> Found:
    """The one token that counts.

    :raises NoAuthorizationError: if there is none.
    """
    if len(locations) == 1 and locations[0] == "headers":
        return in_headers(request, rules), "headers", None
    for location in locations:
        if location not in LOCATIONS:
            raise RuntimeError(f"{location!r} is not a valid location: it is one of {', '.join(LOCATIONS)}")
    missing: list[str] = []
    for location in locations:
        try:
            if location == "headers":
                return in_headers(request, rules), location, None
            if location == "cookies":
                token, csrf_value = in_cookies(request, rules, refresh)
                return token, location, csrf_value
            if location == "query_string":
                return in_query(request, rules), location, None
            return in_json(request, rules, refresh), location, None
        except NoAuthorizationError as error:
            missing.append(str(error))
    if len(missing) == 1:
        raise NoAuthorizationError(missing[0])
    *first, last = locations
    raise NoAuthorizationError(f"Missing JWT in {', '.join(first)} or {last} ({'; '.join(missing)})")


def in_headers(request: Request, rules: Rules) -> str:
    """The token of the header."""
    field: str = request.environ.get(rules.header_key, "")
    start = rules.header_start
    # The usual case: one credential, and nothing to take apart.
    if start != " " and field[: len(start)].lower() == start:
        token = field[len(start) :]
        if token and "," not in token and not token.isspace() and token.split(None, 1) == [token]:
            return token
    return _taken_apart(field, rules)


def _taken_apart(field: str, rules: Rules) -> str:
    name, kind = rules.header_name, rules.header_type
    field = field.strip().strip(",")
    if not field:
        raise NoAuthorizationError(f"Missing {name} Header")
    if kind:
        wanted = kind.lower()
        parts = [words for part in field.split(",") if (words := part.split()) and words[0].lower() == wanted]
        if len(parts) != 1:
            raise NoAuthorizationError(f"Missing '{kind}' type in '{name}' header. Expected '{name}: {kind} <JWT>'")
        if len(parts[0]) != 2:
            raise InvalidHeaderError(f"Bad {name} header. Expected '{name}: {kind} <JWT>'")
        return parts[0][1]
    words = field.split()
    if len(words) != 1:
        raise InvalidHeaderError(f"Bad {name} header. Expected '{name}: <JWT>'")
    return words[0]


def in_cookies(request: Request, rules: Rules, refresh: bool) -> tuple[str, str | None]:
    """The token of the cookie, and what its ``csrf`` claim has to be."""
    names = rules.refresh if refresh else rules.access
    token = request.cookies.get(names.cookie)
    if not token:
        raise NoAuthorizationError(f'Missing cookie "{names.cookie}"')
    if not rules.csrf_protect or request.method not in rules.csrf_methods:
        return token, None
    value = request.headers.get(names.csrf_header)
    if not value and rules.csrf_form:
        value = request.form.get(names.csrf_field)
    if not value:
        raise CSRFError("Missing CSRF token")
    return token, value


def in_query(request: Request, rules: Rules) -> str:
    """The token of the query's parameter."""
    value = request.args.get(rules.query_name)
    if not value:
        raise NoAuthorizationError(f"Missing '{rules.query_name}' query paramater")
    if not value.startswith(rules.query_prefix):
        raise InvalidQueryParamError(
            f"Invalid value for query parameter '{rules.query_name}'. "
            f"Expected the value to start with '{rules.query_prefix}'"
        )
    return value[len(rules.query_prefix) :]


def in_json(request: Request, rules: Rules, refresh: bool) -> Any:
    """What the body's member has, whatever it is."""
    if not request.is_json:
        raise NoAuthorizationError("Invalid content-type. Must be application/json.")
    key = (rules.refresh if refresh else rules.access).json_key
    try:
        body = request.get_json()
    except BadRequest:
        body = None
    found = body.get(key) if isinstance(body, dict) else None
    if not found:
        raise NoAuthorizationError(f'Missing "{key}" key in json data.')
    return found
