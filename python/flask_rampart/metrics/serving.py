"""The endpoint that a scraper asks, never open by accident.

1. Something must ask who it is: a bearer token (``RAMPART_METRICS_TOKEN``), or a guard of the app's such as
   ``require(scopes="metrics.read")``. At a path of ours the start-up ends without it; a view that the app adds itself
   answers 403 ``route.undeclared`` to everybody.
2. OpenMetrics 1.0 for who names it in ``Accept`` and wants it no less than text; Prometheus' text format 0.0.4 for
   everybody else.
3. No cache keeps the answer, and at a path of ours pages of other origins read nothing, whatever
   ``RAMPART_CORS_ORIGINS`` says.

There is no "from this machine alone": behind a proxy on the same machine, that is everybody.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, current_app, request

from ..errors import ConfigError, Denied
from ..exchange import EXTENSION, Exchange
from ..guards import AppState, Guard, Stage, asks_who, current_exchange
from ..refusals import Challenge

if TYPE_CHECKING:
    from ..checks import Check
    from .service import Metrics

ENDPOINT = "rampart_metrics"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class metrics_token(Guard):  # noqa: N801 - a decorator
    """Admits who bears one fixed token: ``Authorization: Bearer ...``.

    :param token: at least 16 characters, none of them a blank.
    :raises ConfigError: for another.
    """

    stage = Stage.IDENTITY
    name = "metrics_token"
    opens = True

    def __init__(self, token: str) -> None:
        if len(token) < 16 or not token.isascii() or not token.isprintable() or " " in token:
            raise ConfigError(
                "RAMPART_METRICS_TOKEN is at least 16 ASCII characters without blanks: python -c 'import secrets; "
                "print(secrets.token_urlsafe(32))'"
            )
        self._token = token.encode()

    def __repr__(self) -> str:
        return "metrics_token"

    @classmethod
    def bind(cls, guards: Sequence[tuple[Any, str]], state: AppState, endpoint: str) -> Check:
        tokens = [guard._token for guard, _ in guards]
        challenge = Challenge("Bearer", {"realm": "metrics"})

        def check(exchange: Exchange) -> Denied | None:
            word, _, given = str(exchange.environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
            if word.lower() != "bearer" or not given.strip():
                return Denied.of("auth.missing", reason="no token for the metrics", headers=challenge.fields())
            told = given.strip().encode("utf-8", "surrogatepass")
            if not all(hmac.compare_digest(told, token) for token in tokens):
                return challenge.refused(("auth.invalid", "not the token for the metrics"))
            return None

        return check


LOOKS = "rampart_looks"
"""An attribute of views that show what is counted."""


class View:
    """Answers scrapes."""

    def __init__(self, metrics: Metrics, apart: Sequence[Guard] = ()) -> None:
        self._metrics = metrics
        #: Stands on the endpoint at a path of ours, unless a guard of its kind is given.
        self._apart = tuple(apart)

    def of(self) -> Callable[..., Response]:
        """A view function of its own each time: guards are declared on it."""

        def rampart_metrics(**_: str) -> Response:
            return self._answer()

        # Wherever the app puts it: wrappers take it along.
        rampart_metrics.__dict__[LOOKS] = True
        return rampart_metrics

    def serve(self, app: Flask, path: str, guards: Sequence[Guard]) -> None:
        """Serves at *path*.

        :raises ConfigError: at start-up, as :meth:`Metrics.serve`.
        """
        if not _is_path(path):
            raise ConfigError(
                f"the metrics cannot be served at {path!r}: a path that begins with /, such as '/metrics', without "
                "empty segments, '.', '..' and what a URL would write with %."
            )
        if not all(isinstance(guard, Guard) for guard in guards):
            raise ConfigError("rampart.metrics.serve(path, require(...)) takes guards.")
        if not any(map(asks_who, guards)):
            raise ConfigError(
                f"the metrics at {path} would be open: set RAMPART_METRICS_TOKEN, or leave RAMPART_METRICS_PATH out "
                "and say who may read them: rampart.metrics.serve('/metrics', require(scopes='metrics.read'))."
            )
        if ENDPOINT in app.view_functions:
            raise ConfigError("the metrics are served once for each app: RAMPART_METRICS_PATH, or serve().")
        state: AppState = app.extensions[EXTENSION]
        state.own_endpoints.add(ENDPOINT)
        state.looking_endpoints.add(ENDPOINT)
        view: Any = self.of()
        given = {type(guard) for guard in guards}
        for guard in (*(guard for guard in self._apart if type(guard) not in given), *guards):
            view = guard(view)
        # Without a host, a rule of an app that matches hosts would match none.
        options: dict[str, Any] = {"host": "<rampart_host>"} if app.url_map.host_matching else {}
        app.add_url_rule(path, ENDPOINT, view, methods=["GET"], **options)
        state.at_seal.append(lambda app: _has_place(app, path))

    def _answer(self) -> Response:
        state: AppState = current_app.extensions[EXTENSION]
        endpoint = request.endpoint or ""
        if not any(asks_who(guard) for guard, _ in state.guards_of(endpoint, request.method)):
            raise current_exchange().refuse(Denied.of("route.undeclared", reason="metrics without a guard"))
        current_exchange().looking = True
        wanted = _wants_openmetrics()
        response = Response(self._metrics.text(openmetrics=wanted), content_type=OPENMETRICS if wanted else TEXT)
        response.headers["Cache-Control"] = "no-store"
        response.vary.add("Accept")
        return response


def _is_path(path: object) -> bool:
    """Whether a request with this path arrives as it is written: none that the edge refuses or a server changes."""
    if not isinstance(path, str) or not re.fullmatch(r"/[A-Za-z0-9._~!$&'()*+,;=:@/-]*", path):
        return False
    segments = path[1:].split("/")
    return not {".", ".."}.intersection(segments) and "" not in segments[:-1]


def _wants_openmetrics() -> bool:
    accepted = request.accept_mimetypes
    named = [quality for kind, quality in accepted if kind.partition(";")[0].strip().lower() == OPENMETRICS[:28]]
    return bool(named) and max(named) > 0 and max(named) >= accepted.quality("text/plain")


def _has_place(app: Flask, path: str) -> None:
    """Refuses another route at *path*: whichever was added first would win."""
    for rule in app.url_map.iter_rules():
        served = "GET" in (rule.methods or ("GET",)) and not rule.build_only
        if rule.endpoint != ENDPOINT and served and rule.rule.rstrip("/") == path.rstrip("/"):
            raise ConfigError(
                f"{rule.endpoint} has the route {rule.rule}, where the metrics are served. Remove it, or choose "
                "another path."
            )
