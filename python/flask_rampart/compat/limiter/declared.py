"""What is declared where: limits of functions and blueprints, and exemptions.

Functions are told apart by what they are, and not by their names: what a factory makes twice is two views. Whatever was
wrapped round one with ``functools.wraps`` is the same one. Blueprints are told apart so, too, under whichever name they
are registered.
"""

from __future__ import annotations

import inspect
import sys
import zlib
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

from flask import Flask, has_request_context
from flask.sansio.blueprints import Blueprint

from ...view_classes import answers_as_written, dispatched_by, view_class
from .constants import ALL, ExemptionScope
from .definitions import Limit, RouteLimit

Function = Callable[..., Any]


class Declared:
    """One extension's.

    :param key_func: by whom the extension counts, where a limit does not say it.
    """

    def __init__(self, key_func: Callable[[], str]) -> None:
        self._key_func = key_func
        #: Key functions by what they are called, in the order in which limits with them were declared.
        self._key_functions: dict[str, list[Callable[[], str]]] = {}
        self._functions: WeakKeyDictionary[Any, list[RouteLimit]] = WeakKeyDictionary()
        self._exempt: WeakKeyDictionary[Any, ExemptionScope] = WeakKeyDictionary()
        self._blueprints: dict[Blueprint, list[RouteLimit]] = {}
        self._exempt_blueprints: dict[Blueprint, ExemptionScope] = {}
        #: Changes with each declaration: what was made of those before is made anew.
        self.version = 0

    def name(self, limit: Limit) -> None:
        """Notes which key function a limit has, as a part of what its counters are called.

        Two functions may have one name, as all lambdas of a module have, so they are numbered: when limits are
        declared, which is alike in each worker. A number by what a request meets would let a client choose its
        counter. A limit that is declared in a request has the place of its function instead, as no number would be the
        same again.
        """
        function = limit.key_function
        if function is not None and function is not self._key_func:
            name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', 'function')}"
            if has_request_context():
                limit.counted_by = f"{name}@{_place(function)}"
            else:
                known = self._key_functions.setdefault(name, [])
                if function not in known:
                    known.append(function)
                number = known.index(function)
                limit.counted_by = f"{name}:{number}" if number else name
        metas: Iterable[Any] = limit.meta_limits or ()
        for meta in metas:
            self.name(meta)

    def limit_function(self, function: Function, limit: RouteLimit) -> Function:
        """Puts a limit on a function.

        :return: the one that it is known as.
        """
        inner = innermost(function)
        limits = self._functions.setdefault(inner, [])
        if limit not in limits:
            # What stands in `method_decorators` comes with each request.
            limits.append(limit)
            self.version += 1
        return inner

    def limit_blueprint(self, blueprint: Blueprint, limit: RouteLimit) -> None:
        """Puts a limit on a blueprint's views."""
        limits = self._blueprints.setdefault(blueprint, [])
        if limit not in limits:
            limits.append(limit)
        self.version += 1

    def exempt_function(self, function: Function, flags: ExemptionScope) -> None:
        """Takes a view out of what *flags* names."""
        self._exempt[innermost(function)] = flags
        self.version += 1

    def exempt_blueprint(self, blueprint: Blueprint, flags: ExemptionScope) -> None:
        """Takes a blueprint's views out of what *flags* names."""
        self._exempt_blueprints[blueprint] = flags
        self.version += 1

    def of_function(self, function: Function) -> list[RouteLimit]:
        """A function's own limits. An exemption without flags takes out of them, too."""
        if self._exempt.get(function, ExemptionScope.NONE) & ALL == ALL:
            return []
        return self._functions.get(function, [])

    def of_blueprints(self, app: Flask, path: str | None) -> list[RouteLimit]:
        """The limits of a blueprint and of those above it; none where it is exempt without flags.

        :param path: its name, with the names of those above it.
        """
        family = _family(app, path)
        if not family:
            return []
        this = family[0]
        flags = self._exempt_blueprints.get(this, ExemptionScope.NONE)
        if flags & ALL == ALL:
            return []
        own = self._blueprints.get(this, [])
        if flags & ExemptionScope.ANCESTORS or (own and all(limit.override_defaults for limit in own)):
            return own
        above = [
            limit
            for blueprint in family[1:]
            if not self._exempt_blueprints.get(blueprint, ExemptionScope.NONE) & ExemptionScope.DESCENDENTS
            for limit in self._blueprints.get(blueprint, [])
        ]
        return [*own, *above]

    def exemption(self, app: Flask, view: Function | None, path: str | None) -> ExemptionScope:
        """What a view is out of: by itself, by its blueprint, and by those above that say so for all below."""
        flags = ExemptionScope.NONE if view is None else self._exempt.get(innermost(view), ExemptionScope.NONE)
        for nth, blueprint in enumerate(_family(app, path)):
            said = self._exempt_blueprints.get(blueprint, ExemptionScope.NONE)
            if nth == 0 or said & ExemptionScope.DESCENDENTS:
                flags |= said & ~ExemptionScope.ANCESTORS
        return flags

    def of_view(self, view: Function | None, method: str) -> Function | None:
        """The function that is surely called for a view's requests and has limits of its own; None if none has."""
        if view is None:
            return None
        inner = innermost(view)
        if self._functions.get(inner):
            return inner
        # The method of a view class, where it is known that it is called: what is asked there is not asked before.
        kind = view_class(view)
        if kind is None or not dispatched_by(kind)[1]:
            return None
        word = method.lower()
        if word == "head" and not hasattr(kind, "head"):
            word = "get"
        found = getattr(kind, word, None)
        if found is None:
            return None
        inner = innermost(found)
        names = (word, method.lower(), "dispatch_request")
        if not self._functions.get(inner) or not answers_as_written(view, kind, names):
            return None
        return inner


def innermost(function: Function) -> Function:
    """What a function is, whatever is wrapped round it."""
    inner = inspect.unwrap(function)
    # Each look at a method makes another object of it.
    return getattr(inner, "__func__", inner)  # type: ignore[no-any-return]


def _place(function: Callable[[], str]) -> str:
    """Where a function is written, which is the same whenever it is made."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if code is None:
        return ""
    if sys.version_info >= (3, 11):
        columns = [column for _, _, column, _ in code.co_positions() if column]
        return f"{code.co_firstlineno}.{min(columns, default=0)}"
    # Here nothing says the column: of two in one line, what they do tells which is which.
    does = zlib.crc32(
        b"\0".join((code.co_code, *map(str.encode, (*code.co_names, *code.co_varnames, *code.co_freevars))))
    )
    return f"{code.co_firstlineno}.{does:08x}"


def _family(app: Flask, path: str | None) -> list[Blueprint]:
    """A blueprint and those above it, nearest first."""
    names = path.split(".") if path else []
    paths: Iterable[str] = (".".join(names[:length]) for length in range(len(names), 0, -1))
    return [app.blueprints[one] for one in paths if one in app.blueprints]
