"""Leases of real hosts: workers that share what their host holds, end, are killed, and lose their server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask

from flask_rampart import ConfigError, Rampart, limit
from flask_rampart.cli import commands
from flask_rampart.limits.remote import Remote
from flask_rampart.limits.remote.address import without_lease

from .servers import Redis

pytestmark = pytest.mark.servers

App = Callable[..., Flask]


def app_on(make_app: App, url: str, quota: str = "1000/day fixed", **config: Any) -> Flask:
    app = make_app(RAMPART_LIMIT_STORE=url, RAMPART_LIMIT_STORE_TIMEOUT=2, SECRET_KEY="s", TESTING=True, **config)
    app.get("/")(limit(quota)(lambda: "ok"))
    return app


def leased(url: str, seconds: float = 1) -> str:
    return f"{url}{'&' if '?' in url else '?'}lease={seconds}"


def admitted(app: Flask, count: int) -> int:
    client = app.test_client()
    return sum(client.get("/").status_code == 200 for _ in range(count))


def scripts_run(client: Any) -> int:
    return int(client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


@pytest.fixture(name="calls")
def count_calls(redis_server: Any) -> Iterator[Callable[[], int]]:
    client = redis.Redis.from_url(redis_server.url)
    client.flushall()
    yield lambda: scripts_run(client)
    client.close()


def test_an_app_asks_for_few_of_its_requests_and_the_quota_holds(
    make_app: App, redis_server: Any, calls: Callable[[], int]
) -> None:
    app = app_on(make_app, leased(redis_server.url, 5))
    before = calls()
    assert admitted(app, 1200) == 1000
    assert calls() - before < 200


def test_two_hosts_share_one_quota(make_app: App, redis_server: Any, calls: Callable[[], int]) -> None:
    one, other = (app_on(make_app, leased(redis_server.url, 5)) for _ in range(2))
    total = sum(admitted(app, 60) for _ in range(10) for app in (one, other))
    assert total <= 1000
    # What one holds and does not use comes back, and then all of it can be spent.
    deadline = time.monotonic() + 20
    while total < 1000 and time.monotonic() < deadline:
        total += admitted(one, 10)
        time.sleep(0.2)
    assert total == 1000
    assert admitted(other, 5) == 0


def test_what_is_idle_goes_back_by_itself(make_app: App, redis_server: Any, calls: Callable[[], int]) -> None:
    one, other = (app_on(make_app, leased(redis_server.url, 0.5)) for _ in range(2))
    assert admitted(one, 400) == 400
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        # The first request of a key takes no more than it needs.
        left = int(other.test_client().get("/").headers["RateLimit"].split("r=")[1].split(";")[0])
        if left + 400 >= 900:
            break
        time.sleep(0.2)
    assert 1000 - 400 - left <= 60  # the polls themselves, and no batch


WORKER = """
    import sys, time
    from flask import Flask
    from flask_rampart import Rampart, limit
    from flask_rampart import tables

    # A host has a table of its own.
    tables.private_directory = lambda: sys.argv[3]
    app = Flask("leases")
    app.config.update(RAMPART_LIMIT_STORE=sys.argv[1], RAMPART_LIMIT_STORE_TIMEOUT=2, SECRET_KEY="s",
                      RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_TABLE=1 << 20)
    Rampart(app)
    app.get("/")(limit(sys.argv[2])(lambda: "ok"))
    client = app.test_client()
    done = 0
    for line in sys.stdin:
        for _ in range(int(line)):
            done += client.get("/").status_code == 200
        print(done, flush=True)
