"""What is tried out by reading alone: passwords, codes and tokens in the address of a request that changes nothing.

1. Parameters are the variables of the route, what ``validate(query=...)`` names, and what the view's own source takes
   from ``request.args`` or ``request.values``.
2. A password or a one-time code is tried wherever it is one. What may be something else (``code``, ``token``, ``key``,
   ``pin``) is tried where the path or the view's name says so: ``/otp/<code>``, ``/reset-password/<token>``.
3. Not ``<uuid:token>``, which nobody guesses; not a ``code`` in the query of a login, with which another server's login
   comes back (OAuth 2.0, RFC 6749 section 4.1.2); not the page of a login, which takes nothing.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType
from typing import Any, NamedTuple

from ..errors import ConfigError
from ..validation import is_model, json_schema, validate
from .matrix import Row
from .subject import Subject, unwrapped

READING = frozenset(("GET", "HEAD", "QUERY"))
_ALWAYS = frozenset(("password", "passwd", "passphrase", "passcode", "otp", "totp"))
_MAYBE = frozenset(("code", "key", "pin", "pwd", "secret", "token"))
# What may stand before one of these: country_code and page_token are something else.
_OF_IT = frozenset(
    (
        *("access", "activation", "auth", "backup", "confirm", "confirmation", "email", "invitation", "invite", "link"),
        *("login", "magic", "mfa", "one", "otp", "password", "recovery", "reset", "secret", "security", "sms", "time"),
        *("totp", "2fa", "unlock", "user", "verification", "verify"),
    )
)
# Where a code that comes back from another server's login is read.
_COMES_BACK = frozenset(("auth", "authenticate", "authorize", "authorise", "login", "registration", "signin", "sso"))
_VARIABLE = re.compile(r"<(?:(?P<of>\w+)(?:\([^>]*\))?:)?(?P<name>\w+)>")
_MOST_CODES = 50


class Tried(NamedTuple):
    """What is tried at a route."""

    names: tuple[str, ...]
    is_short: bool
    """Whether some of it may be short enough to be guessed: all but tokens and keys."""


def tried(subject: Subject, row: Row, places: Iterable[str]) -> Tried | None:
    """What a route takes in its address that may be guessed; None if nothing is.

    :param places: the words of its path and view that say that something is tried there.
    """
    said = frozenset(places)
    if READING.isdisjoint(row.methods):
        return None
    found: dict[str, bool] = {}
    in_path = {each["name"] for each in _VARIABLE.finditer(row.path) if each["of"] != "uuid"}
    for name in sorted(in_path | {*_in_query(subject, row)}):
        *before, last = words(name) or [""]
        is_maybe = bool(said) and last in _MAYBE and _OF_IT.issuperset(before)
        comes_back = last == "code" and name not in in_path and _COMES_BACK.issuperset(said)
        if last in _ALWAYS or (is_maybe and not comes_back):
            found[name] = last not in ("key", "token")
    return Tried(tuple(found), any(found.values())) if found else None


def words(text: str) -> list[str]:
    """The words of a name: ``"resetToken"`` and ``"reset_token"`` are ``["reset", "token"]``."""
    return re.findall("[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower())


def _in_query(subject: Subject, row: Row) -> Iterator[str]:
    for guard in row.guards:
        if isinstance(guard, validate) and "query" in guard.given:
            yield from _properties(guard.given["query"])
    view = unwrapped(subject.app.view_functions.get(row.endpoint))
    methods = [method.lower() for method in row.methods if method in READING]
    functions = (
        [getattr(view, name, None) for name in (*methods, "dispatch_request")] if inspect.isclass(view) else [view]
    )
    for function in functions:
        yield from _read_by(unwrapped(function))


def _properties(given: Any) -> Iterator[str]:
    if is_model(given):
        try:
            given = json_schema(given)
        except ConfigError:
            return
    properties = given.get("properties") if isinstance(given, Mapping) else None
    yield from (str(name) for name in properties) if isinstance(properties, Mapping) else ()


def _read_by(function: Any) -> Iterator[str]:
    """Names that a function takes from the query, as far as they are written there; it is not run."""
    code = getattr(function, "__code__", None)
    # Most functions have no such word, and are not parsed.
    if not isinstance(code, CodeType) or not any(map(_is_of_it, _texts(code))):
        return
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(code)))
    except (OSError, TypeError, ValueError, SyntaxError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        name: ast.expr | None = None
        if isinstance(node, ast.Subscript) and _is_query(node.value):
            name = node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            name = node.args[0] if node.func.attr in ("get", "getlist") and _is_query(node.func.value) else None
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield name.value


def _is_query(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("args", "values")


def _is_of_it(text: str) -> bool:
    return len(text) <= 64 and bool(found := words(text)) and found[-1] in _ALWAYS | _MAYBE


def _texts(code: CodeType) -> Iterator[str]:
    """The texts in a function, and in those within it."""
    left = [code]
    for _ in range(_MOST_CODES):
        if not left:
            return
        for value in left.pop().co_consts:
            if isinstance(value, str):
                yield value
            elif isinstance(value, CodeType):
                left.append(value)
