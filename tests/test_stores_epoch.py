"""The mark: a change that is durable is seen by all workers of the host at their next look, whoever was killed when."""

from __future__ import annotations

import faulthandler
import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flask_rampart import ConfigError, Settings, StoreError
from flask_rampart.stores import Records, SqliteStore, Store, epoch, forks, sqlite
from flask_rampart.stores.epoch import Epoch

from .servers import DURABLE, Place

# Where a writer can be killed, in order, and whether its change is durable then.
STEPS = {"locked": False, "odd": False, "committed": True, "alone": True, "even": True}


@pytest.fixture(params=DURABLE)
def place(request: pytest.FixtureRequest, place_of: Callable[[str], Place]) -> Place:
    return place_of(request.param)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Advances the clock that the mark goes by."""
    at = [time.monotonic()]
    monkeypatch.setattr("flask_rampart.stores.epoch.time", Clock(at))

    def advance(seconds: float) -> None:
        at[0] += seconds

    return advance


class Clock:
    def __init__(self, at: list[float]) -> None:
        self.monotonic = lambda: at[0]
        self.sleep = time.sleep


class Worker:
    """Another process, that remembers what it read, and asks for one number whether it still holds: as a guard does.

    Asked with a text, it writes that first.
    """

    def __init__(self, place: Place) -> None:
        asks, asked = os.pipe()
        answers, answered = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            os.close(asked)
            os.close(answers)
            faulthandler.disable()  # one of them is to die of a signal, and that is no news
            try:
                self._serve(place.open(), asks, answered)
            finally:
                os._exit(0)
        os.close(asks)
        os.close(answered)
        self._out, self._in = asked, answers

    @staticmethod
    def _serve(store: Store, asks: int, answered: int) -> None:
        at, value = -1, b""
        while line := os.read(asks, 100):
            if line.strip():
                replace(store, line.strip())
            if store.sequence("kind") != at:
                at = store.sequence("kind")
                found = store.get("kind", "a")
                value = found.value if found else b""
            os.write(answered, value + b"\n")

    def ask(self, text: str = "") -> str:
        os.write(self._out, f"{text}\n".encode())
        return os.read(self._in, 100).decode().strip()

    def end(self) -> int:
        """Its exit status: what it died of before, or of being killed now."""
        os.kill(self.process, signal.SIGKILL)
        os.close(self._out)
        os.close(self._in)
        return os.waitpid(self.process, 0)[1]


def forked(work: Callable[[], Any]) -> int:
    """Runs it in a child; its exit status."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def die_at(step: str) -> None:
    """Lets this process be killed when it comes to that step of a change."""
    lock, write = fcntl.flock, os.pwrite

    def flock(descriptor: int, how: int) -> None:
        if step == "committed" and how & fcntl.LOCK_EX:
            os.kill(os.getpid(), signal.SIGKILL)
        lock(descriptor, how)
        if (step == "locked" and how & fcntl.LOCK_SH) or (step == "alone" and how & fcntl.LOCK_EX):
            os.kill(os.getpid(), signal.SIGKILL)

    def pwrite(descriptor: int, data: bytes, at: int) -> int:
        done = write(descriptor, data, at)
        if step == ("odd" if data[0] & 1 else "even"):
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    fcntl.flock, os.pwrite = flock, pwrite  # type: ignore[assignment]


def replace(store: Store, value: bytes) -> bool:
    found = store.get("kind", "a")
    assert found is not None
    return store.replace("kind", "a", value, found.version)


def is_odd(store: Any) -> bool:
    return bool(store._epoch.read()[0] & 1)


def test_a_durable_change_is_seen_at_the_next_look_wherever_its_writer_was_killed(
    place: Place, later: Callable[[float], None]
) -> None:
    store = place.open()
    store.insert("kind", "a", b"start")
    readers = [Worker(place) for _ in range(2)]
    try:
        expected = "start"
        for turn in range(2):
            for step, durable in STEPS.items():
                assert [reader.ask() for reader in readers] == [expected] * 2
                new = f"{step}{turn}"

                def write(step: str = step, new: str = new) -> None:
                    mine = place.open()
                    die_at(step)
                    replace(mine, new.encode())

                assert forked(write) == signal.SIGKILL
                expected = new if durable else expected
                assert [reader.ask() for reader in readers] == [expected] * 2, step
                assert is_odd(store) == (step in ("odd", "committed", "alone"))
                if turn:  # the next writer finds what the killed one left; or it was healed before
                    store.sequence("kind")
                    later(epoch.HEAL_SECONDS)
                    store.sequence("kind")
                    assert not is_odd(store)
                    assert [reader.ask() for reader in readers] == [expected] * 2, step
    finally:
        for reader in readers:
            reader.end()
        store.close()


