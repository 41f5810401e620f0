"""What an app counts: opened where somebody wants it, fed by the edge, by signals and by the audit log.

1. Nothing is opened or counted unless a scraper, a dashboard or ``RAMPART_METRICS`` asks for it. The last two have the
   last refusals remembered, too, with addresses and principals: people look at them.
2. Requests, refusals and limits are counted where the edge ends an answer, in one native call. What is rare (bans,
   tokens, findings) comes by our signals.
3. What is known from the start begins at 0, so that a rate sees its first count: codes of refusals, bans, tokens,
   records of the audit log.
4. All workers of the host add to one table. Under ``app.testing``, and with ``RAMPART_LIMIT_STORE = "memory://"``, each
   process has its own.

Who is banned is not a number here: bans are kept as keyed hashes that nothing counts.
"""

from __future__ import annotations

import os
import platform
import weakref
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from flask import Flask

from .. import signals
from .._native import Clock, MetricTable
from ..config import Settings
from ..errors import PROBLEMS, ConfigError
from ..locks import Lock
from ..opening import TableAway, opened
from ..tables import is_changing, is_looking, place_of
from .serving import View

if TYPE_CHECKING:
    from ..guards import Guard

Gauge = tuple[str, str, list[tuple[list[tuple[str, str]], float]]]
_TABLE = "metrics2"
"""The table's purpose and version: workers of a release that means something else by its words have another."""
_KNOWN = {
    "audit_records": ("written", "failed"),
    "bans": ("address", "network", "key"),
    "tokens": ("issued", "refreshed", "revoked", "reused"),
}
"""Labels that are known before anything happens."""


