"""Policies: whether somebody may do something with one object.

A policy is a function of the app's, ``(principal, ...) -> bool``, sync or async. It is asked

1. by ``require(policy="doc.edit")``, before the view, with the path's arguments as keywords;
2. by ``rampart.authorize("doc.edit", document)`` and ``rampart.may("doc.edit", document)``, in the view.

``True`` admits and ``False`` refuses. Anything else is a mistake and refuses, and so does what it raises: a function
that forgot its ``return`` never admits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

from flask import current_app
from werkzeug.exceptions import HTTPException

from ..checks import unreadable
from ..errors import ConfigError, Denied
from ..exchange import Exchange, Principal
from ..guards import AppState, current_exchange
from ..readers import nearest
from ..stores import StoreError
from ..waiting import settle
from .schemes import Schemes

Policy = Callable[..., Any]
P = TypeVar("P", bound=Policy)


class Policies:
    """The policies of an app, by name."""

    def __init__(self) -> None:
        self._functions: dict[str, Policy] = {}

    def add(self, name: str, function: Policy) -> None:
        """Declares one.

        :raises ConfigError: if there is one of this name.
        """
        if name in self._functions:
            raise ConfigError(f"There are two policies {name!r}: {_place(self._functions[name])}, {_place(function)}.")
        self._functions[name] = function

    def check(self, name: str) -> None:
        """Refuses a name that no policy has.

        :raises ConfigError: with the nearest name.
        """
        if name not in self._functions:
            raise ConfigError(
                f"{name!r} is not a policy: declare it by @rampart.policy({name!r})."
                f"{nearest(name, list(self._functions))}"
            )

    def check_arguments(self, name: str, state: AppState, endpoint: str) -> None:
        """Refuses a policy that cannot take the arguments of a view's path.

        :raises ConfigError: says which are given.
        """
        app = state.app
        # What these functions add or take away cannot be seen from the rule.
        if endpoint not in app.view_functions or any(app.url_value_preprocessors.values()):
            return
        function = self._functions[name]
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            return
        for rule in app.url_map.iter_rules(endpoint):
            given = sorted(rule.arguments)
            try:
                signature.bind(None, **dict.fromkeys(given))
            except TypeError as error:
                raise ConfigError(
                    f"{endpoint}: the policy {name!r} is called with (principal, {', '.join(f'{g}=' for g in given)}) "
                    f"for {rule.rule}, and takes {signature}: {error}. Add **_ for what it does not need."
                ) from None

    def admits(self, name: str, principal: Principal, objects: tuple[Any, ...], more: Mapping[str, Any]) -> bool:
        """What the policy says.

        :raises TypeError: if it says anything but True or False.
        """
        answer = settle(self._functions[name], principal, *objects, **more)
        if answer is True or answer is False:
            return bool(answer)
        raise TypeError(f"the policy {name!r} must return True or False, not {type(answer).__name__}")


def may(name: str, /, *objects: Any, **more: Any) -> bool:
    """Whether the policy admits the current principal; False where there is none. See ``Rampart.may``."""
    exchange, policies = _current(name)
    principal = exchange.principal
    return principal is not None and _ask(exchange, policies, name, principal, objects, more)


def authorize(name: str, /, *objects: Any, **more: Any) -> None:
    """Refuses unless the policy admits the current principal. See ``Rampart.authorize``."""
    exchange, policies = _current(name)
    principal = exchange.principal
    schemes: Schemes = exchange.owner.services[Schemes]  # type: ignore[attr-defined]
    if principal is None:
        challenges = (field for scheme in schemes.values() for field in scheme.challenge.fields())
        _refuse(exchange, Denied.of("auth.missing", reason=f"policy {name}", headers=tuple(dict.fromkeys(challenges))))
    if not _ask(exchange, policies, name, principal, objects, more):
        scheme = schemes.get(principal.kind)
        headers = scheme.challenge.fields("insufficient_scope") if scheme is not None else ()
        _refuse(exchange, Denied.of("auth.policy", reason=name, headers=headers))


def _current(name: str) -> tuple[Exchange, Policies]:
    exchange = current_exchange()
    policies: Policies = exchange.owner.services[Policies]  # type: ignore[attr-defined]
    policies.check(name)
    return exchange, policies


def _ask(
    exchange: Exchange,
    policies: Policies,
    name: str,
    principal: Principal,
    objects: tuple[Any, ...],
    more: Mapping[str, Any],
) -> bool:
    try:
        return policies.admits(name, principal, objects, more)
    except HTTPException:
        raise  # said on purpose, such as abort(404) for what must not be known to exist
    except StoreError as error:
        _refuse(exchange, unreadable(exchange, error))
    except Exception as error:
        current_app.logger.exception("The policy %r failed; the request is refused (request %s).", name, exchange.id)
        _refuse(exchange, Denied.of("guard.failed", reason=type(error).__name__))


def _refuse(exchange: Exchange, denied: Denied) -> NoReturn:
    raise exchange.refuse(denied) from None


def _place(function: Policy) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
