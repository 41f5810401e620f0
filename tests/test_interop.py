"""Tokens and keys of other libraries here, and ours there: PyJWT and joserfc, every algorithm.

What these libraries take and this one refuses stands at the end, each with its source.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from flask import Flask
from joserfc import jws as jose_jws
from joserfc import jwt as jose
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey, import_key

from flask_rampart import Clock, Denied, Rampart, current_principal, require
from flask_rampart._native import Key
from flask_rampart.testing import FakeIssuer, client
from flask_rampart.tokens import Tokens

App = Callable[..., Flask]
NOW = int(time.time())  # the other libraries have no other clock
END = NOW + 86_400  # tests are collected long before they run
ISSUER, AUDIENCE = "https://us.example", "https://api.example"
SECRET = bytes(range(7, 71))
ALGORITHMS = (
    "HS256",
    "HS384",
    "HS512",
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "EdDSA",
)
ASYMMETRIC = ALGORITHMS[3:]
RSA = RSAKey.generate_key(2048)

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated:joserfc.errors.SecurityWarning")


def their_key(alg: str) -> Any:
    """A private key, made by joserfc."""
    if alg.startswith("HS"):
        return OctKey.import_key(SECRET)
    if alg.startswith("ES"):
        return ECKey.generate_key("P-384" if alg == "ES384" else "P-256")
    return OKPKey.generate_key("Ed25519") if alg == "EdDSA" else RSA


@pytest.fixture(params=ALGORITHMS)
def alg(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def theirs(alg: str) -> Any:
    return their_key(alg)


def jwk_of(theirs: Any, alg: str, kid: str = "k1", private: bool = True) -> dict[str, Any]:
    # Without `private`, joserfc refuses to write a shared secret.
    members = theirs.as_dict(private=private) if theirs.key_type != "oct" else theirs.as_dict(private=True)
    return {**members, "alg": alg, "kid": kid, "use": "sig"}


@pytest.fixture
def serve() -> App:
    """An app that tells what it read from a token."""

    def make(**config: Any) -> Flask:
        app = Flask(__name__)
        app.config.update(TESTING=True, RAMPART_ACCESS_LOG="off", RAMPART_JWT_ISSUER=ISSUER)
        app.config.update(RAMPART_JWT_AUDIENCE=AUDIENCE, **config)
        rampart = Rampart(app)
        app.extensions["tokens"] = lambda: rampart.tokens
        app.get("/")(require()(lambda: current_principal.claims))
        return app

    return make


def payload(**more: Any) -> dict[str, Any]:
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": NOW, "exp": END, "jti": "t1", **more}


MANY: dict[str, Any] = {
    "aud": ["https://other.example", AUDIENCE],
    "scope": "read write",
    "roles": ["admin"],
    "name": 'Zo\u00eb \U0001f600 \u2028 \u202e"\\/\b',
    "nested": {"a": [1, [2, {"b": None}], {"\u00fc": True}], "": {}},
    "numbers": [0, -1, 0.1, 1e-7, 1.5e300, 2**53, 2**53 + 1, -(2**63), 10**30, 1e22],
    "empty": [[], {}, ""],
    "fraction": NOW + 0.5,
}


def read_here(app: Flask, token: str) -> Any:
    answer = client(app).with_token(token).get("/")
    return answer.json if answer.status_code == 200 else answer.json["code"]


# --- Theirs, here ---


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "application/at+jwt", None])
def test_tokens_of_pyjwt_are_read_here(serve: App, alg: str, theirs: Any, typ: str | None) -> None:
    app = serve(RAMPART_JWT_KEYS=[jwk_of(theirs, alg)])
    key = SECRET if alg.startswith("HS") else jwt.PyJWK(jwk_of(theirs, alg)).key
    token = jwt.encode(payload(**MANY), key, alg, headers={"kid": "k1", "typ": typ})
    assert read_here(app, token) == payload(**MANY)


@pytest.mark.parametrize("typ", ["JWT", "at+jwt"])
def test_tokens_of_joserfc_are_read_here(serve: App, alg: str, theirs: Any, typ: str) -> None:
    app = serve(RAMPART_JWT_KEYS=[jwk_of(theirs, alg)])
    token = jose.encode({"alg": alg, "kid": "k1", "typ": typ}, payload(**MANY), theirs, algorithms=[alg])
    assert read_here(app, token) == payload(**MANY)


def test_tokens_without_a_kid_are_read_where_one_key_fits(serve: App, alg: str, theirs: Any) -> None:
    app = serve(RAMPART_JWT_KEYS=[jwk_of(theirs, alg)])
    assert read_here(app, jose.encode({"alg": alg}, payload(), theirs, algorithms=[alg])) == payload()


# --- Ours, there ---


def test_our_tokens_are_read_there_with_the_keys_that_we_publish(serve: App, alg: str, theirs: Any) -> None:
    app = serve(RAMPART_JWT_KEYS=[jwk_of(theirs, alg)])
    claims = {name: MANY[name] for name in ("name", "nested", "numbers", "empty", "fraction")}
    with app.app_context():
        token = app.extensions["tokens"]().issue("ada", scopes="read write", roles=["admin"], claims=claims)
        published = app.extensions["tokens"]().public_keys()
    if alg.startswith("HS"):
        assert published == {"keys": []}
        pyjwt_key, joserfc_key = SECRET, theirs
    else:
        assert [key["kid"] for key in published["keys"]] == ["k1"]
        assert not {"d", "p", "q", "k"} & set(published["keys"][0])
        pyjwt_key = jwt.PyJWKSet.from_dict(published)["k1"]
        joserfc_key = KeySet.import_key_set(published)
    here = read_here(app, token)
    assert jwt.decode(token, pyjwt_key, [alg], audience=AUDIENCE, issuer=ISSUER) == here
    assert jose.decode(token, joserfc_key, algorithms=[alg]).claims == here
    assert here["name"] == MANY["name"] and here["numbers"] == MANY["numbers"] and here["scope"] == "read write"
    assert jwt.get_unverified_header(token) == {"alg": alg, "kid": "k1", "typ": "JWT"}


def test_the_published_set_over_http_is_read_by_both(serve: App) -> None:
    keys = [jwk_of(their_key(alg), alg, kid=alg) for alg in ("RS256", "PS512", "ES256", "ES384", "EdDSA")]
    app = serve(RAMPART_JWT_KEYS=keys, RAMPART_JWKS_PATH="/jwks")
    published = app.test_client().get("/jwks").json
    names = ["RS256", "PS512", "ES256", "ES384", "EdDSA"]
    assert [key.key_id for key in jwt.PyJWKSet.from_dict(published).keys] == names
    assert [key.kid for key in KeySet.import_key_set(published).keys] == names


# --- Keys ---


@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_public_keys_that_they_write_are_an_issuers_keys_here(serve: App, alg: str, theirs: Any) -> None:
    public = jwk_of(theirs, alg, private=False)
    pyjwt_public = json.loads(jwt.get_algorithm_by_name(alg).to_jwk(jwt.PyJWK(public).key))
    token = jose.encode({"alg": alg, "kid": "k1"}, payload(iss="https://id.example"), theirs, algorithms=[alg])
    for written in (public, {**pyjwt_public, "kid": "k1"}, {**pyjwt_public, "kid": "k1", "alg": alg}):
        entry = {"issuer": "https://id.example", "audience": AUDIENCE, "algorithms": [alg], "jwks": {"keys": [written]}}
        app = serve(RAMPART_ISSUERS=[entry])
        assert read_here(app, token)["sub"] == "ada"
        with pytest.raises(ValueError, match="secret material"):
            serve(RAMPART_ISSUERS=[{**entry, "jwks": {"keys": [jwk_of(theirs, alg)]}}])


@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_our_public_keys_come_back_unchanged(alg: str, theirs: Any) -> None:
    ours = Key.from_jwk(json.dumps(jwk_of(theirs, alg)))
    there = import_key(json.loads(ours.public_jwk() or ""))
    again = Key.from_jwk(json.dumps({**there.as_dict(private=False), "alg": alg}))
    assert json.loads(again.public_jwk() or "") == json.loads(ours.public_jwk() or "")


@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_pems_that_they_write_are_keys_here(serve: App, alg: str, theirs: Any) -> None:
    token = jose.encode({"alg": alg}, payload(), theirs, algorithms=[alg])
    for private in (True, False):
        app = serve(RAMPART_JWT_KEYS=[{"alg": alg, "pem": theirs.as_pem(private=private)}])
        assert read_here(app, token) == payload()


# --- What they take, or may be made to take, and this one refuses ---


def signed(claims: dict[str, Any] | str, **header: Any) -> str:
    """Signed as it is, with nothing asked."""
    text = claims if isinstance(claims, str) else json.dumps(claims)
    return jwt.api_jws.encode(text.encode(), SECRET, "HS256", headers={"typ": "JWT", **header})


def resigned(head: str, body: str) -> str:
    """A token of these parts with a good signature over them."""
    mac = hmac.new(SECRET, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def with_unused_bits(token: str) -> str:
    """The same token, but for bits of its last character that mean nothing: 32 bytes fill 42 characters and a half."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + letters[letters.index(token[-1]) | 1]


