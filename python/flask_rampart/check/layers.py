"""The WSGI layers around an app, from the outside in, and what is mounted beside it.

What a layer wraps is found where layers keep it: in an attribute named ``app`` or the like, or in the closure of a
function. A layer in which nothing is found, and each app that is mounted beside this one, is told of: requests that it
answers meet nothing that was checked here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask import Flask

_MOST_LAYERS = 32
_KEPT_IN = ("app", "wsgi_app", "_app", "application", "_application", "wsgi", "_wsgi_app", "wrapped", "__wrapped__")


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
        if inner is None:
            name = getattr(layer, "__qualname__", type(layer).__qualname__)
            _note(notes, f"the layer {name} around the app was not looked through.")
            return
        layer = inner


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
