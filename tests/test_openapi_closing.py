"""Closed objects in an OpenAPI document: never more than the core refuses, and nearly always as much."""

from __future__ import annotations

import itertools
import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_rampart._native import JsonBounds, Schema, SchemaRejected
from flask_rampart.openapi.closing import closed

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
NODE = {"$ref": "#/$defs/node"}
NODES = {"node": {"properties": {"a": NODE, "b": {"items": NODE}}}}
ONE, OTHER = {"properties": {"a": {}}}, {"properties": {"b": {}}, "required": ["b"]}


def values(depth: int = 2) -> list[Any]:
    """Objects with some of the members a, b, c, and these in them and in lists."""
    found: list[Any] = [1, {}, []]
    if depth:
        inner = values(depth - 1)
        found += [{name: value} for name in "abc" for value in inner]
        found += [dict(zip("ab", pair, strict=True)) for pair in itertools.product(inner[:6], repeat=2)]
        found += [[value] for value in inner]
    return found


EXACT = {
    "a plain object": {"properties": {"a": {}}},
    "in what is in it": {"properties": {"a": {"items": ONE}, "b": {"prefixItems": [ONE], "items": OTHER}}},
    "a member that must be there and is not listed": {"properties": {"a": {}}, "required": ["b"]},
    "a member that another needs": {"properties": {"a": {}}, "dependentRequired": {"a": ["b"]}},
    "nothing is listed": {"required": ["a"]},
    "an empty list": {"properties": {}},
    "it says so itself": {"properties": {"a": {}}, "additionalProperties": ONE},
    "it is open itself": {"allOf": [ONE, {"additionalProperties": True}]},
    "patterns": {"properties": {"a": {}}, "patternProperties": {"^b": {}}},
    "what a pattern matches": {"patternProperties": {"^b": ONE}},
    "what a pattern matches, and others that are free": {"patternProperties": {"^b": ONE}, "additionalProperties": {}},
    "what a pattern matches, and others": {"patternProperties": {"^b": {}}, "additionalProperties": ONE},
    "values of a map": {"additionalProperties": ONE},
    "all of two": {"allOf": [ONE, OTHER]},
    "both speak of one member": {"allOf": [{"properties": {"a": ONE}}, {"properties": {"a": OTHER}}]},
    "one of two": {"oneOf": [{**ONE, "required": ["a"]}, OTHER]},
    "any of two": {"properties": {"c": {}}, "anyOf": [ONE, OTHER]},
    "perhaps null": {"properties": {"a": {"anyOf": [OTHER, {"type": "null"}]}}},
    "perhaps null, of two": {"anyOf": [{"type": "null"}, {"oneOf": [{**ONE, "required": ["a"]}, OTHER]}]},
    "a condition": {"if": ONE, "then": OTHER, "else": {"properties": {"c": {}}}},
    "under not": {"properties": {"a": {}}, "not": {"properties": {"a": {"properties": {"c": {}}, "required": ["c"]}}}},
    "contains": {"properties": {"a": {"contains": ONE}}},
    "a definition": {"$defs": NODES, **NODE},
    "itself": {"properties": {"a": {"$ref": "#"}, "b": {}}},
    "a definition that is extended": {"$defs": {"d": ONE}, "properties": {"a": {"$ref": "#/$defs/d"},
        "b": {"$ref": "#/$defs/d", "properties": {"b": {}}}}},
    "draft 7": {"$schema": DRAFT_7, "definitions": {"d": ONE}, "properties": {"a": {"$ref": "#/definitions/d"}, "b": {"$ref": "#/definitions/d"}}},
    "draft 7, one of two": {"$schema": DRAFT_7, "oneOf": [{**ONE, "required": ["a"]}, OTHER]},
    # Found by the test below, each in a core that told it otherwise than the document.
    "a pattern and others, of nothing": {"patternProperties": {"^b": {"properties": {}}}, "additionalProperties": {}},
    "what is left of a list": {"unevaluatedItems": {"dependentSchemas": {"a": {"properties": {"a": {}, "b": {}}}}}},
    "a tuple of draft 7": {"$schema": DRAFT_7, "properties": {"a": {"items": [ONE, OTHER], "additionalItems": ONE}}},
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_a_document_lets_through_what_the_core_lets_through(name: str) -> None:
    schema = EXACT[name]
    told = closed(schema, 7 if "$schema" in schema else 2020)
    judge = jsonschema_rs.validator_for(told)
    core = Schema(json.dumps(schema), JsonBounds(), "reject")
    for value in values():
        try:
            core.check(json.dumps(value).encode())
            expected = True
        except SchemaRejected:
            expected = False
        assert judge.is_valid(value) is expected, (value, told)


def test_closing_is_said_where_it_reads_best() -> None:
    told = closed({"$defs": NODES, "properties": {"a": NODE}}, 2020)
    assert told["$defs"]["node"]["additionalProperties"] is False
    assert told["properties"] == {"a": NODE}


def test_the_schema_of_the_app_stays_as_it_was() -> None:
    schema = {"properties": {"a": {"properties": {}}}}
    closed(schema, 2020)
    assert schema == {"properties": {"a": {"properties": {}}}}


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"d": {"$anchor": "d", **ONE}}, "$ref": "#d"},
        {"properties": {"a": {"$id": "https://a.example/s", **ONE}}},
        {"properties": {"a": {"$dynamicRef": "#d"}}, "$defs": {"d": {"$dynamicAnchor": "d"}}},
    ],
    ids=["an anchor", "a resource", "a dynamic reference"],
)
def test_a_schema_whose_references_are_more_than_pointers_is_left_alone(schema: Any) -> None:
    assert closed(schema, 2020) == schema


