"""Runs the notebook (``examples/pages``) beside the API, at a socket in the file system, and speaks to it as nginx
would that has a browser in front of it."""

from __future__ import annotations

import http.client
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from examples.predict_api.client import Answer, Header

ROOT = Path(__file__).resolve().parents[2]
HOST = "notes.example"
READER = f"https://reader.{HOST}"
EVIL = "https://evil.example"
FORM = ("Content-Type", "application/x-www-form-urlencoded")


class NotebookError(RuntimeError):
    """It did not start; the message has what it said last."""


class Notebook:
    """A running notebook. What it writes goes into *folder*."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "notebook.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.access_log = folder / "notebook-access.log"
        self.log = folder / "notebook.log"

    def start(self) -> None:
        """Returns when it answers.

        :raises NotebookError: if it does not.
        """
        counters = self._folder / "notebook-counters"
        counters.mkdir(mode=0o700)
        environment = {
            **os.environ,
            "NOTES_SECRET": secrets.token_hex(32),
            "NOTES_HOST": HOST,
            "RAMPART_ACCESS_LOG": str(self.access_log),
            "RAMPART_LIMIT_STORE": f"shm://{counters}",
            "RAMPART_STORE": f"sqlite:///{self._folder / 'notebook.sqlite3'}",
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "examples.pages.app:create_app()"),
                    *("--bind", f"unix:{self._socket}", "--no-control-socket", "--graceful-timeout", "3"),
                ],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self.send("GET", "/")
                return
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
        raise NotebookError(f"The notebook did not answer. It said:\n{self.log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(8)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def send(
        self,
        method: str,
        path: str,
        headers: Sequence[Header] = (),
        body: bytes | None = None,
        *,
        host: str = HOST,
        scheme: str = "https",
        address: str = "198.51.100.7",
    ) -> Answer:
        """One request as a proxy hands it on.

        :param host: by which name the browser asked.
        :param scheme: how it came to the proxy.
        :param address: from where.
        """
        said = [("X-Forwarded-For", address), ("X-Forwarded-Proto", scheme), ("X-Forwarded-Host", host)]
        connection = _Unix(str(self._socket))
        try:
            started = perf_counter()
            connection.putrequest(method, path, skip_host=True)
            for name, value in [("Host", host), *said, *headers]:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            with connection.getresponse() as response:
                content = response.read()
                return Answer(response.status, response.headers, content, started, perf_counter() - started)
        finally:
            connection.close()

    def post(self, path: str, body: bytes, *headers: Header) -> Answer:
        """A form."""
        return self.send("POST", path, [FORM, *headers], body)


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=15)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(15)
        self.sock.connect(self._path)


def from_page(origin: str, site: str) -> list[Header]:
    """What a browser adds to what a page of *origin* sends.

    :param site: how that is related to where it goes: ``"same-origin"``, ``"same-site"`` or ``"cross-site"``.
    """
    fetch = {"Site": site, "Mode": "navigate", "Dest": "document"}
    return [("Origin", origin), *((f"Sec-Fetch-{name}", value) for name, value in fetch.items())]
