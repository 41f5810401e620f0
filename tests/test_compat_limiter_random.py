"""Apps, limits and requests made at random, asked of Flask-Limiter and of our face of it: each difference is told.

The clock stands. What the tables of docs/migrate/limiter.md have is not asked here: where a request was refused that
Flask-Limiter charges something and we charge nothing, both begin anew two days later.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, jsonify, request

from flask_rampart import Clock

from .facing import LIMITER_FACES, limiter_app, standing_clock

SEEDS = 24
REQUESTS = 40
SHAPES = [
    "{}/{}second",
    "{} per {} minute",
    "{}/{} hours",
    "{} PER day",
    "{0}/{1}minute;{2}/{1}hour",
    "{}/{}minutes, {}/day",
]
TWO_DAYS = 2 * 86400.0
Views = dict[str, str]


def by_key() -> str:
    return request.headers.get("X-Key", "nobody")


def is_exempt() -> bool:
    return "X-Exempt" in request.headers


def is_wrong(response: Response) -> bool:
    return response.status_code == 400


def text_of(chance: random.Random, taken: set[str]) -> str:
    """A limit as it is written, of which none is like another's."""
    while True:
        most = chance.randint(1, 6)
        text = chance.choice(SHAPES).format(most, chance.choice([1, 2, 3, 4, 6]), most + chance.randint(0, 3))
        parts = {re.sub("per|PER", "/", part).replace(" ", "").removesuffix("s") for part in re.split("[;,]", text)}
        if not parts & taken:
            taken |= parts
            return text


def limit_of(chance: random.Random, taken: set[str]) -> tuple[str, dict[str, Any]]:
    """The arguments of one limit."""

    def perhaps(*values: Any) -> Any:
        return chance.choice((..., ..., ..., *values))

    found = {
        "key_func": perhaps(by_key),
        "per_method": perhaps(True),
        "methods": perhaps(["post"], ["GET", "OPTIONS"]),
        "error_message": perhaps("no more", lambda: "no more of it"),
        "exempt_when": perhaps(is_exempt),
        "override_defaults": perhaps(False),
        "deduct_when": perhaps(is_wrong) if "deduct" in taken else ...,
        "cost": perhaps(2, lambda: 2) if "cost" in taken else perhaps(lambda: 1),
        "scope": perhaps("own", lambda endpoint: f"of {endpoint}"),
    }
    return text_of(chance, taken), {name: value for name, value in found.items() if value is not ...}


def put(chance: random.Random, limiter: Any, target: Any, taken: set[str]) -> Any:
    """*target*, with a limit or two."""
    for _ in range(chance.choice([1, 1, 2])):
        text, arguments = limit_of(chance, taken)
        value: Any = chance.choice([text, text, lambda text=text: text])
        if chance.random() < 0.25:
            arguments["scope"] = arguments.get("scope", "shared")
            decorate = limiter.shared_limit(value, **arguments)
        else:
            decorate = limiter.limit(value, **arguments)
        target = decorate(target) or target
    return target


def view_of(name: str, limiter: Any, rest: bool) -> Callable[[], Any]:
    def view() -> Any:
        return told(limiter, rest), int(request.headers.get("X-Status", "200"))

    view.__name__ = view.__qualname__ = name
    return view


def told(limiter: Any, rest: bool) -> dict[str, Any]:
    """All that an app can read of the limits of a request."""
    chosen = limiter.current_limit
    return {
        "limits": [
            (str(one.limit), one.key, one.breached, one.shared, rest and one.remaining)
            for one in limiter.current_limits
        ],
        "chosen": chosen and chosen.key,
    }


