"""``flask rampart check``: each setting that leaves something open is found, and a sound app has nothing to be found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_rampart import ConfigError, Rampart, cors, csrf, headers, limit, public, require
from flask_rampart.check import CATALOGUE, Severity, register, way
from flask_rampart.check.own import _registered
from flask_rampart.check.stores import file_system_of, workers
from flask_rampart.check.subject import Subject

from .checking import SOUND, SOUND_SECRET, TODAY, Place, checked, hello, ids, of, place

__all__ = ["place"]
TOKENS: dict[str, Any] = {
    "RAMPART_JWT_KEYS": [{"kid": "a", "alg": "HS256", "secret": SOUND_SECRET}],
    "RAMPART_STORE": "sqlite:///r.sqlite3",
}
ROOT = Path(__file__).parent.parent


def test_nothing_is_found_in_an_app_that_is_as_it_should_be(place: Place) -> None:
    app = place.app()
    app.get("/health")(hello)
    report = checked(app)
    assert report.findings == [], [str(finding) for finding in report.findings]
    assert report.notes == []


def test_a_bare_app_is_told_what_is_open(place: Place) -> None:
    app = Flask("flask_app", root_path=str(place.folder), instance_path=str(place.folder / "instance"))
    Rampart(app)
    app.post("/login")(lambda: "ok")
    assert ids(app) == ["RMP-211", "RMP-231", "RMP-404", "RMP-401", "RMP-405", "RMP-601", "RMP-221", "RMP-403"]
    assert ids(app, deploy=False) == ["RMP-404", "RMP-401", "RMP-405", "RMP-403"]


@pytest.mark.parametrize(
    "config, id, severity",
    [
        ({"DEBUG": True}, "RMP-002", "error"),
        ({"TESTING": True}, "RMP-003", "error"),
        ({"PROPAGATE_EXCEPTIONS": True}, "RMP-006", "warning"),
        ({"SECRET_KEY": "kT9-vX2_qLw"}, "RMP-101", "error"),
        ({"SECRET_KEY": "my-super-secret-key-for-production"}, "RMP-103", "error"),
        ({"SECRET_KEY": "correct horse battery staple"}, "RMP-102", "error"),
        ({"SECRET_KEY": "dev"}, "RMP-103", "error"),
        ({"SECRET_KEY_FALLBACKS": ["changeme"]}, "RMP-103", "error"),
        ({"RAMPART_LIMIT_SECRET": SOUND["SECRET_KEY"]}, "RMP-104", "error"),
        ({"RAMPART_COOKIES": {"session": {"secure": False}}}, "RMP-201", "error"),
        ({"RAMPART_COOKIES": {"theme": {"http_only": False}}}, "RMP-202", "warning"),
        ({"RAMPART_COOKIES": {"theme": {"same_site": "None"}}}, "RMP-203", "warning"),
        ({"SESSION_COOKIE_SAMESITE": "None"}, "RMP-203", "warning"),
        ({"RAMPART_SESSION_PREFIX": ...}, "RMP-204", "note"),
        ({**TOKENS, "RAMPART_JWT_LOCATIONS": ["header", "query"]}, "RMP-205", "warning"),
        ({**TOKENS, "RAMPART_JWT_LOCATIONS": ["cookie"], "RAMPART_JWT_COOKIE_SAMESITE": "None"}, "RMP-203", "warning"),
        ({"RAMPART_TRUSTED_HOSTS": ...}, "RMP-211", "error"),
        ({"RAMPART_TRUSTED_PROXIES": ...}, "RMP-221", "note"),
        ({"RAMPART_TRUSTED_PROXIES": ["64.0.0.0/3"]}, "RMP-222", "error"),
        ({"RAMPART_TRUSTED_PROXIES": ["2000::/4"]}, "RMP-222", "error"),
        ({"RAMPART_HTTPS": ...}, "RMP-231", "error"),
        ({"RAMPART_HTTPS": "off"}, "RMP-231", "error"),
        ({"RAMPART_HSTS": False}, "RMP-232", "warning"),
        ({"RAMPART_HSTS": {"max_age": 86400}}, "RMP-232", "warning"),
        ({"RAMPART_CSP": {"default-src": "*"}}, "RMP-301", "warning"),
        ({"RAMPART_PROFILE": "html", "RAMPART_CSP": {"default-src": "'self'"}}, "RMP-302", "warning"),
        ({"RAMPART_CORS_ORIGINS": "*"}, "RMP-311", "warning"),
        (
            {"RAMPART_CORS_ORIGINS": ["https://*.example.com"], "RAMPART_CORS_CREDENTIALS": True},
            "RMP-312",
            "note",
        ),
        ({"RAMPART_CORS_ORIGINS": ["https://a.example"], "RAMPART_CORS_DEBUG": True}, "RMP-313", "warning"),
        ({"RAMPART_CSRF": "off"}, "RMP-321", "error"),
        ({"RAMPART_CSRF": "off", "SECRET_KEY": None, "RAMPART_SESSION_PREFIX": ...}, "RMP-321", "note"),
        ({"RAMPART_DEFAULT": "open"}, "RMP-405", "warning"),
        ({"RAMPART_LIMIT_STORE": "memory://"}, "RMP-501", "warning"),
        ({"RAMPART_MAX_BODY": 1024**3}, "RMP-511", "warning"),
        ({"RAMPART_CODING_RATIO": 10_000}, "RMP-511", "warning"),
        ({"RAMPART_METHOD_OVERRIDE": True}, "RMP-512", "warning"),
        ({"RAMPART_ENCODED_SLASHES": True}, "RMP-512", "warning"),
        ({"RAMPART_REQUEST_CODINGS": ["as-is"]}, "RMP-512", "warning"),
        ({"RAMPART_AUDIT_LOG": "off"}, "RMP-601", "warning"),
        ({"RAMPART_AUDIT_ON_FAILURE": "continue"}, "RMP-602", "note"),
        ({"RAMPART_ACCESS_LOG": "off"}, "RMP-603", "warning"),
        ({"RAMPART_MONITOR": "off"}, "RMP-605", "warning"),
        ({"RAMPART_REDACT": {"operators": {"EMAIL_ADDRESS": {"type": "keep"}}}}, "RMP-604", "warning"),
    ],
)
def test_a_setting_that_leaves_something_open_is_found(
    place: Place, config: dict[str, Any], id: str, severity: str
) -> None:
    found = of(place.app(**config), id)
    assert [finding.weight.word for finding in found] == [severity]
    assert found[0].place.setting or id == "RMP-604"


@pytest.mark.parametrize(
    "config, id",
    [
        ({"SECRET_KEY": "3f9ac1d27b8e4056a1d9c3f2e7b60548"}, "RMP-102"),  # token_hex(16): 128 bits
        ({"SECRET_KEY": bytes(range(7, 39))}, "RMP-102"),
        ({"RAMPART_TRUSTED_HOSTS": ..., "TRUSTED_HOSTS": ["api.example.com"]}, "RMP-211"),
        ({"RAMPART_TRUSTED_PROXIES": ["104.16.0.0/13", "unix", "fd00::/8"]}, "RMP-222"),
        ({"RAMPART_CORS_ORIGINS": ["https://*.example.com"]}, "RMP-312"),
        ({"RAMPART_CSP": {"default-src": "'none'", "frame-ancestors": "'none'"}}, "RMP-302"),
    ],
)
def test_a_setting_that_is_well_is_not(place: Place, config: dict[str, Any], id: str) -> None:
    assert id not in ids(place.app(**config))


def test_no_message_shows_a_secret(place: Place) -> None:
    secret = "hunter2-hunter2-hunter2"
    app = place.app(SECRET_KEY=secret, RAMPART_STORE=f"sqlite:///{place.folder}/r.sqlite3")
    (place.folder / "settings.py").write_text(f'SECRET_KEY = "{secret}"\nDB = "redis://:{secret}@db/0"\n')
    report = checked(app)
    assert {"RMP-105", "RMP-106"} <= {finding.rule.id for finding in report.findings}
    assert "hunter2" not in str(report.as_dict())


# The start ----------------------------------------------------------------------------------------------------------


def test_an_app_that_does_not_start_is_told_why_and_the_rest_is_looked_at_all_the_same(place: Place) -> None:
    app = place.app(RAMPART_HTTPS=...)
    app.get("/a")(limit("5/minute")(require("jwt")(lambda: "a")))
    found = ids(app)
    assert found[0] == "RMP-001" and "RMP-231" in found
    (finding,) = of(app, "RMP-001")
    assert "jwt" in finding.message


def test_a_contract_that_cannot_be_used_is_why_and_the_routes_are_told_all_the_same(place: Place) -> None:
    app = place.app(rampart=False)
    rampart = Rampart(app)
    rampart.contract({"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": {"/gone": {"get": {}}}})
    app.get("/there")(hello)
    report = checked(app)
    assert report.findings[0].rule.id == "RMP-001"
    assert [(row.label, row.who) for row in report.rows][-1] == ("GET /there", "public")


def test_a_store_that_does_not_answer_is_told_apart(place: Place) -> None:
    app = place.app(RAMPART_API_KEYS=True, RAMPART_STORE=...)
    (place.folder / "instance").write_text("no folder")
    assert ids(app)[0] in ("RMP-001", "RMP-505")


def test_what_the_app_warns_of_when_it_starts_is_a_finding_and_not_said_twice(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    app = place.app(RAMPART_METHODS=["GET"])
    app.post("/order")(hello)
    (finding,) = of(app, "RMP-004")
    assert "is never reached" in finding.message
    assert "never reached" not in capsys.readouterr().err


def test_a_guard_that_no_request_meets_is_an_error(place: Place) -> None:
    app = place.app(RAMPART_DEFAULT="open")

    def plain(view: Any) -> Any:
        return lambda: view()

    @require("jwt")
    @plain
    @app.get("/hidden")
    def hidden() -> str:
        return "seen by all"

    (finding,) = of(app, "RMP-005")
    assert finding.weight is Severity.ERROR
    assert "functools.wraps" in finding.message and finding.message.count("Put the route on top") == 0


def test_an_app_without_rampart_cannot_be_checked(place: Place) -> None:
    app = place.app(rampart=False)
    with pytest.raises(LookupError, match=r"no Rampart\(app\)"):
        checked(app)


# Around -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environ, expected",
    [
        ({}, None),
        ({"WEB_CONCURRENCY": "4"}, 4),
        ({"WEB_CONCURRENCY": "many"}, None),
        ({"GUNICORN_CMD_ARGS": "--bind=0.0.0.0 --workers=3"}, 3),
        ({"GUNICORN_CMD_ARGS": "-w2 -t 30", "WEB_CONCURRENCY": "9"}, 2),
        ({"GUNICORN_CMD_ARGS": "--worker-class gevent"}, None),
    ],
)
def test_the_number_of_workers_is_read_where_servers_read_it(environ: dict[str, str], expected: int | None) -> None:
    assert workers(environ) == expected


def test_the_number_of_workers_may_stand_in_gunicorns_own_file(place: Place) -> None:
    (place.folder / "gunicorn.conf.py").write_text("import os\nworkers = 3  # two cores\nworkers_x = 9\n")
    (finding,) = of(place.app(RAMPART_LIMIT_STORE="memory://"), "RMP-501")
    assert finding.weight is Severity.ERROR and finding.message.startswith("3 workers each")
    assert workers({"GUNICORN_CMD_ARGS": "-w 5"}, place.folder) == 5


def test_a_count_of_its_own_for_each_worker_is_an_error_where_there_are_several(place: Place) -> None:
    app = place.app(RAMPART_LIMIT_STORE="memory://")
    (finding,) = of(app, "RMP-501", environ={"WEB_CONCURRENCY": "4"})
    assert finding.weight is Severity.ERROR and finding.message.startswith("4 workers each")
    assert of(app, "RMP-501", environ={"WEB_CONCURRENCY": "1"}) == []


def test_a_platform_that_has_a_proxy_in_front_makes_it_a_warning(place: Place) -> None:
    (finding,) = of(place.app(RAMPART_TRUSTED_PROXIES=...), "RMP-221", environ={"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    assert finding.weight is Severity.WARNING and "Kubernetes" in finding.message


def test_proxy_fix_believes_whoever_sends_the_header(place: Place) -> None:
    app = place.app(RAMPART_TRUSTED_PROXIES=...)
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    assert "RMP-223" in ids(app) and "RMP-221" not in ids(app)


@pytest.mark.parametrize(
    "url, found",
    [
        ("redis://cache.example/0", True),
        ("redis://localhost/0", False),
        ("redis://127.0.0.1:6379/0", False),
        ("rediss://cache.example/0", False),
        ("redis+sentinel://10.0.0.7:26379,10.0.0.8:26379/main/0", True),
        ("rediss+cluster://10.0.0.7:6379,10.0.0.8:6379", False),
    ],
)
def test_a_store_on_another_machine_is_reached_by_tls(place: Place, url: str, found: bool) -> None:
    app = place.app(RAMPART_LIMIT_STORE=url)
    # Not started, so that nobody is called.
    subject = Subject(app, app.extensions["rampart"], TODAY, {})
    assert [finding.rule.id for finding in way.check(subject)] == (["RMP-233"] if found else [])


def test_the_file_system_of_a_file_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    # proc_pid_mountinfo(5): a space in a name is written \040, and of two at one place the later one covers the other.
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "30 22 0:5 / /srv rw shared:1 - nfs4 server:/ rw\n"
        "31 22 0:6 / /srv/a\\040b rw - tmpfs tmpfs rw\n"
        "32 22 0:7 / /twice rw - ext4 /dev/sdb rw\n"
        "33 22 0:8 / /twice rw - tmpfs tmpfs rw\n"
        "broken\n"
    )
    kinds = [file_system_of(Path(path), str(mounts)) for path in ("/x", "/srv/db", "/srv/a b/c", "/srva", "/twice/a")]
    assert kinds == ["ext4", "nfs4", "tmpfs", "ext4", "tmpfs"]
    assert file_system_of(Path("/x"), str(tmp_path / "none")) is None


@pytest.mark.parametrize("kind, id", [("tmpfs", "RMP-503"), ("overlay", "RMP-503"), ("nfs4", "RMP-504")])
def test_records_on_a_file_system_that_does_not_hold_them_are_found(
    place: Place, monkeypatch: pytest.MonkeyPatch, kind: str, id: str
) -> None:
    monkeypatch.setattr("flask_rampart.check.stores.file_system_of", lambda path: kind)
    app = place.app(RAMPART_API_KEYS=True)
    assert id in ids(app)
    assert id not in ids(place.app(RAMPART_API_KEYS=False))


def test_what_starts_the_development_server_is_found_with_its_line(place: Place) -> None:
    (place.folder / "Dockerfile").write_text('FROM python:3.13\n# flask run\nCMD ["flask", "--app", "shop", "run"]\n')
    (place.folder / "Procfile").write_text("web: gunicorn shop:app\n")
    (finding,) = of(place.app(), "RMP-008")
    assert (finding.place.file, finding.place.line) == ("Dockerfile", 3)


# Browsers -----------------------------------------------------------------------------------------------------------


def test_a_policy_of_one_view_is_judged_with_its_routes(place: Place) -> None:
    app = place.app(RAMPART_PROFILE="html")
    loose = headers(csp={"default-src": "'self'", "script-src": ["'self'", "'unsafe-inline'"]})
    app.add_url_rule("/a", "a", loose(public(lambda: "a")))
    app.add_url_rule("/b", "b", headers(csp=None, x_content_type_options=None)(public(lambda: "b")))
    found = {(finding.rule.id, finding.place.route) for finding in checked(app).findings}
    assert ("RMP-301", "GET /a") in found and ("RMP-302", "GET /a") in found
    assert ("RMP-303", "GET /b") in found and ("RMP-304", "GET /b") in found


def test_a_view_that_every_page_may_read_or_act_on_is_found(place: Place) -> None:
    app = place.app()
    app.add_url_rule("/a", "a", cors(origins="*")(public(lambda: "a")))
    app.add_url_rule("/b", "b", csrf("off")(limit("5/minute")(public(lambda: "b"))), methods=["DELETE"])
    app.add_url_rule("/c", "c", csrf("off")(public(lambda: "c")))  # reads, and changes nothing
    found = {(finding.rule.id, finding.place.route) for finding in checked(app).findings}
    assert found == {("RMP-311", "GET /a"), ("RMP-321", "DELETE /b")}


# Own rules ----------------------------------------------------------------------------------------------------------


def test_an_apps_own_rules_are_run_with_ours(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_rampart.check.own._registered", {})

    @register("SHOP-1", "no payment provider", "Set PAYMENT_URL.", severity="error", deploy=True)
    def payment(app: Flask) -> list[str]:
        return [] if app.config.get("PAYMENT_URL") else ["Orders cannot be paid."]

    (finding,) = checked(place.app()).findings
    assert (finding.rule.id, finding.message, finding.weight) == ("SHOP-1", "Orders cannot be paid.", Severity.ERROR)
    assert ids(place.app(PAYMENT_URL="https://pay.example")) == []
    assert ids(place.app(), deploy=False) == []
    assert ids(place.app(), ignore=["SHOP-1"]) == []


@pytest.mark.parametrize(
    "id, severity", [("RMP-1", "error"), ("shop-1", "error"), ("SHOP", "error"), ("SHOP-2", "fatal")]
)
def test_an_own_rule_that_cannot_be_meant_is_refused(id: str, severity: str) -> None:
    with pytest.raises(ConfigError, match="register"):
        register(id, "title", "cure", severity=severity)
    assert id not in _registered


def test_an_own_rule_has_its_id_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_rampart.check.own._registered", {})
    register("SHOP-3", "title", "cure")(lambda app: [])
    with pytest.raises(ConfigError, match="has this id"):

        @register("SHOP-3", "title", "cure")
        def other(app: Flask) -> list[str]:
            return []


# The catalogue ------------------------------------------------------------------------------------------------------


def test_the_manual_has_a_section_for_every_rule_and_for_no_other() -> None:
    text = (ROOT / "docs" / "check-rules.md").read_text()
    sections = re.findall(r"^### (RMP-[0-9]{3})$", text, re.M)
    assert sections == sorted(CATALOGUE)
    for rule in CATALOGUE.values():
        assert rule.link == f"docs/check-rules.md#{rule.id.lower()}"
        assert not rule.title.endswith(".") and rule.cure.strip()


def test_the_manuals_code_runs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_rampart.check.own._registered", {})
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "check.md").read_text(), re.S)
    assert len(blocks) == 1
    exec(compile(blocks[0], "docs/check.md", "exec"), {"__name__": "manual"})


def test_every_rule_of_the_catalogue_is_tested_by_its_id() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").glob("test_check*.py"))
    assert [id for id in CATALOGUE if id not in tests] == []


def test_a_secret_that_is_sound_is_not_found(place: Place) -> None:
    app = place.app(
        RAMPART_JWT_KEYS=[{"kid": "a", "alg": "HS256", "secret": SOUND_SECRET}],
        RAMPART_JWT_ISSUER="https://a.example",
        RAMPART_JWT_AUDIENCE="a",
    )
    assert [id for id in ids(app) if id.startswith("RMP-1")] == []
