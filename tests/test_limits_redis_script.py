"""The script that counts in Redis, held against the native store: the same requests, the same answers.

The script goes by the server's clock; here its first line is replaced, so that a clock can be advanced.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

import pytest
import redis

from flask_rampart._native import Clock, LimitSet, LimitStore, Quota, Verdict
from flask_rampart.limits import calendar
from flask_rampart.limits.elsewhere import RemoteSet

SCRIPT = resources.files("flask_rampart.limits.remote").joinpath("check.lua").read_text("utf-8")
ADVANCED = SCRIPT.replace("redis.call('TIME')", "{ table.remove(ARGV, 1), table.remove(ARGV, 1) }")
NOW = 1_800_000_000


class Server:
    """Limits in a server, and the same in a native store."""

    def __init__(self, client: Any, quotas: str, clock: Clock) -> None:
        self.client = client
        self.clock = clock
        #: Seconds that the server's clock has gone back.
        self.back = 0.0
        entries = [("s", Quota.parse(quotas), "text")]
        self.naming = LimitSet(LimitStore.local(clock, keys=1, seed=b"s" * 16), entries, windows=calendar.window)
        self.native = LimitSet(LimitStore.local(clock), entries, windows=calendar.window)

    def call(self, op: str, names: list[str], arguments: list[str]) -> list[int]:
        now = self.clock.now() - self.back
        time = [str(int(now)), str(int(now % 1 * 1e6))]
        keys = [*names, "{t}:changes"]
        return list(self.client.eval(ADVANCED, len(keys), *keys, *time, op, *arguments))

    def check(self, key: str, cost: int = 1, op: str = "check") -> tuple[Verdict, list[int]]:
        reply = self.call(op, *self.naming.questions((key,), cost))
        answers = [(reply[at], reply[at + 1], reply[at + 2]) for at in range(1, len(reply) - 4, 4)]
        verdict = self.naming.answered(answers)
        assert verdict.admitted == bool(reply[0])
        return verdict, reply

    def settle(self, key: str, cost: int, reply: list[int]) -> None:
        names, arguments = self.naming.questions((key,), 1)
        for at in range(len(names)):
            kind = arguments[at * 6]
            arguments[at * 6 + 1] = str(cost)
            arguments[at * 6 + (3 if kind == "w" else 4)] = str(reply[at * 4 + 4])
        self.call("settle", names, arguments)


@pytest.fixture(name="serve")
def server(redis_server: Any, clock: Clock) -> Iterator[Callable[[str], Server]]:
    client = redis.Redis.from_url(redis_server.url)
    client.flushall()
    yield lambda quotas: Server(client, quotas, clock)
    client.close()


QUOTAS = [
    "60/minute burst 20",
    "10/10 seconds",
    "20/day",
    "3/30 seconds burst 1",
    "50/100 seconds sliding",
    "7/10 seconds sliding",
    "10/hour fixed",
    "30/day fixed America/New_York",
    "60/minute burst 5; 20/100 seconds sliding; 30/hour fixed",
]


@pytest.mark.parametrize("quotas", QUOTAS)
def test_it_answers_as_the_native_store_does(serve: Callable[[str], Server], clock: Clock, quotas: str) -> None:
    limits = serve(quotas)
    dice = random.Random(quotas)
    refusals = 0
    for _ in range(600):
        key, cost = dice.choice("ab"), dice.choice([0, 1, 1, 1, 2, 3])
        ours, _reply = limits.check(key, cost)
        theirs = limits.native.check((key,), cost)
        assert (ours.admitted, ours.payable) == (theirs.admitted, theirs.payable)
        # Intervals are rounded up to ticks there, and to nanoseconds here.
        assert abs(ours.remaining - theirs.remaining) <= 1
        assert not ours.payable or abs(ours.retry_after - theirs.retry_after) <= 1
        assert not ours.payable or abs(ours.reset - theirs.reset) <= 1
        refusals += not ours.admitted
        # Halves of a second: exact in a double, in microseconds, and in ticks.
        clock.advance(dice.choice([0, 0, 0, 0.5] if ours.admitted else [0, 0.5, ours.retry_after, 60]))
    assert refusals > 20


@pytest.mark.parametrize("quotas", QUOTAS)
def test_settling_gives_back_and_charges_as_the_native_store_does(
    serve: Callable[[str], Server], clock: Clock, quotas: str
) -> None:
    limits = serve(quotas)
    dice = random.Random(quotas)
    for _ in range(200):
        cost = dice.choice([1, 1, 1, 2, 3])
        ours, reply = limits.check("a", cost)
        theirs, charged = limits.native.reserve(("a",), cost)
        assert ours.admitted == theirs.admitted
        clock.advance(dice.choice([0, 0.5, 1]))
        if charged is not None:
            actual = dice.choice([0, 1, 2, 5])
            charged.settle(actual)
            if actual != cost:
                limits.settle("a", actual - cost, reply)
        assert abs(limits.check("a", op="peek")[0].remaining - limits.native.peek(("a",)).remaining) <= 1
        clock.advance(dice.choice([0, 0, 0.5, 1, 30]))


@pytest.mark.parametrize("quotas", QUOTAS)
def test_whoever_waits_as_long_as_it_says_passes_and_not_a_second_earlier(
    serve: Callable[[str], Server], clock: Clock, quotas: str
) -> None:
    limits = serve(quotas)
    for _ in range(4):
        verdict = limits.check("a")[0]
        while verdict.admitted:
            verdict = limits.check("a")[0]
        clock.advance(verdict.retry_after - 1)
        assert not limits.check("a")[0].admitted, f"a second before the {verdict.retry_after} s are over"
        clock.advance(1)
        assert limits.check("a")[0].admitted, f"after {verdict.retry_after} s"
        clock.advance(0.75)


def test_all_admit_and_are_charged_or_nothing_is(serve: Callable[[str], Server]) -> None:
    # Flask-Limiter: four requests that the day refused cost four of the hour.
    limits = serve("100/hour; 2/day")
    assert [limits.check("a")[0].admitted for _ in range(6)] == [True, True, False, False, False, False]
    names, arguments = limits.naming.questions(("a",))
    assert limits.call("peek", names[:1], arguments[:6])[1] == 98


def test_what_costs_more_than_there_can_ever_be_is_told_so(serve: Callable[[str], Server]) -> None:
    for quotas in ("10/hour", "10/hour fixed", "10/100 seconds sliding"):
        verdict, _ = serve(quotas).check("a", 11)
        assert not verdict.admitted
        assert not verdict.payable


def test_every_key_ends_by_itself_and_tells_nobody_s_name(serve: Callable[[str], Server]) -> None:
    limits = serve("10/hour; 10/day fixed; 10/100 seconds sliding; 5 concurrent")
    names, arguments = limits.naming.questions(("ada@example.com",), lease="f00d", lease_ms=60_000)
    assert limits.call("check", names, arguments)[0] == 1
    keys = [key for key in limits.client.scan_iter() if b"changes" not in key]
    assert len(keys) == 4
    for key in keys:
        assert 0 < limits.client.ttl(key) <= 86_400 + 5
        assert b"ada@" not in key


def test_a_host_whose_clock_is_ahead_does_not_begin_a_new_day(serve: Callable[[str], Server], clock: Clock) -> None:
    limits = serve("10/day fixed")
    clock.advance(86_400 - NOW % 86_400 - 60)  # a minute before midnight
    assert [limits.check("a")[0].admitted for _ in range(11)].count(True) == 10
    names, arguments = limits.naming.questions(("a",))
    ahead = [*arguments]
    ahead[3:6] = [str(int(arguments[at]) + 86_400) for at in (3, 4, 5)]
    assert limits.call("check", names, ahead)[0] == 0
    clock.advance(60)
    # And one whose clock is behind sees that the day is over.
    assert limits.call("check", names, arguments)[0] == 1


def test_in_progress_are_so_many_at_once_and_each_ends(serve: Callable[[str], Server], clock: Clock) -> None:
    limits = serve("2 concurrent")

    def ask(op: str, lease: str, cost: int = 1) -> int:
        names, arguments = limits.naming.questions(("a",), lease=lease, lease_ms=1000)
        arguments[1] = str(cost)
        return limits.call(op, names, arguments)[0]

    assert [ask("check", lease) for lease in "abc"] == [1, 1, 0]
    ask("settle", "a", -1)
    assert ask("check", "d") == 1
    clock.advance(0.6)
    ask("settle", "d", 0)
    clock.advance(0.6)
    # b's worker has died; d was renewed.
    assert [ask("check", lease) for lease in "ef"] == [1, 0]


def test_what_is_asked_twice_is_in_progress_once(serve: Callable[[str], Server]) -> None:
    # The server did what it was told, and the connection broke: it is asked again, and nobody would end the first.
    limits = serve("1 concurrent")

    def ask(op: str, lease: str) -> list[int]:
        names, arguments = limits.naming.questions(("a",), lease=lease, lease_ms=60_000)
        return limits.call(op, names, arguments)

    assert [ask("check", lease)[:2] for lease in "aab"] == [[1, 0], [1, 0], [0, 0]]
    assert ask("peek", "0")[0] == 0


def test_what_is_cleared_is_forgotten(serve: Callable[[str], Server]) -> None:
    limits = serve("1/hour; 1/day fixed")
    assert limits.check("a")[0].admitted
    names, arguments = limits.naming.questions(("a",))
    limits.call("clear", names, arguments)
    assert limits.check("a")[0].admitted


def test_what_is_charged_late_keeps_this_window_s_counter(serve: Callable[[str], Server], clock: Clock) -> None:
    # A chat stream that was reserved three minutes ago, on a quota of each minute.
    limits = serve("100/minute fixed")
    clock.advance(-NOW % 60)
    names, long_ago = limits.naming.questions(("a",))
    limits.call("check", names, long_ago)
    clock.advance(185)
    limits.check("a", 99)
    limits.call("settle", names, long_ago)
    assert limits.client.ttl(names[0]) > 50
    assert limits.check("a", op="peek")[0].remaining == 0


def test_what_is_charged_late_is_charged_to_the_window_that_it_is_now(
    serve: Callable[[str], Server], clock: Clock
) -> None:
    limits = serve("100/minute fixed")
    clock.advance(-NOW % 60)
    names, long_ago = limits.naming.questions(("a",))
    limits.call("check", names, long_ago)
    clock.advance(185)
    long_ago[1] = "90"
    limits.call("settle", names, long_ago)
    assert limits.check("a", op="peek")[0].remaining == 10
    # And nothing of it is given back to it that was charged to another.
    long_ago[1] = "-50"
    limits.call("settle", names, long_ago)
    assert limits.check("a", op="peek")[0].remaining == 10


@pytest.mark.parametrize("days", [-40, -3, -1, 1, 3, 40])
def test_a_host_whose_clock_is_days_off_counts_with_the_others(
    serve: Callable[[str], Server], clock: Clock, days: int
) -> None:
    limits = serve("10/day fixed")

    def off(op: str) -> list[int]:
        names, arguments = limits.naming.questions(("a",))
        arguments[3:6] = [str(int(second) + 86_400 * days) for second in arguments[3:6]]
        return limits.call(op, names, arguments)

    for _ in range(3):
        # Whoever begins the day.
        assert off("check")[0] == 1
        assert [limits.check("a")[0].admitted for _ in range(11)].count(True) == 9
        assert off("check")[0] == 0
        clock.advance(86_400)
        assert limits.check("a")[0].admitted
        assert off("peek")[1] == 9
        clock.advance(86_400)


@pytest.mark.parametrize(
    ("quota", "begins"), [("10/minute sliding", 1_760_000_000), ("10/minute fixed", 0), ("10/minute", 0)]
)
def test_a_server_whose_clock_goes_back_forgets_nothing(
    serve: Callable[[str], Server], clock: Clock, quota: str, begins: int
) -> None:
    limits = serve(quota)
    clock.advance((begins - NOW) % 60 + 1)  # a second after a window has begun
    assert [limits.check("a")[0].admitted for _ in range(11)].count(True) == 10
    limits.back = 1.5
    assert not limits.check("a")[0].admitted


@pytest.mark.parametrize("quota", ["10/minute sliding", "10/minute"])
def test_a_server_whose_clock_was_a_day_ahead_refuses_nobody_for_a_day(
    serve: Callable[[str], Server], clock: Clock, quota: str
) -> None:
    limits = serve(quota)
    assert limits.check("a", 10)[0].admitted
    limits.back = 86_400
    assert not limits.check("a", 10)[0].admitted
    clock.advance(180)
    assert limits.check("a", 10)[0].admitted


def test_what_is_in_progress_is_so_also_when_it_is_cleared_or_was_forgotten(serve: Callable[[str], Server]) -> None:
    limits = serve("2 concurrent")

    def ask(op: str, lease: str, cost: int = 1) -> int:
        names, arguments = limits.naming.questions(("a",), lease=lease, lease_ms=60_000)
        arguments[1] = str(cost)
        return limits.call(op, names, arguments)[0]

    assert [ask("check", lease) for lease in "ab"] == [1, 1]
    ask("clear", "0")
    assert ask("check", "c") == 0
    # A server that began anew has forgotten them, until they are renewed.
    limits.client.flushall()
    for lease in "ab":
        ask("settle", lease, 0)
    assert ask("check", "c") == 0


class Asked:
    """A :class:`Remote` whose clock is advanced."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def ask(self, names: list[str], arguments: list[str]) -> list[int]:
        return self.server.call(arguments[0], names, arguments[1:])[:-1]


