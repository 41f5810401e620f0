"""Which subschemas apply at each place of a value, and how surely, as far as it takes to close objects.

It follows ``src/validation/outline``, by which the core does so, and tells less where that asks more: whether a pattern
matches a name, and what other keywords have looked at already. Such a place is blurred. The graph and its places hold
the schema itself, not a copy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from .keywords import Json, Object, led_to

MUST, SHAKY, BRANCH, ASKED = range(4)
"""How surely a subschema holds for a value: always; always, though an alternative leads there, the only one for such a
value; in an alternative; it is merely asked."""

_NAMED = frozenset(("$anchor", "$dynamicAnchor", "$recursiveAnchor", "$dynamicRef", "$recursiveRef"))
_POINTER = re.compile(r"#(/|\Z)")
_KINDS = frozenset(("object", "array"))
_MOST = 2000
"""Places that are looked at; what has more is left as it is."""


@dataclass(eq=False)
class Place:
    """What applies at one place of a value to an object, each with how surely."""

    roots: dict[int, int]
    objects: dict[int, int] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    next: list[Place] = field(default_factory=list)
    #: Whether it is not known that all these apply at once, as with a pattern that may match a name: what is there may
    #: be less, in several ways.
    is_blurred: bool = False


class Graph:
    """A schema's subschemas, by their identity, and the places at which they apply."""

    def __init__(self, root: Object, draft: int) -> None:
        self._root = root
        self._draft = draft
        self.nodes: dict[int, Object] = {}
        self.places: dict[tuple[tuple[int, int], ...], Place] = {}
        self.asked: set[int] = set()
        self._kinds: dict[int, frozenset[str]] = {}
        self.is_plain = _is_pointed(root, root)

    def survey(self) -> bool:
        """Finds all places; says whether there are few enough."""
        open_ = [self._place({self._note(self._root): MUST})]
        blurred: list[Place] = []
        while open_:
            place = open_.pop()
            if place.objects:
                continue
            if len(self.places) > _MOST:
                return False
            place.objects = self._applying(place.roots, "object")
            place.names = frozenset(name for at in place.objects for name in self.known(at))
            for roots, is_blurred in (*self._members(place), *self._elements(place)):
                if roots:
                    place.next.append(self._place(roots))
                    blurred += place.next[-1:] if is_blurred else []
            open_ += place.next
        while blurred:
            place = blurred.pop()
            if not place.is_blurred:
                place.is_blurred = True
                blurred += place.next
        return True

    def _note(self, schema: Object) -> int:
        self.nodes[id(schema)] = schema
        return id(schema)

    def _place(self, roots: dict[int, int]) -> Place:
        key = tuple(sorted(roots.items()))
        if key not in self.places:
            self.places[key] = Place(roots)
        return self.places[key]

    def _applying(self, roots: dict[int, int], kind: str) -> dict[int, int]:
        """All that applies to an object or array because *roots* do."""
        found: dict[int, int] = {}
        open_ = list(roots.items())
        while open_:
            node, way = open_.pop()
            before = found.get(node)
            _merge(found, node, way)
            if found[node] == before:
                continue
            way = found[node]
            for schema, more in self._here(self.nodes[node], kind):
                open_.append((self._note(schema), max(way, more)))
        return found

    def _here(self, schema: Object, kind: str) -> Iterator[tuple[Object, int]]:
        target = _target(self._root, schema.get("$ref"))
        if isinstance(target, dict):
            yield target, MUST
        if self.is_lonely(id(schema)):
            return
        yield from ((each, MUST) for each in _dicts(schema.get("allOf")))
        for word in ("anyOf", "oneOf"):
            branches = schema.get(word)
            fit = [
                each
                for each in (branches if isinstance(branches, list) else [])
                if each is not False and (not isinstance(each, dict) or kind in self._kind(self._note(each)))
            ]
            yield from ((each, BRANCH if len(fit) > 1 else SHAKY) for each in _dicts(fit))
        if isinstance(schema.get("if"), dict):
            yield schema["if"], ASKED
        if "if" in schema:
            yield from ((each, BRANCH) for each in _dicts([schema.get("then"), schema.get("else")]))
        for word in ("dependentSchemas", "dependencies"):
            yield from ((each, BRANCH) for each in _dicts(_map(schema, word).values()))

    def _members(self, place: Place) -> Iterator[tuple[dict[int, int], bool]]:
        """What leads to each member, and to those that nothing lists; and whether some of it may not be meant."""
        after: dict[int, int] = {}
        unevaluated: dict[int, int] = {}
        patterned: dict[int, int] = {}
        for node, way in place.objects.items():
            self._ask(node)
            # Whether a pattern fits a name is not asked: what might apply counts as if it did.
            for schema in _dicts(_map(self.nodes[node], "patternProperties").values()):
                _merge(patterned, self._note(schema), BRANCH)
            if isinstance(self._own(node, "additionalProperties"), dict):
                _merge(after, self._note(self._own(node, "additionalProperties")), way)
            if isinstance(self._own(node, "unevaluatedProperties"), dict):
                _merge(unevaluated, self._note(self._own(node, "unevaluatedProperties")), max(way, SHAKY))
        for name in sorted(place.names):
            roots = _both(patterned, unevaluated)
            for node, way in place.objects.items():
                own = _map(self.nodes[node], "properties") if not self.is_lonely(node) else {}
                if isinstance(own.get(name), dict):
                    _merge(roots, self._note(own[name]), way)
                elif name not in own and isinstance(self._own(node, "additionalProperties"), dict):
                    _merge(roots, self._note(self._own(node, "additionalProperties")), way)
            yield roots, bool(patterned or unevaluated) and len(roots) > 1
        yield _both(after, unevaluated), bool(unevaluated) and len(after) + len(unevaluated) > 1
        if patterned:
            yield _both(patterned, after, unevaluated), True

    def _elements(self, place: Place) -> Iterator[tuple[dict[int, int], bool]]:
        arrays = self._applying(place.roots, "array")
        longest = 0
        for node in arrays:
            self._ask(node)
            longest = max(longest, len(self._prefix(node)))
        for index in range(longest + 1):
            roots: dict[int, int] = {}
            is_blurred = False
            for node, way in arrays.items():
                prefix = self._prefix(node)
                words = ("unevaluatedItems", "additionalItems") if isinstance(self._own(node, "items"), list) else (
                    "items", "unevaluatedItems",
                )  # fmt: skip
                after = [self._own(node, word) for word in words]
                for each in _dicts([prefix[index]] if index < len(prefix) else after):
                    is_rest = each is self._own(node, "unevaluatedItems")
                    _merge(roots, self._note(each), max(way, SHAKY) if is_rest else way)
                if isinstance(self._own(node, "contains"), dict):
                    _merge(roots, self._note(self._own(node, "contains")), ASKED)
                is_blurred = is_blurred or isinstance(self._own(node, "unevaluatedItems"), dict)
            yield roots, is_blurred and len(roots) > 1

    def _ask(self, node: int) -> None:
        """Notes what is only asked, with all that is in it: nothing is changed there."""
        open_ = [self._own(node, word) for word in ("not", "propertyNames", "if", "contains")]
        while open_:
            this = open_.pop()
            if isinstance(this, list):
                open_ += this
            elif isinstance(this, dict) and id(this) not in self.asked:
                self.asked.add(id(this))
                open_ += [*this.values(), _target(self._root, this.get("$ref"))]

    def _kind(self, node: int, depth: int = 0) -> frozenset[str]:
        """Whether a subschema lets objects and arrays be, as far as its types tell."""
        if node in self._kinds or depth > 64:
            return self._kinds.get(node, _KINDS)
        schema = self.nodes[node]
        found = _KINDS
        if not self.is_lonely(node):
            named = schema.get("type")
            if named is not None:
                found &= frozenset([named] if isinstance(named, str) else named)
            for values in ([schema["const"]] if "const" in schema else None, schema.get("enum")):
                if isinstance(values, list):
                    found &= {
                        "object" if isinstance(v, dict) else "array" for v in values if isinstance(v, (dict, list))
                    }
            for word in ("anyOf", "oneOf"):
                branches = schema.get(word)
                if isinstance(branches, list):
                    found &= frozenset().union(*(self._kind_of(each, depth) for each in branches))
            for each in _dicts(schema.get("allOf")):
                found &= self._kind_of(each, depth)
        target = _target(self._root, schema.get("$ref"))
        found &= self._kind_of(target, depth) if target is not None else _KINDS
        self._kinds[node] = found
        return found

    def _kind_of(self, schema: Json, depth: int) -> frozenset[str]:
        if isinstance(schema, dict):
            return self._kind(self._note(schema), depth + 1)
        return frozenset() if schema is False else _KINDS

    def _own(self, node: int, word: str) -> Json:
        return None if self.is_lonely(node) else self.nodes[node].get(word)

    def is_lonely(self, node: int) -> bool:
        """Whether it is a reference of a draft in which nothing beside it counts."""
        return self._draft < 2019 and isinstance(self.nodes.get(node, {}).get("$ref"), str)

    def names(self, node: int) -> bool:
        return isinstance(self._own(node, "properties"), dict)

    def opens(self, node: int) -> bool:
        words = ("additionalProperties", "unevaluatedProperties") if self._draft >= 2019 else ("additionalProperties",)
        more = any(self._own(node, word) not in (None, False) for word in words)
        return more or bool(self._own(node, "patternProperties"))

    def shuts(self, node: int) -> bool:
        words = ("additionalProperties", "unevaluatedProperties") if self._draft >= 2019 else ("additionalProperties",)
        return any(self._own(node, word) is False for word in words)

    def listed(self, node: int) -> frozenset[str]:
        return frozenset(_map(self.nodes[node], "properties")) if not self.is_lonely(node) else frozenset()

    def known(self, node: int) -> set[str]:
        """Every name that it speaks of: what must be there is known as well."""
        found = set(self.listed(node)) | _texts(self._own(node, "required"))
        if not self.is_lonely(node):
            for word in ("dependentRequired", "dependentSchemas", "dependencies"):
                for name, needs in _map(self.nodes[node], word).items():
                    found |= {name} | _texts(needs)
        return found

    def _prefix(self, node: int) -> list[Json]:
        for word in ("prefixItems",) if self._draft == 2020 else ("items",):
            found = self._own(node, word)
            if isinstance(found, list):
                return found
        return []


