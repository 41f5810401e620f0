"""An hour of ordinary traffic raises no alarm; the same hour with an attack in it raises that one."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from flask_rampart import Clock
from flask_rampart.monitor import DETECTORS

from .conftest import NOW
from .monitoring import App, Seen, at, engine, found, ordinary, rules, through
from .monitoring import watched as watched


@pytest.mark.parametrize("seed", range(3))
def test_an_hour_of_ordinary_traffic_raises_no_alarm(seed: int) -> None:
    assert through(engine(), ordinary(seed)) == []


def test_the_hour_is_what_it_says_it_is() -> None:
    hour = [sight for _, sight in ordinary(1)]
    assert len(hour) > 25_000
    statuses = {sight["status"] for sight in hour}
    assert {200, 401, 403, 404, 422, 429, 500} <= statuses
    failed = [sight for sight in hour if sight.get("login") is False]
    assert len(failed) > 20
    offices = [sight for sight in hour if sight["address"].startswith("203.0.113.")]
    assert len({sight["address"] for sight in offices}) == 4
    assert len({sight["principal"] for sight in offices if "principal" in sight}) > 100
    gone = [sight for sight in hour if sight["address"] == "66.249.66.1" and sight["status"] == 404]
    crawled = [sight for sight in hour if sight["address"] == "66.249.66.1"]
    assert 0.03 < len(gone) / len(crawled) < 0.2


def test_several_hours_in_a_row_raise_no_alarm() -> None:
    monitor = engine()
    for hour in range(3):
        assert through(monitor, ordinary(10, NOW + hour * 3600, people=100)) == []


def stuffing(start: float) -> Iterator[Seen]:
    for number in range(40):
        sight = {"status": 401, "route": "/login", "path": "/login", "address": "192.0.2.66", "login": False}
        yield start + number * 2, {**sight, "account": f"victim-{number}"}


def spread(start: float) -> Iterator[Seen]:
    """Two attempts from each of 200 networks: none of them stands out."""
    for number in range(400):
        sight = {"status": 401, "route": "/login", "path": "/login", "login": False, "account": f"victim-{number}"}
        yield start + number, {**sight, "address": f"45.{number % 200}.7.1"}


def targeted(start: float) -> Iterator[Seen]:
    for number in range(30):
        sight = {"status": 401, "route": "/login", "path": "/login", "login": False, "account": "director"}
        yield start + number * 60, {**sight, "address": f"45.{number}.7.1"}


def replayed(start: float) -> Iterator[Seen]:
    """A stolen token: its owner goes on with it from home."""
    for number in range(40):
        address = "198.51.1.9" if number % 2 else "45.9.9.9"
        sight = {"status": 200, "route": "/me", "path": "/me", "principal": "person-1", "token": "stolen"}
        yield start + number * 10, {**sight, "address": address}


def shared(start: float) -> Iterator[Seen]:
    """A token that was sold: each network uses it once, so none of them twice in turn."""
    for number in range(8):
        sight = {"status": 200, "route": "/me", "path": "/me", "principal": "person-5", "token": "sold"}
        yield start + number * 20, {**sight, "address": f"45.{number}.9.9"}


def copied(start: float) -> Iterator[Seen]:
    yield start, {"signs": ["refresh_reused"], "principal": "person-6", "address": "45.9.9.8"}


def tampered(start: float) -> Iterator[Seen]:
    yield start, {"signs": ["audit_tampered"]}


def scanning(start: float) -> Iterator[Seen]:
    for number in range(100):
        yield start + number, {"status": 404, "path": f"/wp-{number}.php", "address": "192.0.2.67"}


def enumerating(start: float) -> Iterator[Seen]:
    for number in range(100):
        sight = {"status": 404, "route": "/docs/<int:number>", "path": f"/docs/{90_000 + number}"}
        yield start + number, {**sight, "address": "192.0.2.68", "principal": "person-2", "token": "t"}


def probing(start: float) -> Iterator[Seen]:
    for number in range(40):
        sight = {"status": 422, "codes": ["body.invalid"], "route": "/people", "path": "/people"}
        yield start + number, {**sight, "address": "192.0.2.69", "reason": f"/field-{number % 12}: type"}


def malformed(start: float) -> Iterator[Seen]:
    for number, code in enumerate(
        ("path.malformed", "method.refused", "head.too_large", "request.malformed", "host.unknown")
    ):
        yield start + number, {"status": 400, "codes": [code], "path": "/", "address": "192.0.2.70", "reason": code}


def scraping(start: float) -> Iterator[Seen]:
    for number in range(6000):
        sight = {"status": 200, "route": "/pages/<int:number>", "path": f"/pages/{number}", "address": "192.0.2.71"}
        yield start + number / 20, sight


def hammering(start: float) -> Iterator[Seen]:
    for number in range(600):
        sight = {"status": 429, "codes": ["limit.exceeded"], "path": "/", "route": "/", "address": "192.0.2.72"}
        yield start + number / 2, sight


def guessing(start: float) -> Iterator[Seen]:
    for number in range(300):
        sight = {"status": 401, "codes": ["key.invalid"], "path": "/me", "route": "/me", "address": "192.0.2.73"}
        yield start + number, sight


def leaking(start: float) -> Iterator[Seen]:
    for number in range(300):
        sight = {"status": 200, "route": "/export", "path": "/export", "principal": "person-3", "size": 10_000_000}
        yield start + number * 3, {**sight, "address": "198.51.3.1"}


def climbing(start: float) -> Iterator[Seen]:
    for number in range(12):
        sight = {"status": 403, "codes": ["auth.scope"], "route": f"/admin/{number}", "path": f"/admin/{number}"}
        yield start + number * 5, {**sight, "principal": "person-4", "address": "198.51.4.1", "token": "t4"}


ATTACKS = [
    (stuffing, {"credential_stuffing: address 192.0.2.66"}),
    (spread, {"stuffing_campaign: host the host"}),
    (targeted, {"distributed_guessing: account director", "password_guessing: account director"}),
    # Seven changes between eight networks are one too few for a replay.
    (shared, {"token_shared: token sold"}),
    (copied, {"refresh_reuse: principal person-6"}),
    (tampered, {"audit_tampering: host the host"}),
    (replayed, {"token_replay: token stolen"}),
    (scanning, {"path_scanning: address 192.0.2.67"}),
    (enumerating, {"object_enumeration: principal person-2"}),
    (probing, {"schema_probing: address 192.0.2.69"}),
    (malformed, {"protocol_probing: address 192.0.2.70"}),
    (scraping, {"scraping: address 192.0.2.71"}),
    (hammering, {"quota_abuse: address 192.0.2.72"}),
    (guessing, {"credential_guessing: address 192.0.2.73"}),
    (leaking, {"exfiltration: principal person-3"}),
    (climbing, {"privilege_probing: principal person-4"}),
]


@pytest.mark.parametrize(("attack", "expected"), ATTACKS)
def test_an_attack_in_an_ordinary_hour_is_found_and_nothing_else(attack: object, expected: set[str]) -> None:
    hour = [*ordinary(2, people=120), *attack(NOW + 900)]  # type: ignore[operator]
    hour.sort(key=lambda each: each[0])
    assert set(through(engine(), hour)) == expected


def test_each_detector_of_the_package_is_triggered_by_an_attack_of_these_tests() -> None:
    triggered = {found.partition(":")[0] for _, expected in ATTACKS for found in expected}
    elsewhere = {"unusual_volume", "unusual_errors", "unusual_bytes", "unusual_hour", "table_flooded"}
    assert triggered | elsewhere == {detector.name for detector in DETECTORS}


def test_a_flood_of_new_addresses_is_found_and_an_hour_of_ordinary_traffic_after_it_is_still_ordinary() -> None:
    monitor = engine()
    flood = [
        (
            NOW + number / 200,
            {"status": 404, "path": "/x", "address": f"45.{number >> 8 & 255}.{number & 255}.{number >> 16}"},
        )
        for number in range(monitor.places[0] * 2)
    ]
    assert through(monitor, flood) == ["table_flooded: host the host"]
    assert through(monitor, ordinary(4, NOW + 1200, people=60)) == []


def weeks(count: int) -> Iterator[Seen]:
    """Ten people at their desks, and a job each night."""
    chance = random.Random(7)
    monday = 1_795_392_000  # 2026-11-23 00:00 UTC
    for day in range(count * 7):
        midnight = monday + day * 86_400
        for number in range(400):
            yield (
                midnight + 7200 + number,
                {"status": 200, "route": "/x", "path": "/x", "principal": "job", "size": 9000},
            )
        if day % 7 >= 5:
            continue
        for hour in range(8, 17):
            moments = sorted(chance.uniform(0, 3600) for _ in range(chance.randrange(30, 120)))
            for number, moment in enumerate(moments):
                status = 404 if chance.random() < 0.02 else 200
                sight = {"status": status, "route": "/x", "path": "/x", "principal": f"desk-{number % 10}"}
                yield midnight + hour * 3600 + moment, {**sight, "size": 5000}


def test_weeks_of_ordinary_work_are_not_unusual_and_what_is_then_otherwise_is() -> None:
    monitor = engine()
    assert through(monitor, weeks(5)) == []
    start = 1_795_392_000 + 35 * 86_400
    night = [
        (start + 3 * 3600 + n, {"status": 200, "route": "/x", "path": "/x", "principal": "desk-1"}) for n in range(30)
    ]
    assert through(monitor, night) == ["unusual_hour: principal desk-1"]
    rush = [
        (start + 10 * 3600 + n, {"status": 200, "route": "/x", "path": "/x", "principal": "desk-2", "size": 200_000})
        for n in range(2000)
    ]
    assert through(monitor, rush) == ["unusual_bytes: principal desk-2", "unusual_volume: principal desk-2"]
    errors = [
        (start + 11 * 3600 + n, {"status": 404, "route": "/x", "path": "/x", "principal": "desk-3"}) for n in range(90)
    ]
    assert through(monitor, errors) == ["unusual_errors: principal desk-3"]


def test_a_sample_of_the_hour_through_the_whole_app_raises_no_alarm(watched: App, clock: Clock) -> None:
    app = watched()
    client = app.test_client()
    people: dict[tuple[str, str], object] = {}
    last = NOW
    asked = 0
    for time, sight in ordinary(3, people=12):
        if asked == 1500:
            break
        if sight.get("principal") == "nightly-export":
            continue
        asked += 1
        clock.advance(max(0.0, time - last))
        last = max(last, time)
        base = at(sight["address"])
        if "account" in sight:
            password = f"of {sight['account']}" if sight["login"] else "wrong"
            client.post("/login", query_string={"account": sight["account"], "password": password}, **base)
        elif "principal" in sight:
            key = (sight["principal"], sight["token"])
            if key not in people:
                people[key] = client.as_user(key[0], lifetime=7200)
            people[key].get(sight["path"], **base)  # type: ignore[attr-defined]
        else:
            client.get(sight["path"], **base)
    assert asked > 1000
    assert found(app) == []
    # And it was looked at.
    for number in range(60):
        client.get(f"/nothing/{number}", **at("192.0.2.1"))
    assert rules(app) == ["path_scanning"]
