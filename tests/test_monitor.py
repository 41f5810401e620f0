"""The monitor in a real app: what requests were is counted as they end, and what is too much is told, once, everywhere."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock, ConfigError, Detector, Finding, Rampart, signals
from flask_rampart.audit import Audit
from flask_rampart.audit.ocsf import event_of
from flask_rampart.audit.reading import Log
from flask_rampart.cli import commands
from flask_rampart.errors import PROBLEMS
from flask_rampart.monitor import DETECTORS, Detectors, read_file

from .conftest import KEYS, NOW
from .monitoring import MISTAKES, App, Reading, at, engine, found, monitor_of, rules
from .monitoring import watched as watched


def stuff(app: Flask, count: int = 12, address: str = "192.0.2.1") -> list[int]:
    client = app.test_client()
    asked = [client.post(f"/login?account=user-{number}", **at(address)) for number in range(count)]
    return [answer.status_code for answer in asked]


def test_one_address_that_fails_to_log_in_to_many_accounts_is_found(watched: App) -> None:
    app = watched()
    stuff(app)
    (finding,) = found(app)
    assert (finding.rule, finding.severity, finding.response, finding.enforced) == (
        "credential_stuffing",
        "high",
        "ban",
        False,
    )
    assert (finding.subject_kind, finding.subject, finding.route) == ("address", "192.0.2.1", "/login")
    assert (finding.count, finding.threshold, finding.time) == (10, 10, NOW)


def test_logins_that_mostly_succeed_are_an_office(watched: App) -> None:
    app = watched()
    client = app.test_client()
    for number in range(60):
        name = f"user-{number}"
        if number % 4 == 0:
            client.post(f"/login?account={name}&password=wrong", **at("192.0.2.1"))
        client.post(f"/login?account={name}&password=of {name}", **at("192.0.2.1"))
    assert rules(app) == []


def test_guesses_at_one_account_are_found_from_one_network_and_from_many(watched: App) -> None:
    app = watched()
    client = app.test_client()
    for number in range(12):
        # However the name is written, it is one account.
        client.post("/login", query_string={"account": ("Ada ", "ada")[number % 2]}, **at(f"45.{number}.0.1"))
    assert set(rules(app)) == {"password_guessing", "distributed_guessing"}
    assert {finding.subject for finding in found(app)} == {"ada"}


def test_a_campaign_from_many_networks_is_found_though_no_address_stands_out(watched: App) -> None:
    app = watched()
    client = app.test_client()
    for number in range(70):
        client.post(f"/login?account=user-{number}", **at(f"45.{number}.0.1"))
    assert rules(app) == ["stuffing_campaign"]


def test_paths_that_no_route_has_are_found_and_what_the_site_links_to_is_not(watched: App) -> None:
    app = watched()
    client = app.test_client()
    for number in range(60):
        client.get(f"/wp-content/{number}.php", **at("192.0.2.1"))
        client.get("/favicon.ico", **at("192.0.2.2"))
    assert [(finding.rule, finding.subject) for finding in found(app)] == [("path_scanning", "192.0.2.1")]


def test_objects_that_are_not_there_are_found_by_who_asks(watched: App) -> None:
    app = watched()
    ada = app.test_client().as_user("ada")  # type: ignore[attr-defined]
    for number in range(40):
        # From one address after another: who asks is known.
        ada.get(f"/docs/{20_000 + number}", **at(f"192.0.2.{number}"))
    (finding,) = [finding for finding in found(app) if finding.rule == "object_enumeration"]
    assert (finding.subject_kind, finding.subject) == ("principal", "ada")


def test_input_that_is_wrong_in_many_ways_is_found(watched: App) -> None:
    app = watched()
    client = app.test_client()
    statuses = {client.post("/people", **at("192.0.2.1"), **one).status_code for one in MISTAKES}
    assert statuses <= {400, 415, 422}
    assert rules(app) == ["schema_probing"]


def test_the_same_mistake_over_and_over_is_a_mistake(watched: App) -> None:
    app = watched()
    client = app.test_client()
    for _ in range(200):
        client.post("/people", json={"name": 1}, **at("192.0.2.1"))
    assert rules(app) == []


def test_places_where_somebody_may_not_go_are_found(watched: App) -> None:
    app = watched()
    ada = app.test_client().as_user("ada")  # type: ignore[attr-defined]
    for place in range(12):
        ada.get(f"/admin/{place}")
    assert rules(app) == ["privilege_probing"]


def test_a_token_that_two_networks_use_in_turn_is_found_and_an_api_key_is_not(watched: App, clock: Clock) -> None:
    app = watched()
    ada = app.test_client().as_user("ada", lifetime=7200)  # type: ignore[attr-defined]
    fleet = app.test_client().as_api_key("fleet")  # type: ignore[attr-defined]
    for number in range(20):
        clock.advance(5)
        ada.get("/me", **at(("198.51.100.1", "45.1.2.3")[number % 2]))
        fleet.get("/machine", **at(("198.51.100.2", "45.1.2.4")[number % 2]))
    assert [(finding.rule, finding.subject_kind) for finding in found(app)] == [("token_replay", "token")]


def test_a_refresh_token_that_comes_again_is_found_at_once(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart)
    with app.app_context():
        pair = rampart.tokens.issue_pair("ada")
    client = app.test_client()
    for _ in range(3):
        client.post("/refresh", headers={"Authorization": f"Bearer {pair.refresh}"}, **at("192.0.2.1"))
        clock.advance(60)
    (first, *_) = found(app)
    assert (first.rule, first.severity, first.subject_kind, first.subject) == (
        "refresh_reuse",
        "critical",
        "principal",
        "ada",
    )


def test_much_that_is_given_out_is_found(watched: App) -> None:
    app = watched()
    ada = app.test_client().as_user("ada")  # type: ignore[attr-defined]
    monitor_of(app).change("exfiltration", {"threshold": 100_000_000})
    for _ in range(30):
        ada.get("/export")
    (finding,) = found(app)
    assert (finding.rule, finding.subject) == ("exfiltration", "ada")
    assert finding.count >= 100_000_000


def test_errors_of_the_server_are_nobodys_fault(watched: App) -> None:
    app = watched()
    client = app.test_client().as_user("ada")  # type: ignore[attr-defined]
    for _ in range(100):
        assert client.get("/broken").status_code == 500
    assert rules(app) == []


def test_an_audit_log_that_was_changed_is_found(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart)
    rampart.monitor.tampered("a record of 10:00 is missing")
    (finding,) = found(app)
    assert (finding.rule, finding.severity, finding.subject_kind) == ("audit_tampering", "critical", "host")


def test_what_the_audit_logs_own_command_finds_is_told(watched: App, tmp_path: Path) -> None:
    app = watched(RAMPART_AUDIT_LOG=str(tmp_path / "audit"))
    app.test_client().get("/me")
    audit: Audit = app.extensions["rampart"].services[Audit]
    audit.close()
    run = app.test_cli_runner().invoke
    assert run(commands, ["audit", "verify"]).exit_code == 0
    assert rules(app) == []
    (path, *_) = sorted((tmp_path / "audit").glob("*.jsonl"))
    path.write_bytes(path.read_bytes().replace(b"auth.missing", b"auth.missinG"))
    assert run(commands, ["audit", "verify"]).exit_code == 1
    assert rules(app) == ["audit_tampering"]
    assert audit.failures == 0
    audit.close()
    told = [record for record in Log(tmp_path / "audit").records() if "finding" in record]
    assert [(record["event"], record["finding"]) for record in told] == [("monitor.audit_tampering", "audit_tampering")]


def test_somebody_whom_a_scheme_of_the_apps_own_found_may_lack_what_it_does_not_know(
    watched: App, clock: Clock
) -> None:
    class Bare:
        id = "bare"
        kind = "badge"
        scopes = roles = frozenset[str]()
        claims: dict[str, Any] = {}  # noqa: RUF012

    rampart = Rampart(clock=clock)
    rampart.scheme("badge", header="X-Badge")(lambda value: Bare())
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")
    client = app.test_client()
    for number in range(40):
        client.get(f"/docs/{20_000 + number}", headers={"X-Badge": "1"})
    assert [(finding.rule, finding.subject) for finding in found(app)] == [("object_enumeration", "bare")]


# --- Told, once, everywhere ---


def test_it_is_told_once_in_a_window_and_again_in_a_later_one(watched: App, clock: Clock) -> None:
    app = watched()
    for _ in range(5):
        stuff(app, 20)
        clock.advance(60)
    assert rules(app) == ["credential_stuffing"]
    clock.advance(900)
    stuff(app, 20)
    assert rules(app) == ["credential_stuffing"] * 2


def test_a_signal_a_record_and_a_line_tell_of_it(
    watched: App, clock: Clock, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    app = watched(RAMPART_AUDIT_LOG=str(tmp_path / "audit"))
    heard: list[Finding] = []

    def hear(sender: Flask, finding: Finding) -> None:
        assert sender is app
        heard.append(finding)

    with signals.anomaly_detected.connected_to(hear, sender=app), caplog.at_level(logging.WARNING):
        stuff(app)
    assert heard == found(app)
    assert "The monitor found credential_stuffing: 1" in caplog.text
    assert "192.0.2.1" not in caplog.text
    audit: Audit = app.extensions["rampart"].services[Audit]
    audit.close()
    (record,) = [record for record in Log(tmp_path / "audit").records() if "finding" in record]
    assert (record["event"], record["finding"], record["detection_point"]) == (
        "authn_login_fail_max",
        "credential_stuffing",
        "AE1",
    )
    assert (record["address"], record["count"], record["enforced"]) == ("192.0.2.1", 10, False)
    told = event_of(record, "shop")
    assert (told["class_uid"], told["class_name"], told["severity_id"]) == (2004, "Detection Finding", 4)
    assert told["finding_info"]["title"] == "credential_stuffing"
    failed = [record for record in Log(tmp_path / "audit").records() if record["event"] == "authn_login_fail"]
    assert failed[0]["subject"] == "user-0"


def test_who_listens_and_fails_keeps_nobody_from_being_told(watched: App, caplog: pytest.LogCaptureFixture) -> None:
    app = watched()

    def fail(sender: Flask, finding: Finding) -> None:
        raise RuntimeError("I am broken")

    with signals.anomaly_detected.connected_to(fail, sender=app):
        assert stuff(app) == [401] * 12
    assert rules(app) == ["credential_stuffing"]


def test_no_secret_stands_in_what_is_told(watched: App, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    app = watched()
    ada = app.test_client().as_user("ada", lifetime=7200)  # type: ignore[attr-defined]
    credential = ada.environ_base["HTTP_AUTHORIZATION"].partition(" ")[2]
    with caplog.at_level(logging.WARNING):
        for number in range(20):
            clock.advance(5)
            ada.get("/me?password=hunter2", **at(("198.51.100.1", "45.1.2.3")[number % 2]))
    told = repr(found(app)) + caplog.text
    assert "token_replay" in told
    assert credential not in told
    assert "hunter2" not in told


def test_a_login_is_told_by_the_status_unless_the_app_says_otherwise(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart)

    @app.post("/form")
    def form() -> str:
        # A page that says so with 200, as forms do.
        rampart.monitor.login("ada").failed()
        return "wrong, try again"

    client = app.test_client()
    for _ in range(12):
        client.post("/form")
    assert rules(app) == ["password_guessing"]


def test_an_answer_that_streams_is_counted_when_it_has_ended(watched: App) -> None:
    app = watched()
    monitor_of(app).change("exfiltration", {"threshold": 10_000, "by": "caller"})

    @app.get("/stream")
    def stream() -> Any:
        return (b"x" * 1000 for _ in range(20))

    client = app.test_client()
    client.get("/stream")
    assert [finding.rule for finding in found(app)] == ["exfiltration"]


def test_in_production_requests_are_counted_together_by_the_one_that_comes_a_second_later(
    make_app: App, clock: Clock
) -> None:
    app = make_app()
    waiting = monitor_of(app)
    client = app.test_client()
    waits: list[int] = []
    for seconds in (0.0, 0.4, 0.4, 0.4, 0.0):
        clock.advance(seconds)
        client.get("/", buffered=True)
        waits.append(waiting.native.waiting)
    assert waits == [1, 2, 3, 0, 1]
    for _ in range(31):
        client.get("/", buffered=True)
    assert waiting.native.waiting == 0


def test_requests_of_threads_are_all_counted(watched: App) -> None:
    app = watched()
    barrier = threading.Barrier(4)

    def knock() -> None:
        barrier.wait()
        stuff(app, 30, "192.0.2.9")

    threads = [threading.Thread(target=knock) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rules(app).count("credential_stuffing") == 1


def test_off_counts_nothing_and_report_changes_nothing(watched: App) -> None:
    off, report = watched(RAMPART_MONITOR="off"), watched()
    for app in (off, report):
        assert stuff(app, 40) == [401] * 40
        client = app.test_client()
        assert [client.get(f"/none/{number}", **at("192.0.2.1")).status_code for number in range(99)] == [404] * 99
        assert client.get("/", **at("192.0.2.1")).status_code == 200
    assert found(off) == []
    assert rules(report) == ["credential_stuffing", "path_scanning"]
    assert not any(finding.enforced for finding in found(report))


# --- Rules ---


def test_each_code_of_a_refusal_is_counted_or_left_out_on_purpose() -> None:
    quiet = {
        *("app.uninitialised", "audit.unavailable", "auth.missing", "auth.stale", "auth.unavailable", "body.consumed"),
        *("guard.failed", "https.required", "proof.nonce", "response.invalid", "store.unavailable", "token.expired"),
    }
    from flask_rampart._native import Monitor, Sight

    signs = ["authentication_failed", "forbidden", "object_refused", "invalid", "malformed", "limited"]
    for code, problem in PROBLEMS.items():
        rule = {"name": "any", "counts": signs, "by": "address", "threshold": 1, "window": 60}
        monitor = Monitor([rule], Clock.manual(NOW))
        seen = monitor.note(Sight(status=problem.status, codes=[code], route="/", address="192.0.2.1"))
        assert bool(seen) is (code not in quiet), code


def test_rules_in_code_change_those_of_the_package_or_add_to_them(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    rampart.monitor.rule("credential_stuffing", threshold=3)
    rampart.monitor.rule("path_scanning", enabled=False)
    rampart.monitor.rule(Detector("knocking", counts=("request",), threshold=5, window="1 minute", severity="low"))
    app = watched(rampart=rampart)
    stuff(app, 4)
    client = app.test_client()
    for number in range(60):
        client.get(f"/none/{number}", **at("192.0.2.2"))
    assert sorted(rules(app)) == ["credential_stuffing", "knocking"]
    with pytest.raises(ConfigError, match="too late"):
        rampart.monitor.rule("scraping", threshold=5)


def test_rules_in_a_file_do_so_too(watched: App, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(
        '[credential_stuffing]\nthreshold = 3\n\n[knocking]\ncounts = ["request"]\nthreshold = 5\nwindow = "1 minute"\n'
    )
    app = watched(RAMPART_MONITOR_RULES=str(path))
    stuff(app, 6)
    assert rules(app) == ["credential_stuffing", "knocking"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[path_scaning]\nthreshold = 3", "Did you mean path_scanning?"),
        ("[path_scanning]\ntreshold = 3", "Did you mean threshold?"),
        ("[path_scanning]\nthreshold = 0", "at least 1"),
        ("[path_scanning]\nthreshold = '3'", "threshold must be a number"),
        ("[path_scanning]\nwindow = '5 fortnights'", '"10 minutes"'),
        ("[path_scanning]\nresponse = 'bann'", "Did you mean ban?"),
        ("[path_scanning]\nshare = 2.0", "0.0 to 1.0"),
        ("[path_scanning]\nmeasure = 'place'", "places"),
        ("[path_scanning]\ncounts = ['notfound']", "not_found"),
        ("[path_scanning]\ncounts = 'not_found'", "a list of signs"),
        ("[path_scanning]\nenabled = 'no'", "True or False"),
        ("[password_guessing]\nresponse = 'ban'", "keep the owner out"),
        ("[stuffing_campaign]\nresponse = 'throttle'", "keep everybody out"),
        ("[path_scanning]\nresponse = 'step_up'", "cannot prove who it is"),
        ("threshold = 3", "outside of a table"),
        ("[path_scanning", "is not TOML"),
        ("[path_scanning]\nshare = nan", "share"),
        ("[path_scanning]\nevent = 'malicious_exces_404'", "Did you mean malicious_excess_404?"),
        ("[path_scanning]\nevent = 5", "a name of letters"),
        ("[path_scanning]\nevent = 'a b'", "a name of letters"),
        ("[path_scanning]\npoint = '\\\\'", "point must be"),
        ("[path_scanning]\nabout = 5", "a sentence"),
        ('[path_scanning]\nabout = "\\u001b[2J"', "a sentence"),
        ("[path_scanning]\nwindow = '\u00b2 minutes'", '"10 minutes"'),
        ("[path_scanning]\nwindow = '\u0661 minutes'", '"10 minutes"'),
    ],
)
def test_a_rule_that_cannot_be_meant_stops_the_start_up_and_says_what_would_be_right(
    watched: App, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="RAMPART_MONITOR_RULES") as caught:
        watched(RAMPART_MONITOR_RULES=str(path))
    assert message in str(caught.value)


def test_more_rules_than_can_be_counted_stop_the_start_up(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    free = 200 - len(DETECTORS)
    for number in range(free):
        rampart.monitor.rule(f"own-{number}", counts=("request",))
    with pytest.raises(ConfigError, match="at most 200"):
        rampart.monitor.rule("own-more", counts=("request",))
    rampart.monitor.rule("own-0", enabled=False)
    rampart.monitor.rule("own-last", counts=("request",), event="shop.asked", threshold=1000)
    assert watched(rampart=rampart).test_client().get("/").status_code == 200


def test_a_response_lasts_at_least_for_the_window() -> None:
    assert Detector("own", counts=("request",), window="1 hour", response="throttle", lasts=60).lasts == 3600
    assert Detector("own", counts=("request",), window="1 hour", lasts=60).lasts == 60


def test_a_file_that_is_not_there_stops_the_start_up(watched: App, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        watched(RAMPART_MONITOR_RULES=str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_file(tmp_path, Detectors())


def test_the_detectors_of_the_package_are_known_by_names_events_and_detection_points() -> None:
    from flask_rampart.audit.events import OWASP

    names = [detector.name for detector in DETECTORS]
    assert len(set(names)) == len(names)
    for detector in DETECTORS:
        assert detector.event in OWASP | {"monitor.audit_tampering"}, detector.name
        assert detector.about.endswith(".")
        assert detector.point
    assert engine().places[0] > 30_000


# --- Where it cannot be ---


def test_a_table_that_cannot_be_had_is_told_and_in_enforce_mode_ends_the_start_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    open_to_others = tmp_path / "shared"
    open_to_others.mkdir()
    open_to_others.chmod(0o755)

    def make(mode: str) -> Flask:
        app = Flask("shop")
        app.test_client_class = Reading
        app.config.update(
            RAMPART_ACCESS_LOG="off",
            RAMPART_JWT_KEYS=KEYS,
            RAMPART_STORE=f"sqlite:///{tmp_path}/records.sqlite3",
            RAMPART_LIMIT_STORE=f"shm://{open_to_others}",
            RAMPART_MONITOR=mode,
            PROPAGATE_EXCEPTIONS=True,
        )
        Rampart(app, clock=Clock.manual(NOW))
        return app

    from flask.testing import FlaskClient

    app = make("report")
    assert FlaskClient(app).get("/").status_code == 404
    assert "chmod 0700" in caplog.text
    assert monitor_of(app).native.path is None
    with pytest.raises(ConfigError, match="chmod 0700"):
        FlaskClient(make("enforce")).get("/")


# --- The commands ---


def test_what_a_peer_wrote_reaches_no_terminal_as_it_is(watched: App) -> None:
    # CWE-150: an account's name is whatever somebody typed.
    app = watched()
    client = app.test_client()
    name = "x\x1b]0;pwned\x07\x1b[2K\r1 findings\n\u202eada"
    for number in range(12):
        client.post("/login", query_string={"account": name}, **at(f"45.{number}.0.1"))
    assert rules(app)
    printed = app.test_cli_runner().invoke(commands, ["monitor", "recent"], color=True).output
    assert "\\x1b]0;pwned\\x07" in printed
    assert "\\u202eada" in printed
    assert all(line.isprintable() for line in printed.splitlines())


@pytest.mark.parametrize("command", [["recent"], ["recent", "--json"], ["lift", "address", "192.0.2.1"]])
def test_no_command_says_that_all_is_well_where_it_cannot_see(make_app: App, command: list[str]) -> None:
    for config, told in (
        ({"RAMPART_MONITOR": "off"}, "the monitor is off"),
        ({"RAMPART_LIMIT_STORE": "memory://"}, "each process counts for itself"),
    ):
        result = make_app(**config).test_cli_runner().invoke(commands, ["monitor", *command])
        assert result.exit_code == 1
        assert told in result.output


def test_a_principal_of_ones_own_tokens_is_lifted_without_its_issuer(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    rampart.monitor.rule("eager", counts=("request",), by="principal", threshold=3, response="throttle")
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce", RAMPART_JWT_ISSUER="https://shop.example")
    ada = app.test_client().as_user("ada")  # type: ignore[attr-defined]
    assert [ada.get("/me").status_code for _ in range(10)][-1] == 429
    run = app.test_cli_runner().invoke
    assert run(commands, ["monitor", "lift", "principal", "ada"]).output == "lifted\n"
    assert ada.get("/me").status_code == 200
    assert "--issuer" in run(commands, ["monitor", "lift", "principal", "ada"]).output
