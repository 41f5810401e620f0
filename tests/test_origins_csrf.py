"""CSRF: what a page of another site made a browser send is refused; programs, tokens and our own pages pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, request
from werkzeug.test import create_environ, run_wsgi_app

from flask_rampart import Identity, Rampart, csrf, public, require
from flask_rampart.origins import page_of

from .conftest import bearer

App = Callable[..., Flask]
COOKIE = {"Cookie": "session=s"}
CROSS = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"}


@pytest.fixture
def make(make_app: App) -> App:
    def make(guard: Any = None, **config: Any) -> Flask:
        app = make_app(**config)
        view: Any = lambda: request.method  # noqa: E731
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"]
        app.add_url_rule("/", "it", guard(view) if guard is not None else view, methods=methods)
        return app

    return make


def status(app: Flask, fields: dict[str, str], method: str = "POST", **more: Any) -> int:
    answer = app.test_client(use_cookies=False).open("/", method=method, headers=fields, **more)
    if answer.status_code == 403:
        assert answer.get_json()["code"] == "csrf.origin"
        assert b"evil" not in answer.data
    return answer.status_code


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, 200, id="a program"),
        pytest.param({"Sec-Fetch-Site": "same-origin"}, 200, id="our own page"),
        pytest.param({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.test"}, 200, id="the browser's word"),
        pytest.param({"Sec-Fetch-Site": "none"}, 200, id="the user"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, 403, id="a neighbour"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, 403, id="another site"),
        # Go's test table has these two as well: the browser's word stands above Origin.
        pytest.param({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, 403, id="by a redirect"),
        pytest.param({"Sec-Fetch-Site": "same-site", "Origin": "http://sub.localhost"}, 403, id="a subdomain"),
        pytest.param({"Sec-Fetch-Site": "Same-Origin"}, 403, id="another case"),
        pytest.param({"Sec-Fetch-Site": "sideways"}, 403, id="an unknown word"),
        pytest.param({"Sec-Fetch-Site": ""}, 403, id="no word"),
        pytest.param({"Sec-Fetch-Site": "cross-site, same-origin"}, 403, id="two words"),
        pytest.param({"Sec-Fetch-Site": "same-origin,same-origin"}, 403, id="one word twice"),
        pytest.param({"Sec-Fetch-Site": "same-origin;a=b"}, 403, id="a word with a parameter"),
        pytest.param({"Origin": "http://localhost"}, 200, id="our origin, older browser"),
        pytest.param({"Origin": "https://localhost"}, 200, id="our origin behind an unknown proxy"),
        pytest.param({"Origin": "http://localhost:8080"}, 403, id="another port"),
        pytest.param({"Origin": "http://localhost.evil.test"}, 403, id="our name as a prefix"),
        pytest.param({"Origin": "http://evillocalhost"}, 403, id="our name as a suffix"),
        pytest.param({"Origin": "http://localhost@evil.test"}, 403, id="our name as a user"),
        pytest.param({"Origin": "http://localhost, http://evil.test"}, 403, id="two origins, comma"),
        pytest.param({"Origin": "http://localhost http://evil.test"}, 403, id="two origins, blank"),
        pytest.param({"Origin": "http://localhost/"}, 403, id="an origin with a path"),
        pytest.param({"Origin": "ftp://localhost"}, 403, id="another scheme"),
        pytest.param({"Origin": "localhost"}, 403, id="no scheme"),
        pytest.param({"Origin": "http://"}, 403, id="no host"),
        pytest.param({"Origin": ""}, 403, id="an empty origin"),
        pytest.param({"Origin": "null"}, 403, id="a sandboxed frame"),
        pytest.param({"Origin": "chrome-extension://abcdef"}, 403, id="an extension"),
        # SeaSurf compares Referer with the request's own Origin: both are what the attacker's page makes them.
        pytest.param({"Origin": "https://evil.test", "Referer": "https://evil.test/"}, 403, id="consistent evil"),
        pytest.param({"Origin": "null", "Referer": "http://localhost/"}, 403, id="a Referer does not help"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE", "PROPFIND"])
def test_with_a_cookie_it_goes_by_what_the_browser_says(
    make: App, fields: dict[str, str], expected: int, method: str
) -> None:
    assert status(make(), {**COOKIE, **fields}, method) == expected


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_what_changes_nothing_is_not_asked(make: App, method: str) -> None:
    assert status(make(), {**COOKIE, **CROSS}, method) == 200
    assert status(make(csrf("strict")), {**COOKIE, **CROSS}, method) == 200


@pytest.mark.parametrize("method", ["post", "Post", "delete"])
def test_a_method_in_other_letters_is_not_a_way_around(make: App, method: str) -> None:
    app = make()
    edge: Any = app.wsgi_app
    environ = {"HTTP_COOKIE": "a=b", "HTTP_SEC_FETCH_SITE": "cross-site"}

    def ask(wsgi: Any, **more: str) -> int:
        return int(run_wsgi_app(wsgi, {**create_environ("/"), **environ, **more})[1][:3])

    # The edge takes only methods in capitals. Behind it werkzeug routes by the method in capitals.
    assert ask(edge, REQUEST_METHOD=method) == 501
    assert ask(edge.app, REQUEST_METHOD=method) == 403
    assert ask(edge.app, REQUEST_METHOD=method, HTTP_SEC_FETCH_SITE="same-origin") == 200


@pytest.mark.parametrize("declared", [False, True])
def test_a_method_that_middleware_put_in_is_the_one_that_counts(make: App, declared: bool) -> None:
    # Method override inside the edge, with an environ of its own: GET comes in, DELETE is routed.
    app = make(csrf("fetch-metadata") if declared else None)
    edge: Any = app.wsgi_app
    inner = edge.app
    edge.app = lambda environ, start: inner({**environ, "REQUEST_METHOD": "DELETE"}, start)
    assert status(app, {**COOKIE, **CROSS}, "GET") == 403


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"Cookie": "theme=dark"}, id="any cookie"),
        pytest.param({"Authorization": "Basic YTpi"}, id="a password"),
        pytest.param({"Authorization": "bAsIc YTpi"}, id="a password in other letters"),
        pytest.param({"Authorization": "  Basic YTpi"}, id="a password after blanks"),
        pytest.param({"Authorization": "Digest username=a"}, id="Digest"),
        pytest.param({"Authorization": "Negotiate abc"}, id="Kerberos"),
        pytest.param({"Authorization": "NTLM abc"}, id="NTLM"),
    ],
)
def test_what_a_browser_adds_by_itself_is_enough_to_ask(make: App, fields: dict[str, str]) -> None:
    app = make()
    assert status(app, {**fields, **CROSS}) == 403
    assert status(app, {**fields, "Sec-Fetch-Site": "same-origin"}) == 200
    assert status(app, fields) == 200


@pytest.mark.parametrize(
    "environ",
    [
        {"REMOTE_USER": "ada"},
        {"SSL_CLIENT_VERIFY": "SUCCESS"},
        {"SSL_CLIENT_CERT": "-----BEGIN CERTIFICATE-----"},
        {"HTTP_CLIENT_CERT": ":MII:"},
    ],
    ids=lambda environ: next(iter(environ)),
)
def test_a_certificate_and_a_servers_own_login_are_asked_about_too(make: App, environ: dict[str, str]) -> None:
    app = make(RAMPART_CLIENT_CERT="header:Client-Cert", RAMPART_TRUSTED_PROXIES=["127.0.0.1"])
    assert status(app, CROSS, environ_overrides=environ) == 403
    assert status(app, {}, environ_overrides=environ) == 200


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="nobody"),
        pytest.param({"Authorization": "Bearer abc"}, id="Bearer"),
        pytest.param({"Authorization": "DPoP abc"}, id="DPoP"),
        pytest.param({"Authorization": "ApiKey abc"}, id="ApiKey"),
        pytest.param({"X-API-Key": "abc"}, id="X-API-Key"),
        pytest.param({"Authorization": "Bearer abc", **COOKIE}, id="Bearer beside a cookie"),
        pytest.param({"Authorization": "Token abc"}, id="a scheme that only scripts send"),
    ],
)
def test_token_apis_and_open_ones_that_pages_call_are_not_affected(make: App, fields: dict[str, str]) -> None:
    # flask-wtf#111, #361; flask-restplus#311: a CSRF extension that blocks APIs is taken out altogether.
    assert status(make(), {**fields, **CROSS}) == 200


@pytest.mark.parametrize("fields", [{"Authorization": "Bearer"[:3] + " x"}, {"X-API-Key": ""}, {"Authorization": ""}])
def test_half_a_token_is_none(make: App, fields: dict[str, str]) -> None:
    assert status(make(), {**fields, **COOKIE, **CROSS}) == 403


def test_a_trusted_origin_is_exactly_that(make: App) -> None:
    app = make(RAMPART_CSRF_TRUSTED_ORIGINS=["https://app.example.com", "https://b.example.com:8443"])
    for origin, expected in [
        ("https://app.example.com", 200),
        ("https://b.example.com:8443", 200),
        ("https://b.example.com", 403),
        ("http://app.example.com", 403),
        ("https://app.example.com:443", 403),  # no browser writes it so
        ("https://app.example.com.evil.test", 403),
        ("https://evil-app.example.com", 403),
        ("https://APP.example.com", 403),
        ("https://app.example.com,https://app.example.com", 403),
        ("null", 403),
    ]:
        for site in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {}):
            assert status(app, {**COOKIE, **site, "Origin": origin}) == expected, (origin, site)
    told = {**COOKIE, "Origin": "https://app.example.com"}
    for word in ("cross-site, cross-site", "unheard-of", ""):
        assert status(app, {**told, "Sec-Fetch-Site": word}) == 403, word


def test_over_https_a_page_over_http_is_another_site(make: App) -> None:
    # Who is on the network writes pages of http://: the scheme is part of the origin.
    over = {"base_url": "https://shop.test"}
    app = make()
    assert status(app, {**COOKIE, "Origin": "https://shop.test"}, **over) == 200
    assert status(app, {**COOKIE, "Origin": "http://shop.test"}, **over) == 403


@pytest.mark.parametrize(
    ("scheme", "host", "origin", "expected"),
    [
        ("https", "shop.test", "https://shop.test", True),
        ("https", "shop.test:443", "https://shop.test", True),
        ("https", "Shop.Test", "https://shop.test", True),
        ("https", "shop.test:8443", "https://shop.test:8443", True),
        ("https", "shop.test", "https://shop.test:8443", False),
        ("https", "shop.test:80", "https://shop.test", False),
        ("http", "shop.test:80", "http://shop.test", True),
        ("http", "shop.test:443", "https://shop.test", True),
        ("http", "shop.test:443", "http://shop.test", False),
        ("http", "[::1]:5000", "http://[::1]:5000", True),
        ("http", "[::1]", "http://[::1]", True),
        ("http", "xn--bcher-kva.test", "http://xn--bcher-kva.test", True),
        ("http", "", "http://", False),
        # The edge writes Host without the dot at its end, before this is asked.
        ("http", "shop.test", "http://shop.test.", True),
        ("http", "shop.test:8080", "http://shop.test.:8080", True),
        ("http", "shop.test.", "http://shop.test", True),
        ("http", "shop.test", "http://shop.test..", False),
        ("http", "shop.test", "http://.shop.test", False),
        ("http", "shop.test", "http://.", False),
        ("https", "shop.test", "http://shop.test.", False),
    ],
)
def test_our_own_origin_is_read_from_host(scheme: str, host: str, origin: str, expected: bool) -> None:
    page = page_of({"wsgi.url_scheme": scheme, "HTTP_HOST": host, "HTTP_ORIGIN": origin})
    assert page == ("own" if expected else "other")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("Shop.TEST", "http://shop.test"),
        ("shop.test.", "http://shop.test."),
        ("shop.test:80", "http://shop.test"),
        ("shop.test.:8080", "http://shop.test.:8080"),
        ("[0:0::1]:8080", "http://[::1]:8080"),
        ("[::ffff:1.2.3.4]", "http://[::ffff:102:304]"),
    ],
)
def test_a_host_in_any_spelling_is_the_origin_of_its_page(make: App, host: str, origin: str) -> None:
    app = make()
    assert status(app, {**COOKIE, "Host": host, "Origin": origin}) == 200
    assert status(app, {**COOKIE, "Host": host, "Origin": origin.replace("http://", "http://x")}) == 403


def test_without_host_the_servers_own_name_counts() -> None:
    environ: dict[str, object] = {"wsgi.url_scheme": "http", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80"}
    assert page_of({**environ, "HTTP_ORIGIN": "http://127.0.0.1"}) == "own"
    assert page_of({"wsgi.url_scheme": "http", "HTTP_ORIGIN": "http://"}) == "other"


def test_what_says_forwarded_host_is_not_believed(make: App) -> None:
    fields = {**COOKIE, "Origin": "https://evil.test", "X-Forwarded-Host": "evil.test", "Forwarded": "host=evil.test"}
    assert status(make(), fields) == 403


def test_strict_also_asks_who_has_no_cookie_and_wants_a_proof(make: App) -> None:
    # Login CSRF (Barth, Jackson, Mitchell 2008): the victim is logged in as the attacker.
    for app in (make(csrf("strict")), make(RAMPART_CSRF="strict")):
        assert status(app, CROSS) == 403
        assert status(app, {}) == 403
        assert status(app, {"Origin": "null"}) == 403
        assert status(app, {"Sec-Fetch-Site": "same-origin"}) == 200
        assert status(app, {"Origin": "http://localhost"}) == 200
        assert status(app, {"Authorization": "Bearer abc"}) == 200


@pytest.mark.parametrize(("testing", "debug"), [(True, False), (False, True), (False, False)])
def test_it_is_as_strict_in_tests_as_in_production(make_app: App, testing: bool, debug: bool) -> None:
    # SeaSurf is off under TESTING: what it would break is found in production.
    app = make_app(TESTING=testing, DEBUG=debug)
    app.post("/")(lambda: "ok")
    assert status(app, {**COOKIE, **CROSS}) == 403
    # And a test client with a session, which is no browser, works as it did.
    assert status(app, COOKIE) == 200


def test_a_refusal_is_for_the_log_without_the_peers_words(make: App) -> None:
    app = make()
    seen = []

    @app.errorhandler(403)
    def told(error: Any) -> Any:
        seen.append((error.problem.code, error.reason))
        return "no", 403

    client = app.test_client(use_cookies=False)
    for fields in (CROSS, {"Sec-Fetch-Site": "evil"}, {"Origin": "null"}, {"Origin": "https://evil.test"}):
        assert client.post("/", headers={**COOKIE, **fields}).data == b"no"
    assert [code for code, _ in seen] == ["csrf.origin"] * 4
    assert not any("evil" in reason for _, reason in seen)
    assert len({reason for _, reason in seen}) == 4


def test_a_session_of_the_apps_own_scheme_is_kept_from_other_sites(make_app: App) -> None:
    app = Flask("session")
    app.config.update(RAMPART_ACCESS_LOG="off", SECRET_KEY="k" * 32)
    rampart = Rampart(app)

    @rampart.scheme("session")
    def by_session() -> Any:
        return Identity(request.cookies["session"]) if "session" in request.cookies else None

    @app.post("/transfer")
    @require("session")
    def transfer() -> str:
        return "done"

    client = app.test_client(use_cookies=False)
    assert client.post("/transfer", headers=COOKIE).data == b"done"
    assert client.post("/transfer", headers={**COOKIE, "Sec-Fetch-Site": "same-origin"}).data == b"done"
    assert client.post("/transfer", headers={**COOKIE, **CROSS}).get_json()["code"] == "csrf.origin"


def test_a_scheme_that_goes_by_what_nobody_knows_counts_as_a_cookie(make_app: App) -> None:
    # A proxy that logs users in, by cookies that it keeps for itself, says who it is in a field of its own: to another
    # site's page that field is as good as a cookie.
    app = Flask("behind")
    app.config.update(RAMPART_ACCESS_LOG="off")
    rampart = Rampart(app)

    @rampart.scheme("proxy", challenge="Token")
    def by_proxy() -> Any:
        name = request.headers.get("X-Remote-User") or request.headers.get("Authorization")
        return Identity(name) if name else None

    @app.post("/transfer")
    @require("proxy")
    def transfer() -> str:
        return "done"

    client = app.test_client(use_cookies=False)
    user = {"X-Remote-User": "ada"}
    assert client.post("/transfer", headers={**user, **CROSS}).get_json()["code"] == "csrf.origin"
    assert client.post("/transfer", headers={**user, "Sec-Fetch-Site": "same-origin"}).data == b"done"
    assert client.post("/transfer", headers=user).data == b"done"
    # What only a script can send is no such thing.
    assert client.post("/transfer", headers={"Authorization": "Token abc", **CROSS}).data == b"done"


def test_a_jwt_in_a_cookie_proves_the_page_by_its_claim(make_app: App, token: Callable[..., str]) -> None:
    app = make_app(RAMPART_JWT_LOCATIONS=["cookie", "query"])
    app.post("/me")(require()(lambda: "ok"))
    app.post("/open")(public(lambda: "ok"))
    client = app.test_client(use_cookies=False)
    cookie = {"Cookie": f"__Host-access_token={token(csrf='c' * 22)}"}
    proof = {"X-CSRF-Token": "c" * 22}

    def code(path: str, fields: dict[str, str]) -> Any:
        answer = client.post(path, headers=fields)
        return answer.status_code if answer.status_code == 200 else answer.get_json()["code"]

    assert code("/me", {**cookie, **proof}) == 200
    assert code("/me", {**cookie, **proof, "Sec-Fetch-Site": "same-origin"}) == 200
    # A page of another site sends the field only with our leave (CORS), and knows the claim only if it may read it.
    assert code("/me", {**cookie, **proof, **CROSS}) == 200
    assert code("/me", {**cookie, "X-CSRF-Token": "x", **CROSS}) == "csrf.invalid"
    assert code("/me", {**cookie, **CROSS}) == "csrf.invalid"
    # The field alone proves nothing where nobody has checked it.
    assert code("/open", {**cookie, **proof, **CROSS}) == "csrf.origin"
    # Nor does a token that the attacker put into the address, beside the victim's cookies.
    assert code(f"/me?access_token={token()}", {**COOKIE, **CROSS}) == "csrf.origin"


def test_bearer_tokens_work_from_everywhere_and_so_do_api_keys(make_app: App, token: Callable[..., str]) -> None:
    app = make_app()
    app.post("/me")(require()(lambda: "ok"))
    client = app.test_client(use_cookies=False)
    assert client.post("/me", headers={**bearer(token()), **CROSS, **COOKIE}).status_code == 200


def test_safe_methods_meet_no_check_at_all(make: App) -> None:
    app = make()
    app.test_client().get("/")
    state = app.extensions["rampart"]
    assert state.plan("it", "GET").checks == ()
    assert len(state.plan("it", "POST").checks) == 1
