"""The edge's own answers: steps that decide whatever the route, and fields that rooms send beside the policy's."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.test import Client

from flask_rampart import Clock, EdgePolicy, RampartMiddleware
from flask_rampart.edge import Reply
from flask_rampart.errors import Denied
from flask_rampart.exchange import Exchange
from flask_rampart.opening import TableInUse


def _client(*steps: Any, sent: list[tuple[str, str]] | None = None, **settings: Any) -> Client:
    policy = EdgePolicy.of({"RAMPART_LIMIT_STORE": "memory://", "RAMPART_ACCESS_LOG": "off", **settings}, name="edge")
    policy.steps = steps

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), *(sent or [])])
        return [environ.get("REMOTE_ADDR", "").encode()]

    return Client(RampartMiddleware(app, policy))


def test_a_step_answers_refuses_or_lets_go_on() -> None:
    def step(environ: dict[str, Any], exchange: Exchange) -> Denied | Reply | None:
        path = environ["PATH_INFO"]
        if path == "/moved":
            return Reply(308, (("Location", "https://api.example/moved"),))
        return Denied.of("request.malformed") if path == "/wrong" else None

    client = _client(step)
    moved = client.get("/moved")
    assert (moved.status, moved.headers["Location"], moved.data) == (
        "308 Permanent Redirect",
        "https://api.example/moved",
        b"",
    )
    # What the edge answers has the policy's headers too.
    assert moved.headers["X-Content-Type-Options"] == "nosniff" and moved.headers["Content-Length"] == "0"
    assert client.get("/wrong").json["code"] == "request.malformed"
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_without_a_body_has_no_length(method: str) -> None:
    answer = _client(lambda environ, exchange: Reply(204, ())).open("/", method=method)
    assert answer.status_code == 204 and "Content-Length" not in answer.headers


def test_what_rooms_send_is_sent_once_and_the_apps_own_stays() -> None:
    def step(environ: dict[str, Any], exchange: Exchange) -> None:
        exchange.sends = (("X-One", "room"), ("x-two", "room"), ("Vary", "Origin"))

    answer = _client(step, sent=[("X-Two", "app"), ("Vary", "Cookie")]).get("/")
    assert answer.headers.getlist("X-One") == ["room"]
    assert answer.headers.getlist("X-Two") == ["app"]
    assert answer.headers.getlist("Vary") == ["Cookie", "Origin"]


def test_what_is_true_of_a_request_is_settled_before_all_else() -> None:
    seen: list[str] = []
    step: Any = lambda environ, exchange: seen.append(environ.get("REMOTE_ADDR", ""))  # noqa: E731
    client = _client(step, RAMPART_TRUSTED_PROXIES="127.0.0.1")
    fields = {"X-Forwarded-For": "192.0.2.7"}
    assert client.get("/", headers=fields, environ_base={"REMOTE_ADDR": "127.0.0.1"}).data == b"192.0.2.7"
    assert seen == ["192.0.2.7"]


def test_an_edge_that_was_told_of_no_proxies_believes_nobody() -> None:
    settings: dict[str, Any] = {"RAMPART_LIMIT_STORE": "memory://", "RAMPART_ACCESS_LOG": "off"}
    of = EdgePolicy.of(settings, name="edge")
    policy = EdgePolicy(headers=of.headers, max_body=9, access_log=of.access_log, limits=None)

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str("HTTP_X_FORWARDED_FOR" in environ).encode()]

    answer = Client(RampartMiddleware(app, policy)).get("/", headers={"X-Forwarded-For": "192.0.2.7"})
    assert answer.data == b"False"


def test_of_first_requests_that_come_at_once_one_opens_the_limits() -> None:
    settings: dict[str, Any] = {"RAMPART_LIMIT_STORE": "memory://", "RAMPART_ACCESS_LOG": "off"}
    of = EdgePolicy.of(settings, name="edge")
    begun, goes_on = threading.Event(), threading.Event()
    opened: list[int] = []

    def opens() -> None:
        if not opened:
            opened.append(0)
            raise TableInUse("somebody has it")  # at the start
        opened.append(len(opened))
        begun.set()
        goes_on.wait(60)

    policy = EdgePolicy(headers=of.headers, max_body=9, access_log=of.access_log, open_limits=opens)
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(policy.find_limits) for _ in range(8)]
        assert begun.wait(60)
        goes_on.set()
        for each in found:
            each.result()
    assert opened == [0, 1]


def test_what_a_step_refuses_counts_against_the_limit_of_an_address_and_what_it_answers_does_not() -> None:
    def step(environ: dict[str, Any], exchange: Exchange) -> Denied | Reply | None:
        if environ["PATH_INFO"] == "/moved":
            return Reply(308, (("Location", "https://api.example/moved"),))
        return Denied.of("host.unknown") if environ["PATH_INFO"] == "/wrong" else None

    config = {"RAMPART_LIMIT_STORE": "memory://", "RAMPART_ACCESS_LOG": "off", "RAMPART_LIMITS": "2/minute"}
    policy = EdgePolicy.of(config, name="counting", clock=Clock.manual(1_800_000_000))
    policy.steps = (step,)
    client = Client(RampartMiddleware(lambda environ, start: start("200 OK", []) and [], policy))
    assert [client.get("/moved").status_code for _ in range(3)] == [308, 308, 308]
    assert [client.get("/wrong").status_code for _ in range(3)] == [421, 421, 429]
    assert "Retry-After" in client.get("/wrong").headers
