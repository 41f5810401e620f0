"""Sinks of the audit log: what arrives elsewhere, what does not and is counted, and that no request waits for it."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import audit, public
from flask_rampart._native import audit_verify
from flask_rampart.audit import courier as couriers
from flask_rampart.audit import log as logs
from flask_rampart.audit import otel
from flask_rampart.audit import sinks as places
from flask_rampart.audit.facts import Facts
from flask_rampart.audit.sinks import Stdout
from flask_rampart.audit.syslog import Syslog
from flask_rampart.config import Settings
from flask_rampart.errors import ConfigError
from flask_rampart.sinks import sinks

from .auditing import App, is_sound, log_of, make
from .fronts import Certificate

__all__ = ["make"]

RFC5424 = re.compile(
    rb"<(?P<priority>\d{1,3})>1 (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) (?P<host>[!-~]{1,255}) "
    rb"(?P<app>[!-~]{1,48}) (?P<process>[!-~]{1,128}) (?P<id>[!-~]{1,32}) - (?P<text>\{.*\})",
    re.S,
)


def looking(app: Flask) -> Flask:
    app.get("/look/<name>")(public(audit("look")(lambda name: name)))
    return app


def until(is_so: Callable[[], object], seconds: float = 30) -> None:
    """Waits for a thread to come so far."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come so far"
        time.sleep(0.005)


def lines_of(app: Flask) -> list[bytes]:
    """The lines of the log as they stand in its files."""
    return [line for path in sorted(log_of(app).directory.glob("*-*.jsonl")) for line in path.read_bytes().splitlines()]


def without_writer(text: bytes, writer: str) -> bytes:
    """The line of the log that a sink was given."""
    head = b'{"writer":"%b",' % writer.encode()
    assert text.startswith(head), text
    return b"{" + text.removeprefix(head)


class Held:
    """A sink that does what a test says."""

    name = "held"
    only_checkpoints = False

    def __init__(self) -> None:
        self.unfit = 0
        self.got: list[bytes] = []
        self.goes = threading.Event()
        self.fails = 0
        self.trials = 0

    def deliver(self, writer: str, lines: Sequence[bytes]) -> int:
        self.goes.wait(60)
        self.trials += 1
        if self.fails:
            self.fails -= 1
            raise ConnectionRefusedError(errno.ECONNREFUSED, "nobody is there")
        self.got += lines
        return len(lines)

    def close(self) -> None:
        return None


def with_sink(app: Flask, monkeypatch: pytest.MonkeyPatch, sink: Any) -> Any:
    monkeypatch.setattr(logs, "opened", lambda *_: [sink])
    return sink


# Syslog -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def collector(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, Callable[[int], list[bytes]]]]:
    """A collector of syslog messages: its address, and what gives so many of its messages."""
    kind = request.param
    family, where = {
        "udp": (socket.AF_INET, ("127.0.0.1", 0)),
        "tcp": (socket.AF_INET, ("127.0.0.1", 0)),
        "unix": (socket.AF_UNIX, str(tmp_path / "log")),
    }[kind]
    with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as server:
        server.bind(where)
        server.settimeout(30)
        if kind == "tcp":
            server.listen()
        port = 0 if kind == "unix" else server.getsockname()[1]

        def framed(count: int) -> list[bytes]:
            peer, _ = server.accept()
            with peer, peer.makefile("rb") as stream:
                found = []
                while len(found) < count:
                    length = b""
                    while (digit := stream.read(1)) != b" ":
                        assert digit.isdigit()
                        length += digit
                    found.append(stream.read(int(length)))
                return found

        def datagrams(count: int) -> list[bytes]:
            return [server.recv(1 << 16) for _ in range(count)]

        address = {
            "udp": f"syslog://127.0.0.1:{port}",
            "tcp": f"syslog+tcp://127.0.0.1:{port}?facility=local3",
            "unix": f"syslog+unix://{tmp_path}/log",
        }[kind]
        yield address, framed if kind == "tcp" else datagrams


