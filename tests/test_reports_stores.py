"""The table of reports in each kind of store: several processes write it at once, and some of them are killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flask_rampart import Settings
from flask_rampart.reports.keeping import Keeper
from flask_rampart.reports.reading import Seen
from flask_rampart.reports.table import Table
from flask_rampart.stores import Records, open_store

from .servers import DURABLE, Place, Redis

pytestmark = pytest.mark.servers

_NOW = 1_800_000_000.0
_WORKER = """
import json, sys
from flask_rampart import Settings
from flask_rampart.reports.keeping import Keeper
from flask_rampart.reports.reading import Seen
from flask_rampart.stores import Records, open_store

url, folder, prefix, name, count = json.loads(sys.argv[1])
records = Records(Settings(), folder, store=open_store(url, folder, prefix=prefix))
keeper = Keeper(records, lambda: 1_800_000_000.0, 30, at_once=lambda: True)
print("ready", flush=True)
sys.stdin.readline()
for at in range(count):
    found = Seen("csp-violation", "enforce", "img-src", f"https://{name}-{at % 40}.example", "/", "", ())
    keeper.count([found, found._replace(blocked="eval")], name)
    print(at + 1, flush=True)
"""


class Worker:
    """A process that reports, each report written before the next; it begins when it is told to."""

    def __init__(self, place: Place, name: str, count: int) -> None:
        self.name = name
        told = json.dumps([place.url, place.folder, place.prefix, name, count])
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, told], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def begin(self) -> None:
        assert self.process.stdout is not None and self.process.stdin is not None
        assert self.process.stdout.readline() == "ready\n"
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def written(self) -> int:
        """How many of its reports were written, once it has ended."""
        assert self.process.stdout is not None
        # Not communicate(): it passes over what an earlier readline() has taken from the pipe beyond its line.
        with self.process:
            lines = self.process.stdout.read().split()
        return int(lines[-1]) if lines else 0


@pytest.mark.parametrize("kind", DURABLE)
def test_workers_that_write_at_once_lose_nothing_also_where_one_is_killed_in_a_write(
    kind: str, place_of: Callable[[str], Place]
) -> None:
    place = place_of(kind)
    place.open().close()  # its tables are there
    workers = [Worker(place, name, 8) for name in ("a", "b")]
    killed = Worker(place, "killed", 10_000)
    for worker in (*workers, killed):
        worker.begin()
    assert killed.process.stdout is not None
    for _ in range(4):
        killed.process.stdout.readline()
    # It does nothing but write, so it is in the midst of that.
    killed.process.send_signal(signal.SIGKILL)
    done = [worker.written() for worker in workers]
    assert done == [8, 8]
    least = max(4, killed.written())
    keeper = Keeper(Records(Settings(), place.folder, store=place.open()), lambda: _NOW, 30)
    found = {group.blocked: group.count for group in keeper.table().groups.values()}
    evals = found.pop("eval")
    # What it had written before it could say so may be there.
    assert 16 + least <= evals <= 16 + least + 1
    assert sum(found.values()) == evals
    keeper._records.store.close()


def test_who_reports_does_not_wait_while_redis_stands_still(
    tmp_path: Path, own: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(own.url, tmp_path)
    keeper = Keeper(Records(Settings(), str(tmp_path), store=store), lambda: _NOW, 30)
    found = Seen("csp-violation", "enforce", "img-src", "eval", "/", "", ())
    keeper.count([found], "first")
    keeper.flush()
    flush, writing = keeper.flush, set[int]()

    def watched() -> None:
        writing.add(threading.get_ident())
        flush()

    monkeypatch.setattr(keeper, "flush", watched)
    with own.standing_still():
        began = time.monotonic()
        for at in range(200):
            keeper.count([found], f"client {at}")
        assert time.monotonic() - began < 0.9  # one wait for Redis is a second
        timers = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
        assert len([timer for timer in timers if timer.function == keeper._later]) <= 1
    assert threading.get_ident() not in writing
    monkeypatch.undo()
    deadline = time.monotonic() + 20
    while True:
        record = store.get("reports", "table")
        assert record is not None
        keeper.flush()
        if [group.count for group in Table.of(record.value).groups.values()] == [201]:
            break
        assert time.monotonic() < deadline
    store.close()
