"""Opaque tokens that are made up to shut an issuer out for others, and issuers that hang."""

# ruff: noqa: F401, F811 - fixtures come from a module

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock
from flask_rampart._native import Key
from flask_rampart.issuers import Issuers, flights, introspection, keys
from flask_rampart.issuers.transport import Fetched, FetchFailed, Form

from .conftest import bearer
from .issuing import App, Net, active, asking, code, idle, introspector, key, net, serve, settle, token_of

TRAVERSAL = "../../etc/passwd"


class Guarded(Net):
    """An issuer behind something that answers by itself where a token looks dangerous to it."""

    wall = 403

    def introspect(self, form: Form) -> Fetched:
        if TRAVERSAL.replace("/", "%2F").encode() not in form.body:
            return super().introspect(form)
        self.asked.append(("", form))
        raise FetchFailed(f"its answer is {self.wall}, not 200", self.wall)


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Guarded:
    net = Guarded()
    net.tokens = {f"good-{n}": active(exp=...) for n in range(2000)}
    monkeypatch.setattr("flask_rampart.issuers.fetch", net)
    return net


@pytest.mark.parametrize("wall", [403, 404, 400])
@pytest.mark.parametrize("attacks", [1, 6])
@pytest.mark.parametrize("quiet", [0, 7200])
def test_made_up_tokens_do_not_shut_an_issuer_out_for_others(
    serve: App, guarded: Guarded, clock: Clock, wall: int, attacks: int, quiet: int
) -> None:
    # The attacker is first, each second; the good client has another token each time, or none that is remembered.
    guarded.wall = wall
    app = serve(asking(cache=0))
    made_up = itertools.count()
    if quiet:
        # Nobody else has come for hours, and the attacker goes first for two minutes.
        clock.advance(quiet)
        for _ in range(120):
            clock.advance(1)
            code(app, f"{TRAVERSAL}{next(made_up)}")
    refused = 0
    for n in range(60):
        for _ in range(attacks):
            assert code(app, f"{TRAVERSAL}{next(made_up)}") == "auth.unavailable"
        clock.advance(0.5)
        refused += code(app, f"good-{n % 7}") != "ok"
        clock.advance(0.5)
    assert refused <= 3


def test_a_client_whose_token_is_remembered_is_hardly_ever_shut_out(serve: App, guarded: Guarded, clock: Clock) -> None:
    app = serve(asking())
    refused = 0
    for n in range(120):
        for each in range(3):
            code(app, f"{TRAVERSAL}{n}-{each}")
        refused += code(app, "good-1") != "ok"
        clock.advance(1)
    assert refused <= 3


def test_one_token_without_an_answer_is_refused_alone_and_counts_once(serve: App, net: Net, clock: Clock) -> None:
    app = serve(asking(cache=0))
    net.tokens["opaque"] = active()
    net.status = 500
    for _ in range(10):
        refused = app.test_client().get("/", headers=bearer("strange"))
        assert (refused.status_code, refused.json["code"]) == (503, "auth.unavailable")
        assert len(net.asked) == 1 and refused.headers["Retry-After"] == "5"
    for _ in range(10):
        clock.advance(introspection.UNJUDGED)
        code(app, "strange")
    assert len(net.asked) == 11
    net.status = 200
    # Nobody else noticed; it is asked about again after its time, and not before.
    assert code(app, "opaque") == "ok"
    clock.advance(introspection.UNJUDGED - 1)
    assert code(app, "strange") == "auth.unavailable"
    clock.advance(1)
    assert code(app, "strange") == "token.invalid"


def test_403_and_an_outage_count_together_where_nothing_was_answered(serve: App, net: Net, clock: Clock) -> None:
    app = serve(asking())
    for n, net.status in enumerate((403, 500, 404, 200)):
        assert code(app, f"t{n}") == "auth.unavailable"
    assert len(net.asked) == 3


@pytest.mark.parametrize("status", [403, 404, 405, 400])
def test_a_4xx_while_finding_out_does_not_prolong_the_wait(serve: App, net: Net, clock: Clock, status: int) -> None:
    net.tokens["opaque"] = active()
    app = serve(asking())
    net.down = True
    for n in range(30):
        code(app, f"t{n}")
        clock.advance(15)
    assert introspector(app)._back_off.failures > 5
    clock.advance(120)
    net.down, net.status = False, status
    for n in range(12):
        code(app, f"strange-{n}")
    net.status = 200
    clock.advance(1.5)
    assert code(app, "opaque") == "ok"
    # That one answer opened it wholly.
    assert introspector(app)._back_off.failures == 0 and not introspector(app)._row


