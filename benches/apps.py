"""Bare Flask and ours: every use of ``flask_rampart`` in the benches stands here.

``gunicorn`` serves these too: ``apps:bare()``, ``apps:everything()``, ``apps:limited()``.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import material
from common import ADDRESS, PATH, WSGIApp, answer, environ
from flask import Flask, request
from flask.typing import ResponseReturnValue

HERE = str(Path(__file__).resolve().parent)
AMPLE = "10000000/hour"
#: Bytes of each app's table of counters: small, for there are many apps and /dev/shm may be small.
TABLE = 1024 * 1024
DIRECTORY = "BENCH_DIRECTORY"


def directory() -> Path:
    """A private folder of this run, for counters and logs: in memory where the host has that.

    The workers of a server find the one that the bench made in the environment.
    """
    if DIRECTORY not in os.environ:
        shared = Path("/dev/shm")
        made = tempfile.mkdtemp(prefix="bench-", dir=shared if os.access(shared, os.W_OK) else None)
        os.environ[DIRECTORY] = made
        atexit.register(_remove, made, os.getpid())
    return Path(os.environ[DIRECTORY])


def _remove(made: str, owner: int) -> None:
    # A worker that was forked off leaves it to the process that made it.
    if os.getpid() == owner:
        shutil.rmtree(made, ignore_errors=True)


def order_view() -> Callable[..., Any]:
    """The view of all variants: reads its body, answers a little JSON.

    A new function for each app: guards and the peers' limits are noted by view function.
    """

    def store_order() -> ResponseReturnValue:
        order = request.get_json()
        return {"id": order["id"], "lines": len(order["lines"]), "stored": True}

    return store_order


def bare(name: str = "bare") -> Flask:
    """Flask with the view and nothing else."""
    app = Flask(name, root_path=HERE)
    app.post(PATH)(order_view())
    return app


def guarded(
    name: str,
    *,
    algorithm: str | None = None,
    quota: str | None = None,
    schema: bool = False,
    log: bool = False,
    application: str | None = None,
) -> Flask:
    """The same app behind ours, with the guards that are asked for; secure headers are always on.

    :param algorithm: of the tokens that ``require(scopes=...)`` takes; None leaves it out.
    :param quota: of ``limit``, per address.
    :param application: the application-wide limit.
    """
    from flask_rampart import Rampart, limit, require, validate, validated

    def store_validated() -> ResponseReturnValue:
        order = validated.body
        return {"id": order["id"], "lines": len(order["lines"]), "stored": True}

    app = Flask(name, root_path=HERE)
    app.config["RAMPART_PROFILE"] = "api"
    app.config["RAMPART_LIMIT_STORE"] = f"shm://{directory()}"
    app.config["RAMPART_LIMIT_TABLE"] = TABLE
    app.config["RAMPART_ACCESS_LOG"] = str(directory() / "ours.log") if log else "off"
    if application is not None:
        app.config["RAMPART_LIMITS"] = application
    decorators: list[Callable[[Any], Any]] = []
    if schema:
        decorators.append(validate(body=material.ORDER_SCHEMA))
    if quota is not None:
        decorators.append(limit(quota, by="address"))
    if algorithm is not None:
        app.config["RAMPART_JWT_KEYS"] = [_key(algorithm)]
        app.config["RAMPART_JWT_ISSUER"] = material.ISSUER
        app.config["RAMPART_JWT_AUDIENCE"] = material.AUDIENCE
        decorators.append(require(scopes=material.SCOPE))
    Rampart(app)
    decorators.append(app.post(PATH))
    # As decorators above a view, each is given what nobody else holds.
    views = [store_validated if schema else order_view()]
    del store_validated
    for decorator in decorators:
        views.append(decorator(views.pop()))
    return app


def _key(algorithm: str) -> dict[str, Any]:
    if algorithm == "HS256":
        return {"alg": "HS256", "secret": material.SECRET}
    return {"alg": algorithm, "pem": material.public_key(algorithm), "verify_only": True}


def everything(algorithm: str = "HS256", quota: str = AMPLE, name: str = "everything") -> Flask:
    """All five guards: headers, limit, token, schema, access log."""
    return guarded(name, algorithm=algorithm, quota=quota, schema=True, log=True)


def at_the_edge(app: WSGIApp, name: str, *, log: bool) -> WSGIApp:
    """A WSGI app behind our middleware alone: headers, and the access log if wanted."""
    from flask_rampart import EdgePolicy, RampartMiddleware

    config = {
        "RAMPART_PROFILE": "api",
        "RAMPART_ACCESS_LOG": str(directory() / "ours.log") if log else "off",
    }
    edge: Any = RampartMiddleware(app, EdgePolicy.of(config, name=name))
    wrapped: WSGIApp = edge
    return wrapped


def limited(quota: str = "100/hour") -> Flask:
    """An app with a limit alone, on the shared store, for ``workers.py``."""
    from flask_rampart import Rampart, limit

    app = Flask("limited", root_path=HERE)
    app.config["RAMPART_LIMIT_STORE"] = f"shm://{directory()}"
    app.config["RAMPART_LIMIT_TABLE"] = TABLE
    app.config["RAMPART_ACCESS_LOG"] = "off"
    Rampart(app)

    @app.get("/")
    @limit(quota, by="address")
    def index() -> str:
        return "admitted"

    return app


def hello(*, full: bool = False) -> WSGIApp:
    """The least that a server can be asked to send: what remains is the server's own.

    :param full: the very headers and body that ours refuses with.
    """
    status, body = "429 TOO MANY REQUESTS", b'{"code":"limit.exceeded"}'
    headers = [("Content-Type", "application/problem+json"), ("Content-Length", str(len(body)))]
    if full:
        ours = refusing()
        for _ in range(2):
            answered, sent, body = answer(ours.wsgi_app, {**environ(b""), "REQUEST_METHOD": "GET", "PATH_INFO": "/"})
        assert answered == 429
        headers = list(sent.items())

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response(status, list(headers))
        return [body]

    return app


def refusing(quota: str = "1/hour", *, log: bool = False, application: bool = True) -> Flask:
    """An app whose callers are over their limit: of the application, which the edge asks, or of the view."""
    from flask_rampart import Rampart, limit

    app = Flask("refusing", root_path=HERE)
    app.config["RAMPART_LIMIT_STORE"] = f"shm://{directory()}"
    app.config["RAMPART_LIMIT_TABLE"] = TABLE
    app.config["RAMPART_ACCESS_LOG"] = str(directory() / "refusing.log") if log else "off"
    if application:
        app.config["RAMPART_LIMITS"] = quota
    Rampart(app)
    # That all requests come from one address is what this app is for.
    app.logger.setLevel("ERROR")
    view: Callable[[], str] = lambda: "admitted"  # noqa: E731 - each app needs one of its own
    app.get("/")(view if application else limit(quota, by="address")(view))
    return app


def across_hosts(url: str, timeout: float = 0.05) -> Flask:
    """An app whose counters are in a Redis, for ``outage.py``. Its answers say in milliseconds how long it took, in
    ``X-Took``, and how long of that it waited for a processor that others had, in ``X-Queued``."""
    from flask_rampart import Rampart, limit

    # Where this host counts while the Redis is away.
    os.environ["XDG_RUNTIME_DIR"] = str(directory())
    app = Flask("across_hosts", root_path=HERE)
    app.config["SECRET_KEY"] = "b" * 32
    app.config["RAMPART_LIMIT_STORE"] = url
    app.config["RAMPART_LIMIT_STORE_TIMEOUT"] = timeout
    app.config["RAMPART_LIMIT_TABLE"] = TABLE
    app.config["RAMPART_ACCESS_LOG"] = "off"
    Rampart(app)
    app.logger.setLevel("ERROR")

    @app.get("/ample")
    @limit(AMPLE)
    def ample() -> str:
        return "admitted"

    @app.get("/scarce")
    @limit("200/hour", by=lambda: request.headers["X-Client"])
    def scarce() -> str:
        return "admitted"

    inner = app.wsgi_app

    def timed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        begun, queued = time.perf_counter(), _queued()

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            times = {"X-Took": time.perf_counter() - begun, "X-Queued": _queued() - queued}
            told = [(name, f"{seconds * 1000:.3f}") for name, seconds in times.items()]
            return start_response(status, [*headers, *told], exc_info)

        return inner(environ, start)

    app.wsgi_app = timed  # type: ignore[method-assign]
    return app


def _queued() -> float:
    """Seconds for which this thread was ready, and other programs had the processors."""
    try:
        with open("/proc/thread-self/schedstat", encoding="ascii") as stat:
            return int(stat.read().split()[1]) / 1e9
    except OSError:
        return 0.0


def counting(name: str, *entries: tuple[str, str], size: int = TABLE) -> Any:
    """Limits as a guard asks them, on the store shared by workers: for each entry its kind of key and its quotas."""
    from flask_rampart import _native
    from flask_rampart.limits import calendar

    store = _native.LimitStore.shared(str(directory()), f"counting-{size}", _native.Clock.system(), bytes=size)
    made = [(f"{name} {nth}", _native.Quota.parse(text), kind) for nth, (kind, text) in enumerate(entries)]
    return _native.LimitSet(store, made, windows=calendar.window)


class InRedis:
    """Limits whose counters are in a Redis, as a guard asks them."""

    def __init__(self, url: str, quotas: str) -> None:
        from importlib import resources

        from flask_rampart import _native
        from flask_rampart.limits.elsewhere import RemoteSet
        from flask_rampart.limits.remote import Remote

        store = _native.LimitStore.local(_native.Clock.system(), keys=1, seed=b"b" * 16)
        self._naming = _native.LimitSet(store, [("bench", _native.Quota.parse(quotas), "text")])
        self._set = RemoteSet(Remote(url, prefix="bench", timeout=5), self._naming, lambda: self._naming, ("local",))
        self.script = resources.files("flask_rampart.limits.remote").joinpath("check.lua").read_text("utf-8")

    def check(self) -> None:
        """Asks for somebody."""
        self._set.check(("somebody",))

    def command(self) -> tuple[list[str], list[str]]:
        """What is asked for somebody else, as redis-py takes it: keys and arguments."""
        names, words = self._naming.questions(("somebody else",), 1)
        return [*(f"{{bench}}:{name}" for name in names), "{bench}:bans:changes"], ["check", *words]


# Our operations, one at a time, as Python calls them.


class Ours:
    """The native operations that ``operations.py`` times."""

    def __init__(self) -> None:
        from flask_rampart import _native

        self._native: Any = _native
        self._clock = _native.Clock.system()

    def verify(self, algorithm: str, *, seen: int = 0) -> Callable[[str], Any]:
        """Verifies a token; with *seen*, remembers that many."""
        native = self._native
        if algorithm == "HS256":
            key = native.Key.from_secret(material.SECRET, algorithm)
        else:
            key = native.Key.from_pem(material.public_key(algorithm), algorithm)
        verifier = native.Verifier(
            [key], self._clock, seen=seen, audiences=(material.AUDIENCE,), issuers=(material.ISSUER,)
        )
        call: Callable[[str], Any] = verifier.verify
        return call

    def verify_to_dict(self, algorithm: str, *, seen: int = 0) -> Callable[[str], dict[str, Any]]:
        """Verifies a token and makes a dict of its claims, as the peers do."""
        verify = self.verify(algorithm, seen=seen)

        def call(token: str) -> dict[str, Any]:
            claims: dict[str, Any] = verify(token).claims
            return claims

        return call

    def limit(self, quota: str) -> Callable[[str], Any]:
        """Checks a limit by address on the shared store; the verdict has ``admitted``."""
        native = self._native
        store = native.LimitStore.shared(str(directory()), "operations", self._clock, bytes=TABLE)
        limits = native.LimitSet(store, [(f"operations {quota}", native.Quota.parse(quota), "address")])
        check = limits.check

        def call(address: str) -> Any:
            return check((address,))

        return call

    def validate(self, schema: dict[str, Any]) -> Callable[[bytes], Any]:
        """Makes validated objects of a body's bytes."""
        native = self._native
        call: Callable[[bytes], Any] = native.Schema(json.dumps(schema), native.JsonBounds()).check
        return call

    def headers(self, app: WSGIApp) -> WSGIApp:
        """The app with our secure headers added, by the native call and nothing else."""
        apply = self._native.HeaderPolicy("api").apply

        def with_headers(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
            def start(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
                return start_response(status, apply(headers, True))

            return app(environ, start)

        return with_headers

    def redact(self) -> Callable[[str], str]:
        """Redacts a text."""
        call: Callable[[str], str] = self._native.Redactor().redact
        return call


def addresses(count: int) -> Sequence[str]:
    """Addresses of clients, RFC 2544's range."""
    return (ADDRESS, *(f"198.18.{number // 256}.{number % 256}" for number in range(1, count)))
