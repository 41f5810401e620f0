"""The face of Flask-JWT-Extended beside what else there is, or is not: ``Rampart(app)``, problems, PyJWT."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask, Response, jsonify

from flask_rampart import Clock, ConfigError, Rampart, limit, principal_or_none, public
from flask_rampart.compat import jwt_extended as face
from flask_rampart.signals import request_refused

from .facing import SECRET, bearer, claims_of, token_of

ROOT = Path(__file__).parent.parent


def test_the_pages_first_example_runs() -> None:
    text = (ROOT / "docs" / "migrate" / "jwt-extended.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.S)
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(block, "jwt-extended.md", "exec"), names)
    client = names["app"].test_client()
    token = client.post("/login", json={"username": "ada"}).get_json()["access_token"]
    assert client.get("/me", headers=bearer(token)).get_json() == {"me": "ada"}


def app_of(clock: Clock | None = None, *, rampart: bool = True, **config: Any) -> tuple[Flask, face.JWTManager]:
    app = Flask("beside")
    app.config.update(JWT_SECRET_KEY=SECRET, RAMPART_LIMIT_STORE="memory://", RAMPART_ACCESS_LOG="off", **config)
    if rampart:
        Rampart(app, clock=clock)
    manager = face.JWTManager(app)

    @app.route("/", methods=["GET", "POST"])
    @public
    @face.jwt_required(locations=["headers", "cookies"])
    def view() -> Response:
        found = principal_or_none()
        return jsonify(None if found is None else [found.id, found.kind, found.token_id])

    return app, manager


def test_rampart_knows_who_is_calling_and_its_clock_is_the_faces() -> None:
    clock = Clock.manual(1_800_000_000)
    app, _ = app_of(clock)
    with app.app_context():
        token = face.create_access_token("ada")
        name = face.get_jti(token)
    client = app.test_client()
    assert client.get("/", headers=bearer(token)).get_json() == ["ada", "compat:jwt_extended", name]
    clock.advance(901)
    assert client.get("/", headers=bearer(token)).get_json() == {"msg": "Token has expired"}


def test_a_token_without_subject_is_no_principal() -> None:
    app, _ = app_of(JWT_IDENTITY_CLAIM="user")
    token = token_of(claims_of(user="ada", sub=...))
    assert app.test_client().get("/", headers=bearer(token)).get_json() is None


def test_limits_by_address_stand_before_the_face() -> None:
    app, _ = app_of()
    app.add_url_rule("/few", view_func=limit("1/minute")(face.jwt_required()(lambda: "in")), endpoint="few")
    client = app.test_client()
    assert [client.get("/few").status_code for _ in range(2)] == [401, 429]


@pytest.mark.parametrize("rampart", [True, False])
def test_problems_are_answered_where_the_setting_says_so(rampart: bool) -> None:
    app, manager = app_of(rampart=rampart, RAMPART_ERROR_FORMAT="problem")
    if not rampart:
        app.view_functions["view"] = face.jwt_required(locations=["headers", "cookies"])(lambda: "in")
    manager.token_in_blocklist_loader(lambda header, claims: claims["jti"] == "gone")
    manager.token_verification_loader(lambda header, claims: claims["sub"] != "eve")
    manager.user_lookup_loader(lambda header, claims: None if claims["sub"] == "bob" else claims["sub"])
    app.add_url_rule("/fresh", view_func=face.jwt_required(fresh=True)(lambda: "in"))
    client = app.test_client()

    def ask(**headers: str) -> tuple[int, str, str | None]:
        answer = client.get("/", headers=headers)
        assert answer.mimetype == "application/problem+json"
        return answer.status_code, answer.get_json()["code"], answer.headers.get("WWW-Authenticate")

    assert ask() == (401, "auth.missing", 'Bearer realm="api"')
    invalid = 'Bearer realm="api", error="invalid_token"'
    assert ask(Authorization="Bearer x") == (401, "token.invalid", invalid)
    for claims, code in (
        ({"exp": 1}, "token.expired"),
        ({"jti": "gone"}, "token.invalid"),
        ({"sub": "eve"}, "auth.invalid"),
        ({"sub": "bob"}, "auth.invalid"),
        ({"type": "refresh"}, "token.invalid"),
    ):
        assert ask(**bearer(token_of(claims_of(**claims)))) == (401, code, invalid)
    client.set_cookie("access_token_cookie", token_of(claims_of()))
    forged = client.post("/")
    assert (forged.status_code, forged.get_json()["code"]) == (403, "csrf.invalid")
    stale = client.get("/fresh", headers=bearer(token_of(claims_of())))
    assert (stale.status_code, stale.get_json()["code"]) == (401, "auth.stale")
    assert "insufficient_user_authentication" in stale.headers["WWW-Authenticate"]


def test_an_apps_own_words_stay_under_problems() -> None:
    app, manager = app_of(rampart=False, RAMPART_ERROR_FORMAT="problem")
    app.view_functions["view"] = face.jwt_required(locations=["headers", "cookies"])(lambda: "in")
    manager.unauthorized_loader(lambda message: (f"mine: {message}", 418))
    client = app.test_client()
    assert client.get("/", headers={"Authorization": "Basic x"}).status_code == 418
    client.set_cookie("access_token_cookie", token_of(claims_of()))
    assert client.post("/").text == "mine: Missing CSRF token"


@pytest.mark.parametrize("words", ["incumbent", "problem"])
def test_rampart_knows_of_each_refusal_whatever_its_words(words: str) -> None:
    config: dict[str, Any] = {"RAMPART_ERROR_FORMAT": "problem"} if words == "problem" else {}
    app, _ = app_of(**config)
    seen: list[tuple[str, ...]] = []

    def told(sender: Any, *, exchange: Any, **more: Any) -> None:
        seen.append(exchange.codes)

    client = app.test_client()
    with request_refused.connected_to(told, app):
        for claims in ({}, {"exp": 1}, {"type": "refresh"}):
            client.get("/", headers=bearer(token_of(claims_of(**claims))))
        client.get("/")
    assert seen == [("token.expired",), ("token.invalid",), ("auth.missing",)]


def test_limits_by_principal_need_require() -> None:
    app, _ = app_of()
    view = face.jwt_required()(limit("1/minute", by="principal")(lambda: "in"))
    app.add_url_rule("/few", view_func=view, endpoint="few")
    client = app.test_client()
    answers = [client.get("/few", headers=bearer(token_of(claims_of(sub=name)))) for name in ("ada", "bob")]
    assert [answer.status_code for answer in answers] == [200, 429]


def test_rampart_gives_cookies_without_the_attribute_its_own() -> None:
    app, _ = app_of(JWT_COOKIE_SAMESITE=None)

    @app.get("/login")
    @public
    def login() -> Response:
        answer = jsonify(True)
        face.set_access_cookies(answer, face.create_access_token("ada"))
        return answer

    cookies = app.test_client().get("/login").headers.getlist("Set-Cookie")
    assert len(cookies) == 2 and all("SameSite=Lax" in cookie for cookie in cookies)


def test_a_misspelt_setting_stops_the_face_too() -> None:
    with pytest.raises(ConfigError, match="RAMPART_ERROR_FORMAT"):
        app_of(rampart=False, RAMPART_ERROR_FORMT="problem")
    app, _ = app_of(rampart=False)
    app.config["RAMPART_ERROR_FORMT"] = "problem"  # after the manager
    with app.app_context(), pytest.raises(ConfigError, match="RAMPART_ERROR_FORMAT"):
        face.create_access_token("ada")


def test_one_manager_serves_several_apps() -> None:
    manager = face.JWTManager()
    apps = []
    for secret in (SECRET, SECRET[::-1]):
        app = Flask("one of several")
        app.config["JWT_SECRET_KEY"] = secret
        manager.init_app(app)
        app.add_url_rule("/", view_func=face.jwt_required()(lambda: "in"))
        apps.append(app)
    token = bearer(token_of(claims_of()))
    assert [app.test_client().get("/", headers=token).status_code for app in apps] == [200, 422]


def test_keys_of_settings_that_have_changed_are_not_kept() -> None:
    app, _ = app_of(rampart=False)
    with app.app_context():
        state = app.extensions["rampart-jwt-extended"]
        before = state.rules()
        app.config["JWT_SECRET_KEY"] = SECRET[::-1]
        # A thread whose request began before the change, and which makes the verifiers after it.
        assert state.verifiers(before)
        app.config["JWT_SECRET_KEY"] = SECRET
        assert face.decode_token(token_of(claims_of()))["sub"] == "ada"
        assert state.rules() is before
        # What is changed in place counts, too.
        app.config["JWT_DECODE_ALGORITHMS"] = listed = ["HS256"]
        with pytest.raises(face.exceptions.InvalidAlgorithmError):
            face.decode_token(token_of(claims_of(), algorithm="HS512"))
        listed.append("HS512")
        assert face.decode_token(token_of(claims_of(), algorithm="HS512"))["sub"] == "ada"


def test_keys_of_loaders_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face.face, "_MOST_KEYS", 64)
    app, manager = app_of(rampart=False)
    manager.decode_key_loader(lambda header, claims: claims["sub"] * 32)
    manager.encode_key_loader(lambda identity: identity * 32)
    with app.app_context():
        rules = app.extensions["rampart-jwt-extended"].rules()
        for number in range(100, 200):
            token = face.create_access_token(str(number), additional_headers={"kid": str(number)})
            assert face.decode_token(token)["sub"] == str(number)
        assert len(rules.verifiers_of_loaders) == len(rules.signers) == 64


def loaded(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The exceptions of the face, as they are where PyJWT is not installed."""
    monkeypatch.setitem(sys.modules, "jwt", None)  # an import of it fails
    spec = importlib.util.spec_from_file_location("without_pyjwt", face.exceptions.__file__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_exceptions_need_no_pyjwt(monkeypatch: pytest.MonkeyPatch) -> None:
    exceptions = loaded(monkeypatch)
    for kind in exceptions.OF_PYJWT:
        assert issubclass(kind, exceptions.InvalidTokenError) and exceptions.registered(kind) is kind
        assert kind("why").get_response().status_code == (401 if kind is exceptions.ExpiredSignatureError else 422)
    assert issubclass(exceptions.InvalidSignatureError, exceptions.DecodeError)
    assert str(exceptions.MissingRequiredClaimError("exp")) == 'Token is missing the "exp" claim'
