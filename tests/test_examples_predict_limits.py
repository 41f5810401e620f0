"""The example ``examples/predict_api``: its limits, its ban, its budget of words; and that the demo's judges of them
can say no."""

# ruff: noqa: F401, F811 - fixtures

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.client import HTTPMessage
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from examples.predict_api import writer
from examples.predict_api.app import WORDS, create_app, rampart
from examples.predict_api.attacks.limits import PLACES, PROBES
from examples.predict_api.attempts import Judge
from examples.predict_api.classifier import Classifier
from examples.predict_api.client import Answer
from examples.predict_api.judges import POLICY, banned, heard, one_waits, over, paid, seen, spent
from flask_rampart import Clock
from flask_rampart.cli import commands
from flask_rampart.testing import frozen

from .predicting import ADA, GRACE, QUIET, TICKET, bearer, client, files, got, login, shared

HERE, THERE = ({"REMOTE_ADDR": address} for address in ("192.0.2.1", "192.0.2.2"))


@pytest.fixture
def app(files: dict[str, str], tmp_path: Path) -> Iterator[Flask]:
    """The app by a clock that stands, with counters that the command line finds, and a model that takes no time."""
    (tmp_path / "counters").mkdir(mode=0o700)
    counters = {"RAMPART_LIMIT_STORE": f"shm://{tmp_path}/counters", "TESTING": True}
    with pytest.MonkeyPatch.context() as patch, frozen(rampart):
        patch.setattr(writer, "PAUSE", 0)
        yield create_app({**files, **QUIET, **counters})


@pytest.fixture
def clock(app: Flask) -> Clock:
    return rampart._given.clock


# --- Addresses ---


def test_the_sixth_login_of_a_minute_that_fails_is_refused(client: FlaskClient) -> None:
    # Bodies that are refused cost no password hash, and count all the same.
    statuses = [client.post("/login", json={}).status_code for _ in range(6)]
    assert statuses == [422] * 5 + [429]


def test_who_signs_in_is_not_counted(client: FlaskClient) -> None:
    assert {login(client, *ADA).status_code for _ in range(7)} == {200}


def guess(client: FlaskClient, times: int) -> list[tuple[int, str]]:
    return [got(client.post("/login", json={}, environ_overrides=HERE)) for _ in range(times)]


def test_who_goes_on_guessing_is_shut_out_of_everything_before_flask_and_nobody_else_is(client: FlaskClient) -> None:
    assert guess(client, 8) == [(422, "body.invalid")] * 5 + [(429, "limit.exceeded")] * 3
    for path in ("/health", "/models", "/login", "/nowhere"):
        shut = client.get(path, environ_overrides=HERE)
        assert got(shut) == (429, "limit.banned")
        assert shut.headers["Retry-After"] == "900"
        assert "Server-Timing" not in shut.headers
        assert got(client.get(path, environ_overrides=THERE)) != (429, "limit.banned")
    right = {"email": GRACE[0], "password": GRACE[1]}
    assert got(client.post("/login", json=right, environ_overrides=HERE)) == (429, "limit.banned")
    assert got(client.post("/login", json=right, environ_overrides=THERE)) == (200, "")


def test_a_ban_ends_by_itself(client: FlaskClient, clock: Clock) -> None:
    guess(client, 8)
    clock.advance(899)
    assert got(client.get("/health", environ_overrides=HERE)) == (429, "limit.banned")
    clock.advance(1)
    assert got(client.get("/health", environ_overrides=HERE)) == (200, "")


def test_a_ban_ends_by_the_command_line(app: Flask, client: FlaskClient) -> None:
    guess(client, 8)
    done = app.test_cli_runner().invoke(commands, ["unban", HERE["REMOTE_ADDR"]])
    assert done.exit_code == 0, done.output
    assert got(client.get("/health", environ_overrides=HERE)) == (200, "")


def test_a_scan_of_paths_is_stopped_before_flask(client: FlaskClient) -> None:
    paths = [place + probe for place in PLACES for probe in PROBES]
    assert len(paths) == len(set(paths)) == 150
    answers = [client.get(path, environ_overrides=HERE) for path in paths]
    assert {got(answer) for answer in answers[:100]} == {(404, "")}
    assert {got(answer) for answer in answers[100:]} == {(429, "limit.exceeded")}
    assert all(("Server-Timing" in answer.headers) == (answer.status_code == 404) for answer in answers)
    assert got(client.get("/health", environ_overrides=THERE)) == (200, "")


# --- Words ---


