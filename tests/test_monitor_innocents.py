"""What people do who mean no harm, and looks like an attack all the same: it is none, and an attack beside it still is."""

from __future__ import annotations

from typing import Any

import pytest
from flask import abort, request

from flask_rampart import Clock, Identity, Rampart, require
from flask_rampart.cli import commands

from .monitoring import App, at, found, monitor_of, rules
from .monitoring import watched as watched

OFFICE = "203.0.113.1"
POLL = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}

# --- A 401 of the app's own ---


def refusing(watched: App, clock: Clock) -> Any:
    """A client of an app that answers 401 itself, as Flask-Login does where there is no session."""
    rampart = Rampart(clock=clock)
    rampart.scheme("partner", header="X-Partner")(lambda value: Identity(value))
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")
    app.add_url_rule("/api/session", "session", lambda: abort(401), methods=["GET", "POST"])
    return app.test_client(use_cookies=False)


@pytest.mark.parametrize("sent", [{}, {"Cookie": "session=of-yesterday"}])
def test_tabs_that_poll_after_their_session_is_over_guess_nothing(
    watched: App, clock: Clock, sent: dict[str, str]
) -> None:
    client = refusing(watched, clock)
    for _ in range(150):
        assert client.get("/api/session?since=1", headers={**POLL, **sent}, **at(OFFICE)).status_code == 401
        clock.advance(4)
    assert rules(client.application) == []


@pytest.mark.parametrize(
    "sent",
    [
        {"headers": {"Authorization": "Basic eDp4"}},
        {"headers": {"X-API-Key": "x"}},
        {"headers": {"X-Partner": "x"}},
        {"query_string": "access_token=x"},
        # It may be a login that nobody told of.
        {"method": "POST", "json": {"password": "x"}},
        {"method": "POST", "input_stream": None, "headers": {"Transfer-Encoding": "chunked"}},
    ],
    ids=str,
)
def test_what_the_app_refuses_of_what_was_sent_is_a_guess(watched: App, clock: Clock, sent: dict[str, Any]) -> None:
    client = refusing(watched, clock)
    statuses = [client.open("/api/session", **sent, **at(OFFICE)).status_code for _ in range(120)]
    assert rules(client.application) == ["credential_guessing"]
    assert statuses[-1] == 429


# --- Who shares an address with what a page does ---

