"""The face of Flask-Cors beside ``Rampart(app)``: one says who may read an answer, and that once."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from flask_rampart import Rampart, cors, require
from flask_rampart.compat.cors import CORS, cross_origin

from .facing import SECRET

ORIGIN = "Access-Control-Allow-Origin"
APP, OTHER = "https://app.example.com", "https://other.example.com"
KEYS = [{"kid": "1", "alg": "HS256", "secret": SECRET}]


def app_of(config: dict[str, Any] | None = None, *, rampart_first: bool = True, **options: Any) -> Flask:
    app = Flask("both")
    app.testing = True
    app.config.update(config or {})
    if rampart_first:
        Rampart(app)
        CORS(app, **options)
    else:
        CORS(app, **options)
        Rampart(app)
    app.add_url_rule("/", "index", lambda: "hello", methods=["GET", "PUT"])
    return app


def ask(app: Flask, origin: str = APP, path: str = "/", method: str = "GET", **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()} | {"Origin": origin}
    return app.test_client().open(path, method=method, headers=sent)


@pytest.mark.parametrize("rampart_first", [True, False])
def test_the_face_alone_says_who_may_read_where_rampart_says_nothing(rampart_first: bool) -> None:
    app = app_of(rampart_first=rampart_first, origins=[APP])
    for path in ("/", "/nowhere"):
        assert ask(app, path=path).headers.getlist(ORIGIN) == [APP]
        assert ORIGIN not in ask(app, OTHER, path).headers
    answer = ask(app, method="OPTIONS", Access_Control_Request_Method="PUT")
    assert answer.status_code == 200 and "PUT" in answer.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("rampart_first", [True, False])
def test_what_rampart_is_told_counts_and_is_said_once(rampart_first: bool) -> None:
    app = app_of({"RAMPART_CORS_ORIGINS": [APP]}, rampart_first=rampart_first, origins="*", expose_headers="X-A")
    assert ask(app).headers.getlist(ORIGIN) == [APP]
    assert "X-A" not in ask(app).headers["Access-Control-Expose-Headers"]
    assert ORIGIN not in ask(app, OTHER).headers
    assert ask(app, OTHER, method="OPTIONS", Access_Control_Request_Method="PUT").status_code == 403


def test_a_view_s_own_cors_counts_over_the_face() -> None:
    app = app_of(origins="*")
    app.add_url_rule("/own", "own", cors(origins=[APP])(lambda: "own"))
    assert ask(app, path="/own").headers.getlist(ORIGIN) == [APP]
    assert ORIGIN not in ask(app, OTHER, "/own").headers
    assert ask(app, OTHER).headers.getlist(ORIGIN) == [OTHER]


def test_a_refusal_can_be_read_and_a_preflight_passes_a_guard() -> None:
    app = app_of({"RAMPART_JWT_KEYS": KEYS}, origins=[APP])
    app.add_url_rule("/guarded", "guarded", require()(lambda: "guarded"))
    answer = ask(app, path="/guarded")
    assert answer.status_code == 401 and answer.headers.getlist(ORIGIN) == [APP]
    answer = ask(app, path="/guarded", method="OPTIONS", Access_Control_Request_Method="GET")
    assert answer.status_code == 200 and answer.headers[ORIGIN] == APP


def test_cross_origin_on_a_view_with_a_guard_is_refused_a_preflight() -> None:
    app = app_of({"RAMPART_JWT_KEYS": KEYS}, resources=[])
    app.add_url_rule("/guarded", "guarded", require()(cross_origin(origins=[APP])(lambda: "guarded")))
    answer = ask(app, path="/guarded", method="OPTIONS", Access_Control_Request_Method="GET")
    assert answer.status_code == 401
