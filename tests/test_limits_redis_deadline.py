"""No request waits for a Redis longer than it may: whatever is slow, and however it is slow."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
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
from flask import Flask

from flask_rampart import limit
from flask_rampart.limits import Limits
from flask_rampart.limits.remote import Remote, RemoteAway

from .listening import Listening
from .servers import Redis
from .serving import serving

pytestmark = pytest.mark.servers

App = Callable[..., Flask]
ONE = ["check", "g", "1", "57600000000", "5", "0", "0"]
ANSWER = b"*6\r\n:1\r\n:4\r\n:12000000\r\n:0\r\n:640000000000000\r\n:0\r\n"
STUMBLE = 0.5
"""Seconds that a machine which runs many tests may stand still."""


@pytest.fixture(name="talking")
def server_that_says() -> Iterator[Callable[..., int]]:
    """The port of one that answers each request with these bytes, at once or one after each pause."""
    is_over = threading.Event()
    with contextlib.ExitStack() as listening:

        def start(says: bytes = b"", pause: float = 0) -> int:
            def talk(peer: socket.socket) -> None:
                peer.settimeout(0.1)
                while not is_over.is_set():
                    with contextlib.suppress(TimeoutError):
                        if not peer.recv(65536):
                            return
                        for at in range(len(says)) if pause else ():
                            if is_over.wait(pause):
                                return
                            peer.sendall(says[at : at + 1])
                        if not pause:
                            peer.sendall(says)

            return listening.enter_context(contextlib.closing(Listening(talk))).port

        yield start
        is_over.set()


@pytest.fixture(name="full")
def port_that_nobody_accepts() -> Iterator[int]:
    """A connection to it is neither made nor refused."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(address)
        time.sleep(0.05)
        yield int(address[1])


def names(monkeypatch: pytest.MonkeyPatch, *ports: int, after: float = 0.0) -> None:
    """Has ``shop.example`` be at these ports of this host, as a resolver says after so long; nowhere, without any."""
    real = socket.getaddrinfo

    def resolve(host: Any, *more: Any, **how: Any) -> Any:
        if host != "shop.example":
            return real(host, *more, **how)
        time.sleep(after)
        if not ports:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def took(remote: Remote) -> float:
    """Seconds that a call took that had no answer."""
    before = time.monotonic()
    with pytest.raises(RemoteAway):
        remote.ask(["a" * 32], ONE)
    return time.monotonic() - before


def trying() -> set[threading.Thread]:
    """The threads that try whether a server is back."""
    gc.collect()
    return {thread for thread in threading.enumerate() if thread.name == "rampart-store"}


