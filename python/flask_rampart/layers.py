"""Layers: a function and what it is wrapped round, and which guards are written on it.

What a wrapper has as attributes, those above it have copied, as ``functools.wraps`` does. It decides nothing.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .guards import Guard

Guards = tuple["Guard", ...]

ATTRIBUTE = "__rampart_guards__"
"""Where a wrapper of ours, or a class, has its guards."""
DEPTH = 64
"""Of ``__wrapped__``: a chain that is longer, or a circle, is cut."""


def layers(view: Any) -> Iterator[Any]:
    """A function, and what it is wrapped round, one below the other."""
    for _ in range(DEPTH):
        yield view
        view = getattr(view, "__wrapped__", None)
        if view is None:
            return


def chain(view: Any) -> Guards:
    """The guards of the nearest wrapper of ours at or below *view*."""
    for layer in layers(view):
        guards: Guards = getattr(layer, ATTRIBUTE, ())
        if guards:
            return guards
    return ()


def is_weak(target: Any) -> bool:
    """Whether an object can be a key of a weak table."""
    try:
        weakref.ref(target)
        hash(target)
    except TypeError:
        return False
    return True
