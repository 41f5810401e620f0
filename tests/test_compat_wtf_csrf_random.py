"""Apps and requests made at random, asked of Flask-WTF and of our face of it: each difference is told.

Sessions and tokens change sides on the way: what one of them gave out, the other takes. What the tables of
docs/migrate/wtf-csrf.md have is not asked here: pages of other sites, ``Referer`` that cannot be read or is left out while
the browser names its page, names that two views share, settings that could not be meant, clocks that differ.
"""

from __future__ import annotations

import random
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from flask import Blueprint, Flask, request
from flask.testing import FlaskClient
from flask.views import MethodView

from flask_rampart import Clock

from .facing import CSRF_FACES, MIDNIGHT, SECRET, csrf_face, sent

SEEDS = 24
REQUESTS = 16
METHODS = ["GET", *["POST"] * 6, "PUT", "PATCH", "DELETE"]
PATHS = [*["/"] * 4, "/class", "/shop/", "/shop/inner/", "/hook", "/nowhere", "/get"]
NAMES = ["csrf_token", "token", "its-token"]
HEADERS = ["X-CSRFToken", "X-CSRF-Token", "X-Own"]


def settings_of(chance: random.Random) -> dict[str, Any]:
    found = {
        "ENABLED": chance.choice([*[...] * 8, True, False]),
        "CHECK_DEFAULT": chance.choice([*[...] * 8, False]),
        "METHODS": chance.choice([*[...] * 4, ["POST"], {"PUT", "DELETE"}, ("GET", "POST"), []]),
        "FIELD_NAME": chance.choice([..., ..., *NAMES]),
        "HEADERS": chance.choice([..., ..., ["X-Own"], []]),
        "TIME_LIMIT": chance.choice([..., ..., 60, None, 90.5]),
        "SSL_STRICT": chance.choice([..., ..., False]),
        "SECRET_KEY": chance.choice([..., ..., "own", b"own", ["old", "own"]]),
    }
    return {f"WTF_CSRF_{name}": value for name, value in found.items() if value is not ...}


def app_of(module: ModuleType, seed: int, clock: Clock) -> Flask:
    """The same app for both."""
    chance = random.Random(seed)
    app = Flask("faces")
    app.secret_key = SECRET
    app.config["PROPAGATE_EXCEPTIONS"] = False
    settings = settings_of(chance)
    late = chance.random() < 0.3
    if not late:
        app.config.update(settings)
    protect = module.CSRFProtect(**({"clock": clock} if module is csrf_face else {}))
    if chance.random() < 0.2:

        class Own(module.CSRFProtect):  # type: ignore[misc, name-defined]
            def _get_csrf_token(self) -> str | None:
                return request.args.get("token") or super()._get_csrf_token()

        protect.__class__ = Own
    protect.init_app(app)
    if late:
        app.config.update(settings)
    handled, by_hand = chance.random() < 0.3, chance.choice([None, None, None, None, True, False])
    if handled:
        app.register_error_handler(module.CSRFError, lambda error: (f"handled: {error.description}", 418))
    if by_hand is not None:
        app.before_request(lambda: protect.protect(apply_exemptions=by_hand))

    class Thing(MethodView):
        def post(self) -> str:
            return "thing"

        put = post

    shop, inner = (Blueprint(name, name, url_prefix=f"/{name}") for name in ("shop", "inner"))
    for blueprint in (shop, inner):
        blueprint.add_url_rule("/", "index", lambda: "shop", methods=METHODS)
    shop.register_blueprint(inner)
    app.register_blueprint(shop)

    def index() -> str:
        return "hello"

    def hook() -> str:
        return "hook"

    app.add_url_rule("/", "index", index, methods=METHODS)
    app.add_url_rule("/hook", "hook", hook, methods=METHODS)
    app.add_url_rule("/class", view_func=Thing.as_view("thing"))
    app.add_url_rule("/get", "get", lambda: "get")
    app.add_url_rule("/token", "token", lambda: module.generate_csrf())
    exempt: list[Any] = [index, hook, f"{__name__}.hook", f"{__name__}.thing", Thing.as_view("thing"), shop, inner]
    for view in chance.sample(exempt, chance.randint(0, 2)):
        protect.exempt(view)
    return app


def drawn(client: FlaskClient) -> str:
    """A token; or none, where a GET is asked for one, too."""
    answer = client.get("/token")
    return answer.text if answer.status_code == 200 else "none"


def request_of(chance: random.Random, tokens: list[list[str]], named: str) -> list[dict[str, Any]]:
    """One request, for each side with its own token."""
    at = chance.randrange(-1, len(tokens)) if tokens else -1
    of_both = tokens[at] if at >= 0 else [chance.choice(["", "x", "a.b.c", ".e30.x.y", "\u00e9", "x" * 5000])] * 2
    path, method, place = (
        chance.choice(PATHS),
        chance.choice(METHODS),
        chance.choice(["form", "prefix", "header", "query"]),
    )
    name, header = chance.choice([*[named] * 4, *NAMES]), chance.choice(HEADERS)
    secure = chance.random() < 0.4
    headers = {"Origin": chance.choice([None, None, f"http{'s' if secure else ''}://localhost"])}
    if secure:
        referrers = ["https://localhost/a", "https://localhost/a", "https://other/", "http://localhost/", "x"]
        # None is missing where the browser names its page: that is a row.
        headers["Referer"] = chance.choice(referrers if headers["Origin"] else [*referrers, None])
    found = []
    for token in of_both:
        given: dict[str, Any] = {"method": method, "path": path, "base_url": f"http{'s' if secure else ''}://localhost"}
        own = dict(headers)
        if place == "header":
            own[header] = token.encode().decode("latin-1")
        elif place == "query":
            given["query_string"] = {"token": token}
        else:
            given["data"] = {name if place == "form" else f"f-{name}": token, "other": "1"}
        given["headers"] = {key: value for key, value in own.items() if value is not None}
        found.append(given)
    return found


@pytest.mark.parametrize("seed", range(SEEDS))
def test_apps_and_requests_at_random_are_answered_alike(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock.manual(MIDNIGHT)
    monkeypatch.setattr("itsdangerous.timed.time", SimpleNamespace(time=clock.now))
    apps = [app_of(module, seed, clock) for module in CSRF_FACES.values()]
    clients = [app.test_client() for app in apps]
    chance = random.Random(-seed - 1)
    tokens: list[list[str]] = []
    for _ in range(REQUESTS):
        if not tokens or chance.random() < 0.3:
            tokens.append([drawn(client) for client in clients])
        if chance.random() < 0.2:
            # What one gave out is brought to the other.
            cookies = [client.get_cookie("session") for client in clients]
            for client, cookie in zip(clients, reversed(cookies), strict=True):
                if cookie is not None:
                    client.set_cookie("session", cookie.value)
            tokens = [pair[::-1] for pair in tokens]
        if chance.random() < 0.3:
            clock.advance(chance.choice([1, 30, 61, 3601]))
        if chance.random() < 0.1:
            # Another session; tokens of this one are still sent.
            clients = [app.test_client() for app in apps]
            if chance.random() < 0.7:
                tokens.append([drawn(client) for client in clients])
        given = request_of(chance, tokens, apps[0].config["WTF_CSRF_FIELD_NAME"])
        theirs, ours = (sent(client, **asked) for client, asked in zip(clients, given, strict=True))
        assert ours == theirs, (seed, given[1])
