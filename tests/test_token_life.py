"""The life of a token: begun, renewed, copied, revoked; by one process here, by many in test_token_workers."""

# ruff: noqa: F401, F811 - fixtures come from a module

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from flask import Flask

from flask_rampart import Clock, ConfigError, current_principal, require
from flask_rampart.stores import StoreError
from flask_rampart.tokens import TokenPair
from flask_rampart.tokens.families import KIND

from .conftest import NOW, SECRET
from .living import app, claims_of, get, pem, refused, tokens_of

App = Callable[..., Flask]


# A login.


def test_a_login_is_a_short_and_a_long_token_of_one_family(app: Flask) -> None:
    pair = tokens_of(app).issue_pair("ada", scopes="read write", roles=["staff"], claims={"tier": "gold"})
    access, refresh = claims_of(pair.access), claims_of(pair.refresh)
    assert access["sid"] == refresh["sid"] == pair.family
    assert (access["exp"] - access["iat"], refresh["exp"] - refresh["iat"]) == (900, 30 * 86400)
    assert (access["scope"], access["roles"], access["tier"], access["fresh"]) == (
        "read write",
        ["staff"],
        "gold",
        True,
    )
    assert get(app, pair.access) == 200


def test_the_answer_of_a_token_endpoint_is_that_of_rfc_6749(app: Flask) -> None:
    pair = tokens_of(app).issue_pair("ada", scopes="read")
    with app.test_request_context():
        answer = pair.response()
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.get_json() == {
        "access_token": pair.access,
        "token_type": "Bearer",
        "expires_in": 900,
        "refresh_token": pair.refresh,
        "scope": "read",
    }


def test_a_refresh_token_opens_nothing_and_an_access_token_renews_nothing(app: Flask) -> None:
    # RFC 8725 section 3.11; Flask-JWT-Extended takes any type but "refresh".
    pair = tokens_of(app).issue_pair("ada")
    assert get(app, pair.refresh) == 401
    assert refused(lambda: tokens_of(app).refresh(pair.access)) == ("token.invalid", "type")


def test_a_type_that_would_let_refresh_tokens_in_stops_the_start(make_app: App) -> None:
    for typ in ("refresh+jwt", "application/Refresh+JWT"):
        with pytest.raises(ConfigError, match="refresh tokens"):
            make_app(RAMPART_JWT_TYPES=["JWT", typ])


def test_nothing_of_a_pair_is_in_its_repr(app: Flask) -> None:
    pair = tokens_of(app).issue_pair("ada")
    text = repr(pair)
    assert pair.access not in text
    assert pair.refresh not in text
    assert pair.csrf not in text


# Renewal.


def test_a_refresh_gives_the_next_pair_of_the_login(app: Flask, clock: Clock) -> None:
    first = tokens_of(app).issue_pair("ada", scopes="read", roles=["staff"], claims={"tier": "gold"})
    clock.advance(600)
    second = tokens_of(app).refresh(first.refresh)
    claims = claims_of(second.access)
    assert (claims["scope"], claims["roles"], claims["tier"]) == ("read", ["staff"], "gold")
    assert (second.family, claims["auth_time"], claims["fresh"]) == (first.family, NOW, False)
    assert claims_of(second.refresh)["jti"] != claims_of(first.refresh)["jti"]
    assert get(app, second.access) == 200
    # An access token that was given out before lives on until it expires.
    assert get(app, first.access) == 200


def test_a_lost_answer_is_given_again_within_the_overlap(app: Flask, clock: Clock) -> None:
    first = tokens_of(app).issue_pair("ada")
    second = tokens_of(app).refresh(first.refresh)
    clock.advance(9)
    again = tokens_of(app).refresh(first.refresh)
    assert again.refresh == second.refresh


def test_a_tab_that_is_behind_by_two_gets_the_newest(app: Flask, clock: Clock) -> None:
    first = tokens_of(app).issue_pair("ada")
    second = tokens_of(app).refresh(first.refresh)
    third = tokens_of(app).refresh(second.refresh)
    clock.advance(5)
    assert tokens_of(app).refresh(first.refresh).refresh == third.refresh


