"""The access log's way out: what waits, what is written, by which process, and what is left behind."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import textwrap
import time
import weakref
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request

from flask_rampart import ConfigError, Rampart
from flask_rampart._native import Answer, Answers, HeaderPolicy

App = Callable[..., Flask]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program of its own, with an app that logs to a file in *folder* and lets lines wait for a minute."""
    head = """
        import os, sys
        from flask import Flask
        from flask_rampart import Rampart
        app = Flask("app")
        where = os.environ.get("LOG", "access.log")
        app.config.update(RAMPART_ACCESS_LOG=where, RAMPART_ACCESS_LOG_DELAY=60, RAMPART_LIMIT_STORE="memory://")
        Rampart(app)
        app.get("/<name>")(lambda name: name)
        client = app.test_client()
        def get(name): client.get("/" + name).get_data()
    """
    program = textwrap.dedent(head) + textwrap.dedent(script)
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )


def test_lines_wait_for_the_delay_and_no_longer(make_app: App, tmp_path: Path) -> None:
    path = tmp_path / "log"
    app = make_app(RAMPART_ACCESS_LOG=str(path), RAMPART_ACCESS_LOG_DELAY=0.3)
    app.get("/")(lambda: "ok")
    client = app.test_client()
    for _ in range(3):
        client.get("/").get_data()
    assert lines(path) == []
    until = time.monotonic() + 20
    while len(lines(path)) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    assert len(lines(path)) == 3


def test_under_testing_no_line_waits(make_app: App, tmp_path: Path) -> None:
    path = tmp_path / "log"
    app = make_app(RAMPART_ACCESS_LOG=str(path), RAMPART_ACCESS_LOG_DELAY=60)
    app.get("/")(lambda: "ok")
    app.testing = True
    app.test_client().get("/").get_data()
    assert len(lines(path)) == 1


def test_what_waits_is_written_when_the_process_ends(tmp_path: Path) -> None:
    run("get('a'); get('b'); assert not open(where).read()", tmp_path)
    assert [line["target"] for line in lines(tmp_path / "access.log")] == ["/a", "/b"]


def test_a_flood_is_written_before_the_delay_is_over(tmp_path: Path) -> None:
    script = """
        for _ in range(1000): get('a')
        print(os.stat(where).st_size)
    """
    assert int(run(script, tmp_path).stdout) > 50_000


def test_a_forked_child_writes_its_own_lines_and_none_of_its_parents(tmp_path: Path) -> None:
    # Workers of a server that loads the app before it forks.
    script = """
        get('parent')
        child = os.fork()
        if not child:
            get('child'); get('child')
            sys.exit()
        os.waitpid(child, 0)
        get('parent')
    """
    run(script, tmp_path)
    targets = [line["target"] for line in lines(tmp_path / "access.log")]
    assert targets == ["/child", "/child", "/parent", "/parent"]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_the_processs_own_stream_gets_whole_lines(tmp_path: Path, stream: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(STREAMING)],
        env={**os.environ, "LOG": stream},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    written = [json.loads(line) for line in getattr(done, stream).splitlines()]
    assert len(written) == 100
    assert {line["target"] for line in written} == {"/" + "x" * 500}


STREAMING = """
    import os
    from flask import Flask
    from flask_rampart import Rampart
    app = Flask("app")
    app.config.update(RAMPART_ACCESS_LOG=os.environ["LOG"], RAMPART_LIMIT_STORE="memory://")
    Rampart(app)
    client = app.test_client()
    for _ in range(100):
        client.get("/" + "x" * 500).get_data()
"""


def test_a_rotated_file_is_begun_anew(make_app: App, tmp_path: Path) -> None:
    path = tmp_path / "log"
    app = make_app(RAMPART_ACCESS_LOG=str(path))
    client = app.test_client()
    client.get("/before").get_data()
    path.rename(tmp_path / "log.1")
    client.get("/after").get_data()
    assert [line["target"] for line in lines(tmp_path / "log.1")] == ["/before"]
    assert [line["target"] for line in lines(path)] == ["/after"]


