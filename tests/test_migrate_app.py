"""A project on five extensions, moved by the command, answers the same requests as it did before."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask

from flask_rampart.cli import commands

FILES = {
    "shop_to_move/__init__.py": '''\
"""A shop's API and one page."""

from flask import Flask

from . import api, pages
from .extensions import cors, csrf, jwt, limiter, talisman


def create_app():
    app = Flask(__name__)
    app.config.from_object("shop_to_move.config.Config")
    jwt.init_app(app)
    limiter.init_app(app)
    csrf.init_app(app)
    csrf.exempt(api.blueprint)
    talisman.init_app(
        app,
        force_https=False,
        content_security_policy={"default-src": "'self'", "script-src": "'self'"},
        content_security_policy_nonce_in=["script-src"],
    )
    cors.init_app(app, resources={r"/api/*": {"origins": app.config["PARTNERS"], "supports_credentials": True}})
    app.register_blueprint(api.blueprint)
    app.register_blueprint(pages.blueprint)
    return app
''',
    "shop_to_move/extensions.py": """\
import flask_limiter
import flask_talisman as security
from flask_cors import CORS
from flask_jwt_extended import JWTManager  # tokens
from flask_limiter.util import get_remote_address
from flask_wtf import CSRFProtect, FlaskForm

jwt = JWTManager()
limiter = flask_limiter.Limiter(get_remote_address, headers_enabled=True)
talisman = security.Talisman()
cors, csrf = CORS(), CSRFProtect()


class OrderForm(FlaskForm):
    pass


@jwt.expired_token_loader
def expired(header, payload):
    return {"problem": "over"}, 401
""",
    "shop_to_move/config.py": """\
from datetime import timedelta


class Config:
    SECRET_KEY = "a key that is as long as a key should be"
    JWT_SECRET_KEY = "another key that is as long as it should be"
    JWT_ACCESS_TOKEN_EXPIRES = timedelta(minutes=5)
    RATELIMIT_STORAGE_URI = "memory://"
    RATELIMIT_DEFAULT = "100 per hour"
    RAMPART_LIMIT_STORE = "memory://"
    WTF_CSRF_TIME_LIMIT = 600
    PARTNERS = ["https://partner.example"]
""",
    "shop_to_move/api.py": """\
from flask import Blueprint, jsonify, request
from flask_jwt_extended import (
    create_access_token,
    get_jwt,
    get_jwt_identity,
    jwt_required,  # each view says it
)

from .extensions import limiter

blueprint = Blueprint("api", __name__, url_prefix="/api")


@blueprint.errorhandler(429)
def too_many(error):
    return jsonify(slow=error.description), 429


@blueprint.post("/login")
@limiter.limit("3 per minute", deduct_when=lambda answer: answer.status_code == 401)
def login():
    if request.json.get("password") != "sesame":
        return {"msg": "no"}, 401
    return jsonify(token=create_access_token("ada", additional_claims={"level": 3}))


@blueprint.get("/me")
@jwt_required()
def me():
    return jsonify(me=get_jwt_identity(), level=get_jwt()["level"])


@blueprint.get("/maybe")
@jwt_required(optional=True)
def maybe():
    try:
        from flask_jwt_extended.exceptions import JWTExtendedException
    except ImportError:
        JWTExtendedException = None
    return jsonify(me=get_jwt_identity(), known=JWTExtendedException is not None)
""",
    "shop_to_move/pages.py": """\
from flask import Blueprint, render_template_string
from flask_wtf.csrf import CSRFError, generate_csrf

blueprint = Blueprint("pages", __name__)


@blueprint.errorhandler(CSRFError)
def forged(error):
    return f"refused: {error.description}", 400


@blueprint.get("/order")
def order():
    return render_template_string("<script nonce='{{ csp_nonce() }}'></script>{{ token }}", token=generate_csrf())


@blueprint.post("/order")
def ordered():
    return "ordered"
""",
    "requirements.txt": "Flask\nFlask-Cors\nFlask-JWT-Extended\nFlask-Limiter\nflask-talisman\nFlask-WTF\n",
}
FIELDS = (
    *("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Content-Security-Policy"),
    *("Content-Type", "X-Frame-Options", "X-RateLimit-Limit", "X-RateLimit-Remaining"),
)


def loaded() -> Flask:
    """The app, of modules that are read anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop_to_move"]:
        del sys.modules[name]
    app: Flask = import_module("shop_to_move").create_app()
    return app


def asked(app: Flask) -> list[Any]:
    """What the app answers: statuses, fields and bodies, without what is random."""
    client = app.test_client()
    answers = []

    def note(answer: Any) -> Any:
        fields = {name: re.sub("'nonce-[^']+'", "'nonce'", answer.headers.get(name, "")) for name in FIELDS}
        body = answer.get_data(as_text=True)
        answers.append(
            (answer.status_code, fields, re.sub(r"(?<=</script>).*|nonce='[^']*'|(?<=token\":\")[^\"]*", "", body))
        )
        return answer

    partner = {"Origin": "https://partner.example"}
    token = note(client.post("/api/login", json={"password": "sesame"}, headers=partner)).json["token"]
    me = {"Authorization": f"Bearer {token}"}
    note(client.get("/api/me", headers={**me, **partner}))
    note(client.get("/api/me", headers={**me, "Origin": "https://other.example"}))
    note(client.get("/api/me"))
    note(client.get("/api/me", headers={"Authorization": f"Bearer {token[:-6]}AAAAAA"}))
    note(client.get("/api/maybe"))
    note(client.options("/api/me", headers={**partner, "Access-Control-Request-Method": "GET"}))
    for _ in range(4):
        note(client.post("/api/login", json={"password": "open"}))
    note(client.post("/order"))
    page = note(client.get("/order")).get_data(as_text=True)
    note(client.post("/order", data={"csrf_token": page.rpartition(">")[2]}))
    note(client.get("/nowhere"))
    return answers


def test_a_project_that_was_moved_answers_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = asked(loaded())
    moved = CliRunner().invoke(commands, ["migrate", "--write"])
    assert (moved.exit_code, "left to you" in moved.output) == (0, False), moved.output
    app = loaded()
    modules = {type(each).__module__ for each in vars(sys.modules["shop_to_move.extensions"]).values()}
    assert not modules & {
        "flask_cors.extension",
        "flask_limiter._extension",
        "flask_wtf.csrf",
        "flask_talisman.talisman",
    }
    assert asked(app) == before
    assert [answer[0] for answer in before] == [
        200,
        200,
        200,
        401,
        422,
        200,
        200,
        401,
        401,
        401,
        429,
        400,
        200,
        200,
        404,
    ]
    left = [
        line for path in sorted(tmp_path.rglob("*.py")) for line in path.read_text().splitlines() if "import" in line
    ]
    assert [
        line for line in left if re.search(r"(?:from|import) flask_(?:cors|jwt_ext|limiter|talisman|wtf)", line)
    ] == ["from flask_wtf import FlaskForm"]
    output = " ".join(moved.output.split())
    assert "requirements.txt:5 flask-talisman: can go" in output
    assert "requirements.txt:6 Flask-WTF: stays: shop_to_move/extensions.py:7 needs it" in output
    assert CliRunner().invoke(commands, ["migrate", "--check"]).exit_code == 0


WITH_COOKIES = '''\
"""Who is logged in has cookies: access, refresh, and what proves a page."""

