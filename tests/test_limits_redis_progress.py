"""What is in progress in a Redis that stands still, forgets, or cannot be reached: nobody is shut out, or let in twice."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask import Flask

from flask_rampart import limit
from flask_rampart.limits import Limits, quotas_of
from flask_rampart.limits.remote.chore import Chore
from flask_rampart.limits.remote.renewing import Lease, Renewing

from .servers import Redis

App = Callable[..., Flask]


@pytest.fixture(name="shared")
def app_in_redis(make_app: App, own: Redis) -> App:
    def make(**more: Any) -> Flask:
        settings = {"SECRET_KEY": "k" * 32, "RAMPART_LIMIT_STORE": own.url, "RAMPART_LIMIT_STORE_TIMEOUT": 0.2}
        return make_app(**{**settings, "TESTING": True, **more})

    return make


def limits_of(app: Flask, quota: str = "2 concurrent", **how: Any) -> Any:
    service: Limits = app.extensions["rampart"].services[Limits]
    return service.set_of([("s", quotas_of(quota), "text")], **how)


def held_in(server: Redis) -> int:
    """How many are in progress, as the server says."""
    with redis.Redis.from_url(server.url) as client:
        return sum(client.zcard(key) for key in client.keys("*") if client.type(key) == b"zset")


def until(is_so: Callable[[], Any], seconds: float = 8) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.02)


def test_what_began_without_an_answer_is_ended_when_the_server_wakes(shared: App, own: Redis) -> None:
    # It executes what it was sent while it stood still, and its callers have long been told otherwise.
    app = shared()
    app.post("/")(limit("2 concurrent", by="global")(lambda: "ok"))
    client = app.test_client()
    assert [client.post("/").status_code for _ in range(2)] == [200, 200]
    until(lambda: held_in(own) == 0)
    own.process.send_signal(signal.SIGSTOP)
    assert [client.post("/").status_code for _ in range(3)] == [200, 200, 200]
    own.process.send_signal(signal.SIGCONT)
    remote = app.extensions["rampart"].services[Limits].remote
    until(lambda: not remote.away)
    until(lambda: held_in(own) == 0, 3)
    assert client.post("/").status_code == 200


def test_what_ends_while_the_server_is_away_has_ended_when_it_is_back(shared: App, own: Redis) -> None:
    limits = limits_of(shared(RAMPART_LIMIT_STORE_TIMEOUT=1), "1 concurrent")
    _, held = limits.reserve(("a",))
    own.process.send_signal(signal.SIGSTOP)
    held.end()
    own.process.send_signal(signal.SIGCONT)
    until(lambda: held_in(own) == 0, 3)
    verdict, more = limits.reserve(("a",))
    assert verdict.admitted
    more.end()


def test_a_server_that_forgot_it_is_told_again_of_what_is_in_progress(shared: App, own: Redis) -> None:
    app = shared(RAMPART_LIMIT_STORE_TIMEOUT=1)
    limits = limits_of(app)
    held = [limits.reserve(("a",))[1] for _ in range(2)]
    own.stop()
    for _ in range(3):
        limits.reserve(("b",))  # and it is known to be away
    own.start()
    until(lambda: held_in(own) == 2)
    assert not limits.reserve(("a",))[0].admitted
    held.pop().end()
    verdict, more = limits.reserve(("a",))
    assert verdict.admitted
    for one in (more, *held):
        one.end()
    assert held_in(own) == 0


def test_it_goes_on_when_its_key_is_reset(shared: App) -> None:
    limits = limits_of(shared(RAMPART_LIMIT_STORE_TIMEOUT=5))
    held = [limits.reserve(("a",))[1] for _ in range(2)]
    limits.clear(("a",))
    verdict, more = limits.reserve(("a",))
    assert not verdict.admitted
    assert more is None
    for one in held:
        one.end()
    assert limits.reserve(("a",))[0].admitted


def test_the_collector_waits_for_no_server(shared: App, own: Redis) -> None:
    limits = limits_of(shared(RAMPART_LIMIT_STORE_TIMEOUT=10))
    assert own.seconds_to_collect(lambda: limits.reserve(("a",))[1]) < 5
    until(lambda: held_in(own) == 0)


def test_open_counts_nothing_of_it_and_local_does(make_app: App) -> None:
    app = make_app(SECRET_KEY="k" * 32, RAMPART_LIMIT_STORE="redis://127.0.0.1:1/0", TESTING=True)
    for how, statuses in (("open", [200] * 3), ("local", [200, 429, 429])):
        limits = limits_of(app, "1 concurrent", on_error=[how])
        held = [limits.reserve(("a",)) for _ in range(3)]
        assert [200 if verdict.admitted else 429 for verdict, _ in held] == statuses
        for _, one in held:
            if one is not None:
                one.end()


def test_of_two_together_the_open_one_is_not_counted_and_the_local_one_is(make_app: App) -> None:
    app = make_app(SECRET_KEY="k" * 32, RAMPART_LIMIT_STORE="redis://127.0.0.1:1/0", TESTING=True)
    service: Limits = app.extensions["rampart"].services[Limits]
    entries = [("one", quotas_of("1 concurrent"), "address"), ("two", quotas_of("2 concurrent; 9/day"), "text")]
    limits = service.set_of(entries, ["open", "local"])
    held = [limits.reserve(("192.0.2.1", "a")) for _ in range(3)]
    assert [verdict.admitted for verdict, _ in held] == [True, True, False]
    assert (held[2][0].entry, held[2][0].violated) == (1, "2 concurrent")


def test_a_thread_that_cannot_start_is_started_by_who_comes_next(
    shared: App, own: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = shared(RAMPART_LIMIT_STORE_TIMEOUT=5)
    app.post("/")(limit("2 concurrent")(lambda: "ok"))
    app.post("/first")(limit("9/day")(lambda: "ok"))
    client = app.test_client()
    assert client.post("/first").status_code == 200  # and there is a connection

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        assert client.post("/").status_code == 200
    before = set(threading.enumerate())
    with client.post("/") as answer:
        assert answer.status_code == 200
        assert "rampart-leases" in {thread.name for thread in set(threading.enumerate()) - before}


def test_a_thread_that_fails_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    did: list[int] = []
    has_ended = threading.Event()

    def work() -> float | None:
        did.append(1)
        if len(did) == 1:
            raise ZeroDivisionError
        has_ended.set()
        return None

    chore = Chore("failing", work)
    chore.want()
    assert has_ended.wait(5)
    assert "ZeroDivisionError" in caplog.text
    until(lambda: "failing" not in [thread.name for thread in threading.enumerate()])
    chore.want()
    until(lambda: len(did) == 3)


def test_what_ends_while_it_is_renewed_has_ended() -> None:
    # The end is faster than the renewal that was sent before it.
    ended: list[Lease] = []

    def renew(leases: Any) -> bool:
        renewing.drop([("one", "a")])
        return True

    def end(leases: Any) -> bool:
        ended.extend(leases)
        return True

    renewing = Renewing(renew, end, pause=0.05)
    renewing.hold([("one", "a"), ("other", "a")])
    until(lambda: ended)
    assert set(ended) == {("one", "a")}
    renewing.drop([("other", "a")])
