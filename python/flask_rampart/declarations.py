"""Where guards are written down, and how they are found again.

A decorator declares: it notes a guard and wraps the view. Nothing is decided here. A guard that was
declared on a function must be found whichever of these the app registered as its view:

1. the wrapper that the decorator returned (the usual order: the route above the guards);
2. the function that the decorator was given (a guard written *above* the route);
3. a foreign wrapper of either, if it keeps ``__wrapped__``, as ``functools.wraps`` does;
4. a view class, one of its bases, or the method that answers, by ``View.as_view``.

The wrapper enforces its guards too, so a foreign decorator without ``functools.wraps`` between the
route and the guard hides nothing. The one place that is out of sight is a guard above such a
decorator above the route: :func:`holds` helps to report it.

Guards are kept in immutable tuples, a new one each time: ``functools.wraps`` and subclasses share
what they copy, so a list would be shared too. What was declared *above* a function is kept apart
from the function, in a weak table, so that no copy of its attributes takes it along.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import ConfigError

if TYPE_CHECKING:
    from .guards import Guard

T = TypeVar("T")
Guards = tuple["Guard", ...]

ATTRIBUTE = "__rampart_guards__"
_DEPTH = 64  # of `__wrapped__`: a chain that is longer, or a circle, is cut

_above: weakref.WeakKeyDictionary[Any, Guards] = weakref.WeakKeyDictionary()
_bound: weakref.WeakKeyDictionary[Any, dict[Any, Guards]] = weakref.WeakKeyDictionary()
_inner: weakref.WeakKeyDictionary[Any, Callable[..., Any]] = weakref.WeakKeyDictionary()
#: Each wrapper that a decorator made, and what it was put on: to report what no route reaches.
wrappers: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def declare(guard: Guard, target: T, demand: Callable[[Guards], None]) -> T:
    """Notes *guard* on *target* and returns what takes its place: a wrapper, or the class itself.

    :param demand: called by the wrapper with its guards, before the view; raises to refuse.
    :raises ConfigError: if *target* cannot be guarded.
    """
    if isinstance(target, type):
        return _declare_on_class(guard, target, demand)  # type: ignore[return-value]
    if isinstance(target, (staticmethod, classmethod)):
        raise ConfigError(f"{guard!r} stands above @{type(target).__name__}; put it below.")
    if not callable(target):
        raise ConfigError(
            f"{guard!r} was put on {target!r}, which is not a view. Write @{guard.name}(...), with parentheses, "
            "above a function, a method or a view class; for a blueprint, rampart.protect(blueprint, ...)."
        )
    guards = (*_chain(target), guard)
    _note_above(target, guard)
    # One layer is enough: the new wrapper has all the guards of the one that it covers.
    call = _inner.get(target, target) if _weak(target) else target
    wrapper = _wrapper(call, guards, demand)
    functools.update_wrapper(wrapper, target)
    setattr(wrapper, ATTRIBUTE, guards)
    _inner[wrapper] = call
    wrappers[wrapper] = target
    return wrapper  # type: ignore[return-value]


def _wrapper(call: Callable[..., Any], guards: Guards, demand: Callable[[Guards], None]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(call):

        async def guarded_async(*args: Any, **kwargs: Any) -> Any:
            demand(guards)
            return await call(*args, **kwargs)

        return guarded_async

    def guarded(*args: Any, **kwargs: Any) -> Any:
        demand(guards)
        return call(*args, **kwargs)

    return guarded


def _declare_on_class(guard: Guard, cls: type, demand: Callable[[Guards], None]) -> type:
    dispatch = getattr(cls, "dispatch_request", None)
    if dispatch is None:
        raise ConfigError(f"{guard!r} was put on {cls.__qualname__}, which is not a flask.views.View.")
    first = ATTRIBUTE not in cls.__dict__
    setattr(cls, ATTRIBUTE, (*cls.__dict__.get(ATTRIBUTE, ()), guard))
    if first:
        # For a class that is reached by other means than a view function that we can see.
        def dispatch_guarded(self: Any, **kwargs: Any) -> Any:
            demand(_of_class(type(self)))
            return dispatch(self, **kwargs)

        async def dispatch_guarded_async(self: Any, **kwargs: Any) -> Any:
            demand(_of_class(type(self)))
            return await dispatch(self, **kwargs)

        replacement = dispatch_guarded_async if inspect.iscoroutinefunction(dispatch) else dispatch_guarded
        functools.update_wrapper(replacement, dispatch)
        cls.dispatch_request = replacement  # type: ignore[attr-defined]
    return cls


def declared_on(view: Any, method: str) -> list[tuple[Guard, str]]:
    """The guards of a registered view for an HTTP method, each with the place where it was found.

    The place is ``""`` for the view, or the name of the method of the view class.
    """
    found: dict[Guard, str] = dict.fromkeys((*_chain(view), *_noted_above(view)), "")
    cls = view_class(view)
    if cls is not None:
        found.update(dict.fromkeys(_of_class(cls), ""))
        names = ["dispatch_request", method.lower()]
        if method == "HEAD" and not hasattr(cls, "head"):
            names[1] = "get"
        for name in names:
            function = inspect.getattr_static(cls, name, None)
            if function is not None:
                for guard in (*_chain(function), *_noted_above(function)):
                    found.setdefault(guard, name)
    return list(found.items())


def view_class(view: Any) -> type | None:
    """The class behind a view made by ``View.as_view``, also through wrappers."""
    for layer in _layers(view):
        cls = getattr(layer, "view_class", None)
        if isinstance(cls, type):
            return cls
    return None


def holds(wrapper: Any, functions: frozenset[int]) -> bool:
    """Whether something that a guard was put on hides one of these functions (by ``id``) inside it.

    That is the mark of a foreign decorator without ``functools.wraps``, put above the route and below
    the guard: the route knows the function, the guard only the foreign wrapper.
    """
    for layer in _layers(wrapper):
        cells = getattr(layer, "__closure__", None) or ()
        held: list[Any] = []
        for cell in cells:
            try:
                held.append(cell.cell_contents)
            except ValueError:  # an empty cell: a name that was never assigned
                continue
        held.extend(getattr(layer, "__dict__", {}).values())
        if isinstance(layer, functools.partial):
            held.append(layer.func)
        if any(id(item) in functions for item in held if callable(item)):
            return True
    return False


def _layers(view: Any) -> Iterator[Any]:
    for _ in range(_DEPTH):
        yield view
        view = getattr(view, "__wrapped__", None)
        if view is None:
            return


def _chain(view: Any) -> Guards:
    """The guards of the nearest wrapper of ours at or below *view*."""
    for layer in _layers(view):
        guards: Guards = getattr(layer, ATTRIBUTE, ())
        if guards:
            return guards
    return ()


def _of_class(cls: type) -> Guards:
    """The guards of a class and its bases: a subclass is at least as guarded as its parent."""
    guards: list[Guard] = []
    for base in reversed(cls.__mro__):
        guards.extend(base.__dict__.get(ATTRIBUTE, ()))
    return tuple(guards)


def _note_above(target: Any, guard: Guard) -> None:
    for layer in _layers(target):
        if inspect.ismethod(layer):
            # A new object at each access: known by its instance and function.
            table = _bound.setdefault(layer.__self__, {})
            table[layer.__func__] = (*table.get(layer.__func__, ()), guard)
            return
        if _weak(layer):
            _above[layer] = (*_above.get(layer, ()), guard)


def _noted_above(view: Any) -> Guards:
    if inspect.ismethod(view):
        table = _bound.get(view.__self__) if _weak(view.__self__) else None
        return table.get(view.__func__, ()) if table else ()
    return _above.get(view, ()) if _weak(view) else ()


def _weak(target: Any) -> bool:
    """Whether an object can be a key of a weak table."""
    try:
        weakref.ref(target)
        hash(target)
    except TypeError:
        return False
    return True
