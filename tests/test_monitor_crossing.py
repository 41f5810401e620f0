"""What pages of other sites have a visitor's browser send is no doing of the visitor's, and nothing else can pass for it.

An attacker writes ``Sec-Fetch-Site: cross-site`` into his requests himself. It hides none that has something which no
page can have a browser send (WHATWG Fetch, "CORS-unsafe request-header names"; W3C Fetch Metadata section 2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
from flask import Flask, abort, request

from flask_rampart import Clock, Identity, Rampart, require
from flask_rampart._native import Monitor as NativeMonitor
from flask_rampart._native import Sight
from flask_rampart.compat import jwt_extended as face

from .conftest import NOW, SECRET
from .monitoring import App, at, found, monitor_of
from .monitoring import watched as watched

Sign = Callable[..., str]
ADA: dict[str, Any] = {"status": 200, "route": "/", "principal": "ada"}
CROSSING = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}


#: As a browser writes it that knows no `Sec-Fetch-*`, and a program that wants to look like one.
BARE = {"Origin": "https://evil.example"}


def enumerate_orders(
    app: Flask, query: str = "", sent: dict[str, str] = BARE, **headers: str
) -> list[tuple[str, str, bool]]:
    """Asks for orders that are not there, as a page of another site would: what is found, of whom, and if as their own."""
    client = app.test_client(use_cookies=False)  # it would send those of its own alone
    for number in range(60):
        client.get(f"/orders/{number}{query}", headers={**sent, **headers}, **at("192.0.2.1"))
    return [(each.rule, each.subject, each.response != "slow") for each in found(app)]


def order(number: int) -> str:
    abort(404)


def test_pages_of_other_sites_cannot_have_a_visitor_banned(watched: App) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    client = app.test_client()
    for number in range(60):
        client.get(f"/none/{number}", headers=CROSSING, **at("198.51.100.1"))
    assert client.get("/", **at("198.51.100.1")).status_code == 200
    (finding,) = found(app)
    assert (finding.rule, finding.subject, finding.response, finding.enforced) == (
        "path_scanning",
        "198.51.100.1",
        "slow",
        True,
    )


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}],
)
def test_what_somebody_asks_for_themselves_counts(watched: App, headers: dict[str, str]) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    client = app.test_client()
    statuses = [client.get(f"/none/{n}", headers=headers, **at("192.0.2.1")).status_code for n in range(60)]
    assert statuses[-1] == 429
    assert [(finding.rule, finding.enforced) for finding in found(app)] == [("path_scanning", True)]


def test_logins_that_say_that_another_site_had_them_made_are_found_and_stopped(watched: App) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    client = app.test_client()
    statuses = [
        client.post(f"/login?account=user-{number}", headers=CROSSING, **at("192.0.2.1")).status_code
        for number in range(30)
    ]
    assert (statuses[0], statuses[-1]) == (401, 429)
    assert [(finding.rule, finding.response) for finding in found(app)] == [("credential_stuffing", "slow")]


@pytest.mark.parametrize(
    ("sent", "response"),
    [
        ({"Authorization": "Bearer x.{}.y"}, "ban"),
        ({"X-API-Key": "x{}"}, "ban"),
        ({"X-Partner": "x{}"}, "ban"),
        ({"X-Other": "x{}"}, "slow"),
        ({"Authorization": "Basic eDp4"}, "slow"),
        ({}, "slow"),
    ],
)
def test_what_no_page_can_send_is_no_other_sites_doing(
    watched: App, clock: Clock, sent: dict[str, str], response: str
) -> None:
    rampart = Rampart(clock=clock)
    rampart.scheme("partner", header="X-Partner")(lambda value: None)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")
    client = app.test_client()
    for number in range(60):
        headers = {**BARE, **{name: value.format(number) for name, value in sent.items()}}
        client.get(f"/none/{number}", headers=headers, **at("192.0.2.1"))
    assert [(finding.rule, finding.response) for finding in found(app)] == [("path_scanning", response)]


IMAGE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}


@pytest.mark.parametrize("field", ["Authorization", "X-API-Key", "X-Partner"])
@pytest.mark.parametrize(
    "sent",
    [
        CROSSING,
        {**CROSSING, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        # A simple request: the page may not read what comes, and has it sent all the same.
        {**CROSSING, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Origin": "https://evil.example"},
        IMAGE,
        {**IMAGE, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
)
def test_a_field_that_a_gateway_adds_makes_no_image_the_visitors_own_doing(
    watched: App, clock: Clock, field: str, sent: dict[str, str]
) -> None:
    rampart = Rampart(clock=clock)
    rampart.scheme("partner", header="X-Partner")(Identity)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")
    client = app.test_client(use_cookies=False)
    for number in range(60):
        client.get(f"/none/{number}", headers={**sent, field: "Bearer of-the-gateway"}, **at("192.0.2.1"))
    assert [(finding.rule, finding.response) for finding in found(app)] == [("path_scanning", "slow")]


def test_what_a_gateway_names_the_visitor_by_is_no_weapon_against_them(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    rampart.scheme("partner", header="X-Partner")(Identity)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")
    app.get("/orders/<int:number>")(require("partner")(order))
    assert enumerate_orders(app, sent=CROSSING, **{"X-Partner": "ada"}) == [("object_enumeration", "ada", False)]


def test_pages_of_other_sites_cannot_have_whose_cookie_the_browser_sends_along_throttled(
    watched: App, clock: Clock
) -> None:
    rampart = Rampart(clock=clock)

    @rampart.scheme("session")
    def session() -> Identity | None:
        name = request.cookies.get("session")
        return Identity(name) if name else None

    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")

    @app.get("/orders/<int:number>")
    @require("session")
    def order(number: int) -> str:
        return "x" if number == 1 else abort(404)

    client = app.test_client(use_cookies=False)  # it would send those of its own alone
    own = {"Cookie": "session=ada"}
    for number in range(2, 60):
        client.get(f"/orders/{number}", headers={**CROSSING, **own}, **at("192.0.2.1"))
    assert client.get("/orders/1", headers=own, **at("192.0.2.1")).status_code == 200
    told = [(each.rule, each.subject, each.response, each.enforced) for each in found(app)]
    assert told == [("object_enumeration", "ada", "slow", True)]
    # What they do themselves counts.
    for number in range(60, 120):
        client.get(f"/orders/{number}", headers=own, **at("192.0.2.1"))
    assert found(app)[-1].response == "throttle"


def test_what_pages_of_other_sites_send_is_nobodys_habit() -> None:
    rule = {"name": "more", "counts": ["request"], "by": "principal", "measure": "unusual_requests"}
    clock = Clock.manual(NOW)
    native = NativeMonitor([{**rule, "threshold": 10, "window": 3600, "learned": 2}], clock)
    for _ in range(4):
        for _ in range(5):
            native.note(Sight(status=200, route="/", principal="ada"))
        clock.advance(3600)
    # It is compared with what the principal does, and told as what it is.
    (found,) = [each for _ in range(90) for each in native.note(Sight(**ADA, source="crossing"))]
    assert (found[1], found[2], found[9]) == ("principal", "ada", "crossing")
    assert any(native.note(Sight(**ADA)) for _ in range(90))


@pytest.mark.parametrize("source", ["content", "crossing"])
def test_what_pages_have_sent_all_along_is_not_unusual(source: Literal["content", "crossing"]) -> None:
    rule = {"name": "more", "counts": ["request"], "by": "principal", "measure": "unusual_requests"}
    clock = Clock.manual(NOW)
    native = NativeMonitor([{**rule, "threshold": 10, "window": 3600, "learned": 2}], clock)
    for _ in range(9):
        found = [each for _ in range(5) for each in native.note(Sight(**ADA))]
        found += [each for _ in range(90) for each in native.note(Sight(**ADA, source=source))]
        clock.advance(3600)
    assert not found
    # What the principal does then for the first time is, however much of it pages had sent.
    assert any(native.note(Sight(**ADA)) for _ in range(90))


def test_a_form_of_another_site_is_what_its_images_are(watched: App) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    client = app.test_client()
    for number in range(60):
        client.post(f"/none/{number}", headers=CROSSING, **at("192.0.2.1"))
    assert [(finding.rule, finding.response) for finding in found(app)] == [("path_scanning", "slow")]


# --- What proves who it is ---


def test_a_principal_whom_a_field_of_the_apps_own_names_hides_behind_no_other_site(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    rampart.scheme("partner", header="X-Partner")(Identity)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")
    app.get("/orders/<int:number>")(require("partner")(order))
    assert enumerate_orders(app, **{"X-Partner": "ada"}) == [("object_enumeration", "ada", True)]
    answer = app.test_client().get("/orders/1", headers={"X-Partner": "ada"}, **at("192.0.2.2"))
    assert answer.status_code == 429


def test_a_field_of_a_scheme_that_is_added_after_the_monitor_has_begun_counts_too(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")
    assert monitor_of(app).native.waiting == 0
    rampart.scheme("partner", header="X-Partner")(Identity)
    app.get("/orders/<int:number>")(require("partner")(order))
    assert enumerate_orders(app, **{"X-Partner": "ada"}) == [("object_enumeration", "ada", True)]


@pytest.mark.parametrize("word", ["Signature", "Basic"])
def test_of_authorization_only_what_a_browser_adds_is_another_sites_doing(
    watched: App, clock: Clock, word: str
) -> None:
    rampart = Rampart(clock=clock)
    rampart.scheme("own", header="Authorization", challenge=word)(lambda value: Identity("ada"))
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")
    app.get("/orders/<int:number>")(require("own")(order))
    told = enumerate_orders(app, Authorization=f"{word} YWRhOng=")
    assert told == [("object_enumeration", "ada", word == "Signature")]


@pytest.mark.parametrize(
    ("place", "sent", "is_answered"),
    [
        ("header", BARE, True),
        # A gateway may have made it of a cookie.
        ("header", CROSSING, False),
        ("query", CROSSING, True),
        ("cookie", BARE, False),
        ("cookie", CROSSING, False),
    ],
)
def test_a_token_is_another_sites_doing_in_a_cookie_and_in_what_may_have_been_one(
    watched: App, token: Sign, place: str, sent: dict[str, str], is_answered: bool
) -> None:
    app = watched(RAMPART_MONITOR="enforce", RAMPART_JWT_LOCATIONS=[place])
    app.get("/orders/<int:number>")(require("jwt")(order))
    signed = token(jti="one")
    found_at = {"header": {"Authorization": f"Bearer {signed}"}, "cookie": {"Cookie": f"__Host-access_token={signed}"}}
    told = enumerate_orders(app, f"?access_token={signed}" if place == "query" else "", sent, **found_at.get(place, {}))
    assert told == [("object_enumeration", "ada", is_answered)]


def test_the_token_of_a_page_in_the_query_has_no_visitor_banned(watched: App, token: Sign, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    rampart.monitor.rule("many", counts=("request",), by="address", threshold=20, window="1 minute", response="ban")
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce", RAMPART_JWT_LOCATIONS=["query"])
    app.get("/orders/<int:number>")(require("jwt")(lambda number: "x"))
    # A page writes its own token: its principal has sent it, and whose browser it is has not.
    assert enumerate_orders(app, f"?access_token={token()}") == [("many", "192.0.2.1", False)]
    assert app.test_client().get("/", **at("192.0.2.1")).status_code == 200


@pytest.mark.parametrize(
    ("place", "sent", "is_answered"),
    [
        ("headers", BARE, True),
        ("headers", CROSSING, False),
        ("query_string", CROSSING, True),
        ("cookies", BARE, False),
    ],
)
def test_so_it_is_where_the_face_of_flask_jwt_extended_finds_it(
    watched: App, place: str, sent: dict[str, str], is_answered: bool
) -> None:
    app = watched(
        RAMPART_MONITOR="enforce",
        RAMPART_JWT_REQUIRE_EXP=False,
        JWT_SECRET_KEY=SECRET,
        JWT_TOKEN_LOCATION=[place],
        JWT_HEADER_NAME="X-Token",
    )
    face.JWTManager(app)
    app.get("/orders/<int:number>")(face.jwt_required()(order))
    with app.app_context():
        signed = face.create_access_token("ada")
    found_at = {"headers": {"X-Token": f"Bearer {signed}"}, "cookies": {"Cookie": f"access_token_cookie={signed}"}}
    told = enumerate_orders(app, f"?jwt={signed}" if place == "query_string" else "", sent, **found_at.get(place, {}))
    assert told == [("object_enumeration", "ada", is_answered)]
