"""Operations and views: which is about which, and what is told of those that have no counterpart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, jsonify
from flask.views import MethodView

from flask_rampart import ConfigError, public, require, validated
from flask_rampart.cli import commands
from flask_rampart.contract import Contracts, binding

from .contracting import PETSTORE, body, document, operation, query, rampart_of, serve_pets

Make = Callable[..., Flask]
ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}


def mismatches(app: Flask) -> list[tuple[str, str]]:
    (report,) = app.extensions["rampart"].services[Contracts].reports()
    return [(one.kind, one.subject) for one in report.mismatches]


def one_view(
    make_app: Make, rule: str, paths: dict[str, Any], *, options: Any = None, **how: Any
) -> list[tuple[str, str]]:
    app = make_app()
    app.add_url_rule(rule, "view", lambda **parts: "x", **options or {})
    more = how.pop("more", {})
    return mismatches(rampart_of(app, document(paths, **more), **how))


@pytest.mark.parametrize(
    "rule",
    ["/u/<id>", "/u/<int:id>", "/u/<uuid:id>", "/u/<path:id>", "/u/<any(a, b):id>", "/u/<string(minlength=2):id>"],
)
def test_a_template_is_a_rule_of_its_shape_whatever_converts(make_app: Make, rule: str) -> None:
    assert one_view(make_app, rule, {"/u/{id}": {"get": operation(parameters=[ID])}}) == []


def test_what_has_no_counterpart_is_told_each_with_its_kind(make_app: Make) -> None:
    paths = {"/u/{id}": {"get": operation(parameters=[ID])}}
    assert one_view(make_app, "/u/<int:user>", paths) == [("names", "GET /u/{id}")]
    assert one_view(make_app, "/v/<int:id>", paths) == [("no view", "GET /u/{id}"), ("no operation", "GET /v/<int:id>")]
    assert one_view(make_app, "/u/<int:id>", paths, options={"methods": ["PUT"]}) == [
        ("method", "GET /u/{id}"),
        ("no operation", "PUT /u/<int:id>"),
    ]
    assert one_view(make_app, "/u/<int:id>/", paths)[0] == ("no view", "GET /u/{id}")
    assert one_view(make_app, "/u/<int:id>", paths, options={"methods": ["GET", "PUT"]}) == [
        ("no operation", "PUT /u/<int:id>")
    ]
    assert one_view(make_app, "/x", {"/x": {"get": operation(), "head": operation(), "trace": operation()}}) == [
        ("method", "TRACE /x")
    ]


def test_names_in_another_order_are_other_names(make_app: Make) -> None:
    both = [{**ID, "name": name} for name in ("a", "b")]
    paths = {"/{a}/to/{b}": {"get": operation(parameters=both)}}
    assert one_view(make_app, "/<a>/to/<b>", paths) == []
    assert one_view(make_app, "/<b>/to/<a>", paths) == [("names", "GET /{a}/to/{b}")]


@pytest.mark.parametrize(
    ("servers", "base", "rule"),
    [
        (["https://a.example/v1"], None, "/v1/x"),
        (["https://a.example/v1/"], None, "/v1/x"),
        (["/v1"], None, "/v1/x"),
        (["v1"], None, "/v1/x"),
        (["https://a.example"], None, "/x"),
        (["/"], None, "/x"),
        (["https://old.example/v0", "https://a.example/v1"], None, "/v1/x"),
        (["https://a.example/v1"], "", "/x"),
        (["https://a.example/v1"], "/v2", "/v2/x"),
        ([], "/v2", "/v2/x"),
    ],
)
def test_the_path_of_a_server_stands_before_the_documents_paths(
    make_app: Make, servers: list[str], base: str | None, rule: str
) -> None:
    more = {"servers": [{"url": url} for url in servers]}
    assert one_view(make_app, rule, {"/x": {"get": operation()}}, more=more, base_path=base) == []


def test_views_that_are_not_under_the_documents_path_are_not_its(make_app: Make) -> None:
    app = make_app()
    for rule in ("/v1/x", "/v1/y", "/v10/z", "/admin", "/v1"):
        app.add_url_rule(rule, rule.replace("/", "_"), lambda: "x")
    rampart_of(app, document({"/x": {"get": operation()}}, servers=[{"url": "/v1"}]))
    assert mismatches(app) == [("no operation", "GET /v1/y"), ("no operation", "GET /v1")]


def test_servers_of_a_path_or_operation_count_before_those_of_the_document(make_app: Make) -> None:
    app = make_app()
    for rule in ("/a/x", "/b/y", "/c/z"):
        app.add_url_rule(rule, rule.replace("/", "_"), lambda: "x")
    paths = {
        "/x": {"get": operation()},
        "/y": {"servers": [{"url": "/b"}], "get": operation()},
        "/z": {"servers": [{"url": "/b"}], "get": operation(servers=[{"url": "/c"}])},
    }
    assert mismatches(rampart_of(app, document(paths, servers=[{"url": "/a"}]))) == []


def test_an_operation_is_found_by_its_id_where_its_path_is_rewritten_on_the_way(make_app: Make) -> None:
    paths = {"/u/{id}": {"get": operation(operationId="show", parameters=[ID])}}
    app = make_app()
    blueprint = Blueprint("users", __name__, url_prefix="/internal")

    @blueprint.get("/users/<int:id>")
    def show(id: int) -> Any:
        return jsonify(validated.path)

    app.register_blueprint(blueprint)
    rampart_of(app, document(paths))
    assert mismatches(app) == []
    assert app.test_client().get("/internal/users/3").json == {"id": 3}
    # Two functions of this name: none is meant.
    other = Blueprint("others", __name__, url_prefix="/others")
    other.get("/<int:id>")(show)
    app = make_app()
    app.register_blueprint(blueprint)
    app.register_blueprint(other)
    assert ("no view", "GET /u/{id}") in mismatches(rampart_of(app, document(paths)))


def test_an_operation_may_name_its_endpoint(make_app: Make) -> None:
    named = operation(
        parameters=[{**ID, "schema": {"type": "integer", "maximum": 9}}], **{"x-rampart-endpoint": "view"}
    )
    paths = {"/u/{id}": {"get": named}}
    app = make_app()
    app.add_url_rule("/elsewhere/<int:id>", "view", lambda id: jsonify(validated.path))
    client = rampart_of(app, document(paths)).test_client()
    assert client.get("/elsewhere/9").json == {"id": 9}
    assert client.get("/elsewhere/10").status_code == 422
    named["x-rampart-endpoint"] = "veiw"
    (wrong,) = one_view(make_app, "/u/<int:id>", paths)
    assert wrong == ("no view", "GET /u/{id}")
    assert one_view(make_app, "/e/<int:other>", {"/u/{id}": {"get": {**named, "x-rampart-endpoint": "view"}}})[0] == (
        "names",
        "GET /u/{id}",
    )


def test_static_files_our_own_routes_and_what_is_excluded_need_no_operation(make_app: Make) -> None:
    app = make_app(RAMPART_RESOURCE="https://api.example")
    app.get("/x")(lambda: "x")
    app.add_url_rule("/health", "health", lambda: "ok")
    admin = Blueprint("admin", __name__, url_prefix="/admin", static_folder="static", static_url_path="/files")
    admin.add_url_rule("/", "x", lambda: "x")
    admin.add_url_rule("/y", "y", lambda: "y")
    app.register_blueprint(admin)
    paths = {"/x": {"get": operation()}}
    assert len(mismatches(rampart_of(app, document(paths)))) == 3
    rampart_of(app, document(paths), exclude=["health", "admin.*"])
    assert app.extensions["rampart"].services[Contracts].reports()[1].agrees


def test_an_exclusion_that_names_nothing_is_refused(make_app: Make) -> None:
    with pytest.raises(ConfigError, match=r"contract\(exclude=...\): 'helath' is no endpoint. Did you mean health"):
        app = make_app()
        app.add_url_rule("/health", "health", lambda: "ok")
        mismatches(rampart_of(app, document({"/x": {"get": operation()}}), exclude="helath"))


def test_each_method_of_a_view_class_has_its_operation(make_app: Make) -> None:
    class Things(MethodView):
        def get(self) -> Any:
            return jsonify(validated.query)

        def post(self) -> Any:
            return jsonify(validated.body)

    app = make_app()
    app.add_url_rule("/x", view_func=Things.as_view("things"))
    paths = {
        "/x": {
            "get": operation(parameters=[query("a", {"type": "integer"})]),
            "post": operation(requestBody=body({"type": "object", "required": ["b"]})),
        }
    }
    client = rampart_of(app, document(paths)).test_client()
    assert client.get("/x?a=1").json == {"a": 1}
    assert client.post("/x", json={}).status_code == 422
    assert client.post("/x", json={"b": 1}).json == {"b": 1}
    assert client.options("/x").status_code == 200


SCHEMES = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}


@pytest.mark.parametrize(
    ("said", "everywhere", "guard", "agrees"),
    [
        ([{"token": []}], None, require(), True),
        ([{"token": []}], None, public, False),
        ([{"token": []}], None, require(optional=True), False),
        ([{"token": []}, {}], None, require(optional=True), True),
        ([{"token": []}, {}], None, require(), False),
        ([], None, require(), False),
        ([], [{"token": []}], public, True),
        (None, [{"token": []}], public, False),
        (None, [{"token": []}], require(), True),
        (None, None, require(), False),
        (None, None, public, True),
    ],
)
def test_what_the_document_says_of_credentials_is_what_the_view_demands(
    make_app: Make, said: Any, everywhere: Any, guard: Any, agrees: bool
) -> None:
    app = make_app()
    app.add_url_rule("/x", "view", guard(lambda: "x"))
    more = {"components": SCHEMES, **({} if everywhere is None else {"security": everywhere})}
    given = document({"/x": {"get": operation(**({} if said is None else {"security": said}))}}, **more)
    assert mismatches(rampart_of(app, given)) == ([] if agrees else [("security", "GET /x")])


def test_what_a_blueprint_requires_is_required(make_app: Make) -> None:
    app = make_app()
    blueprint = Blueprint("b", __name__)
    blueprint.get("/x")(lambda: "x")
    app.register_blueprint(blueprint)
    given = document({"/x": {"get": operation(security=[{"token": []}])}}, components=SCHEMES)
    rampart_of(app, given)
    assert mismatches(app) == [("security", "GET /x")]
    from flask_rampart.declarations import protect_blueprint

    app = make_app()
    protect_blueprint(blueprint, (require(),))
    app.register_blueprint(blueprint)
    assert mismatches(rampart_of(app, given)) == []


def test_all_that_does_not_match_stops_the_start_up_in_one_error(make_app: Make) -> None:
    app = make_app()
    app.get("/y")(lambda: "y")
    rampart_of(app, document({"/x": {"get": operation()}, "/z": {"put": operation()}}))
    with pytest.raises(ConfigError) as caught:
        app.extensions["rampart"].seal()
    said = str(caught.value)
    assert "the document and the app do not agree:" in said
    for part in (
        "GET /x: no view has this path",
        "(the document#/paths/~1z/put)",
        "GET /y: the view",
        "exclude=",
        '"report"',
    ):
        assert part in said
    # And no request is served in between.
    assert app.test_client().get("/y").status_code == 500


def test_what_does_not_match_is_told_to_everyone_who_asks_and_never_taken_for_no_contract(make_app: Make) -> None:
    app = make_app()
    app.add_url_rule("/y", "y", lambda: "y")
    rampart_of(app, document({"/x": {"get": operation()}}))
    state = app.extensions["rampart"]
    # The edge asks before the first request, and swallows what the hook will tell.
    for _ in range(2):
        with pytest.raises(ConfigError, match="do not agree"):
            state.guards_of("y", "GET")
    assert app.test_client().get("/y").status_code == 500
    # Mended before the first request, by a view that comes later than the first look.
    app = make_app()
    rampart_of(app, document({"/x": {"get": operation(parameters=[query("a", {"type": "integer"})])}}))
    with pytest.raises(ConfigError, match="do not agree"):
        app.extensions["rampart"].services[Contracts].guards("x", "GET")
    app.add_url_rule("/x", "x", lambda: "x")
    client = app.test_client()
    assert client.get("/x?a=b").status_code == 422
    assert client.get("/x?a=1").status_code == 200


def test_guards_that_are_declared_while_requests_are_served_match_nothing_anew(
    make_app: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    app.add_url_rule("/x", "x", lambda: public(lambda: "x")())
    rampart_of(app, document({"/x": {"get": operation(parameters=[query("a", {"type": "integer"})])}}))
    client = app.test_client()
    assert client.get("/x?a=1").status_code == 200
    monkeypatch.setattr(binding, "match", None)
    assert client.get("/x?a=1").status_code == 200
    assert client.get("/x?a=b").status_code == 422


def test_a_contract_that_only_reports_warns_and_judges_what_does_match(
    make_app: Make, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    app.get("/x")(lambda: "x")
    app.add_url_rule("/y", "y", lambda: "y")
    rampart_of(app, document({"/x": {"get": operation()}}), strict="report")
    client = app.test_client()
    assert client.get("/x?a=1").status_code == 422
    assert client.get("/y?a=1").status_code == 200
    assert "the document: GET /y: the view y has no operation" in caplog.text


def test_two_documents_bind_two_parts_of_an_app_and_not_the_same_one(make_app: Make) -> None:
    app = make_app()
    for version in ("v1", "v2"):
        app.add_url_rule(f"/{version}/x", version, lambda: jsonify(validated.query))
        number = query("a", {"type": "integer", "minimum": int(version[1])})
        rampart_of(app, document({"/x": {"get": operation(parameters=[number])}}), base_path=f"/{version}")
    client = app.test_client()
    assert client.get("/v1/x?a=1").status_code == 200
    assert client.get("/v2/x?a=1").status_code == 422
    app = make_app()
    app.add_url_rule("/x", "x", lambda: "x")
    for _ in range(2):
        rampart_of(app, document({"/x": {"get": operation()}}))
    with pytest.raises(ConfigError, match="are about the same route, /x"):
        app.extensions["rampart"].seal()


def test_hosts_of_a_rule_do_not_matter(make_app: Make) -> None:
    app = make_app(SERVER_NAME="example.com")
    app.add_url_rule("/x", "x", lambda: "x", subdomain="api")
    assert mismatches(rampart_of(app, document({"/x": {"get": operation()}}))) == []


def test_the_command_prints_what_is_bound_and_fails_where_something_differs(make_app: Make, tmp_path: Path) -> None:
    app = rampart_of(serve_pets(make_app()), PETSTORE)
    run = app.test_cli_runner().invoke
    done = run(commands, ["contract"])
    assert done.exit_code == 0, done.output
    assert "petstore.yaml" in done.output
    assert "POST /pets            add_pet     ok" in done.output
    assert "application/xml cannot be checked and is refused with 415" in done.output
    assert "5 operations, 0 mismatches, 1 thing not checked" in done.output
    given = json.loads(run(commands, ["contract", "--json"]).output)
    assert [one["document"] for one in given] == ["petstore.yaml"]
    assert given[0]["agrees"] is True
    assert given[0]["operations"][0] == {
        "operation": "GET /pets",
        "operation_id": "list_pets",
        "views": ["list_pets"],
        "routes": ["/v1/pets"],
        "where": "petstore.yaml#/paths/~1pets/get",
    }
    other = tmp_path / "other.json"
    other.write_text(json.dumps(document({"/pets": {"get": operation()}, "/owners": {"get": operation()}})))
    done = run(commands, ["contract", str(other), "--base-path", "/v1"])
    assert done.exit_code == 1
    assert "GET /owners" in done.output
    assert "no view: no view has this path" in done.output
    assert "no operation: the view add_pet has no operation" in done.output
    assert json.loads(run(commands, ["contract", str(other), "--json"]).output)[0]["agrees"] is False


def test_the_command_says_what_is_wrong_with_a_document_or_that_there_is_none(make_app: Make, tmp_path: Path) -> None:
    run = make_app().test_cli_runner().invoke
    done = run(commands, ["contract"])
    assert (done.exit_code, done.output) == (
        1,
        "Error: this app has no rampart.contract(...): name a FILE to compare it with.\n",
    )
    bad = tmp_path / "bad.yaml"
    bad.write_text("openapi: 3.1.0\npaths: {/x: {get: {parameters: [{}]}}}")
    done = run(commands, ["contract", str(bad)])
    assert (done.exit_code, done.output) == (
        1,
        "Error: bad.yaml#/paths/~1x/get/parameters/0: a parameter has a name.\n",
    )


def test_the_routes_of_an_app_show_what_a_contract_adds(make_app: Make) -> None:
    app = rampart_of(serve_pets(make_app()), PETSTORE)
    output = app.test_cli_runner().invoke(commands, ["routes"]).output
    assert "require()  contract(POST /pets)" in output
