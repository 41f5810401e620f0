"""How slow what pages had sent is, of each kind apart and of all together; and what a query must carry to be a guess."""

from __future__ import annotations

import pytest
from flask import Flask, abort, request

from flask_rampart import Clock, Identity, Rampart, require

from .monitoring import App, at, found, monitor_of
from .monitoring import watched as watched

FOREIGN = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty"}
IMAGE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
SIBLING = {**FOREIGN, "Sec-Fetch-Site": "same-site"}


def answered(app: Flask, count: int, headers: dict[str, str], addresses: int = 1) -> int:
    """How many of so many requests, from so many addresses of one network, are answered."""
    client = app.test_client(use_cookies=False)
    return [
        client.get("/pages/1", headers=headers, **at(f"192.0.2.{1 + number % addresses}")).status_code
        for number in range(count)
    ].count(200)


def test_of_a_throttled_address_each_kind_of_page_has_five_at_once(watched: App) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    monitor_of(app).state.mark("throttle", "address", "192.0.2.1", 900.0)
    assert [answered(app, 20, said) for said in ({}, FOREIGN, SIBLING, IMAGE)] == [5, 5, 5, 5]


def test_a_network_whose_pages_are_slowed_has_as_much_by_each_kind_whatever_address_it_comes_from(
    watched: App,
) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    monitor_of(app).state.mark("crossing", "network", "192.0.2.1", 900.0, each=1.0, burst=30)
    assert [answered(app, 100, said, 50) for said in (FOREIGN, SIBLING)] == [30, 30]


def test_all_kinds_of_pages_together_have_twice_what_each_has(watched: App, clock: Clock) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    for kind in ("content", "crossing"):
        monitor_of(app).state.mark(kind, "address", "192.0.2.1", 900.0, each=1.0, burst=30)
    assert sum(answered(app, 40, said) for said in (FOREIGN, SIBLING, IMAGE)) == 60
    clock.advance(10)
    assert sum(answered(app, 40, said) for said in (FOREIGN, SIBLING, IMAGE)) == 20
    # The visitor's own have nothing done to them.
    assert answered(app, 40, {}) == 40


def test_of_a_principal_a_page_beside_the_apps_has_as_much_apart_from_other_sites(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    rampart.scheme("session")(lambda: Identity("ada") if request.cookies.get("session") else None)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")
    app.get("/mine")(require("session")(lambda: "x"))
    state = monitor_of(app).state
    state.mark("crossing", "principal", "ada", 900.0, each=1.0, burst=30)
    client = app.test_client(use_cookies=False)

    def count(said: dict[str, str]) -> int:
        sent = {**said, "Cookie": "session=1"}
        return [client.get("/mine", headers=sent, **at("192.0.2.1")).status_code for _ in range(40)].count(200)

    assert [count(said) for said in (FOREIGN, SIBLING, {})] == [30, 30, 40]


@pytest.mark.parametrize(
    ("query", "is_credential"),
    [
        ("access_token={}", True),
        ("access%5Ftoken={}", True),
        ("x=1&api_key={}", True),
        ("clientSecret={}", True),
        ("keyword={}", False),
        ("q=access_token{}", False),
    ],
)
def test_a_query_whose_name_is_that_of_a_credential_carries_one(watched: App, query: str, is_credential: bool) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    app.get("/asked")(lambda: abort(401))
    client = app.test_client(use_cookies=False)
    for number in range(110):
        client.get(f"/asked?{query.format(number)}", **at("192.0.2.1"))
    assert ("credential_guessing" in [each.rule for each in found(app)]) is is_credential
