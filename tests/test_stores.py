"""Stores: one suite that every store of records passes, and what a file on a disk must stand besides."""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import ConfigError, Rampart, StoreError
from flask_rampart.stores import MemoryStore, Records, SqliteStore, Store, open_store
from flask_rampart.stores.protocol import MOST_CHANGES

from .servers import DURABLE, Place


# A new store is a new name here, and in servers.py: it must pass everything up to "A file".
@pytest.fixture(params=("memory", *DURABLE))
def store(request: pytest.FixtureRequest, place_of: Callable[[str], Place]) -> Iterator[Store]:
    store = place_of(request.param).open()
    yield store
    store.close()


@pytest.fixture(params=DURABLE)
def place(request: pytest.FixtureRequest, place_of: Callable[[str], Place]) -> Place:
    """Of each store that outlives a process."""
    return place_of(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "own" / "records.sqlite3"


def test_a_record_is_inserted_once(store: Store) -> None:
    assert store.get("kind", "a") is None
    assert store.insert("kind", "a", b"1", group="g", expires=7.5)
    assert not store.insert("kind", "a", b"2")
    found = store.get("kind", "a")
    assert found is not None
    assert (found.key, found.value, found.group, found.expires) == ("a", b"1", "g", 7.5)
    assert store.get("other", "a") is None
    assert store.insert("other", "a", b"3")


def test_a_record_is_replaced_only_by_who_saw_its_last_version(store: Store) -> None:
    store.insert("kind", "a", b"1")
    seen = store.get("kind", "a")
    assert seen is not None
    assert store.replace("kind", "a", b"2", seen.version)
    assert not store.replace("kind", "a", b"3", seen.version)
    assert not store.replace("kind", "b", b"3", 1)
    found = store.get("kind", "a")
    assert found is not None and found.value == b"2"


def test_a_version_never_comes_back_not_even_after_a_deletion(store: Store) -> None:
    seen = set()
    for _ in range(5):
        store.insert("kind", "a", b"same")
        found = store.get("kind", "a")
        assert found is not None and found.version not in seen
        seen.add(found.version)
        assert store.delete("kind", "a", found.version)
    assert not store.delete("kind", "a")


def test_a_record_is_deleted_only_at_the_version_that_was_asked(store: Store) -> None:
    store.insert("kind", "a", b"1")
    found = store.get("kind", "a")
    assert found is not None
    assert not store.delete("kind", "a", found.version + 1)
    assert store.get("kind", "a") == found
    assert store.delete("kind", "a", found.version)
    assert store.get("kind", "a") is None


def test_a_scan_is_in_order_and_goes_on_where_the_last_one_ended(store: Store) -> None:
    for number in range(25):
        store.insert("kind", f"k{number:02}", b"", group="even" if number % 2 == 0 else "odd")
    store.insert("kind", "l", b"")
    store.insert("other", "k00", b"")
    assert [r.key for r in store.scan("kind", prefix="k", limit=3)] == ["k00", "k01", "k02"]
    assert [r.key for r in store.scan("kind", prefix="k", after="k22")] == ["k23", "k24"]
    assert [r.key for r in store.scan("kind", prefix="k1", group="odd")] == ["k11", "k13", "k15", "k17", "k19"]
    assert len(store.scan("kind")) == 26
    assert store.scan("kind", prefix="x") == []


@pytest.mark.parametrize("key", ["", "\u00e9", "\U0001f511", "a%b_c*", "'; DROP TABLE records; --", "k" * 256])
def test_a_key_is_any_text(store: Store, key: str) -> None:
    assert store.insert("kind", key, b"\x00\xff")
    found = store.get("kind", key)
    assert found is not None and found.value == b"\x00\xff"
    assert [r.key for r in store.scan("kind", prefix=key)] == ([key] if key else [])


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800", "a\udfff", "k" * 257])
def test_a_text_that_not_every_store_could_hold_is_refused_by_all(store: Store, text: str) -> None:
    # Truncated at a NUL, or written with a replacement character, two names would become one.
    attempts: list[Callable[[], Any]] = [
        lambda: store.get("kind", text),
        lambda: store.insert("kind", text, b""),
        lambda: store.insert("kind", "a", b"", group=text),
        lambda: store.replace("kind", text, b"", 1),
        lambda: store.replace("kind", "a", b"", 1, group=text),
        lambda: store.delete("kind", text),
        lambda: store.note("kind", text, b""),
        lambda: store.scan("kind", prefix=text),
        lambda: store.scan("kind", after=text),
        lambda: store.scan("kind", group=text),
        lambda: store.get(text, "a"),
        lambda: store.insert(text, "a", b""),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError) as caught:
            attempt()
        assert text not in str(caught.value)
    assert store.scan("kind") == [] and store.sequence("kind") == 0


@pytest.mark.parametrize("end", [float("nan"), float("inf"), float("-inf")])
def test_an_end_that_is_no_number_is_refused_by_all(store: Store, end: float) -> None:
    with pytest.raises(ValueError):
        store.insert("kind", "a", b"", expires=end)
    with pytest.raises(ValueError):
        store.note("kind", "a", b"", expires=end)


def test_keys_that_look_alike_are_several(store: Store) -> None:
    # A database's language may take "a" for "A", for "a ", or for an a with an accent (MySQL).
    alike = ["a", "A", "a ", " a", "\u00e1", "a\u0301", "\uff41"]
    for key in alike:
        assert store.insert("kind", key, key.encode())
    assert [r.key for r in store.scan("kind")] == sorted(alike)
    assert store.scan("kind", prefix="a", group="x") == []
    for key in alike:
        found = store.get("kind", key)
        assert found is not None and found.value == key.encode()


def test_a_group_is_never_taken_for_another_and_changes_with_the_record(store: Store) -> None:
    for group, key in (("a", "1"), ("a:", "2"), ("ab", "3"), ("", "4"), ("a\x01", "5")):
        store.insert("kind", key, b"", group=group)
    assert [r.key for r in store.scan("kind", group="a")] == ["1"]
    assert [r.key for r in store.scan("kind", group="")] == ["4"]
    found = store.get("kind", "1")
    assert found is not None and store.replace("kind", "1", b"", found.version, group="b")
    assert store.scan("kind", group="a") == []
    assert [(r.key, r.group) for r in store.scan("kind", group="b", after="0")] == [("1", "b")]


def test_a_value_is_any_bytes(store: Store) -> None:
    for number, value in enumerate((b"", b" ", b"\x00 1 2", bytes(range(256)) * 40)):
        store.insert("kind", str(number), value, group="g h")
        found = store.get("kind", str(number))
        assert found is not None and (found.value, found.group) == (value, "g h")


def test_a_scan_of_many_is_whole(store: Store) -> None:
    for number in range(1203):
        store.note("kind", f"{number:05}", b"x")
    assert [r.key for r in store.scan("kind", limit=5000)] == [f"{number:05}" for number in range(1203)]
    assert len(store.scan("kind", prefix="01", limit=150)) == 150


def test_a_record_that_no_longer_expires_is_not_swept(store: Store) -> None:
    store.insert("kind", "a", b"", expires=5.0)
    found = store.get("kind", "a")
    assert found is not None and store.replace("kind", "a", b"", found.version)
    assert store.sweep(100.0) == 0 and store.get("kind", "a") is not None


def test_a_sequence_grows_with_each_change_of_its_kind_alone(store: Store) -> None:
    start = store.sequence("kind")
    store.insert("kind", "a", b"1")
    first = store.sequence("kind")
    assert first > start
    store.insert("kind", "a", b"1")
    store.insert("other", "a", b"1")
    store.note("kind", "b", b"1")
    assert store.sequence("kind") == first
    store.delete("kind", "a")
    assert store.sequence("kind") > first


def test_changes_are_named_since_any_moment(store: Store) -> None:
    start = store.sequence("kind")
    store.insert("kind", "a", b"1")
    middle = store.sequence("kind")
    store.insert("kind", "b", b"1")
    store.delete("kind", "a")
    now, keys = store.changes("kind", start)
    assert now == store.sequence("kind") and keys is not None and set(keys) == {"a", "b"}
    assert set(store.changes("kind", middle).keys or ()) == {"a", "b"}
    assert store.changes("kind", now).keys == ()


def test_who_is_too_far_behind_or_ahead_is_told_that_anything_may_have_changed(store: Store) -> None:
    # Ahead: the store was put back to a backup.
    assert store.changes("kind", 99).keys is None
    for number in range(5):
        store.insert("kind", str(number), b"") if number < 3 else store.delete("kind", "none")
    store.insert("kind", "a", b"")
    for _ in range(MOST_CHANGES):
        found = store.get("kind", "a")
        assert found is not None
        store.replace("kind", "a", b"", found.version)
    assert store.changes("kind", 0).keys is None
    late = store.sequence("kind")
    found = store.get("kind", "a")
    assert found is not None
    for _ in range(10):
        store.replace("kind", "a", b"", found.version)
        found = store.get("kind", "a") or found
    assert store.changes("kind", late).keys == ("a",)


def test_a_sweep_drops_what_expired_and_counts_it_as_a_change(store: Store) -> None:
    store.insert("kind", "never", b"")
    store.insert("kind", "at", b"", expires=100.0)
    store.insert("kind", "before", b"", expires=99.9)
    store.note("kind", "noted", b"", expires=50.0)
    before = store.sequence("kind")
    assert store.sweep(100.0) == 2
    assert [r.key for r in store.scan("kind")] == ["at", "never"]
    assert set(store.changes("kind", before).keys or ()) == {"before", "noted"}


def test_of_many_threads_one_inserts_and_no_replacement_is_lost(store: Store) -> None:
    store.insert("kind", "count", b"0")
    won: list[int] = []

    def work(number: int) -> None:
        if store.insert("kind", "once", b""):
            won.append(number)
        for _ in range(20):
            while True:
                found = store.get("kind", "count")
                assert found is not None
                if store.replace("kind", "count", str(int(found.value) + 1).encode(), found.version):
                    break

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    found = store.get("kind", "count")
    assert found is not None and found.value == b"80"


# A file


def test_a_change_that_was_not_marked_is_found_by_asking_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its writer was killed between the change and the mark, or was another program.
    store = SqliteStore(path)
    assert store.sequence("kind") == 0
    raw = sqlite3.connect(path)
    with raw:
        raw.execute("INSERT INTO sequences VALUES ('kind', 1, 0)")
    raw.close()
    now = time.monotonic()
    monkeypatch.setattr("flask_rampart.stores.sqlite.time.monotonic", lambda: now + 1.1)
    assert store.sequence("kind") == 1
    store.close()


def test_the_shared_mark_is_this_users_alone(path: Path) -> None:
    SqliteStore(path).close()
    path.with_name(path.name + "-epoch").chmod(0o666)
    with pytest.raises(ConfigError, match="this user's alone"):
        SqliteStore(path)


def test_records_outlive_the_process_and_are_seen_by_others_at_once(path: Path) -> None:
    one, other = SqliteStore(path), SqliteStore(path)
    before = one.sequence("kind")
    assert other.insert("kind", "a", b"1")
    assert one.sequence("kind") > before
    assert one.changes("kind", before).keys == ("a",)
    one.close()
    other.close()
    found = SqliteStore(path).get("kind", "a")
    assert found is not None and found.value == b"1"


def test_the_file_and_its_logs_are_this_users_alone(path: Path) -> None:
    store = SqliteStore(path)
    store.insert("kind", "a", b"1")
    assert path.parent.stat().st_mode & 0o777 == 0o700
    files = sorted(path.parent.iterdir())
    assert path in files
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    store.close()


def test_what_is_not_ours_stops_the_start_up(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    cases: list[tuple[str, Callable[[], Any]]] = [
        ("something else", lambda: sqlite3.connect(path).execute("CREATE TABLE t (a)").connection.close()),
        ("not a database", lambda: path.write_bytes(b"hello world " * 100)),
        ("link", lambda: path.symlink_to("/etc/passwd")),
        ("link, or no file", lambda: path.mkdir()),
        ("link, or no file", lambda: os.mkfifo(path, 0o600)),
        ("this user's alone", lambda: (path.touch(), path.chmod(0o640))),
    ]
    for words, spoil in cases:
        spoil()
        if path.is_file() and not path.is_symlink() and "alone" not in words:
            path.chmod(0o600)
        with pytest.raises(ConfigError, match=r"RAMPART_STORE") as caught:
            SqliteStore(path)
        assert words in str(caught.value)
        path.rmdir() if path.is_dir() else path.unlink()
    path.parent.chmod(0o770)
    with pytest.raises(ConfigError, match="others may write"):
        SqliteStore(path)


def test_a_folder_that_cannot_be_made_stops_the_start_up(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be made"):
        SqliteStore(tmp_path / "file" / "records.sqlite3")


def test_a_file_of_a_later_version_is_left_alone(path: Path) -> None:
    SqliteStore(path).close()
    raw = sqlite3.connect(path)
    raw.execute("UPDATE schema SET version = 99")
    raw.commit()
    raw.close()
    with pytest.raises(ConfigError, match="schema 99"):
        SqliteStore(path)


def test_damage_is_told_at_start_up_or_by_an_error_and_never_taken_for_absence(path: Path) -> None:
    store = SqliteStore(path)
    for number in range(500):
        store.insert("kind", str(number), os.urandom(64))
    store.close()
    data = bytearray(path.read_bytes())
    data[4096 : len(data) - 4096] = os.urandom(len(data) - 8192)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="cannot be used"):
        store.scan("kind", limit=1000)
    store.close()
    with pytest.raises(ConfigError, match=r"damaged|malformed|not a database"):
        SqliteStore(path)


def test_a_store_that_is_locked_for_too_long_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_rampart.stores.sqlite.BUSY_SECONDS", 0.05)
    store = SqliteStore(path)
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        store.insert("kind", "a", b"1")
    assert store.note("kind", "a", b"1") is False
    assert store.get("kind", "a") is None
    raw.execute("ROLLBACK")
    assert store.insert("kind", "a", b"1")
    raw.close()
    store.close()


def test_nothing_is_ever_written_without_a_sync_at_the_checkpoint(path: Path) -> None:
    # A checkpoint carries the changes of all, also when a note sets it off: unsynced, a lost power undoes a revocation.
    store = SqliteStore(path)
    store.insert("kind", "a", b"1")
    (connection,) = store._idle
    said: list[str] = []
    level: list[int] = []
    connection.raw.set_trace_callback(said.append)
    store.note("kind", "b", b"1")
    store.insert("kind", "c", b"1")
    connection.raw.set_trace_callback(None)
    level.extend(connection.raw.execute("PRAGMA synchronous").fetchone())
    settings = [text.rsplit("=", 1)[1].strip() for text in said if text.startswith("PRAGMA synchronous")]
    assert settings == ["NORMAL", "FULL"]  # sqlite.org/pragma.html: both sync the log before a checkpoint
    assert level == [2]
    store.close()


def test_a_store_that_nobody_needs_any_more_leaves_nothing_open(path: Path) -> None:
    store = SqliteStore(path)
    store.insert("kind", "a", b"1")
    (connection,) = store._idle
    del store
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.raw.execute("SELECT 1")


def test_a_forked_child_opens_its_own_and_leaves_its_parents_alone(path: Path) -> None:
    # `--preload`: the store was used before the fork.
    store = SqliteStore(path)
    store.insert("kind", "parent", b"1")
    before = store.sequence("kind")
    children = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            try:
                done = all(store.insert("kind", f"{number}-{at}", b"") for at in range(20))
                os._exit(0 if done and store.get("kind", "parent") else 1)
            except BaseException:
                os._exit(2)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0, 0]
    assert len(store.changes("kind", before).keys or ()) == 80
    assert len(store.scan("kind")) == 81
    store.close()


WRITER = """
import sys, time
from flask_rampart.stores import SqliteStore
store = SqliteStore(sys.argv[1])
number = 0
while True:
    number += 1
    store.insert(sys.argv[2], str(number), b"x" * 300)
    print(number, flush=True)
    time.sleep(0.001)  # SQLite's lock is not fair: who never pauses starves the other
"""


def test_what_was_confirmed_survives_kill_9_at_any_instant(path: Path) -> None:
    for turn in range(4):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(path), f"{turn}-{number}"], stdout=subprocess.PIPE, text=True
            )
            for number in range(2)
        ]
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
        time.sleep(0.02 + 0.013 * turn)
        for number, writer in enumerate(writers):
            writer.send_signal(signal.SIGKILL)
            assert writer.stdout is not None
            confirmed = int(([1] + [int(line) for line in writer.stdout.read().splitlines()])[-1])
            writer.wait()
            writer.stdout.close()
            store = SqliteStore(path)  # its own check of the whole file passes
            kind = f"{turn}-{number}"
            found = {record.key for record in store.scan(kind, limit=100_000)}
            assert {str(each) for each in range(1, confirmed + 1)} <= found
            assert set(store.changes(kind, 0).keys or ()) == found
            assert store.sequence(kind) == max(record.version for record in store.scan(kind, limit=100_000))
            store.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///a?mode=memory",
        "redis://",
        "redis:/h",
        "postgres://h/d",
        "mssql+pyodbc://h/d",
        "/a/b",
        "memory",
    ],
)
def test_another_url_is_refused_with_what_there_is(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="RAMPART_STORE") as caught:
        open_store(url, tmp_path)
    assert "sqlite:///file" in str(caught.value) and "memory://" in str(caught.value)


