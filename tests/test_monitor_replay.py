"""Recorded traffic through the detectors: what would have found what. Replay equals live."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock, Finding, Rampart
from flask_rampart.audit import Audit
from flask_rampart.audit.reading import Log
from flask_rampart.cli import commands
from flask_rampart.monitor import DETECTORS, access_lines, replay, sights_of

from .monitoring import MISTAKES, App, at, found, monitor_of
from .monitoring import watched as watched


@pytest.fixture
def recorded(watched: App, clock: Clock, tmp_path: Path) -> Flask:
    """An app with both logs that was attacked in several ways, with some ordinary use between."""
    rampart = Rampart(clock=clock)
    app = watched(
        rampart=rampart,
        RAMPART_AUDIT_LOG=str(tmp_path / "audit"),
        RAMPART_ACCESS_LOG=str(tmp_path / "access.log"),
    )
    client = app.test_client()
    ada = client.as_user("ada", lifetime=86_400)  # type: ignore[attr-defined]
    bob = client.as_user("bob", lifetime=86_400)  # type: ignore[attr-defined]
    for number in range(60):
        clock.advance(2)
        client.get("/", **at("198.51.100.1"))
        client.get(f"/pages/{number}", **at("198.51.100.1"))
        client.get(f"/wp/{number}.php", **at("192.0.2.1"))
        client.post(f"/login?account=user-{number}", **at("192.0.2.2"))
        bob.get(f"/docs/{20_000 + number}", **at("198.51.100.2"))
        ada.get("/me", **at(("198.51.100.3", "45.1.2.3")[number % 2]))
        client.post("/people", **at("192.0.2.3"), **MISTAKES[number % len(MISTAKES)])
    with app.app_context():
        pair = rampart.tokens.issue_pair("eve")
    for _ in range(3):
        client.post("/refresh", headers={"Authorization": f"Bearer {pair.refresh}"}, **at("192.0.2.4"))
        clock.advance(60)
    audit: Audit = app.extensions["rampart"].services[Audit]
    audit.close()
    return app


def members(finding: Finding) -> tuple[Any, ...]:
    """What of a finding is the same whenever it is found."""
    return finding.rule, finding.subject_kind, finding.subject, finding.count, finding.route, finding.request_id


def test_replay_of_both_logs_finds_what_was_found_when_it_was_found(recorded: Flask, tmp_path: Path) -> None:
    live = found(recorded)
    assert {finding.rule for finding in live} >= {
        "path_scanning",
        "credential_stuffing",
        "object_enumeration",
        "token_replay",
        "schema_probing",
        "refresh_reuse",
    }
    log = Log(tmp_path / "audit")
    again = list(replay(DETECTORS, sights_of(log.records(), access_lines(tmp_path / "access.log"))))
    assert sorted(map(members, again)) == sorted(map(members, live))
    assert sorted(finding.time for finding in again) == pytest.approx(sorted(finding.time for finding in live))
    assert not any(finding.enforced for finding in again)


def test_replay_of_the_audit_log_alone_finds_what_stands_in_it(recorded: Flask, tmp_path: Path) -> None:
    again = {finding.rule for finding in replay(DETECTORS, sights_of(Log(tmp_path / "audit").records()))}
    # Paths without a route and answers of the app's own are in the access log alone.
    assert again == {"credential_stuffing", "schema_probing", "refresh_reuse", "token_replay"}


def run(app: Flask, *arguments: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(commands, ["monitor", *arguments])
    return result.exit_code, result.output


def test_the_command_prints_which_would_have_found_what_and_a_table_by_rule(recorded: Flask, tmp_path: Path) -> None:
    code, output = run(recorded, "replay", "--access-log", str(tmp_path / "access.log"))
    assert code == 0
    assert "path_scanning" in output
    assert "address 192.0.2.1" in output
    table = output[output.index("RULE      ") :] if "RULE      " in output else output
    assert "FINDINGS" in table
    assert "SUBJECTS" in table


def test_other_rules_are_tried_on_the_same_records(recorded: Flask, tmp_path: Path) -> None:
    rules = tmp_path / "tried.toml"
    rules.write_text("[path_scanning]\nthreshold = 500\n\n[credential_stuffing]\nthreshold = 3\n")
    code, output = run(
        recorded, "replay", "--rules", str(rules), "--access-log", str(tmp_path / "access.log"), "--json"
    )
    assert code == 0
    told = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert "path_scanning" not in {finding["rule"] for finding in told}
    (stuffing,) = [finding for finding in told if finding["rule"] == "credential_stuffing"]
    assert (stuffing["count"], stuffing["threshold"]) == (3, 3)
    # What is tried changes nothing that is in force.
    assert {detector.threshold for detector in monitor_of(recorded).detectors if detector.name == "path_scanning"} == {
        40
    }


def test_a_time_bounds_what_is_replayed(recorded: Flask, tmp_path: Path) -> None:
    arguments = ("replay", "--access-log", str(tmp_path / "access.log"), "--json")
    assert run(recorded, *arguments, "--since", "2027-01-16")[1] == ""
    assert "path_scanning" in run(recorded, *arguments, "--since", "2027-01-15T07:00:00Z")[1]
    code, output = run(recorded, *arguments, "--since", "yesterday")
    assert code == 1
    assert "is no time" in output


def test_what_cannot_be_replayed_is_said(watched: App, tmp_path: Path) -> None:
    app = watched()
    assert run(app, "replay") == (
        1,
        "Error: there is nothing to replay: RAMPART_AUDIT_LOG is off; name a file with --access-log\n",
    )
    code, output = run(app, "replay", "--access-log", str(tmp_path / "none.log"))
    assert (code, "cannot be read" in output) == (1, True)
    rules = tmp_path / "wrong.toml"
    rules.write_text("[scrapin]\nthreshold = 3\n")
    code, output = run(app, "replay", "--rules", str(rules), "--access-log", str(tmp_path / "none.log"))
    assert (code, "Did you mean scraping?" in output) == (1, True)


def test_refusals_that_were_only_counted_count(tmp_path: Path) -> None:
    record = {
        "time": "2027-01-15T08:00:00.000000Z",
        "event": "excess_rate_limit_exceeded",
        "decision": "refused",
        "code": "limit.exceeded",
        "status": 429,
        "address": "192.0.2.1",
        "unrecorded": 400,
    }
    (finding,) = replay(DETECTORS, sights_of([record]))
    assert (finding.rule, finding.subject) == ("quota_abuse", "192.0.2.1")


def test_a_damaged_log_is_read_as_far_as_it_can_be() -> None:
    odd: list[dict[str, Any]] = [
        {"event": "x"},
        {"time": 5, "event": "x"},
        {"time": "yesterday", "event": "x"},
        {"time": "2027-01-15T08:00:00.000000Z", "event": "x", "decision": "refused", "code": 5, "status": "no"},
        {"time": "2027-01-15T08:00:00.000000Z", "event": "x", "outcome": "complete", "request_id": 7, "status": -1},
        {"time": "2027-01-15T08:00:00.000000Z", "event": "x", "login": True, "request_id": "a", "status": True},
        {"time": "2027-01-15T08:00:00.000000Z", "event": "x", "decision": "allowed", "request_id": None},
    ]
    lines: list[dict[str, Any]] = [
        {"time": "2027-01-15T08:00:00.000000Z", "status": 10**30, "codes": 5, "bytes": "many", "target": None},
        {"time": "2027-01-15T08:00:00.000000Z", "status": 404, "codes": [5, "auth.invalid"], "target": "\ud800"},
    ]
    assert list(replay(DETECTORS, sights_of(odd))) == []
    for line in lines:
        line["codes"] = line["codes"] if isinstance(line["codes"], list) else []
    assert list(replay(DETECTORS, sights_of(odd, lines))) == []


def test_the_answers_of_audited_views_are_put_together_from_both_of_their_records() -> None:
    records: list[dict[str, Any]] = []
    for number in range(2100):
        stamp = f"2027-01-15T08:{number // 60:02}:{number % 60:02}.000000Z"
        request = f"{number:032x}"
        common = {"event": "export", "request_id": request, "time": stamp}
        records.append({**common, "decision": "allowed", "principal": "ada", "route": "/export", "target": "/export"})
        records.append({**common, "outcome": "complete", "status": 200, "bytes": 2_000_000, "principal": "ada"})
    (finding,) = replay(DETECTORS, sights_of(records))
    assert (finding.rule, finding.subject, finding.route) == ("exfiltration", "ada", "/export")


# --- The other commands ---


def test_rules_are_listed_with_their_thresholds(watched: App) -> None:
    code, output = run(watched(), "rules")
    assert code == 0
    assert "credential_stuffing" in output
    assert f"{len(DETECTORS)} rules; mode: report" in output
    told = json.loads(run(watched(), "rules", "--json")[1])
    assert (told["mode"], len(told["rules"])) == ("report", len(DETECTORS))


def test_findings_are_shown_and_responses_lifted(watched: App) -> None:
    app = watched(RAMPART_MONITOR="enforce")
    assert run(app, "recent")[1].endswith("0 findings\n")
    client = app.test_client()
    for _ in range(110):
        client.get("/me", headers={"Authorization": "Bearer x.y.z"}, **at("192.0.2.1"))
    shown = run(app, "recent")[1]
    assert "credential_guessing" in shown
    assert json.loads(run(app, "recent", "--json")[1])["subject"] == "192.0.2.1"
    assert run(app, "lift", "address", "192.0.2.1") == (0, "lifted\n")
    assert run(app, "lift", "address", "192.0.2.1") == (1, "Error: nothing is in force on this address\n")
