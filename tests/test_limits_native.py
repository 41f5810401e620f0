"""Rate limits at the border: quotas, verdicts, keys and stores as Python sees them."""

from __future__ import annotations

import doctest
import gc
import sys
import threading
from typing import Any, Literal

import pytest

from flask_rampart import _native
from flask_rampart._native import Clock, LimitSet, LimitStore, Quota


@pytest.fixture
def clock() -> Clock:
    return Clock.manual(1_800_000_000.0)


def limits(store: LimitStore, quotas: str, kind: Literal["address", "text"] = "text", scope: str = "s") -> LimitSet:
    return LimitSet(store, [(scope, Quota.parse(quotas), kind)])


def test_a_quota_shows_what_was_read() -> None:
    minute, day = Quota.parse("60 per minute burst 20; 1000/day")
    assert (minute.count, minute.period, minute.burst, minute.text) == (60, 60.0, 20, "60/minute burst 20")
    assert (day.count, day.period, day.burst, day.text) == (1000, 86400.0, 1000, "1000/day")
    assert repr(minute) == 'Quota("60/minute burst 20")'
    assert minute == Quota.parse("60/minute burst 20")[0] != day


def test_a_quota_that_cannot_be_read_says_what_would_be_right() -> None:
    with pytest.raises(ValueError, match=r'"minuts" is not a unit\. Did you mean "60/minute"\?'):
        Quota.parse("60/minuts")


def test_a_verdict_tells_all_that_a_response_needs(clock: Clock) -> None:
    login = limits(LimitStore.local(clock), "60/minute burst 2; 1000/day", "address", "login")
    assert login.policy == '"60/minute burst 2";q=2;w=2, "1000/day";q=1000;w=86400'
    first = login.check(("192.0.2.1",))
    assert first
    assert (first.admitted, first.retry_after, first.violated, first.scope) == (True, 0, None, None)
    assert (first.remaining, first.fields) == (1, '"60/minute burst 2";r=1;t=1')
    assert login.check(("192.0.2.1",))
    refused = login.check(("192.0.2.1",))
    assert not refused
    assert (refused.retry_after, refused.violated, refused.scope) == (1, "60/minute burst 2", "login")
    assert (refused.remaining, refused.fields) == (0, '"60/minute burst 2";r=0;t=1')
    clock.advance(1)
    assert login.check(("192.0.2.1",))


def test_peek_charges_nothing_and_settling_gives_back(clock: Clock) -> None:
    one = limits(LimitStore.local(clock), "3/hour")
    assert [one.peek(("a",)).remaining for _ in range(5)] == [3] * 5
    verdict, reserved = one.reserve(("a",), 3)
    assert verdict
    assert reserved is not None
    assert not one.peek(("a",))
    reserved.settle(1)
    assert one.peek(("a",)).remaining == 2
    assert one.reserve(("a",), 3)[1] is None


@pytest.mark.parametrize("cost", [-1, -100, -(2**31), -(2**63), -(2**200)])
def test_a_cost_below_zero_never_refills_a_quota(clock: Clock, cost: int) -> None:
    # Flask-Limiter: a cost of -100 gives 100 requests back.
    one = limits(LimitStore.local(clock), "1/hour")
    one.check(("a",))
    for call in (one.check, one.reserve, one.peek):
        with pytest.raises(ValueError, match="at least 0"):
            call(("a",), cost)
    assert not one.check(("a",))


def test_a_cost_beyond_every_burst_is_refused_and_charges_nothing(clock: Clock) -> None:
    one = limits(LimitStore.local(clock), "10/hour; 100/day")
    for cost in (11, 2**32, 2**32 + 1, 2**63, 2**200):
        refused = one.check(("a",), cost)
        assert not refused
        assert refused.retry_after > 0
    assert one.check(("a",), 10)


@pytest.mark.parametrize("cost", [1.5, "1", None, [1], True])
def test_a_cost_is_a_whole_number(clock: Clock, cost: object) -> None:
    with pytest.raises(TypeError):
        limits(LimitStore.local(clock), "10/hour").check(("a",), cost)  # type: ignore[arg-type]


