"""Rate limits as several processes see them, and the file that they share.

Processes are forked; what they report goes through memory that they all map, so that a killed one has reported what
it had. Quotas are per year: nothing is refilled while a test runs.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from flask_rampart._native import Clock, LimitSet, LimitStore, Quota

pytestmark = pytest.mark.servers

WORKERS = 4


@pytest.fixture
def home(tmp_path: Path) -> Path:
    directory = tmp_path / "counters"
    directory.mkdir(mode=0o700)
    return directory


def limits(store: LimitStore, quotas: str, scope: str = "s") -> LimitSet:
    return LimitSet(store, [(scope, Quota.parse(quotas), "text")])


def shared(home: Path, *, size: int = 1 << 20) -> LimitStore:
    return LimitStore.shared(str(home), "test", Clock.system(), bytes=size)


class Board:
    """Numbers that processes share: each has its own row, so none waits for another."""

    def __init__(self, rows: int, columns: int = 1) -> None:
        self.columns = columns
        self.memory = mmap.mmap(-1, rows * columns * 8)

    def add(self, row: int, column: int = 0) -> None:
        at = (row * self.columns + column) * 8
        self.memory[at : at + 8] = struct.pack("<q", struct.unpack_from("<q", self.memory, at)[0] + 1)

    def highest(self, row: int, column: int, value: int) -> None:
        at = (row * self.columns + column) * 8
        if struct.unpack_from("<q", self.memory, at)[0] < value:
            self.memory[at : at + 8] = struct.pack("<q", value)

    def column(self, column: int = 0) -> list[int]:
        return [row[column] for row in struct.iter_unpack(f"<{self.columns}q", self.memory)]


def fork(work: Callable[[], None]) -> int:
    """Runs *work* in a child, which ends there."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    with contextlib.suppress(BaseException):
        work()
        status = 0
    os._exit(status)


def in_workers(work: Callable[[int], None], workers: int = WORKERS) -> None:
    pids = [fork(partial(work, worker)) for worker in range(workers)]
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0


def test_four_workers_share_one_quota_exactly(home: Path) -> None:
    # Flask-Limiter in memory: `gunicorn -w 4` admits four times the limit.
    board = Board(WORKERS)

    def work(worker: int) -> None:
        one = limits(shared(home), "10000/year")
        for _ in range(5_000):
            if one.check(("hot",)):
                board.add(worker)

    in_workers(work)
    assert sum(board.column()) == 10_000


def test_workers_that_inherit_the_store_share_it_as_well(home: Path) -> None:
    # --preload: opened before the fork. The parent's lock is the children's.
    one = limits(shared(home), "1000/year")
    board = Board(WORKERS)

    def work(worker: int) -> None:
        for _ in range(500):
            if one.check(("hot",)):
                board.add(worker)

    in_workers(work)
    assert sum(board.column()) == 1_000
    assert not one.check(("hot",))