class Metrics:
    """The current app's metrics: ``rampart.metrics``.

    >>> app = Flask("shop")
    >>> app.testing = True
    >>> metrics = Metrics(Settings(metrics=True), Clock.system(), app, "shop")
    >>> metrics.add("bans", "address")
    >>> [sample for sample in metrics.samples() if sample[2]]
    [('rampart_bans_total', {'by': 'address'}, 1.0)]
    """

    def __init__(self, settings: Settings, clock: Clock, app: Flask, name: str, *, apart: Sequence[Guard] = ()) -> None:
        self._settings = settings
        self._clock = clock
        self._app = weakref.ref(app)
        self._name = name
        self._testing: Callable[[], bool] = lambda: app.testing
        self._lock = Lock(reentrant=True)
        self._table: MetricTable | None = None
        # Who asks for it by the setting looks at it by `flask rampart top`.
        self._remembers = settings.metrics
        self._told_of_overflow = False
        #: Whether anything is counted.
        self.wanted = settings.metrics
        self._view = View(self, apart)
        self._begun = False
        self._looks = False
        self._failed: ConfigError | None = None

    def want(self, *, refusals: bool = False) -> None:
        """Has this app counted, and with *refusals* the last ones remembered, with address and principal.

        :raises ConfigError: after the first request, if nothing was counted until then: the edge would go on so.
        """
        if self._begun and not self.wanted:
            raise ConfigError(
                "the metrics were asked for after the first request, which nothing counted. Ask before it, or set "
                "RAMPART_METRICS = True."
            )
        self.wanted = True
        self._remembers = self._remembers or refusals
        if self._table is not None and self._remembers:
            self._table.remember_refusals()

    @property
    def remembers(self) -> bool:
        """Whether the last refusals are remembered, with address and principal."""
        return self._remembers

    @property
    def table(self) -> MetricTable:
        """The table, opened when it is first needed.

        :raises ConfigError: if it cannot be had; says the cure.
        """
        if self._table is None:
            with self._lock:
                if self._table is None:
                    self._table = self._open()
        return self._table

    @property
    def place(self) -> str | None:
        """Where the table is or would be that the workers of the host share; None where each process has its own."""
        place = place_of(_TABLE, self._name, self._settings.limit_store, testing=self._testing())
        return None if place is None else str(place)

    def look(self) -> None:
        """For who only looks: the table is what the workers made, whatever its size; while there is none, an empty one,
        and this is to be called again.

        :raises ConfigError: if it cannot be had; says the cure.
        """
        self._looks = True
        with self._lock:
            self._table = self._open()

    def begin(self) -> MetricTable | None:
        """Where the edge counts; None where nobody wants it. What is wrong with the table, :meth:`check` says.

        :raises TableAway: if it may be to be had later: then this is to be called again.
        """
        self._begun = True
        try:
            return self.table if self.wanted else None
        except TableAway:
            raise
        except ConfigError as error:
            # The edge asks once. Were it forgotten, a table that can be had a moment later would stay empty.
            self._failed = error
            return None

    def check(self, app: Flask) -> None:
        """Before the first request.

        :raises ConfigError: if the table cannot be had.
        """
        if self._failed is not None:
            raise self._failed
        if self.wanted:
            self.table  # noqa: B018

    def add(self, counter: str, *labels: str) -> None:
        """Adds 1 to a counter of the native table, such as ``"bans"``. Does nothing where there is no table."""
        try:
            table = self._table or (self.table if self.wanted else None)
        except ConfigError:
            return  # as check() says
        if table is not None:
            table.add(counter, list(labels))

    @property
    def view(self) -> Callable[..., Any]:
        """A view that answers a scrape: put ``require(...)`` above it, and add it to the app or a blueprint.

        It answers 403 ``route.undeclared`` to everybody while nothing asks who they are.
        """
        self.want()
        return self._view.of()

    def serve(self, path: str, *guards: Guard) -> None:
        """Serves the metrics at *path* behind these guards: ``serve("/metrics", require(scopes="metrics.read"))``.

        :raises ConfigError: at start-up, if none of them asks who it is, or the app has a route of its own there.
        """
        app = self._app()
        if app is None:
            raise ConfigError("serve() is for an app that is still there.")
        self.want()
        self._view.serve(app, path, guards)

    def text(self, *, openmetrics: bool = False) -> bytes:
        """All of it in Prometheus' text format 0.0.4, or as OpenMetrics 1.0."""
        used, room = self.table.room[1], self.table.room[0]
        overflowed = any(name == "rampart_metrics_overflow_total" and value for name, _, value in self.table.samples())
        app = self._app()
        if overflowed and app is not None and not self._told_of_overflow:
            self._told_of_overflow = True
            app.logger.warning(
                "The table of metrics is full (%d of %d series of routes), or one kind has too many: what found no "
                "room is counted under <other>. Raise RAMPART_METRICS_SERIES; it takes effect when no worker uses the "
                "table.",
                used,
                room,
            )
        return self.table.text(openmetrics=openmetrics, gauges=self._gauges(used, room))

    def samples(self) -> list[tuple[str, dict[str, str], float]]:
        """Each counter, and of the histogram its counts and sums: name, labels, value."""
        return self.table.samples()

    def timeline(self) -> list[tuple[int, int, int, int]]:
        """The last hour in steps of five seconds: begin (seconds since 1970), requests, refused, failed (5xx)."""
        return self.table.timeline()

    def recent(self, limit: int = 2048) -> list[tuple[float, str, str, str, str, str]]:
        """The last refusals, newest first: time, code, address, principal, method, route. Empty where nobody wanted
        them (a dashboard does)."""
        return self.table.recent(limit)

    def _gauges(self, used: int, room: int) -> list[Gauge]:
        build = [
            ("version", version("flask-rampart")),
            ("python", platform.python_version()),
            ("flask", version("flask")),
        ]
        return [
            ("rampart_build_info", "The versions that are running.", [(build, 1)]),
            ("rampart_metrics_series", "Series of routes that the table has.", [([], used)]),
            ("rampart_metrics_series_room", "Series of routes that it has room for.", [([], room)]),
            (
                "rampart_start_time_seconds",
                "When the counting began, since 1970: at the first request after the host's start.",
                [([], self.table.since)],
            ),
            (
                "rampart_workers",
                "Processes of this host that have answered a request and live.",
                [([], self.table.workers())],
            ),
        ]

    def _open(self) -> MetricTable:
        settings = self._settings
        place = place_of(_TABLE, self._name, settings.limit_store, testing=self._testing())
        if place is None:
            try:
                table = MetricTable.local(self._clock, series=settings.metrics_series)
            except ValueError as error:
                raise ConfigError(f"RAMPART_METRICS: {error}") from None
        else:
            directory, name = place

            def join() -> MetricTable | None:
                return MetricTable.existing(directory, name, self._clock)

            def look() -> MetricTable:
                return join() or MetricTable.local(self._clock, series=_LEAST)

            def make() -> MetricTable:
                found = join() if is_changing() else None
                return found or MetricTable.shared(directory, name, self._clock, series=settings.metrics_series)

            if self._looks or is_looking():
                return opened(place, "RAMPART_METRICS", make=look, join=look)
            table = opened(place, "RAMPART_METRICS", make=make, join=join)
        table.expect(list(PROBLEMS))
        for counter, known in _KNOWN.items():
            for label in known:
                table.add(counter, [label], 0)
        table.add("metrics_overflow", [], 0)
        if self._remembers:
            table.remember_refusals()
        _tables.add(table)
        self._listen()
        return table

    def _listen(self) -> None:
        """Counts what is rare. Receivers are held weakly, and live as long as the app."""
        app = self._app()
        for name in (
            "banned",
            "token_issued",
            "token_refreshed",
            "token_revoked",
            "refresh_reused",
            "anomaly_detected",
        ):
            getattr(signals, name).connect(getattr(self, f"_on_{name}"), sender=app)

    def _on_banned(self, app: Flask, *, by: str, **_: Any) -> None:
        self.add("bans", by)

    def _on_token_issued(self, app: Flask, **_: Any) -> None:
        self.add("tokens", "issued")

    def _on_token_refreshed(self, app: Flask, **_: Any) -> None:
        self.add("tokens", "refreshed")

    def _on_token_revoked(self, app: Flask, **_: Any) -> None:
        self.add("tokens", "revoked")

    def _on_refresh_reused(self, app: Flask, **_: Any) -> None:
        self.add("tokens", "reused")

    def _on_anomaly_detected(self, app: Flask, *, finding: Any, **_: Any) -> None:
        self.add("monitor_findings", str(finding.rule), str(finding.severity))

    def recorded(self, written: bool) -> None:
        """Counts a record of the audit log."""
        self.add("audit_records", "written" if written else "failed")


_LEAST = 64


def _renew() -> None:
    for table in list(_tables):
        table.forget_parent()


_tables: weakref.WeakSet[MetricTable] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
