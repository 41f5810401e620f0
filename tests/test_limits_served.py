"""Limits behind real servers: several workers and threads, clients that go away, workers that are killed, addresses."""

from __future__ import annotations

import http.client
import os
import re
import signal
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask, Response

from flask_rampart import Rampart, limit

from .servers import Redis
from .serving import Served, serving

pytestmark = pytest.mark.servers

THREADS = ("-k", "gthread", "-w", "3", "--threads", "8")


def counted(place: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings for counters on this host, or in Redis."""
    if place == "shm":
        return {}
    server: Redis = request.getfixturevalue("redis_server")
    redis.Redis.from_url(server.url).flushall()
    return {"RAMPART_LIMIT_STORE": server.url, "RAMPART_LIMIT_STORE_TIMEOUT": 5.0}


def told(answers: list[Any]) -> dict[int, int]:
    """How often which status came."""
    statuses = [answer if isinstance(answer, int) else answer[0] for answer in answers]
    return {status: statuses.count(status) for status in sorted(set(statuses))}


@pytest.mark.parametrize(
    ("arguments", "place"),
    [(THREADS, "shm"), (("-w", "4"), "shm"), (("-k", "gevent", "-w", "2"), "redis"), (THREADS, "redis")],
)
def test_of_fifty_wrong_passwords_at_once_five_are_tried(
    tmp_path: Path, arguments: tuple[str, ...], place: str, request: pytest.FixtureRequest
) -> None:
    # flask-limiter#36, #234: its `deduct_when` counts after the view, so 50 of 50 ran at 5/minute.
    views = """
        Rampart(app)

        @app.post("/login")
        @limit("5/hour", count="failures")
        def login():
            with open("tried", "a") as tried:
                tried.write("x")
            time.sleep(0.2)  # all of them are under way at once
            return ("ok", 200) if request.form.get("password") == "right" else ("wrong", 401)
    """
    with serving(tmp_path, views, *arguments, settings=counted(place, request)) as served:
        assert told(served.at_once(50, lambda: served.ask("POST", "/login"))) == {401: 5, 429: 45}
        assert (tmp_path / "tried").read_text() == "x" * 5
        refused = served.ask("POST", "/login")
        assert (refused[0], int(refused[1]["Retry-After"]) > 0) == (429, True)


@pytest.mark.parametrize("count", [5, 40])
def test_of_many_right_passwords_at_once_the_quota_s_worth_runs_and_none_is_kept(tmp_path: Path, count: int) -> None:
    # The price of being exact: whoever is under way holds a cell until its answer is known.
    views = """
        Rampart(app)

        @app.post("/login")
        @limit("5/hour", count="failures")
        def login():
            time.sleep(0.1)
            return "ok"
    """
    with serving(tmp_path, views, *THREADS) as served:
        answers = told(served.at_once(count, lambda: served.ask("POST", "/login")))
        assert answers[200] >= 5
        # What succeeded was given back: all five are there again.
        assert told(served.at_once(5, lambda: served.ask("POST", "/login"))) == {200: 5}


def test_four_workers_admit_five_and_not_twenty(tmp_path: Path) -> None:
    # flask-limiter#40, #166, #190, #256, #352, #354; slowapi#226: 5/minute on four workers let 20 pass.
    views = """
        app.config["RAMPART_LIMITS"] = "20/hour"
        Rampart(app)
        app.get("/")(limit("5/hour")(lambda: str(os.getpid())))
    """
    with serving(tmp_path, views, "-w", "4") as served:
        answers = [served.get("/") for _ in range(12)]
        assert [status for status, _, _ in answers] == [200] * 5 + [429] * 7
        # The application's own is one for all four too, and counts what is not there (flask-limiter#109, #201).
        assert told([served.get(f"/nothing/{n}") for n in range(12)]) == {404: 7, 429: 5}


def test_a_quota_outlasts_a_restart_and_a_reload(tmp_path: Path) -> None:
    # flask-limiter#266, #441: limits in memory begin anew with each worker.
    views = """
        Rampart(app)
        app.get("/")(limit("5/year")(lambda: str(os.getpid())))
    """
    with serving(tmp_path, views, "-w", "2") as served:
        first = {served.get("/ready")[2] for _ in range(20)}
        assert [served.get("/")[0] for _ in range(3)] == [200] * 3
        served.process.send_signal(signal.SIGHUP)
        served.wait(lambda: {served.get("/ready")[2] for _ in range(20)}.isdisjoint(first))
        assert served.get("/")[0] == 200
    with serving(tmp_path, views, "-w", "2", "--preload") as served:
        assert [served.get("/")[0] for _ in range(2)] == [200, 429]


# "N concurrent"


STREAM = """
    Rampart(app)

    def drip():
        for _ in range(3000):
            yield "x" * 1024
            time.sleep(0.01)

    @app.get("/stream")
    @limit("2 concurrent")
    def stream():
        return Response(drip())

    @app.get("/breaks")
    @limit("2 concurrent", scope="breaks")
    def breaks():
        raise RuntimeError("on purpose")

    @app.get("/short")
    @limit("2 concurrent", scope="short")
    def short():
        return Response(iter(["a", "b"]))
"""


@contextmanager
def open_stream(served: Served) -> Iterator[http.client.HTTPResponse]:
    """An answer of which the first byte was read, and that goes on."""
    connection = served.connect()
    try:
        connection.request("GET", "/stream")
        response = connection.getresponse()
        if response.status == 200:
            assert response.read(1) == b"x"
        yield response
        # As a client does that is closed: without a word.
        response.close()
    finally:
        connection.close()


def status(served: Served) -> int:
    with open_stream(served) as response:
        return response.status


def two_more(served: Served) -> tuple[int, int]:
    """What two get who ask while each other's answer goes on."""
    with open_stream(served) as one, open_stream(served) as two:
        return one.status, two.status


@pytest.mark.parametrize("place", ["shm", "redis"])
@pytest.mark.parametrize("arguments", [THREADS, ("-k", "gevent", "-w", "2")], ids=" ".join)
def test_a_client_that_leaves_in_the_middle_of_a_stream_makes_room(
    tmp_path: Path, arguments: tuple[str, ...], place: str, request: pytest.FixtureRequest
) -> None:
    settings = counted(place, request)
    with serving(tmp_path, STREAM, *arguments, settings=settings) as served, open_stream(served) as kept:
        assert kept.status == 200
        assert two_more(served) == (200, 429)
        # Each that has left makes room for one, and no more than one; whoever stays is counted on.
        served.wait(lambda: two_more(served) == (200, 429))
        served.wait(lambda: two_more(served) == (200, 429))
        assert kept.read(1) == b"x"


def three_of(served: Served) -> list[str]:
    """The workers' process ids, once there are three."""
    found = re.findall(r"Booting worker with pid: (\d+)", served.said())
    return found if len(found) == 3 else []


@pytest.mark.parametrize("more", [(), ("--preload",)], ids=["", "preload"])
def test_what_a_killed_worker_had_in_progress_is_free_at_once(tmp_path: Path, more: tuple[str, ...]) -> None:
    # With --preload and limits of the application's own, the table was opened before the workers were forked.
    views = 'app.config["RAMPART_LIMITS"] = "90000/hour"\n' + textwrap.dedent(STREAM)
    with (
        serving(tmp_path, views, *THREADS, *more) as served,
        open_stream(served) as first,
        open_stream(served) as second,
    ):
        assert (first.status, second.status, status(served)) == (200, 200, 429)
        workers = served.wait(lambda: three_of(served))
        for worker in workers:
            os.kill(int(worker), signal.SIGKILL)
        served.wait(lambda: {served.get("/ready")[2] for _ in range(9)}.isdisjoint({*workers, ""}))
        with open_stream(served) as one, open_stream(served) as two:
            assert (one.status, two.status, status(served)) == (200, 200, 429)


def test_what_breaks_and_what_is_never_read_has_ended(tmp_path: Path) -> None:
    with serving(tmp_path, STREAM, *THREADS) as served:
        for method, path, expected in [("GET", "/breaks", 500), ("HEAD", "/stream", 200), ("HEAD", "/short", 200)]:
            assert told([served.ask(method, path) for _ in range(6)]) == {expected: 6}, (method, path)


def test_a_caller_of_the_middleware_that_never_iterates_a_body_ends_it_by_closing() -> None:
    # PEP 3333: a server closes what it was given, read or not.
    app = Flask("unread")
    app.config.update(RAMPART_ACCESS_LOG="off", TESTING=True)
    Rampart(app)
    begun = []

    def drip() -> Iterator[str]:
        begun.append(1)
        yield "never read"

    @app.get("/")
    @limit("1 concurrent")
    def view() -> Response:
        return Response(drip())

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_NAME": "t", "SERVER_PORT": "80"}
    environ |= {"wsgi.url_scheme": "http", "REMOTE_ADDR": "192.0.2.1"}
    seen = []
    for _ in range(3):
        body = app.wsgi_app({**environ}, lambda line, headers, exc_info=None: seen.append(line))  # type: ignore[arg-type]
        body.close()  # type: ignore[attr-defined]
    assert seen == ["200 OK"] * 3
    assert not begun


# Whose address it is


ADDRESS = """
    from werkzeug.middleware.proxy_fix import ProxyFix
    app.config["RAMPART_LIMITS"] = "{quota}/year"
    Rampart(app)
    app.get("/")(lambda: request.remote_addr or "none")
    if {proxied}:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1)
"""
FORMS = [
    ["X-Forwarded-For: 203.0.113.{n}"],
    ["X-Forwarded-For: 203.0.113.{n}", "X-Forwarded-For: 198.51.100.{n}"],
    ["x-forwarded-for: 203.0.113.{n}, 127.0.0.1"],
    ["X_Forwarded_For: 203.0.113.{n}"],
    ["Forwarded: for=203.0.113.{n}"],
    ["X-Real-IP: 203.0.113.{n}"],
    ["True-Client-IP: 203.0.113.{n}", "CF-Connecting-IP: 203.0.113.{n}"],
]


def test_without_a_proxy_no_header_is_an_address(tmp_path: Path) -> None:
    # flask-limiter#41, #229, #278, #428; CVE-2025-46814; slowapi's get_ipaddr reads the header as it comes.
    with serving(tmp_path, ADDRESS.format(proxied=False, quota=1 + 2 * len(FORMS)), "-w", "2") as served:
        got = [
            [served.raw("GET / HTTP/1.1", "Host: t", *(line.format(n=n) for line in lines)) for lines in FORMS]
            for n in range(3)
        ]
    # The first one of all was taken by /ready.
    assert got == [[200] * len(FORMS)] * 2 + [[429] * len(FORMS)]


def test_behind_a_proxy_the_address_is_what_the_proxy_wrote_last(tmp_path: Path) -> None:
    # GHSA-8xvm-856x-7hwp: of repeated lines the first one, which is the client's own, was believed.
    with serving(tmp_path, ADDRESS.format(proxied=True, quota=3), "-w", "2") as served:

        def ask(*lines: str) -> int:
            return served.raw("GET / HTTP/1.1", "Host: t", *(f"X-Forwarded-For: {line}" for line in lines))

        # The client makes up a new one each time, on a line of its own or in front; the proxy adds 198.51.100.7.
        got = [ask(f"203.0.113.{n}", "198.51.100.7") for n in range(2)]
        got += [ask(f"203.0.113.{n}, 10.0.0.{n}, 198.51.100.7") for n in range(2)]
        got += [
            served.raw("GET / HTTP/1.1", "Host: t", "X_Forwarded_For: 203.0.113.9", "X-Forwarded-For: 198.51.100.7")
        ]
        assert got == [200, 200, 200, 429, 429]
        assert ask("198.51.100.7", "203.0.113.1") == 200
        # Spellings of one client, as proxies write them.
        assert ask("[::ffff:198.51.100.7]:4711") == 429
        assert ask("198.51.100.7:4711") == 429


def test_at_a_unix_socket_all_share_one_quota_and_none_is_skipped_or_banned(tmp_path: Path) -> None:
    # GHSA-634g-4wr8-xwxv: without an address of the client, everything was skipped.
    views = """
        Rampart(app)
        app.get("/")(limit("3/hour", ban="1 hour after 1")(lambda: repr(request.remote_addr)))
    """
    with serving(tmp_path, views, "-w", "2", bind=f"unix:{tmp_path}/s") as served:
        answers = [served.get("/") for _ in range(6)]
        assert [answer[0] for answer in answers] == [200] * 3 + [429] * 3
        assert "limit.exceeded" in answers[-1][2]
        assert served.get("/ready")[0] == 200


def test_behind_a_proxy_at_a_unix_socket_each_client_has_its_own(tmp_path: Path) -> None:
    views = """
        from werkzeug.middleware.proxy_fix import ProxyFix
        Rampart(app)
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1)
        app.get("/")(limit("1/hour")(lambda: request.remote_addr))
    """
    with serving(tmp_path, views, "-w", "2", bind=f"unix:{tmp_path}/s") as served:
        seen = [served.get("/", X_Forwarded_For=f"192.0.2.{n // 2}")[0] for n in range(6)]
    assert seen == [200, 429] * 3


# A store that stalls, under greenlets


def test_while_redis_stalls_other_greenlets_go_on_and_it_is_used_again_afterwards(tmp_path: Path, own: Redis) -> None:
    # flask-limiter#319: a request waited some 5 s for each call of a store that was away.
    views = """
        Rampart(app)
        app.get("/")(limit("90/year")(lambda: "ok"))
    """
    settings = {"RAMPART_LIMIT_STORE": own.url, "RAMPART_LIMIT_STORE_TIMEOUT": 3.0}
    with serving(tmp_path, views, "-k", "gevent", "-w", "1", settings=settings) as served:

        def left() -> int:
            return int(served.get("/")[1]["RateLimit"].split(";")[1].removeprefix("r="))

        assert [left() for _ in range(2)] == [89, 88]
        own.process.send_signal(signal.SIGSTOP)
        waiting: list[int] = []
        threads = [threading.Thread(target=lambda: waiting.append(left())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            assert served.get("/ready")[0] == 200
        assert not waiting, "the others were answered while these waited"
        for thread in threads:
            thread.join()
        # Counted on this host meanwhile, by the same quota; and after three failures nobody waits any more.
        assert sorted(waiting) == [87, 88, 89]
        began = time.monotonic()
        assert left() == 86
        assert time.monotonic() - began < 1
        own.process.send_signal(signal.SIGCONT)
        served.wait(lambda: left() and "answers again" in served.said())
        now = left()
        assert left() == now - 1
        names = [name for name in redis.Redis.from_url(own.url).keys("*") if b"bans:" not in name]
        assert len(names) == 1
