"""Opaque tokens: who is asked about which, how, and what the answer must say."""

# ruff: noqa: F401, F811 - fixtures come from a module

from __future__ import annotations

import base64
import itertools
import json
import logging
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import pytest
from flask import Flask

from flask_rampart import Clock, ConfigError, Denied, IntrospectedToken, Rampart, current_principal, limit, require
from flask_rampart._native import Key
from flask_rampart.issuers import Issuers, answers, introspection
from flask_rampart.issuers.settings import read
from flask_rampart.tokens import Tokens

from .conftest import NOW, SECRET, bearer
from .issuing import (
    AUDIENCE,
    ISSUER,
    OTHER,
    App,
    Net,
    active,
    asking,
    code,
    entry,
    introspector,
    jwks,
    key,
    logged,
    net,
    new_key,
    serve,
    token_of,
)
from .proving import Client

# Who is asked about what.


def test_an_opaque_token_is_the_one_its_issuer_vouches_for(serve: App, net: Net) -> None:
    net.tokens["2YotnFZFEjr1zCsicMWpAA"] = active(scope="read write", roles=["admin"], jti="j1", client_id="shop")
    app = serve(asking())
    response = app.test_client().get("/", headers=bearer("2YotnFZFEjr1zCsicMWpAA"))
    assert response.json == {"id": "ada", "issuer": ISSUER}
    assert code(app, "2YotnFZFEjr1zCsicMWpAA", "/scoped") == "ok"
    assert code(app, "2YotnFZFEjr1zCsicMWpAB") == "token.invalid"
    assert [token for token, _ in net.asked] == ["2YotnFZFEjr1zCsicMWpAA", "2YotnFZFEjr1zCsicMWpAB"]
    assert net.fetched == []


def test_jwts_and_opaque_tokens_live_side_by_side(serve: App, net: Net, key: Key, token: Any) -> None:
    net.publish(key)
    net.tokens["opaque"] = active()
    app = serve(asking())
    assert code(app, token_of(key)) == code(app, "opaque") == code(app, token()) == "ok"
    # What looks like a JWT is judged as one and shown to nobody (RFC 7515 section 7.1), unsigned or not.
    for forged in ("a.b.c", "..", "e30.e30.", token_of(new_key("one"))):
        net.tokens[forged] = active()
        assert code(app, forged) == "token.invalid"
    assert [asked for asked, _ in net.asked] == ["opaque"]


def test_what_is_no_token_is_shown_to_nobody(serve: App, net: Net) -> None:
    app = serve(asking())
    for wrong in ("a b", "\u00e9", "a\tb", 'a"b', "=", "a=b", "x" * 16_385):
        assert code(app, wrong) == "token.invalid", wrong
    assert code(app, "a,b") == "auth.ambiguous"
    # RFC 6750 section 2: a second token in the query.
    assert app.test_client().get("/?access_token=b", headers=bearer("a")).json["code"] == "auth.ambiguous"
    assert app.test_client().get("/", headers={"Authorization": "Bearer:opaque"}).status_code == 401
    assert app.test_client().get("/").json["code"] == "auth.missing"
    assert net.asked == []


def test_our_own_api_keys_are_shown_to_no_issuer(serve: App, net: Net) -> None:
    app = serve(asking(), RAMPART_API_KEYS=True, RAMPART_API_KEY_PREFIX="shop", TESTING=True)
    for wrong in ("shop_live_x", "shop_test_x"):
        assert code(app, wrong) == "token.invalid"
    assert net.asked == []
    net.tokens["rk_live_x"] = active()
    assert code(app, "rk_live_x") == "ok"


def test_five_parts_are_opaque_since_only_the_issuer_can_open_them(serve: App, net: Net) -> None:
    net.tokens["a.b.c.d.e"] = active()
    assert code(serve(asking()), "a.b.c.d.e") == "ok"


def test_without_introspection_opaque_tokens_are_refused(serve: App, net: Net) -> None:
    assert code(serve(), "opaque") == "token.invalid"
    assert net.asked == [] and net.fetched == []


