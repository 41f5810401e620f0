"""Reports: where browsers are told to report, who may, how much, and what the command line shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock, ConfigError, Guard, Rampart, Stage, headers, require, tables
from flask_rampart.reports import Reports
from flask_rampart.reports.advice import advice
from flask_rampart.reports.reading import DIRECTIVES

from .reporting import HOST, App, groups, old, report, run, send
from .reporting import app as app

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


def test_answers_of_routes_with_headers_of_their_own_refusals_and_errors_name_the_endpoint_too(make_app: App) -> None:
    app = make_app(RAMPART_REPORTS="/reports", RAMPART_PROFILE="html", RAMPART_TRUSTED_HOSTS=["localhost"])

    def asked() -> dict[str, str]:
        return {"img-src": "'self'"}

    app.get("/constant")(headers(csp={"img-src": "'self' https://cdn.example.com"})(lambda: "page"))
    app.get("/asked")(headers(csp=asked)(lambda: "page"))
    app.get("/fails")(lambda: 1 / 0)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    client = app.test_client()
    found = {}
    for path in ("/constant", "/asked", "/nowhere", "/fails", "/a/../b"):
        answer = client.get(path, base_url="https://localhost")
        found[path] = answer.status_code
        assert answer.headers["Reporting-Endpoints"] == 'rampart="/reports", default="/reports"', path
        assert answer.headers["Content-Security-Policy"].endswith("; report-uri /reports; report-to rampart"), path
        assert answer.headers["Cross-Origin-Opener-Policy"] == 'same-origin; report-to="rampart"', path
    assert found == {"/constant": 200, "/asked": 200, "/nowhere": 404, "/fails": 500, "/a/../b": 400}


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


@pytest.mark.parametrize(
    ("query", "data", "fields", "status"),
    [
        ("", b"x" * (2 << 20), {}, 413),
        ("", b"[]", {"Content-Encoding": "gzip"}, 415),
        ("?" + "x" * 9000, b"[]", {}, 414),
        ("", b"[]", {"X-Long": "x" * 40_000}, 431),
    ],
    ids=["too long a body", "a coded body", "too long a query", "too long a head"],
)
def test_what_the_edge_refuses_there_counts_for_the_app(
    make_app: App, query: str, data: bytes, fields: dict[str, str], status: int
) -> None:
    # No limit of a view counts what never comes to it.
    app = make_app(RAMPART_REPORTS="/reports", RAMPART_LIMITS="2/hour")
    kind = "application/reports+json"
    sent = [
        app.test_client().post(f"/reports{query}", data=data, content_type=kind, headers=fields).status_code
        for _ in range(4)
    ]
    assert sent == [status, status, 429, 429]


@pytest.mark.parametrize("origin", ["https://www.example.com", "https://evil.example"])
@pytest.mark.parametrize("path", ["/reports", "/reports/"])
def test_a_cors_policy_of_the_app_does_not_answer_for_the_collector(make_app: App, origin: str, path: str) -> None:
    app = make_app(
        RAMPART_REPORTS="/reports",
        RAMPART_REPORTS_HOSTS=["www.example.com"],
        RAMPART_CORS_ORIGINS=["https://www.example.com"],
        RAMPART_CORS_CREDENTIALS=True,
    )
    app.testing = True
    client = app.test_client()
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = client.options(path, headers=asked)
    assert (answer.status_code, answer.headers.getlist("Access-Control-Allow-Origin")) == (204, ["*"])
    assert "Access-Control-Allow-Credentials" not in answer.headers
    body = json.dumps([report("csp-violation", "https://www.example.com/")])
    sent = {"Origin": origin, "Sec-Fetch-Site": "cross-site", "Cookie": "session=1"}
    answer = client.post(path, data=body, content_type="application/reports+json", headers=sent)
    assert (answer.status_code, answer.headers.getlist("Access-Control-Allow-Origin")) == (204, ["*"])
    assert [group.page for group in groups(app)] == ["(no route)"]


def test_the_collector_is_in_no_openapi_document(app: Flask) -> None:
    rampart = Rampart()
    rampart._states.add(app.extensions["rampart"])
    assert "/reports" not in rampart.openapi()["paths"]


def test_what_the_collector_does_not_answer_counts_for_the_app(make_app: App) -> None:
    app = make_app(RAMPART_REPORTS="/reports", RAMPART_LIMITS="2/hour")
    client = app.test_client()
    assert [client.get("/reports").status_code for _ in range(3)] == [405, 405, 429]


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
    monkeypatch.setattr(tables, "private_directory", lambda: str(tmp_path / "counters"))
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
