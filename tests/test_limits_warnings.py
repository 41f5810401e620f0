"""Deployments in which limits cannot be right are noticed at run time, and said once, with the cure.

As express-rate-limit's validations do (ERR_ERL_UNEXPECTED_X_FORWARDED_FOR, ERR_ERL_FORWARDED_HEADER and others).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_rampart import limit

from .serving import serving

App = Callable[..., Flask]
CURE = "ProxyFix"


def ask(app: Flask, count: int, address: str = "192.0.2.1", **headers: str) -> None:
    client = app.test_client()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    for _ in range(count):
        client.get("/", headers=fields, environ_base={"REMOTE_ADDR": address})


def said(caplog: pytest.LogCaptureFixture, words: str) -> int:
    """How many warnings have these words."""
    return sum(
        re.search(words, record.getMessage()) is not None
        for record in caplog.records
        if record.levelno >= logging.WARNING
    )


@pytest.fixture(name="limited")
def limited_app(make_app: App) -> App:
    def make(**config: Any) -> Flask:
        app = make_app(RAMPART_LIMITS="100000/hour", **config)
        app.get("/")(lambda: "ok")
        return app

    return make


def test_a_forwarding_header_that_nothing_reads_is_said_once_for_each_kind(
    limited: App, caplog: pytest.LogCaptureFixture
) -> None:
    # flask-limiter#41, #278, #428: behind a proxy nobody reads, all clients share one quota, or are banned together.
    app = limited()
    for n in range(5):
        ask(app, 3, f"192.0.2.{n}", X_Forwarded_For=f"203.0.113.{n}")
    assert said(caplog, "came with X-Forwarded-For, which nothing here reads") == 1
    assert said(caplog, CURE) == 1
    ask(app, 5, Forwarded="for=203.0.113.9")
    ask(app, 5, X_Real_IP="203.0.113.9")
    assert said(caplog, CURE) == 3
    # And no warning says who it was.
    assert "203.0.113" not in caplog.text
    assert "192.0.2" not in caplog.text


def test_behind_proxyfix_nothing_is_said(limited: App, caplog: pytest.LogCaptureFixture) -> None:
    app = limited()
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1)  # type: ignore[method-assign]
    for n in range(1100):
        ask(app, 1, "10.0.0.1", X_Forwarded_For=f"203.0.113.{n % 200}")
    assert said(caplog, CURE) == 0


def test_a_thousand_requests_of_one_address_are_said_once(limited: App, caplog: pytest.LogCaptureFixture) -> None:
    app = limited()
    ask(app, 999, "10.0.0.1")
    assert said(caplog, "all came from one address") == 0
    ask(app, 1001, "10.0.0.1")
    assert said(caplog, "all came from one address") == 1
    # Behind a proxy that says nothing, no header tells.
    assert said(caplog, CURE) == 1


def test_a_second_address_among_them_is_enough(limited: App, caplog: pytest.LogCaptureFixture) -> None:
    app = limited()
    ask(app, 998, "10.0.0.1")
    ask(app, 1, "10.0.0.2")
    ask(app, 1000, "10.0.0.1")
    assert said(caplog, "all came from one address") == 0


def test_requests_without_an_address_share_one_quota_and_that_is_said(
    limited: App, caplog: pytest.LogCaptureFixture
) -> None:
    app = limited()
    ask(app, 1000, "")
    assert said(caplog, r"all came from one address \(none\)") == 1


def test_where_nothing_is_limited_by_address_only_the_field_that_the_app_lost_is_told(
    make_app: App, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    app.get("/")(limit("100000/hour", by=lambda: "x")(lambda: "ok"))
    ask(app, 1000, "10.0.0.1", X_Forwarded_For="203.0.113.9")
    assert said(caplog, "X-Forwarded-For, which nothing here reads, so it was removed") == 1
    assert said(caplog, "all came from one address") == 0


def test_counters_of_each_process_are_said_where_there_are_several(
    limited: App, caplog: pytest.LogCaptureFixture
) -> None:
    # flask-limiter#40, #354: the quota times the workers.
    app = limited()
    client = app.test_client()
    for _ in range(3):
        client.get("/", environ_overrides={"wsgi.multiprocess": False})
    assert said(caplog, "memory://") == 0
    for _ in range(3):
        client.get("/", environ_overrides={"wsgi.multiprocess": True})
    assert said(caplog, "memory:// and the server has several workers") == 1


def test_counters_that_are_shared_are_no_reason(limited: App, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    (tmp_path / "counters").mkdir(mode=0o700)
    app = limited(RAMPART_LIMIT_STORE=f"shm://{tmp_path}/counters")
    app.test_client().get("/", environ_overrides={"wsgi.multiprocess": True})
    assert said(caplog, "several workers") == 0


def test_real_workers_say_it_once_each(tmp_path: Path) -> None:
    views = """
        app.config.update(RAMPART_LIMITS="1000/hour")
        Rampart(app)
        app.get("/")(lambda: "ok")
    """
    settings = {"RAMPART_LIMIT_STORE": "memory://"}
    with serving(tmp_path, views, "-w", "2", settings=settings) as served:
        served.wait(lambda: len({served.get("/ready")[2] for _ in range(10)}) == 2)
        for _ in range(20):
            served.get("/", X_Forwarded_For="203.0.113.9")
        log = served.said()
    assert log.count("memory:// and the server has several workers") == 2
    assert 1 <= log.count("came with X-Forwarded-For") <= 2
    with serving(tmp_path, views, "-w", "1", settings=settings) as served:
        served.get("/")
        log = served.said()
    assert "several workers" not in log


def test_a_quota_in_report_mode_says_so_each_time_and_a_ban_once(
    make_app: App, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    app.get("/")(limit("1/hour", mode="report")(limit("3/hour", ban="1 hour after 2")(lambda: "ok")))
    ask(app, 9)
    assert said(caplog, "would have refused") == 2
    assert said(caplog, "Banned by address for 3600 s") == 1
    assert "192.0.2.1" not in caplog.text
