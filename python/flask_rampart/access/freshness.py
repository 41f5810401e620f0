"""Freshness: how recently somebody proved who they are.

1. ``fresh=True``: the credential says ``"fresh": true``, or, as Flask-JWT-Extended also writes it, the second until
   which it is fresh.
2. ``max_age=300``: ``auth_time`` (OpenID Connect Core section 2) is at most 300 s ago by the app's clock, and at most
   ``RAMPART_JWT_LEEWAY`` ahead of it.

What cannot tell is refused: a credential without such a claim, or with one of another type, and every API key, since a
key that is used proves nothing of when. The peer learns what would do: ``insufficient_user_authentication``, with
``max_age`` (RFC 9470 section 3).
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from .._native import Clock
from ..errors import ConfigError
from ..exchange import Principal, origin_of

AGELESS = frozenset(("api_key",))
"""Kinds of credentials that never tell when somebody proved who they are, whichever scheme found them."""


def seconds_of(max_age: Any) -> int | None:
    """``require(max_age=...)`` in whole seconds, as the challenge says it.

    :raises ConfigError: if it is not one second or more.
    """
    if max_age is None:
        return None
    seconds = max_age.total_seconds() if isinstance(max_age, timedelta) else max_age
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and math.isfinite(seconds)
    if not number or seconds < 1:
        raise ConfigError(f"require(max_age=...) is one second or more, or a timedelta, not {max_age!r}.")
    return math.floor(seconds)


def is_fresh(principal: Principal, now: float) -> bool:
    """Whether the credential says that it is fresh."""
    if origin_of(principal) in AGELESS:
        return False
    fresh = principal.claims.get("fresh")
    if isinstance(fresh, bool):
        return fresh
    return isinstance(fresh, (int, float)) and now < fresh


def is_recent(principal: Principal, max_age: int, now: float, leeway: int) -> bool:
    """Whether somebody proved who they are at most *max_age* seconds ago."""
    if origin_of(principal) in AGELESS:
        return False
    at = getattr(principal, "authenticated_at", None)
    if at is None:
        at = principal.claims.get("auth_time")
    if isinstance(at, bool) or not isinstance(at, (int, float)):
        return False
    # Comparisons with what is not a number are false, so NaN refuses.
    return at - leeway <= now <= at + max_age


class Freshness:
    """All that is demanded of one view: the strictest of its guards."""

    def __init__(self, fresh: bool, max_age: int | None, clock: Clock, leeway: int) -> None:
        self.fresh = fresh
        self.max_age = max_age
        self._clock = clock
        self._leeway = leeway

    def met_by(self, principal: Principal) -> bool:
        """Whether the credential is recent enough now."""
        now = self._clock.now()
        return (not self.fresh or is_fresh(principal, now)) and (
            self.max_age is None or is_recent(principal, self.max_age, now, self._leeway)
        )

    def parameters(self) -> dict[str, str]:
        """What the challenge says beside its error."""
        return {} if self.max_age is None else {"max_age": str(self.max_age)}