def test_each_issuer_is_asked_about_its_own_prefix_alone(serve: App, net: Net) -> None:
    other = {**asking(prefix="b_", endpoint=f"{OTHER}introspect"), "issuer": OTHER}
    net.tokens.update({"a_1": active(), "b_1": active(iss=OTHER), "a_2": active(iss=OTHER)})
    app = serve(asking(prefix="a_"), other)
    assert code(app, "a_1") == code(app, "b_1") == "ok"
    # One issuer does not vouch in the name of another.
    assert code(app, "a_2") == "token.invalid"
    assert code(app, "c_1") == code(app, "A_1") == "token.invalid"
    assert [token for token, _ in net.asked] == ["a_1", "b_1", "a_2"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([asking(), {**asking(), "issuer": OTHER}], "give each a 'prefix'"),
        ([asking(prefix="a_"), {**asking(prefix="a_b"), "issuer": OTHER}], "none the beginning of another"),
        ([asking(prefix="a_"), {**asking(), "issuer": OTHER}], "RAMPART_ISSUERS[1]['introspection']"),
        ([asking(clientid="x")], "Did you mean client_id?"),
        ([asking(client_secret=...)], "needs 'client_secret'"),
        ([asking(client_id=" ")], "needs 'client_id'"),
        ([asking(client_secret=b"hunter2")], "needs 'client_secret'"),
        ([asking(method="client_secret_jwt")], "'method' must be one of"),
        ([asking(tokens="jwt")], "'tokens' must be one of 'opaque', 'all'"),
        ([asking(cache=3601)], "'cache' must be a whole number of seconds from 0 to 3600"),
        ([asking(cache=-1)], "'cache'"),
        ([asking(negative=True)], "'negative'"),
        ([asking(timeout=0)], "from 1 to 30"),
        ([asking(in_flight=0)], "questions from 1 to 1024"),
        ([asking(prefix="")], "'prefix' must be"),
        ([asking(prefix="a b")], "'prefix' must be"),
        ([asking(require_audience="no")], "True or False"),
        ([asking(client_subject=1)], "True or False"),
        ([asking(endpoint="http://id.example/i")], "'endpoint' must be an https URL"),
        ([asking(endpoint="https://id.example/" + "x" * 2048)], "longer than 2048"),
        ([entry(introspection="hunter2")], "must be a dict"),
    ],
)
def test_a_wrong_entry_stops_the_start_up_with_the_cure(entries: Any, message: str) -> None:
    app = Flask(__name__)
    app.config["RAMPART_ISSUERS"] = entries
    with pytest.raises(ConfigError) as caught:
        Rampart(app)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_secrets_are_not_sent_over_http_in_production(make_app: App, key: Key) -> None:
    for fields in ({"endpoint": "http://id.example/introspect"}, {"endpoint": ...}):
        spec = {**asking(**fields), "issuer": "http://id.example", "jwks": jwks(key), "allow_http": True}
        app = make_app(RAMPART_ISSUERS=[spec])
        with pytest.raises(ConfigError, match=r"app\.debug and app\.testing"):
            app.extensions["rampart"].seal()


# How it is asked.


def test_the_question_is_that_of_rfc_7662_with_the_clients_secret(serve: App, net: Net) -> None:
    net.tokens["t+/=="] = active()
    assert code(serve(asking(client_id="a:b")), "t+/==") == "ok"
    assert code(serve(asking(method="client_secret_post")), "t+/==") == "ok"
    (_, basic), (_, post) = net.asked
    assert parse_qs(basic.body.decode()) == {"token": ["t+/=="], "token_type_hint": ["access_token"]}
    scheme, _, pair = (basic.authorization or "").partition(" ")
    name, _, secret = base64.b64decode(pair).decode().partition(":")
    # RFC 6749 section 2.3.1: form-encoded, so that the colon in the name does not end it.
    assert (scheme, unquote_plus(name), unquote_plus(secret)) == ("Basic", "a:b", "hunter2:%")
    assert post.authorization is None
    assert parse_qs(post.body.decode())["client_secret"] == ["hunter2:%"]


def test_the_endpoint_is_found_in_the_issuers_metadata(serve: App, net: Net, clock: Clock) -> None:
    place = f"{ISSUER}/.well-known/openid-configuration"
    net.tokens.update({f"t{n}": active(exp=NOW + 90_000) for n in range(9)})
    app = serve(asking(endpoint=...))
    net.documents[place] = {"issuer": ISSUER}
    assert code(app, "t0") == "auth.unavailable"
    net.documents[place] = {"issuer": "https://evil.example", "introspection_endpoint": f"{ISSUER}/i"}
    assert code(app, "t5") == "auth.unavailable"
    net.documents[place] = {"issuer": ISSUER, "introspection_endpoint": "http://id.example/i"}
    assert code(app, "t6") == "auth.unavailable"
    clock.advance(5)
    net.documents[place] = {"issuer": ISSUER, "introspection_endpoint": f"{ISSUER}/i"}
    assert code(app, "t0") == code(app, "t1") == "ok"
    assert len(net.fetched) == 4
    # Read again each hour; what was read is used for a day while it cannot be had.
    clock.advance(introspection.ENDPOINT_LIFETIME)
    del net.documents[place]
    assert code(app, "t2") == code(app, "t3") == "ok"
    assert len(net.fetched) == 6
    clock.advance(introspection.ENDPOINT_LONGEST)
    assert code(app, "t4") == "auth.unavailable"


