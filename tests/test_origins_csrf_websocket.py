"""CSRF: a WebSocket's handshake is a GET with cookies that a page of any site may begin, and CORS does not apply to it.

Cross-Site WebSocket Hijacking (C. Schneider, 2013; CWE-1385); CVE-2018-14732 and CVE-2025-24964 are of this class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask

from flask_rampart import Rampart, csrf

App = Callable[..., Flask]
OWN, EVIL, FRIEND = "http://localhost", "https://evil.example", "https://app.example.com"
HANDSHAKE = {
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def serve(make_app: App, guard: Any = None, **config: Any) -> Flask:
    """An app with a view of WebSockets, as Flask-Sock routes one, and pages beside it."""
    app = make_app(SECRET_KEY="k" * 32, **config)

    def talk() -> str:
        return "talking"

    app.route("/talk", websocket=True, endpoint="talk")(talk if guard is None else guard(talk))
    app.get("/page")(lambda: "page")
    return app


def shake(app: Flask, path: str = "/talk", cookie: str | None = "session=ada", **headers: str) -> str:
    fields = {**HANDSHAKE, **({"Cookie": cookie} if cookie else {}), **headers}
    answer = app.test_client(use_cookies=False).get(path, headers=fields)
    return answer.text if answer.status_code == 200 else answer.get_json()["code"]


def test_a_page_of_another_origin_opens_no_socket_with_the_users_cookies(make_app: App) -> None:
    app = serve(make_app)
    for headers in (
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": EVIL, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "websocket"},
        {"Origin": "http://other.localhost", "Sec-Fetch-Site": "same-site"},
        {"Origin": f"{OWN}:81"},
        {"Origin": EVIL, "Upgrade": "WebSocket"},
    ):
        assert shake(app, **headers) == "csrf.origin", headers
    # By an HTTP password too, which browsers add by themselves.
    assert shake(app, cookie=None, Origin=EVIL, Authorization="Basic YTpi") == "csrf.origin"


def test_a_page_of_ours_and_a_program_open_one(make_app: App) -> None:
    app = serve(make_app)
    assert shake(app, Origin=OWN) == "talking"
    assert shake(app, **{"Origin": OWN, "Sec-Fetch-Site": "same-origin"}) == "talking"
    assert shake(app) == "talking"
    assert shake(app, Origin=EVIL, Authorization="Bearer x") == "talking"
    # Nothing that a browser adds: whoever it is could come without one.
    assert shake(app, cookie=None, Origin=EVIL) == "talking"


@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_over_tls_a_page_by_http_of_the_same_host_opens_none(make_app: App, scheme: str) -> None:
    # Some servers write wss for the scheme of a handshake; who is on the network writes pages of http://.
    client = serve(make_app).test_client(use_cookies=False)
    tls = {"wsgi.url_scheme": scheme, "HTTP_HOST": "app.example.com"}
    for origin, code in (("http://app.example.com", 403), (EVIL, 403), ("https://app.example.com", 200)):
        headers = {**HANDSHAKE, "Cookie": "session=ada", "Origin": origin}
        assert client.get("/talk", headers=headers, environ_overrides=tls).status_code == code, origin


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_handshake_is_one_by_its_scheme_too(make_app: App, scheme: str) -> None:
    # Werkzeug routes by it where the server took the field Upgrade away.
    client = serve(make_app).test_client(use_cookies=False)
    headers = {"Cookie": "session=ada", "Origin": EVIL}
    answer = client.get("/talk", headers=headers, environ_overrides={"wsgi.url_scheme": scheme})
    assert answer.get_json()["code"] == "csrf.origin"


def test_a_trusted_page_opens_one(make_app: App) -> None:
    for app in (
        serve(make_app, RAMPART_CSRF_TRUSTED_ORIGINS=[FRIEND]),
        serve(make_app, csrf(trusted_origins=[FRIEND])),
    ):
        assert shake(app, Origin=FRIEND) == "talking"
        assert shake(app, Origin=EVIL) == "csrf.origin"


@pytest.mark.parametrize(
    "mode, without_cookie, program",
    [
        ("fetch-metadata", "talking", "talking"),
        ("strict", "csrf.origin", "csrf.origin"),
        ("token", "csrf.origin", "talking"),
        ("off", "talking", "talking"),
    ],
)
def test_modes_hold_for_handshakes_and_none_asks_for_a_token(
    make_app: App, mode: str, without_cookie: str, program: str
) -> None:
    for app in (serve(make_app, RAMPART_CSRF=mode), serve(make_app, csrf(mode))):
        assert shake(app, Origin=EVIL) == ("talking" if mode == "off" else "csrf.origin")
        assert shake(app, cookie=None, Origin=EVIL) == without_cookie
        assert shake(app, Origin=OWN) == "talking"
        assert shake(app) == program


def test_a_blueprints_word_holds_for_its_sockets(make_app: App) -> None:
    app = make_app(RAMPART_CSRF="off")
    blueprint = Blueprint("live", __name__)
    blueprint.route("/talk", websocket=True)(lambda: "talking")
    Rampart().protect(blueprint, csrf("fetch-metadata"))
    app.register_blueprint(blueprint)
    assert shake(app, Origin=EVIL) == "csrf.origin"
    assert shake(app, Origin=OWN) == "talking"


def test_a_view_of_both_is_asked_of_handshakes_alone(make_app: App) -> None:
    app = make_app()
    app.add_url_rule("/both", "both", lambda: "talking", websocket=True)
    app.add_url_rule("/both", "both")
    client = app.test_client(use_cookies=False)
    headers = {"Cookie": "session=ada", "Origin": EVIL}
    assert client.get("/both", headers=headers).text == "talking"
    assert shake(app, "/both", Origin=EVIL) == "csrf.origin"


def test_no_handshake_comes_to_a_view_of_pages(make_app: App) -> None:
    # Werkzeug's word (WebsocketMismatch), on which this goes: a handshake has a rule of its own, or none.
    app = serve(make_app)
    answer = app.test_client().get("/page", headers={**HANDSHAKE, "Cookie": "session=ada", "Origin": EVIL})
    assert answer.status_code == 400
    assert app.test_client().get("/page", headers={"Cookie": "session=ada", "Origin": EVIL}).text == "page"
