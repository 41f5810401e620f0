"""What limits tell of themselves: quotas, as ``x-rampart-limits``, and the fields of answers.

Told are the quota, by whom it counts, and what a request costs. A quota, key or cost that a function of the app's says
is ``"varies"``; who is exempt, what counters are called, and limits that only report, are told to nobody.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..declarations import declared_around, declared_on
from ..guards import AppState, Guard
from ..limits import limit, unlimited
from .keywords import Object

VARIES = "varies"


def limits_of(guards: Sequence[Guard], state: AppState, endpoint: str, method: str) -> list[limit]:
    """The limits that count an operation, and refuse."""
    return [
        guard
        for guard in guards
        if isinstance(guard, limit)
        and guard.mode == "enforce"
        and guard.counted_as(method) is not None
        and not _is_lifted(guard, state, endpoint, method)
    ]


def told(limits: Sequence[limit]) -> list[Object]:
    """What is told of limits."""
    made = []
    for guard in limits:
        one: Object = {"quota": guard.quota if isinstance(guard.quota, str) else VARIES, "by": _by(guard)}
        if callable(guard.cost):
            one["cost"] = VARIES
        elif guard.cost != 1:
            one["cost"] = guard.cost
        if guard.count != "all":
            one["count"] = guard.count if isinstance(guard.count, str) else VARIES
        if guard.ban is not None:
            one["ban"] = guard.ban
        made.append(one)
    return made


def _by(guard: limit) -> str | list[str]:
    parts = guard.by if isinstance(guard.by, tuple) else (guard.by,)
    words = [part if isinstance(part, str) else VARIES for part in parts]
    return words[0] if len(words) == 1 else words


def _is_lifted(guard: limit, state: AppState, endpoint: str, method: str) -> bool:
    """Whether a limit of the app or of a blueprint is one that the view is ``unlimited`` from."""
    if guard not in (*state.app_guards, *declared_around(state.app, endpoint)):
        return False
    own = {found for found, _ in declared_on(state.app.view_functions[endpoint], method)}
    return guard not in own and any(isinstance(found, unlimited) for found in own)
