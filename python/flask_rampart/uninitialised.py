"""Guards in an app that has no ``Rampart(app)``: what they stand on is refused, with 503.

Nothing has bound them there, so nothing would run them. For each request, in order:

1. an app that has the extension is left to it;
2. a view with a guard, at any of the places where ``declarations`` finds one, is not reached, whoever wrote it, unless
   it asks by itself;
3. any other view is reached. That it has no guards is remembered until another is declared.

The wrapper around a guarded view refuses as well, but stands only where Flask calls through it. This covers a guard
that is written above the route, and one on a blueprint. It listens always: whether a function has a route already
cannot be seen from the function. ``guards`` imports this module, so no guard is ever declared without it.
"""

from __future__ import annotations

import weakref
from typing import Any

from flask import Flask, request, request_started

from . import declarations
from .declarations import declared_around, declared_on
from .errors import Denied
from .exchange import EXTENSION

_MOST_VIEWS = 1024

#: Views of apps without the extension that were looked at and have no guards, and the epoch at which they were.
_unguarded: weakref.WeakKeyDictionary[Flask, tuple[int, set[tuple[str, str, Any]]]] = weakref.WeakKeyDictionary()


def not_initialised() -> Denied:
    """The refusal of what is guarded, by an app that has no ``Rampart(app)``."""
    return Denied.of("app.uninitialised", reason="no Rampart(app)")


def _refuse_guarded(app: Flask, **_: Any) -> None:
    if EXTENSION in app.extensions:
        return
    this = request._get_current_object()  # type: ignore[attr-defined]
    rule = this.url_rule
    if rule is None:
        return
    epoch = declarations.epoch()
    seen_at, known = _unguarded.get(app, (epoch, set()))
    place = (rule.endpoint, this.method)
    view = app.view_functions.get(rule.endpoint)
    if seen_at == epoch and (*place, view) in known:
        return
    guards = () if view is None else declared_on(view, this.method)
    if any(not guard.asks_itself for guard, _ in guards) or declared_around(app, rule.endpoint):
        app.logger.error("%s is guarded, but this app has no Rampart(app): refused.", rule.endpoint)
        raise not_initialised()
    if seen_at != epoch or len(known) >= _MOST_VIEWS:
        known = set()
    known.add((*place, view))
    _unguarded[app] = (epoch, known)


request_started.connect(_refuse_guarded, weak=False)
