"""The dashboard behind real servers with few threads: pages that are open take none of them for good."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

import pytest

from .serving import Served, serving

pytestmark = pytest.mark.servers

VIEWS = """
from flask_rampart import require
from flask_rampart.dashboard import Dashboard
app.config["RAMPART_JWT_KEYS"] = [{"kid": "a", "alg": "HS256", "secret": "0123456789abcdef0123456789abcdef"}]
app.config["RAMPART_STORE"] = "sqlite:///" + str(pathlib.Path(__file__).parent / "r.db")
rampart = Rampart(app)
app.register_blueprint(Dashboard(require(roles="admin")STREAMS))

@app.get("/token")
def token():
    return rampart.tokens.issue("ada", roles=["admin"])
"""


def opened(server: Served) -> list[tuple[int, http.client.HTTPConnection]]:
    """Two pages that ask for their stream and stay open, each with how it was answered."""
    fields = {"Authorization": f"Bearer {server.get('/token')[2]}"}
    found: list[tuple[int, Any]] = []
    for _ in range(2):
        connection = server.connect()
        connection.request("GET", "/rampart/events", headers=fields)
        found.append((connection.getresponse().status, connection))
    return found


# gunicorn's gthread says wsgi.multithread with one thread as well.
@pytest.mark.parametrize("threads", [1, 2])
def test_open_pages_leave_a_worker_of_few_threads_free(tmp_path: Path, threads: int) -> None:
    views = VIEWS.replace("STREAMS", "")
    with serving(tmp_path, views, "--workers", "1", "-k", "gthread", "--threads", str(threads)) as server:
        pages = opened(server)
        assert [status for status, _ in pages] == [204, 204]
        assert server.get("/ready")[0] == 200
        for _, connection in pages:
            connection.close()


def test_threads_that_the_app_can_spare_are_streams_and_the_others_stay_free(tmp_path: Path) -> None:
    views = VIEWS.replace("STREAMS", ", streams=1")
    with serving(tmp_path, views, "--workers", "1", "-k", "gthread", "--threads", "2") as server:
        pages = opened(server)
        assert [status for status, _ in pages] == [200, 204]
        assert server.get("/ready")[0] == 200
        for _, connection in pages:
            connection.close()
