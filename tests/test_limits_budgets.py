"""Costs that are known only afterwards: reserved, settled, streamed; on this host's counters and in Redis."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from flask import Flask, Response, request

from flask_rampart import Clock, ConfigError, Rampart
from flask_rampart.limits import Reservation

View = Callable[[Rampart], Any]


@pytest.fixture(name="serve", params=["memory", "redis", "leases"])
def serving(request: pytest.FixtureRequest, clock: Clock) -> Callable[..., Flask]:
    """Makes an app with one view at ``/``, which is given the Rampart."""
    config: dict[str, Any] = {"RAMPART_LIMIT_STORE": "memory://"}
    if request.param != "memory":
        server = request.getfixturevalue("redis_server")
        client = redis.Redis.from_url(server.url)
        client.flushall()
        client.close()
        config = {"RAMPART_LIMIT_STORE": server.url, "RAMPART_LIMIT_STORE_TIMEOUT": 2, "SECRET_KEY": "s"}
        if request.param == "leases":
            config["RAMPART_LIMIT_LEASE"] = 1

    def make(view: View, **more: Any) -> Flask:
        app = Flask(__name__)
        app.config.update(RAMPART_ACCESS_LOG="off", **config, **more)
        rampart = Rampart(app, clock=clock)
        app.add_url_rule("/", view_func=lambda: view(rampart), methods=["GET", "POST"])
        return app

    return make


def words(rampart: Rampart, count: int = 4, quota: str = "100/day fixed", cost: int = 40) -> Response:
    """So many words of ten cells each."""
    budget = rampart.reserve(quota, cost=cost)
    return Response(budget.stream((f"w{n} " for n in range(count)), cost=lambda _: 10))


def get(app: Flask, **more: Any) -> Any:
    return app.test_client().get("/", **more)


def remaining(answer: Any) -> int:
    return int(answer.headers["RateLimit"].split("r=")[1].split(";")[0])


def test_an_estimate_is_taken_and_the_rest_given_back(serve: Callable[..., Flask]) -> None:
    def view(rampart: Rampart) -> str:
        budget = rampart.reserve("100/day fixed", cost=40)
        budget.settle(10)
        return "ok"

    app = serve(view)
    # The fields say what the estimate left.
    assert [remaining(get(app)) for _ in range(3)] == [60, 50, 40]


def test_what_is_never_settled_stays_as_it_was_estimated(serve: Callable[..., Flask]) -> None:
    app = serve(lambda rampart: str(rampart.reserve("100/day fixed", cost=40).reserved))
    assert [get(app).status_code for _ in range(3)] == [200, 200, 429]


def test_a_refusal_says_which_budget_is_spent_and_when_to_come_back(serve: Callable[..., Flask]) -> None:
    app = serve(lambda rampart: str(rampart.reserve("100/hour; 1000/day fixed", cost=60).reserved))
    get(app)
    refused = get(app)
    assert (refused.status_code, refused.json["code"]) == (429, "limit.exceeded")
    assert refused.json["violated-policies"] == ["100/hour"]
    assert refused.headers["Retry-After"] == "720"
    assert remaining(refused) == 40
    assert refused.headers["RateLimit"].startswith('"100/hour"')


def test_a_refusal_tells_of_the_limit_that_refused(serve: Callable[..., Flask]) -> None:
    # Though another has fewer left.
    app = serve(
        lambda rampart: str(rampart.reserve("10000/minute burst 10000", cost=6000).reserved), RAMPART_LIMITS="50/second"
    )
    get(app)
    refused = get(app)
    assert refused.json["violated-policies"] == ["10000/minute"]
    assert refused.headers["RateLimit"].startswith('"10000/minute"')


def test_the_first_request_of_a_small_budget_is_served(serve: Callable[..., Flask]) -> None:
    # BerriAI/litellm#29191: the default estimate was above small limits, so the first request was refused.
    app = serve(lambda rampart: str(rampart.reserve("100/day fixed", cost=1024).reserved))
    assert [get(app).status_code for _ in range(2)] == [200, 429]


def test_requests_at_once_cannot_overrun_a_budget(serve: Callable[..., Flask]) -> None:
    # BerriAI/litellm#18730: usage was noted when a call was over, so five at once used 663 of 100.
    barrier = threading.Barrier(2)
    spent = [0]

    def view(rampart: Rampart) -> str:
        with rampart.reserve("100/day fixed", cost=50) as budget:
            barrier.wait(20)
            budget.add(50)
            spent[0] += 50
        return "ok"

    app = serve(view)
    with ThreadPoolExecutor(10) as pool:
        statuses = sorted(pool.map(lambda _: get(app).status_code, range(10)))
    assert statuses == [200] * 2 + [429] * 8
    assert spent[0] == 100


def test_an_estimate_of_nothing_is_settled_all_the_same(serve: Callable[..., Flask]) -> None:
    # BerriAI/litellm#35422: what was counted as zero before was never enforced.
    def view(rampart: Rampart) -> str:
        rampart.reserve("100/day fixed", cost=int(request.args.get("cost", 0))).settle(60)
        return "ok"

    app = serve(view)
    get(app)
    get(app)
    assert get(app, query_string={"cost": 1}).status_code == 429


def test_what_was_more_than_estimated_is_owed(serve: Callable[..., Flask], clock: Clock) -> None:
    def view(rampart: Rampart) -> str:
        rampart.reserve("100/day fixed", cost=10).settle(int(request.args["spent"]))
        return "ok"

    app = serve(view)
    assert get(app, query_string={"spent": 150}).status_code == 200
    assert get(app, query_string={"spent": 1}).status_code == 429


def test_a_stream_pays_for_what_it_sent(serve: Callable[..., Flask]) -> None:
    app = serve(lambda rampart: words(rampart, 2))
    first = get(app)
    assert remaining(first) == 60 and first.text == "w0 w1 "
    assert remaining(get(app, buffered=True)) == 40, "two words of ten, and the next estimate"


def test_a_client_that_goes_away_pays_for_what_it_got(serve: Callable[..., Flask]) -> None:
    app = serve(lambda rampart: words(rampart, 9))
    answer = get(app)
    chunks = iter(answer.response)
    next(chunks)
    answer.close()
    again = get(app)
    # One or two words: werkzeug's client reads one ahead.
    assert remaining(again) in (40, 50)
    again.close()


def test_a_stream_that_breaks_pays_for_what_it_sent(serve: Callable[..., Flask]) -> None:
    def view(rampart: Rampart) -> Response:
        budget = rampart.reserve("100/day fixed", cost=40)
        return Response(budget.stream((f"{1 // n}" for n in (1, 0)), cost=lambda _: 10))

    app = serve(view)
    with pytest.raises(ZeroDivisionError):
        get(app).get_data()
    answer = get(app)
    assert remaining(answer) == 50
    answer.close()


def test_a_stream_that_is_never_begun_costs_nothing(serve: Callable[..., Flask]) -> None:
    app = serve(lambda rampart: words(rampart))
    for _ in range(5):
        assert app.test_client().head("/").status_code == 200
    answer = get(app)
    assert remaining(answer) == 60
    answer.close()


def test_a_stream_whose_response_was_replaced_costs_nothing(serve: Callable[..., Flask]) -> None:
    app = serve(lambda rampart: words(rampart))
    app.after_request(lambda response: Response("other") if request.args else response)
    for _ in range(5):
        assert get(app, query_string={"other": 1}).text == "other"
    answer = get(app)
    assert remaining(answer) == 60
    answer.close()


def test_a_stream_beyond_its_estimate_is_charged_while_it_goes_on(serve: Callable[..., Flask]) -> None:
    def view(rampart: Rampart) -> Response:
        budget = rampart.reserve("100/day fixed", cost=int(request.args["cost"]))
        return Response(budget.stream(iter(["x"] * 9), cost=lambda _: 10))

    app = serve(view)
    slow = get(app, query_string={"cost": 20})
    chunks = iter(slow.response)
    for _ in range(6):
        next(chunks)
    assert get(app, query_string={"cost": 50}).status_code == 429
    slow.close()


def test_streams_close_what_they_are_made_of(serve: Callable[..., Flask]) -> None:
    ended: list[str] = []

    def model() -> Iterator[str]:
        try:
            yield from "abc"
        finally:
            ended.append("model")

    def view(rampart: Rampart) -> Response:
        return Response(rampart.reserve("100/day fixed", cost=3).stream(model(), cost=len))

    answer = get(serve(view))
    next(iter(answer.response))
    answer.close()
    answer.close()
    assert ended == ["model"]


def test_with_settles_what_was_noted_and_keeps_the_estimate_where_nothing_was(serve: Callable[..., Flask]) -> None:
    def view(rampart: Rampart) -> str:
        with rampart.reserve("100/day fixed", cost=40) as budget:
            for _ in range(int(request.args["words"])):
                budget.add(5)
        return "ok"

    app = serve(view)
    assert remaining(get(app, query_string={"words": 1})) == 60
    assert remaining(get(app, query_string={"words": 0})) == 55
    assert remaining(get(app, query_string={"words": 2})) == 15


@pytest.mark.parametrize("cost", [-1, True, 1.5, "4", None, float("nan"), float("inf")])
def test_what_is_no_number_of_cells_is_refused(serve: Callable[..., Flask], cost: Any) -> None:
    problems: list[str] = []

    def view(rampart: Rampart) -> str:
        for ask in (
            lambda: rampart.reserve("100/day fixed", cost=cost),
            lambda: rampart.reserve("100/day fixed", cost=1).settle(cost),
            lambda: rampart.reserve("100/day fixed", cost=1).add(cost),
        ):
            with pytest.raises(ValueError, match="whole number of at least 0"):
                ask()
            problems.append("refused")
        return "ok"

    assert get(serve(view)).status_code == 200
    assert problems == ["refused"] * 3


def test_a_whole_number_may_be_written_as_json_schema_allows(serve: Callable[..., Flask]) -> None:
    # {"n": 4.0} is an "integer".
    def view(rampart: Rampart) -> str:
        budget: Reservation = rampart.reserve("100/day fixed", cost=request.get_json()["n"])
        budget.settle(4.0)  # type: ignore[arg-type]
        return "ok"

    app = serve(view)
    assert remaining(app.test_client().post("/", json={"n": 4.0})) == 96


def test_a_scope_is_shared_and_without_one_each_route_has_its_own(serve: Callable[..., Flask]) -> None:
    scopes: list[str | None] = ["chat"]

    def view(rampart: Rampart) -> str:
        rampart.reserve("100/day fixed", cost=60, scope=scopes[0])
        return "ok"

    app = serve(view)
    app.add_url_rule("/other", view_func=app.view_functions[next(iter(set(app.view_functions) - {"static"}))])
    client = app.test_client()
    assert [client.get(path).status_code for path in ("/", "/other")] == [200, 429]
    scopes[0] = None
    assert [client.get(path).status_code for path in ("/", "/other", "/")] == [200, 200, 429]


def test_a_budget_has_its_callers_own_counter(serve: Callable[..., Flask]) -> None:
    def view(rampart: Rampart) -> str:
        rampart.reserve("100/day fixed", cost=60, by="address")
        return "ok"

    app = serve(view)
    addresses = ("192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1", "2001:db8::1", "2001:db8::2")
    found = [get(app, environ_base={"REMOTE_ADDR": address}).status_code for address in addresses]
    assert found == [200, 200, 429, 200, 429]


@pytest.mark.parametrize(
    ("quota", "why"),
    [("5 concurrent", "above a view"), ("5/fortnight", "cannot be read"), (5, "Write rampart"), ("", "cannot be read")],
)
def test_a_quota_that_cannot_be_meant_is_said(serve: Callable[..., Flask], quota: Any, why: str) -> None:
    def view(rampart: Rampart) -> str:
        with pytest.raises(ConfigError, match=why):
            rampart.reserve(quota, cost=1)
        return "said"

    assert get(serve(view)).text == "said"


def test_outside_of_a_request_there_is_nobody_to_charge(serve: Callable[..., Flask]) -> None:
    held: list[Rampart] = []
    app = serve(lambda rampart: str(held.append(rampart)))
    get(app)
    with pytest.raises(RuntimeError, match="context"):
        held[0].reserve("1/day", cost=1)
