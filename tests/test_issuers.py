"""Tokens of external issuers, through the whole stack, with keys that come from a network made for the test."""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock, Denied, Rampart, current_principal, limit, require
from flask_rampart._native import Key
from flask_rampart.issuers import Issuers, keys

from .conftest import NOW, SECRET, bearer
from .issuing import AUDIENCE, ISSUER, Net, jwk, jwks, new_key, token_of

App = Callable[..., Flask]
OTHER = "https://other.example/tenant/"


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    net = Net()
    monkeypatch.setattr("flask_rampart.issuers.fetch", net)
    return net


@pytest.fixture
def key() -> Key:
    return new_key("one")


def entry(**fields: Any) -> dict[str, Any]:
    return {"issuer": ISSUER, "audience": AUDIENCE, **fields}


@pytest.fixture
def serve(make_app: App) -> App:
    def make(*entries: dict[str, Any], **config: Any) -> Flask:
        app = make_app(RAMPART_ISSUERS=list(entries) or [entry()], **config)
        app.get("/")(require()(lambda: {"id": current_principal.id, "issuer": current_principal.issuer}))
        app.get("/scoped")(require(scopes="read", roles="admin")(lambda: "ok"))
        return app

    return make


def code(app: Flask, token: str, path: str = "/") -> str:
    response = app.test_client().get(path, headers=bearer(token))
    return "ok" if response.status_code == 200 else response.json["code"]


def settle(app: Flask) -> None:
    """Waits until no fetch is under way."""
    for source in app.extensions["rampart"].services[Issuers]._sources.values():
        flight = getattr(source, "_flight", None)
        if flight is not None:
            assert flight.landed.wait(10)


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


# Keys over time.


def test_200_threads_at_the_first_use_make_one_fetch(serve: App, net: Net, key: Key) -> None:
    net.publish(key)
    net.gate.clear()
    app = serve(entry(jwks_uri=f"{ISSUER}/keys"))
    app.test_client().get("/")  # binds the guards
    token = token_of(key)
    with ThreadPoolExecutor(200) as pool:
        answers = [pool.submit(code, app, token) for _ in range(200)]
        while not net.fetched:
            time.sleep(0.001)
        net.gate.set()
        assert {answer.result() for answer in answers} == {"ok"}
    assert net.fetched == [f"{ISSUER}/keys"]


def test_while_the_issuer_is_down_requests_are_refused_at_once(serve: App, net: Net, key: Key, clock: Clock) -> None:
    net.down = True
    app = serve(entry(jwks_uri=f"{ISSUER}/keys"))
    refused = app.test_client().get("/", headers=bearer(token_of(key)))
    # Never 401: nobody has said that the token is wrong.
    assert refused.status_code == 503 and refused.json["code"] == "auth.unavailable"
    assert 1 <= int(refused.headers["Retry-After"]) <= 2
    assert "WWW-Authenticate" not in refused.headers
    begun = time.monotonic()
    for _ in range(20):  # PyJWT 2.15.1: 20 requests are 20 fetches
        assert code(app, token_of(key)) == "auth.unavailable"
    assert len(net.fetched) == 1 and time.monotonic() - begun < 1
    for _ in range(60 * 60):
        clock.advance(1)
        code(app, token_of(key))
    assert 45 <= len(net.fetched) <= 90  # about one a minute at the end
    net.down = False
    net.publish(key)
    clock.advance(120)
    assert code(app, token_of(key)) == "ok"


def test_an_hours_outage_refuses_no_known_token(serve: App, net: Net, key: Key, clock: Clock) -> None:
    # Spring Security #19643, PyJWT 2.15.1: a known key fails with the first failed refresh.
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    net.down = True
    for second in range(0, 3600, 20):
        clock.advance(20)
        assert code(app, token_of(key, jti=str(second))) == "ok"
        settle(app)
    assert len(net.fetched) < 80


def test_stale_keys_have_an_end(serve: App, net: Net, key: Key, clock: Clock) -> None:
    net.publish(key)
    app = serve(entry(max_stale=3600))
    assert code(app, token_of(key)) == "ok"
    net.down = True
    clock.advance(600 + 3599)
    assert code(app, token_of(key)) == "ok"
    settle(app)
    clock.advance(61)
    assert code(app, token_of(key)) == "auth.unavailable"


@pytest.mark.parametrize(
    ("max_age", "early", "late"), [(None, 420, 541), (0, 42, 55), (10, 42, 55), (10**9, 60480, 77761)]
)
def test_keys_are_fetched_anew_before_their_time_ends(
    serve: App, net: Net, key: Key, clock: Clock, max_age: int | None, early: int, late: int
) -> None:
    net.publish(key)
    net.max_age = max_age
    app = serve(entry(jwks_uri=f"{ISSUER}/keys"))
    assert code(app, token_of(key)) == "ok"
    clock.advance(early - 1)
    assert code(app, token_of(key)) == "ok" and len(net.fetched) == 1
    clock.advance(late - early + 1)
    assert code(app, token_of(key)) == "ok"
    settle(app)
    assert len(net.fetched) == 2


def test_no_request_waits_for_a_refresh(serve: App, net: Net, key: Key, clock: Clock) -> None:
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    clock.advance(3600)
    net.gate.clear()
    begun = time.monotonic()
    for _ in range(50):
        assert code(app, token_of(key)) == "ok"
    assert time.monotonic() - begun < 2
    assert len(net.fetched) == 3
    net.gate.set()
    settle(app)


