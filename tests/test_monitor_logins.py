"""Attempts to log in: what makes a place known, what counts, and what an attacker can have counted otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask, Response, abort, request

from flask_rampart import Clock, Rampart
from flask_rampart.audit import Audit
from flask_rampart.audit.reading import Log
from flask_rampart.monitor import DETECTORS, replay, sights_of

from .monitoring import App, at, found, monitor_of, rules
from .monitoring import watched as watched

THIEF, HOME = "203.0.113.7", "198.51.100.1"


def attacked(watched: App, clock: Clock, mode: str = "enforce") -> tuple[Flask, Rampart]:
    """An app with a second factor, while somebody guesses the password of ada."""
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart, RAMPART_MONITOR=mode)

    @app.post("/first")
    def first() -> Any:
        attempt = rampart.monitor.login("ada")
        if request.args["password"] != "right":
            abort(401)
        if attempt.step_up:
            return {"next": "code"}
        return {"token": "issued"}

    @app.post("/second")
    def second() -> Any:
        attempt = rampart.monitor.login("ada")
        if request.args["code"] != "123456":
            abort(401)
        attempt.succeeded()
        return {"token": "issued"}

    client = app.test_client()
    for number in range(12):
        client.post("/first?password=wrong", **at(f"45.{number}.0.1"))
    return app, rampart


def test_who_is_asked_for_a_second_factor_is_asked_again_until_it_was_right(watched: App, clock: Clock) -> None:
    app, _ = attacked(watched, clock)
    client = app.test_client()
    # Whoever has the password and not the code: the page that asks for it is a 200 of a login view.
    for _ in range(4):
        assert client.post("/first?password=right", **at(THIEF)).json == {"next": "code"}
    assert not monitor_of(app).state.knows("ada", THIEF)
    assert client.post("/second?code=123456", **at(HOME)).status_code == 200
    assert monitor_of(app).state.knows("ada", HOME)
    assert client.post("/first?password=right", **at(HOME)).json == {"token": "issued"}


def test_half_a_login_is_no_success_and_no_failure_and_is_recorded_as_neither(
    watched: App, clock: Clock, tmp_path: Any
) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart, RAMPART_AUDIT_LOG=str(tmp_path / "audit"))

    @app.post("/first")
    def first() -> str:
        attempt = rampart.monitor.login("ada")
        if "code" in request.args:
            attempt.succeeded()
        else:
            attempt.pending()
        return "your code, please"

    client = app.test_client()
    for _ in range(20):
        client.post("/first", **at(THIEF))
    assert rules(app) == []
    assert not monitor_of(app).state.knows("ada", THIEF)
    client.post("/first?code=1", **at(HOME))
    app.extensions["rampart"].services[Audit].close()
    assert [record["login"] for record in Log(tmp_path / "audit").records() if "login" in record] == [True]


def test_a_wrong_password_under_attack_is_still_a_failure(watched: App, clock: Clock) -> None:
    app, _ = attacked(watched, clock)
    client = app.test_client()
    clock.advance(1800)
    before = len(found(app))
    for number in range(12):
        client.post("/first?password=wrong", **at(f"46.{number}.0.1"))
    assert len(found(app)) > before


@pytest.mark.parametrize("raises", [True, False])
def test_an_outage_of_the_login_is_nobodys_wrong_password(watched: App, clock: Clock, raises: bool) -> None:
    # An office behind one address, and an identity provider that is away.
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")

    @app.post("/first")
    def first() -> Any:
        rampart.monitor.login(request.args["account"])
        if raises:
            raise RuntimeError("the directory is away")
        abort(503)

    client = app.test_client()
    statuses = {client.post(f"/first?account=u{n}", **at(HOME)).status_code for n in range(30)}
    assert statuses == {500 if raises else 503}
    assert rules(app) == []
    assert not monitor_of(app).state.knows("u0", HOME)


def test_a_login_whose_answer_breaks_before_its_first_chunk_is_no_success(
    watched: App, clock: Clock, tmp_path: Any
) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce", RAMPART_AUDIT_LOG="audit")

    @app.post("/streamed")
    def streamed() -> Response:
        rampart.monitor.login("ada")
        broken = request.args["how"] == "broken"
        return Response(str(1 // n) for n in ((0,) if broken else (1, 1)))

    client = app.test_client()
    with pytest.raises(ZeroDivisionError):
        client.post("/streamed?how=broken", **at(HOME))
    # What the server answered is 500: the directory was away, as far as anybody knows.
    assert not monitor_of(app).state.knows("ada", HOME)
    assert client.post("/streamed?how=whole", **at(HOME)).status_code == 200
    events = [record["event"] for record in Log(tmp_path / "audit").records()]
    assert [event for event in events if event.startswith("authn_login")] == ["authn_login_success"]


def test_a_login_is_known_and_recorded_before_any_of_its_answer_leaves(
    watched: App, clock: Clock, tmp_path: Any
) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce", RAMPART_AUDIT_LOG="audit")

    @app.post("/streamed")
    def streamed() -> Response:
        rampart.monitor.login("ada").succeeded()
        return Response(["first", "second"])

    answer = app.test_client().post("/streamed", buffered=False, **at(HOME))
    assert next(answer.response) == b"first"
    assert monitor_of(app).state.knows("ada", HOME)
    assert "authn_login_success" in [record["event"] for record in Log(tmp_path / "audit").records()]
    answer.close()


def test_a_form_that_is_shown_again_after_a_wrong_password_makes_no_guesser_at_home_and_is_told_of(
    watched: App, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")

    @app.post("/form")
    def form() -> Any:
        rampart.monitor.login(request.args["account"])
        return "wrong password, try again"

    client = app.test_client()
    for number in range(40):
        client.post(f"/form?account=user-{number}", **at(THIEF))
    for _ in range(9):
        client.post("/form?account=ada", **at(THIEF))
    clock.advance(61)
    for _ in range(9):
        client.post("/form?account=ada", **at(THIEF))
    assert "by the status of the answer alone" not in caplog.text
    for _ in range(20):
        client.post("/form?account=ada", **at(THIEF))
    assert caplog.text.count("by the status of the answer alone") == 1
    assert "ada" not in caplog.text
    assert not monitor_of(app).state.knows("ada", THIEF)


def batched(watched: App, clock: Clock, mode: str = "enforce") -> tuple[Flask, Rampart]:
    """An app that takes many logins in one request, as batches of GraphQL do, and answers 200."""
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart, RAMPART_MONITOR=mode)

    @app.post("/batch")
    def batch() -> Any:
        for account, ok in request.get_json():
            attempt = rampart.monitor.login(account)
            if ok is not None:
                (attempt.succeeded if ok else attempt.failed)()
        return {"data": []}

    return app, rampart


@pytest.mark.parametrize("said", [False, None])
def test_each_attempt_of_a_batch_is_counted(watched: App, clock: Clock, said: bool | None) -> None:
    # OWASP GraphQL Cheat Sheet, "Batching Attacks": a login with one's own name comes last.
    app, _ = batched(watched, clock, "report")
    body = [[f"user-{number}", said] for number in range(100)] + [["mallory", True]]
    assert app.test_client().post("/batch", json=body, **at(THIEF)).status_code == 200
    assert [(finding.rule, finding.subject) for finding in found(app)] == [("credential_stuffing", THIEF)]


@pytest.mark.parametrize(
    ("site", "words"), [("same-origin", "parts of pages"), ("cross-site", "Pages of other sites")], ids=str
)
def test_each_attempt_of_a_batch_is_counted_with_those_of_its_kind_of_page(
    watched: App, clock: Clock, caplog: pytest.LogCaptureFixture, site: str, words: str
) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart)

    @app.post("/batch")
    def batch() -> str:
        for number in range(40):
            rampart.monitor.login(f"user-{number}").failed()
        return "ok"

    frame = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
    app.test_client().post("/batch", headers=frame, **at(THIEF))
    assert rules(app) == ["credential_stuffing"]
    assert words in caplog.text


@pytest.mark.parametrize("copies", [True, False])
def test_each_login_that_a_middleware_makes_of_one_request_is_counted(watched: App, clock: Clock, copies: bool) -> None:
    app = watched(RAMPART_MONITOR="report")
    edge: Any = app.wsgi_app
    inner = edge.app

    def several(environ: dict[str, Any], start: Any) -> list[bytes]:
        said: list[str] = []
        for number in range(12):
            environ["QUERY_STRING"] = f"account=user-{number}&password=guess"
            one = dict(environ) if copies else environ
            b"".join(inner(one, lambda status, *_: said.append(status[:3])))
        assert said == ["401"] * 12
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    edge.app = several
    assert app.test_client().post("/login", **at(THIEF)).status_code == 200
    assert [(finding.rule, finding.subject) for finding in found(app)] == [("credential_stuffing", THIEF)]


@pytest.mark.parametrize("copies", [True, False])
def test_a_failed_login_of_which_a_middleware_makes_a_200_is_counted(watched: App, clock: Clock, copies: bool) -> None:
    app = watched(RAMPART_MONITOR="report")
    edge: Any = app.wsgi_app
    inner = edge.app

    def well(environ: dict[str, Any], start: Any) -> Any:
        body = b"".join(inner(dict(environ) if copies else environ, lambda *_: None))
        start("200 OK", [("Content-Type", "text/plain")])
        return [body]

    edge.app = well
    for number in range(12):
        query = {"account": f"user-{number}", "password": "guess"}
        assert app.test_client().post("/login", query_string=query, **at(THIEF)).status_code == 200
    assert [(finding.rule, finding.subject) for finding in found(app)] == [("credential_stuffing", THIEF)]
    assert not monitor_of(app).state.knows("user-0", THIEF)


@pytest.mark.parametrize("by", ["hook", "middleware"])
@pytest.mark.parametrize(("first", "then", "found_are"), [(500, 401, True), (500, 502, False), (401, 500, True)])
def test_what_a_5xx_of_the_app_is_the_clients_status_says_and_a_4xx_is_a_failure_whatever_becomes_of_it(
    watched: App, clock: Clock, by: str, first: int, then: int, found_are: bool
) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart, RAMPART_MONITOR="report")

    @app.post("/directory")
    def directory() -> Any:
        rampart.monitor.login(request.args["account"])
        return "the directory has answered", first

    edge: Any = app.wsgi_app
    inner = edge.app

    def otherwise(environ: dict[str, Any], start: Any) -> Any:
        return inner(environ, lambda status, headers, *more: start(f"{then} Otherwise", headers))

    if by == "middleware":
        edge.app = otherwise
    else:

        @app.after_request
        def hook(response: Response) -> Response:
            response.status_code = then
            return response

    for number in range(12):
        assert app.test_client().post(f"/directory?account=user-{number}", **at(THIEF)).status_code == then
    assert rules(app) == (["credential_stuffing"] if found_are else [])
    assert not monitor_of(app).state.knows("user-0", THIEF)


@pytest.mark.parametrize("copies", [True, False])
@pytest.mark.parametrize("status", [401, 500])
def test_a_login_that_the_edge_does_not_see_ends_with_the_status_that_the_client_gets(
    watched: App, clock: Clock, copies: bool, status: int
) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart)

    @app.post("/in-body")
    def in_body() -> Any:
        # Whether it was right stands in the answer's body, which a hook knows to read.
        rampart.monitor.login(request.args["account"])
        return {"error": "wrong"}

    @app.after_request
    def settled(response: Response) -> Response:
        if status == 500:
            raise RuntimeError("the hook broke")
        response.status_code = status
        return response

    edge: Any = app.wsgi_app
    inner = edge.app

    def several(environ: dict[str, Any], start: Any) -> Any:
        for number in range(12):
            one = {**environ, "QUERY_STRING": f"account=user-{number}"}
            if copies:
                one.pop("flask_rampart.exchange", None)
            b"".join(inner(one, lambda status, *_: None))
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    edge.app = several
    app.test_client().post("/in-body", **at(THIEF))
    assert not monitor_of(app).state.knows("user-11", THIEF)
    assert rules(app) == (["credential_stuffing"] if status == 401 else [])


def test_what_the_app_said_of_a_login_holds_though_its_request_had_no_answer(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart)
    app.config["PROPAGATE_EXCEPTIONS"] = True

    @app.post("/raises")
    def raises() -> Any:
        rampart.monitor.login(request.args["account"]).failed()
        raise RuntimeError("and then it broke")

    edge: Any = app.wsgi_app
    inner = edge.app

    def several(environ: dict[str, Any], start: Any) -> Any:
        for number in range(12):
            with pytest.raises(RuntimeError):
                inner({**environ, "QUERY_STRING": f"account=user-{number}"}, lambda status, *_: None)
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    edge.app = several
    app.test_client().post("/raises", **at(THIEF))
    assert rules(app) == ["credential_stuffing"]


def test_a_batch_that_was_recorded_is_found_when_it_is_replayed(watched: App, clock: Clock, tmp_path: Any) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart, RAMPART_AUDIT_LOG=str(tmp_path / "audit"))

    @app.post("/batch")
    def batch() -> str:
        for number in range(40):
            rampart.monitor.login(f"user-{number}").failed()
        return "ok"

    app.test_client().post("/batch", **at(THIEF))
    app.extensions["rampart"].services[Audit].close()
    records = list(Log(tmp_path / "audit").records())
    assert sum("login" in record for record in records) == 40
    told = [(finding.rule, finding.subject) for finding in replay(DETECTORS, sights_of(records, None))]
    assert told == [("credential_stuffing", THIEF)]


def test_a_batch_makes_no_place_known_by_its_status(watched: App, clock: Clock) -> None:
    app, _ = batched(watched, clock, "report")
    body = [[f"user-{number}", None] for number in range(40)]
    app.test_client().post("/batch", json=body, **at(THIEF))
    state = monitor_of(app).state
    assert not any(state.knows(f"user-{number}", THIEF) for number in range(40))
    app.test_client().post("/batch", json=[["ada", True], ["bob", None]], **at(HOME))
    assert state.knows("ada", HOME)
    assert not state.knows("bob", HOME)


def test_guesses_in_one_request_meet_the_throttle_within_it(watched: App, clock: Clock) -> None:
    app, _ = batched(watched, clock)
    answer = app.test_client().post("/batch", json=[["ada", False]] * 200, **at(THIEF))
    assert answer.status_code == 429
    assert rules(app) == ["password_guessing"]
    # Without a word of how they ended, too: sixteen at most are open.
    answer = app.test_client().post("/batch", json=[["bob", None]] * 200, **at(THIEF))
    assert answer.status_code == 429


def test_what_a_request_holds_of_its_attempts_is_bounded(watched: App, clock: Clock) -> None:
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart)
    held: list[int] = []

    @app.post("/batch")
    def batch() -> str:
        from flask_rampart.guards import current_exchange

        for number in range(500):
            rampart.monitor.login(f"user-{number}")
            held.append(len(current_exchange().attempts._open))
        return "ok"

    app.test_client().post("/batch")
    assert max(held) == 16


def test_an_account_that_is_no_unicode_is_counted_as_any_other(watched: App, clock: Clock) -> None:
    # JSON can write a lone surrogate (RFC 8259 section 8.2).
    rampart = Rampart(clock=clock)
    app = watched(rampart=rampart, RAMPART_MONITOR="enforce")

    @app.post("/first")
    def first() -> Any:
        rampart.monitor.login(json.loads(request.args["body"])["account"])
        abort(401)

    client = app.test_client()
    query = {"body": '{"account": "a\\ud800b"}'}
    statuses = [client.post("/first", query_string=query, **at(THIEF)).status_code for _ in range(20)]
    assert statuses == [401] * 15 + [429] * 5
    assert {finding.subject for finding in found(app)} == {"a?b"}
