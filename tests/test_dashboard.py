"""The dashboard without a browser: who may see it, what it shows, and that it changes nothing unasked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response

import flask_rampart.dashboard
from flask_rampart import ConfigError, limit, public, require, tables
from flask_rampart.audit import Audit
from flask_rampart.cli import commands
from flask_rampart.dashboard import Dashboard, overview
from flask_rampart.dashboard import board as boards
from flask_rampart.metrics import Metrics
from flask_rampart.monitor import Monitor
from flask_rampart.openapi import OpenApi
from flask_rampart.tokens import Tokens

from .auditing import App, log_of, records
from .auditing import make as make

STATIC = Path(flask_rampart.dashboard.__file__).parent / "static"


STREAMS = 2


def boarded(make: App, *, streams: int = 0, **config: Any) -> tuple[Flask, dict[str, str]]:
    """An app with a dashboard, some traffic's views, and an admin's credential."""
    app = make(RAMPART_CSRF="off", **config)
    app.add_url_rule("/secret", view_func=require()(lambda: "x"))
    app.add_url_rule("/often", view_func=limit("1/minute", ban="15 minutes after 2 in 1 minute")(lambda: "x"))
    app.add_url_rule("/open", view_func=public(lambda: "x"))
    app.register_blueprint(Dashboard(require(roles="admin"), streams=streams))
    with app.app_context():
        token = app.extensions["rampart"].services[Tokens].issue("ada", roles=["admin"])
    return app, {"Authorization": f"Bearer {token}"}


def shown(app: Flask, admin: dict[str, str], query: str = "?whole=1") -> dict[str, Any]:
    answer = app.test_client().get(f"/rampart/data{query}", headers=admin)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = json.loads(answer.text)
    return found


@pytest.mark.parametrize("guards", [(), (public,), (require(optional=True),), (limit("1/minute"),), (1,)], ids=repr)
def test_without_a_guard_that_asks_who_it_is_there_is_no_dashboard(guards: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigError, match="open to everybody"):
        Dashboard(*guards)


def test_it_needs_a_rampart_first() -> None:
    with pytest.raises(ConfigError, match="after Rampart"):
        Flask("bare").register_blueprint(Dashboard(require(roles="admin")))


def test_every_part_of_it_is_for_those_who_are_meant(make: App) -> None:
    app, admin = boarded(make)
    client = app.test_client()
    with app.app_context():
        user = {"Authorization": f"Bearer {app.extensions['rampart'].services[Tokens].issue('eve')}"}
    paths = [rule.rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("rampart_dashboard.")]
    assert len(paths) == 5
    for path in ("/rampart/", "/rampart/app.css", "/rampart/app.js", "/rampart/data", "/rampart/events"):
        assert client.get(path).status_code == 401, path
        assert client.get(path, headers=user).status_code == 403, path
    assert client.get("/rampart/", headers=admin).status_code == 200
    assert client.post("/rampart/unban", headers=user, json={}).status_code == 403


def test_the_page_lives_under_the_strictest_policy_and_calls_nobody(make: App) -> None:
    app, admin = boarded(make)
    client = app.test_client()
    page = client.get("/rampart/", headers=admin)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "'unsafe" not in policy and "http" not in policy
    assert page.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<(?:script|style)[^>]*>[^<]|\son\w+=|\sstyle=|https?://", page.text)
    script = client.get("/rampart/app.js", headers=admin)
    assert script.content_type.startswith("text/javascript")
    assert not re.search(r"innerHTML|insertAdjacentHTML|outerHTML|document\.write|\beval\(|new Function", script.text)
    assert {found.removeprefix("http://") for found in re.findall(r"https?://[^\"']+", script.text)} == {
        "www.w3.org/2000/svg"  # a name, which nothing fetches
    }


def test_the_page_weighs_less_than_100_kilobytes() -> None:
    assert sum(path.stat().st_size for path in STATIC.iterdir()) < 100_000


def test_it_shows_who_is_refused_why_and_where(make: App) -> None:
    app, admin = boarded(make)
    client = app.test_client()
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        client.get("/secret", environ_overrides={"REMOTE_ADDR": address})
    with app.app_context():
        eve = app.extensions["rampart"].services[Tokens].issue("eve")
    client.get("/rampart/", headers={"Authorization": f"Bearer {eve}"})
    found = shown(app, admin)
    assert found["refusals"] == [["auth.missing", 3.0], ["auth.role", 1.0]]
    assert found["addresses"][0] == ["192.0.2.1", 2]
    assert found["principals"] == [["eve", 1]]
    assert found["recent"][0]["code"] == "auth.role" and found["recent"][0]["route"] == "/rampart/"
    assert found["recent"][1]["address"] == "192.0.2.2"
    assert found["totals"]["requests"] == found["totals"]["auth_failures"] == 4
    assert found["rates"][-1][1:] == [4, 4, 0]
    assert found["workers"] == 1


def test_it_does_not_count_who_looks_at_it(make: App) -> None:
    app, admin = boarded(make, RAMPART_METRICS_PATH="/metrics", RAMPART_METRICS_TOKEN="0123456789abcdef-of-a-scraper")
    client = app.test_client()
    for path in ("", "app.js", "app.css", "data"):
        assert client.get(f"/rampart/{path}", headers=admin).status_code == 200
    assert client.get("/metrics", headers={"Authorization": "Bearer 0123456789abcdef-of-a-scraper"}).status_code == 200
    client.get("/open")
    found = shown(app, admin)
    assert found["rates"][-1][1:] == [1, 0, 0]
    assert found["totals"]["requests"] == 1
    assert [row["route"] for row in found["routes"]] == ["/open"]
    # Who is refused there is.
    client.get("/metrics")
    client.get("/rampart/data")
    found = shown(app, admin)
    assert found["rates"][-1][1:] == [3, 2, 0]
    assert found["refusals"] == [["auth.missing", 2.0]]
    assert found["totals"]["requests"] == 3
    told = {row["route"]: (row["requests"], row["refused"], row["milliseconds"] is None) for row in found["routes"]}
    assert told == {"/open": (1, 0, False), "/metrics": (1, 1, True), "/rampart/data": (1, 1, True)}


def test_it_does_not_count_scrapes_wherever_the_app_has_put_them(make: App) -> None:
    app, admin = boarded(make)
    app.add_url_rule("/scrape", "scrape", require()(app.extensions["rampart"].services[Metrics].view))
    client = app.test_client()
    assert [client.get("/scrape", headers=admin).status_code, client.get("/open").status_code] == [200, 200]
    found = shown(app, admin)
    assert found["rates"][-1][1:] == [1, 0, 0]
    assert found["totals"]["requests"] == 1
    assert [row["route"] for row in found["routes"]] == ["/open"]


def test_it_shows_which_routes_are_open_and_degrades_without_the_rest(make: App) -> None:
    app, admin = boarded(make)
    app.add_url_rule("/naked", view_func=lambda: "x")
    found = shown(app, admin)
    states = {row["path"]: row["state"] for row in found["coverage"]}
    assert [states[path] for path in ("/secret", "/naked", "/open", "/rampart/")] == [
        "guarded",
        "open",
        "public",
        "guarded",
    ]
    assert found["reports"] is None
    assert found["audit"] == {"enabled": True, "refuses": True, "failures": 0, "verified": None}
    assert "coverage" not in shown(app, admin, "")
    assert len(shown(app, admin, "?minutes=60")["rates"]) == 720
    assert len(shown(app, admin, "?minutes=many")["rates"]) == 180


# Pages of 200 rows: what an attacker looks for may be called /zzz.
def test_no_number_of_routes_hides_an_open_one(make: App) -> None:
    app, admin = boarded(make)
    for number in range(230):
        app.add_url_rule(f"/a{number:03}", f"a{number}", require()(lambda: "x"))
    app.add_url_rule("/zzz", "zzz", lambda: "x")
    app.add_url_rule("/elsewhere", endpoint="elsewhere")  # without a view
    found = shown(app, admin)
    rows, counts = found["coverage"], found["coverage_counts"]
    assert len(rows) == 200
    assert [row["path"] for row in rows if row["state"] == "open"] == ["/often", "/static/<path:filename>", "/zzz"]
    assert [row["state"] for row in rows[:3]] == ["open"] * 3
    assert counts == {"routes": 240, "open": 3, "public": 1, "guarded": 236}


def test_what_is_optional_is_shown_as_public(make: App) -> None:
    app, admin = boarded(make)
    app.add_url_rule("/optional", view_func=require(optional=True)(lambda: "x"))
    assert {row["path"]: row["state"] for row in shown(app, admin)["coverage"]}["/optional"] == "public"


# Fetch, "CORS protocol and credentials": an origin that is listed with credentials reads as whoever is logged in.
def test_pages_of_other_origins_read_none_of_it(make: App) -> None:
    origin = "https://spa.example.com"
    app, admin = boarded(make, RAMPART_CORS_ORIGINS=[origin], RAMPART_CORS_CREDENTIALS=True)
    client = app.test_client()
    assert client.get("/open", headers={"Origin": origin}).headers["Access-Control-Allow-Origin"] == origin
    for path in ("/rampart/", "/rampart/app.js", "/rampart/data", "/rampart/events"):
        answer = client.get(path, headers={**admin, "Origin": origin}, environ_overrides={"wsgi.multithread": False})
        assert answer.status_code in (200, 204), path
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")], path
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = client.options("/rampart/unban", headers=asked)
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_page_knows_the_name_of_the_cookie_that_proves(make: App) -> None:
    for config, name in (
        ({}, "__Host-csrf_token"),
        ({"RAMPART_JWT_COOKIE_DOMAIN": "example.com"}, "__Secure-csrf_token"),
    ):
        app, admin = boarded(make, RAMPART_JWT_LOCATIONS=["header", "cookie"], **config)
        page = app.test_client().get("/rampart/", headers=admin).text
        assert f'<meta name="csrf-cookie" content="{name}">' in page
        assert app.extensions["rampart"].services[Tokens].csrf_cookie == name


def test_the_last_verification_is_shown_and_none_is_run(make: App) -> None:
    app, admin = boarded(make)
    app.test_client().get("/secret")
    ran = app.test_cli_runner().invoke(commands, ["audit", "verify"])
    assert ran.exit_code == 0, ran.output
    found = shown(app, admin)["audit"]["verified"]
    assert found["faults"] == 0 and found["records"] >= 1
    note = log_of(app)._folder / "audit.verified"
    for text in ("", "[]", '{"time": "x"}', "{" * 5000):
        note.write_text(text)
        assert shown(app, admin)["audit"]["verified"] is None


def test_records_that_any_worker_could_not_write_are_told(make: App) -> None:
    app, admin = boarded(make)
    app.extensions["rampart"].services[Metrics].recorded(written=False)  # as another worker counts it
    assert shown(app, admin)["audit"]["failures"] == 1


def test_a_ban_is_shown_and_ended_and_that_is_recorded(make: App) -> None:
    app, admin = boarded(make)
    client = app.test_client()
    stranger = {"REMOTE_ADDR": "198.51.100.7"}
    statuses = [client.get("/often", environ_overrides=stranger).status_code for _ in range(4)]
    assert statuses == [200, 429, 429, 429]
    (ban,) = shown(app, admin)["bans"]
    assert (ban["kind"], ban["address"]) == ("address", "198.51.100.7") and 800 < ban["seconds"] <= 900
    fields = {**admin, "X-Rampart-Dashboard": "1"}
    answer = client.post("/rampart/unban", headers=fields, json={"kind": "address", "address": "198.51.100.7"})
    assert answer.json == {"was": True}
    assert shown(app, admin)["bans"] == []
    assert client.get("/open", environ_overrides=stranger).status_code == 200
    recorded = [one for one in records(app) if one["event"] == "rampart.unban"]
    assert len(recorded) == 1 and recorded[0]["principal"] == "ada"


# CWE-352: a form of another site sends text/plain, with cookies, and no header of its own.
def test_a_ban_is_not_ended_by_a_form(make: App) -> None:
    app, admin = boarded(make)
    client = app.test_client()
    body = json.dumps({"kind": "address", "address": "198.51.100.7"})
    for fields in (
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json"},
        {"Content-Type": "text/plain", "X-Rampart-Dashboard": "1"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ):
        answer = client.post("/rampart/unban", headers={**admin, **fields}, data=body)
        assert answer.status_code == 403 and answer.json["code"] == "csrf.invalid", fields
    assert client.get("/rampart/unban", headers=admin).status_code == 405
    fields = {**admin, "X-Rampart-Dashboard": "1"}
    for wrong in ({}, [], {"kind": "key", "address": "x"}, {"kind": "address", "address": 7}):
        assert client.post("/rampart/unban", headers=fields, json=wrong).status_code == 422


def test_a_server_with_one_thread_is_not_held_by_a_stream(make: App) -> None:
    app, admin = boarded(make, streams=STREAMS)
    for _ in range(5):
        answer = app.test_client().get("/rampart/events", headers=admin, environ_overrides={"wsgi.multithread": False})
        assert answer.status_code == 204


# PEP 3333: "wsgi.multithread" says that the app may be called by another thread, and not that one is free.
def test_without_a_word_of_the_apps_no_thread_is_held(make: App) -> None:
    app, admin = boarded(make)
    for _ in range(3):
        answer = app.test_client().get("/rampart/events", headers=admin, environ_overrides={"wsgi.multithread": True})
        assert answer.status_code == 204


@pytest.mark.parametrize("streams", [-1, 65, True, 1.5, "2", None])
def test_how_many_threads_can_be_spared_is_a_number(streams: Any) -> None:
    with pytest.raises(ConfigError, match="streams="):
        Dashboard(require(roles="admin"), streams=streams)


def test_streams_are_bounded_and_given_back(make: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app, admin = boarded(make, streams=STREAMS)
    monkeypatch.setattr(boards, "_EVERY", 0.0)
    options: dict[str, Any] = {"headers": admin, "environ_overrides": {"wsgi.multithread": True}, "buffered": False}
    streams = [app.test_client().get("/rampart/events", **options) for _ in range(STREAMS)]
    assert [stream.status_code for stream in streams] == [200] * STREAMS
    assert app.test_client().get("/rampart/events", **options).status_code == 204
    chunks = iter(streams[0].response)
    text = b"".join(next(chunks) for _ in range(3)).decode()
    assert text.startswith("retry: ") and json.loads(text.split("data: ")[1].split("\n")[0])["app"] == "shop"
    for stream in streams:
        stream.close()
    again = app.test_client().get("/rampart/events", **options)
    assert again.status_code == 200
    again.close()


@pytest.mark.parametrize("how", ["raised", "replaced"])
def test_a_stream_that_is_never_sent_gives_its_place_back(make: App, how: str) -> None:
    app, admin = boarded(make, streams=STREAMS, PROPAGATE_EXCEPTIONS=False)
    fails: list[bool] = []

    @app.after_request
    def after(response: Response) -> Response:
        if fails and how == "raised":
            raise RuntimeError("a hook of the app's")
        return Response("instead", 503) if fails else response

    options: dict[str, Any] = {"headers": admin, "environ_overrides": {"wsgi.multithread": True}, "buffered": False}
    fails.append(True)
    for _ in range(STREAMS + 1):
        assert app.test_client().get("/rampart/events", **options).status_code in (500, 503)
    fails.clear()
    streams = [app.test_client().get("/rampart/events", **options) for _ in range(STREAMS)]
    assert [stream.status_code for stream in streams] == [200] * STREAMS
    for stream in streams:
        stream.close()


def test_a_stream_lasts_half_a_minute_and_the_next_is_asked_for_anew(
    make: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, admin = boarded(make, streams=STREAMS)
    now = [0.0]

    class Time:
        monotonic = staticmethod(lambda: now[0])

        @staticmethod
        def sleep(seconds: float) -> None:
            now[0] += seconds

    monkeypatch.setattr(boards, "time", Time)
    options: dict[str, Any] = {"headers": admin, "environ_overrides": {"wsgi.multithread": True}, "buffered": False}
    stream = app.test_client().get("/rampart/events", **options)
    chunks = iter(stream.response)
    next(chunks)
    with app.app_context():
        app.extensions["rampart"].services[Tokens].revoke(admin["Authorization"][7:])
    assert len(list(chunks)) == 15 and now == [30.0]
    stream.close()
    assert app.test_client().get("/rampart/events", **options).status_code == 401


def test_who_may_look_need_not_be_who_ends_bans(make: App) -> None:
    app = make(RAMPART_CSRF="off")
    app.register_blueprint(Dashboard(require(roles="viewer"), unban=require(roles="operator")))
    client = app.test_client()
    issue = app.extensions["rampart"].services[Tokens].issue
    statuses = {}
    for roles in (["viewer"], ["operator"], ["viewer", "operator"]):
        with app.app_context():
            fields = {"Authorization": f"Bearer {issue('ada', roles=roles)}", "X-Rampart-Dashboard": "1"}
        ban = {"kind": "address", "address": "192.0.2.1"}
        asked = client.get("/rampart/data", headers=fields), client.post("/rampart/unban", headers=fields, json=ban)
        statuses["+".join(roles)] = [answer.status_code for answer in asked]
    assert statuses == {"viewer": [200, 403], "operator": [403, 403], "viewer+operator": [200, 200]}
    with pytest.raises(ConfigError, match="unban"):
        Dashboard(require(roles="admin"), unban=("operator",))  # type: ignore[arg-type]


def test_what_peers_wrote_is_data_and_never_markup(make: App) -> None:
    app, admin = boarded(make)
    with app.app_context():
        name = "<script>alert(1)</script>"
        token = app.extensions["rampart"].services[Tokens].issue(name)
    app.test_client().get("/rampart/", headers={"Authorization": f"Bearer {token}"})
    answer = app.test_client().get("/rampart/data", headers=admin)
    assert answer.content_type == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert json.loads(answer.text)["principals"] == [[name, 1]]


def test_refusals_are_remembered_only_for_people_who_look(make: App) -> None:
    for settings, remembered in (
        ({"RAMPART_METRICS_PATH": "/metrics", "RAMPART_METRICS_TOKEN": "0123456789abcdef0123456789abcdef"}, []),
        ({"RAMPART_METRICS": True}, ["auth.missing"]),
    ):
        app = make(**settings)
        app.add_url_rule("/secret", view_func=require()(lambda: "x"))
        app.test_client().get("/secret")
        found = overview(app.extensions["rampart"])
        assert [one["code"] for one in found["recent"]] == remembered
        assert found["refusals"] == [["auth.missing", 1.0]]


def test_it_can_be_elsewhere_and_twice(make: App) -> None:
    app = make()
    app.register_blueprint(Dashboard(require(roles="admin"), path="/ops/board", name="ops"))
    app.register_blueprint(Dashboard(require(roles="boss")))
    client = app.test_client()
    assert [client.get(path).status_code for path in ("/ops/board/", "/rampart/")] == [401, 401]


def test_an_audit_log_that_is_off_is_told(make: App) -> None:
    app, admin = boarded(make, RAMPART_AUDIT_LOG="off")
    assert not app.extensions["rampart"].services[Audit].enabled
    assert shown(app, admin)["audit"] == {"enabled": False}


def test_the_pages_code_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tables, "private_directory", lambda: str(tmp_path / "own"))
    page = (Path(__file__).parent.parent / "docs" / "dashboard.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", page, re.S)
    space: dict[str, Any] = {"__name__": "page"}
    exec(compile(block, "dashboard.md", "exec"), space)
    assert space["app"].test_client().get("/rampart/").status_code == 401


def test_what_detectors_found_is_shown_and_counted(make: App) -> None:
    app, admin = boarded(make)
    assert shown(app, admin)["findings"] == []
    monitor: Monitor = app.extensions["rampart"].services[Monitor]
    monitor.note(signs=["audit_tampered"])
    found = shown(app, admin)
    (one,) = found["findings"]
    assert one["rule"] and one["severity"] and one["count"] >= one["threshold"] > 0
    assert found["totals"]["findings"] == 1
    quiet, boss = boarded(make, RAMPART_MONITOR="off")
    assert shown(quiet, boss)["findings"] is None


def test_it_is_no_part_of_the_apis_document_and_its_routes_are_open_to_nobody_under_deny(make: App) -> None:
    app, admin = boarded(make, RAMPART_DEFAULT="deny", RAMPART_METRICS_PATH="/metrics", RAMPART_METRICS_TOKEN="t" * 32)
    client = app.test_client()
    assert client.get("/rampart/", headers=admin).status_code == 200
    assert client.get("/metrics", headers={"Authorization": f"Bearer {'t' * 32}"}).status_code == 200
    paths = app.extensions["rampart"].services[OpenApi].document()["paths"]
    assert set(paths) == {"/secret", "/open"}  # what declares nothing is refused
