"""JSON Schemas as components of the document: moved, with their references, or kept whole.

A schema that was given to ``validate`` becomes a component. In order:

1. **Sure**: it can be said in the dialect of OpenAPI 3.1, which is draft 2020-12: no ``$id`` inside, no anchor, every
   ``$ref`` a pointer within it. Then its ``$defs`` (``definitions``) become components of their own and each reference
   is written anew. What an older draft says in other words is said in those of 2020-12: a list of ``items``,
   ``dependencies``, ``exclusiveMinimum: true``; what that draft passes over goes, and so does what stands beside a
   ``$ref`` (before 2019-09).
2. **Not sure**: it is kept as it is, as a resource of its own with ``$id`` and ``$schema`` (JSON Schema 2020-12 section
   9.3), in which its references point where they always did.

Members that begin with ``x-`` stay. Nothing in ``enum``, ``const``, ``default`` or ``examples`` is taken for a schema.
The same schema becomes one component; two that are called alike and differ get names that differ.

It does not judge schemas: ``validation`` has compiled them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, unquote

Json = Any
Object = dict[str, Any]

BASE = "#/components/schemas/"
OWN = "https://json-schema.org/draft/2020-12/schema"

_MAPS = frozenset(("properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"))
_LISTS = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
_ONES = frozenset(
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
_PLAIN = frozenset(
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
_LATER = {
    4: frozenset(["const", "contains", "propertyNames", "examples", "if", "then", "else", "contentSchema"]),
    6: frozenset(["if", "then", "else"]),
}
_FROM_2019 = frozenset(
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
_NOTES = frozenset(("readOnly", "writeOnly", "contentMediaType", "contentEncoding"))
_GONE = frozenset(("additionalItems", "dependencies"))
"""Keywords that 2020-12 has others for."""
_MOVES = re.compile(r"/(items/\d|additionalItems|dependencies)")
"""A place that is elsewhere when it is said in the words of 2020-12."""
_NAMES = frozenset(("$id", "id", "$schema", "$anchor", "$dynamicAnchor", "$recursiveAnchor"))
_DEFINITIONS = ("$defs", "definitions")
# A map of schemas is none, and a definition without a name has no component.
_NOWHERE = frozenset(("/$defs", "/definitions", "/$defs/", "/definitions/"))
_DEEP = 200


class Schemas:
    """The components of a document that are schemas."""

    def __init__(self) -> None:
        self._components: dict[str, Json] = {}
        #: The name of each definition that was moved, by what it is called and all that it is.
        self._known: dict[tuple[str, str], str] = {}
        self._sources: dict[str, Source] = {}
        self._waiting: list[tuple[str, Callable[[str], Json]]] = []
        self._is_making = False

    @property
    def components(self) -> dict[str, Json]:
        """All of them, by name."""
        return dict(sorted(self._components.items()))

    def of(self, text: str, name: str) -> Source:
        """What a schema's text becomes; the same text is one.

        :param name: what it should be called.
        """
        if text not in self._sources:
            self._sources[text] = Source(self, json.loads(text), name)
        return self._sources[text]

    def put(self, name: str, schema: Json) -> str:
        """Takes a component of our own, and gives its name."""
        taken = self.reserve(name)
        self._components[taken] = schema
        return taken

    def reserve(self, name: str) -> str:
        """A name that nothing else has, as near to *name* as can be."""
        plain = component_name(name)
        found, number = plain, 1
        while found in self._components:
            number += 1
            found = f"{plain}_{number}"
        self._components[found] = True
        return found

    def settle(self, name: str, key: str, make: Callable[[str], Json]) -> str:
        """The component of something that is told by *name* and *key*, made if it is new."""
        if (name, key) not in self._known:
            taken = self._known[(name, key)] = self.reserve(name)
            self._waiting.append((taken, make))
            # One after the other: definitions that refer to each other in a long line would nest as deeply.
            while self._waiting and not self._is_making:
                self._is_making = True
                waiting, made = self._waiting.pop(0)
                self._components[waiting] = made(waiting)
                self._is_making = False
        return self._known[(name, key)]


class Source:
    """One schema as it was given, and what is written of it in the document."""

    def __init__(self, schemas: Schemas, schema: Json, name: str) -> None:
        self._schemas = schemas
        self._name = name
        self.root: Json = schema
        self.draft = draft_of(schema)
        self._id_word = "id" if self.draft == 4 else "$id"
        named = schema.get(self._id_word) if isinstance(schema, dict) else None
        self.id = named if isinstance(named, str) else None
        self.is_sure = self.draft != 0 and all(self._is_sure(each) for each in [schema, *self._reached(schema)])
        self._whole: str | None = None

    def reference(self) -> Object:
        """A reference to the whole of it."""
        if self._whole is None:
            key = json.dumps(self.root, sort_keys=True)
            self._whole = self._schemas.settle(self._name, key, self._made)
        return {"$ref": f"{BASE}{self._whole}"}

    def written(self, schema: Json) -> Json:
        """A schema inside of it as it is written elsewhere in the document."""
        if not self.is_sure:
            return schema
        return self._rewrite(schema)

    def refers(self, schema: Json) -> bool:
        """Whether a schema inside of it has a reference or a name of its own."""
        return any(
            word in each
            for each in _every(schema)
            for word in ("$ref", "$dynamicRef", "$recursiveRef", "$id", "$anchor")
        )

    def faces(self, schema: Json, *, alternatives: bool) -> Iterator[Object]:
        """The objects that a schema consists of: itself, what it refers to, ``allOf``, and where they are wanted its
        alternatives."""
        seen: set[int] = set()
        open_: list[Json] = [schema]
        while open_ and len(seen) < _DEEP:
            this = open_.pop(0)
            if not isinstance(this, dict) or id(this) in seen:
                continue
            seen.add(id(this))
            target = self._target(this.get("$ref"))
            if target is not None:
                open_.insert(0, target)
                if 0 < self.draft < 2019:
                    continue
            yield this
            for word in ("oneOf", "anyOf", "allOf") if alternatives else ("allOf",):
                branches = this.get(word)
                open_ += branches if isinstance(branches, list) else []

    def _made(self, taken: str) -> Json:
        if not self.is_sure:
            return self._resource(taken)
        bare = self.root
        if isinstance(bare, dict):
            bare = {
                word: value for word, value in bare.items() if word not in ("$schema", self._id_word, *_DEFINITIONS)
            }
        self._whole = taken  # a schema may refer to itself
        return self._rewrite(bare)

    def _resource(self, taken: str) -> Object:
        schema = dict(self.root)
        identity = {} if "$id" in schema else {"$id": f"urn:rampart:schema:{taken}"}
        dialect = {} if "$schema" in schema else {"$schema": OWN}
        return {**identity, **dialect, **schema}

    def _rewrite(self, schema: Json) -> Json:
        if not isinstance(schema, dict):
            return schema
        made: Object = {}
        alone = 0 < self.draft < 2019 and isinstance(schema.get("$ref"), str)
        for word, value in schema.items():
            if (alone and word not in ("$ref", "title", "description")) or self._is_nothing(word):
                continue
            if word == "discriminator":
                made[word] = self._discriminator(value)
            else:
                made[word] = self._moved(value) if word == "$ref" else _mapped(word, value, self._rewrite)
        return _renewed(made) if self.draft < 2020 else made

    def _discriminator(self, value: Json) -> Json:
        """A Discriminator Object (OpenAPI 3.1 section 4.8.25), as libraries write it beside their alternatives."""
        mapping = value.get("mapping") if isinstance(value, dict) else None
        if not isinstance(mapping, dict):
            return value
        return {**value, "mapping": {name: self._moved(reference) for name, reference in mapping.items()}}

    def _is_nothing(self, word: str) -> bool:
        """Whether the draft passes over a keyword."""
        return word in _LATER.get(self.draft, ()) or (
            self.draft < 2019 and word in _FROM_2019 and word not in _DEFINITIONS
        )

    def _moved(self, reference: str) -> str:
        pointer = self._pointer(reference) or ""
        first, _, rest = pointer.removeprefix("/").partition("/")
        name, _, rest = rest.partition("/")
        if first not in _DEFINITIONS or not name:
            # A place in the root itself; "#" is all of it.
            return f"{self.reference()['$ref']}{_quoted(pointer)}"
        definition = self.root[first][_unescaped(name)]
        closure = {"": definition, **self._closure(definition)}
        key = json.dumps([self.draft, closure], sort_keys=True)
        taken = self._schemas.settle(_unescaped(name), key, lambda _: self._rewrite(definition))
        return f"{BASE}{taken}{_quoted('/' + rest) if rest else ''}"

    def _closure(self, schema: Json) -> dict[str, Json]:
        """All that a definition refers to, by the reference."""
        found: dict[str, Json] = {}
        open_ = [schema]
        while open_:
            for each in _every(open_.pop()):
                reference = each.get("$ref")
                if isinstance(reference, str) and reference not in found:
                    found[reference] = self._target(reference)
                    open_.append(found[reference])
        return found

    def _pointer(self, reference: str) -> str | None:
        """The pointer into this schema that a reference is, decoded; None if it is anything else."""
        place, mark, fragment = reference.partition("#")
        if (place and place != self.id) or (not mark and place != self.id):
            return None
        pointer = unquote(fragment)
        if pointer in _NOWHERE or (self.draft < 2020 and _MOVES.search(pointer)):
            return None
        return pointer if not pointer or pointer.startswith("/") else None

    def _target(self, reference: Json) -> Json | None:
        pointer = self._pointer(reference) if isinstance(reference, str) else None
        if pointer is None:
            return None
        return led_to(self.root, pointer)

    def _reached(self, schema: Json) -> list[Json]:
        """What references lead to, which may stand where no keyword is."""
        return list(self._closure(schema).values())

    def _is_sure(self, schema: Json) -> bool:
        return all(self._is_plain(each) for each in _every(schema))

    def _leads(self, discriminator: Json) -> bool:
        mapping = discriminator.get("mapping", {}) if isinstance(discriminator, dict) else None
        return isinstance(mapping, dict) and all(self._target(each) is not None for each in mapping.values())

    def _is_plain(self, schema: Object) -> bool:
        """Whether an object reads the same in 2020-12, apart from what is in it."""
        if schema is not self.root and not _NAMES.isdisjoint(schema):
            return False
        if "$ref" in schema and (not isinstance(schema["$ref"], str) or self._target(schema["$ref"]) is None):
            return False
        for word in schema:
            if word.startswith("x-") or word in ("$schema", self._id_word, *_NOTES):
                continue
            if word == "discriminator" and self._leads(schema[word]):
                continue
            known = word in _PLAIN or word in _MAPS or word in _LISTS or word in _ONES or word in _FROM_2019
            if not known or (word == "prefixItems") > (self.draft == 2020) or (word in _GONE and self.draft == 2020):
                return False
        return True


def component_name(text: str) -> str:
    """A name that a component may have (OpenAPI 3.1 section 4.8.7).

    >>> component_name("A list[int]")
    'A_list_int'
    """
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip("_.-") or "Schema"


def led_to(root: Json, pointer: str) -> Json | None:
    """What a JSON Pointer leads to (RFC 6901); None if to nothing."""
    found = root
    for part in pointer.split("/")[1:]:
        word = _unescaped(part)
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


def _renewed(schema: Object) -> Object:
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


def _mapped(word: str, value: Json, change: Callable[[Json], Json]) -> Json:
    """The value of a keyword with the schemas in it changed."""
    if word in _MAPS and isinstance(value, dict):
        return {name: change(each) for name, each in value.items()}
    if (word in _LISTS or word == "items") and isinstance(value, list):
        return [change(each) for each in value]
    return change(value) if word in _ONES else value


def _every(schema: Json) -> Iterator[Object]:
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
            _mapped(word, value, note)


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")


def _quoted(pointer: str) -> str:
    """A pointer as a fragment (RFC 6901 section 6)."""
    return quote(pointer, safe="/~!$&'()*+,;=:@")
