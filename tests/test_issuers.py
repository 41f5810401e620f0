"""Tokens of external issuers, through the whole stack: who judges them, and how the keys are found."""

# ruff: noqa: F401, F811 - fixtures come from a module

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from flask_rampart import Clock, Denied, Rampart, limit, require
from flask_rampart._native import Key

from .conftest import NOW, SECRET, bearer
from .issuing import (
    AUDIENCE,
    ISSUER,
    OTHER,
    App,
    Net,
    code,
    entry,
    jwk,
    jwks,
    key,
    net,
    new_key,
    serve,
    settle,
    token_of,
)

# Who judges a token.


def test_a_token_is_judged_by_its_issuers_published_keys(serve: App, net: Net, key: Key) -> None:
    net.publish(key)
    app = serve()
    response = app.test_client().get("/", headers=bearer(token_of(key)))
    assert response.json == {"id": "ada", "issuer": ISSUER}
    # OpenID Connect Discovery 1.0 section 4, then RFC 7517.
    assert net.fetched == [f"{ISSUER}/.well-known/openid-configuration", f"{ISSUER}/keys"]
    assert code(app, token_of(key, sub="eve")) == "ok"
    assert len(net.fetched) == 2


def test_nothing_is_fetched_before_a_request_needs_it(serve: App, net: Net, key: Key, token: Any) -> None:
    app = serve()
    assert code(app, token()) == "ok"  # our own
    assert app.test_client().get("/").status_code == 401
    assert code(app, "a.b.c") == "token.invalid"
    assert net.fetched == []


def test_an_unknown_issuer_is_refused_without_any_fetch(serve: App, net: Net, key: Key) -> None:
    app = serve()
    for issuer in ("https://evil.example", ISSUER + "/", ISSUER[:-1], "HTTPS://ID.EXAMPLE", "", "x" * 5000):
        refused = app.test_client().get("/", headers=bearer(token_of(key, iss=issuer)))
        assert refused.status_code == 401 and refused.json["code"] == "token.invalid"
        assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
    for issuer in ([ISSUER], {"a": ISSUER}, 1, None, True):  # CVE-2026-75509, GHSA-75c5-xw7c-p5pm
        head, _, tail = token_of(key).split(".")
        claims = base64.urlsafe_b64encode(json.dumps({"iss": issuer, "sub": "a"}).encode()).rstrip(b"=").decode()
        assert code(app, f"{head}.{claims}.{tail}") == "token.invalid"
    assert net.fetched == []


def test_one_issuers_key_never_verifies_anothers_token(serve: App, net: Net, key: Key, token: Any) -> None:
    other = new_key("one")
    net.publish(key)
    app = serve(entry(), entry(issuer=OTHER, jwks=jwks(other)))
    assert code(app, token_of(key)) == code(app, token_of(other, iss=OTHER)) == code(app, token()) == "ok"
    assert code(app, token_of(other)) == "token.invalid"
    assert code(app, token_of(key, iss=OTHER)) == "token.invalid"
    # Our own key says that it is the issuer, and the issuer's says that it is us.
    assert code(app, token(iss=ISSUER, aud=AUDIENCE)) == "token.invalid"
    assert code(app, token_of(key, iss=..., aud=...)) == "token.invalid"
    # Ours names no issuer where RAMPART_JWT_ISSUER does not; with a foreign one it is not ours.
    assert code(app, token(iss="https://we.example")) == "token.invalid"


def test_our_own_issuer_stands_beside_others(serve: App, net: Net, key: Key, token: Any) -> None:
    app = serve(entry(jwks=jwks(key)), RAMPART_JWT_ISSUER="https://we.example")
    assert code(app, token(iss="https://we.example")) == "ok"
    assert code(app, token()) == "token.invalid"
    assert code(app, token_of(key)) == "ok"


def test_issuers_need_no_keys_of_our_own(serve: App, net: Net, key: Key) -> None:
    app = serve(entry(jwks=jwks(key)), RAMPART_JWT_KEYS=...)
    assert code(app, token_of(key)) == "ok"
    assert code(app, token_of(key, iss=...)) == "token.invalid"


def test_what_the_issuer_says_is_held_to_its_rules(serve: App, net: Net, key: Key) -> None:
    net.publish(key)
    app = serve(entry(audience=["other", AUDIENCE], leeway=10, scopes_claim="permissions", roles_claim="realm.roles"))
    assert code(app, token_of(key, aud=["x", AUDIENCE])) == "ok"
    for wrong in ("https://api.example/", ["x"], [], ...):
        assert code(app, token_of(key, aud=wrong)) == "token.invalid"
    assert code(app, token_of(key, exp=NOW - 9)) == "ok"
    assert code(app, token_of(key, exp=NOW - 10)) == "token.expired"
    assert code(app, token_of(key, exp=...)) == "token.invalid"
    assert code(app, token_of(key, sub=...)) == "token.invalid"
    assert code(app, token_of(key, "dpop+jwt")) == "token.invalid"
    good = token_of(key, permissions=["read"], realm={"roles": ["admin"]})
    assert code(app, good, "/scoped") == "ok"
    assert code(app, token_of(key, scope="read", roles=["admin"]), "/scoped") == "auth.scope"


def test_a_configured_typ_must_be_there(serve: App, net: Net, key: Key) -> None:
    # RFC 9068 section 4; Authlib accepts a missing one.
    app = serve(entry(jwks=jwks(key), typ="at+jwt"))
    assert code(app, token_of(key, "at+jwt")) == code(app, token_of(key, "application/AT+JWT")) == "ok"
    assert code(app, token_of(key, "JWT")) == "token.invalid"


