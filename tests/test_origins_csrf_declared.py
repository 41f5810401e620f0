"""CSRF: where it is declared, what cannot be meant, and the page of docs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView, View

from flask_rampart import ConfigError, Rampart, csrf, require
from flask_rampart.origins.origin import read_origin

from .test_origins_csrf import COOKIE, CROSS, status

App = Callable[..., Flask]


def test_off_for_the_app_and_on_for_a_view(make_app: App) -> None:
    app = make_app(RAMPART_CSRF="off")
    app.post("/open")(lambda: "ok")
    app.post("/kept")(csrf("fetch-metadata")(lambda: "ok"))
    app.post("/also")(csrf(trusted_origins=["https://a.example"])(lambda: "ok"))
    client = app.test_client(use_cookies=False)
    assert client.post("/open", headers={**COOKIE, **CROSS}).status_code == 200
    assert client.post("/kept", headers={**COOKIE, **CROSS}).status_code == 403
    assert client.post("/also", headers={**COOKIE, **CROSS}).status_code == 403
    assert client.post("/also", headers={**COOKIE, **CROSS, "Origin": "https://a.example"}).status_code == 200


def test_what_is_nearest_to_the_view_counts(make_app: App) -> None:
    app = make_app()
    rampart = Rampart()
    off, strict = csrf("off"), csrf("strict")
    outer, inner = Blueprint("outer", "o"), Blueprint("inner", "i")
    outer.post("/hooks")(lambda: "ok")
    inner.post("/inner")(lambda: "ok")
    inner.post("/lax", endpoint="lax")(off(lambda: "ok"))

    @inner.post("/again")
    @strict
    def again() -> str:
        return "ok"

    outer.register_blueprint(inner)
    # The same object at two places: the nearer one is still the nearer one.
    rampart.protect(outer, off)
    rampart.protect(inner, strict)
    app.register_blueprint(outer)
    app.post("/plain")(lambda: "ok")
    client = app.test_client(use_cookies=False)

    def asked(path: str, fields: dict[str, str]) -> int:
        return client.post(path, headers=fields).status_code

    evil = {**COOKIE, **CROSS}
    assert [asked(path, evil) for path in ("/plain", "/hooks", "/inner", "/lax", "/again")] == [403, 200, 403, 200, 403]
    assert [asked(path, {}) for path in ("/plain", "/hooks", "/inner", "/lax", "/again")] == [200, 200, 403, 200, 403]


def test_on_the_whole_app_and_off_on_a_view(make_app: App) -> None:
    app = Flask("whole")
    app.config.update(RAMPART_ACCESS_LOG="off")
    rampart = Rampart(app)
    rampart.protect(app, csrf("strict"))
    app.add_url_rule("/strict", "strict", lambda: "ok", methods=["POST"])
    app.add_url_rule("/off", "off", csrf("off")(lambda: "ok"), methods=["POST"])
    client = app.test_client()
    assert client.post("/strict").status_code == 403
    assert client.post("/off").status_code == 200


def test_two_words_for_a_whole_app_stop_the_start() -> None:
    app = Flask("whole")
    app.config.update(RAMPART_ACCESS_LOG="off")
    rampart = Rampart(app)
    rampart.protect(app, csrf("strict"), csrf("off"))
    app.post("/")(lambda: "ok")
    with pytest.raises(ConfigError, match="which of them"):
        app.extensions["rampart"].seal()


def test_view_classes_and_their_methods(make_app: App) -> None:
    app = make_app()

    @csrf("off")
    class Hooks(MethodView):
        def post(self) -> str:
            return "ok"

        @csrf("strict")
        def put(self) -> str:
            return "ok"

    class Derived(Hooks):
        pass

    app.add_url_rule("/hooks", view_func=Hooks.as_view("hooks"))
    app.add_url_rule("/derived", view_func=Derived.as_view("derived"))
    client = app.test_client(use_cookies=False)
    assert client.post("/hooks", headers={**COOKIE, **CROSS}).status_code == 200
    assert client.put("/hooks").status_code == 403
    # What is taken out of the protection is the class itself, and nothing derived from it.
    assert client.post("/derived", headers={**COOKIE, **CROSS}).status_code == 403


def test_views_that_call_views_and_views_without_declared_methods(make_app: App) -> None:
    app = make_app()

    class Everything(View):
        methods = ("GET", "POST")

        def dispatch_request(self) -> str:
            return "ok"

    @app.post("/inner")
    @csrf("strict")
    def inner() -> str:
        return "ok"

    app.post("/outer")(lambda: inner())
    app.add_url_rule("/class", view_func=Everything.as_view("class"))
    client = app.test_client(use_cookies=False)
    assert client.post("/outer").status_code == 403
    assert client.post("/outer", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert client.post("/class", headers={**COOKIE, **CROSS}).status_code == 403
    assert client.get("/class", headers={**COOKIE, **CROSS}).status_code == 200


def test_who_is_not_there_and_what_is_not_there_is_told_as_before(make_app: App) -> None:
    app = make_app(RAMPART_DEFAULT="deny")
    app.post("/secret")(require()(lambda: "ok"))
    app.post("/undeclared")(csrf("off")(lambda: "ok"))
    client = app.test_client(use_cookies=False)
    assert client.post("/nothing", headers={**COOKIE, **CROSS}).status_code == 404
    assert client.get("/secret").status_code == 405
    assert client.post("/secret").status_code == 401
    # It opens nothing.
    assert client.post("/undeclared").get_json()["code"] == "route.undeclared"


@pytest.mark.parametrize(
    ("origin", "why"),
    [
        ("*", "wildcard"),
        ("https://*.example.com", "wildcard"),
        ("null", "sandboxed"),
        ("app.example.com", "no scheme"),
        ("https://app.example.com/", "Write 'https://app.example.com'"),
        ("https://app.example.com/path", "Write 'https://app.example.com'"),
        ("https://app.example.com?", "Write 'https://app.example.com'"),
        ("https://app.example.com#x", "Write 'https://app.example.com'"),
        ("https://user@app.example.com", "user"),
        ("ftp://app.example.com", "neither https nor http"),
        ("https://127.1", "differ"),
        ("https://app.example.com:0", "port"),
        ("https://b\u00fccher.example", "xn--"),
        ("https://app.example.com\n", "characters"),
    ],
)
def test_an_origin_that_is_none_or_more_stops_the_start(make_app: App, origin: str, why: str) -> None:
    with pytest.raises(ConfigError, match="RAMPART_CSRF_TRUSTED_ORIGINS") as caught:
        make_app(RAMPART_CSRF_TRUSTED_ORIGINS=[origin])
    assert why in str(caught.value)
    with pytest.raises(ConfigError):
        csrf(trusted_origins=[origin])


def test_an_origin_is_kept_as_browsers_write_it() -> None:
    assert read_origin("it", "HTTPS://App.Example.COM:443") == "https://app.example.com"
    assert read_origin("it", "http://[0:0::1]:80") == "http://[::1]"
    with pytest.raises(ConfigError):
        read_origin("it", 5)


def test_an_origin_over_http_is_for_development(make_app: App) -> None:
    trusting = {"RAMPART_CSRF_TRUSTED_ORIGINS": ["http://app.example.com"]}
    for allowed in ({"TESTING": True}, {"DEBUG": True}):
        app = make_app(**trusting, **allowed)
        app.post("/")(lambda: "ok")
        assert status(app, {**COOKIE, "Origin": "http://app.example.com"}) == 200
    with pytest.raises(ConfigError, match=r"Write 'https://app\.example\.com'"):
        make_app(**trusting).extensions["rampart"].seal()
    app = make_app()
    app.post("/")(csrf(trusted_origins="http://app.example.com")(lambda: "ok"))
    with pytest.raises(ConfigError, match="network"):
        app.extensions["rampart"].seal()


@pytest.mark.parametrize(
    ("value", "why"),
    [("fetch_metadata", "Did you mean fetch-metadata"), (False, "must be"), (None, "must be"), ("", "must be")],
)
def test_the_setting_is_one_of_four_words(make_app: App, value: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        make_app(RAMPART_CSRF=value)


def test_a_declaration_that_cannot_be_meant_is_refused_at_import() -> None:
    def view() -> str:
        return "ok"

    for wrong in (
        lambda: csrf(),
        lambda: csrf(view),  # type: ignore[arg-type]
        lambda: csrf("of"),
        lambda: csrf("off", trusted_origins=["https://a.example"]),
        lambda: csrf("off")(csrf("strict")(view)),
        lambda: csrf("off")(require()(csrf("strict")(view))),
        lambda: csrf("off")(csrf("strict")(type("Post", (MethodView,), {}))),
    ):
        with pytest.raises(ConfigError):
            wrong()  # type: ignore[no-untyped-call]


def test_routes_list_what_was_declared(make_app: App) -> None:
    from flask_rampart.cli.routes import routes

    app = make_app()
    app.post("/plain")(lambda: "ok")
    app.post("/hook")(csrf("off")(lambda: "ok"))
    output = app.test_cli_runner().invoke(routes).output
    assert "csrf('off')" in output
    assert "fetch-metadata" not in output


def test_the_page_of_docs_runs_as_one_program() -> None:
    page = Path(__file__).parent.parent / "docs" / "csrf.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.S)
    assert len(blocks) == 3
    exec(compile("\n".join(blocks), "csrf.md", "exec"), {"__name__": "csrf_guide"})
