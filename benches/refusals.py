"""What it costs to refuse an address that is over its limit: ours at the edge, beside Flask-Limiter.

Run ``python benches/refusals.py``. First in process, a call of the WSGI app; then under gunicorn, with sync workers and
with threads that keep connections, driven by wrk. A bare WSGI app that always answers 429 shows what is the server's.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import apps
import peers
from common import (
    Row,
    Subject,
    WSGIApp,
    answer,
    conclude,
    environ,
    figure,
    goal,
    heading,
    lacking,
    mark,
    measure,
    options,
    run_requests,
    table,
    versions,
)
from serving import Server, fetch, tool

TARGET = 20.0
CONNECTIONS = 16
BARE, EDGE, PEER = "a bare WSGI app that says 429", "ours, RAMPART_LIMITS, at the edge", "Flask-Limiter, application"
#: By name: how gunicorn makes it.
SERVED = {
    BARE: "apps:hello()",
    EDGE: "apps:refusing()",
    "ours, with the access log": "apps:refusing(log=True)",
    "ours, limit of the view": "apps:refusing(application=False)",
    PEER: "peers:refusing()",
    "Flask-Limiter, limit of the view": "peers:refusing(application=False)",
}
KINDS = {
    "2 sync workers, a connection for each request": (),
    "2 workers of 4 threads, connections kept": ("--worker-class", "gthread", "--threads", "4"),
}


def made() -> dict[str, WSGIApp]:
    """The same apps in process, by name."""
    built: dict[str, Any] = {
        BARE: apps.hello(),
        EDGE: apps.refusing(),
        "ours, with the access log": apps.refusing(log=True),
        "ours, limit of the view": apps.refusing(application=False),
    }
    if not peers.missing("flask_limiter"):
        built[PEER] = peers.refusing()
        built["Flask-Limiter, limit of the view"] = peers.refusing(application=False)
    return built


def request() -> dict[str, Any]:
    """A GET of ``/``."""
    return {**environ(b""), "REQUEST_METHOD": "GET", "PATH_INFO": "/", "CONTENT_LENGTH": "", "CONTENT_TYPE": ""}


def in_process(rounds: int) -> list[Row]:
    """Processor time of a refusal, called as a server would."""
    subjects = []
    for name, app in made().items():
        if name != BARE:
            answer(app, request())
        got = answer(app, request())
        if got[0] != 429:
            raise SystemExit(f"{name}: answered {got}, not 429; it is not measured")
        subjects.append(_subject(name, app))
    peer = next((one for one in subjects if one.name == PEER), None)
    for one in subjects:
        if one is not peer:
            one.against = peer
    measure(subjects, rounds=rounds)
    rows = []
    for one in subjects:
        ratio = 1 / one.ratio if one.against is not None else None
        target = TARGET if one.name == EDGE and ratio is not None else None
        rows.append(Row("in process", one.name, ratio, "times Flask-Limiter", target, at_least=True, micros=one.median))
    return rows


def _subject(name: str, app: WSGIApp) -> Subject:
    statuses: list[str] = []

    def finish(given: Sequence[object]) -> None:
        if set(statuses) != {"429 TOO MANY REQUESTS"}:
            raise SystemExit(f"{name}: answered {set(statuses)} in a round, not 429")
        statuses.clear()

    run: Callable[[Any], object] = lambda given: run_requests(app, given, statuses)  # noqa: E731
    return Subject(name, lambda count: [request() for _ in range(count)], run, finish)


def load(wrk: str, server: Server, seconds: int) -> float:
    """Refusals per second of one round."""
    host, port = server.address
    command = [wrk, "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s"]
    said = subprocess.run(
        [*command, f"http://{host}:{port}/"], capture_output=True, text=True, check=True, timeout=seconds + 60
    ).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    answered, refused = re.search(r"(\d+) requests in", said), re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    # Flask-Limiter's memory is each worker's own: the first request of each is admitted.
    if rate is None or answered is None or refused is None or int(answered[1]) - int(refused[1]) > server.workers:
        raise SystemExit(f"{server.app}: not all requests were refused:\n{said}")
    return float(rate[1])


def served(wrk: str, kind: str, rounds: int, seconds: int) -> list[Row]:
    """Refusals per second under gunicorn. The servers take turns."""
    names = [name for name in SERVED if "Flask-Limiter" not in name or not peers.missing("flask_limiter")]
    rates: dict[str, list[float]] = {name: [] for name in names}
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Server(SERVED[name], workers=2, options=KINDS[kind])) for name in names}
        for name, server in servers.items():
            for _ in range(16):
                got = fetch(server.address, b"GET / HTTP/1.0\r\n\r\n")
            if not got.startswith((b"HTTP/1.0 429", b"HTTP/1.1 429")):
                raise SystemExit(f"{name}: answered {got[:300]!r}, not 429; it is not measured")
            load(wrk, server, 1)
        for _ in range(rounds):
            for name, server in servers.items():
                rates[name].append(load(wrk, server, seconds))
    rows = []
    for name, measured in rates.items():
        ratio = None
        if PEER in rates and name != PEER:
            ratio = statistics.median(a / b for a, b in zip(measured, rates[PEER], strict=True))
        share = statistics.median(a / b for a, b in zip(measured, rates[BARE], strict=True))
        target = TARGET if name == EDGE and ratio is not None else None
        rows.append(
            Row(
                kind,
                name,
                ratio,
                "times Flask-Limiter",
                target,
                at_least=True,
                micros=1e6 / statistics.median(measured),
                note=f"{share * 100:.0f} %",
            )
        )
    return rows


def main() -> int:
    arguments = options(__doc__, rounds=5, seconds=3).parse_args()
    about = versions("gunicorn", "flask-limiter", "limits")
    heading("Refusing an address that is over its limit", about)
    if peers.missing("flask_limiter"):
        lacking("Flask-Limiter", "bench")
    rows = in_process(arguments.rounds * 6 + 1)
    wrk = tool("wrk", "wrk")
    if peers.missing("gunicorn"):
        lacking("gunicorn", "bench")
    elif wrk is not None:
        for kind in KINDS:
            rows += served(wrk, kind, arguments.rounds, arguments.seconds)
    lines: list[list[str]] = []
    for group in dict.fromkeys(row.group for row in rows):
        lines.append([group])
        for row in rows:
            if row.group == group and row.micros is not None:
                times = [figure(row.micros), figure(1e6 / row.micros), row.note, figure(row.value)]
                lines.append([f"  {row.name}", *times, goal(row), mark(row.met)])
    print(table(("", "us each", "a second", "of the bare app", "times Flask-Limiter", "target", ""), lines))
    print(
        f"\nIn process: processor time. Under gunicorn: all processors of the host, wrk's share among them; "
        f"{arguments.rounds} rounds of {arguments.seconds} s, {CONNECTIONS} connections; medians."
    )
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
