"""JSON Schemas that a library has made of its models, as the native core judges by them; and places in what it judges.

The core judges first, the model after it. So what the core cannot take is left out of a generated schema, in this
order, and the model judges it alone:

1. what only tells (titles, examples), and defaults: the model gives them itself;
2. formats that the core does not know, and those that libraries read more widely than RFC 3339 writes them: a
   ``datetime`` without an offset, a duration as a clock shows it;
3. patterns with look-around, which no linear-time engine matches;
4. numbers beyond 64 bits, and what JSON does not have (infinity, a date in an ``enum``).

What may be null is written as a type, so that an error is told by the rule that broke, and not as ``anyOf``.

It does not touch a schema that a developer wrote.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .._native import JsonBounds, Schema
from ..errors import ConfigError

Errors = list[tuple[str, str]]
"""What is wrong with a value: (JSON Pointer, rule), never empty where something is."""

EXACT = "x-rampart-exact"
"""Marks what is a number to JSON and must come out of a text without passing through a binary one: a decimal."""


def judged(schema: Mapping[str, Any], *, text: bool = False, closed: bool = False) -> dict[str, Any]:
    """A generated schema as the core takes it.

    :param text: of a part of a request that is text: a decimal stays text there, a tuple is a list.
    :param closed: whether objects that name their members and say nothing of others refuse these.
    :raises ConfigError: if it says what a text cannot be.

    >>> judged({"title": "Name", "type": "string", "format": "secret", "default": "x"})
    {'type': 'string'}
    >>> judged({"properties": {"default": {"type": "integer"}}}, closed=True)
    {'properties': {'default': {'type': 'integer'}}, 'additionalProperties': False}
    """

    def walk(given: Any, close: bool) -> Any:
        if not isinstance(given, Mapping):
            return given
        if text and given.get(EXACT):
            return {"type": "string"}
        made: dict[str, Any] = {}
        for word, value in given.items():
            if word in _TELLING or word.startswith("x-rampart-"):
                continue
            if word in _ONE:
                made[word] = walk(value, close)
            elif word in _SEVERAL and isinstance(value, (list, tuple)):
                # Branches of allOf judge one object together: each of them knows its own members alone.
                made[word] = [walk(one, close and word != "allOf") for one in value]
            elif word in _NAMED and isinstance(value, Mapping):
                made[word] = {name: walk(one, close) for name, one in value.items()}
            elif word == "format":
                made |= {word: value} if value not in _WIDE and _is_taken(word, value) else {}
            elif word == "pattern":
                made |= {word: value} if _is_taken(word, value) else {}
            elif _is_json(value):
                made[word] = value
        patterns = made.get("patternProperties", {})
        if not all(_is_taken("pattern", pattern) for pattern in patterns):
            # The names are the model's to judge; the values stay judged if all are of one kind.
            others = [of for pattern, of in patterns.items() if not _is_taken("pattern", pattern)]
            del made["patternProperties"]
            made["additionalProperties"] = others[0] if len(patterns) == 1 else True
        if len(made.get("anyOf", ())) == 2 and {"type": "null"} in made["anyOf"]:
            _nullable(made)
        if text and "prefixItems" in made:
            _one_kind(made)
        if close and "properties" in made and not made.keys() & _SPEAKS:
            made["additionalProperties"] = False
        return made

    found: dict[str, Any] = walk(schema, closed)
    return found


def _nullable(schema: dict[str, Any]) -> None:
    """What may be null says so in its type, where that is all there is to it: its own rule is told if it breaks."""
    one: dict[str, Any] = next((one for one in schema["anyOf"] if one != {"type": "null"}), {})
    if isinstance(one.get("type"), str) and not one.keys() & (_TIED | schema.keys()):
        del schema["anyOf"]
        schema.update(one, type=[one["type"], "null"])


def _one_kind(schema: dict[str, Any]) -> None:
    """A tuple in a text is a list, whose items are all read as one kind."""
    kinds = schema["prefixItems"]
    if any(kind != kinds[0] for kind in kinds):
        raise ConfigError("a tuple of several types cannot be read from texts; write a list, or a field for each.")
    schema["items"] = kinds[0]
    del schema["prefixItems"]


def names_of(schema: Any) -> frozenset[str]:
    """Every name that a schema gives to a member: what may be told of a place."""
    found: set[str] = set()
    open_ = [schema]
    while open_:
        here = open_.pop()
        if isinstance(here, Mapping):
            properties = here.get("properties")
            found.update(properties if isinstance(properties, Mapping) else ())
            open_.extend(here.values())
        elif isinstance(here, list):
            open_.extend(here)
    return frozenset(found)


def pointer(path: Iterable[Any], value: Any, names: frozenset[str]) -> str:
    """As much of a *path* into *value* as the model could have written itself, as a JSON Pointer (RFC 6901).

    What names no place, such as the branch of a union, is left out; a name that only the peer knows ends it.

    >>> pointer(("pets", 0, "Cat", "name"), {"pets": [{"name": 1}]}, frozenset({"pets", "name"}))
    '/pets/0/name'
    >>> pointer(("labels", "hunter2"), {"labels": {"hunter2": 1}}, frozenset({"labels"}))
    '/labels'
    """
    told, here = "", value
    for step in path:
        if isinstance(here, list) and type(step) is int and 0 <= step < len(here):
            told, here = f"{told}/{step}", here[step]
        elif isinstance(here, dict) and step in here:
            if step not in names:
                break
            told, here = member(told, step), here[step]
    return told


def member(place: str, name: str) -> str:
    """The place of a member."""
    return f"{place}/{name.replace('~', '~0').replace('/', '~1')}"


def bounded(errors: Iterable[tuple[str, str]]) -> Errors:
    """Each error once, and as many as are told."""
    found: dict[tuple[str, str], None] = {}
    for error in errors:
        found[error] = None
        if len(found) == MOST:
            break
    return list(found)


def rule(name: str) -> str:
    """A rule's name as it is told: what a library or a validator of the app calls it, if that is a plain word.

    >>> rule("value_error"), rule("not 'hunter2'")
    ('value_error', 'model')
    """
    return name if _WORD.fullmatch(name) else MODEL


Make = Callable[[Any], tuple[Any, Errors]]
"""Makes the model's instance of a value; or says what is wrong with it."""

