"""What a request costs: fixed, computed, only if it fails, or known only afterwards."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_rampart import Clock, ConfigError, limit, require, validate

App = Callable[..., Flask]


@pytest.fixture(name="quiet")
def quiet_app(make_app: App) -> App:
    """An app that answers 500 instead of raising into the test."""

    def make(**config: Any) -> Flask:
        return make_app(TESTING=False, PROPAGATE_EXCEPTIONS=False, **config)

    return make


def codes(app: Flask, count: int, path: str = "/", **more: Any) -> list[int]:
    return [app.test_client().get(path, **more).status_code for _ in range(count)]


def test_a_request_may_cost_more_than_one(make_app: App, clock: Clock) -> None:
    app = make_app()
    app.get("/")(limit("10/hour", cost=4)(lambda: "ok"))
    assert codes(app, 3) == [200, 200, 429]
    clock.advance(720)
    assert codes(app, 2) == [200, 429]


def test_a_computed_cost_is_taken_whole_or_not_at_all(make_app: App) -> None:
    app = make_app()
    app.get("/")(limit("10/hour", cost=lambda: int(request.args["cost"]))(lambda: "ok"))
    assert [codes(app, 1, f"/?cost={cost}")[0] for cost in (7, 4, 3, 1, 0)] == [200, 429, 200, 429, 200]


@pytest.mark.parametrize("cost", [-1, -100, True, 1.5, "1", None, [], object()])
def test_a_cost_that_cannot_be_meant_refuses_and_refills_nothing(quiet: App, cost: Any) -> None:
    # Flask-Limiter: a cost of -100 gives 100 requests back.
    app = quiet()
    costs: list[Any] = [1, cost]
    app.get("/")(limit("1/hour", cost=lambda: costs.pop(0) if costs else 1)(lambda: "ok"))
    assert codes(app, 3) == [200, 500, 429]


def test_a_cost_that_fails_to_be_computed_refuses(quiet: App) -> None:
    app = quiet()
    app.get("/")(limit("10/hour", cost=lambda: 1 // 0)(lambda: "ok"))
    refused = app.test_client().get("/")
    assert (refused.status_code, refused.json["code"]) == (500, "guard.failed")


@pytest.mark.parametrize(
    ("quota", "cost"), [("10/hour burst 5", 6), ("10/day fixed", 11), ("10/day", -1), ("1/day", True)]
)
def test_a_fixed_cost_that_would_never_pass_stops_the_import(quota: str, cost: int) -> None:
    with pytest.raises(ConfigError, match=r"never admit|at least 0"):
        limit(quota, cost=cost)


@pytest.mark.parametrize("quota", ["10/hour", "10/day fixed", "10/hour sliding"])
def test_what_costs_more_than_there_can_ever_be_is_not_told_to_come_back(make_app: App, quota: str) -> None:
    app = make_app()
    app.get("/")(limit(quota, cost=lambda: 11)(lambda: "ok"))
    refused = app.test_client().get("/")
    assert (refused.status_code, refused.json["code"]) == (400, "limit.too_costly")
    assert "Retry-After" not in refused.headers
    assert refused.json["violated-policies"] == [quota]


# Failures alone.


def test_what_could_never_pass_is_no_strike(make_app: App) -> None:
    app = make_app()
    app.get("/")(limit("10/hour", cost=lambda: int(request.args["cost"]), ban="1 hour after 2")(lambda: "ok"))
    assert codes(app, 5, "/?cost=11") == [400] * 5
    assert codes(app, 1, "/?cost=10") == [200]
    # What was tried too often is.
    answers = [app.test_client().get("/?cost=1").json["code"] for _ in range(3)]
    assert answers == ["limit.exceeded", "limit.exceeded", "limit.banned"]


def test_what_succeeds_is_given_back_and_what_fails_is_not(make_app: App) -> None:
    app = make_app()
    app.get("/")(limit("3/hour", count="failures")(lambda: ("", int(request.args["status"]))))
    for status in (200, 201, 204, 302, 304):
        assert codes(app, 4, f"/?status={status}") == [status] * 4
    assert [codes(app, 1, f"/?status={status}")[0] for status in (400, 401, 404, 200)] == [400, 401, 404, 429]


@pytest.mark.parametrize("how", ["raise", "abort", "handled", "response", "stream", "late", "denied", "invalid"])
def test_however_it_fails_it_has_failed(quiet: App, how: str) -> None:
    app = quiet()

    class Own(HTTPException):
        code = 418

        def get_response(self, *given: Any, **more: Any) -> Any:
            return Response("own", 418)

    def view() -> Any:
        if how == "raise":
            raise ZeroDivisionError
        if how == "abort":
            abort(404)
        if how == "handled":
            raise KeyError
        if how == "response":
            raise Own
        if how == "stream":
            return Response((str(1 // 0) for _ in "a"), 500)
        return "ok"

    guarded: Any = view
    if how == "denied":
        guarded = require()(guarded)
    if how == "invalid":
        guarded = validate(body={"type": "object"})(guarded)
    app.register_error_handler(KeyError, lambda error: ("handled", 400))
    if how == "late":
        app.after_request(lambda response: response if response.status_code == 429 else Response("late", 503))
    app.route("/", methods=["GET", "POST"])(limit("2/hour", count="failures")(guarded))
    statuses = []
    for _ in range(4):
        try:
            statuses.append(app.test_client().get("/").status_code)
        except ZeroDivisionError:
            statuses.append(500)
    assert min(statuses[:2]) >= 400
    assert 429 not in statuses[:2]
    assert statuses[2:] == [429, 429]


def test_a_stream_that_breaks_after_200_was_sent_counts_as_it_was_told(make_app: App) -> None:
    # The client has 200 and a cut-off body. Who needs more counts by a function, or reserves.
    app = make_app()
    app.get("/")(limit("2/hour", count="failures")(lambda: Response(str(1 // n) for n in (1, 0))))
    for _ in range(4):
        answer = app.test_client().get("/")
        assert answer.status_code == 200
        with pytest.raises(ZeroDivisionError):
            answer.get_data()


@pytest.mark.parametrize("is_seen", [True, False])
def test_a_stream_that_breaks_before_its_first_chunk_has_failed(make_app: App, is_seen: bool) -> None:
    # A server sends the head with the first chunk (PEP 3333): the client has 500, whatever the view said.
    app = make_app(RAMPART_MONITOR="report" if is_seen else "off")
    app.get("/")(limit("2/hour", count="failures")(lambda: Response(str(1 // n) for n in (0,))))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            app.test_client().get("/")
    assert app.test_client().get("/").status_code == 429


def test_a_server_that_is_given_another_status_counts_the_last_one(make_app: App) -> None:
    app = make_app()
    inner = app.wsgi_app.app  # type: ignore[attr-defined]
    app.get("/")(limit("2/hour", count="failures")(lambda: "ok"))

    def twice(environ: Any, start_response: Any) -> Any:
        body = inner(environ, start_response)
        start_response("500 INTERNAL SERVER ERROR", [("Content-Length", "2")], (OSError, OSError(), None))
        return body

    app.wsgi_app.app = twice  # type: ignore[attr-defined]
    statuses: list[list[str]] = []
    for _ in range(3):
        told: list[str] = []
        # werkzeug's client takes no second status; servers do (PEP 3333).
        assert list(
            app.wsgi_app(EnvironBuilder("/").get_environ(), lambda status, *_, told=told: told.append(status[:3]))
        )
        statuses.append(told)
    assert statuses == [["200", "500"], ["200", "500"], ["429", "500"]]


@pytest.mark.parametrize("edge", ["full_dispatch_request", "unwrapped", "edge"])
def test_failures_are_counted_also_where_the_edge_does_not_see_the_answer(quiet: App, edge: str) -> None:
    app = quiet()
    inner = Flask.wsgi_app.__get__(app)

    def login() -> Any:
        if request.args.get("how") == "raise":
            raise ZeroDivisionError
        return "ok", int(request.args["status"])

    app.get("/")(limit("2/hour", count="failures")(login))

    def ask(query: str) -> int:
        if edge == "full_dispatch_request":
            with app.test_request_context(f"/?{query}"):
                try:
                    return app.full_dispatch_request().status_code
                except ZeroDivisionError:
                    return 500
        if edge == "unwrapped":
            return int(run_wsgi_app(inner, EnvironBuilder(path="/", query_string=query).get_environ())[1][:3])
        return codes(app, 1, f"/?{query}")[0]

    assert [ask("status=200") for _ in range(4)] == [200] * 4
    assert ask("status=401") == 401
    assert [ask("status=200") for _ in range(4)] == [200] * 4
    assert ask("how=raise") == 500
    assert ask("status=200") == 429


def test_fifty_wrong_passwords_at_once_are_five(make_app: App) -> None:
    # Flask-Limiter's `deduct_when` counts afterwards: 50 of 50 were tried at 5/minute.
    app = make_app()
    barrier, tried, lock = threading.Barrier(5), [0], threading.Lock()

    @app.post("/login")
    @limit("5/minute", count="failures")
    def login() -> tuple[str, int]:
        with lock:
            tried[0] += 1
        barrier.wait(10)
        return "wrong", 401

    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(lambda _: app.test_client().post("/login").status_code, range(50)))
    assert tried[0] == 5
    assert sorted(statuses) == [401] * 5 + [429] * 45


def test_what_another_limit_refuses_is_not_a_failure(make_app: App) -> None:
    app = make_app()
    app.get("/")(limit("2/hour", by=lambda: "all")(limit("3/hour", count="failures")(lambda: "ok")))
    assert codes(app, 8) == [200, 200] + [429] * 6
    assert app.test_client().get("/").json["violated-policies"] == ["2/hour"]


def test_a_slow_success_cannot_save_up_failures(make_app: App, clock: Clock) -> None:
    app = make_app()

    @app.get("/")
    @limit("2/hour", count="failures")
    def view() -> Any:
        return Response(iter(["x"]), int(request.args["status"]))

    client = app.test_client()
    with app.test_request_context("/?status=200"):
        app.preprocess_request()  # taken, and not settled yet
        clock.advance(3600)
        assert [client.get("/?status=401").status_code for _ in range(3)] == [401, 401, 429]
    gc.collect()
    assert client.get("/?status=401").status_code == 429


# Costs that a function says.


@pytest.mark.parametrize(("said", "passes"), [(False, 9), (0, 9), (True, 2), (1, 3), (4, 1)])
def test_a_function_says_what_it_has_cost(make_app: App, said: Any, passes: int) -> None:
    app = make_app()
    app.get("/")(limit("4/hour", cost=2, count=lambda response: said)(lambda: "ok"))
    assert codes(app, 9).count(200) == passes


@pytest.mark.parametrize("said", [-1, None, "1", 1.5])
def test_what_it_cannot_mean_stays_charged(make_app: App, said: Any, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()
    app.get("/")(limit("4/hour", cost=2, count=lambda response: said)(lambda: "ok"))
    assert codes(app, 4) == [200, 200, 429, 429]
    assert "stays charged" in caplog.text


def test_a_function_sees_the_response_of_an_async_view_and_of_head(make_app: App) -> None:
    app = make_app()

    @app.get("/")
    @limit("4/hour", cost=4, count=lambda response: int(response.headers["X-Tokens"]))
    async def view() -> Response:
        return Response("ok", headers={"X-Tokens": "2"})

    client = app.test_client()
    assert [client.head("/").status_code, client.get("/").status_code] == [200, 429]


def test_nothing_is_held_when_a_request_is_over(make_app: App) -> None:
    app = make_app()
    seen: list[weakref.ref[Any]] = []

    @app.get("/")
    @limit("100/hour; 5 concurrent", count=lambda response: True)
    @limit("100/hour", count="failures")
    def view() -> str:
        seen.append(weakref.ref(request._get_current_object()))  # type: ignore[attr-defined]
        return "ok"

    app.test_client().get("/")
    gc.disable()
    try:
        for _ in range(3):
            assert app.test_client().get("/").status_code == 200
        assert seen[1]() is None
    finally:
        gc.enable()