def test_neither_the_secret_nor_the_token_is_told_to_anybody(
    serve: App, net: Net, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = serve(asking())
    issuers = app.extensions["rampart"].services[Issuers]
    shown = [repr(issuers._entries), str(issuers._entries[0].introspection), repr(app.extensions["rampart"].settings)]
    with caplog.at_level(logging.DEBUG):
        net.status = 500
        refused = app.test_client().get("/", headers=bearer("s3cr3t-token"))
        assert logged(caplog, "500, not 200")
        monkeypatch.setattr(Net, "introspect", lambda self, form: 1 / 0 if form else None)
        issuers._asked[ISSUER]._quiet_until = 0.0
        app.test_client().get("/", headers=bearer("s3cr3t-token2"))
        assert logged(caplog, "ZeroDivisionError")
    net_form = net.asked[0][1]
    shown += [repr(net_form), f"{net_form}", caplog.text, refused.get_data(as_text=True), str(refused.headers)]
    for text in shown:
        assert "hunter2" not in text and "s3cr3t" not in text
        assert base64.b64encode(b"api:hunter2").decode()[:10] not in text


# What the answer must say.


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        # The boolean, and nothing that a lenient reader takes for it.
        ({"active": False}, "token.invalid"),
        (active(active="true"), "auth.unavailable"),
        (active(active=1), "auth.unavailable"),
        (active(active=None), "auth.unavailable"),
        (active(active=...), "auth.unavailable"),
        ([True], "auth.unavailable"),
        (b"", "auth.unavailable"),
        (b"<html>", "auth.unavailable"),
        (b'{"active":true', "auth.unavailable"),
        (b'{"active":false,"active":true,"sub":"a","aud":"https://api.example"}', "auth.unavailable"),
        (b'{"active":true,"sub":"a","aud":"https://api.example","exp":NaN}', "auth.unavailable"),
        (b'\xff{"active":true}', "auth.unavailable"),
        (json.dumps(active(pad="x" * 70_000)).encode(), "auth.unavailable"),
        (b'{"active":true,"a":' + b"[" * 200 + b"]" * 200 + b"}", "auth.unavailable"),  # CVE-2025-53864
        # CVE-2026-25537: a wrong type is not an absent claim.
        (active(exp=str(NOW + 60)), "token.invalid"),
        (active(exp=True), "token.invalid"),
        (active(exp=None), "token.invalid"),
        (active(exp=[NOW + 60]), "token.invalid"),
        (active(exp=-1), "token.invalid"),
        (active(exp=2**60), "token.invalid"),
        (active(exp=1e300), "token.invalid"),
        (active(nbf="0"), "token.invalid"),
        (active(iat={}), "token.invalid"),
        (active(auth_time="1"), "token.invalid"),
        (active(aud=None), "token.invalid"),
        (active(aud={AUDIENCE: 1}), "token.invalid"),
        (active(aud=[AUDIENCE, 7]), "token.invalid"),
        (active(iss=[ISSUER]), "token.invalid"),  # CVE-2026-75509
        (active(iss=None), "token.invalid"),
        (active(sub=7), "token.invalid"),
        (active(sub=None, client_id="c"), "token.invalid"),
        (active(scope=7), "token.invalid"),
        (active(scope={"read": True}), "token.invalid"),
        (active(scope=["read", None]), "token.invalid"),
        (active(roles={"admin": True}), "token.invalid"),
        (active(client_id=7), "token.invalid"),
        (active(username=["ada"]), "token.invalid"),
        (active(username=7), "token.invalid"),
        (active(jti=7), "token.invalid"),
        (active(token_type=7), "token.invalid"),
        (active(cnf="x"), "token.invalid"),
        # Whose, and for whom.
        (active(iss=ISSUER + "/"), "token.invalid"),
        (active(iss=...), "ok"),
        (active(aud=["https://other.example", AUDIENCE]), "ok"),
        (active(aud=AUDIENCE + "/"), "token.invalid"),
        (active(aud=[]), "token.invalid"),
        (active(aud=...), "token.invalid"),
        (active(sub=""), "token.invalid"),
        (active(sub=...), "token.invalid"),
        (active(sub=..., client_id="shop"), "token.invalid"),
        # A refresh token is active too, and an ID token.
        (active(token_type="Bearer", token_use="access_token", typ="Bearer"), "ok"),
        (active(token_type="bearer"), "ok"),
        (active(token_use="refresh_token"), "token.invalid"),
        (active(token_use="id"), "token.invalid"),
        (active(typ="Refresh"), "token.invalid"),
        (active(typ="ID"), "token.invalid"),
        (active(token_type="refresh_token"), "token.invalid"),
        # Bound to a key: RFC 7800, 8705, 9449.
        (active(cnf={"jkt": "x"}), "token.invalid"),
        (active(cnf={"x5t#S256": "x"}), "token.invalid"),
        (active(cnf={}), "token.invalid"),
        (active(token_type="DPoP"), "token.invalid"),
        # Times: 30 s of leeway.
        (active(exp=...), "ok"),
        (active(exp=NOW - 29), "ok"),
        (active(exp=NOW - 30), "token.expired"),
        (active(exp=0), "token.expired"),
        (active(nbf=NOW + 30), "ok"),
        (active(nbf=NOW + 31), "token.invalid"),
        (active(iat=NOW + 31), "token.invalid"),
        (active(exp=NOW + 0.5), "ok"),
    ],
)
def test_an_answer_is_believed_only_as_it_is_meant(serve: App, net: Net, answer: Any, expected: str) -> None:
    net.tokens["opaque"] = answer
    app = serve(asking())
    refused = app.test_client().get("/", headers=bearer("opaque"))
    assert ("ok" if refused.status_code == 200 else refused.json["code"]) == expected
    assert refused.status_code == {"ok": 200, "auth.unavailable": 503}.get(expected, 401)
    # The same again, whatever is remembered of it.
    assert code(app, "opaque") == expected


