"""The face of Flask-WTF's CSRF protection beside ``Rampart(app)``, and whose words a refusal has."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock, ConfigError, Rampart, csrf, validate
from flask_rampart.compat.wtf_csrf import CSRFError, CSRFProtect, generate_csrf
from flask_rampart.origins import page_of
from flask_rampart.signals import request_refused

from .facing import MIDNIGHT, SECRET

HTTPS = "https://localhost"
EVIL = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
OWN = {"Sec-Fetch-Site": "same-origin", "Origin": HTTPS}


def app_of(config: dict[str, Any] | None = None, *, rampart_first: bool = True, **more: Any) -> tuple[Flask, Any]:
    app = Flask("both")
    app.testing = True
    app.secret_key = SECRET
    app.config["RAMPART_PROFILE"] = "html"
    app.config.update(config or {})
    if rampart_first:
        Rampart(app, **more)
        protect = CSRFProtect(app)
    else:
        protect = CSRFProtect(app)
        Rampart(app, **more)
    app.add_url_rule("/token", "token", generate_csrf)
    app.add_url_rule("/", "index", lambda: "hello", methods=["GET", "POST"])
    return app, protect


def ask(client: Any, token: str | None = None, path: str = "/", **given: Any) -> tuple[int, str]:
    headers = {**given.pop("headers", {}), **({} if token is None else {"X-CSRFToken": token})}
    answer = client.post(path, base_url=HTTPS, headers=headers, **given)
    told = answer.get_json()["code"] if answer.mimetype == "application/problem+json" else answer.text
    return answer.status_code, told


def drawn(client: Any) -> str:
    return str(client.get("/token", base_url=HTTPS).text)


@pytest.mark.parametrize("rampart_first", [True, False])
def test_forms_work_under_the_headers_that_rampart_sends(rampart_first: bool) -> None:
    # Referrer-Policy: no-referrer has browsers leave out Referer, and write Origin: null.
    app, _ = app_of(rampart_first=rampart_first)
    client = app.test_client()
    page = client.get("/token", base_url=HTTPS)
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert ask(client, page.text, headers={"Sec-Fetch-Site": "same-origin", "Origin": "null"}) == (200, "hello")
    assert "The CSRF token is missing." in ask(client, headers=OWN)[1]
    assert "The referrer header is missing." in ask(client, page.text)[1]


def test_rampart_asks_the_browser_first_also_of_views_that_are_exempt() -> None:
    app, protect = app_of()
    app.add_url_rule("/hook", "hook", protect.exempt(lambda: "hook"), methods=["POST"])
    app.add_url_rule("/open", "open", protect.exempt(csrf("off")(lambda: "open")), methods=["POST"])
    client = app.test_client()
    token = drawn(client)
    assert ask(client, token, headers=EVIL) == (403, "csrf.origin")
    assert ask(client, path="/hook") == (200, "hook")
    assert ask(client, path="/hook", headers=EVIL) == (403, "csrf.origin")
    assert ask(client, path="/open", headers=EVIL) == (200, "open")


def test_what_a_view_says_of_origins_holds_for_the_face() -> None:
    app, _ = app_of()
    trusting = csrf(trusted_origins=["https://pay.example"])
    app.add_url_rule("/off", "off", csrf("off")(lambda: "off"), methods=["POST"])
    app.add_url_rule("/pay", "pay", trusting(lambda: "pay"), methods=["POST"])
    client = app.test_client()
    token = drawn(client)
    pay = {"Sec-Fetch-Site": "cross-site", "Origin": "https://pay.example"}
    for _ in range(2):
        assert ask(client, token, "/off", headers={**EVIL, "Referer": HTTPS}) == (200, "off")
        assert "The CSRF token is missing." in ask(client, path="/off", headers=EVIL)[1]
        assert ask(client, token, "/pay", headers={**pay, "Referer": "https://pay.example/"}) == (200, "pay")
        assert "The CSRF token is missing." in ask(client, path="/pay", headers=pay)[1]
        assert ask(client, token, headers=pay) == (403, "csrf.origin")


def test_rampart_is_told_of_each_refusal() -> None:
    app, _ = app_of({"RAMPART_CSRF_TRUSTED_ORIGINS": ["https://pay.example"]})
    told: list[str] = []

    def hear(app: Flask, **what: Any) -> None:
        told.append(what["code"])

    with request_refused.connected_to(hear, app):
        assert ask(app.test_client(), headers=OWN)[0] == 400
        # Nothing that a browser adds by itself: Rampart lets it pass, and the face does not.
        status, page = ask(app.test_client(use_cookies=False), headers=EVIL)
        assert status == 400 and "The request is from a page of another site." in page
    assert told == ["csrf.invalid", "csrf.origin"]


@pytest.mark.parametrize("with_rampart", [True, False])
def test_the_words_of_a_refusal_are_chosen(with_rampart: bool) -> None:
    config = {"RAMPART_ERROR_FORMAT": "problem"}
    if with_rampart:
        app, _ = app_of(config)
    else:
        app = Flask("alone")
        app.config.update(config, SECRET_KEY=SECRET)
        CSRFProtect(app)
        app.add_url_rule("/", "index", lambda: "hello", methods=["POST"])
    client = app.test_client()
    assert ask(client) == (403, "csrf.invalid")
    assert ask(client, headers=EVIL) == (403, "csrf.origin")


def test_a_handler_of_the_apps_words_it_in_any_format() -> None:
    for config in ({}, {"RAMPART_ERROR_FORMAT": "problem"}):
        app, _ = app_of(config)
        app.register_error_handler(CSRFError, lambda error: (f"sorry: {error.description}", 400))
        assert ask(app.test_client()) == (400, "sorry: The CSRF token is missing.")


def test_two_kinds_of_tokens_stop_the_start_up() -> None:
    app, _ = app_of()
    app.add_url_rule("/careful", "careful", csrf("token")(lambda: "x"), methods=["POST"])
    with pytest.raises(ConfigError, match="Flask-WTF"):
        app.test_client().get("/")


def test_the_clock_is_ramparts() -> None:
    clock = Clock.manual(MIDNIGHT)
    app, _ = app_of({"SESSION_COOKIE_NAME": "s"}, clock=clock)
    with app.test_request_context():
        from flask_rampart.compat.wtf_csrf import ValidationError, validate_csrf

        token = generate_csrf()
        clock.advance(3600)
        validate_csrf(token)
        clock.advance(1)
        with pytest.raises(ValidationError, match="expired"):
            validate_csrf(token)


def test_validate_sees_the_field_with_the_token() -> None:
    app, _ = app_of()
    model = {"type": "object", "properties": {"name": {"type": "string"}}, "additionalProperties": False}
    app.add_url_rule("/form", "form", validate(form=model)(lambda: "form"), methods=["POST"])
    client = app.test_client()
    token = drawn(client)
    assert ask(client, token, "/form", headers=OWN, data={"name": "Ada"}) == (200, "form")
    assert ask(client, None, "/form", headers=OWN, data={"name": "Ada", "csrf_token": token})[0] == 422


@pytest.mark.parametrize(
    ("site", "origin", "page"),
    [
        ("same-origin", None, "own"),
        ("none", "null", "own"),
        (None, HTTPS, "own"),
        (None, "https://pay.example", "trusted"),
        ("cross-site", "https://pay.example", "trusted"),
        ("sideways", "https://pay.example", "other"),
        ("cross-site", None, "other"),
        ("same-site", HTTPS, "other"),
        ("cross-site", "null", "other"),
        (None, "http://localhost", "other"),
        (None, "null", "hidden"),
        (None, None, "unsaid"),
    ],
)
def test_a_browser_says_whose_page_it_is(site: str | None, origin: str | None, page: str) -> None:
    environ = {"wsgi.url_scheme": "https", "HTTP_HOST": "localhost"}
    if site is not None:
        environ["HTTP_SEC_FETCH_SITE"] = site
    if origin is not None:
        environ["HTTP_ORIGIN"] = origin
    assert page_of(environ, frozenset(("https://pay.example",))) == page
