"""Which routes have which guards: what ``flask rampart routes`` and the dashboard show.

It decides nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from .guards import AppState, answers_itself, asks_who, methods_of


class Covered(NamedTuple):
    """A route with the guards that some of its methods meet."""

    path: str
    """The rule, such as ``"/users/<id>"``."""
    methods: tuple[str, ...]
    guards: tuple[str, ...]
    """As they are written, in the order in which they run."""
    opened: bool
    """Whether anything declares who may come: ``require``, ``public`` or a kin."""
    asks: bool
    """Whether something asks who comes, and lets nobody through whom it does not know."""


def coverage(state: AppState) -> list[Covered]:
    """All routes of an app. A class view may guard each method in its own way: one line for each way.

    HEAD is left out where it is guarded as GET is, and OPTIONS where Flask answers it. A rule that names no methods
    takes all. One without a view is for ``url_for`` alone.

    :raises ConfigError: if the app's guards cannot be bound.
    """
    state.seal()
    rows: list[Covered] = []
    app = state.app
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: (rule.rule, sorted(rule.methods or ()))):
        by_guards: dict[tuple[str, ...], list[str]] = {}
        opened: dict[tuple[str, ...], tuple[bool, bool]] = {}
        if rule.endpoint not in app.view_functions:
            continue
        for method in (method for method in methods_of(rule) if answers_itself(rule, method, app)):
            guards = [guard for guard in state.known_of(rule.endpoint, method) if not guard.is_everywhere]
            written = tuple(dict.fromkeys(map(repr, sorted(guards, key=lambda guard: guard.stage))))
            by_guards.setdefault(written, []).append(method)
            opened[written] = any(guard.opens for guard in guards), any(map(asks_who, guards))
        rows.extend(
            Covered(rule.rule, without_head(methods), written, *opened[written])
            for written, methods in by_guards.items()
        )
    return rows


def without_head(methods: list[str]) -> tuple[str, ...]:
    """The methods of one way of guarding, without the HEAD that goes with their GET.

    >>> without_head(["GET", "HEAD", "POST"]), without_head(["HEAD"])
    (('GET', 'POST'), ('HEAD',))
    """
    return tuple(method for method in methods if method != "HEAD" or "GET" not in methods)
