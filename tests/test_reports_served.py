"""Reports behind real gunicorn workers: forked before or after the app was loaded, and the command line beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flask_rampart.reports.table import Table
from flask_rampart.stores import open_store

from .serving import Served, serving

pytestmark = pytest.mark.servers

_VIEWS = """
@app.get("/users/<int:number>")
def user(number):
    return "user"
rampart = Rampart(app)
"""


def shown(folder: Path) -> dict[str, int]:
    """What the command line prints beside the workers: counts by what was blocked."""
    command = [sys.executable, "-m", "flask", "--app", "served", "rampart", "csp-report", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=True, env=dict(os.environ), timeout=60)
    return {group["blocked"]: group["count"] for group in json.loads(done.stdout)["groups"]}


def written(url: str) -> dict[str, int]:
    """The same, as it is in the store: a command takes seconds."""
    store = open_store(url, "/nowhere")
    try:
        record = store.get("reports", "table")
    finally:
        store.close()
    groups = {} if record is None else Table.of(record.value).groups
    return {group.blocked: group.count for group in groups.values()}


def tell(served: Served, blocked: str) -> int:
    report = {"document-uri": f"http://127.0.0.1:{served.port}/users/7", "effective-directive": "img-src"}
    body = json.dumps({"csp-report": {**report, "blocked-uri": blocked}})
    return served.ask("POST", "/reports", body, Content_Type="application/csp-report")[0]


# The other two say nothing that these do not.
@pytest.mark.parametrize(
    ("kind", "preload"),
    [("gthread", ()), ("gevent", ("--preload",))],
    ids=["threads, loaded by each worker", "greenlets, loaded before the fork"],
)
def test_workers_share_groups_with_each_other_and_the_command_line(
    tmp_path: Path, kind: str, preload: tuple[str, ...]
) -> None:
    url = f"sqlite:///{tmp_path}/records.sqlite3"
    settings = {"RAMPART_REPORTS": "/reports", "RAMPART_STORE": url}
    arguments = ("--workers", "2", "--worker-class", kind, "--threads", "4", *preload)
    with serving(tmp_path, _VIEWS, *arguments, settings=settings) as served:
        assert served.at_once(12, lambda: tell(served, "eval")) == [204] * 12
        assert served.at_once(12, lambda: tell(served, "https://cdn.example.com")) == [204] * 12
        # The last ones are written by a timer, without another report.
        served.wait(lambda: written(url) == {"eval": 12, "https://cdn.example.com": 12})
        assert tell(served, "eval") == 204
        assert tell(served, "eval") == 204
        served.process.terminate()
        served.process.wait(20)
        # A worker that ends writes what it has.
        assert shown(tmp_path) == {"eval": 14, "https://cdn.example.com": 12}
