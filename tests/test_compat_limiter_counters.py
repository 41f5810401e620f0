"""Which counter the face of Flask-Limiter charges: while a store is away, and where key functions have one name."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from flask import Flask, Response, request

from flask_rampart import Clock, Rampart

from .facing import LIMITER_FACES, limiter_app, standing_clock

THEIRS, OURS = LIMITER_FACES["theirs"], LIMITER_FACES["ours"]
AWAY = {"storage_uri": "redis://127.0.0.1:1/0", "SECRET_KEY": "x" * 32, "RAMPART_LIMIT_STORE_TIMEOUT": 0.05}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return standing_clock(monkeypatch)


@pytest.fixture(params=LIMITER_FACES, ids=str)
def face(request: pytest.FixtureRequest) -> ModuleType:
    """The incumbent, then ours."""
    return LIMITER_FACES[request.param]


def away_app(face: ModuleType, clock: Clock, limit: str = "5/day", **arguments: Any) -> tuple[Flask, Any]:
    away = AWAY if face is OURS else {"storage_uri": AWAY["storage_uri"]}
    app, limiter = limiter_app(face, clock, **away, **arguments)

    def index() -> str:
        return str(limiter.current_limit.remaining)

    app.add_url_rule("/", "index", limiter.limit(limit)(index))
    return app, limiter


def asked(app: Flask, count: int) -> list[int]:
    return [app.test_client().get("/").status_code for _ in range(count)]


# While a store elsewhere is away.


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"headers_enabled": True},
        {"meta_limits": ["1/day"]},
        {"application_limits": ["100/day"]},
        {"default_limits": ["1/day"], "on_breach": lambda limit: Response(str(limit.reset_at), 429)},
    ],
    ids=lambda arguments: "-".join(arguments) or "alone",
)
def test_the_limits_for_an_outage_hold_as_theirs(face: ModuleType, clock: Clock, arguments: dict[str, Any]) -> None:
    app, _ = away_app(face, clock, in_memory_fallback=["2/day"], **arguments)
    assert asked(app, 4) == [200, 200, 429, 429]


def test_what_is_left_in_an_outage_is_told_of_the_counter_that_was_charged(face: ModuleType, clock: Clock) -> None:
    app, _ = away_app(face, clock, in_memory_fallback=["2/day"], headers_enabled=True)
    answers = [app.test_client().get("/") for _ in range(2)]
    assert [answer.text for answer in answers] == ["1", "0"]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0"]


def test_meta_limits_count_in_an_outage(face: ModuleType, clock: Clock) -> None:
    app, _ = away_app(face, clock, in_memory_fallback=["1/minute"], meta_limits=["1/day"])
    assert asked(app, 2) == [200, 429]
    clock.advance(61)
    assert asked(app, 1) == [429]


@pytest.mark.parametrize("rampart", [False, True])
@pytest.mark.parametrize("key_func", [OURS.util.get_remote_address, lambda: "all"])
def test_headers_fail_no_answer_while_nobody_can_be_asked(
    clock: Clock, rampart: bool, key_func: Callable[[], str]
) -> None:
    for how, wanted in (("closed", 503), ("open", 200), ("local", 200)):
        app, limiter = limiter_app(OURS, clock, key_func, headers_enabled=True, RATELIMIT_ON_STORE_ERROR=how, **AWAY)
        if rampart:
            app.config["RAMPART_ACCESS_LOG"] = "off"
            Rampart(app, clock=clock)
        app.add_url_rule("/", "index", limiter.limit("2/day")(lambda: "in"))
        assert asked(app, 1) == [wanted]


def test_a_limit_for_an_outage_may_be_exempt(clock: Clock) -> None:
    spared = OURS.Limit("1/day", exempt_when=lambda: True)
    assert asked(away_app(OURS, clock, in_memory_fallback=[spared])[0], 1) == [500]  # the view reads a limit of none
    app, _ = limiter_app(OURS, clock, default_limits=["1/day"], in_memory_fallback=[spared], **AWAY)
    app.add_url_rule("/", "index", lambda: "in")
    assert asked(app, 3) == [200, 200, 200]


def test_limits_asked_again_by_hand_are_charged_again_in_an_outage(clock: Clock) -> None:
    app, limiter = away_app(OURS, clock, in_memory_fallback=["2/day"])
    with app.test_request_context("/"):
        limiter.check()
        limiter.check()
        with pytest.raises(OURS.RateLimitExceeded):
            limiter.check()


# Key functions of one name.


def two_lambdas(face: ModuleType, clock: Clock, text: str = "2/day", **inner: Any) -> tuple[Flask, Any]:
    app, limiter = limiter_app(face, clock)
    seen: list[int] = []

    def index() -> str:
        seen[:] = [limit.remaining for limit in limiter.current_limits]
        return " ".join(map(str, seen))

    by_user = limiter.limit(text, key_func=lambda: request.headers.get("X-U", "anon"), **inner)
    by_address = limiter.limit(text, key_func=lambda: request.remote_addr)
    app.add_url_rule("/", "index", by_address(by_user(index)), methods=["GET", "POST"])
    return app, limiter


@pytest.mark.parametrize(
    "inner", [{"exempt_when": lambda: "X-U" not in request.headers}, {"methods": ["POST"]}], ids=lambda inner: [*inner]
)
def test_no_client_chooses_its_counter_by_what_it_is_exempt_from(
    face: ModuleType, clock: Clock, inner: dict[str, Any]
) -> None:
    app, _ = two_lambdas(face, clock, **inner)
    found = [
        app.test_client()
        .open("/", method="GET" if nth % 2 else "POST", headers={} if nth % 2 else {"X-U": f"u{nth}"})
        .status_code
        for nth in range(8)
    ]
    assert found == [200, 200] + [429] * 6


def test_no_client_chooses_its_counter_by_saying_the_others_key(face: ModuleType, clock: Clock) -> None:
    app, _ = two_lambdas(face, clock, "4/day")
    users = ("a", "b", "c", "d", "127.0.0.1", "127.0.0.1")
    assert [app.test_client().get("/", headers={"X-U": user}).status_code for user in users] == [200] * 4 + [429] * 2


def test_what_is_left_is_told_of_each_of_two_lambdas(face: ModuleType, clock: Clock) -> None:
    app, _ = two_lambdas(face, clock, "5/day")
    found = [app.test_client().get("/", headers={"X-U": user}).text.split() for user in ("a", "b")]
    assert [sorted(told) for told in found] == [["4", "4"], ["3", "4"]]


def test_the_counter_of_one_of_two_lambdas_is_cleared(clock: Clock) -> None:
    app, _ = two_lambdas(OURS, clock, "1/day")
    assert asked(app, 2) == [200, 429]
    for key in ("anon", "127.0.0.1"):
        run = app.test_cli_runner().invoke(args=["limiter", "clear", "--key", key, "-y"])
        assert run.exit_code == 0, run.output
    assert asked(app, 2) == [200, 429]


def test_one_function_shares_a_limit_wherever_it_stands(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(face, clock)
    one, other = (lambda: "one"), (lambda: "other")
    by_one, by_other = (limiter.shared_limit("2/day", "all", key_func=by) for by in (one, other))
    again = limiter.shared_limit("2/day", "all", key_func=other)
    app.add_url_rule("/", "index", by_one(by_other(lambda: "in")))

    def alone() -> str:
        return "in"

    app.add_url_rule("/alone", "alone", again(alone))
    assert [app.test_client().get(path).status_code for path in ("/", "/alone", "/alone", "/")] == [200, 200, 429, 429]


def test_a_lambda_that_is_made_in_each_request_has_one_counter(face: ModuleType, clock: Clock) -> None:
    app, limiter = limiter_app(face, clock)

    def index() -> str:
        with limiter.limit("2/day", key_func=lambda: "all"):
            return "in"

    app.add_url_rule("/", "index", index)
    assert asked(app, 3) == [200, 200, 429]


def test_a_meta_limit_counts_by_whom_it_says(face: ModuleType, clock: Clock) -> None:
    for meta, last in (("1/day", 200), (face.MetaLimit("1/day"), 429)):
        app, limiter = limiter_app(face, clock)
        by_user = limiter.limit("1/minute", key_func=lambda: request.args["u"], meta_limits=[meta])
        app.add_url_rule("/", "index", by_user(lambda: "in"))
        assert [app.test_client().get(f"/?u={user}").status_code for user in (1, 1, 2)] == [200, 429, last]
