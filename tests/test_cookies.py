"""Cookies, through the whole stack: each gets what it lacks, whoever set it, once, and none is lost."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, abort, make_response, redirect, session
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, create_environ

from flask_rampart import ConfigError, EdgePolicy, Rampart, RampartMiddleware, cookies
from flask_rampart.cookies import delete_cookie, get_cookie, set_cookie
from flask_rampart.tokens import Tokens

from .conftest import KEYS

App = Callable[..., Flask]
TLS = "https://localhost"
HARD = "; Secure; HttpOnly; SameSite=Lax"


def lines(app: Any, path: str = "/", *, base_url: str = TLS, method: str = "GET") -> list[str]:
    client = Client(app, use_cookies=False)
    answer = client.open(path, base_url=base_url, method=method)
    found: list[str] = answer.headers.getlist("Set-Cookie")
    return found


def setting(*given: str, status: int = 200) -> Callable[[], Response]:
    """A view that sets these lines, as they are."""

    def view() -> Response:
        response = Response("x", status)
        for line in given:
            response.headers.add("Set-Cookie", line)
        return response

    return view


def sent_by(wsgi: Any, **environ: str) -> list[tuple[str, str]]:
    """The cookies that a server is given, in all calls of its ``start_response``."""
    app = RampartMiddleware(wsgi, EdgePolicy.of({"RAMPART_ACCESS_LOG": "off"}, name="test"))
    sent: list[tuple[str, str]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        sent.extend(headers)

    list(app({**create_environ(base_url=TLS), **environ}, start_response))
    return [pair for pair in sent if pair[0].lower() == "set-cookie"]


@pytest.mark.parametrize(
    "status", [200, 201, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 404, 410, 429, 500, 503]
)
def test_a_cookie_of_an_answer_of_any_status_is_hardened(make_app: App, status: int) -> None:
    app = make_app()
    app.get("/")(setting("a=1; Path=/", "b=2", status=status))
    assert lines(app) == ["a=1; Path=/" + HARD, "b=2" + HARD]
    assert lines(app, base_url="http://localhost") == [
        "a=1; Path=/; HttpOnly; SameSite=Lax",
        "b=2; HttpOnly; SameSite=Lax",
    ]


def test_a_cookie_of_the_one_informational_status_that_may_be_sent_is_hardened_too() -> None:
    def wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
        given = [("set-COOKIE", "a=1"), ("X", "y"), ("Set-Cookie", "b=2; httponly")]
        start_response("101 Switching Protocols", given)
        return [b""]

    assert sent_by(wsgi, HTTP_UPGRADE="websocket") == [
        ("set-COOKIE", "a=1" + HARD),
        ("Set-Cookie", "b=2; httponly; Secure; SameSite=Lax"),
    ]


def test_whoever_sets_a_cookie_it_is_hardened(make_app: App) -> None:
    app = make_app(SECRET_KEY="k" * 32)

    @app.get("/")
    def home() -> Response:
        session["user"] = "ada"
        response = make_response("x")
        response.set_cookie("view", "1")
        return response

    @app.get("/stream")
    def stream() -> Response:
        response = Response(iter(["a", "b"]))
        response.set_cookie("stream", "1")
        return response

    @app.get("/fails")
    def fails() -> None:
        raise ZeroDivisionError

    @app.errorhandler(ZeroDivisionError)
    def failed(error: Exception) -> Response:
        return setting("handler=1", status=500)()

    @app.get("/raised")
    def raised() -> None:
        error = HTTPException(response=setting("raised=1", status=409)())
        raise error

    app.get("/moved")(lambda: redirect("/"))
    app.get("/abort")(lambda: abort(418))

    @app.after_request
    def after(response: Response) -> Response:
        response.set_cookie("after", "1", samesite="Strict")
        return response

    after_line = "after=1; Path=/; SameSite=Strict; Secure; HttpOnly"
    assert lines(app)[:2] == ["view=1; Path=/" + HARD, after_line]
    assert re.fullmatch(r"session=[^;]+; HttpOnly; Path=/; Secure; SameSite=Lax", lines(app)[2])
    assert lines(app, "/stream") == ["stream=1; Path=/" + HARD, after_line]
    assert lines(app, "/fails") == ["handler=1" + HARD, after_line]
    assert lines(app, "/raised") == ["raised=1" + HARD, after_line]
    for path in ("/moved", "/abort", "/absent"):
        assert lines(app, path) == [after_line]
    assert lines(app, method="HEAD")[:2] == lines(app)[:2]
    assert lines(app, method="POST") == [after_line]


def test_cookies_that_an_inner_apps_rules_let_pass_pass_the_outer_app_and_no_others(make_app: App) -> None:
    inner = make_app(RAMPART_COOKIES={"theme": {"http_only": False}}, RAMPART_JWT_KEYS=...)
    inner.get("/")(setting("theme=dark", "other=1"))
    outer = make_app(rampart=False)
    outer.get("/")(setting("theme=dark"))
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/in": inner})  # type: ignore[method-assign]
    outer.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
    Rampart(outer)
    assert lines(outer, "/in/") == ["theme=dark; Secure; SameSite=Lax", "other=1" + HARD]
    assert lines(outer) == ["theme=dark" + HARD]


def test_a_plain_wsgi_app_mounted_inside_is_hardened(make_app: App) -> None:
    def wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Set-Cookie", "a=1")])
        return [b"x"]

    app = make_app(rampart=False)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/in": wsgi})  # type: ignore[method-assign, dict-item]
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
    Rampart(app)
    assert lines(app, "/in") == ["a=1" + HARD]


def test_an_answer_that_takes_the_place_of_one_that_failed_is_hardened_too() -> None:
    def wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Set-Cookie", "a=1")])
        # PEP 3333: with exc_info it may be called again.
        start_response("500 Oops", [("Set-Cookie", "b=1")], (ValueError, ValueError(), None))
        return [b"x"]

    assert sent_by(wsgi) == [("Set-Cookie", "a=1" + HARD), ("Set-Cookie", "b=1" + HARD)]


def test_cookies_that_rooms_send_are_hardened_beside_the_apps(make_app: App) -> None:
    def step(environ: Any, exchange: Any) -> None:
        exchange.sends = (("Set-Cookie", "ours=1"),)

    def wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Set-Cookie", "a=1")])
        return [b"x"]

    policy = EdgePolicy.of({"RAMPART_ACCESS_LOG": "off"}, name="test")
    policy.steps = (step,)
    assert lines(RampartMiddleware(wsgi, policy)) == ["a=1" + HARD, "ours=1" + HARD]


def test_rules_are_by_name_and_explicit_attributes_stay(make_app: App) -> None:
    app = make_app(
        RAMPART_COOKIES={
            "theme": {"http_only": False},
            "embed_*": {"same_site": "None", "partitioned": True},
            "old": {"secure": False},
            "behind": {"secure": True},
        }
    )
    app.get("/")(
        setting("theme=1; HttpOnly", "theme=1", "embed_a=1; Max-Age=0", "old=1", "behind=1", "a=1; SameSite=None")
    )
    assert lines(app) == [
        "theme=1; HttpOnly; Secure; SameSite=Lax",
        "theme=1; Secure; SameSite=Lax",
        "embed_a=1; Max-Age=0; Secure; HttpOnly; SameSite=None; Partitioned",
        "old=1; HttpOnly; SameSite=Lax",
        "behind=1" + HARD,
        "a=1; SameSite=None; Secure; HttpOnly",
    ]
    http = lines(app, base_url="http://localhost")
    assert http[2] == "embed_a=1; Max-Age=0; HttpOnly; SameSite=Lax"
    assert http[4] == "behind=1" + HARD


@pytest.mark.parametrize("name", cookies.READABLE)
def test_a_cookie_that_is_there_for_scripts_by_custom_stays_readable_unless_a_rule_says_otherwise(
    make_app: App, name: str
) -> None:
    app = make_app()
    app.get("/")(setting(f"{name}=1"))
    assert lines(app) == [f"{name}=1; Secure; SameSite=Lax"]
    app = make_app(RAMPART_COOKIES={name: {"http_only": True}})
    app.get("/")(setting(f"{name}=1"))
    assert lines(app) == [f"{name}=1" + HARD]


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("base_url", [TLS, "http://localhost"])
def test_our_own_token_cookies_leave_exactly_as_they_were_set(make_app: App, secure: bool, base_url: str) -> None:
    app = make_app(RAMPART_JWT_LOCATIONS=["header", "cookie"], RAMPART_JWT_COOKIE_SECURE=secure, RAMPART_JWT_KEYS=KEYS)
    app.testing = True
    tokens: Tokens = app.extensions["rampart"].services[Tokens]
    made: list[str] = []

    def login(take: bool) -> Response:
        response = Response("x")
        tokens.clear_cookies(response) if take else tokens.set_cookies(response, tokens.issue_pair("ada"))
        made.extend(response.headers.getlist("Set-Cookie"))
        return response

    app.get("/in")(lambda: login(False))
    app.get("/out")(lambda: login(True))
    for path in ("/in", "/out"):
        made.clear()
        assert lines(app, path, base_url=base_url) == made
        assert len(made) == 3 and sum("HttpOnly" in line for line in made) == 2


def test_an_inner_apps_token_cookies_stay_as_they_were_set(make_app: App) -> None:
    inner = make_app(RAMPART_JWT_LOCATIONS=["header", "cookie"])
    tokens: Tokens = inner.extensions["rampart"].services[Tokens]

    @inner.get("/")
    def login() -> Response:
        response = Response("x")
        tokens.set_cookies(response, tokens.issue_pair("ada"))
        return response

    def shapes(app: Any) -> list[str]:
        return [re.sub("=[^;]*|Expires=[^;]*; ", "", line, count=2) for line in lines(app)]

    outer = RampartMiddleware(inner, EdgePolicy.of({"RAMPART_ACCESS_LOG": "off"}, name="test"))
    assert shapes(outer) == shapes(inner)
    assert sum("HttpOnly" in line for line in shapes(outer)) == 2


def test_what_browsers_would_drop_is_logged_once_without_its_value(
    make_app: App, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    app.get("/")(
        setting(
            "=hunter2",
            "__Host-a=hunter2; Domain=b.c; Path=/",
            "__Host-b=hunter2; Path=/b",
            "__Host-c=hunter2",
            f"big={'hunter2' * 600}",
            "a=hunter2; Path=/, b=hunter2",
            "none=hunter2; SameSite=None",
            "part=hunter2; Partitioned",
        )
    )
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert len(lines(app, base_url="http://localhost")) == 7
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert Counter(level for level, _ in told) == {"ERROR": 6, "WARNING": 4}
    text = "\n".join(message for _, message in told)
    assert "hunter2" not in text and "REDACTED" not in text
    for word in (
        "without a name",
        "'__Host-a' has a Domain",
        "'__Host-b' has another Path",
        "'__Host-c' was set without",
    ):
        assert word in text
    for word in (
        "'big' is larger than 4096",
        "'a' seems to hold a second",
        "'none' has SameSite=None",
        "'part' is Part",
    ):
        assert word in text


def test_names_that_a_peer_chose_do_not_fill_the_log_or_the_memory(
    make_app: App, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    app.get("/")(setting(*(f"__Host-{at}{'x' * 500}=1" for at in range(500))))
    with caplog.at_level(logging.INFO):
        assert len(lines(app)) == 500
    assert len(caplog.records) == 64
    assert all(len(record.getMessage()) < 300 for record in caplog.records)


def test_a_cookie_with_a_line_break_is_no_answer(make_app: App) -> None:
    def wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Set-Cookie", "a=1\r\nX-Evil: 1")])
        return [b"x"]

    app = RampartMiddleware(wsgi, EdgePolicy.of({"RAMPART_ACCESS_LOG": "off"}, name="test"))
    with pytest.raises(ValueError, match="control character"):
        lines(app)


# Flask's session.


def sessions(make_app: App, **config: Any) -> Flask:
    app = make_app(SECRET_KEY="k" * 32, **config)

    @app.get("/")
    def home() -> str:
        session["user"] = "ada"
        return "x"

    @app.get("/who")
    def who() -> str:
        return str(session.get("user"))

    @app.get("/out")
    def out() -> str:
        session.clear()
        return "x"

    return app


def test_the_sessions_cookie_takes_its_prefix_and_its_rules(make_app: App) -> None:
    app = sessions(make_app, RAMPART_SESSION_PREFIX="host")
    (line,) = lines(app)
    assert re.fullmatch(r"__Host-session=[^;]+; Secure; HttpOnly; Path=/; SameSite=Lax", line)
    client = app.test_client()
    client.get("/", base_url=TLS)
    assert client.get("/who", base_url=TLS).text == "ada"
    # A neighbour can plant the plain name only, which is not looked at.
    planted = app.test_client()
    planted.set_cookie("session", line.partition("=")[2].partition(";")[0])
    assert planted.get("/who", base_url=TLS).text == "None"
    gone = client.get("/out", base_url=TLS).headers.getlist("Set-Cookie")
    assert gone == [
        "__Host-session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Secure; HttpOnly; Path=/; SameSite=Lax"
    ]


def test_a_session_that_is_read_before_the_first_request_has_the_prefix_too(make_app: App) -> None:
    app = sessions(make_app, RAMPART_SESSION_PREFIX="secure", SESSION_COOKIE_DOMAIN="a.example")
    app.testing = True
    with app.test_client().session_transaction(base_url="https://a.example"):
        assert app.config["SESSION_COOKIE_NAME"] == "__Secure-session"
    assert lines(app, base_url="https://a.example")[0].startswith("__Secure-session=")


def test_in_debug_over_plain_http_the_session_works_under_its_plain_name(make_app: App) -> None:
    app = sessions(make_app, RAMPART_SESSION_PREFIX="host", SESSION_COOKIE_NAME="sid")
    assert app.config["SESSION_COOKIE_NAME"] == "__Host-sid"
    app.debug = True  # as app.run(debug=True) does
    (line,) = lines(app, base_url="http://localhost")
    assert re.fullmatch(r"sid=[^;]+; HttpOnly; Path=/; SameSite=Lax", line)


def test_a_name_that_has_its_prefix_already_keeps_it(make_app: App) -> None:
    app = sessions(make_app, RAMPART_SESSION_PREFIX="host", SESSION_COOKIE_NAME="__Host-sid")
    assert lines(app)[0].startswith("__Host-sid=")


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"SESSION_COOKIE_DOMAIN": "a.example"}, "SESSION_COOKIE_DOMAIN names a domain"),
        ({"SESSION_COOKIE_PATH": "/b"}, "SESSION_COOKIE_PATH is another"),
        ({"RAMPART_SESSION_PREFIX": "http", "SESSION_COOKIE_HTTPONLY": False}, "SESSION_COOKIE_HTTPONLY is False"),
        ({"RAMPART_SESSION_PREFIX": "hosst"}, "Did you mean host?"),
    ],
    ids=["domain", "path", "scripts", "misspelt"],
)
def test_a_prefix_that_would_lose_the_session_stops_the_start_up(make_app: App, config: Any, word: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(word)):
        make_app(**{"RAMPART_SESSION_PREFIX": "host", **config})


def test_a_domain_that_is_set_after_the_start_is_refused_at_the_first_request(make_app: App) -> None:
    app = sessions(make_app, RAMPART_SESSION_PREFIX="host-http")
    app.config["SESSION_COOKIE_DOMAIN"] = "a.example"
    app.testing = True
    with pytest.raises(ConfigError, match="SESSION_COOKIE_DOMAIN"):
        app.test_client().get("/")


def test_a_session_cookie_without_httponly_is_for_development_or_said_by_name(
    make_app: App, caplog: pytest.LogCaptureFixture
) -> None:
    app = sessions(make_app, SESSION_COOKIE_HTTPONLY=False)
    assert "HttpOnly" in lines(app)[0]
    (told,) = [record.getMessage() for record in caplog.records]
    assert "SESSION_COOKIE_HTTPONLY" in told and "RAMPART_COOKIES" in told and "REDACTED" not in told
    caplog.clear()
    for how in ("debug", "testing"):
        app = sessions(make_app, SESSION_COOKIE_HTTPONLY=False)
        setattr(app, how, True)
        assert "HttpOnly" not in lines(app)[0]
    app = sessions(make_app, SESSION_COOKIE_HTTPONLY=False, RAMPART_COOKIES={"session": {"http_only": False}})
    assert "HttpOnly" not in lines(app)[0]
    assert not caplog.records


@pytest.mark.parametrize("name", ["__http-s", "__Host-Http-s", "not a token"])
def test_a_name_that_cannot_have_a_rule_of_its_own_breaks_no_answer(make_app: App, name: str) -> None:
    app = sessions(make_app, SESSION_COOKIE_HTTPONLY=False, SESSION_COOKIE_NAME=name)
    app.testing = True
    assert "HttpOnly" in lines(app)[0]


def test_flasks_own_settings_of_the_session_stay(make_app: App) -> None:
    app = sessions(make_app, SESSION_COOKIE_SAMESITE="Strict", SESSION_COOKIE_PARTITIONED=True, SESSION_COOKIE_PATH="/")
    (line,) = lines(app)
    assert "SameSite=Strict" in line and line.count("Partitioned") == line.count("Secure") == 1


# Settings.


@pytest.mark.parametrize(
    ("rules", "word"),
    [
        ("theme", "must be a dict"),
        ({}, "not empty"),
        ({1: {"secure": True}}, "names of cookies"),
        ({"a": {}}, "not empty"),
        ({"a": True}, "must be a dict"),
        ({"a": {"httponly": False}}, "Did you mean http_only?"),
        ({"a": {"http_only": 0}}, "True or False"),
        ({"a": {"same_site": None}}, "'None'"),
        ({"a": {"same_site": "none"}}, "Did you mean None?"),
        ({"a b": {"secure": True}}, "no name of a cookie"),
        ({"*": {"http_only": False}}, "every cookie"),
        ({"__Host-a": {"secure": False}}, "promises Secure"),
        ({"a": {"secure": False, "same_site": "None"}}, "needs Secure"),
    ],
    ids=repr,
)
def test_a_rule_that_cannot_be_meant_stops_the_start_up(make_app: App, rules: Any, word: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(word)) as error:
        make_app(RAMPART_COOKIES=rules)
    assert "RAMPART_COOKIES" in str(error.value)
    with pytest.raises(ConfigError):
        EdgePolicy.of({"RAMPART_COOKIES": rules}, name="test")


# Cookies of an app's own.


def test_a_cookie_of_our_making_comes_back_and_is_taken_back_by_the_same_name(make_app: App) -> None:
    app = make_app()

    @app.get("/set")
    def put() -> Response:
        response = Response("x")
        set_cookie(response, "theme", "dark", max_age=timedelta(days=1))
        set_cookie(response, "wide", "1", prefix="secure", domain="a.example", path="/b", samesite="Strict")
        set_cookie(response, "embed", "1", partitioned=True)
        return response

    @app.get("/gone")
    def gone() -> Response:
        response = Response("x")
        delete_cookie(response, "embed", partitioned=True)
        return response

    app.get("/get")(lambda: str(get_cookie("theme")))
    assert [re.sub(" Expires=[^;]*;", "", line) for line in lines(app, "/set")] == [
        "__Host-theme=dark; Max-Age=86400; Secure; HttpOnly; Path=/; SameSite=Lax",
        "__Secure-wide=1; Domain=a.example; Secure; HttpOnly; Path=/b; SameSite=Strict",
        "__Host-embed=1; Secure; HttpOnly; Path=/; SameSite=None; Partitioned",
    ]
    assert lines(app, "/gone") == [
        "__Host-embed=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Secure; HttpOnly; Path=/; SameSite=None; "
        "Partitioned"
    ]
    client = app.test_client()
    client.set_cookie("theme", "planted")
    assert client.get("/get", base_url=TLS).text == "None"
    client.set_cookie("__Host-theme", "dark")
    assert client.get("/get", base_url=TLS).text == "dark"
    # In production the prefix is never left out, or whoever writes plain HTTP could plant the cookie.
    assert client.get("/get", base_url="http://localhost").text == "dark"
    app.debug = True
    assert client.get("/get", base_url="http://localhost").text == "planted"
    theme, _, embed = lines(app, "/set", base_url="http://localhost")
    assert re.fullmatch("theme=dark; Expires=[^;]*; Max-Age=86400; HttpOnly; Path=/; SameSite=Lax", theme)
    assert embed == "embed=1; HttpOnly; Path=/; SameSite=Lax"


@pytest.mark.parametrize(
    "how",
    [
        {"domain": "a.example"},
        {"path": "/b"},
        {"path": "/b", "prefix": "host-http"},
        {"prefix": "hostile"},
        {"name": "a b"},
        {"name": "a=b; Domain=evil.example"},
        {"name": ""},
        {"name": "a\r\n"},
    ],
    ids=repr,
)
def test_a_cookie_that_browsers_would_drop_is_not_made(how: dict[str, Any]) -> None:
    response = Response()
    with pytest.raises(ValueError):
        set_cookie(response, how.pop("name", "a"), "1", **how)
    assert "Set-Cookie" not in response.headers


def test_a_value_cannot_add_attributes() -> None:
    response = Response()
    set_cookie(response, "a", "x; Domain=evil.example\r\n\x00,é")
    line = response.headers["Set-Cookie"]
    assert line.count(";") == 4 and line.isascii() and line.isprintable()


def test_the_documents_code_runs(make_app: App) -> None:
    page = (Path(__file__).parent.parent / "docs" / "cookies.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", page, re.S)
    space: dict[str, Any] = {"__name__": "page"}
    exec(compile(block, "cookies.md", "exec"), space)
    assert [line.partition("=")[0] for line in lines(space["app"])] == ["__Host-theme", "lang", "__Host-session"]
    assert "HttpOnly" not in lines(space["app"])[1]
