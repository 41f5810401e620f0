"""What a client is told of limits: when to come back, to the second; how much is left; in fields that a parser can read."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Blueprint, Flask, Response, request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flask_rampart import Clock, Denied, Rampart, limit, require
from flask_rampart._native import LimitSet, LimitStore, Quota
from flask_rampart.limits import Limits, calendar

from .conftest import KEYS, NOW, bearer

App = Callable[..., Flask]
Sign = Callable[..., str]


def until_refused(app: Flask, path: str = "/", **more: Any) -> Any:
    """The first answer that is a refusal."""
    client = app.test_client()
    for _ in range(50):
        answer = client.get(path, **more)
        if answer.status_code == 429:
            return answer
        assert answer.status_code == 200
    raise AssertionError("it refuses nobody")


def is_exact(app: Flask, clock: Clock, path: str = "/", **more: Any) -> int:
    """Asserts that whoever waits as long as a refusal says passes, and one second earlier does not; what it said."""
    wait = int(until_refused(app, path, **more).headers["Retry-After"])
    client = app.test_client()
    assert wait >= 1
    clock.advance(wait - 1)
    assert client.get(path, **more).status_code == 429, f"a second before the {wait} s are over"
    clock.advance(1)
    assert client.get(path, **more).status_code == 200, f"after {wait} s"
    return wait


RATES = [
    "1/second",
    "5/minute",
    "60/minute burst 3",
    "7/hour",
    "7/hour burst 1",
    "3/7 seconds",
    "1000/day burst 2",
    "2/month",
    "1/year",
    "3/10 seconds sliding",
    "7/minute sliding",
    "5/hour sliding",
    "4/hour fixed",
    "5/10 minutes fixed",
    "3/day fixed",
    "2/month fixed",
    "2/year fixed",
    "2/second; 5/minute; 9/hour fixed",
    "3/minute sliding; 2/10 seconds fixed",
]


@pytest.mark.parametrize("offset", [0, 0.25, 1234.999])
@pytest.mark.parametrize("quota", RATES)
def test_whoever_waits_as_long_as_it_says_passes_and_nobody_earlier(
    make_app: App, clock: Clock, quota: str, offset: float
) -> None:
    # flask-limiter#3, #47, #279: without `headers_enabled` there is no Retry-After at all.
    app = make_app()
    app.get("/")(limit(quota)(lambda: "ok"))
    clock.advance(offset)
    for _ in range(4):
        is_exact(app, clock)
        clock.advance(0.75)


@pytest.mark.parametrize("cost", [1, 2, 5])
@pytest.mark.parametrize("quota", ["5/minute", "5/hour fixed", "5/hour sliding"])
def test_the_wait_is_that_of_the_cost(make_app: App, clock: Clock, quota: str, cost: int) -> None:
    app = make_app()
    app.get("/")(limit(quota, cost=cost)(lambda: "ok"))
    for _ in range(4):
        is_exact(app, clock)
        clock.advance(1.5)


# Days that are longer or shorter, clocks that are set at midnight, by half an hour, or over a whole day.
DAYS = [
    ("Europe/Berlin", "2026-10-25"),
    ("Europe/Berlin", "2027-03-28"),
    ("America/New_York", "2026-11-01"),
    ("America/Havana", "2026-03-08"),
    ("America/Havana", "2026-11-01"),
    ("Africa/Cairo", "2026-04-24"),
    ("Australia/Lord_Howe", "2027-04-04"),
    ("Asia/Kathmandu", "2026-12-31"),
    ("Pacific/Apia", "2011-12-29"),
]


@pytest.mark.parametrize("length", ["30 minutes", "6 hours", "day", "month"])
@pytest.mark.parametrize(("zone", "day"), DAYS)
def test_the_wait_is_right_on_the_days_when_clocks_are_set(zone: str, day: str, length: str) -> None:
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).timestamp()
    for hours in (-3, -0.5, 0, 0.9, 1.5, 2.5, 11, 23.4, 24.2):
        clock = Clock.manual(midnight + hours * 3600)
        app = Flask("days")
        app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
        Rampart(app, clock=clock)
        app.get("/")(limit(f"2/{length} fixed {zone}")(lambda: "ok"))
        for _ in range(3):
            before = clock.now()
            is_exact(app, clock)
            if length == "day":
                # It is another day there, and the first moment of it.
                then, earlier = (datetime.fromtimestamp(at, ZoneInfo(zone)) for at in (clock.now(), clock.now() - 1))
                assert then.date() > earlier.date() >= datetime.fromtimestamp(before, ZoneInfo(zone)).date()


def test_every_429_says_when_whoever_gives_it(make_app: App, clock: Clock, token: Sign, tmp_path: Path) -> None:
    app = make_app(rampart=False)
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", RAMPART_LIMITS="300/hour")
    app.config.update(
        RAMPART_JWT_KEYS=KEYS, RAMPART_API_KEYS=True, RAMPART_STORE=f"sqlite:///{tmp_path}/records.sqlite3"
    )
    rampart = Rampart(app, clock=clock)

    @app.get("/reserved")
    def reserved() -> str:
        rampart.reserve("4/hour", cost=2, by="address")
        return "ok"

    app.get("/address")(limit("2/hour")(lambda: "ok"))
    app.get("/principal")(require()(limit("2/hour", by="principal")(lambda: "ok")))
    app.get("/failures")(limit("2/hour", count=lambda response: True)(lambda: "ok"))
    app.get("/hidden")(_opaque(limit("2/hour", by=lambda: "x")(lambda: "ok")))
    app.get("/key")(require("api_key")(lambda: "ok"))
    app.get("/all")(lambda: "ok")
    bearing = bearer(token(exp=NOW + 900_000))
    with app.app_context():
        keyed = {"X-API-Key": rampart.api_keys.create("ci", quota="2/hour").key}
    for path in ("/address", "/principal", "/failures", "/hidden", "/reserved"):
        is_exact(app, clock, path, headers=bearing)
    is_exact(app, clock, "/key", headers=keyed)
    # The application's own, before Flask; and a ban.
    while app.test_client().get("/absent").status_code == 404:
        pass
    is_exact(app, clock, "/all")
    app.extensions["rampart"].services[Limits].bans.ban("address", "127.0.0.1", 61.5)
    assert app.test_client().get("/all").headers["Retry-After"] == "62"
    clock.advance(61)
    assert app.test_client().get("/all").headers["Retry-After"] == "1"
    clock.advance(0.5)
    assert app.test_client().get("/all").status_code == 200


def _opaque(view: Any) -> Any:
    """What a decorator without ``functools.wraps`` makes, which hides what it decorates."""

    def hidden(*arguments: Any, **more: Any) -> Any:
        return view(*arguments, **more)

    return hidden


# Whoever words the answer


@pytest.mark.parametrize("where", ["app", "class", "blueprint"])
def test_an_error_handler_of_the_app_s_loses_no_retry_after(make_app: App, where: str) -> None:
    # flask-limiter#276, #279: a handler for 429 has neither the time nor the field.
    app = make_app()
    seen = []

    def handle(error: Any) -> tuple[dict[str, str], int]:
        seen.append(error)
        return {"error": "slow down"}, 429

    blueprint = Blueprint("b", __name__)
    if where == "app":
        app.register_error_handler(429, handle)
    elif where == "class":
        app.register_error_handler(Denied, handle)
    else:
        blueprint.register_error_handler(429, handle)
    blueprint.get("/")(limit("1/hour")(lambda: "ok"))
    blueprint.get("/hidden")(_opaque(limit("1/hour")(lambda: "ok")))
    app.register_blueprint(blueprint)
    for path in ("/", "/hidden"):
        answer = until_refused(app, path)
        assert answer.json == {"error": "slow down"}
        assert answer.headers.getlist("Retry-After") == ["3600"]
        assert answer.headers["RateLimit"] == '"1/hour";r=0;t=3600'
    # And it may say so itself.
    assert dict(seen[0].extra_headers)["Retry-After"] == "3600"


def test_what_the_handler_sets_stays_and_another_status_gets_nothing(make_app: App) -> None:
    app = make_app()
    app.register_error_handler(429, lambda error: Response("", int(request.args["as"]), {"Retry-After": "7"}))
    app.get("/")(limit("1/hour")(lambda: "ok"))
    until_refused(app, "/?as=429")
    assert app.test_client().get("/?as=429").headers.getlist("Retry-After") == ["7"]
    app = make_app()
    app.register_error_handler(429, lambda error: ("", 404))
    app.get("/")(limit("1/hour")(lambda: "ok"))
    app.test_client().get("/")
    hidden = app.test_client().get("/")
    assert (hidden.status_code, "Retry-After" in hidden.headers) == (404, False)


def test_what_a_challenge_says_is_not_lost_either(make_app: App) -> None:
    # RFC 9110 section 15.5.2: a 401 has a WWW-Authenticate.
    app = make_app(RAMPART_API_KEYS=True)
    app.register_error_handler(401, lambda error: ({"error": "who are you?"}, 401))
    app.get("/")(require()(lambda: "ok"))
    answer = app.test_client().get("/")
    assert answer.json == {"error": "who are you?"}
    assert [field.split()[0] for field in answer.headers.getlist("WWW-Authenticate")] == ["Bearer", "ApiKey"]


# Fields


def parsed(field: str) -> list[tuple[str, dict[str, Any]]]:
    """A list of strings with parameters, read as strictly as RFC 9651 sections 4.2.1 to 4.2.5 do."""
    items = []
    rest = field
    while True:
        found = re.match(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"', rest)
        assert found, f"no string at {rest!r}"
        name, rest = re.sub(r"\\(.)", r"\1", found[1]), rest[found.end() :]
        parameters: dict[str, Any] = {}
        while rest.startswith(";"):
            found = re.match(r';\x20*([a-z*][a-z0-9_.*-]*)=(-?[0-9]{1,15}|"[^"\\\x00-\x1f\x7f-\xff]*")(?![0-9.])', rest)
            assert found, f"no parameter at {rest!r}"
            assert found[1] not in parameters
            parameters[found[1]] = found[2].strip('"') if found[2].startswith('"') else int(found[2])
            rest = rest[found.end() :]
        items.append((name, parameters))
        if not rest:
            return items
        found = re.match(r"[ \t]*,[ \t]*(?=.)", rest)
        assert found, f"no comma at {rest!r}"
        rest = rest[found.end() :]


@pytest.mark.parametrize("wrong", ["", "a;q=1", '"a";q=1,', '"a";Q=1', '"a";q=1.5', '"a" ;q=1', '"a\x7f";q=1', '"a"b'])
def test_what_reads_the_fields_here_is_strict(wrong: str) -> None:
    with pytest.raises(AssertionError):
        parsed(wrong)


_UNITS = st.sampled_from(["second", "minute", "hour", "day", "month", "year"])
_FREE = st.builds(
    lambda count, every, unit, rule: f"{count} per {every} {unit}{rule}",
    st.integers(1, 100_000), st.integers(1, 6), _UNITS, st.sampled_from(["", " burst 1", " sliding"]),
)  # fmt: skip
# Windows of the calendar are as long as its parts.
_FIXED = st.builds(
    lambda count, unit, zone: f"{count}/{unit} fixed{zone}",
    st.integers(1, 100_000), _UNITS, st.sampled_from(["", " America/Argentina/Buenos_Aires"]),
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_FREE | _FIXED, min_size=1, max_size=5), st.integers(0, 3), st.floats(0, 1e6))
def test_the_fields_are_structured_fields_of_the_draft_whatever_the_quotas(
    quotas: list[str], spent: int, later: float
) -> None:
    # draft-ietf-httpapi-ratelimit-headers-10 sections 3 and 4.
    clock = Clock.manual(NOW)
    entries: list[Any] = [(f"s{at}", Quota.parse(quota), "text") for at, quota in enumerate(quotas)]
    limits = LimitSet(LimitStore.local(clock, keys=100), entries, windows=calendar.window)
    policies = parsed(limits.policy)
    assert len(policies) == len(quotas)
    assert len({name for name, _ in policies}) == len(quotas), "each has a name of its own"
    for name, parameters in policies:
        assert name
        assert parameters["q"] >= 1
        assert parameters["w"] >= 1
    for _ in range(spent + 1):
        verdict = limits.check(("a",) * len(quotas))
        clock.advance(later / 7)
        ((name, parameters),) = parsed(verdict.fields)
        assert name in dict(policies)
        assert 0 <= parameters["r"] <= dict(policies)[name]["q"]
        assert parameters["t"] >= 0
        # Retry-After wins, and is not earlier than t.
        assert verdict.admitted or verdict.retry_after >= max(parameters["t"], 1)


def test_the_fields_of_an_answer_can_be_read(make_app: App) -> None:
    app = make_app(RAMPART_LIMITS="1000/hour; 20/second burst 40")
    app.get("/")(limit("2/hour")(limit("100/day fixed Europe/Berlin", by=lambda: "x")(lambda: "ok")))
    for path in ("/", "/", "/", "/absent"):
        answer = app.test_client().get(path)
        ((name, state),) = parsed(answer.headers["RateLimit"])
        assert name in dict(parsed(answer.headers["RateLimit-Policy"]))
        assert set(state) == {"r", "t"}
        assert answer.headers.getlist("RateLimit") == [answer.headers["RateLimit"]]


FIELDS = ("RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


@pytest.mark.parametrize(
    ("setting", "fields"), [("draft", FIELDS[:2]), ("legacy", FIELDS[2:]), ("both", FIELDS), ("off", ())]
)
def test_who_needs_other_fields_says_so_and_retry_after_is_always_there(
    make_app: App, setting: str, fields: tuple[str, ...]
) -> None:
    # flask-limiter#279; openfga/dotnet-sdk#76 and auth0/go-auth0#258: is a reset an instant or a length?
    app = make_app(RAMPART_LIMIT_HEADERS=setting)
    app.get("/")(limit("2/hour")(lambda: "ok"))
    first = app.test_client().get("/")
    assert [field for field in FIELDS if field in first.headers] == list(fields)
    assert "Retry-After" not in first.headers
    refused = until_refused(app)
    assert [field for field in FIELDS if field in refused.headers] == list(fields)
    assert refused.headers["Retry-After"] == "1800"
    if "X-RateLimit-Reset" in fields:
        told = [[answer.headers[field] for field in FIELDS[2:]] for answer in (first, refused)]
        assert told == [["2", "1", str(NOW + 1800)], ["2", "0", str(NOW + 1800)]]


def test_the_problem_names_what_was_violated_and_nothing_of_the_caller(make_app: App) -> None:
    # RFC 9457; draft-ietf-httpapi-ratelimit-headers-10 section 6.
    app = make_app()
    app.post("/")(limit("2/hour; 1/minute", by="json:email")(lambda: "ok"))
    answer = [app.test_client().post("/?secret=s3cret", json={"email": "ada@example.com"}) for _ in range(2)][1]
    assert answer.headers["Content-Type"] == "application/problem+json"
    document = answer.get_json()
    assert document.pop("request_id") == answer.headers["X-Request-Id"]
    assert document == {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "Too many requests; see Retry-After.",
        "code": "limit.exceeded",
        "violated-policies": ["1/minute"],
    }
    assert not re.search("ada|s3cret|127", answer.text.replace(answer.headers["X-Request-Id"], ""))
    assert not re.search("ada|s3cret|127", str(answer.headers).replace(answer.headers["X-Request-Id"], ""))
