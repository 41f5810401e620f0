"""Beside Flask-SocketIO, by polling: what the edge sees of it, and guards on the handlers of events.

Its middleware answers ``/socket.io/`` before Flask: no route, no hook, no CSRF of ours. Which of the two stands outside is
decided by which is made first.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, request
from flask_socketio import ConnectionRefusedError as Refused
from flask_socketio import SocketIO, emit

from flask_rampart import Denied, Rampart, current_principal, limit, redact, require

from .beside import CROSS, Secure
from .beside import secure as secure
from .conftest import bearer

PATH = "/socket.io/?EIO=4&transport=polling"


class Chat:
    """The documentation's echo, with guards on its events; and a client that polls."""

    def __init__(self, secure: Secure, *, edge_outside: bool = True, **config: Any) -> None:
        self.app = Flask(__name__)
        options: dict[str, Any] = {"async_mode": "threading", "async_handlers": False, "monitor_clients": False}
        # As the last one to be put around the app, the edge sees each poll.
        if edge_outside:
            self.socketio = SocketIO(self.app, **options)
            self.rampart: Rampart = secure(self.app, **config)
        else:
            self.rampart = secure(self.app, **config)
            self.socketio = SocketIO(self.app, **options)
        self.failed: list[Any] = []
        self.socketio.on("say")(require(scopes="chat")(self.say))
        self.socketio.on("shout")(limit("1/minute", scope="shout")(lambda text: emit("said", text.upper())))
        self.socketio.on_error_default(self.fails)
        self.app.get("/page", endpoint="page")(lambda: "a page")

    def say(self, text: str) -> None:
        emit("said", f"{current_principal.id}: {text}")

    def fails(self, error: Exception) -> None:
        self.failed.append(error)
        if not isinstance(error, Denied):
            raise error
        if request.event["message"] == "connect":  # type: ignore[attr-defined]
            raise Refused(error.problem.code) from None  # else the connection would stand
        emit("refused", error.data)

    def poll(self, sid: str, headers: dict[str, str]) -> list[Any]:
        answer = self.app.test_client().get(f"{PATH}&sid={sid}", headers=headers)
        assert answer.status_code == 200
        return [json.loads(packet[2:]) for packet in answer.text.split("\x1e") if packet.startswith("42")]

    def connect(self, headers: dict[str, str]) -> str:
        opened = self.app.test_client().get(PATH, headers=headers)
        assert opened.status_code == 200, opened.text
        sid: str = json.loads(opened.text[1:])["sid"]
        assert self.app.test_client().post(f"{PATH}&sid={sid}", data="40", headers=headers).text == "OK"
        self.poll(sid, headers)
        return sid

    def send(self, sid: str, headers: dict[str, str], *event: Any) -> list[Any]:
        sent = self.app.test_client().post(f"{PATH}&sid={sid}", data="42" + json.dumps(event), headers=headers)
        assert sent.text == "OK"
        return self.poll(sid, headers)


@pytest.mark.parametrize("edge_outside", [True, False])
def test_handlers_of_events_are_guarded_by_the_credentials_of_the_handshake(
    secure: Secure, token: Callable[..., str], edge_outside: bool
) -> None:
    chat = Chat(secure, edge_outside=edge_outside)
    ada = bearer(token(scope="chat"))
    sid = chat.connect(ada)
    assert chat.send(sid, ada, "say", "hello") == [["said", "ada: hello"]]
    nobody = chat.connect({})
    # Whoever writes a poll need not be who began: events have the head of the handshake.
    (event,) = chat.send(nobody, ada, "say", "hello")
    assert event[0] == "refused" and event[1]["code"] == "auth.missing"
    assert isinstance(chat.failed[0], Denied)


def test_an_event_is_refused_once_the_token_of_its_handshake_is_over(
    secure: Secure, token: Callable[..., str], clock: Any
) -> None:
    chat = Chat(secure)
    ada = bearer(token(scope="chat"))
    sid = chat.connect(ada)
    assert chat.send(sid, ada, "say", "hello")[0][0] == "said"
    clock.advance(120)
    assert chat.send(sid, ada, "say", "hello")[0][1]["code"] == "token.expired"


