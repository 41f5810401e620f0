"""What is told of limits: to the client 429 with ``Retry-After``, and which quota it was; to who listens, a signal."""

from __future__ import annotations

import functools
import json
import math

from .._native import Verdict
from ..errors import Denied
from ..exchange import Exchange
from ..signals import emit, limit_exceeded


def refused(verdict: Verdict, banned: float = 0.0) -> Denied:
    """The refusal for a verdict that did not admit.

    :param banned: seconds for which this refusal has banned whom it refuses.

    What costs more than a quota can ever hold is not told to come back later: no time would be right.
    """
    violated = verdict.violated or ""
    if not verdict.payable:
        return Denied.of("limit.too_costly", violated, members=_violated(violated))
    wait = max(verdict.retry_after, math.ceil(banned))
    return Denied.of("limit.exceeded", violated, headers=(("Retry-After", str(wait)),), members=_violated(violated))


def announce(exchange: Exchange, verdict: Verdict, *, enforced: bool) -> None:
    """Tells who listens that a limit refused, or in report mode would have."""
    app = getattr(exchange.owner, "app", None)
    if app is None or not limit_exceeded.receivers:
        return
    emit(
        limit_exceeded,
        app,
        exchange=exchange,
        quota=verdict.violated,
        scope=verdict.scope,
        principal=exchange.principal,
        enforced=enforced,
    )


@functools.lru_cache(maxsize=1024)
def _violated(quota: str) -> str:
    """Members of the problem document. Quotas are the developer's, and few."""
    return f'"violated-policies":{json.dumps([quota])}'
