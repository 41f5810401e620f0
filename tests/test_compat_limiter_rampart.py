"""The face of Flask-Limiter beside what else there is: ``Rampart(app)``, problems, threads, the command line."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request

from flask_rampart import Clock, Rampart
from flask_rampart.compat import limiter as face
from flask_rampart.compat.limiter.util import get_remote_address
from flask_rampart.signals import limit_exceeded

from .facing import MIDNIGHT

ROOT = Path(__file__).parent.parent


def app_of(*, rampart: bool = False, text: str = "2/day", **config: Any) -> tuple[Flask, face.Limiter, Clock]:
    app = Flask("beside")
    app.testing = True
    app.config.update(RAMPART_ACCESS_LOG="off", **config)
    clock = Clock.manual(MIDNIGHT)
    if rampart:
        Rampart(app, clock=clock)
    limiter = face.Limiter(get_remote_address, app=app, default_limits=[text], clock=None if rampart else clock)
    app.add_url_rule("/", "index", lambda: "in")
    app.add_url_rule("/own", "own", limiter.limit("1/hour")(lambda: "in"), methods=["GET", "POST"])
    return app, limiter, clock


def test_the_pages_first_example_runs() -> None:
    text = (ROOT / "docs" / "migrate" / "limiter.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.S)
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(block, "limiter.md", "exec"), names)
    names["app"].testing = True
    client = names["app"].test_client()
    assert [client.get(path).status_code for path in ("/slow", "/slow", "/ping")] == [200, 429, 200]


def test_rampart_gives_its_clock_and_hears_of_refusals() -> None:
    app, _, clock = app_of(rampart=True)
    heard: list[Any] = []

    def hear(sender: Any, **told: Any) -> None:
        heard.append((told["quota"], told["exchange"].codes))

    client = app.test_client()
    with limit_exceeded.connected_to(hear, app):
        assert [client.get("/").status_code for _ in range(3)] == [200, 200, 429]
    assert heard == [("2/day fixed", ("limit.exceeded",))]
    clock.advance(86400)
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("rampart", [False, True])
def test_refusals_may_be_problems(rampart: bool) -> None:
    app, _, _ = app_of(rampart=rampart, text="1/minute", RAMPART_ERROR_FORMAT="problem")
    client = app.test_client()
    client.get("/")
    answer = client.get("/")
    assert (answer.status_code, answer.mimetype) == (429, "application/problem+json")
    assert answer.headers["Retry-After"] == "60"
    assert answer.get_json()["violated-policies"] == ["1/minute fixed"]


def test_threads_share_one_quota() -> None:
    app, _, _ = app_of(text="40/day")
    found: list[int] = []

    def ask() -> None:
        found.extend(app.test_client().get("/").status_code for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found.count(200), found.count(429)) == (40, 40)


def test_the_view_that_is_replaced_is_asked_anew() -> None:
    app, limiter, _ = app_of()
    client = app.test_client()
    assert [client.get("/").status_code for _ in range(3)] == [200, 200, 429]
    app.view_functions["index"] = limiter.exempt(lambda: "anew")
    assert client.get("/").text == "anew"


def test_limits_are_asked_once_more_by_hand() -> None:
    app, limiter, _ = app_of()
    with app.test_request_context("/own"):
        limiter.check()
        with pytest.raises(face.RateLimitExceeded) as refused:
            limiter.check()
    assert str(refused.value.limit.limit) == "1 per 1 hour"


def test_commands_show_and_clear_what_was_spent() -> None:
    app, _, _ = app_of()
    client, run = app.test_client(), app.test_cli_runner()
    client.get("/own")
    assert client.get("/own").status_code == 429
    shown = run.invoke(args=["limiter", "config"]).output
    assert "Default limits     2/day" in shown and "get_remote_address" in shown
    listed = run.invoke(args=["limiter", "limits", "--key", "127.0.0.1"]).output
    assert "/own  GET  own  1 per 1 hour  0 left" in listed and "/  GET  index  2 per 1 day  2 left" in listed
    assert run.invoke(args=["limiter", "limits", "--path", "/own", "--method", "POST"]).output.count("\n") == 1
    cleared = run.invoke(args=["limiter", "clear", "--key", "127.0.0.1", "--endpoint", "own", "-y"])
    assert cleared.exit_code == 0, cleared.output
    assert client.get("/own").status_code == 200
    assert run.invoke(args=["limiter", "clear", "--key", "x"], input="n\n").exit_code == 1


@pytest.mark.parametrize(
    "command", [["limits"], ["limits", "--key", "127.0.0.1"], ["clear", "-y", "--key", "127.0.0.1"]]
)
def test_commands_say_what_there_is_none_of(command: list[str]) -> None:
    app, _, _ = app_of()
    app.add_url_rule("/folder/", "folder", lambda: "in")
    app.add_url_rule("/sent", "sent", lambda: "in", methods=["POST"])
    run = app.test_cli_runner()
    for choice, told in (
        (["--path", "/nope"], "No route has the path /nope."),
        (["--path", "/own", "--method", "PATCH"], "/own has GET, HEAD, OPTIONS"),
        (["--endpoint", "nope"], "There is no endpoint nope."),
    ):
        done = run.invoke(args=["limiter", *command, *choice])
        assert (done.exit_code, told in done.output) == (1, True), done.output
    for path, line in (("/folder", "/folder/  GET  folder  2 per 1 day"), ("/sent", "/sent  POST  sent  2 per 1 day")):
        done = run.invoke(args=["limiter", *command, "--path", path])
        assert (done.exit_code, line in done.output) == (0, True), done.output


def test_a_limit_of_which_only_a_request_says_what_counts_it_stops_no_command() -> None:
    app, limiter, _ = app_of()
    limited = limiter.limit("3/hour", scope=lambda endpoint: request.path)(lambda: "in")
    app.add_url_rule("/a", "a", limited)
    app.add_url_rule("/static/a", "static", app.view_functions["static"], defaults={"filename": "a"})
    client, run = app.test_client(), app.test_cli_runner()
    assert [client.get("/own").status_code for _ in range(2)] == [200, 429]
    listed = run.invoke(args=["limiter", "limits", "--key", "127.0.0.1"])
    assert listed.exit_code == 0 and "/a  GET  a  3 per 1 hour  counted by what only a request says" in listed.output
    assert "/own  GET  own  1 per 1 hour  0 left" in listed.output and "static" not in listed.output
    cleared = run.invoke(args=["limiter", "clear", "--key", "127.0.0.1", "-y"])
    assert cleared.exit_code == 1 and "3 per 1 hour  not cleared: counted by what only" in cleared.output
    assert client.get("/own").status_code == 200
