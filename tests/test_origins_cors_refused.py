"""CORS: a page may read refusals that are given before any view is looked for, under the app's own policy."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from werkzeug.test import Client

from flask_rampart import Denied, cors, limit

from .test_origins_cors import PAGE, STRANGER, preflight, said, vary

MakeApp = Callable[..., Flask]


def app_of(make_app: MakeApp, **more: object) -> Flask:
    app = make_app(RAMPART_CORS_ORIGINS=[PAGE], RAMPART_CORS_CREDENTIALS=True, **more)

    @app.get("/own")
    @cors(origins="*")
    def own() -> str:
        return "x"

    @app.get("/limited")
    @limit("1/hour", ban="1 hour after 2")
    def limited() -> str:
        return "x"

    return app


@pytest.mark.parametrize(
    "environ, status",
    [
        ({"HTTP_X_LONG": "x" * 40_000}, 431),
        ({"HTTP_X_ODD": "a\rb"}, 400),
        ({"PATH_INFO": "/" + "a" * 9000}, 414),
    ],
    ids=["large", "malformed", "path"],
)
def test_a_page_can_read_that_the_head_was_refused(make_app: MakeApp, environ: dict[str, str], status: int) -> None:
    client = Client(app_of(make_app))
    for origin, may_read in ((PAGE, True), (STRANGER, False)):
        answer = client.get("/own", environ_overrides={"HTTP_ORIGIN": origin, **environ})
        assert answer.status_code == status
        # No view is looked for, so it is not that of the view at this path.
        assert answer.headers.getlist("Access-Control-Allow-Origin") == ([PAGE] if may_read else [])
        assert "Origin" in vary(answer)
    assert said(client.get("/own", environ_overrides=environ)) == {}


def test_a_page_can_read_that_its_address_is_banned(make_app: MakeApp) -> None:
    client = app_of(make_app).test_client()
    here = {"Origin": PAGE}
    answers = [client.get("/limited", headers=here) for _ in range(4)]
    assert answers[-1].get_json()["code"] == "limit.banned"
    for answer in answers:
        assert answer.headers.getlist("Access-Control-Allow-Origin") == [PAGE]
        assert answer.headers.getlist("Access-Control-Allow-Credentials") == ["true"]
    assert said(client.get("/limited", headers={"Origin": STRANGER})) == {}
    # A preflight is no exception: whoever is banned learns that, and nothing else.
    assert preflight(client, "/limited").status_code == 429


@pytest.mark.parametrize("mode", ["refuse", "redirect"])
def test_a_page_can_read_that_https_is_required(make_app: MakeApp, mode: str) -> None:
    client = app_of(make_app, RAMPART_HTTPS=mode, RAMPART_CANONICAL_HOST="example.com").test_client()
    answer = client.post("/own", base_url="http://example.com", headers={"Origin": PAGE})
    assert answer.get_json()["code"] == "https.required"
    assert answer.headers.getlist("Access-Control-Allow-Origin") == [PAGE]
    assert "Origin" in vary(answer)
    assert said(client.post("/own", base_url="http://example.com", headers={"Origin": STRANGER})) == {}
    assert said(client.post("/own", base_url="http://example.com")) == {}


def test_a_redirect_to_https_says_nothing_of_cors(make_app: MakeApp) -> None:
    # Who follows it would send `Origin: null` (Fetch, "HTTP-redirect fetch"), which no policy has.
    client = app_of(make_app, RAMPART_HTTPS="redirect", RAMPART_CANONICAL_HOST="example.com").test_client()
    answer = client.get("/own", base_url="http://example.com", headers={"Origin": PAGE})
    assert (answer.status_code, said(answer)) == (308, {})


@pytest.mark.parametrize("host, code", [("evil.example", "host.unknown"), ("a b", "request.malformed")])
def test_a_host_that_is_not_ours_has_no_policy(make_app: MakeApp, host: str, code: str) -> None:
    client = Client(app_of(make_app, RAMPART_TRUSTED_HOSTS=["example.com"]))
    answer = client.get("/own", environ_overrides={"HTTP_HOST": host, "HTTP_ORIGIN": PAGE})
    assert answer.get_json()["code"] == code
    assert said(answer) == {}


def test_an_app_without_a_policy_of_its_own_says_nothing_in_early_refusals(make_app: MakeApp) -> None:
    app = make_app()
    app.get("/own")(cors(origins="*")(lambda: "x"))
    answer = Client(app).get("/own", environ_overrides={"HTTP_ORIGIN": PAGE, "HTTP_X_LONG": "x" * 40_000})
    assert (answer.status_code, said(answer)) == (431, {})


def test_a_page_can_read_a_stream_and_how_it_is_refused(make_app: MakeApp) -> None:
    app = app_of(make_app)

    @app.get("/stream")
    def stream() -> Iterator[str]:
        yield "a"
        yield "b"

    @app.get("/denied")
    def denied() -> str:
        raise Denied.of("request.malformed")

    client = app.test_client()
    for path, status in (("/stream", 200), ("/denied", 400)):
        answer = client.get(path, headers={"Origin": PAGE})
        assert (answer.status_code, answer.headers.getlist("Access-Control-Allow-Origin")) == (status, [PAGE])


@pytest.mark.parametrize(
    "debug, testing, tells",
    [(False, False, True), (True, False, False), (False, True, False)],
    ids=["production", "debug", "testing"],
)
def test_debugging_in_production_is_told(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture, debug: bool, testing: bool, tells: bool
) -> None:
    app = make_app(RAMPART_CORS_ORIGINS=[PAGE], RAMPART_CORS_DEBUG=True, TESTING=testing)
    app.debug = debug
    with caplog.at_level(logging.WARNING):
        app.test_client().get("/")
    assert any("RAMPART_CORS_DEBUG is on in production" in record.getMessage() for record in caplog.records) is tells


@pytest.mark.parametrize("debug", [False, True], ids=["production", "debug"])
def test_nothing_but_the_setting_itself_says_why_a_page_is_refused(make_app: MakeApp, debug: bool) -> None:
    app = make_app(RAMPART_CORS_ORIGINS=[PAGE])
    app.debug = debug
    client = app.test_client()
    for answer in (preflight(client, "/", origin=STRANGER), client.get("/", headers={"Origin": STRANGER})):
        assert "X-Rampart-CORS" not in answer.headers
