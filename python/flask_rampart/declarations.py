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
decorator above the route: :func:`hidden_over` finds it, to be reported.

Guards are kept in immutable tuples, a new one each time: ``functools.wraps`` and subclasses share
what they copy, so a list would be shared too. What was declared *above* a function is kept apart
from the function, in a weak table, so that no copy of its attributes takes it along. What was put on a
blueprint is kept at the blueprint: its views meet it, and those of the blueprints nested in it.

A guard that asks by itself is met by 1, 3, 4 and 5 alone: where its wrapper is called. Above the route it guards
nothing, so there it is not noted, and reported too.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Blueprint, Flask, current_app, has_request_context
from flask.views import MethodView

from .errors import ConfigError

if TYPE_CHECKING:
    from flask.sansio.blueprints import Blueprint as AnyBlueprint

    from .guards import Guard

T = TypeVar("T")
Guards = tuple["Guard", ...]

ATTRIBUTE = "__rampart_guards__"
MARK = "__rampart_guard__"
"""What every guard has: a guard is told from another decorator by it, where classes of guards are not known yet."""
_BLUEPRINT = "__rampart_blueprint_guards__"
_DEPTH = 64  # of `__wrapped__`: a chain that is longer, or a circle, is cut

_above: weakref.WeakKeyDictionary[Any, Guards] = weakref.WeakKeyDictionary()
_bound: weakref.WeakKeyDictionary[Any, dict[Any, Guards]] = weakref.WeakKeyDictionary()
_inner: weakref.WeakKeyDictionary[Any, Callable[..., Any]] = weakref.WeakKeyDictionary()
_unhashable: dict[int, tuple[Any, dict[Any, Guards]]] = {}  # instances that no weak table takes, kept alive
_beneath: weakref.WeakKeyDictionary[Any, tuple[tuple[str, Callable[[], Any], bool], ...]] = weakref.WeakKeyDictionary()
_MOST_NOTES = 16
_NOT_VIEWS = (Flask, Blueprint)
_MOST_BY_REQUESTS = 16  # of guards that requests note above one function
_asked_by: weakref.WeakKeyDictionary[Any, Guards] = weakref.WeakKeyDictionary()
"""Wrappers of guards that ask by themselves."""
_dispatching: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
"""What stands in the place of a class's ``dispatch_request``, and what did before."""
_OF_RESOURCES = ("flask_restful.Resource.dispatch_request", "flask_restx.resource.Resource.dispatch_request")
"""What puts ``method_decorators`` around methods."""
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
    guards = (*_chain(target), guard)
    if guard.asks_itself:
        wrapper = _wearing(guards, target, _asking(target, guard.ask))
        _asked_by[wrapper] = (guard,)
        # One that is made anew by each request is met by that one alone.
        if not is_known(guard, target) and not has_request_context():
            *_, bottom = layers(target)
            _note(wrapper, target, [bottom], is_above=True)
            changed()
        return wrapper  # type: ignore[return-value]
    demanded = tuple(each for each in guards if not each.asks_itself)
    if is_known(guard, target):
        # What is noted here would be noted again by each request.
        return _wearing(guards, target, _wrapper(target, demanded, demand))  # type: ignore[return-value]
    is_noted = _note_above(target, guard)
    # One layer is enough: the new wrapper has all the guards of the one that it covers.
    call = _inner.get(target, target) if _weak(target) else target
    wrapper = _wearing(guards, target, _wrapper(call, demanded, demand))
    _inner[wrapper] = call
    # What a request wraps for itself is met by that one alone, and it does so again and again.
    if not has_request_context():
        _note_beneath(wrapper, target)
        changed()
    elif is_noted and not _views().isdisjoint(map(id, layers(target))):
        changed()
    return wrapper  # type: ignore[return-value]


def wear(guard: Guard, wrapper: T) -> T:
    """Notes a guard that asks by itself on a wrapper that does so."""
    setattr(wrapper, ATTRIBUTE, (*_chain(wrapper), guard))
    _asked_by[wrapper] = (*_asked_by.get(wrapper, ()), guard)
    if not any(map(inspect.ismethod, layers(wrapper))) and not has_request_context():
        changed()  # what is put around a method of an instance is put there by each request
    return wrapper


def is_known(guard: Guard, target: Any) -> bool:
    """Whether a guard is found on a class already, and is put around a method of one of its instances."""
    bound = next((layer for layer in layers(target) if inspect.ismethod(layer)), None)
    return bound is not None and guard in _of_decorators(type(bound.__self__))


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


_ASKING = _asking(len, len).__code__  # type: ignore[arg-type]


def is_asking(layer: Any) -> bool:
    """Whether a layer of a view is the wrapper of a guard that asks by itself."""
    # By its code: what a wrapper has as attributes, those above it have copied.
    return inspect.isfunction(layer) and layer.__code__ is _ASKING


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
            demand(_of_class(type(self)))
            return dispatch(self, **kwargs)

        async def dispatch_guarded_async(self: Any, **kwargs: Any) -> Any:
            demand(_of_class(type(self)))
            return await dispatch(self, **kwargs)

        replacement = dispatch_guarded_async if inspect.iscoroutinefunction(dispatch) else dispatch_guarded
        functools.update_wrapper(replacement, dispatch)
        _dispatching[replacement] = dispatch
        cls.dispatch_request = replacement  # type: ignore[attr-defined]
    return cls