@pytest.mark.parametrize("keys", [(), ("a", "b")])
def test_keys_are_as_many_as_entries(clock: Clock, keys: tuple[str, ...]) -> None:
    one = limits(LimitStore.local(clock), "10/hour")
    for call in (one.check, one.peek, one.reserve):
        with pytest.raises(ValueError, match="a key for each entry"):
            call(keys)


@pytest.mark.parametrize("keys", [(None,), (b"a",), (1,), b"a", ["a"]])
def test_a_key_that_is_no_text_is_an_error_and_no_way_round(clock: Clock, keys: object) -> None:
    with pytest.raises(TypeError):
        limits(LimitStore.local(clock), "10/hour").check(keys)  # type: ignore[arg-type]


def test_an_odd_key_is_limited_like_any_other(clock: Clock) -> None:
    # Flask-Limiter skips a limit whose key is empty. A lone surrogate arrives in JSON as \ud800.
    one = limits(LimitStore.local(clock), "1/hour")
    for key in ("", "\0", "\ud800", "\ud801", "é", "e\u0301", "a" * 1_000_000):
        assert one.check((key,))
        assert not one.check((key,))


def test_an_ipv6_customer_is_one_client(clock: Clock) -> None:
    # Flask-Limiter gives each of a customer's 2**64 addresses a quota.
    one = limits(LimitStore.local(clock), "1/hour", "address")
    assert one.check(("2001:db8::1",))
    assert not any(one.check((f"2001:db8::{n:x}",)) for n in range(2, 100))
    narrow = LimitSet(LimitStore.local(clock), [("s", Quota.parse("1/hour"), "address")], ipv6_prefix=128)
    assert all(narrow.check((f"2001:db8::{n:x}",)) for n in range(2, 100))
    with pytest.raises(ValueError, match="32 to 128"):
        LimitSet(LimitStore.local(clock), [("s", Quota.parse("1/hour"), "address")], ipv6_prefix=0)


def test_what_is_no_address_shares_one_key(clock: Clock) -> None:
    one = limits(LimitStore.local(clock), "2/hour", "address")
    assert one.check(("",))
    assert one.check(("unix:",))
    assert not one.check(("\ud800",))
    assert one.check(("192.0.2.1",))


def test_a_set_that_limits_nothing_is_refused(clock: Clock) -> None:
    store = LimitStore.local(clock)
    wrong: list[tuple[Any, str]] = [
        ([], "limit nothing"),
        ([("s", [], "text")], "no quota"),
        ([("s", Quota.parse("1/hour"), "adress")], 'Use "address" or "text"'),
    ]
    for entries, message in wrong:
        with pytest.raises(ValueError, match=message):
            LimitSet(store, entries)


def test_a_store_in_memory_says_what_it_is(clock: Clock) -> None:
    store = LimitStore.local(clock, keys=1000)
    assert (store.kind, store.path, store.capacity, store.used()) == ("memory", None, 1000, 0)
    limits(store, "1/hour").check(("a",))
    assert store.used() == 1
    clock.advance(3600)
    assert store.used() == 0
    assert store.keyed(b"alice") == store.keyed(b"alice") != store.keyed(b"bob")
    assert len(store.keyed(b"")) == 32
    assert store.keyed(b"alice") != LimitStore.local(clock).keyed(b"alice")


def test_the_classes_are_freed(clock: Clock) -> None:
    def make() -> None:
        one = limits(LimitStore.local(clock, keys=10), "1/hour")
        one.check(("a",))

    make()
    gc.collect()
    before = sys.getrefcount(clock)
    for _ in range(50):
        make()
    assert sys.getrefcount(clock) == before


def test_the_examples_in_the_docstrings_run() -> None:
    runner = doctest.DocTestRunner()
    tried = 0
    for owner in (Quota, Quota.parse, LimitStore, LimitSet):
        example = doctest.DocTestParser().get_doctest(
            owner.__doc__ or "", vars(_native).copy(), owner.__name__, None, None
        )
        tried += runner.run(example).attempted
    assert tried >= 6
    assert runner.failures == 0


def test_threads_of_one_process_share_a_quota(clock: Clock) -> None:
    one = limits(LimitStore.local(clock), "500/hour")
    passed: list[bool] = []
    threads = [
        threading.Thread(target=lambda: passed.extend(bool(one.check(("a",))) for _ in range(300))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 500
