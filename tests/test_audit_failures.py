"""Audit: what becomes of what cannot be recorded; floods, threads and forks."""

from __future__ import annotations

import errno
import fcntl
import importlib
import logging
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask

from flask_rampart import AuditUnavailable, audit, limit, public, require
from flask_rampart import signals as told
from flask_rampart._native import AuditLog
from flask_rampart.audit import Audit, Decisions
from flask_rampart.errors import Denied

from .auditing import App, is_sound, log_of, make, records

__all__ = ["make"]


class Full:
    """A log whose disk is full."""

    writer = "0" * 32

    def append(self, *_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        return None


def fill(app: Flask) -> None:
    log_of(app)._ready = Full()  # type: ignore[assignment]


# What cannot be recorded --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice, status, ran", [("refuse", 503, 0), ("continue", 200, 1)])
def test_a_view_runs_unrecorded_only_if_the_app_says_so(
    make: App, caplog: pytest.LogCaptureFixture, choice: str, status: int, ran: int
) -> None:
    app = make(RAMPART_AUDIT_ON_FAILURE=choice)
    calls: list[int] = []
    app.get("/look")(public(audit("look")(lambda: calls.append(1) or "x")))  # type: ignore[func-returns-value]
    app.get("/plain")(public(lambda: "x"))
    client = app.test_client()
    assert client.get("/look").status_code == 200
    calls.clear()
    fill(app)
    with caplog.at_level(logging.ERROR, "flask_rampart"):
        answers = [client.get("/look") for _ in range(3)]
    assert [one.status_code for one in answers] == [status] * 3
    assert len(calls) == ran * 3
    assert client.get("/plain").status_code == 200  # what asks for no record goes on
    if choice == "refuse":
        assert answers[0].get_json()["code"] == "audit.unavailable"
        assert answers[0].headers["Retry-After"] == "1"
    said = [text for text in map(logging.LogRecord.getMessage, caplog.records) if "audit log cannot be" in text]
    assert len(said) == 1  # at most once a minute
    assert log_of(app).failures >= 3


def test_a_refusal_stays_that_refusal_where_it_cannot_be_recorded(make: App) -> None:
    app = make()
    app.get("/me")(require("jwt")(lambda: "x"))
    app.test_client().get("/me")
    fill(app)
    answer = app.test_client().get("/me")
    assert (answer.status_code, answer.get_json()["code"]) == (401, "auth.missing")


def test_an_event_that_cannot_be_recorded_refuses_or_goes_on(make: App) -> None:
    app = make()
    app.get("/send")(public(lambda: log_of(app).event("sent") or "x"))  # type: ignore[func-returns-value]
    app.test_client().get("/send")
    fill(app)
    assert app.test_client().get("/send").get_json()["code"] == "audit.unavailable"
    with pytest.raises(AuditUnavailable, match="sent"):
        log_of(app).event("sent")
    log_of(app).refuses = False
    log_of(app).event("sent")
    assert app.test_client().get("/send").status_code == 200


@pytest.mark.parametrize("choice, status", [("refuse", 503), ("continue", 200)])
def test_a_full_disk_refuses_or_not_and_what_waited_is_written_when_there_is_room(
    make: App, tmp_path: Path, choice: str, status: int
) -> None:
    # A real one: a limit of the process on the size of files, which gives EFBIG as a full disk gives ENOSPC.
    app = make(RAMPART_AUDIT_SYNC=3600, RAMPART_AUDIT_CHECKPOINT=3600, RAMPART_AUDIT_ON_FAILURE=choice)
    app.get("/look")(public(audit("look")(lambda: "x")))
    client = app.test_client()
    assert client.get("/look").status_code == 200
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    (path,) = log_of(app).directory.glob("*-*.jsonl")
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, before[1]))
        refused = client.get("/look")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert refused.status_code == status
    assert client.get("/look").status_code == 200
    assert log_of(app).failures >= 1
    # The decision that was not carried out stands beside the refusal of the same request, and nothing is broken.
    of_request = [one for one in records(app) if one.get("request_id") == refused.headers["X-Request-Id"]]
    if choice == "refuse":
        assert [one.get("decision") for one in of_request] == ["allowed", "refused"]
        assert of_request[1]["code"] == "audit.unavailable"
    else:
        assert [one.get("decision") or one["outcome"] for one in of_request] == ["allowed", "complete"]
    assert is_sound(app)


