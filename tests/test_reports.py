"""Reports: browsers are told where to report, and what they say is collected, grouped and harmless."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from flask_rampart import Clock, ConfigError, Guard, Rampart, ReportGroup, Stage, require, signals
from flask_rampart.cli import commands
from flask_rampart.limits import counters
from flask_rampart.reports import MAX_BODY, Reports
from flask_rampart.reports.advice import advice
from flask_rampart.reports.reading import DIRECTIVES, TYPES, Reader, Seen

from .conftest import NOW

App = Callable[..., Flask]

HOST = "http://localhost"


@pytest.fixture
def app(make_app: App) -> Flask:
    app = make_app(RAMPART_REPORTS="/reports", RAMPART_PROFILE="html", RAMPART_JWT_KEYS=...)
    app.testing = True
    app.get("/")(lambda: "home")
    app.get("/users/<int:number>", endpoint="user")(lambda number: "user")
    app.post("/pay", endpoint="pay")(lambda: "paid")
    app.get("/list/", endpoint="slashed")(lambda: "list")
    return app


def reports_of(app: Flask) -> Reports:
    found: Reports = app.extensions["rampart"].services[Reports]
    return found


def groups(app: Flask) -> list[ReportGroup]:
    return reports_of(app).list()


def old(app: Flask, address: str = "192.0.2.1", /, **members: Any) -> TestResponse:
    """What browsers send to ``report-uri``."""
    body = {
        "document-uri": f"{HOST}/",
        "violated-directive": "img-src",
        "effective-directive": "img-src",
        "blocked-uri": "https://cdn.example.com/a.png",
        "disposition": "enforce",
        **{name.replace("_", "-"): value for name, value in members.items()},
    }
    return send(app, {"csp-report": body}, "application/csp-report", address)


def report(kind: str = "csp-violation", url: str = f"{HOST}/", /, **body: Any) -> dict[str, Any]:
    """One report of the Reporting API."""
    if kind == "csp-violation":
        told = {"documentURL": url, "effectiveDirective": "img-src", "blockedURL": "https://cdn.example.com/a.png"}
        body = {**told, "disposition": "enforce", **body}
    return {"type": kind, "age": 10, "url": url, "user_agent": "x", "body": body}


def send(
    app: Flask,
    document: Any,
    kind: str = "application/reports+json",
    address: str = "192.0.2.1",
    path: str = "/reports",
) -> TestResponse:
    data = document if isinstance(document, (bytes, str)) else json.dumps(document)
    return app.test_client().post(path, data=data, content_type=kind, environ_base={"REMOTE_ADDR": address})


def run(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(commands, ["csp-report", *words])


# What browsers are told.


def test_over_tls_policies_name_the_endpoint_and_over_http_report_uri_alone(app: Flask) -> None:
    client = app.test_client()
    sent = client.get("/", base_url="https://localhost").headers
    assert sent["Reporting-Endpoints"] == 'rampart="/reports", default="/reports"'
    assert sent["Content-Security-Policy"].endswith("; report-uri /reports; report-to rampart")
    assert sent["Cross-Origin-Opener-Policy"] == 'same-origin; report-to="rampart"'
    # The Reporting API delivers to TLS alone, and a browser that reads report-to reads no report-uri.
    sent = client.get("/").headers
    assert "Reporting-Endpoints" not in sent
    assert sent["Content-Security-Policy"].endswith("; report-uri /reports")


def test_without_the_setting_nothing_is_sent_and_nothing_is_there(make_app: App) -> None:
    app = make_app()
    client = app.test_client()
    sent = client.get("/reports", base_url="https://localhost")
    assert "report" not in str(sent.headers).lower()
    assert client.post("/reports").status_code == 404
    with app.app_context(), pytest.raises(ConfigError, match="RAMPART_REPORTS"):
        Rampart._service(None, Reports, "RAMPART_REPORTS")  # type: ignore[arg-type]


def test_an_address_elsewhere_is_named_and_nothing_is_collected_here(make_app: App) -> None:
    app = make_app(RAMPART_REPORTS="https://reports.example.com/csp?k=1")
    client = app.test_client()
    sent = client.get("/", base_url="https://localhost").headers
    assert sent["Reporting-Endpoints"].startswith('rampart="https://reports.example.com/csp?k=1"')
    assert "report-uri https://reports.example.com/csp?k=1" in sent["Content-Security-Policy"]
    assert client.post("/csp").status_code == 404
    assert run(app).output == 'Error: this app collects no reports: set RAMPART_REPORTS = "/reports"\n'


def test_the_report_only_policy_is_sent_beside_and_shares_the_nonce(make_app: App) -> None:
    app = make_app(
        RAMPART_PROFILE="mixed",
        RAMPART_REPORTS="/reports",
        RAMPART_CSP_REPORT_ONLY={"script_src": ["'nonce'", "'strict-dynamic'"], "object-src": "'none'"},
    )
    app.get("/")(lambda: "<p>")
    app.get("/data")(dict)
    client = app.test_client()
    sent = client.get("/").headers
    only = sent["Content-Security-Policy-Report-Only"]
    nonce = only.split("'nonce-")[1].split("'")[0]
    assert only == f"script-src 'nonce-{nonce}' 'strict-dynamic'; object-src 'none'; report-uri /reports"
    assert f"'nonce-{nonce}'" in sent["Content-Security-Policy"]
    assert "Content-Security-Policy-Report-Only" not in client.get("/data").headers


def test_an_app_under_a_prefix_names_its_own_address(make_app: App) -> None:
    app = make_app(RAMPART_REPORTS="/reports", APPLICATION_ROOT="/shop")
    assert "report-uri /shop/reports" in app.test_client().get("/").headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "config",
    [
        {"RAMPART_REPORTS": wrong}
        for wrong in (
            "reports",
            "/",
            "//evil.example",
            "/a/../b",
            "/r;report-uri https://evil.example",
            "/r,x",
            '/r"',
            "http://reports.example.com/",
            "https://user:hunter2@reports.example.com/",
            "https://reports.example.com/;script-src *",
            "/r\n",
            "",
            True,
            7,
        )
    ]
    + [
        {"RAMPART_REPORTS": "/reports", "RAMPART_REPORTS_KEEP": 0},
        {"RAMPART_REPORTS_HOSTS": ["www.example.com"]},
        {"RAMPART_REPORTS": "https://r.example/", "RAMPART_REPORTS_HOSTS": ["www.example.com"]},
        {"RAMPART_CSP_REPORT_ONLY": {"default-src": "'self'"}},
        {"RAMPART_REPORTS": "/r", "RAMPART_CSP_REPORT_ONLY": {}},
        {"RAMPART_REPORTS": "/r", "RAMPART_CSP_REPORT_ONLY": {"script-src": "self"}},
        {"RAMPART_REPORTS": "/r", "RAMPART_CSP_REPORT_ONLY": {"sandbox": True}},
        {"RAMPART_REPORTS": "/r", "RAMPART_CSP_REPORT_ONLY": "default-src 'self'"},
    ],
    ids=lambda config: json.dumps(config),
)
def test_what_cannot_be_meant_stops_the_start_up_and_names_the_setting(make_app: App, config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as error:
        make_app(**config)
    assert "RAMPART_" in str(error.value)
    assert "hunter2" not in str(error.value)


def test_an_app_that_matches_hosts_collects_on_each(make_app: App) -> None:
    app = Flask("hosts", host_matching=True, static_host="static.example")
    app.testing = True
    app.config.update(RAMPART_REPORTS="/reports", RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
    Rampart(app)
    app.add_url_rule("/", "home", lambda: "home", host="www.example.com")
    body = json.dumps([report("csp-violation", "https://www.example.com/?x")])
    kind = "application/reports+json"
    answer = app.test_client().post("/reports", data=body, content_type=kind, base_url="https://www.example.com")
    assert answer.status_code == 204
    assert [group.page for group in groups(app)] == ["/"]


def test_a_route_of_the_apps_own_there_stops_the_start_up(make_app: App) -> None:
    app = make_app(RAMPART_REPORTS="/reports")
    app.post("/reports", endpoint="mine")(lambda: "mine")
    with pytest.raises(ConfigError, match="mine has the route /reports"):
        app.extensions["rampart"].seal()


# What is collected.


def test_both_shapes_of_one_violation_are_one_group(app: Flask, clock: Clock) -> None:
    assert (old(app).status_code, old(app).data) == (204, b"")
    clock.advance(5)
    assert send(app, [report(), report()]).status_code == 204
    (group,) = groups(app)
    assert (group.type, group.directive, group.blocked) == ("csp-violation", "img-src", "https://cdn.example.com")
    assert (group.page, group.count, group.clients) == ("/", 4, 1)
    assert (group.first_seen, group.last_seen) == (NOW, NOW + 5)
    assert group.hint == "If you know https://cdn.example.com, add it to img-src; else find out what loads it."


def test_a_page_is_its_route_and_made_up_paths_are_one(app: Flask) -> None:
    for path in ("/users/1", "/users/22?tab=3", "/pay", "/list/", "/list", "/nowhere/1", "/nowhere/2", "/users/x"):
        old(app, document_uri=HOST + path)
    found = {group.page: group.count for group in groups(app)}
    assert found == {"/users/{number}": 2, "/pay": 1, "/list/": 2, "(no route)": 3}


@pytest.mark.parametrize("kind", sorted(TYPES - {"csp-violation"}))
def test_every_other_type_is_kept_with_what_it_names(app: Flask, kind: str) -> None:
    names = {"coep": "type", "coop": "type", "crash": "reason", "integrity-violation": "destination"}
    name = names.get(kind, "featureId" if kind.startswith("perm") else "id")
    send(app, [report(kind, f"{HOST}/users/7", **{name: "Some-Thing", "blockedURL": f"{HOST}/x.js?secret=1"})])
    (group,) = groups(app)
    assert (group.type, group.directive, group.page) == (kind, "Some-Thing", "/users/{number}")
    assert group.blocked == "self"
    assert group.hint == advice(kind, "Some-Thing", "self")
    assert "secret" not in repr(group)


@pytest.mark.parametrize(
    ("blocked", "shown"),
    [
        ("inline", "inline"),
        ("", "inline"),
        ("eval", "eval"),
        ("wasm-eval", "wasm-eval"),
        ("trusted-types-sink", "trusted-types-sink"),
        ("data", "data:"),
        ("data:text/html,<script>", "data:"),
        ("blob:http://localhost/1", "blob:"),
        (f"{HOST}/own.png", "self"),
        ("http://localhost:8080/x", "http://localhost:8080"),
        ("https://user:pass@CDN.example.com:443/x?y#z", "https://cdn.example.com"),
        ("wss://live.example.com/socket", "wss://live.example.com"),
        ("ws://localhost/socket", "self"),
        ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443"),
        ("https://evil.example\\@good.example/", "https://evil.example"),
        ("javascript:alert(1)", "other"),
        ("https://\x1b[31m.example/", "other"),
        ("https://0x7f.1/", "other"),
        ("x" * 5000, "other"),
    ],
    ids=lambda value: value[:24],
)
def test_what_was_blocked_is_a_keyword_a_scheme_or_an_origin(app: Flask, blocked: str, shown: str) -> None:
    assert old(app, blocked_uri=blocked).status_code == 204
    (group,) = groups(app)
    assert group.blocked == shown


def test_noise_and_lies_about_the_host_are_counted_apart(app: Flask) -> None:
    old(app, blocked_uri="chrome-extension://abcdef/inject.js")
    old(app, source_file="moz-extension://abcdef/content.js", blocked_uri="inline")
    old(app, source_file="safari-web-extension://abcdef/content.js", blocked_uri="inline")
    old(app, document_uri="about:blank")
    old(app, document_uri="about:srcdoc", blocked_uri="inline")
    old(app, document_uri="https://evil.example/")
    old(app, document_uri="http://localhost.evil.example/")
    old(app, document_uri="http://localhost@evil.example/")
    old(app, document_uri=7)
    send(app, [report("network-error"), report("made-up"), "x", {"type": "csp-violation"}, report("coop")])
    (group,) = groups(app)
    assert group.type == "coop"
    assert reports_of(app).apart() == {"extension": 5, "foreign": 4, "unknown": 4}


def test_pages_of_other_hosts_are_taken_where_the_setting_names_them(make_app: App) -> None:
    app = make_app(RAMPART_REPORTS="/reports", RAMPART_REPORTS_HOSTS=["www.example.com", "*.shop.example"])
    app.testing = True
    for host in ("www.example.com", "a.shop.example:8443", "shop.example", "evilshop.example"):
        old(app, document_uri=f"https://{host}/")
    (group,) = groups(app)
    assert (group.count, reports_of(app).apart()) == (2, {"foreign": 2})


def test_the_sample_is_of_the_first_report_and_redacted(app: Flask) -> None:
    old(
        app,
        blocked_uri="inline",
        source_file=f"{HOST}/static/a.js?token=hunter2#x",
        line_number=12,
        column_number=7,
        script_sample="login('ada@example.com')",
        referrer="https://other.example/?token=hunter2",
        original_policy="default-src hunter2",
    )
    old(app, blocked_uri="inline", source_file=f"{HOST}/static/b.js")
    (group,) = groups(app)
    assert dict(group.sample) == {
        "source": f"{HOST}/static/a.js",
        "line": 12,
        "column": 7,
        "script": '"login(\\u0027[REDACTED:EMAIL_ADDRESS]\\u0027)"',
    }
    assert (group.source, group.count) == ("self", 2)


def test_a_group_that_comes_no_more_is_dropped_after_its_days(make_app: App, clock: Clock) -> None:
    app = make_app(RAMPART_REPORTS="/reports", RAMPART_REPORTS_KEEP=2)
    app.testing = True
    old(app)
    clock.advance(2 * 86400)
    assert len(groups(app)) == 1
    clock.advance(1)
    assert groups(app) == []


def test_a_new_group_is_told_once(app: Flask) -> None:
    told: list[ReportGroup] = []

    def hear(sender: Flask, *, group: ReportGroup, **_: Any) -> None:
        told.append(group)

    with signals.browser_reported.connected_to(hear, sender=app):
        old(app)
        old(app)
        old(app, blocked_uri="eval")
    assert [group.blocked for group in told] == ["https://cdn.example.com", "eval"]


# Who may report, and how much.


class Nobody(Guard):
    """A guard of the app's that refuses everybody."""

    stage = Stage.IDENTITY
    name = "nobody"

    @classmethod
    def bind(cls, guards: Any, state: Any, endpoint: str) -> Any:
        from flask_rampart import Denied

        return lambda exchange: Denied.of("csrf.invalid")


