"""Opaque tokens over time: how long an answer is believed, and what a flood or an outage does to others."""

# ruff: noqa: F401, F811 - fixtures come from a module

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flask_rampart import Clock
from flask_rampart._native import Key
from flask_rampart.issuers import introspection, memory
from flask_rampart.issuers.flights import LONGEST_BACK_OFF

from .conftest import NOW, bearer
from .issuing import (
    App,
    Net,
    active,
    asking,
    code,
    idle,
    introspector,
    jwks,
    key,
    logged,
    net,
    serve,
    token_of,
)

# How long an answer is believed.


def test_a_good_answer_is_believed_for_its_time_and_no_longer(serve: App, net: Net, clock: Clock) -> None:
    net.tokens["opaque"] = active()
    app = serve(asking(cache=30))
    assert code(app, "opaque") == "ok"
    net.tokens["opaque"] = {"active": False}  # revoked
    clock.advance(29)
    assert code(app, "opaque") == "ok" and len(net.asked) == 1
    clock.advance(1)
    assert code(app, "opaque") == "token.invalid" and len(net.asked) == 2


def test_no_answer_outlives_the_tokens_end(serve: App, net: Net, clock: Clock) -> None:
    # quarkus PR #43994, spring-security #8117, fastmcp PR #3298: a cached answer was good after `exp`.
    net.tokens["opaque"] = active(exp=NOW + 10)
    app = serve(asking(cache=3600))
    assert code(app, "opaque") == "ok"
    clock.advance(9)
    assert code(app, "opaque") == "ok" and len(net.asked) == 1
    clock.advance(1)
    net.down = True
    assert code(app, "opaque") == "auth.unavailable"
    net.down = False
    clock.advance(introspection.UNJUDGED)
    net.tokens["opaque"] = {"active": False}
    assert code(app, "opaque") == "token.invalid"


def test_an_outage_prolongs_no_answer(serve: App, net: Net, clock: Clock) -> None:
    net.tokens["opaque"] = active()
    app = serve(asking(cache=30))
    assert code(app, "opaque") == "ok"
    net.down = True
    clock.advance(30)
    assert code(app, "opaque") == "auth.unavailable"


def test_a_bad_answer_is_believed_for_its_time(serve: App, net: Net, clock: Clock) -> None:
    app = serve(asking(negative=5))
    for _ in range(50):
        assert code(app, "fresh") == "token.invalid"
    assert len(net.asked) == 1
    net.tokens["fresh"] = active()
    clock.advance(5)
    assert code(app, "fresh") == "ok"


def test_without_a_cache_each_request_asks(serve: App, net: Net) -> None:
    net.tokens["opaque"] = active()
    app = serve(asking(cache=0, negative=0))
    for _ in range(3):
        assert code(app, "opaque") == "ok"
    net.tokens["opaque"] = {"active": False}
    assert code(app, "opaque") == "token.invalid" and len(net.asked) == 4


