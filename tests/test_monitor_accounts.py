"""What an account that is throttled has, in which network: no supply of guesses, and no way to keep its owner out.

Pages, networks that are cheap (IPv6), a table that is full of paces, and the second factor of who is new in a network.
"""

from __future__ import annotations

from typing import Any

import pytest
from flask import abort, request

from flask_rampart import Clock, Rampart

from .monitoring import App, at, monitor_of, rules
from .monitoring import watched as watched

VISITOR = "198.51.100.1"
FRAME = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}


def guess(app: Any, addresses: Any, each: int) -> int:
    """How many guesses at one account are let through to the password."""
    client = app.test_client()
    statuses = [
        client.post("/login?account=ada", **at(address)).status_code for address in addresses for _ in range(each)
    ]
    return statuses.count(401)


def test_the_networks_of_one_prefix_are_no_supply_of_guesses(watched: App, clock: Clock) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    many = [f"2001:db8:7:{number:x}::1" for number in range(100)]
    assert guess(app, many, 2) <= 26
    # One in ten seconds, from whichever of them.
    clock.advance(60)
    assert guess(app, many, 1) == 6


def test_many_networks_have_a_pace_together_and_each_has_a_first_attempt(watched: App, clock: Clock) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    client = app.test_client()
    right = "/login?account=ada&password=of ada"
    assert client.post(right, **at("203.0.113.1")).status_code == 200
    many = [f"45.{number}.0.1" for number in range(60)]
    guess(app, many[:12], 1)
    assert {"password_guessing", "distributed_guessing"} & set(rules(app))
    # The first of each of the others, and twenty beside them.
    assert guess(app, many[12:], 4) in range(48 + 20, 48 + 23)
    clock.advance(10)
    assert guess(app, many[12:], 1) == 10
    # The owner at home, and for the first time elsewhere.
    assert client.post(right, **at("203.0.113.1")).status_code == 200
    assert client.post(right, **at("192.0.2.200")).status_code == 200


