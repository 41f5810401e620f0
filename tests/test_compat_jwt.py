"""What Flask-JWT-Extended's documentation shows, written anew: each app runs on it and on our face of it."""

from __future__ import annotations

import datetime
import inspect
import re
import time
from datetime import timedelta, timezone
from types import ModuleType
from typing import Any

import jwt as pyjwt
import pytest
from flask import Blueprint, Flask, Response, g, jsonify, render_template_string, request

from .facing import JWT_FACES, SECRET, bearer, claims_of, jwt_app, token_of


@pytest.fixture(params=JWT_FACES, ids=str)
def face(request: pytest.FixtureRequest) -> ModuleType:
    """The incumbent, then ours."""
    return JWT_FACES[request.param]


def issue(app: Flask, face: ModuleType, identity: Any = "ada", **arguments: Any) -> str:
    with app.app_context():
        return face.create_access_token(identity, **arguments)


def guarded(face: ModuleType, *, config: dict[str, Any] | None = None, **arguments: Any) -> tuple[Flask, Any]:
    """An app with one view, at ``/``, for any method."""
    app, manager = jwt_app(face, **(config or {}))

    @app.route("/", methods=["GET", "POST", "PUT"])
    @face.jwt_required(**arguments)
    def view() -> Response:
        return jsonify(me=face.get_jwt_identity(), where=face.get_jwt_request_location())

    return app, manager


def test_the_names_and_arguments_are_theirs() -> None:
    theirs, ours = JWT_FACES["theirs"], JWT_FACES["ours"]
    names = [name for name in vars(theirs) if not name.startswith("_") and not inspect.ismodule(getattr(theirs, name))]
    assert len(names) == 20
    for name in names:
        given = getattr(theirs, name)
        if not inspect.isfunction(given):
            continue
        shape, own = inspect.signature(given).parameters, inspect.signature(getattr(ours, name)).parameters
        assert [(p.name, p.default, p.kind) for p in shape.values()] == [
            (p.name, p.default, p.kind) for p in own.values()
        ], name
    loaders = {name for name in vars(theirs.JWTManager) if name.endswith("_loader")}
    assert len(loaders) == 15 and loaders <= set(vars(ours.JWTManager))
    assert list(inspect.signature(ours.JWTManager).parameters)[:2] == ["app", "add_context_processor"]


def test_exceptions_have_their_names_and_are_pyjwts_where_those_are() -> None:
    from flask_jwt_extended import exceptions as theirs

    from flask_rampart.compat.jwt_extended import exceptions as ours

    made: dict[str, tuple[Any, ...]] = dict.fromkeys(vars(theirs), ("why",))
    made["RevokedTokenError"] = ({}, {"jti": "1"})
    for name in ("FreshTokenRequired", "UserLookupError", "UserClaimsVerificationError"):
        made[name] = ("why", {}, {"jti": "1"})
    for name, kind in vars(theirs).items():
        if inspect.isclass(kind):
            own = getattr(ours, name)
            assert issubclass(own, ours.JWTExtendedException), name
            assert str(own(*made[name])) == str(kind(*made[name])), name
    for kind in ours.OF_PYJWT:
        assert issubclass(kind, getattr(pyjwt.exceptions, kind.__name__))


def test_the_settings_are_theirs_with_their_defaults(face: ModuleType) -> None:
    app = Flask("defaults")
    face.JWTManager(app)
    found = {key: value for key, value in app.config.items() if key.startswith("JWT_")}
    assert len(found) == 43
    # Two defaults are ours: see the table in docs/migrate/jwt-extended.md.
    del found["JWT_COOKIE_SECURE"], found["JWT_COOKIE_SAMESITE"]
    other = Flask("defaults")
    JWT_FACES["theirs"].JWTManager(other)
    assert found == {key: other.config[key] for key in found}


def test_config_tells_what_the_settings_are(face: ModuleType) -> None:
    app, _ = jwt_app(
        face, JWT_TOKEN_LOCATION=["headers", "json"], JWT_SESSION_COOKIE=False, JWT_ACCESS_TOKEN_EXPIRES=60
    )
    config = face.config.config
    with app.app_context():
        assert (config.is_asymmetric, config.encode_key, config.decode_key) == (False, SECRET, SECRET)
        assert list(config.token_location) == ["headers", "json"] and config.jwt_in_json and not config.jwt_in_cookies
        assert (config.jwt_in_headers, config.jwt_in_query_string) == (True, False)
        assert config.access_expires == timedelta(minutes=1) and config.refresh_expires == timedelta(days=30)
        assert (config.cookie_max_age, config.error_msg_key, config.identity_claim_key) == (31540000, "msg", "sub")
        assert set(config.csrf_request_methods) == {"POST", "PUT", "PATCH", "DELETE"} and config.leeway == 0
        assert (config.header_name, config.header_type, config.cookie_secure) == ("Authorization", "Bearer", False)
        assert list(config.decode_algorithms) == ["HS256"] and set(config.exempt_methods) == {"OPTIONS"}
        assert (config.access_cookie_name, config.refresh_csrf_header_name) == ("access_token_cookie", "X-CSRF-TOKEN")
        with pytest.raises(AttributeError):
            config.no_such_setting  # noqa: B018


