"""Schemas and bodies made up at random, and what three engines say of them: ours, jsonschema-rs and jsonschema.

``python -m tests.differing --seconds 600`` looks for disagreements for as long. Where two engines disagree on purpose,
:data:`KNOWN` says why, and as narrowly as it can.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jsonschema
import jsonschema_rs

from flask_rampart._native import JsonBounds, JsonRejected, Schema, SchemaRejected

DRAFTS: dict[int, tuple[str, Any]] = {
    4: ("http://json-schema.org/draft-04/schema#", jsonschema.Draft4Validator),
    6: ("http://json-schema.org/draft-06/schema#", jsonschema.Draft6Validator),
    7: ("http://json-schema.org/draft-07/schema#", jsonschema.Draft7Validator),
    2019: ("https://json-schema.org/draft/2019-09/schema", jsonschema.Draft201909Validator),
    2020: ("https://json-schema.org/draft/2020-12/schema", jsonschema.Draft202012Validator),
}
BOUNDS = JsonBounds()
NAMES = ["a", "b", "ab", "é", ""]

# As they are written: near what a double holds, near what 64 bits hold, and one value in several spellings.
NUMBERS = [
    *("0", "-0", "-0.0", "0.0", "0e5", "1", "1.0", "1e0", "10e-1", "-1", "2", "3", "4.5", "0.1", "0.3", "1.1", "19.99"),
    *("1e2", "100", "1E+2", "7.5e-3", "1e-7", "1e-400", "1e308", "-1e308", "1.7976931348623157e308", "5e-324"),
    *("9007199254740991", "9007199254740992", "9007199254740993", "9007199254740992.0", "9007199254740993.0"),
    *("-9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775809"),
    *("18446744073709551615", "18446744073709551616", "18446744073709551616.0", "1" + "0" * 40, "1e40"),
    "1e400",
]
# Of a schema: within 64 bits, since others are refused there.
BOUND_NUMBERS = [
    text
    for text in NUMBERS
    if text != "1e400" and not (text.lstrip("-").isdigit() and not -(2**63) <= int(text) < 2**64)
]
STRINGS = [
    *(
        "",
        "a",
        "ab",
        "abc",
        "aab",
        "b",
        "1",
        "true",
        "null",
        "é",
        "e\u0301",
        "\U0001f600",
        "a\U0001d4b3",
        "\U0001f600" * 3,
    ),
    *(
        "\u200b",
        "\x7f",
        "A",
        "a b",
        "2026-02-28",
        "2026-02-30",
        "12:00:00Z",
        "2026-02-28T12:00:00Z",
        "::1",
        "127.0.0.1",
    ),
    *("a@b.example", "https://a.example/b?c#d", "/a/0", "xn--a", "00000000-0000-4000-8000-000000000000", "P1D"),
]
PATTERNS = ["a", "^a", "a$", "^a*$", "^(?:a|b)+$", "[^a]", "^.{2}$", "^[a-z]{1,3}$", "b?", "^$", "^[0-9]+$", "é"]
FORMATS = ["date", "date-time", "time", "email", "ipv4", "ipv6", "uri", "hostname", "regex", "json-pointer", "uuid"]
TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"]


def text_of(value: Any) -> str:
    """JSON of a value whose numbers are :class:`Written`."""
    if isinstance(value, Written):
        return value.text
    if isinstance(value, list):
        return f"[{','.join(map(text_of, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{text_of(inner)}" for name, inner in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


class Written(NamedTuple):
    """A number as it is written."""

    text: str


def a_value(rng: random.Random, numbers: list[str], depth: int = 3) -> Any:
    kind = rng.randrange(5 if depth else 3)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind == 1:
        return Written(rng.choice(numbers))
    if kind == 2:
        return rng.choice(STRINGS)
    if kind == 3:
        return [a_value(rng, numbers, depth - 1) for _ in range(rng.randrange(4))]
    return {name: a_value(rng, numbers, depth - 1) for name in some(rng, NAMES, 0, 3)}


def some(rng: random.Random, choices: list[str], least: int, most: int) -> list[str]:
    return rng.sample(choices, rng.randint(least, most))


def even(rng: random.Random) -> bool:
    return rng.random() < 0.5


def document(rng: random.Random) -> tuple[int, dict[str, Any]]:
    """A draft, and a schema of it with definitions that its references lead to."""
    draft = rng.choice(sorted(DRAFTS))
    schema = schema_of(rng, draft, 3)
    named = "$defs" if draft >= 2019 else "definitions"
    inner = {name: schema_of(rng, draft, 1) for name in ("x", "y")}
    made = {"$schema": DRAFTS[draft][0], **(schema if isinstance(schema, dict) else {"not": {}})}
    if "$ref" in made and draft < 2019:
        made = {"$schema": DRAFTS[draft][0], "allOf": [{"$ref": made["$ref"]}]}
    return draft, {**made, named: inner}


def schema_of(rng: random.Random, draft: int, depth: int) -> Any:
    if draft > 4 and rng.randint(0, 19) == 0:
        return even(rng)
    themes = [NUMERIC, TEXTUAL, *([LISTED, MEMBERED, COMBINED] if depth else [])]
    made: dict[str, Any] = {}
    theme = rng.choice(themes)
    if depth and rng.randint(0, 7) == 0:
        named = "$defs" if draft >= 2019 else "definitions"
        made["$ref"] = f"#/{named}/{rng.choice('xy')}"
        if draft < 2019:
            return made
    if even(rng) and theme is not COMBINED:
        kinds = some(rng, TYPES, 1, 2)
        kinds = [*kinds, *({*THEME_TYPES[theme][:1]} - set(kinds))]
        made["type"] = kinds[-1] if even(rng) else kinds
    for _ in range(rng.randint(1, 3)):
        made.update(theme(rng, draft, depth))
    if rng.randint(0, 9) == 0 and theme is not COMBINED:
        made.update(COMBINED(rng, draft, max(depth, 1)))
    return made


def NUMERIC(rng: random.Random, draft: int, depth: int) -> dict[str, Any]:
    number = Written(rng.choice(BOUND_NUMBERS))
    word = rng.choice(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "enum"])
    if word == "enum":
        return _listed(rng, draft)
    if word == "multipleOf":
        return {word: Written(rng.choice(["1", "2", "0.1", "0.01", "1.5", "3", "1e-7", "1e2", "7"]))}
    if draft == 4 and word.startswith("exclusive"):
        return {word[9:].lower(): number, word: True}
    return {word: number}


def TEXTUAL(rng: random.Random, draft: int, depth: int) -> dict[str, Any]:
    word = rng.choice(["minLength", "maxLength", "pattern", "format", "enum"])
    if word == "enum":
        return _listed(rng, draft)
    if word == "pattern":
        return {word: rng.choice(PATTERNS)}
    if word == "format":
        return {word: rng.choice([name for name in FORMATS if draft >= 2019 or name != "uuid"])} if (draft >= 6) else {}
    return {word: rng.randint(0, 4)}


def _listed(rng: random.Random, draft: int) -> dict[str, Any]:
    if draft > 4 and even(rng):
        return {"const": a_value(rng, BOUND_NUMBERS, 2)}
    unique: dict[str, Any] = {}
    for value in [a_value(rng, BOUND_NUMBERS, 2) for _ in range(rng.randint(1, 3))]:
        # The meta-schema of draft 4 and 6 wants them different, by value.
        unique.setdefault(repr(_plain(value)), value)
    return {"enum": list(unique.values())}


def _plain(value: Any) -> Any:
    if isinstance(value, Written):
        return float(value.text)
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return sorted((name, repr(_plain(one))) for name, one in value.items())
    return value


def LISTED(rng: random.Random, draft: int, depth: int) -> dict[str, Any]:
    def inner() -> Any:
        return schema_of(rng, draft, depth - 1)

    words = ["items", "tuple", "minItems", "maxItems", "uniqueItems"]
    words += ["contains"] if draft >= 6 else []
    words += ["counted", "unevaluatedItems"] if draft >= 2019 else []
    word = rng.choice(words)
    if word in ("minItems", "maxItems"):
        return {word: rng.randint(0, 3)}
    if word == "uniqueItems":
        return {word: rng.choice([True, True, False])}
    if word == "counted":
        return {"contains": inner(), rng.choice(["minContains", "maxContains"]): rng.randint(0, 2)}
    if word == "tuple":
        tuple_ = [inner() for _ in range(rng.randint(1, 2))]
        rest = inner() if even(rng) else None
        names = ("prefixItems", "items") if draft >= 2020 else ("items", "additionalItems")
        return {names[0]: tuple_} | ({names[1]: rest} if rest is not None else {})
    return {word: inner()}


def MEMBERED(rng: random.Random, draft: int, depth: int) -> dict[str, Any]:
    def inner() -> Any:
        return schema_of(rng, draft, depth - 1)

    words = ["properties", "properties", "patternProperties", "additionalProperties", "required", "minProperties"]
    words += ["maxProperties", "dependencies" if draft < 2019 else "dependentRequired"]
    words += ["propertyNames"] if draft >= 6 else []
    words += ["unevaluatedProperties", "dependentSchemas"] if draft >= 2019 else []
    word = rng.choice(words)
    if word in ("properties", "dependentSchemas"):
        return {word: {name: inner() for name in some(rng, NAMES, 1, 2)}}
    if word == "patternProperties":
        return {word: {rng.choice(PATTERNS): inner()}}
    if word == "required":
        return {word: some(rng, NAMES, 1, 2)}
    if word in ("minProperties", "maxProperties"):
        return {word: rng.randint(0, 3)}
    if word == "dependentRequired":
        return {word: {rng.choice(NAMES): some(rng, NAMES, 1, 2)}}
    if word == "dependencies":
        return {word: {rng.choice(NAMES): inner() if even(rng) else some(rng, NAMES, 1, 2)}}
    return {word: inner()}


def COMBINED(rng: random.Random, draft: int, depth: int) -> dict[str, Any]:
    def inner() -> Any:
        return schema_of(rng, draft, depth - 1)

    words = ["allOf", "anyOf", "oneOf", "not"] + (["if"] if draft >= 7 else [])
    word = rng.choice(words)
    if word == "not":
        return {word: inner()}
    if word == "if":
        return {
            "if": inner(),
            **{name: inner() for name in rng.choice([["then"], ["else"], ["then", "else"]])},
        }
    return {word: [inner() for _ in range(rng.randint(1, 3))]}


THEME_TYPES: dict[Any, tuple[str, ...]] = {
    NUMERIC: ("number",),
    TEXTUAL: ("string",),
    LISTED: ("array",),
    MEMBERED: ("object",),
}


class Known(NamedTuple):
    """A disagreement that is meant."""

    peer: str
    applies: Callable[[Any, str, Any], bool]
    because: str


def words_of(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every member of every object of a schema."""
    if isinstance(schema, dict):
        for word, inner in schema.items():
            yield word, inner
            yield from words_of(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from words_of(inner)


def _is_divided_by_floats(schema: Any, body: str, value: Any) -> bool:
    divisors = [inner for word, inner in words_of(schema) if word == "multipleOf"]
    return any(isinstance(divisor, float) for divisor in divisors) or (bool(divisors) and _has_float(value))


def _has_float(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_float, value.values()))
    return any(map(_has_float, value)) if isinstance(value, list) else isinstance(value, float)


