"""Each row of the tables of docs/migrate/jwt-extended.md: what theirs does, and what ours does."""

from __future__ import annotations

import datetime
import json
import re
import time
from base64 import urlsafe_b64encode
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from flask import Flask, Response, request

from flask_rampart import Clock, ConfigError, Rampart, public

from .facing import JWT_FACES, JWT_ROWS, SECRET, bearer, claims_of, jwt_app, jwt_row, token_of

PAGE = Path(__file__).parent.parent / "docs" / "migrate" / "jwt-extended.md"
THEIRS, OURS = JWT_FACES["theirs"], JWT_FACES["ours"]


def answers(token: str, /, *, headers: dict[str, str] | None = None, **config: Any) -> list[tuple[int, str | None]]:
    """What both say to a request with *token*: status and message."""
    found = []
    for face in (THEIRS, OURS):
        app, _ = jwt_app(face, **config)
        app.add_url_rule("/", view_func=face.jwt_required()(lambda: {"msg": None}), methods=["GET", "POST"])
        app.config["PROPAGATE_EXCEPTIONS"] = False
        answer = app.test_client().get("/", headers={**bearer(token), **(headers or {})})
        found.append((answer.status_code, (answer.get_json(silent=True) or {}).get("msg")))
    return found


def statuses(token: str, /, **config: Any) -> list[int]:
    return [status for status, _ in answers(token, **config)]


def set_cookies(face: ModuleType, *, debug: bool = False, **config: Any) -> list[str]:
    app = Flask("cookies")
    app.debug = debug
    app.config.update(JWT_SECRET_KEY=SECRET, JWT_TOKEN_LOCATION="cookies", **config)
    face.JWTManager(app)

    @app.get("/")
    def login() -> Response:
        response = Response()
        face.set_access_cookies(response, face.create_access_token("ada"))
        return response

    return app.test_client().get("/").headers.getlist("Set-Cookie")


def made(face: ModuleType, identity: Any = "ada", *, config: dict[str, Any] | None = None, **arguments: Any) -> str:
    app, _ = jwt_app(face, **(config or {}))
    with app.app_context():
        return face.create_access_token(identity, **arguments)  # type: ignore[no-any-return]


def raw_token(header: Any, payload: bytes, key: str = SECRET) -> str:
    """A token over bytes that no library would write."""
    from jwt.algorithms import HMACAlgorithm

    parts = [urlsafe_b64encode(part).rstrip(b"=") for part in (json.dumps(header).encode(), payload)]
    signed = b".".join(parts)
    signature = HMACAlgorithm(HMACAlgorithm.SHA256).sign(signed, key.encode())
    return b".".join((signed, urlsafe_b64encode(signature).rstrip(b"="))).decode()


# With a setting that says otherwise.


@jwt_row("`JWT_COOKIE_SECURE`, not set")
def test_cookies_are_for_https_but_under_debug_or_where_the_setting_says_otherwise() -> None:
    assert all("Secure" not in line for line in set_cookies(THEIRS))
    assert all("Secure" in line for line in set_cookies(OURS))
    assert all("Secure" not in line for line in set_cookies(OURS, debug=True))
    assert all("Secure" not in line for line in set_cookies(OURS, JWT_COOKIE_SECURE=False))


@jwt_row("`JWT_COOKIE_SAMESITE`, not set")
def test_cookies_are_lax_unless_the_setting_says_otherwise() -> None:
    assert all("SameSite" not in line for line in set_cookies(THEIRS))
    assert all("SameSite=Lax" in line for line in set_cookies(OURS))
    assert all("SameSite" not in line for line in set_cookies(OURS, JWT_COOKIE_SAMESITE=None))


@jwt_row("a token without `exp`")
def test_a_token_without_an_end_is_refused_unless_its_type_has_none() -> None:
    token = token_of(claims_of(exp=...))
    assert answers(token) == [(200, None), (422, 'Token is missing the "exp" claim')]
    assert statuses(token, JWT_ACCESS_TOKEN_EXPIRES=False) == [200, 200]
    assert statuses(token, JWT_REFRESH_TOKEN_EXPIRES=False) == [200, 422]
    assert statuses(token, RAMPART_JWT_REQUIRE_EXP=False) == [200, 200]
    assert "exp" not in pyjwt.decode(made(THEIRS, expires_delta=False), SECRET, ["HS256"])
    with pytest.raises(ConfigError, match="JWT_ACCESS_TOKEN_EXPIRES"):
        made(OURS, expires_delta=False)
    for config in ({"JWT_ACCESS_TOKEN_EXPIRES": False}, {"RAMPART_JWT_REQUIRE_EXP": False}):
        endless = made(OURS, config=config, expires_delta=False)
        assert "exp" not in pyjwt.decode(endless, SECRET, ["HS256"])


