"""The monitor: what it adds to a request, what counting an observation costs, and what a flood of new addresses does.

Run ``python benches/monitor.py``. How times are measured stands in ``common.py``: they are the processor's. Requests
are counted in batches, as in production, by the package's detectors, in a table of this process alone. Where the access
log is off on both sides, what the monitor adds pays for seeing answers end, too; where it is on, as it is by default,
the log pays for that.
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
    versions,
)
from common import table as shown_as
from flask import Flask

from flask_rampart import Clock, Rampart, require
from flask_rampart._native import Monitor, Sight
from flask_rampart.monitor import DETECTORS

TARGET = 1.0


def app_of(folder: str, mode: str, log: str) -> tuple[Flask, str]:
    app = Flask("bench", instance_path=folder)
    app.config.update(
        RAMPART_ACCESS_LOG=log,
        RAMPART_HTTPS="off",
        RAMPART_TRUSTED_HOSTS=["api.example.com"],
        RAMPART_JWT_KEYS=[{"kid": "bench", "alg": "HS256", "secret": "0123456789abcdef0123456789abcdef"}],
        RAMPART_LIMIT_STORE="memory://",
        RAMPART_STORE=f"sqlite:///{folder}/{mode}-{log == 'off'}.sqlite3",
        RAMPART_MONITOR=mode,
    )
    rampart = Rampart(app)
    app.post("/orders")(require()(lambda: "x"))
    with app.app_context():
        return app, rampart.tokens.issue("ada")


def requests_of(folder: str, mode: str, statuses: list[str], log: str = "off") -> Subject:
    app, token = app_of(folder, mode, log)
    return Subject(
        mode if log == "off" else f"{mode}, logged",
        prepare=lambda count: [environ(b"", token) for _ in range(count)],
        run=lambda given: run_requests(app.wsgi_app, given, statuses),
    )


def engine() -> Monitor:
    return Monitor([detector.native() for detector in DETECTORS], Clock.system(), bytes=8 << 20)


def main() -> int:
    arguments = options(__doc__, rounds=61).parse_args()
    about = versions("flask", "flask-rampart")
    heading("The monitor", about)
    rows: list[Row] = []
    statuses: list[str] = []
    usual, crowded = engine(), engine()
    people = [
        Sight(
            status=200,
            route="/docs/<id>",
            path=f"/docs/{number % 500}",
            address=f"198.51.{number % 100}.{number % 250}",
            principal=f"person-{number % 300}",
            token=f"token-{number % 300}",
            size=2000,
        )
        for number in range(3000)
    ]
    scanners = [
        Sight(status=404, path=f"/{number}", address=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
        for number in range(200_000)
    ]
    for sight in scanners:
        crowded.note(sight)
    with tempfile.TemporaryDirectory() as folder:
        off = requests_of(folder, "off", statuses)
        report = requests_of(folder, "report", statuses)
        enforce = requests_of(folder, "enforce", statuses)
        plain = requests_of(folder, "off", statuses, f"{folder}/off.log")
        logged = requests_of(folder, "report", statuses, f"{folder}/report.log")
        report.against = enforce.against = off
        logged.against = plain
        counted = loop("usual", usual.note, people)
        flooded = loop("flood", crowded.note, scanners)
        measure([off, report, enforce, plain, logged, counted, flooded], rounds=arguments.rounds, span=0.03)
        assert set(statuses) <= {"200 OK"}, set(statuses)
    rows.append(Row("request", "a guarded request without the monitor", off.median, "us"))
    rows.append(Row("request", 'what "report" adds where answers are logged', logged.added, "us", TARGET))
    rows.append(
        Row("request", 'what "report" adds where they are not: seeing them end, too', report.added, "us", TARGET)
    )
    rows.append(Row("request", 'what "enforce" adds: asked, noted, counted', enforce.added, "us"))
    rows.append(Row("count", "one observation of a principal, counted alone", counted.median, "us"))
    rows.append(Row("count", "one of a flood of new addresses, in a table that is full", flooded.median, "us"))
    shown = [[row.name, figure(row.value), row.unit, goal(row), mark(row.met)] for row in rows]
    print(shown_as(["", "median", "", "target", ""], shown))
    spread = statistics.quantiles(report.rounds, n=10)
    print(f"\nTable: {', '.join(map(str, usual.places))} places; a request in report mode, p10 to p90: ", end="")
    print(f"{spread[0] / 1000:.1f} to {spread[-1] / 1000:.1f} us.")
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