def draft(client: FlaskClient, caller: str, **body: object) -> TestResponse:
    return client.post("/draft", json={**TICKET, **body}, headers=bearer(caller), buffered=True)


def left(answer: TestResponse) -> int:
    return Answer(200, headers(**answer.headers), b"", 0, 0).left(POLICY)


def headers(**values: str) -> HTTPMessage:
    message = HTTPMessage()
    for name, value in values.items():
        message[name.replace("_", "-")] = value
    return message


@pytest.mark.parametrize("label", Classifier.load().labels)
def test_there_is_a_reply_for_each_label_that_is_shorter_than_its_estimate(label: str) -> None:
    assert 20 < len(list(writer.write(label, 100))) < 40


def test_a_draft_comes_as_events_word_by_word(client: FlaskClient) -> None:
    answer = draft(client, "u-ada", max_words=3)
    assert answer.mimetype == "text/event-stream"
    assert answer.data == b"data: Thank\n\ndata: you\n\ndata: for\n\n"


def test_a_draft_is_charged_its_estimate_first_and_its_words_in_the_end(client: FlaskClient) -> None:
    first = draft(client, "u-ada")
    assert first.data.count(b"data: ") == 24
    assert left(first) == 60
    assert left(draft(client, "u-ada", max_words=1)) == 100 - 24 - 1


def test_who_leaves_pays_for_what_was_written(client: FlaskClient) -> None:
    answer = client.post("/draft", json=TICKET, headers=bearer("u-ada"))
    body = iter(answer.response)
    for _ in range(6):
        next(body)
    answer.close()
    assert left(draft(client, "u-ada", max_words=1)) == 100 - 6 - 1


def test_what_is_held_is_not_there_twice(client: FlaskClient) -> None:
    under_way = client.post("/draft", json={**TICKET, "max_words": 60}, headers=bearer("u-ada"))
    assert got(draft(client, "u-ada", max_words=60)) == (429, "limit.exceeded")
    assert draft(client, "u-grace", max_words=60).status_code == 200
    under_way.close()
    assert draft(client, "u-ada", max_words=60).status_code == 200


def test_a_draft_beyond_the_budget_is_refused_and_says_which(client: FlaskClient, clock: Clock) -> None:
    *good, last = [draft(client, "u-ada") for _ in range(4)]
    assert [answer.status_code for answer in good] == [200] * 3
    assert got(last) == (429, "limit.exceeded")
    assert last.json is not None
    assert last.json["violated-policies"] == [POLICY]
    # 28 words are left of 100, and 40 are asked; 12 words are 7.2 seconds.
    assert last.headers["Retry-After"] == "8"
    clock.advance(8)
    assert draft(client, "u-ada").status_code == 200


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"max_words": 0}, (422, "body.invalid")),
        ({"max_words": 101}, (422, "body.invalid")),
        ({"max_words": 1.5}, (422, "body.invalid")),
        ({"max_words": "9"}, (422, "body.invalid")),
        ({"max_words": 1.0}, (200, "")),  # an integer, for JSON Schema
        ({"max_words": 100}, (200, "")),
        ({"more": 1}, (422, "body.invalid")),
    ],
)
def test_a_draft_is_asked_for_in_words(client: FlaskClient, body: dict[str, object], expected: tuple[int, str]) -> None:
    answer = draft(client, "u-ada", **body)
    assert (answer.status_code, (answer.get_json(silent=True) or {}).get("code", "")) == expected


def test_a_draft_that_is_refused_for_its_body_or_scope_costs_nothing(client: FlaskClient) -> None:
    assert got(client.post("/draft", json=TICKET)) == (401, "auth.missing")
    assert got(client.post("/draft", json=TICKET, headers=bearer(scope="read"))) == (403, "auth.scope")
    for _ in range(3):
        assert got(draft(client, "u-ada", max_words=101)) == (422, "body.invalid")
    assert left(draft(client, "u-ada")) == 60


# --- The demo's judges ---


def answer(status: int, code: str = "", *, flask: bool = True, at: float = 0, body: bytes = b"", **told: str) -> Answer:
    """An answer that the demo could have got."""
    sent = headers(**told)
    if code:
        sent["Content-Type"] = "application/problem+json"
        body = json.dumps({"code": code, "violated-policies": [POLICY]}).encode()
    if flask:
        sent["Server-Timing"] = "flask"
    return Answer(status, sent, body, at, 0.1)


WRONG = answer(401, "login.failed")
EXCEEDED = answer(429, "limit.exceeded")
AT_THE_EDGE = answer(429, "limit.exceeded", flask=False)
SHUT = answer(429, "limit.banned", flask=False, Retry_After="899")
NOTHING = answer(404)
DRAFT = b"data: x\n\n" * 24


