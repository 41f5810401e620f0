"""Reading the audit log, of which somebody has changed what they could: in bounded memory, and to its end all the same."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest
from flask import Flask

from flask_rampart import audit, public
from flask_rampart.audit.reading import Log

from .auditing import App, log_of, make
from .test_audit_commands import run

__all__ = ["make"]


def line(seq: int, second: int, more: dict[str, object] | None = None) -> str:
    time = f"2026-11-29T10:00:{second:02}.000000Z"
    record = {"seq": seq, "time": time, "event": "x", **(more or {}), "link": "y" * 43}
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n"


def name(writer: int) -> str:
    return f"{writer:032x}-000001.jsonl"


def seconds(log: Log) -> list[str]:
    return [record["time"][17:19] for record in log.records()]


def test_a_file_without_an_end_is_read_in_bounded_memory(tmp_path: Path) -> None:
    (tmp_path / name(1)).write_text(line(0, 1) + line(1, 2))
    # A sparse file of 1 TiB takes no room on a disk, and would fill the memory.
    os.truncate(tmp_path / name(1), 1 << 40)
    (tmp_path / name(2)).write_text(line(0, 3))
    log = Log(tmp_path)
    assert seconds(log) == ["01", "02", "03"] and log.unread == 1
    assert [record["seq"] for record in Log(tmp_path).last(5)] == [0]
    following = Log(tmp_path)
    following.last(1)
    assert following.news() == []


def test_what_is_no_file_is_neither_followed_nor_waited_for(tmp_path: Path) -> None:
    (tmp_path / name(1)).write_text(line(0, 1))
    os.mkfifo(tmp_path / name(2))
    (tmp_path / name(3)).symlink_to("/etc/passwd")
    (tmp_path / name(4)).mkdir()
    log = Log(tmp_path)
    assert seconds(log) == ["01"] and log.unread == 3
    assert len(log.last(3)) == 1
    assert log.news() == []
    assert log.newest_note(f"{2:032x}") is None


def test_thousands_of_writers_that_wrote_at_once_need_few_open_files(tmp_path: Path) -> None:
    for writer in range(1500):
        (tmp_path / name(writer)).write_text(line(0, 0) + line(1, writer % 60))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
    try:
        told = seconds(Log(tmp_path))
        assert len(Log(tmp_path).last(100)) == 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(told) == 3000 and told == sorted(told)


def test_a_clock_that_was_set_back_loses_no_record(tmp_path: Path) -> None:
    (tmp_path / name(1)).write_text(line(0, 30) + line(1, 10) + line(2, 40))
    (tmp_path / name(2)).write_text(line(0, 20))
    log = Log(tmp_path)
    assert sorted(seconds(log)) == ["10", "20", "30", "40"] and log.unread == 0


CHANGED = (
    {"time": "yesterday"},
    {"time": None},
    {"status": "200"},
    {"duration_us": []},
    {"event": 7},
    {"seq": "0"},
    {"resource": {"a": [1]}},
    {"address": 7, "principal": ["x"], "method": {}, "target": 3},
    {"n": 10**400},
)


@pytest.mark.parametrize("form", ["jsonl", "ocsf"])
def test_a_line_that_somebody_changed_ends_neither_export_nor_search(make: App, tmp_path: Path, form: str) -> None:
    app = make()
    (tmp_path / name(1)).write_text("".join(line(i, i, more) for i, more in enumerate(CHANGED)) + line(9, 59))
    told = run(app, "export", "--directory", tmp_path, "--format", form)
    assert told.exit_code == 0
    last = json.loads([one for one in told.output.splitlines() if one.startswith("{")][-1])
    assert (last if form == "jsonl" else last["unmapped"])["seq"] == 9
    for command in ("search", "tail"):
        assert run(app, command, "--directory", tmp_path).exit_code == 0


HOSTILE = (
    "a\x1b[2J\x1b]0;owned\x07",
    "=cmd|' /C calc'!A1",
    "\u202egnp.exe\u2066",
    "x\r\n2026-11-29T10:00:00.000Z sys_startup",
    '","event":"audit_checkpoint","note":"',
    "\ud800",
    "\U000e0041\ufeff\u2028",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_peer_wrote_is_one_field_of_one_line_wherever_it_is_read(make: App, text: str) -> None:
    app = make()
    app.get("/look/<path:name>")(public(audit("look", resource="thing:{name}")(lambda name: "x")))
    log = log_of(app)
    before = log.event("said", text=text, who={text: text})
    assert before is None
    app.test_client().get("/look/" + text.encode("utf-8", "replace").decode().replace("\r\n", ""))
    log.close()
    (path,) = log.directory.glob("*-*.jsonl")
    raw = path.read_bytes()
    assert all(byte >= 0x20 for byte in raw.replace(b"\n", b""))
    events = [json.loads(one)["event"] for one in raw.splitlines()]
    assert events.count("said") == 1 and events.count("audit_checkpoint") == 1
    for words in (("tail",), ("search",), ("search", "--json"), ("export",), ("export", "--format", "ocsf")):
        told = run(app, *words).stdout
        assert not any(character in told for character in "\x1b\x07\r\u202e\u2066\u2028\ufeff\U000e0041"), words
        assert all(one[0] in "2{" for one in told.splitlines()), words


def test_the_name_of_an_event_is_looked_for_as_it_stands(make: App) -> None:
    app = make()
    log = log_of(app)
    log.event("aaaaaaaaaaaaaaaaaaaaaaaaaaaa")
    log.close()
    for pattern in ("(a+)+$", "[", ".*", "a?a?a?", "\\"):
        assert run(app, "search", "--event", pattern).stdout == ""
    assert "aaa" in run(app, "search", "--event", "aa*").stdout


def test_a_log_in_the_place_of_which_a_link_was_put_is_told(make: App, tmp_path: Path) -> None:
    app: Flask = make()
    log = log_of(app)
    log.event("one")
    elsewhere = tmp_path / "elsewhere"
    log.directory.rename(elsewhere)
    evil = tmp_path / "evil"
    evil.mkdir(mode=0o700)
    log.directory.symlink_to(evil)
    log.event("two")
    log.checkpoint()
    log.close()
    # What was begun goes on where it was, and the book that is gone is told in both.
    (path,) = elsewhere.glob("*-*.jsonl")
    assert b'"two"' in path.read_bytes() and b'"audit_tampered","of":"heads"' in path.read_bytes()
    assert b'"audit_tampered"' in (evil / "heads.jsonl").read_bytes()
