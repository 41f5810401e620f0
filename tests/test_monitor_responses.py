"""What is done in enforce mode: and that nobody can have it done to somebody else."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock, Rampart, signals
from flask_rampart.monitor import DETECTORS

from .monitoring import App, at, found, monitor_of, rules
from .monitoring import watched as watched


def enforcing(watched: App, **config: Any) -> Flask:
    return watched(RAMPART_MONITOR="enforce", **config)


def stuff(app: Flask, count: int = 12, address: str = "192.0.2.1", account: str = "user-{}") -> list[int]:
    client = app.test_client()
    path = "/login?account="
    return [client.post(path + account.format(n), **at(address)).status_code for n in range(count)]


def code(answer: Any) -> str:
    return str(answer.json["code"]) if answer.is_json and "code" in answer.json else "ok"


# --- Bans ---


def test_an_address_that_attacks_is_banned_for_as_long_as_the_rule_says(watched: App, clock: Clock) -> None:
    app = enforcing(watched)
    statuses = stuff(app, 14)
    # Different accounts are estimated: one more or less.
    assert statuses[:9] == [401] * 9
    assert statuses[-2:] == [429] * 2
    client = app.test_client()
    answer = client.get("/", **at("192.0.2.1"))
    assert (code(answer), answer.headers["Retry-After"]) == ("limit.banned", "900")
    assert client.get("/", **at("192.0.2.2")).status_code == 200
    (finding,) = found(app)
    assert (finding.response, finding.enforced) == ("ban", True)
    clock.advance(901)
    assert client.get("/", **at("192.0.2.1")).status_code == 200


@pytest.mark.parametrize(
    "config", [{"RAMPART_BAN_EXEMPT": ["192.0.2.0/24"]}, {"RAMPART_TRUSTED_PROXIES": ["192.0.2.1"]}]
)
def test_proxies_and_who_is_exempt_are_told_of_and_not_banned(watched: App, config: dict[str, Any]) -> None:
    app = enforcing(watched, **config)
    assert stuff(app, 14) == [401] * 14
    (finding,) = found(app)
    assert (finding.rule, finding.enforced) == ("credential_stuffing", False)


def test_an_address_that_is_written_in_two_ways_is_banned_once_and_for_both(watched: App) -> None:
    app = enforcing(watched)
    stuff(app, 14, "::ffff:192.0.2.1")
    assert code(app.test_client().get("/", **at("192.0.2.1"))) == "limit.banned"


# --- Nobody is locked out for what others do ---


def test_guesses_at_an_account_do_not_keep_its_owner_out(watched: App) -> None:
    app = enforcing(watched)
    client = app.test_client()
    right = "/login?account=ada&password=of ada"
    # She has logged in from home before.
    assert client.post(right, **at("198.51.100.1")).status_code == 200
    for number in range(40):
        client.post("/login?account=ada", **at(f"45.{number}.0.1"))
    assert {"password_guessing", "distributed_guessing"} <= set(rules(app))
    # From home, as often as she likes; from a hotel, too, though who guesses goes on.
    for _ in range(20):
        assert client.post(right, **at("198.51.100.99")).status_code == 200
    assert client.post(right, **at("203.0.113.5")).status_code == 200


def test_guesses_from_one_network_are_throttled_though_the_account_is_not(watched: App, clock: Clock) -> None:
    app = enforcing(watched)
    client = app.test_client()
    guesses = [client.post("/login?account=ada", **at("45.1.2.3")) for _ in range(20)]
    assert [answer.status_code for answer in guesses] == [401] * 15 + [429] * 5
    assert (code(guesses[-1]), guesses[-1].headers["Retry-After"]) == ("limit.exceeded", "30")
    clock.advance(30)
    assert client.post("/login?account=ada", **at("45.1.2.3")).status_code == 401
    assert client.post("/login?account=ada", **at("45.1.2.3")).status_code == 429
    # Other accounts, and this one from elsewhere, are not concerned.
    assert client.post("/login?account=bob&password=of bob", **at("45.1.2.3")).status_code == 200
    assert client.post("/login?account=ada&password=of ada", **at("198.51.100.1")).status_code == 200


def test_who_sends_somebody_elses_name_has_nothing_done_to_them(watched: App) -> None:
    # A victim's name and address in headers and bodies: what counts is where the request came from.
    app = enforcing(watched)
    client = app.test_client()
    for number in range(60):
        client.get(
            f"/none/{number}",
            headers={"X-Forwarded-For": "198.51.100.1", "Forwarded": "for=198.51.100.1", "X-User": "ada"},
            **at("45.1.2.3"),
        )
    assert client.get("/", **at("198.51.100.1")).status_code == 200
    assert client.as_user("ada").get("/me", **at("198.51.100.1")).status_code == 200  # type: ignore[attr-defined]
    assert {finding.subject for finding in found(app)} == {"45.1.2.3"}


def test_a_principal_is_never_banned_though_a_rule_bans_callers(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    rampart.monitor.rule("object_enumeration", response="ban")
    app = enforcing(watched, rampart=rampart)
    ada = app.test_client().as_user("ada")  # type: ignore[attr-defined]
    for number in range(40):
        ada.get(f"/docs/{20_000 + number}", **at("192.0.2.1"))
    (finding,) = found(app)
    assert (finding.subject, finding.response, finding.enforced) == ("ada", "throttle", True)
    assert app.test_client().get("/", **at("192.0.2.1")).status_code == 200
    clock.advance(60)
    assert ada.get("/me").status_code == 200


def test_a_forged_token_does_nothing_to_whom_it_names(watched: App) -> None:
    app = enforcing(watched)
    client = app.test_client()
    ada = client.as_user("ada")  # type: ignore[attr-defined]
    forged = ada.environ_base["HTTP_AUTHORIZATION"][:-4] + "AAAA"
    for number in range(300):
        client.get(f"/docs/{20_000 + number}", headers={"Authorization": forged}, **at("45.1.2.3"))
    assert {finding.subject for finding in found(app)} == {"45.1.2.3"}
    assert ada.get("/me", **at("198.51.100.1")).status_code == 200


# --- Throttle and step-up ---


def test_an_address_that_is_throttled_has_five_at_once_and_one_a_second(watched: App, clock: Clock) -> None:
    app = enforcing(watched)
    client = app.test_client()
    wrong = {"headers": {"Authorization": "Bearer x.y.z"}}
    statuses = [client.get("/me", **wrong, **at("192.0.2.1")).status_code for _ in range(110)]
    assert statuses == [401] * 105 + [429] * 5
    answer = client.get("/", **at("192.0.2.1"))
    assert (code(answer), answer.headers["Retry-After"]) == ("limit.exceeded", "1")
    clock.advance(1)
    assert client.get("/", **at("192.0.2.1")).status_code == 200
    assert client.get("/", **at("192.0.2.1")).status_code == 429
    clock.advance(900)
    assert [client.get("/", **at("192.0.2.1")).status_code for _ in range(9)] == [200] * 9


def test_a_stolen_token_is_of_no_use_any_more_and_a_new_one_is(watched: App, clock: Clock) -> None:
    app = enforcing(watched)
    client = app.test_client()
    ada = client.as_user("ada", lifetime=7200)  # type: ignore[attr-defined]
    answers = []
    for number in range(20):
        answers.append(ada.get("/me", **at(("198.51.100.1", "45.1.2.3")[number % 2])))
        clock.advance(5)
    assert code(answers[-1]) == "auth.stale"
    assert 'error="insufficient_user_authentication"' in answers[-1].headers["WWW-Authenticate"]
    assert client.as_user("ada").get("/me", **at("198.51.100.1")).status_code == 200  # type: ignore[attr-defined]
    assert client.as_user("bob").get("/me", **at("45.1.2.3")).status_code == 200  # type: ignore[attr-defined]


def test_a_principal_under_step_up_gets_in_with_a_login_after_the_finding(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    app = enforcing(watched, rampart=rampart)
    client = app.test_client()
    before = client.as_user("ada", fresh=True, lifetime=7200, claims={"auth_time": int(clock.now())})  # type: ignore[attr-defined]
    clock.advance(10)
    with app.app_context():
        pair = rampart.tokens.issue_pair("ada")
    for _ in range(3):
        client.post("/refresh", headers={"Authorization": f"Bearer {pair.refresh}"})
        clock.advance(60)
    assert rules(app)[0] == "refresh_reuse"
    assert code(before.get("/me")) == "auth.stale"
    after = client.as_user("ada", fresh=True, claims={"auth_time": int(clock.now())})  # type: ignore[attr-defined]
    assert after.get("/me").status_code == 200
    assert client.as_user("bob").get("/me").status_code == 200  # type: ignore[attr-defined]


def test_a_key_that_cannot_tell_when_it_was_proved_is_throttled_and_not_locked_out(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    rampart.monitor.rule("exfiltration", threshold=10_000_000)
    app = enforcing(watched, rampart=rampart)
    fleet = app.test_client().as_api_key("fleet")  # type: ignore[attr-defined]
    statuses = [fleet.get("/export").status_code for _ in range(12)]
    assert statuses[:3] == [200] * 3
    assert statuses[-1] == 429
    clock.advance(30)
    assert fleet.get("/machine").status_code == 200


def test_during_a_campaign_logins_from_strange_networks_are_told_to_ask_for_more(watched: App) -> None:
    app = enforcing(watched)
    client = app.test_client()
    home = client.post("/login?account=ada&password=of ada", **at("198.51.100.1"))
    assert home.json == {"step_up": False}
    for number in range(70):
        client.post(f"/login?account=user-{number}", **at(f"45.{number}.0.1"))
    assert rules(app) == ["stuffing_campaign"]
    assert client.post("/login?account=ada&password=of ada", **at("198.51.100.1")).json == {"step_up": False}
    assert client.post("/login?account=ada&password=of ada", **at("203.0.113.1")).json == {"step_up": True}


def test_what_is_in_force_can_be_lifted(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    app = enforcing(watched, rampart=rampart)
    client = app.test_client()
    for _ in range(106):
        client.get("/me", headers={"Authorization": "Bearer x.y.z"}, **at("192.0.2.1"))
    assert client.get("/", **at("192.0.2.1")).status_code == 429
    assert rampart.monitor.lift("address", "192.0.2.1") is True
    assert rampart.monitor.lift("address", "192.0.2.1") is False
    assert client.get("/", **at("192.0.2.1")).status_code == 200
    with pytest.raises(ValueError, match="no subject of a rule"):
        rampart.monitor.lift("adress", "192.0.2.1")


def test_views_that_identify_nobody_have_no_guard_more_and_report_mode_has_none(watched: App) -> None:
    for mode, expected in (("report", []), ("enforce", ["monitor"])):
        app = watched(RAMPART_MONITOR=mode)
        app.test_client().get("/")
        state = app.extensions["rampart"]
        names = {
            endpoint: [guard.name for guard, _ in state.guards_of(endpoint, "GET") if guard.name == "monitor"]
            for endpoint in ("me", "page")
        }
        assert names == {"me": expected, "page": []}


def test_a_monitor_that_breaks_refuses_who_is_identified(watched: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app = enforcing(watched)
    ada = app.test_client().as_user("ada")  # type: ignore[attr-defined]
    assert ada.get("/me").status_code == 200
    monkeypatch.setattr(type(monitor_of(app)), "state", property(lambda self: 1 / 0))
    # The server answers 500; the view is not reached.
    with pytest.raises(ZeroDivisionError):
        ada.get("/me")


def test_a_ban_that_cannot_be_written_is_told_all_the_same(watched: App, caplog: pytest.LogCaptureFixture) -> None:
    # Bans may be kept by a server that is away just then.
    app = enforcing(watched)

    def away(kind: str, address: str, seconds: float) -> bool:
        raise ConnectionError("away")

    monitor_of(app).responses.ban = away
    heard: list[Any] = []

    def hear(sender: Flask, finding: Any) -> None:
        heard.append(finding)

    with signals.anomaly_detected.connected_to(hear, sender=app):
        stuff(app, 14)
    (finding,) = found(app)
    assert heard == [finding]
    assert (finding.rule, finding.response, finding.enforced) == ("credential_stuffing", "ban", False)
    assert "could not be put in force" in caplog.text


@pytest.mark.parametrize("token", [42, "a\ud800", b"x", None])
def test_a_scheme_of_the_apps_own_may_name_its_credentials_otherwise(watched: App, clock: Clock, token: Any) -> None:
    class Odd:
        id = "odd"
        kind = "badge"
        scopes = roles = frozenset[str]()
        claims: dict[str, Any] = {}  # noqa: RUF012
        issuer = None
        token_id = token

    rampart = Rampart(clock=clock)
    rampart.scheme("badge", header="X-Badge")(lambda value: Odd())
    app = enforcing(watched, rampart=rampart)
    client = app.test_client()
    assert client.get("/machine", headers={"X-Badge": "1"}).status_code == 200
    # While something is in force on anybody, each caller is looked for.
    monitor_of(app).state.mark("throttle", "address", "10.9.9.9", 900.0)
    assert client.get("/machine", headers={"X-Badge": "1"}).status_code == 200


def test_who_goes_on_has_no_part_of_the_window_free(watched: App, clock: Clock) -> None:
    # A finding is made once in each window: a response that ended before would leave the rest of it open.
    for detector in DETECTORS:
        assert detector.response == "log" or detector.lasts >= detector.window, detector.name
    app = enforcing(watched)
    client = app.test_client()
    slow = 0
    for number in range(4 * 360):
        client.post("/login?account=ada", **at(f"45.{number % 200}.0.1"))
        slow += number >= 20 and monitor_of(app).state.marked("throttle", "account", "ada") is None
        clock.advance(10)
    assert slow == 0
