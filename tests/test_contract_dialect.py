"""Schemas of OpenAPI 3.0 and 3.1 mean the same where they say the same, and nothing is dropped in silence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate as validate_document

from flask_rampart import ConfigError
from flask_rampart._native import JsonBounds, Schema, SchemaRejected
from flask_rampart.contract.dialect import FORMATS, Dialect
from flask_rampart.contract.document import Document
from flask_rampart.contract.operations import Noted, operations
from flask_rampart.contract.parts import bodies, parameters, responses

from .contracting import body, document, operation, query, rampart_of, wide


def compiled(schema: Any, version: str, **schemas: Any) -> tuple[Schema, list[str]]:
    return translated(schema, version, "request", **schemas)


def translated(schema: Any, version: str, direction: Any, **schemas: Any) -> tuple[Schema, list[str]]:
    text = document({"/x": {"post": operation(requestBody=body(schema))}}, version, components={"schemas": schemas})
    read = Document(text, ".")
    note = Noted()
    (one,) = operations(read, note)
    media = dict(one.media)["application/json"]
    made = Dialect(read.version, direction, note).schema(media.at("schema"))
    return Schema(json.dumps(made), JsonBounds()), list(note.all)


def admits(schema: Schema, value: Any) -> bool:
    try:
        schema.check(json.dumps(value).encode())
    except SchemaRejected:
        return False
    return True


# The same thing said in 3.0 and in 3.1, what it admits and what it does not.
SAME: list[tuple[str, Any, Any, list[Any], list[Any]]] = [
    ("nullable", {"type": "string", "nullable": True}, {"type": ["string", "null"]}, [None, "a"], [1, []]),
    ("not nullable", {"type": "string", "nullable": False}, {"type": "string"}, ["a"], [None]),
    ("nullable without type", {"nullable": True, "minimum": 1}, {"minimum": 1}, [None, 1, "a"], [0]),
    (
        "nullable enum",
        {"type": "string", "nullable": True, "enum": ["a"]},
        {"type": ["string", "null"], "enum": ["a"]},
        ["a"],
        # 3.0.3: the enum must name null too.
        [None, "b"],
    ),
    ("open minimum", {"type": "number", "minimum": 1, "exclusiveMinimum": True}, {"type": "number", "exclusiveMinimum": 1}, [1.5], [1, 0]),
    ("shut minimum", {"minimum": 1, "exclusiveMinimum": False}, {"minimum": 1}, [1], [0]),
    ("open maximum", {"maximum": 1, "exclusiveMaximum": True}, {"exclusiveMaximum": 1}, [0], [1, 2]),
    ("open without bound", {"type": "number", "exclusiveMaximum": True}, {"type": "number"}, [1e9], ["a"]),
    ("int32", {"type": "integer", "format": "int32"}, {"type": "integer", "format": "int32"}, [2**31 - 1, -(2**31)], [2**31, -(2**31) - 1, 1.5]),
    ("int64", {"type": "integer", "format": "int64", "minimum": 0}, {"type": "integer", "format": "int64", "minimum": 0}, [2**63 - 1, 0], [2**63, -1]),
    ("int32 of texts", {"type": "string", "format": "int32"}, {"type": "string", "format": "int32"}, ["x"], [1]),
    ("double", {"type": "number", "format": "double"}, {"type": "number", "format": "double"}, [1.5, 1], ["1"]),
    ("byte", {"type": "string", "format": "byte"}, {"type": "string", "format": "byte"}, ["", "aGk=", "aGkh"], ["aGk", "a-k=", "aGk=\n", "===="]),
    ("byte with pattern", {"type": "string", "format": "byte", "pattern": "^a"}, {"type": "string", "format": "byte", "pattern": "^a"}, ["aGk="], ["bGk=", "aG"]),
    ("binary", {"type": "string", "format": "binary"}, {"type": "string", "format": "binary"}, ["\x00"], [1]),
    ("date", {"type": "string", "format": "date"}, {"type": "string", "format": "date"}, ["2026-02-28"], ["2026-02-30"]),
    ("password", {"type": "string", "format": "password"}, {"type": "string", "format": "password"}, ["x"], [1]),
    ("example", {"type": "integer", "example": "no integer"}, {"type": "integer", "examples": ["none"]}, [1], ["a"]),
    ("one of", {"oneOf": [{"type": "integer"}, {"type": "string", "nullable": True}]}, {"oneOf": [{"type": "integer"}, {"type": ["string", "null"]}]}, [1, "a", None], [True]),
    ("nested", {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer", "nullable": True}}}}, {"type": "object", "properties": {"a": {"type": "array", "items": {"type": ["integer", "null"]}}}}, [{"a": [1, None]}], [{"a": ["x"]}, {"a": None}]),
    ("other members", {"type": "object", "additionalProperties": {"type": "string", "nullable": True}}, {"type": "object", "additionalProperties": {"type": ["string", "null"]}}, [{"a": None}], [{"a": 1}]),
    ("no type", {"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"properties": {"a": {"type": "integer"}}, "required": ["a"]}, [{"a": 1}, "text", 7], [{}]),
    ("read only", {"type": "object", "required": ["a"], "properties": {"a": {"readOnly": True}}}, {"type": "object", "required": ["a"], "properties": {"a": {"readOnly": True}}}, [{}, {"b": 1}], [{"a": 1}]),
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.sampled_from([0, 1, 2, 1.0, 1.5, 2**31, 2**63, "a", "b", "aGk=", "2026-02-28"]) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip


@pytest.mark.parametrize(("old", "new", "good", "bad"), [one[1:] for one in SAME], ids=[one[0] for one in SAME])
def test_both_dialects_admit_what_the_schema_says_and_nothing_else(old: Any, new: Any, good: Any, bad: Any) -> None:
    for schema, version in ((old, "3.0.3"), (new, "3.1.0")):
        validate_document(document({"/x": {"post": operation(requestBody=body(schema))}}, version))
        made, _ = compiled(schema, version)
        assert [value for value in good if not admits(made, value)] == []
        assert [value for value in bad if admits(made, value)] == []


PAIRS = [(compiled(old, "3.0.3")[0], compiled(new, "3.1.0")[0], name) for name, old, new, _, _ in SAME]


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_both_dialects_give_the_same_verdict_on_any_value(value: Any) -> None:
    for old, new, name in PAIRS:
        assert admits(old, value) == admits(new, value), name


def order_schema(version: str) -> Schema:
    read = Document(wide(version), ".")
    note = Noted()
    made = Dialect(read.version, "request", note)
    one = next(one for one in operations(read, note) if one.method == "POST")
    wanted = bodies(one, made, note)["application/json"]
    assert wanted is not None
    return Schema(json.dumps(wanted.given["body"]), JsonBounds())


ORDERS = [order_schema("3.0.3"), order_schema("3.1.0")]
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "id": st.just(1),
    "amount": st.sampled_from([0, 1, -1, 0.5, "1", None]),
    "count": st.sampled_from([0, 2**31 - 1, 2**31, 1.5]),
    "secret": st.sampled_from(["s", None]),
    "data": st.sampled_from(["aGk=", "a", ""]),
    "note": st.sampled_from([None, "short", "too long", 1]),
    "day": st.sampled_from(["2026-02-28", "2026-02-30"]),
    "pay": st.sampled_from([{"kind": "cash"}, {"kind": "card"}, {"kind": "card", "number": "1234"}, {}]),
    "more": st.just(1),
}
NEEDED = ("amount", "secret")
OTHERS = {name: field for name, field in FIELDS.items() if name not in NEEDED}
ORDER: st.SearchStrategy[dict[str, Any]] = st.deferred(
    lambda: st.fixed_dictionaries(
        {name: FIELDS[name] for name in NEEDED},
        optional={**OTHERS, "parts": st.lists(ORDER, max_size=2)},
    )
)


@settings(max_examples=300, deadline=None)
@given(ORDER)
def test_a_wide_document_gives_the_same_verdicts_in_both_dialects(order: dict[str, Any]) -> None:
    assert admits(ORDERS[0], order) == admits(ORDERS[1], order)


def test_a_wide_document_admits_and_refuses() -> None:
    fine = {
        "amount": 1,
        "secret": "s",
        "pay": {"kind": "card", "number": "1234"},
        "parts": [{"amount": 2, "secret": ""}],
    }
    for schema in ORDERS:
        assert admits(schema, fine)
        for wrong in ({"id": 1}, {"amount": 0}, {"note": "too long"}, {"pay": {"kind": "card"}}, {"parts": [{}]}):
            assert not admits(schema, {**fine, **wrong}), wrong


def test_an_answer_has_what_a_request_has_not_and_the_other_way_round() -> None:
    account = {
        "type": "object",
        "required": ["id", "password"],
        "properties": {"id": {"type": "integer", "readOnly": True}, "password": {"type": "string", "writeOnly": True}},
    }
    asked, _ = translated(account, "3.0.3", "request")
    answered, _ = translated(account, "3.0.3", "response")
    assert admits(asked, {"password": "p"}) and not admits(asked, {"id": 1, "password": "p"})
    assert admits(answered, {"id": 1}) and not admits(answered, {"id": 1, "password": "p"})


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_that_is_said_to_be_asserted_is_known_to_the_engine(name: str) -> None:
    schema, notes = compiled({"type": "string", "format": name}, "3.1.0")
    assert notes == []
    assert not admits(schema, "\x00[")


@pytest.mark.parametrize(
    ("schema", "version", "said"),
    [
        ({"type": "string", "format": "emial"}, "3.0.3", "'emial' is not known and not checked. Did you mean email"),
        (
            {"type": "string", "minlength": 1},
            "3.1.0",
            "'minlength' is no keyword and is not checked. Did you mean minLength",
        ),
        ({"type": "string", "nullable": True}, "3.1.0", "has no effect in OpenAPI 3.1"),
        ({"$ref": "#/components/schemas/A", "nullable": True}, "3.0.3", "nullable beside a $ref"),
    ],
    ids=["format", "keyword", "nullable", "beside"],
)
def test_what_is_not_checked_is_noted_with_its_place(schema: Any, version: str, said: str) -> None:
    _, (note,) = compiled(schema, version, A={"type": "string"})
    assert note.startswith("the document#/paths/~1x/post/requestBody/content/application~1json/schema")
    assert said in note


@pytest.mark.parametrize(
    ("schema", "version", "said"),
    [
        ({"type": "string", "minlength": 1}, "3.0.3", "/schema/minlength: 'minlength' is no keyword of OpenAPI 3.0. Did you mean minLength"),
        ({"const": 1}, "3.0.3", "/schema/const: .* It came with 3.1"),
        ({"type": ["string", "null"]}, "3.0.3", '/schema/type: several types .* "nullable: true"'),
        ({"items": [{}]}, "3.0.3", "/schema/items"),
        ({"properties": {"a": True}}, "3.0.3", "/schema/properties/a: a schema is an object"),
        ({"type": "string", "nullable": "yes"}, "3.0.3", "/schema/nullable: this is true or false"),
        ({"minimum": 1, "exclusiveMinimum": 0}, "3.0.3", "/schema/exclusiveMinimum: this is true or false"),
        ({"minimum": 1, "exclusiveMinimum": True}, "3.1.0", "/schema/exclusiveMinimum: this is a number in OpenAPI 3.1"),
        ({"type": "file"}, "3.0.3", "/schema/type: 'file' is no type"),
        ({"type": "strng"}, "3.1.0", "/schema/type: 'strng' is no type. Did you mean string"),
        ({"properties": {"a": 7}}, "3.1.0", "/schema/properties/a: a schema is an object"),
        ({"properties": []}, "3.1.0", "/schema/properties: this is an object"),
        ({"allOf": {}}, "3.1.0", "/schema/allOf: this is a list"),
        ({"format": 7}, "3.1.0", "/schema/format: this is a text"),
        ({"$id": "https://example.com/a"}, "3.1.0", r"/schema/\$id: '\$id' is not read"),
        ({"$dynamicRef": "#a"}, "3.1.0", r"/schema/\$dynamicRef"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "3.1.0", r"/schema/\$schema: this dialect"),
    ],
    ids=range(17),
)  # fmt: skip
def test_what_a_dialect_does_not_have_is_refused_with_its_place(schema: Any, version: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        compiled(schema, version)


def test_what_stands_beside_a_reference_counts_in_3_1_alone() -> None:
    schema = {"$ref": "#/components/schemas/A", "maxLength": 2}
    old, _ = compiled(schema, "3.0.3", A={"type": "string"})
    new, _ = compiled(schema, "3.1.0", A={"type": "string"})
    assert admits(old, "long") and not admits(new, "long")
    assert not admits(old, 1) and not admits(new, 1)


def test_a_name_of_a_component_may_be_any_text() -> None:
    # The characters that a pointer and a fragment each escape in their own way.
    reference = "#/components/schemas/a~1b~0c%25d%20e"
    schema, _ = compiled({"$ref": reference}, "3.1.0", **{"a/b~c%d e": {"type": "integer"}})
    assert admits(schema, 1) and not admits(schema, "a")


def test_the_documents_own_words_for_styles_do_not_reach_the_parts() -> None:
    # x-style and x-explode are the parts' own; a document has style and explode.
    given = document(
        {"/x": {"get": operation(parameters=[query("a", {"type": "string", "x-style": "pipeDelimited", "x-any": 1})])}}
    )
    read = Document(given, ".")
    (one,) = operations(read, Noted())
    wanted = parameters(one, Dialect(read.version, "request", Noted()), "reject", {})
    assert wanted.given["query"]["properties"] == {"a": {"type": "string"}}


def place(name: str, where: str, schema: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": where, "schema": schema, "required": where == "path", **more}


LIST = {"type": "array", "items": {"type": "string"}}
OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        (place("id", "path", {"type": "string"}, style="label"), "/style: the style 'label' is not read in path"),
        (place("id", "path", {"type": "string"}, style="matrix"), "/style: the style 'matrix'"),
        (place("id", "path", OBJECT), "an object with the style 'simple' is not read in path"),
        (place("q", "query", OBJECT), 'an object with the style \'form\' is not read in query; write "style: deepObject"'),
        (place("q", "query", LIST, style="deepObject"), "deepObject is of objects"),
        (place("q", "query", {"type": "string"}, style="pipeDelimited"), "is of lists or objects"),
        (place("q", "query", LIST, style="spaceDelimited", explode=True), "read with explode: false"),
        (place("q", "query", LIST, allowEmptyValue=True), "/allowEmptyValue"),
        (place("c", "cookie", LIST), 'read with "explode: false"'),
        (place("H", "header", OBJECT), "is not read in header"),
        (place("H", "header", {}, style="form"), "the style 'form' is not read in header"),
        ({"name": "q", "in": "query", "content": {"application/xml": {"schema": {}}}}, "a parameter that is application/xml"),
        ({"name": "q", "in": "query", "content": {}}, "/content: the content of a parameter is of one media type"),
        (place("H", "header", {}, allowEmptyValue=True), "/allowEmptyValue: this is for parameters in the query"),
    ],
    ids=range(14),
)  # fmt: skip
def test_a_parameter_that_is_not_read_is_refused_with_its_place(parameter: dict[str, Any], said: str) -> None:
    path = "/x/{id}" if parameter["name"] == "id" else "/x"
    given = document({path: {"get": operation(parameters=[parameter])}})
    with pytest.raises(ConfigError, match=f"/get/parameters/0.*{said}"):
        read = Document(given, ".")
        (one,) = operations(read, Noted())
        parameters(one, Dialect(read.version, "request", Noted()), "reject", {})


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "integer", "minimum": 1, "default": 0}, 'the default of "q" is not what its schema says'),
        ({"type": "string", "pattern": "(?=a)"}, "linear time"),
        ({"type": "string", "minLength": "1"}, "minLength"),
        ({"minimum": 1}, "has a rule for numbers and no type"),
    ],
    ids=["default", "pattern", "keyword", "type"],
)
def test_a_schema_that_cannot_be_used_is_told_with_its_operation(make_app: Any, schema: Any, said: str) -> None:
    app = make_app()
    app.add_url_rule("/x", "x", lambda: "x")
    rampart_of(app, document({"/x": {"get": operation(parameters=[query("q", schema)])}}))
    with pytest.raises(ConfigError, match=rf"the document#/paths/~1x/get \(GET /x\): .*{said}"):
        app.extensions["rampart"].seal()


@pytest.mark.parametrize(
    ("media_type", "schema", "more", "said"),
    [
        ("application/xml", {"type": "object"}, {}, "none of its media types can be checked"),
        ("application/x-www-form-urlencoded", {"type": "object", "properties": {"o": OBJECT}}, {}, "'o' is an object"),
        ("multipart/form-data", {"type": "string"}, {}, "the schema of a form is an object with properties"),
        ("multipart/form-data", OBJECT, {"encoding": {"b": {}}}, "/encoding/b: the schema has no member 'b'"),
        ("multipart/form-data", OBJECT, {"encoding": {"a": {"contenttype": "x/y"}}}, "Did you mean contentType"),
    ],
    ids=range(5),
)
def test_a_body_that_is_not_read_is_refused_with_its_place(media_type: str, schema: Any, more: Any, said: str) -> None:
    read = Document(document({"/x": {"post": operation(requestBody=body(schema, media_type, **more))}}), ".")
    (one,) = operations(read, Noted())
    with pytest.raises(ConfigError, match=f"#/paths/~1x/post/requestBody.*{said}"):
        bodies(one, Dialect(read.version, "request", Noted()), Noted())


def test_answers_are_handed_over_by_status_range_and_default() -> None:
    answer = {"description": "", "content": {"application/json": {"schema": {"type": "integer"}}}}
    given = document(
        {"/x": {"get": {"responses": {200: answer, "4XX": answer, "204": {"description": ""}, "default": answer}}}}
    )
    read = Document(given, ".")
    (one,) = operations(read, Noted())
    assert responses(one, Dialect(read.version, "response", Noted()), Noted()) == {
        200: {"type": "integer"},
        "4XX": {"type": "integer"},
        204: {},
        "default": {"type": "integer"},
    }