def test_a_bound_token_is_refused_for_that_and_shows_its_key(serve: App, net: Net) -> None:
    net.tokens["opaque"] = active(cnf={"jkt": "x", "jwk": {"a": 1}})
    app = serve(asking())
    with app.app_context(), pytest.raises(Denied) as caught:
        Rampart().issuers.verify("opaque")
    assert (caught.value.problem.code, caught.value.reason) == ("token.invalid", "confirmation")
    found = introspector(app).judge("opaque")
    assert isinstance(found, IntrospectedToken) and found.is_bound
    confirmation = found.confirmation
    assert confirmation == {"jkt": "x", "jwk": {"a": 1}}
    confirmation["jwk"]["a"] = 2
    assert found.confirmation == {"jkt": "x", "jwk": {"a": 1}}


def test_what_may_be_left_out_is_said_in_the_settings(serve: App, net: Net) -> None:
    net.tokens["none"] = active(aud=..., sub=..., client_id="shop")
    net.tokens["other"] = active(aud="https://other.example")
    net.tokens["empty"] = active(aud=..., sub="", client_id="shop")
    app = serve(asking(require_audience=False, client_subject=True))
    assert app.test_client().get("/", headers=bearer("none")).json["id"] == "shop"
    assert code(app, "other") == code(app, "empty") == "token.invalid"


def test_scopes_and_roles_are_where_a_jwt_has_them(serve: App, net: Net) -> None:
    spec = {**asking(), "scopes_claim": ["permissions", "a.b"], "roles_claim": ["realm.roles", "/x~1y/my.app/roles"]}
    app = serve(spec)
    net.tokens["one"] = active(scope="admin", permissions=["read"], realm={"roles": "admin"})
    net.tokens["two"] = active(**{"a.b": "read x"}, **{"x/y": {"my.app": {"roles": ["admin"]}}})
    net.tokens["three"] = active(scope="read", roles=["admin"])
    net.tokens["four"] = active(permissions=["read admin"], realm={"roles": ["admin"]})
    assert code(app, "one", "/scoped") == code(app, "two", "/scoped") == "ok"
    assert code(app, "three", "/scoped") == code(app, "four", "/scoped") == "auth.scope"
    net.tokens["five"] = active(permissions="read", realm=["admin"])
    assert code(app, "five") == "token.invalid"