def _is_beside_additional(schema: Any, body: str, value: Any) -> bool:
    named = {word for word, _ in words_of(schema)}
    return "2019-09" in schema["$schema"] and {"additionalProperties", "unevaluatedProperties"} <= named


def _is_beyond_64_bits(schema: Any, body: str, value: Any) -> bool:
    bounds = [inner for word, inner in words_of(schema) if word.lower().endswith(("maximum", "minimum"))]
    return any(isinstance(bound, float) and abs(bound) >= 2**63 for bound in bounds) and _has_long_integer(value)


def _has_long_integer(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_long_integer, value.values()))
    if isinstance(value, list):
        return any(map(_has_long_integer, value))
    return isinstance(value, int) and abs(value) >= 2**63


KNOWN: list[Known] = [
    Known("jsonschema", _is_divided_by_floats, "it divides doubles; we divide the decimals that were written"),
    Known("jsonschema", _is_beside_additional, "in 2019-09 it forgets what additionalProperties has looked at"),
    Known(
        "jsonschema-rs",
        _is_beyond_64_bits,
        "beyond 64 bits it takes a double for its shortest decimal; we compare with the double itself",
    ),
]


class Verdicts(NamedTuple):
    ours: bool
    rs: bool
    python: bool | None


def judge(draft: int, schema: str, bodies: list[str]) -> Iterator[tuple[str, Verdicts]]:
    """What each engine says of each body; nothing if the schema is refused on purpose, or the body by our parser."""
    try:
        ours = Schema(schema, BOUNDS)
    except ValueError:
        return
    parsed = json.loads(schema)
    rs = jsonschema_rs.validator_for(
        parsed, validate_formats=True, ignore_unknown_formats=False, pattern_options=jsonschema_rs.RegexOptions()
    )
    # Its formats are those of libraries that may be installed or not.
    python = None if any(word == "format" for word, _ in words_of(parsed)) else DRAFTS[draft][1](parsed)
    for body in bodies:
        try:
            ours.check(body.encode())
            verdict = True
        except SchemaRejected:
            verdict = False
        except JsonRejected as rejected:
            if rejected.code != "json.non_finite" or "1e400" not in body:
                raise
            continue
        value = json.loads(body)
        yield body, Verdicts(verdict, rs.is_valid(value), _said(python, value))


