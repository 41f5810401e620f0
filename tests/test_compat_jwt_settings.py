"""Settings of the face that could be misread, and loaders that are not written as theirs are."""

from __future__ import annotations

import functools
import logging
from datetime import timedelta
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from flask import Blueprint, jsonify
from werkzeug.exceptions import HTTPException

from flask_rampart import ConfigError
from flask_rampart.compat import jwt_extended as ours

from .facing import JWT_FACES, bearer, claims_of, jwt_app, jwt_row, token_of


@pytest.fixture(params=JWT_FACES, ids=str)
def face(request: pytest.FixtureRequest) -> ModuleType:
    """The incumbent, then ours."""
    return JWT_FACES[request.param]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # Theirs asks whether the method is a part of the text: all of these are protected there.
        ("JWT_CSRF_METHODS", "POST"),
        ("JWT_CSRF_METHODS", "POST, PUT"),
        ("JWT_CSRF_METHODS", b"POST"),
        ("JWT_CSRF_METHODS", 5),
        ("JWT_CSRF_METHODS", None),
        ("JWT_CSRF_METHODS", [None]),
        ("JWT_ALGORITHM", None),
        ("JWT_DECODE_ALGORITHMS", 5),
        ("JWT_DECODE_ALGORITHMS", [5]),
        ("JWT_DECODE_AUDIENCE", 5),
        ("JWT_DECODE_AUDIENCE", [5]),
        ("JWT_DECODE_ISSUER", 5),
        ("JWT_ENCODE_AUDIENCE", 5),
        ("JWT_HEADER_NAME", 5),
        ("JWT_HEADER_TYPE", 5),
        ("JWT_IDENTITY_CLAIM", None),
        ("JWT_QUERY_STRING_NAME", None),
        ("JWT_QUERY_STRING_VALUE_PREFIX", None),
        ("JWT_ACCESS_COOKIE_NAME", None),
        ("JWT_REFRESH_CSRF_HEADER_NAME", 5),
        ("JWT_ACCESS_CSRF_FIELD_NAME", 5),
        ("JWT_JSON_KEY", 5),
        ("JWT_COOKIE_SAMESITE", "bogus"),
        ("JWT_ACCESS_TOKEN_EXPIRES", 0.0),
        ("JWT_ACCESS_TOKEN_EXPIRES", None),
        ("JWT_SECRET_KEY", 5),
    ],
)
@jwt_row('`JWT_CSRF_METHODS` as a text, such as `"POST"`')
def test_a_setting_of_another_type_is_named(name: str, value: Any) -> None:
    app, _ = jwt_app(ours, **{name: value})
    with app.app_context(), pytest.raises(ConfigError, match=name if name != "JWT_SECRET_KEY" else "A key is"):
        ours.decode_token(token_of(claims_of()))


@pytest.mark.parametrize("methods", [["POST"], ("POST",), {"POST"}, frozenset(("POST",))])
def test_methods_that_need_proof_are_listed(face: ModuleType, methods: Any) -> None:
    app, _ = jwt_app(face, JWT_TOKEN_LOCATION="cookies", JWT_CSRF_METHODS=methods)
    app.add_url_rule("/", view_func=face.jwt_required()(lambda: "in"), methods=["POST", "PUT"])
    client = app.test_client()
    client.set_cookie("access_token_cookie", token_of(claims_of()))
    assert (client.post("/").status_code, client.put("/").status_code) == (401, 200)


def test_one_algorithm_may_be_a_text(face: ModuleType) -> None:
    app, _ = jwt_app(face, JWT_DECODE_ALGORITHMS="HS256")
    with app.app_context():
        assert face.decode_token(token_of(claims_of()))["sub"] == "ada"


def test_a_header_without_a_word_has_the_token_alone(face: ModuleType) -> None:
    app, _ = jwt_app(face, JWT_HEADER_TYPE=None)
    app.add_url_rule("/", view_func=face.jwt_required()(lambda: "in"))
    client, token = app.test_client(), token_of(claims_of())
    fields = (token, f"none {token}", f"None {token}")
    assert [client.get("/", headers={"Authorization": field}).status_code for field in fields] == [200, 422, 422]


@pytest.mark.parametrize("nothing", [0, timedelta(0)])
@jwt_row("`JWT_ACCESS_TOKEN_EXPIRES` or `JWT_REFRESH_TOKEN_EXPIRES` of no time: `0`, `timedelta(0)`")
def test_tokens_that_live_for_no_time_do_not_live_for_ever(nothing: Any) -> None:
    app, _ = jwt_app(ours, JWT_ACCESS_TOKEN_EXPIRES=nothing)
    with app.app_context():
        with pytest.raises(ours.exceptions.MissingRequiredClaimError):
            ours.decode_token(token_of(claims_of(exp=...)))
        with pytest.raises(ours.exceptions.ExpiredSignatureError):
            ours.decode_token(ours.create_access_token("ada"))
        with pytest.raises(ours.exceptions.ExpiredSignatureError):
            ours.decode_token(ours.create_refresh_token("ada", expires_delta=timedelta(0)))


