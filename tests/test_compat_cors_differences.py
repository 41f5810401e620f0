"""Each row of the tables of docs/migrate/cors.md: what theirs does, and what ours does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakSet

import flask_cors
import pytest
from flask import Flask, request_started

import flask_rampart.compat.cors as face
from flask_rampart import ConfigError, Rampart
from flask_rampart.compat.cors import decorator

PAGE = Path(__file__).parent.parent / "docs" / "migrate" / "cors.md"
THEIRS, OURS = flask_cors, face
ORIGIN = "Access-Control-Allow-Origin"
EVIL = "https://app.example.com.evil.example"
ROWS: set[str] = set()
F = Callable[..., None]


def row(*cells: str) -> Callable[[F], F]:
    """The rows, by their first cell, that a test is about."""
    ROWS.update(cells)
    return lambda test: test


def app_of(module: ModuleType, **options: Any) -> Flask:
    app = Flask("faces")
    module.CORS(app, **options)
    app.add_url_rule("/", "index", lambda: "hello")
    return app


def ask(app: Flask, origin: str = EVIL, method: str = "GET", path: str = "/", **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()} | {"Origin": origin}
    return app.test_client().open(path, method=method, headers=sent).headers


def refused(match: str, **options: Any) -> None:
    """By the extension and by the decorator, before there is a request."""
    with pytest.raises(ConfigError, match=match):
        app_of(OURS, **options)
    if "origins" in options:
        with pytest.raises(ConfigError, match=match):
            OURS.cross_origin(**options)
    with pytest.raises(ConfigError, match=match):
        app_of(OURS, resources={"/": options})


@row("every origin with `supports_credentials`", "every origin with `allow_private_network`")
@pytest.mark.parametrize("name", ["supports_credentials", "allow_private_network"])
@pytest.mark.parametrize("origins", ["*", ["*", "https://app.example.com"], ".*"])
def test_every_page_is_nobody_s_login(name: str, origins: Any) -> None:
    found = ask(app_of(THEIRS, origins=origins, **{name: True}), Access_Control_Request_Private_Network="true")
    assert found[ORIGIN] == EVIL
    refused("List the origins", origins=origins, **{name: True})
    refused("List the origins", **{name: True})


@row(
    "a pattern that matches an origin that anybody can have, with either: `https://.*`, `https?://\\w+\\.\\w+`, "
    "`.*example.*`, `https://app\\.example\\.com.*`"
)
@pytest.mark.parametrize("pattern", [r"https?://.*", re.compile("https://.+"), r"^.*$", r"https://[^/]*"])
def test_a_pattern_that_matches_any_origin_is_every_origin(pattern: Any) -> None:
    assert ask(app_of(THEIRS, origins=pattern, supports_credentials=True))[ORIGIN] == EVIL
    refused("List the origins", origins=pattern, supports_credentials=True)
    assert ask(app_of(OURS, origins=pattern))[ORIGIN] == EVIL
    for wide in (r"https://.*\.com", r"https://[a-z0-9-]+\.github\.io"):
        refused("List the origins", origins=["https://app.example.com", wide], supports_credentials=True)


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        (r"https?://\w+\.\w+", "https://evil.com"),
        (r"^https://[a-z]+\.com$", "https://evil.com"),
        (r"https://[a-z0-9-]{1,8}\.com", "https://evil.com"),
        (r"https://.*:\d+$", "https://evil.com:8443"),
        (r".*example.*", "https://example.evil.com"),
        (r"https://app\.example\.com.*", "https://app.example.com.evil.com"),
        (r"http://localhost.*", "http://localhost.evil.com"),
    ],
)
def test_a_pattern_that_an_evil_site_matches_lends_no_login(pattern: str, origin: str) -> None:
    assert ask(app_of(THEIRS, origins=pattern, supports_credentials=True), origin)[ORIGIN] == origin
    refused("List the origins", origins=pattern, supports_credentials=True)
    app_of(OURS, origins=pattern)  # lends nothing


@pytest.mark.parametrize(
    "pattern", [r"https://.*\.example\.com", r"https://(app|www)\.example\.com(:\d+)?", r"http://localhost:\d+"]
)
def test_a_pattern_that_ends_in_a_domain_may_lend_a_login(pattern: str, caplog: pytest.LogCaptureFixture) -> None:
    app_of(OURS, origins=pattern, supports_credentials=True)
    assert "other names" not in caplog.text


@row("a pattern that repeats what reads one text in two ways, with either: `([a-z0-9-]+\\.?)+`")
@pytest.mark.parametrize(
    "pattern",
    [
        r"https://([a-z0-9-]+\.?)+\.example-company\.com",
        r"https://(?:(?:[a-z]+)+\.)*example-company\.com",
        r"https://(.*\.)*example-company\.com",
        r"https://(?P<name>\w|[a-z-])+\.example-company\.com",
        r"https://(\.?[A-Z]{3,}){1,30}\.example-company\.com",
        r"https://((foo)*|x[)(]y)*\.example-company\.com",
        r"https://((www|[a-z]+)\.)+example-company\.com",
        r"https://(?:x(?:-(?:\w|a)b)?\.)*example-company\.com",
    ],
)
def test_a_pattern_that_never_ends_lends_no_login(pattern: str) -> None:
    THEIRS.CORS(Flask("faces"), origins=[pattern], supports_credentials=True)
    refused("in two ways", origins=[pattern], supports_credentials=True)
    refused("in two ways", origins=[re.compile(pattern)], allow_private_network=True)
    app_of(OURS, origins=pattern)  # lends nothing


@pytest.mark.parametrize(
    "pattern",
    [
        r"https://([a-z0-9-]+\.)*example\.com",
        r"https://(?:[\w-]+\.){1,5}example\.com",
        r"https://[a-z]+(-[a-z]+)*\.example\.com",
        r"https://(www|[a-z]+)\.example\.com(:\d+)?",
        r"https://([^.()+]+\.)+example\.com",
        r"https://((app|www|[0-9]+)\.)+example\.com",
        r"https://((?!www|w+)[a-z]+\.)+example\.com",
        r"https://(app|[a-z]+)\.example\.com",
    ],
)
def test_a_pattern_may_repeat_what_has_an_end(pattern: str) -> None:
    app = app_of(OURS, origins=pattern, supports_credentials=True)
    assert ask(app, "https://app.example.com")[ORIGIN] == "https://app.example.com"


@row("a pattern whose dot lets other names in, with either: `https://.*.example.com` is also `https://evilexample.com`")
def test_a_pattern_that_lends_a_login_to_other_names_is_told(caplog: pytest.LogCaptureFixture) -> None:
    pattern, evil = "https://.*.example.com", "https://evilexample.com"
    for module in (THEIRS, OURS):
        assert ask(app_of(module, origins=pattern, supports_credentials=True), evil)[ORIGIN] == evil
    (told,) = (found.getMessage() for found in caplog.records if "other names" in found.getMessage())
    assert repr(pattern) in told
    caplog.clear()
    app_of(OURS, origins=pattern)
    assert "other names" not in caplog.text


@pytest.mark.parametrize("name", ["supports_credentials", "allow_private_network"])
@pytest.mark.parametrize("by_setting", [False, True])
def test_origins_of_each_path_are_enough(name: str, by_setting: bool) -> None:
    paths = {"resources": {"/api/*": {"origins": ["https://a.com"]}}}
    for module in (THEIRS, OURS):
        app = Flask("faces")
        if by_setting:
            app.config[f"CORS_{name.upper()}"] = True
        module.CORS(app, **paths, **({} if by_setting else {name: True}))
        app.add_url_rule("/api/a", "index", lambda: "hello")
        assert ask(app, "https://a.com", path="/api/a")[ORIGIN] == "https://a.com"


@pytest.mark.parametrize("rampart", [False, True])
def test_a_view_without_origins_stops_the_app_before_its_first_request(rampart: bool) -> None:
    for options, config in (
        ({"supports_credentials": True}, {}),
        ({}, {"CORS_SUPPORTS_CREDENTIALS": True}),
        ({"origins": "*"}, {"CORS_ALLOW_PRIVATE_NETWORK": True}),
    ):
        app = Flask("faces")
        app.config.update(RAMPART_LIMIT_STORE="memory://", RAMPART_ACCESS_LOG="off", **config)
        if rampart:
            Rampart(app)
        app.add_url_rule("/other", "other", lambda: "hello")
        app.add_url_rule("/", "index", OURS.cross_origin(**options)(lambda: "hello"))
        for _ in range(2):
            with app.test_request_context("/other"), pytest.raises(ConfigError, match="List the origins"):
                app.full_dispatch_request()
        # Whose origins they are, the settings may say.
        app.config["CORS_ORIGINS"] = ["https://app.example.com"]
        if not rampart and "origins" not in options:
            with app.test_request_context("/other"):
                assert app.full_dispatch_request().status_code == 200


def test_who_asks_before_a_first_request_is_asked_no_more_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decorator, "_open", WeakSet())
    app = Flask("faces")
    app.add_url_rule("/", "index", OURS.cross_origin()(lambda: "hello"))
    assert decorator._begin in request_started.receivers_for(app)
    for _ in range(2):
        assert ask(app, EVIL)[ORIGIN] == EVIL
        assert decorator._begin not in request_started.receivers_for(app)


@row("a pattern of an origin")
@pytest.mark.parametrize("pattern", [r"https://app\.example\.com", re.compile(r"https://app\.example\.com")])
def test_a_pattern_matches_all_of_an_origin(pattern: Any) -> None:
    assert ask(app_of(THEIRS, origins=pattern))[ORIGIN] == EVIL
    assert ORIGIN not in ask(app_of(OURS, origins=pattern))
    assert ask(app_of(OURS, origins=pattern), "https://app.example.com")[ORIGIN] == "https://app.example.com"
    assert ask(app_of(OURS, origins=r"https://app\.example\.com.*"))[ORIGIN] == EVIL


def test_the_log_names_once_the_patterns_that_match_less(caplog: pytest.LogCaptureFixture) -> None:
    app = app_of(OURS, origins=[r"https://a\.example", r"^https://b\.example$", r"https://c\.example.*"])
    app.add_url_rule("/view", "view", OURS.cross_origin(origins=r"https://d\.example")(lambda: "hello"))
    for _ in range(2):
        ask(app, path="/view")
    first, second = (found.getMessage() for found in caplog.records if "whole of an origin" in found.getMessage())
    assert "a" + r"\\.example" in first and "b" + r"\\." not in first and "c" + r"\\." not in first
    assert "d" + r"\\.example" in second and "end it in .*" in second


def granted(app: Flask, headers: str = "", wanted: str = "GET") -> Any:
    return ask(app, EVIL, "OPTIONS", Access_Control_Request_Method=wanted, Access_Control_Request_Headers=headers)


@row("a pattern in `allow_headers`", "a name that no field can have, or an empty one, in a preflight")
def test_a_pattern_matches_all_of_a_name(caplog: pytest.LogCaptureFixture) -> None:
    name = "Access-Control-Allow-Headers"
    assert granted(app_of(THEIRS, allow_headers=r"X-\d"), "X-12")[name] == "X-12"
    assert name not in granted(app_of(OURS, allow_headers=r"X-\d"), "X-12")
    assert r"X-\\d" in caplog.text
    assert granted(app_of(OURS, allow_headers=r"X-\d.*"), "X-12")[name] == "X-12"
    assert granted(app_of(THEIRS), "X-A;b <c>")[name] == "X-A;b <c>"
    assert name not in granted(app_of(OURS), "X-A;b <c>")
    assert granted(app_of(THEIRS), " , X-A")[name] == ", X-A"
    assert granted(app_of(OURS), " , X-A")[name] == "X-A"


@row("`null` in `origins`", "`null`, and a pattern that matches it", "`null`, where every origin is meant")
def test_a_page_in_a_sandbox_is_no_page_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    for origins in (["null"], ["https://app.example.com", "null"]):
        assert ask(app_of(THEIRS, origins=origins), "null")[ORIGIN] == "null"
        refused("sandbox", origins=origins)
    pattern = r"(null|https://app\.example\.com)"
    caplog.clear()
    app_of(OURS, origins=pattern)
    assert "sandbox" in caplog.text and "end it in" in caplog.text
    assert ask(app_of(THEIRS, origins=pattern), "null")[ORIGIN] == "null"
    assert ORIGIN not in ask(app_of(OURS, origins=pattern), "null")
    assert ask(app_of(THEIRS), "null")[ORIGIN] == "null"
    found = ask(app_of(OURS), "null")
    assert found[ORIGIN] == "*" and found["Vary"] == "Origin"


@row("an option that is none, such as `origin=`")
def test_a_misspelt_option_stops_the_start_up() -> None:
    assert ask(app_of(THEIRS, origin="https://app.example.com"))[ORIGIN] == EVIL
    refused("Did you mean 'origins'", origin="https://app.example.com")
    with pytest.raises(ConfigError, match="supports_credentials"):
        OURS.cross_origin(support_credentials=True)


@row('a text as a switch, such as `CORS_SUPPORTS_CREDENTIALS = "False"`')
def test_a_text_is_no_switch() -> None:
    given: dict[str, Any] = {"origins": EVIL, "supports_credentials": "False"}
    assert ask(app_of(THEIRS, **given))["Access-Control-Allow-Credentials"] == "true"
    refused("True or False", **given)
    app = Flask("faces")
    app.config["CORS_SUPPORTS_CREDENTIALS"] = "False"
    with pytest.raises(ConfigError, match="supports_credentials"):
        OURS.CORS(app, origins=EVIL)


@row("an origin that is neither text nor pattern")
@pytest.mark.parametrize("origins", [None, 443, [b"https://app.example.com"]])
def test_an_origin_is_a_text_or_a_pattern(origins: Any) -> None:
    assert ORIGIN not in ask(app_of(THEIRS, origins=origins))
    refused("origins is a text", origins=origins)


@row("a line break in `methods`, `expose_headers` or `max_age`")
@pytest.mark.parametrize("name", ["methods", "expose_headers", "max_age"])
def test_a_line_break_stops_the_start_up(name: str) -> None:
    given = {name: "GET\r\nSet-Cookie: a=b"}
    answer = (
        app_of(THEIRS, **given)
        .test_client()
        .options("/", headers={"Origin": EVIL, "Access-Control-Request-Method": "GET"})
    )
    assert answer.status_code == 500
    refused("one line", **given)


@row("a method that is a part of another's name, such as `PO`")
def test_a_part_of_a_method_is_none() -> None:
    name = "Access-Control-Allow-Methods"
    assert name in granted(app_of(THEIRS), wanted="PO")
    assert name not in granted(app_of(OURS), wanted="PO")


@row('methods in one text without commas, such as `methods="GET POST"`')
def test_methods_in_one_text_have_commas() -> None:
    name = "Access-Control-Allow-Methods"
    assert name in granted(app_of(THEIRS, methods="GET POST"), wanted="POST")
    assert name not in granted(app_of(OURS, methods="GET POST"), wanted="POST")
    for methods in ("GET, POST", ["GET", "POST"]):
        assert name in granted(app_of(OURS, methods=methods), wanted="POST")


# Otherwise.


@row("a path with `%25`")
def test_a_path_is_read_as_the_route_s() -> None:
    for module, matches in ((THEIRS, True), (OURS, False)):
        app = app_of(module, resources=[r"/api/a$"])
        assert (ORIGIN in ask(app, path="/api/%2561")) is matches
        assert ORIGIN in ask(app, path="/api/%61")


@row("a field that the view set, under `@cross_origin`")
def test_what_a_view_set_stays() -> None:
    for module, sent in ((THEIRS, ["https://own.example", EVIL]), (OURS, ["https://own.example"])):
        app = Flask("faces")
        view = module.cross_origin()(lambda: ("", {ORIGIN: "https://own.example"}))
        app.add_url_rule("/", "index", view)
        assert ask(app).getlist(ORIGIN) == sent


@row("an `async` view under `@cross_origin`")
def test_an_async_view_is_awaited() -> None:
    async def view() -> str:
        return "hello"

    app = Flask("faces")
    app.add_url_rule("/", "index", OURS.cross_origin()(view))
    answer = app.test_client().get("/", headers={"Origin": EVIL})
    assert answer.text == "hello" and answer.headers[ORIGIN] == EVIL


@row("a `CORS_*` setting that changes after the first request")
def test_settings_are_read_once() -> None:
    for module, counts in ((THEIRS, True), (OURS, False)):
        app = Flask("faces")
        app.config["CORS_ORIGINS"] = "https://app.example.com"
        app.add_url_rule("/", "index", module.cross_origin()(lambda: "hello"))
        assert ORIGIN not in ask(app)
        app.config["CORS_ORIGINS"] = EVIL
        assert (ORIGIN in ask(app)) is counts


@row("an origin above 300 characters")
def test_an_origin_is_no_longer_than_a_host() -> None:
    long = f"https://{'a' * 300}.example.com"
    pattern = r"https://.*\.example\.com"
    assert ask(app_of(THEIRS, origins=pattern), long)[ORIGIN] == long
    assert ORIGIN not in ask(app_of(OURS, origins=pattern), long)


def test_every_row_has_a_test() -> None:
    tables = re.findall(r"^\| (?!\|)(.+?) \|", PAGE.read_text(), re.M)
    assert {cell for cell in tables if cell.strip("-| ")} == ROWS