@pytest.mark.parametrize(("said", "told"), [(0, 2), (7, 7), (45, 45), (999_999, 60)])
def test_429_closes_for_as_long_as_it_says_and_a_minute_at_most(
    serve: App, net: Net, clock: Clock, monkeypatch: pytest.MonkeyPatch, said: int, told: int
) -> None:
    def busy(self: Net, form: Form) -> Fetched:
        raise FetchFailed("its answer is 429, not 200", 429, said)

    app = serve(asking())
    with monkeypatch.context() as patch:
        patch.setattr(Net, "introspect", busy)
        refused = app.test_client().get("/", headers=bearer("t0"))
    assert refused.status_code == 503 and int(refused.headers["Retry-After"]) <= max(told, introspection.UNJUDGED)
    clock.advance(max(told - 2, 0))
    assert (code(app, "t1") == "auth.unavailable") and not net.asked
    clock.advance(2)
    assert code(app, "t1") == "token.invalid"


def test_401_closes_at_once_also_when_it_was_answered_a_moment_ago(serve: App, net: Net, clock: Clock) -> None:
    app = serve(asking())
    assert code(app, "t0") == "token.invalid"
    net.status = 401
    assert code(app, "t1") == code(app, "t2") == "auth.unavailable"
    assert len(net.asked) == 2


def test_after_an_outage_a_few_tokens_find_out_and_fail_once_together(serve: App, net: Net, clock: Clock) -> None:
    app = serve(asking(timeout=30))
    net.down = True
    for n in range(introspection.PATIENCE):
        code(app, f"t{n}")
    clock.advance(2)
    net.asked.clear()
    net.gate.clear()
    threads = [threading.Thread(target=code, args=(app, f"probe-{n}")) for n in range(20)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 9
    while sum(thread.is_alive() for thread in threads) > introspection.PROBES and time.monotonic() < until:
        time.sleep(0.002)
    net.gate.set()
    for thread in threads:
        thread.join(10)
    assert len(net.asked) == introspection.PROBES
    # Four failed at once, and the wait was doubled once.
    assert introspector(app)._back_off.failures == 2


def test_a_name_server_that_hangs_for_ever_takes_a_bounded_number_of_threads(
    serve: App, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    net.tokens["opaque"] = active()
    app = serve(asking(timeout=1, in_flight=2))
    app.extensions["rampart"].seal()
    monkeypatch.setattr("flask_rampart.issuers.introspection._GRACE", -1.0)
    net.gate.clear()
    monkeypatch.setattr(flights, "LOST", -1.0)  # as if a minute had passed
    for n in range(20):
        assert code(app, f"t{n}") == "auth.unavailable"
    until = time.monotonic() + 5
    while len(net.asked) < 4 and time.monotonic() < until:
        time.sleep(0.002)
    assert len(net.asked) == 4  # two under way, two given up
    monkeypatch.undo()
    net.gate.set()
    until = time.monotonic() + 5
    while introspector(app)._questions or any(not each.landed.is_set() for each in introspector(app)._lost):
        assert time.monotonic() < until
        time.sleep(0.002)
    monkeypatch.setattr("flask_rampart.issuers.fetch", net)
    assert code(app, "opaque") == "ok"


def test_forged_tokens_take_a_bounded_number_of_threads_while_the_first_keys_come(
    serve: App, net: Net, key: Key, monkeypatch: Any
) -> None:
    monkeypatch.setattr(keys, "MOST_WAITING_FIRST", 32)
    net.publish(key)
    app = serve()
    app.extensions["rampart"].seal()
    good = token_of(key)
    net.gate.clear()
    codes: list[str] = []
    threads = [threading.Thread(target=lambda: codes.append(code(app, good))) for _ in range(60)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 4
    while len(codes) < 60 - keys.MOST_WAITING_FIRST and time.monotonic() < until:
        time.sleep(0.002)
    assert codes == ["auth.unavailable"] * (60 - keys.MOST_WAITING_FIRST)
    net.gate.set()
    for thread in threads:
        thread.join(10)
    assert codes.count("ok") == keys.MOST_WAITING_FIRST and code(app, good) == "ok"


def test_fetches_that_hang_for_ever_are_bounded_too(
    serve: App, net: Net, clock: Clock, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = serve()
    app.extensions["rampart"].seal()
    monkeypatch.setattr(keys, "WAIT", -9.0)
    monkeypatch.setattr(flights, "LOST", -1.0)
    net.gate.clear()
    for _ in range(40):
        assert code(app, token_of(key)) == "auth.unavailable"
        clock.advance(2 * flights.LONGEST_BACK_OFF)
    assert len(net.fetched) <= keys.MOST_LOST + 1
    net.gate.set()
