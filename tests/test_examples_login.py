"""The example ``examples/login_api``: who gets tokens, how often one may try, and what ends them."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask

from flask_rampart import Clock
from flask_rampart.cli import commands
from flask_rampart.testing import RampartClient, client, frozen, mint_token

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from examples.login_api import app as example  # noqa: E402
from examples.login_api.accounts import Accounts  # noqa: E402
from examples.login_api.passwords import Busy, Passwords  # noqa: E402

from .conftest import NOW, bearer  # noqa: E402

EMAIL, PASSWORD, OTHER = "ada@mail.example", "correct horse battery", "staple of the navy"
CHEAP: dict[str, Any] = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}


class Counted(PasswordHasher):
    """Argon2 with little work, that notes what it was asked."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**{**CHEAP, **parameters})
        self.asked: list[str] = []

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.asked.append("hash")
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> Any:
        self.asked.append("verify")
        return super().verify(hash, password)


@pytest.fixture
def hasher() -> Counted:
    return Counted()


@pytest.fixture
def make(tmp_path: Path, hasher: Counted) -> Callable[..., tuple[Flask, Clock]]:
    def made(hasher: PasswordHasher = hasher) -> tuple[Flask, Clock]:
        with frozen(example.rampart, at=NOW) as clock:
            app = example.create_app(
                {
                    "TESTING": True,
                    "LOGIN_SECRET": "0123456789abcdef" * 4,
                    "LOGIN_ACCOUNTS": str(tmp_path / "accounts.sqlite3"),
                    "RAMPART_ACCESS_LOG": "off",
                },
                Passwords(hasher),
            )
        return app, clock

    return made


@pytest.fixture
def app_and_clock(make: Callable[..., tuple[Flask, Clock]]) -> tuple[Flask, Clock]:
    return make()


@pytest.fixture
def app(app_and_clock: tuple[Flask, Clock]) -> Flask:
    return app_and_clock[0]


@pytest.fixture
def clock(app_and_clock: tuple[Flask, Clock]) -> Clock:
    return app_and_clock[1]


@pytest.fixture
def guest(app: Flask) -> RampartClient:
    made = client(app)
    assert made.post("/register", json={"email": EMAIL, "password": PASSWORD}).status_code == 202
    return made


def login(guest: RampartClient, email: str = EMAIL, password: str = PASSWORD, **options: Any) -> Any:
    return guest.post("/login", json={"email": email, "password": password}, **options)


def got(answer: Any) -> tuple[int, str]:
    return answer.status_code, (answer.json or {}).get("code", "")


def hash_of(app: Flask, email: str = EMAIL) -> str:
    account = app.extensions["login_api"].accounts.of(email)
    return account.password


# --- Signing in ---


def test_who_has_registered_signs_in_and_is_known(guest: RampartClient) -> None:
    pair = login(guest)
    assert pair.status_code == 200 and pair.headers["Cache-Control"] == "no-store"
    assert guest.get("/me", headers=bearer(pair.json["access_token"])).json["email"] == EMAIL
    assert got(guest.get("/me")) == (401, "auth.missing")


def test_passwords_are_kept_as_argon2id_alone(app: Flask, guest: RampartClient, tmp_path: Path) -> None:
    assert hash_of(app).startswith("$argon2id$v=19$")
    assert PASSWORD.encode() not in (tmp_path / "accounts.sqlite3").read_bytes()
    assert PasswordHasher().memory_cost == 65536  # what the example uses when nobody says otherwise


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(guest: RampartClient) -> None:
    wrong, unknown = login(guest, password="wrong"), login(guest, "nobody@mail.example")
    assert got(wrong) == (401, "login.failed") and wrong.headers["WWW-Authenticate"] == "Bearer"
    assert wrong.data == unknown.data and wrong.status_code == unknown.status_code


@pytest.mark.parametrize("who", [EMAIL, "nobody@mail.example"])
def test_an_unknown_address_costs_as_much_as_a_known_one(guest: RampartClient, hasher: Counted, who: str) -> None:
    # CVE-2021-29621, CVE-2022-21659: the delay of the answer told who has an account.
    hasher.asked.clear()
    login(guest, who, "wrong")
    assert hasher.asked == ["verify"]


