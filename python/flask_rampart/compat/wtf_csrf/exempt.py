"""Which views and blueprints are exempt, and which only share the name of one that is.

Flask-WTF goes by module and name. So whoever exempts one lambda exempts all of its module, and with one function that a
decorator without ``functools.wraps`` made, all that it made. Here a view is exempt if it is that view:

1. the function that was given, or what one of them wraps (``__wrapped__``);
2. a view of the same class and name, where a class made the one that was given (``as_view``);
3. or if it has a name that was given as text, ``"module.name"``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Flask

_DEPTH = 64  # of `__wrapped__`: a chain that is longer, or a circle, is cut


class Exemptions:
    """What one ``CSRFProtect`` was told."""

    def __init__(self) -> None:
        #: As text.
        self.names: set[str] = set()
        self.blueprints: set[Blueprint] = set()
        #: By identity, since a view need not be hashable. Held, so that no other has its id.
        self._functions: dict[int, Any] = {}
        self._classes: set[tuple[type, str]] = set()
        #: The names of those that were given as objects.
        self._named: set[str] = set()

    def add(self, view: Any) -> None:
        """Exempts a blueprint, a view, or all of a name."""
        if isinstance(view, Blueprint):
            self.blueprints.add(view)
        elif isinstance(view, str):
            self.names.add(view)
        else:
            found = _innermost(view)
            self._functions[id(found)] = found
            made = _made(view)
            if made is not None:
                self._classes.add(made)
            name = _name(view)
            if name is not None:
                self._named.add(name)

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
            if name in self._named and name is not None and not self._has(view):
                yield name

    def _has(self, view: Any) -> bool:
        if self._functions:
            if id(_innermost(view)) in self._functions:
                return True
            if self._classes and _made(view) in self._classes:
                return True
        return bool(self.names) and _name(view) in self.names


def _innermost(view: Any) -> Any:
    for _ in range(_DEPTH):
        inner = getattr(view, "__wrapped__", None)
        if inner is None:
            break
        view = inner
    return view


def _made(view: Any) -> tuple[type, str] | None:
    """The class that a view is of, and its name there."""
    kind = view if isinstance(view, type) else getattr(view, "view_class", None)
    name = getattr(view, "__name__", None)
    return (kind, name) if isinstance(kind, type) and isinstance(name, str) else None


def _name(view: Any) -> str | None:
    module, name = getattr(view, "__module__", None), getattr(view, "__name__", None)
    return f"{module}.{name}" if module is not None and name is not None else None
