"""Redis: what a user may not call is told at the start, and what fails half way loses nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis as client

from flask_rampart import ConfigError, StoreError
from flask_rampart.stores import open_store
from flask_rampart.stores.redis import _DELETE

from .servers import Redis, own_redis

DOCUMENTED = ["hget", "get", "eval", "zrangebyscore", "info", "hset", "hdel", "zadd", "zrem", "zrangebylex"]
DOCUMENTED += ["zremrangebyrank", "zcard", "set", "time"]


def test_a_user_that_lacks_a_command_is_told_which_at_the_start(tmp_path: Path) -> None:
    with own_redis() as server:
        raw = client.Redis(port=server.port)
        url = server.url.replace("//", "//ada:pw@")
        allowed = [f"+{name}" for name in DOCUMENTED]
        for lacking in DOCUMENTED:
            raw.acl_setuser("ada", enabled=True, reset=True, passwords=["+pw"], keys=["{rampart}*"], commands=allowed)
            raw.execute_command("ACL", "SETUSER", "ada", f"-{lacking}")
            with pytest.raises(ConfigError, match="RAMPART_STORE") as caught:
                open_store(url, tmp_path / "own")
            assert lacking in str(caught.value).lower() and "pw" not in str(caught.value)
        raw.acl_setuser("ada", enabled=True, reset=True, passwords=["+pw"], keys=["{rampart}*"], commands=allowed)
        store = open_store(url, tmp_path / "own")
        assert store.insert("kind", "a", b"1", group="g", expires=5.0) and len(store.scan("kind", group="g")) == 1
        assert store.note("kind", "b", b"") and store.sweep(100.0) == 1 and store.delete("kind", "b")
        store.close()
        assert not [key for key in raw.scan_iter() if key.endswith((b"h", b"z"))]
        raw.close()


@pytest.mark.parametrize("lacking", ["zrem", "zremrangebyrank"])
def test_a_change_that_fails_half_way_loses_no_record_and_is_seen(lacking: str, tmp_path: Path) -> None:
    with own_redis() as server:
        store = open_store(server.url, tmp_path / "own")
        for key in "abc":
            store.insert("kind", key, b"1", group="old", expires=5.0)
        before = store.sequence("kind")
        raw = client.Redis(port=server.port)
        raw.execute_command("ACL", "SETUSER", "default", f"-{lacking}")
        found = store.get("kind", "a")
        assert found is not None
        with pytest.raises(StoreError):
            store.replace("kind", "a", b"2", found.version, group="new")
        with pytest.raises(StoreError):
            store.delete("kind", "b")
        again = store.get("kind", "a")
        assert again is not None and (again.value, again.group) == (b"2", "new")
        assert store.get("kind", "b") is None
        assert set(store.changes("kind", before).keys or ()) == {"a", "b"}
        # What is left in an index names no record that is gone, or of another group.
        assert [record.key for record in store.scan("kind")] == ["a", "c"]
        assert [record.key for record in store.scan("kind", group="old")] == ["c"]
        assert [record.key for record in store.scan("kind", group="new", limit=1)] == ["a"]
        assert [record.key for record in store.scan("kind", group="old", limit=1)] == ["c"]
        store.close()
        raw.close()


def test_a_deletion_that_a_client_sends_twice_is_made_once_and_says_so(redis_server: Redis, tmp_path: Path) -> None:
    store: Any = open_store(redis_server.url, tmp_path / "own", prefix="deleted")
    store.insert("kind", "a", b"1")
    keys = [*store._keys("kind"), store._tried()]
    assert [store._run(_DELETE, keys, ("kind", "a", "")) for _ in range(2)] == [1, 1]
    at = store.sequence("kind")
    assert store._run(_DELETE, [*keys[:6], store._tried()], ("kind", "a", "")) == 0
    # Nor does it take away what was written after it.
    store.insert("kind", "a", b"2")
    assert store._run(_DELETE, keys, ("kind", "a", "")) == 1
    assert store.get("kind", "a").value == b"2" and len(store.changes("kind", at).keys) == 1
    store.close()