def test_a_full_disk_takes_no_request_down_and_is_told(make_app: App, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(RAMPART_ACCESS_LOG="/dev/full")
    app.get("/")(lambda: "ok")
    response = app.test_client().get("/")
    assert response.get_data() == b"ok"
    response.close()
    assert "The access log cannot be written: No space left on device" in caplog.text
    assert "lines lost: 1" in caplog.text


def test_a_delay_that_is_none_is_a_mistake() -> None:
    for wrong in (-1, 61, True, "1"):
        app = Flask("app")
        app.config.update(RAMPART_ACCESS_LOG_DELAY=wrong)
        with pytest.raises(ConfigError, match="RAMPART_ACCESS_LOG_DELAY must be a number of seconds"):
            Rampart(app)


def test_nothing_of_a_request_is_left_for_the_collector_of_garbage(make_app: App) -> None:
    # A request and its exchange held one another: bodies stayed in memory until the collector came by.
    app = make_app()
    seen: list[weakref.ref[Any]] = []

    def view() -> str:
        seen.append(weakref.ref(request._get_current_object()))  # type: ignore[attr-defined]
        return str(len(request.get_json()))

    app.post("/")(view)
    body = b'{"a": 1}'
    gc.collect()
    gc.disable()
    try:
        for chunked in (False, True):
            environ: dict[str, Any] = {
                "REQUEST_METHOD": "POST",
                "SCRIPT_NAME": "",
                "PATH_INFO": "/",
                "SERVER_NAME": "localhost",
                "SERVER_PORT": "80",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "HTTP_HOST": "localhost",
                "CONTENT_TYPE": "application/json",
                "wsgi.url_scheme": "http",
                "wsgi.input": BytesIO(body),
                "wsgi.errors": sys.stderr,
                **({"wsgi.input_terminated": True} if chunked else {"CONTENT_LENGTH": str(len(body))}),
            }
            answer: Any = app.wsgi_app(environ, lambda status, headers, exc_info=None: lambda data: None)
            assert b"".join(answer) == b"1"
            answer.close()
            del answer, environ
            assert seen[-1]() is None
    finally:
        gc.enable()


class Exchange:
    def __init__(self) -> None:
        self.id = "1"
        self.environ: dict[str, Any] = {"REQUEST_METHOD": "GET"}
        self.nonce = None
        self.headers = None
        self.refusal = None
        self.limits = ()
        self.sends = ()
        self.crossing = None


def test_an_answer_that_its_own_body_holds_can_be_collected() -> None:
    # A generator that is a WSGI app keeps `start_response` for as long as it lives.
    exchange = Exchange()
    gone = weakref.ref(exchange)

    def body(start_response: Any) -> Any:
        yield b"a"
        start_response("200 OK", [])

    answer: Any = Answer(Answers(HeaderPolicy("api")), exchange, lambda *given: None)
    next(answer.of(body(answer)))
    del answer, exchange
    gc.collect()
    assert gone() is None


def test_an_answer_may_be_started_while_its_body_is_read() -> None:
    started: list[Any] = []
    answer = Answer(Answers(HeaderPolicy("api")), Exchange(), lambda *given: started.append(given))

    def body() -> Any:
        answer("200 OK", [("Content-Type", "text/plain")])
        yield b"a"

    assert list(answer.of(body())) == [b"a"]
    assert started[0][0] == "200 OK"
    assert ("X-Request-Id", "1") in started[0][1]


def test_an_app_that_nobody_needs_any_more_is_freed(make_app: App, tmp_path: Path) -> None:
    # Each would keep a thread and two descriptors.
    apps: list[weakref.ref[Any]] = []
    for number in range(5):
        app = make_app(RAMPART_ACCESS_LOG=str(tmp_path / str(number)), RAMPART_ACCESS_LOG_DELAY=0.01)
        app.test_client().get("/").get_data()
        apps.append(weakref.ref(app))
        del app
    # A thread that writes may have one in its hands.
    end = time.monotonic() + 20
    while any(ref() for ref in apps[:-1]) and time.monotonic() < end:
        gc.collect()
        time.sleep(0.05)
    assert [ref() for ref in apps[:-1]] == [None] * 4


def test_a_status_that_the_server_did_not_take_is_not_told_as_sent(make_app: App, tmp_path: Path) -> None:
    path = tmp_path / "log"
    app = make_app(RAMPART_ACCESS_LOG=str(path))
    app.get("/")(lambda: ("ok", {"X-Broken": "a\x01b"}))
    with pytest.raises(ValueError, match="X-Broken"):
        app.test_client().get("/")
    assert [line["status"] for line in lines(path)] == [500]


def test_a_signal_that_the_process_holds_back_is_not_taken_by_the_thread_that_writes(tmp_path: Path) -> None:
    script = """
        import signal, time
        get('a')
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.05)
        print(signal.SIGTERM in signal.sigpending())
    """
    assert run(script, tmp_path).stdout.strip() == "True"


def test_a_reader_that_went_to_sleep_does_not_keep_the_process_from_ending() -> None:
    reader, writer = os.pipe()
    script = textwrap.dedent(STREAMING).replace("range(100)", "range(1000)")
    try:
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "LOG": "stderr"},
            stderr=writer,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0
    finally:
        os.close(reader)
        os.close(writer)