def test_a_bound_token_that_is_over_is_nobodys_either() -> None:
    app, _ = jwt_app(ours)
    key = {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}
    with app.app_context():
        assert ours.decode_token(token_of(claims_of(exp=1)), allow_expired=True)["sub"] == "ada"
        for exp in (1, ...):
            with pytest.raises(ours.exceptions.InvalidTokenError, match="bound"):
                ours.decode_token(token_of(claims_of(exp=exp, cnf=key)), allow_expired=True)


async def refuse(header: dict[str, Any], claims: dict[str, Any]) -> bool:
    return False


class Refusing:
    async def __call__(self, header: dict[str, Any], claims: dict[str, Any]) -> bool:
        return False


@functools.wraps(refuse)
def around(*args: Any) -> Any:
    return refuse(*args)


@pytest.mark.parametrize(
    "loader",
    [refuse, Refusing(), around, functools.partial(refuse), lambda header, claims: refuse(header, claims)],
    ids=["function", "object", "wrapper", "partial", "lambda"],
)
def test_whatever_is_async_is_waited_for(loader: Any) -> None:
    app, manager = jwt_app(ours)
    manager.token_verification_loader(loader)
    app.add_url_rule("/", view_func=ours.jwt_required()(lambda: "in"))
    assert app.test_client().get("/", headers=bearer(token_of(claims_of()))).status_code == 400
    # What it comes to is what it says, here of a blocklist: nobody is on it.
    manager.token_verification_loader(lambda header, claims: True)
    manager.token_in_blocklist_loader(loader)
    assert app.test_client().get("/", headers=bearer(token_of(claims_of()))).text == "in"


def test_an_answers_loader_may_be_an_async_object() -> None:
    class Words:
        async def __call__(self, message: str) -> Any:
            return jsonify(mine=message), 418

    app, manager = jwt_app(ours)
    manager.unauthorized_loader(Words())
    app.add_url_rule("/", view_func=ours.jwt_required()(lambda: "in"))
    assert app.test_client().get("/").get_json() == {"mine": "Missing Authorization Header"}


def test_loaders_of_more_may_have_nothing_to_add(face: ModuleType) -> None:
    app, manager = jwt_app(face)
    manager.additional_claims_loader(lambda identity: None)
    manager.additional_headers_loader(lambda identity: None)
    with app.app_context():
        assert face.decode_token(face.create_access_token("ada"))["sub"] == "ada"


def test_the_log_knows_what_was_set_after_the_manager(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = jwt_app(ours)
    for name in ("JWT_COOKIE_SAMESITE", "JWT_COOKIE_SECURE"):
        del app.config[name]
    ours.JWTManager(app)
    app.config.update(JWT_TOKEN_LOCATION=["cookies"], JWT_COOKIE_SAMESITE=None, JWT_COOKIE_SECURE=True)
    with caplog.at_level(logging.WARNING), app.app_context():
        ours.create_access_token("ada")
        assert "RAMPART_JWT_REQUIRE_EXP" in caplog.text
        assert "JWT_COOKIE" not in caplog.text
        app.config.update(JWT_COOKIE_SAMESITE="Lax", JWT_COOKIE_SECURE=None)
        ours.create_access_token("ada")
        assert "JWT_COOKIE_SECURE = False" in caplog.text and "JWT_COOKIE_SAMESITE = None" in caplog.text


def test_keys_that_are_used_stay_and_those_that_are_not_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours.face, "_MOST_KEYS", 8)
    app, manager = jwt_app(ours)
    manager.decode_key_loader(lambda header, claims: claims["sub"] * 8)
    with app.app_context():
        rules = app.extensions["rampart-jwt-extended"].rules()

        def ask(name: str) -> None:
            assert ours.decode_token(token_of(claims_of(sub=name), name * 8))["sub"] == name

        ask("used")
        kept = rules.verifiers_of_loaders[b"used" * 8]
        for number in range(1000, 1020):
            ask(str(number))
            ask("used")
        assert rules.verifiers_of_loaders[b"used" * 8] is kept
        assert len(rules.verifiers_of_loaders) == 8


THEIRS = JWT_FACES["theirs"]
_CURVE = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