# A login, and a view behind it.


def test_a_view_is_for_who_has_a_token(face: ModuleType) -> None:
    app, _ = guarded(face)
    client = app.test_client()
    refused = client.get("/")
    assert (refused.status_code, refused.get_json()) == (401, {"msg": "Missing Authorization Header"})
    assert "WWW-Authenticate" not in refused.headers
    allowed = client.get("/", headers=bearer(issue(app, face)))
    assert allowed.get_json() == {"me": "ada", "where": "headers"}


@pytest.mark.parametrize(
    "field, status, message",
    [
        ("Basic YTpi", 401, "Missing 'Bearer' type in 'Authorization' header. Expected 'Authorization: Bearer <JWT>'"),
        ("Bearer", 422, "Bad Authorization header. Expected 'Authorization: Bearer <JWT>'"),
        ("Bearer a b", 422, "Bad Authorization header. Expected 'Authorization: Bearer <JWT>'"),
        (
            "Bearer a, Bearer b",
            401,
            "Missing 'Bearer' type in 'Authorization' header. Expected 'Authorization: Bearer <JWT>'",
        ),
        ("Bearer abc", 422, "Not enough segments"),
        (",", 401, "Missing Authorization Header"),
    ],
)
def test_a_header_that_is_not_of_its_form_is_refused(face: ModuleType, field: str, status: int, message: str) -> None:
    app, _ = guarded(face)
    answer = app.test_client().get("/", headers={"Authorization": field})
    assert (answer.status_code, answer.get_json()) == (status, {"msg": message})


def test_one_of_several_credentials_in_the_header_is_found(face: ModuleType) -> None:
    app, _ = guarded(face)
    field = f"Basic YTpi, Bearer {issue(app, face)},"
    assert app.test_client().get("/", headers={"Authorization": field}).status_code == 200


def test_options_is_open(face: ModuleType) -> None:
    app, _ = jwt_app(face)

    @app.route("/", methods=["OPTIONS"])
    @face.jwt_required()
    def view() -> Response:
        return jsonify(open=True)

    assert app.test_client().options("/").get_json() == {"open": True}


@pytest.mark.parametrize(
    "claims, key, message",
    [
        ({}, "another secret of 32 bytes and more", "Signature verification failed"),
        ({"nbf": int(time.time()) + 999}, SECRET, "The token is not yet valid (nbf)"),
        ({"iat": int(time.time()) + 999}, SECRET, "The token is not yet valid (iat)"),
        ({"sub": 7}, SECRET, "Subject must be a string"),
        ({"jti": 7}, SECRET, "JWT ID must be a string"),
        ({"sub": ...}, SECRET, "Missing claim: sub"),
        ({"type": "refresh"}, SECRET, "Only non-refresh tokens are allowed"),
    ],
)
def test_a_token_that_is_wrong_is_422(face: ModuleType, claims: dict[str, Any], key: str, message: str) -> None:
    app, _ = guarded(face)
    answer = app.test_client().get("/", headers=bearer(token_of(claims_of(**claims), key)))
    assert (answer.status_code, answer.get_json()) == (422, {"msg": message})


def test_an_algorithm_that_is_not_listed_is_refused(face: ModuleType) -> None:
    app, _ = guarded(face, config={"JWT_DECODE_ALGORITHMS": ["HS384"]})
    client = app.test_client()
    for algorithm, status in (("HS256", 200), ("HS384", 200), ("HS512", 422)):
        token = token_of(claims_of(), SECRET, algorithm)
        assert client.get("/", headers=bearer(token)).status_code == status
    none = pyjwt.encode(claims_of(), None, "none")
    assert client.get("/", headers=bearer(none)).get_json() == {"msg": "The specified alg value is not allowed"}


def test_an_expired_token_is_401_and_leeway_counts(face: ModuleType) -> None:
    over = token_of(claims_of(exp=int(time.time()) - 60))
    for leeway, status in ((0, 401), (timedelta(seconds=30), 401), (600, 200), (timedelta(minutes=10), 200)):
        app, _ = guarded(face, config={"JWT_DECODE_LEEWAY": leeway})
        answer = app.test_client().get("/", headers=bearer(over))
        assert answer.status_code == status
        assert status == 200 or answer.get_json() == {"msg": "Token has expired"}


