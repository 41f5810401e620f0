"""Asks the limits of one view, for each request: which of them count it, by which key, at what cost.

In order:

1. the usual limits, which say the same of every request, are one native call;
2. where one depends on the request (a quota or cost from a function, ``methods``, ``unless``), those that count it
   are chosen first;
   the sets of limits that come of it are remembered, 256 at most;
3. a limit in ``report`` mode is asked by itself, and refuses nobody;
4. what counts failures, or a cost that is known only afterwards, is taken now and settled when the answer leaves.

A function that returns what cannot be meant (a negative cost, a quota that cannot be read, None) refuses the request
with ``guard.failed``:
a limit is never off by accident.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flask import after_this_request, current_app

from .._native import Verdict
from ..declarations import declared_on
from ..errors import ConfigError, Denied
from ..exchange import Exchange
from ..guards import AppState, Check, guards_of_blueprint
from . import keys
from .counters import Counting, Limits, Settling, quotas_of
from .striking import Asked, Strikes
from .told import announce, refused

if TYPE_CHECKING:
    from .decorator import limit

UNLIMITED = "unlimited"
_CHOICES = 256


class Line:
    """One limit of a view, ready to be asked."""

    def __init__(self, guard: limit, scope: str, read: keys.Reader) -> None:
        self.guard = guard
        self.scope = scope
        self.read = read
        self.kind = "address" if guard.by == "address" else "text"
        #: Whether what is left of it is nobody's secret: it is not told how many others have come.
        self.told = keys.is_own(guard.by)
        self.quota = guard.quota
        self.cost = guard.cost
        self.count = guard.count
        self.plain = (
            isinstance(guard.quota, str)
            and not callable(guard.cost)
            and guard.methods is None
            and not guard.per_method
            and guard.unless is None
        )

    def chosen(self, exchange: Exchange) -> tuple[str, str] | None:
        """The quota that counts this request, and the scope; None if it is not counted."""
        guard = self.guard
        method = exchange.environ.get("REQUEST_METHOD", "")
        if guard.methods is not None and method not in guard.methods:
            return None
        if guard.unless is not None and _exempt(guard.unless, exchange):
            return None
        quota = self.quota
        if callable(quota):
            quota = quota()
            if not isinstance(quota, str):
                raise TypeError(
                    f"{guard!r}: its function must return a quota or {UNLIMITED!r}, not {type(quota).__name__}"
                )
            if quota == UNLIMITED:
                return None
        return quota, f"{self.scope}:{method}" if guard.per_method else self.scope

    def price(self) -> int:
        """What this request costs."""
        cost = whole(self.cost(), f"{self.guard!r}: a cost") if callable(self.cost) else self.cost
        # What is known only afterwards takes one meanwhile: else whoever has spent all would be admitted for ever.
        return max(cost, 1) if callable(self.count) else cost


def whole(number: Any, what: str) -> int:
    """A number of cells: also ``4.0``, which JSON Schema calls an integer.

    :raises ValueError: if it is none, or negative, which would refill the quota.
    """
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ValueError(f"{what} is a whole number of at least 0, not {number!r}")
    return number


def bind(guards: Sequence[tuple[limit, str]], state: AppState, endpoint: str) -> Check | None:
    """One check for all limits of a stage that stand on one view."""
    limits: Limits = state.services[Limits]
    seated = endpoint in state.app.view_functions
    lines = []
    for nth, (guard, place) in enumerate(guards):
        if seated and _lifted(guard, state, endpoint):
            continue
        scope = limits.scope(guard, endpoint, place, nth, seated=seated)
        lines.append(Line(guard, scope, keys.reader(guard.by, state.settings.ipv6_prefix, limits)))
    checks = [_check([line for line in lines if line.guard.mode == "enforce"], limits, endpoint)]
    checks += [_report(line, limits, endpoint) for line in lines if line.guard.mode == "report"]
    kept = [check for check in checks if check is not None]
    return kept[0] if len(kept) == 1 else _all(kept)


def _all(checks: Sequence[Check]) -> Check:
    def check(exchange: Exchange) -> Denied | None:
        for one in checks:
            denied = one(exchange)
            if denied is not None:
                return denied
        return None

    return check


def _check(lines: Sequence[Line], limits: Limits, endpoint: str) -> Check | None:
    if not lines:
        return None
    # Whatever can be known now is refused now, not at some request.
    known = [(line, line.quota, line.scope) for line in lines if isinstance(line.quota, str)]
    counting = _set(tuple(known), limits, endpoint) if known else None
    plain = all(line.plain and line.count == "all" for line in lines)
    if counting is None or not plain or counting.has_places:
        return _chosen(lines, limits, endpoint)
    policy = counting.policy
    ask = counting.check
    costs = tuple(line.price() for line in lines)
    told = all(line.told for line in lines)
    strikes = Strikes(limits) if any(line.guard.penalty for line in lines) else None
    if len(lines) == 1 and told and costs == (1,) and lines[0].guard.by == "address" and strikes is None:
        # The usual case, without the tuple of calls.
        def check_address(exchange: Exchange) -> Denied | None:
            verdict = ask((exchange.environ.get("REMOTE_ADDR") or "",))
            exchange.limits += ((verdict, policy),)
            return None if verdict.admitted else _refuse(exchange, verdict)

        return check_address
    readers = tuple(line.read for line in lines)
    cost: int | tuple[int, ...] = 1 if set(costs) == {1} else costs

    def check(exchange: Exchange) -> Denied | None:
        values = tuple([read(exchange) for read in readers])
        if strikes is not None:
            denied = strikes.banned(exchange, known, values)
            if denied is not None:
                return denied
        verdict = ask(values, cost)
        if told or not verdict.admitted or lines[verdict.entry].told:
            exchange.limits += ((verdict, policy),)
        if verdict.admitted:
            return None
        banned = strikes.strike(exchange, verdict, known, values, costs) if strikes is not None else 0.0
        return _refuse(exchange, verdict, banned)

    return check


def _chosen(lines: Sequence[Line], limits: Limits, endpoint: str) -> Check:
    make = functools.lru_cache(maxsize=_CHOICES)(lambda choice: _set(choice, limits, endpoint))
    strikes = Strikes(limits) if any(line.guard.penalty for line in lines) else None

    def check(exchange: Exchange) -> Denied | None:
        choice = []
        for line in lines:
            chosen = line.chosen(exchange)
            if chosen is not None:
                choice.append((line, *chosen))
        if not choice:
            return None
        counting = make(tuple(choice))
        asked = [line for line, _, _ in choice]
        values = tuple([line.read(exchange) for line in asked])
        if strikes is not None:
            denied = strikes.banned(exchange, choice, values)
            if denied is not None:
                return denied
        costs = tuple([line.price() for line in asked])
        charged: Settling | None = None
        if counting.has_places or any(line.count != "all" for line in asked):
            verdict, charged = counting.reserve(values, costs)
        else:
            verdict = counting.check(values, costs)
        if not verdict.admitted or asked[verdict.entry].told:
            exchange.limits += ((verdict, counting.policy),)
        if not verdict.admitted:
            banned = strikes.strike(exchange, verdict, choice, values, costs) if strikes is not None else 0.0
            return _refuse(exchange, verdict, banned)
        if charged is not None:
            if counting.has_places:
                exchange.at_end += (charged.end,)
            _settle_later(exchange, charged, choice, values, costs, strikes)
        return None

    return check


def _set(choice: tuple[tuple[Line, str, str], ...], limits: Limits, endpoint: str) -> Counting:
    entries = [(scope, quotas_of(quota), line.kind) for line, quota, scope in choice]
    if not entries:
        raise ConfigError(f"{endpoint}: a set without limits would limit nothing.")
    try:
        return limits.set_of(entries, [line.guard.on_store_error for line, _, _ in choice])
    except ConfigError as error:
        raise ConfigError(f"{endpoint}: {error}") from None


def _refuse(exchange: Exchange, verdict: Verdict, banned: float = 0.0) -> Denied:
    announce(exchange, verdict, enforced=True)
    return refused(verdict, banned)


def _report(line: Line, limits: Limits, endpoint: str) -> Check:
    ask = _chosen([line], limits, endpoint)
    if isinstance(line.quota, str):
        _set(((line, line.quota, line.scope),), limits, endpoint)

    def check(exchange: Exchange) -> None:
        before = exchange.limits
        denied = ask(exchange)
        said = exchange.limits[len(before) :]
        # What refuses nobody promises nothing either.
        exchange.limits = before
        if denied is not None and said:
            verdict = said[-1][0]
            current_app.logger.warning(
                "A limit in report mode would have refused the request %s: %s at %s.",
                exchange.id,
                verdict.violated,
                exchange.route,
            )
            announce(exchange, verdict, enforced=False)

    return check


def _settle_later(
    exchange: Exchange,
    charged: Settling,
    asked: Asked,
    keys: Sequence[str],
    costs: Sequence[int],
    strikes: Strikes | None,
) -> None:
    def found(entry: int, cost: int) -> None:
        charged.settle(cost, entry)
        if strikes is not None:
            strikes.found(*asked[entry], keys[entry], cost)

    failing = [entry for entry, (line, _, _) in enumerate(asked) if line.count == "failures"]
    if failing:
        noted: set[int] = set()

        def at_status(status: int) -> None:
            # Refused for its number is not failed: nobody would come out of it again.
            failed = status >= 400 and status != 429
            for entry in failing:
                if failed and entry not in noted:
                    noted.add(entry)
                    found(entry, costs[entry])
                else:
                    charged.settle(costs[entry] if failed else 0, entry)

        exchange.at_status += (at_status,)
    for entry, (line, _, _) in enumerate(asked):
        if callable(line.count):
            after_this_request(_judge(functools.partial(found, entry), line.count, costs[entry]))


def _judge(found: Callable[[int], None], count: Callable[[Any], bool | int], cost: int) -> Callable[[Any], Any]:
    def judge(response: Any) -> Any:
        try:
            said = count(response)
            said = (cost if said else 0) if isinstance(said, bool) else whole(said, "what limit(count=...) returns")
        except Exception:
            current_app.logger.exception("What a request has cost cannot be told; it stays charged as it was.")
            said = cost
        found(said)
        return response

    return judge


def _exempt(unless: Any, exchange: Exchange) -> bool:
    if callable(unless):
        said = unless()
        if not isinstance(said, bool):
            raise TypeError(f"limit(unless=...) must return True or False, not {type(said).__name__}")
        return said
    return keys.address(exchange) in unless


def _lifted(guard: limit, state: AppState, endpoint: str) -> bool:
    """Whether the view is ``unlimited``, and the limit not its own."""
    view = state.app.view_functions[endpoint]
    methods = {method for rule in state.app.url_map.iter_rules(endpoint) for method in rule.methods or ()}
    own = {found for method in methods or {"GET"} for found, _ in declared_on(view, method)}
    if guard in own or not any(found.name == UNLIMITED for found in own):
        return False
    path = endpoint.split(".")[:-1]
    outer = set(state.app_guards)
    for length in range(1, len(path) + 1):
        blueprint = state.app.blueprints.get(".".join(path[:length]))
        if blueprint is not None:
            outer.update(guards_of_blueprint(blueprint))
    return guard in outer
