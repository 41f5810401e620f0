"""Our judgement of random bodies under random schemas, beside jsonschema-rs's and jsonschema's.

A modest number here, the same each time; ``python -m tests.differing`` searches on. What is made up, and which disagreements
are meant, is in ``differing.py``.
"""

from __future__ import annotations

import json
import operator
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_rampart._native import JsonBounds, Schema, SchemaRejected
from tests.differing import BOUND_NUMBERS, DRAFTS, KNOWN, NUMBERS, disagreements, example, judge


@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(st.randoms(use_true_random=False))
def test_no_engine_disagrees_with_us_without_a_reason(rng: random.Random) -> None:
    assert disagreements(*example(rng)) == []


def test_what_is_made_up_is_judged_and_both_ways() -> None:
    verdicts = [verdicts.ours for number in range(60) for _, verdicts in judge(*example(random.Random(number)))]
    assert len(verdicts) > 300
    assert 0.1 < sum(verdicts) / len(verdicts) < 0.9


@pytest.mark.parametrize("draft", sorted(DRAFTS))
def test_what_is_near_an_edge_is_judged_alike(draft: int) -> None:
    edges = [
        "9007199254740992",
        "9007199254740993",
        "9007199254740993.0",
        "18446744073709551616",
        "1e400",
        "-0.0",
        "1.0",
    ]
    bodies = [*edges, "1", "true", "[1, 1.0]", "[1, true]", "[0, false]", "[[1], [1.0]]", '[{"a": 1}, {"a": true}]']
    bodies += ['"\U0001f600"', '"\U0001f600\U0001f600"', '"e\u0301"', '["a", "a"]', "[null, false, 0]"]
    for schema in (
        {"maximum": 9007199254740992},
        {"maximum": 9007199254740992.0},
        {"minimum": 9007199254740993},
        {"maximum": 1e308},
        {"type": "integer"},
        {"uniqueItems": True},
        {"enum": [1]},
        {"enum": [[1]]},
        {"enum": [True, [False]]},
        {"enum": [9007199254740993]},
        {"maxLength": 1},
        {"minLength": 2},
        {"pattern": "^.$"},
    ):
        text = json.dumps({"$schema": DRAFTS[draft][0], **schema})
        assert len(list(judge(draft, text, bodies))) == len(bodies) - 1  # without the number that is not finite
        assert disagreements(draft, text, bodies) == []


@pytest.mark.parametrize("word", ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"])
def test_bounds_are_compared_exactly(word: str) -> None:
    # As Python compares integers with doubles: by what they are, and not by the double that an integer is nearest to.
    holds = {
        "minimum": operator.ge,
        "maximum": operator.le,
        "exclusiveMinimum": operator.gt,
        "exclusiveMaximum": operator.lt,
    }
    wrong = []
    for bound in BOUND_NUMBERS:
        schema = Schema(f'{{"{word}": {bound}}}', JsonBounds())
        for number in NUMBERS[:-1]:
            read = json.loads(number)
            expected = holds[word](read, json.loads(bound))
            if isinstance(schema.judge(number.encode()), SchemaRejected) == expected:
                wrong.append((number, bound))
    assert wrong == []


def test_each_known_disagreement_is_still_one() -> None:
    long = 18446744073709551616
    examples = [
        ("jsonschema", 2020, {"multipleOf": 0.01}, "19.99"),
        ("jsonschema", 2019, {"additionalProperties": {"minimum": 0}, "unevaluatedProperties": False}, '{"a": 1}'),
        ("jsonschema-rs", 2020, {"exclusiveMaximum": float(long)}, f"{long}"),
    ]
    assert len(examples) == len(KNOWN)
    for known, (peer, draft, schema, body) in zip(KNOWN, examples, strict=True):
        text = json.dumps({"$schema": DRAFTS[draft][0], **schema})
        ((_, verdicts),) = judge(draft, text, [body])
        assert peer == known.peer
        assert verdicts.ours != (verdicts.python if peer == "jsonschema" else verdicts.rs)
        assert disagreements(draft, text, [body]) == []
