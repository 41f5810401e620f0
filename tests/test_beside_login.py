"""Beside Flask-Login: its user as our principal, its cookies under our policy, and our CSRF on its forms.

The app is the documentation's: a login form, a remember-me cookie, a logout.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask_login
import pytest
from flask import Flask, redirect, request, url_for

from flask_rampart import Denied, Identity, audit, csrf, csrf_token, current_principal, limit, public, require

from .beside import CROSS, Secure, codes
from .beside import secure as secure
from .conftest import bearer

# Flask-Login 0.6.3 computes the end of its cookie so.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

USERS = {"ada": {"staff"}, "bob": set[str]()}


class User(flask_login.UserMixin):  # type: ignore[misc]
    def __init__(self, name: str) -> None:
        self.id = name


def app_of(secure: Secure, **config: Any) -> Flask:
    app = Flask(__name__)
    rampart = secure(app, RAMPART_PROFILE="html", RAMPART_DEFAULT="deny", **config)
    manager = flask_login.LoginManager(app)
    manager.user_loader(lambda name: User(name) if name in USERS else None)

    @rampart.scheme("session", challenge="Session")
    def of_session() -> Identity | None:
        """Flask-Login's user as our principal."""
        user = flask_login.current_user
        return Identity(user.id, roles=USERS[user.id]) if user.is_authenticated else None

    @app.get("/login")
    @public
    def form() -> str:
        return csrf_token()

    @app.post("/login")
    @public
    @csrf("strict")
    @limit("3/minute")
    def login() -> Any:
        flask_login.login_user(User(request.form["name"]), remember="remember" in request.form)
        return redirect(url_for("me"))

    @app.post("/logout")
    @require("session")
    def logout() -> str:
        flask_login.logout_user()
        return "bye"

    @app.get("/me")
    @require("session")
    def me() -> str:
        return f"{current_principal.kind} {current_principal.id} {flask_login.current_user.id}"

    @app.post("/orders")
    @require("session", roles="staff")
    @limit("2/minute", by="principal")
    @audit("order.made")
    def order() -> str:
        return "made"

    @app.get("/both")
    @require("session", "jwt")
    def both() -> str:
        return f"{current_principal.kind} {current_principal.id}"

    @app.post("/token")
    @require("session")
    @csrf("token")
    def by_token() -> str:
        return "with a token"

    @app.get("/theirs")
    @public
    @flask_login.login_required
    def theirs() -> str:
        return "theirs"

    return app


OWN = {"Sec-Fetch-Site": "same-origin"}


def login(app: Flask, name: str = "ada", **more: str) -> Any:
    client = app.test_client()
    assert client.post("/login", data={"name": name, **more}, headers=OWN).status_code == 302
    return client


def test_the_user_of_the_session_is_the_principal_of_guards_and_quotas(secure: Secure, tmp_path: Path) -> None:
    app = app_of(secure, RAMPART_AUDIT_LOG=str(tmp_path / "audit"))
    ada, bob = login(app), login(app, "bob")
    assert ada.get("/me").text == "session ada ada"
    assert codes(ada.post("/orders"), bob.post("/orders"), ada.post("/orders")) == [200, "auth.role", 200]
    over = ada.post("/orders")
    assert over.json["code"] == "limit.exceeded" and over.headers["Retry-After"]
    log = "".join(path.read_text() for path in (tmp_path / "audit").glob("*.jsonl"))
    assert '"order.made"' in log and '"ada"' in log


def test_nobody_gets_a_401_and_an_app_may_send_them_to_its_form(secure: Secure) -> None:
    app = app_of(secure)
    refused = app.test_client().get("/me")
    assert (refused.status_code, refused.json["code"]) == (401, "auth.missing")
    assert refused.headers["WWW-Authenticate"].startswith("Session")
    assert app.test_client().get("/theirs").status_code == 401  # Flask-Login's own, which abort()s

    other = app_of(secure)

    @other.errorhandler(Denied)
    def to_the_form(denied: Denied) -> Any:
        if denied.code == 401 and request.accept_mimetypes.best == "text/html":
            return redirect(url_for("form", next=request.path))
        return denied.get_response()

    page = other.test_client().get("/me", headers={"Accept": "text/html"})
    assert (page.status_code, page.location) == (302, "/login?next=/me")
    assert other.test_client().get("/me").json["code"] == "auth.missing"


