"""Beside Flask-Caching: whose answer a cached view gives, where its decorator stands, and what is never kept."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, render_template_string, session
from flask.views import MethodView
from flask_caching import Cache

from flask_rampart import (
    Rampart,
    csp_nonce,
    current_principal,
    headers,
    limit,
    principal_or_none,
    public,
    redact,
    require,
    validate,
    validated,
)

from .beside import Secure, codes
from .beside import secure as secure
from .conftest import bearer

WARNING = "is kept by its path alone"
Views = tuple[Flask, Cache, Rampart]


@pytest.fixture
def views(secure: Secure) -> Views:
    app = Flask(__name__)
    rampart = secure(app)
    return app, Cache(app, config={"CACHE_TYPE": "SimpleCache"}), rampart


def by_principal(*args: Any, **kwargs: Any) -> str:
    from flask import request

    who = principal_or_none()
    return f"{request.full_path} {who.kind if who else ''} {who.id if who else ''}"


def test_a_key_with_the_principal_keeps_answers_apart(views: Views, token: Callable[..., str]) -> None:
    app, cache, _ = views
    made: list[str] = []

    @app.get("/me")
    @require()
    @limit("5/minute")
    @cache.cached(make_cache_key=by_principal)
    def me() -> Any:
        made.append(current_principal.id)
        return {"me": current_principal.id}

    client = app.test_client()
    ada, bob = bearer(token(sub="ada")), bearer(token(sub="bob"))
    answers = [client.get("/me", headers=who) for who in (ada, bob, ada, bob)]
    assert [answer.json["me"] for answer in answers] == ["ada", "bob", "ada", "bob"] and made == ["ada", "bob"]
    # Guards are asked whether or not the cache answers.
    assert codes(client.get("/me"), client.get("/me", headers=ada)) == ["auth.missing", "limit.exceeded"]
    assert all("no-store" in answer.headers["Cache-Control"] for answer in answers)


@pytest.mark.parametrize("above", [True, False])
def test_by_its_path_alone_one_answer_is_everybodys_and_the_log_says_so(
    views: Views, token: Callable[..., str], caplog: pytest.LogCaptureFixture, above: bool
) -> None:
    app, cache, _ = views

    def me() -> Any:
        return {"me": current_principal.id}

    view = cache.cached()(require()(me)) if above else require()(cache.cached()(me))
    app.get("/me", endpoint="me")(view)
    client = app.test_client()
    with caplog.at_level(logging.WARNING):
        answers = [client.get("/me", headers=bearer(token(sub=name))) for name in ("ada", "bob")]
    assert [answer.json["me"] for answer in answers] == ["ada", "ada"]
    (told,) = [record.getMessage() for record in caplog.records if WARNING in record.getMessage()]
    assert "/me" in told and "make_cache_key" in told
    # Not even then does it answer whom the guards refuse.
    assert client.get("/me").json["code"] == "auth.missing"


def test_nothing_is_said_of_what_is_open_or_says_what_it_depends_on(
    views: Views, caplog: pytest.LogCaptureFixture
) -> None:
    app, cache, _ = views

    class Things(MethodView):
        @cache.cached(key_prefix=by_principal)
        @require()
        def get(self) -> str:
            return "x"

        @cache.cached(unless=lambda: True)
        @require()
        def post(self) -> str:
            return "x"

    app.add_url_rule("/things", view_func=Things.as_view("things"))
    app.get("/open", endpoint="open")(public(cache.cached()(lambda: "x")))
    app.get("/maybe", endpoint="maybe")(limit("9/minute")(cache.cached(query_string=True)(lambda: "x")))
    with caplog.at_level(logging.WARNING):
        app.test_client().get("/open")
    assert WARNING not in caplog.text


def test_methods_and_blueprints_are_looked_at_too(views: Views, caplog: pytest.LogCaptureFixture) -> None:
    app, cache, rampart = views

    class Things(MethodView):
        @cache.cached()
        def get(self) -> str:
            return "x"

    app.add_url_rule("/things", view_func=Things.as_view("things"))
    rampart.protect(app, require())
    with caplog.at_level(logging.WARNING):
        app.test_client().get("/things")
    assert f"/things {WARNING}" in caplog.text


def test_a_refusal_is_never_kept(views: Views, token: Callable[..., str], caplog: pytest.LogCaptureFixture) -> None:
    app, cache, rampart = views
    rampart.policy("own")(lambda principal, name: principal.id == name)

    @app.get("/of/<name>")
    @require()
    @cache.cached(make_cache_key=lambda name: name)
    def of(name: str) -> Any:
        rampart.authorize("own", name)
        return {"of": name}

    client = app.test_client()
    with caplog.at_level(logging.CRITICAL):
        answers = [client.get("/of/bob", headers=bearer(token(sub=name))) for name in ("ada", "bob")]
    assert codes(*answers) == ["auth.policy", 200]


def test_what_is_kept_is_redacted_whenever_it_leaves_and_checked_input_is_in_the_key(views: Views) -> None:
    app, cache, _ = views

    @app.post("/find")
    @redact()
    @validate(body={"type": "object", "properties": {"name": {"type": "string", "maxLength": 9}}})
    @cache.cached(make_cache_key=lambda: f"find {validated.body['name']}")
    def find() -> Any:
        return {"mail": f"{validated.body['name']}@example.com", "name": validated.body["name"]}

    client = app.test_client()
    for _ in range(2):
        assert client.post("/find", json={"name": "ada"}).json == {"mail": "[REDACTED:EMAIL_ADDRESS]", "name": "ada"}
    assert client.post("/find", json={"name": "bob"}).json["name"] == "bob"
    assert client.post("/find", json={"name": 1}).json["code"] == "body.invalid"


def test_a_page_that_is_kept_with_its_nonce_runs_no_script_later(views: Views) -> None:
    app, cache, _ = views

    @app.get("/page")
    @headers(profile="html")
    @cache.cached()
    def page() -> str:
        return render_template_string('<script nonce="{{ nonce }}">start()</script>', nonce=csp_nonce())

    client = app.test_client()
    first, second = (client.get("/page") for _ in range(2))
    nonce = first.text.split('nonce="')[1].split('"')[0]
    assert first.text == second.text
    assert f"'nonce-{nonce}'" in first.headers["Content-Security-Policy"]
    assert nonce not in second.headers["Content-Security-Policy"]


def test_the_session_that_a_view_read_closes_what_is_kept_to_shared_caches_no_more(views: Views) -> None:
    # A hit runs no view: nobody reads the session, and Flask says no Vary. What the key leaves out is for everybody.
    app, cache, _ = views

    @app.get("/hello")
    @headers(cache="public, max-age=60")
    @cache.cached()
    def hello() -> str:
        return f"hello {session.get('name', 'you')}"

    client = app.test_client()
    client.set_cookie("session", "x")
    first, second = (client.get("/hello") for _ in range(2))
    assert "private" in first.headers["Cache-Control"] and "Cookie" in first.headers["Vary"]
    assert second.headers["Cache-Control"] == "public, max-age=60"
