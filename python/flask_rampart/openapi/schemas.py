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
from urllib.parse import quote, unquote

from .keywords import (
    DEFINITIONS,
    FROM_2019,
    GONE,
    LATER,
    LISTS,
    MAPS,
    MOVES,
    NAMES,
    NOTES,
    NOWHERE,
    ONES,
    PLAIN,
    Json,
    Object,
    draft_of,
    every,
    led_to,
    mapped,
    renewed,
    unescaped,
)

BASE = "#/components/schemas/"
OWN = "https://json-schema.org/draft/2020-12/schema"
_DEEP = 200


class Schemas:
    """The components of a document that are schemas."""

    def __init__(self) -> None:
        self._components: dict[str, Json] = {}
        #: The last number that was given to each name, so that many of one name are not counted from 1 each time.
        self._numbers: dict[str, int] = {}
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
        found, number = plain, self._numbers.get(plain, 1)
        while found in self._components:
            number += 1
            found = f"{plain}_{number}"
        self._numbers[plain] = number
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
            for each in every(schema)
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
            bare = {word: value for word, value in bare.items() if word not in ("$schema", self._id_word, *DEFINITIONS)}
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
                made[word] = self._moved(value) if word == "$ref" else mapped(word, value, self._rewrite)
        return renewed(made) if self.draft < 2020 else made

    def _discriminator(self, value: Json) -> Json:
        """A Discriminator Object (OpenAPI 3.1 section 4.8.25), as libraries write it beside their alternatives."""
        mapping = value.get("mapping") if isinstance(value, dict) else None
        if not isinstance(mapping, dict):
            return value
        return {**value, "mapping": {name: self._moved(reference) for name, reference in mapping.items()}}

    def _is_nothing(self, word: str) -> bool:
        """Whether the draft passes over a keyword."""
        return word in LATER.get(self.draft, ()) or (
            self.draft < 2019 and word in FROM_2019 and word not in DEFINITIONS
        )

    def _moved(self, reference: str) -> str:
        pointer = self._pointer(reference) or ""
        first, _, rest = pointer.removeprefix("/").partition("/")
        name, _, rest = rest.partition("/")
        if first not in DEFINITIONS or not name:
            # A place in the root itself; "#" is all of it.
            return f"{self.reference()['$ref']}{_quoted(pointer)}"
        definition = self.root[first][unescaped(name)]
        closure = {"": definition, **self._closure(definition)}
        key = json.dumps([self.draft, closure], sort_keys=True)
        taken = self._schemas.settle(unescaped(name), key, lambda _: self._rewrite(definition))
        return f"{BASE}{taken}{_quoted('/' + rest) if rest else ''}"

    def _closure(self, schema: Json) -> dict[str, Json]:
        """All that a definition refers to, by the reference."""
        found: dict[str, Json] = {}
        open_ = [schema]
        while open_:
            for each in every(open_.pop()):
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
        if pointer in NOWHERE or (self.draft < 2020 and MOVES.search(pointer)):
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
        return all(self._is_plain(each) for each in every(schema))

    def _leads(self, discriminator: Json) -> bool:
        mapping = discriminator.get("mapping", {}) if isinstance(discriminator, dict) else None
        return isinstance(mapping, dict) and all(self._target(each) is not None for each in mapping.values())

    def _is_plain(self, schema: Object) -> bool:
        """Whether an object reads the same in 2020-12, apart from what is in it."""
        if schema is not self.root and not NAMES.isdisjoint(schema):
            return False
        if "$ref" in schema and (not isinstance(schema["$ref"], str) or self._target(schema["$ref"]) is None):
            return False
        for word in schema:
            if word.startswith("x-") or word in ("$schema", self._id_word, *NOTES):
                continue
            if word == "discriminator" and self._leads(schema[word]):
                continue
            known = word in PLAIN or word in MAPS or word in LISTS or word in ONES or word in FROM_2019
            if not known or (word == "prefixItems") > (self.draft == 2020) or (word in GONE and self.draft == 2020):
                return False
        return True


def component_name(text: str) -> str:
    """A name that a component may have (OpenAPI 3.1 section 4.8.7).

    >>> component_name("A list[int]")
    'A_list_int'
    """
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip("_.-") or "Schema"


def _quoted(pointer: str) -> str:
    """A pointer as a fragment (RFC 6901 section 6)."""
    return quote(pointer, safe="/~!$&'()*+,;=:@")
