"""Apps that are written once and run on the incumbent and on our face of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from html import unescape
from types import ModuleType, SimpleNamespace
from typing import Any

import flask_jwt_extended
import flask_limiter
import flask_limiter.util
import flask_wtf.csrf
import jwt
import limits.storage.memory
import limits.strategies
import pytest
from flask import Flask
from flask.testing import FlaskClient

import flask_rampart.compat.jwt_extended as face
import flask_rampart.compat.limiter as limiter_face
import flask_rampart.compat.wtf_csrf as csrf_face
from flask_rampart import Clock

Test = Callable[..., None]
JWT_FACES: dict[str, ModuleType] = {"theirs": flask_jwt_extended, "ours": face}
JWT_ROWS: set[str] = set()
"""The rows of docs/migrate/jwt-extended.md that have a test, by their first cell."""
CSRF_FACES: dict[str, ModuleType] = {"theirs": flask_wtf.csrf, "ours": csrf_face}
LIMITER_FACES: dict[str, ModuleType] = {"theirs": flask_limiter, "ours": limiter_face}
MIDNIGHT = 1_798_761_600.0
"""The first of January of 2027, in UTC: each window of the calendar begins there."""
SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/"


def jwt_row(*cells: str) -> Callable[[Test], Test]:
    """Says which rows of the page a test is about."""
    JWT_ROWS.update(cells)
    return lambda test: test


def jwt_app(module: ModuleType, **config: Any) -> tuple[Flask, Any]:
    """An app of *module*, with cookies as the incumbent sets them, and its manager."""
    app = Flask("faces")
    app.config.update(JWT_SECRET_KEY=SECRET, JWT_COOKIE_SECURE=False, JWT_COOKIE_SAMESITE=None)
    app.config.update(config)
    return app, module.JWTManager(app)


def claims_of(**changes: Any) -> dict[str, Any]:
    """What a token of the incumbent's says; a change to ``...`` leaves a claim out."""
    now = int(time.time())
    claims = {
        "fresh": False,
        "iat": now - 10,
        "jti": "5b0a3c0e",
        "type": "access",
        "sub": "ada",
        "nbf": now - 10,
        "csrf": "c5f1",
        "exp": now + 900,
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not ...}


def token_of(claims: dict[str, Any], key: Any = SECRET, algorithm: str = "HS256", **header: Any) -> str:
    """A token that PyJWT signs."""
    return jwt.encode(claims, key, algorithm, headers=header or None)


def bearer(token: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


def standing_clock(patch: pytest.MonkeyPatch) -> Clock:
    """A clock that Flask-Limiter goes by, and that our face can be given."""
    clock = Clock.manual(MIDNIGHT)
    told = SimpleNamespace(time=clock.now, mktime=time.mktime)
    for module in (limits.storage.memory, limits.strategies, flask_limiter._extension):
        patch.setattr(module, "time", told)
    return clock


def limiter_app(
    module: ModuleType, clock: Clock, key_func: Callable[[], Any] | None = None, **arguments: Any
) -> tuple[Flask, Any]:
    """An app of *module*, under test, and its limiter. Arguments in capitals are settings of the app."""
    app = Flask("limits")
    app.testing = True
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.config["RATELIMIT_STORAGE_URI"] = "memory://"
    app.config.update({name: value for name, value in arguments.items() if name.isupper()})
    given = {name: value for name, value in arguments.items() if not name.isupper()}
    if module is limiter_face:
        given["clock"] = clock
    return app, module.Limiter(key_func or module.util.get_remote_address, app=app, **given)


def csrf_app(module: ModuleType, clock: Clock | None = None, **config: Any) -> tuple[Flask, Any]:
    """An app of *module* that gives out its tokens and takes forms, and its extension. The clock is for ours."""
    app = Flask("csrf")
    app.config.update(SECRET_KEY=SECRET, PROPAGATE_EXCEPTIONS=False)
    app.config.update(config)
    protect = module.CSRFProtect(app, clock=clock) if clock and module is csrf_face else module.CSRFProtect(app)
    app.add_url_rule("/token", "token", module.generate_csrf)
    app.add_url_rule("/", "index", lambda: "hello", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    return app, protect


def sent(client: FlaskClient, path: str = "/", method: str = "POST", **given: Any) -> tuple[int, str]:
    """The status of an answer, and the words of its page."""
    answer = client.open(path, method=method, **given)
    found = re.search("<p>(.*)</p>", answer.text)
    return answer.status_code, unescape(found[1]) if found else answer.text
