"""What has a table of its own, and what is a forked child's own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock, limit
from flask_rampart._native import LimitSet, LimitStore, Quota

from .flooding import flood

App = Callable[..., Flask]


def test_a_flood_of_callers_keeps_nobody_from_beginning_nor_from_being_banned(make_app: App, tmp_path: Path) -> None:
    directory = tmp_path / "shared"
    app = make_app(
        TESTING=False,
        RAMPART_LIMIT_STORE=f"shm://{directory}",
        RAMPART_LIMIT_TABLE=65_536,
        RAMPART_LIMITS="2/day fixed",
        RAMPART_LIMITS_BAN="1 hour after 2",
    )

    @app.get("/")
    @limit("3 concurrent")
    def view() -> str:
        return "ok"

    client = app.test_client()

    def look(address: str, path: str = "/") -> Any:
        return client.get(path, environ_base={"REMOTE_ADDR": address})

    assert look("192.0.2.1").status_code == 200
    names = {path.name.rpartition("-")[0] for path in directory.iterdir() if "." not in path.name}
    assert names - {"monitor5"} == {"limits", "places", "bans"}
    assert 404 in set(flood(app, (f"2001:db8:{nth:x}::1" for nth in range(6000)), "/nowhere"))
    refused = [look("192.0.2.1") for _ in range(4)]
    assert [answer.status_code for answer in refused] == [200, 429, 429, 429]
    assert refused[-1].json["code"] == "limit.banned"


def test_places_may_be_in_a_store_of_their_own(clock: Clock) -> None:
    store, places = LimitStore.local(clock, keys=1), LimitStore.local(clock)
    flood = LimitSet(store, [("s", Quota.parse("1/day"), "text")])
    assert flood.check(("a",)).admitted
    quotas = [("s", Quota.parse("2 concurrent"), "text")]
    assert LimitSet(store, quotas).reserve(("a",))[1] is None
    apart = LimitSet(store, quotas, places=places)
    held = [apart.reserve(("a",))[1] for _ in range(3)]
    assert [one is not None for one in held] == [True, True, False]
    assert (store.used(), places.used()) == (1, 2)


@pytest.mark.parametrize("place", ["memory", "shared"])
def test_a_forked_child_neither_settles_nor_keeps_what_is_its_parent_s(tmp_path: Path, place: str) -> None:
    program = """
        import os, sys
        from flask_rampart._native import Clock, LimitSet, LimitStore, Quota
        clock = Clock.system()
        store = LimitStore.local(clock) if sys.argv[2] == "memory" else LimitStore.shared(sys.argv[1], "t", clock)
        cells = LimitSet(store, [("s", Quota.parse("100/hour"), "text")])
        places = LimitSet(store, [("s", Quota.parse("1 concurrent"), "text")])
        charged, held = cells.reserve(("a",), 50)[1], places.reserve(("a",))[1]
        if os.fork() == 0:
            store.forget_parent()
            charged.settle(0)
            began = places.reserve(("a",))[1] is not None
            print(cells.peek(("a",)).remaining, began, flush=True)
            os._exit(0)
        os.wait()
        charged.settle(10)
        print(cells.peek(("a",)).remaining)
    """
    words = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "shared"), place]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    # In memory the child counts for itself, and has nothing under way; a shared table knows that the parent has.
    assert done.stdout.split("\n")[:2] == [f"50 {place == 'memory'}", "90"]