@pytest.mark.parametrize("collector", ["udp", "tcp", "unix"], indirect=True)
def test_a_collector_gets_each_record_as_a_message_of_rfc_5424(make: App, collector: Any) -> None:
    address, received = collector
    app = looking(make(RAMPART_AUDIT_SINKS=[address]))
    # What would be two messages, or two frames, where lines tell them apart.
    forged = "<13>1 2026-01-01T00:00:00Z evil su - - - root"
    app.test_client().get(f"/look/{forged}")
    log = log_of(app)
    log.event("said", text=f"x\n{forged}\x00 12 <13>1")
    writer = log.writer or ""
    log.checkpoint()
    written = lines_of(app)
    messages = [RFC5424.fullmatch(one) for one in received(len(written))]
    assert all(messages)
    found = [one for one in messages if one is not None]
    assert [without_writer(one["text"], writer) for one in found] == written
    events = [json.loads(line)["event"] for line in written]
    assert [one["id"].decode() for one in found] == [event[:32] for event in events]
    facility = 19 if "tcp" in address else 13
    told = {one["id"]: int(one["priority"]) for one in found}
    assert told[b"look"] == facility * 8 + 5
    assert {int(one["process"]) for one in found} == {os.getpid()}
    log.close()
    assert log.dropped == {address.partition("?")[0]: 0}


def test_what_was_refused_is_a_warning_and_tampering_is_critical() -> None:
    (address,) = sinks("RAMPART_AUDIT_SINKS", ["syslog://127.0.0.1"])
    sink = Syslog(address, "my app\n", "a host")
    start = b'{"seq":1,"time":"2026-11-29T10:00:00.000000Z","event":'
    told = {
        b'"authz_fail","decision":"refused"}': 13 * 8 + 4,
        b'"audit_tampered"}': 13 * 8 + 2,
        b'"sent","fields":{"x":"\\"decision\\":\\"refused\\""}}': 13 * 8 + 5,
    }
    for rest, priority in told.items():
        message = RFC5424.fullmatch(sink.message("5f0c", start + rest + b"\n"))
        assert message is not None and int(message["priority"]) == priority
        assert (message["host"], message["app"]) == (b"a_host", b"my_app_")


def test_a_record_longer_than_a_datagram_is_counted_and_holds_up_nothing(make: App) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(30)
        address = f"syslog://127.0.0.1:{server.getsockname()[1]}"
        app = make(RAMPART_AUDIT_SINKS=[address])
        log = log_of(app)
        log.write("long", Facts({f"a{i}": "x" * 2000 for i in range(40)}))
        log.write("short", Facts())
        while b'"event":"short"' not in server.recv(1 << 16):
            pass
        log.close()
        assert log.dropped == {address: 1}
    told = [json.loads(line) for line in lines_of(app) if b"audit_records_lost" in line]
    assert [(one["sink"], one["records"]) for one in told] == [(address, 1)]
    assert is_sound(app)


def test_a_collector_that_comes_back_gets_what_waited(make: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "_LEAST_WAIT", 0.01)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))  # it does not listen: connections are refused
        port = server.getsockname()[1]
        app = looking(make(RAMPART_AUDIT_SINKS=[f"syslog+tcp://127.0.0.1:{port}"]))
        app.test_client().get("/look/a")
        time.sleep(0.05)
        server.listen()
        server.settimeout(30)
        peer, _ = server.accept()
        with peer, peer.makefile("rb") as stream:
            text = b""
            while b'"event":"look"' not in text:
                text += stream.read1(65536)
        log_of(app).close()
    # From the first record on: nothing was sent into the void.
    assert text.partition(b"{")[2].startswith(b'"writer":"') and b'"seq":0,' in text


@pytest.mark.parametrize("trusted", [True, False])
def test_by_tls_only_a_collector_that_is_who_it_says_gets_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    certificate = Certificate(tmp_path, "127.0.0.1" if trusted else "192.0.2.7")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    got: list[bytes] = []

    def collect(server: socket.socket) -> None:
        peer, _ = server.accept()
        with peer, suppress(ssl.SSLError, ConnectionError), context.wrap_socket(peer, server_side=True) as stream:
            got.append(stream.recv(65536))

    with socket.create_server(("127.0.0.1", 0)) as server:
        collector = threading.Thread(target=collect, args=(server,))
        collector.start()
        (address,) = sinks("RAMPART_AUDIT_SINKS", [f"syslog+tls://127.0.0.1:{server.getsockname()[1]}"])
        sink = Syslog(address, "shop", "host")
        line = b'{"seq":0,"time":"2026-11-29T10:00:00.000000Z","event":"x","link":"y"}\n'
        if trusted:
            assert sink.deliver("5f0c", [line]) == 1
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                sink.deliver("5f0c", [line])
        sink.close()
        collector.join(30)
    assert [b'"writer":"5f0c"' in text for text in got] == ([True] if trusted else [])