def declared_on(view: Any, method: str) -> list[tuple[Guard, str]]:
    """The guards of a registered view for an HTTP method, each with the place where it was found.

    The place is ``""`` for the view, or the name of the method of the view class.
    """
    of_view = (*_chain(view), *_noted_above(view))
    found: dict[Guard, str] = dict.fromkeys((each for each in of_view if not each.asks_itself or _asks(each, view)), "")
    cls = view_class(view)
    if cls is not None:
        found.update(dict.fromkeys(_of_class(cls), ""))
        names = ["dispatch_request", method.lower()]
        if method == "HEAD" and not hasattr(cls, "head"):
            names[1] = "get"
        puts_on, calls = _dispatched_by(cls)
        of_method = _of_decorators(cls, {method.lower()})
        for guard in _of_decorators(cls, {method.lower(), names[1]}):
            if guard.asks_itself and not (puts_on and guard in of_method):
                continue  # nobody puts it around this method
            found.setdefault(guard, names[1] if isinstance(cls.method_decorators, Mapping) else "")  # type: ignore[attr-defined]
        for name in names:
            function = inspect.getattr_static(cls, name, None)
            if function is not None:
                for guard in (*_chain(function), *_noted_above(function)):
                    if guard.asks_itself and not (_asks(guard, function) and (calls or name == "dispatch_request")):
                        continue  # nobody asks it, or nobody knows whether this method is called
                    found.setdefault(guard, name)
    return list(found.items())


def _dispatched_by(cls: type) -> tuple[bool, bool]:
    """Whether a view class puts ``method_decorators`` around its methods, and whether it calls the method of a
    request's name: as far as it is known whose ``dispatch_request`` that is. Of a class that says itself how it
    answers, neither."""
    dispatch = getattr(cls, "dispatch_request", None)
    while dispatch in _dispatching:
        dispatch = _dispatching[dispatch]
    if dispatch is MethodView.dispatch_request:
        return False, True
    name = f"{getattr(dispatch, '__module__', '')}.{getattr(dispatch, '__qualname__', '')}"
    resource = getattr(sys.modules.get(name.rsplit(".", 2)[0]), "Resource", None) if name in _OF_RESOURCES else None
    known = resource is not None and dispatch is resource.dispatch_request
    return known, known


def calls_methods(cls: type) -> bool:
    """Whether it is known that a view class answers by the method of a request's name."""
    return _dispatched_by(cls)[1]


def _asks(guard: Guard, view: Any) -> bool:
    """Whether a layer of *view* really asks a guard that asks by itself: attributes are copied, layers are not."""
    functions = (getattr(layer, "__func__", layer) for layer in layers(view))
    return any(guard in _asked_by.get(function, ()) for function in functions if _weak(function))


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


def expand(guards: Iterable[Guard]) -> Guards:
    """Guards with their companions."""
    return tuple(every for guard in guards for every in (*guard.companions, guard))


def view_class(view: Any) -> type | None:
    """The class behind a view made by ``View.as_view``, also through wrappers."""
    for layer in layers(view):
        cls = getattr(layer, "view_class", None)
        if isinstance(cls, type):
            return cls
    return None


def hidden_over(views: Iterable[Any]) -> list[tuple[str, bool]]:
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
            for place, wrapper, is_above in _beneath.get(item, ()) if _weak(item) else ():
                alive = wrapper()
                if alive is None or id(alive) not in seated:
                    found[place, is_above] = None
    return list(found)


def _note_beneath(wrapper: Any, target: Any) -> None:
    """Remembers, at each function that *target* holds out of sight, that a guard stands above."""
    *_, bottom = layers(target)
    _note(wrapper, target, _held(bottom))


def _note(wrapper: Any, target: Any, hidden: Iterable[Any], *, is_above: bool = False) -> None:
    place = f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', repr(type(target)))}"
    for held in hidden:
        if _weak(held):
            notes = _beneath.get(held, ())
            if len(notes) < _MOST_NOTES:
                _beneath[held] = (*notes, (place, weakref.ref(wrapper), is_above))


def _held(bottom: Any) -> Iterator[Any]:
    """The callables inside a callable: what its closure, attributes or partial hold, a few steps deep."""
    seen = {id(bottom)}
    queue = [bottom]
    for _ in range(_DEPTH):
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
            if not callable(held) or id(held) in seen or isinstance(held, _NOT_VIEWS):
                continue
            seen.add(id(held))
            queue.append(held)
            yield held


def layers(view: Any) -> Iterator[Any]:
    """A function, and what it is wrapped round, one below the other."""
    for _ in range(_DEPTH):
        yield view
        view = getattr(view, "__wrapped__", None)
        if view is None:
            return


def _chain(view: Any) -> Guards:
    """The guards of the nearest wrapper of ours at or below *view*."""
    for layer in layers(view):
        guards: Guards = getattr(layer, ATTRIBUTE, ())
        if guards:
            return guards
    return ()


def _of_class(cls: type) -> Guards:
    """The guards of a class and its bases: a subclass is at least as guarded as its parent."""
    guards: list[Guard] = []
    for base in reversed(cls.__mro__):
        # A subclass inherits what guards it, and never what opens its parent.
        own: Guards = base.__dict__.get(ATTRIBUTE, ())
        guards.extend(guard for guard in own if base is cls or not guard.only_opens)
    return tuple(guards)


def _of_decorators(cls: type, methods: Iterable[str] | None = None) -> Guards:
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
            if _weak(instance):
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
        if _weak(layer) and len(noted := _above.get(layer, ())) < most:
            _above[layer] = (*noted, guard)
            is_noted = True
    return is_noted


def _views() -> set[int]:
    """The views of the current app, and what they are wrapped round."""
    return {id(layer) for view in current_app.view_functions.values() for layer in layers(view)}


def _noted_above(view: Any) -> Guards:
    if inspect.ismethod(view):
        instance = view.__self__
        table = _bound.get(instance) if _weak(instance) else _unhashable.get(id(instance), (None, {}))[1]
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
