"""PostgreSQL that is silent but not gone: each wait has an end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from flask_rampart import ConfigError, StoreError
from flask_rampart.stores import open_store, sqlalchemy, waits
from flask_rampart.stores.sqlalchemy import _LOCK

from .servers import Postgres


class Pooler:
    """Passes on what comes to a server's socket, until it is told to be silent; it receives all the same."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.silent = threading.Event()
        self.sockets = [socket.create_server(("127.0.0.1", 0))]
        self.port = self.sockets[0].getsockname()[1]
        self.threads: list[threading.Thread] = []
        self._start(self._accept)

    def close(self) -> None:
        for end in self.sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        for end in self.sockets:
            end.close()

    def _start(self, work: Callable[..., None], *given: socket.socket) -> None:
        self.threads.append(threading.Thread(target=work, args=given))
        self.threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                front, _ = self.sockets[0].accept()
                back = socket.socket(socket.AF_UNIX)
                self.sockets += front, back
                back.connect(self.target)
                self._start(self._pass, front, back)
                self._start(self._pass, back, front)

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self.silent.is_set():
                    sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def pooler(postgres_server: Postgres) -> Iterator[Pooler]:
    pooler = Pooler(f"{postgres_server.folder}/.s.PGSQL.5432")
    yield pooler
    pooler.close()


def test_a_server_that_is_silent_but_not_gone_is_not_waited_for_without_end(
    postgres_server: Postgres, pooler: Pooler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sqlalchemy._POSTGRES, "connect_timeout", 2)  # psycopg's least
    url = postgres_server.fresh().replace(f"host={postgres_server.folder}", f"host=127.0.0.1&port={pooler.port}")
    store: Any = open_store(url, tmp_path / "own")
    assert store.insert("kind", "a", b"1")

    @contextmanager
    def silence() -> Iterator[None]:
        # Short while nothing is said, and no longer: a server that speaks may be slow where much else runs.
        with monkeypatch.context() as patched:
            patched.setattr(waits, "WAIT_SECONDS", 0.2)
            pooler.silent.set()
            yield
            pooler.silent.clear()

    with silence():
        # The pool's own question whether the connection is well, and the handshake of a new connection.
        with pytest.raises(StoreError, match="cannot be used"):
            store.get("kind", "a")
        assert not store.note("kind", "a", b"2")
    assert store.get("kind", "a").value == b"1"
    # Within a transaction.
    with pytest.raises(StoreError, match="cannot be used"), store._transaction() as connection, silence():
        try:
            sqlalchemy._last(connection, "kind")
        except sqlalchemy.sa.exc.OperationalError as error:
            # The end of the transaction is not heard either.
            store._fail(error)
    pooler.silent.clear()
    assert store.get("kind", "a").value == b"1"
    assert store._base.pool.checkedout() == 0
    store.close()


def test_an_answer_that_comes_in_time_is_heard_however_often_the_clock_is_looked_at(
    postgres_server: Postgres,
) -> None:
    with waits.BoundedConnection.connect(f"host={postgres_server.folder} user=postgres dbname=postgres") as connection:
        row = connection.execute("SELECT pg_sleep(0.35), 7").fetchone()
        assert row is not None and row[1] == 7
        assert len(connection.execute("SELECT repeat('x', 1000000) FROM generate_series(1, 5)").fetchall()) == 5


def test_a_lock_that_somebody_keeps_stops_the_start_up_and_is_not_waited_for(
    postgres_server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlalchemy, "_LIMIT", "SET LOCAL statement_timeout TO 200")
    other = psycopg.connect(f"host={postgres_server.folder} user=postgres dbname=postgres")
    other.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
    with pytest.raises(ConfigError, match="statement timeout"):
        open_store(postgres_server.fresh(), tmp_path / "own")
    other.close()
    open_store(postgres_server.fresh(), tmp_path / "own").close()