def test_a_copy_that_comes_back_after_the_overlap_ends_the_login(app: Flask, clock: Clock) -> None:
    # RFC 9700 section 4.14.2.
    first = tokens_of(app).issue_pair("ada")
    second = tokens_of(app).refresh(first.refresh)
    clock.advance(10)
    assert refused(lambda: tokens_of(app).refresh(first.refresh)) == ("token.invalid", "reused")
    assert refused(lambda: tokens_of(app).refresh(second.refresh)) == ("token.invalid", "revoked")
    assert get(app, second.access) == 401
    assert get(app, first.access) == 401


def test_another_login_of_the_same_subject_lives_on(app: Flask, clock: Clock) -> None:
    one, other = tokens_of(app).issue_pair("ada"), tokens_of(app).issue_pair("ada")
    tokens_of(app).refresh(one.refresh)
    clock.advance(11)
    refused(lambda: tokens_of(app).refresh(one.refresh))
    assert get(app, other.access) == 200
    assert tokens_of(app).refresh(other.refresh).family == other.family


def test_a_refresh_token_ends_at_its_time_and_a_login_at_its_latest(make_app: App, clock: Clock) -> None:
    app = make_app(RAMPART_JWT_REFRESH_LIFETIME=1000, RAMPART_JWT_FAMILY_LIFETIME=1500, RAMPART_JWT_LEEWAY=0)
    tokens = tokens_of(app)
    pair = tokens.issue_pair("ada")
    clock.advance(999)
    second = tokens.refresh(pair.refresh)
    # What is left of the login, and no more, for both.
    assert (second.refresh_expires_in, second.expires_in) == (501, 501)
    clock.advance(500)
    third = tokens.refresh(second.refresh)
    assert third.expires_in == 1
    clock.advance(1)
    assert refused(lambda: tokens.refresh(third.refresh))[0] == "token.expired"
    assert refused(lambda: tokens.verify(third.access))[0] == "token.expired"


