"""Anchors: what a file of them holds against a log, whatever somebody adds to it; and files removed before their time."""

from __future__ import annotations

import importlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from flask_rampart._native import AuditLog, Clock, Redactor
from flask_rampart.audit.log import newest_note
from flask_rampart.audit.removals import too_soon
from flask_rampart.audit.verifying import Notes, notes_of, verify
from flask_rampart.monitor import Monitor

from .auditing import App, log_of, make
from .conftest import NOW
from .test_audit_commands import app, run, the_file

__all__ = ["app", "make"]


def test_the_lines_of_a_sink_are_anchors_whatever_stands_around_them(app: Flask, tmp_path: Path) -> None:
    lines = the_file(app).read_text().splitlines()
    notes = [json.loads(line)["note"] for line in lines if '"event":"audit_checkpoint"' in line]
    sunk = [f'<109>1 2026-11-29T10:00:00Z host shop 7 x - {{"writer":"w",{line[1:]}' for line in lines]
    other = ["a line of something else {", *sunk]
    text = "\n".join([*other, '{"event":"audit_checkpoint","link":"', ""])
    assert notes and notes_of(text) == Notes(notes, strange=1, broken=1)
    assert notes_of(text.replace("\n", "\r\n")).notes == notes
    # What a peer wrote into a record is no checkpoint.
    forged = {"event": "look", "target": json.dumps({"event": "audit_checkpoint", "note": notes[0]}), "link": "x"}
    assert notes_of(json.dumps(forged, separators=(",", ":"))) == Notes([], 0, 0)
    anchors = tmp_path / "anchors"
    anchors.write_text("\n".join(other))
    told = run(app, "verify", "--anchors", anchors)
    assert told.exit_code == 0 and "1 line of no note or record: passed over." in told.output
    anchors.write_text(text)
    told = run(app, "verify", "--anchors", anchors)
    assert told.exit_code == 1 and "1 checkpoint cannot be read: passed over." in told.output


# One line of a sink, appended to a file of notes, once had them all passed over, and the log that was put back was sound.
def test_a_line_that_somebody_adds_to_the_anchors_disables_none_of_them(app: Flask, tmp_path: Path) -> None:
    earlier = tmp_path / "earlier"
    shutil.copytree(log_of(app).directory, earlier)
    sunk = next(line for line in the_file(app).read_text().splitlines() if '"event":"audit_checkpoint"' in line)
    log_of(app).event("later")
    log_of(app).close()
    kept = run(app, "checkpoint").output
    shutil.rmtree(log_of(app).directory)
    earlier.rename(log_of(app).directory)
    anchors = tmp_path / "anchors"
    notes = notes_of(kept).notes
    other = '{"link":"'
    first, rest = kept.split("\n", 1)
    for text in (kept + sunk, sunk + "\n" + kept, kept + other, f"{other}\n{kept}", f"{first}\n{other}\n{rest}"):
        assert set(notes) <= set(notes_of(text).notes)
        anchors.write_text(text)
        assert run(app, "verify", "--anchors", anchors).exit_code == 1
    # A bad note among them is counted, and the others say what they say.
    bad = "x\n1\nAAAA\n\n\u2014 x AAAA\n"
    anchors.write_text(bad + kept + "\u2014 a signature of nothing\n" + bad)
    told = run(app, "verify", "--anchors", anchors)
    assert told.exit_code == 1 and "file_missing" in told.output
    assert "1 note of --anchors not signed by this key, or no checkpoint: passed over." in told.output


def test_a_bad_note_is_a_failure_where_all_else_is_right(app: Flask, tmp_path: Path) -> None:
    anchors = tmp_path / "anchors"
    kept = run(app, "checkpoint").output
    for bad in ("x\n1\nAAAA\n\n\u2014 x AAAA\n", kept.replace("\n7\n", "\n6\n")):
        anchors.write_text(kept + bad)
        told = run(app, "verify", "--anchors", anchors)
        assert told.exit_code == 1 and "nothing is wrong" in told.output and "1 anchor held against it." in told.output
        assert json.loads(run(app, "verify", "--json", "--anchors", anchors).stdout)["sound"] is False


# Who has the key lets the time of what they did run out; anchors of all that came before and after are held against it.
def test_a_removal_before_its_time_is_a_fault_where_anchors_are_held_against_it(app: Flask, tmp_path: Path) -> None:
    log = log_of(app)
    kept = run(app, "checkpoint").output
    key = log.key()
    clock = Clock.manual(NOW + 3 * 86_400)
    stolen = AuditLog(
        str(log.directory), key, Redactor(), clock, host="h", max_file=1 << 20, sync=1.0, checkpoint=60.0, keep=86_400.0
    )
    stolen.append("look", {})
    stolen.close()
    assert not any(path.name.startswith(log_of(app).writer or "-") for path in log.directory.iterdir())
    anchors = tmp_path / "anchors"
    anchors.write_text(kept + run(app, "checkpoint").output)
    assert run(app, "verify").exit_code == 0  # the key has signed it
    told = run(app, "verify", "--anchors", anchors)
    assert told.exit_code == 1 and "heads.jsonl:" in told.output and "removed" in told.output
    now = NOW + 3 * 86_400
    assert too_soon(log.directory, 3, now) == [] != too_soon(log.directory, 4, now)
    assert too_soon(log.directory, 3, now - 3600) != [], "of a time that has not come"


