"""Four real servers with one app, asked with bytes as they stand, over TCP and at a Unix socket; always ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SERVERS = ("gunicorn", "uwsgi", "waitress", "granian")
_PATIENCE = 60.0
_MODULE = """
from flask import Flask, request
from flask_rampart import Rampart

app = Flask("fronted")
app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
app.config.update({settings!r})
Rampart(app)


@app.route("/", defaults={{"path": ""}}, methods=["GET", "POST"])
@app.route("/<path:path>", methods=["GET", "POST"])
def show(path):
    names = "REMOTE_ADDR HTTP_X_FORWARDED_FOR SCRIPT_NAME PATH_INFO HTTP_AUTHORIZATION CONTENT_LENGTH".split()
    return {{"url": request.base_url, **{{name: request.environ.get(name) for name in names}}}}
"""


class Fronted:
    """A running server."""

    def __init__(self, name: str, place: str | int, log: Path, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self._place = place
        self._log = log
        self._process = process

    def connect(self) -> socket.socket:
        unix = isinstance(self._place, str)
        peer = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        peer.settimeout(_PATIENCE)
        try:
            peer.connect(self._place if unix else ("127.0.0.1", self._place))
        except OSError:
            peer.close()
            raise
        return peer

    def ask(self, *lines: str, first: str = "GET / HTTP/1.1", host: str | None = "localhost") -> tuple[int, Any]:
        """Status and document of a request with these lines."""
        hosts = [] if host is None else [f"Host: {host}"]
        data = "\r\n".join([first, *hosts, *lines, "Connection: close", "", ""]).encode("latin-1")
        with self.connect() as peer:
            peer.sendall(data)
            answer = b""
            while some := peer.recv(65536):
                answer += some
        head, _, body = answer.partition(b"\r\n\r\n")
        try:
            document = json.loads(body)
        except ValueError:
            document = None  # the server's own refusal
        return int(head.split(b" ", 2)[1]), document

    def wait(self) -> None:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                if self.ask()[0]:
                    return
            except (OSError, IndexError):
                pass
            if self._process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{self.name} has not started:\n{self._log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.05)


@contextmanager
def fronting(folder: Path, name: str, *, unix: bool = False, **settings: Any) -> Iterator[Fronted]:
    """A server of this name with an app that shows its environ, over TCP or at a Unix socket."""
    (folder / "fronted.py").write_text(_MODULE.format(settings=settings))
    # The path of a Unix socket is short, and a test's own folder is not.
    short = tempfile.mkdtemp(prefix="rf")
    place: str | int
    if unix:
        place = f"{short}/s"
    else:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            place = int(probe.getsockname()[1])
    log = folder / f"{name}.log"
    # uWSGI has an interpreter of its own, which is told what this one has: the package as it is installed here.
    paths = [str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep), *sys.path]
    with log.open("wb") as out:
        process = subprocess.Popen(
            _command(name, place),
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    fronted = Fronted(name, place, log, process)
    try:
        fronted.wait()
        yield fronted
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        shutil.rmtree(short, ignore_errors=True)


def _command(name: str, place: str | int) -> list[str]:
    tcp = f"127.0.0.1:{place}"
    unix = isinstance(place, str)
    python = [sys.executable, "-m"]
    if name == "gunicorn":
        return [*python, "gunicorn", "--no-control-socket", "--bind", f"unix:{place}" if unix else tcp, "fronted:app"]
    if name == "waitress":
        # By itself it removes what forwards, whoever sent it.
        keep = "--no-clear-untrusted-proxy-headers"
        return [*python, "waitress", keep, f"--unix-socket={place}" if unix else f"--listen={tcp}", "fronted:app"]
    if name == "granian":
        at = ["--uds", str(place)] if unix else ["--host", "127.0.0.1", "--port", str(place)]
        return [*python, "granian", "--interface", "wsgi", *at, "fronted:app"]
    program = shutil.which("uwsgi", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if program is None:
        pytest.fail("There is no uwsgi: install requirements/dev.txt (pyuwsgi has one).")
    options = ["--module", "fronted:app", "--need-app", "--die-on-term", "--enable-threads"]
    return [program, "--http-socket", str(place) if unix else tcp, *options]
