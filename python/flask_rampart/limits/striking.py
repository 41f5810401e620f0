"""When a refusal is a strike, which ``ban=`` counts.

1. What counts every request strikes with each refusal.
2. What is counted afterwards (``count="failures"``, or a function) holds the cost of what is under way. Who is refused
   for that alone has done nothing yet: nine people behind one address who sign in at once are no attack. So what was
   *found* to count is counted once more by itself, and a refusal strikes when that, too, is spent.

3. In a flood of callers, who has no counter of its own is refused for what others have spent: no strike either.

It refuses nobody: the limits and :mod:`bans` do.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._native import Verdict
from ..errors import Denied
from ..exchange import Exchange
from .counters import Counting, Limits, quotas_of

if TYPE_CHECKING:
    from .asking import Line, OwnQuota

Asked = Sequence["tuple[Line | OwnQuota, str, str]"]
"""The lines that count a request, each with its quota and its scope."""

_CHOICES = 256


class Strikes:
    """Strikes against the limits of one view."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._found = functools.lru_cache(maxsize=_CHOICES)(self._set)

    def banned(self, exchange: Exchange, asked: Asked, keys: Sequence[str]) -> Denied | None:
        """The refusal of a key that is banned. Addresses were asked at the edge."""
        for (line, _, scope), key in zip(asked, keys, strict=True):
            if line.penalty is not None and line.penalty.by == "key":
                denied = self._limits.bans.refused_key(exchange, scope, line.by, key)
                if denied is not None:
                    return denied
        return None

    def strike(
        self, exchange: Exchange, verdict: Verdict, asked: Asked, keys: Sequence[str], costs: Sequence[int]
    ) -> float:
        """Counts a refusal, if it is one of those that ban: for how many seconds it has banned.

        What could never pass was not tried too often.
        """
        banned = 0.0
        if not verdict.payable:
            return banned
        for entry in verdict.striking:
            line, quota, scope = asked[entry]
            penalty = line.penalty
            if penalty is None:
                continue
            if line.count != "all" and self._has_room(line, quota, scope, keys[entry], costs[entry]):
                continue
            seconds = self._limits.bans.strike(exchange, scope, penalty, quota, line.by, keys[entry])
            banned = max(banned, seconds)
        return banned

    def found(self, line: Line | OwnQuota, quota: str, scope: str, key: str, cost: int) -> None:
        """Notes that a request was found to count."""
        if line.penalty is None or cost == 0:
            return
        # Where it does not pass any more, all is spent as well; where it cannot be counted, nobody is banned for it.
        with contextlib.suppress(Denied):
            self._found(quota, scope, line.kind, line.on_store_error).reserve((key,), cost, capped=True)

    def _has_room(self, line: Line | OwnQuota, quota: str, scope: str, key: str, cost: int) -> bool:
        found = self._found(quota, scope, line.kind, line.on_store_error)
        try:
            return not found.peek((key,), max(cost, 1)).striking
        except Denied:
            # Nobody can say, so nobody is banned.
            return True

    def _set(self, quota: str, scope: str, kind: str, on_error: str) -> Counting:
        return self._limits.set_of([(f"found:{scope}", quotas_of(quota), kind)], [on_error])
