"""CORS: what went wrong in others, tried here. Flask-Cors's advisories and defects, and the usual bypasses."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from flask_rampart import cors
from flask_rampart.exchange import Exchange
from flask_rampart.origins import Cors

from .test_origins_cors import PAGE, STRANGER, preflight, said

MakeApp = Callable[..., Flask]


def app_of(make_app: MakeApp, **more: object) -> Flask:
    app = make_app(
        RAMPART_CORS_ORIGINS=[
            "https://example.com",
            "https://*.example.com",
            re.compile(r"https://pr-\d+\.example\.org"),
        ],
        RAMPART_CORS_CREDENTIALS=True,
        **more,
    )
    app.route("/", methods=["GET", "PUT"])(lambda: "x")
    return app


def step_of(app: Flask) -> Any:
    """The step of the edge."""
    (step,) = (step for step in app.wsgi_app.policy.steps if isinstance(step, Cors))  # type: ignore[attr-defined]
    return step


@pytest.mark.parametrize(
    "origin",
    [
        "https://EXAMPLE.com",  # Vary was left out where it was echoed with another case
        "https://example.com.evil.test",
        "https://a.example.com.evil.test",  # re.match, unanchored at its end
        "https://pr-1.example.org.evil.test",
        "https://evilexample.com",
        "https://evil-example.com",
        "https://pr-1xexample.org",
        "https://user@example.com",
        "https://example.com@evil.test",
        "https://example.com:443",
        "https://example.com:8443",
        "https://example.com.",
        "https://example.com/",
        "https://example.com, https://evil.test",
        "https://evil.test, https://example.com",
        "https://example.com https://evil.test",
        "https://evil.test#.example.com",
        "https://evil.test/.example.com",
        "https://evil.test\\.example.com",
        "https://evil.test%00.example.com",
        "https://evil.test`.example.com",  # Safari sent such names (C. Davison, 2017)
        "https://evil.test_.example.com.evil.test",
        "http://example.com",
        "null",
        "NULL",
        "*",
        "",
        "file://",
        "https://" + "a." * 2000 + "example.com",
    ],
    ids=lambda origin: re.sub(r"\W+", "-", origin[:40]) or "empty",
)
def test_an_origin_that_only_looks_like_a_listed_one_is_a_stranger(make_app: MakeApp, origin: str) -> None:
    client = Client(app_of(make_app))
    environ = {"HTTP_ORIGIN": origin, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT"}
    asked = client.open("/", method="OPTIONS", environ_overrides=environ)
    assert (asked.status_code, said(asked)) == (403, {})
    answer = client.get("/", environ_overrides={"HTTP_ORIGIN": origin})
    assert (answer.status_code, said(answer), answer.headers["Vary"]) == (200, {}, "Origin")


@pytest.mark.parametrize("origin", ["https://pr-1.example.org\n", "https://example.com\x00"], ids=["line", "nul"])
def test_an_origin_with_a_control_character_is_refused_before_and_would_be_a_stranger(
    make_app: MakeApp, origin: str
) -> None:
    app = app_of(make_app)
    client = Client(app)
    environ = {"HTTP_ORIGIN": origin, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT"}
    for answer in (
        client.open("/", method="OPTIONS", environ_overrides=environ),
        client.get("/", environ_overrides={"HTTP_ORIGIN": origin}),
    ):
        # No field may have one (RFC 9110 section 5.5), so no policy is asked.
        assert (answer.status_code, answer.get_json()["code"], said(answer)) == (400, "request.malformed", {})
    # And nor does a `$` before a last line break let it in, where nobody refuses it first.
    assert step_of(app)._policy.fields(origin) is None


def test_nothing_of_a_list_is_found_twice_in_one_answer(make_app: MakeApp) -> None:
    client = app_of(make_app).test_client()
    for origin in ("https://example.com", "https://a.b.example.com", "https://pr-12.example.org"):
        for answer in (preflight(client, "/", origin=origin), client.get("/", headers={"Origin": origin})):
            assert answer.headers.getlist("Access-Control-Allow-Origin") == [origin]
            assert all(len(lines) == 1 for lines in said(answer).values())


@pytest.mark.parametrize(
    "path",
    [
        "/API/private",
        "/api/private+x",
        "/api/private%2Bx",
        "/api//private",
        "/api/./private",
        "/api/x/../private",
        "/%61pi/private",
    ],
    ids=["case", "plus", "escaped-plus", "slashes", "dot", "dots", "escaped"],
)
def test_no_spelling_of_a_path_gets_another_views_policy(make_app: MakeApp, path: str) -> None:
    # CVE-2020-25032, CVE-2024-6844, CVE-2024-6866: the path of the policy was not the path of the route.
    app = make_app(PROPAGATE_EXCEPTIONS=False)

    @app.get("/api/private")
    @cors(origins=["https://inside.example"])
    def private() -> str:
        return "private"

    @app.get("/<path:any_other>")
    @cors(origins="*")
    def other(any_other: str) -> str:
        return "open"

    client = app.test_client()
    for _ in range(2):
        answer = client.get(path, headers={"Origin": STRANGER}, follow_redirects=True)
        is_open = answer.headers.get("Access-Control-Allow-Origin") == "*"
        assert is_open == (answer.text == "open")
        # And what a preflight was told is what the request then meets.
        assert (preflight(client, path, origin=STRANGER).status_code == 204) == is_open


def test_the_longer_path_does_not_beat_the_stricter_policy(make_app: MakeApp) -> None:
    # CVE-2024-6839: of several regular expressions for paths, the longest won.
    app = make_app()

    @app.get("/api/v1/users/<path:rest>")
    @cors(origins=[PAGE])
    def users(rest: str) -> str:
        return "x"

    @app.get("/api/<path:rest>")
    @cors(origins="*")
    def api(rest: str) -> str:
        return "x"

    client = app.test_client()
    assert preflight(client, "/api/v1/users/1", origin=STRANGER).status_code == 403
    assert said(client.get("/api/v1/users/1", headers={"Origin": STRANGER})) == {}
    assert preflight(client, "/api/v1/other", origin=STRANGER).status_code == 204


def test_whoever_makes_up_paths_gets_no_memory(make_app: MakeApp) -> None:
    app = make_app()

    @app.get("/<path:any_path>")
    @cors(origins="*")
    def view(any_path: str) -> str:
        return "x"

    @app.get("/closed")
    @cors(origins=[PAGE])
    def closed() -> str:
        return "x"

    client = app.test_client()
    for number in range(1500):
        client.get(f"/made-up-{number}", headers={"Origin": STRANGER})
    client.get("/" + "a" * 4000, headers={"Origin": STRANGER})
    preflight(client, "/", method="A" * 4000)
    assert max(sum(map(len, key)) for key in step_of(app)._routes._known) <= 512
    assert 0 < len(step_of(app)._routes._known) <= 1024
    assert preflight(client, "/closed", origin=STRANGER).status_code == 403


def test_whoever_has_many_names_gets_no_memory(make_app: MakeApp) -> None:
    app = app_of(make_app)
    client = app.test_client()
    for number in range(1100):
        origin = f"https://n{number}.example.com"
        assert client.get("/", headers={"Origin": origin}).headers["Access-Control-Allow-Origin"] == origin
    assert len(step_of(app)._policy._known) <= 1024


NASTY = st.text(alphabet=st.characters(max_codepoint=255), max_size=60)


def test_nothing_that_was_sent_splits_an_answer_or_is_reflected(make_app: MakeApp) -> None:
    client = Client(app_of(make_app, RAMPART_CORS_DEBUG=True))

    @settings(max_examples=300, deadline=None)
    @given(
        origin=st.one_of(NASTY, NASTY.map(lambda text: f"https://{text}.example.com"), st.just("https://example.com")),
        method=st.one_of(NASTY, st.sampled_from(["PUT", "PUT\r\nX: y", "PUT\n"])),
        headers=st.one_of(NASTY, st.just("content-type\r\nX-Evil: 1")),
    )
    def sends(origin: str, method: str, headers: str) -> None:
        environ = {
            "HTTP_ORIGIN": origin,
            "HTTP_ACCESS_CONTROL_REQUEST_METHOD": method,
            "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": headers,
        }
        for answer in (
            client.open("/", method="OPTIONS", environ_overrides=environ),
            client.get("/", environ_overrides=environ),
        ):
            for name, value in answer.headers:
                assert value.isprintable() and value.isascii() and name != "X-Evil"
            allowed = answer.headers.get("Access-Control-Allow-Origin")
            assert allowed is None or re.fullmatch(r"https://([a-z0-9_-]+\.)*example\.com", allowed)
            assert allowed in (None, origin)

    sends()


@pytest.mark.parametrize(
    "what, asked",
    [
        ("origin", {"origin": STRANGER}),
        ("method", {"method": "TRACE"}),
        ("header", {"headers": "x-other"}),
    ],
    ids=["origin", "method", "header"],
)
def test_debugging_says_what_was_wrong(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture, what: str, asked: dict[str, str]
) -> None:
    client = app_of(make_app, RAMPART_CORS_DEBUG=True).test_client()
    asked = {"origin": "https://example.com", **asked}
    with caplog.at_level(logging.WARNING, "flask_rampart"):
        answers = [preflight(client, "/", **asked) for _ in range(3)]
    assert {(answer.status_code, answer.headers["X-Rampart-CORS"]) for answer in answers} == {
        (403, f"{what} not allowed")
    }
    lines = [record.getMessage() for record in caplog.records if "CORS" in record.getMessage()]
    assert len(lines) == 1, "each cause once"
    assert what in lines[0]


def test_debugging_says_why_a_page_cannot_read_and_nothing_to_a_page_of_our_own(make_app: MakeApp) -> None:
    client = app_of(make_app, RAMPART_CORS_DEBUG=True).test_client()
    assert client.get("/", headers={"Origin": STRANGER}).headers["X-Rampart-CORS"] == "origin not allowed"
    assert "X-Rampart-CORS" not in client.get("/", headers={"Origin": "http://localhost"}).headers


def test_no_line_can_be_forged_in_the_log_and_it_does_not_grow(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    # CVE-2024-1681: what a peer sent was logged as it came.
    app = app_of(make_app, RAMPART_CORS_DEBUG=True)
    client = Client(app)

    def asking(origin: str, path: str) -> dict[str, str]:
        return {
            "HTTP_ORIGIN": origin,
            "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT",
            "PATH_INFO": path,
            "REQUEST_METHOD": "OPTIONS",
        }

    with caplog.at_level(logging.WARNING, "flask_rampart"):
        # What the edge lets through: a terminal's commands, and a new line, beyond ASCII.
        for number in range(400):
            origin = f"https://{number}\x85ERROR:root:forged\x9b2J{'x' * 5000}"
            answer = client.open(environ_overrides=asking(origin, "/\xe2\x80\xa8ERROR:root:forged"))
            assert answer.status_code == 403
        # And what it does not, should it come by another way.
        environ = asking("https://\r\nERROR:root:forged\x1b[2J", "/\r\nERROR:root:forged")
        step_of(app)._told.clear()
        step_of(app)(environ, Exchange(None, environ))
    lines = [record.getMessage() for record in caplog.records if "CORS" in record.getMessage()]
    assert len(lines) == 257
    assert all(line.isprintable() and line.isascii() and len(line) < 800 for line in lines)
