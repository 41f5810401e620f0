"""What belongs to one reader is closed to shared caches: a nonce, an authenticated answer, a cookie."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, render_template_string, request, session, stream_with_context

from flask_rampart import EdgePolicy, Rampart, RampartMiddleware, csp_nonce, headers, limit, public, require
from flask_rampart.headers import Closings

from .conftest import bearer

App = Callable[..., Flask]
Sign = Callable[..., str]


def cached(app: Flask, path: str = "/", **more: Any) -> str:
    """The one Cache-Control of an answer; nothing beside it speaks to caches."""
    answer = app.test_client().get(path, **more)
    assert answer.status_code in (200, 304), answer.status
    told = [
        name
        for name, _ in answer.headers
        if name.lower() in ("cdn-cache-control", "surrogate-control", "x-accel-expires")
    ]
    assert not told
    (value,) = answer.headers.getlist("Cache-Control")
    return value


def page(cache: str | None, **more: str) -> Callable[[], Response]:
    def view() -> Response:
        response = Response(f'<script nonce="{csp_nonce()}">1</script>')
        if cache is not None:
            response.headers["Cache-Control"] = cache
        response.headers.extend(more)
        return response

    view.__name__ = "<lambda>"
    return view


@pytest.mark.parametrize(
    "cache", ["public, max-age=60", "max-age=60", "s-maxage=5", "no-cache", 'private="set-cookie"', ""]
)
def test_a_page_with_a_nonce_is_not_cached_for_others(
    make_app: App, cache: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(RAMPART_PROFILE="html")
    app.get("/")(page(cache))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert cached(app) == "private, no-store"
    # Loud, and once.
    assert [record.getMessage().split(" and ")[0] for record in caplog.records] == [
        "the answer of / has a nonce of csp_nonce(),"
    ]


@pytest.mark.parametrize("cache", ["private, max-age=60", "no-store", "Private", "no-cache, NO-STORE"])
def test_a_page_with_a_nonce_that_others_would_not_get_anyway_stays_as_it_is(
    make_app: App, cache: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(RAMPART_PROFILE="html")
    app.get("/")(page(cache))
    assert cached(app) == cache
    assert not caplog.records


def test_a_page_without_a_nonce_is_cached_as_the_view_says(make_app: App) -> None:
    app = make_app(RAMPART_PROFILE="html")
    app.get("/")(lambda: ("<p>", {"Cache-Control": "public, max-age=60"}))
    app.get("/default")(page(None))
    assert cached(app) == "public, max-age=60"
    assert cached(app, "/default") == "no-store, max-age=0"


def test_fields_that_overrule_cache_control_in_one_cache_go_with_it(make_app: App) -> None:
    # RFC 9213; nginx's X-Accel-Expires; Fastly's Surrogate-Control.
    app = make_app(RAMPART_PROFILE="html")
    app.get("/cdn")(page("private", **{"CDN-Cache-Control": "max-age=600"}))
    app.get("/accel")(page("no-store", **{"x-accel-expires": "60"}))
    app.get("/surrogate")(page(None, **{"Surrogate-Control": "max-age=60"}))
    app.get("/plain")(lambda: ("", {"CDN-Cache-Control": "max-age=600", "Cache-Control": "public, max-age=1"}))
    for path in ("/cdn", "/accel", "/surrogate"):
        assert cached(app, path) == "private, no-store", path
    assert app.test_client().get("/plain").headers["CDN-Cache-Control"] == "max-age=600"


def test_two_lines_of_cache_control_are_read_as_one(make_app: App) -> None:
    app = make_app(RAMPART_PROFILE="html")

    def two() -> Response:
        response = Response(csp_nonce())
        response.headers.add("Cache-Control", "public")
        response.headers.add("cache-control", "max-age=60")
        return response

    app.get("/")(two)
    assert cached(app) == "private, no-store"


def test_a_declaration_does_not_let_a_nonce_be_cached_either(make_app: App) -> None:
    app = make_app(RAMPART_PROFILE="html")
    app.get("/nonce")(headers(cache="public, max-age=60")(page(None)))
    app.get("/none")(headers(cache=None)(page(None)))
    app.get("/plain")(headers(cache="public, max-age=60")(lambda: "<p>"))
    app.get("/seconds")(headers(cache=60)(lambda: "<p>"))
    assert cached(app, "/nonce") == "private, no-store"
    assert cached(app, "/none") == "private, no-store"
    assert cached(app, "/plain") == "public, max-age=60"
    assert cached(app, "/seconds") == "private, max-age=60"


def test_a_nonce_that_is_asked_for_once_the_answer_has_begun_is_that_of_its_header(make_app: App) -> None:
    app = make_app(RAMPART_PROFILE="html")

    @app.get("/<cache>")
    def stream(cache: str) -> Response:
        @stream_with_context
        def body() -> Iterator[str]:
            yield render_template_string("{{ csp_nonce() }}")

        response = Response(body())
        if cache == "public":
            response.headers["Cache-Control"] = "public, max-age=60"
        return response

    private = app.test_client().get("/private", buffered=True)
    shared = app.test_client().get("/public", buffered=True)
    assert f"'nonce-{private.text}'" in private.headers["Content-Security-Policy"]
    # What others may keep has none that a page of theirs could use.
    assert shared.text
    assert f"'nonce-{shared.text}'" not in shared.headers["Content-Security-Policy"]


def test_an_authenticated_answer_is_not_cached_for_others(
    make_app: App, token: Sign, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    view = lambda: ("mine", {"Cache-Control": "public, max-age=60, s-maxage=600"})  # noqa: E731
    app.get("/")(require("jwt")(view))
    app.get("/optional")(require("jwt", optional=True)(view))
    app.get("/open")(public(view))
    assert cached(app, headers=bearer(token())) == "private, max-age=60"
    assert cached(app, "/optional", headers=bearer(token())) == "private, max-age=60"
    assert cached(app, "/optional") == "public, max-age=60, s-maxage=600"
    assert cached(app, "/open") == "public, max-age=60, s-maxage=600"
    # An app's own check of the credentials: nobody told us who it is.
    assert cached(app, "/open", headers={"Authorization": "Basic eDp5"}) == "private, max-age=60"
    assert [record.args for record in caplog.records] == [("/",), ("/optional",), ("/open",)]


@pytest.mark.parametrize("cache", ["private, max-age=60", "no-store", "no-cache"])
def test_an_authenticated_answer_that_no_cache_would_give_away_stays_as_it_is(
    make_app: App, token: Sign, cache: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    app.get("/")(require("jwt")(lambda: ("mine", {"Cache-Control": cache})))
    app.get("/default")(require("jwt")(lambda: "mine"))
    app.get("/declared")(require("jwt")(headers(cache="public, max-age=60")(lambda: "mine")))
    app.get("/none")(require("jwt")(headers(cache=None)(lambda: "mine")))
    assert cached(app, headers=bearer(token())) == cache
    assert cached(app, "/default", headers=bearer(token())) == "no-store, max-age=0"
    assert not caplog.records
    assert cached(app, "/declared", headers=bearer(token())) == "private, max-age=60"
    assert cached(app, "/none", headers=bearer(token())) == "private"


def test_a_session_is_not_cached_for_the_next_user(make_app: App) -> None:
    # CVE-2023-30861 (GHSA-m2qf-hxjv-5gpq): a proxy kept an answer with its Set-Cookie.
    app = make_app(SECRET_KEY="k" * 32)
    shared = {"Cache-Control": "public, max-age=60"}

    @app.get("/login")
    def login() -> Any:
        session["user"] = "ada"
        return "", shared

    app.get("/read")(lambda: (str(session.get("user")), shared))
    app.get("/style")(lambda: ("", shared))
    app.get("/set")(lambda: ("", {**shared, "Set-Cookie": "a=1"}))
    client = app.test_client()
    assert client.get("/read").headers["Cache-Control"] == "public, max-age=60"
    assert client.get("/login").headers["Cache-Control"] == "private, max-age=60"
    assert client.get("/read").headers["Cache-Control"] == "private, max-age=60"
    assert cached(app, "/set") == "private, max-age=60"
    # What merely came with a cookie does not depend on it.
    assert client.get("/style").headers["Cache-Control"] == "public, max-age=60"


def test_a_not_modified_does_not_open_what_the_page_closed(make_app: App, token: Sign) -> None:
    # Its Cache-Control replaces that of the stored answer (RFC 9111 section 3.2).
    app = make_app()

    @app.get("/")
    @require("jwt")
    def view() -> Response:
        response = Response("mine", headers={"Cache-Control": "public, max-age=60"})
        response.set_etag("1")
        return response.make_conditional(request)  # type: ignore[return-value]

    assert cached(app, headers={**bearer(token()), "If-None-Match": '"1"'}) == "private, max-age=60"


def test_an_app_that_is_not_flasks_is_held_to_it(caplog: pytest.LogCaptureFixture) -> None:
    from werkzeug.test import Client

    def plain(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Cache-Control", "public"), ("Set-Cookie", "a=1")])
        return [b""]

    client = Client(RampartMiddleware(plain, EdgePolicy.of({"RAMPART_ACCESS_LOG": "off"}, name="t")))
    assert client.get("/").headers["Cache-Control"] == "private"
    assert "a path without a route" in caplog.text


def test_warnings_are_bounded_by_the_routes(caplog: pytest.LogCaptureFixture) -> None:
    class Exchange:
        owner = None
        route: str | None = None

    closings = Closings()
    for n in range(1100):
        exchange = Exchange()
        exchange.route = f"/{n}"
        closings(exchange, "personal")  # type: ignore[arg-type]
        closings(exchange, "personal")  # type: ignore[arg-type]
    assert len(caplog.records) == 1024


def test_a_refusal_and_a_failure_are_never_kept_for_others(make_app: App) -> None:
    # Kept by a proxy, the 401 or 429 of one stranger, or one 500, would be the answer for everybody (CPDoS).
    app = make_app(PROPAGATE_EXCEPTIONS=False)
    Rampart().protect(app, headers(cache="public, max-age=60"))
    app.get("/closed")(require("jwt")(lambda: ""))
    app.get("/limited")(limit("1/hour")(lambda: ""))
    app.get("/fails")(lambda: 1 // 0)
    client = app.test_client()
    assert client.get("/limited").headers["Cache-Control"] == "public, max-age=60"
    for path, status in (("/closed", 401), ("/limited", 429), ("/fails", 500)):
        answer = client.get(path)
        assert answer.status_code == status
        assert answer.headers.getlist("Cache-Control") == ["private, no-store"], path


def test_a_cookie_that_a_room_adds_beside_the_view_counts_too(make_app: App) -> None:
    from flask_rampart.guards import current_exchange

    app = make_app()

    @app.get("/")
    def view() -> tuple[str, dict[str, str]]:
        current_exchange().sends += (("Set-Cookie", "proof=1; Secure"),)
        return "", {"Cache-Control": "public, max-age=60"}

    assert cached(app) == "private, max-age=60"