def test_a_hash_that_is_none_is_nobodys_password_and_costs_the_same(
    app: Flask, guest: RampartClient, hasher: Counted, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "accounts.sqlite3") as table:
        table.execute("UPDATE account SET password = 'x'")
    table.close()
    hasher.asked.clear()
    assert got(login(guest)) == (401, "login.failed")
    assert hasher.asked == ["verify", "verify"]  # the first ends at once


def test_nobodys_password_opens_nothing_even_if_it_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda *_: "guessed")
    assert not Passwords(Counted()).is_right(None, "guessed")


def test_registering_an_address_twice_changes_and_tells_nothing(
    app: Flask, guest: RampartClient, hasher: Counted
) -> None:
    kept = hash_of(app)
    hasher.asked.clear()
    again = guest.post("/register", json={"email": EMAIL.upper(), "password": OTHER})
    new = guest.post("/register", json={"email": "bob@mail.example", "password": OTHER})
    assert (again.status_code, again.data) == (new.status_code, new.data)
    assert hasher.asked == ["hash", "hash"]
    assert hash_of(app) == kept and got(login(guest, password=OTHER)) == (401, "login.failed")


def test_an_accent_is_the_same_however_a_keyboard_writes_it(guest: RampartClient) -> None:
    guest.post("/register", json={"email": "bob@mail.example", "password": "cafe\u0301 au lait, s'il vous plait"})
    assert login(guest, "bob@mail.example", "caf\u00e9 au lait, s'il vous plait").status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/register", {"email": EMAIL, "password": "x" * 11}),
        ("/register", {"email": EMAIL, "password": "x" * 257}),
        ("/register", {"email": EMAIL, "password": OTHER, "roles": ["admin"]}),
        ("/login", {"email": EMAIL, "password": ""}),
        ("/login", {"email": [EMAIL], "password": PASSWORD}),
        ("/login", {"email": EMAIL, "password": "x" * 257}),
    ],
)
def test_bodies_have_their_shape_before_anything_is_hashed(
    guest: RampartClient, hasher: Counted, path: str, body: dict[str, Any]
) -> None:
    hasher.asked.clear()
    assert got(guest.post(path, json=body)) == (422, "body.invalid")
    assert hasher.asked == []


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"{", (400, "json.malformed")),
        (b'{"email": "a@b.example", "email": "c@d.example", "password": "x"}', (400, "json.duplicate_key")),
        (b"[]", (422, "body.invalid")),
        (b" " * (16 * 1024 + 1), (413, "body.too_large")),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_by_the_limit_or_after_it(
    guest: RampartClient, raw: bytes, expected: tuple[int, str]
) -> None:
    assert got(guest.post("/login", data=raw, content_type="application/json")) == expected
    assert got(guest.post("/login", data=raw)) in (expected, (415, "body.media_type"))


# --- Trying many ---


def test_one_client_tries_ten_at_once(guest: RampartClient, clock: Clock) -> None:
    tries = [got(login(guest, f"user{n}@mail.example", "wrong")) for n in range(11)]
    assert tries == [(401, "login.failed")] * 10 + [(429, "limit.exceeded")]
    clock.advance(2)
    assert login(guest).status_code == 200


def test_an_account_is_tried_ten_times_at_once_from_everywhere_however_it_is_written(guest: RampartClient) -> None:
    ways = [EMAIL, EMAIL.upper(), " " + EMAIL, "\uff41da@mail.example"]  # the last: a full-width a
    tries = [
        got(login(guest, ways[n % 3 if n < 9 else 3], "wrong", environ_base={"REMOTE_ADDR": f"192.0.2.{n}"}))
        for n in range(10)
    ]
    assert {status for status, _ in tries} <= {401, 422}
    assert got(login(guest, environ_base={"REMOTE_ADDR": "198.51.100.1"})) == (429, "limit.exceeded")
    other = {"REMOTE_ADDR": "198.51.100.2"}
    guest.post("/register", json={"email": "bob@mail.example", "password": OTHER})
    assert login(guest, "bob@mail.example", OTHER, environ_base=other).status_code == 200


def test_too_many_passwords_at_once_are_sent_away(app: Flask, guest: RampartClient) -> None:
    passwords = Passwords(Counted(), at_once=1, wait=0.0)
    app.extensions["login_api"].passwords = passwords
    with passwords._turn():
        answer = login(guest)
    assert got(answer) == (503, "login.busy") and answer.headers["Retry-After"] == "2"
    assert login(guest).status_code == 200  # the turn was given back
    with pytest.raises(Busy), passwords._turn():
        passwords.hash("x")


