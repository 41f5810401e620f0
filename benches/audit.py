"""The audit log: what a record costs a request, how fast a log is verified, and whether any change of it goes unseen.

Run ``python benches/audit.py``; ``--tamperings 0`` leaves the last part out. How times are measured stands in
``common.py``: they are the processor's, the kernel's part of a write included. Files are in the
folder for temporary ones.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

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
from tampering import tamper

from flask_rampart import Rampart, audit, public
from flask_rampart._native import AuditLog, Clock, Redactor, audit_generate_key, audit_verify
from flask_rampart.audit import Audit

APPEND_TARGET = 2.0
REQUEST_TARGET = 8.0
VERIFY_TARGET = 1_000_000
KEY = audit_generate_key("bench/audit")
FIELDS = {"method": "POST", "target": "/models/big"}
PLAIN = {
    "request_id": "f" * 32,
    "address": "192.0.2.7",
    "principal": "ada",
    "token_id": "0d3c8b8b841d41ef85de0675015ea614",
    "route": "/models/<name>",
    "decision": "allowed",
}


def opened(folder: Path, max_file: int = 64 << 20) -> AuditLog:
    return AuditLog(
        str(folder), KEY, Redactor(), Clock.system(), host="h", max_file=max_file, sync=1.0, checkpoint=60.0
    )


def app_of(folder: Path, where: str) -> Flask:
    app = Flask("bench", instance_path=str(folder))
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_AUDIT_LOG=where, RAMPART_HTTPS="off")
    app.config["RAMPART_TRUSTED_HOSTS"] = ["api.example.com"]
    Rampart(app)
    app.post("/orders")(public(audit("order.make")(lambda: "x")))
    return app


def requests_of(name: str, app: Flask, statuses: list[str]) -> Subject:
    return Subject(
        name,
        prepare=lambda count: [environ(b"") for _ in range(count)],
        run=lambda given: run_requests(app.wsgi_app, given, statuses),
        finish=lambda given: None,
    )


def verified(folder: Path, records: int) -> float:
    """Records verified in a second of the processor, by the private key."""
    log = opened(folder)
    for _ in range(records):
        log.append("order.make", FIELDS, PLAIN, now=False)
    log.close()
    rates = []
    for _ in range(5):
        begun = time.process_time()
        told = audit_verify(str(folder), KEY)
        rates.append(told["records"] / (time.process_time() - begun))
        assert not told["faults"]
    return statistics.median(rates)


def written(folder: Path) -> None:
    """A log of three writers."""
    for _ in range(3):
        log = opened(folder)
        for i in range(6):
            log.append("order.make", FIELDS, {**PLAIN, "i": i})
            if i == 3:
                log.checkpoint()
        log.close()


def main() -> int:
    arguments = options(__doc__, rounds=41, records=300_000, tamperings=100_000, seed=8).parse_args()
    about = versions("flask", "flask-rampart")
    heading("The audit log", about)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        log = opened(folder / "append")
        now = loop("now", lambda _: log.append("order.make", FIELDS, PLAIN), [None])
        soon = loop("soon", lambda _: log.append("order.make", FIELDS, PLAIN, now=False), [None])
        statuses: list[str] = []
        app = app_of(folder, "audit")
        plain = requests_of("off", app_of(folder, "off"), statuses)
        audited = requests_of("on", app, statuses)
        audited.against = plain
        measure([now, soon, plain, audited], rounds=arguments.rounds, span=0.03)
        assert set(statuses) <= {"200 OK"}, set(statuses)
        for name, subject in (("a record that is written at once", now), ("a record that may wait", soon)):
            value = statistics.median(subject.rounds) / 1000
            rows.append(Row("record", name, value, "us", APPEND_TARGET))
        app.extensions["rampart"].services[Audit].close()
        added = statistics.median(a - b for a, b in zip(audited.rounds, audited.beside, strict=True)) / 1000
        off = statistics.median(plain.rounds) / 1000
        rows.append(Row("request", "a guarded request without the log", off, "us"))
        rows.append(Row("request", "what @audit adds: its decision and its end", added, "us", REQUEST_TARGET))
        rate = verified(folder / "verify", arguments.records)
        rows.append(Row("verify", "records a second, one core", rate, "/s", VERIFY_TARGET, at_least=True))
        shown = [[row.name, figure(row.value), row.unit, goal(row), mark(row.met)] for row in rows]
        print(table(["", "median", "", "target", ""], shown))
        if arguments.tamperings:
            written(folder / "tamper")
            made, unseen = tamper(folder / "tamper", KEY, arguments.tamperings, arguments.seed)
            for kind, name in unseen:
                print(f"  NOT FOUND: {kind} of {name}", flush=True)
            missed = Counter(kind for kind, _ in unseen)
            kinds = [[kind, f"{made[kind]:,}", f"{made[kind] - missed[kind]:,}"] for kind in sorted(made)]
            total = [["all", f"{made.total():,}", f"{made.total() - missed.total():,}"]]
            print("\n" + table(["change", "made", "found"], [*kinds, *total]))
            rows.append(Row("tampering", "not found", float(len(unseen)), "", 0.0))
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
