"""Bounds of numbers: exact, however long the number is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flask_rampart._native import JsonBounds, Schema, SchemaRejected

DRAFT4 = "http://json-schema.org/draft-04/schema#"


def holds(schema: dict[str, Any], value: Any) -> bool:
    return not isinstance(Schema(json.dumps(schema), JsonBounds()).judge(json.dumps(value).encode()), SchemaRejected)


def test_one_beyond_a_64_bit_bound_is_beyond_it() -> None:
    # What a BIGINT column refuses with an error of its own: OpenAPI's int64.
    schema = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
    assert holds(schema, -(2**63))
    assert holds(schema, 2**63 - 1)
    assert not holds(schema, -(2**63) - 1)
    assert not holds(schema, 2**63)
    assert not holds(schema, float(2**63))
    assert not holds({"maximum": 1e20}, 10**20 + 1)
    assert holds({"maximum": 1e20}, 10**20)


def test_in_draft_4_a_bound_is_open_by_a_word_beside_it() -> None:
    schema = {"$schema": DRAFT4, "minimum": 0, "maximum": 2**63, "exclusiveMaximum": True}
    assert holds(schema, 2**63 - 1)
    assert holds(schema, 0)
    assert not holds(schema, 2**63)
    assert holds({**schema, "exclusiveMaximum": False}, 2**63)
    assert not holds({**schema, "exclusiveMinimum": True}, 0)


def test_the_rule_that_broke_is_told_by_its_name() -> None:
    for word in ("maximum", "exclusiveMaximum"):
        told = Schema(json.dumps({"properties": {"a": {word: 1e20}}}), JsonBounds()).judge(b'{"a": 1e21}')
        assert told.errors == [("/a", word)]


NUMBERS = st.one_of(
    st.integers(-(10**40), 10**40), st.floats(allow_nan=False, allow_infinity=False), st.integers(-3, 3)
)
BOUNDS = st.one_of(st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False))


@given(NUMBERS, BOUNDS)
@example(-0.5, 0)
@example(0.5, 0.25)
@example(-0.25, -0.5)
@example(-1e-300, -0.5)
@example(10**40, 1e300)
@example(2**53 + 1, float(2**53))
def test_every_number_stands_where_python_has_it(value: float, bound: float) -> None:
    # Python compares integers and floats by their exact values. The second bound makes the comparison exact.
    far = {"anyOf": [{}, {"maximum": 1e300}]}
    assert holds({"minimum": bound, **far}, value) == (value >= bound)
    assert holds({"maximum": bound, **far}, value) == (value <= bound)
    assert holds({"exclusiveMinimum": bound, **far}, value) == (value > bound)
    assert holds({"exclusiveMaximum": bound, **far}, value) == (value < bound)
    # And no differently where it is left to the engine.
    if abs(bound) < 2**53:
        assert holds({"minimum": bound}, value) == (value >= bound)


@pytest.mark.parametrize("value", ["text", None, True, [], {}])
def test_what_is_no_number_is_beyond_no_bound(value: Any) -> None:
    assert holds({"minimum": 2**63}, value)
