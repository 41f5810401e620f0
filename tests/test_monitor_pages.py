"""What pages have a visitor's browser send: no weapon against the visitor, and no place to hide for who only says so.

A page of another site sends forms and beacons as well as images, and opens WebSockets; what users write into pages of
one's own has every reader's browser ask for images. Sources: W3C Fetch Metadata; Fetch, "CORS-safelisted request-header";
RFC 6455 section 10.2; CSP 3 and HTML, which have browsers POST reports and pings.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from flask import Flask, abort, request

from flask_rampart import Clock, Identity, Rampart, require

from .monitoring import App, at, found
from .monitoring import watched as watched

VISITOR = "198.51.100.1"
FOREIGN = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty"}
IMAGE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
HANDSHAKE = {"Origin": "https://evil.example", "Upgrade": "websocket", "Connection": "Upgrade"}


def told(app: Flask) -> list[tuple[str, str, str, bool]]:
    return [(each.rule, each.subject, each.response, each.enforced) for each in found(app)]


def scan(app: Flask, count: int = 60, method: str = "GET", **headers: str) -> list[int]:
    """Paths that are not there, of one visitor: the statuses."""
    client = app.test_client()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return [client.open(f"/none/{n}", method=method, headers=given, **at(VISITOR)).status_code for n in range(count)]


def goes_on(app: Flask) -> bool:
    """Whether the visitor's own requests are answered, as many as there are."""
    client = app.test_client()
    own = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "document"}
    return {client.get("/", headers=own, **at(VISITOR)).status_code for _ in range(20)} == {200}


