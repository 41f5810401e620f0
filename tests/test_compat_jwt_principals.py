"""Whom the face of Flask-JWT-Extended lets in, beside whom ``require`` lets in: neither is the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_rampart import ConfigError, Rampart, principal_or_none, require
from flask_rampart.compat import jwt_extended as face

from .facing import SECRET, bearer, claims_of, token_of

KEY = "kJ8s0Qw2Lz7Xv5Bn3Mt9Rp4Yh6Gd1FcAeUiO"


def app_of(**config: Any) -> tuple[Flask, Rampart]:
    """An app with tokens of both, each with a key of its own."""
    app = Flask("both")
    app.config.update(JWT_SECRET_KEY=SECRET, RAMPART_LIMIT_STORE="memory://", RAMPART_ACCESS_LOG="off")
    app.config.update(RAMPART_JWT_KEYS=[{"kid": "k", "alg": "HS256", "secret": KEY}], **config)
    rampart = Rampart(app)
    face.JWTManager(app)
    return app, rampart


def who() -> str:
    found = principal_or_none()
    return "nobody" if found is None else f"{found.id} by {found.kind}"


def nested(app: Flask) -> None:
    inner = require("jwt")(who)
    app.add_url_rule("/", view_func=face.jwt_required(verify_type=False)(lambda: inner()), endpoint="nested")


def hidden(app: Flask) -> None:
    def foreign(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda: function()  # tells nobody what it wraps

    view = face.jwt_required(verify_type=False)(foreign(require("jwt")(who)))
    app.add_url_rule("/", view_func=view, endpoint="hidden")


def preprocessed(app: Flask) -> None:
    def ask(endpoint: str | None, values: dict[str, Any] | None) -> None:
        face.verify_jwt_in_request(optional=True, verify_type=False)

    app.url_value_preprocessor(ask)
    app.add_url_rule("/", view_func=require("jwt")(who), endpoint="preprocessed")


@pytest.mark.parametrize("declare", [nested, hidden, preprocessed])
@pytest.mark.parametrize("kind", ["access", "refresh"])
def test_a_token_of_the_face_opens_nothing_that_is_behind_require(declare: Any, kind: str) -> None:
    app, _ = app_of()
    declare(app)
    answer = app.test_client().get("/", headers=bearer(token_of(claims_of(type=kind))))
    assert (answer.status_code, answer.get_json()["code"]) == (401, "token.invalid")


def test_a_token_that_both_trust_is_asked_by_both() -> None:
    app, _ = app_of(JWT_SECRET_KEY=KEY)
    nested(app)
    token = bearer(token_of(claims_of(), KEY))
    assert app.test_client().get("/", headers=token).text == "ada by jwt"


def test_no_scheme_of_an_apps_own_can_be_called_as_the_faces_principals_are() -> None:
    app, rampart = app_of()
    app.add_url_rule("/", view_func=face.jwt_required()(who))
    text = app.test_client().get("/", headers=bearer(token_of(claims_of()))).text
    assert text == "ada by compat:jwt_extended"
    with pytest.raises(ConfigError, match="compat:jwt_extended"):
        rampart.scheme(text.removeprefix("ada by "))(lambda request: None)


@pytest.mark.parametrize(("name", "status"), [("ada", 200), ("bob", 400)])
def test_nobody_is_two(name: str, status: int) -> None:
    app, _ = app_of(JWT_TOKEN_LOCATION=["cookies"])
    app.add_url_rule("/", view_func=require()(face.jwt_required()(who)))
    client = app.test_client()
    client.set_cookie("access_token_cookie", token_of(claims_of()))
    answer = client.get("/", headers=bearer(token_of(claims_of(sub=name), KEY)))
    assert answer.status_code == status
    if status == 400:
        assert answer.get_json()["code"] == "auth.ambiguous"
        assert "ada" not in answer.text and "bob" not in answer.text


def test_two_tokens_of_the_faces_are_of_one_person() -> None:
    app, _ = app_of()

    def view() -> str:
        face.verify_jwt_in_request(locations="cookies")
        return who()

    app.add_url_rule("/", view_func=face.jwt_required()(view))
    client = app.test_client()
    client.set_cookie("access_token_cookie", token_of(claims_of(jti="another")))
    assert client.get("/", headers=bearer(token_of(claims_of()))).text == "ada by compat:jwt_extended"
    assert client.get("/", headers=bearer(token_of(claims_of(sub="bob")))).status_code == 400