@pytest.mark.parametrize(
    "config, claims, message",
    [
        ({"JWT_DECODE_AUDIENCE": "us"}, {"aud": "us"}, None),
        ({"JWT_DECODE_AUDIENCE": ["us", "them"]}, {"aud": ["others", "them"]}, None),
        ({"JWT_DECODE_AUDIENCE": "us"}, {"aud": "them"}, "Audience doesn't match"),
        ({"JWT_DECODE_AUDIENCE": "us"}, {}, 'Token is missing the "aud" claim'),
        ({"JWT_DECODE_ISSUER": "us"}, {"iss": "us"}, None),
        ({"JWT_DECODE_ISSUER": ["us", "them"]}, {"iss": "them"}, None),
        ({"JWT_DECODE_ISSUER": "us"}, {"iss": "them"}, "Invalid issuer"),
        ({"JWT_DECODE_ISSUER": "us"}, {}, 'Token is missing the "iss" claim'),
        ({"JWT_IDENTITY_CLAIM": "user"}, {"user": {"id": 7}, "sub": ...}, None),
    ],
)
def test_audience_issuer_and_identity_are_the_configured_ones(
    face: ModuleType, config: dict[str, Any], claims: dict[str, Any], message: str | None
) -> None:
    app, _ = guarded(face, config=config)
    answer = app.test_client().get("/", headers=bearer(token_of(claims_of(**claims))))
    assert (answer.status_code, answer.get_json().get("msg")) == (200 if message is None else 422, message)


def test_a_token_without_jti_type_and_fresh_is_an_access_token(face: ModuleType) -> None:
    app, manager = jwt_app(face)
    seen: list[Any] = []

    @manager.token_in_blocklist_loader
    def taken_back(header: dict[str, Any], claims: dict[str, Any]) -> bool:
        seen.append((header, claims["jti"], claims["type"], claims["fresh"]))
        return False

    @app.get("/")
    @face.jwt_required()
    def view() -> Response:
        return jsonify(face.get_jwt())

    token = token_of(claims_of(jti=..., type=..., fresh=...), kid="k1")
    assert app.test_client().get("/", headers=bearer(token)).status_code == 200
    assert seen == [({"alg": "HS256", "kid": "k1", "typ": "JWT"}, None, "access", False)]


def test_optional_lets_nobody_in_and_refuses_what_is_wrong(face: ModuleType) -> None:
    app, _ = jwt_app(face)

    @app.get("/")
    @face.jwt_required(optional=True)
    def view() -> Response:
        return jsonify(me=face.get_jwt_identity(), claims=face.get_jwt(), header=face.get_jwt_header())

    client = app.test_client()
    assert client.get("/").get_json() == {"me": None, "claims": {}, "header": {}}
    assert client.get("/", headers=bearer(issue(app, face))).get_json()["me"] == "ada"
    assert client.get("/", headers=bearer("a.b.c")).status_code == 422
    assert client.get("/", headers=bearer(token_of(claims_of(exp=1)))).status_code == 401


def test_what_was_not_asked_for_cannot_be_read(face: ModuleType) -> None:
    app, _ = jwt_app(face)
    with app.test_request_context():
        for read in (face.get_jwt, face.get_jwt_header, face.get_jwt_identity, face.get_current_user):
            with pytest.raises(RuntimeError):
                read()
        assert face.get_jwt_request_location() is None
    with app.app_context():
        assert face.get_jwt_request_location() is None
        with pytest.raises(RuntimeError):
            face.get_jwt()
    with pytest.raises(RuntimeError):
        face.get_jwt_request_location()
    bare = Flask("bare")
    with bare.test_request_context(), pytest.raises((RuntimeError, KeyError)):
        face.verify_jwt_in_request()


def test_two_apps_in_one_request_know_their_callers_apart(face: ModuleType) -> None:
    app, _ = jwt_app(face)
    other, _ = jwt_app(face)
    with app.test_request_context(headers=bearer(issue(app, face))):
        face.verify_jwt_in_request()
        with other.app_context():
            with pytest.raises(RuntimeError):
                face.get_jwt()
            face.verify_jwt_in_request()
            assert face.get_jwt_identity() == "ada"
        assert face.get_jwt_identity() == "ada"


# Users, claims, headers.


