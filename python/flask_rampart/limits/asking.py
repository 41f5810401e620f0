"""Asks the limits of one view, for each request: which of them count it, by which key, at what cost.

In order:

1. the usual limits, which say the same of every request, are one native call;
2. where one depends on the request (a quota or cost from a function, ``methods``, ``unless``), those that count it
   are chosen first;
   the sets of limits that come of it are remembered, 256 at most;
3. a limit in ``report`` mode is asked by itself, and refuses nobody, also when it fails;
4. the quota that an API key has of its own is asked with the limits that stand at its stage: all or nothing;
5. what counts failures, or a cost that is known only afterwards, is taken now and settled when the answer leaves.

A function that returns what cannot be meant (a negative cost, a quota that cannot be read, None) refuses the request
with ``guard.failed``:
a limit is never off by accident.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flask import after_this_request, current_app

from .._native import LimitSet, Verdict
from ..checks import Check
from ..declarations import declared_around, declared_on
from ..errors import ConfigError, Denied
from ..exchange import Exchange
from ..guards import AppState, Stage
from ..opening import TableAway
from . import keys
from .counters import OWN_SCOPE, Counting, Limits, Settling, quotas_of
from .striking import Asked, Strikes
from .told import announce, refused

if TYPE_CHECKING:
    from .decorator import limit

UNLIMITED = "unlimited"
OTHER = "*"
"""All methods that nobody has named: what a peer makes up has no counters of its own."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"))
_CHOICES = 256


class Line:
    """One limit of a view, ready to be asked.

    :param methods: what the methods are called; any other word is one.
    :param lifted: those for which the view is ``unlimited``.
    """

    def __init__(
        self,
        guard: limit,
        scope: str,
        read: keys.Reader,
        methods: frozenset[str] = METHODS,
        lifted: frozenset[str] = frozenset(),
    ) -> None:
        self.guard = guard
        self.scope = scope
        self.read = read
        self.kind = "address" if guard.by == "address" else "text"
        #: Whether what is left of it is nobody's secret: it is not told how many others have come.
        self.told = keys.is_own(guard.by)
        self.quota = guard.quota
        self.cost = guard.cost
        self.count = guard.count
        self.by = guard.by
        self.penalty = guard.penalty
        self.on_store_error = guard.on_store_error
        self._methods = methods if guard.methods is None else methods | guard.methods
        self._lifted = lifted
        self.plain = (
            isinstance(guard.quota, str)
            and not callable(guard.cost)
            and guard.methods is None
            and not guard.per_method
            and guard.unless is None
            and not lifted
        )

    def chosen(self, exchange: Exchange) -> tuple[str, str] | None:
        """The quota that counts this request, and the scope; None if it is not counted."""
        guard = self.guard
        # As Flask takes it, whichever letters the peer wrote.
        method = exchange.environ.get("REQUEST_METHOD", "GET").upper()
        if method not in self._methods:
            method = OTHER
        counted = None if method in self._lifted else guard.counted_as(method)
        if counted is None:
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
        return quota, scope_of(guard, self.scope, counted)

    def price(self) -> int:
        """What this request costs."""
        cost = whole(self.cost(), f"{self.guard!r}: a cost") if callable(self.cost) else self.cost
        # What is known only afterwards takes one meanwhile: else whoever has spent all would be admitted for ever.
        return max(cost, 1) if callable(self.count) else cost


def scope_of(guard: limit, scope: str, counted: str) -> str:
    """What a limit's counters are called.

    :param scope: what they are called for all methods.
    :param counted: the method as which a request is counted.
    """
    return f"{scope}:{counted}" if guard.per_method else scope


