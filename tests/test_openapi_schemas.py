"""JSON Schemas in an OpenAPI document: what is moved means the same there, and what cannot be moved stays whole."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from flask_rampart.openapi.schemas import Schemas

DRAFT = "http://json-schema.org/draft-0{}/schema#"
TREE = {
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["id"]}},
    "$ref": "#/$defs/node",
}


def put(*given: tuple[dict[str, Any], str]) -> tuple[dict[str, Any], list[str]]:
    """The components of these schemas, and the reference to each."""
    schemas = Schemas()
    references = [schemas.of(json.dumps(schema), name).reference()["$ref"] for schema, name in given]
    return schemas.components, references


def judge(components: dict[str, Any], reference: str) -> Any:
    return jsonschema_rs.validator_for({"$ref": reference, "components": {"schemas": components}})


def test_definitions_become_components_and_references_follow_them() -> None:
    components, (reference,) = put((TREE, "Tree"))
    assert reference == "#/components/schemas/Tree"
    assert components["Tree"] == {"$ref": "#/components/schemas/node"}
    assert components["node"]["properties"]["next"] == {"$ref": "#/components/schemas/node"}
    assert "$defs" not in json.dumps(components)


def test_the_same_definition_of_two_schemas_is_one_component() -> None:
    components, _ = put((TREE, "One"), ({**TREE, "description": "another"}, "Two"))
    assert sorted(components) == ["One", "Two", "node"]


def test_two_definitions_of_one_name_that_differ_get_names_that_differ() -> None:
    other = {"$defs": {"node": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/node"}}}
    components, references = put((TREE, "One"), (other, "Two"))
    assert components["Two"]["properties"]["a"] == {"$ref": "#/components/schemas/node_2"}
    assert judge(components, references[1]).is_valid({"a": "x"})
    assert not judge(components, references[1]).is_valid({"a": 1})


def test_two_definitions_that_read_alike_and_refer_to_what_differs_are_two() -> None:
    def schema(leaf: str) -> dict[str, Any]:
        return {
            "$defs": {"pair": {"items": {"$ref": "#/$defs/leaf"}}, "leaf": {"type": leaf}},
            "properties": {"p": {"$ref": "#/$defs/pair"}},
        }

    components, references = put((schema("string"), "One"), (schema("integer"), "Two"))
    assert judge(components, references[0]).is_valid({"p": ["x"]})
    assert not judge(components, references[1]).is_valid({"p": ["x"]})


def test_a_component_never_takes_the_name_of_a_definition_of_another_schema() -> None:
    components, references = put((TREE, "node"), ({"type": "string"}, "node"))
    assert len(set(references)) == 2
    assert judge(components, references[0]).is_valid({"id": 1, "next": {"id": 2}})
    assert not judge(components, references[0]).is_valid({"id": 1, "next": {}})
    assert judge(components, references[1]).is_valid("x")


def test_a_reference_to_the_whole_and_into_a_place_follow_it() -> None:
    schema = {
        "properties": {"a/b": {"type": "integer"}, "c": {"$ref": "#/properties/a~1b"}, "d": {"$ref": "#"}},
        "additionalProperties": False,
    }
    components, (reference,) = put((schema, "Whole"))
    found = judge(components, reference)
    assert found.is_valid({"c": 1, "d": {"d": {"c": 2}}})
    assert not found.is_valid({"d": {"d": {"c": "x"}}})


def test_a_name_of_a_definition_that_is_no_name_of_a_component_is_made_one() -> None:
    schema = {"$defs": {"a list[int]/~": {"type": "integer"}}, "items": {"$ref": "#/$defs/a%20list%5Bint%5D~1~0"}}
    components, (reference,) = put((schema, "L"))
    assert "a_list_int" in components
    assert not judge(components, reference).is_valid(["x"])


@pytest.mark.parametrize("word", ["const", "enum", "default", "examples", "x-clean"])
def test_what_only_looks_like_a_reference_is_left_alone(word: str) -> None:
    value: Any = {"$ref": "#/$defs/no"}
    schema = {"properties": {"a": {word: [value] if word in ("enum", "examples") else value}}}
    components, _ = put((schema, "S"))
    assert components["S"] == schema


def test_a_member_that_is_called_ref_is_no_reference() -> None:
    schema = {"properties": {"$ref": {"type": "string"}, "$id": {"type": "integer"}}}
    assert put((schema, "S"))[0]["S"] == schema


@pytest.mark.parametrize(
    ("draft", "schema", "good", "bad"),
    [
        (4, {"minimum": 0, "exclusiveMinimum": True}, 1, 0),
        (4, {"maximum": 3, "exclusiveMaximum": False}, 3, 4),
        (4, {"const": 1}, 2, None),
        (6, {"if": {}, "then": False}, 2, None),
        (7, {"items": [{"type": "integer"}], "additionalItems": False}, [1], [1, 2]),
        (7, {"items": {"type": "integer"}, "additionalItems": False}, [1, 2], ["x"]),
        (7, {"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}, {"a": 1, "b": 2}, {"c": 1}),
        (7, {"definitions": {"s": {"type": "string"}}, "$ref": "#/definitions/s", "maxLength": 1}, "long", 1),
        (7, {"dependentRequired": {"a": ["b"]}}, {"a": 1}, None),
        (7, {"unevaluatedProperties": False}, {"a": 1}, None),
    ],
    ids=[
        "open bound", "closed bound", "no const yet", "no if yet", "tuple", "list", "dependencies", "a lonely reference",
        "no dependentRequired yet", "no unevaluated yet",
    ],
)  # fmt: skip
def test_an_older_draft_is_said_in_the_words_of_the_newest(draft: int, schema: Any, good: Any, bad: Any) -> None:
    given = {"$schema": DRAFT.format(draft), **schema}
    components, (reference,) = put((given, "Old"))
    assert "$schema" not in components["Old"]
    for value, expected in ((good, True), (bad, bad is None)):
        assert judge(components, reference).is_valid(value) is expected
        assert jsonschema_rs.validator_for(given).is_valid(value) is expected


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"a": {"$anchor": "here", "type": "string"}}, "$ref": "#here"},
        {"$defs": {"a": {"$id": "urn:a", "type": "string"}}, "$ref": "urn:a"},
        {"$defs": {"a": {"$dynamicAnchor": "t", "type": "string"}}, "$dynamicRef": "#t"},
        {"$schema": DRAFT.format(7), "items": [{"type": "string"}], "contains": {"$ref": "#/items/0"}},
        {"$schema": "https://example.com/dialect", "type": "string"},
    ],
    ids=["an anchor", "an id inside", "a dynamic reference", "a place that moves", "another dialect"],
)
def test_what_cannot_be_moved_for_sure_is_kept_as_a_resource_of_its_own(schema: dict[str, Any]) -> None:
    components, _ = put((schema, "Whole"))
    kept = components["Whole"]
    assert kept["$id"] == "urn:rampart:schema:Whole"
    assert kept["$schema"] == schema.get("$schema", "https://json-schema.org/draft/2020-12/schema")
    assert {word: kept[word] for word in schema} == schema


def test_a_resource_that_has_an_id_keeps_it() -> None:
    schema = {"$id": "https://example.com/a", "$defs": {"b": {"$anchor": "b"}}, "$ref": "#b"}
    assert put((schema, "S"))[0]["S"]["$id"] == "https://example.com/a"


def test_a_reference_by_the_schemas_own_id_is_one_within_it() -> None:
    schema = {
        "$id": "https://example.com/a",
        "$defs": {"s": {"type": "string"}},
        "$ref": "https://example.com/a#/$defs/s",
    }
    components, (reference,) = put((schema, "S"))
    assert "$id" not in components["S"]
    assert not judge(components, reference).is_valid(1)


def test_references_in_circles_end() -> None:
    schema = {
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"properties": {"a": {"$ref": "#/$defs/a"}}}},
        "$ref": "#/$defs/a",
    }
    components, _ = put((schema, "S"))
    assert sorted(components) == ["S", "a", "b"]


def test_a_deep_schema_of_many_definitions_is_moved_in_time() -> None:
    names = [f"d{at}" for at in range(300)]
    chain = {name: {"properties": {"n": {"$ref": f"#/$defs/d{at + 1}"}}} for at, name in enumerate(names[:-1])}
    components, _ = put(({"$defs": {**chain, names[-1]: {"type": "string"}}, "$ref": "#/$defs/d0"}, "S"))
    assert len(components) == 301
