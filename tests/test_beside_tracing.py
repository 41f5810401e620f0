"""Beside Sentry and OpenTelemetry: what they are told of a guarded app, and what never."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sentry_sdk
from flask import Flask, abort
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.flask import FlaskIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.transport import Transport

from flask_rampart import Rampart, limit, require, validate
from flask_rampart.guards import AppState
from flask_rampart.redaction import redact_event

from .beside import Secure, codes
from .beside import secure as secure
from .conftest import bearer

SECRET = "hunter2-hunter2"


def guarded(secure: Secure, app: Flask, **config: Any) -> Rampart:
    rampart = secure(app, **config)
    rampart.policy("never")(lambda principal: False)

    @app.post("/orders/<number>")
    @require(scopes="orders")
    @limit("3/minute")
    @validate(body={"type": "object", "maxProperties": 3})
    def order(number: str) -> Any:
        return {"number": number}

    @app.post("/broken")
    @require()
    def broken() -> Any:
        password = SECRET
        raise LookupError(f"no password={password}")

    @app.get("/inside")
    @require()
    def inside() -> Any:
        rampart.authorize("never")

    return rampart


class Kept(Transport):
    """Sends nothing, and keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Any) -> None:
        self.sent += [item.payload.json for item in envelope.items]

    def flush(self, *args: Any, **kwargs: Any) -> None:
        pass

    def kill(self) -> None:
        pass


@pytest.fixture
def sentry() -> Iterator[list[dict[str, Any]]]:
    kept = Kept()
    sentry_sdk.init(
        dsn="https://key@sentry.example/1",
        transport=kept,
        before_send=redact_event,
        before_send_transaction=redact_event,
        data_collection={"user_info": True, "stack_frame_variables": True},
        traces_sample_rate=1.0,
        auto_session_tracking=False,
        default_integrations=False,
        integrations=[FlaskIntegration(), LoggingIntegration(), DedupeIntegration()],
    )
    yield kept.sent
    sentry_sdk.get_client().close()
    sentry_sdk.Scope.get_global_scope().set_client(None)


def test_refusals_are_no_events_of_sentrys(
    sentry: list[dict[str, Any]], secure: Secure, token: Callable[..., str]
) -> None:
    app = Flask(__name__)
    guarded(secure, app)
    client, may = app.test_client(), bearer(token(scope="orders"))
    answers = [
        client.post("/orders/1", json={}),
        client.post("/orders/1", json={}, headers=bearer("x.y.z")),
        client.post("/orders/1", data="{", content_type="application/json", headers=may),
        client.post("/orders/1", json={}, headers=may),
        client.get("/inside", headers=may),
    ]
    assert codes(*answers) == ["auth.missing", "token.invalid", "json.malformed", "limit.exceeded", "auth.policy"]
    assert [item for item in sentry if item.get("type") != "transaction"] == []


def test_an_event_of_sentrys_has_the_error_and_no_secret(
    sentry: list[dict[str, Any]], secure: Secure, token: Callable[..., str]
) -> None:
    app = Flask(__name__)
    guarded(secure, app)
    signed = token(scope="orders")
    client = app.test_client()
    client.set_cookie("session", "a-session-of-somebody")
    path = "/broken?password=s3cr3t-of-the-query"
    answer = client.post(path, json={"card": "4111 1111 1111 1111", "password": SECRET}, headers=bearer(signed))
    assert answer.status_code == 500
    (event,) = [item for item in sentry if item.get("exception") and item.get("type") != "transaction"]
    (error,) = event["exception"]["values"]
    assert error["type"] == "LookupError" and error["value"].startswith("no password=[REDACTED")
    assert error["stacktrace"]["frames"][-1]["vars"]["password"] == "[REDACTED:PASSWORD]"
    assert event["request"]["headers"]["Authorization"] == "[REDACTED:AUTHORIZATION]"
    told = json.dumps(sentry)
    for secret in (SECRET, signed, signed.rpartition(".")[2], "4111 1111", "a-session-of", "s3cr3t-of-the-query"):
        assert secret not in told


