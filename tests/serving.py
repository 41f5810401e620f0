"""Real gunicorn with an app that a test writes out, over TCP or at a Unix socket; always ended."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_PATIENCE = 30.0
_BEGIN = """
from __future__ import annotations
import os, pathlib, time
from flask import Flask, Response, request
from flask_rampart import Rampart, limit
from flask_rampart import tables
# Where counters of this host are, if the app's are elsewhere.
tables.private_directory = lambda: str(pathlib.Path(__file__).parent / "own")
app = Flask("served")
app.config.update(RAMPART_ACCESS_LOG="off", SECRET_KEY="k" * 32)
app.config.update({settings})
"""


class Unix(http.client.HTTPConnection):
    """A connection to a socket in the file system."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_PATIENCE)
        self.sock.connect(self._path)


class Served:
    """A running server. What it logs is shown when it does not do what it should."""

    def __init__(
        self, folder: Path, process: subprocess.Popen[bytes], bind: str, tls: ssl.SSLContext | None = None
    ) -> None:
        self.folder = folder
        self._tls = tls
        self.process = process
        self._bind = bind
        self.port = 0
        try:
            if bind.startswith("unix:"):
                self.wait(lambda: Path(bind[5:]).exists() and "Booting worker" in self.said())
            else:
                found = self.wait(lambda: re.search(r"Listening at: https?://127\.0\.0\.1:(\d+)", self.said()))
                self.port = int(found[1])
            self.wait(lambda: self.get("/ready")[0] == 200)
        except BaseException:
            self.stop()
            raise

    def said(self) -> str:
        """The log so far."""
        return (self.folder / "gunicorn.log").read_text(errors="replace")

    def connect(self) -> http.client.HTTPConnection:
        if self._bind.startswith("unix:"):
            return Unix(self._bind[5:])
        if self._tls is not None:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=_PATIENCE, context=self._tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], str]:
        """Status, header fields and body; the status is 0 if the worker was gone before it had answered."""
        connection = self.connect()
        try:
            fields = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, fields)
            response = connection.getresponse()
            return response.status, dict(response.headers), response.read().decode()
        except (http.client.HTTPException, ConnectionError):
            return 0, {}, ""
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
        return self.ask("GET", path, **headers)

    def raw(self, *lines: str) -> int:
        """The status of a request that is written as it stands."""
        with socket.create_connection(("127.0.0.1", self.port), _PATIENCE) as peer:
            peer.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
            answer = b""
            while data := peer.recv(65536):
                answer += data
        return int(answer.split(b" ", 2)[1])

    def at_once(self, count: int, ask: Callable[[], Any]) -> list[Any]:
        """What *count* callers get who all ask at the same moment."""
        answers: list[Any] = []
        barrier = threading.Barrier(count)

        def call() -> None:
            barrier.wait(_PATIENCE)
            answers.append(ask())

        threads = [threading.Thread(target=call) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def wait(self, ready: Callable[[], Any], seconds: float = _PATIENCE) -> Any:
        """Waits until it is so."""
        end = time.monotonic() + seconds
        while True:
            try:
                found = ready()
            except OSError:
                found = None
            if found:
                return found
            if self.process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"it did not come to be\ngunicorn says:\n{self.said()[-6000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends it, and every worker."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


@contextmanager
def serving(
    folder: Path,
    views: str,
    *arguments: str,
    bind: str = "127.0.0.1:0",
    settings: Any = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Served]:
    """gunicorn with an app whose *views* are written out; it has ``/ready`` besides, which nothing limits."""
    settings = {"RAMPART_LIMIT_STORE": f"shm://{folder}/counters", **(settings or {})}
    (folder / "counters").mkdir(mode=0o700, exist_ok=True)
    ready = '\napp.add_url_rule("/ready", "ready", lambda: str(os.getpid()))\n'
    text = _BEGIN.format(settings=repr(settings)) + textwrap.dedent(views) + ready
    (folder / "served.py").write_text(text)
    with (folder / "gunicorn.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--bind", bind, "--backlog", "1024"),
                *("--graceful-timeout", "3", "--no-control-socket", *arguments, "served:app"),
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # A group of its own, to end all of it.
            start_new_session=True,
        )
    served = Served(folder, process, bind, tls)
    try:
        yield served
    finally:
        served.stop()
