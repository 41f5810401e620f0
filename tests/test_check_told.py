"""``flask rampart check`` at a terminal and in CI: what it prints, with which exit code, as JSON and as SARIF."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

import flask_rampart
from flask_rampart import limit, public, validate
from flask_rampart.check import CATALOGUE, Finding, installed, register
from flask_rampart.check import Place as At
from flask_rampart.check.running import Report, add, is_ignored, read_ignored
from flask_rampart.check.subject import Subject, found
from flask_rampart.cli import commands
from flask_rampart.dependencies import CannotCheck, ages
from flask_rampart.stores import StoreError

from .advising import KNOWN, written
from .checking import TODAY, Place, checked, hello, ids, of, place

__all__ = ["place"]

APP = """
from flask import Flask
from flask_rampart import Rampart, public

app = Flask(__name__)
app.config["SECRET_KEY"] = "dev"
Rampart(app)


@app.post("/login")
@public
def login():
    return "ok"


@app.get("/")
def home():
    return "hello"
"""


def run(app: Flask, *words: object) -> Result:
    return app.test_cli_runner().invoke(commands, ["check", *map(str, words)])


PACKAGES = str(Path(flask_rampart.__file__).parent.parent)


def test_what_is_found_is_told_with_places_and_cures(place: Place) -> None:
    told = run(place.module(APP))
    assert told.exit_code == 1
    assert (
        told.output
        == """\
METHODS  ROUTE                    WHO            LIMIT  SCHEMA  AUDIT
GET      /                        OPEN           -      -       -
POST     /login                   public         -      -       -
GET      /static/<path:filename>  OPEN (static)  -      -       -

error RMP-103: a secret that is public
    It is an example that is printed in manuals.
      SECRET_KEY
    -> Whoever has read the same documentation has it. Make your own: python -c 'import secrets; print(secrets.token_urlsafe(48))'

error RMP-105: a secret in the source
    The value of SECRET_KEY is written here.
      SECRET_KEY, checked_app_1.py:6
    -> Whoever reads the code or its history has it: read it from the environment or a file, and make a new one.

error RMP-404: passwords can be tried without end
    Who tries passwords or codes here is not stopped.
      POST /login, checked_app_1.py:10
    -> Put @limit("5/minute", count="failures", ban="15 minutes after 3") on it.

warning RMP-401: a route is open and does not say so
    Anybody may call it, and nothing says that this is meant.
      GET /, checked_app_1.py:16
    -> Put @require(...) on it, or @public if it is for everybody.

warning RMP-405: what is not declared is open
    A view on which somebody forgets @require answers everybody.
      RAMPART_DEFAULT
    -> Set RAMPART_DEFAULT = "deny": forgetting is then safe.

note RMP-403: a route takes a body that nothing describes
    The view sees whatever a client sends, as long as it is JSON or a form.
      POST /login, checked_app_1.py:10
    -> Put @validate(body=...) on it: what has no shape is the view's to check.

