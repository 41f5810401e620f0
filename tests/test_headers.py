"""Headers, through the whole stack: on every answer, once, and the view's own stay."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask, Response, abort, render_template_string, send_file
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from flask_rampart import ConfigError, EdgePolicy, Rampart, RampartMiddleware, csp_nonce

App = Callable[..., Flask]
API = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "X-Permitted-Cross-Domain-Policies": "none",
    "X-DNS-Prefetch-Control": "off",
    "Cache-Control": "no-store, max-age=0",
}


@pytest.fixture
def app(make_app: App) -> Flask:
    app = make_app()
    app.get("/")(lambda: {"ok": True})
    app.get("/stream")(lambda: Response(iter(["a", "b"])))
    app.get("/fails")(lambda: 1 // 0)
    app.get("/abort")(lambda: abort(418))
    return app


def test_the_api_profile_is_on_every_kind_of_answer(app: Flask) -> None:
    client = app.test_client()
    for method, path, status in (
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("OPTIONS", "/", 200),
        ("GET", "/absent", 404),
        ("POST", "/", 405),
        ("GET", "/fails", 500),
        ("GET", "/abort", 418),
        ("GET", "/stream", 200),
    ):
        response = client.open(path, method=method)
        assert response.status_code == status
        for name, value in API.items():
            assert response.headers.getlist(name) == [value], (path, name)
        assert "camera=()" in response.headers["Permissions-Policy"]
        assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Request-Id"])


def test_hsts_is_sent_over_tls_alone(app: Flask) -> None:
    client = app.test_client()
    assert "Strict-Transport-Security" not in client.get("/").headers
    secure = client.get("/", base_url="https://api.example").headers
    assert secure["Strict-Transport-Security"] == "max-age=63072000; includeSubDomains"


def test_what_the_view_set_stays(app: Flask) -> None:
    @app.get("/own")
    def own() -> Response:
        response = Response("x")
        response.headers["cache-control"] = "public, max-age=60"
        response.headers["X-FRAME-OPTIONS"] = "SAMEORIGIN"
        response.headers["X-Powered-By"] = "hamster"
        response.headers["Server"] = "wheel"
        return response

    headers = app.test_client().get("/own").headers
    assert headers.getlist("Cache-Control") == ["public, max-age=60"]
    assert headers.getlist("X-Frame-Options") == ["SAMEORIGIN"]
    assert "X-Powered-By" not in headers
    assert "Server" not in headers


def test_a_mounted_wsgi_app_gets_them_too(app: Flask) -> None:
    def plain(environ, start_response):  # type: ignore[no-untyped-def]
        start_response("200 OK", SHARED)
        return [b"plain"]

    SHARED = [("Content-Type", "text/plain")]
    app.wsgi_app.app = DispatcherMiddleware(app.wsgi_app.app, {"/plain": plain})  # type: ignore[attr-defined]
    client = app.test_client()
    for _ in range(2):
        response = client.get("/plain/")
        assert response.text == "plain"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert SHARED == [("Content-Type", "text/plain")]


def test_an_after_request_that_raises_loses_none(app: Flask) -> None:
    @app.after_request
    def broken(response: Response) -> Response:
        raise ValueError("a bug")

    response = app.test_client().get("/")
    assert response.status_code == 500
    assert response.headers["X-Frame-Options"] == "DENY"


def test_the_html_profile_has_a_fresh_nonce_that_templates_see(make_app: App) -> None:
    app = make_app(RAMPART_PROFILE="html")

    @app.get("/")
    def page() -> str:
        assert csp_nonce() == csp_nonce()
        return render_template_string('<script nonce="{{ csp_nonce() }}">1</script>')

    client = app.test_client()
    seen = set()
    for _ in range(3):
        response = client.get("/")
        nonce = re.search('nonce="([^"]+)"', response.text).group(1)  # type: ignore[union-attr]
        policy = response.headers["Content-Security-Policy"]
        assert policy.count(f"'nonce-{nonce}'") == 2  # scripts and styles
        assert "'strict-dynamic'" in policy
        seen.add(nonce)
    assert len(seen) == 3


def test_mixed_goes_by_the_answers_media_type(make_app: App) -> None:
    app = make_app(RAMPART_PROFILE="mixed")
    app.get("/page")(lambda: "<p>")
    app.get("/data")(lambda: {"a": 1})
    client = app.test_client()
    assert "strict-dynamic" in client.get("/page").headers["Content-Security-Policy"]
    assert "strict-dynamic" not in client.get("/data").headers["Content-Security-Policy"]


def test_a_policy_of_ones_own_is_checked_at_start_up(make_app: App) -> None:
    app = make_app(RAMPART_CSP={"default-src": "'none'", "img-src": ["'self'", "https://img.example"]})
    policy = app.test_client().get("/").headers["Content-Security-Policy"]
    assert policy == "default-src 'none'; img-src 'self' https://img.example"
    # Flask-Talisman takes both of these.
    for wrong in ({"default-src": "self"}, {"img-src": ["evil.test; script-src *"]}, {"img-scr": "'self'"}):
        with pytest.raises(ConfigError, match="RAMPART_CSP"):
            make_app(RAMPART_CSP=wrong)


def test_a_file_is_sent_with_them(app: Flask) -> None:
    app.get("/file")(lambda: send_file(__file__))
    response = app.test_client().get("/file")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert b"sent with them" in response.data
    response.close()


def test_the_middleware_stands_alone_around_any_wsgi_app() -> None:
    def plain(environ, start_response):  # type: ignore[no-untyped-def]
        environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"plain"]

    config = {"RAMPART_LIMITS": "2/hour", "RAMPART_LIMIT_STORE": "memory://", "RAMPART_ACCESS_LOG": "off"}
    client = Client(RampartMiddleware(plain, EdgePolicy.of({**config, "RAMPART_MAX_BODY": 10}, name="t")))
    assert client.get("/").headers["X-Frame-Options"] == "DENY"
    assert client.post("/", data=b"x" * 11).status_code == 413
    refused = client.get("/")
    assert refused.status_code == 429
    assert refused.headers["X-Frame-Options"] == "DENY"


def test_the_edge_goes_inside_proxyfix_wherever_it_was_put(clock: object) -> None:
    from werkzeug.middleware.proxy_fix import ProxyFix

    app = Flask(__name__)
    app.config.update(RAMPART_LIMITS="1/hour", RAMPART_LIMIT_STORE="memory://", RAMPART_ACCESS_LOG="off")
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    Rampart(app)
    app.get("/")(lambda: "ok")
    client = app.test_client()
    for address in ("198.51.100.1", "198.51.100.2"):
        assert client.get("/", headers={"X-Forwarded-For": address}).status_code == 200
    assert client.get("/", headers={"X-Forwarded-For": "198.51.100.1"}).status_code == 429


def test_a_304_keeps_the_policy_of_the_page_that_the_browser_has(make_app: App) -> None:
    # Its headers replace those of the stored page (RFC 9111 section 3.2): a new nonce would stop its scripts.
    app = make_app(RAMPART_PROFILE="html")
    app.get("/")(lambda: Response(status=304))
    response = app.test_client().get("/")
    assert "nonce-" not in response.headers.get("Content-Security-Policy", "")


def test_the_edge_finds_proxyfix_under_foreign_middleware() -> None:
    from werkzeug.middleware.proxy_fix import ProxyFix

    class Foreign:
        def __init__(self, app: object) -> None:
            self.app = app

        def __call__(self, environ: object, start: object) -> object:
            return self.app(environ, start)  # type: ignore[operator]

    app = Flask(__name__)
    app.config.update(RAMPART_LIMITS="1/hour", RAMPART_LIMIT_STORE="memory://", RAMPART_ACCESS_LOG="off")
    app.wsgi_app = Foreign(ProxyFix(Foreign(app.wsgi_app)))  # type: ignore[method-assign, assignment]
    Rampart(app)
    app.get("/")(lambda: "ok")
    client = app.test_client()
    for address in ("198.51.100.1", "198.51.100.2"):
        assert client.get("/", headers={"X-Forwarded-For": address}).status_code == 200


def test_a_status_line_cannot_begin_a_header() -> None:
    # CWE-113: the names and values of headers are checked by the policy, this is the line above them.
    def splitting(environ, start_response):  # type: ignore[no-untyped-def]
        start_response("200 OK\r\nX-Evil: 1", [("Content-Type", "text/plain")])
        return [b"plain"]

    policy = EdgePolicy.of({"RAMPART_ACCESS_LOG": "off"}, name="t")
    with pytest.raises(ValueError, match="control character"):
        Client(RampartMiddleware(splitting, policy)).get("/")