def test_users_are_made_texts_and_found_again(face: ModuleType) -> None:
    app, manager = jwt_app(face)
    users = {"7": {"name": "Ada"}}
    manager.user_identity_loader(lambda user: str(user["id"]))

    @manager.user_lookup_loader
    def find(header: dict[str, Any], claims: dict[str, Any]) -> Any:
        return users.get(claims["sub"])

    @app.get("/")
    @face.jwt_required(optional=True)
    def view() -> Response:
        user = face.get_current_user()
        return jsonify(name=face.current_user["name"] if user else None)

    client = app.test_client()
    assert client.get("/", headers=bearer(issue(app, face, {"id": 7}))).get_json() == {"name": "Ada"}
    assert client.get("/").get_json() == {"name": None}
    gone = client.get("/", headers=bearer(issue(app, face, {"id": 8})))
    assert (gone.status_code, gone.get_json()) == (401, {"msg": "Error loading the user 8"})


def test_templates_have_the_user_if_that_was_asked_for(face: ModuleType) -> None:
    app = Flask("templates")
    app.config["JWT_SECRET_KEY"] = SECRET
    manager = face.JWTManager(app, add_context_processor=True)
    manager.user_lookup_loader(lambda header, claims: claims["sub"].upper())

    @app.get("/")
    @face.jwt_required()
    def view() -> str:
        return render_template_string("{{ current_user }}")

    assert app.test_client().get("/", headers=bearer(issue(app, face))).text == "ADA"


def test_claims_and_headers_are_added_and_the_nearest_wins(face: ModuleType) -> None:
    app, manager = jwt_app(face)
    manager.additional_claims_loader(lambda identity: {"role": "reader", "of": identity})
    manager.additional_headers_loader(lambda identity: {"kid": "k1", "x": {"y": 1}})
    with app.app_context():
        token = face.create_access_token("ada", additional_claims={"role": "admin"}, additional_headers={"kid": "k2"})
        refresh = face.create_refresh_token("ada", additional_claims={"n": 1})
        assert face.get_unverified_jwt_headers(token) == {"alg": "HS256", "typ": "JWT", "kid": "k2", "x": {"y": 1}}
        assert {k: face.decode_token(token)[k] for k in ("role", "of", "type")} == {
            "role": "admin",
            "of": "ada",
            "type": "access",
        }
        assert face.decode_token(refresh)["n"] == 1
    assert pyjwt.decode(token, SECRET, ["HS256"])["role"] == "admin"


def test_a_token_says_what_theirs_says(face: ModuleType) -> None:
    app, _ = jwt_app(face, JWT_ENCODE_ISSUER="us", JWT_ENCODE_AUDIENCE=["a", "b"], JWT_DECODE_AUDIENCE="a")
    before = int(time.time())
    with app.app_context():
        access = face.create_access_token("ada", fresh=timedelta(minutes=5))
        refresh = face.create_refresh_token("ada", expires_delta=timedelta(hours=1))
        own = face.create_access_token(
            "ada", additional_claims={"exp": datetime.datetime(2100, 1, 1, tzinfo=timezone.utc)}
        )
        claims, other = face.decode_token(access), face.decode_token(refresh)
        assert face.get_jti(access) == claims["jti"] and face.get_csrf_token(access) == claims["csrf"]
        assert face.decode_token(own)["exp"] == 4102444800
    assert set(claims) == {"fresh", "iat", "jti", "type", "sub", "nbf", "csrf", "aud", "iss", "exp"}
    assert len(claims["jti"]) == len(claims["csrf"]) == 36
    assert (claims["type"], claims["sub"], claims["iss"], claims["aud"]) == ("access", "ada", "us", ["a", "b"])
    assert before <= claims["iat"] == claims["nbf"] and claims["exp"] == claims["iat"] + 900
    assert claims["iat"] + 299 < claims["fresh"] < claims["iat"] + 302
    assert (other["type"], other["fresh"], other["exp"] - other["iat"]) == ("refresh", False, 3600)


# Refreshing, freshness, revocation.


def test_a_refresh_token_opens_what_is_for_refresh_tokens_alone(face: ModuleType) -> None:
    app, _ = jwt_app(face)

    @app.post("/refresh")
    @face.jwt_required(refresh=True)
    def refresh() -> Response:
        return jsonify(access_token=face.create_access_token(face.get_jwt_identity(), fresh=False))

    @app.get("/any")
    @face.jwt_required(verify_type=False)
    def anything() -> Response:
        return jsonify(face.get_jwt()["type"])

    client = app.test_client()
    with app.app_context():
        access, long = face.create_access_token("ada"), face.create_refresh_token("ada")
    assert client.post("/refresh", headers=bearer(long)).status_code == 200
    refused = client.post("/refresh", headers=bearer(access))
    assert (refused.status_code, refused.get_json()) == (422, {"msg": "Only refresh tokens are allowed"})
    assert [client.get("/any", headers=bearer(token)).get_json() for token in (access, long)] == ["access", "refresh"]


