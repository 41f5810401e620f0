"""Metrics: what counting adds to a request, and how long a scrape takes with 10,000 series.

Run ``python benches/metrics.py``. How times are measured stands in ``common.py``: they are the processor's. The
tables are in the folder for temporary ones, mapped as workers share them.
"""

from __future__ import annotations

import statistics
import sys
import tempfile

from common import (
    Row,
    Subject,
    conclude,
    environ,
    figure,
    goal,
    heading,
    loop,
    mark,
    measure,
    options,
    run_requests,
    table,
    versions,
)
from flask import Flask

from flask_rampart import Rampart, public
from flask_rampart._native import Clock, MetricTable
from flask_rampart.metrics import Metrics

REQUEST_TARGET = 1.0
SCRAPE_TARGET = 5.0


def app_of(place: str, name: str, **config: object) -> Flask:
    app = Flask(name)
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_HTTPS="off", RAMPART_LIMIT_STORE=f"shm://{place}/{name}")
    app.config.update(RAMPART_TRUSTED_HOSTS=["api.example.com"], **config)
    Rampart(app)
    app.post("/orders")(public(lambda: "x"))
    return app


def requests_of(name: str, app: Flask, statuses: list[str]) -> Subject:
    return Subject(
        name,
        prepare=lambda count: [environ(b"") for _ in range(count)],
        run=lambda given: run_requests(app.wsgi_app, given, statuses),
        finish=lambda given: None,
    )


def main() -> int:
    arguments = options(__doc__, rounds=41, series=10_000).parse_args()
    about = versions("flask", "flask-rampart")
    heading("Metrics", about)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as place:
        statuses: list[str] = []
        plain = requests_of("off", app_of(place, "off"), statuses)
        counting = app_of(place, "on", RAMPART_METRICS=True)
        counted = requests_of("on", counting, statuses)
        counted.against = plain
        clock = Clock.system()
        shared = MetricTable.shared(f"{place}/table", "bench", clock)
        told = loop("told", lambda _: shared.request("/orders", "POST", 200, 700), [None])
        shared_with_board = MetricTable.shared(f"{place}/table", "board", clock)
        shared_with_board.remember_refusals()
        refused = loop(
            "refused",
            lambda _: shared_with_board.request(
                "/orders", "POST", 401, 700, ["auth.missing"], address="192.0.2.7", principal="ada"
            ),
            [None],
        )
        full = MetricTable.shared(f"{place}/full", "bench", clock, series=2 * arguments.series)
        for number in range(arguments.series):
            full.add("http_requests", [f"/api/v1/resource{number}/<int:id>", "GET", "200"])
        scrape = loop("scrape", lambda _: full.text(), [None])
        measure([plain, counted, told, refused, scrape], rounds=arguments.rounds, span=0.03)
        assert set(statuses) == {"200 OK"}, set(statuses)
        assert counting.extensions["rampart"].services[Metrics].samples()
        added = statistics.median(a - b for a, b in zip(counted.rounds, counted.beside, strict=True)) / 1000
        rows.append(Row("request", "a request without metrics", statistics.median(plain.rounds) / 1000, "us"))
        rows.append(Row("request", "what counting adds to it", added, "us", REQUEST_TARGET))
        rows.append(Row("call", "telling the table of a request", statistics.median(told.rounds) / 1000, "us"))
        rows.append(Row("call", "of a refused one, remembered", statistics.median(refused.rounds) / 1000, "us"))
        value = statistics.median(scrape.rounds) / 1_000_000
        rows.append(Row("scrape", f"a scrape with {arguments.series:,} series", value, "ms", SCRAPE_TARGET))
        shown = [[row.name, figure(row.value), row.unit, goal(row), mark(row.met)] for row in rows]
        print(table(["", "median", "", "target", ""], shown))
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
