"""Bans of several hosts: what one has done, the others hear of, and no request waits for it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

import pytest
import redis
from flask import Flask

from flask_rampart import Clock, limit
from flask_rampart._native import BanBook
from flask_rampart.limits import Limits
from flask_rampart.limits.remote import Remote, RemoteAway

from .servers import Redis

pytestmark = pytest.mark.servers

App = Callable[..., Flask]
SCRIPT = resources.files("flask_rampart.limits.remote").joinpath("bans.lua").read_text("utf-8")
KEYS = [f"{{rampart:limits}}:{name}" for name in ("bans", "bans:changes", "bans:lifted", "bans:log")]
HOUR, DAY = 3600, 86400


@pytest.fixture(name="server")
def empty_server(redis_server: Redis) -> Iterator[Any]:
    client: Any = redis.Redis.from_url(redis_server.url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture(name="host")
def app_of_a_host(make_app: App, redis_server: Redis, server: Any) -> App:
    """Under ``TESTING``, each app has host memory of its own, as hosts have."""

    def make(**more: Any) -> Flask:
        app = make_app(
            SECRET_KEY="k" * 32,
            RAMPART_LIMIT_STORE=redis_server.url,
            RAMPART_LIMIT_STORE_TIMEOUT=2,
            RAMPART_LIMITS="1000/hour",
            TESTING=True,
            **more,
        )
        app.post("/login")(limit("5/hour", ban="1 hour after 3 growing to 1 day")(lambda: "ok"))
        app.get("/")(lambda: "ok")
        return app

    return make


def look(app: Flask, address: str = "192.0.2.1") -> Any:
    return app.test_client().get("/", environ_base={"REMOTE_ADDR": address}).status_code


def bans_of(app: Flask) -> Any:
    return app.extensions["rampart"].services[Limits].bans


def remote_of(app: Flask) -> Remote:
    remote: Remote = app.extensions["rampart"].services[Limits].remote
    return remote


def soon(app: Flask, status: int, address: str = "192.0.2.1") -> bool:
    """Whether a host answers so, a second after a limit was asked there at the latest. The one that asks is another."""
    assert look(app, "198.51.100.1") == 200
    end = time.monotonic() + 1.5
    while look(app, address) != status:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def hears_all(app: Flask) -> None:
    """Waits until a host has heard of every change."""
    look(app, "198.51.100.1")
    last = int(
        remote_of(app)._client.ask(remote_of(app)._bans, [key.encode() for key in KEYS], [b"list", b"0", b"1"])[0]
    )
    end = time.monotonic() + 20
    while remote_of(app).bans_seen != last:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_ban_and_its_end_reach_other_hosts_within_a_second_of_a_limit_there(host: App, server: Any) -> None:
    here, there = host(), host()
    assert look(there) == 200
    client = here.test_client()
    for _ in range(8):
        client.post("/login", environ_base={"REMOTE_ADDR": "192.0.2.1"})
    assert look(here) == 429
    assert soon(there, 429)
    assert bans_of(there).lift("address", "192.0.2.1")
    assert look(there) == 200
    assert soon(here, 200)
    for key in server.scan_iter():
        assert b"192.0.2" not in key


def test_a_host_that_begins_hears_of_what_was_before(host: App) -> None:
    bans_of(host()).ban("network", "192.0.2.0", 600)
    assert soon(host(), 429)


def test_other_hosts_hear_of_a_ban_after_the_server_has_forgotten_all(host: App, server: Any) -> None:
    # The number of the next change was the first one's again, which they had seen.
    here, there = host(), host()
    for at in (1, 2, 3):
        bans_of(here).ban("address", f"203.0.113.{at}", 600)
        assert soon(there, 429, f"203.0.113.{at}")
        server.flushall()
    assert soon(there, 429, "203.0.113.1")


def test_an_end_reaches_other_hosts_after_the_server_has_forgotten_the_ban(host: App, server: Any) -> None:
    here, there = host(), host()
    bans_of(here).ban("address", "192.0.2.1", 600)
    assert soon(there, 429)
    server.flushall()
    assert bans_of(here).lift("address", "192.0.2.1")
    assert soon(there, 200)


@pytest.mark.parametrize("begins", [False, True], ids=["worker", "worker-that-begins"])
def test_an_end_ends_no_ban_that_came_after_it_and_forgets_none_before(host: App, clock: Clock, begins: bool) -> None:
    here, there = host(), host()
    bans_of(here).ban("address", "192.0.2.1", 600)
    assert soon(there, 429)
    bans_of(here).lift("address", "192.0.2.1")
    assert soon(there, 200)
    book: BanBook = bans_of(there).book
    token = book.token("address", "192.0.2.1")
    assert token is not None
    # Other hosts were not told of it: the server was away.
    assert book.strike("login", token, 1, HOUR, HOUR, DAY) == (HOUR, 1)
    if begins:
        remote_of(there).bans_seen = 0
    bans_of(here).ban("address", "203.0.113.1", 600)
    hears_all(there)
    assert look(there) == 429
    clock.advance(HOUR)
    assert book.strike("login", token, 1, HOUR, HOUR, DAY) == (2 * HOUR, 2)


def test_an_end_is_heard_once_by_all_workers_of_the_host_that_ended_it(host: App) -> None:
    here = host()
    bans = bans_of(here)
    bans.ban("address", "192.0.2.1", 600)
    bans.lift("address", "192.0.2.1")
    token = bans.book.token("address", "192.0.2.1")
    bans.book.ban(token, 60.0)
    hears_all(here)
    assert look(here) == 429


def test_a_ban_that_comes_back_is_not_prolonged_by_its_way(host: App) -> None:
    here = host()
    bans_of(here).ban("address", "192.0.2.1", 600)
    time.sleep(0.05)
    hears_all(here)
    assert bans_of(here).left("address", "192.0.2.1") == 600.0


def test_ten_thousand_bans_hold_up_no_request_and_are_no_outage(
    host: App, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    there = host()
    assert look(there) == 200
    tokens = [os.urandom(16).hex() for _ in range(10_000)]
    pipe = server.pipeline(transaction=False)
    ban = server.register_script(SCRIPT)
    for token in tokens:
        ban(KEYS, ["ban", token, 600_000], client=pipe)
    pipe.execute()
    waited = []
    book = bans_of(there).book
    end = time.monotonic() + 30
    while not all(map(book.banned_token, tokens)):
        assert time.monotonic() < end
        begun = time.monotonic()
        assert look(there) == 200
        waited.append(time.monotonic() - begun)
        time.sleep(0.01)
    # The store is given up after 0.05 s.
    assert sorted(waited)[len(waited) // 2] < 0.05
    assert "does not answer" not in caplog.text
    # One more is one more to read, not all of them.
    ban(KEYS, ["ban", "0" * 32, 600_000])
    page = remote_of(there).bans(remote_of(there).bans_seen)
    assert [change.token for change in page.changes] == ["0" * 32]


def test_what_cannot_be_read_is_read_later_and_is_told_once(
    host: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = host(), host()
    remote = remote_of(there)
    failures = [ValueError("nobody is to see this"), RemoteAway("redis://x is away")]
    read = remote.bans

    def bans(seen: int = 0) -> Any:
        if failures:
            raise failures.pop()
        return read(seen)

    monkeypatch.setattr(remote, "bans", bans)
    bans_of(here).ban("address", "192.0.2.1", 600)
    end = time.monotonic() + 20
    with caplog.at_level(logging.WARNING):
        while look(there) != 429:
            assert time.monotonic() < end
            assert not remote.away
            time.sleep(0.02)
    assert caplog.text.count("cannot be heard of now: redis://x is away.") == 1
    assert "nobody" not in caplog.text


def test_what_is_no_ban_there_is_passed_over(host: App, server: Any) -> None:
    here, there = host(), host()
    assert look(there) == 200
    bogus = ["", "x", "g" * 32, "\N{LATIN SMALL LETTER E WITH ACUTE}" * 16, "0" * 33, "1" * 32, "2" * 32, "3" * 32]
    now = int(time.time() * 1000)
    server.zadd(KEYS[3], {name: at + 1 for at, name in enumerate(bogus)})
    server.zadd(KEYS[0], dict.fromkeys(bogus[:5], now + 600000))
    server.zadd(KEYS[0], {"1" * 32: "inf"})
    server.zadd(KEYS[2], {"2" * 32: "inf", "": now + 600_000})
    bans_of(here).ban("address", "192.0.2.1", 600)
    assert soon(there, 429)
    # As long as a ban can be.
    assert bans_of(there).book.banned_token("1" * 32) > 9 * 365 * DAY


def test_a_child_of_a_fork_hears_for_itself(host: App) -> None:
    here, there = host(), host()
    bans_of(here).ban("address", "203.0.113.1", 600)
    assert soon(there, 429, "203.0.113.1")
    bans_of(here).ban("address", "192.0.2.1", 600)
    child = os.fork()
    if child == 0:
        heard = False
        try:
            heard = soon(there, 429)
        finally:
            os._exit(0 if heard else 1)
    assert os.waitpid(child, 0)[1] == 0


def changes(server: Any, now: float, *words: Any, script: str = SCRIPT) -> list[Any]:
    """Asks by a clock of ours."""
    fixed = script.replace("redis.call('TIME')", f"{{ '{int(now)}', '{round(now % 1 * 1e6)}' }}")
    return list(server.eval(fixed, len(KEYS), *KEYS, *words))


def test_numbers_of_changes_rise_though_the_clock_goes_back(server: Any) -> None:
    first = changes(server, 1_800_000_000, "ban", "a", 600_000)[0]
    second = changes(server, 1_799_999_000, "ban", "b", 9_600_000)[0]
    assert (first, second) == (1_800_000_000_000_000, 1_800_000_000_000_001)
    assert changes(server, 1_799_999_000, "list", first, 10) == [second, second, b"b", second, 9_600_000]
    server.set(KEYS[1], "nonsense")
    assert changes(server, 1_799_999_000, "ban", "c", 600_000)[0] == 1_799_999_000_000_000


def test_changes_are_read_a_page_at_a_time_each_token_s_last_one(server: Any) -> None:
    now = 1_800_000_000
    for name in "abca":
        changes(server, now, "ban", name, 600_000 if name != "a" else 700_000)
    changes(server, now, "lift", "b", 1000)
    last, seen, *rows = changes(server, now, "list", 0, 2)
    assert rows == [b"a", now * 10**6, 700_000, b"c", now * 10**6 + 2, 600_000]
    assert (last, seen) == (now * 10**6 + 3, now * 10**6 + 2)
    assert changes(server, now, "list", seen, 2) == [last, last, b"b", last, -600_000]
    assert changes(server, now, "list", last, 2) == [last, last]
    # What is over is told to nobody, and forgotten.
    assert changes(server, now + 650, "list", 0, 9)[2::3] == [b"a"]
    changes(server, now + 800, "ban", "d", 1000)
    assert [server.zcard(key) for key in (KEYS[0], KEYS[2], KEYS[3])] == [1, 0, 1]


def test_bans_that_are_kept_for_others_are_bounded_and_the_first_to_end_go_first(server: Any) -> None:
    now = 1_800_000_000
    small = SCRIPT.replace("= 100000, 10000, 500", "= 3, 2, 500")
    for at, length in enumerate([50, 10, 40, 30, 20]):
        changes(server, now, "ban", str(at), length * 1000, script=small)
    assert server.zrange(KEYS[0], 0, -1) == [b"3", b"2", b"0"]
    for name in "023":
        changes(server, now, "lift", name, 1000, script=small)
    assert server.zrange(KEYS[2], 0, -1) == [b"2", b"0"]
    assert server.zrange(KEYS[3], 0, -1) == [b"0", b"2"]


def test_greenlets_hear_too_and_none_waits_for_it(redis_server: Redis, server: Any) -> None:
    program = """
        import sys, time
        from gevent import monkey; monkey.patch_all()
        import gevent
        from flask import Flask
        from flask_rampart import Rampart
        from flask_rampart.limits import Limits

        def host():
            app = Flask("host")
            app.config.update(RAMPART_LIMIT_STORE=sys.argv[1], RAMPART_LIMITS="1000/hour", SECRET_KEY="k" * 32,
                              RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE_TIMEOUT=2, TESTING=True)
            Rampart(app)
            return app

        here, there = host(), host()
        here.extensions["rampart"].services[Limits].bans.ban("address", "192.0.2.1", 600)

        def look(address):
            return there.test_client().get("/", environ_base={"REMOTE_ADDR": address}).status_code

        jobs = [gevent.spawn(look, "198.51.100.1") for _ in range(20)]
        gevent.joinall(jobs, raise_error=True)
        end = time.monotonic() + 10
        while look("192.0.2.1") != 429:
            assert time.monotonic() < end
            time.sleep(0.02)
        print({job.value for job in jobs})
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), redis_server.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "{404}\n", "")
