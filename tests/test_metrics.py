"""What an app counts, who may scrape it, and that Prometheus' own parser reads it."""

from __future__ import annotations

import itertools
import os
import re
import signal
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, abort
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families
from werkzeug.test import EnvironBuilder

from flask_rampart import Clock, ConfigError, Rampart, cors, csrf, limit, public, require, signals, tables, validate
from flask_rampart.declarations import protect_blueprint
from flask_rampart.errors import PROBLEMS
from flask_rampart.guards import asks_who
from flask_rampart.metrics import Metrics
from flask_rampart.metrics.serving import metrics_token

from .auditing import App
from .auditing import make as make
from .serving import serving

TOKEN = "a-token-for-the-scraper-of-32-bytes"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
Make = Callable[..., Flask]


def served(make_app: Make, **config: Any) -> Flask:
    return make_app(RAMPART_METRICS_PATH="/metrics", RAMPART_METRICS_TOKEN=TOKEN, **config)


def scrape(app: Flask, accept: str = "") -> str:
    answer = app.test_client().get("/metrics", headers={**BEARER, "Accept": accept})
    assert answer.status_code == 200, answer.text
    return answer.text


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Values by name and the values of the labels."""
    found: dict[tuple[str, tuple[str, ...]], float] = {}
    for family in families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sample.labels.values()))
            assert key not in found, "a series stands there twice"
            found[key] = sample.value
    return found


def ask(app: Flask, path: str, method: str = "GET", **options: Any) -> int:
    # To its end: a request is counted when its answer has been sent.
    answer = app.test_client().open(path, method=method, **options)
    answer.get_data()
    answer.close()
    return answer.status_code


def test_requests_are_counted_by_template_method_and_status(make_app: Make) -> None:
    app = served(make_app)
    app.add_url_rule("/users/<int:number>", view_func=lambda number: str(number))
    for number in range(3):
        assert ask(app, f"/users/{number}") == 200
    ask(app, "/users/7", "HEAD")
    ask(app, "/nowhere")
    ask(app, "/users/7", "PUT")
    found = samples(scrape(app))
    assert found["rampart_http_requests_total", ("/users/<int:number>", "GET", "200")] == 3
    assert found["rampart_http_requests_total", ("/users/<int:number>", "HEAD", "200")] == 1
    assert found["rampart_http_requests_total", ("<unmatched>", "GET", "404")] == 1
    assert found["rampart_http_requests_total", ("<unmatched>", "PUT", "405")] == 1
    assert found["rampart_http_request_duration_seconds_count", ("/users/<int:number>", "GET")] == 3
    assert found["rampart_http_request_duration_seconds_bucket", ("/users/<int:number>", "GET", "+Inf")] == 3


def test_refusals_are_counted_by_code_and_by_what_was_wrong(make_app: Make) -> None:
    app = served(make_app, RAMPART_LIMITS="100/minute")
    app.add_url_rule("/secret", view_func=require()(lambda: "x"))
    app.add_url_rule("/often", view_func=limit("1/minute", scope="often")(lambda: "x"))
    body = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "maxLength": 9}}}
    app.add_url_rule("/body", view_func=validate(body=body)(lambda: "x"), methods=["POST"])
    assert ask(app, "/secret") == 401
    assert [ask(app, "/often") for _ in range(3)] == [200, 429, 429]
    assert ask(app, "/body", "POST", json={}) == 422
    found = samples(scrape(app))
    assert found["rampart_refusals_total", ("auth.missing",)] == 1
    assert found["rampart_refusals_total", ("limit.exceeded",)] == 2
    assert found["rampart_auth_failures_total", ("auth.missing",)] == 1
    assert found["rampart_validation_failures_total", ("body.invalid",)] == 1
    assert found["rampart_limit_decisions_total", ("shared:often", "refused")] == 2
    assert found["rampart_limit_decisions_total", ("shared:often", "admitted")] == 1
    assert found["rampart_limit_decisions_total", ("application", "admitted")] == 5


def test_what_the_edge_refuses_is_counted_too(make_app: Make) -> None:
    app = served(make_app, RAMPART_TRUSTED_HOSTS=["localhost"], RAMPART_LIMITS="2/minute")
    assert ask(app, "/", headers={"Host": "evil.example"}) == 421
    found = samples(scrape(app))
    assert found["rampart_refusals_total", ("host.unknown",)] == 1
    assert found["rampart_http_requests_total", ("<unmatched>", "GET", "421")] == 1


def test_an_error_of_the_view_is_counted_as_500_and_stands_in_the_timeline(make_app: Make, clock: Clock) -> None:
    app = served(make_app, PROPAGATE_EXCEPTIONS=False)
    app.add_url_rule("/broken", view_func=lambda: 1 / 0)
    app.add_url_rule("/gone", view_func=lambda: abort(410))
    assert (ask(app, "/broken"), ask(app, "/gone")) == (500, 410)
    assert samples(scrape(app))["rampart_http_requests_total", ("/broken", "GET", "500")] == 1
    begins, requests, refused, failed = app.extensions["rampart"].services[Metrics].timeline()[-1]
    assert begins == clock.now() and (requests, refused, failed) == (2, 0, 1)


def test_tokens_and_bans_are_counted_by_our_signals(make_app: Make) -> None:
    app = served(make_app)
    ask(app, "/")
    rampart = app.extensions["rampart"]
    with app.app_context():
        from flask_rampart.tokens import Tokens

        rampart.services[Tokens].issue("ada")
    signals.banned.send(app, by="address")
    found = samples(scrape(app))
    assert found["rampart_tokens_total", ("issued",)] == 1
    assert found["rampart_bans_total", ("address",)] == 1


def test_records_of_the_audit_log_are_counted(make: App) -> None:
    app = make(RAMPART_METRICS_PATH="/metrics", RAMPART_METRICS_TOKEN=TOKEN)
    app.add_url_rule("/secret", view_func=require()(lambda: "x"))
    assert [ask(app, "/secret") for _ in range(2)] == [401, 401]
    assert samples(scrape(app))["rampart_audit_records_total", ("written",)] == 2


# What a peer can choose: RFC 9110 sections 9.1 and 15 let both methods and statuses be extended.
def test_a_flood_of_made_up_paths_and_methods_makes_no_series(make_app: Make) -> None:
    app = served(make_app, RAMPART_METHODS=["GET", "BREW"])
    app.add_url_rule("/status/<int:code>", view_func=lambda code: ("", code))
    for number in range(60):
        ask(app, f"/{number}?x={number}", "GET" if number % 2 else f"M{number}")
        ask(app, f"/status/{440 + number}")
    text = scrape(app)
    requests = [key for key in samples(text) if key[0] == "rampart_http_requests_total"]
    assert len(requests) < 12, requests
    assert ("rampart_http_requests_total", ("<unmatched>", "<other>", "501")) in requests
    assert ("rampart_http_requests_total", ("/status/<int:code>", "GET", "4xx")) in requests


# Prometheus' "Exposition formats": a backslash, a quote and a line feed are escaped in a label's value.
def test_a_hostile_route_stays_one_label(make_app: Make) -> None:
    app = served(make_app)
    rule = '/a"} 1\nrampart_bans_total 9\\\r\n<x>'
    app.add_url_rule(rule, endpoint="odd", view_func=lambda x: x)
    with app.test_request_context():
        app.extensions["rampart"].services[Metrics].table.request(rule, "GET", 200, 1)
    found = samples(scrape(app))
    assert found["rampart_http_requests_total", (rule.replace("\r", "\ufffd"), "GET", "200")] == 1
    assert not any(value for (name, _), value in found.items() if name == "rampart_bans_total")


def test_the_names_and_texts_are_as_promtool_would_have_them(make_app: Make) -> None:
    app = served(make_app, RAMPART_LIMITS="100/minute")
    app.add_url_rule("/secret", view_func=require()(lambda: "x"))
    for path in ("/secret", "/nowhere"):
        ask(app, path)
    found = list(families(scrape(app)))
    names = [family.name for family in found]
    assert len(names) == len(set(names)) > 8
    for family in found:
        assert re.fullmatch(r"rampart_[a-z_]+", family.name) and family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram")
        # prometheus.io, "Metric and label naming": base units, spelt out; `_total` on counters and on nothing else.
        assert not re.search(r"_(ms|milliseconds|micros|minutes|kb)(_|$)", family.name)
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert all(re.fullmatch(r"[a-z_]+", label) for label in sample.labels)
    text = scrape(app)
    for name in names:
        told = [line for line in text.splitlines() if re.match(rf"# (HELP|TYPE) {name}(_total)? ", line)]
        assert len(told) == 2, name


def test_openmetrics_is_for_who_names_it(make_app: Make) -> None:
    app = served(make_app)
    ask(app, "/")
    text = scrape(app, "application/openmetrics-text; version=1.0.0; q=0.8, text/plain; q=0.5")
    assert text.endswith("# EOF\n")
    read = {family.name: family for family in open_families(text)}
    assert read["rampart_http_request_duration_seconds"].unit == "seconds"
    assert read["rampart_http_requests"].type == "counter"
    for accept in ("", "*/*", "text/plain", "application/openmetrics-text; q=0.2, text/plain; q=0.9"):
        assert not scrape(app, accept).endswith("# EOF\n"), accept


def test_the_endpoint_refuses_who_has_not_the_token(make_app: Make) -> None:
    app = served(make_app)
    client = app.test_client()
    for value in ("", TOKEN, f"Basic {TOKEN}", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \u00e4"):
        answer = client.get("/metrics", headers={"Authorization": value} if value else {})
        assert answer.status_code == 401, value
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="metrics"')
        assert TOKEN not in answer.text
    answer = client.get("/metrics", headers=BEARER)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert client.post("/metrics", headers=BEARER).status_code == 405


def test_a_path_without_a_guard_stops_the_start_up(make_app: Make) -> None:
    with pytest.raises(ConfigError, match="would be open: set RAMPART_METRICS_TOKEN"):
        make_app(RAMPART_METRICS_PATH="/metrics")
    with pytest.raises(ConfigError, match="for RAMPART_METRICS_PATH"):
        make_app(RAMPART_METRICS_TOKEN=TOKEN)
    with pytest.raises(ConfigError, match="RAMPART_METRICS_TOKEN"):
        make_app(RAMPART_METRICS_PATH="/metrics", RAMPART_METRICS_TOKEN="short")


@pytest.mark.parametrize("guards", [(), (public,), (require(optional=True),), (limit("1/minute"),)], ids=repr)
def test_guards_that_ask_nobody_are_no_guards(guards: tuple[Any, ...]) -> None:
    app = Flask("shop")
    app.testing = True
    rampart = Rampart(app)
    with pytest.raises(ConfigError, match="would be open"):
        rampart.metrics.serve("/metrics", *guards)


def test_it_is_served_behind_the_apps_own_guards(make_app: Make) -> None:
    app = make_app(rampart=True)
    with app.app_context():
        metrics = app.extensions["rampart"].services[Metrics]
        metrics.serve("/internal/metrics", require(scopes="metrics.read"))
        from flask_rampart.tokens import Tokens

        issue = app.extensions["rampart"].services[Tokens].issue
    client = app.test_client()
    assert client.get("/internal/metrics").status_code == 401
    with app.app_context():
        wrong, right = issue("ada"), issue("prometheus", scopes=["metrics.read"])
    assert client.get("/internal/metrics", headers={"Authorization": f"Bearer {wrong}"}).status_code == 403
    answer = client.get("/internal/metrics", headers={"Authorization": f"Bearer {right}"})
    assert answer.status_code == 200 and "rampart_build_info" in answer.text


def test_a_view_of_the_apps_own_is_shut_until_something_asks_who_it_is(make_app: Make) -> None:
    app = make_app()
    metrics = app.extensions["rampart"].services[Metrics]
    app.add_url_rule("/bare", "bare", metrics.view)
    app.add_url_rule("/public", "public", public(metrics.view))
    app.add_url_rule("/guarded", "guarded", require()(metrics.view))
    # What comes with `require(optional=True)` for other stages opens a view, and asks nobody.
    app.add_url_rule("/optional", "optional", require(optional=True)(metrics.view))
    app.add_url_rule("/both", "both", public(require(optional=True)(metrics.view)))
    paths = ("/bare", "/public", "/guarded", "/optional", "/both")
    assert [ask(app, path) for path in paths] == [403, 403, 401, 403, 403]


@pytest.mark.parametrize("default", ["open", "deny"])
def test_a_view_in_a_blueprint_or_an_app_of_optional_credentials_is_shut(make_app: Make, default: str) -> None:
    app = make_app(RAMPART_DEFAULT=default)
    metrics = app.extensions["rampart"].services[Metrics]
    for name, guards in {"optional": (require(optional=True),), "both": (public, require(optional=True))}.items():
        blueprint = Blueprint(name, __name__, url_prefix=f"/{name}")
        protect_blueprint(blueprint, guards)
        blueprint.add_url_rule("/metrics", "metrics", metrics.view)
        app.register_blueprint(blueprint)
    app.add_url_rule("/here", "here", metrics.view)
    app.extensions["rampart"].app_guards = (require(optional=True),)
    assert [ask(app, path) for path in ("/optional/metrics", "/both/metrics", "/here")] == [403, 403, 403]


def test_only_what_lets_nobody_through_asks_who_it_is() -> None:
    assert asks_who(metrics_token(TOKEN)) and asks_who(require()) and asks_who(require(scopes="metrics.read"))
    for guard in (require(), require(optional=True), require(scopes="metrics.read")):
        assert not any(map(asks_who, guard.companions)), guard.companions
    for guard in (public, require(optional=True), limit("1/minute"), csrf("strict")):
        assert not asks_who(guard), guard


# Fetch, "CORS protocol and credentials": an origin that is listed with credentials reads as whoever is logged in.
def test_pages_of_other_origins_read_no_metrics(make_app: Make) -> None:
    origin = "https://spa.example.com"
    app = served(make_app, RAMPART_CORS_ORIGINS=[origin], RAMPART_CORS_CREDENTIALS=True)
    app.add_url_rule("/api", view_func=lambda: "x")
    client = app.test_client()
    for path, said in (("/api", origin), ("/metrics", None)):
        answer = client.get(path, headers={**BEARER, "Origin": origin})
        assert answer.status_code == 200
        assert answer.headers.get("Access-Control-Allow-Origin") == said, path


def test_a_policy_that_is_given_for_the_endpoint_is_taken(make_app: Make) -> None:
    origin = "https://ops.example.com"
    app = make_app()
    app.extensions["rampart"].services[Metrics].serve("/metrics", metrics_token(TOKEN), cors(origins=[origin]))
    answer = app.test_client().get("/metrics", headers={**BEARER, "Origin": origin})
    assert answer.headers["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize(
    "path", ["metrics", "//metrics", "/a//metrics", "/a/../metrics", "/./metrics", "/%6detrics", "/me trics", "/m\u00e9",
             "/metrics?x", "/<x>", "/a\\b", "/metrics\n", "/a//"]
)  # fmt: skip
def test_a_path_that_no_request_has_is_refused_at_start(make_app: Make, path: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be served at|must be a path"):
        make_app(RAMPART_METRICS_PATH=path, RAMPART_METRICS_TOKEN=TOKEN)


@pytest.mark.parametrize("path", ["/metrics", "/ops/metrics/", "/-/metrics", "/.well-known/m.1~x"])
def test_an_ordinary_path_is_served(make_app: Make, path: str) -> None:
    app = make_app(RAMPART_METRICS_PATH=path, RAMPART_METRICS_TOKEN=TOKEN)
    assert app.test_client().get(path, headers=BEARER).status_code == 200


def test_a_table_that_could_not_be_had_at_first_stops_the_start_up(
    make_app: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = served(make_app, PROPAGATE_EXCEPTIONS=True)
    opened, failures = Metrics._open, iter([ConfigError("RAMPART_METRICS: busy")])

    def once(self: Metrics) -> Any:
        for error in failures:
            raise error
        return opened(self)

    monkeypatch.setattr(Metrics, "_open", once)
    # Else the app would answer, and the edge, which asks once, would count nothing.
    for _ in range(2):
        with pytest.raises(ConfigError, match="busy"):
            app.test_client().get("/")


def test_metrics_that_are_asked_for_too_late_are_an_error(make_app: Make) -> None:
    app = make_app()
    metrics = app.extensions["rampart"].services[Metrics]
    ask(app, "/")
    with pytest.raises(ConfigError, match="after the first request"):
        _ = metrics.view
    assert not metrics.wanted
    counted = make_app(RAMPART_METRICS=True)
    ask(counted, "/")
    assert callable(counted.extensions["rampart"].services[Metrics].view)


def test_another_route_at_its_path_stops_the_start_up(make_app: Make) -> None:
    app = served(make_app, PROPAGATE_EXCEPTIONS=True)
    app.add_url_rule("/metrics/", view_func=lambda: "mine")
    with pytest.raises(ConfigError, match="where the metrics are served"):
        app.test_client().get("/")


def test_nothing_is_counted_unless_somebody_wants_it(make_app: Make) -> None:
    app = make_app()
    ask(app, "/")
    metrics = app.extensions["rampart"].services[Metrics]
    assert metrics.begin() is None
    assert make_app(RAMPART_METRICS=True).extensions["rampart"].services[Metrics].begin() is not None


# prometheus.io, "Instrumentation", "Avoid missing metrics": a rate does not see the increase that a series is born with.
def test_what_is_known_from_the_start_begins_at_0(make_app: Make) -> None:
    app = served(make_app)
    found = samples(scrape(app))
    for code in PROBLEMS:
        assert found["rampart_refusals_total", (code,)] == 0, code
    assert found["rampart_auth_failures_total", ("auth.missing",)] == 0
    assert found["rampart_validation_failures_total", ("body.invalid",)] == 0
    assert found["rampart_audit_records_total", ("failed",)] == 0
    assert found["rampart_bans_total", ("network",)] == found["rampart_tokens_total", ("reused",)] == 0
    assert found["rampart_metrics_overflow_total", ()] == 0


def test_openmetrics_says_when_each_series_began(make_app: Make, clock: Clock) -> None:
    app = served(make_app)
    began = clock.now()
    ask(app, "/")
    clock.advance(60)
    ask(app, "/", "POST")
    read = {family.name: family for family in open_families(scrape(app, "application/openmetrics-text"))}
    for name, verb in (("rampart_http_requests", "GET"), ("rampart_http_request_duration_seconds", "GET")):
        told = {
            sample.labels["method"]: sample.value for sample in read[name].samples if sample.name == f"{name}_created"
        }
        assert told["GET"] == began and told["POST"] == began + 60, verb
    assert "_created" not in scrape(app)


def test_no_number_of_routes_leaves_a_refusal_without_its_series(make_app: Make) -> None:
    app = served(make_app, RAMPART_METRICS_SERIES=64)
    app.add_url_rule("/secret", view_func=require()(lambda: "x"))
    app.add_url_rule("/often", view_func=limit("1/minute", scope="often")(lambda: "x"))
    table = app.extensions["rampart"].services[Metrics].table
    for number in range(500):
        table.request(f"/{number}", "GET", 200, 1)
    assert [ask(app, path) for path in ("/secret", "/often", "/often")] == [401, 200, 429]
    signals.banned.send(app, by="address")
    found = samples(scrape(app))
    assert found["rampart_refusals_total", ("auth.missing",)] == found["rampart_bans_total", ("address",)] == 1
    assert found["rampart_limit_decisions_total", ("shared:often", "refused")] == 1


def test_limits_that_are_shared_by_all_and_those_that_only_report_are_counted_and_told_to_nobody(
    make_app: Make,
) -> None:
    app = served(make_app)
    app.add_url_rule("/all", view_func=limit("2/minute", by="global", scope="all")(lambda: "x"))
    app.add_url_rule("/tried", view_func=limit("1/minute", scope="tried", mode="report")(lambda: "x"))
    client = app.test_client()
    for path, count in (("/all", 2), ("/tried", 3)):
        for _ in range(count):
            answer = client.get(path)
            assert answer.status_code == 200 and "RateLimit" not in answer.headers
            answer.close()
    refused = client.get("/all")
    assert refused.status_code == 429 and "RateLimit" in refused.headers
    refused.close()
    found = samples(scrape(app))
    assert found["rampart_limit_decisions_total", ("shared:all", "admitted")] == 2
    assert found["rampart_limit_decisions_total", ("shared:all", "refused")] == 1
    assert found["rampart_limit_decisions_total", ("report:shared:tried", "admitted")] == 1
    assert found["rampart_limit_decisions_total", ("report:shared:tried", "refused")] == 2
    assert found["rampart_refusals_total", ("limit.exceeded",)] == 1


def served_by_hand(app: Flask, path: str, *, chunks: int | None = None) -> tuple[str, list[bytes]]:
    """The status line and the chunks that a server gets: of *chunks* of them, or of all until one fails."""
    told: list[str] = []
    got: list[bytes] = []
    environ = EnvironBuilder(path, environ_overrides={"REMOTE_ADDR": "192.0.2.1"}).get_environ()
    body: Any = app.wsgi_app(environ, lambda status, headers, exc_info=None: told.append(status) or got.append)
    try:
        for chunk in itertools.islice(body, chunks):
            got.append(chunk)
    except ZeroDivisionError:
        pass
    finally:
        body.close()
    return told[0], got


# PEP 3333: the head is sent with the first chunk of the body, so that until then a server can answer 500 instead.
def test_a_stream_that_fails_before_its_first_chunk_is_a_500_and_one_that_breaks_later_is_marked(
    make_app: Make,
) -> None:
    app = served(make_app)
    app.add_url_rule("/early", view_func=lambda: Response(str(1 // n) for n in (0,)))
    app.add_url_rule("/empty", view_func=lambda: Response("" if n else str(1 // n) for n in (1, 0)))
    app.add_url_rule("/late", view_func=lambda: Response("x" if n else str(1 // n) for n in (2, 1, 0)))
    app.add_url_rule("/fine", view_func=lambda: Response(iter(("a", "b"))))
    assert served_by_hand(app, "/early") == ("200 OK", [])
    # Also after an empty one: gunicorn and Werkzeug have sent the head with it.
    assert served_by_hand(app, "/empty") == ("200 OK", [b""])
    assert served_by_hand(app, "/late") == ("200 OK", [b"x", b"x"])
    # Its client goes after the first chunk.
    served_by_hand(app, "/fine", chunks=1)
    served_by_hand(app, "/fine")
    found = samples(scrape(app))
    requests = {key[1]: value for key, value in found.items() if key[0] == "rampart_http_requests_total"}
    assert requests == {
        ("/early", "GET", "500"): 1,
        ("/empty", "GET", "200"): 1,
        ("/late", "GET", "200"): 1,
        ("/fine", "GET", "200"): 2,
    }
    aborted = {key[1]: value for key, value in found.items() if key[0] == "rampart_http_requests_aborted_total"}
    assert aborted == {("/empty", "GET", "200"): 1, ("/late", "GET", "200"): 1, ("/fine", "GET", "200"): 1}
    assert app.extensions["rampart"].services[Metrics].timeline()[-1][3] == 1


def test_what_an_app_writes_is_a_part_of_its_answer(make_app: Make) -> None:
    app = served(make_app)
    inner = app.wsgi_app.app  # type: ignore[attr-defined]

    def writing(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/metrics":
            return inner(environ, start_response)
        assert start_response("200 OK", [("Content-Type", "text/plain")])(b"begun") == "written"
        raise LookupError

    app.wsgi_app.app = writing  # type: ignore[attr-defined]
    taken: list[bytes] = []

    def write(chunk: bytes) -> str:
        taken.append(chunk)
        return "written"

    with pytest.raises(LookupError):
        app.wsgi_app(EnvironBuilder("/").get_environ(), lambda *_: write)
    found = samples(scrape(app))
    assert taken == [b"begun"]
    assert found["rampart_http_requests_total", ("<unmatched>", "GET", "200")] == 1
    assert found["rampart_http_requests_aborted_total", ("<unmatched>", "GET", "200")] == 1


def test_a_series_that_only_begins_overflows_nothing(make_app: Make) -> None:
    table = served(make_app).extensions["rampart"].services[Metrics].table
    table.expect([f"own.{number}" for number in range(300)])
    overflow = {name: value for name, _, value in table.samples() if name == "rampart_metrics_overflow_total"}
    assert overflow == {"rampart_metrics_overflow_total": 0}
    table.add("refusals", ["own.299"], 3)
    assert ("rampart_metrics_overflow_total", {}, 1.0) in table.samples()


def test_what_the_edge_takes_before_the_app_is_of_a_requests_time(
    make_app: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = served(make_app, RAMPART_LIMITS="100/minute")
    limits = app.wsgi_app.policy.limits  # type: ignore[attr-defined]

    class Slow:
        policy = limits.policy

        def check(self, values: tuple[str, ...]) -> Any:
            end = time.monotonic() + 0.02
            while time.monotonic() < end:
                pass
            return limits.check(values)

    monkeypatch.setattr(app.wsgi_app, "_limits", Slow())
    assert ask(app, "/") == 404
    found = samples(scrape(app))
    assert found["rampart_http_request_duration_seconds_sum", ("<unmatched>", "GET")] >= 0.02


def test_a_full_table_is_told_once(make_app: Make, caplog: pytest.LogCaptureFixture) -> None:
    app = served(make_app, RAMPART_METRICS_SERIES=64)
    table = app.extensions["rampart"].services[Metrics].table
    for number in range(100):
        table.request(f"/{number}", "GET", 200, 1)
    found = samples(scrape(app))
    scrape(app)
    assert found["rampart_http_requests_total", ("<other>", "<other>", "<other>")] == 36
    assert found["rampart_metrics_overflow_total", ()] == 36 + 84
    assert sum("RAMPART_METRICS_SERIES" in record.getMessage() for record in caplog.records) == 1


def test_a_table_that_cannot_be_had_stops_the_start_up(make_app: Make, tmp_path: Path) -> None:
    directory = tmp_path / "open"
    directory.mkdir(mode=0o777)
    directory.chmod(0o777)
    app = served(make_app, RAMPART_LIMIT_STORE=f"shm://{directory}", PROPAGATE_EXCEPTIONS=True)
    with pytest.raises(ConfigError, match=r"RAMPART_METRICS: the directory .* metrics.*chmod 0700"):
        app.test_client().get("/")


VIEWS = """
app.config.update(RAMPART_METRICS_PATH="/metrics", RAMPART_METRICS_TOKEN=%r)
rampart = Rampart(app)
@app.get("/work/<int:number>")
def work(number):
    return str(os.getpid())
