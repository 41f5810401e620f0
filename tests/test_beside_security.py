"""Beside Flask-Security: its login, tokens and CSRF beside our guards. The app is its documentation's quick start."""

from __future__ import annotations

import re
from typing import Any

import flask_security
import pytest
from flask import Flask
from flask_security.models import fsqla_v3
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

from flask_rampart import ConfigError, Identity, csrf, current_principal, limit, public, require, validate, validated

from .beside import CROSS, PROBLEM, Secure, codes
from .beside import secure as secure

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its own, of its own

PASSWORD = "correct horse battery"
OWN = {"Sec-Fetch-Site": "same-origin"}
SETTINGS = {
    "SECURITY_PASSWORD_SALT": "146585145368132386173505678016728509634",
    "SECURITY_PASSWORD_HASH": "plaintext",
    "SECURITY_PASSWORD_SINGLE_HASH": True,
    "SQLALCHEMY_DATABASE_URI": "sqlite://",
    "RAMPART_DEFAULT": "deny",
    "RAMPART_PROFILE": "mixed",
}


def app_of(secure: Secure, *, protect: bool = False, **config: Any) -> Flask:
    app = Flask(__name__)
    app.config.update(SETTINGS)
    rampart = secure(app, **config)
    db = SQLAlchemy(app)
    fsqla_v3.FsModels.set_db_info(db)

    class Role(db.Model, fsqla_v3.FsRoleMixin):  # type: ignore[misc, name-defined]
        pass

    class User(db.Model, fsqla_v3.FsUserMixin):  # type: ignore[misc, name-defined]
        pass

    if protect:
        CSRFProtect(app)
    store = flask_security.SQLAlchemyUserDatastore(db, User, Role)
    flask_security.Security(app, store)
    # Under "deny" its pages are opened on purpose, and what takes passwords is counted.
    for name, view in list(app.view_functions.items()):
        if name.startswith("security."):
            app.view_functions[name] = public(view)
    login = app.view_functions["security.login"]
    app.view_functions["security.login"] = limit("3/minute", methods=["POST"])(csrf("strict")(login))
    with app.app_context():
        db.create_all()
        staff = store.find_or_create_role(name="staff", permissions={"orders"})
        store.create_user(email="ada@example.com", password=PASSWORD, roles=[staff])
        db.session.commit()

    @rampart.scheme("security", challenge="Session")
    def of_security() -> Identity | None:
        """Its user, of the session or of ``Authentication-Token``."""
        user = flask_security.current_user
        return Identity(user.fs_uniquifier, roles=[role.name for role in user.roles]) if user.is_authenticated else None

    @app.get("/me")
    @require("security")
    def me() -> Any:
        return {"mail": flask_security.current_user.email, "kind": current_principal.kind}

    @app.post("/orders")
    @require("security", roles="staff")
    @limit("2/minute", by="principal")
    @validate(body={"type": "object", "required": ["item"], "maxProperties": 1})
    def orders() -> Any:
        return {"item": validated.body["item"]}

    @app.get("/theirs")
    @public
    @flask_security.auth_required("token", "session")
    def theirs() -> Any:
        return {"theirs": True}

    return app


def login(app: Flask, client: Any, **headers: str) -> Any:
    given = {"email": "ada@example.com", "password": PASSWORD}
    return client.post("/login?include_auth_token", json=given, headers={**OWN, **headers})


def test_its_user_is_our_principal_by_session_and_by_token(secure: Secure) -> None:
    app = app_of(secure, WTF_CSRF_ENABLED=False)
    client = app.test_client()
    answer = login(app, client)
    assert answer.status_code == 200
    token = answer.json["response"]["user"]["authentication_token"]
    assert client.get("/me").json == {"mail": "ada@example.com", "kind": "security"}
    other = {"Authentication-Token": token}
    assert app.test_client().get("/me", headers=other).json["mail"] == "ada@example.com"
    assert app.test_client().get("/theirs", headers=other).json == {"theirs": True}
    assert codes(
        app.test_client().get("/me"),
        app.test_client().get("/me", headers={"Authentication-Token": token[:-2]}),
        client.post("/orders", json={"item": "tea"}),
        client.post("/orders", json={"item": "tea", "more": 1}),
        client.post("/orders", json={"item": "tea"}),
    ) == ["auth.missing", "auth.missing", 200, "body.invalid", "limit.exceeded"]


def test_its_own_refusals_keep_their_words(secure: Secure) -> None:
    app = app_of(secure)
    refused = app.test_client().get("/theirs", headers={"Accept": "application/json"})
    assert (refused.status_code, refused.json["meta"]["code"]) == (401, 401)


def test_its_login_is_bounded_hardened_counted_and_for_pages_of_ours(secure: Secure) -> None:
    app = app_of(secure, WTF_CSRF_ENABLED=False)
    client = app.test_client()
    assert login(app, client, **CROSS).json["code"] == "csrf.origin"
    assert client.post("/login", json={"email": "ada@example.com", "password": PASSWORD}).json["code"] == "csrf.origin"
    twice = '{"email": "ada@example.com", "email": "bob@example.com", "password": "x"}'
    odd = client.post("/login", data=twice, content_type="application/json", headers=OWN)
    assert (odd.status_code, odd.mimetype) == (400, PROBLEM)
    over = login(app, client)
    assert (over.json["code"], over.headers["Retry-After"]) == ("limit.exceeded", "20")


def test_its_csrf_token_and_our_fetch_metadata_hold_together(secure: Secure) -> None:
    app = app_of(secure, protect=True)
    client = app.test_client()
    page = client.get("/login")
    found = re.search(r'name="csrf_token" type="hidden" value="([^"]+)"', page.text)
    assert found is not None
    form = {"email": "ada@example.com", "password": PASSWORD}
    assert client.post("/login", data=form, headers=OWN).status_code == 400
    assert client.post("/login", data={**form, "csrf_token": found[1]}, headers=CROSS).json["code"] == "csrf.origin"
    assert client.post("/login", data={**form, "csrf_token": found[1]}, headers=OWN).status_code == 302
    assert client.get("/me").json["mail"] == "ada@example.com"


def test_two_tokens_of_one_name_are_refused_at_the_start(secure: Secure) -> None:
    app = app_of(secure, protect=True, RAMPART_CSRF="token")
    app.testing = True
    with pytest.raises(ConfigError, match="Flask-WTF"):
        app.test_client().get("/login")


def test_its_pages_are_opened_one_by_one_under_deny(secure: Secure) -> None:
    app = app_of(secure)
    app.get("/bare", endpoint="bare")(lambda: "x")
    assert app.test_client().get("/login").status_code == 200
    assert app.test_client().get("/bare").json["code"] == "route.undeclared"
