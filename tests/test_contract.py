"""Requests are judged by an OpenAPI document as they are by ``validate``."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask, jsonify, request
from openapi_spec_validator import validate as validate_document

from flask_rampart import ConfigError, Rampart, validate, validated

from .conftest import bearer
from .contracting import PETSTORE, body, document, operation, png, query, rampart_of, serve_pets, serve_wide, told, wide

Make = Callable[..., Flask]
VERSIONS = ["3.0.3", "3.1.0"]


@pytest.fixture(name="pets")
def a_shop(make_app: Make) -> Flask:
    return rampart_of(serve_pets(make_app()), PETSTORE)


@pytest.fixture(name="orders", params=VERSIONS)
def a_wide_app(make_app: Make, request: pytest.FixtureRequest) -> Flask:
    return rampart_of(serve_wide(make_app()), wide(request.param))


def errors(answer: Any) -> list[tuple[str, str, str]]:
    return sorted((error.get("in", "body"), error["pointer"], error["rule"]) for error in answer.json["errors"])


@pytest.mark.parametrize("version", VERSIONS)
def test_the_documents_of_these_tests_are_what_openapi_says(version: str) -> None:
    import yaml

    validate_document(wide(version))
    text = PETSTORE.read_text().replace("        200:", "        '200':")
    validate_document(yaml.safe_load(text))


def test_a_view_reads_what_the_document_names_as_the_types_that_it_names(pets: Flask) -> None:
    client = pets.test_client()
    answer = client.get("/v1/pets?status=sold&status=pending&limit=7")
    assert answer.json == {"status": ["sold", "pending"], "limit": 7}
    assert client.get("/v1/pets").json == {"limit": 20}
    assert client.get("/v1/pets/3").json == {"petId": 3}


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("/v1/pets?limit=0", [("query", "/limit", "minimum")]),
        ("/v1/pets?limit=101", [("query", "/limit", "maximum")]),
        ("/v1/pets?limit=ten", [("query", "/limit", "type")]),
        ("/v1/pets?status=lost", [("query", "/status/0", "enum")]),
        ("/v1/pets?debug=1", [("query", "", "additionalProperties")]),
        ("/v1/pets/0", [("path", "/petId", "minimum")]),
        ("/v1/pets/9223372036854775808", [("path", "/petId", "maximum")]),
        ("/v1/pets/1?debug=1", [("query", "", "additionalProperties")]),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_not_as_the_document_says_is_refused(
    pets: Flask, method: str, url: str, wrong: list[tuple[str, str, str]]
) -> None:
    # HEAD is what GET is: a way around the contract otherwise.
    answer = pets.test_client().open(url, method=method)
    assert answer.status_code == 422
    if method == "GET":
        assert errors(answer) == wrong


def test_a_body_of_several_media_types_is_judged_by_its_own(pets: Flask, token: Callable[..., str]) -> None:
    client = pets.test_client()
    who = bearer(token())
    made = client.post("/v1/pets", json={"name": "a", "parents": [{"name": "b"}], "category": None}, headers=who)
    assert made.json == {"body": {"name": "a", "parents": [{"name": "b"}], "category": None}}
    assert client.post("/v1/pets", data={"name": "a", "tags": ["x", "y"]}, headers=who).json == {
        "form": {"name": "a", "tags": ["x", "y"]}
    }
    wrong = client.post("/v1/pets", json={"name": "", "parents": [{"name": "b", "category": {"x": 1}}]}, headers=who)
    assert errors(wrong) == [
        ("body", "/name", "minLength"),
        ("body", "/parents/0/category", "additionalProperties"),
    ]
    assert errors(client.post("/v1/pets", data={"tags": "x"}, headers=who)) == [("form", "/name", "required")]


@pytest.mark.parametrize(
    ("content_type", "data", "status", "code"),
    [
        # XML cannot be checked, so it does not pass.
        ("application/xml", b"<pet><name>a</name></pet>", 415, "body.media_type"),
        ("text/plain", b'{"name": "a"}', 415, "body.media_type"),
        ("application/vnd.pet+json", b'{"name": "a"}', 415, "body.media_type"),
        ("multipart/form-data; boundary=x", b"--x--", 415, "body.media_type"),
        (None, b'{"name": "a"}', 415, "body.media_type"),
        ("APPLICATION/JSON; charset=utf-8", b'{"name": "a"}', 200, None),
        ("application/json", b'{"name": "a", "name": "b"}', 400, "json.duplicate_key"),
        ("application/json", b"", 400, "json.malformed"),
    ],
)
def test_a_media_type_that_the_document_does_not_have_is_refused(
    pets: Flask, token: Callable[..., str], content_type: str, data: bytes, status: int, code: str | None
) -> None:
    answer = pets.test_client().post("/v1/pets", data=data, content_type=content_type, headers=bearer(token()))
    assert answer.status_code == status
    assert answer.json.get("code") == code


def test_who_calls_is_asked_before_what_they_send(pets: Flask) -> None:
    answer = pets.test_client().post("/v1/pets", json={"nonsense": 1})
    assert (answer.status_code, answer.json["code"]) == (401, "auth.missing")


# CWE-915, mass assignment: what the server alone sets is not taken from a client.
def test_a_read_only_member_is_refused_in_a_request_and_not_required(
    make_app: Make, pets: Flask, token: Callable[..., str]
) -> None:
    who = bearer(token())
    answer = pets.test_client().post("/v1/pets", json={"id": 1, "name": "a"}, headers=who)
    assert errors(answer) == [("body", "/id", "not")]
    lenient = rampart_of(serve_pets(make_app()), PETSTORE, read_only="ignore").test_client()
    assert lenient.post("/v1/pets", json={"name": "a"}, headers=who).status_code == 200
    assert lenient.post("/v1/pets", json={"id": 1, "name": "a"}, headers=who).status_code == 200
    assert errors(lenient.post("/v1/pets", json={"id": "x", "name": "a"}, headers=who)) == [("body", "/id", "type")]


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"$ref": "#/components/schemas/Base"}, {"required": ["id", "name"]}]},
        {"allOf": [{"$ref": "#/components/schemas/Base"}], "required": ["id", "name"]},
        {"$ref": "#/components/schemas/Derived"},
    ],
    ids=["required-beside", "required-around", "through-references"],
)
def test_a_read_only_member_is_not_required_wherever_the_schema_says_so(make_app: Make, schema: dict[str, Any]) -> None:
    schemas = {
        "Base": {"type": "object", "required": ["id"], "properties": {"id": {"$ref": "#/components/schemas/Id"}}},
        "Id": {"type": "integer", "readOnly": True},
        "Derived": {"allOf": [{"$ref": "#/components/schemas/Base"}, {"type": "object", "required": ["name"]}]},
    }
    paths = {"/x": {"post": operation(requestBody=body(schema))}}
    app = make_app()
    app.post("/x")(lambda: jsonify(validated.body))
    client = rampart_of(app, document(paths, components={"schemas": schemas})).test_client()
    assert client.post("/x", json={"name": "a"}).json == {"name": "a"}
    assert errors(client.post("/x", json={"name": "a", "id": 1})) == [("body", "/id", "not")]
    assert errors(client.post("/x", json={})) == [("body", "/name", "required")]


def test_parameters_of_every_place_and_style_are_read(orders: Flask) -> None:
    client = orders.test_client()
    client.set_cookie("seen", "1,2")
    answer = client.get(
        "/orders/7/2026-02-28?verbose=true&fields=a,b&ids=1%7C2&near[x]=1.5&flag=&raw=a/b?c"
        "&filter=" + quote('{"a": 1}'),
        headers={"X-Tenant": "ab", "Accept": "text/html"},
    )
    assert answer.json == {
        "path": {"orderId": 7, "day": "2026-02-28"},
        "query": {
            "verbose": True,
            "fields": ["a", "b"],
            "ids": [1, 2],
            "near": {"x": 1.5},
            "flag": "",
            "raw": "a/b?c",
            "filter": {"a": 1},
        },
        "headers": {"X-Tenant": "ab"},
        "cookies": {"seen": [1, 2]},
    }
    # The operation's own parameter wins, with its default.
    assert client.get("/orders/7/2026-02-28", headers={"X-Tenant": "ab"}).json["query"] == {"verbose": False}


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("filter=%7B%7D", [("query", "/filter/a", "required")]),
        ("filter=%7B%22a%22:%22x%22%7D", [("query", "/filter/a", "type")]),
        ("filter=%7B%22a%22:1,%22a%22:2%7D", [("query", "/filter", "contentMediaType")]),
        ("filter=NaN", [("query", "/filter", "contentMediaType")]),
        ("flag=x", [("query", "/flag", "anyOf")]),
        ("ids=1,2", [("query", "/ids/0", "type")]),
        ("fields=a&fields=b", [("query", "/fields", "repeated")]),
    ],
)
def test_parameters_that_are_lists_or_json_are_judged_within(
    orders: Flask, query: str, wrong: list[tuple[str, str, str]]
) -> None:
    answer = orders.test_client().get(f"/orders/7/2026-02-28?{query}", headers={"X-Tenant": "ab"})
    assert errors(answer) == wrong


def test_all_parts_are_told_together_and_no_value_with_them(orders: Flask) -> None:
    answer = orders.test_client().get("/orders/0/never-a-day?verbose=maybe", headers={"X-Tenant": "q"})
    assert errors(answer) == [
        ("headers", "/X-Tenant", "minLength"),
        ("path", "/day", "format"),
        ("path", "/orderId", "minimum"),
        ("query", "/verbose", "type"),
    ]
    assert b"never-a-day" not in answer.data
    assert b"maybe" not in answer.data


def test_a_body_that_need_not_be_there_may_be_absent(orders: Flask) -> None:
    client = orders.test_client()
    assert client.post("/orders").json == {"body": None}
    assert client.post("/orders", content_type="application/json").json == {"body": None}
    # One that is there is judged.
    assert client.post("/orders", json={}).status_code == 422
    assert client.post("/orders", data=b" ").status_code == 415


def test_a_view_of_an_absent_form_reads_an_empty_one(make_app: Make) -> None:
    form = {"content": {"multipart/form-data": {"schema": {"properties": {"a": {"type": "string"}}}}}}
    app = make_app()
    app.post("/x")(lambda: jsonify(validated.form))
    client = rampart_of(app, document({"/x": {"post": operation(requestBody=form)}})).test_client()
    assert client.post("/x").json == {}
    assert client.post("/x", data={"a": "b"}, content_type="multipart/form-data").json == {"a": "b"}


def test_a_body_that_is_announced_and_cut_off_is_not_absent(orders: Flask) -> None:
    answer = orders.test_client().post(
        "/orders", environ_overrides={"CONTENT_LENGTH": "5", "CONTENT_TYPE": "application/json"}
    )
    assert (answer.status_code, answer.json["code"]) == (400, "body.incomplete")


def test_forms_are_read_as_their_encoding_says(orders: Flask) -> None:
    client = orders.test_client()
    assert client.post("/orders", data={"amount": "1.5", "tags": "a,b"}).json == {
        "form": {"amount": 1.5, "tags": ["a", "b"]}
    }
    answer = client.post("/orders", data={"title": "t", "meta": '{"a": 1}', "photo": png()})
    assert answer.json == {"form": {"title": "t", "meta": {"a": 1}}, "files": {"photo": "image/png"}}
    wrong = client.post("/orders", data={"title": "t", "meta": '{"a": "x"}', "photo": png()})
    assert errors(wrong) == [("form", "/meta/a", "type")]
    # A text where a file belongs.
    wrong = client.post("/orders", data={"title": "", "photo": "x"}, content_type="multipart/form-data")
    assert errors(wrong) == [
        ("files", "/photo", "type"),
        ("form", "", "additionalProperties"),
        ("form", "/title", "minLength"),
    ]


def test_bytes_pass_as_they_are(orders: Flask) -> None:
    answer = orders.test_client().post("/orders", data=b"\x00\xff", content_type="application/octet-stream")
    assert answer.status_code == 200


def test_the_key_that_says_most_of_a_media_type_is_the_one_that_counts(make_app: Make) -> None:
    content = {
        "*/*": {"schema": {"type": "object", "required": ["any"]}},
        "application/*": {"schema": {"type": "object", "required": ["application"]}},
        "application/json": {"schema": {"type": "object", "required": ["json"]}},
    }
    app = make_app()
    app.post("/x")(told)
    paths = {"/x": {"post": operation(requestBody={"required": True, "content": content})}}
    client = rampart_of(app, document(paths)).test_client()
    assert errors(client.post("/x", json={})) == [("body", "/json", "required")]
    answer = client.post("/x", data="{}", content_type="application/a+json")
    assert errors(answer) == [("body", "/application", "required")]
    assert client.post("/x", data="{}", content_type="text/plain").status_code == 415
    assert client.post("/x", data="{}").status_code == 415


@pytest.mark.parametrize(("unknown", "seen"), [("reject", 422), ("ignore", {"a": 1, "b": "2"}), ("strip", {"a": 1})])
def test_what_is_unknown_in_a_query_is_as_the_contract_says(make_app: Make, unknown: Any, seen: Any) -> None:
    app = make_app()
    app.get("/x")(lambda: jsonify(validated.query))
    app.get("/none")(lambda: "none")
    paths = {"/x": {"get": operation(parameters=[query("a", {"type": "integer"})])}, "/none": {"get": operation()}}
    client = rampart_of(app, document(paths), unknown=unknown).test_client()
    answer = client.get("/x?a=1&b=2")
    assert answer.json == seen if isinstance(seen, dict) else answer.status_code == seen
    assert client.get("/none?b=2").status_code == (422 if unknown == "reject" else 200)


def test_a_key_in_the_query_is_known_where_the_document_demands_it(make_app: Make) -> None:
    schemes = {"k": {"type": "apiKey", "in": "query", "name": "key"}}
    app = make_app()
    app.get("/x")(lambda: "x")
    contract = document({"/x": {"get": operation(security=[{"k": []}])}}, components={"securitySchemes": schemes})
    client = rampart_of(app, contract, security=False).test_client()
    assert client.get("/x?key=1").status_code == 200
    assert client.get("/x?kez=1").status_code == 422


def test_a_view_of_two_routes_is_judged_by_the_one_that_was_taken(make_app: Make) -> None:
    app = make_app()

    @app.get("/things")
    @app.get("/things/<int:id>")
    def things(id: int = 0) -> Any:
        return told()

    number = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "maximum": 9}}
    paths = {
        "/things": {"get": operation(parameters=[query("page", {"type": "integer"})])},
        "/things/{id}": {"get": operation(parameters=[number])},
    }
    client = rampart_of(app, document(paths)).test_client()
    assert client.get("/things?page=2").json == {"query": {"page": 2}}
    assert client.get("/things/9").json == {"path": {"id": 9}}
    assert client.get("/things/10").status_code == 422
    assert client.get("/things/9?page=2").status_code == 422


def test_a_view_may_check_more_parts_than_the_document(make_app: Make) -> None:
    app = make_app()

    @app.get("/x")
    @validate(headers={"properties": {"X-A": {"type": "integer"}}})
    def view() -> Any:
        return jsonify(validated.query | validated.headers)

    client = rampart_of(app, document({"/x": {"get": operation(parameters=[query("b", {"type": "integer"})])}}))
    answer = client.test_client().get("/x?b=2", headers={"X-A": "1"})
    assert answer.json == {"X-A": 1, "b": 2}


@pytest.mark.parametrize(
    "own",
    [{"body": {}}, {"form": {"properties": {"a": {}}}}, {"query": {"properties": {"a": {}}}}],
    ids=lambda own: next(iter(own)),
)
def test_the_same_part_in_the_view_and_in_the_document_is_refused(make_app: Make, own: dict[str, Any]) -> None:
    app = make_app()
    app.post("/x")(validate(**own)(lambda: "x"))
    rampart_of(app, document({"/x": {"post": operation(requestBody=body({}))}}))
    with pytest.raises(ConfigError, match=rf"#/paths/~1x/post: the view .* has validate\({next(iter(own))}="):
        app.extensions["rampart"].seal()


def test_a_parameter_of_a_path_may_be_written_as_no_python_name_is(make_app: Make) -> None:
    app = make_app()
    app.get("/x/<int:pet_id>")(lambda pet_id: jsonify(validated.path))
    number = {"name": "pet-id", "in": "path", "required": True, "schema": {"type": "integer", "maximum": 9}}
    client = rampart_of(app, document({"/x/{pet-id}": {"get": operation(parameters=[number])}})).test_client()
    assert client.get("/x/9").json == {"pet_id": 9}
    assert client.get("/x/10").status_code == 422


def test_get_json_of_a_view_is_what_was_judged(make_app: Make) -> None:
    app = make_app()
    app.post("/x")(lambda: jsonify(same=request.get_json() is validated.body))
    client = rampart_of(app, document({"/x": {"post": operation(requestBody=body({"type": "object"}))}})).test_client()
    assert client.post("/x", json={}).json == {"same": True}


def test_a_contract_comes_with_the_factory_and_not_after_the_first_request() -> None:
    rampart = Rampart()
    rampart.contract(document({"/x": {"get": operation(parameters=[query("a", {"type": "integer"})])}}))
    app = Flask(__name__)
    app.config.update(RAMPART_LIMIT_STORE="memory://", RAMPART_ACCESS_LOG="off")
    app.testing = True
    rampart.init_app(app)
    app.get("/x")(lambda: jsonify(validated.query))
    assert app.test_client().get("/x?a=1").json == {"a": 1}
    assert app.test_client().get("/x?a=b").status_code == 422
    with pytest.raises(ConfigError, match="too late"):
        rampart.contract(document({"/x": {"get": operation()}}))


def test_what_is_documented_of_get_with_a_body_is_ignored_in_3_0_alone(make_app: Make) -> None:
    for version, status in (("3.0.3", 200), ("3.1.0", 422)):
        app = make_app()
        app.get("/x")(lambda: "x")
        given = document({"/x": {"get": operation(requestBody=body({"type": "object"}))}}, version)
        assert rampart_of(app, given).test_client().get("/x", json=1).status_code == status


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"strict": False}, "strict"),
        ({"strict": "warn"}, "strict"),
        ({"base_path": "v1"}, "base_path"),
        ({"base_path": "/v1/"}, "base_path"),
        ({"unknown": "refuse"}, "unknown"),
        ({"read_only": "strip"}, "read_only"),
        ({"security": "no"}, "security"),
        ({"validate_responses": True}, "validate_responses"),
        ({"exclude": [1]}, "exclude"),
    ],
    ids=str,
)
def test_an_argument_that_cannot_be_meant_is_refused(how: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=rf"contract\({said}="):
        Rampart().contract({"openapi": "3.1.0"}, **how)
    with pytest.raises(ConfigError, match="takes the path"):
        Rampart().contract(7)  # type: ignore[arg-type]


def answering(make_app: Make, content: Any, answer: Any, mode: str = "enforce", **statuses: Any) -> Any:
    """A client of a view that answers this, in an app whose document says that."""
    paths = {"/x": {"get": {"responses": {"200": {"description": "", "content": content}, **statuses}}}}
    app = make_app()
    app.get("/x")(lambda: answer() if callable(answer) else answer)
    return rampart_of(app, document(paths), validate_responses=mode).test_client()


OF_A = {"application/json": {"schema": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}}}


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"a": 1}, 200),
        ({"a": "1"}, 500),
        ({}, 500),
        ("text", 500),
        (({"a": 1}, 201), 500),  # a success that nobody has announced
        (({"error": "none"}, 404), 404),
        (("", 204), 204),
        (({"a": "1"}, 302), 302),
    ],
    ids=str,
)
def test_an_answer_that_is_not_as_the_document_says_does_not_leave(make_app: Make, answer: Any, status: int) -> None:
    said = answering(make_app, OF_A, answer, **{"204": {"description": "nothing"}}).get("/x")
    assert said.status_code == status
    if status == 500:
        assert said.json["code"] == "response.invalid"


def test_an_answer_that_is_to_be_logged_leaves_and_is_told_of(make_app: Make, caplog: pytest.LogCaptureFixture) -> None:
    client = answering(make_app, OF_A, {"a": "a secret"}, "log")
    with caplog.at_level("WARNING"):
        assert client.get("/x").json == {"a": "a secret"}
    assert "GET /x" in caplog.text
    assert "type at '/a'" in caplog.text
    assert "a secret" not in caplog.text


@pytest.mark.parametrize(
    ("schema", "status"), [(True, 200), (False, 500), ({}, 200), ({"$ref": "#/components/schemas/Never"}, 500)], ids=str
)
def test_an_answer_may_be_anything_or_nothing(make_app: Make, schema: Any, status: int) -> None:
    paths = {
        "/x": {"get": {"responses": {"2XX": {"description": "", "content": {"application/json": {"schema": schema}}}}}}
    }
    app = make_app()
    app.get("/x")(lambda: {"a": 1})
    given = document(paths, components={"schemas": {"Never": False}})
    assert rampart_of(app, given, validate_responses="enforce").test_client().get("/x").status_code == status


def test_what_only_a_request_may_hold_is_not_in_an_answer(make_app: Make) -> None:
    user = {
        "type": "object",
        "required": ["name", "password"],
        "properties": {"name": {"type": "string"}, "password": {"type": "string", "writeOnly": True}},
    }
    content = {"application/json": {"schema": user}}
    assert answering(make_app, content, {"name": "a"}).get("/x").status_code == 200
    assert answering(make_app, content, {"name": "a", "password": "b"}).get("/x").status_code == 500


def test_an_answer_of_two_media_types_is_held_to_what_can_be_known_of_it(make_app: Make) -> None:
    problem = {"application/problem+json": {"schema": {"type": "object", "required": ["type"]}}}
    both = OF_A | problem
    assert answering(make_app, both, {"a": 1}).get("/x").status_code == 200
    assert answering(make_app, both, {"type": "b"}).get("/x").status_code == 200
    assert answering(make_app, both, {"c": 1}).get("/x").status_code == 500
    # One that may be CSV as well is not taken for JSON that is broken.
    csv = OF_A | {"text/csv": {"schema": {"type": "string"}}}
    assert answering(make_app, csv, "a,b").get("/x").status_code == 200


def test_a_view_that_judges_its_answers_by_itself_is_not_judged_twice(make_app: Make) -> None:
    paths = {"/x": {"get": {"responses": {"200": {"description": "", "content": OF_A}}}}}
    app = make_app()
    app.get("/x")(validate(response={"type": "object"})(lambda: {"a": 1}))
    assert rampart_of(app, document(paths)).test_client().get("/x").json == {"a": 1}
    app = make_app()
    app.get("/x")(validate(response={"type": "object"})(lambda: {"a": 1}))
    rampart_of(app, document(paths), validate_responses="log")
    # Of two that judge, the second alone would be asked.
    with pytest.raises(ConfigError, match=r"has validate\(response="):
        app.extensions["rampart"].seal()


def test_what_is_wrong_is_told_in_the_words_of_the_app(make_app: Make) -> None:
    app = make_app(rampart=False)
    rampart = Rampart(app)
    rampart.messages(lambda rule, pointer, part: f"{part}: {rule}")
    filtered = {"application/json": {"schema": {"type": "object", "required": ["a"]}}}
    parameters = [query("n", {"type": "integer"}), {"name": "filter", "in": "query", "content": filtered}]
    rampart.contract(document({"/x": {"get": operation(parameters=parameters)}}))
    app.get("/x")(lambda: "x")
    client = app.test_client()
    told = {"in": "query", "pointer": "/n", "rule": "type", "message": "query: type"}
    assert client.get("/x?n=a").json["errors"] == [told]
    told = {"in": "query", "pointer": "/filter/a", "rule": "required", "message": "query: required"}
    assert client.get("/x?filter={}").json["errors"] == [told]


def test_the_documents_example_runs(make_app: Make, tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "docs" / "contract.md").read_text()
    (contract,) = re.findall(r"```yaml\n(.*?)```", text, re.S)
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    (tmp_path / "openapi.yaml").write_text(contract)
    app = make_app(rampart=False)
    app.root_path = str(tmp_path)
    app.config.update(RAMPART_LIMIT_STORE="memory://", RAMPART_ACCESS_LOG="off")
    app.testing = True
    exec(compile(code, "contract.md", "exec"), {"app": app, "cats": lambda limit, colour: [limit, colour]})
    client = app.test_client()
    assert client.get("/v1/cats?limit=2&colour=red").json == [2, "red"]
    assert client.get("/v1/cats").json == [20, None]
    assert client.get("/v1/cats?limit=0").status_code == 422
    assert client.post("/v1/cats", json={"name": ""}).status_code == 422
    assert client.post("/v1/cats", json={"name": "Tom"}).status_code == 201
