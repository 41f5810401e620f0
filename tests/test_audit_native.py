"""The audit log's native part: what a record says, forks and kills, and what verification tells."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flask_rampart._native import (
    AuditLog,
    Clock,
    Redactor,
    audit_check,
    audit_generate_key,
    audit_prove,
    audit_public_key,
    audit_verify,
)

KEY = audit_generate_key("api.example.com/audit")


def opened(folder: Path, *, key: str = KEY, **options: Any) -> AuditLog:
    given = {"host": "host-1", "max_file": 1 << 20, "sync": 1.0, "checkpoint": 10.0, **options}
    return AuditLog(str(folder), key, Redactor(), Clock.manual(1_795_460_400.0), **given)


def records(folder: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted(folder.glob("*-*.jsonl")):
        found += [json.loads(line) for line in path.read_text().splitlines()]
    return found


def faults(folder: Path, key: str = KEY) -> list[Any]:
    return list(audit_verify(str(folder), key)["faults"])


def test_a_record_holds_what_it_was_told_without_its_secrets(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.append(
        "authz_fail",
        {
            "target": "/predict?token=hunter2hunter2",
            "who": "ann@example.org",
            "password": "correct horse",
            "nested": {"api_key": ["a", "b"], "size": 7, "rate": 0.25, "flag": True, "none": None},
            "list": ["plain", "bob@example.org"],
        },
        {"request_id": "4111111111111111", "code": "auth.role"},
    )
    record = records(tmp_path)[-1]
    del record["link"]
    assert record == {
        "seq": 2,
        "time": "2026-11-23T19:00:00.000000Z",
        "event": "authz_fail",
        "request_id": "4111111111111111",
        "code": "auth.role",
        "target": "/predict?token=[REDACTED:TOKEN]",
        "who": "[REDACTED:EMAIL_ADDRESS]",
        "password": "[REDACTED]",
        "nested": {"api_key": "[REDACTED]", "size": 7, "rate": 0.25, "flag": True, "none": None},
        "list": ["plain", "[REDACTED:EMAIL_ADDRESS]"],
    }


@pytest.mark.parametrize("name", ["seq", "time", "event", "link"])
def test_a_field_cannot_stand_in_the_place_of_what_the_log_itself_says(tmp_path: Path, name: str) -> None:
    log = opened(tmp_path)
    with pytest.raises(ValueError, match=name):
        log.append("x", {name: "2020"})
    log.append("x", {"nested": {name: "2020"}})  # below, it is nobody else's


def test_what_a_record_cannot_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    log = opened(tmp_path)
    for wrong, error in [
        ({"a": object()}, TypeError),
        ({"a": b"bytes"}, TypeError),
        ({1: "a"}, TypeError),
        ({"a": [[[[["deep"]]]]]}, ValueError),
        ({"a": list(range(300))}, ValueError),
    ]:
        with pytest.raises(error):
            log.append("x", wrong)  # type: ignore[arg-type]
    assert log.append("x", {"big": 10**30, "nan": float("nan"), "lone": "\ud800", "line": "a\nb\u2028c"}) == 2
    record = records(tmp_path)[-1]
    assert (record["big"], record["nan"], record["lone"]) == ("beyond 64 bits", None, "\ufffd\ufffd\ufffd")
    assert record["line"] == "a\nb\u2028c"
    assert faults(tmp_path) == []


def test_a_key_is_needed_and_its_wrong_text_is_never_quoted(tmp_path: Path) -> None:
    for wrong in ["", "secret", KEY.replace("api", "apj"), audit_public_key(KEY)]:
        with pytest.raises(ValueError, match="audit key") as told:
            opened(tmp_path, key=wrong)
        assert "example.com" not in str(told.value)
    with pytest.raises(ValueError, match="bytes"):
        opened(tmp_path, max_file=0)
    for wrong in [{"sync": 0.0}, {"checkpoint": float("nan")}, {"keep": -1.0}]:
        with pytest.raises(ValueError, match="seconds"):
            opened(tmp_path, **wrong)


def test_both_keys_verify_and_another_key_does_not(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.append("sys_startup", {})
    log.close()
    for key in (KEY, audit_public_key(KEY)):
        report = audit_verify(str(tmp_path), key)
        assert report["faults"] == []
        (writer,) = report["writers"]
        assert (writer["state"], writer["records"], writer["checkpoints"]) == ("closed", 5, 1)
    assert faults(tmp_path, audit_generate_key("api.example.com/audit"))
    with pytest.raises(OSError):
        audit_verify(str(tmp_path / "empty"), KEY)


def test_a_change_is_told_with_file_line_and_code(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.append("authz_fail", {"who": "ann"})
    log.append("authz_fail", {"who": "bob"})
    log.close()
    (path,) = tmp_path.glob("*-*.jsonl")
    text = path.read_text()
    path.write_text(text.replace('"ann"', '"eve"'))
    assert faults(tmp_path)[0] == (path.name, 3, "changed", None, None)
    lines = text.splitlines(keepends=True)
    path.write_text("".join(lines[:2] + lines[3:]))
    assert faults(tmp_path)[0] == (path.name, 3, "missing", 2, 2)
    path.write_text(text)
    assert faults(tmp_path) == []


def test_a_proof_shows_one_record_to_who_has_the_public_key_alone(tmp_path: Path) -> None:
    log, public = opened(tmp_path), audit_public_key(KEY)
    seq = log.append("authz_fail", {"who": "ann"})
    assert audit_prove(str(tmp_path), log.writer, seq, public) is None  # not signed yet
    log.checkpoint()
    proof = audit_prove(str(tmp_path), log.writer, seq, public)
    assert proof is not None
    shown = audit_check(proof, public)
    assert shown is not None
    record, origin, size = shown
    assert json.loads(record)["who"] == "ann"
    name = audit_verify(str(tmp_path), KEY)["log"]
    assert (origin, size) == (f"api.example.com/audit/{name}/{log.writer}", 3)
    assert audit_check(proof.replace("ann", "eve"), public) is None
    assert audit_check("{", public) is None


def test_what_was_kept_is_proved_when_the_first_files_were_removed_after_their_time(tmp_path: Path) -> None:
    clock, public = Clock.manual(1_800_000_000.0), audit_public_key(KEY)
    given = {"host": "h", "max_file": 4096, "sync": 1.0, "checkpoint": 60.0, "keep": 86_400.0}
    log = AuditLog(str(tmp_path), KEY, Redactor(), clock, **given)

    def write() -> None:
        for i in range(40):
            log.append("look", {"n": i, "more": "x" * 200})
            log.tend()
        log.checkpoint()

    write()
    clock.advance(3 * 86_400)
    write()
    kept = [record for record in records(tmp_path) if record["event"] == "look"]
    assert 0 < len(kept) < 80 and not (tmp_path / f"{log.writer}-000001.jsonl").exists()
    for record in (kept[0], kept[len(kept) // 2], kept[-1]):
        proof = audit_prove(str(tmp_path), log.writer, record["seq"], public)
        assert proof is not None
        shown = audit_check(proof, public)
        assert shown is not None and json.loads(shown[0])["n"] == record["n"]
    assert audit_prove(str(tmp_path), log.writer, 2, public) is None
    assert faults(tmp_path) == []


def test_the_thread_of_a_log_tells_once_that_somebody_changed_it(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    is_told = threading.Event()

    def noticed(file: str) -> None:
        told.append((file, threading.get_ident()))
        is_told.set()

    clock = Clock.manual(1_795_460_400.0)
    given: dict[str, Any] = {"host": "h", "max_file": 1 << 20, "sync": 0.001, "checkpoint": 10.0}
    log = AuditLog(str(tmp_path), KEY, Redactor(), clock, noticed=noticed, **given)
    log.checkpoint()
    assert told == []
    book = tmp_path / "heads.jsonl"
    book.write_bytes(b"".join(book.read_bytes().splitlines(keepends=True)[:1]))
    log.append("x", {})
    assert log.start()
    clock.advance(20)  # the next checkpoint is due
    assert is_told.wait(60)
    log.checkpoint()
    log.close()
    assert [file for file, _ in told] == ["heads.jsonl"] and told[0][1] != threading.get_ident()


def test_the_thread_of_a_log_tells_what_it_cannot_do_and_does_it_when_it_can(tmp_path: Path) -> None:
    told: list[tuple[OSError, int]] = []
    is_told = threading.Event()

    def failed(error: OSError) -> None:
        told.append((error, threading.get_ident()))
        is_told.set()

    clock = Clock.manual(1_795_460_400.0)
    given: dict[str, Any] = {"host": "h", "max_file": 1 << 20, "sync": 0.001, "checkpoint": 10.0}
    log = AuditLog(str(tmp_path), KEY, Redactor(), clock, failed=failed, **given)
    log.append("x", {})
    with (tmp_path / "heads.jsonl").open("rb") as book:
        fcntl.flock(book, fcntl.LOCK_EX)
        assert log.start()
        clock.advance(20)  # the next checkpoint is due, which is entered in the book
        assert is_told.wait(60)
    error, thread = told[0]
    assert isinstance(error, OSError) and thread != threading.get_ident()
    log.checkpoint()
    log.close()


# NVIDIA/NemoClaw#916, vstorm-co/agenticos#1622, sipyourdrink-ltd/bernstein#2791, HKUDS/DeepCode#232 and msaad00/agent-bom#4185:
# one chain that several workers append to forks.
def test_many_processes_write_one_log_and_nothing_forks(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.append("parent", {})
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            try:
                log.renew()
                for i in range(20):
                    log.append("child", {"i": i})
                log.close()
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    for i in range(20):
        log.append("parent", {"i": i})
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    log.close()
    report = audit_verify(str(tmp_path), KEY)
    assert report["faults"] == []
    assert len(report["writers"]) == 4
    assert sum(record["event"] == "child" for record in records(tmp_path)) == 60


def in_child(does: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            does()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_child_that_has_not_renewed_the_log_cannot_fork_its_chain(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.append("parent", {})

    def child() -> None:
        for attempt in (lambda: log.append("child", {}), log.tend, log.checkpoint, log.close):
            with pytest.raises(PermissionError, match="renew"):
                attempt()

    assert in_child(child) == 0
    log.append("parent", {})
    assert faults(tmp_path) == []
    assert not any(record["event"] == "child" for record in records(tmp_path))


def test_a_parent_that_was_killed_is_found_dead_though_its_child_lives_on(tmp_path: Path) -> None:
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:
        log = opened(tmp_path, sync=0.01)
        log.start()
        log.append("parent", {})
        child = os.fork()
        if child == 0:
            log.renew()
            log.append("child", {})
            os.write(write, f"{os.getpid()}\n".encode())
            signal.pause()
        signal.pause()
    child = int(os.read(read, 64))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    try:
        states = {told["writer"]: told["state"] for told in audit_verify(str(tmp_path), KEY)["writers"]}
        assert sorted(states.values()) == ["left", "running"]
        opened(tmp_path).close()
        report = audit_verify(str(tmp_path), KEY)
        assert sorted(told["state"] for told in report["writers"]) == ["closed", "lost", "running"]
        assert report["faults"] == []
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(read)
        os.close(write)


def test_what_a_peer_chose_never_keeps_a_record_from_being_written(tmp_path: Path) -> None:
    log = opened(tmp_path)
    # Each of these characters takes twelve bytes of a record, as an escaped pair.
    long = "\U000e0001" * 5000
    log.append("x", {"first": "kept", "many": [long] * 200, "last": long}, {"code": "kept"})
    log.append("x", {"nested": {"\ud800": "a", "b": {"\udfff": 1}}})
    cut, lone = records(tmp_path)[-2:]
    assert (cut["first"], cut["code"], cut["many"][0][:1], cut["many"][-1]) == ("kept", "kept", "\U000e0001", "…")
    assert cut["audit_cut"] > 100 and "last" not in cut
    assert len(lone["nested"]) == 2
    with pytest.raises(ValueError, match="audit_cut"):
        log.append("x", {"audit_cut": 1})
    with pytest.raises(ValueError, match="own"):
        log.append("audit_checkpoint", {})
    assert faults(tmp_path) == []


def test_what_nobody_signed_is_counted(tmp_path: Path) -> None:
    log = opened(tmp_path)
    for _ in range(3):
        log.append("x", {})
    report = audit_verify(str(tmp_path), audit_public_key(KEY))
    assert (report["unsigned"], report["heads"], report["heads_signed"], report["more"]) == (5, 1, 0, 0)
    log.checkpoint()
    report = audit_verify(str(tmp_path), audit_public_key(KEY))
    assert (report["unsigned"], report["heads"], report["heads_signed"]) == (1, 2, 1)
    assert (report["writers"][0]["signed"], report["writers"][0]["unsigned"]) == (5, 1)


def test_threads_write_one_chain(tmp_path: Path) -> None:
    log = opened(tmp_path, max_file=4000)
    assert log.start()
    threads = [
        threading.Thread(target=lambda: [log.append("t", {"i": i}, now=i % 2 == 0) for i in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    log.tend()
    for thread in threads:
        thread.join()
    log.close()
    assert faults(tmp_path) == []
    assert sum(record["event"] == "t" for record in records(tmp_path)) == 200


CHILD = """
import sys
from flask_rampart._native import AuditLog, Clock, Redactor
log = AuditLog(sys.argv[1], sys.stdin.readline(), Redactor(), Clock.system(),
               host="h", max_file=20_000, sync=0.002, checkpoint=0.004)