def test_fresh_is_true_or_a_time_to_come(face: ModuleType) -> None:
    app, _ = guarded(face, fresh=True)
    client, now = app.test_client(), time.time()
    for fresh, status in ((True, 200), (False, 401), (now + 60, 200), (now - 60, 401), (int(now) - 60, 401)):
        answer = client.get("/", headers=bearer(token_of(claims_of(fresh=fresh))))
        assert answer.status_code == status, fresh
        assert status == 200 or answer.get_json() == {"msg": "Fresh token required"}


def test_what_is_on_the_blocklist_is_refused_unless_it_is_not_asked(face: ModuleType) -> None:
    app, manager = jwt_app(face)
    gone: set[str] = set()
    manager.token_in_blocklist_loader(lambda header, claims: claims["jti"] in gone)

    @app.delete("/logout")
    @face.jwt_required(verify_type=False)
    def logout() -> Response:
        gone.add(face.get_jwt()["jti"])
        return jsonify(msg="bye")

    @app.get("/anyway")
    @face.jwt_required(skip_revocation_check=True)
    def anyway() -> Response:
        return jsonify(msg="in")

    client, token = app.test_client(), bearer(issue(app, face))
    assert client.delete("/logout", headers=token).status_code == 200
    refused = client.delete("/logout", headers=token)
    assert (refused.status_code, refused.get_json()) == (401, {"msg": "Token has been revoked"})
    assert client.get("/anyway", headers=token).status_code == 200


def test_the_apps_own_check_of_claims_is_400(face: ModuleType) -> None:
    app, manager = guarded(face)
    manager.token_verification_loader(lambda header, claims: claims["sub"] == "ada")
    client = app.test_client()
    assert client.get("/", headers=bearer(issue(app, face))).status_code == 200
    refused = client.get("/", headers=bearer(issue(app, face, "bob")))
    assert (refused.status_code, refused.get_json()) == (400, {"msg": "User claims verification failed"})


# The app's own answers.


def test_each_refusal_has_a_loader_of_its_answer(face: ModuleType) -> None:
    app, manager = jwt_app(face, JWT_ERROR_MESSAGE_KEY="error")
    manager.expired_token_loader(lambda header, claims: (f"over: {claims['sub']}", 418))
    manager.invalid_token_loader(lambda message: (f"invalid: {message}", 418))
    manager.unauthorized_loader(lambda message: (f"none: {message}", 418))
    manager.needs_fresh_token_loader(lambda header, claims: (f"stale: {header['alg']}", 418))
    manager.revoked_token_loader(lambda header, claims: (f"revoked: {claims['jti']}", 418))
    manager.user_lookup_error_loader(lambda header, claims: (f"nobody: {claims['sub']}", 418))
    manager.token_verification_failed_loader(lambda header, claims: (f"failed: {claims['sub']}", 418))
    manager.token_in_blocklist_loader(lambda header, claims: claims["jti"] == "gone")
    manager.token_verification_loader(lambda header, claims: claims["sub"] != "eve")
    manager.user_lookup_loader(lambda header, claims: None if claims["sub"] == "bob" else claims["sub"])

    @app.get("/")
    @face.jwt_required(fresh=True)
    def view() -> str:
        return "in"

    client = app.test_client()

    def ask(**claims: Any) -> str:
        answer = client.get("/", headers=bearer(token_of(claims_of(**{"fresh": True, **claims}))))
        return answer.text if answer.status_code in (200, 418) else f"{answer.status_code}"

    assert client.get("/").text == "none: Missing Authorization Header"
    assert ask() == "in"
    assert ask(exp=1) == "over: ada"
    assert ask(type="refresh") == "invalid: Only non-refresh tokens are allowed"
    assert ask(fresh=False) == "stale: HS256"
    assert ask(jti="gone") == "revoked: gone"
    assert ask(sub="bob") == "nobody: bob"
    assert ask(sub="eve") == "failed: eve"


def test_the_message_has_the_configured_key(face: ModuleType) -> None:
    app, _ = guarded(face, config={"JWT_ERROR_MESSAGE_KEY": "error"})
    assert app.test_client().get("/").get_json() == {"error": "Missing Authorization Header"}