def test_what_is_refused_for_all_networks_is_not_taken_from_ones_own(watched: App, clock: Clock) -> None:
    state = monitor_of(watched(RAMPART_MONITOR="enforce")).state
    state.mark("throttle", "account", "ada", 900.0, each=1.0, burst=2)

    def tried(address: str) -> float:
        return state.try_account("ada", address, each=30.0, burst=5)

    assert [tried("45.1.0.1") for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]
    assert [tried("45.2.0.1") for _ in range(4)] == [0.0, 1.0, 1.0, 1.0]
    clock.advance(100)
    assert [tried("45.2.0.1") for _ in range(3)] == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    "sent",
    [
        {**FRAME, "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {**FRAME, "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_no_page_keeps_the_owner_of_one_account_out_at_home_nor_elsewhere(
    watched: App, clock: Clock, sent: dict[str, str]
) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    client = app.test_client(use_cookies=False)
    right, own = "/login?account=ada&password=of ada", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "document"}
    form = {**sent, "Content-Type": "application/x-www-form-urlencoded"}
    assert client.post(right, headers=own, **at(VISITOR)).status_code == 200
    guesses = []
    for _ in range(60):
        guesses += [client.post("/login?account=ada", headers=form, **at(VISITOR)).status_code for _ in range(2)]
        guesses += [client.post("/login?account=ada", headers=form, **at("45.0.0.1")).status_code]
        clock.advance(1)
    assert rules(app) == ["password_guessing"]
    assert guesses[-60:].count(401) <= 6
    # One in five seconds is what home has; two at once, and more, are left.
    assert [client.post(right, headers=own, **at(VISITOR)).status_code for _ in range(15)] == [200] * 15
    assert [client.post(right, headers=own, **at("45.0.0.2")).status_code for _ in range(5)] == [200] * 5


def test_who_says_that_a_page_had_it_sent_has_one_pace_for_all_networks(watched: App, clock: Clock) -> None:
    state = monitor_of(watched(RAMPART_MONITOR="enforce")).state
    state.mark("throttle", "account", "ada", 900.0, each=1.0, burst=20)

    def tried(address: str, source: str = "crossing") -> float:
        return state.try_account("ada", address, each=30.0, burst=5, source=source)

    assert [tried(f"45.{number}.0.1") for number in range(20)].count(0.0) == 5
    assert [tried(f"45.{number}.0.1", "content") for number in range(20)].count(0.0) == 5
    state.know("ada", VISITOR, 900.0)
    assert [tried(VISITOR) for _ in range(20)].count(0.0) == 5
    clock.advance(60)
    assert [tried(f"46.{number}.0.1") for number in range(20)].count(0.0) == 2


@pytest.mark.parametrize(("other", "most"), [("ada", 15 + 6 + 1), ("made-up", 5 + 2)])
def test_ever_other_networks_of_one_prefix_push_out_no_pace(watched: App, clock: Clock, other: str, most: int) -> None:
    # A table for 8 MiB has some 6,000 places for paces.
    state = monitor_of(watched(RAMPART_MONITOR="enforce")).state
    state.mark("throttle", "account", "ada", 900.0, each=1.0, burst=20)
    state.mark("throttle", "account", "made-up", 7200.0, each=1.0, burst=20)

    def tried(account: str, address: str) -> bool:
        return state.try_account(account, address, each=30.0, burst=5, home=(5.0, 20), wide=(10.0, 15)) == 0.0

    admitted = 0
    for second in range(60):
        for number in range(500):
            done = tried(other, f"2001:db8:1:{second * 500 + number:x}::1")
            admitted += done and other == "ada"
        if other != "ada":
            admitted += sum(tried("ada", "2001:db8:2:1::1") for _ in range(10))
        clock.advance(1)
    assert admitted <= most


def test_a_pace_that_was_pushed_out_of_a_full_table_is_no_first_attempt(watched: App, clock: Clock) -> None:
    state = monitor_of(watched(RAMPART_MONITOR="enforce")).state
    state.mark("throttle", "account", "ada", 900.0, each=1.0, burst=20)

    def tried(number: int) -> bool:
        address = f"{45 + number // 65536}.{number // 256 % 256}.{number % 256}.1"
        return state.try_account("ada", address, each=30.0, burst=5) == 0.0

    for number in range(12_000):
        tried(number)
    clock.advance(60)
    # As many as come in turn find that their places are gone.
    assert sum(tried(number) for number in range(2_000)) <= 20 + 200


def test_who_knows_the_password_has_attempts_for_the_second_factor_whoever_guesses(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")

    @app.post("/first")
    def first() -> Any:
        attempt = rampart.monitor.login("ada")
        if request.args.get("password") != "right":
            abort(401)
        attempt.pending()
        return {"next": "code"}

    @app.post("/code")
    def code() -> Any:
        attempt = rampart.monitor.login("ada")
        if request.args["code"] != "123456":
            abort(401)
        attempt.succeeded()
        return {"token": "issued"}

    client = app.test_client()
    campaign = [f"45.{number}.0.1" for number in range(60)]

    def guesses() -> None:
        for address in campaign:
            client.post("/first", **at(address))

    def asked(path: str, address: str = "203.0.113.9") -> int:
        guesses()
        clock.advance(0.1)
        return client.post(path, **at(address)).status_code

    guesses()
    guesses()
    assert asked("/first?password=right") == 200
    # Three of them, and not more by asking for them again.
    assert [asked("/code?code=1") for _ in range(2)] == [401, 401]
    assert asked("/code?code=123456", "192.0.2.77") == 200  # its first
    assert asked("/code?code=1") == 401
    assert asked("/code?code=123456") == 429
    # None for whose password was wrong.
    assert [asked("/first?password=wrong", "198.51.100.9"), asked("/code?code=1", "198.51.100.9")] == [401, 429]
    # The owner, with a slip of the finger.
    codes = ["/code?code=1", "/code?code=123456"]
    assert [asked("/first?password=right", "198.18.0.1"), *(asked(each, "198.18.0.1") for each in codes)] == [
        200,
        401,
        200,
    ]


def test_where_an_account_has_become_known_it_has_what_it_has_at_home(watched: App, clock: Clock) -> None:
    state = monitor_of(watched(RAMPART_MONITOR="enforce")).state
    state.mark("throttle", "account", "ada", 900.0, each=1.0, burst=20)

    def tried() -> bool:
        return state.try_account("ada", VISITOR, each=30.0, burst=5, home=(5.0, 20), wide=(10.0, 15)) == 0.0

    assert [tried() for _ in range(8)].count(True) == 5
    state.know("ada", VISITOR, 900.0)
    assert [tried() for _ in range(30)].count(True) == 20