def _said(python: Any, value: Any) -> bool | None:
    try:
        return python.is_valid(value) if python is not None else None
    except (TypeError, OverflowError):
        # Its own faults: `"items": false` beside `unevaluatedItems` in draft 2019-09, an infinite quotient.
        return None


def disagreements(draft: int, schema: str, bodies: list[str]) -> list[str]:
    """Those that are not known."""
    found = []
    for body, verdicts in judge(draft, schema, bodies):
        for peer, said in (("jsonschema-rs", verdicts.rs), ("jsonschema", verdicts.python)):
            if said is None or said == verdicts.ours:
                continue
            if not any(one.peer == peer and one.applies(json.loads(schema), body, json.loads(body)) for one in KNOWN):
                found.append(f"{peer} says {said}, we say {verdicts.ours}: {body} under {schema}")
    return found


def bodies_for(rng: random.Random, schema: Any) -> list[str]:
    """Some at random, and some of what the schema itself names."""
    named = [inner for word, inner in words_of(schema) if word in ("const", "default")]
    named += [one for word, inner in words_of(schema) if word == "enum" for one in inner]
    named += [inner for word, inner in words_of(schema) if isinstance(inner, Written)]
    made = [a_value(rng, NUMBERS) for _ in range(8)]
    made += [rng.choice(named) for _ in range(2) if named]
    return [text_of(body) for body in [*made, [made[0], *made[1:3]], {name: rng.choice(made) for name in NAMES[:3]}]]


def example(rng: random.Random) -> tuple[int, str, list[str]]:
    draft, schema = document(rng)
    return draft, text_of(schema), bodies_for(rng, schema)


def main() -> None:
    parser = argparse.ArgumentParser(description="Looks for disagreements between three engines of JSON Schema.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    arguments = parser.parse_args()
    end = time.monotonic() + arguments.seconds
    number, verdicts, seen = arguments.seed, 0, 0
    while time.monotonic() < end:
        draft, schema, bodies = example(random.Random(number))
        verdicts += sum(1 for _ in judge(draft, schema, bodies))
        for found in disagreements(draft, schema, bodies):
            seen += 1
            print(f"seed {number}: {found}", flush=True)
        number += 1
    print(f"{number - arguments.seed} schemas, {verdicts} verdicts, {seen} disagreements", flush=True)


if __name__ == "__main__":
    main()
