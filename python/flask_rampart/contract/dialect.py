"""Schemas of OpenAPI 3.0 and 3.1 as JSON Schema 2020-12, for a request or for an answer.

In both:

1. what a schema refers to becomes a definition of its own, named after its place; circles stay circles;
2. in a request a member that is ``readOnly`` is refused, or let through, and never required (OpenAPI: "SHOULD NOT be
   sent as part of the request", its ``required`` "will take effect on the response only"); so is one that is
   ``writeOnly`` in an answer;
3. formats: ``int32`` and ``int64`` are ranges, ``byte`` is base64 (RFC 4648), the formats of JSON Schema are asserted;
   ``float``, ``double``, ``password`` and ``binary`` demand nothing; one that nobody knows is noted as not checked;
4. what only describes is left out: ``example``, ``xml``, ``externalDocs``, ``discriminator`` and so on.

In 3.0: ``nullable`` beside a ``type`` adds null to it (3.0.3: and nowhere else); ``exclusiveMinimum: true`` makes
``minimum`` an open one; what stands beside a ``$ref`` does not count, which is noted; a keyword that 3.0 does not have
is refused. In 3.1 it is noted; ``$id``, anchors and ``$dynamicRef`` are refused, and so is another dialect.

A discriminator selects nothing: ``oneOf`` decides. Examples and defaults of bodies are not checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import quote

from ..readers import nearest
from .document import Node
from .loading import escaped

Direction = Literal["request", "response"]
Schema = dict[str, Any]
Note = Callable[[Node, str], None]

DIALECTS = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://spec.openapis.org/oas/3.1/dialect/base",
)


class Dialect:
    """Translates the schemas of one document for one direction.

    :param lenient: whether a member that is for the other direction is let through.
    :param note: told what is not checked, with its place.
    """

    def __init__(self, version: tuple[int, int], direction: Direction, note: Note, *, lenient: bool = False) -> None:
        self._old = version == (3, 0)
        self._other_way = "readOnly" if direction == "request" else "writeOnly"
        self._lenient = lenient
        self._note = note
        self._definitions: dict[str, tuple[Schema | bool, set[str]]] = {}
        self._waiting: list[tuple[str, Node]] = []
        self._hidden: dict[Any, frozenset[str]] = {}

    def schema(
        self, node: Node, replaced: Mapping[str, Schema | None] | None = None, optional: frozenset[str] = frozenset()
    ) -> Schema:
        """A schema that stands alone.

        :param replaced: what other schemas some members of it have; None for one that is judged elsewhere.
        :param optional: which members are not required.
        :raises ConfigError: for what cannot be translated.
        """
        uses: set[str] = set()
        if replaced:
            made = self._inline(node, replaced, optional, uses, [])
        else:
            made = self._translated(node, uses, frozenset())
        return self.whole(made, uses)

    def part(
        self, members: Mapping[str, tuple[Node, Schema]], fixed: Mapping[str, Schema], required: list[str]
    ) -> Schema:
        """The schema of an object whose members have these schemas, and what more is said of them."""
        uses: set[str] = set()
        properties: dict[str, Any] = {}
        for name, (node, more) in members.items():
            made = self._translated(node, uses, frozenset())
            if more.get("x-empty"):
                made = {"anyOf": [made, {"const": ""}]}
            more = {key: value for key, value in more.items() if key != "x-empty"}
            properties[name] = {"allOf": [made], **more} if more else made
        properties.update(fixed)
        made = {"type": "object", "properties": properties}
        return self.whole({**made, "required": required} if required else made, uses)

    def whole(self, made: Schema | bool, uses: set[str]) -> Schema:
        """A schema with the definitions that it uses."""
        while self._waiting:
            name, node = self._waiting.pop()
            inner: set[str] = set()
            self._definitions[name] = (self._translated(node, inner, frozenset()), inner)
        needed: dict[str, Any] = {}
        waiting = sorted(uses)
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed[name], inner = self._definitions[name]
                waiting += sorted(inner)
        schema = {"allOf": [made]} if isinstance(made, bool) else made
        return {**schema, "$defs": needed} if needed else schema

    def _inline(
        self,
        node: Node,
        replaced: Mapping[str, Schema | None],
        optional: frozenset[str],
        uses: set[str],
        seen: list[Any],
    ) -> Schema | bool:
        """As :meth:`_translated`, but with members replaced: through what it refers to and what else must hold."""
        node = node.followed()
        if node.place in seen or not isinstance(node.value, dict):
            raise node.error("this schema holds itself, so no form can be read by it.")
        made = self._object(node, uses, self._marked(node))
        if "properties" in made:
            members = {name: replaced.get(name, schema) for name, schema in made["properties"].items()}
            made["properties"] = {name: schema for name, schema in members.items() if schema is not None}
        if "required" in made:
            made["required"] = [name for name in made["required"] if name not in optional]
        if "allOf" in node.value:
            branches = node.at("allOf").items()
            made["allOf"] = [self._inline(branch, replaced, optional, uses, [*seen, node.place]) for branch in branches]
        return made

    def _translated(self, node: Node, uses: set[str], hidden: frozenset[str]) -> Schema | bool:
        value = node.value
        if isinstance(value, bool):
            if self._old and node.pointer[-1] != "additionalProperties":
                raise node.error("a schema is an object; true and false came with OpenAPI 3.1.")
            return value
        if not isinstance(value, dict):
            raise node.error("a schema is an object.")
        if "$ref" not in value:
            return self._object(node, uses, hidden | self._marked(node))
        name = self._refer(node, uses)
        pointer = quote(name.replace("~", "~0").replace("/", "~1"), safe="~!$&'()*+,;=:@?")
        made: Schema = {"$ref": f"#/$defs/{pointer}"}
        beside = {key for key in value if not key.startswith("x-")} - {"$ref", "description", "summary"}
        if not beside:
            return made
        if self._old:
            self._note(node, f"{', '.join(sorted(beside))} beside a $ref: does not count in OpenAPI 3.0; use allOf")
            return made
        return {**self._object(node, uses, hidden | self._marked(node)), **made}

    def _refer(self, node: Node, uses: set[str]) -> str:
        target = node.followed() if self._old else node.document.follow(node, node.value["$ref"])
        if set(node.value) == {"$ref"}:
            node.followed()  # not only to itself
        if not _holds_schemas(target):
            # A parameter that is taken for a schema has no keyword, and would let everything through.
            raise node.error(f"$ref {node.value['$ref']!r} leads to {target.where}, which is no schema.")
        name = _named(target)
        if name not in self._definitions:
            self._definitions[name] = ({}, set())
            self._waiting.append((name, target))
        uses.add(name)
        return name

    def _object(self, node: Node, uses: set[str], hidden: frozenset[str]) -> Schema:
        made: Schema = {}
        for key, member in node.members():
            if key == "$ref" or key in _DESCRIBES:
                continue
            if self._old and key not in _KEYWORDS_OF_3_0:
                raise member.error(f"{key!r} is no keyword of OpenAPI 3.0.{_cure(key)}")
            if key in _NOT_FOLLOWED:
                raise member.error(f"{key!r} is not read; refer with $ref: '#/components/schemas/Pet'.")
            if key == "$schema":
                if not isinstance(member.value, str) or member.value.rstrip("#") not in DIALECTS:
                    raise member.error("this dialect of JSON Schema is not read; leave it out for 2020-12.")
            elif key in _ONE:
                made[key] = self._translated(member, uses, hidden if key in _SAME_VALUE else frozenset())
            elif key in _MANY:
                inner = hidden if key in _SAME_VALUE else frozenset()
                made[key] = [self._translated(item, uses, inner) for item in member.items()]
            elif key in _NAMED:
                made[key] = {
                    name: self._member(member.at(name), name in hidden and key == "properties", uses)
                    for name in _object(member)
                }
            elif key in _PLAIN:
                made[key] = member.value
            elif key not in _SPECIAL:
                self._note(member, f"{key!r} is no keyword and is not checked.{nearest(key, _ALL)}")
        return self._finished(node, made, hidden)

    def _member(self, node: Node, is_hidden: bool, uses: set[str]) -> Schema | bool:
        # `false` would be as right; the errors name a rule with "not".
        return {"not": {}} if is_hidden and not self._lenient else self._translated(node, uses, frozenset())

    def _finished(self, node: Node, made: Schema, hidden: frozenset[str]) -> Schema:
        if isinstance(made.get("required"), list):
            made["required"] = [name for name in made["required"] if name not in hidden]
        if self._old:
            self._of_3_0(node, made)
        elif "nullable" in node.value:
            self._note(node.at("nullable"), 'has no effect in OpenAPI 3.1: write type: [..., "null"]')
        for word in ("exclusiveMinimum", "exclusiveMaximum"):
            if isinstance(made.get(word), bool):
                raise node.at(word).error("this is a number in OpenAPI 3.1; true and false were 3.0.")
        types = made.get("type")
        for one in types if isinstance(types, list) else [types]:
            if one is not None and one not in _TYPES:
                raise node.at("type").error(f"{one!r} is no type.{nearest(str(one), _TYPES)}")
        if "format" in node.value:
            self._format(node.at("format"), made)
        return made

    def _of_3_0(self, node: Node, made: Schema) -> None:
        if isinstance(made.get("type"), list):
            raise node.at("type").error('several types came with OpenAPI 3.1; in 3.0 write "nullable: true".')
        if isinstance(node.value.get("items"), list):
            raise node.at("items").error("this is one schema.")
        if node.flag("nullable") and "type" in made:
            made["type"] = [made["type"], "null"]
        for word, open_word in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            is_open = node.flag(open_word)
            made.pop(open_word, None)
            if is_open and word in made:
                made[open_word] = made.pop(word)

    def _format(self, node: Node, made: Schema) -> None:
        name = node.value
        if not isinstance(name, str):
            raise node.error("this is a text.")
        types = made.get("type")
        types = types if isinstance(types, list) else [types]
        if name in _RANGES:
            if "integer" in types or "number" in types or types == [None]:
                low, high = _RANGES[name]
                made["minimum"] = _bound(max, made.get("minimum"), low)
                made["maximum"] = _bound(min, made.get("maximum"), high)
        elif name == "byte":
            if "string" in types or types == [None]:
                made["allOf"] = [*made.get("allOf", []), {"pattern": _BASE64}]
        elif name in FORMATS:
            made["format"] = name
        elif name not in _FREE:
            self._note(node, f"the format {name!r} is not known and not checked.{nearest(name, [*FORMATS, *_RANGES])}")

    def _marked(self, node: Node) -> frozenset[str]:
        """The members that are for the other direction: of it, of what it refers to, and of what else must hold."""
        if node.place not in self._hidden:
            found: set[str] = set()
            seen: set[Any] = set()
            waiting = [node]
            while waiting:
                one = waiting.pop()
                if one.place in seen or not isinstance(one.value, dict):
                    continue
                seen.add(one.place)
                if "$ref" in one.value:
                    waiting.append(one.document.follow(one, one.value["$ref"]))
                    if self._old:
                        continue
                if isinstance(one.value.get("properties"), dict):
                    for name in one.value["properties"]:
                        if self._is_marked(one.at("properties").at(name)):
                            found.add(name)
                if isinstance(one.value.get("allOf"), list):
                    waiting += one.at("allOf").items()
            self._hidden[node.place] = frozenset(found)
        return self._hidden[node.place]

    def _is_marked(self, node: Node) -> bool:
        return any(
            one.flag(self._other_way) and not ("$ref" in one.value and self._old)
            for one in faces(node, alternatives=False)
        )


def faces(node: Node, *, alternatives: bool = True) -> list[Node]:
    """The schemas that may say of which type a value is: itself, what it refers to, what else must hold, and its
    alternatives."""
    words = ("allOf", "anyOf", "oneOf") if alternatives else ("allOf",)
    found: list[Node] = []
    waiting, seen = [node], set()
    while waiting:
        one = waiting.pop()
        if one.place in seen or not isinstance(one.value, dict):
            continue
        seen.add(one.place)
        found.append(one)
        if "$ref" in one.value:
            waiting.append(one.document.follow(one, one.value["$ref"]))
        for word in words:
            if isinstance(one.value.get(word), list):
                waiting += one.at(word).items()
    return found


def types_of(node: Node) -> set[str]:
    """The types that a schema names."""
    found: set[str] = set()
    for face in faces(node):
        types = face.value.get("type")
        found.update(one for one in (types if isinstance(types, list) else [types]) if isinstance(one, str))
    return found


def _holds_schemas(node: Node) -> bool:
    """Whether a place of the document is one where schemas are. Of other files, and of ``x-`` members, nobody knows."""
    pointer = node.pointer
    if node.file != node.document.name or pointer[0].startswith("x-"):
        return True
    if pointer[:2] == ("components", "schemas"):
        return len(pointer) > 2
    return "schema" in pointer[3:]


def _named(node: Node) -> str:
    """What the definition of a place is called: no two places alike."""
    if node.file != node.document.name:
        return node.where
    # The name of any other place has a slash in it, or a number sign.
    if node.pointer[:-1] == ("components", "schemas") and not set("/#") & set(node.pointer[-1]):
        return node.pointer[-1]
    return escaped(node.pointer)


def _object(node: Node) -> dict[str, Any]:
    if not isinstance(node.value, dict):
        raise node.error("this is an object.")
    return node.value


def _bound(choose: Callable[..., Any], said: Any, own: int) -> Any:
    return choose(said, own) if isinstance(said, (int, float)) and not isinstance(said, bool) else own


def _cure(key: str) -> str:
    if key in _ALL:
        return " It came with 3.1."
    return nearest(key, _KEYWORDS_OF_3_0)


FORMATS = frozenset(
    (
        "date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "iri",
        "iri-reference", "json-pointer", "regex", "relative-json-pointer", "time", "uri", "uri-reference",
        "uri-template", "uuid",
    )
)  # fmt: skip
"""What is asserted."""
_FREE = frozenset(("binary", "double", "float", "password"))
_RANGES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
# RFC 4648 section 4, with its padding.
_BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_DESCRIBES = frozenset(
    (
        "$comment", "$defs", "$vocabulary", "contentEncoding", "contentMediaType", "contentSchema", "definitions",
        "deprecated", "description", "discriminator", "example", "examples", "externalDocs", "title", "xml",
    )
)  # fmt: skip
_NOT_FOLLOWED = ("$anchor", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveAnchor", "$recursiveRef")
_ONE = (
    "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then", "unevaluatedItems",
    "unevaluatedProperties",
)  # fmt: skip
_MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED = ("dependentSchemas", "patternProperties", "properties")
# Not what stands under "not" and "if": to demand less there would be to refuse more.
_SAME_VALUE = ("allOf", "anyOf", "else", "oneOf", "then")
_PLAIN = (
    "const", "default", "dependentRequired", "enum", "exclusiveMaximum", "exclusiveMinimum", "maxContains", "maximum",
    "maxItems", "maxLength", "maxProperties", "minContains", "minimum", "minItems", "minLength", "minProperties",
    "multipleOf", "pattern", "required", "type", "uniqueItems",
)  # fmt: skip
_SPECIAL = ("format", "nullable", "readOnly", "writeOnly")
_ALL = (*_ONE, *_MANY, *_NAMED, *_PLAIN, *_SPECIAL)
_KEYWORDS_OF_3_0 = (
    "title", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength",
    "pattern", "maxItems", "minItems", "uniqueItems", "maxProperties", "minProperties", "required", "enum", "type",
    "allOf", "oneOf", "anyOf", "not", "items", "properties", "additionalProperties", "description", "format",
    "default", "nullable", "discriminator", "readOnly", "writeOnly", "xml", "externalDocs", "example", "deprecated",
)  # fmt: skip
