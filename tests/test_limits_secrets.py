"""Counters tell nobody who has come: not in Redis, not on the way to it, not in the file of the workers, not in a log."""

from __future__ import annotations

import base64
import hashlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask

from flask_rampart import Clock, Rampart, limit, require

from .conftest import KEYS, Named, bearer
from .servers import Redis

Sign = Callable[..., str]
ADDRESSES = ["192.0.2.77", "203.0.113.201", "2001:db8:77:88:99aa:bbcc:ddee:ff01"]
NAMES = ["ada.lovelace@example.com", "tenant-of-ada", "https://issuer.example", "a-key-of-the-app-s", "eve.wrongdoer"]


def spoken(secret: str) -> list[bytes]:
    """A secret in the ways in which it could be written down, without a key of ours."""
    forms = [secret.encode(), secret.upper().encode(), secret.encode("utf-16-le")]
    forms += [base64.b64encode(secret.encode())[:-4], secret.encode().hex().encode()]
    for kind in (hashlib.md5, hashlib.sha1, hashlib.sha256, hashlib.blake2s):
        digest = kind(secret.encode()).digest()
        forms += [digest[:8], digest.hex()[:16].encode(), base64.b64encode(digest)[:12]]
    if secret in ADDRESSES:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in secret else socket.AF_INET, secret)
        forms += [packed, packed[:8], packed[:8].hex().encode()]
        # Its network, as a ban may be kept.
        forms += [secret.rsplit(".", 1)[0].encode()] if "." in secret else [packed[:6]]
    return [form for form in forms if len(form) >= 4]


def found(text: bytes, more: list[str]) -> list[tuple[str, bytes]]:
    return [(secret, form) for secret in [*ADDRESSES, *NAMES, *more] for form in spoken(secret) if form in text]


def busy(app: Flask, rampart: Rampart) -> None:
    """Views that are limited by everything by which one can limit."""
    banning = limit("4/hour", ban="1 hour after 2 by network")(limit("3/hour", ban="1 hour after 2")(lambda: "ok"))
    app.get("/address")(banning)
    app.get("/person")(require("jwt")(limit("9/hour; 9/day fixed; 9/hour sliding", by="principal")(lambda: "ok")))
    app.get("/tenant")(require("jwt")(limit("1/hour", by="claim:tenant", ban="1 hour after 1 by key")(lambda: "ok")))
    app.get("/key")(require("api_key")(limit("9/hour", by="api_key")(lambda: "ok")))
    app.get("/function")(limit("9/hour; 2 concurrent", by=lambda: NAMES[3], count="failures")(lambda: ("no", 400)))
    app.post("/login")(limit("2/hour", by=("address", "json:email"), count="failures")(lambda: ("no", 401)))

    @app.post("/chat")
    @require("jwt")
    def chat() -> str:
        rampart.reserve("1000/hour", cost=100, scope="chat").settle(30)
        return "ok"


def ask_everything(app: Flask, rampart: Rampart, token: Sign) -> list[str]:
    """Asks it all; says what else must not be found."""
    with app.app_context():
        key = rampart.api_keys.create("ci", owner="eve.wrongdoer", quota="5/hour")
    who = bearer(token(sub=NAMES[0], iss=NAMES[2], tenant=NAMES[1]))
    seen = set()
    for address in ADDRESSES:
        for method, path, more in [
            *[("GET", "/person", {"headers": who}), ("GET", "/tenant", {"headers": who})] * 3,
            *[("GET", "/key", {"headers": {"X-API-Key": key.key}}), ("GET", "/function", {})] * 2,
            *[("POST", "/login", {"json": {"email": NAMES[4]}}), ("POST", "/chat", {"headers": who})] * 3,
            # Last, as it closes all the others.
            *[("GET", "/address", {})] * 6,
        ]:
            answer = app.test_client().open(path, method=method, environ_base={"REMOTE_ADDR": address}, **more)
            assert answer.status_code != 500
            seen.add((path, answer.json["code"] if answer.is_json and "code" in answer.json else answer.status_code))
    assert {code for _, code in seen} >= {200, 400, 401, "limit.exceeded", "limit.banned"}
    return [key.id, key.key]


@pytest.fixture(name="begin")
def beginning(tmp_path: Path) -> Callable[..., tuple[Flask, Rampart]]:
    def begin(**config: Any) -> tuple[Flask, Rampart]:
        app = Named("secrets")
        app.config.update(
            RAMPART_ACCESS_LOG="off",
            RAMPART_LIMITS="1000/hour",
            RAMPART_JWT_KEYS=KEYS,
            RAMPART_API_KEYS=True,
            RAMPART_STORE=f"sqlite:///{tmp_path}/records.sqlite3",
            SECRET_KEY="a secret key that nobody else has",
        )
        app.config.update(config)
        rampart = Rampart(app, clock=Clock.manual(1_800_000_000))
        busy(app, rampart)
        return app, rampart

    return begin


