"""Beside Flask-Admin: its pages behind a guard, its forms against other sites' pages, its scripts under a policy."""

from __future__ import annotations

import re
from typing import Any

import flask_admin
import pytest
from flask import Flask, session
from flask_admin.contrib.sqla import ModelView
from flask_admin.form import SecureForm
from flask_sqlalchemy import SQLAlchemy

from flask_rampart import Identity, csp_nonce, csrf, headers, limit, public, require

from .beside import CROSS, Secure, codes
from .beside import secure as secure

OWN = {"Sec-Fetch-Site": "same-origin"}
POLICY = {
    "default-src": "'none'",
    "script-src": "'nonce' 'strict-dynamic'",
    "script-src-attr": "'unsafe-inline'",  # its buttons ask by onclick before they delete
    "style-src": "'self' 'nonce'",
    "style-src-attr": "'unsafe-inline'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "object-src": "'none'",
}


def app_of(secure: Secure, **config: Any) -> tuple[Flask, Any]:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    rampart = secure(app, RAMPART_DEFAULT="deny", **config)
    db = SQLAlchemy(app)

    class Item(db.Model):  # type: ignore[misc, name-defined]
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(20))

    class ItemView(ModelView):  # type: ignore[misc]
        form_base_class = SecureForm

    admin = flask_admin.Admin(app, name="shop", csp_nonce_generator=csp_nonce)
    admin.add_view(ItemView(Item, db))
    for view in admin._views:
        rampart.protect(
            view.blueprint,
            require("session", roles="staff"),
            limit("5/minute", by="principal", methods=["POST"]),  # a page loads some twenty files of the blueprint's
            headers(profile="html", csp=POLICY),
            csrf("strict"),
        )

    @rampart.scheme("session", challenge="Session")
    def of_session() -> Identity | None:
        return Identity(session["name"], roles=session["roles"]) if "name" in session else None

    @app.post("/login/<name>")
    @public
    @csrf("strict")
    def login(name: str) -> str:
        session.update(name=name, roles=["staff"] if name == "ada" else [])
        return "hello"

    with app.app_context():
        db.create_all()
        db.session.add(Item(name="tea"))
        db.session.commit()
    return app, Item


def login(app: Flask, name: str = "ada") -> Any:
    client = app.test_client()
    assert client.post(f"/login/{name}", headers=OWN).text == "hello"
    return client


def test_every_page_of_the_admin_is_behind_the_guard(secure: Secure) -> None:
    app, _ = app_of(secure)
    paths = ("/admin/", "/admin/item/", "/admin/item/new/", "/admin/static/admin/js/form.js")
    assert {answer.json["code"] for answer in map(app.test_client().get, paths)} == {"auth.missing"}
    bob, ada = login(app, "bob"), login(app)
    assert codes(*(bob.get(path) for path in paths)) == ["auth.role"] * 4
    for path in paths:
        answer = ada.get(path)
        assert answer.status_code == 200
        answer.close()
    assert "tea" in ada.get("/admin/item/").text
    assert codes(*(ada.post("/admin/item/delete/", headers=OWN) for _ in range(6)))[-1] == "limit.exceeded"


def test_scripts_and_styles_of_its_pages_have_the_nonce_of_their_policy(secure: Secure) -> None:
    app, _ = app_of(secure)
    ada = login(app)
    for path in ("/admin/", "/admin/item/", "/admin/item/new/", "/admin/item/edit/?id=1"):
        page = ada.get(path)
        policy = page.headers["Content-Security-Policy"]
        nonce = re.search(r"script-src 'nonce-([^']+)' 'strict-dynamic'", policy)
        assert (
            nonce is not None
            and "script-src-attr 'unsafe-inline'" in policy
            and "no-store" in page.headers["Cache-Control"]
        )
        tags = re.findall(r"<script\b[^>]*>", page.text)
        assert tags and all(f'nonce="{nonce[1]}"' in tag for tag in tags)
    # The reason for script-src-attr: without it, what asks first is silent, and the button deletes at once.
    assert 'onclick="return faHelpers.safeConfirm(' in ada.get("/admin/item/").text


@pytest.mark.parametrize("mode", ["fetch-metadata", "token"])
def test_another_sites_page_writes_nothing_and_its_own_forms_work(secure: Secure, mode: str) -> None:
    # Its SecureForm has a token of the same name: under "token", ours would take it for one of ours.
    app, item = app_of(secure, RAMPART_CSRF=mode)
    ada = login(app)
    form = ada.get("/admin/item/new/").text
    theirs = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form)
    assert theirs is not None
    given = {"name": "jam", "csrf_token": theirs[1]}
    assert ada.post("/admin/item/new/", data=given, headers=CROSS).json["code"] == "csrf.origin"
    assert ada.post("/admin/item/new/", data=given).json["code"] == "csrf.origin"  # strict: no word of whose page
    assert ada.post("/admin/item/delete/", data={"id": "1"}, headers=CROSS).json["code"] == "csrf.origin"
    ada.post("/admin/item/new/", data={"name": "not"}, headers=OWN)  # without their token: they show the form again
    assert ada.post("/admin/item/new/", data=given, headers=OWN).status_code == 302
    with app.app_context():
        assert [found.name for found in item.query.order_by(item.id)] == ["tea", "jam"]
