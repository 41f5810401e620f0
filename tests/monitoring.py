"""What tests of the monitor share: an app with things to attack, and an hour of ordinary traffic.

The hour is made from a seed, so that it is the same in each run: hundreds of people at home, on the move and in offices
behind one address, a search engine's crawler, a job at night, a health check, clients with mistakes in them, and a
deploy with five minutes of 500s.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from flask import Flask, abort, request

from flask_rampart import Clock, Finding, Rampart, audit, require, validate
from flask_rampart._native import Monitor as NativeMonitor
from flask_rampart._native import Sight
from flask_rampart.monitor import DETECTORS, Monitor
from flask_rampart.testing import RampartClient

from .conftest import KEYS, NOW, Named

App = Callable[..., Flask]
Seen = tuple[float, dict[str, Any]]
HOUR = 3600
BODY = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "minimum": 0}},
}

MISTAKES: list[dict[str, Any]] = [
    {"json": {}},
    {"json": {"name": 1}},
    {"json": {"name": "x" * 99}},
    {"json": {"name": "x", "age": -1}},
    {"json": {"name": "x", "age": "y"}},
    {"json": {"name": "x", "more": 1}},
    {"json": []},
    {"data": b"{", "content_type": "application/json"},
    {"data": b'{"a":1,"a":2}', "content_type": "application/json"},
    {"data": b"x", "content_type": "text/plain"},
    {"data": b'"\xff"', "content_type": "application/json"},
    {"data": b"[" * 200, "content_type": "application/json"},
]
"""Bodies that are each wrong in another way."""


class Reading(RampartClient):
    """A client that reads each answer to its end, as browsers do: only then has it ended."""

    def open(self, *args: Any, buffered: bool = True, **given: Any) -> Any:
        return super().open(*args, buffered=buffered, **given)


@pytest.fixture
def watched(tmp_path: Any, clock: Clock) -> App:
    """Makes apps under test with logins, objects and schemas: ``watched(RAMPART_MONITOR="enforce")``."""

    def make(*, rampart: Rampart | None = None, **config: Any) -> Flask:
        app = Named("shop", instance_path=str(tmp_path))
        app.testing = True
        app.test_client_class = Reading
        app.config.update(
            RAMPART_ACCESS_LOG="off",
            RAMPART_JWT_KEYS=KEYS,
            RAMPART_API_KEYS=True,
            RAMPART_STORE=f"sqlite:///{tmp_path}/records.sqlite3",
        )
        app.config.update(config)
        rampart = rampart or Rampart(clock=clock)
        rampart.init_app(app)

        @app.post("/login")
        def login() -> Any:
            account = request.args["account"]
            attempt = rampart.monitor.login(account)
            if request.args.get("password") != f"of {account}":
                abort(401)
            if not attempt.step_up:
                attempt.succeeded()
            return {"step_up": attempt.step_up}

        @app.post("/refresh")
        def refresh() -> Any:
            return rampart.tokens.refresh().response()

        @app.get("/me")
        @require("jwt")
        @audit("me.read")
        def me() -> str:
            return "you"

        @app.get("/machine")
        @require()
        def machine() -> str:
            return "it"

        @app.get("/docs/<int:number>")
        @require()
        def document(number: int) -> str:
            if number > 10_000:
                abort(404)
            return "x" * 200

        @app.get("/pages/<int:number>")
        def page(number: int) -> str:
            return "page"

        @app.get("/export")
        @require()
        def export() -> bytes:
            return b"x" * 4_000_000

        @app.post("/people")
        @validate(body=BODY)
        def people() -> str:
            return "ok"

        for place in range(12):
            app.add_url_rule(f"/admin/{place}", f"admin{place}", require(scopes="admin")(lambda: "ok"))
        app.get("/")(lambda: "ok")
        app.get("/broken")(lambda: 1 / 0)
        app.config["PROPAGATE_EXCEPTIONS"] = False
        return app

    return make


def monitor_of(app: Flask) -> Monitor:
    """The app's monitor."""
    found: Monitor = app.extensions["rampart"].services[Monitor]
    return found


def found(app: Flask) -> list[Finding]:
    """What was found, the oldest first."""
    return monitor_of(app).recent(1000)[::-1]


def rules(app: Flask) -> list[str]:
    """The rules that found something, in order."""
    return [finding.rule for finding in found(app)]


def at(address: str, **more: Any) -> dict[str, Any]:
    """What a request from an address is made with."""
    return {"environ_base": {"REMOTE_ADDR": address}, **more}


def engine(**more: Any) -> NativeMonitor:
    """The engine with the detectors of the package."""
    return NativeMonitor(
        [detector.native() for detector in DETECTORS],
        Clock.manual(NOW),
        bytes=8 << 20,
        seed=b"16 bytes of tests"[:16],
        **more,
    )


def through(monitor: NativeMonitor, traffic: Iterable[Seen]) -> list[str]:
    """What the engine finds in traffic: each rule with whom it is about."""
    return [
        f"{DETECTORS[number].name}: {kind} {subject}"
        for time, sight in traffic
        for number, kind, subject, *_ in monitor.note(Sight(**sight, unix=time))
    ]


# --- An ordinary hour ---


