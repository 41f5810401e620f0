"""Counts the use of a credential that has a quota of its own, between who it is and whether they may.

It comes after the limits of the view, which charge that quota together with themselves: all or nothing. What they have
charged is not charged here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..checks import Check
from ..errors import Denied
from ..exchange import Exchange, origin_of
from ..guards import AppState, Guard, Stage
from .schemes import Schemes

if TYPE_CHECKING:
    from .demands import require


class Meter(Guard):
    """Comes with each ``require``. Where no kind of credential has quotas, it checks nothing."""

    stage = Stage.QUOTA
    name = "require"
    # Where nothing has quotas it binds to no check, which only what opens may do. Who it is, it does not ask.
    opens = True
    comes_last = True

    def __init__(self, demand: require) -> None:
        self.demand = demand
        self.optional = demand.optional

    def __repr__(self) -> str:
        return repr(self.demand)

    @classmethod
    def bind(cls, guards: Sequence[tuple[Meter, str]], state: AppState, endpoint: str) -> Check | None:
        schemes: Schemes = state.services[Schemes]
        meters = schemes.meters
        if not meters:
            return None

        def count(exchange: Exchange) -> Denied | None:
            # Once for a request, also where a view calls another that is guarded.
            if exchange.ran and any(type(guard) is Meter for guard in exchange.ran):
                return None
            principal = exchange.principal
            meter = None if principal is None else meters.get(origin_of(principal))
            return None if meter is None else meter(exchange)

        return count
