"""The quota that an API key has of its own and the limits of a view: a request is charged to all of them or to none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask, request

from flask_rampart import Clock, Denied, limit, require
from flask_rampart.apikeys import ApiKeys

from .conftest import bearer
from .servers import Redis

Make = Callable[..., Flask]
Sign = Callable[..., str]


@pytest.fixture(params=["memory", "shm", "redis", "leases"], name="app")
def an_app(make_app: Make, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    settings: dict[str, Any] = {"RAMPART_LIMIT_STORE": "memory://"}
    if request.param == "shm":
        (tmp_path / "counters").mkdir(mode=0o700)
        settings["RAMPART_LIMIT_STORE"] = f"shm://{tmp_path}/counters"
    elif request.param != "memory":
        server: Redis = request.getfixturevalue("redis_server")
        redis.Redis.from_url(server.url).flushall()
        settings["RAMPART_LIMIT_STORE"] = server.url + ("?lease=1" if request.param == "leases" else "")
        settings["RAMPART_LIMIT_STORE_TIMEOUT"] = 2
    app = make_app(RAMPART_API_KEYS=True, RAMPART_STORE="memory://", SECRET_KEY="k" * 32, TESTING=True, **settings)
    with app.app_context():
        yield app


@pytest.fixture(name="keys")
def the_keys(app: Flask) -> ApiKeys:
    service: ApiKeys = app.extensions["rampart"].services[ApiKeys]
    return service


def ask(app: Flask, key: str, path: str = "/") -> int:
    with app.test_client().get(path, headers={"X-API-Key": key}) as response:
        return response.status_code


ORDERS: list[Callable[[Any, Any], Any]] = [
    lambda guard, limited: guard(limited(lambda: "ok")),
    lambda guard, limited: limited(guard(lambda: "ok")),
]


@pytest.mark.parametrize("order", ORDERS, ids=["require first", "limit first"])
@pytest.mark.parametrize(
    "more", [{}, {"methods": ["GET"]}, {"count": lambda response: True}], ids=["all", "methods", "count"]
)
def test_what_a_limit_refuses_is_not_charged_to_the_key(
    app: Flask, keys: ApiKeys, order: Callable[[Any, Any], Any], more: dict[str, Any]
) -> None:
    app.get("/")(order(require(), limit("2/year", by="principal", **more)))
    app.get("/free")(require()(lambda: "ok"))
    key = keys.create("ci", quota="5/year").key
    assert [ask(app, key) for _ in range(10)] == [200] * 2 + [429] * 8
    # Of five, two were spent.
    assert [ask(app, key, "/free") for _ in range(4)] == [200] * 3 + [429]


@pytest.mark.parametrize("order", ORDERS, ids=["require first", "limit first"])
def test_what_the_key_s_quota_refuses_is_not_charged_to_a_limit(
    app: Flask, keys: ApiKeys, order: Callable[[Any, Any], Any]
) -> None:
    app.get("/")(order(require(), limit("5/year", by="principal")))
    small, free = keys.create("a", owner="ada", quota="2/year").key, keys.create("b", owner="ada").key
    assert [ask(app, small) for _ in range(10)] == [200] * 2 + [429] * 8
    # The other key of the same person has what is left of five.
    assert [ask(app, free) for _ in range(4)] == [200] * 3 + [429]


def test_the_refusal_says_which_it_was(app: Flask, keys: ApiKeys) -> None:
    app.get("/")(require()(limit("5/year", by="principal")(lambda: "ok")))
    key = keys.create("ci", quota="1/year").key
    first, second = (app.test_client().get("/", headers={"X-API-Key": key}) for _ in range(2))
    assert first.headers["RateLimit"].startswith('"1/year";r=0')
    assert second.json["violated-policies"] == ["1/year"]


def test_keys_of_one_quota_count_by_themselves(app: Flask, keys: ApiKeys) -> None:
    app.get("/")(require()(limit("9/year", by="claim:none")(lambda: "ok")))
    one, other = keys.create("a", quota="1/year").key, keys.create("b", quota="1/year").key
    assert [ask(app, one), ask(app, one), ask(app, other), ask(app, other)] == [200, 429, 200, 429]


def test_limits_that_do_not_count_a_request_leave_the_key_s_quota_in_force(app: Flask, keys: ApiKeys) -> None:
    app.get("/")(require()(limit("9/year", by="principal", methods=["POST"])(lambda: "ok")))
    app.get("/exempt")(require()(limit("9/year", by="principal", unless=lambda: True)(lambda: "ok")))
    app.get("/plan")(require()(limit(lambda: "unlimited", by="principal")(lambda: "ok")))
    app.get("/tried")(require()(limit("9/year", by="principal", mode="report")(lambda: "ok")))
    app.get("/address")(require()(limit("9/year")(lambda: "ok")))
    key = keys.create("ci", quota="5/year").key
    paths = ["/", "/exempt", "/plan", "/tried", "/address", "/", "/exempt", "/plan", "/tried", "/address"]
    assert [ask(app, key, path) for path in paths] == [200] * 5 + [429] * 5


def test_a_report_is_not_charged_to_the_key(app: Flask, keys: ApiKeys) -> None:
    app.get("/")(require()(limit("1/year", by="principal", mode="report")(lambda: "ok")))
    key = keys.create("ci", quota="3/year").key
    assert [ask(app, key) for _ in range(4)] == [200] * 3 + [429]


def test_views_that_call_each_other_use_the_key_s_quota_once(app: Flask, keys: ApiKeys) -> None:
    inner = require()(limit("99/year", by="principal")(lambda: "ok"))
    app.get("/")(require()(limit("99/year", by="principal")(lambda: inner() + inner())))
    app.get("/bare")(require()(lambda: inner() + inner()))
    key = keys.create("ci", quota="2/year").key
    assert [ask(app, key), ask(app, key, "/bare"), ask(app, key), ask(app, key, "/bare")] == [200, 200, 429, 429]


def test_who_catches_a_refusal_cannot_go_on_with_the_key(app: Flask, keys: ApiKeys) -> None:
    guarded = require()(limit("99/year", by="principal")(lambda: "ok"))

    def view() -> str:
        for _ in range(3):
            try:
                return str(guarded())
            except Denied as denied:
                last = denied.problem.code
        return last

    app.get("/")(view)
    key = keys.create("ci", quota="1/year").key
    said = [app.test_client().get("/", headers={"X-API-Key": key}).text for _ in range(2)]
    assert said == ["ok", "limit.exceeded"]


def test_what_succeeds_is_given_back_to_the_limit_and_not_to_the_key(app: Flask, keys: ApiKeys) -> None:
    app.get("/")(require()(limit("1/year", by="principal", count="failures")(lambda: "ok")))
    key = keys.create("ci", quota="3/year").key
    assert [ask(app, key) for _ in range(4)] == [200] * 3 + [429]


def test_what_is_in_progress_goes_with_the_key_s_quota(app: Flask, keys: ApiKeys) -> None:
    key = keys.create("ci", quota="3/year").key
    inside: list[int] = []

    def view() -> str:
        if request.args:
            inside.append(ask(app, key))
        return "ok"

    app.get("/")(require()(limit("1 concurrent", by="principal")(view)))
    # The one inside is refused, and costs the key nothing.
    assert [ask(app, key, "/?inside=1") for _ in range(4)] == [200] * 3 + [429]
    assert inside == [429] * 3


def test_tokens_and_keys_without_a_quota_are_counted_as_ever(app: Flask, keys: ApiKeys, token: Sign) -> None:
    app.get("/")(require()(limit("2/year", by="principal")(lambda: "ok")))
    client = app.test_client()
    assert [client.get("/", headers=bearer(token())).status_code for _ in range(3)] == [200, 200, 429]
    free = keys.create("ci").key
    assert [ask(app, free) for _ in range(3)] == [200, 200, 429]


def test_threads_spend_neither_more_nor_less_than_there_is(app: Flask, keys: ApiKeys, clock: Clock) -> None:
    app.get("/")(require()(limit("20/year", by="principal")(lambda: "ok")))
    app.get("/free")(require()(lambda: "ok"))
    key = keys.create("ci", quota="30/year").key
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: ask(app, key), range(60)))
    if "lease=" in app.config["RAMPART_LIMIT_STORE"]:
        # What one thread was given while all others were refused is there for whoever comes next, or when it was given back.
        assert said.count(200) <= 20
        idle_is_back(clock)
        said += [ask(app, key) for _ in range(5)]
        idle_is_back(clock)
    assert said.count(200) == 20
    assert [ask(app, key, "/free") for _ in range(11)] == [200] * 10 + [429]


def idle_is_back(clock: Clock) -> None:
    """What a host holds of a lease of a second is given back, and refusals are forgotten."""
    for _ in range(2):
        clock.advance(0.7)
        time.sleep(0.3)  # its thread goes by the machine's clock
