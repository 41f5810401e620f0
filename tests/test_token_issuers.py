"""Tokens of ours beside those of others: revocation of both, places, signals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, request

from flask_rampart import Clock, ConfigError, Rampart, current_principal, require, signals
from flask_rampart.issuers import Issuers
from flask_rampart.tokens import Tokens

from .conftest import KEYS, NOW, bearer
from .issuing import AUDIENCE, ISSUER, jwks, new_key, token_of

App = Callable[..., Flask]
KEY = new_key("theirs")


def tokens_of(app: Flask) -> Tokens:
    found: Tokens = app.extensions["rampart"].services[Tokens]
    return found


@pytest.fixture
def both(make_app: App) -> App:
    """Makes an app that issues tokens, and takes another issuer's."""

    def make(**config: Any) -> Flask:
        app = make_app(
            RAMPART_ISSUERS=[{"issuer": ISSUER, "audience": AUDIENCE, "jwks": jwks(KEY)}],
            RAMPART_JWT_ISSUER="https://own.example",
            **config,
        )
        app.add_url_rule("/me", "me", require()(lambda: current_principal.id), methods=["GET", "POST"])

        @app.post("/logout")
        @require()
        def logout() -> str:
            tokens_of(app).logout()
            return ""

        return app

    return make


def get(app: Flask, token: str) -> int:
    return app.test_client().get("/me", headers=bearer(token)).status_code


def test_anothers_token_is_taken_back_like_ours(both: App) -> None:
    app = both()
    theirs, other = token_of(KEY, jti="1", iat=NOW - 5), token_of(KEY, jti="2", iat=NOW - 5)
    assert (get(app, theirs), get(app, other)) == (200, 200)
    with app.app_context():
        tokens_of(app).revoke(app.extensions["rampart"].services[Issuers].verify(theirs))
    assert (get(app, theirs), get(app, other)) == (401, 200)
    tokens_of(app).revoke_subject("ada", issuer=ISSUER)
    assert get(app, other) == 401
    # By its time of issue: what was issued from then on is good.
    assert get(app, token_of(KEY, jti="3", iat=NOW)) == 200
    # Ours has the same name, and is somebody else.
    assert get(app, tokens_of(app).issue("ada")) == 200
    tokens_of(app).revoke_subject("ada")
    assert get(app, token_of(KEY, jti="3", iat=NOW)) == 200


def test_logging_out_with_anothers_token_ends_that_token_and_no_login_of_ours(both: App) -> None:
    app = both()
    login = tokens_of(app).issue_pair("ada")
    # A `sid` is their own affair, and may read like ours.
    theirs = token_of(KEY, jti="1", sid=login.family)
    assert app.test_client().post("/logout", headers=bearer(theirs)).status_code == 200
    assert (get(app, theirs), get(app, login.access)) == (401, 200)


def test_an_app_without_keys_revokes_where_it_is_told_to(make_app: App) -> None:
    issuers = [{"issuer": ISSUER, "audience": AUDIENCE, "jwks": jwks(KEY)}]
    assert make_app(RAMPART_JWT_KEYS=..., RAMPART_ISSUERS=issuers)
    writer = make_app(RAMPART_ISSUERS=issuers, RAMPART_JWT_ISSUER="https://own.example")
    reader = make_app(RAMPART_JWT_KEYS=..., RAMPART_ISSUERS=issuers, RAMPART_JWT_REVOCATION=True)
    reader.get("/me")(require()(lambda: "ok"))
    token = token_of(KEY, jti="1", iat=NOW - 1)
    assert get(reader, token) == 200
    tokens_of(writer).revoke_subject("ada", issuer=ISSUER)
    assert get(reader, token) == 401


def test_settings_about_tokens_without_any_stop_the_start(make_app: App) -> None:
    with pytest.raises(ConfigError, match="RAMPART_JWKS_PATH"):
        make_app(RAMPART_JWT_KEYS=..., RAMPART_JWKS_PATH="/keys")
    with pytest.raises(ConfigError, match="RAMPART_JWT_REVOCATION"):
        make_app(RAMPART_JWT_KEYS=..., RAMPART_JWT_REVOCATION=True)
    with pytest.raises(ConfigError, match="RAMPART_DPOP"):
        make_app(RAMPART_DPOP="required", RAMPART_JWT_LOCATIONS=["header", "cookie"])


