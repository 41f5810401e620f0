"""``limit`` and ``unlimited``: what is declared above a view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import Any

from .._native import Quota
from ..checks import Check
from ..errors import ConfigError
from ..exchange import Exchange
from ..guards import AppState, Guard, Stage, methods_of
from ..readers import nearest
from . import keys
from .asking import bind
from .counters import quotas_of
from .networks import Networks
from .penalties import Penalty

_MODES = ("enforce", "report")
_ON_ERROR = ("local", "open", "closed")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class limit(Guard):  # noqa: N801 - read as a verb above a view
    """Refuses requests beyond *quota*, counted per *by*, exactly, across all workers of the host.

    :param quota: such as ``"60/minute burst 20; 1000/day fixed Europe/Berlin"``: a rate with a burst, windows of the
        calendar
        (``fixed``), ``sliding`` windows. Or a function without arguments that returns such a text for this request
        (by role or
        plan), or ``"unlimited"``.
    :param by: ``"address"``, ``"principal"``, ``"api_key"`` (with those that it descends from by rotation),
        ``"global"``,
        ``"claim:<name>"``, ``"json:<name>"``, ``"form:<name>"``, a function without arguments that returns a text, or
        a tuple
        of these together. An empty key falls back to the address.
    :param cost: cells that a request takes, at least 1; or a function without arguments that returns them, at least 0.
    :param count: ``"all"``; ``"failures"``: what the view and the client get as an answer below 400 is given back when
        it leaves; or a function of the response that returns whether it counts, or what it has really cost. Meanwhile
        the cost is taken, so simultaneous requests cannot overrun.
    :param scope: limits of one scope with one quota share their counters; without it, each view and each
        guard has its own.
    :param methods: the methods that are counted; all, if not given. ``GET`` counts ``HEAD`` too.
    :param per_method: whether each method has counters of its own. ``HEAD`` counts as ``GET``, unless *methods* names
        it.
    :param unless: networks (``"10.0.0.0/8"``) that are not limited, or a function without arguments that returns
        whether this request
        is not.
    :param mode: ``"enforce"``, or ``"report"``: refuses nobody, and logs whom it would have refused.
    :param on_store_error: while a store elsewhere is away: ``"local"`` counts on this host, ``"open"`` does not count,
        ``"closed"`` refuses with 503.
    :param ban: such as ``"15 minutes after 3"``: who was refused so often is refused at once, at the edge, for so
        long; see
        ``docs/bans.md``. If it does not say by what, by address where *by* has the address in it, else by key.
    :raises ConfigError: at import, if something here cannot be meant.

    The client receives 429 with ``Retry-After`` in whole seconds, rounded up, and ``RateLimit`` fields.

    >>> limit("60/minute burst 20").quotas[0].burst
    20
    """

    name = "limit"

    def __init__(
        self,
        quota: str | Callable[[], str],
        *,
        by: Any = "address",
        cost: int | Callable[[], int] = 1,
        count: str | Callable[[Any], bool | int] = "all",
        scope: str | None = None,
        methods: Sequence[str] | None = None,
        per_method: bool = False,
        unless: str | Sequence[str] | Callable[[], bool] | None = None,
        mode: str = "enforce",
        on_store_error: str = "local",
        ban: str | None = None,
    ) -> None:
        if (not isinstance(quota, str) and not callable(quota)) or isinstance(quota, type):
            raise ConfigError('Write @limit("60/minute"), with a quota in parentheses.')
        keys.check(by)
        if scope is not None and not scope:
            raise ConfigError("limit(scope=...) is empty. Leave it out to count each view by itself.")
        _one_of("mode", mode, _MODES)
        _one_of("on_store_error", on_store_error, _ON_ERROR)
        if not callable(count):
            _one_of("count", count, ("all", "failures"))
        self.quota = quota
        self.text = quota if isinstance(quota, str) else getattr(quota, "__qualname__", "function")
        self.quotas: list[Quota] = quotas_of(quota) if isinstance(quota, str) else []
        self.by = keys.plain(by)
        self.count = count
        self.cost = self._checked_cost(cost)
        self.scope = scope
        self.methods = _checked_methods(methods)
        self.per_method = per_method
        self.unless = _exempt(unless)
        self.mode = mode
        self.on_store_error = on_store_error
        self.ban = ban
        self.penalty = None if ban is None else _penalty(ban, by)
        if self.penalty is not None and mode == "report":
            raise ConfigError("limit(mode='report', ban=...): what refuses nobody bans nobody. Leave one of them out.")
        self.stage = Stage.ARRIVAL if keys.at_arrival(self.by) else Stage.QUOTA
        # A browser asks before each request of another origin: that is not the user's doing.
        self.meets_preflights = self.methods is not None and "OPTIONS" in self.methods

    @property
    def __name__(self) -> str:
        # Flask asks a view for its name: so it was written without parentheses, with the view for a quota.
        if isinstance(self.quota, str):
            raise AttributeError("__name__")
        raise ConfigError(f"{self.text}: write @limit('60/minute'), with a quota in parentheses.")

    def __repr__(self) -> str:
        return f"limit({self.text!r}, by={keys.shown(self.by)!r})"

    def counted_as(self, method: str) -> str | None:
        """The method as which one is counted; None if it is not.

        ``HEAD`` runs the view of ``GET``, so it counts as that, unless it is named itself.
        """
        if self.methods is not None and method in self.methods:
            return method
        if method == "HEAD":
            method = "GET"
        return method if self.methods is None or method in self.methods else None

    def _checked_cost(self, cost: Any) -> int | Callable[[], int]:
        if callable(cost):
            function: Callable[[], int] = cost
            return function
        if isinstance(cost, bool) or not isinstance(cost, int) or cost < 0:
            raise ConfigError(
                f"limit(cost={cost!r}): a cost is a whole number of at least 0: less would refill the quota."
            )
        if cost == 0 and not callable(self.count):
            raise ConfigError("limit(cost=0) would limit nothing. A function may say that one request costs nothing.")
        for quota in self.quotas:
            if cost > quota.burst:
                raise ConfigError(
                    f"limit({self.text!r}, cost={cost}) would never admit anybody: {quota.text} holds {quota.burst}."
                )
        return cost

    @classmethod
    def bind(cls, guards: Sequence[tuple[limit, str]], state: AppState, endpoint: str) -> Check | None:
        return bind(guards, state, endpoint)


class unlimited(Guard):  # noqa: N801 - read as an adjective above a view
    """Takes a view out of the limits that were put on its blueprint or on the whole app by ``rampart.protect``.

    On a method of a view class it is about that method, and on a view class about that class alone: what is derived
    from it is limited. Limits above the view itself count still, and so does ``RAMPART_LIMITS``, which is asked before
    there is a view: see ``RAMPART_LIMITS_EXEMPT_PATHS``.

    >>> @unlimited
    ... def health():
    ...     return "ok"
    """

    name = "unlimited"
    stage = Stage.ARRIVAL
    only_opens = True

    def __new__(cls, target: Any = None) -> Any:
        guard = super().__new__(cls)
        # Written without parentheses, it decorates at once.
        return guard if target is None else guard(target)

    def __init__(self, target: Any = None) -> None:
        super().__init__()

    @classmethod
    def bind(cls, guards: Sequence[tuple[Any, str]], state: AppState, endpoint: str) -> Check | None:
        def admit(exchange: Exchange) -> None:
            return None

        return admit


def is_limited(state: AppState) -> bool:
    """Whether an app has any limits, of its views or of all."""
    views = state.app.view_functions
    return state.settings.limits is not None or any(
        isinstance(guard, limit)
        for rule in state.app.url_map.iter_rules()
        if rule.endpoint in views
        for method in methods_of(rule)
        for guard, _ in state.guards_of(rule.endpoint, method)
    )


def _one_of(name: str, value: object, known: Sequence[str]) -> None:
    if not isinstance(value, str) or value not in known:
        raise ConfigError(f"limit({name}={value!r}): one of {', '.join(map(repr, known))}.{nearest(str(value), known)}")


def _checked_methods(methods: Any) -> frozenset[str] | None:
    if methods is None:
        return None
    words = (methods,) if isinstance(methods, str) else tuple(methods)
    for word in words:
        if not isinstance(word, str) or not word.isalpha() or word != word.upper():
            raise ConfigError(
                f"limit(methods={methods!r}): methods are words in capitals, such as 'POST'."
                f"{nearest(str(word), _METHODS)}"
            )
    if not words:
        raise ConfigError("limit(methods=()) would count nothing. Leave it out to count all.")
    return frozenset(words)


def _penalty(ban: str, by: Any) -> Penalty:
    parts = keys.parts(by)
    if all(part == "global" for part in parts):
        raise ConfigError(
            "limit(by='global', ban=...) would ban whoever comes last, for what all others have spent. "
            "Leave ban out, or count by address as well."
        )
    # Where others can spend what a key has, its own address would be banned for it.
    return Penalty.read(ban, by="address" if "address" in parts else "key")


def _exempt(unless: Any) -> Networks | Callable[[], bool] | None:
    if unless is None or callable(unless):
        return unless  # type: ignore[no-any-return]
    texts = (unless,) if isinstance(unless, str) else tuple(unless)
    try:
        networks = [ip_network(text) for text in texts]
    except ValueError as error:
        raise ConfigError(f"limit(unless={unless!r}): networks such as '10.0.0.0/8', or a function: {error}.") from None
    for network in networks:
        if network.prefixlen == 0:
            raise ConfigError(f"limit(unless={unless!r}): {str(network)!r} is everybody.")
    if not networks:
        raise ConfigError("limit(unless=()) exempts nobody. Leave it out.")
    return Networks(networks)