def test_an_answer_is_read_by_the_rules_of_a_token(net: Net, clock: Clock) -> None:
    # The native reader of JWTs is the measure: one verdict, one set of scopes and roles, for the same claims.
    spec = {**asking(), "scopes_claim": ["scope", "a.b", "/c~0/d"], "roles_claim": ["roles", "a.r", "e.f.g"]}
    app = Flask(__name__)
    app.config["RAMPART_ISSUERS"] = [spec]
    Rampart(app, clock=clock)
    (asked,) = read(app.extensions["rampart"].settings)
    signer = Key.from_secret(SECRET.encode(), "HS256")
    native = asked.verifier([signer], clock)
    values = [
        ..., None, True, 0, 1, -1, 1.5, NOW, NOW - 30, NOW - 29.5, NOW + 30, NOW + 31, 2**53, 2**53 + 1, 1e16, "", "x",
        "x y", "  x", [], ["x"], ["x y", ""], ["x", 1], [[]], {}, {"b": "x y"}, {"b": ["x y"], "r": "x y"}, {"b": 1},
        {"d": "x"}, {"d": {}}, {"f": {"g": ["x"]}}, {"f": {"g": {}}}, {"f": "x"}, {"f": {}},
    ]  # fmt: skip
    names = ["exp", "nbf", "iat", "auth_time", "aud", "iss", "sub", "jti", "scope", "roles", "a", "a.b", "c~", "e", "z"]
    compared = 0
    for name, value in itertools.product(names, values):
        claims = active(**{name: value})
        if (value is ... and name in ("exp", "iss")) or (value is None and name not in answers._DECISIVE):
            continue  # an answer may leave these out, or write null for what a token has not; a token may not
        try:
            said = native.judge(signer.sign(json.dumps(claims)))
        except ValueError:
            said = ("token.invalid", "claims")
        found = answers.read(asked, json.dumps(claims).encode(), NOW)
        if not isinstance(said, tuple) and not said.id:
            said = ("token.invalid", "subject")
        if isinstance(said, tuple):
            assert isinstance(found, tuple) and found[0] == said[0], (name, value, said, found)
        else:
            assert isinstance(found, IntrospectedToken), (name, value, found)
            for attribute in (
                "id",
                "issuer",
                "scopes",
                "roles",
                "token_id",
                "expires_at",
                "issued_at",
                "authenticated_at",
            ):
                assert getattr(found, attribute) == getattr(said, attribute), (name, value, attribute)
        compared += 1
    assert compared > 450


# The principal.


def test_the_principal_is_one_of_bearer_tokens_and_cannot_be_changed(serve: App, net: Net) -> None:
    net.tokens["opaque"] = active(
        jti="j", scope="read", client_id="shop", auth_time=NOW - 5, iat=NOW - 5, act={"sub": "b"}
    )
    app = serve(asking())
    seen: list[Any] = []
    app.get("/jwt")(require("jwt", scopes="read")(lambda: seen.append(current_principal._get_current_object()) or "ok"))
    assert code(app, "opaque", "/jwt") == "ok"
    (found,) = seen
    assert isinstance(found, IntrospectedToken)
    assert (found.kind, found.id, found.subject, found.issuer, found.token_id) == ("jwt", "ada", "ada", ISSUER, "j")
    assert (found.expires_at, found.issued_at, found.authenticated_at) == (NOW + 3600, NOW - 5, NOW - 5)
    assert (found.client_id, found.confirmation, found.scopes) == ("shop", None, frozenset({"read"}))
    found.claims["act"]["sub"] = "eve"
    assert found.claims["act"] == {"sub": "b"}
    with pytest.raises(AttributeError):
        found.scopes = frozenset({"admin"})
    assert "opaque" not in repr(found)


def test_quotas_tell_the_principals_of_two_issuers_apart(serve: App, net: Net, key: Key) -> None:
    net.tokens["opaque"] = active()
    app = serve(asking(), entry(issuer=OTHER, jwks=jwks(key)))
    app.get("/once")(require()(limit("1/hour", by="principal")(lambda: "ok")))
    assert code(app, "opaque", "/once") == "ok"
    assert code(app, "opaque", "/once") == "limit.exceeded"
    assert code(app, token_of(key, iss=OTHER), "/once") == "ok"


# JWTs that their issuer may take back.