class OwnQuota:
    """The quota that the caller's API key has of its own, asked together with the limits of a view."""

    by = "api_key"
    kind = "text"
    told = True
    count = "all"
    penalty = None
    on_store_error = "local"

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def read(self, exchange: Exchange) -> str:
        """The key that it counts by."""
        own = self._limits.own_quota(exchange)
        return "" if own is None else own[0]

    def price(self) -> int:
        """What a request costs."""
        return 1


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
    methods = METHODS | (_served(state, endpoint) if seated else frozenset())
    lines = []
    for nth, (guard, place) in enumerate(guards):
        lifted = lifted_for(guard, state, endpoint) if seated else frozenset()
        if methods | {OTHER} <= lifted:
            continue
        scope = limits.scope(guard, endpoint, place, nth, seated=seated)
        read = keys.reader(guard.by, state.settings.ipv6_prefix, limits)
        lines.append(Line(guard, scope, read, methods, lifted))
    metered = limits.has_terms and guards[0][0].stage is Stage.QUOTA
    checks = [_check([line for line in lines if line.guard.mode == "enforce"], limits, endpoint, metered)]
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


def _check(lines: Sequence[Line], limits: Limits, endpoint: str, metered: bool) -> Check | None:
    if not lines:
        return None
    # Whatever can be known now is refused now, not at some request.
    known = [(line, line.quota, line.scope) for line in lines if isinstance(line.quota, str)]
    counting = _set(tuple(known), limits, endpoint) if known else None
    plain = all(line.plain and line.count == "all" for line in lines)
    chosen = _chosen(lines, limits, endpoint, _refuse, metered=metered)
    if counting is None or not plain or counting.has_places:
        return chosen
    policy = counting.policy
    ask = counting.check
    costs = tuple(line.price() for line in lines)
    told = all(line.told for line in lines)
    strikes = Strikes(limits) if any(line.penalty for line in lines) else None
    is_usual = len(lines) == 1 and told and costs == (1,) and lines[0].guard.by == "address" and strikes is None
    if is_usual and isinstance(counting, LimitSet):
        ask_one = counting.check

        def check_address(exchange: Exchange) -> Denied | None:
            verdict = ask_one(exchange.environ.get("REMOTE_ADDR") or "")
            exchange.limits += ((verdict, policy),)
            return None if verdict else _refuse(exchange, verdict)

        return check_address
    readers = tuple(line.read for line in lines)
    cost: int | tuple[int, ...] = 1 if set(costs) == {1} else costs

    def check(exchange: Exchange) -> Denied | None:
        if metered and limits.own_quota(exchange) is not None:
            return chosen(exchange)
        values = tuple([read(exchange) for read in readers])
        if strikes is not None:
            denied = strikes.banned(exchange, known, values)
            if denied is not None:
                return denied
        # A default is cheaper than an argument.
        verdict = ask(values) if cost == 1 else ask(values, cost)
        is_told = told or not verdict.admitted or lines[verdict.entry].told
        exchange.limits += ((verdict, policy if is_told else None),)
        if verdict.admitted:
            return None
        banned = strikes.strike(exchange, verdict, known, values, costs) if strikes is not None else 0.0
        return _refuse(exchange, verdict, banned)

    return check


def _chosen(
    lines: Sequence[Line],
    limits: Limits,
    endpoint: str,
    refuse: Callable[[Exchange, Verdict, float], Denied | None],
    *,
    metered: bool = False,
) -> Check:
    make = functools.lru_cache(maxsize=_CHOICES)(lambda choice: _set(choice, limits, endpoint))
    own_quota = OwnQuota(limits)
    strikes = Strikes(limits) if any(line.penalty for line in lines) else None

    def check(exchange: Exchange) -> Denied | None:
        choice: list[tuple[Line | OwnQuota, str, str]] = []
        for line in lines:
            chosen = line.chosen(exchange)
            if chosen is not None:
                choice.append((line, *chosen))
        if not choice:
            return None
        own = limits.own_quota(exchange) if metered else None
        if own is not None:
            choice.append((own_quota, own[1], OWN_SCOPE))
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
        is_told = not verdict.admitted or asked[verdict.entry].told
        exchange.limits += ((verdict, counting.policy if is_told else None),)
        if not verdict.admitted:
            banned = strikes.strike(exchange, verdict, choice, values, costs) if strikes is not None else 0.0
            return refuse(exchange, verdict, banned)
        if own is not None:
            exchange.metered = True
        if charged is not None:
            if counting.has_places:
                exchange.at_end += (charged.end,)
            _settle_later(exchange, charged, choice, values, costs, strikes)
        return None

    return check