def test_everybody_may_report_whatever_guards_the_app(make_app: App) -> None:
    app = make_app(RAMPART_REPORTS="/reports", RAMPART_DEFAULT="deny")
    app.testing = True
    rampart = Rampart()
    rampart._states.add(app.extensions["rampart"])
    rampart.protect(app, require(), Nobody())
    app.get("/")(lambda: "home")
    assert old(app).status_code == 204
    assert app.test_client().get("/").status_code == 401


def test_a_preflight_of_another_origin_is_answered(app: Flask) -> None:
    asked = {
        "Origin": "https://www.example.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = app.test_client().options("/reports", headers=asked)
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Headers"] == "content-type"
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_reports_have_a_quota_of_their_own_and_take_nothing_of_the_apps(make_app: App) -> None:
    app = make_app(RAMPART_REPORTS="/reports", RAMPART_LIMITS="2/hour")
    app.testing = True
    app.get("/")(lambda: "home")
    client = app.test_client()
    codes = [old(app, "192.0.2.7").status_code for _ in range(31)]
    assert codes == [204] * 30 + [429]
    assert old(app, "192.0.2.8").status_code == 204
    from_there = {"REMOTE_ADDR": "192.0.2.7"}
    assert [client.get("/", environ_base=from_there).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("kind", ["text/plain", "application/reports+json"])
def test_what_is_refused_counts_too(make_app: App, kind: str) -> None:
    app = make_app(RAMPART_REPORTS="/reports", RAMPART_LIMITS="2/hour")
    codes = {send(app, b"{", kind).status_code for _ in range(30)}
    assert len(codes) == 1 and codes <= {400, 415}
    assert send(app, b"{", kind).status_code == 429


def test_the_collector_is_in_no_openapi_document(app: Flask) -> None:
    rampart = Rampart()
    rampart._states.add(app.extensions["rampart"])
    assert "/reports" not in rampart.openapi()["paths"]


def test_what_the_collector_does_not_answer_counts_for_the_app(make_app: App) -> None:
    app = make_app(RAMPART_REPORTS="/reports", RAMPART_LIMITS="2/hour")
    client = app.test_client()
    assert [client.get("/reports").status_code for _ in range(3)] == [405, 405, 429]


# Attacks.


@pytest.mark.parametrize(
    ("data", "kind", "status", "code"),
    [
        (b"", "application/reports+json", 400, "json.malformed"),
        (b"{", "application/csp-report", 400, "json.malformed"),
        (b"[]", "application/reports+json", 422, "body.invalid"),
        (b"{}", "application/csp-report", 422, "body.invalid"),
        (b'"x"', "application/reports+json", 422, "body.invalid"),
        (b'{"csp-report": []}', "application/csp-report", 422, "body.invalid"),
        (b'{"csp-report": {}, "csp-report": {}}', "application/csp-report", 400, "json.duplicate_key"),
        (b"[" * 1000, "application/reports+json", 400, "json.too_deep"),
        (b"[" + b"1" * 100 + b"]", "application/reports+json", 400, "json.number_too_long"),
        (b'["\\ud800"]', "application/reports+json", 400, "json.surrogate"),
        (b'["\xff"]', "application/reports+json", 400, "json.encoding"),
        (b"[NaN]", "application/reports+json", 400, "json.non_finite"),
        (b'["' + b"x" * MAX_BODY + b'"]', "application/reports+json", 413, "body.too_large"),
        (b"[]", "application/json", 415, "body.media_type"),
        (b"[]", "text/plain", 415, "body.media_type"),
    ],
    ids=lambda value: str(value)[:28],
)
def test_what_is_no_report_is_refused_with_a_code_and_no_echo(
    app: Flask, data: bytes, kind: str, status: int, code: str
) -> None:
    answer = send(app, data, kind)
    assert (answer.status_code, json.loads(answer.data)["code"]) == (status, code)
    assert set(json.loads(answer.data)) <= {"type", "title", "status", "detail", "code", "request_id"}
    assert groups(app) == []


NASTY = (
    "\x1b[2J\x1b]0;owned\x07",  # CWE-150: escape sequences in a terminal
    "\x9b31m",
    "a\r\nSet-Cookie: x=1",  # CWE-113, CWE-117
    "<script>alert(1)</script>",  # CWE-79
    "'\"><img src=x onerror=alert(1)>",
    "=cmd|' /C calc'!A0",  # CWE-1236
    "+1",
    "@SUM(1)",
    "\u202egnp.exe",  # CVE-2021-42574
    "\ud83d\ude00",
    "\0",
    "{{ config }}",
)


@pytest.mark.parametrize("nasty", NASTY, ids=range(len(NASTY)))
def test_nothing_that_leaves_obeys_a_stranger(app: Flask, nasty: str) -> None:
    for name in ("blocked_uri", "source_file", "effective_directive", "script_sample", "document_uri", "disposition"):
        old(app, **{name: nasty})
        old(app, **{name: f"{HOST}/{nasty}"})
    for kind in TYPES:
        send(app, [report(kind, **dict.fromkeys(("id", "type", "reason", "featureId", "destination"), nasty))])
    found = groups(app)
    assert len(found) > 3
    for group in found:
        texts = [value for value in vars(group).values() if isinstance(value, str)]
        for text in [*texts, *(value for value in group.sample.values() if isinstance(value, str))]:
            assert text.isascii() and (text == "" or text.isprintable())
            assert not text.startswith(("=", "+", "-", "@", "\t"))
        chosen = [group.type, group.disposition, group.directive, group.blocked, group.source, group.page]
        chosen += [str(value).strip('"') for value in group.sample.values()]
        assert not set("".join(chosen)) & set("<>&'\"")
    for words in ((), ("--json",)):
        output = run(app, *words).output
        assert all(sign == "\n" or " " <= sign <= "~" for sign in output)


def test_wrong_types_in_every_member_are_no_error(app: Flask) -> None:
    wrong: list[Any] = [None, True, 7, 1.5, [], {}, [[]], {"a": []}]
    names = ("blockedURL", "sourceFile", "sample", "effectiveDirective", "disposition", "lineNumber", "documentURL")
    for value in wrong:
        for name in names:
            assert send(app, [report(**{name: value})], address="192.0.2.9").status_code in (204, 429)
        for name in ("type", "url", "body", "age"):
            assert send(app, [{**report(), name: value}], address="192.0.2.10").status_code in (204, 429)
    assert all(group.directive in {*DIRECTIVES, ""} for group in groups(app))


def test_of_one_request_fifty_reports_of_ten_pages_are_read(app: Flask) -> None:
    assert send(app, [report(blockedURL="eval") for _ in range(150)]).status_code == 204
    (group,) = groups(app)
    assert group.count == 50
    send(app, [report("csp-violation", f"{HOST}/users/{at}", blockedURL="eval") for at in range(20)])
    assert {group.page: group.count for group in groups(app)} == {"/": 50, "/users/{number}": 10}
    assert reports_of(app).apart() == {"unknown": 10}


def test_a_script_with_any_character_is_shown_in_harmless_ones() -> None:
    reader = Reader(lambda path: path, lambda authority: True, lambda text: text)
    for code in range(0x3000):
        sign = chr(code)
        (one,) = reader.read([report(blockedURL="inline", sample=f"a{sign}b")]) or ()
        assert isinstance(one, Seen)
        plain = sign.isascii() and sign.isprintable() and sign not in "<>&'\"`\\"
        assert dict(one.sample)["script"] == (f'"a{sign}b"' if plain else f'"a\\u{code:04x}b"')


_TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(NASTY),
    st.builds("{}{}".format, st.sampled_from((f"{HOST}/", "https://", "data:", "ws://a:b@")), st.text(max_size=20)),
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=5,
)
_NAMES = [
    "documentURL",
    "blockedURL",
    "sourceFile",
    "sample",
    "effectiveDirective",
    "disposition",
    "lineNumber",
    "columnNumber",
    "reportOnly",
    "type",
    "id",
    "reason",
    "featureId",
    "destination",
    "document-uri",
    "blocked-uri",
    "source-file",
    "script-sample",
    "violated-directive",
]
_BODIES = st.dictionaries(st.sampled_from(_NAMES), _VALUES)
_DOCUMENTS = st.one_of(
    _VALUES,
    st.builds(lambda body: {"csp-report": {"document-uri": f"{HOST}/", **body}}, _BODIES),
    st.lists(
        st.builds(
            lambda kind, body: {"type": kind, "url": f"{HOST}/", "body": body}, st.sampled_from(sorted(TYPES)), _BODIES
        )
    ),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_DOCUMENTS)
def test_whatever_is_reported_is_read_as_harmless_text(document: Any) -> None:
    reader = Reader(lambda path: None, lambda authority: authority == "localhost", lambda text: text)
    for one in reader.read(document) or ():
        if isinstance(one, str):
            assert one in ("extension", "foreign", "unknown")
            continue
        for text in (*one[:6], *(str(value).strip('"') for _, value in one.sample)):
            assert all(" " <= sign <= "~" and sign not in "<>&'\"" for sign in text)
            assert len(text) <= 300


# The command line.


def test_the_command_prints_groups_and_what_to_change(app: Flask) -> None:
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        old(app, address, document_uri=f"{HOST}/users/1")
    old(app, effective_directive="script-src-elem", blocked_uri="inline", disposition="report")
    old(app, document_uri="https://evil.example/")
    told = run(app)
    assert told.exit_code == 0
    lines = told.output.splitlines()
    assert lines[0].split() == ["COUNT", "CLIENTS", "DIRECTIVE", "BLOCKED", "PAGE", "LAST", "SEEN", "HINT"]
    assert lines[1].split()[:5] == ["3", "3", "img-src", "https://cdn.example.com", "/users/{number}"]
    assert "2027-01-15 08:00:00Z  If you know" in lines[1]
    assert "script-src-elem (report-only)  inline" in lines[2]
    assert "Give the script a nonce" in lines[2]
    assert lines[3:] == ["2 groups", "not kept: 1 foreign"]


def test_the_command_prints_json_and_forgets(app: Flask, clock: Clock) -> None:
    old(app)
    clock.advance(7200)
    old(app, blocked_uri="eval")
    (group,) = json.loads(run(app, "--json", "--since", "1h").output)["groups"]
    assert (group["blocked"], group["last_seen"]) == ("eval", "2027-01-15 10:00:00Z")
    assert len(json.loads(run(app, "--json", "--since", "7d").output)["groups"]) == 2
    assert run(app, "--clear").output.endswith("forgotten: all groups\n")
    assert groups(app) == []
    assert run(app, "--since", "soon").exit_code == 2


@pytest.mark.parametrize("directive", sorted(DIRECTIVES))
@pytest.mark.parametrize("blocked", ["inline", "eval", "wasm-eval", "data:", "self", "https://evil.example", "other"])
def test_no_hint_opens_the_policy_to_what_was_injected(directive: str, blocked: str) -> None:
    for strict_dynamic in (True, False):
        hint = advice("csp-violation", directive, blocked, strict_dynamic=strict_dynamic)
        assert hint.endswith(".") and "'unsafe-inline'" not in hint
        assert "add 'unsafe-eval'" not in hint
        if "evil" in hint:
            assert hint.startswith("If you know")
        if directive.startswith("script-src") and blocked == "data:":
            assert "data:" not in hint
        if directive.startswith("script-src") and strict_dynamic:
            assert "evil" not in hint


def test_the_guides_app_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "_private_directory", lambda: str(tmp_path / "counters"))
    guide = (Path(__file__).parent.parent / "docs" / "reports.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", guide, re.S)
    names: dict[str, Any] = {"__name__": "guide"}
    exec(compile(block, "reports.md", "exec"), names)
    app: Flask = names["app"]
    app.testing = True
    only = app.test_client().get("/users/1").headers["Content-Security-Policy-Report-Only"]
    assert only.endswith("img-src 'self'; report-uri /reports")
    old(app, document_uri=f"{HOST}/users/1")
    shown = run(app).output.splitlines()
    assert shown[0].split() == re.findall(r"COUNT .*", guide)[0].split()
    assert shown[1].split()[2:] == re.findall(r"41 .*", guide)[0].split()[2:5] + shown[1].split()[5:]
    assert shown[1].endswith(re.findall(r"41 .*?(If you know .*)", guide)[0])
