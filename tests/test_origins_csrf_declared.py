"""CSRF: where it is declared, what cannot be meant, and the page of docs."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView, View

from flask_rampart import ConfigError, Rampart, cors, csrf, require
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
        ("app.example.com", 'Did you mean "https://app.example.com"?'),
        ("https://app.example.com/", 'Did you mean "https://app.example.com"?'),
        ("https://app.example.com/path", 'Did you mean "https://app.example.com"?'),
        ("https://app.example.com?", 'Did you mean "https://app.example.com"?'),
        ("https://app.example.com#x", 'Did you mean "https://app.example.com"?'),
        ("https://user:hunter2@app.example.com", "user"),
        ("ftp://app.example.com", "Did you mean https?"),
        ("htps://app.example.com", "Did you mean https?"),
        ("file://app.example.com", "no origin"),
        ("https://127.1", 'Did you mean "https://127.0.0.1"?'),
        ("http://[0:0::1]:80", 'Did you mean "http://[::1]"?'),
        ("http://[::ffff:1.2.3.4]", 'Did you mean "http://[::ffff:102:304]"?'),
        ("https://app.example.com:0", "port"),
        ("https://app.example.com.", "no origin"),
        ("https://app.example.com\n", 'Did you mean "https://app.example.com"?'),
    ],
)
def test_an_origin_that_is_none_or_more_stops_the_start(make_app: App, origin: str, why: str) -> None:
    with pytest.raises(ConfigError, match="RAMPART_CSRF_TRUSTED_ORIGINS") as caught:
        make_app(RAMPART_CSRF_TRUSTED_ORIGINS=[origin])
    assert why in str(caught.value)
    assert "hunter2" not in str(caught.value) and "?." not in str(caught.value)
    with pytest.raises(ConfigError):
        csrf(trusted_origins=[origin])


def test_an_origin_is_kept_as_browsers_write_it() -> None:
    assert read_origin("it", "HTTPS://App.Example.COM:443") == "https://app.example.com"
    assert read_origin("it", "http://[::1]:80") == "http://[::1]"
    assert read_origin("it", "https://b\u00fccher.example") == "https://xn--bcher-kva.example"
    # Pages of an app on a phone, and of an extension, have origins too.
    assert read_origin("it", "capacitor://localhost") == "capacitor://localhost"
    assert read_origin("it", "chrome-extension://abcdefghijklmnop") == "chrome-extension://abcdefghijklmnop"
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


def told_of(make_app: App, *, view: Any = None, **config: Any) -> list[str]:
    """The warnings of a start, about pages that may read and not write."""
    app = make_app(**config)
    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    app.logger.addHandler(handler)
    view = view or (lambda: "ok")
    app.post("/")(view)
    app.get("/read")(lambda: "ok")
    app.extensions["rampart"].seal()
    app.test_client().post("/")
    return [text for text in told if "CSRF_TRUSTED_ORIGINS" in text]


WITH = {"RAMPART_CORS_CREDENTIALS": True, "RAMPART_CORS_ORIGINS": ["https://a.example", "https://*.b.example"]}


def test_pages_that_may_read_as_a_user_and_not_write_are_told_of_once(make_app: App) -> None:
    (text,) = told_of(make_app, **WITH)
    assert "https://a.example, https://*.b.example" in text and "csrf.origin" in text
    # What is trusted is not missed; of a wildcard it is enough that somebody thought of one.
    (text,) = told_of(make_app, **WITH, RAMPART_CSRF_TRUSTED_ORIGINS=["https://x.b.example"])
    assert "Pages of https://a.example may" in text
    (text,) = told_of(make_app, **WITH, RAMPART_CSRF_TRUSTED_ORIGINS=["https://c.example", "https://a.example"])
    assert "Pages of https://*.b.example may" in text
    assert not told_of(make_app, **WITH, RAMPART_CSRF_TRUSTED_ORIGINS=["https://x.b.example", "https://a.example"])
    many = [f"https://a{number}.example" for number in range(8)]
    (text,) = told_of(make_app, **{**WITH, "RAMPART_CORS_ORIGINS": many})
    assert "https://a4.example and 3 more may" in text


def test_nobody_is_told_where_nothing_would_be_refused(make_app: App) -> None:
    assert not told_of(make_app, RAMPART_CORS_ORIGINS=["https://a.example"])
    assert not told_of(make_app, RAMPART_CORS_ORIGINS="*")
    assert not told_of(make_app, **WITH, RAMPART_CSRF="off")
    assert not told_of(make_app, **WITH, view=csrf("off")(lambda: "ok"))
    trusting = csrf(trusted_origins=["https://a.example", "https://x.b.example"])
    assert not told_of(make_app, **WITH, view=trusting(lambda: "ok"))
    assert not told_of(make_app, **WITH, view=cors.none(lambda: "ok"))


def test_a_view_with_cors_of_its_own_is_told_of_too(make_app: App) -> None:
    view = cors(["https://v.example"], credentials=True)(lambda: "ok")
    (text,) = told_of(make_app, view=view)
    assert "Pages of https://v.example may" in text


def test_a_refusal_says_to_the_log_that_cors_let_the_page_read(make_app: App) -> None:
    app = make_app(**WITH)
    app.post("/")(lambda: "ok")
    reasons = []

    @app.errorhandler(403)
    def told(error: Any) -> Any:
        reasons.append(error.reason)
        return "no", 403

    client = app.test_client(use_cookies=False)
    for origin in ("https://a.example", "https://x.b.example", "https://evil.test"):
        assert client.post("/", headers={**COOKIE, **CROSS, "Origin": origin}).data == b"no"
    assert ["CORS" in reason for reason in reasons] == [True, True, False]
