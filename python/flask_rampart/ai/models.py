"""Models: who may ask which.

1. A model is asked for by the names that the app gives, and by no other; each may be another name at the model's
   server;
2. who may ask for it is said by scopes, or by a ``require(...)`` that is asked as one above a view is;
3. a claim of the credential may hold the names that it is good for, and narrows that further. Who shows no credential
   has no claim, and so no model;
4. what does not exist and what the caller may not have are one refusal, ``ai.model``, 404: nobody learns which there
   are.

Who is calling is settled by the ``require`` above the view.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..access import require
from ..access.permission import Permission
from ..checks import Check
from ..errors import ConfigError, Denied
from ..exchange import Exchange
from ..guards import AppState, current_exchange

if TYPE_CHECKING:
    Rule = require | str | Iterable[str] | None


class model:  # noqa: N801 - read as a word in a table of models
    """One model.

    :param upstream: what the model's server calls it; the name that the app gives it, if not given.
    :param scopes: ALL of these; or
    :param require: what is demanded of the caller, without schemes: ``require(roles="staff", policy="ai.large")``.
    :param most_tokens: how many tokens each answer may have at most.
    :param reasons: whether it reasons in tokens that no answer shows, and that are paid for all the same. Where its
        server has not counted them (a client that goes in the middle of a stream), what was reserved stays charged.
        None: yes, if the request asks for reasoning, or if its server has counted such tokens, or told of them, before.
    """

    def __init__(
        self,
        upstream: str | None = None,
        *,
        scopes: str | Iterable[str] | None = None,
        require: require | None = None,
        most_tokens: int | None = None,
        reasons: bool | None = None,
    ) -> None:
        self.upstream = upstream
        if scopes is not None and require is not None:
            raise ConfigError("ai.model(scopes=..., require=...): say the scopes in require(scopes=...).")
        self.demand = _demand(scopes if require is None else require)
        if most_tokens is not None and (isinstance(most_tokens, bool) or most_tokens < 1):
            raise ConfigError("ai.model(most_tokens=...) is a whole number of at least 1.")
        self.most_tokens = most_tokens
        if reasons not in (None, True, False):
            raise ConfigError("ai.model(reasons=...) is True, False or None.")
        self.reasons = reasons
        #: Whether its server has told of reasoning since this process began.
        self.has_reasoned = False


class models:  # noqa: N801 - read as a word beside a guard
    """The models of an endpoint, by the names that clients use.

    :param allow: names, each with who may ask: scopes (``"ai:large"``), a ``require(...)`` without schemes, None for
        everybody whom the view admits, or an :class:`model`.
    :param default: the model of a request that names none; without it, such a request is refused.
    :param claim: a claim of the credential that lists the names it is good for. A credential without that claim is
        good for all; without a credential, none is to be had.
    :raises ConfigError: for a name or demand that cannot be meant.

    >>> models({"small": None, "large": "ai:large"}, default="small").names
    ('small', 'large')
    """

    def __init__(self, allow: Mapping[str, Any], *, default: str | None = None, claim: str | None = None) -> None:
        if not isinstance(allow, Mapping) or not allow:
            raise ConfigError('ai.models({"name": scopes, ...}) takes a dict with at least one model.')
        self._models: dict[str, model] = {}
        for name, rule in allow.items():
            if not isinstance(name, str) or not name.strip():
                raise ConfigError(f"ai.models: {name!r} is no name of a model.")
            if isinstance(rule, model):
                self._models[name] = rule
            else:
                made = model()
                made.demand = _demand(rule)
                self._models[name] = made
        if default is not None and default not in self._models:
            raise ConfigError(f"ai.models(default={default!r}) is none of {', '.join(map(repr, self._models))}.")
        self.default = default
        self.claim = claim
        self._bound: weakref.WeakKeyDictionary[object, dict[str, Check | None]] = weakref.WeakKeyDictionary()

    @property
    def names(self) -> tuple[str, ...]:
        """All names, whoever may ask for them."""
        return tuple(self._models)

    @property
    def demands_something(self) -> bool:
        return self.claim is not None or any(found.demand is not None for found in self._models.values())

    def bind(self, state: AppState, endpoint: str) -> None:
        """:raises ConfigError: for a policy or permission that the app does not have."""
        self._bound[state] = {
            name: None if found.demand is None else Permission.bind([(Permission(found.demand), "")], state, endpoint)
            for name, found in self._models.items()
        }

    def chosen(self, exchange: Exchange, asked: str | None) -> tuple[str, model]:
        """The name and the model that a request gets.

        :raises Denied: ``ai.model``, ``ai.shape``.
        """
        name = self.default if asked is None else asked
        if name is None:
            raise Denied.of("ai.shape", reason="no model")
        if name not in self._models or not self._may(exchange, name):
            raise Denied.of("ai.model", reason="unknown or not allowed")
        return name, self._models[name]

    def visible(self) -> tuple[str, ...]:
        """The names that the current caller may ask for. In a view: what ``/v1/models`` lists.

        :raises ConfigError: if no view of the app is guarded with them.
        """
        exchange = current_exchange()
        if exchange.owner not in self._bound:
            raise ConfigError("ai.models.visible(): no view of this app has an ai.guard(model=...) with these models.")
        return tuple(name for name in self._models if self._may(exchange, name))

    def _may(self, exchange: Exchange, name: str) -> bool:
        if self.claim is not None:
            if exchange.principal is None:
                return False  # else a key that is good for one model were less than no key
            listed = exchange.principal.claims.get(self.claim, self.names)
            if isinstance(listed, str) or not isinstance(listed, (list, tuple)) or name not in listed:
                return False
        check = self._bound[exchange.owner][name]
        if check is None:
            return True
        # What is refused here is not told as what it is, and so not noted either.
        denied = check(exchange)
        if denied is not None and denied.problem.status >= 500:
            raise denied
        return denied is None


def models_of(given: object) -> models:
    """:raises ConfigError: for what is no model."""
    if isinstance(given, models):
        return given
    if isinstance(given, str):
        return models({given: None}, default=given)
    if isinstance(given, (list, tuple)) and given and all(isinstance(name, str) for name in given):
        return models(dict.fromkeys(given))
    raise ConfigError(
        'ai.guard(model=...) is a name, a list of names, or ai.models({"name": scopes, ...}): a body that names any '
        "model it likes is what this is for to prevent."
    )


def _demand(rule: Any) -> require | None:
    if rule is None:
        return None
    demand = rule if isinstance(rule, require) else require(scopes=rule)
    if demand.schemes or demand.optional:
        raise ConfigError("ai.models: who it is is settled above the view, by @require(...); here, what they may.")
    if len(demand.companions) < 2:
        raise ConfigError("ai.models: require() without scopes, roles and so on demands nothing; write None.")
    return demand
