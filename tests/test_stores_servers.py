"""Redis and databases as stores: other hosts, lost seconds, timeouts, and what is said when they are away."""

from __future__ import annotations

import gc
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis as client
import sqlalchemy as sa
from flask import Flask

from flask_rampart import Clock, ConfigError, Rampart, StoreError, require
from flask_rampart.apikeys import ApiKeys
from flask_rampart.exchange import EXTENSION
from flask_rampart.stores import MemoryStore, RedisStore, SqlAlchemyStore, SqliteStore, Store, open_store, sqlalchemy
from flask_rampart.stores.protocol import MOST_CHANGES
from flask_rampart.stores.redis import _INSERT, _REPLACE, _content

from .conftest import NOW
from .servers import Place, Postgres, Redis, own_redis

SERVERS = ("redis", "postgresql")


@pytest.fixture(params=SERVERS)
def place(request: pytest.FixtureRequest, place_of: Callable[[str], Place]) -> Place:
    return place_of(request.param)


def app_at(place: Place, **config: Any) -> tuple[Flask, ApiKeys]:
    """A worker's app, whose keys are there."""
    app = Flask(__name__, instance_path=place.folder)
    app.config.update(
        RAMPART_API_KEYS=True, RAMPART_STORE=place.url, RAMPART_STORE_PREFIX=place.prefix, RAMPART_ACCESS_LOG="off"
    )
    app.config.update(RAMPART_LIMIT_STORE="memory://", **config)
    Rampart(app, clock=Clock.manual(NOW))
    app.get("/")(require("api_key")(lambda: "ok"))
    return app, app.extensions[EXTENSION].services[ApiKeys]


def status(app: Flask, key: str) -> int:
    return app.test_client().get("/", headers={"X-API-Key": key}).status_code


def test_a_revoked_key_is_refused_by_another_worker_at_its_next_request(place: Place) -> None:
    (_, keys), (other, _) = app_at(place), app_at(place)
    for _ in range(5):
        new, kept = keys.create("ci", scopes="a"), keys.create("kept")
        assert status(other, new.key) == status(other, new.key) == status(other, kept.key) == 200
        assert keys.revoke(new.id)
        assert (status(other, new.key), status(other, kept.key)) == (401, 200)
    old = keys.create("ci")
    assert status(other, old.key) == 200
    keys.rotate(old.id, overlap=0)
    assert status(other, old.key) == 401


