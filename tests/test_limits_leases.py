"""Quota that hosts take in batches: how far the sum may be off, what is remembered, and what is given back."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
import redis

from flask_rampart import Clock
from flask_rampart._native import LimitBatches, LimitSet, LimitStore, Quota, Verdict
from flask_rampart.limits import calendar

from .leasing import Host, Shared


@pytest.fixture(name="serve")
def server(redis_server: Any, clock: Clock) -> Iterator[Callable[[str], Shared]]:
    client = redis.Redis.from_url(redis_server.url)
    client.flushall()
    yield lambda quotas: Shared(client, quotas, clock)
    client.close()


def most_in(times: list[float], span: float) -> int:
    """The most that happened within any *span* seconds."""
    return max((at - bisect_left(times, times[at - 1] - span) for at in range(1, len(times) + 1)), default=0)


@pytest.mark.parametrize("lease", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("quota", ["100/second burst 50", "20/second", "50/10 seconds burst 5", "1000/minute"])
def test_in_any_span_no_more_is_admitted_than_is_charged_in_it_and_a_lease(
    serve: Callable[[str], Shared], clock: Clock, quota: str, lease: float
) -> None:
    shared = serve(quota)
    hosts = [Host(shared, lease) for _ in range(8)]
    [rule] = Quota.parse(quota)
    dice = random.Random(quota)
    times: list[float] = []
    for _ in range(4000):
        # Crowds, lulls, and one host or all.
        clock.advance(dice.choice([0, 0, 0, 0.001, 0.01, 0.05 if len(times) % 7 else lease * 0.9]))
        host = hosts[0] if dice.random() < 0.3 else dice.choice(hosts)
        if host.check():
            times.append(clock.now())
        if dice.random() < 0.1:
            dice.choice(hosts).give_back()
    interval = rule.period / rule.count
    for span in (0.0, 0.01, 0.1, 0.5, 1, 3, 10, 60):
        assert most_in(times, span) <= rule.burst + (span + lease) / interval + 1e-6
    assert len(times) > rule.burst


@pytest.mark.parametrize("cost", [1, 3, 7])
def test_a_window_of_the_calendar_is_never_overrun(serve: Callable[[str], Shared], clock: Clock, cost: int) -> None:
    shared = serve("100/10 seconds fixed")
    hosts = [Host(shared, 2.0) for _ in range(5)]
    dice = random.Random(cost)
    spent: dict[int, int] = {}
    for _ in range(6000):
        clock.advance(dice.choice([0, 0, 0.005, 0.02]))
        if dice.choice(hosts).check(cost=cost):
            window = int(clock.now() // 10)
            spent[window] = spent.get(window, 0) + cost
        if dice.random() < 0.05:
            dice.choice(hosts).give_back()
    assert max(spent.values()) <= 100
    assert sorted(spent.values())[len(spent) // 2] >= 100 - cost - 5, "and it can be spent, but for what hosts hold"


def test_under_load_hardly_anybody_asks(serve: Callable[[str], Shared], clock: Clock) -> None:
    shared = serve("2000/second burst 2000")
    hosts = [Host(shared) for _ in range(4)]
    for n in range(8000):
        clock.advance(0.001)
        assert hosts[n % 4].check()
        hosts[n % 4].give_back()
    assert shared.asked < 8000 * 0.05


def test_a_key_that_comes_once_takes_nothing_in_advance(serve: Callable[[str], Shared]) -> None:
    shared = serve("100/minute")
    host = Host(shared)
    for key in range(50):
        assert host.check(str(key))
        assert shared.left(str(key)) == 99
    assert host.taken == []


def test_a_host_leaves_others_three_quarters_of_what_is_left(serve: Callable[[str], Shared]) -> None:
    shared = serve("100/hour")
    greedy, other = Host(shared), Host(shared)
    asked = []
    for _ in range(60):
        before = shared.asked
        assert greedy.check()
        if shared.asked > before:
            asked.append(shared.left())
    assert all(later >= (earlier - 1) * 3 // 4 - 1 for earlier, later in pairwise(asked))
    assert other.check()


def test_who_is_over_the_limit_costs_no_question(serve: Callable[[str], Shared], clock: Clock) -> None:
    shared = serve("5/minute")
    host = Host(shared)
    assert [bool(host.check()) for _ in range(6)] == [True] * 5 + [False]
    asked = shared.asked
    for _ in range(100):
        refused = host.check()
        assert not refused and refused.violated == "5/minute" and refused.retry_after == 12
        clock.advance(0.005)
    assert shared.asked == asked


@pytest.mark.parametrize("quota", ["5/minute", "3/10 seconds fixed", "7/20 seconds sliding", "2/second burst 1"])
def test_whoever_waits_as_long_as_it_is_told_passes(serve: Callable[[str], Shared], clock: Clock, quota: str) -> None:
    shared = serve(quota)
    host = Host(shared)
    dice = random.Random(quota)
    waited = 0
    for _ in range(300):
        said = host.check()
        if not said:
            for _ in range(dice.randrange(4)):  # remembered refusals say it as well as the first
                clock.advance(dice.random() * 0.2)
                again = host.check()
                said = said if again else again
                if again:
                    break
            else:
                clock.advance(said.retry_after)
                assert host.check(), quota
                waited += 1
        host.give_back()
        clock.advance(dice.choice([0, 0.01]))
    assert waited > 5


def test_a_refusal_of_much_is_not_remembered_against_who_wants_less(serve: Callable[[str], Shared]) -> None:
    host = Host(serve("10/hour"))
    assert host.check(cost=6)
    assert not host.check(cost=5)
    assert not host.check(cost=5)
    assert host.check(cost=4)


def test_what_is_idle_is_given_back_and_others_can_spend_it(serve: Callable[[str], Shared], clock: Clock) -> None:
    shared = serve("1000/day fixed")
    busy, other = Host(shared), Host(shared)
    for _ in range(100):
        assert busy.check()
    assert shared.left() < 900, "some is held"
    clock.advance(0.5)
    busy.give_back()
    held = 900 - shared.left()
    clock.advance(0.2)
    busy.give_back()
    assert held > 0 and shared.left() == 900
    assert sum(bool(other.check()) for _ in range(1000)) >= 900 - 300


def test_what_was_spent_is_not_given_back(serve: Callable[[str], Shared], clock: Clock) -> None:
    shared = serve("1000/day fixed")
    host = Host(shared)
    for _ in range(300):
        assert host.check()
    host.give_back(due=False)
    host.give_back(due=False)
    assert shared.left() == 700


def test_what_a_dead_host_held_is_worth_nothing_after_its_lease(serve: Callable[[str], Shared], clock: Clock) -> None:
    shared = serve("100/hour")
    host = Host(shared)
    for _ in range(8):
        assert host.check()
    asked = shared.asked
    clock.advance(1.01)
    assert host.check()
    assert shared.asked == asked + 1


def test_a_batch_ends_with_its_window(serve: Callable[[str], Shared], clock: Clock) -> None:
    shared = serve("100/10 seconds fixed")
    host = Host(shared, 5.0)
    clock.advance(9.5 - clock.now() % 10)
    for _ in range(20):
        assert host.check()
    asked = shared.asked
    clock.advance(1)
    assert host.check() and shared.asked == asked + 1
    assert shared.left() == 99


def test_of_several_limits_all_are_spent_or_none(serve: Callable[[str], Shared], clock: Clock) -> None:
    # Flask-Limiter burns the hour for what the day refuses.
    shared = serve("100/hour fixed; 10/day fixed; 1000/minute")
    host = Host(shared)
    for _ in range(10):
        assert host.check()
    for _ in range(30):
        refused = host.check()
        assert not refused and refused.violated == "10/day fixed"
        clock.advance(0.2)
        host.give_back()
    host.give_back(due=False)
    assert shared.left() == 90


def test_what_is_asked_for_and_never_answered_is_put_back(serve: Callable[[str], Shared], clock: Clock) -> None:
    shared = serve("1000/hour; 3/second")
    host = Host(shared)
    for _ in range(3):
        assert host.check()
    held = 997 - shared.left()
    for _ in range(50):
        said = host.batches.spend(("ada",))
        if not isinstance(said, Verdict):
            said.put_back()
            said.put_back()
            del said
    host.give_back(due=False)
    assert shared.left() == 997 and held >= 0


def test_an_answer_that_is_none_is_an_error_and_gives_nothing(serve: Callable[[str], Shared]) -> None:
    shared = serve("10/minute")
    host = Host(shared)
    for reply in ([], [1], [1, 9, 0, 0], [1, 9, 0, 0, 5], [1, 9, 0, 0, 5, 1, 1]):
        wanted = host.batches.spend(("ada",))
        assert not isinstance(wanted, Verdict)
        with pytest.raises(ValueError, match="answered"):
            wanted.answered(reply)
    wanted = host.batches.spend(("ada",))
    assert not isinstance(wanted, Verdict)
    assert wanted.answered([1, 9, 0, 0, 5, 1])[0]
    with pytest.raises(ValueError, match="before"):
        wanted.answered([1, 9, 0, 0, 5, 1])


def test_what_costs_more_than_there_can_be_is_told_so_each_time(serve: Callable[[str], Shared]) -> None:
    host = Host(serve("10/hour"))
    for _ in range(3):
        refused = host.check(cost=11)
        assert not refused and not refused.payable
    assert host.check(cost=10)


def test_what_costs_nothing_is_always_admitted(serve: Callable[[str], Shared]) -> None:
    shared = serve("1/hour")
    host = Host(shared)
    assert host.check() and not host.check()
    assert host.check(cost=0)
    assert shared.asked == 2


def test_costs_beyond_what_a_batch_can_hold_are_asked_each_time(serve: Callable[[str], Shared]) -> None:
    shared = serve("4000000000/day fixed")
    host = Host(shared)
    for _ in range(4):
        assert host.check(cost=20_000_000)
    host.give_back(due=False)
    assert shared.left() == 4_000_000_000 - 80_000_000


def test_without_room_here_each_request_asks_and_the_quota_holds(serve: Callable[[str], Shared], clock: Clock) -> None:
    shared = serve("10/hour fixed")
    host = Host(shared, keys=1)
    full = LimitSet(host.store, [("other", Quota.parse("1/day"), "text")], windows=calendar.window)
    assert full.check(("somebody",))
    assert [bool(host.check()) for _ in range(12)] == [True] * 10 + [False] * 2
    assert shared.asked == 12
    host.give_back(due=False)
    assert shared.left() == 0


def test_threads_of_a_host_spend_no_more_than_it_was_given(clock: Clock) -> None:
    import threading

    naming = LimitSet(LimitStore.local(clock, keys=1, seed=b"s" * 16), [("s", Quota.parse("10000/minute"), "text")])
    batches = LimitBatches(naming, LimitStore.local(clock), 10.0)
    given, admitted, lock = [0], [0], threading.Lock()

    def work() -> None:
        mine = 0
        for _ in range(3000):
            said = batches.spend(("ada",))
            if isinstance(said, Verdict):
                mine += said.admitted
                continue
            with lock:
                grant = min(5, 4000 - given[0])
                given[0] += grant
            if grant:
                mine += bool(said.answered([1, 0, 0, 0, 2**52, grant])[0])
            else:
                said.put_back()
        with lock:
            admitted[0] += mine

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given[0] == 4000 and admitted[0] == 4000


def test_the_fields_say_what_is_left_as_far_as_it_is_known(serve: Callable[[str], Shared], clock: Clock) -> None:
    shared = serve("100/minute")
    host = Host(shared)
    left = [host.check().remaining for _ in range(50)]
    assert left == sorted(left, reverse=True)
    assert left[0] == 99 and abs(left[-1] - 50) <= 3
    verdict = host.check()
    assert verdict.fields == f'"100/minute";r={verdict.remaining};t={verdict.reset}'
    assert 25 <= verdict.reset <= 60


@pytest.mark.parametrize("lease", [0.0, 0.09, 60.1, -1, float("nan"), float("inf")])
def test_a_lease_is_a_tenth_of_a_second_to_a_minute(clock: Clock, lease: float) -> None:
    naming = LimitSet(LimitStore.local(clock), [("s", Quota.parse("1/minute"), "text")])
    with pytest.raises(ValueError, match=r"0\.1 and 60"):
        LimitBatches(naming, LimitStore.local(clock), lease)


def test_most_in_counts(clock: Clock) -> None:
    # The property above is as good as this function.
    assert most_in([], 1) == 0
    assert most_in([0.0, 0.5, 1.0, 1.1, 3.0], 1) == 3
    assert most_in([1.0, 1.0, 1.0], 0) == 3


def lacking(host: Host, cost: int = 1) -> Any:
    """What a thread is about to ask."""
    said = host.batches.spend(("ada",), cost)
    assert not isinstance(said, Verdict)
    return said


def answer(host: Host, wanting: Any) -> Verdict:
    """The answer to it."""
    op, *arguments = wanting.arguments
    verdict: Verdict
    verdict, taken = wanting.answered(host.shared.call(op, wanting.names, arguments))
    host.taken += taken
    return verdict


@pytest.mark.parametrize("quota", ["1000/day", "1000/day fixed", "1000/day sliding"])
def test_what_threads_have_taken_at_once_is_given_back_to_the_last_cell(
    serve: Callable[[str], Shared], clock: Clock, quota: str
) -> None:
    shared = serve(quota)
    host = Host(shared)
    for _ in range(15):
        assert host.check()
    # Eight threads ask before one is answered: all that they get is held as one batch.
    threads = [lacking(host) for _ in range(8)]
    assert all(answer(host, thread) for thread in threads)
    assert shared.left() <= 1000 - 15 - 8 * 8
    for _ in range(7):
        clock.advance(0.1)
        host.give_back()
    assert shared.left() == 1000 - 15 - 8


def test_what_the_server_took_of_another_window_is_given_back_to_it_at_once(
    serve: Callable[[str], Shared], clock: Clock
) -> None:
    shared = serve("1000/10 seconds fixed")
    host = Host(shared)
    clock.advance(9.9 - clock.now() % 10)
    for _ in range(63):
        assert host.check()
    asking = lacking(host)
    assert int(asking.arguments[-1]) == 64
    # When it arrives, the server is in the next window.
    shared.ahead = 0.2
    assert answer(host, asking)
    host.give_back()
    assert shared.left() == 999


def test_until_a_host_is_in_the_server_s_window_it_takes_nothing_in_advance(
    serve: Callable[[str], Shared], clock: Clock
) -> None:
    shared = serve("1000/10 seconds fixed")
    host = Host(shared)
    shared.ahead = 0.2
    clock.advance(9.9 - clock.now() % 10)
    for spent in range(1, 30):
        assert host.check()
        assert shared.left() == 1000 - spent
    clock.advance(0.2)
    asked = shared.asked
    for _ in range(30):
        assert host.check()
    assert shared.asked < asked + 10


@pytest.mark.parametrize("lease", [1.0, 5.0, 60.0])
def test_a_period_that_is_shorter_than_the_lease_is_spent_all_the_same(
    serve: Callable[[str], Shared], clock: Clock, lease: float
) -> None:
    host = Host(serve("10/second sliding"), lease)
    admitted = 0
    for _ in range(3000):
        clock.advance(0.01)
        admitted += bool(host.check())
        host.give_back()
    assert admitted > 30 * 10 * 0.8


@pytest.mark.parametrize("quota", ["100/day", "100/day fixed", "100/day sliding"])
def test_whoever_costs_what_is_left_is_not_refused_after_somebody_who_cost_more(
    serve: Callable[[str], Shared], quota: str
) -> None:
    host = Host(serve(quota))
    for _ in range(10):
        assert host.check(cost=9)
    assert not host.check(cost=20)
    assert [bool(host.check()) for _ in range(12)] == [True] * 10 + [False] * 2


def test_what_others_give_back_to_a_window_is_there_at_once(serve: Callable[[str], Shared], clock: Clock) -> None:
    shared = serve("100/day fixed")
    greedy, other = Host(shared), Host(shared)
    while not isinstance(greedy.batches.spend(("ada",)), Verdict) or shared.left():
        greedy.check()
    assert not other.check()
    clock.advance(0.7)
    greedy.give_back()
    clock.advance(0.4)
    left = shared.left()
    assert [bool(other.check()) for _ in range(left + 1)] == [True] * left + [False]


def test_what_a_refused_request_took_is_put_back_to_the_batch_that_came_meanwhile(
    serve: Callable[[str], Shared], clock: Clock
) -> None:
    host = Host(serve("100/day fixed; 50/day fixed"))

    def give(wanting: Any, first: int) -> None:
        start = int(wanting.arguments[4])
        assert wanting.answered([1, *[9, 1000, 0, start] * 2, first, 1])[0]

    give(lacking(host), 4)
    asking = lacking(host, cost=3)
    clock.advance(0.1)
    give(lacking(host), 5)
    asking.put_back()
    assert len(lacking(host, cost=7).names) == 1, "of the first limit it holds three and four"


@pytest.mark.parametrize("quota", ["1000/day fixed", "1000/day sliding", "1000/day"])
@pytest.mark.parametrize("lease", [0.1, 1.0, 30.0])
def test_what_is_idle_comes_back_also_when_who_gives_it_back_is_late(
    serve: Callable[[str], Shared], clock: Clock, quota: str, lease: float
) -> None:
    shared = serve(quota)
    host = Host(shared, lease)
    for _ in range(40):
        assert host.check()
    assert shared.left() < 960
    clock.advance(1.1 * lease)
    asked = shared.asked
    assert lacking(host).names, "nobody may spend it any more"
    host.give_back()
    assert shared.left() == 960
    assert shared.asked > asked


@pytest.mark.parametrize("quota", ["20/year", "1000/day", "100/day fixed", "100/hour sliding"])
def test_a_crowd_of_callers_who_come_once_leaves_nothing_in_the_table(
    serve: Callable[[str], Shared], clock: Clock, quota: str
) -> None:
    host = Host(serve(quota))
    for key in range(200):
        assert host.check(str(key))
    clock.advance(2.1)
    assert host.store.used() == 0
