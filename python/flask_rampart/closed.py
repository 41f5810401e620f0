"""Views that are closed though somebody is asked near them. Said in the log with the first request, so that nobody has
to guess.

Under ``RAMPART_DEFAULT = "deny"`` a guard that asks where it is called opens a view only where it is seen that a
request meets it. One that stands inside a ``functools.partial``, on the ``__call__`` of an instance, on a method that
another overrides, or on a class that may answer by something else, opens nothing: who has a good token gets 403.

It decides nothing.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

from flask import Flask

from .declarations import asked_by
from .guards import AppState, Guard, answers_itself, methods_of
from .hidden import held_by
from .layers import chain, layers
from .view_classes import OF_INSTANCES, of_decorators, sets, view_class


def tell_closed(app: Flask, state: AppState) -> None:
    """Warns of each view that is refused beside a guard that would have opened it."""
    if state.settings.default != "deny":
        return
    for rule in app.url_map.iter_rules():
        view = app.view_functions.get(rule.endpoint)
        if view is None:
            continue
        found: dict[tuple[str, str], list[str]] = {}
        for method in methods_of(rule):
            met = [guard for guard, _ in state.guards_of(rule.endpoint, method)]
            if not answers_itself(rule, method, app) or any(guard.opens for guard in met):
                continue
            near: list[Guard] = []
            with contextlib.suppress(Exception):  # what a view holds may refuse to be looked into
                near.extend(guard for guard in _near(view, method) if guard.opens and guard.asks_itself)
            if near:
                why = _UNASKED if all(method in guard.unasked for guard in near) else _UNSEEN + _set_by(view, method)
                found.setdefault((repr(near[0]), why), []).append(method)
        for (guard, why), methods in found.items():
            app.logger.warning(
                '%s is closed for %s (RAMPART_DEFAULT = "deny"), though %s is written near it: %s',
                rule.rule,
                ", ".join(methods),
                guard,
                why,
            )


_UNASKED = "it is not asked for that method. Leave the method to Flask, or put public on the view."
_UNSEEN = (
    "it is not seen that a request meets it there. Put it on the view itself, right below the route, or into the "
    "decorators of the class."
)


def _names(method: str) -> set[str]:
    return {"dispatch_request", method.lower(), "get" if method == "HEAD" else ""}


def _set_by(view: Any, method: str) -> str:
    """What a class puts in the place of its methods, as a sentence."""
    cls = view_class(view)
    found = None if cls is None else sets(cls, {*_names(method), *OF_INSTANCES})
    return f" {found}, which may answer instead." if found else ""


def _near(view: Any, method: str) -> Iterator[Guard]:
    """The guards that ask by themselves on a view, and on what it holds, calls or inherits."""
    beside = [view]
    if not inspect.isroutine(view):
        beside.append(type(view).__call__)
    cls = view_class(view)
    if cls is not None:
        names = _names(method)
        beside += [vars(base)[name] for base in cls.__mro__ for name in sorted(names) if name in vars(base)]
        given = getattr(cls, "method_decorators", ())
        yield from of_decorators(cls)
        if isinstance(given, (list, tuple)):
            yield from (item for item in given if isinstance(item, Guard))
    for each in beside:
        yield from chain(each)
        for layer in layers(each):
            function = getattr(layer, "__func__", layer)
            yield from asked_by(function)
            for held in held_by(layer):
                yield from asked_by(held)
