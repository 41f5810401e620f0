"""How the benches measure, and how they print it.

1. Everything that a run compares is measured in that run, in short rounds that take turns in a new order
   each time. What a subject is compared with runs once more beside each of its rounds, by turns before and
   after it, and a ratio is the median of the rounds' own ratios: a slow second of the machine hits both.
2. Time is the processor's for this process (``time.process_time_ns``): what other processes do does not count.
3. The collector of garbage does not run inside a round, and a round waits until threads that somebody
   left behind (a peer's timer) have ended.

What is compared stands in ``apps.py`` (bare Flask and ours) and ``peers.py``, what is sent in ``material.py``.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import json
import os
import platform
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Any]
PATH = "/orders"
ADDRESS = "192.0.2.7"  # RFC 5737


# One request.


def environ(body: bytes, token: str | None = None, *, address: str = ADDRESS) -> dict[str, Any]:
    """What a server hands to a WSGI app for a POST of JSON over TLS, with the headers of a usual client."""
    made: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": PATH,
        "QUERY_STRING": "source=web&page=2",
        "RAW_URI": PATH + "?source=web&page=2",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "bench",
        "REMOTE_ADDR": address,
        "REMOTE_PORT": "40000",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "api.example.com",
        "HTTP_ACCEPT": "application/json",
        "HTTP_ACCEPT_ENCODING": "gzip, deflate",
        "HTTP_USER_AGENT": "bench/1.0",
        "HTTP_CONNECTION": "keep-alive",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if token is not None:
        made["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return made


def answer(app: WSGIApp, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one request."""
    sent: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
        sent[:] = [int(status[:3]), dict(headers)]

    body = app(request, start)
    try:
        content = b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return sent[0], sent[1], content


def run_requests(app: WSGIApp, requests: Sequence[dict[str, Any]], statuses: list[str]) -> None:
    """Answers requests one after another, as a server would: bodies are iterated and closed."""

    def start(status: str, headers: object, exc_info: object = None) -> None:
        statuses.append(status)

    for request in requests:
        body = app(request, start)
        try:
            for _ in body:
                pass
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()


# Many rounds.


@dataclass
class Subject:
    """Something to measure: *prepare* makes the input of a round off the clock, *run* is timed."""

    name: str
    prepare: Callable[[int], Any]
    run: Callable[[Any], object]
    finish: Callable[[Any], None] = lambda given: None
    #: What it is compared with, which is run once more beside each of its rounds.
    against: Subject | None = None
    calls: int = 0
    #: Nanoseconds for one call, by round, and what *against* took beside it.
    rounds: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Microseconds for one call."""
        return statistics.median(self.rounds) / 1000

    @property
    def ratio(self) -> float:
        """How many times *against*: the median of the rounds' ratios."""
        return statistics.median(a / b for a, b in zip(self.rounds, self.beside, strict=True))

    @property
    def added(self) -> float:
        """Microseconds more than *against*: the median of the rounds' differences."""
        return statistics.median(a - b for a, b in zip(self.rounds, self.beside, strict=True)) / 1000


def loop(name: str, call: Callable[[Any], object], values: Sequence[Any]) -> Subject:
    """A subject that calls a function of one argument with each of *values* in turn."""

    def prepare(count: int) -> list[Any]:
        return [values[number % len(values)] for number in range(count)]

    def run(given: list[Any]) -> None:
        for value in given:
            call(value)

    return Subject(name, prepare, run)


def measure(subjects: Sequence[Subject], *, rounds: int, calls: int = 0, span: float = 0.002) -> None:
    """Fills in the subjects' rounds.

    :param rounds: how many; odd, so that the median is one of them.
    :param calls: in each round; 0 takes as many as fill *span* seconds, for each subject its own number.
    """
    everyone = {id(subject): subject for subject in subjects}
    everyone.update({id(subject.against): subject.against for subject in subjects if subject.against})
    for subject in everyone.values():
        subject.calls = calls or _fitting(subject, span)
    quiet = _settled()
    order = list(subjects)
    shuffle = random.Random(1).shuffle
    gc.collect()
    gc.freeze()
    try:
        for number in range(-1, rounds):  # the first round warms up
            shuffle(order)
            for subject in order:
                # By turns first and second: whoever comes second finds the caches warmer.
                pair = [subject, subject.against] if number % 2 else [subject.against, subject]
                spent = {id(one): _round(one, quiet) for one in pair if one is not None}
                if number < 0:
                    continue
                subject.rounds.append(spent[id(subject)])
                if subject.against is not None:
                    beside = spent[id(subject.against)]
                    subject.beside.append(beside)
                    subject.against.rounds.append(beside)
                    subject.against.beside.append(beside)
    finally:
        gc.unfreeze()