SENT: list[tuple[str, dict[str, str]]] = [
    ("GET", FOREIGN),
    ("POST", FOREIGN),
    ("POST", {**FOREIGN, "Content-Type": "text/plain;charset=UTF-8", "Origin": "https://evil.example"}),
    ("POST", {**FOREIGN, "Content-Type": "application/x-www-form-urlencoded"}),
    ("POST", {**FOREIGN, "Content-Type": "multipart/form-data; boundary=x"}),
    ("POST", {**FOREIGN, "Content-Type": "text/ping", "Ping-To": "https://evil.example"}),
    ("POST", {**FOREIGN, "Content-Type": "application/csp-report", "Sec-Fetch-Dest": "report"}),
    ("OPTIONS", {**FOREIGN, "Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}),
    # Of one click a page makes as many navigations of frames as it likes.
    ("GET", {**FOREIGN, "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-User": "?1"}),
    ("GET", HANDSHAKE),
    ("GET", {**HANDSHAKE, "Origin": "null"}),
    ("GET", IMAGE),
    # A name beside one's own need not be one's own.
    ("GET", {**FOREIGN, "Sec-Fetch-Site": "same-site", "Origin": "https://alice.localhost"}),
    ("GET", {**IMAGE, "Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "empty"}),
    ("GET", {**IMAGE, "Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}),
    ("GET", {**IMAGE, "Sec-Fetch-Site": "same-site"}),
    # As `<link rel=preload as=fetch>` has it.
    ("GET", {**IMAGE, "Sec-Fetch-Dest": "empty"}),
    ("GET", {**IMAGE, "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"}),
    ("GET", {**IMAGE, "Sec-Fetch-Dest": "empty", "Sec-Purpose": "prefetch"}),
    # As Chromium writes what rules of speculation ask for.
    ("GET", {"Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document", "Sec-Purpose": "prefetch"}),
    ("POST", {**IMAGE, "Sec-Fetch-Dest": "empty", "Content-Type": "text/ping", "Ping-To": "/"}),
    ("POST", {**IMAGE, "Sec-Fetch-Dest": "report", "Content-Type": "application/csp-report"}),
    ("POST", {**IMAGE, "Sec-Fetch-Dest": "report", "Content-Type": "application/reports+json"}),
]


@pytest.mark.parametrize(("method", "sent"), SENT)
def test_no_page_has_a_visitor_banned_by_what_it_can_have_a_browser_send(
    watched: App, method: str, sent: dict[str, str]
) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    statuses = scan(app, method=method, **sent)
    assert told(app) == [("path_scanning", VISITOR, "slow", True)]
    # Thirty at once after the finding: a page may have many parts.
    assert 429 not in statuses
    assert goes_on(app)


@pytest.mark.parametrize(
    ("method", "sent"),
    [
        ("PUT", FOREIGN),
        ("POST", {**FOREIGN, "Content-Type": "application/json"}),
        ("GET", {**HANDSHAKE, "Origin": "http://localhost"}),
        ("GET", {**IMAGE, "Sec-Fetch-Dest": "document"}),
        ("GET", {**IMAGE, "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}),
        ("GET", {"Sec-Fetch-Dest": "image"}),
    ],
)
def test_what_no_page_can_have_a_browser_send_is_the_senders_own(
    watched: App, method: str, sent: dict[str, str]
) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    assert scan(app, method=method, **sent)[-1] == 429
    assert told(app) == [("path_scanning", VISITOR, "ban", True)]


def test_who_writes_that_a_page_had_it_sent_is_as_slow_as_if_it_were_his_own(watched: App, clock: Clock) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    statuses = scan(app, 90, **FOREIGN)
    first = statuses.index(429)
    assert first < 76
    assert set(statuses[first:]) == {429}
    # What he says of the other kind of page is counted apart, and found as well.
    assert 429 in scan(app, 90, **IMAGE)
    assert [each[:3] for each in told(app)] == [("path_scanning", VISITOR, "slow")] * 2
    clock.advance(10)
    assert scan(app, 12, **FOREIGN).count(404) == 10
    # And when he stops saying so, he is banned.
    assert scan(app)[-1] == 429
    assert not goes_on(app)


def test_another_site_does_not_slow_what_stands_in_pages_of_ones_own(watched: App) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    assert scan(app, 90, **FOREIGN)[-1] == 429
    assert 429 not in scan(app, 30, **IMAGE)


def test_malformed_paths_that_a_page_has_sent_ban_nobody(watched: App) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    client = app.test_client()
    for path in ("/a%00", "//a", "/%FF", "/" + "a" * 9000, "/a%0A", "/a%5Cb"):
        client.post(path, headers={**FOREIGN, "Content-Type": "text/plain"}, **at(VISITOR))
    assert told(app) == [("protocol_probing", VISITOR, "slow", True)]
    assert goes_on(app)


MALFORMED = ("/a%00", "//a", "/%FF", "/" + "a" * 9000, "/a%0A", "/a%5Cb")


def by(app: Flask, scheme: str, paths: Iterable[str], method: str = "GET", **headers: str) -> list[int]:
    """What requests that say nothing of how they came to be are answered, by a scheme."""
    client = app.test_client(use_cookies=False)
    base = f"{scheme}://localhost"
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return [client.open(path, method=method, base_url=base, headers=given, **at(VISITOR)).status_code for path in paths]


@pytest.mark.parametrize("mode", ["redirect", "refuse"])
@pytest.mark.parametrize("carried", [{}, {"Cookie": "_ga=1"}, {"X_API_Key": "of the gateway"}], ids=str)
def test_images_by_plain_http_ban_nobody_where_all_is_by_https(
    watched: App, mode: str, carried: dict[str, str]
) -> None:
    # Browsers send no `Sec-Fetch-*` to plain HTTP, and what is malformed is refused before anything is sent on.
    app = watched(RAMPART_MONITOR="enforce", RAMPART_HTTPS=mode, RAMPART_TRUSTED_HOSTS=["localhost"])
    by(app, "http", MALFORMED, **carried)
    assert told(app) == [("protocol_probing", VISITOR, "slow", True)]
    assert by(app, "https", ["/"] * 20) == [200] * 20


@pytest.mark.parametrize(
    ("mode", "scheme", "method"), [("redirect", "https", "GET"), ("redirect", "http", "POST"), ("off", "http", "GET")]
)
def test_programs_that_probe_are_found_where_browsers_would_have_said_whose_doing_it_was(
    watched: App, mode: str, scheme: str, method: str
) -> None:
    app = watched(RAMPART_MONITOR="enforce", RAMPART_HTTPS=mode, RAMPART_TRUSTED_HOSTS=["localhost"])
    by(app, scheme, MALFORMED, method)
    assert told(app) == [("protocol_probing", VISITOR, "ban", True)]
    assert by(app, "https", ["/"]) == [429]


def test_who_probes_by_plain_http_alone_is_slow_there(watched: App, clock: Clock) -> None:
    exempt = {"RAMPART_HTTPS": "refuse", "RAMPART_HTTPS_EXEMPT": ["/pages/1"]}
    app = watched(RAMPART_MONITOR="enforce", RAMPART_TRUSTED_HOSTS=["localhost"], **exempt)
    by(app, "http", MALFORMED)
    assert by(app, "http", ["/pages/1"] * 40).count(200) == 30
    clock.advance(10)
    assert by(app, "http", ["/pages/1"] * 40).count(200) == 10


def test_a_page_whose_origin_is_trusted_is_ones_own(watched: App) -> None:
    trusted = "https://app.example"
    app = watched(RAMPART_MONITOR="enforce", RAMPART_CSRF_TRUSTED_ORIGINS=[trusted])
    fetched = {**FOREIGN, "Sec-Fetch-Mode": "cors"}
    assert scan(app, **{**fetched, "Origin": trusted})[-1] == 429
    assert told(app) == [("path_scanning", VISITOR, "ban", True)]


def test_where_all_pages_may_send_what_they_like_a_preflight_proves_nothing(watched: App) -> None:
    app = watched(RAMPART_MONITOR="enforce", RAMPART_CORS_ORIGINS="*")
    sent = {**FOREIGN, "Origin": "https://evil.example", "Authorization": "Bearer x.y.z"}
    scan(app, method="PUT", **sent)
    assert told(app) == [("path_scanning", VISITOR, "slow", True)]
    assert goes_on(app)


FETCHED = {**FOREIGN, "Sec-Fetch-Mode": "cors", "Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("listed", "origin"),
    [
        ("https://*.pages.example", "https://alice.pages.example"),
        ("https://partner.example", "https://partner.example"),
        (re.compile(r"https://p[0-9]\.example"), "https://p1.example"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_page_that_cors_admits_has_no_visitor_banned_by_what_it_may_send(
    watched: App, listed: Any, origin: str, method: str
) -> None:
    app = watched(RAMPART_MONITOR="enforce", RAMPART_CORS_ORIGINS=[listed])
    scan(app, method=method, **FETCHED, Origin=origin, X_API_Key="x")
    assert told(app) == [("path_scanning", VISITOR, "slow", True)]
    assert goes_on(app)


@pytest.mark.parametrize(
    ("trusted", "origin"),
    [("https://other.example", "https://evil.example"), ("https://app.example", "https://app.example")],
)
def test_a_preflight_proves_something_of_who_is_not_admitted_and_a_trusted_page_is_ones_own(
    watched: App, trusted: str, origin: str
) -> None:
    cors = ["https://app.example", "https://partner.example"]
    app = watched(RAMPART_MONITOR="enforce", RAMPART_CORS_ORIGINS=cors, RAMPART_CSRF_TRUSTED_ORIGINS=trusted)
    scan(app, method="PUT", **FETCHED, Origin=origin)
    assert told(app) == [("path_scanning", VISITOR, "ban", True)]


@pytest.mark.parametrize(
    ("sent", "response"), [({}, "throttle"), ({"Cookie": "session=x"}, "slow"), ({"Sec-Fetch-Mode": "no-cors"}, "slow")]
)
def test_what_a_front_end_does_with_its_token_is_its_users_doing(
    watched: App, token: Callable[..., str], sent: dict[str, str], response: str
) -> None:
    app = watched(RAMPART_MONITOR="enforce", RAMPART_CORS_ORIGINS=["https://app.example"])
    headers = {**FETCHED, "Origin": "https://app.example", "Authorization": f"Bearer {token()}", **sent}
    client = app.test_client(use_cookies=False)
    for number in range(60):
        client.get(f"/docs/{20_000 + number}", headers=headers, **at(VISITOR))
    assert told(app) == [("object_enumeration", "ada", response, True)]
    # A proxy may have made it of a cookie: what was found of that is heeded by such requests alone.
    own = {name: value for name, value in headers.items() if name not in sent} | {"Sec-Fetch-Mode": "cors"}
    statuses = [client.get("/docs/1", headers=own, **at("192.0.2.1")).status_code for _ in range(20)]
    assert (429 in statuses) is (response == "throttle")


# --- Who is logged in ---


def with_orders(watched: App, clock: Clock) -> Flask:
    """An app with orders, to which a cookie is the key."""
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

    return app


@pytest.mark.parametrize("sent", [FOREIGN, IMAGE], ids=["another site", "an image in a post"])
def test_a_page_has_no_principal_throttled_and_who_says_so_himself_is_slow(
    watched: App, clock: Clock, sent: dict[str, str]
) -> None:
    app = with_orders(watched, clock)
    client = app.test_client(use_cookies=False)
    own = {"Cookie": "session=ada"}
    # From ever other addresses: it is the principal who is found.
    statuses = [
        client.get(f"/orders/{number}", headers={**sent, **own}, **at(f"192.0.{number}.1")).status_code
        for number in range(2, 90)
    ]
    assert ("object_enumeration", "ada", "slow", True) in told(app)
    assert statuses[-1] == 429
    assert {client.get("/orders/1", headers=own, **at("192.0.2.1")).status_code for _ in range(20)} == {200}


def test_a_slowed_subject_can_be_lifted(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")
    assert scan(app, 90, **FOREIGN)[-1] == 429
    assert rampart.monitor.lift("address", VISITOR)
    assert scan(app, 1, **FOREIGN) == [404]
    assert not rampart.monitor.lift("address", VISITOR)


# --- Logins ---


def logins(app: Flask, count: int, password: str = "", **headers: str) -> list[int]:
    client = app.test_client()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    path = "/login?account=user-{}" + (f"&password={password}" if password else "")
    return [client.post(path.format(n), headers=given, **at(VISITOR)).status_code for n in range(count)]


def test_logins_that_a_page_of_another_site_has_sent_are_throttled_and_ban_nobody(watched: App, clock: Clock) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    form = {**FOREIGN, "Content-Type": "application/x-www-form-urlencoded"}
    statuses = logins(app, 40, **form)
    # Ten are too many, estimated; then five at once, and one in half a minute.
    assert statuses.count(401) in range(14, 17)
    assert set(statuses[17:]) == {429}
    assert told(app) == [("credential_stuffing", VISITOR, "slow", True)]
    own = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"}
    client = app.test_client()
    assert client.post("/login?account=ada&password=of ada", headers=own, **at(VISITOR)).status_code == 200
    clock.advance(60)
    assert logins(app, 4, **form) == [401, 401, 429, 429]
    assert goes_on(app)


def test_a_wrong_password_of_basic_that_a_page_has_written_into_an_address_throttles_nobody(
    watched: App, clock: Clock
) -> None:
    app = watched(RAMPART_MONITOR="enforce")

    @app.get("/basic")
    def basic() -> str:
        given = request.authorization
        return "in" if given and given.password == "right" else abort(401)

    def tried(password: str, sent: dict[str, str]) -> int:
        word = base64.b64encode(f"ada:{password}".encode()).decode()
        headers = {**sent, "Authorization": f"Basic {word}"}
        return app.test_client().get("/basic", headers=headers, **at(VISITOR)).status_code

    # `location = "https://ada:wrong@shop.example/basic"`: browsers send what stands in the address.
    navigation = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    statuses = [tried(str(number), navigation) for number in range(300)]
    assert told(app) == [("credential_guessing", VISITOR, "slow", True)]
    assert goes_on(app)
    assert tried("right", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "document"}) == 200
    # Who only says so gains thirty guesses at once, and then has one a second as well.
    assert statuses.count(401) <= 100 + 30
    clock.advance(10)
    assert [tried(str(number), navigation) for number in range(15)].count(401) == 10


def test_a_right_password_of_basic_is_no_way_to_hide_a_scan_nor_a_weapon(watched: App) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    scan(app, **{**FOREIGN, "Authorization": "Basic YWRhOnJpZ2h0"})
    assert told(app) == [("path_scanning", VISITOR, "slow", True)]
