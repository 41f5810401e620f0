"""The dashboard's blueprint: a page, its data, its stream, and the end of a ban.

1. Without a guard that asks who it is, it is not made; the guards stand on every view of it, its script and style too.
2. The page has a Content-Security-Policy of its own: nothing but our own files, no inline script or style, no frames.
3. What changes something is a POST with a header that no form and no page of another site can send unasked
   (``X-Rampart-Dashboard``), beside ``csrf("strict")`` and what a token in a cookie asks (``X-CSRF-Token``); what was
   done is in the audit log.
4. A stream of events holds a thread for as long as it lasts, and no server tells an app how many it has:
   ``wsgi.multithread`` is true with one as well (gunicorn's ``gthread``). So there is none unless the app says how many
   threads of a worker it can spare (``streams``): who asks for one is answered 204, and the page asks every two
   seconds instead. So it does above that number, and where ``wsgi.multithread`` is false (gunicorn's ``sync``).
5. A stream ends after half a minute, and the browser asks for the next: whoever may see it no more (a token that was
   revoked, a role that was taken away) sees no more of it than that.
6. Pages of other origins read none of it, whatever ``RAMPART_CORS_ORIGINS`` says.

It refuses nothing itself. What it shows is in ``overview``.
"""

from __future__ import annotations

import functools
import json
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app, g, request
from flask.blueprints import BlueprintSetupState

from ..audit import Audit
from ..declarations import protect_blueprint
from ..errors import ConfigError, Denied
from ..exchange import EXTENSION
from ..guards import AppState, Guard, asks_who, current_exchange
from ..headers import headers
from ..limits import Limits
from ..limits.remote import RemoteAway
from ..metrics import Metrics
from ..origins import cors, csrf
from ..tokens import Tokens
from .overview import overview

MOST_STREAMS = 64
"""Streams of one process at once, whatever the app says."""
_LENGTH = 30.0
_EVERY = 2.0
_FILES = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "app.svg": "image/svg+xml",
}
_NO_COOKIE = '<meta name="csrf-cookie" content="">'
_STATIC = Path(__file__).parent / "static"
_CSP = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}


