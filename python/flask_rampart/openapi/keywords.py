"""The keywords of JSON Schema, as far as a document has to know them: which hold schemas, and which draft has which."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Json = Any
Object = dict[str, Any]

MAPS = frozenset(("properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"))
LISTS = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
ONES = frozenset(
    (
        "additionalProperties",
        "unevaluatedProperties",
        "unevaluatedItems",
        "additionalItems",
        "items",
        "contains",
        "propertyNames",
        "if",
        "then",
        "else",
        "not",
        "contentSchema",
    )
)
# Read in one way by all drafts that know them, and by 2020-12.
PLAIN = frozenset(
    (
        "type",
        "enum",
        "const",
        "multipleOf",
        "maximum",
        "minimum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxLength",
        "minLength",
        "pattern",
        "maxItems",
        "minItems",
        "uniqueItems",
        "maxProperties",
        "minProperties",
        "required",
        "format",
        "title",
        "description",
        "default",
        "examples",
        "$comment",
        "$ref",
    )
)
# What a draft passes over, and 2020-12 would not.
LATER = {
    4: frozenset(["const", "contains", "propertyNames", "examples", "if", "then", "else", "contentSchema"]),
    6: frozenset(["if", "then", "else"]),
}
FROM_2019 = frozenset(
    (
        "dependentSchemas",
        "dependentRequired",
        "unevaluatedProperties",
        "unevaluatedItems",
        "minContains",
        "maxContains",
        "contentSchema",
        "deprecated",
        "$defs",
    )
)
NOTES = frozenset(("readOnly", "writeOnly", "contentMediaType", "contentEncoding"))
GONE = frozenset(("additionalItems", "dependencies"))
"""Keywords that 2020-12 has others for."""
MOVES = re.compile(r"/(items/\d|additionalItems|dependencies)")
"""A place that is elsewhere when it is said in the words of 2020-12."""
NAMES = frozenset(("$id", "id", "$schema", "$anchor", "$dynamicAnchor", "$recursiveAnchor"))
DEFINITIONS = ("$defs", "definitions")
# A map of schemas is none, and a definition without a name has no component.
NOWHERE = frozenset(("/$defs", "/definitions", "/$defs/", "/definitions/"))


def led_to(root: Json, pointer: str) -> Json | None:
    """What a JSON Pointer leads to (RFC 6901); None if to nothing."""
    found = root
    for part in pointer.split("/")[1:]:
        word = unescaped(part)
        if isinstance(found, dict) and word in found:
            found = found[word]
        elif isinstance(found, list) and word.isdecimal() and int(word) < len(found):
            found = found[int(word)]
        else:
            return None
    return found


def draft_of(schema: Json) -> int:
    """The draft of a schema's dialect, by its number or year; 0 for one that is not known here."""
    dialect = schema.get("$schema") if isinstance(schema, dict) else None
    if dialect is None:
        return 2020
    found = re.search(r"/(?:draft-0([467])|draft/(2019-09|2020-12))/schema#?\Z", str(dialect))
    return int(found[1] or found[2][:4]) if found else 0


def renewed(schema: Object) -> Object:
    """What drafts before 2020-12 say in other words (JSON Schema 2020-12, release notes)."""
    made = dict(schema)
    after = made.pop("additionalItems", None)
    if isinstance(made.get("items"), list):
        made["prefixItems"] = made.pop("items")
        made.update({} if after is None else {"items": after})
    for word, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        # Draft 4: whether the bound itself is out.
        if isinstance(made.get(word), bool):
            out = made.pop(word)
            if out and bound in made:
                made[word] = made.pop(bound)
    for name, needs in (made.pop("dependencies", None) or {}).items():
        made.setdefault("dependentRequired" if isinstance(needs, list) else "dependentSchemas", {})[name] = needs
    return made


def mapped(word: str, value: Json, change: Callable[[Json], Json]) -> Json:
    """The value of a keyword with the schemas in it changed."""
    if word in MAPS and isinstance(value, dict):
        return {name: change(each) for name, each in value.items()}
    if (word in LISTS or word == "items") and isinstance(value, list):
        return [change(each) for each in value]
    return change(value) if word in ONES else value


def every(schema: Json) -> Iterator[Object]:
    """Each object in a schema that is a schema, itself first. Not what references lead to."""
    open_: list[Json] = [schema]
    while open_:
        this = open_.pop()
        if not isinstance(this, dict):
            continue
        yield this

        def note(each: Json) -> Json:
            open_.append(each)
            return each

        for word, value in this.items():
            mapped(word, value, note)


def unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")