def app_of(module: ModuleType, clock: Clock, seed: int) -> tuple[Flask, list[str], list[Any], set[str]]:
    chance = random.Random(seed)
    heard: list[Any] = []
    # Of what the answer decides, the view sees another rest: that is in the tables.
    taken = {"deduct"} if chance.random() < 0.3 else set()
    # What costs more than is left, and is refused, they charge.
    taken |= {"cost"} if chance.random() < 0.3 else set()

    def hear(limit: Any) -> None:
        heard.append((limit.key, limit.breached))

    def perhaps(*values: Any) -> Any:
        return chance.choice((..., *values))

    arguments = {
        "default_limits": perhaps([text_of(chance, taken)], [text_of(chance, taken), text_of(chance, taken)]),
        "default_limits_per_method": perhaps(True),
        "default_limits_exempt_when": perhaps(is_exempt),
        "application_limits": perhaps(["15/day"], ["16/hour"], [lambda: "17/day"]),
        "application_limits_cost": perhaps(2) if "cost" in taken else ...,
        "RATELIMIT_DEFAULT": perhaps("14/hour"),
        "RATELIMIT_KEY_PREFIX": perhaps("shop"),
        "RATELIMIT_HEADER_LIMIT": perhaps("X-Most"),
        "headers_enabled": perhaps(True),
        "strategy": chance.choice(["fixed-window"] * 3 + ["moving-window", "sliding-window-counter"]),
        "on_breach": perhaps(hear),
        "fail_on_first_breach": perhaps(False),
        "meta_limits": perhaps(["2/hour"]),
        "retry_after": perhaps("http-date"),
    }
    app, limiter = limiter_app(module, clock, **{key: one for key, one in arguments.items() if one is not ...})
    scope = module.ExemptionScope
    flags = [
        {},
        {"flags": scope.DEFAULT},
        {"flags": scope.APPLICATION},
        {"flags": scope.APPLICATION | scope.DEFAULT},
        {"flags": scope.DEFAULT | scope.ANCESTORS},
    ]
    parent, child = Blueprint("parent", "p", url_prefix="/p"), Blueprint("child", "c", url_prefix="/c")
    # Where both have limits, theirs are in the order of a set of words.
    limited = chance.choice([parent, child, None])
    for blueprint in (parent, child):
        if blueprint is limited:
            put(chance, limiter, blueprint, taken)
        if chance.random() < 0.3:
            limiter.exempt(blueprint, **chance.choice(flags))
    paths = []
    for where, prefix in ((app, ""), (parent, "/p"), (child, "/p/c")):
        for nth in range(2):
            name = f"{prefix.replace('/', '_')}view{nth}"
            view: Any = view_of(name, limiter, "deduct" not in taken)
            if chance.random() < 0.5:
                view = put(chance, limiter, view, taken)
            elif chance.random() < 0.3:
                view = limiter.exempt(view, **chance.choice(flags[:4]))
            where.add_url_rule(f"/v{nth}", name, view, methods=["GET", "POST"])
            paths.append(f"{prefix}/v{nth}")
    parent.register_blueprint(child)
    app.register_blueprint(parent)
    if chance.random() < 0.5:

        @app.errorhandler(429)
        def refused(error: Any) -> Any:
            return jsonify(why=error.description, limit=str(error.limit.limit), **told(limiter, False)), 429

    return app, paths, heard, taken


def said(app: Flask, path: str, asked: dict[str, Any], strategy: str, taken: set[str]) -> Any:
    answer = app.test_client().open(path, **asked)
    headers = {name: value for name, value in answer.headers if name.startswith("X-")}
    if strategy == "fixed-window" and headers:
        headers["Retry-After"] = answer.headers.get("Retry-After", "")
    else:
        headers.pop("X-RateLimit-Reset", None)
    if answer.status_code == 429 and "cost" in taken:
        headers = {}
    return answer.status_code, answer.text, headers


@pytest.mark.parametrize("seed", range(SEEDS))
def test_both_say_the_same_to_the_same_requests(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = standing_clock(monkeypatch)
    apps = {name: app_of(module, clock, seed) for name, module in LIMITER_FACES.items()}
    theirs, paths, heard, taken = apps["theirs"]
    ours, _, heard_here, _ = apps["ours"]
    [limiter] = theirs.extensions["limiter"]
    chance = random.Random(seed)
    different = []
    for _ in range(REQUESTS):
        path = chance.choice([*paths, "/nowhere"])
        headers = {"X-Key": chance.choice("ab"), "X-Status": chance.choice(["200", "200", "400"])}
        if chance.random() < 0.1:
            headers["X-Exempt"] = "1"
        asked = {
            "method": chance.choice(["GET", "GET", "GET", "POST", "OPTIONS", "PUT"]),
            "headers": headers,
            "environ_base": {"REMOTE_ADDR": chance.choice(["192.0.2.1", "192.0.2.1", "192.0.2.2"])},
        }
        found = [said(app, path, asked, limiter._strategy, taken) for app in (theirs, ours)]
        if found[0] != found[1] or found[1][0] == 500 or (heard != heard_here and "cost" not in taken):
            different.append((path, asked, *found, heard[-2:], heard_here[-2:]))
        if found[0][0] == 429:
            clock.advance(TWO_DAYS)
    assert not different, json.dumps(different[0], indent=1, default=str)
