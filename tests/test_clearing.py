"""Clear-Site-Data: what a logout tells the browser to forget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, jsonify

from flask_rampart import ConfigError, Rampart, clear_site_data, public
from flask_rampart.tokens import Tokens

App = Callable[..., Flask]


def test_an_answer_tells_the_browser_what_to_forget(make_app: App) -> None:
    app = make_app()

    @app.get("/all")
    def everything() -> str:
        clear_site_data()
        return ""

    @app.get("/some")
    def some() -> str:
        clear_site_data("cache")
        clear_site_data("storage", "cache")
        return ""

    @app.get("/own")
    def own() -> tuple[str, dict[str, str]]:
        clear_site_data()
        return "", {"clear-site-data": '"cache"'}

    app.get("/")(lambda: "")
    client = app.test_client()
    # What OWASP's Secure Headers Project expects of a logout, with the quotes that browsers ask for.
    assert client.get("/all").headers.getlist("Clear-Site-Data") == ['"cache", "cookies", "storage"']
    assert client.get("/some").headers.getlist("Clear-Site-Data") == ['"cache", "storage"']
    assert client.get("/own").headers.getlist("Clear-Site-Data") == ['"cache"']
    assert "Clear-Site-Data" not in client.get("/").headers


@pytest.mark.parametrize("kind", ["cookie", '"cache"', "Cache", 'cache", "*', "a\r\nb", ""])
def test_what_no_browser_knows_is_refused(make_app: App, kind: str) -> None:
    app = make_app()
    with app.test_request_context(), pytest.raises(ConfigError, match="browsers know"):
        clear_site_data(kind)


def logs_out(app: Flask, rampart: Rampart, **more: Any) -> None:
    @app.post("/logout")
    @public
    def logout() -> str:
        rampart.tokens.logout(**more)
        return ""


@pytest.mark.parametrize(
    ("locations", "more", "told"),
    [
        # "cookies" are those of the whole registrable domain: other apps there would lose theirs.
        (("header", "cookie"), {}, '"cache", "storage"'),
        (("header",), {}, None),
        (("header",), {"clear": ("storage",)}, '"storage"'),
        (("header", "cookie"), {"clear": ()}, None),
    ],
    ids=["cookies", "headers", "storage", "nothing"],
)
def test_a_logout_clears_what_its_browser_holds(
    make_app: App, locations: tuple[str, ...], more: dict[str, Any], told: str | None
) -> None:
    app = make_app(RAMPART_JWT_LOCATIONS=locations, rampart=True)
    rampart = Rampart()
    logs_out(app, rampart, **more)
    answer = app.test_client().post("/logout")
    assert answer.status_code == 200
    assert answer.headers.get("Clear-Site-Data") == told


def test_a_logout_that_was_refused_clears_nothing(make_app: App) -> None:
    app = make_app(RAMPART_JWT_LOCATIONS=("header", "cookie"))
    rampart = Rampart()
    logs_out(app, rampart)
    with app.test_request_context():
        pair = rampart.tokens.issue_pair("ada")
        name = rampart.tokens._places.refresh_cookie
    client = app.test_client()
    client.set_cookie(name, pair.refresh, path="/", domain="localhost")
    # Another site's page made the browser send it: nothing proves otherwise.
    answer = client.post("/logout", base_url="https://localhost")
    assert answer.status_code == 403
    assert "Clear-Site-Data" not in answer.headers
    answer = client.post("/logout", base_url="https://localhost", headers={"X-CSRF-Token": pair.csrf})
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert client.get_cookie(name) is None


@pytest.mark.parametrize("more", [{}, {"clear": ()}], ids=["clears", "clears nothing"])
def test_a_logout_deletes_its_own_cookies_one_by_one(make_app: App, more: dict[str, Any]) -> None:
    app = make_app(RAMPART_JWT_LOCATIONS=("header", "cookie"))
    rampart = Rampart()
    logs_out(app, rampart, **more)
    places = app.extensions["rampart"].services[Tokens]._places
    names = [places.access_cookie, places.refresh_cookie, places.csrf_cookie]
    client = app.test_client()
    for name in (*names, "other"):
        client.set_cookie(name, "x", domain="localhost")
    answer = client.post("/logout", base_url="https://localhost")
    gone = [line for line in answer.headers.getlist("Set-Cookie") if "Max-Age=0" in line]
    assert [line.partition("=")[0] for line in gone] == names
    assert all("Secure" in line for line in gone)
    assert [client.get_cookie(name) is None for name in (*names, "other")] == [True, True, True, False]


def test_a_logout_leaves_the_cookies_of_the_login_that_follows_it(make_app: App) -> None:
    app = make_app(RAMPART_JWT_LOCATIONS=("header", "cookie"))
    tokens = app.extensions["rampart"].services[Tokens]

    @app.post("/switch")
    @public
    def switch() -> Any:
        tokens.logout()
        answer = jsonify(ok=True)
        tokens.set_cookies(answer, tokens.issue_pair("bob"))
        return answer

    answer = app.test_client().post("/switch", base_url="https://localhost")
    lines = answer.headers.getlist("Set-Cookie")
    assert len(lines) == 3
    assert not any("Max-Age=0" in line for line in lines)


def test_a_logout_of_header_tokens_sets_no_cookie(make_app: App) -> None:
    app = make_app(RAMPART_JWT_LOCATIONS=("header",))
    rampart = Rampart()
    logs_out(app, rampart)
    assert "Set-Cookie" not in app.test_client().post("/logout").headers
