"""The keys of an issuer over time: first use, refresh, rotation, outage, floods of unknown names, forks."""

# ruff: noqa: F401, F811 - fixtures come from a module

from __future__ import annotations

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
from flask_rampart.issuers import Issuers, flights, keys

from .conftest import bearer
from .issuing import ISSUER, App, Net, code, entry, jwk, jwks, key, net, new_key, serve, settle, token_of


def test_200_threads_at_the_first_use_make_one_fetch(
    serve: App, net: Net, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "WAIT", 60)  # so many threads take long to begin on a busy machine
    net.publish(key)
    net.gate.clear()
    app = serve(entry(jwks_uri=f"{ISSUER}/keys"))
    app.test_client().get("/")  # binds the guards
    token = token_of(key)
    with ThreadPoolExecutor(200) as pool:
        answers = [pool.submit(code, app, token) for _ in range(200)]
        while not net.fetched:
            time.sleep(0.001)
        net.gate.set()
        found = [answer.result() for answer in answers]
    assert found == ["ok"] * 200
    assert net.fetched == [f"{ISSUER}/keys"]


def test_while_the_issuer_is_down_requests_are_refused_at_once(serve: App, net: Net, key: Key, clock: Clock) -> None:
    net.down = True
    app = serve(entry(jwks_uri=f"{ISSUER}/keys"))
    refused = app.test_client().get("/", headers=bearer(token_of(key)))
    # Never 401: nobody has said that the token is wrong.
    assert refused.status_code == 503 and refused.json["code"] == "auth.unavailable"
    assert 1 <= int(refused.headers["Retry-After"]) <= 2
    assert "WWW-Authenticate" not in refused.headers
    begun = time.monotonic()
    for _ in range(20):  # PyJWT 2.15.1: 20 requests are 20 fetches
        assert code(app, token_of(key)) == "auth.unavailable"
    assert len(net.fetched) == 1 and time.monotonic() - begun < 4  # one wait is five
    for _ in range(60 * 60):
        clock.advance(1)
        code(app, token_of(key))
    assert 45 <= len(net.fetched) <= 90  # about one a minute at the end
    net.down = False
    net.publish(key)
    clock.advance(120)
    assert code(app, token_of(key)) == "ok"


def test_an_hours_outage_refuses_no_known_token(serve: App, net: Net, key: Key, clock: Clock) -> None:
    # Spring Security #19643, PyJWT 2.15.1: a known key fails with the first failed refresh.
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    net.down = True
    for second in range(0, 3600, 20):
        clock.advance(20)
        assert code(app, token_of(key, jti=str(second))) == "ok"
        settle(app)
    assert len(net.fetched) < 80


def test_stale_keys_have_an_end(serve: App, net: Net, key: Key, clock: Clock) -> None:
    net.publish(key)
    app = serve(entry(max_stale=3600))
    assert code(app, token_of(key)) == "ok"
    net.down = True
    clock.advance(600 + 3599)
    assert code(app, token_of(key)) == "ok"
    settle(app)
    clock.advance(61)
    assert code(app, token_of(key)) == "auth.unavailable"


@pytest.mark.parametrize(
    ("max_age", "early", "late"), [(None, 420, 541), (0, 42, 55), (10, 42, 55), (10**9, 60480, 77761)]
)
def test_keys_are_fetched_anew_before_their_time_ends(
    serve: App, net: Net, key: Key, clock: Clock, max_age: int | None, early: int, late: int
) -> None:
    net.publish(key)
    net.max_age = max_age
    app = serve(entry(jwks_uri=f"{ISSUER}/keys"))
    assert code(app, token_of(key)) == "ok"
    clock.advance(early - 1)
    assert code(app, token_of(key)) == "ok" and len(net.fetched) == 1
    clock.advance(late - early + 1)
    assert code(app, token_of(key)) == "ok"
    settle(app)
    assert len(net.fetched) == 2