# Standard output ----------------------------------------------------------------------------------------------------


def test_standard_output_gets_the_lines_of_the_log(make: App, capfd: pytest.CaptureFixture[str]) -> None:
    app = looking(make(RAMPART_AUDIT_SINKS=["stdout"]))
    app.test_client().get("/look/a")
    writer = log_of(app).writer or ""
    log_of(app).close()
    told = [without_writer(line, writer) for line in capfd.readouterr().out.encode().splitlines()]
    assert told == lines_of(app)


def test_a_pipe_that_nobody_reads_ends_in_time_and_takes_up_its_line_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_PATIENCE_MS", 5)
    read, write = os.pipe()
    sink = Stdout(write)
    lines = [b'{"seq":%d,"x":"%b"}\n' % (i, b"y" * 9000) for i in range(20)]
    done, got = 0, b""
    while done < len(lines):
        try:
            done += sink.deliver("w", lines[done:])
        except TimeoutError:
            got += os.read(read, 30_000)
    # The last line may be one of which a part waits still.
    while got.count(b"\n") < len(lines):
        got += os.read(read, 1 << 20)
        if got.count(b"\n") < len(lines):
            sink.deliver("w", [])
    assert got == b"".join(b'{"writer":"w",' + line[1:] for line in lines)
    os.close(read)
    os.close(write)


def test_a_standard_output_that_is_closed_is_an_error_and_no_loss_elsewhere() -> None:
    read, write = os.pipe()
    os.close(read)
    sink = Stdout(write)
    with pytest.raises(OSError):
        sink.deliver("w", [b'{"seq":0}\n'])
    os.close(write)


# Queues -------------------------------------------------------------------------------------------------------------


def test_no_request_waits_for_a_sink_and_what_is_dropped_is_counted_and_recorded(
    make: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "_LINES", 10)
    app = looking(make())
    sink = with_sink(app, monkeypatch, Held())
    client = app.test_client()
    # The sink hangs all the while: were one of these to wait for it, it would be for a minute.
    assert [client.get("/look/a").status_code for _ in range(40)] == [200] * 40
    log = log_of(app)
    until(lambda: log.dropped["held"] > 0)
    sink.goes.set()
    until(lambda: any(b"audit_records_lost" in line for line in lines_of(app)))
    until(lambda: len(sink.got) + log.dropped["held"] == len(lines_of(app)))
    log.close()
    written = lines_of(app)
    told = [json.loads(line) for line in written if b"audit_records_lost" in line]
    assert {one["sink"] for one in told} == {"held"}
    assert sum(one["records"] for one in told) == log.dropped["held"]
    # What came is in order, and with what was dropped it is all.
    got = [line.rstrip(b"\n") for line in sink.got]
    assert got == [line for line in written if line in set(got)]
    assert len(got) + log.dropped["held"] == len(written)
    assert is_sound(app)