@contextmanager
def listening(server: Redis) -> Iterator[list[bytes]]:
    """Everything that is said to a server meanwhile, as MONITOR tells it."""
    lines: list[bytes] = []
    with socket.create_connection(("127.0.0.1", server.port), 30) as peer:
        peer.sendall(b"MONITOR\r\n")
        assert peer.recv(5) == b"+OK\r\n"

        def listen() -> None:
            while data := peer.recv(1 << 20):
                lines.append(data)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield lines
            redis.Redis.from_url(server.url).echo("the end of it")
            while b"the end of it" not in b"".join(lines[-3:]):
                thread.join(0.01)
        finally:
            peer.shutdown(socket.SHUT_RDWR)
            thread.join()


def stored(client: Any) -> bytes:
    """All keys and values, as they are and in Redis' own form."""
    parts = []
    for key in client.scan_iter():
        parts.append(key)
        kind = client.type(key)
        if kind == b"string":
            parts.append(client.get(key))
        elif kind == b"zset":
            parts += [member for member, _ in client.zrange(key, 0, -1, withscores=True)]
        else:
            raise AssertionError(f"a key of another type: {kind!r}")
    return b"\n".join(parts)


def test_redis_learns_no_name_and_no_address(
    begin: Callable[..., tuple[Flask, Rampart]], redis_server: Redis, token: Sign
) -> None:
    client = redis.Redis.from_url(redis_server.url)
    client.flushall()
    app, rampart = begin(TESTING=True, RAMPART_LIMIT_STORE=redis_server.url, RAMPART_LIMIT_STORE_TIMEOUT=5.0)
    with listening(redis_server) as lines:
        more = ask_everything(app, rampart, token)
    said = b"".join(lines)
    assert said.lower().count(b"evalsha") > 50
    assert client.dbsize() > 10
    assert found(said, more) == []
    # MONITOR writes what is not printable as \xNN.
    assert found(said.decode("unicode_escape").encode("latin-1", "replace"), more) == []
    assert found(stored(client), more) == []
    assert b"a secret key" not in said


def test_another_secret_gives_other_names(begin: Callable[..., Any], redis_server: Redis, token: Sign) -> None:
    client = redis.Redis.from_url(redis_server.url)
    names = []
    for secret in ("one secret of 16 bytes and more", "another secret of as many bytes"):
        client.flushall()
        app, _ = begin(
            TESTING=True, RAMPART_LIMIT_STORE=redis_server.url, SECRET_KEY=secret, RAMPART_LIMIT_STORE_TIMEOUT=5.0
        )
        app.test_client().get("/function")
        names.append({key for key in client.scan_iter() if b"bans" not in key})
    assert names[0]
    assert not names[0] & names[1]


def test_the_file_of_the_workers_has_no_name_and_no_address(
    begin: Callable[..., tuple[Flask, Rampart]], tmp_path: Path, token: Sign
) -> None:
    (tmp_path / "counters").mkdir(mode=0o700)
    app, rampart = begin(RAMPART_LIMIT_STORE=f"shm://{tmp_path}/counters", RAMPART_LIMIT_TABLE=1 << 20)
    more = ask_everything(app, rampart, token)
    content = b"".join(file.read_bytes() for file in (tmp_path / "counters").iterdir())
    assert len(content) - content.count(0) > 300, "something was counted there"
    assert found(content, more) == []


def test_what_is_logged_of_limits_and_bans_names_nobody(
    begin: Callable[..., tuple[Flask, Rampart]], token: Sign, caplog: pytest.LogCaptureFixture
) -> None:
    app, rampart = begin(RAMPART_LIMIT_STORE="memory://")
    app.get("/tried")(limit("1/hour", mode="report", by=lambda: NAMES[0])(lambda: "ok"))
    with caplog.at_level(logging.DEBUG):
        more = ask_everything(app, rampart, token)
        for _ in range(3):
            app.test_client().get("/tried", environ_base={"REMOTE_ADDR": "198.51.100.1"})
    assert "for 3600 s (ban number 1, id" in caplog.text
    assert "would have refused" in caplog.text
    assert found(caplog.text.encode(), more) == []


def test_what_looks_for_secrets_here_finds_them() -> None:
    for secret in [*ADDRESSES, *NAMES]:
        for form in (
            secret.encode(),
            hashlib.sha256(secret.encode()).hexdigest().encode(),
            secret.encode().hex().encode(),
        ):
            assert found(b"..." + form + b"...", [])
