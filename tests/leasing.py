"""Hosts that take quota in batches from one server, all going by one clock that is advanced."""

from __future__ import annotations

from importlib import resources
from typing import Any

from flask_rampart._native import Clock, LimitBatch, LimitBatches, LimitSet, LimitStore, Quota, Verdict
from flask_rampart.limits import calendar

SCRIPT = resources.files("flask_rampart.limits.remote").joinpath("check.lua").read_text("utf-8")
ADVANCED = SCRIPT.replace("redis.call('TIME')", "{ table.remove(ARGV, 1), table.remove(ARGV, 1) }")


class Shared:
    """The counters in a server, for the hosts of one quota."""

    def __init__(self, client: Any, quotas: str, clock: Clock) -> None:
        self.client = client
        self.clock = clock
        self.entries = [("s", Quota.parse(quotas), "text")]
        self.naming = LimitSet(LimitStore.local(clock, keys=1, seed=b"s" * 16), self.entries, windows=calendar.window)
        self.asked = 0
        #: Seconds by which the server's clock differs from the hosts'.
        self.ahead = 0.0

    def call(self, op: str, names: list[str], arguments: list[str]) -> list[int]:
        now = self.clock.now() + self.ahead
        time = [str(int(now)), str(int(now % 1 * 1e6))]
        keys = [*names, "{t}:changes"]
        self.asked += 1
        reply = list(self.client.eval(ADVANCED, len(keys), *keys, *time, op, *arguments))
        return reply[:-1]

    def left(self, key: str = "ada") -> int:
        names, arguments = self.naming.questions((key,), 0)
        self.asked -= 1
        return self.call("peek", names, arguments)[1]


class Host:
    """One host of several."""

    def __init__(self, shared: Shared, lease: float = 1.0, keys: int = 1000) -> None:
        self.shared = shared
        self.store = LimitStore.local(shared.clock, keys=keys)
        self.batches = LimitBatches(shared.naming, self.store, lease)
        self.taken: list[LimitBatch] = []

    def check(self, key: str = "ada", cost: int = 1) -> Verdict:
        said = self.batches.spend((key,), cost)
        if isinstance(said, Verdict):
            return said
        op, *arguments = said.arguments
        verdict, taken = said.answered(self.shared.call(op, said.names, arguments))
        self.taken += taken
        return verdict

    def give_back(self, *, due: bool = True) -> None:
        for batch in [batch for batch in self.taken if batch.is_due or not due]:
            self.taken.remove(batch)
            for arguments in (batch.loose(), batch.idle()):
                if arguments is not None:
                    self.shared.call("settle", [batch.name], arguments)