def test_a_guard_that_fails_is_an_event(
    sentry: list[dict[str, Any]], secure: Secure, token: Callable[..., str]
) -> None:
    app = Flask(__name__)
    rampart = guarded(secure, app)

    @rampart.policy("broken")
    def broken(principal: Any) -> bool:
        raise LookupError(f"password={SECRET}")

    app.get("/fails")(require(policy="broken")(lambda: "x"))
    assert app.test_client().get("/fails", headers=bearer(token())).json["code"] == "guard.failed"
    (event,) = [item for item in sentry if item.get("exception")]
    assert event["exception"]["values"][-1]["type"] == "LookupError" and SECRET not in json.dumps(sentry)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    yield exporter
    exporter.shutdown()


def traced(app: Flask, spans: InMemorySpanExporter) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    FlaskInstrumentor().instrument_app(app, tracer_provider=provider)


@pytest.mark.parametrize("first", ["extension", "instrumentation"])
def test_a_span_of_opentelemetrys_tells_of_route_principal_and_refusal(
    first: str,
    spans: InMemorySpanExporter,
    secure: Secure,
    token: Callable[..., str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Flask(__name__)
    if first == "instrumentation":
        traced(app, spans)
    guarded(secure, app)
    if first == "extension":
        traced(app, spans)
    client, may = app.test_client(), bearer(token(scope="orders"))
    assert codes(client.post("/orders/1", json={}), client.post("/orders/1", json={}, headers=may)) == [
        "auth.missing",
        200,
    ]
    refused, fine = spans.get_finished_spans()
    assert refused.name == fine.name == "POST /orders/<number>"
    (event,) = refused.events
    assert event.name == "rampart.refused" and dict(event.attributes or {})["rampart.refusal.code"] == "auth.missing"
    told = dict(fine.attributes or {})
    assert told["http.route"] == "/orders/<number>" and told["rampart.principal.kind"] == "jwt"
    assert told["http.response.status_code"] == 200 and len(str(told["rampart.request.id"])) == 32
    assert dict(refused.attributes or {})["error.type"] == "auth.missing"
    # It says so where a request ends whose span was never begun.
    assert "span missing" not in caplog.text


def test_no_hook_but_a_tracers_comes_before_the_guards(spans: InMemorySpanExporter, secure: Secure) -> None:
    app = Flask(__name__)
    app.before_request(lambda: abort(418))
    guarded(secure, app)
    traced(app, spans)
    assert app.test_client().post("/orders/1", json={}).json["code"] == "auth.missing"
    state: AppState = app.extensions["rampart"]
    kept = app.before_request_funcs[None]
    assert len(kept) == 3 and kept.index(state.hook) == 1 and kept[0].__module__.startswith("opentelemetry.")


def test_what_the_edge_refuses_costs_no_span(spans: InMemorySpanExporter, secure: Secure) -> None:
    app = Flask(__name__)
    guarded(secure, app, RAMPART_LIMITS="1/minute")
    traced(app, spans)
    client = app.test_client()
    assert codes(client.get("/inside"), client.get("/inside")) == ["auth.missing", "limit.exceeded"]
    assert len(spans.get_finished_spans()) == 1


def test_spans_have_no_secret_unless_headers_are_captured_and_then_sanitized(
    spans: InMemorySpanExporter, secure: Secure, token: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", ".*")
    monkeypatch.setenv(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS", "authorization,cookie,x-api-key,x-csrf-token,dpop"
    )
    app = Flask(__name__)
    guarded(secure, app)
    traced(app, spans)
    signed = token(scope="orders")
    client = app.test_client()
    client.set_cookie("session", "a-session-of-somebody")
    headers = {**bearer(signed), "X-API-Key": "rk_live_key-of-somebody"}
    client.post("/orders/1", json={}, headers={**headers, "User-Agent": "till"})
    (span,) = spans.get_finished_spans()
    told = span.to_json()
    assert "till" in told
    for secret in (signed, "a-session-of", "key-of-somebody"):
        assert secret not in told
