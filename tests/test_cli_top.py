"""``flask rampart top``: what the workers counted, in a terminal, in a pipe and as JSON."""

from __future__ import annotations

import gc
import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import FlaskGroup, ScriptInfo

from flask_rampart import limit, require
from flask_rampart.cli import commands
from flask_rampart.cli.top import encoded, screen
from flask_rampart.dashboard import Dashboard
from flask_rampart.metrics import Metrics

from .auditing import App
from .auditing import make as make

WORKER = """
import sys
from flask import Flask
from flask_rampart import Rampart, require, limit
from flask_rampart.dashboard import Dashboard
app = Flask("topped", instance_path=sys.argv[1] if len(sys.argv) > 1 and sys.argv[1].startswith("/") else "/nonexistent")
app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="shm://FOLDER",
    RAMPART_JWT_KEYS=[{"kid": "a", "alg": "HS256", "secret": "0123456789abcdef0123456789abcdef"}])
Rampart(app)
@app.get("/secret")
@require()
def secret(): return "x"
app.register_blueprint(Dashboard(require(roles="admin")))
"""


def ran(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(commands, ["top", *words])


def told(**more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "app": "shop", "time": 0.0, "workers": 2, "step": 5, "rates": [[n * 5, n, n // 2, 0] for n in range(180)],
        "totals": dict.fromkeys(("requests", "refusals", "auth_failures", "validation_failures", "bans"), 3.0),
        "refusals": [["auth.missing", 3.0]], "addresses": [["192.0.2.1", 3]], "principals": [], "bans": None,
        "findings": None, "recent": [],
    }  # fmt: skip
    return {**made, **more}


def test_a_worker_and_the_command_see_one_table(make: App, tmp_path: Path) -> None:
    app = make(RAMPART_LIMIT_STORE=f"shm://{tmp_path}/counters")
    app.add_url_rule("/secret", view_func=require()(lambda: "x"))
    app.add_url_rule("/often", view_func=limit("1/minute", ban="15 minutes after 1 in 1 minute")(lambda: "x"))
    app.register_blueprint(Dashboard(require(roles="admin")))
    for path in ("/secret", "/often", "/often", "/often"):
        app.test_client().get(path, environ_overrides={"REMOTE_ADDR": "198.51.100.7"})
    plain = ran(app, "--once")
    assert plain.exit_code == 0, plain.output
    for text in ("auth.missing", "limit.banned", "198.51.100.7", "Bans", "address 198.51.100.7", "1 worker"):
        assert text in plain.output, text
    assert "\x1b" not in plain.output
    found = json.loads(ran(app, "--once", "--json").output)
    assert found["totals"]["requests"] == 4 and found["refusals"][0][0] in (
        "auth.missing",
        "limit.banned",
        "limit.exceeded",
    )
    # Without a terminal it is printed once, whether asked to or not.
    assert ran(app).output.startswith("rampart top  shop")
    assert "No worker" not in plain.output


def test_a_command_with_another_size_takes_nothing_from_the_workers(make: App, tmp_path: Path) -> None:
    store = f"shm://{tmp_path}/counters"
    none = ran(make(RAMPART_LIMIT_STORE=store, RAMPART_METRICS=True), "--once")
    assert none.exit_code == 0 and "No worker" in none.output
    assert not list((tmp_path / "counters").glob("metrics*")), "who looks makes no table"
    app = make(RAMPART_LIMIT_STORE=store, RAMPART_METRICS=True)
    app.test_client().get("/")
    table = app.extensions["rampart"].services[Metrics].table
    name, room = table.path, table.room[0]
    # No worker lives at this moment, as between two of its starts.
    del table, app.extensions["rampart"].services[Metrics]._table
    gc.collect()
    other = make(RAMPART_LIMIT_STORE=store, RAMPART_METRICS=True, RAMPART_METRICS_SERIES=64)
    assert json.loads(ran(other, "--once", "--json").output)["totals"]["requests"] == 1
    found = other.extensions["rampart"].services[Metrics].table
    assert (found.path, found.room[0]) == (name, room)


def test_who_looks_frees_nobody_and_changes_no_table(make: App, tmp_path: Path) -> None:
    store = f"shm://{tmp_path}/counters"

    def build(**sizes: int) -> Flask:
        app = make(
            RAMPART_LIMIT_STORE=store,
            RAMPART_METRICS=True,
            RAMPART_LIMITS="3/minute",
            RAMPART_MONITOR="enforce",
            RAMPART_LIMITS_BAN="15 minutes after 1 in 1 minute",
            **sizes,
        )
        # One that is in progress has a table of its own.
        app.add_url_rule("/", view_func=limit("2 concurrent")(lambda: "x"))
        # So that the last refusals, whose bans are looked up, are remembered.
        app.register_blueprint(Dashboard(require(roles="admin")))
        return app

    def files() -> dict[str, bytes]:
        return {each.name: each.read_bytes() for each in (tmp_path / "counters").iterdir() if each.is_file()}

    def look(**sizes: int) -> dict[str, Any]:
        info = ScriptInfo(create_app=lambda: build(**sizes))
        done = CliRunner().invoke(commands, ["top", "--once", "--json"], obj=info)
        assert done.exit_code == 0, done.output
        found: dict[str, Any] = json.loads(done.output)
        return found

    other = {"RAMPART_LIMIT_TABLE": 65536, "RAMPART_METRICS_SERIES": 64, "RAMPART_MONITOR_TABLE": 1048576}
    assert look(**other)["workers"] == 0 and files() == {}, "who looks makes no table"
    child = os.fork()
    if child == 0:
        status = 1
        try:
            client = build().test_client()
            answers = [client.get("/", environ_overrides={"REMOTE_ADDR": "198.51.100.7"}) for _ in range(6)]
            status = 0 if answers[-1].status_code == 429 else 2
        finally:
            os._exit(status)
    # It is gone, as between two starts of a service.
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    before = files()
    assert {name.partition("-")[0] for name in before} >= {"limits", "bans", "places", "metrics2", "monitor5"}
    told = look(**other)
    assert [each["address"] for each in told["bans"]] == ["198.51.100.7"]
    assert files() == before


def test_an_app_that_is_loaded_for_a_command_proves_no_table_by_making_it(make: App, tmp_path: Path) -> None:
    # The app is loaded before the command can say that it only looks.
    store = f"shm://{tmp_path}/counters"
    group = FlaskGroup(create_app=lambda: make(RAMPART_LIMIT_STORE=store, RAMPART_MONITOR="enforce"))
    done = CliRunner().invoke(group, ["routes"])
    assert done.exit_code == 0, done.output
    assert not list((tmp_path / "counters").glob("monitor*"))
    make(RAMPART_LIMIT_STORE=store, RAMPART_MONITOR="enforce")
    assert list((tmp_path / "counters").glob("monitor*")), "a start does"


def test_an_app_that_counts_nothing_says_how_to_begin(make: App, tmp_path: Path) -> None:
    none = ran(make())
    assert none.exit_code == 1 and "RAMPART_METRICS = True" in none.output
    own = ran(make(RAMPART_METRICS=True))
    assert own.exit_code == 1 and "each process counts for itself" in own.output


# CWE-150: escape sequences of a terminal in what a peer chose.
def test_what_peers_wrote_does_not_reach_the_terminal_as_it_is() -> None:
    evil = "\x1b]0;owned\x07\u202e\x9b2J"
    recent = [{"time": 0.0, "code": "x", "address": evil, "principal": evil, "method": "GET", "route": "/"}]
    lines = screen(told(principals=[[evil, 3]], recent=recent, addresses=[[evil, 1]]), 80)
    assert not any(character in "".join(lines) for character in "\x1b\x07\x9b\u202e\n")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", None])
def test_an_output_that_has_no_blocks_gets_plain_ones(encoding: str | None) -> None:
    lines = screen(told(principals=[["\u65e5\u672c", 3]]), 80)
    shown = [encoded(line, encoding) for line in lines]
    "".join(shown).encode(encoding or "ascii")
    assert any(line.startswith("requests ") and "@" in line for line in shown)
    assert any("\\u65e5\\u672c" in line for line in shown)
    assert [encoded(line, "utf-8") for line in lines] == lines


def test_it_is_printed_where_the_output_is_latin_1(tmp_path: Path) -> None:
    (tmp_path / "counters").mkdir(mode=0o700)
    (tmp_path / "topped.py").write_text(WORKER.replace("FOLDER", f"{tmp_path}/counters"))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
        "PYTHONIOENCODING": "latin-1",
    }
    command = [sys.executable, "-m", "flask", "--app", "topped:app", "rampart", "top", "--once"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.startswith(b"rampart top  topped")
    # Nobody has answered: it says where it looked.
    words = " ".join(done.stdout.decode("latin-1").split())
    assert "No worker has counted a request here" in words and "RAMPART_LIMIT_STORE" in words


@pytest.mark.parametrize("width", [1, 40, 80, 300])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    findings = [{"time": 0.0, "rule": "stuffing" * 30, "severity": "high", "subject": "x"}]
    lines = screen(told(findings=findings, bans=[{"kind": "address", "address": "192.0.2.1", "seconds": 60}]), width)
    assert max(map(len, lines)) <= max(width, 40)
    assert any("stuffing" in line for line in lines) and any("60 s" in line for line in lines)


def test_on_a_terminal_it_is_drawn_anew_and_leaves_it_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "counters").mkdir(mode=0o700)
    (tmp_path / "topped.py").write_text(WORKER.replace("FOLDER", f"{tmp_path}/counters"))
    leader, follower = pty.openpty()
    # Whoever runs the tests may have had SIGINT ignored.
    begin = "import signal; signal.signal(2, signal.default_int_handler); from flask.cli import main; main()"
    command = [sys.executable, "-c", begin, "--app", "topped:app", "rampart", "top", "--interval", "0.2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "TERM": "xterm"}
    process = subprocess.Popen(
        command, cwd=tmp_path, stdin=follower, stdout=follower, stderr=follower, env=environment, start_new_session=True
    )
    os.close(follower)
    said = b""
    end = time.monotonic() + 60
    try:
        while said.count(b"rampart top") < 3 and time.monotonic() < end:
            if select.select([leader], [], [], 0.5)[0]:
                said += os.read(leader, 65536)
        assert said.count(b"\x1b[H") >= 3, said.decode()
        process.send_signal(2)
        while process.poll() is None and time.monotonic() < end:
            if select.select([leader], [], [], 0.2)[0]:
                said += read(leader)
        said += read(leader)
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    assert said.startswith(b"\x1b[?1049h") and said.rstrip().endswith(b"\x1b[?25h\x1b[?1049l"), said[-200:]
    assert process.returncode == 0


def read(leader: int) -> bytes:
    try:
        return os.read(leader, 65536) if select.select([leader], [], [], 0.2)[0] else b""
    except OSError:
        return b""  # its other end is closed
