"""Signals: an app hears what was decided, and changes nothing by listening."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from blinker import NamedSignal
from flask import Flask, abort, current_app, g, request

from flask_rampart import (
    Clock,
    Denied,
    Identity,
    KeyInfo,
    Rampart,
    current_principal,
    current_user,
    limit,
    require,
    signals,
    validate,
)
from flask_rampart.exchange import EXTENSION, Exchange

from .conftest import KEYS, NOW, bearer

Sign = Callable[..., str]
ALL = [name for name, item in vars(signals).items() if isinstance(item, NamedSignal)]


class Ears:
    """What was heard, in order."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self._kept: list[Any] = []

    def listen(self, name: str, app: Flask) -> None:
        def receive(sender: Flask, **facts: Any) -> None:
            assert sender is app
            assert current_app._get_current_object() is app  # type: ignore[attr-defined]
            self.heard.append((name, {**facts, "thread": threading.get_ident()}))

        self._kept.append(receive)
        getattr(signals, name).connect(receive, sender=app)

    @property
    def names(self) -> list[str]:
        names = [name for name, _ in self.heard]
        self.heard.clear()
        return names


@pytest.fixture
def rampart(clock: Clock) -> Rampart:
    return Rampart(clock=clock)


@pytest.fixture
def app(rampart: Rampart) -> Flask:
    app = Flask(__name__)
    app.testing = True
    app.config.update(
        RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", RAMPART_JWT_KEYS=KEYS, RAMPART_API_KEYS=True
    )
    rampart.policy("no")(lambda principal: False)
    rampart.init_app(app)
    app.add_url_rule("/any", "any", require()(lambda: "ok"))
    app.add_url_rule("/scope", "scope", require(scopes="a")(lambda: "ok"))
    app.add_url_rule("/fresh", "fresh", require(max_age=60)(lambda: "ok"))
    app.add_url_rule("/limit", "limit", limit("1/minute")(lambda: "ok"))
    app.add_url_rule("/body", "body", validate(body={"type": "object"})(lambda: "ok"), methods=["POST"])
    app.add_url_rule("/view", "view", require()(lambda: rampart.authorize("no") or "ok"))
    app.add_url_rule("/json", "json", lambda: request.get_json(), methods=["POST"])
    return app


@pytest.fixture
def ears(app: Flask) -> Ears:
    ears = Ears()
    for name in ALL:
        ears.listen(name, app)
    return ears


def test_every_signal_is_there() -> None:
    assert set(ALL) == {
        "principal_authenticated",
        "authentication_failed",
        "access_denied",
        "request_refused",
        "token_issued",
        "token_refreshed",
        "token_revoked",
        "refresh_reused",
        "api_key_created",
        "api_key_rotated",
        "api_key_revoked",
        "limit_exceeded",
        "banned",
        "anomaly_detected",
        "response_invalid",
        "browser_reported",
        "integrity_failed",
        "ai_called",
    }


def test_each_outcome_has_its_signals_once(app: Flask, ears: Ears, token: Sign) -> None:
    get, post = app.test_client().get, app.test_client().post
    good = bearer(token())
    get("/any", headers=good)
    assert ears.names == ["principal_authenticated"]
    get("/any")
    assert ears.names == ["request_refused"]
    get("/any", headers=bearer("x"))
    assert ears.names == ["authentication_failed", "request_refused"]
    get("/any", headers={**good, "X-API-Key": "rk_live_x"})
    assert ears.names == ["authentication_failed", "request_refused"]
    get("/scope", headers=good)
    assert ears.names == ["principal_authenticated", "access_denied", "request_refused"]
    get("/fresh", headers=good)
    assert ears.names == ["principal_authenticated", "authentication_failed", "request_refused"]
    get("/view", headers=good)  # refused by the view itself
    assert ears.names == ["principal_authenticated", "access_denied", "request_refused"]
    get("/limit")
    get("/limit")
    assert ears.names == ["limit_exceeded", "request_refused"]
    post("/body", json=[])
    assert ears.names == ["request_refused"]
    post("/json", data='{"a":1,"a":2}', content_type="application/json")
    assert ears.names == ["request_refused"]
    get("/nowhere")
    assert ears.names == []


def test_a_refusal_tells_its_code_reason_and_principal_and_nothing_secret(app: Flask, ears: Ears, token: Sign) -> None:
    signed = token()
    app.test_client().get("/scope", headers=bearer(signed))
    (_, first), (_, denied), (_, refused) = ears.heard
    assert set(first) == {"exchange", "principal", "thread"}
    assert set(denied) == set(refused) == {"exchange", "code", "reason", "principal", "thread"}
    assert (denied["code"], denied["reason"], denied["principal"].id) == ("auth.scope", "insufficient scope", "ada")
    assert denied["exchange"].route == "/scope"
    assert denied["thread"] == threading.get_ident()
    assert signed not in repr(ears.heard) and signed.split(".")[2] not in repr(ears.heard)