def part(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


GOOD = json.dumps(payload())
OTHER = OctKey.import_key(SECRET[::-1])
HEAD = part('{"alg":"HS256","typ":"JWT"}')
REFUSED: dict[str, str] = {
    # PyJWT 2.15 takes the text; the Rust crate jsonwebtoken took it as absent (CVE-2026-25537).
    "exp is a text": signed(payload(exp=str(END))),
    "exp is true": signed(payload(exp=True)),
    "exp is null": signed(payload(exp=None)),
    "exp is beyond all numbers": signed(GOOD.replace(f'"exp": {END}', '"exp": 1e999')),
    "exp is not a number": signed(GOOD.replace(f'"exp": {END}', '"exp": NaN')),
    "there is no exp": signed({name: value for name, value in payload().items() if name != "exp"}),
    "nbf is a text": signed(payload(nbf=str(NOW))),
    "iat is in an hour": signed(payload(iat=NOW + 3600)),
    "iss is a list": signed(payload(iss=[ISSUER])),  # CVE-2026-75509
    "iss is a part of ours": signed(payload(iss=ISSUER[:-1])),  # GHSA-75c5-xw7c-p5pm
    "aud is a part of ours": signed(payload(aud=AUDIENCE[:-1])),
    "aud is a dict": signed(payload(aud={AUDIENCE: 1})),
    "aud has a number": signed(payload(aud=[AUDIENCE, 7])),
    "sub is a number": signed(payload(sub=7)),
    "sub is empty": signed(payload(sub="")),
    "jti is a list": signed(payload(jti=["t1"])),
    # PyJWT takes the last of two; another parser the first.
    "a claim is there twice": signed(GOOD[:-1] + ', "sub": "root"}'),
    "a nested claim is there twice": signed(GOOD[:-1] + ', "a": {"b": 1, "b": 2}}'),
    "alg is there twice": resigned(part('{"alg":"none","alg":"HS256","typ":"JWT"}'), part(GOOD)),
    # RFC 8725 section 3.11: other kinds of signed tokens.
    "it is a DPoP proof": signed(payload(), typ="dpop+jwt"),
    "it is a logout token": signed(payload(), typ="logout+jwt"),
    "it is one of our refresh tokens": signed(payload(), typ="rt+jwt"),
    "typ is a number": resigned(part('{"alg":"HS256","typ":7}'), part(GOOD)),
    # AWS ALB pads; PyJWT 2.15.1 takes it again (issue 1209).
    "its parts are padded": resigned(HEAD + "=" * (-len(HEAD) % 4), part(GOOD + " ") + "="),
    "its signature is padded": signed(payload()) + "=",
    "it has the other alphabet": resigned(HEAD, part(GOOD[:-1] + ', "a": "\u00ff\u00ff\u00ff?>"}').replace("_", "/")),
    "it has unused bits": with_unused_bits(signed(payload())),
    "crit names what is there": signed(payload(), crit=["typ"]),  # CVE-2025-59420, CVE-2026-32597
    "b64 is there": resigned(part('{"alg":"HS256","b64":true}'), part(GOOD)),  # RFC 7797
    "it is compressed": signed(payload(), zip="DEF"),
    "it brings its key": jose.encode(  # CVE-2018-0114, CVE-2026-27962
        {"alg": "HS256", "jwk": OTHER.as_dict(private=True)}, payload(), OTHER
    ),
    "its kid is a number": resigned(part('{"alg":"HS256","kid":7}'), part(GOOD)),
    "its kid is a path": signed(payload(), kid="../../etc/passwd"),
    "alg is in small letters": resigned(part('{"alg":"hs256","typ":"JWT"}'), part(GOOD)),
    "alg is none": f"{part(json.dumps({'alg': 'none'}))}.{part(GOOD)}.",
    "its claims are a list": signed("[]"),
    "its claims are too deep": signed(GOOD[:-1] + ', "a": ' + "[" * 200 + "]" * 200 + "}"),
    "its claims have a byte order mark": signed("\ufeff" + GOOD),
    "its claims go on": signed(GOOD + "{}"),
    "it is long": signed(payload(a="x" * 20_000)),
    "it is encrypted": "a.b.c.d.e",
}


@pytest.fixture(scope="module")
def strict() -> Flask:
    app = Flask(__name__)
    app.config.update(
        TESTING=True,
        RAMPART_ACCESS_LOG="off",
        RAMPART_JWT_ISSUER=ISSUER,
        RAMPART_JWT_AUDIENCE=AUDIENCE,
        RAMPART_JWT_KEYS=[{"kid": "k1", "alg": "HS256", "secret": SECRET}],
        RAMPART_LIMIT_STORE="memory://",
    )
    Rampart(app, clock=Clock.manual(NOW))
    app.get("/")(require()(lambda: current_principal.claims))
    return app


def test_the_token_that_is_varied_below_is_a_good_one(strict: Flask) -> None:
    assert read_here(strict, signed(payload())) == payload()
    assert read_here(strict, resigned(HEAD, part(GOOD))) == payload()


@pytest.mark.parametrize("what", REFUSED)
def test_what_two_libraries_could_read_in_two_ways_is_refused(strict: Flask, what: str) -> None:
    assert read_here(strict, REFUSED[what]) == "token.invalid"


def test_a_token_that_ends_in_a_line_is_refused_by_the_edge_and_would_be_behind_it(strict: Flask) -> None:
    token = signed(payload()) + "\n"
    assert read_here(strict, token) == "request.malformed"
    with strict.app_context(), pytest.raises(Denied) as refused:
        strict.extensions["rampart"].services[Tokens].verify(token)
    assert refused.value.problem.code == "token.invalid"


def test_the_names_of_rfc_9864_are_not_taken_yet(serve: App) -> None:
    # `Ed25519` is the same signature as `EdDSA` with that curve. One name each, so that a key has one algorithm.
    theirs = OKPKey.generate_key("Ed25519")
    app = serve(RAMPART_JWT_KEYS=[jwk_of(theirs, "EdDSA")])
    for alg, expected in (("EdDSA", payload()), ("Ed25519", "token.invalid")):
        token = jose.encode({"alg": alg, "kid": "k1"}, payload(), theirs, algorithms=[alg])
        assert read_here(app, token) == expected
    with pytest.raises(ValueError, match="it is written EdDSA"):
        serve(RAMPART_JWT_KEYS=[jwk_of(theirs, "Ed25519")])


@pytest.mark.parametrize("alg", ["ES512", "ES256K"])
def test_curves_that_are_not_here_are_refused_at_start_up(serve: App, alg: str) -> None:
    theirs = ECKey.generate_key("P-521" if alg == "ES512" else "secp256k1")
    with pytest.raises(ValueError, match="RAMPART_JWT_KEYS"):
        serve(RAMPART_JWT_KEYS=[jwk_of(theirs, alg)])
    with pytest.raises(ValueError, match="is not one of"):
        serve(RAMPART_ISSUERS=[{"issuer": "https://i.example", "audience": "a", "algorithms": [alg]}])


class Mixed(FakeIssuer):
    """An issuer that publishes a key of a curve that is not here, before its own."""

    def jwks(self) -> dict[str, Any]:
        return {"keys": [jwk_of(ECKey.generate_key("P-521"), "ES512", "k0", private=False), *super().jwks()["keys"]]}


def test_one_published_key_that_is_not_for_us_hides_no_other(serve: App) -> None:
    with Mixed(audience=AUDIENCE).serve() as issuer:
        app = serve(RAMPART_ISSUERS=[issuer.settings()])
        assert read_here(app, issuer.token("ada"))["sub"] == "ada"
    # In the settings, somebody meant it: there it is an error.
    with pytest.raises(ValueError, match="cannot be used"):
        serve(RAMPART_ISSUERS=[issuer.settings()])


def test_a_public_key_of_theirs_is_no_shared_secret_here(serve: App) -> None:
    # CVE-2022-29217, CVE-2024-33663, CVE-2026-114615
    for theirs in (RSA, their_key("ES256"), their_key("EdDSA")):
        for text in (theirs.as_pem(private=False), json.dumps(theirs.as_dict(private=False)).encode()):
            with pytest.raises(ValueError, match="RAMPART_JWT_KEYS"):
                serve(RAMPART_JWT_KEYS=[{"alg": "HS256", "secret": text}])


def test_json_serializations_of_joserfc_are_refused(strict: Flask) -> None:
    key = OctKey.import_key(SECRET)
    member = {"protected": {"alg": "HS256", "typ": "JWT"}}
    for members in (member, [member]):
        document = jose_jws.serialize_json(members, GOOD, key)  # type: ignore[arg-type]
        with pytest.raises(Denied) as caught:
            strict.extensions["rampart"].services[Tokens].verify(json.dumps(document))
        assert caught.value.problem.code == "token.invalid"
        assert read_here(strict, json.dumps(document)) == "auth.ambiguous"  # commas part credentials in a header