from flask import Flask, jsonify
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_jwt,
    get_jwt_identity,
    jwt_required,
    set_access_cookies,
    set_refresh_cookies,
    unset_jwt_cookies,
)

app = Flask(__name__)
app.config["JWT_SECRET_KEY"] = "a key that is as long as a key should be"
app.config["JWT_TOKEN_LOCATION"] = ["cookies"]
app.config["JWT_REFRESH_COOKIE_PATH"] = "/refresh"
gone = set()
jwt = JWTManager(app)


@jwt.token_in_blocklist_loader
def is_gone(header, claims):
    return claims["jti"] in gone


@app.post("/login")
def login():
    answer = jsonify(login=True)
    set_access_cookies(answer, create_access_token("ada", fresh=True))
    set_refresh_cookies(answer, create_refresh_token("ada"))
    return answer


@app.post("/order")
@jwt_required(fresh=True)
def order():
    return jsonify(by=get_jwt_identity())


@app.post("/refresh")
@jwt_required(refresh=True)
def refresh():
    answer = jsonify(by=get_jwt_identity())
    set_access_cookies(answer, create_access_token(get_jwt_identity()))
    return answer


@app.post("/logout")
@jwt_required()
def logout():
    gone.add(get_jwt()["jti"])
    answer = jsonify(logout=True)
    unset_jwt_cookies(answer)
    return answer
'''


def test_who_was_logged_in_by_the_incumbent_stays_so_after_the_move_until_the_logout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop_with_cookies.py").write_text(WITH_COOKIES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "shop_with_cookies", raising=False)
    before = import_module("shop_with_cookies")
    assert before.JWTManager.__module__.startswith("flask_jwt_extended")
    issued = before.app.test_client().post("/login").headers.getlist("Set-Cookie")
    assert len(issued) == 4
    assert CliRunner().invoke(commands, ["migrate", "--write"]).exit_code == 0
    monkeypatch.delitem(sys.modules, "shop_with_cookies")
    after = import_module("shop_with_cookies")
    assert after.JWTManager.__module__.startswith("flask_rampart.compat")

    client = after.app.test_client()
    https: dict[str, Any] = {"base_url": "https://localhost"}
    for line in issued:
        name, _, value = line.partition(";")[0].partition("=")
        path = re.search("Path=([^;]*)", line)
        client.set_cookie(name, value, path=path[1] if path else "/", secure=True)

    def post(to: str, proof: str) -> tuple[int, Any]:
        found = client.get_cookie(proof)
        answer = client.post(to, headers={"X-CSRF-TOKEN": found.value if found else proof}, **https)
        return answer.status_code, answer.json

    def access() -> str:
        found = client.get_cookie("access_token_cookie")
        assert found is not None
        return found.value

    refused = (401, {"msg": "CSRF double submit tokens do not match"})
    assert post("/order", "none") == refused
    assert post("/order", "csrf_refresh_token") == refused
    assert post("/order", "csrf_access_token") == (200, {"by": "ada"})
    theirs = access()
    assert post("/refresh", "csrf_access_token") == refused
    assert post("/refresh", "csrf_refresh_token") == (200, {"by": "ada"})
    assert access() != theirs
    assert post("/order", "csrf_access_token") == (401, {"msg": "Fresh token required"})
    # Taken back is what theirs had set, by its names and paths; and the token itself, wherever it was copied to.
    client.set_cookie("access_token_cookie", theirs, secure=True)
    proof = next(line for line in issued if line.startswith("csrf_access_token=")).partition(";")[0].partition("=")[2]
    assert client.post("/logout", headers={"X-CSRF-TOKEN": proof}, **https).json == {"logout": True}
    for name in ("access_token_cookie", "csrf_access_token", "csrf_refresh_token"):
        assert client.get_cookie(name) is None
    assert client.get_cookie("refresh_token_cookie", path="/refresh") is None
    assert post("/order", "none")[0] == 401
    client.set_cookie("access_token_cookie", theirs, secure=True)
    assert client.post("/order", headers={"X-CSRF-TOKEN": proof}, **https).json == {"msg": "Token has been revoked"}