def test_a_jwt_is_taken_back_by_its_issuer(serve: App, net: Net, key: Key, clock: Clock) -> None:
    token = token_of(key, scope="read", roles=["admin"])
    net.tokens[token] = {"active": True}
    app = serve({**asking(tokens="all", cache=30), "jwks": jwks(key)})
    assert code(app, token, "/scoped") == "ok"
    assert code(app, token, "/scoped") == "ok" and len(net.asked) == 1
    net.tokens[token] = {"active": False}
    clock.advance(30)
    assert code(app, token, "/scoped") == "token.invalid"
    # A forged one is not worth a question.
    assert code(app, token_of(new_key("one"))) == "token.invalid"
    assert code(app, token_of(key, exp=NOW - 60)) == "token.expired"
    assert len(net.asked) == 2


def test_an_opaque_token_is_taken_back_here_as_well(serve: App, net: Net) -> None:
    net.tokens["one"], net.tokens["two"] = active(jti="j1", iat=NOW - 10), active(jti="j2", iat=NOW)
    app = serve(asking())
    tokens = app.extensions["rampart"].services[Tokens]
    assert code(app, "one") == code(app, "two") == "ok"
    tokens.revoke_subject("ada", issuer=ISSUER)
    assert (code(app, "one"), code(app, "two")) == ("token.invalid", "ok")
    with app.app_context():
        tokens.revoke(app.extensions["rampart"].services[Issuers].verify("two"))
        assert code(app, "two") == "token.invalid"
        net.tokens["nameless"] = active(iat=NOW)
        with pytest.raises(TypeError, match="jti"):
            tokens.revoke(app.extensions["rampart"].services[Issuers].verify("nameless"))


def test_a_bound_token_that_its_issuer_took_back_is_told_to_the_scheme_that_it_came_by(
    serve: App, net: Net, key: Key
) -> None:
    sender = Client()
    token = token_of(key, cnf={"jkt": sender.jkt})
    app = serve({**asking(tokens="all"), "jwks": jwks(key)}, RAMPART_DPOP="allowed", TESTING=True)
    headers = {"Authorization": f"DPoP {token}", "DPoP": sender.proof(token)}
    net.tokens[token] = {"active": False}
    plain, proofs = app.test_client().get("/", headers=headers).headers.getlist("WWW-Authenticate")
    assert plain == 'Bearer realm="api"'
    assert proofs.startswith("DPoP ") and 'error="invalid_token"' in proofs


def test_an_issuer_narrows_its_jwt_and_never_widens_it(serve: App, net: Net, key: Key) -> None:
    app = serve({**asking(tokens="all"), "jwks": jwks(key)})

    def says(answer: dict[str, Any], path: str = "/", **claims: Any) -> str:
        token = token_of(key, jti=str(len(net.asked)), **claims)
        net.tokens[token] = answer
        return code(app, token, path)

    full = {"scope": "read", "roles": ["admin"]}
    assert says(active(scope="read write"), "/scoped", **full) == "ok"
    assert says(active(scope="write"), "/scoped", **full) == "auth.scope"
    assert says(active(scope=""), "/scoped", **full) == "auth.scope"
    assert says(active(roles=[]), "/scoped", **full) == "auth.role"
    assert says(active(scope="read", roles=["admin"]), "/scoped") == "auth.scope"
    assert says(active(sub="eve")) == "token.invalid"
    assert says(active(iss=OTHER)) == "token.invalid"
    assert says(active(aud="https://other.example")) == "token.invalid"
    assert says(active(exp=NOW - 30)) == "token.expired"
    assert says({"active": True, "exp": "x"}) == "token.invalid"
    assert says({"active": True}, cnf={"jkt": "A" * 43}) == "token.invalid"
    assert says({"active": True, "cnf": {"jkt": "x"}}) == "token.invalid"
    net.status = 500
    assert says({"active": True}) == "auth.unavailable"


def test_the_principal_of_such_a_jwt_has_its_claims(serve: App, net: Net, key: Key) -> None:
    token = token_of(key, jti="j", client_id="shop", tenant={"id": 7}, auth_time=NOW - 9)
    net.tokens[token] = active(exp=NOW + 5, secret="of the issuer")
    app = serve({**asking(tokens="all"), "jwks": jwks(key)})
    with app.app_context():
        found: Any = Rampart().issuers.verify(token)
    assert (found.id, found.kind, found.token_id, found.client_id) == ("ada", "jwt", "j", "shop")
    assert (found.expires_at, found.authenticated_at) == (NOW + 5, NOW - 9)
    assert found.claims["tenant"] == {"id": 7} and "secret" not in found.claims


def test_by_default_a_jwt_asks_nobody(serve: App, net: Net, key: Key) -> None:
    app = serve({**asking(), "jwks": jwks(key)})
    assert code(app, token_of(key)) == "ok"
    assert net.asked == []