FORM = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Content-Type": "application/x-www-form-urlencoded"}
CROSS = {**FORM, "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
SIBLING = {**FORM, "Sec-Fetch-Site": "same-site", "Origin": "https://www.localhost"}


def logs_in(client: Any, account: str, **headers: str) -> int:
    path = f"/login?account={account}&password=of {account}"
    status: int = client.post(path, headers=headers, **at(OFFICE)).status_code
    return status


def test_a_page_in_one_browser_keeps_no_colleague_out_who_logs_in_by_a_sibling_host(watched: App, clock: Clock) -> None:
    client = watched(RAMPART_MONITOR="enforce").test_client(use_cookies=False)
    colleagues = [f"colleague-{number}" for number in range(12)]
    assert [logs_in(client, account, **SIBLING) for account in colleagues] == [200] * 12
    for number in range(14):
        client.post(f"/login?account=made-up-{number}", headers=CROSS, **at(OFFICE))
    assert rules(client.application) == ["credential_stuffing"]
    # And it goes on.
    assert [client.post("/login?account=ada", headers=CROSS, **at(OFFICE)).status_code for _ in range(90)][-1] == 429
    assert [logs_in(client, account, **SIBLING) for account in colleagues] == [200] * 12
    # Who was never known there, and guesses at one who is.
    assert [logs_in(client, f"stranger-{number}", **SIBLING) for number in range(7)] == [200] * 5 + [429] * 2
    assert logs_in(client, "stranger", **{"Sec-Fetch-Site": "same-origin"}) == 200
    guesses = [client.post("/login?account=colleague-1", headers=SIBLING, **at(OFFICE)).status_code for _ in range(6)]
    assert guesses == [401] * 4 + [429] * 2


@pytest.mark.parametrize("site", ["cross-site", "same-origin"])
def test_what_pages_ask_for_takes_nothing_of_what_a_throttle_leaves_the_visitor(
    watched: App, clock: Clock, site: str
) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    monitor_of(app).state.mark("throttle", "address", OFFICE, 900.0, each=1.0, burst=5)
    client = app.test_client(use_cookies=False)
    image = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    own, images = [], []
    for _ in range(20):
        images += [client.get("/pages/1", headers=image, **at(OFFICE)).status_code for _ in range(3)]
        own.append(client.get("/", headers={"Sec-Fetch-Site": "none"}, **at(OFFICE)).status_code)
        clock.advance(1)
    assert own == [200] * 20
    # Who only says so has one a second more for each kind.
    assert images.count(200) == 5 + 19


def test_nor_of_what_it_leaves_who_is_logged_in_by_a_cookie(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    rampart.scheme("session")(lambda: Identity("ada") if "session" in request.cookies else None)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")
    app.get("/orders")(require("session")(lambda: "ok"))
    monitor_of(app).state.mark("throttle", "principal", "ada", 900.0, each=1.0, burst=5)
    client = app.test_client(use_cookies=False)
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    own, images = [], []
    for _ in range(20):
        for _ in range(3):
            images.append(client.get("/orders", headers={**image, "Cookie": "session=x"}).status_code)
        own.append(client.get("/orders", headers={"Sec-Fetch-Site": "none", "Cookie": "session=x"}).status_code)
        clock.advance(1)
    assert own == [200] * 20
    assert images.count(200) == 5 + 19


# --- Who moves ---


def test_a_telephone_that_moves_to_and_fro_with_requests_under_way_keeps_its_token(watched: App, clock: Clock) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    rita = app.test_client().as_user("rita", lifetime=7200)  # type: ignore[attr-defined]
    statuses = []
    for _ in range(6):
        for address in ("198.51.100.7", "100.64.1.7", "198.51.100.7", "100.64.1.7"):
            statuses.append(rita.get("/me", **at(address)).status_code)
            clock.advance(1)
        clock.advance(90)
    assert statuses == [200] * 24
    # Somebody else who goes on with it is found.
    for _ in range(40):
        statuses += [rita.get("/me", **at(address)).status_code for address in ("198.51.100.7", "45.1.2.3")]
        clock.advance(1)
    assert rules(app) == ["token_replay"]
    assert statuses[-1] == 401


# --- Names ---


@pytest.mark.parametrize("spelling", ["Ada@Example.com", " ada@example.com\n", "ADA@EXAMPLE.COM"])
def test_an_account_is_lifted_in_any_spelling_that_is_counted_as_one(watched: App, clock: Clock, spelling: str) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")
    for number in range(12):
        app.test_client().post("/login?account=Ada@example.com", **at(f"45.{number}.0.1"))
    assert rampart.monitor.lift("account", spelling) is True
    assert rampart.monitor.lift("account", "ada@example.com") is False


def test_a_long_account_is_lifted_by_what_is_shown_and_is_no_other_one(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")
    long = "é" * 200
    for number in range(12):
        app.test_client().post(f"/login?account={long}", **at(f"45.{number}.0.1"))
    shown = found(app)[0].subject
    assert len(shown.encode()) <= 128
    assert rampart.monitor.lift("account", f"{long}e") is False
    assert rampart.monitor.lift("account", shown) is True


def test_a_name_that_the_book_has_no_place_for_is_told_to_be_cut(watched: App, clock: Clock) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    monitor = monitor_of(app)
    principal = "urn:" + "p" * 200
    for number in range(60):
        monitor.note(status=404, route="/orders", path=f"/orders/{number}", principal=principal)
    shown = found(app)[0].subject
    assert (len(shown), shown[-4:]) == (128, "p...")
    answer = app.test_cli_runner().invoke(commands, ["monitor", "lift", "principal", shown])
    assert "this name is cut" in answer.output
    assert monitor.lift("principal", principal) is True
