"""Whose place a response takes in a full table: what is one's own, or of who has more than their share, and nobody else's.

Each of these attacks needs no more than one /48 of IPv6, or one account: so whoever has that locks nobody out, and has
no more guesses than others. The table is that of a test, an eighth of the default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock, Rampart
from flask_rampart._native import Monitor as NativeMonitor
from flask_rampart._native import MonitorState, Sight
from flask_rampart.monitor import DETECTORS, Detector
from flask_rampart.monitor.logins import GRANT, GRANTED, HOME
from flask_rampart.monitor.responses import BURST, EACH_LOGIN, HOME_PACE, HOMES_PACE, WIDE_PACE

from .monitoring import App, at, monitor_of, rules
from .monitoring import watched as watched

OFFICE = "198.51.100.1"
HOURS = 7200.0
BOTS = [f"45.{number}.0.1" for number in range(30)]
NEW = [f"198.{18 + number // 100}.{number % 100}.9" for number in range(40)]


@pytest.fixture
def state(clock: Clock) -> MonitorState:
    """What is in force, of a small table; ada is under attack."""
    rules = [detector.native() for detector in DETECTORS]
    made = NativeMonitor(rules, clock, seed=b"16 bytes of tests"[:16]).state
    made.mark("throttle", "account", "ada", HOURS, each=1.0, burst=20)
    return made


def tried(state: MonitorState, account: str, address: str, source: str = "") -> bool:
    paces = {"home": HOME_PACE, "homes": HOMES_PACE, "wide": WIDE_PACE}
    return state.try_account(account, address, each=EACH_LOGIN, burst=BURST, source=source, **paces) == 0.0


def made_up(state: MonitorState, count: int) -> Iterator[tuple[str, str]]:
    """Attempts on so many throttled accounts in turn, from ever other prefixes of one /48."""
    for number in range(count):
        state.mark("throttle", "account", f"made-up-{number}", HOURS, each=1.0, burst=20)
    number = 0
    while True:
        number += 1
        yield f"made-up-{number % count}", f"2001:db8:1:{number & 0xFFFF:x}::1"


def flood(state: MonitorState, attempts: Iterator[tuple[str, str]], count: int) -> None:
    for _ in range(count):
        tried(state, *next(attempts))


def press(state: MonitorState) -> None:
    """Takes what ada has for all networks together."""
    for _ in range(4):
        for address in BOTS:
            tried(state, "ada", address)


def test_made_up_accounts_out_of_one_prefix_take_the_first_attempt_from_no_new_network(state: MonitorState) -> None:
    flood(state, made_up(state, 120), 2000)
    press(state)
    assert not tried(state, "ada", BOTS[0])
    assert [tried(state, "ada", address) for address in NEW] == [True] * len(NEW)


def test_nor_do_those_of_one_wide_network(state: MonitorState) -> None:
    for number in range(120):
        state.mark("throttle", "account", f"made-up-{number}", HOURS, each=1.0, burst=20)
    for number in range(3000):
        tried(state, f"made-up-{number % 120}", f"2001:db8:{number:x}::1")
    press(state)
    assert [tried(state, "ada", address) for address in NEW] == [True] * len(NEW)


@pytest.mark.parametrize("networks", [lambda n: f"{20 + n % 60}.{n // 60}.9.1", lambda n: f"2a{n:02x}:7:9::1"])
@pytest.mark.parametrize(("count", "accounts"), [(8, 200), (24, 60), (24, 200), (100, 200)])
def test_some_networks_with_made_up_accounts_keep_hardly_any_owner_out_on_a_new_network(
    state: MonitorState, networks: Callable[[int], str], count: int, accounts: int
) -> None:
    for number in range(accounts):
        state.mark("throttle", "account", f"made-up-{number}", HOURS, each=1.0, burst=20)
    # Each pair of an account and a network is tried, more of them than there are places.
    for number in range(1600):
        tried(state, f"made-up-{number * 7 % accounts}", networks(number % count))
    for _ in range(6):
        for number in range(count):
            tried(state, "ada", networks(number))
    assert not tried(state, "ada", networks(0))
    owners = [tried(state, "ada", f"{100 + number}.{number}.3.4") for number in range(50)]
    assert owners.count(False) <= 4


def test_out_of_a_wide_network_of_ones_own_nobody_has_more_guesses_by_filling_the_table(
    state: MonitorState, clock: Clock
) -> None:
    for number in range(200):
        state.mark("throttle", "account", f"made-up-{number}", HOURS, each=1.0, burst=20)
    guesses = 0
    for second in range(30):
        for number in range(100):
            address = f"{20 + number % 24}.9.{number}.1"
            tried(state, f"made-up-{(second * 100 + number) * 7 % 200}", address)
            guesses += tried(state, "ada", address)
        clock.advance(1)
    # What all networks have together, the first one of each /24, and one of each /16.
    assert guesses <= 20 + 30 + 100 + 24


def test_one_account_that_is_tried_from_everywhere_leaves_others_their_paces(state: MonitorState) -> None:
    state.mark("throttle", "account", "bob", HOURS, each=1.0, burst=20)
    assert [tried(state, "bob", OFFICE) for _ in range(6)] == [True] * 5 + [False]
    for number in range(3000):
        tried(state, "ada", f"{20 + number % 180}.{number // 180}.1.1")
    assert not tried(state, "bob", OFFICE)


def test_nor_do_they_take_what_was_granted_for_the_second_factor(state: MonitorState) -> None:
    attempts = made_up(state, 120)
    for address in NEW[:8]:
        assert tried(state, "ada", address)
        state.grant("ada", address, GRANTED, GRANT)
    for _ in range(1500):
        account, address = next(attempts)
        tried(state, account, address)
        # Of accounts that are somebody's own the password is right as well.
        state.grant(account, address, GRANTED, GRANT)
    press(state)
    assert [tried(state, "ada", address) for address in NEW[:8]] == [True] * 8


@pytest.mark.parametrize(("address", "source", "most"), [(OFFICE, "", 20 + 24), ("45.1.1.1", "crossing", 5 + 4)])
def test_nor_do_they_give_anybody_more_guesses(
    state: MonitorState, clock: Clock, address: str, source: str, most: int
) -> None:
    state.know("ada", OFFICE, HOME)
    attempts, guesses = made_up(state, 120), 0
    for _ in range(60):
        flood(state, attempts, 25)
        guesses += sum(tried(state, "ada", address, source) for _ in range(5))
        clock.advance(2)
    assert guesses <= most


def test_nor_has_who_makes_them_up_more_guesses_in_their_own_prefix_than_all_networks_together(
    state: MonitorState, clock: Clock
) -> None:
    attempts, guesses = made_up(state, 120), 0
    for second in range(60):
        flood(state, attempts, 25)
        guesses += sum(tried(state, "ada", f"2001:db8:1:{second * 9 + each:x}::1") for each in range(9))
        clock.advance(1)
    assert guesses <= 1 + 20 + 60


@pytest.mark.parametrize(
    "networks", ["2001:db8:1:{:x}::1".format, lambda number: f"{number // 256 + 20}.{number % 256}.1.1"]
)
def test_one_account_that_logs_in_from_ever_other_networks_pushes_out_its_own_homes_alone(
    state: MonitorState, networks: Callable[[int], str]
) -> None:
    owners = [(f"owner-{number}", f"198.{18 + number // 250}.{number % 250}.1") for number in range(500)]
    for owner, address in owners:
        assert state.know(owner, address, HOME)
    kept = sum(state.knows(*owner) for owner in owners)
    many = [networks(number) for number in range(4000)]
    for address in many:
        state.know("mallory", address, HOME)
    assert sum(state.knows(*owner) for owner in owners) == kept == 500
    assert sum(state.knows("mallory", address) for address in many) <= 16
    assert state.knows("mallory", many[-1])


def test_the_oldest_of_its_own_homes_goes_for_a_new_one(state: MonitorState, clock: Clock) -> None:
    networks = [f"203.0.{number}.1" for number in range(20)]
    for address in networks:
        state.know("ada", address, HOME)
        clock.advance(60)
    assert [state.knows("ada", address) for address in networks] == [False] * 4 + [True] * 16


def test_many_accounts_out_of_one_prefix_push_out_no_homes_of_others(state: MonitorState, clock: Clock) -> None:
    owners = [(f"owner-{number}", f"198.{18 + number // 250}.{number % 250}.1") for number in range(300)]
    for owner, address in owners:
        state.know(owner, address, HOME)
    clock.advance(60)
    for number in range(4000):
        state.know(f"made-up-{number}", f"2001:db8:1:{number:x}::1", HOME)
    assert sum(state.knows(*owner) for owner in owners) == 300


def test_all_homes_of_an_account_have_a_pace_together_and_each_its_first_attempt(
    state: MonitorState, clock: Clock
) -> None:
    # Somebody guesses in the network of each of them.
    homes = [f"185.{number}.1.7" for number in range(15)]
    for address in homes:
        state.know("ada", address, HOME)

    def guesses() -> int:
        return sum(tried(state, "ada", f"{address}9") for address in homes for _ in range(5))

    assert guesses() == 15 + 40
    clock.advance(60)
    assert guesses() == 30
    # The last of them has had its first, and waits with the others; one where ada has just become known has its own.
    state.know("ada", "185.200.1.7", HOME)
    assert [tried(state, "ada", address) for address in (homes[-1], "185.200.1.7")] == [False, True]


def test_who_guesses_elsewhere_takes_nothing_of_what_homes_have(state: MonitorState) -> None:
    state.know("ada", OFFICE, HOME)
    flood(state, made_up(state, 120), 1500)
    press(state)
    assert [tried(state, "ada", OFFICE) for _ in range(20)] == [True] * 20


def test_accounts_that_are_made_up_and_throttled_out_of_one_prefix_end_the_throttle_of_no_other(
    clock: Clock,
) -> None:
    rules = [{**detector.native(), "response": detector.response} for detector in DETECTORS]
    monitor = NativeMonitor(rules, clock, seed=b"16 bytes of tests"[:16])
    _throttle(monitor, "ada", ["45.1.1.1"])
    for number in range(600):
        _throttle(monitor, f"made-up-{number}", [f"2001:db8:1:{number:x}::1"])
    assert monitor.state.marked("throttle", "account", "ada") is not None


def _throttle(monitor: NativeMonitor, account: str, addresses: list[str]) -> None:
    for attempt in range(10):
        sight = Sight(signs=["login", "login_failed"], account=account, address=addresses[attempt % len(addresses)])
        for number, kind, subject, *_, whose, is_again in monitor.note(sight):
            if DETECTORS[number].name == "password_guessing" and not is_again:
                monitor.state.mark("throttle", kind, subject, 900.0, whose=whose)


# --- What was lost or lifted ---


def guesses(app: Flask, count: int) -> int:
    """How many of so many guesses at ada out of one network are let through to the password."""
    client = app.test_client()
    statuses = [client.post("/login?account=ada", **at("45.1.2.3")).status_code for _ in range(count)]
    return statuses.count(401)


def test_after_a_lift_it_is_counted_and_told_anew(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")
    assert guesses(app, 40) == 15
    assert rampart.monitor.lift("account", "ada")
    # One slip of the owner's does not bring it back; who goes on has no more of it than before.
    assert guesses(app, 1) == 1
    assert monitor_of(app).state.marked("throttle", "account", "ada") is None
    assert guesses(app, 40) == 9
    assert rules(app) == ["password_guessing"] * 2


def test_a_throttle_that_was_pushed_out_of_a_full_table_is_put_in_force_again_and_not_told_again(
    watched: App, clock: Clock
) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    state = monitor_of(app).state
    assert guesses(app, 40) == 15
    for number in range(3000):
        state.mark("throttle", "account", f"made-up-{number}", 86_400.0)
    assert state.marked("throttle", "account", "ada") is None
    clock.advance(1)
    # One goes through, of which it is seen that nothing is in force. What its network had is used up.
    assert guesses(app, 40) == 1
    assert state.marked("throttle", "account", "ada") is not None
    assert rules(app) == ["password_guessing"]


def test_in_report_mode_nothing_is_put_in_force_again(watched: App, clock: Clock) -> None:
    app = watched()
    for _ in range(4):
        assert guesses(app, 10) == 10
        clock.advance(2)
    assert monitor_of(app).state.marked("throttle", "account", "ada") is None
    assert rules(app) == ["password_guessing"]


def test_ever_other_tokens_of_ones_own_end_the_step_up_of_no_stolen_one(watched: App, clock: Clock) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    state = monitor_of(app).state
    found: list[Any] = []
    rule = Detector("replay", counts=("request",), by="token", measure="switches", window=600).native()
    tokens = NativeMonitor([rule], clock, bytes=8 << 20)

    def stolen(principal: str, token: str, address: str) -> None:
        for source in (address, "203.0.113.1"):
            sight = Sight(status=200, principal=principal, token=token, address=source)
            for each in tokens.note(sight):
                found.append(each)
                state.mark("step_up", each[1], each[2], 86_400.0, whose=each[-2])

    for number in range(30):
        stolen(f"owner-{number}", f"stolen-{number}", f"198.18.{number}.1")
    clock.advance(60)
    for number in range(2000):
        stolen("mallory", f"own-{number}", f"{number % 200 + 20}.{number // 200}.0.1")
    assert len(found) == 2030
    assert sum(state.marked("step_up", "token", f"stolen-{number}") is not None for number in range(30)) == 30
