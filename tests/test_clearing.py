"""Clear-Site-Data: what a logout tells the browser to forget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_rampart import ConfigError, Rampart, clear_site_data, public

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
        (("header", "cookie"), {}, '"cache", "cookies", "storage"'),
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
    assert answer.headers["Clear-Site-Data"] == '"cache", "cookies", "storage"'