def _round(subject: Subject, quiet: int) -> float:
    warming = subject.prepare(1 + subject.calls // 8)
    given = subject.prepare(subject.calls)
    subject.run(warming)
    for _ in range(100):
        if threading.active_count() <= quiet:
            break
        time.sleep(0.001)
    gc.collect(0)
    gc.disable()
    try:
        begun = time.process_time_ns()
        subject.run(given)
        spent = time.process_time_ns() - begun
    finally:
        gc.enable()
    subject.finish(given)
    return spent / subject.calls


def _fitting(subject: Subject, span: float) -> int:
    calls = 1
    while True:
        given = subject.prepare(calls)
        begun = time.process_time()
        subject.run(given)
        spent = time.process_time() - begun
        if spent * 4 >= span or calls >= 1_000_000:
            return max(1, round(calls * span / max(spent, 1e-6)))
        calls *= 4


def _settled() -> int:
    """How many threads are there to stay."""
    for _ in range(20):
        if threading.active_count() == 1:
            break
        time.sleep(0.01)
    return threading.active_count()


# What is printed.


@dataclass
class Row:
    """A line of a table. *value* is compared with *target*: at most, or at least."""

    group: str
    name: str
    value: float | None
    unit: str = "x"
    target: float | None = None
    at_least: bool = False
    micros: float | None = None
    added: float | None = None
    peer: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None or self.value is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


def figure(value: float | None) -> str:
    """A number with three digits that matter."""
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Aligned text. The first *left* columns are words, the others numbers; a row of one cell is a heading."""
    full = [row for row in [head, *rows] if len(row) > 1]
    widths = [max(len(row[column]) for row in full) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        if len(row) == 1:
            return paint(row[0], "1")
        last = len(head) - 1
        cells = [
            cell if column == last else cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([paint(line(head), "2"), *map(line, rows)])


def mark(met: bool | None) -> str:
    """``ok``, ``MISSED`` or nothing."""
    return "" if met is None else paint("ok", "32") if met else paint("MISSED", "31;1")


def goal(row: Row) -> str:
    """A row's target as text."""
    if row.target is None:
        return ""
    return f"{'>=' if row.at_least else '<='} {figure(row.target)}"


def paint(text: str, code: str) -> str:
    """Colour, on a terminal alone."""
    return f"\x1b[{code}m{text}\x1b[0m" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


def versions(*packages: str) -> dict[str, str]:
    """What was measured, on what."""
    found = {"Python": platform.python_version()}
    for package in ("flask", "werkzeug", "flask-rampart", *packages):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return {**found, "CPU": _processor(), "kernel": platform.release()}


def _processor() -> str:
    count = os.cpu_count()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {count} processors"


def heading(title: str, about: dict[str, str]) -> None:
    """Prints what follows and what it was measured with."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(paint(title, "1"))
    print("  " + ", ".join(f"{name} {value}" for name, value in about.items()))
    print(f"  load when it began: {load}\n", flush=True)


def lacking(what: str, group: str) -> None:
    """Says that rows are left out, and how to have them."""
    text = f"{what}: left out. Install the group: pip install --require-hashes -r requirements/{group}.txt"
    print(paint(text, "33"), "\n", sep="", flush=True)


def options(text: str | None, **defaults: int) -> argparse.ArgumentParser:
    """The arguments that all benches have, and numbers of their own."""
    parser = argparse.ArgumentParser(description=(text or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--strict", action="store_true", help="exit code 1 when a target is missed")
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=value, help=f"default {value}")
    return parser


def conclude(arguments: argparse.Namespace, about: dict[str, str], rows: Sequence[Row]) -> int:
    """Writes the JSON that was asked for; the exit code."""
    missed = [row for row in rows if row.met is False]
    judged = sum(row.met is not None for row in rows)
    if judged:
        print(f"\n{judged - len(missed)} of {judged} targets met.")
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        written = [{**asdict(row), "met": row.met} for row in rows]
        text = json.dumps({"versions": about, "rows": written}, indent=1)
        arguments.json.write_text(text + "\n", encoding="utf-8")
    return 1 if missed and arguments.strict else 0