def test_places_hold_tokens_of_ours_beside_anothers_header(both: App) -> None:
    app = both(RAMPART_JWT_LOCATIONS=["cookie"])
    client = app.test_client()
    assert client.get("/me", headers=bearer(token_of(KEY))).status_code == 200
    # In a header, ours is not looked for here.
    assert client.get("/me", headers=bearer(tokens_of(app).issue("ada"))).status_code == 401
    client.set_cookie("__Host-access_token", tokens_of(app).issue("ada"))
    assert client.get("/me").status_code == 200
    assert client.post("/me").status_code == 403
    assert client.get("/me", headers=bearer(token_of(KEY))).status_code == 400
    client.set_cookie("__Host-access_token", token_of(KEY))
    assert client.get("/me").status_code == 401


def test_each_step_of_a_tokens_life_is_told_to_who_listens(make_app: App, clock: Clock, caplog: Any) -> None:
    app = make_app()
    tokens = tokens_of(app)
    heard: list[tuple[str, dict[str, Any]]] = []
    kept = []
    for name in ("token_issued", "token_refreshed", "token_revoked", "refresh_reused"):

        def listen(sender: Flask, name: str = name, **facts: Any) -> None:
            heard.append((name, facts))

        kept.append(listen)
        getattr(signals, name).connect(listen, app)
    pair = tokens.issue_pair("ada")
    tokens.refresh(pair.refresh)
    clock.advance(11)
    with pytest.raises(Exception, match="token"):
        tokens.refresh(pair.refresh)
    tokens.revoke(tokens.issue("bob"))
    tokens.revoke_subject("cy")
    assert [name for name, _ in heard] == [
        "token_issued",
        "token_refreshed",
        "refresh_reused",
        "token_issued",
        "token_revoked",
        "token_revoked",
    ]
    assert heard[2][1]["subject"] == "ada"
    assert heard[2][1]["family"] == pair.family
    told = repr(heard) + caplog.text
    assert "came a second time" in caplog.text
    assert pair.refresh not in told
    assert pair.access not in told


def test_a_receiver_that_fails_undoes_nothing(make_app: App) -> None:
    app = make_app()
    app.get("/me")(require()(lambda: "ok"))

    def fail(sender: Flask, **_: Any) -> None:
        raise RuntimeError("receiver")

    signals.token_revoked.connect(fail, app)
    token = tokens_of(app).issue("ada")
    tokens_of(app).revoke(token)
    assert get(app, token) == 401


def test_logging_out_ends_the_token_of_a_scheme_of_the_apps_own(make_app: App) -> None:
    app = Flask("shop")
    app.testing = True
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_JWT_KEYS=KEYS, RAMPART_API_KEYS=True)
    rampart = Rampart(clock=Clock.manual(NOW))

    @rampart.scheme("session")
    def session() -> Any:
        token = request.cookies.get("t")
        return rampart.tokens.verify(token) if token else None

    rampart.init_app(app)

    @app.post("/logout")
    @require()
    def logout() -> str:
        rampart.tokens.logout()
        return "logged out"

    app.add_url_rule("/me", "me", require()(lambda: current_principal.id))
    for issue in (lambda: rampart.tokens.issue("ada"), lambda: rampart.tokens.issue_pair("ada").access):
        with app.app_context():
            client = app.test_client()
            client.set_cookie("t", issue())
        assert client.get("/me").status_code == 200
        assert client.post("/logout").text == "logged out"
        assert client.get("/me").status_code == 401
    # What cannot be ended is not said to have been.
    with app.app_context():
        key = rampart.api_keys.create("nightly").key
    with pytest.raises(TypeError, match="api_key"):
        app.test_client().post("/logout", headers={"X-API-Key": key})
