"""Where tokens are: cookies with proof against forgery, JSON, query; and what is ambiguous."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, jsonify
from flask.testing import FlaskClient
from werkzeug.http import parse_cookie

from flask_rampart import ConfigError, current_principal, public, require
from flask_rampart.tokens import Tokens

from .conftest import bearer

App = Callable[..., Flask]


def tokens_of(app: Flask) -> Tokens:
    found: Tokens = app.extensions["rampart"].services[Tokens]
    return found


@pytest.fixture
def make(make_app: App) -> App:
    def make(*locations: str, **config: Any) -> Flask:
        app = make_app(RAMPART_JWT_LOCATIONS=list(locations), **config)
        tokens = tokens_of(app)

        @app.post("/login")
        @public
        def login() -> Any:
            answer = jsonify(ok=True)
            tokens.set_cookies(answer, tokens.issue_pair("ada"))
            return answer

        @app.post("/logout")
        @require()
        def logout() -> Any:
            tokens.logout()
            answer = jsonify(ok=True)
            tokens.clear_cookies(answer)
            return answer

        @app.post("/refresh")
        @public
        def refresh() -> Any:
            pair = tokens.refresh()
            answer = jsonify(csrf=pair.csrf)
            if "cookie" in locations:
                tokens.set_cookies(answer, pair)
            return answer

        @app.route("/me", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
        @require()
        def me() -> str:
            return current_principal.id

        return app

    return make


def logged_in(app: Flask) -> tuple[FlaskClient, str]:
    client = app.test_client()
    assert client.post("/login").status_code == 200
    cookie = client.get_cookie(tokens_of(app)._places.csrf_cookie)
    assert cookie is not None
    return client, cookie.value


def test_cookies_are_for_this_host_https_and_no_script(make: App) -> None:
    app = make("cookie")
    cookies = app.test_client().post("/login").headers.getlist("Set-Cookie")
    by_name = {next(iter(parse_cookie(cookie))): cookie for cookie in cookies}
    assert set(by_name) == {"__Host-access_token", "__Host-refresh_token", "__Host-csrf_token"}
    for name, cookie in by_name.items():
        assert "Secure" in cookie
        assert "SameSite=Lax" in cookie
        assert "Path=/" in cookie
        assert "Domain" not in cookie
        assert ("HttpOnly" in cookie) == (name != "__Host-csrf_token")
    assert "Max-Age=900" in by_name["__Host-access_token"]


def test_a_cookie_that_is_not_for_this_host_alone_does_not_say_so(make: App) -> None:
    app = make("cookie", RAMPART_JWT_COOKIE_DOMAIN="example.com", RAMPART_JWT_REFRESH_PATH="/refresh")
    names = {next(iter(parse_cookie(c))) for c in app.test_client().post("/login").headers.getlist("Set-Cookie")}
    assert names == {"__Secure-access_token", "__Secure-refresh_token", "__Secure-csrf_token"}
    app = make("cookie", RAMPART_JWT_REFRESH_PATH="/refresh")
    cookies = app.test_client().post("/login").headers.getlist("Set-Cookie")
    (refresh,) = [cookie for cookie in cookies if "refresh_token" in cookie]
    assert refresh.startswith("__Secure-refresh_token=")
    assert "Path=/refresh" in refresh


def test_plain_cookies_are_for_debugging_only(make: App, make_app: App) -> None:
    app = make("cookie", RAMPART_JWT_COOKIE_SECURE=False)
    with pytest.raises(ConfigError, match="RAMPART_JWT_COOKIE_SECURE"):
        app.extensions["rampart"].seal()
    app = make("cookie", RAMPART_JWT_COOKIE_SECURE=False)
    app.debug = True
    client, _ = logged_in(app)
    assert client.get("/me").status_code == 200
    with pytest.raises(ConfigError, match="SAMESITE"):
        make_app(RAMPART_JWT_COOKIE_SECURE=False, RAMPART_JWT_COOKIE_SAMESITE="None")


def test_a_cookie_reads_without_proof_and_changes_nothing_without(make: App) -> None:
    client, csrf = logged_in(make("cookie"))
    assert client.get("/me").text == "ada"
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        refused = client.open("/me", method=method)
        assert (refused.status_code, refused.json and refused.json["code"]) == (403, "csrf.invalid")
        assert client.open("/me", method=method, headers={"X-CSRF-Token": csrf}).status_code == 200


@pytest.mark.parametrize("given", ["", " ", "x", "None", "null", "\u00e9", "0" * 32])
def test_another_proof_is_none(make: App, given: str) -> None:
    client, _ = logged_in(make("cookie"))
    refused = client.post("/me", headers={"X-CSRF-Token": given.encode().decode("latin-1")})
    assert refused.status_code == 403
    assert csrf_free(refused.data)


def csrf_free(body: bytes) -> bool:
    return b"token" not in body.replace(b"about:blank", b"")


def test_one_logins_proof_is_not_anothers(make: App) -> None:
    app = make("cookie")
    client, _ = logged_in(app)
    _, other = logged_in(app)
    assert client.post("/me", headers={"X-CSRF-Token": other}).status_code == 403


def test_a_token_that_was_not_made_for_a_cookie_changes_nothing_from_one(make: App, token: Callable[..., str]) -> None:
    app = make("cookie", "header")
    client = app.test_client()
    client.set_cookie("__Host-access_token", token())
    assert client.get("/me").status_code == 200
    assert client.post("/me", headers={"X-CSRF-Token": ""}).status_code == 403
    assert client.post("/me").status_code == 403


def test_a_header_needs_no_proof(make: App) -> None:
    app = make("header", "cookie")
    assert app.test_client().post("/me", headers=bearer(tokens_of(app).issue("ada"))).status_code == 200


def test_two_tokens_are_ambiguous_wherever_they_are(make: App) -> None:
    # RFC 6750 section 2; Flask-JWT-Extended takes the first.
    app = make("header", "cookie", "json", "query")
    token = tokens_of(app).issue("ada")
    client, csrf = logged_in(app)
    proof = {"X-CSRF-Token": csrf}
    assert client.get("/me", headers=bearer(token)).status_code == 400
    assert client.post("/me", json={"access_token": token}, headers=proof).status_code == 400
    assert client.get(f"/me?access_token={token}").status_code == 400
    fresh = app.test_client()
    assert fresh.get(f"/me?access_token={token}&access_token={token}").status_code == 400
    assert fresh.post("/me", json={"access_token": token}, headers=bearer(token)).status_code == 400
    # A neighbour's page can plant a second cookie of a name, where the name does not forbid it.
    both = {"Cookie": f"__Host-access_token={token}; __Host-access_token={token}"}
    assert app.test_client(use_cookies=False).get("/me", headers=both).status_code == 400


def test_places_that_are_not_configured_are_not_looked_at(make: App) -> None:
    app = make("header")
    token = tokens_of(app).issue("ada")
    client = app.test_client()
    client.set_cookie("__Host-access_token", token)
    assert client.get("/me").json["code"] == "auth.missing"
    assert client.post("/me", json={"access_token": token}).json["code"] == "auth.missing"
    assert client.get(f"/me?access_token={token}").json["code"] == "auth.missing"
    app = make("cookie")
    assert app.test_client().get("/me", headers=bearer(token)).json["code"] == "auth.missing"


def test_json_and_query_carry_tokens_where_that_is_configured(make: App) -> None:
    app = make("json", "query")
    token = tokens_of(app).issue("ada")
    client = app.test_client()
    assert client.post("/me", json={"access_token": token}).text == "ada"
    assert client.get(f"/me?access_token={token}").text == "ada"
    for body in ([token], {"access_token": 7}, {"access_token": None}, {"access_token": ""}, token, None):
        assert client.post("/me", json=body).status_code == 401


def test_a_hostile_body_is_a_refusal_and_no_error(make: App) -> None:
    client = make("json").test_client()
    for body in (b"{", b"[" * 100_000, b'{"access_token":1,"access_token":2}', b"\xff"):
        answer = client.post("/me", data=body, content_type="application/json")
        assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("locations", [("cookie",), ("header", "cookie")])
def test_a_page_refreshes_by_its_cookie_and_with_its_proof(make: App, locations: tuple[str, ...]) -> None:
    client, csrf = logged_in(make(*locations))
    before = client.get_cookie("__Host-refresh_token")
    assert client.post("/refresh").json["code"] == "csrf.invalid"
    answer = client.post("/refresh", headers={"X-CSRF-Token": csrf})
    assert answer.json == {"csrf": csrf}
    after = client.get_cookie("__Host-refresh_token")
    assert before and after and before.value != after.value
    assert client.get("/me").status_code == 200


def test_a_client_refreshes_by_body_or_header(make: App) -> None:
    app = make("header")
    client = app.test_client()
    pair = tokens_of(app).issue_pair("ada")
    assert client.post("/refresh", json={"refresh_token": pair.refresh}).status_code == 200
    assert client.post("/refresh", data={"refresh_token": pair.refresh}).status_code == 200
    assert client.post("/refresh", headers=bearer(pair.refresh)).status_code == 200
    assert client.post("/refresh").json["code"] == "auth.missing"
    assert client.post("/refresh", json={"refresh_token": pair.access}).json["code"] == "token.invalid"
    # Clients send their access token with every request.
    both = client.post("/refresh", json={"refresh_token": pair.refresh}, headers=bearer(pair.access))
    assert both.status_code == 200


def test_another_sites_form_logs_nobody_in(make: App) -> None:
    # Login forgery: a page that posts its own user's refresh token would plant that login in the browser.
    app = make("cookie", "header")
    mallory = tokens_of(app).issue_pair("mallory")
    evil = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = app.test_client().post("/refresh", data={"refresh_token": mallory.refresh}, headers=evil)
    assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (401, [])
    answer = app.test_client().post(
        "/refresh",
        data=b'{"refresh_token":"' + mallory.refresh.encode() + b'"}',
        headers=evil,
        content_type="text/plain",
    )
    assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (401, [])


def test_a_refresh_by_cookie_needs_its_proof_whatever_the_method(make_app: App) -> None:
    app = make_app(RAMPART_JWT_LOCATIONS=["cookie"])
    app.add_url_rule("/refresh", "refresh", public(lambda: tokens_of(app).refresh().response()), methods=["GET", "PUT"])
    pair = tokens_of(app).issue_pair("ada")
    client = app.test_client()
    client.set_cookie("__Host-refresh_token", pair.refresh)
    for method in ("GET", "HEAD", "PUT"):
        assert client.open("/refresh", method=method).status_code == 403
    assert client.get("/refresh", headers={"X-CSRF-Token": pair.csrf}).status_code == 200


def test_an_access_token_alone_can_be_in_a_cookie(make_app: App) -> None:
    app = make_app(RAMPART_JWT_LOCATIONS=["cookie"])
    app.add_url_rule("/me", "me", require()(lambda: current_principal.id), methods=["GET", "POST"])

    @app.post("/login")
    @public
    def login() -> Any:
        answer = jsonify()
        tokens_of(app).set_cookies(answer, tokens_of(app).issue("ada"))
        return answer

    client, csrf = logged_in(app)
    assert client.get("/me").text == "ada"
    assert client.post("/me").status_code == 403
    assert client.post("/me", headers={"X-CSRF-Token": csrf}).status_code == 200


def test_logging_out_ends_the_login_and_the_cookies(make: App) -> None:
    client, csrf = logged_in(make("cookie"))
    stolen = client.get_cookie("__Host-access_token")
    assert client.post("/logout", headers={"X-CSRF-Token": csrf}).status_code == 200
    assert client.get_cookie("__Host-access_token") is None
    assert client.get("/me").json["code"] == "auth.missing"
    assert stolen is not None
    client.set_cookie("__Host-access_token", stolen.value)
    assert client.get("/me").json["code"] == "token.invalid"


def test_cookies_that_nobody_would_look_at_are_not_set(make: App) -> None:
    app = make("header")
    with app.test_request_context(), pytest.raises(ConfigError, match="RAMPART_JWT_LOCATIONS"):
        tokens_of(app).set_cookies(jsonify(), tokens_of(app).issue_pair("ada"))


def test_a_location_that_is_none_is_named_with_its_nearest(make_app: App) -> None:
    with pytest.raises(ConfigError, match="Did you mean cookie"):
        make_app(RAMPART_JWT_LOCATIONS=["cookies"])


# What a view is told, and tells.


def test_a_refresh_that_is_refused_in_a_view_is_in_the_access_log(make: App, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    app = make("header", RAMPART_ACCESS_LOG=str(log))
    answer = app.test_client().post("/refresh", headers=bearer("not.a.token"), buffered=True)
    (line,) = map(json.loads, log.read_text().splitlines())
    assert line["codes"] == ["token.invalid"]
    assert (answer.json or {})["request_id"] == line["request_id"]