def test_the_edge_tells_of_its_refusals_under_the_app_context(rampart: Rampart) -> None:
    app = Flask(__name__)
    app.config.update(
        RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", RAMPART_LIMITS="1/minute", RAMPART_MAX_BODY=10
    )
    rampart.init_app(app)
    ears = Ears()
    ears.listen("request_refused", app)
    client = app.test_client()
    assert [client.get("/").status_code for _ in range(2)] == [404, 429]
    assert client.post("/", data=b"x" * 11, environ_overrides={"REMOTE_ADDR": "192.0.2.1"}).status_code == 413
    assert [facts["code"] for _, facts in ears.heard] == ["limit.exceeded", "body.too_large"]


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), Denied.of("auth.role"), KeyError("hunter2")])
def test_a_receiver_that_raises_changes_nothing(
    app: Flask, ears: Ears, token: Sign, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def broken(sender: Flask, **_: Any) -> None:
        raise error

    def aborts(sender: Flask, **_: Any) -> None:
        abort(200)

    for name in ALL:
        getattr(signals, name).connect(broken, sender=app)
        getattr(signals, name).connect(aborts, sender=app)
    ears.heard.clear()
    get = app.test_client().get
    with caplog.at_level(logging.ERROR):
        assert get("/any", headers=bearer(token())).text == "ok"
        assert get("/any").json["code"] == "auth.missing"
        assert get("/any", headers=bearer("x")).json["code"] == "token.invalid"
        assert get("/scope", headers=bearer(token())).json["code"] == "auth.scope"
        assert get("/view", headers=bearer(token())).json["code"] == "auth.policy"
    assert "A receiver of request-refused failed" in caplog.text
    # The others are called all the same.
    assert ears.names.count("request_refused") == 4


def test_a_receiver_may_be_async(app: Flask, token: Sign) -> None:
    heard: list[str] = []

    async def receive(sender: Flask, *, code: str, **_: Any) -> None:
        heard.append(code)

    signals.request_refused.connect(receive, sender=app)

    async def greet(sender: Flask, *, principal: Any, **_: Any) -> None:
        g.greeted = principal.id
        heard.append(principal.id)

    signals.principal_authenticated.connect(greet, sender=app)

    app.test_client().get("/scope", headers=bearer(token()))
    assert heard == ["ada", "auth.scope"]


def test_one_app_does_not_hear_another(app: Flask, ears: Ears, token: Sign) -> None:
    other = Flask("other")
    other.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", RAMPART_JWT_KEYS=KEYS)
    Rampart(other, clock=Clock.manual(NOW))
    other.add_url_rule("/", "any", require()(lambda: "ok"))
    assert other.test_client().get("/").status_code == 401
    assert other.test_client().get("/", headers=bearer(token())).status_code == 200
    assert ears.names == []


def test_where_nobody_listens_nothing_is_made(app: Flask, token: Sign, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("made for nobody")

    for name in ALL:
        monkeypatch.setattr(getattr(signals, name), "receivers", {})  # what another test left
    monkeypatch.setattr("flask_rampart.exchange.emit_refusal", never)
    monkeypatch.setattr("flask_rampart.access.demands.emit", never)
    monkeypatch.setattr("flask_rampart.apikeys.emit", never)
    get = app.test_client().get
    assert get("/any", headers=bearer(token())).status_code == 200
    assert get("/any").status_code == 401
    with app.app_context():
        Rampart().api_keys.create("k")


def test_a_refusal_is_told_once_however_often_it_is_noted(app: Flask, ears: Ears) -> None:
    exchange = Exchange(app.extensions[EXTENSION], {})
    denied = Denied.of("auth.role")
    for _ in range(3):
        exchange.refuse(denied)
    assert ears.names == ["access_denied", "request_refused"]
    # An exchange of no app of Flask's: nobody is the sender.
    Exchange(object(), {}).refuse(Denied.of("auth.role"))
    assert ears.names == []


def test_changes_of_api_keys_are_told_after_they_were_written(app: Flask, rampart: Rampart, ears: Ears) -> None:
    with app.app_context():
        keys = rampart.api_keys
        new = keys.create("nightly", owner="ada", scopes="a")
        (name, facts) = ears.heard[0]
        assert name == "api_key_created"
        assert isinstance(facts["key"], KeyInfo) and facts["key"].id == new.id and facts["exchange"] is None
        assert new.key not in repr(ears.heard)
        ears.heard.clear()
        successor = keys.rotate(new.id, overlap=60)
        [(name, facts)] = ears.heard
        assert name == "api_key_rotated"
        assert (facts["key"].id, facts["key"].successor) == (new.id, successor.id) == (new.id, facts["successor"].id)
        assert facts["key"].expires == NOW + 60
        ears.heard.clear()
        assert keys.revoke(new.id) and not keys.revoke(new.id)
        [(name, facts)] = ears.heard
        assert name == "api_key_revoked" and facts["key"].revoked == NOW and facts["key"].id == new.id
        ears.heard.clear()
        with pytest.raises(ValueError):
            keys.rotate(new.id, overlap=0)
        with pytest.raises(LookupError):
            keys.revoke("nothing")
        assert ears.names == []
    app.add_url_rule("/make", "make", lambda: rampart.api_keys.create("x").id, methods=["POST"])
    app.test_client().post("/make")
    assert ears.heard[0][1]["exchange"].route == "/make"


def test_a_key_is_made_whatever_a_receiver_does(app: Flask, rampart: Rampart) -> None:
    def broken(sender: Flask, **_: Any) -> None:
        raise ZeroDivisionError

    signals.api_key_created.connect(broken, sender=app)

    with app.app_context():
        new = rampart.api_keys.create("nightly")
        assert rampart.api_keys.verify(new.key).token_id == new.id


def test_a_scheme_of_the_apps_own_is_heard_like_any(app: Flask, rampart: Rampart, ears: Ears) -> None:
    rampart.scheme("sig", header="X-Signature")(lambda value: Identity("p") if value == "right" else None)
    get = app.test_client().get
    get("/any", headers={"X-Signature": "right"})
    assert ears.names == ["principal_authenticated"]
    get("/any", headers={"X-Signature": "wrong"})
    assert ears.names == ["authentication_failed", "request_refused"]


# What a receiver runs into


def gone(app: Flask, rampart: Rampart) -> list[str]:
    """An app whose users are gone, and what its loader was asked."""
    asked: list[str] = []
    rampart.user_loader(lambda principal: asked.append(principal.id))
    app.add_url_rule("/me", "me", require()(lambda: str(current_user)))
    return asked


def test_a_refusal_inside_a_receiver_does_not_call_it_again(
    app: Flask, rampart: Rampart, ears: Ears, token: Sign
) -> None:
    # Two signals that each told of what their own receivers ran into doubled with each level.
    asked = gone(app, rampart)
    called: list[str] = []

    def read(sender: Flask, *, code: str, **_: Any) -> None:
        called.append(code)
        str(current_user)

    for signal in (signals.request_refused, signals.authentication_failed, signals.access_denied):
        signal.connect(read, sender=app)
    lines: list[str] = []
    app.teardown_request(lambda error: lines.extend(app.extensions[EXTENSION].exchange(request).codes))
    answer = app.test_client().get("/me", headers=bearer(token()))
    assert answer.json["code"] == "auth.invalid"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api", error="invalid_token"'
    assert called == ["auth.invalid", "auth.invalid"]
    assert ears.names == ["principal_authenticated", "authentication_failed", "request_refused"]
    assert asked == ["ada"] and lines == ["auth.invalid"]


def test_a_user_who_is_gone_is_refused_once_however_often_it_is_read(
    app: Flask, rampart: Rampart, ears: Ears, token: Sign
) -> None:
    asked = gone(app, rampart)
    found: list[Denied] = []

    def stubborn() -> str:
        for _ in range(3):
            try:
                str(current_user)
            except Denied as denied:
                found.append(denied)
        return "ok"

    app.add_url_rule("/stubborn", "stubborn", require()(stubborn))
    assert app.test_client().get("/stubborn", headers=bearer(token())).text == "ok"
    assert len({id(denied) for denied in found}) == 1 and asked == ["ada"]
    assert ears.names == ["principal_authenticated", "authentication_failed", "request_refused"]


def test_what_a_receiver_runs_into_is_not_noted_at_a_request_that_is_admitted(
    app: Flask, rampart: Rampart, ears: Ears, token: Sign
) -> None:
    gone(app, rampart)
    rampart.policy("never")(lambda principal: False)

    def curious(sender: Flask, **_: Any) -> None:
        try:
            rampart.authorize("never")
        finally:
            str(current_user)

    signals.principal_authenticated.connect(curious, sender=app)
    lines: list[str] = []
    app.teardown_request(lambda error: lines.extend(app.extensions[EXTENSION].exchange(request).codes))
    assert app.test_client().get("/any", headers=bearer(token())).text == "ok"
    assert lines == [] and ears.names == ["principal_authenticated"]
    # What the view itself runs into afterwards is noted, and told.
    assert app.test_client().get("/me", headers=bearer(token())).json["code"] == "auth.invalid"
    assert lines == ["auth.invalid"]
    assert ears.names == ["principal_authenticated", "authentication_failed", "request_refused"]


@pytest.mark.parametrize("schemes", [("jwt",), ("jwt", "api_key")])
def test_a_receiver_cannot_change_who_is_calling(rampart: Rampart, token: Sign, schemes: tuple[str, ...]) -> None:
    app = Flask(__name__)
    app.config.update(
        RAMPART_ACCESS_LOG="off",
        RAMPART_LIMIT_STORE="memory://",
        RAMPART_JWT_KEYS=KEYS,
        RAMPART_API_KEYS="api_key" in schemes,
    )
    app.testing = True
    rampart.init_app(app)
    app.add_url_rule("/", "who", require("jwt")(lambda: current_principal.id))
    app.add_url_rule("/scope", "scope", require("jwt", scopes="root")(lambda: "ok"))

    def promote(sender: Flask, *, exchange: Exchange, **_: Any) -> None:
        exchange.principal = Identity("eve", scopes="root")

    signals.principal_authenticated.connect(promote, sender=app)
    get = app.test_client().get
    assert get("/", headers=bearer(token())).text == "ada"
    assert get("/scope", headers=bearer(token())).json["code"] == "auth.scope"
