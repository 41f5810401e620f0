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
from dataclasses import dataclass
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

#: Times less than Flask-Limiter: of the app's own cost, as a server has one of its own, which no app can lessen.
TARGET = 20.0
#: Of what the server does with an app that does nothing.
SHARE = 0.8
CONNECTIONS = 16
BARE, FULL = "a bare WSGI app that says 429", "the same, with our headers and body"
EDGE, PEER = "ours, RAMPART_LIMITS, at the edge", "Flask-Limiter, application"
#: By name: how gunicorn makes it.
SERVED = {
    BARE: "apps:hello()",
    FULL: "apps:hello(full=True)",
    EDGE: "apps:refusing()",
    "ours, with the access log": "apps:refusing(log=True)",
    "ours, limit of the view": "apps:refusing(application=False)",
    PEER: "peers:refusing()",
    "Flask-Limiter, limit of the view": "peers:refusing(application=False)",
}
KINDS: dict[str, Sequence[str]] = {
    "2 sync workers, a connection for each request": (),
    "2 workers of 4 threads, connections kept": ("--worker-class", "gthread", "--threads", "4"),
}


def made() -> dict[str, WSGIApp]:
    """The same apps in process, by name."""
    built: dict[str, Any] = {
        BARE: apps.hello(),
        FULL: apps.hello(full=True),
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
        if name not in (BARE, FULL):
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


def load(wrk: str, server: Server, seconds: int) -> tuple[float, float]:
    """Refusals per second of one round, and the workers' microseconds of processor time for each."""
    host, port = server.address
    command = [wrk, "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s"]
    before = server.processor_time()
    said = subprocess.run(
        [*command, f"http://{host}:{port}/"], capture_output=True, text=True, check=True, timeout=seconds + 60
    ).stdout
    spent = server.processor_time() - before
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    answered, refused = re.search(r"(\d+) requests in", said), re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    # Flask-Limiter's memory is each worker's own: the first request of each is admitted.
    if rate is None or answered is None or refused is None or int(answered[1]) - int(refused[1]) > server.workers:
        raise SystemExit(f"{server.app}: not all requests were refused:\n{said}")
    return float(rate[1]), spent / int(answered[1]) * 1e6


def served(wrk: str, kind: str, rounds: int, seconds: int) -> list[Served]:
    """Under gunicorn. The servers take turns."""
    names = [name for name in SERVED if "Flask-Limiter" not in name or not peers.missing("flask_limiter")]
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
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
                measured[name].append(load(wrk, server, seconds))
    found = []
    for name, rounds_ in measured.items():
        rate, spent = (statistics.median(column) for column in zip(*rounds_, strict=True))
        pairs = list(zip(rounds_, measured[BARE], measured.get(PEER, rounds_), strict=True))
        one = Served(kind, name, rate, spent)
        one.share = statistics.median(mine[0] / bare[0] for mine, bare, _ in pairs)
        one.beyond = statistics.median(mine[1] - bare[1] for mine, bare, _ in pairs)
        if PEER in measured and name not in (PEER, BARE, FULL):
            one.faster = statistics.median(mine[0] / peer[0] for mine, _, peer in pairs)
            # Where the machine is too busy to tell ours from nothing, there is no such figure.
            if one.beyond > 0:
                one.cheaper = statistics.median(peer[1] - bare[1] for _, bare, peer in pairs) / one.beyond
        found.append(one)
    return found


@dataclass
class Served:
    """An app under gunicorn: refusals a second, and microseconds of the workers' processor time for each."""

    kind: str
    name: str
    rate: float
    spent: float
    #: Of what the bare app reaches, and microseconds more than it.
    share: float = 0.0
    beyond: float = 0.0
    #: Times Flask-Limiter's rate, and times less than it beyond the bare app.
    faster: float | None = None
    cheaper: float | None = None

    def rows(self) -> list[Row]:
        """The figures. Those of the edge are judged."""
        is_edge = self.name == EDGE
        made = [Row(self.kind, self.name, self.faster, "times as many as Flask-Limiter", micros=1e6 / self.rate)]
        target = TARGET if is_edge and self.cheaper is not None else None
        made.append(
            Row(self.kind, self.name, self.cheaper, "times less beyond the server", target, True, micros=self.beyond)
        )
        made.append(Row(self.kind, self.name, self.share, "of the bare app", SHARE if is_edge else None, True))
        return made


def main() -> int:
    arguments = options(__doc__, rounds=9, seconds=2).parse_args()
    about = versions("gunicorn", "flask-limiter", "limits")
    heading("Refusing an address that is over its limit", about)
    if peers.missing("flask_limiter"):
        lacking("Flask-Limiter", "bench")
    rows = in_process(arguments.rounds * 4 + 1)
    lines = [
        [row.name, figure(row.micros), figure(1e6 / (row.micros or 1)), figure(row.value), goal(row), mark(row.met)]
        for row in rows
    ]
    print(table(("in process: processor time", "us each", "a second", "times Flask-Limiter", "target", ""), lines))
    wrk = tool("wrk", "wrk")
    if peers.missing("gunicorn"):
        lacking("gunicorn", "bench")
    elif wrk is not None:
        for kind in KINDS:
            found = served(wrk, kind, arguments.rounds, arguments.seconds)
            lines = []
            for one in found:
                _, cheaper, share = one.rows()
                rows += one.rows()
                line = [one.name, figure(one.rate), figure(one.faster), figure(one.share), goal(share), mark(share.met)]
                cost = [figure(one.spent), figure(one.beyond), figure(one.cheaper), goal(cheaper), mark(cheaper.met)]
                lines.append([*line, *cost])
            head = ("a second", "times Flask-Limiter", "of the bare app", "target", "")
            more = ("us of workers", "beyond the bare app", "times less", "target", "")
            print(f"\n{table((f'gunicorn: {kind}', *head, *more), lines)}")
        print(f"\n{arguments.rounds} rounds of {arguments.seconds} s, {CONNECTIONS} connections by wrk; medians.")
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
