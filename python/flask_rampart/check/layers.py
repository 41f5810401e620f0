"""The WSGI layers around an app, from the outside in, and what is mounted beside it.

What a layer wraps is found where layers keep it: in an attribute named ``app`` or the like, or in the closure of a
function. A layer in which nothing is found, each app that is mounted beside this one, and each layer that is neither
ours nor known to pass on all that comes is told of: requests that it answers meet nothing that was checked here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask import Flask

_MOST_LAYERS = 32
# They answer nothing themselves: packages, and what of Werkzeug's does not.
_PASSING = frozenset(("flask_rampart", "opentelemetry", "sentry_sdk", "elasticapm", "ddtrace", "newrelic"))
_PASSING_MODULES = frozenset(("werkzeug.middleware.proxy_fix", "werkzeug.middleware.lint"))
_KEPT_IN = ("app", "wsgi_app", "_app", "application", "_application", "wsgi", "_wsgi_app", "wrapped", "__wrapped__")

_LAYER = ", a layer around the app, "


def layers(app: Flask, notes: list[str]) -> Iterator[Any]:
    """Each layer of *app*; what is not looked through is added to *notes*."""
    layer: Any = app.wsgi_app
    for _ in range(_MOST_LAYERS):
        if layer is app or getattr(layer, "__self__", None) is app:
            return
        yield layer
        mounts = getattr(layer, "mounts", None)
        if isinstance(mounts, Mapping):
            for path, mounted in mounts.items():
                name = mounted.name if isinstance(mounted, Flask) else type(mounted).__name__
                _note(notes, f"the app {name!r} that is mounted at {path} was not looked at: check it by itself.")
        inner = _inside(layer)
        name = _name(layer)
        if inner is None:
            _note(notes, f"{name}{_LAYER}was not looked through.")
            return
        if not isinstance(mounts, Mapping) and not _passes(name):
            _note(notes, f"{name}{_LAYER}may answer by itself: what it answers meets no guard, and is in no matrix.")
        layer = inner


def layer_of(note: str) -> str | None:
    """The name of the layer that a note is about, if it is about one."""
    name, told, _ = note.partition(_LAYER)
    return name if told else None


def _name(layer: Any) -> str:
    """Such as ``"shop.middleware.Admin"``."""
    of = layer if hasattr(layer, "__qualname__") else type(layer)
    return f"{of.__module__}.{of.__qualname__}"


def _passes(name: str) -> bool:
    return name.partition(".")[0] in _PASSING or name.rpartition(".")[0] in _PASSING_MODULES


def _inside(layer: Any) -> Any:
    for name in _KEPT_IN:
        inner = getattr(layer, name, None)
        if callable(inner) and inner is not layer:
            return inner
    # A function around an app, or an object whose words for it are its own: what can only be the app.
    cells = [cell.cell_contents for cell in getattr(layer, "__closure__", None) or () if _is_filled(cell)]
    kept = [*cells, *getattr(layer, "__dict__", {}).values()]
    found = [each for each in kept if isinstance(each, Flask) or isinstance(getattr(each, "__self__", None), Flask)]
    callables = found or [each for each in cells if callable(each) and not isinstance(each, type)]
    return callables[0] if len(callables) == 1 else None


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - raises where it is empty
    except ValueError:
        return False
    return True


def _note(notes: list[str], text: str) -> None:
    if text not in notes:
        notes.append(text)