def ordinary(seed: int, start: float = NOW, people: int = 300) -> Iterator[Seen]:
    """An hour of ordinary traffic, in the order of time."""
    chance = random.Random(seed)
    deploy = start + chance.uniform(600, 3000)
    sources = [_person(random.Random(f"{seed} {number}"), number, start) for number in range(people)]
    sources += [
        _crawler(random.Random(f"{seed} crawler"), start),
        _nightly(random.Random(f"{seed} job"), start),
        _health(start),
        _expired(start),
        _limited(random.Random(f"{seed} limited"), start),
    ]
    for time, _, sight in heapq.merge(
        *((((time, number, sight) for time, sight in source)) for number, source in enumerate(sources)),
        key=lambda each: each[:2],
    ):
        # While it is deployed, everybody gets 500s.
        if deploy <= time < deploy + 300:
            sight = {**sight, "status": 500, "codes": [], "login": False if "login" in sight else None}
            if sight["login"] is None:
                del sight["login"]
            else:
                # The app has not said that it failed: no answer is no wrong password.
                del sight["login"], sight["account"]
        yield time, sight


def _person(chance: random.Random, number: int, start: float) -> Iterator[Seen]:
    name = f"person-{number}"
    kind = number % 10
    mobile = kind in (0, 1)
    home = f"198.51.{number % 100}.{number // 100 + 1}"
    six = f"2001:db8:{number:x}::1"
    # Four of ten are in one of four offices, behind one address each.
    address = f"203.0.113.{number % 4}" if kind in (2, 3, 4, 5) else home
    time = start + chance.uniform(0, 2400)
    end = min(start + HOUR, time + chance.uniform(300, 2400))
    # One in eight mistypes the password, and some forget it.
    if kind != 9:
        wrong = chance.choice((1, 1, 2, 3, 5)) if chance.random() < 0.12 else 0
        for attempt in range(wrong + 1):
            ok = attempt == wrong
            yield (
                time,
                {
                    "status": 200 if ok else 401,
                    "route": "/login",
                    "path": "/login",
                    "address": address,
                    "account": name,
                    "login": ok,
                },
            )
            time += chance.uniform(3, 20)
    token, renewed, moved = 0, time, time
    while time < end:
        if time - renewed > 900:
            token, renewed = token + 1, time
        if mobile and time - moved > chance.uniform(200, 900):
            # From the wireless network into that of the phone, and back.
            moved = time
            address = home if address != home else f"100.64.{chance.randrange(4)}.{number % 250}"
        # Who has IPv6 as well uses both, as it comes.
        source = six if kind in (6, 7) and chance.random() < 0.5 else address
        yield time, _request(chance, source, name if kind != 9 else None, f"{name}-{token}")
        time += chance.expovariate(1 / 12)


def _request(chance: random.Random, address: str, name: str | None, token: str) -> dict[str, Any]:
    sight: dict[str, Any] = {
        "status": 200,
        "route": "/docs/<int:number>",
        "path": f"/docs/{chance.randrange(400)}",
        "address": address,
        "size": int(chance.lognormvariate(9, 1)),
    }
    if name is not None:
        sight.update(principal=name, token=token)
    draw = chance.random()
    if draw < 0.01:
        sight.update(status=404)
    elif draw < 0.015:
        sight.update(status=403, codes=["auth.scope"], path="/admin/1")
    elif draw < 0.03:
        reason = chance.choice(("/name: required", "/age: type", "/name: maxLength"))
        sight.update(status=422, codes=["body.invalid"], route="/people", path="/people", reason=reason)
    elif draw < 0.035:
        sight.update(status=404, route=None, path=chance.choice(("/favicon.ico", "/apple-touch-icon.png", "/old")))
    elif draw < 0.04:
        sight.update(status=401, codes=["token.expired"])
    return sight


def _crawler(chance: random.Random, start: float) -> Iterator[Seen]:
    time, page = start, 0
    while time < start + HOUR:
        page += 1
        gone = chance.random() < 0.05
        path = f"/pages/{page}" if not gone else f"/gone/{page}"
        yield (
            time,
            {
                "status": 404 if gone else 200,
                "route": None if gone else "/pages/<int:number>",
                "path": path,
                "address": "66.249.66.1",
                "size": 20_000,
            },
        )
        time += chance.uniform(0.5, 1.5)


def _nightly(chance: random.Random, start: float) -> Iterator[Seen]:
    time = start + 120
    for number in range(5000):
        yield (
            time,
            {
                "status": 200,
                "route": "/docs/<int:number>",
                "path": f"/docs/{number}",
                "address": "192.0.2.200",
                "principal": "nightly-export",
                "size": 40_000,
            },
        )
        time += chance.uniform(0.2, 0.5)


def _health(start: float) -> Iterator[Seen]:
    for number in range(HOUR // 5):
        # By the address and not the host's name, so it is refused; each time alike.
        sight = {"status": 400, "codes": ["host.unknown"], "path": "/health", "address": "10.0.0.2", "reason": "host"}
        yield start + number * 5 + 0.5, sight


def _expired(start: float) -> Iterator[Seen]:
    for number in range(HOUR // 10):
        yield (
            start + number * 10 + 0.25,
            {
                "status": 401,
                "codes": ["token.expired"],
                "route": "/me",
                "path": "/me",
                "address": "198.51.100.250",
            },
        )


def _limited(chance: random.Random, start: float) -> Iterator[Seen]:
    time = start + 60
    for number in range(600):
        over = number % 6 == 5
        yield (
            time,
            {
                "status": 429 if over else 200,
                "codes": ["limit.exceeded"] if over else [],
                "route": "/docs/<int:number>",
                "path": f"/docs/{number % 50}",
                "address": "198.51.100.251",
                "principal": "eager",
                "token": "eager",
            },
        )
        time += chance.uniform(1, 4)