@jwt_row("a token with `aud`, and `JWT_DECODE_AUDIENCE` is not set")
def test_a_token_for_others_is_refused_and_one_for_us_is_not() -> None:
    token = token_of(claims_of(aud="others"))
    assert answers(token) == [(200, None), (422, "Audience doesn't match")]
    assert statuses(token, JWT_DECODE_AUDIENCE=["others"]) == [200, 200]
    assert statuses(token, JWT_ENCODE_AUDIENCE="us") == [200, 422]
    assert statuses(token_of(claims_of(aud=["us"])), JWT_ENCODE_AUDIENCE="us") == [200, 200]
    assert statuses(token_of(claims_of()), JWT_ENCODE_AUDIENCE="us") == [200, 200]


@jwt_row("a secret shorter than 32, 48, 64 bytes for HS256, HS384, HS512")
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("algorithm, enough", [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_short_secret_stops_an_app_in_production(
    algorithm: str, enough: int, caplog: pytest.LogCaptureFixture
) -> None:
    short = SECRET[: enough - 1]
    config = {"JWT_SECRET_KEY": short, "JWT_ALGORITHM": algorithm}
    token = token_of(claims_of(), short, algorithm)
    assert statuses(token, **config) == [200, 500]
    with pytest.raises(ConfigError, match=f"{enough - 1} bytes.*RAMPART_JWT_WEAK_SECRET"):
        made(OURS, config=config)
    for switch in ("RAMPART_JWT_WEAK_SECRET", "TESTING", "DEBUG"):
        caplog.clear()
        assert statuses(token, **config, **{switch: True}) == [200, 200]
        assert sum(f"has {enough - 1} bytes" in record.getMessage() for record in caplog.records) == 1
        own = made(OURS, config={**config, switch: True})
        assert pyjwt.decode(own, short, [algorithm])["sub"] == "ada"
    exact = {**config, "JWT_SECRET_KEY": SECRET[:enough]}
    assert statuses(token_of(claims_of(), SECRET[:enough], algorithm), **exact) == [200, 200]
    for secret in (b"", ""):
        assert statuses(token, JWT_SECRET_KEY=secret, RAMPART_JWT_WEAK_SECRET=True)[1] == 500


def test_the_log_says_once_where_we_are_stricter(caplog: pytest.LogCaptureFixture) -> None:
    app = Flask("told")
    app.config.update(JWT_SECRET_KEY=SECRET, JWT_TOKEN_LOCATION=["headers", "cookies"])
    OURS.JWTManager(app)
    with app.app_context():
        for _ in range(3):
            OURS.create_access_token("ada")
    (told,) = (record.getMessage() for record in caplog.records)
    for switch in ("JWT_COOKIE_SECURE", "JWT_COOKIE_SAMESITE", "RAMPART_JWT_REQUIRE_EXP", "JWT_DECODE_AUDIENCE"):
        assert switch in told


# Without.


@jwt_row("`JWT_VERIFY_SUB = False`", "an identity that is no text")
def test_an_identity_is_a_text_or_a_whole_number_if_the_app_says_so() -> None:
    assert answers(made(THEIRS, 7))[0] == (422, "Subject must be a string")
    for identity in (7, None, ["ada"]):
        with pytest.raises(ConfigError, match="user_identity_loader"):
            made(OURS, identity)
    assert statuses(token_of(claims_of(sub=7))) == [422, 422]
    numbers = {"JWT_VERIFY_SUB": False}
    for identity in (7, -7, 2**63, "ada"):
        assert answers(token_of(claims_of(sub=identity)), **numbers) == [(200, None), (200, None)]
        for maker in (THEIRS, OURS):
            token = made(maker, identity, config=numbers)
            for reader in (THEIRS, OURS):
                app, _ = jwt_app(reader, **numbers)
                with app.app_context():
                    assert reader.decode_token(token)["sub"] == identity
    for identity in (7.5, ["ada"], None, True, {}, 2**64):
        assert statuses(token_of(claims_of(sub=identity)), **numbers) == [200, 422]
    with pytest.raises(ConfigError, match="user_identity_loader"):
        made(OURS, 7.5, config=numbers)


@jwt_row("`typ` is neither `JWT` nor `at+jwt`")
def test_another_kind_of_token_is_refused() -> None:
    for typ, status in (("JWT", 200), ("at+jwt", 200), ("application/at+jwt", 200), ("dpop+jwt", 422), ("x", 422)):
        assert statuses(token_of(claims_of(), typ=typ)) == [200, status]


@jwt_row("a token of more than 16 KiB")
def test_a_long_token_is_refused() -> None:
    assert statuses(token_of(claims_of(more="x" * 9000))) == [200, 200]
    assert answers(token_of(claims_of(more="x" * 16384))) == [(200, None), (422, "The token is too long")]
    app, manager = jwt_app(OURS)
    manager.decode_key_loader(lambda header, claims: pytest.fail("it was decoded"))
    app.add_url_rule("/", view_func=OURS.jwt_required()(lambda: "in"))
    long = token_of(claims_of(more="x" * 16384))
    assert app.test_client().get("/", headers=bearer(long)).status_code == 422


@jwt_row("a member twice, or more than 32 levels")
def test_what_can_be_read_in_two_ways_is_refused() -> None:
    text = json.dumps(claims_of())
    assert statuses(raw_token({"alg": "HS256"}, text.encode())) == [200, 200]
    assert statuses(raw_token({"alg": "HS256"}, f'{{"sub":"eve",{text[1:]}'.encode())) == [200, 422]
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    assert statuses(token_of(claims_of(deep=deep))) == [200, 422]


@jwt_row("`exp`, `nbf` or `iat` as a text")
def test_a_time_is_a_number() -> None:
    for name in ("exp", "nbf", "iat"):
        claims = claims_of()
        assert statuses(token_of({**claims, name: str(claims[name])})) == [200, 422]


@jwt_row("`zip` or `enc` in the header")
def test_a_header_of_an_encrypted_token_is_refused() -> None:
    for name in ("zip", "enc"):
        assert statuses(token_of(claims_of(), **{name: "DEF"})) == [200, 422]
    assert statuses(raw_token({"alg": "HS256", "crit": ["x"], "x": 1}, json.dumps(claims_of()).encode())) == [422, 422]


@jwt_row("`cnf`: a token that is bound to its sender")
def test_a_bound_token_is_not_taken_from_anybody() -> None:
    assert statuses(token_of(claims_of(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}))) == [200, 422]


@jwt_row("`sid` or `auth_time` of another type")
def test_registered_claims_have_their_types() -> None:
    for claims in ({"sid": 5}, {"auth_time": "yesterday"}):
        assert statuses(token_of(claims_of(**claims))) == [200, 422]
        assert made(THEIRS, additional_claims=claims)
        with pytest.raises(ConfigError):
            made(OURS, additional_claims=claims)
    for claims in ({"scope": 5}, {"roles": {"admin": True}}, {"scp": None}):
        assert statuses(token_of(claims_of(**claims))) == [200, 200]
        assert made(OURS, additional_claims=claims)


def pems(key: Any) -> dict[str, str]:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {"JWT_PRIVATE_KEY": private, "JWT_PUBLIC_KEY": public}


@jwt_row("`ES512`, `ES256K`")
def test_es512_is_not_supported() -> None:
    for algorithm, curve in (("ES512", ec.SECP521R1()), ("ES256K", ec.SECP256K1())):
        config = {"JWT_ALGORITHM": algorithm, **pems(ec.generate_private_key(curve))}
        assert made(THEIRS, config=config)
        with pytest.raises(ConfigError, match=algorithm):
            made(OURS, config=config)


@jwt_row("an RSA key below 2048 bits")
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_small_rsa_key_is_not_taken() -> None:
    config = {"JWT_ALGORITHM": "RS256", **pems(rsa.generate_private_key(65537, 1024))}
    assert made(THEIRS, config=config)
    with pytest.raises(ConfigError, match="2048"):
        made(OURS, config=config)


@jwt_row(
    "keys as objects of `cryptography`, as JWK or SSH",
    "one key for HS* and others (`JWT_DECODE_ALGORITHMS`)",
    "members of the header beside `alg`, `kid`, `typ`, for a private key",
)
def test_keys_are_texts_for_one_family_and_the_core_writes_their_headers() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    config = {"JWT_ALGORITHM": "ES256", **pems(key)}
    token = made(OURS, config=config)
    assert statuses(token, **config) == statuses(made(THEIRS, config=config), **config) == [200, 200]
    objects = {**config, "JWT_PRIVATE_KEY": key, "JWT_PUBLIC_KEY": key.public_key()}
    assert made(THEIRS, config=objects) and statuses(token, **objects) == [200, 500]
    ssh = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert statuses(token, **{**config, "JWT_PUBLIC_KEY": ssh}) == [200, 500]
    with pytest.raises(ConfigError, match="text or bytes"):
        made(OURS, config=objects)
    mixed = {**config, "JWT_DECODE_ALGORITHMS": ["HS256", "ES256"]}
    assert statuses(token, **mixed) == [200, 500]
    app, manager = jwt_app(OURS, **mixed)
    manager.decode_key_loader(lambda header, claims: SECRET if header["alg"] == "HS256" else config["JWT_PUBLIC_KEY"])
    with app.app_context():
        assert OURS.decode_token(token)["sub"] == OURS.decode_token(token_of(claims_of()))["sub"] == "ada"
        with pytest.raises(pyjwt.InvalidTokenError):  # RFC 8725 section 2.1
            OURS.decode_token(raw_token({"alg": "HS256"}, json.dumps(claims_of()).encode(), config["JWT_PUBLIC_KEY"]))
    assert pyjwt.get_unverified_header(made(OURS, config=config, additional_headers={"kid": "k", "typ": "at+jwt"})) == {
        "alg": "ES256",
        "kid": "k",
        "typ": "at+jwt",
    }
    assert made(THEIRS, config=config, additional_headers={"x": 1})
    with pytest.raises(ConfigError, match="kid and typ"):
        made(OURS, config=config, additional_headers={"x": 1})
    assert statuses(made(OURS, additional_headers={"x": 1})) == [200, 200]


@jwt_row("a number that is not finite, in a claim")
def test_a_number_is_finite() -> None:
    assert statuses(token_of(claims_of(n=float("nan")))) == [200, 422]
    assert made(THEIRS, additional_claims={"n": float("inf")})
    with pytest.raises(ConfigError):
        made(OURS, additional_claims={"n": float("inf")})


@jwt_row("`JWT_DECODE_LEEWAY` above a day, or with a fraction")
def test_a_leeway_is_whole_seconds_and_a_day_at_most() -> None:
    token = token_of(claims_of(exp=int(time.time()) - 60))
    assert statuses(token, JWT_DECODE_LEEWAY=600.5) == [200, 200]
    assert statuses(token, JWT_DECODE_LEEWAY=86401) == [200, 500]
    app = Flask("clock")
    app.config.update(JWT_SECRET_KEY=SECRET, JWT_DECODE_LEEWAY=1.5)
    clock = Clock.manual(1000.75)
    OURS.JWTManager(app, clock=clock)
    with app.app_context():
        assert OURS.decode_token(token_of({"sub": "ada", "exp": 1000}))
        clock.advance(0.5)
        with pytest.raises(pyjwt.ExpiredSignatureError):
            OURS.decode_token(token_of({"sub": "ada", "exp": 1000}))


@jwt_row("an empty list as `JWT_DECODE_AUDIENCE` or `JWT_DECODE_ISSUER`")
def test_an_empty_list_is_a_mistake() -> None:
    for name in ("JWT_DECODE_AUDIENCE", "JWT_DECODE_ISSUER"):
        assert statuses(token_of(claims_of(aud="us", iss="us")), **{name: []})[1] == 500
        with pytest.raises(ConfigError, match=name):
            made(OURS, config={name: []})


SWITCHES = ("COOKIE_CSRF_PROTECT", "CSRF_CHECK_FORM", "CSRF_IN_COOKIES", "ENCODE_NBF", "SESSION_COOKIE", "VERIFY_SUB")


def without_proof(face: ModuleType, **config: Any) -> int:
    """The status of a POST by a cookie alone."""
    app, _ = jwt_app(face, JWT_TOKEN_LOCATION="cookies", PROPAGATE_EXCEPTIONS=False, **config)
    app.add_url_rule("/", view_func=face.jwt_required()(lambda: "in"), methods=["POST"])
    client = app.test_client()
    client.set_cookie("access_token_cookie", token_of(claims_of(csrf="proof")))
    return client.post("/").status_code


@jwt_row("`JWT_COOKIE_CSRF_PROTECT`, or another switch, that is neither True nor False")
@pytest.mark.parametrize("name", SWITCHES)
def test_no_switch_is_turned_off_by_what_is_none(name: str) -> None:
    if name == "COOKIE_CSRF_PROTECT":
        assert [without_proof(THEIRS, **{f"JWT_{name}": value}) for value in ("", None, [], "False")] == [200] * 3 + [
            401
        ]
    for value in ("", None, [], "False"):
        assert without_proof(OURS, **{f"JWT_{name}": value}) == 500
        with pytest.raises(ConfigError, match=f"JWT_{name} is True or False"):
            made(OURS, config={f"JWT_{name}": value})
    for value in (True, False, 1, 0):
        assert without_proof(OURS, **{f"JWT_{name}": value}) == (
            200 if name == "COOKIE_CSRF_PROTECT" and not value else 401
        )


@jwt_row("`JWT_CSRF_METHODS` in lower case or with spaces, or empty")
@pytest.mark.parametrize("methods", [["post"], ["POST "], [], ()])
def test_methods_that_no_request_has_protect_nothing(methods: Any) -> None:
    assert without_proof(THEIRS, JWT_CSRF_METHODS=methods) == 200
    assert without_proof(OURS, JWT_CSRF_METHODS=methods) == 500
    with pytest.raises(ConfigError, match="JWT_CSRF_METHODS"):
        made(OURS, config={"JWT_CSRF_METHODS": methods})
    assert without_proof(OURS, JWT_CSRF_METHODS=[], JWT_COOKIE_CSRF_PROTECT=False) == 200


@jwt_row("`JWT_COOKIE_SECURE` that is neither True, False nor None")
@pytest.mark.parametrize("value", ["", 0, "no"])
def test_a_cookie_is_secure_or_not(value: Any) -> None:
    assert all(f"Secure={value};" in line for line in set_cookies(THEIRS, JWT_COOKIE_SECURE=value))
    with pytest.raises(ConfigError, match="JWT_COOKIE_SECURE"):
        made(OURS, config={"JWT_COOKIE_SECURE": value})
    assert all("Secure" in line for line in set_cookies(OURS, JWT_COOKIE_SECURE=1))


# Otherwise.


@jwt_row("`authorization: bearer ...`")
def test_the_scheme_is_read_in_any_case() -> None:
    token = token_of(claims_of())
    for field in (f"bearer {token}", f"BEARER  {token}", f"Basic x, bearer {token}"):
        found = answers(token, headers={"Authorization": field})
        assert found == [
            (401, "Missing 'Bearer' type in 'Authorization' header. Expected 'Authorization: Bearer <JWT>'"),
            (200, None),
        ]


@jwt_row("the message about a token that cannot be read")
def test_what_cannot_be_read_is_not_quoted() -> None:
    head, body, signature = token_of(claims_of()).split(".")
    for token in (
        "x",
        "a.b.c",
        f"{head}.{body}",
        f"!{head}.{body}.{signature}",
        f"{head}.{body}.{signature}.x",
        "." * 99,
        f"{head}.{body[:-4]}.{signature}",
    ):
        (theirs, _), (ours, said) = answers(token)
        assert (theirs, ours) == (422, 422)
        assert re.fullmatch(r"(Invalid|Not enough|Signature) [a-z ]+", said or "")


@jwt_row("a token with several faults")
def test_one_of_several_faults_is_told() -> None:
    for claims in ({"exp": 1, "aud": "others"}, {"nbf": 2**40, "iss": "others"}, {"exp": 1, "sub": 7}):
        token = token_of(claims_of(**claims))
        assert statuses(token, JWT_DECODE_AUDIENCE="us", JWT_DECODE_ISSUER="us") == [422, 422]


@jwt_row("`exp` with a fraction of a second")
def test_a_fraction_of_a_second_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    token = token_of({"sub": "ada", "exp": 1000.75})

    class At(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime.datetime:
            return datetime.datetime.fromtimestamp(1000.25, tz)

    monkeypatch.setattr("jwt.api_jwt.datetime", At)
    app, _ = jwt_app(THEIRS)
    with app.app_context(), pytest.raises(pyjwt.ExpiredSignatureError):
        THEIRS.decode_token(token)
    app = Flask("clock")
    app.config["JWT_SECRET_KEY"] = SECRET
    clock = Clock.manual(1000.25)
    OURS.JWTManager(app, clock=clock)
    with app.app_context():
        assert OURS.decode_token(token)["sub"] == "ada"
        clock.advance(0.5)
        with pytest.raises(pyjwt.ExpiredSignatureError):
            OURS.decode_token(token)


@jwt_row("`X-CSRF-TOKEN` that is not ASCII", "a `csrf` claim that is no text")
def test_a_proof_that_cannot_be_compared_is_no_proof() -> None:
    for claim, sent, theirs, ours in (("c5f1", "\xe9", 500, 401), (7, "7", 500, 422)):
        for face, status in ((THEIRS, theirs), (OURS, ours)):
            app, _ = jwt_app(face, JWT_TOKEN_LOCATION="cookies", PROPAGATE_EXCEPTIONS=False)
            app.add_url_rule("/", view_func=face.jwt_required()(lambda: "in"), methods=["POST"])
            client = app.test_client()
            client.set_cookie("access_token_cookie", token_of(claims_of(csrf=claim)))
            assert client.post("/", headers={"X-CSRF-TOKEN": sent}).status_code == status


@jwt_row("a JSON body that is no object")
def test_a_body_that_is_no_object_has_no_token() -> None:
    for face, status in ((THEIRS, 500), (OURS, 401)):
        app, _ = jwt_app(face, JWT_TOKEN_LOCATION="json", PROPAGATE_EXCEPTIONS=False)
        app.add_url_rule("/", view_func=face.jwt_required()(lambda: "in"), methods=["POST"])
        assert app.test_client().post("/", json=["x"]).status_code == status
        assert app.test_client().post("/", json={"access_token": 7}).status_code == 422


@jwt_row("a `fresh` claim that is neither a number nor true or false")
def test_what_does_not_say_fresh_is_not_fresh() -> None:
    for face, status in ((THEIRS, 500), (OURS, 401)):
        app, _ = jwt_app(face, PROPAGATE_EXCEPTIONS=False)
        app.add_url_rule("/", view_func=face.jwt_required(fresh=True)(lambda: "in"))
        for fresh in ("yes", None, [True]):
            answer = app.test_client().get("/", headers=bearer(token_of(claims_of(fresh=fresh))))
            assert answer.status_code == status


@jwt_row("an `async` loader, whatever its form")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_an_async_loader_is_awaited() -> None:
    for face, statuses_of_both in ((THEIRS, [200, 200]), (OURS, [200, 400])):
        app, manager = jwt_app(face)

        @manager.token_verification_loader
        async def admitted(header: dict[str, Any], claims: dict[str, Any]) -> bool:
            return claims["sub"] == "ada"

        app.add_url_rule("/", view_func=face.jwt_required()(lambda: "in"))
        client = app.test_client()
        found = [client.get("/", headers=bearer(token_of(claims_of(sub=sub)))).status_code for sub in ("ada", "eve")]
        assert found == statuses_of_both


@jwt_row("its exceptions")
def test_exceptions_have_their_status_where_no_handler_sees_them() -> None:
    for face, wanted in ((THEIRS, [None, None, None]), (OURS, [401, 422, 401])):
        app, _ = jwt_app(face)
        found = []
        for headers in ({}, bearer("x"), bearer(token_of(claims_of(exp=1)))):
            with app.test_request_context(headers=headers), pytest.raises(Exception) as refused:
                face.verify_jwt_in_request()
            found.append(getattr(refused.value, "code", None))
            if face is OURS:
                with app.app_context():
                    answer = refused.value.get_response()  # type: ignore[attr-defined]
                assert answer.status_code == refused.value.code  # type: ignore[attr-defined]
                assert json.loads(answer.get_data()) == {"msg": str(refused.value)}
        assert found == wanted


@jwt_row("a setting that cannot be used", "an app without a `JWTManager`")
def test_the_developers_mistakes_are_config_errors() -> None:
    for name, value in (
        ("JWT_TOKEN_LOCATION", "nowhere"),
        ("JWT_TOKEN_LOCATION", []),
        ("JWT_TOKEN_LOCATION", 5),
        ("JWT_HEADER_NAME", ""),
        ("JWT_ACCESS_TOKEN_EXPIRES", "soon"),
        ("JWT_DECODE_LEEWAY", "5"),
        ("JWT_DECODE_LEEWAY", -1),
    ):
        with pytest.raises(ConfigError, match=name):
            made(OURS, config={name: value})
        assert statuses(token_of(claims_of()), **{name: value})[1] == 500
    for face, kind in ((THEIRS, KeyError), (OURS, RuntimeError)):
        with Flask("bare").test_request_context(), pytest.raises(kind):
            face.verify_jwt_in_request()


@jwt_row('`jwt_required("admin")`, or another `optional` that is neither True nor False')
@pytest.mark.parametrize("optional", ["admin", "", 0, 1, None, ["headers"]])
def test_an_optional_that_is_no_switch_stops_the_start(optional: Any) -> None:
    app, _ = jwt_app(THEIRS)
    app.add_url_rule("/", "view", THEIRS.jwt_required(optional)(lambda: "in"))
    assert app.test_client().get("/").status_code == (200 if optional else 401)
    with pytest.raises(ConfigError, match="True or False"):
        OURS.jwt_required(optional)
    with pytest.raises(ConfigError, match="True or False"):
        OURS.jwt_required(optional=optional)


@jwt_row("a view that answers `OPTIONS` itself")
def test_a_view_that_answers_options_is_not_guarded_and_is_closed_under_deny() -> None:
    for module in (THEIRS, OURS):
        app, _ = jwt_app(module)
        app.add_url_rule("/", "view", module.jwt_required()(lambda: "in"), methods=["GET", "OPTIONS"])
        client = app.test_client()
        assert [client.get("/").status_code, client.options("/").status_code] == [401, 200]
    app, _ = jwt_app(OURS, RAMPART_DEFAULT="deny", RAMPART_LIMIT_STORE="memory://", RAMPART_ACCESS_LOG="off")
    Rampart(app)
    app.add_url_rule("/", "view", OURS.jwt_required()(lambda: "in"), methods=["GET", "OPTIONS"])
    opened = public(OURS.jwt_required()(lambda: "in"))
    app.add_url_rule("/open", "open", opened, methods=["GET", "OPTIONS"])
    client = app.test_client()
    assert [client.options(path).status_code for path in ("/", "/open")] == [403, 200]


@jwt_row("a request within another, or within an app context, of the same app (since Flask 3.1 they share `g`)")
def test_each_request_has_its_own_caller() -> None:
    for module, found in ((THEIRS, ["eve", "eve"]), (OURS, ["ada", None])):
        app, manager = jwt_app(module)
        manager.user_lookup_loader(lambda header, claims: claims["sub"])

        def view(app: Flask = app, module: ModuleType = module) -> str:
            if request.args.get("within"):
                app.test_client().get("/", headers=bearer(token_of(claims_of(sub="eve"))))
            return str(module.get_current_user())

        app.add_url_rule("/", "view", module.jwt_required()(view))
        assert app.test_client().get("/?within=1", headers=bearer(token_of(claims_of()))).text == found[0]
        with app.app_context():
            app.test_client().get("/", headers=bearer(token_of(claims_of(sub="eve"))))
            if found[1] is None:
                assert module.get_jwt_request_location() is None
                with pytest.raises(RuntimeError, match="Nobody asked"):
                    module.get_jwt()
            else:
                assert module.get_jwt_identity() == found[1]


def test_each_row_of_the_tables_has_a_test() -> None:
    import_module("tests.test_compat_jwt_settings")  # has some of them, whatever runs first
    cells = {
        line.split(" | ")[0].removeprefix("| ")
        for line in PAGE.read_text().splitlines()
        if line.startswith("| ") and not line.startswith("| |")
    }
    assert cells == JWT_ROWS
