"""The audit log behind real servers: several workers, each killed at any moment, and every answered request is in it."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flask_rampart._native import audit_verify
from flask_rampart.audit.keyfile import read_key
from flask_rampart.audit.reading import Log

from .serving import Served, serving

pytestmark = pytest.mark.servers

VIEWS = """
    from flask_rampart import audit, public, require
    rampart = Rampart(app)

    @app.get("/look/<name>")
    @public
    @audit("look", resource="thing:{name}")
    def look(name):
        return str(os.getpid())

    @app.get("/stream/<name>")
    @public
    @audit("stream", resource="thing:{name}")
    def stream(name):
        return Response(str(i) for i in range(5))

    @app.get("/mine")
    @require("jwt")
    def mine():
        return "mine"
"""
KINDS = {
    "sync": ("--workers", "8"),
    "gthread": ("--workers", "8", "-k", "gthread", "--threads", "4"),
    "preload": ("--workers", "8", "--preload"),
}


@pytest.fixture(params=sorted(KINDS))
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    folder = tmp_path / "log"
    settings: Any = {
        "RAMPART_AUDIT_LOG": str(folder),
        "RAMPART_AUDIT_SYNC": 0.05,
        "RAMPART_AUDIT_CHECKPOINT": 0.1,
        "RAMPART_AUDIT_MAX_FILE": 64 * 1024,
        "RAMPART_JWT_KEYS": [{"kid": "test", "alg": "HS256", "secret": "0123456789abcdef" * 2}],
        "RAMPART_STORE": f"sqlite:///{tmp_path}/records.sqlite3",
    }
    with serving(tmp_path, VIEWS, *KINDS[request.param], settings=settings) as one:
        yield one


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_every_answered_request_is_in_the_log_whichever_worker_is_killed(served: Served, tmp_path: Path) -> None:
    answered: list[tuple[str, str]] = []
    writing: set[int] = set()
    over = threading.Event()

    def ask(caller: int) -> None:
        i = 0
        while not over.is_set():
            i += 1
            path = f"/{('look', 'stream')[i % 2]}/{caller}-{i}" if i % 5 else "/mine"
            status, fields, text = served.get(path)
            if status == 200 and path.startswith("/look"):
                writing.add(int(text))
            if status in (200, 401):
                answered.append((fields["X-Request-Id"], path))

    callers = [threading.Thread(target=ask, args=(caller,)) for caller in range(4)]
    for caller in callers:
        caller.start()
    dice = random.Random(8)
    killed = 0
    end = time.monotonic() + 60
    while (killed < 8 or len(answered) < 200) and time.monotonic() < end:
        # By what was answered, and not by time: a slow machine kills as often between two answers.
        goal = len(answered) + dice.randint(5, 40)
        served.wait(lambda goal=goal: len(answered) >= goal)
        # Those that write: a worker that has not begun would be killed for nothing.
        alive = sorted(writing & set(children(served.process.pid)))
        if alive:
            os.kill(dice.choice(alive), signal.SIGKILL)
            killed += 1
    over.set()
    for caller in callers:
        caller.join()
    served.process.terminate()
    served.process.wait(20)
    (key,) = tmp_path.rglob("audit.key")  # made by whichever worker was first
    told = audit_verify(str(tmp_path / "log"), read_key(key))
    assert told["faults"] == []
    assert killed >= 5 and len(answered) >= 100
    recorded = {one["request_id"] for one in Log(tmp_path / "log").records() if "decision" in one}
    missing = [one for one in answered if one[0] not in recorded]
    assert missing == [], f"{len(missing)} of {len(answered)}"
    states = {one["state"] for one in told["writers"]}
    assert states <= {"closed", "lost", "left"}
    print(json.dumps({"answered": len(answered), "killed": killed, "writers": len(told["writers"])}))


@pytest.mark.parametrize("served", ["gthread"], indirect=True)
def test_no_call_is_without_its_end_unless_it_was_broken_off(served: Served, tmp_path: Path) -> None:
    answers = served.at_once(40, lambda: served.get("/stream/x")[0])
    assert answers == [200] * 40
    served.process.terminate()
    served.process.wait(20)
    found = [one for one in Log(tmp_path / "log").records() if one["event"] == "stream"]
    allowed = sorted(one["request_id"] for one in found if one.get("decision") == "allowed")
    ended = sorted(one["request_id"] for one in found if one.get("outcome") == "complete")
    assert len(allowed) == 40 and allowed == ended
