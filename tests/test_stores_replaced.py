"""An SQLite file that is deleted or replaced under a running worker: what others write into the new one is seen."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock, Rampart, StoreError, require
from flask_rampart.apikeys import ApiKeys
from flask_rampart.exchange import EXTENSION
from flask_rampart.stores import SqliteStore

from .conftest import NOW


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "own" / "records.sqlite3"


def removed(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)


def test_what_a_new_worker_writes_into_a_new_file_is_seen_by_an_old_one(path: Path) -> None:
    old = SqliteStore(path)
    for number in range(5):
        old.insert("kind", str(number), b"old")
    at, seen = old.sequence("kind"), old.get("kind", "0")
    removed(path)
    with pytest.raises(StoreError, match="No such file"):
        old.get("kind", "0")
    new = SqliteStore(path)
    # As many changes as there were before: no number of the one file is the other's.
    for number in range(5):
        new.insert("kind", str(number), b"new")
    assert old.sequence("kind") == new.sequence("kind") != at
    assert old.changes("kind", at).keys is None
    found = old.get("kind", "0")
    assert seen is not None and found is not None and found.value == b"new" and found.version != seen.version
    assert not old.replace("kind", "0", b"", seen.version)
    assert old.insert("kind", "late", b"") and new.get("kind", "late") is not None
    old.close()
    new.close()


def test_a_file_that_was_put_back_to_a_backup_is_never_taken_for_what_came_after(path: Path) -> None:
    old = SqliteStore(path)
    old.insert("kind", "a", b"")
    kept = old.sequence("kind")
    old.close()
    backup = path.with_suffix(".backup")
    raw = sqlite3.connect(path)
    raw.execute("VACUUM INTO ?", (str(backup),))
    raw.close()
    backup.chmod(0o600)
    for number in range(3):
        old.insert("kind", f"lost{number}", b"")
    at = old.sequence("kind")
    removed(path)
    shutil.move(backup, path)
    for number in range(6):
        assert old.changes("kind", at).keys is None
        old.insert("kind", str(number), b"")
    assert set(old.changes("kind", kept).keys or ()) == set("012345")
    old.close()


def test_a_connection_that_was_in_use_when_the_file_was_replaced_is_not_used_again(path: Path) -> None:
    store = SqliteStore(path)
    store.insert("kind", "a", b"old")
    reading, go = threading.Event(), threading.Event()

    def read(connection: Any) -> None:
        connection.raw.execute("SELECT 1").fetchone()
        reading.set()
        go.wait(20)

    thread = threading.Thread(target=store._use, args=(read,))
    thread.start()
    reading.wait(20)
    removed(path)
    new = SqliteStore(path)
    new.insert("kind", "a", b"new")
    go.set()
    thread.join()
    for _ in range(3):
        found = store.get("kind", "a")
        assert found is not None and found.value == b"new"
    assert store._open == len(store._idle) == 1
    store.close()
    new.close()


def test_a_file_of_something_else_is_not_read_as_the_new_one(path: Path) -> None:
    store = SqliteStore(path)
    store.insert("kind", "a", b"")
    removed(path)
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE records (kind, key)")
    raw.close()
    path.chmod(0o600)
    for _ in range(2):
        with pytest.raises(StoreError, match="something else"):
            store.get("kind", "a")
    removed(path)
    path.touch(0o644)
    os.chmod(path, 0o644)
    with pytest.raises(StoreError, match="this user's alone"):
        store.get("kind", "a")
    assert store._open == 0


def test_a_file_is_looked_at_anew_where_its_number_may_be_that_of_one_that_is_gone(path: Path) -> None:
    store = SqliteStore(path)
    store.insert("kind", "a", b"")
    store.close()
    # The same number, with other contents: as where it is given again at once.
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    number = path.stat().st_ino
    path.write_bytes(b"")
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE t (a)")
    raw.close()
    assert path.stat().st_ino == number
    with pytest.raises(StoreError, match="something else"):
        store.get("kind", "a")
    assert store._open == 0


def test_a_key_that_was_revoked_in_a_file_that_was_put_back_is_refused(tmp_path: Path) -> None:
    def worker() -> tuple[Flask, ApiKeys]:
        app = Flask(__name__, instance_path=str(tmp_path / "own"))
        app.config.update(RAMPART_API_KEYS=True, RAMPART_STORE="sqlite:///r.sqlite3", RAMPART_ACCESS_LOG="off")
        app.config.update(RAMPART_LIMIT_STORE="memory://")
        Rampart(app, clock=Clock.manual(NOW))
        app.get("/")(require("api_key")(lambda: "ok"))
        return app, app.extensions[EXTENSION].services[ApiKeys]

    path = tmp_path / "own" / "r.sqlite3"
    app, keys = worker()
    key = keys.create("ci")

    def status() -> int:
        return app.test_client().get("/", headers={"X-API-Key": key.key}).status_code

    assert status() == status() == 200
    copy = path.with_suffix(".copy")
    raw = sqlite3.connect(path)
    raw.execute("VACUUM INTO ?", (str(copy),))
    raw.close()
    copy.chmod(0o600)
    removed(path)
    shutil.move(copy, path)
    _, others = worker()
    assert others.revoke(key.id)
    assert status() == 401
