"""Models in the document: the schemas that their libraries make of them, without what is nobody's business outside.

1. What the core marks for itself is taken out, and what JSON does not have: a default that is infinite.
2. Where two classes are called alike, libraries tell them apart by their modules' names. Here they are numbered.
3. A model that is nothing but a reference to its only definition is that definition.
"""

from __future__ import annotations

import json
import math
import typing
from typing import Any

from ..validation import json_schema
from ..validation.generated import EXACT
from .keywords import Json, Object
from .schemas import component_name

_DEFINITIONS = "#/$defs/"


def schema_of_model(given: Any, *, answers: bool) -> Object:
    """The JSON Schema of a model, for the document.

    :param answers: of what is sent, instead of what is received.
    :raises ConfigError: if its library cannot say it.
    """
    schema: Object = _without_marks(json_schema(given, answers=answers))
    schema = _named_anew(schema)
    definitions = schema.get("$defs", {})
    reference = schema.get("$ref", "")
    name = reference.removeprefix(_DEFINITIONS)
    if set(schema) <= {"$ref", "$defs"} and isinstance(definitions.get(name), dict):
        inner = json.dumps(definitions)
        if json.dumps(reference) not in inner:
            others = {other: of for other, of in definitions.items() if other != name}
            return {**definitions[name], **({"$defs": others} if others else {})}
    return schema


def name_of_model(given: Any) -> str:
    """What a model is called in the document; nothing if it has no name of its own."""
    if typing.get_origin(given) is not None:
        return ""
    kind = given if isinstance(given, type) else type(given)
    # An object of a library's own class, such as a TypeAdapter, is not what it adapts.
    if kind is not given and kind.__module__.partition(".")[0] in ("pydantic", "marshmallow", "msgspec"):
        return ""
    return component_name(kind.__name__)


def _without_marks(schema: Json) -> Json:
    if isinstance(schema, list):
        return [_without_marks(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        word: _without_marks(value)
        for word, value in schema.items()
        if (word != EXACT or value is not True) and (not isinstance(value, float) or math.isfinite(value))
    }


def _named_anew(schema: Object) -> Object:
    """Definitions whose names tell of modules are called by their titles."""
    definitions: Object = schema.get("$defs", {})
    names: dict[str, str] = {}
    taken = {name for name in definitions if not _tells(name)}
    for name, of in definitions.items():
        if not _tells(name):
            continue
        title = of.get("title") if isinstance(of, dict) else None
        plain = component_name(title if isinstance(title, str) else name.replace(".", "__").rpartition("__")[2])
        found, number = plain, 1
        while found in taken:
            number += 1
            found = f"{plain}_{number}"
        taken.add(found)
        names[name] = found
    if not names:
        return schema
    moved = {_DEFINITIONS + name: _DEFINITIONS + new for name, new in names.items()}

    def walk(this: Json) -> Json:
        if isinstance(this, list):
            return [walk(each) for each in this]
        if isinstance(this, dict):
            return {word: walk(value) for word, value in this.items()}
        return moved.get(this, this) if isinstance(this, str) else this

    made: Object = walk({**schema, "$defs": {names.get(name, name): of for name, of in definitions.items()}})
    return made


def _tells(name: str) -> bool:
    return "__" in name or "." in name
