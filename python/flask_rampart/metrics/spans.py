"""What an active OpenTelemetry span is told, where ``opentelemetry-api`` is installed.

A span that records, of whichever instrumentation (OpenTelemetry's own of Flask or of WSGI), gets:

1. for each refusal an event ``rampart.refused`` with ``rampart.refusal.code`` and ``http.response.status_code``; and
   the attribute ``error.type``: the code;
2. when a view's answer is made: ``http.route``, ``http.request.method``, ``http.response.status_code`` (HTTP semantic
   conventions 1.23), ``rampart.request.id`` and ``rampart.principal.kind``.

Never a name, an address, a token or a path. Nothing is imported, and nothing happens, where there is no
``opentelemetry-api``.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask, request, request_finished

from ..guards import current_exchange

if TYPE_CHECKING:
    from ..errors import Denied
    from ..exchange import Exchange

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"))
Refused = Callable[["Exchange", "Denied"], None]


def trace_refusals(app: Flask) -> Refused | None:
    """Has the app's spans told, and gives what is to be called at each refusal; None without OpenTelemetry."""
    try:
        found = importlib.util.find_spec("opentelemetry.trace")
    except ModuleNotFoundError:
        found = None
    if found is None:
        return None
    trace: Any = importlib.import_module("opentelemetry.trace")

    def refused(exchange: Exchange, denied: Denied) -> None:
        span = trace.get_current_span()
        if span.is_recording():
            code, status = denied.problem.code, denied.problem.status
            span.add_event("rampart.refused", {"rampart.refusal.code": code, "http.response.status_code": status})
            span.set_attribute("error.type", code)

    def answered(sender: Flask, response: Any, **_: Any) -> None:
        span = trace.get_current_span()
        if not span.is_recording():
            return
        exchange = current_exchange()
        told = {
            "http.request.method": request.method if request.method in _METHODS else "_OTHER",
            "http.response.status_code": response.status_code,
            "rampart.request.id": exchange.id,
        }
        if exchange.route is not None:
            told["http.route"] = exchange.route
        if exchange.principal is not None:
            told["rampart.principal.kind"] = exchange.principal.kind
        span.set_attributes(told)

    # Held by the app, as signals hold receivers weakly.
    app.extensions["rampart_spans"] = answered
    request_finished.connect(answered, sender=app)
    return refused
