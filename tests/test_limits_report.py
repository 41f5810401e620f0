"""Report mode: refuses nobody, whatever happens; says whom it would have refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, abort

from flask_rampart import Clock, limit
from flask_rampart.signals import limit_exceeded

App = Callable[..., Flask]


def post(app: Flask, count: int = 1) -> list[int]:
    return [app.test_client().post("/login").status_code for _ in range(count)]


def forbidden() -> Any:
    abort(403)


FAILING: list[dict[str, Any]] = [
    {"by": lambda: 1 / 0},
    {"by": lambda: 7},
    {"by": forbidden},
    {"cost": lambda: None},
    {"cost": lambda: -1},
    {"unless": lambda: None},
    {"count": lambda response: 1 / 0},
]


@pytest.mark.parametrize("what", FAILING)
def test_what_refuses_nobody_refuses_nobody_when_it_fails(
    make_app: App, what: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(TESTING=True)
    app.post("/login")(limit("9/hour", mode="report", **what)(lambda: "ok"))
    assert post(app) == [200]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert caplog.records[0].exc_info


@pytest.mark.parametrize("quota", [lambda: None, lambda: "often", lambda: 1 / 0])
def test_a_quota_that_cannot_be_read_refuses_nobody_while_it_is_tried(
    make_app: App, quota: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(TESTING=True)
    app.post("/login")(limit(quota, mode="report")(lambda: "ok"))
    assert post(app, 2) == [200, 200]
    assert len(caplog.records) == 2


def test_what_refuses_nobody_refuses_nobody_while_its_store_is_away(
    make_app: App, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(SECRET_KEY="k" * 32, RAMPART_LIMIT_STORE="redis://127.0.0.1:1/0", TESTING=True)
    app.post("/login")(limit("2/hour", mode="report", on_store_error="closed")(lambda: "ok"))
    assert post(app) == [200]
    assert "did not count" in caplog.text and "store.unavailable" in caplog.text


@pytest.mark.parametrize("scope", ["s", None])
def test_what_only_reports_takes_nothing_from_what_enforces(make_app: App, scope: str | None) -> None:
    app = make_app()
    enforced, reported = limit("4/hour", scope=scope), limit("4/hour", scope=scope, mode="report")
    app.post("/login")(enforced(reported(lambda: "ok")))
    assert post(app, 5) == [200] * 4 + [429]


def test_it_says_whom_it_would_have_refused_and_that_it_did_not(
    make_app: App, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    app = make_app()
    app.post("/login")(limit("1/hour", mode="report")(lambda: "ok"))
    told: list[bool] = []

    def listen(sender: Flask, **facts: Any) -> None:
        told.append(facts["enforced"])

    with limit_exceeded.connected_to(listen, app):
        answers = [app.test_client().post("/login") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert not any("RateLimit" in answer.headers for answer in answers)
    assert told == [False, False]
    assert [record.getMessage().count("would have refused") for record in caplog.records] == [1, 1]
