"""Where guards are written down, and how they are found again.

A decorator declares: it notes a guard and wraps the view. Nothing is decided here. A guard that was
declared on a function must be found whichever of these the app registered as its view:

1. the wrapper that the decorator returned (the usual order: the route above the guards);
2. the function that the decorator was given (a guard written *above* the route);
3. a foreign wrapper of either, if it keeps ``__wrapped__``, as ``functools.wraps`` does;
4. a view class, one of its bases, or the method that answers, by ``View.as_view``;
5. an item of ``method_decorators``, which resources of Flask-RESTful and Flask-RESTX put around the method that
   answers, anew for each request.

The wrapper enforces its guards too, so a foreign decorator without ``functools.wraps`` between the
route and the guard hides nothing. The one place that is out of sight is a guard above such a
decorator above the route: ``hidden`` finds it, to be reported.

Guards are kept in immutable tuples, a new one each time: ``functools.wraps`` and subclasses share
what they copy, so a list would be shared too. What was declared *above* a function is kept apart
from the function, in a weak table, so that no copy of its attributes takes it along. What was put on a
blueprint is kept at the blueprint: its views meet it, and those of the blueprints nested in it.

A guard that asks by itself is met by 1, 3, 4 and 5 alone: where its wrapper is called. Above the route it guards
nothing, so there it is not noted, and reported too.
"""

from __future__ import annotations

import functools
import inspect
import sys
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Flask, current_app, has_request_context

from .errors import ConfigError
from .hidden import note, note_beneath
from .layers import ATTRIBUTE, Guards, chain, is_weak, layers
from .view_classes import answers_as_written, dispatched_by, dispatching, expand, of_class, of_decorators, view_class

if TYPE_CHECKING:
    from flask.sansio.blueprints import Blueprint as AnyBlueprint

    from .guards import Guard

T = TypeVar("T")

_BLUEPRINT = "__rampart_blueprint_guards__"

_above: weakref.WeakKeyDictionary[Any, Guards] = weakref.WeakKeyDictionary()
_bound: weakref.WeakKeyDictionary[Any, dict[Any, Guards]] = weakref.WeakKeyDictionary()
_inner: weakref.WeakKeyDictionary[Any, Callable[..., Any]] = weakref.WeakKeyDictionary()
_unhashable: dict[int, tuple[Any, dict[Any, Guards]]] = {}  # instances that no weak table takes, kept alive
_MOST_BY_REQUESTS = 16  # of guards that requests note above one function
_asked_by: weakref.WeakKeyDictionary[Any, Guards] = weakref.WeakKeyDictionary()
"""Wrappers of guards that ask by themselves."""
_epoch = 0


def epoch() -> int:
    """A number that moves whenever a guard is declared: plans made before are made anew."""
    return _epoch


def changed() -> None:
    """Moves :func:`epoch`."""
    global _epoch
    _epoch += 1


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
    guards = (*chain(target), guard)
    if guard.asks_itself:
        wrapper = _wearing(guards, target, _asking(target, guard.ask))
        _asked_by[wrapper] = (guard,)
        # One that is made anew by each request is met by that one alone.
        if not is_known(guard, target) and not has_request_context():
            *_, bottom = layers(target)
            note(wrapper, target, [bottom], is_above=True)
            changed()
        return wrapper  # type: ignore[return-value]
    demanded = tuple(each for each in guards if not each.asks_itself)
    if is_known(guard, target):
        # What is noted here would be noted again by each request.
        return _wearing(guards, target, _wrapper(target, demanded, demand))  # type: ignore[return-value]
    is_noted = _note_above(target, guard)
    # One layer is enough: the new wrapper has all the guards of the one that it covers.
    call = _inner.get(target, target) if is_weak(target) else target
    wrapper = _wearing(guards, target, _wrapper(call, demanded, demand))
    _inner[wrapper] = call
    # What a request wraps for itself is met by that one alone, and it does so again and again.
    if not has_request_context():
        note_beneath(wrapper, target)
        changed()
    elif is_noted and not _views().isdisjoint(map(id, layers(target))):
        changed()
    return wrapper  # type: ignore[return-value]