@pytest.mark.parametrize("quotas", QUOTAS)
def test_what_is_settled_several_times_is_so_as_in_the_native_store(
    serve: Callable[[str], Server], clock: Clock, quotas: str
) -> None:
    # A stream that charges as it goes, and gives the rest back at its end.
    server = serve(quotas)
    remote: Any = Asked(server)
    limits = RemoteSet(remote, server.naming, lambda: server.native, ["local"])
    dice = random.Random(quotas)
    for _ in range(60):
        ours, charged = limits.reserve(("a",), 3)
        theirs, expected = server.native.reserve(("a",), 3)
        assert ours.admitted == theirs.admitted
        for actual in dice.sample([0, 1, 2, 4, 6, 1000], 3):
            clock.advance(dice.choice([0, 0.5, 1, 10]))
            if charged is not None and expected is not None:
                charged.settle(actual)
                expected.settle(actual)
            assert abs(limits.peek(("a",)).remaining - server.native.peek(("a",)).remaining) <= 1
            assert limits.check(("a",)).admitted == server.native.check(("a",)).admitted
        clock.advance(dice.choice([0, 30, 100, 4000]))


def test_what_was_given_back_in_part_is_worth_no_more_than_time_has_left_of_the_rest(
    serve: Callable[[str], Server], clock: Clock
) -> None:
    server = serve("100/100 seconds")
    remote: Any = Asked(server)
    limits = RemoteSet(remote, server.naming, lambda: server.native, ["local"])
    left = []
    for store in (limits, server.native):
        _, charged = store.reserve(("a",), 100)
        assert charged is not None
        charged.settle(50)
        left.append(charged)
    clock.advance(50)
    for store, charged in zip((limits, server.native), left, strict=True):
        store.check(("a",), 20)
        # Time has repaid it.
        charged.settle(0)
        assert store.peek(("a",)).remaining == 80


@pytest.mark.parametrize("quotas", ["100/day", "100/day fixed", "100/day sliding"])
def test_settling_too_much_and_then_the_truth_leaves_what_others_spent(
    serve: Callable[[str], Server], quotas: str
) -> None:
    server = serve(quotas)
    remote: Any = Asked(server)
    limits = RemoteSet(remote, server.naming, lambda: server.native, ["local"])
    for store in (limits, server.native):
        assert store.check(("a",), 80).admitted
        _, charged = store.reserve(("a",), 5)
        assert charged is not None
        for said in (1000, 10, 5000, 7, 0, 300, 10):
            charged.settle(said)
        assert store.peek(("a",)).remaining == 10


def test_what_costs_nothing_is_never_in_progress(serve: Callable[[str], Server]) -> None:
    server = serve("1 concurrent")
    for _ in range(3):
        assert server.check("a", 0)[0].admitted
        assert server.native.reserve(("a",), 0)[0].admitted
    assert server.check("a", 1)[0].admitted
    assert server.check("a", 0)[0].admitted