def test_a_relative_url_is_in_the_instance_folder_and_an_absolute_one_where_it_says(tmp_path: Path) -> None:
    relative = open_store("sqlite:///a/b.sqlite3", tmp_path)
    absolute = open_store(f"sqlite:///{tmp_path}/c.sqlite3", "/nowhere")
    assert isinstance(relative, SqliteStore) and relative.path == tmp_path / "a" / "b.sqlite3"
    assert isinstance(absolute, SqliteStore) and absolute.path == tmp_path / "c.sqlite3"


def test_an_app_that_keeps_no_records_gets_no_file(tmp_path: Path) -> None:
    app = Flask(__name__, instance_path=str(tmp_path / "instance"))
    app.config.update(RAMPART_STORE="sqlite:///records.sqlite3", RAMPART_ACCESS_LOG="off")
    Rampart(app)
    app.test_client().get("/")
    assert not (tmp_path / "instance").exists()


def test_a_wrong_url_stops_the_start_up_even_where_nothing_is_kept() -> None:
    app = Flask(__name__)
    app.config["RAMPART_STORE"] = "postgres://somewhere"
    with pytest.raises(ConfigError, match="RAMPART_STORE"):
        Rampart(app)


def test_under_testing_records_are_in_memory_unless_a_store_is_set(tmp_path: Path) -> None:
    from flask_rampart import Settings

    records = Records(Settings(), str(tmp_path), lambda: True)
    assert isinstance(records.store, MemoryStore)
    records = Records(Settings(store="sqlite:///x.sqlite3"), str(tmp_path), lambda: True)
    assert isinstance(records.store, SqliteStore)
    records = Records(Settings(), str(tmp_path / "own"), lambda: False)
    assert isinstance(records.store, SqliteStore) and records.store.path.name == "rampart.sqlite3"
