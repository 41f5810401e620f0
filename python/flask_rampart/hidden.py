"""Guards that requests do not meet, since they were written where nobody sees them: noted, to be reported.

It decides nothing.
"""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Blueprint, Flask
from werkzeug.local import LocalProxy

from .layers import DEPTH, is_weak, layers
from .view_classes import view_class

_beneath: weakref.WeakKeyDictionary[Any, tuple[tuple[str, Callable[[], Any], bool], ...]] = weakref.WeakKeyDictionary()
_MOST_NOTES = 16
_NOT_VIEWS = (Flask, Blueprint)


def unseen(app: Flask) -> list[str]:
    """What is wrong with where guards were written: each a sentence with the cure."""
    return [
        f"{place}: a guard stands above {_ABOVE[is_above]}"
        for place, is_above in _hidden_over(app.view_functions.values())
    ]


def _hidden_over(views: Iterable[Any]) -> list[tuple[str, bool]]:
    """Places of guards that requests for these views do not meet, and whether each stands above the route itself.

    One that asks by itself does. Any other was put on something that merely holds one of these views inside it. That
    is the mark of a foreign decorator without ``functools.wraps``, put above the route and below the guard: the route
    knows the function, the guard only the foreign wrapper.
    """
    views = list(views)
    seated = {id(layer) for view in views for layer in layers(view)}
    for view in views:
        cls = view_class(view)
        for base in cls.__mro__ if cls else ():
            seated.update(id(layer) for function in vars(base).values() for layer in layers(function))
    found: dict[tuple[str, bool], None] = {}
    for view in views:
        for item in (view, view_class(view)):
            for place, wrapper, is_above in _beneath.get(item, ()) if is_weak(item) else ():
                alive = wrapper()
                if alive is None or id(alive) not in seated:
                    found[place, is_above] = None
    return list(found)


def note_beneath(wrapper: Any, target: Any) -> None:
    """Remembers, at each function that *target* holds out of sight, that a guard stands above."""
    *_, bottom = layers(target)
    note(wrapper, target, held_by(bottom))


def note(wrapper: Any, target: Any, hidden: Iterable[Any], *, is_above: bool = False) -> None:
    place = f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', repr(type(target)))}"
    for held in hidden:
        if is_weak(held):
            notes = _beneath.get(held, ())
            if len(notes) < _MOST_NOTES:
                _beneath[held] = (*notes, (place, weakref.ref(wrapper), is_above))


def held_by(bottom: Any) -> Iterator[Any]:
    """The callables inside a callable: what its closure, attributes or partial hold, a few steps deep."""
    seen = {id(bottom)}
    queue = [bottom]
    for _ in range(DEPTH):
        if not queue:
            return
        item = queue.pop(0)
        inside: list[Any] = [getattr(item, "__func__", None), getattr(item, "__self__", None)]
        code = getattr(item, "__code__", None)
        for name, cell in zip(getattr(code, "co_freevars", ()), getattr(item, "__closure__", None) or (), strict=False):
            # The cell of `super()` is the class that a method is written in, not something it calls.
            if name != "__class__":
                with contextlib.suppress(ValueError):  # an empty cell: a name that is not assigned yet
                    inside.append(cell.cell_contents)
        if isinstance(item, functools.partial):
            inside.append(item.func)
        if not isinstance(item, type):
            inside.extend(getattr(item, "__dict__", {}).values())
            for cls in type(item).__mro__:
                slots = cls.__dict__.get("__slots__", ())
                names = (slots,) if isinstance(slots, str) else slots
                inside.extend(getattr(item, slot, None) for slot in names if not slot.startswith("__"))
        for held in inside:
            # A proxy, such as `request`, cannot be looked into here: there may be nothing behind it yet.
            if issubclass(type(held), LocalProxy) or not callable(held) or id(held) in seen:
                continue
            if isinstance(held, _NOT_VIEWS):
                continue
            seen.add(id(held))
            queue.append(held)
            yield held


_ABOVE = {
    True: "the route and asks where it is called, so requests do not meet it. Put the route on top.",
    False: "a decorator without functools.wraps that stands above the route, so requests do not meet it. Put the route "
    "on top, or add functools.wraps to that decorator.",
}
