"""What is in progress: ``"20 concurrent"``, from a request's begin to the last byte of its answer."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask, Response, request, send_file

from flask_rampart import Clock, ConfigError, Rampart, limit
from flask_rampart._native import LimitSet, LimitStore, Quota

from .servers import Redis

App = Callable[..., Flask]


@pytest.fixture(params=["memory", "shm", "redis"], name="place")
def where(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Settings for each store of counters."""
    if request.param == "redis":
        server: Redis = request.getfixturevalue("redis_server")
        redis.Redis.from_url(server.url).flushall()
        return {"RAMPART_LIMIT_STORE": server.url, "SECRET_KEY": "k" * 32, "RAMPART_LIMIT_STORE_TIMEOUT": 2}
    (tmp_path / "counters").mkdir(mode=0o700)
    return {"RAMPART_LIMIT_STORE": "memory://" if request.param == "memory" else f"shm://{tmp_path}/counters"}


def test_it_begins_with_the_request_and_ends_with_the_answer_s_last_byte(make_app: App, place: dict[str, Any]) -> None:
    app = make_app(**place)

    @app.get("/")
    @limit("2 concurrent")
    def stream() -> Response:
        return Response(iter(["a", "b", "c"]))

    client = app.test_client()
    open_ones = [client.get("/", buffered=False) for _ in range(2)]
    refused = client.get("/")
    assert (refused.status_code, refused.json["violated-policies"]) == (429, ["2 concurrent"])
    assert refused.headers["Retry-After"] == "1"
    assert open_ones[0].get_data() == b"abc"
    open_ones[0].close()
    again = client.get("/", buffered=False)
    assert again.status_code == 200
    # The client goes away in the middle.
    for response in (again, open_ones[1]):
        response.close()
    assert [client.get("/", buffered=True).status_code for _ in range(5)] == [200] * 5


@pytest.mark.parametrize("how", ["view", "stream", "handled", "refused", "file", "head"])
def test_however_a_request_ends_it_has_ended(make_app: App, place: dict[str, Any], how: str) -> None:
    app = make_app(TESTING=False, PROPAGATE_EXCEPTIONS=False, **place)

    @app.route("/", methods=["GET", "POST"])
    @limit("1 concurrent")
    def view() -> Any:
        if how == "view":
            raise ZeroDivisionError
        if how == "stream":
            return Response(1 / 0 for _ in "a")
        if how == "handled":
            raise KeyError
        if how == "file":
            return send_file(__file__)
        return "ok"

    app.register_error_handler(KeyError, lambda error: ("handled", 400))
    client = app.test_client()
    for _ in range(5):
        try:
            response = client.open("/", method={"head": "HEAD", "refused": "PUT"}.get(how, "GET"))
            assert response.status_code != 429
            response.close()
        except ZeroDivisionError:
            assert how == "stream"


def test_a_request_whose_answer_nobody_takes_ends_with_the_garbage(make_app: App, place: dict[str, Any]) -> None:
    app = make_app(**place)
    app.get("/")(limit("1 concurrent")(lambda: "ok"))
    with app.test_request_context("/"):
        assert app.preprocess_request() is None
    gc.collect()
    # In a Redis, a thread ends it: the collector may run in the middle of anything, and does no network.
    end = time.monotonic() + 5
    while app.test_client().get("/").status_code != 200:
        assert "redis" in place["RAMPART_LIMIT_STORE"]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_it_counts_by_key_and_beside_a_rate(make_app: App, place: dict[str, Any]) -> None:
    app = make_app(**place)
    app.get("/")(limit("1 concurrent; 3/hour", by="address")(lambda: Response(iter(["a"]))))
    client = app.test_client()

    def ask(address: str) -> Any:
        return client.get("/", buffered=False, environ_base={"REMOTE_ADDR": address})

    held = [ask("192.0.2.1"), ask("192.0.2.2")]
    assert [response.status_code for response in held] == [200, 200]
    # What is refused for one is not counted by the other.
    assert [ask("192.0.2.1").json["violated-policies"] for _ in range(5)] == [["1 concurrent"]] * 5
    for response in held:
        response.close()
    for _ in range(2):
        response = ask("192.0.2.1")
        assert response.status_code == 200
        response.close()
    assert ask("192.0.2.1").json["violated-policies"] == ["3/hour"]


def test_threads_never_run_more_than_there_may_be(make_app: App, place: dict[str, Any]) -> None:
    if "RAMPART_LIMIT_STORE_TIMEOUT" in place:
        # On a busy machine an answer may take long; a store that is away is another test's.
        place["RAMPART_LIMIT_STORE_TIMEOUT"] = 10
    app = make_app(**place)
    running, most, lock = [0], [0], threading.Lock()
    refused = threading.Event()

    @app.get("/")
    @limit("3 concurrent")
    def view() -> str:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        # The first three are there until somebody was refused, however seldom a thread gets its turn.
        assert refused.wait(30)
        time.sleep(0.002)
        with lock:
            running[0] -= 1
        return "ok"

    statuses: list[int] = []

    def call() -> None:
        client = app.test_client()
        for _ in range(20):
            # Closed before the next: what the collector finds, a thread ends in a Redis, at its leisure.
            status = client.get("/", buffered=True).status_code
            statuses.append(status)
            if status == 429:
                refused.set()

    threads = [threading.Thread(target=call) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] <= 3
    assert len(statuses) == 200
    assert set(statuses) == {200, 429}
    assert app.test_client().get("/").status_code == 200