def test_no_request_waits_for_a_refresh(serve: App, net: Net, key: Key, clock: Clock) -> None:
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    clock.advance(3600)
    net.gate.clear()
    begun = time.monotonic()
    for _ in range(50):
        assert code(app, token_of(key)) == "ok"
    assert time.monotonic() - begun < 4  # one wait is five
    assert len(net.fetched) == 3
    net.gate.set()
    settle(app)


def test_a_new_key_is_taken_at_its_first_token_and_a_withdrawn_one_ends(serve: App, net: Net, key: Key) -> None:
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    new = new_key("two")
    net.publish(new)
    assert code(app, token_of(new)) == "ok"
    assert code(app, token_of(key)) == "token.invalid"


def test_a_fetch_that_began_before_the_rotation_does_not_hide_the_new_key(
    serve: App, net: Net, key: Key, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "WAIT_FOR_KID", 60)
    net.publish(key)
    app = serve(entry(jwks_uri=f"{ISSUER}/keys"))
    assert code(app, token_of(key)) == "ok"
    stale = json.dumps(jwks(key)).encode()
    net.documents[f"{ISSUER}/keys"] = stale
    clock.advance(3600)
    net.gate.clear()
    new = new_key("two")
    published = jwks(key, new)

    class Late(dict[str, Any]):
        """Answers the fetch that is under way with what was published when it began."""

        def get(self, url: str, *_: Any) -> Any:
            return stale if net.sets == 2 else published

    net.documents = Late()
    assert code(app, token_of(key)) == "ok"
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(code, app, token_of(new))
        time.sleep(0.05)
        net.gate.set()
        assert answer.result() == "ok"
    assert net.sets == 3


def test_1000_unknown_kids_make_one_fetch_in_a_cool_down(serve: App, net: Net, key: Key, clock: Clock) -> None:
    # PYSEC-2026-177, CVE-2026-48524, jwks-rsa-java #173: a flood locks nobody out.
    net.publish(key)
    app = serve(entry(jwks_uri=f"{ISSUER}/keys"))
    assert code(app, token_of(key)) == "ok"
    forged = [token_of(new_key(f"kid-{n}")) for n in range(20)]
    begun = time.monotonic()
    for n in range(1000):
        assert code(app, forged[n % 20]) == "token.invalid"
        if n % 100 == 0:
            assert code(app, token_of(key, jti=str(n))) == "ok"
    assert len(net.fetched) == 2 and time.monotonic() - begun < 60  # each wait is two
    clock.advance(keys.COOL_DOWN)
    for each in forged:
        assert code(app, each) == "token.invalid"
    assert len(net.fetched) == 3


def test_few_requests_wait_for_an_unknown_kid_and_none_for_long(
    serve: App, net: Net, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "WAIT_FOR_KID", 30.0)
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    net.gate.clear()
    forged = token_of(new_key("unknown"))
    with ThreadPoolExecutor(40) as pool:
        answers = [pool.submit(code, app, forged) for _ in range(40)]
        until = time.monotonic() + 9
        while sum(each.done() for each in answers) < 40 - keys.MOST_WAITING_FOR_KID and time.monotonic() < until:
            assert code(app, token_of(key, jti="other")) == "ok"
            time.sleep(0.01)
        # The others were answered at once, while the few wait: nobody has said yet that their tokens are wrong.
        done = [each.result() for each in answers if each.done()]
        assert done == ["auth.unavailable"] * (40 - keys.MOST_WAITING_FOR_KID)
        net.gate.set()
        assert sorted(each.result() for each in answers)[len(done) :] == ["token.invalid"] * keys.MOST_WAITING_FOR_KID
    assert len(net.fetched) == 4


