"""Which views and blueprints are exempt, and which only share the name of one that is.

Flask-WTF goes by module and name. So whoever exempts one lambda exempts all of its module, and with one function that a
decorator without ``functools.wraps`` made, all that it made. Here, too, no view is exempt whose name was not given; but
where a view was given and not a text, it has to be that view as well:

1. the object that was given, or one around it (``__wrapped__``, and the function of a bound method);
2. what is within the one that was given, or another around that, as long as it has the name that was given;
3. a view of the same class, where a class made the one that was given (``as_view``).

A view without a name is exempt by 1 alone.

What was given is known by identity, once, and is not kept alive: an app may exempt a view, or a method or function of
a request, each time anew, as Flask-RESTful's ``method_decorators`` do. Of objects that nothing can refer to weakly,
the first :data:`MOST` of a name are kept, and others of that name are not exempt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any
from weakref import WeakMethod, ref

from flask import Blueprint, Flask

MOST = 256
"""Objects that are kept alive, for each name, of those that nothing can refer to weakly."""

_DEPTH = 64  # of `__wrapped__`: a chain that is longer, or a circle, is cut


class _Held:
    """Objects by identity, without what died."""

    def __init__(self) -> None:
        self._by_key: dict[tuple[int, ...], Callable[[], Any]] = {}
        self._kept = 0

    def add(self, given: Any) -> None:
        key = _key(given)
        if self._found(key, given):
            return
        held = self._by_key

        def forget(dead: object) -> None:
            # By now another object may have its place.
            if held.get(key) is dead:
                held.pop(key, None)

        try:
            held[key] = WeakMethod(given, forget) if isinstance(given, MethodType) else ref(given, forget)
        except TypeError:
            if self._kept < MOST:
                self._kept += 1
                held[key] = lambda: given

    def __contains__(self, view: Any) -> bool:
        return self._found(_key(view), view)

    def __len__(self) -> int:
        return len(self._by_key)

    def _found(self, key: tuple[int, ...], view: Any) -> bool:
        known = self._by_key.get(key)
        return known is not None and _is_same(known(), view)


class _Given:
    """What was given for one name."""

    def __init__(self) -> None:
        #: What has the name, outermost and within, and the classes that made it.
        self.views, self.classes = _Held(), _Held()

    def add(self, view: Any, name: str) -> None:
        for inner in _chain(view, into_methods=False):
            if _name(inner) == name:
                self.views.add(inner)
        made = _made(view)
        if made is not None:
            self.classes.add(made)

    def has(self, view: Any) -> bool:
        made = _made(view)
        return (made is not None and made in self.classes) or _is_in(self.views, view)


class Exemptions:
    """What one ``CSRFProtect`` was told."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self.blueprints: set[Blueprint] = set()
        #: By name, the views that it was given for. For a name that is not in it, every view is meant.
        self._given: dict[str, _Given] = {}
        self._nameless = _Held()

    @property
    def names(self) -> set[str]:
        """Of all that is exempt, as ``"module.name"``. Apps change it: without its name, no view is exempt."""
        return self._names

    @names.setter
    def names(self, names: set[str]) -> None:
        if names is not self._names:  # as it is after `|=`
            self._given.clear()
        self._names = names

    def add(self, view: Any) -> None:
        """Exempts a blueprint, a view, or all of a name."""
        if isinstance(view, Blueprint):
            self.blueprints.add(view)
        elif isinstance(view, str):
            self._given.pop(view, None)
            self._names.add(view)
        elif (name := _name(view)) is None:
            self._nameless.add(view)
        elif name not in self._names:
            given = self._given[name] = _Given()
            given.add(view, name)
            self._names.add(name)
        elif (known := self._given.get(name)) is not None:
            known.add(view, name)

    def has(self, app: Flask, endpoint: str | None, blueprint: str | None) -> bool:
        """Whether a view of *app* is exempt."""
        if self.blueprints and blueprint is not None and app.blueprints.get(blueprint) in self.blueprints:
            return True
        view = app.view_functions.get(endpoint) if endpoint is not None else None
        return view is not None and self._has(view)

    def namesakes(self, app: Flask) -> Iterator[str]:
        """The views that would be exempt by their name alone."""
        for view in app.view_functions.values():
            name = _name(view)
            if name is not None and name in self._names and not self._has(view):
                yield name

    def _has(self, view: Any) -> bool:
        name = _name(view) if self._names else None
        if name is not None and name in self._names:
            given = self._given.get(name)
            if given is None or given.has(view):
                return True
        return _is_in(self._nameless, view)


def _is_in(given: _Held, view: Any) -> bool:
    return len(given) > 0 and any(inner in given for inner in _chain(view, into_methods=True))


def _key(view: Any) -> tuple[int, ...]:
    return (id(view.__self__), id(view.__func__)) if isinstance(view, MethodType) else (id(view),)


def _is_same(one: Any, other: Any) -> bool:
    # Each look at a method makes another object.
    if isinstance(one, MethodType) and isinstance(other, MethodType):
        return one.__self__ is other.__self__ and one.__func__ is other.__func__
    return one is other


def _chain(view: Any, *, into_methods: bool) -> Iterator[Any]:
    """A view and what is within it. The function of a method is within those of all objects of its class."""
    for _ in range(_DEPTH):
        yield view
        if isinstance(view, MethodType):
            inner = view.__func__ if into_methods else None
        else:
            inner = getattr(view, "__wrapped__", None)
        if inner is None:
            break
        view = inner


def _made(view: Any) -> type | None:
    """The class that a view is of."""
    kind = view if isinstance(view, type) else getattr(view, "view_class", None)
    return kind if isinstance(kind, type) else None


def _name(view: Any) -> str | None:
    module, name = getattr(view, "__module__", None), getattr(view, "__name__", None)
    return f"{module}.{name}" if module is not None and name is not None else None
