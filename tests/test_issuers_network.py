"""Issuers on a real network: first use, rotation, death and return, and questions about opaque tokens."""

# ruff: noqa: F401, F811 - fixtures come from a module

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock, require
from flask_rampart.issuers import keys, transport

from .issuing import AUDIENCE, App, Server, code, jwks, new_key, server, settle, token_of


@pytest.fixture
def app(make_app: App, server: Server) -> Flask:
    app = make_app(
        TESTING=True,
        RAMPART_ISSUERS=[{"issuer": server.url, "audience": AUDIENCE, "allow_private": True, "allow_http": True}],
    )
    app.get("/")(require()(lambda: "ok"))
    server.documents["/.well-known/openid-configuration"] = {"issuer": server.url, "jwks_uri": f"{server.url}/keys"}
    return app


def test_200_threads_at_first_use_make_one_fetch_over_the_network(app: Flask, server: Server) -> None:
    key = new_key("one")
    server.documents["/keys"] = jwks(key)
    token = token_of(key, iss=server.url)
    app.extensions["rampart"].seal()
    with ThreadPoolExecutor(200) as pool:
        assert set(pool.map(lambda _: code(app, token), range(200))) == {"ok"}
    assert server.fetches("/keys") == 1


def test_an_issuer_that_is_killed_and_returns(app: Flask, server: Server, clock: Clock) -> None:
    key = new_key("one")
    server.documents["/keys"] = jwks(key)
    token = token_of(key, iss=server.url)
    server.kill()
    assert code(app, token) == "auth.unavailable"
    server.start()
    assert code(app, token) == "auth.unavailable"  # in the back-off, nothing is tried
    clock.advance(2)
    assert code(app, token) == "ok"
    server.kill()
    for _ in range(60):
        clock.advance(60)
        assert code(app, token) == "ok"
        settle(app)
    server.start()
    new = new_key("two")
    server.documents["/keys"] = jwks(key, new)
    clock.advance(120)
    assert code(app, token_of(new, iss=server.url)) == "ok"


def test_keys_rotate_while_requests_run_and_no_good_token_is_refused(app: Flask, server: Server, clock: Clock) -> None:
    old = new_key("0")
    server.documents["/keys"] = jwks(old)
    stop = threading.Event()
    current = [token_of(old, iss=server.url)]
    refused: list[str] = []
    passes = [0] * 6
    assert code(app, current[0]) == "ok"

    def call(caller: int) -> None:
        while not stop.is_set():
            for token in list(current):
                found = code(app, token)
                if found != "ok":
                    refused.append(found)
            passes[caller] += 1

    def all_pass() -> None:
        """Whatever a caller took from the list before now, it has used."""
        before = list(passes)
        deadline = time.monotonic() + 30
        while any(now < then + 2 for now, then in zip(passes, before, strict=True)):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(call, caller) for caller in range(6)]
        for n in range(1, 6):
            new = new_key(str(n))
            server.documents["/keys"] = jwks(old, new)
            clock.advance(31)
            current.append(token_of(new, iss=server.url))
            all_pass()
            # Both keys are published while both are in use; then the older one goes.
            current.pop(0)
            all_pass()
            old = new
        stop.set()
        for each in running:
            each.result()
    assert refused == []
    assert server.fetches("/keys") <= 12


def test_1000_unknown_kids_make_one_fetch_over_the_network(app: Flask, server: Server) -> None:
    key = new_key("one")
    server.documents["/keys"] = jwks(key)
    assert code(app, token_of(key, iss=server.url)) == "ok"
    forged = [token_of(new_key(f"x{n}"), iss=server.url) for n in range(10)]
    with ThreadPoolExecutor(6) as pool:
        answers = set(pool.map(lambda n: code(app, forged[n % 10]), range(1000)))
    assert answers == {"token.invalid"}
    assert server.fetches("/keys") == 2
    assert code(app, token_of(key, iss=server.url, jti="x")) == "ok"


def test_a_name_server_that_hangs_holds_no_request_beyond_its_wait(
    app: Flask, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `getaddrinfo` knows no timeout: it runs on the thread of the fetch, for which requests wait a bounded time.
    monkeypatch.setattr(keys, "WAIT", 0.2)
    key = new_key("one")
    server.documents["/keys"] = jwks(key)
    answers = threading.Event()
    ask = socket.getaddrinfo

    def slow(*args: Any, **options: Any) -> Any:
        answers.wait(10)
        return ask(*args, **options)

    monkeypatch.setattr(transport.socket, "getaddrinfo", slow)
    app.extensions["rampart"].seal()
    begun = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        found = set(pool.map(lambda _: code(app, token_of(key, iss=server.url)), range(20)))
    assert found == {"auth.unavailable"} and time.monotonic() - begun < 8
    answers.set()
    settle(app)
    assert code(app, token_of(key, iss=server.url)) == "ok"


def test_opaque_tokens_are_asked_about_over_the_network(make_app: App, server: Server, clock: Clock) -> None:
    asked = {"client_id": "api", "client_secret": "hunter2", "cache": 30}
    spec = {"issuer": server.url, "audience": AUDIENCE, "allow_private": True, "allow_http": True}
    app = make_app(TESTING=True, RAMPART_ISSUERS=[{**spec, "introspection": asked}])
    app.get("/")(require()(lambda: "ok"))
    server.documents["/.well-known/openid-configuration"] = {
        "issuer": server.url,
        "introspection_endpoint": f"{server.url}/introspect",
    }
    server.tokens["opaque"] = {"active": True, "sub": "ada", "aud": AUDIENCE}
    assert code(app, "opaque") == code(app, "opaque") == "ok"
    assert code(app, "other") == "token.invalid"
    assert server.asked == [{"token": [token], "token_type_hint": ["access_token"]} for token in ("opaque", "other")]
    server.kill()
    assert code(app, "opaque") == "ok"
    clock.advance(30)
    for _ in range(5):
        assert code(app, "opaque") == "auth.unavailable"
    server.start()
    assert code(app, "opaque") == "auth.unavailable"  # nobody is asked about it for some seconds
    clock.advance(5)
    assert code(app, "opaque") == "ok"
    # Revoked at the issuer: over, some seconds later.
    server.tokens.clear()
    clock.advance(30)
    assert code(app, "opaque") == "token.invalid"


def test_a_secret_that_the_issuer_does_not_know_makes_nobody_guess(make_app: App, server: Server) -> None:
    asked = {"endpoint": f"{server.url}/i", "client_id": "api", "client_secret": "wrong"}
    spec = {"issuer": server.url, "audience": AUDIENCE, "allow_private": True, "allow_http": True}
    app = make_app(TESTING=True, RAMPART_ISSUERS=[{**spec, "introspection": asked}])
    app.get("/")(require()(lambda: "ok"))
    server.tokens["opaque"] = {"active": True, "sub": "ada", "aud": AUDIENCE}
    for n in range(10):
        assert code(app, f"opaque{n}") == "auth.unavailable"
    assert len(server.asked) == 1