def test_an_even_mark_is_trusted_and_an_odd_one_never(place: Place, later: Callable[[float], None]) -> None:
    store: Any = place.open()
    store.insert("kind", "a", b"1")
    asked: list[str] = []
    real = store._sequences._ask
    store._sequences._ask = lambda kind: (asked.append(kind), real(kind))[1]
    for _ in range(5):
        store.sequence("kind")
    assert len(asked) == 1
    with store._epoch.change():
        for _ in range(5):
            store.sequence("kind")
        assert len(asked) == 6
        # A writer that lives is not healed away, however long it takes.
        later(epoch.HEAL_SECONDS * 10)
        store.sequence("kind")
        later(epoch.HEAL_SECONDS * 10)
        store.sequence("kind")
        assert is_odd(store)
    for _ in range(5):
        store.sequence("kind")
    assert len(asked) == 9
    store.close()


def test_of_two_writers_at_once_the_last_one_says_that_it_is_over(tmp_path: Path) -> None:
    one, other = Epoch(tmp_path / "mark"), Epoch(tmp_path / "mark")
    first, second = one.change(), other.change()
    with first:
        second.__enter__()
    assert one.read()[0] & 1  # the other still writes
    second.__exit__(None, None, None)
    assert not one.read()[0] & 1 and one.read() == other.read()


def test_a_change_of_which_nobody_knows_whether_it_was_made_is_left_marked(
    place: Place, later: Callable[[float], None]
) -> None:
    # The server may do later what it was asked, when the answer has long been given up.
    store: Any = place.open()
    with pytest.raises(ZeroDivisionError), store._epoch.change():
        _ = 1 / 0
    assert is_odd(store)
    store.sequence("kind")
    later(epoch.HEAL_SECONDS)
    store.sequence("kind")
    assert not is_odd(store)
    store.close()


@pytest.mark.parametrize("harm", ["deleted", "replaced", "wiped", "shortened"])
def test_a_mark_that_was_harmed_is_made_anew_and_no_change_is_missed(
    place: Place, harm: str, later: Callable[[float], None]
) -> None:
    reader, writer = place.open(), place.open()
    assert isinstance(reader._epoch, Epoch)  # type: ignore[attr-defined]
    mark = reader._epoch.path  # type: ignore[attr-defined]
    reader.insert("kind", "a", b"1")
    at = reader.sequence("kind")
    if harm == "deleted":
        mark.unlink()
    elif harm == "replaced":
        mark.with_name("x").write_bytes(bytes(8))
        mark.with_name("x").chmod(0o600)
        mark.with_name("x").rename(mark)
    elif harm == "wiped":
        mark.write_bytes(b"\0")  # emptied and written: never shorter than a byte between two looks of this test
        os.truncate(mark, 8)
    else:
        os.truncate(mark, 1)
    assert replace(writer, b"2")
    later(1.01)  # POLL_SECONDS of every store
    assert reader.sequence("kind") > at
    # And from then on at once again, in both directions.
    for one, other in ((reader, writer), (writer, reader)):
        at = one.sequence("kind")
        assert replace(other, b"3")
        assert one.sequence("kind") > at
        assert replace(one, b"4")
        assert one.sequence("kind") > at
    reader.close()
    writer.close()


def test_a_mark_that_is_emptied_ends_a_worker_rather_than_deceive_it(place_of: Callable[[str], Place]) -> None:
    place = place_of("sqlite")
    store: Any = place.open()
    store.insert("kind", "a", b"old")
    worker = Worker(place)
    assert worker.ask() == "old"
    os.truncate(store._epoch.path, 0)
    # Nobody has made it long again.
    assert worker.ask() == ""
    assert worker.end() & 0x7F == signal.SIGBUS  # with or without a core
    next_one = Worker(place)
    assert replace(store, b"new") and next_one.ask() == "new"
    next_one.end()
    store.close()


def test_poll_seconds_are_at_most_five_in_every_store() -> None:
    from flask_rampart.stores import redis, sqlalchemy

    assert all(1 <= module.POLL_SECONDS <= 5 for module in (redis, sqlalchemy, sqlite))