def test_the_header_does_not_choose_the_algorithm(serve: App, net: Net) -> None:
    # CVE-2026-22817, CVE-2026-48523: a key without `alg`, an algorithm that is not on the list.
    key = new_key("one")
    app = serve(entry(jwks={"keys": [jwk(key, alg=...)]}), RAMPART_JWT_KEYS=...)
    assert code(app, token_of(key)) == "ok"
    # CVE-2017-11424: the public key's text as a shared secret.
    forged = Key.from_secret(SECRET.encode(), "HS256", "one")
    assert code(app, token_of(forged)) == "token.invalid"


def test_who_has_the_same_subject_at_two_issuers_is_two_principals(serve: App, net: Net, key: Key) -> None:
    other = new_key("two")
    app = serve(entry(jwks=jwks(key)), entry(issuer=OTHER, jwks=jwks(other)))
    app.get("/once")(require()(limit("1/hour", by="principal")(lambda: "ok")))
    assert code(app, token_of(key), "/once") == "ok"
    assert code(app, token_of(key), "/once") == "limit.exceeded"
    assert code(app, token_of(other, iss=OTHER), "/once") == "ok"


def test_a_token_is_verified_outside_a_request_too(serve: App, net: Net, key: Key, token: Any) -> None:
    app = serve(entry(jwks=jwks(key)))
    rampart = Rampart()
    with app.app_context():
        assert rampart.issuers.verify(token_of(key)).issuer == ISSUER
        assert rampart.issuers.verify(token()).id == "ada"
        for bad in ("", "a.b.c", "\ud800", token_of(key, iss="x"), token_of(key, aud="x"), token_of(key, sub="")):
            with pytest.raises(Denied):
                rampart.issuers.verify(bad)
        with pytest.raises(Denied) as caught:
            rampart.issuers.verify(token_of(key, iss="https://evil.example"))
        assert (caught.value.problem.code, caught.value.reason) == ("token.invalid", "issuer")


# Discovery.


def test_the_metadata_of_rfc_8414_is_found_for_an_issuer_with_a_path(serve: App, net: Net, key: Key) -> None:
    place = "https://other.example/.well-known/oauth-authorization-server/tenant"
    net.documents[place] = {"issuer": OTHER, "jwks_uri": "https://keys.example/set?p=1"}
    net.documents["https://keys.example/set?p=1"] = jwks(key)
    assert code(serve(entry(issuer=OTHER)), token_of(key, iss=OTHER)) == "ok"
    assert net.fetched[0] == "https://other.example/tenant/.well-known/openid-configuration"


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": ISSUER + "/", "jwks_uri": ISSUER + "/keys"},
        {"issuer": "https://evil.example", "jwks_uri": ISSUER + "/keys"},
        {"jwks_uri": ISSUER + "/keys"},
        {"issuer": [ISSUER], "jwks_uri": ISSUER + "/keys"},
        {"issuer": ISSUER},
        {"issuer": ISSUER, "jwks_uri": "http://id.example/keys"},
        {"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"},  # CVE-2026-48522
        {"issuer": ISSUER, "jwks_uri": "https://user:pass@id.example/keys"},
        {"issuer": ISSUER, "jwks_uri": 7},
        [ISSUER],
        b'{"issuer":"https://id.example","issuer":"https://id.example","jwks_uri":"https://id.example/keys"}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_poisoned_metadata_gives_no_keys(serve: App, net: Net, key: Key, metadata: Any) -> None:
    # CVE-2026-104056 (Authlib), RFC 8414 section 3.3.
    net.publish(key)
    net.documents[f"{ISSUER}/.well-known/openid-configuration"] = metadata
    assert code(serve(), token_of(key)) == "auth.unavailable"
    assert f"{ISSUER}/keys" not in net.fetched


def test_an_address_in_metadata_is_bounded_and_never_logged_whole(
    serve: App, net: Net, key: Key, caplog: pytest.LogCaptureFixture
) -> None:
    for length, expected in ((2048, "ok"), (2049, "auth.unavailable")):
        net.publish(key)
        uri = f"{ISSUER}/".ljust(length, "x")
        net.documents[f"{ISSUER}/.well-known/openid-configuration"]["jwks_uri"] = uri
        net.documents[uri] = jwks(key)
        caplog.clear()
        app = serve()
        assert code(app, token_of(key)) == expected
        settle(app)
    until = time.monotonic() + 5
    while "longer than 2048" not in caplog.text and time.monotonic() < until:
        time.sleep(0.002)
    assert "longer than 2048" in caplog.text and "xxx" not in caplog.text


def test_metadata_does_not_lead_production_to_http(serve: App, net: Net, key: Key) -> None:
    local = "http://localhost:8080/realms/x"
    net.publish(key, issuer=local)
    remote = "http://keys.example/keys"
    net.documents[f"{local}/.well-known/openid-configuration"]["jwks_uri"] = remote
    net.documents[remote] = jwks(key)
    for testing in (False, True):
        app = serve(entry(issuer=local, allow_http=True), TESTING=testing)
        assert code(app, token_of(key, iss=local)) == ("ok" if testing else "auth.unavailable")
        assert (remote in net.fetched) is testing


def test_metadata_is_checked_again_at_each_refresh(serve: App, net: Net, key: Key, clock: Clock) -> None:
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    net.documents[f"{ISSUER}/.well-known/openid-configuration"]["issuer"] = "https://evil.example"
    evil = new_key("one")
    net.documents[f"{ISSUER}/keys"] = jwks(evil)
    clock.advance(601)
    assert code(app, token_of(key)) == "ok"
    settle(app)
    assert code(app, token_of(evil)) == "token.invalid"
    assert code(app, token_of(key)) == "ok"
