"""Neighbours: what another extension would do with a guarded view behind our back. Said in the log, at start-up.

A view that Flask-Caching keeps, and that ``require`` guards: its guards are asked for each request, and what they let
through gets the answer of whoever came first, unless the key says who. Where the app has said itself what the answer
depends on (``make_cache_key``, ``key_prefix``, ``unless``), nothing is said. Above a guard that asks by itself, where
it is called, such a view is kept for everybody, as it is by ``lru_cache``: that is said in any case.

It decides nothing. How to live beside each extension is in ``docs/extensions.md``.
"""

from __future__ import annotations

import inspect
import itertools
from typing import Any

from flask import Flask

from .declarations import is_asking
from .guards import AppState, answers_itself, asks_who, methods_of
from .layers import layers
from .view_classes import view_class

_DEPTH = 64
_BY_PATH = "view/%s"  # Flask-Caching's key_prefix, unless another is given


def tell_shared(app: Flask, state: AppState) -> None:
    """Warns of each route whose kept answer is one principal's and everybody's."""
    shared = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint in app.view_functions
        for method in methods_of(rule)
        if answers_itself(rule, method, app)
        and _is_kept_by_path(app.view_functions[rule.endpoint], method)
        and any(asks_who(guard) for guard, _ in state.guards_of(rule.endpoint, method))
    }
    for path in sorted(_kept_above(app)):
        app.logger.warning(
            "%s is kept above a guard that asks where it is called, such as jwt_required: Flask-Caching, lru_cache or "
            "their kin gives what it has kept to everybody, and nobody is asked. Put it below the guard.",
            path,
        )
    for path in sorted(shared):
        app.logger.warning(
            "%s is kept by its path alone: Flask-Caching gives one caller's answer to every other whom require admits. "
            "Name the caller in the key, cached(make_cache_key=...), or say by cached(key_prefix=...) that it is for "
            "all of them.",
            path,
        )


def _is_kept_by_path(view: Any, method: str) -> bool:
    return any(_says_no_key(layer) for holder in _holders(view, method) for layer in layers(holder))


def _kept_above(app: Flask) -> set[str]:
    """The routes of which an answer may be given before a guard is asked that stands in the view's way."""
    return {
        rule.rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint in app.view_functions
        for method in methods_of(rule)
        for holder in _holders(app.view_functions[rule.endpoint], method)
        if any(map(is_asking, itertools.dropwhile(lambda layer: not _keeps(layer), layers(holder))))
    }


def _holders(view: Any, method: str) -> list[Any]:
    """A view, and the methods of its class that answer."""
    holders = [view]
    cls = view_class(view)
    if cls is not None:
        name = method.lower() if method != "HEAD" or hasattr(cls, "head") else "get"
        holders += [inspect.getattr_static(cls, each, None) for each in (name, "dispatch_request")]
    return holders


def _says_no_key(layer: Any) -> bool:
    """Whether this is a wrapper of Flask-Caching's whose key is its own."""
    if not _is_cachings(layer):
        return False
    # What was given is held by the wrapper, or by what makes its key.
    given: dict[str, Any] = {}
    functions = [layer, getattr(layer, "make_cache_key", None)]
    for function in functions:
        if _is_cachings(function) and len(functions) < _DEPTH:
            held = _held(function)
            given = {**held, **given}
            functions += [each for each in held.values() if _is_cachings(each) and each not in functions]
    return given.get("key_prefix", _BY_PATH) == _BY_PATH and not any(
        callable(given.get(name)) for name in ("make_cache_key", "unless")
    )


def _keeps(layer: Any) -> bool:
    """Whether a layer keeps what those below it answer: Flask-Caching's, or one with ``cache_info``, as ``lru_cache``
    and its kin have it. What is a copy of that of the layer below, as ``functools.wraps`` makes it, keeps nothing."""
    told = getattr(layer, "cache_info", None)
    below = getattr(getattr(layer, "__wrapped__", None), "cache_info", None)
    return _is_cachings(layer) or (callable(told) and told is not below)


def _is_cachings(function: Any) -> bool:
    # By its globals: the name and module of a wrapper are those of the view that it wraps.
    return inspect.isfunction(function) and function.__globals__.get("__name__") == "flask_caching"


def _held(function: Any) -> dict[str, Any]:
    try:
        return dict(inspect.getclosurevars(function).nonlocals)
    except ValueError:  # a name that is not assigned yet
        return {}
