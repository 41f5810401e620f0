"""Ours, for ``tokens.py``: apps that know who is calling, and stores with what such apps have after years."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apps
import material
from flask import Flask

QUOTA = "60/minute"
PER_MINUTE = 60


def key(algorithm: str) -> dict[str, Any]:
    """A key as the settings say it: as an API has it that issues nothing."""
    if algorithm == "HS256":
        return {"alg": "HS256", "secret": material.SECRET}
    return {"alg": algorithm, "pem": material.public_key(algorithm), "verify_only": True}


def app(folder: Path, *algorithms: str, **config: Any) -> Flask:
    """An app with our rooms and no views; its store is in *folder*."""
    from flask_rampart import Rampart

    found = Flask("identities", root_path=apps.HERE)
    found.config.update(
        RAMPART_ACCESS_LOG="off",
        RAMPART_LIMIT_STORE=f"shm://{apps.directory()}",
        RAMPART_LIMIT_TABLE=apps.TABLE,
        RAMPART_STORE=f"sqlite:///{folder}/records.sqlite3",
        **config,
    )
    if algorithms:
        found.config.update(
            RAMPART_JWT_KEYS=[key(algorithm) for algorithm in algorithms],
            RAMPART_JWT_ISSUER=material.ISSUER,
            RAMPART_JWT_AUDIENCE=material.AUDIENCE,
            # Who issues nothing revokes nothing, unless told to.
            RAMPART_JWT_REVOCATION=True,
        )
    Rampart(found)
    return found


def room(of: Flask, name: str) -> Any:
    """One of an app's rooms: ``Tokens``, ``ApiKeys`` or ``Records``."""
    from flask_rampart import apikeys, stores, tokens

    kind = {"Tokens": tokens.Tokens, "ApiKeys": apikeys.ApiKeys, "Records": stores.Records}[name]
    return of.extensions["rampart"].services[kind]


def request(**fields: str) -> Any:
    """What a room is given of a request with these headers."""
    from flask_rampart.exchange import Exchange

    return Exchange(None, {f"HTTP_{name}": value for name, value in fields.items()})


def first_sight(of: Flask, algorithm: str) -> Callable[[Any], Any]:
    """The check of a token by an app that has seen others: it remembers so few that each one is new to it.

    All of it but for that number is as in the app's own room: revocations, memory, header.
    """
    from flask_rampart import _native

    revocations = room(of, "Tokens").revocations
    made = (
        _native.Key.from_secret(material.SECRET, algorithm)
        if algorithm == "HS256"
        else _native.Key.from_pem(material.public_key(algorithm), algorithm)
    )
    verifier = _native.Verifier(
        [made],
        _native.Clock.system(),
        seen=8,
        audiences=(material.AUDIENCE,),
        issuers=(material.ISSUER,),
        revoked=revocations.listed,
    )

    def check(exchange: Any) -> Any:
        revocations.current()
        return verifier.authenticate(exchange.environ)

    return check


def revoke_many(of: Flask, count: int) -> None:
    """Puts revocations of other tokens into the list, so that it is not empty."""
    listed = room(of, "Tokens").revocations.listed
    for _ in range(count):
        listed.put(os.urandom(16), float("inf"), 0, time.time() + 86_400)


def guarded(folder: Path, algorithm: str, *, quota: str | None = None, everywhere: str | None = None) -> Flask:
    """An app with one view that requires a token, with or without a limit by address in front.

    :param quota: of ``limit`` on the view.
    :param everywhere: of ``RAMPART_LIMITS``, which the edge asks.
    """
    from flask_rampart import limit, require

    limits = {} if everywhere is None else {"RAMPART_LIMITS": everywhere}
    found = app(folder, algorithm, **limits)
    view = require(scopes=material.SCOPE)(lambda: "ok")
    found.post("/orders", endpoint="orders")(limit(quota, by="address")(view) if quota else view)
    return found


def remember(api_keys: Any, count: int) -> None:
    """Has a room remember that many keys."""
    from flask_rampart import _native

    api_keys._book = _native.KeyBook("rk", "live", _native.Clock.system(), remembered=count)


class Counted:
    """A store that counts how often it is asked for anything but whether something changed."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name == "sequence":
            return found

        def counted(*args: Any, **named: Any) -> Any:
            self.calls += 1
            return found(*args, **named)

        return counted


def fill(folder: Path, count: int, kept: int) -> list[str]:
    """Writes *count* API keys as ``ApiKeys`` would, in one transaction; *kept* of them, spread over all."""
    from flask_rampart import _native
    from flask_rampart.apikeys import KIND
    from flask_rampart.stores import SqliteStore

    path = folder / "records.sqlite3"
    SqliteStore(path).close()
    book = _native.KeyBook("rk", "live", _native.Clock.system())
    keys: list[str] = []

    def rows() -> Any:
        for number in range(count):
            text, key_id, digest = book.new_key()
            if number % (count // kept) == 0:
                keys.append(text)
            record = {
                "line": key_id,
                "name": f"key {number}",
                "owner": f"owner-{number % 10_000}",
                "scopes": ["orders:read", "orders:write"],
                "roles": [],
                "claims": {"tenant": "acme"},
                "expires": None,
                "sha256": digest.hex(),
                "created": time.time(),
                "revoked": None,
                "successor": None,
            }
            yield KIND, key_id, json.dumps(record, separators=(",", ":")).encode(), number + 1, record["owner"], None

    raw = sqlite3.connect(path)
    try:
        with raw:
            raw.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", rows())
            raw.execute("INSERT INTO sequences VALUES (?, ?, ?)", (KIND, count, count))
    finally:
        raw.close()
    return keys[:kept]


def commit_alone(folder: Path) -> Callable[[Any], None]:
    """The least that a durable change costs: one row, one transaction, synced, in a database like ours."""
    raw = sqlite3.connect(folder / "alone.sqlite3", isolation_level=None)
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA synchronous = FULL")
    raw.execute("CREATE TABLE records (key INTEGER PRIMARY KEY, value BLOB)")
    raw.execute("INSERT INTO records VALUES (1, x'')")

    def call(_: Any) -> None:
        raw.execute("BEGIN IMMEDIATE")
        # Always another value: SQLite writes nothing where nothing changes.
        raw.execute("UPDATE records SET value = ? WHERE key = 1", (os.urandom(600),))
        raw.execute("COMMIT")

    return call
