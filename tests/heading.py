"""Real servers of five makes with one app behind Rampart, and requests that are written to them as they stand."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PATIENCE = 30.0
_QUIET = 3.0
"""Seconds after which a server that says nothing waits for what never comes."""
_APP = """
from flask import Flask, request
from flask_rampart import Rampart
app = Flask("heads")
app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
Rampart(app)


@app.route("/", methods=["GET", "POST", "OPTIONS"])
@app.route("/<path:rest>", methods=["GET", "POST", "OPTIONS"])
def view(rest=""):
    body = request.get_data().decode("latin-1")
    proxy = request.environ.get("HTTP_PROXY", "")
    return f"marker:{request.method}:{rest}:{body}:{proxy};"


if __name__ == "__main__":
    import sys
    app.run("127.0.0.1", int(sys.argv[1]))
"""
_UWSGI = "--module heads:app --master --die-on-term --need-app"
_COMMANDS = {
    "gunicorn": "gunicorn --no-control-socket --keep-alive 5 --bind 127.0.0.1:{port} heads:app",
    "gunicorn-gthread": "gunicorn --no-control-socket -k gthread --keep-alive 5 --bind 127.0.0.1:{port} heads:app",
    "waitress": "waitress --listen=127.0.0.1:{port} heads:app",
    "granian": "granian --interface wsgi --host 127.0.0.1 --port {port} heads:app",
    "uwsgi": "uwsgi --http-socket 127.0.0.1:{port} " + _UWSGI,
    "uwsgi-http": "uwsgi --http 127.0.0.1:{port} " + _UWSGI,
    "werkzeug": "heads {port}",
}
MAKES = tuple(_COMMANDS)


@contextmanager
def standing(folder: Path, make: str) -> Iterator[int]:
    """The port at which a server of that make answers."""
    (folder / "heads.py").write_text(_APP)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = _COMMANDS[make].format(port=port).split()
    # uWSGI is a program beside this interpreter, the others are modules.
    start = [str(Path(sys.executable).parent / "uwsgi")] if words[0] == "uwsgi" else [sys.executable, "-m", words[0]]
    paths = [str(folder), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *filter(None, sys.path)]
    log = folder / f"{make}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*start, *words[1:]],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            # A group of its own, to end all of it.
            start_new_session=True,
        )
    try:
        end = time.monotonic() + _PATIENCE
        while b"marker" not in answer_of(port, request_of("/ready")):
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{make} does not answer:\n{log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.05)
        yield port
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def request_of(target: str, method: str = "GET", *fields: str, body: bytes = b"", close: bool = True) -> bytes:
    """The bytes of a request; characters of *target* and *fields* are bytes."""
    lines = [f"{method} {target} HTTP/1.1", "Host: x", *fields, *(["Connection: close"] if close else []), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def answer_of(port: int, data: bytes) -> bytes:
    """All that comes back until the server hangs up, or waits for more; nothing from one that is not there."""
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as peer:
            peer.sendall(data)
            peer.settimeout(_QUIET)
            while some := peer.recv(65536):
                answer += some
    except OSError:
        pass
    return answer


def statuses_of(answer: bytes) -> list[int]:
    """The status of each answer, in what came back on one connection."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] ([1-5]\d\d) ", answer)]


def status_of(answer: bytes) -> int:
    """The status of the first answer; 0 if there is none."""
    return next(iter(statuses_of(answer)), 0)