What matters in production alone was not looked for: --deploy does.
3 errors, 2 warnings, 1 note in 3 routes. Each id is explained in docs/check-rules.md.
"""
    )


def test_a_sound_app_passes(place: Place) -> None:
    app = place.app()
    app.get("/health")(hello)
    told = run(app, "--deploy", "--no-routes")
    assert (told.exit_code, told.output) == (
        0,
        "0 errors, 0 warnings, 0 notes in 2 routes. Each id is explained in docs/check-rules.md.\n",
    )


@pytest.mark.parametrize(
    "level, config, code",
    [
        ("error", {"RAMPART_DEFAULT": "open"}, 0),
        ("warning", {"RAMPART_DEFAULT": "open"}, 1),
        ("note", {"RAMPART_SESSION_PREFIX": ...}, 1),
        ("warning", {"RAMPART_SESSION_PREFIX": ...}, 0),
        ("none", {"SECRET_KEY": "dev"}, 0),
        ("error", {"SECRET_KEY": "dev"}, 1),
    ],
)
def test_the_exit_code_is_1_from_the_level_on(place: Place, level: str, config: dict[str, Any], code: int) -> None:
    assert run(place.app(**config), "--deploy", "--fail-level", level).exit_code == code


def test_a_finding_may_be_left_out_everywhere_or_at_one_place(place: Place) -> None:
    app = place.app(RAMPART_DEFAULT="open")
    for path in ("/a", "/b", "/health/live", "/health/ready"):
        app.add_url_rule(path, path[1:], lambda: "x")
    where = {finding.place.route for finding in of(app, "RMP-401", ignore=["RMP-401:GET /health/*"])}
    assert where == {"GET /a", "GET /b"}
    assert of(app, "RMP-401", ignore=["RMP-401"]) == []
    told = run(app, "--no-routes", "--ignore", "RMP-405:RAMPART_DEFAULT", "--ignore", "RMP-401:GET /*")
    assert told.exit_code == 0 and "5 ignored." in told.output


@pytest.mark.parametrize("text", ["RMP-4O1", "401", "RMP-401:"])
def test_what_is_misspelt_would_ignore_nothing_and_is_an_error(place: Place, text: str) -> None:
    told = run(place.app(), "--ignore", text)
    assert told.exit_code == 2 and told.stderr.startswith("Not checked: ")


# Not checked --------------------------------------------------------------------------------------------------------


def test_an_app_without_rampart_is_not_checked(place: Place) -> None:
    told = run(place.app(rampart=False))
    assert (told.exit_code, told.stderr) == (2, "Not checked: this app has no Rampart(app)\n")


def flask(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    around = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "RAMPART_"))}
    return subprocess.run(
        [sys.executable, "-m", "flask", *words],
        cwd=folder,
        env={**around, "PYTHONPATH": PACKAGES, "XDG_CACHE_HOME": str(folder / "cache"), **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_an_app_that_cannot_be_made_is_not_checked_and_said_where(place: Place) -> None:
    (place.folder / "app.py").write_text(
        "from flask import Flask\nfrom flask_rampart import Rampart\n"
        'app = Flask(__name__)\napp.config["RAMPART_LIMTS"] = "1/hour"\nRampart(app)\n'
    )
    told = flask(place.folder, "rampart", "check")
    assert told.returncode == 2 and told.stdout == ""
    assert told.stderr.startswith("Not checked: the app cannot be made: ConfigError: RAMPART_LIMTS is not a setting.")
    assert "app.py, line 5)" in told.stderr
    (place.folder / "app.py").write_text("import sys\nsys.exit('SECRET_KEY is missing')\n")
    told = flask(place.folder, "rampart", "check")
    assert told.returncode == 2 and "SystemExit: SECRET_KEY is missing" in told.stderr
    (place.folder / "app.py").unlink()
    told = flask(place.folder, "rampart", "check")
    assert told.returncode == 2 and "Could not locate a Flask application" in told.stderr


def test_the_command_is_found_and_its_codes_reach_the_shell(place: Place) -> None:
    (place.folder / "app.py").write_text(APP)
    told = flask(place.folder, "rampart", "check", "--json")
    assert told.returncode == 1, told.stderr
    assert json.loads(told.stdout)["findings"][0]["id"] == "RMP-103"
    # Neither a service that is away nor an app with nothing to be found makes a green one.
    told = flask(place.folder, "rampart", "dependencies", RAMPART_ADVISORIES_URL="http://127.0.0.1:9")
    assert told.returncode == 2 and told.stdout == "" and "did not answer" in told.stderr


# JSON and SARIF -----------------------------------------------------------------------------------------------------


def test_json_has_all_findings_and_the_matrix_and_is_the_same_each_time(place: Place) -> None:
    app = place.module(APP)
    first, second = run(app, "--json"), run(app, "--json")
    assert first.output == second.output
    told = json.loads(first.output)
    assert list(told) == ["format", "deploy", "findings", "ignored", "not_checked", "routes"]
    assert told["findings"][1] == {
        "id": "RMP-105",
        "severity": "error",
        "title": "a secret in the source",
        "message": "The value of SECRET_KEY is written here.",
        "cure": CATALOGUE["RMP-105"].cure,
        "link": "docs/check-rules.md#rmp-105",
        "place": {"setting": "SECRET_KEY", "route": None, "file": "checked_app_1.py", "line": 6, "package": None},
    }
    assert told["routes"][1] == {
        "path": "/login",
        "methods": ["POST"],
        "endpoint": "login",
        "kind": "app",
        "who": "public",
        "limit": "-",
        "schema": "-",
        "audit": "-",
        "guards": ["public"],
        "file": "checked_app_1.py",
        "line": 10,
    }


def test_sarif_is_what_code_scanners_take(place: Place) -> None:
    # OASIS SARIF 2.1.0, and what GitHub asks for beyond it.
    told = run(place.module(APP), "--deploy", "--sarif")
    assert told.exit_code == 1
    log = json.loads(told.output)
    assert log["version"] == "2.1.0" and log["$schema"].endswith("sarif-2.1.0.json")
    (one,) = log["runs"]
    driver = one["tool"]["driver"]
    assert driver["name"] == "Flask-Rampart"
    rules = driver["rules"]
    assert [rule["id"] for rule in rules] == list(CATALOGUE)
    for rule in rules:
        assert rule["shortDescription"]["text"] and rule["help"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
        assert 0 < float(rule["properties"]["security-severity"]) <= 10
    assert one["results"]
    for result in one["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("note", "warning", "error") and result["message"]["text"]
        (location,) = result["locations"]
        artifact = location["physicalLocation"]["artifactLocation"]
        assert artifact["uriBaseId"] == "%SRCROOT%" and not artifact["uri"].startswith("/")
        assert location["physicalLocation"]["region"]["startLine"] >= 1
    prints = [result["partialFingerprints"]["rampartPlace/v1"] for result in one["results"]]
    assert len(set(prints)) == len(prints)


def test_two_findings_at_one_place_have_fingerprints_of_their_own(place: Place) -> None:
    (place.folder / "settings.py").write_text('OLD_PASSWORD = "Xk3-nQ9_wTz7"\n\nOLD_PASSWORD = "Rv5-LpHd2_qq"\n')
    (one,) = json.loads(run(place.app(), "--sarif").output)["runs"]
    prints = [result["partialFingerprints"]["rampartPlace/v1"] for result in one["results"]]
    assert len(prints) == 2 and len(set(prints)) == 2


def test_a_fingerprint_stays_when_lines_above_it_come(place: Place) -> None:
    def prints(app: Flask) -> list[str]:
        (one,) = json.loads(run(app, "--sarif").output)["runs"]
        return [
            each["partialFingerprints"]["rampartPlace/v1"] for each in one["results"] if each["ruleId"] == "RMP-401"
        ]

    app = place.module(APP)
    before = prints(app)
    source = place.folder / "checked_app_1.py"
    app.view_functions["home"].__code__ = app.view_functions["home"].__code__.replace(co_firstlineno=99)
    source.write_text("\n" * 83 + source.read_text())
    assert prints(app) == before != []


# With advisories ----------------------------------------------------------------------------------------------------


def test_the_packages_are_compared_too_where_that_is_asked_for(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `flask_rampart.cli.check` is the command, and this the module that it is in.
    monkeypatch.setattr(import_module("flask_rampart.cli.check"), "installed", lambda path: [])
    told = run(place.app(), "--advisories", written(tmp_path, *KNOWN), "--json")
    assert told.exit_code == 0
    assert json.loads(told.output)["advisories"]["advisories"] == 5
    told = run(place.app(), "--dependencies", "--source", "http://127.0.0.1:9", "--no-cache")
    assert told.exit_code == 2 and told.stdout == ""


# Packages and Pythons -----------------------------------------------------------------------------------------------


def test_what_is_too_old_is_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    versions = {"gunicorn": "22.0.0", "flask": "2.3.3", "werkzeug": "3.1.6"}
    monkeypatch.setattr(ages, "version", versions.__getitem__)
    monkeypatch.setattr(ages, "PackageNotFoundError", KeyError)
    monkeypatch.setattr(installed, "_is_installed", lambda name: False)
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    subject = Subject(place.app(), None, date(2028, 1, 1))  # type: ignore[arg-type]
    told = [(finding.rule.id, finding.message) for finding in installed.check(subject)]
    assert told == [
        ("RMP-804", f"Its tables are of {ages.AS_OF}."),
        ("RMP-802", "Python 3.9 has got none since 2025-10-31."),
        ("RMP-801", "flask 2.3.3 has CVE-2026-27205: 3.1.3 is the least version."),
        ("RMP-801", "gunicorn 22.0.0 has CVE-2024-6827: 23.0.0 is the least version."),
        ("RMP-803", f"flask 2.3.3 gets none: 3.1 is the line that does, as of {ages.AS_OF}."),
        ("RMP-805", "What is left is the development server, which is made for one developer."),
    ]


def test_versions_that_cannot_be_compared_are_told_not_to_have_been(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()

    def without() -> None:
        raise CannotCheck("versions cannot be compared without packaging")

    monkeypatch.setattr(ages, "outdated", without)
    subject = Subject(place.app(), None, TODAY)  # type: ignore[arg-type]
    list(installed.check(subject))
    assert subject.notes == ["versions cannot be compared without packaging"]


def test_a_store_that_does_not_answer_is_found_for_what_it_is(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    app = place.app()

    def away(self: object) -> None:
        raise StoreError("the store redis://db.example is away")

    monkeypatch.setattr("flask_rampart.guards.AppState.seal", away)
    (finding,) = of(app, "RMP-505")
    assert "db.example is away" in finding.message


def test_records_in_memory_are_found_where_the_start_allows_them(place: Place) -> None:
    assert "RMP-502" in ids(place.app(RAMPART_STORE="memory://", DEBUG=True))


# All together -------------------------------------------------------------------------------------------------------


def test_findings_are_sorted_by_weight_and_none_is_told_twice() -> None:
    report = Report([], deploy=True)
    given = [found("RMP-601", "a"), found("RMP-103", "b"), found("RMP-601", "a"), found("RMP-221", "c")]
    add(report, given, read_ignored([]))
    assert [finding.rule.id for finding in report.findings] == ["RMP-103", "RMP-601", "RMP-221"]
    assert report.counted() == "1 error, 1 warning, 1 note"


def test_the_routes_are_walked_through_a_few_times_however_many_they_are(place: Place) -> None:
    app = place.app()
    for index in range(100):
        app.add_url_rule(f"/{index}", f"view_{index}", public(limit("5/minute")(lambda: "x")))
    calls = 0
    walk = app.url_map.iter_rules

    def counted(endpoint: str | None = None) -> Any:
        nonlocal calls
        calls += endpoint is None
        return walk(endpoint)

    checked(app)  # starts it
    app.url_map.iter_rules = counted  # type: ignore[method-assign]
    assert len(checked(app).rows) == 101
    assert calls <= 3


def test_an_apps_own_words_cannot_move_a_terminal(place: Place) -> None:
    app = place.app(RAMPART_DEFAULT="open")
    app.add_url_rule("/a\x1b[2J", "a", validate(query={"type": "object"})(lambda: "x"))
    # As on a terminal: elsewhere, click takes such sequences out by itself.
    told = app.test_cli_runner().invoke(commands, ["check"], color=True)
    assert "\x1b[2J" not in told.output and "/a\\u001b[2J" in told.output


def test_a_rule_of_the_apps_own_that_fails_is_no_green(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_rampart.check.own._registered", {})

    @register("SHOP-9", "title", "cure")
    def broken(app: Flask) -> list[str]:
        raise KeyError("x")

    told = run(place.app())
    assert (told.exit_code, told.stdout) == (2, "")
    assert told.stderr == "Not checked: the rule SHOP-9 of this app failed: KeyError: 'x'\n"


def test_a_rule_of_the_apps_own_that_ends_the_process_is_no_green(place: Place) -> None:
    app = place.app()

    def leaves(app: Flask) -> list[str]:
        raise SystemExit(0)

    register("SHOP-1", "leaves", "Stay.")(leaves)
    told = run(app)
    assert (told.exit_code, told.stdout) == (2, "") and "the rule SHOP-1 of this app failed: SystemExit" in told.stderr


def test_what_an_app_prints_is_not_in_the_json(place: Place) -> None:
    def talks(app: Flask) -> list[str]:
        print("a warm welcome")
        return []

    register("SHOP-2", "talks", "Be silent.")(talks)
    told = run(place.app(), "--json")
    assert json.loads(told.stdout)["format"] == 1 and "a warm welcome" in told.stderr


def test_a_pattern_means_what_is_written_and_a_star_any_text() -> None:
    finding = Finding(CATALOGUE["RMP-401"], "x", At(route="GET /items/<id>[0]"))
    for pattern, expected in {
        "GET /items/<id>[0]": True,
        "GET /items/<id>*": True,
        "*<id>*": True,
        "GET*items*0]": True,
        "GET /items/<id>?0]": False,
        "GET /items/<id>": False,
        "GET /items/<id>[0]*]": False,
    }.items():
        assert is_ignored(finding, [("RMP-401", pattern)]) is expected, pattern


def test_a_source_that_is_named_is_asked(place: Place) -> None:
    told = run(place.app(), "--source", "http://osv.example")
    assert told.exit_code == 2 and "is plain HTTP" in told.stderr


def test_what_nobody_thought_of_is_no_finding_and_no_green(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(app: Flask, **given: Any) -> None:
        raise RuntimeError("never seen")

    monkeypatch.setattr(import_module("flask_rampart.cli.check"), "run", broken)
    told = run(place.app())
    assert told.exit_code == 2 and told.stderr.endswith("Not checked: RuntimeError: never seen\n")
