"""Classes of views: which guards stand on one, its bases and its methods, and how it answers.

It decides nothing.
"""

from __future__ import annotations

import inspect
import sys
import weakref
from collections.abc import Iterable, Mapping, Set
from types import CodeType
from typing import TYPE_CHECKING, Any

from flask.views import MethodView, View

from .assigning import assigned
from .layers import ATTRIBUTE, Guards, layers

if TYPE_CHECKING:
    from .guards import Guard

MARK = "__rampart_guard__"
"""What every guard has: a guard is told from another decorator by it, where classes of guards are not known yet."""

dispatching: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
"""What stands in the place of a class's ``dispatch_request``, and what did before."""
_OF_RESOURCES = ("flask_restful.Resource.dispatch_request", "flask_restx.resource.Resource.dispatch_request")
"""What puts ``method_decorators`` around methods."""
_OF_AS_VIEW = frozenset(each for each in View.as_view.__func__.__code__.co_consts if isinstance(each, CodeType))  # type: ignore[attr-defined]
"""The code of the functions that ``as_view`` makes: anybody may have given another function a ``view_class``."""
_MAKING = ("__new__", "__getattribute__")
OF_INSTANCES = frozenset(("__class__", "method_decorators"))
"""What else decides by what an instance answers, beside its methods."""


def view_class(view: Any) -> type | None:
    """The class behind a view made by ``View.as_view``, also through wrappers."""
    for layer in layers(view):
        cls = getattr(layer, "view_class", None)
        if isinstance(cls, type):
            return cls
    return None


def read(view: Any, method: str) -> Reading | None:
    """What the class of a view is like, as far as that tells who answers a method; None for a view without one, and for
    a class that is never twice the same, as one whose method is a ``partialmethod``."""
    cls = view_class(view)
    if cls is None:
        return None
    found = Reading(next(layer for layer in layers(view) if getattr(layer, "view_class", None) is cls), cls, method)
    return None if found.is_stale() else found


class Reading:
    """What a class of views had when it was read: a class may change while requests come."""

    __slots__ = ("_cls", "_dispatch", "_function", "_is_for_head", "_lists", "_name", "_view")

    def __init__(self, view: Any, cls: Any, method: str) -> None:
        self._view = view
        self._cls = cls
        self._is_for_head = method == "HEAD" and not hasattr(cls, "head")
        self._name = "get" if self._is_for_head else method.lower()
        self._dispatch = getattr(cls, "dispatch_request", None)
        self._function = getattr(cls, self._name, None)
        self._lists = _copied(getattr(cls, "method_decorators", None))

    def is_stale(self) -> bool:
        """Whether the class would be read otherwise by now. Each request asks."""
        cls = self._cls
        return (
            self._view.view_class is not cls
            or cls.dispatch_request is not self._dispatch
            or getattr(cls, self._name, None) is not self._function
            or (self._is_for_head and hasattr(cls, "head"))
            or _copied(getattr(cls, "method_decorators", None)) != self._lists
        )


def _copied(lists: Any) -> Any:
    if lists is None or isinstance(lists, (str, bytes)):
        return lists
    if isinstance(lists, (list, tuple)):
        return list(lists)
    if isinstance(lists, Mapping):
        return {name: list(items) for name, items in lists.items() if isinstance(items, (list, tuple))}
    return lists


def answers_as_written(view: Any, cls: type, names: Iterable[str]) -> bool:
    """Whether a view has an instance of a class answer, by its methods of these names as the class has them.

    As far as that is seen without a request: the view is what Flask's ``as_view`` made, the class makes its instances
    and looks up their attributes as classes do, and no function of it sets one of these names. Of a class that is
    asked for a method that it may lack, as ``MethodView`` asks for ``head``, nothing else gives it one.

    :param names: those that are looked up on an instance, also those that the class lacks.
    """
    names = {*names}
    if hasattr(cls, "__getattr__") and not all(hasattr(cls, name) for name in names) and dispatched_by(cls)[1]:
        return False
    names |= OF_INSTANCES
    own = [name for name in _MAKING if getattr(cls, name) is not getattr(object, name)]
    if own or type(cls).__call__ is not type.__call__:
        return False
    for layer in layers(view):
        if inspect.isfunction(layer) and layer.__code__ in _OF_AS_VIEW:
            held = inspect.getclosurevars(layer).nonlocals
            instance = held.get("self")
            made = getattr(held.get("view"), "view_class", None) if instance is None else type(instance)
            is_set = not names.isdisjoint(getattr(instance, "__dict__", ()))
            return made is cls and not is_set and sets(cls, names) is None
    return False


def sets(cls: type, names: Set[str]) -> str | None:
    """Where a function of a class sets an attribute of one of these names on its instances, or may; None if none does.

    >>> from flask.views import MethodView
    >>> class Things(MethodView):
    ...     def __init__(self):
    ...         self.get = None
    >>> sets(Things, {"get"})
    'Things.__init__ sets .get'
    """
    for base in cls.__mro__:
        for each in vars(base).values():
            for layer in layers(each):
                code = getattr(getattr(layer, "__func__", layer), "__code__", None)
                name = assigned(code, names) if isinstance(code, CodeType) else None
                if name is not None:
                    return f"{getattr(layer, '__qualname__', base.__qualname__)} sets .{name}"
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
    found = expand(item for item in given if getattr(item, MARK, False) is True and _is_put_around(item))
    # A subclass inherits what guards it, and never what opens its parent.
    is_own = "method_decorators" in cls.__dict__
    return tuple(guard for guard in found if is_own or not guard.only_opens)


def _is_put_around(item: Any) -> bool:
    """Whether what is called with a method of a view is a guard, and guards it: one that asks by itself, and is called
    in a way of its own, may have left it as it is."""
    if isinstance(item, type) or not item.asks_itself:
        return not isinstance(item, type)
    return MARK in vars(next(base for base in type(item).__mro__ if "__call__" in vars(base)))


def expand(guards: Iterable[Guard]) -> Guards:
    """Guards with their companions."""
    return tuple(every for guard in guards for every in (*guard.companions, guard))