def test_limits_count_each_event(secure: Secure) -> None:
    chat = Chat(secure)
    sid = chat.connect({})
    assert chat.send(sid, {}, "shout", "hey") == [["said", "HEY"]]
    assert chat.send(sid, {}, "shout", "hey")[0][1]["code"] == "limit.exceeded"


def test_a_guard_on_connect_refuses_the_connection(secure: Secure, token: Callable[..., str]) -> None:
    chat = Chat(secure)
    chat.socketio.on("connect")(require(scopes="chat")(lambda auth=None: None))
    client = chat.app.test_client()
    sid = json.loads(client.get(PATH).text[1:])["sid"]
    client.post(f"{PATH}&sid={sid}", data="40")
    refused = client.get(f"{PATH}&sid={sid}").text
    assert refused.startswith("44") and json.loads(refused[2:])["message"] == "auth.missing"
    assert list(chat.socketio.server.manager.get_namespaces()) == []  # type: ignore[union-attr]
    chat.connect(bearer(token(scope="chat")))
    assert list(chat.socketio.server.manager.get_namespaces()) == ["/"]  # type: ignore[union-attr]


def test_without_a_handler_of_errors_no_connection_stands_and_the_client_is_told_nothing(
    secure: Secure, caplog: pytest.LogCaptureFixture
) -> None:
    chat = Chat(secure)
    said: list[str] = []
    chat.socketio.default_exception_handler = None
    chat.socketio.on("connect")(require(scopes="chat")(lambda auth=None: None))
    chat.socketio.on("whisper")(said.append)
    client = chat.app.test_client()
    sid = json.loads(client.get(PATH).text[1:])["sid"]
    client.post(f"{PATH}&sid={sid}", data="40")
    client.post(f"{PATH}&sid={sid}", data='42["whisper","hello"]')
    refusals = [record for record in caplog.records if record.exc_info and isinstance(record.exc_info[1], Denied)]
    assert said == [] and len(refusals) == 1


def test_outside_the_edge_counts_bounds_and_heads_every_poll(secure: Secure) -> None:
    chat = Chat(secure, RAMPART_LIMITS="3/minute", RAMPART_MAX_BODY=100)
    opened = chat.app.test_client().get(PATH)
    assert opened.headers["X-Content-Type-Options"] == "nosniff" and opened.headers["X-Request-Id"]
    sid = json.loads(opened.text[1:])["sid"]
    large = chat.app.test_client().post(f"{PATH}&sid={sid}", data="4" * 101)
    assert large.json["code"] == "body.too_large"
    assert chat.app.test_client().post(f"{PATH}&sid={sid}", data="40").text == "OK"
    assert chat.app.test_client().get(f"{PATH}&sid={sid}").json["code"] == "limit.exceeded"


def test_inside_the_edge_sees_pages_alone(secure: Secure) -> None:
    chat = Chat(secure, edge_outside=False, RAMPART_LIMITS="1/minute")
    opened = [chat.app.test_client().get(PATH) for _ in range(3)]
    assert {answer.status_code for answer in opened} == {200} and "X-Request-Id" not in opened[0].headers
    assert chat.app.test_client().get("/page").headers["X-Request-Id"]


@pytest.mark.parametrize("edge_outside", [True, False])
def test_pages_of_other_sites_are_refused_by_socketio_itself(secure: Secure, edge_outside: bool) -> None:
    chat = Chat(secure, edge_outside=edge_outside)
    client = chat.app.test_client()
    client.set_cookie("session", "ada's")
    assert client.get(PATH, headers=CROSS).status_code == 400
    assert client.get(PATH, headers={"Origin": "http://localhost"}).status_code == 200


def test_routes_are_guarded_as_without_it_though_it_copies_the_environ(secure: Secure) -> None:
    chat = Chat(secure)

    @chat.app.get("/mail")
    @redact()
    def mail() -> Response:
        response = Response("ada@example.com")
        response.add_etag()
        return response.make_conditional(request)

    guess = Response("ada@example.com")
    guess.add_etag()
    answer = chat.app.test_client().get("/mail", headers={"If-None-Match": guess.headers["ETag"]})
    # A 304 would confirm the guess.
    assert (answer.status_code, answer.text) == (200, "[REDACTED:EMAIL_ADDRESS]")
