"""The app that the tests of several workers serve: its own tokens, API keys, and perhaps an issuer's tokens.

Settings come from the environment, as gunicorn's workers have nothing else in common with a test. Each answer, also a
refusal, says in ``X-Worker`` which process gave it. A request with ``X-Hold`` stops its whole process for some
milliseconds before it is answered, so that simultaneous ones reach the others too.
"""

from __future__ import annotations

import ctypes
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from flask import Flask, Response, request

from flask_rampart import Clock, Denied, Rampart, current_principal, require

AHEAD = os.environ.get("TEST_AHEAD", "")
"""A file that says how many seconds the workers' clocks are ahead; without one, they go by the system's."""

# Calls C without letting go of the interpreter: no thread and no greenlet of this process runs meanwhile.
_usleep = ctypes.PyDLL(None).usleep


def create_app() -> Flask:
    app = Flask(__name__, instance_path=os.environ["TEST_INSTANCE"])
    app.config.update(
        RAMPART_ACCESS_LOG="off",
        RAMPART_API_KEYS=True,
        RAMPART_JWT_KEYS=[{"kid": "own", "alg": "HS256", "secret": os.environ["TEST_SECRET"]}],
        # Longer than any test takes, however slow the machine: whether a token comes back too late is no matter here.
        RAMPART_JWT_REFRESH_OVERLAP=120,
        # Tables of this server's own: other tests serve this app at the same time, some by another clock.
        RAMPART_LIMIT_STORE=f"shm://{os.environ['TEST_INSTANCE']}-tables",
    )
    issuers = os.environ.get("TEST_ISSUERS")
    if issuers:
        app.config["RAMPART_ISSUERS"] = json.loads(issuers)
    clock = Clock.manual(time.time()) if AHEAD else Clock.system()
    rampart = Rampart(app, clock=clock)
    if AHEAD:
        app.wsgi_app = _Set(app.wsgi_app, clock)  # type: ignore[method-assign]

    @app.after_request
    def tell(response: Response) -> Response:
        if "X-Hold" in request.headers:
            _usleep(20_000)
        response.headers["X-Worker"] = str(os.getpid())
        return response

    @app.post("/login")
    def login() -> Response:
        return rampart.tokens.issue_pair(request.json["subject"]).response()

    @app.post("/refresh")
    def refresh() -> Response:
        return rampart.tokens.refresh().response()

    @app.post("/revoke/<what>")
    @require("jwt")
    def revoke(what: str) -> dict[str, Any]:
        tokens = rampart.tokens
        if what == "token":
            tokens.revoke(current_principal)
        elif what == "login":
            tokens.logout()
        else:
            tokens.revoke_subject(current_principal.id)
        return {}

    @app.get("/")
    @require("jwt")
    def mine() -> dict[str, Any]:
        return {"id": current_principal.id}

    @app.post("/judge")
    def judge() -> list[str]:
        """What each of many tokens is worth."""
        return [worth(token) for token in request.json]

    def worth(token: str) -> str:
        try:
            rampart.tokens.verify(token)
        except Denied as denied:
            return denied.problem.code
        return "ok"

    @app.post("/keys")
    def make_key() -> dict[str, Any]:
        new = rampart.api_keys.create("for a test", owner="ada")
        return {"id": new.id, "key": new.key}

    @app.delete("/keys/<key_id>")
    def revoke_key(key_id: str) -> dict[str, Any]:
        return {"revoked": rampart.api_keys.revoke(key_id)}

    @app.get("/by-key")
    @require("api_key")
    def by_key() -> dict[str, Any]:
        return {"id": current_principal.id}

    return app


class _Set:
    """Sets the clock before each request to what the file says."""

    def __init__(self, inner: Any, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        self._lock = threading.Lock()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        with self._lock:
            now = time.time() + float(Path(AHEAD).read_text())
            self._clock.advance(max(0.0, now - self._clock.now()))
        return self._inner(environ, start_response)