def until_none_tries(but: set[threading.Thread], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while trying() - but:
        assert time.monotonic() < end
        time.sleep(0.01)


def until_asked(remote: Remote, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(RemoteAway):
            remote.ask(["z" * 32], ONE)
            return
        assert time.monotonic() < end, "it is not used again"
        time.sleep(0.01)


def test_a_resolver_that_does_not_answer_holds_up_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    # A resolver has 5 s and two tries by itself (resolv.conf(5)), and no timeout of a socket's is about it.
    names(monkeypatch, after=1.5)
    remote = Remote("redis://shop.example/0", prefix="t", timeout=0.05)
    assert max(took(remote) for _ in range(4)) < 0.05 + STUMBLE


def test_a_name_of_many_addresses_has_one_deadline_for_all(monkeypatch: pytest.MonkeyPatch, full: int) -> None:
    names(monkeypatch, *[full] * 8)
    remote = Remote("redis://shop.example/0", prefix="t", timeout=0.2)
    assert max(took(remote) for _ in range(4)) < 0.2 + STUMBLE


@pytest.mark.parametrize("url", ["redis://:pw@127.0.0.1:{}/5", "rediss://127.0.0.1:{}/0", "redis://127.0.0.1:{}/3"])
def test_a_handshake_has_no_time_of_its_own(talking: Callable[..., int], url: str) -> None:
    # AUTH, then SELECT, then the command: each a tenth of a second late.
    remote = Remote(url.format(talking(b"+OK\r\n", 0.05)), prefix="t", timeout=0.1)
    assert max(took(remote) for _ in range(4)) < 0.1 + STUMBLE


def test_a_sentinel_that_hangs_has_no_time_of_its_own(talking: Callable[..., int]) -> None:
    nodes = ",".join(f"127.0.0.1:{talking()}" for _ in range(3))
    for url in (f"redis+sentinel://{nodes}/main", f"redis+cluster://{nodes}"):
        remote = Remote(url, prefix="t", timeout=0.1)
        assert max(took(remote) for _ in range(4)) < 0.1 + STUMBLE


def test_an_answer_a_byte_at_a_time_has_no_more_time_than_another(talking: Callable[..., int]) -> None:
    # A socket's timeout is for each wait: at 0.2 s this took 2.5 s, and was a success.
    remote = Remote(f"redis://127.0.0.1:{talking(ANSWER, 0.05)}/0", prefix="t", timeout=0.2)
    assert max(took(remote) for _ in range(4)) < 0.2 + STUMBLE


def test_a_connection_that_comes_too_late_is_there_for_who_comes_next(
    monkeypatch: pytest.MonkeyPatch, own: Redis
) -> None:
    names(monkeypatch, own.port, after=0.3)
    remote = Remote("redis://shop.example/0", prefix="t", timeout=0.1)
    assert took(remote) < 0.1 + STUMBLE
    time.sleep(0.6)
    names(monkeypatch)
    assert remote.ask(["a" * 32], ONE)[0] == 1
    assert not remote.away


def test_while_it_is_known_to_be_away_no_request_waits_and_one_thread_tries(own: Redis) -> None:
    others = trying()
    remote = Remote(own.url, prefix="t", timeout=0.2)
    remote.ask(["a" * 32], ONE)
    own.process.send_signal(signal.SIGSTOP)
    for _ in range(3):
        took(remote)
    assert remote.away
    waits = []
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        waits.append(took(remote))
        time.sleep(0.001)
    # In this time it was tried four times.
    assert sorted(waits)[-10] < 0.05
    assert len(trying() - others) == 1
    own.process.send_signal(signal.SIGCONT)
    began = time.monotonic()
    until_asked(remote)
    assert time.monotonic() - began < 2 + STUMBLE
    # Nobody tries what works.
    until_none_tries(others)


def test_nobody_tries_for_an_app_that_is_gone(talking: Callable[..., int]) -> None:
    others = trying()
    remote = Remote(f"redis://127.0.0.1:{talking()}/0", prefix="t", timeout=0.01)
    for _ in range(3):
        took(remote)
    assert trying() - others
    del remote
    until_none_tries(others)


def test_many_who_begin_at_once_share_the_connections_that_there_are(own: Redis) -> None:
    remote = Remote(own.url, prefix="t", timeout=5)
    barrier = threading.Barrier(40)
    admitted: list[int] = []

    def ask() -> None:
        barrier.wait()
        admitted.append(
            sum(remote.ask(["a" * 32], ["check", "g", "1", "57600000000", "100", "0", "0"])[0] for _ in "abc")
        )

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(admitted) == 100
    assert not remote.away


def test_a_child_that_is_forked_while_it_is_away_uses_it_when_it_is_back(own: Redis) -> None:
    # Whoever tried was its parent's.
    remote = Remote(own.url, prefix="t", timeout=0.2)
    own.stop()
    for _ in range(3):
        took(remote)
    time.sleep(0.3)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            own.start()
            until_asked(remote)
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    until_asked(remote)
    port = own.port
    redis.Redis(port=port).shutdown(nosave=True)


def test_where_no_thread_can_start_it_is_away_until_one_can(own: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote(own.url, prefix="t", timeout=0.5)

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        for _ in range(5):
            took(remote)
    until_asked(remote)


@pytest.mark.parametrize(
    "says",
    [
        b"*0\r\n", b"*-1\r\n", b"$-1\r\n", b":1\r\n", b"+OK\r\n", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", b"*1\r\n:1\r\n",
        b"*6\r\n" + b":1\r\n" * 7, b"*6\r\n" + b":1\r\n" * 5 + b"$1\r\n1\r\n", b"*6\r\n" + b":1\r\n" * 5 + b":x\r\n",
        b"*6\r\n" + b":1\r\n" * 5 + b":99999999999999999999\r\n", b"*99999999\r\n:1\r\n", b"$99999999\r\nx\r\n",
        b"*1\r\n" * 9, b"\xff\x00nonsense\r\n", ANSWER + ANSWER, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-\r\n",
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_an_outage_and_no_error(
    make_app: App, talking: Callable[..., int], says: bytes
) -> None:
    app = make_app(SECRET_KEY="k" * 32, RAMPART_LIMIT_STORE=f"redis://127.0.0.1:{talking(says)}/0", TESTING=True)
    app.get("/")(limit("3/hour")(lambda: "ok"))
    assert [app.test_client().get("/").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    remote = app.extensions["rampart"].services[Limits].remote
    assert remote.away


def test_a_key_that_is_somebody_else_s_is_away_for_its_caller_alone(make_app: App, own: Redis) -> None:
    # One of a type that ours is not, in a server that others write to.
    app = make_app(SECRET_KEY="k" * 32, RAMPART_LIMIT_STORE=own.url, TESTING=True, RAMPART_LIMIT_STORE_TIMEOUT=2)
    app.get("/")(limit("20/hour")(lambda: "ok"))
    client = redis.Redis.from_url(own.url)

    def status(address: str) -> tuple[int, str]:
        answer = app.test_client().get("/", environ_base={"REMOTE_ADDR": address})
        return answer.status_code, answer.headers["RateLimit"].split(";")[1]

    status("192.0.2.1")
    (key,) = client.keys("*")
    client.delete(key)
    client.lpush(key, "x")
    assert [status("192.0.2.1") for _ in range(5)] == [(200, f"r={left}") for left in (19, 18, 17, 16, 15)]
    remote = app.extensions["rampart"].services[Limits].remote
    assert not remote.away
    assert status("192.0.2.2") == (200, "r=19")
    assert len(client.keys("*")) == 2


def test_greenlets_have_the_same_deadlines(talking: Callable[..., int]) -> None:
    program = """
        from gevent import monkey; monkey.patch_all()
        import gevent, socket, sys, time
        from flask_rampart.limits.remote import Remote, RemoteAway
        slow = socket.getaddrinfo
        def resolve(host, *more, **how):
            if host == "shop.example":
                time.sleep(2)
            return slow(host, *more, **how)
        socket.getaddrinfo = resolve
        ticks = []
        def tick():
            while True:
                ticks.append(time.monotonic())
                gevent.sleep(0.01)
        ticking = gevent.spawn(tick)
        for url in sys.argv[1:]:
            remote = Remote(url, prefix="t", timeout=0.2)
            for _ in range(4):
                before = time.monotonic()
                try:
                    remote.ask(["0" * 32], ["check", "g", "1", "16", "1", "0", "0"])
                except RemoteAway:
                    print(time.monotonic() - before)
        print(max(later - earlier for earlier, later in zip(ticks, ticks[1:])))
    """
    urls = [f"redis://127.0.0.1:{talking(ANSWER, 0.05)}/0", f"redis://:pw@127.0.0.1:{talking(b'+OK', 0.1)}/1"]
    run = [sys.executable, "-c", textwrap.dedent(program), *urls, "redis://shop.example/0"]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60)
    *waits, longest_silence = [float(line) for line in done.stdout.split()]
    assert len(waits) == 12
    assert max(waits) < 0.2 + STUMBLE
    assert longest_silence < 0.2


@pytest.mark.parametrize("how", [("-k", "gevent", "-w", "2"), ("-k", "gevent", "-w", "2", "--preload"), ("-w", "2")])
def test_workers_go_on_while_it_is_away_and_use_it_again(tmp_path: Path, own: Redis, how: tuple[str, ...]) -> None:
    views = f"""
        app.config["RAMPART_LIMIT_STORE"] = {own.url!r}
        app.config["RAMPART_LIMIT_STORE_TIMEOUT"] = {STUMBLE}
        rampart = Rampart(app)

        @app.get("/")
        @limit("1000/day")
        def view():
            return ("there", "away")[app.extensions["rampart"].services[Limits].remote.away]

        app.get("/held")(limit("50 concurrent")(lambda: "ok"))
        from flask_rampart.limits import Limits
    """
    with serving(tmp_path, views, *how) as served:

        def answers(count: int, path: str = "/") -> list[Any]:
            return [answer[::2] for answer in served.at_once(count, lambda: served.get(path))]

        assert answers(20) == [(200, "there")] * 20
        assert answers(20, "/held") == [(200, "ok")] * 20
        own.process.send_signal(signal.SIGSTOP)
        for _ in range(3):
            assert {status for status, _ in answers(20)} == {200}
            assert {status for status, _ in answers(20, "/held")} == {200}
        assert answers(20) == [(200, "away")] * 20
        began = time.monotonic()
        answers(10)
        assert time.monotonic() - began < 1
        own.process.send_signal(signal.SIGCONT)
        served.wait(lambda: answers(10) == [(200, "there")] * 10)
        assert answers(20, "/held") == [(200, "ok")] * 20
        assert "Traceback" not in served.said()
