"""Tokens and access, through the whole stack: who may call, and what a peer is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from flask import Flask

from flask_rampart import Clock, ConfigError, Rampart, current_principal, require
from flask_rampart._native import Key

from .conftest import KEYS, NOW, SECRET, bearer

App = Callable[..., Flask]
Sign = Callable[..., str]


def b64(data: bytes | str) -> str:
    return base64.urlsafe_b64encode(data.encode() if isinstance(data, str) else data).rstrip(b"=").decode()


def by_hand(header: str, payload: str, secret: bytes = SECRET.encode()) -> str:
    """A token with a true HS256 signature over whatever header and payload."""
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


HEADER = '{"alg":"HS256","kid":"test"}'
PAYLOAD = f'{{"sub":"ada","exp":{NOW + 60}}}'


@pytest.fixture
def app(make_app: App) -> Flask:
    app = make_app()

    @app.get("/")
    @require()
    def view() -> dict[str, Any]:
        return {"id": current_principal.id, "kind": current_principal.kind, "claims": current_principal.claims}

    app.get("/all")(require(scopes="a b")(lambda: "ok"))
    app.get("/any")(require(any_scopes=["a", "b"])(lambda: "ok"))
    app.get("/roles")(require(roles="admin auditor")(lambda: "ok"))
    app.get("/any-role")(require(any_roles=["admin", "auditor"])(lambda: "ok"))
    return app


def code(app: Flask, token: str, path: str = "/") -> str:
    response = app.test_client().get(path, headers=bearer(token))
    return response.json["code"] if response.status_code != 200 else "ok"


def test_a_good_token_names_the_principal(app: Flask, token: Sign) -> None:
    response = app.test_client().get("/", headers=bearer(token(tier="gold")))
    assert response.json == {
        "id": "ada",
        "kind": "jwt",
        "claims": {"sub": "ada", "exp": NOW + 60, "tier": "gold"},
    }


def test_the_scheme_is_read_in_any_case(app: Flask, token: Sign) -> None:
    # RFC 9110 section 11.1; Flask-JWT-Extended answers 401 to `bearer`.
    for word in ("Bearer", "bearer", "BEARER"):
        headers = {"Authorization": f"{word} {token()}"}
        assert app.test_client().get("/", headers=headers).status_code == 200


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer    ", "Basic Og==", "Token x", "Digest"])
def test_no_credential_is_told_apart_from_a_bad_one(app: Flask, header: str | None) -> None:
    # An empty credential never reaches a check: CVE-2026-34531 (Flask-HTTPAuth).
    response = app.test_client().get("/", headers={} if header is None else {"Authorization": header})
    assert response.status_code == 401
    assert response.json["code"] == "auth.missing"
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="api"'


def test_two_credentials_are_ambiguous(app: Flask, token: Sign) -> None:
    # RFC 6750 section 2. Flask-JWT-Extended takes the first.
    client = app.test_client()
    good = token()
    joined = client.get("/", headers={"Authorization": f"Bearer {good},Bearer {good}"})
    query = client.get("/?access_token=x", headers=bearer(good))
    for response in (joined, query):
        assert response.status_code == 400
        assert response.json["code"] == "auth.ambiguous"
        assert 'error="invalid_request"' in response.headers["WWW-Authenticate"]


def test_expiry_is_told_only_after_the_signature_held(app: Flask, token: Sign, clock: Clock) -> None:
    expired = token(exp=NOW - 31)
    assert code(app, expired) == "token.expired"
    head, _, signature = expired.rpartition(".")
    assert code(app, f"{head}.{signature[::-1]}") == "token.invalid"
    # Times are checked again on a token that was seen before, at the second.
    good = token(exp=NOW + 10)
    assert code(app, good) == "ok"
    clock.advance(39)
    assert code(app, good) == "ok"
    clock.advance(1)
    assert code(app, good) == "token.expired"


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "hs256", "HS384", "HS512", "RS256", ""])
def test_the_algorithm_is_the_keys_and_never_the_headers(app: Flask, name: str) -> None:
    # RFC 8725 section 3.1; CVE-2015-9235, CVE-2026-28802.
    header = json.dumps({"alg": name, "kid": "test"})
    assert code(app, by_hand(header, PAYLOAD)) == "token.invalid"
    assert code(app, f"{b64(header)}.{b64(PAYLOAD)}.") == "token.invalid"


@pytest.mark.parametrize(
    "header",
    [
        '{"alg":"HS256","kid":"test","crit":["exp"]}',  # CVE-2025-59420, CVE-2026-32597
        '{"alg":"HS256","kid":"test","crit":[]}',
        '{"alg":"HS256","kid":"test","b64":false,"crit":["b64"]}',
        '{"alg":"HS256","kid":"test","zip":"DEF"}',
        '{"alg":"HS256","kid":"test","typ":"dpop+jwt"}',
        '{"alg":"HS256","kid":"other"}',
        '{"alg":"HS256","kid":["test"]}',
        '{"alg":"HS256","kid":"../../dev/null"}',
        '{"alg":"HS256","alg":"HS256","kid":"test"}',
        '{"alg":"HS256","kid":"test","x":1,"x":2}',
        '["HS256"]',
        "null",
        "{",
    ],
)
def test_a_header_with_something_wrong_is_refused(app: Flask, header: str) -> None:
    assert code(app, by_hand(header, PAYLOAD)) == "token.invalid"


def test_keys_in_the_header_are_ignored(app: Flask) -> None:
    # CVE-2018-0114, CVE-2026-27962: the token brings its own key. CVE-2024-21643: or says where it is.
    attacker = b"a" * 32
    for extra in (
        {"jwk": {"kty": "oct", "k": b64(attacker)}},
        {"jku": "http://127.0.0.1:9/keys"},
        {"x5u": "http://127.0.0.1:9/cert"},
        {"x5c": ["AAAA"]},
    ):
        header = json.dumps({"alg": "HS256", "kid": "test", **extra})
        assert code(app, by_hand(header, PAYLOAD, attacker)) == "token.invalid"
        # With the true key, they change nothing.
        assert code(app, by_hand(header, PAYLOAD)) == "ok"


WRONG = ['"text"', "true", "null", "[]", "{}", "1e400", "-1", "NaN"]


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_a_time_of_the_wrong_type_refuses(app: Flask, name: str, value: str) -> None:
    # CVE-2026-25537: the Rust crate took a string `nbf` or `exp` for an absent one.
    claims = {"sub": '"ada"', "exp": str(NOW + 60), name: value}
    payload = "{" + ",".join(f'"{key}":{item}' for key, item in claims.items()) + "}"
    assert code(app, by_hand(HEADER, payload)) == "token.invalid"


@pytest.mark.parametrize("value", ["123", "true", "null", "[]", '["ada"]', "{}"])
@pytest.mark.parametrize("name", ["sub", "iss", "jti"])
def test_a_name_of_the_wrong_type_refuses(app: Flask, name: str, value: str) -> None:
    # CVE-2026-75509 (list `iss`), joserfc 1.7.6 (list `jti`).
    claims = {"sub": '"ada"', "exp": str(NOW + 60), name: value}
    payload = "{" + ",".join(f'"{key}":{item}' for key, item in claims.items()) + "}"
    assert code(app, by_hand(HEADER, payload)) == "token.invalid"


@pytest.mark.parametrize(
    "payload",
    [
        f'[{NOW + 60},0,"ada"]',  # a claims set that is an array
        f'{{"sub":"ada","exp":{NOW + 60},"exp":{NOW + 60}}}',
        f'{{"sub":"ada","exp":{NOW + 60},"role":"user","role":"admin"}}',
        f'{{"sub":"ada","exp":{NOW + 60},"x":{{"a":1,"a":2}}}}',
        f'{{"sub":"ada","exp":{NOW + 60},"x":' + "[" * 200 + "]" * 200 + "}",
        f'{{"sub":"ada","exp":{NOW + 60},"scope":7}}',
        f'{{"sub":"ada","exp":{NOW + 60},"roles":{{"admin":true}}}}',
        f'{{"sub":"ada","exp":{NOW + 60}}} ',
        '{"sub":"ada"}',
        "",
    ],
)
def test_claims_with_something_wrong_are_refused(app: Flask, payload: str) -> None:
    expected = "ok" if payload.endswith(" ") else "token.invalid"  # white space is JSON's own
    assert code(app, by_hand(HEADER, payload)) == expected


def test_not_yet_valid_tokens_wait(app: Flask, token: Sign, clock: Clock) -> None:
    early = token(nbf=NOW + 40)
    issued_tomorrow = token(iat=NOW + 86400)
    assert code(app, early) == "token.invalid"
    clock.advance(10)
    assert code(app, early) == "ok"
    assert code(app, issued_tomorrow) == "token.invalid"


def test_base64_has_one_spelling(app: Flask, token: Sign) -> None:
    good = token()
    head, payload, signature = good.split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 32 bytes leave two unused bits in the last character.
    twin = signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]
    for spelling in (
        f"{head}.{payload}.{twin}",
        f"{head}.{payload}.{signature}=",
        f"{head}=.{payload}.{signature}",
        f"{head}.{payload}.{signature}.",
        f"{head}.{payload}",
        f"{head}.{payload}.",
        f"{head}. {payload}.{signature}",
        f"{head}.{payload}.{signature}\u00e9",
        f"{good}.{good}",
        "...",
        "{}",
    ):
        assert code(app, spelling) == "token.invalid", spelling


def test_a_long_token_is_refused_before_it_is_decoded(app: Flask, token: Sign) -> None:
    assert code(app, token(pad="x" * 11_900)) == "ok"
    assert code(app, token(pad="x" * 12_400)) == "token.invalid"
    assert code(app, "e30." * 7_000) == "token.invalid"


def test_audience_and_issuer_are_equal_or_refused(make_app: App) -> None:
    def token(**claims: Any) -> str:
        payload = {"sub": "ada", "exp": NOW + 60, **claims}
        return by_hand(HEADER, json.dumps({name: value for name, value in payload.items() if value is not ...}))

    app = make_app(RAMPART_JWT_ISSUER="https://id.example", RAMPART_JWT_AUDIENCE=["api", "other"])
    app.get("/")(require()(lambda: "ok"))
    right = {"iss": "https://id.example", "aud": "api"}
    assert code(app, token(**right)) == "ok"
    assert code(app, token(**right | {"aud": ["x", "other"]})) == "ok"
    for wrong in (
        {"aud": "ap"},
        {"aud": "API"},
        {"aud": []},
        {"aud": [1, "api"]},
        {"aud": {}},
        {"aud": ...},
        {"iss": "https://id.example/"},  # GHSA-75c5-xw7c-p5pm: a part of the issuer was enough
        {"iss": "https://id"},
        {"iss": ["https://id.example"]},
        {"iss": ...},
    ):
        assert code(app, token(**right | wrong)) == "token.invalid", wrong


def test_a_token_for_somebody_else_is_refused_where_no_audience_is_set(app: Flask, token: Sign) -> None:
    # RFC 7519 section 4.1.3. Flask-JWT-Extended accepts it.
    assert code(app, token(aud="another-service")) == "token.invalid"


@pytest.mark.parametrize(
    ("path", "claims", "expected"),
    [
        ("/all", {"scope": "a b c"}, "ok"),
        ("/all", {"scp": ["b", "a"]}, "ok"),
        ("/all", {"scope": "a"}, "auth.scope"),
        ("/all", {"scope": "ab"}, "auth.scope"),
        ("/all", {"scope": "A B"}, "auth.scope"),
        ("/all", {}, "auth.scope"),
        ("/any", {"scope": "b"}, "ok"),
        ("/any", {"scope": "c"}, "auth.scope"),
        ("/roles", {"roles": ["auditor", "admin"]}, "ok"),
        ("/roles", {"roles": ["admin"]}, "auth.role"),
        ("/any-role", {"roles": ["auditor"]}, "ok"),
        ("/any-role", {"roles": []}, "auth.role"),
        ("/any-role", {"scope": "admin"}, "auth.role"),
    ],
)
def test_scopes_and_roles_are_all_or_any(
    app: Flask, token: Sign, path: str, claims: dict[str, Any], expected: str
) -> None:
    assert code(app, token(**claims), path) == expected


def test_the_challenge_names_the_scopes_that_are_needed(app: Flask, token: Sign) -> None:
    response = app.test_client().get("/all", headers=bearer(token()))
    assert response.status_code == 403
    expected = 'Bearer realm="api", error="insufficient_scope", scope="a b"'
    assert response.headers["WWW-Authenticate"] == expected
    bad = app.test_client().get("/all", headers=bearer("x"))
    assert bad.headers["WWW-Authenticate"] == 'Bearer realm="api", error="invalid_token"'


def test_roles_are_read_from_nested_claims(make_app: App, token: Sign) -> None:
    app = make_app(RAMPART_JWT_ROLES_CLAIM="realm_access.roles")
    app.get("/")(require(roles="admin")(lambda: "ok"))
    assert code(app, token(realm_access={"roles": ["admin"]})) == "ok"
    assert code(app, token(roles=["admin"])) == "auth.role"
    assert code(app, token(realm_access="admin")) in ("auth.role", "token.invalid")


def test_a_demand_that_is_empty_or_unknown_is_a_mistake(make_app: App) -> None:
    for wrong in ({"scopes": ""}, {"roles": []}, {"any_scopes": [""]}, {"any_roles": [3]}):
        with pytest.raises(ConfigError):
            require(**wrong)  # type: ignore[arg-type]
    app = make_app()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.get("/")(require("jwtt")(lambda: "ok"))
    with pytest.raises(ConfigError, match="Did you mean jwt"):
        app.test_client().get("/")


def test_the_claims_that_a_view_gets_are_its_own(app: Flask, token: Sign) -> None:
    @app.get("/poison")
    @require()
    def poison() -> dict[str, Any]:
        current_principal.claims["sub"] = "root"
        current_principal.claims.setdefault("list", []).append("x")
        return current_principal.claims

    client = app.test_client()
    headers = bearer(token(list=["a"]))
    assert client.get("/poison", headers=headers).json["list"] == ["a"]
    assert client.get("/", headers=headers).json["id"] == "ada"


def test_the_principal_is_only_there_where_it_was_demanded(make_app: App) -> None:
    app = make_app()
    app.get("/")(lambda: str(current_principal.id))
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(RuntimeError, match="require"):
        app.test_client().get("/")


def pem(key: Any) -> str:
    return key.private_bytes(  # type: ignore[no-any-return]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_pem(key: Any) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, form).decode()  # type: ignore[no-any-return]


RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


@pytest.mark.parametrize(("alg", "key"), [("RS256", RSA), ("PS384", RSA), ("ES256", EC), ("EdDSA", ED)])
def test_one_app_issues_and_another_with_the_public_key_verifies(clock: Clock, alg: str, key: Any) -> None:
    def app_with(**spec: Any) -> tuple[Flask, Rampart]:
        app = Flask(__name__)
        app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_JWT_KEYS=[{"kid": "k", "alg": alg, **spec}])
        return app, Rampart(app, clock=clock)

    issuer, issuing = app_with(pem=pem(key))
    verifier, verifying = app_with(pem=public_pem(key))
    with issuer.app_context():
        minted = issuing.tokens.issue("ada", scopes=["predict"], roles="admin", claims={"tier": "gold"})
    with verifier.app_context():
        principal = verifying.tokens.verify(minted)
        assert principal.id == "ada"
        assert principal.scopes == {"predict"}
        assert principal.roles == {"admin"}
        assert principal.claims["tier"] == "gold"
        with pytest.raises(ConfigError, match="no key that can sign"):
            verifying.tokens.issue("ada")


def test_the_public_key_is_no_hmac_secret(clock: Clock) -> None:
    # CVE-2022-29217, CVE-2026-34950 and seven more: RFC 8725 section 2.1.
    public = public_pem(RSA)
    app = Flask(__name__)
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_JWT_KEYS=[{"kid": "test", "alg": "RS256", "pem": public}])
    Rampart(app, clock=clock)
    app.get("/")(require()(lambda: "ok"))
    assert code(app, by_hand(HEADER, PAYLOAD, public.encode())) == "token.invalid"
    for disguise in (public, "\ufeff" + public, "\n  " + public, public.replace("\n", "\r\n")):
        with pytest.raises(ValueError, match="key"):
            Key.from_secret(disguise.encode(), "HS256")


def test_secrets_and_public_keys_never_share_a_list() -> None:
    app = Flask(__name__)
    app.config["RAMPART_JWT_KEYS"] = [*KEYS, {"kid": "rsa", "alg": "RS256", "pem": public_pem(RSA)}]
    with pytest.raises(ConfigError, match="RAMPART_JWT_KEYS"):
        Rampart(app)


def test_an_old_key_verifies_and_no_longer_signs(clock: Clock) -> None:
    old, new = (
        {"kid": "old", "alg": "HS256", "secret": SECRET[::-1]},
        {"kid": "new", "alg": "HS256", "secret": SECRET[16:] + SECRET[:16][::-1]},
    )

    def app_with(*keys: dict[str, Any]) -> tuple[Flask, Rampart]:
        app = Flask(__name__)
        app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_JWT_KEYS=list(keys))
        return app, Rampart(app, clock=clock)

    before, rampart_before = app_with(old)
    after, rampart_after = app_with({**old, "verify_only": True}, new)
    with before.app_context():
        minted = rampart_before.tokens.issue("ada")
    with after.app_context():
        assert rampart_after.tokens.verify(minted).id == "ada"
        fresh = rampart_after.tokens.issue("ada")
    header = json.loads(base64.urlsafe_b64decode(fresh.split(".")[0] + "=="))
    assert header["kid"] == "new"


def test_issue_refuses_what_would_not_mean_what_it_says(make_app: App, clock: Clock) -> None:
    app = Flask(__name__)
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_JWT_KEYS=KEYS)
    rampart = Rampart(app, clock=clock)
    with app.app_context():
        issue = rampart.tokens.issue
        for wrong in (
            {"subject": ""},
            {"subject": "a", "scopes": ['a"b']},
            {"subject": "a", "scopes": ["a b"]},
            {"subject": "a", "claims": {"exp": 9}},
            {"subject": "a", "claims": {"x": float("nan")}},
            {"subject": "a", "lifetime": 0},
            {"subject": "a", "lifetime": -5},
        ):
            with pytest.raises(ValueError, match=r"."):
                issue(**wrong)  # type: ignore[arg-type]


def test_claims_of_the_apps_own_never_grant_scopes_or_roles(clock: Clock) -> None:
    app = Flask(__name__)
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_JWT_KEYS=KEYS, RAMPART_JWT_ROLES_CLAIM="realm_access.roles")
    rampart = Rampart(app, clock=clock)
    with app.app_context():
        for claims in (
            {"scope": "admin"},
            {"scp": ["admin"]},
            {"realm_access": {"roles": ["root"]}},
            {"realm_access.roles": ["root"]},
            {"auth_time": NOW},
        ):
            with pytest.raises(ValueError, match="claims="):
                rampart.tokens.issue("ada", claims=claims)
        issued = rampart.tokens.issue("ada", scopes="a b", roles=["r"])
        principal = rampart.tokens.verify(issued)
        assert (principal.scopes, principal.roles) == ({"a", "b"}, {"r"})


def test_a_token_that_its_own_app_would_refuse_is_not_handed_out(clock: Clock) -> None:
    def rampart(**config: Any) -> tuple[Flask, Rampart]:
        app = Flask(__name__)
        app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_JWT_KEYS=KEYS, **config)
        return app, Rampart(app, clock=clock)

    app, typed = rampart(RAMPART_JWT_TYPES="at+jwt")
    with app.app_context():
        assert typed.tokens.verify(typed.tokens.issue("ada")).id == "ada"
        with pytest.raises(ValueError, match="refuse"):
            typed.tokens.issue("ada", claims={"pad": "x" * 16_000})
        for roles in ([1], [b"ab"], [""]):
            with pytest.raises(ValueError, match="role"):
                typed.tokens.issue("ada", roles=roles)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="lifetime"):
            typed.tokens.issue("ada", lifetime=float("inf"))
    app, pointed = rampart(RAMPART_JWT_ROLES_CLAIM="/resource_access/my.app/roles")
    with app.app_context():
        assert pointed.tokens.verify(pointed.tokens.issue("ada", roles=["r"])).roles == {"r"}
    app, overlapping = rampart(RAMPART_JWT_ROLES_CLAIM="scope")
    with app.app_context(), pytest.raises(ConfigError, match="overlap"):
        overlapping.tokens.issue("ada", scopes=["s"], roles=["r"])


@pytest.mark.parametrize("subject", [..., ""])
def test_a_token_without_a_subject_is_nobody(app: Flask, token: Sign, subject: Any) -> None:
    assert code(app, token(sub=subject)) == "token.invalid"


def test_a_second_token_in_the_query_is_seen_however_it_is_written(app: Flask, token: Sign) -> None:
    for query, status in (
        ("access_token=x", 400),
        ("a=1&access%5Ftoken=x", 400),
        ("%61ccess_token=", 400),
        ("no_access_token=1", 200),
        ("q=see+access_token=help", 200),
        ("q=100%25", 200),
    ):
        assert app.test_client().get(f"/?{query}", headers=bearer(token())).status_code == status, query


def test_a_scheme_and_token_with_something_else_between_is_no_token(app: Flask, token: Sign) -> None:
    client = app.test_client()
    for header, expected in ((f"Bearer\t{token()}", "token.invalid"), (f"Bearerx {token()}", "auth.missing")):
        environ = {"HTTP_AUTHORIZATION": header}
        assert client.get("/", environ_overrides=environ).json["code"] == expected


def test_a_secret_that_is_not_random_stops_the_start_up() -> None:
    for secret in ("\0" * 32, "A" * 64, "abc" * 20):
        app = Flask(__name__)
        app.config["RAMPART_JWT_KEYS"] = [{"alg": "HS256", "secret": secret}]
        with pytest.raises(ConfigError, match="RAMPART_JWT_KEYS"):
            Rampart(app)
