"""The life of a token: begun, renewed, copied, revoked; by one process here, by many in test_token_workers."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask

from flask_rampart import Clock, ConfigError, Denied, current_principal, public, require
from flask_rampart.stores import StoreError
from flask_rampart.tokens import TokenPair, Tokens
from flask_rampart.tokens.families import KIND

from .conftest import NOW, SECRET, bearer

App = Callable[..., Flask]


def pem() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def tokens_of(app: Flask) -> Tokens:
    found: Tokens = app.extensions["rampart"].services[Tokens]
    return found


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


@pytest.fixture
def app(make_app: App) -> Flask:
    app = make_app()

    @app.get("/me")
    @require()
    def me() -> dict[str, Any]:
        return {"id": current_principal.id, "claims": current_principal.claims}

    @app.post("/refresh")
    @public
    def refresh() -> Any:
        return tokens_of(app).refresh().response()

    return app


def get(app: Flask, token: str) -> int:
    return app.test_client().get("/me", headers=bearer(token)).status_code


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(Denied) as caught:
        call()
    return caught.value.problem.code, caught.value.reason


# A login.


def test_a_login_is_a_short_and_a_long_token_of_one_family(app: Flask) -> None:
    pair = tokens_of(app).issue_pair("ada", scopes="read write", roles=["staff"], claims={"tier": "gold"})
    access, refresh = claims_of(pair.access), claims_of(pair.refresh)
    assert access["sid"] == refresh["sid"] == pair.family
    assert (access["exp"] - access["iat"], refresh["exp"] - refresh["iat"]) == (900, 30 * 86400)
    assert (access["scope"], access["roles"], access["tier"], access["fresh"]) == (
        "read write",
        ["staff"],
        "gold",
        True,
    )
    assert get(app, pair.access) == 200


def test_the_answer_of_a_token_endpoint_is_that_of_rfc_6749(app: Flask) -> None:
    pair = tokens_of(app).issue_pair("ada", scopes="read")
    with app.test_request_context():
        answer = pair.response()
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.get_json() == {
        "access_token": pair.access,
        "token_type": "Bearer",
        "expires_in": 900,
        "refresh_token": pair.refresh,
        "scope": "read",
    }


def test_a_refresh_token_opens_nothing_and_an_access_token_renews_nothing(app: Flask) -> None:
    # RFC 8725 section 3.11; Flask-JWT-Extended takes any type but "refresh".
    pair = tokens_of(app).issue_pair("ada")
    assert get(app, pair.refresh) == 401
    assert refused(lambda: tokens_of(app).refresh(pair.access)) == ("token.invalid", "type")


def test_a_type_that_would_let_refresh_tokens_in_stops_the_start(make_app: App) -> None:
    for typ in ("refresh+jwt", "application/Refresh+JWT"):
        with pytest.raises(ConfigError, match="refresh tokens"):
            make_app(RAMPART_JWT_TYPES=["JWT", typ])


def test_nothing_of_a_pair_is_in_its_repr(app: Flask) -> None:
    pair = tokens_of(app).issue_pair("ada")
    text = repr(pair)
    assert pair.access not in text
    assert pair.refresh not in text
    assert pair.csrf not in text


# Renewal.


def test_a_refresh_gives_the_next_pair_of_the_login(app: Flask, clock: Clock) -> None:
    first = tokens_of(app).issue_pair("ada", scopes="read", roles=["staff"], claims={"tier": "gold"})
    clock.advance(600)
    second = tokens_of(app).refresh(first.refresh)
    claims = claims_of(second.access)
    assert (claims["scope"], claims["roles"], claims["tier"]) == ("read", ["staff"], "gold")
    assert (second.family, claims["auth_time"], claims["fresh"]) == (first.family, NOW, False)
    assert claims_of(second.refresh)["jti"] != claims_of(first.refresh)["jti"]
    assert get(app, second.access) == 200
    # An access token that was given out before lives on until it expires.
    assert get(app, first.access) == 200


def test_a_lost_answer_is_given_again_within_the_overlap(app: Flask, clock: Clock) -> None:
    first = tokens_of(app).issue_pair("ada")
    second = tokens_of(app).refresh(first.refresh)
    clock.advance(9)
    again = tokens_of(app).refresh(first.refresh)
    assert again.refresh == second.refresh


def test_a_tab_that_is_behind_by_two_gets_the_newest(app: Flask, clock: Clock) -> None:
    first = tokens_of(app).issue_pair("ada")
    second = tokens_of(app).refresh(first.refresh)
    third = tokens_of(app).refresh(second.refresh)
    clock.advance(5)
    assert tokens_of(app).refresh(first.refresh).refresh == third.refresh


def test_a_copy_that_comes_back_after_the_overlap_ends_the_login(app: Flask, clock: Clock) -> None:
    # RFC 9700 section 4.14.2.
    first = tokens_of(app).issue_pair("ada")
    second = tokens_of(app).refresh(first.refresh)
    clock.advance(10)
    assert refused(lambda: tokens_of(app).refresh(first.refresh)) == ("token.invalid", "reused")
    assert refused(lambda: tokens_of(app).refresh(second.refresh)) == ("token.invalid", "revoked")
    assert get(app, second.access) == 401
    assert get(app, first.access) == 401


def test_another_login_of_the_same_subject_lives_on(app: Flask, clock: Clock) -> None:
    one, other = tokens_of(app).issue_pair("ada"), tokens_of(app).issue_pair("ada")
    tokens_of(app).refresh(one.refresh)
    clock.advance(11)
    refused(lambda: tokens_of(app).refresh(one.refresh))
    assert get(app, other.access) == 200
    assert tokens_of(app).refresh(other.refresh).family == other.family


def test_a_refresh_token_ends_at_its_time_and_a_login_at_its_latest(make_app: App, clock: Clock) -> None:
    app = make_app(RAMPART_JWT_REFRESH_LIFETIME=1000, RAMPART_JWT_FAMILY_LIFETIME=1500, RAMPART_JWT_LEEWAY=0)
    tokens = tokens_of(app)
    pair = tokens.issue_pair("ada")
    clock.advance(999)
    second = tokens.refresh(pair.refresh)
    # What is left of the login, and no more, for both.
    assert (second.refresh_expires_in, second.expires_in) == (501, 501)
    clock.advance(500)
    third = tokens.refresh(second.refresh)
    assert third.expires_in == 1
    clock.advance(1)
    assert refused(lambda: tokens.refresh(third.refresh))[0] == "token.expired"
    assert refused(lambda: tokens.verify(third.access))[0] == "token.expired"


def test_sixteen_threads_with_one_refresh_token_make_one_member(app: Flask) -> None:
    tokens = tokens_of(app)
    first = tokens.issue_pair("ada")
    got: list[str] = []
    gate = threading.Barrier(16)

    def refresh() -> None:
        gate.wait()
        got.append(tokens.refresh(first.refresh).refresh)

    threads = [threading.Thread(target=refresh) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 16
    assert len(set(got)) == 1
    assert tokens.refresh(got[0]).family == first.family


def test_callers_at_once_get_one_member_also_without_an_overlap(make_app: App, clock: Clock) -> None:
    # Whoever lost the race came before its end, however long the store then let it wait.
    tokens = tokens_of(make_app(RAMPART_JWT_REFRESH_OVERLAP=0))
    first = tokens.issue_pair("ada")
    store = tokens._families._records.store  # type: ignore[union-attr]
    real = store.replace

    def lose(*args: Any, **more: Any) -> bool:
        store.replace = real
        other.append(tokens.refresh(first.refresh))
        clock.advance(5)
        return real(*args, **more)

    other: list[TokenPair] = []
    store.replace = lose  # type: ignore[method-assign]
    assert tokens.refresh(first.refresh).refresh == other[0].refresh
    assert refused(lambda: tokens.refresh(first.refresh)) == ("token.invalid", "reused")


def test_a_client_that_renews_without_end_is_no_thief(app: Flask) -> None:
    tokens = tokens_of(app)
    first = pair = tokens.issue_pair("ada")
    for _ in range(40):
        pair = tokens.refresh(pair.refresh)
    assert tokens.refresh(first.refresh).refresh == pair.refresh


def test_what_cannot_be_made_costs_nobody_the_login(app: Flask, clock: Clock, monkeypatch: Any) -> None:
    tokens = tokens_of(app)
    pair = tokens.issue_pair("ada")

    def fail(*_: Any) -> str:
        raise ConfigError("no key")

    with monkeypatch.context() as patch:
        patch.setattr(type(tokens._maker), "_sign", fail)
        with pytest.raises(ConfigError):
            tokens.refresh(pair.refresh)
    clock.advance(60)
    assert tokens.refresh(pair.refresh).family == pair.family


def test_a_login_is_over_at_its_latest_whatever_the_leeway(make_app: App, clock: Clock) -> None:
    tokens = tokens_of(make_app(RAMPART_JWT_FAMILY_LIFETIME=1000, RAMPART_JWT_LEEWAY=600))
    pair = tokens.issue_pair("ada")
    clock.advance(999)
    pair = tokens.refresh(pair.refresh)
    assert (pair.expires_in, pair.refresh_expires_in) == (1, 1)
    clock.advance(1)
    assert refused(lambda: tokens.refresh(pair.refresh)) == ("token.expired", "login over")


def test_stricter_settings_reach_logins_that_are_there(make_app: App, clock: Clock) -> None:
    pair = tokens_of(make_app(RAMPART_JWT_LIFETIME=86400)).issue_pair("ada")
    own = tokens_of(make_app()).issue_pair("ada", lifetime=7200)
    clock.advance(600)
    strict = tokens_of(make_app(RAMPART_JWT_LIFETIME=300, RAMPART_JWT_FAMILY_LIFETIME=3600))
    renewed = strict.refresh(pair.refresh)
    assert (renewed.expires_in, renewed.refresh_expires_in) == (300, 3000)
    # What the caller asked for stays, as far as the login goes.
    assert strict.refresh(own.refresh).expires_in == 3000


def test_an_app_says_what_is_different_from_now_on(app: Flask) -> None:
    tokens = tokens_of(app)
    pair = tokens.issue_pair("ada", scopes="read write", roles=["admin"], claims={"tier": "gold"})
    pair = tokens.refresh(pair.refresh, renew=lambda login: {"roles": ["staff"]} if "admin" in login.roles else None)
    claims = claims_of(pair.access)
    assert (claims["roles"], claims["scope"], claims["tier"]) == (["staff"], "read write", "gold")
    pair = tokens.refresh(pair.refresh)
    assert claims_of(pair.access)["roles"] == ["staff"]
    with pytest.raises(ValueError, match="renew"):
        tokens.refresh(pair.refresh, renew=lambda login: {"sub": "eve"})

    def gone(login: Any) -> None:
        raise LookupError(login.subject)

    assert refused(lambda: tokens.refresh(pair.refresh, renew=gone)) == ("token.invalid", "subject is gone")
    assert get(app, pair.access) == 401


def test_a_number_is_a_subject_and_a_none_is_no_token(app: Flask) -> None:
    tokens = tokens_of(app)
    assert tokens.verify(tokens.issue_pair(7).access).id == "7"
    assert [login.subject for login in tokens.logins(7)] == ["7"]
    for wrong in (None, 7, b"x", ["x"]):
        assert refused(lambda wrong=wrong: tokens.refresh(wrong))[0] == "token.invalid"  # type: ignore[misc]
        assert refused(lambda wrong=wrong: tokens.verify(wrong))[0] == "token.invalid"  # type: ignore[misc]


def test_a_refresh_token_is_for_nobody_else(app: Flask) -> None:
    # RFC 8725 section 3.12: others that verify by our keys may not look at the type.
    pair = tokens_of(app).issue_pair("ada")
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(pair.refresh, SECRET, ["HS256"], {"verify_iat": False, "verify_nbf": False}, audience="api")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda token: token[:-2] + ("AA" if token[-2:] != "AA" else "BB"),
        lambda token: "",
        lambda token: "a.b.c",
        lambda token: token + "." + token,
        lambda token: token.replace(".", "..", 1),
    ],
)
def test_a_forged_refresh_token_asks_no_store(app: Flask, wrong: Callable[[str], str], monkeypatch: Any) -> None:
    tokens = tokens_of(app)
    token = wrong(tokens.issue_pair("ada").refresh)
    monkeypatch.setattr(type(tokens._families), "follow", lambda *_: pytest.fail("the store was asked"))
    assert refused(lambda: tokens.refresh(token))[0] == "token.invalid"


def test_a_login_that_the_store_does_not_know_is_not_renewed(app: Flask) -> None:
    tokens = tokens_of(app)
    pair = tokens.issue_pair("ada")
    tokens._families._records.store.delete(KIND, pair.family)  # type: ignore[union-attr]
    assert refused(lambda: tokens.refresh(pair.refresh)) == ("token.invalid", "unknown family")


def test_a_store_that_fails_renews_nothing(app: Flask, monkeypatch: Any) -> None:
    tokens = tokens_of(app)
    pair = tokens.issue_pair("ada")

    def fail(*_: Any) -> None:
        raise StoreError("away")

    monkeypatch.setattr(type(tokens._families._records.store), "get", fail)  # type: ignore[union-attr]
    with pytest.raises(StoreError):
        tokens.refresh(pair.refresh)


# Revocation.


def test_a_revoked_token_is_refused_and_no_other(app: Flask) -> None:
    tokens = tokens_of(app)
    one, other = tokens.issue("ada"), tokens.issue("ada")
    assert get(app, one) == 200
    tokens.revoke(one)
    assert get(app, one) == 401
    assert get(app, other) == 200
    assert refused(lambda: tokens.verify(one)) == ("token.invalid", "revoked")


def test_a_principal_revokes_its_own_token(app: Flask) -> None:
    @app.post("/logout")
    @require()
    def logout() -> str:
        tokens_of(app).revoke(current_principal)
        return "bye"

    token = tokens_of(app).issue("ada")
    assert app.test_client().post("/logout", headers=bearer(token)).status_code == 200
    assert get(app, token) == 401


def test_a_token_without_a_name_can_be_revoked(app: Flask, token: Callable[..., str]) -> None:
    one, other = token(n=1), token(n=2)
    tokens_of(app).revoke(one)
    assert (get(app, one), get(app, other)) == (401, 200)


def test_revoking_a_refresh_token_ends_its_login(app: Flask) -> None:
    # RFC 7009 section 2.1.
    pair = tokens_of(app).issue_pair("ada")
    tokens_of(app).revoke(pair.refresh)
    assert get(app, pair.access) == 401
    assert refused(lambda: tokens_of(app).refresh(pair.refresh)) == ("token.invalid", "revoked")


def test_a_login_ends_by_its_name_for_its_subject(app: Flask) -> None:
    tokens = tokens_of(app)
    pair = tokens.issue_pair("ada")
    with pytest.raises(LookupError):
        tokens.revoke_family(pair.family, subject="bob")
    assert get(app, pair.access) == 200
    tokens.revoke_family(pair.family, subject="ada")
    assert get(app, pair.access) == 401
    for unknown in ("", "0" * 32, None):
        with pytest.raises(LookupError):
            tokens.revoke_family(unknown)  # type: ignore[arg-type]


def test_a_subject_loses_what_it_has_and_may_come_back_at_once(app: Flask, clock: Clock) -> None:
    tokens = tokens_of(app)
    clock.advance(0.4)
    pair, single, bob = tokens.issue_pair("ada"), tokens.issue("ada"), tokens.issue("bob")
    clock.advance(0.1)
    tokens.revoke_subject("ada")
    assert [get(app, token) for token in (pair.access, single, bob)] == [401, 401, 200]
    assert refused(lambda: tokens.refresh(pair.refresh)) == ("token.invalid", "revoked")
    # A password was changed: the new login is of the same second.
    clock.advance(0.1)
    new, single = tokens.issue_pair("ada"), tokens.issue("ada")
    assert [get(app, token) for token in (new.access, single)] == [200, 200]
    newer = tokens.refresh(new.refresh)
    assert get(app, newer.access) == 200
    clock.advance(0.1)
    tokens.revoke_subject("ada")
    assert [get(app, token) for token in (new.access, single, newer.access)] == [401, 401, 401]


def test_a_login_renewed_after_the_moment_is_as_old_as_it_began(app: Flask, clock: Clock) -> None:
    tokens = tokens_of(app)
    pair = tokens.issue_pair("ada")
    clock.advance(100)
    renewed = tokens.refresh(pair.refresh)
    tokens.revoke_subject("ada")
    assert get(app, renewed.access) == 401


def test_no_clock_has_a_say_in_what_a_subject_has(make_app: App) -> None:
    # One host's clock is an hour ahead, or was set back between the two.
    ahead, behind = make_app(), make_app()
    ahead.extensions["rampart"].services[Tokens]._clock = Clock.manual(NOW + 3600)
    tokens = tokens_of(behind)
    old, login = tokens.issue("ada"), tokens.issue_pair("ada")
    for app in (ahead, behind, ahead):
        tokens_of(app).revoke_subject("ada")
        for token in (old, login.access):
            assert refused(lambda token=token: tokens.verify(token)) == ("token.invalid", "revoked")  # type: ignore[misc]
        assert refused(lambda login=login: tokens.refresh(login.refresh)) == ("token.invalid", "revoked")  # type: ignore[misc]
        assert tokens.logins("ada") == []
        # And what comes after is good at once.
        old, login = tokens.issue("ada"), tokens.issue_pair("ada")
        assert tokens.verify(old).id == tokens.verify(login.access).id == "ada"
        login = tokens.refresh(login.refresh)


def test_a_clock_that_ran_ahead_for_a_while_brings_nothing_back(app: Flask, clock: Clock) -> None:
    tokens = tokens_of(app)
    token, login = tokens.issue("ada"), tokens.issue_pair("ada")
    tokens.revoke(token)
    tokens.revoke_family(login.family)
    ahead = Clock.manual(NOW + 2 * 3600)
    revocations = tokens.revocations
    assert revocations is not None
    revocations._clock = ahead
    revocations._tidied = float("-inf")
    tokens.revoke(tokens.issue("bob"))
    assert get(app, token) == get(app, login.access) == 401
    revocations._at = -1  # as a worker that starts anew
    assert get(app, token) == get(app, login.access) == 401


def test_a_changed_issuer_brings_nothing_back(make_app: App) -> None:
    before = tokens_of(make_app(RAMPART_JWT_ISSUER="https://a.example"))
    gone, login = before.issue_pair("ada"), before.issue_pair("bob")
    before.revoke_subject("ada")
    after = tokens_of(make_app())
    for token in (gone.refresh, gone.access):
        with pytest.raises(Denied):
            after.refresh(token)
    assert refused(lambda: after.verify(gone.access)) == ("token.invalid", "revoked")
    after.revoke_family(login.family)
    assert refused(lambda: after.verify(login.access)) == ("token.invalid", "revoked")
    other = before.issue_pair("cy")
    after.revoke_subject("cy")
    assert refused(lambda: after.verify(other.access)) == ("token.invalid", "revoked")


def test_a_revocation_is_kept_until_the_token_has_expired_by_itself(app: Flask, clock: Clock) -> None:
    tokens = tokens_of(app)
    token = tokens.issue("ada", lifetime=3 * 86400)
    tokens.revoke(token)
    revocations = tokens.revocations
    assert revocations is not None
    for moment in (86400, 86400, 86400 + 29):
        clock.advance(moment)
        revocations._tidied = float("-inf")
        tokens.revoke(tokens.issue("bob"))
        assert get(app, token) == 401
    clock.advance(2 * 86400)
    revocations._tidied = float("-inf")
    tokens.revoke(tokens.issue("bob"))
    get(app, token)
    assert len(revocations.listed) <= 3
    assert len(revocations._records.store.scan("revocation")) <= 3


@pytest.mark.parametrize(("before", "after"), [(0, 600), (600, 0)])
def test_a_revocation_outlives_a_changed_leeway(make_app: App, clock: Clock, before: int, after: int) -> None:
    old = tokens_of(make_app(RAMPART_JWT_LEEWAY=before, RAMPART_JWT_LIFETIME=60))
    login = old.issue_pair("ada")
    old.revoke_family(login.family)
    new = make_app(RAMPART_JWT_LEEWAY=after, RAMPART_JWT_LIFETIME=60)
    for _ in range(80):
        clock.advance(10)
        revocations = tokens_of(new).revocations
        assert revocations is not None
        revocations.listed.sweep(clock.now() - 1)
        assert refused(lambda: tokens_of(new).verify(login.access))[0] != "ok"


def test_an_expired_token_needs_no_revocation_and_a_forged_one_gets_none(app: Flask, clock: Clock) -> None:
    tokens = tokens_of(app)
    token, pair = tokens.issue("ada"), tokens.issue_pair("ada")
    tokens.revoke(token)
    tokens.revoke(token)
    clock.advance(31 * 86400)
    tokens.revoke(token)
    tokens.revoke(pair.refresh)
    for text in ("", "a.b.c", token[:-3] + "AAA"):
        assert refused(lambda text=text: tokens.revoke(text))[0] == "token.invalid"  # type: ignore[misc]


def test_the_logins_of_a_subject_are_those_that_can_be_renewed(app: Flask, clock: Clock) -> None:
    tokens = tokens_of(app)
    one, two = tokens.issue_pair("ada", claims={"device": "phone"}), tokens.issue_pair("ada")
    tokens.issue_pair("bob")
    tokens.revoke_family(two.family)
    (login,) = tokens.logins("ada")
    assert (login.family, login.subject, login.claims) == (one.family, "ada", {"device": "phone"})
    clock.advance(1)
    tokens.revoke_subject("ada")
    assert tokens.logins("ada") == []


def test_two_apps_of_one_store_see_each_others_revocations(make_app: App) -> None:
    one, other = make_app(), make_app()
    other.get("/me")(require()(lambda: "ok"))
    token = tokens_of(one).issue("ada")
    assert get(other, token) == 200
    tokens_of(one).revoke(token)
    assert get(other, token) == 401


def test_many_changes_at_once_are_all_read(make_app: App) -> None:
    one, other = make_app(), make_app()
    other.get("/me")(require()(lambda: "ok"))
    revoked = [tokens_of(one).issue("ada") for _ in range(1100)]
    assert get(other, revoked[0]) == 200
    store = tokens_of(one).revocations._records.store  # type: ignore[union-attr]
    for token in revoked[:1100]:
        mark = tokens_of(one)._verifier.verify(token).revocation_mark
        assert store.insert("revocation", mark.hex(), b'{"before":null,"generation":1}', expires=NOW + 5000)
    assert {get(other, token) for token in revoked[::50]} == {401}


def test_without_a_store_nothing_is_revoked_silently(make_app: App) -> None:
    tokens = tokens_of(make_app(RAMPART_JWT_REVOCATION=False))
    token = tokens.issue("ada")
    for call in (
        lambda: tokens.revoke(token),
        lambda: tokens.revoke_subject("ada"),
        lambda: tokens.issue_pair("ada"),
        lambda: tokens.logins("ada"),
    ):
        with pytest.raises(ConfigError, match="RAMPART_JWT_REVOCATION"):
            call()


def test_a_store_that_cannot_be_asked_refuses_every_token(app: Flask, monkeypatch: Any) -> None:
    token = tokens_of(app).issue("ada")

    def fail(*_: Any) -> int:
        raise StoreError("away")

    monkeypatch.setattr(type(tokens_of(app).revocations._records.store), "sequence", fail)  # type: ignore[union-attr]
    assert get(app, token) >= 500


def test_a_family_that_was_half_revoked_is_revoked(app: Flask, monkeypatch: Any) -> None:
    # Whoever was killed after the first write.
    tokens = tokens_of(app)
    pair = tokens.issue_pair("ada")

    def die(*_: Any, **__: Any) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(tokens._families._records.store), "replace", die)  # type: ignore[union-attr]
        with pytest.raises(KeyboardInterrupt):
            tokens.revoke_family(pair.family)
    assert get(app, pair.access) == 401
    assert refused(lambda: tokens.refresh(pair.refresh)) == ("token.invalid", "revoked")
    tokens.revoke_family(pair.family)
    assert refused(lambda: tokens.refresh(pair.refresh)) == ("token.invalid", "revoked")


def test_whoever_adds_to_the_store_also_takes_away(make_app: App, clock: Clock) -> None:
    tokens = tokens_of(make_app(RAMPART_JWT_REFRESH_LIFETIME=600))
    store, revocations = tokens._families._records.store, tokens.revocations  # type: ignore[union-attr]
    assert revocations is not None
    for _ in range(5):
        tokens.issue_pair("ada")
    assert len(store.scan(KIND)) == 5
    clock.advance(2 * 86400)
    revocations._tidied = float("-inf")
    tokens.issue_pair("bob")
    assert len(store.scan(KIND)) == 1


def test_workers_that_live_for_minutes_tidy_up_by_chance(app: Flask, clock: Clock, monkeypatch: Any) -> None:
    tokens = tokens_of(app)
    tokens.revoke(tokens.issue("ada"))
    clock.advance(5 * 86400)
    monkeypatch.setattr("random.random", lambda: 0.0)
    tokens.revoke(tokens.issue("bob"))
    assert len(tokens._families._records.store.scan("revocation")) == 1  # type: ignore[union-attr]


def test_what_is_revoked_while_it_is_renewed_is_not_given_out(app: Flask, monkeypatch: Any) -> None:
    tokens = tokens_of(app)
    pair = tokens.issue_pair("ada")
    store = tokens._families._records.store  # type: ignore[union-attr]
    replace = type(store).replace

    def revoke_then_replace(self: Any, kind: str, *rest: Any, **more: Any) -> bool:
        if kind == KIND:
            monkeypatch.setattr(type(store), "replace", replace)
            tokens.revoke_subject("ada")
        return replace(self, kind, *rest, **more)

    monkeypatch.setattr(type(store), "replace", revoke_then_replace)
    assert refused(lambda: tokens.refresh(pair.refresh)) == ("token.invalid", "revoked")


def test_logging_out_ends_what_the_request_came_with(app: Flask, clock: Clock) -> None:
    tokens = tokens_of(app)

    @app.post("/logout")
    @require()
    def logout() -> str:
        tokens.logout()
        return ""

    @app.post("/leave")
    @public
    def leave() -> str:
        tokens.logout()
        return ""

    client = app.test_client()
    login, single = tokens.issue_pair("ada"), tokens.issue("ada")
    assert client.post("/logout", headers=bearer(login.access)).status_code == 200
    assert client.post("/logout", headers=bearer(single)).status_code == 200
    assert [get(app, token) for token in (login.access, single)] == [401, 401]
    # Also when the access token has expired, and again when it is over.
    login = tokens.issue_pair("ada")
    clock.advance(3600)
    for body in ({"refresh_token": login.refresh}, {"refresh_token": login.refresh}, {"refresh_token": "x"}, {}):
        assert client.post("/leave", json=body).status_code == 200
    assert refused(lambda: tokens.refresh(login.refresh)) == ("token.invalid", "revoked")


# Fresh.


def test_only_what_was_proved_just_now_is_fresh(app: Flask) -> None:
    tokens = tokens_of(app)
    assert "fresh" not in claims_of(tokens.issue("ada"))
    fresh = claims_of(tokens.issue("ada", fresh=True))
    assert (fresh["fresh"], fresh["auth_time"]) == (True, NOW)
    for name in ("fresh", "auth_time", "sid", "csrf", "cnf", "act"):
        with pytest.raises(ValueError, match="not for claims="):
            tokens.issue("ada", claims={name: True})


# Published keys.


def test_public_keys_are_served_and_secrets_never(make_app: App) -> None:
    with pytest.raises(ConfigError, match="no public key"):
        make_app(RAMPART_JWKS_PATH="/keys")
    app = make_app(
        RAMPART_JWKS_PATH="/.well-known/jwks.json",
        RAMPART_DEFAULT="deny",
        RAMPART_JWT_KEYS=[
            {"kid": "2027", "alg": "ES256", "pem": pem()},
            {"kid": "2026", "alg": "ES256", "pem": pem(), "verify_only": True},
        ],
    )
    answer = app.test_client().get("/.well-known/jwks.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/jwk-set+json")
    assert "max-age=300" in answer.headers["Cache-Control"]
    keys = json.loads(answer.data)["keys"]
    assert [key["kid"] for key in keys] == ["2027", "2026"]
    assert not {"d", "p", "q", "k"} & {name for key in keys for name in key}


def test_another_app_verifies_by_the_published_keys(make_app: App) -> None:
    issuer = make_app(
        RAMPART_JWKS_PATH="/keys",
        RAMPART_JWT_KEYS=[{"kid": "k", "alg": "ES256", "pem": pem()}],
        RAMPART_JWT_ISSUER="https://id.example",
        RAMPART_JWT_AUDIENCE="https://api.example",
    )
    jwks = json.loads(issuer.test_client().get("/keys").data)
    api = make_app(
        RAMPART_JWT_KEYS=...,
        RAMPART_ISSUERS=[{"issuer": "https://id.example", "audience": "https://api.example", "jwks": jwks}],
    )
    api.get("/me")(require()(lambda: current_principal.id))
    pair = tokens_of(issuer).issue_pair("ada")
    assert get(api, pair.access) == 200
    assert get(api, pair.refresh) == 401