# --- Staying signed in, and ending it ---


def test_a_login_is_refreshed_and_a_used_token_ends_it(guest: RampartClient, clock: Clock) -> None:
    first = login(guest).json
    second = guest.post("/refresh", json={"refresh_token": first["refresh_token"]}).json
    assert second["refresh_token"] != first["refresh_token"]
    assert guest.get("/me", headers=bearer(second["access_token"])).status_code == 200
    clock.advance(60)
    assert got(guest.post("/refresh", json={"refresh_token": first["refresh_token"]})) == (401, "token.invalid")
    assert got(guest.post("/refresh", json={"refresh_token": second["refresh_token"]})) == (401, "token.invalid")
    assert got(guest.get("/me", headers=bearer(second["access_token"]))) == (401, "token.invalid")


def test_signing_out_ends_this_login_alone(guest: RampartClient) -> None:
    phone, desk = login(guest).json, login(guest).json
    assert guest.post("/logout", headers=bearer(phone["access_token"])).status_code == 204
    assert got(guest.get("/me", headers=bearer(phone["access_token"]))) == (401, "token.invalid")
    assert got(guest.post("/refresh", json={"refresh_token": phone["refresh_token"]})) == (401, "token.invalid")
    assert guest.get("/me", headers=bearer(desk["access_token"])).status_code == 200


def test_signing_out_everywhere_ends_all_and_leaves_others(guest: RampartClient) -> None:
    guest.post("/register", json={"email": "bob@mail.example", "password": OTHER})
    bob = login(guest, "bob@mail.example", OTHER).json
    phone, desk = login(guest).json, login(guest).json
    assert guest.post("/logout-everywhere", headers=bearer(phone["access_token"])).status_code == 204
    for pair in (phone, desk):
        assert got(guest.get("/me", headers=bearer(pair["access_token"]))) == (401, "token.invalid")
        assert got(guest.post("/refresh", json={"refresh_token": pair["refresh_token"]})) == (401, "token.invalid")
    assert guest.get("/me", headers=bearer(bob["access_token"])).status_code == 200
    assert guest.get("/me", headers=bearer(login(guest).json["access_token"])).status_code == 200


def test_a_changed_password_ends_all_logins_and_begins_one(guest: RampartClient) -> None:
    before = login(guest).json
    answer = guest.post("/password", json={"old": PASSWORD, "new": OTHER}, headers=bearer(before["access_token"]))
    assert answer.status_code == 200
    assert got(guest.get("/me", headers=bearer(before["access_token"]))) == (401, "token.invalid")
    assert guest.get("/me", headers=bearer(answer.json["access_token"])).status_code == 200
    assert got(login(guest)) == (401, "login.failed") and login(guest, password=OTHER).status_code == 200


def test_a_token_alone_does_not_change_the_password(app: Flask, guest: RampartClient) -> None:
    kept, token = hash_of(app), login(guest).json["access_token"]
    tries = [
        got(guest.post("/password", json={"old": f"wrong {n}", "new": OTHER}, headers=bearer(token))) for n in range(6)
    ]
    assert tries == [(401, "login.failed")] * 5 + [(429, "limit.exceeded")]
    assert hash_of(app) == kept and guest.get("/me", headers=bearer(token)).status_code == 200


def test_a_token_of_an_account_that_is_gone_changes_nothing(app: Flask, guest: RampartClient, hasher: Counted) -> None:
    hasher.asked.clear()
    gone = guest.with_token(mint_token(app, "nobody"))
    assert got(gone.post("/password", json={"old": PASSWORD, "new": OTHER})) == (401, "login.failed")
    assert hasher.asked == ["verify"]


def test_an_account_is_closed_by_who_signed_in_just_now(app: Flask, guest: RampartClient, clock: Clock) -> None:
    first, other = login(guest).json, login(guest).json
    clock.advance(301)
    later = guest.post("/refresh", json={"refresh_token": first["refresh_token"]}).json
    answer = guest.delete("/account", headers=bearer(later["access_token"]))
    assert (answer.status_code, "max_age" in answer.headers["WWW-Authenticate"]) == (401, True)
    assert app.extensions["login_api"].accounts.of(EMAIL)
    assert guest.delete("/account", headers=bearer(login(guest).json["access_token"])).status_code == 204
    assert got(login(guest)) == (401, "login.failed")
    for pair in (first, later, other):
        assert got(guest.post("/refresh", json={"refresh_token": pair["refresh_token"]})) == (401, "token.invalid")


