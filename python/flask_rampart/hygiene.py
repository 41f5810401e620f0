"""Hygiene: which requests are not for an app at all, whatever their route.

What is refused is decided in ``src/hygiene``; here stands which methods an app answers. Rules, in order:

1. ``TRACE``, ``TRACK`` and ``CONNECT`` never;
2. where ``RAMPART_METHODS`` is set, those in it and no others: the deployment's word is the narrower;
3. otherwise the seven usual ones, and those that a route of the app declares, such as ``QUERY`` or ``PROPFIND``.

It does not know the methods of apps that are mounted inside: name them in ``RAMPART_METHODS``. RFC 9110 section 9.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ._native import HeadBounds
from .errors import ConfigError

if TYPE_CHECKING:
    from flask import Flask

    from .config import Settings

USUAL = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""The methods that are answered unless something else is said."""

NEVER = frozenset(("TRACE", "TRACK", "CONNECT"))
"""The methods that are never answered, whatever is said."""


def head_bounds(settings: Settings, declared: Iterable[str] = ()) -> HeadBounds:
    """What the settings say of the head of a request.

    :param declared: methods that routes declare.
    :raises ConfigError: for a declared method that is none.
    """
    methods = settings.methods or tuple(dict.fromkeys((*USUAL, *declared)))
    try:
        return HeadBounds(
            max_headers=settings.max_headers,
            max_header_bytes=settings.max_header_bytes,
            max_query=settings.max_query,
            max_path=settings.max_path,
            methods=methods,
            encoded_slashes=settings.encoded_slashes,
            method_override=settings.method_override,
        )
    except ValueError as error:
        raise ConfigError(f"The methods of a route: {error}.") from None


def declared_methods(app: Flask) -> list[str]:
    """The methods of an app's routes, but for those that are never answered; sorted."""
    rules = app.url_map.iter_rules()
    return sorted({method for rule in rules if not rule.build_only for method in rule.methods or ()} - NEVER)


def unanswered(app: Flask, settings: Settings) -> list[str]:
    """What of the routes no request ever reaches, each in a line for the developer."""
    found = []
    answered = set(settings.methods or (*USUAL, *declared_methods(app)))
    for rule in app.url_map.iter_rules():
        # HEAD and OPTIONS are Flask's own addition.
        missing = (rule.methods or set()) - answered - {"HEAD", "OPTIONS"}
        found += [f"{method} {rule.rule} ({rule.endpoint})" for method in sorted(missing) if not rule.build_only]
    return found