def test_once_an_issuer_was_out_of_reach_few_requests_wait_for_it(
    serve: App, net: Net, key: Key, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Anybody can name the issuer in a forged token: all threads would wait, and other callers with them.
    monkeypatch.setattr(keys, "WAIT", 30.0)
    net.down = True
    app = serve()
    assert code(app, token_of(key)) == "auth.unavailable"
    clock.advance(2 * keys.LONGEST_BACK_OFF)
    net.down = False
    net.publish(key)
    net.gate.clear()
    with ThreadPoolExecutor(40) as pool:
        answers = [pool.submit(code, app, token_of(key)) for _ in range(40)]
        until = time.monotonic() + 9
        while sum(each.done() for each in answers) < 40 - keys.MOST_WAITING and time.monotonic() < until:
            time.sleep(0.01)
        done = [each.result() for each in answers if each.done()]
        assert done == ["auth.unavailable"] * (40 - keys.MOST_WAITING)
        net.gate.set()
        assert sorted(each.result() for each in answers)[-keys.MOST_WAITING :] == ["ok"] * keys.MOST_WAITING


def test_a_request_does_not_wait_for_long_for_an_unknown_kid(
    serve: App, net: Net, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "WAIT_FOR_KID", 0.2)
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    net.gate.clear()
    begun = time.monotonic()
    # No word from the issuer yet, so nobody has said that the token is wrong.
    assert code(app, token_of(new_key("unknown"))) == "auth.unavailable"
    assert time.monotonic() - begun < 8  # the gate opens by itself after ten
    net.gate.set()
    settle(app)


def test_the_first_request_does_not_wait_for_long_and_the_next_not_at_all(
    serve: App, net: Net, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "WAIT", 0.5)
    net.publish(key)
    net.gate.clear()
    app = serve()
    begun = time.monotonic()
    for _ in range(20):
        assert code(app, token_of(key)) == "auth.unavailable"
    assert time.monotonic() - begun < 8  # the gate opens by itself after ten
    assert len(net.fetched) == 1
    net.gate.set()
    settle(app)
    assert code(app, token_of(key)) == "ok"


def test_an_unknown_kid_during_an_outage_is_not_called_wrong(serve: App, net: Net, key: Key, clock: Clock) -> None:
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    net.down = True
    new = new_key("two")
    assert code(app, token_of(new)) == "auth.unavailable"
    assert code(app, token_of(key)) == "ok"
    net.down = False
    net.publish(key, new)
    clock.advance(keys.COOL_DOWN)
    assert code(app, token_of(new)) == "ok"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"keys":[]}', b"<html>", b'{"keys":[{"kty":"oct","k":"AAAA"}]}', b"null"]
)
def test_a_set_that_cannot_be_used_replaces_nothing(
    serve: App, net: Net, key: Key, clock: Clock, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    net.documents[f"{ISSUER}/keys"] = body
    clock.advance(3600)
    with caplog.at_level(logging.WARNING):
        assert code(app, token_of(key)) == "ok"
        settle(app)
        time.sleep(0.01)
    assert code(app, token_of(key)) == "ok"
    assert "could not be fetched" in caplog.text


def test_unusable_keys_of_a_set_are_skipped_with_one_warning(
    serve: App, net: Net, key: Key, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    net.publish(key)
    net.documents[f"{ISSUER}/keys"]["keys"] += [{"kty": "AKP", "alg": "ML-DSA-44"}, jwk(key, kid="enc", use="enc")]
    app = serve()
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            assert code(app, token_of(key)) == "ok"
            clock.advance(3600)
            settle(app)
        time.sleep(0.01)
    assert caplog.text.count("skipped") == 1


def test_a_refresh_with_the_same_keys_keeps_the_verifier(serve: App, net: Net, key: Key, clock: Clock) -> None:
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    source = app.extensions["rampart"].services[Issuers]._sources[ISSUER]
    before = source.verifier()
    clock.advance(3600)
    source.verifier()
    settle(app)
    assert source.verifier() is before


def test_a_transport_that_breaks_is_a_failure_and_not_a_crash(serve: App, net: Net, monkeypatch: Any) -> None:
    def broken(url: str, **_: Any) -> Any:
        raise KeyError("hunter2")

    monkeypatch.setattr("flask_rampart.issuers.fetch", broken)
    app = serve()
    refused = app.test_client().get("/", headers=bearer(token_of(new_key("x"))))
    assert refused.status_code == 503 and "hunter2" not in refused.get_data(as_text=True)


def test_without_threads_to_start_requests_are_refused(serve: App, net: Net, key: Key, monkeypatch: Any) -> None:
    net.publish(key)
    app = serve()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("no threads")))
        assert code(app, token_of(key)) == "auth.unavailable"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_inherits_keys_but_no_lock_and_no_fetch(serve: App, net: Net, key: Key, clock: Clock) -> None:
    net.publish(key)
    app = serve()
    assert code(app, token_of(key)) == "ok"
    source = app.extensions["rampart"].services[Issuers]._sources[ISSUER]
    clock.advance(3600)
    net.gate.clear()
    assert code(app, token_of(key)) == "ok"  # a fetch is under way, in a thread that the child will not have
    with source._lock:
        child = os.fork()
    if child == 0:
        status = 1
        try:
            net.gate.set()
            fine = source._flight is None and code(app, token_of(key)) == "ok"
            rotated = new_key("two")
            net.publish(rotated)
            status = 0 if fine and code(app, token_of(rotated)) == "ok" else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    net.gate.set()
    settle(app)


