"""Workers of a host: they share counts, findings and responses, through forks and kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock
from flask_rampart._native import Monitor, Sight

from .monitoring import monitor_of, rules

RULE = {"name": "scan", "counts": ["not_found"], "by": "address", "threshold": 1000, "window": 86_400}
WORKER = """
import sys
from flask_rampart._native import Clock, Monitor, Sight
directory, count = sys.argv[1], int(sys.argv[2])
rule = {"name": "scan", "counts": ["not_found"], "by": "address", "threshold": 1000, "window": 86_400}
monitor = Monitor([rule], Clock.system(), file=(directory, "monitor"))
sys.stdout.write("ready\\n"); sys.stdout.flush()
sys.stdin.readline()
sight = Sight(status=404, path="/x", address="192.0.2.1")
found = sum(len(monitor.note(sight)) for _ in range(count))
sys.stdout.write(f"{found}\\n")
"""


@pytest.fixture
def directory(tmp_path: Path) -> str:
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    return str(own)


def monitor(directory: str, rules: list[dict[str, object]] | None = None) -> Monitor:
    return Monitor([RULE] if rules is None else rules, Clock.system(), file=(directory, "monitor"))


@contextmanager
def workers(directory: str, number: int, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Workers that wait until they are told to go on; they start at once, for that takes its time."""
    arguments = [sys.executable, "-c", WORKER, directory, str(count)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        started = [stack.enter_context(subprocess.Popen(arguments, **pipes)) for _ in range(number)]
        for worker in started:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        try:
            yield started
        finally:
            for worker in started:
                worker.kill()


def told_by(directory: str, number: int, count: int) -> list[str]:
    with workers(directory, number, count) as started:
        for worker in started:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        return sorted(worker.communicate(timeout=60)[0] for worker in started)


def test_workers_share_one_count_and_one_of_them_tells(directory: str) -> None:
    sight = Sight(status=404, path="/x", address="192.0.2.1")
    # Held, so that the table is not begun anew between two workers; and the address is met, so that it is not met for
    # the first time by two at once.
    held = monitor(directory)
    held.note(sight)
    assert told_by(directory, 3, 400) == ["0\n", "0\n", "1\n"]


def test_below_the_threshold_of_all_together_nobody_tells(directory: str) -> None:
    held = monitor(directory)
    assert told_by(directory, 3, 320) == ["0\n"] * 3
    assert held.note(Sight(status=404, path="/x", address="192.0.2.2")) == []


def test_a_worker_that_is_killed_in_the_middle_leaves_a_table_that_counts_on(directory: str) -> None:
    held = monitor(directory)
    with workers(directory, 3, 100_000_000) as started:
        for worker in started:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        # Wherever they are by then.
        threading.Event().wait(0.2)
        for worker in started:
            worker.send_signal(signal.SIGKILL)
            assert worker.wait(60) == -signal.SIGKILL
    rules = [{**RULE, "name": "after", "threshold": 3}]
    after = monitor(directory, rules)
    sight = Sight(status=404, path="/x", address="192.0.2.1")
    assert held.places == after.places
    assert [len(after.note(sight)) for _ in range(4)] == [0, 0, 1, 0]


def test_responses_and_findings_are_of_the_host(directory: str) -> None:
    one, other = monitor(directory).state, monitor(directory).state
    assert one.mark("throttle", "address", "192.0.2.1", 600.0)
    assert other.any_marked()
    assert other.marked("throttle", "address", "::ffff:192.0.2.1") is not None
    assert [other.try_now("address", "192.0.2.1") > 0 for _ in range(6)] == [False] * 5 + [True]
    assert one.try_now("address", "192.0.2.1") > 0
    one.write(1.0, "scan", 3, "address", "192.0.2.1", 5, 4, 0, False, "/x", "")
    assert [told[1] for told in other.recent(10)] == ["scan"]
    assert other.unmark("throttle", "address", "192.0.2.1")
    assert one.marked("throttle", "address", "192.0.2.1") is None


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_what_waits_at_a_fork_is_counted_by_the_parent_alone(directory: str, make_app: Callable[..., Flask]) -> None:
    app = make_app(RAMPART_LIMIT_STORE=f"shm://{directory}")
    watching = monitor_of(app)
    watching.change("knocking", {"counts": ("request",), "threshold": 8, "window": "1 day"})
    client = app.test_client()
    for _ in range(5):
        client.get("/", buffered=True)
    assert watching.native.path is not None
    assert watching.native.waiting == 5
    child = os.fork()
    if child == 0:
        try:
            code = watching.native.waiting
            watching.native.fold()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    # Had the child counted its copy, these would be ten.
    assert rules(app) == []
    for _ in range(3):
        client.get("/", buffered=True)
    assert rules(app) == ["knocking"]


def test_a_table_of_another_size_is_joined_while_it_is_in_use(directory: str) -> None:
    held = monitor(directory)
    joined = Monitor([RULE], Clock.system(), bytes=4 << 20, file=(directory, "monitor"))
    assert joined.places == held.places
    assert joined.path == held.path == f"{directory}/monitor"


def test_a_table_in_a_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    open_to_others = tmp_path / "open"
    open_to_others.mkdir()
    open_to_others.chmod(0o777)
    with pytest.raises(ValueError, match="chmod 0700"):
        monitor(str(open_to_others))


def test_names_do_not_stand_in_the_file_but_for_the_book(directory: str) -> None:
    rules = [{**RULE, "name": "guess", "counts": ["login_failed"], "by": "account"}]
    native = monitor(directory, rules)
    for number in range(50):
        sight = Sight(status=401, login=False, account=f"ada-{number}@example.com", address="192.0.2.1", route="/login")
        native.note(sight)
    native.state.know("grace@example.com", "192.0.2.1", 600.0)
    native.state.mark("step_up", "principal", "hopper", 600.0)
    path = native.path
    assert path is not None
    data = Path(path).read_bytes()
    assert any(data[65_536:])
    for name in (b"ada-", b"example.com", b"grace", b"hopper", bytes([192, 0, 2, 1])):
        assert name not in data, name
