"""Tokens that are bound to a key: DPoP (RFC 9449), through the whole stack."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_rampart import Clock, ConfigError, Denied, current_principal, require
from flask_rampart._native import Key, Verifier
from flask_rampart.issuers import Issuers
from flask_rampart.tokens import Tokens

from .conftest import NOW, SECRET, bearer
from .issuing import Net, key, net, new_key, serve, token_of  # noqa: F401 - fixtures
from .proving import App, Client, b64, code, guarded


@pytest.fixture(scope="module")
def client() -> Client:
    return Client()


@pytest.fixture
def app(make_app: App) -> Flask:
    return guarded(make_app, RAMPART_DPOP="allowed")


# What is bound is no bearer token.


@pytest.mark.parametrize("config", [{}, {"RAMPART_DPOP": "allowed"}, {"RAMPART_CLIENT_CERT": "server"}])
def test_a_token_that_is_bound_is_never_a_bearer_token(make_app: App, client: Client, config: dict[str, Any]) -> None:
    app = guarded(make_app, **config)
    for _ in range(3):  # also when it was seen before
        assert code(app, bearer(client.token())) == "token.invalid"
    both = client.token({"jkt": client.jkt, "x5t#S256": "A" * 43})
    assert code(app, bearer(both)) == "token.invalid"
    assert code(app, bearer(client.token(None))) == "ok"


def test_without_the_setting_the_scheme_is_unknown(make_app: App, client: Client) -> None:
    app = guarded(make_app)
    response = app.test_client().get("/", headers=client.headers())
    assert response.json["code"] == "auth.missing"
    assert response.headers.getlist("WWW-Authenticate") == ['Bearer realm="api"']


@pytest.mark.parametrize(
    "cnf",
    [
        {},
        [],
        "x",
        1,
        True,
        {"jkt": None},
        {"jkt": 1},
        {"jkt": ["A" * 43]},
        {"jkt": ""},
        {"jkt": "A" * 42},
        {"jkt": "A" * 44},
        {"jkt": "A" * 42 + "B"},  # stray bits
        {"jkt": "A" * 42 + "="},
        {"x5t#S256": 5},
        {"jwk": {"kty": "EC"}},
        {"kid": "x"},
        {"x5t": "A" * 27},
        {"jkt": "A" * 43, "kid": "x"},
        {"jkt": "A" * 43, "x5t#uri": "spiffe://a"},
    ],
)
def test_a_confirmation_that_is_not_understood_refuses(app: Flask, client: Client, cnf: Any) -> None:
    payload = json.dumps({"sub": "ada", "exp": NOW + 60, "cnf": cnf})
    secret = Key.from_secret(SECRET.encode(), "HS256", "test")
    with pytest.raises(ValueError):  # we would not even sign it
        secret.sign(payload)
    token = by_hand(payload)
    assert code(app, bearer(token)) == "token.invalid"
    assert code(app, {"Authorization": f"DPoP {token}", "DPoP": client.proof(token)}) == "token.invalid"


def by_hand(payload: str) -> str:
    signed = b64('{"alg":"HS256","kid":"test"}') + "." + b64(payload)
    return f"{signed}.{b64(hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest())}"


def test_a_null_confirmation_is_not_an_absent_one(app: Flask) -> None:
    # CVE-2026-25537: a wrong type counted as absent.
    assert code(app, bearer(by_hand(f'{{"sub":"ada","exp":{NOW + 60},"cnf":null}}'))) == "token.invalid"
    assert code(app, bearer(by_hand(f'{{"sub":"ada","exp":{NOW + 60}}}'))) == "ok"


def test_without_a_request_nobody_shows_anything(app: Flask, client: Client) -> None:
    tokens = app.extensions["rampart"].services[Tokens]
    with pytest.raises(Denied) as caught:
        tokens.verify(client.token())
    assert (caught.value.problem.code, caught.value.reason) == ("token.invalid", "bound")
    verifier = Verifier([Key.from_secret(SECRET.encode(), "HS256", "test")], Clock.manual(NOW))
    assert verifier.judge(client.token()) == ("token.invalid", "bound")
    assert verifier.authenticate({"HTTP_AUTHORIZATION": f"Bearer {client.token()}"}) == ("token.invalid", "bound")


def test_scopes_are_never_read_from_a_confirmation(make_app: App) -> None:
    with pytest.raises(ConfigError, match="registered claim"):
        make_app(RAMPART_JWT_ROLES_CLAIM="cnf.jkt")


# A proof admits.


@pytest.mark.parametrize("alg", ["ES256", "ES384", "EdDSA", "RS256", "PS256", "RS512"])
def test_a_proof_by_another_library_is_accepted(app: Flask, alg: str) -> None:
    client = Client(alg)
    for _ in range(2):  # the key is known the second time
        response = app.test_client().get("/", headers=client.headers())
        assert (response.status_code, response.json) == (200, {"id": "ada"})


def test_a_proof_by_pyjwt_is_accepted_too(app: Flask, client: Client) -> None:
    app.get("/bound")(require()(lambda: current_principal.bound_to))  # type: ignore[attr-defined]
    token = client.token()
    claims = json.loads(_decoded(client.proof(token, htu="http://localhost/bound").split(".")[1]))
    proof = jwt.encode(claims, client.key.private_key, "ES256", headers={"typ": "dpop+jwt", "jwk": client.jwk})
    response = app.test_client().get("/bound", headers={"Authorization": f"DPoP {token}", "DPoP": proof})
    assert response.json == ["key"]
    assert app.test_client().get("/bound", headers=bearer(client.token(None))).json == []


def test_bearer_tokens_live_beside_unless_proofs_are_required(make_app: App, app: Flask, client: Client) -> None:
    assert code(app, bearer(client.token(None))) == "ok"
    strict = guarded(make_app, RAMPART_DPOP="required")
    assert code(strict, client.headers()) == "ok"
    response = strict.test_client().get("/", headers=bearer(client.token(None)))
    assert response.json["code"] == "token.invalid"
    [challenge] = response.headers.getlist("WWW-Authenticate")
    assert challenge.startswith('DPoP realm="api", algs="ES256 EdDSA ES384 ') and 'error="invalid_token"' in challenge
    assert code(strict, {}) == "auth.missing"
    assert code(strict, bearer(client.token())) == "token.invalid"


def test_the_scheme_is_read_in_any_case_and_a_view_may_be_called_by_any_of_its_spellings(
    make_app: App, app: Flask, client: Client
) -> None:
    for scheme in ("DPoP", "dpop", "DPOP "):
        token = client.token()
        assert code(app, {"Authorization": f"{scheme} {token}", "DPoP": client.proof(token)}) == "ok"
    for htu in ("http://LOCALHOST:80/", "HTTP://localhost", "http://localhost/?x=1#y", "http://localhost/x/.."):
        assert code(app, client.headers(htu=htu)) == "ok", htu
    slashes = guarded(make_app, RAMPART_DPOP="allowed", RAMPART_ENCODED_SLASHES=True)
    assert code(slashes, client.headers(htu="http://localhost/a/x%2Fy"), "/a/x%2fy") == "ok"
    assert code(app, client.headers(htu="http://localhost/a/%C3%BC"), "/a/%c3%bc?q=1") == "ok"


def test_required_scopes_are_asked_of_who_has_proven(app: Flask, client: Client) -> None:
    response = app.test_client().get("/scoped", headers=client.headers(htu="http://localhost/scoped"))
    assert response.json["code"] == "auth.scope"
    bearers, proofs = response.headers.getlist("WWW-Authenticate")
    assert bearers == 'Bearer realm="api", error="insufficient_scope", scope="write"'
    assert proofs.startswith("DPoP ") and 'error="insufficient_scope"' in proofs


# A proof refuses.


@pytest.mark.parametrize(
    "header",
    [
        {"typ": None},
        {"typ": "JWT"},
        {"typ": "DPoP+JWT"},
        {"typ": "application/dpop+jwt"},
        {"typ": ["dpop+jwt"]},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": "RS256"},
        {"alg": "es256"},
        {"alg": None},
        {"alg": 1},
        {"jwk": None},
        {"jwk": "x"},
        {"jwk": [{}]},
        {"jwk": {}},
        {"crit": ["exp"]},
        {"b64": False},
        {"zip": "DEF"},
        {"enc": "A128GCM"},
    ],
)
def test_a_proof_with_a_wrong_header_is_refused(app: Flask, client: Client, header: dict[str, Any]) -> None:
    token = client.token()
    proof = client.proof(token, header)
    assert code(app, {"Authorization": f"DPoP {token}", "DPoP": proof}) == "proof.invalid"


@pytest.mark.parametrize("member", ["d", "k", "p", "q", "dp", "dq", "qi", "oth"])
@pytest.mark.parametrize("value", ["AAAA", None, 1, []])
def test_a_proof_with_a_private_key_is_refused(app: Flask, client: Client, member: str, value: Any) -> None:
    # CVE-2026-54431: liboauth2 takes a private key in the header of a proof.
    token = client.token()
    header = json.dumps({"typ": "dpop+jwt", "alg": "ES256", "jwk": {**client.jwk, member: value}})
    claims = json.loads(_decoded(client.proof(token).split(".")[1]))
    assert code(app, {"Authorization": f"DPoP {token}", "DPoP": client.sign_text(header, json.dumps(claims))}) == (
        "proof.invalid"
    )


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.mark.parametrize("claim", ["jti", "htm", "htu", "iat", "ath"])
@pytest.mark.parametrize("value", [None, ..., "", 0, -1, 1.5e300, True, [], {}, ["GET"], "x" * 300, str(NOW)])
def test_a_claim_of_the_wrong_type_or_value_refuses(app: Flask, client: Client, claim: str, value: Any) -> None:
    token = client.token()
    claims = json.loads(_decoded(client.proof(token).split(".")[1]))
    if value is ...:
        del claims[claim]
    else:
        claims[claim] = value
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": client.jwk}
    proof = client.sign(header, claims)
    good = claim == "jti" and value == str(NOW)
    assert code(app, {"Authorization": f"DPoP {token}", "DPoP": proof}) == ("ok" if good else "proof.invalid")


@pytest.mark.parametrize(
    "claims",
    [
        {"htm": "POST"},
        {"htm": "get"},
        {"htu": "https://localhost/"},
        {"htu": "http://localhost:8080/"},
        {"htu": "http://other/"},
        {"htu": "http://localhost/a"},
        {"htu": "http://localhost//"},
        {"htu": "/"},
        {"htu": "http://user@localhost/"},
        {"ath": b64(b"\0" * 32)},
        {"exp": NOW - 61},
        {"nbf": NOW + 61},
        {"exp": "never"},
        {"nbf": None, "nonce": ""},
        {"nonce": 5},
        {"nonce": "x" * 257},
        {"jti": "x" * 257},
    ],
)
def test_a_proof_for_something_else_is_refused(app: Flask, client: Client, claims: dict[str, Any]) -> None:
    assert code(app, client.headers(**claims)) == "proof.invalid"


def test_a_jti_and_a_nonce_may_be_as_long_as_the_bound(app: Flask, client: Client) -> None:
    assert code(app, client.headers(jti="x" * 256, nonce="y" * 256)) == "ok"


def test_a_proof_is_good_for_its_age_either_way_and_not_a_second_longer(app: Flask, client: Client) -> None:
    for iat, expected in ((60, "ok"), (61, "proof.invalid"), (-60, "ok"), (-61, "proof.invalid")):
        assert code(app, client.headers(iat=NOW + iat)) == expected, iat


def test_a_proof_of_another_key_or_for_another_token_is_refused(app: Flask, client: Client) -> None:
    token, thief = client.token(), Client()
    assert code(app, {"Authorization": f"DPoP {token}", "DPoP": thief.proof(token)}) == "proof.invalid"
    other = client.token(sub="bob")
    assert code(app, {"Authorization": f"DPoP {token}", "DPoP": client.proof(other)}) == "proof.invalid"
    # The thief signs with his own key and shows the victim's.
    proof = thief.proof(token, {"jwk": client.jwk})
    assert code(app, {"Authorization": f"DPoP {token}", "DPoP": proof}) == "proof.invalid"


def test_there_is_exactly_one_proof(app: Flask, client: Client) -> None:
    token = client.token()
    one, two = client.proof(token), client.proof(token)
    scheme = ("Authorization", f"DPoP {token}")
    for fields in (
        [],
        [("DPoP", "")],
        [("DPoP", " ")],
        [("DPoP", one), ("DPoP", two)],
        [("DPoP", one), ("DPoP", one)],
        [("DPoP", f"{one}, {two}")],
        [("DPoP", f"{one} {two}")],
        [("DPoP", one + ".x")],
        [("DPoP", one.rsplit(".", 1)[0])],
        [("DPoP", one.rsplit(".", 1)[0] + ".")],
        [("DPoP", "x" * 9000)],
    ):
        assert code(app, [scheme, *fields]) == "proof.invalid", fields
    assert code(app, [scheme, ("DPoP", one)]) == "ok"


def test_any_byte_changed_in_a_proof_refuses(app: Flask, client: Client) -> None:
    token = client.token()
    proof = client.proof(token)
    caller = app.test_client()
    for place in range(len(proof)):
        letter = "A" if proof[place] != "A" else "B"
        changed = proof[:place] + letter + proof[place + 1 :]
        response = caller.get("/", headers={"Authorization": f"DPoP {token}", "DPoP": changed})
        assert response.status_code == 401, place
    # None of these has used up the proof.
    assert code(app, {"Authorization": f"DPoP {token}", "DPoP": proof}) == "ok"


@pytest.mark.parametrize("text", ['{"jti":"a","jti":"b"}', "[]", "null", "{}{}", "", "{" * 40])
def test_claims_and_header_are_strict_objects(app: Flask, client: Client, text: str) -> None:
    token = client.token()
    good = client.proof(token).split(".")
    header, claims = _decoded(good[0]).decode(), _decoded(good[1]).decode()
    for proof in (
        client.sign_text(header, text),
        client.sign_text(text, claims),
        client.sign_text(header, claims[:-1] + ',"iat":1800000000}'),
        client.sign_text(header[:-1] + ',"alg":"ES256"}', claims),
    ):
        assert code(app, {"Authorization": f"DPoP {token}", "DPoP": proof}) == "proof.invalid"


def test_a_plain_token_under_the_scheme_is_refused(app: Flask, client: Client) -> None:
    token = client.token(None)
    assert code(app, {"Authorization": f"DPoP {token}", "DPoP": client.proof(token)}) == "token.invalid"
    token = client.token({"x5t#S256": "A" * 43})
    assert code(app, {"Authorization": f"DPoP {token}", "DPoP": client.proof(token)}) == "token.invalid"


def test_two_credentials_are_ambiguous(make_app: App, app: Flask, client: Client) -> None:
    token = client.token()
    proof = client.proof(token)
    for authorization in (f"DPoP {token}, Bearer {token}", f"Bearer {token}, DPoP {token}", f"DPoP {token},{token}"):
        assert code(app, {"Authorization": authorization, "DPoP": proof}) == "auth.ambiguous"
    assert code(app, {"Authorization": f"DPoP {token}", "DPoP": proof}, "/?access_token=x") == "auth.ambiguous"
    keys = guarded(make_app, RAMPART_DPOP="allowed", RAMPART_API_KEYS=True)
    headers = {**client.headers(), "X-API-Key": "rk_live_x"}
    assert code(keys, headers) == "auth.ambiguous"


def test_what_refuses_says_nothing_secret_and_names_the_error(app: Flask, client: Client) -> None:
    headers = client.headers(htm="PUT")
    response = app.test_client().get("/", headers=headers)
    plain, proofs = response.headers.getlist("WWW-Authenticate")
    assert plain == 'Bearer realm="api"'
    assert proofs == (
        'DPoP realm="api", algs="ES256 EdDSA ES384 PS256 PS384 PS512 RS256 RS384 RS512", error="invalid_dpop_proof"'
    )
    assert response.json["detail"] == "The DPoP proof is not valid for this request."
    expired = client.token(exp=NOW - 31)
    response = app.test_client().get("/", headers=client.headers(expired))
    assert response.json["code"] == "token.expired"
    assert 'error="invalid_token"' in response.headers.getlist("WWW-Authenticate")[1]
    # RFC 9449 section 7.2: a downgrade is told to the scheme that was used.
    response = app.test_client().get("/", headers=bearer(client.token()))
    plain, proofs = response.headers.getlist("WWW-Authenticate")
    assert 'error="invalid_token"' in plain and "error" not in proofs
    response = app.test_client().get("/")
    assert [field.split(" ")[0] for field in response.headers.getlist("WWW-Authenticate")] == ["Bearer", "DPoP"]


# Our own URL.


def test_the_origin_is_the_configured_one_whatever_the_host_says(make_app: App, client: Client) -> None:
    app = guarded(make_app, RAMPART_DPOP="allowed", RAMPART_RESOURCE="https://api.example/v1")
    good = {"htu": "https://api.example/"}
    assert code(app, client.headers(**good)) == "ok"
    assert code(app, {**client.headers(**good), "Host": "evil.example"}) == "ok"
    # A server that the client trusted with token and proof, replays them here under its own name.
    stolen = client.headers(htu="https://evil.example/")
    assert code(app, {**stolen, "Host": "evil.example"}) == "proof.invalid"
    assert code(app, client.headers()) == "proof.invalid"


def test_in_production_our_address_is_not_the_senders_to_say(make_app: App, client: Client) -> None:
    def app(**config: Any) -> Flask:
        made = guarded(make_app, RAMPART_DPOP="allowed", PROPAGATE_EXCEPTIONS=True, **config)
        made.testing = False
        return made

    # TRUSTED_HOSTS leaves the port open: another service of the host could pass on what was made for itself.
    for config in ({}, {"TRUSTED_HOSTS": ["api.example"]}):
        with pytest.raises(ConfigError, match="RAMPART_RESOURCE"):
            app(**config).test_client().get("/", base_url="http://api.example")
    named = app(RAMPART_RESOURCE="https://api.example")
    headers = client.headers(htu="https://api.example/")
    assert named.test_client().get("/", headers={**headers, "Host": "evil.example:8443"}).status_code == 200


def test_the_path_is_the_one_that_is_routed_by(app: Flask, client: Client) -> None:
    caller = app.test_client()
    # A proof for /a/x is none for what is asked for at /a/y/../x, nor for another line that a server reports.
    headers = client.headers(htu="http://localhost/a/x")
    assert code(app, headers, "/a/y/../x") == "path.malformed"
    assert code(app, headers, "/a/%2e%2e/a/x") == "path.malformed"
    environ = {"RAW_URI": "/a/x", "REQUEST_URI": "/a/x"}
    assert caller.get("/a/secret", headers=headers, environ_overrides=environ).status_code == 401
    environ = {"RAW_URI": "/elsewhere", "REQUEST_URI": "/elsewhere"}
    assert caller.get("/a/x", headers=headers, environ_overrides=environ).status_code == 200
    # Behind a proxy that cuts off a prefix and says so.
    app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    headers = client.headers(htu="https://api.example/v1/a/x")
    forwarded = {"X-Forwarded-Prefix": "/v1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "api.example"}
    assert app.test_client().get("/a/x", headers={**headers, **forwarded}).status_code == 200


# Tokens of others.


def test_tokens_of_issuers_are_bound_likewise(serve: App, net: Net, key: Key, client: Client) -> None:  # noqa: F811
    net.publish(key)
    token = token_of(key, cnf={"jkt": client.jkt})
    off = serve()
    assert code(off, bearer(token)) == "token.invalid"
    app = serve(RAMPART_DPOP="allowed")
    app.testing = True
    assert code(app, bearer(token)) == "token.invalid"
    assert code(app, client.headers(token)) == "ok"
    assert code(app, client.headers(token_of(key))) == "token.invalid"
    assert code(app, bearer(token_of(key))) == "ok"
    assert code(app, client.headers()) == "ok"  # our own
    replay = client.headers(token)
    assert [code(app, replay) for _ in range(2)] == ["ok", "proof.invalid"]
    response = app.test_client().get("/", headers=client.headers(token_of(new_key("x"), iss="https://nobody")))
    assert response.json["code"] == "token.invalid"
    assert 'error="invalid_token"' in response.headers.getlist("WWW-Authenticate")[1]
    strict = serve(RAMPART_DPOP="required")
    strict.testing = True
    assert code(strict, bearer(token_of(key))) == "token.invalid"
    assert code(strict, client.headers(token)) == "ok"
    with pytest.raises(Denied):
        app.extensions["rampart"].services[Issuers].verify(token)


def test_a_key_that_is_found_late_uses_a_proof_up_once(serve: App, net: Net, key: Key, client: Client) -> None:  # noqa: F811
    net.publish(key)
    app = serve(RAMPART_DPOP="allowed")
    app.testing = True
    assert code(app, client.headers(token_of(key, cnf={"jkt": client.jkt}))) == "ok"
    later = new_key("two")
    net.publish(key, later)
    assert code(app, client.headers(token_of(later, cnf={"jkt": client.jkt}))) == "ok"


# Settings.


@pytest.mark.parametrize(
    "config, text",
    [
        ({"RAMPART_DPOP": "on"}, "'off', 'allowed', 'required'"),
        ({"RAMPART_DPOP": True}, "'off', 'allowed', 'required'"),
        ({"RAMPART_DPOP": ""}, "'off', 'allowed', 'required'"),
        ({"RAMPART_DPOP": "allowed", "RAMPART_RESOURCE": "https://a:b/"}, "RAMPART_RESOURCE must be"),
        ({"RAMPART_DPOP_MAX_AGE": 0}, "from 1 to 600"),
        ({"RAMPART_DPOP_NONCE": 1}, "True or False"),
        ({"RAMPART_DPOP": "required", "RAMPART_JWT_KEYS": ...}, "takes none"),
    ],
)
def test_settings_that_cannot_be_meant_stop_the_start(make_app: App, config: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make_app(**config)


def test_another_librarys_thumbprint_is_ours(app: Flask) -> None:
    for alg in ("ES256", "EdDSA", "RS256"):
        client = Client(alg)
        assert code(app, client.headers(client.token({"jkt": client.jkt}))) == "ok"