log.start()
i = 0
while True:
    log.append("answered", {"i": i})
    sys.stdout.write(f"{i}\\n")
    sys.stdout.flush()
    i += 1
"""


def test_a_process_that_is_killed_at_any_moment_has_written_all_that_it_answered(tmp_path: Path) -> None:
    for killed, kill_after in enumerate((1, 7, 40, 150, 400), 1):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdin is not None and child.stdout is not None
            child.stdin.write(f"{KEY}\n")
            child.stdin.flush()
            answered = -1
            for _ in range(kill_after):
                answered = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            rest = child.stdout.read().splitlines()
        # The last line may be cut off: what is whole was answered.
        answered = max([answered, *map(int, rest[:-1])])
        report = audit_verify(str(tmp_path), KEY)
        assert report["faults"] == []
        assert len(report["writers"]) == killed
        newest = max(report["writers"], key=lambda told: told["state"] == "left")["writer"]
        numbers = [
            json.loads(line)["i"]
            for path in sorted(tmp_path.glob(f"{newest}-*.jsonl"))
            for line in path.read_text(errors="replace").split("\n")[:-1]
            if '"answered"' in line
        ]
        assert numbers[: answered + 1] == list(range(answered + 1))


def test_the_library_closes_what_its_owner_forgot(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.append("x", {}, now=False)
    del log
    report = audit_verify(str(tmp_path), KEY)
    assert report["faults"] == []
    assert report["writers"][0]["state"] == "closed"
