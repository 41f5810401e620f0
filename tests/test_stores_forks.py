"""Forks while a store is in use: nobody waits for ever, and no child believes in its parent's locks."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flask_rampart import StoreError
from flask_rampart.stores import SqliteStore, forks

from .test_stores_epoch import forked


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_of_several_threads_that_fork_at_once_none_waits_for_ever(tmp_path: Path) -> None:
    # In a process of its own: what it is about is a hang.
    program = """
import os, sys, threading, time
from flask_rampart.stores import SqliteStore
stores = [SqliteStore(f"{sys.argv[1]}/{number}.sqlite3") for number in range(2)]
over, failed = threading.Event(), []

def fork():
    for _ in range(30):
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if all(store.get("kind", "a") is None for store in stores) else 1)
            except BaseException:
                os._exit(2)
        failed.append(os.waitpid(child, 0)[1])

def read():
    while not over.is_set():
        for store in stores:
            store.get("kind", "a")

reader = threading.Thread(target=read, daemon=True)
forkers = [threading.Thread(target=fork, daemon=True) for _ in range(3)]
for thread in (reader, *forkers):
    thread.start()
for thread in forkers:
    thread.join()
over.set()
reader.join()
print(len(failed), set(failed))
"""
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "own")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("90 {0}\n", "")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_who_forks_while_another_never_ends_its_use_waits_and_the_child_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forks, "BUSY_SECONDS", 0.05)
    store = SqliteStore(tmp_path / "own" / "x.sqlite3")

    def use() -> None:
        signal.alarm(10)
        with pytest.raises(StoreError, match="forked"):
            store.get("kind", "a")

    for lock in (store.guard, forks._turn):
        with lock:  # another thread's, as it seems
            assert forked(use) == 0
        assert store.get("kind", "a") is None
        assert forked(lambda: store.get("kind", "a")) == 0
    store.close()
