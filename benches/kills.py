"""Workers killed in the midst of their checks: no quota is exceeded, and no key is left stuck.

Run ``python benches/kills.py``. Eight processes make a million checks on the store shared by workers, while one after
another is killed by SIGKILL and replaced. Half of the checks are of a few keys that all ask for, half of keys that are
new, with a quota of one, for which all race. Exit code 1 if one is admitted too often, too seldom, or waits.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

import apps
from common import Row, conclude, figure, goal, heading, mark, options, table, versions

WORKERS = 8
#: Of each key that all ask for; it comes back in 360 days.
QUOTA = 5_000
COMMON = 50
SIZE = 16 * 1024 * 1024
#: Milliseconds that a check may take when nobody is killed any more: what a dead worker has left takes 2 of them, once.
MOST_AFTER = 50.0
YEAR = 360 * 86_400
Ask = Callable[[str], Any]


class Ledger:
    """What each worker has seen, in memory that outlives it: a row for each, which its successor goes on with."""

    def __init__(self, rare: int) -> None:
        self.rare = rare
        #: Where it is, its slowest check in nanoseconds, and how often it was admitted of each common key. Then, of
        #: each rare key.
        self._words = 2 + COMMON
        self._memory = mmap.mmap(-1, WORKERS * (self._words * 8 + rare))
        view = memoryview(self._memory)
        self._counts = view[: WORKERS * self._words * 8].cast("q")
        self._rare = view[WORKERS * self._words * 8 :]

    def counts(self, worker: int) -> memoryview:
        """A worker's counts."""
        return self._counts[worker * self._words : (worker + 1) * self._words]

    def admitted_rare(self, worker: int) -> memoryview:
        """How often a worker was admitted, for each rare key."""
        return self._rare[worker * self.rare : (worker + 1) * self.rare]

    def done(self) -> int:
        """Checks so far."""
        return sum(self.counts(worker)[0] for worker in range(WORKERS))

    def common(self) -> list[int]:
        """Admitted, for each common key."""
        return [sum(self.counts(worker)[2 + key] for worker in range(WORKERS)) for key in range(COMMON)]

    def rares(self) -> list[int]:
        """Admitted, for each rare key that all workers have asked for."""
        rows = [self.admitted_rare(worker) for worker in range(WORKERS)]
        asked = min(self.counts(worker)[0] for worker in range(WORKERS)) // 2
        return [sum(row[key] for row in rows) for key in range(min(asked, self.rare))]

    def slowest(self) -> float:
        """In milliseconds."""
        return max(self.counts(worker)[1] for worker in range(WORKERS)) / 1e6


def asked() -> tuple[Ask, Ask]:
    """The limits of common and of rare keys."""
    common = apps.counting("common", ("text", f"{QUOTA}/year"), size=SIZE)
    rare = apps.counting("rare", ("address", "1/year"), size=SIZE)
    return common.check, rare.check


def work(ledger: Ledger, worker: int, checks: int, ask_common: Ask, ask_rare: Ask) -> NoReturn:
    """Checks until it has made its part, or is killed."""
    counts, rare, clock = ledger.counts(worker), ledger.admitted_rare(worker), time.perf_counter_ns
    for number in range(counts[0], checks):
        key = number // 2
        begun = clock()
        if number % 2:
            if ask_common(f"common {key % COMMON}"):
                counts[2 + key % COMMON] += 1
        elif ask_rare(_address(key)):
            rare[key] += 1
        spent = clock() - begun
        counts[0] = number + 1
        counts[1] = max(counts[1], spent)
    os._exit(0)