def test_sixteen_threads_with_one_refresh_token_make_one_member(app: Flask) -> None:
    tokens = tokens_of(app)
    first = tokens.issue_pair("ada")
    got: list[str] = []
    gate = threading.Barrier(16)

    def refresh() -> None:
        gate.wait()
        got.append(tokens.refresh(first.refresh).refresh)

    threads = [threading.Thread(target=refresh) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 16
    assert len(set(got)) == 1
    assert tokens.refresh(got[0]).family == first.family


def test_callers_at_once_get_one_member_also_without_an_overlap(make_app: App, clock: Clock) -> None:
    # Whoever lost the race came before its end, however long the store then let it wait.
    tokens = tokens_of(make_app(RAMPART_JWT_REFRESH_OVERLAP=0))
    first = tokens.issue_pair("ada")
    store = tokens._families._records.store  # type: ignore[union-attr]
    real = store.replace

    def lose(*args: Any, **more: Any) -> bool:
        store.replace = real
        other.append(tokens.refresh(first.refresh))
        clock.advance(5)
        return real(*args, **more)

    other: list[TokenPair] = []
    store.replace = lose  # type: ignore[method-assign]
    assert tokens.refresh(first.refresh).refresh == other[0].refresh
    assert refused(lambda: tokens.refresh(first.refresh)) == ("token.invalid", "reused")


def test_a_client_that_renews_without_end_is_no_thief(app: Flask) -> None:
    tokens = tokens_of(app)
    first = pair = tokens.issue_pair("ada")
    for _ in range(40):
        pair = tokens.refresh(pair.refresh)
    assert tokens.refresh(first.refresh).refresh == pair.refresh


def test_what_cannot_be_made_costs_nobody_the_login(app: Flask, clock: Clock, monkeypatch: Any) -> None:
    tokens = tokens_of(app)
    pair = tokens.issue_pair("ada")

    def fail(*_: Any) -> str:
        raise ConfigError("no key")

    with monkeypatch.context() as patch:
        patch.setattr(type(tokens._maker), "_sign", fail)
        with pytest.raises(ConfigError):
            tokens.refresh(pair.refresh)
    clock.advance(60)
    assert tokens.refresh(pair.refresh).family == pair.family


def test_a_login_is_over_at_its_latest_whatever_the_leeway(make_app: App, clock: Clock) -> None:
    tokens = tokens_of(make_app(RAMPART_JWT_FAMILY_LIFETIME=1000, RAMPART_JWT_LEEWAY=600))
    pair = tokens.issue_pair("ada")
    clock.advance(999)
    pair = tokens.refresh(pair.refresh)
    assert (pair.expires_in, pair.refresh_expires_in) == (1, 1)
    clock.advance(1)
    assert refused(lambda: tokens.refresh(pair.refresh)) == ("token.expired", "login over")


def test_stricter_settings_reach_logins_that_are_there(make_app: App, clock: Clock) -> None:
    pair = tokens_of(make_app(RAMPART_JWT_LIFETIME=86400)).issue_pair("ada")
    own = tokens_of(make_app()).issue_pair("ada", lifetime=7200)
    clock.advance(600)
    strict = tokens_of(make_app(RAMPART_JWT_LIFETIME=300, RAMPART_JWT_FAMILY_LIFETIME=3600))
    renewed = strict.refresh(pair.refresh)
    assert (renewed.expires_in, renewed.refresh_expires_in) == (300, 3000)
    # What the caller asked for stays, as far as the login goes.
    assert strict.refresh(own.refresh).expires_in == 3000


def test_an_app_says_what_is_different_from_now_on(app: Flask) -> None:
    tokens = tokens_of(app)
    pair = tokens.issue_pair("ada", scopes="read write", roles=["admin"], claims={"tier": "gold"})
    pair = tokens.refresh(pair.refresh, renew=lambda login: {"roles": ["staff"]} if "admin" in login.roles else None)
    claims = claims_of(pair.access)
    assert (claims["roles"], claims["scope"], claims["tier"]) == (["staff"], "read write", "gold")
    pair = tokens.refresh(pair.refresh)
    assert claims_of(pair.access)["roles"] == ["staff"]
    with pytest.raises(ValueError, match="renew"):
        tokens.refresh(pair.refresh, renew=lambda login: {"sub": "eve"})

    def gone(login: Any) -> None:
        raise LookupError(login.subject)

    assert refused(lambda: tokens.refresh(pair.refresh, renew=gone)) == ("token.invalid", "subject is gone")
    assert get(app, pair.access) == 401


def test_a_number_is_a_subject_and_a_none_is_no_token(app: Flask) -> None:
    tokens = tokens_of(app)
    assert tokens.verify(tokens.issue_pair(7).access).id == "7"
    assert [login.subject for login in tokens.logins(7)] == ["7"]
    for wrong in (None, 7, b"x", ["x"]):
        assert refused(lambda wrong=wrong: tokens.refresh(wrong))[0] == "token.invalid"  # type: ignore[misc]
        assert refused(lambda wrong=wrong: tokens.verify(wrong))[0] == "token.invalid"  # type: ignore[misc]


def test_a_refresh_token_is_for_nobody_else(app: Flask) -> None:
    # RFC 8725 section 3.12: others that verify by our keys may not look at the type.
    pair = tokens_of(app).issue_pair("ada")
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(pair.refresh, SECRET, ["HS256"], {"verify_iat": False, "verify_nbf": False}, audience="api")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda token: token[:-2] + ("AA" if token[-2:] != "AA" else "BB"),
        lambda token: "",
        lambda token: "a.b.c",
        lambda token: token + "." + token,
        lambda token: token.replace(".", "..", 1),
    ],
)
def test_a_forged_refresh_token_asks_no_store(app: Flask, wrong: Callable[[str], str], monkeypatch: Any) -> None:
    tokens = tokens_of(app)
    token = wrong(tokens.issue_pair("ada").refresh)
    monkeypatch.setattr(type(tokens._families), "follow", lambda *_: pytest.fail("the store was asked"))
    assert refused(lambda: tokens.refresh(token))[0] == "token.invalid"


def test_a_login_that_the_store_does_not_know_is_not_renewed(app: Flask) -> None:
    tokens = tokens_of(app)
    pair = tokens.issue_pair("ada")
    tokens._families._records.store.delete(KIND, pair.family)  # type: ignore[union-attr]
    assert refused(lambda: tokens.refresh(pair.refresh)) == ("token.invalid", "unknown family")


def test_a_store_that_fails_renews_nothing(app: Flask, monkeypatch: Any) -> None:
    tokens = tokens_of(app)
    pair = tokens.issue_pair("ada")

    def fail(*_: Any) -> None:
        raise StoreError("away")

    monkeypatch.setattr(type(tokens._families._records.store), "get", fail)  # type: ignore[union-attr]
    with pytest.raises(StoreError):
        tokens.refresh(pair.refresh)


