"""Bounds before work: of a request's head, at the edge."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from flask import Flask, jsonify, request
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_rampart import ConfigError, EdgePolicy, Rampart, RampartMiddleware, require
from flask_rampart._native import HeadBounds

App = Callable[..., Flask]


def ask(app: Any, path: str = "/", *, query: str = "", method: str = "GET", **environ: Any) -> tuple[int, Any, Any]:
    made = EnvironBuilder(path=path, method=method).get_environ()
    made["QUERY_STRING"] = query
    made.update(environ)
    body, status, headers = run_wsgi_app(app, made, buffered=True)
    text = b"".join(body)
    return int(status[:3]), json.loads(text) if text[:1] == b"{" else text.decode(), headers


def code(answer: tuple[Any, ...]) -> tuple[int, str]:
    return answer[0], answer[1]["code"]


@pytest.fixture
def small(make_app: App) -> Flask:
    app = make_app(RAMPART_MAX_HEADERS=10, RAMPART_MAX_HEADER_BYTES=1000, RAMPART_MAX_QUERY=50, RAMPART_MAX_PATH=40)
    app.get("/")(lambda: "ok")
    app.get("/<path:rest>")(lambda rest: rest)
    return app


def test_the_number_of_header_fields_is_kept_to_the_field(small: Flask) -> None:
    def fields(count: int) -> dict[str, str]:
        return {f"HTTP_X_{number}": "y" for number in range(count - 1)}  # and Host

    assert ask(small, **fields(10))[0] == 200
    assert code(ask(small, **fields(11))) == (431, "head.too_large")
    # What servers show of fields that were not sent is none.
    assert ask(small, CONTENT_TYPE="", CONTENT_LENGTH="", **fields(10))[0] == 200
    assert code(ask(small, CONTENT_TYPE="text/plain", **fields(10))) == (431, "head.too_large")


def test_the_bytes_of_header_fields_are_kept_to_the_byte(small: Flask) -> None:
    used = len("HOST") + len("localhost") + len("X")
    assert ask(small, HTTP_X="y" * (1000 - used))[0] == 200
    assert code(ask(small, HTTP_X="y" * (1001 - used))) == (431, "head.too_large")
    assert code(ask(small, **{"HTTP_" + "X" * 1000: ""})) == (431, "head.too_large")
    # What is no field of the head does not count.
    assert ask(small, **{"myserver.notes": "x" * 5000, "wsgi.tags": ["x"] * 5000})[0] == 200


def test_a_long_query_and_a_long_path_are_414(small: Flask) -> None:
    # RFC 9110 section 15.5.15: both are the URI's.
    assert ask(small, query="q" * 50)[0] == 200
    assert code(ask(small, query="q" * 51)) == (414, "query.too_long")
    assert ask(small, "/" + "p" * 39)[0] == 200
    assert code(ask(small, "/" + "p" * 40)) == (414, "path.too_long")
    assert code(ask(small, "/" + "p" * 30, SCRIPT_NAME="/" + "m" * 10)) == (414, "path.too_long")


def test_a_head_that_is_too_large_is_refused_before_anything_in_it_is_read(make_app: App) -> None:
    read: list[str] = []

    app = make_app(RAMPART_MAX_HEADER_BYTES=1000)
    app.before_request(lambda: read.append("app"))
    app.get("/")(require("jwt")(lambda: "ok"))
    status, document, headers = ask(app, HTTP_AUTHORIZATION="Bearer " + "x" * 2000, HTTP_COOKIE="a=" + "b" * 2000)
    assert (status, document["code"], read) == (431, "head.too_large", [])
    # It is an answer like others.
    assert document["request_id"] == headers["X-Request-Id"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "xxx" not in json.dumps(document)


def test_heads_that_are_too_large_count_against_the_limit_of_an_address(make_app: App) -> None:
    app = make_app(RAMPART_MAX_HEADER_BYTES=1000, RAMPART_LIMITS="2/minute")
    app.get("/")(lambda: "ok")
    huge = {"HTTP_X": "y" * 2000}
    assert [ask(app, **huge)[0] for _ in range(4)] == [431, 431, 429, 429]


def test_the_usual_head_passes_by_default(make_app: App) -> None:
    app = make_app()
    app.get("/")(lambda: "ok")
    assert ask(app, query="q" * 8192, **{f"HTTP_X_{n}": "y" * 300 for n in range(90)})[0] == 200
    assert ask(app, query="q" * 8193)[0] == 414
    assert ask(app, **{f"HTTP_X_{n}": "y" for n in range(101)})[0] == 431
    assert ask(app, HTTP_X="y" * 33_000)[0] == 431


def test_a_wsgi_app_of_another_kind_has_the_same_bounds_on_heads() -> None:
    def plain(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    config = {"RAMPART_MAX_QUERY": 5, "RAMPART_ACCESS_LOG": "off", "RAMPART_LIMIT_STORE": "memory://"}
    app = RampartMiddleware(plain, EdgePolicy.of(config, name="plain"))
    assert ask(app, query="a=123")[0] == 200
    assert ask(app, query="a=1234")[0] == 414


def test_an_environ_of_odd_types_is_an_error_and_no_panic() -> None:
    judge = HeadBounds(max_headers=1, max_header_bytes=1, max_query=1, max_path=1, methods=("GET",)).judge
    assert judge({"HTTP_A": 5, 7: "x", "wsgi.version": (1, 0)}) is None  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        judge({"PATH_INFO": b"/"})
    assert judge({"HTTP_\ud800": "xx"}) is None  # no server can show it
    assert judge({}) is None


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("RAMPART_MAX_HEADERS", 0),
        ("RAMPART_MAX_HEADER_BYTES", 10),
        ("RAMPART_MAX_QUERY", -1),
        ("RAMPART_MAX_PATH", 0),
        ("RAMPART_CODING_RATIO", 0),
        ("RAMPART_CODING_RATIO", "100"),
    ],
)
def test_settings_out_of_range_stop_the_start_up(setting: str, value: Any) -> None:
    app = Flask(__name__)
    app.config[setting] = value
    with pytest.raises(ConfigError, match=setting):
        Rampart(app)


def test_a_coding_of_transfer_that_no_server_takes_off_is_no_body(make_app: App) -> None:
    # gunicorn hands on `gzip, chunked` as gzip, with nothing that says so (RFC 9112 section 6.1).
    app = make_app()
    app.post("/")(lambda: jsonify(len(request.get_data())))
    for said, status in [
        ("chunked", 200),
        (" Chunked ", 200),
        ("identity", 400),
        ("", 200),
        ("gzip, chunked", 400),
        ("chunked, chunked", 400),
        ("chunked, identity", 400),
        ("gzip", 400),
        ("\xa0chunked", 400),
        ("xchunked", 400),
    ]:
        environ = EnvironBuilder(path="/", method="POST").get_environ()
        environ.pop("CONTENT_LENGTH", None)
        environ.update({"HTTP_TRANSFER_ENCODING": said, "wsgi.input": BytesIO(b"{}"), "wsgi.input_terminated": True})
        body, line, _ = run_wsgi_app(app, environ, buffered=True)
        assert int(line[:3]) == status, said
        if status == 400:
            assert json.loads(b"".join(body))["code"] == "request.malformed"
