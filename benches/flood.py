"""Limits under a flood of keys: how long a check takes, what it costs in memory, and what others feel of it.

Run ``python benches/flood.py``. Up to ten million different addresses are presented to one table of 8 MiB, which holds
half a million live counters; then one process floods it with new keys while another asks for a key of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from socket import inet_ntoa
from typing import Any

import apps
import peers
from common import Row, conclude, figure, goal, heading, lacking, mark, options, table, versions

#: A limit whose counters stay live for the whole bench: a cell comes back in 36 seconds.
QUOTA = "100/hour"
SIZE = 8 * 1024 * 1024
MARKS = (1, 1_000, 100_000, 1_000_000, 10_000_000)
PEER_MARKS = MARKS[:-1]
SAMPLE = 50_000
#: Beside one key: what is in no cache of the processor costs so much. Beside a million: nothing grows any more.
CACHE_TARGET, FLAT_TARGET, FLOODED_TARGET = 3.0, 1.25, 2.0
_SPAWN = multiprocessing.get_context("spawn")


def addresses(first: int, last: int) -> list[str]:
    """Different addresses, from 16.0.0.0 on."""
    return [inet_ntoa(number.to_bytes(4, "big")) for number in range(0x1000_0000 + first, 0x1000_0000 + last)]


def timed(call: Callable[[str], object], keys: Sequence[str]) -> tuple[list[int], int]:
    """Nanoseconds of each call, and how many refused."""
    clock, spent, refused = time.perf_counter_ns, [0] * len(keys), 0
    for nth, key in enumerate(keys):
        begun = clock()
        said = call(key)
        spent[nth] = clock() - begun
        refused += not said
    return spent, refused


def clock_alone() -> float:
    """What reading the clock twice takes, in microseconds: taken off each figure."""
    clock, spent = time.perf_counter_ns, [0] * SAMPLE
    for nth in range(SAMPLE):
        begun = clock()
        spent[nth] = clock() - begun
    return statistics.median(spent) / 1000


def quantile(spent: Sequence[int], part: float) -> float:
    """In microseconds."""
    return sorted(spent)[min(int(len(spent) * part), len(spent) - 1)] / 1000


def present(call: Callable[[str], object], marks: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Presents so many keys, and looks at each mark how long checks take: of new keys, and of any that have been."""
    dice, done = random.Random(1), 0
    before = _resident()
    for mark_ in marks:
        while done < mark_:
            # The last of them are timed.
            step = min(mark_ - done, SAMPLE)
            keys = addresses(done, done + step)
            fresh, _ = timed(call, keys)
            done += step
        seen = [addresses(number, number + 1)[0] for number in (dice.randrange(done) for _ in range(SAMPLE))]
        call(seen[0])
        again, _ = timed(call, seen)
        yield {
            "keys": mark_,
            "new": [quantile(fresh, 0.5), quantile(fresh, 0.99)],
            "seen": [quantile(again, 0.5), quantile(again, 0.99)],
            "grown": _resident() - before,
        }


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def present_ours(send: Connection, marks: Sequence[int]) -> None:
    """In a process of its own, for the sake of its memory."""
    limits = apps.counting("flood", ("address", QUOTA), size=SIZE)
    path = Path(os.environ[apps.DIRECTORY]) / f"counting-{SIZE}"
    for row in present(limits.check, marks):
        send.send({**row, "file": path.stat().st_size})
    send.send(None)


def present_peers(send: Connection, marks: Sequence[int]) -> None:
    """The same for ``limits``."""
    from limits import parse
    from limits.storage import MemoryStorage
    from limits.strategies import FixedWindowRateLimiter

    hit, item = FixedWindowRateLimiter(MemoryStorage()).hit, parse(QUOTA)
    for row in present(lambda address: hit(item, address), marks):
        send.send(row)
    send.send(None)


def in_process(target: Callable[..., None], *arguments: Any) -> Iterator[Any]:
    """What a process sends."""
    receive, send = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=target, args=(send, *arguments), daemon=True)
    process.start()
    send.close()
    while (said := receive.recv()) is not None:
        yield said
    process.join()


def flood(send: Connection) -> None:
    """New keys, without end."""
    limits = apps.counting("flood", ("address", QUOTA), size=SIZE)
    first = 100_000_000
    send.send(os.getpid())
    while True:
        for key in addresses(first, first + 1000):
            limits.check(key)
        first += 1000
        send.send(first)