# Fresh.


def test_only_what_was_proved_just_now_is_fresh(app: Flask) -> None:
    tokens = tokens_of(app)
    assert "fresh" not in claims_of(tokens.issue("ada"))
    fresh = claims_of(tokens.issue("ada", fresh=True))
    assert (fresh["fresh"], fresh["auth_time"]) == (True, NOW)
    for name in ("fresh", "auth_time", "sid", "csrf", "cnf", "act"):
        with pytest.raises(ValueError, match="not for claims="):
            tokens.issue("ada", claims={name: True})


# Published keys.


def test_public_keys_are_served_and_secrets_never(make_app: App) -> None:
    with pytest.raises(ConfigError, match="no public key"):
        make_app(RAMPART_JWKS_PATH="/keys")
    app = make_app(
        RAMPART_JWKS_PATH="/.well-known/jwks.json",
        RAMPART_DEFAULT="deny",
        RAMPART_JWT_KEYS=[
            {"kid": "2027", "alg": "ES256", "pem": pem()},
            {"kid": "2026", "alg": "ES256", "pem": pem(), "verify_only": True},
        ],
    )
    answer = app.test_client().get("/.well-known/jwks.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/jwk-set+json")
    assert "max-age=300" in answer.headers["Cache-Control"]
    keys = json.loads(answer.data)["keys"]
    assert [key["kid"] for key in keys] == ["2027", "2026"]
    assert not {"d", "p", "q", "k"} & {name for key in keys for name in key}


PUBLISHED = {"RAMPART_JWKS_PATH": "/keys", "RAMPART_JWT_KEYS": [{"kid": "k", "alg": "ES256", "pem": pem()}]}


def test_published_keys_are_read_by_pages_of_other_sites_and_not_sent_twice(make_app: App) -> None:
    client = make_app(**PUBLISHED).test_client()
    answer = client.get("/keys")
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    again = client.get("/keys", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", answer.headers["ETag"])
    assert again.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert client.get("/keys", headers={"If-None-Match": '"another"'}).data == answer.data
    # Workers with the same keys agree, and other keys are told apart.
    assert make_app(**PUBLISHED).test_client().get("/keys").headers["ETag"] == answer.headers["ETag"]
    other = {**PUBLISHED, "RAMPART_JWT_KEYS": [{"kid": "k", "alg": "ES256", "pem": pem()}]}
    assert make_app(**other).test_client().get("/keys").headers["ETag"] != answer.headers["ETag"]


@pytest.mark.parametrize("path", ["/keys", "/keys/"])
def test_a_route_of_the_apps_own_where_keys_are_published_stops_the_start_up(make_app: App, path: str) -> None:
    app = make_app(**PUBLISHED)
    app.get(path, endpoint="mine")(lambda: "mine")
    with pytest.raises(ConfigError, match=r"mine has the route /keys.* RAMPART_JWKS_PATH"):
        app.extensions["rampart"].seal()


def test_what_is_beside_the_published_keys_is_no_route_there(make_app: App) -> None:
    app = make_app(**PUBLISHED)
    app.post("/keys")(lambda: "posted")
    app.get("/<path:rest>")(lambda rest: rest)
    app.add_url_rule("/keys", "elsewhere", build_only=True)
    client = app.test_client()
    assert client.post("/keys").text == "posted" and client.get("/keysx").text == "keysx"
    assert client.get("/keys").mimetype == "application/jwk-set+json"


def test_another_app_verifies_by_the_published_keys(make_app: App) -> None:
    issuer = make_app(
        RAMPART_JWKS_PATH="/keys",
        RAMPART_JWT_KEYS=[{"kid": "k", "alg": "ES256", "pem": pem()}],
        RAMPART_JWT_ISSUER="https://id.example",
        RAMPART_JWT_AUDIENCE="https://api.example",
    )
    jwks = json.loads(issuer.test_client().get("/keys").data)
    api = make_app(
        RAMPART_JWT_KEYS=...,
        RAMPART_ISSUERS=[{"issuer": "https://id.example", "audience": "https://api.example", "jwks": jwks}],
    )
    api.get("/me")(require()(lambda: current_principal.id))
    pair = tokens_of(issuer).issue_pair("ada")
    assert get(api, pair.access) == 200
    assert get(api, pair.refresh) == 401