def test_a_log_that_cannot_be_opened_is_not_tried_at_every_request(make: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make()
    trials: list[int] = []

    def fail(self: Audit) -> AuditLog:
        trials.append(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Audit, "_opened", fail)
    app.get("/look")(public(audit("look")(lambda: "x")))
    assert [app.test_client().get("/look").status_code for _ in range(5)] == [503] * 5
    assert len(trials) == 1


# Floods, threads, forks ---------------------------------------------------------------------------------------------


def test_whom_a_limit_refuses_does_not_fill_the_disk_by_going_on(make: App) -> None:
    app = make()
    seconds = [100.0]
    decisions = Decisions(log_of(app), monotonic=lambda: seconds[0])
    app.extensions["rampart"].record_refusal = decisions.refused
    app.get("/me")(public(limit("1/hour", by="global")(lambda: "x")))
    app.get("/you")(require("jwt")(lambda: "x"))
    client = app.test_client()
    client.get("/me", environ_base={"REMOTE_ADDR": "192.0.2.1"})
    for _ in range(50):
        client.get("/me")
        client.get("/you")  # a guess at a credential is never left out
    client.get("/me", environ_base={"REMOTE_ADDR": "192.0.2.9"})
    seconds[0] += 1
    client.get("/me")
    limited = [one for one in records(app) if one["code"] == "limit.exceeded"]
    assert len(records(app)) - len(limited) == 50
    told = [(one["address"], one.get("unrecorded")) for one in limited]
    assert told == [("127.0.0.1", None), ("127.0.0.1", None), ("192.0.2.9", None), ("127.0.0.1", 48)]
    for _ in range(10):
        client.get("/me")
    log_of(app).at_close = decisions.tell_rest
    log_of(app).close()
    assert records(app)[-1]["unrecorded"] == 9  # nothing follows in which it could be said


def test_a_flood_from_many_addresses_is_bounded_in_memory(make: App) -> None:
    app = make()
    decisions = Decisions(log_of(app), monotonic=lambda: 7.0)
    for i in range(10_000):
        decisions._unrecorded("auth.missing", f"10.0.{i >> 8}.{i & 255}")
    assert len(decisions._met) <= 4096


# Who has one network of IPv6 has 2^64 addresses: as many records as they liked, two for each.
def test_a_flood_from_one_network_or_from_many_is_bounded_on_the_disk(make: App) -> None:
    seconds = [7.0]
    decisions = Decisions(log_of(make()), monotonic=lambda: seconds[0])
    written = [decisions._unrecorded("limit.exceeded", f"2001:db8::{i:x}") for i in range(1000)]
    assert written == [0, 0] + [None] * 998
    assert decisions._unrecorded("limit.exceeded", "2001:db8:1::") == 0, "another network"
    seconds[0] += 1
    written = [decisions._unrecorded("limit.exceeded", f"2001:db8:{i:x}::1") for i in range(2, 1002)]
    assert written == [0] * 50 + [None] * 950
    seconds[0] += 1
    assert decisions._unrecorded("limit.exceeded", "2001:db8::7") == 998 + 950


def test_a_cost_that_is_refused_over_and_over_is_counted_as_a_limit_is(make: App) -> None:
    app = make()
    decisions = Decisions(log_of(app), monotonic=lambda: 7.0)
    app.get("/")(public(lambda: ""))
    with app.test_request_context("/"):
        app.preprocess_request()
        exchange = log_of(app).here()
        assert exchange is not None
        for _ in range(10):
            decisions.refused(exchange, Denied.of("limit.too_costly"))
    assert [one["code"] for one in records(app)] == ["limit.too_costly"] * 2


# RLIMIT_NPROC, or the pids of a cgroup: it was neither signed nor synced, and nobody was told.
def test_a_log_that_can_have_no_thread_says_so_and_is_tended_with_its_records(
    make: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Threadless:
        def __init__(self, *args: Any, **named: Any) -> None:
            self.log, self.tended = AuditLog(*args, **named), 0

        def start(self) -> bool:
            return False

        def tend(self) -> None:
            self.tended += 1
            self.log.tend()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.log, name)

    module = importlib.import_module("flask_rampart.audit.log")
    monkeypatch.setattr(module, "AuditLog", Threadless)
    log = log_of(make())
    now = [1000.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    for _ in range(3):
        log.event("x")
    assert "The audit log can have no thread of its own" in caplog.text
    assert log._ready.tended == 1  # type: ignore[union-attr]
    now[0] += 1
    log.event("x")
    assert log._ready.tended == 2  # type: ignore[union-attr]
    assert log.failures == 0


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_a_forked_child_that_records_nothing_does_not_keep_its_parent_alive(make: App) -> None:
    app = make()
    log = log_of(app)
    log.event("x")
    writer = log.writer
    (path,) = log.directory.glob(f"{writer}-*.jsonl")
    ended, go = os.pipe()
    child = os.fork()
    if not child:
        os.close(go)
        held = [name for name in os.listdir("/proc/self/fd") if (writer or "-") in os.path.basename(_place(name))]
        os.read(ended, 1)  # until the parent has looked
        os._exit(len(held))
    os.close(ended)
    try:
        # While the parent lives, its file is held.
        with path.open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        log.event("y")
        log.close()
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    finally:
        os.close(go)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert is_sound(app)


def _place(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        return ""


def test_threads_record_all_that_they_answer(make: App) -> None:
    app = make()
    app.get("/<int:i>")(public(audit("look", resource="n:{i}")(lambda i: str(i))))
    app.test_client().get("/999")

    def ask(first: int) -> None:
        client = app.test_client()
        for i in range(first, first + 25):
            assert client.get(f"/{i}").status_code == 200

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(0, 100, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = records(app)
    assert {one["resource"] for one in found if "resource" in one} >= {f"n:{i}" for i in range(100)}
    ends = [one["request_id"] for one in found if one.get("outcome") == "complete"]
    assert sorted(ends) == sorted(one["request_id"] for one in found if one.get("decision") == "allowed")
    assert is_sound(app)


def test_a_forked_process_has_a_writer_of_its_own(make: App) -> None:
    app = make()
    log = log_of(app)
    log.event("before")
    parent = log.writer
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            log.event("after", where="child")
            os.write(write, (log.writer or "").encode())
            log.close()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    log.event("after", where="parent")
    assert os.read(read, 64).decode() not in ("", parent)
    os.close(read)
    os.close(write)
    assert log.writer == parent
    assert sorted(one["fields"]["where"] for one in records(app) if one["event"] == "after") == ["child", "parent"]
    assert is_sound(app)


def test_a_forked_process_that_records_nothing_leaves_no_file(make: App) -> None:
    app = make()
    log_of(app).event("before")
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert len(list(log_of(app).directory.glob("*-*.jsonl"))) == 1


def test_nothing_is_opened_before_the_first_record(make: App) -> None:
    app = make()
    app.get("/look")(public(lambda: "x"))
    app.test_client().get("/look")
    assert list(log_of(app).directory.iterdir()) == []


def test_receivers_of_signals_cannot_keep_a_refusal_from_being_recorded(make: App) -> None:
    app = make()
    app.get("/me")(require("jwt")(lambda: "x"))

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a receiver that fails")

    with told.request_refused.connected_to(fail, sender=app):
        app.test_client().get("/me")
    assert [one["code"] for one in records(app)] == ["auth.missing"]
