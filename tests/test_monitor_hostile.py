"""What a stranger tries against the monitor itself: to fill its table, to hide from it, and to use it against others."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, send_file
from werkzeug.wsgi import FileWrapper

from flask_rampart import Clock, ConfigError, Identity, Rampart, require
from flask_rampart._native import Sight
from flask_rampart.monitor import DETECTORS, sights_of

from .conftest import NOW, SECRET, Named
from .monitoring import App, Reading, at, found, monitor_of, rules
from .monitoring import watched as watched

# --- The table ---


def fill(app: Flask, count: int) -> None:
    """Addresses of as many networks, each of which asks for a part of the paths that would be too many."""
    native = monitor_of(app).native
    for number in range(count):
        mixed = number * 0x9E3779B1 & 0xFFFFFFFF
        address = ".".join(str(mixed >> shift & 255) for shift in (24, 16, 8, 0))
        for path in range(3):
            native.note(Sight(status=404, path=f"/{path}", address=address))


def test_who_finds_no_place_in_a_full_table_is_told_of_together_and_nobody_is_banned_for_it(
    watched: App, clock: Clock
) -> None:
    rampart = Rampart(clock=clock)
    rampart.monitor.rule("path_scanning", threshold=6)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")
    places = monitor_of(app).native.places[0]
    fill(app, 2 * places)
    client = app.test_client()
    for number in range(60):
        client.get(f"/wp/{number}", **at(f"91.{number}.1.1"))
    told = [finding for finding in found(app) if finding.rule == "path_scanning"]
    assert told
    assert {(finding.subject_kind, finding.response, finding.enforced) for finding in told} == {("host", "log", False)}
    assert "the table is full" in told[0].subject
    assert client.get("/", **at("91.59.1.1")).status_code == 200


def test_a_network_that_fills_the_table_hides_no_attack_from_another(watched: App) -> None:
    app = watched()
    native = monitor_of(app).native
    for number in range(2 * native.places[0]):
        for path in range(11):
            native.note(Sight(status=404, path=f"/{path}", address=f"2001:db8:1:{number:x}::1"))
    client = app.test_client()
    for number in range(60):
        client.get(f"/wp/{number}", **at("91.1.1.1"))
    assert ("path_scanning", "91.1.1.1") in [(finding.rule, finding.subject) for finding in found(app)]


# --- Times that there are not ---


@pytest.mark.parametrize("unix", [float("inf"), float("-inf"), float("nan"), -1.0, 1e300])
def test_a_sight_of_no_time_that_there_is_is_refused(unix: float) -> None:
    with pytest.raises(ValueError, match="1970 to 9999"):
        Sight(status=404, unix=unix)


def test_a_record_from_before_1970_is_left_out_of_a_replay() -> None:
    records = [{"time": "1969-12-31T23:59:59.000000Z", "event": "authn_login_fail", "login": False, "subject": "ada"}]
    assert list(sights_of(records)) == []


# --- Hidden among what is right ---


def test_who_does_as_much_that_is_right_is_found_all_the_same(watched: App) -> None:
    app = watched()
    client = app.test_client()
    for number in range(70):
        client.post(f"/login?account=user-{number}", **at("192.0.2.1"))
        for _ in range(2):
            client.post("/login?account=mine&password=of mine", **at("192.0.2.1"))
    assert rules(app) == ["credential_stuffing"]


def test_each_share_of_one_address_or_caller_has_an_end() -> None:
    shares = [detector for detector in DETECTORS if detector.share and not detector.measure.startswith("unusual")]
    assert {detector.by for detector in shares if not detector.alone} == {"host"}


def test_objects_that_a_query_names_are_told_apart(watched: App) -> None:
    app = watched()
    app.get("/order")(lambda: ("", 404))
    client = app.test_client()
    for number in range(60):
        client.get(f"/order?id=1&_={number}", **at("192.0.2.1"))
        client.get(f"/order?id={number}", **at("192.0.2.2"))
    assert [(finding.rule, finding.subject) for finding in found(app)] == [("object_enumeration", "192.0.2.2")]


CROSSING = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
PART = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}


@pytest.mark.parametrize("said", [{}, CROSSING, PART], ids=["nothing", "cross-site", "image"])
def test_who_has_a_stolen_token_hides_what_is_unusual_behind_no_page(
    watched: App, clock: Clock, said: dict[str, str]
) -> None:
    rampart = Rampart(clock=clock)
    rampart.monitor.rule("unusual_volume", learned=8, threshold=50)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")
    client = app.test_client(use_cookies=False)
    with app.app_context():
        sent = {"Authorization": f"Bearer {rampart.tokens.issue('ada', lifetime=86_400 * 30)}"}
    for _ in range(10):
        for _ in range(3):
            assert client.get("/machine", headers=sent, **at("198.51.100.1")).status_code == 200
        clock.advance(3600)
    for _ in range(60):
        client.get("/machine", headers={**sent, **said}, **at("192.0.2.1"))
    assert [(each.rule, each.subject) for each in found(app)] == [("unusual_volume", "ada")]
    # It is told, and no more: nobody has anything done to them for what their browser was made to send.
    assert client.get("/machine", headers=sent, **at("198.51.100.1")).status_code == 200


# --- Tokens ---


def signed(claims: dict[str, Any]) -> str:
    """A token of the app's own key, with these claims alone."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    head = {"alg": "HS256", "kid": "test", "typ": "at+jwt"}
    told = ".".join(part(json.dumps(each).encode()) for each in (head, claims))
    return f"{told}.{part(hmac.new(SECRET.encode(), told.encode(), hashlib.sha256).digest())}"