def test_twenty_thousand_new_keys_are_each_admitted_exactly_five_times(home: Path) -> None:
    board = Board(WORKERS)
    keys = [(f"key {n}",) for n in range(20_000)]

    def work(worker: int) -> None:
        one = limits(shared(home, size=8 << 20), "5/year")
        order = keys[:]
        random.Random(worker // 2).shuffle(order)  # In pairs, so that two workers insert the same key at once.
        for key in order:
            for _ in range(2):
                if one.check(key):
                    board.add(worker)

    in_workers(work)
    assert sum(board.column()) == 20_000 * 5
    one = limits(shared(home, size=8 << 20), "5/year")
    assert not any(one.check(key) for key in keys[::97])


def test_several_limits_are_charged_all_or_none_across_workers(home: Path) -> None:
    board = Board(WORKERS)

    def work(worker: int) -> None:
        both = LimitSet(
            shared(home),
            [("ample", Quota.parse("100000/year"), "text"), ("scarce", Quota.parse("700/year"), "text")],
        )
        for _ in range(2_000):
            if both.check(("one", "two")):
                board.add(worker)

    in_workers(work)
    assert sum(board.column()) == 700
    assert limits(shared(home), "100000/year", scope="ample").peek(("one",)).remaining == 100_000 - 700


def test_a_table_of_slots_that_keep_changing_hands_loses_no_hot_key(home: Path) -> None:
    # The flood's counters run off after a millisecond, so every slot but one is given away again and again.
    board = Board(WORKERS)

    def work(worker: int) -> None:
        store = shared(home, size=1 << 15)
        hot, flood = limits(store, "1000/year"), limits(store, "1000/second burst 1", scope="flood")
        for n in range(10_000):
            flood.check((f"{worker} {n}",))
            if n % 8 == 0 and hot.check(("hot",)):
                board.add(worker)

    in_workers(work)
    assert sum(board.column()) == 1_000


def test_workers_killed_at_any_moment_neither_wedge_nor_give_away(home: Path) -> None:
    keys = [(f"key {n}",) for n in range(300)]
    admitted, slowest = Board(8, len(keys)), Board(8)
    quota = 50
    shared_store = shared(home, size=1 << 15)

    def hammer(row: int, seed: int) -> None:
        one = limits(shared_store, f"{quota}/year")
        churn = limits(shared_store, "1000/second burst 1", scope="churn")
        dice = random.Random(seed)
        while True:
            column = dice.randrange(len(keys))
            began = time.monotonic_ns()
            passed = one.check(keys[column])
            churn.check((str(dice.random()),))
            slowest.highest(row, 0, time.monotonic_ns() - began)
            if passed:
                admitted.add(row, column)

    kills = 0
    pids: dict[int, int] = {}
    dice = random.Random(5)
    until = time.monotonic() + 3
    while time.monotonic() < until or kills < 200:
        for row in range(3):
            if row not in pids:
                pids[row] = fork(partial(hammer, row, kills * 8 + row))
        time.sleep(dice.random() * 0.01)
        row = dice.randrange(3)
        pid = pids.pop(row)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        kills += 1
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    one = limits(shared_store, f"{quota}/year")
    slow = 0.0
    for column, key in enumerate(keys):
        began = time.monotonic()
        verdict = one.check(key)
        slow = max(slow, time.monotonic() - began)
        while verdict:
            admitted.add(7, column)
            verdict = one.check(key)
    totals = [sum(admitted.column(column)) for column in range(len(keys))]
    assert kills >= 200
    assert max(totals) <= quota
    # A killed worker may have been admitted without living to report it, once: no other cell is lost.
    assert sum(totals) >= quota * len(keys) - kills - len(pids)
    assert slow < 0.1, f"a check after {kills} kills took {slow:.3f} s"


def test_a_flood_of_a_million_keys_grows_nothing_and_frees_no_victim(home: Path) -> None:
    store = shared(home)
    path = Path(store.path or "")
    size, blocks = path.stat().st_size, path.stat().st_blocks
    one = limits(store, "3/year")
    assert one.check(("victim",), 3)
    board = Board(2)

    def work(worker: int) -> None:
        for n in range(500_000):
            if one.check((f"{worker} {n}",)):
                board.add(worker)

    in_workers(work, 2)
    assert (path.stat().st_size, path.stat().st_blocks) == (size, blocks)
    assert store.capacity * 0.8 < store.used() <= store.capacity
    assert not one.check(("victim",))
    # A slot each, and 64 overflow counters of three cells.
    assert sum(board.column()) <= store.capacity + 64 * 3


def test_a_new_process_finds_the_counts_of_the_old(home: Path) -> None:
    one = limits(shared(home), "2/year")
    assert one.check(("a",), 2)
    del one
    script = (
        "import sys; from flask_rampart._native import *;"
        "store = LimitStore.shared(sys.argv[1], 'test', Clock.system(), bytes=1 << 20);"
        "one = LimitSet(store, [('s', Quota.parse('2/year'), 'text')]);"
        "sys.exit(bool(one.check(('a',))) * 2 + bool(not one.check(('b',))))"
    )
    assert subprocess.run([sys.executable, "-c", script, str(home)], check=False, timeout=20).returncode == 0


def test_workers_that_start_at_once_open_one_table(home: Path) -> None:
    board = Board(8)

    def work(worker: int) -> None:
        if limits(shared(home), "3/year").check(("a",)):
            board.add(worker)

    for _ in range(10):
        in_workers(work, 8)
        assert sum(board.column()) == 3
        (home / "test").unlink()
        board = Board(8)


# A path that someone else has prepared


def refusal(directory: Path, name: str = "test") -> str:
    with pytest.raises(ValueError) as caught:
        LimitStore.shared(str(directory), name, Clock.system(), bytes=1 << 16)
    return str(caught.value)


def test_a_missing_directory_is_made_private(tmp_path: Path) -> None:
    old = os.umask(0o277)
    try:
        store = LimitStore.shared(str(tmp_path / "new"), "test", Clock.system(), bytes=1 << 16)
    finally:
        os.umask(old)
    assert store.path == str(tmp_path / "new" / "test")
    assert (tmp_path / "new").stat().st_mode & 0o7777 == 0o700
    assert (tmp_path / "new" / "test").stat().st_mode & 0o7777 == 0o600
    assert "parent" in refusal(tmp_path / "missing" / "new")


def test_a_linked_directory_is_refused(home: Path) -> None:
    link = home.parent / "link"
    link.symlink_to(home)
    assert "symbolic link" in refusal(link)
    assert "Name the directory itself" in refusal(link)
    (home.parent / "file").touch()
    assert "not a directory" in refusal(home.parent / "file")


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o707, 0o1777, 0o500])
def test_a_directory_of_another_mode_is_refused(home: Path, mode: int) -> None:
    home.chmod(mode)
    assert f"chmod 0700 {home}" in refusal(home)


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o606, 0o700, 0o4600])
def test_a_file_of_another_mode_is_refused(home: Path, mode: int) -> None:
    (home / "test").touch()
    (home / "test").chmod(mode)
    assert f"{mode:04o}" in refusal(home)
    assert "Remove it" in refusal(home)


