"""Audit: every decision of ours is recorded before its answer leaves, and how it ended after it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, Response
from flask.views import MethodView

from flask_rampart import ConfigError, Rampart, audit, limit, public, require, validate
from flask_rampart._native import audit_verify
from flask_rampart.audit.events import OWASP, REFUSALS, SIGNALS, kind_of
from flask_rampart.audit.facts import json_fields
from flask_rampart.declarations import protect_blueprint
from flask_rampart.errors import PROBLEMS
from flask_rampart.openapi import OpenApi

from .auditing import App, is_sound, log_of, make, records
from .conftest import NOW, bearer

__all__ = ["make"]


# What is recorded ---------------------------------------------------------------------------------------------------


def test_a_call_is_recorded_before_its_view_and_its_end_after_the_answer(make: App, token: Callable[..., str]) -> None:
    app = make()
    seen: list[list[str]] = []

    @app.post("/models/<name>")
    @require("jwt")
    @validate(body={"type": "object", "properties": {"text": {"type": "string"}, "password": {"type": "string"}}})
    @audit("model.predict", resource="model:{name}", fields=["body.text", "body.password", "body.absent", "path.name"])
    def predict(name: str) -> str:
        seen.append([one.get("decision", "") for one in records(app)])
        return "done"

    answer = app.test_client().post(
        "/models/big?token=hunter2hunter2",
        json={"text": "from ann@example.org", "password": "correct horse"},
        headers=bearer(token(jti="t-1")),
    )
    assert answer.status_code == 200
    assert seen == [["allowed"]]
    decision, completion = records(app)
    request_id = answer.headers["X-Request-Id"]
    for left_out in ("writer", "seq", "time"):
        del decision[left_out], completion[left_out]
    assert decision == {
        "event": "model.predict",
        "request_id": request_id,
        "address": "127.0.0.1",
        "principal": "ada",
        "token_id": "t-1",
        "route": "/models/<name>",
        "decision": "allowed",
        "method": "POST",
        "target": "/models/big",
        "resource": "model:big",
        "fields": {"body.text": "from [REDACTED:EMAIL_ADDRESS]", "body.password": "[REDACTED]", "path.name": "big"},
    }
    assert completion.pop("duration_us") >= 0
    assert completion == {
        "event": "model.predict",
        "request_id": request_id,
        "outcome": "complete",
        "status": 200,
        "bytes": 4,
        "principal": "ada",
    }
    assert is_sound(app)


def test_a_stream_is_recorded_before_it_begins_and_its_end_when_it_has_ended(make: App) -> None:
    app = make()

    @app.get("/stream")
    @public
    @audit("numbers.read")
    def stream() -> Response:
        def numbers() -> Iterator[str]:
            for i in range(3):
                yield str(i)
                assert [one.get("decision") or one["outcome"] for one in records(app)] == ["allowed"]

        return Response(numbers())

    assert app.test_client().get("/stream").data == b"012"
    assert [(one.get("outcome"), one.get("bytes")) for one in records(app)] == [(None, None), ("complete", 3)]


def test_an_answer_that_is_broken_off_says_so(make: App) -> None:
    app = make()

    @app.get("/stream")
    @public
    @audit("numbers.read")
    def stream() -> Response:
        return Response(iter(["0", "1", "2"]))

    answer = app.test_client().get("/stream", buffered=False)
    assert next(iter(answer.response)) == b"0"
    answer.close()
    assert [(one.get("outcome"), one.get("bytes")) for one in records(app)] == [(None, None), ("broken_off", 1)]


def test_a_view_that_fails_has_its_end_too(make: App) -> None:
    app = make()
    app.get("/fail")(public(audit("try")(lambda: 1 / 0)))
    assert app.test_client().get("/fail").status_code == 500
    assert [one.get("status") for one in records(app)] == [None, 500]


def test_every_refusal_is_recorded_wherever_it_is_made(make: App, token: Callable[..., str]) -> None:
    app = make(RAMPART_LIMITS="100/hour")
    app.get("/admin")(require("jwt", roles="admin")(audit("admin.look")(lambda: "x")))
    app.get("/few")(public(limit("1/hour", by="address")(lambda: "x")))
    client = app.test_client()
    client.get("/admin")
    client.get("/admin", headers=bearer(token()))
    client.get("/admin", headers=bearer(token(exp=NOW - 3600)))
    client.get("/few")
    client.get("/few")
    client.get("/a/../b")
    client.get("/", headers={"Host": "a b"})
    found = [(one["event"], one["code"], one["decision"], one["status"]) for one in records(app)]
    assert found[:5] == [
        ("authn_login_fail", "auth.missing", "refused", 401),
        ("authz_fail", "auth.role", "refused", 403),
        ("session_use_after_expire", "token.expired", "refused", 401),
        ("excess_rate_limit_exceeded", "limit.exceeded", "refused", 429),
        ("malicious_extraneous", "path.malformed", "refused", 400),
    ]
    assert all(one["request_id"] and one["address"] == "127.0.0.1" for one in records(app))
    assert [one.get("principal") for one in records(app)][:3] == [None, "ada", None]


def test_what_is_done_with_tokens_and_keys_is_recorded_without_a_secret(make: App) -> None:
    app = make(RAMPART_API_KEYS=True)
    from flask_rampart.apikeys import ApiKeys
    from flask_rampart.tokens import Tokens

    services = app.extensions["rampart"].services
    tokens, keys = services[Tokens], services[ApiKeys]
    with app.app_context():
        secrets = [tokens.issue("ada")]
        pair = tokens.issue_pair("ada")
        fresh = tokens.refresh(pair.refresh)
        made = [tokens.verify(token).token_id for token in (secrets[0], pair.access, fresh.access)]
        tokens.revoke_family(pair.family)
        secrets += [pair.access, pair.refresh, fresh.access, fresh.refresh]
        key = keys.create("robot", owner="ada")
        later = keys.rotate(key.id, overlap=0)
        keys.revoke(later.id)
        secrets += [key.key, later.key]
    assert [(one["event"], one.get("action")) for one in records(app)] == [
        ("authn_token_created", None),
        ("session_created", None),
        ("session_renewed", None),
        ("session_expired", None),
        ("authn_token_created", "created"),
        ("authn_token_created", "rotated"),
        ("authn_token_revoked", "revoked"),
    ]
    assert {one.get("subject") for one in records(app)} == {"ada", None}
    assert [one.get("of_token") for one in records(app)[:3]] == made
    text = "".join(path.read_text() for path in log_of(app).directory.iterdir())
    assert not any(secret in text for secret in secrets)


def test_a_ban_is_recorded(make: App) -> None:
    app = make(RAMPART_LIMITS="1/hour", RAMPART_LIMITS_BAN="15 minutes after 2 in 1 minute")
    client = app.test_client()
    for _ in range(4):
        client.get("/")
    assert [one["action"] for one in records(app) if "action" in one] == ["banned"]
    assert [one["code"] for one in records(app) if "code" in one] == [
        "limit.exceeded",
        "limit.exceeded",
        "limit.banned",
    ]


@pytest.mark.parametrize("kind", ["function", "async", "class", "method", "blueprint"])
def test_views_of_every_kind_are_recorded(make: App, kind: str) -> None:
    app = make()
    guard = audit("look", resource="thing:{name}")
    if kind == "function":
        app.get("/<name>")(guard(lambda name: name))
    elif kind == "async":

        @app.get("/<name>")
        @guard
        async def look(name: str) -> str:
            await asyncio.sleep(0)
            return name

    elif kind == "blueprint":
        blueprint = Blueprint("things", __name__)
        blueprint.get("/<name>")(lambda name: name)
        app.register_blueprint(blueprint)
        protect_blueprint(blueprint, (guard,))
    else:

        class Look(MethodView):
            def get(self, name: str) -> str:
                return name

        if kind == "class":
            Look = guard(Look)
        else:
            Look.get = guard(Look.get)  # type: ignore[method-assign]
        app.add_url_rule("/<name>", view_func=Look.as_view("look"))
    assert app.test_client().get("/x").status_code == 200
    assert [one.get("resource") for one in records(app)] == ["thing:x", None]


def test_what_others_refuse_is_never_recorded_as_allowed(make: App) -> None:
    app = make()

    @app.get("/<name>")
    @audit("look")  # stands first, and is asked last
    @limit("1/hour", by="address")
    @validate(query={"type": "object", "properties": {"q": {"type": "integer"}}})
    def look(name: str) -> str:
        return name

    client = app.test_client()
    client.get("/x?q=word")
    client.get("/x?q=1")
    assert [one.get("decision") for one in records(app)] == ["refused", "refused"]


def test_the_apps_own_events_say_who_asked_in_a_request_and_need_none(make: App, token: Callable[..., str]) -> None:
    app = make()

    @app.get("/send")
    @require("jwt")
    def send() -> str:
        log_of(app).event("invoice.sent", resource="invoice:7", to="ann@example.org", total=7, bits=b"x")
        return "sent"

    log_of(app).event("sys_startup", version="1.2")
    app.test_client().get("/send", headers=bearer(token()))
    start, sent = records(app)
    assert start["fields"] == {"version": "1.2"} and "principal" not in start
    assert (sent["principal"], sent["resource"], sent["route"]) == ("ada", "invoice:7", "/send")
    assert sent["fields"] == {"to": "[REDACTED:EMAIL_ADDRESS]", "total": 7, "bits": "<bytes>"}


def test_no_value_is_too_large_for_a_record(make: App) -> None:
    app = make()
    deep: Any = "end"
    for _ in range(50):
        deep = [deep]
    circle: dict[str, Any] = {}
    circle["self"] = circle
    wide = {f"n{i}": list(range(1000)) for i in range(1000)}
    log_of(app).event("big", deep=deep, circle=circle, wide=wide, text="x" * 100_000, odd={1: object()})
    (record,) = records(app)
    assert len(json.dumps(record)) < 9000
    assert record["fields"]["odd"] == {"1": "<object>"}
    assert json_fields({"a": [[[["x"]]]]}) == {"a": [[["..."]]]}


# Half of a card's number, or a key without its end, is what no rule finds any more.
def test_a_value_is_redacted_before_it_is_cut(make: App) -> None:
    app = make()
    card, log = "4111 1111 1111 1111", log_of(app)
    for before in range(225, 260):
        log.event("x", resource=f"{'x' * before} {card}", text=f"{'x' * before} {card} now")
        # The marks make it short: what is behind the end of what was looked at is not shown either.
        log.event("x", text=f"{(card + ' ') * 49}{'x' * (before - 225)} {card}")
    for record in records(app):
        text = json.dumps(record)
        assert "4111" not in text and len(record["fields"]["text"]) <= 256 + 3


def test_a_number_and_a_name_are_redacted_as_a_text_is(make: App) -> None:
    app = make()
    numbers = {"card": 4111111111111111, "float": 4111111111111111.0, "seconds": 1795460400, "big": 123456789012}
    log_of(app).event("x", numbers=numbers, names={"4111 1111 1111 1111": 1, "ada@example.com": 2, "plain": 3})
    (record,) = records(app)
    told = record["fields"]
    assert "4111" not in json.dumps(told) and "ada@" not in json.dumps(told)
    assert (told["numbers"]["seconds"], told["numbers"]["big"], told["names"]["plain"]) == (1795460400, 123456789012, 3)


def test_no_name_that_a_peer_chose_keeps_a_record_from_being_written(make: App) -> None:
    app = make()
    hostile = {"\ud800": 1, "seq": 2, "link": 3, "a" * 1000: 4, "\x1b[2J\n": 5}
    log_of(app).event("odd", resource="\udfff", name="ann", **{"\ud800": hostile, "event": "other"})
    (record,) = records(app)
    assert (record["event"], record["seq"]) == ("odd", 2)
    assert record["fields"]["?"]["\x1b[2J\n"] == 5
    assert record["fields"]["name"] == "ann"
    assert log_of(app).failures == 0 and is_sound(app)


# Settings and declarations ------------------------------------------------------------------------------------------


def test_it_is_off_unless_the_app_says_where(make_app: App, tmp_path: Path) -> None:
    app = make_app()
    app.get("/look")(public(audit("look")(lambda: "x")))
    assert app.test_client().get("/look").status_code == 200
    log = log_of(app)
    log.event("anything")
    assert not log.enabled and log.writer is None and log.checkpoint() is None


@pytest.mark.parametrize(
    "config, told", [({}, 1), ({"RAMPART_AUDIT_LOG": "off"}, 0), ({"TESTING": True}, 0), ({"DEBUG": True}, 0)]
)
def test_a_view_that_asks_for_a_record_and_gets_none_is_told_once_unless_that_is_meant(
    caplog: pytest.LogCaptureFixture, config: dict[str, Any], told: int
) -> None:
    app = Flask("shop")
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", **config)
    Rampart(app)
    app.get("/look")(public(audit("look")(lambda: "x")))
    app.get("/plain", endpoint="plain")(public(lambda: "x"))
    for _ in range(2):
        app.test_client().get("/plain")
    said = [one.getMessage() for one in caplog.records if "records nothing" in one.getMessage()]
    assert len(said) == told and all("RAMPART_AUDIT_LOG" in one and "<lambda>" in one for one in said)


def test_checkpoint_gives_the_note_that_verification_asks_for(make: App) -> None:
    app = make()
    log = log_of(app)
    log.event("one")
    note = log.checkpoint()
    assert note is not None and re.match(f"shop/audit/[0-9a-f]{{32}}/{log.writer}\n", note)
    told = audit_verify(str(log.directory), log.key(), [note])
    assert (told["faults"], told["elsewhere"]) == ([], {}) and f"shop/audit/{told['log']}/" in note
    log.close()
    log.directory.rename(log.directory.with_name("before"))
    log.event("another")  # a log that was begun anew, by who has the key
    assert audit_verify(str(log.directory), log.key())["faults"] == []
    assert audit_verify(str(log.directory), log.key(), [note])["faults"] != []


@pytest.mark.parametrize(
    "wrong",
    [
        {"event": ""},
        {"event": "two words"},
        {"event": "audit_checkpoint"},
        {"event": "x" * 65},
        {"event": "x", "resource": "{name.__class__}"},
        {"event": "x", "resource": "{0}"},
        {"event": "x", "resource": "{name!r}"},
        {"event": "x", "resource": "{"},
        {"event": "x", "fields": "body.text"},
        {"event": "x", "fields": ["body"]},
        {"event": "x", "fields": ["bodi.text"]},
        {"event": "x", "fields": ["body..text"]},
        {"event": "x", "fields": [f"body.f{i}" for i in range(17)]},
    ],
    ids=lambda wrong: "-".join(f"{value}"[:20] for value in wrong.values()),
)
def test_what_cannot_be_meant_is_said_where_it_is_written(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="audit"):
        audit(wrong.pop("event"), **wrong)


def test_a_resource_names_arguments_of_the_route_alone(make: App) -> None:
    app = make()
    app.get("/<name>")(audit("look", resource="thing:{nam}")(lambda name: name))
    with pytest.raises(ConfigError, match="'nam'; the route has name"):
        app.extensions["rampart"].seal()


@pytest.mark.parametrize("setting, value", [("ON_FAILURE", "ignore"), ("SYNC", 0), ("KEEP", 0), ("MAX_FILE", 10)])
def test_settings_are_checked_at_start(make: App, setting: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"RAMPART_AUDIT_{setting}"):
        make(**{f"RAMPART_AUDIT_{setting}": value})


@pytest.mark.parametrize(
    "config, told",
    [({}, True), ({"RAMPART_AUDIT_ON_FAILURE": "continue"}, False), ({"RAMPART_AUDIT_LOG": "off"}, False)],
    ids=["refuse", "continue", "off"],
)
def test_the_openapi_document_says_what_may_be_refused(make: App, config: dict[str, str], told: bool) -> None:
    app = make(**config)
    app.get("/look")(public(audit("look")(lambda: "x")))
    app.get("/plain")(public(lambda: "x"))
    with app.app_context():
        paths = app.extensions["rampart"].services[OpenApi].document(None)["paths"]
    assert ("audit.unavailable" in str(paths["/look"])) is told
    assert "audit.unavailable" not in str(paths["/plain"])


# Names --------------------------------------------------------------------------------------------------------------


def test_every_code_has_a_name_of_the_vocabulary_and_every_name_a_class() -> None:
    assert REFUSALS.keys() == PROBLEMS.keys()
    assert len(OWASP) == 49
    # The vocabulary has no word for a call of a model.
    assert {*REFUSALS.values(), *SIGNALS.values()} - {"ai.called"} <= OWASP
    assert {name: kind_of(name).class_uid for name in OWASP}.keys() == OWASP
    assert kind_of("audit_checkpoint").class_uid == 6002
    assert kind_of("invoice.sent").class_uid == 6003
    assert kind_of("authn-like.but.not").class_uid == 6003
