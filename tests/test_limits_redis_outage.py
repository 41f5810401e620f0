"""Limits in a Redis that hangs, dies, comes back, or is not what it was: nothing answers 500, and nobody waits for long."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from flask import Flask

from flask_rampart import ConfigError, Rampart, limit
from flask_rampart.limits import Limits
from flask_rampart.limits.remote import Remote, RemoteAway
from flask_rampart.limits.remote.breaker import Breaker

from .listening import Listening
from .servers import Redis

pytestmark = pytest.mark.servers

App = Callable[..., Flask]


@pytest.fixture(name="hanging")
def hanging_server() -> Iterator[Callable[..., str]]:
    """Accepts, and says what it is told to say, a byte at a time, or nothing."""
    is_over = threading.Event()
    with contextlib.ExitStack() as listening:

        def start(says: bytes = b"", pause: float = 0.01) -> str:
            def talk(peer: socket.socket) -> None:
                peer.recv(65536)
                for at in range(len(says)):
                    time.sleep(pause)
                    peer.sendall(says[at : at + 1])
                is_over.wait(30)

            return f"redis://127.0.0.1:{listening.enter_context(contextlib.closing(Listening(talk))).port}/0"

        yield start
        is_over.set()


def serving(make_app: App, url: str, quota: str = "3/hour", **how: Any) -> Flask:
    app = make_app(SECRET_KEY="k" * 32, RAMPART_LIMIT_STORE=url, TESTING=True)
    app.get("/")(limit(quota, **how)(lambda: "ok"))
    return app


def statuses(app: Flask, count: int) -> list[int]:
    return [app.test_client().get("/").status_code for _ in range(count)]


def nowhere() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"redis://127.0.0.1:{probe.getsockname()[1]}/0"


def test_local_limits_hold_while_it_is_away_and_it_is_exact_again_when_it_is_back(make_app: App, own: Redis) -> None:
    # Flask-Limiter answers 500 to every request while its storage is down.
    app = serving(make_app, own.url)
    assert statuses(app, 2) == [200, 200]
    own.stop()
    assert statuses(app, 5) == [200, 200, 200, 429, 429]
    own.start()
    time.sleep(1.1)  # the longest pause of the breaker
    assert statuses(app, 5) == [200, 200, 200, 429, 429]


def test_open_admits_and_closed_refuses_with_503(make_app: App) -> None:
    url = nowhere()
    assert statuses(serving(make_app, url, on_store_error="open"), 8) == [200] * 8
    app = serving(make_app, url, on_store_error="closed")
    for _ in range(8):
        refused = app.test_client().get("/")
        assert (refused.status_code, refused.json["code"]) == (503, "store.unavailable")
        assert refused.headers["Retry-After"] == "1"


@pytest.mark.parametrize("how", ["local", "open"])
def test_what_an_outage_needs_on_this_host_is_opened_before_it(make_app: App, how: str) -> None:
    # Else what cannot be opened refuses, of all times, then.
    app = serving(make_app, nowhere(), on_store_error=how)
    app.extensions["rampart"].seal()
    assert app.extensions["rampart"].services[Limits]._store is not None


def test_of_limits_together_each_goes_by_its_own_word(make_app: App) -> None:
    app = make_app(SECRET_KEY="k" * 32, RAMPART_LIMIT_STORE=nowhere(), TESTING=True)
    app.get("/")(limit("1/hour", on_store_error="open")(limit("3/hour", scope="b")(lambda: "ok")))
    assert statuses(app, 5) == [200, 200, 200, 429, 429]


def test_application_limits_and_reservations_hold_too(make_app: App) -> None:
    app = make_app(SECRET_KEY="k" * 32, RAMPART_LIMIT_STORE=nowhere(), RAMPART_LIMITS="2/hour", TESTING=True)
    assert statuses(app, 4) == [404, 404, 429, 429]
    app = Flask("reserving")
    app.config.update(SECRET_KEY="k" * 32, RAMPART_LIMIT_STORE=nowhere(), TESTING=True, RAMPART_ACCESS_LOG="off")
    rampart = Rampart(app)

    @app.get("/")
    def view() -> str:
        rampart.reserve("10/hour", cost=4, by="address").settle(5)
        return "ok"

    assert statuses(app, 4) == [200, 200, 429, 429]


@pytest.mark.parametrize(
    "says", [b"", b"*12\r\n:1\r\n:1\r\n", b"+OK\r\n", b"-LOADING it is\r\n", b"\xff\x00nonsense\r\n"]
)
def test_a_server_that_is_none_costs_no_more_than_the_timeout(hanging: Callable[..., str], says: bytes) -> None:
    remote = Remote(hanging(says), prefix="t", timeout=0.1)
    for _ in range(3):
        before = time.monotonic()
        with pytest.raises(RemoteAway):
            remote.ask(["0" * 32], ["check", "g", "1", "16", "1", "0", "0"])
        assert time.monotonic() - before < 0.1 + 0.5  # machines that run tests stumble
    assert remote.away
    with pytest.raises(RemoteAway, match="is away"):
        remote.ask(["0" * 32], ["check", "g", "1", "16", "1", "0", "0"])


def test_a_server_that_forgets_the_script_is_told_again(make_app: App, redis_server: Redis) -> None:
    app = serving(make_app, redis_server.url, "5/hour", scope="flushed")
    client = redis.Redis.from_url(redis_server.url)
    client.flushall()
    assert statuses(app, 2) == [200, 200]
    client.script_flush()
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    # And has closed the connection: neither is an outage.
    assert app.test_client().get("/").headers["RateLimit"].startswith('"5/hour";r=2')


def test_what_is_wrong_in_the_server_is_an_outage_and_no_error(make_app: App, own: Redis) -> None:
    app = serving(make_app, own.url)
    client = redis.Redis.from_url(own.url)
    assert statuses(app, 1) == [200]
    client.config_set("maxmemory", "1")  # no writes any more
    assert statuses(app, 5) == [200, 200, 200, 429, 429]


def test_a_wrong_password_is_an_outage_that_tells_no_password(own: Redis, caplog: pytest.LogCaptureFixture) -> None:
    redis.Redis.from_url(own.url).config_set("requirepass", "right")
    remote = Remote(own.url.replace("://", "://:wrong-one@"), prefix="t")
    for _ in range(4):
        with pytest.raises(RemoteAway) as away:
            remote.ask(["0" * 32], ["check", "g", "1", "16", "1", "0", "0"])
        assert "wrong-one" not in str(away.value)
    assert "does not answer as it should" in caplog.text
    assert "wrong-one" not in caplog.text


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis+sentinel://host:26379", "name of the service"),
        ("redis+sentinel://host:x/service", "hosts are written as"),
        ("redis+cluster://host?ssl=1", "client of your own"),
        ("redis://:a/b@host/0", "%2F"),
        ("redis://host/0?nonsense=1", "cannot be used"),
    ],
)
def test_an_address_that_cannot_be_meant_stops_the_start_up(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Remote(url, prefix="t")


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cr3t:6379",
        "redis://s3cr3t:pw:6379/0",
        "redis://ada@db.example:s3cr3t/0",
        "redis://db.example/s3cr3t?ssl_cert_reqs=",
        "rediss://:pw@db.example/0?ssl_cert_reqs=s3cr3t",
        "rediss://db.example/0?s3cr3t=1",
        "redis://db.example/0?db=s3cr3t",
        "redis+sentinel://ada:s3cr3t:26379/main",
        "redis+sentinel://ada:s3cr3t@db.example:26379",
        "redis+cluster://:s3cr3t:6379",
        "redis+cluster://:s3cr3t@h:1,h:2/0",
        "unix://ada:s3cr3t/run/redis.sock?nonsense=1",
    ],
)
def test_an_address_that_is_wrong_tells_no_password(url: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        Remote(url, prefix="t")
    assert "s3cr3t" not in str(wrong.value)
    assert "pw" not in str(wrong.value)


def test_an_address_is_shown_without_what_may_be_a_password() -> None:
    shown = {
        "redis://ada:s3cr3t@db.example:6380/2": "redis://db.example:6380/2",
        "rediss://[2001:db8::1]:6380": "rediss://[2001:db8::1]:6380",
        "redis+sentinel://:s3cr3t@s1:26379,s2/main/1": "redis+sentinel://s1:26379,s2/main/1",
        "unix://ada:s3cr3t@/run/redis.sock?db=1": "unix:///run/redis.sock",
    }
    assert {url: Remote(url, prefix="t").name for url in shown} == shown


def test_without_a_secret_nothing_starts(make_app: App) -> None:
    app = make_app(RAMPART_LIMIT_STORE=nowhere())
    app.get("/")(limit("3/hour")(lambda: "ok"))
    with pytest.raises(ConfigError, match="SECRET_KEY or RAMPART_LIMIT_SECRET"):
        app.extensions["rampart"].seal()


def test_a_breaker_waits_longer_each_time_it_was_tried_in_vain() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    assert [breaker.failed() for _ in range(3)] == [False, False, True]
    for pause in (0.25, 0.5, 1.0, 1.0):
        assert breaker.is_open
        assert breaker.left == pause
        now[0] += pause
        assert breaker.left == 0
        breaker.is_still_away()
    assert breaker.worked()
    assert not breaker.is_open
    assert not breaker.worked()


def test_what_fails_after_the_breaker_opened_does_not_put_off_the_next_try() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    for _ in range(3):
        breaker.failed()
    now[0] += 0.2
    assert not breaker.failed()
    assert breaker.left == pytest.approx(0.05)


def test_a_child_of_a_fork_has_connections_of_its_own(redis_server: Redis) -> None:
    remote = Remote(redis_server.url, prefix="fork")
    ask = ["check", "g", "1", "57600000000", "1000", "0", "0"]
    remote.ask(["f" * 32], ask)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for _ in range(200):
                remote.ask(["f" * 32], ask)
            code = 0
        finally:
            os._exit(code)
    for _ in range(200):
        remote.ask(["f" * 32], ask)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert remote.ask(["f" * 32], ["peek", *ask[1:]])[1] == 1000 - 401


def test_processes_of_all_hosts_admit_exactly_the_quota(redis_server: Redis) -> None:
    program = """
        import sys
        from flask import Flask
        from flask_rampart import Rampart, limit
        app = Flask("quota")
        app.config.update(SECRET_KEY="k" * 32, RAMPART_LIMIT_STORE=sys.argv[1], RAMPART_ACCESS_LOG="off",
                          RAMPART_LIMIT_STORE_TIMEOUT=5, TESTING=True)
        Rampart(app)
        app.get("/")(limit("300/hour; 1000/day fixed", scope="all hosts")(lambda: "ok"))
        client = app.test_client()
        print(sum(client.get("/").status_code == 200 for _ in range(200)))
    """
    run = [sys.executable, "-c", textwrap.dedent(program), redis_server.url]
    processes = [subprocess.Popen(run, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    admitted = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(admitted) == 300


def test_a_hanging_server_holds_up_no_other_greenlet(hanging: Callable[..., str]) -> None:
    program = """
        from gevent import monkey; monkey.patch_all()
        import gevent, sys, time
        from flask_rampart.limits.remote import Remote, RemoteAway
        remote = Remote(sys.argv[1], prefix="t", timeout=0.5)
        def ask():
            try:
                remote.ask(["0" * 32], ["check", "g", "1", "16", "1", "0", "0"])
            except RemoteAway:
                return time.monotonic()
        ticks = []
        def tick():
            for _ in range(10):
                ticks.append(time.monotonic())
                gevent.sleep(0.01)
        asked, ticking = gevent.spawn(ask), gevent.spawn(tick)
        gevent.joinall([asked, ticking])
        print(ticks[-1] < asked.value)
    """
    run = [sys.executable, "-c", textwrap.dedent(program), hanging()]
    assert subprocess.run(run, capture_output=True, text=True, check=True, timeout=60).stdout.strip() == "True"