def test_an_error_handler_of_the_apps_own_replaces_the_managers(face: ModuleType) -> None:
    exceptions = __import__(f"{face.__name__}.exceptions", fromlist=["exceptions"])
    app, _ = guarded(face)
    app.register_error_handler(exceptions.NoAuthorizationError, lambda error: (f"mine: {error}", 403))
    app.register_error_handler(pyjwt.ExpiredSignatureError, lambda error: ("mine: over", 403))
    app.register_error_handler(Exception, lambda error: ("any", 500))
    client = app.test_client()
    assert client.get("/").text == "mine: Missing Authorization Header"
    assert client.get("/", headers=bearer(token_of(claims_of(exp=1)))).text == "mine: over"
    assert client.get("/", headers=bearer("a")).get_json() == {"msg": "Not enough segments"}


def test_handlers_of_http_errors_do_not_get_them(face: ModuleType) -> None:
    app, _ = jwt_app(face)
    pages = Blueprint("pages", __name__)
    pages.register_error_handler(401, lambda error: ("page", 401))
    app.register_error_handler(422, lambda error: ("page", 422))
    pages.add_url_rule("/", view_func=face.jwt_required()(lambda: "in"))
    app.register_blueprint(pages)
    client = app.test_client()
    assert client.get("/").get_json() == {"msg": "Missing Authorization Header"}
    assert client.get("/", headers=bearer("a")).get_json() == {"msg": "Not enough segments"}


def test_what_is_raised_can_be_caught_and_read(face: ModuleType) -> None:
    exceptions = __import__(f"{face.__name__}.exceptions", fromlist=["exceptions"])
    app, _ = jwt_app(face)
    with app.test_request_context():
        with pytest.raises(exceptions.NoAuthorizationError) as missing:
            face.verify_jwt_in_request()
        assert str(missing.value) == "Missing Authorization Header"
        with pytest.raises(pyjwt.ExpiredSignatureError) as over:
            face.decode_token(token_of(claims_of(exp=1)))
        assert over.value.jwt_data["sub"] == "ada" and over.value.jwt_header["alg"] == "HS256"
        with pytest.raises(pyjwt.InvalidSignatureError):
            face.decode_token(token_of(claims_of(), "another secret of 32 bytes and more"))
        assert face.decode_token(token_of(claims_of(exp=1)), allow_expired=True)["sub"] == "ada"
        with pytest.raises(exceptions.CSRFError):
            face.decode_token(token_of(claims_of()), "another")
        with pytest.raises(exceptions.JWTDecodeError):
            face.decode_token(token_of(claims_of(csrf=...)), "another")


# Places.


def test_tokens_are_looked_for_in_the_configured_places_in_order(face: ModuleType) -> None:
    places = ["json", "query_string", "cookies", "headers"]
    app, _ = guarded(face, config={"JWT_TOKEN_LOCATION": places, "JWT_QUERY_STRING_VALUE_PREFIX": "jwt="})
    token = issue(app, face)
    client = app.test_client()
    assert client.get("/", json={"access_token": token}).get_json()["where"] == "json"
    assert client.get(f"/?jwt=jwt={token}").get_json()["where"] == "query_string"
    assert client.get("/", headers=bearer(token)).get_json()["where"] == "headers"
    wrong = client.get(f"/?jwt={token}")
    assert (wrong.status_code, wrong.get_json()) == (
        422,
        {"msg": "Invalid value for query parameter 'jwt'. Expected the value to start with 'jwt='"},
    )
    client.set_cookie("access_token_cookie", token)
    assert client.get("/", headers=bearer(token)).get_json()["where"] == "cookies"
    nothing = app.test_client().get("/")
    assert (nothing.status_code, nothing.get_json()) == (
        401,
        {
            "msg": "Missing JWT in json, query_string, cookies or headers (Invalid content-type. Must be application/json.;"
            " Missing 'jwt' query paramater; Missing cookie \"access_token_cookie\"; Missing Authorization Header)"
        },
    )
    assert client.get(f"/?jwt=jwt={token[:-4]}", headers=bearer(token)).status_code == 422


def test_a_body_has_tokens_by_type(face: ModuleType) -> None:
    app, _ = jwt_app(face, JWT_TOKEN_LOCATION="json")
    app.add_url_rule("/a", view_func=face.jwt_required()(lambda: "a"), methods=["POST"], endpoint="a")
    app.add_url_rule("/r", view_func=face.jwt_required(refresh=True)(lambda: "r"), methods=["POST"], endpoint="r")
    client = app.test_client()
    with app.app_context():
        both = {"access_token": face.create_access_token("ada"), "refresh_token": face.create_refresh_token("ada")}
    assert [client.post(path, json=both).text for path in ("/a", "/r")] == ["a", "r"]
    for body in ({}, {"access_token": ""}, {"refresh_token": both["refresh_token"]}):
        assert client.post("/a", json=body).get_json() == {"msg": 'Missing "access_token" key in json data.'}
    broken = client.post("/a", data="{", content_type="application/json")
    assert (broken.status_code, broken.get_json()) == (401, {"msg": 'Missing "access_token" key in json data.'})


