"""Commands beside the workers' tables: who looks makes and changes none, and who changes something takes them as they are."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import ScriptInfo

from flask_rampart import limit, require
from flask_rampart.cli import commands
from flask_rampart.dashboard import Dashboard

from .auditing import App
from .auditing import make as make

BANNED = "198.51.100.7"
OTHERS = {"RAMPART_LIMIT_TABLE": 65536, "RAMPART_METRICS_SERIES": 64, "RAMPART_MONITOR_TABLE": 1048576}
"""Sizes that are not the workers'."""
LOOKS = (
    ("limits",),
    ("limits", "--address", BANNED),
    ("monitor", "rules"),
    ("monitor", "recent"),
    ("monitor", "replay"),
    ("routes",),
    ("csp-hash", "--templates"),
    ("openapi",),
    ("check", "--no-routes", "--fail-level", "none"),
    ("csp-report",),
    ("keys", "list"),
    ("logins", "list", "ada"),
    ("jwks",),
    ("audit", "verify"),
    ("audit", "tail"),
    ("audit", "search"),
    ("audit", "key"),
    ("top", "--once"),
)


@pytest.fixture(name="build")
def builds(make: App, tmp_path: Path) -> Callable[..., Flask]:
    def build(**more: Any) -> Flask:
        app = make(
            **{
                "RAMPART_LIMIT_STORE": f"shm://{tmp_path}/counters",
                "RAMPART_METRICS": True,
                "RAMPART_LIMITS": "3/minute",
                "RAMPART_LIMITS_BAN": "15 minutes after 1 in 1 minute",
                "RAMPART_MONITOR": "enforce",
                "RAMPART_API_KEYS": True,
                "RAMPART_REPORTS": "/reports",
                **more,
            }
        )
        # A project of its own: `check` would read all of ours.
        app.root_path = str(tmp_path / "project" / "app")
        os.makedirs(app.root_path, exist_ok=True)
        app.add_url_rule("/", view_func=limit("2 concurrent")(lambda: "x"))
        return app

    return build


@pytest.fixture(name="files")
def what_is_there(tmp_path: Path) -> Callable[[], dict[str, bytes]]:
    def files() -> dict[str, bytes]:
        folder = tmp_path / "counters"
        return {each.name: each.read_bytes() for each in folder.glob("*") if each.is_file()}

    return files


def run(build: Callable[..., Flask], *words: str, **more: Any) -> Result:
    """As a process of its own does it: the app is made by the command."""
    return CliRunner().invoke(commands, words, obj=ScriptInfo(create_app=lambda: build(**more)))


def work(build: Callable[..., Flask]) -> None:
    """A worker has banned an address, and is gone, as between two starts of a service."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            client = build().test_client()
            answers = [client.get("/", environ_overrides={"REMOTE_ADDR": BANNED}) for _ in range(6)]
            status = 0 if answers[-1].status_code == 429 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_who_looks_makes_no_table_and_changes_none(
    build: Callable[..., Flask], files: Callable[[], dict[str, bytes]]
) -> None:
    for words in LOOKS:
        done = run(build, *words, **OTHERS)
        is_of_log = words[0] == "audit" or words[-1] == "replay"
        assert done.exit_code == 0 or is_of_log, (words, done.output, done.exception)
        assert files() == {}, words
    work(build)
    before = files()
    assert {name.partition("-")[0] for name in before} >= {"limits", "bans", "places", "metrics2", "monitor5"}
    for words in LOOKS:
        done = run(build, *words, **OTHERS)
        assert done.exit_code == 0, (words, done.output, done.exception)
        assert files() == before, words


def test_the_page_about_limits_names_each_command_that_only_looks() -> None:
    page = (Path(__file__).parent.parent / "docs" / "limits.md").read_text()
    told = page[page.index("**What only looks") :].partition("While no worker")[0]
    for words in LOOKS:
        name = " ".join(word for word in words if not word.startswith("-") and word not in (BANNED, "ada", "none"))
        assert f"`{name}`" in told or f"all of `{words[0]}`" in told, name


def test_what_there_is_not_yet_is_told_with_its_place(build: Callable[..., Flask], tmp_path: Path) -> None:
    limits = run(build, "limits", "--address", BANNED)
    assert f"counted in {tmp_path}/counters/limits-" in limits.output
    assert "No worker has made that table yet" in limits.output and "3 of 3" in limits.output
    assert json.loads(run(build, "limits", "--json").output)["store"].startswith(f"{tmp_path}/counters/limits-")
    assert f"No worker has made its table yet: {tmp_path}/counters/monitor5-" in run(build, "monitor", "recent").output
    work(build)
    limits = run(build, "limits", "--address", BANNED)
    assert "No worker" not in limits.output and "Banned for" in limits.output and "0 of 3" in limits.output
    assert "No worker" not in run(build, "monitor", "recent").output


def test_who_changes_something_takes_the_workers_tables_as_they_are(
    build: Callable[..., Flask], files: Callable[[], dict[str, bytes]]
) -> None:
    work(build)
    sizes = {name: len(content) for name, content in files().items()}
    assert "198.51.100.8 is refused" in run(build, "ban", "198.51.100.8", "--for", "1 hour", **OTHERS).output
    assert "is banned no more" in run(build, "unban", BANNED, **OTHERS).output
    assert run(build, "reset", "--address", BANNED, **OTHERS).output.endswith("limits reset.\n")
    assert run(build, "monitor", "lift", "address", BANNED, **OTHERS).exit_code in (0, 1)
    assert {name: len(content) for name, content in files().items()} == sizes
    banned = {address: run(build, "limits", "--address", address).output for address in (BANNED, "198.51.100.8")}
    assert ["Banned for" in said for said in banned.values()] == [False, True]
    assert "3 of 3" in banned[BANNED]


def test_a_ban_before_the_first_worker_makes_the_table_that_it_is_in(
    build: Callable[..., Flask], files: Callable[[], dict[str, bytes]]
) -> None:
    assert "198.51.100.8 is refused" in run(build, "ban", "198.51.100.8", "--for", "1 hour").output
    assert any(name.startswith("bans-") for name in files())
    client = build().test_client()
    assert client.get("/", environ_overrides={"REMOTE_ADDR": "198.51.100.8"}).json["code"] == "limit.banned"


@pytest.mark.parametrize(
    "how", ["RAMPART_METRICS", "Dashboard", "RAMPART_METRICS_PATH"]
)  # The last has the monitor's findings alone.
def test_top_shows_bans_with_and_without_a_dashboard(build: Callable[..., Flask], how: str) -> None:
    def one(**more: Any) -> Flask:
        if how == "RAMPART_METRICS_PATH":
            more.update(RAMPART_METRICS_PATH="/metrics", RAMPART_METRICS_TOKEN="0123456789abcdef0123456789abcdef")
        app = build(RAMPART_METRICS=how == "RAMPART_METRICS", **more)
        if how == "Dashboard":
            app.register_blueprint(Dashboard(require(roles="admin")))
        return app

    work(one)
    done = run(one, "top", "--once", **OTHERS)
    assert done.exit_code == 0, done.output
    if how == "RAMPART_METRICS_PATH":
        assert "Whom bans refuse is not remembered" in " ".join(done.output.split()), done.output
    else:
        assert f"address {BANNED}" in done.output
