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
from array import array
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
SAMPLE, BLOCK = 50_000, 1_000
#: Beside one key.
FLAT_TARGET, FLOODED_TARGET = 1.25, 2.0
PARTS = ("p50", "p99")
_SPAWN = multiprocessing.get_context("spawn")


def addresses(first: int, last: int) -> list[str]:
    """Different addresses, from 16.0.0.0 on."""
    return [inet_ntoa(number.to_bytes(4, "big")) for number in range(0x1000_0000 + first, 0x1000_0000 + last)]


def timed(call: Callable[[str], object], keys: Sequence[str]) -> tuple[Sequence[int], int]:
    """Nanoseconds of each call, and how many refused."""
    # Not a list: what allocates meets page faults, one in a hundred times.
    clock, spent, refused = time.perf_counter_ns, array("q", bytes(8 * len(keys))), 0
    for nth, key in enumerate(keys):
        begun = clock()
        said = call(key)
        spent[nth] = clock() - begun
        refused += not said
    return spent, refused


def clock_alone() -> dict[str, float]:
    """What reading the clock twice takes, in microseconds: taken off each figure of the same part."""
    clock, spent = time.perf_counter_ns, array("q", bytes(8 * SAMPLE))
    for nth in range(SAMPLE):
        begun = clock()
        spent[nth] = clock() - begun
    return dict(zip(PARTS, parts(spent), strict=True))


def quantile(spent: Sequence[int], part: float) -> float:
    """In microseconds."""
    return sorted(spent)[min(int(len(spent) * part), len(spent) - 1)] / 1000


def parts(spent: Sequence[int]) -> list[float]:
    """The parts that are shown."""
    return [quantile(spent, 0.5), quantile(spent, 0.99)]


def present(
    call: Callable[[str], object], alone: Callable[[str], object], marks: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """Presents so many keys, and looks at each mark how long checks take: of new keys, of any that have been, and by
    turns with these of a thousand keys in a store of their own, *alone*."""
    dice, done = random.Random(1), 0
    before = _resident()
    for mark_ in marks:
        while done < mark_:
            # The last of them are timed.
            step = min(mark_ - done, SAMPLE)
            fresh, _ = timed(call, addresses(done, done + step))
            done += step
        seen, thousand = array("q"), array("q")
        for _ in range(SAMPLE // BLOCK):
            known = [addresses(number, number + 1)[0] for number in (dice.randrange(done) for _ in range(BLOCK))]
            few = [addresses(number, number + 1)[0] for number in (dice.randrange(1000) for _ in range(BLOCK))]
            seen.extend(timed(call, known)[0])
            thousand.extend(timed(alone, few)[0])
        yield {
            "keys": mark_,
            "new": parts(fresh),
            "seen": parts(seen),
            "thousand": parts(thousand),
            "grown": _resident() - before,
        }


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def present_ours(send: Connection, marks: Sequence[int]) -> None:
    """In a process of its own, for the sake of its memory."""
    limits = apps.counting("flood", ("address", QUOTA), size=SIZE)
    alone = apps.counting("alone", ("address", QUOTA), size=SIZE // 8)
    path = Path(os.environ[apps.DIRECTORY]) / f"counting-{SIZE}"
    for row in present(limits.check, alone.check, marks):
        send.send({**row, "file": path.stat().st_size})
    send.send(None)


def present_peers(send: Connection, marks: Sequence[int]) -> None:
    """The same for ``limits``."""
    from limits import parse
    from limits.storage import MemoryStorage
    from limits.strategies import FixedWindowRateLimiter

    hit, item = FixedWindowRateLimiter(MemoryStorage()).hit, parse(QUOTA)
    alone = FixedWindowRateLimiter(MemoryStorage()).hit
    for row in present(lambda address: hit(item, address), lambda address: alone(item, address), marks):
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


def flooded(rounds: int) -> dict[str, Any]:
    """What a key of its own feels of the flood: by turns the flood stands still and runs."""
    limits = apps.counting("own", ("text", "100000000/hour"), size=SIZE)
    receive, send = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=flood, args=(send,), daemon=True)
    process.start()
    pid, keys, said = receive.recv(), 0, 0
    quiet: list[Sequence[int]] = []
    loud: list[Sequence[int]] = []
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
    felt = {"quiet": [parts(spent) for spent in quiet], "flooded": [parts(spent) for spent in loud]}
    return {
        **{name: [statistics.median(part) for part in zip(*rounds_, strict=True)] for name, rounds_ in felt.items()},
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

    def less(values: Sequence[float]) -> list[float]:
        return [value - alone[part] for value, part in zip(values, PARTS, strict=True)]

    stores: list[tuple[str, Callable[..., None], Sequence[int]]] = [("ours, 8 MiB shared", present_ours, MARKS)]
    if peers.missing("limits"):
        lacking("limits", "bench")
    else:
        stores.append(("limits, in memory", present_peers, PEER_MARKS))
    for name, target, marks in stores:
        lines.append([name])
        first: list[float] = []
        flat: list[float] = []
        beside: list[float] = []
        for said in in_process(target, [mark_ for mark_ in marks if mark_ <= arguments.most]):
            new, seen, few = (less(said[kind]) for kind in ("new", "seen", "thousand"))
            first = first or seen
            flat = [a / b for a, b in zip(seen, first, strict=True)]
            beside = [a / b for a, b in zip(seen, few, strict=True)]
            grown, file = said["grown"] / 1e6, said.get("file", 0) / 1e6
            times = [*map(figure, (*new, *seen, *few)), f"{grown:.1f}", f"{file:.1f}" if file else ""]
            lines.append([f"  {said['keys']:,}", *times])
        ours = target is present_ours
        for part, ratio, few_ratio in zip(PARTS, flat, beside, strict=True):
            rows.append(Row(name, f"{part} of the most keys", ratio, "x one key", FLAT_TARGET if ours else None))
            rows.append(Row(name, f"{part} of the most keys", few_ratio, "x a thousand"))
        if ours:
            # What of the file was touched is in it, and what the bench keeps of the keys.
            rows.append(Row(name, "memory", grown, "MB more", SIZE / 1e6 + 30))
            rows.append(Row(name, "file", file, "MB", SIZE / 1e6))
        else:
            rows.append(Row(name, "memory", grown, "MB more"))
    head = ("keys presented", "new p50", "p99", "seen p50", "p99", "a thousand p50", "p99", "memory +MB", "file MB")
    print(table(head, lines))
    print(
        f"\nMicroseconds of a check, less what reading the clock takes ({alone['p50']:.2f}, {alone['p99']:.2f}); "
        f"{SAMPLE:,} checks each.\n"
    )

    felt = flooded(arguments.rounds)
    quiet, loud = less(felt["quiet"]), less(felt["flooded"])
    rows += [
        Row("flooded", "p99 of an established key", loud[1] / quiet[0], "x quiet p50", FLOODED_TARGET),
        Row("flooded", "p99 of an established key", loud[1] / quiet[1], "x quiet p99"),
        Row("flooded", "refused of an established key", float(felt["refused"]), "requests", 0.0),
    ]
    lines = [[when, *map(figure, spent)] for when, spent in (("quiet", quiet), ("flooded", loud))]
    print(table(("an established key", "p50 us", "p99 us"), lines))
    print(f"\n{felt['a second']:,.0f} new keys a second from another process; {arguments.rounds} rounds; medians.\n")
    told = [[row.group, row.name, figure(row.value), row.unit, goal(row), mark(row.met)] for row in rows]
    print(table(("", "", "", "", "target", ""), told, left=2))
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