def carried(app: Flask, clock: Clock, token: str, addresses: list[str]) -> list[int]:
    """What a token is answered that is used every five seconds."""
    client = app.test_client()
    headers = {"Authorization": f"Bearer {token}"}
    statuses = []
    for address in addresses:
        clock.advance(5)
        statuses.append(client.get("/machine", headers=headers, **at(address)).status_code)
    return statuses


def test_a_token_without_a_jti_that_two_networks_use_in_turn_is_found_and_stopped(watched: App, clock: Clock) -> None:
    app = watched(RAMPART_MONITOR="enforce", RAMPART_API_KEYS=False)
    claims = {"sub": "ada", "iat": NOW, "exp": NOW + 7200}
    stolen, other = signed(claims), signed({**claims, "iat": NOW - 1})
    statuses = carried(app, clock, stolen, ["198.51.100.1", "45.1.2.3"] * 10)
    assert (statuses[0], statuses[-1]) == (200, 401)
    (finding,) = found(app)
    assert (finding.rule, finding.subject_kind, finding.subject) == ("token_replay", "token", f"ada of {NOW}")
    assert carried(app, clock, other, ["198.51.100.1"]) == [200]


class Opaque:
    """Whom a token of another issuer names, which tells neither its id nor when it was made."""

    id = "ada"
    kind = "introspected"
    scopes = roles = frozenset[str]()
    claims: dict[str, Any] = {}  # noqa: RUF012
    token_id = None

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer


def test_a_token_of_which_nothing_is_known_is_counted_by_a_keyed_hash_of_it(tmp_path: Path, clock: Clock) -> None:
    app = Named("opaque", instance_path=str(tmp_path))
    app.testing = True
    app.test_client_class = Reading
    app.config.update(
        RAMPART_ACCESS_LOG="off", RAMPART_MONITOR="enforce", RAMPART_STORE=f"sqlite:///{tmp_path}/records.sqlite3"
    )
    rampart = Rampart(clock=clock)
    rampart.scheme("introspected", header="Authorization", challenge="Bearer")(lambda value: Opaque("one"))
    rampart.init_app(app)
    app.get("/machine")(require()(lambda: "x"))
    statuses = carried(app, clock, "opaque-secret", ["198.51.100.1", "45.1.2.3"] * 10)
    assert (statuses[0], statuses[-1]) == (200, 401)
    (finding,) = found(app)
    assert finding.subject.startswith("hash ")
    assert "opaque" not in finding.subject
    assert carried(app, clock, "opaque-other", ["198.51.100.1"]) == [200]
    with app.app_context():
        assert rampart.monitor.lift("token", finding.subject, issuer="one")
    assert carried(app, clock, "opaque-secret", ["198.51.100.1"]) == [200]


def test_what_a_gateway_sends_for_everybody_is_nobodys_token(tmp_path: Path, clock: Clock) -> None:
    app = Named("proxied", instance_path=str(tmp_path))
    app.testing = True
    app.test_client_class = Reading
    app.config.update(
        RAMPART_ACCESS_LOG="off", RAMPART_MONITOR="enforce", RAMPART_STORE=f"sqlite:///{tmp_path}/records.sqlite3"
    )
    rampart = Rampart(clock=clock)
    rampart.scheme("proxied", header="X-User")(Identity)
    rampart.init_app(app)
    app.get("/machine")(require()(lambda: "x"))
    client = app.test_client()
    for number in range(12):
        headers = {"X-User": f"user-{number}", "Authorization": "Bearer of-the-gateway"}
        assert client.get("/machine", headers=headers, **at(f"45.{number}.1.1")).status_code == 200
    assert rules(app) == []


def test_one_credential_of_two_principals_is_two_tokens(watched: App) -> None:
    state = monitor_of(watched()).state
    one, other = Opaque("one"), Opaque("one")
    assert state.token_of(one, "Bearer x") == state.token_of(other, "bearer  x ")
    other.id = "bob"
    assert state.token_of(one, "Bearer x") != state.token_of(other, "Bearer x")
    assert state.token_of(one, "") is None