# Keys that the set does not have, by name or without one.


def test_500_requests_at_the_end_of_the_keys_make_one_fetch(serve: App, net: Net, key: Key, clock: Clock) -> None:
    net.publish(key)
    app = serve(entry(jwks_uri=f"{ISSUER}/keys", max_stale=0))
    assert code(app, token_of(key)) == "ok"
    clock.advance(3600)
    net.gate.clear()
    token = token_of(key)
    with ThreadPoolExecutor(100) as pool:
        found = [pool.submit(code, app, token) for _ in range(500)]
        while len(net.fetched) < 2:
            time.sleep(0.001)
        net.gate.set()
        said = [each.result() for each in found]
    assert said == ["ok"] * 500
    assert len(net.fetched) == 2


@pytest.mark.parametrize("stale", [0, 86400])
def test_a_request_that_read_the_time_before_new_keys_landed_does_not_fetch_once_more(
    serve: App, net: Net, key: Key, clock: Clock, stale: int
) -> None:
    # Four workers of sixteen threads made nine fetches: one thread was held up between the clock and the lock.
    net.publish(key)
    app = serve(entry(jwks_uri=f"{ISSUER}/keys", max_stale=stale))
    assert code(app, token_of(key)) == "ok"
    clock.advance(3600)
    source = app.extensions["rampart"].services[Issuers]._sources[ISSUER]
    real = source._lock

    class HeldUp:
        """A lock that lets another request by, and the keys land, before it is had."""

        def __enter__(self) -> None:
            source._lock = real
            clock.advance(0.001)
            assert code(app, token_of(key, jti="other")) == "ok"
            settle(app)
            real.__enter__()

        def __exit__(self, *error: object) -> None:
            real.__exit__(*error)

    source._lock = HeldUp()
    assert code(app, token_of(key)) == "ok"
    settle(app)
    assert len(net.fetched) == 2


def test_1000_unknown_kids_at_once_make_one_fetch(serve: App, net: Net, key: Key) -> None:
    net.publish(key)
    app = serve(entry(jwks_uri=f"{ISSUER}/keys"))
    good = token_of(key)
    assert code(app, good) == "ok"
    forged = [token_of(new_key(f"kid-{n}")) for n in range(20)]
    with ThreadPoolExecutor(20) as pool:
        found = [pool.submit(code, app, good if n % 10 == 0 else forged[n % 20]) for n in range(1100)]
        answers = [each.result() for each in found]
    assert len(net.fetched) == 2
    assert set(answers[::10]) == {"ok"}
    # Those that came while the fetch was under way, and found no place, know nothing yet.
    assert set(answers) <= {"ok", "token.invalid", "auth.unavailable"}


def test_in_the_cool_down_after_a_failed_fetch_nobody_knows(serve: App, net: Net, key: Key, clock: Clock) -> None:
    net.publish(key)
    app = serve(entry(jwks_uri=f"{ISSUER}/keys"))
    assert code(app, token_of(key)) == "ok"
    new = new_key("two")
    net.down = True
    assert code(app, token_of(new)) == "auth.unavailable"
    assert len(net.fetched) == 2
    # The back-off is over, the cool-down is not: no fetch, and no verdict either.
    clock.advance(5)
    refused = app.test_client().get("/", headers=bearer(token_of(new)))
    assert refused.status_code == 503 and int(refused.headers["Retry-After"]) == 25
    assert len(net.fetched) == 2
    clock.advance(25)
    net.down = False
    net.publish(key, new)
    assert code(app, token_of(new)) == "ok"
    # After a fetch that succeeded, a kid that is not in the set is wrong.
    assert code(app, token_of(new_key("three"))) == "token.invalid"