# --- Hashes of yesterday, and two at once ---


def test_a_hash_of_yesterdays_parameters_is_replaced_at_the_next_login(
    make: Callable[..., tuple[Flask, Clock]], guest: RampartClient, app: Flask
) -> None:
    old = hash_of(app)
    stronger, _ = make(Counted(memory_cost=16))
    assert got(login(client(stronger), password="wrong")) == (401, "login.failed")
    assert hash_of(app) == old
    assert login(client(stronger)).status_code == 200
    assert "$m=16," in hash_of(app) and "$m=8," in old
    new = hash_of(app)
    assert login(client(stronger)).status_code == 200
    assert hash_of(app) == new


def meanwhile(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], object]) -> None:
    """Does something once, just before a method of the accounts is called."""
    real, left = getattr(Accounts, name), [act]

    def first_act(self: Accounts, *arguments: Any) -> Any:
        if left:
            left.pop()()
        return real(self, *arguments)

    monkeypatch.setattr(Accounts, name, first_act)


def test_two_logins_that_hash_anew_at_once_both_succeed(
    make: Callable[..., tuple[Flask, Clock]], guest: RampartClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    stronger, _ = make(Counted(memory_cost=16))
    statuses: list[int] = []
    meanwhile(monkeypatch, "replace_password", lambda: statuses.append(login(client(stronger)).status_code))
    statuses.append(login(client(stronger)).status_code)
    assert statuses == [200, 200]


def test_a_login_with_a_password_that_is_changed_meanwhile_is_refused_and_ended(
    app: Flask, guest: RampartClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = login(guest).json["access_token"]

    def change() -> None:
        body = {"old": PASSWORD, "new": OTHER}
        assert client(app).post("/password", json=body, headers=bearer(token)).status_code == 200

    real = example.begin
    left = [change]

    def late(account: Any) -> Any:
        if left:
            left.pop()()  # after the password was compared, before the login begins
        return real(account)

    monkeypatch.setattr(example, "begin", late)
    assert got(login(guest)) == (401, "login.failed")
    account = app.extensions["login_api"].accounts.of(EMAIL)
    with app.app_context():
        assert len(example.rampart.tokens.logins(account.id)) == 1  # that of whoever changed it


def test_hashing_anew_never_brings_an_old_password_back(
    make: Callable[..., tuple[Flask, Clock]], guest: RampartClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = login(guest).json["access_token"]
    stronger, _ = make(Counted(memory_cost=16))

    def change() -> None:
        body = {"old": PASSWORD, "new": OTHER}
        assert client(app).post("/password", json=body, headers=bearer(token)).status_code == 200

    meanwhile(monkeypatch, "replace_password", change)
    assert got(login(client(stronger))) == (401, "login.failed")
    assert got(login(guest)) == (401, "login.failed") and login(guest, password=OTHER).status_code == 200


def test_one_of_two_who_register_an_address_at_once_has_it(app: Flask) -> None:
    accounts = app.extensions["login_api"].accounts
    added: list[bool] = []
    threads = [threading.Thread(target=lambda: added.append(accounts.add(EMAIL, "h"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(added) == [False] * 7 + [True]


# --- The app ---


@pytest.mark.parametrize("missing", ["LOGIN_SECRET", "LOGIN_ACCOUNTS"])
def test_the_app_does_not_start_without_its_secret_or_accounts(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(missing, raising=False)
    given = {"LOGIN_SECRET": "0123456789abcdef" * 4, "LOGIN_ACCOUNTS": str(tmp_path / "a")}
    with pytest.raises(RuntimeError, match=missing):
        example.create_app({name: value for name, value in given.items() if name != missing})


def test_every_view_says_who_may_call_it(app: Flask) -> None:
    ran = app.test_cli_runner().invoke(commands, ["routes"])
    assert "nothing declared" in ran.output  # Flask's own static files, which are refused
    undeclared = [line for line in ran.output.splitlines() if line.startswith("-")]
    assert all("/static/" in line for line in undeclared)