def test_a_new_key_is_taken_at_its_first_token_and_a_withdrawn_one_ends(serve: App, net: Net, key: Key) -> None:
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    new = new_key("two")
    net.publish(new)
    assert code(app, token_of(new)) == "ok"
    assert code(app, token_of(key)) == "token.invalid"


def test_1000_unknown_kids_make_one_fetch_in_a_cool_down(serve: App, net: Net, key: Key, clock: Clock) -> None:
    # PYSEC-2026-177, CVE-2026-48524, jwks-rsa-java #173: a flood locks nobody out.
    net.publish(key)
    app = serve(entry(jwks_uri=f"{ISSUER}/keys"))
    assert code(app, token_of(key)) == "ok"
    forged = [token_of(new_key(f"kid-{n}")) for n in range(20)]
    begun = time.monotonic()
    for n in range(1000):
        assert code(app, forged[n % 20]) == "token.invalid"
        if n % 100 == 0:
            assert code(app, token_of(key, jti=str(n))) == "ok"
    assert len(net.fetched) == 2 and time.monotonic() - begun < 20
    clock.advance(keys.COOL_DOWN)
    for each in forged:
        assert code(app, each) == "token.invalid"
    assert len(net.fetched) == 3


def test_few_requests_wait_for_an_unknown_kid_and_none_for_long(
    serve: App, net: Net, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "WAIT_FOR_KID", 0.3)
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    net.gate.clear()
    forged = token_of(new_key("unknown"))
    with ThreadPoolExecutor(40) as pool:
        begun = time.monotonic()
        waiting = [pool.submit(code, app, forged) for _ in range(40)]
        assert code(app, token_of(key, jti="other")) == "ok"
        answers = [each.result() for each in waiting]
        assert time.monotonic() - begun < 5
    # Those that waited and got no word are told so; the others were refused at once.
    assert answers.count("auth.unavailable") <= keys.MOST_WAITING_FOR_KID
    assert set(answers) <= {"auth.unavailable", "token.invalid"}
    assert len(net.fetched) == 3
    net.gate.set()
    settle(app)


def test_an_unknown_kid_during_an_outage_is_not_called_wrong(serve: App, net: Net, key: Key, clock: Clock) -> None:
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    net.down = True
    new = new_key("two")
    assert code(app, token_of(new)) == "auth.unavailable"
    assert code(app, token_of(key)) == "ok"
    net.down = False
    net.publish(key, new)
    clock.advance(keys.COOL_DOWN)
    assert code(app, token_of(new)) == "ok"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"keys":[]}', b"<html>", b'{"keys":[{"kty":"oct","k":"AAAA"}]}', b"null"]
)
def test_a_set_that_cannot_be_used_replaces_nothing(
    serve: App, net: Net, key: Key, clock: Clock, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    net.documents[f"{ISSUER}/keys"] = body
    clock.advance(3600)
    with caplog.at_level(logging.WARNING):
        assert code(app, token_of(key)) == "ok"
        settle(app)
        time.sleep(0.01)
    assert code(app, token_of(key)) == "ok"
    assert "could not be fetched" in caplog.text


def test_unusable_keys_of_a_set_are_skipped_with_one_warning(
    serve: App, net: Net, key: Key, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    net.publish(key)
    net.documents[f"{ISSUER}/keys"]["keys"] += [{"kty": "AKP", "alg": "ML-DSA-44"}, jwk(key, kid="enc", use="enc")]
    app = serve()
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            assert code(app, token_of(key)) == "ok"
            clock.advance(3600)
            settle(app)
        time.sleep(0.01)
    assert caplog.text.count("skipped") == 1


def test_a_refresh_with_the_same_keys_keeps_the_verifier(serve: App, net: Net, key: Key, clock: Clock) -> None:
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    source = app.extensions["rampart"].services[Issuers]._sources[ISSUER]
    before = source.verifier()
    clock.advance(3600)
    source.verifier()
    settle(app)
    assert source.verifier() is before


def test_a_transport_that_breaks_is_a_failure_and_not_a_crash(serve: App, net: Net, monkeypatch: Any) -> None:
    def broken(url: str, **_: Any) -> Any:
        raise KeyError("hunter2")

    monkeypatch.setattr("flask_rampart.issuers.fetch", broken)
    app = serve()
    refused = app.test_client().get("/", headers=bearer(token_of(new_key("x"))))
    assert refused.status_code == 503 and "hunter2" not in refused.get_data(as_text=True)


def test_without_threads_to_start_requests_are_refused(serve: App, net: Net, key: Key, monkeypatch: Any) -> None:
    net.publish(key)
    app = serve()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("no threads")))
        assert code(app, token_of(key)) == "auth.unavailable"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_inherits_keys_but_no_lock_and_no_fetch(serve: App, net: Net, key: Key, clock: Clock) -> None:
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    source = app.extensions["rampart"].services[Issuers]._sources[ISSUER]
    clock.advance(3600)
    net.gate.clear()
    assert code(app, token_of(key)) == "ok"  # a fetch is under way, in a thread that the child will not have
    with source._lock:
        child = os.fork()
    if child == 0:
        status = 1
        try:
            net.gate.set()
            fine = source._flight is None and code(app, token_of(key)) == "ok"
            rotated = new_key("two")
            net.publish(rotated)
            status = 0 if fine and code(app, token_of(rotated)) == "ok" else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    net.gate.set()
    settle(app)