MODEL = "model"
"""The rule of what a model refuses without a name for it."""

MOST = 20
"""Most errors that are told of one request."""


@functools.lru_cache(512)
def _is_taken(word: str, value: Any) -> bool:
    """Whether the core takes a format or pattern."""
    try:
        Schema(json.dumps({word: value}), _BOUNDS)
    except ValueError:
        return False
    return True


def _is_json(value: Any) -> bool:
    """Whether it is JSON, with numbers that the core reads exactly."""
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _is_json(one) for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_json, value))
    if type(value) is int:
        return -(2**63) <= value < 2**64
    if type(value) is float:
        return value - value == 0
    return value is None or type(value) in (str, bool)


_BOUNDS = JsonBounds()
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_WIDE = frozenset(("date-time", "time", "duration"))
_TELLING = frozenset(
    ("title", "description", "default", "example", "examples", "deprecated", "discriminator", "$comment")
)
_ONE = frozenset(
    (
        *("items", "contains", "unevaluatedItems", "additionalProperties", "unevaluatedProperties", "propertyNames"),
        *("not", "if", "then", "else"),
    )
)
_SEVERAL = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
_NAMED = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))
_TIED = frozenset(("enum", "const", "$ref", "anyOf", "oneOf", "allOf", "not", "if"))
"""What null would have to pass as well, beside a type that it has."""
_SPEAKS = frozenset(("additionalProperties", "unevaluatedProperties", "patternProperties"))