def wear(guard: Guard, wrapper: T) -> T:
    """Notes a guard that asks by itself on a wrapper that does so."""
    setattr(wrapper, ATTRIBUTE, (*chain(wrapper), guard))
    _asked_by[wrapper] = (*_asked_by.get(wrapper, ()), guard)
    if not any(map(inspect.ismethod, layers(wrapper))) and not has_request_context():
        changed()  # what is put around a method of an instance is put there by each request
    return wrapper


def is_known(guard: Guard, target: Any) -> bool:
    """Whether a guard is found on a class already, and is put around a method of one of its instances."""
    bound = next((layer for layer in layers(target) if inspect.ismethod(layer)), None)
    return bound is not None and guard in of_decorators(type(bound.__self__))


def _wearing(guards: Guards, target: Any, wrapper: Callable[..., Any]) -> Callable[..., Any]:
    functools.update_wrapper(wrapper, target)
    setattr(wrapper, ATTRIBUTE, guards)
    return wrapper


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


def _asking(call: Callable[..., Any], ask: Callable[[], None]) -> Callable[..., Any]:
    is_async = inspect.iscoroutinefunction(call)

    def guarded(*args: Any, **kwargs: Any) -> Any:
        # Outside the event loop of an async view: what is asked may have to wait for one of its own.
        ask()
        return current_app.ensure_sync(call)(*args, **kwargs) if is_async else call(*args, **kwargs)

    return guarded


async def _nothing() -> None:
    """What is only wrapped, for the code of the wrappers."""


_ASKING = _asking(len, len).__code__  # type: ignore[arg-type]
_OURS = {_ASKING, *(_wrapper(call, (), lambda _: None).__code__ for call in (len, _nothing))}


def is_asking(layer: Any) -> bool:
    """Whether a layer of a view is the wrapper of a guard that asks by itself."""
    # By its code: what a wrapper has as attributes, those above it have copied.
    return inspect.isfunction(layer) and layer.__code__ is _ASKING


def is_ours(layer: Any) -> bool:
    """Whether a layer of a view is a wrapper of ours: it calls what is below it, or raises."""
    return inspect.isfunction(layer) and layer.__code__ in _OURS


def asked_by(layer: Any) -> Guards:
    """The guards that a layer of a view asks, of those that ask by themselves."""
    return _asked_by.get(layer, ()) if is_weak(layer) else ()


def _declare_on_class(guard: Guard, cls: type, demand: Callable[[Guards], None]) -> type:
    dispatch = getattr(cls, "dispatch_request", None)
    if dispatch is None:
        raise ConfigError(f"{guard!r} was put on {cls.__qualname__}, which is not a flask.views.View.")
    if guard.asks_itself:
        raise ConfigError(
            f"{guard!r} was put on {cls.__qualname__}: write decorators = [{guard!r}] into the class, or above "
            "a method."
        )
    first = ATTRIBUTE not in cls.__dict__
    setattr(cls, ATTRIBUTE, (*cls.__dict__.get(ATTRIBUTE, ()), guard))
    changed()
    if first:
        # For a class that is reached by other means than a view function that we can see.
        def dispatch_guarded(self: Any, **kwargs: Any) -> Any:
            demand(of_class(type(self)))
            return dispatch(self, **kwargs)

        async def dispatch_guarded_async(self: Any, **kwargs: Any) -> Any:
            demand(of_class(type(self)))
            return await dispatch(self, **kwargs)

        replacement = dispatch_guarded_async if inspect.iscoroutinefunction(dispatch) else dispatch_guarded
        functools.update_wrapper(replacement, dispatch)
        dispatching[replacement] = dispatch
        cls.dispatch_request = replacement  # type: ignore[attr-defined]
    return cls