def drafts(at_first: int, afterwards: int, words: int = 24) -> list[Answer]:
    return [
        answer(200, body=DRAFT[: words * 9], RateLimit=f'"{POLICY}";r={at_first};t=24'),
        answer(200, at=0.5, RateLimit=f'"{POLICY}";r={afterwards};t=15'),
    ]


@pytest.mark.parametrize(
    ("judge", "answers"),
    [
        (banned, [SHUT, SHUT]),
        (heard(5, 3), [WRONG] * 5 + [EXCEEDED] * 3 + [SHUT] * 42),
        (heard(5, 3), [WRONG] * 5 + [EXCEEDED] * 6 + [SHUT] * 39),  # some were under way
        (heard(5, 3), [WRONG] * 5 + [EXCEEDED] * 45),  # all were
        (seen(100, 20), [NOTHING] * 101 + [AT_THE_EDGE] * 49),
        (paid(40), drafts(60, 75)),
        (paid(40), drafts(60, 76)),  # time gave one back
        (paid(40), drafts(60, 75)[::-1]),
        (one_waits, [answer(200), EXCEEDED, answer(200)]),
        (spent(3), [answer(200)] * 3 + [EXCEEDED]),
    ],
)
def test_the_demos_judges_say_yes(judge: Judge, answers: Sequence[Answer]) -> None:
    assert judge(answers)[1] == ""


@pytest.mark.parametrize(
    ("judge", "answers"),
    [
        (banned, [SHUT, EXCEEDED]),
        (banned, [SHUT, answer(200)]),
        (banned, [answer(429, "limit.banned", Retry_After="899")]),  # after Flask
        (banned, [answer(429, "limit.banned", flask=False)]),
        (banned, [answer(429, "limit.banned", flask=False, Retry_After="60")]),
        (banned, [answer(429, "limit.banned", flask=False, Retry_After="901")]),
        (heard(5, 3), [WRONG] * 6 + [EXCEEDED] * 3 + [SHUT] * 41),
        (heard(5, 3), [WRONG] * 4 + [EXCEEDED] * 3 + [SHUT] * 43),
        (heard(5, 3), [WRONG] * 5 + [EXCEEDED] * 2 + [SHUT] * 43),
        (heard(5, 3), [WRONG] * 5 + [EXCEEDED] * 3 + [answer(429, "limit.banned")] * 42),
        (heard(5, 3), [WRONG] * 5 + [EXCEEDED] * 3 + [SHUT] * 41 + [answer(500)]),
        (seen(100, 20), [NOTHING] * 150),
        (seen(100, 20), [NOTHING] * 99 + [AT_THE_EDGE] * 51),
        (seen(100, 20), [NOTHING] * 120 + [AT_THE_EDGE] * 30),
        (seen(100, 20), [NOTHING] * 101 + [EXCEEDED] * 49),  # Flask saw those, too
        (seen(100, 20), [answer(404, flask=False)] * 101 + [AT_THE_EDGE] * 49),
        (paid(40), drafts(100, 75)),  # nothing was held
        (paid(40), drafts(76, 75)),
        (paid(40), drafts(60, 59)),  # never settled
        (paid(40), drafts(60, 99)),  # all came back
        (paid(40), drafts(60, 74)),
        (paid(40), drafts(60, 75, words=8)),  # whoever left paid for all
        (paid(40), drafts(60, 99, words=0)),
        (paid(40), [answer(200), answer(200)]),  # nothing is told
        (paid(40), [EXCEEDED, answer(200)]),
        (one_waits, [answer(200)] * 3),
        (one_waits, [answer(200), EXCEEDED, EXCEEDED]),
        (one_waits, [answer(200), SHUT, answer(200)]),
        (spent(3), [answer(200)] * 4 + [EXCEEDED]),
        (spent(3), [answer(200)] * 2 + [EXCEEDED]),
        (spent(3), [answer(200)] * 3 + [SHUT]),
        (spent(3), [answer(200)] * 10),
    ],
)
def test_the_demos_judges_say_no(judge: Judge, answers: Sequence[Answer]) -> None:
    assert judge(answers)[1] != ""


def test_a_refusal_has_to_name_the_quota() -> None:
    assert over(EXCEEDED) == ""
    other = replace(EXCEEDED, body=EXCEEDED.body.replace(POLICY.encode(), b"60/minute"))
    assert POLICY in over(other)


def test_the_demo_and_the_api_mean_the_same_budget() -> None:
    assert POLICY == WORDS