def test_a_sink_that_fails_is_tried_again_with_the_same_records(
    make: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(couriers, "_LEAST_WAIT", 0.01)
    app = looking(make())
    sink = with_sink(app, monkeypatch, Held())
    sink.fails = 3
    sink.goes.set()
    app.test_client().get("/look/a")
    until(lambda: sink.got)
    log_of(app).close()
    assert [line.rstrip(b"\n") for line in sink.got] == lines_of(app)
    assert log_of(app).dropped == {"held": 0} and sink.trials > 3
    assert caplog.text.count("takes no records") == 1  # once a minute


def test_the_end_of_a_process_waits_for_a_sink_only_so_long(make: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "LAST_WAIT", 0.05)
    app = looking(make())
    sink = with_sink(app, monkeypatch, Held())
    app.test_client().get("/look/a")
    log_of(app).close()
    assert log_of(app).dropped["held"] == len(lines_of(app))
    sink.goes.set()


def test_the_log_of_a_process_with_a_sink_that_hangs_is_closed_at_its_exit(tmp_path: Path) -> None:
    script = f"""
import threading
from flask import Flask
from flask_rampart import Rampart
app = Flask("shop", instance_path={str(tmp_path / "instance")!r})
app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_AUDIT_LOG="audit", RAMPART_LIMIT_STORE="memory://")
rampart = Rampart(app)
with app.app_context():
    rampart.audit.anchor(lambda note: threading.Event().wait())
    rampart.audit.event("sent")
"""
    (tmp_path / "instance").mkdir(mode=0o700)
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    (path,) = (tmp_path / "instance" / "audit").glob("*-*.jsonl")
    assert b'"event":"audit_writer_closed"' in path.read_bytes().splitlines()[-1]


def test_a_forked_process_sends_its_own_records_and_none_of_its_parents(make: App, tmp_path: Path) -> None:
    app = looking(make())
    kept = tmp_path / "kept"
    log = log_of(app)

    def keep(note: str) -> None:
        with kept.open("a") as file:
            file.write(f"{os.getpid()} {note.splitlines()[0]}\n")

    log.anchor(keep)
    app.test_client().get("/look/a")
    child = os.fork()
    if child == 0:
        try:
            app.test_client().get("/look/b")
            log.close()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    log.close()
    told = [line.split() for line in kept.read_text().splitlines()]
    assert {int(process) for process, _ in told} == {child, os.getpid()}
    assert len({origin for _, origin in told}) == 2
    assert is_sound(app)


# Anchors ------------------------------------------------------------------------------------------------------------


def test_an_anchor_gets_each_checkpoint_as_a_note_and_verification_holds_the_log_against_it(make: App) -> None:
    app = looking(make())
    log = log_of(app)
    notes: list[str] = []
    assert log.anchor(notes.append) == notes.append
    app.test_client().get("/look/a")
    note = log.checkpoint()
    until(lambda: notes)
    log.close()
    assert notes[0] == note and len(notes) == 2
    assert audit_verify(str(log.directory), log.key(), notes)["faults"] == []
    with pytest.raises(ConfigError, match="function"):
        log.anchor("https://keeper")  # type: ignore[type-var]


def test_an_anchor_that_fails_gets_the_newest_checkpoint_later(make: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "_LEAST_WAIT", 0.01)
    app = looking(make())
    log = log_of(app)
    calls: list[str] = []

    @log.anchor
    def keeper(note: str) -> None:
        calls.append(note)
        if len(calls) < 3:
            raise ConnectionError("the keeper is away")

    for name in ("a", "b", "c"):
        app.test_client().get(f"/look/{name}")
        log.checkpoint()
    log.close()
    last = [json.loads(line)["note"] for line in lines_of(app) if b'"audit_checkpoint"' in line][-1]
    assert calls[-1] == last
    with pytest.raises(RuntimeError, match="before the first record"):
        app.test_client().get("/look/d")
        log.anchor(keeper)


# Settings -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, told",
    [
        ("stdout", "takes a list"),
        ([], "takes a list"),
        (["stdou"], "Did you mean stdout"),
        (["stdout", "stdout"], "twice"),
        ([7], "takes 'stdout'"),
        (["syslg://host"], "Did you mean syslog://"),
        (["syslog://"], "no address"),
        (["syslog://host:0"], "no address"),
        (["syslog://host:99999"], "no address"),
        (["syslog://host/path"], "no address"),
        (["syslog://user:hunter2@host"], "no address"),
        (["syslog+unix://host/dev/log"], "no address"),
        (["syslog+unix:dev/log"], "takes 'stdout'"),
        (["syslog://host?facility=authpri"], "Did you mean authpriv"),
        (["syslog://host?facilty=local0"], "Did you mean facility"),
    ],
)
def test_a_sink_that_cannot_be_meant_stops_the_start(value: object, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)) as error:
        Settings.read({"RAMPART_AUDIT_SINKS": value})
    assert "RAMPART_AUDIT_SINKS" in str(error.value) and "hunter2" not in str(error.value)


def test_sinks_without_a_log_stop_the_start(make: App) -> None:
    with pytest.raises(ConfigError, match="no effect"):
        make(RAMPART_AUDIT_LOG="off", RAMPART_AUDIT_SINKS=["stdout"])


def test_opentelemetry_that_is_not_installed_stops_the_start(make: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otel, "_has", lambda module: False)
    app = make(RAMPART_AUDIT_SINKS=["otlp"])
    with pytest.raises(ConfigError, match="pip install opentelemetry-sdk"):
        log_of(app).check(app)