def declared_on(view: Any, method: str) -> list[tuple[Guard, str]]:
    """The guards of a registered view for an HTTP method, each with the place where it was found.

    The place is ``""`` for the view, or the name of the method of the view class. What is not asked for that method
    (``Guard.unasked``) is not there.
    """
    of_view = (*chain(view), *_noted_above(view))
    found: dict[Guard, str] = dict.fromkeys((each for each in of_view if not each.asks_itself or _asks(each, view)), "")
    cls = view_class(view)
    if cls is not None:
        found.update(dict.fromkeys(of_class(cls), ""))
        names = ["dispatch_request", method.lower()]
        if method == "HEAD" and not hasattr(cls, "head"):
            names[1] = "get"
        of_lists = of_decorators(cls, {method.lower(), names[1]})
        functions = {name: inspect.getattr_static(cls, name, None) for name in names}
        of_functions = {
            name: (*chain(each), *_noted_above(each)) for name, each in functions.items() if each is not None
        }
        # Who asks by itself is believed to be called only where that is seen.
        is_asked = any(guard.asks_itself for guards in (of_lists, *of_functions.values()) for guard in guards)
        is_read = is_asked and answers_as_written(view, cls, {*names, method.lower()})
        puts_on, calls = dispatched_by(cls) if is_read else (False, False)
        of_method = of_decorators(cls, {method.lower()})
        for guard in of_lists:
            if guard.asks_itself and not (puts_on and guard in of_method):
                continue  # nobody puts it around this method
            is_said_by_method = isinstance(getattr(cls, "method_decorators", None), Mapping)
            found.setdefault(guard, names[1] if is_said_by_method else "")
        for name, guards in of_functions.items():
            is_called = calls or (is_read and name == "dispatch_request")
            for guard in guards:
                if guard.asks_itself and not (is_called and _asks(guard, functions[name])):
                    continue  # nobody asks it, or nobody knows whether this method is called
                found.setdefault(guard, name)
    return [(guard, place) for guard, place in found.items() if method not in guard.unasked]


def _asks(guard: Guard, view: Any) -> bool:
    """Whether a layer of *view* really asks a guard that asks by itself: attributes are copied, layers are not."""
    functions = (getattr(layer, "__func__", layer) for layer in layers(view))
    return any(guard in asked_by(function) for function in functions)


def protect_blueprint(blueprint: AnyBlueprint, guards: Guards) -> None:
    """Puts guards on every view of a blueprint and of those nested in it."""
    blueprint.__dict__[_BLUEPRINT] = (*_of_blueprint(blueprint), *expand(guards))
    changed()


def declared_around(app: Flask, endpoint: str) -> Guards:
    """The guards of the blueprints that a view is in, the outermost first."""
    found: list[Guard] = []
    path = endpoint.split(".")[:-1]
    for length in range(1, len(path) + 1):
        blueprint = app.blueprints.get(".".join(path[:length]))
        if blueprint is not None:
            found.extend(_of_blueprint(blueprint))
    return tuple(found)


def _of_blueprint(blueprint: AnyBlueprint) -> Guards:
    guards: Guards = blueprint.__dict__.get(_BLUEPRINT, ())
    return guards


def _note_above(target: Any, guard: Guard) -> bool:
    """Notes a guard at what it stands above; False where requests have noted enough there.

    A request notes as well: it may make the views of another app.
    """
    most = _MOST_BY_REQUESTS if has_request_context() else sys.maxsize
    is_noted = False
    for layer in layers(target):
        if inspect.ismethod(layer):
            # A new object at each access: known by its instance and function.
            instance = layer.__self__
            if is_weak(instance):
                table = _bound.setdefault(instance, {})
            elif id(instance) in _unhashable or len(_unhashable) < most:
                table = _unhashable.setdefault(id(instance), (instance, {}))[1]
            else:
                return is_noted
            noted = table.get(layer.__func__, ())
            if len(noted) < most:
                table[layer.__func__] = (*noted, guard)
                is_noted = True
            return is_noted
        if is_weak(layer) and len(noted := _above.get(layer, ())) < most:
            _above[layer] = (*noted, guard)
            is_noted = True
    return is_noted


def _views() -> set[int]:
    """The views of the current app, and what they are wrapped round."""
    return {id(layer) for view in current_app.view_functions.values() for layer in layers(view)}


def _noted_above(view: Any) -> Guards:
    if inspect.ismethod(view):
        instance = view.__self__
        table = _bound.get(instance) if is_weak(instance) else _unhashable.get(id(instance), (None, {}))[1]
        return table.get(view.__func__, ()) if table else ()
    return _above.get(view, ()) if is_weak(view) else ()
