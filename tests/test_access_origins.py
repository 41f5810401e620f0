"""Schemes of the app's own beside Rampart's: what they find stays what it is, and what they read is read once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, request

from flask_rampart import (
    Clock,
    Identity,
    Rampart,
    current_principal,
    limit,
    require,
)

from .conftest import KEYS, NOW, Named, bearer

Sign = Callable[..., str]
Make = Callable[..., Flask]


@pytest.fixture
def rampart(clock: Clock) -> Rampart:
    return Rampart(clock=clock)


@pytest.fixture
def make(rampart: Rampart) -> Make:
    def made(**config: Any) -> Flask:
        app = Named(__name__)
        app.config.update(
            RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", RAMPART_JWT_KEYS=KEYS, RAMPART_API_KEYS=True
        )
        app.config.update(config)
        app.testing = True
        rampart.init_app(app)
        return app

    return made


def ask(app: Flask, path: str = "/", **headers: str) -> tuple[int, str]:
    cookie = {"HTTP_COOKIE": headers.pop("Cookie")} if "Cookie" in headers else {}
    answer = app.test_client(use_cookies=False).get(path, headers=headers, environ_overrides=cookie)
    return answer.status_code, answer.json["code"] if answer.is_json else answer.get_data(as_text=True)


def who() -> str:
    return f"{current_principal.kind} {current_principal.id}"


def by_cookie(rampart: Rampart) -> None:
    """A scheme that takes API keys from a cookie, and one that takes tokens from a field of their own."""
    rampart.scheme("shop")(lambda: rampart.api_keys.verify(key) if (key := request.cookies.get("key")) else None)
    rampart.scheme("relay", header="X-Relay")(lambda value: rampart.tokens.verify(value))


# What was found stays what it is


def test_an_api_key_that_a_scheme_found_tells_no_age(make: Make, rampart: Rampart) -> None:
    by_cookie(rampart)
    app = make()
    app.get("/")(require("shop")(lambda: who()))
    app.get("/fresh")(require("shop", fresh=True)(lambda: "ok"))
    app.get("/recent")(require("shop", max_age=60)(lambda: "ok"))
    with app.app_context():
        key = rampart.api_keys.create("k", owner="ada", claims={"fresh": True, "auth_time": NOW}).key
    assert ask(app, Cookie=f"key={key}") == (200, "shop ada")
    assert ask(app, "/fresh", Cookie=f"key={key}") == ask(app, "/recent", Cookie=f"key={key}") == (401, "auth.stale")


def test_an_api_key_that_a_scheme_found_keeps_its_own_quota(make: Make, rampart: Rampart) -> None:
    by_cookie(rampart)
    app = make()
    app.get("/")(require("shop", "api_key")(lambda: "ok"))
    with app.app_context():
        key = rampart.api_keys.create("k", quota="2/minute").key
    assert [ask(app, Cookie=f"key={key}")[0] for _ in range(2)] == [200, 200]
    assert ask(app, Cookie=f"key={key}") == ask(app, **{"X-API-Key": key}) == (429, "limit.exceeded")


@pytest.mark.parametrize("by", ["api_key", "principal"])
def test_limits_count_an_api_key_the_same_whichever_scheme_found_it(make: Make, rampart: Rampart, by: str) -> None:
    by_cookie(rampart)
    app = make()
    app.get("/")(require("shop", "api_key", "jwt")(limit("1/minute", by=by)(lambda: "ok")))
    with app.app_context():
        key, other = (rampart.api_keys.create("k").key for _ in range(2))
    assert ask(app, Cookie=f"key={key}") == (200, "ok")
    assert ask(app, **{"X-API-Key": key}) == (429, "limit.exceeded")
    assert ask(app, Cookie=f"key={other}") == (200, "ok")


def test_a_nameless_api_key_never_counts_as_whom_a_token_names_so(make: Make, rampart: Rampart, token: Sign) -> None:
    by_cookie(rampart)
    app = make()
    app.get("/")(require("shop", "jwt")(limit("1/minute", by="principal")(lambda: "ok")))
    with app.app_context():
        new = rampart.api_keys.create("k")
    assert ask(app, **bearer(token(sub=f"key:{new.id}"))) == (200, "ok")
    assert ask(app, Cookie=f"key={new.key}") == (200, "ok")


def test_whom_a_scheme_names_shares_no_quota_with_whom_a_token_names_so(
    make: Make, rampart: Rampart, token: Sign
) -> None:
    by_cookie(rampart)
    rampart.scheme("a", header="X-A")(lambda value: Identity(value))
    rampart.scheme("b", header="X-B")(lambda value: Identity(value))
    app = make()
    app.get("/")(require()(limit("1/minute", by="principal")(lambda: "ok")))
    assert ask(app, **bearer(token())) == (200, "ok")
    assert ask(app, **{"X-A": "ada"}) == ask(app, **{"X-B": "ada"}) == (200, "ok")
    # A token is the same one, whichever scheme found it.
    for again in ({"X-A": "ada"}, {"X-B": "ada"}, bearer(token()), {"X-Relay": token()}):
        assert ask(app, **again) == (429, "limit.exceeded")
