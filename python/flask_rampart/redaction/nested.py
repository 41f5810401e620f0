"""Nested values: how dicts and lists are redacted, member by member.

The walk makes a copy and changes nothing that it is given. Of each node, in order:

1. after *max_nodes* nodes, or below *max_depth* levels, it becomes ``[REDACTED:DEPTH]``: what was not looked at is not
   shown; so does what holds itself, ``[REDACTED:CYCLE]``;
2. what a path or a key names is treated as :mod:`places` says;
3. what has a secret name is hidden, of whatever type, unless it is allowed: the member of an object, the second of a
   pair such as ``["Authorization", "Bearer ..."]``, the ``value`` beside a ``name`` or ``key``, and what follows an
   option of a command (``["app", "--password", "..."]``); not a list of names, nor a schema (:mod:`schemas`);
4. a text, and bytes, are redacted as such; a number is, if it is written as a secret is (a card number that is an
   int), and becomes a text then;
5. members are walked, their names redacted too; two names that become one are told apart by a number;
6. what is anything else stays, or is shown by what its ``repr`` says if that has a secret: see *objects*.

What is held in several places is walked once for each set of rules that can still match below it. So a value that is
small in memory and huge when written down ("a billion laughs") costs its size in memory.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Protocol

from .operators import Keep, Operator, Redact, Replace
from .places import Alive, Places
from .schemas import NAMED_PARTS, PARTS, VALUES, is_list_of_names, is_part, is_schema

UNSEEN = "[REDACTED:DEPTH]"
CYCLE = "[REDACTED:CYCLE]"
MOST_DEPTH = 200


class Finds(Protocol):
    """What a redactor does for the walk."""

    def text_at(self, text: str, pointer: str, found: list[Any] | None) -> str: ...
    def bytes_at(self, data: bytes, pointer: str, found: list[Any] | None) -> bytes: ...
    def number_at(self, value: Any, pointer: str, found: list[Any] | None) -> Any: ...
    def secret_name(self, name: str) -> str | None: ...
    def allows(self, text: str) -> bool: ...
    def operator_for(self, entity: str) -> Operator: ...
    def noted(self, entity: str, rule: str, pointer: str) -> Any: ...


class Walk:
    """One walk through one value.

    :param objects: what becomes of objects that are neither text nor container: ``"leave"``, for who writes them as
        text and redacts that, or ``"text"``.
    :param found: where findings are put; None where nobody asks.
    """

    def __init__(
        self,
        finds: Finds,
        places: Places,
        *,
        max_nodes: int,
        max_depth: int,
        objects: str = "leave",
        found: list[Any] | None = None,
    ) -> None:
        self._finds = finds
        self._places = places
        self._left = max_nodes
        self._depth = min(max_depth, MOST_DEPTH)
        self._text = objects == "text"
        self._found = found
        self._under_way: set[int] = set()
        # The object itself is kept as well: its number would be another's once it is gone.
        self._done: dict[tuple[int, Alive, bool], tuple[Any, Any]] = {}
        self._shown_objects: dict[int, tuple[Any, Any]] = {}
        #: The walk through what objects hold.
        self._inside: Walk | None = None
        self.cut = False

    def __call__(self, value: Any, name: str = "") -> Any:
        return self._node(value, name, 0, self._places.start, "", False)

    def _node(self, value: Any, name: str, depth: int, alive: Alive, pointer: str, kept: bool) -> Any:
        if self._left <= 0:
            self.cut = True
            return UNSEEN
        self._left -= 1
        rule = self._places.rule(alive, name) if self._places else None
        if rule is not None and not isinstance(rule.operator, Keep):
            return self._hidden(value, rule.operator, rule.entity, rule.name, depth, pointer)
        if rule is not None:
            kept = True
        elif name and not kept and value is not None:
            entity = self._finds.secret_name(name)
            # Allowed, it is looked at as if it had no name: a denied word in it is found all the same.
            if entity is not None and not (_is_scalar(value) and self._finds.allows(_scalar(value))):
                operator = self._finds.operator_for(entity)
                if not isinstance(operator, Keep):
                    if is_schema(value):
                        told = self._schema(value, operator, entity, depth, pointer)
                        return self._shown(told, depth, alive, pointer, kept)
                    return self._hidden(value, operator, entity, f"name:{entity}", depth, pointer)
                # Kept by what its entity is, not by its place: what else is in it is still found.
                self._note(entity, f"name:{entity}", pointer)
        if name and is_list_of_names(name, value):
            return self._names(value, depth, alive, pointer, kept)
        return self._shown(value, depth, alive, pointer, kept)

    def _schema(self, value: Any, operator: Operator, entity: str, depth: int, pointer: str) -> dict[str, Any]:
        """A schema of what has a secret name, in which the values are hidden that it gives for examples, and what
        stands where a schema of a part does and is none."""

        def hidden(item: Any, where: str) -> Any:
            return self._hidden(item, operator, entity, f"name:{entity}", depth + 1, where)

        def each(item: Any, made: Callable[[Any, str], Any], where: str) -> Any:
            if isinstance(item, list):
                return [made(one, f"{where}/{at}") for at, one in enumerate(item)]
            return made(item, where)

        def part(item: Any, where: str) -> Any:
            if isinstance(item, bool):
                return item
            if id(item) in self._under_way:
                return CYCLE
            if self._left <= 0:
                self.cut = True
                return UNSEEN
            self._left -= 1
            if not is_part(item) or depth >= min(self._depth, _MOST_PARTS):
                return hidden(item, where)
            return self._schema(item, operator, entity, depth + 1, where)

        def told(key: str, item: Any) -> Any:
            where = f"{pointer}/{key}"
            if key in VALUES:
                return each(item, lambda one, _: hidden(one, where), where)
            if key in PARTS:
                return each(item, part, where)
            if key in NAMED_PARTS and isinstance(item, Mapping):
                return {name: part(one, f"{where}/{_escaped(name)}") for name, one in item.items()}
            return hidden(item, where) if key in NAMED_PARTS else item

        self._under_way.add(id(value))
        try:
            return {key: told(key, item) for key, item in value.items()}
        finally:
            self._under_way.discard(id(value))

    def _names(self, value: Any, depth: int, alive: Alive, pointer: str, kept: bool) -> Any:
        """A list of names, of which none is the value of another."""
        items = [
            self._node(item, "", depth + 1, self._places.below(alive, at), f"{pointer}/{at}", kept)
            for at, item in enumerate(value)
        ]
        return type(value)(items)

    def _shown(self, value: Any, depth: int, alive: Alive, pointer: str, kept: bool) -> Any:
        if isinstance(value, (Mapping, list, tuple, set, frozenset)):
            return self._container(value, depth, alive, pointer, kept)
        if kept or value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._finds.text_at(value, pointer, self._found)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._finds.bytes_at(bytes(value), pointer, self._found)
        if isinstance(value, (int, float, Decimal)):
            return self._finds.number_at(value, pointer, self._found)
        return self._object(value, depth, pointer) if self._text else value

    def _container(self, value: Any, depth: int, alive: Alive, pointer: str, kept: bool) -> Any:
        if id(value) in self._under_way:
            return CYCLE
        if depth >= self._depth:
            self.cut = True
            return UNSEEN
        known = (id(value), alive, kept)
        if known in self._done:
            return self._done[known][1]
        self._under_way.add(id(value))
        try:
            members = self._mapping if isinstance(value, Mapping) else self._sequence
            made = members(value, depth + 1, alive, pointer, kept)
        finally:
            self._under_way.discard(id(value))
        self._done[known] = (value, made)
        return made

    def _mapping(self, value: Mapping[Any, Any], depth: int, alive: Alive, pointer: str, kept: bool) -> Any:
        made: dict[Any, Any] = {}
        named = _named(value)
        for key in value:
            if self._left <= 0:
                self.cut = True
                made[UNSEEN] = UNSEEN
                break
            shown = key
            if not kept:
                shown = self._finds.text_at(key, pointer, self._found) if isinstance(key, str) else self._key(key)
            shown = _apart(shown, made)
            name = _name(key)
            if named and name in _VALUES and not (name and self._finds.secret_name(name)):
                name = named
            made[shown] = self._node(
                value[key], name, depth, self._places.below(alive, key), f"{pointer}/{_escaped(shown)}", kept
            )
        return _as_kind(value, made)

    def _key(self, key: Any) -> Any:
        """A name that is no text: a number, or a tuple of what else can be one."""
        if isinstance(key, bytes):
            return self._finds.bytes_at(key, "", None)
        if key is None or isinstance(key, bool):
            return key
        if isinstance(key, (int, float)):
            return self._finds.number_at(key, "", None)
        text = _repr(key)
        clean = self._finds.text_at(text, "", None)
        return key if clean == text else clean

    def _sequence(self, value: Any, depth: int, alive: Alive, pointer: str, kept: bool) -> Any:
        fields = getattr(value, "_fields", ()) if isinstance(value, tuple) else ()  # a named tuple's
        pair = _pair(value)
        ordered = isinstance(value, (list, tuple))
        before: Any = None
        items: list[Any] = []
        for at, item in enumerate(value):
            if self._left <= 0:
                self.cut = True
                items.append(UNSEEN)
                break
            name = fields[at] if at < len(fields) else pair if at == 1 else ""
            if ordered and not name:
                name = _option(before, item)
            before = item
            items.append(self._node(item, name, depth, self._places.below(alive, at), f"{pointer}/{at}", kept))
        if isinstance(value, tuple):
            return _as_tuple(value, items) if fields and len(fields) == len(items) else tuple(items)
        return items

    def _object(self, value: Any, depth: int, pointer: str) -> Any:
        """What is no part of JSON: what writes it down will ask for one of these texts."""
        if id(value) in self._under_way:
            return CYCLE
        known = self._shown_objects.get(id(value))
        if known is not None:
            return known[1]
        self._under_way.add(id(value))
        try:
            made = self._object_once(value, depth, pointer)
        finally:
            self._under_way.discard(id(value))
        self._shown_objects[id(value)] = (value, made)
        return made

    def _object_once(self, value: Any, depth: int, pointer: str) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            # Its fields may not be in its repr, and be written by what comes next.
            members = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
            clean = self._members(members, depth)
            if clean != members:
                return self._finds.text_at(_repr(clean), pointer, self._found)
        for write in (_repr, _str):
            text = write(value)
            clean_text = self._finds.text_at(text, pointer, self._found)
            if clean_text != text:
                return clean_text
        return value

    def _members(self, members: dict[str, Any], depth: int) -> Any:
        """What an object holds, redacted: few levels of it, out of what is left to look at."""
        if self._inside is None:
            inside = Walk(self._finds, Places(), max_nodes=0, max_depth=_MOST_INSIDE, objects="text")
            inside._under_way = self._under_way
            inside._inside = inside
            self._inside = inside
        inside = self._inside
        if inside is self:
            return self._node(members, "", depth, self._places.start, "", False)
        inside._left = self._left
        try:
            return inside(members)
        finally:
            self._left = inside._left
            self.cut = self.cut or inside.cut

    def _hidden(self, value: Any, operator: Operator, entity: str, rule: str, depth: int, pointer: str) -> Any:
        if value is None:
            return None
        container = isinstance(value, (Mapping, list, tuple, set, frozenset))
        if not container or isinstance(operator, (Replace, Redact)):
            self._note(entity, rule, pointer)
            text = "" if container else _scalar(value)
            return operator.apply(text, entity)
        return self._leaves(value, operator, entity, rule, depth, pointer)

    def _leaves(self, value: Any, operator: Operator, entity: str, rule: str, depth: int, pointer: str) -> Any:
        """All that is in a container, by one operator."""
        if id(value) in self._under_way:
            return CYCLE
        if depth >= self._depth:
            self.cut = True
            return UNSEEN
        self._under_way.add(id(value))
        try:
            is_mapping = isinstance(value, Mapping)
            pairs: Iterable[tuple[Any, Any]] = value.items() if is_mapping else enumerate(value)
            made: dict[Any, Any] = {}
            for key, item in pairs:
                if self._left <= 0:
                    self.cut = True
                    made[UNSEEN] = UNSEEN
                    break
                self._left -= 1
                shown = self._finds.text_at(key, pointer, None) if isinstance(key, str) else self._key(key)
                shown = _apart(shown, made)
                made[shown] = self._hidden(item, operator, entity, rule, depth + 1, f"{pointer}/{_escaped(shown)}")
            return made if is_mapping else list(made.values())
        finally:
            self._under_way.discard(id(value))

    def _note(self, entity: str, rule: str, pointer: str) -> None:
        if self._found is not None:
            self._found.append(self._finds.noted(entity, rule, pointer))


def _named(value: Mapping[Any, Any]) -> str:
    """The name that an object says its value has: ``{"name": "password", "value": "..."}``."""
    if len(value) > _MOST_NAMED:
        return ""
    for key in _NAMES:
        name = _name(value.get(key))
        if name and len(name) <= _MOST_NAME:
            return name
    return ""


def _name(key: Any) -> str:
    """What a key is called: WSGI and ASGI have names in bytes (Latin-1), others members of an enumeration."""
    if isinstance(key, str):
        return key
    if isinstance(key, bytes):
        return key.decode("latin-1") if len(key) <= _MOST_NAME else ""
    return key.name if isinstance(key, Enum) and isinstance(key.name, str) else ""


def _pair(value: Any) -> str:
    """The name in a pair of name and value."""
    name = _name(value[0]) if isinstance(value, (list, tuple)) and len(value) == 2 else ""
    return name if len(name) <= _MOST_NAME else ""


def _option(before: Any, item: Any) -> str:
    """The name of the option that *item* is the argument of: ``--password``, and what does not begin with a dash."""
    name = _name(before)
    if not name.startswith("--") or name.startswith("--no-") or len(name) > _MOST_NAME or not _is_scalar(item):
        return ""
    dash: Any = b"-" if isinstance(item, (bytes, bytearray)) else "-"
    is_option = isinstance(item, (str, bytes, bytearray)) and item.startswith(dash)
    return "" if is_option else name[2:]


def _apart(shown: Any, made: Mapping[Any, Any]) -> Any:
    if shown not in made:
        return shown
    at = len(made) + 1
    while f"{shown}#{at}" in made:
        at += 1
    return f"{shown}#{at}"


def _as_kind(value: Mapping[Any, Any], made: dict[Any, Any]) -> Any:
    """A copy of a dict keeps its kind: a defaultdict still has what is missing."""
    if type(value) is dict or not isinstance(value, dict):
        return made
    try:
        result = copy.copy(value)
        result.clear()
        result.update(made)
    except Exception:
        return made
    # A kind that brings members of its own back may bring back what was hidden.
    return result if type(result) is type(value) and dict(result) == made else made


def _as_tuple(value: Any, items: list[Any]) -> Any:
    """A named tuple of the same kind, if that takes what was redacted."""
    try:
        return value._make(items)
    except Exception:
        return tuple(items)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, bytes, bytearray, memoryview, int, float, Decimal))


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "surrogateescape")
    return _str(value)


def _guarded(write: Callable[[Any], str]) -> Callable[[Any], str]:
    def text(value: Any) -> str:
        try:
            return write(value)
        except Exception:  # an object that cannot be printed; an int of more digits than Python writes
            return f"<unprintable {type(value).__name__}>"

    return text


_repr = _guarded(repr)
_str = _guarded(str)


def _escaped(key: Any) -> str:
    return _str(key).replace("~", "~0").replace("/", "~1")


_NAMES = ("name", "key", "Name", "Key", b"name", b"key", b"Name", b"Key")
_VALUES = frozenset(("value", "Value"))
_MOST_NAMED = 16
_MOST_NAME = 256
_MOST_INSIDE = 8
_MOST_PARTS = 48