def test_another_host_sees_a_change_when_the_store_is_asked_again(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = place.open(), place._replace(folder=str(tmp_path / "there")).open()
    here.insert("kind", "a", b"1")
    at = there.sequence("kind")
    here.insert("kind", "b", b"1")
    now = time.monotonic()
    monkeypatch.setattr("flask_rampart.stores.epoch.time.monotonic", lambda: now + 5)
    assert there.sequence("kind") > at
    assert there.changes("kind", at).keys == ("b",)
    here.close()
    there.close()


def test_a_remembered_sequence_costs_no_round_trip(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    store: Any = place.open()
    store.insert("kind", "a", b"1")
    store.sequence("kind")

    def asked(kind: str) -> int:
        raise AssertionError("asked")

    monkeypatch.setattr(store._sequences, "_ask", asked)
    for _ in range(10):
        store.sequence("kind")
    store.close()


def test_without_a_folder_for_the_mark_the_server_is_asked_each_time(redis_server: Redis) -> None:
    one, other = (RedisStore(redis_server.url, prefix="nomark") for _ in range(2))
    for number in range(3):
        at = one.sequence("kind")
        assert other.insert("kind", str(number), b"")
        assert one.sequence("kind") > at
    one.close()
    other.close()


def test_the_mark_is_this_users_alone_and_its_name_has_no_secret(place: Place) -> None:
    store = place.open()
    store.insert("kind", "a", b"1")
    folder = Path(place.folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    (mark,) = folder.iterdir()
    assert mark.stat().st_mode & 0o777 == 0o600 and mark.name.startswith("rampart-")
    store.close()


# Away


def test_a_store_that_is_away_answers_503_and_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_redis() as server:
        server.stop()
        server.start("--requirepass", "hunter2")
        url = server.url.replace("//", "//:hunter2@")
        app, keys = app_at(Place("redis", url, str(tmp_path / "own"), "p"))
        key = keys.create("ci").key
        assert status(app, key) == 200
        server.stop()
        now = time.monotonic()
        monkeypatch.setattr("flask_rampart.stores.epoch.time.monotonic", lambda: now)
        assert status(app, key) == 200  # within the second for which nobody asks
        now += 2
        response = app.test_client().get("/", headers={"X-API-Key": key})
        assert (response.status_code, response.json["code"]) == (503, "store.unavailable")
        assert response.headers["Retry-After"] == "1"
        said = "\n".join(logging.Formatter().format(record) for record in caplog.records)
        assert "ConnectionError" in said and "127.0.0.1" in said
        for text in (said, response.text):
            assert "hunter2" not in text and key[20:40] not in text and "Traceback" not in text
        assert "127.0.0.1" not in response.text
        with pytest.raises(StoreError):
            keys.create("ci")
        # Back, and empty: a key that is not known is refused.
        server.start("--requirepass", "hunter2")
        now += 2
        assert status(app, key) == 401
        new = keys.create("ci").key
        assert status(app, new) == 200


def test_a_server_that_never_answers_is_not_waited_for(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(ConfigError, match=r"TimeoutError"):
            open_store(f"redis://127.0.0.1:{silent.getsockname()[1]}/0?timeout=0.05", tmp_path / "own")


def test_who_is_refused_by_a_store_that_is_away_is_refused_at_once(redis_server: Redis, tmp_path: Path) -> None:
    # A wait in each request would hold up those of other views as well.
    store: Any = open_store(redis_server.url, tmp_path / "own", prefix="away")
    tried: list[str] = []

    def away(kind: str) -> int:
        tried.append(kind)
        raise StoreError("away")

    store._sequences._ask = away
    for _ in range(5):
        with pytest.raises(StoreError):
            store.sequence("kind")
    assert len(tried) == 1
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis://ada:hunter2@127.0.0.1:1/0",
        "rediss://ada:hunter2@127.0.0.1:1/0",
        "redis://ada:hunter2@127.0.0.1/0?retry_on_timeout=yes",
        "redis://ada:hunter2@127.0.0.1/0?timeout=never",
        "redis://ada:hunter2@127.0.0.1:port/0",
        "postgresql+psycopg://ada:hunter2@127.0.0.1:1/x",
        "postgresql+nonsense://ada:hunter2@127.0.0.1:1/x",
        "postgresql+psycopg://ada:hunter2@127.0.0.1:port/x",
        "mysql+pymysql://ada:hunter2@127.0.0.1:1/x",
        "postgres://ada:hunter2@127.0.0.1/x",
        "sqlite+pysqlite:///:memory:",
        "sqlite+pysqlite:///x?mode=hunter2",
    ],
)
def test_an_address_that_cannot_be_used_stops_the_start_up_and_its_password_is_not_said(
    url: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(url, tmp_path / "own")
    assert "RAMPART_STORE" in str(caught.value) and "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("library", "name"), [("redis", "RedisStore"), ("sqlalchemy", "SqlAlchemyStore")])
def test_a_library_that_is_missing_is_named_with_what_installs_it(library: str, name: str) -> None:
    program = f"import sys; sys.modules[{library!r}] = None; from flask_rampart.stores import {name}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "ConfigError" in done.stderr and f"pip install 'flask-rampart[{library}]'" in done.stderr
    # Nobody else needs it.
    program = f"import sys; sys.modules[{library!r}] = None; import flask_rampart.stores, flask_rampart"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0


# Redis


def test_what_a_restart_or_failover_lost_is_never_taken_for_what_came_after(tmp_path: Path) -> None:
    with own_redis() as server:
        store = open_store(server.url, tmp_path / "own")
        for number in range(3):
            store.insert("kind", str(number), b"")
        kept = store.sequence("kind")
        client.Redis(port=server.port).save()
        for number in range(3, 6):
            store.insert("kind", str(number), b"")
        seen = store.sequence("kind")
        server.stop()
        server.start()  # from what was saved: the last changes are lost
        assert store._sequence("kind") == kept  # type: ignore[attr-defined]
        assert store.changes("kind", seen).keys is None
        # As many other changes as were lost, and more.
        for number in range(10, 16):
            store.insert("kind", str(number), b"")
            assert store.changes("kind", seen).keys is None
        assert set(store.changes("kind", kept).keys or ()) == {str(number) for number in range(10, 16)}
        store.close()


def test_a_change_that_a_client_sends_twice_is_made_once(redis_server: Redis, tmp_path: Path) -> None:
    # A client of the app's own may try again after a lost answer, as redis-py 6 does unless it is told not to.
    store: Any = open_store(redis_server.url, tmp_path / "own", prefix="twice")
    content = _content("g", None, b"1")
    keys = store._keys("kind")
    assert [store._run(_INSERT, keys, ("kind", "a", *content)) for _ in range(2)] == [1, 1]
    found = store.get("kind", "a")
    content = _content("g", None, b"2")
    assert [store._run(_REPLACE, keys, ("kind", "a", *content, found.version)) for _ in range(2)] == [1, 1]
    assert len(store.changes("kind", 0).keys) == 1 and store.sequence("kind") == store.get("kind", "a").version
    assert store._run(_REPLACE, keys, ("kind", "a", *_content("g", None, b"3"), found.version)) == 0
    store.close()


def test_a_server_that_would_evict_records_is_refused(tmp_path: Path) -> None:
    with own_redis() as server:
        for policy, refused in (("allkeys-lru", True), ("volatile-lru", False), ("noeviction", False)):
            client.Redis(port=server.port).config_set("maxmemory-policy", policy)
            if refused:
                with pytest.raises(ConfigError, match="noeviction"):
                    open_store(server.url, tmp_path / "own")
            else:
                open_store(server.url, tmp_path / "own").close()


def test_a_client_of_the_apps_own_and_a_socket_are_taken(redis_server: Redis, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="decode_responses"):
        RedisStore(client.Redis(port=redis_server.port, decode_responses=True))
    own = client.Redis(port=redis_server.port)
    store = RedisStore(own, folder=tmp_path / "own", prefix="client")
    assert store.insert("kind", "a", b"1")
    store.close()
    assert own.ping()  # not ours to close
    by_socket = open_store(redis_server.unix, tmp_path / "own", prefix="client")
    found = by_socket.get("kind", "a")
    assert found is not None and found.value == b"1"
    by_socket.close()
    own.close()


def test_apps_with_prefixes_of_their_own_share_nothing_and_all_keys_are_in_one_slot(
    redis_server: Redis, tmp_path: Path
) -> None:
    one, other = (open_store(redis_server.url, tmp_path / "own", prefix=name) for name in ("one", "other"))
    one.insert("kind", "a", b"1", group="g", expires=5.0)
    assert other.get("kind", "a") is None and other.scan("kind") == [] and other.sweep(100.0) == 0
    assert other.sequence("kind") == 0
    raw = client.Redis(port=redis_server.port)
    # Cluster: a script's keys are in one slot, that of what stands in braces.
    assert len(list(raw.scan_iter("{one}:*"))) == 6
    for wrong in ("", "a{b", "a\n"):
        with pytest.raises(ConfigError, match="RAMPART_STORE_PREFIX"):
            open_store(redis_server.url, tmp_path / "own", prefix=wrong)
    raw.close()
    one.close()
    other.close()


def test_a_sweep_leaves_nothing_behind(redis_server: Redis, tmp_path: Path) -> None:
    store = open_store(redis_server.url, tmp_path / "own", prefix="swept")
    for number in range(1100):
        store.note("kind", str(number), b"", expires=float(number))
    assert store.sweep(1050.0) == 1050
    raw = client.Redis(port=redis_server.port)
    for name in ("records", "names", "groups"):
        kind = raw.type(f"{{swept}}:{name}:kind")
        assert (raw.hlen if kind == b"hash" else raw.zcard)(f"{{swept}}:{name}:kind") == 50
    assert raw.zcard("{swept}:ends") == 50
    assert raw.zcard("{swept}:changes:kind") <= MOST_CHANGES + 1
    raw.close()
    store.close()


# Databases


def test_several_workers_make_the_tables_at_once(place_of: Callable[[str], Place]) -> None:
    for name in ("postgresql", "sqlalchemy"):
        place = place_of(name)
        children = []
        for number in range(6):
            child = os.fork()
            if child == 0:
                try:
                    os._exit(0 if place.open().insert("kind", str(number), b"") else 1)
                except BaseException:
                    os._exit(2)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6
        store = place.open()
        assert len(store.scan("kind")) == 6
        store.close()


def test_a_change_waits_for_who_changes_the_same_kind_and_not_without_end(
    place_of: Callable[[str], Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise a reader could see the later of two numbers first, and never look for the earlier one.
    monkeypatch.setattr(sqlalchemy, "BUSY_SECONDS", 0.1)
    place = place_of("postgresql")
    store, other = place.open(), place.open()
    assert isinstance(store, SqlAlchemyStore)
    store.insert("kind", "a", b"1")
    at = store.sequence("kind")
    with store._transaction() as connection:
        assert store._lock(connection, "kind")
        with pytest.raises(StoreError, match="QueryCanceled"):
            other.insert("kind", "b", b"1")
        assert other.get("kind", "a") is not None and other._sequence("kind") == at  # type: ignore[attr-defined]
        assert other.insert("another", "b", b"1")
    assert other.insert("kind", "b", b"1")
    assert store.changes("kind", at).keys == ("b",)
    store.close()
    other.close()


def test_an_engine_of_the_apps_own_is_taken_and_left_as_it_is(postgres_server: Postgres, tmp_path: Path) -> None:
    # Whatever its isolation is.
    for level in ("AUTOCOMMIT", "SERIALIZABLE"):
        engine = sa.create_engine(postgres_server.fresh(), isolation_level=level)
        with engine.connect() as connection:
            before = connection.get_isolation_level()
        store = SqlAlchemyStore(engine, folder=tmp_path / "own")
        assert store.insert("kind", "a", b"1") and not store.insert("kind", "a", b"1")
        found = store.get("kind", "a")
        assert found is not None and store.replace("kind", "a", b"2", found.version)
        assert store.delete("kind", "a") and len(store.changes("kind", 0).keys or ()) == 1
        with engine.connect() as connection:
            assert connection.get_isolation_level() == before
            assert connection.execute(sa.text("SHOW statement_timeout")).scalar() == "0"
        engine.dispose()
    engine = sa.create_engine(f"sqlite:///{tmp_path}/own/app.sqlite3")
    store = SqlAlchemyStore(engine)
    assert store.insert("kind", "a", b"1")
    engine.dispose()


def test_a_store_that_nobody_needs_any_more_closes_its_connections(place_of: Callable[[str], Place]) -> None:
    place = place_of("postgresql")
    store: Any = place.open()
    store.insert("kind", "a", b"1")
    engine = store._base
    assert engine.pool.checkedin() == 1
    del store
    gc.collect()
    assert engine.pool.checkedin() == 0


def test_tables_of_a_later_version_and_other_databases_are_left_alone(place_of: Callable[[str], Place]) -> None:
    place = place_of("postgresql")
    place.open().close()
    engine = sa.create_engine(place.url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE rampart_sequences SET sequence = 99 WHERE kind = 'rampart.schema'"))
    engine.dispose()
    with pytest.raises(ConfigError, match="schema 99"):
        place.open()
    with pytest.raises(ConfigError, match="address or an Engine"):
        SqlAlchemyStore(object())


def test_tables_that_were_emptied_under_a_worker_are_not_taken_for_unchanged(place_of: Callable[[str], Place]) -> None:
    place = place_of("postgresql")
    store = place.open()
    store.insert("kind", "a", b"1")
    seen = store.sequence("kind")
    engine = sa.create_engine(place.url)
    with engine.begin() as connection:
        connection.execute(sa.text("TRUNCATE rampart_records, rampart_sequences, rampart_changes"))
    engine.dispose()
    assert store.changes("kind", seen).keys is None
    with pytest.raises(StoreError, match="once more"):
        store.insert("kind", "b", b"1")
    assert store.insert("kind", "b", b"1")
    assert store.changes("kind", seen).keys is None
    store.close()


def test_an_error_of_the_database_says_no_statement_and_no_value(place_of: Callable[[str], Place]) -> None:
    place = place_of("postgresql")
    store = place.open()
    store.insert("kind", "hunter2", b"secret-value")
    engine = sa.create_engine(place.url)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE rampart_records"))
    engine.dispose()
    for attempt in (lambda: store.get("kind", "hunter2"), lambda: store.insert("kind", "hunter2", b"secret-value")):
        with pytest.raises(StoreError) as caught:
            attempt()
        assert "UndefinedTable" in str(caught.value)
        assert not any(word in str(caught.value) for word in ("hunter2", "secret", "SELECT", "INSERT"))
    store.close()


# In an app


def test_a_store_of_the_apps_own_making_is_taken(redis_server: Redis, tmp_path: Path) -> None:
    app = Flask(__name__)
    app.config.update(RAMPART_API_KEYS=True, RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
    store = RedisStore(client.Redis(port=redis_server.port), folder=tmp_path / "own", prefix="given")
    Rampart(app, store=store)
    app.get("/")(require("api_key")(lambda: "ok"))
    keys: ApiKeys = app.extensions[EXTENSION].services[ApiKeys]
    assert status(app, keys.create("ci").key) == 200
    assert len(store.scan("api_key")) == 1
    both = Flask(__name__)
    both.config["RAMPART_STORE"] = "memory://"
    with pytest.raises(ConfigError, match="not both"):
        Rampart(both, store=store)


@pytest.mark.parametrize("given", ["memory://", "a store"])
def test_records_in_memory_are_refused_in_production(given: str) -> None:
    def make(**config: Any) -> Flask:
        app = Flask(__name__)
        app.config.update(RAMPART_ACCESS_LOG="off", **config)
        store: Store | None = MemoryStore()
        if given == "memory://":
            app.config["RAMPART_STORE"], store = given, None
        Rampart(app, store=store)
        return app

    with pytest.raises(ConfigError, match="forgets what was revoked"):
        make().extensions[EXTENSION].seal()
    make(TESTING=True).extensions[EXTENSION].seal()
    make(DEBUG=True).extensions[EXTENSION].seal()


def test_what_is_missing_above_a_new_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        SqliteStore(tmp_path / "a" / "b" / "c" / "records.sqlite3").close()
    finally:
        os.umask(before)
    for folder in ("a", "a/b", "a/b/c"):
        assert (tmp_path / folder).stat().st_mode & 0o777 == 0o700