def test_a_mark_of_another_users_stops_the_start_up_and_the_change(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A command line of another user would change records that no worker then looks at.
    store: Any = place.open()
    store.insert("kind", "a", b"1")
    store._epoch.path.chmod(0o660)
    for attempt in (lambda: Epoch(store._epoch.path), lambda: replace(store, b"2")):
        with pytest.raises(ConfigError, match="this user's alone"):
            attempt()
    store._epoch.path.chmod(0o600)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    for attempt in (lambda: Epoch(store._epoch.path), lambda: replace(store, b"2")):
        with pytest.raises(ConfigError, match="this user's alone"):
            attempt()
    monkeypatch.undo()
    found = store.get("kind", "a")
    assert found is not None and found.value == b"1"
    store.close()


def test_what_cannot_be_marked_is_not_changed(
    place_of: Callable[[str], Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place_of("sqlite").open()
    store.insert("kind", "a", b"1")

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StoreError, match="cannot be written"):
        replace(store, b"2")
    monkeypatch.undo()
    found = store.get("kind", "a")
    assert found is not None and found.value == b"1"
    store.close()


def test_a_process_that_was_stopped_with_the_lock_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = Epoch(tmp_path / "mark")
    monkeypatch.setattr("flask_rampart.stores.epoch.BUSY_SECONDS", 0.02)
    with open(tmp_path / "mark") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="stopped"), mark.change():
            pytest.fail("changed")
    with mark.change():
        pass


def test_a_child_does_not_keep_the_lock_of_a_parent_that_is_killed(
    tmp_path: Path, later: Callable[[float], None]
) -> None:
    # A lock belongs to what a fork shares: without closing it there, the child would hold off the healing.
    path = tmp_path / "own" / "records.sqlite3"
    store = SqliteStore(path)
    store.insert("kind", "a", b"1")
    reading, writing = os.pipe()

    def write() -> None:
        forks.BUSY_SECONDS = 0.1  # a fork waits for who is within a transaction: here, for itself
        mine = SqliteStore(path)
        real = os.pwrite

        def pwrite(descriptor: int, data: bytes, at: int) -> int:
            real(descriptor, data, at)
            if os.fork() == 0:
                # By itself, and so after what is done in a child: its parent may be dead before it is first run.
                os.write(writing, f"{os.getpid()}\n".encode())
                time.sleep(30)
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)
            return 0

        os.pwrite = pwrite
        replace(mine, b"2")

    assert forked(write) == signal.SIGKILL
    child = int(os.read(reading, 20))
    try:
        assert is_odd(store)
        store.sequence("kind")
        later(epoch.HEAL_SECONDS)
        store.sequence("kind")
        assert not is_odd(store)
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(reading)
        os.close(writing)
        store.close()


# Races


def test_of_eight_processes_each_replacement_wins_once_also_where_one_is_killed(place: Place) -> None:
    store = place.open()
    store.insert("kind", "count", b"0")
    reading, writing = os.pipe()
    children = []
    for number in range(8):
        child = os.fork()
        if child == 0:
            try:
                mine = place.open()
                for turn in range(6):
                    while True:
                        found = mine.get("kind", "count")
                        assert found is not None
                        if mine.replace("kind", "count", str(int(found.value) + 1).encode(), found.version):
                            break
                    os.write(writing, b"x")
                    if number == 0 and turn == 2:
                        os.kill(os.getpid(), signal.SIGKILL)
                os._exit(0)
            except BaseException:
                os._exit(1)
        children.append(child)
    ends = [os.waitpid(child, 0)[1] for child in children]
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        confirmed = len(pipe.read())
    assert ends == [signal.SIGKILL] + [0] * 7
    found = store.get("kind", "count")
    assert found is not None and int(found.value) == confirmed == 7 * 6 + 3
    assert store.changes("kind", store.sequence("kind")).keys == ()
    store.close()


def test_four_workers_see_each_change_of_each_other_at_once(place: Place) -> None:
    store = place.open()
    store.insert("kind", "a", b"0")
    workers = [Worker(place) for _ in range(4)]
    try:
        for turn in range(8):
            assert workers[turn % 4].ask(f"v{turn}") == f"v{turn}"
            assert [worker.ask() for worker in workers] == [f"v{turn}"] * 4
            if turn == 3:
                workers[0].end()
                workers[0] = Worker(place)
    finally:
        for worker in workers:
            worker.end()
        store.close()


# Forks


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_while_another_thread_opens_the_store_leaves_the_child_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = Records(Settings(store="sqlite:///x.sqlite3"), str(tmp_path / "own"))
    opening, go = threading.Event(), threading.Event()
    from flask_rampart import stores

    real = stores.open_store

    def slow(*given: Any, **more: Any) -> Store:
        if threading.current_thread() is thread:
            opening.set()
            go.wait(20)
        return real(*given, **more)

    monkeypatch.setattr(stores, "open_store", slow)
    thread = threading.Thread(target=records.open)
    thread.start()
    opening.wait(20)

    def use() -> None:
        signal.alarm(10)
        assert records.store.insert("kind", "a", b"1")

    assert forked(use) == 0
    go.set()
    thread.join()
    assert records.store.get("kind", "a") is not None
    records.store.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_of_each_store_opens_its_own(place: Place) -> None:
    store = place.open()
    store.insert("kind", "parent", b"1")
    before = store.sequence("kind")

    def use() -> None:
        assert all(store.insert("kind", f"{os.getpid()}-{at}", b"") for at in range(5))
        assert store.get("kind", "parent") is not None
        assert store.sequence("kind") > before

    for _ in range(3):
        assert forked(use) == 0
        assert store.get("kind", "parent") is not None
    assert store.sequence("kind") > before
    assert len(store.scan("kind")) == 16
    store.close()
