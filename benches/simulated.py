"""Many hosts under one clock: the shipped script on a model of a server, the shipped batches on each host's memory."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import deque
from importlib import resources
from typing import Any

import lupa.lua51

from flask_rampart._native import Clock, LimitBatch, LimitBatches, LimitSet, LimitStore, Quota, Verdict

QUOTA = "1000/second burst 1000"
RATE, BURST = 1000.0, 1000

# What the script asks of a server, in its own language. Time is set from outside.
SERVER = """
local data, ends = {}, {}
now_s, now_us = 0, 0
local function live(key)
  if ends[key] and ends[key] <= now_s * 1000 + now_us / 1000 then data[key], ends[key] = nil, nil end
  return data[key]
end
redis = { call = function(op, key, value, unit, time)
  if op == 'TIME' then return { tostring(now_s), tostring(now_us) } end
  if op == 'GET' then return live(key) or false end
  if op == 'DEL' then data[key], ends[key] = nil, nil return 1 end
  if op == 'SET' then
    data[key] = value
    ends[key] = now_s * 1000 + now_us / 1000 + tonumber(time) * (unit == 'PX' and 1 or 1000)
    return 'OK'
  end
  error('the model of a server does not know ' .. op)
end }
redis.pcall = redis.call
function run(keys, arguments)
  KEYS, ARGV = keys, arguments
  return script()
end
"""


class Server:
    """A model of a Redis server."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lua = lupa.lua51.LuaRuntime()
        text = resources.files("flask_rampart.limits.remote").joinpath("check.lua").read_text("utf-8")
        self._lua.execute(SERVER)
        self._lua.globals().script = self._lua.compile(text)
        self._run = self._lua.globals().run
        self.asked = 0

    def ask(self, names: list[str], arguments: list[str]) -> list[int]:
        now, lua = self._clock.now(), self._lua
        lua.globals().now_s, lua.globals().now_us = int(now), int(now % 1 * 1e6)
        self.asked += 1
        reply = self._run(lua.table_from([*names, "changes"]), lua.table_from(arguments))
        return [int(reply[n]) for n in range(1, len(reply))]


class Host:
    """A host of several, with its own memory."""

    def __init__(self, server: Server, naming: LimitSet, clock: Clock, lease: float) -> None:
        self._server = server
        self._batches = LimitBatches(naming, LimitStore.local(clock, keys=64), lease)

    def check(self, taken: deque[LimitBatch]) -> bool:
        said = self._batches.spend(("somebody",))
        if isinstance(said, Verdict):
            return said.admitted
        verdict, batches = said.answered(self._server.ask(said.names, said.arguments))
        for batch in batches:
            _give_back(self._server, batch, batch.loose())
        taken.extend(batches)
        return verdict.admitted


def _give_back(server: Server, batch: LimitBatch, arguments: list[str] | None) -> None:
    if arguments is not None:
        server.ask([batch.name], ["settle", *arguments])


def run(hosts: int, lease: float, load: float, seconds: float) -> dict[str, Any]:
    """One caller whose requests arrive at random at all hosts, *load* times as many as the quota has cells.

    A load of 0 is one that surges: for three seconds somewhat less than the quota, so that the burst is there and hosts
    hold batches, then ten times as many for one.
    """
    clock = Clock.manual(1_800_000_000.0)
    server = Server(clock)
    naming = LimitSet(LimitStore.local(clock, keys=1, seed=bytes(16)), [("s", Quota.parse(QUOTA), "text")])
    crowd = [Host(server, naming, clock, lease) for _ in range(hosts)]
    taken: deque[LimitBatch] = deque()
    dice = random.Random(f"{hosts} {lease} {load}")
    begin, times, checks, looked = clock.now(), [], 0, clock.now()
    while clock.now() - begin < seconds:
        surging = 10.0 if (clock.now() - begin) % 4 > 3 else 0.5
        clock.advance(dice.expovariate(RATE * (load or surging)))
        checks += 1
        if dice.choice(crowd).check(taken):
            times.append(clock.now())
        if clock.now() - looked >= lease / 8:
            # As each process does, at the worst all at once.
            looked = clock.now()
            for _ in range(len(taken)):
                batch = taken.popleft()
                if batch.is_due:
                    _give_back(server, batch, batch.idle())
                else:
                    taken.append(batch)
    return {"hosts": hosts, "lease": lease, "load": load, "asks": server.asked / checks} | figures(
        times, checks, seconds, load, lease
    )


def figures(times: list[float], checks: int, seconds: float, load: float, lease: float) -> dict[str, Any]:
    """How far what was admitted at these *times* is from the quota."""
    span = 1.0
    allowed = BURST + RATE * span
    worst = max((n - bisect_left(times, times[n - 1] - span) for n in range(1, len(times) + 1)), default=0)
    # When the burst is spent, what replenishes could be admitted.
    half = (len(times) and times[0]) + seconds / 2
    later = len(times) - bisect_left(times, half)
    return {
        "over": max(worst / allowed - 1, 0.0),
        "bound": RATE * lease / allowed,
        "under": max(1 - later / (RATE * seconds / 2), 0.0) if load >= 1 else 0.0,
        "refused": 1 - len(times) / checks if 0 < load < 1 else 0.0,
        "admitted": len(times),
    }
