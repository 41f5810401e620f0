"""Locks, as a server that loads the app, forks, and then changes what a thread is (``gunicorn --preload -k gevent``)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# The parent loads an app and forks; the child becomes a gevent worker, and many requests come at once.
LOADED_FIRST = """
import json, os, sys, time
from flask import Flask
from flask_rampart import Rampart, require
from flask_rampart._native import Key
from flask_rampart.stores import MemoryStore, Records

issuer = "http://127.0.0.1:1"
key = Key.from_secret(b"0123456789abcdef0123456789abcdef", "HS256", "own")
entry = {"issuer": issuer, "audience": "api", "allow_http": True, "allow_private": True}
if sys.argv[1] == "introspection":
    entry["introspection"] = {"client_id": "api", "client_secret": "secret", "endpoint": issuer + "/introspection"}
app = Flask("loaded")
app.config.update(
    RAMPART_ACCESS_LOG="off",
    RAMPART_JWT_KEYS=[{"kid": "own", "alg": "HS256", "secret": "0123456789abcdef0123456789abcdef"}],
    RAMPART_ISSUERS=[entry],
)
app.testing = True
rampart = Rampart(app)
app.get("/")(require()(lambda: "ok"))

class Slow(MemoryStore):
    # As a store on the network is, or a file that another worker writes to.
    def changes(self, kind, since):
        time.sleep(0.01)
        return super().changes(kind, since)

def opened(url, folder, **more):
    time.sleep(0.01)
    return Slow()

import flask_rampart.stores
flask_rampart.stores.open_store = opened
rampart_state = app.extensions["rampart"]
rampart_state.services[Records]._store = None
token = key.sign(json.dumps({"sub": "ada", "exp": time.time() + 600}))
tokens = {
    "store": [token] * 40,
    "keys": [key.sign(json.dumps({"iss": issuer, "sub": "ada", "exp": time.time() + 600}))] * 40,
    "introspection": [f"opaque-{number}" for number in range(40)],
}[sys.argv[1]]

child = os.fork()
if child == 0:
    import signal
    signal.alarm(20)
    from gevent import monkey
    monkey.patch_all()
    import gevent
    def ask(token):
        return app.test_client().get("/", headers={"Authorization": "Bearer " + token}).status_code
    asked = [gevent.spawn(ask, token) for token in tokens]
    gevent.joinall(asked)
    print(sorted({each.value for each in asked}), flush=True)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(("what", "statuses"), [("store", [200]), ("keys", [503]), ("introspection", [503])])
def test_greenlets_of_an_app_that_was_loaded_before_them_do_not_block_their_worker(
    what: str, statuses: list[int], tmp_path: Path
) -> None:
    # A lock from before gevent's time blocks every greenlet, also the one that holds it.
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOADED_FIRST, what],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, run.stdout) == (0, f"{statuses}\n"), run.stderr
