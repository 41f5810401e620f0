"""Classes of views: which guards stand on one, its bases and its methods, and how it answers.

It decides nothing.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flask.views import MethodView

from .layers import ATTRIBUTE, Guards, layers

if TYPE_CHECKING:
    from .guards import Guard

MARK = "__rampart_guard__"
"""What every guard has: a guard is told from another decorator by it, where classes of guards are not known yet."""

dispatching: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
"""What stands in the place of a class's ``dispatch_request``, and what did before."""
_OF_RESOURCES = ("flask_restful.Resource.dispatch_request", "flask_restx.resource.Resource.dispatch_request")
"""What puts ``method_decorators`` around methods."""


def view_class(view: Any) -> type | None:
    """The class behind a view made by ``View.as_view``, also through wrappers."""
    for layer in layers(view):
        cls = getattr(layer, "view_class", None)
        if isinstance(cls, type):
            return cls
    return None


def dispatched_by(cls: type) -> tuple[bool, bool]:
    """Whether a view class puts ``method_decorators`` around its methods, and whether it calls the method of a
    request's name: as far as it is known whose ``dispatch_request`` that is. Of a class that says itself how it
    answers, neither."""
    dispatch = getattr(cls, "dispatch_request", None)
    while dispatch in dispatching:
        dispatch = dispatching[dispatch]
    if dispatch is MethodView.dispatch_request:
        return False, True
    name = f"{getattr(dispatch, '__module__', '')}.{getattr(dispatch, '__qualname__', '')}"
    resource = getattr(sys.modules.get(name.rsplit(".", 2)[0]), "Resource", None) if name in _OF_RESOURCES else None
    known = resource is not None and dispatch is resource.dispatch_request
    return known, known


def of_class(cls: type) -> Guards:
    """The guards of a class and its bases: a subclass is at least as guarded as its parent."""
    guards: list[Guard] = []
    for base in reversed(cls.__mro__):
        # A subclass inherits what guards it, and never what opens its parent.
        own: Guards = base.__dict__.get(ATTRIBUTE, ())
        guards.extend(guard for guard in own if base is cls or not guard.only_opens)
    return tuple(guards)


def of_decorators(cls: type, methods: Iterable[str] | None = None) -> Guards:
    """The guards in ``method_decorators`` of a resource.

    :param methods: where they are said by method, those of these alone, in lower case.
    """
    given = getattr(cls, "method_decorators", ())
    if isinstance(given, Mapping):
        # Flask-RESTful itself puts what is said of "get" around no HEAD, which the same method answers.
        chosen = [items for name, items in given.items() if methods is None or name in methods]
        given = [item for items in chosen if isinstance(items, (list, tuple)) for item in items]
    elif not isinstance(given, (list, tuple)):
        # Made by each instance, say: its guards are found when they are put around a method.
        return ()
    found = expand(item for item in given if getattr(item, MARK, False) is True and not isinstance(item, type))
    # A subclass inherits what guards it, and never what opens its parent.
    is_own = "method_decorators" in cls.__dict__
    return tuple(guard for guard in found if is_own or not guard.only_opens)


def expand(guards: Iterable[Guard]) -> Guards:
    """Guards with their companions."""
    return tuple(every for guard in guards for every in (*guard.companions, guard))