def test_a_linked_file_is_refused_and_its_target_left_alone(home: Path) -> None:
    target = home.parent / "precious"
    target.write_bytes(b"precious")
    target.chmod(0o600)
    (home / "test").symlink_to(target)
    assert "symbolic link" in refusal(home)
    (home / "test").unlink()
    (home / "test").hardlink_to(target)
    assert "hard link" in refusal(home)
    (home / "test").unlink()
    (home / "test").symlink_to(home.parent / "nowhere")
    assert "symbolic link" in refusal(home)
    assert target.read_bytes() == b"precious"
    assert not (home.parent / "nowhere").exists()


def test_what_is_no_file_is_refused_without_waiting(home: Path) -> None:
    (home / "test").mkdir()
    assert "is a directory" in refusal(home)
    (home / "test").rmdir()
    os.mkfifo(home / "test", 0o600)
    began = time.monotonic()
    assert "not a regular file" in refusal(home)
    assert time.monotonic() - began < 1


def test_what_belongs_to_another_user_is_refused(home: Path) -> None:
    if os.geteuid() != 0:
        # Only root can give something away; everyone else has the root's own directory.
        assert "belongs to user 0, not to us" in refusal(Path("/"))
        return
    (home / "test").touch(mode=0o600)
    os.chown(home / "test", 65_534, -1)
    assert "belongs to user 65534, not to us (user 0)" in refusal(home)
    os.chown(home / "test", 0, -1)
    os.chown(home, 65_534, -1)
    assert "belongs to user 65534" in refusal(home)


def test_a_table_that_cannot_be_allocated_stops_the_start_and_takes_no_space(home: Path) -> None:
    def work(_worker: int) -> None:
        # Stands in for a full disk: the kernel refuses the allocation with another number.
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
        with pytest.raises(ValueError, match="cannot allocate the counters"):
            shared(home)

    in_workers(work, 1)
    assert (home / "test").stat().st_size == 0
    assert limits(shared(home), "1/year").check(("a",))


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc/passwd", ".x", "a b", "a\0b"])
def test_a_name_cannot_leave_the_directory(home: Path, name: str) -> None:
    assert "cannot name a table" in refusal(home, name)