@pytest.mark.parametrize("kind", ["JWT", ""])
def test_the_header_may_have_another_name_and_word(face: ModuleType, kind: str) -> None:
    app, _ = guarded(face, config={"JWT_HEADER_NAME": "X-Token", "JWT_HEADER_TYPE": kind})
    client, token = app.test_client(), issue(app, face)
    assert client.get("/", headers={"X-Token": f"{kind} {token}".strip()}).status_code == 200
    assert client.get("/", headers=bearer(token)).get_json() == {"msg": "Missing X-Token Header"}
    assert client.get("/", headers={"X-Token": f"{kind} a b".strip()}).status_code == 422


def test_a_view_may_name_places_of_its_own(face: ModuleType) -> None:
    app, _ = guarded(face, locations=["headers", "query_string"])
    client, token = app.test_client(), issue(app, face)
    assert client.get(f"/?jwt={token}").get_json()["where"] == "query_string"
    app2, _ = jwt_app(face)
    with app2.test_request_context(), pytest.raises(RuntimeError):
        face.verify_jwt_in_request(locations="nowhere")


# Cookies.


def cookie_app(face: ModuleType, **config: Any) -> Flask:
    app, _ = jwt_app(face, **{"JWT_TOKEN_LOCATION": ["cookies"], **config})

    @app.post("/login")
    def login() -> Response:
        response = jsonify(ok=True)
        face.set_access_cookies(response, face.create_access_token("ada"), max_age=request.args.get("age", type=int))
        face.set_refresh_cookies(response, face.create_refresh_token("ada"), domain=request.args.get("domain"))
        return response

    @app.post("/logout")
    def logout() -> Response:
        response = jsonify(ok=True)
        face.unset_jwt_cookies(response)
        return response

    app.add_url_rule("/", view_func=face.jwt_required()(lambda: "in"), methods=["GET", "POST"], endpoint="home")
    again = face.jwt_required(refresh=True)(lambda: "again")
    app.add_url_rule("/refresh", view_func=again, methods=["POST"], endpoint="refresh")
    return app


def test_cookies_need_the_csrf_claim_beside_them(face: ModuleType) -> None:
    client = cookie_app(face).test_client()
    assert client.get("/").get_json() == {"msg": 'Missing cookie "access_token_cookie"'}
    client.post("/login")
    assert client.get("/").text == "in"
    missing = client.post("/")
    assert (missing.status_code, missing.get_json()) == (401, {"msg": "Missing CSRF token"})
    access, refresh = client.get_cookie("csrf_access_token"), client.get_cookie("csrf_refresh_token")
    assert access is not None and refresh is not None
    assert client.post("/", headers={"X-CSRF-TOKEN": access.value}).text == "in"
    other = client.post("/", headers={"X-CSRF-TOKEN": refresh.value})
    assert (other.status_code, other.get_json()) == (401, {"msg": "CSRF double submit tokens do not match"})
    assert client.post("/refresh", headers={"X-CSRF-TOKEN": refresh.value}).text == "again"
    client.post("/logout")
    assert client.get("/").status_code == 401


def test_a_form_may_have_the_csrf_claim(face: ModuleType) -> None:
    client = cookie_app(face, JWT_CSRF_CHECK_FORM=True, JWT_ACCESS_CSRF_FIELD_NAME="proof").test_client()
    client.post("/login")
    cookie = client.get_cookie("csrf_access_token")
    assert cookie is not None
    assert client.post("/", data={"proof": cookie.value}).text == "in"
    assert client.post("/", data={"proof": "no"}).status_code == 401
    off = cookie_app(face, JWT_COOKIE_CSRF_PROTECT=False).test_client()
    off.post("/login")
    assert off.post("/").text == "in" and off.get_cookie("csrf_access_token") is None


def test_places_of_a_views_own_do_not_lose_the_proof(face: ModuleType) -> None:
    # Flask-JWT-Extended's pull request 538.
    app, _ = guarded(face, locations="cookies")
    client = app.test_client()
    client.set_cookie("access_token_cookie", issue(app, face))
    assert client.get("/").status_code == 200
    assert client.post("/").get_json() == {"msg": "Missing CSRF token"}