def test_a_schema_with_very_many_places_is_left_alone_and_in_time() -> None:
    names = [f"n{at}" for at in range(3000)]
    schema = {"properties": {name: {"properties": {"a": {}}} for name in names}}
    assert closed(schema, 2020) == schema


def subschemas() -> Any:
    name = st.sampled_from("abc")
    leaf = st.sampled_from([{}, {"type": "object"}, {"type": "integer"}, True, {"$ref": "#/$defs/d"}])

    def more(inner: Any) -> Any:
        return st.fixed_dictionaries(
            {},
            optional={
                "properties": st.dictionaries(name, inner, max_size=2),
                "required": st.lists(name, max_size=1),
                "allOf": st.lists(inner, min_size=1, max_size=2),
                "anyOf": st.lists(inner, min_size=1, max_size=2),
                "oneOf": st.lists(inner, min_size=1, max_size=2),
                "if": inner,
                "then": inner,
                "else": inner,
                "not": inner,
                "prefixItems": st.lists(inner, min_size=1, max_size=2),
                "contains": inner,
                "unevaluatedItems": inner,
                "unevaluatedProperties": st.one_of(st.booleans(), inner),
                "dependentRequired": st.dictionaries(name, st.lists(name, max_size=1), max_size=1),
                "items": inner,
                "additionalProperties": st.one_of(st.just(True), inner),
                "patternProperties": st.fixed_dictionaries({"^b": inner}),
                "dependentSchemas": st.dictionaries(name, inner, max_size=1),
            },
        )

    return st.recursive(leaf, more, max_leaves=8)


@settings(max_examples=300, deadline=None)
@given(schema=subschemas(), definition=subschemas().filter(lambda each: "$ref" not in json.dumps(each)))
def test_a_document_is_never_stricter_than_the_core(schema: Any, definition: Any) -> None:
    if not isinstance(schema, dict) or "$ref" in schema:
        schema = {"allOf": [schema]}
    whole = {**schema, "$defs": {"d": definition}}
    try:
        core = Schema(json.dumps(whole), JsonBounds(), "reject")
    except ValueError:
        return  # which the lint does not take
    judge = jsonschema_rs.validator_for(closed(whole, 2020))
    for value in values():
        if judge.is_valid(value):
            continue
        with pytest.raises(SchemaRejected):
            core.check(json.dumps(value).encode())
