"""What is settled in a Redis is given back once: by many threads, over connections that break, and without an answer."""

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

from flask_rampart.limits import Limits, quotas_of
from flask_rampart.limits.reserving import Reservation

from .listening import Listening
from .servers import Redis

App = Callable[..., Flask]


class Between(Listening):
    """Stands between a client and a server. It can lose an answer: the server did what it was told, and nobody hears."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self.loses = False
        self.sent = 0
        super().__init__(self._pass_on)

    def _pass_on(self, peer: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._behind)) as server:
            while data := peer.recv(65536):
                self.sent += 1
                server.sendall(data)
                answer = server.recv(65536)
                if self.loses:
                    return
                peer.sendall(answer)


@pytest.fixture(name="between")
def server_behind_another(own: Redis) -> Iterator[Between]:
    with contextlib.closing(Between(own.port)) as between:
        yield between


@pytest.fixture(name="limits_in")
def limits_of_a_port(make_app: App) -> Iterator[Callable[..., Any]]:
    remotes = []

    def limits(port: int, quota: str = "1000/day fixed", timeout: float = 2) -> Any:
        url = f"redis://127.0.0.1:{port}/0"
        app = make_app(SECRET_KEY="k" * 32, RAMPART_LIMIT_STORE=url, RAMPART_LIMIT_STORE_TIMEOUT=timeout, TESTING=True)
        service: Limits = app.extensions["rampart"].services[Limits]
        remotes.append(service.remote)
        return service.set_of([("s", quotas_of(quota), "text")])

    yield limits
    for remote in remotes:
        assert remote is not None
        remote.close()


QUOTAS = ["1000/day fixed", "1000/day", "1000/day sliding"]


def left(limits: Any) -> int:
    """What is left, of a key that two callers share."""
    return int(limits.peek(("a",)).remaining)


def after_300(limits: Any) -> Any:
    """A reservation of 100 beside the 300 that were spent before."""
    limits.check(("a",), 300)
    return limits.reserve(("a",), 100)[1]


@pytest.mark.parametrize("quota", QUOTAS)
def test_what_several_threads_give_back_is_given_back_once(
    limits_in: Callable[..., Any], own: Redis, quota: str
) -> None:
    limits = limits_in(own.port, quota)
    limits.check(("a",), 300)
    for _ in range(10):
        _, charged = limits.reserve(("a",), 100)
        barrier = threading.Barrier(4)

        def give_back(charged: Any = charged, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            charged.settle(0)

        threads = [threading.Thread(target=give_back) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert left(limits) == 700


@pytest.mark.parametrize("quota", QUOTAS)
def test_what_was_given_back_without_an_answer_is_not_given_back_again(
    limits_in: Callable[..., Any], own: Redis, quota: str
) -> None:
    limits = limits_in(own.port, quota, timeout=0.2)
    charged = after_300(limits)
    with own.standing_still():
        charged.settle(0)
    time.sleep(0.5)  # and it does what it was told
    charged.settle(0)
    assert left(limits) == 700


def test_what_was_charged_without_an_answer_is_charged(limits_in: Callable[..., Any], own: Redis) -> None:
    limits = limits_in(own.port, timeout=0.2)
    _, charged = limits.reserve(("a",), 100)
    with own.standing_still():
        charged.settle(150)
    time.sleep(0.5)
    charged.settle(150)
    # Perhaps twice: who asks again cannot know. Never less.
    assert left(limits) in (850, 800)


def test_what_could_not_be_sent_at_all_is_settled_afterwards(limits_in: Callable[..., Any], own: Redis) -> None:
    limits = limits_in(own.port)
    _, charged = limits.reserve(("a",), 100)
    remote = limits._remote
    asked = remote._client._source.make
    remote._client.forget()
    remote._client._source.make = lambda: 1 / 0
    charged.settle(0)
    remote._client._source.make = asked
    assert left(limits) == 900
    charged.settle(0)
    assert left(limits) == 1000


@pytest.mark.parametrize("quota", QUOTAS)
def test_a_connection_that_breaks_after_it_was_sent_gives_nothing_back_twice(
    limits_in: Callable[..., Any], between: Between, quota: str
) -> None:
    limits = limits_in(between.port, quota)
    charged = after_300(limits)
    between.loses, before = True, between.sent
    charged.settle(0)
    assert between.sent == before + 1
    between.loses = False
    charged.settle(0)
    assert left(limits) == 700


def test_a_connection_that_the_server_has_closed_loses_no_settlement(limits_in: Callable[..., Any], own: Redis) -> None:
    limits = limits_in(own.port)
    _, charged = limits.reserve(("a",), 100)
    with redis.Redis.from_url(own.url) as client:
        client.execute_command("CLIENT KILL TYPE normal SKIPME yes")
    time.sleep(0.1)
    charged.settle(40)
    assert left(limits) == 960


def test_a_check_whose_connection_breaks_is_asked_again_and_counts_twice_at_most(
    limits_in: Callable[..., Any], between: Between
) -> None:
    limits = limits_in(between.port)
    assert limits.check(("a",)).remaining == 999
    between.loses = True
    # The next connection breaks as well: that one is new, and an outage.
    assert limits.check(("a",)).admitted
    between.loses = False
    assert left(limits) in (998, 997)


def test_a_child_of_a_fork_settles_nothing_of_its_parent_s(limits_in: Callable[..., Any], own: Redis) -> None:
    limits = limits_in(own.port)
    charged = after_300(limits)
    child = os.fork()
    if child == 0:
        charged.settle(0)
        charged.later(lambda: charged.settle(0))
        limits.peek(("b",))
        os._exit(0)
    os.waitpid(child, 0)
    assert left(limits) == 600
    charged.settle(0)
    # Given back by both, there would have been as much again.
    assert left(limits) == 700


def test_the_collector_waits_for_no_server_where_a_stream_was_dropped(
    limits_in: Callable[..., Any], own: Redis
) -> None:
    limits = limits_in(own.port, timeout=10)

    def begun() -> Any:
        stream = Reservation(limits.reserve(("a",), 100)[1], 100).stream(iter(["x" * 10, "x" * 10]), len)
        assert len(next(stream)) == 10
        return stream

    assert own.seconds_to_collect(begun) < 5
    end = time.monotonic() + 8
    while left(limits) != 990:
        assert time.monotonic() < end, "it was not settled"
        time.sleep(0.02)


def test_what_is_settled_by_hand_is_the_last_word_also_where_a_stream_was_dropped(
    limits_in: Callable[..., Any], own: Redis
) -> None:
    limits = limits_in(own.port)
    _, charged = limits.reserve(("a",), 100)
    budget = Reservation(charged, 100)
    budget.stream(iter(["x"]), len)  # and nobody has it
    budget.settle(50)
    for _ in range(10):
        assert left(limits) == 950
        time.sleep(0.02)


def test_greenlets_settle_too(own: Redis) -> None:
    program = """
        from gevent import monkey; monkey.patch_all()
        import gevent, sys
        from flask import Flask
        from flask_rampart import Rampart
        from flask_rampart.limits import Limits, quotas_of
        app = Flask("greenlets")
        app.config.update(SECRET_KEY="k" * 32, RAMPART_LIMIT_STORE=sys.argv[1], RAMPART_LIMIT_STORE_TIMEOUT=5,
                          TESTING=True)
        Rampart(app)
        limits = app.extensions["rampart"].services[Limits].set_of([("s", quotas_of("1000/day fixed"), "text")])
        def spend():
            for _ in range(5):
                limits.reserve(("a",), 10)[1].settle(7)
        gevent.joinall([gevent.spawn(spend) for _ in range(10)], raise_error=True)
        print(limits.peek(("a",)).remaining)
    """
    run = [sys.executable, "-c", textwrap.dedent(program), own.url]
    assert subprocess.run(run, capture_output=True, text=True, check=True, timeout=60).stdout.strip() == "650"
