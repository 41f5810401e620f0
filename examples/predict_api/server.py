"""Runs the API under gunicorn, with four workers, in a folder of its own that is gone afterwards; beside it an issuer
that the API trusts, its command line, and an app with pages."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from examples.predict_api.accounts import new_account, save
from examples.predict_api.client import Client
from examples.predict_api.forge import new_key, private_pem
from examples.predict_api.issuer import Issuer
from examples.predict_api.notebook import Notebook, NotebookError

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 4
# Seconds for which a refresh token that was replaced still gives its successor: ten by default, which is long to watch.
OVERLAP = 2


class ServerError(RuntimeError):
    """The server did not start; the message has what it said last."""


@dataclass(slots=True)
class Person:
    """Somebody who can sign in. The password is new at each run: there is no default to forget."""

    id: str
    email: str
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    password: str = field(default_factory=lambda: secrets.token_urlsafe(15))


class Server:
    """``with Server(port) as server:`` the API answers at ``server.client``; afterwards it is stopped."""

    def __init__(self, port: int = 0) -> None:
        self.ada = Person("u-ada", "ada.lovelace@mail.example", scopes=("predict",))
        self.grace = Person("u-grace", "grace.hopper@mail.example", scopes=("predict",), roles=("admin",))
        self.key: rsa.RSAPrivateKey = new_key()
        self.issuer = Issuer()
        self._wanted = port
        self._folder = tempfile.TemporaryDirectory(prefix="predict-api-")
        self.notebook = Notebook(Path(self._folder.name))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def logs(self) -> dict[str, Path]:
        """What the server writes, by name."""
        return {
            "access log": self._path("access.log"),
            "server and app log": self._path("server.log"),
            "gunicorn's log": self._path("workers.log"),
            "notebook's access log": self.notebook.access_log,
            "notebook's log": self.notebook.log,
        }

    @property
    def kept(self) -> dict[str, Path]:
        """What the server keeps of logins and keys: SQLite's file, and the one of its latest changes."""
        files = {"store": self._path("records.sqlite3"), "store's newest part": self._path("records.sqlite3-wal")}
        return {name: path for name, path in files.items() if path.exists()}

    def workers(self, request_ids: Collection[str], seconds: float = 5) -> set[int]:
        """Which workers answered these requests: gunicorn writes it down, the API itself tells nobody."""
        deadline = time.monotonic() + seconds
        while True:
            lines = self._path("workers.log").read_text(encoding="utf-8").splitlines()
            found = {ident: pid for ident, _, pid in (line.partition(" ") for line in lines) if pid.endswith(">")}
            if found.keys() >= set(request_ids) or time.monotonic() > deadline:
                return {int(found[ident].strip("<>")) for ident in request_ids if ident in found}
            time.sleep(0.02)

    def flask(self, *arguments: str) -> str:
        """What ``flask ...`` prints, by the same settings, in a process of its own.

        :raises ServerError: if it fails.
        """
        command = [sys.executable, "-m", "flask", "--app", "examples.predict_api.app:create_app()", *arguments]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode:
            raise ServerError(f"flask {' '.join(arguments[:3])} failed: {done.stderr.strip()}")
        return done.stdout

    def new_api_key(self, name: str, owner: str, scopes: str) -> dict[str, Any]:
        """A key, made on the command line, with what is told about it."""
        options = ("--owner", owner, "--scopes", scopes, "--lifetime", "1h", "--json")
        made: dict[str, Any] = json.loads(self.flask("rampart", "keys", "create", name, *options))
        return made

    def tail(self, lines: int = 25) -> str:
        """What the server said last."""
        log = self._path("server.log")
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def wait(self) -> None:
        """Returns when the server ends by itself."""
        if self._process is not None:
            self._process.wait()

    def _start(self) -> None:
        people = (self.ada, self.grace)
        save(
            self._path("users.json"),
            [new_account(p.id, p.email, p.password, p.scopes, p.roles) for p in people],
        )
        key = self._path("key.pem")
        key.touch(mode=0o600)
        key.write_bytes(private_pem(self.key))
        self._path("counters").mkdir(mode=0o700)
        self.issuer.start()
        try:
            self.notebook.start()
        except NotebookError as error:
            raise ServerError(str(error)) from None

        # The port is taken here and handed to gunicorn, so that nobody else can take it in between.
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", self._wanted))
            except OSError as error:
                raise ServerError(f"Port {self._wanted} cannot be had: {error.strerror}.") from None
            listener.listen(128)
            self.port: int = listener.getsockname()[1]
            self.client = Client(self.port)
            with self._path("server.log").open("wb") as log:
                self._process = subprocess.Popen(
                    self._command(listener.fileno()),
                    cwd=ROOT,
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(listener.fileno(),),
                    # Ctrl-C reaches this process alone, which then stops the server in order.
                    start_new_session=True,
                )
        self._await()

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PREDICT_KEY_PEM": str(self._path("key.pem")),
            "PREDICT_USERS": str(self._path("users.json")),
            "RAMPART_ACCESS_LOG": str(self._path("access.log")),
            "RAMPART_ISSUERS": json.dumps([self.issuer.settings]),
            "RAMPART_JWT_REFRESH_OVERLAP": str(OVERLAP),
            # The counters, logins and keys of this run alone: yesterday's quota is not today's.
            "RAMPART_LIMIT_STORE": f"shm://{self._path('counters')}",
            "RAMPART_STORE": f"sqlite:///{self._path('records.sqlite3')}",
        }

    def _command(self, listener: int) -> list[str]:
        return [
            *(sys.executable, "-m", "gunicorn", "examples.predict_api.app:create_app()"),
            *("--bind", f"fd://{listener}", "--workers", str(WORKERS), "--graceful-timeout", "3"),
            *("--no-control-socket", "--access-logfile", str(self._path("workers.log"))),
            # Which worker answered which request.
            *("--access-logformat", "%({x-request-id}o)s %(p)s"),
        ]

    def _await(self, seconds: float = 30) -> None:
        assert self._process is not None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                if self.client.get("/health").status == 200:
                    return
            except (OSError, HTTPException):
                pass
            time.sleep(0.05)
        raise ServerError(f"The server did not answer. It said:\n{self.tail()}")

    def _stop(self) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(8)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.notebook.stop()
        self.issuer.close()
        self._folder.cleanup()

    def _path(self, name: str) -> Path:
        return Path(self._folder.name) / name