class Dashboard(Blueprint):
    """One page for those who run the app: ``app.register_blueprint(Dashboard(require(roles="admin")))``.

    Register it after ``Rampart(app)``. From then on requests are counted and the last refusals are remembered, with
    address and principal, in memory that the workers of the host share.

    :param guards: who may see it; at least one that asks who it is.
    :param path: where it is.
    :param unban: who may, of those, also end a ban, such as ``require(roles="operator")``. Not given: all of them.
    :param streams: how many threads of each process may be held by pages that are kept fresh by a stream: fewer than
        a worker has. Not given: none, and pages ask every two seconds.
    :raises ConfigError: without such a guard, if *unban* is none, or *streams* no number from 0 to 64.

    >>> from flask_rampart import require
    >>> Dashboard(require(roles="admin")).url_prefix
    '/rampart'
    """

    def __init__(
        self,
        *guards: Guard,
        path: str = "/rampart",
        name: str = "rampart_dashboard",
        unban: Guard | Sequence[Guard] = (),
        streams: int = 0,
    ) -> None:
        if not all(isinstance(guard, Guard) for guard in guards) or not any(map(asks_who, guards)):
            raise ConfigError(
                "Dashboard() would be open to everybody: say who may see it, such as "
                "Dashboard(require(roles='admin')). What is optional or public asks nobody."
            )
        more = (unban,) if isinstance(unban, Guard) else tuple(unban)
        if not all(isinstance(guard, Guard) for guard in more):
            raise ConfigError("Dashboard(unban=...) takes a guard, such as require(roles='operator').")
        if not isinstance(streams, int) or isinstance(streams, bool) or not 0 <= streams <= MOST_STREAMS:
            raise ConfigError(
                f"Dashboard(streams={streams!r}) takes how many threads of a worker streams may hold: from 0 (pages "
                f"ask every two seconds) to {MOST_STREAMS}, fewer than a worker has, such as 2 of --threads 8."
            )
        super().__init__(name, __name__, url_prefix=path)
        protect_blueprint(self, (headers(csp=_CSP, cache="no-store"), cors.none, *guards))
        self._most = streams
        # Held weakly: an answer that is thrown away before it is sent gives its place back, too.
        self._streams: weakref.WeakSet[Response] = weakref.WeakSet()
        self._lock = threading.Lock()
        self.teardown_request(self._given_up)
        self.add_url_rule("/", "page", self._page)
        self.add_url_rule("/app.<any(css,js,svg):kind>", "file", self._file)
        self.add_url_rule("/data", "data", self._data)
        self.add_url_rule("/events", "events", self._events)
        # Of its own, since what the app says of its views leaves ours out; and whatever the app says.
        view: Any = csrf("strict")(lambda: self._unban())
        for guard in more:
            view = guard(view)
        self.add_url_rule("/unban", "unban", view, methods=["POST"])

    def register(self, app: Any, options: dict[str, Any]) -> None:
        """As Flask does it.

        :raises ConfigError: if *app* has no ``Rampart`` yet.
        """
        state: AppState | None = app.extensions.get(EXTENSION)
        if state is None:
            raise ConfigError("register the Dashboard after Rampart(app) or init_app(app).")
        state.services[Metrics].want(refusals=True)
        super().register(app, options)

    def make_setup_state(self, app: Any, options: dict[str, Any], first_registration: bool = False) -> Any:
        made = BlueprintSetupState(self, app, options, first_registration)
        state: AppState = app.extensions[EXTENSION]
        prefix = f"{options['name_prefix']}." if options.get("name_prefix") else ""
        for view in ("page", "file", "data", "events", "unban"):
            endpoint = f"{prefix}{options.get('name', self.name)}.{view}"
            state.own_endpoints.add(endpoint)
            if view != "unban":
                state.looking_endpoints.add(endpoint)
        return made

    def _page(self) -> Response:
        current_exchange().looking = True
        page = (_STATIC / "page.html").read_text("utf-8")
        tokens: Tokens | None = _state().services.get(Tokens)
        if tokens is not None:
            # One of three names of ours: nothing in it needs to be escaped.
            page = page.replace(_NO_COOKIE, _NO_COOKIE.replace('""', f'"{tokens.csrf_cookie}"'))
        return Response(page, content_type="text/html; charset=utf-8")

    def _file(self, kind: str) -> Response:
        current_exchange().looking = True
        name = f"app.{kind}"
        response = Response((_STATIC / name).read_bytes(), content_type=_FILES[name])
        response.add_etag()
        response.make_conditional(request)
        return response

    def _data(self) -> Response:
        current_exchange().looking = True
        whole = request.args.get("whole") == "1"
        return Response(_written(_state(), _minutes(), whole=whole), content_type="application/json")

    def _events(self) -> Response:
        current_exchange().looking = True
        response = Response(self._stream(_state(), _minutes()), content_type="text/event-stream")
        with self._lock:
            if not request.environ.get("wsgi.multithread") or len(self._streams) >= self._most:
                # To a browser's EventSource it means: do not come again.
                return Response(status=204)
            self._streams.add(response)
        response.headers["X-Accel-Buffering"] = "no"
        # Also where the server never begins the body.
        response.call_on_close(functools.partial(self._end, weakref.ref(response)))
        g.rampart_stream = weakref.ref(response)
        return response

    def _end(self, stream: weakref.ref[Response]) -> None:
        response = stream()
        if response is not None:
            with self._lock:
                self._streams.discard(response)

    def _given_up(self, error: BaseException | None) -> None:
        """A hook of the app's failed after the view: what the view answered is never sent, nor closed."""
        stream = g.pop("rampart_stream", None)
        if error is not None and stream is not None:
            self._end(stream)

    def _stream(self, state: AppState, minutes: int) -> Iterator[str]:
        end = time.monotonic() + _LENGTH
        yield "retry: 1000\n\n"
        while time.monotonic() < end:
            yield f"data: {_written(state, minutes, whole=False)}\n\n"
            time.sleep(_EVERY)

    def _unban(self) -> Response:
        exchange = current_exchange()
        if "X-Rampart-Dashboard" not in request.headers or not request.is_json:
            raise exchange.refuse(Denied.of("csrf.invalid", reason="not sent by the dashboard's page"))
        given = request.get_json()
        address = given.get("address") if isinstance(given, dict) else None
        kind = given.get("kind") if isinstance(given, dict) else None
        if not isinstance(address, str) or kind not in ("address", "network"):
            raise exchange.refuse(Denied.of("body.invalid", reason="no ban"))
        state = _state()
        log: Audit = state.services[Audit]
        limits: Limits = state.services[Limits]
        log.event("rampart.unban", resource=f"{kind}:{address}")
        try:
            was = limits.bans.lift(kind, address)
        except RemoteAway:
            raise exchange.refuse(Denied.of("store.unavailable", reason="other hosts were not told")) from None
        return Response(json.dumps({"was": was}), content_type="application/json")


def _state() -> AppState:
    state: AppState = current_app.extensions[EXTENSION]
    return state


def _minutes() -> int:
    """How much of the last hour is asked for."""
    return min(max(request.args.get("minutes", 15, int), 1), 60)


def _written(state: AppState, minutes: int, *, whole: bool) -> str:
    return json.dumps(overview(state, minutes=minutes, whole=whole), separators=(",", ":"))
