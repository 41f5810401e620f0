"""The JSON Schema Test Suite, all five drafts, through our own parser, lint and engine.

Each case runs as a body would: the data is written as JSON and read back by :class:`Schema`. What we refuse on purpose when a
schema is registered is listed by name with its reason, and so are the cases where we judge otherwise on purpose. Both lists
are exact: a case that is not listed must pass, and one that is listed must not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from flask_rampart._native import JsonBounds, Schema, SchemaRejected

SUITE = Path(__file__).parent / "vectors" / "jsonschema"
DRAFTS = {
    "4": "http://json-schema.org/draft-04/schema#",
    "6": "http://json-schema.org/draft-06/schema#",
    "7": "http://json-schema.org/draft-07/schema#",
    "2019-09": "https://json-schema.org/draft/2019-09/schema",
    "2020-12": "https://json-schema.org/draft/2020-12/schema",
}
BOUNDS = JsonBounds()


class Group(NamedTuple):
    name: str
    schema: Any
    cases: list[tuple[str, Any, bool]]


def groups() -> dict[tuple[str, str], list[Group]]:
    """By draft and file."""
    found: dict[tuple[str, str], list[Group]] = {}
    for draft, dialect in DRAFTS.items():
        for line in (SUITE / f"draft{draft}.jsonl").read_text(encoding="ascii").splitlines():
            file, name, schema, cases = json.loads(line)
            if isinstance(schema, dict):
                schema = {"$schema": dialect, **schema}
            found.setdefault((draft, file), []).append(Group(name, schema, cases))
    return found


GROUPS = groups()

# What we refuse, by what the developer is told of it.
REASONS = {
    "remote": "cannot be followed",  # it is in another document, and nothing is ever fetched
    "meta": "leaves the schema",  # the same, of the meta-schema, which the engine has at hand
    "format": "is not known and so would not be checked",  # in every draft; those of IDNA need tables that we do without
    "alone": "checks nothing without",  # `then` without `if`
    "sibling": "ignores beside",  # beside `$ref`, where it would not count
    "newer": "a keyword of a newer",  # than the draft has
    "default": "is not what its schema says",  # it would be put in, and a view would get what the schema forbids
    "multiplies": "more than one way",  # recursion whose cost grows faster than the body
    "rounded": "beyond 64 bits",  # a number of the schema's that a double would not hold
    "dialect": "which is not understood",  # a meta-schema of one's own
}
REFUSED = {
    "meta": """
        4 6 7 | definitions | validate definition against metaschema
        4 6 7 2019-09 2020-12 | ref | remote ref, containing refs itself
        2019-09 2020-12 | defs | validate definition against metaschema
    """,
    "rounded": """
        4 6 7 2019-09 2020-12 | optional/bignum | minimum integer comparison
    """,
    "format": """
        4 6 7 2019-09 2020-12 | optional/format/unknown | unknown format
        7 2019-09 2020-12 | format | idn-email format
        7 2019-09 2020-12 | format | idn-hostname format
        7 2019-09 2020-12 | optional/format/idn-email | validation of an internationalized e-mail addresses
        7 2019-09 2020-12 | optional/format/idn-hostname | validation of internationalized host names
        7 2019-09 2020-12 | optional/format/idn-hostname | validation of separators in internationalized host names
    """,
    "default": """
        4 6 7 2019-09 2020-12 | default | invalid type for default
        4 6 7 2019-09 2020-12 | default | invalid string value for default
        4 6 7 2019-09 2020-12 | default | the default keyword does not do anything if the property is missing
    """,
    "newer": """
        4 | optional/id | id inside an enum is not a real identifier
    """,
    "sibling": """
        4 6 7 | ref | ref overrides any sibling keywords
    """,
    "remote": """
        4 6 7 2019-09 2020-12 | refRemote | remote ref
        4 6 7 2019-09 2020-12 | refRemote | fragment within remote ref
        4 6 7 2019-09 2020-12 | refRemote | ref within remote ref
        4 6 7 2019-09 2020-12 | refRemote | base URI change
        4 6 7 2019-09 2020-12 | refRemote | base URI change - change folder
        4 6 7 2019-09 2020-12 | refRemote | base URI change - change folder in subschema
        4 6 7 2019-09 2020-12 | refRemote | root ref in remote ref
        4 6 7 2019-09 2020-12 | refRemote | Location-independent identifier in remote ref
        6 7 | refRemote | remote ref with ref to definitions
        6 7 2019-09 2020-12 | refRemote | retrieved nested refs resolve relative to their URI not $id
        6 7 | refRemote | $ref to $ref finds location-independent $id
        7 2019-09 | optional/cross-draft | refs to future drafts are processed as future drafts
        2019-09 2020-12 | optional/cross-draft | refs to historic drafts are processed as historic drafts
        2019-09 2020-12 | refRemote | anchor within remote ref
        2019-09 2020-12 | refRemote | remote ref with ref to defs
        2019-09 2020-12 | refRemote | remote HTTP ref with different $id
        2019-09 2020-12 | refRemote | remote HTTP ref with different URN $id
        2019-09 2020-12 | refRemote | remote HTTP ref with nested absolute ref
        2019-09 2020-12 | refRemote | $ref to $ref finds detached $anchor
        2020-12 | dynamicRef | strict-tree schema, guards against misspelled properties
        2020-12 | dynamicRef | tests for implementation dynamic anchor and reference link
        2020-12 | dynamicRef | $ref and $dynamicAnchor are independent of order - $defs first
        2020-12 | dynamicRef | $ref and $dynamicAnchor are independent of order - $ref first
        2020-12 | dynamicRef | $ref to $dynamicRef finds detached $dynamicAnchor
    """,
    "alone": """
        7 2019-09 2020-12 | if-then-else | ignore then without if
        7 2019-09 2020-12 | if-then-else | ignore else without if
        7 2019-09 2020-12 | if-then-else | non-interference across combined schemas
        7 2019-09 2020-12 | ref | ref to then
        7 2019-09 2020-12 | ref | ref to else
        2019-09 2020-12 | maxContains | maxContains without contains is ignored
        2019-09 2020-12 | minContains | minContains without contains is ignored
    """,
    "multiplies": """
        2019-09 | recursiveRef | $recursiveRef with nesting
        2019-09 | recursiveRef | multiple dynamic paths to the $recursiveRef keyword
        2019-09 | recursiveRef | dynamic $recursiveRef destination (not predictable at schema compile time)
        2019-09 | unevaluatedItems | unevaluatedItems with $recursiveRef
        2019-09 | unevaluatedProperties | unevaluatedProperties with $recursiveRef
    """,
    "dialect": """
        2019-09 2020-12 | vocabulary | schema that uses custom metaschema with with no validation vocabulary
        2019-09 2020-12 | vocabulary | ignore unrecognized optional vocabulary
        2020-12 | optional/format-assertion | schema that uses custom metaschema with format-assertion: false
        2020-12 | optional/format-assertion | schema that uses custom metaschema with format-assertion: true
    """,
}

# `format` is asserted in every draft, where the suite has it as an annotation.
OTHERWISE = {
    ("2020-12", "format", f"{name} format", f"invalid {name} string is only an annotation by default")
    for name in [
        "email",
        "regex",
        "ipv4",
        "ipv6",
        "hostname",
        "date",
        "date-time",
        "time",
        "json-pointer",
        "relative-json-pointer",
        "iri",
        "iri-reference",
        "uri",
        "uri-reference",
        "uri-template",
        "uuid",
        "duration",
    ]
}


def refused() -> dict[tuple[str, str, str], str]:
    found = {}
    for reason, lines in REFUSED.items():
        for line in lines.strip().splitlines():
            drafts, file, name = line.strip().split(" | ")
            found.update({(draft, file, name): reason for draft in drafts.split()})
    return found


LISTED = refused()


def without_defaults(schema: Any) -> Any:
    """The schema of a group that has no member called so."""
    if isinstance(schema, dict):
        return {word: without_defaults(value) for word, value in schema.items() if word != "default"}
    return schema


@pytest.mark.parametrize(("draft", "file"), GROUPS, ids=[f"{draft}:{file}" for draft, file in GROUPS])
def test_every_case_is_judged_as_the_suite_says_or_is_listed(draft: str, file: str) -> None:
    wrong = []
    for name, schema, cases in GROUPS[draft, file]:
        try:
            checker = Schema(json.dumps(schema), BOUNDS)
        except ValueError as error:
            reason = LISTED.get((draft, file, name))
            if reason is None or REASONS[reason] not in str(error):
                wrong.append((name, str(error)))
            if reason != "default":
                continue
            # The default is what was refused; the rest is judged.
            checker = Schema(json.dumps(without_defaults(schema)), BOUNDS)
        else:
            if (draft, file, name) in LISTED:
                wrong.append((name, "is listed as refused, and is not"))
        for case, data, valid in cases:
            try:
                checker.check(json.dumps(data).encode())
                got = True
            except SchemaRejected:
                got = False
            if (got != valid) != ((draft, file, name, case) in OTHERWISE):
                wrong.append((f"{name}: {case}", f"{valid} expected, {got} found"))
    assert wrong == []


def test_what_is_listed_is_in_the_suite() -> None:
    names = {(draft, file, group.name) for (draft, file), all_ in GROUPS.items() for group in all_}
    assert set(LISTED) <= names
    assert {one[:3] for one in OTHERWISE} <= names


def test_nearly_all_of_the_suite_is_judged() -> None:
    cases = {(key, group.name): len(group.cases) for key, all_ in GROUPS.items() for group in all_}
    left_out = sum(
        len(group.cases)
        for key, all_ in GROUPS.items()
        for group in all_
        if LISTED.get((*key, group.name), "default") != "default"
    )
    assert len(cases) >= 1_600
    judged = sum(len(group.cases) for all_ in GROUPS.values() for group in all_) - left_out - len(OTHERWISE)
    assert judged >= 6_680
