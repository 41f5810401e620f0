"""Schemes of the app's own beside Rampart's: what they find stays what it is, and what they read is read once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, request

from flask_rampart import (
    Clock,
    Denied,
    Identity,
    Rampart,
    current_principal,
    has_permission,
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
        if not config.get("RAMPART_JWT_KEYS", True):
            del app.config["RAMPART_JWT_KEYS"]
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


# What others wrote into a credential


def test_an_api_keys_metadata_gives_no_permission_and_names_no_audience(
    make: Make, rampart: Rampart, token: Sign
) -> None:
    by_cookie(rampart)
    app = make(
        RAMPART_JWT_PERMISSIONS_CLAIM="perms", RAMPART_ROLES={"ops": {"permissions": ["p"]}}, RAMPART_JWT_AUDIENCE="api"
    )
    app.get("/")(require(permissions="p")(lambda: "ok"))
    app.get("/aud")(require(audience="api")(lambda: "ok"))
    app.get("/has")(require()(lambda: str(has_permission("p"))))
    with app.app_context():
        key = rampart.api_keys.create("k", claims={"perms": ["p"], "aud": "api"}).key
        ops = rampart.api_keys.create("k", roles=["ops"]).key
    for field in ({"X-API-Key": key}, {"Cookie": f"key={key}"}):
        assert ask(app, **field) == (403, "auth.permission")
        assert ask(app, "/aud", **field) == (403, "auth.audience")
        assert ask(app, "/has", **field) == (200, "False")
    assert ask(app, **{"X-API-Key": ops}) == ask(app, Cookie=f"key={ops}") == (200, "ok")
    # A token that a scheme found states what it states.
    signed = token(perms=["p"], aud="api")
    assert ask(app, **bearer(signed)) == ask(app, **{"X-Relay": signed}) == (200, "ok")
    assert ask(app, "/aud", **bearer(signed)) == ask(app, "/aud", **{"X-Relay": signed}) == (200, "ok")


def test_an_identity_has_the_permissions_of_its_roles_and_not_of_its_claims(make: Make, rampart: Rampart) -> None:
    rampart.scheme("a", header="X-A")(lambda value: Identity("ada", roles=[value], claims={"perms": ["p"]}))
    app = make(RAMPART_JWT_PERMISSIONS_CLAIM="perms", RAMPART_ROLES={"ops": {"permissions": ["p"]}})
    app.get("/")(require(permissions="p")(lambda: "ok"))
    assert ask(app, **{"X-A": "ops"}) == (200, "ok")
    assert ask(app, **{"X-A": "other"}) == (403, "auth.permission")


# Beside a session


def session(rampart: Rampart, name: str = "session", **words: Any) -> None:
    """A scheme that reads a cookie, which a browser sends along with whatever else."""
    rampart.scheme(name, **words)(lambda: Identity(who) if (who := request.cookies.get(name)) else None)


@pytest.mark.parametrize("keys", [True, False])
@pytest.mark.parametrize("optional", [False, True])
def test_a_mistake_beside_a_session_is_not_served_as_the_sessions_user(
    make: Make, rampart: Rampart, token: Sign, optional: bool, keys: bool
) -> None:
    session(rampart)
    # Also where the session is all that the app knows.
    app = make(RAMPART_JWT_KEYS=KEYS if keys else None, RAMPART_API_KEYS=keys)
    app.get("/")(require(optional=optional)(lambda: who()))
    app.get("/session")(require("session", optional=optional)(lambda: who()))
    for path in ("/", "/session"):
        for stray in (token(), "Basic YWRhOng=", "Token x", "Sessionx y", "Negotiate YII=", "x"):
            assert ask(app, path, Cookie="session=ada", Authorization=stray) == (400, "auth.ambiguous"), stray
        # What says nothing is nothing.
        for nothing in ("", " ", *(("Bearer", "bearer ") if keys else ())):
            assert ask(app, path, Cookie="session=ada", Authorization=nothing) == (200, "session ada")
        assert ask(app, path, Cookie="session=ada") == (200, "session ada")


def test_a_scheme_that_reads_authorization_itself_names_its_word(make: Make, rampart: Rampart) -> None:
    @rampart.scheme("signed", challenge="Signature")
    def signed() -> Identity | None:
        word, _, value = request.headers.get("Authorization", "").partition(" ")
        return Identity(value) if word == "Signature" else None

    app = make()
    app.get("/")(require()(lambda: who()))
    assert ask(app, Authorization="Signature ada") == (200, "signed ada")
    assert ask(app, Authorization="Other ada") == (401, "auth.missing")


def test_two_credentials_are_told_to_be_an_invalid_request(make: Make, rampart: Rampart, token: Sign) -> None:
    # RFC 6750 section 3.1.
    session(rampart)
    rampart.scheme("sig", header="X-Signature")(lambda value: Identity("partner"))
    app = make(RAMPART_API_KEYS=False)
    app.get("/")(require("jwt")(lambda: "ok"))
    get = app.test_client().get
    answer = get("/", headers={**bearer(token()), "X-Signature": "x"})
    assert answer.status_code == 400
    assert answer.headers.getlist("WWW-Authenticate") == ['Bearer realm="api", error="invalid_request"']


# Views that call views


def test_a_view_called_by_another_never_changes_who_is_calling(make: Make, rampart: Rampart) -> None:
    session(rampart, "a")
    session(rampart, "b")
    app = make()

    @require("b")
    def inner() -> str:
        return who()

    @require("b", optional=True)
    def open_inner() -> str:
        return who()

    def outer(view: Callable[[], str]) -> str:
        try:
            return view()
        except Denied as denied:
            return f"{denied.problem.code}, still {who()}"

    app.get("/")(require("a")(lambda: outer(inner)))
    app.get("/open")(require("a")(lambda: outer(open_inner)))
    assert ask(app, Cookie="a=ada; b=bob") == (200, "auth.ambiguous, still a ada")
    assert ask(app, Cookie="a=ada") == (200, "auth.missing, still a ada")
    assert ask(app, "/open", Cookie="a=ada; b=bob") == (200, "auth.ambiguous, still a ada")
    assert ask(app, "/open", Cookie="a=ada") == (200, "auth.invalid, still a ada")
