"""Ways around a contract: other methods and routes, references that mean two places, bodies without a type."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Blueprint, Flask, jsonify
from flask.views import MethodView
from werkzeug.routing import Rule

from flask_rampart import ConfigError, Rampart, bounds, public, require, validate, validated
from flask_rampart.contract import Contracts

from .contracting import body, document, operation, query, rampart_of, told

Make = Callable[..., Flask]
NUMBER = query("n", {"type": "integer", "maximum": 9})
ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "maximum": 9}}


def mismatches(app: Flask) -> list[tuple[str, str]]:
    (report,) = app.extensions["rampart"].services[Contracts].reports()
    return [(one.kind, one.subject) for one in report.mismatches]


def test_head_is_judged_as_get_also_where_the_documents_own_head_is_elsewhere(make_app: Make) -> None:
    app = make_app()
    app.get("/x")(lambda: "x")
    app.add_url_rule("/other", "other", lambda: "other", methods=["HEAD", "GET"])
    paths = {
        "/x": {
            "get": operation(parameters=[NUMBER]),
            "head": operation(**{"x-rampart-endpoint": "other"}),
        }
    }
    client = rampart_of(app, document(paths), strict="report").test_client()
    assert client.get("/x?n=10").status_code == 422
    assert client.head("/x?n=10").status_code == 422
    # And where it matches nothing at all.
    paths["/x"]["head"] = operation(**{"x-rampart-endpoint": "nothing"})
    app = make_app()
    app.get("/x")(lambda: "x")
    assert rampart_of(app, document(paths), strict="report").test_client().head("/x?n=10").status_code == 422


def test_a_view_of_head_alone_is_a_view(make_app: Make) -> None:
    app = make_app()
    app.get("/x")(lambda: "x")
    app.add_url_rule("/secret", "secret", lambda: "x", methods=["HEAD"])
    assert mismatches(rampart_of(app, document({"/x": {"get": operation()}}))) == [("no operation", "HEAD /secret")]


def test_a_view_that_answers_options_by_itself_is_a_view(make_app: Make) -> None:
    app = make_app()
    app.add_url_rule("/x", "x", lambda: "x", methods=["GET", "OPTIONS"])
    assert mismatches(rampart_of(app, document({"/x": {"get": operation()}}))) == [("no operation", "OPTIONS /x")]
    # Flask does not answer for a rule that was not added by it.
    app = make_app()
    app.get("/x")(lambda: "x")
    app.view_functions["raw"] = lambda: "x"
    app.url_map.add(Rule("/raw", endpoint="raw", methods=["OPTIONS"]))
    assert mismatches(rampart_of(app, document({"/x": {"get": operation()}}))) == [("no operation", "OPTIONS /raw")]


def test_a_rule_that_takes_any_method_is_more_than_the_document_says(make_app: Make) -> None:
    app = make_app()
    app.view_functions["x"] = lambda: "x"
    app.url_map.add(Rule("/x", endpoint="x"))
    rampart_of(app, document({"/x": {"get": operation(parameters=[NUMBER])}}), strict="report")
    assert mismatches(app) == [("no operation", "* /x")]
    assert app.test_client().get("/x?n=10").status_code == 422
    assert app.test_client().head("/x?n=10").status_code == 422


def test_a_view_is_static_by_what_it_is_and_not_by_what_it_is_called(make_app: Make) -> None:
    app = make_app()
    app.get("/x")(lambda: "x")
    blueprint = Blueprint("admin", __name__)
    blueprint.add_url_rule("/rules", "static", lambda: "all of them")
    app.register_blueprint(blueprint, url_prefix="/admin")
    assert mismatches(rampart_of(app, document({"/x": {"get": operation()}}))) == [("no operation", "GET /admin/rules")]


@pytest.mark.parametrize("url", ["/x/10", "/x/%31%30", "/x//10", "//x/10", "/x/10/", "/x/%2b10", "/x/1%30?"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("converter", ["", "int:", "path:", "string:"])
def test_a_path_written_otherwise_is_the_same_path(make_app: Make, converter: str, method: str, url: str) -> None:
    app = make_app()
    app.add_url_rule(f"/x/<{converter}id>", "x", lambda id: "seen", strict_slashes=False)
    client = rampart_of(app, document({"/x/{id}": {"get": operation(parameters=[ID])}})).test_client()
    answer = client.open(url, method=method, follow_redirects=True)
    assert answer.status_code in (404, 422)
    assert client.open("/x/9", method=method).status_code == 200


def test_a_route_with_a_slash_at_its_end_is_judged_with_and_without(make_app: Make) -> None:
    for strict in (True, False):
        app = make_app()
        app.add_url_rule("/x/", "x", lambda: "x", strict_slashes=strict)
        client = rampart_of(app, document({"/x/": {"get": operation(parameters=[NUMBER])}})).test_client()
        assert client.get("/x?n=10", follow_redirects=True).status_code == 422
        assert client.get("/x/?n=10").status_code == 422


def test_the_same_path_of_two_hosts_is_judged_on_both() -> None:
    app = Flask(__name__, host_matching=True, static_host="a.example")
    app.config.update(RAMPART_LIMIT_STORE="memory://", RAMPART_ACCESS_LOG="off")
    app.testing = True
    Rampart(app).contract(document({"/x": {"get": operation(parameters=[NUMBER])}}))
    app.add_url_rule("/x", "x", lambda: "x", host="a.example")
    app.add_url_rule("/x", "x", host="b.example")
    for host in ("a.example", "b.example"):
        client = app.test_client()
        assert client.get("/x?n=9", base_url=f"http://{host}").status_code == 200
        assert client.get("/x?n=10", base_url=f"http://{host}").status_code == 422


def test_methods_of_a_class_are_judged_each_by_its_operation(make_app: Make) -> None:
    class View(MethodView):
        def get(self) -> Any:
            return told()

        def post(self) -> Any:
            return told()

    app = make_app()
    blueprint = Blueprint("b", __name__)
    blueprint.add_url_rule("/x", view_func=View.as_view("view"))
    app.register_blueprint(blueprint, url_prefix="/b", subdomain="api")
    paths = {"/x": {"get": operation(parameters=[NUMBER]), "post": operation(requestBody=body({"type": "object"}))}}
    rampart_of(app, document(paths, servers=[{"url": "/b"}]))
    assert mismatches(app) == []


def test_a_value_that_the_route_itself_gives_is_judged_where_the_path_has_it(make_app: Make) -> None:
    app = make_app()
    app.add_url_rule("/x", "x", lambda id: jsonify(validated.query), defaults={"id": 1})
    app.add_url_rule("/x/<int:id>", "x")
    paths = {"/x": {"get": operation(parameters=[NUMBER])}, "/x/{id}": {"get": operation(parameters=[ID])}}
    client = rampart_of(app, document(paths)).test_client()
    assert client.get("/x?n=1").json == {"n": 1}
    assert client.get("/x?n=10").status_code == 422
    assert client.get("/x/10").status_code == 422


# CWE-915 and CWE-843: a reference that is taken for another place judges by another schema.
def test_two_places_whose_names_differ_by_a_slash_are_two(make_app: Make) -> None:
    components = {"schemas": {"a/b": {"type": "integer"}, "a": {"b": {"type": "string"}, "type": "object"}}}
    schema = {
        "type": "object",
        "properties": {"one": {"$ref": "#/components/schemas/a~1b"}, "two": {"$ref": "#/components/schemas/a/b"}},
        "additionalProperties": False,
    }
    app = make_app()
    app.post("/x")(told)
    given = document({"/x": {"post": operation(requestBody=body(schema))}}, components=components)
    client = rampart_of(app, given).test_client()
    assert client.post("/x", json={"one": 1, "two": "a"}).status_code == 200
    assert client.post("/x", json={"one": "a"}).status_code == 422
    assert client.post("/x", json={"two": 1}).status_code == 422


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
@pytest.mark.parametrize("place", ["components/parameters/Limit", "info", "components/schemas", "paths/~1x"])
def test_a_reference_to_what_is_no_schema_lets_nothing_through(make_app: Make, version: str, place: str) -> None:
    limit = {"name": "limit", "in": "query", "schema": {"type": "integer"}}
    given = document(
        {"/x": {"post": operation(requestBody=body({"$ref": f"#/{place}"}))}},
        version,
        components={"parameters": {"Limit": limit}, "schemas": {"title": {"type": "string"}}},
    )
    app = make_app()
    app.post("/x")(told)
    rampart_of(app, given)
    with pytest.raises(ConfigError, match="which is no schema"):
        app.extensions["rampart"].seal()
    # What is one there may be meant.
    given["paths"]["/x"]["post"]["requestBody"] = body({"$ref": "#/components/parameters/Limit/schema"})
    app = make_app()
    app.post("/x")(told)
    assert rampart_of(app, given).test_client().post("/x", json="text").status_code == 422


def test_a_member_that_is_called_as_a_reference_is_a_member(make_app: Make) -> None:
    schema = {
        "type": "object",
        "properties": {"$ref": {"type": "integer"}, "x-n": {"type": "integer"}},
        "example": {"$ref": "#/nowhere"},
    }
    app = make_app()
    app.post("/x")(told)
    client = rampart_of(app, document({"/x": {"post": operation(requestBody=body(schema))}})).test_client()
    assert client.post("/x", json={"$ref": 1, "x-n": 2}).status_code == 200
    assert client.post("/x", json={"$ref": "a"}).status_code == 422
    assert client.post("/x", json={"x-n": "a"}).status_code == 422


def test_a_security_scheme_whose_name_begins_with_x_is_one(make_app: Make) -> None:
    schemes = {"x-api-key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
    given = document({"/x": {"get": operation(security=[{"x-api-key": []}])}}, components={"securitySchemes": schemes})
    app = make_app()
    app.get("/x")(lambda: "open to all")
    assert mismatches(rampart_of(app, given)) == [("security", "GET /x")]
    app = make_app()
    app.get("/x")(require()(lambda: "x"))
    assert mismatches(rampart_of(app, given)) == []


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
@pytest.mark.parametrize(
    "schema", [{"allOf": [{"$ref": "#/components/schemas/Id"}]}, {"$ref": "#/components/schemas/Id"}]
)
def test_a_member_is_read_only_wherever_its_schema_says_so(make_app: Make, version: str, schema: Any) -> None:
    given = document(
        {
            "/x": {
                "post": operation(
                    requestBody=body({"type": "object", "required": ["id"], "properties": {"id": schema}})
                )
            }
        },
        version,
        components={"schemas": {"Id": {"type": "integer", "readOnly": True}}},
    )
    app = make_app()
    app.post("/x")(told)
    client = rampart_of(app, given).test_client()
    assert client.post("/x", json={}).status_code == 200
    assert client.post("/x", json={"id": 1}).status_code == 422


def test_a_range_of_a_format_holds_where_no_type_is_said(make_app: Make) -> None:
    app = make_app()
    app.post("/x")(told)
    schema = {"type": "object", "properties": {"n": {"format": "int32"}}}
    client = rampart_of(app, document({"/x": {"post": operation(requestBody=body(schema))}})).test_client()
    assert client.post("/x", json={"n": 2**31 - 1}).status_code == 200
    assert client.post("/x", json={"n": 2**31}).status_code == 422
    assert client.post("/x", json={"n": "no number"}).status_code == 200


@pytest.mark.parametrize(("unknown", "seen"), [("reject", 422), ("ignore", {"a": 1, "b": 2}), ("strip", {"a": 1})])
def test_what_is_unknown_in_a_body_is_as_the_contract_says(make_app: Make, unknown: Any, seen: Any) -> None:
    app = make_app()
    app.post("/x")(told)
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    client = rampart_of(
        app, document({"/x": {"post": operation(requestBody=body(schema))}}), unknown=unknown
    ).test_client()
    answer = client.post("/x", json={"a": 1, "b": 2})
    assert answer.status_code == seen if unknown == "reject" else answer.json == {"body": seen}


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(
    "headers",
    [{}, {"Content-Type": ""}, {"Content-Type": "text/plain"}, {"Content-Type": "application/json, text/plain"}],
    ids=["none", "empty", "other", "two"],
)
def test_a_body_of_no_type_that_the_document_has_is_refused(make_app: Make, headers: Any, required: bool) -> None:
    app = make_app()
    app.post("/x")(told)
    requested = {**body({"type": "object"}), "required": required}
    client = rampart_of(app, document({"/x": {"post": operation(requestBody=requested)}})).test_client()
    answer = client.post("/x", data=b'{"a": 1}', headers=headers)
    assert (answer.status_code, answer.json["code"]) == (415, "body.media_type")


@pytest.mark.parametrize(
    "query", ["n=1&n=10", "n=10&n=1", "%6e=10", "n=1&%6E=10", "n=%31%30", "n=1;n=10", "N=10", "n[]=1"]
)
def test_a_parameter_twice_or_written_otherwise_is_no_other_parameter(make_app: Make, query: str) -> None:
    app = make_app()
    app.get("/x")(lambda: jsonify(validated.query))
    client = rampart_of(app, document({"/x": {"get": operation(parameters=[NUMBER])}})).test_client()
    assert client.get(f"/x?{query}").status_code == 422


def test_a_route_of_a_guarded_view_that_the_document_has_not_stops_the_start_up(make_app: Make) -> None:
    app = make_app()
    app.add_url_rule("/x", "x", lambda: "x")
    app.add_url_rule("/internal/x", "x")
    rampart_of(app, document({"/x": {"get": operation(parameters=[NUMBER])}}))
    assert mismatches(app) == [("no operation", "GET /internal/x")]


def test_an_operation_whose_path_no_route_has_is_told_where_its_id_finds_a_view(make_app: Make) -> None:
    app = make_app()

    @app.get("/users")
    def list_users() -> str:
        return "x"

    rampart_of(app, document({"/usres": {"get": operation(operationId="list_users")}}))
    (report,) = app.extensions["rampart"].services[Contracts].reports()
    assert any("no route has this path: by its operationId it is taken for /users" in note for note in report.notes)


def test_a_view_of_ours_that_serves_the_apps_document_needs_no_operation(make_app: Make) -> None:
    app = make_app(rampart=False)
    app.config.update(RAMPART_LIMIT_STORE="memory://", RAMPART_ACCESS_LOG="off")
    rampart = Rampart(app)
    rampart.serve_openapi("/openapi.json", guards=[public])
    rampart.contract(document({"/x": {"get": operation(parameters=[NUMBER])}}))
    app.get("/x")(lambda: "x")
    assert app.test_client().get("/openapi.json").status_code == 200


@dataclass
class Head:
    """Fields that a view asks for itself."""

    X_Name: str
    X_Count: int = 1


@dataclass
class Order:
    """A body that a view asks for itself."""

    amount: int


def test_a_view_has_models_of_parts_of_which_the_document_says_nothing(make_app: Make) -> None:
    app = make_app()

    @app.post("/x")
    @validate(headers=Head)
    def x() -> Any:
        head: Head = validated.headers
        return jsonify(type=type(head).__name__, query=validated.query, body=validated.body)

    @app.post("/y")
    @validate(body=Order)
    def y() -> Any:
        order: Order = validated.body
        return jsonify(amount=order.amount, query=validated.query)

    paths = {
        "/x": {"post": operation(parameters=[NUMBER], requestBody=body({"type": "object"}))},
        "/y": {"post": operation(parameters=[NUMBER])},
    }
    client = rampart_of(app, document(paths)).test_client()
    answer = client.post("/x?n=3", json={"a": 1}, headers={"X_Name": "a"})
    assert answer.json == {"type": "Head", "query": {"n": 3}, "body": {"a": 1}}
    assert client.post("/x?n=30", json={"a": 1}, headers={"X_Name": "a"}).status_code == 422
    assert client.post("/x?n=3", json={"a": 1}).status_code == 422
    assert client.post("/y?n=3", json={"amount": 2}).json == {"amount": 2, "query": {"n": 3}}
    assert client.post("/y?n=30", json={"amount": 2}).status_code == 422
    assert client.post("/y?n=3", json={"amount": "x"}).status_code == 422


def test_a_query_that_a_view_asks_for_and_the_document_has_not_stops_the_start_up(make_app: Make) -> None:
    app = make_app()
    app.get("/x")(validate(query={"properties": {"a": {"type": "string"}}})(lambda: "x"))
    rampart_of(app, document({"/x": {"get": operation()}}))
    with pytest.raises(ConfigError, match=r"has validate\(query=...\), and the document no parameter in the query"):
        app.extensions["rampart"].seal()


def test_json_of_an_operation_is_read_within_the_bounds_of_its_route(make_app: Make) -> None:
    app = make_app()
    app.post("/x")(bounds(json_max_depth=3)(told))
    client = rampart_of(app, document({"/x": {"post": operation(requestBody=body({"type": "object"}))}})).test_client()
    assert client.post("/x", json={"a": {"b": 1}}).status_code == 200
    answer = client.post("/x", json={"a": {"b": {"c": {"d": 1}}}})
    assert (answer.status_code, answer.json["code"]) == (400, "json.too_deep")


def test_a_large_form_that_may_be_absent_is_not_held_in_memory(make_app: Make) -> None:
    app = make_app()
    app.post("/x")(lambda: jsonify(validated.files["a"].size))
    schema = {"type": "object", "properties": {"a": {"type": "string", "format": "binary"}}}
    requested = {"content": {"multipart/form-data": {"schema": schema}}}
    seen: list[bool] = []

    @app.after_request
    def look(response: Any) -> Any:
        from flask import request

        seen.append("_cached_data" in request.__dict__)
        return response

    client = rampart_of(app, document({"/x": {"post": operation(requestBody=requested)}})).test_client()
    assert client.post("/x", data={"a": (io.BytesIO(bytes(500_000)), "a")}).json == 500_000
    assert seen == [False]