"""


class Worker:
    """A process that serves as many requests as it is told to."""

    def __init__(self, url: str, quota: str, folder: Path) -> None:
        words = [sys.executable, "-c", textwrap.dedent(WORKER), url, quota, str(folder)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)
        self.done = 0

    def ask(self, count: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()

    def told(self) -> int:
        assert self.process.stdout is not None
        self.done = int(self.process.stdout.readline())
        return self.done

    def end(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture(name="work")
def workers(redis_server: Any, calls: Callable[[], int], tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    started: list[Worker] = []

    def start(quota: str, lease: float = 5, host: str = "one") -> Worker:
        folder = tmp_path / host
        folder.mkdir(mode=0o700, exist_ok=True)
        started.append(Worker(leased(redis_server.url, lease), quota, folder))
        return started[-1]

    yield start
    for worker in started:
        worker.process.kill()
        worker.end()


def left_of(client_of: Any, quota: str, make_app: App) -> int:
    app = app_on(make_app, client_of, quota)
    return int(app.test_client().get("/").headers["RateLimit"].split("r=")[1].split(";")[0]) + 1


def test_workers_of_four_hosts_at_once_admit_no_more_than_the_quota(work: Callable[..., Worker]) -> None:
    crowd = [work("2000/day fixed", host=str(n // 2)) for n in range(8)]
    for worker in crowd:
        worker.ask(400)
    assert sum(worker.told() for worker in crowd) <= 2000
    for _ in range(3):
        for worker in crowd:
            worker.ask(100)
        for worker in crowd:
            worker.told()
    assert sum(worker.done for worker in crowd) <= 2000


def test_a_worker_that_ends_gives_back_what_its_host_holds(
    work: Callable[..., Worker], make_app: App, redis_server: Any
) -> None:
    worker = work("1000/day fixed", lease=30)
    worker.ask(300)
    assert worker.told() == 300
    worker.end()
    assert worker.process.returncode == 0
    client = redis.Redis.from_url(redis_server.url)
    [name] = [name for name in client.keys("*") if not name.endswith(b"changes")]
    assert client.get(name).split(b":")[1] == b"300"
    client.close()


def test_what_a_killed_worker_took_the_others_of_its_host_spend(work: Callable[..., Worker], redis_server: Any) -> None:
    first, second = work("100000/day fixed", lease=30), work("100000/day fixed", lease=30)
    second.ask(1)
    second.told()
    first.ask(500)
    assert first.told() == 500
    first.process.send_signal(signal.SIGKILL)
    first.process.wait(10)
    client = redis.Redis.from_url(redis_server.url)
    before = scripts_run(client)
    [name] = [name for name in client.keys("*") if not name.endswith(b"changes")]
    held = int(client.get(name).split(b":")[1]) - 501
    assert held > 0
    second.ask(held)
    assert second.told() == 1 + held
    assert scripts_run(client) == before
    client.close()


def test_while_the_server_is_away_what_is_held_is_spent_and_then_this_host_counts(
    make_app: App, own: Redis, clock: Any
) -> None:
    app = app_on(make_app, leased(own.url, 60), "20/day fixed")
    held = 0
    assert admitted(app, 6) == 6
    own.stop()
    statuses = [app.test_client().get("/").status_code for _ in range(60)]
    held = statuses.count(200)
    # What was held, and then the same quota once more, by this host's own counters.
    assert 20 <= held <= 20 + 14
    assert set(statuses) == {200, 429} and statuses[-1] == 429


def test_a_closed_limit_refuses_when_nothing_is_held_any_more(make_app: App, own: Redis) -> None:
    app = make_app(RAMPART_LIMIT_STORE=leased(own.url, 60), SECRET_KEY="s", TESTING=True)
    app.get("/")(limit("20/day fixed", on_store_error="closed")(lambda: "ok"))
    assert admitted(app, 6) == 6
    own.stop()
    statuses = [app.test_client().get("/").status_code for _ in range(20)]
    assert statuses[-1] == 503 and set(statuses) <= {200, 503}
    assert statuses.count(200) < 14


def test_reset_is_heard_by_this_host_at_once(make_app: App, redis_server: Any, calls: Callable[[], int]) -> None:
    app = app_on(make_app, leased(redis_server.url, 60), "10/day fixed")
    assert admitted(app, 12) == 10
    run = app.test_cli_runner().invoke(commands, ["reset", "--address", "127.0.0.1"])
    assert run.exit_code == 0, run.output
    assert admitted(app, 12) == 10


def test_what_is_settled_afterwards_and_what_is_in_progress_work_as_without_leases(
    make_app: App, redis_server: Any, calls: Callable[[], int]
) -> None:
    app = make_app(RAMPART_LIMIT_STORE=leased(redis_server.url), RAMPART_LIMIT_STORE_TIMEOUT=2, SECRET_KEY="s")
    app.get("/failing")(limit("3/day fixed", count="failures")(lambda: ("", 401)))
    app.get("/passing")(limit("3/day fixed", count="failures")(lambda: ""))
    app.get("/slow")(limit("1 concurrent")(lambda: ""))
    client = app.test_client()
    assert [client.get("/failing").status_code for _ in range(5)] == [401] * 3 + [429] * 2
    assert {client.get("/passing").status_code for _ in range(9)} == {200}
    for _ in range(9):
        with client.get("/slow") as response:
            assert response.status_code == 200


# What cannot be meant.


@pytest.mark.parametrize("lease", ["0", "61", "soon", "", "-1", "nan"])
def test_a_lease_that_is_no_time_stops_the_start(make_app: App, redis_server: Any, lease: str) -> None:
    app = make_app(RAMPART_LIMIT_STORE=f"{redis_server.url}?lease={lease}", SECRET_KEY="s", TESTING=True)
    app.get("/")(limit("1/minute")(lambda: "ok"))
    with pytest.raises(ConfigError, match=r"0\.1 to 60"):
        app.test_client().get("/")


@pytest.mark.parametrize("store", ["shm://", "memory://", None])
def test_a_lease_of_a_store_that_is_here_stops_the_start(store: str | None) -> None:
    app = Flask(__name__)
    app.config.update(RAMPART_LIMIT_LEASE=1.0, TESTING=True)
    if store:
        app.config["RAMPART_LIMIT_STORE"] = store
    with pytest.raises(ConfigError, match="RAMPART_LIMIT_LEASE"):
        Rampart(app)


def test_a_lease_is_taken_out_of_an_address_and_nothing_else_is() -> None:
    assert without_lease("redis://h/0?lease=1") == ("redis://h/0", "1")
    assert without_lease("unix:///s?db=1&lease=2.5&x=y") == ("unix:///s?db=1&x=y", "2.5")
    assert without_lease("redis://h/0?db=1") == ("redis://h/0?db=1", None)
    assert without_lease("redis+cluster://a:1,b:2?lease=3") == ("redis+cluster://a:1,b:2", "3")
    assert without_lease("redis://h/0") == ("redis://h/0", None)


def test_a_client_of_the_apps_own_leases_by_the_setting(redis_server: Any, calls: Callable[[], int]) -> None:
    app = Flask(__name__)
    app.config.update(
        RAMPART_LIMIT_LEASE=5, RAMPART_LIMIT_STORE_TIMEOUT=2, SECRET_KEY="s", RAMPART_ACCESS_LOG="off", TESTING=True
    )
    own = redis.Redis.from_url(redis_server.url)
    Rampart(app, limit_store=own)
    app.get("/")(limit("1000/day fixed")(lambda: "ok"))
    before = calls()
    assert admitted(app, 500) == 500
    assert calls() - before < 100
    own.close()


def test_a_forked_child_gives_back_nothing_of_its_parents(redis_server: Any, calls: Callable[[], int]) -> None:
    told: list[list[str]] = []
    remote = Remote(redis_server.url, prefix="fork", lease=30)

    class Batch:
        name, is_due = "n", False

        def loose(self) -> None:
            return None

        def idle(self) -> list[str]:
            told.append(["taken"])
            return ["w", "-1", "1", "0", "0", "0"]

    remote.batches.note([Batch()])  # type: ignore[list-item]
    child = os.fork()
    if child == 0:
        remote.batches.end()
        os._exit(len(told))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    remote.batches.end()
    assert told == [["taken"]]
