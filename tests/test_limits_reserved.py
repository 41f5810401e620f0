"""Costs that are known afterwards: reserved before, settled after, and what LiteLLM's limiter got wrong about it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask, Response, request

from flask_rampart import Clock, Rampart, limit
from flask_rampart._native import LimitSet, LimitStore, Quota
from flask_rampart.guards import current_exchange
from flask_rampart.limits import Limits

from .servers import Redis
from .serving import serving

Make = Callable[..., tuple[Flask, Rampart]]
QUOTAS = ["100/year", "100/year fixed", "100/year sliding"]


@pytest.fixture(params=["memory", "shm", "redis"], name="make")
def apps(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """An app and its extension, with counters of each kind."""
    place: dict[str, Any] = {"RAMPART_LIMIT_STORE": "memory://"}
    if request.param == "shm":
        (tmp_path / "counters").mkdir(mode=0o700)
        place = {"RAMPART_LIMIT_STORE": f"shm://{tmp_path}/counters"}
    if request.param == "redis":
        server: Redis = request.getfixturevalue("redis_server")
        redis.Redis.from_url(server.url).flushall()
        place = {"RAMPART_LIMIT_STORE": server.url, "SECRET_KEY": "k" * 32, "RAMPART_LIMIT_STORE_TIMEOUT": 5.0}

    def make() -> tuple[Flask, Rampart]:
        app = Flask("reserved")
        app.config.update(RAMPART_ACCESS_LOG="off", TESTING=True, **place)
        return app, Rampart(app)

    return make


def ask(app: Flask, **arguments: Any) -> Any:
    return app.test_client().get("/", query_string=arguments)


def left(answer: Any) -> int:
    """What the answer says is left."""
    return int(answer.headers["RateLimit"].split(";")[1].removeprefix("r="))


def settling(app: Flask, rampart: Rampart, quota: str) -> None:
    """A view that reserves what it is asked to, and settles it so."""

    @app.get("/")
    def view() -> str:
        budget = rampart.reserve(quota, cost=request.args.get("estimate", 0, int), by="address")
        if "actual" in request.args:
            budget.settle(int(request.args["actual"]))
        return "ok"


@pytest.mark.parametrize("quota", QUOTAS)
def test_calls_at_once_spend_no_more_than_there_is(make: Make, quota: str) -> None:
    # litellm#18730, #5783: five calls at once spent 663 of 100, as what each cost was noted at its end.
    app, rampart = make()
    spent: list[int] = []
    under_way = threading.Barrier(2)

    @app.get("/")
    def view() -> str:
        budget = rampart.reserve(quota, cost=50, by="address")
        under_way.wait(30)  # no two of them are admitted one after the other
        spent.append(47)
        budget.settle(47)
        return "ok"

    with ThreadPoolExecutor(5) as pool:
        statuses = list(pool.map(lambda _: ask(app).status_code, range(5)))
    assert sorted(statuses) == [200, 200, 429, 429, 429]
    assert sum(spent) == 94


def test_the_first_requests_of_all_count_in_one_store(monkeypatch: pytest.MonkeyPatch) -> None:
    # A store in memory that two of them open is two stores, and each admits the quota.
    opened = Limits._open

    def slowly(limits: Limits, *purpose: str) -> LimitStore:
        time.sleep(0.05)
        return opened(limits, *purpose)

    monkeypatch.setattr(Limits, "_open", slowly)
    app = Flask("reserved")
    app.config.update(RAMPART_ACCESS_LOG="off", TESTING=True, RAMPART_LIMIT_STORE="memory://")
    settling(app, Rampart(app), "3/year")
    begin = threading.Barrier(8)

    def first(_: int) -> int:
        begin.wait(30)
        return int(ask(app, estimate=1).status_code)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(first, range(8))) == [200] * 3 + [429] * 5


@pytest.mark.parametrize("quota", QUOTAS)
def test_an_estimate_above_the_quota_does_not_shut_out_the_first_request(make: Make, quota: str) -> None:
    # litellm#29191: an estimate of about 1024 for a quota of fewer, and the first request was refused.
    app, rampart = make()
    settling(app, rampart, quota)
    first = ask(app, estimate=1024, actual=30)
    assert first.status_code == 200
    assert ask(app, estimate=70, actual=70).status_code == 200
    assert ask(app, estimate=1024).status_code == 429


@pytest.mark.parametrize("quota", QUOTAS)
def test_an_estimate_of_nothing_is_refused_when_all_is_spent(make: Make, quota: str) -> None:
    # litellm#35422: an increment of zero before the call skipped the limit.
    app, rampart = make()
    settling(app, rampart, quota)
    assert ask(app, actual=60).status_code == 200
    assert ask(app, actual=40).status_code == 200
    assert [ask(app, actual=40).status_code for _ in range(5)] == [429] * 5


@pytest.mark.parametrize("quota", QUOTAS)
def test_what_was_not_spent_comes_back_and_what_was_more_is_owed(make: Make, quota: str) -> None:
    app, rampart = make()
    settling(app, rampart, quota)
    assert left(ask(app, estimate=80, actual=10)) == 20
    assert left(ask(app, estimate=80, actual=0)) == 10
    assert ask(app, estimate=1, actual=90).status_code == 200
    assert ask(app, estimate=1, actual=0).status_code == 429


@pytest.mark.parametrize("quota", ["100/hour", "100/hour fixed", "100/hour sliding"])
def test_what_is_owed_is_bounded(clock: Clock, quota: str) -> None:
    limits = LimitSet(LimitStore.local(clock), [("s", Quota.parse(quota), "text")], windows=_hours)
    charged = limits.reserve(("a",), 1, capped=True)[1]
    assert charged is not None
    charged.settle(2**31)
    refused = limits.check(("a",))
    # As much again as the quota holds, and no more: nobody is shut out for a year by one answer.
    assert not refused
    assert refused.retry_after <= 2 * 3600


def _hours(zone: str, unit: str, every: int, unix: int) -> tuple[int, int, int]:
    start = unix // 3600 * 3600
    return start, start + 3600, start + 7200


@pytest.mark.parametrize("wrong", [-1, -(2**70), True, 1.5, "5", None])
def test_what_cannot_have_been_spent_is_an_error_and_refills_nothing(make: Make, wrong: Any) -> None:
    app, rampart = make()
    with app.test_request_context("/"):
        budget = rampart.reserve("100/hour", cost=90, by="address")
        for call in (budget.settle, budget.add):
            with pytest.raises(ValueError, match="at least 0"):
                call(wrong)
        with pytest.raises(ValueError, match="at least 0"):
            rampart.reserve("100/hour", cost=wrong, by="address")
    with app.test_request_context("/"), pytest.raises(Exception, match="429"):
        rampart.reserve("100/hour", cost=20, by="address")


def test_the_last_word_counts_and_a_with_block_settles_what_was_noted(make: Make) -> None:
    app, rampart = make()

    def reserve(cost: int) -> Any:
        return rampart.reserve("100/year fixed", cost=cost, by="address", scope="with")

    def spent() -> int:
        with app.test_request_context("/"):
            reserve(1).refund()
            return 99 - current_exchange().limits[-1][0].remaining

    with app.test_request_context("/"):
        budget = reserve(50)
        budget.settle(40)
        budget.settle(10)
    assert spent() == 10
    with app.test_request_context("/"), reserve(50) as budget:
        budget.add(3)
        budget.add(4)
    assert spent() == 17
    # What breaks half way has spent what it had; of what nothing is known, the estimate stays.
    with app.test_request_context("/"), pytest.raises(ZeroDivisionError), reserve(50) as budget:
        budget.add(3)
        raise ZeroDivisionError
    assert spent() == 20
    with app.test_request_context("/"), pytest.raises(ZeroDivisionError), reserve(30):
        raise ZeroDivisionError
    assert spent() == 50
    with app.test_request_context("/"):
        reserve(10).refund()
    assert spent() == 50


def test_a_stream_that_passes_its_estimate_is_charged_at_once(make: Make) -> None:
    app, rampart = make()

    @app.get("/")
    def view() -> Response:
        budget = rampart.reserve("100/hour", cost=10, by="address", scope="stream")
        return Response(budget.stream(iter(["x" * 28] * 4), cost=len))

    client = app.test_client()
    going = client.get("/", buffered=False)
    chunks = going.iter_encoded()
    for _ in range(3):
        next(chunks)
    # 84 are spent, though the stream goes on.
    assert client.get("/", buffered=False).status_code == 200
    assert client.get("/").status_code == 429
    going.close()


@pytest.mark.parametrize("read", [0, 1, 3])
def test_a_client_that_leaves_in_the_middle_pays_for_what_was_made(make: Make, read: int) -> None:
    # archestra#1306: a stream that was stopped counted for nothing.
    app, rampart = make()
    closed = []

    def chunks() -> Iterator[str]:
        try:
            for _ in range(9):
                yield "x" * 10
        finally:
            closed.append(True)

    @app.get("/")
    def view() -> Response:
        budget = rampart.reserve("100/year fixed", cost=90, by="address", scope="left")
        return Response(budget.stream(chunks(), cost=len))

    @app.get("/look")
    @limit("100/year fixed", scope="left")
    def look() -> str:
        return "ok"

    client = app.test_client()
    going = client.get("/", buffered=False)
    stream = going.iter_encoded()
    for _ in range(read):
        next(stream)
    going.close()
    # werkzeug's client takes the first chunk by itself. Closed with the stream: what made the chunks is told to stop.
    assert closed == [True]
    assert left(client.get("/look")) == 99 - 10 * max(read, 1)


def test_what_a_killed_worker_had_reserved_stays_charged(tmp_path: Path) -> None:
    views = """
        rampart = Rampart(app)

        @app.get("/")
        def view():
            budget = rampart.reserve("100/year", cost=60, by="address")
            if "hold" in request.args:
                time.sleep(60)
            budget.settle(1)
            return "ok"
    """
    with serving(tmp_path, views, "-k", "gthread", "-w", "1", "--threads", "4") as served:
        threading.Thread(target=served.get, args=("/?hold=1",)).start()
        served.wait(lambda: served.get("/")[0] == 429)
        worker = served.get("/ready")[2]
        os.kill(int(worker), signal.SIGKILL)
        served.wait(lambda: served.get("/ready")[2] not in (worker, ""))
        # Nobody knows what it had spent.
        assert served.get("/")[0] == 429


def test_a_client_that_leaves_a_real_server_pays_for_what_was_made(tmp_path: Path) -> None:
    views = """
        rampart = Rampart(app)

        def drip():
            for _ in range(10_000):
                yield "x" * 100
                time.sleep(0.01)

        @app.get("/")
        def view():
            budget = rampart.reserve("1000000/year", cost=900_000, by="address", scope="s")
            return Response(budget.stream(drip(), cost=len))

        @app.get("/left")
        @limit("1000000/year", scope="s")
        def left():
            return "ok"
    """
    with serving(tmp_path, views, "-k", "gthread", "-w", "2", "--threads", "4") as served:

        def remaining() -> int:
            return int(served.get("/left")[1]["RateLimit"].split(";")[1].removeprefix("r="))

        connection = served.connect()
        connection.request("GET", "/")
        response = connection.getresponse()
        assert len(response.read(1000)) == 1000
        assert remaining() < 100_000
        response.close()
        connection.close()
        served.wait(lambda: remaining() > 100_000)
        # Between what was read and what may have been on its way.
        assert 900_000 < remaining() < 999_000


def test_a_stream_of_what_is_no_chunks_is_an_error_and_leaves_no_other_behind(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, rampart = make()
    behind: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", behind.append)

    @app.get("/")
    def view() -> str:
        budget = rampart.reserve("100/year", cost=60, by="address")
        with pytest.raises(TypeError):
            budget.stream(5, cost=len)  # type: ignore[arg-type]
        return "ok"

    assert ask(app).status_code == 200
    assert behind == []


def test_threads_that_settle_at_once_when_a_window_has_ended_wait_for_no_one_for_ever() -> None:
    # Where the next window ends, Python says: a lock that was held meanwhile had the one that held it wait for the
    # interpreter, and the one that had the interpreter wait for the lock.
    program = """
        import gc, threading, time
        from flask_rampart._native import Clock, LimitSet, LimitStore, Quota
        from flask_rampart.limits import calendar

        clock = Clock.manual(1_800_000_000.0)
        again = []

        def windows(*span):
            time.sleep(0.1)
            while again:
                again.pop().settle(4)  # as the collector may
            return calendar.window(*span)

        quotas = Quota.parse("10/second fixed")
        limits = LimitSet(LimitStore.local(clock), [("s", quotas, "text")], windows=windows)
        _, charged = limits.reserve(("a",), 1)
        clock.advance(2)
        again.append(charged)
        threads = [threading.Thread(target=charged.settle, args=(cost,)) for cost in (3, 3, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        charged.settle(6)
        print(limits.peek(("a",)).remaining)
    """
    run = [sys.executable, "-c", textwrap.dedent(program)]
    # One cell was of the window before.
    assert subprocess.run(run, capture_output=True, text=True, check=True, timeout=20).stdout.split() == ["5"]


@pytest.mark.parametrize("quota", QUOTAS)
def test_a_cost_of_thousands_of_digits_is_owed_like_any_other(make: Make, quota: str) -> None:
    # Python writes no number that long, and a store elsewhere is told it in digits.
    app, rampart = make()

    @app.get("/")
    def view() -> str:
        budget = rampart.reserve(quota, cost=1, by="address")
        budget.settle(10**5000)
        if request.args:
            budget.settle(1)
        return "ok"

    assert [ask(app, then=1).status_code for _ in range(2)] == [200, 200]
    assert [ask(app).status_code for _ in range(2)] == [200, 429]


def test_a_request_that_takes_longer_than_its_window_settles_without_a_fault(make: Make) -> None:
    # flask-limiter#17: the key had expired when the request was over, and the answer was 500.
    app, rampart = make()

    @app.get("/")
    @limit("3/second fixed", count="failures")
    @limit("3/second", count=lambda response: 2)
    @limit("3/second sliding", count="failures", by=lambda: "x")
    def view() -> str:
        budget = rampart.reserve("5/second", cost=5, by="address")
        time.sleep(2.1)
        budget.settle(1)
        return "ok"

    assert [ask(app).status_code for _ in range(2)] == [200, 200]


def test_a_store_that_goes_away_before_the_end_leaves_the_answer_whole() -> None:
    # flask-limiter#363, #183: what is deducted afterwards raised, and the answer was lost.
    with tempfile.TemporaryDirectory(prefix="rp", ignore_cleanup_errors=True) as folder:
        server = Redis(Path(folder))
        app = Flask("reserved")
        app.config.update(RAMPART_ACCESS_LOG="off", TESTING=True, RAMPART_LIMIT_STORE=server.url, SECRET_KEY="k" * 32)
        rampart = Rampart(app)

        @app.get("/")
        @limit("5/hour; 2 concurrent", count="failures")
        @limit("9/hour", count=lambda response: 3)
        def view() -> Response:
            budget = rampart.reserve("50/hour", cost=20, by="address")
            server.stop()
            return Response(budget.stream(iter(["a", "b"]), cost=len))

        try:
            answer = ask(app)
            assert (answer.status_code, answer.text) == (200, "ab")
        finally:
            server.stop()