"""


@pytest.mark.servers
def test_four_workers_tell_one_truth_and_a_killed_one_takes_nothing_with_it(tmp_path: Path) -> None:
    with serving(tmp_path, VIEWS % TOKEN, "--workers", "4") as server:
        pids: set[str] = set()
        asked = 0
        while asked < 160 and len(pids) < 4:
            pids |= {text for _, _, text in server.at_once(16, lambda: server.get("/work/1"))}
            asked += 16
        assert len(pids) > 1, "all came to one worker"

        def counted() -> dict[tuple[str, tuple[str, ...]], float]:
            return samples(server.get("/metrics", **BEARER)[2])

        key = ("rampart_http_requests_total", ("/work/<int:number>", "GET", "200"))
        # A request is counted when the server is done with it, a moment after its client.
        server.wait(lambda: counted()[key] == asked)
        assert {counted()[key] for _ in range(12)} == {asked}
        os.kill(int(min(pids)), signal.SIGKILL)
        server.wait(lambda: server.get("/work/2")[0] == 200)
        server.wait(lambda: counted()[key] > asked)
        assert 1 <= counted()["rampart_workers", ()] <= 4


def test_a_span_is_told_of_a_refusal_and_of_no_name(make_app: Make) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = provider.get_tracer("test")
    app = make_app()
    app.add_url_rule("/secret/<name>", view_func=require()(lambda name: "x"))
    app.add_url_rule("/open/<name>", view_func=lambda name: "x")
    for path in ("/secret/zoe", "/open/zoe"):
        with tracer.start_as_current_span("request"):
            ask(app, path, headers={"Authorization": "Bearer wrong"})
    refused, answered = spans.get_finished_spans()
    (event,) = refused.events
    assert event.name == "rampart.refused"
    assert dict(event.attributes or {}) == {"rampart.refusal.code": "token.invalid", "http.response.status_code": 401}
    told = dict(refused.attributes or {})
    assert told["error.type"] == "token.invalid" and told["http.route"] == "/secret/<name>"
    fine = dict(answered.attributes or {})
    assert fine["http.response.status_code"] == 200 and "error.type" not in fine
    assert "zoe" not in repr((refused.to_json(), answered.to_json()))


def test_the_pages_code_runs(make_app: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tables, "private_directory", lambda: str(tmp_path / "own"))
    page = (Path(__file__).parent.parent / "docs" / "metrics.md").read_text()
    first, second = (textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", page, re.S))
    space: dict[str, Any] = {"__name__": "page", "require": require}
    exec(compile(first, "metrics.md", "exec"), space)
    assert space["app"].test_client().get("/metrics").status_code == 401
    space["rampart"] = Rampart(Flask("other"))
    exec(compile(second, "metrics.md", "exec"), space)
    names = {f"{family.name}_total" if family.type == "counter" else family.name for family in families(everything())}
    told = set(re.findall(r"`(rampart_[a-z_]+)`", page.split("## No label")[0]))
    assert names == told


def everything() -> str:
    """The text of a table in which every kind has been counted."""
    app = Flask("all")
    app.testing = True
    app.config["RAMPART_METRICS"] = True
    Rampart(app)
    metrics = app.extensions["rampart"].services[Metrics]
    kinds = {
        "audit_records": 1, "auth_failures": 1, "bans": 1, "limit_decisions": 2, "monitor_findings": 2,
        "metrics_overflow": 0, "refusals": 1, "tokens": 1, "validation_failures": 1,
    }  # fmt: skip
    for kind, labels in kinds.items():
        metrics.add(kind, *("x" * labels))
    metrics.table.request("/", "GET", 200, 1, aborted=True)
    text: str = metrics.text().decode()
    return text
