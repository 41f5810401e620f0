"""A quota under several workers: 1000 concurrent requests, 4 gunicorn workers, 100 an hour.

Run ``python benches/workers.py``. Ours must admit 100, and at most what the rate refills while they are sent;
exit code 1 if it does not. Flask-Limiter's memory storage, which counts in each worker, stands beside it.
"""

from __future__ import annotations

import asyncio
import math
import resource
import sys
import time
from collections import Counter

import peers
from common import Row, conclude, heading, lacking, mark, options, table, versions
from serving import Server

QUOTA = 100
PERIOD = 3600
WORKERS = 4


async def ask(address: tuple[str, int], start: asyncio.Event) -> int:
    """The status of one request; 0 if the connection broke."""
    await start.wait()
    try:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        return int(answer.split(b" ", 2)[1])
    except (OSError, IndexError, ValueError, asyncio.TimeoutError):
        return 0


async def flood(address: tuple[str, int], count: int) -> tuple[Counter[int], float]:
    """All requests at once: how many got which status, and in how many seconds."""
    start = asyncio.Event()
    tasks = [asyncio.create_task(ask(address, start)) for _ in range(count)]
    await asyncio.sleep(0)
    begun = time.monotonic()
    start.set()
    statuses = Counter(await asyncio.gather(*tasks))
    return statuses, time.monotonic() - begun


def main() -> int:
    arguments = options(__doc__, requests=1000).parse_args()
    about = versions("gunicorn", "flask-limiter", "limits")
    heading(f"{arguments.requests} concurrent requests, {WORKERS} workers, quota {QUOTA} an hour", about)
    _allow_files(arguments.requests + 100)
    if peers.missing("gunicorn"):
        lacking("gunicorn", "bench")
        return 1
    served = {"ours, shared store": f'apps:limited("{QUOTA}/hour")'}
    if peers.missing("flask_limiter"):
        lacking("Flask-Limiter", "bench")
    else:
        served["Flask-Limiter, memory"] = f'peers:limited("{QUOTA} per hour")'
    rows, lines, wrong = [], [], False
    for name, app in served.items():
        with Server(app, workers=WORKERS) as server:
            statuses, seconds = asyncio.run(flood(server.address, arguments.requests))
        admitted, refused = statuses[200], statuses[429]
        most = QUOTA + math.floor(seconds * QUOTA / PERIOD)
        sound = QUOTA <= admitted <= most and admitted + refused == arguments.requests
        ours = name.startswith("ours")
        wrong |= ours and not sound
        rows.append(Row("workers", name, float(admitted), "admitted", float(most) if ours else None))
        other = arguments.requests - admitted - refused
        target = f"{QUOTA} to {most}" if ours else ""
        verdict = mark(sound) if ours else ""
        lines.append([name, str(admitted), str(refused), str(other), f"{seconds:.1f}", target, verdict])
    print(table(("", "admitted", "refused", "other", "seconds", "target", ""), lines))
    return 1 if wrong else conclude(arguments, about, rows)


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        most = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


if __name__ == "__main__":
    sys.exit(main())