def _set(choice: tuple[tuple[Line | OwnQuota, str, str], ...], limits: Limits, endpoint: str) -> Counting:
    entries = [(scope, quotas_of(quota), line.kind) for line, quota, scope in choice]
    if not entries:
        raise ConfigError(f"{endpoint}: a set without limits would limit nothing.")
    try:
        return limits.set_of(entries, [line.on_store_error for line, _, _ in choice])
    except TableAway:
        raise  # no fault of this view's
    except ConfigError as error:
        raise ConfigError(f"{endpoint}: {error}") from None


def _refuse(exchange: Exchange, verdict: Verdict, banned: float = 0.0) -> Denied:
    announce(exchange, verdict, enforced=True)
    return refused(verdict, banned)


def _report(line: Line, limits: Limits, endpoint: str) -> Check:
    ask = _chosen([line], limits, endpoint, _would_refuse)
    if isinstance(line.quota, str):
        _set(((line, line.quota, line.scope),), limits, endpoint)

    def check(exchange: Exchange) -> None:
        before = exchange.limits
        try:
            ask(exchange)
        except Denied as denied:
            current_app.logger.warning(
                "A limit in report mode did not count the request %s: %s.", exchange.id, denied.problem.code
            )
        except Exception:
            # What refuses nobody refuses nobody when it fails either.
            current_app.logger.exception("A limit in report mode failed at the request %s.", exchange.id)
        finally:
            # Nor does it promise anything. It is counted all the same.
            exchange.limits = before + tuple((verdict, None) for verdict, _ in exchange.limits[len(before) :])

    return check


def _would_refuse(exchange: Exchange, verdict: Verdict, banned: float) -> None:
    current_app.logger.warning(
        "A limit in report mode would have refused the request %s: %s at %s.",
        exchange.id,
        verdict.violated,
        exchange.route,
    )
    announce(exchange, verdict, enforced=False)


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
        has_failed = False

        def at_status(status: int) -> None:
            nonlocal has_failed
            # Refused for its number is not failed: nobody would come out of it again.
            has_failed = has_failed or (status >= 400 and status != 429)
            for entry in failing:
                if has_failed and entry not in noted:
                    noted.add(entry)
                    found(entry, costs[entry])
                else:
                    charged.settle(costs[entry] if has_failed else 0, entry)

        # By what the client gets, and by what the app answers: a middleware within the edge may make a 200 of each
        # failure, as one of batches does.
        if exchange.sees_answer:
            exchange.at_status += (at_status,)
            after_this_request(_tell(lambda status: at_status(status) if status >= 400 else None))
        else:
            after_this_request(_tell(at_status))
    for entry, (line, _, _) in enumerate(asked):
        if callable(line.count):
            after_this_request(_judge(functools.partial(found, entry), line.count, costs[entry]))


def _tell(at_status: Callable[[int], None]) -> Callable[[Any], Any]:
    def tell(response: Any) -> Any:
        at_status(response.status_code)
        return response

    return tell


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


def lifted_for(guard: limit, state: AppState, endpoint: str) -> frozenset[str]:
    """The methods for which a view is ``unlimited``, of a limit that is its app's or blueprint's and not its own."""
    if guard not in (*state.app_guards, *declared_around(state.app, endpoint)):
        return frozenset()
    view = state.app.view_functions[endpoint]
    served = _served(state, endpoint) or METHODS | {OTHER}

    def is_lifted(method: str) -> bool:
        own = {found for found, _ in declared_on(view, method)}
        return guard not in own and any(found.name == UNLIMITED for found in own)

    lifted = frozenset(method for method in served if is_lifted(method))
    # What Flask answers by itself goes with what the view answers.
    return METHODS | served | {OTHER} if (served - {"OPTIONS"} or served) <= lifted else lifted


def _served(state: AppState, endpoint: str) -> frozenset[str]:
    return frozenset(method for rule in state.app.url_map.iter_rules(endpoint) for method in rule.methods or ())
