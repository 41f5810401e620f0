"""Sinks that end, hang or share their output: what is still brought, and to whom."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from flask.cli import FlaskGroup

from flask_rampart.audit import courier as couriers
from flask_rampart.audit.syslog import Syslog
from flask_rampart.sinks import sinks

from .auditing import App, log_of, make
from .fronts import Certificate
from .test_audit_sinks import Held, looking, until, with_sink

__all__ = ["make"]


# A collector that was started anew: what is sent into its old connection is lost, and no error tells.
@pytest.mark.parametrize("by_tls", [True, False])
def test_a_connection_that_the_collector_has_ended_gets_no_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_tls: bool
) -> None:
    certificate = Certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    got: list[bytes] = []
    ended = threading.Event()

    def collect(server: socket.socket) -> None:
        for count in (2, 1):
            peer, _ = server.accept()
            with peer, context.wrap_socket(peer, server_side=True) if by_tls else peer as stream:
                for _ in range(count):
                    got.append(stream.recv(65536))
                if by_tls and isinstance(stream, ssl.SSLSocket):
                    with suppress(OSError):
                        stream.setblocking(False)
                        stream.unwrap()
            ended.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        collector = threading.Thread(target=collect, args=(server,))
        collector.start()
        kind = "syslog+tls" if by_tls else "syslog+tcp"
        (address,) = sinks("RAMPART_AUDIT_SINKS", [f"{kind}://127.0.0.1:{server.getsockname()[1]}"])
        sink = Syslog(address, "shop", "host")
        line = b'{"seq":%d,"time":"2026-11-29T10:00:00.000000Z","event":"x","link":"y"}\n'
        assert sink.deliver("w", [line % 0]) == 1
        until(lambda: got)
        first = sink._socket
        assert sink.deliver("w", [line % 1]) == 1
        assert sink._socket is first, "it lives"
        assert ended.wait(30)
        until(lambda: sink._socket is not None and sink._has_ended(sink._socket))
        assert sink.deliver("w", [line % 2]) == 1
        sink.close()
        collector.join(30)
    assert [b'"seq":%d' % at in text for at, text in enumerate(got)] == [True] * 3


# PIPE_BUF (POSIX.1-2017): what is longer goes in pieces, and workers have one standard output.
def test_long_lines_of_several_processes_do_not_mix() -> None:
    code = """
import sys
from flask_rampart.audit.sinks import Stdout
sink = Stdout(1)
for _ in range(60):
    assert sink.deliver("w", [b'{"x":"' + sys.argv[1].encode() * 9000 + b'"}\\n']) == 1
"""
    read, write = os.pipe()
    workers = [subprocess.Popen([sys.executable, "-c", code, letter], stdout=write) for letter in "AB"]
    os.close(write)
    with os.fdopen(read, "rb") as output:
        lines = output.read().splitlines()
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert set(lines) == {b'{"writer":"w","x":"%b"}' % (letter * 9000) for letter in (b"A", b"B")}
    assert len(lines) == 120


def test_a_command_keeps_its_standard_output_to_itself(
    make: App, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make(RAMPART_AUDIT_SINKS=["stdout"])

    @app.cli.command("report")
    def report() -> None:
        log_of(app).event("report")
        log_of(app).close()
        os.write(1, b'{"of": "the command"}\n')

    FlaskGroup(create_app=lambda: app).main(["report"], standalone_mode=False)
    out, err = capfd.readouterr()
    assert out == '{"of": "the command"}\n'
    assert '"event":"report"' in err


# What a sink raises may be meant for a process (sys.exit in an SDK), or be thrown into the thread.
@pytest.mark.parametrize("raised", [SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
def test_a_sink_that_ends_its_thread_is_told_and_tried_again(
    make: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, raised: BaseException
) -> None:
    class Ending(Held):
        def deliver(self, writer: str, lines: Sequence[bytes]) -> int:
            if not self.trials:
                self.trials = 1
                raise raised
            return super().deliver(writer, lines)

    monkeypatch.setattr(couriers, "_LEAST_WAIT", 0.01)
    app = looking(make())
    sink = with_sink(app, monkeypatch, Ending())
    sink.goes.set()
    log_of(app).event("a")
    until(lambda: sink.got)
    log_of(app).close()
    assert log_of(app).dropped == {"held": 0}
    assert "The audit log's sink held takes no records" in caplog.text


def test_an_anchor_that_failed_is_called_again_with_what_was_signed_meanwhile(
    make: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "_LEAST_WAIT", 0.2)
    log = log_of(looking(make()))
    calls: list[str] = []
    signed: list[str] = []

    @log.anchor
    def keeper(note: str) -> None:
        calls.append(note)
        if len(calls) == 1:
            log.event("b")
            signed.append(log.checkpoint() or "")
            raise ConnectionError("the keeper is away")

    log.event("a")
    first = log.checkpoint()
    until(lambda: len(calls) == 2)
    assert calls == [first, *signed]