def test_what_cannot_be_meant_stops_the_start_up() -> None:
    with pytest.raises(ConfigError, match="at most 1024"):
        limit("5000 concurrent")
    with pytest.raises(ConfigError, match="left over"):
        limit("5 concurrent/minute")
    app = Flask("concurrent")
    app.config.update(RAMPART_ACCESS_LOG="off", TESTING=True)
    rampart = Rampart(app)
    with app.test_request_context("/"), pytest.raises(ConfigError, match="above a view"):
        rampart.reserve("5 concurrent", cost=1)


@pytest.mark.parametrize("quota", ["2 concurrent", "1000/hour; 2 CONCURRENT"])
def test_application_limits_of_what_is_in_progress_stop_the_start_up(
    make_app: App, place: dict[str, Any], quota: str
) -> None:
    # In memory each request raised; in Redis nobody was ever refused.
    with pytest.raises(ConfigError, match=r"RAMPART_LIMITS.*above a view.*@limit\('2 concurrent'\)"):
        make_app(**place, TESTING=True, RAMPART_LIMITS=quota)


def test_what_the_cure_says_is_a_cure(make_app: App, place: dict[str, Any], clock: Clock) -> None:
    app = make_app(rampart=False)
    app.config.update(place, RAMPART_ACCESS_LOG="off", TESTING=True)
    Rampart(app, clock=clock).protect(app, limit("1 concurrent", by="global"))
    app.get("/")(lambda: str(app.test_client().get("/").status_code) if request.args else "ok")
    assert app.test_client().get("/?inside=1").text == "429"
    assert app.test_client().get("/").status_code == 200


@pytest.fixture(name="holder")
def holding_process(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A process that holds places until it is told to end."""
    started = []
    program = """
        import os, sys
        from flask_rampart._native import Clock, LimitSet, LimitStore, Quota
        store = LimitStore.shared(sys.argv[1], "t", Clock.system())
        limits = LimitSet(store, [("s", Quota.parse("3 concurrent"), "text")])
        os.register_at_fork(after_in_child=store.forget_parent)
        held = [limits.reserve(("a",))[1] for _ in range(int(sys.argv[2]))]
        print(sum(one is not None for one in held), flush=True)
        if sys.argv[3:] == ["fork"] and os.fork() == 0:
            held.clear()  # copies: what ends here is not the parent's
            print("child", os.getpid(), flush=True)
        sys.stdin.read()
    """

    def hold(count: int, *more: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "shared"), str(count), *more]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def free(tmp_path: Path) -> int:
    store = LimitStore.shared(str(tmp_path / "shared"), "t", Clock.system())
    limits = LimitSet(store, [("s", Quota.parse("3 concurrent"), "text")])
    held = [limits.reserve(("a",))[1] for _ in range(4)]
    return sum(one is not None for one in held)


def test_what_a_killed_process_held_is_free_at_once(holder: Callable[..., Any], tmp_path: Path) -> None:
    first, second = holder(2), holder(0)
    assert (said(first), said(second)) == ("2", "0")
    assert free(tmp_path) == 1
    first.send_signal(signal.SIGSTOP)
    assert free(tmp_path) == 1, "who is stopped is not dead"
    first.kill()
    first.wait()
    assert free(tmp_path) == 3


def test_a_child_does_not_keep_what_its_parent_held_nor_end_it(holder: Callable[..., Any], tmp_path: Path) -> None:
    parent = holder(2, "fork")
    lines = sorted([said(parent), said(parent)])
    assert lines[0] == "2"
    child = int(lines[1].split()[1])
    assert free(tmp_path) == 1, "the child's copies have ended nothing"
    parent.kill()
    parent.wait()
    try:
        assert free(tmp_path) == 3
    finally:
        os.kill(child, signal.SIGKILL)


MASTER = """
    import os, signal, sys
    from flask_rampart._native import Clock, LimitSet, LimitStore, Quota
    for line in sys.stdin:
        what, number = line.split()
        if what == "kill":
            os.kill(int(number), signal.SIGKILL)
            os.waitpid(int(number), 0)
            print("dead", flush=True)
        elif (worker := os.fork()) == 0:
            store = LimitStore.shared(sys.argv[1], "t", Clock.system())
            limits = LimitSet(store, [("s", Quota.parse("3 concurrent"), "text")])
            held = [limits.reserve(("a",))[1] for _ in range(int(number))]
            print(os.getpid(), sum(one is not None for one in held), flush=True)
            while True:
                signal.pause()
"""


def test_killing_workers_at_random_never_exceeds_the_limit_and_leaves_nothing_stuck(tmp_path: Path) -> None:
    # A master that has imported all and opened nothing: each worker is a process of its own, and costs no start.
    words = [sys.executable, "-c", textwrap.dedent(MASTER), str(tmp_path / "shared")]
    workers: set[int] = set()
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as master:

        def tell(what: str, number: int) -> list[str]:
            assert master.stdin is not None
            master.stdin.write(f"{what} {number}\n")
            master.stdin.flush()
            return said(master).split()

        def hold(count: int) -> tuple[int, int]:
            worker, held = map(int, tell("hold", count))
            workers.add(worker)
            return worker, held

        def kill(worker: int) -> None:
            assert tell("kill", worker) == ["dead"]
            workers.discard(worker)

        try:
            for count in (1, 3, 2, 1, 3, 2, 2, 1, 3, 1):
                worker, held = hold(count)
                other, more = hold(3)
                assert (held, held + more) == (count, 3)
                kill(worker)
                kill(other)
            assert free(tmp_path) == 3
        finally:
            for worker in workers:
                os.kill(worker, signal.SIGKILL)
            master.kill()
