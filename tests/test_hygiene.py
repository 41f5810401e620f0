"""Hygiene: what is refused of a request whatever its route, because two readers would read it in two ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from flask import Flask, redirect, request
from flask.views import MethodView
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_rampart import ConfigError, EdgePolicy, Rampart, RampartMiddleware
from flask_rampart._native import HeadBounds
from flask_rampart.signals import request_refused

App = Callable[..., Flask]
ENDLESS = 2**62


def ask(app: Any, path: str = "/", method: str = "GET", **more: Any) -> tuple[int, str]:
    """Status, and the code of a refusal or the body, of a request by a server that shows no target."""
    environ = EnvironBuilder(path="/", method="GET").get_environ()
    del environ["RAW_URI"], environ["REQUEST_URI"]
    environ.update({"PATH_INFO": path, "REQUEST_METHOD": method, **more})
    body, status, _ = run_wsgi_app(app, environ, buffered=True)
    text = b"".join(body).decode()
    return int(status[:3]), json.loads(text)["code"] if text[:1] == "{" else text


@pytest.fixture
def app(make_app: App) -> Flask:
    app = make_app()
    app.route("/", methods=["GET", "POST"])(lambda: request.get_data().decode() or "ok")
    app.get("/<path:rest>")(lambda rest: rest)
    return app


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_the_usual_methods_are_the_routes_business(app: Flask, method: str) -> None:
    assert ask(app, method=method)[0] in (200, 405)


@pytest.mark.parametrize(
    "method", ["TRACE", "TRACK", "CONNECT", "get", "Get", "", " GET", "GET ", "PROPFIND", "G\u00cbT", "A" * 9000]
)
def test_another_method_is_not_known_here(app: Flask, method: str) -> None:
    # RFC 9110 section 9.1: methods have a case; section 15.6.2.
    assert ask(app, method=method) == (501, "method.refused")


def test_a_method_that_a_route_declares_is_answered(make_app: App) -> None:
    app = make_app()
    app.route("/", methods=["QUERY", "PROPFIND"])(lambda: "found")
    assert ask(app, method="QUERY") == (200, "found")
    assert ask(app, method="PROPFIND") == (200, "found")
    assert ask(app, method="MKCOL") == (501, "method.refused")


def test_a_list_that_is_set_holds_alone(make_app: App, caplog: pytest.LogCaptureFixture) -> None:
    # A copy that only reads: what the routes declare does not widen it.
    app = make_app(RAMPART_METHODS="GET HEAD")
    app.route("/", methods=["GET", "POST"])(lambda: "ok")
    assert ask(app) == (200, "ok")
    assert ask(app, method="POST") == (501, "method.refused")
    assert "POST / (" in caplog.text
    assert "is never reached" in caplog.text


def test_a_view_of_trace_is_never_called_and_the_developer_is_told(
    make_app: App, caplog: pytest.LogCaptureFixture
) -> None:
    # Cross-site tracing, CWE-693.
    class Echo(MethodView):
        def get(self) -> str:
            return "ok"

        def trace(self) -> str:
            return str(request.headers)

    app = make_app()
    app.add_url_rule("/", view_func=Echo.as_view("echo"))
    assert ask(app)[0] == 200
    assert ask(app, method="TRACE") == (501, "method.refused")
    assert "TRACE / (echo) is never reached" in caplog.text


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (["GET", "TRACE"], "never answered"),
        ("CONNECT", "never answered"),
        (["GET", "track"], "never answered"),
        (["get"], 'Write "GET"'),
        (["GET,POST"], "capitals"),
        ([], "not empty"),
        ("", "RAMPART_METHODS"),
        (None, "RAMPART_METHODS"),
        (["GET", 5], "RAMPART_METHODS"),
    ],
    ids=lambda value: str(value),
)
def test_a_list_that_cannot_be_meant_stops_the_start_up(value: Any, told: str) -> None:
    app = Flask("methods")
    app.config["RAMPART_METHODS"] = value
    with pytest.raises(ConfigError, match="RAMPART_METHODS") as caught:
        Rampart(app)
    assert told in str(caught.value)


@pytest.mark.parametrize("setting", ["RAMPART_METHOD_OVERRIDE", "RAMPART_ENCODED_SLASHES"])
def test_a_switch_is_true_or_false(setting: str) -> None:
    app = Flask("switches")
    app.config[setting] = "yes"
    with pytest.raises(ConfigError, match=setting):
        Rampart(app)


OVERRIDES = ["HTTP_X_HTTP_METHOD_OVERRIDE", "HTTP_X_HTTP_METHOD", "HTTP_X_METHOD_OVERRIDE"]


@pytest.mark.parametrize("field", OVERRIDES)
def test_a_field_that_asks_for_another_method_reaches_nobody(make_app: App, field: str) -> None:
    def overriding(inner: Any) -> Any:
        """As in the snippets that are about: https://flask.palletsprojects.com/patterns/methodoverrides/"""

        def call(environ: Any, start: Any) -> Any:
            environ["REQUEST_METHOD"] = environ.get(field, environ["REQUEST_METHOD"])
            return inner(environ, start)

        return call

    for let in (False, True):
        app = make_app(rampart=False)
        app.config.update(RAMPART_METHOD_OVERRIDE=let, RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
        app.wsgi_app = overriding(app.wsgi_app)  # type: ignore[method-assign]
        Rampart(app)
        app.route("/", methods=["POST", "DELETE"])(lambda: request.method)
        assert ask(app, method="POST", **{field: "DELETE"}) == (200, "DELETE" if let else "POST")


def test_a_field_of_a_form_changes_no_method(app: Flask) -> None:
    body = {"wsgi.input": BytesIO(b"_method=DELETE"), "CONTENT_LENGTH": "14", "CONTENT_TYPE": "text/plain"}
    assert ask(app, method="POST", **body) == (200, "_method=DELETE")
    assert ask(app, QUERY_STRING="_method=DELETE") == (200, "ok")


def test_a_proxy_of_the_peer_s_is_not_in_the_environ(make_app: App) -> None:
    # httpoxy, CVE-2016-5385 and its like.
    app = make_app(RAMPART_METHOD_OVERRIDE=True)
    app.get("/")(lambda: str(request.environ.get("HTTP_PROXY")))
    assert ask(app, HTTP_PROXY="http://evil.example") == (200, "None")


BAD_PATHS = {
    "NUL": "/a\0b",
    "line feed": "/a\nb",
    "delete": "/a\x7f",
    "next line": "/a\xc2\x85b",
    "parent": "/a/../b",
    "parent at the end": "/a/..",
    "this": "/a/./b",
    "parent by backslashes": "/a\\..\\b",
    "backslash": "/a\\b",
    "not UTF-8": "/\xff",
    "overlong slash": "/..\xc0\xaf..",
    "overlong dot": "/\xc0\xae\xc0\xae/",
    "surrogate": "/\xed\xa0\x80",
    "no byte": "/\u0100",
    "no character": "/\ud800",
    "two slashes": "//evil.example",
    "two slashes and a backslash": "/\\evil.example",
    "authority": "example.com:443",
    "relative": "admin",
    "asterisk": "*",
}


@pytest.mark.parametrize("path", BAD_PATHS.values(), ids=BAD_PATHS)
def test_a_path_that_can_be_read_in_two_ways_is_refused(app: Flask, path: str) -> None:
    assert ask(app, path) == (400, "path.malformed")
    assert ask(app, "", SCRIPT_NAME=path) == (400, "path.malformed")


@pytest.mark.parametrize("path", ["/.well-known/x", "/a...b/..c", "/%2e%2e/%2f", "/a;b=c/:d", "/caf\xc3\xa9", "/a b"])
def test_a_path_of_ordinary_characters_passes(app: Flask, path: str) -> None:
    assert ask(app, path)[0] == 200


def test_a_path_of_two_slashes_never_becomes_another_host(make_app: App) -> None:
    app = make_app()
    app.get("/<path:rest>/")(lambda rest: redirect(request.path))
    assert ask(app, "//evil.example/x/") == (400, "path.malformed")
    # In its middle they are no address.
    assert ask(app, "/a//evil.example/")[0] == 302


BAD_TARGETS = {
    "encoded slash": "/a%2fb",
    "encoded slash in capitals": "/a%2Fb?x=y",
    "encoded backslash": "/a%5cb",
    "encoded NUL": "/a%00b",
    "encoded line": "/a%0d%0aX:%20y",
    "encoded parent": "/%2e%2e/b",
    "parent that a server repaired": "/x/../a",
    "overlong": "/%c0%af",
    "fragment": "/a#b",
    "fragment after a query": "/a?b#c",
    "two slashes": "//evil.example",
    "authority": "example.com:443",
    "asterisk": "*",
    "other scheme": "ftp://localhost/a",
    "other host": "http://evil.example/a",
    "user": "http://localhost@evil.example/a",
    "no character": "/\ud800",
}


@pytest.mark.parametrize("key", ["RAW_URI", "REQUEST_URI"])
@pytest.mark.parametrize("target", BAD_TARGETS.values(), ids=BAD_TARGETS)
def test_a_target_tells_what_decoding_hides(app: Flask, key: str, target: str) -> None:
    status, code = ask(app, "/a", **{key: target})
    assert (status, code) in [(400, "path.malformed"), (400, "request.malformed")]


@pytest.mark.parametrize(
    "target", ["", "/a", "/a?x=%2f%00..%5c/../", "/%252f%252e%252e", "/a%zz%", "http://LOCALHOST/a", "/caf%c3%a9"]
)
def test_a_target_of_one_meaning_passes(app: Flask, target: str) -> None:
    assert ask(app, "/a", RAW_URI=target) == (200, "a")


def test_options_of_the_server_is_no_path(app: Flask) -> None:
    assert ask(app, "*", method="OPTIONS", RAW_URI="*")[0] != 400


def test_encoded_slashes_may_be_data_and_still_lead_nowhere_else(make_app: App) -> None:
    app = make_app(RAMPART_ENCODED_SLASHES=True)
    app.get("/<path:rest>")(lambda rest: rest)
    assert ask(app, "/a/b\\c", RAW_URI="/a%2fb%5cc") == (200, "a/b\\c")
    for path, target in [("/a/../b", "/a%2f..%2fb"), ("/a\\..", "/a%5c.."), ("//evil", "/%2fevil"), ("/\0", "/%00")]:
        assert ask(app, path, RAW_URI=target) == (400, "path.malformed")
        assert ask(app, path) == (400, "path.malformed")


def test_flask_s_own_client_may_leave_out_the_first_slash_and_escape_nothing(app: Flask) -> None:
    client = app.test_client()
    assert client.get("users").text == "users"
    assert client.get("/a b/\u00e9").text == "a b/\u00e9"
    assert client.get("http://example.com/x#y").text == "x"
    assert client.get("a%2fb").status_code == client.get("/%2e%2e/x").status_code == 400


@pytest.mark.parametrize("length", ["5, 5", "5,5", "+5", "-1", "0x5", " 5", "5 ", "5_0", "\u0665", "\xb2", "5;"])
def test_a_length_is_one_number(app: Flask, length: str) -> None:
    # RFC 9110 section 8.6.
    body = {"wsgi.input": BytesIO(b"hello"), "CONTENT_LENGTH": length}
    assert ask(app, method="POST", **body) == (400, "request.malformed")


def test_a_length_of_a_get_is_fine(app: Flask) -> None:
    assert ask(app, CONTENT_LENGTH="5", **{"wsgi.input": BytesIO(b"hello")}) == (200, "hello")
    assert ask(app, CONTENT_LENGTH="0") == (200, "ok")
    assert ask(app, CONTENT_LENGTH="") == (200, "ok")


@pytest.mark.parametrize("field", ["HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"])
def test_a_shadow_of_a_length_or_a_type_is_refused(app: Flask, field: str) -> None:
    # `Content_Length: 5`, as some servers show it.
    assert ask(app, method="POST", **{field: "5"}) == (400, "request.malformed")
    assert ask(app, method="POST", **{field: "50", field[5:]: "5"}) == (400, "request.malformed")
    # Gateways that show the one field twice say nothing else.
    assert ask(app, method="POST", **{field: "0", field[5:]: "0"})[0] == 200


@pytest.mark.parametrize(("expect", "status"), [("100-continue", 200), ("100-Continue", 200), ("", 200), ("x", 417)])
def test_what_is_expected_is_known_or_refused(app: Flask, expect: str, status: int) -> None:
    assert ask(app, HTTP_EXPECT=expect)[0] == status


@pytest.mark.parametrize("protocol", ["b HTTP/1.1", "HTTP/1.1 x", "http/1.1", "<b>HTTP/1.1"])
def test_a_version_that_is_none_is_part_of_a_target_with_a_space(app: Flask, protocol: str) -> None:
    # uWSGI, which begins its answer with it.
    assert ask(app, SERVER_PROTOCOL=protocol) == (400, "request.malformed")


def test_a_query_has_no_control_character_and_any_escape(app: Flask) -> None:
    for query in ("a=\0", "a=\nb", "a\x7f", "a=\u0100", "\ud800"):
        assert ask(app, QUERY_STRING=query) == (400, "request.malformed")
    for query in ("a=%00", "%zz&%", "a=\xc3\xa9"):
        assert ask(app, QUERY_STRING=query)[0] == 200


@pytest.mark.parametrize("value", ["a\0", "a\r\nb", "\x1b[2J", "a\x7f", "\ud800"], ids=repr)
def test_a_field_has_no_control_character(app: Flask, value: str) -> None:
    for field in ("HTTP_X", "HTTP_HOST", "HTTP_COOKIE", "CONTENT_TYPE"):
        assert ask(app, **{field: value}) == (400, "request.malformed")
    # What is no field is the server's own.
    assert ask(app, **{"LS_COLORS": value, "myserver.note": value}) == (200, "ok")
    assert ask(app, HTTP_X="a\tb", HTTP_Y="caf\xe9") == (200, "ok")


def test_a_field_with_a_space_in_its_name_is_refused(app: Flask) -> None:
    # RFC 9112 section 5.1: `Transfer-Encoding : chunked` is a field for one server and none for another.
    assert ask(app, **{"HTTP_TRANSFER_ENCODING ": "chunked"}) == (400, "request.malformed")


def test_a_refusal_says_nothing_of_what_was_sent_and_tells_the_app_s_receivers_why(app: Flask) -> None:
    seen: list[tuple[str, str]] = []

    def receive(sender: Any, **facts: Any) -> None:
        seen.append((facts["code"], facts["reason"]))

    with request_refused.connected_to(receive):
        environ = EnvironBuilder(path="/").get_environ()
        environ["PATH_INFO"] = "/hunter2/../x"
        body, _, headers = run_wsgi_app(app, environ, buffered=True)
        assert b"hunter2" not in b"".join(body)
        assert headers["Content-Type"] == "application/problem+json"
    assert seen == [("path.malformed", "dot segment")]


def test_what_is_refused_counts_against_the_limit_of_an_address(make_app: App) -> None:
    app = make_app(RAMPART_LIMITS="2/minute")
    app.get("/")(lambda: "ok")
    assert [ask(app, method="TRACE")[0] for _ in range(3)] == [501, 501, 429]


def test_a_wsgi_app_of_another_kind_has_the_same_hygiene() -> None:
    def plain(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return [environ.get("HTTP_PROXY", "none").encode()]

    config = {"RAMPART_ACCESS_LOG": "off", "RAMPART_LIMIT_STORE": "memory://", "RAMPART_METHODS": ("GET", "MKCOL")}
    app = RampartMiddleware(plain, EdgePolicy.of(config, name="plain"))
    assert ask(app, HTTP_PROXY="x") == (200, "none")
    assert ask(app, method="MKCOL") == (200, "none")
    assert ask(app, method="POST") == (501, "method.refused")
    assert ask(app, "/a/..") == (400, "path.malformed")


@given(st.text(st.characters(max_codepoint=255)), st.booleans())
def test_whatever_passes_names_one_place(path: str, slashes: bool) -> None:
    made = HeadBounds(
        max_headers=9, max_header_bytes=ENDLESS, max_query=9, max_path=ENDLESS, methods=["GET"], encoded_slashes=slashes
    )
    if made.judge({"PATH_INFO": f"/{path}"}) is None:
        text = f"/{path}".encode("latin-1").decode("utf-8")
        assert text.isprintable() or not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text)
        assert not {".", ".."} & set(text.replace("\\", "/").split("/"))
        assert not text.startswith(("//", "/\\"))
        assert slashes or "\\" not in text


@pytest.fixture(name="undeclared")
def body_of_no_length() -> BytesIO:
    return BytesIO(b"x" * 5000)


@pytest.mark.parametrize(
    ("environ", "is_bounded"),
    [
        ({}, False),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, True),
        ({"SERVER_PROTOCOL": "HTTP/2"}, True),
        ({"SERVER_PROTOCOL": "HTTP/1.0"}, True),
        ({"gunicorn.socket": ...}, True),
    ],
    ids=["none", "chunked", "HTTP/2", "HTTP/1.0", "another server"],
)
def test_a_body_that_cannot_be_there_is_not_bounded_and_any_other_is(
    undeclared: BytesIO, environ: dict[str, Any], is_bounded: bool
) -> None:
    # RFC 9112 section 6.3: a request with neither length nor coding has no body; gunicorn shows both.
    def plain(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [])
        return [str(environ["wsgi.input"] is not undeclared).encode()]

    config = {"RAMPART_ACCESS_LOG": "off", "RAMPART_LIMIT_STORE": "memory://"}
    app = RampartMiddleware(plain, EdgePolicy.of(config, name="plain"))
    shown = {"gunicorn.socket": 1, "wsgi.input": undeclared, "wsgi.input_terminated": True} | environ
    given = {name: value for name, value in shown.items() if value is not ...}
    assert ask(app, **{"CONTENT_LENGTH": "", "SERVER_PROTOCOL": "HTTP/1.1", **given}) == (200, str(is_bounded))
