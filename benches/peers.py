"""The peers: the stack of extensions that a team would put on the same app instead.

Flask-Talisman (headers), Flask-Limiter with its memory storage, Flask-JWT-Extended with PyJWT, jsonschema-rs,
and an access log through a ``logging.Filter`` of twenty patterns. Each is set up as its documentation says,
and where there is a choice, the cheaper one is taken. ``gunicorn`` serves ``peers:everything()`` and
``peers:limited()``.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import logging
import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import material
from apps import AMPLE, HERE, directory, order_view
from common import PATH
from flask import Flask, Response, abort, g, request

PACKAGES = ("flask-talisman", "flask-limiter", "flask-jwt-extended", "jsonschema-rs", "cryptography")
_MODULES = ("flask_talisman", "flask_limiter", "flask_jwt_extended", "jsonschema_rs", "cryptography")


def missing(*modules: str) -> list[str]:
    """Which of these modules (the stack's, if none is named) are not installed."""
    return [name for name in modules or _MODULES if importlib.util.find_spec(name) is None]


def stacked(
    name: str,
    *,
    headers: bool = False,
    algorithm: str | None = None,
    quota: str | None = None,
    schema: bool = False,
    log: bool = False,
) -> Flask:
    """The app with those peers that are asked for."""
    app = Flask(name, root_path=HERE)
    view: Callable[..., Any] = order_view()
    if schema:
        view = _validated(view)
    if algorithm is not None:
        view = _with_token(app, view, algorithm)
    if quota is not None:
        from flask_limiter import Limiter
        from flask_limiter.util import get_remote_address

        view = Limiter(get_remote_address, app=app, storage_uri="memory://").limit(quota)(view)
    if headers:
        from flask_talisman import Talisman  # type: ignore[import-untyped, unused-ignore]

        Talisman(
            app,
            force_https=False,
            frame_options="DENY",
            referrer_policy="no-referrer",
            content_security_policy={"default-src": "'none'", "frame-ancestors": "'none'"},
        )
    if log:
        _logged(app)
    app.post(PATH)(view)
    return app


def everything(algorithm: str = "HS256", quota: str = AMPLE, name: str = "peers") -> Flask:
    """The whole stack."""
    return stacked(name, headers=True, algorithm=algorithm, quota=quota, schema=True, log=True)


def limited(quota: str = "100/hour") -> Flask:
    """An app with Flask-Limiter's memory storage alone, for ``workers.py``."""
    from flask_limiter import Limiter
    from flask_limiter.util import get_remote_address

    app = Flask("limited", root_path=HERE)

    @app.get("/")
    @Limiter(get_remote_address, app=app, storage_uri="memory://").limit(quota)
    def index() -> str:
        return "admitted"

    return app


def refusing(quota: str = "1/hour", *, application: bool = True) -> Flask:
    """An app whose callers are over their limit, for ``refusals.py``: of the application, or of the view."""
    from flask_limiter import Limiter
    from flask_limiter.util import get_remote_address

    app = Flask("refusing", root_path=HERE)
    limiter = Limiter(
        get_remote_address, app=app, storage_uri="memory://", application_limits=[quota] if application else []
    )
    view: Callable[[], str] = lambda: "admitted"  # noqa: E731 - each app needs one of its own
    app.get("/")(view if application else limiter.limit(quota)(view))
    return app


def _with_token(app: Flask, view: Callable[..., Any], algorithm: str) -> Callable[..., Any]:
    from flask_jwt_extended import JWTManager, get_jwt, jwt_required

    app.config["JWT_ALGORITHM"] = algorithm
    app.config["JWT_DECODE_AUDIENCE"] = material.AUDIENCE
    app.config["JWT_DECODE_ISSUER"] = material.ISSUER
    app.config["JWT_ACCESS_TOKEN_EXPIRES"] = timedelta(minutes=15)
    if algorithm == "HS256":
        app.config["JWT_SECRET_KEY"] = material.SECRET
    else:
        app.config["JWT_PUBLIC_KEY"] = material.public_key(algorithm).decode()
    JWTManager(app)

    @jwt_required()  # type: ignore[untyped-decorator, unused-ignore]
    @functools.wraps(view)
    def permitted(**arguments: Any) -> Any:
        if material.SCOPE not in get_jwt()["scope"].split():
            abort(403)
        return view(**arguments)

    result: Callable[..., Any] = permitted
    return result


def _validated(view: Callable[..., Any]) -> Callable[..., Any]:
    import jsonschema_rs

    is_valid = jsonschema_rs.validator_for(material.ORDER_SCHEMA, validate_formats=True).is_valid

    @functools.wraps(view)
    def valid(**arguments: Any) -> Any:
        if not is_valid(request.get_json()):
            abort(422)
        return view(**arguments)

    return valid


class RedactingFilter(logging.Filter):
    """Replaces what twenty patterns find, one after another."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = redact(record.getMessage())
        record.args = ()
        return True


_COMPILED = [(re.compile(pattern), f"[{name}]") for name, pattern in material.PATTERNS]


def redact(text: str) -> str:
    """The loop of ``re`` patterns."""
    for pattern, instead in _COMPILED:
        text = pattern.sub(instead, text)
    return text


def _logged(app: Flask) -> None:
    logger = logging.getLogger(f"access.{app.import_name}")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.FileHandler(directory() / "peers.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    handler.addFilter(RedactingFilter())
    logger.handlers[:] = [handler]

    @app.before_request
    def begin() -> None:
        g.begun = time.perf_counter_ns()

    @app.after_request
    def write(response: Response) -> Response:
        line = {
            "address": request.remote_addr,
            "method": request.method,
            "route": request.url_rule.rule if request.url_rule else None,
            "target": request.full_path,
            "status": response.status_code,
            "micros": (time.perf_counter_ns() - g.begun) // 1000,
        }
        logger.info("%s", json.dumps(line))
        return response
