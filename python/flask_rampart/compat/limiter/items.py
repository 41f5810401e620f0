"""Reads limits as they are written for Flask-Limiter: ``"5/minute; 100 per 2 hours"``.

``<count> (/|per) [<n>] second|minute|hour|day|month|year[s]``, in any case, several joined by ``,`` ``;`` or ``|``. How
each is counted is the strategy's:

1. ``fixed-window``: windows of the calendar, in UTC; where several units do not divide the next larger one
   (``7 minutes``), as 2;
2. ``moving-window`` and ``sliding-window-counter``: a sliding window of two counters;
3. ``gcra``, which is ours: a rate.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from ..._native import Quota
from ...errors import ConfigError
from ...readers import nearest

STRATEGIES = ("fixed-window", "moving-window", "sliding-window-counter", "gcra")
_RULES = {"fixed-window": (" fixed", " sliding"), "gcra": ("",)}
_SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86400,
    "month": 30 * 86400,
    "year": 360 * 86400,
}
_ONE = re.compile(r"\s*(\d+)\s*(?:/|per)\s*(\d+)?\s*([a-z]+)\s*", re.IGNORECASE | re.ASCII)
_MOST_TEXT = 1024


class Granularity(NamedTuple):
    """A unit of time."""

    seconds: int
    name: str


@functools.total_ordering
class RateLimitItem:
    """So many requests in so many units of time. Those of shorter units come first.

    >>> [item] = parse_many("100 per 2 hours")
    >>> item, item.amount, item.get_expiry(), item.key_for("ada", "search")
    (100 per 2 hour, 100, 7200, 'LIMITER/ada/search/100/2/hour')
    """

    __slots__ = ("GRANULARITY", "amount", "multiples", "namespace")

    def __init__(
        self, amount: int, multiples: int | None, granularity: Granularity, namespace: str = "LIMITER"
    ) -> None:
        self.amount = amount
        self.multiples = multiples or 1
        self.GRANULARITY = granularity
        self.namespace = namespace

    def get_expiry(self) -> int:
        """The length of a window, in seconds."""
        return self.GRANULARITY.seconds * self.multiples

    def key_for(self, *identifiers: object) -> str:
        """What Flask-Limiter calls a counter. It is for logs: counters here are named by keyed hashes."""
        words = [word.decode() if isinstance(word, bytes) else str(word) for word in identifiers]
        return "/".join([self.namespace, *words, str(self.amount), str(self.multiples), self.GRANULARITY.name])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RateLimitItem) and self._parts() == other._parts()

    def __lt__(self, other: RateLimitItem) -> bool:
        return self.GRANULARITY.seconds < other.GRANULARITY.seconds

    def __hash__(self) -> int:
        return hash(self._parts())

    def __repr__(self) -> str:
        return f"{self.amount} per {self.multiples} {self.GRANULARITY.name}"

    def _parts(self) -> tuple[int, int, Granularity]:
        return self.amount, self.multiples, self.GRANULARITY


@functools.lru_cache(maxsize=1024)
def parse_many(text: str) -> tuple[RateLimitItem, ...]:
    """The limits in a text.

    :raises ConfigError: if it cannot be read, or would refuse everybody.
    """
    if not isinstance(text, str) or len(text) > _MOST_TEXT:
        raise ConfigError('A limit is a text such as "5/minute; 100 per 2 hours".')
    return tuple([_read(one, text) for one in re.split("[,;|]", text)])


def _read(one: str, whole: str) -> RateLimitItem:
    found = _ONE.fullmatch(one)
    if found is None:
        raise ConfigError(f'The limit {whole!r} cannot be read. Write one such as "5/minute; 100 per 2 hours".')
    amount, multiples, word = found.groups()
    unit = word.lower()
    unit = unit if unit in _SECONDS else unit.removesuffix("s")
    if unit not in _SECONDS:
        raise ConfigError(f"The limit {whole!r}: {word!r} is no unit of time.{nearest(unit, tuple(_SECONDS))}")
    item = RateLimitItem(_number(amount, whole), _number(multiples or "1", whole), Granularity(_SECONDS[unit], unit))
    if item.amount == 0:
        raise ConfigError(f"The limit {whole!r} would refuse everybody. Take the route away instead.")
    quotas_of(item, "gcra")
    return item


def _number(digits: str, whole: str) -> int:
    if len(digits) > 10:
        raise ConfigError(f"The limit {whole!r}: a number has at most ten digits.")
    return int(digits)


@functools.lru_cache(maxsize=1024)
def quotas_of(item: RateLimitItem, strategy: str) -> tuple[Quota, ...]:
    """What counts an item.

    :raises ConfigError: if nothing can.
    """
    text = f"{item.amount}/{item.multiples} {item.GRANULARITY.name}"
    *first, last = _RULES.get(strategy, (" sliding",))
    for rule in first:
        try:
            return tuple(Quota.parse(text + rule))
        except ValueError:
            continue  # no window of the calendar is so long
    try:
        return tuple(Quota.parse(text + last))
    except ValueError as error:
        raise ConfigError(f"The limit {item}: {error}") from None
