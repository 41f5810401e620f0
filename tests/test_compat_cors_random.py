"""Apps and requests made at random, asked of Flask-Cors and of our face of it: each difference is told.

What the tables of docs/migrate/cors.md have is not asked here: every origin with credentials or a private network,
``null``, patterns that match the beginning of what was sent alone, paths that are escaped twice, parts of methods, empty names.
"""

from __future__ import annotations

import random
import re
from datetime import timedelta
from types import ModuleType
from typing import Any

import flask_cors
import pytest
from flask import Blueprint, Flask, abort

import flask_rampart.compat.cors as face

SEEDS = 32
REQUESTS = 20
LISTED = ["https://app.example.com", "http://localhost:3000", "https://Upper.example.com", "https://a.b.example.com"]
PATTERNS = [
    r"https://[a-z.]+\.example\.com",
    re.compile(r"http://localhost:\d+"),
    r"^https?://(app|api)\.example\.com$",
]
SENT = [*LISTED, "https://api.example.com", "https://evil.example", "http://localhost:8080", "HTTPS://APP.EXAMPLE.COM"]
PATHS = ["/", "/api", "/api/users", "/api/users/1", "/open", "/Open", "/shop/", "/view", "/fails", "/nowhere", "/away"]
RESOURCES = [r"/api/*", r"/api/users", "/open", re.compile(r"/(shop|view)"), r"^/api/users/\d+$", "/*", "*"]


def options_of(chance: random.Random, *, of_view: bool = False) -> dict[str, Any]:
    """Options, most of them left out; credentials and private networks for listed origins alone."""
    origins = chance.choice(
        [..., "*", chance.choice(LISTED), chance.sample(LISTED, 2), chance.sample(PATTERNS, 1), [], {LISTED[0]}]
    )
    if origins is not ... and isinstance(origins, list) and chance.random() < 0.5:
        origins = [*origins, chance.choice(PATTERNS)]
    listed = origins is not ... and origins != "*"
    found = {
        "origins": origins,
        "methods": chance.choice([..., ..., "GET", "get, POST", ["PUT", "DELETE"], {"PATCH"}, None]),
        "allow_headers": chance.choice([..., ..., "X-One", ["x-one", "Content-Type"], [r"X-\w+"], re.compile("X-.*")]),
        "expose_headers": chance.choice([..., "X-A", ["X-B", "X-A"], ""]),
        "supports_credentials": chance.choice([..., True]) if listed else chance.choice([..., False]),
        "allow_private_network": chance.choice([..., True]) if listed else ...,
        "max_age": chance.choice([..., 0, 600, "600", timedelta(days=1), timedelta(0)]),
        "send_wildcard": chance.choice([..., True]),
        "vary_header": chance.choice([..., ..., False]),
        "always_send": chance.choice([..., ..., False]),
        "automatic_options": chance.choice([..., ..., False]) if of_view else ...,
    }
    return {name: value for name, value in found.items() if value is not ...}


def extension_of(chance: random.Random) -> dict[str, Any]:
    found = options_of(chance)
    listed = "supports_credentials" not in found and "allow_private_network" not in found
    kind = chance.choice(["none", "one", "list", "dict"])
    if kind == "one":
        found["resources"] = chance.choice(RESOURCES)
    elif kind == "list":
        found["resources"] = chance.sample(RESOURCES, chance.randint(0, 3))
    elif kind == "dict" and listed:
        found["resources"] = {pattern: options_of(chance) for pattern in chance.sample(RESOURCES, chance.randint(1, 4))}
    if chance.random() < 0.2:
        found["intercept_exceptions"] = False
    return found


def app_of(module: ModuleType, seed: int) -> Flask:
    """The same app for both."""
    chance = random.Random(seed)
    app = Flask("faces")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    given = extension_of(chance)
    if chance.random() < 0.3:
        app.config.update({f"CORS_{name.upper()}": value for name, value in given.items()})
        given = {}
    if chance.random() < 0.8:
        module.CORS(app, **given)
    blueprint = Blueprint("shop", "shop", url_prefix="/shop")
    if chance.random() < 0.5:
        module.CORS(blueprint, **options_of(chance))
    blueprint.add_url_rule("/", "shop", lambda: "shop")
    app.register_blueprint(blueprint)
    for path in PATHS[:6]:
        app.add_url_rule(path, path, lambda: "hello", methods=["GET", "POST"])
    app.add_url_rule("/fails", "fails", lambda: 1 / 0)
    app.add_url_rule("/away", "away", lambda: abort(403))
    own = options_of(chance, of_view=True)
    # What the app's settings say would be with it.
    if not any(name.startswith("CORS_") for name in app.config):
        app.add_url_rule("/view", "view", module.cross_origin(**own)(lambda: "view"), methods=["GET", "PUT"])
    return app


@pytest.mark.parametrize("seed", range(SEEDS))
def test_apps_and_requests_at_random_are_answered_alike(seed: int) -> None:
    apps = [app_of(module, seed) for module in (flask_cors, face)]
    chance = random.Random(-seed - 1)
    for _ in range(REQUESTS):
        headers = {
            "Origin": chance.choice([None, *SENT]),
            "Access-Control-Request-Method": chance.choice([None, "GET", "put", "PATCH", "DELETE", "UNKNOWN"]),
            "Access-Control-Request-Headers": chance.choice(
                [None, "X-One", "x-one, Content-Type,x-two", "", "X-A , X-B"]
            ),
            "Access-Control-Request-Private-Network": chance.choice([None, None, "true", "false"]),
        }
        sent = {name: value for name, value in headers.items() if value is not None}
        path, method = chance.choice(PATHS), chance.choice(["GET", "GET", "OPTIONS", "OPTIONS", "POST", "HEAD"])
        answers = [app.test_client().open(path, method=method, headers=sent) for app in apps]
        # The methods of Allow come in any order.
        theirs, ours = (
            (
                answer.status_code,
                answer.data,
                sorted((n, sorted(v.split(", ")) if n == "Allow" else v) for n, v in answer.headers),
            )
            for answer in answers
        )
        assert ours == theirs, (seed, method, path, sent)
