"""The webhook: what a real server receives, by the rules of Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from flask_rampart import ConfigError, Finding
from flask_rampart.audit import Audit
from flask_rampart.cli import commands
from flask_rampart.monitor import Webhook
from flask_rampart.monitor.webhooks import key_of, sign
from flask_rampart.outbound import Target

from .conftest import NOW
from .monitoring import App, at, monitor_of
from .monitoring import watched as watched

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
FINDING = Finding(NOW, "path_scanning", "medium", "address", "192.0.2.1", 40, 40, "ban", False, "", "id")


class Receiver:
    """An HTTP server that answers with these statuses, one after the other, and then 204; it keeps what came."""

    def __init__(self, *statuses: int, headers: dict[str, str] | None = None) -> None:
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.came = threading.Semaphore(0)
        answers = list(statuses)
        received, came = self.received, self.came

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                received.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(answers.pop(0) if answers else 204)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
                came.release()

            do_GET = do_POST  # noqa: N815 - as some clients follow a redirect

            def log_message(self, *args: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?team=1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def wait(self, count: int) -> None:
        for _ in range(count):
            assert self.came.acquire(timeout=30)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    made: list[Receiver] = []

    def one(*statuses: int, **more: Any) -> Receiver:
        made.append(Receiver(*statuses, **more))
        return made[-1]

    yield one
    for receiver in made:
        receiver.close()


class Hours:
    """A clock that goes on where somebody waits; it keeps how long that was."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def tick(self) -> float:
        return self.now

    def pause(self, seconds: float) -> bool:
        self.waits.append(round(seconds, 6))
        self.now += seconds
        return False


def admit(url: str) -> Target:
    """Without asking a name server."""
    host, _, port = url.partition("://")[2].partition("/")[0].partition(":")
    return Target(url, "http", host, int(port), (host,))


