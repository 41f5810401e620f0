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

from .._native import JsonBounds, Schema
from .keywords import Json, Object
from .places import ASKED, BRANCH, MUST, SHAKY, Graph, Place


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
        graph = Graph(made, draft)
        if not graph.is_plain or not graph.survey():
            return schema
        if not _close(graph, strict and draft >= 2019, around):
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


def _close(graph: Graph, strict: bool, around: bool) -> bool:
    """Writes what is closed; says whether alternatives say it."""
    used = False
    root = next(iter(graph.places.values()))
    closes = {id(place): _closes(graph, place) and (around or place is not root) for place in graph.places.values()}
    at: dict[int, list[Place]] = {}
    for place in graph.places.values():
        for node in place.objects:
            at.setdefault(node, []).append(place)
    for place in (place for place in graph.places.values() if closes[id(place)]):
        ways = [(node, way) for node, way in place.objects.items() if way != ASKED]
        branches = [node for node, way in ways if way == BRANCH]
        depends = any(graph.names(node) or graph.opens(node) for node in branches)
        alone = next(iter(place.roots)) if len(place.roots) == 1 else None
        if strict and depends and alone is not None and place.roots[alone] == MUST and at[alone] == [place]:
            if alone not in graph.asked and not place.is_blurred:
                _add(graph.nodes[alone], _always(graph, place), "unevaluatedProperties")
                used = True
            continue
        if any(graph.opens(node) for node, _ in ways):
            continue
        fit = [
            node
            for node, _ in ways
            if node not in graph.asked
            and not graph.is_lonely(node)
            and all(
                closes[id(other)]
                and other.names == place.names
                and other.objects[node] != ASKED
                # Whatever else is there, what it closes is what it lists.
                and (not other.is_blurred or (graph.names(node) and graph.known(node) == other.names))
                for other in at[node]
            )
        ]
        # Where nothing is missed, then where it reads best: at what lists all names itself, else where it begins.
        fit.sort(
            key=lambda node: (place.objects[node] == BRANCH, graph.listed(node) != place.names, node not in place.roots)
        )
        if fit:
            _add(graph.nodes[fit[0]], place.names, "additionalProperties")
    return used


def _closes(graph: Graph, place: Place) -> bool:
    ways = [(node, way) for node, way in place.objects.items() if way != ASKED]
    speaks = any(way <= SHAKY and (graph.opens(node) or graph.shuts(node)) for node, way in ways)
    return not speaks and any(graph.names(node) for node, _ in ways)


def _always(graph: Graph, place: Place) -> frozenset[str]:
    """Names that are known whichever alternatives hold, though their keywords would not say so."""
    listed = {name for node, way in place.objects.items() if way == BRANCH for name in graph.listed(node)}
    asked = {name for node, way in place.objects.items() if way == ASKED for name in graph.listed(node)}
    found = {
        name
        for node, way in place.objects.items()
        for name in graph.known(node)
        if way == ASKED or name not in graph.listed(node)
    }
    return frozenset(name for name in found if name in asked or name not in listed)


def _add(schema: Object, names: frozenset[str], keyword: str) -> None:
    properties = schema.setdefault("properties", {})
    for name in sorted(names):
        properties.setdefault(name, {})
    if not properties:
        del schema["properties"]
    schema[keyword] = False
