"""Where one extension's limits are counted in one app: its stores, what its counters are called, what is left of them.

1. A counter is called by the extension, its prefix, the scope, and which key function says the key
   (:meth:`.declared.Declared.name`): the same in each worker, and in each request.
2. What was counted on this host, while a store elsewhere was away, is looked up on this host.
3. While this host's table is away, requests are refused, whatever ``RATELIMIT_ON_STORE_ERROR`` says: there is nothing
   else to count in. It is tried again once in a second.

It does not decide which limits a request meets, nor what a refusal answers: that is ``face``.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Sequence
from typing import Any

from flask import Flask

from ..._native import Clock, Verdict
from ...config import Settings
from ...errors import Denied
from ...limits import Counting, Limits
from ...locks import Lock
from ...opening import Tries
from ...stores import StoreError
from ..standing import Standing
from .config import Rules
from .definitions import RuntimeLimit
from .items import quotas_of
from .requests import Line, Passage, WindowStats, reset_time

_MOST_SETS = 1024
_logger = logging.getLogger("flask-limiter")


class Counters(Standing):
    """One extension's, in one app.

    :param nth: how many extensions the app has before this one.
    """

    def __init__(self, app: Flask, rules: Rules, nth: int, clock: Clock | None) -> None:
        super().__init__(app, clock)
        self._rules = rules
        self._nth = nth
        # What is opened is opened once: two stores in memory would each admit the quota.
        self._lock = Lock(reentrant=True)
        self._tries = Tries()
        self._forget()

    def _forget(self) -> None:
        self._limits: Limits | None = None
        self._here: Limits | None = None
        #: The counters of some limits, asked in one call.
        self.set_of = functools.lru_cache(maxsize=_MOST_SETS)(self._make_set)

    @property
    def limits(self) -> Limits:
        """Where the counters are, opened when a first request needs them."""
        with self._lock:
            if self._limits is None:
                store = self._rules.store
                settings = self.settings if store is None else dataclasses.replace(self.settings, limit_store=store)
                self._limits = self._open(settings, self._rules.server)
            return self._limits

    @property
    def here(self) -> Limits:
        """This host's counters, for limits that hold while a store elsewhere is away."""
        with self._lock:
            if self._here is None:
                self._here = self._open(dataclasses.replace(self.settings, limit_store=None, limit_lease=None), None)
            return self._here

    def _open(self, settings: Settings, server: Any) -> Limits:
        app = self.app
        name = f"{app.import_name}\0{app.root_path}"
        return Limits(settings, self.clock, name, lambda: app.testing, lambda: app.secret_key, server)

    def reset(self) -> bool:
        """Forgets what was counted, where it is this process's alone; False where others count, too."""
        if self._rules.server is not None or self.limits.remote is not None or self.limits.store.kind != "memory":
            return False
        self._forget()
        return True

    def place(self) -> str:
        """Where the counters are, as it may be shown."""
        if self._rules.server is not None or self.limits.remote is not None:
            return "elsewhere: RATELIMIT_STORAGE_URI or RAMPART_LIMIT_STORE"
        return self.limits.store.path or self.limits.store.kind

    def name(self, limit: RuntimeLimit, scope: str) -> str:
        """What a limit's counter is called."""
        return f"limiter:{self._nth}:{self._rules.prefix}:{scope}:{limit.counted_by}"

    def _make_set(self, entries: tuple[tuple[str, Any, str], ...], here: bool = False) -> Counting:
        """
        :raises Denied: ``store.unavailable``, while others have this host's table, or there is no room for it.
        """
        rules = self._rules
        how = "closed" if rules.fallback and not here else rules.on_store_error
        named = [(scope, quotas_of(item, rules.strategy), kind) for scope, item, kind in entries]
        try:
            with self._tries.one():
                try:
                    limits = self.here if here else self.limits
                    return limits.set_of(named, [how] * len(named))
                except StoreError as error:
                    _logger.error("Requests are refused, since what they are counted in cannot be had: %s", error)
                    raise
        except StoreError:
            raise Denied.of("store.unavailable", reason="StoreError", headers=(("Retry-After", "1"),)) from None

    def of(self, line: Line) -> Counting:
        """The counter of one line, where it was charged."""
        return self.set_of(((line.scope, line.limit.limit, line.kind),), line.here)

    def charge(self, lines: Sequence[Line], passage: Passage) -> tuple[Verdict, list[int]]:
        """Asks all lines at once. They are counted in one place.

        :return: what was said, and which counter each line is on.
        :raises Denied: ``store.unavailable``, if a store elsewhere is away and that refuses, or this host's is.
        """
        entries, entry_of = told_apart(lines)
        counting = self.set_of(tuple([(line.scope, line.limit.limit, line.kind) for line in entries]), lines[0].here)
        by = tuple([line.key for line in entries])
        costs = [0] * len(entries)
        for line, entry in zip(lines, entry_of, strict=True):
            cost = line.limit.deduction_amount
            # What the answer decides takes one meanwhile: else whoever has spent all would be admitted for ever.
            costs[entry] += max(cost, 1) if line.limit.deduct_when else cost
        if not any(line.limit.deduct_when for line in lines):
            return counting.check(by, tuple(costs)), entry_of
        verdict, charged = counting.reserve(by, tuple(costs))
        if charged is not None:
            passage.settling = (*passage.settling, (charged, tuple(lines), entry_of))
        return verdict, entry_of

    def settle(self, passage: Passage, response: Any) -> None:
        """Gives back what the answer does not count, and charges what it has really cost."""
        settling, passage.settling = passage.settling, ()
        for charged, lines, entry_of in settling:
            costs: dict[int, int] = {}
            judged: set[int] = set()
            for line, entry in zip(lines, entry_of, strict=True):
                judge = line.limit.deduct_when
                counts = judge is None or judge(response)
                costs[entry] = costs.get(entry, 0) + (line.limit.deduction_amount if counts else 0)
                judged |= {entry} if judge is not None else set()
            for entry in judged:
                charged.settle(costs[entry], entry)

    def window(self, line: Line) -> WindowStats:
        """When a line's window is over, and what is left of it. While nobody can be asked, nothing is."""
        try:
            verdict = self.of(line).peek((line.key,), 0)
        except Denied:
            return WindowStats(self.clock.now(), 0)
        return WindowStats(reset_time(verdict, self.clock.now()), verdict.remaining)


def told_apart(lines: Sequence[Line]) -> tuple[list[Line], list[int]]:
    """One line for each counter, and for each line which of them it is: what stands twice on one is charged twice, at
    once."""
    entries: list[Line] = []
    entry_of: list[int] = []
    seen: dict[tuple[Any, ...], int] = {}
    names: set[tuple[Any, ...]] = set()
    for line in lines:
        counter = (line.scope, line.limit.limit, line.kind, line.key)
        if counter not in seen:
            name, number = line.scope, 0
            # One function may say two keys in one request, and so may two that were made in this request at one place.
            while (name, line.limit.limit) in names:
                number += 1
                name = f"{line.scope}:{number}"
            names.add((name, line.limit.limit))
            seen[counter] = len(entries)
            entries.append(line._replace(scope=name))
        entry_of.append(seen[counter])
    return entries, entry_of