def _both(*several: dict[int, int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for roots in several:
        for node, way in roots.items():
            _merge(found, node, way)
    return found


def _merge(roots: dict[int, int], node: int, way: int) -> None:
    before = roots.get(node, way)
    roots[node] = SHAKY if MUST in (way, before) and way != before else min(way, before)


def _is_pointed(root: Object, this: Json) -> bool:
    """Whether all references are pointers within the schema."""
    open_: list[Json] = [this]
    while open_:
        each = open_.pop()
        if isinstance(each, list):
            open_ += each
        elif isinstance(each, dict):
            own = each.get("$id", each.get("id"))
            if not _NAMED.isdisjoint(each) or (each is not root and isinstance(own, str)):
                return False
            reference = each.get("$ref")
            if isinstance(reference, str) and _target(root, reference) is None:
                return False
            open_ += each.values()
    return True


def _target(root: Object, reference: Json) -> Json:
    """What a pointer leads to; None if it is none."""
    if not isinstance(reference, str) or not _POINTER.match(reference):
        return None
    return led_to(root, unquote(reference[1:]))


def _dicts(values: Any) -> Iterator[Object]:
    for value in values or ():
        if isinstance(value, dict):
            yield value


def _map(schema: Object, word: str) -> Object:
    found = schema.get(word)
    return found if isinstance(found, dict) else {}


def _texts(values: Json) -> set[str]:
    return {value for value in values if isinstance(value, str)} if isinstance(values, list) else set()
