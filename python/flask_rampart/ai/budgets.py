"""Budgets: how many tokens, or how much money, a caller may spend on models.

1. Before the view, the worst case is reserved: what the prompt comes to with what the view adds to it (``overhead``)
   and what its images and files hold (``part_tokens``), and for each answer that is asked for as many tokens as it may
   have. So requests under way together cannot spend more than there is;
2. an answer has a bound: what the request says, the model's ``most_tokens``, the budget's ``most_tokens``, the
   smallest. The view gets a prompt that says so;
3. a request that could cost more than the whole quota is refused for good (``limit.too_costly``);
4. afterwards, what was used is settled: as the model's server has counted it, else as it is counted here, also when the
   client has gone in the middle. Where nothing was counted (the view raised), the reservation stays, unless the view
   has said what was used (``ai.call.used(...)``).

Counters are those of ``limit``: exact across the workers of a host, or across hosts.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from ..errors import ConfigError
from ..limits import Limits, Reservation, keys, quotas_of, refused
from ..readers import nearest

if TYPE_CHECKING:
    from ..exchange import Exchange
    from .calls import Call


class price:  # noqa: N801 - read as a word in a table of prices
    """What a model costs, in units of some currency for a million tokens.

    >>> price(input=2.5, output=10).of(1000, 500)
    7500
    """

    def __init__(self, *, input: float, output: float) -> None:
        for name, value in (("input", input), ("output", output)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1e9:
                raise ConfigError(f"ai.price({name}={value!r}) is what a million tokens cost, a number of at least 0.")
        self._input, self._output = Fraction(str(input)), Fraction(str(output))

    def of(self, prompt: int, completion: int) -> int:
        """Millionths of the currency, rounded up."""
        exact = self._input * prompt + self._output * completion
        return -(-exact.numerator // exact.denominator)


class budget:  # noqa: N801 - read as a word beside a guard
    """How much may be spent, by whom.

    :param quota: as in ``limit``: ``"100000/minute; 2000000/day fixed"``, in tokens; with *prices*, in millionths of
        the currency.
    :param by: as in ``limit``.
    :param per: ``"model"``: each model has the quota of its own; ``"all"``: all share one.
    :param prices: by name of the model, each a :class:`price`.
    :param most_tokens: how many tokens an answer may have, where neither the request nor its model says less.
    :param scope: budgets of one scope with one quota share their counters; without it, each endpoint has its own.
    :raises ConfigError: for what cannot be meant.

    >>> budget("100000/minute", most_tokens=2000).most_tokens
    2000
    """

    def __init__(
        self,
        quota: str,
        *,
        by: Any = "principal",
        per: Literal["model", "all"] = "model",
        prices: Mapping[str, price] | None = None,
        most_tokens: int = 4096,
        scope: str | None = None,
    ) -> None:
        if not isinstance(quota, str):
            raise ConfigError('Write ai.budget("100000/minute").')
        for one in quotas_of(quota):
            if one.rule == "concurrent":
                raise ConfigError("ai.budget: what is in progress is declared above a view: @limit('20 concurrent').")
        keys.check(by)
        if per not in ("model", "all"):
            raise ConfigError(f"ai.budget(per={per!r}): it is 'model' or 'all'.")
        if isinstance(most_tokens, bool) or not isinstance(most_tokens, int) or most_tokens < 1:
            raise ConfigError("ai.budget(most_tokens=...) is a whole number of at least 1.")
        if prices is not None and not (prices and all(isinstance(one, price) for one in prices.values())):
            raise ConfigError('ai.budget(prices=...) is a dict such as {"small": ai.price(input=0.5, output=2)}.')
        self.quota = quota
        self.by = keys.plain(by)
        self.per = per
        self.prices = prices
        self.most_tokens = most_tokens
        self.scope = scope

    def check(self, names: tuple[str, ...]) -> None:
        """:raises ConfigError: if a model has no price."""
        for name in names if self.prices is not None else ():
            if name not in (self.prices or {}):
                raise ConfigError(
                    f"ai.budget(prices=...) has none for the model {name!r}.{nearest(name, list(self.prices or {}))}"
                )

    def cost(self, name: str, prompt: int, completion: int) -> int:
        return prompt + completion if self.prices is None else self.prices[name].of(prompt, completion)

    def reserve(self, call: Call, exchange: Exchange, prompt: int, completion: int) -> Reservation:
        """Reserves the worst case.

        :raises Denied: ``limit.exceeded``, ``limit.too_costly``.
        """
        limits: Limits = call.state.services[Limits]
        model = call.model_name if self.per == "model" else "*"
        place = f"shared:{self.scope}" if self.scope else call.endpoint
        counting = limits.reserving(
            f"ai:{place}:{keys.shown(self.by)}:{model}", self.quota, "address" if self.by == "address" else "text"
        )
        key = keys.reader(self.by, call.state.settings.ipv6_prefix, limits)(exchange)
        cost = max(self.cost(call.model_name, prompt, completion), 1)
        verdict, charged = counting.reserve((key,), cost)
        exchange.limits += ((verdict, counting.policy if keys.is_own(self.by) else None),)
        if charged is None:
            raise refused(verdict)
        return Reservation(charged, cost, exchange)