def flooded(rounds: int) -> dict[str, float]:
    """What a key of its own feels of the flood: by turns the flood stands still and runs."""
    limits = apps.counting("own", ("text", "100000000/hour"), size=SIZE)
    receive, send = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=flood, args=(send,), daemon=True)
    process.start()
    pid, keys, said = receive.recv(), 0, 0
    quiet: list[list[int]] = []
    loud: list[list[int]] = []
    refused = 0

    begun = time.monotonic()
    for _ in range(rounds):
        for sink, order in ((quiet, signal.SIGSTOP), (loud, signal.SIGCONT)):
            os.kill(pid, order)
            time.sleep(0.02)
            timed(limits.check, ["ada"] * 1000)
            spent, no = timed(limits.check, ["ada"] * 20_000)
            sink.append(spent)
            refused += no
            while receive.poll():
                keys, said = receive.recv(), said + 1
    seconds = time.monotonic() - begun
    process.kill()
    process.join()
    if not said:
        raise SystemExit("the flood did not run; nothing is measured")
    return {
        "quiet p50": statistics.median(quantile(spent, 0.5) for spent in quiet),
        "quiet p99": statistics.median(quantile(spent, 0.99) for spent in quiet),
        "flooded p50": statistics.median(quantile(spent, 0.5) for spent in loud),
        "flooded p99": statistics.median(quantile(spent, 0.99) for spent in loud),
        "refused": refused,
        "a second": said * 1000 / seconds,
        "keys": keys,
    }


def main() -> int:
    parser = options(__doc__, rounds=41)
    parser.add_argument("--most", type=int, default=MARKS[-1], help="keys presented at most")
    arguments = parser.parse_args()
    about = versions("limits")
    heading("A flood of keys", about)
    apps.directory()
    alone = clock_alone()
    rows: list[Row] = []
    lines: list[list[str]] = []

    stores: list[tuple[str, Callable[..., None], Sequence[int]]] = [("ours, 8 MiB shared", present_ours, MARKS)]
    if peers.missing("limits"):
        lacking("limits", "bench")
    else:
        stores.append(("limits, in memory", present_peers, PEER_MARKS))
    for name, target, marks in stores:
        lines.append([name])
        at: dict[int, list[float]] = {}
        for said in in_process(target, [mark_ for mark_ in marks if mark_ <= arguments.most]):
            new, seen = ([value - alone for value in said[kind]] for kind in ("new", "seen"))
            at[said["keys"]] = seen
            grown, file = said["grown"] / 1e6, said.get("file", 0) / 1e6
            times = [*map(figure, (*new, *seen)), f"{grown:.1f}", f"{file:.1f}" if file else ""]
            lines.append([f"  {said['keys']:,}", *times])
        most = max(at)
        ours = target is present_ours
        rows.append(
            Row(name, "p50 of the most keys", at[most][0] / at[1][0], "x one key", CACHE_TARGET if ours else None)
        )
        for nth, part in enumerate(("p50", "p99")):
            ratio = at[most][nth] / at[sorted(at)[-2]][nth]
            rows.append(
                Row(name, f"{part} of the most keys", ratio, "x a tenth of them", FLAT_TARGET if ours else None)
            )
        if ours:
            # What of the file was touched is in it, and what the bench keeps of the keys.
            rows.append(Row(name, "memory", grown, "MB more", SIZE / 1e6 + 30))
            rows.append(Row(name, "file", file, "MB", SIZE / 1e6))
        else:
            rows.append(Row(name, "memory", grown, "MB more"))
    head = ("keys presented", "new p50", "p99", "seen p50", "p99", "memory +MB", "file MB")
    print(table(head, lines))
    print(f"\nMicroseconds of a check, less {alone * 1000:.0f} ns for reading the clock; {SAMPLE:,} checks each.\n")

    spent = flooded(arguments.rounds)
    quiet = spent["quiet p50"] - alone
    worst = Row("flooded", "p99 of an established key", (spent["flooded p99"] - alone) / quiet, "x quiet p50")
    worst.target = FLOODED_TARGET
    refused = Row("flooded", "refused of an established key", spent["refused"], "requests", 0)
    rows += [worst, refused]
    lines = [
        [when, *(figure(spent[f"{when} {part}"] - alone) for part in ("p50", "p99"))] for when in ("quiet", "flooded")
    ]
    print(table(("an established key", "p50 us", "p99 us"), lines))
    print(f"\n{spent['a second']:,.0f} new keys a second from another process; {arguments.rounds} rounds; medians.\n")
    told = [[row.group, row.name, figure(row.value), row.unit, goal(row), mark(row.met)] for row in rows]
    print(table(("", "", "", "", "target", ""), told, left=2))
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
