"""Which objects of a schema are closed where ``validate`` refuses names that it does not know.

The native core closes an object of which something lists ``properties`` and nothing says surely what becomes of other
names (``src/validation/closing.rs``). A peer is held to that, so the document says it, in this order for each place of
a value:

1. a subschema that applies at this place, and wherever else it applies to objects with the same names, says
   ``additionalProperties: false``, with all these names;
2. where names depend on alternatives, the one that leads there alone says ``unevaluatedProperties: false``;
3. otherwise nothing: ``x-rampart-unknown`` tells that what is not known is refused.

So the document never says more than the peer is held to, and in a few places less. Schemas whose references are more
than pointers are left as they are.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from .._native import JsonBounds, Schema
from .keywords import Json, Object, led_to

MUST, BRANCH, ASKED = range(3)
"""How surely a subschema holds for a value: always; in an alternative; it is merely asked."""

_NAMED = frozenset(("$anchor", "$dynamicAnchor", "$recursiveAnchor", "$dynamicRef", "$recursiveRef"))
_POINTER = re.compile(r"#(/|\Z)")
_KINDS = frozenset(("object", "array"))
_MOST = 2000
"""Places that are looked at; what has more is left as it is."""


def closed(schema: Json, draft: int, *, around: bool = True) -> Json:
    """A schema that says itself what ``unknown="reject"`` adds to it.

    :param draft: of its dialect, as in :mod:`.schemas`.
    :param around: whether the value itself is closed, and not only what is in it.

    >>> closed({"properties": {"a": {"items": {"properties": {"b": {}}}}}}, 2020, around=False)
    {'properties': {'a': {'items': {'properties': {'b': {}}, 'additionalProperties': False}}}}
    """
    if not isinstance(schema, dict) or draft == 0:
        return schema
    for strict in (True, False):
        made = copy.deepcopy(schema)
        graph = _Graph(made, draft)
        if not graph.is_plain or not graph.survey():
            return schema
        if not graph.close(strict and draft >= 2019, around):
            return made
        # Alternatives that would be judged too often, the core does not ask for their names: all are known then.
        if strict and _is_taken(made):
            return made
    return made


def _is_taken(schema: Object) -> bool:
    try:
        Schema(json.dumps(schema), JsonBounds())
    except ValueError:
        return False
    return True


@dataclass(eq=False)
class _Place:
    """What applies at one place of a value to an object, each with how surely."""

    roots: dict[int, int]
    objects: dict[int, int] = field(default_factory=dict)
    names: frozenset[str] = frozenset()


class _Graph:
    """A schema's subschemas, and the places at which they apply. It writes into the schema that it is given."""

    def __init__(self, root: Object, draft: int) -> None:
        self._root = root
        self._draft = draft
        self._nodes: dict[int, Object] = {}
        self._places: dict[tuple[tuple[int, int], ...], _Place] = {}
        self._asked: set[int] = set()
        self._kinds: dict[int, frozenset[str]] = {}
        self.is_plain = _is_pointed(root, root)

    def survey(self) -> bool:
        """Finds all places; says whether there are few enough."""
        open_ = [self._place({self._note(self._root): MUST})]
        while open_:
            place = open_.pop()
            if place is None or place.objects:
                continue
            if len(self._places) > _MOST:
                return False
            place.objects = self._applying(place.roots, "object")
            place.names = frozenset(name for at in place.objects for name in self._known(at))
            open_ += [self._place(roots) for roots in (*self._members(place), *self._elements(place))]
        return True

    def close(self, strict: bool, around: bool) -> bool:
        """Writes what is closed; says whether alternatives say it."""
        used = False
        root = next(iter(self._places.values()))
        closes = {id(place): self._closes(place) and (around or place is not root) for place in self._places.values()}
        at: dict[int, list[_Place]] = {}
        for place in self._places.values():
            for node in place.objects:
                at.setdefault(node, []).append(place)
        for place in (place for place in self._places.values() if closes[id(place)]):
            ways = [(node, way) for node, way in place.objects.items() if way != ASKED]
            branches = [node for node, way in ways if way == BRANCH]
            depends = any(self._names(node) or self._opens(node) for node in branches)
            alone = next(iter(place.roots)) if len(place.roots) == 1 else None
            if strict and depends and alone is not None and place.roots[alone] == MUST and at[alone] == [place]:
                if alone not in self._asked:
                    _add(self._nodes[alone], self._always(place), "unevaluatedProperties")
                    used = True
                continue
            if any(self._opens(node) for node, _ in ways):
                continue
            fit = [
                node
                for node, _ in ways
                if node not in self._asked
                and not self._is_lonely(node)
                and all(
                    closes[id(other)] and other.names == place.names and other.objects[node] != ASKED
                    for other in at[node]
                )
            ]
            # Where it reads best: at what lists all names itself, else where the place begins.
            fit.sort(key=lambda node: (self._listed(node) != place.names, node not in place.roots))
            if fit:
                _add(self._nodes[fit[0]], place.names, "additionalProperties")
        return used

    def _closes(self, place: _Place) -> bool:
        ways = [(node, way) for node, way in place.objects.items() if way != ASKED]
        speaks = any(way == MUST and (self._opens(node) or self._shuts(node)) for node, way in ways)
        return not speaks and any(self._names(node) for node, _ in ways)

    def _always(self, place: _Place) -> frozenset[str]:
        """Names that are known whichever alternatives hold, though their keywords would not say so."""
        listed = {name for node, way in place.objects.items() if way == BRANCH for name in self._listed(node)}
        asked = {name for node, way in place.objects.items() if way == ASKED for name in self._listed(node)}
        found = {
            name
            for node, way in place.objects.items()
            for name in self._known(node)
            if way == ASKED or name not in self._listed(node)
        }
        return frozenset(name for name in found if name in asked or name not in listed)

    def _note(self, schema: Object) -> int:
        self._nodes[id(schema)] = schema
        return id(schema)

    def _place(self, roots: dict[int, int]) -> _Place | None:
        key = tuple(sorted(roots.items()))
        if not key or key in self._places:
            return None
        self._places[key] = _Place(roots)
        return self._places[key]

    def _applying(self, roots: dict[int, int], kind: str) -> dict[int, int]:
        """All that applies to an object or array because *roots* do."""
        found: dict[int, int] = {}
        open_ = list(roots.items())
        while open_:
            node, way = open_.pop()
            if node in found and found[node] <= way:
                continue
            found[node] = way
            for schema, more in self._here(self._nodes[node], kind):
                open_.append((self._note(schema), max(way, more)))
        return found

    def _here(self, schema: Object, kind: str) -> Iterator[tuple[Object, int]]:
        target = _target(self._root, schema.get("$ref"))
        if isinstance(target, dict):
            yield target, MUST
        if self._is_lonely(id(schema)):
            return
        yield from ((each, MUST) for each in _dicts(schema.get("allOf")))
        for word in ("anyOf", "oneOf"):
            branches = schema.get(word)
            fit = [
                each
                for each in (branches if isinstance(branches, list) else [])
                if each is not False and (not isinstance(each, dict) or kind in self._kind(self._note(each)))
            ]
            yield from ((each, BRANCH if len(fit) > 1 else MUST) for each in _dicts(fit))
        if isinstance(schema.get("if"), dict):
            yield schema["if"], ASKED
        if "if" in schema:
            yield from ((each, BRANCH) for each in _dicts([schema.get("then"), schema.get("else")]))
        for word in ("dependentSchemas", "dependencies"):
            yield from ((each, BRANCH) for each in _dicts(_map(schema, word).values()))

    def _members(self, place: _Place) -> Iterator[dict[int, int]]:
        """What leads to each member, and to those that nothing lists."""
        rest: dict[int, int] = {}
        patterned: dict[int, int] = {}
        for node, way in place.objects.items():
            self._ask(node)
            for schema in _dicts(_map(self._nodes[node], "patternProperties").values()):
                _merge(patterned, self._note(schema), BRANCH)
            for word in ("additionalProperties", "unevaluatedProperties"):
                if isinstance(self._own(node, word), dict):
                    _merge(rest, self._note(self._own(node, word)), way)
        for name in sorted(place.names):
            # Whether a pattern fits a name is not asked: what might apply counts as if it did.
            roots = dict(patterned)
            for node, way in place.objects.items():
                own = _map(self._nodes[node], "properties") if not self._is_lonely(node) else {}
                if isinstance(own.get(name), dict):
                    _merge(roots, self._note(own[name]), way)
                for word in ("additionalProperties", "unevaluatedProperties"):
                    if name not in own and isinstance(self._own(node, word), dict):
                        _merge(roots, self._note(self._own(node, word)), way)
            yield roots
        yield {**patterned, **rest}

    def _elements(self, place: _Place) -> Iterator[dict[int, int]]:
        arrays = self._applying(place.roots, "array")
        longest = 0
        for node in arrays:
            self._ask(node)
            longest = max(longest, len(self._prefix(node)))
        for index in range(longest + 1):
            roots: dict[int, int] = {}
            for node, way in arrays.items():
                prefix = self._prefix(node)
                words = ("unevaluatedItems", "additionalItems") if isinstance(self._own(node, "items"), list) else (
                    "items", "unevaluatedItems",
                )  # fmt: skip
                after = [self._own(node, word) for word in words]
                for each in _dicts([prefix[index]] if index < len(prefix) else after):
                    _merge(roots, self._note(each), way)
                if isinstance(self._own(node, "contains"), dict):
                    _merge(roots, self._note(self._own(node, "contains")), ASKED)
            yield roots

    def _ask(self, node: int) -> None:
        """Notes what is only asked, with all that is in it: nothing is changed there."""
        open_ = [self._own(node, word) for word in ("not", "propertyNames", "if", "contains")]
        while open_:
            this = open_.pop()
            if isinstance(this, list):
                open_ += this
            elif isinstance(this, dict) and id(this) not in self._asked:
                self._asked.add(id(this))
                open_ += [*this.values(), _target(self._root, this.get("$ref"))]

    def _kind(self, node: int, depth: int = 0) -> frozenset[str]:
        """Whether a subschema lets objects and arrays be, as far as its types tell."""
        if node in self._kinds or depth > 64:
            return self._kinds.get(node, _KINDS)
        schema = self._nodes[node]
        found = _KINDS
        if not self._is_lonely(node):
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
        return None if self._is_lonely(node) else self._nodes[node].get(word)

    def _is_lonely(self, node: int) -> bool:
        """Whether it is a reference of a draft in which nothing beside it counts."""
        return self._draft < 2019 and isinstance(self._nodes.get(node, {}).get("$ref"), str)

    def _names(self, node: int) -> bool:
        return isinstance(self._own(node, "properties"), dict)

    def _opens(self, node: int) -> bool:
        words = ("additionalProperties", "unevaluatedProperties") if self._draft >= 2019 else ("additionalProperties",)
        more = any(self._own(node, word) not in (None, False) for word in words)
        return more or bool(self._own(node, "patternProperties"))

    def _shuts(self, node: int) -> bool:
        words = ("additionalProperties", "unevaluatedProperties") if self._draft >= 2019 else ("additionalProperties",)
        return any(self._own(node, word) is False for word in words)

    def _listed(self, node: int) -> frozenset[str]:
        return frozenset(_map(self._nodes[node], "properties")) if not self._is_lonely(node) else frozenset()

    def _known(self, node: int) -> set[str]:
        """Every name that it speaks of: what must be there is known as well."""
        found = set(self._listed(node)) | _texts(self._own(node, "required"))
        if not self._is_lonely(node):
            for word in ("dependentRequired", "dependentSchemas", "dependencies"):
                for name, needs in _map(self._nodes[node], word).items():
                    found |= {name} | _texts(needs)
        return found

    def _prefix(self, node: int) -> list[Json]:
        for word in ("prefixItems",) if self._draft == 2020 else ("items",):
            found = self._own(node, word)
            if isinstance(found, list):
                return found
        return []


def _add(schema: Object, names: frozenset[str], keyword: str) -> None:
    properties = schema.setdefault("properties", {})
    for name in sorted(names):
        properties.setdefault(name, {})
    if not properties:
        del schema["properties"]
    schema[keyword] = False


def _merge(roots: dict[int, int], node: int, way: int) -> None:
    roots[node] = min(way, roots.get(node, way))


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
