"""The OpenAPI document over HTTP, and ``flask rampart openapi``."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from flask import Flask

from flask_rampart import Rampart, limit, public, require, validate
from flask_rampart.cli import commands
from flask_rampart.errors import ConfigError
from flask_rampart.openapi import serving

from .conftest import KEYS
from .documenting import is_openapi

OPENAPI = "application/vnd.oai.openapi+json"


def make(**config: Any) -> tuple[Flask, Rampart]:
    app = Flask("shop")
    app.config.update(
        TESTING=True, RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", RAMPART_STORE="memory://",
        RAMPART_JWT_KEYS=KEYS, **config,
    )  # fmt: skip
    rampart = Rampart(app)
    app.get("/a", endpoint="a")(public(lambda: "ok"))
    return app, rampart


def run(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(commands, ["openapi", *words])


# --- Served ---


def test_nothing_serves_the_document_unasked() -> None:
    assert make()[0].test_client().get("/openapi.json").status_code == 404


def test_it_is_served_open_where_no_guard_is_named_also_under_deny() -> None:
    app, rampart = make(RAMPART_DEFAULT="deny")
    rampart.serve_openapi(title="Shop", version="7")
    answer = app.test_client().get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json is not None and is_openapi(answer.json)
    assert answer.json["info"] == {"title": "Shop", "version": "7"}
    assert list(answer.json["paths"]) == ["/a"]
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.content_type == "application/json"


def test_it_is_guarded_by_what_is_said_and_kept_out_of_shared_caches() -> None:
    app, rampart = make()
    rampart.serve_openapi("/docs.json", guards=[require(roles="staff")])
    client = app.test_client()
    assert client.get("/docs.json").status_code == 401
    with app.app_context():
        plain, staff = rampart.tokens.issue("ada"), rampart.tokens.issue("ada", roles=["staff"])
    assert client.get("/docs.json", headers={"Authorization": f"Bearer {plain}"}).status_code == 403
    answer = client.get("/docs.json", headers={"Authorization": f"Bearer {staff}"})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "private, no-cache")


@pytest.mark.parametrize("sent", [{"Authorization": "Bearer x"}, {"Cookie": "session=x"}], ids=["a token", "a cookie"])
def test_who_comes_with_a_credential_gets_nothing_that_a_cache_gives_to_others(sent: dict[str, str]) -> None:
    # A guard of the app's own, in before_request, is not seen: RFC 9111 section 3.5.
    app, rampart = make()
    rampart.serve_openapi()
    answer = app.test_client(use_cookies=False).get("/openapi.json", headers=sent)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "private, max-age=300")


def test_a_guard_that_opens_nothing_leaves_it_open_and_limits_it() -> None:
    app, rampart = make(RAMPART_DEFAULT="deny")
    rampart.serve_openapi(guards=limit("2/hour"))
    assert [app.test_client().get("/openapi.json").status_code for _ in range(3)] == [200, 200, 429]


def test_guards_of_the_app_guard_it_too() -> None:
    app, rampart = make()
    rampart.protect(app, require())
    rampart.serve_openapi()
    assert app.test_client().get("/openapi.json").status_code == 401


def test_who_has_it_is_told_that_it_has_not_changed() -> None:
    app, rampart = make()
    rampart.serve_openapi()
    client = app.test_client()
    tag = client.get("/openapi.json").headers["ETag"]
    again = client.get("/openapi.json", headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    head = client.head("/openapi.json")
    assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", tag)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        (OPENAPI, f"{OPENAPI};version=3.1"),
        (f"{OPENAPI};version=3.1, application/json;q=0.5", f"{OPENAPI};version=3.1"),
        (f"application/json, {OPENAPI};q=0.5", "application/json"),
        (f"{OPENAPI};q=0", "application/json"),
        ("text/html", "application/json"),
        (",;,q=", "application/json"),
    ],
    ids=["anything", "json", "openapi", "openapi first", "json first", "not openapi", "html", "no accept"],
)
def test_the_media_type_is_openapis_for_who_names_it(accept: str, expected: str) -> None:
    app, rampart = make()
    rampart.serve_openapi()
    answer = app.test_client().get("/openapi.json", headers={"Accept": accept})
    assert answer.content_type == expected
    assert "Accept" in answer.headers["Vary"]


def test_two_media_types_have_two_tags() -> None:
    app, rampart = make()
    rampart.serve_openapi()
    client = app.test_client()
    plain = client.get("/openapi.json").headers["ETag"]
    assert client.get("/openapi.json", headers={"Accept": OPENAPI, "If-None-Match": plain}).status_code == 200


def test_it_is_made_once_and_anew_when_a_guard_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    build = serving.build
    monkeypatch.setattr(serving, "build", lambda *given: made.append(1) or build(*given))
    app, rampart = make()
    rampart.serve_openapi()
    client = app.test_client()
    threads = [threading.Thread(target=app.test_client().get, args=("/openapi.json",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    app.view_functions["a"] = require()(app.view_functions["a"])
    assert client.get("/openapi.json").json["paths"]["/a"]["get"]["security"] == [{"jwt": []}]  # type: ignore[index]
    assert len(made) == 2


def test_it_is_served_for_every_app_of_an_extension_also_one_that_comes_later() -> None:
    app, rampart = make()
    rampart.serve_openapi()
    later = Flask("later")
    later.config.update(TESTING=True, RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
    rampart.init_app(later)
    titles = [each.test_client().get("/openapi.json").json["info"]["title"] for each in (app, later)]  # type: ignore[index]
    assert titles == ["shop", "later"]


def test_an_app_that_matches_hosts_serves_it_on_each() -> None:
    app = Flask("hosts", host_matching=True, static_host="static.example")
    app.config.update(TESTING=True, RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
    Rampart(app).serve_openapi()
    assert app.test_client().get("/openapi.json", base_url="http://api.example").status_code == 200


@pytest.mark.parametrize("path", ["openapi.json", "/<x>", "/a?b", "", 1], ids=repr)
def test_a_place_that_is_none_is_refused(path: Any) -> None:
    with pytest.raises(ConfigError, match="serve_openapi"):
        make()[1].serve_openapi(path)


def test_what_is_no_guard_guards_nothing_and_is_refused() -> None:
    with pytest.raises(ConfigError, match="guards"):
        make()[1].serve_openapi(guards=[require])  # type: ignore[list-item]


def test_a_second_call_and_one_that_comes_too_late_are_refused() -> None:
    app, rampart = make()
    rampart.serve_openapi()
    with pytest.raises(ConfigError, match="once"):
        rampart.serve_openapi("/other.json")
    app, rampart = make()
    app.test_client().get("/a")
    with pytest.raises(ConfigError, match="too late"):
        rampart.serve_openapi()


def test_another_route_at_its_place_stops_the_start_up() -> None:
    app, rampart = make()
    app.get("/openapi.json", endpoint="mine")(lambda: "mine")
    rampart.serve_openapi()
    with pytest.raises(ConfigError, match="mine has the route"):
        app.test_client().get("/a")


# --- On the command line ---


def test_the_command_prints_what_is_served() -> None:
    app, rampart = make()
    rampart.serve_openapi(title="Shop", version="7")
    done = run(app)
    assert done.exit_code == 0
    assert json.loads(done.stdout) == app.test_client().get("/openapi.json").json


@pytest.mark.parametrize(
    ("name", "words"),
    [("a.json", []), ("a.yaml", []), ("a.yml", []), ("a.txt", ["--format", "yaml"])],
    ids=["json", "yaml", "yml", "said"],
)
def test_a_file_that_was_written_is_what_the_app_declares(tmp_path: Path, name: str, words: list[str]) -> None:
    app, file = make()[0], tmp_path / name
    assert run(app, "-o", str(file), *words).exit_code == 0
    text = file.read_text()
    found = json.loads(text) if name == "a.json" else yaml.safe_load(text)
    assert is_openapi(found)
    done = run(app, "--check", str(file), *words)
    assert (done.exit_code, done.stdout) == (0, f"{file} is what the app declares.\n")


def test_a_file_that_differs_is_told_how_and_fails(tmp_path: Path) -> None:
    app, file = make()[0], tmp_path / "a.json"
    run(app, "-o", str(file))
    document = json.loads(file.read_text())
    document["info"]["version"] = "x"
    document["paths"]["/old/{~}"] = {}
    del document["paths"]["/a"]["get"]["security"]
    file.write_text(json.dumps(document))
    done = run(app, "--check", str(file))
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        '~ /info/version: "x" is "0" now',
        "+ /paths/~1a/get/security",
        "- /paths/~1old~1{~0}",
    ]


def test_a_number_and_a_truth_value_that_are_equal_in_python_differ(tmp_path: Path) -> None:
    app, file = make()[0], tmp_path / "a.json"
    app.post("/b")(validate(body={"properties": {"a": {"const": 1}}})(public(lambda: "ok")))
    run(app, "-o", str(file))
    file.write_text(file.read_text().replace('"const": 1', '"const": true'))
    assert "const" in run(app, "--check", str(file)).stdout


@pytest.mark.parametrize("text", [None, "{", ": [", ""], ids=["no file", "not json", "not yaml", "empty"])
def test_a_file_that_cannot_be_read_is_no_document(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / ("a.yaml" if text == ": [" else "a.json")
    if text is not None:
        file.write_text(text)
    done = run(make()[0], "--check", str(file))
    assert done.exit_code == 1
    assert "cannot be read" in done.stderr


def test_writing_and_checking_are_two_calls(tmp_path: Path) -> None:
    done = run(make()[0], "-o", str(tmp_path / "a"), "--check", str(tmp_path / "a"))
    assert done.exit_code == 2


def test_without_pyyaml_yaml_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    done = run(make()[0], "--format", "yaml")
    assert done.exit_code == 1
    assert "pip install pyyaml" in done.stderr


def test_an_app_without_rampart_has_no_document() -> None:
    assert "no Rampart" in run(Flask("bare")).stderr


def test_a_schema_that_cannot_be_read_is_told_and_not_a_traceback() -> None:
    app, _ = make()
    app.post("/b")(validate(body="missing.json")(lambda: "ok"))
    done = run(app)
    assert done.exit_code == 1
    assert "missing.json" in done.stderr
