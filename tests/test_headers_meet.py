"""Where headers meet other rooms: pins, reports, limits, nonces, and caches of what went wrong."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Blueprint, abort

from flask_rampart import Rampart, csp_nonce, headers, limit, require

from .test_headers_declared import API_CSP, App, policy


def test_a_pin_is_the_settings_where_a_function_that_decides_it_does_not(make_app: App) -> None:
    # RFC 6797 section 14.4: a pin that nobody wanted locks subdomains out for two years.
    app = make_app(RAMPART_HSTS=False, PROPAGATE_EXCEPTIONS=False)
    Rampart().protect(app, headers(strict_transport_security=lambda: 1 // 0))
    app.get("/")(lambda: "")
    for path in ("/", "/absent"):
        assert "Strict-Transport-Security" not in app.test_client().get(path, base_url="https://example.com").headers


def test_a_view_that_pins_nothing_has_no_pin_that_climbs(make_app: App) -> None:
    app = make_app(RAMPART_HSTS_SINCE="2026-11-01")
    app.get("/")(headers(strict_transport_security=None)(lambda: ""))
    app.get("/other")(lambda: "")
    pins = [
        app.test_client().get(path, base_url="https://example.com").headers.getlist("Strict-Transport-Security")
        for path in ("/", "/other")
    ]
    assert pins[0] == []
    assert len(pins[1]) == 1


def test_an_app_that_pins_nothing_has_no_pin_that_climbs_on_any_answer(make_app: App) -> None:
    # Also on those that no route made: a 404, a refusal at the edge.
    app = make_app(RAMPART_HSTS_SINCE="2026-11-01", RAMPART_TRUSTED_HOSTS=["example.com"])
    Rampart().protect(app, headers(strict_transport_security=None))
    app.get("/")(lambda: "")
    client = app.test_client()
    answers = [client.get(path, base_url="https://example.com") for path in ("/absent", "/", "/a/../b")]
    answers.append(client.get("/", base_url="https://evil.example"))
    assert [answer.status_code for answer in answers] == [404, 200, 400, 421]
    assert not any("Strict-Transport-Security" in answer.headers for answer in answers)


def test_a_function_that_leaves_it_to_who_pins_nothing_has_no_pin_that_climbs(make_app: App) -> None:
    app = make_app(RAMPART_HSTS_SINCE="2026-11-01")
    blueprint = Blueprint("shop", __name__)
    Rampart().protect(blueprint, headers(strict_transport_security=None))
    blueprint.get("/")(headers(strict_transport_security=lambda: None)(lambda: ""))
    app.register_blueprint(blueprint)
    assert "Strict-Transport-Security" not in app.test_client().get("/", base_url="https://example.com").headers


def test_who_wants_no_endpoints_is_sent_no_policy_that_names_one(make_app: App) -> None:
    app = make_app(RAMPART_REPORTS="https://reports.example.com/csp")
    app.get("/")(headers(reporting_endpoints=None)(lambda: ""))
    sent = app.test_client().get("/", base_url="https://example.com").headers
    assert "Reporting-Endpoints" not in sent
    assert sent["Content-Security-Policy"] == API_CSP


def test_the_policy_of_a_view_names_where_the_app_has_browsers_report_to(make_app: App) -> None:
    app = make_app(RAMPART_REPORTS="https://reports.example.com/csp")
    app.get("/")(headers(csp="img-src 'self'")(lambda: ""))
    told = "img-src 'self'; report-uri https://reports.example.com/csp; report-to rampart"
    assert policy(app, base_url="https://example.com") == told


def test_a_function_gives_seconds_as_a_declaration_does(make_app: App) -> None:
    app = make_app()
    app.get("/")(headers(cache=lambda: 60)(lambda: ""))
    assert app.test_client().get("/").headers["Cache-Control"] == "private, max-age=60"


def test_a_policy_is_read_over_several_lines(make_app: App) -> None:
    app = make_app()
    app.get("/")(headers(csp="default-src\n  'self';\n  img-src\t'self'")(lambda: ""))
    assert policy(app) == "default-src 'self'; img-src 'self'"


def test_a_function_that_decides_may_ask_for_the_nonce(make_app: App) -> None:
    app = make_app(RAMPART_PROFILE="html")
    app.get("/")(headers(overrides={"X-Nonce": csp_nonce})(lambda: ""))
    sent = app.test_client().get("/").headers
    assert f"'nonce-{sent['X-Nonce']}'" in sent["Content-Security-Policy"]


@pytest.mark.parametrize("status", [401, 403, 404, 503])
@pytest.mark.parametrize("cache", [60, "public, max-age=60"], ids=["browser", "public"])
def test_an_error_where_a_declaration_caches_is_kept_by_nobody(make_app: App, status: int, cache: Any) -> None:
    # The app's own abort(401) in a cached blueprint: kept, it would be shown to whoever has signed in since.
    app = make_app()
    app.get("/")(headers(cache=cache)(lambda: abort(status)))
    app.get("/own")(headers(cache=cache)(lambda: ("", status, {"Cache-Control": "public, max-age=5"})))
    client = app.test_client()
    assert client.get("/").headers.getlist("Cache-Control") == ["private, no-store"]
    assert client.get("/own").headers.getlist("Cache-Control") == ["public, max-age=5"]


def test_a_refusal_where_a_declaration_lets_browsers_keep_is_kept_by_nobody(make_app: App) -> None:
    app = make_app()
    app.get("/")(headers(cache=60)(require("jwt")(lambda: "")))
    answer = app.test_client().get("/")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (401, "private, no-store")


def test_a_page_that_others_may_keep_is_sent_without_a_nonce(make_app: App) -> None:
    # Whoever has the same copy knows it, and could run scripts by it in the page of another.
    app = make_app(RAMPART_PROFILE="html")
    app.get("/")(headers(cache="public, max-age=60")(lambda: "<p>"))
    app.get("/private")(headers(cache=60)(lambda: "<p>"))
    app.get("/only")(headers(csp="script-src 'nonce'", cache="no-cache")(lambda: "<p>"))
    told = policy(app)
    assert "nonce" not in told
    assert "script-src 'strict-dynamic'; style-src 'self'; img-src 'self'" in told
    assert policy(app, "/private").count("'nonce-") == 2
    assert policy(app, "/only") == "script-src 'none'"


@pytest.mark.parametrize(
    ("own", "once"),
    [
        ("RateLimit-Policy", ("RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Reset")),
        ("x-ratelimit-reset", ("RateLimit", "RateLimit-Policy", "X-RateLimit-Reset")),
        ("X-RateLimit-Remaining", ("RateLimit", "X-RateLimit-Remaining")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_view_says_of_limits_is_said_once(make_app: App, own: str, once: tuple[str, ...]) -> None:
    app = make_app(RAMPART_LIMIT_HEADERS="both")
    app.get("/")(limit("5/minute")(lambda: ("", {own: "1"})))
    sent = app.test_client().get("/").headers
    for name in once:
        assert len(sent.getlist(name)) == 1, name
    assert sent.getlist(own) == ["1"]