@pytest.mark.parametrize(("algorithm", "before"), [("ES256", b""), ("ES256", _CURVE), ("ES384", b""), ("RS256", b"")])
def test_keys_in_their_old_forms_sign_what_the_other_verifies(algorithm: str, before: bytes) -> None:
    if algorithm == "RS256":
        key: Any = rsa.generate_private_key(65537, 2048)
    else:
        key = ec.generate_private_key(ec.SECP384R1() if algorithm == "ES384" else ec.SECP256R1())
    private = before + key.private_bytes(
        forms.Encoding.PEM, forms.PrivateFormat.TraditionalOpenSSL, forms.NoEncryption()
    )
    public = key.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    config = {"JWT_ALGORITHM": algorithm, "JWT_PRIVATE_KEY": private, "JWT_PUBLIC_KEY": public}
    apps = {module: jwt_app(module, **config)[0] for module in (THEIRS, ours)}
    for maker, reader in ((THEIRS, ours), (ours, THEIRS)):
        with apps[maker].app_context():
            token = maker.create_access_token("ada")
        with apps[reader].app_context():
            assert reader.decode_token(token)["sub"] == "ada"


@jwt_row("a loader that raises `NoAuthorizationError`, under `optional=True`")
def test_a_loaders_own_refusal_refuses_also_where_a_token_is_optional() -> None:
    app, manager = jwt_app(ours)

    def gone(header: dict[str, Any], claims: dict[str, Any]) -> bool:
        raise ours.exceptions.NoAuthorizationError("gone")

    manager.token_in_blocklist_loader(gone)
    app.add_url_rule("/", view_func=ours.jwt_required(optional=True)(lambda: "in"))
    answer = app.test_client().get("/", headers=bearer(token_of(claims_of())))
    assert (answer.status_code, answer.get_json()) == (401, {"msg": "gone"})


@jwt_row("a blueprint's error handler for `HTTPException`")
def test_a_blueprints_handler_for_http_errors_gets_the_faces_too() -> None:
    app, _ = jwt_app(ours)
    blueprint = Blueprint("b", __name__)
    blueprint.register_error_handler(HTTPException, lambda error: (f"caught {error.code}", 418))
    blueprint.add_url_rule("/", view_func=ours.jwt_required()(lambda: "in"))
    app.register_blueprint(blueprint)
    assert app.test_client().get("/").text == "caught 401"


@pytest.mark.parametrize("kind", ["JWTExtendedException", "NoAuthorizationError", "FreshTokenRequired"])
def test_a_blueprints_handler_gets_what_theirs_gets(face: ModuleType, kind: str) -> None:
    app, _ = jwt_app(face)
    blueprint = Blueprint("b", __name__)
    exceptions = import_module(f"{face.__name__}.exceptions")
    blueprint.register_error_handler(getattr(exceptions, kind), lambda error: ("caught", 418))
    blueprint.add_url_rule("/", view_func=face.jwt_required(fresh=True)(lambda: "in"))
    app.register_blueprint(blueprint)
    client = app.test_client()
    tokens = (None, "x", token_of(claims_of(exp=1)), token_of(claims_of()), token_of(claims_of(type="refresh")))
    answers = [client.get("/", headers=bearer(token) if token else {}).status_code for token in tokens]
    caught = {
        "JWTExtendedException": [418, 422, 401, 418, 418],
        "NoAuthorizationError": [418, 422, 401, 401, 422],
        "FreshTokenRequired": [401, 422, 401, 418, 422],
    }
    assert answers == caught[kind]


@pytest.mark.parametrize("claims", [{"iss": None}, {"iss": 5}, {"aud": None}, {"cnf": None}, {"sid": None}])
@jwt_row("`iss`, `aud`, `cnf` or `sid` as null, `iss` as a number")
def test_a_claim_of_another_type_is_refused(claims: dict[str, Any]) -> None:
    app, _ = jwt_app(ours)
    with app.app_context(), pytest.raises(ConfigError, match="cannot be signed"):
        ours.create_access_token("ada", additional_claims=claims)


@pytest.mark.parametrize("secret", ["-----BEGIN NOT-----" + "x" * 40, "abc-----BEGINxyz0123456789abcdefghijkl"])
@jwt_row("a secret with `-----BEGIN` in it")
def test_a_secret_that_looks_like_a_key_is_refused(secret: str) -> None:
    app, _ = jwt_app(ours, JWT_SECRET_KEY=secret)
    with app.app_context(), pytest.raises(ConfigError):
        ours.create_access_token("ada")


@pytest.mark.parametrize(("exponent", "bits"), [(3, 2048), (65537, 2056)])
@jwt_row(
    "a private RSA key above 4096 bits, or of a length that is no multiple of 512, or with an exponent below 65537"
)
def test_a_private_rsa_key_of_unusual_size_is_refused(exponent: int, bits: int) -> None:
    key = rsa.generate_private_key(exponent, bits)
    pem = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    app, _ = jwt_app(ours, JWT_ALGORITHM="RS256", JWT_PRIVATE_KEY=pem)
    with app.app_context(), pytest.raises(ConfigError, match="2048 to 4096 bits"):
        ours.create_access_token("ada")