def test_another_sites_page_cannot_act_with_the_cookies_nor_log_anybody_in(secure: Secure) -> None:
    app = app_of(secure)
    ada = login(app)
    assert codes(
        ada.post("/orders", headers=CROSS),
        ada.post("/logout", headers=CROSS),
        app.test_client().post("/login", data={"name": "bob"}, headers=CROSS),
        ada.post("/orders", headers=OWN),
    ) == ["csrf.origin", "csrf.origin", "csrf.origin", 200]


def test_a_remember_me_cookie_logs_in_alone_is_hardened_and_is_guarded_as_the_session(secure: Secure) -> None:
    app = app_of(secure)
    answer = app.test_client().post(
        "/login", data={"name": "ada", "remember": "1"}, headers=OWN, base_url="https://localhost"
    )
    remember = next(field for field in answer.headers.getlist("Set-Cookie") if field.startswith("remember_token="))
    assert all(word in remember for word in ("HttpOnly", "Secure", "SameSite=Lax"))
    client = app.test_client()
    client.set_cookie("remember_token", remember.split("=", 1)[1].split(";")[0])
    assert client.get("/me").text == "session ada ada"
    client = app.test_client()
    client.set_cookie("remember_token", remember.split("=", 1)[1].split(";")[0])
    assert client.post("/orders", headers=CROSS).json["code"] == "csrf.origin"
    client.set_cookie("remember_token", "bob|0")
    fresh = app.test_client()
    fresh.set_cookie("remember_token", "bob|0")
    assert fresh.get("/me").json["code"] == "auth.missing"


def test_a_token_of_ours_is_bound_to_the_user_of_the_session(secure: Secure) -> None:
    app = app_of(secure)
    ada = login(app)
    token = ada.get("/login").text
    assert ada.post("/token", headers={**OWN, "X-CSRF-Token": token}).text == "with a token"
    assert ada.post("/token", headers=OWN).json["code"] == "csrf.invalid"
    # Of the same browser, before somebody was logged in.
    other = app.test_client()
    early = other.get("/login").text
    other.post("/login", data={"name": "bob"}, headers=OWN)
    assert other.post("/token", headers={**OWN, "X-CSRF-Token": early}).json["code"] == "csrf.invalid"


def test_a_bearer_token_and_a_session_may_stand_beside_each_other(secure: Secure, token: Callable[..., str]) -> None:
    app = app_of(secure)
    ada = login(app)
    assert ada.get("/both").text == "session ada"
    assert app.test_client().get("/both", headers=bearer(token(sub="carl"))).text == "jwt carl"
    assert ada.get("/both", headers=bearer(token(sub="carl"))).text == "jwt carl"
    # A token that is wrong is not forgotten for the session beside it.
    assert ada.get("/both", headers=bearer("x.y.z")).json["code"] == "token.invalid"


def test_what_a_logged_in_user_gets_is_in_no_shared_cache(secure: Secure) -> None:
    app = app_of(secure)
    app.get("/page", endpoint="page")(
        public(lambda: (f"for {flask_login.current_user.get_id()}", {"Cache-Control": "public, max-age=60"}))
    )
    mine = login(app).get("/page")
    assert mine.text == "for ada" and "Cookie" in mine.headers["Vary"] and "private" in mine.headers["Cache-Control"]


def test_the_address_that_protects_sessions_is_no_word_of_the_clients(secure: Secure) -> None:
    # Flask-Login takes X-Forwarded-For as it comes; the edge lets in none of a peer that is no proxy of ours.
    app = app_of(secure)
    app.config["SESSION_PROTECTION"] = "strong"
    ada = login(app)
    assert ada.get("/me", headers={"X-Forwarded-For": "203.0.113.9"}).text == "session ada ada"
    assert ada.get("/me", environ_base={"REMOTE_ADDR": "203.0.113.9"}).json["code"] == "auth.missing"


def test_logging_out_ends_it(secure: Secure) -> None:
    ada = login(app_of(secure), remember="1")
    assert ada.post("/logout", headers=OWN).text == "bye"
    assert ada.get("/me").json["code"] == "auth.missing"