def test_a_clock_that_is_set_back_prolongs_no_answer(serve: App, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    held: memory.Memory[str] = memory.Memory(10, 1000)
    held.keep(b"a", "x", 100.0, 130.0, 1)
    assert held.find(b"a", 129.9) == "x"
    assert held.find(b"a", 99.0) is None
    assert held.find(b"a", 110.0) is None and held.bytes == 0


def test_answers_are_found_by_all_of_the_token(serve: App, net: Net) -> None:
    # CVE-2026-35030: a key made of the first characters let one token pass for another.
    good = "x" * 4000
    net.tokens[good] = active()
    app = serve(asking())
    assert code(app, good) == "ok"
    for other in (good[:-1], good + "x", good[:-1] + "y", "y" + good[1:], good.upper()):
        assert code(app, other) == "token.invalid"
    assert memory.name_of("a", "bc") != memory.name_of("ab", "c")
    assert len(memory.name_of("a", "b")) == hashlib.sha256().digest_size


def test_made_up_tokens_push_out_no_good_one(serve: App, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introspection, "MOST_BAD", 20)
    net.tokens["opaque"] = active()
    app = serve(asking(cache=600))
    assert code(app, "opaque") == "ok"
    for n in range(60):
        assert code(app, f"forged-{n}") == "token.invalid"
    net.down = True
    assert code(app, "opaque") == "ok"
    assert len(introspector(app)._bad) == 20 and len(introspector(app)._good) == 1


def test_the_memory_is_bounded_in_entries_and_bytes() -> None:
    held: memory.Memory[int] = memory.Memory(3, 100)
    for n in range(10):
        held.keep(bytes([n]), n, 0.0, 9.0, 30)
    assert len(held) == 3 and held.bytes == 90
    assert [held.find(bytes([n]), 1.0) for n in (6, 7, 9)] == [None, 7, 9]
    held.keep(b"big", 1, 0.0, 9.0, 95)
    assert len(held) == 1 and held.bytes == 95
    held.keep(b"too big", 1, 0.0, 9.0, 101)
    held.keep(b"over", 1, 5.0, 5.0, 1)
    assert len(held) == 1
    held.keep(b"big", 2, 0.0, 9.0, 10)
    assert (len(held), held.bytes, held.find(b"big", 1.0)) == (1, 10, 2)
    # What was used least recently goes.
    held.keep(b"b", 3, 0.0, 9.0, 1)
    held.keep(b"c", 4, 0.0, 9.0, 1)
    held.find(b"big", 1.0)
    held.keep(b"d", 5, 0.0, 9.0, 1)
    assert held.find(b"b", 1.0) is None and held.find(b"big", 1.0) == 2


# Many at once, and outages.


def test_100_requests_with_one_token_ask_once(serve: App, net: Net) -> None:
    net.tokens["opaque"] = active()
    app = serve(asking(in_flight=100, timeout=30))
    app.extensions["rampart"].seal()
    net.gate.clear()
    with ThreadPoolExecutor(100) as pool:
        found = [pool.submit(code, app, "opaque") for _ in range(100)]
        until = time.monotonic() + 25
        while introspector(app)._waiting < 99 and time.monotonic() < until:
            time.sleep(0.002)
        net.gate.set()
        assert {each.result() for each in found} == {"ok"}
    assert len(net.asked) == 1 and introspector(app)._waiting == 0


def test_few_requests_wait_for_the_answer_to_anothers_question(serve: App, net: Net) -> None:
    app = serve(asking(in_flight=4, timeout=30))
    app.extensions["rampart"].seal()
    net.gate.clear()
    with ThreadPoolExecutor(40) as pool:
        found = [pool.submit(code, app, "forged") for _ in range(40)]
        until = time.monotonic() + 9
        while sum(each.done() for each in found) < 35 and time.monotonic() < until:
            time.sleep(0.002)
        assert [each.result() for each in found if each.done()] == ["auth.unavailable"] * 35
        net.gate.set()
        assert sorted(each.result() for each in found)[35:] == ["token.invalid"] * 5
    assert len(net.asked) == 1 and introspector(app)._waiting == 0


def test_a_flood_of_made_up_tokens_does_not_take_every_thread(
    serve: App, net: Net, key: Key, caplog: pytest.LogCaptureFixture
) -> None:
    net.tokens["opaque"] = active()
    app = serve({**asking(in_flight=4, timeout=30), "jwks": jwks(key)})
    assert code(app, "opaque") == "ok"
    net.gate.clear()
    with ThreadPoolExecutor(60) as pool:
        found = [pool.submit(app.test_client().get, "/", headers=bearer(f"forged-{n % 30}")) for n in range(60)]
        until = time.monotonic() + 9
        while sum(each.done() for each in found) < 52 and time.monotonic() < until:
            time.sleep(0.002)
        # At most four questions, and four more requests that wait for one of them; the others are told at once.
        refused = [each.result() for each in found if each.done()]
        assert len(refused) >= 52
        assert {(each.status_code, each.headers["Retry-After"]) for each in refused} == {(503, "1")}
        assert code(app, "opaque") == code(app, token_of(key)) == "ok"
        net.gate.set()
        assert {each.result().status_code for each in found} == {401, 503}
    assert len(net.asked) <= 5
    assert code(app, "forged-99") == "token.invalid"


def test_a_request_does_not_wait_for_longer_than_the_timeout(
    serve: App, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    net.tokens["opaque"] = active()
    app = serve(asking(timeout=1))
    net.gate.clear()
    begun = time.monotonic()
    assert code(app, "opaque") == "auth.unavailable"
    assert time.monotonic() - begun < 8  # the gate opens by itself after ten
    net.gate.set()
    idle(app)
    # The answer came late, and is not lost.
    assert code(app, "opaque") == "ok" and len(net.asked) == 1


@pytest.mark.parametrize(
    ("status", "asked"), [(0, 3), (500, 3), (503, 3), (302, 3), (401, 1), (403, 3), (404, 3), (405, 3), (429, 1)]
)
def test_after_failures_nobody_is_asked_for_a_while(
    serve: App, net: Net, clock: Clock, status: int, asked: int, caplog: pytest.LogCaptureFixture
) -> None:
    app = serve(asking(cache=3600))
    net.tokens.update({f"t{n}": active() for n in range(40)})
    assert code(app, "t39") == "ok"
    net.asked.clear()
    clock.advance(introspection.TRUSTED)
    net.status = status
    with caplog.at_level(logging.WARNING):
        for n in range(20):
            refused = app.test_client().get("/", headers=bearer(f"t{n}"))
            assert refused.status_code == 503 and refused.json["code"] == "auth.unavailable"
            assert 1 <= int(refused.headers["Retry-After"]) <= 5 and "WWW-Authenticate" not in refused.headers
        assert len(net.asked) == asked
        assert code(app, "t39") == "ok"  # believed a moment ago
        # About one question a minute at the end; one in some seconds where that may be about this one token.
        for _ in range(600):
            clock.advance(1)
            code(app, "t20")
        assert len(net.asked) <= asked + (120 if status in (403, 404, 405) else 20)
        net.status = 200
        clock.advance(2 * LONGEST_BACK_OFF)
        assert code(app, "t21") == code(app, "t22") == "ok"
        assert "could not be asked" in caplog.text and logged(caplog, "can be asked again")


def test_a_question_that_the_issuer_dislikes_closes_nothing_for_others(serve: App, net: Net) -> None:
    # Whoever can make the issuer answer 400 by a strange token would lock everybody out.
    net.tokens["opaque"] = active()
    app = serve(asking())
    net.status = 400
    for n in range(20):
        assert code(app, f"strange-{n}") == "auth.unavailable"
    assert len(net.asked) == 20
    net.status = 200
    assert code(app, "opaque") == "ok"


def test_one_failure_among_answers_closes_nothing(serve: App, net: Net) -> None:
    app = serve(asking())
    for n in range(12):
        net.status = 200 if n % 3 else 500
        assert code(app, f"t{n}") == ("token.invalid" if n % 3 else "auth.unavailable")
    assert len(net.asked) == 12


def test_after_an_outage_a_few_questions_find_out(serve: App, net: Net, clock: Clock) -> None:
    net.tokens.update({f"t{n}": active() for n in range(40)})
    app = serve(asking(timeout=30))
    net.down = True
    for n in range(introspection.PATIENCE):
        assert code(app, f"t{n}") == "auth.unavailable"
    net.down = False
    net.asked.clear()
    net.gate.clear()
    clock.advance(2)
    with ThreadPoolExecutor(20) as pool:
        found = [pool.submit(code, app, f"t{n}") for n in range(20)]
        until = time.monotonic() + 9
        few = introspection.PROBES
        while sum(each.done() for each in found) < 20 - few and time.monotonic() < until:
            time.sleep(0.002)
        assert [each.result() for each in found if each.done()] == ["auth.unavailable"] * (20 - few)
        net.gate.set()
        assert [each.result() for each in found].count("ok") == few
    assert len(net.asked) == few
    assert code(app, "t30") == "ok"


def test_failures_do_not_fill_the_log(serve: App, net: Net, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    app = serve(asking())
    net.status = 400
    with caplog.at_level(logging.WARNING):
        for n in range(50):
            code(app, f"t{n}")
        assert logged(caplog, "could not be asked")
        clock.advance(introspection.QUIET)
        code(app, "t50")
        assert logged(caplog, "could not be asked", 2)


def test_without_threads_to_start_requests_are_refused(serve: App, net: Net, monkeypatch: Any) -> None:
    net.tokens["opaque"] = active()
    app = serve(asking())
    app.extensions["rampart"].seal()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("no threads")))
        assert code(app, "opaque") == "auth.unavailable"
    assert code(app, "opaque") == "ok"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_asks_for_itself(serve: App, net: Net) -> None:
    net.tokens.update(opaque=active(), other=active())
    app = serve(asking())
    assert code(app, "opaque") == "ok"
    net.gate.clear()
    asking_now = threading.Thread(target=code, args=(app, "other"))
    asking_now.start()
    while not introspector(app)._questions:
        time.sleep(0.002)
    with introspector(app)._lock:
        child = os.fork()
    if child == 0:
        status = 1
        try:
            net.gate.set()
            fine = not introspector(app)._questions and code(app, "other") == "ok"
            status = 0 if fine and code(app, "opaque") == "ok" else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    net.gate.set()
    asking_now.join(10)