def test_a_key_rotated_without_a_name_is_taken_at_its_first_token(serve: App, net: Net, clock: Clock) -> None:
    old, new = new_key(None), new_key(None)
    net.publish(old)
    app = serve(entry(jwks_uri=f"{ISSUER}/keys"))
    assert code(app, token_of(old)) == "ok"
    net.publish(new)
    assert code(app, token_of(new)) == "ok"
    assert code(app, token_of(old)) == "token.invalid"
    assert len(net.fetched) == 2
    # One fetch in a cool-down, whoever forges what.
    forger = new_key(None)
    for n in range(50):
        assert code(app, token_of(forger, jti=str(n))) == "token.invalid"
    assert len(net.fetched) == 2
    clock.advance(keys.COOL_DOWN)
    for n in range(50):
        assert code(app, token_of(forger, jti=str(n))) == "token.invalid"
        assert code(app, token_of(new, jti=str(n))) == "ok"
    assert len(net.fetched) == 3


def test_a_nameless_key_of_another_algorithm_is_taken_too(serve: App, net: Net) -> None:
    old, new = new_key(None), new_key(None, "ES384")
    net.publish(old)
    app = serve(entry(jwks_uri=f"{ISSUER}/keys"))
    assert code(app, token_of(old)) == "ok"
    net.publish(new)
    assert code(app, token_of(new)) == "ok"


def test_a_new_name_beside_a_nameless_key_is_worth_a_fetch(serve: App, net: Net, clock: Clock) -> None:
    nameless, named = new_key(None), new_key("two")
    net.publish(nameless)
    app = serve(entry(jwks_uri=f"{ISSUER}/keys"))
    assert code(app, token_of(nameless)) == "ok"
    net.publish(nameless, named)
    assert code(app, token_of(named)) == "ok"
    assert len(net.fetched) == 2


def test_a_bad_signature_of_a_known_key_fetches_nothing(serve: App, net: Net, key: Key) -> None:
    net.publish(key)
    app = serve(entry(jwks_uri=f"{ISSUER}/keys"))
    assert code(app, token_of(key)) == "ok"
    for forger in (new_key("one"), new_key("one", "ES384")):
        assert code(app, token_of(forger)) == "token.invalid"
    # Nor do algorithms that no published key has.
    secret = Key.from_secret(b"0123456789abcdef0123456789abcdef", "HS256")
    assert code(app, token_of(secret)) == "token.invalid"
    assert len(net.fetched) == 1


def test_nothing_is_logged_under_the_lock(serve: App, net: Net, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    net.publish(key)
    app = serve()
    source = app.extensions["rampart"].services[Issuers]._sources[ISSUER]
    held: list[bool] = []
    source._warn = lambda line: held.append(source._lock.locked())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("no threads")))
        assert code(app, token_of(key)) == "auth.unavailable"
    assert held == [False]


def test_a_fetch_that_never_ends_is_a_failure_and_not_a_verdict(
    serve: App, net: Net, key: Key, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "WAIT_FOR_KID", 0.05)
    net.publish(key)
    app = serve(entry(jwks_uri=f"{ISSUER}/keys"))
    assert code(app, token_of(key)) == "ok"
    net.gate.clear()
    assert code(app, token_of(new_key("two"))) == "auth.unavailable"
    source = app.extensions["rampart"].services[Issuers]._sources[ISSUER]
    source._flight.begun -= 2 * flights.LOST
    assert code(app, token_of(new_key("two"))) == "auth.unavailable"
    assert len(net.fetched) == 2 and code(app, token_of(key)) == "ok"
    net.gate.set()
