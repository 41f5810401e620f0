"""What is revoked stays revoked, and nothing else is: by token, by login, by subject; whatever clocks and settings do."""

# ruff: noqa: F401, F811 - fixtures come from a module

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock, ConfigError, Denied, current_principal, public, require
from flask_rampart.apikeys import ApiKeys
from flask_rampart.stores import StoreError
from flask_rampart.tokens import Tokens
from flask_rampart.tokens.families import KIND

from .conftest import NOW, bearer
from .living import app, get, refused, tokens_of

App = Callable[..., Flask]


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
    for host in (ahead, behind, ahead):
        tokens_of(host).revoke_subject("ada")
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
    revocations._records._tidied = float("-inf")
    tokens.revoke(tokens.issue("bob"))
    assert get(app, token) == get(app, login.access) == 401
    revocations._at = -1  # as a worker that starts anew
    assert get(app, token) == get(app, login.access) == 401


def test_an_api_key_made_by_a_clock_ahead_brings_nothing_back(make_app: App) -> None:
    # What one room sweeps is every room's.
    app, ahead = make_app(), make_app(RAMPART_API_KEYS=True)
    tokens = tokens_of(app)
    token = tokens.issue("ada", lifetime=7200)
    tokens.revoke(token)
    keys = ahead.extensions["rampart"].services[ApiKeys]
    keys._clock = Clock.manual(NOW + 3 * 3600)
    keys._records._tidied = float("-inf")
    with ahead.app_context():
        keys.create("nightly")
    assert refused(lambda: tokens_of(make_app()).verify(token)) == ("token.invalid", "revoked")


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
        revocations._records._tidied = float("-inf")
        tokens.revoke(tokens.issue("bob"))
        assert get(app, token) == 401
    clock.advance(2 * 86400)
    revocations._records._tidied = float("-inf")
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
    revocations = tokens_of(app).revocations
    assert revocations is not None
    revocations._known = (b"", b"another mark", 0.0)
    answer = app.test_client().get("/me", headers=bearer(token))
    assert (answer.status_code, answer.json["code"]) == (503, "store.unavailable")


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
    revocations._records._tidied = float("-inf")
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
