"""Our judgement of random bodies under random schemas, beside jsonschema-rs's and jsonschema's.

A modest number here, the same each time; ``python -m tests.differing`` searches on. What is made up, and which disagreements
are meant, is in ``differing.py``.
"""

from __future__ import annotations

import json

import pytest

from tests.differing import DRAFTS, KNOWN, disagreements, judge, search


@pytest.mark.parametrize("number", range(4))
def test_no_engine_disagrees_with_us_without_a_reason(number: int) -> None:
    counted = [0, 0]
    assert search(number, 60, counted=counted) is None
    # It compares something: most schemas are ones that we take.
    assert counted[0] >= 60 and counted[1] >= 60


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


def test_each_known_disagreement_is_still_one() -> None:
    examples = {
        "it divides doubles; we divide the decimals that were written": (
            2020,
            '{"multipleOf": 0.01}',
            "19.99",
            "jsonschema",
        ),
    }
    assert set(examples) == {one.because for one in KNOWN}
    for draft, schema, body, peer in examples.values():
        ((_, verdicts),) = judge(draft, schema, [body])
        assert verdicts.ours != (verdicts.python if peer == "jsonschema" else verdicts.rs)