def verified(headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """As a receiver verifies it: the algorithm of the specification, written out here."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(bytes(range(32)), signed, hashlib.sha256).digest()).decode()
    assert any(hmac.compare_digest(one, f"v1,{expected}") for one in headers["webhook-signature"].split(" "))
    found: dict[str, Any] = json.loads(body)
    return found


def test_a_finding_is_received_and_its_signature_verifies(watched: App, receive: Callable[..., Receiver]) -> None:
    receiver = receive()
    app = watched(
        RAMPART_MONITOR_WEBHOOK=receiver.url,
        RAMPART_MONITOR_WEBHOOK_SECRET=SECRET,
        RAMPART_OUTBOUND_ALLOW=["127.0.0.0/8"],
    )
    client = app.test_client()
    for number in range(12):
        client.post(f"/login?account=user-{number}", **at("192.0.2.1"))
    receiver.wait(1)
    ((path, headers, body),) = receiver.received
    assert path == "/hook?team=1"
    assert headers["content-type"] == "application/json"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300
    told = verified(headers, body)
    assert (told["type"], told["timestamp"]) == ("rampart.finding", "2027-01-15T08:00:00.000Z")
    assert told["data"]["rule"] == "credential_stuffing"
    assert (told["data"]["subject"], told["data"]["app"], told["data"]["point"]) == ("192.0.2.1", "shop", "AE1")


def test_the_signature_is_that_of_the_specification() -> None:
    # The example of standardwebhooks.com's reference libraries.
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    assert sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_what_fails_is_tried_again_with_the_same_id_and_a_new_signature(receive: Callable[..., Receiver]) -> None:
    receiver = receive(500, 503)
    hours = Hours()
    webhook = Webhook(receiver.url, SECRET, admit, now=lambda: NOW + hours.now, tick=hours.tick, pause=hours.pause)
    webhook.put(FINDING, {})
    receiver.wait(3)
    webhook.close(30)
    assert hours.waits == [1.0, 5.0]
    sent = [headers for _, headers, _ in receiver.received]
    assert len({headers["webhook-id"] for headers in sent}) == 1
    assert [headers["webhook-timestamp"] for headers in sent] == [str(NOW), str(NOW + 1), str(NOW + 6)]
    assert len({headers["webhook-signature"] for headers in sent}) == 3
    for _, headers, body in receiver.received:
        verified(headers, body)
    assert (webhook.sent, webhook.failed, webhook.dropped) == (1, 0, 0)


def test_it_is_given_up_after_the_last_try_and_told(
    receive: Callable[..., Receiver], caplog: pytest.LogCaptureFixture
) -> None:
    receiver = receive(*[500] * 6)
    hours = Hours()
    webhook = Webhook(receiver.url, SECRET, admit, tick=hours.tick, pause=hours.pause)
    webhook.put(FINDING, {})
    receiver.wait(6)
    assert webhook.flush(30) == 1
    webhook.put(FINDING, {})
    receiver.wait(1)
    webhook.close(30)
    assert hours.waits == [1.0, 5.0, 25.0, 125.0, 600.0]
    assert (webhook.sent, webhook.failed) == (1, 1)
    assert "it answered 500" in caplog.text


def test_a_receiver_says_how_long_to_wait_and_within_reason(receive: Callable[..., Receiver]) -> None:
    hours = Hours()
    receiver = receive(429, headers={"Retry-After": "30"})
    webhook = Webhook(receiver.url, SECRET, admit, tick=hours.tick, pause=hours.pause)
    webhook.put(FINDING, {})
    receiver.wait(2)
    webhook.close(30)
    assert hours.waits == [30.0]


def test_a_receiver_that_is_gone_is_not_asked_again(receive: Callable[..., Receiver]) -> None:
    receiver = receive(410)
    webhook = Webhook(receiver.url, SECRET, admit, pause=lambda seconds: False)
    webhook.put(FINDING, {})
    receiver.wait(1)
    for _ in range(1000):
        if webhook.failed:
            break
        threading.Event().wait(0.01)
    webhook.put(FINDING, {})
    webhook.close(30)
    assert (len(receiver.received), webhook.failed, webhook.dropped) == (1, 1, 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_same_place_tried_again(
    receive: Callable[..., Receiver], status: int
) -> None:
    other = receive()
    receiver = receive(status, headers={"Location": other.url})
    hours = Hours()
    webhook = Webhook(receiver.url, SECRET, admit, tick=hours.tick, pause=hours.pause)
    webhook.put(FINDING, {})
    receiver.wait(2)
    webhook.close(30)
    assert other.received == []
    assert [path for path, _, _ in receiver.received] == ["/hook?team=1"] * 2
    assert (webhook.sent, webhook.failed, hours.waits) == (1, 0, [1.0])


def test_a_queue_that_is_full_drops_and_counts(receive: Callable[..., Receiver]) -> None:
    held, pauses = threading.Event(), threading.Event()
    receiver = receive(500)
    hours = Hours()

    def pause(seconds: float) -> bool:
        pauses.set()
        held.wait(30)
        return hours.pause(seconds)

    webhook = Webhook(receiver.url, SECRET, admit, tick=hours.tick, pause=pause, most=16)
    webhook.put(FINDING, {})
    receiver.wait(1)
    assert pauses.wait(30)  # until then the first is in nobody's queue
    for _ in range(31):
        webhook.put(FINDING, {})
    # Room is kept for what is worse: somebody who makes small findings must not hide the theft of a token.
    assert webhook.dropped == 20
    for _ in range(4):
        webhook.put(replace(FINDING, severity="high"), {})
    assert webhook.dropped == 21
    for _ in range(2):
        webhook.put(replace(FINDING, severity="critical"), {})
    assert webhook.dropped == 22
    held.set()
    receiver.wait(16)
    webhook.close(30)
    assert (webhook.sent, webhook.dropped) == (16, 22)


def test_what_waits_to_be_tried_again_keeps_no_other_from_being_sent(receive: Callable[..., Receiver]) -> None:
    receiver = receive(503)
    webhook = Webhook(receiver.url, SECRET, admit, tick=lambda: 0.0)  # the second try is never due
    webhook.put(FINDING, {"which": "first"})
    receiver.wait(1)
    webhook.put(FINDING, {"which": "second"})
    receiver.wait(1)
    assert [json.loads(body)["data"]["which"] for *_, body in receiver.received] == ["first", "second"]
    webhook.close(0.1)
    assert (webhook.sent, webhook.failed, webhook.dropped) == (1, 0, 1)


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422])
def test_what_the_receiver_refuses_is_not_sent_again(receive: Callable[..., Receiver], status: int) -> None:
    receiver = receive(status)
    webhook = Webhook(receiver.url, SECRET, admit)
    webhook.put(FINDING, {})
    receiver.wait(1)
    assert webhook.flush(30) == 1
    webhook.close(30)
    assert (len(receiver.received), webhook.sent, webhook.failed, webhook.dropped) == (1, 0, 1, 0)


@pytest.mark.parametrize("status", [302, 408, 425, 429, 500])
def test_what_another_try_may_mend_is_sent_again(receive: Callable[..., Receiver], status: int) -> None:
    receiver = receive(status)
    hours = Hours()
    webhook = Webhook(receiver.url, SECRET, admit, tick=hours.tick, pause=hours.pause)
    webhook.put(FINDING, {})
    receiver.wait(2)
    assert webhook.flush(30) == 0
    webhook.close(30)
    assert hours.waits == [1.0]


def test_a_thread_that_could_not_begin_is_begun_with_the_next_finding(
    receive: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = receive()
    webhook = Webhook(receiver.url, SECRET, admit)

    def fail(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        webhook.put(FINDING, {})
    assert "could not begin its thread" in caplog.text
    webhook.put(FINDING, {})
    receiver.wait(2)
    webhook.close(30)
    assert webhook.sent == 2


def test_what_could_not_be_posted_when_the_process_ends_is_told(
    receive: Callable[..., Receiver], caplog: pytest.LogCaptureFixture
) -> None:
    receiver = receive(503)
    webhook = Webhook(receiver.url, SECRET, admit, tick=lambda: 0.0)
    webhook.put(FINDING, {})
    receiver.wait(1)
    webhook.close(0.05)
    assert webhook.dropped == 1
    assert "1 findings had not been posted" in caplog.text
    Webhook(receiver.url, SECRET, admit).close(1.0)  # one that never had anything to send


@pytest.mark.parametrize(("answer", "is_told"), [(204, False), (403, True)])
def test_the_command_that_finds_a_changed_audit_log_posts_it_or_says_that_it_did_not(
    watched: App, receive: Callable[..., Receiver], tmp_path: Path, answer: int, is_told: bool
) -> None:
    receiver = receive(answer)
    app = watched(
        RAMPART_AUDIT_LOG=str(tmp_path / "audit"),
        RAMPART_MONITOR_WEBHOOK=receiver.url,
        RAMPART_MONITOR_WEBHOOK_SECRET=SECRET,
        RAMPART_OUTBOUND_ALLOW=["127.0.0.0/8"],
    )
    app.test_client().get("/me")
    app.extensions["rampart"].services[Audit].close()
    (path, *_) = sorted((tmp_path / "audit").glob("*.jsonl"))
    path.write_bytes(path.read_bytes().replace(b"auth.missing", b"auth.missinG"))
    result = app.test_cli_runner().invoke(commands, ["audit", "verify"])
    assert result.exit_code == 1
    assert ("could not be posted" in result.output) is is_told
    assert json.loads(receiver.received[0][2])["data"]["rule"] == "audit_tampering"


def test_the_urls_own_secret_is_in_no_representation_of_the_settings(watched: App) -> None:
    app = watched(
        RAMPART_MONITOR_WEBHOOK="https://hooks.example.com/services/T000/hunter2",
        RAMPART_MONITOR_WEBHOOK_SECRET=SECRET,
    )
    assert "hunter2" not in repr(monitor_of(app)._settings)


def test_nobody_waits_for_a_receiver_that_does_not_answer(watched: App) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        app = watched(
            RAMPART_MONITOR_WEBHOOK=f"http://127.0.0.1:{silent.getsockname()[1]}/",
            RAMPART_MONITOR_WEBHOOK_SECRET=SECRET,
            RAMPART_OUTBOUND_ALLOW=["127.0.0.0/8"],
        )
        client = app.test_client()
        statuses = [client.post(f"/login?account=user-{n}", **at("192.0.2.1")).status_code for n in range(12)]
        assert statuses == [401] * 12


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_sends_its_own_and_not_its_parents(receive: Callable[..., Receiver]) -> None:
    receiver = receive(500)
    held = threading.Event()
    webhook = Webhook(receiver.url, SECRET, admit, pause=lambda seconds: held.wait(30) and False)
    webhook.put(FINDING, {"who": "parent"})
    receiver.wait(1)
    child = os.fork()
    if child == 0:
        try:
            webhook.renew()
            webhook.put(FINDING, {"who": "child"})
            while not webhook.sent:
                threading.Event().wait(0.01)
        finally:
            os._exit(0)
    receiver.wait(1)
    os.waitpid(child, 0)
    held.set()
    receiver.wait(1)
    webhook.close(30)
    who = [json.loads(body)["data"]["who"] for _, _, body in receiver.received]
    assert who == ["parent", "child", "parent"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"RAMPART_MONITOR_WEBHOOK": "https://hooks.example.com/x"}, "needs RAMPART_MONITOR_WEBHOOK_SECRET"),
        ({"RAMPART_MONITOR_WEBHOOK_SECRET": SECRET}, "which is not set"),
        (
            {"RAMPART_MONITOR_WEBHOOK": "https://hooks.example.com/x", "RAMPART_MONITOR_WEBHOOK_SECRET": "hunter2" * 4},
            "whsec_",
        ),
        (
            {"RAMPART_MONITOR_WEBHOOK": "https://x.example/", "RAMPART_MONITOR_WEBHOOK_SECRET": "whsec_aHVudGVyMg=="},
            "24 to 64",
        ),
        ({"RAMPART_MONITOR_WEBHOOK": "http://x.example/", "RAMPART_MONITOR_WEBHOOK_SECRET": SECRET}, "plain HTTP"),
        ({"RAMPART_MONITOR_WEBHOOK": "ftp://x.example/", "RAMPART_MONITOR_WEBHOOK_SECRET": SECRET}, "https"),
    ],
)
def test_what_cannot_be_a_webhook_stops_the_start_up(watched: App, config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        watched(**config)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "aHVudGVyMg" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1/", "https://169.254.169.254/latest", "http://10.9.9.9/", "https://metadata.google.internal/"],
)
def test_a_url_that_leads_inside_is_not_called(watched: App, url: str) -> None:
    # CWE-918: whoever writes the configuration from a form of an admin's must not reach the metadata of a cloud.
    app = watched(
        RAMPART_MONITOR_WEBHOOK=url,
        RAMPART_MONITOR_WEBHOOK_SECRET=SECRET,
        RAMPART_OUTBOUND_ALLOW=["10.1.0.0/16"],
    )
    webhook = monitor_of(app).webhook
    assert webhook is not None
    with pytest.raises(Exception, match=r"address|host"):
        webhook._admit(url)