def _address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def storm(ledger: Ledger, checks: int, pause: float) -> tuple[int, float]:
    """Lets the workers work, and kills them. How many were killed, and seconds."""

    # Opened here: a worker that lives for milliseconds has no time to.
    ask_common, ask_rare = asked()

    def begin(worker: int) -> int:
        pid = os.fork()
        if pid == 0:
            _hurry(0)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            work(ledger, worker, checks, ask_common, ask_rare)
        return pid

    _hurry(-15)
    dice, killed, begun = random.Random(), 0, time.monotonic()
    running = {worker: begin(worker) for worker in range(WORKERS)}
    try:
        while running:
            time.sleep(dice.random() * 2 * pause)
            worker, pid = dice.choice(list(running.items()))
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            if os.WIFSIGNALED(status):
                killed += 1
                running[worker] = begin(worker)
            elif os.waitstatus_to_exitcode(status):
                raise SystemExit(f"a worker failed: {status}")
            else:
                del running[worker]
    finally:
        _hurry(0)
        for pid in running.values():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return killed, time.monotonic() - begun


def _hurry(nice: int) -> None:
    """Who kills must get its turn among eight that work, and who times must not wait for other programs. Where that may
    not be had, it kills less often, and may wait."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)


def afterwards(keys: int) -> tuple[list[int], list[int], float]:
    """What is left of each key, asked by a process that nobody kills; and the slowest answer in milliseconds."""
    common, rare = asked()
    slowest = 0

    def admits(ask: Ask, key: str) -> int:
        nonlocal slowest
        begun = time.perf_counter_ns()
        said = ask(key)
        spent = time.perf_counter_ns() - begun
        if spent > MOST_AFTER * 1e6:
            # Whether it is the key that is stuck, or this process had to wait for others.
            begun = time.perf_counter_ns()
            said = ask(key) or said
            spent = time.perf_counter_ns() - begun
        slowest = max(slowest, spent)
        return int(bool(said))

    rares = [admits(rare, _address(key)) for key in range(keys)]
    commons = []
    for key in range(COMMON):
        more = 0
        while admits(common, f"common {key}"):
            more += 1
        commons.append(more)
    return commons, rares, slowest / 1e6


def main() -> int:
    parser = options(__doc__, checks=1_000_000, microseconds=500)
    arguments = parser.parse_args()
    about = versions()
    heading(f"{arguments.checks:,} checks by {WORKERS} processes that are killed", about)
    apps.directory()
    each = math.ceil(arguments.checks / WORKERS)
    ledger = Ledger(rare=each // 2 + 1)
    killed, seconds = storm(ledger, each, arguments.microseconds / 1e6)
    common, rares, amid = ledger.common(), ledger.rares(), ledger.slowest()
    _hurry(-15)
    more_common, more_rare, after = afterwards(len(rares))
    # Who was killed between a check and the note of it has spent a cell that nobody has.
    refilled = math.floor((time.monotonic() - _BEGUN) * QUOTA / YEAR)
    total = [one + other for one, other in zip(common, more_common, strict=True)]
    lost = COMMON * QUOTA - sum(total)
    twice = sum(one + other > 1 for one, other in zip(rares, more_rare, strict=True))
    never = sum(one + other == 0 for one, other in zip(rares, more_rare, strict=True))

    rows = [
        Row("kills", "workers killed", float(killed), "", arguments.checks / 10_000, at_least=True),
        Row("kills", "checks", float(ledger.done()), "", float(arguments.checks), at_least=True),
        Row("kills", f"most admitted of a common key, quota {QUOTA:,}", float(max(total)), "", float(QUOTA + refilled)),
        Row("kills", "cells that died with a worker", float(lost + never), "", float(killed)),
        Row("kills", f"of {len(rares):,} rare keys admitted twice", float(twice), "", 0.0),
        Row("kills", "slowest check amid it", amid, "ms"),
        Row("kills", "slowest check afterwards", after, "ms", MOST_AFTER),
    ]
    lines = [[row.name, figure(row.value), row.unit, goal(row), mark(row.met)] for row in rows]
    print(table(("", "", "", "target", ""), lines))
    print(f"\n{seconds:.1f} seconds; every key was asked for once more by a process that nobody kills.")
    wrong = any(row.met is False for row in rows)
    return 1 if wrong else conclude(arguments, about, rows)


_BEGUN = time.monotonic()


if __name__ == "__main__":
    sys.exit(main())