def test_a_removal_after_its_time_is_none(make: App, tmp_path: Path) -> None:
    book = tmp_path / "heads.jsonl"
    lines = [
        ("2026-01-01T00:00:00.000000Z", "audit_writer_began", 1),
        ("2026-01-02T00:00:00.000000Z", "audit_writer_head", 1),
        ("2026-01-20T00:00:00.000000Z", "audit_writer_carried", 1),
        ("2026-01-12T00:00:00.000000Z", "audit_file_removed", 1),
    ]
    told = [json.dumps({"time": time, "event": event, "writer": "w", "file": file}) for time, event, file in lines]
    book.write_text("\n".join(["{", "[]", '{"time":7}', "x" * 200_000, *told, '{"time":']))
    assert too_soon(tmp_path, 10) == []
    assert too_soon(tmp_path, 11) == too_soon(tmp_path, None) == [("heads.jsonl", 8)]
    book.unlink()
    book.mkdir()
    assert too_soon(tmp_path, None) == []


def test_a_log_that_was_there_and_is_gone_is_told(app: Flask) -> None:
    log, monitor = log_of(app), app.extensions["rampart"].services[Monitor]
    shutil.rmtree(log.directory)
    assert (run(app, "verify").exit_code, log.verified()) == (2, None), "it was never seen"
    log.directory.mkdir(mode=0o700)
    log.event("x")
    log.close()
    assert run(app, "verify").exit_code == 0
    shutil.rmtree(log.directory)
    heard: list[str] = []
    monitor.tampered = heard.append  # type: ignore[method-assign]
    for _ in range(2):
        assert run(app, "verify").exit_code == 2
        found = log.verified()
        assert found is not None and (found["records"], found["faults"]) == (0, 1)
    assert len(heard) == 2


def test_anchors_that_are_all_of_what_was_removed_are_no_verification(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchors = tmp_path / "anchors"
    anchors.write_text(run(app, "checkpoint").output)
    found = verify(log_of(app).directory, log_of(app).key(), notes_of(anchors.read_text()).notes)
    assert (found.anchors, found.unchecked, found.faults) == (1, 0, [])
    monkeypatch.setattr(
        importlib.import_module("flask_rampart.cli.audit"), "verify", lambda *_: replace(found, unchecked=1)
    )
    told = run(app, "verify", "--anchors", anchors)
    assert told.exit_code == 1 and "Newer ones are needed." in told.output


def of_host(folder: Path, key: str, host: str) -> tuple[str, str]:
    """A log of a host with this key: its name, and its checkpoint."""
    given: dict[str, Any] = {"host": host, "max_file": 1 << 20, "sync": 1.0, "checkpoint": 60.0}
    log = AuditLog(str(folder), key, Redactor(), Clock.manual(NOW), **given)
    log.append("look", {})
    log.close()
    note = newest_note(folder, log.writer)
    assert note is not None
    return note.split("\n")[0].split("/")[-2], note


# One file of anchors for all hosts made each of their logs a fault, and one host's directory passed for another's.
def test_hosts_that_share_a_key_are_told_apart(app: Flask, tmp_path: Path) -> None:
    key = log_of(app).key()
    key_file = tmp_path / "key"
    key_file.write_text(key)
    folders = tmp_path / "a", tmp_path / "b"
    (a, of_a), (b, of_b) = (of_host(folder, key, folder.name) for folder in folders)
    anchors = tmp_path / "anchors"
    anchors.write_text(of_a + of_b + of_a)

    def told(folder: Path, *words: object) -> Result:
        return run(app, "verify", "--directory", folder, "--key-file", key_file, *words)

    named = told(folders[0], "--anchors", anchors, "--log", a)
    assert named.exit_code == 0
    assert named.output.splitlines()[1:] == [
        f"This is log {a}.",
        "1 anchor held against it.",
        f"1 anchor of log {b}: not held against this one.",
    ]
    # Nobody has said that it is this one: the other may have been here before.
    unnamed = told(folders[0], "--anchors", anchors)
    assert unnamed.exit_code == 1 and "nothing is wrong" in unnamed.output and "say by --log" in unnamed.output
    assert json.loads(told(folders[0], "--anchors", anchors, "--json").stdout)["sound"] is False
    document = json.loads(told(folders[0], "--anchors", anchors, "--log", a, "--json").stdout)
    assert (document["sound"], document["log"], document["elsewhere"]) == (True, a, {b: 1})
    # The other's directory in its place.
    for words in (["--log", a], ["--log", a, "--anchors", anchors]):
        other = told(folders[1], *words)
        assert other.exit_code == 1 and other.output.startswith("heads.jsonl: other_log: "), other.output
    anchors.write_text(of_a)
    other = told(folders[1], "--anchors", anchors)
    assert other.exit_code == 1 and other.output.startswith("heads.jsonl: other_log: ")
    # Anchors of which none is of this log hold nothing.
    none = told(folders[1], "--anchors", anchors, "--log", b)
    assert none.exit_code == 1 and none.output.endswith("None is of this log.\n")
    assert told(folders[0], "--log", "x").exit_code == 2


def test_an_anchor_that_is_none_is_an_error_and_no_silence(app: Flask, tmp_path: Path) -> None:
    for text in ("", "nothing\n", "x\n1\nAAAA\n\n\u2014 x AAAA\n"):
        path = tmp_path / "anchors"
        path.write_text(text)
        told = run(app, "verify", "--anchors", path)
        assert told.exit_code == 1 and told.output.startswith("Error: ")