def test_two_issuers_tokens_of_one_jti_are_two(watched: App) -> None:
    app = watched()
    native = monitor_of(app).native
    for number in range(40):
        for issuer, address in (("one", "198.51.100.1"), ("other", "45.1.2.3")):
            sight = Sight(status=200, route="/", address=address, principal="ada", issuer=issuer, token="1")
            assert native.note(sight) == [], number


# --- Accounts ---


def test_who_shares_a_network_with_the_owner_has_a_pace_as_well(watched: App, clock: Clock) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    client = app.test_client()
    assert client.post("/login?account=ada&password=of ada", **at("198.51.100.1")).status_code == 200
    for number in range(20):
        client.post("/login?account=ada", **at(f"45.{number}.0.1"))
    guesses = [client.post("/login?account=ada", **at("198.51.100.66")) for _ in range(30)]
    assert [answer.status_code for answer in guesses] == [401] * 20 + [429] * 10
    assert guesses[-1].headers["Retry-After"] == "5"
    clock.advance(5)
    assert client.post("/login?account=ada&password=of ada", **at("198.51.100.1")).status_code == 200


def test_made_up_accounts_and_networks_push_out_nothing_that_is_in_force_on_others(watched: App) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    state = monitor_of(app).state
    state.mark("throttle", "account", "ada", 900.0)
    state.mark("step_up", "principal", "ada", 900.0)
    for number in range(3000):
        state.try_account("ada", f"2001:db8:{number:x}::1", each=30.0, burst=5)
        state.know(f"made-up-{number}", "192.0.2.1", 86_400.0)
    assert state.marked("throttle", "account", "ada") is not None
    for number in range(3000):
        state.mark("throttle", "account", f"made-up-{number}", 86_400.0)
    assert state.marked("step_up", "principal", "ada") is not None


# --- Bytes ---


def test_a_file_that_the_server_sends_itself_has_the_size_that_it_was_said_to_have(watched: App) -> None:
    app = watched()
    monitor_of(app).change("exfiltration", {"threshold": 100_000, "by": "caller"})

    @app.get("/file")
    def file() -> Response:
        return send_file(io.BytesIO(b"x" * 50_000), mimetype="text/plain")

    client = app.test_client()
    served = at("192.0.2.1")
    served["environ_base"]["wsgi.file_wrapper"] = FileWrapper
    for _ in range(5):
        client.head("/file", **served)
    assert rules(app) == []
    for _ in range(3):
        assert len(client.get("/file", **served).data) == 50_000
    (finding,) = found(app)
    assert finding.rule == "exfiltration"
    assert 100_000 <= finding.count < 151_000


# --- Time ---


def test_what_waited_is_told_as_of_when_it_was_and_not_answered_when_that_is_over(make_app: App, clock: Clock) -> None:
    app = make_app(RAMPART_MONITOR="enforce")
    monitor_of(app).change("path_scanning", {"threshold": 5})
    client = app.test_client()
    for number in range(9):
        client.get(f"/wp/{number}", buffered=True, **at("192.0.2.1"))
    assert monitor_of(app).native.waiting == 9
    clock.advance(86_400)
    assert client.get("/", buffered=True, **at("192.0.2.1")).status_code == 404
    (finding,) = found(app)
    assert (finding.rule, finding.time, finding.enforced) == ("path_scanning", NOW, False)
    assert client.get("/", buffered=True, **at("192.0.2.1")).status_code == 404


def test_what_waited_a_while_is_answered_for_the_rest_of_the_time(make_app: App, clock: Clock) -> None:
    app = make_app(RAMPART_MONITOR="enforce")
    monitor_of(app).change("path_scanning", {"threshold": 5})
    client = app.test_client()
    for number in range(9):
        client.get(f"/wp/{number}", buffered=True, **at("192.0.2.1"))
    clock.advance(600)
    client.get("/", buffered=True, **at("192.0.2.1"))
    answer = client.get("/", buffered=True, **at("192.0.2.1"))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "300")


# --- The start ---


def test_a_table_that_cannot_be_had_stops_the_start_where_it_is_to_respond(watched: App, tmp_path: Path) -> None:
    open_to_others = tmp_path / "open"
    open_to_others.mkdir()
    open_to_others.chmod(0o777)
    store = f"shm://{open_to_others}"
    with pytest.raises(ConfigError, match=r"RAMPART_MONITOR: .*chmod 0700"):
        watched(RAMPART_MONITOR="enforce", RAMPART_LIMIT_STORE=store)
    watched(RAMPART_MONITOR="report", RAMPART_LIMIT_STORE=store)


def test_detectors_may_be_changed_after_the_table_was_looked_at(watched: App, tmp_path: Path, clock: Clock) -> None:
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce", RAMPART_LIMIT_STORE=f"shm://{own}")
    rampart.monitor.rule("path_scanning", threshold=5)
    client = app.test_client()
    for number in range(9):
        client.get(f"/wp/{number}", **at("192.0.2.1"))
    assert rules(app) == ["path_scanning"]