@pytest.mark.parametrize(
    "config, query",
    [
        ({}, ""),
        ({"JWT_COOKIE_SECURE": True, "JWT_COOKIE_SAMESITE": "Strict", "JWT_COOKIE_DOMAIN": "example.com"}, ""),
        ({"JWT_SESSION_COOKIE": False, "JWT_REFRESH_COOKIE_PATH": "/refresh"}, "?age=60&domain=example.org"),
        ({"JWT_CSRF_IN_COOKIES": False, "JWT_ACCESS_COOKIE_NAME": "a"}, "?age=60"),
        ({"JWT_COOKIE_CSRF_PROTECT": False}, ""),
    ],
)
def test_cookies_are_set_and_taken_back_as_theirs_are(config: dict[str, Any], query: str) -> None:
    def lines(face: ModuleType, path: str) -> list[str]:
        found = cookie_app(face, **config).test_client().post(path).headers.getlist("Set-Cookie")
        # Names and attributes: the values are random, and what is to expire in a minute is a moment later here.
        return [
            line.partition("=")[0] + re.sub("; Expires=[^;]+; Max-Age=", "; Max-Age=", line[line.index(";") :])
            for line in found
        ]

    for path in (f"/login{query}", "/logout"):
        found = [lines(face, path) for face in JWT_FACES.values()]
        assert found[0] == found[1] and found[0]


def test_cookies_can_be_renewed_after_a_request(face: ModuleType) -> None:
    app = cookie_app(face, JWT_ACCESS_TOKEN_EXPIRES=timedelta(minutes=5))

    @app.after_request
    def renew(response: Response) -> Response:
        try:
            if face.get_jwt()["exp"] < time.time() + 1800:
                face.set_access_cookies(response, face.create_access_token(face.get_jwt_identity()))
        except (RuntimeError, KeyError):
            pass
        return response

    client = app.test_client()
    client.post("/login")
    assert len(client.get("/").headers.getlist("Set-Cookie")) == 2


# Views of all kinds, and keys.


def test_a_decorator_of_the_apps_own_asks_by_itself(face: ModuleType) -> None:
    app, _ = jwt_app(face)

    @app.before_request
    def note() -> None:
        g.wanted = "admin"

    @app.get("/")
    def view() -> Any:
        header, claims = face.verify_jwt_in_request()
        assert header == face.get_jwt_header()
        return ("in", 200) if claims.get("role") == g.wanted else ("no", 403)

    client = app.test_client()
    assert client.get("/", headers=bearer(issue(app, face, additional_claims={"role": "admin"}))).text == "in"
    assert client.get("/", headers=bearer(issue(app, face))).status_code == 403


def test_async_views_are_guarded(face: ModuleType) -> None:
    app, _ = jwt_app(face)

    @app.get("/")
    @face.jwt_required()
    async def view() -> Response:
        return jsonify(me=face.get_jwt_identity())

    client = app.test_client()
    assert client.get("/").status_code == 401
    assert client.get("/", headers=bearer(issue(app, face))).get_json() == {"me": "ada"}


def test_loaders_may_choose_keys(face: ModuleType) -> None:
    app, manager = guarded(face)
    keys = {"ada": "a" * 32, "bob": "b" * 32}
    manager.encode_key_loader(lambda identity: keys[identity])
    seen: list[Any] = []

    @manager.decode_key_loader
    def key_of(header: dict[str, Any], claims: dict[str, Any]) -> str:
        seen.append(header)
        return keys[claims["sub"]]

    client = app.test_client()
    for name in keys:
        assert client.get("/", headers=bearer(issue(app, face, name))).get_json()["me"] == name
    assert client.get("/", headers=bearer(token_of(claims_of(sub="bob"), keys["ada"]))).status_code == 422
    assert seen[0] == {"alg": "HS256", "typ": "JWT"}


def test_the_apps_secret_serves_and_settings_may_change(face: ModuleType) -> None:
    app = Flask("secret")
    app.secret_key = SECRET
    face.JWTManager(app)
    app.add_url_rule("/", view_func=face.jwt_required()(lambda: "in"))
    client, token = app.test_client(), bearer(issue(app, face))
    assert client.get("/", headers=token).text == "in"
    app.config["JWT_DECODE_ALGORITHMS"] = ["HS384"]
    assert client.get("/", headers=bearer(token_of(claims_of(), SECRET, "HS384"))).text == "in"
    app.config["JWT_SECRET_KEY"] = SECRET[::-1]
    assert client.get("/", headers=token).status_code == 422
    app.config["JWT_HEADER_NAME"] = "X-Token"
    assert client.get("/", headers=token).get_json() == {"msg": "Missing X-Token Header"}


def test_an_app_without_a_key_says_so(face: ModuleType) -> None:
    app = Flask("keyless")
    face.JWTManager(app)
    with app.app_context(), pytest.raises(Exception, match="JWT_SECRET_KEY"):
        face.create_access_token("ada")
